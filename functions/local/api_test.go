package main

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/functions/auth"
	"github.com/sumo-k8/sumo-k8/functions/logs"
	"github.com/sumo-k8/sumo-k8/functions/status"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	networks "github.com/sumo-k8/sumo-k8/test_networks"
)

// TestAPI sends every kind of request to one service over HTTP, and checks each answer against the OpenAPI document.
func TestAPI(t *testing.T) {
	t.Parallel()
	s := startService(t)
	t.Run("calls", func(t *testing.T) {
		for name, test := range map[string]func(*testing.T, *service){
			"a job runs from upload to results":          testWholePath,
			"every ready network succeeds":               testReadyNetworks,
			"every broken scenario gets its answer":      testBrokenScenarios,
			"a failed run says why and keeps its log":    testFailedRun,
			"a running job is cancelled with its output": testCancelRunning,
			"a queued job is cancelled at once":          testCancelQueued,
			"a run is stopped at its timeout":            testTimeout,
			"jobs are listed page by page":               testListing,
			"results are downloaded one by one or all":   testResults,
			"jobs are compared metric by metric":         testComparison,
			"a manifest says what made a run":            testManifest,
			"views agree with SUMO's own files":          testViews,
			"views say what was not asked for":           testViewsOfLittle,
			"tables agree with SUMO's own files":         testTables,
			"a study has tables of all its runs":         testStudyTables,
			"counts are compared with a run":             testCounts,
			"a request waits for a change":               testWaiting,
			"a finished job is retried and purged":       testRetryAndPurge,
			"a tenant is deleted with all it has":        testTenantDeletion,
			"limits hold jobs back":                      testLimits,
			"forms are checked field by field":           testForms,
			"an idempotency key makes one job":           testIdempotency,
			"inputs come from allowed buckets":           testS3Inputs,
			"scenarios are stored, run and deleted":      testScenarios,
			"scenarios are listed page by page":          testScenarioListing,
			"a zip is checked without keeping it":        testScenarioValidation,
			"large zips go to the store directly":        testDirectUploads,
			"one of many identical requests acts":        testManyAtOnce,
			"a derived scenario runs like a whole one":   testDerivedScenarios,
			"a study runs each point with each seed":     testStudies,
			"a study asked again is in the cache":        testCachedStudy,
			"a job asked again is in the cache":          testCachedJob,
			"a cancelled study is run again":             testStudyRunAgain,
			"a study counts edges and classes":           testStudyDetails,
			"a study goes on until its aim":              testSequentialStudy,
			"a study shows the runs that failed":         testStudyWithFailures,
			"numbers that do not vary say so":            testStudyWithoutChance,
			"versions that are compared are pointed out": testStudyOfVersions,
			"another tenant's scenario is not there":     testScenarioIsolation,
			"tenants are registered and changed":         testTenants,
			"keys are replaced":                          testKeys,
			"the predecessor's tenants and jobs come in": testImport,
			"calls without a key are refused":            testUnauthorized,
			"another tenant's job is not there":          testIsolation,
			"a run is watched while it goes on":          testReplay,
			"recordings are what SUMO writes":            testReplayOfOutput,
			"the runs of a study are recorded":           testRecordedStudy,
			"a log stream resumes where it ended":        testStreamResumes,
			"webhooks are kept and their deliveries":     testWebhooks,
			"operators see everything":                   testAdmin,
			"each version on offer runs":                 testVersions,
			"a check finds what SUMO says":               testCheckJob,
			"a scenario's own outputs keep their names":  testOwnOutputs,
			"health and documentation are public":        testPublic,
			"unknown paths and methods are explained":    testUnknown,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				test(t, s)
			})
		}
	})
	for _, operation := range s.checker.Operations {
		if len(s.checker.Seen(operation.ID)) == 0 {
			t.Errorf("no test called the operation %s", operation.ID)
		}
	}
}

