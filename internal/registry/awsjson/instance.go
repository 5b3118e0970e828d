package awsjson

import (
	sd "github.com/aws/aws-sdk-go-v2/service/servicediscovery"
	"github.com/aws/aws-sdk-go-v2/service/servicediscovery/types"

	"github.com/mapwarden/mapwarden/internal/registry"
)

func registerInstance(reg *registry.Registry, in *sd.RegisterInstanceInput) (*sd.RegisterInstanceOutput, error) {
	id, err := reg.Register(registry.Registration{
		ServiceID:        value(in.ServiceId),
		InstanceID:       value(in.InstanceId),
		Attributes:       in.Attributes,
		CreatorRequestID: value(in.CreatorRequestId),
	})
	return &sd.RegisterInstanceOutput{OperationId: &id}, err
}

func deregisterInstance(reg *registry.Registry, in *sd.DeregisterInstanceInput) (*sd.DeregisterInstanceOutput, error) {
	id, err := reg.Deregister(value(in.ServiceId), value(in.InstanceId))
	return &sd.DeregisterInstanceOutput{OperationId: &id}, err
}

func getInstance(reg *registry.Registry, in *sd.GetInstanceInput) (*sd.GetInstanceOutput, error) {
	inst, err := reg.Instance(value(in.ServiceId), value(in.InstanceId))
	if err != nil {
		return nil, err
	}
	account := reg.Account()
	return &sd.GetInstanceOutput{
		Instance: &types.Instance{
			Id: &inst.ID, Attributes: inst.Attributes.Map(), CreatedByAccount: &account, CreatorRequestId: text(inst.CreatorRequestID),
		},
		ResourceOwner: &account,
	}, nil
}

func listInstances(reg *registry.Registry, in *sd.ListInstancesInput) (*sd.ListInstancesOutput, error) {
	found, next, err := reg.Instances(value(in.ServiceId), page(in.NextToken, in.MaxResults))
	if err != nil {
		return nil, err
	}
	account := reg.Account()
	out := &sd.ListInstancesOutput{
		Instances: make([]types.InstanceSummary, 0, len(found)), NextToken: text(next), ResourceOwner: &account,
	}
	for _, inst := range found {
		out.Instances = append(out.Instances, types.InstanceSummary{Id: &inst.ID, Attributes: inst.Attributes.Map(), CreatedByAccount: &account})
	}
	return out, nil
}
