package status

import (
	"context"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
)

func (f *Function) registerCompare(api huma.API) {
	rest.Register(api, rest.Tenant, huma.Operation{
		OperationID: "compare-jobs", Method: http.MethodGet, Path: "/jobs/compare", Tags: []string{"Results"},
		Summary: "Compare jobs metric by metric",
		Description: "Differences are relative to the first job. Unfinished jobs have a message, and missing numbers are null; neither is " +
			"an error. settings lists the settings that differ, which may explain the differences.",
		Errors: []int{http.StatusNotFound},
	}, f.compare)
}

type compareRequest struct {
	IDs []string `query:"ids" required:"true" minItems:"2" maxItems:"20" doc:"Ids of 2 to 20 jobs, separated by commas. The others are compared with the first."`
}

// Comparison is jobs side by side.
type Comparison struct {
	Jobs     []ComparedJob     `json:"jobs" doc:"In the order requested."`
	Metrics  []ComparedMetric  `json:"metrics" doc:"Every metric that at least one of the jobs has."`
	Settings []ComparedSetting `json:"settings" doc:"Settings that differ; empty if only chance and the machine can explain differences."`
	Notes    []string          `json:"notes" doc:"What makes the comparison doubtful, such as different versions of SUMO."`
}

// ComparedJob is one of the jobs.
type ComparedJob struct {
	JobID      string    `json:"job_id" format:"uuid"`
	ScenarioID string    `json:"scenario_id" doc:"The name given at submission."`
	Status     job.State `json:"status"`
	Partial    bool      `json:"partial" doc:"True if the run stopped early, so that its numbers cover only part of it."`
	Message    string    `json:"message,omitempty" doc:"Why the job has no numbers, or only those of a partial run."`
}

// ComparedMetric is one number of each job.
type ComparedMetric struct {
	Name   string          `json:"name"`
	Unit   string          `json:"unit" doc:"Unit of the values and differences: s, m, m/s, veh, mg, Wh, 1/s, or 1 for counts and ratios."`
	Values []ComparedValue `json:"values" doc:"One per job, in the order of jobs."`
}

// ComparedValue is the number of one job.
type ComparedValue struct {
	JobID      string   `json:"job_id" format:"uuid"`
	Value      *float64 `json:"value" doc:"Null if the job does not have this metric."`
	Difference *float64 `json:"difference" doc:"value minus the first job's; null if either is null."`
	Relative   *float64 `json:"relative_difference" doc:"difference as a fraction of the first job's value, 0.1 for a tenth more; also null if that value is 0."`
}

// ComparedSetting is a choice about the runs.
type ComparedSetting struct {
	Name   string           `json:"name" doc:"The field's name at submission; scenario is its id."`
	Values []ComparedChoice `json:"values" doc:"One per job, in the order of jobs."`
}

// ComparedChoice is the choice for one job.
type ComparedChoice struct {
	JobID string  `json:"job_id" format:"uuid"`
	Value *string `json:"value" doc:"Null if left to the scenario's configuration."`
}

type comparisonAnswer struct{ Body Comparison }

func (f *Function) compare(ctx context.Context, in *compareRequest) (*comparisonAnswer, error) {
	if err := eachOnce(in.IDs); err != nil {
		return nil, err
	}
	jobs := make([]job.Job, len(in.IDs))
	for i, id := range in.IDs {
		var err error
		if jobs[i], err = f.Jobs.Job(ctx, rest.TenantOf(ctx).ID, id); err != nil {
			return nil, err
		}
	}
	return &comparisonAnswer{Body: comparisonOf(jobs)}, nil
}

// eachOnce refuses a job that is named twice.
func eachOnce(ids []string) error {
	for i, id := range ids {
		if slices.Contains(ids[:i], id) {
			return problem.New(problem.Invalid, "The job %.80q is named twice. Name each job once.", id)
		}
	}
	return nil
}

func comparisonOf(jobs []job.Job) Comparison {
	c := job.Compare(jobs)
	out := Comparison{
		Jobs: make([]ComparedJob, len(jobs)), Metrics: make([]ComparedMetric, len(c.Metrics)), Settings: make([]ComparedSetting, len(c.Settings)),
		Notes: append([]string{}, c.Notes...),
	}
	for i, j := range jobs {
		out.Jobs[i] = comparedJob(j)
	}
	for i, m := range c.Metrics {
		out.Metrics[i] = ComparedMetric{Name: m.Name, Unit: m.Unit, Values: make([]ComparedValue, len(jobs))}
		for k, v := range m.Values {
			out.Metrics[i].Values[k] = ComparedValue{JobID: jobs[k].ID, Value: v.Value, Difference: v.Difference, Relative: v.Relative}
		}
	}
	for i, s := range c.Settings {
		out.Settings[i] = ComparedSetting{Name: s.Name, Values: make([]ComparedChoice, len(jobs))}
		for k, v := range s.Values {
			out.Settings[i].Values[k] = ComparedChoice{JobID: jobs[k].ID, Value: v}
		}
	}
	return out
}

func comparedJob(j job.Job) ComparedJob {
	out := ComparedJob{JobID: j.ID, ScenarioID: j.Name, Status: j.State}
	switch {
	case !j.State.Terminal():
		out.Message = "Job is " + string(j.State) + ". Its numbers will be available once it has finished."
	case j.Imported != nil:
		out.Message = "Job ran in the predecessor of this service, which kept no numbers."
	case j.Summary == nil:
		out.Message = "Job " + unsummarised(j)
	case j.State != job.Succeeded:
		out.Partial = true
		out.Message = "Job has not completed successfully. Its numbers cover the run until it stopped: " + j.Message
	}
	return out
}
