package web

import (
	"fmt"
	"net/http"
	"time"

	"github.com/mapwarden/mapwarden/internal/warden"
)

// streamWrite bounds one write to a stream: a client that does not read is
// let go.
const streamWrite = 10 * time.Second

// stream is one client of the event stream, in the format of the HTML
// standard's server-sent events.
type stream struct {
	w   http.ResponseWriter
	ctl *http.ResponseController

	last  *warden.Snapshot
	pages map[string]*warden.ServicePage // by service id, as last sent
}

// events serves the stream: a snapshot event at once and whenever something
// changed, a record event for each record, and an alive event as a sign of life:
// scripts of a page cannot see comments.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	select {
	case s.streams <- struct{}{}:
		defer func() { <-s.streams }()
	default:
		w.Header().Set("Retry-After", "5")
		refuse(w, http.StatusServiceUnavailable, fmt.Sprintf("%d streams are open, more are not served", s.opts.MaxStreams), "ask GET /api/v1/fleet every few seconds instead")
		return
	}
	records, cancel := s.opts.Feed.Subscribe()
	defer cancel()

	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	c := &stream{w: w, ctl: http.NewResponseController(w), pages: map[string]*warden.ServicePage{}}
	if err := c.snapshot(s.opts.Mind.Snapshot(), s.opts.Build.Version); err != nil {
		return
	}
	refresh, heartbeat := time.NewTicker(s.opts.Refresh), time.NewTicker(s.opts.Heartbeat)
	defer refresh.Stop()
	defer heartbeat.Stop()
	for {
		var err error
		select {
		case <-r.Context().Done():
			return
		case record, ok := <-records:
			if !ok {
				return // fell behind: the client comes back and gets everything anew
			}
			err = c.event("record", RecordOf(record))
		case <-refresh.C:
			err = c.snapshot(s.opts.Mind.Snapshot(), s.opts.Build.Version)
		case <-heartbeat.C:
			err = c.event("alive", struct{}{})
		}
		if err != nil {
			return // the client has gone, or does not read
		}
	}
}

// snapshot sends what changed since the last one. Pages are shared between
// snapshots as long as they stay the same, so that comparing pointers is enough.
func (c *stream) snapshot(s *warden.Snapshot, version string) error {
	if s == c.last {
		return nil
	}
	change := Change{Fleet: fleetOf(s, version), Whole: c.last == nil, Services: []Service{}, Gone: []string{}}
	pages := make(map[string]*warden.ServicePage, len(s.Services))
	for _, p := range s.Services {
		pages[p.Service.ID] = p
		if c.pages[p.Service.ID] != p {
			change.Services = append(change.Services, serviceOf(p))
		}
	}
	if c.last != nil {
		for _, p := range c.last.Services {
			if pages[p.Service.ID] == nil {
				change.Gone = append(change.Gone, p.Service.ID)
			}
		}
	}
	c.last, c.pages = s, pages
	return c.event("snapshot", change)
}

// event writes one event. Its JSON has no line break, so it is one data line.
func (c *stream) event(name string, v any) error {
	body, err := encode(v)
	if err != nil {
		return err
	}
	out := make([]byte, 0, len(body)+len(name)+16)
	out = append(out, "event: "+name+"\ndata: "...)
	out = append(out, body...)
	return c.write(append(out, '\n'))
}

func (c *stream) write(b []byte) error {
	if err := c.ctl.SetWriteDeadline(time.Now().Add(streamWrite)); err != nil {
		return err
	}
	if _, err := c.w.Write(b); err != nil {
		return err
	}
	return c.ctl.Flush()
}
