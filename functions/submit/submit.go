// Package submit accepts work: it stores scenarios, makes jobs and studies from them, cancels them, and keeps the webhooks that wait for
// them.
package submit

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/delivery"
	"github.com/sumo-k8/sumo-k8/pkg/idempotency"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

// Function answers the calls that change jobs, studies, scenarios and webhooks.
type Function struct {
	Jobs      Jobs
	Intake    *job.Intake
	Studies   Studies
	Scenarios *scenario.Intake
	Importer  *scenario.Importer
	Objects   Objects
	Webhooks  *delivery.Registry
	// Changed reports that reconcile has work; nil where nothing listens.
	Changed      func(context.Context)
	Now          func() time.Time
	LinkLifetime time.Duration // of a direct upload
	// Slots is how many runs the engine carries out at a time, for forecasts; 0 where it has no bound of its own.
	Slots int
}

// Jobs cancels and deletes jobs.
type Jobs interface {
	job.PurgeStore
	// RequestCancel marks a job for cancelling. A QUEUED job becomes CANCELLED at once; an active one keeps its state until
	// its engine has stopped it. Repeating it is no error; a finished job that was not cancelled is problem.Conflict.
	RequestCancel(ctx context.Context, tenantID, id string) (job.Job, error)
}

// Objects is the part of the object store that this package uses itself.
type Objects interface {
	artifact.Remover
	// PresignPut returns a URL to which exactly size bytes can be PUT as key for the given time without credentials.
	PresignPut(ctx context.Context, key string, size int64, valid time.Duration) (string, error)
	// URL is the object's s3:// address.
	URL(key string) string
}

// Register adds the function's operations to api.
func (f *Function) Register(api huma.API) {
	tags := []string{"Jobs"}
	form := newFormReader[jobFields](api, f.Scenarios.Limits.Upload)
	rest.Register(api, rest.Tenant, huma.Operation{
		OperationID: "submit-job", Method: http.MethodPost, Path: "/jobs", Tags: tags,
		Summary: "Submit a job with its scenario",
		Description: "Send multipart/form-data with the zip in sumo_files, its S3 URL in sumo_files_s3_url, or the id of a stored scenario " +
			"in scenario. A zip is checked while it arrives, and all problems found are reported together. Unknown fields are ignored, and of " +
			"several configurations the first runs, unless config_file names one; warnings say so.",
		Errors: submitErrors,
	}, func(ctx context.Context, in *formRequest) (*submitAnswer, error) { return f.submitForm(ctx, form, in) })
	// Documented only now: huma would read a body that it knows into memory.
	api.OpenAPI().Paths["/jobs"].Post.RequestBody = form.requestBody()
	rest.RegisterLenient(api, rest.Tenant, huma.Operation{
		OperationID: "submit-job-s3", Method: http.MethodPost, Path: "/jobs/s3", Tags: tags,
		Summary: "Submit a job whose scenario is in S3 or already stored",
		Description: "The scenario is a zip (sumo_files_s3_url) or a list of files (sumo_files_s3_urls) in buckets that the operator has " +
			"opened for the tenant, or a stored scenario (scenario). Unknown fields are ignored, and of several configurations in files from S3 " +
			"the first runs, unless config_file names one; warnings say so. Numbers may be written as strings, and strings as numbers.",
		Errors: submitErrors,
	}, f.submitS3)
	rest.Register(api, rest.Tenant, huma.Operation{
		OperationID: "retry-job", Method: http.MethodPost, Path: "/jobs/{id}/retry", Tags: tags,
		Summary:     "Submit a finished job again",
		Description: "Creates a new job from the same scenario with the same options, but without its task_token and webhook_url.",
		Errors:      []int{http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity, http.StatusTooManyRequests},
	}, f.retry)
	rest.Register(api, rest.Tenant, huma.Operation{
		OperationID: "cancel-job", Method: http.MethodDelete, Path: "/jobs/{id}", Tags: tags,
		Summary: "Cancel or purge a job",
		Description: "A running simulation is stopped gracefully and keeps what it has written. The call may be repeated. " +
			"With purge=true, a finished job is deleted together with its results; a run of a study is purged with its study.",
		Errors: []int{http.StatusNotFound, http.StatusConflict},
	}, f.cancel)
	f.registerScenarios(api)
	f.registerStudies(api)
	f.registerWebhooks(api)
}

