package status

import (
	"context"
	"net/http"
	"reflect"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
)

func (f *Function) registerAdmin(api huma.API) {
	rest.Register(api, rest.Admin, huma.Operation{
		OperationID: "list-all-jobs", Method: http.MethodGet, Path: "/admin/jobs", Tags: []string{"Operators"},
		Summary: "List the jobs of all tenants, newest first",
		Description: "Pass next_cursor as cursor to get the next page, until it is empty. A status that no job can have lists none. A status " +
			"without cursor and limit lists up to 10,000 jobs at once.",
	}, f.allJobs)
}

type allJobsRequest struct {
	// Clients of the predecessor may ask for any status.
	Status string `query:"status" maxLength:"50" doc:"QUEUED, PENDING, RUNNING, SUCCEEDED, FAILED or CANCELLED; all jobs without it."`
	Limit  int    `query:"limit" minimum:"1" maximum:"200" doc:"100 by default."`
	Cursor string `query:"cursor" maxLength:"200" doc:"next_cursor of the previous page."`
}

// By default an operator sees as many jobs at once as the predecessor showed. Of one status it showed all, to clients that know no
// cursor; ours are bounded by what an instance can hold in memory.
const (
	defaultJobs    = 100
	defaultOfState = 10_000
)

// limit is the most jobs of a page.
func (in allJobsRequest) limit() int {
	switch {
	case in.Limit > 0:
		return in.Limit
	case in.Status != "" && in.Cursor == "":
		return defaultOfState
	}
	return defaultJobs
}

// AdminJob is a job as operators see it, with the columns of the predecessor's table.
type AdminJob struct {
	rest.Job
	Namespace    string       `json:"namespace"`
	K8sNamespace string       `json:"k8s_namespace" doc:"Same as namespace."`
	K8sJobName   string       `json:"k8s_job_name" doc:"Name of the workflow or process that runs the job."`
	K8sStatus    *RunCounts   `json:"k8s_status" doc:"The run in the words of a Kubernetes Job; null until there is one."`
	OccupiesSlot bool         `json:"occupies_slot" doc:"Whether the job counts towards max_concurrent_jobs at present."`
	ScenarioData ScenarioData `json:"scenario_data"`
}

// ScenarioData is what the predecessor kept of a submission.
type ScenarioData struct {
	ScenarioID string `json:"scenario_id"`
	ConfigFile string `json:"config_file"`
}

// RunCounts says what became of a job's run.
type RunCounts struct {
	Active    int `json:"active"`
	Succeeded int `json:"succeeded"`
	Failed    int `json:"failed"`
}

// Schema makes k8s_status nullable.
func (RunCounts) Schema(r huma.Registry) *huma.Schema {
	type fields RunCounts // without this method
	s := huma.SchemaFromType(r, reflect.TypeFor[fields]())
	s.Nullable = true
	return s
}

func countsOf(state job.State) *RunCounts {
	switch state {
	case job.Queued:
		return nil
	case job.Succeeded:
		return &RunCounts{Succeeded: 1}
	case job.Failed, job.Cancelled:
		return &RunCounts{Failed: 1}
	default:
		return &RunCounts{Active: 1}
	}
}

type allJobsAnswer struct {
	Body struct {
		Jobs       []AdminJob `json:"jobs"`
		Total      int        `json:"total" doc:"How many there are in total."`
		NextCursor string     `json:"next_cursor" doc:"Empty on the last page."`
	}
}

func (f *Function) allJobs(ctx context.Context, in *allJobsRequest) (*allJobsAnswer, error) {
	out := &allJobsAnswer{}
	out.Body.Jobs = []AdminJob{}
	after, err := decodeCursor(in.Cursor)
	if err != nil {
		return nil, err
	}
	state := job.State(in.Status)
	if state != "" && !slices.Contains(job.States(), state) {
		return out, nil
	}
	limit := in.limit()
	jobs, total, err := f.Jobs.AllJobs(ctx, state, after, limit+1)
	if err != nil {
		return nil, err
	}
	out.Body.Total = total
	jobs, out.Body.NextCursor = page(jobs, limit, job.Job.Place)
	for _, j := range jobs {
		j.TaskToken = "" // a secret between the tenant and its own systems
		out.Body.Jobs = append(out.Body.Jobs, AdminJob{
			Job: rest.JobOf(j, f.Objects.URL), Namespace: j.Namespace, K8sNamespace: j.Namespace, K8sJobName: job.RunName(j.ChunkID()),
			K8sStatus: countsOf(j.State), OccupiesSlot: j.State.Active(),
			ScenarioData: ScenarioData{ScenarioID: j.Name, ConfigFile: j.Options.ConfigFile},
		})
	}
	return out, nil
}
