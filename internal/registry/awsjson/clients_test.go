package awsjson_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	sd "github.com/aws/aws-sdk-go-v2/service/servicediscovery"
	"github.com/aws/smithy-go"

	"github.com/mapwarden/mapwarden/internal/component"
	"github.com/mapwarden/mapwarden/internal/registry"
	"github.com/mapwarden/mapwarden/internal/registry/awsjson"
)

// members are the members of a request or an answer.
type members = map[string]any

// sdk is a client of the registry: a real one, made by others, that is told
// what to call.
type sdk interface {
	knows(operation string) bool
	shows(code, member string) bool // of errors; false where its version is older than the member
	call(t *testing.T, operation string, in members) (out, refusal members)
}

// TestClients leads each client through a life that takes every operation, as
// far as its version knows them all.
func TestClients(t *testing.T) {
	for name, connect := range map[string]func(t *testing.T, endpoint string) sdk{
		"go": func(_ *testing.T, endpoint string) sdk { return goSDK{client(endpoint, noPrefix)} },
		"js": func(t *testing.T, endpoint string) sdk {
			cmd := exec.Command(component.Need(t, component.JS), "testdata/driver.js", endpoint)
			cmd.Env = append(os.Environ(), "NODE_PATH="+component.JSModules())
			return drive(t, cmd)
		},
		"boto3": func(t *testing.T, endpoint string) sdk {
			d := drive(t, exec.Command(component.Need(t, component.Boto3), "testdata/driver.py", endpoint))
			d.read(t, &d.names)
			return d
		},
		"aws": func(t *testing.T, endpoint string) sdk {
			c := commandLine{component.Need(t, component.AWS), endpoint, ""}
			help, _ := c.command("help").Output() // some have no pager, and fail after the text
			c.help = string(help)
			return c
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, api, seen := serveCounting(t)
			c := connect(t, api)
			walk{t, c}.all()
			var missing []string
			for _, operation := range awsjson.OperationNames() {
				if !seen()[operation] {
					missing = append(missing, operation)
				}
			}
			if name == "go" || name == "js" {
				if len(missing) > 0 {
					t.Errorf("never called: %s", missing)
				}
			} else if len(missing) > 0 {
				t.Logf("this version does not know %s", missing)
			}
		})
	}
}

// serveCounting is a registry, and the operations that it has carried out.
func serveCounting(t *testing.T) (*registry.Registry, string, func() map[string]bool) {
	reg, err := registry.Open(registry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	seen := make(map[string]bool)
	face := awsjson.New(reg)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		recorder := httptest.NewRecorder()
		face.ServeHTTP(recorder, r)
		if recorder.Code == http.StatusOK {
			mu.Lock()
			seen[strings.TrimPrefix(r.Header.Get("X-Amz-Target"), target)] = true
			mu.Unlock()
		}
		for name, values := range recorder.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(recorder.Code)
		w.Write(recorder.Body.Bytes())
	}))
	t.Cleanup(server.Close)
	return reg, server.URL, func() map[string]bool { mu.Lock(); defer mu.Unlock(); return maps.Clone(seen) }
}

// goSDK is the SDK for Go.
type goSDK struct{ c *sd.Client }

func (g goSDK) knows(operation string) bool {
	return reflect.ValueOf(g.c).MethodByName(operation).IsValid()
}

func (goSDK) shows(string, string) bool { return true }

func (g goSDK) call(t *testing.T, operation string, in members) (out, refusal members) {
	method := reflect.ValueOf(g.c).MethodByName(operation)
	input := reflect.New(method.Type().In(1).Elem())
	remarshal(t, in, input.Interface())
	result := method.Call([]reflect.Value{reflect.ValueOf(t.Context()), input})
	if err, failed := result[1].Interface().(error); failed {
		var known smithy.APIError
		if !errors.As(err, &known) {
			t.Fatalf("%s: %v", operation, err)
		}
		_, generic := known.(*smithy.GenericAPIError)
		remarshal(t, known, &refusal)
		refusal["code"], refusal["typed"] = known.ErrorCode(), !generic
		return nil, refusal
	}
	remarshal(t, result[0].Interface(), &out)
	return out, nil
}

