package probe

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
)

// hearing is what is kept of an answer between two looks at it.
type hearing struct {
	begun int // bytes that were no whole head, with nothing odd about them
	runs  int // of net/http's reader
	next  int // bytes that it waits for
}

// maxGathered bounds the bytes that are kept of an answer.
const maxGathered = maxHead + maxBodyWire

// freeRuns is how often net/http's reader looks at an answer as it grows,
// before the answer has to have grown by a quarter each time: whoever sends it
// byte by byte shall not make the checker work by the square.
const freeRuns = 64

// hear judges an answer of which b has come so far; end says why no more will,
// nil if more may. It reports whether that decides the probe, and completes
// the observation if so. Rest is how many bytes more are worth to be waited
// for, for the target to close the connection in its own time.
//
// The usual answer is read in place. Any other is read as the portable engine
// does it, by net/http, over the bytes that have come.
func (a *attempt) hear(b []byte, end error, h *hearing) (rest int, decided bool) {
	if end == nil && h.begun > 0 && len(b) < maxHead && bytes.IndexByte(b[h.begun:], '\n') < 0 {
		h.begun = len(b)
		return 0, false
	}
	status, head, length, r := scanHead(b)
	h.begun = 0
	switch {
	case r == whole && a.mayList(status, b[:min(head, len(b))]): // net/http reads the list
	case r == whole && head <= maxHead:
		if rest, decided = a.hearUsual(b[head:], status, length); decided {
			return rest, true
		}
		if end == nil && a.usualBody(status) {
			return 0, false
		}
	case r == partial && end == nil && len(b) < maxHead:
		h.begun = len(b)
		return 0, false
	}
	if end == nil && h.runs >= freeRuns && len(b) < h.next && len(b) < maxGathered {
		return 0, false
	}
	h.runs++
	h.next = len(b) + len(b)/4
	return a.hearAll(b, end)
}

// hearUsual judges a response with a head that was read in place.
func (a *attempt) hearUsual(body []byte, status, length int) (rest int, decided bool) {
	if a.judgeStatus(status) {
		return maxBody, true
	}
	if !a.usualBody(status) {
		return 0, false
	}
	bound := maxBody
	if length >= 0 {
		bound = min(bound, length)
	}
	whole := len(body) >= bound
	if body = body[:min(len(body), bound)]; bytes.Contains(body, []byte(a.target.Check.Probe.Contains)) {
		a.found(status)
		return maxBody, true
	}
	if !whole {
		return 0, false
	}
	a.notFound(status, len(body))
	return 0, true
}

// mayList reports whether the body of an answer may say what its target needs:
// one that fails by its status, with a head that speaks of JSON.
func (a *attempt) mayList(status int, head []byte) bool {
	return !expected(a.target.Check.Probe.Status, status) && (bytes.Contains(head, []byte("json")) || bytes.Contains(head, []byte("JSON")))
}

// usualBody reports whether the body is what follows the head.
func (a *attempt) usualBody(status int) bool {
	return a.target.Check.Probe.Method != http.MethodHead && status != http.StatusNoContent && status != http.StatusNotModified
}

// hearAll has net/http read what has come.
func (a *attempt) hearAll(b []byte, end error) (rest int, decided bool) {
	before := a.obs
	stream := &received{b: b, end: end}
	in := a.p.answerFrom(stream, time.Now())
	defer in.free()
	a.phases = new(Phases)
	body := a.answer(in)
	switch {
	case stream.short:
		a.obs = before
		return 0, false
	case body == nil:
		return 0, true
	}
	return maxBody, true
}

// received is a stream of which a part has come.
type received struct {
	b     []byte
	end   error
	short bool // more was wanted than has come
}

var errShort = errors.New("more is to come")

func (r *received) Read(p []byte) (int, error) {
	if len(r.b) == 0 {
		if r.end != nil {
			return 0, r.end
		}
		r.short = true
		return 0, errShort
	}
	n := copy(p, r.b)
	r.b = r.b[n:]
	return n, nil
}

// judgeStatus completes the observation if the status alone decides.
func (a *attempt) judgeStatus(status int) bool {
	pr := &a.target.Check.Probe
	switch {
	case !expected(pr.Status, status):
		a.fail(health.BadStatus, "HTTP "+statusText(status))
	case !readsBody(pr):
		a.pass(passText(status))
	default:
		return false
	}
	return true
}

func (a *attempt) found(status int) {
	a.pass(passText(status) + ", the expected text is there")
}

func (a *attempt) notFound(status, bytes int) {
	a.fail(health.BadBody, fmt.Sprintf("HTTP %d, the expected text is not in the first %d bytes of the body", status, bytes))
}

// passText names a status that was expected; the commonest without allocation.
func passText(status int) string {
	switch status {
	case http.StatusOK:
		return "HTTP 200"
	case http.StatusNoContent:
		return "HTTP 204"
	}
	return "HTTP " + strconv.Itoa(status)
}
