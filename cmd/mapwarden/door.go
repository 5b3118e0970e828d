package main

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/mapwarden/mapwarden/internal/registry/access"
)

// doorFlags say who may call a registry, how often, and how many at once.
type doorFlags struct {
	cert, key   string
	throttle    string
	connections int
}

func (f *doorFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.cert, "registry-cert", "", "certificate chain of the registry's API in PEM, for TLS; read again when it changes")
	c.Flags().StringVar(&f.key, "registry-key", "", "key of --registry-cert in PEM")
	c.Flags().StringVar(&f.throttle, "throttle", "", "refuse calls beyond a rate, as AWS does: aws, or OPERATION=RATE/BURST,… in calls a second and at once; empty: no limit")
	c.Flags().IntVar(&f.connections, "max-connections", access.DefaultConnections, "connections to the registry's API at once; beyond them one that is idle makes room, else the new one is closed")
}

// check refuses what no door can be.
func (f *doorFlags) check() error {
	switch {
	case (f.cert == "") != (f.key == ""):
		return usagef("--registry-cert and --registry-key go together: give both or none")
	case f.connections < 1:
		return usagef("--max-connections %d: give at least 1", f.connections)
	case f.throttle != "":
		if _, err := access.ParseThrottle(f.throttle); err != nil {
			return usagef("--throttle %s: %w", f.throttle, err)
		}
	}
	return nil
}

// door is what stands between callers and a registry's API.
type door struct {
	options     access.Options
	own         access.Key          // of this process's own client
	certificate *access.Certificate // nil: plain HTTP
	connections int
}

// openDoor reads the keys and the certificate. The flags have been checked.
func openDoor(f doorFlags, data, account, region string) (*door, error) {
	d := &door{own: access.NewKey(false, "this process"), connections: f.connections}
	d.options = access.Options{Account: account, Region: region, Log: slog.Default()}
	var err error
	if d.options.Keys, err = access.OpenRing(filepath.Join(data, access.KeysFile), slog.Default(), d.own); err != nil {
		return nil, usagef("the registry's keys: %w", err)
	}
	if f.throttle != "" {
		if d.options.Throttle, err = access.ParseThrottle(f.throttle); err != nil {
			return nil, usagef("--throttle: %w", err)
		}
	}
	if f.cert != "" {
		if d.certificate, err = access.OpenCertificate(f.cert, f.key, slog.Default()); err != nil {
			return nil, usagef("the registry's certificate: %w", err)
		}
	}
	return d, nil
}

// secured says whether the API may be reached at an address. Where other
// machines reach it somebody has to ask who they are: keys do, TLS alone does
// not, and keys without TLS keep calls true but not secret.
func (d *door) secured(addr net.Addr, insecure bool) error {
	keys, wide := d.options.Keys.Issued() > 0, !addrPort(addr).Addr().Unmap().IsLoopback()
	switch {
	case !wide:
	case keys && d.certificate == nil:
		slog.Warn("the registry's API is signed and not encrypted: others can read the calls; add --registry-cert and --registry-key", "address", addr.String())
	case keys:
	case insecure:
		slog.Warn("other machines can reach the registry's API, and nobody is asked for a key", "address", addr.String())
	case d.certificate != nil:
		return usagef("listen for registry on %s: other machines can reach that, and TLS does not ask who calls; add a key (mapwarden registry keys add), or say --insecure-listen", addr)
	default:
		return usagef("listen for registry on %s: other machines can reach that, and nothing secures it; add a key (mapwarden registry keys add) and --registry-cert, listen on loopback, or say --insecure-listen", addr)
	}
	return nil
}

// guard is the face behind the door.
func (d *door) guard(face http.Handler) http.Handler { return access.New(d.options, face) }

// serve answers calls until ctx ends.
func (d *door) serve(ctx context.Context, ln net.Listener, calls http.Handler) error {
	if d.certificate != nil {
		ln = d.certificate.Listener(ln)
	}
	return access.Serve(ctx, ln, d.connections, calls)
}

// url is where a client of this process reaches the API that listens at addr.
func (d *door) url(addr net.Addr) string {
	at := netip.AddrPortFrom(addrPort(addr).Addr().Unmap(), addrPort(addr).Port())
	switch at.Addr() {
	case netip.IPv4Unspecified():
		at = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), at.Port())
	case netip.IPv6Unspecified():
		at = netip.AddrPortFrom(netip.IPv6Loopback(), at.Port())
	}
	if d.certificate != nil {
		return "https://" + at.String()
	}
	return "http://" + at.String()
}

// trust is how such a client knows the API: by its very certificate.
func (d *door) trust() *tls.Config {
	if d.certificate == nil {
		return nil
	}
	return &tls.Config{InsecureSkipVerify: true, VerifyConnection: d.certificate.Verify}
}
