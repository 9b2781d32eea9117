// Package metrics counts what operators watch, for Prometheus. Its labels have few values that are known beforehand:
// routes as patterns, states, reasons. Ids and tenants are never among them; those are in /admin/queue and the log.
package metrics

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/reconcile"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

const (
	prefix = "sumo_k8_"
	// queueTimeout is shorter than the 10 s after which Prometheus gives up on a scrape.
	queueTimeout = 5 * time.Second
)

// durations range from a call that is answered from memory to a stream at its limit.
var durations = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300}

// passes range from an idle pass to one with more jobs than a pass may look at.
var passes = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

// Metrics are those of one function's process.
type Metrics struct {
	registry *prometheus.Registry

	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	inFlight *prometheus.GaugeVec

	pass       prometheus.Histogram
	failures   prometheus.Counter
	dispatched prometheus.Counter
	ended      *prometheus.CounterVec
	confined   *prometheus.CounterVec
	pruned     *prometheus.CounterVec
	deliveries *prometheus.CounterVec
}

// New makes the metrics of function.
func New(function string) *Metrics {
	labels := prometheus.Labels{"function": function}
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: prefix + "requests_total", Help: "Requests answered, by route and class of status.", ConstLabels: labels,
		}, []string{"route", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: prefix + "request_duration_seconds", Help: "Time from a request to the end of its answer.", ConstLabels: labels,
			Buckets: durations,
		}, []string{"route"}),
		inFlight: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: prefix + "requests_in_flight", Help: "Requests under way; for a stream's route, streams that are open.", ConstLabels: labels,
		}, []string{"route"}),
	}
	m.registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), m.requests, m.seconds, m.inFlight,
	)
	return m
}

// Handler answers GET /metrics.
func (m *Metrics) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	return mux
}

// Began counts a request of a route, which is a pattern or empty, and returns a function to call with its status at its end.
func (m *Metrics) Began(route string) (ended func(status int, took time.Duration)) {
	if route == "" {
		route = "none"
	}
	now := m.inFlight.WithLabelValues(route)
	now.Inc()
	return func(status int, took time.Duration) {
		now.Dec()
		m.requests.WithLabelValues(route, class(status)).Inc()
		m.seconds.WithLabelValues(route).Observe(took.Seconds())
	}
}

func class(status int) string {
	classes := []string{"1xx", "2xx", "3xx", "4xx", "5xx"}
	if status < 100 || status > 599 {
		return "other"
	}
	return classes[status/100-1]
}

// Reconciling adds what only reconcile knows. Queue is asked at each scrape.
func (m *Metrics) Reconciling(queue func(context.Context) ([]job.TenantQueue, error), now func() time.Time) {
	m.pass = prometheus.NewHistogram(
		prometheus.HistogramOpts{Name: prefix + "reconcile_pass_seconds", Help: "Time of one comparison of record and engine.", Buckets: passes},
	)
	m.failures = prometheus.NewCounter(
		prometheus.CounterOpts{Name: prefix + "reconcile_failures_total", Help: "Passes that failed, wholly or in part."},
	)
	m.dispatched = prometheus.NewCounter(
		prometheus.CounterOpts{
			Name: prefix + "jobs_dispatched_total", Help: "Jobs and chunks of studies' runs handed to the engine by reconcile.",
		},
	)
	m.ended = prometheus.NewCounterVec(
		prometheus.CounterOpts{Name: prefix + "jobs_ended_total", Help: "Jobs whose end was recorded, by status and reason."},
		[]string{"status", "reason"},
	)
	m.confined = prometheus.NewCounterVec(
		prometheus.CounterOpts{Name: prefix + "runs_total", Help: "Runs of SUMO whose end was recorded, by what confined them."},
		[]string{"files", "filter", "user"},
	)
	m.pruned = prometheus.NewCounterVec(
		prometheus.CounterOpts{Name: prefix + "pruned_total", Help: "What was removed because of its age or because nothing refers to it."},
		[]string{"what"},
	)
	m.deliveries = prometheus.NewCounterVec(
		prometheus.CounterOpts{
			Name: prefix + "delivery_attempts_total", Help: "Attempts to deliver events and reports of jobs, by what became of them.",
		},
		[]string{"outcome"},
	)
	m.registry.MustRegister(m.pass, m.failures, m.dispatched, m.ended, m.confined, m.pruned, m.deliveries, &queued{queue, now})
}

