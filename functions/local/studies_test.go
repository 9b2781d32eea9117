package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sumo-k8/sumo-k8/functions/status"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/study"
)

// runsOf lists the runs of a study.
func (c *tenantClient) runsOf(t testing.TB, id, filter string) []rest.Job {
	t.Helper()
	var page struct{ Jobs []rest.Job }
	c.call(t, "GET", "/jobs?limit=200&study="+id+filter).want(t, http.StatusOK).into(t, &page)
	return page.Jobs
}

func testStudies(t *testing.T, s *service) {
	c, rival := s.register(t), s.register(t)
	square := c.store(t, zipOf(t, "square")).ID
	made := c.ask(t, square, `"run": {"labels": {"for": "north"}},
		"axes": [{"name": "demand", "set": "scale", "values": [0.5, 1]}, {"name": "teleport", "set": "option:time-to-teleport", "values": [120]}],
		"replications": {"seeds": "3:5"}`)
	events := c.followStudy(t, made.StudyID)
	ended := c.answered(t, made.StudyID)
	if ended.Status != study.Succeeded || ended.Runs.Succeeded != 6 || ended.Runs.Done != 6 || ended.FinishedAt == nil || ended.ETA != nil {
		t.Fatalf("the study ended %+v", ended.StudySummary)
	}
	if last := <-events; !strings.Contains(last, `"status":"SUCCEEDED"`) {
		t.Errorf("the stream ended with %s", last)
	}
	seen := map[string]bool{}
	runs := c.runsOf(t, made.StudyID, "")
	for _, j := range runs {
		if j.Status != job.Succeeded || j.StudyID == nil || *j.StudyID != made.StudyID || j.Variant == nil || *j.Variant != "base" ||
			j.Labels["for"] != "north" || *j.Seed != int64(3+*j.Replication) || j.CPURequest != 1 {
			t.Errorf("a run is %+v", j)
		}
		seen[fmt.Sprintf("%s %d", j.Setting["demand"], *j.Seed)] = true
	}
	if len(runs) != 6 || len(seen) != 6 {
		t.Errorf("%d runs, of %v", len(runs), seen)
	}
	for seed, text := range c.statistics(t, map[int64]rest.Job{*runs[0].Seed: runs[0]}) { // of a file that is packed with others
		if !strings.Contains(text, "<vehicleTripStatistics") {
			t.Errorf("seed %d has the statistics %s", seed, text)
		}
	}
	var list struct{ Studies []rest.StudySummary }
	c.call(t, "GET", "/studies").want(t, http.StatusOK).into(t, &list)
	if len(list.Studies) != 1 || list.Studies[0].StudyID != made.StudyID || list.Studies[0].Runs.Succeeded != 6 {
		t.Errorf("the list of studies is %+v", list.Studies)
	}
	if all := c.runsOf(t, made.StudyID, "&point=1"); len(all) != 3 {
		t.Errorf("%d runs of point 1", len(all))
	}
	if one := c.job(t, runs[0].JobID); one.Variant == nil || string(one.Setting["teleport"]) != "120" {
		t.Errorf("GET of a run has %v", one.Setting)
	}
	var page struct{ Jobs []rest.Job }
	if c.call(t, "GET", "/jobs").want(t, http.StatusOK).into(t, &page); len(page.Jobs) != 0 {
		t.Errorf("the list of jobs has %d runs of the study", len(page.Jobs))
	}
	checkStudyPlots(t, c, made.StudyID)
	rival.call(t, "GET", "/studies/"+made.StudyID).want(t, http.StatusNotFound)
	rival.call(t, "GET", "/studies/"+made.StudyID+"/events").want(t, http.StatusNotFound)
	c.call(t, "DELETE", "/jobs/"+runs[0].JobID+"?purge=true").want(t, http.StatusConflict)
	c.sendJSON(t, "/jobs/"+runs[0].JobID+"/retry", "").want(t, http.StatusConflict)

	// A single run with the same options has the same numbers.
	plain := c.finish(t, c.submit(t, "square", [2]string{"seed", "4"}, [2]string{"scale", "1"}).JobID)
	for _, j := range runs {
		if *j.Seed == 4 && string(j.Setting["demand"]) == "1" {
			if got, want := c.metrics(t, j.JobID), c.metrics(t, plain.JobID); got != want {
				t.Errorf("the run of the study has %s, a single one %s", got, want)
			}
		}
	}

	var longer rest.Study
	c.sendJSON(t, "/studies/"+made.StudyID+"/extend", `{"replications": {"seeds": [9]}, "values": {"demand": [1.5]}}`).
		want(t, http.StatusOK).into(t, &longer)
	if longer.Status != study.Running || longer.Runs.Planned != 12 || longer.Estimate.Forecast == nil {
		t.Errorf("extended: %+v, estimate %v", longer.StudySummary, longer.Estimate.Forecast)
	}
	if ended = c.answered(t, made.StudyID); ended.Runs.Succeeded != 12 {
		t.Errorf("the longer study ended %+v", ended.StudySummary)
	}
	c.call(t, "DELETE", "/studies/"+made.StudyID+"?purge=true").want(t, http.StatusOK)
	c.call(t, "GET", "/studies/"+made.StudyID).want(t, http.StatusNotFound)
	c.call(t, "GET", "/jobs/"+runs[0].JobID).want(t, http.StatusNotFound)
}

