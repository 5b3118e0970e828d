//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"time"

	"github.com/mapwarden/mapwarden/internal/registry"
)

// writers is how many clients register at once, each in a service of its own
// and its instances in turn.
const (
	writers          = 64
	instancesPerTurn = 400
)

// writeDelay is the pace of operations as the registry command has it.
const writeDelay = 200 * time.Millisecond

// register compares durable registrations with those that do not wait for the
// disk.
func (st *stage) register() error {
	var sides [2]*subject
	var commits, calls series
	for i, name := range []string{"durable", "fsync off"} {
		path := filepath.Join(st.dir, fmt.Sprintf("write%d.db", i))
		ids, err := writeServices(path)
		if err != nil {
			return err
		}
		args := []string{"-serve", "registry", "-path", path, "-operation-delay", writeDelay.String()}
		if i == 1 {
			args = append(args, "-nosync")
		}
		server, err := st.spawn(true, args...)
		if err != nil {
			return err
		}
		conns, err := dialAll(server.address, writers)
		if err != nil {
			return err
		}
		defer hangUp(conns)
		requests, err := registrations(ids)
		if err != nil {
			return err
		}
		turn := make([]int, writers)
		next := func(conn int) []byte {
			turn[conn]++
			return requests[conn][turn[conn]%instancesPerTurn]
		}
		sides[i] = &subject{name: name, server: server, conns: conns, next: next}
	}
	// Longer, since a window is a handful of the disk's moods.
	length := 2 * st.window
	for round := range st.rounds + 1 {
		for i, s := range sides {
			f, err := window(s.server, s.conns, length, s.next)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			if round == 0 {
				continue
			}
			s.cpu, s.rate = append(s.cpu, f.perCall()), append(s.rate, f.rate())
			if i == 0 {
				commits, calls = append(commits, float64(f.commits)), append(calls, float64(f.calls))
			}
		}
	}
	fmt.Printf("\nREGISTER  %d connections, each registers in turn; operations take %v, so each is written twice\n", writers, writeDelay)
	for _, s := range sides {
		fmt.Printf("  %-40s server CPU us %s  calls/s %s\n", s.name, s.cpu.spread("%.0f"), s.rate.spread("%.0f"))
	}
	rate := sides[0].rate.over(sides[1].rate)
	goal("durable / fsync off, throughput", rate, "%.2f", ">= 0.50", rate.median() >= 0.5)
	syncs := commits.over(calls)
	for i := range syncs {
		syncs[i] *= 2 * 1000 // a commit syncs the data, then the page that says where it is
	}
	goal("fsyncs per 1,000 calls", syncs, "%.1f", "<= 40", syncs.median() <= 40)
	return nil
}

// writeServices makes a registry with a service for each writer.
func writeServices(path string) (ids []string, err error) {
	reg, err := registry.Open(registry.Options{Path: path, NoSync: true})
	if err != nil {
		return nil, err
	}
	ns, err := createNamespace(reg)
	if err != nil {
		return nil, err
	}
	for i := range writers {
		svc, err := reg.CreateService(registry.NewService{Name: fmt.Sprintf("w%d", i), NamespaceID: ns, CustomHealth: true})
		if err != nil {
			return nil, err
		}
		ids = append(ids, svc.ID)
	}
	return ids, reg.Close()
}

// registrations are the requests of each writer.
func registrations(services []string) (requests [][][]byte, err error) {
	for _, svc := range services {
		var own [][]byte
		for i := range instancesPerTurn {
			body, err := json.Marshal(map[string]any{"ServiceId": svc, "InstanceId": fmt.Sprintf("i-%04d", i), "Attributes": attributes(i)})
			if err != nil {
				return nil, err
			}
			own = append(own, request("/", "RegisterInstance", string(body)))
		}
		requests = append(requests, own)
	}
	return requests, nil
}
