package policy

import "testing"

// TestWhatRulesApplyTo pins which removals each rule is asked about, and which
// begin failure runs and holds anew when they lift: a rule too few lets go of
// somebody, one too many keeps what has stopped.
func TestWhatRulesApplyTo(t *testing.T) {
	type to struct{ gone, heldOut, restarts bool }
	want := map[Reason]to{
		Unsynced:        {true, true, true},
		Stale:           {true, true, true},
		LostJournal:     {true, true, true},
		Frozen:          {true, true, true},
		Thawing:         {true, true, true},
		Stopping:        {true, true, false},
		Retiring:        {true, true, true},
		Off:             {true, true, true},
		SelfDoubt:       {false, true, true},
		OtherAccount:    {true, true, false},
		Route53Check:    {true, true, false},
		EvidenceMissing: {true, true, false},
		ForeignOut:      {true, true, false},
		OwnerAnswered:   {false, true, false},
		Contended:       {false, true, false},
		CallFailed:      {true, true, false},
		NotProbeable:    {false, true, false},
		PathUnproven:    {false, true, false},
		CheckUnproven:   {false, true, false},
		NeverPassed:     {false, false, false},
		WarmUp:          {false, false, true},
		TargetWarmUp:    {false, false, false},
		FailOpen:        {false, true, true},
		AwaitingPeers:   {false, true, false},
		LastHealthy:     {true, true, false},
		Flapping:        {false, false, false},
		DrillFailed:     {false, true, false},
		Holding:         {false, false, false},
		DrillPending:    {false, true, false},
		Busy:            {true, true, false},
	}
	restarting := map[Reason]bool{}
	for _, r := range Restarting() {
		restarting[r] = true
	}
	for i := range rules {
		r := &rules[i]
		w, ok := want[r.reason]
		if !ok {
			t.Errorf("rule %d, %s, is not in this table", r.number, r.reason)
			continue
		}
		got := to{
			gone:     r.applies(situation{m: &Member{Gone: true}, action: Remove}),
			heldOut:  r.applies(situation{m: &Member{}, action: HoldOut}),
			restarts: restarting[r.reason],
		}
		if got != w {
			t.Errorf("rule %d, %s: %+v, want %+v", r.number, r.reason, got, w)
		}
		if !r.applies(situation{m: &Member{}, action: Remove}) {
			t.Errorf("rule %d, %s, is not asked about a removal on what probes saw", r.number, r.reason)
		}
	}
}
