package cloudmap

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sd "github.com/aws/aws-sdk-go-v2/service/servicediscovery"
	"github.com/aws/aws-sdk-go-v2/service/servicediscovery/types"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/warden"
)

const (
	readAttempts = 2
	readBackoff  = 100 * time.Millisecond // between them, at most; random

	pageSize = 100  // the most that the lists take
	maxPages = 1000 // of one list: far beyond any quota of Cloud Map
)

// readAPI is the part of the SDK that reads. Nothing else can be reached
// through a Reader.
type readAPI interface {
	ListNamespaces(context.Context, *sd.ListNamespacesInput, ...func(*sd.Options)) (*sd.ListNamespacesOutput, error)
	ListServices(context.Context, *sd.ListServicesInput, ...func(*sd.Options)) (*sd.ListServicesOutput, error)
	ListInstances(context.Context, *sd.ListInstancesInput, ...func(*sd.Options)) (*sd.ListInstancesOutput, error)
	GetInstancesHealthStatus(context.Context, *sd.GetInstancesHealthStatusInput, ...func(*sd.Options)) (*sd.GetInstancesHealthStatusOutput, error)
	GetInstance(context.Context, *sd.GetInstanceInput, ...func(*sd.Options)) (*sd.GetInstanceOutput, error)
	GetOperation(context.Context, *sd.GetOperationInput, ...func(*sd.Options)) (*sd.GetOperationOutput, error)
	DiscoverInstances(context.Context, *sd.DiscoverInstancesInput, ...func(*sd.Options)) (*sd.DiscoverInstancesOutput, error)
	DiscoverInstancesRevision(context.Context, *sd.DiscoverInstancesRevisionInput, ...func(*sd.Options)) (*sd.DiscoverInstancesRevisionOutput, error)
	GetNamespace(context.Context, *sd.GetNamespaceInput, ...func(*sd.Options)) (*sd.GetNamespaceOutput, error)
	GetService(context.Context, *sd.GetServiceInput, ...func(*sd.Options)) (*sd.GetServiceOutput, error)
	GetServiceAttributes(context.Context, *sd.GetServiceAttributesInput, ...func(*sd.Options)) (*sd.GetServiceAttributesOutput, error)
	ListTagsForResource(context.Context, *sd.ListTagsForResourceInput, ...func(*sd.Options)) (*sd.ListTagsForResourceOutput, error)
}

// Reader reads a registry. Its methods may be called by many goroutines.
type Reader struct {
	c       *Client
	api     readAPI
	account string
}

// NewReader makes a Reader for the account that the process acts as (see
// CallerIdentity). Whatever belongs to another account is marked so. Without
// an account everything on AWS counts as another's, and nothing at a URL.
func (c *Client) NewReader(account string) *Reader {
	return &Reader{c: c, api: c.sdk(readAttempts), account: account}
}

// foreign reports whether a resource of that owner is another account's. Cloud
// Map leaves CreatedByAccount out of what was not shared.
func (r *Reader) foreign(owner *string) bool {
	if r.account == "" {
		return r.c.cfg.AWS
	}
	return aws.ToString(owner) != "" && *owner != r.account
}

// ListServices lists the services of all namespaces, in order of their ids.
// complete is false where some could not be listed; then err says why, and
// what was listed is returned all the same.
func (r *Reader) ListServices(ctx context.Context) (found []warden.ServiceFound, complete bool, err error) {
	namespaces, err := r.listNamespaces(ctx)
	if err != nil {
		err = fmt.Errorf("list namespaces: %w", err)
	}
	for _, ns := range namespaces {
		services, failed := r.servicesOf(ctx, ns)
		found = append(found, services...)
		if failed != nil {
			err = errors.Join(err, fmt.Errorf("list services of %s: %w", aws.ToString(ns.Name), failed))
		}
	}
	slices.SortFunc(found, func(a, b warden.ServiceFound) int { return cmp.Compare(a.Service.ID, b.Service.ID) })
	found = slices.CompactFunc(found, func(a, b warden.ServiceFound) bool { return a.Service.ID == b.Service.ID })
	return found, err == nil, err
}

func (r *Reader) listNamespaces(ctx context.Context, filters ...types.NamespaceFilter) ([]types.NamespaceSummary, error) {
	var all []types.NamespaceSummary
	err := pages(func(token *string) (*string, error) {
		out, err := call(ctx, r.c, listNamespaces, "ListNamespaces", r.api.ListNamespaces,
			&sd.ListNamespacesInput{Filters: filters, NextToken: token, MaxResults: aws.Int32(pageSize)})
		if err != nil {
			return nil, err
		}
		all = append(all, out.Namespaces...)
		return out.NextToken, nil
	})
	return all, err
}

