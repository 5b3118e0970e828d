package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/servicediscovery"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/mapwarden/mapwarden/internal/component"
	"github.com/mapwarden/mapwarden/internal/web"
)

// clientEnv is the environment of a client of the registry, without what
// could lead it elsewhere.
func clientEnv(t *testing.T, more ...string) []string {
	t.Helper()
	var env []string
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if !strings.HasPrefix(name, "AWS_") && !strings.HasSuffix(strings.ToLower(name), "_proxy") {
			env = append(env, kv)
		}
	}
	return append(append(env, "AWS_ACCESS_KEY_ID=local", "AWS_SECRET_ACCESS_KEY=local", "AWS_DEFAULT_REGION=us-east-1",
		"AWS_PAGER=", "AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull), more...)
}

// TestBoto3 leads boto3, not changed in any way, through a whole life of two
// services with five servers, while a daemon watches.
func TestBoto3(t *testing.T) {
	t.Parallel()
	python := component.Need(t, component.Boto3)
	f := newFleet(t)
	d := f.start(t.TempDir(), fuse{})

	cmd := exec.Command(python, "testdata/boutique.py")
	cmd.Env = clientEnv(t, "HTTP_PROXY="+f.wire.URL)
	var said transcript
	cmd.Stderr = &said
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	if line, err := lines.ReadString('\n'); line == "ready\n" {
		f.passing(d, 5)
	} else {
		t.Errorf("it is not ready: %q, %v", line, err)
	}
	io.WriteString(in, "go on\n")
	in.Close()
	if err := cmd.Wait(); err != nil {
		t.Errorf("boutique.py: %v\n%s", err, said.String())
	}
	entries, _ := d.entries()
	for _, e := range entries {
		if e.IsOut {
			t.Errorf("%s is still out", e.Instance)
		}
	}
	if services, ok := get[web.Services](d, "/api/v1/services"); !ok || len(services.Services) != 2 {
		t.Errorf("the daemon saw %d services", len(services.Services))
	}
}

// discover is a call for which clients put `data-` before the host.
const discover = `import boto3, botocore.config, sys
config = botocore.config.Config(inject_host_prefix=False) if "plain" in sys.argv else None
c = boto3.client("servicediscovery", endpoint_url=sys.argv[1], config=config)
print(*(i["InstanceId"] for i in c.discover_instances(NamespaceName="shop", ServiceName="api")["Instances"]))
`

// TestDataNames tries each way that docs/registry.md tells around the prefix
// `data-`, with each client that is here, and the trap that it warns of.
func TestDataNames(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "api")
	at, err := url.Parse(f.wire.URL)
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(config, []byte("[default]\ndisable_host_prefix_injection = true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const made = "http://cloudmap.local"
	proxy := "HTTP_PROXY=" + f.wire.URL
	ways := []struct {
		name     string
		endpoint string
		env      []string
		works    bool
		recent   bool // needs a client that knows the switch
	}{
		{"proxy", made, []string{proxy}, true, false},
		{"proxy and a real address", f.wire.URL, []string{proxy}, true, false},
		{"proxy and another NO_PROXY", made, []string{proxy, "NO_PROXY=127.0.0.1,localhost"}, true, false},
		{"proxy, a real address and its NO_PROXY", f.wire.URL, []string{proxy, "NO_PROXY=" + at.Hostname() + ",localhost"}, false, false},
		{"nothing", f.wire.URL, nil, false, false},
		{"variable", f.wire.URL, []string{"AWS_DISABLE_HOST_PREFIX_INJECTION=true"}, true, true},
		{"config file", f.wire.URL, []string{"AWS_CONFIG_FILE=" + config}, true, true},
	}
	clients := map[string]func(endpoint string) *exec.Cmd{}
	for _, aws := range programs(component.Need(t, component.AWS), "/usr/bin/aws", "--version") {
		clients[aws] = func(endpoint string) *exec.Cmd {
			return exec.Command(aws, "--endpoint-url", endpoint, "--cli-connect-timeout", "5", "servicediscovery", "discover-instances",
				"--namespace-name", "shop", "--service-name", "api", "--query", "Instances[].InstanceId", "--output", "text")
		}
	}
	for _, python := range programs(component.Need(t, component.Boto3), "/usr/bin/python3", "-c", "import boto3") {
		clients[python] = func(endpoint string) *exec.Cmd { return exec.Command(python, "-c", discover, endpoint) }
		t.Run(python+"/inject_host_prefix", func(t *testing.T) {
			cmd := exec.Command(python, "-c", discover, f.wire.URL, "plain")
			cmd.Env = clientEnv(t)
			found(t, cmd, true)
		})
	}
	for client, call := range clients {
		recent := knowsSwitch(t, client)
		for _, way := range ways {
			if way.recent && !recent {
				continue
			}
			t.Run(client+"/"+way.name, func(t *testing.T) {
				cmd := call(way.endpoint)
				cmd.Env = clientEnv(t, append(way.env, "AWS_MAX_ATTEMPTS=1")...)
				found(t, cmd, way.works)
			})
		}
	}
}

// discoverEnv makes a process of the test binary a Go client, which asks the
// endpoint that it holds, with the SDK's own HTTP client and settings.
const discoverEnv = "MAPWARDEN_TEST_DISCOVER"

// goDiscover prints what the Go SDK finds. With bare the host keeps its name.
func goDiscover(endpoint string, bare bool) error {
	ctx := context.Background()
	cfg, err := awsconfig.LoadDefaultConfig(ctx, awsconfig.WithRegion("us-east-1"))
	if err != nil {
		return err
	}
	client := servicediscovery.NewFromConfig(cfg, func(o *servicediscovery.Options) {
		o.BaseEndpoint = aws.String(endpoint)
		o.RetryMaxAttempts = 1
		if bare {
			o.APIOptions = append(o.APIOptions, func(s *middleware.Stack) error {
				return s.Initialize.Add(middleware.InitializeMiddlewareFunc("NoHostPrefix",
					func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (
						middleware.InitializeOutput, middleware.Metadata, error) {
						return next.HandleInitialize(smithyhttp.DisableEndpointHostPrefix(ctx, true), in)
					}), middleware.Before)
			})
		}
	})
	out, err := client.DiscoverInstances(ctx, &servicediscovery.DiscoverInstancesInput{
		NamespaceName: aws.String("shop"), ServiceName: aws.String("api"),
	})
	if err != nil {
		return err
	}
	for _, i := range out.Instances {
		fmt.Println(aws.ToString(i.InstanceId))
	}
	return nil
}

// TestDataNamesInGo tries them with the Go SDK, which knows no variable for
// the switch. Its NO_PROXY compares whole names, so the trap is none.
func TestDataNamesInGo(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "api")
	const made = "http://cloudmap.local"
	proxy := "HTTP_PROXY=" + f.wire.URL
	for _, way := range []struct {
		name     string
		endpoint string
		env      []string
		works    bool
	}{
		{"proxy", made, []string{proxy}, true},
		{"proxy and a real address", f.wire.URL, []string{proxy}, true},
		{"proxy, a real address and its NO_PROXY", f.wire.URL, []string{proxy, "NO_PROXY=127.0.0.1,localhost"}, true},
		{"nothing", f.wire.URL, nil, false},
		{"variable", f.wire.URL, []string{"AWS_DISABLE_HOST_PREFIX_INJECTION=true"}, false},
		{"middleware", f.wire.URL, []string{"BARE=true"}, true},
	} {
		t.Run(way.name, func(t *testing.T) {
			cmd := exec.Command(os.Args[0])
			cmd.Env = clientEnv(t, append(way.env, discoverEnv+"="+way.endpoint)...)
			found(t, cmd, way.works)
		})
	}
}

// found runs a client, which has to find the three instances, or must not.
func found(t *testing.T, cmd *exec.Cmd, works bool) {
	t.Helper()
	out, err := cmd.CombinedOutput()
	all := strings.Contains(string(out), "api-0") && strings.Contains(string(out), "api-1") && strings.Contains(string(out), "api-2")
	if ok := err == nil && all; ok != works {
		t.Errorf("it works: %t, want %t; %v\n%s", ok, works, err, out)
	}
}

// programs are the first program and, where it works, a second one.
func programs(first, second string, proof ...string) []string {
	if first != second && exec.Command(second, proof...).Run() == nil {
		return []string{first, second}
	}
	return []string{first}
}

// knowsSwitch reports whether a client is at least as new as those that
// docs/registry.md names for the switch.
func knowsSwitch(t *testing.T, client string) bool {
	t.Helper()
	args := []string{"--version"}
	if strings.Contains(filepath.Base(client), "python") {
		args = []string{"-c", `import botocore; print("botocore/" + botocore.__version__)`}
	}
	out, err := exec.Command(client, args...).CombinedOutput()
	if err != nil {
		t.Fatal(fmt.Errorf("%s: %w: %s", client, err, out))
	}
	m := regexp.MustCompile(`botocore/1\.(\d+)`).FindSubmatch(out)
	if m == nil {
		return false // version 2 of the command line does not say
	}
	minor, err := strconv.Atoi(string(m[1]))
	return err == nil && minor >= 43
}
