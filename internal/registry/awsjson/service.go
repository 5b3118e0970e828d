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
		HealthCheck:      checkIn(in.HealthCheckConfig),
		Tags:             tags,
	}
	if c := in.DnsConfig; c != nil {
		n.DNS = &registry.DNSConfig{RoutingPolicy: registry.RoutingPolicy(c.RoutingPolicy)}
		records, err := recordsIn("DnsConfig.DnsRecords", c.DnsRecords)
		if err != nil {
			return nil, err
		}
		n.DNS.Records = records
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

func updateService(reg *registry.Registry, in *sd.UpdateServiceInput) (*sd.UpdateServiceOutput, error) {
	if in.Service == nil {
		return nil, missing("Service")
	}
	u := registry.ServiceUpdate{
		ID: value(in.Id), Description: value(in.Service.Description), HealthCheck: checkIn(in.Service.HealthCheckConfig),
	}
	if c := in.Service.DnsConfig; c != nil {
		records, err := recordsIn("Service.DnsConfig.DnsRecords", c.DnsRecords)
		if err != nil {
			return nil, err
		}
		u.Records = records
	}
	id, err := reg.UpdateService(u)
	return &sd.UpdateServiceOutput{OperationId: &id}, err
}

// recordsIn is never nil: a DnsConfig without records is one.
func recordsIn(member string, records []types.DnsRecord) ([]registry.DNSRecord, error) {
	out := make([]registry.DNSRecord, 0, len(records))
	for _, rec := range records {
		if rec.TTL == nil {
			return nil, missing(member + ".TTL")
		}
		out = append(out, registry.DNSRecord{Type: registry.RecordType(rec.Type), TTL: *rec.TTL})
	}
	return out, nil
}

func checkIn(c *types.HealthCheckConfig) *registry.NewHealthCheck {
	if c == nil {
		return nil
	}
	return &registry.NewHealthCheck{Type: string(c.Type), ResourcePath: value(c.ResourcePath), FailureThreshold: c.FailureThreshold}
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
			DnsConfig: s.DnsConfig, HealthCheckConfig: s.HealthCheckConfig, HealthCheckCustomConfig: s.HealthCheckCustomConfig, Id: s.Id,
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
	if c := svc.HealthCheck; c != nil {
		out.HealthCheckConfig = &types.HealthCheckConfig{
			Type: types.HealthCheckType(c.Type), ResourcePath: text(c.ResourcePath), FailureThreshold: count(c.FailureThreshold),
		}
	}
	if svc.CustomHealth {
		out.HealthCheckCustomConfig = &types.HealthCheckCustomConfig{FailureThreshold: count(1)} // AWS ignores any other
	}
	return out
}
