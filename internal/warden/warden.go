// Package warden is the mind: Handle takes what has happened and returns what
// is to be done. It owns all state of judgement: targets, their health,
// standings, jobs, the journal's open entries as last stored.
//
// It is a deterministic machine: no goroutine, channel, lock, context, clock,
// randomness or input and output, and no walk over a map. The same events at
// the same instants give the same effects, in production and in the simulator.
// It does not probe, does not write and does not listen; the shell around it
// (package controller) does, and returns what came of it as events.
package warden
