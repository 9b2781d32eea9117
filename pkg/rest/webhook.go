package rest

import (
	"encoding/json"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sumo-k8/sumo-k8/pkg/delivery"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/study"
)

// Webhook is a delivery.Hook on the wire, without its secrets.
type Webhook struct {
	WebhookID string            `json:"webhook_id" format:"uuid"`
	URL       string            `json:"url" doc:"Where events are POSTed."`
	Events    []delivery.Type   `json:"events" enum:"job.queued,job.running,job.finished,job.progress,study.finished" doc:"Of a run of less than a second job.running may be left out."`
	Labels    map[string]string `json:"labels" doc:"Only jobs that have all of these labels are reported; empty for every job."`
	Format    delivery.Format   `json:"format" enum:"standard,cloudevents" doc:"Form of the body: {type, timestamp, data}, or a structured CloudEvent 1.0."`
	Studies   bool              `json:"studies" doc:"Whether a study's runs are reported too."`
	Enabled   bool              `json:"enabled" doc:"Nothing is recorded for a disabled webhook, and what was waiting is paused."`
	Remark    string            `json:"remark" doc:"Why the service disabled the webhook; empty otherwise."`
	CreatedAt time.Time         `json:"created_at"`
	UpdatedAt time.Time         `json:"updated_at"`

	OldSecretsUntil *time.Time `json:"old_secrets_until" doc:"When the last replaced secret stops signing; null if only the current one signs."`
}

// WebhookOf puts h on the wire, as it is at now.
func WebhookOf(h delivery.Hook, now time.Time) Webhook {
	out := Webhook{
		WebhookID: h.ID, URL: h.URL, Events: orEmpty(h.Events), Labels: labelsOf(h.Labels), Format: h.Format, Studies: h.Studies,
		Enabled: h.Enabled, Remark: h.Remark, CreatedAt: h.CreatedAt.UTC(), UpdatedAt: h.UpdatedAt.UTC(),
	}
	for _, s := range h.Secrets {
		if end := s.ExpiresAt; end != nil && end.After(now) && (out.OldSecretsUntil == nil || end.After(*out.OldSecretsUntil)) {
			out.OldSecretsUntil = inUTC(end)
		}
	}
	return out
}

// Delivery is a delivery.Delivery on the wire.
type Delivery struct {
	DeliveryID     string         `json:"delivery_id" format:"uuid"`
	MessageID      string         `json:"message_id" doc:"The header webhook-id of every attempt; empty for the answer to a task token."`
	WebhookID      *string        `json:"webhook_id" doc:"Null for the answer to a task token."`
	URL            string         `json:"url" doc:"That of the webhook."`
	JobID          string         `json:"job_id" doc:"Empty if the event is about a study."`
	StudyID        string         `json:"study_id,omitempty" format:"uuid" doc:"Absent if the event is about a job."`
	Event          delivery.Type  `json:"event" enum:"job.queued,job.running,job.finished,job.progress,study.finished"`
	State          delivery.State `json:"state" enum:"WAITING,PAUSED,DELIVERED,GIVEN_UP" doc:"WAITING for the next attempt, PAUSED while its webhook is disabled, DELIVERED when the receiver has answered 2xx, GIVEN_UP after the last attempt."`
	Attempts       int            `json:"attempts" doc:"Made so far."`
	CreatedAt      time.Time      `json:"created_at"`
	NextAttemptAt  *time.Time     `json:"next_attempt_at" doc:"Null unless WAITING. A receiver in trouble may delay it."`
	AttemptedAt    *time.Time     `json:"attempted_at" doc:"When the last attempt ended; null before the first."`
	ResponseStatus int            `json:"response_status" doc:"HTTP status of the last attempt's answer; 0 if there was none."`
	Error          string         `json:"error" doc:"What was wrong with the last attempt; empty if nothing was."`
}

// DeliveryOf puts d on the wire.
func DeliveryOf(d delivery.Delivery) Delivery {
	out := Delivery{
		DeliveryID: d.ID, Event: d.Event.Type, State: d.State, Attempts: d.Attempts, CreatedAt: d.CreatedAt.UTC(),
		AttemptedAt: inUTC(d.AttemptedAt), ResponseStatus: d.Status, Error: d.Error,
	}
	if s := d.Event.Study; s != nil {
		out.StudyID = s.ID
	} else {
		out.JobID = d.JobID
	}
	if d.HookID != "" {
		out.WebhookID, out.URL, out.MessageID = &d.HookID, d.URL, d.MessageID()
	}
	if d.State == delivery.Waiting {
		out.NextAttemptAt = inUTC(&d.DueAt)
	}
	return out
}

// WebhookMessage is the body of a webhook in the standard format.
type WebhookMessage struct {
	Type      delivery.Type `json:"type" enum:"job.queued,job.running,job.finished,job.progress,study.finished"`
	Timestamp time.Time     `json:"timestamp" doc:"When it happened."`
	Data      WebhookData   `json:"data"`
}

// WebhookData is what an event is about: a study, or else a job.
type WebhookData struct {
	WebhookJob
	Study *WebhookStudy
}

