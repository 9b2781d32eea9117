package job

import (
	"context"
	"io"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// Engine runs jobs. One implementation starts processes on this machine; another makes Argo Workflows.
//
// The database is the record and the engine may forget: after a crash it need not know a run that was under way. Reconcile
// then starts it again, so every call here can be repeated.
type Engine interface {
	// Start hands a chunk over. Starting one that the engine already has is no error and changes nothing.
	Start(ctx context.Context, c Chunk) error
	// Stop ends runs of a chunk gracefully, keeping what they have written; without any jobs, the whole chunk. It returns at once; Observe
	// reports when they have ended. What the engine does not have is no error.
	Stop(ctx context.Context, chunkID string, jobs ...string) error
	// Observe returns what the engine has, in no order.
	Observe(ctx context.Context) ([]Sight, error)
	// Changed delivers a value soon after something about a run has changed. It may merge many changes into one, but
	// misses none.
	Changed() <-chan struct{}
	// Forget removes everything that the engine keeps of chunks that have ended and whose jobs' ends are recorded.
	Forget(ctx context.Context, chunkIDs []string) error
}

// RunName names a chunk where chunks have names: its workflow on a cluster.
func RunName(chunkID string) string { return "sumo-" + chunkID }

// Observation is the state of one run as its engine sees it.
type Observation struct {
	JobID string
	// State is Pending, Running or terminal. A terminal state is only reported once the results are stored.
	State      State
	Progress   float64
	StartedAt  *time.Time
	FinishedAt *time.Time
	Reason     simulation.Reason
	Message    string
	Summary    *simulation.Summary // nil while running
	Results    []ResultFile        // set with a terminal state
	StoredAt   *time.Time          // when the results were all stored; set with a terminal state, where it is known
	// Confinement is what held SUMO; set with a terminal state, unless SUMO never started or nothing reports what held it.
	Confinement *simulation.Confinement
	Warnings    []string       // set with a terminal state
	Problems    []problem.Item // set with a terminal state
	Image       string         // see Job; set with a terminal state
	// Roles are the names of the results that are outputs of the run; set with a terminal state, nil if the run does not say.
	Roles map[simulation.Output]string
}

// End records in o how the run ended. Times and results (see Stored) are for the engine to add.
func (o *Observation) End(outcome simulation.Outcome) {
	o.Reason, o.Message, o.Summary, o.Confinement = outcome.Reason, outcome.Message, outcome.Summary, outcome.Confinement
	o.Image = outcome.Image
	o.Warnings, o.Problems, o.Roles = simulation.Warned(outcome.Warnings), outcome.Problems, outcome.Files
	switch outcome.Reason {
	case "":
		o.State, o.Progress = Succeeded, 1
	case simulation.Cancelled:
		o.State = Cancelled
	default:
		o.State = Failed
	}
}

// Stored records in o, which has ended, the files that the run left.
func (o *Observation) Stored(files []ResultFile) { o.Results = withRoles(files, o.Roles) }

// LiveLogs reads the log of a run that has not ended.
type LiveLogs interface {
	// OpenLog reads the log of a run from a byte offset to its current end. It answers problem.NotFound if the engine does
	// not have the run, or if the run has written nothing yet or nothing that is available; the problem says which.
	OpenLog(ctx context.Context, j Job, offset int64) (*Log, error)
}

// NoLogYet is the answer of LiveLogs about a run that has written nothing; cause may be nil.
func NoLogYet(cause error) error {
	return problem.Wrap(cause, problem.NotFound, "No log yet: the simulation is just starting.")
}

// Log is the log of one run of a job from an offset on, in complete lines. The caller closes it.
type Log struct {
	io.ReadCloser
	// Began is when the run that writes it began, from its first line (simulation.LogStart); zero if there is none.
	// A job that is run again has another log.
	Began time.Time
	// Offset is where reading begins: later than requested if the part before is unavailable while the run goes on, and Size
	// if the log does not reach that far.
	Offset int64
	// Size is the log's current length, in bytes.
	Size int64
}

// Node is a machine on which runs happen.
type Node struct {
	Name        string
	Ready       bool
	Capacity    map[string]string // "cpu", "memory" in Kubernetes' quantity notation
	Allocatable map[string]string
	PodsRunning int
	Created     time.Time
}
