package warden

// Memory is what a process learns that the next one should know: that an
// incarnation passed a check, that a check is proven for a service, how often
// an instance was removed lately, a freeze and drains. The zero Memory knows nothing,
// which is always safe. In a Learn effect it is a difference, keyed by the
// members named Service and Instance.
type Memory struct {
	Passed   []Passed
	Armed    []Armed
	Removals []Removal
	Drains   []DrainUntil
	Freeze   *FreezeUntil // in a difference: nil is "as before"
}

// Passed says that an incarnation passed a check. Incarnation 0 forgets it.
type Passed struct {
	Service, Instance string
	Incarnation       uint64 // health.Incarnation.Hash
	Probe             uint64 // health.Probe.Fingerprint
}

// Armed says that a check is proven for a service, or since when it is tried.
type Armed struct {
	Service string
	Probe   uint64
	Since   int64 // wall, Unix nanoseconds: when the check was first used
	Proven  bool
}

// Removal is when an instance was removed, oldest first, within 24 h. An empty
// list forgets it.
type Removal struct {
	Service, Instance string
	Walls             []int64 // Unix nanoseconds
}

// DrainUntil is a drain that survives a restart. Until 0 forgets it.
type DrainUntil struct {
	Service, Instance string
	Until             int64 // wall, Unix nanoseconds
	By                string
	Note              string
}

// FreezeUntil is a freeze that survives a restart. Until 0 is no freeze.
type FreezeUntil struct {
	Until int64 // wall, Unix nanoseconds
	By    string
	Note  string
}
