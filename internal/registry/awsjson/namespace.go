package awsjson

import (
	sd "github.com/aws/aws-sdk-go-v2/service/servicediscovery"
	"github.com/aws/aws-sdk-go-v2/service/servicediscovery/types"

	"github.com/mapwarden/mapwarden/internal/registry"
)

func createHTTPNamespace(reg *registry.Registry, in *sd.CreateHttpNamespaceInput) (*sd.CreateHttpNamespaceOutput, error) {
	tags, err := tagsIn(in.Tags)
	if err != nil {
		return nil, err
	}
	id, err := reg.CreateNamespace(registry.NewNamespace{
		Name:             value(in.Name),
		Type:             registry.HTTPNamespace,
		Description:      value(in.Description),
		CreatorRequestID: value(in.CreatorRequestId),
		Tags:             tags,
	})
	return &sd.CreateHttpNamespaceOutput{OperationId: &id}, err
}

func createPrivateDNSNamespace(reg *registry.Registry, in *sd.CreatePrivateDnsNamespaceInput) (*sd.CreatePrivateDnsNamespaceOutput, error) {
	tags, err := tagsIn(in.Tags)
	if err != nil {
		return nil, err
	}
	n := registry.NewNamespace{
		Name:             value(in.Name),
		Type:             registry.DNSPrivateNamespace,
		VPC:              value(in.Vpc),
		Description:      value(in.Description),
		CreatorRequestID: value(in.CreatorRequestId),
		Tags:             tags,
	}
	if p := in.Properties; p != nil {
		if n.SOATTL, err = soaTTL("Properties", p.DnsProperties); err != nil {
			return nil, err
		}
	}
	id, err := reg.CreateNamespace(n)
	return &sd.CreatePrivateDnsNamespaceOutput{OperationId: &id}, err
}

// createPublicDNSNamespace differs from the private one by the VPC alone, but
// the SDK has types of their own for it.
func createPublicDNSNamespace(reg *registry.Registry, in *sd.CreatePublicDnsNamespaceInput) (*sd.CreatePublicDnsNamespaceOutput, error) {
	tags, err := tagsIn(in.Tags)
	if err != nil {
		return nil, err
	}
	n := registry.NewNamespace{
		Name:             value(in.Name),
		Type:             registry.DNSPublicNamespace,
		Description:      value(in.Description),
		CreatorRequestID: value(in.CreatorRequestId),
		Tags:             tags,
	}
	if p := in.Properties; p != nil {
		if n.SOATTL, err = soaTTL("Properties", (*types.PrivateDnsPropertiesMutable)(p.DnsProperties)); err != nil {
			return nil, err
		}
	}
	id, err := reg.CreateNamespace(n)
	return &sd.CreatePublicDnsNamespaceOutput{OperationId: &id}, err
}

// soaTTL is the TTL of properties whose every level is required. Path is where
// they stand.
func soaTTL(path string, dns *types.PrivateDnsPropertiesMutable) (*int64, error) {
	switch {
	case dns == nil:
		return nil, missing(path + ".DnsProperties")
	case dns.SOA == nil:
		return nil, missing(path + ".DnsProperties.SOA")
	case dns.SOA.TTL == nil:
		return nil, missing(path + ".DnsProperties.SOA.TTL")
	}
	return dns.SOA.TTL, nil
}

func deleteNamespace(reg *registry.Registry, in *sd.DeleteNamespaceInput) (*sd.DeleteNamespaceOutput, error) {
	id, err := reg.DeleteNamespace(value(in.Id))
	return &sd.DeleteNamespaceOutput{OperationId: &id}, err
}

func getNamespace(reg *registry.Registry, in *sd.GetNamespaceInput) (*sd.GetNamespaceOutput, error) {
	ns, err := reg.Namespace(value(in.Id))
	if err != nil {
		return nil, err
	}
	summary := namespaceSummary(reg, ns)
	return &sd.GetNamespaceOutput{Namespace: &types.Namespace{
		Arn: summary.Arn, CreateDate: summary.CreateDate, CreatorRequestId: text(ns.CreatorRequestID),
		Description: summary.Description, Id: summary.Id, Name: summary.Name, Properties: summary.Properties,
		ResourceOwner: summary.ResourceOwner, ServiceCount: summary.ServiceCount, Type: summary.Type,
	}}, nil
}

func listNamespaces(reg *registry.Registry, in *sd.ListNamespacesInput) (*sd.ListNamespacesOutput, error) {
	var filters []registry.Filter
	for _, f := range in.Filters {
		filters = append(filters, registry.Filter{Name: string(f.Name), Values: f.Values, Condition: string(f.Condition)})
	}
	found, next, err := reg.Namespaces(page(in.NextToken, in.MaxResults), filters)
	if err != nil {
		return nil, err
	}
	out := &sd.ListNamespacesOutput{Namespaces: make([]types.NamespaceSummary, 0, len(found)), NextToken: text(next)}
	for _, ns := range found {
		out.Namespaces = append(out.Namespaces, namespaceSummary(reg, ns))
	}
	return out, nil
}

func namespaceSummary(reg *registry.Registry, ns *registry.Namespace) types.NamespaceSummary {
	arn, account := reg.ARN(ns.ID), reg.Account()
	dns := &types.DnsProperties{HostedZoneId: text(ns.HostedZoneID)}
	if ns.Type != registry.HTTPNamespace {
		dns.SOA = &types.SOA{TTL: &ns.SOATTL}
	}
	return types.NamespaceSummary{
		Arn: &arn, CreateDate: &ns.CreateDate, Description: text(ns.Description), Id: &ns.ID, Name: &ns.Name,
		Properties: &types.NamespaceProperties{
			DnsProperties:  dns,
			HttpProperties: &types.HttpProperties{HttpName: &ns.HTTPName},
		},
		ResourceOwner: &account, ServiceCount: count(ns.ServiceCount), Type: types.NamespaceType(ns.Type),
	}
}

func page(token *string, most *int32) registry.Page {
	return registry.Page{Token: value(token), Max: most}
}
