package fleetsim

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// TestParseMistakes: every mistake is told with its place and a way to mend it.
func TestParseMistakes(t *testing.T) {
	const head = "service shop/web instances=3\n"
	for _, c := range []struct{ script, want string }{
		{"", `s:1:1: the story has no end: it needs a line like "run 10m"`},
		{"walk 10m", `s:1:1: "walk" is not one of at, config, expect, run, service`},
		{"run", `s:1:4: a duration like 10m is missing`},
		{"run ten", `s:1:5: "ten" is not a duration like 2m30s`},
		{"run 10m 20m", `s:1:9: "20m" is one word too many`},
		{"config profile=moon\nrun 1m", `s:1:8: "moon" is not one of aws, local, solo, demo`},
		{"config colour=red\nrun 1m", `s:1:8: unknown setting "colour"`},
		{"config mode\nrun 1m", `s:1:8: "mode" is not of the form key=value`},
		{head + "at 1m noise storms=1\nrun 5m", `s:2:13: "storms=1" is not one of bursts, loss, pauses, quiet=kept, stalls, together`},
		{head + "at 1m noise stalls=-1\nrun 5m", `s:2:13: "-1" is not a number in a day`},
		{head + "at 1m noise together=2\nrun 5m", `s:2:13: "2" is not a number of vantages of this story`},
		{"config mode=attack\nrun 1m", `s:1:8: "attack" is not one of enforce, observe, off`},
		{"config mode=enforce fall=0\nrun 1m", `s:1:21: "0" is not a number of at least 1`},
		{"config max_out=20\nrun 1m", `s:1:8: "20" is not a share like 20%`},
		{"config max_out=340%\nrun 1m", `s:1:8: "340%" is not a share like 20%`},
		{"config removals=5\nrun 1m", `s:1:8: "5" is not a rate like 1/10s`},
		{"config removals_global=5\nrun 1m", `s:1:8: "5" is not a share of all in a time, like 1%/1m`},
		{"config hold=-1s\nrun 1m", `s:1:8: "-1s" is not a duration like 2m30s`},
		{head + "config mode=enforce\nrun 1m", `s:2:1: config comes before the services`},
		{"service web\nrun 1m", `s:1:9: "web" is not of the form namespace/service`},
		{"service shop/web instances=many\nrun 1m", `s:1:18: "many" is not a number of instances`},
		{"service shop/web check=dns\nrun 1m", `s:1:18: "dns" is not one of custom, none, route53`},
		{"service shop/web colour=red\nrun 1m", `s:1:18: unknown setting "colour=red"`},
		{head + "service mall/web instances=1\nrun 1m", `s:2:9: there is a service called "web" already: instances are named after it`},
		{head + "at noon crash web-1\nrun 1m", `s:2:4: "noon" is not a duration like 2m30s`},
		{head + "at 1m dance web-1\nrun 1m", `s:2:7: "dance" is not one of clock, contradict, crash, cut, delay, depends, deploy, deregister, doubt, drain, drift, ` +
			`evidence, exhaust, exit, fail, fail-operation, flap, foreign, freeze, gray, hang, heal, isolate, kill, kill-at, lease, lose-answer, lose-call, ` +
			`lose-journal, loss, noise, owns, pause, recover, register, registry, release, reload, reregister, reset, restore, retire, says, says-draining, scale, shallow, ` +
			`slow, slowstart, start, starve, stop, stop-task, stranger, undrain, unfreeze, vanish, votes, zone-down, zone-up`},
		{head + "crash web-1\nrun 1m", `s:2:1: "crash" needs a time: at 2m crash web-1`},
		{head + "at 1m crash\nrun 1m", `s:2:12: an instance is missing`},
		{head + "at 1m crash web-9\nrun 1m", `s:2:13: no service has an instance "web-9"`},
		{head + "at 1m crash web-2..1\nrun 1m", `s:2:13: "web-2..1" is not a range like web-1..4`},
		{head + "at 1m crash api\nrun 1m", `s:2:13: no service has an instance "api"`},
		{head + "at 1m gray web-1 lots\nrun 1m", `s:2:18: "lots" is not a share like 20%`},
		{head + "at 1m register api-1\nrun 1m", `s:2:16: "api-1" is not an instance of a service`},
		{head + "at 1m register web-4 soon=yes\nrun 1m", `s:2:22: "soon=yes" is neither ready=DURATION, ready=never, init=UNHEALTHY nor at=INSTANCE`},
		{head + "at 1m reregister web-1 port=1\nrun 1m", `s:2:24: "port=1" is neither address=new nor version=…`},
		{head + "at 1m cut the-wire\nrun 1m", `s:2:11: "the-wire" is neither a subnet like 10.1.0.0/24 nor a zone of a service, registry, store or *`},
		{head + "at 1m cut 10.1.0/24\nrun 1m", `s:2:11: "10.1.0/24" is not a subnet like 10.1.0.0/24`},
		{head + "at 1m cut b->10.1.0.0/24\nrun 1m", `s:2:11: "b" is not one of a`},
		{"config vantages=3\n" + head + "at 1m cut a->d votes\nrun 1m", `s:3:11: "d" is not one of a, b, c`},
		{"config vantages=27\nrun 1m", `s:1:8: "27" is not a number of vantages from 1 to 26`},
		{"config vantages=a,b\nrun 1m", `s:1:8: "a,b" is neither a number of vantages nor a list like a/x,b/y`},
		{head + "at 1m loss 10.1.0.0/24 some\nrun 1m", `s:2:24: "some" is not a share like 20%`},
		{head + "at 1m votes noise=1%\nrun 1m", `s:2:13: "noise" is not one of duplicate, flip, reorder, replay`},
		{head + "at 1m lease\nrun 1m", `s:2:12: "split" is missing`},
		{head + "at 1m zone-down x\nrun 1m", `s:2:17: "x" is not a zone of a service`},
		{head + "at 1m deploy web surge\nrun 1m", `s:2:14: "web" is not a service with owner=ecs`},
		{head + "at 1m exhaust money\nrun 1m", `s:2:15: "money" is not one of descriptors, ports`},
		{"service shop/web owner=ecs\nat 1m deploy web softly\nrun 1m", `s:2:18: "softly" is not one of bluegreen, rolling, surge`},
		{"service shop/web owner=ecs\nat 1m evidence web late=1s\nrun 1m", `s:2:20: "late" is not one of delay, duplicated, lost, reordered`},
		{head + "at 1m registry angry\nrun 1m", `s:2:16: "angry" is not one of empty, error, ok, partial, silent, throttle, void`},
		{head + "at 1m lose-answer journal-put\nrun 1m", `s:2:19: "journal-put" is not one of DeregisterInstance, GetInstance, GetInstancesHealthStatus, GetOperation, RegisterInstance, UpdateInstanceCustomHealthStatus`},
		{head + "at 1m foreign web-1 SICK\nrun 1m", `s:2:21: "SICK" is not one of HEALTHY, UNHEALTHY`},
		{head + "at 1m kill-at 3 later\nrun 1m", `s:2:17: "later" is not one of after, answered, before`},
		{head + "at 1m clock noon\nrun 1m", `s:2:13: "noon" is not a step like +1h or -90s`},
		{head + "at 1m reload colour=red\nrun 1m", `s:2:14: unknown setting "colour"`},
		{head + "expect luck 3\nrun 1m", `s:2:8: "luck" is not one of calls, capacity, cause, changed, decided, detected, double, entries, failed, false, gate, held-out, in, listings, lost, no-gate, out, reason, removed, returned, returned-within, said, sees, standing, status, stopped, withheld`},
		{head + "expect removed some\nrun 1m", `s:2:16: "some" is not a number`},
	} {
		_, err := Parse("s", c.script)
		var mistake *ParseError
		if !errors.As(err, &mistake) {
			t.Errorf("%q: error %v, want %s", c.script, err, c.want)
			continue
		}
		if err.Error() != c.want {
			t.Errorf("%q\n got %s\nwant %s", c.script, err, c.want)
		}
	}
}

