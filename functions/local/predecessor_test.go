package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/store/s3"
)

// script makes the calls of the predecessor's scripts, curl lines and Python client, as those make them: every field of a form is text,
// what is unknown is None, answers are read by their keys, and a problem's detail is what people see.
type script struct {
	*service
	key string // as it stands in Authorization
}

// object is an answer as a script reads it.
type object = map[string]any

// send sends what Python's requests does and returns the status with the answer.
func (s *script) send(t *testing.T, method, path string, body io.Reader, headers ...string) (int, object) {
	t.Helper()
	sent := append([]string{"User-Agent: python-requests/2.31.0", "Accept: */*"}, headers...)
	a := s.request(t, method, path, body, sent...)
	var answer object
	if err := json.Unmarshal(a.body, &answer); err != nil {
		t.Fatalf("%s %s: %d %s", method, path, a.status, a.body)
	}
	return a.status, answer
}

func (s *script) tenant(t *testing.T, method, path string, body io.Reader, headers ...string) (int, object) {
	t.Helper()
	return s.send(t, method, path, body, append(headers, "Authorization: "+s.key)...)
}

func (s *script) operator(t *testing.T, method, path, body string) (int, object) {
	t.Helper()
	headers := []string{"X-Admin-Key: " + s.adminKey}
	if body != "" {
		headers = append(headers, "Content-Type: application/json")
	}
	return s.send(t, method, path, strings.NewReader(body), headers...)
}

// submit sends a zip with form fields.
func (s *script) submit(t *testing.T, path, zip string, fields ...[2]string) (int, object) {
	t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for _, f := range fields {
		if err := form.WriteField(f[0], f[1]); err != nil {
			t.Fatal(err)
		}
	}
	w, err := form.CreateFormFile("sumo_files", "scenario.zip")
	if err == nil {
		_, err = io.WriteString(w, zip)
	}
	if err != nil || form.Close() != nil {
		t.Fatal(err)
	}
	return s.tenant(t, "POST", path, bytes.NewReader(body.Bytes()), "Content-Type: "+form.FormDataContentType())
}

func (s *script) submitJSON(t *testing.T, body string) (int, object) {
	t.Helper()
	return s.tenant(t, "POST", "/jobs/s3", strings.NewReader(body), "Content-Type: application/json")
}

// wait polls until a job has finished, as the clients do: they know two ends.
func (s *script) wait(t *testing.T, id string) object {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		status, job := s.tenant(t, "GET", "/jobs/"+id, nil)
		if status != http.StatusOK || time.Now().After(deadline) {
			t.Fatalf("polling %s: %d %v", id, status, job)
		}
		if job["status"] == "SUCCEEDED" || job["status"] == "FAILED" {
			return job
		}
	}
}

// has fails the test for every key that an answer lacks.
func has(t *testing.T, what string, answer any, keys string) object {
	t.Helper()
	fields, ok := answer.(object)
	if !ok {
		t.Fatalf("%s is %v", what, answer)
	}
	for key := range strings.FieldsSeq(keys) {
		if _, ok := fields[key]; !ok {
			t.Errorf("%s lacks %s: %v", what, key, answer)
		}
	}
	return fields
}

// first returns the first of a list that must have one.
func first(t *testing.T, what string, list any) any {
	t.Helper()
	all, ok := list.([]any)
	if !ok || len(all) == 0 {
		t.Fatalf("%s are %v", what, list)
	}
	return all[0]
}

const (
	tenantKeys = "tenant_id namespace api_key max_cpu max_memory_gi max_concurrent_jobs created_at"
	jobKeys    = "job_id status submitted_at started_at finished_at result_location result_files error scenario_id cpu_request memory_gi " +
		"progress reason tenant_id"
)

// TestThePredecessorsScripts makes the calls of the contract's compatible surface in the order in which scripts make them, and compares
// the keys of each answer.
func TestThePredecessorsScripts(t *testing.T) {
	t.Parallel()
	s := &script{service: startService(t)}
	s.client.Timeout = 0 // the stream has no end by time

	t.Run("health", func(t *testing.T) {
		var health, ready object
		s.well(t, "/health").into(t, &health)
		if has(t, "the health", health, "status db_available k8s_available timestamp"); health["status"] != "healthy" {
			t.Errorf("the service is %v", health)
		}
		if s.well(t, "/ready").into(t, &ready); ready["status"] != "ready" {
			t.Errorf("it is %v", ready)
		}
	})
	t.Run("tenants", s.testTenants)
	t.Run("warm-up", s.testWarmup)
	id := ""
	t.Run("a job", func(t *testing.T) { id = s.testJob(t) })
	t.Run("its log", func(t *testing.T) { s.testLog(t, id) })
	t.Run("its results", func(t *testing.T) { s.testResults(t, id) })
	t.Run("a job of files in S3", s.testS3Job)
	t.Run("a job that fails", s.testFailure)
	t.Run("overviews", s.testOverviews)
	t.Run("refusals", s.testRefusals)
}

