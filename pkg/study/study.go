// Package study defines one question that is asked of many runs: variants of a scenario, at the values of some axes, each with several
// seeds.
package study

import (
	"encoding/json"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// State is a study's state.
type State string

// The states. A study that is extended, or whose failed runs are ordered again, is RUNNING again.
const (
	Running    State = "RUNNING"
	Succeeded  State = "SUCCEEDED"  // every run has succeeded
	Incomplete State = "INCOMPLETE" // every run has ended, and some have not succeeded
	Failed     State = "FAILED"     // too many runs failed, so that the others were not started
	Cancelled  State = "CANCELLED"  // stopped by a person
)

// States lists every state.
func States() []State { return []State{Running, Succeeded, Incomplete, Failed, Cancelled} }

// Terminal reports whether nothing of a study in s is left to be done.
func (s State) Terminal() bool { return s != Running }

// Study is one question.
type Study struct {
	ID        string // UUIDv7
	TenantID  string
	Namespace string
	Name      string
	State     State
	Message   string // for a person; empty while all is well
	Plan      Plan
	Priority  job.Priority
	Labels    map[string]string
	// Seeds are those of the replications, the same at all points. A run is a point and a replication.
	Seeds           []int64
	MaxParallel     int     // runs at work at a time
	StopShare       float64 // of the runs: when more have failed, the rest is not started; 1 never stops
	MetricNames     []string
	Traceparent     string
	CancelRequested bool
	Purging         bool // its results are being removed, and it itself after them
	Counts          Counts
	Version         int64 // grows with each change
	CreatedAt       time.Time
	StartedAt       *time.Time // of the first run
	FinishedAt      *time.Time
	UpdatedAt       time.Time
}

// Counts are what has become of the runs of a study, or of one of its points.
type Counts struct {
	Runs      int // planned
	Succeeded int
	Failed    int
	Repeating int // of the failed, those for which a retry ends as they did (simulation.Repeating); known while a study is judged
	Cancelled int
	Active    int // pending or running: a chunk has more runs than it makes at a time
	Running   int // of the active
	// Cached are those among Succeeded whose results were taken from the cache, or, of a study that has just been planned, that can be.
	Cached int
	// CoreSeconds were used by the runs that have ended.
	CoreSeconds float64
}

// Done is how many runs have ended, in whatever way.
func (c Counts) Done() int { return c.Succeeded + c.Failed + c.Cancelled }

// Point is a variant with one value of each axis.
type Point struct {
	Number  int // from 0
	Variant string
	Setting Setting
	// What its runs are made from. The options lack the seed.
	ScenarioDigest, ScenarioKey, OverlayKey string
	CPURequest, MemoryGi                    int
	Options                                 simulation.Options
	TimeoutSeconds                          int
	Warnings                                []string
	// CoreSeconds are what one run is expected to use; nil while nothing is known.
	CoreSeconds *float64
	Counts      Counts
	// Work is job.Work of its runs; empty if they take no part in the cache.
	Work string
}

// Setting is the value of each axis at a point, in the order of the axes.
type Setting []Value

// Value is that of one axis: a number, a text or a truth value, as JSON.
type Value struct {
	Axis  string          `json:"axis"`
	Value json.RawMessage `json:"value"`
}

// Place names a point of a study.
type Place struct {
	Study string // its id
	Point int
}

// Filter selects studies. Each field narrows the selection; its zero value does not.
type Filter struct {
	State  State
	Labels map[string]string // all of them must be on the study
}

// Sum is c with the counts of the points in place of its own.
func (c Counts) Sum(points []Point) Counts {
	c.Succeeded, c.Failed, c.Cancelled, c.Active, c.Running, c.Cached = 0, 0, 0, 0, 0, 0
	for _, p := range points {
		c.Succeeded += p.Counts.Succeeded
		c.Failed += p.Counts.Failed
		c.Cancelled += p.Counts.Cancelled
		c.Active += p.Counts.Active
		c.Running += p.Counts.Running
		c.Cached += p.Counts.Cached
	}
	return c
}
