package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/replay"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
)

// get returns the body of an answer of the given status.
func (c *tenant) get(t testing.TB, path string, want int) []byte {
	t.Helper()
	status, raw, err := c.send(t, "GET", path, map[string]string{"Authorization": "Bearer " + c.key}, nil)
	if err != nil || status != want {
		t.Fatalf("GET %s: %d, %v\n%s", path, status, err, raw)
	}
	return raw
}

// watch waits until enough of a job's recording is there.
func (c *tenant) watch(t testing.TB, id string, enough func(replay.Index) bool) (index replay.Index) {
	t.Helper()
	until(t, "the recording can be watched", func() (bool, string) {
		status, raw, err := c.send(t, "GET", "/jobs/"+id+"/replay", map[string]string{"Authorization": "Bearer " + c.key}, nil)
		if err != nil || status != http.StatusOK {
			return false, fmt.Sprintf("%d, %v: %s", status, err, raw)
		}
		index = replay.Index{}
		if err := json.Unmarshal(raw, &index); err != nil {
			t.Fatal(err)
		}
		state := fmt.Sprintf("attempt %q, %d segments to %g s, complete %v", index.Attempt, len(index.Segments), index.End, index.Complete)
		return enough(index), state
	})
	return index
}

// positions counts what the segments of a recording have.
func (c *tenant) positions(t testing.TB, id string, index replay.Index) (frames, positions int) {
	t.Helper()
	for _, s := range index.Segments {
		r, err := replay.Open(c.get(t, fmt.Sprintf("/jobs/%s/replay/segments/%s/%d", id, index.Attempt, s.N), http.StatusOK))
		if err != nil {
			t.Fatal(err)
		}
		for range s.Frames {
			_, at, err := r.Next(nil)
			if err != nil {
				t.Fatalf("segment %d, of %d frames: %v", s.N, s.Frames, err)
			}
			frames, positions = frames+1, positions+len(at)
		}
	}
	return frames, positions
}

// testRecording watches a run while its pod works, loses the pod, and watches the next attempt.
func testRecording(t *testing.T, c *cluster) {
	a := c.register(t, "")
	j := a.longRun(t, map[string]string{"replay": "true"})
	a.start(t, j.JobID)
	first := a.watch(t, j.JobID, func(i replay.Index) bool { return len(i.Segments) > 1 })
	if frames, positions := a.positions(t, j.JobID, first); first.Complete || frames == 0 || positions == 0 {
		t.Errorf("of the running job there are %d frames with %d positions, complete %v", frames, positions, first.Complete)
	}
	// What can be watched follows the simulation at a distance of seconds.
	later := a.watch(t, j.JobID, func(i replay.Index) bool { return i.End > first.End })
	t.Logf("watched to %g s, then to %g s of simulated time", first.End, later.End)

	c.kubectl(t, "delete", "pod", "-n", a.namespace, "--all", "--wait=false", "--grace-period=0", "--force")
	second := a.watch(t, j.JobID, func(i replay.Index) bool { return i.Attempt != first.Attempt && len(i.Segments) > 0 })
	if second.Complete {
		t.Error("the recording of the second attempt is complete before its run has ended")
	}
	if j = a.finish(t, j.JobID); j.Status != job.Succeeded {
		t.Fatalf("ended %s (%s): %s", j.Status, j.Reason, why(j))
	}
	whole := a.watch(t, j.JobID, func(i replay.Index) bool { return i.Complete })
	frames, positions := a.positions(t, j.JobID, whole)
	if whole.Begin != 0 || frames < 100 || positions < 10_000 {
		t.Errorf("the recording begins at %g s and has %d frames with %d positions", whole.Begin, frames, positions)
	}
	a.get(t, fmt.Sprintf("/jobs/%s/replay/segments/%s/0", j.JobID, first.Attempt), http.StatusNotFound)
}

// testTablesAndCache asks one question twice. The second study has the results of the first, whose tables pods have made.
func testTablesAndCache(t *testing.T, c *cluster) {
	a := c.register(t, "")
	scenario := a.store(t, ready(t, "square"))
	ask := func() rest.Study {
		body := fmt.Sprintf(`{"name": "twice", "variants": [{"name": "base", "scenario": %q}], "replications": {"seeds": "1:3"},
			"run": {"memory_gi": 1, "tables": ["tripinfo"]}}`, scenario)
		var s rest.Study
		c.call(t, "POST", "/studies", map[string]string{"Authorization": "Bearer " + a.key, "Content-Type": "application/json"},
			strings.NewReader(body), http.StatusOK, &s)
		s = a.answered(t, s.StudyID)
		if s.Runs.Succeeded != 3 {
			t.Fatalf("of three runs %d succeeded: %s", s.Runs.Succeeded, s.Message)
		}
		return s
	}
	runs := func(s rest.Study) []rest.Job {
		var page struct{ Jobs []rest.Job }
		a.call(t, "GET", "/jobs?study="+s.StudyID, http.StatusOK, &page)
		return page.Jobs
	}
	began := time.Now()
	first := ask()
	ran := time.Since(began)
	began = time.Now()
	second := ask()
	t.Logf("three runs took %.1f s, and taking them from the cache %.1f s", ran.Seconds(), time.Since(began).Seconds())
	for _, j := range runs(first) {
		if j.CachedFrom != nil {
			t.Errorf("the first study has run %s from the cache", j.JobID)
		}
		if table := a.get(t, "/jobs/"+j.JobID+"/tables/tripinfo?format=parquet", http.StatusOK); !strings.HasPrefix(string(table), "PAR1") {
			t.Errorf("the table of %s begins with %.4q", j.JobID, table)
		}
	}
	for _, j := range runs(second) {
		if j.CachedFrom == nil {
			t.Errorf("the second study has run %s anew", j.JobID)
		}
	}
	before, _ := a.statistics(t, first.StudyID)
	after, _ := a.statistics(t, second.StudyID)
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("the statistics differ (-first +second):\n%s", diff)
	}
	var manifest struct {
		SUMO struct{ Version, Image string }
	}
	if err := json.Unmarshal(a.get(t, "/jobs/"+runs(first)[0].JobID+"/manifest.json", http.StatusOK), &manifest); err != nil {
		t.Fatal(err)
	}
	if manifest.SUMO.Version == "" || !strings.Contains(manifest.SUMO.Image, "@sha256:") {
		t.Errorf("the manifest names the SUMO %+v", manifest.SUMO)
	}
}
