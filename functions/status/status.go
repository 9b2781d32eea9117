// Package status answers questions: what became of a job, what a tenant uses, how the service is doing.
package status

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/view"
)

// Function answers the reading calls.
type Function struct {
	Jobs      Jobs
	Studies   Studies
	Scenarios Scenarios
	Webhooks  Webhooks
	Objects   Objects
	Views     *view.Keeper
	Limits    scenario.Limits // of the zips that networks are read from
	Versions  simulation.Offer
	// Programs is whether tenants that may can have jobs with programs.
	Programs     bool
	LinkLifetime time.Duration
	// Slots is how many runs the engine carries out at a time, for forecasts; 0 where it has no bound of its own.
	Slots int
	// LinkSecret reads what signs links to ourselves, and PublicURL is what they begin with; if empty, the address of each request.
	LinkSecret func(context.Context) ([]byte, error)
	PublicURL  string
	// Release is the version of this service.
	Release string
	Now     func() time.Time

	waits      waits
	secrets    secrets
	recordings recordings
}

// Jobs is the record of jobs. Calls that name a tenant see that tenant's jobs only; another tenant's is problem.NotFound.
type Jobs interface {
	Job(ctx context.Context, tenantID, id string) (job.Job, error)
	// JobStates returns the states of those of the jobs that exist, by id, of any tenant.
	JobStates(ctx context.Context, ids []string) (map[string]job.State, error)
	// Events returns a job's transitions, oldest first.
	Events(ctx context.Context, tenantID, id string) ([]job.Event, error)
	// ListJobs returns up to limit of the tenant's jobs that f describes, newest first, after the place after (job.Job.Place). An
	// empty after begins with the newest. Jobs submitted meanwhile change no later page.
	ListJobs(ctx context.Context, tenantID string, f job.Filter, after string, limit int) ([]job.Job, error)
	// RecentJobs returns the tenant's newest jobs, newest first.
	RecentJobs(ctx context.Context, tenantID string, limit int) ([]job.Job, error)
	// Usage counts the tenant's jobs by state and what its active ones hold.
	Usage(ctx context.Context, tenantID string) (job.Usage, error)

	// AllJobs returns up to limit jobs of all tenants, newest first, after the job with the id after, and how many there are in total; an
	// empty state means any. An id that no page can have given is problem.Invalid.
	AllJobs(ctx context.Context, state job.State, after string, limit int) (jobs []job.Job, total int, err error)
	// QueueByTenant is Usage, with limits, of every tenant with queued or active jobs, the longest waiting first.
	QueueByTenant(ctx context.Context) ([]job.TenantQueue, error)
	// ActivitySince returns the minutes since then in which something happened, in order, and the failures among it, the
	// most frequent first. Jobs deleted meanwhile do not count.
	ActivitySince(ctx context.Context, since time.Time) ([]job.Activity, []job.Failure, error)
}

// Scenarios is the record of scenarios.
type Scenarios interface {
	// Scenario returns one of the tenant's, or problem.NotFound.
	Scenario(ctx context.Context, tenantID, digest string) (scenario.Scenario, error)
	// ListScenarios returns up to limit of the tenant's scenarios, newest first, without their Manifest.Files, after the
	// given place. The zero Place begins with the newest. Scenarios stored meanwhile change no later page.
	ListScenarios(ctx context.Context, tenantID string, after scenario.Place, limit int) ([]scenario.Scenario, error)
}

// Objects is the object store, as far as results are read and their views kept.
type Objects interface {
	view.Objects
	// PresignGet returns a URL that reads key for the given time without credentials. A browser saves it as filename.
	PresignGet(ctx context.Context, key, filename string, valid time.Duration) (string, error)
	// URL is the object's s3:// address.
	URL(key string) string
}

// Register adds the function's operations to api.
func (f *Function) Register(api huma.API) {
	jobs := []string{"Jobs"}
	rest.Register(api, rest.Tenant, huma.Operation{
		OperationID: "get-job", Method: http.MethodGet, Path: "/jobs/{id}", Tags: jobs,
		Summary:   "Show a job",
		Responses: notModified(),
		Errors:    []int{http.StatusNotFound},
	}, f.job)
	rest.Register(api, rest.Tenant, huma.Operation{
		OperationID: "list-events", Method: http.MethodGet, Path: "/jobs/{id}/events", Tags: jobs,
		Summary: "List a job's state transitions",
		Errors:  []int{http.StatusNotFound},
	}, f.events)
	rest.Register(api, rest.Tenant, huma.Operation{
		OperationID: "get-dashboard", Method: http.MethodGet, Path: "/tenants/me/dashboard", Tags: []string{"Dashboard"},
		Summary: "Show this tenant's limits, usage and latest jobs",
	}, f.dashboard)
	f.registerVersions(api)
	f.registerList(api)
	f.registerStudies(api)
	f.registerResults(api)
	f.registerManifest(api)
	f.registerLinks(api)
	f.registerScenarios(api)
	f.registerWebhooks(api)
	f.registerCompare(api)
	f.registerSeries(api)
	f.registerTables(api)
	f.registerNetwork(api)
	f.registerVehicles(api)
	f.registerReplay(api)
	f.registerPlots(api)
	f.registerCounts(api)
	f.registerAdmin(api)
	f.registerOperations(api)
}

// Event is one transition of a job.
type Event struct {
	Seq     int               `json:"seq" doc:"Counts up from 1 without gaps."`
	At      time.Time         `json:"at"`
	From    job.State         `json:"from" doc:"Empty for the first event."`
	To      job.State         `json:"to"`
	Reason  simulation.Reason `json:"reason"`
	Message string            `json:"message"`
}

type eventsAnswer struct {
	Body struct {
		JobID  string  `json:"job_id" format:"uuid"`
		Events []Event `json:"events" doc:"Oldest first."`
	}
}

func (f *Function) events(ctx context.Context, in *jobRequest) (*eventsAnswer, error) {
	events, err := f.Jobs.Events(ctx, rest.TenantOf(ctx).ID, in.ID)
	if err != nil {
		return nil, err
	}
	out := &eventsAnswer{}
	out.Body.JobID = in.ID
	out.Body.Events = make([]Event, len(events))
	for i, e := range events {
		out.Body.Events[i] = Event{Seq: e.Seq, At: e.At.UTC(), From: e.From, To: e.To, Reason: e.Reason, Message: e.Message}
	}
	return out, nil
}
