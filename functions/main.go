// Command functions serves the function that FUNCTION_TARGET names: auth, submit, status, logs or reconcile. With
// migrate or schedule it does that once and ends. One binary holds all of them, so that one image warms every function
// on a node.
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
	"github.com/rs/zerolog"
	"knative.dev/pkg/signals"

	"github.com/sumo-k8/sumo-k8/functions/internal/app"
	"github.com/sumo-k8/sumo-k8/functions/internal/app/cluster"
	"github.com/sumo-k8/sumo-k8/pkg/config"
	"github.com/sumo-k8/sumo-k8/pkg/server"
	"github.com/sumo-k8/sumo-k8/pkg/telemetry/metrics"
	"github.com/sumo-k8/sumo-k8/pkg/telemetry/trace"
)

// eventFunction is reconcile's name as a CloudEvent function. It is not a target: its events reach reconcile like every
// other call, and with a key.
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
	// RFC 3339 as in zerolog, with milliseconds: most of what is logged happens within one second.
	zerolog.TimeFieldFormat = "2006-01-02T15:04:05.000Z07:00"
	log := zerolog.New(os.Stdout).Level(level).With().Timestamp().Str("function", cfg.Target).Logger()
	if once, ok := tasks[cfg.Target]; ok {
		return once(ctx, cfg, log)
	}
	if !slices.Contains(app.Targets, cfg.Target) {
		return fmt.Errorf(
			"FUNCTION_TARGET is %q; it must be one of %v, or one of %v to run once", cfg.Target, app.Targets, slices.Sorted(maps.Keys(tasks)),
		)
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
	// The request that started this process is on its way, and everything but the probes needs Postgres. The result is reported
	// to the callers that ask.
	go func() { _ = parts.DB.Ping(ctx) }()
	log.Info().Str("address", listener.Addr().String()).Msg("serving")
	return server.Serve(ctx, listener, handler, server.Shutdown{Quiet: cfg.ShutdownQuiet, Grace: cfg.ShutdownGrace}, log)
}

// startTracing returns the tracer if tracing is on, else nil. Stop sends the last spans, until the grace period after the
// end of ctx has passed.
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

// serveMetrics serves the metrics on a separate port until stop is called, which is after the last request.
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

// register registers every function with the Functions Framework, as its contract requires, and returns the handler of the
// target. We serve it ourselves: the framework's own server (v1.9.2) has no time limits and does not drain on SIGTERM.
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

// assemble makes the parts with the engine that the settings select.
func assemble(cfg config.Config, tracer *trace.Tracer, log zerolog.Logger) (_ app.Parts, stop func(), err error) {
	parts, closeParts, err := app.Open(cfg, tracer, log)
	if err != nil {
		return app.Parts{}, nil, err
	}
	stopEngine := func() {}
	switch cfg.Engine {
	case config.EngineArgo:
		stopEngine, err = cluster.Add(&parts)
	case config.EngineLocal:
		if cfg.Target != "reconcile" {
			parts.AddLocalLogs()
			break
		}
		var closeEngine func(context.Context) error
		closeEngine, err = parts.AddLocalEngine()
		stopEngine = func() {
			ctx, cancel := context.WithTimeout(context.Background(), cfg.ShutdownGrace)
			defer cancel()
			if err := closeEngine(ctx); err != nil {
				log.Warn().Err(err).Msg("some runs did not stop in time; the next start repeats them")
			}
		}
	}
	if err != nil {
		closeParts()
		return app.Parts{}, nil, err
	}
	return parts, func() { stopEngine(); closeParts() }, nil
}

// tasks are the other values of FUNCTION_TARGET: they run once, without a server.
var tasks = map[string]func(context.Context, config.Config, zerolog.Logger) error{
	"migrate":  app.Migrate,
	"schedule": app.Schedule,
}
