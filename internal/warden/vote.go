package warden

import (
	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/quorum"
)

// TargetVote is one vantage's word on one target.
type TargetVote struct {
	Service, Instance string         // ids
	Incarnation       uint64         // Incarnation.Hash: a vote on another incarnation counts for nothing
	Status            health.Status  // after the vantage's own thresholds
	Last              health.Outcome // its latest observation …
	Cause             health.Cause   // … and why
}

// Voted brings what another vantage says. Messages of one vantage are ordered
// by Epoch (one for each life of its process) and Seq; older ones and repeats
// are dropped, and after a gap nothing of it counts until a Full one. A
// message without votes says that all earlier ones still hold.
type Voted struct {
	Vantage  quorum.Vantage
	Epoch    uint64
	Seq      uint64
	Abstains bool // it doubts itself: its accusations do not count, its passes do
	Full     bool // Votes are everything that it has to say
	Votes    []TargetVote
}

// Cast gives this vantage's votes to the others: those that changed, or all.
// The shell numbers and sends them, and repeats the latest Abstains at least
// once a second. With one vantage nothing is cast.
type Cast struct {
	Abstains bool
	Full     bool
	Votes    []TargetVote
}

func (Voted) event() {}
func (Cast) effect() {}
