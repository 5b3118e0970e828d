package access

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// TestRefusedCallsAreLogged: who is refused stands in the log with key and
// address, and without anything that helps to sign.
func TestRefusedCallsAreLogged(t *testing.T) {
	secret := strings.Repeat("s3cr3t+/", 5)
	for _, tt := range []struct {
		name   string
		key    string // signs; "" is nobody
		secret string
		logged string // "" is nothing
	}{
		{"good", testKey.ID, testKey.Secret, ""},
		{"no signature", "", "", `code=MissingAuthenticationTokenException operation=RegisterInstance key="" from=192.0.2.1:1234 untold=0`},
		{"a wrong secret", testKey.ID, "x", "code=InvalidSignatureException operation=RegisterInstance key=" + testKey.ID},
		{"an unknown key", "AKIAIOSFODNN7EXAMPLE", "x", "code=UnrecognizedClientException operation=RegisterInstance key=AKIAIOSFODNN7EXAMPLE"},
		{"id and secret exchanged", strings.ReplaceAll(secret, "/", "."), "AKIAIOSFODNN7EXAMPLE", `key="too long"`},
		{"read-only, a write", "AKMWREADSREADSREADSR", testKey.Secret, "code=AccessDeniedException operation=RegisterInstance key=AKMWREADSREADSREADSR"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var log bytes.Buffer
			handler, signature := loggedDoor(t, &log), "none"
			r := apiCall("RegisterInstance", "{}")
			if tt.key != "" {
				sign(r, "{}", func(k *aws.Credentials, _, _ *string, _ *time.Time) {
					k.AccessKeyID, k.SecretAccessKey = tt.key, tt.secret
				})
				_, signature, _ = strings.Cut(r.Header.Get("Authorization"), "Signature=")
			}
			got := overTheWire(t, r)
			got.RemoteAddr = "192.0.2.1:1234"
			handler.ServeHTTP(httptest.NewRecorder(), got)
			text := log.String()
			if (text == "") != (tt.logged == "") || !strings.Contains(text, tt.logged) {
				t.Errorf("logged %q, want %q", text, tt.logged)
			}
			for _, hidden := range []string{signature, "s3cr3t", testKey.Secret} {
				if strings.Contains(text, hidden) {
					t.Errorf("%q stands in the log: %s", hidden, text)
				}
			}
		})
	}
}

// TestRefusalsDoNotFillADisk: one line at once, then one for all in ten seconds.
func TestRefusalsDoNotFillADisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		handler := loggedDoor(t, &log)
		for round, untold := range []int{0, 999, 999} {
			for range 1000 {
				handler.ServeHTTP(httptest.NewRecorder(), overTheWire(t, apiCall("ListServices", "{}")))
			}
			if lines := strings.Count(log.String(), "\n"); lines != round+1 || !strings.Contains(log.String(), fmt.Sprintf("untold=%d\n", untold)) {
				t.Errorf("round %d: %d lines: %s", round, lines, &log)
			}
			time.Sleep(refusalsEvery)
		}
	})
}

// loggedDoor is a guarded door that writes its log to where.
func loggedDoor(t *testing.T, where *bytes.Buffer) http.Handler {
	t.Helper()
	opts := guarded(t).(*door).opts
	opts.Log = slog.New(slog.NewTextHandler(where, nil))
	return New(opts, http.NotFoundHandler())
}
