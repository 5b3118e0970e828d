package cloudmap

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// Identity is who the process acts as on AWS.
type Identity struct {
	Account string // 12 digits
	ARN     string // of the user or the assumed role
}

// CallerIdentity asks AWS whose credentials the process has. At a URL there
// are none, and it is an error to ask.
func (c *Client) CallerIdentity(ctx context.Context) (Identity, error) {
	if !c.cfg.AWS {
		return Identity{}, errors.New("caller identity: a registry at a url has no accounts")
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	ctx, f := withFlight(ctx)
	client := sts.NewFromConfig(c.aws, func(o *sts.Options) {
		o.AppID = appID
		o.HTTPClient = wire{o.HTTPClient}
	})
	out, err := client.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return Identity{}, &CallError{Op: "GetCallerIdentity", Sent: f.sent.Load(), Err: err}
	}
	return Identity{Account: aws.ToString(out.Account), ARN: aws.ToString(out.Arn)}, nil
}
