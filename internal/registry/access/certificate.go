package access

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Certificate is a TLS certificate from files, as they are now: whoever renews
// them needs to restart nothing. Its methods may be called by many goroutines.
type Certificate struct {
	cert, key string
	log       *slog.Logger

	now  atomic.Pointer[tls.Certificate]
	next atomic.Int64 // when to look again, in nanoseconds of the epoch

	mu   sync.Mutex
	seen [2]stamp
}

// OpenCertificate reads a certificate chain and its key, both in PEM.
func OpenCertificate(cert, key string, log *slog.Logger) (*Certificate, error) {
	if log == nil {
		log = slog.Default()
	}
	c := &Certificate{cert: cert, key: key, log: log}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen = c.stamps()
	return c, c.read()
}

// Listener is ln with TLS, version 1.2 or newer. Clients speak HTTP/1.1 over
// it, as they do to Cloud Map: one call at a time on a connection, so that
// bounds on connections are bounds on calls.
func (c *Certificate) Listener(ln net.Listener) net.Listener {
	return tls.NewListener(ln, &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.current(), nil },
	})
}

// Verify accepts a connection to ourselves: one whose server has this very
// certificate, whatever name it is for and whoever signed it. It is for
// tls.Config.VerifyConnection of a client in this process.
func (c *Certificate) Verify(state tls.ConnectionState) error {
	for _, peer := range state.PeerCertificates[:min(1, len(state.PeerCertificates))] {
		if peer.Equal(c.current().Leaf) {
			return nil
		}
	}
	return fmt.Errorf("the server's certificate is not the one in %s", c.cert)
}

// current looks for new files at most once a second. A pair that does not fit
// together, as in the middle of a renewal, leaves the one before it.
func (c *Certificate) current() *tls.Certificate {
	now := time.Now().UnixNano()
	if next := c.next.Load(); now >= next && c.next.CompareAndSwap(next, now+int64(lookEvery)) {
		c.refresh()
	}
	return c.now.Load()
}

func (c *Certificate) refresh() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.stamps(); now != c.seen {
		c.seen = now
		if err := c.read(); err != nil {
			c.log.Error("the registry's certificate cannot be read; the one before stays", "error", err)
			return
		}
		c.log.Info("the registry's certificate changed", "path", c.cert, "until", c.now.Load().Leaf.NotAfter)
	}
}

// stamps of files that cannot be looked at differ from those of files that can,
// and reading says why.
func (c *Certificate) stamps() (s [2]stamp) {
	s[0], _ = stampOf(c.cert)
	s[1], _ = stampOf(c.key)
	return s
}

func (c *Certificate) read() error {
	for _, path := range []string{c.cert, c.key} {
		if _, err := os.Stat(path); err != nil {
			return err
		}
	}
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return fmt.Errorf("certificate %s with key %s: %w", c.cert, c.key, err)
	}
	c.now.Store(&pair)
	return nil
}