// servicesOf lists the services of one namespace. In a namespace that another
// account shares with ours, AWS takes ARNs instead of ids.
func (r *Reader) servicesOf(ctx context.Context, ns types.NamespaceSummary) ([]warden.ServiceFound, error) {
	shared := r.foreign(ns.ResourceOwner)
	services, err := r.listServices(ctx, aws.ToString(named(shared, ns.Id, ns.Arn)))
	var found []warden.ServiceFound
	for _, s := range services {
		found = append(found, warden.ServiceFound{
			Service:      health.Service{ID: aws.ToString(named(shared, s.Id, s.Arn)), Name: aws.ToString(s.Name), Namespace: aws.ToString(ns.Name)},
			HealthCheck:  healthCheckOf(s),
			OtherAccount: shared,
		})
	}
	return found, err
}

// listServices returns what it listed also where it could not list all.
func (r *Reader) listServices(ctx context.Context, namespace string) ([]types.ServiceSummary, error) {
	filter := []types.ServiceFilter{{
		Name: types.ServiceFilterNameNamespaceId, Condition: types.FilterConditionEq, Values: []string{namespace},
	}}
	var all []types.ServiceSummary
	err := pages(func(token *string) (*string, error) {
		out, err := call(ctx, r.c, listServices, "ListServices", r.api.ListServices,
			&sd.ListServicesInput{Filters: filter, NextToken: token, MaxResults: aws.Int32(pageSize)})
		if err != nil {
			return nil, err
		}
		all = append(all, out.Services...)
		return out.NextToken, nil
	})
	return all, err
}

// named is what a call takes for a resource: its id, or, in a namespace that
// another account shares, its ARN.
func named(shared bool, id, arn *string) *string {
	if shared && aws.ToString(arn) != "" {
		return arn
	}
	return id
}

func healthCheckOf(s types.ServiceSummary) warden.HealthCheckKind {
	switch {
	case s.HealthCheckConfig != nil:
		return warden.Route53Check
	case s.HealthCheckCustomConfig != nil:
		return warden.CustomHealthCheck
	}
	return warden.NoHealthCheck
}

// ListInstances lists the instances of a service, in order of their ids, with
// their status where the service has a custom health check. complete is false
// where a page could not be read; then err says why, and what was listed is
// returned all the same. Where the statuses could not be read nothing is: an
// UNHEALTHY instance shown as Unknown would look better than it is.
func (r *Reader) ListInstances(ctx context.Context, s warden.ServiceFound) (found []warden.InstanceFound, complete bool, err error) {
	err = pages(func(token *string) (*string, error) {
		out, err := call(ctx, r.c, listInstances, "ListInstances", r.api.ListInstances,
			&sd.ListInstancesInput{ServiceId: aws.String(s.Service.ID), NextToken: token, MaxResults: aws.Int32(pageSize)})
		if err != nil {
			return nil, err
		}
		for _, i := range out.Instances {
			found = append(found, warden.InstanceFound{
				ID: aws.ToString(i.Id), Attributes: health.AttributesOf(i.Attributes),
				OtherAccount: s.OtherAccount || r.foreign(i.CreatedByAccount),
			})
		}
		return out.NextToken, nil
	})
	if err != nil {
		err = fmt.Errorf("list instances of %s: %w", s.Service, err)
	}
	slices.SortStableFunc(found, func(a, b warden.InstanceFound) int { return cmp.Compare(a.ID, b.ID) })
	found = slices.CompactFunc(found, func(a, b warden.InstanceFound) bool { return a.ID == b.ID })
	if s.HealthCheck == warden.CustomHealthCheck && len(found) > 0 {
		statuses, failed := r.statusesOf(ctx, s.Service.ID)
		if failed != nil {
			return nil, false, errors.Join(err, fmt.Errorf("read the health status of %s: %w", s.Service, failed))
		}
		for i := range found {
			found[i].Status = statuses[found[i].ID]
		}
	}
	return found, err == nil, err
}

// statusesOf reads the statuses of all instances of a service. An instance
// that was registered a moment ago may have none yet and is Unknown.
func (r *Reader) statusesOf(ctx context.Context, service string) (map[string]health.Status, error) {
	statuses := map[string]health.Status{}
	err := pages(func(token *string) (*string, error) {
		out, err := call(ctx, r.c, listStatuses, "GetInstancesHealthStatus", r.api.GetInstancesHealthStatus,
			&sd.GetInstancesHealthStatusInput{ServiceId: aws.String(service), NextToken: token, MaxResults: aws.Int32(pageSize)})
		if err != nil {
			return nil, err
		}
		for id, s := range out.Status {
			statuses[id] = statusOfAWS(s)
		}
		return out.NextToken, nil
	})
	return statuses, err
}

