package controller

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/policy"
	"github.com/mapwarden/mapwarden/internal/warden"
)

// logRecord writes a record as one line: a constant message, facts as attributes.
func logRecord(log *slog.Logger, r warden.Record) {
	attrs := make([]any, 0, 24)
	add := func(k string, v any, is bool) {
		if is {
			attrs = append(attrs, k, v)
		}
	}
	add("service", r.Service.String(), r.Service.ID != "")
	add("instance", r.Instance, r.Instance != "")
	add("addr", r.Addr, r.Addr != "")
	add("reason", string(r.Reason), r.Reason != policy.NoReason)
	add("lever", r.Lever.String(), r.Lever != lever.None)
	add("cause", r.Cause.String(), r.Cause != health.NoCause)
	add("fails", fmt.Sprintf("%d/%d", r.Fails, r.Fall), r.Fall > 0)
	add("passing", fmt.Sprintf("%d/%d", r.Passing, r.Ever), r.Kind == warden.DecisionRecord)
	add("out", fmt.Sprintf("%d/%d", r.Out, r.N), r.Kind == warden.DecisionRecord)
	add("detail", r.Detail, r.Detail != "")
	level := slog.LevelInfo
	if r.Kind == warden.DecisionRecord && !r.Admitted {
		level = slog.LevelWarn
	}
	log.Log(context.Background(), level, Message(r), attrs...)
}

// Message is the constant part of what a record says: one of a few, whatever
// the fleet.
func Message(r warden.Record) string {
	switch r.Kind {
	case warden.DecisionRecord:
		verb := map[bool]string{true: "", false: "WITHHELD "}[r.Admitted]
		if r.Shadow && r.Admitted {
			verb = "WOULD "
		}
		return verb + verbOf(r.Action, r.Lever)
	case warden.ActuationRecord:
		verb := verbOf(r.Action, r.Lever)
		if r.Action == policy.Keep && r.Lever != lever.Drill {
			verb = "release from the journal"
		}
		if r.Admitted {
			return "done: " + verb
		}
		return "not done: " + verb
	case warden.TransitionRecord:
		return "now " + r.To.String()
	case warden.CommandRecord:
		return "command"
	case warden.EvidenceRecord:
		return "owner says " + r.Evidence.String()
	}
	return "notice"
}

func verbOf(a policy.Action, l lever.Kind) string {
	quarantine := l == lever.Quarantine
	switch {
	case a == policy.Remove && quarantine:
		return "quarantine"
	case a == policy.Remove:
		return "set UNHEALTHY"
	case a == policy.HoldOut:
		return "hold out until its first pass"
	case a == policy.Bring && quarantine:
		return "restore"
	case a == policy.Bring:
		return "set HEALTHY"
	case a == policy.Cancel:
		return "cancel"
	case l == lever.Drill:
		return "drill"
	}
	return "keep"
}
