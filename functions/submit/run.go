package submit

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

// Run is what a caller says about a job, in either form of submission.
type Run struct {
	ScenarioID     string              `json:"scenario_id" minLength:"1" maxLength:"100" doc:"Your name for the run."`
	CPURequest     int                 `json:"cpu_request,omitempty" minimum:"1" maximum:"32" default:"2" doc:"Cores."`
	MemoryGi       int                 `json:"memory_gi,omitempty" minimum:"1" maximum:"128" default:"4" doc:"GiB."`
	TaskToken      string              `json:"task_token,omitempty" maxLength:"4096" doc:"Kept with the job and returned with it."`
	ConfigFile     string              `json:"config_file,omitempty" maxLength:"500" doc:"Which .sumocfg to run; needed only when the zip has several."`
	Seed           *int64              `json:"seed,omitempty" minimum:"0" maximum:"2147483647" doc:"Seed of SUMO's random numbers."`
	Begin          *float64            `json:"begin,omitempty" minimum:"0" maximum:"1000000000" doc:"Start of the simulated interval, in seconds."`
	End            *float64            `json:"end,omitempty" minimum:"0" maximum:"1000000000" doc:"End of the simulated interval, in seconds."`
	StepLength     *float64            `json:"step_length,omitempty" minimum:"0.001" maximum:"60" doc:"Seconds per step."`
	Scale          *float64            `json:"scale,omitempty" minimum:"0" maximum:"1000" doc:"Multiplies the demand."`
	SumoVersion    string              `json:"sumo_version,omitempty" maxLength:"20" doc:"One of the operator's versions of SUMO; the default one unless given." example:"1.18"`
	Outputs        []simulation.Output `json:"outputs,omitempty" maxItems:"20" enum:"summary,tripinfo,statistics,fcd,emission,edgedata,queue,lanechange" doc:"Output files wanted beyond summary, tripinfo and statistics."`
	Labels         map[string]string   `json:"labels,omitempty" doc:"Up to 20 words of your own to find the job by."`
	Priority       string              `json:"priority,omitempty" enum:"low,normal,high" default:"normal"`
	TimeoutSeconds int                 `json:"timeout_seconds,omitempty" minimum:"1" doc:"Wall clock seconds that the run may take."`
}

const (
	maxLabels      = 20
	maxLabelLength = 100
)

// checkRun finds what the schema cannot know: contradictions, and what the tenant's limits rule out.
func (f *Function) checkRun(t tenant.Tenant, r Run) error {
	var items []problem.Item
	refuse := func(field string, value any, format string, args ...any) {
		items = append(items, problem.Item{Location: "body." + field, Message: fmt.Sprintf(format, args...), Value: value})
	}
	if r.CPURequest > t.Limits.MaxCPU {
		refuse("cpu_request", r.CPURequest, "is more than this tenant's max_cpu of %d; ask for less, or have the operator raise the limit", t.Limits.MaxCPU)
	}
	if r.MemoryGi > t.Limits.MaxMemoryGi {
		refuse("memory_gi", r.MemoryGi, "is more than this tenant's max_memory_gi of %d; ask for less, or have the operator raise the limit", t.Limits.MaxMemoryGi)
	}
	if r.Begin != nil && r.End != nil && *r.End <= *r.Begin {
		refuse("end", *r.End, "must be later than begin (%g)", *r.Begin)
	}
	if r.SumoVersion != "" && !slices.Contains(f.SumoVersions, r.SumoVersion) {
		refuse("sumo_version", r.SumoVersion, "is not offered here; choose one of %s", strings.Join(f.SumoVersions, ", "))
	}
	if limit := int(f.MaxTimeout / time.Second); r.TimeoutSeconds > limit {
		refuse("timeout_seconds", r.TimeoutSeconds, "is more than the %d seconds that this service allows", limit)
	}
	if len(r.Labels) > maxLabels {
		refuse("labels", len(r.Labels), "has more than %d entries", maxLabels)
	}
	for _, key := range slices.Sorted(maps.Keys(r.Labels)) {
		switch value := r.Labels[key]; {
		case key == "" || utf8.RuneCountInString(key) > maxLabelLength || utf8.RuneCountInString(value) > maxLabelLength:
			refuse("labels", key, "must have keys of 1 to %d characters and values of at most %d", maxLabelLength, maxLabelLength)
		case strings.Contains(key, "="): // GET /jobs?label=key=value could not tell where the key ends
			refuse("labels", key, "must have keys without =")
		}
	}
	if len(items) == 0 {
		return nil
	}
	return problem.New(problem.Invalid, "The job cannot be accepted as it is: %s %s.", items[0].Location, items[0].Message).WithItems(items...)
}

// checkInterval finds a contradiction between the interval of a run and that of its configuration, which stands for what
// the run does not say. SUMO would find it too, but only when it has started.
func (r Run) checkInterval(c scenario.Config) error {
	var begin float64 // SUMO's default
	switch {
	case r.Begin != nil:
		begin = *r.Begin
	case c.Begin != nil:
		begin = *c.Begin
	}
	end := r.End
	if end == nil {
		end = c.End
	}
	if r.Begin == nil && r.End == nil || end == nil || *end < 0 || *end > begin { // a negative end is none
		return nil
	}
	item := problem.Item{Location: "body.end", Message: fmt.Sprintf("must be later than the begin of %s (%g)", c.Path, begin), Value: *end}
	if r.End == nil {
		item = problem.Item{Location: "body.begin", Message: fmt.Sprintf("must be earlier than the end of %s (%g)", c.Path, *end), Value: begin}
	}
	return problem.New(problem.Invalid, "The job cannot be accepted as it is: %s %s.", item.Location, item.Message).WithItems(item)
}

func (r Run) options() simulation.Options {
	outputs := slices.Clone(r.Outputs)
	slices.Sort(outputs)
	return simulation.Options{
		Seed: r.Seed, Begin: r.Begin, End: r.End, StepLength: r.StepLength, Scale: r.Scale, SumoVersion: r.SumoVersion, Outputs: slices.Compact(outputs),
	}
}

func (r Run) priority() job.Priority {
	switch r.Priority {
	case "high":
		return job.High
	case "low":
		return job.Low
	default:
		return job.Normal
	}
}
