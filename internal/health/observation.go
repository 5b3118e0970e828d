package health

// Observation is one probe's result. Detail is one short sentence for people
// (at most 200 bytes, never a body or a header value of the target beyond
// that); everything that decides is typed.
type Observation struct {
	Target  Handle
	Outcome Outcome
	Cause   Cause
	Detail  string

	Due   Instant // when it should have started
	Start Instant
	End   Instant

	Parts        []Part       // of a composite check, else nil
	Dependencies []Dependency // as the target reports them, else nil
	Identity     Identity     // who answered, where the target says so
	Startup      bool         // of the startup check
	Draining     bool         // the target says that it is about to stop
}

// Part is the result of one member of a composite check.
type Part struct {
	Name    string
	Outcome Outcome
	Cause   Cause
}

// Dependency is what a deep endpoint says of one thing that it needs.
type Dependency struct {
	Name     string
	Critical bool
	Outcome  Outcome
}

// Identity is who answered, in the target's own words. Empty members are not
// known; they never contradict anything.
type Identity struct {
	Service  string
	Instance string
	Boot     string
}

// WithPath applies safety rule 3 to an observation: silence counts against a
// target only where this checker can show that its own path works, that is,
// where it passed this incarnation before (ever) and another target in the
// same subnet lately (peer).
func (o Observation) WithPath(ever, peer bool) Observation {
	if o.Outcome != Fail || !o.Cause.NeedsPath() || (ever && peer) {
		return o
	}
	o.Outcome = Indeterminate
	o.Detail = o.Cause.String() + ", and the path to it is not proven"
	o.Cause = PathUnproven
	return o
}
