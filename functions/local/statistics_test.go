package main

import (
	"encoding/csv"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/sumo-k8/sumo-k8/functions/status"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/study"
)

func (c *tenantClient) means(t testing.TB, id, query string) (s rest.StudyStatistics) {
	t.Helper()
	c.call(t, "GET", "/studies/"+id+"/statistics"+query).want(t, http.StatusOK).into(t, &s)
	return s
}

func (c *tenantClient) differences(t testing.TB, id, query string) (s rest.StudyComparison) {
	t.Helper()
	c.call(t, "GET", "/studies/"+id+"/comparison"+query).want(t, http.StatusOK).into(t, &s)
	return s
}

// values are those of a metric at a point, by seed, as the summaries of the runs have them.
func (c *tenantClient) values(t testing.TB, s rest.Study, point int, metric string) (values []float64) {
	t.Helper()
	for _, j := range c.runsOf(t, s.StudyID, "") {
		if *j.Point != point {
			continue
		}
		var summary simulation.Summary
		c.call(t, "GET", "/jobs/"+j.JobID+"/summary").want(t, http.StatusOK).into(t, &summary)
		v, ok := summary.Metric(metric)
		if !ok {
			t.Fatalf("the run with seed %d has no %s", *j.Seed, metric)
		}
		values = append(values, v)
	}
	return values
}

func testSequentialStudy(t *testing.T, s *service) {
	c := s.register(t)
	square := c.store(t, zipOf(t, "square")).ID
	const members = `"metrics": ["mean_travel_time"], "replications": {"until": {"relative_half_width": 0.04, "max": 20}}`
	planned := c.ask(t, square, members+`, "dry_run": true`)
	if planned.Runs.Planned != 5 || planned.MostRuns != 20 || len(planned.Seeds) != 5 {
		t.Errorf("a dry run says %d of at most %d runs with the seeds %v", planned.Runs.Planned, planned.MostRuns, planned.Seeds)
	}
	made := c.ask(t, square, members)
	// Five runs spread so much that nine are needed, and the spread of those is no larger. A run of SUMO depends on its seed alone.
	ended := c.answered(t, made.StudyID)
	if ended.Status != study.Succeeded || ended.Runs.Succeeded != 9 || ended.Message != "Every point has reached the aim with 9 runs." {
		t.Fatalf("it ended %s with %+v: %s", ended.Status, ended.Runs, ended.Message)
	}
	const quantile = 2.306004135204166 // of Student's t at 0.975 with 8 degrees of freedom
	values := c.values(t, ended, 0, "mean_travel_time")
	sum, squares := 0.0, 0.0
	for _, v := range values {
		sum += v
	}
	mean := sum / 9
	for _, v := range values {
		squares += (v - mean) * (v - mean)
	}
	sd := math.Sqrt(squares / 8)
	half := quantile * sd / 3
	got := c.means(t, ended.StudyID, "")
	if len(got.Statistics) != 1 || got.Statistics[0].N != 9 || len(values) != 9 {
		t.Fatalf("%d runs, %+v", len(values), got.Statistics)
	}
	e := got.Statistics[0]
	for name, pair := range map[string][2]float64{
		"mean": {*e.Mean, mean}, "sd": {*e.SD, sd}, "standard error": {*e.SE, sd / 3}, "half width": {*e.HalfWidth, half},
		"low": {*e.Low, mean - half}, "high": {*e.High, mean + half}, "relative half width": {*e.RelativeHalfWidth, half / mean},
		"min": {*e.Min, slices.Min(values)}, "max": {*e.Max, slices.Max(values)},
	} {
		if math.Abs(pair[0]-pair[1]) > 1e-9*math.Abs(pair[1]) {
			t.Errorf("%s is %v, by hand %v", name, pair[0], pair[1])
		}
	}
	if half > 0.04*mean || *e.Needed > 9 || !strings.Contains(strings.Join(got.Notes, " "), "a little too narrow") {
		t.Errorf("half width %v of %v, needed %d, notes %q", half, mean, *e.Needed, got.Notes)
	}

	var more rest.Study
	c.sendJSON(t, "/studies/"+made.StudyID+"/extend", `{"replications": {"until": {"relative_half_width": 0.03, "max": 12}}}`).
		want(t, http.StatusOK).into(t, &more)
	if more.Status != study.Running || more.MostRuns != 12 {
		t.Errorf("with another aim it is %s with at most %d runs", more.Status, more.MostRuns)
	}
	if ended = c.answered(t, made.StudyID); ended.Runs.Succeeded <= 9 || ended.Runs.Succeeded > 12 {
		t.Errorf("with another aim it ended %+v: %s", ended.Runs, ended.Message)
	}
	c.sendJSON(t, "/studies/"+made.StudyID+"/extend", `{"replications": {"until": {"relative_half_width": 0.03, "max": 12}}}`).
		want(t, http.StatusConflict)
	for query, status := range map[string]int{
		"statistics?metric=mean_speed": 200, "statistics?metric=speed": 400, "statistics?confidence=0.99&relative_half_width=0.001": 200,
		"statistics?confidence=1": 400, "comparison": 400, "comparison?baseline=nobody": 400,
		"comparison?baseline=base": 200, "comparison?baseline=base&metric=mean_speed": 400, "table?metric=speed": 400,
		"table?format=parquet": 200, "table?format=xlsx": 400,
	} {
		c.call(t, "GET", "/studies/"+made.StudyID+"/"+query).want(t, status)
	}
	if twice := c.means(t, made.StudyID, "?metric=mean_speed&metric=mean_speed"); len(twice.Statistics) != 1 {
		t.Errorf("a metric that is asked for twice is there %d times", len(twice.Statistics))
	}
	rival := s.register(t)
	for _, view := range []string{"statistics", "comparison?baseline=base", "table"} {
		rival.call(t, "GET", "/studies/"+made.StudyID+"/"+view).want(t, http.StatusNotFound)
	}
}

