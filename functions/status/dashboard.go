package status

import (
	"context"
	"fmt"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

// Dashboard is a tenant's own view of its limits and use.
type Dashboard struct {
	TenantID     string        `json:"tenant_id"`
	PlanLimits   tenant.Limits `json:"plan_limits"`
	CurrentUsage Usage         `json:"current_usage"`
	RunningPods  int           `json:"running_pods"`
	RecentJobs   []RecentJob   `json:"recent_jobs" doc:"The newest 20, newest first."`
	Stats        Stats         `json:"stats" doc:"All of the tenant's jobs by status."`
	Controllers  bool          `json:"controllers" doc:"Whether the tenant's jobs may run programs of their scenarios (controller) and tools of SUMO's (tool)."`
	Notes        []string      `json:"notes" doc:"What the tenant should know, such as that its default version of SUMO is no longer offered."`
}

// Usage is what active jobs hold, in the terms of a Kubernetes ResourceQuota, as the predecessor showed it.
type Usage struct {
	RequestsCPU    string `json:"requests.cpu" example:"4"`
	RequestsMemory string `json:"requests.memory" example:"8Gi"`
	LimitsCPU      string `json:"limits.cpu" example:"4"`
	LimitsMemory   string `json:"limits.memory" example:"8Gi"`
	ConcurrentJobs int    `json:"concurrent_jobs" doc:"Jobs PENDING or RUNNING, against max_concurrent_jobs."`
}

// RecentJob is a job in a listing.
type RecentJob struct {
	JobID       string     `json:"job_id" format:"uuid"`
	Status      job.State  `json:"status"`
	ScenarioID  string     `json:"scenario_id"`
	Progress    float64    `json:"progress"`
	SubmittedAt time.Time  `json:"submitted_at"`
	FinishedAt  *time.Time `json:"finished_at"`
}

// Stats counts jobs by status.
type Stats struct {
	Queued    int `json:"queued"`
	Pending   int `json:"pending"`
	Running   int `json:"running"`
	Succeeded int `json:"succeeded"`
	Failed    int `json:"failed"`
	Cancelled int `json:"cancelled"`
}

// recentJobs is how many jobs the predecessor's dashboard shows.
const recentJobs = 20

type dashboardAnswer struct{ Body Dashboard }

func (f *Function) dashboard(ctx context.Context, _ *struct{}) (*dashboardAnswer, error) {
	t := rest.TenantOf(ctx)
	usage, err := f.Jobs.Usage(ctx, t.ID)
	if err != nil {
		return nil, err
	}
	jobs, err := f.Jobs.RecentJobs(ctx, t.ID, recentJobs)
	if err != nil {
		return nil, err
	}
	cpu, memory := fmt.Sprint(usage.CPU), fmt.Sprintf("%dGi", usage.MemoryGi)
	n := usage.ByState
	out := Dashboard{
		TenantID: t.ID, PlanLimits: t.Limits,
		CurrentUsage: Usage{RequestsCPU: cpu, RequestsMemory: memory, LimitsCPU: cpu, LimitsMemory: memory, ConcurrentJobs: usage.Held},
		RunningPods:  n[job.Running],
		RecentJobs:   make([]RecentJob, len(jobs)),
		Controllers:  f.Programs && t.Controllers,
		Notes:        f.notes(t),
		Stats: Stats{
			Queued: n[job.Queued], Pending: n[job.Pending], Running: n[job.Running],
			Succeeded: n[job.Succeeded], Failed: n[job.Failed], Cancelled: n[job.Cancelled],
		},
	}
	for i, j := range jobs {
		wire := rest.JobOf(j, f.Objects.URL)
		out.RecentJobs[i] = RecentJob{
			JobID: wire.JobID, Status: wire.Status, ScenarioID: wire.ScenarioID, Progress: wire.Progress,
			SubmittedAt: wire.SubmittedAt, FinishedAt: wire.FinishedAt,
		}
	}
	return &dashboardAnswer{Body: out}, nil
}

// notes are remarks on a tenant.
func (f *Function) notes(t tenant.Tenant) []string {
	if note := job.GoneDefault(f.Versions, t); note != "" {
		return []string{note}
	}
	return []string{}
}
