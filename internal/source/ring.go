package source

import (
	"cmp"
	"slices"

	"github.com/mapwarden/mapwarden/internal/warden"
)

// ring is the order in which services are polled: by id, round and round. New
// ones come first. A service is never polled twice at once.
type ring struct {
	members []*member // by id
	last    string    // id of the latest that was taken
}

// member is one service of the ring.
type member struct {
	found     warden.ServiceFound
	busy      bool // being polled
	polled    bool // at least once
	instances int  // of the latest complete listing
}

// set replaces the services; those that stay keep what is known of them.
// found is sorted by id.
func (r *ring) set(found []warden.ServiceFound) {
	next := make([]*member, len(found))
	for i, f := range found {
		if next[i] = r.find(f.Service.ID); next[i] == nil {
			next[i] = new(member)
		}
		next[i].found = f
	}
	r.members = next
}

func (r *ring) find(id string) *member {
	if i, ok := slices.BinarySearchFunc(r.members, id, byID); ok {
		return r.members[i]
	}
	return nil
}

func byID(m *member, id string) int { return cmp.Compare(m.found.Service.ID, id) }

// fresh reports whether a service waits for its first poll.
func (r *ring) fresh() bool { return slices.ContainsFunc(r.members, isFresh) }

func isFresh(m *member) bool { return !m.polled && !m.busy }

// whole reports whether every service was polled.
func (r *ring) whole() bool {
	return !slices.ContainsFunc(r.members, func(m *member) bool { return !m.polled })
}

// take returns the next service to poll and marks it busy; nil where all are
// being polled already.
func (r *ring) take() *member {
	if i := slices.IndexFunc(r.members, isFresh); i >= 0 {
		r.members[i].busy = true
		return r.members[i]
	}
	at, found := slices.BinarySearchFunc(r.members, r.last, byID)
	if found {
		at++
	}
	for i := range r.members {
		if m := r.members[(at+i)%len(r.members)]; !m.busy {
			m.busy, r.last = true, m.found.Service.ID
			return m
		}
	}
	return nil
}

// size sums up what the ring polls.
func (r *ring) size(namespaces int) Size {
	s := Size{Namespaces: namespaces, Services: len(r.members)}
	for _, m := range r.members {
		s.Instances += m.instances
		if m.found.HealthCheck == warden.CustomHealthCheck {
			s.CustomServices++
			s.CustomInstances += m.instances
		}
	}
	return s
}
