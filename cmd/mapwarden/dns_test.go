package main

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/servicediscovery"
)

// TestDNSCarriesTheDataCalls has an unmodified SDK client on a machine that uses
// the registry's DNS: the call that goes to data- arrives.
func TestDNSCarriesTheDataCalls(t *testing.T) {
	a := &app{out: t.Output(), err: t.Output()}
	f := registryFlags{listen: "127.0.0.1:0"}
	f.options.Account = "000000000000"
	f.dns.listen = "127.0.0.1:0"
	f.dns.options.Values, f.dns.options.Connections = 8, 8
	f.dns.options.API.Name = "cloudmap.internal"
	s, err := a.openRegistry(t.Context(), f, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, s.dns.tcp.Addr().String())
	}}
	_, port, err := net.SplitHostPort(s.api.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	client := servicediscovery.New(servicediscovery.Options{
		BaseEndpoint: aws.String("http://cloudmap.internal:" + port), Region: "us-east-1",
		Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
		HTTPClient:  &http.Client{Transport: &http.Transport{DialContext: (&net.Dialer{Resolver: resolver}).DialContext}},
	})
	op, err := client.CreateHttpNamespace(t.Context(), &servicediscovery.CreateHttpNamespaceInput{Name: aws.String("shop")})
	if err != nil {
		t.Fatal(err)
	}
	got, err := client.GetOperation(t.Context(), &servicediscovery.GetOperationInput{OperationId: op.OperationId})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.CreateService(t.Context(), &servicediscovery.CreateServiceInput{
		Name: aws.String("api"), NamespaceId: aws.String(got.Operation.Targets["NAMESPACE"]),
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.DiscoverInstances(t.Context(), &servicediscovery.DiscoverInstancesInput{
		NamespaceName: aws.String("shop"), ServiceName: aws.String("api"),
	}); err != nil {
		t.Errorf("the call that goes to data-: %v", err)
	}
}

func TestDNSNeverForwardsInACircle(t *testing.T) {
	for _, c := range []struct {
		own, forward string
		circle       bool
	}{
		{"127.0.0.1:53", "127.0.0.1:53", true},
		{"127.0.0.1:53", "[::ffff:127.0.0.1]:53", true},
		{"0.0.0.0:53", "127.0.0.1:53", true},
		{"[::]:53", "[::1]:53", true},
		{"127.0.0.1:53", "127.0.0.1:54", false},
		{"127.0.0.1:53", "127.0.0.53:53", false},
		{"0.0.0.0:53", "192.0.2.1:53", false},
	} {
		f := dnsFlags{}
		f.options.Forward = []netip.AddrPort{netip.MustParseAddrPort(c.forward)}
		if err := f.notItself(netip.MustParseAddrPort(c.own)); (err != nil) != c.circle {
			t.Errorf("%s forwards to %s: %v", c.own, c.forward, err)
		}
	}
}
