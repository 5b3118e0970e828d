package config

import (
	"errors"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/policy"
	"github.com/mapwarden/mapwarden/internal/quorum"
)

// With -update the tests write the texts that they otherwise expect. Read the
// difference before it is committed.
var update = flag.Bool("update", false, "write what is expected")

// want is how a bad file says what must be said of it.
const want = "#! "

// TestEveryMistake holds the exact text for each mistake: testdata/bad/*.yaml
// end with it.
func TestEveryMistake(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, path := range files {
		name := filepath.Base(path)
		t.Run(strings.TrimSuffix(name, ".yaml"), func(t *testing.T) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			source, expected := split(string(data))
			f, err := Parse(name, []byte(source), Flags{})
			var mistakes Mistakes
			if !errors.As(err, &mistakes) {
				t.Fatalf("error = %v, want Mistakes", err)
			}
			if diff := cmp.Diff(File{}, f, byValue...); diff != "" {
				t.Errorf("a bad file gave settings (-want +got):\n%s", diff)
			}
			if *update {
				expected = err.Error()
				text := source + want + strings.ReplaceAll(expected, "\n", "\n"+want) + "\n"
				if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(strings.Split(expected, "\n"), strings.Split(err.Error(), "\n")); diff != "" {
				t.Errorf("mistakes (-want +got):\n%s", diff)
			}
		})
	}
}

// split cuts the expectation off a bad file.
func split(data string) (source, expected string) {
	source, _, _ = strings.Cut(data, want)
	return source, strings.TrimSuffix(strings.ReplaceAll(strings.TrimPrefix(data[len(source):], want), "\n"+want, "\n"), "\n")
}

// byValue compares what cmp does not by itself.
var byValue = []cmp.Option{cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })}

