package warden

import "github.com/mapwarden/mapwarden/internal/health"

// Flags are what is worth knowing of an instance beside its standing.
type Flags uint8

const (
	// Gray: it fails now and then.
	Gray Flags = 1 << iota
	// Flapping: it was removed at least twice within a day.
	Flapping
	// Draining: it says itself that it is about to stop.
	Draining
	// Degraded: it passes, but slower than it used to.
	Degraded

	lastFlag = Degraded
)

var flagNames = map[Flags]string{Gray: "gray", Flapping: "flapping", Draining: "draining", Degraded: "degraded"}

// EveryFlag lists them all.
func EveryFlag() (out []Flags) {
	for g := Gray; g <= lastFlag; g <<= 1 {
		out = append(out, g)
	}
	return out
}

// Has reports whether a flag is set.
func (f Flags) Has(g Flags) bool { return f&g != 0 }

// Names are the words of the operator API and the page; they are stable.
func (f Flags) Names() (out []string) {
	for _, g := range EveryFlag() {
		if f.Has(g) {
			out = append(out, flagNames[g])
		}
	}
	return out
}

// flapping is how many removals within a day make an instance a flapping one.
const flapping = 2

// flags are those of one slot.
func flags(sl *slot, st *health.State) (f Flags) {
	if st.Gray {
		f |= Gray
	}
	if len(sl.removals) >= flapping {
		f |= Flapping
	}
	if st.Phase == health.Draining {
		f |= Draining
	}
	if st.Degraded {
		f |= Degraded
	}
	return f
}
