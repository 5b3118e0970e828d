package registry

import (
	"strings"
	"time"
)

// NamespaceType says how instances of a namespace are found.
type NamespaceType string

// The types of namespace.
const (
	HTTPNamespace       NamespaceType = "HTTP"
	DNSPrivateNamespace NamespaceType = "DNS_PRIVATE"
	DNSPublicNamespace  NamespaceType = "DNS_PUBLIC"
)

// Namespace groups services under a name.
type Namespace struct {
	ID   string        `json:"id"`
	Name string        `json:"name"`
	Type NamespaceType `json:"type"`
	// HTTPName is the name that DiscoverInstances knows the namespace by: the
	// Name, with a suffix where another namespace has it already.
	HTTPName         string    `json:"httpName"`
	Description      string    `json:"description,omitempty"`
	CreatorRequestID string    `json:"creatorRequestId,omitempty"`
	CreateDate       time.Time `json:"createDate"`
	// Request is the fingerprint of the call that created it, by which a retry
	// is known.
	Request string `json:"request,omitempty"`
	// HostedZoneID and SOATTL (seconds, the negative caching time) belong to DNS
	// namespaces, VPC to private ones.
	VPC          string `json:"vpc,omitempty"`
	HostedZoneID string `json:"hostedZoneId,omitempty"`
	SOATTL       int64  `json:"soaTtl,omitempty"`
	// Tags are the namespace's tags.
	Tags map[string]string `json:"tags,omitempty"`
	// Seq is the order of creation, finer than CreateDate.
	Seq uint64 `json:"seq,omitempty"`
	// ServiceCount is the number of its services.
	ServiceCount int `json:"-"`
}

// NewNamespace is what CreateNamespace needs to know.
type NewNamespace struct {
	Name             string
	Type             NamespaceType
	VPC              string // required for DNSPrivateNamespace
	SOATTL           *int64 // seconds; nil is Route 53's 900
	Description      string
	CreatorRequestID string
	Tags             []Tag
}

func (n NewNamespace) check() error {
	err := first(
		n.Type.checkName(n.Name),
		optional("Description", n.Description, maxDescription),
		optional("CreatorRequestId", n.CreatorRequestID, maxResourceID),
		checkTags(n.Name, n.Tags),
	)
	if err != nil || n.Type == HTTPNamespace {
		return err
	}
	if n.SOATTL != nil {
		err = between("Properties.DnsProperties.SOA.TTL", *n.SOATTL, 0, maxTTL)
	}
	if n.Type == DNSPrivateNamespace {
		err = first(required("Vpc", n.VPC, maxVPC), err)
	}
	return err
}

// CreateNamespace submits the creation of a namespace and returns the id of the
// operation. The namespace is there when the operation has succeeded. A call
// that repeats another's CreatorRequestID and parameters returns its operation.
func (r *Registry) CreateNamespace(n NewNamespace) (operationID string, err error) {
	if err := n.check(); err != nil {
		return "", err
	}
	err = r.write(func(b *batch) error {
		if op, err := b.sameNamespace(n); op != nil || err != nil {
			operationID = op.id()
			return err
		}
		if err := b.roomForNamespace(); err != nil {
			return err
		}
		ns := &Namespace{
			ID: newNamespaceID(), Name: n.Name, Type: n.Type, HTTPName: n.Name, Description: n.Description,
			CreatorRequestID: n.CreatorRequestID, CreateDate: stamp(b.now), Request: fingerprint(n),
			Tags: tagMap(n.Tags), Seq: b.seq + 1,
		}
		if n.Type != HTTPNamespace {
			ns.VPC, ns.HostedZoneID, ns.SOATTL = n.VPC, hostedZoneID(ns.ID), defaultSOATTL
			if n.SOATTL != nil {
				ns.SOATTL = *n.SOATTL
			}
			if b.httpNameTaken(n.Name) {
				ns.HTTPName += "-" + digestName(8, "http", ns.ID)
			}
		}
		op := &operation{
			Operation: Operation{Type: CreateNamespaceOp, Targets: Targets{Namespace: ns.ID}, NamespaceID: ns.ID},
			Namespace: ns,
		}
		operationID = b.submit(op)
		return nil
	})
	return operationID, err
}

// sameNamespace looks for a namespace, present or on its way, that n would
// collide with. It returns its operation where n is a retry of it.
func (b *batch) sameNamespace(n NewNamespace) (*operation, error) {
	for _, ns := range b.byNamespace {
		if !n.collides(ns) {
			continue
		}
		if op := b.byOperation[ns.createdBy(b.state)]; op != nil && n.retries(ns) {
			return op, nil
		}
		return nil, refuse(NamespaceAlreadyExists, "namespace %s exists already: %s", n.Name, ns.ID).
			with("NamespaceId", ns.ID).with("CreatorRequestId", ns.CreatorRequestID)
	}
	for _, id := range b.inFlight {
		op := b.byOperation[id]
		if op.Type != CreateNamespaceOp || !n.collides(op.Namespace) {
			continue
		}
		if n.retries(op.Namespace) {
			return op, nil
		}
		return nil, duplicate(op)
	}
	return nil, nil
}

