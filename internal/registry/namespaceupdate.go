package registry

// NamespaceUpdate is what UpdateNamespace needs to know.
type NamespaceUpdate struct {
	ID   string        `json:"id"` // id or ARN
	Type NamespaceType `json:"type"`
	// Description and SOATTL (seconds) are left as they are when nil. HTTP
	// namespaces have no SOATTL, and their Description must be given.
	Description      *string `json:"description,omitempty"`
	SOATTL           *int64  `json:"soaTtl,omitempty"`
	UpdaterRequestID string  `json:"updaterRequestId,omitempty"`
}

func (u NamespaceUpdate) check() error {
	err := first(required("Id", u.ID, maxARN), optional("UpdaterRequestId", u.UpdaterRequestID, maxResourceID))
	switch {
	case err != nil:
		return err
	case u.Description != nil:
		err = optional("Namespace.Description", *u.Description, maxDescription)
	case u.Type == HTTPNamespace:
		return invalid("Namespace.Description", "is required")
	}
	if err == nil && u.SOATTL != nil {
		err = between("Namespace.Properties.DnsProperties.SOA.TTL", *u.SOATTL, 0, maxTTL)
	}
	return err
}

// UpdateNamespace submits a change of a namespace and returns the id of the
// operation. The namespace must have the type that the update says. A call that
// repeats another's UpdaterRequestID and parameters returns its operation, also
// when other updates have followed, so that a late retry takes nothing back.
func (r *Registry) UpdateNamespace(u NamespaceUpdate) (operationID string, err error) {
	if err := u.check(); err != nil {
		return "", err
	}
	u.ID = r.idOf("namespace", u.ID)
	err = r.write(func(b *batch) error {
		ns := b.byNamespace[u.ID]
		switch {
		case ns == nil:
			return noNamespace(u.ID)
		case ns.Type != u.Type:
			return invalid("Id", "namespace %s has the type %s, which another operation updates", u.ID, ns.Type)
		}
		if made := b.updateOf(u.ID, u.UpdaterRequestID); made != nil {
			if fingerprint(u) != fingerprint(made.NamespaceUpdate) {
				return invalid("UpdaterRequestId", "operation %s has it with other parameters", made.ID)
			}
			operationID = made.ID
			return nil
		}
		op := &operation{
			Operation:       Operation{Type: UpdateNamespaceOp, Targets: Targets{Namespace: u.ID}, NamespaceID: u.ID},
			NamespaceUpdate: &u,
		}
		if busy := b.byOperation[b.inFlight[op.resource()]]; busy != nil {
			return duplicate(busy)
		}
		operationID = b.submit(op)
		return nil
	})
	return operationID, err
}

// updateOf is the update of a namespace that was asked for under a token, as
// long as it is remembered, or nil.
func (s *state) updateOf(namespaceID, token string) *operation {
	if token == "" {
		return nil
	}
	for _, op := range s.log {
		if u := op.NamespaceUpdate; u != nil && u.ID == namespaceID && u.UpdaterRequestID == token {
			return op
		}
	}
	return nil
}

func (b *batch) updateNamespace(id string, u *NamespaceUpdate) {
	ns := *b.byNamespace[id]
	if u.Description != nil {
		ns.Description = *u.Description
	}
	if u.SOATTL != nil {
		ns.SOATTL = *u.SOATTL
	}
	b.putNamespace(&ns)
}
