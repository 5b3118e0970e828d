package awsjson

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	sd "github.com/aws/aws-sdk-go-v2/service/servicediscovery"
	"github.com/aws/aws-sdk-go-v2/service/servicediscovery/types"
	"pgregory.net/rapid"

	"github.com/mapwarden/mapwarden/internal/registry"
)

// codecDiscovery is the answer to a request as the codec spells it.
func codecDiscovery(q registry.Query, found registry.Discovery) ([]byte, error) {
	out := &sd.DiscoverInstancesOutput{Instances: []types.HttpInstanceSummary{}, InstancesRevision: &found.View.Revision}
	for _, inst := range found.Instances() {
		out.Instances = append(out.Instances, types.HttpInstanceSummary{
			Attributes: inst.Attributes.Map(), HealthStatus: types.HealthStatus(inst.Health.String()), InstanceId: &inst.ID,
			NamespaceName: &q.Namespace, ServiceName: &q.Service,
		})
	}
	return encode(out)
}

// TestDiscoveryIsTheCodecs checks, for any instances, that each answer of a view
// is byte for byte what the codec makes of the SDK's struct: the first ones,
// that which spells the view, and those that copy what it spelled.
func TestDiscoveryIsTheCodecs(t *testing.T) {
	word := rapid.OneOf(rapid.StringMatching(`[a-zA-Z0-9 <>&/.-]{0,12}`), rapid.StringMatching(`["\\\t,:{}a]{0,6}`), rapid.String())
	rapid.Check(t, func(t *rapid.T) {
		q := registry.Query{Namespace: word.Draw(t, "namespace"), Service: word.Draw(t, "service")}
		view := &registry.ServiceView{Service: &registry.Service{Name: q.Service, Revision: rapid.Int64().Draw(t, "revision")}}
		for range rapid.IntRange(0, 4).Draw(t, "instances") {
			view.Instances = append(view.Instances, &registry.Instance{
				ID: word.Draw(t, "id"), Health: registry.HealthStatus(rapid.IntRange(0, 2).Draw(t, "health")),
				Attributes: registry.PackAttributes(rapid.MapOfN(word, word, 0, 6).Draw(t, "attributes")),
			})
		}
		everyone := make([]int32, len(view.Instances))
		for i := range everyone {
			everyone[i] = int32(i)
		}
		for range 4 {
			drawn := rapid.Permutation(everyone).Draw(t, "order")
			found := registry.Discovery{View: view, Drawn: drawn[:rapid.IntRange(0, len(drawn)).Draw(t, "drawn")]}
			want, err := codecDiscovery(q, found)
			if err != nil {
				t.Fatal(err)
			}
			if got := appendDiscovery([]byte("before"), q, found); string(got) != "before"+string(want) {
				t.Fatalf("got  %s\nwant %s", got[len("before"):], want)
			}
		}
	})
}

// TestQueryAsClientsWriteIt checks that what the SDK sends, in any order of its
// members, is scanned, and is what the codec reads.
func TestQueryAsClientsWriteIt(t *testing.T) {
	text := rapid.StringMatching(`[a-zA-Z0-9 <>&/.:-]{0,12}`)
	rapid.Check(t, func(t *rapid.T) {
		in := map[string]any{}
		maybe := func(name string, draw func() any) {
			if rapid.Bool().Draw(t, name+" is there") {
				in[name] = draw()
			}
		}
		for _, name := range []string{"NamespaceName", "ServiceName", "HealthStatus", "OwnerAccount"} {
			maybe(name, func() any { return text.Draw(t, name) })
		}
		for _, name := range []string{"QueryParameters", "OptionalParameters"} {
			maybe(name, func() any { return rapid.MapOfN(text, text, 0, 3).Draw(t, name) })
		}
		maybe("MaxResults", func() any { return rapid.IntRange(0, 999_999_999).Draw(t, "MaxResults") })
		var body bytes.Buffer
		enc := json.NewEncoder(&body) // ends with a line feed
		enc.SetEscapeHTML(false)
		if rapid.Bool().Draw(t, "spaced") {
			enc.SetIndent(" ", "\t")
		}
		if err := enc.Encode(in); err != nil {
			t.Fatal(err)
		}
		got, ok := scanQuery(body.Bytes())
		want, err := decodeQuery(body.Bytes())
		if err != nil || !ok || !reflect.DeepEqual(got, want) {
			t.Fatalf("%s: scanned %v as %+v; the codec says %+v, %v", &body, ok, got, want, err)
		}
	})
}

