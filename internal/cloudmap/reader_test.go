package cloudmap

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/warden"
)

// paged answers a listing of n entries, page by page; the tokens are offsets.
func paged(in map[string]any, n int, key string, entries func(from, to int) any) (int, string) {
	from, _ := strconv.Atoi(fmt.Sprint(in["NextToken"]))
	to := min(from+int(in["MaxResults"].(float64)), n)
	out := map[string]any{key: entries(from, to)}
	if to < n {
		out["NextToken"] = strconv.Itoa(to)
	}
	b, err := json.Marshal(out)
	if err != nil {
		return 500, err.Error()
	}
	return 200, string(b)
}

func instanceID(i int) string { return fmt.Sprintf("i-%04d", (i*7919)%1000) }

func instancePage(from, to int) any {
	var page []map[string]any
	for i := from; i < to; i++ {
		page = append(page, map[string]any{"Id": instanceID(i), "Attributes": map[string]string{"AWS_INSTANCE_IPV4": "10.0.0.1", "n": strconv.Itoa(i)}})
	}
	return page
}

func statusPage(from, to int) any {
	page := map[string]string{}
	for i := from; i < to; i++ {
		page[instanceID(i)] = []string{"HEALTHY", "UNHEALTHY", "UNKNOWN"}[i%3]
	}
	return page
}

var (
	plain  = warden.ServiceFound{Service: health.Service{ID: "srv-1", Name: "plain", Namespace: "ns"}}
	custom = warden.ServiceFound{Service: health.Service{ID: "srv-2", Name: "custom", Namespace: "ns"}, HealthCheck: warden.CustomHealthCheck}
)

const throttle = `{"__type":"ThrottlingException","message":"Rate exceeded"}`

func TestListInstancesWalksAllPages(t *testing.T) {
	api := newFakeAPI(t, func(op string, _ int, in map[string]any) (int, string) {
		if op == "ListInstances" {
			return paged(in, 250, "Instances", instancePage)
		}
		return paged(in, 250, "Status", statusPage)
	})
	r := newClient(t, Config{URL: api.URL}).NewReader("")

	found, complete, err := r.ListInstances(t.Context(), custom)
	if err != nil || !complete || len(found) != 250 {
		t.Fatalf("%d instances, complete %v, %v; want 250, complete", len(found), complete, err)
	}
	if api.calls("ListInstances") != 3 || api.calls("GetInstancesHealthStatus") != 3 {
		t.Errorf("calls %v, want 3 and 3", api.count)
	}
	if !slices.IsSortedFunc(found, func(a, b warden.InstanceFound) int { return strings.Compare(a.ID, b.ID) }) {
		t.Error("the instances are not sorted by id")
	}
	for i := range 250 {
		at, ok := slices.BinarySearchFunc(found, instanceID(i), func(f warden.InstanceFound, id string) int { return strings.Compare(f.ID, id) })
		want := warden.InstanceFound{
			ID: instanceID(i), Status: []health.Status{health.Healthy, health.Unhealthy, health.Unknown}[i%3],
			Attributes: health.Attributes{{Key: "AWS_INSTANCE_IPV4", Value: "10.0.0.1"}, {Key: "n", Value: strconv.Itoa(i)}},
		}
		if !ok {
			t.Fatalf("%s is missing", instanceID(i))
		}
		if diff := cmp.Diff(want, found[at]); diff != "" {
			t.Fatalf("%s: %s", instanceID(i), diff)
		}
	}

	if _, complete, _ := r.ListInstances(t.Context(), plain); !complete || api.calls("GetInstancesHealthStatus") != 3 {
		t.Error("the statuses of a service without a custom health check were read")
	}
}

func TestPartialListingsSaySo(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(op string, n int, in map[string]any) (int, string)
		found  int
		want   string // in the error
	}{
		"third page throttled": {func(op string, n int, in map[string]any) (int, string) {
			if op != "ListInstances" {
				return paged(in, 250, "Status", statusPage)
			}
			if n == 3 {
				return 400, throttle
			}
			return paged(in, 250, "Instances", instancePage)
		}, 200, "list instances of ns/custom: ListInstances: ThrottlingException: Rate exceeded"},
		"first page refused": {func(op string, n int, in map[string]any) (int, string) {
			return 400, `{"__type":"ServiceNotFound","Message":"gone"}`
		}, 0, "list instances of ns/custom: ListInstances: ServiceNotFound: gone"},
		"statuses refused": {func(op string, n int, in map[string]any) (int, string) {
			if op != "ListInstances" {
				return 400, `{"__type":"InstanceNotFound","Message":"too new"}`
			}
			return paged(in, 150, "Instances", instancePage)
		}, 0, "read the health status of ns/custom: GetInstancesHealthStatus: InstanceNotFound: too new"},
		"a repeated token": {func(op string, n int, in map[string]any) (int, string) {
			if op != "ListInstances" {
				return paged(in, 0, "Status", statusPage)
			}
			return 200, `{"Instances":[{"Id":"a"}],"NextToken":"same"}`
		}, 1, "list instances of ns/custom: the registry repeats a page"},
		"an endless list": {func(op string, n int, in map[string]any) (int, string) {
			if op != "ListInstances" {
				return paged(in, 0, "Status", statusPage)
			}
			return 200, fmt.Sprintf(`{"Instances":[{"Id":"a"}],"NextToken":"%d"}`, n)
		}, 1, "list instances of ns/custom: the registry's list does not end after 1000 pages"},
	} {
		t.Run(name, func(t *testing.T) {
			api := newFakeAPI(t, c.answer)
			found, complete, err := newClient(t, Config{URL: api.URL}).NewReader("").ListInstances(t.Context(), custom)
			if complete || err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("complete %v, error %v; want %q", complete, err, c.want)
			}
			if len(found) != c.found {
				t.Errorf("%d instances, want %d", len(found), c.found)
			}
		})
	}
}