func (s *script) testTenants(t *testing.T) {
	const body = `{"tenant_id": "city-a", "max_cpu": 10, "max_memory_gi": "32", "max_concurrent_jobs": 5, "plan": "gold"}`
	status, tenant := s.operator(t, "POST", "/auth/register", body)
	has(t, "a new tenant", tenant, tenantKeys)
	if status != http.StatusOK || tenant["max_memory_gi"] != 32.0 || !strings.Contains(fmt.Sprint(tenant["warnings"]), `"plan"`) {
		t.Fatalf("registered as %d %v", status, tenant)
	}
	if status, refusal := s.operator(t, "POST", "/auth/register", body); status != http.StatusConflict || refusal["detail"] == "" {
		t.Errorf("registered again: %d %v", status, refusal)
	}
	old := tenant["api_key"].(string)
	_, tenant = s.operator(t, "POST", "/auth/regenerate-key", `{"tenant_id": "city-a"}`)
	has(t, "a tenant with a new key", tenant, tenantKeys)
	s.key = tenant["api_key"].(string) // bare
	if status, _ := s.send(t, "GET", "/tenants/me/dashboard", nil, "Authorization: Bearer "+old); status != http.StatusUnauthorized {
		t.Errorf("the old key gets %d", status)
	}
	for _, key := range []string{s.key, "Bearer " + s.key} {
		if status, _ := s.send(t, "GET", "/tenants/me/dashboard", nil, "Authorization: "+key); status != http.StatusOK {
			t.Errorf("the new key gets %d", status)
		}
	}
	_, list := s.operator(t, "GET", "/auth/tenants", "")
	has(t, "a listed tenant", first(t, "the tenants", list["tenants"]), tenantKeys)
	_, shown := s.operator(t, "GET", "/auth/tenants/city-a", "")
	if has(t, "a tenant", shown, tenantKeys); shown["api_key"] == s.key {
		t.Error("the key is shown again")
	}
	_, changed := s.operator(t, "PATCH", "/auth/tenants/city-a?max_cpu=20&max_concurrent_jobs=3", "")
	if has(t, "a changed tenant", changed, tenantKeys); changed["max_cpu"] != 20.0 || changed["max_memory_gi"] != 32.0 {
		t.Errorf("changed to %v", changed)
	}
}

func (s *script) testWarmup(t *testing.T) {
	status, warmup := s.operator(t, "POST", "/admin/warmup?cpu_request=2&memory_gi=4&keep_alive_seconds=300", "")
	has(t, "a warm-up", warmup, "status warmup_id job_name namespace cpu_request memory_gi keep_alive_seconds message")
	if status != http.StatusOK || warmup["status"] != "warming_up" {
		t.Fatalf("warmed up: %d %v", status, warmup)
	}
	_, list := s.operator(t, "GET", "/admin/warmup/status", "")
	has(t, "the warm-ups", list, "warmup_jobs simulation_nodes message")
	listed := has(t, "a listed warm-up", first(t, "the warm-ups", list["warmup_jobs"]), "name warmup_id status created_at")
	if listed["warmup_id"] != warmup["warmup_id"] || listed["status"] != "running" {
		t.Errorf("listed as %v", listed)
	}
	has(t, "a node", first(t, "the nodes", list["simulation_nodes"]), "name ready created_at")
	path := "/admin/warmup/" + warmup["warmup_id"].(string)
	status, cancelled := s.operator(t, "DELETE", path, "")
	if has(t, "a cancelled warm-up", cancelled, "status warmup_id"); status != http.StatusOK || cancelled["status"] != "cancelled" {
		t.Errorf("cancelled: %d %v", status, cancelled)
	}
	if status, _ := s.operator(t, "DELETE", path, ""); status != http.StatusNotFound {
		t.Errorf("cancelled again: %d", status)
	}
}

