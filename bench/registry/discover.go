//go:build linux

package main

import "fmt"

// clients is how many connections ask at once: enough that the server always
// has something to do.
const clients = 8

// turns is how many a subject has in a round.
const turns = 8

// subject is one side of a comparison.
type subject struct {
	name   string
	server *child
	conns  []*conn
	next   func(conn int) []byte // the next request of a connection
	bytes  int
	sum    figures // of the round at hand
	cpu    series
	rate   series
}

// discover compares DiscoverInstances of services of several sizes with a bare
// handler, and with the same services in a large registry.
func (st *stage) discover() error {
	small, err := st.fill("small", 0)
	if err != nil {
		return err
	}
	large, err := st.fill("large", st.instances)
	if err != nil {
		return err
	}
	alone, err := st.spawn(true, "-serve", "registry", "-path", small)
	if err != nil {
		return err
	}
	among, err := st.spawn(true, "-serve", "registry", "-path", large)
	if err != nil {
		return err
	}
	bare, err := st.spawn(true, "-serve", "bare")
	if err != nil {
		return err
	}
	var subjects []*subject
	add := func(name string, server *child, request []byte) (*subject, error) {
		conns, err := dialAll(server.address, clients)
		if err != nil {
			return nil, err
		}
		s := &subject{name: name, server: server, conns: conns, next: func(int) []byte { return request }}
		subjects = append(subjects, s)
		s.bytes, err = conns[0].call(request)
		return s, err
	}
	defer func() {
		for _, s := range subjects {
			hangUp(s.conns)
		}
	}()
	of := map[string]*subject{}
	for _, n := range asked {
		s, err := add(fmt.Sprintf("DiscoverInstances, %d instances", n), alone, discoverRequest(n))
		if err != nil {
			return err
		}
		of[fmt.Sprint(n)] = s
		s, err = add(fmt.Sprintf("bare handler, as many bytes as %d instances", n), bare, request(fmt.Sprintf("/%d", s.bytes), "Bare", discoverBody(n)))
		if err != nil {
			return err
		}
		of[fmt.Sprint("bare ", n)] = s
	}
	if of["among"], err = add(fmt.Sprintf("DiscoverInstances, 100 instances of %d", st.instances), among, discoverRequest(100)); err != nil {
		return err
	}
	for round := range st.rounds + 1 {
		// In short turns, so that a disturbance of the machine meets all of them.
		for range turns {
			for _, s := range subjects {
				f, err := window(s.server, s.conns, st.window/turns, s.next)
				if err != nil {
					return fmt.Errorf("%s: %w", s.name, err)
				}
				s.sum.add(f)
			}
		}
		for _, s := range subjects {
			if round > 0 { // the first warms up
				s.cpu, s.rate = append(s.cpu, s.sum.perCall()), append(s.rate, s.sum.rate())
			}
			s.sum = figures{}
		}
	}
	fmt.Printf("\nDISCOVER  %d keep-alive connections, instances with 6 attributes\n", clients)
	for _, s := range subjects {
		fmt.Printf("  %-52s %7d bytes  server CPU us %s  calls/s %s\n", s.name, s.bytes, s.cpu.spread("%.1f"), s.rate.spread("%.0f"))
	}
	hundred, bare100 := of["100"], of["bare 100"]
	cpu, rate := hundred.cpu.over(bare100.cpu), hundred.rate.over(bare100.rate)
	goal("100 instances / bare handler, CPU", cpu, "%.2f", "<= 1.40", cpu.median() <= 1.4)
	goal("100 instances / bare handler, throughput", rate, "%.2f", ">= 0.70", rate.median() >= 0.7)
	for _, n := range []string{"10", "1000"} {
		fmt.Printf("  %-58s %s\n", n+" instances / bare handler, CPU", of[n].cpu.over(of["bare "+n].cpu).spread("%.2f"))
	}
	perByte := of["1000"].cpu.over(hundred.cpu)
	for i := range perByte {
		perByte[i] /= float64(of["1000"].bytes) / float64(hundred.bytes)
	}
	goal("CPU per byte, 1000 instances / 100 instances", perByte, "%.2f", "<= 1.10", perByte.median() <= 1.1)
	flat := of["among"].cpu.over(hundred.cpu)
	goal(fmt.Sprintf("CPU, 100 instances among %d / alone", st.instances), flat, "%.2f", "<= 1.10", flat.median() <= 1.1)
	return nil
}