func testWholePath(t *testing.T, s *service) {
	c := s.register(t)
	accepted := c.submit(t, "corridor", [2]string{"cpu_request", "1"}, [2]string{"memory_gi", "1"}, [2]string{"task_token", "tok"})
	if accepted.Status != job.Queued || accepted.ConfigFile != "corridor.sumocfg" || accepted.TaskToken != "tok" {
		t.Errorf("accepted as %+v", accepted)
	}
	messages, progress, last := c.follow(t, accepted.JobID, "")
	if last.Status != string(job.Succeeded) {
		t.Fatalf("the stream ended with %+v after %d lines", last, len(messages))
	}
	if len(messages) < 5 || len(progress) == 0 {
		t.Errorf("the stream had %d lines and %d progress events", len(messages), len(progress))
	}
	j := c.job(t, accepted.JobID)
	if j.Status != job.Succeeded || j.Progress != 1 || j.Error != nil || j.StartedAt == nil || j.FinishedAt == nil || j.Version == "" {
		t.Errorf("the finished job is %+v", j)
	}

	var results status.Results
	c.call(t, "GET", "/jobs/"+j.JobID+"/results").want(t, http.StatusOK).into(t, &results)
	files := map[string][]byte{}
	for _, f := range results.Files {
		response, err := http.Get(f.URL)
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || response.StatusCode != http.StatusOK || int64(len(content)) != f.Size {
			t.Errorf("downloading %s: status %d, %d bytes of %d, %v", f.Name, response.StatusCode, len(content), f.Size, err)
		}
		files[f.Name] = content
	}
	for _, name := range []string{simulation.LogFile, simulation.SummaryFile, "summary.xml", "tripinfo.xml", "statistics.xml"} {
		if len(files[name]) == 0 {
			t.Errorf("the results lack %s; there are %d files", name, len(files))
		}
	}
	var summary simulation.Summary
	if err := json.Unmarshal(files[simulation.SummaryFile], &summary); err != nil {
		t.Fatal(err)
	}
	if n, _ := summary.Metric("vehicles_inserted"); n != 1530 {
		t.Errorf("the summary says %v vehicles, want 1530", n)
	}
	if got := strings.Count(string(files["tripinfo.xml"]), "<tripinfo "); got != 1530 {
		t.Errorf("tripinfo.xml has %d trips, want 1530", got)
	}

	var snapshot logs.Snapshot
	c.call(t, "GET", "/jobs/"+j.JobID+"/logs").want(t, http.StatusOK).into(t, &snapshot)
	if diff := cmp.Diff(string(files[simulation.LogFile]), snapshot.Logs); diff != "" {
		t.Errorf("the log differs from the stored one:\n%s", diff)
	}
	if diff := cmp.Diff(strings.Split(strings.TrimSuffix(snapshot.Logs, "\n"), "\n"), linesOf(messages)); diff != "" {
		t.Errorf("the stream differs from the log:\n%s", diff)
	}

	var dashboard status.Dashboard
	c.call(t, "GET", "/tenants/me/dashboard").want(t, http.StatusOK).into(t, &dashboard)
	if dashboard.Stats.Succeeded != 1 || len(dashboard.RecentJobs) != 1 || dashboard.CurrentUsage.ConcurrentJobs != 0 {
		t.Errorf("the dashboard says %+v", dashboard)
	}
}

func testReadyNetworks(t *testing.T, s *service) {
	c := s.register(t, `"max_concurrent_jobs": 4`)
	ids := map[string]string{}
	for _, network := range networks.Ready() {
		if network == "multi_config" {
			first := c.submit(t, network)
			if first.ConfigFile != "evening.sumocfg" || len(first.Warnings) != 1 || !strings.Contains(first.Warnings[0], "morning.sumocfg") {
				t.Errorf("of several configurations %s runs, with the warnings %q", first.ConfigFile, first.Warnings)
			}
			p := c.post(t, [][2]string{{"scenario_id", network}, {"scenario", first.Scenario}}).want(t, http.StatusUnprocessableEntity).problem(t)
			if !strings.Contains(p.Detail, "morning.sumocfg") || !strings.Contains(p.Detail, "evening.sumocfg") {
				t.Errorf("several configurations: the answer does not list them: %s", p.Detail)
			}
			for _, config := range []string{"morning.sumocfg", "evening.sumocfg"} {
				ids[config] = c.submit(t, network, [2]string{"config_file", config}).JobID
			}
			continue
		}
		ids[network] = c.submit(t, network).JobID
	}
	for name, id := range ids {
		if j := c.finish(t, id); j.Status != job.Succeeded {
			t.Errorf("%s ended %s: %v", name, j.Status, deref(j.Error))
		}
	}
}

