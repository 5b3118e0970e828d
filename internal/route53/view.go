package route53

import (
	"cmp"
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
)

// View is one instance as its checkers see it.
type View struct {
	Service   string        `json:"service"`
	Instance  string        `json:"instance"`
	Endpoint  string        `json:"endpoint"`
	Type      string        `json:"type"`
	Path      string        `json:"path,omitempty"`
	Threshold int           `json:"failure_threshold"`
	Verdict   string        `json:"verdict"` // of all vantages; the registry keeps its status while it is unknown
	Vantages  []VantageView `json:"vantages"`
}

// VantageView is what one vantage thinks, and what it saw last.
type VantageView struct {
	Vantage string     `json:"vantage"`
	Status  string     `json:"status"`
	Since   time.Time  `json:"since"`
	Against int        `json:"against,omitempty"` // results in a row that contradict the status
	Last    string     `json:"last,omitempty"`    // pass, fail or indeterminate
	Cause   string     `json:"cause,omitempty"`
	Detail  string     `json:"detail,omitempty"`
	At      *time.Time `json:"at,omitempty"`
}

// Views returns the instances under check, in order: all of them, or those of a
// service, or one.
func (c *Checkers) Views(service, instance string) []View {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := []View{}
	for _, w := range c.watches {
		if (service == "" || service == w.ServiceID) && (instance == "" || instance == w.InstanceID) {
			out = append(out, c.view(w))
		}
	}
	slices.SortFunc(out, func(a, b View) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Instance, b.Instance))
	})
	return out
}

func (c *Checkers) view(w *watch) View {
	view := View{
		Service: w.ServiceID, Instance: w.InstanceID, Endpoint: w.Endpoint.String(),
		Type: string(w.Check.Type), Path: w.Check.ResourcePath, Threshold: w.Check.FailureThreshold,
		Verdict: w.verdict().String(),
	}
	for i, v := range w.vantages {
		x := VantageView{Vantage: c.names[i], Status: v.opinion.status.String(), Since: v.since.UTC(), Against: v.opinion.run}
		if !v.lastAt.IsZero() {
			at := v.lastAt.UTC()
			x.At, x.Last, x.Detail = &at, v.last.Outcome.String(), v.last.Detail
			if v.last.Cause != health.NoCause {
				x.Cause = v.last.Cause.String()
			}
		}
		view.Vantages = append(view.Vantages, x)
	}
	return view
}

// PathPrefix is where Handler answers.
const PathPrefix = "/route53"

// Handler answers GET /route53, /route53/SERVICE-ID and
// /route53/SERVICE-ID/INSTANCE-ID with {"checks": […]}, to callers on this
// machine alone: the registry's own API has no such call, so its keys do not
// protect this one. A page that a browser was tricked into reading it by, with
// a name that leads here, is refused as well.
func (c *Checkers) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !fromHere(r):
			http.Error(w, "the health checks of this registry are shown on its own machine only", http.StatusForbidden)
			return
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "health checks are read with GET", http.StatusMethodNotAllowed)
			return
		}
		// Instance ids may have slashes.
		service, instance, _ := strings.Cut(strings.Trim(strings.TrimPrefix(r.URL.Path, PathPrefix), "/"), "/")
		checks := c.Views(service, instance)
		if service != "" && len(checks) == 0 {
			http.Error(w, "no such instance or service with a Route 53 health check", http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		enc.Encode(map[string][]View{"checks": checks}) // a client that has gone needs no answer
	})
}

// fromHere reports whether the caller is on this machine and meant it.
func fromHere(r *http.Request) bool {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	addr, notAddr := netip.ParseAddr(strings.Trim(host, "[]"))
	named := notAddr == nil && addr.IsLoopback() || host == "localhost"
	return err == nil && peer.Addr().Unmap().IsLoopback() && named && r.Header.Get("Origin") == ""
}
