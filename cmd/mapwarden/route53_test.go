package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/servicediscovery"
	"github.com/aws/aws-sdk-go-v2/service/servicediscovery/types"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/spf13/cobra"

	"github.com/mapwarden/mapwarden/internal/registry"
)

// checkedService is a registry as the command runs it, and in it the service
// prod/web with a Route 53 check, seen through AWS's client.
type checkedService struct {
	t   *testing.T
	api *servicediscovery.Client
	url string
	id  string
}

func newCheckedService(t *testing.T, change func(*registryFlags), check *types.HealthCheckConfig) *checkedService {
	t.Helper()
	served := serveRegistry(t, change)
	s := &checkedService{t: t, url: served.url()}
	s.api = servicediscovery.New(servicediscovery.Options{
		Region: "us-east-1", BaseEndpoint: &s.url, Credentials: credentials.NewStaticCredentialsProvider("AKID", "SECRET", ""),
		APIOptions: []func(*middleware.Stack) error{func(stack *middleware.Stack) error {
			return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("NoHostPrefix",
				func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (
					middleware.InitializeOutput, middleware.Metadata, error) {
					return next.HandleInitialize(smithyhttp.DisableEndpointHostPrefix(ctx, true), in)
				}), middleware.Before)
		}},
	})
	made, err := s.api.CreateHttpNamespace(t.Context(), &servicediscovery.CreateHttpNamespaceInput{Name: aws.String("prod")})
	if err != nil {
		t.Fatal(err)
	}
	op, err := s.api.GetOperation(t.Context(), &servicediscovery.GetOperationInput{OperationId: made.OperationId})
	if err != nil {
		t.Fatal(err)
	}
	svc, err := s.api.CreateService(t.Context(), &servicediscovery.CreateServiceInput{
		Name: aws.String("web"), NamespaceId: aws.String(op.Operation.Targets["NAMESPACE"]), HealthCheckConfig: check})
	if err != nil {
		t.Fatal(err)
	}
	s.id = *svc.Service.Id
	return s
}

// serveRegistry runs a registry with the flags that it has by default, but for
// its API at any port, no DNS, operations without delay, and what change does to them.
func serveRegistry(t *testing.T, change func(*registryFlags)) *servedRegistry {
	t.Helper()
	a := &app{out: io.Discard, err: io.Discard}
	var f registryFlags
	f.add(new(cobra.Command))
	f.listen, f.dns.listen, f.options.OperationDelay = "127.0.0.1:0", "", 0
	change(&f)
	served, err := a.openRegistry(t.Context(), f, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- served.run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return served
}

// register registers a server.
func (s *checkedService) register(id, address string) {
	s.t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err = s.api.RegisterInstance(s.t.Context(), &servicediscovery.RegisterInstanceInput{ServiceId: &s.id, InstanceId: &id,
		Attributes: map[string]string{"AWS_INSTANCE_IPV4": u.Hostname(), "AWS_INSTANCE_PORT": u.Port()}}); err != nil {
		s.t.Fatal(err)
	}
}

func (s *checkedService) status(id string) types.HealthStatus {
	out, err := s.api.GetInstancesHealthStatus(s.t.Context(), &servicediscovery.GetInstancesHealthStatusInput{ServiceId: &s.id, Instances: []string{id}})
	if err != nil {
		s.t.Fatal(err)
	}
	return out.Status[id]
}

// becomes waits until an instance has a status.
func (s *checkedService) becomes(id string, want types.HealthStatus) {
	s.t.Helper()
	for deadline := time.Now().Add(patience); s.status(id) != want; {
		if time.Now().After(deadline) {
			views, err := readChecks(s.t.Context(), s.url, new(trustFlag), nil)
			s.t.Fatalf("%s is %s, waited for %s in vain; its checks: %+v, %v", id, s.status(id), want, views, err)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// found is who is discovered as healthy, with the status.
func (s *checkedService) found() string {
	s.t.Helper()
	out, err := s.api.DiscoverInstances(s.t.Context(), &servicediscovery.DiscoverInstancesInput{
		NamespaceName: aws.String("prod"), ServiceName: aws.String("web"), HealthStatus: types.HealthStatusFilterHealthy})
	if err != nil {
		s.t.Fatal(err)
	}
	var all []string
	for _, i := range out.Instances {
		all = append(all, *i.InstanceId+" "+string(i.HealthStatus))
	}
	return strings.Join(all, ", ")
}

// TestRoute53Checks lets a real server answer 200, 500 and 200, and looks
// through AWS's client at what the registry makes of it.
func TestRoute53Checks(t *testing.T) {
	t.Parallel()
	var code atomic.Int32
	code.Store(http.StatusOK)
	var host, agent atomic.Value
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/up" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		host.Store(r.Host)
		agent.Store(r.UserAgent())
		if code.Load() == http.StatusFound {
			w.Header().Set("Location", "/nowhere")
		}
		w.WriteHeader(int(code.Load()))
	}))
	defer server.Close()
	tls := httptest.NewTLSServer(http.NotFoundHandler())
	defer tls.Close()

	s := newCheckedService(t, func(f *registryFlags) { f.checks.interval = minRoute53Interval },
		&types.HealthCheckConfig{Type: types.HealthCheckTypeHttp, ResourcePath: aws.String("/up"), FailureThreshold: aws.Int32(2)})
	s.register("a", server.URL)
	s.becomes("a", types.HealthStatusHealthy)
	if got := host.Load(); got != server.Listener.Addr().String() {
		t.Errorf("Host is %v", got)
	}
	if got := agent.Load().(string); !strings.HasPrefix(got, "Amazon-Route53-Health-Check-Service") {
		t.Errorf("User-Agent is %s", got)
	}
	code.Store(http.StatusInternalServerError)
	s.becomes("a", types.HealthStatusUnhealthy)
	if got := s.found(); got != "" {
		t.Errorf("found %s", got)
	}
	views, err := readChecks(t.Context(), s.url, new(trustFlag), []string{s.id, "a"})
	if err != nil || len(views) != 1 || views[0].Verdict != "unhealthy" || views[0].Vantages[0].Cause != "status" {
		t.Errorf("views %+v, %v", views, err)
	}
	code.Store(http.StatusFound) // a redirect is an answer, and is not followed
	s.becomes("a", types.HealthStatusHealthy)
	if got := s.found(); got != "a HEALTHY" {
		t.Errorf("found %s", got)
	}
	s.register("b", tls.URL) // speaks no plain HTTP
	s.becomes("b", types.HealthStatusUnhealthy)
	if _, err := readChecks(t.Context(), s.url, new(trustFlag), []string{s.id, "none"}); err == nil {
		t.Error("an instance that is not there has a view")
	}
}

// TestRoute53OverTLS checks over TLS, with a certificate that nobody trusts.
func TestRoute53OverTLS(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	s := newCheckedService(t, func(f *registryFlags) { f.checks.interval, f.checks.vantages = minRoute53Interval, 1 },
		&types.HealthCheckConfig{Type: types.HealthCheckTypeHttps})
	s.register("a", server.URL)
	s.becomes("a", types.HealthStatusHealthy)
	server.Close()
	s.becomes("a", types.HealthStatusUnhealthy)
}

// TestRoute53NotReady is the story of 2019: a server registers before it is
// ready, and gets traffic until its checks say that it fails.
func TestRoute53NotReady(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		closed bool
		want   string
	}{
		"as on AWS": {false, "a UNKNOWN"},
		"closed":    {true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusServiceUnavailable)
			}))
			defer server.Close()
			s := newCheckedService(t, func(f *registryFlags) { f.options.UnknownIsUnhealthy, f.checks.interval = tt.closed, time.Hour },
				&types.HealthCheckConfig{Type: types.HealthCheckTypeHttp})
			s.register("a", server.URL)
			if got := s.found(); got != tt.want {
				t.Errorf("found %q, want %q", got, tt.want)
			}
			if got := s.status("a"); got != types.HealthStatusUnknown {
				t.Errorf("status %s", got)
			}
		})
	}
}