func testBrokenScenarios(t *testing.T, s *service) {
	c := s.register(t)
	for _, broken := range networks.Broken() {
		zip, err := broken.Zip()
		if err != nil {
			t.Fatal(err)
		}
		a := c.post(t, [][2]string{{"scenario_id", broken.File}, {"@sumo_files", string(zip)}})
		if a.status != broken.Status {
			t.Errorf("%s answered %d, want %d: %s", broken.File, a.status, broken.Status, a.body)
			continue
		}
		p := a.problem(t)
		if p.Code != broken.Code {
			t.Errorf("%s has the code %s, want %s", broken.File, p.Code, broken.Code)
		}
		if missing := broken.Missing(p.Detail, p.Errors); len(missing) > 0 {
			t.Errorf("%s: the answer lacks %+v; it has %+v", broken.File, missing, p.Errors)
		}
	}
	var dashboard status.Dashboard
	c.call(t, "GET", "/tenants/me/dashboard").into(t, &dashboard)
	if len(dashboard.RecentJobs) != 0 {
		t.Errorf("refused scenarios made %d jobs", len(dashboard.RecentJobs))
	}
}

// brokenAtRunTime passes every check that works without SUMO: its net is well-formed and empty.
func brokenAtRunTime(t *testing.T) string {
	return edited(t, "square", func(name, content string) string {
		if strings.HasSuffix(name, ".rou.xml") {
			return strings.Replace(content, `edges="`, `edges="nowhere `, 1)
		}
		return content
	})
}

// edited returns a ready network with its files changed.
func edited(t *testing.T, network string, edit func(name, content string) string) string {
	t.Helper()
	zip, err := networks.Edited(network, edit)
	if err != nil {
		t.Fatal(err)
	}
	return string(zip)
}

