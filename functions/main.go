// Command functions serves the function that FUNCTION_TARGET names: auth, submit, status, logs or reconcile. With migrate or
// schedule it does that once and ends. One binary holds all of them, so that one image warms every function on a node.
package main

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/GoogleCloudPlatform/functions-framework-go/functions"
	"github.com/google/uuid"
	"github.com/rs/zerolog"
	"k8s.io/client-go/rest"
	"knative.dev/pkg/signals"

	"github.com/sumo-k8/sumo-k8/functions/internal/app"
	"github.com/sumo-k8/sumo-k8/functions/internal/wake"
	"github.com/sumo-k8/sumo-k8/pkg/config"
	"github.com/sumo-k8/sumo-k8/pkg/engine/argo"
	"github.com/sumo-k8/sumo-k8/pkg/engine/local"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/kube"
	"github.com/sumo-k8/sumo-k8/pkg/server"
	"github.com/sumo-k8/sumo-k8/pkg/store/postgres"
	"github.com/sumo-k8/sumo-k8/pkg/store/s3"
	"github.com/sumo-k8/sumo-k8/pkg/telemetry/metrics"
	"github.com/sumo-k8/sumo-k8/pkg/telemetry/trace"
	"github.com/sumo-k8/sumo-k8/templates"
)

// eventFunction is reconcile's name as a CloudEvent function. It is no target: its events come to reconcile like every
// other call of it, and with a key.
const eventFunction = "reconcile-event"

