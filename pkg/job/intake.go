package job

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rs/zerolog"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/idempotency"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

// Request is what a caller asks for: one run of a scenario. Its fields are those of the Job that it becomes.
type Request struct {
	Name            string
	CPURequest      int
	MemoryGi        int
	Priority        Priority
	Options         simulation.Options
	TimeoutSeconds  int   // 0 for the service's default
	Cache           Cache // empty for NoCache
	Labels          map[string]string
	TaskToken       string
	ProgressWebhook *ProgressWebhook
	// WebhookURL is called when the job starts and ends; empty for none.
	WebhookURL string
	// Warnings are what the caller should know about the request itself. They become the job's.
	Warnings []string
}

// request is what j was made from, as far as a retry repeats it.
func (j Job) request() Request {
	r := Request{
		Name: j.Name, CPURequest: j.CPURequest, MemoryGi: j.MemoryGi, Priority: j.Priority, Options: j.Options,
		TimeoutSeconds: j.TimeoutSeconds, Labels: j.Labels, ProgressWebhook: j.ProgressWebhook, Cache: NoCache,
	}
	if j.Work != "" {
		r.Cache = RefreshCache // who asks again wants it to run
	}
	return r
}

// Intake makes jobs from requests: it checks them, queues them, and starts at once what has room.
type Intake struct {
	Jobs  IntakeStore
	NewID func() string // of a job; sorts by time
	Now   func() time.Time
	// Dispatch starts what fits of a tenant's queue. If it fails the job is still safe, and reconcile dispatches it. Nil
	// leaves all dispatching to reconcile.
	Dispatch func(ctx context.Context, tenantID string) error
	// Changed reports that reconcile has work; nil where nothing listens.
	Changed func(context.Context)
	// Trace names the trace that ctx belongs to (see Job.Traceparent); nil for none.
	Trace func(ctx context.Context) string

	// Scenario returns one of the tenant's stored scenarios, and Config the configuration of one that a request names.
	Scenario func(ctx context.Context, tenantID, digest string) (scenario.Scenario, error)
	Config   func(ctx context.Context, s scenario.Scenario, requested string) (scenario.Config, error)
	// ProgramConfig is Config for jobs with a program: its path is empty where there is none to choose.
	ProgramConfig func(ctx context.Context, s scenario.Scenario, requested string) (scenario.Config, error)
	// NewSecret makes the secret of a webhook.
	NewSecret func() string
	// DrawSeed returns a random seed, from 0 to math.MaxInt32.
	DrawSeed func() int64

	Versions simulation.Offer
	// Programs is whether jobs may run programs of their scenarios, and tools of SUMO's, if their tenant may.
	Programs       bool
	Admission      Admission
	Callbacks      Callbacks
	DefaultTimeout time.Duration
	MaxTimeout     time.Duration
}

// Admission bounds what one tenant may submit.
type Admission struct {
	MaxQueued int // jobs waiting at a time
	// PerMinute is how many jobs may be submitted in a minute, 0 for any number: as many at once, and then one more after
	// each such fraction of a minute.
	PerMinute int
}

// IntakeStore keeps the jobs that are taken in.
type IntakeStore interface {
	// Job returns one of the tenant's jobs, or problem.NotFound.
	Job(ctx context.Context, tenantID, id string) (Job, error)
	// JobOf returns the job that idem has made, or problem.KeyReused when idem's key was recorded for another payload.
	JobOf(ctx context.Context, tenantID string, idem idempotency.Request) (j Job, found bool, err error)
	// CreateJob stores j, QUEUED, with its first event in one transaction. When idem is not nil the transaction also
	// records it, and a key that is already recorded wins: the job it made is returned with created false, or
	// problem.KeyReused when it was recorded for another payload. What exceeds limits is problem.QueueFull or
	// problem.RateLimited, and exactly so, however many submit at once.
	CreateJob(ctx context.Context, j Job, idem *idempotency.Request, limits Admission) (stored Job, created bool, err error)
}

// MaxName bounds the name of a job, in characters: Postgres can index as many whatever the characters, with the tenant's id, in the
// third of a page that an entry may take (2,704 bytes).
const MaxName = 500

const (
	maxLabels      = 20
	maxLabelLength = 100 // characters, of a key or a value
)

