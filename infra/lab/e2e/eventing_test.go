package e2e

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// testPingSource lets Eventing's PingSource call reconcile, without the CronJob.
func testPingSource(t *testing.T, c *cluster) {
	const event = `"source":"/apis/v1/namespaces/sumo-k8/pingsources/schedule"`
	if c.kubectl(t, "get", "crd", "pingsources.sources.knative.dev", "--ignore-not-found", "-o", "name") == "" {
		t.Skip("the lab has no Knative Eventing: make lab-eventing adds it")
	}
	install := func(overlay string) {
		t.Helper()
		if out, err := c.run("", "../../deploy.sh", overlay); err != nil {
			t.Errorf("installing %s: %v: %s", overlay, err, out)
		}
	}
	t.Cleanup(func() {
		if out, err := c.tryKubectl(t, "delete", "pingsource", "schedule", "-n", "sumo-k8", "--ignore-not-found"); err != nil {
			t.Errorf("deleting the PingSource: %s", out)
		}
		install("lab")
	})
	c.kubectl(t, "delete", "cronjob", "schedule", "-n", "sumo-k8", "--ignore-not-found")
	install("infra/lab/e2e/testdata/pingsource")
	until(t, "the PingSource is ready", func() (bool, string) {
		state := c.kubectl(t, "get", "pingsource", "schedule", "-n", "sumo-k8", "-o", `jsonpath={.status.conditions[?(@.type=="Ready")]}`)
		return strings.Contains(state, `"status":"True"`), state
	})

	// Eventing caches a token for an hour, by the account's name. The token of a source that an earlier test deleted belongs to a
	// deleted account, and is refused.
	c.kubectl(t, "rollout", "restart", "deployment/pingsource-mt-adapter", "-n", "knative-eventing")
	c.kubectl(t, "rollout", "status", "deployment/pingsource-mt-adapter", "-n", "knative-eventing")

	account := c.kubectl(t, "get", "pingsource", "schedule", "-n", "sumo-k8", "-o", "jsonpath={.status.auth.serviceAccountName}")
	token := func(account, audience string) string {
		return c.kubectl(t, "create", "token", account, "-n", "sumo-k8", "--audience", audience)
	}
	for _, call := range []struct {
		name, token string
		want        int
	}{
		{"without a token", "", http.StatusUnauthorized},
		{"with what is no token", "none", http.StatusUnauthorized},
		{"with the source's token for others", token(account, "other"), http.StatusUnauthorized},
		{"with the token of another account", token("logs", "sumo-k8-reconcile"), http.StatusForbidden},
		{"with the source's token", token(account, "sumo-k8-reconcile"), http.StatusOK},
	} {
		if status, answer := c.sendEvent(t, call.token); status != call.want {
			t.Errorf("an event %s is answered %d, want %d: %s", call.name, status, call.want, answer)
		}
	}

	// From here on only the source calls: any repair happens in its call.
	a := c.register(t, "")
	c.atZero(t)
	began := time.Now()
	c.kubectl(t, "delete", "networkpolicy", "deny-all", "-n", a.namespace)
	c.query(t, "UPDATE tenants SET provision_at = now() WHERE id = $1 RETURNING id", a.id)
	until(t, "an event has caused the namespace's repair", func() (bool, string) {
		_, err := c.tryKubectl(t, "get", "networkpolicy", "deny-all", "-n", a.namespace)
		log, _ := c.tryKubectl(t, "logs", "-n", "sumo-k8", "-l", "serving.knative.dev/service=reconcile", "-c", "function", "--tail=-1")
		return err == nil && strings.Contains(log, event), log
	})
	t.Logf("from zero: repaired and reported %.0f s after the change", time.Since(began).Seconds())

	// The call that a submission causes ends after RECONCILE_WINDOW, 50 s. The source's call has to find that the run has ended.
	j := a.submit(t, endless(t), map[string]string{"timeout_seconds": "70"})
	if j = a.finish(t, j.JobID); j.Status != job.Failed || j.Reason != simulation.DeadlineExceeded {
		t.Errorf("ended %s (%s): %s", j.Status, j.Reason, why(j))
	}
	t.Logf("the job ended %s, on record %.0f s after its submission: %s", j.Status, time.Since(j.SubmittedAt).Seconds(), why(j))
	if other := c.kubectl(t, "get", "cronjobs", "-n", "sumo-k8", "-o", "name"); other != "" {
		t.Errorf("this called reconcile too: %s", other)
	}
}

// sendEvent requests one pass of reconcile as a PingSource does, at the cluster-internal gateway.
func (c *cluster) sendEvent(t *testing.T, token string) (status int, answer string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	gateway := c.kubectl(t, "get", "pods", "-n", "traefik", "-l", "app=traefik", "-o", "jsonpath={.items[0].status.podIP}")
	r, err := http.NewRequestWithContext(ctx, "POST", "http://"+gateway+":8080/reconcile?window_seconds=0", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "reconcile.sumo-k8.svc.cluster.local"
	for name, value := range map[string]string{
		"Ce-Id": "1", "Ce-Specversion": "1.0", "Ce-Type": "dev.knative.sources.ping", "Ce-Source": "/e2e",
	} {
		r.Header.Set(name, value)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	status, body, err := exchange(r)
	if err != nil {
		t.Fatal(err)
	}
	return status, string(body)
}
