package postgres

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/idempotency"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/store/postgres/internal/db"
)

// queueFullRetry is about how long a short simulation takes: by then the queue has room again.
const queueFullRetry = 30 * time.Second

// CreateJob implements job.IntakeStore. The namespace and the scenario's object key are taken from the tenant and the
// scenario, and a zero SubmittedAt becomes the database's time.
//
// The tenant's row is locked first. This makes submissions of one tenant follow each other, which gives two exact
// guarantees in a simple way: identical requests make one job, as the later ones see the earlier one's key, and the queue
// never exceeds its cap. A transaction takes about a millisecond, so a tenant can submit many hundreds of jobs a second;
// tenants do not wait for each other.
func (d *DB) CreateJob(
	ctx context.Context, j job.Job, idem *idempotency.Request, limits job.Admission,
) (stored job.Job, created bool, err error) {
	if !isID(j.ID) {
		return job.Job{}, false, fmt.Errorf("creating a job: id %q is not a UUID", j.ID)
	}
	var row db.Job
	err = d.inTx(ctx, func(q *db.Queries) (err error) {
		if _, err := q.LockTenant(ctx, j.TenantID); err != nil {
			return orNone(err, noTenant(j.TenantID))
		}
		if idem != nil {
			found := false
			if stored, found, err = jobOf(ctx, q, j.TenantID, *idem); found || err != nil {
				return err
			}
		}
		depth, err := q.QueueDepth(ctx, db.QueueDepthParams{TenantID: j.TenantID, Most: limits.MaxQueued})
		if err != nil {
			return err
		}
		if int(depth) >= limits.MaxQueued {
			return problem.New(problem.QueueFull, "You have %d jobs waiting, the most allowed. "+
				"Wait until some have started, or cancel some.", depth).WithRetryAfter(queueFullRetry)
		}
		if err := spendSubmission(ctx, q, j.TenantID, limits.PerMinute); err != nil {
			return err
		}
		row, err = q.InsertJob(ctx, db.InsertJobParams{
			ID: j.ID, TenantID: j.TenantID, Name: j.Name, ScenarioDigest: j.ScenarioDigest, ResultsKey: j.ResultsKey,
			CPURequest: j.CPURequest, MemoryGi: j.MemoryGi, Priority: j.Priority, Options: j.Options,
			TimeoutSeconds: j.TimeoutSeconds, Labels: j.Labels, TaskToken: j.TaskToken, AnswersTask: j.AnswersTask,
			ProgressWebhook: j.ProgressWebhook, Traceparent: j.Traceparent, Warnings: notNil(j.Warnings), SubmittedAt: known(j.SubmittedAt),
			Work: j.Work,
		})
		if err != nil {
			return orNone(err, noScenario(j.ScenarioDigest))
		}
		created = true
		if j.Webhook != nil {
			if err := createHookOfJob(ctx, q, j); err != nil {
				return err
			}
		}
		if j.UseCache { // after its webhook is there
			answered, err := q.AnswerFromCache(ctx, []string{j.ID})
			if err != nil {
				return err
			}
			if len(answered) > 0 {
				row = answered[0]
			}
		}
		if idem == nil {
			return nil
		}
		return q.InsertIdempotencyKey(ctx, db.InsertIdempotencyKeyParams{
			TenantID: j.TenantID, Key: idem.Key, RequestHash: idem.RequestHash, JobID: &j.ID,
		})
	})
	if err != nil {
		return job.Job{}, false, translate(err, "creating a job")
	}
	if created {
		stored = toJob(row)
		stored.Webhook = j.Webhook
	}
	return stored, created, nil
}

// JobOf implements job.IntakeStore.
func (d *DB) JobOf(ctx context.Context, tenantID string, idem idempotency.Request) (j job.Job, found bool, err error) {
	j, found, err = jobOf(ctx, d.q, tenantID, idem)
	return j, found, translate(err, "looking up an idempotency key")
}

