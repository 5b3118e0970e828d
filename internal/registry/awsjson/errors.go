package awsjson

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/mapwarden/mapwarden/internal/registry"
)

// wireError is a refusal that the protocol makes, before the registry is asked.
type wireError struct {
	status  int
	code    string
	message string
}

func (e *wireError) Error() string { return e.code + ": " + e.message }

func unknownOperation(target string) error {
	if target == "" {
		return &wireError{http.StatusBadRequest, "UnknownOperationException", "the header X-Amz-Target is missing"}
	}
	return &wireError{http.StatusBadRequest, "UnknownOperationException", "this registry does not offer the operation " + clip(target)}
}

func malformed(message string) error {
	return &wireError{http.StatusBadRequest, "SerializationException", message}
}

// missing refuses a request in which a member is nil that the registry's own
// types cannot leave out.
func missing(member string) error {
	return &registry.Error{Code: registry.InvalidInput, Message: member + ": is required"}
}

// clip shortens what a client sent for use in a message.
func clip(s string) string {
	const most = 80
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

// writeError answers with an error: refusals with the code and the members of
// AWS, anything else as a failure of the server.
func writeError(w http.ResponseWriter, err error) {
	status, code := http.StatusInternalServerError, "InternalFailure"
	members := map[string]string{"Message": err.Error()}
	var refusal *registry.Error
	var protocol *wireError
	switch {
	case errors.As(err, &refusal):
		status, code = http.StatusBadRequest, string(refusal.Code)
		members["Message"] = refusal.Message
		for name, value := range refusal.Details {
			members[name] = value
		}
	case errors.As(err, &protocol):
		status, code = protocol.status, protocol.code
		members["Message"] = protocol.message
	}
	members["__type"] = code
	body, _ := json.Marshal(members) // a map of strings always encodes
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("X-Amzn-ErrorType", code)
	w.WriteHeader(status)
	w.Write(body)
}