// namespaces is a registry of three: one of them shared by another account,
// one whose services cannot be listed when broken.
func namespaces(broken bool) func(op string, n int, in map[string]any) (int, string) {
	return func(op string, _ int, in map[string]any) (int, string) {
		if op == "ListNamespaces" {
			if in["NextToken"] == nil {
				return 200, `{"Namespaces":[],"NextToken":"filtered away"}` // an empty page with a token
			}
			return 200, `{"Namespaces":[
				{"Id":"ns-b","Name":"b","Arn":"arn:b","ResourceOwner":"111111111111"},
				{"Id":"ns-a","Name":"a","Arn":"arn:a","ResourceOwner":"111111111111"},
				{"Id":"ns-s","Name":"shared","Arn":"arn:shared","ResourceOwner":"222222222222"}]}`
		}
		filter := in["Filters"].([]any)[0].(map[string]any)
		if filter["Name"] != "NAMESPACE_ID" || filter["Condition"] != "EQ" {
			return 400, `{"__type":"InvalidInput","Message":"wrong filter"}`
		}
		switch filter["Values"].([]any)[0] {
		case "ns-a":
			if broken {
				return 400, throttle
			}
			return 200, `{"Services":[{"Id":"srv-3","Arn":"arn:3","Name":"three","HealthCheckConfig":{"Type":"TCP"}},{"Id":"srv-1","Name":"one"}]}`
		case "ns-b":
			return 200, `{"Services":[{"Id":"srv-2","Name":"two","HealthCheckCustomConfig":{"FailureThreshold":1}}]}`
		case "arn:shared":
			return 200, `{"Services":[{"Id":"srv-9","Arn":"arn:9","Name":"nine"}]}`
		}
		return 400, `{"__type":"NamespaceNotFound","Message":"no such namespace"}`
	}
}

func TestListServices(t *testing.T) {
	one := warden.ServiceFound{Service: health.Service{ID: "srv-1", Name: "one", Namespace: "a"}}
	two := warden.ServiceFound{Service: health.Service{ID: "srv-2", Name: "two", Namespace: "b"}, HealthCheck: warden.CustomHealthCheck}
	three := warden.ServiceFound{Service: health.Service{ID: "srv-3", Name: "three", Namespace: "a"}, HealthCheck: warden.Route53Check}
	nine := warden.ServiceFound{Service: health.Service{ID: "arn:9", Name: "nine", Namespace: "shared"}, OtherAccount: true}

	api := newFakeAPI(t, namespaces(false))
	found, complete, err := newClient(t, Config{URL: api.URL}).NewReader("111111111111").ListServices(t.Context())
	if err != nil || !complete {
		t.Fatalf("complete %v, %v", complete, err)
	}
	if diff := cmp.Diff([]warden.ServiceFound{nine, one, two, three}, found); diff != "" {
		t.Error(diff)
	}

	broken := newFakeAPI(t, namespaces(true))
	found, complete, err = newClient(t, Config{URL: broken.URL}).NewReader("111111111111").ListServices(t.Context())
	if complete || err == nil || err.Error() != "list services of a: ListServices: ThrottlingException: Rate exceeded" {
		t.Errorf("complete %v, error %v", complete, err)
	}
	if diff := cmp.Diff([]warden.ServiceFound{nine, two}, found); diff != "" {
		t.Errorf("what could be listed: %s", diff)
	}

	down := newFakeAPI(t, always(400, `{"__type":"AccessDeniedException","Message":"not you"}`))
	found, complete, err = newClient(t, Config{URL: down.URL}).NewReader("").ListServices(t.Context())
	if complete || len(found) > 0 || FaultOf(err) != lever.Denied {
		t.Errorf("%v, complete %v, error %v; want nothing, denied", found, complete, err)
	}
}

