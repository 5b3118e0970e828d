package access_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"
	sd "github.com/aws/aws-sdk-go-v2/service/servicediscovery"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/mapwarden/mapwarden/internal/component"
	"github.com/mapwarden/mapwarden/internal/registry"
	"github.com/mapwarden/mapwarden/internal/registry/access"
	"github.com/mapwarden/mapwarden/internal/registry/awsjson"
)

// locked is a registry in eu-west-1 that asks for signatures, served on a real
// socket.
type locked struct {
	address    string // host and port
	keys       string // path of the file
	full, read access.Key
}

func serveLocked(t *testing.T, over ...func(net.Listener) net.Listener) locked {
	t.Helper()
	reg, err := registry.Open(registry.Options{Region: "eu-west-1", Account: "123456789012"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reg.Close() })
	l := locked{keys: filepath.Join(t.TempDir(), access.KeysFile)}
	for to, readOnly := range map[*access.Key]bool{&l.full: false, &l.read: true} {
		if *to, err = access.AddKey(l.keys, readOnly, ""); err != nil {
			t.Fatal(err)
		}
	}
	ring, err := access.OpenRing(l.keys, nil)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.address = ln.Addr().String()
	for _, wrap := range over {
		ln = wrap(ln)
	}
	start(t, ln, access.DefaultConnections, access.New(access.Options{Keys: ring, Region: "eu-west-1", Account: "123456789012"}, awsjson.New(reg)))
	return l
}

// start serves until the test ends.
func start(t testing.TB, ln net.Listener, most int, h http.Handler) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- access.Serve(ctx, ln, most, h) }()
	t.Cleanup(func() {
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}

func client(endpoint string, key access.Key, set ...func(*sd.Options)) *sd.Client {
	return sd.New(sd.Options{
		Region: "eu-west-1", BaseEndpoint: &endpoint, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(key.ID, key.Secret, ""),
	}, set...)
}

// noPrefix keeps the SDK from putting data- in front of the host.
func noPrefix(o *sd.Options) {
	o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
		return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("NoHostPrefix",
			func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
				return next.HandleInitialize(smithyhttp.DisableEndpointHostPrefix(ctx, true), in)
			}), middleware.Before)
	})
}

func overHTTP(transport *http.Transport) func(*sd.Options) {
	transport.DisableKeepAlives = true
	return func(o *sd.Options) { o.HTTPClient = &http.Client{Transport: transport} }
}

// codeOf is the code of an API error, "" for none.
func codeOf(t *testing.T, err error) string {
	t.Helper()
	var api smithy.APIError
	if err != nil && !errors.As(err, &api) {
		t.Errorf("no answer of the API: %v", err)
	}
	if api == nil {
		return ""
	}
	return api.ErrorCode()
}

func ptr[T any](v T) *T { return &v }

