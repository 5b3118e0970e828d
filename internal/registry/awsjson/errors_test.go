package awsjson_test

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mapwarden/mapwarden/internal/registry"
	"github.com/mapwarden/mapwarden/internal/registry/awsjson"
)

// mistake is a call that has to be refused.
type mistake struct {
	opts   registry.Options
	before members // the same operation, which comes first and is accepted
	in     members
	says   map[string]string // the members that the error has beside Message; "" is any text
}

// none names nothing: the first request of the operation with other names.
func none(n names, operation string, other members) mistake {
	in := maps.Clone(requests(n)[operation][0])
	delete(in, "NextToken")
	maps.Copy(in, other)
	return mistake{in: in}
}

// mistakes are calls for every error that the model has, by operation and code,
// but for InvalidInput, for which TestConstraints has many.
func mistakes(n names) map[string]map[string]mistake {
	all := map[string]map[string]mistake{
		"CreateHttpNamespace":              creationMistakes("CreateHttpNamespace", members{}, n.http),
		"CreatePrivateDnsNamespace":        creationMistakes("CreatePrivateDnsNamespace", members{"Vpc": "vpc-1"}, n.private),
		"CreatePublicDnsNamespace":         creationMistakes("CreatePublicDnsNamespace", members{}, n.public),
		"UpdateHttpNamespace":              updateMistakes(n.http),
		"UpdatePrivateDnsNamespace":        updateMistakes(n.private),
		"UpdatePublicDnsNamespace":         updateMistakes(n.public),
		"CreateService":                    serviceMistakes(n),
		"UpdateServiceAttributes":          {"ServiceAttributesLimitExceededException": tooManyAttributes(n)},
		"UpdateInstanceCustomHealthStatus": {"CustomHealthNotFound": none(n, "UpdateInstanceCustomHealthStatus", members{"ServiceId": n.web})},
		"GetOperation":                     {"OperationNotFound": none(n, "GetOperation", members{"OperationId": "none"})},
		"TagResource":                      {"TooManyTagsException": tooManyTags(n)},
		"DeleteNamespace": {
			"ResourceInUse":    {in: members{"Id": n.http}},
			"DuplicateRequest": {opts: slow, before: members{"Id": n.spare}, in: members{"Id": n.spare}, says: map[string]string{"DuplicateOperationId": ""}},
		},
		"DeleteService": {"ResourceInUse": {in: members{"Id": n.api}}},
		"UpdateService": {"DuplicateRequest": {opts: slow, says: map[string]string{"DuplicateOperationId": ""},
			before: requests(n)["UpdateService"][0], in: requests(n)["UpdateService"][0]}},
		"RegisterInstance": {
			"DuplicateRequest": {opts: slow, says: map[string]string{"DuplicateOperationId": ""},
				before: requests(n)["RegisterInstance"][0], in: members{"ServiceId": n.api, "InstanceId": "i", "Attributes": members{"k": "other"}}},
			"ResourceLimitExceeded": {opts: registry.Options{Quotas: registry.Quotas{InstancesPerService: 1}}, in: requests(n)["RegisterInstance"][0]},
		},
		"DeregisterInstance": {"DuplicateRequest": {opts: slow, says: map[string]string{"DuplicateOperationId": ""},
			before: requests(n)["DeregisterInstance"][0], in: requests(n)["DeregisterInstance"][0]}},
	}
	for operation, whole := range requests(n) {
		if all[operation] == nil {
			all[operation] = make(map[string]mistake)
		}
		nobody := func(code string, other members) { all[operation][code] = none(n, operation, other) }
		for member := range whole[0] {
			switch {
			case member == "ServiceId", member == "Id" && strings.Contains(operation, "Service"):
				nobody("ServiceNotFound", members{member: "srv-none"})
			case member == "Id", member == "NamespaceId":
				nobody("NamespaceNotFound", members{member: "ns-none"})
			case member == "NamespaceName":
				nobody("NamespaceNotFound", members{member: "none"})
				nobody("ServiceNotFound", members{"ServiceName": "none"})
			case member == "InstanceId" && operation != "RegisterInstance":
				nobody("InstanceNotFound", members{member: "none"})
			case member == "Instances":
				nobody("InstanceNotFound", members{member: []any{"none"}})
			case member == "ResourceARN":
				nobody("ResourceNotFoundException", members{member: "arn:aws:servicediscovery:us-east-1:000000000000:service/srv-none"})
			}
		}
	}
	return all
}

// slow leaves operations in flight.
var slow = registry.Options{OperationDelay: time.Hour}

func manyTags(n int) []any {
	tags := make([]any, n)
	for i := range tags {
		tags[i] = members{"Key": fmt.Sprint("k", i), "Value": ""}
	}
	return tags
}

func creationMistakes(operation string, common members, taken string) map[string]mistake {
	with := func(more members) members {
		in := maps.Clone(common)
		maps.Copy(in, more)
		return in
	}
	first := map[string]string{
		"CreateHttpNamespace": "shop", "CreatePrivateDnsNamespace": "shop.internal", "CreatePublicDnsNamespace": "shop.example",
	}[operation]
	fresh := with(members{"Name": "fresh.example", "CreatorRequestId": "a"})
	return map[string]mistake{
		"NamespaceAlreadyExists": {in: with(members{"Name": first}), says: map[string]string{"NamespaceId": taken, "CreatorRequestId": "made"}},
		"DuplicateRequest": {opts: slow, says: map[string]string{"DuplicateOperationId": ""},
			before: fresh, in: with(members{"Name": "fresh.example", "CreatorRequestId": "b"})},
		"ResourceLimitExceeded": {opts: registry.Options{Quotas: registry.Quotas{Namespaces: 1}}, in: fresh},
		"TooManyTagsException":  {in: with(members{"Name": "fresh.example", "Tags": manyTags(51)}), says: map[string]string{"ResourceName": "fresh.example"}},
	}
}

