package web

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/mapwarden/mapwarden/internal/policy"
	"github.com/mapwarden/mapwarden/internal/warden"
)

// DrainRequest is the body of POST /api/v1/drain.
type DrainRequest struct {
	Service  string `json:"service"` // id, or "namespace/name"
	Instance string `json:"instance"`
	For      string `json:"for,omitempty"` // a Go duration; 1h where left out, at most 72h
	Note     string `json:"note,omitempty"`
	By       string `json:"by,omitempty"`
}

// UndrainRequest is the body of POST /api/v1/undrain.
type UndrainRequest struct {
	Service  string `json:"service"`
	Instance string `json:"instance"`
	By       string `json:"by,omitempty"`
}

// drainCommand refuses what would not be done, so that nobody waits for it.
func (s *Server) drainCommand(_ http.ResponseWriter, r *http.Request, b DrainRequest) (warden.Event, Accepted, error) {
	by, err := author(r, b.By)
	if err != nil {
		return nil, Accepted{}, err
	}
	e := warden.Drain{Service: b.Service, Instance: b.Instance, By: by, Note: strings.TrimSpace(b.Note)}
	if len(e.Note) > maxNote {
		return nil, Accepted{}, mistake(fmt.Sprintf("note is longer than %d bytes", maxNote), "")
	}
	if b.For != "" {
		e.For, err = time.ParseDuration(b.For)
		if err != nil || e.For < time.Second || e.For > maxFreeze {
			return nil, Accepted{}, mistake(fmt.Sprintf("for: %q is not a duration from 1s to 72h", clip(b.For)), `such as "90m"; a drain can be renewed before it ends`)
		}
	}
	page, err := s.member(b.Service, b.Instance)
	if err != nil {
		return nil, Accepted{}, err
	}
	switch {
	case page.Mode != policy.ModeEnforce:
		return nil, Accepted{}, &badRequest{http.StatusConflict, fmt.Sprintf("%s is in mode %s, where nothing is taken out", page.Service, page.Mode), "set its mode to enforce and reload first"}
	case page.NoLever != policy.NoReason:
		return nil, Accepted{}, &badRequest{http.StatusConflict, fmt.Sprintf("there is no way to take an instance of %s out: %s", page.Service, Explain(page.NoLever)), ""}
	}
	return e, Accepted{Accepted: "drain", By: by}, nil
}

func (s *Server) undrainCommand(_ http.ResponseWriter, r *http.Request, b UndrainRequest) (warden.Event, Accepted, error) {
	by, err := author(r, b.By)
	if err == nil {
		_, err = s.member(b.Service, b.Instance)
	}
	return warden.Undrain{Service: b.Service, Instance: b.Instance, By: by}, Accepted{Accepted: "undrain", By: by}, err
}

// member is the page of an instance's service.
func (s *Server) member(service, instance string) (*warden.ServicePage, error) {
	if service == "" || instance == "" {
		return nil, mistake("name a service and an instance", `{"service": "NAMESPACE/SERVICE", "instance": "ID"}`)
	}
	for _, p := range s.opts.Mind.Snapshot().Services {
		if service != p.Service.ID && service != p.Service.String() {
			continue
		}
		for _, l := range p.Instances {
			if l.ID == instance {
				return p, nil
			}
		}
	}
	return nil, &badRequest{http.StatusNotFound, fmt.Sprintf("no instance %q in %q", clip(instance), clip(service)),
		"GET /api/v1/instances?service=NAMESPACE/SERVICE lists them"}
}
