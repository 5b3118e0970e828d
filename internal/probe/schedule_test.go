package probe

import (
	"fmt"
	"net/netip"
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

// After a restart with 50,000 targets their probes are spread over the
// interval: in no hundredth of it do more than 1.3 times the mean begin.
func TestRestartSpreadsProbes(t *testing.T) {
	const (
		targets  = 50000
		interval = 5 * time.Second
		parts    = 100
		restart  = health.Instant(7*time.Second + 123456789)
	)
	for _, gather := range []bool{false, true} {
		q := schedule{gather: gather}
		for i := range uint32(targets) {
			inc := health.Incarnation{
				Service: fmt.Sprintf("srv-%d", i/100), Instance: fmt.Sprintf("i-%05d", i),
				Addr: netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), Port: 8080,
			}
			h := health.NewHandle(i, 1)
			s := q.slotFor(h)
			first := health.FirstDue(restart, interval, inc.Hash())
			q.fill(s, h, place{target: &health.Target{Check: health.Check{Interval: interval}}}, first)
			q.move(s, first)
		}
		var begun [3 * parts]int
		for now := restart; now < restart.Add(3*interval); now = now.Add(time.Millisecond) {
			for s := q.dueBy(now); s != nil; s = q.dueBy(now) {
				if late := now.Sub(s.at); late > interval/100 {
					t.Fatalf("gather %t: looked at %v late", gather, late)
				}
				begun[now.Sub(restart)*parts/interval]++
				q.move(s, s.following(now))
			}
		}
		for i, n := range begun[1 : len(begun)-1] { // the first and the last are cut off by the gathering
			if n*10*parts > 13*targets {
				t.Errorf("gather %t: %d begin in part %d, the mean is %d", gather, n, i+1, targets/parts)
			}
		}
	}
}

func BenchmarkTimeline(b *testing.B) {
	for _, size := range []int{1000, 10000, 100000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			var q timeline
			q.reserve(size)
			for i := range size {
				q.set(int32(i), health.Instant(i+1))
			}
			for b.Loop() { // a probe: the first comes due and is put an interval later
				id, _ := q.first()
				q.set(id, q.next().Add(time.Duration(size)))
			}
		})
	}
}
