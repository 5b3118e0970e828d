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
	var start, cpu, anon, afterwards series
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
		usage, err := server.usage()
		if err != nil {
			return err
		}
		cpu = append(cpu, usage.CPU.Seconds())
		atRest := func() (mebibytes float64, err error) {
			time.Sleep(min(quiet, 5*st.window))
			bytes, err := server.memory("RssAnon")
			return float64(bytes) / (1 << 20), err
		}
		fresh, err := atRest()
		if err != nil {
			return err
		}
		if err := askOthers(c, st.instances); err != nil {
			return err
		}
		used, err := atRest()
		if err != nil {
			return err
		}
		anon, afterwards = append(anon, fresh), append(afterwards, used)
		c.Close()
		st.close()
	}
	fmt.Printf("\nSIZE  %d instances with 6 attributes in %d services and the %d operations that registered them, started from the file\n", st.instances, services, st.instances)
	goal("from exec to the first answer, s", start, "%.2f", "<= 2", start.median() <= 2)
	fmt.Printf("  %-58s %s\n", "CPU time until then, s", cpu.spread("%.2f"))
	goal("RssAnon after a quiet moment, MiB", anon, "%.0f", "<= 150", anon.median() <= 150)
	goal("RssAnon when every service has been asked, MiB", afterwards, "%.0f", "<= 150", afterwards.median() <= 150)
	return nil
}

// askOthers asks each of the services that no comparison asks three times for
// all its instances, so that the registry keeps what it keeps of services that
// are asked.
func askOthers(c *conn, instances int) error {
	for _, n := range asked {
		instances -= n
	}
	for n := range othersOf(instances) {
		for range 3 {
			if _, err := c.call(request("/", "DiscoverInstances", discoverNamed(otherName(n+1), 1000))); err != nil {
				return err
			}
		}
	}
	return nil
}
