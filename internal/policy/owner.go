package policy

import (
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
)

const (
	proofFor     = 2 * time.Second  // how old an owner's word may be on which a restore rests (rule 15)
	answerWithin = 5 * time.Second  // after that, an owner that was asked is silent
	askEvery     = 30 * time.Second // how often it is asked again while a restore waits for it
	undoWithin   = time.Minute      // a word to stop so soon after a restore undoes it
)

// resurrected: we registered it again, and now its owner says that it stops.
// Whichever was first, our record must not outlive its workload (rule 15).
func resurrected(m *Member, now health.Instant) bool {
	return m.RestoredAt != 0 && now < m.RestoredAt.Add(undoWithin) && (m.Gone || m.OwnerDraining)
}

// proof is what is known of the workload behind a quarantined instance.
type proof struct {
	withheld Reason         // why it may not be restored yet
	ask      bool           // its owner is to be asked
	at       health.Instant // when this changes by itself
	until    health.Instant // how long the owner's word holds; 0: it rests on none
}

// leaves reports whether a removal is of what is about to stop, whoever says so.
func leaves(why Reason) bool { return why == Draining || why == SaysDraining }

// ByOwner reports whether a removal rests on its owner's word, not on failures.
func ByOwner(why Reason) bool { return why == OwnerGone || why == Draining || why == UndoResurrection }

// needsWord reports whether only its owner's word brings an instance back: its
// owner's word took it out, or the latest one was that it stops. That nothing
// was heard since is no word.
func needsWord(m *Member) bool {
	return m.Objected || ByOwner(m.OutFor)
}

// proven says whether the workload that would be registered again is still the
// one that was taken out (rule 15): its owner said so just now; or it is not
// long ago, and no owner objects. Whom its owner took away needs its word.
func proven(v *ServiceView, m *Member, backoff time.Duration, now health.Instant) proof {
	term := v.Config.RestoreUnproven
	over := term > 0 && now > m.OutSince.Add(max(term, backoff)) || needsWord(m)
	waited := m.AskedAt != 0 && (m.Answered || now >= m.AskedAt.Add(answerWithin))
	switch {
	case !v.Quarantine && m.OutFor != OwnerGone && !m.Objected: // raising a status brings no record back
		return proof{at: health.Never}
	case m.RunningAt != 0 && now.Sub(m.RunningAt) <= proofFor:
		return proof{at: health.Never, until: m.RunningAt.Add(proofFor)}
	case !v.Owned && over:
		return proof{withheld: RestoreUnproven, at: health.Never}
	case !v.Owned:
		return proof{at: health.Never}
	case m.AskedAt == 0 || now >= m.AskedAt.Add(askEvery):
		return proof{withheld: AskingOwner, ask: true, at: now.Add(answerWithin)}
	case !waited:
		return proof{withheld: AskingOwner, at: m.AskedAt.Add(answerWithin)}
	case over:
		return proof{withheld: RestoreUnproven, at: m.AskedAt.Add(askEvery)}
	}
	return proof{at: health.Never}
}

// deploymentPastLine is the fail-open line of one deployment: where one passed
// once and fewer than the share pass now, it is not the instance either.
func deploymentPastLine(s situation) bool {
	if s.m.Deployment == "" {
		return false
	}
	ever, passing := 0, 0
	for i := range s.v.Members {
		if p := &s.v.Members[i]; p.Deployment == s.m.Deployment && p.Ever && !p.Gone {
			ever++
			if p.Last == health.Pass {
				passing++
			}
		}
	}
	return ever > 0 && pastLine(passing, ever, s.v.Config.FailOpen)
}
