package demo

import (
	"context"
	"fmt"
	"syscall"
	"time"
)

// cue does what the plan says, on both sides at once.
func (s *stage) cue(ctx context.Context, c cue) error {
	a := c.act
	what := map[bool]string{false: "begins", true: "ends"}[c.heal]
	s.say("%4.0fs  act %d, %s: %s %s\n", time.Since(s.opening).Seconds(), a.number, a.name, s.who(a), what)
	for _, x := range sides {
		for n := 1; n < newcomer+1; n++ {
			sv := s.servers[place{x, a.service, n}]
			if a.server == n || a.server == 0 && n < newcomer {
				if err := s.strike(ctx, sv, c); err != nil {
					return fmt.Errorf("%s/%s: %w", x, sv.instance(), err)
				}
			}
		}
	}
	return nil
}

func (s *stage) who(a act) string {
	if a.server == 0 {
		return "every server of " + a.service
	}
	return place{service: a.service, number: a.server}.instance()
}

// strike spoils or mends one server.
func (s *stage) strike(ctx context.Context, sv *server, c cue) error {
	switch c.act.fault {
	case slowStart:
		if c.heal {
			return nil // it becomes ready by itself
		}
		if err := s.launch(sv, c.act.heal-c.act.at); err != nil {
			return err
		}
		go drain(sv.process)
		return s.register(ctx, sv)
	case fastFail, sharedOut:
		sv.process.signal(map[bool]syscall.Signal{false: spoil, true: mend}[c.heal])
	case hang:
		sv.process.signal(map[bool]syscall.Signal{false: syscall.SIGSTOP, true: syscall.SIGCONT}[c.heal])
	case killDaemon:
		if !c.heal && sv.side == with {
			s.wire.set(sv.instance(), func() { s.killDaemon(ctx) })
		}
		return s.dieOrLive(ctx, sv, c.heal)
	case crash:
		return s.dieOrLive(ctx, sv, c.heal)
	}
	return nil
}

func (s *stage) dieOrLive(ctx context.Context, sv *server, live bool) error {
	if !live {
		sv.process.kill()
		return nil
	}
	if err := s.launch(sv, 0); err != nil {
		return err
	}
	_, err := sv.process.listening(ctx, "server")
	return err
}
