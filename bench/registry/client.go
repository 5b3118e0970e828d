//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"
)

// conn is a keep-alive connection that costs as little as may be: a request
// that is ready beforehand, and an answer that is only counted.
type conn struct {
	net.Conn
	buf []byte
}

func dial(address string) (*conn, error) {
	c, err := net.DialTimeout("tcp4", address, 10*time.Second)
	if err != nil {
		return nil, err
	}
	return &conn{c, make([]byte, 64<<10)}, nil
}

// request spells a call.
func request(path, operation, body string) []byte {
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-amz-json-1.1\r\n"+
		"X-Amz-Target: Route53AutoNaming_v20170314.%s\r\nContent-Length: %d\r\n\r\n%s", path, operation, len(body), body)
}

var (
	ok          = []byte("HTTP/1.1 200 ")
	endOfHeader = []byte("\r\n\r\n")
	lengthField = []byte("\r\nContent-Length: ")
)

// call sends a request and reads the answer; it returns the answer's length.
func (c *conn) call(request []byte) (length int, err error) {
	if _, err := c.Write(request); err != nil {
		return 0, err
	}
	have, header := 0, -1
	for header < 0 {
		n, err := c.Read(c.buf[have:])
		if err != nil {
			return 0, err
		}
		have += n
		header = bytes.Index(c.buf[:have], endOfHeader)
	}
	if !bytes.HasPrefix(c.buf, ok) {
		return 0, fmt.Errorf("answered %q", c.buf[:have])
	}
	_, field, found := bytes.Cut(c.buf[:header+2], lengthField)
	if !found {
		return 0, errors.New("the answer has no Content-Length")
	}
	field, _, _ = bytes.Cut(field, endOfHeader[:2])
	if length, err = strconv.Atoi(string(field)); err != nil {
		return 0, err
	}
	for left := length - (have - header - len(endOfHeader)); left > 0; {
		n, err := c.Read(c.buf)
		if err != nil {
			return 0, err
		}
		left -= n
	}
	return length, nil
}

// dialAll opens n connections.
func dialAll(address string, n int) (conns []*conn, err error) {
	for range n {
		c, err := dial(address)
		if err != nil {
			hangUp(conns)
			return nil, err
		}
		conns = append(conns, c)
	}
	return conns, nil
}

func hangUp(conns []*conn) {
	for _, c := range conns {
		c.Close()
	}
}

// window calls on all connections at once, over and over, for a time. next is
// the next request of a connection.
func window(server *child, conns []*conn, length time.Duration, next func(conn int) []byte) (figures, error) {
	before, err := server.usage()
	if err != nil {
		return figures{}, err
	}
	start := time.Now()
	end := start.Add(length)
	counts := make([]int, len(conns))
	var g errgroup.Group
	for i, c := range conns {
		g.Go(func() error {
			for time.Now().Before(end) {
				if _, err := c.call(next(i)); err != nil {
					return err
				}
				counts[i]++
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return figures{}, err
	}
	elapsed := time.Since(start)
	after, err := server.usage()
	if err != nil {
		return figures{}, err
	}
	f := figures{elapsed: elapsed, cpu: after.CPU - before.CPU, commits: after.Commits - before.Commits}
	for _, n := range counts {
		f.calls += n
	}
	return f, nil
}

// figures are what a window gave, or several together.
type figures struct {
	calls        int
	elapsed, cpu time.Duration // cpu: of the server process
	commits      int64
}

func (f *figures) add(g figures) {
	f.calls += g.calls
	f.elapsed += g.elapsed
	f.cpu += g.cpu
	f.commits += g.commits
}

// rate is calls a second.
func (f figures) rate() float64 { return float64(f.calls) / f.elapsed.Seconds() }

// perCall is the server's CPU time for a call, in microseconds.
func (f figures) perCall() float64 {
	return float64(f.cpu.Nanoseconds()) / 1000 / float64(max(f.calls, 1))
}
