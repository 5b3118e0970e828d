package awsjson_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mapwarden/mapwarden/internal/component"
	"github.com/mapwarden/mapwarden/internal/registry/awsjson"
)

// model is AWS's own description of the service. The tests read it where it is
// installed, so that nobody's copy can be wrong: from the last version of AWS's
// first SDK for Go, which every machine can have, brought up to date by sinceGo1,
// and that is held against botocore where it is newer.
type model struct {
	Operations map[string]operation
	Shapes     map[string]shape
}

type operation struct {
	Input  struct{ Shape string }
	Errors []struct{ Shape string }
}

// ref names a shape.
type ref struct{ Shape string }

// shape is a type of the model with its constraints.
type shape struct {
	Type       string
	Members    map[string]ref
	Member     ref // of a list
	Key, Value ref // of a map
	Required   []string
	Min, Max   *int64
	Pattern    string
	Enum       []string
}

// sinceGo1 is what AWS changed after that version: attributes of services
// (2024-12), ARNs and accounts in shared namespaces (2025-08). TestModelIsCurrent
// holds it against botocore.
const sinceGo1 = `{
	"operations": {
		"GetServiceAttributes": {"input": {"shape": "GetServiceAttributesRequest"}, "errors": [{"shape": "InvalidInput"}, {"shape": "ServiceNotFound"}]},
		"UpdateServiceAttributes": {"input": {"shape": "UpdateServiceAttributesRequest"},
			"errors": [{"shape": "InvalidInput"}, {"shape": "ServiceNotFound"}, {"shape": "ServiceAttributesLimitExceededException"}]},
		"DeleteServiceAttributes": {"input": {"shape": "DeleteServiceAttributesRequest"}, "errors": [{"shape": "InvalidInput"}, {"shape": "ServiceNotFound"}]}
	},
	"shapes": {
		"GetServiceAttributesRequest": {"type": "structure", "required": ["ServiceId"], "members": {"ServiceId": {"shape": "Arn"}}},
		"UpdateServiceAttributesRequest": {"type": "structure", "required": ["ServiceId", "Attributes"],
			"members": {"ServiceId": {"shape": "Arn"}, "Attributes": {"shape": "ServiceAttributesMap"}}},
		"DeleteServiceAttributesRequest": {"type": "structure", "required": ["ServiceId", "Attributes"],
			"members": {"ServiceId": {"shape": "Arn"}, "Attributes": {"shape": "ServiceAttributeKeyList"}}},
		"ServiceAttributesMap": {"type": "map", "key": {"shape": "ServiceAttributeKey"}, "value": {"shape": "ServiceAttributeValue"}, "min": 1, "max": 30},
		"ServiceAttributeKeyList": {"type": "list", "member": {"shape": "ServiceAttributeKey"}, "min": 1, "max": 30},
		"ServiceAttributeKey": {"type": "string", "max": 255},
		"ServiceAttributeValue": {"type": "string", "max": 1024},
		"ServiceAlreadyExists": {"type": "structure", "members": {"Message": {"shape": "ErrorMessage"}, "CreatorRequestId": {"shape": "ResourceId"},
			"ServiceId": {"shape": "ResourceId"}, "ServiceArn": {"shape": "Arn"}}},
		"ServiceAttributesLimitExceededException": {"type": "structure", "members": {"Message": {"shape": "ErrorMessage"}}},
		"Arn": {"type": "string", "max": 255},
		"AWSAccountId": {"type": "string", "min": 12, "max": 12},
		"NamespaceNameHttp": {"type": "string", "max": 1024, "pattern": "^(?!arn:)[!-~]{1,1024}$"},
		"NamespaceNamePrivate": {"type": "string", "max": 253, "pattern": "^(?!arn:)[!-~]{1,253}$"},
		"NamespaceName": {"type": "string", "max": 1024, "pattern": "^[!-~]{1,1024}$"},
		"NamespaceFilterName": {"type": "string", "enum": ["TYPE", "NAME", "HTTP_NAME", "RESOURCE_OWNER"]},
		"ServiceFilterName": {"type": "string", "enum": ["NAMESPACE_ID", "RESOURCE_OWNER"]}
	}
}`

// loadModel reads the model; without it the test ends.
func loadModel(t *testing.T) *model {
	t.Helper()
	raw, err := os.ReadFile(component.Need(t, component.AWSModel))
	if err != nil {
		t.Fatal(err)
	}
	m, since := parseModel(t, raw), parseModel(t, []byte(sinceGo1))
	maps.Copy(m.Operations, since.Operations)
	maps.Copy(m.Shapes, since.Shapes)
	for name, op := range m.Operations {
		request := m.Shapes[op.Input.Shape].Members
		for member, of := range request {
			// Ids became ids or ARNs, and OperationIds as long as those.
			if of.Shape == "ResourceId" && slices.Contains([]string{"Id", "ServiceId", "NamespaceId", "OperationId"}, member) {
				request[member] = ref{"Arn"}
			}
		}
		if slices.Contains([]string{"DiscoverInstances", "DiscoverInstancesRevision", "GetOperation"}, name) {
			request["OwnerAccount"] = ref{"AWSAccountId"}
		}
	}
	m.limitServiceName()
	return m
}

