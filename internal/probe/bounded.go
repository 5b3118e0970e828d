package probe

import (
	"fmt"
	"net"
)

// maxWire bounds what is read of one connection where a library reads it:
// certificates, frames and headers together.
const maxWire = 64 << 10

var errTooMuch = fmt.Errorf("the answer is over %d bytes", maxWire)

// bounded is a connection that gives no more than so many bytes.
type bounded struct {
	net.Conn
	left int
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooMuch
	}
	n, err := b.Conn.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}
