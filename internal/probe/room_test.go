package probe

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// Never more than the size, never more for one service than is left for the
// others, and every ticket comes out once, in its service's order.
func TestRoomProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, 12).Draw(t, "size")
		r := room{size: size}
		const services = 4
		var ids [services]int32
		for i := range ids {
			ids[i] = r.join(fmt.Sprint("srv-", i))
		}
		var queued, admitted [services]uint32
		var running []int
		admit := func() bool {
			tk, ok := r.admit()
			if !ok {
				return false
			}
			s := int(tk.slot)
			if tk.epoch != admitted[s] {
				t.Fatalf("service %d: ticket %d came out, want %d", s, tk.epoch, admitted[s])
			}
			admitted[s]++
			r.began(ids[s])
			running = append(running, s)
			return true
		}
		t.Repeat(map[string]func(*rapid.T){
			"queue": func(t *rapid.T) {
				s := rapid.IntRange(0, services-1).Draw(t, "service")
				for range rapid.IntRange(1, 100).Draw(t, "n") {
					r.queue(ids[s], ticket{int32(s), queued[s]})
					queued[s]++
				}
			},
			"admit": func(t *rapid.T) {
				for admit() {
				}
				for s := range services {
					if queued[s] > admitted[s] && r.services[ids[s]].running < r.size-r.running {
						t.Fatalf("service %d may run but was not admitted", s)
					}
				}
			},
			"end": func(t *rapid.T) {
				if len(running) == 0 {
					return
				}
				i := rapid.IntRange(0, len(running)-1).Draw(t, "which")
				r.ended(ids[running[i]])
				running = append(running[:i], running[i+1:]...)
			},
			"": func(t *rapid.T) {
				if r.running != len(running) || r.running > size {
					t.Fatalf("%d running, counted %d, size %d", r.running, len(running), size)
				}
				for s := range services {
					if n := r.services[ids[s]].running; n > (size+1)/2 {
						t.Fatalf("service %d runs %d of %d", s, n, size)
					}
				}
			},
		})
		for {
			for _, s := range running {
				r.ended(ids[s])
			}
			running = running[:0]
			if !admit() {
				break
			}
		}
		if queued != admitted {
			t.Fatalf("queued %v, admitted %v", queued, admitted)
		}
		for i := range ids {
			r.leave(ids[i])
		}
		if len(r.index) != 0 || len(r.free) != len(r.services) {
			t.Fatalf("services stay behind: %v", r.index)
		}
	})
}