// jobOf returns the job that idem has made, with its webhook.
func jobOf(ctx context.Context, q *db.Queries, tenantID string, idem idempotency.Request) (j job.Job, found bool, err error) {
	made, found, err := remembered(ctx, q, tenantID, idem)
	if err != nil || !found || made.JobID == nil {
		return job.Job{}, false, err
	}
	row, err := q.JobOfTenant(ctx, db.JobOfTenantParams{TenantID: tenantID, ID: *made.JobID})
	if err != nil {
		return job.Job{}, false, orNone(err, noJob(*made.JobID))
	}
	j = toJob(row)
	j.Webhook, err = hookOfJob(ctx, q, tenantID, row.ID)
	return j, true, err
}

// spendSubmission takes one of the submissions that a tenant may make in a minute. A transaction that fails gives it back.
func spendSubmission(ctx context.Context, q *db.Queries, tenantID string, perMinute int) error {
	if perMinute <= 0 {
		return nil
	}
	share := time.Minute / time.Duration(perMinute)
	allowance := time.Minute - share // what may be spent already when one more is taken
	n, err := q.SpendSubmission(ctx, db.SpendSubmissionParams{ID: tenantID, Share: share, Allowance: allowance})
	if err != nil || n > 0 {
		return err
	}
	wait, err := q.NextSubmission(ctx, db.NextSubmissionParams{ID: tenantID, Allowance: allowance})
	if err != nil {
		return err
	}
	wait = max(time.Second, wait.Truncate(time.Second)+time.Second) // Retry-After counts in seconds
	return problem.New(problem.RateLimited, "You have submitted %d jobs within a minute, the most allowed. "+
		"The next one is accepted in %s.", perMinute, wait).WithRetryAfter(wait)
}

// Job returns one of the tenant's jobs, or problem.NotFound.
func (d *DB) Job(ctx context.Context, tenantID, id string) (job.Job, error) {
	if !isID(id) {
		return job.Job{}, noJob(id)
	}
	row, err := d.jobRow(ctx, tenantID, id)
	if err != nil {
		return job.Job{}, translate(orNone(err, noJob(id)), "reading a job")
	}
	return toJob(row), nil
}

// JobStates returns the states of those of the jobs that exist, by id, of any tenant.
func (d *DB) JobStates(ctx context.Context, ids []string) (map[string]job.State, error) {
	rows, err := d.q.JobStates(ctx, onlyIDs(ids))
	if err != nil {
		return nil, translate(err, "reading the states of jobs")
	}
	states := make(map[string]job.State, len(rows))
	for _, r := range rows {
		states[r.ID] = r.State
	}
	return states, nil
}

// jobRow reads a job by its id, or by the one that it had in the predecessor.
func (d *DB) jobRow(ctx context.Context, tenantID, id string) (db.Job, error) {
	row, err := d.q.JobOfTenant(ctx, db.JobOfTenantParams{TenantID: tenantID, ID: id})
	if errors.Is(err, pgx.ErrNoRows) {
		return d.q.ImportedJobOfTenant(ctx, db.ImportedJobOfTenantParams{TenantID: tenantID, ID: &id})
	}
	return row, err
}

// RecentJobs returns the tenant's newest jobs, newest first.
func (d *DB) RecentJobs(ctx context.Context, tenantID string, limit int) ([]job.Job, error) {
	rows, err := d.q.RecentJobs(ctx, db.RecentJobsParams{TenantID: tenantID, Most: limit})
	if err != nil {
		return nil, translate(err, "listing recent jobs")
	}
	return each(rows, toJob), nil
}

// ListJobs returns up to limit of the tenant's jobs that f describes, newest first, after the place after.
func (d *DB) ListJobs(ctx context.Context, tenantID string, f job.Filter, after string, limit int) ([]job.Job, error) {
	params, err := listParams(tenantID, f, after, limit)
	if err != nil {
		return nil, err
	}
	rows, err := d.lists.ListJobs(ctx, params)
	if err != nil {
		return nil, translate(err, "listing jobs")
	}
	return each(rows, toJob), nil
}