func (s *script) testJob(t *testing.T) (id string) {
	fields := [][2]string{{"scenario_id", "morning"}, {"cpu_request", "2"}, {"memory_gi", "4"}, {"zone", "eu"}}
	status, job := s.submit(t, "/jobs/", zipOf(t, "square"), fields...) // with a slash too many, which redirects
	has(t, "a submission", job, "job_id status config_file")
	if status != http.StatusOK || job["status"] != "QUEUED" || job["config_file"] != "square.sumocfg" {
		t.Fatalf("submitted: %d %v", status, job)
	}
	if warnings := fmt.Sprint(job["warnings"]); !strings.Contains(warnings, `"zone"`) {
		t.Errorf("the warnings are %s", warnings)
	}
	id = job["job_id"].(string)
	done := s.wait(t, id)
	has(t, "a job", done, jobKeys)
	if done["status"] != "SUCCEEDED" || done["error"] != nil || done["scenario_id"] != "morning" || done["cpu_request"] != 2.0 {
		t.Errorf("it ended as %v", done)
	}
	return id
}

func (s *script) testLog(t *testing.T, id string) {
	_, log := s.tenant(t, "GET", "/jobs/"+id+"/logs", nil)
	has(t, "a log", log, "job_id pod_name logs")
	a := s.request(t, "GET", "/jobs/"+id+"/logs/stream", nil, "Accept: */*", "Authorization: "+s.key)
	var read []object
	for line := range strings.Lines(string(a.body)) {
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			var event object
			if err := json.Unmarshal([]byte(data), &event); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			read = append(read, event)
		}
	}
	if len(read) < 3 {
		t.Fatalf("the stream is %s", a.body)
	}
	begin, end := has(t, "the first event", read[0], "pod phase message"), has(t, "the last event", read[len(read)-1], "status message")
	if begin["message"] != "Starting log stream..." || end["status"] != "Succeeded" || end["message"] != "Job succeeded" {
		t.Errorf("the stream begins with %v and ends with %v", begin, end)
	}
	var lines []string
	for _, event := range read[1 : len(read)-1] {
		if event["status"] != nil || len(event) != 1 {
			t.Errorf("a line is %v", event)
		}
		lines = append(lines, fmt.Sprint(event["message"]))
	}
	if whole := strings.Join(lines, "\n") + "\n"; whole != log["logs"] {
		t.Errorf("the stream has %q, the log %q", whole, log["logs"])
	}
}

func (s *script) testResults(t *testing.T, id string) {
	status, results := s.tenant(t, "GET", "/jobs/"+id+"/results", nil)
	has(t, "the results", results, "job_id storage_type result_location result_files files")
	if status != http.StatusOK || results["storage_type"] != "s3" {
		t.Fatalf("the results are %d %v", status, results)
	}
	has(t, "a file", first(t, "the files", results["files"]), "name size url")
	files := has(t, "result_files", results["result_files"], "prefix files uploaded storage_type")
	has(t, "a file", first(t, "result_files", files["files"]), "name size url")

	// boto3: by result_location and name, by prefix and name, and by url.
	location, err := url.Parse(results["result_location"].(string))
	if err != nil || location.Scheme != "s3" {
		t.Fatalf("the results are in %v", results["result_location"])
	}
	store, err := s3.New(s.inputs(location.Host))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range files["files"].([]any) {
		file := f.(object)
		name := file["name"].(string)
		names = append(names, name)
		for _, key := range []string{
			strings.TrimPrefix(location.Path, "/") + name, files["prefix"].(string) + name,
			strings.TrimPrefix(file["url"].(string), "s3://"+location.Host+"/"),
		} {
			if object, err := store.Stat(t.Context(), key); err != nil || float64(object.Size) != file["size"] {
				t.Errorf("%s: %+v, %v", key, object, err)
			}
		}
		a := s.request(t, "GET", "/jobs/"+id+"/results/"+path.Base(name), nil, "Authorization: "+s.key)
		if a.status != http.StatusOK || float64(len(a.body)) != file["size"] {
			t.Errorf("%s by its bare name: %d, %d bytes", name, a.status, len(a.body))
		}
	}
	if !slices.Contains(names, "tripinfo.xml") || !slices.Contains(names, "summary.xml") {
		t.Errorf("the files are %v", names)
	}
}

