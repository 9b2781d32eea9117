package status

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
)

func (f *Function) registerAdmin(api huma.API) {
	tags := []string{"Operators"}
	rest.Register(api, rest.Admin, huma.Operation{
		OperationID: "get-cluster", Method: http.MethodGet, Path: "/admin/cluster", Tags: tags,
		Summary:     "List the nodes that run jobs",
		Description: "Without a cluster this is the one machine that the service runs on.",
	}, f.cluster)
	rest.Register(api, rest.Admin, huma.Operation{
		OperationID: "list-all-jobs", Method: http.MethodGet, Path: "/admin/jobs", Tags: tags,
		Summary: "List the newest jobs of all tenants",
	}, f.allJobs)
	rest.Register(api, rest.Admin, huma.Operation{
		OperationID: "get-activity", Method: http.MethodGet, Path: "/admin/activity", Tags: tags,
		Summary: "Count nodes, pods and jobs",
	}, f.activity)
	rest.Register(api, rest.Admin, huma.Operation{
		OperationID: "start-warmup", Method: http.MethodPost, Path: "/admin/warmup", Tags: tags,
		Summary:     "Bring up a node before jobs need it",
		Description: "Answers 503 where there is no cluster: on one machine there is nothing to warm up.",
	}, f.startWarmup)
	rest.Register(api, rest.Admin, huma.Operation{
		OperationID: "list-warmups", Method: http.MethodGet, Path: "/admin/warmup/status", Tags: tags,
		Summary: "List warm-ups and the nodes that can run jobs",
	}, f.warmups)
	rest.Register(api, rest.Admin, huma.Operation{
		OperationID: "cancel-warmup", Method: http.MethodDelete, Path: "/admin/warmup/{id}", Tags: tags,
		Summary: "End a warm-up early",
		Errors:  []int{http.StatusNotFound},
	}, f.cancelWarmup)
}

func (f *Function) nodes(ctx context.Context) ([]job.Node, error) {
	if f.Nodes == nil {
		return nil, nil
	}
	return f.Nodes(ctx)
}

// Node is a machine on the wire.
type Node struct {
	Name        string            `json:"name"`
	Status      []string          `json:"status" doc:"The node's conditions that hold; Ready is the one to look for."`
	Capacity    map[string]string `json:"capacity" doc:"cpu and memory, as Kubernetes quantities."`
	Allocatable map[string]string `json:"allocatable"`
	PodsRunning int               `json:"pods_running"`
	Created     *time.Time        `json:"created"`
}

type clusterAnswer struct {
	Body struct {
		Nodes      []Node `json:"nodes"`
		TotalNodes int    `json:"total_nodes"`
	}
}

func (f *Function) cluster(ctx context.Context, _ *struct{}) (*clusterAnswer, error) {
	nodes, err := f.nodes(ctx)
	if err != nil {
		return nil, err
	}
	out := &clusterAnswer{}
	out.Body.TotalNodes = len(nodes)
	out.Body.Nodes = make([]Node, len(nodes))
	for i, n := range nodes {
		status := []string{}
		if n.Ready {
			status = append(status, "Ready")
		}
		var created *time.Time
		if !n.Created.IsZero() {
			utc := n.Created.UTC()
			created = &utc
		}
		out.Body.Nodes[i] = Node{
			Name: n.Name, Status: status, Capacity: n.Capacity, Allocatable: n.Allocatable, PodsRunning: n.PodsRunning, Created: created,
		}
	}
	return out, nil
}

// adminListing is how many jobs an operator sees at once, as many as the predecessor showed.
const adminListing = 100

type allJobsRequest struct {
	Status job.State `query:"status" enum:"QUEUED,PENDING,RUNNING,SUCCEEDED,FAILED,CANCELLED"`
}

// AdminJob is a job as operators see it.
type AdminJob struct {
	rest.Job
	Namespace string `json:"namespace"`
}

type allJobsAnswer struct {
	Body struct {
		Jobs  []AdminJob `json:"jobs" doc:"The 100 newest, newest first."`
		Total int        `json:"total" doc:"How many there are in all."`
	}
}

func (f *Function) allJobs(ctx context.Context, in *allJobsRequest) (*allJobsAnswer, error) {
	jobs, total, err := f.Jobs.AllJobs(ctx, in.Status, adminListing)
	if err != nil {
		return nil, err
	}
	out := &allJobsAnswer{}
	out.Body.Total = total
	out.Body.Jobs = make([]AdminJob, len(jobs))
	for i, j := range jobs {
		j.TaskToken = "" // a secret between the tenant and its own systems
		out.Body.Jobs[i] = AdminJob{Job: rest.JobOf(j, f.Objects.URL), Namespace: j.Namespace}
	}
	return out, nil
}

