// Package fleetsim runs whole days of a fleet in milliseconds: one seed gives
// one agenda of events, which drives the real mind (package warden) with its
// jobs against simulated processes, disks, clocks, workloads, network paths,
// clients and a registry with the physics of Cloud Map.
//
// Everything runs in one goroutine on simulated time, and every random choice
// comes from the seed: the same story with the same seed gives the same trace,
// to the byte. After every step a judge checks what must never happen, from
// what was physically done and seen, without asking the code under test.
//
// The package opens no socket and no file and reads no clock. It does not
// judge targets or decide anything about them: packages health, policy, lever
// and warden do, and they are the ones under test. The shells and edges around
// the mind (controller, probe, cloudmap, store) are imitated, not run.
package fleetsim
