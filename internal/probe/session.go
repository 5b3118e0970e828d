package probe

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
)

// session is a TLS handshake and what the target asked for in it.
type session struct {
	*tls.Conn
	asked bool // for a certificate of ours
}

// tlsCheck passes when the handshake does. A server that asks for a
// certificate of ours judges it only afterwards (RFC 8446, section 4.4.2.4),
// so its word is waited for: an alert, or else the end that answers ours.
func (a *attempt) tlsCheck() {
	conn, stop := a.dial()
	if conn == nil {
		return
	}
	s := a.handshake(conn)
	if s == nil {
		stop()
		abandon(conn)
		return
	}
	s.CloseWrite()
	if s.asked {
		var one [1]byte
		if _, err := s.Read(one[:]); isAlert(err) {
			a.broke("TLS handshake", err)
			stop()
			abandon(conn)
			return
		}
	}
	a.pass("TLS handshake done, " + tls.VersionName(s.ConnectionState().Version))
	a.p.farewell(func() {
		defer stop()
		if !a.closedFirst(conn, s, http.NoBody) {
			part(conn)
			return
		}
		conn.Close()
	})
}

// handshake returns the TLS stream over conn, or nil with the observation
// complete. Sessions are not resumed: a new client would not either.
func (a *attempt) handshake(conn net.Conn, protocols ...string) *session {
	pr := &a.target.Check.Probe
	s := new(session)
	config, err := a.tlsConfig(pr, &s.asked)
	if err != nil {
		a.cannotTell(health.LocalFault, "TLS: "+err.Error())
		return nil
	}
	config.NextProtos = protocols
	s.Conn = tls.Client(&bounded{Conn: conn, left: maxWire}, config)
	began := time.Now()
	err = s.Handshake() // ends with conn's deadline
	a.phases.TLS = time.Since(began)
	if err != nil {
		if f := faultOf(a.ctx, a.addr.Addr(), err); f.cause != health.LocalFault {
			a.broke("TLS handshake", err)
		} else {
			a.fail(health.TLS, "TLS handshake: "+err.Error())
		}
		return nil
	}
	state := s.ConnectionState()
	if a.phases.Expires = state.PeerCertificates[0].NotAfter; !a.lasts(pr, state.PeerCertificates[0]) {
		return nil
	}
	return s
}

func (a *attempt) tlsConfig(pr *health.Probe, asked *bool) (*tls.Config, error) {
	c := &tls.Config{
		ServerName:         serverName(pr, a.addr),
		RootCAs:            a.p.roots,
		InsecureSkipVerify: !pr.Verify,
	}
	own := new(tls.Certificate)
	var err error
	if pr.CA != "" {
		if c.RootCAs, err = a.p.files.roots(pr.CA); err != nil {
			return nil, err
		}
	}
	if pr.ClientCert != "" {
		if own, err = a.p.files.certificate(pr.ClientCert, pr.ClientKey); err != nil {
			return nil, err
		}
	}
	c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		*asked = true
		return own, nil
	}
	return c, nil
}

// lasts judges how long the certificate is still good. It reports whether that
// is no failure; a pass may carry a warning then.
func (a *attempt) lasts(pr *health.Probe, c *x509.Certificate) bool {
	left := time.Until(c.NotAfter)
	said := "the certificate expires in " + rough(left)
	if left < 0 {
		said = "the certificate expired " + rough(-left) + " ago"
	}
	warn := pr.WarnWithin
	if warn == 0 {
		warn = health.DefaultWarnWithin
	}
	switch {
	case pr.FailWithin > 0 && left < pr.FailWithin:
		a.fail(health.TLS, said)
		return false
	case warn > 0 && left < warn:
		a.warning = said
	}
	return true
}

// rough is a duration for people.
func rough(d time.Duration) string {
	if d >= 48*time.Hour {
		return fmt.Sprintf("%d days", int(d/(24*time.Hour)))
	}
	return d.Round(time.Second).String()
}

// isAlert reports whether the other side ended a TLS connection in anger.
func isAlert(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "remote error"
}