func readEntry(t *testing.T, f *zip.File) string {
	t.Helper()
	r, err := f.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	content, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func testFailedRun(t *testing.T, s *service) {
	c := s.register(t)
	var j rest.Job
	c.post(t, [][2]string{{"scenario_id", "fails"}, {"@sumo_files", brokenAtRunTime(t)}}).want(t, http.StatusOK).into(t, &j)
	j = c.finish(t, j.JobID)
	if j.Status != job.Failed || j.Reason == "" || !strings.Contains(deref(j.Error), "nowhere") {
		t.Errorf("ended %s, reason %q, error %q", j.Status, j.Reason, deref(j.Error))
	}
	var snapshot logs.Snapshot
	c.call(t, "GET", "/jobs/"+j.JobID+"/logs").into(t, &snapshot)
	if !strings.Contains(snapshot.Logs, "nowhere") {
		t.Errorf("the log does not name the fault: %s", snapshot.Logs)
	}
	var results status.Results
	c.call(t, "GET", "/jobs/"+j.JobID+"/results").into(t, &results)
	if results.Results != nil || results.Message == "" || !results.Partial {
		t.Errorf("the results of a failed run are %+v", results)
	}
	c.call(t, "DELETE", "/jobs/"+j.JobID).want(t, http.StatusConflict)
}

// endless runs until it is stopped.
func endless(t *testing.T) string {
	t.Helper()
	zip, err := networks.Endless()
	if err != nil {
		t.Fatal(err)
	}
	return string(zip)
}

func (c *tenantClient) submitEndless(t *testing.T, fields ...[2]string) rest.Job {
	t.Helper()
	var j rest.Job
	c.post(t, append([][2]string{{"scenario_id", "endless"}, {"@sumo_files", endless(t)}}, fields...)).want(t, http.StatusOK).into(t, &j)
	return j
}

// early checks that a call for what only the end of a job brings is refused while the job has not ended.
func (c *tenantClient) early(t *testing.T, call func(id string) answer, fields ...[2]string) {
	t.Helper()
	j := c.submitEndless(t, fields...)
	call(j.JobID).want(t, http.StatusConflict)
	c.call(t, "DELETE", "/jobs/"+j.JobID).want(t, http.StatusOK)
}

func testCancelRunning(t *testing.T, s *service) {
	c := s.register(t)
	j := c.submitEndless(t)
	c.await(t, j.JobID, running)
	c.call(t, "DELETE", "/jobs/"+j.JobID).want(t, http.StatusOK)
	j = c.finish(t, j.JobID)
	if j.Status != job.Cancelled || j.Reason != simulation.Cancelled {
		t.Errorf("ended %s with reason %s", j.Status, j.Reason)
	}
	var results status.Results
	c.call(t, "GET", "/jobs/"+j.JobID+"/results").want(t, http.StatusOK).into(t, &results)
	if !results.Partial || results.Results != nil || len(results.Files) == 0 {
		t.Errorf("what the run had written is offered as %+v", results)
	}
	packed := c.call(t, "GET", "/jobs/"+j.JobID+"/results.zip").want(t, http.StatusOK)
	if name := packed.header.Get("Content-Disposition"); !strings.HasSuffix(name, `-partial.zip"`) {
		t.Errorf("the zip is called %s", name)
	}
	c.call(t, "DELETE", "/jobs/"+j.JobID).want(t, http.StatusOK) // repeating it is no error
}

func testCancelQueued(t *testing.T, s *service) {
	c := s.register(t, `"max_concurrent_jobs": 1`)
	first := c.submitEndless(t)
	second := c.submitEndless(t)
	var j rest.Job
	c.call(t, "DELETE", "/jobs/"+second.JobID).want(t, http.StatusOK).into(t, &j)
	if j.Status != job.Cancelled {
		t.Errorf("the queued job is %s", j.Status)
	}
	c.call(t, "DELETE", "/jobs/"+first.JobID).want(t, http.StatusOK)
	c.finish(t, first.JobID)
}

func testTimeout(t *testing.T, s *service) {
	c := s.register(t)
	j := c.submitEndless(t, [2]string{"timeout_seconds", "2"})
	j = c.finish(t, j.JobID)
	if j.Status != job.Failed || j.Reason != simulation.DeadlineExceeded || j.ResultFiles == nil {
		t.Errorf("ended %s with reason %s and results %v", j.Status, j.Reason, j.ResultFiles)
	}
}

func testLimits(t *testing.T, s *service) {
	c := s.register(t, `"max_concurrent_jobs": 3`, `"max_cpu": 4`, `"max_memory_gi": 6`)
	p := c.post(
		t, [][2]string{{"scenario_id", "big"}, {"cpu_request", "5"}, {"@sumo_files", zipOf(t, "square")}},
	).want(t, http.StatusBadRequest).problem(t)
	if !strings.Contains(p.Detail, "max_cpu") {
		t.Errorf("the refusal does not name the limit: %s", p.Detail)
	}
	var ids []string
	for range 6 {
		ids = append(ids, c.submit(t, "square", [2]string{"cpu_request", "2"}, [2]string{"memory_gi", "2"}).JobID)
	}
	for _, id := range ids {
		c.await(t, id, func(j rest.Job) bool {
			var d status.Dashboard
			c.call(t, "GET", "/tenants/me/dashboard").into(t, &d)
			if d.Stats.Pending+d.Stats.Running > 2 {
				t.Errorf("%d jobs of 2 cores are active under a limit of 4 cores", d.Stats.Pending+d.Stats.Running)
			}
			return j.Status == job.Succeeded
		})
	}
	s.admin(t, "PATCH", "/auth/tenants/"+c.id+"?max_cpu=1", "").want(t, http.StatusOK)
	p = c.call(t, "POST", "/jobs/"+ids[0]+"/retry").want(t, http.StatusBadRequest).problem(t)
	if !strings.Contains(p.Detail, "max_cpu of 1") {
		t.Errorf("a retry beyond the new limit is answered %q", p.Detail)
	}
}

func testForms(t *testing.T, s *service) {
	c := s.register(t)
	square := [2]string{"@sumo_files", zipOf(t, "square")}
	for name, test := range map[string]struct {
		fields   [][2]string
		location string
	}{
		"no scenario_id":        {[][2]string{square}, "body"},
		"an empty scenario_id":  {[][2]string{{"scenario_id", ""}, square}, "body"},
		"a long scenario_id":    {[][2]string{{"scenario_id", strings.Repeat("x", 101)}, square}, "body.scenario_id"},
		"words for a number":    {[][2]string{{"scenario_id", "x"}, {"cpu_request", "two"}, square}, "body.cpu_request"},
		"too many cores":        {[][2]string{{"scenario_id", "x"}, {"cpu_request", "33"}, square}, "body.cpu_request"},
		"no memory":             {[][2]string{{"scenario_id", "x"}, {"memory_gi", "0"}, square}, "body.memory_gi"},
		"an unknown output":     {[][2]string{{"scenario_id", "x"}, {"outputs", "fcd,video"}, square}, "body.outputs[1]"},
		"an unknown SUMO":       {[][2]string{{"scenario_id", "x"}, {"sumo_version", "0.1"}, square}, "body.sumo_version"},
		"end before begin":      {[][2]string{{"scenario_id", "x"}, {"begin", "10"}, {"end", "5"}, square}, "body.end"},
		"neither zip nor URL":   {[][2]string{{"scenario_id", "x"}}, "body.sumo_files"},
		"fields behind the zip": {[][2]string{square, {"scenario_id", "x"}, {"cpu_request", "33"}}, "body.cpu_request"},
	} {
		p := c.post(t, test.fields).want(t, http.StatusBadRequest).problem(t)
		found := false
		for _, item := range p.Errors {
			found = found || item.Location == test.location
		}
		if !found {
			t.Errorf("%s: no fault at %s in %+v", name, test.location, p)
		}
	}
	for name, fields := range map[string][][2]string{
		"zip and URL":   {{"scenario_id", "x"}, square, {"sumo_files_s3_url", "s3://a-bucket/b.zip"}},
		"two zips":      {{"scenario_id", "x"}, square, square},
		"a field twice": {{"scenario_id", "x"}, {"seed", "1"}, {"seed", "2"}, square},
	} {
		if a := c.post(t, fields); a.status != http.StatusBadRequest {
			t.Errorf("%s answered %d: %s", name, a.status, a.body)
		}
	}
	auth := "Authorization: Bearer " + c.key
	c.request(t, "POST", "/jobs", strings.NewReader("{}"), auth, "Content-Type: application/json").want(t, http.StatusBadRequest)
	c.request(
		t, "POST", "/jobs", strings.NewReader("--x\r\n"), auth, "Content-Type: multipart/form-data; boundary=x",
	).want(t, http.StatusBadRequest)
	c.request(
		t, "POST", "/jobs", strings.NewReader("scenario_id=x"), auth, "Content-Type: application/x-www-form-urlencoded",
	).want(t, http.StatusBadRequest)
}

func testIdempotency(t *testing.T, s *service) {
	c := s.register(t)
	fields := [][2]string{{"scenario_id", "once"}, {"@sumo_files", zipOf(t, "square")}}
	var first, second rest.Job
	c.post(t, fields, "Idempotency-Key: k1").want(t, http.StatusOK).into(t, &first)
	again := c.post(t, fields, "Idempotency-Key: k1").want(t, http.StatusOK)
	again.into(t, &second)
	if second.JobID != first.JobID || again.header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("the repeated request made job %s beside %s", second.JobID, first.JobID)
	}
	fields[0][1] = "another"
	if p := c.post(t, fields, "Idempotency-Key: k1").want(t, http.StatusUnprocessableEntity).problem(t); p.Code != problem.KeyReused {
		t.Errorf("the code is %s", p.Code)
	}
	if j := c.finish(t, first.JobID); j.Scenario != second.Scenario {
		t.Error("one upload is two scenarios")
	}
}

