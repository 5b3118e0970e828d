package controller

import (
	"context"
	"log/slog"
	"net/netip"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/policy"
	"github.com/mapwarden/mapwarden/internal/quorum"
	"github.com/mapwarden/mapwarden/internal/warden"
)

// rig is a controller with the real mind and edges that a test plays. It lives
// in a synctest bubble, which also proves that no goroutine is left behind.
type rig struct {
	t      *testing.T
	ctl    *Controller
	began  time.Time
	prober *prober
	levers *levers
	keeper *keeper
	log    *lines

	mu      sync.Mutex
	skew    time.Duration // of the monotonic clock against the wall clock
	told    []warden.Record
	onTold  func(warden.Record)
	cancel  context.CancelFunc
	stopped chan struct{} // closed when Run has returned
	endedAt time.Time
}

// play runs a test in a bubble with a rig that has not begun yet.
func play(t *testing.T, test func(*rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, began: time.Now(), prober: &prober{}, levers: &levers{do: obliging}, keeper: &keeper{}, log: &lines{}}
		r.ctl = New(Config{
			Now: r.now, Prober: r.prober, Actuator: r.levers, Keeper: r.keeper, Log: slog.New(r.log), Recorded: r.recorded,
		})
		test(r)
		r.end()
	})
}

func (r *rig) now() health.Instant {
	r.mu.Lock()
	defer r.mu.Unlock()
	return health.Instant(time.Since(r.began) + time.Second + r.skew)
}

func (r *rig) recorded(x warden.Record) {
	r.mu.Lock()
	r.told = append(r.told, x)
	on := r.onTold
	r.mu.Unlock()
	if on != nil {
		on(x)
	}
}

// records are those that were told so far.
func (r *rig) records() []warden.Record {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]warden.Record(nil), r.told...)
}

// settings of the mind: paces that are easy to tell apart in a test.
func settings() warden.Config {
	return warden.Config{
		Default: warden.ServiceConfig{
			Check: health.Check{Interval: 5 * time.Second, Timeout: 2 * time.Second, Confirm: 2 * time.Second, Fall: 4, Rise: 2},
			Policy: policy.Config{
				Mode: policy.ModeEnforce, MaxOut: 20, MaxOutHard: 50, FailOpen: 50,
				Removals: policy.Rate{N: 1, Per: 10 * time.Second}, Restores: policy.Rate{N: 1, Per: time.Second},
				WarmUp: time.Minute, WarmUpProbes: 5, Hold: 30 * time.Second, Evidence: policy.EvidenceProbe,
				ReturnPasses: 3, ReturnOver: 15 * time.Second, Yield: 30 * time.Minute,
			},
		},
		Fleet: policy.FleetConfig{
			RemovalsGlobal: policy.Fraction{Percent: 1, Per: time.Minute, Least: 2},
			StormPercent:   3, StormCount: 10, StormWindow: 10 * time.Minute, StormCalm: 1,
			Abstain: time.Second, StaleAfter: time.Hour, ThawPercent: 95, ThawFor: 5 * time.Minute,
			MassTargets: 5, MassHosts: 3, MassServices: 3, MassPercent: 20, MassLeast: 20, MassWindow: 30 * time.Second,
		},
		Vantage: quorum.Vantage{Checker: "a", Zone: "a"}, Quorum: quorum.Rule{Kind: quorum.Majority, Count: 1},
		Pace: lever.Pace{Poll: 370 * time.Millisecond}.WithDefaults(), Poll: 10 * time.Second,
	}
}

// run starts the controller with its configuration and what is in the journal.
func (r *rig) run(entries ...lever.Entry) {
	ctx, cancel := context.WithCancel(context.Background())
	r.runIn(ctx, entries...)
	r.cancel = cancel
}

func (r *rig) runIn(ctx context.Context, entries ...lever.Entry) {
	r.stopped, r.cancel = make(chan struct{}), func() {}
	go func() {
		defer close(r.stopped)
		err := r.ctl.Run(ctx, warden.Configured{Config: settings()}, warden.Loaded{Entries: entries})
		if err != nil {
			r.t.Errorf("Run: %v", err)
		}
		r.endedAt = time.Now()
	}()
	synctest.Wait()
}

// end stops the controller, if it runs, and waits for its end.
func (r *rig) end() {
	if r.stopped == nil {
		return
	}
	r.cancel()
	<-r.stopped
}