func TestWhoseInstanceItIs(t *testing.T) {
	api := newFakeAPI(t, always(200, `{"Instances":[{"Id":"mine","CreatedByAccount":"111111111111"},{"Id":"plain"},{"Id":"theirs","CreatedByAccount":"222222222222"}]}`))
	foreign := func(r *Reader, s warden.ServiceFound) (ids []string) {
		t.Helper()
		found, _, err := r.ListInstances(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			if f.OtherAccount {
				ids = append(ids, f.ID)
			}
		}
		return ids
	}
	local := newClient(t, Config{URL: api.URL})
	if got := foreign(local.NewReader("111111111111"), plain); !slices.Equal(got, []string{"theirs"}) {
		t.Errorf("another account's: %v, want theirs", got)
	}
	if got := foreign(local.NewReader(""), plain); got != nil {
		t.Errorf("at a url without accounts: %v, want none", got)
	}
	shared := plain
	shared.OtherAccount = true
	if got := foreign(local.NewReader("111111111111"), shared); len(got) != 3 {
		t.Errorf("in a shared namespace: %v, want all", got)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIAENV")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "env")
	t.Setenv("AWS_ENDPOINT_URL", api.URL)
	if got := foreign(newClientAWS(t).NewReader(""), plain); len(got) != 3 {
		t.Errorf("on AWS without knowing our account: %v, want all", got)
	}
}

func TestReadsOfOne(t *testing.T) {
	var answer string
	api := newFakeAPI(t, func(op string, _ int, in map[string]any) (int, string) {
		if op == "GetInstancesHealthStatus" && !slices.Equal(in["Instances"].([]any), []any{"i"}) {
			return 400, `{"__type":"InvalidInput","Message":"not asked for one instance"}`
		}
		return 200, answer
	})
	r := newClient(t, Config{URL: api.URL}).NewReader("")

	for body, want := range map[string]health.Status{
		`{"Status":{"i":"HEALTHY"}}`: health.Healthy, `{"Status":{"i":"UNHEALTHY"}}`: health.Unhealthy,
		`{"Status":{"i":"UNKNOWN"}}`: health.Unknown, `{"Status":{"i":"BETTER"}}`: health.Unknown,
		`{"Status":{"other":"UNHEALTHY"}}`: health.Unknown, `{}`: health.Unknown,
	} {
		answer = body
		if got, err := r.Status(t.Context(), "srv-1", "i"); err != nil || got != want {
			t.Errorf("%s: %s, %v; want %s", body, got, err, want)
		}
	}

	answer = `{"Instance":{"Id":"i","Attributes":{"b":"2","a":"1"}}}`
	if got, err := r.Instance(t.Context(), "srv-1", "i"); err != nil || !got.Equal(health.Attributes{{Key: "a", Value: "1"}, {Key: "b", Value: "2"}}) {
		t.Errorf("attributes %v, %v", got, err)
	}
	for _, body := range []string{`{}`, `{"Instance":{}}`, `{"Instance":{"Id":"j","Attributes":{"a":"1"}}}`} {
		answer = body
		if got, err := r.Instance(t.Context(), "srv-1", "i"); FaultOf(err) != lever.Ambiguous {
			t.Errorf("%s: %v, %v; an answer about nothing is no answer", body, got, err)
		}
	}

	for body, want := range map[string]lever.OperationStatus{
		`{"Operation":{"Status":"SUBMITTED"}}`: lever.OperationPending, `{"Operation":{"Status":"PENDING"}}`: lever.OperationPending,
		`{"Operation":{"Status":"SUCCESS"}}`: lever.OperationSuccess, `{"Operation":{"Status":"NEW"}}`: lever.OperationUnknown, `{}`: lever.OperationUnknown,
		`{"Operation":{"Status":"FAIL","ErrorCode":"ACCESS_DENIED","ErrorMessage":"no zone"}}`: lever.OperationFail,
	} {
		answer = body
		got, detail, err := r.Operation(t.Context(), "op")
		if err != nil || got != want || (want == lever.OperationFail) != (detail == "ACCESS_DENIED: no zone") {
			t.Errorf("%s: %d %q, %v", body, got, detail, err)
		}
	}

	answer = `{"Instances":[{"InstanceId":"i","HealthStatus":"UNHEALTHY","Attributes":{"a":"1"}}]}`
	got, err := r.Discover(t.Context(), "ns", "svc", HealthyOrElseAll, 5000)
	want := []warden.InstanceFound{{ID: "i", Status: health.Unhealthy, Attributes: health.Attributes{{Key: "a", Value: "1"}}}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
}

func TestUnknownCannotBeSet(t *testing.T) {
	api := newFakeAPI(t, always(200, ``))
	w := newClient(t, Config{URL: api.URL}).NewWriter()
	if err := w.SetStatus(t.Context(), "srv-1", "i", health.Unknown); FaultOf(err) != lever.Failed {
		t.Errorf("%v is %s, want failed", err, FaultOf(err))
	}
	if n := api.calls("UpdateInstanceCustomHealthStatus"); n != 0 {
		t.Errorf("%d calls were made", n)
	}
}
