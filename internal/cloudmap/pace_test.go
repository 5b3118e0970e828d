package cloudmap

import (
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	sd "github.com/aws/aws-sdk-go-v2/service/servicediscovery"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/lever"
)

func TestPaceOnAWS(t *testing.T) {
	q := quotasOf(Config{AWS: true})
	want := map[class]float64{
		listNamespaces: 0.3, listServices: 0.6, listInstances: 15, listStatuses: 10, readOne: 5,
		readOperation: 30, discover: 300, write: 2,
	}
	for c, rate := range want {
		if math.Abs(q[c].rate-rate) > 1e-9 {
			t.Errorf("class %d: %g/s, want %g/s", c, q[c].rate, rate)
		}
		if q[c].burst < 1 || float64(q[c].burst) > max(1, rate) {
			t.Errorf("class %d: burst %d at %g/s", c, q[c].burst, rate)
		}
	}
	if together, limit := q[listStatuses].rate+q[readOne].rate, knownLimit[listStatuses]*share; math.Abs(together-limit) > 1e-9 {
		t.Errorf("GetInstancesHealthStatus: %g/s together, want %g/s", together, limit)
	}
	if q := quotasOf(Config{AWS: true, WritesPerSecond: 0.5}); q[write] != (quota{0.5, 1}) {
		t.Errorf("half a write per second is %+v", q[write])
	}
	if q := quotasOf(Config{URL: "x"}); q[write].rate != 100 {
		t.Errorf("writes at a url: %g/s, want 100/s", q[write].rate)
	}
}

func TestPollRate(t *testing.T) {
	for op, want := range map[string][2]float64{
		"ListNamespaces": {0.3, 1}, "ListServices": {0.6, 2}, "ListInstances": {15, 50}, "GetInstancesHealthStatus": {10, 50}, "Nonsense": {0, 0},
	} {
		allowed, limit, _ := PollRate(op)
		if math.Abs(allowed-want[0]) > 1e-9 || limit != want[1] {
			t.Errorf("%s: %g of %g, want %v", op, allowed, limit, want)
		}
	}
}

func TestBackoff(t *testing.T) {
	var b backoff
	at := time.Unix(1000, 0)
	near := func(when time.Duration, want float64) {
		t.Helper()
		if got := b.factor(at.Add(when)); math.Abs(got-want) > 1e-6 {
			t.Errorf("after %s: %g of the rate, want %g", when, got, want)
		}
	}
	near(0, 1)
	b.cut(at)
	near(0, 0.5)
	b.cut(at.Add(999 * time.Millisecond)) // the same burst of throttles
	near(time.Second, 0.5+1.0/60)
	near(15*time.Second, 0.75)
	near(30*time.Second, 1)
	near(time.Hour, 1)
	for i := range 20 {
		b.cut(at.Add(time.Duration(i+1) * time.Second))
	}
	if least := b.factor(at.Add(20 * time.Second)); least < leastRate || least > 2*leastRate {
		t.Errorf("after 20 throttles in a row %g of the rate, want about %g", least, leastRate)
	}
}

// roundTrip is an HTTP transport that needs no network.
type roundTrip func(*http.Request) (int, string)

