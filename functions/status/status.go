// Package status answers questions: what became of a job, what a tenant uses, how the service is doing.
package status

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
	"github.com/sumo-k8/sumo-k8/pkg/view"
)

// Function answers the reading calls.
type Function struct {
	Jobs         job.Store
	Tenants      tenant.Store
	Scenarios    scenario.Store
	Objects      artifact.Store
	Views        *view.Keeper
	Limits       scenario.Limits // of the zips that networks are read from
	LinkLifetime time.Duration
	Now          func() time.Time
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
		Summary: "List a job's transitions from state to state",
		Errors:  []int{http.StatusNotFound},
	}, f.events)
	rest.Register(api, rest.Tenant, huma.Operation{
		OperationID: "get-dashboard", Method: http.MethodGet, Path: "/tenants/me/dashboard", Tags: []string{"Dashboard"},
		Summary: "Show this tenant's limits, use and latest jobs",
	}, f.dashboard)
	f.registerList(api)
	f.registerResults(api)
	f.registerScenarios(api)
	f.registerCompare(api)
	f.registerViews(api)
	f.registerAdmin(api)
	f.registerOperations(api)
}

// Event is one transition of a job.
type Event struct {
	Seq     int               `json:"seq" doc:"Counts from 1 without gaps."`
	At      time.Time         `json:"at"`
	From    job.State         `json:"from" doc:"Empty for the first."`
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
