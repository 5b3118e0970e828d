// Package cloudmap is the client of AWS Cloud Map, or of a registry that
// speaks its API: typed, paged, paced and bounded in time and memory.
//
// A Client holds what all calls share: credentials, connections, the pace. A
// Reader made from it can only read, a Writer only write, so that a process
// that must not write never makes a Writer. Answers are in the vocabulary of
// the core; FaultOf says what a failed call means for the one who made it.
//
// The package keeps no copy of the registry, repeats no write, and decides
// nothing about instances: packages source and actuate use it. With
// registry/awsjson it is the only importer of the servicediscovery SDK.
package cloudmap

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sd "github.com/aws/aws-sdk-go-v2/service/servicediscovery"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Defaults of Config.
const (
	DefaultTimeout = 10 * time.Second
	defaultRegion  = "us-east-1"
	appID          = "mapwarden" // in the User-Agent
)

// Config says which registry to speak to, and how. Either AWS or URL is set.
type Config struct {
	// AWS means AWS itself: credentials, region, proxy and endpoint (also
	// AWS_ENDPOINT_URL and AWS_ENDPOINT_URL_SERVICEDISCOVERY) come from the
	// environment and the shared files, as for every AWS SDK.
	AWS bool
	// URL is the http or https address of a registry elsewhere. AWS
	// credentials and settings of the environment are ignored.
	URL string
	// Region defaults to the environment's on AWS, else to us-east-1.
	Region string
	// AccessKey and SecretKey sign calls to a URL; without them calls are
	// signed with a key that no one else uses.
	AccessKey, SecretKey string
	// TLS says how an https URL is trusted; nil is by its name and the system's
	// authorities.
	TLS *tls.Config
	// LoopbackOnly refuses to connect to any address but loopback, checked on
	// the address really dialled. Not with AWS.
	LoopbackOnly bool
	// Timeout bounds every call, retries included; default 10 s. Waiting for
	// the client's own pace comes before it.
	Timeout time.Duration
	// WritesPerSecond bounds all writes together; default 2 on AWS, 100 at a URL.
	WritesPerSecond float64
}

// Client holds what the Readers and the Writer of one registry share. Its
// methods may be called by many goroutines.
type Client struct {
	cfg     Config
	aws     aws.Config
	options []func(*sd.Options) // of every SDK client
	pace    *pacer
	close   func()
}

