//go:build linux || darwin

package main

import (
	"context"
	"fmt"
	"time"
)

// detection is one crash and what came of it.
type detection struct {
	verdict  time.Duration // until the daemon says unhealthy
	set      time.Duration // until the registry is asked to say so, too; 0: it was not
	withheld string        // why not
}

// crash closes the ports of targets one after the other, each of another
// service with a custom health check and at another moment of the interval,
// and opens them again once all were noticed.
func (st *stage) crash(ctx context.Context, d *daemon) ([]detection, error) {
	fell := map[int]time.Time{}
	for k := range min(st.crashes, (st.services+1)/2) {
		i := st.services + 2*k // the second instance of every other service
		at, err := st.targets.tell("crash", i)
		if err != nil {
			return nil, err
		}
		fell[i] = at
		if err := pause(ctx, st.interval*3/10); err != nil {
			return nil, err
		}
	}
	found, err := st.notice(ctx, d, fell)
	for i := range fell {
		if _, again := st.targets.tell("revive", i); err == nil {
			err = again
		}
	}
	if err != nil {
		return nil, err
	}
	return found, pause(ctx, 3*st.interval)
}

// notice waits until the daemon has called unhealthy what fell, and has told
// the registry or said why it does not.
func (st *stage) notice(ctx context.Context, d *daemon, fell map[int]time.Time) ([]detection, error) {
	ctx, cancel := context.WithTimeout(ctx, 15*st.interval)
	defer cancel()
	for {
		verdicts, withheld, err := d.judgements(ctx)
		if err != nil {
			return nil, err
		}
		var found []detection
		for i, at := range fell {
			verdict, judged := verdicts[instanceName(i)]
			x := detection{verdict: verdict.Sub(at)}
			if set, told := st.registry.statusSet(instanceName(i)); told {
				x.set = set.Sub(at)
			} else if x.withheld = withheld[instanceName(i)]; x.withheld == "" {
				continue
			}
			if judged {
				found = append(found, x)
			}
		}
		if len(found) == len(fell) {
			return found, nil
		}
		if err := pause(ctx, 200*time.Millisecond); err != nil {
			return nil, fmt.Errorf("%d of %d crashes were noticed: %w; the daemon's log: %s", len(found), len(fell), err, d.lastLines())
		}
	}
}