func remarshal(t *testing.T, from, to any) {
	t.Helper()
	raw, err := json.Marshal(from)
	if err == nil {
		err = json.Unmarshal(raw, to)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// driver is a client in a process of its own, which reads calls and prints
// answers.
type driver struct {
	in    io.Writer
	out   *bufio.Reader
	names []string // the operations that it knows; nil is all
}

func drive(t *testing.T, cmd *exec.Cmd) *driver {
	t.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v: %s", err, said.String())
		}
	})
	return &driver{in: in, out: bufio.NewReader(out)}
}

func (d *driver) knows(operation string) bool {
	return d.names == nil || slices.Contains(d.names, operation)
}

func (d *driver) shows(code, member string) bool { return d.knows(code + "." + member) }

func (d *driver) read(t *testing.T, into any) {
	t.Helper()
	line, err := d.out.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, into)
	}
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
}

func (d *driver) call(t *testing.T, operation string, in members) (out, refusal members) {
	line, err := json.Marshal(members{"op": operation, "in": in})
	if err == nil {
		_, err = d.in.Write(append(line, '\n'))
	}
	if err != nil {
		t.Fatal(err)
	}
	var answer struct{ Out, Error members }
	d.read(t, &answer)
	return answer.Out, answer.Error
}

// commandLine is the AWS command line: a process for each call.
type commandLine struct{ program, endpoint, help string }

func (c commandLine) command(words ...string) *exec.Cmd {
	// The registry is the proxy for the names that begin with data-.
	cmd := exec.Command(c.program, append([]string{"--endpoint-url", "http://cloudmap.local", "--output", "json", "servicediscovery"}, words...)...)
	cmd.Env = append(os.Environ(), "HTTP_PROXY="+c.endpoint, "NO_PROXY=", "no_proxy=", "AWS_ACCESS_KEY_ID=local", "AWS_SECRET_ACCESS_KEY=local",
		"AWS_DEFAULT_REGION=us-east-1", "AWS_PAGER=", "AWS_MAX_ATTEMPTS=1", "AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull)
	return cmd
}

var (
	capital   = regexp.MustCompile(`[A-Z]`)
	errorCode = regexp.MustCompile(`An error occurred \((\w+)\) when calling .*?: (.*)`)
)

// kebab is the command of an operation.
func kebab(operation string) string {
	return strings.TrimPrefix(strings.ToLower(capital.ReplaceAllString(operation, "-$0")), "-")
}

func (c commandLine) knows(operation string) bool {
	return c.help == "" || regexp.MustCompile(`\b`+kebab(operation)+`\b`).MatchString(c.help)
}

func (commandLine) shows(string, string) bool { return false }

func (c commandLine) call(t *testing.T, operation string, in members) (out, refusal members) {
	input, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	cmd := c.command(kebab(operation), "--cli-input-json", string(input))
	cmd.Stderr = &said
	raw, err := cmd.Output()
	if err != nil {
		m := errorCode.FindStringSubmatch(said.String())
		if m == nil {
			t.Fatalf("%s: %v %s", operation, err, said.String())
		}
		return nil, members{"code": m[1], "Message": m[2]}
	}
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &out); err != nil {
			t.Fatalf("%s: %v in %s", operation, err, raw)
		}
	}
	return out, nil
}

// walk leads a client through a life of the registry.
type walk struct {
	t *testing.T
	c sdk
}

// do makes a call that has to work.
func (w walk) do(operation string, in members) (out members) {
	if !w.c.knows(operation) {
		return nil
	}
	w.t.Run(operation, func(t *testing.T) {
		answer, refusal := w.c.call(t, operation, in)
		if refusal != nil {
			t.Errorf("%v: %v", in, refusal)
		}
		out = answer
	})
	return out
}

// begin makes a call that has to return an operation.
func (w walk) begin(operation string, in members) {
	w.t.Helper()
	if id, _ := w.do(operation, in)["OperationId"].(string); id == "" {
		w.t.Errorf("%s returned no operation", operation)
	}
}

