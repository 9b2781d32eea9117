package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/infra/local/localtest"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/study"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/sumotest"
)

// ask begins a study, whose JSON it gets without the variants: those are the scenario alone.
func (c *tenantClient) ask(t testing.TB, scenario, members string) rest.Study {
	t.Helper()
	var s rest.Study
	body := fmt.Sprintf(`{"name": "test", "variants": [{"name": "base", "scenario": %q}], %s}`, scenario, members)
	c.sendJSON(t, "/studies", body).want(t, http.StatusOK).into(t, &s)
	return s
}

func (c *tenantClient) study(t testing.TB, id string) rest.Study {
	t.Helper()
	var s rest.Study
	c.call(t, "GET", "/studies/"+id).want(t, http.StatusOK).into(t, &s)
	return s
}

// answered waits until a study has ended.
func (c *tenantClient) answered(t testing.TB, id string) rest.Study {
	t.Helper()
	deadline := time.Now().Add(5 * patience)
	for {
		s := c.study(t, id)
		if s.Status.Terminal() {
			return s
		}
		if time.Now().After(deadline) {
			t.Fatalf("study %s is still %s, with %+v (message %q)", id, s.Status, s.Runs, s.Message)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// runs are the jobs of a study, by their seeds.
func (c *tenantClient) runs(t testing.TB, study string) map[int64]rest.Job {
	t.Helper()
	jobs := map[int64]rest.Job{}
	for cursor := ""; ; {
		var page struct {
			Jobs       []rest.Job
			NextCursor string `json:"next_cursor"`
		}
		c.call(t, "GET", "/jobs?limit=100&study="+study+"&cursor="+cursor).want(t, http.StatusOK).into(t, &page)
		for _, j := range page.Jobs {
			if _, twice := jobs[*j.Seed]; twice {
				t.Errorf("seed %d has two runs", *j.Seed)
			}
			jobs[*j.Seed] = j
		}
		if cursor = page.NextCursor; cursor == "" {
			return jobs
		}
	}
}

// statistics are what SUMO's statistics say of each run, by its seed.
func (c *tenantClient) statistics(t testing.TB, jobs map[int64]rest.Job) map[int64]string {
	t.Helper()
	all := map[int64]string{}
	for seed, j := range jobs {
		if j.Status == job.Succeeded {
			a := c.call(t, "GET", "/jobs/"+j.JobID+"/results/"+simulation.OutputStatistics.File())
			all[seed] = sumotest.Comparable(a.want(t, http.StatusOK).body)
		}
	}
	return all
}

func TestTheRunsOfAStudyHaveThePlainNumbers(t *testing.T) {
	t.Parallel()
	network, n := sumotest.StudyOf(t, "square", 20)
	c := startService(t).register(t)
	s := c.ask(t, c.store(t, zipOf(t, network)).ID, fmt.Sprintf(`"replications": {"seeds": "1:%d"}`, n))
	want := sumotest.ByHand(t, zipOf(t, network), s.Seeds, "-X", "never")
	if s = c.answered(t, s.StudyID); s.Status != study.Succeeded || s.Runs.Succeeded != n {
		t.Fatalf("the study ended %s with %+v: %s", s.Status, s.Runs, s.Message)
	}
	if diff := cmp.Diff(want, c.statistics(t, c.runs(t, s.StudyID))); diff != "" {
		t.Errorf("statistics by seed (-plain SUMO +study):\n%s", diff)
	}
}

// below lists the processes below pid that run a program called name.
func below(pid int, name string) (found []int) {
	children, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	for _, task := range children {
		list, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, task.Name()))
		for _, field := range strings.Fields(string(list)) {
			child, _ := strconv.Atoi(field)
			comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", child))
			if strings.HasPrefix(name, string(bytes.TrimSpace(comm))) && len(comm) > 1 { // the kernel keeps 15 characters
				found = append(found, child)
			}
			found = append(found, below(child, name)...)
		}
	}
	return found
}

func TestAStudySurvivesKillsAtRandomMoments(t *testing.T) {
	t.Parallel()
	network, n := sumotest.StudyOf(t, "square", 60)
	kills := max(8, n/10)
	settings, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	dir := localtest.Folder(t)
	t.Cleanup(func() {
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(dir, "logs", "service.log"))
			t.Logf("service log:\n%s", log)
		}
	})
	program, s := start(t, dir, settings)
	ended := wait(program)
	c := s.register(t)
	asked := c.ask(t, c.store(t, zipOf(t, network)).ID, fmt.Sprintf(`"replications": {"seeds": "1:%d"}`, n))
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed of the kills: %d", seed)
	victims := []string{"service", filepath.Base(settings.SumoRun), "postgres", filepath.Base(settings.ObjectStore)}
	killed := map[string]int{}
	restart := func() {
		<-ended
		program, s = start(t, dir, settings)
		ended, c.service = wait(program), s
	}
	for k, done := 0, -1; k < kills; {
		// Something ends between two kills, and so does what was lost twice: a run that is lost three times is blamed for it.
		time.Sleep(time.Duration(random.IntN(1200)) * time.Millisecond)
		for before, lost := done, false; done == before || lost; time.Sleep(50 * time.Millisecond) {
			select {
			case <-ended: // it ends when it has lost Postgres or the store
				restart()
			default:
			}
			now := c.study(t, asked.StudyID)
			if done = now.Runs.Done; now.Status.Terminal() {
				break
			}
			lost = c.lostTwice(t, asked.StudyID)
		}
		victim := victims[random.IntN(len(victims))]
		pids := []int{program.Process.Pid}
		if victim != "service" {
			pids = below(program.Process.Pid, victim)
		}
		if len(pids) == 0 {
			victim, pids = "service", []int{program.Process.Pid}
		}
		if syscall.Kill(pids[0], syscall.SIGKILL) != nil {
			continue
		}
		killed[victim]++
		k++
		if victim != filepath.Base(settings.SumoRun) {
			restart()
		}
	}
	got := c.answered(t, asked.StudyID)
	if got.Status != study.Succeeded || got.Runs.Succeeded != n {
		t.Errorf("the study ended %s with %+v: %s", got.Status, got.Runs, got.Message)
	}
	jobs := c.runs(t, asked.StudyID)
	repeated := 0
	for seed, j := range jobs {
		if ends := c.ends(t, j.JobID); ends != 1 {
			t.Errorf("the run with seed %d has ended %d times", seed, ends)
		}
		repeated += j.Attempt - 1
	}
	t.Logf("killed %v; %d runs, %d repeated", killed, len(jobs), repeated)
	if diff := cmp.Diff(sumotest.ByHand(t, zipOf(t, network), asked.Seeds, "-X", "never"), c.statistics(t, jobs)); diff != "" {
		t.Errorf("statistics by seed (-plain SUMO +study):\n%s", diff)
	}
	_ = program.Process.Signal(syscall.SIGTERM)
	<-ended
}

// lostTwice reports whether a run of a study that has not ended may have been lost twice.
func (c *tenantClient) lostTwice(t testing.TB, study string) bool {
	t.Helper()
	var page struct{ Jobs []rest.Job }
	c.call(t, "GET", "/jobs?limit=200&status=RUNNING&study="+study).want(t, http.StatusOK).into(t, &page)
	return slices.ContainsFunc(page.Jobs, func(j rest.Job) bool { return j.Attempt > 2 })
}

// wait reaps a program and closes the channel when it has ended.
func wait(cmd *exec.Cmd) <-chan struct{} {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // killed programs end with an error
	}()
	return ended
}
