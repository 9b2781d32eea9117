// Package app assembles the functions from their parts. With package cluster it is the one place that knows every implementation, so that
// the functions themselves know only the domain.
package app

import (
	"context"
	"crypto/rand"
	_ "embed"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"runtime/debug"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"github.com/sumo-k8/sumo-k8/functions/auth"
	"github.com/sumo-k8/sumo-k8/functions/logs"
	"github.com/sumo-k8/sumo-k8/functions/page"
	reconcilefn "github.com/sumo-k8/sumo-k8/functions/reconcile"
	"github.com/sumo-k8/sumo-k8/functions/status"
	"github.com/sumo-k8/sumo-k8/functions/submit"
	"github.com/sumo-k8/sumo-k8/pkg/config"
	"github.com/sumo-k8/sumo-k8/pkg/delivery"
	"github.com/sumo-k8/sumo-k8/pkg/fairness"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/reconcile"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/store/postgres"
	"github.com/sumo-k8/sumo-k8/pkg/store/s3"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
	"github.com/sumo-k8/sumo-k8/pkg/telemetry/metrics"
	"github.com/sumo-k8/sumo-k8/pkg/telemetry/trace"
	"github.com/sumo-k8/sumo-k8/pkg/telemetry/traceparent"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
	"github.com/sumo-k8/sumo-k8/pkg/view"
)

//go:generate go run ../openapi openapi.json

// OpenAPI is the document of all functions together. `make generate` writes it; a test compares it with the code.
//
//go:embed openapi.json
var OpenAPI []byte

// Targets are the functions by the names that FUNCTION_TARGET selects.
var Targets = []string{"auth", "submit", "status", "logs", "reconcile"}

// Parts are what the functions are assembled from.
type Parts struct {
	Config  config.Config
	DB      *postgres.DB
	Objects *s3.Store
	Log     zerolog.Logger

	// Engine runs jobs. Nil when another process has the engine: submit then leaves dispatching to reconcile.
	Engine job.Engine
	// Live reads the logs of active runs; nil when this process cannot reach them.
	Live job.LiveLogs
	// Installations are the versions of SUMO on this machine; of no account where runs have images.
	Installations []release.Installation
	// Nodes lists the nodes that jobs run on; nil when this process cannot list them.
	Nodes func(context.Context) ([]job.Node, error)
	// Pods counts the pods that run jobs by phase; nil where there is no cluster.
	Pods func(context.Context) (map[string]int, error)
	// Warmer brings up nodes; nil when this process can not.
	Warmer job.Warmer
	// Provisioner maintains the tenants' namespaces, and Kubernetes returns nil when the API server answers; both are nil where there is
	// no cluster.
	Provisioner tenant.Provisioner
	Kubernetes  func(context.Context) error
	// Disk returns nil when this machine's disk has room; nil where nothing is stored on it.
	Disk func() error
	// ServiceAccount returns the name of the service account whose token may call reconcile; nil where none may.
	ServiceAccount func(ctx context.Context, token string) (name string, err error)
	// Confinement returns what confines runs on this machine; nil where the recorded runs show it.
	Confinement func(context.Context) (simulation.Confinement, error)
	// Metrics counts what the functions do; nil where metrics are off.
	Metrics *metrics.Metrics
	// Trace records spans; nil where tracing is off.
	Trace *trace.Tracer
	// Changed is called when reconcile has something to do; it may be nil.
	Changed func(context.Context)
}

// Handler serves the functions named by targets, or all of them when there are none.
func (p Parts) Handler(targets ...string) (http.Handler, error) {
	mux := http.NewServeMux()
	if err := p.register(mux, targets); err != nil {
		return nil, err
	}
	if len(targets) == 0 || slices.Contains(targets, "status") {
		rest.Docs(mux, OpenAPI)
		page.Register(mux)
	}
	var observers []rest.Observer
	if p.Metrics != nil {
		observers = append(observers, func(r *http.Request, route string) (context.Context, func(int, time.Duration)) {
			return r.Context(), p.Metrics.Began(route)
		})
	}
	if p.Trace != nil {
		observers = append(observers, p.Trace.Began)
	}
	return rest.Handler(mux, p.Config.CORSOrigins, p.Log, observers...), nil
}

// Document makes the OpenAPI document from the code.
func Document() ([]byte, error) {
	objects, err := s3.New(s3.Config{
		Endpoint: "http://unused.invalid", Region: "us-east-1", Bucket: "unused", AccessKey: "unused", SecretKey: "unused",
	})
	if err != nil {
		return nil, err
	}
	return rest.Document(Parts{DB: &postgres.DB{}, Objects: objects}.api(http.NewServeMux(), nil))
}