// done makes a call and asks for its operation, which has to be done.
func (w walk) done(operation string, in members) (targets members) {
	w.t.Helper()
	id, _ := w.do(operation, in)["OperationId"].(string)
	op := at(w.do("GetOperation", members{"OperationId": id}), "Operation")
	if got := at(op, "Status"); got != "SUCCESS" {
		w.t.Fatalf("%s: operation %s is %v", operation, id, got)
	}
	return at(op, "Targets").(members)
}

// at is the value under names and numbers in an answer, nil where it ends.
func at(v any, path ...any) any {
	for _, step := range path {
		switch step := step.(type) {
		case string:
			m, _ := v.(members)
			v = m[step]
		case int:
			list, _ := v.([]any)
			if step >= len(list) {
				return nil
			}
			v = list[step]
		}
	}
	return v
}

func (w walk) expect(out members, want any, path ...any) {
	w.t.Helper()
	if got := at(out, path...); got != want {
		w.t.Errorf("%v is %v, want %v", path, got, want)
	}
}

// all takes every operation.
func (w walk) all() {
	tags := []any{members{"Key": "team", "Value": "shop"}}
	soa := func(ttl int) members { return members{"DnsProperties": members{"SOA": members{"TTL": ttl}}} }
	http := w.done("CreateHttpNamespace", members{"Name": "shop", "Description": "ours", "Tags": tags, "CreatorRequestId": "one"})["NAMESPACE"]
	private := w.done("CreatePrivateDnsNamespace", members{"Name": "shop.internal", "Vpc": "vpc-1", "Properties": soa(30)})["NAMESPACE"]
	public := w.done("CreatePublicDnsNamespace", members{"Name": "shop.example"})["NAMESPACE"]
	w.begin("UpdateHttpNamespace", members{"Id": http, "Namespace": members{"Description": "theirs"}})
	w.begin("UpdatePrivateDnsNamespace", members{"Id": private, "Namespace": members{"Properties": soa(60)}})
	w.begin("UpdatePublicDnsNamespace", members{"Id": public, "Namespace": members{"Description": "open", "Properties": soa(90)}})
	got := w.do("GetNamespace", members{"Id": private})
	w.expect(got, float64(60), "Namespace", "Properties", "DnsProperties", "SOA", "TTL")
	w.recent(at(got, "Namespace", "CreateDate"))
	list := w.do("ListNamespaces", members{"Filters": []any{members{"Name": "TYPE", "Values": []any{"DNS_PUBLIC"}}}})
	w.expect(list, public, "Namespaces", 0, "Id")
	w.refused("CreateHttpNamespace", members{"Name": "shop"}, "NamespaceAlreadyExists", "NamespaceId", http)

	w.services(http, private)

	for _, id := range []any{http, private, public} {
		w.begin("DeleteNamespace", members{"Id": id})
	}
	w.expect(w.do("ListOperations", members{"MaxResults": 1}), "SUCCESS", "Operations", 0, "Status")
}

