package probe

// room shares the probes that may run at once among services. A service may
// start one more while it runs fewer than are still free: a single service
// whose targets all hang holds half of the room, two of them a third each, and
// something is always left for the others. (Dynamic thresholds: Choudhury and
// Hahne, IEEE/ACM Transactions on Networking 6(2), 1998.)
//
// It is owned by the engine's loop.
type room struct {
	size     int
	running  int
	services []share
	index    map[string]int32 // service id
	free     []int32          // unused entries of services
	lines    []int32          // services with a line
	turn     int              // whose turn it is in lines
}

// share is what one service holds of the room.
type share struct {
	id      string
	targets int // watched
	running int
	line    []ticket // due targets, oldest first
	head    int
	inTurn  bool
}

// ticket is a target's place in its service's line. It is void when the slot's
// epoch has moved on.
type ticket struct {
	slot  int32
	epoch uint32
}

// join counts a target in and returns its service's index.
func (r *room) join(service string) int32 {
	if r.index == nil {
		r.index = map[string]int32{}
	}
	i, ok := r.index[service]
	if !ok {
		if n := len(r.free); n > 0 {
			i, r.free = r.free[n-1], r.free[:n-1]
		} else {
			i = int32(len(r.services))
			r.services = append(r.services, share{})
		}
		r.services[i] = share{id: service}
		r.index[service] = i
	}
	r.services[i].targets++
	return i
}

// leave counts a target out.
func (r *room) leave(i int32) {
	r.services[i].targets--
	r.forget(i)
}

// forget gives the entry of a service back once nothing refers to it.
func (r *room) forget(i int32) {
	s := &r.services[i]
	if s.targets > 0 || s.running > 0 || s.inTurn {
		return
	}
	delete(r.index, s.id)
	*s = share{}
	r.free = append(r.free, i)
}

// queue puts a target at the end of its service's line.
func (r *room) queue(service int32, t ticket) {
	s := &r.services[service]
	s.line = append(s.line, t)
	if !s.inTurn {
		s.inTurn = true
		r.lines = append(r.lines, service)
	}
}

// admit takes the next ticket whose service may start a probe, the services in
// turn. The caller either calls began or drops the ticket.
func (r *room) admit() (ticket, bool) {
	for looked := 0; looked < len(r.lines) && r.running < r.size; {
		if r.turn >= len(r.lines) {
			r.turn = 0
		}
		i := r.lines[r.turn]
		s := &r.services[i]
		switch {
		case s.head == len(s.line):
			s.line, s.head, s.inTurn = s.line[:0], 0, false
			last := len(r.lines) - 1
			r.lines[r.turn] = r.lines[last]
			r.lines = r.lines[:last]
			r.forget(i)
			looked = 0 // the last one changed places: it may be looked at twice, none is missed
		case s.running >= r.size-r.running:
			looked++
			r.turn++
		default:
			r.turn++
			return s.next(), true
		}
	}
	return ticket{}, false
}

// next takes the first ticket of the line and, now and then, moves the rest to
// the front of its memory.
func (s *share) next() ticket {
	t := s.line[s.head]
	s.head++
	if s.head >= 64 && s.head > len(s.line)/2 {
		s.line = s.line[:copy(s.line, s.line[s.head:])]
		s.head = 0
	}
	return t
}

func (r *room) began(service int32) {
	r.services[service].running++
	r.running++
}

func (r *room) ended(service int32) {
	r.services[service].running--
	r.running--
	r.forget(service)
}
