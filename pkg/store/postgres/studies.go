package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	"github.com/jackc/pgx/v5"

	"github.com/sumo-k8/sumo-k8/pkg/idempotency"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/store/postgres/internal/db"
	"github.com/sumo-k8/sumo-k8/pkg/study"
)

// CreateStudy implements study.IntakeStore. It holds the tenant's row for the same reasons as CreateJob. Its size does not depend on the
// number of runs: they get rows when they are claimed.
func (d *DB) CreateStudy(
	ctx context.Context, s study.Study, points []study.Point, idem *idempotency.Request, limits job.Admission,
) (stored study.Study, created bool, err error) {
	if !isID(s.ID) {
		return study.Study{}, false, fmt.Errorf("creating a study: id %q is not a UUID", s.ID)
	}
	var row db.Study
	err = d.inTx(ctx, func(q *db.Queries) (err error) {
		if _, err := q.LockTenant(ctx, s.TenantID); err != nil {
			return orNone(err, noTenant(s.TenantID))
		}
		if idem != nil {
			earlier, found, err := remembered(ctx, q, s.TenantID, *idem)
			if err != nil {
				return err
			}
			if found && earlier.StudyID != nil {
				row, err = q.LockStudy(ctx, db.LockStudyParams{TenantID: s.TenantID, ID: *earlier.StudyID})
				return err
			}
		}
		if err := admitStudy(ctx, q, s.TenantID, limits); err != nil {
			return err
		}
		row, err = q.InsertStudy(ctx, db.InsertStudyParams{
			ID: s.ID, TenantID: s.TenantID, Name: s.Name, Plan: s.Plan, Priority: s.Priority, Labels: notNilMap(s.Labels), Seeds: s.Seeds,
			MaxParallel: s.MaxParallel, StopShare: s.StopShare, MetricNames: s.MetricNames, Traceparent: s.Traceparent, Runs: s.Counts.Runs,
		})
		if err != nil {
			return err
		}
		if err := insertPoints(ctx, q, s.TenantID, s.ID, points); err != nil {
			return err
		}
		created = true
		return rememberStudy(ctx, q, s.TenantID, s.ID, idem)
	})
	if err != nil {
		return study.Study{}, false, translate(err, "creating a study")
	}
	return toStudy(row, s.Namespace), created, nil
}

// admitStudy takes the place of one unfinished study, and one submission.
func admitStudy(ctx context.Context, q *db.Queries, tenantID string, limits job.Admission) error {
	n, err := q.UnfinishedStudies(ctx, db.UnfinishedStudiesParams{TenantID: tenantID, Most: limits.MaxQueued})
	if err != nil {
		return err
	}
	if int(n) >= limits.MaxQueued {
		return problem.New(problem.QueueFull, "You have %d unfinished studies, the most allowed. Wait until some have finished, or cancel "+
			"some.", n).WithRetryAfter(queueFullRetry)
	}
	return spendSubmission(ctx, q, tenantID, limits.PerMinute)
}

// rememberStudy records that idem stands for a study; nil stands for nothing.
func rememberStudy(ctx context.Context, q *db.Queries, tenantID, id string, idem *idempotency.Request) error {
	if idem == nil {
		return nil
	}
	return q.InsertIdempotencyKey(ctx, db.InsertIdempotencyKeyParams{
		TenantID: tenantID, Key: idem.Key, RequestHash: idem.RequestHash, StudyID: &id,
	})
}

// pointRow is a point as InsertPoints reads it.
type pointRow struct {
	Point          int                `json:"point"`
	Variant        string             `json:"variant"`
	Setting        study.Setting      `json:"setting"`
	Scenario       string             `json:"scenario"`
	CPURequest     int                `json:"cpu_request"`
	MemoryGi       int                `json:"memory_gi"`
	Options        simulation.Options `json:"options"`
	TimeoutSeconds int                `json:"timeout_seconds"`
	Warnings       []string           `json:"warnings"`
	CoreSeconds    *float64           `json:"core_seconds"`
	Work           string             `json:"work"`
}