// TestExpectationsFail: an expectation that does not hold is told with its line
// and with what is true instead.
func TestExpectationsFail(t *testing.T) {
	const script = `config profile=demo mode=enforce
service shop/web check=custom instances=3
at 20s crash web-1
run 40s
`
	for _, c := range []struct{ expect, want string }{
		{"expect in web-1", "clients do not find web-1"},
		{"expect out web-2", "clients find web-2"},
		{"expect out web-1 by 20s", "web-1 only since"},
		{"expect removed 0", "it is 1"},
		{"expect removed >= 2", "it is 1"},
		{"expect status web-1 HEALTHY", "it is UNHEALTHY"},
		{"expect stopped web-1 <= 1s", "clients no longer found it after"},
		{"expect stopped web-2 <= 1s", "it never failed"},
		{"expect returned-within web-1 <= 1s", "that did not happen"},
		{"expect withheld web-2 budget", "no such decision was recorded"},
		{"expect said storm", "no such record was written"},
		{"expect gate frozen", "the gates are []"},
		{"expect standing web-1 in", `the standing is "out"`},
		{"expect capacity >= 100%", ""},
		{"expect failed <= 1%", "failed requests, of those without a checker of shop/web"},
		{"expect calls RegisterInstance 1", "it is 0"},
		{"at 10s expect out web-1", "clients find web-1"},
	} {
		story, err := Parse("s", script+c.expect)
		if err != nil {
			t.Fatal(err)
		}
		result, err := Run(story)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case c.want == "" && len(result.Failures) > 0:
			t.Errorf("%s: %v", c.expect, result.Failures)
		case c.want != "" && (len(result.Failures) != 1 || !strings.Contains(result.Failures[0], c.want) || !strings.HasPrefix(result.Failures[0], "s:5: ")):
			t.Errorf("%s: %q, want %q", c.expect, result.Failures, c.want)
		}
	}
}

