// Package chunk defines what a service, sumo-run and the keeper of results exchange about the runs of a chunk: the list of runs, how each
// of them stands, and the files by which the two processes beside SUMO signal each other.
//
// sumo-run goes through the list. The keeper, a sidecar of the pod or a part of the local engine, stores each run when it has ended. They
// share two folders, of which each writes one:
//
//	out/<run>/            what a run leaves, written by sumo-run; outcome.json is moved there last, and nothing changes afterwards
//	out/<run>/replay/     while a recorded run goes on: its segments by number, and index.json, a replay.Index of those that are there
//	out/<run>.progress    "N/1000", while the run goes on, once there is progress
//	out/lock              held exclusively (flock) as long as sumo-run lives
//	desk/ready            a Ready, written by the keeper once; no run begins before
//	desk/alive            touched by the keeper every AliveEvery
//	desk/cancel/<run>     the run is to be stopped, or not begun
//	desk/lanes            how many runs may go on at a time from now on, where that is more than the list says
//	desk/stored/<run>     its RunState: the run's results are stored, and its end is known to the service; sumo-run removes out/<run>
//
// All files are replaced by a rename, so that what exists is complete.
package chunk

import (
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// Generation numbers the agreement between this release's templates, sumo-run and keeper: arguments, files and objects. sumo-run prints it,
// and the names of templates end with it, so that neither meets another's. The first one had no number.
const Generation = 2

// List is what a chunk has to do.
type List struct {
	Generation int    `json:"generation"`
	ID         string `json:"id"` // of the chunk
	// Parallel is how many runs go on at a time, until the keeper allows more.
	Parallel int   `json:"parallel"`
	Runs     []Run `json:"runs"`
	// Single is true of a job that belongs to no study: sumo-run ends with the exit code of its outcome.
	Single bool `json:"single,omitempty"`
}

// Run is one job of a chunk.
type Run struct {
	ID      string             `json:"id"`      // of the job
	Results string             `json:"results"` // what the keys of its results begin with; ends in a slash
	Options simulation.Options `json:"options"`
	// TimeoutSeconds and Memory, in bytes, are the run's own limits; 0 for none.
	TimeoutSeconds int   `json:"timeout_seconds"`
	Memory         int64 `json:"memory"`
	// Pack is true if small results are stored together, in artifact.PackFile.
	Pack bool `json:"pack,omitempty"`
	// Valid is true when a run of the same scenario, version of SUMO and attributes has shown that the XML is valid, so that SUMO need not
	// validate it again.
	Valid bool `json:"valid,omitempty"`
}

// State is how the runs of a chunk stand: the object that the keeper replaces whenever a run begins or ends, and now and then.
type State struct {
	ID string `json:"id"` // of the chunk
	// Runs are those that have begun, by the id of their job.
	Runs map[string]RunState `json:"runs"`
}

// RunState is how a run stands.
type RunState struct {
	StartedAt time.Time `json:"started_at"`
	Progress  float64   `json:"progress,omitempty"` // 0 to 1
	// Outcome is nil until the run has ended and its results are stored, or cannot be.
	Outcome *simulation.Outcome `json:"outcome,omitempty"`
	Results []job.ResultFile    `json:"results,omitempty"` // with Outcome
	// StoredAt is when the results were all stored; zero if they could not be, which Outcome then says.
	StoredAt time.Time `json:"stored_at,omitzero"`
}

// Ended reports whether nothing more will happen to the run.
func (s RunState) Ended() bool { return s.Outcome != nil }

// Ready is what the keeper knows when it begins.
type Ready struct {
	// Skip are runs that are not to be begun: those that an earlier pod has stored, and those that are cancelled. Each gets its file in
	// StoredFolder, at the latest when the service knows its end. What an earlier sumo-run has ended and the keeper is storing is not
	// among them.
	Skip []string `json:"skip"`
}

// Cancelled is the object that names the runs to be stopped.
type Cancelled struct {
	Runs []string `json:"runs"` // ids of jobs
}

// Names in the two folders.
const (
	ReadyFile      = "ready"
	AliveFile      = "alive"
	CancelFolder   = "cancel"
	LanesFile      = "lanes" // a number
	StoredFolder   = "stored"
	ProgressSuffix = ".progress" // of a file beside a run's folder
	LockFile       = "lock"
)

const (
	// AliveEvery is how often a keeper shows that it lives. It signals beside its uploads, so only one that hangs or is dead is silent.
	AliveEvery = 5 * time.Second
	// SilentAfter is when a keeper that shows nothing counts as dead.
	SilentAfter = 2 * time.Minute
	// ReportEvery is the least time between two writings of the State.
	ReportEvery = time.Second
	// ProgressEvery is the least time between two that only report progress.
	ProgressEvery = 5 * time.Second
	// CancelEvery is how often Cancelled is read.
	CancelEvery = 2 * time.Second
)

// MostUnstored is how many runs that have ended may wait for the keeper, beside the bound on the disk space that they take. sumo-run begins
// no further ones, so a keeper reports before that many wait.
const MostUnstored = 16

// MostRuns bounds the runs of a chunk: with more, the State, of which each run takes some 4 KB before compression, is not small any longer.
const MostRuns = 200

// ListOf is the list of runs for c.
func ListOf(c job.Chunk) List {
	l := List{Generation: Generation, ID: c.ID, Parallel: c.Parallel, Single: c.Jobs[0].Study == nil}
	for _, j := range c.Jobs {
		l.Runs = append(l.Runs, Run{
			ID: j.ID, Results: j.ResultsKey, Options: j.Options, TimeoutSeconds: j.TimeoutSeconds, Memory: int64(j.MemoryGi) << 30,
			Pack: j.Packed(),
		})
	}
	return l
}
