package probe

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
)

const (
	// maxHead bounds the bytes of a response before its body, interim
	// responses included.
	maxHead = 32 << 10

	// maxBody is how much of a body is looked at: the bound of Amazon Route 53
	// (developer guide, "How Route 53 determines whether a health check is
	// healthy").
	maxBody = 5120

	// maxBodyWire bounds what those bytes may cost in chunked encoding: six
	// times as many where each is a chunk of its own.
	maxBodyWire = 31 << 10

	// farewell is how long a target that answered may take to close first. Of
	// a connection that the target closed neither side keeps a trace, while a
	// reset may show up in its log.
	farewell = 50 * time.Millisecond
)

// http asks over a connection of its own and judges the status, then the body
// where the check expects something of it. A redirect is an answer like any
// other and is not followed, unless the check says so; a body is never
// decompressed. Neither proxies nor cookies nor any other state come in: what
// is measured is what a new client of the target would see.
func (a *attempt) http() {
	for a.http1or2(); a.location != ""; a.http1or2() {
		if !a.redirect() {
			return
		}
	}
}

func (a *attempt) http1or2() {
	if a.target.Check.Probe.Version == health.HTTP2 {
		a.http2()
		return
	}
	a.http1()
}

func (a *attempt) http1() {
	pr, ok := a.authorized()
	if !ok {
		return
	}
	request, err := appendRequest(make([]byte, 0, 512), pr, a.addr, a.p.agent)
	if err != nil {
		a.cannotTell(health.NotProbeable, err.Error())
		return
	}
	conn, stop := a.dial()
	if conn == nil {
		return
	}
	var stream net.Conn = conn
	if pr.Protocol == health.HTTPS {
		s := a.handshake(conn, "http/1.1")
		if s == nil {
			stop()
			abandon(conn)
			return
		}
		stream = s
	}
	asked := time.Now()
	if _, err := stream.Write(request); err != nil && !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
		a.broke("send", err)
		stop()
		abandon(conn)
		return
	} // A target that answers and closes before it has read the request still answered.
	answer := a.p.answerFrom(stream, asked)
	rest := a.answer(answer)
	leave := func() {
		if rest == nil || !a.closedFirst(conn, stream, rest) {
			part(conn)
		} else {
			conn.Close()
		}
		stop()
		answer.free()
	}
	if rest == nil {
		leave()
		return
	}
	a.p.farewell(leave)
}

// answer is a response on its way in, bounded.
type answer struct {
	*bufio.Reader
	limit io.LimitedReader
	asked time.Time
	p     *Prober
}

func (p *Prober) answerFrom(stream io.Reader, asked time.Time) *answer {
	in := &answer{Reader: p.readers.Get().(*bufio.Reader), limit: io.LimitedReader{R: stream, N: maxHead}, asked: asked, p: p}
	in.Reset(&in.limit)
	return in
}

// free gives the reader back, also that of what is left of the body.
func (in *answer) free() {
	in.Reset(nil)
	in.p.readers.Put(in.Reader)
}

// answer reads the response and judges it. It returns what is left to read of
// the body, nil if that is not worth the wait.
func (a *attempt) answer(in *answer) (rest io.Reader) {
	_, err := in.Peek(1)
	a.phases.FirstByte = time.Since(in.asked)
	if err != nil {
		a.silence(err)
		return nil
	}
	resp, err := a.readHead(in.Reader)
	if err != nil {
		a.unreadable(err, in.limit.N <= 0)
		return nil
	}
	in.limit.N += maxBodyWire
	a.phases.Status = resp.StatusCode
	return a.judge(resp)
}

// readHead returns the final response; interim ones (RFC 9110, section 15.2)
// are passed over. 101 is final: nobody asked to switch protocols.
func (a *attempt) readHead(br *bufio.Reader) (*http.Response, error) {
	asked := &http.Request{Method: a.target.Check.Probe.Method}
	for {
		resp, err := http.ReadResponse(br, asked)
		if err != nil || resp.StatusCode >= 200 || resp.StatusCode < 100 || resp.StatusCode == http.StatusSwitchingProtocols {
			return resp, err
		}
	}
}

