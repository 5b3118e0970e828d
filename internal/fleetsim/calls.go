package fleetsim

import (
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/warden"
)

// weather is how the registry answers.
type weather uint8

const (
	fair      weather = iota
	failing           // every call ends with a server fault, nothing is done
	emptied           // listings of instances are complete, and empty
	voided            // the listing of the services is, too
	tattered          // listings break off after half of their instances
	silent            // no call is answered
	throttled         // every call is refused as too many
)

// writesEvery is the client's own pace for writes.
const writesEvery = 500 * time.Millisecond

// do carries out one call of a job: out to its effect, and back with the
// answer, each with a latency of its own. The process may die on the way.
func (p *process) do(d warden.Do) {
	if p.out[d.Job] {
		p.c.s.judge.fail("two calls of job %d at once: %s", d.Job, d.Call.Op)
	}
	p.out[d.Job] = true
	c, s := p.c, p.c.s
	if d.Call.Op.Writes() {
		p.eye.sends(d.Call)
	}
	wait := max(p.when(d.Call.At)-s.now, 0)
	if d.Call.Op.Writes() {
		wait = max(wait, p.write-s.now)
		p.write = s.now + wait + writesEvery
	}
	p.after(wait, func() {
		if !p.lapsed() {
			c.travel(p, d)
		}
	})
}

func (c *checker) travel(p *process, d warden.Do) {
	s := c.s
	c.serial++
	c.calls[d.Call.Op]++
	fatal := c.sprung(d.Call.Op)
	there, back := c.latency(d.Call.Op), c.latency(d.Call.Op)
	s.line.call(c, d.Call)
	die := func(m moment) bool {
		if fatal == nil || fatal.moment != m || p.dead {
			return false
		}
		s.line.note(c, "killed at call %d, %s, %s", c.serial, d.Call.Op, momentNames[m])
		c.kill(fatal.down)
		return true
	}
	onWire := d.Call.Op > lever.CloseEntry // a request that left is carried out whoever dies
	s.after(there, func() {
		if die(beforeEffect) || p.dead && (!onWire || c.rng.IntN(2) == 0) {
			return
		}
		if r := c.blocked(d.Call); r != nil {
			s.after(s.story.Settings.Timeout, p.alive(func() {
				delete(p.out, d.Job)
				if d.Call.Op <= lever.CloseEntry { // the store's client repeats what it has no answer to
					p.do(d)
					return
				}
				p.answer(d, *r, die)
			}))
			return
		}
		r, late := c.perform(p, d.Call)
		if die(afterEffect) {
			return
		}
		s.after(back+late, p.alive(func() {
			delete(p.out, d.Job)
			p.answer(d, r, die)
		}))
	})
}

// answer gives the result to the mind; a process that dies on it has heard it
// and done nothing about it.
func (p *process) answer(d warden.Do, r lever.Result, die func(moment) bool) {
	if die(answered) {
		return
	}
	p.tell(warden.Called{Job: d.Job, Result: r})
}

var momentNames = [...]string{beforeEffect: "before its effect", afterEffect: "after its effect", answered: "after its answer"}

// sprung takes out the trap that this call springs.
func (c *checker) sprung(op lever.Op) *trap {
	for i, t := range c.traps {
		if t.number == c.serial || t.number == 0 && t.op == op {
			c.traps = append(c.traps[:i:i], c.traps[i+1:]...)
			return &t
		}
	}
	return nil
}

func (c *checker) latency(op lever.Op) time.Duration {
	if op <= lever.CloseEntry {
		return time.Duration(1+c.rng.Int64N(2)) * time.Millisecond
	}
	return time.Duration(5+c.rng.Int64N(15)) * time.Millisecond
}

// fate is what happens to the next call of an operation.
type fate struct {
	op   lever.Op
	done bool // it is carried out, only its answer is lost
}

// blocked is the answer to a call that the network loses on its way there, nil
// if it arrives.
func (c *checker) blocked(call lever.Call) *lever.Result {
	name := toRegistry
	switch {
	case call.Op == lever.Wait:
		return nil
	case call.Op <= lever.CloseEntry:
		name = toStore
	}
	if lost, _ := c.s.network.toService(c, name); !lost {
		return nil
	}
	return &lever.Result{Op: call.Op, Fault: lever.Ambiguous, Message: "no answer in time"}
}

