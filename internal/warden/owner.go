package warden

import "github.com/mapwarden/mapwarden/internal/health"

// Evidenced brings what owners say of instances. Silence about an instance
// means nothing.
type Evidenced struct{ Evidence []health.Evidence }

// ServiceOwned brings what an owner says of a whole service.
type ServiceOwned struct {
	Service string // service id
	Source  string // "ecs", …
	Desired int    // how many instances it wants; 0 where it does not say

	// Deployments that are alive: with more than one a deploy is under way, and
	// failing newcomers are the deploy's own business (rule 17).
	Deployments []string

	// WritesHealth: the owner sets the custom health statuses of the service
	// itself (ECS services with HealthCheckCustomConfig).
	WritesHealth bool
}

func (Evidenced) event()    {}
func (ServiceOwned) event() {}
