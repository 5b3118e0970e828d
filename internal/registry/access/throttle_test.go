package access

import (
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	sd "github.com/aws/aws-sdk-go-v2/service/servicediscovery"
)

// operations are those of the service, as AWS's SDK has them.
func operations() (names []string) {
	client := reflect.TypeFor[*sd.Client]()
	for i := range client.NumMethod() {
		if m := client.Method(i); m.Type.NumIn() == 4 && m.Type.NumOut() == 2 { // receiver, ctx, input, options
			names = append(names, m.Name)
		}
	}
	return names
}

// TestEveryOperationHasAPace: none of the service's operations is forgotten,
// and there are no others.
func TestEveryOperationHasAPace(t *testing.T) {
	names := operations()
	for _, name := range names {
		if _, ok := awsPaces[name]; !ok {
			t.Errorf("%s has no pace", name)
		}
	}
	if len(names) != 30 || len(awsPaces) != len(names) {
		t.Errorf("%d paces for %d operations", len(awsPaces), len(names))
	}
}

// TestThrottle calls as fast as it can, then rests, then calls again.
func TestThrottle(t *testing.T) {
	const more = 20 // than are let through
	for _, tt := range []struct {
		spec, operation  string
		atOnce, after10s int // calls that are let through
		code             string
	}{
		{"aws", "DiscoverInstances", 2000, 2000, "RequestLimitExceeded"},
		{"aws", "DiscoverInstancesRevision", 3000, 3000, "RequestLimitExceeded"},
		{"aws", "RegisterInstance", 100, 100, "ThrottlingException"},
		{"aws", "ListNamespaces", 5, 5, "ThrottlingException"},
		{"aws", "CreateHttpNamespace", 5, 5, "ThrottlingException"},
		{"aws,ListNamespaces=0.5/20", "ListNamespaces", 20, 5, "ThrottlingException"},
		{"ListServices=3", "ListServices", 3, 3, "ThrottlingException"},
		{"ListServices=0.1", "ListServices", 1, 1, "ThrottlingException"},
		{"ListServices=3", "RegisterInstance", 300, 300, ""},
		{"aws", "Explode", 300, 300, ""},
	} {
		t.Run(tt.spec+" "+tt.operation, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				throttle, err := ParseThrottle(tt.spec)
				if err != nil {
					t.Fatal(err)
				}
				served := 0
				handler := New(Options{Throttle: throttle}, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served++ }))
				for _, want := range []int{tt.atOnce, tt.after10s} {
					served = 0
					for range want + more {
						w := httptest.NewRecorder()
						handler.ServeHTTP(w, apiCall(tt.operation, "{}"))
						if w.Code != 200 {
							answers(t, w, tt.code, "Rate exceeded")
						}
					}
					if tt.code == "" {
						want += more // there is no limit
					}
					if served != want {
						t.Errorf("%d calls came through, want %d", served, want)
					}
					time.Sleep(10 * time.Second)
				}
			})
		})
	}
}

func TestThrottleSpecs(t *testing.T) {
	for spec, says := range map[string]string{
		"": "neither aws", "azure": "neither aws", "aws,": "neither aws", "List=1": "there are CreateHttpNamespace, ",
		"ListServices=": "no rate", "ListServices=0": "no rate", "ListServices=-1": "no rate", "ListServices=NaN": "no rate", "ListServices=1e9": "no rate",
		"ListServices=1/0": "no burst", "ListServices=1/x": "no burst", "ListServices=1/2/3": "no burst",
	} {
		if _, err := ParseThrottle(spec); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want %q", spec, err, says)
		}
	}
}

// TestThrottleAfterTheKey: who has no key spends nothing of those who have.
func TestThrottleAfterTheKey(t *testing.T) {
	throttle, err := ParseThrottle("ListServices=0.001/1")
	if err != nil {
		t.Fatal(err)
	}
	handler := guarded(t)
	handler.(*door).opts.Throttle = throttle
	send := func(signed bool) *httptest.ResponseRecorder {
		r := apiCall("ListServices", "{}")
		if signed {
			sign(r, "{}")
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, overTheWire(t, r))
		return w
	}
	for range 3 {
		answers(t, send(false), "MissingAuthenticationTokenException", "")
	}
	answers(t, send(true), "", "")
	answers(t, send(true), "ThrottlingException", "Rate exceeded")
}
