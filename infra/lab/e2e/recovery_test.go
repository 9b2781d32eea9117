package e2e

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
)

// kill kills a program of the lab, like a crash.
func (c *cluster) kill(t testing.TB, name string) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(c.lab, "run", "pid", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var program struct{ Pid int }
	if err := json.Unmarshal(raw, &program); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(program.Pid, syscall.SIGKILL); err != nil {
		t.Fatalf("killing %s: %v", name, err)
	}
}

// repair restarts what does not run.
func (c *cluster) repair(t testing.TB) {
	t.Helper()
	if out, err := c.run("", c.program, "up"); err != nil {
		t.Fatalf("repairing the lab: %v: %s", err, out)
	}
}

// longRun is seen running before it ends, even if status has to start first: it takes 20 s on a fast machine.
func (c *tenant) longRun(t *testing.T, fields map[string]string) rest.Job {
	t.Helper()
	all := map[string]string{"step_length": "0.03"}
	maps.Copy(all, fields)
	return c.submit(t, ready(t, "grid"), all)
}

// testVanished deletes the workflow of a running job, as an operator might when cleaning up.
func testVanished(t *testing.T, c *cluster) {
	a := c.register(t, "")
	j := a.longRun(t, nil)
	a.start(t, j.JobID)
	c.kubectl(t, "delete", "workflow", "-n", a.namespace, "--all", "--wait=false")
	a.await(t, j.JobID, func(j rest.Job) bool { return strings.Contains(j.Message, "as attempt 2") })
	if j = a.finish(t, j.JobID); j.Status != job.Succeeded {
		t.Errorf("ended %s (%s): %s", j.Status, j.Reason, why(j))
	}
}

// testDrift changes what a tenant's namespace must have. Reconcile checks each tenant from time to time; the test marks this
// one as due in the database.
func testDrift(t *testing.T, c *cluster) {
	a := c.register(t, `, "max_cpu": 8`)
	quota := func() string {
		return c.kubectl(t, "get", "resourcequota", "sumo-k8", "-n", a.namespace, "-o", "jsonpath={.spec.hard.limits\\.cpu}")
	}
	right := quota()
	c.kubectl(t, "patch", "resourcequota", "sumo-k8", "-n", a.namespace, "--type=merge", "-p", `{"spec":{"hard":{"limits.cpu":"1"}}}`)
	c.kubectl(t, "delete", "networkpolicy", "deny-all", "-n", a.namespace)
	c.kubectl(t, "delete", "workflowtemplate", newestTemplate, "-n", a.namespace)
	c.query(t, "UPDATE tenants SET provision_at = now() WHERE id = $1 RETURNING id", a.id)
	until(t, "the namespace is repaired", func() (bool, string) {
		_, policy := c.tryKubectl(t, "get", "networkpolicy", "deny-all", "-n", a.namespace)
		_, template := c.tryKubectl(t, "get", "workflowtemplate", newestTemplate, "-n", a.namespace)
		is := quota()
		return is == right && policy == nil && template == nil, is
	})
}

// testRestarts kills what the service depends on while jobs run.
func testRestarts(t *testing.T, c *cluster) {
	a := c.register(t, `, "max_concurrent_jobs": 3`)
	var ids []string
	for range 6 {
		ids = append(ids, a.submit(t, ready(t, "cross"), nil).JobID)
	}
	ids = append(ids, a.longRun(t, nil).JobID)
	a.await(t, ids[0], func(j rest.Job) bool { return j.Status != job.Queued })
	c.disturbed = true
	t.Cleanup(func() { c.disturbed = false })
	for _, name := range []string{"postgres", "kube-apiserver"} {
		c.kill(t, name)
		c.repair(t)
	}
	for _, id := range ids {
		if j := a.finish(t, id); j.Status != job.Succeeded {
			t.Errorf("job %s ended %s (%s): %s", id, j.Status, j.Reason, why(j))
		}
	}
}

// loseNode removes the only node with all that runs on it, this service and Argo included, and restores it. The tenant's pods have ended
// with it.
func (c *tenant) loseNode(t *testing.T) {
	t.Helper()
	pods := func() []string { return strings.Fields(c.kubectl(t, "get", "pods", "-n", c.namespace, "-o", "name")) }
	before := pods()
	c.kill(t, "kubelet")
	for _, program := range []string{"sumo-keeper", "sumo-run", "sumo"} { // first who could report that the others are gone
		for killInPods(t, program) {
		}
	}
	c.kubectl(t, "delete", "node", "node1")
	until(t, "the cluster has given the pods up", func() (bool, string) {
		left := pods()
		return !slices.ContainsFunc(before, func(pod string) bool { return slices.Contains(left, pod) }), strings.Join(left, " ")
	})
	c.repair(t)
}

// testNodeGone loses the node while a job runs on it.
func testNodeGone(t *testing.T, c *cluster) {
	a := c.register(t, "")
	j := a.longRun(t, nil)
	a.start(t, j.JobID)
	c.disturbed = true
	t.Cleanup(func() { c.disturbed = false })
	lost := time.Now()
	a.loseNode(t)
	if j = a.finish(t, j.JobID); j.Status != job.Succeeded {
		t.Errorf("ended %s (%s): %s", j.Status, j.Reason, why(j))
	}
	t.Logf("the job ended %.0f s after its node was lost: %s", time.Since(lost).Seconds(), a.split(t, j, time.Now()))
}
