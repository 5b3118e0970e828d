// Package config reads mapwarden.yaml and turns it into the settings of the
// parts that it configures.
//
// Every mistake of a file is found in one go, each with its line, its column
// and how to mend it; a file with a mistake gives no settings at all. What a
// file leaves out has a default, so that an empty file works. Each key stands
// once in the table of keys.go, with its type, default and meaning: the reader,
// the reference page and the schema for editors are made from it.
//
// The package does not watch the file, does not read the environment and does
// not know listen addresses or credentials: those are flags, and the AWS SDK's
// own business.
package config

import (
	"bytes"
	"fmt"
	"io"
	"net/netip"
	"os"
	"time"

	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/policy"
	"github.com/mapwarden/mapwarden/internal/quorum"
	"github.com/mapwarden/mapwarden/internal/warden"
)

// RegistryKind is where the registry is. The zero value has the strictest
// defaults.
type RegistryKind uint8

const (
	// AWS is Cloud Map itself, also behind AWS_ENDPOINT_URL.
	AWS RegistryKind = iota
	// Embedded is a registry inside this process.
	Embedded
	// URL is a registry that speaks Cloud Map's API elsewhere.
	URL
)

func (k RegistryKind) String() string {
	switch k {
	case Embedded:
		return "embedded"
	case URL:
		return "url"
	}
	return "aws"
}

// Registry says where the registry is and how often it is listed.
type Registry struct {
	Kind   RegistryKind
	Region string        // "" is the SDK's own choice on AWS, us-east-1 elsewhere
	Data   string        // Embedded: its directory; "" is below --data
	URL    string        // URL: http or https
	Poll   time.Duration // 30s

	AccessKeyFile string // URL: the file with the key to sign with; "" signs with one that nobody knows
}

// Targets says which addresses may be probed, beside those that never are.
type Targets struct {
	Allow []netip.Prefix // empty: all that is not refused anyway
	Deny  []netip.Prefix
}

// File is a whole configuration: what a file says, with a default for all that
// it does not.
type File struct {
	Path     string // as given; "" is no file
	Mode     policy.Mode
	Account  string // 12 digits, or ""
	Registry Registry
	Scope    warden.Scope
	Targets  Targets
	Defaults warden.ServiceConfig
	Services []warden.ServiceRule // each complete: what it leaves out it has from Defaults
	Fleet    policy.FleetConfig
	Zone     string // of this vantage; "" where unknown
	Quorum   quorum.Rule
	Durable  bool // the operator's word that the store's directory outlives the task
	Pace     lever.Pace
}

// Flags are what the command line says about things that the file says too.
type Flags struct {
	Registry string // "aws", "embedded" or a URL; "" is what the file says
	Mode     string // "off" or "observe", which may only lower the file's; "" is what the file says
}

// What bounds the work that a file can make, so that a wrong file is refused at
// once: it is read anew on each reload.
const (
	maxSize   = 256 << 10 // bytes
	maxParts  = 30_000    // lines, keys and list entries, before it is parsed
	maxRules  = 1000      // under services
	maxVisits = 50_000    // nodes, with those that aliases repeat
)

//go:generate go test . -run IsCurrent -update

// Load reads the file at path; an empty path stands for an empty file. The
// error is Mistakes where the file was read and is not good.
func Load(path string, flags Flags) (File, error) {
	if path == "" {
		return Parse("", nil, flags)
	}
	f, err := os.Open(path)
	if err != nil {
		return File{}, fmt.Errorf("read the config: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return File{}, fmt.Errorf("read the config: %w", err)
	}
	return Parse(path, data, flags)
}

// Parse is Load for bytes that are at hand. The name stands in errors.
func Parse(name string, data []byte, flags Flags) (File, error) {
	r := newReader(name)
	root := r.document(bytes.TrimPrefix(data, []byte("\ufeff")))
	f := base(r.registryKind(root, flags))
	f.Path = name
	r.mapping("", r.table, &draft{file: &f, service: &f.Defaults}, root)
	r.finish(&f, flags)
	if err := r.err(); err != nil {
		return File{}, err
	}
	return f, nil
}

// Warden is the configuration of the mind.
func (f File) Warden() warden.Config {
	return warden.Config{
		Default:  f.Defaults,
		Services: f.Services,
		Scope:    f.Scope,
		Fleet:    f.Fleet,
		Vantage:  quorum.Vantage{Checker: "local", Zone: f.Zone},
		Quorum:   f.Quorum,
		Pace:     f.Pace,
		Poll:     f.Registry.Poll,
	}
}

// Lowered is f with every mode that goes further than limit set to limit.
func (f File) Lowered(limit policy.Mode) File {
	f.Mode = lower(f.Mode, limit)
	f.Defaults.Policy.Mode = lower(f.Defaults.Policy.Mode, limit)
	rules := make([]warden.ServiceRule, len(f.Services))
	for i, rule := range f.Services {
		rule.Config.Policy.Mode = lower(rule.Config.Policy.Mode, limit)
		rules[i] = rule
	}
	f.Services = rules
	return f
}

func lower(m, limit policy.Mode) policy.Mode {
	if reach(m) > reach(limit) {
		return limit
	}
	return m
}

// reach orders the modes by how far they may go.
func reach(m policy.Mode) int {
	switch m {
	case policy.ModeEnforce:
		return 2
	case policy.ModeObserve:
		return 1
	}
	return 0
}