func listParams(tenantID string, f job.Filter, after string, limit int) (db.ListJobsParams, error) {
	p := db.ListJobsParams{
		TenantID: tenantID, Point: f.Point, Variant: f.Variant, State: string(f.State), Name: f.Name, Most: limit,
		SubmittedAfter: known(f.SubmittedAfter), SubmittedBefore: known(f.SubmittedBefore),
	}
	if _, err := afterID(after); err != nil {
		return p, err
	}
	switch {
	case f.Study == "" && (f.Point != nil || f.Variant != ""):
		return p, problem.New(problem.Invalid, "point and variant select runs of a study. Name the study too.")
	case f.Study != "" && !isID(f.Study):
		return p, problem.New(problem.Invalid, "study is %.80q, which is not the id of a study. Take the study_id from its submission.", f.Study)
	case f.Study != "":
		p.StudyID = &f.Study
	}
	if !f.SubmittedAfter.IsZero() {
		least := firstID(f.SubmittedAfter.Add(-idSlack))
		p.Least = &least
	}
	if !f.SubmittedBefore.IsZero() {
		if end := firstID(f.SubmittedBefore.Add(idSlack)); after == "" || end < after {
			after = end
		}
	}
	if after != "" {
		p.After = &after
	}
	if len(f.Labels) > 0 {
		var err error
		if p.Labels, err = json.Marshal(f.Labels); err != nil {
			return p, fmt.Errorf("listing jobs: %w", err)
		}
	}
	return p, nil
}

// afterID is the id that a page of jobs begins after; nil for the first page.
func afterID(after string) (*string, error) {
	switch {
	case after == "":
		return nil, nil
	case !isID(after):
		return nil, errCursor()
	}
	return &after, nil
}

func errCursor() error {
	return problem.New(problem.Invalid, "The cursor is not valid. Start without a cursor.")
}

// idSlack is far more than may lie between the time in a job's id and that of its submission, which are taken one after
// the other.
const idSlack = time.Minute

// firstID is the least UUIDv7 of a time. With it the primary order leads to a time, without an index on times.
func firstID(at time.Time) string {
	const most = 1<<48 - 1 // milliseconds that a UUIDv7 can hold
	ms := min(max(at.UnixMilli(), 0), most)
	return fmt.Sprintf("%08x-%04x-0000-0000-000000000000", ms>>16, ms&0xffff)
}

// DeleteJob implements job.PurgeStore.
func (d *DB) DeleteJob(ctx context.Context, tenantID, id string) error {
	j, err := d.Job(ctx, tenantID, id)
	if err != nil {
		return err
	}
	var n int64
	place := j.Place()
	err = d.inTx(ctx, func(q *db.Queries) error {
		if n, err = q.DeleteJob(ctx, db.DeleteJobParams{TenantID: tenantID, ID: place}); err != nil || n == 0 {
			return err
		}
		// What still waits is sent, and forgotten then.
		return q.ForgetDeliveriesOfJob(ctx, place)
	})
	if err != nil {
		return translate(err, "deleting a job")
	}
	if n == 0 {
		return job.Unpurgeable(j)
	}
	return nil
}

// AllJobs returns jobs of all tenants, newest first, after the one with the id after. The total counts all jobs in the state, whatever
// the page.
func (d *DB) AllJobs(ctx context.Context, state job.State, after string, limit int) (jobs []job.Job, total int, err error) {
	var rows []db.Job
	var count int64
	from, err := afterID(after)
	if err != nil {
		return nil, 0, err
	}
	if state == "" {
		rows, err = d.q.AllJobs(ctx, db.AllJobsParams{After: from, Most: limit})
	} else {
		rows, err = d.q.AllJobsInState(ctx, db.AllJobsInStateParams{State: state, After: from, Most: limit})
	}
	if err == nil && state == "" {
		count, err = d.q.CountJobs(ctx)
	} else if err == nil {
		count, err = d.q.CountJobsInState(ctx, state)
	}
	if err != nil {
		return nil, 0, translate(err, "listing all jobs")
	}
	return each(rows, toJob), int(count), nil
}

