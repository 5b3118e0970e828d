package probe

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/mapwarden/mapwarden/internal/health"
)

// The two engines may differ in this and in nothing else (docs/checks.md says
// it to users):
//
//   - An answer that was there in time, but that this process was too slow to
//     read before the timeout, counts in the event loop. In the portable
//     engine it is a Timeout.
//   - An answer that comes in more than freeRuns pieces, and is of no usual
//     shape, may be judged up to a quarter of its length later, at the latest
//     when it ends or its time does. The verdict is the same.

// byNetHTTP is the reference: what the portable engine makes of a stream. It
// reports false where that would wait for more.
func byNetHTTP(p *Prober, target *health.Target, b []byte, end error) (health.Observation, bool) {
	a := attempt{p: p, ctx: context.Background(), target: target, phases: new(Phases), addr: dialAddr(target)}
	stream := &received{b: b, end: end}
	in := p.answerFrom(stream, time.Now())
	defer in.free()
	a.answer(in)
	return a.obs, !stream.short
}

// compare feeds an answer to the event loop's reader, in pieces that end at
// the cuts, and holds each step against the reference.
func compare(t rapid.TB, p *Prober, target *health.Target, b []byte, cuts []int, end error) {
	t.Helper()
	var h hearing
	for _, n := range cuts {
		a := attempt{p: p, ctx: context.Background(), target: target, addr: dialAddr(target)}
		_, decided := a.hear(b[:n], nil, &h)
		want, may := byNetHTTP(p, target, b[:n], nil)
		if decided != may && h.runs < freeRuns {
			t.Fatalf("after %q: decided %t, the reference %t", b[:n], decided, may)
		}
		if decided {
			same(t, b[:n], a.obs, want)
			return
		}
		if a.obs.Outcome != health.Indeterminate || a.obs.Cause != health.NoCause {
			t.Fatalf("after %q: undecided, but %+v", b[:n], a.obs)
		}
	}
	a := attempt{p: p, ctx: context.Background(), target: target, addr: dialAddr(target)}
	if _, decided := a.hear(b, end, &h); !decided {
		t.Fatalf("%q that ends with %v: undecided", b, end)
	}
	want, _ := byNetHTTP(p, target, b, end)
	same(t, b, a.obs, want)
}

func same(t rapid.TB, b []byte, got, want health.Observation) {
	t.Helper()
	if got.Outcome != want.Outcome || got.Cause != want.Cause || got.Detail != want.Detail {
		t.Fatalf("%q:\ngot  %v %v %q\nwant %v %v %q", b, got.Outcome, got.Cause, got.Detail, want.Outcome, want.Cause, want.Detail)
	}
}

// comparedProbes are the checks under which answers are compared.
var comparedProbes = []health.Probe{
	{Protocol: health.HTTP},
	{Protocol: health.HTTP, Contains: "needle"},
	{Protocol: health.HTTP, Method: http.MethodHead, Contains: "needle"},
	{Protocol: health.HTTP, Status: []health.StatusRange{{From: 200, To: 200}, {From: 500, To: 599}}},
}

var ends = []error{io.EOF, syscall.ECONNRESET, os.ErrDeadlineExceeded}

