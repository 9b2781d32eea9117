// Package delivery defines what is sent to those who wait for jobs: their webhooks, the deliveries, and when each is tried again.
//
// A delivery is recorded in the transaction that changes its job (the outbox pattern), and sent afterwards, at least once. A receiver
// recognises a repetition by its id.
package delivery

import (
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// Type is what happened.
type Type string

// The types of events.
const (
	JobQueued   Type = "job.queued"   // accepted
	JobRunning  Type = "job.running"  // SUMO has started
	JobFinished Type = "job.finished" // succeeded, failed or cancelled
	// JobProgress says how far a running job is. Only the newest value is sent, at most once a second, and none behind the job's end.
	JobProgress Type = "job.progress"
)

// Types lists every type of event.
func Types() []Type { return []Type{JobQueued, JobRunning, JobFinished, JobProgress} }

// Event is something that happened to a job, as it was then.
type Event struct {
	Type Type      `json:"type"`
	At   time.Time `json:"timestamp"`
	Job  Job       `json:"data"`
}

// Job is what a receiver learns about a job. SQL writes it (see the trigger jobs_record_deliveries), under these names.
type Job struct {
	ID          string              `json:"job_id"`
	TenantID    string              `json:"tenant_id"`
	Name        string              `json:"scenario_id"`
	State       job.State           `json:"status"`
	Reason      simulation.Reason   `json:"reason"`
	Message     string              `json:"message"`
	Progress    float64             `json:"progress"` // 0 to 1
	Attempt     int                 `json:"attempt"`
	Check       bool                `json:"check"` // whether the job only checks its scenario
	Labels      map[string]string   `json:"labels"`
	SubmittedAt time.Time           `json:"submitted_at"`
	StartedAt   *time.Time          `json:"started_at"`
	FinishedAt  *time.Time          `json:"finished_at"`
	SumoVersion string              `json:"sumo_version"`
	Summary     *simulation.Summary `json:"summary"`
}

// UTC returns e with its times in UTC, as they appear on the wire.
func (e Event) UTC() Event {
	e.At, e.Job.SubmittedAt = e.At.UTC(), e.Job.SubmittedAt.UTC()
	for _, t := range []**time.Time{&e.Job.StartedAt, &e.Job.FinishedAt} {
		if *t != nil {
			u := (*t).UTC()
			*t = &u
		}
	}
	return e
}