func updateMistakes(id string) map[string]mistake {
	update := func(token string) members {
		return members{"Id": id, "UpdaterRequestId": token, "Namespace": members{"Description": "d"}}
	}
	return map[string]mistake{
		"DuplicateRequest": {opts: slow, before: update("a"), in: update("b"), says: map[string]string{"DuplicateOperationId": ""}},
	}
}

func serviceMistakes(n names) map[string]mistake {
	return map[string]mistake{
		"ServiceAlreadyExists": {in: members{"Name": "api", "NamespaceId": n.http}, says: map[string]string{
			"ServiceId": n.api, "ServiceArn": "arn:aws:servicediscovery:us-east-1:000000000000:service/" + n.api, "CreatorRequestId": "made"}},
		"TooManyTagsException": {in: members{"Name": "fresh", "NamespaceId": n.http, "Tags": manyTags(51)}, says: map[string]string{"ResourceName": "fresh"}},
	}
}

func tooManyTags(n names) mistake {
	arn := "arn:aws:servicediscovery:us-east-1:000000000000:service/" + n.api
	return mistake{
		before: members{"ResourceARN": arn, "Tags": manyTags(50)},
		in:     members{"ResourceARN": arn, "Tags": []any{members{"Key": "more", "Value": ""}}},
		says:   map[string]string{"ResourceName": arn},
	}
}

func tooManyAttributes(n names) mistake {
	full := make(members)
	for i := range 30 {
		full[fmt.Sprint("k", i)] = ""
	}
	return mistake{before: members{"ServiceId": n.api, "Attributes": full}, in: members{"ServiceId": n.api, "Attributes": members{"more": ""}}}
}

// impossible are errors that the model has for an operation and that cannot
// occur in this registry, with the reason.
var impossible = map[string]map[string]string{
	"CreateService":             {"ResourceLimitExceeded": "AWS publishes no quota of services, and there is none here"},
	"UpdateHttpNamespace":       {"ResourceInUse": "what is in use can be updated; an operation in flight is a DuplicateRequest"},
	"UpdatePrivateDnsNamespace": {"ResourceInUse": "what is in use can be updated; an operation in flight is a DuplicateRequest"},
	"UpdatePublicDnsNamespace":  {"ResourceInUse": "what is in use can be updated; an operation in flight is a DuplicateRequest"},
	"RegisterInstance":          {"ResourceInUse": "an instance has no parts that could be in use"},
	"DeregisterInstance":        {"ResourceInUse": "an instance has no parts that could be in use"},
}

// throttled are errors that the door in front of the registry answers, where
// throttling is switched on: the tests of package access make them.
var throttled = map[string]string{"DiscoverInstances": "RequestLimitExceeded", "DiscoverInstancesRevision": "RequestLimitExceeded"}

// throttledTest is the test of package access that makes an operation's.
func throttledTest(t *testing.T, operation string) string {
	t.Helper()
	source, err := os.ReadFile("../access/throttle_test.go")
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile(fmt.Sprintf(`(?s)\nfunc TestThrottle\(.*\n\t\t\{"aws", %q, [^\n]*%q\},`, operation, throttled[operation]))
	if !row.Match(source) {
		t.Errorf("TestThrottle of package access has no row for %s", operation)
	}
	return "TestThrottle/aws_" + operation
}

// TestModelledErrors makes a mistake for every error that AWS's model has. The
// model must have no error that neither stands here, nor is called impossible
// or throttled.
func TestModelledErrors(t *testing.T) {
	m := loadModel(t)
	dir := t.TempDir()
	for _, operation := range awsjson.OperationNames() {
		for _, e := range m.Operations[operation].Errors {
			if e.Shape == "InvalidInput" || impossible[operation][e.Shape] != "" || throttled[operation] == e.Shape {
				continue
			}
			t.Run(operation+"/"+e.Shape, func(t *testing.T) {
				face, wrong := misfurnished(t, filepath.Join(dir, operation+e.Shape), operation, e.Shape)
				if wrong.before != nil {
					if code, message := post(t, face, operation, wrong.before); code != "" {
						t.Fatalf("first call: %s %s", code, message)
					}
				}
				got := refusal(t, send(t, face, operation, wrong.in))
				if got["__type"] != e.Shape || got["Message"] == "" {
					t.Errorf("%v, want %s", got, e.Shape)
				}
				for member, want := range wrong.says {
					if got[member] == "" || want != "" && got[member] != want {
						t.Errorf("%s is %q, want %q", member, got[member], want)
					}
				}
				if shown := slices.Sorted(maps.Keys(m.Shapes[e.Shape].Members)); len(wrong.says) != len(shown)-1 {
					t.Errorf("the error has the members %s, and the test looks at %v", shown, wrong.says)
				}
			})
		}
	}
}

// misfurnished is a registry with one of everything, opened again as a mistake
// wants it.
func misfurnished(t *testing.T, path, operation, code string) (http.Handler, mistake) {
	t.Helper()
	reg, err := registry.Open(registry.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	n := furnish(t, reg)
	if err := reg.Close(); err != nil {
		t.Fatal(err)
	}
	wrong, declared := mistakes(n)[operation][code]
	if !declared {
		t.Fatalf("the model has %s for %s, and this test has no call for it", code, operation)
	}
	wrong.opts.Path = path
	if reg, err = registry.Open(wrong.opts); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reg.Close() })
	return awsjson.New(reg), wrong
}
