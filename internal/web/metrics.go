package web

import (
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/policy"
	"github.com/mapwarden/mapwarden/internal/warden"
)

// Metrics are the counters and gauges of one process, in a registry of their
// own. No label holds an instance, an address or a service: the number of
// series does not grow with the fleet. Its methods may be called concurrently.
type Metrics struct {
	registry  *prometheus.Registry
	decisions *prometheus.CounterVec
	actions   *prometheus.CounterVec
	calls     *prometheus.CounterVec
	reloadOK  prometheus.Gauge
	reloadAt  prometheus.Gauge
}

// NewMetrics returns the metrics of what mind shows. prober may be nil.
func NewMetrics(mind Mind, prober Prober, build Build) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		decisions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mapwarden_decisions_total", Help: "Decisions, by what was asked for and the reason to act or to withhold. A withheld decision counts when its reason changes.",
		}, []string{"action", "reason"}),
		actions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mapwarden_actuations_total", Help: "Procedures that ended, by lever, what was asked for and the reason they ended with.",
		}, []string{"lever", "action", "reason"}),
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mapwarden_registry_calls_total", Help: "Calls to the registry, by operation and how they ended.",
		}, []string{"op", "fault"}),
		reloadOK: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "mapwarden_config_last_reload_successful", Help: "1 if the configuration in force is the one that was read last.",
		}),
		reloadAt: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "mapwarden_config_last_reload_success_timestamp_seconds", Help: "When the configuration in force was read, in seconds since 1970.",
		}),
	}
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "mapwarden_build_info", Help: "1, with the build in the labels.",
		ConstLabels: prometheus.Labels{"version": build.Version, "revision": build.Revision, "goversion": runtime.Version()},
	})
	info.Set(1)
	m.Reloaded(true)
	m.registry.MustRegister(m.decisions, m.actions, m.calls, m.reloadOK, m.reloadAt, info,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		&fleetCollector{mind: mind})
	if prober != nil {
		m.registry.MustRegister(&probeCollector{prober: prober})
	}
	return m
}

// Handler serves the metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{EnableOpenMetrics: true, MaxRequestsInFlight: 4, Timeout: 10 * time.Second})
}

// Observe counts a record.
func (m *Metrics) Observe(r warden.Record) {
	switch r.Kind {
	case warden.DecisionRecord:
		m.decisions.WithLabelValues(r.Action.String(), string(r.Reason)).Inc()
	case warden.ActuationRecord:
		m.actions.WithLabelValues(r.Lever.String(), r.Action.String(), string(r.Reason)).Inc()
	}
}

// ObserveCall counts a call to the registry by the AWS name of its operation.
func (m *Metrics) ObserveCall(op string, fault lever.Fault) {
	m.calls.WithLabelValues(op, fault.String()).Inc()
}

// Reloaded says whether the configuration that was read last is in force.
func (m *Metrics) Reloaded(ok bool) {
	if !ok {
		m.reloadOK.Set(0)
		return
	}
	m.reloadOK.Set(1)
	m.reloadAt.Set(float64(time.Now().Unix()))
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("mapwarden_"+name, help, labels, nil)
}

var (
	descTargets     = desc("targets", "Watched instances by their latest probe: passing, failing, indeterminate (NOT CHECKED, or not yet).", "state")
	descStandings   = desc("instances", "Instances by standing; in mode observe what it would be.", "standing")
	descServices    = desc("services", "Services by mode and lever.", "mode", "lever")
	descWithheld    = desc("withheld", "Instances whose removal is withheld now, by the reason.", "reason")
	descGates       = desc("gates", "1 for each reason that withholds removals everywhere now.", "reason")
	descPastLine    = desc("services_past_line", "Services past the fail-open line.")
	descSynced      = desc("synced", "1 once the registry was listed completely since the start.")
	descStaleness   = desc("registry_staleness_seconds", "Age of the oldest of the services' latest complete listings.")
	descAge         = desc("snapshot_age_seconds", "Age of the picture that metrics, API and page show.")
	descDoubt       = desc("self_doubt", "1 while the checker doubts itself and accuses nobody.")
	descFrozen      = desc("frozen", "1 while a freeze is in force.")
	descQuarantined = desc("quarantined", "Instances that are off the registry because of us.")
	descForeign     = desc("foreign_out", "Instances that somebody else set UNHEALTHY.")
	descFlagged     = desc("flagged", "Instances that are worth watching, by why.", "flag")
	descJobs        = desc("jobs", "Procedures under way.")
)

// fleetCollector turns the snapshot into gauges when it is asked.
type fleetCollector struct{ mind Mind }