func parse(t *testing.T, text string) File {
	t.Helper()
	f, err := Parse("test.yaml", []byte(text), Flags{})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestEmptyFileIsAllDefaults(t *testing.T) {
	for _, text := range []string{"", "\n", "# nothing\n", "---\n", "{}\n", "mode: observe\n", "defaults:\nservices:\nregistry: {aws: {}}\n", "\ufeff{}"} {
		f := parse(t, text)
		f.Path = ""
		if diff := cmp.Diff(base(AWS), f, byValue...); diff != "" {
			t.Errorf("%q differs from the defaults (-want +got):\n%s", text, diff)
		}
	}
}

func TestNoFile(t *testing.T) {
	f, err := Load("", Flags{Registry: "embedded"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(base(Embedded), f, byValue...); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDefaultsFollowTheRegistry(t *testing.T) {
	strict := parse(t, "").Defaults.Policy
	for _, text := range []string{"registry: {embedded: {}}", "registry: {embedded: }", "registry: {url: http://127.0.0.1:9751}"} {
		loose := parse(t, text).Defaults.Policy
		if loose.WarmUp != time.Minute || loose.Prove != 0 || loose.RestoreUnproven != 0 || loose.Evidence != policy.EvidenceProbe {
			t.Errorf("%s: %+v", text, loose)
		}
	}
	if strict.WarmUp != 5*time.Minute || strict.Prove != 10*time.Minute || strict.RestoreUnproven != 10*time.Minute || strict.Evidence != policy.EvidenceOwner {
		t.Errorf("on AWS: %+v", strict)
	}
	f := parse(t, "registry: {url: 'http://127.0.0.1:9751'}\ndefaults: {safety: {prove: 1h, warmup: 7m}, quarantine: {evidence: owner, restore_unproven: 30m}}")
	if p := f.Defaults.Policy; p.Prove != time.Hour || p.WarmUp != 7*time.Minute || p.Evidence != policy.EvidenceOwner || p.RestoreUnproven != 30*time.Minute {
		t.Errorf("the file does not win: %+v", p)
	}
}

func TestWholeFile(t *testing.T) {
	f, err := Load("testdata/good/whole.yaml", Flags{})
	if err != nil {
		t.Fatal(err)
	}
	c := f.Warden()
	if f.Mode != policy.ModeEnforce || f.Account != "012345678901" {
		t.Errorf("mode %s, account %q", f.Mode, f.Account)
	}
	wantRegistry := Registry{Kind: URL, URL: "http://127.0.0.1:9751", Region: "eu-west-1", Poll: 2 * time.Second, AccessKeyFile: "./registry.key"}
	if diff := cmp.Diff(wantRegistry, f.Registry); diff != "" {
		t.Errorf("registry (-want +got):\n%s", diff)
	}
	wantTargets := Targets{
		Allow: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8"), netip.MustParsePrefix("127.0.0.1/32")},
		Deny:  []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16")},
	}
	if diff := cmp.Diff(wantTargets, f.Targets, byValue...); diff != "" {
		t.Errorf("targets (-want +got):\n%s", diff)
	}
	if c.Vantage != (quorum.Vantage{Checker: "local", Zone: "eu-west-1a"}) || c.Quorum != (quorum.Rule{Kind: quorum.Share, Count: 1, Percent: 18}) || !f.Durable {
		t.Errorf("vantage %+v, quorum %+v, durable %v", c.Vantage, c.Quorum, f.Durable)
	}
	if c.Pace.CustomDelay != 3*time.Second || c.Pace.Margin != 500*time.Millisecond || c.Pace.Poll != 50*time.Millisecond || c.Pace.Settle != 30*time.Second {
		t.Errorf("pace %+v", c.Pace)
	}
	if c.Poll != 2*time.Second || c.Fleet.StaleAfter != 6*time.Second || c.Fleet.Abstain != 10*time.Second ||
		c.Fleet.RemovalsGlobal != (policy.Fraction{Percent: 2.5, Per: 30 * time.Second, Least: 2}) {
		t.Errorf("poll %s, fleet %+v", c.Poll, c.Fleet)
	}
	wantProbe := health.Probe{
		Protocol: health.HTTPS, Port: 8443, Method: "HEAD", Path: "/healthz?deep=1", Host: "payments.internal",
		Headers:  []health.Header{{Name: "X-Check", Value: "mapwarden"}, {Name: "Authorization", Value: "Bearer x"}},
		Status:   []health.StatusRange{{From: 200, To: 200}, {From: 204, To: 204}, {From: 300, To: 310}},
		Contains: "ok", ServerName: "payments.example", Verify: true,
	}
	if diff := cmp.Diff(wantProbe, c.Default.Check.Probe); diff != "" {
		t.Errorf("probe (-want +got):\n%s", diff)
	}
	p := c.Default.Policy
	if p.MaxOut != 10 || p.MaxOutHard != 33.3 || p.FailOpen != 60 || p.Removals != (policy.Rate{N: 2, Per: time.Minute}) ||
		p.Restores != (policy.Rate{N: 5, Per: time.Second}) || p.Admission != policy.Trust || !p.GoneLast || p.Hold != 45*time.Second {
		t.Errorf("policy %+v", p)
	}
	if diff := cmp.Diff(health.Return{Passes: 5, Over: 20 * time.Second, Backoff: []time.Duration{time.Minute, time.Hour}}, c.Default.Check.Return); diff != "" {
		t.Errorf("return (-want +got):\n%s", diff)
	}
	if p.ReturnPasses != 5 || p.ReturnOver != 20*time.Second || len(p.ReturnBackoff) != 2 {
		t.Errorf("policy does not know the return: %+v", p)
	}
}

// A rule has what it leaves out from defaults, wherever in the file those stand.
func TestRulesInheritFromDefaults(t *testing.T) {
	f := parse(t, `
registry: {embedded: {}}
services:
  - match: prod/payments
    mode: enforce
    check: {tcp: {}, fall: 7}
    safety: {max_out: 10%}
  - match: prod/*
    check: {http: {path: /ready}}
defaults:
  check: {http: {path: /healthz, host: h}, port: 8080, interval: 9s, return: {passes: 4}}
  safety: {removals: 3/1m}
`)
	rules := f.Warden().Services
	if len(rules) != 2 {
		t.Fatalf("%d rules", len(rules))
	}
	first, second := rules[0].Config, rules[1].Config
	if diff := cmp.Diff(health.Probe{Protocol: health.TCP, Port: 8080}, first.Check.Probe); diff != "" {
		t.Errorf("a rule that names a protocol keeps of the inherited probe only the port (-want +got):\n%s", diff)
	}
	if first.Check.Fall != 7 || first.Check.Interval != 9*time.Second || first.Policy.MaxOut != 10 || first.Policy.ReturnPasses != 4 ||
		first.Policy.Removals.N != 3 || first.Policy.Mode != policy.ModeEnforce {
		t.Errorf("first rule: %+v", first)
	}
	if second.Check.Probe.Path != "/ready" || second.Check.Probe.Host != "" || second.Check.Fall != 4 || second.Policy.MaxOut != 20 || second.Policy.Mode != policy.ModeObserve {
		t.Errorf("a rule inherits from another rule: %+v", second)
	}
	if f.Defaults.Check.Probe.Path != "/healthz" || f.Defaults.Check.Fall != 4 {
		t.Errorf("a rule changed the defaults: %+v", f.Defaults.Check)
	}
}

func TestUnsetTimesGiveWayToAShorterInterval(t *testing.T) {
	f := parse(t, "defaults: {check: {interval: 1s}}\nservices: [{match: a/b, check: {interval: 10s}}, {match: a/c, check: {interval: 500ms}}]")
	for _, tt := range []struct {
		name string
		got  health.Check
		want time.Duration
	}{{"defaults", f.Defaults.Check, time.Second}, {"longer", f.Services[0].Config.Check, 2 * time.Second}, {"shorter", f.Services[1].Config.Check, 500 * time.Millisecond}} {
		if tt.got.Timeout != tt.want || tt.got.Confirm != tt.want {
			t.Errorf("%s: timeout %s, confirm %s, want %s", tt.name, tt.got.Timeout, tt.got.Confirm, tt.want)
		}
	}
}

func TestAliases(t *testing.T) {
	f := parse(t, `
defaults: {check: &web {http: {path: /healthz}}}
services:
  - {match: a/b, check: *web, mode: &m off}
  - {match: a/c, mode: *m, safety: {max_out: &share 30%, max_out_hard: *share}}
`)
	if f.Services[0].Config.Check.Probe.Path != "/healthz" || f.Services[1].Config.Policy.Mode != policy.ModeOff || f.Services[1].Config.Policy.MaxOutHard != 30 {
		t.Errorf("%+v", f.Services)
	}
}

func TestFlags(t *testing.T) {
	const enforcing = "mode: enforce\nregistry: {embedded: {}}\nservices: [{match: a/b, mode: enforce}, {match: a/c, mode: off}]"
	modes := func(f File) [4]policy.Mode {
		return [4]policy.Mode{f.Mode, f.Defaults.Policy.Mode, f.Services[0].Config.Policy.Mode, f.Services[1].Config.Policy.Mode}
	}
	for _, tt := range []struct {
		name, text string
		flags      Flags
		modes      [4]policy.Mode
		wrong      string
	}{
		{name: "no flags", text: enforcing, modes: [4]policy.Mode{policy.ModeEnforce, policy.ModeEnforce, policy.ModeEnforce, policy.ModeOff}},
		{name: "observe", text: enforcing, flags: Flags{Mode: "observe"}, modes: [4]policy.Mode{0, 0, 0, policy.ModeOff}},
		{name: "off", text: enforcing, flags: Flags{Mode: "off"}, modes: [4]policy.Mode{policy.ModeOff, policy.ModeOff, policy.ModeOff, policy.ModeOff}},
		{name: "enforcing on AWS by flag", text: enforcing, flags: Flags{Registry: "aws"},
			wrong: "f.yaml:1:7: mode: enforce is refused with registry aws: it needs evidence from the owners of instances and a claim on each namespace, which are not in this release; write observe\n" +
				"f.yaml:3:31: services[0].mode: enforce is refused with registry aws: it needs evidence from the owners of instances and a claim on each namespace, which are not in this release; write observe"},
		{name: "observing what enforces elsewhere", text: enforcing, flags: Flags{Registry: "aws", Mode: "observe"}, modes: [4]policy.Mode{0, 0, 0, policy.ModeOff}},
		{name: "raised", text: "mode: off", flags: Flags{Mode: "observe"},
			wrong: "--mode: observe goes further than mode: off of the file; a flag can only lower the mode; change the file"},
		{name: "enforce", text: enforcing, flags: Flags{Mode: "enforce"}, wrong: "--mode: enforce cannot be switched on by a flag; set mode: enforce in the file"},
		{name: "no mode", text: enforcing, flags: Flags{Mode: "on"}, wrong: `--mode: "on" is not one of off, observe; choose one`},
		{name: "AWS by URL", text: "mode: enforce", flags: Flags{Registry: "https://servicediscovery.eu-west-1.amazonaws.com"},
			wrong: `--registry: "https://servicediscovery.eu-west-1.amazo…" is AWS, where other rules hold than for a registry by URL; give aws`},
		{name: "no registry", text: "", flags: Flags{Registry: "azure"},
			wrong: `--registry: "azure" is not a URL of a registry; write it as in http://127.0.0.1:9751, aws or embedded`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, err := Parse("f.yaml", []byte(tt.text), tt.flags)
			if tt.wrong != "" {
				if err == nil || err.Error() != tt.wrong {
					t.Errorf("error = %v\nwant    %s", err, tt.wrong)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := modes(f); got != tt.modes {
				t.Errorf("modes = %v, want %v", got, tt.modes)
			}
		})
	}
}

// A URL of AWS would have the looser defaults of other registries, and enforce.
func TestAWSIsNoURL(t *testing.T) {
	for host, aws := range map[string]bool{
		"servicediscovery.eu-west-1.amazonaws.com":                     true,
		"SERVICEDISCOVERY.eu-west-1.AMAZONAWS.com.":                    true,
		"data-servicediscovery-fips.us-east-1.amazonaws.com":           true,
		"servicediscovery.cn-north-1.amazonaws.com.cn":                 true,
		"servicediscovery.eusc-de-east-1.amazonaws.eu":                 true,
		"servicediscovery.eu-west-1.api.aws":                           true,
		"vpce-0a1b.servicediscovery.eu-west-1.vpce.amazonaws.com:8443": true,
		"registry.internal":                                            false,
		"127.0.0.1:9751":                                               false,
		"amazonaws.com.example":                                        false,
		"notamazonaws.com":                                             false,
	} {
		_, err := Parse("f.yaml", []byte("mode: enforce\nregistry: {url: 'https://"+host+"'}"), Flags{})
		if refused := err != nil && strings.Contains(err.Error(), "f.yaml:2:17: registry.url: ") && strings.Contains(err.Error(), " is AWS, "); refused != aws || !aws && err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
}

func TestRegistryFlagWins(t *testing.T) {
	const text = "registry: {url: 'http://127.0.0.1:1', poll: 15s}"
	for flag, want := range map[string]Registry{
		"":                   {Kind: URL, URL: "http://127.0.0.1:1", Poll: 15 * time.Second},
		"http://127.0.0.1:2": {Kind: URL, URL: "http://127.0.0.1:2", Poll: 15 * time.Second},
		"aws":                {Kind: AWS, Poll: 15 * time.Second},
		"embedded":           {Kind: Embedded, Poll: 15 * time.Second},
	} {
		f, err := Parse("f.yaml", []byte(text), Flags{Registry: flag})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, f.Registry); diff != "" {
			t.Errorf("--registry %q (-want +got):\n%s", flag, diff)
		}
		if (f.Defaults.Policy.Prove > 0) != (want.Kind == AWS) {
			t.Errorf("--registry %q: prove %s", flag, f.Defaults.Policy.Prove)
		}
	}
}

func TestLoweringLeavesTheOriginalAlone(t *testing.T) {
	f := parse(t, "registry: {embedded: {}}\nmode: enforce\nservices: [{match: a/b}]")
	f.Lowered(policy.ModeOff)
	if f.Mode != policy.ModeEnforce || f.Services[0].Config.Policy.Mode != policy.ModeEnforce {
		t.Errorf("mode %s, rule %s", f.Mode, f.Services[0].Config.Policy.Mode)
	}
}

func TestUnreadable(t *testing.T) {
	dir := t.TempDir()
	big := filepath.Join(dir, "big.yaml")
	if err := os.WriteFile(big, []byte(strings.Repeat("#", maxSize+1)), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{
		filepath.Join(dir, "none.yaml"): "read the config: open ",
		dir:                             "read the config: read ",
		big:                             "the file has more than 262144 bytes",
	} {
		if _, err := Load(path, Flags{}); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("Load(%s) = %v, want %q", path, err, text)
		}
	}
}

func TestProfiles(t *testing.T) {
	dev := Dev()
	if dev.Mode != policy.ModeEnforce || dev.Defaults.Policy.Mode != policy.ModeEnforce || dev.Defaults.Policy.Evidence != policy.EvidenceProbe ||
		dev.Registry.Poll != 2*time.Second || dev.Fleet.StaleAfter != 6*time.Second || dev.Defaults.Policy.Prove != 0 {
		t.Errorf("dev = %+v", dev)
	}
}

// One vantage on AWS is stricter; a value in the file wins.
func TestSolo(t *testing.T) {
	for text, want := range map[string]struct {
		fall int
		soft policy.Rate
	}{
		"registry: {aws: {region: eu-west-1}}":                           {8, policy.Rate{N: 1, Per: 5 * time.Minute}},
		"registry: {embedded: {}}":                                       {4, policy.Rate{}},
		"registry: {aws: {}}\ndefaults: {check: {tcp: {}, fall: 5}}":     {5, policy.Rate{N: 1, Per: 5 * time.Minute}},
		"registry: {aws: {}}\ndefaults: {safety: {removals_soft: none}}": {8, policy.Rate{}},
		"registry: {aws: {}}\ndefaults: {safety: {removals_soft: 2/1m}}": {8, policy.Rate{N: 2, Per: time.Minute}},
	} {
		f, err := Parse("", []byte(text), Flags{})
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := f.Defaults; got.Check.Fall != want.fall || got.Policy.RemovalsSoft != want.soft {
			t.Errorf("%s: fall %d, soft %+v", text, got.Check.Fall, got.Policy.RemovalsSoft)
		}
	}
}

// A setting that somebody adds to the core has a default here, too.
func TestNoSettingIsForgotten(t *testing.T) {
	zero := map[string][]string{
		"aws":      {"Mode", "Admission", "Evidence", "GoneLast", "Startup"},
		"embedded": {"Mode", "Startup", "Admission", "GoneLast", "Prove", "RemovalsSoft", "RestoreUnproven"},
	}
	for _, kind := range []RegistryKind{AWS, Embedded} {
		f := base(kind)
		f.Defaults.Check.Probe.Port = 1 // the zero Probe is the default one
		for _, settings := range []any{f.Fleet, f.Defaults.Policy, f.Defaults.Check, f.Defaults.Check.Return, f.Pace} {
			v := reflect.ValueOf(settings)
			for i := range v.NumField() {
				if name := v.Type().Field(i).Name; v.Field(i).IsZero() && !slices.Contains(zero[kind.String()], name) {
					t.Errorf("registry %s: %s.%s has no default", kind, v.Type(), name)
				}
			}
		}
	}
}