var submitErrors = []int{
	http.StatusNotFound, http.StatusRequestTimeout,
	http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity, http.StatusTooManyRequests,
}

type submitAnswer struct {
	Replayed string `header:"Idempotent-Replayed" doc:"true if the Idempotency-Key had already created this job."`
	Body     Submitted
}

// Submitted is a job in the answer to its submission.
type Submitted struct {
	rest.Job
	WebhookSecret string `json:"webhook_secret,omitempty" doc:"Verifies the signature of what webhook_url receives. It is shown only here, again if the request is repeated with its Idempotency-Key."`
}

type formRequest struct {
	IdempotencyKey string `header:"Idempotency-Key" maxLength:"255" doc:"Repeating a request with the same key returns the job that it created the first time. Keys are kept for 24 hours."`
	http           *http.Request
}

// Resolve implements huma.Resolver: it keeps the request, whose body is read as it arrives.
func (in *formRequest) Resolve(ctx huma.Context) []error {
	in.http = rest.StreamIn(ctx)
	return nil
}

func (f *Function) submitForm(ctx context.Context, form *formReader[jobFields], in *formRequest) (*submitAnswer, error) {
	t := rest.TenantOf(ctx)
	var stored scenario.Scenario
	read, err := form.read(in.http, func(zip part, before *jobFields) (err error) {
		about := scenario.About{Name: zip.name}
		if before != nil { // what can be refused before the upload is refused before it
			if _, err := f.check(t, before.Run, nil); err != nil && !f.known(ctx, t, in.IdempotencyKey) {
				return err
			}
			about.Config, about.Program = before.ConfigFile, before.program()
		}
		stored, _, err = f.acceptUpload(ctx, t, zip, in.http.ContentLength, about)
		return err
	})
	if err != nil {
		return nil, err
	}
	fields := read.fields
	asked := submission{
		Run: fields.Run, scenario: fields.Scenario, urls: fields.urls(), warnings: rest.IgnoredFields(read.ignored), key: in.IdempotencyKey,
	}
	if read.uploaded {
		asked.uploaded = &stored
	}
	return f.accept(ctx, t, asked)
}

// known reports whether a key has come with some request already: whether with this one shows when its upload has arrived.
func (f *Function) known(ctx context.Context, t tenant.Tenant, key string) bool {
	if key == "" {
		return false
	}
	_, _, err := f.Intake.Repeated(ctx, t, &idempotency.Request{Key: key})
	return problem.CodeOf(err) == problem.KeyReused
}

// chooseConfig chooses the first configuration of several, as the predecessor did, for a request that comes with its files and names none.
// One that names a stored scenario has seen what it contains.
func chooseConfig(s scenario.Scenario, r *job.Request) {
	first, others := s.Manifest.FirstConfig()
	if r.Options.ConfigFile != "" || len(others) == 0 {
		return
	}
	r.Options.ConfigFile = first.Path
	r.Warnings = append(r.Warnings, fmt.Sprintf("The scenario has several configurations. This job runs %s, the first; choose another with "+
		"config_file: %s.", first.Path, scenario.ListOf(others)))
}

// check returns what r asks for, or what is wrong with it.
func (f *Function) check(t tenant.Tenant, r Run, hook *job.ProgressWebhook) (job.Request, error) {
	request, err := r.request()
	if err != nil {
		return job.Request{}, err
	}
	request.ProgressWebhook = hook
	return request, f.Intake.Check(t, request)
}

// submission is a request for a job as the client wrote it, which is what its Idempotency-Key stands for.
type submission struct {
	Run
	hook *job.ProgressWebhook
	// The scenario: what has come with the request, the id of a stored one, or where it is in S3.
	uploaded *scenario.Scenario
	scenario string
	urls     []string
	warnings []string // about the request itself
	key      string
}