func (c *fleetCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range [...]*prometheus.Desc{descTargets, descStandings, descServices, descWithheld, descGates, descPastLine, descSynced,
		descStaleness, descAge, descDoubt, descFrozen, descQuarantined, descForeign, descFlagged, descJobs} {
		out <- d
	}
}

func (c *fleetCollector) Collect(out chan<- prometheus.Metric) {
	s := c.mind.Snapshot()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	yes := func(b bool) float64 {
		if b {
			return 1
		}
		return 0
	}
	now := time.Now()
	age := max(now.Sub(time.Unix(0, s.Wall)), 0)
	if s.Wall == 0 {
		age = 0
	}
	gauge(descTargets, float64(s.Totals.Passing), "passing")
	gauge(descTargets, float64(s.Totals.Failing), "failing")
	gauge(descTargets, float64(s.Totals.Indeterminate), "indeterminate")
	gauge(descSynced, yes(s.Synced))
	gauge(descStaleness, (time.Duration(s.Staleness) + age).Seconds())
	gauge(descAge, age.Seconds())
	gauge(descDoubt, yes(s.Doubt != 0))
	gauge(descFrozen, yes(s.Frozen > now.UnixNano()))
	gauge(descQuarantined, float64(s.Totals.Quarantined))
	gauge(descForeign, float64(s.Totals.Foreign))
	gauge(descJobs, float64(s.Totals.Jobs))
	for _, r := range gates(s) {
		gauge(descGates, 1, string(r))
	}
	c.walk(s, gauge)
}

// walk counts over the instances of all services.
func (c *fleetCollector) walk(s *warden.Snapshot, gauge func(*prometheus.Desc, float64, ...string)) {
	type kind struct{ mode, lever string }
	standings := map[policy.Standing]int{}
	withheld := map[policy.Reason]int{}
	services := map[kind]int{}
	flagged := map[warden.Flags]int{}
	past := 0
	for _, p := range s.Services {
		services[kind{p.Mode.String(), p.Lever.String()}]++
		if p.PastLine {
			past++
		}
		for i := range p.Instances {
			standings[p.Instances[i].Standing]++
			for _, f := range warden.EveryFlag() {
				if p.Instances[i].Flags.Has(f) {
					flagged[f]++
				}
			}
			if r := withheldBy(p.Instances[i]); r != policy.NoReason {
				withheld[r]++
			}
		}
	}
	gauge(descPastLine, float64(past))
	for standing := range standingWords {
		gauge(descStandings, float64(standings[standing]), standing.String())
	}
	for _, f := range warden.EveryFlag() {
		gauge(descFlagged, float64(flagged[f]), f.Names()[0])
	}
	for r, n := range withheld {
		gauge(descWithheld, float64(n), string(r))
	}
	for k, n := range services {
		gauge(descServices, float64(n), k.mode, k.lever)
	}
}

var (
	descProbes   = desc("probes_total", "Probes by what they found.", "outcome", "cause")
	descLateness = desc("probe_lateness_seconds", "How long after they were due probes began.")
	descDropped  = desc("probes_dropped_total", "Results that nobody wanted any more, or that found no way out.")
	descWaiting  = desc("probes_waiting", "Probes that are due and have no room to run.")
	descInFlight = desc("probes_in_flight", "Probes that are running.")
)

// probeCollector asks the prober when it is asked.
type probeCollector struct{ prober Prober }

func (c *probeCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range [...]*prometheus.Desc{descProbes, descLateness, descDropped, descWaiting, descInFlight} {
		out <- d
	}
}

func (c *probeCollector) Collect(out chan<- prometheus.Metric) {
	s := c.prober.ProbeStats()
	for _, p := range s.Probes {
		out <- prometheus.MustNewConstMetric(descProbes, prometheus.CounterValue, float64(p.Count), p.Outcome, p.Cause)
	}
	buckets, total := make(map[float64]uint64, len(s.Lateness.Bounds)), uint64(0)
	for i, n := range s.Lateness.Counts {
		total += n
		if i < len(s.Lateness.Bounds) {
			buckets[s.Lateness.Bounds[i]] = total
		}
	}
	out <- prometheus.MustNewConstHistogram(descLateness, total, s.Lateness.Sum, buckets)
	out <- prometheus.MustNewConstMetric(descDropped, prometheus.CounterValue, float64(s.Dropped))
	out <- prometheus.MustNewConstMetric(descWaiting, prometheus.GaugeValue, float64(s.Waiting))
	out <- prometheus.MustNewConstMetric(descInFlight, prometheus.GaugeValue, float64(s.InFlight))
}
