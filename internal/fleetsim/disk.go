package fleetsim

import (
	"slices"

	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/warden"
)

// disk is what outlives a process: the journal and the memory.
type disk struct {
	entries []lever.Entry // in the order of first storing
	version int64
	memory  warden.Memory
}

// store carries out a journal call.
func (d *disk) store(c lever.Call) lever.Result {
	r := lever.Result{Op: c.Op, Entry: c.Entry}
	i := d.find(c.Service.ID, c.Instance)
	switch {
	case c.Op == lever.PutEntry && i >= 0:
		r.Fault, r.Message = lever.Conflict, "an entry is open"
	case c.Op == lever.PutEntry:
		d.version++
		r.Entry.Version = d.version
		d.entries = append(d.entries, r.Entry)
	case i < 0:
		r.Fault, r.Message = lever.NotFound, "no entry is open"
	case d.entries[i].Version != c.Entry.Version:
		r.Fault, r.Message = lever.Conflict, "the entry has another version"
	case c.Op == lever.UpdateEntry:
		d.version++
		r.Entry.Version = d.version
		d.entries[i] = r.Entry
	default:
		d.entries = slices.Delete(d.entries, i, i+1)
	}
	return r
}

func (d *disk) find(service, instance string) int {
	return slices.IndexFunc(d.entries, func(e lever.Entry) bool {
		return e.Service.ID == service && e.Instance == instance
	})
}

// entry returns the open entry of an instance, nil if there is none.
func (d *disk) entry(service, instance string) *lever.Entry {
	if i := d.find(service, instance); i >= 0 {
		return &d.entries[i]
	}
	return nil
}

// learn merges a difference into the memory.
func (d *disk) learn(m warden.Memory) {
	for _, p := range m.Passed {
		d.memory.Passed = merge(d.memory.Passed, p, p.Incarnation == 0,
			func(x warden.Passed) bool { return x.Service == p.Service && x.Instance == p.Instance })
	}
	for _, a := range m.Armed {
		d.memory.Armed = merge(d.memory.Armed, a, false,
			func(x warden.Armed) bool { return x.Service == a.Service })
	}
	for _, r := range m.Removals {
		d.memory.Removals = merge(d.memory.Removals, r, len(r.Walls) == 0,
			func(x warden.Removal) bool { return x.Service == r.Service && x.Instance == r.Instance })
	}
	for _, x := range m.Drains {
		d.memory.Drains = merge(d.memory.Drains, x, x.Until == 0,
			func(y warden.DrainUntil) bool { return x.Service == y.Service && x.Instance == y.Instance })
	}
	if m.Freeze != nil {
		f := *m.Freeze
		d.memory.Freeze = &f
		if f.Until == 0 {
			d.memory.Freeze = nil
		}
	}
}

func merge[T any](rows []T, x T, forget bool, same func(T) bool) []T {
	rows = slices.Clone(rows)
	i := slices.IndexFunc(rows, same)
	switch {
	case i < 0 && forget:
		return rows
	case i < 0:
		return append(rows, x)
	case forget:
		return slices.Delete(rows, i, i+1)
	}
	rows[i] = x
	return rows
}

// loaded is what a starting process reads.
func (d *disk) loaded(lost bool) warden.Loaded {
	m := d.memory
	m.Passed, m.Armed, m.Removals, m.Drains = slices.Clone(m.Passed), slices.Clone(m.Armed), slices.Clone(m.Removals), slices.Clone(m.Drains)
	if m.Freeze != nil {
		f := *m.Freeze
		m.Freeze = &f
	}
	return warden.Loaded{Entries: slices.Clone(d.entries), Memory: m, Lost: lost}
}
