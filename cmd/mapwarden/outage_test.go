package main

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mapwarden/mapwarden/internal/cloudmap"
	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/warden"
	"github.com/mapwarden/mapwarden/internal/web"
)

// client is a registry client of the tests' own, through the real SDK and
// beside the daemon's wire.
func (f *fleet) client() *cloudmap.Reader {
	f.t.Helper()
	direct := httptest.NewServer(f.wire.registry)
	f.t.Cleanup(direct.Close)
	c, err := cloudmap.New(f.t.Context(), cloudmap.Config{URL: direct.URL, LoopbackOnly: true})
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { c.Close() })
	return c.NewReader("")
}

// listed are the instances of ListInstances and their attributes.
func (f *fleet) listed(c *cloudmap.Reader, service string) map[string]map[string]string {
	f.t.Helper()
	found, complete, err := c.ListInstances(f.t.Context(), warden.ServiceFound{Service: health.Service{ID: service}})
	if err != nil || !complete {
		f.t.Fatalf("list instances: complete %t, %v", complete, err)
	}
	out := map[string]map[string]string{}
	for _, i := range found {
		out[i.ID] = i.Attributes.Map()
	}
	return out
}

// discovered are the instances that a client is led to.
func (f *fleet) discovered(c *cloudmap.Reader, service string) map[string]bool {
	f.t.Helper()
	found, err := c.Discover(f.t.Context(), "shop", service, cloudmap.HealthyOrElseAll, 100)
	if err != nil {
		f.t.Fatal(err)
	}
	out := map[string]bool{}
	for _, i := range found {
		out[i.ID] = true
	}
	return out
}

// TestServiceWithoutHealthCheck: a server crashes, for real: nobody listens on
// its port any more. Its instance leaves ListInstances once it failed `fall`
// times and the hold has passed, and returns with every attribute as it was.
func TestServiceWithoutHealthCheck(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "api")
	c := f.client()
	d := f.start(t.TempDir(), fuse{})
	f.passing(d, 3)
	before := f.listed(c, f.plain)

	crash := time.Now()
	f.servers["api-0"].crash()
	f.until("the end of the instance's registration", func() bool { return f.listed(c, f.plain)["api-0"] == nil })
	took := time.Since(crash)
	t.Logf("out after %s: up to 300ms to the next probe, 3 failures 50ms apart, hold 200ms, a drill and a deregistration of %s each", took, operationDelay)
	if took < 200*time.Millisecond || took > 20*time.Second {
		t.Errorf("it left after %s", took)
	}
	if left := f.listed(c, f.plain); len(left) != 2 || !maps.Equal(left["api-1"], before["api-1"]) || !maps.Equal(left["api-2"], before["api-2"]) {
		t.Errorf("the others: %v", left)
	}
	if got := f.discovered(c, "api"); got["api-0"] || len(got) != 2 {
		t.Errorf("clients are led to %v", got)
	}

	f.servers["api-0"].restart(t)
	f.allWell(d)
	for id, attrs := range f.listed(c, f.plain) {
		if !maps.Equal(attrs, before[id]) {
			t.Errorf("%s came back with %v, it had %v", id, attrs, before[id])
		}
	}
	d.terminate()
}

// TestServiceWithCustomHealth: the instance stays registered, and no client is
// led to it while it fails.
func TestServiceWithCustomHealth(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "web")
	c := f.client()
	d := f.start(t.TempDir(), fuse{})
	f.passing(d, 3)
	before := f.listed(c, f.custom)

	f.servers["web-0"].crash()
	f.until("UNHEALTHY", func() bool { return f.status(f.custom, "web-0") == "UNHEALTHY" })
	if got := f.discovered(c, "web"); got["web-0"] || len(got) != 2 {
		t.Errorf("clients are led to %v", got)
	}
	if now := f.listed(c, f.custom); !maps.Equal(now["web-0"], before["web-0"]) {
		t.Errorf("the record changed from %v to %v", before["web-0"], now["web-0"])
	}

	f.servers["web-0"].restart(t)
	f.allWell(d)
	if got := f.discovered(c, "web"); len(got) != 3 {
		t.Errorf("clients are led to %v", got)
	}
	d.terminate()
}

