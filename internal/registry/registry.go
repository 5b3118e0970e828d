package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"
)

// Options configure a registry. The zero value is a registry in memory that
// applies every change at once; DefaultOptions has the pace of AWS.
type Options struct {
	// Path is the file that holds the registry; its directory must exist. Empty
	// keeps it in memory.
	Path string
	// Account owns every resource; 12 digits. Region stands in every ARN. What
	// is empty is as the file says, or else as DefaultAccount and DefaultRegion
	// say; the file keeps it.
	Account, Region string
	// CustomHealthDelay is how long a custom health status waits before it
	// applies. Zero applies it at once; AWS documents 30 s.
	CustomHealthDelay time.Duration
	// OperationDelay is how long an operation takes. Zero applies it before
	// the call that submits it returns.
	OperationDelay time.Duration
	// UnknownIsUnhealthy keeps instances that Route 53 has not judged yet out of
	// the answers to those who want healthy ones. AWS lets them in.
	UnknownIsUnhealthy bool
	// Quotas limit what the account may have; zero does not.
	Quotas Quotas
	// Assume chooses where AWS documents nothing.
	Assume Assumptions
	// EC2Addresses are the primary private IPv4 addresses of EC2 instances, for
	// registrations that have AWS_EC2_INSTANCE_ID. No EC2 is asked.
	EC2Addresses map[string]netip.Addr
	// NoSync leaves the disk to write when it likes. A machine that crashes then
	// takes acknowledged writes with it, or the whole file: for measurements.
	NoSync bool
	// Log gets what Run cannot return; default slog.Default().
	Log *slog.Logger
}

// DefaultOptions are AWS's pace for custom health, operations that take long
// enough for clients to see them pending, and AWS's quotas.
func DefaultOptions() Options {
	return Options{CustomHealthDelay: 30 * time.Second, OperationDelay: 200 * time.Millisecond, Quotas: AWSQuotas()}
}

func (o Options) withDefaults() (Options, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Account != "" && len(o.Account) != accountIDLength {
		return o, fmt.Errorf("account %q does not have %d digits", o.Account, accountIDLength)
	}
	if o.CustomHealthDelay < 0 || o.OperationDelay < 0 {
		return o, fmt.Errorf("a delay is negative: custom health %s, operation %s", o.CustomHealthDelay, o.OperationDelay)
	}
	return o, o.Quotas.check()
}

// Registry is one account's Cloud Map in one region. Its methods may be called
// by many goroutines.
type Registry struct {
	opts  Options
	store *store // nil when in memory

	queueMu sync.Mutex
	queue   []*writer // writers that wait for the next commit

	lead    chan struct{} // held, by being full, by the writer that carries the queue
	company company

	commitMu sync.Mutex // held through a commit; guards the fields below
	state    *state
	closed   bool

	published published     // what readers see
	wake      chan struct{} // tells Run that the next due time came nearer

	checkedChanged chan struct{} // see CheckedChanged
}

// Open returns the registry that Options describe, as it was when it was last
// written. A file that is not a registry, is damaged, or was written by a newer
// format is an error; it is never taken for an empty registry. Open starts
// nothing: see Run.
func Open(opts Options) (*Registry, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	r := &Registry{
		opts: opts, wake: make(chan struct{}, 1), checkedChanged: make(chan struct{}, 1),
		lead: make(chan struct{}, 1), company: company{joined: make(chan struct{}, 1)},
	}
	r.published.unknownIsOut = opts.UnknownIsUnhealthy
	if opts.Path != "" {
		if r.store, err = openStore(opts.Path); err != nil {
			return nil, err
		}
		r.store.db.NoSync = opts.NoSync
		// Before the first write, which mends it.
		if damage := r.store.metaDamage(); damage != nil {
			opts.Log.Warn("the registry's file is damaged: "+lastWrite, "file", opts.Path, "damage", damage)
		}
	}
	if err := first(r.reload(time.Now()), r.store.upgrade(), r.settleOwner()); err != nil {
		return nil, errors.Join(err, r.store.close())
	}
	return r, nil
}

// Commits is how often the registry wrote its file since Open. Each of them is
// two fsyncs.
func (r *Registry) Commits() int64 {
	if r.store == nil {
		return 0
	}
	return r.store.commits.Load()
}

// reload takes the durable state for the state, and publishes it.
func (r *Registry) reload(now time.Time) error {
	st := newState()
	if err := r.store.load(st); err != nil {
		return err
	}
	st.clampDues(now, r.opts)
	r.state = st
	r.published.replace(st)
	return nil
}

// Run applies operations and custom health statuses when they are due, until
// ctx ends. It returns nil then; a write that fails is logged and tried again.
func (r *Registry) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.wake:
		case <-timer.C:
		}
		next, err := r.applyDue()
		if err != nil {
			r.opts.Log.Error("apply what is due in the registry", "error", err)
			next = retryAfter
		}
		timer.Reset(next)
	}
}

// retryAfter is how long Run waits after a commit that failed.
const retryAfter = time.Second

// idle is how long Run sleeps when nothing is due; old operations are forgotten
// at this pace.
const idle = time.Hour

// applyDue commits what is due and returns how long nothing more will be.
func (r *Registry) applyDue() (time.Duration, error) {
	if err := r.write(func(*batch) error { return nil }); err != nil {
		return 0, err
	}
	r.commitMu.Lock()
	defer r.commitMu.Unlock()
	next, ok := r.state.nextDue()
	if !ok {
		return idle, nil
	}
	return min(max(time.Until(next), 0), idle), nil
}

// Close waits for the commit in progress and closes the file. Reads still
// answer afterwards; writes return ErrClosed. Let Run return first.
func (r *Registry) Close() error {
	r.commitMu.Lock()
	defer r.commitMu.Unlock()
	if r.closed {
		return nil
	}
	r.closed = true
	return r.store.close()
}
