//go:build linux

package main

import (
	"fmt"
	"slices"
	"time"
)

// idleConnections compares a server that has many idle connections with one
// that has none.
func (st *stage) idleConnections() error {
	path, err := st.fill("idle", 0)
	if err != nil {
		return err
	}
	args := []string{"-serve", "registry"}
	calm, err := st.spawn(true, append(args, "-path", path)...)
	if err != nil {
		return err
	}
	if path, err = st.fill("idle-too", 0); err != nil {
		return err
	}
	crowded, err := st.spawn(true, append(args, "-path", path)...)
	if err != nil {
		return err
	}
	before, err := crowded.settled(st.window)
	if err != nil {
		return err
	}
	// Each connection has made a call, and waits for its next one.
	idle := make([]*conn, 0, st.idle)
	defer func() { hangUp(idle) }()
	buf := make([]byte, 64<<10)
	for range st.idle {
		c, err := dial(crowded.address)
		if err != nil {
			return err
		}
		c.buf = buf
		idle = append(idle, c)
		if _, err := c.call(discoverRequest(100)); err != nil {
			return err
		}
	}
	after, err := crowded.settled(st.window)
	if err != nil {
		return err
	}
	each := series{float64(after-before) / 1024 / float64(st.idle)}

	var p50, p99 [2]series
	for round := range st.rounds + 1 {
		for i, server := range []*child{calm, crowded} {
			latencies, err := latency(server, 2*st.window)
			if err != nil {
				return err
			}
			if round > 0 {
				p50[i], p99[i] = append(p50[i], quantile(latencies, 0.5)), append(p99[i], quantile(latencies, 0.99))
			}
		}
	}
	fmt.Printf("\nIDLE  %d connections that made a call and wait; one other asks for 100 instances, over and over\n", st.idle)
	goal("memory (RSS) for each idle connection, KiB", each, "%.1f", "<= 24", each.median() <= 24)
	for i, name := range []string{"without", "with"} {
		fmt.Printf("  %-58s p50 %s  p99 %s us\n", name+" idle connections", p50[i].spread("%.0f"), p99[i].spread("%.0f"))
	}
	moved := p99[1].over(p99[0])
	goal("p99 with / without", moved, "%.2f", "<= 1.10", moved.median() <= 1.1)
	return nil
}

// settled is the server's RSS when nothing happens.
func (c *child) settled(window time.Duration) (int64, error) {
	time.Sleep(min(quiet, 5*window))
	return c.memory("VmRSS")
}

// latency are the times that calls took, one after another, in order of length.
func latency(server *child, length time.Duration) (micros []float64, err error) {
	c, err := dial(server.address)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	request := discoverRequest(100)
	start := time.Now()
	for last := start; last.Before(start.Add(length)); {
		if _, err := c.call(request); err != nil {
			return nil, err
		}
		now := time.Now()
		micros = append(micros, float64(now.Sub(last).Nanoseconds())/1000)
		last = now
	}
	slices.Sort(micros)
	return micros, nil
}

func quantile(sorted []float64, q float64) float64 { return sorted[int(q*float64(len(sorted)-1))] }
