package probe

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"time"
)

// frames is a stream of HTTP/2 on its way to net/http's client, which it
// outlives: whoever connected parts. It holds back what that client would
// complain of in the process's log, where a target has no say: what does not
// begin as HTTP/2 does, and each frame of a type that RFC 9113 does not have,
// which is to be ignored (section 4.1).
type frames struct {
	net.Conn
	answered atomic.Int64 // from the request to the first byte
	failed   atomic.Pointer[error]

	// Of the client's reader alone.
	head  [9]byte
	ahead []byte // of head, to be given first
	left  int    // of the frame that is being read
	skips bool   // that frame
	begun bool
}

// Frame types (RFC 9113, section 6). The first from a server is SETTINGS
// (section 3.4).
const (
	typeSettings = 4
	lastType     = 9
)

var errNotHTTP2 = errors.New("the target does not speak HTTP/2")

func (f *frames) Read(p []byte) (int, error) {
	n, err := f.read(p)
	if err != nil {
		f.failed.CompareAndSwap(nil, &err)
	}
	return n, err
}

func (f *frames) read(p []byte) (int, error) {
	for {
		switch {
		case len(f.ahead) > 0:
			n := copy(p, f.ahead)
			f.ahead = f.ahead[n:]
			return n, nil
		case f.left > 0:
			n, err := f.Conn.Read(p[:min(len(p), f.left)])
			f.left -= n
			if err != nil || !f.skips {
				return n, err
			}
		default:
			if _, err := io.ReadFull(f.Conn, f.head[:]); err != nil {
				return 0, err
			}
			kind := f.head[3]
			if !f.begun && kind != typeSettings {
				return 0, errNotHTTP2
			}
			f.begun = true
			f.left = int(binary.BigEndian.Uint32(f.head[:4]) >> 8)
			if f.skips = kind > lastType; !f.skips {
				f.ahead = f.head[:]
			}
		}
	}
}

// Close ends the client's reading.
func (f *frames) Close() error { return f.SetDeadline(time.Unix(1, 0)) }