// TestGoSDK calls with AWS's SDK for Go on every way to a host with data- in
// front of it, with good keys and with others.
func TestGoSDK(t *testing.T) {
	l := serveLocked(t)
	proxy := overHTTP(&http.Transport{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: l.address})})
	names := overHTTP(&http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) { // as /etc/hosts would
		return (&net.Dialer{}).DialContext(ctx, network, l.address)
	}})
	stranger, wrong := access.NewKey(false, ""), l.full
	wrong.Secret = stranger.Secret
	for _, way := range []struct {
		name, endpoint string
		set            func(*sd.Options)
	}{
		{"switch", "http://" + l.address, noPrefix},
		{"proxy", "http://cloudmap.local", proxy},
		{"proxy, port 80", "http://cloudmap.local:80", proxy},
		{"proxy, own address", "http://" + l.address, proxy},
		{"names", "http://cloudmap.local:9751", names},
		{"names, port 80", "http://cloudmap.local", names},
	} {
		for _, who := range []struct {
			name      string
			key       access.Key
			reads     string // code of a read, and of a write
			writes    string
			discovers string
		}{
			{"full", l.full, "", "ServiceNotFound", "NamespaceNotFound"},
			{"read-only", l.read, "", "AccessDeniedException", "NamespaceNotFound"},
			{"wrong secret", wrong, "InvalidSignatureException", "InvalidSignatureException", "InvalidSignatureException"},
			{"stranger", stranger, "UnrecognizedClientException", "UnrecognizedClientException", "UnrecognizedClientException"},
		} {
			t.Run(way.name+"/"+who.name, func(t *testing.T) {
				c := client(way.endpoint, who.key, way.set)
				_, err := c.ListNamespaces(t.Context(), &sd.ListNamespacesInput{})
				if got := codeOf(t, err); got != who.reads {
					t.Errorf("read: %v, want %q", err, who.reads)
				}
				_, err = c.DeleteService(t.Context(), &sd.DeleteServiceInput{Id: ptr("srv-none")})
				if got := codeOf(t, err); got != who.writes {
					t.Errorf("write: %v, want %q", err, who.writes)
				}
				_, err = c.DiscoverInstances(t.Context(), &sd.DiscoverInstancesInput{NamespaceName: ptr("a"), ServiceName: ptr("b")})
				if got := codeOf(t, err); got != who.discovers {
					t.Errorf("discover: %v, want %q", err, who.discovers)
				}
			})
		}
	}
	_, err := client("http://"+l.address, l.full, func(o *sd.Options) { o.Region = "us-east-1" }).ListNamespaces(t.Context(), &sd.ListNamespacesInput{})
	if got := codeOf(t, err); got != "InvalidSignatureException" || !strings.Contains(err.Error(), "this registry is in eu-west-1") {
		t.Errorf("another region: %v", err)
	}
}

// TestProgramsOfAWS calls with the AWS command line and with boto3.
func TestProgramsOfAWS(t *testing.T) {
	l := serveLocked(t)
	aws, python := component.Need(t, component.AWS), component.Need(t, component.Boto3)
	const script = `import boto3, sys
c = boto3.client("servicediscovery", endpoint_url=sys.argv[1])
print(c.create_http_namespace(Name="a") if sys.argv[2] == "write" else c.discover_instances(NamespaceName="a", ServiceName="b"))`
	direct, proxied := "http://"+l.address, "http://cloudmap.local:80"
	for name, call := range map[string]func(endpoint, does string) *exec.Cmd{
		"aws": func(endpoint, does string) *exec.Cmd {
			args := []string{"--endpoint-url", endpoint, "servicediscovery", "discover-instances", "--namespace-name", "a", "--service-name", "b"}
			if does == "write" {
				args = append(args[:3], "create-http-namespace", "--name", "a")
			}
			return exec.Command(aws, args...)
		},
		"boto3": func(endpoint, does string) *exec.Cmd { return exec.Command(python, "-c", script, endpoint, does) },
	} {
		for _, tt := range []struct {
			does, endpoint, proxy string
			key                   access.Key
			says                  string // any of these
		}{
			{"write", direct, "", access.NewKey(false, ""), `\(UnrecognizedClientException\)`},
			{"write", direct, "", l.read, `\(AccessDeniedException\).* is not authorized to perform: servicediscovery:CreateHttpNamespace`},
			{"write", direct, "", l.full, `OperationId|\(NamespaceAlreadyExists\)|\(DuplicateRequest\)`},
			{"discover", proxied, direct, l.read, `\(ServiceNotFound\)|\(NamespaceNotFound\)`},
		} {
			t.Run(name+"/"+tt.does+" "+tt.says, func(t *testing.T) {
				cmd := call(tt.endpoint, tt.does)
				cmd.Env = environment(tt.proxy, tt.key)
				if out, err := cmd.CombinedOutput(); !regexp.MustCompile(tt.says).Match(out) {
					t.Errorf("%v: %s", err, out)
				}
			})
		}
	}
}

