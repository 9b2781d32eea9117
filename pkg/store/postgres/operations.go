package postgres

import (
	"context"
	"slices"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/store/postgres/internal/db"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

// QueueByTenant is Usage, with limits, of every tenant with queued or active jobs or studies that go on, the longest waiting first.
func (d *DB) QueueByTenant(ctx context.Context) ([]job.TenantQueue, error) {
	rows, err := d.q.QueueByTenant(ctx)
	if err != nil {
		return nil, translate(err, "counting waiting jobs")
	}
	return each(rows, func(r db.QueueByTenantRow) job.TenantQueue {
		q := job.TenantQueue{
			TenantID: r.TenantID,
			Limits:   tenant.Limits{MaxCPU: r.MaxCPU, MaxMemoryGi: r.MaxMemoryGi, MaxConcurrentJobs: r.MaxConcurrentJobs},
			Usage: job.Usage{
				ByState: map[job.State]int{job.Queued: int(r.Queued), job.Pending: int(r.Pending), job.Running: int(r.Running)},
				Held:    int(r.Held), CPU: int(r.CPU), MemoryGi: int(r.MemoryGi),
			},
			Studies: int(r.Studies), Unstarted: int(r.Unstarted),
		}
		if r.Queued > 0 {
			q.Oldest = r.Oldest
		}
		return q
	}), nil
}

// ActivitySince returns the minutes since then in which something happened, in order, and the failures in them, the most
// frequent first.
func (d *DB) ActivitySince(ctx context.Context, since time.Time) ([]job.Activity, []job.Failure, error) {
	minutes, err := d.q.Activity(ctx, since)
	if err != nil {
		return nil, nil, translate(err, "counting what happened")
	}
	failures, err := d.q.Failures(ctx, since)
	if err != nil {
		return nil, nil, translate(err, "counting failures")
	}
	return each(minutes, func(r db.ActivityRow) job.Activity {
			return job.Activity{
				At: r.Minute, Submitted: int(r.Submitted), Started: int(r.Started),
				Succeeded: int(r.Succeeded), Failed: int(r.Failed), Cancelled: int(r.Cancelled),
			}
		}), each(failures, func(r db.FailuresRow) job.Failure {
			return job.Failure{Reason: r.Reason, Count: int(r.Jobs)}
		}), nil
}

// WeakestConfinement returns the weakest of what held SUMO in the runs that have ended since, nil when there were none.
func (d *DB) WeakestConfinement(ctx context.Context, since time.Time) (*simulation.Confinement, error) {
	kinds, err := d.q.Confinements(ctx, since)
	if err != nil {
		return nil, translate(err, "looking up what held runs")
	}
	if len(kinds) == 0 {
		return nil, nil
	}
	return slices.MinFunc(kinds, func(a, b *simulation.Confinement) int { return a.Compare(*b) }), nil
}