// Check reports every fault of r that shows without its scenario: contradictions, and what t's or the service's limits
// rule out. It allows a caller to be refused before the upload.
func (in *Intake) Check(t tenant.Tenant, r Request) error {
	var items []problem.Item
	refuse := func(field string, value any, format string, args ...any) {
		items = append(items, problem.Item{Location: "body." + field, Message: fmt.Sprintf(format, args...), Value: value})
	}
	if r.CPURequest > t.Limits.MaxCPU {
		refuse("cpu_request", r.CPURequest, "is more than this tenant's max_cpu of %d; ask for less, or have the operator raise "+
			"the limit", t.Limits.MaxCPU)
	}
	if r.MemoryGi > t.Limits.MaxMemoryGi {
		refuse("memory_gi", r.MemoryGi, "is more than this tenant's max_memory_gi of %d; ask for less, or have the operator raise "+
			"the limit", t.Limits.MaxMemoryGi)
	}
	o := r.Options
	if o.Begin != nil && o.End != nil && *o.End < *o.Begin {
		refuse("end", *o.End, "must not be earlier than begin (%g)", *o.Begin)
	}
	if o.SumoVersion != "" {
		if fault := VersionFault(in.Versions, o.SumoVersion); fault != "" {
			refuse("sumo_version", o.SumoVersion, "%s", fault)
		}
	}
	if fault := replayFault(o); fault != "" {
		refuse("replay", nil, "%s", fault)
	}
	if o.Check && len(o.Outputs) > 0 {
		refuse("outputs", nil, "are of a simulation, and check keeps none; leave one of them out")
	}
	if o.Check && len(o.Tables) > 0 {
		refuse("tables", nil, "are made of outputs, and check keeps none; leave one of them out")
	}
	if o.Check && (r.Cache == UseCache || r.Cache == RefreshCache) {
		refuse("cache", string(r.Cache), "is of results, and check keeps none; leave one of them out")
	}
	if limit := seconds(in.MaxTimeout); r.TimeoutSeconds > limit {
		refuse("timeout_seconds", r.TimeoutSeconds, "is more than the %d seconds that this service allows", limit)
	}
	items = append(items, in.programFaults(t, r)...)
	items = append(items, LabelFaults(r.Labels)...)
	for _, c := range r.callbacks(in.Callbacks) {
		if c.fault != "" && (!c.legacy || !in.Callbacks.IgnoreLegacy) {
			refuse(c.field, c.value, "%s", c.fault)
		}
	}
	if len(items) > 0 {
		return refused(items...)
	}
	return nil
}

// replayFault says what is wrong with the recording that a job asks for, as the end of a sentence about it; empty if nothing is.
func replayFault(o simulation.Options) string {
	switch {
	case o.Replay == nil:
		return ""
	case o.Tool != nil:
		return "is of one simulation, and a tool runs none or many; leave it out here, keep what the tool makes with keep_as, and " +
			"submit that scenario with replay"
	case o.Check:
		return "is of a simulation, and check does not simulate; leave one of them out"
	}
	return o.Replay.Fault()
}

// LabelFaults says what is wrong with labels that a request names.
func LabelFaults(labels map[string]string) (items []problem.Item) {
	refuse := func(value any, format string, args ...any) {
		items = append(items, problem.Item{Location: "body.labels", Message: fmt.Sprintf(format, args...), Value: value})
	}
	if len(labels) > maxLabels {
		refuse(len(labels), "has more than %d entries", maxLabels)
	}
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		switch value := labels[key]; {
		case key == "" || utf8.RuneCountInString(key) > maxLabelLength || utf8.RuneCountInString(value) > maxLabelLength:
			refuse(key, "must have keys of 1 to %d characters and values of at most %d", maxLabelLength, maxLabelLength)
		case strings.Contains(key, "="): // a filter such as label=key=value could not say where the key ends
			refuse(key, "must have keys without =")
		}
	}
	return items
}

// checkInterval reports a contradiction between the interval of r and that of its configuration, which supplies what r
// leaves out. SUMO would report it too, but only after it has started.
func (r Request) checkInterval(c scenario.Config) error {
	o := r.Options
	switch i := r.interval(c); {
	case !i.Empty(), o.Begin == nil && o.End == nil:
		return c.Refuse(i)
	case o.End == nil:
		return refused(problem.Item{
			Location: "body.begin", Message: fmt.Sprintf("must not be later than the end of %s (%g)", c.Path, i.End), Value: i.Begin,
		})
	default:
		return refused(problem.Item{
			Location: "body.end", Message: fmt.Sprintf("must not be earlier than the begin of %s (%g)", c.Path, i.Begin), Value: i.End,
		})
	}
}

