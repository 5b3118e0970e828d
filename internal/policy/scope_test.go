package policy

import "testing"

// TestWhatRulesApplyTo pins which removals each rule is asked about, and which
// begin failure runs and holds anew when they lift: a rule too few lets go of
// somebody, one too many keeps what has stopped.
func TestWhatRulesApplyTo(t *testing.T) {
	type to struct{ gone, heldOut, draining, restarts bool }
	want := map[Reason]to{
		Unsynced:         {true, true, true, true},
		Stale:            {true, true, true, true},
		Standby:          {true, true, true, true},
		LostJournal:      {true, true, true, true},
		Frozen:           {true, true, true, true},
		Thawing:          {true, true, true, true},
		Stopping:         {true, true, true, false},
		Retiring:         {true, true, true, true},
		Off:              {true, true, true, true},
		SelfDoubt:        {false, true, true, true},
		NoQuorum:         {false, true, false, true},
		OtherAccount:     {true, true, true, false},
		Route53Check:     {true, true, true, false},
		EvidenceMissing:  {true, true, true, false},
		OwnerWrites:      {true, true, true, false},
		ForeignOut:       {true, true, true, false},
		OwnerAnswered:    {false, true, true, false},
		Contended:        {false, true, true, false},
		Deploying:        {false, false, true, true},
		CallFailed:       {true, true, true, false},
		NotProbeable:     {false, true, false, false},
		Isolated:         {false, true, false, false},
		PathFault:        {false, true, false, false},
		PathUnproven:     {false, true, false, false},
		CheckUnproven:    {false, true, true, false},
		NeverPassed:      {false, false, false, false},
		WarmUp:           {false, false, true, true},
		TargetWarmUp:     {false, false, false, false},
		SharedDependency: {false, true, false, true},
		FailOpen:         {false, true, true, true},
		AwaitingPeers:    {false, true, false, false},
		LastHealthy:      {true, true, true, false},
		Flapping:         {false, false, false, false},
		DrillFailed:      {false, true, true, false},
		Holding:          {false, false, false, false},
		DrillPending:     {false, true, true, false},
		Busy:             {true, true, true, false},
	}
	restarting := map[Reason]bool{}
	for _, r := range Restarting() {
		restarting[r] = true
	}
	if restarting[NoReason] || len(restarting) != len(gates) {
		t.Errorf("%d reasons of %d rules: %v", len(restarting), len(gates), Restarting())
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
			draining: r.applies(situation{m: &Member{}, action: Remove, why: Draining}),
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