// idem is what s.key stands for; nil without one. What is in S3 may change, and is no part of the request.
func (s submission) idem() (*idempotency.Request, error) {
	subject := s.scenario + strings.Join(s.urls, "\n")
	if s.uploaded != nil {
		subject = s.uploaded.Digest
	}
	return idempotency.Of(s.key, "submit", struct {
		Run
		ProgressWebhook *job.ProgressWebhook `json:"progress_webhook,omitempty"`
	}{s.Run, s.hook}, subject)
}

// accept checks and queues what is asked for.
func (f *Function) accept(ctx context.Context, t tenant.Tenant, asked submission) (*submitAnswer, error) {
	if err := checkSource(asked.uploaded != nil, asked.urls, asked.scenario); err != nil {
		return nil, err
	}
	idem, err := asked.idem()
	if err != nil {
		return nil, err
	}
	if j, found, err := f.Intake.Repeated(ctx, t, idem); found || err != nil {
		return f.answer(j, false, err)
	}
	request, err := f.check(t, asked.Run, asked.hook)
	if err != nil {
		return nil, err
	}
	stored, err := f.source(ctx, t, asked)
	if err != nil {
		return nil, err
	}
	request.Warnings = asked.warnings
	if asked.scenario == "" && !asked.program() {
		chooseConfig(stored, &request)
	}
	return f.answer(f.Intake.Accept(ctx, t, stored, request, idem))
}

func (f *Function) answer(j job.Job, created bool, err error) (*submitAnswer, error) {
	if err != nil {
		return nil, err
	}
	out := &submitAnswer{Replayed: rest.Replayed(!created), Body: Submitted{Job: rest.JobOf(j, f.Objects.URL)}}
	if j.Webhook != nil { // also for a repeated request: the first answer may have been lost
		out.Body.WebhookSecret = j.Webhook.Secret
	}
	return out, nil
}

// checkSource refuses a request that gives no scenario, or more than one.
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
		return problem.New(problem.Invalid, "No scenario is given. Send a zip as the file field %s of /jobs, name files in S3 "+
			"(sumo_files_s3_url), or name a stored scenario by its id (scenario).", fileField).
			WithItems(problem.Item{Location: "body." + fileField, Message: "is missing"})
	}
	return problem.New(problem.Invalid, "More than one scenario is given: %s, sumo_files_s3_url and scenario exclude each other. "+
		"Keep one of them.", fileField)
}

// source returns the scenario of a submission, which it stores if it is in S3.
func (f *Function) source(ctx context.Context, t tenant.Tenant, asked submission) (scenario.Scenario, error) {
	switch {
	case asked.uploaded != nil:
		return *asked.uploaded, nil
	case asked.scenario != "":
		return f.Scenarios.Store.Scenario(ctx, t.ID, asked.scenario)
	}
	return f.Importer.Import(ctx, t, asked.urls, scenario.About{Config: asked.ConfigFile, Program: asked.program()})
}

// acceptUpload takes the zip of a request whose Content-Length is announced, or -1. An upload over the limit is refused with its
// size, and before it arrives if announced is already too much.
func (f *Function) acceptUpload(
	ctx context.Context, t tenant.Tenant, zip io.Reader, announced int64, about scenario.About,
) (s scenario.Scenario, created bool, err error) {
	err = f.within(announced, func() error {
		s, created, err = f.Scenarios.Accept(ctx, t, zip, about)
		return err
	})
	return s, created, err
}

// within refuses what is announced as larger than the limit, before take reads it or, where the form's overhead hides it, after.
func (f *Function) within(announced int64, take func() error) error {
	limits := f.Scenarios.Limits
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
	Body           s3RequestBody
}

