package config

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/policy"
	"github.com/mapwarden/mapwarden/internal/quorum"
)

// key is one key of the file: a value, or a mapping of keys.
type key struct {
	name      string
	doc       string // one or two sentences
	def       string // the default as it would be written; "" is none
	elsewhere string // the default where the registry is not AWS, if another
	value     value

	keys  []key
	oneOf []string // those of keys that exclude each other
	rules bool     // a list of such mappings: services
	enter func(*draft)
	leave func(r *reader, path string, d *draft) // after keys

	fleet bool   // not in a rule: it is for all services together
	later string // not in this release; what to do instead
}

// table is all that a file may say.
func table() []key {
	return []key{
		{name: "mode", def: "observe", value: mode(),
			doc: "How far mapwarden may go. `off` does not even probe; `observe` probes, judges and records what it would do; `enforce` acts. With `registry.aws` this release refuses `enforce`."},
		{name: "account", value: text("AWS account id, 12 digits", func(d *draft) *string { return &d.file.Account }, checkAccount),
			doc: "The account that the registry must be in. Records of other accounts are counted and never written."},
		{name: "registry", keys: registryKeys(), oneOf: []string{"aws", "embedded", "url"},
			doc: "Where the registry is. Without it, or with `aws`, it is AWS Cloud Map. `--registry` overrides it."},
		{name: "scope", keys: scopeKeys(),
			doc: "Which services are looked at. In patterns `*` stands for any run of characters, a pattern that begins with `!` takes away, and the last one that matches decides."},
		{name: "targets", keys: targetKeys(),
			doc: "Which addresses may be probed. Link-local, loopback and multicast addresses are refused unless an `allow` entry lies inside such a range; metadata services are never probed."},
		{name: "vantage", keys: vantageKeys(),
			doc: "Who looks, and from where."},
		{name: "store", keys: storeKeys(),
			doc: "Where the journal, the history and what was learnt are kept."},
		{name: "pace", keys: paceKeys(),
			doc: "How fast the registry is. The defaults are those of AWS; a registry that was started with shorter delays needs them here too."},
		{name: "defaults", keys: serviceKeys(),
			doc: "The settings of all services."},
		{name: "services", rules: true,
			doc: "Rules for some services. A rule has what it leaves out from `defaults`; of several rules that match a service the last one counts, alone.",
			keys: append([]key{
				{name: "match", value: text("pattern of NAMESPACE/SERVICE", matchOf, checkMatch),
					doc: "The services that the rule is for: `*` stands for any run of characters. Each rule needs it."},
				{name: "mode", value: mode(),
					doc: "The mode of these services, lower or higher than that of the file."},
			}, serviceKeys()...)},
	}
}

func mode() value {
	at := func(d *draft) *policy.Mode {
		if d.rule != nil {
			return &d.rule.Config.Policy.Mode
		}
		return &d.file.Mode
	}
	return choice(at, []string{"off", "observe", "enforce"}, policy.ModeOff, policy.ModeObserve, policy.ModeEnforce)
}

func registryKeys() []key {
	region := text("AWS region", func(d *draft) *string { return &d.file.Registry.Region }, checkRegion)
	return []key{
		{name: "aws", doc: "AWS Cloud Map. AWS_ENDPOINT_URL and AWS_ENDPOINT_URL_SERVICEDISCOVERY are honoured.", keys: []key{
			{name: "region", value: region, doc: "The region; left out, the AWS SDK finds it as usual (AWS_REGION, profile)."},
		}},
		{name: "embedded", doc: "A registry inside this process, reached over loopback.", keys: []key{
			{name: "data", value: text("directory", func(d *draft) *string { return &d.file.Registry.Data }, checkDirectory),
				doc: "Where it keeps its data; left out, below `--data`."},
		}},
		{name: "url", value: text("URL, http or https", func(d *draft) *string { return &d.file.Registry.URL }, checkURL),
			doc: "A registry that speaks the API of Cloud Map, such as `mapwarden registry`."},
		{name: "region", value: region, doc: "With `url`: the region to sign requests for; left out, us-east-1."},
		{name: "access_key_file", value: text("path of a file", func(d *draft) *string { return &d.file.Registry.AccessKeyFile }, checkFile),
			doc: "With `url`: a file with the key to sign requests with, two lines as `mapwarden registry keys add` prints them. Its owner alone may read it. It is read at the start."},
		{name: "poll", def: "30s", value: duration(100*time.Millisecond, time.Minute, func(d *draft) *time.Duration { return &d.file.Registry.Poll }),
			doc: "How often the registry is listed; on AWS at least 10s. A listing older than three times this withholds removals."},
	}
}

