package probe

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
)

// The words of grpc.health.v1 (grpc/doc/health-checking.md) and of gRPC over
// HTTP/2 (grpc/doc/PROTOCOL-HTTP2.md).
const (
	healthPath  = "/grpc.health.v1.Health/Check"
	contentGRPC = "application/grpc"

	frameHead = 5 // a byte for compression, four for the length
)

// Serving statuses.
const (
	servingUnknown = iota
	serving
	notServing
	serviceUnknown
)

// grpc asks a server for the health of a service. Its own word decides:
// SERVING passes. A server that has no health service was asked the wrong
// question, which says nothing about it.
func (a *attempt) grpc() {
	pr := &a.target.Check.Probe
	host := pr.Host
	if host == "" {
		host = hostOf(a.addr, pr.Protocol)
	}
	if !isVisible(host) {
		a.cannotTell(health.NotProbeable, fmt.Sprintf("host %q cannot be sent", host))
		return
	}
	message := frame(healthRequest(pr.Service))
	a.exchange(&http.Request{
		Method: http.MethodPost,
		URL:    &url.URL{Scheme: schemeOf(pr), Host: host, Path: healthPath},
		Host:   host,
		Header: http.Header{
			"Content-Type": {contentGRPC + "+proto"},
			"Te":           {"trailers"},
			"Grpc-Timeout": {strconv.FormatInt(max(1, time.Until(a.deadline).Milliseconds()), 10) + "m"},
			"User-Agent":   {a.p.agent},
		},
		Body:          io.NopCloser(bytes.NewReader(message)),
		ContentLength: int64(len(message)),
	}, a.judgeHealth)
}

func (a *attempt) judgeHealth(resp *http.Response) {
	a.obs.Identity = identityOf(resp.Header)
	if who := stranger(a.obs.Identity, a.target); who != "" {
		a.fail(health.Stranger, "the answer comes from "+who)
		return
	}
	a.obs.Draining = drains(resp.Header)
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	code := resp.Header.Get("Grpc-Status") // an answer of trailers alone
	if code == "" {
		code = resp.Trailer.Get("Grpc-Status")
	}
	switch {
	case resp.StatusCode != http.StatusOK:
		a.fail(health.BadStatus, "HTTP "+statusText(resp.StatusCode))
	case !strings.HasPrefix(resp.Header.Get("Content-Type"), contentGRPC):
		a.fail(health.Malformed, "the answer is not gRPC")
	case err != nil:
		a.broke2("read the answer", err)
	case len(body) == maxBody:
		a.fail(health.Malformed, fmt.Sprintf("the answer is over %d bytes", maxBody))
	case code == "":
		a.fail(health.Malformed, "the answer ends without a gRPC status")
	case code != "0":
		a.judgeCode(code)
	default:
		a.judgeServing(body)
	}
}

// grpcCodes names the status codes (grpc/doc/statuscodes.md).
var grpcCodes = [...]string{
	"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
	"PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE",
	"UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
}

// judgeCode completes the observation where the call itself failed.
func (a *attempt) judgeCode(code string) {
	n, err := strconv.ParseUint(code, 10, 8)
	switch {
	case err != nil || n >= uint64(len(grpcCodes)):
		a.fail(health.Malformed, fmt.Sprintf("gRPC status %q", code))
	case grpcCodes[n] == "UNIMPLEMENTED":
		a.cannotTell(health.NotProbeable, "gRPC UNIMPLEMENTED: the server has no grpc.health.v1.Health")
	case grpcCodes[n] == "NOT_FOUND":
		a.fail(health.BadStatus, "gRPC NOT_FOUND: the server does not know the service")
	default:
		a.fail(health.BadStatus, "gRPC "+grpcCodes[n])
	}
}

// judgeServing completes the observation where the call went well.
func (a *attempt) judgeServing(body []byte) {
	status, err := healthResponse(body)
	switch {
	case err != nil:
		a.fail(health.Malformed, err.Error())
	case status == serving:
		a.pass("gRPC SERVING")
	case status == notServing:
		a.fail(health.BadStatus, "gRPC NOT_SERVING")
	case status == servingUnknown, status == serviceUnknown:
		a.fail(health.BadStatus, "gRPC "+[...]string{servingUnknown: "UNKNOWN", serviceUnknown: "SERVICE_UNKNOWN"}[status])
	default:
		a.fail(health.BadStatus, fmt.Sprintf("gRPC serving status %d", status))
	}
}

// healthRequest is a HealthCheckRequest: string service = 1.
func healthRequest(service string) []byte {
	if service == "" {
		return nil
	}
	b := binary.AppendUvarint([]byte{1<<3 | 2}, uint64(len(service)))
	return append(b, service...)
}

func frame(message []byte) []byte {
	b := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message)))
	return append(b, message...)
}

// healthResponse reads the one framed HealthCheckResponse: ServingStatus
// status = 1. Fields that it does not know are passed over, as in all of
// Protocol Buffers; of a field that comes twice the last counts.
func healthResponse(b []byte) (status int32, err error) {
	switch {
	case len(b) < frameHead || b[0] > 1:
		return 0, errors.New("the answer is no gRPC message")
	case b[0] == 1:
		return 0, errors.New("the answer is compressed, which nobody asked for")
	case uint64(binary.BigEndian.Uint32(b[1:])) != uint64(len(b)-frameHead):
		return 0, errors.New("the length of the gRPC message is wrong")
	}
	for b = b[frameHead:]; len(b) > 0; {
		tag, n := binary.Uvarint(b)
		if n <= 0 {
			return 0, errMessage
		}
		b = b[n:]
		v, n := uint64(0), 0
		switch tag & 7 {
		case 0:
			v, n = binary.Uvarint(b)
		case 1:
			n = 8
		case 2:
			if v, n = binary.Uvarint(b); n > 0 && v <= uint64(len(b)-n) {
				n += int(v)
			} else {
				n = 0
			}
		case 5:
			n = 4
		}
		if n <= 0 || n > len(b) {
			return 0, errMessage
		}
		b = b[n:]
		if tag == 1<<3 {
			status = int32(v) // as Protocol Buffers read an enum
		}
	}
	return status, nil
}

var errMessage = errors.New("the answer is no HealthCheckResponse")
