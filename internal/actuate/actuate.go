// Package actuate carries out one call of a lever's job: a journal write, a
// read of the registry, or a write to it. It is the only package that writes
// to the registry.
//
// Each call is made once, within a deadline, and its outcome is told as a
// lever.Result: what was read, or how it failed in the terms of lever.Fault.
// The package never repeats a call, never reads before or after one of its own
// accord, and does not know which call follows: the job machines of package
// lever do. It keeps no state and starts no goroutine.
package actuate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mapwarden/mapwarden/internal/cloudmap"
	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/store"
)

// DefaultTimeout bounds one call.
const DefaultTimeout = 15 * time.Second

// Journal stores entries durably: what it returned survives the process.
// Errors wrap store.ErrConflict where an entry is open or has another version,
// store.ErrNotFound where there is none, and store.ErrClosed where nothing was
// stored because the journal is closed. After any other error the entry may
// have been stored.
type Journal interface {
	// Put stores an entry if none is open for its instance.
	Put(context.Context, lever.Entry) (lever.Entry, error)
	// Update replaces an entry whose version is still the given one's.
	Update(context.Context, lever.Entry) (lever.Entry, error)
	// Close removes an entry whose version is still the given one's.
	Close(context.Context, lever.Entry) error
}

// Reader reads the registry. Its errors are those of package cloudmap.
type Reader interface {
	Instance(ctx context.Context, service, instance string) (health.Attributes, error)
	Status(ctx context.Context, service, instance string) (health.Status, error)
	Operation(ctx context.Context, operation string) (lever.OperationStatus, string, error)
}

// Writer writes to the registry, one attempt for each call. Its errors are
// those of package cloudmap.
type Writer interface {
	Register(ctx context.Context, service, instance string, a health.Attributes, token string) (operation string, err error)
	Deregister(ctx context.Context, service, instance string) (operation string, err error)
	SetStatus(ctx context.Context, service, instance string, s health.Status) error
}

// Actuator carries out calls. Its methods may be called by many goroutines.
type Actuator struct {
	Journal Journal
	Reader  Reader
	// Writer is nil in observe mode: then every write is refused as Denied.
	// Leave the interface itself nil; a nil pointer inside it is not noticed.
	Writer Writer
	// Timeout bounds each call; default 15 s.
	Timeout time.Duration
}

// Do carries out one call and returns when it has an outcome. Cancelling ctx
// gives up on a call to the registry, whose outcome is then Ambiguous if it may
// have been sent; a journal write is seen through to its end. Nothing and Wait
// are carried out at once: there is nothing to do.
func (a *Actuator) Do(ctx context.Context, c lever.Call) lever.Result {
	timeout := a.Timeout
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	switch c.Op {
	case lever.Nothing, lever.Wait:
		return lever.Result{Op: c.Op}
	case lever.PutEntry, lever.UpdateEntry, lever.CloseEntry:
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
		defer cancel()
		return a.journal(ctx, c)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if c.Op.Writes() {
		return a.write(ctx, c)
	}
	return a.read(ctx, c)
}

func (a *Actuator) journal(ctx context.Context, c lever.Call) lever.Result {
	r := lever.Result{Op: c.Op, Entry: c.Entry}
	var stored lever.Entry
	var err error
	switch c.Op {
	case lever.PutEntry:
		stored, err = a.Journal.Put(ctx, c.Entry)
	case lever.UpdateEntry:
		stored, err = a.Journal.Update(ctx, c.Entry)
	case lever.CloseEntry:
		stored, err = c.Entry, a.Journal.Close(ctx, c.Entry)
	}
	if err != nil {
		r.Fault, r.Message = journalFault(err), err.Error()
		return r
	}
	r.Entry = stored
	return r
}

func journalFault(err error) lever.Fault {
	switch {
	case errors.Is(err, store.ErrConflict):
		return lever.Conflict
	case errors.Is(err, store.ErrNotFound):
		return lever.NotFound
	case errors.Is(err, store.ErrClosed):
		return lever.Failed
	}
	return lever.Ambiguous
}

func (a *Actuator) read(ctx context.Context, c lever.Call) lever.Result {
	r := lever.Result{Op: c.Op}
	var err error
	switch c.Op {
	case lever.ReadInstance:
		r.Attributes, err = a.Reader.Instance(ctx, c.Service.ID, c.Instance)
		r.Found = err == nil
	case lever.ReadStatus:
		r.Status, err = a.Reader.Status(ctx, c.Service.ID, c.Instance)
		r.Found = err == nil
	case lever.PollOperation:
		r.Operation = c.Operation
		r.OperationStatus, r.Message, err = a.Reader.Operation(ctx, c.Operation)
	default:
		err = fmt.Errorf("call %d is not known", c.Op)
		r.Fault, r.Message = lever.Invalid, err.Error()
		return r
	}
	return failed(r, err)
}

func (a *Actuator) write(ctx context.Context, c lever.Call) lever.Result {
	r := lever.Result{Op: c.Op}
	if a.Writer == nil {
		r.Fault, r.Message = lever.Denied, "observe: no write client exists"
		return r
	}
	var err error
	switch c.Op {
	case lever.Register:
		r.Operation, err = a.Writer.Register(ctx, c.Service.ID, c.Instance, c.Attributes, c.Token)
	case lever.Deregister:
		r.Operation, err = a.Writer.Deregister(ctx, c.Service.ID, c.Instance)
	case lever.SetStatus:
		err = a.Writer.SetStatus(ctx, c.Service.ID, c.Instance, c.Status)
	}
	r = failed(r, err)
	if r.Fault == lever.InFlight {
		r.Operation = cloudmap.InTheWay(err)
	}
	return r
}

// failed adds to a result how its call failed, if it did.
func failed(r lever.Result, err error) lever.Result {
	if err != nil {
		r.Fault, r.Message = cloudmap.FaultOf(err), err.Error()
	}
	return r
}
