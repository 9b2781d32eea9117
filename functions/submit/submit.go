// Package submit accepts work: it stores scenarios, makes jobs from them, and cancels jobs.
package submit

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/rs/zerolog"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/idempotency"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/telemetry/traceparent"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

// Function answers the calls that change jobs.
type Function struct {
	Jobs    job.Store
	Intake  *scenario.Intake
	Objects artifact.Store
	Inputs  artifact.Inputs
	// OwnBucket is ours, from which no input is ever read: it holds every tenant's data.
	OwnBucket string
	// Dispatch hands over what fits of a tenant's queue. Its failure is not the caller's: the job is safe, and
	// reconcile dispatches it. Nil leaves all dispatching to reconcile.
	Dispatch func(ctx context.Context, tenantID string) error
	// Changed is told when there is something for reconcile to do. It may be nil.
	Changed        func(context.Context)
	URL            func(key string) string
	NewID          func() string
	Now            func() time.Time
	LinkLifetime   time.Duration // of a direct upload
	SumoVersions   []string      // that a job may choose
	Admission      job.Admission
	WebhookHTTP    bool // whether webhooks may go without TLS
	DefaultTimeout time.Duration
	MaxTimeout     time.Duration
}

// Register adds the function's operations to api.
func (f *Function) Register(api huma.API) {
	tags := []string{"Jobs"}
	form := newFormReader[jobFields](api)
	rest.Register(api, rest.Tenant, huma.Operation{
		OperationID: "submit-job", Method: http.MethodPost, Path: "/jobs", Tags: tags,
		Summary: "Submit a job with its scenario",
		Description: "Send multipart/form-data with the zip in sumo_files, or name it in sumo_files_s3_url, or name a stored scenario in scenario. A zip is " +
			"checked while it arrives, and all problems found are reported together.",
		Errors: submitErrors,
	}, func(ctx context.Context, in *formRequest) (*submitAnswer, error) { return f.submitForm(ctx, form, in) })
	// Documented only now: huma would read a body that it knows of into memory.
	api.OpenAPI().Paths["/jobs"].Post.RequestBody = form.requestBody()
	rest.Register(api, rest.Tenant, huma.Operation{
		OperationID: "submit-job-s3", Method: http.MethodPost, Path: "/jobs/s3", Tags: tags,
		Summary: "Submit a job whose scenario is in S3, or stored already",
		Description: "The scenario is one zip (sumo_files_s3_url) or a list of files (sumo_files_s3_urls), in buckets that the operator has opened for the tenant; " +
			"or a stored one (scenario).",
		Errors: submitErrors,
	}, f.submitS3)
	rest.Register(api, rest.Tenant, huma.Operation{
		OperationID: "retry-job", Method: http.MethodPost, Path: "/jobs/{id}/retry", Tags: tags,
		Summary:     "Submit a finished job again",
		Description: "Makes a new job of the same scenario with the same options.",
		Errors:      []int{http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity, http.StatusTooManyRequests},
	}, f.retry)
	rest.Register(api, rest.Tenant, huma.Operation{
		OperationID: "cancel-job", Method: http.MethodDelete, Path: "/jobs/{id}", Tags: tags,
		Summary: "Cancel or purge a job",
		Description: "A running simulation is stopped gracefully and keeps what it has written. Repeating the call is no error. " +
			"With purge=true a job that is over is forgotten, with its results.",
		Errors: []int{http.StatusNotFound, http.StatusConflict},
	}, f.cancel)
	f.registerScenarios(api)
}

var submitErrors = []int{
	http.StatusNotFound, http.StatusRequestTimeout,
	http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity, http.StatusTooManyRequests,
}

type submitAnswer struct {
	Replayed string `header:"Idempotent-Replayed" doc:"true when the Idempotency-Key had already made this job."`
	Body     rest.Job
}

type formRequest struct {
	IdempotencyKey string `header:"Idempotency-Key" maxLength:"255" doc:"Repeating a request with the same key answers with the job it made the first time; kept 24 h."`
	http           *http.Request
}

