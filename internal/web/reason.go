package web

import (
	"maps"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/policy"
)

// Explain says a reason in one sentence for people: the same one on the page,
// in commands and in docs. It is empty for NoReason, and the reason itself for
// one that a newer mapwarden wrote into the history.
func Explain(r policy.Reason) string {
	if says, ok := reasonWords[r]; ok {
		return says
	}
	return string(r)
}

var reasonWords = map[policy.Reason]string{
	policy.NoReason: "",

	policy.Failing:          "It keeps failing its check, and no rule spoke against taking it out.",
	policy.NeverReady:       "It is new and has not passed yet, so it is held out until its first pass.",
	policy.OwnerGone:        "Its owner says that it has stopped.",
	policy.Draining:         "It is about to stop: its owner says so.",
	policy.SaysDraining:     "It says itself that it is about to stop.",
	policy.OwnerRuns:        "Its owner says again that it runs, so the removal was cancelled.",
	policy.Recovered:        "It has passed often and long enough to come back.",
	policy.FirstPass:        "It passed for the first time, so it is let in.",
	policy.FailOpenAll:      "Nothing in this service passes any more, so everything is put back.",
	policy.Operator:         "An operator asked for it.",
	policy.Retiring:         "mapwarden is leaving and puts everything back.",
	policy.PassedInHold:     "It passed before the removal was sent, so the removal was cancelled.",
	policy.UndoResurrection: "Its owner stopped it while it was registered again, so that was undone.",
	policy.Moot:             "It left the registry by itself; there was nothing left to do.",
	policy.Gray:             "It fails now and then, too often to serve, and no rule spoke against taking it out.",
	policy.Slow:             "It passes, but far slower than it used to and than its peers, and no rule spoke against taking it out.",

	policy.Unsynced:         "The registry has not been read completely since the start.",
	policy.Stale:            "The latest complete listing of the registry is too old.",
	policy.SelfDoubt:        "mapwarden doubts its own view, so it accuses nobody for now.",
	policy.Zone:             "Every vantage sees every target of its availability zone fail.",
	policy.Isolated:         "Its zone is cut off from the others, and well as seen from inside.",
	policy.PathFault:        "mapwarden does not reach its zone from here, and another vantage does.",
	policy.NoQuorum:         "Too few vantages are heard and sure of themselves to accuse anybody.",
	policy.Standby:          "Another vantage holds the lease; this one judges and votes.",
	policy.PathUnproven:     "No answer came, and nothing shows that the network path to it works.",
	policy.NotProbeable:     "It has no address, port or address family that may be probed from here.",
	policy.CheckUnproven:    "The check has not yet passed on nearly all instances of the service.",
	policy.NeverPassed:      "It was here before mapwarden and has never passed, so the check may be what is wrong.",
	policy.FailOpen:         "So many instances of the service fail that it is not the instance.",
	policy.AwaitingPeers:    "Another instance of the service has not been probed since this one began to fail.",
	policy.SharedDependency: "What it needs fails for others, too, so it is not the instance.",
	policy.LastHealthy:      "Too few healthy instances would be left to serve.",
	policy.Budget:           "As many instances of the service are out as may be at once.",
	policy.Velocity:         "Removals in one service are spread over time, and one was made just now.",
	policy.VelocityGlobal:   "Removals over the whole fleet are spread over time, and enough were made just now.",
	policy.Storm:            "Too many removals in a short time: they stay off until things calm down or an operator releases them.",
	policy.Holding:          "It will be taken out if it does not pass while the hold runs.",
	policy.WarmUp:           "mapwarden has not watched for long enough since its start, or since something about it changed.",
	policy.TargetWarmUp:     "mapwarden has not probed this instance often enough since its start.",
	policy.Flapping:         "It came back and failed again too often today, so it is kept in. It needs a human.",
	policy.Backoff:          "It passes again, but after repeated removals it must do so for longer.",
	policy.ForeignOut:       "Somebody else set it UNHEALTHY. It is theirs to lift.",
	policy.LostJournal:      "The journal that used to be here is gone. Nothing is taken out until somebody has looked.",
	policy.DrillPending:     "A rehearsal of its return must succeed before it may be taken out.",
	policy.DrillFailed:      "The rehearsal of a return failed, so nothing of this service is taken out.",
	policy.EvidenceMissing:  "Nobody can say which instances are gone for good, and nobody vouched that probes suffice.",
	policy.RestoreUnproven:  "It was out for so long that a pass does not prove that it is the same workload. An operator may restore it.",
	policy.AskingOwner:      "Its owner was asked whether it still runs.",
	policy.Deploying:        "A deploy is under way: only what has gone and newcomers may be taken out.",
	policy.OwnerWrites:      "Its owner sets the health statuses itself; they are left to it.",
	policy.StuckOut:         "It has been out for long, and its owner has not replaced it.",
	policy.OwnerAnswered:    "It was taken out and its owner registered it again. That is respected for a while.",
	policy.Contended:        "Somebody else changes its status too. mapwarden yields for a while.",
	policy.Route53Check:     "The service has a Route 53 health check, and there is no safe way to take its instances out.",
	policy.OtherAccount:     "Another AWS account owns this record.",
	policy.Busy:             "Another procedure is under way on this instance.",
	policy.Off:              "The mode is off: nothing is probed and nothing is written.",
	policy.Observing:        "The mode is observe: this is what would have been done, and nothing was written.",
	policy.Frozen:           "An operator froze all changes.",
	policy.Thawing:          "A freeze ran out by itself, and the fleet is not healthy enough yet to go on.",
	policy.Stopping:         "mapwarden is shutting down and begins nothing new.",
	policy.CallFailed:       "A call to the registry failed lately. It is tried again later.",
}

var causeWords = map[health.Cause]string{
	health.NoCause:        "",
	health.Refused:        "connection refused: nothing listens there",
	health.Reset:          "the connection was cut",
	health.Timeout:        "no answer in time",
	health.Unreachable:    "the network says it cannot be reached",
	health.TLS:            "the TLS handshake failed",
	health.BadStatus:      "the wrong HTTP status",
	health.BadBody:        "the body lacks what is expected",
	health.Malformed:      "the answer is not the protocol that was asked for",
	health.DNS:            "its host name has no address",
	health.Inverted:       "it passes, and is not meant to",
	health.Stranger:       "somebody else answers at its address",
	health.PathUnproven:   "no answer, and the path to it is not proven",
	health.NotProbeable:   "there is nothing that could be probed",
	health.AddressRefused: "its address must not be probed",
	health.LocalFault:     "a fault on mapwarden's own side",
	health.Overloaded:     "mapwarden had no room to look in time",
	health.Late:           "mapwarden looked too late for it to count",
	health.Cancelled:      "the probe was cancelled",
	health.Resolver:       "the name resolver itself failed",
}

var standingWords = map[policy.Standing]string{
	policy.In:        "It gets traffic.",
	policy.Leaving:   "It is about to be taken out, unless it passes.",
	policy.Out:       "It was taken out.",
	policy.Probation: "It came back lately and is watched.",
	policy.Waiting:   "It is held out until its first pass.",
	policy.Kept:      "It would be out, but a rule keeps it in.",
}

// words is everything that the page needs to speak.
func words() Words {
	w := Words{Reasons: maps.Clone(reasonWords), Causes: map[string]string{}, Standings: map[string]string{}}
	delete(w.Reasons, policy.NoReason)
	for c, says := range causeWords {
		if c != health.NoCause {
			w.Causes[c.String()] = says
		}
	}
	for s, says := range standingWords {
		w.Standings[s.String()] = says
	}
	return w
}
