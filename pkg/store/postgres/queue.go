package postgres

import (
	"context"
	"slices"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/store/postgres/internal/db"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

const (
	// reserveAfter is how long a job that does not fit lets others overtake it. From then on, freed room is kept for it.
	// Most runs are shorter, so a big job is not held up long, and little room stays unused.
	reserveAfter = 10 * time.Minute
	// claimWindow bounds how far down a queue one Claim looks for jobs that fit. At most 200 can be active at a time, so
	// it finds them unless hundreds of larger ones stand before; those are then served first, in their order.
	claimWindow = 1000
)

// Claim implements job.Queue. Jobs are considered by priority, then by submission. One that does not fit now is
// skipped, until it has waited for reserveAfter: then nothing behind it overtakes it. One that is larger than the
// tenant's limits altogether never holds others up, and its message says why it waits. Studies follow the jobs of their priority.
func (d *DB) Claim(ctx context.Context, tenantID string, atMost int, withStudies bool) ([]job.Chunk, error) {
	var rows []db.Job
	var order []string
	var chunks []chunkOfRuns
	err := d.inTx(ctx, func(q *db.Queries) error {
		t, err := q.LockTenant(ctx, tenantID)
		if err != nil {
			return orNone(err, noTenant(tenantID))
		}
		held, err := q.ActiveUsage(ctx, tenantID)
		if err != nil {
			return err
		}
		free := tenant.Limits{
			MaxCPU:            t.MaxCPU - int(held.CPU),
			MaxMemoryGi:       t.MaxMemoryGi - int(held.MemoryGi),
			MaxConcurrentJobs: min(t.MaxConcurrentJobs-int(held.Jobs), atMost),
		}
		err = q.ExplainOversized(ctx, db.ExplainOversizedParams{
			TenantID: tenantID, MaxCPU: t.MaxCPU, MaxMemoryGi: t.MaxMemoryGi, Most: claimWindow,
		})
		if err != nil || free.MaxConcurrentJobs <= 0 || free.MaxCPU <= 0 || free.MaxMemoryGi <= 0 {
			return err
		}
		waiting, err := q.QueueHead(ctx, db.QueueHeadParams{
			TenantID: tenantID, MaxCPU: t.MaxCPU, MaxMemoryGi: t.MaxMemoryGi, ReserveAfter: reserveAfter, Most: claimWindow,
		})
		if err != nil {
			return err
		}
		studies, further, err := studiesWaiting(ctx, q, t, d.chunks)
		if err != nil {
			return err
		}
		if order, chunks = choose(waiting, studies, free, further); !withStudies {
			chunks = nil
		}
		if len(order)+len(chunks) == 0 {
			return nil
		}
		if len(chunks) > 0 {
			var runs []string
			if chunks, runs, err = place(ctx, q, t, chunks); err != nil {
				return err
			}
			// What was done since the study was looked up.
			if _, err := q.AnswerFromCache(ctx, notNil(runs)); err != nil {
				return err
			}
			order = append(order, runs...)
		}
		// A job that was cancelled since it was read is no longer QUEUED and is not returned.
		rows, err = q.Dispatch(ctx, order)
		return err
	})
	if err != nil {
		return nil, translate(err, "claiming jobs")
	}
	place := make(map[string]int, len(order))
	for i, id := range order {
		place[id] = i
	}
	slices.SortFunc(rows, func(a, b db.Job) int { return place[a.ID] - place[b.ID] })
	return inChunks(each(rows, toJob), chunks), nil
}

// inChunks groups claimed jobs, in their order. Chunks whose runs were all answered from the cache have none.
func inChunks(jobs []job.Job, chunks []chunkOfRuns) []job.Chunk {
	var all []job.Chunk
	for _, j := range jobs {
		if j.Study == nil {
			all = append(all, job.Single(j))
			continue
		}
		if last := len(all) - 1; last < 0 || all[last].ID != j.Study.Chunk {
			i := slices.IndexFunc(chunks, func(c chunkOfRuns) bool { return c.ID == j.Study.Chunk })
			all = append(all, job.Chunk{ID: j.Study.Chunk, Parallel: chunks[i].Parallel})
		}
		c := &all[len(all)-1]
		c.Jobs = append(c.Jobs, j)
	}
	for _, c := range chunks {
		if !slices.ContainsFunc(all, func(claimed job.Chunk) bool { return claimed.ID == c.ID }) {
			all = append(all, job.Chunk{ID: c.ID, Parallel: c.Parallel})
		}
	}
	return all
}

// TenantsWithQueue implements job.Queue. Tenants that hold equal shares come in the order in which their next jobs were
// submitted.
func (d *DB) TenantsWithQueue(ctx context.Context) ([]string, error) {
	ids, err := d.q.TenantsWithQueue(ctx)
	return ids, translate(err, "listing tenants with waiting jobs")
}

// ActiveJobs implements reconcile.Jobs.
func (d *DB) ActiveJobs(ctx context.Context, limit int) ([]job.Job, error) {
	rows, err := d.q.ActiveJobs(ctx, limit)
	if err != nil {
		return nil, translate(err, "listing active jobs")
	}
	return each(rows, toJob), nil
}

// Restart implements reconcile.Jobs.
func (d *DB) Restart(ctx context.Context, ids []string, message string) (restarted []string, err error) {
	restarted, err = d.q.Restart(ctx, db.RestartParams{Ids: onlyIDs(ids), Message: storable(message)})
	return restarted, translate(err, "restarting jobs")
}
