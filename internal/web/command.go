package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/policy"
	"github.com/mapwarden/mapwarden/internal/warden"
)

// Bounds of a command.
const (
	maxBody   = 16 << 10
	maxNote   = 500
	maxBy     = 100
	maxFreeze = 72 * time.Hour
)

// badRequest is a mistake of whoever asked.
type badRequest struct {
	status     int
	what, hint string
}

func (b *badRequest) Error() string { return b.what }

func mistake(what, hint string) error { return &badRequest{http.StatusBadRequest, what, hint} }

// command reads a body of type B, lets propose make the event of it and hands that to the
// mind. propose may have answered itself: it returns a nil event then.
func command[B any](s *Server, propose func(http.ResponseWriter, *http.Request, B) (warden.Event, Accepted, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var body B
		err := decode(w, r, &body)
		var event warden.Event
		var accepted Accepted
		if err == nil {
			event, accepted, err = propose(w, r, body)
		}
		var bad *badRequest
		switch {
		case errors.As(err, &bad):
			refuse(w, bad.status, bad.what, bad.hint)
			return
		case event == nil:
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), askTimeout)
		defer cancel()
		if err := s.opts.Mind.Command(ctx, event); err != nil {
			s.unavailable(w, r, "the daemon did not take the command", err)
			return
		}
		s.opts.Log.Info("operator", "command", accepted.Accepted, "by", accepted.By)
		answer(w, accepted)
	}
}

// decode reads one JSON object and nothing after it. JSON is required so that
// no form of a foreign page can be mistaken for a command.
func decode(w http.ResponseWriter, r *http.Request, into any) error {
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/json" {
		return &badRequest{http.StatusUnsupportedMediaType, "the body must be JSON", "send Content-Type: application/json"}
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		var big *http.MaxBytesError
		if errors.As(err, &big) {
			return &badRequest{http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is longer than %d bytes", maxBody), ""}
		}
		if errors.Is(err, io.EOF) {
			return mistake("the body is empty", "send {} where there is nothing to say")
		}
		return mistake("the body is not what is expected: "+clip(err.Error()), "docs/api.md has the members of each command")
	}
	if d.More() {
		return mistake("the body holds more than one JSON value", "")
	}
	return nil
}

// author is who asks: in their own words, or the address they ask from.
func author(r *http.Request, by string) (string, error) {
	by = strings.TrimSpace(by)
	if len(by) > maxBy {
		return "", mistake(fmt.Sprintf("by is longer than %d bytes", maxBy), "")
	}
	if by != "" {
		return by, nil
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	return "operator API from " + host, nil
}

func freezeCommand(_ http.ResponseWriter, r *http.Request, b FreezeRequest) (warden.Event, Accepted, error) {
	by, err := author(r, b.By)
	if err != nil {
		return nil, Accepted{}, err
	}
	e := warden.Freeze{By: by, Note: strings.TrimSpace(b.Note), CancelPending: b.CancelPending}
	if len(e.Note) > maxNote {
		return nil, Accepted{}, mistake(fmt.Sprintf("note is longer than %d bytes", maxNote), "")
	}
	if b.For != "" {
		e.For, err = time.ParseDuration(b.For)
		if err != nil || e.For < time.Second || e.For > maxFreeze {
			return nil, Accepted{}, mistake(fmt.Sprintf("for: %q is not a duration from 1s to 72h", clip(b.For)), `such as "90m"; a freeze can be renewed before it ends`)
		}
	}
	return e, Accepted{Accepted: "freeze", By: by}, nil
}

func unfreezeCommand(_ http.ResponseWriter, r *http.Request, b ByRequest) (warden.Event, Accepted, error) {
	by, err := author(r, b.By)
	return warden.Unfreeze{By: by}, Accepted{Accepted: "unfreeze", By: by}, err
}

func releaseCommand(_ http.ResponseWriter, r *http.Request, b ByRequest) (warden.Event, Accepted, error) {
	by, err := author(r, b.By)
	return warden.Release{By: by}, Accepted{Accepted: "release", By: by}, err
}

// retireCommand refuses to begin what could not end: while something is out
// that nothing may bring back.
func (s *Server) retireCommand(w http.ResponseWriter, r *http.Request, b ByRequest) (warden.Event, Accepted, error) {
	by, err := author(r, b.By)
	if err == nil && s.opts.Journal != nil {
		entries, ok := s.entries(w, r)
		if !ok {
			return nil, Accepted{}, nil
		}
		err = stuck(s.opts.Mind.Snapshot(), entries)
	}
	return warden.Retire{By: by}, Accepted{Accepted: "retire", By: by}, err
}

// stuck says why entries that are out would not come back, or is nil.
func stuck(snap *warden.Snapshot, entries []lever.Entry) error {
	off := map[string]bool{}
	for _, p := range snap.Services {
		off[p.Service.ID] = p.Mode == policy.ModeOff
	}
	out, unwatched := 0, 0
	for _, e := range entries {
		if e.IsOut() {
			out++
			if off[e.Service.ID] {
				unwatched++
			}
		}
	}
	switch {
	case out > 0 && snap.Frozen != 0:
		return &badRequest{http.StatusConflict, fmt.Sprintf("%s out, and nothing is brought back: frozen until %s", are(out), time.Unix(0, snap.Frozen).UTC().Format(time.RFC3339)),
			"mapwarden unfreeze first"}
	case unwatched > 0:
		return &badRequest{http.StatusConflict, are(unwatched) + " out of services in mode off, where nothing is brought back",
			"set their mode to enforce and reload first"}
	}
	return nil
}

func are(n int) string {
	if n == 1 {
		return "1 instance is"
	}
	return fmt.Sprintf("%d instances are", n)
}

// restoreCommand refuses what is not in the journal, so that a typing error is
// not mistaken for a return that takes its time.
func (s *Server) restoreCommand(w http.ResponseWriter, r *http.Request, b RestoreRequest) (warden.Event, Accepted, error) {
	by, err := author(r, b.By)
	if err != nil {
		return nil, Accepted{}, err
	}
	one := b.Service != "" && b.Instance != ""
	if one == b.All || !one && (b.Service != "" || b.Instance != "") {
		return nil, Accepted{}, mistake("name a service and an instance, or all", `{"service": "NAMESPACE/SERVICE", "instance": "ID"} or {"all": true}`)
	}
	entries, ok := s.entries(w, r)
	if !ok {
		return nil, Accepted{}, nil
	}
	n := 0
	for _, e := range entries {
		named := e.Instance == b.Instance && (b.Service == e.Service.ID || b.Service == e.Service.String())
		if e.IsOut() && (b.All || named) {
			n++
		}
	}
	if one && n == 0 {
		return nil, Accepted{}, &badRequest{http.StatusNotFound,
			fmt.Sprintf("%q of %q is not out because of mapwarden", clip(b.Instance), clip(b.Service)), "GET /api/v1/quarantine lists what is"}
	}
	e := warden.RestoreAsked{Service: b.Service, Instance: b.Instance, All: b.All, By: by}
	return e, Accepted{Accepted: "restore", By: by, Entries: n}, nil
}
