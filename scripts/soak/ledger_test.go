package main

import "testing"

func TestLedgerIsReadBack(t *testing.T) {
	var l ledger
	l.add(slice{kind: "solo-custom", from: 1, to: 9, commit: "abc", runs: 9, days: 5400, wrong: 1, accused: 30, writes: 60})
	l.add(slice{kind: "random", from: 1, to: 4, commit: "abc", runs: 4, violations: 2})
	l.add(slice{kind: "random", from: 5, to: 6, commit: "abc", runs: 2})
	l.add(slice{kind: "random", from: 7, to: 7, commit: "abd+", runs: 1})
	again, err := parse(l.String())
	if err != nil {
		t.Fatal(err)
	}
	if len(again.slices) != 3 || again.String() != l.String() {
		t.Fatalf("%d slices of 3 are read back from\n%s", len(again.slices), l.String())
	}
	if first := again.slices[0]; first.kind != "random" || first.to != 6 || first.runs != 6 || first.violations != 2 {
		t.Errorf("slices of one commit do not add up: %s", first)
	}
	for kind, want := range map[string]uint64{"random": 8, "solo-custom": 10, "stories": 1} {
		if got := again.next(kind); got != want {
			t.Errorf("%s goes on with seed %d, want %d", kind, got, want)
		}
	}
	if l, err := parse(""); err != nil || l.next("random") != 1 {
		t.Errorf("an empty ledger: %v", err)
	}
	if _, err := parse(heading + "\n| random | 1-x | abc | 1 | 0 | 0 | 0 | 0 | 0 | 0 |\n"); err == nil {
		t.Error("a damaged ledger is read")
	}
}
