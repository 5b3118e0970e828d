package probe

import (
	"bytes"
	"net/http"
	"strings"

	"github.com/mapwarden/mapwarden/internal/health"
)

// Response headers in which a target speaks of itself. Envoy's own is honoured
// so that a proxy in front of the workload, told to fail its checks, needs
// nothing else.
const (
	headerEnvoyDrain = "X-Envoy-Immediate-Health-Check-Fail"
	headerStatus     = "Mapwarden-Status"
	headerService    = "Mapwarden-Service"
	headerInstance   = "Mapwarden-Instance"
	headerBoot       = "Mapwarden-Boot"

	statusDraining = "draining"
)

// isWord reports whether a header of that name may be one of these.
func isWord(name []byte) bool {
	const ours = "Mapwarden-"
	return len(name) == len(headerEnvoyDrain) && bytes.EqualFold(name, []byte(headerEnvoyDrain)) ||
		len(name) > len(ours) && bytes.EqualFold(name[:len(ours)], []byte(ours))
}

// drains reports whether the target says that it is about to stop.
func drains(h http.Header) bool {
	return len(h.Values(headerEnvoyDrain)) > 0 || strings.EqualFold(h.Get(headerStatus), statusDraining)
}

func identityOf(h http.Header) health.Identity {
	return health.Identity{
		Service: printable(h.Get(headerService)), Instance: printable(h.Get(headerInstance)), Boot: printable(h.Get(headerBoot)),
	}
}

// stranger says in what an identity contradicts the target, "" where it does
// not. A service may call itself by its id, its name or namespace/name. What
// either side does not know contradicts nothing.
func stranger(id health.Identity, t *health.Target) string {
	s := t.Service
	switch {
	case id.Service != "" && s.ID != "" && id.Service != s.ID &&
		!strings.EqualFold(id.Service, s.Name) && !strings.EqualFold(id.Service, s.String()):
		return "service " + id.Service
	case id.Instance != "" && t.Instance != "" && id.Instance != t.Instance:
		return "instance " + id.Instance
	}
	return ""
}