func (s *script) testS3Job(t *testing.T) {
	store, err := s3.New(s.inputs("old-inputs"))
	if err != nil {
		t.Fatal(err)
	}
	if err := store.EnsureBucket(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, network := range map[string]string{"square.zip": "square", "two.zip": "multi_config"} {
		if _, err := store.Put(t.Context(), name, strings.NewReader(zipOf(t, network)), ""); err != nil {
			t.Fatal(err)
		}
	}
	s.operator(t, "PATCH", "/auth/tenants/city-a", `{"input_buckets": ["old-inputs"]}`)
	long := strings.Repeat("long-", 50)
	status, job := s.submitJSON(t, `{"scenario_id": "`+long+`", "cpu_request": "1", "memory_gi": "1", "sumo_files_s3_url": "s3://old-inputs/square.zip",
		"sumo_files_s3_urls": null, "task_token": "AAAA", "progress_webhook_url": "http://controller.internal/progress",
		"progress_simulation_id": 17, "progress_start_sec": "0", "progress_end_sec": 300, "premium_sim": "true", "region": "eu"}`)
	has(t, "a submission", job, "job_id status config_file")
	if status != http.StatusOK || job["scenario_id"] != long || job["priority"] != "high" || job["cpu_request"] != 1.0 {
		t.Fatalf("submitted: %d %v", status, job)
	}
	for _, want := range []string{"region", "task_token is ignored", "progress_webhook_url is ignored"} {
		if warnings := fmt.Sprint(job["warnings"]); !strings.Contains(warnings, want) {
			t.Errorf("the warnings %s lack %s", warnings, want)
		}
	}
	if done := s.wait(t, job["job_id"].(string)); done["status"] != "SUCCEEDED" {
		t.Errorf("it ended as %v", done)
	}
	status, job = s.submitJSON(t, `{"scenario_id": 17, "sumo_files_s3_urls": ["s3://old-inputs/two.zip"], "task_token": "", "progress_webhook_url": ""}`)
	if status != http.StatusOK || job["scenario_id"] != "17" || job["config_file"] != "evening.sumocfg" {
		t.Errorf("of several configurations: %d %v", status, job)
	}
	s.wait(t, job["job_id"].(string))
}

func (s *script) testFailure(t *testing.T) {
	status, job := s.submit(t, "/jobs", brokenAtRunTime(t), [2]string{"scenario_id", "fails"})
	if status != http.StatusOK {
		t.Fatalf("submitted: %d %v", status, job)
	}
	id := job["job_id"].(string)
	done := s.wait(t, id)
	if text, _ := done["error"].(string); done["status"] != "FAILED" || !strings.Contains(text, "nowhere") {
		t.Errorf("it ended as %v", done)
	}
	_, results := s.tenant(t, "GET", "/jobs/"+id+"/results", nil)
	if has(t, "the results", results, "job_id status results message"); results["results"] != nil {
		t.Errorf("the results are %v", results)
	}
	a := s.request(t, "GET", "/jobs/"+id+"/logs/stream", nil, "Authorization: "+s.key)
	if !strings.Contains(string(a.body), `data: {"status":"Failed","message":"Job failed: `) {
		t.Errorf("the stream ends with %s", a.body[max(0, len(a.body)-500):])
	}
}

func (s *script) testOverviews(t *testing.T) {
	_, dashboard := s.tenant(t, "GET", "/tenants/me/dashboard", nil)
	has(t, "the dashboard", dashboard, "tenant_id plan_limits current_usage running_pods recent_jobs stats")
	has(t, "plan_limits", dashboard["plan_limits"], "max_cpu max_memory_gi max_concurrent_jobs")
	has(t, "stats", dashboard["stats"], "queued pending running succeeded failed")
	has(t, "a recent job", first(t, "recent_jobs", dashboard["recent_jobs"]), "job_id status submitted_at")

	_, cluster := s.operator(t, "GET", "/admin/cluster", "")
	has(t, "the cluster", cluster, "nodes total_nodes")
	has(t, "a node", first(t, "the nodes", cluster["nodes"]), "name status capacity allocatable pods_running created")

	_, jobs := s.operator(t, "GET", "/admin/jobs", "")
	has(t, "all jobs", jobs, "jobs total")
	has(t, "a job", first(t, "all jobs", jobs["jobs"]), jobKeys+" namespace k8s_namespace k8s_job_name k8s_status scenario_data occupies_slot")
	_, failed := s.operator(t, "GET", "/admin/jobs?status=FAILED", "")
	if job := first(t, "failed jobs", failed["jobs"]).(object); job["status"] != "FAILED" {
		t.Errorf("failed is %v", job)
	}
	if status, none := s.operator(t, "GET", "/admin/jobs?status=UNKNOWN", ""); status != http.StatusOK || len(none["jobs"].([]any)) != 0 {
		t.Errorf("an unknown status lists %d %v", status, none)
	}
	_, activity := s.operator(t, "GET", "/admin/activity", "")
	has(t, "the activity", activity, "timestamp nodes pods k8s_jobs db_jobs")
}

// The Python client distinguishes jobs from tenants by the words of a refusal.
func (s *script) testRefusals(t *testing.T) {
	const unknown = "01890a5d-ac96-774b-bcce-b302099a8057"
	zip := zipOf(t, "square")
	key := "Authorization: " + s.key
	for name, tt := range map[string]struct {
		send   func() (int, object)
		status int
		detail string
	}{
		"no key": {func() (int, object) { return s.send(t, "GET", "/jobs/"+unknown, nil) }, 401, "API key"},
		"a wrong key": {
			func() (int, object) { return s.send(t, "GET", "/jobs/"+unknown, nil, "Authorization: Bearer sk-wrong") }, 401, "key",
		},
		"a wrong admin key": {
			func() (int, object) { return s.send(t, "GET", "/admin/jobs", nil, "X-Admin-Key: wrong") }, 401, "admin key",
		},
		"no such job":     {func() (int, object) { return s.tenant(t, "GET", "/jobs/"+unknown, nil) }, 404, "job"},
		"no job's id":     {func() (int, object) { return s.tenant(t, "GET", "/jobs/sim-1", nil) }, 404, "job"},
		"no such log":     {func() (int, object) { return s.tenant(t, "GET", "/jobs/"+unknown+"/logs", nil) }, 404, "job"},
		"no such results": {func() (int, object) { return s.tenant(t, "GET", "/jobs/"+unknown+"/results", nil) }, 404, "job"},
		"no such tenant":  {func() (int, object) { return s.operator(t, "GET", "/auth/tenants/nobody", "") }, 404, "tenant"},
		"no scenario_id":  {func() (int, object) { return s.submit(t, "/jobs", zip) }, 400, "scenario_id"},
		"no zip": {func() (int, object) {
			return s.send(t, "POST", "/jobs", strings.NewReader("scenario_id=x"), key, "Content-Type: application/x-www-form-urlencoded")
		}, 400, "sumo_files"},
		"words for a number": {
			func() (int, object) {
				return s.submit(t, "/jobs", zip, [2]string{"scenario_id", "x"}, [2]string{"cpu_request", "two"})
			}, 400, "cpu_request",
		},
		"more than the tenant may": {
			func() (int, object) {
				return s.submit(t, "/jobs", zip, [2]string{"scenario_id", "x"}, [2]string{"cpu_request", "21"})
			}, 400, "max_cpu",
		},
		"a long name in a form": {
			func() (int, object) {
				return s.submit(t, "/jobs", zip, [2]string{"scenario_id", strings.Repeat("x", 101)})
			}, 400, "scenario_id",
		},
		"no zip at all": {func() (int, object) { return s.submit(t, "/jobs", "text", [2]string{"scenario_id", "x"}) }, 422, "zip"},
		"two addresses": {
			func() (int, object) {
				return s.submitJSON(t, `{"scenario_id": "x", "sumo_files_s3_url": "s3://old-inputs/square.zip", "sumo_files_s3_urls": ["s3://old-inputs/square.zip"]}`)
			}, 400, "sumo_files_s3_urls",
		},
		"no address": {func() (int, object) { return s.submitJSON(t, `{"scenario_id": "x", "sumo_files_s3_urls": []}`) }, 400, "scenario"},
		"another's bucket": {func() (int, object) {
			return s.submitJSON(t, `{"scenario_id": "x", "sumo_files_s3_url": "s3://sumo-k8/x.zip"}`)
		}, 400, "may not read"},
		"no such warm-up":   {func() (int, object) { return s.operator(t, "DELETE", "/admin/warmup/deadbeef", "") }, 404, "warm-up"},
		"too much warmth":   {func() (int, object) { return s.operator(t, "POST", "/admin/warmup?cpu_request=33", "") }, 400, "cpu_request"},
		"a tenant too many": {func() (int, object) { return s.operator(t, "POST", "/auth/register", `{"tenant_id": "city-a"}`) }, 409, "city-a"},
	} {
		status, refusal := tt.send()
		about := strings.Contains(strings.ToLower(fmt.Sprint(refusal)), strings.ToLower(tt.detail))
		if detail, _ := refusal["detail"].(string); status != tt.status || !about || detail == "" {
			t.Errorf("%s: %d %v, want %d about %s", name, status, refusal, tt.status, tt.detail)
		}
	}
}