// Activity is a count of everything that goes on.
type Activity struct {
	Timestamp time.Time         `json:"timestamp"`
	Nodes     int               `json:"nodes"`
	Pods      map[string]int    `json:"pods" doc:"Pods that run jobs, by phase."`
	K8sJobs   K8sJobs           `json:"k8s_jobs" doc:"Runs that the engine has."`
	DBJobs    map[job.State]int `json:"db_jobs" doc:"Jobs of all tenants by status."`
}

// K8sJobs keeps the predecessor's name for what the engine has.
type K8sJobs struct {
	Total     int `json:"total"`
	Active    int `json:"active"`
	Succeeded int `json:"succeeded"`
}

type activityAnswer struct{ Body Activity }

func (f *Function) activity(ctx context.Context, _ *struct{}) (*activityAnswer, error) {
	nodes, err := f.nodes(ctx)
	if err != nil {
		return nil, err
	}
	usage, err := f.Jobs.UsageByTenant(ctx)
	if err != nil {
		return nil, err
	}
	out := Activity{Timestamp: f.Now().UTC(), Nodes: len(nodes), Pods: map[string]int{}, DBJobs: map[job.State]int{}}
	for _, u := range usage {
		for state, n := range u.ByState {
			out.DBJobs[state] += n
		}
	}
	pending, running, succeeded := out.DBJobs[job.Pending], out.DBJobs[job.Running], out.DBJobs[job.Succeeded]
	for phase, n := range map[string]int{"Pending": pending, "Running": running} {
		if n > 0 {
			out.Pods[phase] = n
		}
	}
	out.K8sJobs = K8sJobs{Total: pending + running + succeeded + out.DBJobs[job.Failed] + out.DBJobs[job.Cancelled], Active: pending + running, Succeeded: succeeded}
	return &activityAnswer{Body: out}, nil
}

type warmupRequest struct {
	CPURequest       int `query:"cpu_request" minimum:"1" maximum:"32" default:"2" doc:"Cores."`
	MemoryGi         int `query:"memory_gi" minimum:"1" maximum:"128" default:"4" doc:"GiB."`
	KeepAliveSeconds int `query:"keep_alive_seconds" minimum:"1" maximum:"86400" default:"300"`
}

// Warmup is a warm-up that was started.
type Warmup struct {
	Status           string `json:"status" enum:"warming_up"`
	WarmupID         string `json:"warmup_id"`
	JobName          string `json:"job_name"`
	Namespace        string `json:"namespace"`
	CPURequest       int    `json:"cpu_request"`
	MemoryGi         int    `json:"memory_gi"`
	KeepAliveSeconds int    `json:"keep_alive_seconds"`
	Message          string `json:"message"`
}

type warmupAnswer struct{ Body Warmup }

func (f *Function) startWarmup(context.Context, *warmupRequest) (*warmupAnswer, error) {
	return nil, problem.New(problem.NotConfigured, "This service runs its jobs on one machine, without a cluster, so there is no node to bring up. Submit jobs directly.")
}

type warmupsAnswer struct {
	Body struct {
		WarmupJobs      []WarmupJob      `json:"warmup_jobs"`
		SimulationNodes []SimulationNode `json:"simulation_nodes"`
		Message         string           `json:"message"`
	}
}

// WarmupJob is a warm-up under way.
type WarmupJob struct {
	Name      string    `json:"name"`
	WarmupID  string    `json:"warmup_id"`
	Status    string    `json:"status"`
	CreatedAt time.Time `json:"created_at"`
}

// SimulationNode is a node that can run jobs.
type SimulationNode struct {
	Name      string     `json:"name"`
	Ready     bool       `json:"ready"`
	CreatedAt *time.Time `json:"created_at"`
}

func (f *Function) warmups(ctx context.Context, _ *struct{}) (*warmupsAnswer, error) {
	nodes, err := f.nodes(ctx)
	if err != nil {
		return nil, err
	}
	out := &warmupsAnswer{}
	out.Body.WarmupJobs = []WarmupJob{}
	out.Body.SimulationNodes = make([]SimulationNode, len(nodes))
	for i, n := range nodes {
		var created *time.Time
		if !n.Created.IsZero() {
			utc := n.Created.UTC()
			created = &utc
		}
		out.Body.SimulationNodes[i] = SimulationNode{Name: n.Name, Ready: n.Ready, CreatedAt: created}
	}
	out.Body.Message = "This machine runs the jobs itself and is always warm."
	return out, nil
}

type cancelWarmupRequest struct {
	ID string `path:"id"`
}

type cancelWarmupAnswer struct {
	Body struct {
		Status   string `json:"status" enum:"cancelled"`
		WarmupID string `json:"warmup_id"`
	}
}

func (f *Function) cancelWarmup(_ context.Context, in *cancelWarmupRequest) (*cancelWarmupAnswer, error) {
	return nil, problem.New(problem.NotFound, "There is no warm-up %.100q. GET /admin/warmup/status lists those under way.", in.ID)
}