func testTenants(t *testing.T, s *service) {
	var made, changed auth.Tenant
	s.admin(t, "POST", "/auth/register", `{"tenant_id": "Verkehrsamt Süd"}`).want(t, http.StatusBadRequest)
	s.admin(t, "POST", "/auth/register", `{"tenant_id": "City of Ulm"}`).want(t, http.StatusOK).into(t, &made)
	want := auth.Tenant{TenantID: "City of Ulm", MaxCPU: 32, MaxMemoryGi: 128, MaxJobs: 2, InputBuckets: []string{}}
	if diff := cmp.Diff(
		want,
		auth.Tenant{
			TenantID: made.TenantID, MaxCPU: made.MaxCPU, MaxMemoryGi: made.MaxMemoryGi, MaxJobs: made.MaxJobs, InputBuckets: made.InputBuckets,
		},
	); diff != "" {
		t.Error(diff)
	}
	if !strings.HasPrefix(made.APIKey, "sk-") || len(made.APIKey) < 40 {
		t.Errorf("the key is %q", made.APIKey)
	}
	if p := s.admin(
		t, "POST", "/auth/register", `{"tenant_id": "City of Ulm"}`,
	).want(t, http.StatusConflict).problem(t); p.Code != problem.Exists {
		t.Errorf("the code is %s", p.Code)
	}
	path := "/auth/tenants/" + url.PathEscape("City of Ulm")
	s.admin(t, "PATCH", path+"?max_cpu=8", "").want(t, http.StatusOK)
	s.admin(t, "PATCH", path, `{"max_concurrent_jobs": 5, "input_buckets": ["traffic-data/ulm/"]}`).want(t, http.StatusOK).into(t, &changed)
	if changed.MaxCPU != 8 || changed.MaxJobs != 5 || len(changed.InputBuckets) != 1 {
		t.Errorf("changed to %+v", changed)
	}
	if strings.Contains(changed.APIKey, made.APIKey) || changed.APIKey == "" {
		t.Errorf("the key is not masked: %q", changed.APIKey)
	}
	for _, bad := range []struct{ query, body string }{
		{"", "{}"}, {"", ""}, {"?max_cpu=0", ""}, {"?max_cpu=1001", ""}, {"?max_cpu=many", ""}, {"?max_cpu=3", `{"max_cpu": 4}`},
		{"", `{"max_cpus": 4}`},
		{"", `{"input_buckets": ["traffic/ulm"]}`}, {"", `{"input_buckets": ["traffic/ulm/../"]}`}, {"", `{"input_buckets": ["traffic/../"]}`},
		{"", `{"input_buckets": ["traffic/./ulm/"]}`}, {"", `{"input_buckets": ["traffic/a\u0000b/"]}`},
		{"", `{"input_buckets": ["traffic/a\nb/"]}`},
		{"", `{"input_buckets": ["traffic/` + strings.Repeat("x", 1024) + `/"]}`}, {"", `{"input_buckets": ["open", "sumo-k8"]}`},
		{"", `{"input_buckets": ["sumo-k8/results/"]}`}, {"", `{"input_buckets": ["Sumo-K8"]}`},
	} {
		s.admin(t, "PATCH", path+bad.query, bad.body).want(t, http.StatusBadRequest)
	}
	s.admin(t, "PATCH", "/auth/tenants/nobody?max_cpu=8", "").want(t, http.StatusNotFound)
	s.admin(t, "GET", "/auth/tenants/nobody", "").want(t, http.StatusNotFound)
	s.admin(t, "GET", path, "").want(t, http.StatusOK)
	var list struct{ Tenants []auth.Tenant }
	s.admin(t, "GET", "/auth/tenants", "").want(t, http.StatusOK).into(t, &list)
	if len(list.Tenants) == 0 {
		t.Error("the list is empty")
	}
	for _, bad := range []string{"", "[]", "{", `{"tenant_id": true}`, `{}`, `{"tenant_id": "a/b"}`, `{"tenant_id": "x", "max_cpu": 0}`, `{"tenant_id": "x", "max_memory_gi": 5001}`,
		`{"tenant_id": "x", "input_buckets": ["sumo-k8/"]}`, `{"tenant_id": "x", "input_buckets": ["a-bucket/../"]}`} {
		s.admin(t, "POST", "/auth/register", bad).want(t, http.StatusBadRequest)
	}
}

