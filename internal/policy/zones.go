package policy

import "github.com/mapwarden/mapwarden/internal/health"

// Cell is what one vantage sees of the targets of one zone.
type Cell struct {
	Seen int // that passed us once, and that it can tell anything about
	Bad  int // of Seen: failing, or silent
	Dark int // of Bad: nothing of the target itself answered, so that it may be us
}

// Row is what one vantage sees of every zone.
type Row struct {
	Zone     int // of the vantage; 0 is unknown
	Abstains bool
	Cells    []Cell // by zone; 0 are the targets of unknown zones
}

// Matrix is what every vantage that is heard sees of every zone, our own row
// first. With one vantage there is none, and no zone is ever read.
type Matrix []Row

// Reading is what the shape of failures says about a zone.
type Reading uint8

const (
	// ZoneNormal: whatever fails there fails for itself.
	ZoneNormal Reading = iota
	// ZoneDead: every vantage sees every one of its targets fail.
	ZoneDead
	// ZoneIsolated: others do not reach it, and its own vantage finds it well.
	ZoneIsolated
	// ZonePath: we do not reach it, and another vantage finds it well.
	ZonePath
)

// Reason is why members of the zone are removed, or are not.
func (r Reading) Reason() Reason {
	return [...]Reason{NoReason, Zone, Isolated, PathFault}[r]
}

// bad and fine are shares of a cell that knows enough; a cell that does not is
// neither.
func (f *FleetConfig) bad(c Cell) bool {
	return f.known(c) && float64(c.Bad)*100 >= f.ZoneBad*float64(c.Seen)
}

// dark is bad in a way that being cut off oneself explains.
func (f *FleetConfig) dark(c Cell) bool {
	return f.known(c) && float64(c.Dark)*100 >= f.ZoneBad*float64(c.Seen)
}

func (f *FleetConfig) fine(c Cell) bool {
	return f.known(c) && float64(c.Bad)*100 <= f.ZoneFine*float64(c.Seen)
}

func (f *FleetConfig) known(c Cell) bool { return f.ZoneLeast > 0 && c.Seen >= f.ZoneLeast }

func (r *Row) cell(zone int) Cell {
	if zone < len(r.Cells) {
		return r.Cells[zone]
	}
	return Cell{}
}

// zones is how many columns there are; column 0 is no zone.
func (m Matrix) zones() (n int) {
	for i := range m {
		n = max(n, len(m[i].Cells))
	}
	return n
}

// read says what the shape of the failures is, zone by zone. given are the
// zones whose targets all fail as seen from elsewhere, whatever their own vantage
// says: it may be silent already, and its last word not have expired yet.
func (m Matrix) read(f *FleetConfig) (readings []Reading, given []bool) {
	n := m.zones()
	readings, given = make([]Reading, n), make([]bool, n)
	for z := 1; z < n; z++ {
		readings[z] = m.reading(f, z)
		given[z] = readings[z] == ZoneDead || m.dead(f, z, true)
	}
	return readings, given
}

func (m Matrix) reading(f *FleetConfig, z int) Reading {
	if m.dead(f, z, false) {
		return ZoneDead
	}
	ours := len(m) > 0 && f.bad(m[0].cell(z))
	others, home, elsewhere := 0, false, false // rows of other zones that find it bad; who finds it well
	for i := range m {
		r := &m[i]
		switch c := r.cell(z); {
		case r.Zone == z:
			home = home || f.fine(c)
		case f.bad(c):
			others++
		case f.fine(c):
			elsewhere = true
		}
	}
	switch {
	case home && !elsewhere && others >= 2:
		return ZoneIsolated
	case ours && (home || elsewhere):
		return ZonePath
	}
	return ZoneNormal
}

// dead reports whether every vantage that does not abstain sees every target of
// the zone fail: two vantages at least, of two zones, of which each finds
// another zone well, so that it is not they. butHome leaves the zone's own
// vantages out.
func (m Matrix) dead(f *FleetConfig, z int, butHome bool) bool {
	agree, from, several := 0, 0, false
	for i := range m {
		r := &m[i]
		c := r.cell(z)
		switch {
		case butHome && r.Zone == z:
			continue
		case r.Abstains && (!f.known(c) || c.Bad == c.Seen):
			continue // its accusation is nothing; its passes would count
		case !f.known(c) || c.Bad < c.Seen || !r.seesWell(f, z):
			return false
		}
		agree++
		switch {
		case r.Zone == 0:
		case from == 0:
			from = r.Zone
		case from != r.Zone:
			several = true
		}
	}
	return agree >= 2 && several
}