func parseModel(t *testing.T, raw []byte) *model {
	t.Helper()
	m := new(model)
	if err := json.Unmarshal(raw, m); err != nil {
		t.Fatal(err)
	}
	return m
}

const where = `import botocore, os; print(os.path.join(os.path.dirname(botocore.__file__), "data", "servicediscovery", "2017-03-14"))`

// botocoreModel is the model of the botocore that is installed, which may be
// years old or newer than ours.
func botocoreModel(t *testing.T) *model {
	t.Helper()
	dir, err := exec.Command(component.Need(t, component.Boto3), "-c", where).Output()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(strings.TrimSpace(string(dir)), "service-2.json")
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		raw, err = os.ReadFile(path + ".gz")
		if err == nil {
			raw, err = gunzip(raw)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	m := parseModel(t, raw)
	m.limitServiceName()
	return m
}

// TestModelIsCurrent holds our model against botocore's: no operation of AWS is
// unknown to it and, where botocore is new enough to know all of ours, every
// rule and every error is the same.
func TestModelIsCurrent(t *testing.T) {
	ours, theirs := loadModel(t), botocoreModel(t)
	all := slices.Sorted(maps.Keys(ours.Operations))
	if known := awsjson.OperationNames(); !slices.Equal(all, known) {
		t.Errorf("the model has the operations %v, the registry %v", all, known)
	}
	for name := range theirs.Operations {
		if _, known := ours.Operations[name]; !known {
			t.Errorf("AWS has the operation %s, and the registry has not", name)
		}
	}
	_, attributes := theirs.Operations["GetServiceAttributes"]
	_, accounts := theirs.Shapes["AWSAccountId"]
	if !attributes || !accounts {
		return // older than ours: what it lacks and had otherwise says nothing
	}
	for _, name := range all {
		if diff := cmp.Diff(theirs.rules(name), ours.rules(name)); diff != "" {
			t.Errorf("%s: AWS has (-) what the model has not (+):\n%s", name, diff)
		}
	}
}

// rules are the errors of an operation, and the constraints of each value that
// a request can have, by its path.
func (m *model) rules(operation string) map[string]string {
	rules := map[string]string{}
	for _, e := range m.Operations[operation].Errors {
		rules["error "+e.Shape] = strings.Join(slices.Sorted(maps.Keys(m.Shapes[e.Shape].Members)), " ")
	}
	var walk func(path, name string, required bool)
	walk = func(path, name string, required bool) {
		s := m.Shapes[name]
		bound := func(n *int64) string {
			if n == nil {
				return ""
			}
			return strconv.FormatInt(*n, 10)
		}
		rules[path] = fmt.Sprintf("%s %v [%s,%s] %s %v", s.Type, required, bound(s.Min), bound(s.Max), s.Pattern, s.Enum)
		for member, of := range s.Members {
			walk(path+"."+member, of.Shape, slices.Contains(s.Required, member))
		}
		switch s.Type {
		case "list":
			walk(path+"[]", s.Member.Shape, false)
		case "map":
			walk(path+"{}", s.Key.Shape, false)
			walk(path+"{}=", s.Value.Shape, false)
		}
	}
	walk("", m.Operations[operation].Input.Shape, false)
	return rules
}

func gunzip(raw []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// limitServiceName reads the length that stands in the pattern of names.
func (m *model) limitServiceName() {
	s := m.Shapes["ServiceName"]
	if strings.Contains(s.Pattern, `(?=^.{1,127}$)`) {
		low, high := int64(1), int64(127)
		s.Min, s.Max = &low, &high
		m.Shapes["ServiceName"] = s
	}
}

// matches reports whether a value fits the pattern of the shape. Go's patterns
// look ahead at nothing, and what AWS's look ahead at is known.
func (s shape) matches(t *testing.T, value string) bool {
	if s.Pattern == "" {
		return true
	}
	const noARN = `(?!arn:)`
	if strings.Contains(s.Pattern, noARN) && strings.HasPrefix(value, "arn:") {
		return false
	}
	plain := strings.NewReplacer(noARN, "", `(?=^.{1,127}$)`, "").Replace(s.Pattern)
	for _, repeat := range []string{"{1,1024}", "{1,253}"} { // more than Go repeats, and Max says it
		plain = strings.ReplaceAll(plain, repeat, "+")
	}
	re, err := regexp.Compile(plain)
	if err != nil {
		t.Fatalf("pattern %s: %v", s.Pattern, err)
	}
	return re.MatchString(value)
}
