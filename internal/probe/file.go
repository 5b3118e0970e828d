package probe

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
)

const (
	// maxFile bounds a file that a check names.
	maxFile = 1 << 20

	// lookEvery is how often such a file is looked at for a change.
	lookEvery = time.Second

	// mendWithin is how long what a file said last stays in use while the file
	// cannot be read as it is now: a certificate and its key are not replaced at
	// the same instant.
	mendWithin = time.Minute
)

// files keeps what the files that checks name say, and notices that they
// change. The zero value is usable; its methods may be called concurrently.
type files struct {
	mu   sync.Mutex
	kept map[string]*kept
}

type kept struct {
	value  any
	stamp  string
	looked time.Time
	good   time.Time // when value was what the files say
}

// have returns what load makes of the files at paths, from memory while they
// do not change.
func have[T any](f *files, kind string, load func() (T, error), paths ...string) (T, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	key := kind + "\x00" + strings.Join(paths, "\x00")
	k := f.kept[key]
	if k != nil && now.Sub(k.looked) < lookEvery {
		return k.value.(T), nil
	}
	stamp := stampOf(paths)
	if k != nil && stamp == k.stamp {
		k.looked, k.good = now, now
		return k.value.(T), nil
	}
	v, err := load()
	switch {
	case err == nil:
		if f.kept == nil {
			f.kept = map[string]*kept{}
		}
		f.kept[key] = &kept{v, stamp, now, now}
		return v, nil
	case k != nil && now.Sub(k.good) < mendWithin:
		k.looked = now
		return k.value.(T), nil
	}
	delete(f.kept, key)
	return v, err
}

// stampOf changes when one of the files is written, replaced or opened to others.
func stampOf(paths []string) string {
	var b strings.Builder
	for _, p := range paths {
		if info, err := os.Stat(p); err == nil {
			fmt.Fprintf(&b, "%d %d %o;", info.Size(), info.ModTime().UnixNano(), info.Mode())
		} else {
			b.WriteString("-;")
		}
	}
	return b.String()
}

func (f *files) roots(ca string) (*x509.CertPool, error) {
	return have(f, "ca", func() (*x509.CertPool, error) {
		pem, err := readFile(ca, false)
		if err != nil {
			return nil, err
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate in PEM", ca)
		}
		return pool, nil
	}, ca)
}

func (f *files) certificate(cert, key string) (*tls.Certificate, error) {
	return have(f, "client certificate", func() (*tls.Certificate, error) {
		certPEM, err := readFile(cert, false)
		if err != nil {
			return nil, err
		}
		keyPEM, err := readFile(key, true)
		if err != nil {
			return nil, err
		}
		c, err := tls.X509KeyPair(certPEM, keyPEM)
		if err != nil {
			return nil, fmt.Errorf("%s with %s: %w", cert, key, err)
		}
		return &c, nil
	}, cert, key)
}

// authorization is the value of the header that shows a credential.
func (f *files) authorization(c health.Credential) (string, error) {
	return have(f, c.Scheme.String(), func() (string, error) {
		text, err := readFile(c.File, true)
		if err != nil {
			return "", err
		}
		secret := strings.TrimRight(string(text), "\r\n")
		if !isVisible(secret) && (c.Scheme != health.Basic || !isText(secret)) {
			return "", fmt.Errorf("%s does not hold one line with a %s credential", c.File, c.Scheme)
		}
		if c.Scheme == health.Bearer {
			return "Bearer " + secret, nil
		}
		if !strings.Contains(secret, ":") {
			return "", fmt.Errorf("%s does not hold USER:PASSWORD", c.File)
		}
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(secret)), nil
	}, c.File)
}

func isText(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// readFile reads a file of a check. One that holds a secret may be read by its
// owner alone.
func readFile(path string, secret bool) ([]byte, error) {
	info, err := os.Stat(path) // first: to open a pipe would wait for its other end
	if err != nil {
		return nil, err
	}
	switch mode := info.Mode(); {
	case !mode.IsRegular():
		return nil, fmt.Errorf("%s is not a file", path)
	case secret && mode.Perm()&0o077 != 0:
		return nil, fmt.Errorf("%s has mode %04o and holds a secret: others may read it; chmod 600 it", path, mode.Perm())
	case info.Size() > maxFile:
		return nil, fmt.Errorf("%s has more than %d bytes", path, maxFile)
	}
	return os.ReadFile(path)
}

// Files reads the files that a check and its parts name, and returns what is
// wrong with them: a check whose files cannot be read cannot tell anything.
func Files(p health.Probe) error {
	var f files
	var errs []error
	for _, leaf := range p.Leaves(nil) {
		if leaf.CA != "" {
			_, err := f.roots(leaf.CA)
			errs = append(errs, err)
		}
		if leaf.ClientCert != "" {
			_, err := f.certificate(leaf.ClientCert, leaf.ClientKey)
			errs = append(errs, err)
		}
		if leaf.Credential.Scheme != health.NoCredential {
			_, err := f.authorization(leaf.Credential)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
