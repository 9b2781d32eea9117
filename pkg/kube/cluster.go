package kube

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"

	"github.com/sumo-k8/sumo-k8/pkg/job"
)

// Cluster is what operators see of the machines and pods.
type Cluster struct{ Client rest.Interface }

// Nodes lists the machines.
func (c Cluster) Nodes(ctx context.Context) ([]job.Node, error) {
	pods := map[string]int{}
	err := eachPod(ctx, c.Client, "", metav1.ListOptions{FieldSelector: "status.phase=Running"}, func(p *corev1.Pod) {
		pods[p.Spec.NodeName]++
	})
	if err != nil {
		return nil, err
	}
	nodes := []job.Node{}
	page := func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
		list := &corev1.NodeList{}
		return list, read(ctx, c.Client, "/api/v1/nodes", options, list)
	}
	err = Each(ctx, metav1.ListOptions{}, page, func(n *corev1.Node) {
		out := job.Node{
			Name: n.Name, Capacity: cpuAndMemory(n.Status.Capacity), Allocatable: cpuAndMemory(n.Status.Allocatable),
			PodsRunning: pods[n.Name], Created: n.CreationTimestamp.UTC(),
		}
		for _, condition := range n.Status.Conditions {
			if condition.Type == corev1.NodeReady {
				out.Ready = condition.Status == corev1.ConditionTrue
			}
		}
		nodes = append(nodes, out)
	})
	return nodes, err
}

// Pods counts the pods that run jobs, by phase.
func (c Cluster) Pods(ctx context.Context) (map[string]int, error) {
	phases := map[string]int{}
	err := eachPod(ctx, c.Client, "", metav1.ListOptions{LabelSelector: workflowLabel}, func(p *corev1.Pod) {
		phases[string(p.Status.Phase)]++
	})
	return phases, err
}

func cpuAndMemory(all corev1.ResourceList) map[string]string {
	text := map[string]string{"cpu": "", "memory": ""}
	for name := range text {
		if quantity, known := all[corev1.ResourceName(name)]; known {
			text[name] = quantity.String()
		}
	}
	return text
}

// workflowLabel leads from a workflow to its pods.
const workflowLabel = "workflows.argoproj.io/workflow"

// EachPodOf calls yield for each pod that runs the job, a pod for each attempt.
func EachPodOf(ctx context.Context, client rest.Interface, namespace, id string, yield func(*corev1.Pod)) error {
	return eachPod(ctx, client, namespace, metav1.ListOptions{LabelSelector: workflowLabel + "=" + job.RunName(id)}, yield)
}

// eachPod calls yield for each pod of a namespace, or of all when it is empty.
func eachPod(ctx context.Context, client rest.Interface, namespace string, options metav1.ListOptions, yield func(*corev1.Pod)) error {
	page := func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
		list := &corev1.PodList{}
		return list, read(ctx, client, podsPath(namespace), options, list)
	}
	return Each(ctx, options, page, yield)
}

func podsPath(namespace string) string {
	if namespace == "" {
		return "/api/v1/pods"
	}
	return "/api/v1/namespaces/" + namespace + "/pods"
}