func scopeKeys() []key {
	return []key{
		{name: "namespaces", def: `["*"]`, value: texts("list of patterns", func(d *draft) *[]string { return &d.file.Scope.Namespaces }, checkPattern),
			doc: "Names of namespaces."},
		{name: "services", def: `["*"]`, value: texts("list of patterns", func(d *draft) *[]string { return &d.file.Scope.Services }, checkPattern),
			doc: "Names of services, without their namespace."},
	}
}

func targetKeys() []key {
	allow := prefixes(func(d *draft) *[]netip.Prefix { return &d.file.Targets.Allow })
	read := allow.read
	allow.read = func(r *reader, d *draft, path string, n *yaml.Node) *fault {
		if n.Kind == yaml.SequenceNode && len(n.Content) == 0 {
			return faultf("leave the key out to allow everything that is not refused anyway", "an empty list would allow nothing")
		}
		return read(r, d, path, n)
	}
	return []key{
		{name: "allow", value: allow, doc: "If given, only these addresses are probed. Left out: all that are not refused anyway."},
		{name: "deny", def: "[]", value: prefixes(func(d *draft) *[]netip.Prefix { return &d.file.Targets.Deny }), doc: "These addresses are not probed, whatever `allow` says."},
	}
}

func vantageKeys() []key {
	return []key{
		{name: "count", def: "1", value: vantageCount(), doc: "How many mapwardens look at the same services. This release has one, whose defaults on AWS are therefore stricter: `check.fall`, `safety.removals_soft`."},
		{name: "zone", value: text("availability zone", func(d *draft) *string { return &d.file.Zone }, checkZone),
			doc: "The availability zone that this one looks from, as in `eu-west-1a`."},
		{name: "quorum", def: "majority", value: quorumRule(),
			doc: "How many must agree that a target is unhealthy: `majority`, a number, or a percentage in the manner of Route 53 (`18%`: healthy while more than that share says so)."},
	}
}

func storeKeys() []key {
	return []key{
		{name: "file", doc: "A file below `--data`, for one replica.", keys: []key{
			{name: "durable", def: "false", value: truth(func(d *draft) *bool { return &d.file.Durable }),
				doc: "Your word that `--data` outlives the container or task: a journal that goes with it cannot put anything back."},
		}},
		{name: "dynamodb", later: "use file"},
		{name: "etcd", later: "use file"},
	}
}

func paceKeys() []key {
	d := func(least, most time.Duration, at func(*draft) *time.Duration) value {
		return duration(least, most, at)
	}
	const least = 10 * time.Millisecond
	return []key{
		{name: "custom_health_delay", def: "30s", value: d(least, 10*time.Minute, func(d *draft) *time.Duration { return &d.file.Pace.CustomDelay }),
			doc: "From UpdateInstanceCustomHealthStatus to its effect. Same value as the registry's `--custom-health-delay`."},
		{name: "cancel_margin", def: "5s", value: d(least, time.Minute, func(d *draft) *time.Duration { return &d.file.Pace.Margin }),
			doc: "A pending status is cancelled this long before its effect at the latest. Left out, at most a sixth of the delay."},
		{name: "operation_poll", def: "1s", value: d(least, time.Minute, func(d *draft) *time.Duration { return &d.file.Pace.Poll }),
			doc: "Between two GetOperation calls for one operation."},
		{name: "operation_deadline", def: "2m", value: d(time.Second, time.Hour, func(d *draft) *time.Duration { return &d.file.Pace.Deadline }),
			doc: "An operation that takes longer is read back as if it had ended."},
		{name: "settle", def: "30s", value: d(least, 10*time.Minute, func(d *draft) *time.Duration { return &d.file.Pace.Settle }),
			doc: "How long a call whose answer was lost may still take effect."},
		{name: "retry", def: "1s", value: d(least, time.Minute, func(d *draft) *time.Duration { return &d.file.Pace.Retry }),
			doc: "After a call that failed; doubled each time."},
	}
}

