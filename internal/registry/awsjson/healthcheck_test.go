package awsjson_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	sd "github.com/aws/aws-sdk-go-v2/service/servicediscovery"
	"github.com/aws/aws-sdk-go-v2/service/servicediscovery/types"

	"github.com/mapwarden/mapwarden/internal/registry"
)

// publicNamespace creates a public DNS namespace behind the back of the client.
func publicNamespace(t *testing.T, reg *registry.Registry, name string) string {
	t.Helper()
	id := must[string](t)(reg.CreateNamespace(registry.NewNamespace{Name: name, Type: registry.DNSPublicNamespace}))
	return must[*registry.Operation](t)(reg.Operation(id, "")).Targets[registry.NamespaceTarget]
}

func TestHealthCheckConfig(t *testing.T) {
	reg, address := serve(t, registry.Options{})
	c := client(address)
	ns := publicNamespace(t, reg, "example.com")
	created := must[*sd.CreateServiceOutput](t)(c.CreateService(t.Context(), &sd.CreateServiceInput{
		Name: ptr("web"), NamespaceId: &ns, Description: ptr("first"),
		DnsConfig:         &types.DnsConfig{DnsRecords: []types.DnsRecord{{Type: types.RecordTypeA, TTL: ptr[int64](60)}}},
		HealthCheckConfig: &types.HealthCheckConfig{Type: types.HealthCheckTypeHttp},
	})).Service
	is := func(got *types.HealthCheckConfig, typ types.HealthCheckType, path string, threshold int32) {
		t.Helper()
		if got == nil || got.Type != typ || *got.ResourcePath != path || *got.FailureThreshold != threshold {
			t.Errorf("HealthCheckConfig = %+v, want %s %s %d", got, typ, path, threshold)
		}
	}
	is(created.HealthCheckConfig, types.HealthCheckTypeHttp, "/", 3)

	op := must[*sd.UpdateServiceOutput](t)(c.UpdateService(t.Context(), &sd.UpdateServiceInput{Id: created.Arn, Service: &types.ServiceChange{
		Description:       ptr("second"),
		DnsConfig:         &types.DnsConfigChange{DnsRecords: []types.DnsRecord{{Type: types.RecordTypeA, TTL: ptr[int64](5)}}},
		HealthCheckConfig: &types.HealthCheckConfig{Type: types.HealthCheckTypeHttp, ResourcePath: ptr("/up"), FailureThreshold: ptr[int32](1)},
	}}))
	done := must[*sd.GetOperationOutput](t)(c.GetOperation(t.Context(), &sd.GetOperationInput{OperationId: op.OperationId})).Operation
	if done.Type != types.OperationTypeUpdateService || done.Status != types.OperationStatusSuccess || done.Targets["SERVICE"] != *created.Id {
		t.Errorf("operation = %+v", done)
	}
	got := must[*sd.GetServiceOutput](t)(c.GetService(t.Context(), &sd.GetServiceInput{Id: created.Id})).Service
	is(got.HealthCheckConfig, types.HealthCheckTypeHttp, "/up", 1)
	if *got.Description != "second" || *got.DnsConfig.DnsRecords[0].TTL != 5 {
		t.Errorf("service = %+v", got)
	}
	is(must[*sd.ListServicesOutput](t)(c.ListServices(t.Context(), &sd.ListServicesInput{})).Services[0].HealthCheckConfig,
		types.HealthCheckTypeHttp, "/up", 1)

	_, err := c.UpdateInstanceCustomHealthStatus(t.Context(), &sd.UpdateInstanceCustomHealthStatusInput{
		ServiceId: created.Id, InstanceId: ptr("a"), Status: types.CustomHealthStatusHealthy})
	as[*types.CustomHealthNotFound](t, err)
	_, err = c.UpdateService(t.Context(), &sd.UpdateServiceInput{Id: ptr("srv-none"), Service: &types.ServiceChange{}})
	as[*types.ServiceNotFound](t, err)
	_, err = c.UpdateService(t.Context(), &sd.UpdateServiceInput{Id: created.Id, Service: &types.ServiceChange{
		DnsConfig: &types.DnsConfigChange{DnsRecords: []types.DnsRecord{{Type: types.RecordTypeAaaa, TTL: ptr[int64](5)}}}}})
	if e := as[*types.InvalidInput](t, err); e != nil && !strings.Contains(e.ErrorMessage(), "Service.DnsConfig.DnsRecords") {
		t.Errorf("message = %s", e.ErrorMessage())
	}
}

func TestUpdateServiceWhileOneIsInFlight(t *testing.T) {
	opts := registry.Options{Path: filepath.Join(t.TempDir(), "registry.db")}
	before := must[*registry.Registry](t)(registry.Open(opts))
	ns := publicNamespace(t, before, "example.com")
	svc := must[*registry.Service](t)(before.CreateService(registry.NewService{NamespaceID: ns, Name: "web",
		DNS: &registry.DNSConfig{Records: []registry.DNSRecord{{Type: registry.RecordA, TTL: 60}}}})).ID
	if err := before.Close(); err != nil {
		t.Fatal(err)
	}
	opts.OperationDelay = time.Hour
	_, address := serve(t, opts)
	c := client(address)
	change := &sd.UpdateServiceInput{Id: &svc, Service: &types.ServiceChange{
		DnsConfig: &types.DnsConfigChange{DnsRecords: []types.DnsRecord{{Type: types.RecordTypeA, TTL: ptr[int64](5)}}}}}
	first := must[*sd.UpdateServiceOutput](t)(c.UpdateService(t.Context(), change))
	_, err := c.UpdateService(t.Context(), change)
	if e := as[*types.DuplicateRequest](t, err); e != nil && *e.DuplicateOperationId != *first.OperationId {
		t.Errorf("DuplicateOperationId = %s, want %s", *e.DuplicateOperationId, *first.OperationId)
	}
}
