package registry

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// used returns a registry in memory whose last commit had that many writers.
func used(t *testing.T, writers int, patience time.Duration) *Registry {
	t.Helper()
	r, err := Open(Options{})
	if err != nil {
		t.Fatal(err)
	}
	r.company.expected, r.company.patience = writers, patience
	return r
}

// writeAll starts a writer after each pause and returns the number of writers
// of each commit, and when the first of them had its answer.
func writeAll(t *testing.T, r *Registry, writers int, pause time.Duration) (commits []int, first time.Duration) {
	t.Helper()
	var mu sync.Mutex
	var group sync.WaitGroup
	members := map[*batch]int{}
	start := time.Now()
	for i := range writers {
		if i > 0 {
			time.Sleep(pause)
		}
		group.Go(func() {
			err := r.write(func(b *batch) error {
				mu.Lock()
				defer mu.Unlock()
				members[b]++
				return nil
			})
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if first == 0 {
				first = time.Since(start)
			}
		})
	}
	group.Wait()
	for _, n := range members {
		commits = append(commits, n)
	}
	slices.Sort(commits)
	return commits, first
}

func TestCompany(t *testing.T) {
	const ms = time.Millisecond
	for _, tt := range []struct {
		name              string
		expected, writers int
		patience, pause   time.Duration
		commits           []int
		first             time.Duration
	}{
		{"all come back", 8, 8, 2 * ms, ms, []int{8}, 7 * ms},
		{"more come than there were", 4, 6, 2 * ms, ms, []int{1, 1, 4}, 3 * ms},
		{"nobody comes", 8, 1, 2 * ms, 0, []int{1}, 2 * ms},
		{"one is too late", 3, 3, 2 * ms, 3 * ms, []int{1, 1, 1}, 2 * ms},
		{"used to being alone", 1, 1, 2 * ms, 0, []int{1}, 0},
		{"they keep coming, but there were more", 1000, 12, 5 * ms, 4 * ms, []int{1, 1, 1, 1, 1, 1, 6}, 20 * ms},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				commits, first := writeAll(t, used(t, tt.expected, tt.patience), tt.writers, tt.pause)
				if !slices.Equal(commits, tt.commits) || first != tt.first {
					t.Errorf("commits of %v writers, the first answered after %v; want %v and %v", commits, first, tt.commits, tt.first)
				}
			})
		})
	}
}

// TestDoneIsDone checks that a writer whose change is durable is told so while
// somebody else already has the lead.
func TestDoneIsDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := used(t, 0, 0)
		r.lead <- struct{}{}
		answers := make(chan error, 2)
		for range 2 {
			go func() { answers <- r.write(func(*batch) error { return nil }) }()
		}
		synctest.Wait()
		if len(answers) > 0 {
			t.Fatal("a write returned before it was carried")
		}
		r.carry()
		synctest.Wait()
		if len(answers) != 2 {
			t.Fatalf("%d of 2 writes returned; the lead is still held", len(answers))
		}
		for range 2 {
			if err := <-answers; err != nil {
				t.Error(err)
			}
		}
	})
}

// TestAbortedByPanic checks that a panic in one write fails those that shared
// its commit, and lets go of the lead.
func TestAbortedByPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := used(t, 2, time.Millisecond)
		answers := make(chan error, 1)
		panics := make(chan any, 1)
		go func() {
			defer func() { panics <- recover() }()
			r.write(func(*batch) error { panic("boom") })
		}()
		synctest.Wait()
		go func() { answers <- r.write(func(*batch) error { return nil }) }()
		if p := <-panics; p != "boom" {
			t.Errorf("panic %v", p)
		}
		if err := <-answers; err != errAborted {
			t.Errorf("the other write: %v", err)
		}
		if err := r.write(func(*batch) error { return nil }); err != ErrClosed {
			t.Errorf("a later write: %v", err)
		}
	})
}
