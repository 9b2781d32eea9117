package status

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

func (f *Function) registerOperations(api huma.API) {
	tags := []string{"Operators"}
	rest.Register(api, rest.Admin, huma.Operation{
		OperationID: "get-queue", Method: http.MethodGet, Path: "/admin/queue", Tags: tags,
		Summary: "Show queued jobs, waiting times and tenants' limits",
	}, f.queue)
	rest.Register(api, rest.Admin, huma.Operation{
		OperationID: "get-stats", Method: http.MethodGet, Path: "/admin/stats", Tags: tags,
		Summary:     "Count job events minute by minute",
		Description: "Covers all tenants. Deleted jobs no longer count.",
	}, f.stats)
}

// Queue is every queued job, by tenant.
type Queue struct {
	Queued     int           `json:"queued" doc:"Queued jobs of all tenants."`
	OldestWait float64       `json:"oldest_wait_seconds" doc:"How long the oldest of them has waited; 0 if none is queued."`
	Tenants    []TenantQueue `json:"tenants" doc:"Tenants with queued or running jobs or studies, the longest waiting first."`
}

// TenantQueue is one tenant's queued and active jobs, with its limits.
type TenantQueue struct {
	TenantID   string  `json:"tenant_id"`
	Queued     int     `json:"queued"`
	Pending    int     `json:"pending"`
	Running    int     `json:"running"`
	Held       int     `json:"concurrent_jobs_in_use" doc:"Pending and running jobs, with each chunk of a study's runs as one."`
	CPU        int     `json:"cpu_in_use" doc:"Cores held by pending and running jobs."`
	MemoryGi   int     `json:"memory_gi_in_use" doc:"GiB held by pending and running jobs."`
	Studies    int     `json:"studies" doc:"Studies that go on."`
	Unstarted  int     `json:"study_runs_unstarted" doc:"Their runs that have not been started. They are no jobs yet, and not among those queued."`
	OldestWait float64 `json:"oldest_wait_seconds"`
	tenant.Limits
}

type queueAnswer struct{ Body Queue }

func (f *Function) queue(ctx context.Context, _ *struct{}) (*queueAnswer, error) {
	tenants, err := f.Jobs.QueueByTenant(ctx)
	if err != nil {
		return nil, err
	}
	now := f.Now()
	out := Queue{Tenants: make([]TenantQueue, len(tenants))}
	for i, t := range tenants {
		n := t.ByState
		out.Tenants[i] = TenantQueue{
			TenantID: t.TenantID, Queued: n[job.Queued], Pending: n[job.Pending], Running: n[job.Running],
			Held: t.Held, CPU: t.CPU, MemoryGi: t.MemoryGi, Studies: t.Studies, Unstarted: t.Unstarted, Limits: t.Limits,
		}
		if !t.Oldest.IsZero() {
			// Another machine's clock may be slightly ahead.
			out.Tenants[i].OldestWait = max(0, now.Sub(t.Oldest).Seconds())
		}
		out.Queued += n[job.Queued]
		out.OldestWait = max(out.OldestWait, out.Tenants[i].OldestWait)
	}
	return &queueAnswer{Body: out}, nil
}

type statsRequest struct {
	Minutes int `query:"minutes" minimum:"1" maximum:"1440" default:"60" doc:"How far to look back."`
}

// ServiceStats is recent activity, for operators.
type ServiceStats struct {
	Minutes  int       `json:"minutes"`
	Buckets  []Minute  `json:"buckets" doc:"One per minute, oldest first; the last is the current minute."`
	Failures []Failure `json:"failures" doc:"Why jobs failed, the most frequent reason first."`
}

// Minute counts the events of one minute.
type Minute struct {
	At        time.Time `json:"at" doc:"When it begins."`
	Submitted int       `json:"submitted"`
	Started   int       `json:"started"`
	Finished  int       `json:"finished" doc:"Sum of succeeded, failed and cancelled."`
	Succeeded int       `json:"succeeded"`
	Failed    int       `json:"failed"`
	Cancelled int       `json:"cancelled"`
}

// Failure counts jobs that failed for one reason.
type Failure struct {
	Reason simulation.Reason `json:"reason" example:"SimulationError"`
	Count  int               `json:"count"`
}

type statsAnswer struct{ Body ServiceStats }

func (f *Function) stats(ctx context.Context, in *statsRequest) (*statsAnswer, error) {
	since := f.Now().UTC().Truncate(time.Minute).Add(-time.Duration(in.Minutes-1) * time.Minute)
	minutes, failures, err := f.Jobs.ActivitySince(ctx, since)
	if err != nil {
		return nil, err
	}
	out := ServiceStats{Minutes: in.Minutes, Buckets: make([]Minute, in.Minutes), Failures: make([]Failure, len(failures))}
	for i := range out.Buckets {
		out.Buckets[i].At = since.Add(time.Duration(i) * time.Minute)
	}
	for _, m := range minutes {
		i := int(m.At.Sub(since) / time.Minute)
		if i >= len(out.Buckets) {
			continue // the next minute has begun since
		}
		out.Buckets[i] = Minute{
			At: out.Buckets[i].At, Submitted: m.Submitted, Started: m.Started, Finished: m.Succeeded + m.Failed + m.Cancelled,
			Succeeded: m.Succeeded, Failed: m.Failed, Cancelled: m.Cancelled,
		}
	}
	for i, failure := range failures {
		out.Failures[i] = Failure(failure)
	}
	return &statsAnswer{Body: out}, nil
}
