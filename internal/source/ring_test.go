package source

import (
	"testing"

	"github.com/mapwarden/mapwarden/internal/warden"
)

// No service is taken twice at once, in the first round as in all later ones,
// and one that is given back is taken again.
func TestRingTakesNoneTwiceAtOnce(t *testing.T) {
	var r ring
	r.set([]warden.ServiceFound{serviceFound(0), serviceFound(1), serviceFound(2)})
	for round := 1; round <= 3; round++ {
		taken := map[*member]bool{}
		for range 3 {
			m := r.take()
			if m == nil || taken[m] {
				t.Fatalf("round %d: took %+v after %d others", round, m, len(taken))
			}
			taken[m] = true
		}
		if m := r.take(); m != nil {
			t.Errorf("round %d: %s is polled twice at once", round, m.found.Service.ID)
		}
		for m := range taken {
			m.busy, m.polled = false, true
		}
	}
}
