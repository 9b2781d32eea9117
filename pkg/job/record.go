package job

import (
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// Filter selects jobs. Each field narrows the selection; its zero value does not.
type Filter struct {
	// Study is the id of one whose runs are wanted, and Point and Variant narrow them. Empty leaves out the runs of all studies.
	Study           string
	Point           *int
	Variant         string
	State           State
	Name            string
	Labels          map[string]string // all of them must be on the job
	SubmittedAfter  time.Time
	SubmittedBefore time.Time
}

// Update is what was observed of one job.
type Update struct {
	ID       string
	State    State // Pending, Running or a terminal state
	Reason   simulation.Reason
	Message  string
	Progress float64
	// StartedAt and FinishedAt are nil while unknown; a known time is never unset.
	StartedAt  *time.Time
	FinishedAt *time.Time
	// The rest is set with a terminal state.
	SumoVersion string
	Summary     *simulation.Summary
	Results     []ResultFile
	Confinement *simulation.Confinement
	Warnings    []string // added to those of the submission
	Problems    []problem.Item
}