func testKeys(t *testing.T, s *service) {
	c := s.register(t)
	var replaced auth.Tenant
	s.admin(t, "POST", "/auth/regenerate-key", fmt.Sprintf(`{"tenant_id": %q}`, c.id)).want(t, http.StatusOK).into(t, &replaced)
	c.call(t, "GET", "/tenants/me/dashboard").want(t, http.StatusUnauthorized)
	for _, header := range []string{"Bearer " + replaced.APIKey, replaced.APIKey, "bearer " + replaced.APIKey} {
		s.request(t, "GET", "/tenants/me/dashboard", nil, "Authorization: "+header).want(t, http.StatusOK)
	}
	for _, header := range []string{
		"Bearer", "Bearer ", "sk-", "Basic abc", "Bearer sk-" + strings.Repeat("0", 45), "Bearer " + mistyped(replaced.APIKey),
	} {
		a := s.request(t, "GET", "/tenants/me/dashboard", nil, "Authorization: "+header).want(t, http.StatusUnauthorized)
		if a.header.Get("WWW-Authenticate") == "" {
			t.Errorf("%q: no WWW-Authenticate", header)
		}
	}
	s.admin(t, "POST", "/auth/regenerate-key", `{"tenant_id": "nobody"}`).want(t, http.StatusNotFound)
}

