package cloudmap

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	sd "github.com/aws/aws-sdk-go-v2/service/servicediscovery"
	"github.com/aws/aws-sdk-go-v2/service/servicediscovery/types"

	"github.com/mapwarden/mapwarden/internal/health"
)

// writeAPI is the part of the SDK that the levers need to write.
type writeAPI interface {
	RegisterInstance(context.Context, *sd.RegisterInstanceInput, ...func(*sd.Options)) (*sd.RegisterInstanceOutput, error)
	DeregisterInstance(context.Context, *sd.DeregisterInstanceInput, ...func(*sd.Options)) (*sd.DeregisterInstanceOutput, error)
	UpdateInstanceCustomHealthStatus(context.Context, *sd.UpdateInstanceCustomHealthStatusInput, ...func(*sd.Options)) (*sd.UpdateInstanceCustomHealthStatusOutput, error)
}

// Writer writes to a registry. Each method makes one attempt, never more: the
// one who called knows from FaultOf whether it may have been carried out, and
// reads back before trying again. A write that the pace holds back for longer
// than a second fails as throttled. In observe mode no Writer is made.
type Writer struct {
	c   *Client
	api writeAPI
}

// NewWriter makes a Writer.
func (c *Client) NewWriter() *Writer { return &Writer{c: c, api: c.sdk(1)} }

// Register registers an instance, or replaces it as a whole, and returns the
// id of the operation. token is the CreatorRequestId, at most 64 characters:
// the same token twice is carried out once.
func (w *Writer) Register(ctx context.Context, service, instance string, a health.Attributes, token string) (operation string, err error) {
	out, err := call(ctx, w.c, write, "RegisterInstance", w.api.RegisterInstance, &sd.RegisterInstanceInput{
		ServiceId: aws.String(service), InstanceId: aws.String(instance), Attributes: a.Map(), CreatorRequestId: aws.String(token),
	})
	if err != nil {
		return "", err
	}
	return aws.ToString(out.OperationId), nil
}

// Deregister removes an instance and returns the id of the operation.
func (w *Writer) Deregister(ctx context.Context, service, instance string) (operation string, err error) {
	out, err := call(ctx, w.c, write, "DeregisterInstance", w.api.DeregisterInstance, &sd.DeregisterInstanceInput{
		ServiceId: aws.String(service), InstanceId: aws.String(instance),
	})
	if err != nil {
		return "", err
	}
	return aws.ToString(out.OperationId), nil
}

// SetStatus submits a custom health status, which Cloud Map applies about 30 s
// later. Unknown cannot be submitted and is an error that nothing was sent for.
func (w *Writer) SetStatus(ctx context.Context, service, instance string, s health.Status) error {
	const op = "UpdateInstanceCustomHealthStatus"
	var status types.CustomHealthStatus
	switch s {
	case health.Healthy:
		status = types.CustomHealthStatusHealthy
	case health.Unhealthy:
		status = types.CustomHealthStatusUnhealthy
	default:
		return &CallError{Op: op, Err: fmt.Errorf("status %s cannot be set", s)}
	}
	_, err := call(ctx, w.c, write, op, w.api.UpdateInstanceCustomHealthStatus, &sd.UpdateInstanceCustomHealthStatusInput{
		ServiceId: aws.String(service), InstanceId: aws.String(instance), Status: status,
	})
	return err
}