// Resolve keeps the request, since its body is read as it arrives.
func (in *formRequest) Resolve(ctx huma.Context) []error {
	in.http = rest.StreamIn(ctx)
	return nil
}

func (f *Function) submitForm(ctx context.Context, form *formReader[jobFields], in *formRequest) (*submitAnswer, error) {
	t := rest.TenantOf(ctx)
	var stored scenario.Scenario
	fields, uploaded, err := form.read(in.http, func(zip part, before *jobFields) (err error) {
		if before != nil { // what can be refused before the upload is refused before it
			if err := f.checkRun(t, before.Run); err != nil {
				return err
			}
		}
		stored, _, err = f.acceptUpload(ctx, t, zip, in.http.ContentLength, scenario.About{Name: zip.name})
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := checkSource(uploaded, fields.urls(), fields.Scenario); err != nil {
		return nil, err
	}
	if err := f.checkRun(t, fields.Run); err != nil {
		return nil, err
	}
	if !uploaded {
		if stored, err = f.source(ctx, t, fields.urls(), fields.Scenario); err != nil {
			return nil, err
		}
	}
	return f.accept(ctx, t, stored, fields.Run, nil, in.IdempotencyKey)
}

// checkSource sees that a scenario is given in one way.
func checkSource(uploaded bool, urls []string, id string) error {
	given := 0
	for _, is := range []bool{uploaded, len(urls) > 0, id != ""} {
		if is {
			given++
		}
	}
	switch given {
	case 1:
		return nil
	case 0:
		return problem.New(problem.Invalid, "No scenario is given. Send a zip as the file field %s of /jobs, name files in S3 (sumo_files_s3_url), or name a stored scenario by its id (scenario).", fileField).
			WithItems(problem.Item{Location: "body." + fileField, Message: "is missing"})
	}
	return problem.New(problem.Invalid, "More than one scenario is given: %s, sumo_files_s3_url and scenario exclude each other. Keep one of them.", fileField)
}

// source returns the stored scenario called id, or else stores one from S3.
func (f *Function) source(ctx context.Context, t tenant.Tenant, urls []string, id string) (scenario.Scenario, error) {
	if id != "" {
		return f.Intake.Store.Scenario(ctx, t.ID, id)
	}
	return f.fetch(ctx, t, urls)
}

// acceptUpload takes the zip of a form whose whole length is announced, or -1. An upload over the limit is refused with its
// size, and before it comes where the announcement already tells.
func (f *Function) acceptUpload(ctx context.Context, t tenant.Tenant, zip io.Reader, announced int64, about scenario.About) (s scenario.Scenario, created bool, err error) {
	err = f.within(announced, func() error {
		s, created, err = f.Intake.Accept(ctx, t, zip, about)
		return err
	})
	return s, created, err
}

// within sees that take is not given more than the limit, as far as the announced length tells.
func (f *Function) within(announced int64, take func() error) error {
	limits := f.Intake.Limits
	if announced > limits.Upload+maxFields*maxFieldBytes {
		return scenario.TooLarge(announced, limits)
	}
	err := take()
	if problem.CodeOf(err) == problem.TooLarge && announced > limits.Upload {
		return scenario.TooLarge(announced, limits)
	}
	return err
}

type s3Request struct {
	IdempotencyKey string `header:"Idempotency-Key" maxLength:"255"`
	Body           struct {
		Run
		S3URL                *string  `json:"sumo_files_s3_url,omitempty" maxLength:"2048" doc:"s3://bucket/key of a zip."`
		S3URLs               []string `json:"sumo_files_s3_urls,omitempty" maxItems:"1000" doc:"s3:// addresses of the scenario's files, or of one zip."`
		Scenario             string   `json:"scenario,omitempty" maxLength:"64" doc:"Id of a stored scenario, in place of files in S3."`
		ProgressWebhookURL   *string  `json:"progress_webhook_url,omitempty" format:"uri" maxLength:"2048" doc:"An https address; http where the operator allows it."`
		ProgressSimulationID *string  `json:"progress_simulation_id,omitempty" maxLength:"200"`
		ProgressStartSec     *float64 `json:"progress_start_sec,omitempty"`
		ProgressEndSec       *float64 `json:"progress_end_sec,omitempty"`
		PremiumSim           *bool    `json:"premium_sim,omitempty" doc:"The same as priority high."`
	}
}

func (f *Function) submitS3(ctx context.Context, in *s3Request) (*submitAnswer, error) {
	t := rest.TenantOf(ctx)
	b := in.Body
	urls := b.S3URLs
	if b.S3URL != nil && *b.S3URL != "" {
		if len(urls) > 0 {
			return nil, problem.New(problem.Invalid, "Both sumo_files_s3_url and sumo_files_s3_urls are given. Keep one of them.")
		}
		urls = []string{*b.S3URL}
	}
	if err := checkSource(false, urls, b.Scenario); err != nil {
		return nil, err
	}
	if b.PremiumSim != nil && *b.PremiumSim {
		b.Priority = "high"
	}
	if err := f.checkRun(t, b.Run); err != nil {
		return nil, err
	}
	var hook *job.ProgressWebhook
	if b.ProgressWebhookURL != nil && *b.ProgressWebhookURL != "" {
		hook = &job.ProgressWebhook{URL: *b.ProgressWebhookURL, StartSec: b.ProgressStartSec, EndSec: b.ProgressEndSec}
		if b.ProgressSimulationID != nil {
			hook.SimulationID = *b.ProgressSimulationID
		}
	}
	if err := f.checkWebhook(hook); err != nil {
		return nil, err
	}
	stored, err := f.source(ctx, t, urls, b.Scenario)
	if err != nil {
		return nil, err
	}
	return f.accept(ctx, t, stored, b.Run, hook, in.IdempotencyKey)
}

func (f *Function) checkWebhook(hook *job.ProgressWebhook) error {
	if hook == nil || hook.URL == "" {
		return nil
	}
	if fault := hook.Fault(f.WebhookHTTP); fault != "" {
		return problem.New(problem.Invalid, "progress_webhook_url is %.200q; it %s.", hook.URL, fault).
			WithItems(problem.Item{Location: "body.progress_webhook_url", Message: fault, Value: hook.URL})
	}
	return nil
}

// accept makes a job of a stored scenario.
func (f *Function) accept(ctx context.Context, t tenant.Tenant, s scenario.Scenario, r Run, hook *job.ProgressWebhook, key string) (*submitAnswer, error) {
	config, err := s.Manifest.ChooseConfig(r.ConfigFile)
	if err != nil {
		return nil, err
	}
	if err := r.checkInterval(config); err != nil {
		return nil, err
	}
	idem, err := idempotency.Of(key, "submit", struct {
		Run
		ProgressWebhook *job.ProgressWebhook `json:"progress_webhook,omitempty"`
	}{r, hook}, s.Digest)
	if err != nil {
		return nil, err
	}
	options := r.options()
	options.ConfigFile = config.Path
	return f.queue(ctx, job.Job{
		ID: f.NewID(), TenantID: t.ID, Namespace: t.Namespace, Name: r.ScenarioID,
		ScenarioDigest: s.Digest, ScenarioKey: s.Key, State: job.Queued,
		CPURequest: r.CPURequest, MemoryGi: r.MemoryGi, Priority: r.priority(), Options: options,
		TimeoutSeconds: f.timeout(r), Labels: r.Labels, TaskToken: r.TaskToken, ProgressWebhook: hook,
		SubmittedAt: f.Now(),
	}, idem)
}

// queue stores a job and tries to start it at once. Once the job is stored it is never lost, whatever happens after.
func (f *Function) queue(ctx context.Context, j job.Job, idem *idempotency.Request) (*submitAnswer, error) {
	j.Traceparent = traceparent.Of(ctx)
	j, created, err := f.Jobs.CreateJob(ctx, j, idem, f.Admission)
	if err != nil {
		return nil, err
	}
	out := &submitAnswer{Body: rest.JobOf(j, f.URL)}
	if !created {
		out.Replayed = "true"
		return out, nil
	}
	if f.Dispatch != nil {
		if err := f.Dispatch(ctx, j.TenantID); err != nil {
			zerolog.Ctx(ctx).Warn().Err(err).Str("job", j.ID).Msg("dispatch after submit failed; the job stays queued for reconcile")
		}
	}
	f.changed(ctx)
	return out, nil
}

func (f *Function) timeout(r Run) int {
	if r.TimeoutSeconds > 0 {
		return r.TimeoutSeconds
	}
	return int(f.DefaultTimeout / time.Second)
}

type retryRequest struct {
	ID             string `path:"id"`
	IdempotencyKey string `header:"Idempotency-Key" maxLength:"255"`
}

func (f *Function) retry(ctx context.Context, in *retryRequest) (*submitAnswer, error) {
	t := rest.TenantOf(ctx)
	j, err := f.Jobs.Job(ctx, t.ID, in.ID)
	if err != nil {
		return nil, err
	}
	if !j.State.Terminal() {
		return nil, problem.New(problem.Conflict, "Job %s is %s. Wait for its end, or cancel it, before you submit it again.", j.ID, j.State)
	}
	// What was possible then may not be now.
	if err := f.checkRun(t, Run{CPURequest: j.CPURequest, MemoryGi: j.MemoryGi, SumoVersion: j.Options.SumoVersion, TimeoutSeconds: j.TimeoutSeconds}); err != nil {
		return nil, err
	}
	if err := f.checkWebhook(j.ProgressWebhook); err != nil {
		return nil, err
	}
	idem, err := idempotency.Of(in.IdempotencyKey, "retry", nil, j.ID)
	if err != nil {
		return nil, err
	}
	again := job.Job{
		ID: f.NewID(), TenantID: t.ID, Namespace: t.Namespace, Name: j.Name, ScenarioDigest: j.ScenarioDigest, ScenarioKey: j.ScenarioKey,
		State: job.Queued, CPURequest: j.CPURequest, MemoryGi: j.MemoryGi, Priority: j.Priority, Options: j.Options,
		TimeoutSeconds: j.TimeoutSeconds, Labels: j.Labels, TaskToken: j.TaskToken, ProgressWebhook: j.ProgressWebhook, SubmittedAt: f.Now(),
	}
	return f.queue(ctx, again, idem)
}

type cancelRequest struct {
	ID    string `path:"id"`
	Purge bool   `query:"purge" doc:"Forget a job that is over, with its results."`
}

type jobAnswer struct{ Body rest.Job }

func (f *Function) cancel(ctx context.Context, in *cancelRequest) (*jobAnswer, error) {
	t := rest.TenantOf(ctx)
	if in.Purge {
		return f.purge(ctx, t, in.ID)
	}
	j, err := f.Jobs.RequestCancel(ctx, t.ID, in.ID)
	if err != nil {
		return nil, err
	}
	f.changed(ctx)
	return &jobAnswer{Body: rest.JobOf(j, f.URL)}, nil
}

// purge removes the objects first: as long as any may be left, the job is there to purge again.
func (f *Function) purge(ctx context.Context, t tenant.Tenant, id string) (*jobAnswer, error) {
	j, err := f.Jobs.Job(ctx, t.ID, id)
	if err != nil {
		return nil, err
	}
	if !j.State.Terminal() {
		return nil, problem.New(problem.Conflict, "Job %s is %s. Cancel it first, and purge it when it is over.", id, j.State)
	}
	if err := artifact.RemoveAll(ctx, f.Objects, artifact.ResultsOf(j.Namespace, j.ID)); err != nil {
		return nil, err
	}
	if err := f.Jobs.DeleteJob(ctx, t.ID, j.ID); err != nil {
		return nil, err
	}
	j.Results, j.ResultsPruned = nil, true
	return &jobAnswer{Body: rest.JobOf(j, f.URL)}, nil
}

func (f *Function) changed(ctx context.Context) {
	if f.Changed != nil {
		f.Changed(ctx)
	}
}
