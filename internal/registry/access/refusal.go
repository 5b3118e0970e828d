package access

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
)

// refusal is an answer of the door, in the shape that AWS's own front gives it:
// the code in __type and X-Amzn-ErrorType, and a message.
type refusal struct {
	status  int
	code    string
	message string
}

func refuse(code, format string, args ...any) *refusal {
	return &refusal{http.StatusBadRequest, code, fmt.Sprintf(format, args...)}
}

func unsigned() *refusal {
	return refuse("MissingAuthenticationTokenException", "Missing Authentication Token: this registry asks for signed requests; give the client a key (mapwarden registry keys add)")
}

func incomplete(format string, args ...any) *refusal {
	return refuse("IncompleteSignatureException", format, args...)
}

func stranger() *refusal {
	return refuse("UnrecognizedClientException", "The security token included in the request is invalid: this registry has no such access key")
}

func badSignature(format string, args ...any) *refusal {
	return refuse("InvalidSignatureException", format, args...)
}

func denied(account, user, operation string) *refusal {
	return refuse("AccessDeniedException",
		"User: arn:aws:iam::%s:user/%s is not authorized to perform: %s:%s because the access key is read-only",
		account, user, signedService, clip(operation))
}

func unavailable(message string) *refusal {
	return &refusal{http.StatusServiceUnavailable, "ServiceUnavailable", message}
}

func (f *refusal) write(w http.ResponseWriter) {
	body, _ := json.Marshal(map[string]string{"__type": f.code, "message": f.message}) // strings always encode
	h := w.Header()
	h.Set("Content-Type", "application/x-amz-json-1.1")
	h.Set("X-Amzn-ErrorType", f.code)
	h.Set("x-amzn-RequestId", requestID())
	w.WriteHeader(f.status)
	w.Write(body)
}

// requestID has the shape of a random UUID. It is a label, not a secret.
func requestID() string {
	a, b := rand.Uint64(), rand.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-%04x-%012x", a>>32, a>>16&0xffff, a&0xfff, b>>48&0x3fff|0x8000, b&0xffffffffffff)
}

// clip shortens what a client sent for use in a message.
func clip(s string) string {
	const most = 80
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
