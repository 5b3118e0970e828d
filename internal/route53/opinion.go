package route53

import (
	"strconv"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/quorum"
)

// healthyShare is how many percent of the checkers must be exceeded by those
// that find an instance healthy (Route 53 Developer Guide, "How Amazon Route 53
// determines whether a health check is healthy").
const healthyShare = 18

// opinion is what one checker thinks of one instance.
type opinion struct {
	status health.Status
	run    int // results in a row that contradict status
}

// step folds one result into the opinion. The threshold holds both ways. An
// instance that was never judged is taken for healthy, as Route 53 takes a new
// health check: one pass says so, threshold failures contradict it.
func (o opinion) step(found health.Outcome, threshold int) opinion {
	if found == health.Indeterminate {
		return o
	}
	passes, unhealthy := found == health.Pass, o.status == health.Unhealthy
	switch {
	case passes != unhealthy: // as it was
		o.run = 0
		if passes {
			o.status = health.Healthy
		}
		return o
	case o.run+1 < threshold:
		o.run++
		return o
	case passes:
		return opinion{status: health.Healthy}
	}
	return opinion{status: health.Unhealthy}
}

// verdict is what checkers with these opinions say together. It is Unknown as
// long as those without an opinion could decide it.
func verdict(opinions []opinion) health.Status {
	votes := make([]quorum.Vote, len(opinions))
	for i, o := range opinions {
		votes[i] = quorum.Vote{Vantage: quorum.Vantage{Checker: strconv.Itoa(i)}, Status: o.status}
	}
	return quorum.Tally(votes, quorum.Rule{Kind: quorum.Share, Count: len(opinions), Percent: healthyShare}, 0).Status
}
