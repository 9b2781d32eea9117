package kube

import (
	"context"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/google/uuid"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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

const (
	warmupLabel  = "sumo-k8.io/warmup"
	warmupPrefix = "sumo-warmup-"
)

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
	resources := corev1.ResourceList{
		corev1.ResourceCPU:    *resource.NewQuantity(int64(cpu), resource.DecimalSI),
		corev1.ResourceMemory: *resource.NewQuantity(int64(memoryGi)<<30, resource.BinarySI),
	}
	seconds := int64(keep / time.Second)
	pod := corev1.Pod{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{
			Name: warmupPrefix + id, Namespace: w.Namespace,
			Labels: map[string]string{warmupLabel: id, "app.kubernetes.io/managed-by": fieldManager}, Annotations: annotations,
		},
		Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever, AutomountServiceAccountToken: new(false), EnableServiceLinks: new(false),
			// The second bound also covers the time in which the image is fetched.
			ActiveDeadlineSeconds: new(seconds + int64(pullTime/time.Second)), TerminationGracePeriodSeconds: new(int64(0)),
			NodeSelector: w.NodeSelector, Tolerations: w.Tolerations,
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot: new(true), RunAsUser: new(int64(65532)),
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Containers: []corev1.Container{{
				Name: "wait", Image: w.Image, ImagePullPolicy: corev1.PullPolicy(w.PullPolicy),
				Command:   []string{"sumo-run", "--hold", fmt.Sprintf("%ds", seconds)},
				Resources: corev1.ResourceRequirements{Requests: resources, Limits: resources},
				SecurityContext: &corev1.SecurityContext{
					AllowPrivilegeEscalation: new(false), ReadOnlyRootFilesystem: new(true),
					Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				},
			}},
		},
	}
	ctx, cancel := context.WithTimeout(ctx, CallTimeout)
	defer cancel()
	err := w.Client.Post().AbsPath(podsPath(w.Namespace)).Body(&pod).Do(ctx).Into(&pod)
	if key != nil && apierrors.IsAlreadyExists(err) {
		known, err := w.startedBefore(ctx, id, annotations[requestAnnotation])
		return known, false, err
	}
	if err != nil {
		return job.Warmup{}, false, Failed(err, "create warm-up pod "+pod.Name)
	}
	return warmupOf(&pod), true, nil
}

// startedBefore finds the warm-up that a request with this hash has started. It lists, which is allowed anyway, where it
// could get.
func (w Warmups) startedBefore(ctx context.Context, id, hash string) (job.Warmup, error) {
	var found []*corev1.Pod
	err := eachPod(ctx, w.Client, w.Namespace, metav1.ListOptions{LabelSelector: warmupLabel + "=" + id},
		func(p *corev1.Pod) { found = append(found, p) })
	switch {
	case err != nil:
		return job.Warmup{}, err
	case len(found) == 0:
		return job.Warmup{}, problem.New(problem.Unavailable,
			"The warm-up of this Idempotency-Key is just being removed. Try again in a few seconds.").WithRetryAfter(CallTimeout)
	case found[0].Annotations[requestAnnotation] != hash:
		return job.Warmup{}, idempotency.ErrReused()
	}
	return warmupOf(found[0]), nil
}

// pullTime is how long a new node may take to come up and fetch the image.
const pullTime = 15 * time.Minute

// List returns the warm-ups, including those that have ended, until they are removed.
func (w Warmups) List(ctx context.Context) ([]job.Warmup, error) {
	all := []job.Warmup{}
	err := eachPod(ctx, w.Client, w.Namespace, metav1.ListOptions{LabelSelector: warmupLabel},
		func(p *corev1.Pod) { all = append(all, warmupOf(p)) })
	return all, err
}

// End removes a warm-up.
func (w Warmups) End(ctx context.Context, id string) error {
	if _, err := uuid.Parse(id); err != nil {
		return noWarmup(err, id) // it must not become a part of another path
	}
	ctx, cancel := context.WithTimeout(ctx, CallTimeout)
	defer cancel()
	name := warmupPrefix + id
	err := w.Client.Delete().AbsPath(podsPath(w.Namespace), name).Do(ctx).Error()
	if apierrors.IsNotFound(err) {
		return noWarmup(err, id)
	}
	return Failed(err, "delete warm-up pod "+name)
}

func noWarmup(cause error, id string) error {
	return problem.Wrap(cause, problem.NotFound, "There is no warm-up %.40q.", id)
}

func warmupOf(p *corev1.Pod) job.Warmup {
	return job.Warmup{
		ID: p.Labels[warmupLabel], PodName: p.Name, Namespace: p.Namespace, Phase: string(p.Status.Phase), Node: p.Spec.NodeName,
		Created: p.CreationTimestamp.UTC(),
	}
}
