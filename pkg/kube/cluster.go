package kube

import (
	"context"
	"time"

	"k8s.io/client-go/rest"

	"github.com/sumo-k8/sumo-k8/pkg/job"
)

// pageSize bounds one answer of the API server, and with it what both sides hold in memory.
const pageSize = "500"

// Cluster is what operators see of the machines and pods.
type Cluster struct{ Client rest.Interface }

// Nodes lists the machines.
func (c Cluster) Nodes(ctx context.Context) ([]job.Node, error) {
	type node struct {
		Metadata struct {
			Name              string    `json:"name"`
			CreationTimestamp time.Time `json:"creationTimestamp"`
		} `json:"metadata"`
		Status struct {
			Capacity    map[string]string `json:"capacity"`
			Allocatable map[string]string `json:"allocatable"`
			Conditions  []struct {
				Type   string `json:"type"`
				Status string `json:"status"`
			} `json:"conditions"`
		} `json:"status"`
	}
	pods := map[string]int{}
	err := pages(ctx, c.Client, "/api/v1/pods", map[string]string{"fieldSelector": "status.phase=Running"}, func(p placedPod) {
		pods[p.Spec.NodeName]++
	})
	if err != nil {
		return nil, err
	}
	nodes := []job.Node{}
	err = pages(ctx, c.Client, "/api/v1/nodes", nil, func(n node) {
		out := job.Node{
			Name: n.Metadata.Name, Capacity: cpuAndMemory(n.Status.Capacity), Allocatable: cpuAndMemory(n.Status.Allocatable),
			PodsRunning: pods[n.Metadata.Name], Created: n.Metadata.CreationTimestamp,
		}
		for _, condition := range n.Status.Conditions {
			if condition.Type == "Ready" {
				out.Ready = condition.Status == "True"
			}
		}
		nodes = append(nodes, out)
	})
	return nodes, err
}

// Pods counts the pods that run jobs, by phase.
func (c Cluster) Pods(ctx context.Context) (map[string]int, error) {
	phases := map[string]int{}
	err := pages(ctx, c.Client, "/api/v1/pods", map[string]string{"labelSelector": workflowLabel}, func(p placedPod) {
		phases[p.Status.Phase]++
	})
	return phases, err
}

type placedPod struct {
	Spec struct {
		NodeName string `json:"nodeName"`
	} `json:"spec"`
	Status struct {
		Phase string `json:"phase"`
	} `json:"status"`
}

func cpuAndMemory(all map[string]string) map[string]string {
	return map[string]string{"cpu": all["cpu"], "memory": all["memory"]}
}

// pages calls yield for each element of the list at path.
func pages[T any](ctx context.Context, client rest.Interface, path string, query map[string]string, yield func(T)) error {
	request := map[string]string{"limit": pageSize}
	for name, value := range query {
		request[name] = value
	}
	for {
		var page struct {
			Metadata struct {
				Continue string `json:"continue"`
			} `json:"metadata"`
			Items []T `json:"items"`
		}
		if err := read(ctx, client, path, request, &page); err != nil {
			return err
		}
		for _, item := range page.Items {
			yield(item)
		}
		if page.Metadata.Continue == "" {
			return nil
		}
		request["continue"] = page.Metadata.Continue
	}
}