// seesWell reports whether a vantage finds any zone but this one well.
func (r *Row) seesWell(f *FleetConfig, but int) bool {
	for z := 1; z < len(r.Cells); z++ {
		if z != but && f.fine(r.Cells[z]) {
			return true
		}
	}
	return false
}

// partitioned reports whether we are the ones who are cut off: nothing answers
// us from any zone, or from any but our own; and for the latter no vantage of
// another zone finds the same.
func (m Matrix) partitioned(f *FleetConfig) bool {
	if len(m) == 0 {
		return false
	}
	us := &m[0]
	away, home := 0, false
	for z := 1; z < len(us.Cells); z++ {
		switch c := us.Cells[z]; {
		case !f.known(c):
		case z == us.Zone:
			home = f.dark(c)
		case f.dark(c):
			away++
		default:
			return false
		}
	}
	if home {
		return away >= 1
	}
	return away >= 2 && !m.confirmed(f)
}

// confirmed reports whether a vantage of another zone finds bad whatever zones
// but our own we find bad.
func (m Matrix) confirmed(f *FleetConfig) bool {
	us := &m[0]
	for i := 1; i < len(m); i++ {
		r := &m[i]
		agrees := !r.Abstains && r.Zone != us.Zone && r.Zone != 0
		for z := 1; z < len(us.Cells) && agrees; z++ {
			if z != us.Zone && f.bad(us.Cells[z]) {
				agrees = f.bad(r.cell(z))
			}
		}
		if agrees {
			return true
		}
	}
	return false
}

// exempts reports whether failures that began lately have the shape of one zone,
// and another vantage sees as much: then it is not we who fail (rule 2). That
// the other abstains, too, does not matter here: it may doubt itself for the
// same onsets, and both see what they see.
func (m Matrix) exempts(f *FleetConfig, onsets []Onset) bool {
	z, n := crowded(onsets, m.zones())
	if z == 0 || len(m) < 2 || float64(n)*100 < f.ZoneBad*float64(len(onsets)) || !m[0].seesWell(f, z) {
		return false
	}
	for other, c := range m[0].Cells {
		if other != 0 && other != z && f.known(c) && !f.fine(c) {
			return false
		}
	}
	for i := 1; i < len(m); i++ {
		if c := m[i].cell(z); f.known(c) && float64(c.Bad)*100 >= f.ZoneBad*float64(m[0].cell(z).Bad) {
			return true
		}
	}
	return false
}

// crowded is the zone with most onsets, and how many.
func crowded(onsets []Onset, zones int) (zone, n int) {
	count := make([]int, zones)
	for _, x := range onsets {
		if x.Zone > 0 && x.Zone < zones {
			count[x.Zone]++
		}
	}
	for z, c := range count {
		if c > n {
			zone, n = z, c
		}
	}
	return zone, n
}

// readZones puts the readings into an Outlook. A zone is dead only after it was
// given up from elsewhere for ZoneFor without a break.
func (o *Outlook) readZones(w World, f *FleetConfig, now health.Instant) {
	readings, given := w.Matrix.read(f)
	o.ZoneSince = make([]health.Instant, len(given))
	for z := range given {
		if !given[z] {
			continue
		}
		o.ZoneSince[z] = now
		if z < len(w.ZoneSince) && w.ZoneSince[z] != 0 {
			o.ZoneSince[z] = w.ZoneSince[z]
		}
		if readings[z] == ZoneDead && (f.ZoneFor <= 0 || now < o.ZoneSince[z].Add(f.ZoneFor)) {
			readings[z] = ZoneNormal
		}
	}
	o.Zones = readings
}

// Zone is what the shape of failures says of a zone.
func (o *Outlook) Zone(z int) Reading {
	if z > 0 && z < len(o.Zones) {
		return o.Zones[z]
	}
	return ZoneNormal
}