func insertPoints(ctx context.Context, q *db.Queries, tenantID, studyID string, points []study.Point) error {
	rows := make([]pointRow, len(points))
	for i, p := range points {
		rows[i] = pointRow{
			Point: p.Number, Variant: p.Variant, Setting: p.Setting, Scenario: p.ScenarioDigest, CPURequest: p.CPURequest, MemoryGi: p.MemoryGi,
			Options: p.Options, TimeoutSeconds: p.TimeoutSeconds, Warnings: notNil(p.Warnings), CoreSeconds: p.CoreSeconds,
			Work: p.Work,
		}
	}
	raw, err := json.Marshal(rows)
	if err != nil {
		return fmt.Errorf("writing the points of a study: %w", err)
	}
	n, err := q.InsertPoints(ctx, db.InsertPointsParams{StudyID: studyID, TenantID: tenantID, Points: raw})
	if err == nil && int(n) < len(points) {
		// Deleting a scenario holds the tenant's row too, so it was before.
		return problem.New(problem.NotFound, "A scenario of this study was deleted meanwhile. Upload it again, and submit the study again.")
	}
	return err
}

// Study returns one of the tenant's studies, or problem.NotFound.
func (d *DB) Study(ctx context.Context, tenantID, id string) (study.Study, error) {
	if !isID(id) {
		return study.Study{}, noStudy(id)
	}
	row, err := d.q.StudyOfTenant(ctx, db.StudyOfTenantParams{TenantID: tenantID, ID: id})
	if err != nil {
		return study.Study{}, translate(orNone(err, noStudy(id)), "reading a study")
	}
	return toStudy(row.Study, row.Namespace), nil
}

// StudyVersion returns the version of one of the tenant's studies, or problem.NotFound.
func (d *DB) StudyVersion(ctx context.Context, tenantID, id string) (int64, error) {
	if !isID(id) {
		return 0, noStudy(id)
	}
	version, err := d.q.StudyVersion(ctx, db.StudyVersionParams{TenantID: tenantID, ID: id})
	return version, translate(orNone(err, noStudy(id)), "reading the version of a study")
}

// Points returns the points of a study in their order, with what has become of their runs.
func (d *DB) Points(ctx context.Context, tenantID, id string) ([]study.Point, error) {
	if !isID(id) {
		return nil, noStudy(id)
	}
	rows, err := d.q.PointsOfStudy(ctx, db.PointsOfStudyParams{TenantID: tenantID, StudyID: &id})
	if err != nil {
		return nil, translate(err, "listing the points of a study")
	}
	return each(rows, func(r db.PointsOfStudyRow) study.Point {
		p := r.StudyPoint
		return study.Point{
			Number: p.Point, Variant: p.Variant, Setting: p.Setting, ScenarioDigest: p.ScenarioDigest, ScenarioKey: p.ScenarioKey,
			OverlayKey: p.OverlayKey, CPURequest: p.CPURequest, MemoryGi: p.MemoryGi, Options: p.Options, TimeoutSeconds: p.TimeoutSeconds,
			Warnings: p.Warnings, CoreSeconds: p.CoreSeconds, Work: p.Work,
			Counts: study.Counts{
				Succeeded: r.Succeeded, Failed: r.Failed, Cancelled: r.Cancelled, Active: r.Active, Running: r.Running, Cached: r.Cached,
			},
		}
	}), nil
}

// StudyResults returns what the runs of a study came to that have a row, by point and replication, without those that were made again.
func (d *DB) StudyResults(ctx context.Context, tenantID, id string) ([]study.Result, error) {
	if !isID(id) {
		return nil, noStudy(id)
	}
	rows, err := d.q.ResultsOfStudy(ctx, db.ResultsOfStudyParams{TenantID: tenantID, StudyID: &id})
	if err != nil {
		return nil, translate(err, "reading the numbers of a study")
	}
	return each(rows, func(r db.ResultsOfStudyRow) study.Result {
		return study.Result{
			Point: r.Point, Replication: r.Replication, JobID: r.ID, State: r.State, Reason: r.Reason, SumoVersion: r.SumoVersion,
			Metrics: r.Metrics,
		}
	}), nil
}

