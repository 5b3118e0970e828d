package awsjson

import (
	sd "github.com/aws/aws-sdk-go-v2/service/servicediscovery"
	"github.com/aws/aws-sdk-go-v2/service/servicediscovery/types"

	"github.com/mapwarden/mapwarden/internal/registry"
)

func updateHTTPNamespace(reg *registry.Registry, in *sd.UpdateHttpNamespaceInput) (*sd.UpdateHttpNamespaceOutput, error) {
	if in.Namespace == nil {
		return nil, missing("Namespace")
	}
	id, err := reg.UpdateNamespace(registry.NamespaceUpdate{
		ID:               value(in.Id),
		Type:             registry.HTTPNamespace,
		Description:      in.Namespace.Description,
		UpdaterRequestID: value(in.UpdaterRequestId),
	})
	return &sd.UpdateHttpNamespaceOutput{OperationId: &id}, err
}

func updatePrivateDNSNamespace(reg *registry.Registry, in *sd.UpdatePrivateDnsNamespaceInput) (*sd.UpdatePrivateDnsNamespaceOutput, error) {
	if in.Namespace == nil {
		return nil, missing("Namespace")
	}
	u := registry.NamespaceUpdate{
		ID:               value(in.Id),
		Type:             registry.DNSPrivateNamespace,
		Description:      in.Namespace.Description,
		UpdaterRequestID: value(in.UpdaterRequestId),
	}
	if p := in.Namespace.Properties; p != nil {
		var err error
		if u.SOATTL, err = soaTTLChange(p.DnsProperties); err != nil {
			return nil, err
		}
	}
	id, err := reg.UpdateNamespace(u)
	return &sd.UpdatePrivateDnsNamespaceOutput{OperationId: &id}, err
}

func updatePublicDNSNamespace(reg *registry.Registry, in *sd.UpdatePublicDnsNamespaceInput) (*sd.UpdatePublicDnsNamespaceOutput, error) {
	if in.Namespace == nil {
		return nil, missing("Namespace")
	}
	u := registry.NamespaceUpdate{
		ID:               value(in.Id),
		Type:             registry.DNSPublicNamespace,
		Description:      in.Namespace.Description,
		UpdaterRequestID: value(in.UpdaterRequestId),
	}
	if p := in.Namespace.Properties; p != nil {
		var err error
		if u.SOATTL, err = soaTTLChange((*types.PrivateDnsPropertiesMutableChange)(p.DnsProperties)); err != nil {
			return nil, err
		}
	}
	id, err := reg.UpdateNamespace(u)
	return &sd.UpdatePublicDnsNamespaceOutput{OperationId: &id}, err
}

func soaTTLChange(dns *types.PrivateDnsPropertiesMutableChange) (*int64, error) {
	const path = "Namespace.Properties"
	if dns == nil {
		return soaTTL(path, nil)
	}
	return soaTTL(path, &types.PrivateDnsPropertiesMutable{SOA: (*types.SOA)(dns.SOA)})
}