func (p Parts) register(mux *http.ServeMux, targets []string) error {
	for _, t := range targets {
		if !slices.Contains(Targets, t) {
			return fmt.Errorf("there is no function %q; FUNCTION_TARGET is one of %v", t, Targets)
		}
	}
	p.api(mux, targets)
	return nil
}

func (p Parts) api(mux *http.ServeMux, targets []string) huma.API {
	limits := rest.Limits{
		CallsPerSecond: p.Config.CallsPerSecond, WrongKeysPerMinute: p.Config.WrongKeysPerMinute,
		ConcurrentUploads: p.Config.MaxConcurrentUploads, MinUploadRate: p.Config.MinUploadRateKiB << 10,
		TrustedProxies: p.Config.TrustedProxies,
	}
	api := rest.NewAPI(mux, rest.Keys{
		TenantByKey: p.DB.TenantByKey, Admin: p.Config.AdminKey, ServiceAccount: p.ServiceAccount, Limits: limits,
	})
	rest.Health{
		Database: p.DB.Ping, Objects: p.Objects.Ping, Kubernetes: p.Kubernetes, Disk: p.Disk, Confinement: p.confinement, Now: time.Now,
	}.Register(api)
	for name, register := range map[string]func(huma.API){
		"auth":      p.auth().Register,
		"submit":    p.submit().Register,
		"status":    p.status().Register,
		"logs":      p.logs().Register,
		"reconcile": p.Reconcile().Register,
	} {
		if len(targets) == 0 || slices.Contains(targets, name) {
			register(api)
		}
	}
	return api
}

// confinement returns this machine's confinement, or the weakest of the last day's runs wherever they ran.
func (p Parts) confinement(ctx context.Context) (*simulation.Confinement, error) {
	if p.Confinement == nil {
		return p.DB.WeakestConfinement(ctx, time.Now().Add(-24*time.Hour))
	}
	held, err := p.Confinement(ctx)
	if err != nil {
		return nil, err
	}
	return &held, nil
}

func (p Parts) auth() *auth.Function {
	return &auth.Function{
		Registrar: &tenant.Registrar{
			Tenants: p.DB, Objects: p.Objects, OwnBucket: p.Config.S3Bucket, Provisioner: p.Provisioner, Changed: p.Changed,
			VersionFault: func(version string) string { return job.VersionFault(p.offer(), version) },
			Random:       rand.Reader, Now: time.Now,
		},
		Tenants: p.DB, Jobs: p.DB, Nodes: p.Nodes, Pods: p.Pods, Warmer: p.Warmer, Now: time.Now,
	}
}

const (
	// maxChecks bounds the checks of scenarios, imports and plans of studies that one tenant has at work at one instance: as many as its
	// uploads, half of what an instance takes at a time.
	maxChecks = 4
	// checkPatience is how long others wait for their turn: many checks, and much less than a request may take.
	checkPatience = 30 * time.Second
)

func (p Parts) submit() *submit.Function {
	cfg := p.Config
	scenarios := p.scenarios()
	scenarios.Share = &fairness.Bound{Most: maxChecks, Patience: checkPatience}
	jobs := &job.Intake{
		Jobs: p.DB, NewID: newID, Now: time.Now, Changed: p.Changed, Trace: traceparent.Of,
		Scenario: p.DB.Scenario, Config: scenarios.Config, ProgramConfig: scenarios.ProgramConfig,
		DrawSeed:  func() int64 { return int64(mathrand.Int32()) },
		NewSecret: delivery.NewSecret,
		Versions:  p.offer(), Programs: cfg.Programs(), Admission: cfg.Admission(), Callbacks: p.callbacks(),
		DefaultTimeout: cfg.DefaultTimeout, MaxTimeout: cfg.MaxTimeout,
	}
	if p.Engine != nil {
		jobs.Dispatch = job.Dispatcher{Queue: p.DB, Engine: p.engine(), Log: p.Log}.Dispatch
	}
	return &submit.Function{
		Jobs: p.DB, Studies: p.DB, Intake: jobs, Scenarios: scenarios, Objects: p.Objects, Changed: p.Changed, Now: time.Now,
		LinkLifetime: cfg.LinkLifetime, Slots: cfg.EngineSlots(),
		Importer: &scenario.Importer{Intake: scenarios, Inputs: p.Objects, OwnBucket: cfg.S3Bucket},
		Webhooks: &delivery.Registry{
			Store: p.DB, Callbacks: p.callbacks(), NewID: newID, NewSecret: delivery.NewSecret, Now: time.Now, Changed: p.Changed,
		},
	}
}