// With a limit of one teleport, the two seeds with two of them fail; the others run as they do without.
func testStudyWithFailures(t *testing.T, s *service) {
	c := s.register(t)
	made := c.ask(t, c.store(t, zipOf(t, "square")).ID, `"run": {"end": 600}, "axes": [
		{"name": "patience", "set": "option:time-to-teleport", "values": [20]},
		{"name": "limit", "set": "option:max-num-teleports", "values": [1, 50]}],
		"baseline": {"values": {"limit": 50}}, "metrics": ["mean_travel_time", "teleports"], "replications": {"seeds": "1:6"}`)
	ended := c.answered(t, made.StudyID)
	if ended.Status != study.Incomplete || ended.Points[0].Runs.Failed != 2 || ended.Points[1].Runs.Succeeded != 6 {
		t.Fatalf("it ended %s: %s", ended.Status, ended.Message)
	}
	means := c.means(t, made.StudyID, "")
	differences := c.differences(t, made.StudyID, "")
	for _, fates := range [][]rest.PointFate{means.Points, differences.Points} {
		p := fates[0]
		if !p.Incomplete || p.Missing != 2 || p.Succeeded != 4 || p.Open != 0 ||
			p.Reasons[string(simulation.TooManyTeleports)] != 2 || *p.Teleports > 1 {
			t.Errorf("the point with failures is %+v", p)
		}
		if p := fates[1]; p.Incomplete || p.Succeeded != 6 || *p.Teleports == 0 {
			t.Errorf("the other is %+v", p)
		}
	}
	if e := means.Statistics[0]; e.N != 4 || e.Metric != "mean_travel_time" {
		t.Errorf("of the point with failures %+v", e)
	}
	const missing = "2 of the runs, at 1 of the points, ended without a result."
	if !strings.Contains(strings.Join(means.Notes, " "), missing) || !strings.Contains(strings.Join(differences.Notes, " "), missing) {
		t.Errorf("notes %q and %q", means.Notes, differences.Notes)
	}
	if d := differences.Comparisons[0]; d.Verdict != study.Constant || d.N != 4 || d.Sentence != "Mean travel time of base, patience 20, "+
		"limit 1 against base, patience 20, limit 50: no difference in any of 4 pairs of runs; nothing varies, so there is no test. "+
		"Incomplete: 2 of 6 runs of base, patience 20, limit 1 ended without a result." {
		t.Errorf("the comparison is %+v", d)
	}
	var table status.StudyTable
	c.call(t, "GET", "/studies/"+made.StudyID+"/table?metric=mean_travel_time").want(t, http.StatusOK).into(t, &table)
	failed := slices.DeleteFunc(slices.Clone(table.Rows), func(r status.TableRow) bool { return r.Value != nil })
	if len(table.Rows) != 12 || len(failed) != 2 || failed[0].Reason != string(simulation.TooManyTeleports) || failed[0].Status != "FAILED" {
		t.Errorf("the table has %d rows; without a value %+v", len(table.Rows), failed)
	}
	lines, err := csv.NewReader(strings.NewReader(string(
		c.call(t, "GET", "/studies/"+made.StudyID+"/table?format=csv&metric=teleports&metric=mean_speed").want(t, http.StatusOK).body,
	))).ReadAll()
	if err != nil || len(lines) != 1+12*2 || strings.Join(lines[0], " ") !=
		"point variant axis.patience axis.limit replication seed job_id status reason sumo_version metric value unit" {
		t.Errorf("the CSV has %d lines: %v, %v", len(lines), lines[:1], err)
	}
}