// services takes the operations on services, instances and tags.
func (w walk) services(http, private any) {
	out := w.do("CreateService", members{"Name": "api", "NamespaceId": http, "HealthCheckCustomConfig": members{"FailureThreshold": 1}})
	api, arn := at(out, "Service", "Id"), at(out, "Service", "Arn")
	w.recent(at(out, "Service", "CreateDate"))
	records := func(ttl int) []any { return []any{members{"Type": "A", "TTL": ttl}} }
	web := at(w.do("CreateService", members{"Name": "web", "NamespaceId": private, "DnsConfig": members{"DnsRecords": records(10)}}), "Service", "Id")
	w.refused("CreateService", members{"Name": "api", "NamespaceId": http}, "ServiceAlreadyExists", "ServiceArn", arn)
	w.begin("UpdateService", members{"Id": web, "Service": members{"Description": "pages", "DnsConfig": members{"DnsRecords": records(20)}}})
	w.expect(w.do("GetService", members{"Id": web}), float64(20), "Service", "DnsConfig", "DnsRecords", 0, "TTL")
	w.expect(w.do("ListServices", members{"Filters": []any{members{"Name": "NAMESPACE_ID", "Values": []any{http}}}}), "api", "Services", 0, "Name")

	w.do("TagResource", members{"ResourceARN": arn, "Tags": []any{members{"Key": "stage", "Value": ""}, members{"Key": "team", "Value": "x"}}})
	w.do("UntagResource", members{"ResourceARN": arn, "TagKeys": []any{"team"}})
	w.expect(w.do("ListTagsForResource", members{"ResourceARN": arn}), "stage", "Tags", 0, "Key")
	if w.c.knows("UpdateServiceAttributes") {
		w.do("UpdateServiceAttributes", members{"ServiceId": arn, "Attributes": members{"port": "80", "proto": "h2"}})
		w.do("DeleteServiceAttributes", members{"ServiceId": api, "Attributes": []any{"proto"}})
		w.expect(w.do("GetServiceAttributes", members{"ServiceId": api}), "80", "ServiceAttributes", "Attributes", "port")
	}

	w.begin("RegisterInstance", members{"ServiceId": api, "InstanceId": "i-1", "Attributes": members{"AWS_INSTANCE_IPV4": "10.0.0.1", "zone": "a"}})
	w.begin("RegisterInstance", members{"ServiceId": web, "InstanceId": "i-2", "Attributes": members{"AWS_INSTANCE_IPV4": "10.0.0.2"}})
	w.refused("RegisterInstance", members{"ServiceId": web, "InstanceId": "a b", "Attributes": members{"k": "v"}}, "InvalidInput", "", nil)
	w.expect(w.do("GetInstance", members{"ServiceId": api, "InstanceId": "i-1"}), "a", "Instance", "Attributes", "zone")
	w.expect(w.do("ListInstances", members{"ServiceId": api}), "i-1", "Instances", 0, "Id")
	w.do("UpdateInstanceCustomHealthStatus", members{"ServiceId": api, "InstanceId": "i-1", "Status": "UNHEALTHY"})
	w.expect(w.do("GetInstancesHealthStatus", members{"ServiceId": api}), "UNHEALTHY", "Status", "i-1")
	seek := members{"NamespaceName": "shop", "ServiceName": "api", "HealthStatus": "ALL"}
	found := w.do("DiscoverInstances", seek)
	w.expect(found, "UNHEALTHY", "Instances", 0, "HealthStatus")
	delete(seek, "HealthStatus")
	if w.c.knows("DiscoverInstancesRevision") {
		w.expect(w.do("DiscoverInstancesRevision", seek), at(found, "InstancesRevision"), "InstancesRevision")
	}
	w.refused("GetInstance", members{"ServiceId": api, "InstanceId": "gone"}, "InstanceNotFound", "", nil)
	w.refused("DeleteService", members{"Id": api}, "ResourceInUse", "", nil)
	w.begin("DeregisterInstance", members{"ServiceId": api, "InstanceId": "i-1"})
	w.begin("DeregisterInstance", members{"ServiceId": web, "InstanceId": "i-2"})
	w.do("DeleteService", members{"Id": api})
	w.do("DeleteService", members{"Id": web})
}

// recent checks that a client understood a time.
func (w walk) recent(v any) {
	w.t.Helper()
	var when time.Time
	var err error
	switch v := v.(type) {
	case string:
		when, err = time.Parse(time.RFC3339Nano, v)
	case float64: // version 1 of the command line shows what it was sent
		when = time.UnixMilli(int64(v * 1000))
	}
	if err != nil || time.Since(when).Abs() > time.Hour {
		w.t.Errorf("the time is %v, which is not now: %v", v, err)
	}
}

// refused makes a call that must fail with a code, as an error of its type
// where the client has types, with a member where it shows them.
func (w walk) refused(operation string, in members, code, member string, want any) {
	w.t.Helper()
	_, refusal := w.c.call(w.t, operation, in)
	if refusal["code"] != code || refusal["Message"] == "" {
		w.t.Errorf("%s: %v, want %s", operation, refusal, code)
	}
	looks := member != "" && w.c.shows(code, member)
	if typed, shown := refusal["typed"]; shown && (typed != true || looks && refusal[member] != want) {
		w.t.Errorf("%s: %v, want the type %s with %s %v", operation, refusal, code, member, want)
	}
}
