package awsjson

import (
	sd "github.com/aws/aws-sdk-go-v2/service/servicediscovery"
	"github.com/aws/aws-sdk-go-v2/service/servicediscovery/types"

	"github.com/mapwarden/mapwarden/internal/registry"
)

func getServiceAttributes(reg *registry.Registry, in *sd.GetServiceAttributesInput) (*sd.GetServiceAttributesOutput, error) {
	view, attrs, err := reg.Attributes(value(in.ServiceId))
	if err != nil {
		return nil, err
	}
	arn, account := reg.ARN(view.ID), reg.Account()
	if attrs == nil {
		attrs = map[string]string{}
	}
	return &sd.GetServiceAttributesOutput{ServiceAttributes: &types.ServiceAttributes{
		Attributes: attrs, ResourceOwner: &account, ServiceArn: &arn,
	}}, nil
}

func updateServiceAttributes(reg *registry.Registry, in *sd.UpdateServiceAttributesInput) (*sd.UpdateServiceAttributesOutput, error) {
	return &sd.UpdateServiceAttributesOutput{}, reg.SetAttributes(value(in.ServiceId), in.Attributes)
}

func deleteServiceAttributes(reg *registry.Registry, in *sd.DeleteServiceAttributesInput) (*sd.DeleteServiceAttributesOutput, error) {
	return &sd.DeleteServiceAttributesOutput{}, reg.DeleteAttributes(value(in.ServiceId), in.Attributes)
}
