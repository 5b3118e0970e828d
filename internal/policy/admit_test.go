package policy

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
)

// ago is n instants, all of them so long ago.
func ago(n int, d time.Duration) []health.Instant {
	return slices.Repeat([]health.Instant{testNow.Add(-d)}, n)
}

// TestWhatIsSpent: each budget at its very edge, for one removal in service 0.
func TestWhatIsSpent(t *testing.T) {
	c, f := testConfig(), testFleet()
	for name, x := range map[string]struct {
		bank    Bank
		targets int
		failing int
		want    Reason // "" is admitted
	}{
		"nothing was spent": {Bank{}, 1000, 10, ""},

		"its service's next is free now":   {Bank{Services: []health.Instant{testNow}}, 1000, 10, ""},
		"its service's next is free later": {Bank{Services: []health.Instant{testNow + 1}}, 1000, 10, Velocity},
		"another service's is free later":  {Bank{Services: []health.Instant{0, testNow + 1}}, 1000, 10, ""},

		"one less than 1 % a minute": {Bank{Global: ago(9, time.Second)}, 1000, 10, ""},
		"1 % a minute":               {Bank{Global: ago(10, time.Second)}, 1000, 10, VelocityGlobal},
		"1 %, a minute ago":          {Bank{Global: ago(10, time.Minute)}, 1000, 10, ""},

		"the 99th of 3300 in ten minutes":          {Bank{Recent: ago(98, time.Second)}, 3300, 99, ""},
		"the 100th of 3300, more than 3 %":         {Bank{Recent: ago(99, time.Second)}, 3300, 99, Storm},
		"the 100th of 3300, in a little more time": {Bank{Recent: ago(99, 10*time.Minute)}, 3300, 99, ""},
		"the 10th of 20":                           {Bank{Recent: ago(9, time.Second)}, 20, 10, ""},
		"the 11th of 20":                           {Bank{Recent: ago(10, time.Second)}, 20, 10, Storm},

		"the latch holds while 1 % fail":      {Bank{Storm: true}, 100_000, 1000, Storm},
		"the latch opens when fewer than 1 %": {Bank{Storm: true}, 100_000, 999, ""},
	} {
		_, ds := Admit(x.bank, []Proposal{wants(0, 0, 10, &c)}, Outlook{Targets: x.targets, Failing: x.failing}, f, testNow)
		if d := ds[0]; d.Admitted != (x.want == "") || !d.Admitted && d.Why != x.want {
			t.Errorf("%s: admitted %v, because of %q; want %q", name, d.Admitted, d.Why, x.want)
		}
	}
}

func TestReturnsArePacedOnlyInMass(t *testing.T) {
	c, f := testConfig(), testFleet()
	bring := func(why Reason) Proposal { return Proposal{Action: Bring, Reason: why, Config: &c} }
	for at, want := range map[health.Instant]Reason{testNow: FailOpenAll, testNow + 1: Velocity} {
		_, ds := Admit(Bank{Returns: []health.Instant{at}}, []Proposal{bring(FailOpenAll)}, warm, f, testNow)
		if ds[0].Why != want {
			t.Errorf("free at %d: %s, want %s", at-testNow, ds[0].Why, want)
		}
	}
	_, ds := Admit(Bank{Returns: []health.Instant{testNow + 1}}, []Proposal{bring(Recovered)}, warm, f, testNow)
	if !ds[0].Admitted {
		t.Errorf("a return that was earned waits: %s", ds[0].Why)
	}
}

// TestWhoSpends: a removal on what probes saw spends velocity, what is gone
// and what was never capacity does not; of returns only those in mass do.
func TestWhoSpends(t *testing.T) {
	c, f := testConfig(), testFleet()
	spent := Bank{Services: []health.Instant{0, 0, testNow.Add(10 * time.Second)}, Global: []health.Instant{testNow}, Recent: []health.Instant{testNow}}
	for name, x := range map[string]struct {
		p    Proposal
		want Bank
	}{
		"a removal":             {Proposal{Action: Remove, Reason: Failing, Class: health.Hard}, spent},
		"one of what is gone":   {Proposal{Action: Remove, Reason: OwnerGone, Class: health.Gone}, Bank{}},
		"holding out":           {Proposal{Action: HoldOut, Reason: NeverReady, Class: health.Hard}, Bank{}},
		"a return":              {Proposal{Action: Bring, Reason: Recovered}, Bank{}},
		"a return in mass":      {Proposal{Action: Bring, Reason: FailOpenAll}, Bank{Returns: []health.Instant{0, 0, testNow.Add(time.Second)}}},
		"a removal called off":  {Proposal{Action: Cancel, Reason: PassedInHold}, Bank{}},
		"a removal not allowed": {Proposal{Action: Remove, Reason: Failing, Withheld: Frozen}, Bank{}},
	} {
		x.p.Service, x.p.Config, x.p.Counts.N = 2, &c, 10
		b, _ := Admit(Bank{}, []Proposal{x.p}, Outlook{Targets: 1000, Failing: 1000}, f, testNow)
		if !reflect.DeepEqual(b, x.want) {
			t.Errorf("%s: %+v, want %+v", name, b, x.want)
		}
	}
}

