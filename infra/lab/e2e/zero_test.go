package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/client"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
)

// testFromZero runs a job on an installation that is scaled to zero, without calling reconcile.
func testFromZero(t *testing.T, c *cluster) {
	// Knative takes pods away after a minute without requests; with ten seconds the same happens sooner.
	window := func(is string) {
		c.kubectl(t, "patch", "configmap", "config-autoscaler", "-n", "knative-serving", "--type=merge", "-p", `{"data":{"stable-window":`+is+`}}`)
	}
	window(`"10s"`)
	defer window("null")
	a := c.register(t, "")
	c.atZero(t)
	began := time.Now()
	j := a.submit(t, ready(t, "square"), nil)
	answered := time.Since(began)
	j = a.finish(t, j.JobID)
	if j.Status != job.Succeeded {
		t.Fatalf("ended %s: %s", j.Status, why(j))
	}
	t.Logf(
		"from zero: the submission was answered after %.1f s, the end was seen after %.1f s", answered.Seconds(), time.Since(began).Seconds(),
	)
	c.atZero(t)
}

// spanOf is the part of a run's time between two moments.
type spanOf struct {
	what     string
	from, to time.Time
}

// split reports how a job spent its time.
func (c *tenant) split(t testing.TB, j rest.Job, seen time.Time) string {
	t.Helper()
	var history struct {
		Events []struct {
			At time.Time
			To job.State
		}
	}
	c.call(t, "GET", "/jobs/"+j.JobID+"/events", http.StatusOK, &history)
	at := map[job.State]time.Time{}
	for _, e := range history.Events {
		at[e.To] = e.At
	}
	var b strings.Builder
	for _, s := range []spanOf{
		{"accepted to workflow", j.SubmittedAt, at[job.Pending]}, {"workflow to SUMO's start", at[job.Pending], *j.StartedAt},
		{"SUMO", *j.StartedAt, *j.FinishedAt}, {"its end to on record", *j.FinishedAt, at[job.Succeeded]},
		{"submitted to on record", j.SubmittedAt, at[job.Succeeded]}, {"all, as the client saw it", j.SubmittedAt, seen},
	} {
		fmt.Fprintf(&b, "%s %.2f s; ", s.what, s.to.Sub(s.from).Seconds())
	}
	return b.String()
}

// testRollout brings every function to a new revision while clients call them and one follows a log.
func testRollout(t *testing.T, c *cluster) {
	const rate, length = 50, 60 * time.Second
	a := c.register(t, "")
	j := a.submit(t, endless(t), nil)
	a.start(t, j.JobID)

	api, err := client.New(c.url, client.Options{APIKey: a.key})
	if err != nil {
		t.Fatal(err)
	}
	followed := make(chan []string, 1)
	go func() {
		var lines []string
		for e, err := range api.Follow(t.Context(), j.JobID, "") {
			if err != nil {
				t.Errorf("following the log: %v", err)
				break
			}
			if e.Kind == client.LogLine {
				lines = append(lines, e.Message)
			}
		}
		followed <- lines
	}()

	ctx, cancel := context.WithTimeout(t.Context(), length)
	defer cancel()
	var sent, failed atomic.Int64
	var calls sync.WaitGroup
	tick := time.NewTicker(time.Second / rate)
	defer tick.Stop()
	rolled := make(chan error, 1)
	go func() {
		out, err := c.run("", "../../deploy.sh", "roll")
		if err != nil {
			err = fmt.Errorf("%w: %s", err, out)
		}
		rolled <- err
	}()
	paths := []string{"/jobs/" + j.JobID, "/jobs?limit=5", "/jobs/" + j.JobID + "/logs?tail=1", "/tenants/me/dashboard"}
	for n := 0; ctx.Err() == nil; n++ {
		select {
		case <-ctx.Done():
			continue
		case <-tick.C:
		}
		calls.Go(func() {
			sent.Add(1)
			r, err := http.NewRequestWithContext(t.Context(), "GET", c.url+paths[n%len(paths)], nil)
			if err != nil {
				t.Error(err)
				return
			}
			r.Header.Set("Authorization", "Bearer "+a.key)
			response, err := http.DefaultClient.Do(r)
			if err != nil {
				failed.Add(1)
				t.Errorf("GET %s: %v", r.URL.Path, err)
				return
			}
			defer response.Body.Close()
			body, _ := io.ReadAll(response.Body)
			if response.StatusCode != http.StatusOK {
				failed.Add(1)
				t.Errorf("GET %s: %s %s", r.URL.Path, response.Status, body)
			}
		})
	}
	calls.Wait()
	if err := <-rolled; err != nil {
		t.Fatalf("rolling: %v", err)
	}
	t.Logf("%d requests in %s, %d failed", sent.Load(), length, failed.Load())
	a.call(t, "DELETE", "/jobs/"+j.JobID, http.StatusOK, nil)
	a.finish(t, j.JobID)
	var got []string
	select {
	case got = <-followed:
	case <-time.After(patience):
		t.Fatal("the stream does not end")
	}
	// The stored log is complete, and the store has the same address for all clients.
	r, _ := http.NewRequestWithContext(t.Context(), "GET", c.url+"/jobs/"+j.JobID+"/results/log.txt", nil)
	r.Header.Set("Authorization", "Bearer "+a.key)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	stored, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("the stored log: %s, %v", response.Status, err)
	}
	if diff := cmp.Diff(strings.Split(strings.TrimSuffix(string(stored), "\n"), "\n"), got); diff != "" {
		t.Errorf("the followed log is not the stored one (-stored +followed):\n%s", diff)
	}
	t.Logf("%d lines of log followed across the rollout", len(got))
}

// testApplyTwice applies the manifests again.
func testApplyTwice(t *testing.T, c *cluster) {
	overlay := filepath.Join("..", "..", "..", "deploy", "overlays", "lab")
	c.kubectl(t, "apply", "-k", overlay)
	for line := range strings.Lines(c.kubectl(t, "apply", "-k", overlay)) {
		if !strings.HasSuffix(line, " unchanged\n") {
			t.Errorf("the second time it is: %s", line)
		}
	}
}
