package cloudmap

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/service/servicediscovery/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"pgregory.net/rapid"

	"github.com/mapwarden/mapwarden/internal/lever"
)

// answered is how the SDK returns an answer with an error code.
func answered(status int, err error) error {
	return &CallError{Op: "RegisterInstance", Sent: true, Err: &smithy.OperationError{
		ServiceID: "ServiceDiscovery", OperationName: "RegisterInstance",
		Err: &smithyhttp.ResponseError{Response: &smithyhttp.Response{Response: &http.Response{StatusCode: status}}, Err: err},
	}}
}

func code(c string) error { return &smithy.GenericAPIError{Code: c, Message: "said so"} }

func lost(sent bool, err error) error {
	return &CallError{Op: "DeregisterInstance", Sent: sent, Err: &url.Error{Op: "Post", URL: "http://127.0.0.1:1/", Err: err}}
}

func dial(err error) error { return &net.OpError{Op: "dial", Net: "tcp", Err: err} }
func read(err error) error { return &net.OpError{Op: "read", Net: "tcp", Err: err} }

func TestFaultOf(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		want lever.Fault
	}{
		{"nothing", nil, lever.OK},

		{"InstanceNotFound", answered(400, &types.InstanceNotFound{}), lever.NotFound},
		{"ServiceNotFound", answered(400, &types.ServiceNotFound{}), lever.NotFound},
		{"OperationNotFound", answered(400, &types.OperationNotFound{}), lever.NotFound},
		{"NamespaceNotFound", answered(400, &types.NamespaceNotFound{}), lever.NotFound},
		{"CustomHealthNotFound", answered(400, &types.CustomHealthNotFound{}), lever.NotCustom},
		{"DuplicateRequest", answered(400, &types.DuplicateRequest{}), lever.InFlight},
		{"InvalidInput", answered(400, &types.InvalidInput{}), lever.Invalid},
		{"TooManyTags", answered(400, &types.TooManyTagsException{}), lever.Invalid},
		{"RequestLimitExceeded", answered(400, &types.RequestLimitExceeded{}), lever.Throttled},
		{"ResourceInUse", answered(400, &types.ResourceInUse{}), lever.Failed},
		{"ResourceLimitExceeded", answered(400, &types.ResourceLimitExceeded{}), lever.Failed},
		{"ServiceAlreadyExists", answered(400, &types.ServiceAlreadyExists{}), lever.Failed},
		{"NamespaceAlreadyExists", answered(400, &types.NamespaceAlreadyExists{}), lever.Failed},
		{"a tag's resource", answered(400, &types.ResourceNotFoundException{}), lever.Failed},

		{"ThrottlingException", answered(400, code("ThrottlingException")), lever.Throttled},
		{"a throttle with 503", answered(503, code("RequestLimitExceeded")), lever.Throttled},
		{"AccessDenied", answered(400, code("AccessDeniedException")), lever.Denied},
		{"UnrecognizedClient", answered(400, code("UnrecognizedClientException")), lever.Denied},
		{"expired token", answered(400, code("ExpiredTokenException")), lever.Denied},
		{"bad signature", answered(403, code("InvalidSignatureException")), lever.Denied},
		{"ValidationException", answered(400, code("ValidationException")), lever.Invalid},
		{"unknown code", answered(400, code("SomethingNew")), lever.Ambiguous},
		{"no code at all", answered(404, code("UnknownError")), lever.Ambiguous},
		{"InternalFailure", answered(500, code("InternalFailure")), lever.Ambiguous},
		{"ServiceUnavailable", answered(503, code("ServiceUnavailable")), lever.Ambiguous},
		{"a server fault that claims NotFound", answered(500, &types.InstanceNotFound{}), lever.Ambiguous},
		{"a server fault that claims AccessDenied", answered(502, code("AccessDenied")), lever.Ambiguous},
		{"answer is no JSON", answered(200, &smithy.DeserializationError{Err: io.ErrUnexpectedEOF}), lever.Ambiguous},

		{"refused", lost(false, dial(syscall.ECONNREFUSED)), lever.Failed},
		{"no such host", lost(false, dial(&net.DNSError{IsNotFound: true})), lever.Failed},
		{"connect timeout", lost(false, dial(context.DeadlineExceeded)), lever.Failed},
		{"reset after sending", lost(true, read(syscall.ECONNRESET)), lever.Ambiguous},
		{"closed after sending", lost(true, io.EOF), lever.Ambiguous},
		{"deadline after sending", lost(true, context.DeadlineExceeded), lever.Ambiguous},
		{"cancelled after sending", lost(true, context.Canceled), lever.Ambiguous},
		{"deadline before a connection", lost(false, context.DeadlineExceeded), lever.Failed},
		{"a refused reconnect after a lost answer", lost(true, dial(syscall.ECONNREFUSED)), lever.Ambiguous},
		{"no credentials", &CallError{Op: "x", Err: errors.New("get identity: get credentials: none")}, lever.Failed},
		{"our pace", &CallError{Op: "x", Err: fmt.Errorf("%w: %w", errPaced, context.DeadlineExceeded)}, lever.Throttled},
		{"input refused by the SDK", &CallError{Op: "x", Err: smithy.InvalidParamsError{Context: "RegisterInstanceInput"}}, lever.Invalid},

		{"bare refused", dial(syscall.ECONNREFUSED), lever.Failed},
		{"bare reset", read(syscall.ECONNRESET), lever.Ambiguous},
		{"bare deadline", context.DeadlineExceeded, lever.Ambiguous},
		{"bare EOF", io.EOF, lever.Ambiguous},
		{"retry quota alone", ratelimit.QuotaExceededError{}, lever.Failed},
		{"retry quota beside a lost answer", errors.Join(read(syscall.ECONNRESET), ratelimit.QuotaExceededError{}), lever.Ambiguous},
		{"retry quota after a lost answer", &CallError{Op: "x", Sent: true, Err: ratelimit.QuotaExceededError{}}, lever.Ambiguous},
		{"anything else", errors.New("what?"), lever.Ambiguous},
	} {
		if got := FaultOf(c.err); got != c.want {
			t.Errorf("%s: FaultOf(%v) = %s, want %s", c.name, c.err, got, c.want)
		}
	}
}

