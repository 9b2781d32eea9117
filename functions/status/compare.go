package status

import (
	"context"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

func (f *Function) registerCompare(api huma.API) {
	rest.Register(api, rest.Tenant, huma.Operation{
		OperationID: "compare-jobs", Method: http.MethodGet, Path: "/jobs/compare", Tags: []string{"Results"},
		Summary: "Compare the numbers of jobs, metric by metric",
		Description: "Differences are to the first job. A job that is not over, or that lacks a number, is told and is no error. " +
			"settings lists what was chosen differently, which may explain the differences.",
		Errors: []int{http.StatusNotFound},
	}, f.compare)
}

type compareRequest struct {
	IDs []string `query:"ids" required:"true" minItems:"2" maxItems:"20" doc:"Ids of two to twenty jobs, with commas between. The first is the one that others are compared with."`
}

// Comparison is jobs side by side.
type Comparison struct {
	Jobs     []ComparedJob     `json:"jobs" doc:"In the order asked for."`
	Metrics  []ComparedMetric  `json:"metrics" doc:"Every metric that one of the jobs has."`
	Settings []ComparedSetting `json:"settings" doc:"What was chosen differently; empty when only chance and the machine can differ."`
}

// ComparedJob is one of the jobs.
type ComparedJob struct {
	JobID      string    `json:"job_id" format:"uuid"`
	ScenarioID string    `json:"scenario_id" doc:"The name given at submission."`
	Status     job.State `json:"status"`
	Partial    bool      `json:"partial" doc:"True when the run stopped early, so that its numbers cover a part of it only."`
	Message    string    `json:"message,omitempty" doc:"Why the job has no numbers, or not those of a whole run."`
}

// ComparedMetric is one number of each job.
type ComparedMetric struct {
	Name   string          `json:"name"`
	Unit   string          `json:"unit" doc:"Of the values and their differences: s, m, m/s, veh, mg, Wh, 1/s, or 1 for counts and ratios."`
	Values []ComparedValue `json:"values" doc:"One for each job, in their order."`
}

// ComparedValue is the number of one job.
type ComparedValue struct {
	JobID      string   `json:"job_id" format:"uuid"`
	Value      *float64 `json:"value" doc:"Null when the job does not have this metric."`
	Difference *float64 `json:"difference" doc:"value less that of the first job; null when one of them is."`
	Relative   *float64 `json:"relative_difference" doc:"difference as a part of the first job's value, 0.1 for a tenth more; null also when that is 0."`
}

// ComparedSetting is a choice about the runs.
type ComparedSetting struct {
	Name   string           `json:"name" doc:"As at submission; scenario is the SHA-256 of the zip."`
	Values []ComparedChoice `json:"values" doc:"One for each job, in their order."`
}

// ComparedChoice is the choice for one job.
type ComparedChoice struct {
	JobID string  `json:"job_id" format:"uuid"`
	Value *string `json:"value" doc:"Null when it was left to the scenario's configuration."`
}

type comparisonAnswer struct{ Body Comparison }

func (f *Function) compare(ctx context.Context, in *compareRequest) (*comparisonAnswer, error) {
	for i, id := range in.IDs {
		if slices.Contains(in.IDs[:i], id) {
			return nil, problem.New(problem.Invalid, "The job %.80q is named twice. Name each job once.", id)
		}
	}
	jobs := make([]job.Job, len(in.IDs))
	for i, id := range in.IDs {
		var err error
		if jobs[i], err = f.Jobs.Job(ctx, rest.TenantOf(ctx).ID, id); err != nil {
			return nil, err
		}
	}
	out := Comparison{Jobs: make([]ComparedJob, len(jobs)), Metrics: metricsOf(jobs), Settings: settingsOf(jobs)}
	for i, j := range jobs {
		out.Jobs[i] = comparedJob(j)
	}
	return &comparisonAnswer{Body: out}, nil
}

func comparedJob(j job.Job) ComparedJob {
	out := ComparedJob{JobID: j.ID, ScenarioID: j.Name, Status: j.State}
	switch {
	case !j.State.Terminal():
		out.Message = "Job is " + string(j.State) + ". Its numbers are there when it has finished."
	case j.Summary == nil:
		out.Message = "Job ended before SUMO wrote anything to sum up: " + j.Message
	case j.State != job.Succeeded:
		out.Partial = true
		out.Message = "Job has not completed successfully. Its numbers cover the run until it stopped: " + j.Message
	}
	return out
}

// metricsOf lists the metrics of all jobs, in the order of the first that has them.
func metricsOf(jobs []job.Job) []ComparedMetric {
	out := []ComparedMetric{}
	for _, j := range jobs {
		if !j.State.Terminal() || j.Summary == nil {
			continue
		}
		for _, m := range j.Summary.Metrics {
			if !slices.ContainsFunc(out, func(known ComparedMetric) bool { return known.Name == m.Name && known.Unit == m.Unit }) {
				out = append(out, comparedMetric(jobs, m.Name, m.Unit))
			}
		}
	}
	return out
}

func comparedMetric(jobs []job.Job, name, unit string) ComparedMetric {
	out := ComparedMetric{Name: name, Unit: unit, Values: make([]ComparedValue, len(jobs))}
	for i, j := range jobs {
		v := ComparedValue{JobID: j.ID}
		if value, ok := metricIn(j.Summary, name, unit); ok {
			v.Value = &value
		}
		if first := out.Values[0].Value; i > 0 && first != nil && v.Value != nil {
			v.Difference = rounded(*v.Value - *first)
			if *first != 0 {
				v.Relative = rounded((*v.Value - *first) / math.Abs(*first))
			}
		}
		out.Values[i] = v
	}
	return out
}

func metricIn(s *simulation.Summary, name, unit string) (float64, bool) {
	if s == nil {
		return 0, false
	}
	i := slices.IndexFunc(s.Metrics, func(m simulation.Metric) bool { return m.Name == name && m.Unit == unit })
	if i < 0 {
		return 0, false
	}
	return s.Metrics[i].Value, true
}

// rounded is v without the noise of binary fractions: SUMO writes numbers with few digits, and a difference such as
// 0.12000000000000455 would claim more. It is nil for what JSON cannot say.
func rounded(v float64) *float64 {
	const digits = 10
	v, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', digits, 64), 64)
	if err != nil || math.IsInf(v, 0) || math.IsNaN(v) {
		return nil
	}
	return &v
}

// settings are the choices about a run that change its numbers.
var settings = []struct {
	name string
	of   func(job.Job) *string
}{
	{"scenario", func(j job.Job) *string { return &j.ScenarioDigest }},
	{"config_file", func(j job.Job) *string { return textOf(configOf(j)) }},
	{"sumo_version", func(j job.Job) *string { return textOf(versionOf(j)) }},
	{"seed", func(j job.Job) *string {
		if j.Options.Seed == nil {
			return textOf(strconv.Itoa(simulation.DefaultSeed))
		}
		return textOf(strconv.FormatInt(*j.Options.Seed, 10))
	}},
	{"begin", func(j job.Job) *string { return numberOf(j.Options.Begin) }},
	{"end", func(j job.Job) *string { return numberOf(j.Options.End) }},
	{"step_length", func(j job.Job) *string { return numberOf(j.Options.StepLength) }},
	{"scale", func(j job.Job) *string { return numberOf(j.Options.Scale) }},
	{"outputs", func(j job.Job) *string { return textOf(outputsOf(j)) }},
}

// settingsOf lists what differs between the jobs that are over.
func settingsOf(jobs []job.Job) []ComparedSetting {
	out := []ComparedSetting{}
	for _, s := range settings {
		setting := ComparedSetting{Name: s.name, Values: make([]ComparedChoice, len(jobs))}
		differs, reference := false, -1
		for i, j := range jobs {
			setting.Values[i] = ComparedChoice{JobID: j.ID, Value: s.of(j)}
			if !j.State.Terminal() {
				continue // some of it is known only when it has run
			}
			if reference < 0 {
				reference = i
			}
			differs = differs || !same(setting.Values[reference].Value, setting.Values[i].Value)
		}
		if differs {
			out = append(out, setting)
		}
	}
	return out
}

func same(a, b *string) bool {
	return a == nil && b == nil || a != nil && b != nil && *a == *b
}

// configOf is the configuration that ran, or else that is to run.
func configOf(j job.Job) string {
	if j.Summary != nil {
		return j.Summary.ConfigFile
	}
	return j.Options.ConfigFile
}

// versionOf is the SUMO that ran, or else that was asked for.
func versionOf(j job.Job) string {
	if j.SumoVersion != "" {
		return j.SumoVersion
	}
	return j.Options.SumoVersion
}

// outputsOf is what was asked for beyond what every run writes: some outputs need devices that change a run.
func outputsOf(j job.Job) string {
	var names []string
	for _, o := range j.Options.Outputs {
		if !slices.Contains(simulation.DefaultOutputs(), o) {
			names = append(names, string(o))
		}
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), ",")
}

func textOf(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func numberOf(v *float64) *string {
	if v == nil {
		return nil
	}
	return textOf(strconv.FormatFloat(*v, 'f', -1, 64))
}