func (p Parts) status() *status.Function {
	return &status.Function{
		Jobs: p.DB, Studies: p.DB, Scenarios: p.DB, Webhooks: p.DB, Objects: p.Objects, Views: view.New(p.Objects), Limits: p.Config.Limits(),
		Versions: p.offer(), Programs: p.Config.Programs(),
		LinkLifetime: p.Config.LinkLifetime, LinkSecret: p.linkSecret, PublicURL: p.Config.PublicURL, Now: time.Now,
		Release: version(), Slots: p.Config.EngineSlots(),
	}
}

// version is the version of this program's module, as the go command recorded it.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}

func (p Parts) linkSecret(ctx context.Context) ([]byte, error) {
	return p.DB.LinkSecret(ctx, func() []byte {
		secret := make([]byte, 32)
		_, _ = rand.Read(secret) // never fails
		return secret
	})
}

// logPoll is how often a stream checks for new lines: often enough to feel live, and one stat of a file each time.
const logPoll = 200 * time.Millisecond

// maxStreams bounds the streams of one tenant at one instance, each of which holds some 100 KiB: several for each job that a tenant may
// have at work, and not so many that others find no memory.
const maxStreams = 2_000

func (p Parts) logs() *logs.Function {
	return &logs.Function{
		Jobs: p.DB, Studies: p.DB, Objects: p.Objects, Live: p.Live, StreamLimit: p.Config.StreamLimit, Poll: logPoll, Now: time.Now,
		Streams: fairness.Tally{Most: maxStreams},
		Slots:   p.Config.EngineSlots(),
	}
}

// Reconcile is the reconcile function, which CloudEvents reach too.
func (p Parts) Reconcile() *reconcilefn.Function {
	settings := reconcile.DefaultConfig()
	settings.KeepResults = p.Config.Retention
	r := &reconcile.Reconciler{
		Jobs: p.DB, Scenarios: p.DB, Intake: p.scenarios(), Engine: p.engine(), Objects: p.Objects, Tenants: p.DB, Provisioner: p.Provisioner,
		Lock: p.DB.TryLock, Now: time.Now, Config: settings, Log: p.Log,
	}
	if poster, tasks := p.poster(), p.tasks(); poster != nil || tasks != nil {
		r.Outbox = delivery.NewSender(p.DB, poster, tasks, time.Now, mathrand.Float64, p.Log)
	}
	run := r.Run
	var ended []func(reconcile.End)
	if p.Trace != nil {
		ended = append(ended, p.Trace.Ended)
		// A call makes hundreds of passes. Their spans for Postgres and the engine would bury the trace of the submission that
		// caused the call.
		run = func(ctx context.Context, window time.Duration) (reconcile.Report, error) {
			return r.Run(traceparent.Without(ctx), window)
		}
	}
	if m := p.Metrics; m != nil && p.Config.Target == "reconcile" {
		r.Passed = m.Passed
		ended = append(ended, func(e reconcile.End) { m.Ended(e.Job) })
		unmeasured := run
		run = func(ctx context.Context, window time.Duration) (reconcile.Report, error) {
			report, err := unmeasured(ctx, window)
			m.Reconciled(report)
			return report, err
		}
	}
	if len(ended) > 0 {
		r.Ended = func(e reconcile.End) {
			for _, report := range ended {
				report(e)
			}
		}
	}
	if p.Engine == nil {
		run = func(context.Context, time.Duration) (reconcile.Report, error) {
			return reconcile.Report{}, errNoEngine()
		}
	}
	return &reconcilefn.Function{Run: run, Window: p.Config.Window, Log: p.Log}
}

// offer is what jobs may choose of SUMO's versions.
func (p Parts) offer() simulation.Offer { return p.Config.Offer(p.Installations) }

// engine is p.Engine as functions use it; nil where there is none.
func (p Parts) engine() job.Engine {
	if p.Engine == nil {
		return nil
	}
	return job.Versioned{
		Engine: p.Trace.Engine(p.Engine), Versions: p.offer(), Unnamed: p.Config.EarlierDefault(), Record: p.DB,
		Config: func(ctx context.Context, j job.Job) (scenario.Config, error) {
			s, err := p.DB.Scenario(ctx, j.TenantID, j.ScenarioDigest)
			if err != nil {
				return scenario.Config{}, err
			}
			return p.scenarios().Config(ctx, s, j.Options.ConfigFile)
		},
	}
}

func (p Parts) scenarios() *scenario.Intake {
	return &scenario.Intake{Store: p.DB, Objects: p.Objects, Limits: p.Config.Limits(), NewID: newID, Now: time.Now}
}

// newID returns a UUIDv7 (RFC 9562): ids that sort by time keep Postgres' indexes compact.
func newID() string { return uuid.Must(uuid.NewV7()).String() }

func errNoEngine() error {
	return problem.New(problem.NotConfigured, "This process has no engine that runs jobs. Set ENGINE where the reconcile function runs.")
}
