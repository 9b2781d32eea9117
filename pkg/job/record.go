package job

import (
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// Filter selects jobs. Each field narrows the selection; its zero value does not.
type Filter struct {
	// Study selects the runs of a study, and Point and Variant some of these. Without it, jobs are selected that belong to none.
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
	Image       string
	// KeptScenario is the digest of the scenario that a tool's result has become.
	KeptScenario string
}
