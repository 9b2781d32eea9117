package job

import (
	"context"
	"fmt"

	"github.com/rs/zerolog"
)

// Dispatcher hands queued jobs to the engine, as many as their tenants' limits allow. Any number of dispatchers may
// work at the same time: the Queue lets each job be claimed once.
type Dispatcher struct {
	Queue  Queue
	Engine Starter
	Log    zerolog.Logger
}

// Queue is where jobs wait for room under their tenants' limits.
type Queue interface {
	// Claim moves what fits under the limits of one tenant, at most max chunks, to PENDING and returns it: jobs that are QUEUED, and, with
	// studies, runs of studies that have none yet. Without, the room of studies that come first stays free for them. It holds the tenant's
	// row while it decides, so that any number of callers together never exceed the limits. A chunk has no jobs if all its runs were answered
	// from the cache instead.
	Claim(ctx context.Context, tenantID string, max int, studies bool) ([]Chunk, error)
	// TenantsWithQueue lists the tenants that have QUEUED jobs or studies with runs to start, those that hold least of their limits first.
	TenantsWithQueue(ctx context.Context) ([]string, error)
}

// Starter is the part of an Engine that starts runs.
type Starter interface {
	Start(ctx context.Context, c Chunk) error
}

// claimBatch is how many chunks one tenant gets before the next has its turn. Ten are few enough that nobody waits
// behind another tenant's thousand, and enough that a long queue takes few statements.
const claimBatch = 10

// Dispatch starts what fits of one tenant's queue of jobs. It is what a submission calls, so that a job need not wait for the
// next reconciliation. It leaves studies to reconcile, which starts their runs under its lock: a reconcile of the release before studies,
// which may hold it during an upgrade, would take them for jobs that are lost.
func (d Dispatcher) Dispatch(ctx context.Context, tenantID string) error {
	for {
		n, err := d.dispatch(ctx, tenantID, false)
		if err != nil || n < claimBatch {
			return err
		}
	}
}

// DispatchAll starts what fits of every tenant's queue and studies, in turns, and returns how many chunks were claimed. It stops
// beginning new rounds after about limit chunks, so that one call stays bounded.
func (d Dispatcher) DispatchAll(ctx context.Context, limit int) (claimed int, err error) {
	tenants, err := d.Queue.TenantsWithQueue(ctx)
	if err != nil {
		return 0, fmt.Errorf("listing tenants with queued jobs: %w", err)
	}
	for len(tenants) > 0 && claimed < limit {
		var more []string
		for _, id := range tenants {
			n, err := d.dispatch(ctx, id, true)
			claimed += n
			if err != nil {
				return claimed, err
			}
			if n == claimBatch {
				more = append(more, id)
			}
		}
		tenants = more
	}
	return claimed, nil
}

// dispatch claims and starts one batch. The jobs of a chunk that cannot be started stay PENDING, with its claim on the limits:
// reconcile finds that the engine does not have them and starts them again.
func (d Dispatcher) dispatch(ctx context.Context, tenantID string, studies bool) (claimed int, err error) {
	chunks, err := d.Queue.Claim(ctx, tenantID, claimBatch, studies)
	if err != nil {
		return 0, fmt.Errorf("claiming queued jobs of tenant %s: %w", tenantID, err)
	}
	for _, c := range chunks {
		if len(c.Jobs) == 0 {
			continue
		}
		if err := d.Engine.Start(ctx, c); err != nil {
			d.Log.Warn().Err(err).Str("chunk", c.ID).Str("tenant", tenantID).Msg("chunk not started; it will be tried again")
		}
	}
	return len(chunks), nil
}