// Schema says that data is one or the other.
func (WebhookData) Schema(r huma.Registry) *huma.Schema {
	return &huma.Schema{OneOf: []*huma.Schema{
		r.Schema(typeOf[WebhookJob](), true, "WebhookJob"), r.Schema(typeOf[WebhookStudy](), true, "WebhookStudy"),
	}}
}

// MarshalJSON writes the one that it is.
func (d WebhookData) MarshalJSON() ([]byte, error) {
	if d.Study != nil {
		return json.Marshal(d.Study)
	}
	return json.Marshal(d.WebhookJob)
}

// UnmarshalJSON reads the one that it is.
func (d *WebhookData) UnmarshalJSON(raw []byte) error {
	var is struct {
		JobID string `json:"job_id"`
	}
	if err := json.Unmarshal(raw, &is); err != nil {
		return err
	}
	if is.JobID == "" {
		return json.Unmarshal(raw, &d.Study)
	}
	return json.Unmarshal(raw, &d.WebhookJob)
}

// WebhookStudy is a delivery.Study on the wire.
type WebhookStudy struct {
	StudyID    string             `json:"study_id" format:"uuid"`
	TenantID   string             `json:"tenant_id"`
	Name       string             `json:"name"`
	Status     study.State        `json:"status" enum:"RUNNING,SUCCEEDED,INCOMPLETE,FAILED,CANCELLED"`
	Message    string             `json:"message"`
	Runs       delivery.RunCounts `json:"runs"`
	Labels     map[string]string  `json:"labels"`
	CreatedAt  time.Time          `json:"created_at"`
	StartedAt  *time.Time         `json:"started_at"`
	FinishedAt *time.Time         `json:"finished_at"`
}

// WebhookJob is a delivery.Job on the wire.
type WebhookJob struct {
	JobID       string            `json:"job_id" format:"uuid"`
	TenantID    string            `json:"tenant_id"`
	ScenarioID  string            `json:"scenario_id" doc:"The name given at submission."`
	Status      job.State         `json:"status" enum:"QUEUED,PENDING,RUNNING,SUCCEEDED,FAILED,CANCELLED"`
	Reason      simulation.Reason `json:"reason"`
	Message     string            `json:"message"`
	Progress    float64           `json:"progress" minimum:"0" maximum:"1"`
	Attempt     int               `json:"attempt"`
	Check       bool              `json:"check" doc:"Whether the job only checks its scenario."`
	Labels      map[string]string `json:"labels"`
	SubmittedAt time.Time         `json:"submitted_at"`
	StartedAt   *time.Time        `json:"started_at"`
	FinishedAt  *time.Time        `json:"finished_at"`
	SumoVersion string            `json:"sumo_version"`
	Summary     *WebhookSummary   `json:"summary" doc:"Key figures of a finished run; null if there are none."`
	StudyID     string            `json:"study_id,omitempty" format:"uuid" doc:"The study that the job is a run of; absent for other jobs, as are point and replication."`
	Point       *int              `json:"point,omitempty" minimum:"0" doc:"Its point in the study."`
	Replication *int              `json:"replication,omitempty" minimum:"0" doc:"From 0: which of the study's seeds it has."`
}

// WebhookSummary is a simulation.Summary that may be null.
type WebhookSummary simulation.Summary

// Schema makes the summary nullable.
func (WebhookSummary) Schema(r huma.Registry) *huma.Schema {
	s := huma.SchemaFromType(r, typeOf[simulation.Summary]())
	s.Nullable = true
	return s
}

// WebhookMessageOf puts e on the wire.
func WebhookMessageOf(e delivery.Event) WebhookMessage {
	e = e.UTC()
	out := WebhookMessage{Type: e.Type, Timestamp: e.At}
	if s := e.Study; s != nil {
		out.Data.Study = &WebhookStudy{
			StudyID: s.ID, TenantID: s.TenantID, Name: s.Name, Status: s.State, Message: s.Message, Runs: s.Runs, Labels: labelsOf(s.Labels),
			CreatedAt: s.CreatedAt, StartedAt: s.StartedAt, FinishedAt: s.FinishedAt,
		}
		return out
	}
	j := e.Job
	out.Data.WebhookJob = WebhookJob{
		JobID: j.ID, TenantID: j.TenantID, ScenarioID: j.Name, Status: j.State, Reason: j.Reason, Message: j.Message, Progress: j.Progress,
		Attempt: j.Attempt, Check: j.Check, Labels: labelsOf(j.Labels), SubmittedAt: j.SubmittedAt, StartedAt: j.StartedAt,
		FinishedAt: j.FinishedAt, SumoVersion: j.SumoVersion, Summary: (*WebhookSummary)(j.Summary), StudyID: j.StudyID, Point: j.Point,
		Replication: j.Replication,
	}
	return out
}

// labelsOf is an object on the wire, even where there are none.
func labelsOf(labels map[string]string) map[string]string {
	if labels == nil {
		return map[string]string{}
	}
	return labels
}
