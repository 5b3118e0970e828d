package probe

import (
	"testing"

	"pgregory.net/rapid"
)

// However an answer comes in, what is kept of it stays within 64 KiB.
func TestGatheredBytesAreBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var w wire
		for len(w.got) < maxGathered {
			n := rapid.IntRange(1, 16<<10).Draw(t, "piece")
			w.gather(make([]byte, min(n, maxGathered-len(w.got))))
			if cap(w.got) > 64<<10 {
				t.Fatalf("%d bytes are kept, for %d", cap(w.got), len(w.got))
			}
		}
	})
}