// Passed counts a pass of reconcile.
func (m *Metrics) Passed(took time.Duration, err error) {
	m.pass.Observe(took.Seconds())
	if err != nil {
		m.failures.Inc()
	}
}

// Ended counts a job whose end was recorded.
func (m *Metrics) Ended(j job.Job) {
	m.ended.WithLabelValues(string(j.State), string(j.Reason)).Inc()
	if held := j.Confinement; held != nil {
		m.confined.WithLabelValues(filesHeldBy(*held), strconv.FormatBool(held.Filter), strconv.FormatBool(held.User)).Inc()
	}
}

// filesHeldBy names what restricted SUMO to its files: Landlock if it did, also beside a namespace.
func filesHeldBy(held simulation.Confinement) string {
	switch {
	case held.Landlock > 0:
		return "landlock"
	case held.Namespace:
		return "namespace"
	default:
		return "none"
	}
}

// Reconciled counts what a call of reconcile has done.
func (m *Metrics) Reconciled(r reconcile.Report) {
	m.dispatched.Add(float64(r.Dispatched))
	for what, n := range map[string]int{
		"results": r.PrunedResults, "results_of_studies": r.PrunedStudies, "idempotency_keys": r.PrunedKeys, "objects": r.PrunedObjects,
		"uploads":    r.PrunedUploads,
		"deliveries": r.PrunedDeliveries,
	} {
		m.pruned.WithLabelValues(what).Add(float64(n))
	}
	for outcome, n := range map[string]int{
		"delivered": r.Deliveries.Delivered, "failed": r.Deliveries.Failed, "given_up": r.Deliveries.GivenUp, "signal": r.Deliveries.Signals,
	} {
		m.deliveries.WithLabelValues(outcome).Add(float64(n))
	}
}

// queued counts unfinished jobs, at each scrape.
type queued struct {
	queue func(context.Context) ([]job.TenantQueue, error)
	now   func() time.Time
}

var (
	jobsDesc = prometheus.NewDesc(
		prefix+"jobs", "Unfinished jobs, by status; QUEUED is the depth of the queue.", []string{"status"}, nil,
	)
	unstartedDesc = prometheus.NewDesc(
		prefix+"study_runs_unstarted", "Runs of studies that have not been started. They are no jobs yet.", nil, nil,
	)
	oldestDesc = prometheus.NewDesc(
		prefix+"queue_oldest_wait_seconds", "How long the first job of the queue has waited; 0 when none does.", nil, nil,
	)
)

// Describe implements prometheus.Collector.
func (q *queued) Describe(to chan<- *prometheus.Desc) {
	to <- jobsDesc
	to <- unstartedDesc
	to <- oldestDesc
}

// Collect implements prometheus.Collector. While Postgres is unreachable only these metrics are missing.
func (q *queued) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), queueTimeout)
	defer cancel()
	tenants, err := q.queue(ctx)
	if err != nil {
		return
	}
	counts := map[job.State]int{job.Queued: 0, job.Pending: 0, job.Running: 0}
	var oldest time.Duration
	unstarted := 0
	for _, t := range tenants {
		unstarted += t.Unstarted
		for state := range counts {
			counts[state] += t.ByState[state]
		}
		if !t.Oldest.IsZero() {
			oldest = max(oldest, q.now().Sub(t.Oldest))
		}
	}
	for state, n := range counts {
		to <- prometheus.MustNewConstMetric(jobsDesc, prometheus.GaugeValue, float64(n), string(state))
	}
	to <- prometheus.MustNewConstMetric(unstartedDesc, prometheus.GaugeValue, float64(unstarted))
	to <- prometheus.MustNewConstMetric(oldestDesc, prometheus.GaugeValue, oldest.Seconds())
}
