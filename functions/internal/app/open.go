package app

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/rs/zerolog"

	"github.com/sumo-k8/sumo-k8/functions/internal/wake"
	"github.com/sumo-k8/sumo-k8/pkg/config"
	"github.com/sumo-k8/sumo-k8/pkg/engine/local"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/store/postgres"
	"github.com/sumo-k8/sumo-k8/pkg/store/s3"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
	"github.com/sumo-k8/sumo-k8/pkg/telemetry/trace"
)

var errNoDatabase = errors.New("DATABASE_URL is not set; it names the Postgres database")

// Open makes the parts that every function has, without any I/O: the first request that needs a connection opens it, so that
// a function started from zero answers at once. AddLocalEngine or package cluster adds an engine.
func Open(cfg config.Config, tracer *trace.Tracer, log zerolog.Logger) (_ Parts, stop func(), err error) {
	if cfg.DatabaseURL == "" {
		return Parts{}, nil, errNoDatabase
	}
	db, err := postgres.Open(context.Background(), postgres.Config{
		URL: cfg.DatabaseURL, ApplicationName: "sumo-k8-" + cfg.Target, MaxConns: cfg.DatabaseConnections, Pooled: cfg.DatabasePooled,
		Chunks: job.ChunkLimits{Cores: cfg.ChunkCores, MemoryGi: cfg.ChunkMemoryGi},
		Tracer: tracer.Statements(),
	})
	if err != nil {
		return Parts{}, nil, err
	}
	settings := storeOf(cfg)
	if tracer != nil {
		settings.Wrap = tracer.Transport
	}
	objects, err := s3.New(settings)
	if err != nil {
		db.Close()
		return Parts{}, nil, err
	}
	parts := Parts{Config: cfg, DB: db, Objects: objects, Trace: tracer, Log: log}
	if dir, err := cfg.SumoFolder(); err == nil && len(cfg.SumoImages) == 0 { // a container without a home has no versions of its own
		parts.Installations = release.Installed(dir)
	}
	sleep := func() {}
	if cfg.ReconcileURL != "" && cfg.Target != "reconcile" {
		caller := callerOf(cfg)
		caller.Transport = tracer.Transport(caller.Transport)
		waker := wake.Start(caller, log)
		parts.Changed, sleep = waker.Changed, waker.Close
	}
	return parts, func() { sleep(); db.Close() }, nil
}

func storeOf(cfg config.Config) s3.Config {
	return s3.Config{
		Endpoint: cfg.S3Endpoint, PublicEndpoint: cfg.S3PublicEndpoint, Region: cfg.S3Region, Bucket: cfg.S3Bucket,
		AccessKey: cfg.S3AccessKey, SecretKey: cfg.S3SecretKey, UsePathStyle: cfg.S3Endpoint != "",
	}
}

// AddLocalEngine makes the parts run jobs as processes on this machine. Stop ends the active runs and keeps them for the next
// start; its error says that some did not end in time.
func (p *Parts) AddLocalEngine() (stop func(context.Context) error, err error) {
	engine, err := local.New(p.runs(), p.Objects, time.Now, p.Log)
	if err != nil {
		return nil, err
	}
	p.Engine, p.Live, p.Nodes = engine, engine, engine.Nodes
	p.Config.Engine = config.EngineLocal // in local mode no setting says so
	p.Warmer = &local.Warmups{Now: time.Now, NewID: newID}
	dir := p.Config.RunsDir
	p.Disk = func() error { return local.Room(dir) }
	return engine.Close, nil
}

// AddLocalLogs makes the parts read the logs that the engine of another process on this machine writes.
func (p *Parts) AddLocalLogs() { p.Live = local.Logs(p.runs()) }

func (p *Parts) runs() local.Config {
	cfg := p.Config
	return local.Config{
		Dir: cfg.RunsDir, SumoRun: cfg.SumoRun, Slots: cfg.Slots, Confinement: cfg.Confinement, MaxOutput: cfg.MaxOutputMiB << 20,
		Installations: p.Installations, Python: p.python(),
	}
}

// python is what programs run with here, by the version of SUMO, where they are enabled.
func (p *Parts) python() map[string]release.Python {
	dir, err := p.Config.SumoFolder()
	if err != nil || !p.Config.Programs() {
		return nil
	}
	found := map[string]release.Python{}
	for _, at := range p.Installations {
		if python, err := release.PythonIn(dir, at.Version); err == nil {
			found[at.Version] = python
		}
	}
	return found
}

// Migrate prepares what the functions need: the schema and, except on AWS, the bucket. It may run again, and at the same
// time as functions of the previous release.
func Migrate(ctx context.Context, cfg config.Config, log zerolog.Logger) error {
	if cfg.DatabaseURL == "" {
		return errNoDatabase
	}
	if cfg.DatabasePooled {
		return errors.New("DATABASE_POOLED is set, but migrations use a session lock, which a pooler does not keep: " +
			"set DATABASE_URL to the server itself here")
	}
	if err := postgres.MigrateFrom(ctx, cfg.DatabaseURL, cfg.EarlierDefault()); err != nil {
		return err
	}
	log.Info().Msg("the schema is up to date")
	if cfg.S3Endpoint == "" {
		log.Info().Str("bucket", cfg.S3Bucket).Msg("S3_ENDPOINT is not set: on AWS the operator creates the bucket")
		return nil
	}
	objects, err := s3.New(storeOf(cfg))
	if err != nil {
		return err
	}
	if err := objects.EnsureBucket(ctx); err != nil {
		return err
	}
	log.Info().Str("bucket", cfg.S3Bucket).Msg("the bucket exists")
	return nil
}

// Schedule is one tick of the schedule where no PingSource sends it: it ends when reconcile has answered.
func Schedule(ctx context.Context, cfg config.Config, log zerolog.Logger) error {
	if cfg.ReconcileURL == "" {
		return errors.New("RECONCILE_URL is not set; it is the URL of the reconcile function")
	}
	report, err := callerOf(cfg).Call(ctx)
	if err != nil {
		return err
	}
	log.Info().Interface("report", report).Msg("reconciled")
	return nil
}

func callerOf(cfg config.Config) wake.Caller {
	return wake.Caller{URL: cfg.ReconcileURL, TokenFile: cfg.ReconcileTokenFile, AdminKey: cfg.AdminKey, Transport: http.DefaultTransport}
}
