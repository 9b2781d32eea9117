package metrics

import (
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/delivery"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/reconcile"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// scrape returns our own metrics, without the buckets of histograms and the times in them.
func scrape(t *testing.T, m *Metrics) (lines []string) {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("answered %d", w.Code)
	}
	for line := range strings.Lines(w.Body.String()) {
		if strings.HasPrefix(line, prefix) && !strings.Contains(line, "_bucket{") && !strings.Contains(line, "_sum") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

func TestWhatPrometheusReads(t *testing.T) {
	t.Parallel()
	now := time.Now()
	m := New("reconcile")
	m.Reconciling(func(context.Context) ([]job.TenantQueue, error) {
		return []job.TenantQueue{
			{
				TenantID: "acme", Usage: job.Usage{ByState: map[job.State]int{job.Queued: 3, job.Running: 1}},
				Oldest: now.Add(-90 * time.Second), Unstarted: 40,
			},
			{
				TenantID: "initech", Usage: job.Usage{ByState: map[job.State]int{job.Queued: 1, job.Pending: 2, job.Succeeded: 7}},
				Oldest: now.Add(-30 * time.Second), Unstarted: 2,
			},
		}, nil
	}, func() time.Time { return now })
	m.Began("POST /reconcile")(200, time.Second)
	m.Began("POST /reconcile")(503, time.Second)
	m.Began("")(404, time.Millisecond)
	m.Began("POST /reconcile")
	m.Passed(time.Millisecond, nil)
	m.Passed(time.Millisecond, errors.New("in part"))
	m.Ended(job.Job{ID: "1", State: job.Failed, Reason: simulation.OutOfMemory})
	m.Ended(job.Job{ID: "2", State: job.Succeeded, Confinement: &simulation.Confinement{Landlock: 7, Filter: true, User: true}})
	m.Ended(job.Job{ID: "3", State: job.Succeeded, Confinement: &simulation.Confinement{Landlock: 3, Filter: true, User: true}})
	m.Ended(
		job.Job{ID: "4", State: job.Failed, Reason: simulation.DiskFull, Confinement: &simulation.Confinement{Namespace: true, Filter: true}},
	)
	m.Ended(job.Job{ID: "5", State: job.Succeeded, Confinement: &simulation.Confinement{}})
	m.Reconciled(reconcile.Report{
		Dispatched: 4, PrunedResults: 1, PrunedStudies: 3, PrunedObjects: 2,
		Deliveries: delivery.Sent{Delivered: 5, Failed: 2, GivenUp: 1, Signals: 9},
	})
	want := []string{
		`sumo_k8_delivery_attempts_total{outcome="delivered"} 5`,
		`sumo_k8_delivery_attempts_total{outcome="failed"} 2`,
		`sumo_k8_delivery_attempts_total{outcome="given_up"} 1`,
		`sumo_k8_delivery_attempts_total{outcome="signal"} 9`,
		`sumo_k8_jobs{status="PENDING"} 2`,
		`sumo_k8_jobs{status="QUEUED"} 4`,
		`sumo_k8_jobs{status="RUNNING"} 1`,
		`sumo_k8_jobs_dispatched_total 4`,
		`sumo_k8_jobs_ended_total{reason="",status="SUCCEEDED"} 3`,
		`sumo_k8_jobs_ended_total{reason="DiskFull",status="FAILED"} 1`,
		`sumo_k8_jobs_ended_total{reason="OutOfMemory",status="FAILED"} 1`,
		`sumo_k8_pruned_total{what="deliveries"} 0`,
		`sumo_k8_pruned_total{what="idempotency_keys"} 0`,
		`sumo_k8_pruned_total{what="objects"} 2`,
		`sumo_k8_pruned_total{what="results"} 1`,
		`sumo_k8_pruned_total{what="results_of_studies"} 3`,
		`sumo_k8_pruned_total{what="uploads"} 0`,
		`sumo_k8_queue_oldest_wait_seconds 90`,
		`sumo_k8_reconcile_failures_total 1`,
		`sumo_k8_reconcile_pass_seconds_count 2`,
		`sumo_k8_request_duration_seconds_count{function="reconcile",route="POST /reconcile"} 2`,
		`sumo_k8_request_duration_seconds_count{function="reconcile",route="none"} 1`,
		`sumo_k8_requests_in_flight{function="reconcile",route="POST /reconcile"} 1`,
		`sumo_k8_requests_in_flight{function="reconcile",route="none"} 0`,
		`sumo_k8_requests_total{function="reconcile",route="POST /reconcile",status="2xx"} 1`,
		`sumo_k8_requests_total{function="reconcile",route="POST /reconcile",status="5xx"} 1`,
		`sumo_k8_requests_total{function="reconcile",route="none",status="4xx"} 1`,
		`sumo_k8_runs_total{files="landlock",filter="true",user="true"} 2`,
		`sumo_k8_runs_total{files="namespace",filter="true",user="false"} 1`,
		`sumo_k8_runs_total{files="none",filter="false",user="false"} 1`,
		`sumo_k8_study_runs_unstarted 42`,
	}
	if diff := cmp.Diff(want, scrape(t, m)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestAScrapeWithoutPostgresHasTheRest(t *testing.T) {
	t.Parallel()
	m := New("reconcile")
	m.Reconciling(func(context.Context) ([]job.TenantQueue, error) { return nil, errors.New("unreachable") }, time.Now)
	lines := strings.Join(scrape(t, m), "\n")
	if strings.Contains(lines, "sumo_k8_jobs{") || strings.Contains(lines, "sumo_k8_study_runs") ||
		!strings.Contains(lines, "sumo_k8_reconcile_failures_total 0") {
		t.Errorf("it has\n%s", lines)
	}
}
