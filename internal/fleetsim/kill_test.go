package fleetsim

import (
	"fmt"
	"testing"
)

// procedures are all that a lever does: a script whose calls are each killed
// in turn, and what is true at its end whatever was killed.
var procedures = []struct{ name, script string }{
	{"quarantine and restore", `
config profile=demo mode=enforce
service shop/web check=none instances=6
at 20s crash web-3
at 40s recover web-3
run 90s
expect in web`},
	{"custom status out and in", `
config profile=demo mode=enforce
service shop/web check=custom instances=6
at 20s crash web-3
at 40s recover web-3
run 90s
expect in web
expect status web-3 HEALTHY`},
	{"custom status taken back", `
config profile=demo mode=enforce
service shop/web check=custom instances=6
at 20s crash web-3
at 21500ms recover web-3
run 90s
expect in web`},
	{"admission by quarantine", `
config profile=demo mode=enforce
service shop/web check=none instances=6
at 19s register web-7
at 20s register web-8 ready=20s
run 90s
expect in web`},
	{"admission by custom status", `
config profile=demo mode=enforce
service shop/web check=custom instances=6
at 20s register web-7 ready=20s
run 90s
expect in web`},
	{"initial status raised", `
config profile=demo mode=enforce
service shop/web check=custom instances=6
at 20s register web-7 ready=20s init=UNHEALTHY
run 90s
expect in web`},
	{"returned by an operator, removed again", `
config profile=demo mode=enforce
service shop/web check=none instances=6
service shop/api check=custom instances=6
at 20s crash web-3
at 20s crash api-3
at 40s restore all
at 60s recover web-3
at 60s recover api-3
run 4m
expect in web
expect in api`},
	{"everything fails, everything returns", `
config profile=demo mode=enforce
service shop/web check=none instances=4
at 20s crash web-3
at 40s crash web
at 60s recover web
run 2m
expect in web`},
	{"operations that fail", `
config profile=demo mode=enforce
service shop/web check=none instances=6
at 20s crash web-3
at 22s fail-operation
at 40s fail-operation
at 40s recover web-3
run 5m
expect in web`},
}

const always = `
expect lost 0
expect double 0
expect changed 0
`

// TestKillEverywhere kills the process at every call of every procedure, before
// the call's effect, after it and after its answer, and starts it again two
// seconds later. Nothing may be lost, doubled or changed, and everything comes
// right in the end.
func TestKillEverywhere(t *testing.T) {
	for _, p := range procedures {
		t.Run(p.name, func(t *testing.T) {
			plain := play(t, p.script+always)
			if plain.Calls < 4 {
				t.Fatalf("the procedure makes %d calls: it does not happen", plain.Calls)
			}
			for n := 1; n <= plain.Calls; n += few {
				for moment := range moments {
					play(t, fmt.Sprintf("%s\nat 1s kill-at %d %s for 2s\n%s", p.script, n, moment, always))
				}
			}
		})
	}
}

// TestKillTwice kills the next process, too, while it finishes what the first
// one left.
func TestKillTwice(t *testing.T) {
	for _, p := range procedures[:2] {
		t.Run(p.name, func(t *testing.T) {
			calls := play(t, p.script+always).Calls
			for n := 1; n <= calls; n += few {
				for again := n + 1; again <= n+4; again++ {
					for _, moment := range []string{"before", "after"} {
						play(t, fmt.Sprintf("%s\nat 1s kill-at %d after for 1s\nat 1s kill-at %d %s for 1s\n%s", p.script, n, again, moment, always))
					}
				}
			}
		})
	}
}

// play runs a script that must hold, and returns what became of it.
func play(t *testing.T, script string) Result {
	t.Helper()
	story, err := Parse("script", script)
	if err != nil {
		t.Fatalf("%v\n%s", err, script)
	}
	result, err := Run(story)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range result.Failures {
		t.Errorf("%s\n%s", f, script)
	}
	if t.Failed() {
		t.FailNow()
	}
	return result
}