// TestRoute53InDNS asks over DNS for a service of which one instance has passed
// its check, one has failed, and one was not looked at yet.
func TestRoute53InDNS(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		closed bool
		want   []string
	}{
		"as on AWS": {false, []string{"127.0.0.1", "127.0.0.3"}},
		"closed":    {true, []string{"127.0.0.1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			served := serveRegistry(t, func(f *registryFlags) {
				f.dns.listen, f.options.UnknownIsUnhealthy = "127.0.0.1:0", tt.closed
				f.checks.interval = time.Hour
			})
			made, err := served.reg.CreateNamespace(registry.NewNamespace{Name: "example.test", Type: registry.DNSPublicNamespace})
			if err != nil {
				t.Fatal(err)
			}
			op, err := served.reg.Operation(made, "")
			if err != nil {
				t.Fatal(err)
			}
			svc, err := served.reg.CreateService(registry.NewService{
				Name: "web", NamespaceID: op.Targets.Namespace, HealthCheck: &registry.NewHealthCheck{Type: "TCP"},
				DNS: &registry.DNSConfig{Records: []registry.DNSRecord{{Type: registry.RecordA, TTL: 0}}},
			})
			if err != nil {
				t.Fatal(err)
			}
			for _, addr := range []string{"127.0.0.1", "127.0.0.2", "127.0.0.3"} {
				if _, err := served.reg.Register(registry.Registration{ServiceID: svc.ID, InstanceID: addr,
					Attributes: map[string]string{registry.AttrIPv4: addr, registry.AttrPort: "1"}}); err != nil {
					t.Fatal(err)
				}
			}
			checked := served.reg.Checked()
			if err := served.reg.SetObserved([]registry.Observed{
				{Checked: checked[0], Status: registry.Healthy}, {Checked: checked[1], Status: registry.Unhealthy},
			}); err != nil {
				t.Fatal(err)
			}
			resolver := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, served.dns.tcp.Addr().String())
			}}
			got, err := resolver.LookupHost(t.Context(), "web.example.test.")
			slices.Sort(got)
			if err != nil || !slices.Equal(got, tt.want) {
				t.Errorf("DNS says %v, %v; want %v", got, err, tt.want)
			}
		})
	}
}
