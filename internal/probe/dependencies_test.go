package probe

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/mapwarden/mapwarden/internal/health"
)

func TestDependencies(t *testing.T) {
	many := make([]string, 40)
	for i := range many {
		many[i] = fmt.Sprintf(`{"name": "d%d", "ok": true}`, i)
	}
	for name, c := range map[string]struct {
		body string
		want []health.Dependency
	}{
		"all there is": {`{"status": "down", "dependencies": [{"name": "db", "critical": true, "ok": false}, {"name": "cache", "ok": true}], "version": 3}`,
			[]health.Dependency{{Name: "db", Critical: true, Outcome: health.Fail}, {Name: "cache", Outcome: health.Pass}}},
		"not known":         {`{"dependencies": [{"name": "db", "critical": true}]}`, []health.Dependency{{Name: "db", Critical: true}}},
		"null":              {`{"dependencies": [{"name": "db", "ok": null}, null]}`, []health.Dependency{{Name: "db"}}},
		"none":              {`{"status": "ok", "dependencies": []}`, nil},
		"no list":           {`{"dependencies": {"db": true}}`, nil},
		"another type":      {`{"dependencies": [{"name": 7, "ok": true}]}`, nil},
		"an array":          {`[{"name": "db", "ok": false}]`, nil},
		"cut off":           {`{"dependencies": [{"name": "db", "critical": true, "ok": false}`, nil},
		"empty":             {``, nil},
		"no name":           {`{"dependencies": [{"ok": false}, {"name": "", "ok": false}]}`, nil},
		"a line in a name":  {`{"dependencies": [{"name": "d\nb", "ok": false}]}`, nil},
		"a name of 65":      {`{"dependencies": [{"name": "` + strings.Repeat("x", 65) + `", "ok": false}]}`, nil},
		"unprintable bytes": {"{\"dependencies\": [{\"name\": \"d\u202eb\", \"ok\": false}]}", nil},
	} {
		if got := Dependencies([]byte(c.body)); !slices.Equal(got, c.want) {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
	if got := Dependencies([]byte(`{"dependencies": [` + strings.Join(many, ",") + `]}`)); len(got) != 32 || got[31].Name != "d31" {
		t.Errorf("of 40: %d", len(got))
	}
	for kind, want := range map[string]bool{
		"application/json": true, "application/json; charset=utf-8": true, "application/health+json": true,
		"Application/JSON": true, "text/json": false, "text/html": false, "image/x+json": false, "": false, ";": false,
	} {
		if isJSON(kind) != want {
			t.Errorf("%q is JSON: %v, want %v", kind, !want, want)
		}
	}
}

// FuzzDependencies: whatever a target sends, what is taken of it is bounded and
// printable.
func FuzzDependencies(f *testing.F) {
	f.Add([]byte(`{"status": "down", "dependencies": [{"name": "db", "critical": true, "ok": false}]}`))
	f.Add([]byte(`{"dependencies": [null, {"name": "` + strings.Repeat("x", 70) + `"}]}`))
	f.Add([]byte(`{"Dependencies": [{"NAME": "\ud800", "ok": 1}]}`))
	f.Add([]byte(strings.Repeat("[", 5000)))
	f.Fuzz(func(t *testing.T, body []byte) {
		got := Dependencies(body)
		if len(got) > maxDependencies {
			t.Fatalf("%d dependencies", len(got))
		}
		for _, d := range got {
			if d.Name == "" || len(d.Name) > maxDependencyName || strings.ContainsFunc(d.Name, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Fatalf("a dependency is called %q", d.Name)
			}
		}
	})
}

// TestHTTPDependencies: of a target that fails by its status, a body that says
// what it needs is read where it is JSON and whole; it changes no verdict.
func TestHTTPDependencies(t *testing.T) {
	t.Parallel()
	const said = `{"status": "down", "dependencies": [{"name": "db", "critical": true, "ok": false}]}`
	const json = "Content-Type: application/json\r\n"
	db := []health.Dependency{{Name: "db", Critical: true, Outcome: health.Fail}}
	const down = "HTTP/1.1 503 Service Unavailable\r\n"
	get := health.Probe{Protocol: health.HTTP}
	whole := fmt.Sprintf("Content-Length: %d\r\n\r\n", len(said)) + said
	for name, c := range map[string]struct {
		serve func(net.Conn)
		probe health.Probe
		pass  bool
		want  []health.Dependency
	}{
		"and fails":        {says(down + json + whole), get, false, db},
		"and passes":       {says(okHead + json + whole), get, true, nil},
		"and stays open":   {saysAndStays(down + json + whole), get, false, db},
		"in chunks":        {says(down + json + "Transfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(said), said)), get, false, db},
		"in small pieces":  {drips(down+json+whole, time.Millisecond), get, false, db},
		"without the text": {says(okHead + json + whole), health.Probe{Protocol: health.HTTP, Contains: "needle"}, false, nil},
		"not as JSON":      {says(down + whole), get, false, nil},
		"cut off":          {says(down + json + "Content-Length: 500\r\n\r\n" + said), get, false, nil},
		"to HEAD":          {says(down + json + "Content-Length: 500\r\n\r\n"), health.Probe{Protocol: health.HTTP, Method: "HEAD"}, false, nil},
		"too much":         {says(down + json + "\r\n" + strings.Repeat(" ", maxBody) + said), get, false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			inBoth(t, func(t *testing.T, k kind) {
				o := k.ask(t, serveTCP(t, c.serve), c.probe, enough)
				if (o.Outcome == health.Pass) != c.pass || !slices.Equal(o.Dependencies, c.want) {
					t.Errorf("%s %s, %+v; want %+v", o.Outcome, o.Detail, o.Dependencies, c.want)
				}
			})
		})
	}
}
