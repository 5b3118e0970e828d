package awsjson

import (
	"sync/atomic"

	"github.com/mapwarden/mapwarden/internal/registry"
)

// spelling is what this face derives from a view: its instances as every answer
// has them, for a view is found by one pair of names only. It is made when
// answers have spelled more instances than the view has. So a service that is
// asked all the time is spelled once and then copied from one piece of memory;
// one that changes more often than it is asked, or is large and asked for
// little, never costs more than twice what it would without.
type spelling struct {
	spent atomic.Int64 // how many instances answers have spelled
	made  atomic.Pointer[spelled]
}

// spelled are all instances of a view, in its order, each with a comma. It is
// immutable.
type spelled struct {
	text []byte
	at   []int // where in text each begins, and where the last ends
}

// appendDrawn appends the instances that were drawn, each with a comma.
func appendDrawn(to []byte, q registry.Query, found registry.Discovery) []byte {
	view := found.View
	s, ok := view.Derived(registry.JSONFace).(*spelling)
	if !ok {
		s = new(spelling)
		view.Derive(registry.JSONFace, s)
	}
	all := s.made.Load()
	if all == nil {
		if s.spent.Add(int64(len(found.Drawn))) <= int64(len(view.Instances)) {
			end := instanceEnd(q)
			for _, i := range found.Drawn {
				to = appendInstance(to, view.Instances[i], end)
			}
			return to
		}
		all = spell(q, view)
		s.made.Store(all)
	}
	for _, i := range found.Drawn {
		to = append(to, all.text[all.at[i]:all.at[i+1]]...)
	}
	return to
}

func spell(q registry.Query, view *registry.ServiceView) *spelled {
	end := instanceEnd(q)
	size := 0 // enough, unless ids have escapes
	for _, inst := range view.Instances {
		size += len(`{"Attributes":,"HealthStatus":"UNHEALTHY","InstanceId":""`) + len(inst.Attributes.JSON()) + len(inst.ID) + len(end)
	}
	all := &spelled{text: make([]byte, 0, size), at: make([]int, 1, len(view.Instances)+1)}
	for _, inst := range view.Instances {
		all.text = appendInstance(all.text, inst, end)
		all.at = append(all.at, len(all.text))
	}
	return all
}

// appendInstance appends an instance as the answer to a query has it.
func appendInstance(to []byte, inst *registry.Instance, end []byte) []byte {
	to = append(to, `{"Attributes":`...)
	to = append(to, inst.Attributes.JSON()...)
	to = append(to, `,"HealthStatus":"`...)
	to = append(to, inst.Health.String()...)
	to = append(to, `","InstanceId":`...)
	to = appendString(to, inst.ID)
	return append(to, end...)
}

// instanceEnd is what all instances of an answer end with.
func instanceEnd(q registry.Query) []byte {
	end := append(make([]byte, 0, 256), `,"NamespaceName":`...)
	end = appendString(end, q.Namespace)
	end = append(end, `,"ServiceName":`...)
	end = appendString(end, q.Service)
	return append(end, `},`...)
}
