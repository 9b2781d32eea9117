package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/templates"
)

// Warmups are pods that do nothing but take the place of a run: a cluster that grows on demand brings up a node for
// them, and the node fetches SUMO's image.
type Warmups struct {
	Client    rest.Interface
	Namespace string // our own, which no tenant's quota limits
	Image     string // SUMO's
	// PullPolicy, NodeSelector and Tolerations are those of runs, so that the pods land where runs will.
	PullPolicy   string
	NodeSelector map[string]string
	Tolerations  []templates.Toleration
	NewID        func() string // UUIDs
}

var _ job.Warmer = Warmups{}

const warmupLabel = "sumo-k8.io/warmup"

// Start makes a pod that holds cpu cores and memoryGi GiB for keep, and ends by itself.
func (w Warmups) Start(ctx context.Context, cpu, memoryGi int, keep time.Duration) (job.Warmup, error) {
	id := w.NewID()
	resources := map[string]any{"cpu": fmt.Sprint(cpu), "memory": fmt.Sprintf("%dGi", memoryGi)}
	seconds := int(keep / time.Second)
	name := "sumo-warmup-" + id
	body, err := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Pod",
		"metadata": map[string]any{
			"name": name, "namespace": w.Namespace,
			"labels": map[string]string{warmupLabel: id, "app.kubernetes.io/managed-by": fieldManager},
		},
		"spec": map[string]any{
			"restartPolicy": "Never", "automountServiceAccountToken": false, "enableServiceLinks": false,
			// The second bound also covers the time in which the image is fetched.
			"activeDeadlineSeconds": seconds + int(pullTime/time.Second), "terminationGracePeriodSeconds": 0,
			"nodeSelector": w.NodeSelector, "tolerations": w.Tolerations,
			"securityContext": map[string]any{
				"runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": map[string]string{"type": "RuntimeDefault"},
			},
			"containers": []any{map[string]any{
				"name": "wait", "image": w.Image, "imagePullPolicy": w.PullPolicy,
				"command":   []string{"sumo-run", "--hold", fmt.Sprintf("%ds", seconds)},
				"resources": map[string]any{"requests": resources, "limits": resources},
				"securityContext": map[string]any{
					"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": map[string]any{"drop": []string{"ALL"}},
				},
			}},
		},
	})
	if err != nil {
		return job.Warmup{}, fmt.Errorf("writing a warm-up pod: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	answer, err := w.Client.Post().AbsPath("/api/v1/namespaces", w.Namespace, "pods").Body(body).Do(ctx).Raw()
	if err != nil {
		return job.Warmup{}, failed(err, "create warm-up pod "+name)
	}
	var made warmupPod
	if err := json.Unmarshal(answer, &made); err != nil {
		return job.Warmup{}, fmt.Errorf("decode warm-up pod %s: %w", name, err)
	}
	return made.warmup(), nil
}

// pullTime is how long a new node may take to come up and fetch the image.
const pullTime = 15 * time.Minute

// List returns the warm-ups, those that are over included until they are removed.
func (w Warmups) List(ctx context.Context) ([]job.Warmup, error) {
	all := []job.Warmup{}
	err := pages(ctx, w.Client, "/api/v1/namespaces/"+w.Namespace+"/pods", map[string]string{"labelSelector": warmupLabel},
		func(p warmupPod) { all = append(all, p.warmup()) })
	return all, err
}

// End removes a warm-up.
func (w Warmups) End(ctx context.Context, id string) error {
	if _, err := uuid.Parse(id); err != nil {
		return noWarmup(err, id) // it must not become a part of another path
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	name := "sumo-warmup-" + id
	err := w.Client.Delete().AbsPath("/api/v1/namespaces", w.Namespace, "pods", name).Do(ctx).Error()
	if apierrors.IsNotFound(err) {
		return noWarmup(err, id)
	}
	return failed(err, "delete warm-up pod "+name)
}

func noWarmup(cause error, id string) error {
	return problem.Wrap(cause, problem.NotFound, "There is no warm-up %.40q.", id)
}

type warmupPod struct {
	Metadata struct {
		Name              string            `json:"name"`
		Namespace         string            `json:"namespace"`
		Labels            map[string]string `json:"labels"`
		CreationTimestamp time.Time         `json:"creationTimestamp"`
	} `json:"metadata"`
	Spec struct {
		NodeName string `json:"nodeName"`
	} `json:"spec"`
	Status struct {
		Phase string `json:"phase"`
	} `json:"status"`
}

func (p warmupPod) warmup() job.Warmup {
	return job.Warmup{
		ID: p.Metadata.Labels[warmupLabel], PodName: p.Metadata.Name, Namespace: p.Metadata.Namespace, Phase: p.Status.Phase, Node: p.Spec.NodeName, Created: p.Metadata.CreationTimestamp,
	}
}
