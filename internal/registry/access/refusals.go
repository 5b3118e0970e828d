package access

import (
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// refusalsEvery is how often, at most, a line of the log tells of refused calls:
// a client that tries all day must not fill a disk.
const refusalsEvery = 10 * time.Second

// longestID is that of any key id that AWS or we make. What is longer may be a
// secret that was put in its place.
const longestID = 32

// refusals tells the log who was refused. It may be used by many goroutines.
type refusals struct {
	log *slog.Logger

	mu     sync.Mutex
	next   time.Time // when the log may be told again
	untold int       // since the last line
}

// note logs a refused call, or counts it for a later line. It tells neither the
// signature nor the message, which holds what was signed.
func (s *refusals) note(r *http.Request, why *refusal) {
	now := time.Now()
	s.mu.Lock()
	if now.Before(s.next) {
		s.untold++
		s.mu.Unlock()
		return
	}
	untold := s.untold
	s.next, s.untold = now.Add(refusalsEvery), 0
	s.mu.Unlock()
	s.log.Warn("a call was refused", "code", why.code, "operation", clip(operationOf(r)), "key", claimedID(r), "from", r.RemoteAddr, "untold", untold)
}

// claimedID is the key id that a request names, if it can be shown.
func claimedID(r *http.Request) string {
	c, refused := parseClaim(r)
	switch {
	case refused != nil:
		return ""
	case len(c.id) > longestID:
		return "too long"
	}
	return c.id
}
