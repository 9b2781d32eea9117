package auth_test

import (
	"context"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sumo-k8/sumo-k8/functions/auth"
	"github.com/sumo-k8/sumo-k8/functions/internal/testing/served"
	"github.com/sumo-k8/sumo-k8/pkg/idempotency"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

// warmer is a job.Warmer that no cluster stands behind.
type warmer struct {
	warmups []job.Warmup
	key     string // of the first
}

func (w *warmer) Start(_ context.Context, _, _ int, _ time.Duration, key *idempotency.Request) (job.Warmup, bool, error) {
	if key != nil && key.Key == w.key {
		return w.warmups[0], false, nil
	}
	if key != nil {
		w.key = key.Key
	}
	w.warmups = append(w.warmups, job.Warmup{
		ID: "w1", PodName: "sumo-warmup-w1", Namespace: "sumo-k8", Phase: "Pending", Created: time.Unix(1, 0),
	})
	return w.warmups[len(w.warmups)-1], true, nil
}

func (w *warmer) List(context.Context) ([]job.Warmup, error) { return w.warmups, nil }

func (w *warmer) End(_ context.Context, id string) error {
	before := len(w.warmups)
	w.warmups = slices.DeleteFunc(w.warmups, func(known job.Warmup) bool { return known.ID == id })
	if len(w.warmups) == before {
		return problem.New(problem.NotFound, "There is no warm-up %q.", id)
	}
	return nil
}

func onCluster(t testing.TB) *served.Function {
	t.Helper()
	parts := served.Parts(t)
	parts.Warmer = &warmer{}
	parts.Pods = func(context.Context) (map[string]int, error) { return map[string]int{"Running": 3}, nil }
	parts.Nodes = func(context.Context) ([]job.Node, error) {
		return []job.Node{
			{
				Name: "a", Ready: true, PodsRunning: 2, Created: time.Unix(1, 0),
				Capacity: map[string]string{"cpu": "4"}, Allocatable: map[string]string{"cpu": "3900m"},
			},
			{Name: "b", Capacity: map[string]string{}, Allocatable: map[string]string{}},
		}, nil
	}
	return served.Serve(t, parts, "auth")
}

func TestNodesArePutOnTheWire(t *testing.T) {
	t.Parallel()
	var got struct {
		Nodes      []auth.Node
		TotalNodes int `json:"total_nodes"`
	}
	onCluster(t).Admin(t, "GET", "/admin/cluster", "").Want(t, http.StatusOK).Into(t, &got)
	up := time.Unix(1, 0).UTC()
	want := []auth.Node{
		{
			Name: "a", Status: []string{"Ready"}, PodsRunning: 2, Created: &up,
			Capacity: map[string]string{"cpu": "4"}, Allocatable: map[string]string{"cpu": "3900m"},
		},
		{Name: "b", Status: []string{}, Capacity: map[string]string{}, Allocatable: map[string]string{}},
	}
	if diff := cmp.Diff(want, got.Nodes); diff != "" || got.TotalNodes != 2 {
		t.Errorf("%d nodes (-want +got):\n%s", got.TotalNodes, diff)
	}
}

func TestActivityCountsPodsOfTheClusterAndJobsOnRecord(t *testing.T) {
	t.Parallel()
	var got auth.Activity
	onCluster(t).Admin(t, "GET", "/admin/activity", "").Want(t, http.StatusOK).Into(t, &got)
	want := auth.Activity{Nodes: 2, Pods: map[string]int{"Running": 3}, DBJobs: map[job.State]int{}}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(auth.Activity{}, "Timestamp")); diff != "" || time.Since(got.Timestamp) > time.Minute {
		t.Errorf("at %s (-want +got):\n%s", got.Timestamp, diff)
	}
}

