package e2e

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/study"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/sumotest"
)

// store keeps a scenario without a job, and returns its id.
func (c *tenant) store(t testing.TB, scenario string) string {
	t.Helper()
	var stored struct {
		ID string
	}
	c.cluster.call(t, "POST", "/scenarios", map[string]string{
		"Authorization": "Bearer " + c.key, "Content-Type": "application/zip",
	}, strings.NewReader(scenario), http.StatusOK, &stored)
	return stored.ID
}

// ask begins a study of a scenario with seeds from 1 to n.
func (c *tenant) ask(t testing.TB, scenario string, n int) rest.Study {
	t.Helper()
	var s rest.Study
	body := fmt.Sprintf(
		`{"name": "e2e", "variants": [{"name": "base", "scenario": %q}], "replications": {"seeds": "1:%d"}, "run": {"memory_gi": 1}}`, scenario, n,
	)
	c.cluster.call(
		t, "POST", "/studies", map[string]string{"Authorization": "Bearer " + c.key, "Content-Type": "application/json"}, strings.NewReader(body),
		http.StatusOK, &s,
	)
	return s
}

func (c *tenant) study(t testing.TB, id string) (s rest.Study) {
	t.Helper()
	c.call(t, "GET", "/studies/"+id, http.StatusOK, &s)
	return s
}

// answered waits until a study has ended.
func (c *tenant) answered(t testing.TB, id string) (s rest.Study) {
	t.Helper()
	until(t, "the study has ended", func() (bool, string) {
		s = c.study(t, id)
		return s.Status.Terminal(), fmt.Sprintf("%s, %+v, %s", s.Status, s.Runs, s.Message)
	})
	return s
}

// statistics are what SUMO's statistics say of each run of a study, by its seed. Each seed has one run.
func (c *tenant) statistics(t testing.TB, id string) (all map[int64]string, repeated int) {
	t.Helper()
	all = map[int64]string{}
	for cursor := ""; ; {
		var page struct {
			Jobs       []rest.Job
			NextCursor string `json:"next_cursor"`
		}
		c.call(t, "GET", "/jobs?limit=100&study="+id+"&cursor="+cursor, http.StatusOK, &page)
		for _, j := range page.Jobs {
			if _, twice := all[*j.Seed]; twice {
				t.Errorf("seed %d has two runs", *j.Seed)
			}
			if j.Status != job.Succeeded {
				t.Errorf("seed %d ended %s: %s", *j.Seed, j.Status, why(j))
				continue
			}
			repeated += j.Attempt - 1
			_, raw, err := c.send(t, "GET", "/jobs/"+j.JobID+"/results/"+simulation.OutputStatistics.File(), map[string]string{
				"Authorization": "Bearer " + c.key,
			}, nil)
			if err != nil {
				t.Fatal(err)
			}
			all[*j.Seed] = sumotest.Comparable(raw)
		}
		if cursor = page.NextCursor; cursor == "" {
			return all, repeated
		}
	}
}

// inPods are the folders in /proc of the processes of a program that run in pods.
func inPods(t testing.TB, program string) (folders []string) {
	t.Helper()
	commands, err := filepath.Glob("/proc/[0-9]*/comm")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range commands {
		folder := filepath.Dir(name)
		comm, _ := os.ReadFile(name) // a process may end meanwhile
		group, _ := os.ReadFile(filepath.Join(folder, "cgroup"))
		if string(bytes.TrimSpace(comm)) == program && bytes.Contains(group, []byte("kubepods")) {
			folders = append(folders, folder)
		}
	}
	return folders
}

// killInPods kills one of the processes of a program that run in pods, and reports whether there was one.
func killInPods(t testing.TB, program string) bool {
	t.Helper()
	found := inPods(t, program)
	if len(found) == 0 {
		return false
	}
	pid, err := strconv.Atoi(filepath.Base(found[0]))
	return err == nil && syscall.Kill(pid, syscall.SIGKILL) == nil
}

