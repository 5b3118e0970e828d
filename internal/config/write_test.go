package config

import (
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
)

// everything is probes that together have every field that a file can set.
var everything = []health.Probe{
	{},
	{Port: 8080, HalfOpen: true},
	{Protocol: health.HTTP},
	{Protocol: health.HTTP, Method: "POST", Path: "/x?y=1", Host: "orders.example:80", Body: "{\"a\": 1}\n",
		Headers: []health.Header{{Name: "X-One", Value: "a: b"}, {Name: "true", Value: "no"}},
		Status:  []health.StatusRange{{From: 200, To: 204}, {From: 404, To: 404}}, Contains: " # ok ", Match: `^\d+$`,
		JSON: []health.Field{{Path: "a.0", Equals: "null"}, {Path: "1", Equals: "1.0"}}, Version: health.HTTP2,
		Credential: health.Credential{Scheme: health.Basic, File: "./user"}, Redirects: 3, ProxyProtocol: 1},
	{Protocol: health.HTTPS, Version: health.HTTP2, ServerName: "a.example", Verify: true, CA: "ca.pem", ClientCert: "c", ClientKey: "k",
		WarnWithin: time.Hour, FailWithin: 36 * time.Hour, Credential: health.Credential{Scheme: health.Bearer, File: "t"}},
	{Protocol: health.HTTPS, Verify: true, WarnWithin: -1},
	{Protocol: health.Handshake, Source: netip.MustParseAddr("2001:db8::1"), ProxyProtocol: 2},
	{Protocol: health.GRPC, Service: "shop.v1.Orders", Host: "orders.example"},
	{Protocol: health.GRPCS, Port: 1, Invert: true},
	{Combine: health.Any, Of: []health.Probe{{Name: "first", Port: 1}, {Protocol: health.HTTP, Path: "/deep", Invert: true}}},
	{Combine: health.AtLeast, N: 2, Of: []health.Probe{{}, {Combine: health.All, Of: []health.Probe{{}, {}}}, {Protocol: health.GRPC}}},
}

// What is written is read back as the very same probe.
func TestWriteIsReadBack(t *testing.T) {
	for _, p := range everything {
		for _, timeout := range []time.Duration{0, time.Second, 2 * time.Second, 10 * time.Second} {
			text := Write(health.Check{Probe: p, Timeout: timeout})
			f, err := Parse("written", []byte("targets: {allow: [10.0.0.0/8]}\n"+text), Flags{})
			if err != nil {
				t.Errorf("%v\n%s", err, text)
				continue
			}
			if got := f.Defaults.Check.Probe; !got.Equal(p) {
				t.Errorf("got %+v\nwant %+v\n%s", got, p, text)
			}
			if got := f.Defaults.Check.Timeout; timeout != 0 && got != timeout {
				t.Errorf("timeout %v, want %v\n%s", got, timeout, text)
			}
		}
	}
}

// A field of a probe that no file can set, and no writer writes, is found here.
func TestEveryFieldOfAProbeCanBeWritten(t *testing.T) {
	set := map[string]bool{}
	var visit func(p health.Probe)
	visit = func(p health.Probe) {
		v := reflect.ValueOf(p)
		for i := range v.NumField() {
			if !v.Field(i).IsZero() {
				set[v.Type().Field(i).Name] = true
			}
		}
		for _, of := range p.Of {
			visit(of)
		}
	}
	for _, p := range everything {
		visit(p)
	}
	for f := range reflect.TypeFor[health.Probe]().Fields() {
		if !set[f.Name] {
			t.Errorf("no probe of this test has %s", f.Name)
		}
	}
}