func checkStudyPlots(t *testing.T, c *tenantClient, id string) {
	t.Helper()
	var list status.StudyPlots
	c.call(t, "GET", "/studies/"+id+"/plots").want(t, http.StatusOK).into(t, &list)
	if len(list.Plots) != 3 {
		t.Errorf("the plots are %+v", list.Plots)
	}
	for _, p := range list.Plots {
		a := c.call(t, "GET", p.SVG+"?metric=mean_travel_time").want(t, http.StatusOK)
		if text := string(a.body); !strings.Contains(text, "Mean travel time") || !strings.Contains(text, ">test · n = 3") {
			t.Errorf("%s is %.300s", p.SVG, text)
		}
	}
	a := c.call(t, "GET", "/studies/"+id+"/plots/differences.svg?metric=mean_speed&baseline={%22values%22:{%22demand%22:0.5}}")
	if text := string(a.want(t, http.StatusOK).body); !strings.Contains(text, "higher (better)") || !strings.Contains(text, "base, demand 1") {
		t.Errorf("differences in speed are %.300s", text)
	}
	page := string(c.call(t, "GET", "/studies/"+id+"/report.html").want(t, http.StatusOK).body)
	for _, want := range []string{
		"<h1>test</h1>", "Mean travel time of base, demand 0.5, teleport 120: ", "each with the seeds 3:5: 6 runs", "--seeds 3:5",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the report lacks %q", want)
		}
	}
}

// metrics are the numbers of a run that do not depend on the machine.
func (c *tenantClient) metrics(t testing.TB, id string) string {
	t.Helper()
	var summary struct{ Metrics []struct{ Name, Unit string } }
	var all map[string]any
	a := c.call(t, "GET", "/jobs/"+id+"/summary").want(t, http.StatusOK)
	a.into(t, &summary)
	a.into(t, &all)
	var text strings.Builder
	for _, m := range all["metrics"].([]any) {
		switch name := m.(map[string]any)["name"]; name {
		case "wall_time", "real_time_factor", "vehicle_updates_per_second":
		default:
			fmt.Fprintln(&text, name, m.(map[string]any)["value"])
		}
	}
	return text.String()
}

// followStudy reads a study's stream, and returns the data of its last event.
func (c *tenantClient) followStudy(t testing.TB, id string) <-chan string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", c.url+"/studies/"+id+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+c.key)
	response, err := (&http.Client{Transport: c.client.Transport}).Do(r) // it may last longer than other calls
	if err != nil {
		t.Fatal(err)
	}
	last := make(chan string, 1)
	go func() {
		defer response.Body.Close()
		kind, data := "", ""
		for lines := bufio.NewScanner(response.Body); lines.Scan(); {
			if name, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
				kind = name
			}
			if text, ok := strings.CutPrefix(lines.Text(), "data: "); ok && kind == "end" {
				data = text
			}
		}
		last <- data
	}()
	return last
}

func testStudyRunAgain(t *testing.T, s *service) {
	c := s.register(t)
	corridor := c.store(t, zipOf(t, "corridor")).ID
	made := c.ask(t, corridor, `"run": {"step_length": 0.01, "end": 100000}, "max_parallel": 1, "replications": {"seeds": "1:4"}`)
	for deadline := time.Now().Add(patience); c.study(t, made.StudyID).Runs.Active == 0; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no run has started")
		}
	}
	c.call(t, "DELETE", "/studies/"+made.StudyID).want(t, http.StatusOK)
	ended := c.answered(t, made.StudyID)
	if ended.Status != study.Cancelled || ended.Runs.Cancelled == 0 || ended.Runs.Active != 0 {
		t.Fatalf("cancelled: %+v", ended.StudySummary)
	}
	var again struct {
		Status study.State
		Again  int
	}
	c.sendJSON(t, "/studies/"+made.StudyID+"/retry", "").want(t, http.StatusOK).into(t, &again)
	if again.Status != study.Running || again.Again != 4 {
		t.Errorf("retried: %+v", again)
	}
	var page struct{ Jobs []rest.Job }
	c.call(t, "GET", "/jobs?limit=100&study="+made.StudyID).want(t, http.StatusOK).into(t, &page)
	superseded := 0
	for _, j := range page.Jobs {
		if j.Superseded {
			superseded++
		}
	}
	if superseded == 0 {
		t.Errorf("none of %d jobs says that it was ordered again", len(page.Jobs))
	}
	for deadline := time.Now().Add(patience); c.study(t, made.StudyID).Runs.Active == 0; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no run has started again")
		}
	}
	c.call(t, "DELETE", "/studies/"+made.StudyID).want(t, http.StatusOK)
	if ended = c.answered(t, made.StudyID); ended.Status != study.Cancelled {
		t.Errorf("cancelled again: %+v", ended.StudySummary)
	}
	raw, _ := json.Marshal(ended.Points[0].Runs)
	if n := ended.Points[0].Runs.Cancelled; n == 0 || n > 4 {
		t.Errorf("the point's runs are %s", raw)
	}
}