func statusOfAWS(s types.HealthStatus) health.Status {
	switch s {
	case types.HealthStatusHealthy:
		return health.Healthy
	case types.HealthStatusUnhealthy:
		return health.Unhealthy
	}
	return health.Unknown
}

// Instance reads the attributes of one instance.
func (r *Reader) Instance(ctx context.Context, service, instance string) (health.Attributes, error) {
	out, err := call(ctx, r.c, readOne, "GetInstance", r.api.GetInstance,
		&sd.GetInstanceInput{ServiceId: aws.String(service), InstanceId: aws.String(instance)})
	if err != nil {
		return nil, err
	}
	if out.Instance == nil || aws.ToString(out.Instance.Id) != instance {
		return nil, &CallError{Op: "GetInstance", Sent: true, Err: errors.New("the answer is not about the instance asked for")}
	}
	return health.AttributesOf(out.Instance.Attributes), nil
}

// Status reads the health status of one instance. An answer that does not
// name the instance is Unknown: only InstanceNotFound says that it is not there.
func (r *Reader) Status(ctx context.Context, service, instance string) (health.Status, error) {
	out, err := call(ctx, r.c, readOne, "GetInstancesHealthStatus", r.api.GetInstancesHealthStatus,
		&sd.GetInstancesHealthStatusInput{ServiceId: aws.String(service), Instances: []string{instance}})
	if err != nil {
		return health.Unknown, err
	}
	return statusOfAWS(out.Status[instance]), nil
}

// Operation reads how far an operation is. detail is what AWS says about one
// that failed.
func (r *Reader) Operation(ctx context.Context, operation string) (status lever.OperationStatus, detail string, err error) {
	out, err := call(ctx, r.c, readOperation, "GetOperation", r.api.GetOperation,
		&sd.GetOperationInput{OperationId: aws.String(operation)})
	if err != nil || out.Operation == nil {
		return lever.OperationUnknown, "", err
	}
	switch out.Operation.Status {
	case types.OperationStatusSubmitted, types.OperationStatusPending:
		return lever.OperationPending, "", nil
	case types.OperationStatusSuccess:
		return lever.OperationSuccess, "", nil
	case types.OperationStatusFail:
		detail = clip(fmt.Sprintf("%s: %s", aws.ToString(out.Operation.ErrorCode), aws.ToString(out.Operation.ErrorMessage)))
		return lever.OperationFail, detail, nil
	}
	return lever.OperationUnknown, "", nil
}

// Filter of Discover, by health.
type Filter string

// The filters of DiscoverInstances. Without one the answer depends on a
// default that AWS's API reference does not state, so Discover wants one.
const (
	All              = Filter(types.HealthStatusFilterAll)
	OnlyHealthy      = Filter(types.HealthStatusFilterHealthy)
	HealthyOrElseAll = Filter(types.HealthStatusFilterHealthyOrElseAll)
)

// Discover asks for the instances of a service as its clients do: by the
// namespace's HTTP name and the service's name. The answer has at most most
// (1 to 1,000) instances, in no order.
func (r *Reader) Discover(ctx context.Context, namespace, service string, by Filter, most int) ([]warden.InstanceFound, error) {
	out, err := call(ctx, r.c, discover, "DiscoverInstances", r.api.DiscoverInstances, &sd.DiscoverInstancesInput{
		NamespaceName: aws.String(namespace), ServiceName: aws.String(service),
		HealthStatus: types.HealthStatusFilter(by), MaxResults: aws.Int32(int32(min(max(most, 1), 1000))),
	})
	if err != nil {
		return nil, err
	}
	found := make([]warden.InstanceFound, len(out.Instances))
	for i, x := range out.Instances {
		found[i] = warden.InstanceFound{ID: aws.ToString(x.InstanceId), Attributes: health.AttributesOf(x.Attributes), Status: statusOfAWS(x.HealthStatus)}
	}
	return found, nil
}

// pages asks for one page after the other until there is no token any more. A
// list that repeats a token, or never ends, is an error.
func pages(page func(token *string) (next *string, err error)) error {
	var token *string
	for range maxPages {
		next, err := page(token)
		switch {
		case err != nil:
			return err
		case aws.ToString(next) == "":
			return nil
		case token != nil && *next == *token:
			return errors.New("the registry repeats a page")
		}
		token = next
	}
	return fmt.Errorf("the registry's list does not end after %d pages", maxPages)
}
