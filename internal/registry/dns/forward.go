package dns

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"
)

const (
	// forwardTimeout is how long one upstream may take.
	forwardTimeout = 2 * time.Second
	// maxForwards is how many questions wait for an upstream at a time. One
	// more is told that the server failed.
	maxForwards = 256
	// maxStrays is how many datagrams that answer something else are passed over.
	maxStrays = 16
)

// forwarder asks others what no namespace is above. The zero value asks nobody.
type forwarder struct {
	upstreams []netip.AddrPort
	anyone    bool          // asks for askers that are not on this machine too
	slots     chan struct{} // one for each question that is waiting
}

func newForwarder(upstreams []netip.AddrPort, anyone bool) forwarder {
	return forwarder{upstreams: upstreams, anyone: anyone, slots: make(chan struct{}, maxForwards)}
}

func (f *forwarder) on() bool { return len(f.upstreams) > 0 }

// serves reports whether an asker may have the names of others looked up. A
// server that does so for everyone is a weapon in the hands of those who lie
// about their address.
func (f *forwarder) serves(from asker) bool {
	return f.on() && (f.anyone || from.addr.IsLoopback())
}

// wants reports whether a reply is to be made whole. What an alias of the
// registry points to is the registry's own word, so everyone may know it; all
// else is for those who are served and ask for recursion.
func (f *forwarder) wants(q *query, r *reply, from asker) bool {
	if q.question.kind == kindAny {
		return false // whatever the upstream has: the longest answer there is
	}
	switch r.rest.how {
	case aliased:
		return f.on()
	case foreign, continued:
		return q.rd && f.serves(from)
	}
	return false
}

// complete is the reply with what the upstream says.
func (f *forwarder) complete(ctx context.Context, q *query, r reply) reply {
	failed := reply{code: serverFailure}
	select {
	case f.slots <- struct{}{}:
		defer func() { <-f.slots }()
	default:
		return failed
	}
	got, err := f.lookUp(ctx, question{name: r.rest.name, kind: q.question.kind, class: classIN}, q.cd)
	if err != nil {
		return failed
	}
	switch r.rest.how {
	case foreign:
		return got
	case continued:
		r.code = got.code
		r.answers = append(r.answers, got.answers...)
		return r
	}
	return got.asAlias(r, q.question.kind)
}

// asAlias is the addresses of a target under the name of its alias, with the
// target's TTL: the shortest on the way there.
func (r reply) asAlias(of reply, k kind) reply {
	if r.code != noError && r.code != nameError {
		return reply{code: serverFailure}
	}
	ttl := ^uint32(0)
	for _, rec := range r.answers {
		ttl = min(ttl, rec.ttl)
	}
	for _, rec := range r.answers {
		if rec.kind == k && rec.addr.IsValid() {
			of.authority = nil
			of.answers = append(of.answers, record{name: of.rest.owner, kind: k, ttl: ttl, addr: rec.addr})
		}
	}
	return of
}

// lookUp asks one upstream after the other until one answers.
func (f *forwarder) lookUp(ctx context.Context, q question, cd bool) (reply, error) {
	var errs []error
	for _, at := range f.upstreams {
		got, err := consult(ctx, at, q, cd)
		if err == nil && (got.code == noError || got.code == nameError) {
			return got, nil
		}
		if err == nil {
			err = fmt.Errorf("code %d", got.code)
		}
		errs = append(errs, fmt.Errorf("ask %s: %w", at, err))
	}
	return reply{}, errors.Join(errs...)
}

// consult asks an upstream over UDP, from a port of its own that the system
// chooses at random, and over TCP where the answer does not fit. What answers
// another question, or comes from elsewhere, is not taken for the answer.
func consult(ctx context.Context, at netip.AddrPort, q question, cd bool) (reply, error) {
	ctx, cancel := context.WithTimeout(ctx, forwardTimeout)
	defer cancel()
	for _, network := range []string{"udp", "tcp"} {
		got, cut, err := consultOver(ctx, network, at, q, cd)
		if err != nil || !cut {
			return got, err
		}
	}
	return reply{}, errors.New("the answer is cut over TCP")
}

func consultOver(ctx context.Context, network string, at netip.AddrPort, q question, cd bool) (got reply, cut bool, err error) {
	asked, packet, err := newQuestion(q, cd)
	if err != nil {
		return reply{}, false, err
	}
	conn, err := new(net.Dialer).DialContext(ctx, network, at.String())
	if err != nil {
		return reply{}, false, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	stream := network == "tcp"
	if stream {
		packet = append([]byte{byte(len(packet) >> 8), byte(len(packet))}, packet...)
	}
	if _, err := conn.Write(packet); err != nil {
		return reply{}, false, err
	}
	for range maxStrays {
		packet, err := readAnswer(conn, stream)
		if err != nil {
			return reply{}, false, err
		}
		if got, cut, ok := answerTo(asked, packet); ok {
			return got, cut, nil
		}
	}
	return reply{}, false, errors.New("too many answers to other questions")
}

// readAnswer reads a message from an upstream.
func readAnswer(conn net.Conn, stream bool) ([]byte, error) {
	if !stream {
		buf := make([]byte, maxQuery)
		n, err := conn.Read(buf)
		return buf[:n], err
	}
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return nil, err
	}
	buf := make([]byte, int(size[0])<<8|int(size[1]))
	_, err := io.ReadFull(conn, buf)
	return buf, err
}