// perform has a call's effect; late is how much longer than usual the answer
// takes.
func (c *checker) perform(p *process, call lever.Call) (r lever.Result, late time.Duration) {
	s := c.s
	if call.Op <= lever.CloseEntry {
		if call.Op <= lever.Wait {
			return lever.Result{Op: call.Op}, 0
		}
		r = s.store.wrote(p, call)
		s.judge.journalled(p, call.Service.ID)
		return r, 0
	}
	switch s.weather {
	case failing:
		return lever.Result{Op: call.Op, Fault: lever.Ambiguous, Message: "InternalFailure"}, 0
	case silent:
		return lever.Result{Op: call.Op, Fault: lever.Ambiguous, Message: "no answer in time"}, s.story.Settings.Timeout
	case throttled:
		return lever.Result{Op: call.Op, Fault: lever.Throttled, Message: "ThrottlingException"}, 0
	}
	for i, f := range s.fates {
		if f.op == call.Op {
			s.fates = append(s.fates[:i:i], s.fates[i+1:]...)
			if f.done {
				c.reach(p, call)
			}
			return lever.Result{Op: call.Op, Fault: lever.Ambiguous, Message: "no answer in time"}, s.story.Settings.Timeout
		}
	}
	return c.reach(p, call), 0
}

// reach carries out a call that reached the registry.
func (c *checker) reach(p *process, call lever.Call) lever.Result {
	s := c.s
	r := lever.Result{Op: call.Op}
	svc := s.registry.byID(call.Service.ID)
	if svc == nil {
		r.Fault, r.Message = lever.NotFound, "ServiceNotFound"
		return r
	}
	if call.Op.Writes() {
		s.judge.writes(p, svc, call)
	}
	var op *operation
	switch call.Op {
	case lever.ReadInstance:
		if x := svc.seen.get(call.Instance); x != nil {
			r.Found, r.Attributes = true, x.attrs
		} else {
			r.Fault = lever.NotFound
		}
	case lever.ReadStatus:
		if x := svc.seen.get(call.Instance); x != nil {
			r.Found, r.Status = true, x.status
		} else {
			r.Fault = lever.NotFound
		}
	case lever.Register:
		op, r.Fault = s.registry.submit(svc, call.Instance, call.Attributes, byUs)
	case lever.Deregister:
		op, r.Fault = s.registry.submit(svc, call.Instance, nil, byUs)
	case lever.SetStatus:
		r.Fault = s.registry.setStatus(svc, call.Instance, call.Status, byUs)
	case lever.PollOperation:
		r.OperationStatus, r.Fault = s.registry.poll(call.Operation)
	}
	if op != nil {
		r.Operation = op.id
	}
	return r
}

// poll lists the registry now and then every Settings.Poll.
func (p *process) poll() {
	s := p.c.s
	next := s.now + s.story.Settings.Poll
	p.c.listings++
	p.list(0, func() { s.at(max(next, s.now), p.alive(p.poll)) })
}

// list reads the services (n = 0), then the instances of one after the other.
func (p *process) list(n int, done func()) {
	s := p.c.s
	if n > len(s.registry.services) || n > 0 && s.weather == voided {
		done()
		return
	}
	started := p.instant()
	wait := p.c.latency(lever.ReadInstance) + p.c.latency(lever.ReadInstance)
	lost, late := s.network.toService(p.c, toRegistry)
	wait += late
	weather := s.weather
	if lost {
		weather = silent
	}
	if weather == silent {
		wait = s.story.Settings.Timeout
	}
	s.after(wait, func() { // read at the end: writes since its start may be in it, or not
		if p.dead {
			return
		}
		if !lost {
			weather = s.weather
		}
		e := s.registry.listing(n, started, weather)
		s.after(0, p.alive(func() {
			p.tell(e)
			p.list(n+1, done)
		}))
	})
}

// listing is what a reader sees of the services (n = 0) or of one's instances.
func (r *registry) listing(n int, started health.Instant, w weather) warden.Event {
	id := ""
	if n > 0 {
		id = r.services[n-1].ID
	}
	switch w {
	case failing, throttled, silent:
		return warden.ListingFailed{Service: id, Message: "the registry does not answer"}
	}
	if n == 0 {
		e := warden.ServicesListed{Complete: w != tattered}
		if w != voided {
			for _, svc := range r.services {
				e.Services = append(e.Services, warden.ServiceFound{Service: svc.Service, HealthCheck: svc.kind, OtherAccount: svc.other})
			}
		}
		return e
	}
	svc := r.services[n-1]
	e := warden.InstancesListed{Service: id, Started: started, Complete: w != tattered}
	some := svc.seen
	switch w {
	case emptied, voided:
		some = nil
	case tattered:
		some = some[:len(some)/2]
	}
	for _, x := range some {
		e.Instances = append(e.Instances, warden.InstanceFound{ID: x.id, Attributes: x.attrs, Status: x.status})
	}
	return e
}
