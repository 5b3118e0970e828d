package awsjson

import (
	"strconv"

	sd "github.com/aws/aws-sdk-go-v2/service/servicediscovery"

	"github.com/mapwarden/mapwarden/internal/registry"
)

// discoverInstances is the one operation that is called all the time, so it does
// without reflection: the requests that clients send are scanned, and an answer
// is copied together from instances that are spelled already. It takes and gives
// what the codec would; tests hold it to that.
func discoverInstances(reg *registry.Registry, body, answer []byte) ([]byte, error) {
	q, ok := scanQuery(body)
	if !ok {
		var err error
		if q, err = decodeQuery(body); err != nil {
			return nil, err
		}
	}
	found, err := reg.Discover(q)
	if err != nil {
		return nil, err
	}
	return appendDiscovery(answer, q, found), nil
}

func decodeQuery(body []byte) (registry.Query, error) {
	in := new(sd.DiscoverInstancesInput)
	if err := decode(body, in); err != nil {
		return registry.Query{}, err
	}
	return registry.Query{
		Namespace: value(in.NamespaceName),
		Service:   value(in.ServiceName),
		Health:    registry.HealthFilter(in.HealthStatus),
		Must:      in.QueryParameters,
		Prefer:    in.OptionalParameters,
		Max:       in.MaxResults,
		Owner:     value(in.OwnerAccount),
	}, nil
}

// appendDiscovery appends the JSON of a DiscoverInstancesOutput.
func appendDiscovery(to []byte, q registry.Query, found registry.Discovery) []byte {
	to = append(to, `{"Instances":[`...)
	if len(found.Drawn) > 0 {
		to = appendDrawn(to, q, found)
		to = to[:len(to)-len(`,`)]
	}
	to = append(to, `],"InstancesRevision":`...)
	to = strconv.AppendInt(to, found.View.Revision, 10)
	return append(to, '}')
}

func discoverInstancesRevision(reg *registry.Registry, in *sd.DiscoverInstancesRevisionInput) (*sd.DiscoverInstancesRevisionOutput, error) {
	revision, err := reg.DiscoverRevision(registry.Query{
		Namespace: value(in.NamespaceName), Service: value(in.ServiceName), Owner: value(in.OwnerAccount),
	})
	return &sd.DiscoverInstancesRevisionOutput{InstancesRevision: &revision}, err
}
