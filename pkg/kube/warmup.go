package kube

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"

	"github.com/sumo-k8/sumo-k8/pkg/idempotency"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
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
	Tolerations  []corev1.Toleration
	NewID        func() string // UUIDs
}

var _ job.Warmer = Warmups{}

const warmupLabel = "sumo-k8.io/warmup"

// requestAnnotation has the hash of the request that came with a warm-up's Idempotency-Key.
const requestAnnotation = "sumo-k8.io/request"

// Start makes a pod that holds cpu cores and memoryGi GiB for keep, and ends by itself. The pod of a request with a key is
// named after the key, so that the key works as long as the pod is there.
func (w Warmups) Start(ctx context.Context, cpu, memoryGi int, keep time.Duration, key *idempotency.Request) (job.Warmup, bool, error) {
	id, annotations := w.NewID(), map[string]string{}
	if key != nil {
		id = uuid.NewSHA1(uuid.NameSpaceURL, []byte("sumo-k8.io/warmup/"+key.Key)).String()
		annotations[requestAnnotation] = hex.EncodeToString(key.RequestHash)
	}
	resources := map[string]any{"cpu": fmt.Sprint(cpu), "memory": fmt.Sprintf("%dGi", memoryGi)}
	seconds := int(keep / time.Second)
	name := "sumo-warmup-" + id
	body, err := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Pod",
		"metadata": map[string]any{
			"name": name, "namespace": w.Namespace,
			"labels": map[string]string{warmupLabel: id, "app.kubernetes.io/managed-by": fieldManager}, "annotations": annotations,
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
		return job.Warmup{}, false, fmt.Errorf("writing a warm-up pod: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	answer, err := w.Client.Post().AbsPath("/api/v1/namespaces", w.Namespace, "pods").Body(body).Do(ctx).Raw()
	if key != nil && apierrors.IsAlreadyExists(err) {
		known, err := w.startedBefore(ctx, id, annotations[requestAnnotation])
		return known, false, err
	}
	if err != nil {
		return job.Warmup{}, false, failed(err, "create warm-up pod "+name)
	}
	var made warmupPod
	if err := json.Unmarshal(answer, &made); err != nil {
		return job.Warmup{}, false, fmt.Errorf("decode warm-up pod %s: %w", name, err)
	}
	return made.warmup(), true, nil
}

// startedBefore finds the warm-up that a request with this hash has started. It lists, which is allowed anyway, where it
// could get.
func (w Warmups) startedBefore(ctx context.Context, id, hash string) (job.Warmup, error) {
	var found []warmupPod
	err := pages(ctx, w.Client, "/api/v1/namespaces/"+w.Namespace+"/pods", map[string]string{"labelSelector": warmupLabel + "=" + id},
		func(p warmupPod) { found = append(found, p) })
	switch {
	case err != nil:
		return job.Warmup{}, err
	case len(found) == 0:
		return job.Warmup{}, problem.New(problem.Unavailable, "The warm-up of this Idempotency-Key is just being removed. Try again in a few seconds.").WithRetryAfter(callTimeout)
	case found[0].Metadata.Annotations[requestAnnotation] != hash:
		return job.Warmup{}, idempotency.ErrReused()
	}
	return found[0].warmup(), nil
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
		Annotations       map[string]string `json:"annotations"`
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
