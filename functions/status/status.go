// Package status is the function that answers questions: what became of a job, what a tenant uses, how the service is.
package status

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

// Function answers the reading calls.
type Function struct {
	Jobs    job.Store
	Tenants tenant.Store
	Objects artifact.Store
	// Nodes lists where jobs run; nil when this process cannot know.
	Nodes        func(context.Context) ([]job.Node, error)
	LinkLifetime time.Duration
	Now          func() time.Time
}

// Register adds the function's operations to api.
func (f *Function) Register(api huma.API) {
	jobs := []string{"Jobs"}
	rest.Register(api, rest.Tenant, huma.Operation{
		OperationID: "get-job", Method: http.MethodGet, Path: "/jobs/{id}", Tags: jobs,
		Summary: "Show a job",
		Errors:  []int{http.StatusNotFound},
	}, f.job)
	rest.Register(api, rest.Tenant, huma.Operation{
		OperationID: "list-events", Method: http.MethodGet, Path: "/jobs/{id}/events", Tags: jobs,
		Summary: "List a job's transitions from state to state",
		Errors:  []int{http.StatusNotFound},
	}, f.events)
	rest.Register(api, rest.Tenant, huma.Operation{
		OperationID: "get-results", Method: http.MethodGet, Path: "/jobs/{id}/results", Tags: jobs,
		Summary:     "List a job's result files",
		Description: "Each file has a link that works for a while without a key. A job that failed or was cancelled offers what it wrote.",
		Errors:      []int{http.StatusNotFound},
	}, f.results)
	rest.Register(api, rest.Tenant, huma.Operation{
		OperationID: "get-dashboard", Method: http.MethodGet, Path: "/tenants/me/dashboard", Tags: []string{"Dashboard"},
		Summary: "Show this tenant's limits, use and latest jobs",
	}, f.dashboard)
	f.registerAdmin(api)
}

type jobRequest struct {
	ID string `path:"id" maxLength:"100" doc:"The job_id that submission answered with."`
}

type jobAnswer struct{ Body rest.Job }

func (f *Function) job(ctx context.Context, in *jobRequest) (*jobAnswer, error) {
	j, err := f.Jobs.Job(ctx, rest.TenantOf(ctx).ID, in.ID)
	if err != nil {
		return nil, err
	}
	return &jobAnswer{Body: rest.JobOf(j, f.Objects.URL)}, nil
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

// Results is the list of a job's files on the wire.
type Results struct {
	JobID          string            `json:"job_id" format:"uuid"`
	Status         job.State         `json:"status"`
	StorageType    string            `json:"storage_type,omitempty" enum:"s3"`
	ResultLocation *string           `json:"result_location"`
	ResultFiles    *rest.ResultFiles `json:"result_files"`
	Files          []ResultLink      `json:"files" doc:"Empty while there are none."`
	Results        *string           `json:"results" doc:"Null until the job has succeeded, then its result_location."`
	Partial        bool              `json:"partial" doc:"True when the run stopped early, so that files end early too."`
	Message        string            `json:"message,omitempty"`
}

// ResultLink is one file with its download link.
type ResultLink struct {
	Name        string    `json:"name" doc:"Path below the job's results."`
	Size        int64     `json:"size" doc:"Bytes."`
	ContentType string    `json:"content_type"`
	URL         string    `json:"url" format:"uri" doc:"Downloads the file without a key."`
	ExpiresAt   time.Time `json:"expires_at" doc:"When url stops working."`
}

type resultsAnswer struct{ Body Results }

func (f *Function) results(ctx context.Context, in *jobRequest) (*resultsAnswer, error) {
	j, err := f.Jobs.Job(ctx, rest.TenantOf(ctx).ID, in.ID)
	if err != nil {
		return nil, err
	}
	onWire := rest.JobOf(j, f.Objects.URL)
	out := Results{
		JobID: j.ID, Status: j.State, StorageType: "s3", Files: []ResultLink{},
		ResultLocation: onWire.ResultLocation, ResultFiles: onWire.ResultFiles,
		Partial: j.State.Terminal() && j.State != job.Succeeded,
	}
	switch {
	case j.ResultsPruned:
		out.Message = "The results were removed because of their age. Run the scenario again to have them back."
	case !j.State.Terminal():
		out.Message = "Job has not completed successfully. It is " + string(j.State) + "; its files appear when it has finished."
	case j.State != job.Succeeded:
		out.Message = "Job has not completed successfully. These are the files it wrote before it stopped."
	}
	if onWire.ResultFiles == nil {
		return &resultsAnswer{Body: out}, nil
	}
	if j.State == job.Succeeded {
		out.Results = onWire.ResultLocation
	}
	prefix := artifact.ResultsOf(j.Namespace, j.ID)
	expires := f.Now().Add(f.LinkLifetime).UTC().Truncate(time.Second)
	for _, file := range j.Results {
		link, err := f.Objects.PresignGet(ctx, prefix+file.Name, file.Name, f.LinkLifetime)
		if err != nil {
			return nil, err
		}
		out.Files = append(out.Files, ResultLink{
			Name: file.Name, Size: file.Size, ContentType: artifact.ContentType(file.Name), URL: link, ExpiresAt: expires,
		})
	}
	return &resultsAnswer{Body: out}, nil
}
