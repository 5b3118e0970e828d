package awsjson

import (
	sd "github.com/aws/aws-sdk-go-v2/service/servicediscovery"
	"github.com/aws/aws-sdk-go-v2/service/servicediscovery/types"

	"github.com/mapwarden/mapwarden/internal/registry"
)

func discoverInstances(reg *registry.Registry, in *sd.DiscoverInstancesInput) (*sd.DiscoverInstancesOutput, error) {
	found, err := reg.Discover(registry.Query{
		Namespace: value(in.NamespaceName),
		Service:   value(in.ServiceName),
		Health:    registry.HealthFilter(in.HealthStatus),
		Must:      in.QueryParameters,
		Prefer:    in.OptionalParameters,
		Max:       in.MaxResults,
		Owner:     value(in.OwnerAccount),
	})
	if err != nil {
		return nil, err
	}
	out := &sd.DiscoverInstancesOutput{
		Instances: make([]types.HttpInstanceSummary, 0, len(found.Instances)), InstancesRevision: &found.Revision,
	}
	for _, inst := range found.Instances {
		out.Instances = append(out.Instances, types.HttpInstanceSummary{
			Attributes: inst.Attributes.Map(), HealthStatus: types.HealthStatus(inst.Health.String()), InstanceId: &inst.ID,
			NamespaceName: in.NamespaceName, ServiceName: in.ServiceName,
		})
	}
	return out, nil
}

func discoverInstancesRevision(reg *registry.Registry, in *sd.DiscoverInstancesRevisionInput) (*sd.DiscoverInstancesRevisionOutput, error) {
	revision, err := reg.DiscoverRevision(registry.Query{
		Namespace: value(in.NamespaceName), Service: value(in.ServiceName), Owner: value(in.OwnerAccount),
	})
	return &sd.DiscoverInstancesRevisionOutput{InstancesRevision: &revision}, err
}
