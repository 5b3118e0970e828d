package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"

	"github.com/mapwarden/mapwarden/internal/registry/access"
)

func scriptCertificate(ts *testscript.TestScript, _ bool, args []string) {
	want(ts, args, 2, "certificate CERT KEY")
	ts.Check(writeCertificate(ts.MkAbs(args[0]), ts.MkAbs(args[1])))
}

// writeCertificate writes a certificate that vouches for itself.
func writeCertificate(cert, key string) error {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		return err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return err
	}
	if err := os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		return err
	}
	return os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), 0o600)
}

// TestWhereARegistryMayListen: what other machines can reach needs keys or the
// operator's word, whatever else there is.
func TestWhereARegistryMayListen(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if err := writeCertificate(cert, key); err != nil {
		t.Fatal(err)
	}
	before := slog.Default()
	defer slog.SetDefault(before)
	for _, tt := range []struct {
		name                string
		address             string
		keys, tls, insecure bool
		refused, warned     string
		url                 string
	}{
		{"loopback", "127.0.0.1:9751", false, false, false, "", "", "http://127.0.0.1:9751"},
		{"loopback, IPv6, TLS", "[::1]:9751", false, true, false, "", "", "https://[::1]:9751"},
		{"wide, nothing", "0.0.0.0:9751", false, false, false, "nothing secures it; add a key", "", ""},
		{"wide, TLS", "[::]:9751", false, true, false, "TLS does not ask who calls; add a key", "", ""},
		{"wide, keys", "[::]:9751", true, false, false, "", "signed and not encrypted", "http://[::1]:9751"},
		{"wide, keys and the word", "0.0.0.0:9751", true, false, true, "", "signed and not encrypted", "http://127.0.0.1:9751"},
		{"wide, keys and TLS", "10.0.0.7:9751", true, true, false, "", "", "https://10.0.0.7:9751"},
		{"wide, the word", "0.0.0.0:9751", false, false, true, "", "nobody is asked for a key", "http://127.0.0.1:9751"},
		{"wide, TLS and the word", "0.0.0.0:9751", false, true, true, "", "nobody is asked for a key", "https://127.0.0.1:9751"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var log bytes.Buffer
			slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
			data := t.TempDir()
			if tt.keys {
				if _, err := access.AddKey(filepath.Join(data, access.KeysFile), false, ""); err != nil {
					t.Fatal(err)
				}
			}
			f := doorFlags{connections: 1}
			if tt.tls {
				f.cert, f.key = cert, key
			}
			d, err := openDoor(f, data, "000000000000", "us-east-1")
			if err != nil {
				t.Fatal(err)
			}
			at, err := net.ResolveTCPAddr("tcp", tt.address)
			if err != nil {
				t.Fatal(err)
			}
			err = d.secured(at, tt.insecure)
			if (err != nil) != (tt.refused != "") || err != nil && !strings.Contains(err.Error(), tt.refused) {
				t.Errorf("error %v, want %q", err, tt.refused)
			}
			if !strings.Contains(log.String(), tt.warned) || (tt.warned == "") != (log.Len() == 0) {
				t.Errorf("it says %q, want %q", log.String(), tt.warned)
			}
			if tt.refused == "" && d.url(at) != tt.url {
				t.Errorf("its own client goes to %s, want %s", d.url(at), tt.url)
			}
		})
	}
}

// TestRefusedBeforeItListens: on a port that is taken it says that the address
// is refused, so it has not tried to take it; nothing was opened before either.
func TestRefusedBeforeItListens(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, port, err := net.SplitHostPort(taken.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*registryFlags){
		"registry": func(f *registryFlags) { f.listen = "0.0.0.0:" + port },
		"dns":      func(f *registryFlags) { f.dns.listen = "0.0.0.0:" + port },
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			a := &app{out: &out, err: io.Discard}
			var f registryFlags
			f.add(new(cobra.Command))
			f.listen, f.dns.listen = "127.0.0.1:0", ""
			change(&f)
			_, err := a.openRegistry(t.Context(), f, t.TempDir())
			if err == nil || !strings.Contains(err.Error(), "listen for "+name+" on 0.0.0.0:"+port+": other machines can reach that") {
				t.Errorf("error %v", err)
			}
			if out.Len() > 0 {
				t.Errorf("it says %q", &out)
			}
		})
	}
}
