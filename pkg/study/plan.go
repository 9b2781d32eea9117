package study

import "encoding/json"

// Plan is what a study was asked for. Its JSON is that of the request.
type Plan struct {
	Variants     []Variant       `json:"variants"`
	Axes         []Axis          `json:"axes,omitempty"`
	Combine      Combine         `json:"combine,omitempty"`
	Baseline     *Baseline       `json:"baseline,omitempty"`
	Replications Replications    `json:"replications"`
	Metrics      []string        `json:"metrics,omitempty"`
	OnFailure    *OnFailure      `json:"on_failure,omitempty"`
	Run          json.RawMessage `json:"run,omitempty"` // the fields of a submission, for every run
}

// Variant is a scenario and options with a name.
type Variant struct {
	Name     string          `json:"name"`
	Scenario string          `json:"scenario"`      // its digest
	Run      json.RawMessage `json:"run,omitempty"` // fields of a submission that it has in place of the plan's
}

// Axis is a swept setting with its values.
type Axis struct {
	Name string `json:"name"`
	// Set is what the values are given to: a field of a submission ("scale"), "option:NAME", or "xml:FILE#ELEMENT[@KEY='VALUE']/@ATTRIBUTE".
	Set    string            `json:"set"`
	Values []json.RawMessage `json:"values"`
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
	Variant string                     `json:"variant,omitempty"`
	Values  map[string]json.RawMessage `json:"values,omitempty"` // by axis
}

// Replications are the seeds of each point: named, or as many as an aim takes.
type Replications struct {
	Seeds json.RawMessage `json:"seeds,omitempty"` // "1:10", or a list of numbers
	Until *Aim            `json:"until,omitempty"`
}

// Aim is how exact the means of a sequential study are to be.
type Aim struct {
	RelativeHalfWidth float64            `json:"relative_half_width,omitempty"`
	Confidence        float64            `json:"confidence,omitempty"`
	Min               int                `json:"min,omitempty"`
	Max               int                `json:"max"`
	Of                string             `json:"of,omitempty"` // mean or difference
	Absolute          map[string]float64 `json:"absolute,omitempty"`
}

// OnFailure stops a study early.
type OnFailure struct {
	StopShare float64 `json:"stop_share"` // of the runs
}