// New makes a client. It connects to nothing yet; on AWS it reads the
// environment and the shared configuration files.
func New(ctx context.Context, cfg Config) (*Client, error) {
	if cfg.Timeout <= 0 {
		cfg.Timeout = DefaultTimeout
	}
	c := &Client{cfg: cfg, pace: newPacer(quotasOf(cfg))}
	var err error
	switch {
	case cfg.AWS && cfg.URL != "":
		err = errors.New("a registry is either AWS or a url, not both (for AWS behind another endpoint set AWS_ENDPOINT_URL)")
	case cfg.AWS:
		err = c.forAWS(ctx)
	case cfg.URL == "":
		err = errors.New("no registry: neither AWS nor a url is given")
	default:
		err = c.forURL()
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

func (c *Client) forAWS(ctx context.Context) error {
	if c.cfg.LoopbackOnly {
		return errors.New("loopback only: AWS is not at a loopback address")
	}
	var opts []func(*config.LoadOptions) error
	if c.cfg.Region != "" {
		opts = append(opts, config.WithRegion(c.cfg.Region))
	}
	loaded, err := config.LoadDefaultConfig(ctx, opts...)
	if err != nil {
		return fmt.Errorf("load the AWS configuration: %w", err)
	}
	if loaded.Region == "" {
		return errors.New("no AWS region: set registry.aws.region or AWS_REGION")
	}
	c.aws = loaded
	c.options = []func(*sd.Options){func(o *sd.Options) {
		if o.BaseEndpoint != nil {
			withoutHostPrefix(o)
		}
		o.HTTPClient = wire{o.HTTPClient}
	}}
	c.close = func() {}
	return nil
}

func (c *Client) forURL() error {
	if err := checkURL(c.cfg); err != nil {
		return err
	}
	key, secret := c.cfg.AccessKey, c.cfg.SecretKey
	if key == "" {
		key, secret = "MAPWARDENLOCAL", "local"
	}
	region := c.cfg.Region
	if region == "" {
		region = defaultRegion
	}
	c.aws = aws.Config{Region: region, Credentials: credentials.NewStaticCredentialsProvider(key, secret, "")}
	transport := newTransport(c.cfg)
	client := &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	c.options = []func(*sd.Options){withoutHostPrefix, func(o *sd.Options) {
		o.BaseEndpoint = aws.String(c.cfg.URL)
		o.HTTPClient = wire{client}
	}}
	c.close = transport.CloseIdleConnections
	return nil
}

// checkURL refuses what cannot work, or what would leak, before it is used.
func checkURL(cfg Config) error {
	u, err := url.Parse(cfg.URL)
	if err != nil {
		return errors.New("the registry's url cannot be parsed: write it like http://127.0.0.1:9751")
	}
	switch {
	case u.User != nil:
		return errors.New("the registry's url holds a password: give keys by access key and secret key instead")
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "", u.RawQuery != "", u.Fragment != "":
		return fmt.Errorf("registry url %q: write it like http://127.0.0.1:9751", cfg.URL)
	case cfg.LoopbackOnly:
		if ip, err := netip.ParseAddr(u.Hostname()); err == nil && !ip.Unmap().IsLoopback() {
			return fmt.Errorf("registry url %q: only loopback addresses are allowed here", cfg.URL)
		}
	}
	return nil
}

// Close drops idle connections. Calls under way are not disturbed.
func (c *Client) Close() { c.close() }

// sdk makes an SDK client that tries each call so many times. A throttled call
// is never tried again inside the SDK: the pace must learn of it first.
func (c *Client) sdk(attempts int) *sd.Client {
	options := append([]func(*sd.Options){func(o *sd.Options) {
		o.AppID = appID
		o.RetryMaxAttempts = attempts
		o.Retryer = retry.NewStandard(func(s *retry.StandardOptions) {
			s.MaxAttempts = attempts
			s.MaxBackoff = readBackoff
			s.Retryables = append([]retry.IsErrorRetryable{retry.IsErrorRetryableFunc(neverThrottled)}, s.Retryables...)
		})
	}}, c.options...)
	return sd.NewFromConfig(c.aws, options...)
}

func neverThrottled(err error) aws.Ternary {
	if isThrottle(err) {
		return aws.FalseTernary
	}
	return aws.UnknownTernary
}

// withoutHostPrefix keeps the SDK from putting "data-" before the host of the
// two discovery calls, which only AWS's own names have.
func withoutHostPrefix(o *sd.Options) {
	o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
		return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("NoHostPrefix",
			func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
				return next.HandleInitialize(smithyhttp.DisableEndpointHostPrefix(ctx, true), in)
			}), middleware.Before)
	})
}

// call makes one API call: it waits for the pace, bounds the time, notes
// whether a connection was obtained, and lets the pace learn of a throttle.
// Every error that it returns is a *CallError.
func call[I, O any](ctx context.Context, c *Client, class class, op string,
	do func(context.Context, *I, ...func(*sd.Options)) (*O, error), in *I) (*O, error) {
	if err := c.pace.wait(ctx, class); err != nil {
		return nil, &CallError{Op: op, Err: err}
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	ctx, f := withFlight(ctx)
	out, err := do(ctx, in)
	if err != nil {
		if isThrottle(err) {
			c.pace.throttled(class, time.Now())
		}
		return nil, &CallError{Op: op, Sent: f.sent.Load(), Err: err}
	}
	return out, nil
}