// serviceKeys stand in defaults and in each rule.
func serviceKeys() []key {
	return []key{
		{name: "check", keys: checkKeys(), oneOf: questions,
			doc: "How and how often to probe. Without any of `http`, `https`, `tcp`, `tls`, `grpc`, `grpcs` it is a TCP connect."},
		{name: "safety", keys: safetyKeys(),
			doc: "The lines that a removal must not cross; safety.md says what each is for."},
		{name: "quarantine", keys: quarantineKeys(),
			doc: "Services without a health check in Cloud Map: a failing instance is deregistered, and registered again later, exactly as it was."},
		{name: "startup_check", value: startupCheck(),
			doc: "Asked instead of `check` until an instance passes it once, which lets it in. What to ask stands in it as in `check`, the times are those of `check`. With `none` there is no such check."},
		{name: "ecs", later: "leave it out; the status of ECS services with a custom health check is left alone"},
	}
}

func checkKeys() []key {
	check := func(at func(*health.Check) *time.Duration) func(*draft) *time.Duration {
		return func(d *draft) *time.Duration { return at(&d.service.Check) }
	}
	return append(askKeys(0), []key{
		{name: "interval", def: "5s", value: duration(100*time.Millisecond, time.Hour, check(func(c *health.Check) *time.Duration { return &c.Interval })),
			doc: "From the start of one probe to the start of the next."},
		{name: "timeout", def: "2s", value: duration(10*time.Millisecond, time.Minute, check(func(c *health.Check) *time.Duration { return &c.Timeout })),
			doc: "Of a whole probe, from connect to answer; at most the interval. Left out, not longer than the interval."},
		{name: "confirm", def: "2s", value: duration(10*time.Millisecond, time.Hour, check(func(c *health.Check) *time.Duration { return &c.Confirm })),
			doc: "The spacing of probes after a first failure, start to start, until the status is settled; at most the interval. Left out, not longer than the interval."},
		{name: "fall", def: "8", elsewhere: "4", value: whole(1, 100, func(d *draft, n int) { d.service.Check.Fall = n }),
			doc: "A target is unhealthy on its 4th failure in a row."},
		{name: "gray", doc: "A target that fails now and then, and never `fall` times in a row, is unhealthy too.", keys: []key{
			{name: "fails", def: "5", value: whole(0, health.MaxWindow, func(d *draft, n int) { d.service.Check.Gray.Fails = n }),
				doc: "So many failures …; 0 turns it off."},
			{name: "of", def: "20", value: whole(5, health.MaxWindow, func(d *draft, n int) { d.service.Check.Gray.Of = n }),
				doc: "… among so many of the newest probes. It is healthy again once all of them passed."},
			{name: "runs", def: "4", value: whole(3, health.MaxWindow, func(d *draft, n int) { d.service.Check.Gray.Runs = n }),
				doc: "The failures are in at least so many separate runs: one pause of a target is one run, however many probes fall into it."},
		}},
		{name: "slow", doc: "A target that passes, but slower than it used to, is shown as degraded. It is removed only if it is far slower than its peers, too.", keys: []key{
			{name: "factor", def: "5", value: whole(0, 100, func(d *draft, n int) { d.service.Check.Slow.Factor = n }),
				doc: "A pass is slow if it takes longer than so many times what is usual for the target …; 0 turns it off."},
			{name: "floor", def: "500ms", value: duration(time.Millisecond, time.Minute, check(func(c *health.Check) *time.Duration { return &c.Slow.Floor })),
				doc: "… and longer than this."},
		}},
		{name: "rise", def: "2", value: whole(1, 100, func(d *draft, n int) { d.service.Check.Rise = n }),
			doc: "An unhealthy target is healthy on its 2nd pass in a row; its very first pass counts at once."},
		{name: "return", doc: "How a removed instance earns its way back.", keys: []key{
			{name: "passes", def: "3", value: whole(1, 100, func(d *draft, n int) { d.service.Check.Return.Passes = n }),
				doc: "Passes in a row …"},
			{name: "over", def: "15s", value: duration(0, time.Hour, check(func(c *health.Check) *time.Duration { return &c.Return.Over })),
				doc: "… and at least this long from the first to the last of them."},
			{name: "backoff", def: "[5m, 15m, 60m]", value: durations(3, 0, 24*time.Hour, func(d *draft) *[]time.Duration { return &d.service.Check.Return.Backoff }),
				doc: "How long it stays out after its 2nd, 3rd and 4th removal in 24 hours; the last entry stands for those that are left out."},
		}},
		{name: "grace", def: "1m", value: duration(0, 10*time.Minute, check(func(c *health.Check) *time.Duration { return &c.Grace })),
			doc: "With `admission: trust`: failures this soon after an instance appeared do not count."},
	}...)
}

