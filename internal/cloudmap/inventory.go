package cloudmap

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sd "github.com/aws/aws-sdk-go-v2/service/servicediscovery"
	"github.com/aws/aws-sdk-go-v2/service/servicediscovery/types"
	"github.com/aws/smithy-go"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/warden"
)

// Inventory is all that the API tells of an account in a region. It does not
// tell the VPC of a namespace, nor that a custom status is on its way.
type Inventory struct {
	// Account is empty where no namespace is the account's own: only its
	// resources say whose they are.
	Account, Region string
	Namespaces      []NamespaceDetails // in order of their creation
}

// NamespaceDetails is a namespace with its services.
type NamespaceDetails struct {
	ID, Name, Type, HTTPName, Description, CreatorRequestID string

	CreateDate   time.Time
	HostedZoneID string
	SOATTL       int64             // seconds
	Owner        string            // the account that shares it; empty for our own
	Tags         map[string]string // nil where the namespace is another account's
	Services     []ServiceDetails  // in order of their names
}

// ServiceDetails is a service with its instances.
type ServiceDetails struct {
	ID, Name, Description, CreatorRequestID string

	CreateDate    time.Time
	RoutingPolicy string
	Records       []RecordDetails // none where it is found by API alone
	CustomHealth  bool
	Check         *CheckDetails // the Route 53 check, or nil
	Tags          map[string]string
	Attributes    map[string]string
	Revision      int64
	Instances     []warden.InstanceFound // in order of their ids
}

// RecordDetails is a DNS record that instances of a service get.
type RecordDetails struct {
	Type string
	TTL  int64 // seconds
}

// CheckDetails is a Route 53 health check.
type CheckDetails struct {
	Type, ResourcePath string
	FailureThreshold   int32
}

// Inventory reads all namespaces, or those of which a name, id or ARN is
// chosen, with everything in them. It returns all of that or an error. It only
// reads, and AWS's answers are as old as they are: what changes meanwhile may
// be in it or not.
func (r *Reader) Inventory(ctx context.Context, chosen []string) (Inventory, error) {
	inv := Inventory{Region: r.c.aws.Region}
	own, err := r.namespacesOf(ctx, "SELF")
	if err != nil {
		return Inventory{}, fmt.Errorf("list namespaces: %w", err)
	}
	if len(own) > 0 {
		inv.Region, inv.Account = arnParts(aws.ToString(own[0].Arn))
	}
	shared, err := r.namespacesOf(ctx, "OTHER_ACCOUNTS")
	if err != nil {
		return Inventory{}, fmt.Errorf("list namespaces that other accounts share: %w", err)
	}
	selected, err := choose(append(own, shared...), chosen)
	if err != nil {
		return Inventory{}, err
	}
	as := &Reader{c: r.c, api: r.api, account: inv.Account}
	for _, ns := range selected {
		details, err := as.namespaceDetails(ctx, ns)
		if err != nil {
			return Inventory{}, fmt.Errorf("read namespace %s: %w", aws.ToString(ns.Name), err)
		}
		inv.Namespaces = append(inv.Namespaces, details)
	}
	slices.SortFunc(inv.Namespaces, func(a, b NamespaceDetails) int {
		return cmp.Or(a.CreateDate.Compare(b.CreateDate), cmp.Compare(a.ID, b.ID))
	})
	return inv, nil
}

// arnParts returns the region and the account of an ARN.
func arnParts(arn string) (region, account string) {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) < 6 {
		return "", ""
	}
	return parts[3], parts[4]
}

func (r *Reader) namespacesOf(ctx context.Context, owner string) ([]types.NamespaceSummary, error) {
	return r.listNamespaces(ctx, types.NamespaceFilter{
		Name: types.NamespaceFilterNameResourceOwner, Condition: types.FilterConditionEq, Values: []string{owner},
	})
}

func choose(all []types.NamespaceSummary, chosen []string) ([]types.NamespaceSummary, error) {
	if len(chosen) == 0 {
		return all, nil
	}
	found := make(map[string]bool)
	selected := slices.DeleteFunc(all, func(ns types.NamespaceSummary) bool {
		drop := true
		for _, known := range []*string{ns.Name, ns.Id, ns.Arn} {
			if name := aws.ToString(known); slices.Contains(chosen, name) {
				found[name], drop = true, false
			}
		}
		return drop
	})
	for _, name := range chosen {
		if !found[name] {
			return nil, fmt.Errorf("there is no namespace %s", name)
		}
	}
	return selected, nil
}

func (r *Reader) namespaceDetails(ctx context.Context, summary types.NamespaceSummary) (NamespaceDetails, error) {
	shared := r.foreign(summary.ResourceOwner)
	out, err := call(ctx, r.c, readDetails, "GetNamespace", r.api.GetNamespace,
		&sd.GetNamespaceInput{Id: named(shared, summary.Id, summary.Arn)})
	if err != nil {
		return NamespaceDetails{}, err
	}
	ns := out.Namespace
	if ns == nil || aws.ToString(ns.Id) != aws.ToString(summary.Id) {
		return NamespaceDetails{}, &CallError{Op: "GetNamespace", Sent: true, Err: errors.New("the answer is not about the namespace asked for")}
	}
	d := NamespaceDetails{
		ID: aws.ToString(ns.Id), Name: aws.ToString(ns.Name), Type: string(ns.Type), HTTPName: aws.ToString(ns.Name),
		Description: aws.ToString(ns.Description), CreatorRequestID: aws.ToString(ns.CreatorRequestId), CreateDate: aws.ToTime(ns.CreateDate),
	}
	if p := ns.Properties; p != nil {
		if p.HttpProperties != nil && aws.ToString(p.HttpProperties.HttpName) != "" {
			d.HTTPName = *p.HttpProperties.HttpName
		}
		if p.DnsProperties != nil {
			d.HostedZoneID = aws.ToString(p.DnsProperties.HostedZoneId)
			if p.DnsProperties.SOA != nil {
				d.SOATTL = aws.ToInt64(p.DnsProperties.SOA.TTL)
			}
		}
	}
	if shared {
		d.Owner = cmp.Or(aws.ToString(summary.ResourceOwner), "unknown")
	} else if d.Tags, err = r.tags(ctx, ns.Arn); err != nil {
		return NamespaceDetails{}, err
	}
	err = r.serviceDetails(ctx, summary, &d)
	return d, err
}

