package trace

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/reconcile"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/telemetry/traceparent"
)

const (
	traceID = "4bf92f3577b34da6a3ce929d0e0e4736"
	sampled = "00-" + traceID + "-00f067aa0ba902b7-01"
	passed  = "00-" + traceID + "-00f067aa0ba902b7-00"
)

func record(t *testing.T) (*Tracer, *tracetest.SpanRecorder) {
	t.Helper()
	recorder := tracetest.NewSpanRecorder()
	provider := sdk.NewTracerProvider(sdk.WithSpanProcessor(recorder))
	return &Tracer{provider, provider.Tracer("test")}, recorder
}

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

func after(seconds int) *time.Time {
	at := noon.Add(time.Duration(seconds) * time.Second)
	return &at
}

func TestAJobsSpansAreWhatItWaitedFor(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		job    job.Job
		stored *time.Time
		want   []string // spans with their begin and end, in seconds after the submission
		failed bool
	}{
		"one that succeeded": {
			job.Job{State: job.Succeeded, DispatchedAt: after(1), StartedAt: after(3), FinishedAt: after(10)}, after(12),
			[]string{"queued 0-1", "pending 1-3", "running 3-10", "storing 10-12", "recording 12-20", "job 0-20"}, false,
		},
		"one that failed, with no time at which its results were stored": {
			job.Job{State: job.Failed, Reason: simulation.OutOfMemory, DispatchedAt: after(1), StartedAt: after(3), FinishedAt: after(10)}, nil,
			[]string{"queued 0-1", "pending 1-3", "running 3-10", "recording 10-20", "job 0-20"}, true,
		},
		"one that never started": {
			job.Job{State: job.Cancelled, Reason: simulation.Cancelled, DispatchedAt: after(1), FinishedAt: after(10)}, nil,
			[]string{"queued 0-1", "pending 1-10", "recording 10-20", "job 0-20"}, false,
		},
		"one whose machine's clock is behind": {
			job.Job{State: job.Succeeded, DispatchedAt: after(5), StartedAt: after(3), FinishedAt: after(4)}, after(6),
			[]string{"queued 0-5", "pending 5-5", "running 5-5", "storing 5-6", "recording 6-20", "job 0-20"}, false,
		},
	} {
		tracer, recorder := record(t)
		test.job.SubmittedAt, test.job.Traceparent = noon, sampled
		tracer.Ended(reconcile.End{Job: test.job, StoredAt: test.stored, RecordedAt: *after(20)})
		var got []string
		spans := recorder.Ended()
		whole := spans[len(spans)-1]
		for _, s := range spans {
			got = append(got, fmt.Sprintf("%s %.0f-%.0f", s.Name(), s.StartTime().Sub(noon).Seconds(), s.EndTime().Sub(noon).Seconds()))
			if s != whole && s.Parent().SpanID() != whole.SpanContext().SpanID() || s.SpanContext().TraceID().String() != traceID {
				t.Errorf("%s: %s stands under %v", name, s.Name(), s.Parent())
			}
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: -want +got:\n%s", name, diff)
		}
		if failed := whole.Status().Code == codes.Error; failed != test.failed || !whole.Parent().IsRemote() {
			t.Errorf("%s: failed is %t, the parent %v", name, failed, whole.Parent())
		}
	}
}

func TestAJobThatIsNotSampledHasNoSpans(t *testing.T) {
	t.Parallel()
	tracer, recorder := record(t)
	tracer.Ended(
		reconcile.End{Job: job.Job{State: job.Succeeded, SubmittedAt: noon, Traceparent: passed, FinishedAt: after(1)}, RecordedAt: noon},
	)
	if n := len(recorder.Started()); n != 0 {
		t.Errorf("it has %d", n)
	}
}

// runs is an engine that notes the trace of each call.
type runs struct {
	job.Engine
	asked []string
	err   error
}

func (r *runs) Start(ctx context.Context, _ job.Chunk) error {
	r.asked = append(r.asked, traceparent.ID(ctx))
	return r.err
}

