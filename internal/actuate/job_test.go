package actuate_test

import (
	"maps"
	"testing"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/lever"
)

// drive carries a job through to its end, over the wire and into the journal.
// Waiting costs nothing: the clock jumps to when the next call is due.
func (b *bench) drive(t *testing.T, job lever.Job, call lever.Call, now health.Instant) (lever.Job, health.Instant) {
	t.Helper()
	for range 200 {
		if call.Op == lever.Nothing {
			return job, now
		}
		now = max(now, call.At) + 1
		job, call = lever.Step(job, b.proxy.call(b.do, call), now)
	}
	t.Fatalf("the job does not end: %+v", job)
	return job, now
}

// open returns the journal's open entry for the bench's instance, if any.
func (b *bench) open(t *testing.T) (lever.Entry, bool) {
	t.Helper()
	entries, err := b.journal.List(t.Context())
	if err != nil || len(entries) > 1 {
		t.Fatalf("journal: %d entries, %v", len(entries), err)
	}
	if len(entries) == 0 {
		return lever.Entry{}, false
	}
	return entries[0], true
}

// TestJobsSurviveEveryTrick removes an instance and brings it back while the
// wire plays a trick on one call. However that went, the instance is never
// lost: it ends registered exactly as it was, and HEALTHY where it has a status.
func TestJobsSurviveEveryTrick(t *testing.T) {
	ops := map[lever.Kind][]string{
		lever.Quarantine:   {"GetInstance", "DeregisterInstance", "RegisterInstance", "GetOperation"},
		lever.CustomStatus: {"GetInstancesHealthStatus", "UpdateInstanceCustomHealthStatus"},
	}
	for kind, names := range ops {
		for _, op := range names {
			for trick := pass; trick <= denied; trick++ {
				for _, times := range []int{1, 3} {
					t.Run(kind.String()+"/"+op+"/"+trick.String(), func(t *testing.T) {
						t.Parallel()
						outAndIn(t, kind, op, trick, times)
					})
				}
			}
		}
	}
}

func outAndIn(t *testing.T, kind lever.Kind, op string, do trick, times int) {
	b := newBench(t)
	svc := b.plain
	if kind == lever.CustomStatus {
		svc = b.custom
	}
	addr, port := health.Endpoint(attributes)
	entry := lever.Entry{
		ID: "e1", Kind: kind, Service: svc, Instance: "i", Attributes: attributes,
		Incarnation: health.Incarnation{Service: svc.ID, Instance: "i", Addr: addr, Port: port},
	}
	isOut := func() bool {
		if kind == lever.CustomStatus {
			return b.unhealthy()
		}
		return b.attrs(svc) == nil
	}

	b.proxy.play(op, do, times)
	job, call := lever.Start(lever.ToOut, entry, lever.Pace{}, time.Now().UnixNano(), 1)
	job, now := b.drive(t, job, call, 1)
	stored, open := b.open(t)
	switch {
	case job.End == lever.Applied && (!isOut() || !open || stored.Phase != lever.Out):
		t.Fatalf("the job says it is out: out %v, journal %v %q", isOut(), open, stored.Phase)
	case job.End != lever.Applied && (isOut() || open):
		t.Fatalf("the job ended %s (%s): out %v, journal open %v %q", job.End, job.Note, isOut(), open, stored.Phase)
	}

	b.proxy.play(op, do, times)
	for range 5 {
		if stored, open = b.open(t); !open || stored.Phase == lever.Returned {
			break
		}
		job, call = lever.Start(lever.ToIn, stored, lever.Pace{}, time.Now().UnixNano(), now)
		job, now = b.drive(t, job, call, now)
	}
	if stored, open = b.open(t); open && stored.Phase != lever.Returned {
		t.Errorf("five returns later the journal says %q; the latest ended %s (%s)", stored.Phase, job.End, job.Note)
	}
	if got := b.attrs(svc); isOut() || !maps.Equal(got, attributes.Map()) {
		t.Errorf("back in: %v, attributes %v", !isOut(), got)
	}
}

// TestDrillChangesNothing: the record is written again as it was.
func TestDrillChangesNothing(t *testing.T) {
	b := newBench(t)
	addr, port := health.Endpoint(attributes)
	job, call := lever.Start(lever.ToProve, lever.Entry{
		ID: "d1", Kind: lever.Drill, Service: b.plain, Instance: "i", Attributes: attributes,
		Incarnation: health.Incarnation{Service: b.plain.ID, Instance: "i", Addr: addr, Port: port},
	}, lever.Pace{}, time.Now().UnixNano(), 1)
	before := b.reg.View(b.plain.ID).Instance("i").RegisteredBy
	job, _ = b.drive(t, job, call, 1)
	after := b.reg.View(b.plain.ID).Instance("i")
	if job.End != lever.Applied || after.RegisteredBy == before || !maps.Equal(after.Attributes.Map(), attributes.Map()) {
		t.Errorf("the drill ended %s (%s), registered by %s before and %s after", job.End, job.Note, before, after.RegisteredBy)
	}
	if _, open := b.open(t); open {
		t.Error("the drill left its entry open")
	}
}
