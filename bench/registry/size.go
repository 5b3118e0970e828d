//go:build linux

package main

import (
	"fmt"
	"time"
)

// quiet is how long a server is left alone before its memory is read.
const quiet = 2 * time.Second

// size starts a large registry from its file, over and over.
func (st *stage) size() error {
	path, err := st.fill("size", st.instances)
	if err != nil {
		return err
	}
	var start, cpu, anon series
	for range st.rounds {
		begun := time.Now()
		server, err := st.spawn(false, "-serve", "registry", "-path", path)
		if err != nil {
			return err
		}
		c, err := dial(server.address)
		if err != nil {
			return err
		}
		if _, err := c.call(discoverRequest(100)); err != nil {
			return err
		}
		start = append(start, time.Since(begun).Seconds())
		c.Close()
		used, err := server.usage()
		if err != nil {
			return err
		}
		time.Sleep(min(quiet, 5*st.window))
		bytes, err := server.memory("RssAnon")
		if err != nil {
			return err
		}
		cpu, anon = append(cpu, used.CPU.Seconds()), append(anon, float64(bytes)/(1<<20))
		st.close()
	}
	fmt.Printf("\nSIZE  %d instances with 6 attributes in %d services and the %d operations that registered them, started from the file\n", st.instances, services, st.instances)
	goal("from exec to the first answer, s", start, "%.2f", "<= 2", start.median() <= 2)
	fmt.Printf("  %-58s %s\n", "CPU time until then, s", cpu.spread("%.2f"))
	goal("RssAnon after a quiet moment, MiB", anon, "%.0f", "<= 150", anon.median() <= 150)
	return nil
}