func main() {
	if err := run(signals.NewContext()); err != nil {
		fmt.Fprintln(os.Stderr, "functions:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	cfg, err := config.Load()
	if err != nil {
		return err
	}
	level, err := zerolog.ParseLevel(cfg.LogLevel)
	if err != nil {
		return fmt.Errorf("LOG_LEVEL: %w", err)
	}
	// RFC 3339 as zerolog has it, with the milliseconds in which most of what is logged happens.
	zerolog.TimeFieldFormat = "2006-01-02T15:04:05.000Z07:00"
	log := zerolog.New(os.Stdout).Level(level).With().Timestamp().Str("function", cfg.Target).Logger()
	if once, ok := tasks[cfg.Target]; ok {
		return once(ctx, cfg, log)
	}
	if !slices.Contains(app.Targets, cfg.Target) {
		return fmt.Errorf("FUNCTION_TARGET is %q; it must be one of %v, or one of %v to do that once", cfg.Target, app.Targets, slices.Sorted(maps.Keys(tasks)))
	}
	tracer, stopTracing, err := startTracing(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer stopTracing()
	parts, closeParts, err := assemble(cfg, tracer, log)
	if err != nil {
		return err
	}
	defer closeParts()
	if cfg.MetricsPort != "" {
		stop, err := serveMetrics(&parts)
		if err != nil {
			return err
		}
		defer stop()
	}
	handler, err := register(parts, cfg.Target)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", net.JoinHostPort("", cfg.Port))
	if err != nil {
		return fmt.Errorf("listening on PORT: %w", err)
	}
	// The request for which we were started is on its way, and all but the probes need Postgres. What this finds is told to
	// those who ask.
	go func() { _ = parts.DB.Ping(ctx) }()
	log.Info().Str("address", listener.Addr().String()).Msg("serving")
	return server.Serve(ctx, listener, handler, server.Shutdown{Quiet: cfg.ShutdownQuiet, Grace: cfg.ShutdownGrace}, log)
}

// startTracing makes the tracer where traces are asked for, else nil. Stop sends the last spans, for as long as the grace after
// the end of ctx goes on.
func startTracing(ctx context.Context, cfg config.Config, log zerolog.Logger) (_ *trace.Tracer, stop func(), err error) {
	if !cfg.Tracing() {
		return nil, func() {}, nil
	}
	tracer, err := trace.Start(ctx, cfg.Target, log)
	if err != nil {
		return nil, nil, err
	}
	grace, cancel := context.WithCancel(context.Background())
	context.AfterFunc(ctx, func() { time.AfterFunc(cfg.ShutdownGrace, cancel) })
	return tracer, func() {
		defer cancel()
		if err := tracer.Close(grace); err != nil {
			log.Warn().Err(err).Msg("some spans were not sent")
		}
	}, nil
}

// serveMetrics serves the metrics on a port of their own until stop is called, which is after the last request.
func serveMetrics(parts *app.Parts) (stop func(), err error) {
	m := metrics.New(parts.Config.Target)
	if parts.Config.Target == "reconcile" {
		m.Reconciling(parts.DB.QueueByTenant, time.Now)
	}
	parts.Metrics = m
	listener, err := net.Listen("tcp", net.JoinHostPort("", parts.Config.MetricsPort))
	if err != nil {
		return nil, fmt.Errorf("listening on METRICS_PORT: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := server.Serve(ctx, listener, m.Handler(), server.Shutdown{Grace: time.Second}, parts.Log); err != nil {
			parts.Log.Warn().Err(err).Msg("metrics are no longer served")
		}
	}()
	return func() { cancel(); <-ended }, nil
}

// register makes every function known to the Functions Framework, as its contract wants, and returns the handler of the
// target. We serve that ourselves: the framework's own server (v1.9.2) has no time limits and does not drain on SIGTERM.
func register(parts app.Parts, target string) (http.Handler, error) {
	handlers := map[string]func() (http.Handler, error){}
	for _, name := range app.Targets {
		handlers[name] = sync.OnceValues(func() (http.Handler, error) { return parts.Handler(name) })
		functions.HTTP(name, func(w http.ResponseWriter, r *http.Request) {
			h, err := handlers[name]()
			if err != nil {
				http.Error(w, "this function could not be assembled", http.StatusInternalServerError)
				return
			}
			h.ServeHTTP(w, r)
		})
	}
	functions.CloudEvent(eventFunction, parts.Reconcile().Event)
	return handlers[target]()
}

// assemble makes the parts without any I/O: connections are made by the first request that needs them, so that a
// function answers at once after it was started from zero.
func assemble(cfg config.Config, tracer *trace.Tracer, log zerolog.Logger) (app.Parts, func(), error) {
	if cfg.DatabaseURL == "" {
		return app.Parts{}, nil, errNoDatabase
	}
	ctx := context.Background()
	db, err := postgres.Open(ctx, postgres.Config{
		URL: cfg.DatabaseURL, ApplicationName: "sumo-k8-" + cfg.Target, MaxConns: cfg.DatabaseConnections, Pooled: cfg.DatabasePooled,
		Tracer: tracer.Statements(),
	})
	if err != nil {
		return app.Parts{}, nil, err
	}
	store := storeOf(cfg)
	if tracer != nil {
		store.Wrap = tracer.Transport
	}
	objects, err := s3.New(store)
	if err != nil {
		return app.Parts{}, nil, err
	}
	parts := app.Parts{Config: cfg, DB: db, Objects: objects, Trace: tracer, Log: log}
	stop := func() {}
	switch cfg.Engine {
	case config.EngineArgo:
		stop, err = addCluster(&parts)
	case config.EngineLocal:
		stop, err = addLocalEngine(&parts)
	}
	sleep := func() {}
	if cfg.ReconcileURL != "" && cfg.Target != "reconcile" {
		caller := callerOf(cfg)
		caller.Transport = tracer.Transport(caller.Transport)
		waker := wake.Start(caller, log)
		parts.Changed, sleep = waker.Changed, waker.Close
	}
	return parts, func() { sleep(); stop(); db.Close() }, err
}

func storeOf(cfg config.Config) s3.Config {
	return s3.Config{
		Endpoint: cfg.S3Endpoint, PublicEndpoint: cfg.S3PublicEndpoint, Region: cfg.S3Region, Bucket: cfg.S3Bucket,
		AccessKey: cfg.S3AccessKey, SecretKey: cfg.S3SecretKey, UsePathStyle: cfg.S3Endpoint != "",
	}
}

// addCluster gives each function what it needs of the cluster, and has rights for: see deploy.
func addCluster(parts *app.Parts) (stop func(), err error) {
	cfg := parts.Config
	if cfg.Target == "status" {
		return func() {}, nil // it has no rights on the cluster and no need of it, so that its pods hold no token either
	}
	client, err := kube.Connect(kube.Connection{Kubeconfig: cfg.Kubeconfig, UserAgent: "sumo-k8-" + cfg.Target, Wrap: parts.Trace.Transport})
	if err != nil {
		return func() {}, err
	}
	cluster := kube.Cluster{Client: client}
	engine := argo.New(argo.Config{Installation: cfg.Installation, SumoVersion: cfg.SumoVersion, PriorityClasses: priorityClasses, Nodes: cluster.Nodes}, client, parts.Objects, time.Now, parts.Log)
	stop = engine.Close
	switch cfg.Target {
	case "auth":
		parts.Nodes, parts.Pods = cluster.Nodes, cluster.Pods
		if parts.Provisioner, err = provisioner(cfg, client); err != nil {
			return stop, err
		}
		parts.Warmer = kube.Warmups{
			Client: client, Namespace: cfg.Namespace, Image: cfg.SumoImages[cfg.SumoVersion], PullPolicy: cfg.PullPolicy,
			NodeSelector: cfg.NodeSelector, Tolerations: cfg.Tolerations, NewID: uuid.NewString,
		}
	case "submit":
		parts.Engine = engine
	case "reconcile":
		parts.Engine = engine
		if parts.Provisioner, err = provisioner(cfg, client); err != nil {
			return stop, err
		}
		if len(cfg.ReconcileCallers) > 0 {
			parts.ServiceAccount = kube.NewAccounts(client, cfg.ReconcileAudience, cfg.ReconcileCallers, time.Now).Verify
		}
	case "logs":
		parts.Live = kube.NewLogs(client)
	}
	parts.Kubernetes = kube.Ping(client)
	return stop, nil
}

// priorityClasses are those of deploy/base/priorities.yaml.
var priorityClasses = map[job.Priority]string{job.Low: "sumo-k8-low", job.Normal: "sumo-k8-normal", job.High: "sumo-k8-high"}

// provisioner returns an error for settings that cannot make a tenant's namespace, so that a revision with them never becomes ready.
func provisioner(cfg config.Config, client rest.Interface) (*kube.Provisioner, error) {
	access, secret := cfg.RunS3Keys()
	p := &kube.Provisioner{Client: client, Home: cfg.Namespace, Store: kube.ObjectStore{
		Endpoint: cfg.S3Endpoint, Region: cfg.S3Region, Bucket: cfg.S3Bucket, AccessKey: access, SecretKey: secret,
		CIDRs: cfg.S3CIDRs,
	}}
	if _, err := p.Store.Destinations(); err != nil {
		return nil, err
	}
	for _, version := range slices.Sorted(maps.Keys(cfg.SumoImages)) {
		p.Runs = append(p.Runs, templates.Settings{
			Version: version, Image: cfg.SumoImages[version], PullPolicy: cfg.PullPolicy,
			NodeSelector: cfg.NodeSelector, Tolerations: cfg.Tolerations, PodSpecPatch: cfg.PodSpecPatch,
			Confinement: cfg.Confinement, Unpacked: cfg.MaxUnpackedMiB << 20, Output: cfg.MaxOutputMiB << 20,
		})
	}
	return p, nil
}

func addLocalEngine(parts *app.Parts) (stop func(), err error) {
	cfg := parts.Config
	settings := local.Config{
		Dir: cfg.RunsDir, SumoRun: cfg.SumoRun, Slots: cfg.Slots, Confinement: cfg.Confinement, MaxOutput: cfg.MaxOutputMiB << 20,
	}
	if cfg.Target != "reconcile" {
		// Only reconcile runs jobs; the others read what its runs write.
		parts.Live = local.Logs(settings)
		return func() {}, nil
	}
	engine, err := local.New(settings, parts.Objects, time.Now, parts.Log)
	if err != nil {
		return func() {}, err
	}
	parts.Engine, parts.Live, parts.Nodes = engine, engine, engine.Nodes
	parts.Disk = func() error { return local.Room(cfg.RunsDir) }
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), cfg.ShutdownGrace)
		defer cancel()
		if err := engine.Close(ctx); err != nil {
			parts.Log.Warn().Err(err).Msg("some runs did not stop in time; they are repeated at the next start")
		}
	}, nil
}
