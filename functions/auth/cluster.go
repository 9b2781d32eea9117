package auth

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sumo-k8/sumo-k8/pkg/idempotency"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
)

// The operators' view of the cluster is part of this function because auth already has rights on the cluster; status has none.
func (f *Function) registerCluster(api huma.API) {
	tags := []string{"Operators"}
	rest.Register(api, rest.Admin, huma.Operation{
		OperationID: "get-cluster", Method: http.MethodGet, Path: "/admin/cluster", Tags: tags,
		Summary:     "List the nodes that run jobs",
		Description: "Without a cluster, this is the machine that the service runs on.",
	}, f.cluster)
	rest.Register(api, rest.Admin, huma.Operation{
		OperationID: "get-activity", Method: http.MethodGet, Path: "/admin/activity", Tags: tags,
		Summary: "Count nodes, pods and jobs",
	}, f.activity)
	rest.Register(api, rest.Admin, huma.Operation{
		OperationID: "start-warmup", Method: http.MethodPost, Path: "/admin/warmup", Tags: tags,
		Summary: "Bring up a node before jobs need it",
		Description: "Starts a pod that reserves a run's resources for a while and makes the node pull SUMO's image. Without a cluster, the " +
			"machine is always warm: the call answers as a cluster with a warm node does, and reserves nothing.",
		Errors: []int{http.StatusUnprocessableEntity},
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
	Status      []string          `json:"status" doc:"The node's conditions that hold; look for Ready."`
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
		out.Body.Nodes[i] = Node{
			Name: n.Name, Status: status, Capacity: n.Capacity, Allocatable: n.Allocatable, PodsRunning: n.PodsRunning, Created: created(n),
		}
	}
	return out, nil
}

// Activity counts nodes, pods and jobs.
type Activity struct {
	Timestamp time.Time         `json:"timestamp"`
	Nodes     int               `json:"nodes"`
	Pods      map[string]int    `json:"pods" doc:"Pods that run jobs, by phase."`
	K8sJobs   K8sJobs           `json:"k8s_jobs" doc:"Runs known to the engine."`
	DBJobs    map[job.State]int `json:"db_jobs" doc:"Jobs of all tenants by status."`
}

// K8sJobs keeps the predecessor's name for the engine's runs.
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
	if f.Pods == nil {
		// On one machine a run is what a pod is elsewhere.
		for phase, n := range map[string]int{"Pending": pending, "Running": running} {
			if n > 0 {
				out.Pods[phase] = n
			}
		}
	} else if out.Pods, err = f.Pods(ctx); err != nil {
		return nil, err
	}
	ended := succeeded + out.DBJobs[job.Failed] + out.DBJobs[job.Cancelled]
	out.K8sJobs = K8sJobs{Total: pending + running + ended, Active: pending + running, Succeeded: succeeded}
	return &activityAnswer{Body: out}, nil
}

type warmupRequest struct {
	IdempotencyKey   string `header:"Idempotency-Key" maxLength:"255" doc:"Repeating a request with the same key returns the warm-up it started, as long as that is listed."`
	CPURequest       int    `query:"cpu_request" minimum:"1" maximum:"32" default:"2" doc:"Cores."`
	MemoryGi         int    `query:"memory_gi" minimum:"1" maximum:"128" default:"4" doc:"GiB."`
	KeepAliveSeconds int    `query:"keep_alive_seconds" minimum:"1" maximum:"86400" default:"300"`
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

type warmupAnswer struct {
	Replayed string `header:"Idempotent-Replayed" doc:"true if the Idempotency-Key had already started this warm-up."`
	Body     Warmup
}

func (f *Function) startWarmup(ctx context.Context, in *warmupRequest) (*warmupAnswer, error) {
	if f.Warmer == nil {
		return nil, problem.New(problem.NotConfigured, "This process brings up no nodes: it has neither a cluster nor an engine. Set "+
			"ENGINE where the auth function runs, or submit jobs directly.")
	}
	key, err := idempotency.Of(in.IdempotencyKey, "start-warmup", []int{in.CPURequest, in.MemoryGi, in.KeepAliveSeconds}, "")
	if err != nil {
		return nil, err
	}
	w, started, err := f.Warmer.Start(ctx, in.CPURequest, in.MemoryGi, time.Duration(in.KeepAliveSeconds)*time.Second, key)
	if err != nil {
		return nil, err
	}
	message := "A node with these resources is being brought up. GET /admin/warmup/status shows when it is ready."
	if warmupStatus(w) == "running" {
		message = "A node with these resources is ready. Submit jobs directly."
	}
	return &warmupAnswer{Replayed: rest.Replayed(!started), Body: Warmup{
		Status: "warming_up", WarmupID: w.ID, JobName: w.PodName, Namespace: w.Namespace,
		CPURequest: in.CPURequest, MemoryGi: in.MemoryGi, KeepAliveSeconds: in.KeepAliveSeconds,
		Message: message,
	}}, nil
}

type warmupsAnswer struct {
	Body struct {
		WarmupJobs      []WarmupJob      `json:"warmup_jobs"`
		SimulationNodes []SimulationNode `json:"simulation_nodes"`
		Message         string           `json:"message"`
	}
}

// WarmupJob is a warm-up in the list.
type WarmupJob struct {
	Name      string    `json:"name"`
	WarmupID  string    `json:"warmup_id"`
	Status    string    `json:"status" doc:"pending, running, completed or failed."`
	CreatedAt time.Time `json:"created_at"`
}

// warmupStatus is the phase of a warm-up's pod in the predecessor's words.
func warmupStatus(w job.Warmup) string {
	if w.Phase == "Succeeded" {
		return "completed"
	}
	return strings.ToLower(w.Phase)
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
		out.Body.SimulationNodes[i] = SimulationNode{Name: n.Name, Ready: n.Ready, CreatedAt: created(n)}
	}
	if f.Warmer == nil {
		out.Body.Message = "This process brings up no nodes."
		return out, nil
	}
	list, err := f.Warmer.List(ctx)
	if err != nil {
		return nil, err
	}
	for _, w := range list {
		out.Body.WarmupJobs = append(out.Body.WarmupJobs, WarmupJob{
			Name: w.PodName, WarmupID: w.ID, Status: warmupStatus(w), CreatedAt: w.Created.UTC(),
		})
	}
	out.Body.Message = fmt.Sprintf("%d warm-ups, %d nodes.", len(list), len(nodes))
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

func (f *Function) cancelWarmup(ctx context.Context, in *cancelWarmupRequest) (*cancelWarmupAnswer, error) {
	if f.Warmer == nil {
		return nil, problem.New(problem.NotFound, "There is no warm-up %.100q. GET /admin/warmup/status lists those under way.", in.ID)
	}
	if err := f.Warmer.End(ctx, in.ID); err != nil {
		return nil, err
	}
	out := &cancelWarmupAnswer{}
	out.Body.Status, out.Body.WarmupID = "cancelled", in.ID
	return out, nil
}

// created is when a node came up, where that is known.
func created(n job.Node) *time.Time {
	if n.Created.IsZero() {
		return nil
	}
	utc := n.Created.UTC()
	return &utc
}
