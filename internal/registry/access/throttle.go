package access

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/time/rate"
)

// pace is so many calls a second, and so many at once after a pause.
type pace struct {
	perSecond float64
	burst     int
}

// Paces that AWS is assumed to have where it publishes none. The first three
// are those with which AWS's own controller for multi-cluster services holds
// its calls back; what it does not call is put beside what it does.
var (
	rareWrite   = pace{0.5, 5}  // of a whole namespace
	rareList    = pace{0.5, 5}  // ListNamespaces
	commonList  = pace{2, 10}   // ListServices
	ofAService  = pace{5, 50}   // CreateService
	ofInstances = pace{50, 100} // RegisterInstance, DeregisterInstance
	polling     = pace{100, 200}
)

// awsPaces are the limits of one account in one region, by operation. Only
// those of the two Discover operations are published (Cloud Map's quotas: 1,000
// a second and 2,000 at once; 3,000 a second); all others are assumed.
var awsPaces = map[string]pace{
	"DiscoverInstances":         {1000, 2000},
	"DiscoverInstancesRevision": {3000, 3000},

	"CreateHttpNamespace":       rareWrite,
	"CreatePrivateDnsNamespace": rareWrite,
	"CreatePublicDnsNamespace":  rareWrite,
	"UpdateHttpNamespace":       rareWrite,
	"UpdatePrivateDnsNamespace": rareWrite,
	"UpdatePublicDnsNamespace":  rareWrite,
	"DeleteNamespace":           rareWrite,
	"ListNamespaces":            rareList,
	"GetNamespace":              ofInstances,

	"CreateService":           ofAService,
	"UpdateService":           ofAService,
	"DeleteService":           ofAService,
	"UpdateServiceAttributes": ofAService,
	"DeleteServiceAttributes": ofAService,
	"ListServices":            commonList,
	"GetService":              ofInstances,
	"GetServiceAttributes":    ofInstances,

	"RegisterInstance":                 ofInstances,
	"DeregisterInstance":               ofInstances,
	"UpdateInstanceCustomHealthStatus": ofInstances,
	"GetInstance":                      ofInstances,
	"ListInstances":                    ofInstances,
	"GetInstancesHealthStatus":         ofInstances,

	"GetOperation":   polling,
	"ListOperations": commonList,

	"ListTagsForResource": ofAService,
	"TagResource":         ofAService,
	"UntagResource":       ofAService,
}

// Throttle slows an account down as AWS does: a bucket of tokens for each
// operation, shared by all callers. Its methods may be called by many goroutines.
type Throttle struct {
	buckets map[string]*rate.Limiter
}

// ParseThrottle makes a Throttle of a comma-separated list. "aws" stands for
// AWS's rates; OPERATION=RATE or OPERATION=RATE/BURST sets one, in calls a
// second and calls at once. What comes later counts.
func ParseThrottle(spec string) (*Throttle, error) {
	t := &Throttle{buckets: map[string]*rate.Limiter{}}
	for word := range strings.SplitSeq(spec, ",") {
		word = strings.TrimSpace(word)
		if word == "aws" {
			for name, p := range awsPaces {
				t.set(name, p)
			}
			continue
		}
		name, text, ok := strings.Cut(word, "=")
		if !ok {
			return nil, fmt.Errorf("%q is neither aws nor OPERATION=RATE/BURST", word)
		}
		if _, known := awsPaces[name]; !known {
			return nil, fmt.Errorf("%q is no operation; there are %s", name, strings.Join(slices.Sorted(maps.Keys(awsPaces)), ", "))
		}
		p, err := parsePace(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		t.set(name, p)
	}
	return t, nil
}

func (t *Throttle) set(operation string, p pace) {
	t.buckets[operation] = rate.NewLimiter(rate.Limit(p.perSecond), p.burst)
}

func parsePace(text string) (pace, error) {
	per, burst, both := strings.Cut(text, "/")
	perSecond, err := strconv.ParseFloat(per, 64)
	if err != nil || !(perSecond > 0 && perSecond <= 1e6) {
		return pace{}, fmt.Errorf("%q is no rate: write calls a second, as in 5 or 0.5", per)
	}
	p := pace{perSecond, max(1, int(perSecond))}
	if both {
		if p.burst, err = strconv.Atoi(burst); err != nil || p.burst < 1 || p.burst > 1e6 {
			return pace{}, fmt.Errorf("%q is no burst: write how many calls at once, at least 1", burst)
		}
	}
	return p, nil
}

// admit takes a token, or returns AWS's refusal: the operations with data- in
// their address have an error of their own for it.
func (t *Throttle) admit(operation string) *refusal {
	bucket := t.buckets[operation]
	if bucket == nil || bucket.Allow() {
		return nil
	}
	if strings.HasPrefix(operation, "Discover") {
		return refuse("RequestLimitExceeded", "Rate exceeded")
	}
	return refuse("ThrottlingException", "Rate exceeded")
}
