package status

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
)

func (f *Function) registerAdmin(api huma.API) {
	rest.Register(api, rest.Admin, huma.Operation{
		OperationID: "list-all-jobs", Method: http.MethodGet, Path: "/admin/jobs", Tags: []string{"Operators"},
		Summary: "List the newest jobs of all tenants",
	}, f.allJobs)
}

// adminListing is how many jobs an operator sees at once, as many as the predecessor showed.
const adminListing = 100

type allJobsRequest struct {
	Status job.State `query:"status" enum:"QUEUED,PENDING,RUNNING,SUCCEEDED,FAILED,CANCELLED"`
}

// AdminJob is a job as operators see it.
type AdminJob struct {
	rest.Job
	Namespace string `json:"namespace"`
}

type allJobsAnswer struct {
	Body struct {
		Jobs  []AdminJob `json:"jobs" doc:"The newest 100, newest first."`
		Total int        `json:"total" doc:"How many there are in total."`
	}
}

func (f *Function) allJobs(ctx context.Context, in *allJobsRequest) (*allJobsAnswer, error) {
	jobs, total, err := f.Jobs.AllJobs(ctx, in.Status, adminListing)
	if err != nil {
		return nil, err
	}
	out := &allJobsAnswer{}
	out.Body.Total = total
	out.Body.Jobs = make([]AdminJob, len(jobs))
	for i, j := range jobs {
		j.TaskToken = "" // a secret between the tenant and its own systems
		out.Body.Jobs[i] = AdminJob{Job: rest.JobOf(j, f.Objects.URL), Namespace: j.Namespace}
	}
	return out, nil
}
