package awsjson_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mapwarden/mapwarden/internal/registry/awsjson"
)

var update = flag.Bool("update", false, "write the generated page")

const pagePath = "../../../docs/registry-operations.md"

const pageHead = `# Every operation of the registry, and its tests

<!-- Made by go generate ./internal/registry/awsjson from its tests and from AWS's service model. Do not edit. -->

For each of the %d operations of AWS Cloud Map: the call that works, each error that AWS's service model has for it,
and each constraint of the model. The tests are those of ` + "`internal/registry/awsjson`" + `; run one with
` + "`go test ./internal/registry/awsjson -run 'TestConstraints/GetService/Id'`" + `.

The model is read when the tests run, from AWS's SDKs; nobody copied it. A broken constraint is answered with
` + "`InvalidInput`" + ` and a message that names the member; a value at the limit is accepted. Rules between members, which
no model has, are tested in ` + "`internal/registry`" + `.
`

// page makes the table from what the tests declare.
func page(t *testing.T, m *model) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, pageHead, len(awsjson.OperationNames()))
	var n names
	all, wrong := requests(n), mistakes(n)
	for _, operation := range awsjson.OperationNames() {
		fmt.Fprintf(&b, "\n## %s\n\n| what | tested by |\n| --- | --- |\n", operation)
		fmt.Fprintf(&b, "| success | `TestClients/go/%s`, and with the other clients |\n", operation)
		for _, e := range m.Operations[operation].Errors {
			proof := fmt.Sprintf("`TestModelledErrors/%s/%s`", operation, e.Shape)
			if why := impossible[operation][e.Shape]; why != "" {
				proof = "cannot occur: " + why
			} else if throttled[operation] == e.Shape {
				proof = fmt.Sprintf("with `--throttle`: `%s` of `internal/registry/access`", throttledTest(t, operation))
			} else if e.Shape == "InvalidInput" {
				proof = fmt.Sprintf("`TestConstraints/%s`, below", operation)
			} else if _, declared := wrong[operation][e.Shape]; !declared {
				t.Errorf("the model has %s for %s, and no test makes it", e.Shape, operation)
			}
			fmt.Fprintf(&b, "| `%s` | %s |\n", e.Shape, proof)
		}
		for _, c := range constraints(t, m, operation, all[operation]) {
			test := strings.ReplaceAll(c.name(), " ", "_")
			fmt.Fprintf(&b, "| `%s` %s | `TestConstraints/%s/%s` |\n", c.path, c.rule, operation, test)
		}
	}
	return b.String()
}

// TestPageIsCurrent compares the page with the committed one; go generate
// writes it.
func TestPageIsCurrent(t *testing.T) {
	m := loadModel(t)
	want := page(t, m)
	if *update {
		if err := os.WriteFile(pagePath, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(pagePath)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("%s is not what the tests say; run go generate ./internal/registry/awsjson (-want +got):\n%s", pagePath, diff)
	}
}