// ListStudies returns up to limit of the tenant's studies that f describes, newest first, after the one with the id after, without their
// plans and seeds. An empty after begins with the newest. Studies made meanwhile change no later page.
func (d *DB) ListStudies(ctx context.Context, tenantID string, f study.Filter, after string, limit int) ([]study.Study, error) {
	from, err := afterID(after)
	if err != nil {
		return nil, err
	}
	p := db.ListStudiesParams{TenantID: tenantID, After: from, State: string(f.State), Most: limit}
	if len(f.Labels) > 0 {
		if p.Labels, err = json.Marshal(f.Labels); err != nil {
			return nil, fmt.Errorf("listing studies: %w", err)
		}
	}
	rows, err := d.lists.ListStudies(ctx, p)
	if err != nil {
		return nil, translate(err, "listing studies")
	}
	return each(rows, func(r db.ListStudiesRow) study.Study {
		return toStudy(db.Study{
			ID: r.ID, TenantID: tenantID, Name: r.Name, State: r.State, Message: r.Message, Priority: r.Priority, Labels: r.Labels,
			MaxParallel: r.MaxParallel, StopShare: r.StopShare, CancelRequested: r.CancelRequested, Runs: r.Runs, Succeeded: r.Succeeded,
			Failed: r.Failed, Cancelled: r.Cancelled, Active: r.Active, Running: r.Running, Cached: r.Cached, CoreSeconds: r.CoreSeconds,
			Version: r.Version, CreatedAt: r.CreatedAt, StartedAt: r.StartedAt, FinishedAt: r.FinishedAt, UpdatedAt: r.UpdatedAt,
		}, "")
	}), nil
}

// PointNames returns the points that jobs of the tenant are runs of. Jobs that belong to no study have none.
func (d *DB) PointNames(ctx context.Context, tenantID string, jobs []job.Job) (map[study.Place]study.Point, error) {
	p := db.PointNamesParams{TenantID: tenantID}
	wanted := map[study.Place]bool{}
	for _, j := range jobs {
		if j.Study == nil {
			continue
		}
		place := study.Place{Study: j.Study.ID, Point: j.Study.Point}
		if !wanted[place] {
			p.Studies, p.Points = append(p.Studies, place.Study), append(p.Points, place.Point)
		}
		wanted[place] = true
	}
	if len(wanted) == 0 {
		return nil, nil
	}
	rows, err := d.q.PointNames(ctx, p)
	if err != nil {
		return nil, translate(err, "looking up points of studies")
	}
	names := make(map[study.Place]study.Point, len(rows))
	for _, r := range rows {
		names[study.Place{Study: r.StudyID, Point: r.Point}] = study.Point{Number: r.Point, Variant: r.Variant, Setting: r.Setting}
	}
	return names, nil
}

// CancelStudy marks a study for cancelling: no further run of it starts, and reconcile stops those at work. Repeating it is no error; a
// finished study that was not cancelled is problem.Conflict.
func (d *DB) CancelStudy(ctx context.Context, tenantID, id string) (study.Study, error) {
	if !isID(id) {
		return study.Study{}, noStudy(id)
	}
	row, err := d.q.CancelStudy(ctx, db.CancelStudyParams{TenantID: tenantID, ID: id})
	if err == nil {
		return toStudy(row, ""), nil
	}
	if !errors.Is(err, pgx.ErrNoRows) {
		return study.Study{}, translate(err, "cancelling a study")
	}
	s, err := d.Study(ctx, tenantID, id)
	if err == nil && s.State != study.Cancelled {
		return study.Study{}, problem.New(problem.Conflict, "Study %s has already finished (%s), so there is nothing to cancel.", id, s.State)
	}
	return s, err
}

