package main

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// trustFlag says whom a command trusts that speaks to a registry over TLS.
type trustFlag struct{ file string }

func (f *trustFlag) add(c *cobra.Command) {
	c.Flags().StringVar(&f.file, "ca", "", "PEM file of the authorities, or of the certificate itself, to trust at an https URL of a registry, instead of the system's")
}

// config is for a client of a registry at url; nil is the system's authorities.
func (f *trustFlag) config(url string) (*tls.Config, error) {
	if f.file == "" {
		return nil, nil
	}
	if !strings.HasPrefix(strings.ToLower(url), "https://") {
		return nil, usagef("--ca %s: it is for a registry at an https URL, and %s is none", f.file, url)
	}
	text, err := os.ReadFile(f.file)
	if err != nil {
		return nil, usagef("--ca: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, usagef("--ca %s: it has no certificate in PEM", f.file)
	}
	return &tls.Config{RootCAs: pool}, nil
}
