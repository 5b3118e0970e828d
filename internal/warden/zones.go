package warden

import (
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/policy"
)

// zones numbers the availability zones of targets and vantages, and keeps the
// matrix of who sees what of which.
type zones struct {
	names []string       // by number; 0 is the unknown zone
	by    map[string]int // looked up only
	of    []uint8        // by slot index
	rows  policy.Matrix
	at    health.Instant // when rows were counted
}

// zonesMost bounds the numbers: whoever registers an instance names its zone.
// What comes after them is of no known zone.
const zonesMost = 64

func (z *zones) number(name string) int {
	if name == "" {
		return 0
	}
	if n, ok := z.by[name]; ok {
		return n
	}
	if z.by == nil {
		z.by, z.names = make(map[string]int), []string{""}
	}
	if len(z.names) >= zonesMost {
		return 0
	}
	n := len(z.names)
	z.names = append(z.names, name)
	z.by[name] = n
	return n
}

// setZone takes the zone of a slot from its attributes.
func (w *Warden) setZone(i int) {
	sl := &w.slots[i]
	sl.zone = sl.attrs.Get(health.AttrZone)
	for len(w.zones.of) <= i {
		w.zones.of = append(w.zones.of, 0)
	}
	w.zones.of[i] = uint8(w.zones.number(sl.zone))
}

// matrixEvery is how often the matrix is counted at most: it is one walk over
// dense slices, and a failing zone asks for it with each batch of observations.
const matrixEvery = 100 * time.Millisecond

// matrix counts what every vantage that is heard sees of every zone, of targets
// that passed us once. One vantage has none: it reads no zones.
func (w *Warden) matrix() policy.Matrix {
	if !w.several() {
		return nil
	}
	z := &w.zones
	if z.rows != nil && w.now < z.at.Add(matrixEvery) {
		return z.rows
	}
	z.at = w.now
	z.rows = append(z.rows[:0], w.row(w.cfg.Vantage.Zone, w.outlook.Has(abstainReason), func(i int) ballot {
		return ballot{last: w.states[i].Last, cause: w.states[i].Cause}
	}))
	for _, p := range w.peers {
		if p.counts(w) {
			z.rows = append(z.rows, w.row(p.vantage.Zone, p.abstains, p.ballot))
		}
	}
	return z.rows
}

// row counts one vantage's ballots. The number of its own zone comes first, so
// that there is a cell for every number.
func (w *Warden) row(zone string, abstains bool, says func(int) ballot) policy.Row {
	r := policy.Row{Zone: w.zones.number(zone), Abstains: abstains}
	r.Cells = make([]policy.Cell, max(len(w.zones.names), 1))
	for i := range w.states {
		if !w.states[i].Ever {
			continue
		}
		c := &r.Cells[w.zones.of[i]]
		switch b := says(i); {
		case b.last == health.Pass:
			c.Seen++
		case b.last == health.Fail, b.cause == health.PathUnproven:
			c.Seen++
			c.Bad++
			if !b.cause.ProvesReach() || b.cause.Class() == health.Hard {
				c.Dark++
			}
		}
	}
	return r
}

// zonesMoved records what is read of a zone when it changes.
func (w *Warden) zonesMoved(before policy.Outlook) {
	for z := range max(len(before.Zones), len(w.outlook.Zones)) {
		was, is := before.Zone(z), w.outlook.Zone(z)
		if was == is {
			continue
		}
		r := Record{Kind: FleetRecord, Reason: is.Reason(), Admitted: is == policy.ZoneDead, Detail: "zone " + w.zones.names[z] + ": "}
		switch is {
		case policy.ZoneDead:
			r.Detail += "every vantage sees every target fail: it is dead"
		case policy.ZoneIsolated:
			r.Detail += "cut off from the other zones, and well as seen from inside: none is removed"
		case policy.ZonePath:
			r.Detail += "we do not reach it, and another vantage finds it well: none is removed"
		default:
			r.Reason, r.Admitted = was.Reason(), true
			r.Detail += "its failures have a zone's shape no more"
		}
		w.record(r)
		w.markAll()
	}
}