// testStudyKilled kills what carries out a study at random moments. Each run ends once, with the numbers of plain SUMO. With
// SUMO_K8_STUDY_OF=corridor:200 the node is among it, and there are 20 kills.
func testStudyKilled(t *testing.T, c *cluster) {
	network, n := sumotest.StudyOf(t, "corridor", 30)
	a := c.register(t, `, "max_cpu": 2`)
	scenario := ready(t, network)
	s := a.ask(t, a.store(t, scenario), n)
	c.disturbed = true
	t.Cleanup(func() { c.disturbed = false })

	victims := map[string]func() bool{
		"sumo-run":    func() bool { return killInPods(t, "sumo-run") },
		"sumo-keeper": func() bool { return killInPods(t, "sumo-keeper") },
		"pod": func() bool {
			out, err := c.tryKubectl(t, "delete", "pods", "-n", a.namespace, "--all", "--grace-period=0", "--force")
			return err == nil && strings.Contains(out, "deleted")
		},
		"controller": func() bool {
			_, err := c.tryKubectl(t, "delete", "pods", "-n", "argo", "--all", "--grace-period=0", "--force")
			return err == nil
		},
		"postgres": func() bool {
			c.kill(t, "postgres")
			c.repair(t)
			return true
		},
	}
	kills := []string{"sumo-run", "pod", "controller", "postgres"}
	if n >= 200 {
		kills = slices.Repeat(kills, 5)
		kills[0] = "sumo-keeper" // which sumo-run misses after two minutes only
		kills[1] = "node"
		victims["node"] = func() bool {
			a.loseNode(t)
			return true
		}
	}
	rand.Shuffle(len(kills), func(i, j int) { kills[i], kills[j] = kills[j], kills[i] })
	done := -1
	for _, victim := range kills {
		until(t, "a run has ended since the last kill", func() (bool, string) {
			s = a.study(t, s.StudyID)
			return s.Runs.Done > done || s.Status.Terminal(), fmt.Sprintf("%s, %+v", s.Status, s.Runs)
		})
		done = s.Runs.Done
		time.Sleep(time.Duration(rand.IntN(2000)) * time.Millisecond)
		for deadline := time.Now().Add(time.Minute); !s.Status.Terminal() && !victims[victim]() && time.Now().Before(deadline); {
			time.Sleep(100 * time.Millisecond) // until there is one
			s = a.study(t, s.StudyID)
		}
		t.Logf("%s killed after %d of %d runs", victim, done, n)
	}
	s = a.answered(t, s.StudyID)
	if s.Status != study.Succeeded || s.Runs.Succeeded != n {
		t.Fatalf("the study ended %s with %+v: %s", s.Status, s.Runs, s.Message)
	}
	got, repeated := a.statistics(t, s.StudyID)
	if diff := cmp.Diff(sumotest.ByHand(t, scenario, s.Seeds, "-X", "never"), got); diff != "" {
		t.Errorf("statistics by seed (-plain SUMO +study):\n%s", diff)
	}
	t.Logf("%d runs, %d attempts more than that", n, repeated)
}

// BenchmarkJob measures a single short job from POST to its end on record, beside a pod of the same image that does nothing.
func BenchmarkJob(b *testing.B) {
	c := find(b)
	a := c.register(b, "")
	for range b.N {
		sent := time.Now()
		j := a.submit(b, ready(b, "square"), nil)
		j = a.finish(b, j.JobID)
		b.ReportMetric(time.Since(sent).Seconds(), "s/job")
		b.Logf("square.zip: %s", a.split(b, j, time.Now()))
		b.ReportMetric(a.barePod(b), "s/bare-pod")
	}
}

// barePod is how long the cluster takes for a pod that does nothing, in seconds.
func (c *tenant) barePod(b *testing.B) float64 {
	b.Helper()
	image := c.kubectl(b, "get", "workflowtemplate", newestTemplate, "-n", c.namespace, "-o", "jsonpath={.spec.templates[0].container.image}")
	began := time.Now()
	c.kubectl(b, "run", "bare", "-n", "default", "--restart=Never", "--image="+image, "--image-pull-policy=IfNotPresent", "--command", "--",
		"sumo-run", "--print-generation")
	until(b, "the bare pod has ended", func() (bool, string) {
		phase := c.kubectl(b, "get", "pod", "bare", "-n", "default", "-o", "jsonpath={.status.phase}")
		return phase == "Succeeded", phase
	})
	took := time.Since(began).Seconds()
	c.kubectl(b, "delete", "pod", "bare", "-n", "default")
	return took
}

// BenchmarkStudy measures 200 short runs as one study from POST to the last end on record, beside the same runs of plain SUMO, two at a
// time.
func BenchmarkStudy(b *testing.B) {
	const n = 200
	c := find(b)
	for range b.N {
		a := c.register(b, `, "max_cpu": 2`)
		scenario := ready(b, "square")
		id := a.store(b, scenario)
		sent := time.Now()
		s := a.ask(b, id, n)
		for s = a.study(b, s.StudyID); !s.Status.Terminal(); s = a.study(b, s.StudyID) {
			time.Sleep(50 * time.Millisecond)
		}
		took := time.Since(sent).Seconds()
		if s.Status != study.Succeeded {
			b.Fatalf("the study ended %s with %+v: %s", s.Status, s.Runs, s.Message)
		}
		began := time.Now()
		sumotest.ByHand(b, scenario, s.Seeds)
		b.ReportMetric(took, "s/study")
		b.ReportMetric(time.Since(began).Seconds(), "s/plain-SUMO")
		b.ReportMetric(s.FinishedAt.Sub(*s.StartedAt).Seconds(), "s/start-to-end")
	}
}