type s3RequestBody struct {
	Run
	// ScenarioID may be longer here, since the predecessor set no limit: up to job.MaxName.
	ScenarioID           string   `json:"scenario_id" minLength:"1" maxLength:"500" doc:"Your name for the run."`
	S3URL                *string  `json:"sumo_files_s3_url,omitempty" maxLength:"2048" doc:"s3://bucket/key of a zip."`
	S3URLs               []string `json:"sumo_files_s3_urls,omitempty" maxItems:"1000" doc:"s3:// URLs of the scenario's files, or of one zip."`
	Scenario             string   `json:"scenario,omitempty" maxLength:"64" doc:"Id of a stored scenario, instead of files in S3."`
	ProgressWebhookURL   string   `json:"progress_webhook_url,omitempty" maxLength:"2048" doc:"An https URL that gets the progress in per cent while the job runs; http only where the operator allows it."`
	ProgressSimulationID *string  `json:"progress_simulation_id,omitempty" maxLength:"200"`
	ProgressStartSec     *float64 `json:"progress_start_sec,omitempty"`
	ProgressEndSec       *float64 `json:"progress_end_sec,omitempty"`
	PremiumSim           *bool    `json:"premium_sim,omitempty" doc:"Same as priority high."`
}

func (f *Function) submitS3(ctx context.Context, in *s3Request) (*submitAnswer, error) {
	t := rest.TenantOf(ctx)
	b := in.Body
	b.Run.ScenarioID = b.ScenarioID
	urls, err := b.urls()
	if err != nil {
		return nil, err
	}
	if b.PremiumSim != nil && *b.PremiumSim {
		b.Priority = job.High.String()
	}
	return f.accept(ctx, t, submission{
		Run: b.Run, hook: b.webhook(), scenario: b.Scenario, urls: urls, warnings: rest.WarningsOf(ctx), key: in.IdempotencyKey,
	})
}

func (b s3RequestBody) urls() ([]string, error) {
	var one []string
	if b.S3URL != nil {
		one = addresses(*b.S3URL)
	}
	many := addresses(b.S3URLs...)
	if len(one) > 0 && len(many) > 0 {
		return nil, problem.New(problem.Invalid, "Both sumo_files_s3_url and sumo_files_s3_urls are given. Keep one of them.")
	}
	return append(one, many...), nil
}

// addresses are those given, without blanks around them, and without those that say nothing: the predecessor read them like this.
func addresses(given ...string) (out []string) {
	for _, address := range given {
		if address = strings.TrimSpace(address); address != "" {
			out = append(out, address)
		}
	}
	return out
}

func (b s3RequestBody) webhook() *job.ProgressWebhook {
	if b.ProgressWebhookURL == "" {
		return nil
	}
	hook := &job.ProgressWebhook{URL: b.ProgressWebhookURL, StartSec: b.ProgressStartSec, EndSec: b.ProgressEndSec}
	if b.ProgressSimulationID != nil {
		hook.SimulationID = wholeNumber(*b.ProgressSimulationID)
	}
	return hook
}

// wholeNumber is text without the fraction that a client's JSON library may write after a whole number: 17.0 is 17.
func wholeNumber(text string) string {
	whole, fraction, _ := strings.Cut(text, ".")
	if _, err := strconv.ParseInt(whole, 10, 64); err == nil && strings.Trim(fraction, "0") == "" {
		return whole
	}
	return text
}

type retryRequest struct {
	ID             string `path:"id"`
	IdempotencyKey string `header:"Idempotency-Key" maxLength:"255"`
}

func (f *Function) retry(ctx context.Context, in *retryRequest) (*submitAnswer, error) {
	return f.answer(f.Intake.Retry(ctx, rest.TenantOf(ctx), in.ID, in.IdempotencyKey))
}

type cancelRequest struct {
	ID    string `path:"id"`
	Purge bool   `query:"purge" doc:"Delete a finished job together with its results."`
}

type jobAnswer struct{ Body rest.Job }

func (f *Function) cancel(ctx context.Context, in *cancelRequest) (*jobAnswer, error) {
	t := rest.TenantOf(ctx)
	var j job.Job
	var err error
	if in.Purge {
		j, err = job.Purge(ctx, f.Jobs, f.Objects, t.ID, in.ID)
	} else if j, err = f.Jobs.RequestCancel(ctx, t.ID, in.ID); err == nil {
		f.changed(ctx)
	}
	if err != nil {
		return nil, err
	}
	return &jobAnswer{Body: rest.JobOf(j, f.Objects.URL)}, nil
}

// changed reports that reconcile may have something to stop.
func (f *Function) changed(ctx context.Context) {
	if f.Changed != nil {
		f.Changed(ctx)
	}
}