// TestEveryModelledErrorHasAFault reads the SDK's own list of errors, so that
// an upgrade that brings a new one is noticed.
func TestEveryModelledErrorHasAFault(t *testing.T) {
	pkg, err := build.Import("github.com/aws/aws-sdk-go-v2/service/servicediscovery/types", ".", build.FindOnly)
	if err != nil {
		t.Fatal(err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(pkg.Dir, "errors.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var found int
	for _, d := range file.Decls {
		method, ok := d.(*ast.FuncDecl)
		if !ok || method.Name.Name != "ErrorCode" {
			continue
		}
		found++
		name := method.Recv.List[0].Type.(*ast.StarExpr).X.(*ast.Ident).Name
		if _, known := answers[name]; !known && !throttles[name] {
			t.Errorf("error %s of the SDK has no fault", name)
		}
	}
	if found < 15 {
		t.Errorf("found %d errors in the SDK, want at least 15: the test looks in the wrong place", found)
	}
}

// TestFaultIsTotalAndCareful: whatever comes, there is a fault, and one that
// says "surely not carried out" only for a known code of a refusal or where
// nothing was sent.
func TestFaultIsTotalAndCareful(t *testing.T) {
	codes := []string{"SomethingNew", "", "InternalFailure", "instancenotfound"}
	for c := range answers {
		codes = append(codes, c)
	}
	for c := range throttles {
		codes = append(codes, c)
	}
	rapid.Check(t, func(t *rapid.T) {
		sent := rapid.Bool().Draw(t, "sent")
		status := rapid.SampledFrom([]int{0, 200, 307, 400, 403, 404, 413, 500, 502, 503, 504}).Draw(t, "status")
		c := rapid.OneOf(rapid.SampledFrom(codes), rapid.String()).Draw(t, "code")
		var err error
		switch rapid.IntRange(0, 4).Draw(t, "shape") {
		case 0:
			err = answered(status, code(c))
		case 1:
			err = answered(status, &smithy.DeserializationError{Err: errors.New(c)})
		case 2:
			err = lost(sent, read(errors.New(c)))
		case 3:
			err = lost(sent, &aws.RequestCanceledError{Err: context.Canceled})
		case 4:
			err = errors.New(c)
		}
		for range rapid.IntRange(0, 3).Draw(t, "wraps") {
			err = fmt.Errorf("layer: %w", err)
		}
		got := FaultOf(err)
		if got == lever.OK || got > lever.Ambiguous {
			t.Fatalf("FaultOf(%v) = %d", err, got)
		}
		_, refusal := answers[c]
		known := refusal && status < 500 || throttles[c]
		var ce *CallError
		unsent := errors.As(err, &ce) && !ce.Sent
		if got != lever.Ambiguous && !known && !unsent {
			t.Fatalf("FaultOf(%v) = %s, and nothing proves that the call was not carried out", err, got)
		}
	})
}

func TestInTheWay(t *testing.T) {
	err := answered(400, &types.DuplicateRequest{DuplicateOperationId: aws.String("op-1")})
	if got := InTheWay(fmt.Errorf("deregister: %w", err)); got != "op-1" {
		t.Errorf("InTheWay = %q, want op-1", got)
	}
	for _, err := range []error{nil, io.EOF, answered(400, &types.DuplicateRequest{}), answered(400, &types.InvalidInput{})} {
		if got := InTheWay(err); got != "" {
			t.Errorf("InTheWay(%v) = %q, want nothing", err, got)
		}
	}
}

func TestCallErrorText(t *testing.T) {
	long := strings.Repeat("x", 2000)
	for _, c := range []struct {
		err  error
		want string
	}{
		{answered(400, &types.InvalidInput{Message: aws.String("no such attribute")}), "RegisterInstance: InvalidInput: no such attribute"},
		{lost(false, dial(syscall.ECONNREFUSED)), "DeregisterInstance: dial tcp: connection refused"},
		{lost(true, context.DeadlineExceeded), "DeregisterInstance: no answer in time"},
		{answered(400, code("X")), "RegisterInstance: X: said so"},
		{&CallError{Op: "GetInstance", Err: errors.New(long)}, "GetInstance: " + long[:500] + "…"},
		{fmt.Errorf("list: %w", answered(400, &smithy.GenericAPIError{Code: "X", Message: long})), "list: RegisterInstance: X: " + long[:500] + "…"},
	} {
		if got := c.err.Error(); got != c.want {
			t.Errorf("got  %q\nwant %q", got, c.want)
		}
	}
}