// Events returns a job's transitions, oldest first.
func (d *DB) Events(ctx context.Context, tenantID, id string) ([]job.Event, error) {
	if !isID(id) {
		return nil, noJob(id)
	}
	rows, err := d.q.Events(ctx, db.EventsParams{TenantID: tenantID, JobID: id})
	if err == nil && len(rows) == 0 { // a job has an event from its first moment on
		var j db.Job
		if j, err = d.q.ImportedJobOfTenant(ctx, db.ImportedJobOfTenantParams{TenantID: tenantID, ID: &id}); err == nil {
			rows, err = d.q.Events(ctx, db.EventsParams{TenantID: tenantID, JobID: j.ID})
		}
	}
	if err != nil {
		return nil, translate(orNone(err, noJob(id)), "listing a job's events")
	}
	return each(rows, func(e db.JobEvent) job.Event {
		return job.Event{
			JobID: id, Seq: e.Seq, At: e.At, From: e.FromState, To: e.ToState, Reason: e.Reason, Message: e.Message,
		}
	}), nil
}

// Usage counts the tenant's jobs by state and what its active ones hold.
func (d *DB) Usage(ctx context.Context, tenantID string) (job.Usage, error) {
	rows, err := d.q.Usage(ctx, tenantID)
	if err != nil {
		return job.Usage{}, translate(err, "counting a tenant's jobs")
	}
	usage := job.Usage{ByState: map[job.State]int{}}
	for _, r := range rows {
		usage.ByState[r.State] = int(r.Jobs)
		usage.Held, usage.CPU, usage.MemoryGi = int(r.Held), int(r.CPU), int(r.MemoryGi)
	}
	return usage, nil
}

// UsageByTenant is Usage of every tenant that has jobs.
func (d *DB) UsageByTenant(ctx context.Context) (map[string]job.Usage, error) {
	rows, err := d.q.UsageByTenant(ctx)
	if err != nil {
		return nil, translate(err, "counting jobs")
	}
	usages := map[string]job.Usage{}
	for _, r := range rows {
		usage, ok := usages[r.TenantID]
		if !ok {
			usage.ByState = map[job.State]int{}
		}
		usage.ByState[r.State] = int(r.Jobs)
		usage.Held, usage.CPU, usage.MemoryGi = int(r.Held), int(r.CPU), int(r.MemoryGi)
		usages[r.TenantID] = usage
	}
	return usages, nil
}

// ReplaceVersion implements job.VersionRecord.
func (d *DB) ReplaceVersion(ctx context.Context, id, version, accepted string, stale, notes []string) error {
	err := d.q.ReplaceVersion(ctx, db.ReplaceVersionParams{ID: id, Version: version, Accepted: accepted, Stale: stale, Notes: notNil(notes)})
	return translate(err, "replacing a job's version of SUMO")
}

// RequestCancel marks a job for cancelling; a QUEUED one is CANCELLED at once.
func (d *DB) RequestCancel(ctx context.Context, tenantID, id string) (job.Job, error) {
	if !isID(id) {
		return job.Job{}, noJob(id)
	}
	row, err := d.q.RequestCancel(ctx, db.RequestCancelParams{TenantID: tenantID, ID: id})
	if err == nil {
		return toJob(row), nil
	}
	if !errors.Is(err, pgx.ErrNoRows) {
		return job.Job{}, translate(err, "cancelling a job")
	}
	// There is no such job, or it has finished; a finished job never changes, so this read cannot be outdated.
	j, err := d.Job(ctx, tenantID, id)
	if err == nil && j.State != job.Cancelled {
		return job.Job{}, problem.New(problem.Conflict, "Job %s has already finished (%s), so there is nothing to cancel.", id, j.State)
	}
	return j, err
}

// ExpiredResults implements reconcile.Jobs, longest finished first.
func (d *DB) ExpiredResults(ctx context.Context, before time.Time, limit int) ([]job.Job, error) {
	rows, err := d.q.ExpiredResults(ctx, db.ExpiredResultsParams{Before: before, Most: limit})
	if err != nil {
		return nil, translate(err, "listing expired results")
	}
	return each(rows, toJob), nil
}

// MarkResultsPruned implements reconcile.Jobs. Jobs that have not finished are left alone.
func (d *DB) MarkResultsPruned(ctx context.Context, ids []string) error {
	return translate(d.q.MarkResultsPruned(ctx, onlyIDs(ids)), "marking results as pruned")
}