// TestExpectHere: what is expected here holds with the script's own seed; with
// another it is not asked.
func TestExpectHere(t *testing.T) {
	story, err := Parse("s", "config seed=3\nservice shop/web instances=3\nrun 1m\nexpect here removed 1")
	if err != nil {
		t.Fatal(err)
	}
	for seed, fails := range map[uint64]int{3: 1, 4: 0} {
		if r, err := Run(story.WithSeed(seed)); err != nil || len(r.Failures) != fails {
			t.Errorf("seed %d: %q, %v; want %d failures", seed, r.Failures, err, fails)
		}
	}
}

// TestRunWithoutLength: a story that lasts no time is no story.
func TestRunWithoutLength(t *testing.T) {
	if _, err := Run(Story{Name: "nothing"}); err == nil || err.Error() != `nothing: the story has no length: it needs a line like "run 10m"` {
		t.Errorf("error %v", err)
	}
}

// FuzzParse: no script makes the parser panic, and what it takes for a story
// is read the same way again.
func FuzzParse(f *testing.F) {
	f.Add("config profile=demo mode=enforce\nservice a/b instances=3\nat 1m crash b-1..2\nexpect in b\nrun 2m\n----\nx")
	f.Add(Random(1).Text)
	f.Fuzz(func(t *testing.T, script string) {
		story, err := Parse("fuzz", script)
		if err != nil {
			return
		}
		again, err := Parse("fuzz", story.Text+divider+"\n"+story.Want)
		if err != nil {
			t.Fatalf("%v\n%s", err, story.Text)
		}
		if again.Text != story.Text || again.Length != story.Length || len(again.actions) != len(story.actions) {
			t.Errorf("read again it is another story:\n%s\n%s", story.Text, again.Text)
		}
		if story.Length < time.Nanosecond {
			t.Errorf("a story of no length: %s", script)
		}
	})
}