func TestAWarmUpIsStartedOnceForItsKeyListedAndEnded(t *testing.T) {
	t.Parallel()
	f := onCluster(t)
	const start = "/admin/warmup?cpu_request=3&keep_alive_seconds=60"
	var got auth.Warmup
	a := f.Admin(t, "POST", start, "", "Idempotency-Key: k").Want(t, http.StatusOK)
	a.Into(t, &got)
	want := auth.Warmup{
		Status: "warming_up", WarmupID: "w1", JobName: "sumo-warmup-w1", Namespace: "sumo-k8", CPURequest: 3, MemoryGi: 4, KeepAliveSeconds: 60,
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(auth.Warmup{}, "Message")); diff != "" || a.Header.Get("Idempotent-Replayed") != "" {
		t.Errorf("started with %v (-want +got):\n%s", a.Header, diff)
	}
	if a := f.Admin(t, "POST", start, "", "Idempotency-Key: k").Want(t, http.StatusOK); a.Header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("repeated it answers with %v", a.Header)
	}
	var list struct {
		WarmupJobs      []auth.WarmupJob      `json:"warmup_jobs"`
		SimulationNodes []auth.SimulationNode `json:"simulation_nodes"`
	}
	f.Admin(t, "GET", "/admin/warmup/status", "").Want(t, http.StatusOK).Into(t, &list)
	if len(list.WarmupJobs) != 1 || list.WarmupJobs[0].Status != "pending" ||
		len(list.SimulationNodes) != 2 || !list.SimulationNodes[0].Ready {
		t.Errorf("listed are %+v", list)
	}
	f.Admin(t, "DELETE", "/admin/warmup/w1", "").Want(t, http.StatusOK)
	f.WantRefused(t, map[string]served.Refusal{
		"ended already":       served.Refused("DELETE", "/admin/warmup/w1", "", http.StatusNotFound, "no warm-up"),
		"too many cores":      served.Refused("POST", "/admin/warmup?cpu_request=33", "", http.StatusBadRequest, "query.cpu_request"),
		"for longer than may": served.Refused("POST", "/admin/warmup?keep_alive_seconds=86401", "", http.StatusBadRequest, "keep_alive"),
	}, "X-Admin-Key: "+served.AdminKey)
}

func TestAProcessWithoutAnEngineWarmsNothingUp(t *testing.T) {
	t.Parallel()
	f := served.Serve(t, served.Parts(t), "auth")
	f.WantRefused(t, map[string]served.Refusal{
		"starting": served.Refused("POST", "/admin/warmup", "", http.StatusServiceUnavailable, "brings up no nodes"),
		"ending":   served.Refused("DELETE", "/admin/warmup/w1", "", http.StatusNotFound, "no warm-up"),
	}, "X-Admin-Key: "+served.AdminKey)
	var list struct {
		WarmupJobs []auth.WarmupJob `json:"warmup_jobs"`
		Message    string
	}
	f.Admin(t, "GET", "/admin/warmup/status", "").Want(t, http.StatusOK).Into(t, &list)
	if len(list.WarmupJobs) != 0 || list.Message == "" {
		t.Errorf("listed are %+v", list)
	}
	var got auth.Activity
	f.Admin(t, "GET", "/admin/activity", "").Want(t, http.StatusOK).Into(t, &got)
	if got.Nodes != 0 || len(got.Pods) != 0 {
		t.Errorf("the activity is %+v", got)
	}
}

func TestAClusterThatCannotBeReadIsSaid(t *testing.T) {
	t.Parallel()
	parts := served.Parts(t)
	parts.Nodes = func(context.Context) ([]job.Node, error) {
		return nil, problem.New(problem.Unavailable, "The API server is unreachable.").WithRetryAfter(5 * time.Second)
	}
	f := served.Serve(t, parts, "auth")
	for _, path := range []string{"/admin/cluster", "/admin/activity", "/admin/warmup/status"} {
		if a := f.Admin(t, "GET", path, "").Want(t, http.StatusServiceUnavailable); a.Header.Get("Retry-After") != "5" {
			t.Errorf("%s answers with %v", path, a.Header)
		}
	}
}
