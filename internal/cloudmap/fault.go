package cloudmap

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/service/servicediscovery/types"
	"github.com/aws/smithy-go"

	"github.com/mapwarden/mapwarden/internal/lever"
)

// errPaced says that the client's own pace did not let a call out in time.
var errPaced = errors.New("held back by our own pace")

// CallError is a call that failed.
type CallError struct {
	Op   string // the API operation
	Sent bool   // a connection was obtained: the request may have been carried out
	Err  error
}

// Error names the operation, and AWS's code and message where it answered.
func (e *CallError) Error() string {
	if api, ok := errors.AsType[smithy.APIError](e.Err); ok {
		return fmt.Sprintf("%s: %s: %s", e.Op, api.ErrorCode(), clip(api.ErrorMessage()))
	}
	if errors.Is(e.Err, context.DeadlineExceeded) {
		return e.Op + ": no answer in time"
	}
	return e.Op + ": " + clip(innermost(e.Err).Error())
}

func (e *CallError) Unwrap() error { return e.Err }

// innermost strips the layers that the SDK puts around a transport's error;
// they repeat the operation and an empty request id.
func innermost(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op
	}
	if d, ok := errors.AsType[*smithy.DeserializationError](err); ok {
		return d
	}
	if op, ok := errors.AsType[*smithy.OperationError](err); ok {
		return op.Err
	}
	return err
}

// clip bounds what a server may write into our logs and records.
func clip(s string) string {
	const most = 500
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// throttles are the codes with which AWS says "slow down". Cloud Map's model
// has RequestLimitExceeded on the discovery calls; the others answer with the
// unmodelled ThrottlingException. AWS's SDKs take the rest for throttles too.
var throttles = map[string]bool{
	"ThrottlingException": true, "Throttling": true, "ThrottledException": true,
	"RequestLimitExceeded": true, "RequestThrottled": true, "RequestThrottledException": true,
	"TooManyRequestsException": true, "SlowDown": true, "BandwidthLimitExceeded": true,
}

// answers are the codes of answers that AWS gives without having done
// anything: those of Cloud Map's model and those that all AWS services share
// (Cloud Map API reference, "Common Error Types"). A code that is not here
// tells nothing.
var answers = map[string]lever.Fault{
	"InstanceNotFound":  lever.NotFound,
	"ServiceNotFound":   lever.NotFound,
	"OperationNotFound": lever.NotFound,
	"NamespaceNotFound": lever.NotFound,

	"CustomHealthNotFound": lever.NotCustom,
	"DuplicateRequest":     lever.InFlight,

	"InvalidInput":                lever.Invalid,
	"ValidationException":         lever.Invalid,
	"ValidationError":             lever.Invalid,
	"SerializationException":      lever.Invalid,
	"InvalidAction":               lever.Invalid,
	"InvalidParameterValue":       lever.Invalid,
	"InvalidParameterCombination": lever.Invalid,
	"InvalidQueryParameter":       lever.Invalid,
	"MalformedQueryString":        lever.Invalid,
	"MissingAction":               lever.Invalid,
	"MissingParameter":            lever.Invalid,
	"UnknownOperationException":   lever.Invalid,
	"TooManyTagsException":        lever.Invalid,

	"AccessDenied":                        lever.Denied,
	"AccessDeniedException":               lever.Denied,
	"NotAuthorized":                       lever.Denied,
	"OptInRequired":                       lever.Denied,
	"ExpiredToken":                        lever.Denied,
	"ExpiredTokenException":               lever.Denied,
	"RequestExpired":                      lever.Denied,
	"RequestTimeTooSkewed":                lever.Denied,
	"UnrecognizedClientException":         lever.Denied,
	"InvalidClientTokenId":                lever.Denied,
	"InvalidSignatureException":           lever.Denied,
	"SignatureDoesNotMatch":               lever.Denied,
	"IncompleteSignature":                 lever.Denied,
	"IncompleteSignatureException":        lever.Denied,
	"MissingAuthenticationToken":          lever.Denied,
	"MissingAuthenticationTokenException": lever.Denied,

	"NamespaceAlreadyExists":                  lever.Failed,
	"ServiceAlreadyExists":                    lever.Failed,
	"ResourceInUse":                           lever.Failed,
	"ResourceLimitExceeded":                   lever.Failed,
	"ResourceNotFoundException":               lever.Failed,
	"ServiceAttributesLimitExceededException": lever.Failed,
}

// FaultOf says what an error of this package means for the call that returned
// it. It is total: what it does not know is Ambiguous, since the call may have
// been carried out. No answer with a server's status (5xx) is believed, except
// for a throttle.
func FaultOf(err error) lever.Fault {
	switch {
	case err == nil:
		return lever.OK
	case errors.Is(err, errPaced), isThrottle(err):
		return lever.Throttled
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		if f, known := answers[api.ErrorCode()]; known && statusOf(err) < 500 {
			return f
		}
		return lever.Ambiguous
	}
	if _, ok := errors.AsType[smithy.InvalidParamsError](err); ok {
		return lever.Invalid
	}
	if surelyUnsent(err) {
		return lever.Failed
	}
	return lever.Ambiguous
}

// surelyUnsent reports whether no byte of a request can have left.
func surelyUnsent(err error) bool {
	if c, ok := errors.AsType[*CallError](err); ok {
		return !c.Sent
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Op == "dial"
	}
	// Alone, the SDK's retry quota refuses before it sends; beside the error
	// of an attempt that was made it says nothing about that attempt.
	_, quota := err.(ratelimit.QuotaExceededError)
	return quota
}

func isThrottle(err error) bool {
	api, ok := errors.AsType[smithy.APIError](err)
	return ok && throttles[api.ErrorCode()]
}

// statusOf returns the HTTP status of the answer, or 0 where there was none.
func statusOf(err error) int {
	var answered interface{ HTTPStatusCode() int }
	if errors.As(err, &answered) {
		return answered.HTTPStatusCode()
	}
	return 0
}

// InTheWay returns the id of the operation that a DuplicateRequest names.
func InTheWay(err error) string {
	if d, ok := errors.AsType[*types.DuplicateRequest](err); ok && d.DuplicateOperationId != nil {
		return *d.DuplicateOperationId
	}
	return ""
}
