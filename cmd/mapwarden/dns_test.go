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
	s := serveRegistry(t, func(f *registryFlags) {
		f.dns.listen, f.dns.options.API.Name = "127.0.0.1:0", "cloudmap.internal"
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
