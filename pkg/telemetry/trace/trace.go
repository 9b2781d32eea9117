// Package trace sends spans of requests and jobs to an OpenTelemetry collector. A job's trace is that of its
// submission, wherever and whenever the rest of the job takes place: package traceparent carries it there.
//
// Spans are made only for what is sampled, and queued: nothing waits for the collector. A nil *Tracer makes none.
package trace

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/exaring/otelpgx"
	"github.com/go-logr/logr/funcr"
	"github.com/jackc/pgx/v5"
	"github.com/rs/zerolog"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/reconcile"
	"github.com/sumo-k8/sumo-k8/pkg/telemetry/traceparent"
)

// Tracer makes the spans of one process.
type Tracer struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
}

// Start makes the Tracer of the function called name, which is to be closed. OpenTelemetry's own environment variables
// decide where spans are sent and which are sampled. Nothing is sent yet, and an unreachable collector is no error.
func Start(ctx context.Context, name string, log zerolog.Logger) (*Tracer, error) {
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn().Err(err).Msg("traces") }))
	// The SDK would otherwise log to standard error, in a format of its own. 1 lets its warnings through.
	otel.SetLogger(funcr.New(func(_, text string) { log.Warn().Str("sdk", text).Msg("traces") }, funcr.Options{Verbosity: 1}))
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("preparing to send traces: %w", err)
	}
	// Later detectors overrule earlier ones: OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES take precedence.
	about, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithHost(),
		resource.WithAttributes(semconv.ServiceName("sumo-k8-"+name)), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("describing the process to the collector of traces: %w", err)
	}
	provider := sdk.NewTracerProvider(sdk.WithBatcher(exporter), sdk.WithResource(about))
	return &Tracer{provider: provider, tracer: provider.Tracer("github.com/sumo-k8/sumo-k8")}, nil
}

// Close sends what has not been sent, until ctx ends.
func (t *Tracer) Close(ctx context.Context) error {
	if err := t.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("sending the last spans: %w", err)
	}
	return nil
}

// Began begins the span of a request; it is a rest.Observer. Probes come every few seconds and have none.
func (t *Tracer) Began(r *http.Request, route string) (context.Context, func(status int, took time.Duration)) {
	ctx := r.Context()
	if route == "GET /health" || route == "GET /ready" {
		return traceparent.Without(ctx), func(int, time.Duration) {}
	}
	path := r.URL.EscapedPath()
	if strings.Contains(route, "{token}") {
		path = route[strings.IndexByte(route, '/'):] // the token is a key
	}
	name, attributes := r.Method, []attribute.KeyValue{semconv.HTTPRequestMethodKey.String(r.Method), semconv.URLPath(path)}
	if route != "" {
		name = route
		// OpenTelemetry's route is the path alone; a pattern of net/http has the method before it.
		attributes = append(attributes, semconv.HTTPRoute(route[strings.IndexByte(route, '/'):]))
	}
	ctx, span := t.tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(attributes...))
	return ctx, func(status int, _ time.Duration) {
		span.SetAttributes(semconv.HTTPResponseStatusCode(status))
		if status >= http.StatusInternalServerError {
			span.SetStatus(codes.Error, "")
		}
		span.End()
	}
}

// Transport makes a span of each request that is sent on behalf of another span, and names the trace in its headers.
// Background work, such as watching workflows, has none.
func (t *Tracer) Transport(base http.RoundTripper) http.RoundTripper {
	if t == nil {
		return base
	}
	return otelhttp.NewTransport(base, otelhttp.WithTracerProvider(t.provider), otelhttp.WithPropagators(propagation.TraceContext{}),
		otelhttp.WithFilter(func(r *http.Request) bool { return trace.SpanContextFromContext(r.Context()).IsSampled() }))
}

// Statements makes a span of each statement that Postgres gets on behalf of another span. It is nil when t is.
func (t *Tracer) Statements() pgx.QueryTracer {
	if t == nil {
		return nil
	}
	return otelpgx.NewTracer(
		otelpgx.WithTracerProvider(t.provider), otelpgx.WithSpanNameFunc(statementName), otelpgx.WithQuerySpanNamePrefix(),
		otelpgx.WithDisableSQLStatementInAttributes(),
		otelpgx.WithDisableConnectionDetailsInAttributes(), otelpgx.WithDisableAcquireTracer(),
	)
}

// statementName is that of a statement in package postgres, which sqlc puts before it, or else the statement's first word.
func statementName(sql string) string {
	sql, _ = strings.CutPrefix(sql, "-- name: ")
	name, _, _ := strings.Cut(sql, " ")
	return name
}

// Engine makes a span of each start of a chunk, in the trace of its first job.
func (t *Tracer) Engine(e job.Engine) job.Engine {
	if t == nil || e == nil {
		return e
	}
	return engine{e, t.tracer}
}

type engine struct {
	job.Engine
	tracer trace.Tracer
}

// Start implements job.Engine.
func (e engine) Start(ctx context.Context, c job.Chunk) error {
	j := c.Jobs[0]
	if j.Traceparent == "" {
		return e.Engine.Start(ctx, c)
	}
	ctx, span := e.tracer.Start(traceparent.With(ctx, j.Traceparent), "start run", trace.WithAttributes(about(j)...))
	defer span.End()
	err := e.Engine.Start(ctx, c)
	if err != nil {
		span.RecordError(err)
		span.SetStatus(codes.Error, "the engine did not take the run")
	}
	return err
}

// Ended makes the spans of a finished job, in the trace of its submission: one from its submission until its end is on
// record, and one within it for each thing that it waited for.
func (t *Tracer) Ended(end reconcile.End) {
	j := end.Job
	ctx := traceparent.With(context.Background(), j.Traceparent)
	ctx, span := t.tracer.Start(ctx, "job", trace.WithTimestamp(j.SubmittedAt), trace.WithAttributes(append(about(j),
		attribute.String("sumo_k8.job.state", string(j.State)), attribute.String("sumo_k8.job.reason", string(j.Reason)),
		attribute.String("sumo_k8.sumo.version", j.SumoVersion))...))
	at := j.SubmittedAt
	for _, p := range phases(end) {
		if p.end.Before(at) {
			p.end = at // the clocks of the database and of the machines of runs differ
		}
		_, phase := t.tracer.Start(ctx, p.name, trace.WithTimestamp(at), trace.WithAttributes(about(j)...))
		phase.End(trace.WithTimestamp(p.end))
		at = p.end
	}
	if j.State == job.Failed {
		span.SetStatus(codes.Error, string(j.Reason))
	}
	span.End(trace.WithTimestamp(at))
}

type phase struct {
	name string
	end  time.Time
}

// phases are those that a job went through. Each begins where the one before ended.
func phases(end reconcile.End) []phase {
	j := end.Job
	var all []phase
	add := func(name string, end *time.Time) {
		if end != nil {
			all = append(all, phase{name, *end})
		}
	}
	add("queued", j.DispatchedAt)
	if j.StartedAt != nil {
		add("pending", j.StartedAt)
		add("running", j.FinishedAt)
	} else {
		add("pending", j.FinishedAt)
	}
	add("storing", end.StoredAt)
	add("recording", &end.RecordedAt)
	return all
}

// about are the attributes of every span of a job. Spans, unlike metrics, may carry ids.
func about(j job.Job) []attribute.KeyValue {
	return []attribute.KeyValue{
		attribute.String("sumo_k8.job.id", j.ID), attribute.String("sumo_k8.tenant.id", j.TenantID),
		attribute.Int("sumo_k8.job.attempt", j.Attempt),
	}
}