func testStudyWithoutChance(t *testing.T, s *service) {
	c := s.register(t)
	fixed := edited(t, "square", func(name, content string) string {
		if strings.HasSuffix(name, ".rou.xml") {
			return strings.Replace(content, `<vehicle id="0"`, `<vType id="DEFAULT_VEHTYPE" sigma="0" speedDev="0"/><vehicle id="0"`, 1)
		}
		return content
	})
	made := c.ask(t, c.store(t, fixed).ID, `"axes": [{"name": "begin", "set": "begin", "values": [0, 50]}], "baseline": {"values": {"begin": 0}},
		"metrics": ["mean_speed"], "replications": {"until": {"relative_half_width": 0.01, "min": 2, "max": 9}}`)
	ended := c.answered(t, made.StudyID)
	if ended.Status != study.Succeeded || ended.Runs.Succeeded != 4 {
		t.Fatalf("it ended %s with %+v: %s", ended.Status, ended.Runs, ended.Message)
	}
	for _, e := range c.means(t, made.StudyID, "").Statistics {
		if !e.Constant || e.N != 2 || *e.SD != 0 || *e.HalfWidth != 0 {
			t.Errorf("%+v", e)
		}
	}
	d := c.differences(t, made.StudyID, "").Comparisons[0]
	if d.Verdict != study.Constant || d.P != nil || d.Low != nil || !strings.Contains(d.Words, "in each of 2 pairs of runs; nothing varies") {
		t.Errorf("%+v", d)
	}
}

func testStudyOfVersions(t *testing.T, s *service) {
	c := s.register(t)
	made := c.ask(t, c.store(t, zipOf(t, "square")).ID, `"axes": [{"name": "SUMO", "set": "sumo_version", "values": ["1.18", "1.28"]}],
		"baseline": {"values": {"SUMO": "1.18"}}, "replications": {"seeds": [1]}`)
	if ended := c.answered(t, made.StudyID); ended.Status != study.Succeeded {
		t.Fatalf("it ended %s: %s", ended.Status, ended.Message)
	}
	got := c.differences(t, made.StudyID, "?metric=mean_time_loss")
	if notes := strings.Join(got.Notes, " "); !strings.Contains(notes, "different versions of SUMO (1.18") {
		t.Errorf("the notes are %q", notes)
	}
	if d := got.Comparisons[0]; d.Verdict != study.Unknown || d.Difference == nil || d.P != nil || got.Family <= 1 {
		t.Errorf("one seed: %+v in a family of %d", d, got.Family)
	}
	for _, e := range c.means(t, made.StudyID, "").Statistics {
		if e.N > 1 || e.SD != nil || e.Low != nil || e.Needed != nil || e.Constant {
			t.Errorf("one seed has an interval: %+v", e)
		}
	}
}
