package kube

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"github.com/sumo-k8/sumo-k8/pkg/idempotency"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

func TestNodesAndTheirPods(t *testing.T) {
	t.Parallel()
	c, client := newCluster(t)
	c.answers["/api/v1/nodes"] = `{"items":[
		{"metadata":{"name":"a","creationTimestamp":"2026-11-22T10:00:00Z"},"status":{"capacity":{"cpu":"2","memory":"8Gi","pods":"110"},
			"allocatable":{"cpu":"1900m","memory":"7Gi"},
			"conditions":[{"type":"MemoryPressure","status":"False"},{"type":"Ready","status":"True"}]}},
		{"metadata":{"name":"b"},"status":{"conditions":[{"type":"Ready","status":"Unknown"}]}}]}`
	c.answers["/api/v1/pods"] = `{"items":[{"spec":{"nodeName":"a"},"status":{"phase":"Running"}},{"spec":{"nodeName":"a"},"status":{"phase":"Running"}}]}`
	nodes, err := Cluster{client}.Nodes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []job.Node{
		{Name: "a", Ready: true, Capacity: map[string]string{"cpu": "2", "memory": "8Gi"},
			Allocatable: map[string]string{"cpu": "1900m", "memory": "7Gi"},
			PodsRunning: 2, Created: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)},
		{Name: "b", Capacity: map[string]string{"cpu": "", "memory": ""}, Allocatable: map[string]string{"cpu": "", "memory": ""}},
	}
	if diff := cmp.Diff(want, nodes); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestPodsAreCountedByPhaseOverAllPages(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Query().Get("continue") == "" {
			_, _ = w.Write([]byte(`{"metadata":{"continue":"next"},"items":[{"status":{"phase":"Running"}},{"status":{"phase":"Pending"}}]}`))
			return
		}
		_, _ = w.Write([]byte(`{"items":[{"status":{"phase":"Running"}}]}`))
	}))
	t.Cleanup(server.Close)
	client, err := NewClient(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	got, err := Cluster{client}.Pods(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int{"Running": 2, "Pending": 1}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestPing(t *testing.T) {
	t.Parallel()
	c, client := newCluster(t)
	c.answers["/version"] = `{"gitVersion":"v1.34.4"}`
	if err := Ping(client)(t.Context()); err != nil {
		t.Error(err)
	}
	unreachable, err := NewClient(&rest.Config{Host: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	if err := Ping(unreachable)(t.Context()); problem.CodeOf(err) != problem.Unavailable {
		t.Errorf("without a server it answers %v, want %s", err, problem.Unavailable)
	}
}

func TestAWarmupIsAPodThatEndsByItself(t *testing.T) {
	t.Parallel()
	c, client := newCluster(t)
	id := uuid.NewString()
	w := Warmups{Client: client, Namespace: "sumo-k8", Image: "dev.local/sumo:1.18", PullPolicy: "Never",
		NodeSelector: map[string]string{"pool": "sumo"},
		NewID:        func() string { return id }}
	made, _, err := w.Start(t.Context(), 2, 4, 5*time.Minute, nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(job.Warmup{ID: id, PodName: "sumo-warmup-" + id, Namespace: "sumo-k8"}, made); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	path := "/api/v1/namespaces/sumo-k8/pods/sumo-warmup-" + id
	text, err := json.Marshal(c.objects[path])
	if err != nil {
		t.Fatal(err)
	}
	var pod corev1.Pod
	if err := yaml.UnmarshalStrict(text, &pod); err != nil {
		t.Fatalf("Kubernetes cannot read it: %v", err)
	}
	box := pod.Spec.Containers[0]
	got := []string{
		strings.Join(box.Command, " "), box.Resources.Limits.Cpu().String(), box.Resources.Requests.Memory().String(),
		pod.Spec.NodeSelector["pool"],
		(time.Duration(*pod.Spec.ActiveDeadlineSeconds) * time.Second).String(), string(pod.Spec.RestartPolicy),
	}
	if diff := cmp.Diff([]string{"sumo-run --hold 300s", "2", "4Gi", "sumo", "20m0s", "Never"}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if err := w.End(t.Context(), id); err != nil {
		t.Error(err)
	}
	for _, unknown := range []string{id, "../../../namespaces/sumo-acme", ""} {
		if err := w.End(t.Context(), unknown); problem.CodeOf(err) != problem.NotFound {
			t.Errorf("ending %q answers %v, want %s", unknown, err, problem.NotFound)
		}
	}
}

func TestAKeyStartsOneWarmup(t *testing.T) {
	t.Parallel()
	c, client := newCluster(t)
	w := Warmups{Client: client, Namespace: "sumo-k8", Image: "dev.local/sumo:1.18", NewID: uuid.NewString}
	start := func(key, hash string) (job.Warmup, bool, error) {
		var idem *idempotency.Request
		if key != "" {
			idem = &idempotency.Request{Key: key, RequestHash: []byte(hash)}
		}
		return w.Start(t.Context(), 2, 4, 5*time.Minute, idem)
	}
	first, started, err := start("morning", "request")
	if err != nil || !started {
		t.Fatalf("started=%t, %v", started, err)
	}
	if again, started, err := start("morning", "request"); err != nil || started || again != first {
		t.Errorf("repeated it is %+v, started=%t, %v; want %+v", again, started, err, first)
	}
	if _, _, err := start("morning", "another request"); problem.CodeOf(err) != problem.KeyReused {
		t.Errorf("another request with the key answers %v, want %s", err, problem.KeyReused)
	}
	for _, other := range []string{"evening", "", ""} {
		if w, started, err := start(other, "request"); err != nil || !started || w.ID == first.ID {
			t.Errorf("with the key %q: %+v, started=%t, %v", other, w, started, err)
		}
	}
	if n := len(c.paths()); n != 4 {
		t.Errorf("there are %d pods, want 4", n)
	}
	if err := w.End(t.Context(), first.ID); err != nil {
		t.Fatal(err)
	}
	if _, started, err := start("morning", "another request"); err != nil || !started {
		t.Errorf("after its end: started=%t, %v", started, err)
	}
}