// ExtendStudy implements study.IntakeStore.
func (d *DB) ExtendStudy(
	ctx context.Context, before, after study.Study, added []study.Point, idem *idempotency.Request, limits job.Admission,
) (study.Study, error) {
	var row db.Study
	err := d.inTx(ctx, func(q *db.Queries) (err error) {
		if _, err := q.LockTenant(ctx, before.TenantID); err != nil {
			return orNone(err, noTenant(before.TenantID))
		}
		if idem != nil {
			if _, found, err := remembered(ctx, q, before.TenantID, *idem); err != nil || found {
				if err == nil {
					row, err = q.LockStudy(ctx, db.LockStudyParams{TenantID: before.TenantID, ID: before.ID})
				}
				return err
			}
		}
		if row, err = q.LockStudy(ctx, db.LockStudyParams{TenantID: before.TenantID, ID: before.ID}); err != nil {
			return orNone(err, noStudy(before.ID))
		}
		// Another aim has its say when the study is judged again.
		resume := after.Counts.Runs > row.Runs || !reflect.DeepEqual(before.Plan.Replications.Until, after.Plan.Replications.Until)
		if row.State != study.Running && resume {
			if err := admitStudy(ctx, q, before.TenantID, limits); err != nil {
				return err
			}
		}
		row, err = q.ExtendStudy(ctx, db.ExtendStudyParams{
			TenantID: before.TenantID, ID: before.ID, PlanBefore: before.Plan, SeedsBefore: before.Seeds, Plan: after.Plan, Seeds: after.Seeds,
			Runs: after.Counts.Runs, MaxParallel: after.MaxParallel, StopShare: after.StopShare, Resume: resume,
		})
		if errors.Is(err, pgx.ErrNoRows) {
			return problem.New(problem.Conflict, "Study %s has changed in the meantime. Read it, and extend it again.", before.ID)
		}
		if err != nil {
			return err
		}
		if err := insertPoints(ctx, q, before.TenantID, before.ID, added); err != nil {
			return err
		}
		return rememberStudy(ctx, q, before.TenantID, before.ID, idem)
	})
	return toStudy(row, before.Namespace), translate(err, "extending a study")
}

// RetryStudy implements study.IntakeStore. A run that is made again keeps its row, which is superseded.
func (d *DB) RetryStudy(
	ctx context.Context, tenantID, id string, idem *idempotency.Request, limits job.Admission,
) (s study.Study, again int, err error) {
	if !isID(id) {
		return s, 0, noStudy(id)
	}
	var row db.Study
	err = d.inTx(ctx, func(q *db.Queries) (err error) {
		if _, err := q.LockTenant(ctx, tenantID); err != nil {
			return orNone(err, noTenant(tenantID))
		}
		found := false
		if idem != nil {
			if _, found, err = remembered(ctx, q, tenantID, *idem); err != nil {
				return err
			}
		}
		if row, err = q.LockStudy(ctx, db.LockStudyParams{TenantID: tenantID, ID: id}); err != nil || found {
			return orNone(err, noStudy(id))
		}
		if row.State == study.Running && row.CancelRequested {
			return problem.New(problem.Conflict, "Study %s is being cancelled. Wait until it has stopped, and retry it then.", id)
		}
		if row.Purging {
			return problem.New(problem.Conflict, "Study %s is being purged.", id)
		}
		superseded, err := q.SupersedeEnded(ctx, &id)
		if err != nil {
			return err
		}
		again = int(superseded)
		if row.State == study.Cancelled || row.State == study.Failed {
			unplaced, err := q.UnplacedRuns(ctx, id)
			if err != nil {
				return err
			}
			again = int(unplaced)
		}
		// A sequential study may have been cancelled between two rounds, when nothing was left to be run.
		between := row.State == study.Cancelled && row.Plan.Replications.Until != nil
		if again == 0 && !between {
			return problem.New(problem.Conflict, "No run of study %s has failed or was cancelled, so there is nothing to run again.", id)
		}
		if row.State != study.Running {
			if err := admitStudy(ctx, q, tenantID, limits); err != nil {
				return err
			}
		}
		if err := refreshPoints(ctx, q, tenantID, id); err != nil {
			return err
		}
		if row, err = q.ResumeStudy(ctx, id); err != nil {
			return err
		}
		return rememberStudy(ctx, q, tenantID, id, idem)
	})
	if err != nil {
		return s, 0, translate(err, "retrying a study")
	}
	return toStudy(row, ""), again, nil
}

// PurgeStudy implements study.PurgeStore.
func (d *DB) PurgeStudy(ctx context.Context, tenantID, id string) (s study.Study, err error) {
	if !isID(id) {
		return s, noStudy(id)
	}
	err = d.inTx(ctx, func(q *db.Queries) error {
		t, err := q.LockTenant(ctx, tenantID)
		if err != nil {
			return orNone(err, noTenant(tenantID))
		}
		row, err := q.LockStudy(ctx, db.LockStudyParams{TenantID: tenantID, ID: id})
		if err != nil {
			return orNone(err, noStudy(id))
		}
		if row.State == study.Running {
			return unfinished(id)
		}
		if err := q.MarkStudyPurging(ctx, id); err != nil {
			return err
		}
		s = toStudy(row, t.Namespace)
		return q.MarkAllRunsPruned(ctx, &id)
	})
	return s, translate(err, "beginning to purge a study")
}