// TestOrder: the surest evidence first, then the service that has waited
// longest, then by lot.
func TestOrder(t *testing.T) {
	c := testConfig()
	of := func(member int, class health.Class, service int, tie uint64) Proposal {
		p := wants(service, member, 100, &c)
		p.Class, p.Tie = class, tie
		return p
	}
	b := Bank{Services: []health.Instant{testNow - 1, testNow - 2}}
	_, ds := Admit(b, []Proposal{
		of(5, health.Soft, 1, 0), of(4, health.Hard, 0, 9), of(3, health.Hard, 0, 1), of(2, health.Hard, 0, 1), of(1, health.Hard, 1, 9), of(0, health.Gone, 0, 9),
	}, warm, testFleet(), testNow)
	for i, d := range ds {
		if d.Member != i {
			t.Errorf("at %d: member %d", i, d.Member)
		}
	}
}

func TestSettle(t *testing.T) {
	f := testFleet()
	for old := range 4 {
		b := Bank{Recent: append(ago(old, f.StormWindow), testNow-1), Global: append(ago(old, f.RemovalsGlobal.Per), testNow-1)}
		b = b.Settle(Outlook{Targets: 10, Failing: 10}, f, testNow)
		if len(b.Recent) != 1 || len(b.Global) != 1 {
			t.Errorf("of %d old ones and a new one %d and %d are left", old, len(b.Recent), len(b.Global))
		}
	}
	if b := (Bank{Recent: ago(1, f.StormWindow)}).Settle(Outlook{}, f, testNow); len(b.Recent) != 0 {
		t.Error("a single old one is left")
	}
	b := Bank{Storm: true, Recent: ago(20, time.Second)}
	if b = b.Settle(Outlook{Targets: 1000}, f, testNow); b.Storm || len(b.Recent) != 0 {
		t.Errorf("after a storm: %+v", b)
	}
	if at := (Bank{}).free(nil, 0); at != 0 {
		t.Errorf("a full bank is free at %d", at)
	}
}

func TestAllowance(t *testing.T) {
	c := testConfig()
	for _, x := range []struct {
		class  health.Class
		action Action
		n      int
		want   int
	}{
		{health.Soft, Remove, 0, 0},
		{health.Soft, Remove, 1, 0},
		{health.Soft, Remove, 2, 1},
		{health.Soft, Remove, 3, 1},
		{health.Soft, Remove, 10, 2},
		{health.Soft, Remove, 199, 39},
		{health.Hard, Remove, 1, 0},
		{health.Hard, Remove, 10, 5},
		{health.Soft, HoldOut, 10, 5},
		{health.Hard, HoldOut, 11, 5},
	} {
		if got := allowance(&c, x.class, x.action, false, x.n); got != x.want {
			t.Errorf("%v, %s, of %d: %d, want %d", x.class, x.action, x.n, got, x.want)
		}
	}
}

func TestRates(t *testing.T) {
	f := Fraction{Percent: 1, Least: 2}
	for total, want := range map[int]int{0: 2, 100: 2, 299: 2, 300: 3, 1000: 10} {
		if got := f.of(total); got != want {
			t.Errorf("1 %% of %d: %d, want %d", total, got, want)
		}
	}
	if got := (Fraction{}).of(0); got != 1 {
		t.Errorf("nothing of nothing: %d, want 1: never none", got)
	}
	for n, want := range map[int]time.Duration{-1: time.Minute, 0: time.Minute, 1: time.Minute, 2: 30 * time.Second} {
		if got := (Rate{n, time.Minute}).every(); got != want {
			t.Errorf("%d a minute: every %s, want %s", n, got, want)
		}
	}
}

func TestNextFreeOfOneLimit(t *testing.T) {
	f, c, o := testFleet(), testConfig(), Outlook{Targets: 10}
	for at, want := range map[health.Instant]health.Instant{testNow - 1: 0, testNow: 0, testNow + 1: testNow + 1} {
		if got := (Bank{Services: []health.Instant{at}}).NextFree(wants(0, 1, 10, &c), o, f, testNow); got != want {
			t.Errorf("a service free at %d: %d, want %d", at, got, want)
		}
	}
	if got := (Bank{Global: ago(1, time.Second)}).NextFree(wants(0, 1, 10, &c), o, f, testNow); got != 0 {
		t.Errorf("one of two in this minute: %d", got)
	}
}

// TestEveryKeyMakesAConfigAnother, so that a reload warms up anew.
func TestEveryKeyMakesAConfigAnother(t *testing.T) {
	if c := testConfig(); !c.Equal(testConfig()) {
		t.Error("a config is not what it is")
	}
	for i := range reflect.TypeFor[Config]().NumField() {
		c := testConfig()
		switch v := reflect.ValueOf(&c).Elem().Field(i); v.Kind() {
		case reflect.Bool:
			v.SetBool(!v.Bool())
		case reflect.Float64:
			v.SetFloat(v.Float() + 1)
		case reflect.Int, reflect.Int64:
			v.SetInt(v.Int() + 1)
		case reflect.Uint8:
			v.SetUint(v.Uint() + 1)
		case reflect.Struct: // a Rate
			v.Field(0).SetInt(v.Field(0).Int() + 1)
		case reflect.Slice:
			v.Set(v.Slice(0, v.Len()-1))
		default:
			t.Fatalf("no other value for a %s", v.Type())
		}
		if c.Equal(testConfig()) {
			t.Errorf("a config with another %s is the same", reflect.TypeFor[Config]().Field(i).Name)
		}
	}
}