var tenantCalls = [][2]string{
	{"GET", "/jobs/%s"}, {"GET", "/jobs/%s/events"}, {"GET", "/jobs/%s/logs"}, {"GET", "/jobs/%s/logs/stream"}, {"GET", "/jobs/%s/results"},
	{"GET", "/jobs/%s/results/log.txt"},
	{"GET", "/scenarios/%s"}, {"DELETE", "/scenarios/%s"}, {"POST", "/scenarios/uploads/%s/complete"}, {"DELETE", "/scenarios/uploads/%s"},
	{"GET", "/jobs/%s/results.zip"}, {"GET", "/jobs/%s/summary"}, {"GET", "/jobs/compare?ids=%s,01890a5d-ac96-774b-bcce-b302099a8058"},
	{"POST", "/jobs/%s/counts"}, {"POST", "/jobs/%s/counts/scatter.svg"},
	{"POST", "/jobs/%s/retry"}, {"DELETE", "/jobs/%s?purge=true"}, {"DELETE", "/jobs/%s"},
}

var adminCalls = [][2]string{
	{"POST", "/auth/register"}, {"POST", "/auth/regenerate-key"}, {"GET", "/auth/tenants"}, {"GET", "/auth/tenants/x"},
	{"PATCH", "/auth/tenants/x"},
	{"DELETE", "/auth/tenants/x"},
	{"GET", "/admin/cluster"}, {"GET", "/admin/jobs"}, {"GET", "/admin/activity"}, {"POST", "/admin/warmup"}, {"GET", "/admin/warmup/status"},
	{"DELETE", "/admin/warmup/x"}, {"POST", "/reconcile"},
}

func testUnauthorized(t *testing.T, s *service) {
	c := s.register(t)
	calls := append([][2]string{{"POST", "/jobs"}, {"POST", "/jobs/s3"}, {"GET", "/jobs"}, {"GET", "/tenants/me/dashboard"}}, adminCalls...)
	for _, call := range tenantCalls {
		calls = append(calls, [2]string{call[0], fmt.Sprintf(call[1], "x")})
	}
	for _, call := range calls {
		s.request(t, call[0], call[1], nil).want(t, http.StatusUnauthorized)
	}
	for _, call := range adminCalls {
		s.request(t, call[0], call[1], nil, "X-Admin-Key: wrong").want(t, http.StatusUnauthorized)
		s.request(t, call[0], call[1], nil, "Authorization: Bearer "+c.key).want(t, http.StatusUnauthorized)
	}
}

func testIsolation(t *testing.T, s *service) {
	owner, other := s.register(t), s.register(t)
	j := owner.submit(t, "square")
	for _, call := range tenantCalls {
		for _, id := range []string{j.JobID, "01890a5d-ac96-774b-bcce-b302099a8057", "no-such-id", "%00", strings.Repeat("9", 300)} {
			if p := other.call(t, call[0], fmt.Sprintf(call[1], id)).want(t, http.StatusNotFound).problem(t); p.Code != problem.NotFound {
				t.Errorf("%s %s: the code is %s", call[0], call[1], p.Code)
			}
		}
	}
	if j := owner.finish(t, j.JobID); j.Status != job.Succeeded {
		t.Errorf("the job ended %s", j.Status)
	}
}

