package local

import (
	"context"
	"encoding/json"
	"path/filepath"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/chunk"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// task is one chunk in the engine.
type task struct {
	id, namespace string
	dir           string
	single        bool
	priority      job.Priority
	submitted     time.Time
	parallel      int // runs that may go on at a time
	runs          []*run
	byID          map[string]*run
	// made is true once the folder exists.
	made     bool
	scenario *shared // in use
	// wanted ends when nothing of the chunk is to go on; its cause is errStopped or errClosing.
	wanted context.Context
	stop   context.CancelCauseFunc
	wake   chan struct{} // has a value when runs are cancelled or slots are added

	// guarded by Engine.mu
	slots   int       // in use
	message string    // why no run begins
	moved   time.Time // when a run began or ended last
	ended   bool
}

// rouse announces that runs of t are cancelled or that it has more slots.
func (t *task) rouse() {
	select {
	case t.wake <- struct{}{}:
	default: // a value that nobody has taken yet announces this too
	}
}

// run is one job of a chunk.
type run struct {
	chunk.Run
	job job.Job // of one that an earlier engine has ended or lost, nothing
	// again is true when the run was interrupted by an orderly Close and begins anew.
	again bool

	// guarded by Engine.mu
	seen      job.Observation // its State is empty until the run begins
	simulated bool            // SUMO has ended; results are being stored
	waits     bool            // for the object store
	cancelled bool
	lost      bool // it has begun and will not end
}

func runsOf(c job.Chunk) []*run {
	runs := make([]*run, len(c.Jobs))
	for i, entry := range chunk.ListOf(c).Runs {
		entry.Memory += memoryAllowance
		runs[i] = &run{Run: entry, job: c.Jobs[i], seen: job.Observation{JobID: entry.ID}}
	}
	return runs
}

// memoryAllowance, in bytes, is added to a job's memory: the limit also counts memory that the C library's allocator
// reserves and never touches.
const memoryAllowance = 256 << 20

func (t *task) file(name string) string { return filepath.Join(t.dir, name) }

// out is the path of a file that a run leaves.
func (t *task) out(r *run, name string) string { return filepath.Join(t.dir, outFolder, r.ID, name) }

// progress is the path of the file that is there while a run goes on.
func (t *task) progress(r *run) string { return t.out(r, "") + chunk.ProgressSuffix }

// urge takes over what decides when it is the turn of a chunk with job j.
func (t *task) urge(j job.Job) { t.priority, t.submitted = j.Priority, j.SubmittedAt }

// list is what is to be done for some of t's runs.
func (t *task) list(runs []*run) chunk.List {
	l := chunk.List{Generation: chunk.Generation, ID: t.id, Parallel: max(1, t.parallel), Single: t.single}
	for _, r := range runs {
		l.Runs = append(l.Runs, r.Run)
	}
	return l
}

// left returns the runs that are to begin, or to begin again. The caller holds Engine.mu, or is alone.
func (t *task) left() []*run {
	var left []*run
	for _, r := range t.runs {
		if !r.finished() && !r.lost && !r.cancelled && !r.simulated {
			left = append(left, r)
		}
	}
	return left
}

// unfinished counts the runs that need a slot now or later. The caller holds Engine.mu, or is alone.
func (t *task) unfinished() (n int) {
	for _, r := range t.runs {
		if !r.finished() && !r.lost && !r.simulated {
			n++
		}
	}
	return n
}

// sight is what is seen of t. The caller holds Engine.mu.
func (t *task) sight() job.Sight {
	s := job.Sight{ChunkID: t.id, Ended: t.ended}
	for _, r := range t.runs {
		if r.seen.State != "" || r.lost {
			s.Runs = append(s.Runs, r.seen)
		}
	}
	if !t.ended {
		s.Others = job.Observation{State: job.Pending, Message: t.message}
	}
	return s
}

// finished reports whether the end of r is known. The caller holds Engine.mu, or is alone.
func (r *run) finished() bool { return r.seen.State.Terminal() }

// running makes r a run that goes on. It reports whether that is news. The caller holds Engine.mu.
func (r *run) running(s chunk.RunState) bool {
	o := &r.seen
	if o.State == job.Running && s.Progress <= o.Progress {
		return false
	}
	if o.State == "" {
		o.State, o.StartedAt = job.Running, &s.StartedAt
		if r.again {
			o.Message = "The service restarted during the run; the run was started again from the beginning."
		}
	}
	o.Progress = max(o.Progress, s.Progress)
	return true
}

// end sets the terminal state. The caller holds Engine.mu.
func (r *run) end(outcome simulation.Outcome, results []job.ResultFile, stored time.Time) {
	o := &r.seen
	o.End(outcome)
	if o.StartedAt == nil && !outcome.StartedAt.IsZero() {
		o.StartedAt = &outcome.StartedAt
	}
	o.FinishedAt = &outcome.FinishedAt
	o.Results = results // the keeper has given them roles
	if !stored.IsZero() {
		o.StoredAt = &stored
	}
}

// lose makes r a run that will not end here, unless it has. The caller holds Engine.mu, or is alone.
func (r *run) lose() {
	if !r.finished() {
		r.seen, r.lost = job.Observation{JobID: r.ID}, true
	}
}

// form is what the validity of a scenario's XML may depend on: what SUMO reads, and how far.
func (r *run) form() string {
	options := r.Options
	options.Seed = nil
	text, _ := json.Marshal(options) // of text and numbers
	return string(text)
}

// showsValid reports whether a run that validated the XML has shown that it is valid: without a warning, none of which may be about
// the XML.
func showsValid(o simulation.Outcome) bool {
	return o.Succeeded() && len(o.Warnings) == 0 && o.Summary != nil && o.Summary.Warnings == 0
}

// outcome is that of a run that ends now, for a reason that sumo-run has not explained.
func (e *Engine) outcome(reason simulation.Reason) simulation.Outcome {
	outcome := reason.Unreported()
	outcome.FinishedAt = e.now()
	return outcome
}

// limit is how long the runs of a list take at most, Parallel of them at a time; 0 if one has no timeout.
func limit(l chunk.List) time.Duration {
	var sum, longest time.Duration
	for _, r := range l.Runs {
		timeout := time.Duration(r.TimeoutSeconds) * time.Second
		if timeout == 0 {
			return 0
		}
		sum, longest = sum+timeout, max(longest, timeout)
	}
	p := time.Duration(l.Parallel)
	return (sum + (p-1)*longest) / p
}
