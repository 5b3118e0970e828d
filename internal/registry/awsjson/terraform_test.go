//go:build terraform

package awsjson_test

import (
	"encoding/json"
	"maps"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/mapwarden/mapwarden/internal/registry"
	"github.com/mapwarden/mapwarden/internal/registry/awsjson"
)

// pluginsEnv names the directory for Terraform's -plugin-dir; without it
// Terraform downloads its provider.
const pluginsEnv = "MAPWARDEN_TERRAFORM_PLUGINS"

// TestTerraform leads Terraform's AWS provider through the life of a
// configuration: made, found unchanged, changed, forgotten and imported, gone.
// It takes minutes: `make test-deep` builds it where terraform is on the machine.
func TestTerraform(t *testing.T) {
	program, err := exec.LookPath("terraform")
	if err != nil {
		t.Fatal(err)
	}
	reg, api := serveInTime(t)
	dir := t.TempDir()
	config, err := os.ReadFile("testdata/terraform/main.tf")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "main.tf"), config, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	command := func(args ...string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), program, args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "TF_VAR_endpoint="+api, "TF_IN_AUTOMATION=1", "CHECKPOINT_DISABLE=1", "TF_CLI_CONFIG_FILE="+os.DevNull, "AWS_EC2_METADATA_DISABLED=true")
		return cmd
	}
	run := func(args ...string) []byte {
		t.Helper()
		out, err := command(args...).CombinedOutput()
		if err != nil {
			t.Fatalf("terraform %v: %v\n%s", args, err, out)
		}
		return out
	}
	initialise := []string{"init", "-input=false", "-no-color"}
	if plugins := os.Getenv(pluginsEnv); plugins != "" {
		initialise = append(initialise, "-plugin-dir="+plugins)
	}
	run(initialise...)
	apply := func(vars ...string) {
		t.Helper()
		run(append([]string{"apply", "-auto-approve", "-input=false", "-no-color"}, vars...)...)
	}
	unchanged := func(vars ...string) { // the exit code is 2 where something would change
		t.Helper()
		run(append([]string{"plan", "-detailed-exitcode", "-input=false", "-no-color"}, vars...)...)
	}

	apply()
	unchanged()
	changes := []string{"-var=ttl=20", "-var=description=second", `-var=tags={"team"="shop","stage"="test"}`}
	apply(changes...)
	unchanged(changes...)
	var ids map[string]string
	if err := json.Unmarshal(run("output", "-json", "ids"), &ids); err != nil {
		t.Fatal(err)
	}
	web := reg.View(ids["aws_service_discovery_service.web"])
	if web == nil || web.DNS.Records[0].TTL != 20 || web.Description != "second" || web.Tags["stage"] != "test" || len(web.Instances) != 1 {
		t.Errorf("after the change: %+v", web)
	}
	for _, address := range slices.Sorted(maps.Keys(ids)) {
		run("state", "rm", address)
		run(append([]string{"import", "-input=false", "-no-color"}, append(changes, address, ids[address])...)...)
	}
	unchanged(changes...)
	run(append([]string{"destroy", "-auto-approve", "-input=false", "-no-color"}, changes...)...)
	if left, _, err := reg.Namespaces(registry.Page{}, nil); err != nil || len(left) > 0 {
		t.Errorf("after destroy: %v, %v", left, err)
	}
}

// serveInTime is a registry whose operations take a while.
func serveInTime(t *testing.T) (*registry.Registry, string) {
	t.Helper()
	reg, err := registry.Open(registry.Options{OperationDelay: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	go reg.Run(t.Context())
	server := httptest.NewServer(awsjson.New(reg))
	t.Cleanup(server.Close)
	return reg, server.URL
}
