package source

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/mapwarden/mapwarden/internal/cloudmap"
)

func TestPlanOf(t *testing.T) {
	for _, c := range []struct {
		name    string
		size    Size
		poll    time.Duration
		limited bool
		want    string
	}{
		{"a laptop", Size{Namespaces: 1, Services: 6, Instances: 36, CustomServices: 3, CustomInstances: 18}, time.Second, false,
			"poll 1s, services every 1s: ListNamespaces 1/s = 3600/h, ListServices 1/s = 3600/h, ListInstances 6/s = 21600/h, GetInstancesHealthStatus 3/s = 10800/h"},
		{"a fleet", Size{Namespaces: 3, Services: 412, Instances: 1942, CustomServices: 18, CustomInstances: 90}, 30 * time.Second, true,
			"poll 30s, services every 30s: ListNamespaces 0.0333/s = 120/h (3 % of 1/s), ListServices 0.233/s = 840/h (12 % of 2/s), ListInstances 14.4/s = 51720/h (29 % of 50/s), GetInstancesHealthStatus 0.6/s = 2160/h (1 % of 50/s, assumed)"},
		{"asked for too much", Size{Namespaces: 1, Services: 2}, time.Second, true,
			"poll 10s (asked for 1s), services every 10s: ListNamespaces 0.1/s = 360/h (10 % of 1/s), ListServices 0.1/s = 360/h (5 % of 2/s), ListInstances 0.2/s = 720/h (0 % of 50/s)"},
		{"asked for too little", Size{Namespaces: 1, Services: 2}, time.Hour, true,
			"poll 1m0s (asked for 1h0m0s), services every 1m0s: ListNamespaces 0.0167/s = 60/h (2 % of 1/s), ListServices 0.0167/s = 60/h (1 % of 2/s), ListInstances 0.0333/s = 120/h (0 % of 50/s)"},
		{"stretched", Size{Namespaces: 50, Services: 700, Instances: 700}, 30 * time.Second, true,
			"poll 48s (asked for 30s), services every 1m35s: ListNamespaces 0.0105/s = 38/h (1 % of 1/s), ListServices 0.6/s = 2160/h (30 % of 2/s), ListInstances 14.7/s = 53025/h (29 % of 50/s)"},
		{"too large", Size{Namespaces: 50, Services: 5000, Instances: 100_000}, 30 * time.Second, true,
			"poll 1m0s (asked for 30s), services every 2m47s: ListNamespaces 0.00599/s = 22/h (1 % of 1/s), ListServices 0.599/s = 2156/h (30 % of 2/s), ListInstances 100/s = 360000/h (200 % of 50/s); more than our share of AWS's limits: the poll will take longer"},
	} {
		if got := PlanOf(c.size, c.poll, c.limited).String(); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}

// TestPlanKeepsTheShare: on AWS no operation is ever planned above its share,
// unless the plan says so.
func TestPlanKeepsTheShare(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := Size{
			Namespaces: rapid.IntRange(0, 200).Draw(t, "namespaces"),
			Services:   rapid.IntRange(0, 3000).Draw(t, "services"),
			Instances:  rapid.IntRange(0, 50_000).Draw(t, "instances"),
		}
		size.CustomServices = rapid.IntRange(0, size.Services).Draw(t, "custom services")
		size.CustomInstances = rapid.IntRange(0, size.Instances).Draw(t, "custom instances")
		poll := time.Duration(rapid.Int64Range(1, int64(time.Hour)).Draw(t, "poll"))
		p := PlanOf(size, poll, true)
		if p.Poll < ShortestPoll || p.Poll > LongestPoll || p.Services < p.Poll {
			t.Fatalf("poll %s, services every %s", p.Poll, p.Services)
		}
		for _, c := range p.Calls {
			allowed, _, _ := cloudmap.PollRate(c.Operation)
			if c.PerSecond > allowed*(1+1e-9) && !(p.Over && (c.Operation == "ListInstances" || c.Operation == "GetInstancesHealthStatus")) {
				t.Fatalf("%s at %g/s, allowed %g/s: %s", c.Operation, c.PerSecond, allowed, p)
			}
		}
		if free := PlanOf(size, poll, false); free.Poll != poll || free.Over {
			t.Fatalf("elsewhere the poll of %s became %s", poll, free)
		}
	})
}