// environment of a program of AWS, without what could lead it elsewhere.
func environment(proxy string, key access.Key) (env []string) {
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if !strings.HasPrefix(name, "AWS_") && !strings.HasSuffix(strings.ToLower(name), "_proxy") {
			env = append(env, kv)
		}
	}
	return append(env, "HTTP_PROXY="+proxy, "AWS_ACCESS_KEY_ID="+key.ID, "AWS_SECRET_ACCESS_KEY="+key.Secret, "AWS_DEFAULT_REGION=eu-west-1",
		"AWS_MAX_ATTEMPTS=1", "AWS_PAGER=", "AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull)
}

// TestTampering lets the SDK sign and changes the request on its way.
func TestTampering(t *testing.T) {
	l := serveLocked(t)
	for name, change := range map[string]func(*http.Request){
		"body": func(r *http.Request) {
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader(`{"MaxResults":2}`)), 16
		},
		"operation": func(r *http.Request) { r.Header.Set("X-Amz-Target", "Route53AutoNaming_v20170314.ListServices") },
		"host":      func(r *http.Request) { r.Host = "elsewhere" },
		"nothing":   func(*http.Request) {},
	} {
		c := client("http://"+l.address, l.full, func(o *sd.Options) {
			o.HTTPClient = tamper{change, &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
		})
		_, err := c.ListNamespaces(t.Context(), &sd.ListNamespacesInput{MaxResults: ptr[int32](1)})
		want := "InvalidSignatureException"
		if name == "nothing" {
			want = ""
		}
		if got := codeOf(t, err); got != want {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
}

type tamper struct {
	change func(*http.Request)
	next   *http.Client
}

func (t tamper) Do(r *http.Request) (*http.Response, error) {
	t.change(r)
	return t.next.Do(r)
}

// TestTLS: the SDK calls over TLS, the certificate is renewed while the
// registry runs, and old versions are refused.
func TestTLS(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	pool := issue(t, cert, key, "data-cloudmap.local", "cloudmap.local")
	certificate, err := access.OpenCertificate(cert, key, nil)
	if err != nil {
		t.Fatal(err)
	}
	l := serveLocked(t, certificate.Listener)
	over := func(pool *x509.CertPool, versions ...uint16) *sd.Client {
		config := &tls.Config{RootCAs: pool}
		if len(versions) > 0 {
			config.MinVersion, config.MaxVersion = tls.VersionTLS10, versions[0]
		}
		return client("https://cloudmap.local", l.read, overHTTP(&http.Transport{
			TLSClientConfig: config, ForceAttemptHTTP2: true,
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, network, l.address)
			},
		}))
	}
	lists := func(c *sd.Client) error {
		_, err := c.ListNamespaces(t.Context(), &sd.ListNamespacesInput{})
		return err
	}
	_, err = over(pool).DiscoverInstances(t.Context(), &sd.DiscoverInstancesInput{NamespaceName: ptr("a"), ServiceName: ptr("b")})
	if got := codeOf(t, err); got != "NamespaceNotFound" {
		t.Errorf("discover: %v", err)
	}
	if err := lists(over(pool, tls.VersionTLS11)); err == nil || !strings.Contains(err.Error(), "protocol version") {
		t.Errorf("TLS 1.1: %v", err)
	}
	if err := lists(over(x509.NewCertPool())); err == nil {
		t.Error("a client that does not trust the certificate calls all the same")
	}
	own, err := tls.Dial("tcp", l.address, &tls.Config{InsecureSkipVerify: true, VerifyConnection: certificate.Verify})
	if err != nil {
		t.Errorf("the process does not know its own certificate: %v", err)
	} else {
		own.Close()
	}

	renewed := issue(t, cert, key, "data-cloudmap.local", "cloudmap.local")
	until(t, func() bool { return lists(over(renewed)) == nil })
	if err := lists(over(pool)); err == nil {
		t.Error("the old certificate is still served")
	}
	if err := os.WriteFile(key, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := lists(over(renewed)); err != nil {
			t.Errorf("a bad pair of files took the certificate away: %v", err)
		}
	}
}
