package client

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// Job is a job as the service describes it.
type Job struct {
	Document
	ID              string            `json:"job_id"`
	Name            string            `json:"scenario_id"`
	Status          job.State         `json:"status"`
	Progress        float64           `json:"progress"` // 0 to 1
	Reason          simulation.Reason `json:"reason"`
	Error           string            `json:"error"`   // why it did not succeed, in one sentence
	Message         string            `json:"message"` // a remark on the present state
	SubmittedAt     time.Time         `json:"submitted_at"`
	StartedAt       *time.Time        `json:"started_at"`
	FinishedAt      *time.Time        `json:"finished_at"`
	TenantID        string            `json:"tenant_id"`
	Scenario        string            `json:"scenario"` // its id
	ConfigFile      string            `json:"config_file"`
	CPURequest      int               `json:"cpu_request"` // cores
	MemoryGi        int               `json:"memory_gi"`   // GiB
	Priority        string            `json:"priority"`
	Seed            *int64            `json:"seed"`
	TimeoutSeconds  int               `json:"timeout_seconds"`
	Attempt         int               `json:"attempt"`
	CancelRequested bool              `json:"cancel_requested"`
	SumoVersion     string            `json:"sumo_version"` // that ran
	ResultLocation  string            `json:"result_location"`
	ResultFiles     *struct {
		Files []job.ResultFile `json:"files"`
	} `json:"result_files"`
	Confinement *simulation.Confinement `json:"confinement"` // what held SUMO; nil until the job has finished
	Warnings    []string                `json:"warnings"`
	Problems    []problem.Item          `json:"problems"` // what SUMO says, of a check
	Options     simulation.Options      `json:"options"`
	// CachedFrom is the job whose results were taken from the cache; empty if this one ran.
	CachedFrom string `json:"cached_from"`
	// KeptScenario is the id of the scenario that the result of a tool has become; empty for none.
	KeptScenario string `json:"kept_scenario"`
	// StudyID is the study that the job is a run of, of the point with this number and setting; empty and nil for other jobs.
	StudyID     string                     `json:"study_id"`
	Point       *int                       `json:"point"`
	Replication *int                       `json:"replication"`
	Variant     string                     `json:"variant"`
	Setting     map[string]json.RawMessage `json:"setting"`
	// Superseded is true of a run of a study that failed and was ordered again.
	Superseded bool `json:"superseded"`
	// WebhookSecret verifies what is sent to Run.WebhookURL. Only the answer to Submit has it.
	WebhookSecret string `json:"webhook_secret"`
}

// UnmarshalJSON keeps the text beside the fields, also for jobs inside a list.
func (j *Job) UnmarshalJSON(raw []byte) error {
	type plain Job // without this method
	if err := json.Unmarshal(raw, (*plain)(j)); err != nil {
		return err
	}
	j.keep(append(json.RawMessage(nil), raw...))
	return nil
}

// Run is the options of a job. The service chooses for zero values.
type Run struct {
	Name           string // for people; needed
	ConfigFile     string
	Seed           *int64
	Begin, End     *float64 // seconds of simulated time
	StepLength     *float64 // seconds
	Scale          *float64
	SumoVersion    string
	Outputs        []simulation.Output
	Tables         []simulation.Table
	Labels         map[string]string
	Priority       string // low, normal or high
	TimeoutSeconds int
	CPURequest     int // cores
	MemoryGi       int // GiB
	// UnfinishedTrips counts the trips of vehicles that are on the road at the end. Strict refuses what SUMO would drop or ignore. Check
	// only lets SUMO load the scenario.
	UnfinishedTrips, Strict, Check bool
	// Cache is whether an earlier run that is the same may answer it; off unless set. That of a study stands in its Plan.
	Cache job.Cache
	// WebhookURL is called when the run starts and ends.
	WebhookURL string
	// Controller steers the run, or Tool takes its place; at most one of them is set.
	Controller *simulation.Controller
	Tool       *simulation.Tool
}

// fields are the form's fields that say r.
func (r Run) fields() (url.Values, error) {
	fields := url.Values{}
	text := func(name, value string) {
		if value != "" {
			fields.Add(name, value)
		}
	}
	whole := func(name string, value int) {
		if value != 0 {
			fields.Add(name, strconv.Itoa(value))
		}
	}
	number := func(name string, value *float64) {
		if value != nil {
			fields.Add(name, strconv.FormatFloat(*value, 'g', -1, 64))
		}
	}
	text("scenario_id", r.Name)
	text("config_file", r.ConfigFile)
	if r.Seed != nil {
		fields.Add("seed", strconv.FormatInt(*r.Seed, 10))
	}
	for name, chosen := range map[string]bool{"unfinished_trips": r.UnfinishedTrips, "strict": r.Strict, "check": r.Check} {
		if chosen {
			fields.Add(name, "true")
		}
	}
	number("begin", r.Begin)
	number("end", r.End)
	number("step_length", r.StepLength)
	number("scale", r.Scale)
	text("sumo_version", r.SumoVersion)
	for _, output := range r.Outputs {
		text("outputs", string(output))
	}
	for _, table := range r.Tables {
		text("tables", string(table))
	}
	text("priority", r.Priority)
	whole("timeout_seconds", r.TimeoutSeconds)
	text("webhook_url", r.WebhookURL)
	text("cache", string(r.Cache))
	whole("cpu_request", r.CPURequest)
	whole("memory_gi", r.MemoryGi)
	for name, object := range map[string]struct {
		value any
		given bool
	}{
		"labels": {r.Labels, len(r.Labels) > 0}, "controller": {r.Controller, r.Controller != nil}, "tool": {r.Tool, r.Tool != nil},
	} {
		if !object.given {
			continue
		}
		raw, err := json.Marshal(object.value)
		if err != nil {
			return nil, fmt.Errorf("writing the field %s: %w", name, err)
		}
		fields.Add(name, string(raw))
	}
	return fields, nil
}

