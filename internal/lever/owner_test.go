package lever_test

import (
	"testing"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/policy"
)

// TestForget: the entry of what has gone for good is closed and nothing is
// written to the registry; whoever registered it again keeps it.
func TestForget(t *testing.T) {
	for name, c := range map[string]struct {
		kind    lever.Kind
		present bool
		fault   lever.Fault
		want    lever.End
		left    bool
	}{
		"quarantined":                {lever.Quarantine, false, lever.OK, lever.Gone, false},
		"quarantined, and not found": {lever.Quarantine, false, lever.NotFound, lever.Gone, false},
		"registered again":           {lever.Quarantine, true, lever.OK, lever.Yielded, false},
		"unreadable":                 {lever.Quarantine, false, lever.Ambiguous, lever.NotApplied, true},
		"a status":                   {lever.CustomStatus, true, lever.OK, lever.Gone, false},
	} {
		e := stored(newWorld(), fresh(c.kind), lever.Out)
		j, call := lever.Forget(e, lever.Pace{}, epoch)
		for j.End == lever.Running {
			if call.Op.Writes() {
				t.Fatalf("%s: %s", name, call.Op)
			}
			r := lever.Result{Op: call.Op, Entry: call.Entry}
			if call.Op == lever.ReadInstance || call.Op == lever.ReadStatus {
				r.Fault, r.Found, r.Attributes, r.Status = c.fault, c.present, health.AttributesOf(ours), health.Unhealthy
			}
			j, call = lever.Step(j, r, begin)
		}
		if _, left := j.Left(); j.End != c.want || left != c.left {
			t.Errorf("%s: %s, entry left: %v; want %s, %v", name, j.End, left, c.want, c.left)
		}
	}
}

// TestWithin: a return that rests on its owner's word is made while the word is
// fresh, or not at all; what was sent is followed to its end.
func TestWithin(t *testing.T) {
	until := begin.Add(2 * time.Second)
	for name, c := range map[string]struct {
		slow lever.Op // the call that takes longer than the word holds
		sent bool
		want lever.End
	}{
		"in time":        {lever.Nothing, true, lever.Applied},
		"a slow read":    {lever.ReadInstance, false, lever.Cancelled},
		"a slow journal": {lever.UpdateEntry, false, lever.Cancelled},
		"a slow call":    {lever.Register, true, lever.Applied},
	} {
		w := newWorld()
		w.attrs = nil
		e := stored(w, fresh(lever.Quarantine), lever.Out)
		e.OutSince = epoch
		w.entry = &e
		j, call := lever.Start(lever.ToIn, e, lever.Pace{}, epoch, begin)
		j = j.Within(until)
		sent := false
		for n := 0; j.End == lever.Running && n < maxCalls; n++ {
			if call.Op == c.slow {
				w.advance(until + 1)
			}
			sent = sent || call.Op == lever.Register
			r, _ := w.do(call, well)
			j, call = lever.Step(j, r, w.now)
		}
		if j.End != c.want || sent != c.sent {
			t.Errorf("%s: %s, sent: %v; want %s, %v", name, j.End, sent, c.want, c.sent)
		}
		if j.End == lever.Cancelled && (j.Why != policy.RestoreUnproven || w.entry == nil || w.entry.Phase != lever.Out) {
			t.Errorf("%s: because of %q, leaving %+v", name, j.Why, w.entry)
		}
	}
}