// collides reports whether both cannot exist: HTTP names are unique, and so are
// public names, and private names within their VPC.
func (n NewNamespace) collides(ns *Namespace) bool {
	if n.Type == HTTPNamespace {
		return n.Name == ns.HTTPName
	}
	return n.Type == ns.Type && strings.EqualFold(n.Name, ns.Name) && n.VPC == ns.VPC
}

func (n NewNamespace) retries(ns *Namespace) bool {
	return n.CreatorRequestID != "" && fingerprint(n) == ns.Request
}

func (b *batch) httpNameTaken(name string) bool {
	for _, ns := range b.byNamespace {
		if ns.HTTPName == name {
			return true
		}
	}
	for _, id := range b.inFlight {
		if ns := b.byOperation[id].Namespace; ns != nil && ns.HTTPName == name {
			return true
		}
	}
	return false
}

// createdBy is the id of the operation that created the namespace, if it is
// still remembered.
func (n *Namespace) createdBy(st *state) string {
	for _, op := range st.log {
		if op.Type == CreateNamespaceOp && op.NamespaceID == n.ID {
			return op.ID
		}
	}
	return ""
}

// DeleteNamespace submits the removal of a namespace, which must have no
// services, and returns the id of the operation.
func (r *Registry) DeleteNamespace(id string) (operationID string, err error) {
	if err := required("Id", id, maxARN); err != nil {
		return "", err
	}
	id = r.idOf("namespace", id)
	err = r.write(func(b *batch) error {
		ns := b.byNamespace[id]
		if ns == nil {
			return noNamespace(id)
		}
		op := &operation{Operation: Operation{Type: DeleteNamespaceOp, Targets: Targets{Namespace: id}, NamespaceID: id}}
		if busy := b.byOperation[b.inFlight[op.resource()]]; busy != nil {
			return duplicate(busy)
		}
		if ns.ServiceCount > 0 {
			return refuse(ResourceInUse, "namespace %s still has %d services", id, ns.ServiceCount)
		}
		operationID = b.submit(op)
		return nil
	})
	return operationID, err
}

// Namespace returns the namespace of that id or ARN.
func (r *Registry) Namespace(id string) (*Namespace, error) {
	if err := required("Id", id, maxARN); err != nil {
		return nil, err
	}
	id = r.idOf("namespace", id)
	if ns := r.published.namespaces.Load().byID[id]; ns != nil {
		return ns, nil
	}
	return nil, noNamespace(id)
}

func noNamespace(id string) error { return refuse(NamespaceNotFound, "no namespace %s", id) }

// Namespaces returns a page of the namespaces, in order of their ids, without
// those that a filter (TYPE, NAME, HTTP_NAME, RESOURCE_OWNER) excludes.
func (r *Registry) Namespaces(page Page, filters []Filter) (found []*Namespace, next string, err error) {
	match, err := compileFilters(filters, map[string]filterRule[*Namespace]{
		"TYPE": {eq | beginsWith, func(ns *Namespace) string { return string(ns.Type) },
			[]string{string(HTTPNamespace), string(DNSPublicNamespace), string(DNSPrivateNamespace)}},
		"NAME":           {eq | beginsWith, func(ns *Namespace) string { return ns.Name }, nil},
		"HTTP_NAME":      {eq | beginsWith, func(ns *Namespace) string { return ns.HTTPName }, nil},
		"RESOURCE_OWNER": {eq, func(*Namespace) string { return self }, []string{self, otherAccounts}},
	})
	if err != nil {
		return nil, "", err
	}
	cut, next, err := cutPage(page, "namespaces", r.published.namespaces.Load().sorted, func(ns *Namespace) string { return ns.ID })
	return keep(cut, match), next, err
}

// putNamespace replaces a namespace.
func (b *batch) putNamespace(ns *Namespace) {
	b.byNamespace[ns.ID] = ns
	b.namespaces = true
	b.put(bucketNamespaces, ns.ID, ns)
}

// countServices notes that a namespace has more or fewer services.
func (b *batch) countServices(namespaceID string, by int) {
	ns := *b.byNamespace[namespaceID]
	ns.ServiceCount += by
	b.byNamespace[namespaceID] = &ns
	b.namespaces = true
}

// stamp cuts a time to the milliseconds that the API shows.
func stamp(now time.Time) time.Time { return now.Round(0).Truncate(time.Millisecond).UTC() }
