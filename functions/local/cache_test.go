package main

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/functions/status"
	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/store/s3"
	"github.com/sumo-k8/sumo-k8/pkg/study"
)

// under lists the objects at an s3:// address.
func (s *service) under(t testing.TB, address string) (keys []string) {
	t.Helper()
	at, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	store, err := s3.New(s.inputs(at.Host))
	if err != nil {
		t.Fatal(err)
	}
	err = store.List(t.Context(), strings.TrimPrefix(at.Path, "/"), func(o artifact.Object) bool {
		keys = append(keys, o.Key)
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

const cachedStudy = `"axes": [{"name": "demand", "set": "scale", "values": [0.5, 1]}], "run": {"outputs": ["edgedata"]},
	"replications": {"seeds": "1:3"}`

func testCachedStudy(t *testing.T, s *service) {
	c, rival := s.register(t), s.register(t)
	square := c.store(t, zipOf(t, "square")).ID
	numbers := func(id string) string {
		a := c.call(t, "GET", "/studies/"+id+"/statistics").want(t, http.StatusOK)
		return strings.ReplaceAll(string(a.body), id, "")
	}
	ran := c.answered(t, c.ask(t, square, cachedStudy).StudyID)
	if ran.Status != study.Succeeded || ran.Runs.Cached != 0 || ran.CoreSeconds <= 0 {
		t.Fatalf("the first study ended %+v", ran.StudySummary)
	}

	// Asked again, with one seed more: only that one runs.
	more := `"axes": [{"name": "demand", "set": "scale", "values": [0.5, 1]}], "run": {"outputs": ["edgedata", "summary"], "strict": true},
		"replications": {"seeds": "1:4"}`
	dry := c.ask(t, square, more+`, "dry_run": true`)
	if dry.Runs.Cached != 6 || dry.Runs.Planned != 8 || dry.Estimate.Forecast == nil {
		t.Errorf("a dry run says %+v, %v", dry.Runs, dry.Estimate.Forecast)
	}
	if fresh := c.ask(t, square, more+`, "dry_run": true, "cache": "off"`); fresh.Runs.Cached != 0 ||
		dry.Estimate.CoreSeconds > fresh.Estimate.CoreSeconds/3 {
		t.Errorf("with the cache it takes %v core-seconds, without %v", dry.Estimate.CoreSeconds, fresh.Estimate.CoreSeconds)
	}
	again := c.answered(t, c.ask(t, square, more).StudyID)
	if again.Status != study.Succeeded || again.Runs.Succeeded != 8 || again.Runs.Cached != 6 {
		t.Fatalf("asked again, the study ended %+v", again.StudySummary)
	}
	same := c.answered(t, c.ask(t, square, cachedStudy).StudyID)
	if same.Runs.Cached != 6 || same.CoreSeconds != 0 {
		t.Errorf("the same study ended %+v", same.StudySummary)
	}
	var list struct{ Studies []rest.StudySummary }
	c.call(t, "GET", "/studies?limit=1").want(t, http.StatusOK).into(t, &list)
	if len(list.Studies) != 1 || list.Studies[0].StudyID != same.StudyID || list.Studies[0].Runs.Cached != 6 {
		t.Errorf("the latest study is listed as %+v", list.Studies)
	}
	if diff := cmp.Diff(numbers(ran.StudyID), numbers(same.StudyID)); diff != "" {
		t.Errorf("statistics of the same study (-ran +cached):\n%s", diff)
	}
	c.call(t, "GET", "/studies/"+same.StudyID+"/edgedata?attribute=speed").want(t, http.StatusOK)

	runs := map[string]rest.Job{}
	for _, j := range c.runsOf(t, ran.StudyID, "") {
		runs[j.JobID] = j
	}
	cached := c.runsOf(t, same.StudyID, "")
	for _, j := range cached {
		if j.CachedFrom == nil || runs[*j.CachedFrom].JobID == "" || *runs[*j.CachedFrom].Seed != *j.Seed {
			t.Fatalf("a run of the same study is %+v", j)
		}
		m, of := c.manifest(t, j.JobID), c.manifest(t, *j.CachedFrom)
		if m.CachedFrom != *j.CachedFrom || !of.Compare(m).Same {
			t.Errorf("the manifest of a run from the cache is %+v", m)
		}
	}
	var events struct{ Events []status.Event }
	c.call(t, "GET", "/jobs/"+cached[0].JobID+"/events").want(t, http.StatusOK).into(t, &events)
	if len(events.Events) != 2 || events.Events[1].To != job.Succeeded {
		t.Errorf("the events of a run from the cache are %+v", events.Events)
	}
	c.call(t, "GET", "/jobs/"+cached[0].JobID+"/logs").want(t, http.StatusOK)

	// Others do not see it, and who wants it new gets it new.
	other := rival.answered(t, rival.ask(t, rival.store(t, zipOf(t, "square")).ID, cachedStudy).StudyID)
	fresh := c.answered(t, c.ask(t, square, cachedStudy+`, "cache": "refresh"`).StudyID)
	if other.Runs.Cached != 0 || fresh.Runs.Cached != 0 || fresh.Runs.Succeeded != 6 {
		t.Errorf("another tenant's study ended %+v, a refreshed one %+v", other.Runs, fresh.Runs)
	}
	latest := c.runsOf(t, c.answered(t, c.ask(t, square, cachedStudy).StudyID).StudyID, "")
	if len(latest) != 6 || latest[0].CachedFrom == nil || runs[*latest[0].CachedFrom].JobID != "" {
		t.Errorf("after a refresh, a run is %+v", latest[0])
	}

	// What the cache was made of goes when the last who has it goes.
	file := func(id string) int {
		return c.call(t, "GET", "/jobs/"+id+"/results.zip").status
	}
	c.call(t, "DELETE", "/studies/"+ran.StudyID+"?purge=true").want(t, http.StatusOK)
	if at := file(cached[0].JobID); at != http.StatusOK {
		t.Errorf("with the first study purged, results from the cache answer %d", at)
	}
	c.call(t, "DELETE", "/studies/"+again.StudyID+"?purge=true").want(t, http.StatusOK)
	c.call(t, "GET", "/studies/"+same.StudyID+"/edgedata?attribute=speed").want(t, http.StatusOK)
	location := *c.job(t, cached[0].JobID).ResultLocation
	c.call(t, "DELETE", "/studies/"+same.StudyID+"?purge=true").want(t, http.StatusOK)
	if left := s.under(t, location); len(left) > 0 {
		t.Errorf("with the last study purged, %d results are left: %v", len(left), left)
	}
}

func testCachedJob(t *testing.T, s *service) {
	c := s.register(t)
	square := c.store(t, zipOf(t, "square")).ID
	run := func(fields ...[2]string) rest.Job {
		var j rest.Job
		c.post(t, append([][2]string{{"scenario_id", "one"}, {"scenario", square}}, fields...)).want(t, http.StatusOK).into(t, &j)
		return c.finish(t, j.JobID)
	}
	use := [2]string{"cache", "use"}
	if j := run(); j.CachedFrom != nil {
		t.Errorf("the first job is %+v", j)
	}
	first := run(use) // what ran with the cache off is not in it
	if first.CachedFrom != nil {
		t.Fatalf("the first job with the cache is from %s", *first.CachedFrom)
	}
	second := run(use, [2]string{"seed", "23423"}, [2]string{"timeout_seconds", "99"}, [2]string{"cpu_request", "1"}) // SUMO's own seed
	if second.CachedFrom == nil || *second.CachedFrom != first.JobID || second.Status != job.Succeeded {
		t.Errorf("the same job again is %+v", second)
	}
	if j := run(use, [2]string{"seed", "1"}); j.CachedFrom != nil {
		t.Errorf("another seed is from %s", *j.CachedFrom)
	}
	c.call(t, "DELETE", "/jobs/"+first.JobID+"?purge=true").want(t, http.StatusOK)
	third := run(use)
	if third.CachedFrom == nil || *third.CachedFrom != first.JobID || c.metrics(t, third.JobID) != c.metrics(t, second.JobID) {
		t.Errorf("after the first job is purged, the same is %+v", third)
	}
	c.call(t, "DELETE", "/jobs/"+second.JobID+"?purge=true").want(t, http.StatusOK)
	location := *third.ResultLocation
	c.call(t, "DELETE", "/jobs/"+third.JobID+"?purge=true").want(t, http.StatusOK)
	if left := s.under(t, location); len(left) > 0 {
		t.Errorf("after the last job is purged, there are %v", left)
	}
	if j := run(use); j.CachedFrom != nil {
		t.Errorf("after all are purged, the same is from %s", *j.CachedFrom)
	}
}