// unfinished says that a study cannot be purged yet.
func unfinished(id string) error {
	return problem.New(problem.Conflict, "Study %s is %s. Cancel it first, and purge it once it has finished.", id, study.Running)
}

// refreshPoints has the runs of a study find their scenarios, which nothing kept from being deleted while it was finished.
func refreshPoints(ctx context.Context, q *db.Queries, tenantID, id string) error {
	missing, err := q.PointsWithoutScenario(ctx, db.PointsWithoutScenarioParams{StudyID: id, TenantID: tenantID})
	if err != nil {
		return err
	}
	if missing > 0 {
		return problem.New(problem.Conflict, "A scenario of study %s was deleted. Upload it again, and retry the study then.", id)
	}
	return q.RefreshPoints(ctx, db.RefreshPointsParams{StudyID: id, TenantID: tenantID})
}

// DeleteStudyRuns implements study.PurgeStore.
func (d *DB) DeleteStudyRuns(ctx context.Context, tenantID, id string, limit int) (int, error) {
	var ids []string
	err := d.inTx(ctx, func(q *db.Queries) (err error) {
		if ids, err = q.DeleteStudyRuns(ctx, db.DeleteStudyRunsParams{TenantID: tenantID, StudyID: &id, Most: limit}); err != nil {
			return err
		}
		return q.ForgetDeliveriesOfJobs(ctx, notNil(ids))
	})
	return len(ids), translate(err, "deleting runs of a study")
}

// DeleteStudy implements study.PurgeStore.
func (d *DB) DeleteStudy(ctx context.Context, tenantID, id string) error {
	var n int64
	err := d.inTx(ctx, func(q *db.Queries) (err error) {
		if n, err = q.DeleteStudy(ctx, db.DeleteStudyParams{TenantID: tenantID, ID: id}); err != nil || n == 0 {
			return err
		}
		return q.ForgetDeliveriesOfJobs(ctx, []string{id}) // their job_id is the study's
	})
	if err != nil || n > 0 {
		return translate(err, "deleting a study")
	}
	if _, err := d.Study(ctx, tenantID, id); err != nil {
		return err
	}
	return unfinished(id)
}

// CoreSeconds implements study.IntakeStore.
func (d *DB) CoreSeconds(ctx context.Context, tenantID string, digests []string) (map[string]float64, error) {
	rows, err := d.q.CoreSecondsOfScenarios(ctx, db.CoreSecondsOfScenariosParams{TenantID: tenantID, Digests: notNil(digests)})
	if err != nil {
		return nil, translate(err, "looking up earlier runs of scenarios")
	}
	known := make(map[string]float64, len(rows))
	for _, r := range rows {
		known[r.Digest] = r.CoreSeconds
	}
	return known, nil
}

func noStudy(id string) error {
	return problem.New(problem.NotFound, "No study %.80q. Check the id: it is the study_id of the answer to your submission.", id)
}

func toStudy(r db.Study, namespace string) study.Study {
	return study.Study{
		ID: r.ID, TenantID: r.TenantID, Namespace: namespace, Name: r.Name, State: r.State, Message: r.Message, Plan: r.Plan,
		Priority: r.Priority, Labels: r.Labels, Seeds: r.Seeds, MaxParallel: r.MaxParallel, StopShare: r.StopShare, MetricNames: r.MetricNames,
		Traceparent: r.Traceparent, CancelRequested: r.CancelRequested, Purging: r.Purging, Version: r.Version,
		CreatedAt: r.CreatedAt, StartedAt: r.StartedAt,
		FinishedAt: r.FinishedAt, UpdatedAt: r.UpdatedAt,
		Counts: study.Counts{
			Runs: r.Runs, Succeeded: r.Succeeded, Failed: r.Failed, Cancelled: r.Cancelled, Active: r.Active, Running: r.Running,
			Cached: r.Cached, CoreSeconds: r.CoreSeconds,
		},
	}
}