func httpKeys(two string) []key {
	return append([]key{
		{name: "path", def: "/", value: text("path, with its query", ofProbe(func(p *health.Probe) *string { return &p.Path }), checkPath),
			doc: "What to ask for."},
		{name: "method", def: "GET", value: choice(ofProbe(func(p *health.Probe) *string { return &p.Method }),
			[]string{"GET", "HEAD", "OPTIONS", "POST"}, "GET", "HEAD", "OPTIONS", "POST"),
			doc: "The request's method."},
		{name: "host", value: text("host name", ofProbe(func(p *health.Probe) *string { return &p.Host }), checkHost),
			doc: "The Host header; left out, the address."},
		{name: "headers", value: headers(), doc: "Further request headers."},
		{name: "expect", doc: "What passes.", keys: append([]key{
			{name: "status", def: `"200-399"`, value: statuses(), doc: "Status codes that pass."},
			{name: "contains", value: text("text", ofProbe(func(p *health.Probe) *string { return &p.Contains }), checkContains),
				doc: "Text that must be in the first 5,120 bytes of the body."},
		}, bodyKeys()...)},
	}, requestKeys(two)...)
}

func safetyKeys() []key {
	safety := func(at func(*policy.Config) *float64) func(*draft) *float64 {
		return func(d *draft) *float64 { return at(&d.service.Policy) }
	}
	return []key{
		{name: "max_out", def: "20%", value: percent(1, 100, safety(func(c *policy.Config) *float64 { return &c.MaxOut })),
			doc: "The share of a service that may be out on soft evidence (a wrong status, a timeout); at least one from three instances on."},
		{name: "max_out_hard", def: "50%", value: percent(1, 100, safety(func(c *policy.Config) *float64 { return &c.MaxOutHard })),
			doc: "The same on hard evidence (refused or reset on a path that works)."},
		{name: "fail_open", def: "50%", value: percent(10, 100, safety(func(c *policy.Config) *float64 { return &c.FailOpen })),
			doc: "While fewer than this share pass, nothing is removed: it is not the instance."},
		{name: "removals", def: "1/10s", value: rate(func(d *draft) *policy.Rate { return &d.service.Policy.Removals }),
			doc: "Removals per service."},
		{name: "removals_soft", def: "1/5m", elsewhere: "none", value: ownRate(func(d *draft) *policy.Rate { return &d.service.Policy.RemovalsSoft }),
			doc: "Of them, those on soft evidence; `none` sets no limit of its own. With one vantage on AWS nobody can contradict it."},
		{name: "removals_global", def: "1%/1m", fleet: true, value: fraction(func(d *draft) *policy.Fraction { return &d.file.Fleet.RemovalsGlobal }),
			doc: "Removals over all services, as a share of all instances; at least two in that time."},
		{name: "restores", def: "1/1s", value: rate(func(d *draft) *policy.Rate { return &d.service.Policy.Restores }),
			doc: "Returns per service when everything fails and everything is put back."},
		{name: "warmup", def: "5m", elsewhere: "1m", value: duration(time.Second, time.Hour, func(d *draft) *time.Duration { return &d.service.Policy.WarmUp }),
			doc: "No removals for so long after a start or a change of mode, check or safety."},
		{name: "prove", def: "10m", elsewhere: "0s", value: duration(0, 24*time.Hour, func(d *draft) *time.Duration { return &d.service.Policy.Prove }),
			doc: "A check must have passed nearly everywhere for so long before it may accuse."},
		{name: "admission", def: "hold", value: choice(func(d *draft) *policy.Admission { return &d.service.Policy.Admission }, []string{"hold", "trust"}, policy.Hold, policy.Trust),
			doc: "What a new instance is that has not passed yet: not capacity (`hold`), or like any other after `check.grace` (`trust`)."},
		{name: "abstain", def: "1m", fleet: true, value: duration(time.Second, time.Hour, func(d *draft) *time.Duration { return &d.file.Fleet.Abstain }),
			doc: "No removals for so long after mapwarden had reason to doubt itself."},
		{name: "gone_last", def: "false", value: truth(func(d *draft) *bool { return &d.service.Policy.GoneLast }),
			doc: "Whether the word of an owner may empty a service. It does nothing yet: this release has no word of owners."},
	}
}

