package demo

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// registryStub notes what reaches it, and answers with it.
func registryStub(t *testing.T, heard chan<- string) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		heard <- r.Method + " " + r.URL.RequestURI() + " " + r.Header.Get("X-Amz-Target") + " " + string(body)
		w.Header().Set("X-Amzn-Requestid", "r-1")
		w.WriteHeader(http.StatusTeapot)
		io.WriteString(w, "heard "+string(body))
	}))
	t.Cleanup(s.Close)
	return s
}

// strungWire is a wire to a stub, running.
func strungWire(t *testing.T) (*wire, <-chan string) {
	t.Helper()
	heard := make(chan string, 100)
	w, err := newWire(registryStub(t, heard).URL)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	return w, heard
}

// send puts a call on the wire; the error is the connection's.
func (w *wire) send(t *testing.T, target, body string) (status int, answer string, err error) {
	t.Helper()
	req, err := http.NewRequestWithContext(within(t), http.MethodPost, w.url()+"/x?y=z", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Amz-Target", target)
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if id := resp.Header.Get("X-Amzn-Requestid"); id != "r-1" {
		t.Errorf("the answer's header was lost: %q", id)
	}
	return resp.StatusCode, string(text), err
}

const deregister = "Route53AutoNaming_v20170314.DeregisterInstance"

// TestWirePassesEverythingOn, both ways, unchanged: also the call for which a
// trap could be laid, and while one is laid for another instance.
func TestWirePassesEverythingOn(t *testing.T) {
	w, heard := strungWire(t)
	for _, trap := range []string{"", "web-9"} {
		if trap != "" {
			w.set(trap, func() { t.Error("the trap sprang") })
		}
		for _, c := range []struct{ target, body string }{
			{"Route53AutoNaming_v20170314.ListInstances", `{"ServiceId":"srv-1"}`},
			{"Route53AutoNaming_v20170314.RegisterInstance", `{"InstanceId":"web-9"}`},
			{deregister, `{"InstanceId":"web-1","ServiceId":"srv-1"}`},
			{deregister, `{"InstanceId":"web-90"}`},
			{deregister, `no JSON: web-9`},
			{deregister, ``},
			{"", strings.Repeat("long ", 100_000)},
		} {
			status, answer, err := w.send(t, c.target, c.body)
			if err != nil || status != http.StatusTeapot || answer != "heard "+c.body {
				t.Errorf("%s: %d, %.40q, %v", c.target, status, answer, err)
			}
			if got, want := <-heard, "POST /x?y=z "+c.target+" "+c.body; got != want {
				t.Errorf("the registry heard %.80q, want %.80q", got, want)
			}
		}
	}
}

// TestTrapSpringsOnce, before the registry hears; the caller gets no answer,
// and the next call goes through.
func TestTrapSpringsOnce(t *testing.T) {
	w, heard := strungWire(t)
	var sprung atomic.Int32
	w.set("web-4", func() {
		sprung.Add(1)
		if len(heard) > 0 {
			t.Error("the registry heard before the trap sprang")
		}
	})
	body := `{"ServiceId":"srv-1","InstanceId":"web-4"}`
	status, _, err := w.send(t, deregister, body)
	if err == nil {
		t.Errorf("the caller got an answer: %d", status)
	}
	if sprung.Load() != 1 || len(heard) != 0 {
		t.Fatalf("the trap sprang %d times, the registry heard %d calls; want 1 and 0", sprung.Load(), len(heard))
	}
	if status, _, err := w.send(t, deregister, body); err != nil || status != http.StatusTeapot {
		t.Errorf("the second call: %d, %v", status, err)
	}
	if sprung.Load() != 1 || len(heard) != 1 {
		t.Errorf("after the second call the trap sprang %d times, the registry heard %d calls; want 1 and 1", sprung.Load(), len(heard))
	}
}

// TestWireCountsDoubles: registrations of the held instance with no
// deregistration between; not those of others, nor those before the trap.
func TestWireCountsDoubles(t *testing.T) {
	const register = "Route53AutoNaming_v20170314.RegisterInstance"
	w, _ := strungWire(t)
	call := func(target, instance string, want int) {
		t.Helper()
		w.send(t, target, `{"InstanceId":"`+instance+`"}`)
		if got := w.doubles(); got != want {
			t.Errorf("after %s of %s: %d doubles, want %d", target, instance, got, want)
		}
	}
	call(register, "web-4", 0)
	call(register, "web-4", 0)
	w.set("web-4", func() {})
	call(register, "web-4", 0)
	call(deregister, "web-4", 0) // held
	call(deregister, "web-4", 0)
	call(register, "web-4", 0)
	call(register, "web-1", 0)
	call(register, "web-1", 0)
	call(deregister, "web-4", 0)
	call(register, "web-4", 0)
	w.set("", nil)
	call(register, "web-4", 1)
}

// TestTrapIsTakenAway: nothing springs any more.
func TestTrapIsTakenAway(t *testing.T) {
	w, heard := strungWire(t)
	w.set("web-4", func() { t.Error("the trap sprang") })
	w.set("", nil)
	for _, id := range []string{"web-4", ""} {
		if _, _, err := w.send(t, deregister, `{"InstanceId":"`+id+`"}`); err != nil {
			t.Error(err)
		}
		<-heard
	}
}

// TestTrapSpringsForOne: of many calls at once for the instance just one is held.
func TestTrapSpringsForOne(t *testing.T) {
	w, heard := strungWire(t)
	var sprung atomic.Int32
	w.set("web-4", func() { sprung.Add(1) })
	errs := make(chan error, 20)
	for range cap(errs) {
		go func() {
			_, _, err := w.send(t, deregister, `{"InstanceId":"web-4"}`)
			errs <- err
		}()
	}
	lost := 0
	for range cap(errs) {
		if <-errs != nil {
			lost++
		}
	}
	if sprung.Load() != 1 || lost != 1 || len(heard) != cap(errs)-1 {
		t.Errorf("sprang %d times, %d calls lost, %d heard", sprung.Load(), lost, len(heard))
	}
}

// TestWireEnds: with its context, and with it the port.
func TestWireEnds(t *testing.T) {
	w, err := newWire("http://127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := w.run(ctx); err != nil && !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("run: %v", err)
	}
	if _, _, err := w.send(t, "", ""); err == nil {
		t.Error("the wire still answers")
	}
	if _, err := newWire("http://[bad"); err == nil {
		t.Error("a URL that is none, and no error")
	}
}