func (r *Reader) serviceDetails(ctx context.Context, ns types.NamespaceSummary, into *NamespaceDetails) error {
	shared := into.Owner != ""
	summaries, err := r.listServices(ctx, aws.ToString(named(shared, ns.Id, ns.Arn)))
	if err != nil {
		return err
	}
	for _, summary := range summaries {
		d, err := r.oneService(ctx, summary, into)
		if err != nil {
			return fmt.Errorf("service %s: %w", aws.ToString(summary.Name), err)
		}
		into.Services = append(into.Services, d)
	}
	slices.SortFunc(into.Services, func(a, b ServiceDetails) int { return cmp.Compare(a.Name, b.Name) })
	return nil
}

func (r *Reader) oneService(ctx context.Context, summary types.ServiceSummary, in *NamespaceDetails) (ServiceDetails, error) {
	shared := in.Owner != ""
	id := named(shared, summary.Id, summary.Arn)
	out, err := call(ctx, r.c, readDetails, "GetService", r.api.GetService, &sd.GetServiceInput{Id: id})
	if err != nil {
		return ServiceDetails{}, err
	}
	s := out.Service
	if s == nil || aws.ToString(s.Id) != aws.ToString(summary.Id) {
		return ServiceDetails{}, &CallError{Op: "GetService", Sent: true, Err: errors.New("the answer is not about the service asked for")}
	}
	d := ServiceDetails{
		ID: aws.ToString(s.Id), Name: aws.ToString(s.Name), Description: aws.ToString(s.Description),
		CreatorRequestID: aws.ToString(s.CreatorRequestId), CreateDate: aws.ToTime(s.CreateDate), CustomHealth: s.HealthCheckCustomConfig != nil,
	}
	if s.DnsConfig != nil {
		d.RoutingPolicy = string(s.DnsConfig.RoutingPolicy)
		for _, rec := range s.DnsConfig.DnsRecords {
			d.Records = append(d.Records, RecordDetails{Type: string(rec.Type), TTL: aws.ToInt64(rec.TTL)})
		}
	}
	if c := s.HealthCheckConfig; c != nil {
		d.Check = &CheckDetails{Type: string(c.Type), ResourcePath: aws.ToString(c.ResourcePath), FailureThreshold: aws.ToInt32(c.FailureThreshold)}
	}
	if !shared {
		if d.Tags, err = r.tags(ctx, s.Arn); err != nil {
			return ServiceDetails{}, err
		}
	}
	if d.Attributes, err = r.attributes(ctx, id); err != nil {
		return ServiceDetails{}, err
	}
	if d.Revision, err = r.revision(ctx, in, d.Name); err != nil {
		return ServiceDetails{}, err
	}
	found := warden.ServiceFound{
		Service:      health.Service{ID: aws.ToString(id), Name: d.Name, Namespace: in.Name},
		HealthCheck:  healthCheckOf(summary),
		OtherAccount: shared,
	}
	d.Instances, _, err = r.ListInstances(ctx, found)
	return d, err
}

func (r *Reader) tags(ctx context.Context, arn *string) (map[string]string, error) {
	out, err := call(ctx, r.c, readDetails, "ListTagsForResource", r.api.ListTagsForResource, &sd.ListTagsForResourceInput{ResourceARN: arn})
	if err != nil {
		return nil, err
	}
	tags := make(map[string]string, len(out.Tags))
	for _, t := range out.Tags {
		tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return tags, nil
}

// attributes of a service. Registries that are older than the operation have
// none.
func (r *Reader) attributes(ctx context.Context, service *string) (map[string]string, error) {
	out, err := call(ctx, r.c, readDetails, "GetServiceAttributes", r.api.GetServiceAttributes, &sd.GetServiceAttributesInput{ServiceId: service})
	if api, ok := errors.AsType[smithy.APIError](err); ok && api.ErrorCode() == "UnknownOperationException" {
		return nil, nil
	}
	if err != nil || out.ServiceAttributes == nil {
		return nil, err
	}
	return out.ServiceAttributes.Attributes, nil
}

func (r *Reader) revision(ctx context.Context, ns *NamespaceDetails, service string) (int64, error) {
	in := &sd.DiscoverInstancesRevisionInput{NamespaceName: aws.String(ns.HTTPName), ServiceName: aws.String(service)}
	if ns.Owner != "" {
		in.OwnerAccount = aws.String(ns.Owner)
	}
	out, err := call(ctx, r.c, discover, "DiscoverInstancesRevision", r.api.DiscoverInstancesRevision, in)
	if err != nil {
		return 0, err
	}
	return aws.ToInt64(out.InstancesRevision), nil
}
