package route53_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/route53"
)

// get asks the handler as somebody on this machine, unless edit says otherwise.
func get(h http.Handler, path string, edit ...func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.RemoteAddr, r.Host = "127.0.0.1:4711", "127.0.0.1:9751"
	for _, e := range edit {
		e(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestViews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, route53.Config{}, 3)
		r.set(r.register("a/b", 1), health.Fail)
		r.set(r.register("b", 2), health.Pass)
		h := r.checkers.Handler()
		read := func(path string) []route53.View {
			t.Helper()
			synctest.Wait()
			w := get(h, path)
			var out struct {
				Checks []route53.View `json:"checks"`
			}
			if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil || w.Code != http.StatusOK {
				t.Fatalf("%s: %d %v %s", path, w.Code, err, w.Body)
			}
			return out.Checks
		}
		time.Sleep(second / 5) // the second listing waits for its time
		if all := read("/route53"); len(all) != 2 || all[0].Verdict != "unknown" || all[0].Vantages[0].At != nil {
			t.Errorf("before the first look: %+v", all)
		}
		time.Sleep(59 * second) // each has looked once or twice
		if all := read("/route53/"); len(all) != 2 || all[0].Instance != "a/b" || all[1].Verdict != "healthy" {
			t.Errorf("all = %+v", all)
		}
		one := read("/route53/" + r.service + "/a/b")
		if len(one) != 1 || one[0].Verdict != "unknown" || one[0].Endpoint != "10.0.0.2:80" || one[0].Threshold != 3 || len(one[0].Vantages) != 3 {
			t.Fatalf("one = %+v", one)
		}
		for _, v := range one[0].Vantages {
			if v.Status != "unknown" || v.Against < 1 || v.Against > 2 || v.Last != "fail" || v.Cause != "status" || v.Detail != "HTTP 500" || v.At == nil {
				t.Errorf("vantage %+v", v)
			}
		}
		time.Sleep(33 * second)
		if v := read("/route53/" + r.service + "/a/b")[0]; v.Verdict != "unhealthy" || time.Since(v.Vantages[0].Since) > 33*second {
			t.Errorf("view %+v", v)
		}
		if w := get(h, "/route53/"+r.service+"/none"); w.Code != http.StatusNotFound {
			t.Errorf("an instance that is not there: %d", w.Code)
		}
	})
}

// TestViewsAreForThisMachine holds off other machines, and pages in a browser
// of this one.
func TestViewsAreForThisMachine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, route53.Config{}, 3)
		for name, tt := range map[string]struct {
			edit func(*http.Request)
			want int
		}{
			"here":         {func(*http.Request) {}, http.StatusOK},
			"localhost":    {func(r *http.Request) { r.Host = "localhost:9751" }, http.StatusOK},
			"ipv6":         {func(r *http.Request) { r.RemoteAddr, r.Host = "[::1]:4711", "[::1]:9751" }, http.StatusOK},
			"elsewhere":    {func(r *http.Request) { r.RemoteAddr = "10.0.0.7:4711" }, http.StatusForbidden},
			"another name": {func(r *http.Request) { r.Host = "evil.example:9751" }, http.StatusForbidden},
			"a page":       {func(r *http.Request) { r.Header.Set("Origin", "http://127.0.0.1:9751") }, http.StatusForbidden},
			"a post":       {func(r *http.Request) { r.Method = http.MethodPost }, http.StatusMethodNotAllowed},
		} {
			if w := get(r.checkers.Handler(), "/route53", tt.edit); w.Code != tt.want {
				t.Errorf("%s: %d, want %d", name, w.Code, tt.want)
			}
		}
	})
}