// TestAllFailAtOnce: then it is not the instance. Nothing is removed, nor when
// the failure ends, and the reason stands wherever somebody may look.
func TestAllFailAtOnce(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "api", "web")
	d := f.start(t.TempDir(), fuse{})
	f.passing(d, 6)
	for _, s := range f.servers {
		s.does.Store(resets)
	}
	f.until("every instance to fail for long", func() bool {
		for id := range f.servers {
			e, ok := get[web.Explanation](d, "/api/v1/instances/"+f.serviceOf(id)+"/"+id+"/explain")
			if !ok || e.Fails < 15 {
				return false
			}
		}
		return true
	})
	f.untouched()

	explained := mapwarden(t, exitDone, "explain", "shop/api/api-0", "--addr", d.api.address)
	if !strings.Contains(explained, "WITHHOLDS") || !strings.Contains(explained, "fail-open") {
		t.Errorf("explain does not say fail-open:\n%s", explained)
	}
	if log := d.log.String(); !strings.Contains(log, "WITHHELD quarantine") || !strings.Contains(log, "reason=fail-open") {
		t.Error("the log does not say that it is withheld by fail-open")
	}
	for _, want := range []string{
		`mapwarden_withheld{reason="fail-open"} 6`, `mapwarden_services_past_line 2`,
		`mapwarden_decisions_total{action="remove",reason="fail-open"}`, `mapwarden_targets{state="failing"} 6`,
	} {
		if !strings.Contains(d.text("/metrics"), want) {
			t.Errorf("no %s in /metrics", want)
		}
	}
	services, ok := get[web.Services](d, "/api/v1/services")
	if !ok || len(services.Services) != 2 || !services.Services[0].PastLine || !services.Services[1].PastLine {
		t.Errorf("the page's API does not say that the services are past the line: %+v", services)
	}
	instances, ok := get[web.Instances](d, "/api/v1/instances?problems=true")
	for _, i := range instances.Instances {
		if i.Reason != "fail-open" || i.Standing == "out" {
			t.Errorf("%s is %s because of %q, want fail-open", i.Instance, i.Standing, i.Reason)
		}
	}
	if !ok || len(instances.Instances) != 6 {
		t.Errorf("%d instances are problems, want 6", len(instances.Instances))
	}

	for _, s := range f.servers {
		s.does.Store(serves)
	}
	f.passing(d, 6)
	d.terminate()
	f.untouched()
}

// untouched fails the test if anything was written to the registry.
func (f *fleet) untouched() {
	f.t.Helper()
	if calls := f.wire.written(); len(calls) > 0 {
		f.t.Errorf("written to the registry: %v", calls)
	}
	for id := range f.servers {
		if !f.serving(f.serviceOf(id), id) {
			f.t.Errorf("%s is out", id)
		}
	}
}

