package awsjson

import (
	sd "github.com/aws/aws-sdk-go-v2/service/servicediscovery"
	"github.com/aws/aws-sdk-go-v2/service/servicediscovery/types"

	"github.com/mapwarden/mapwarden/internal/registry"
)

func getInstancesHealthStatus(reg *registry.Registry, in *sd.GetInstancesHealthStatusInput) (*sd.GetInstancesHealthStatusOutput, error) {
	found, next, err := reg.Health(value(in.ServiceId), in.Instances, page(in.NextToken, in.MaxResults))
	if err != nil {
		return nil, err
	}
	out := &sd.GetInstancesHealthStatusOutput{Status: make(map[string]types.HealthStatus, len(found)), NextToken: text(next)}
	for _, inst := range found {
		out.Status[inst.ID] = types.HealthStatus(inst.Health.String())
	}
	return out, nil
}

// updateInstanceCustomHealthStatus has no output shape.
func updateInstanceCustomHealthStatus(reg *registry.Registry, in *sd.UpdateInstanceCustomHealthStatusInput) (*sd.UpdateInstanceCustomHealthStatusOutput, error) {
	var to registry.HealthStatus
	switch in.Status {
	case types.CustomHealthStatusHealthy:
		to = registry.Healthy
	case types.CustomHealthStatusUnhealthy:
		to = registry.Unhealthy
	}
	return nil, reg.SetCustomHealth(value(in.ServiceId), value(in.InstanceId), to)
}
