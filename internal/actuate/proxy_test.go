package actuate_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/mapwarden/mapwarden/internal/actuate"
	"github.com/mapwarden/mapwarden/internal/lever"
)

// trick is what the proxy does to a call.
type trick int

const (
	pass         trick = iota
	beforeEffect       // the connection is cut before the registry is asked
	afterEffect        // the registry has carried it out, and the connection is cut
	halfAnswer         // carried out, and the connection is cut in the answer
	tooLate            // the caller gives up, and then the registry carries it out
	silence            // the caller gives up, and the registry is never asked
	throttled          // refused by the limits
	faultBefore        // a server fault, the registry was not asked
	faultAfter         // a server fault, the registry has carried it out
	garbage            // carried out, and the answer makes no sense
	denied             // no permission
)

func (t trick) String() string {
	return [...]string{"pass", "before effect", "after effect", "half answer", "too late", "silence", "throttled",
		"fault before", "fault after", "garbage", "denied"}[t]
}

// proxy stands between a client and a registry and plays its trick on calls of
// one operation. It plays it on so many calls, or on all where left is negative.
type proxy struct {
	*httptest.Server
	registry http.Handler

	mu     sync.Mutex
	op     string
	do     trick
	left   int
	hangUp func()    // makes the present caller give up
	active int       // calls being served, also for callers that have gone
	idle   sync.Cond // active has become 0
}

func newProxy(t *testing.T, registry http.Handler) *proxy {
	t.Helper()
	p := &proxy{registry: registry}
	p.idle.L = &p.mu
	p.Server = httptest.NewServer(p)
	t.Cleanup(p.Close)
	return p
}

// play sets the trick for the next calls of an operation; "" is any.
func (p *proxy) play(op string, do trick, times int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.op, p.do, p.left = op, do, times
}

func (p *proxy) next(op string) trick {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.left == 0 || p.op != "" && p.op != op {
		return pass
	}
	p.left--
	if p.do == tooLate || p.do == silence {
		p.hangUp()
	}
	return p.do
}

// call makes a call through the proxy. When it returns nothing of the call is
// under way any more, in the registry either.
func (p *proxy) call(do *actuate.Actuator, c lever.Call) lever.Result {
	ctx, hangUp := context.WithCancel(context.Background())
	defer hangUp()
	p.mu.Lock()
	p.hangUp = hangUp
	p.mu.Unlock()
	result := do.Do(ctx, c)
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.active > 0 {
		p.idle.Wait()
	}
	return result
}

// serving counts a call until the function it returns is called.
func (p *proxy) serving() (done func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.active++
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.active--; p.active == 0 {
			p.idle.Broadcast()
		}
	}
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer p.serving()()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the caller has gone
	}
	_, op, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	ask := func() *httptest.ResponseRecorder {
		answer := httptest.NewRecorder()
		again := r.Clone(r.Context())
		again.Body = io.NopCloser(bytes.NewReader(body))
		p.registry.ServeHTTP(answer, again)
		return answer
	}
	switch p.next(op) {
	case pass:
		copyAnswer(w, ask())
	case beforeEffect:
		cut(w)
	case afterEffect:
		ask()
		cut(w)
	case halfAnswer:
		answer := ask()
		w.Header().Set("Content-Length", "1000")
		w.WriteHeader(answer.Code)
		io.WriteString(w, `{"OperationId":"`)
		cut(w)
	case tooLate:
		<-r.Context().Done()
		ask()
	case silence:
		<-r.Context().Done()
	case throttled:
		refuse(w, 400, "ThrottlingException")
	case faultBefore:
		refuse(w, 500, "InternalFailure")
	case faultAfter:
		ask()
		refuse(w, 503, "ServiceUnavailable")
	case garbage:
		ask()
		io.WriteString(w, "<html>a proxy's welcome page</html>")
	case denied:
		refuse(w, 400, "AccessDeniedException")
	}
}

func copyAnswer(w http.ResponseWriter, answer *httptest.ResponseRecorder) {
	for k, v := range answer.Header() {
		w.Header()[k] = v
	}
	w.WriteHeader(answer.Code)
	w.Write(answer.Body.Bytes())
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.WriteHeader(status)
	io.WriteString(w, `{"__type":"`+code+`","Message":"said the proxy"}`)
}

// cut ends the connection without another byte.
func cut(http.ResponseWriter) { panic(http.ErrAbortHandler) }