func quarantineKeys() []key {
	return []key{
		{name: "hold", def: "30s", value: duration(time.Second, time.Hour, func(d *draft) *time.Duration { return &d.service.Policy.Hold }),
			doc: "From the verdict to the deregistration; one pass meanwhile cancels it."},
		{name: "evidence", def: "owner", elsewhere: "probe",
			value: choice(func(d *draft) *policy.QuarantineEvidence { return &d.service.Policy.Evidence }, []string{"owner", "probe"}, policy.EvidenceOwner, policy.EvidenceProbe),
			doc:   "Who must know the instances of a service before one may be deregistered: an owner such as ECS, or, on your word, nobody but the probes."},
		{name: "restore_unproven", def: "10m", elsewhere: "0s", value: duration(0, 30*24*time.Hour, func(d *draft) *time.Duration { return &d.service.Policy.RestoreUnproven }),
			doc: "How long passes alone may bring an instance back; later an operator must. 0s is without limit."},
		{name: "unverified", later: "leave it out"},
	}
}

func matchOf(d *draft) *string { return &d.rule.Match }

func checkMatch(s string) *fault {
	namespace, service, ok := strings.Cut(s, "/")
	if !ok || namespace == "" || service == "" {
		return faultf("write NAMESPACE/SERVICE, as in prod.internal/payments or prod*/*", "%s is not a pattern of services", quote(s))
	}
	return nil
}

func checkPattern(s string) *fault {
	if strings.TrimPrefix(s, "!") == "" {
		return faultf(`write a name, or a pattern such as "prod*" or "!legacy-*"`, "%s is not a pattern", quote(s))
	}
	return nil
}

func checkAccount(s string) *fault {
	if len(s) != 12 || strings.Trim(s, "0123456789") != "" {
		return faultf(`write its 12 digits, as in "123456789012"`, "%s is not an AWS account id", quote(s))
	}
	return nil
}

func checkRegion(s string) *fault {
	valid := len(s) <= 32 && strings.Count(s, "-") >= 2 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
	if !valid {
		return faultf("write it as in eu-west-1", "%s is not a region", quote(s))
	}
	return nil
}

func checkZone(s string) *fault {
	if s == "" || len(s) > 64 || strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c >= 0x7f }) {
		return faultf("write it as in eu-west-1a", "%s is not a zone", quote(s))
	}
	return nil
}

func checkDirectory(s string) *fault {
	if s == "" || strings.ContainsRune(s, 0) {
		return faultf("write a path, as in ./data", "%s is not a directory", quote(s))
	}
	return nil
}

func checkFile(s string) *fault {
	if s == "" || strings.ContainsRune(s, 0) {
		return faultf("write a path, as in ./registry.key", "%s is not a file", quote(s))
	}
	return nil
}

// vantageCount knows only one: replicas are not in this release.
func vantageCount() value {
	v := whole(1, 1, func(*draft, int) {})
	return scalar(v.typ, v.schema, func(_ *draft, text string) *fault {
		n, err := strconv.Atoi(text)
		switch {
		case err != nil || n < 1:
			return faultf("write 1", "%s is not a number of vantages", quote(text))
		case n > 1:
			return faultf("write 1", "this release has one vantage, not %d", n)
		}
		return nil
	})
}

func quorumRule() value {
	schema := map[string]any{"anyOf": []any{
		map[string]any{"const": "majority"}, map[string]any{"type": "integer", "minimum": 1}, pattern("^[0-9]+%$"),
	}}
	return scalar("majority | N | P%", schema, func(d *draft, text string) *fault {
		q := &d.file.Quorum
		if text == "majority" {
			*q = quorum.Rule{Kind: quorum.Majority, Count: q.Count}
			return nil
		}
		digits, share := strings.CutSuffix(text, "%")
		n, err := strconv.Atoi(digits)
		switch {
		case err != nil:
			return faultf("write majority, a number or a percentage", "%s is not a quorum", quote(text))
		case share && (n < 1 || n > 99):
			return faultf("from 1% to 99%", "%s is out of range", text)
		case share:
			*q = quorum.Rule{Kind: quorum.Share, Count: q.Count, Percent: n}
		case n < 1:
			return faultf("at least 1", "%d is out of range", n)
		default:
			*q = quorum.Rule{Kind: quorum.AtLeast, Count: q.Count, N: n}
		}
		return nil
	})
}
