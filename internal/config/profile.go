package config

import (
	"net/netip"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/policy"
	"github.com/mapwarden/mapwarden/internal/quorum"
	"github.com/mapwarden/mapwarden/internal/warden"
)

// base is the configuration of an empty file. On AWS it is stricter: there
// the instances belong to owners who know what is gone, and the one vantage of
// this release must not act on its own opinion for long.
func base(kind RegistryKind) File {
	backoff := []time.Duration{5 * time.Minute, 15 * time.Minute, time.Hour}
	f := File{
		Registry: Registry{Kind: kind, Poll: 30 * time.Second},
		Defaults: warden.ServiceConfig{
			Check: health.Check{
				Interval: 5 * time.Second,
				Timeout:  2 * time.Second,
				Confirm:  2 * time.Second,
				Fall:     4,
				Slow:     health.Slow{Factor: 5, Floor: 500 * time.Millisecond},
				Gray:     health.Gray{Fails: 5, Of: 20, Runs: 4},
				Rise:     2,
				Return:   health.Return{Passes: 3, Over: 15 * time.Second, Backoff: backoff},
				Grace:    time.Minute,
			},
			Policy: policy.Config{
				MaxOut:          20,
				MaxOutHard:      50,
				FailOpen:        50,
				Removals:        policy.Rate{N: 1, Per: 10 * time.Second},
				Restores:        policy.Rate{N: 1, Per: time.Second},
				WarmUp:          5 * time.Minute,
				WarmUpProbes:    5,
				Prove:           10 * time.Minute,
				Hold:            30 * time.Second,
				RestoreUnproven: 10 * time.Minute,
				Yield:           30 * time.Minute,
			},
		},
		Fleet: policy.FleetConfig{
			RemovalsGlobal: policy.Fraction{Percent: 1, Per: time.Minute, Least: 2},
			StormPercent:   3,
			StormCount:     10,
			StormWindow:    10 * time.Minute,
			StormCalm:      1,
			Abstain:        time.Minute,
			ThawPercent:    95,
			ThawFor:        5 * time.Minute,
			MassTargets:    5,
			MassHosts:      3,
			MassServices:   3,
			MassPercent:    20,
			MassLeast:      20,
			MassWindow:     30 * time.Second,
			ZoneFor:        8 * time.Second,
			ZoneLeast:      3,
			ZoneBad:        80,
			ZoneFine:       20,
		},
		Quorum: quorum.Rule{Kind: quorum.Majority, Count: 1},
		Pace:   lever.Pace{}.WithDefaults(),
	}
	if kind == AWS {
		solo(&f.Defaults)
	} else {
		f.Defaults.Policy.WarmUp = time.Minute
		f.Defaults.Policy.Prove = 0
		f.Defaults.Policy.RestoreUnproven = 0
		f.Defaults.Policy.Evidence = policy.EvidenceProbe
	}
	f.settle()
	return f
}

// solo are the stricter defaults of one vantage on AWS, where nobody can
// contradict it: twice as many failures in a row, which outlasts nearly every
// pause of a target, and on soft evidence no more than one removal of a service
// in five minutes, time enough for somebody to look.
func solo(s *warden.ServiceConfig) {
	s.Check.Fall *= 2
	s.Policy.RemovalsSoft = policy.Rate{N: 1, Per: 5 * time.Minute}
}

// settle derives what follows from other settings.
func (f *File) settle() {
	f.Fleet.StaleAfter = 3 * f.Registry.Poll
	f.Defaults.Policy.Mode = f.Mode
	returnOf(&f.Defaults)
	for i := range f.Services {
		returnOf(&f.Services[i].Config)
	}
}

// returnOf tells policy what the check says about earning a return.
func returnOf(s *warden.ServiceConfig) {
	s.Policy.ReturnPasses = s.Check.Return.Passes
	s.Policy.ReturnOver = s.Check.Return.Over
	s.Policy.ReturnBackoff = s.Check.Return.Backoff
}

// Dev is the configuration of `mapwarden dev`: it enforces, on an embedded
// registry, with the default times.
func Dev() File {
	f := base(Embedded)
	f.Mode = policy.ModeEnforce
	f.Registry.Poll = 2 * time.Second
	f.Targets.Allow = []netip.Prefix{
		netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"),
	}
	f.settle()
	return f
}
