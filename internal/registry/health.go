package registry

import (
	"fmt"
	"time"
)

// HealthStatus is what the registry knows of an instance's health.
type HealthStatus uint8

// Unknown is the status of every instance whose service has no health check.
const (
	Unknown HealthStatus = iota
	Healthy
	Unhealthy
)

var healthNames = [...]string{Unknown: "UNKNOWN", Healthy: "HEALTHY", Unhealthy: "UNHEALTHY"}

// String is the word that the API uses.
func (h HealthStatus) String() string {
	if int(h) < len(healthNames) {
		return healthNames[h]
	}
	return healthNames[Unknown]
}

// MarshalText is String.
func (h HealthStatus) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (h *HealthStatus) UnmarshalText(text []byte) error {
	for status, name := range healthNames {
		if name == string(text) {
			*h = HealthStatus(status)
			return nil
		}
	}
	return fmt.Errorf("%q is not a health status", text)
}

// StatusChange is a custom health status on its way. AWS applies a status some
// 30 seconds after it was submitted; submitting it again does not hasten it,
// and submitting the opposite meanwhile takes it back.
type StatusChange struct {
	To  HealthStatus `json:"to"`
	Due time.Time    `json:"due"`
}

// initialHealth is the status that a registration starts with.
func initialHealth(svc *Service, attrs map[string]string) HealthStatus {
	switch {
	case !svc.CustomHealth:
		return Unknown
	case attrs[AttrInitHealth] == Unhealthy.String():
		return Unhealthy
	}
	return Healthy
}

// SetCustomHealth submits the status that a third party gives an instance,
// Healthy or Unhealthy. It applies when Options.CustomHealthDelay has passed.
func (r *Registry) SetCustomHealth(serviceID, instanceID string, to HealthStatus) error {
	err := first(required("ServiceId", serviceID, maxARN), required("InstanceId", instanceID, maxResourceID))
	if err != nil {
		return err
	}
	if to != Healthy && to != Unhealthy {
		return invalid("Status", "is neither HEALTHY nor UNHEALTHY")
	}
	serviceID = r.idOf("service", serviceID)
	return r.write(func(b *batch) error {
		svc := b.byService[serviceID]
		if svc == nil {
			return noService(serviceID)
		}
		if !svc.service.CustomHealth {
			return refuse(CustomHealthNotFound, "service %s has no custom health check", serviceID)
		}
		at, found := svc.find(instanceID)
		if !found {
			return noInstance(serviceID, instanceID)
		}
		b.submitHealth(serviceID, svc.instances[at], to)
		return nil
	})
}

// keepStatus gives an instance that is registered again the custom status that
// it has, where that is assumed of AWS.
func (b *batch) keepStatus(serviceID string, inst *Instance) {
	svc := b.byService[serviceID]
	if at, found := svc.find(inst.ID); found && b.opts.Assume.KeepStatus && svc.service.CustomHealth {
		inst.Health, inst.Change = svc.instances[at].Health, svc.instances[at].Change
	}
}

func (b *batch) submitHealth(serviceID string, inst *Instance, to HealthStatus) {
	next := *inst
	switch {
	case inst.Change != nil && inst.Change.To == to, inst.Change == nil && inst.Health == to:
		return
	case inst.Change != nil:
		next.Change = nil
	case b.opts.CustomHealthDelay == 0, b.opts.Assume.RaiseAtOnce && to == Healthy:
		next.Health = to
	default:
		next.Change = &StatusChange{To: to, Due: b.now.Add(b.opts.CustomHealthDelay)}
		b.schedule(dueItem{at: next.Change.Due, service: serviceID, instance: inst.ID})
	}
	b.putInstance(serviceID, &next)
}

// settleHealth applies a custom status that is due.
func (b *batch) settleHealth(serviceID, instanceID string) {
	svc := b.byService[serviceID]
	if svc == nil {
		return
	}
	at, found := svc.find(instanceID)
	if !found {
		return
	}
	inst := svc.instances[at]
	if inst.Change == nil || inst.Change.Due.After(b.now) {
		return // taken back, or submitted again later
	}
	next := *inst
	next.Health, next.Change = inst.Change.To, nil
	b.putInstance(serviceID, &next)
}

// Health returns a page of a service's instances for their health status: all
// of them, or those whose ids are given, which must all be there unless
// Assumptions say otherwise.
func (r *Registry) Health(serviceID string, instanceIDs []string, page Page) (found []*Instance, next string, err error) {
	if instanceIDs == nil {
		return r.Instances(serviceID, page)
	}
	view, err := r.service("ServiceId", serviceID)
	if err != nil {
		return nil, "", err
	}
	if len(instanceIDs) == 0 {
		return nil, "", invalid("Instances", "is empty; leave it out to ask for all")
	}
	chosen := make(map[string]bool, len(instanceIDs))
	for _, id := range instanceIDs {
		if err := required("Instances", id, maxResourceID); err != nil {
			return nil, "", err
		}
		if view.Instance(id) == nil && !r.opts.Assume.OmitMissing {
			return nil, "", noInstance(view.ID, id)
		}
		chosen[id] = true
	}
	some := keep(view.Instances, func(i *Instance) bool { return chosen[i.ID] })
	return cutPage(page, "instances of "+view.ID, some, instanceID)
}
