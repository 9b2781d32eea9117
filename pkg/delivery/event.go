// Package delivery defines what is sent to those who wait for jobs and studies: their webhooks, the deliveries, and when each is tried
// again.
//
// A delivery is recorded in the transaction that changes its job (the outbox pattern), and sent afterwards, at least once. A receiver
// recognises a repetition by its id.
package delivery

import (
	"encoding/json"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/study"
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
	// StudyFinished says that nothing of a study is left to be done.
	StudyFinished Type = "study.finished"
)

// Types lists every type of event.
func Types() []Type { return []Type{JobQueued, JobRunning, JobFinished, JobProgress, StudyFinished} }

// Event is something that happened to a job or a study, as it was then.
type Event struct {
	Type Type
	At   time.Time
	Job  Job
	// Study is what an event of a study is about; nil for one of a job.
	Study *Study
}

// wireEvent is an Event as rows and receivers have it: data is a Job or a Study.
type wireEvent struct {
	Type Type            `json:"type"`
	At   time.Time       `json:"timestamp"`
	Data json.RawMessage `json:"data"`
}

// Data is what the event is about, as receivers get it: a Job, or a *Study.
func (e Event) Data() any {
	if e.Study != nil {
		return e.Study
	}
	return e.Job
}

// Subject is the id of what the event is about.
func (e Event) Subject() string {
	if e.Study != nil {
		return e.Study.ID
	}
	return e.Job.ID
}

// MarshalJSON writes what receivers get.
func (e Event) MarshalJSON() ([]byte, error) {
	data, err := json.Marshal(e.Data())
	if err != nil {
		return nil, err
	}
	return json.Marshal(wireEvent{Type: e.Type, At: e.At, Data: data})
}

// UnmarshalJSON reads what MarshalJSON and the triggers of jobs and studies write.
func (e *Event) UnmarshalJSON(raw []byte) error {
	var wire wireEvent
	if err := json.Unmarshal(raw, &wire); err != nil {
		return err
	}
	*e = Event{Type: wire.Type, At: wire.At}
	if len(wire.Data) == 0 {
		return nil
	}
	if wire.Type == StudyFinished {
		return json.Unmarshal(wire.Data, &e.Study)
	}
	return json.Unmarshal(wire.Data, &e.Job)
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
	// The place of a study's run; absent for other jobs.
	StudyID     string `json:"study_id,omitempty"`
	Point       *int   `json:"point,omitempty"`
	Replication *int   `json:"replication,omitempty"`
}

// Study is what a receiver learns about a study. SQL writes it, under these names.
type Study struct {
	ID         string            `json:"study_id"`
	TenantID   string            `json:"tenant_id"`
	Name       string            `json:"name"`
	State      study.State       `json:"status"`
	Message    string            `json:"message"`
	Runs       RunCounts         `json:"runs"`
	Labels     map[string]string `json:"labels"`
	CreatedAt  time.Time         `json:"created_at"`
	StartedAt  *time.Time        `json:"started_at"`
	FinishedAt *time.Time        `json:"finished_at"`
}

// RunCounts are what has become of the runs of a study.
type RunCounts struct {
	Planned   int `json:"planned"`
	Succeeded int `json:"succeeded"`
	Failed    int `json:"failed"`
	Cancelled int `json:"cancelled"`
}

// UTC returns e with its times in UTC, as they appear on the wire.
func (e Event) UTC() Event {
	e.At, e.Job.SubmittedAt = e.At.UTC(), e.Job.SubmittedAt.UTC()
	times := []**time.Time{&e.Job.StartedAt, &e.Job.FinishedAt}
	if e.Study != nil {
		s := *e.Study
		e.Study, s.CreatedAt = &s, s.CreatedAt.UTC()
		times = append(times, &s.StartedAt, &s.FinishedAt)
	}
	for _, t := range times {
		if *t != nil {
			u := (*t).UTC()
			*t = &u
		}
	}
	return e
}
