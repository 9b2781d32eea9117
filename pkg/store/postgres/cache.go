package postgres

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/store/postgres/internal/db"
	"github.com/sumo-k8/sumo-k8/pkg/study"
)

// lookUpBatch bounds the runs of a study that are answered from the cache in one transaction: some tenths of a second.
const lookUpBatch = 500

// lookUp answers runs of studies from the cache, those of each study once for its present seeds and points. They need no room under their
// tenant's limits.
func (d *DB) lookUp(ctx context.Context) error {
	due, err := d.q.StudiesToLookUp(ctx)
	for _, s := range due {
		for more := true; more && err == nil; {
			err = d.inTx(ctx, func(q *db.Queries) (err error) {
				more, err = lookUpStudy(ctx, q, s.TenantID, s.ID)
				return err
			})
		}
	}
	return translate(err, "looking up runs in the cache")
}

// lookUpStudy answers some runs of a study; more reports whether there may be others.
func lookUpStudy(ctx context.Context, q *db.Queries, tenantID, id string) (more bool, err error) {
	t, err := q.LockTenant(ctx, tenantID)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil // deleted meanwhile, with its studies
	}
	if err != nil {
		return false, err
	}
	s, err := q.LockStudy(ctx, db.LockStudyParams{TenantID: tenantID, ID: id})
	if errors.Is(err, pgx.ErrNoRows) || err == nil && (s.State != study.Running || s.CancelRequested) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	found, err := q.CachedRuns(ctx, db.CachedRunsParams{StudyID: s.ID, Most: lookUpBatch})
	if err != nil {
		return false, err
	}
	if len(found) > 0 {
		p := db.InsertCachedRunsParams{StudyID: s.ID, Results: artifact.StudyResults(t.Namespace, s.ID)}
		for _, r := range found {
			id, err := newID()
			if err != nil {
				return false, err
			}
			p.Ids, p.Points, p.Replications = append(p.Ids, id), append(p.Points, r.Point), append(p.Replications, r.Replication)
		}
		if err := q.InsertCachedRuns(ctx, p); err != nil {
			return false, err
		}
		if _, err := q.AnswerFromCache(ctx, p.Ids); err != nil {
			return false, err
		}
	}
	if len(found) == lookUpBatch {
		return true, nil
	}
	return false, q.MarkLookedUp(ctx, db.MarkLookedUpParams{ID: s.ID, Runs: s.Runs})
}

// KnownWork implements study.IntakeStore.
func (d *DB) KnownWork(ctx context.Context, tenantID string, works []string) (map[string]bool, error) {
	found, err := d.q.KnownWork(ctx, db.KnownWorkParams{TenantID: tenantID, Works: notNil(works)})
	if err != nil {
		return nil, translate(err, "looking up the cache")
	}
	known := make(map[string]bool, len(found))
	for _, w := range found {
		known[w] = true
	}
	return known, nil
}

// always is later than any job has finished.
var always = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// ReleaseResults implements job.PurgeStore and reconcile.Jobs.
func (d *DB) ReleaseResults(ctx context.Context, tenantID, id string) (r job.Released, err error) {
	rows, err := d.release(ctx, tenantID, db.ReleaseResultsParams{Ids: onlyIDs([]string{id}), Before: always})
	for _, row := range rows {
		key := row.ResultsKey
		if key == "" {
			key = artifact.ResultsOf(row.Namespace, row.ID)
		}
		if row.Shared {
			r.Keep = append(r.Keep, key)
		} else {
			r.Remove = append(r.Remove, key)
		}
	}
	return r, err
}

// ReleaseStudyResults implements study.PurgeStore and reconcile.Jobs.
func (d *DB) ReleaseStudyResults(ctx context.Context, tenantID, id string, before time.Time) (r job.Released, err error) {
	if before.IsZero() {
		before = always
	}
	rows, err := d.release(ctx, tenantID, db.ReleaseResultsParams{Ids: []string{}, StudyID: &id, Before: before})
	for _, row := range rows {
		switch own := strings.HasPrefix(row.ResultsKey, artifact.StudyResults(row.Namespace, id)); {
		case own && row.Shared:
			r.Keep = append(r.Keep, row.ResultsKey)
		case !own && !row.Shared:
			r.Remove = append(r.Remove, row.ResultsKey)
		}
	}
	slices.Sort(r.Remove) // several runs may have taken the same results
	r.Remove = slices.Compact(r.Remove)
	return r, err
}

func (d *DB) release(ctx context.Context, tenantID string, p db.ReleaseResultsParams) (rows []db.ReleaseResultsRow, err error) {
	err = d.inTx(ctx, func(q *db.Queries) error {
		if _, err := q.LockTenant(ctx, tenantID); err != nil {
			return orNone(err, noTenant(tenantID))
		}
		rows, err = q.ReleaseResults(ctx, p)
		return err
	})
	return rows, translate(err, "releasing results")
}
