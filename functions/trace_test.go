package main

import (
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// collector takes spans as an OpenTelemetry collector does, in OTLP over HTTP.
type collector struct {
	url string

	mu    sync.Mutex
	spans []collected
}

// collected is a span of one function.
type collected struct {
	*tracepb.Span
	service string
}

func (s collected) trace() string { return hex.EncodeToString(s.TraceId) }

// attribute returns the attribute with this key, as text.
func (s collected) attribute(key string) string {
	for _, a := range s.Attributes {
		if a.Key == key {
			if text, is := a.Value.Value.(*commonpb.AnyValue_StringValue); is {
				return text.StringValue
			}
			return a.Value.String()
		}
	}
	return ""
}

func collect(t *testing.T) *collector {
	t.Helper()
	c := &collector{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body io.Reader = r.Body
		if r.Header.Get("Content-Encoding") == "gzip" {
			zipped, err := gzip.NewReader(r.Body)
			if err != nil {
				t.Error(err)
				return
			}
			body = zipped
		}
		raw, err := io.ReadAll(body)
		var request collectorpb.ExportTraceServiceRequest
		if err == nil {
			err = proto.Unmarshal(raw, &request)
		}
		if err != nil || r.URL.Path != "/v1/traces" {
			t.Errorf("%s got an invalid export: %v", r.URL, err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, resource := range request.ResourceSpans {
			service := ""
			for _, a := range resource.Resource.Attributes {
				if a.Key == "service.name" {
					service = a.Value.GetStringValue()
				}
			}
			for _, scope := range resource.ScopeSpans {
				for _, span := range scope.Spans {
					c.spans = append(c.spans, collected{span, service})
				}
			}
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(s.Close)
	c.url = s.URL
	return c
}

func (c *collector) all() []collected {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.spans)
}

// one returns the only span of this function and name in a trace.
func (c *collector) one(t *testing.T, trace, service, name string) collected {
	t.Helper()
	var found []collected
	for _, s := range c.all() {
		if s.trace() == trace && s.service == service && s.Name == name {
			found = append(found, s)
		}
	}
	if len(found) != 1 {
		t.Fatalf("the trace has %d spans %q of %s, want one; there are %v", len(found), name, service, c.names(trace))
	}
	return found[0]
}

func (c *collector) names(trace string) (names []string) {
	for _, s := range c.all() {
		if s.trace() == trace {
			names = append(names, s.service+": "+s.Name)
		}
	}
	slices.Sort(names)
	return names
}

// below reports whether s is a descendant of the span called top.
func (c *collector) below(s, top collected) bool {
	spans := c.all()
	for range len(spans) {
		if bytes.Equal(s.ParentSpanId, top.SpanId) {
			return true
		}
		i := slices.IndexFunc(spans, func(other collected) bool { return bytes.Equal(other.SpanId, s.ParentSpanId) })
		if i < 0 {
			return false
		}
		s = spans[i]
	}
	return false
}

const (
	clientTrace = "4bf92f3577b34da6a3ce929d0e0e4736"
	clientSpan  = "00f067aa0ba902b7"
)

// traced is a client whose calls belong to its own trace.
func traced(c client, flags string) client {
	return client{
		map[string]string{"Authorization": c.key["Authorization"], "Traceparent": "00-" + clientTrace + "-" + clientSpan + "-" + flags},
	}
}

func TestATraceReachesFromTheSubmissionToTheEndOfTheJob(t *testing.T) {
	t.Parallel()
	d, traces := deploy(t), collect(t)
	// Spans are usually sent after five seconds; at the end of the process the rest is sent at once.
	d.env = append(d.env, "OTEL_EXPORTER_OTLP_ENDPOINT="+traces.url, "OTEL_EXPORTER_OTLP_COMPRESSION=gzip")
	reconcile := d.instance(t, "reconcile")
	submit := d.instance(t, "submit", "RECONCILE_URL="+reconcile.url+"/reconcile")
	status, auth := d.instance(t, "status"), d.instance(t, "auth")
	c := newClient(t, auth.url)
	send(t, "GET", status.url+"/health", nil, nil, nil)
	id := traced(c, "01").submit(t, submit.url, "square")
	if j := c.wait(t, status.url, id); j.Status != "SUCCEEDED" {
		t.Fatalf("the job ended as %+v", j)
	}
	for _, i := range []instance{status, auth, submit, reconcile} {
		i.stop()
	}

	request := traces.one(t, clientTrace, "sumo-k8-submit", "POST /jobs")
	if got := hex.EncodeToString(request.ParentSpanId); got != clientSpan || request.Kind != tracepb.Span_SPAN_KIND_SERVER {
		t.Errorf("the request's span is %v under %s", request.Kind, got)
	}
	job := traces.one(t, clientTrace, "sumo-k8-reconcile", "job")
	want := map[string]string{"sumo_k8.job.id": id, "sumo_k8.tenant.id": "acme", "sumo_k8.job.state": "SUCCEEDED", "sumo_k8.job.reason": ""}
	for key, value := range want {
		if got := job.attribute(key); got != value {
			t.Errorf("the job's %s is %q, want %q", key, got, value)
		}
	}
	if job.attribute("sumo_k8.sumo.version") == "" || job.attribute("sumo_k8.job.attempt") == "" ||
		job.Status.GetCode() == tracepb.Status_STATUS_CODE_ERROR {
		t.Errorf("the job's span is %v", job)
	}
	if !bytes.Equal(job.ParentSpanId, request.SpanId) {
		t.Errorf("the job's span has the parent %x, want the request's %x", job.ParentSpanId, request.SpanId)
	}
	at := job.StartTimeUnixNano
	for _, name := range []string{"queued", "pending", "running", "storing", "recording"} {
		phase := traces.one(t, clientTrace, "sumo-k8-reconcile", name)
		if !bytes.Equal(phase.ParentSpanId, job.SpanId) || phase.StartTimeUnixNano != at || phase.EndTimeUnixNano < at ||
			phase.attribute("sumo_k8.job.id") != id {
			t.Errorf("%s goes from %d to %d, after %d, under %x", name, phase.StartTimeUnixNano, phase.EndTimeUnixNano, at, phase.ParentSpanId)
		}
		at = phase.EndTimeUnixNano
	}
	if at != job.EndTimeUnixNano {
		t.Errorf("the job ends at %d, its last phase at %d", job.EndTimeUnixNano, at)
	}
	if start := traces.one(t, clientTrace, "sumo-k8-reconcile", "start run"); !bytes.Equal(start.ParentSpanId, request.SpanId) {
		t.Errorf("the run's start has the parent %x", start.ParentSpanId)
	}
	// The submission woke reconcile, so the call is part of its trace.
	if woken := traces.one(t, clientTrace, "sumo-k8-reconcile", "POST /reconcile"); !traces.below(woken, request) {
		t.Error("the call of reconcile is not below the request")
	}
	clients := map[string]int{}
	for _, s := range traces.all() {
		if s.service == "sumo-k8-submit" && s.Kind == tracepb.Span_SPAN_KIND_CLIENT && traces.below(s, request) {
			if s.attribute("db.system.name") != "" {
				clients["postgres"]++
			} else if strings.Contains(s.attribute("url.full"), ".zip") {
				clients["s3"]++
			}
		}
		if s.Name == "GET /health" {
			t.Error("a probe has a span")
		}
	}
	if clients["postgres"] < 3 || clients["s3"] < 1 {
		t.Errorf("the request has spans of %v; there are %v", clients, traces.names(clientTrace))
	}
	if n := len(traces.names(clientTrace)); n > 60 {
		t.Errorf("the trace has %d spans, too many to read: %v", n, traces.names(clientTrace))
	}
}

func TestUnsampledTracesAndDisabledTracingSendNoSpans(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		env   []string
		flags string
	}{
		"a client that does not sample": {nil, "00"},
		"traces that are switched off":  {[]string{"OTEL_SDK_DISABLED=true"}, "01"},
		"a sampler that takes nothing":  {[]string{"OTEL_TRACES_SAMPLER=always_off"}, "01"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, traces := deploy(t), collect(t)
			auth := d.instance(t, "auth") // without tracing
			d.env = append(append(d.env, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="+traces.url+"/v1/traces"), test.env...)
			submit, reconcile := d.instance(t, "submit"), d.instance(t, "reconcile")
			id := traced(newClient(t, auth.url), test.flags).submit(t, submit.url, "square")
			headers := map[string]string{"X-Admin-Key": adminKey, "Traceparent": "00-" + clientTrace + "-" + clientSpan + "-" + test.flags}
			var report struct{ Changed int }
			if code := send(t, "POST", reconcile.url+"/reconcile", nil, headers, &report); code != http.StatusOK || report.Changed == 0 {
				t.Fatalf("reconcile answered %d, %+v for %s", code, report, id)
			}
			submit.stop()
			reconcile.stop()
			if spans := traces.all(); len(spans) > 0 {
				t.Errorf("%d spans came, the first is %v", len(spans), spans[0])
			}
		})
	}
}

// A trace passes through a function that makes no spans, and a job without a trace gets its own.
func TestJobsOfAFunctionThatDoesNotTraceAreTracedByReconcile(t *testing.T) {
	t.Parallel()
	d, traces := deploy(t), collect(t)
	auth, submit := d.instance(t, "auth"), d.instance(t, "submit")
	reconcile := d.instance(t, "reconcile", "OTEL_EXPORTER_OTLP_ENDPOINT="+traces.url, "OTEL_SERVICE_NAME=ours", "SLOTS=2")
	c := newClient(t, auth.url)
	with, without := traced(c, "01").submit(t, submit.url, "square"), c.submit(t, submit.url, "square")
	for deadline := time.Now().Add(patience); ; {
		var report struct{ Active int }
		if code := send(t, "POST", reconcile.url+"/reconcile", nil, map[string]string{"X-Admin-Key": adminKey}, &report); code != http.StatusOK {
			t.Fatalf("reconcile answered %d", code)
		}
		if report.Active == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the jobs do not end")
		}
	}
	reconcile.stop()
	parents := map[string]string{}
	for _, s := range traces.all() {
		if s.Name == "job" && s.service == "ours" {
			parents[s.attribute("sumo_k8.job.id")] = hex.EncodeToString(s.ParentSpanId)
		}
	}
	if diff := cmp.Diff(map[string]string{with: clientSpan, without: ""}, parents); diff != "" {
		t.Errorf("parents of the jobs' spans (-want +got):\n%s", diff)
	}
	traces.one(t, clientTrace, "ours", "job")
}

func TestACollectorThatHangsDelaysNoAnswerAndNoEnd(t *testing.T) {
	t.Parallel()
	d := deploy(t)
	asked, release := make(chan struct{}, 100), make(chan struct{})
	stuck := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		asked <- struct{}{}
		<-release
	}))
	t.Cleanup(stuck.Close)
	t.Cleanup(func() { close(release) })
	status := d.instance(t, "status", "OTEL_EXPORTER_OTLP_ENDPOINT="+stuck.URL, "OTEL_BSP_SCHEDULE_DELAY=10", "SHUTDOWN_GRACE=1s")
	for range 10 {
		if code := send(t, "GET", status.url+"/nothing", nil, nil, nil); code != http.StatusNotFound {
			t.Errorf("answered %d", code)
		}
	}
	select {
	case <-asked:
	case <-time.After(patience):
		t.Fatal("nothing was sent to the collector")
	}
	status.stop() // checks that it ends cleanly and logs only JSON
}
