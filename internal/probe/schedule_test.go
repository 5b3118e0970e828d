package probe

import (
	"testing"
	"time"
	"unsafe"

	"pgregory.net/rapid"

	"github.com/mapwarden/mapwarden/internal/health"
)

func TestSlotStaysSmall(t *testing.T) {
	if n := unsafe.Sizeof(slot{}); n > 64 {
		t.Fatalf("a slot takes %d bytes, at most 64 are planned for", n)
	}
}

// The grid: the next instant is after the given one, by at most one interval,
// and lies a whole number of intervals from the anchor.
func TestFollowingKeepsPhase(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := slot{
			anchor:   health.Instant(rapid.Int64Range(1, 1<<50).Draw(t, "anchor")),
			interval: time.Duration(rapid.Int64Range(int64(minInterval), int64(time.Hour)).Draw(t, "interval")),
		}
		at := health.Instant(rapid.Int64Range(1, 1<<50).Draw(t, "after"))
		next := s.following(at)
		switch {
		case next <= at:
			t.Fatalf("%d is not after %d", next, at)
		case next.Sub(s.anchor)%s.interval != 0 || next < s.anchor:
			t.Fatalf("%d is not on the grid of %+v", next, s)
		case next != s.anchor && next.Sub(at) > s.interval:
			t.Fatalf("%d skips an instant of the grid of %+v after %d", next, s, at)
		}
	})
}

// The heap against a model that looks at every slot.
func TestScheduleAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q schedule
		model := map[health.Handle]health.Instant{}
		handle := func() health.Handle { return health.NewHandle(rapid.Uint32Range(0, 20).Draw(t, "index"), 1) }
		at := func() health.Instant { return health.Instant(rapid.Int64Range(1, 50).Draw(t, "at")) }
		t.Repeat(map[string]func(*rapid.T){
			"watch": func(t *rapid.T) {
				h, first := handle(), at()
				s := q.slotFor(h)
				if s.handle != 0 {
					q.clear(s)
				}
				q.fill(s, h, place{target: &health.Target{}}, first)
				q.move(s, first)
				model[h] = first
			},
			"move": func(t *rapid.T) {
				h, to := handle(), at()
				if s := q.live(h); s != nil {
					q.move(s, to)
					model[h] = to
				}
			},
			"unwatch": func(t *rapid.T) {
				h := handle()
				if s := q.live(h); s != nil {
					q.clear(s)
					delete(model, h)
				}
			},
			"": func(t *rapid.T) {
				earliest := health.Never
				for _, x := range model {
					earliest = min(earliest, x)
				}
				if got := q.next(); got != earliest {
					t.Fatalf("next is %d, want %d", got, earliest)
				}
				if q.used != len(model) || len(q.order.heap) != len(model) {
					t.Fatalf("%d used, %d in the heap, want %d", q.used, len(q.order.heap), len(model))
				}
				for h := range model {
					if s := q.live(h); s == nil || s.at != model[h] || q.order.heap[q.order.place[h.Index()]-1].id != int32(h.Index()) {
						t.Fatalf("slot of %d is %+v, want it at %d", h, s, model[h])
					}
				}
			},
		})
	})
}

func TestOlderGenerationGetsNoSlot(t *testing.T) {
	var q schedule
	young := health.NewHandle(3, 7)
	q.fill(q.slotFor(young), young, place{target: &health.Target{}}, 1)
	if q.slotFor(health.NewHandle(3, 6)) != nil {
		t.Error("an older handle may take over the slot of a younger one")
	}
	if q.live(health.NewHandle(3, 6)) != nil || q.live(health.NewHandle(99, 1)) != nil || q.live(0) != nil {
		t.Error("a handle that holds no slot is live")
	}
	if q.live(young) == nil {
		t.Error("the watched handle is not live")
	}
}