// FuzzQuery checks that the scanner takes nothing that the codec refuses, and
// nothing otherwise than the codec does.
func FuzzQuery(f *testing.F) {
	for _, body := range []string{
		`{}`, ``, ` `, `null`, `[]`, `{"NamespaceName":"a","ServiceName":"b"}`, `{"NamespaceName":"a"}x`, `{"NamespaceName":"a"} `,
		`{"NamespaceName":"a","NamespaceName":"b"}`, `{"namespacename":"a"}`, `{"NamespaceName":null}`, `{"NamespaceName":1}`,
		`{"MaxResults":10}`, `{"MaxResults":010}`, `{"MaxResults":-1}`, `{"MaxResults":1e3}`, `{"MaxResults":1.0}`, `{"MaxResults":9999999999}`,
		`{"MaxResults":"1"}`, `{"QueryParameters":{"a":"b","a":"c"}}`, `{"QueryParameters":{}}`, `{"QueryParameters":{"a":null}}`,
		`{"OptionalParameters":{"a":"b"},"Other":[1]}`, `{"NamespaceName":"\u0061"}`, "{\"NamespaceName\":\"\t\"}", "{\"NamespaceName\":\"\xff\"}",
		`{"NamespaceName":"a",}`, `{,}`, `{"HealthStatus":"ALL","OwnerAccount":"1"`, "\ufeff{}", `{"MaxResults":}`, `{"MaxResults":0}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, ok := scanQuery(body)
		if !ok {
			return
		}
		want, err := decodeQuery(body)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q is scanned as %+v; the codec says %+v, %v", body, got, want, err)
		}
	})
}

// TestDiscoverSameEitherWay puts each question once so that it is scanned and
// once so that it is not, and checks that the answers are the same but for
// their order: those of the codec, and the same refusals.
func TestDiscoverSameEitherWay(t *testing.T) {
	reg, err := registry.Open(registry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	handler := New(reg)
	fillForDiscovery(t, reg)
	post := func(body []byte) *httptest.ResponseRecorder {
		r := httptest.NewRequest("POST", "/", bytes.NewReader(body))
		r.Header.Set("X-Amz-Target", targetPrefix+"DiscoverInstances")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w
	}
	parameters := rapid.MapOfN(rapid.SampledFrom([]string{"zone", "v", "none", `odd"`}), rapid.SampledFrom([]string{"0", "1", "2", "\\"}), 0, 2)
	rapid.Check(t, func(t *rapid.T) {
		in := map[string]any{
			"NamespaceName": rapid.SampledFrom([]string{"prod", "prod", "prod", "none", ""}).Draw(t, "namespace"),
			"ServiceName":   rapid.SampledFrom([]string{"checked", "plain", "down", "checked", "none", ""}).Draw(t, "service"),
		}
		if health := rapid.SampledFrom([]string{"", "HEALTHY", "UNHEALTHY", "ALL", "HEALTHY_OR_ELSE_ALL", "SICK"}).Draw(t, "health"); health != "" {
			in["HealthStatus"] = health
		}
		if rapid.Bool().Draw(t, "must") {
			in["QueryParameters"] = parameters.Draw(t, "QueryParameters")
		}
		if rapid.Bool().Draw(t, "prefer") {
			in["OptionalParameters"] = parameters.Draw(t, "OptionalParameters")
		}
		if rapid.Bool().Draw(t, "owner") {
			in["OwnerAccount"] = rapid.SampledFrom([]string{"000000000000", "999999999999", "1"}).Draw(t, "OwnerAccount")
		}
		// All or few enough to refuse; fewer than there are is a matter of chance.
		if rapid.Bool().Draw(t, "most") {
			in["MaxResults"] = rapid.SampledFrom([]int{1000, 0, 1001}).Draw(t, "MaxResults")
		}
		plainly, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		in["Unknown"] = nil // ignored by the codec, and not scanned
		otherwise, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := scanQuery(otherwise); ok {
			t.Fatalf("%s was scanned", otherwise)
		}
		a, b := post(plainly), post(otherwise)
		if a.Code != b.Code || inOrder(a.Body.String()) != inOrder(b.Body.String()) {
			t.Fatalf("%s answers %d %s\n%s answers %d %s", plainly, a.Code, a.Body, otherwise, b.Code, b.Body)
		}
		if a.Code == http.StatusOK {
			checkCodecs(t, a.Body.Bytes(), fmt.Sprint(in["NamespaceName"]), fmt.Sprint(in["ServiceName"]), reg)
		}
	})
}

// checkCodecs compares an answer with what the codec makes of its instances as
// the registry has them.
func checkCodecs(t *rapid.T, answer []byte, namespace, service string, reg *registry.Registry) {
	var said struct {
		Instances         []struct{ InstanceId string }
		InstancesRevision int64
	}
	if err := json.Unmarshal(answer, &said); err != nil {
		t.Fatalf("%s: %v", answer, err)
	}
	view := reg.ServiceNamed(namespaceNamed(t, reg, namespace), service)
	found := registry.Discovery{View: view}
	for _, i := range said.Instances {
		at := slices.IndexFunc(view.Instances, func(inst *registry.Instance) bool { return inst.ID == i.InstanceId })
		found.Drawn = append(found.Drawn, int32(at))
	}
	want, err := codecDiscovery(registry.Query{Namespace: namespace, Service: service}, found)
	if err != nil || said.InstancesRevision != view.Revision || string(answer) != string(want) {
		t.Fatalf("answer %s\nwant   %s, %v", answer, want, err)
	}
}

// inOrder is an answer with its instances in one order.
func inOrder(answer string) string {
	parts := strings.Split(answer, `{"Attributes":`)
	for i := range parts {
		parts[i] = strings.TrimSuffix(parts[i], ",")
	}
	last := len(parts) - 1
	parts[last] = strings.Replace(parts[last], "}],", "}\n],", 1)
	parts[last], answer, _ = strings.Cut(parts[last], "\n")
	slices.Sort(parts[1:])
	return strings.Join(parts, "|") + answer
}

func namespaceNamed(t rapid.TB, reg *registry.Registry, name string) *registry.Namespace {
	all, _, err := reg.Namespaces(registry.Page{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return all[slices.IndexFunc(all, func(ns *registry.Namespace) bool { return ns.HTTPName == name })]
}

func fillForDiscovery(t *testing.T, reg *registry.Registry) {
	op, err := reg.CreateNamespace(registry.NewNamespace{Name: "prod", Type: registry.HTTPNamespace})
	if err != nil {
		t.Fatal(err)
	}
	done, err := reg.Operation(op, "")
	if err != nil {
		t.Fatal(err)
	}
	for name, health := range map[string]string{"checked": "some", "down": "none", "plain": ""} {
		svc, err := reg.CreateService(registry.NewService{Name: name, NamespaceID: done.Targets.Namespace, CustomHealth: health != ""})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 12 {
			attrs := map[string]string{"zone": fmt.Sprint(i % 3), "v": fmt.Sprint(i % 2), `odd"`: `\`}
			if health == "none" || health == "some" && i%4 == 0 {
				attrs[registry.AttrInitHealth] = "UNHEALTHY"
			}
			_, err := reg.Register(registry.Registration{ServiceID: svc.ID, InstanceID: fmt.Sprintf("i-%02d", i), Attributes: attrs})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestDiscoverNeverSharesAnswers checks that concurrent calls, which take turns
// in the same memory, get what they asked for, in an order of their own.
func TestDiscoverNeverSharesAnswers(t *testing.T) {
	reg, err := registry.Open(registry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	fillForDiscovery(t, reg)
	server := httptest.NewServer(New(reg))
	defer server.Close()
	services := []string{"checked", "plain", "down"}
	ask := func(service string) (order string, err error) {
		body := fmt.Sprintf(`{"NamespaceName":"prod","ServiceName":%q,"HealthStatus":"ALL"}`, service)
		r, err := http.NewRequest("POST", server.URL, strings.NewReader(body))
		if err != nil {
			return "", err
		}
		r.Header.Set("X-Amz-Target", targetPrefix+"DiscoverInstances")
		w, err := server.Client().Do(r)
		if err != nil {
			return "", err
		}
		defer w.Body.Close()
		var said struct {
			Instances []struct{ InstanceId, ServiceName string }
		}
		if err := json.NewDecoder(w.Body).Decode(&said); err != nil {
			return "", err
		}
		for _, inst := range said.Instances {
			if inst.ServiceName != service {
				return "", fmt.Errorf("asked for %s, got %v", service, inst)
			}
			order += inst.InstanceId
		}
		return order, nil
	}
	const clients, calls = 8, 25
	orders := map[string]bool{}
	var mu sync.Mutex
	var group sync.WaitGroup
	for i := range clients {
		group.Go(func() {
			for n := range calls {
				order, err := ask(services[(i+n)%len(services)])
				if err != nil || len(order) != 12*len("i-00") {
					t.Errorf("%q, %v", order, err)
				}
				mu.Lock()
				orders[order] = true
				mu.Unlock()
			}
		})
	}
	group.Wait()
	if len(orders) < clients*calls-2 { // of 12! orders
		t.Errorf("only %d orders in %d answers", len(orders), clients*calls)
	}
}

// BenchmarkDiscover is a call without the connection that it comes over.
func BenchmarkDiscover(b *testing.B) {
	reg, err := registry.Open(registry.Options{})
	if err != nil {
		b.Fatal(err)
	}
	op, err := reg.CreateNamespace(registry.NewNamespace{Name: "prod", Type: registry.HTTPNamespace})
	if err != nil {
		b.Fatal(err)
	}
	done, err := reg.Operation(op, "")
	if err != nil {
		b.Fatal(err)
	}
	svc, err := reg.CreateService(registry.NewService{Name: "web", NamespaceID: done.Targets.Namespace, CustomHealth: true})
	if err != nil {
		b.Fatal(err)
	}
	for i := range 100 {
		if _, err := reg.Register(registry.Registration{ServiceID: svc.ID, InstanceID: fmt.Sprintf("i-%017x", rand.Uint32()), Attributes: map[string]string{
			registry.AttrIPv4: fmt.Sprintf("10.0.0.%d", i), registry.AttrPort: "8080", "availability-zone": "eu-west-1a", "version": "1.2.3",
			"deployment": "ecs-svc/1234567890123456789", "weight": "100"}}); err != nil {
			b.Fatal(err)
		}
	}
	body := []byte(`{"NamespaceName":"prod","ServiceName":"web"}`)
	var answer []byte
	b.ReportAllocs()
	for b.Loop() {
		if answer, err = discoverInstances(reg, body, answer[:0]); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(int64(len(answer)))
}
