package cloudmap

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sd "github.com/aws/aws-sdk-go-v2/service/servicediscovery"
	"github.com/aws/aws-sdk-go-v2/service/servicediscovery/types"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/lever"
)

// Provisioner creates namespaces and services in a registry at a URL, for
// demonstrations and tests. The daemon never makes one, and AWS is refused:
// what exists there belongs to the user's own tools.
type Provisioner struct {
	c   *Client
	api *sd.Client
	r   *Reader
}

// NewProvisioner makes a Provisioner.
func (c *Client) NewProvisioner() (*Provisioner, error) {
	if c.cfg.AWS {
		return nil, errors.New("provision: namespaces and services on AWS are not created by this program")
	}
	return &Provisioner{c: c, api: c.sdk(1), r: c.NewReader("")}, nil
}

// HTTPNamespace creates an HTTP namespace, waits for the operation and returns
// the namespace's id.
func (p *Provisioner) HTTPNamespace(ctx context.Context, name string) (id string, err error) {
	out, err := call(ctx, p.c, provision, "CreateHttpNamespace", p.api.CreateHttpNamespace, &sd.CreateHttpNamespaceInput{Name: aws.String(name)})
	if err != nil {
		return "", fmt.Errorf("create namespace %s: %w", name, err)
	}
	if err := p.Await(ctx, aws.ToString(out.OperationId)); err != nil {
		return "", fmt.Errorf("create namespace %s: %w", name, err)
	}
	done, err := call(ctx, p.c, readOperation, "GetOperation", p.api.GetOperation, &sd.GetOperationInput{OperationId: out.OperationId})
	if err != nil {
		return "", fmt.Errorf("create namespace %s: %w", name, err)
	}
	return done.Operation.Targets[string(types.OperationTargetTypeNamespace)], nil
}

// Service creates a service in a namespace, with or without a custom health
// check, and returns it. Its Namespace is left for the caller to name.
func (p *Provisioner) Service(ctx context.Context, namespaceID, name string, custom bool) (health.Service, error) {
	in := &sd.CreateServiceInput{Name: aws.String(name), NamespaceId: aws.String(namespaceID)}
	if custom {
		in.HealthCheckCustomConfig = &types.HealthCheckCustomConfig{}
	}
	out, err := call(ctx, p.c, provision, "CreateService", p.api.CreateService, in)
	if err != nil {
		return health.Service{}, fmt.Errorf("create service %s: %w", name, err)
	}
	return health.Service{ID: aws.ToString(out.Service.Id), Name: name}, nil
}

// Await returns when an operation has succeeded. One that failed is an error.
func (p *Provisioner) Await(ctx context.Context, operation string) error {
	const every = 50 * time.Millisecond
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		status, detail, err := p.r.Operation(ctx, operation)
		switch {
		case err != nil:
			return err
		case status == lever.OperationSuccess:
			return nil
		case status == lever.OperationFail:
			return fmt.Errorf("operation %s: %s", operation, detail)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("operation %s: %w", operation, ctx.Err())
		case <-tick.C:
		}
	}
}