// judge completes the observation. It returns what is left to read of the
// body, nil if that is not worth the wait.
func (a *attempt) judge(resp *http.Response) io.Reader {
	a.obs.Identity = identityOf(resp.Header)
	if who := stranger(a.obs.Identity, a.target); who != "" {
		a.fail(health.Stranger, "the answer comes from "+who)
		return resp.Body
	}
	a.obs.Draining = drains(resp.Header)
	if a.redirected(resp) {
		return nil
	}
	if a.judgeStatus(resp.StatusCode) {
		if a.obs.Outcome == health.Fail && isJSON(resp.Header.Get("Content-Type")) {
			return a.listed(resp.Body)
		}
		return resp.Body
	}
	if pr := &a.target.Check.Probe; pr.Match != "" || len(pr.JSON) > 0 {
		return a.judgeBody(resp)
	}
	body := make([]byte, 0, 1024)
	found, err := readUntil(resp.Body, &body, []byte(a.target.Check.Probe.Contains))
	switch {
	case found:
		a.found(resp.StatusCode)
		return resp.Body
	case err == nil || err == io.EOF:
		a.notFound(resp.StatusCode, len(body))
		return nil
	default:
		a.bodyBroke(resp.StatusCode, len(body), err)
	}
	return nil
}

// readUntil appends the body to buf until it contains text, maxBody bytes are
// read or the body ends.
func readUntil(body io.Reader, buf *[]byte, text []byte) (found bool, err error) {
	for len(*buf) < maxBody {
		b := *buf
		if len(b) == cap(b) {
			b = append(make([]byte, 0, min(2*cap(b), maxBody)), b...)
		}
		n, err := body.Read(b[len(b):min(cap(b), maxBody)])
		searched := max(0, len(b)-len(text)+1)
		*buf = b[:len(b)+n]
		if bytes.Contains((*buf)[searched:], text) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
	}
	return false, nil
}

// silence completes the observation where not one byte came.
func (a *attempt) silence(err error) {
	if errors.Is(err, io.EOF) {
		a.fail(health.Reset, "the connection was closed without an answer")
		return
	}
	a.broke("await the answer", err)
}

// unreadable completes the observation where what came is no HTTP response, or
// not a whole one.
func (a *attempt) unreadable(err error, tooLong bool) {
	if tooLong {
		a.fail(health.Malformed, fmt.Sprintf("the head of the answer is over %d bytes", maxHead))
		return
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		a.fail(health.Malformed, "the connection was closed within the head of the answer")
		return
	}
	if f := faultOf(a.ctx, a.addr.Addr(), err); f.cause != health.LocalFault {
		a.broke("read the answer", err)
		return
	}
	a.fail(health.Malformed, err.Error())
}

// closedFirst gives the target a moment to close the connection, and reports
// whether it did. The observation is complete by then.
func (a *attempt) closedFirst(conn *net.TCPConn, stream io.Reader, rest io.Reader) bool {
	if left := time.Until(a.deadline); left <= 0 {
		return false
	}
	conn.SetReadDeadline(time.Now().Add(min(farewell, time.Until(a.deadline))))
	if n, err := io.CopyN(io.Discard, rest, maxBody); n == maxBody || err != io.EOF {
		return false
	}
	var one [1]byte
	n, err := stream.Read(one[:])
	return n == 0 && err == io.EOF
}

func expected(ranges []health.StatusRange, status int) bool {
	if len(ranges) == 0 {
		return status >= 200 && status <= 399
	}
	for _, r := range ranges {
		if status >= int(r.From) && status <= int(r.To) {
			return true
		}
	}
	return false
}

// statusText names a status in our own words, never in the target's.
func statusText(status int) string {
	s := strconv.Itoa(status)
	if t := http.StatusText(status); t != "" {
		s += " " + t
	}
	if status >= 300 && status <= 399 {
		s += ", not followed"
	}
	return s
}
