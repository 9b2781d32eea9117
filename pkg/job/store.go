package job

import (
	"context"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/idempotency"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// Store keeps jobs. Calls that name a tenant see that tenant's jobs only; a job of another tenant is problem.NotFound.
type Store interface {
	// CreateJob stores j, QUEUED, with its first event in one transaction. When idem is not nil the transaction also
	// records it, and a key that is already recorded wins: the job it made is returned with created false, or
	// problem.KeyReused when it was recorded for another payload. What is beyond limits is problem.QueueFull or
	// problem.RateLimited, and exactly so, however many submit at once.
	CreateJob(ctx context.Context, j Job, idem *idempotency.Request, limits Admission) (stored Job, created bool, err error)
	// Job returns one job.
	Job(ctx context.Context, tenantID, id string) (Job, error)
	// RecentJobs returns the tenant's newest jobs, newest first.
	RecentJobs(ctx context.Context, tenantID string, limit int) ([]Job, error)
	// ListJobs returns up to limit of the tenant's jobs that f describes, newest first, behind the job with the id after.
	// An empty after begins with the newest. Jobs that arrive meanwhile change no later page.
	ListJobs(ctx context.Context, tenantID string, f Filter, after string, limit int) ([]Job, error)
	// DeleteJob forgets a job that is over, with its events. One that is not is problem.Conflict.
	DeleteJob(ctx context.Context, tenantID, id string) error
	// AllJobs returns the newest jobs of all tenants, newest first; an empty state means any. It is for operators.
	AllJobs(ctx context.Context, state State, limit int) (jobs []Job, total int, err error)
	// Events returns a job's transitions, oldest first.
	Events(ctx context.Context, tenantID, id string) ([]Event, error)
	// Usage counts the tenant's jobs by state and what its active ones hold.
	Usage(ctx context.Context, tenantID string) (Usage, error)
	// UsageByTenant is Usage of every tenant that has jobs.
	UsageByTenant(ctx context.Context) (map[string]Usage, error)
	// QueueByTenant is Usage, with limits, of every tenant of which jobs wait or run, the longest waiting first. It is for
	// operators, as the next.
	QueueByTenant(ctx context.Context) ([]TenantQueue, error)
	// ActivitySince returns the minutes since then in which something happened, in order, and the failures among it, the
	// most frequent first. Jobs that were deleted meanwhile do not count.
	ActivitySince(ctx context.Context, since time.Time) ([]Activity, []Failure, error)

	// RequestCancel marks the job for cancelling. A QUEUED job becomes CANCELLED at once; an active one keeps its state
	// until its engine has stopped it. Repeating it is no error; a job that is over, other than CANCELLED, is
	// problem.Conflict.
	RequestCancel(ctx context.Context, tenantID, id string) (Job, error)

	// Claim moves the jobs of one tenant that fit under its limits from QUEUED to PENDING and returns them. It holds the
	// tenant's row while it decides, so that any number of callers together never exceed the limits.
	Claim(ctx context.Context, tenantID string, max int) ([]Job, error)
	// TenantsWithQueue lists the tenants that have QUEUED jobs, those that hold least of their limits first.
	TenantsWithQueue(ctx context.Context) ([]string, error)

	// ActiveJobs returns up to limit jobs that are PENDING or RUNNING, oldest first.
	ActiveJobs(ctx context.Context, limit int) ([]Job, error)
	// Apply writes what was observed of many jobs in one statement. An update that would move a job backwards, or that
	// concerns a finished job, changes nothing. It returns the ids whose state changed.
	Apply(ctx context.Context, updates []Update) (changed []string, err error)
	// Restart counts another attempt of an active job whose run was lost, and returns the new count.
	Restart(ctx context.Context, id string, message string) (attempt int, err error)

	// ExpiredResults returns finished jobs whose results are older than before and not yet pruned.
	ExpiredResults(ctx context.Context, before time.Time, limit int) ([]Job, error)
	// MarkResultsPruned records that the results of these jobs are gone.
	MarkResultsPruned(ctx context.Context, ids []string) error
	// PruneIdempotencyKeys removes keys recorded before the given time and returns how many.
	PruneIdempotencyKeys(ctx context.Context, before time.Time, limit int) (int, error)
	// KnownJobs returns those of ids that exist.
	KnownJobs(ctx context.Context, ids []string) (map[string]State, error)
}

// Filter describes jobs. Each field narrows the choice; its zero value does not.
type Filter struct {
	State           State
	Name            string
	Labels          map[string]string // all of them must be on the job
	SubmittedAfter  time.Time
	SubmittedBefore time.Time
}

// Admission bounds what one tenant may submit.
type Admission struct {
	MaxQueued int // jobs waiting at a time
	// PerMinute is how many jobs may be submitted in a minute, 0 for any number: as many at once, and then one more after
	// each such part of a minute.
	PerMinute int
}

// Usage is what a tenant has waiting and running.
type Usage struct {
	ByState  map[State]int
	CPU      int // cores held by active jobs
	MemoryGi int // GiB held by active jobs
}

// Active is how many jobs hold a part of the limits.
func (u Usage) Active() int { return u.ByState[Pending] + u.ByState[Running] }

// Update is what was learnt of one job.
type Update struct {
	ID       string
	State    State // Pending, Running or a terminal state
	Reason   simulation.Reason
	Message  string
	Progress float64
	// StartedAt and FinishedAt are nil while unknown; a known time is never unset.
	StartedAt  *time.Time
	FinishedAt *time.Time
	// The rest is set with a terminal state.
	SumoVersion string
	Summary     *simulation.Summary
	Results     []ResultFile
	Confinement *simulation.Confinement
}
