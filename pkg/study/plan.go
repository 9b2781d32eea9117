package study

import (
	"encoding/json"

	"github.com/sumo-k8/sumo-k8/pkg/job"
)

// Plan is what a study was asked for. Its JSON is that of the request.
type Plan struct {
	Variants     []Variant       `json:"variants" minItems:"1" maxItems:"1000"`
	Axes         []Axis          `json:"axes,omitempty" maxItems:"20" doc:"Swept settings. Without any, each variant is one point."`
	Combine      Combine         `json:"combine,omitempty" enum:"product,zip" doc:"product, the default: every value of one axis with every value of the others. zip: the first values together, the second together, and so on."`
	Baseline     *Baseline       `json:"baseline,omitempty" doc:"What points are compared with. An axis that it does not name is matched."`
	Replications Replications    `json:"replications" doc:"The seeds of each point, the same ones at all points."`
	Metrics      []string        `json:"metrics,omitempty" maxItems:"100" doc:"Those that the study is about, by their names in the summary of a job; all of them if left out. Those of trips also by class of vehicle: mean_time_loss@vClass=bus, mean_travel_time@vType=truck."`
	OnFailure    *OnFailure      `json:"on_failure,omitempty" doc:"By default a study goes on, however many runs fail."`
	Cache        job.Cache       `json:"cache,omitempty" enum:"use,refresh,off" doc:"use, the default: a run takes the results of the tenant's latest run that is the same and whose results are still there. refresh: all run anew, and later runs take their results. off: all run anew, and no other run takes their results."`
	Run          json.RawMessage `json:"run,omitempty" doc:"Fields of a submission, for every run."`
}

// Variant is a scenario and options with a name.
type Variant struct {
	Name     string          `json:"name" minLength:"1" maxLength:"100"`
	Scenario string          `json:"scenario" maxLength:"64" doc:"Id of a stored scenario."` // its digest
	Run      json.RawMessage `json:"run,omitempty" doc:"Fields that this variant has in place of the study's."`
}

// Axis is a swept setting with its values.
type Axis struct {
	Name string `json:"name" minLength:"1" maxLength:"100"`
	// Set is what the values are given to: a field of a submission ("scale"), "option:NAME", "arg:NAME", or
	// "xml:FILE#ELEMENT[@KEY='VALUE']/@ATTRIBUTE".
	Set    string            `json:"set" minLength:"1" maxLength:"5000" doc:"What the values are given to: scale, begin, end, step_length, sumo_version, config_file or unfinished_trips; option:NAME for an option of SUMO; arg:NAME for the option --NAME of the controller; xml:FILE#ELEMENT[@KEY='VALUE']/@ATTRIBUTE for an attribute of all matching elements in a file of the scenario."`
	Values []json.RawMessage `json:"values" minItems:"1" maxItems:"1000" doc:"Numbers, texts or truth values."`
}

// Combine is how axes make points.
type Combine string

// The ways: every value of one axis with every value of the others, or the first values together, the second together, and so on.
const (
	Product Combine = "product"
	Zip     Combine = "zip"
)

// Baseline is what points are compared with. An axis that it does not name is matched.
type Baseline struct {
	Variant string                     `json:"variant,omitempty" maxLength:"100"`
	Values  map[string]json.RawMessage `json:"values,omitempty" doc:"Values of axes, by the axis."`
}

// Replications are the seeds of each point: named, or as many as an aim takes.
type Replications struct {
	Seeds json.RawMessage `json:"seeds,omitempty" doc:"A range such as \"1:10\", or a list of numbers."`
	Until *Aim            `json:"until,omitempty" doc:"As many as an aim takes, in rounds: each gives every point the same next seeds, as many as the point with the largest need asks, at most doubling."`
}

// Aim is how exact the means of a sequential study are to be.
type Aim struct {
	RelativeHalfWidth float64            `json:"relative_half_width,omitempty" doc:"Half width of the confidence interval, as a share of the mean; of a difference, as a share of the baseline's mean. It holds for each of the study's metrics (mean_travel_time and mean_time_loss if it names none) but counts such as teleports, of whose means near zero a share is no aim."`
	Confidence        float64            `json:"confidence,omitempty" doc:"0.95 if left out."`
	Min               int                `json:"min,omitempty" doc:"Runs of each point before the first look; 5 if left out."`
	Max               int                `json:"max" doc:"Most runs of each point. One that has not reached the aim by then says so."`
	Of                string             `json:"of,omitempty" enum:"mean,difference" doc:"What the interval is of: each point's mean, the default, or its difference to the baseline."`
	Absolute          map[string]float64 `json:"absolute,omitempty" doc:"Half widths in a metric's own unit, by the metric, in place of the relative one."`
}

// OnFailure stops a study early.
type OnFailure struct {
	StopShare float64 `json:"stop_share" minimum:"0" maximum:"1" doc:"When more than this share of the runs has failed, no further run starts, those at work are stopped, and the study is FAILED."` // of the runs
}