func TestAStartBelongsToTheTraceOfItsJob(t *testing.T) {
	t.Parallel()
	tracer, recorder := record(t)
	unreachable := &runs{err: errors.New("unreachable")}
	engine := tracer.Engine(unreachable)
	caller := traceparent.With(t.Context(), "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	for _, j := range []job.Job{{ID: "with", Traceparent: sampled}, {ID: "without"}} {
		if err := engine.Start(caller, job.Single(j)); !errors.Is(err, unreachable.err) {
			t.Errorf("%s: %v", j.ID, err)
		}
	}
	if diff := cmp.Diff([]string{traceID, "0af7651916cd43dd8448eb211c80319c"}, unreachable.asked); diff != "" {
		t.Error(diff)
	}
	spans := recorder.Ended()
	if len(spans) != 1 || spans[0].Name() != "start run" || spans[0].Status().Code != codes.Error ||
		spans[0].Parent().SpanID().String() != "00f067aa0ba902b7" {
		t.Errorf("the spans are %v", spans)
	}
}

func TestARequestHasASpanOfItsRouteAndAProbeHasNone(t *testing.T) {
	t.Parallel()
	tracer, recorder := record(t)
	for _, test := range []struct {
		method, path, route string
		status              int
	}{
		{"GET", "/jobs/1", "GET /jobs/{id}", 200}, {"GET", "/wp-admin", "", 404}, {"POST", "/jobs", "POST /jobs", 503},
		{"GET", "/health", "GET /health", 200}, {"GET", "/ready", "GET /ready", 503},
	} {
		r := httptest.NewRequest(test.method, test.path, nil)
		ctx, ended := tracer.Began(r.WithContext(traceparent.With(r.Context(), sampled)), test.route)
		if id := traceparent.ID(ctx); id != traceID && !strings.HasSuffix(test.route, "/health") && !strings.HasSuffix(test.route, "/ready") {
			t.Errorf("%s: the request is in trace %q", test.path, id)
		}
		ended(test.status, time.Millisecond)
	}
	var got []string
	for _, s := range recorder.Ended() {
		route := "none"
		for _, a := range s.Attributes() {
			if a.Key == "http.route" {
				route = a.Value.AsString()
			}
		}
		got = append(got, fmt.Sprintf("%s %s %s, route %s", s.Name(), s.SpanKind(), s.Status().Code, route))
	}
	want := []string{"GET /jobs/{id} server Unset, route /jobs/{id}", "GET server Unset, route none", "POST /jobs server Error, route /jobs"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestARequestThatIsSentNamesItsSpan(t *testing.T) {
	t.Parallel()
	got := make(chan string, 3)
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got <- r.Header.Get("Traceparent") }))
	t.Cleanup(s.Close)
	tracer, recorder := record(t)
	for _, in := range []string{sampled, passed, ""} {
		r, _ := http.NewRequestWithContext(traceparent.With(t.Context(), in), http.MethodGet, s.URL, nil)
		response, err := tracer.Transport(http.DefaultTransport).RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
	}
	spans := recorder.Ended()
	if len(spans) != 1 {
		t.Fatalf("%d spans, want that of the request that is sampled", len(spans))
	}
	if header := <-got; traceparent.ID(traceparent.With(t.Context(), header)) != traceID || !strings.Contains(
		header, spans[0].SpanContext().SpanID().String(),
	) {
		t.Errorf("it named %q", header)
	}
	for range 2 {
		if header := <-got; header != "" {
			t.Errorf("a request without a span named %q", header)
		}
	}
}

func TestStatementsAreCalledAsInTheirFiles(t *testing.T) {
	t.Parallel()
	for sql, want := range map[string]string{
		"-- name: InsertJob :one\nINSERT INTO jobs": "InsertJob", "begin": "begin", "SELECT pg_try_advisory_lock($1)": "SELECT", "": "",
	} {
		if got := statementName(sql); got != want {
			t.Errorf("%q is called %q", sql, got)
		}
	}
}

func TestNoTracerIsNoCost(t *testing.T) {
	t.Parallel()
	var none *Tracer
	engine := &runs{}
	if none.Transport(http.DefaultTransport) != http.DefaultTransport || none.Statements() != nil ||
		none.Engine(engine) != job.Engine(engine) {
		t.Error("something stands in between")
	}
}