// FuzzBothReadersAgree: any bytes, in any two pieces.
func FuzzBothReadersAgree(f *testing.F) {
	for _, s := range []string{
		okHead + "Content-Length: 6\r\n\r\nneedle", okHead + "Transfer-Encoding: chunked\r\n\r\n6\r\nneedle\r\n0\r\n\r\n",
		"HTTP/1.1 500 x\r\n\r\n", "HTTP/1.0 200\r\n\r\n", "HTTP/1.1 100 x\r\n\r\n" + okHead + "\r\n", "", "\x16\x03\x01", okHead + " : \r\n\r\n",
		"HTTP/9.9 200\r\n\r\n", "HTTP/1.1 200 OK\nA: b\n\nneedle", okHead + "A: b\r\n c\r\n\r\n", okHead + "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx", okHead + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
		okHead + "Content-Length: +5\r\n\r\nneedle", okHead + "A b: c\r\n\r\n", okHead + "A:\x01\r\n\r\n", "HTTP/1.1 204 No\r\n\r\nneedle", "HTTP/1.1 20\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n", okHead + "\xffé: x\r\n\r\n", "HTTP/1.1  200 OK\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n", okHead + "Transfer-Encoding: gzip\r\n\r\n",
	} {
		for check := range comparedProbes {
			f.Add([]byte(s), uint(len(s)/2), uint(check), uint(check))
		}
	}
	p := NewProber(Options{Policy: loopbackOnly}, clock())
	f.Fuzz(func(t *testing.T, b []byte, cut, check, end uint) {
		target := targetAt(dialAddr(&health.Target{}), comparedProbes[check%uint(len(comparedProbes))], enough)
		compare(t, p, target, b, []int{int(cut % uint(len(b)+1)), len(b)}, ends[end%uint(len(ends))])
	})
}

// TestBothReadersAgree draws answers that are almost right, in many pieces.
func TestBothReadersAgree(t *testing.T) {
	p := NewProber(Options{Policy: loopbackOnly}, clock())
	rapid.Check(t, func(t *rapid.T) {
		b := []byte(drawAnswer(t))
		cuts := rapid.SliceOfNDistinct(rapid.IntRange(0, len(b)), 0, 8, rapid.ID).Draw(t, "cuts")
		target := targetAt(dialAddr(&health.Target{}), rapid.SampledFrom(comparedProbes).Draw(t, "check"), enough)
		compare(t, p, target, b, sorted(cuts), rapid.SampledFrom(ends).Draw(t, "end"))
	})
}

// In tiny pieces, net/http's reader is not run for each, and still says the same.
func TestManyPieces(t *testing.T) {
	p := NewProber(Options{Policy: loopbackOnly}, clock())
	for _, s := range []string{
		okHead + strings.Repeat("Odd : header\r\n", 200) + "\r\n",
		okHead + "Transfer-Encoding: chunked\r\n\r\n" + strings.Repeat("1\r\nx\r\n", 1500) + "6\r\nneedle\r\n0\r\n\r\n",
		okHead + strings.Repeat("X: y\r\n", 7000),
	} {
		target := targetAt(dialAddr(&health.Target{}), comparedProbes[1], enough)
		var h hearing
		a := attempt{p: p, ctx: context.Background(), target: target}
		decided := false
		n := 0
		for ; n < min(len(s), maxGathered) && !decided; n = min(n+7, len(s), maxGathered) {
			_, decided = a.hear([]byte(s[:n]), nil, &h)
		}
		if !decided {
			_, decided = a.hear([]byte(s[:n]), io.EOF, &h)
		}
		want, _ := byNetHTTP(p, target, []byte(s), io.EOF)
		if !decided {
			t.Fatalf("%.60q: undecided", s)
		}
		same(t, []byte(s[:60]), a.obs, want)
		if most := freeRuns + 50; h.runs > most {
			t.Errorf("%.60q: %d runs over it, want at most %d", s, h.runs, most)
		}
	}
}

