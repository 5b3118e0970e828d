package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mapwarden/mapwarden/internal/cloudmap"
	"github.com/mapwarden/mapwarden/internal/health"
)

// stage is everything that runs during a demo.
type stage struct {
	opts  Options
	dir   string
	plan  []act
	began time.Time
	tally *tally

	registry *process
	endpoint string // of the registry
	client   *cloudmap.Client
	reader   *cloudmap.Reader
	writer   *cloudmap.Writer
	wire     *wire
	listen   sync.WaitGroup
	restarts sync.WaitGroup // of the enforcing daemon
	cancel   context.CancelFunc
	opening  time.Time // when the plan began

	mu      sync.Mutex
	ports   *ports
	daemons map[side]*checker
	servers map[place]*server
	clients []*process
	killed  []time.Duration // how long the enforcing daemon was away, each time
}

// place is a server's: a service of a side, and a number.
type place struct {
	side    side
	service string
	number  int
}

func (p place) instance() string { return fmt.Sprintf("%s-%d", p.service, p.number) }

// server is one instance: its registration, and the process behind it.
type server struct {
	place
	service    health.Service
	address    string
	attributes health.Attributes // as registered
	process    *process          // nil while it is dead
}

// set starts everything, and returns when both daemons are ready to judge.
func (s *stage) set(ctx context.Context) error {
	ctx, s.cancel = context.WithCancel(ctx)
	s.ports = newPorts()
	s.servers, s.daemons = map[place]*server{}, map[side]*checker{}
	for _, step := range []func(context.Context) error{s.startRegistry, s.startFleet, s.startDaemons, s.startClients, s.awaitDaemons} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (s *stage) startRegistry(ctx context.Context) (err error) {
	s.registry, err = start(s.opts.Binary, s.dir, "registry", true, "registry", "--data", filepath.Join(s.dir, "registry"),
		"--registry-listen", "127.0.0.1:0", "--dns-listen", "", "--custom-health-delay", "3s", "--operation-delay", "200ms")
	if err != nil {
		return err
	}
	address, err := s.registry.listening(ctx, "registry")
	if err != nil {
		return err
	}
	go drain(s.registry)
	s.endpoint = "http://" + address
	s.say("listening registry %s\n", address)
	if s.client, err = cloudmap.New(ctx, cloudmap.Config{URL: s.endpoint, LoopbackOnly: true}); err != nil {
		return err
	}
	s.reader, s.writer = s.client.NewReader(""), s.client.NewWriter()
	if s.wire, err = newWire(s.endpoint); err != nil {
		return err
	}
	s.listen.Go(func() { s.wire.run(ctx) })
	return nil
}

func drain(p *process) {
	for range p.lines { // keep the child from blocking on its output
	}
}

// startFleet makes both sides of the registry and a server for each instance.
func (s *stage) startFleet(ctx context.Context) error {
	provision, err := s.client.NewProvisioner()
	if err != nil {
		return err
	}
	g, gctx := errgroup.WithContext(ctx)
	for _, side := range sides {
		g.Go(func() error {
			namespace, err := provision.HTTPNamespace(gctx, string(side))
			if err != nil {
				return err
			}
			for _, kind := range services {
				service, err := provision.Service(gctx, namespace, kind.name, kind.custom)
				if err != nil {
					return err
				}
				for n := 1; n <= newcomer; n++ {
					if err := s.place(place{side, kind.name, n}, service); err != nil {
						return err
					}
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for _, sv := range s.servers {
		if sv.number == newcomer {
			continue
		}
		g.Go(func() error {
			if err := s.launch(sv, 0); err != nil {
				return err
			}
			if _, err := sv.process.listening(ctx, "server"); err != nil {
				return err
			}
			return s.register(ctx, sv)
		})
	}
	return g.Wait()
}

// place gives a server its address.
func (s *stage) place(p place, service health.Service) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	address, err := s.ports.free()
	if err != nil {
		return err
	}
	s.servers[p] = &server{place: p, service: service, address: address.String(), attributes: attributes(p, address)}
	return nil
}

// attributes are what a server registers with: what is needed, and a few
// things besides that have to survive a quarantine unchanged.
func attributes(p place, at netip.AddrPort) health.Attributes {
	return health.AttributesOf(map[string]string{
		health.AttrIPv4: at.Addr().String(),
		health.AttrPort: strconv.Itoa(int(at.Port())),
		health.AttrZone: "demo-" + string(rune('a'+p.number%3)),
		"VERSION":       "1.4." + strconv.Itoa(p.number),
		"note":          "kept as it is: \"quoted\" 100%",
	})
}

func (s *stage) launch(sv *server, readyAfter time.Duration) (err error) {
	sv.process, err = start(s.opts.Binary, s.dir, string(sv.side)+"-"+sv.instance(), true,
		"demo-server", "--listen", sv.address, "--ready-after", readyAfter.String())
	return err
}

func (s *stage) register(ctx context.Context, sv *server) error {
	_, err := s.writer.Register(ctx, sv.service.ID, sv.instance(), sv.attributes, "demo-"+string(sv.side)+sv.instance())
	return err
}

// startClients starts one client process for each service of each side.
func (s *stage) startClients(context.Context) error {
	for _, side := range sides {
		for _, kind := range services {
			p, err := start(s.opts.Binary, s.dir, "client-"+string(side)+"-"+kind.name, true,
				"demo-client", "--registry", s.endpoint, "--namespace", string(side), "--service", kind.name)
			if err != nil {
				return err
			}
			s.clients = append(s.clients, p)
			s.listen.Go(func() {
				for line := range p.lines {
					var h heard
					if json.Unmarshal([]byte(line), &h) == nil {
						s.tally.add(h)
					}
				}
			})
		}
	}
	return nil
}

// play follows the plan's cues. When it returns, nothing is started any more.
func (s *stage) play(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer func() {
		s.wire.set("", nil)
		cancel()
		s.restarts.Wait()
	}()
	s.opening = time.Now()
	progress := time.NewTicker(5 * time.Second)
	defer progress.Stop()
	for _, c := range cuesOf(s.plan) {
		if err := s.waitUntil(ctx, c.at, progress); err != nil {
			return err
		}
		if err := s.cue(ctx, c); err != nil {
			return fmt.Errorf("act %d: %w", c.act.number, err)
		}
	}
	return s.waitUntil(ctx, endOf(s.plan)+tellEvery, progress)
}

func (s *stage) waitUntil(ctx context.Context, at time.Duration, progress *time.Ticker) error {
	due := time.NewTimer(time.Until(s.opening.Add(at)))
	defer due.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-due.C:
			return nil
		case <-progress.C:
			s.sayProgress()
		}
	}
}

func (s *stage) sayProgress() {
	failed := func(x side) (n, sent int) {
		for _, kind := range services {
			f := s.tally.figures(window{side: x, service: kind.name, begin: s.opening, end: time.Now()})
			n, sent = n+f.Failed, sent+f.Sent
		}
		return n, sent
	}
	a, sentA := failed(without)
	b, sentB := failed(with)
	s.say("%4.0fs  failed so far: without %d of %d, with %d of %d\n", time.Since(s.opening).Seconds(), a, sentA, b, sentB)
}

func (s *stage) say(format string, args ...any) { fmt.Fprintf(s.opts.Progress, format, args...) }

// close ends every process, in the reverse order of their start.
func (s *stage) close() {
	var all sync.WaitGroup
	for _, p := range s.clients {
		all.Go(p.stop)
	}
	s.mu.Lock()
	for _, d := range s.daemons {
		all.Go(d.process.stop)
	}
	s.mu.Unlock()
	all.Wait()
	for _, sv := range s.servers {
		if sv.process != nil {
			all.Go(sv.process.stop)
		}
	}
	all.Wait()
	if s.client != nil {
		s.client.Close()
	}
	if s.registry != nil {
		s.registry.stop()
	}
	if s.cancel != nil {
		s.cancel()
	}
	s.listen.Wait()
	s.restarts.Wait() // of one that was killed at the very last moment
}

// write stores a file for a child.
func (s *stage) write(name, text string) (string, error) {
	path := filepath.Join(s.dir, name)
	return path, os.WriteFile(path, []byte(text), 0o600)
}