// interval is what a run of c simulates.
func (r Request) interval(c scenario.Config) scenario.Interval {
	i := c.Interval(r.Options.Begin, r.Options.End)
	i.Scaled = r.Options.Scale != nil && *r.Options.Scale != 1
	return i
}

func refused(items ...problem.Item) error {
	return problem.New(problem.Invalid, "The job cannot be accepted: %s %s.", items[0].Location, items[0].Message).WithItems(items...)
}

// Repeated returns the job that idem stands for already, as idempotency.Repeated does.
func (in *Intake) Repeated(ctx context.Context, t tenant.Tenant, idem *idempotency.Request) (j Job, found bool, err error) {
	if idem == nil {
		return Job{}, false, nil
	}
	return in.Jobs.JobOf(ctx, t.ID, *idem)
}

// Accept queues a run of s. A request that idem stands for already returns the job it made, with created false. The caller
// has checked r, and asked Repeated before.
func (in *Intake) Accept(
	ctx context.Context, t tenant.Tenant, s scenario.Scenario, r Request, idem *idempotency.Request,
) (j Job, created bool, err error) {
	r, err = in.Settle(ctx, t, s, r, "")
	if err != nil {
		return Job{}, false, err
	}
	return in.queue(ctx, in.newJob(ctx, t, s, r), idem)
}

// Settle decides what r leaves open by its scenario and its tenant, so that every attempt runs the same. accepted is the version of
// the job that r repeats; empty for none. The warnings of the result are all those of the job. The caller has checked r.
func (in *Intake) Settle(ctx context.Context, t tenant.Tenant, s scenario.Scenario, r Request, accepted string) (Request, error) {
	o := &r.Options
	if o.Program() {
		return in.settleProgram(ctx, t, s, r, accepted)
	}
	config, err := in.Config(ctx, s, o.ConfigFile)
	if err != nil {
		return r, err
	}
	config = config.Set(o.SUMOOptions)
	if err := r.checkInterval(config); err != nil {
		return r, err
	}
	interval := r.interval(config)
	if items := config.Strict(interval); o.Strict && len(items) > 0 {
		return r, problem.New(problem.ScenarioInvalid, "SUMO would drop or ignore a part of this scenario, which strict refuses: fix what "+
			"errors lists, or submit without strict. The first is: %s", items[0].Sentence()).WithItems(items...)
	}
	version, notes, err := in.version(t, needs{config.Path, config.Unfit}, o.SumoVersion, accepted)
	if err != nil {
		return r, err
	}
	o.ConfigFile, o.Seed = config.Path, in.seed(config, o.Seed)
	o.SumoVersion, o.AcceptedVersion = version, awaited(in.Versions, accepted)
	*o = o.WithTables()
	if r.TimeoutSeconds == 0 {
		r.TimeoutSeconds = seconds(in.DefaultTimeout)
	}
	warnings := slices.Concat(
		r.Warnings, r.settleProgress(in.Callbacks, interval), notes, unmade(config, o.Tables), unrecorded(interval, o.Replay),
		scenario.Changes(config, version, o.Outputs),
	)
	for _, w := range config.Remarks(interval) {
		warnings = append(warnings, w.String())
	}
	r.Warnings = simulation.Warned(warnings)
	return r, nil
}

// unmade are notes on tables that no output of the run will make: what an option can ask SUMO for is written.
func unmade(c scenario.Config, tables []simulation.Table) []string {
	if c.Detectors || !slices.Contains(tables, simulation.TableDetectors) {
		return nil
	}
	return []string{"The table detectors will not be made, because the scenario has no detectors: add inductionLoop, laneAreaDetector or " +
		"entryExitDetector elements to an additional file that " + c.Path + " names, and resubmit."}
}

// unrecorded notes that a recording is of a time that is not simulated.
func unrecorded(i scenario.Interval, r *simulation.Replay) []string {
	switch {
	case r == nil:
		return nil
	case r.From != nil && *r.From > i.Begin && *r.From >= i.End:
		return []string{fmt.Sprintf("The recording will be empty, because it begins (replay.from) at %g s: the run ends at %g s. Choose an "+
			"earlier begin, and resubmit.", *r.From, i.End)}
	case r.To != nil && *r.To < i.Begin:
		return []string{fmt.Sprintf("The recording will be empty, because it ends (replay.to) at %g s: the run begins at %g s. Choose a later "+
			"end, and resubmit.", *r.To, i.Begin)}
	}
	return nil
}