func (f roundTrip) Do(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	status, body := f(r)
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

func withoutNetwork(t *testing.T, cfg Config, f roundTrip) *Client {
	t.Helper()
	c := newClient(t, cfg)
	c.options = append(c.options, func(o *sd.Options) { o.HTTPClient = wire{f} })
	return c
}

// throttleUntil answers with throttles until a moment, and then with empty answers.
func throttleUntil(until time.Time, seen *[]time.Time) roundTrip {
	return func(*http.Request) (int, string) {
		*seen = append(*seen, time.Now())
		if time.Now().Before(until) {
			return 400, `{"__type":"ThrottlingException","message":"Rate exceeded"}`
		}
		return 200, `{}`
	}
}

func TestThrottledReadsSlowDownAndRecover(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIAENV")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "env")
	t.Setenv("AWS_CONFIG_FILE", "/dev/null")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var seen []time.Time
		c := withoutNetwork(t, Config{AWS: true, Region: "eu-west-1"}, throttleUntil(start.Add(30*time.Second), &seen))
		r := c.NewReader("")
		for time.Since(start) < 3*time.Minute {
			_, err := r.Status(t.Context(), "srv-1", "i")
			if want := map[bool]lever.Fault{true: lever.Throttled, false: lever.OK}[time.Since(start) < 30*time.Second]; FaultOf(err) != want {
				t.Fatalf("at %s: %v", time.Since(start), err)
			}
		}
		in := func(from, to time.Duration) (n int) {
			for _, at := range seen {
				if d := at.Sub(start); d >= from && d < to {
					n++
				}
			}
			return n
		}
		// 5/s would be 75 calls in 15 s.
		if n := in(15*time.Second, 30*time.Second); n > 12 {
			t.Errorf("%d calls in 15 s of throttling, want at most 12", n)
		}
		if n := in(2*time.Minute, 3*time.Minute); n < 295 || n > 301 {
			t.Errorf("%d calls in a minute after the recovery, want 300", n)
		}
	})
}

func TestThrottledReadsDoNotSlowWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		p := newPacer(quotasOf(Config{AWS: true}))
		p.throttled(listInstances, now)
		if got := p.adjust(write, now).Limit(); got != 2 {
			t.Errorf("after a throttled read %g writes a second, want 2", got)
		}
		if got := p.adjust(readOne, now).Limit(); got != 2.5 {
			t.Errorf("after a throttled read %g reads of one a second, want 2.5", got)
		}
		p.throttled(write, now)
		if got := p.adjust(write, now).Limit(); got != 1 {
			t.Errorf("after a throttled write %g writes a second, want 1", got)
		}
		time.Sleep(time.Minute)
		for c := range classes {
			if got, want := float64(p.adjust(c, time.Now()).Limit()), p.quotas[c].rate; got != want {
				t.Errorf("class %d: %g/s a minute later, want %g/s", c, got, want)
			}
		}
	})
}

// TestWritesDoNotQueue: what a job has just read must still be true when its
// write goes out, so a write that cannot go out soon fails instead.
func TestWritesDoNotQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sent atomic.Int32
		c := withoutNetwork(t, Config{URL: "http://127.0.0.1:1", WritesPerSecond: 2}, func(*http.Request) (int, string) {
			sent.Add(1)
			return 200, ``
		})
		w := c.NewWriter()
		start := time.Now()
		results := make(chan error)
		for range 10 {
			go func() { results <- w.SetStatus(t.Context(), "srv-1", "i", health.Unhealthy) }()
		}
		var throttled int
		for range 10 {
			switch err := <-results; FaultOf(err) {
			case lever.OK:
			case lever.Throttled:
				throttled++
				if !errors.Is(err, errPaced) || !strings.HasPrefix(err.Error(), "UpdateInstanceCustomHealthStatus: held back by our own pace") {
					t.Errorf("%v", err)
				}
			default:
				t.Errorf("%v is %s", err, FaultOf(err))
			}
		}
		if took := time.Since(start); took > maxWriteWait {
			t.Errorf("the last write waited %s", took)
		}
		if sent.Load() != 4 || throttled != 6 { // two at once, two within the second
			t.Errorf("%d sent, %d held back; want 4 and 6", sent.Load(), throttled)
		}
	})
}

func TestReadsWaitForThePaceAndHonourTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(quotasOf(Config{AWS: true}))
		start := time.Now()
		for range 3 {
			if err := p.wait(t.Context(), listNamespaces); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(start).Round(time.Second); took != 7*time.Second { // 2 at 0.3/s
			t.Errorf("three listings of namespaces took %s, want 7s", took)
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if err := p.wait(ctx, listNamespaces); !errors.Is(err, context.Canceled) || !errors.Is(err, errPaced) {
			t.Errorf("cancelled while waiting: %v", err)
		}
	})
}