// TestBothEnginesAgree is the same on sockets: raw bytes, in pieces, then an
// end, a reset or silence.
func TestBothEnginesAgree(t *testing.T) {
	type script struct {
		pieces []string
		end    string
	}
	next := make(chan script, 1)
	ap := serveTCP(t, func(c net.Conn) {
		s := <-next
		request(c)
		for _, piece := range s.pieces {
			io.WriteString(c, piece)
		}
		switch s.end {
		case "reset":
			c.(*net.TCPConn).SetLinger(0)
			c.Close()
		case "end":
			c.Close()
		}
	})
	checks := 0
	rapid.Check(t, func(rt *rapid.T) {
		if checks++; checks > 60 {
			return // a connection each
		}
		b := drawAnswer(rt)
		var s script
		for _, n := range sorted(rapid.SliceOfNDistinct(rapid.IntRange(0, len(b)), 0, 3, rapid.ID).Draw(rt, "cuts")) {
			from := len(strings.Join(s.pieces, ""))
			s.pieces = append(s.pieces, b[from:n])
		}
		s.pieces = append(s.pieces, b[len(strings.Join(s.pieces, "")):])
		// A reset may overtake what was sent before it; silence is waited for.
		s.end = rapid.SampledFrom([]string{"end", "end", "end", "silence"}).Draw(rt, "end")
		if b == "" {
			s.end = rapid.SampledFrom([]string{"end", "reset", "silence"}).Draw(rt, "end of nothing")
		}
		probe, timeout := rapid.SampledFrom(comparedProbes).Draw(rt, "check"), enough
		if s.end == "silence" {
			timeout = patience
		}
		next <- s
		want := portable.ask(t, ap, probe, timeout)
		next <- s
		got := eventLoop.ask(t, ap, probe, timeout)
		if got.Outcome != want.Outcome || got.Cause != want.Cause {
			rt.Fatalf("%q, then %s:\nevent loop %v %v %q\nportable   %v %v %q", s.pieces, s.end, got.Outcome, got.Cause, got.Detail, want.Outcome, want.Cause, want.Detail)
		}
	})
}

// drawAnswer draws what a server may say: mostly HTTP, mostly with a flaw.
func drawAnswer(t *rapid.T) string {
	if rapid.IntRange(0, 9).Draw(t, "kind") == 0 {
		return string(rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "bytes"))
	}
	end := rapid.SampledFrom([]string{"\r\n", "\r\n", "\r\n", "\r\n", "\n", "\r"})
	var b strings.Builder
	if rapid.IntRange(0, 5).Draw(t, "interim") == 0 {
		b.WriteString("HTTP/1.1 100 Continue\r\n\r\n")
	}
	b.WriteString(rapid.SampledFrom([]string{"HTTP/1.1 ", "HTTP/1.1 ", "HTTP/1.0 ", "HTTP/1.2 ", "HTTP/2.0 ", "http/1.1 ", "HTTP/1.1\t", ""}).Draw(t, "version"))
	b.WriteString(rapid.SampledFrom([]string{"200", "200", "200", "204", "304", "404", "503", "101", "099", "20", "2000", "abc", "-20", ""}).Draw(t, "status"))
	b.WriteString(rapid.SampledFrom([]string{" OK", " OK", "", " ", " Very\tfine", " \xe9", " \x00"}).Draw(t, "reason"))
	b.WriteString(end.Draw(t, "line end"))
	for range rapid.IntRange(0, 4).Draw(t, "headers") {
		b.WriteString(rapid.SampledFrom([]string{
			"Content-Length: 6", "Content-Length: 6", "Content-Length:3", "content-length: 06", "Content-Length: 6, 6", "Content-Length: -1", "Content-Length: x", "Content-Length: ",
			"Transfer-Encoding: chunked", "Transfer-Encoding: gzip, chunked", "Connection: close", "Server: x", "X-Empty:", "X:y", "X : y", " folded", "\tfolded", ":", "no colon",
			"Bad\x00Name: x", "X: \x01", "X: \xff", "X!#$: y", "\xe9: y", "X: " + strings.Repeat("a", 5000), "Content-Encoding: gzip", "Trailer: X",
		}).Draw(t, "header"))
		b.WriteString(end.Draw(t, "line end"))
	}
	b.WriteString(end.Draw(t, "head end"))
	b.WriteString(rapid.SampledFrom([]string{
		"", "needle", "hay needle hay", "nee", "6\r\nneedle\r\n0\r\n\r\n", "3\r\nnee\r\n3\r\ndle\r\n0\r\n\r\n", "zz\r\n", "3\r\nnee\r\n",
		strings.Repeat("x", maxBody-6) + "needle", strings.Repeat("x", maxBody-5) + "needle", strings.Repeat("hay ", 2000),
	}).Draw(t, "body"))
	return b.String()
}

func sorted(list []int) []int {
	slices.Sort(list)
	return list
}