// Retry queues another run of a finished job's scenario with the same options. A key makes repeating the call safe; it may
// be empty. The new job has neither a task token, which takes one answer only, nor the webhook of the first submission, whose secret
// nobody could be shown again. Its progress goes where that of the first job went.
func (in *Intake) Retry(ctx context.Context, t tenant.Tenant, id, key string) (again Job, created bool, err error) {
	idem, err := idempotency.Of(key, "retry", nil, id)
	if err != nil {
		return Job{}, false, err
	}
	if again, found, err := in.Repeated(ctx, t, idem); found || err != nil {
		return again, false, err
	}
	j, err := in.Jobs.Job(ctx, t.ID, id)
	if err != nil {
		return Job{}, false, err
	}
	if !j.State.Terminal() {
		return Job{}, false, problem.New(problem.Conflict, "Job %s is %s. Wait until it has finished, or cancel it, before you submit "+
			"it again.", j.ID, j.State)
	}
	if j.Imported != nil {
		return Job{}, false, j.refuseRetry()
	}
	if j.Study != nil {
		return Job{}, false, problem.New(problem.Conflict, "Job %s is a run of study %s. POST /studies/{id}/retry runs those of its runs again "+
			"that have failed; to run this one by itself, submit a job with its scenario and options.", j.ID, j.Study.ID)
	}
	// Limits may have changed since; everything else was checked when j was accepted. A progress webhook that is not enabled any more
	// is dropped with a warning: the caller of a retry cannot leave it out.
	if err := in.Check(t, Request{
		CPURequest: j.CPURequest, MemoryGi: j.MemoryGi, TimeoutSeconds: j.TimeoutSeconds,
		Options: simulation.Options{Controller: j.Options.Controller, Tool: j.Options.Tool},
	}); err != nil {
		return Job{}, false, err
	}
	s, err := in.Scenario(ctx, t.ID, j.ScenarioDigest)
	if err != nil {
		return Job{}, false, err
	}
	r := j.request()
	accepted := cmp.Or(j.Options.AcceptedVersion, j.Options.SumoVersion) // which the caller need not have chosen
	r.Options.SumoVersion, r.Options.AcceptedVersion = "", ""
	if r, err = in.Settle(ctx, t, s, r, accepted); err != nil {
		return Job{}, false, err
	}
	return in.queue(ctx, in.newJob(ctx, t, s, r), idem)
}

// newJob is the job of a settled request.
func (in *Intake) newJob(ctx context.Context, t tenant.Tenant, s scenario.Scenario, r Request) Job {
	id := in.NewID()
	j := Job{
		ID: id, TenantID: t.ID, Namespace: t.Namespace, ScenarioDigest: s.Digest, ScenarioKey: s.Key, OverlayKey: s.OverlayKey,
		ResultsKey: artifact.ResultsOf(t.Namespace, id), State: Queued, SubmittedAt: in.Now(),
		Name: r.Name, CPURequest: r.CPURequest, MemoryGi: r.MemoryGi, Priority: r.Priority, Options: r.Options,
		TimeoutSeconds: r.TimeoutSeconds, Labels: r.Labels, TaskToken: r.TaskToken, ProgressWebhook: r.ProgressWebhook,
		AnswersTask: r.TaskToken != "" && in.Callbacks.Tasks,
		Warnings:    r.Warnings,
	}
	if r.Cache == UseCache || r.Cache == RefreshCache {
		j.Work = WorkWithSeed(in.Work(s.Digest, r.Options, false), r.Options.Seed)
		j.UseCache = r.Cache == UseCache && !j.AnswersTask // whose answer names the job's own place in the store
	}
	if r.WebhookURL != "" {
		j.Webhook = &Webhook{ID: in.NewID(), URL: r.WebhookURL, Secret: in.NewSecret()}
	}
	if in.Trace != nil {
		j.Traceparent = in.Trace(ctx)
	}
	return j
}

// queue stores j and tries to start it at once. Once stored it is never lost, whatever happens afterwards.
func (in *Intake) queue(ctx context.Context, j Job, idem *idempotency.Request) (Job, bool, error) {
	j, created, err := in.Jobs.CreateJob(ctx, j, idem, in.Admission)
	if err != nil || !created {
		return j, false, err
	}
	if in.Dispatch != nil {
		if err := in.Dispatch(ctx, j.TenantID); err != nil {
			zerolog.Ctx(ctx).Warn().Err(err).Str("job", j.ID).Msg("dispatch after submission failed; the job stays queued for reconcile")
		}
	}
	if in.Changed != nil {
		in.Changed(ctx)
	}
	return j, true, nil
}

func seconds(d time.Duration) int { return int(d / time.Second) }
