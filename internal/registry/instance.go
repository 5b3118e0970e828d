package registry

// Instance is a registered instance. It is immutable.
type Instance struct {
	ID string `json:"id"`
	// Attributes are the values of its last registration, and those alone.
	Attributes       Attributes `json:"attributes"`
	CreatorRequestID string     `json:"creatorRequestId,omitempty"`
	// Health is its current status; Unknown where the service has no check.
	Health HealthStatus `json:"health"`
	// Change is a custom status that was submitted and has not applied yet.
	Change *StatusChange `json:"change,omitempty"`
	// RegisteredBy is the id of the operation that registered it last.
	RegisteredBy string `json:"registeredBy,omitempty"`
}

// Registration is what RegisterInstance needs to know.
type Registration struct {
	ServiceID        string // id or ARN
	InstanceID       string
	Attributes       map[string]string
	CreatorRequestID string
}

func (n Registration) check() error {
	err := first(
		required("ServiceId", n.ServiceID, maxARN),
		required("InstanceId", n.InstanceID, maxResourceID),
		optional("CreatorRequestId", n.CreatorRequestID, maxResourceID),
	)
	switch {
	case err != nil:
		return err
	case !instanceIDPattern.MatchString(n.InstanceID):
		return invalid("InstanceId", "%q may only have letters, digits and _ / : . @ -", n.InstanceID)
	case n.Attributes == nil:
		return invalid("Attributes", "is required")
	}
	return checkAttributes(n.Attributes)
}

// refuseEmpty refuses an empty value of an attribute.
func (n Registration) refuseEmpty() error {
	for _, key := range sortedKeys(n.Attributes) {
		if n.Attributes[key] == "" {
			return invalid("Attributes", "the value of %s is empty", key)
		}
	}
	return nil
}

// Register submits the registration of an instance and returns the id of the
// operation. An instance that is there already has all its attributes replaced
// and, unless Assumptions say otherwise, its health status started anew. While an operation on the same instance
// is in flight it is a DuplicateRequest, except that the same CreatorRequestID
// with the same attributes returns that operation again.
func (r *Registry) Register(n Registration) (operationID string, err error) {
	if err := n.check(); err != nil {
		return "", err
	}
	if r.opts.Assume.RefuseEmpty {
		if err := n.refuseEmpty(); err != nil {
			return "", err
		}
	}
	n.ServiceID = r.idOf("service", n.ServiceID)
	err = r.write(func(b *batch) error {
		svc := b.byService[n.ServiceID]
		if svc == nil {
			return noService(n.ServiceID)
		}
		n.ServiceID = svc.service.ID // lets go of the request's copy
		if err := fitAttributes(n.Attributes, svc.service); err != nil {
			return err
		}
		if n.Attributes, err = b.withEC2Address(n.Attributes, svc.service); err != nil {
			return err
		}
		if busy := b.byOperation[b.inFlight[instanceResource(n.ServiceID, n.InstanceID)]]; busy != nil {
			if busy.Instance != nil && n.retries(busy.Instance) {
				operationID = busy.ID
				return nil
			}
			return duplicate(busy)
		}
		if at, found := svc.find(n.InstanceID); found && n.retries(svc.instances[at]) {
			if op := b.byOperation[svc.instances[at].RegisteredBy]; op != nil {
				operationID = op.ID
				return nil
			}
		}
		if _, found := svc.find(n.InstanceID); !found {
			if err := b.roomForInstance(svc); err != nil {
				return err
			}
		}
		op := &operation{
			Operation: Operation{
				Type:        RegisterInstanceOp,
				Targets:     Targets{Service: n.ServiceID, Instance: n.InstanceID},
				NamespaceID: svc.service.NamespaceID, ServiceID: n.ServiceID,
			},
			Instance: &Instance{
				ID: n.InstanceID, Attributes: PackAttributes(n.Attributes), CreatorRequestID: n.CreatorRequestID,
				Health: initialHealth(svc.service, n.Attributes),
			},
		}
		operationID = b.submit(op)
		return nil
	})
	return operationID, err
}

// retries reports whether n asks for what i already is.
func (n Registration) retries(i *Instance) bool {
	return n.CreatorRequestID != "" && n.CreatorRequestID == i.CreatorRequestID && PackAttributes(n.Attributes) == i.Attributes
}

// Deregister submits the removal of an instance and returns the id of the
// operation.
func (r *Registry) Deregister(serviceID, instanceID string) (operationID string, err error) {
	if err := first(required("ServiceId", serviceID, maxARN), required("InstanceId", instanceID, maxResourceID)); err != nil {
		return "", err
	}
	serviceID = r.idOf("service", serviceID)
	err = r.write(func(b *batch) error {
		svc := b.byService[serviceID]
		if svc == nil {
			return noService(serviceID)
		}
		if busy := b.byOperation[b.inFlight[instanceResource(serviceID, instanceID)]]; busy != nil {
			return duplicate(busy)
		}
		if _, found := svc.find(instanceID); !found {
			return noInstance(serviceID, instanceID)
		}
		operationID = b.submit(&operation{Operation: Operation{
			Type:        DeregisterInstanceOp,
			Targets:     Targets{Service: serviceID, Instance: instanceID},
			NamespaceID: svc.service.NamespaceID, ServiceID: serviceID,
		}})
		return nil
	})
	return operationID, err
}

// Instance returns an instance. One that is only on its way in is not found.
func (r *Registry) Instance(serviceID, instanceID string) (*Instance, error) {
	view, err := r.service("ServiceId", serviceID)
	if err != nil {
		return nil, err
	}
	if err := required("InstanceId", instanceID, maxResourceID); err != nil {
		return nil, err
	}
	if inst := view.Instance(instanceID); inst != nil {
		return inst, nil
	}
	return nil, noInstance(view.ID, instanceID)
}

func noInstance(serviceID, instanceID string) error {
	return refuse(InstanceNotFound, "no instance %s in service %s", instanceID, serviceID)
}

// Instances returns a page of a service's instances, in order of their ids.
func (r *Registry) Instances(serviceID string, page Page) (found []*Instance, next string, err error) {
	view, err := r.service("ServiceId", serviceID)
	if err != nil {
		return nil, "", err
	}
	return cutPage(page, "instances of "+view.ID, view.Instances, instanceID)
}

func instanceID(i *Instance) string { return i.ID }

// putInstance adds or replaces an instance.
func (b *batch) putInstance(serviceID string, inst *Instance) {
	b.byService[serviceID].set(inst)
	b.services[serviceID] = true
	b.put(bucketInstances, instanceResource(serviceID, inst.ID), inst)
}

func (b *batch) removeInstance(serviceID, id string) {
	svc := b.byService[serviceID]
	if _, there := svc.find(id); there {
		b.population[svc.service.NamespaceID]--
	}
	svc.delete(id)
	b.services[serviceID] = true
	b.remove(bucketInstances, instanceResource(serviceID, id))
}
