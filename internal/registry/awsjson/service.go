package awsjson

import (
	sd "github.com/aws/aws-sdk-go-v2/service/servicediscovery"
	"github.com/aws/aws-sdk-go-v2/service/servicediscovery/types"

	"github.com/mapwarden/mapwarden/internal/registry"
)

func createService(reg *registry.Registry, in *sd.CreateServiceInput) (*sd.CreateServiceOutput, error) {
	tags, err := tagsIn(in.Tags)
	if err != nil {
		return nil, err
	}
	n := registry.NewService{
		Name:             value(in.Name),
		NamespaceID:      value(in.NamespaceId),
		Description:      value(in.Description),
		CreatorRequestID: value(in.CreatorRequestId),
		Type:             string(in.Type),
		Route53Check:     in.HealthCheckConfig != nil,
		Tags:             tags,
	}
	if c := in.DnsConfig; c != nil {
		n.DNS = &registry.DNSConfig{RoutingPolicy: registry.RoutingPolicy(c.RoutingPolicy)}
		for _, rec := range c.DnsRecords {
			if rec.TTL == nil {
				return nil, missing("DnsConfig.DnsRecords.TTL")
			}
			n.DNS.Records = append(n.DNS.Records, registry.DNSRecord{Type: registry.RecordType(rec.Type), TTL: *rec.TTL})
		}
		n.DNSNamespaceID = value(c.NamespaceId)
	}
	if c := in.HealthCheckCustomConfig; c != nil {
		n.CustomHealth, n.FailureThreshold = true, c.FailureThreshold
	}
	svc, err := reg.CreateService(n)
	if err != nil {
		return nil, err
	}
	return &sd.CreateServiceOutput{Service: serviceOut(reg, &registry.ServiceView{Service: svc})}, nil
}

func deleteService(reg *registry.Registry, in *sd.DeleteServiceInput) (*sd.DeleteServiceOutput, error) {
	return &sd.DeleteServiceOutput{}, reg.DeleteService(value(in.Id))
}

func getService(reg *registry.Registry, in *sd.GetServiceInput) (*sd.GetServiceOutput, error) {
	view, err := reg.Service(value(in.Id))
	if err != nil {
		return nil, err
	}
	return &sd.GetServiceOutput{Service: serviceOut(reg, view)}, nil
}

func listServices(reg *registry.Registry, in *sd.ListServicesInput) (*sd.ListServicesOutput, error) {
	var filters []registry.Filter
	for _, f := range in.Filters {
		filters = append(filters, registry.Filter{Name: string(f.Name), Values: f.Values, Condition: string(f.Condition)})
	}
	found, next, err := reg.ListServices(page(in.NextToken, in.MaxResults), filters)
	if err != nil {
		return nil, err
	}
	out := &sd.ListServicesOutput{Services: make([]types.ServiceSummary, 0, len(found)), NextToken: text(next)}
	for _, view := range found {
		s := serviceOut(reg, view)
		out.Services = append(out.Services, types.ServiceSummary{
			Arn: s.Arn, CreateDate: s.CreateDate, CreatedByAccount: s.CreatedByAccount, Description: s.Description,
			DnsConfig: s.DnsConfig, HealthCheckCustomConfig: s.HealthCheckCustomConfig, Id: s.Id,
			InstanceCount: s.InstanceCount, Name: s.Name, ResourceOwner: s.ResourceOwner, Type: s.Type,
		})
	}
	return out, nil
}

func serviceOut(reg *registry.Registry, view *registry.ServiceView) *types.Service {
	svc, arn, account := view.Service, reg.ARN(view.ID), reg.Account()
	out := &types.Service{
		Arn: &arn, CreateDate: &svc.CreateDate, CreatedByAccount: &account, CreatorRequestId: text(svc.CreatorRequestID),
		Description: text(svc.Description), Id: &svc.ID, InstanceCount: count(len(view.Instances)), Name: &svc.Name,
		NamespaceId: &svc.NamespaceID, ResourceOwner: &account, Type: types.ServiceType(svc.Type),
	}
	if svc.DNS != nil {
		out.DnsConfig = &types.DnsConfig{NamespaceId: &svc.NamespaceID, RoutingPolicy: types.RoutingPolicy(svc.DNS.RoutingPolicy)}
		for _, rec := range svc.DNS.Records {
			out.DnsConfig.DnsRecords = append(out.DnsConfig.DnsRecords, types.DnsRecord{Type: types.RecordType(rec.Type), TTL: &rec.TTL})
		}
	}
	if svc.CustomHealth {
		out.HealthCheckCustomConfig = &types.HealthCheckCustomConfig{FailureThreshold: count(1)} // AWS ignores any other
	}
	return out
}