// shop is the service that all instances of the tests are of.
var shop = health.Service{ID: "srv-shop", Name: "web", Namespace: "shop"}

// entry is an open line of the journal about instance n of the shop.
func entry(n int, phase lever.Phase) lever.Entry {
	id := "web-" + strconv.Itoa(n)
	attrs := health.AttributesOf(map[string]string{health.AttrIPv4: "10.0.0." + strconv.Itoa(n+1), health.AttrPort: "80"})
	return lever.Entry{
		ID: "mw-" + id, Version: 1, Kind: lever.Quarantine, Phase: phase, Service: shop, Instance: id, Attributes: attrs,
		Incarnation: health.Incarnation{Service: shop.ID, Instance: id, Addr: netip.AddrFrom4([4]byte{10, 0, 0, byte(n + 1)}), Port: 80},
		Operation:   "op-" + id,
	}
}

// prober is told what to probe.
type prober struct {
	mu      sync.Mutex
	watched []health.Target
}

func (p *prober) Watch(t health.Target, _ health.Instant) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.watched = append(p.watched, t)
}

func (p *prober) Unwatch(health.Handle) {}

func (p *prober) Reschedule(health.Handle, health.Instant) {}

// levers is the actuator: it notes the calls, and does what the test wants.
type levers struct {
	mu      sync.Mutex
	do      func(context.Context, lever.Call) lever.Result
	calls   []made
	running map[string]bool // by instance
	overlap bool
}

// made is a call, and when it was made.
type made struct {
	lever.Call
	at time.Time
}

func (l *levers) Do(ctx context.Context, c lever.Call) lever.Result {
	l.mu.Lock()
	l.calls = append(l.calls, made{c, time.Now()})
	if l.running == nil {
		l.running = map[string]bool{}
	}
	l.overlap = l.overlap || l.running[c.Instance]
	l.running[c.Instance] = true
	do := l.do
	l.mu.Unlock()
	res := do(ctx, c)
	l.mu.Lock()
	l.running[c.Instance] = false
	l.mu.Unlock()
	return res
}

func (l *levers) made() []made {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]made(nil), l.calls...)
}

// obliging answers as a registry without instances, and a journal that stores
// everything, do.
func obliging(_ context.Context, c lever.Call) lever.Result {
	res := lever.Result{Op: c.Op}
	switch c.Op {
	case lever.PutEntry, lever.UpdateEntry, lever.CloseEntry:
		res.Entry = c.Entry
		res.Entry.Version++
	case lever.PollOperation:
		res.OperationStatus = lever.OperationSuccess
	case lever.ReadInstance:
		res.Fault = lever.NotFound
	}
	return res
}

// keeper stores, or does what the test wants.
type keeper struct {
	mu       sync.Mutex
	hinder   func(context.Context) error
	batches  [][]warden.Record
	lessons  []warden.Memory
	attempts int
}

func (k *keeper) Append(ctx context.Context, records []warden.Record) error {
	if err := k.hindered(ctx); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.batches = append(k.batches, records)
	return nil
}

func (k *keeper) Learn(ctx context.Context, m warden.Memory) error {
	if err := k.hindered(ctx); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.lessons = append(k.lessons, m)
	return nil
}

func (k *keeper) hindered(ctx context.Context) error {
	k.mu.Lock()
	k.attempts++
	hinder := k.hinder
	k.mu.Unlock()
	if hinder == nil {
		return nil
	}
	return hinder(ctx)
}

func (k *keeper) stored() (all []warden.Record, batches int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, b := range k.batches {
		all = append(all, b...)
	}
	return all, len(k.batches)
}

// lines is a log that remembers.
type lines struct {
	mu   sync.Mutex
	said []line
}

type line struct {
	level slog.Level
	msg   string
	attrs map[string]string
}

func (l *lines) Enabled(context.Context, slog.Level) bool { return true }
func (l *lines) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *lines) WithGroup(string) slog.Handler            { return l }

func (l *lines) Handle(_ context.Context, r slog.Record) error {
	x := line{r.Level, r.Message, map[string]string{}}
	r.Attrs(func(a slog.Attr) bool { x.attrs[a.Key] = a.Value.String(); return true })
	l.mu.Lock()
	defer l.mu.Unlock()
	l.said = append(l.said, x)
	return nil
}

// with are the lines with a message.
func (l *lines) with(msg string) (out []line) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, x := range l.said {
		if x.msg == msg {
			out = append(out, x)
		}
	}
	return out
}