// Submission is a job to submit: a run of one scenario, which is uploaded, stored already, or in S3.
type Submission struct {
	Run
	Scenario   *Source // to upload
	ScenarioID string  // of one that is stored
	S3URL      string  // s3://bucket/key of a zip
	// IdempotencyKey makes two submissions with the same key one job. Each submission has one of its own unless it is set.
	IdempotencyKey string
	// Sent is called with how many bytes of the upload are sent, of how many in all (-1 when unknown). It may be
	// nil, and is not called any more when Submit has returned.
	Sent func(sent, total int64)
}

// Submit makes a job.
func (c *Client) Submit(ctx context.Context, s Submission) (j Job, err error) {
	fields, err := s.fields()
	if err != nil {
		return j, err
	}
	if s.ScenarioID != "" {
		fields.Set("scenario", s.ScenarioID)
	}
	if s.S3URL != "" {
		fields.Set("sumo_files_s3_url", s.S3URL)
	}
	r := request{method: http.MethodPost, path: "/jobs", key: keyOr(s.IdempotencyKey)}
	err = c.upload(ctx, r, fields, s.Scenario, s.Sent, &j)
	return j, err
}

// keyOr returns key, or a new random one.
func keyOr(key string) string {
	if key != "" {
		return key
	}
	return rand.Text()
}

// jobPath is the escaped path of a job, with what follows it.
func jobPath(id, below string) string { return "/jobs/" + url.PathEscape(id) + below }

// Job returns a job.
func (c *Client) Job(ctx context.Context, id string) (j Job, err error) {
	err = c.call(ctx, request{method: http.MethodGet, path: jobPath(id, "")}, &j)
	return j, err
}

// Filter chooses jobs. Its zero value chooses all but the runs of studies.
type Filter struct {
	Study           string // the runs of this one, by its id
	Status          job.State
	Name            string
	Labels          map[string]string
	SubmittedAfter  time.Time
	SubmittedBefore time.Time
	Limit           int    // jobs on a page: 1 to 200; 50 unless set
	Cursor          string // NextCursor of the page before
}

// JobPage is a part of a list of jobs, newest first.
type JobPage struct {
	Document
	Jobs       []Job  `json:"jobs"`
	NextCursor string `json:"next_cursor"` // empty on the last page
}

// Jobs returns a page of the tenant's jobs.
func (c *Client) Jobs(ctx context.Context, f Filter) (page JobPage, err error) {
	query := url.Values{}
	set := func(name, value string) {
		if value != "" {
			query.Set(name, value)
		}
	}
	set("study", f.Study)
	set("status", string(f.Status))
	set("scenario_id", f.Name)
	set("cursor", f.Cursor)
	if f.Limit != 0 {
		query.Set("limit", strconv.Itoa(f.Limit))
	}
	for key, value := range f.Labels {
		query.Add("label", key+"="+value)
	}
	for name, at := range map[string]time.Time{"submitted_after": f.SubmittedAfter, "submitted_before": f.SubmittedBefore} {
		if !at.IsZero() {
			query.Set(name, at.UTC().Format(time.RFC3339Nano))
		}
	}
	err = c.call(ctx, request{method: http.MethodGet, path: "/jobs", query: query}, &page)
	return page, err
}

// Cancel stops a job; what it has written until then is kept. Repeating it is no error.
func (c *Client) Cancel(ctx context.Context, id string) (j Job, err error) {
	err = c.call(ctx, request{method: http.MethodDelete, path: jobPath(id, "")}, &j)
	return j, err
}

// Purge deletes a finished job with its results.
func (c *Client) Purge(ctx context.Context, id string) (j Job, err error) {
	err = c.call(ctx, request{method: http.MethodDelete, path: jobPath(id, ""), query: url.Values{"purge": {"true"}}}, &j)
	return j, err
}

// Retry submits a finished job again, as a new job.
func (c *Client) Retry(ctx context.Context, id string) (j Job, err error) {
	err = c.call(ctx, request{method: http.MethodPost, path: jobPath(id, "/retry"), key: keyOr("")}, &j)
	return j, err
}

// Summary is what a run did, in numbers with their units.
type Summary struct {
	Document
	simulation.Summary
}

// Summary returns the figures of a finished job.
func (c *Client) Summary(ctx context.Context, id string) (s Summary, err error) {
	err = c.call(ctx, request{method: http.MethodGet, path: jobPath(id, "/summary")}, &s)
	return s, err
}
