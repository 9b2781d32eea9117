package reconcile

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// differences are what a pass has to act on.
type differences struct {
	updates  []job.Update         // for the record
	ends     map[string]End       // of those jobs that end with an update, without the time of its recording
	finished []string             // chunks the engine may forget once the updates are written
	stop     map[string][]string  // by chunk, its jobs whose cancellation is requested
	restart  []job.Job            // jobs whose run is lost
	lost     map[string][]job.Job // by chunk, these and those that are not tried again, in the order in which they were started
	strays   []job.Sight          // chunks without active jobs
	keep     []job.Job            // of those that end with an update, the ones whose result becomes a scenario first
}

// compare decides what to do about each job that is active on record and each chunk that the engine has.
func (c Config) compare(now time.Time, active []job.Job, seen []job.Sight) differences {
	sights := make(map[string]job.Sight, len(seen))
	runs := make(map[string]func(jobID string) job.Observation, len(seen)) // by chunk
	for _, s := range seen {
		sights[s.ChunkID], runs[s.ChunkID] = s, s.ByJob()
	}
	d := differences{ends: map[string]End{}, stop: map[string][]string{}, lost: map[string][]job.Job{}}
	used := map[string]bool{}
	open := map[string]bool{} // chunks with jobs that go on
	for _, j := range active {
		id := j.ChunkID()
		s, known := sights[id]
		used[id] = true
		var o job.Observation
		if known {
			o = runs[id](j.ID)
		}
		switch {
		case !known:
			c.compareLost(now, j, &d)
		case o.State.Terminal():
			u := updateFrom(o)
			if j.Options.Check {
				u.Results = nil // its log stays readable
			}
			d.update(j, u, o.StoredAt)
			if u.State == job.Succeeded && j.KeepAs() != "" {
				d.keep = append(d.keep, j)
			}
		case s.Ended:
			// It ended without this job. Once the engine has forgotten it, the job counts as lost.
		default:
			open[id] = true
			if differs(j, o) {
				d.update(j, updateFrom(o), nil)
			}
			if j.CancelRequested {
				d.stop[id] = append(d.stop[id], j.ID)
			}
		}
	}
	for _, s := range seen {
		switch {
		case !used[s.ChunkID]:
			d.strays = append(d.strays, s)
		case s.Ended && !open[s.ChunkID]:
			d.finished = append(d.finished, s.ChunkID)
		}
	}
	return d
}

// compareLost decides about a job that the engine does not have.
func (c Config) compareLost(now time.Time, j job.Job, d *differences) {
	if !j.CancelRequested || j.State == job.Running { // else it was passed over
		d.lost[j.ChunkID()] = append(d.lost[j.ChunkID()], j)
	}
	atWork := 0 // losses that say something about the run
	if j.State == job.Running {
		atWork = j.Lost + 1
	}
	switch {
	case j.CancelRequested:
		d.update(j, job.Update{
			ID: j.ID, State: job.Cancelled, Reason: simulation.Cancelled, Message: "Cancelled on request.",
			Progress: j.Progress, FinishedAt: &now,
		}, nil)
	case j.State == job.Pending && now.Sub(j.UpdatedAt) < c.LostAfter:
		// Claimed a moment ago: the process that claimed it is about to start it.
	case atWork >= c.MaxAttempts || j.Attempt >= c.MaxStarts:
		d.update(j, job.Update{
			ID: j.ID, State: job.Failed, Reason: simulation.WorkflowLost,
			Message: fmt.Sprintf("The run was lost %d times with the machine or process it ran on, and is not tried again. "+
				"If it takes more memory than its memory_gi, submit it with more; else tell the operator the job's id.", j.Attempt),
			Progress: j.Progress, FinishedAt: &now,
		}, nil)
	default:
		d.restart = append(d.restart, j)
	}
}

// blamed returns those of a chunk's lost jobs that may have brought it down. A second attempt carries out one run after the other: there
// it is the first that is left. The state on record does not show that, since it never goes back.
func blamed(lost []job.Job) map[string]bool {
	isRunning := func(j job.Job) bool { return j.State == job.Running }
	culprits := map[string]bool{}
	for i, j := range lost {
		switch {
		case !slices.ContainsFunc(lost, isRunning): // it did not come to any run
			culprits[j.ID] = true
		case slices.ContainsFunc(lost, wasLost):
			culprits[j.ID] = i == 0
		default:
			culprits[j.ID] = isRunning(j)
		}
	}
	return culprits
}

// wasLost reports whether j was lost at work before.
func wasLost(j job.Job) bool { return j.Lost > 0 }

// End is that of a job, as it is then on record.
type End struct {
	Job job.Job
	// StoredAt is when its results were all stored; nil while that is not known.
	StoredAt   *time.Time
	RecordedAt time.Time
}

// update adds an update of j to the differences.
func (d *differences) update(j job.Job, u job.Update, stored *time.Time) {
	d.updates = append(d.updates, u)
	if !u.State.Terminal() {
		return
	}
	j.State, j.Reason, j.FinishedAt = u.State, u.Reason, u.FinishedAt
	if j.CancelRequested && u.State != job.Succeeded { // as the Store decides
		j.State, j.Reason = job.Cancelled, simulation.Cancelled
	}
	j.Confinement = u.Confinement
	j.StartedAt, j.SumoVersion = cmp.Or(u.StartedAt, j.StartedAt), cmp.Or(u.SumoVersion, j.SumoVersion)
	d.ends[j.ID] = End{Job: j, StoredAt: stored}
}

// differs reports whether o, of a run that has not ended, reports anything that is not on record. A run that was started
// again is behind its record for a while; the record never goes back. A run without a message leaves one that is on
// record alone, such as why it was started again.
func differs(j job.Job, o job.Observation) bool {
	if j.State != o.State {
		return j.State.CanBecome(o.State)
	}
	return o.Progress > j.Progress || o.Message != "" && o.Message != j.Message || j.StartedAt == nil && o.StartedAt != nil
}

func updateFrom(o job.Observation) job.Update {
	u := job.Update{
		ID: o.JobID, State: o.State, Reason: o.Reason, Message: o.Message, Progress: o.Progress,
		StartedAt: o.StartedAt, FinishedAt: o.FinishedAt, Summary: o.Summary, Results: o.Results,
		Confinement: o.Confinement, Warnings: o.Warnings, Problems: o.Problems, Image: o.Image,
	}
	if o.Summary != nil {
		u.SumoVersion = o.Summary.SumoVersion
	}
	return u
}