// TestBlindToTheRegistry: while the registry says nothing, or not all, nothing
// is removed, however much fails; and how old the picture is can be seen. When
// it speaks again, what still fails is taken out.
func TestBlindToTheRegistry(t *testing.T) {
	blindness := map[string]func(http.ResponseWriter, *http.Request, call, ask){
		"unreachable": func(http.ResponseWriter, *http.Request, call, ask) { cut() },
		"silent":      func(_ http.ResponseWriter, r *http.Request, _ call, _ ask) { <-r.Context().Done() },
		"throttled": func(w http.ResponseWriter, _ *http.Request, _ call, _ ask) {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"__type":"ThrottlingException","Message":"Rate exceeded"}`)
		},
		"partial": func(w http.ResponseWriter, _ *http.Request, c call, ask ask) {
			switch {
			case c.op != "ListInstances":
				pass(w, ask())
			case strings.Contains(c.body, "NextToken"):
				cut()
			default: // the first page, and no second one
				fmt.Fprint(w, `{"Instances":[],"NextToken":"more"}`)
			}
		},
	}
	for name, meddle := range blindness {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, "api")
			d := f.start(t.TempDir(), fuse{})
			f.passing(d, 3)
			f.wire.set(meddle)
			f.until("the picture to be stale", func() bool {
				services, ok := get[web.Services](d, "/api/v1/services")
				return ok && len(services.Services[0].Gates) > 0 && services.Services[0].Gates[0] == "stale"
			})
			f.servers["api-0"].does.Store(resets)
			f.failing(d, "api-0", 15)
			f.untouched()
			if fl, ok := get[web.Fleet](d, "/api/v1/fleet"); !ok || fl.StalenessSeconds < 0.6 {
				t.Errorf("the fleet is %.1f s old, want at least three polls of 0.2 s", fl.StalenessSeconds)
			}
			var age float64
			for line := range strings.Lines(d.text("/metrics")) {
				fmt.Sscanf(line, "mapwarden_registry_staleness_seconds %g", &age)
			}
			if age < 0.6 {
				t.Errorf("the metrics say that the picture is %.1f s old", age)
			}
			if !strings.Contains(d.text("/metrics"), `mapwarden_withheld{reason="stale"} 1`) {
				t.Error("the metrics do not say that a removal is withheld as stale")
			}

			f.wire.set(nil)
			f.until("the removal", func() bool { return !f.registered(f.plain, "api-0") })
			f.servers["api-0"].does.Store(serves)
			f.allWell(d)
		})
	}
}

// TestEmptyRegistry: an empty answer says that nothing is registered. That is
// no failure, and nothing is written; instances that appear again are targets
// again.
func TestEmptyRegistry(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "api")
	d := f.start(t.TempDir(), fuse{})
	f.passing(d, 3)
	for op, empty := range map[string]string{
		"ListInstances": `{"Instances":[]}`, "ListServices": `{"Services":[]}`, "ListNamespaces": `{"Namespaces":[]}`,
	} {
		asked := make(chan struct{}, 5)
		f.wire.set(func(w http.ResponseWriter, _ *http.Request, c call, ask ask) {
			if c.op != op {
				pass(w, ask())
				return
			}
			fmt.Fprint(w, empty)
			select {
			case asked <- struct{}{}:
			default:
			}
		})
		f.until("five empty answers to "+op, func() bool { return len(asked) == cap(asked) })
		f.untouched()
		f.wire.set(nil)
		f.passing(d, 3)
		f.untouched()
	}
}

// failing waits until an instance has failed so often in a row.
func (f *fleet) failing(d *process, id string, fails int) {
	f.t.Helper()
	f.until(id+" to fail", func() bool {
		e, ok := get[web.Explanation](d, "/api/v1/instances/"+f.serviceOf(id)+"/"+id+"/explain")
		return ok && e.Fails >= fails
	})
}

// TestClosedPath: a target that never passed and does not answer may be behind
// a firewall that is closed to us and open to its clients. It is NOT CHECKED,
// and never a failure, whether it was there before us or came later.
func TestClosedPath(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "api")
	before, later := closedPath(t), closedPath(t)
	f.register(f.plain, "api-before", before)
	d := f.start(t.TempDir(), fuse{})
	f.passing(d, 3)
	f.register(f.plain, "api-later", later)
	for _, id := range []string{"api-before", "api-later"} {
		var e web.Explanation
		probes := map[time.Time]bool{}
		f.until("six probes of "+id, func() bool {
			var ok bool
			e, ok = get[web.Explanation](d, "/api/v1/instances/"+f.plain+"/"+id+"/explain")
			if ok && e.LastProbe != nil {
				probes[*e.LastProbe] = true
				if e.Instance.Outcome != "indeterminate" {
					t.Errorf("%s: a probe says %s", id, e.Instance.Outcome)
				}
			}
			return len(probes) >= 6
		})
		if i := e.Instance; i.Standing != "in" || i.Cause != "path-unproven" || e.Fails != 0 {
			t.Errorf("%s is %s, cause %s, %d fails; want it in, path-unproven", id, i.Standing, i.Cause, e.Fails)
		}
		if text := mapwarden(t, exitDone, "explain", "shop/api/"+id, "--addr", d.api.address); !strings.Contains(text, "NOT CHECKED path-unproven") {
			t.Errorf("explain does not say NOT CHECKED:\n%s", text)
		}
	}
	if text := mapwarden(t, exitDone, "status", "--addr", d.api.address); !strings.Contains(text, "2 NOT CHECKED") {
		t.Errorf("status does not say NOT CHECKED:\n%s", text)
	}
	if text := d.text("/metrics"); !strings.Contains(text, `mapwarden_targets{state="indeterminate"} 2`) || !strings.Contains(text, `mapwarden_targets{state="failing"} 0`) {
		t.Error("the metrics do not count them as NOT CHECKED")
	}
	d.terminate()
	f.untouched()
}

// closedPath is a server that no packet reaches: its queue of connections is
// full, so that the system drops those that come.
func closedPath(t *testing.T) *server {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(name.(*syscall.SockaddrInet4).Port))
	for range 20 {
		conn, err := net.DialTimeout("tcp", addr.String(), 300*time.Millisecond)
		if err != nil {
			return &server{addr: addr}
		}
		t.Cleanup(func() { conn.Close() })
	}
	t.Fatal("the queue of connections does not fill")
	return nil
}

// mapwarden runs a command and returns what it prints.
func mapwarden(t *testing.T, want int, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	a := &app{in: strings.NewReader(""), out: &out, err: &errs}
	if code := a.main(context.Background(), args); code != want {
		t.Errorf("mapwarden %v ended with %d, want %d: %s", args, code, want, errs.String())
	}
	return out.String()
}
