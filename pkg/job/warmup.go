package job

import (
	"context"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/idempotency"
)

// Warmer brings up nodes before jobs need them.
type Warmer interface {
	// Start asks for a node on which a run with these cores and GiB fits, and holds it for keep. Repeated with the same key,
	// which may be nil, it returns the warm-up of the first call, with started false; another request with it is problem.KeyReused.
	Start(ctx context.Context, cpu, memoryGi int, keep time.Duration, key *idempotency.Request) (w Warmup, started bool, err error)
	// List returns the warm-ups, including finished ones until they are removed.
	List(ctx context.Context) ([]Warmup, error)
	// End gives a node up early. An unknown id is problem.NotFound.
	End(ctx context.Context, id string) error
}

// Warmup is a pod that reserves a run's resources.
type Warmup struct {
	ID        string
	PodName   string
	Namespace string
	Phase     string // of the pod, in Kubernetes' words
	Node      string // empty until it has one
	Created   time.Time
}