func testAdmin(t *testing.T, s *service) {
	c := s.register(t)
	c.finish(t, c.submit(t, "square", [2]string{"task_token", "secret-token"}).JobID)
	jobs := s.admin(t, "GET", "/admin/jobs?status=SUCCEEDED", "").want(t, http.StatusOK)
	var list struct {
		Jobs  []status.AdminJob
		Total int
	}
	jobs.into(t, &list)
	if list.Total == 0 || len(list.Jobs) == 0 || list.Jobs[0].Status != job.Succeeded {
		t.Errorf("the list has %d of %d jobs", len(list.Jobs), list.Total)
	}
	if bytes.Contains(jobs.body, []byte("secret-token")) {
		t.Error("the operator's list shows a tenant's task token")
	}
	s.admin(t, "GET", "/admin/jobs", "").want(t, http.StatusOK)
	s.admin(t, "GET", "/admin/jobs?status=DONE", "").want(t, http.StatusOK)
	var cluster struct {
		Nodes      []auth.Node `json:"nodes"`
		TotalNodes int         `json:"total_nodes"`
	}
	s.admin(t, "GET", "/admin/cluster", "").want(t, http.StatusOK).into(t, &cluster)
	if cluster.TotalNodes != 1 || len(cluster.Nodes[0].Status) != 1 || cluster.Nodes[0].Capacity["cpu"] == "" {
		t.Errorf("the cluster is %+v", cluster)
	}
	var activity auth.Activity
	s.admin(t, "GET", "/admin/activity", "").want(t, http.StatusOK).into(t, &activity)
	if activity.Nodes != 1 || activity.DBJobs[job.Succeeded] == 0 {
		t.Errorf("the activity is %+v", activity)
	}
	var stats status.ServiceStats
	s.admin(t, "GET", "/admin/stats?minutes=30", "").want(t, http.StatusOK).into(t, &stats)
	var total status.Minute
	for _, m := range stats.Buckets {
		total.Submitted, total.Started, total.Finished = total.Submitted+m.Submitted, total.Started+m.Started, total.Finished+m.Finished
	}
	if len(stats.Buckets) != 30 || total.Submitted == 0 || total.Started == 0 || total.Finished == 0 {
		t.Errorf("the totals of %d minutes are %+v", len(stats.Buckets), total)
	}
	s.admin(t, "GET", "/admin/stats?minutes=0", "").want(t, http.StatusBadRequest)
	waiting := s.register(t, `"max_concurrent_jobs": 1`)
	held := []string{waiting.submitEndless(t).JobID, waiting.submitEndless(t).JobID}
	waiting.await(t, held[0], func(j rest.Job) bool { return j.Status != job.Queued })
	var queue status.Queue
	s.admin(t, "GET", "/admin/queue", "").want(t, http.StatusOK).into(t, &queue)
	i := slices.IndexFunc(queue.Tenants, func(q status.TenantQueue) bool { return q.TenantID == waiting.id })
	if i < 0 || queue.Tenants[i].Queued != 1 || queue.Tenants[i].Pending+queue.Tenants[i].Running != 1 ||
		queue.Tenants[i].MaxConcurrentJobs != 1 ||
		queue.Tenants[i].OldestWait <= 0 || queue.OldestWait < queue.Tenants[i].OldestWait || queue.Queued < 1 {
		t.Errorf("the queue is %+v", queue)
	}
	for _, id := range held {
		waiting.call(t, "DELETE", "/jobs/"+id).want(t, http.StatusOK)
	}
	s.admin(t, "POST", "/admin/warmup?cpu_request=99", "").want(t, http.StatusBadRequest)
	s.admin(t, "DELETE", "/admin/warmup/w1", "").want(t, http.StatusNotFound)
	s.admin(t, "POST", "/reconcile?window_seconds=0", "").want(t, http.StatusOK)
}

func testPublic(t *testing.T, s *service) {
	var health rest.HealthReport
	s.well(t, "/health").into(t, &health)
	if health.Status != "healthy" || !health.DBAvailable || !health.StorageAvailable || health.K8sAvailable ||
		time.Since(health.Timestamp) > time.Minute {
		t.Errorf("health is %+v", health)
	}
	s.well(t, "/ready").into(t, &health)
	if health.Status != "ready" {
		t.Errorf("ready is %+v", health)
	}
	document := s.request(t, "GET", "/openapi.json", nil).want(t, http.StatusOK)
	var openapi struct{ OpenAPI string }
	document.into(t, &openapi)
	if openapi.OpenAPI != "3.1.0" {
		t.Errorf("the document is OpenAPI %q", openapi.OpenAPI)
	}
	page := s.request(t, "GET", "/docs", nil).want(t, http.StatusOK)
	for _, operation := range s.checker.Operations {
		if !bytes.Contains(page.body, []byte(`id="`+operation.ID+`"`)) {
			t.Errorf("the page lacks the operation %s", operation.ID)
		}
	}
	for _, loads := range []string{"src=", "<link", "@import", "<script", `href="http`} {
		if bytes.Contains(page.body, []byte(loads)) {
			t.Errorf("the page loads an external resource: it has %s", loads)
		}
	}
	chosen := s.request(t, "GET", "/health", nil, "X-Request-Id: mine-1")
	if got := chosen.header.Get("X-Request-Id"); got != "mine-1" {
		t.Errorf("the request id is %q", got)
	}
}

func testUnknown(t *testing.T, s *service) {
	if p := s.request(t, "GET", "/nothing/here", nil).want(t, http.StatusNotFound).problem(t); !strings.Contains(p.Detail, "/docs") {
		t.Errorf("the detail is %q", p.Detail)
	}
	for _, path := range []string{"/jobs//logs", "//health", "/jobs/x/../health", "/./health"} {
		s.request(t, "GET", path, nil).want(t, http.StatusNotFound).problem(t)
	}
	a := s.request(t, "PUT", "/auth/register", nil).want(t, http.StatusMethodNotAllowed)
	if a.header.Get("Allow") != "POST" || a.header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("the headers are %v", a.header)
	}
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
