package warden

import (
	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/quorum"
)

// TargetVote is one vantage's word on one target. One without Status, Last and
// Cause takes back what was said before.
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

// VotesAsked says that another vantage lacks some of our votes: all of them are
// cast anew.
type VotesAsked struct{}

// Cast gives this vantage's votes to the others: those that changed, or all.
// The shell numbers each Cast with the next Seq and sends it to every other
// vantage; the first of a process is a Full one. A lost one is noticed by its
// gap. Where nothing was cast for a second, the shell sends a message without
// votes under the next Seq, with the latest Abstains: silence of three
// intervals is the loss of a vantage. With one vantage nothing is cast.
type Cast struct {
	Abstains bool
	Full     bool
	Votes    []TargetVote
}

// AskVotes asks another vantage for all of its votes, because some were missed:
// its shell gives its mind a VotesAsked. It is repeated while they do not come.
type AskVotes struct{ Of quorum.Vantage }

func (Voted) event()      {}
func (VotesAsked) event() {}
func (Cast) effect()      {}
func (AskVotes) effect()  {}
