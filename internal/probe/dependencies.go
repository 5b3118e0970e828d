package probe

import (
	"encoding/json"
	"io"
	"mime"
	"strings"
	"unicode"

	"github.com/mapwarden/mapwarden/internal/health"
)

const (
	maxDependencies   = 32
	maxDependencyName = 64 // bytes
)

// Dependencies reads what a deep endpoint says of the things that its target
// needs: docs/safety.md, "What a deep check may say". It is nil for anything
// that is not a whole JSON object with such a list. Entries without a printable
// name of at most 64 bytes, and those after the first 32, are passed over; what
// is neither true nor false is not known.
func Dependencies(body []byte) []health.Dependency {
	var said struct {
		Dependencies []struct {
			Name     string `json:"name"`
			Critical bool   `json:"critical"`
			OK       *bool  `json:"ok"`
		} `json:"dependencies"`
	}
	if json.Unmarshal(body, &said) != nil {
		return nil
	}
	var out []health.Dependency
	for _, d := range said.Dependencies[:min(len(said.Dependencies), maxDependencies)] {
		if d.Name == "" || len(d.Name) > maxDependencyName || strings.ContainsFunc(d.Name, func(r rune) bool { return !unicode.IsPrint(r) }) {
			continue
		}
		x := health.Dependency{Name: d.Name, Critical: d.Critical}
		switch {
		case d.OK == nil:
		case *d.OK:
			x.Outcome = health.Pass
		default:
			x.Outcome = health.Fail
		}
		out = append(out, x)
	}
	return out
}

// isJSON reports whether a body of that Content-Type is JSON.
func isJSON(contentType string) bool {
	kind, _, err := mime.ParseMediaType(contentType)
	return err == nil && (kind == "application/json" || strings.HasPrefix(kind, "application/") && strings.HasSuffix(kind, "+json"))
}

// listed reads what a target that fails needs from its body, and returns what
// is left of that.
func (a *attempt) listed(body io.Reader) io.Reader {
	said, err := io.ReadAll(io.LimitReader(body, maxBody))
	if err != nil {
		return nil
	}
	a.obs.Dependencies = Dependencies(said)
	return body
}