// PruneIdempotencyKeys implements reconcile.Jobs, oldest first.
func (d *DB) PruneIdempotencyKeys(ctx context.Context, before time.Time, limit int) (int, error) {
	n, err := d.q.PruneIdempotencyKeys(ctx, db.PruneIdempotencyKeysParams{Before: before, Most: limit})
	return int(n), translate(err, "pruning idempotency keys")
}

// ActiveChunks implements reconcile.Jobs.
func (d *DB) ActiveChunks(ctx context.Context, ids []string) (map[string]bool, error) {
	found, err := d.q.ActiveChunks(ctx, onlyIDs(ids))
	if err != nil {
		return nil, translate(err, "looking up chunks")
	}
	active := make(map[string]bool, len(found))
	for _, id := range found {
		active[id] = true
	}
	return active, nil
}

// KnownJobs implements reconcile.Jobs.
func (d *DB) KnownJobs(ctx context.Context, ids []string) (map[string]bool, error) {
	found, err := d.q.KnownJobs(ctx, onlyIDs(ids))
	if err != nil {
		return nil, translate(err, "looking up jobs")
	}
	known := make(map[string]bool, len(found))
	for _, id := range found {
		known[id] = true
	}
	return known, nil
}

// isID reports whether s is a UUID in canonical form, the only form that this service gives out.
func isID(s string) bool {
	id, err := uuid.Parse(s)
	return err == nil && id.String() == s
}

// onlyIDs leaves out what cannot be the id of a job.
func onlyIDs(ids []string) []string {
	out := make([]string, 0, len(ids))
	for _, id := range ids {
		if isID(id) {
			out = append(out, id)
		}
	}
	return out
}

func noJob(id string) error {
	return problem.New(problem.NotFound, "No job %.80q. Check the id: it is the job_id of the answer to your submission.", id)
}

func toJob(r db.Job) job.Job {
	j := job.Job{
		ID: r.ID, TenantID: r.TenantID, Namespace: r.Namespace, Name: r.Name,
		ScenarioDigest: r.ScenarioDigest, ScenarioKey: r.ScenarioKey, OverlayKey: r.OverlayKey,
		ResultsKey: cmp.Or(r.ResultsKey, artifact.ResultsOf(r.Namespace, r.ID)),
		State:      r.State, Reason: r.Reason, Message: r.Message, Progress: r.Progress,
		CPURequest: r.CPURequest, MemoryGi: r.MemoryGi, Priority: r.Priority, Options: r.Options,
		TimeoutSeconds: r.TimeoutSeconds, Labels: r.Labels, TaskToken: r.TaskToken, AnswersTask: r.AnswersTask,
		ProgressWebhook: r.ProgressWebhook, Traceparent: r.Traceparent,
		Attempt: r.Attempt, Lost: r.Lost, CancelRequested: r.CancelRequested,
		SumoVersion: r.SumoVersion, Summary: r.Summary, Results: r.Results, ResultsPruned: r.ResultsPruned, Confinement: r.Confinement,
		Problems: r.Problems, KeptScenario: r.KeptScenario, Image: r.Image,
		Work:        r.Work,
		SubmittedAt: r.SubmittedAt, DispatchedAt: r.DispatchedAt, StartedAt: r.StartedAt, FinishedAt: r.FinishedAt, UpdatedAt: r.UpdatedAt,
	}
	if r.CachedFrom != nil {
		j.CachedFrom = *r.CachedFrom
	}
	if r.StudyID != nil {
		j.Study = &job.StudyRun{ID: *r.StudyID, Point: *r.Point, Replication: *r.Replication, Superseded: r.Superseded}
		if r.ChunkID != nil {
			j.Study.Chunk = *r.ChunkID
		}
	}
	if len(r.Warnings) > 0 {
		j.Warnings = r.Warnings
	}
	if r.Imported != nil {
		j.ID, j.Imported = *r.ImportedID, r.Imported
		j.Imported.Place = r.ID
	}
	return j
}
