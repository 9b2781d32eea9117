package submit_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sumo-k8/sumo-k8/functions/internal/testing/served"
	"github.com/sumo-k8/sumo-k8/infra/local/localtest"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/store/s3"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
	networks "github.com/sumo-k8/sumo-k8/test_networks"
)

// A request whose first answer was lost is answered again whatever has become of limits, settings, scenarios, inputs and studies, also
// where the same request would be refused today.
func TestARepeatedRequestIsAnsweredAsTheFirstTime(t *testing.T) {
	t.Parallel()
	in := install(t, "")
	inputs := localtest.Bucket(t)
	bucket, err := s3.New(inputs)
	if err != nil {
		t.Fatal(err)
	}
	zip, err := networks.ReadyZip("cross")
	if err == nil {
		_, err = bucket.Put(t.Context(), "cross.zip", bytes.NewReader(zip), "")
	}
	if err == nil {
		_, err = in.parts.DB.UpdateTenant(t.Context(), "acme", tenant.Patch{InputBuckets: &[]string{inputs.Bucket}})
	}
	if err != nil {
		t.Fatal(err)
	}
	var stored rest.Scenario
	in.Call(t, "POST", "/scenarios", string(zip), in.key).Want(t, http.StatusOK).Into(t, &stored)
	post := func(path, body string) func(...string) served.Answer {
		return func(headers ...string) served.Answer {
			return in.Call(t, "POST", path, strings.ReplaceAll(body, "SCENARIO", in.scenario.Digest), append(headers, in.key, jsonType)...)
		}
	}
	form := func(headers ...string) served.Answer {
		return in.uploadWith(t, zip, headers, [2]string{"timeout_seconds", "7200"}, [2]string{"webhook_url", "https://receiver.invalid/"})
	}
	var finished rest.Job
	form().Want(t, http.StatusOK).Into(t, &finished)
	cancel := func(path, id string) { in.Call(t, "DELETE", path+id, "", in.key).Want(t, http.StatusOK) }
	cancel("/jobs/", finished.JobID)
	type asked struct {
		name, member string // which names what was made
		send         func(...string) served.Answer
		first        served.Answer
	}
	var all []asked
	begin := func(name, member string, status int, send func(...string) served.Answer) (id string) {
		t.Helper()
		first := send("Idempotency-Key: "+name).Want(t, status)
		if first.Header.Get("Idempotent-Replayed") != "" {
			t.Errorf("%s: the first answer has the headers %v", name, first.Header)
		}
		all = append(all, asked{name, member, send, first})
		return made(t, first, member)
	}
	jobs := []string{
		begin("a form", "job_id", http.StatusOK, form),
		begin("a job of a stored scenario", "job_id", http.StatusOK,
			post("/jobs/s3", `{"scenario_id": "s", "timeout_seconds": 7200, "scenario": "`+stored.ID+`"}`)),
		begin("a job of files in S3", "job_id", http.StatusOK,
			post("/jobs/s3", `{"scenario_id": "s", "timeout_seconds": 7200, "sumo_files_s3_url": "s3://`+inputs.Bucket+`/cross.zip"}`)),
		begin("a retry", "job_id", http.StatusOK, post("/jobs/"+finished.JobID+"/retry", "")),
	}
	study := begin("a study", "study_id", http.StatusOK, post("/studies", fmt.Sprintf(signals, "")))
	begin("an extension", "study_id", http.StatusOK, post("/studies/"+study+"/extend", `{"replications": {"seeds": "1:12"}}`))
	cancel("/studies/", study)
	if _, err := in.parts.DB.StepStudies(t.Context()); err != nil {
		t.Fatal(err)
	}
	begin("a retry of a study", "study_id", http.StatusOK, post("/studies/"+study+"/retry", ""))
	begin("an upload", "upload_id", http.StatusOK, post("/scenarios/uploads", fmt.Sprintf(`{"size": %d}`, 2<<20)))
	begin("a webhook", "webhook_id", http.StatusCreated, post("/webhooks", `{"url": "https://receiver.invalid/"}`))

	for _, id := range append(jobs, finished.JobID) {
		cancel("/jobs/", id)
	}
	in.Call(t, "DELETE", "/jobs/"+finished.JobID+"?purge=true", "", in.key).Want(t, http.StatusOK)
	cancel("/scenarios/", stored.ID)
	if err := bucket.Delete(t.Context(), "cross.zip"); err != nil {
		t.Fatal(err)
	}
	two := 2
	if _, err := in.parts.DB.UpdateTenant(t.Context(), "acme", tenant.Patch{MaxMemoryGi: &two, InputBuckets: &[]string{}}); err != nil {
		t.Fatal(err)
	}
	c := &in.parts.Config
	c.Webhooks, c.MaxUploadMiB, c.MaxTimeout, c.DefaultTimeout, c.MaxQueuedJobs = false, 1, time.Hour, time.Hour, 0
	in.Function = served.Serve(t, in.parts, "submit")

	for _, a := range all {
		again := a.send("Idempotency-Key: " + a.name)
		if again.Status != a.first.Status || made(t, again, a.member) != made(t, a.first, a.member) ||
			again.Header.Get("Idempotent-Replayed") != "true" {
			t.Errorf("%s: repeated, it is answered with %d, %s", a.name, again.Status, again.Body)
		}
		if fresh := a.send("Idempotency-Key: fresh " + a.name); fresh.Status < 400 {
			t.Errorf("%s: it is possible now as before: %s", a.name, fresh.Body)
		}
	}
	// A key is of its request only, also where that request is refused before its upload.
	other := in.uploadWith(t, zip, []string{"Idempotency-Key: a form"}, [2]string{"timeout_seconds", "7201"})
	var p rest.Problem
	if other.Want(t, http.StatusUnprocessableEntity).Into(t, &p); p.Code != problem.KeyReused {
		t.Errorf("another form with the same key answers %+v", p)
	}
}

// made is the member of an answer that names what was made; empty for a refusal.
func made(t *testing.T, a served.Answer, member string) string {
	t.Helper()
	var fields map[string]any
	if err := json.Unmarshal(a.Body, &fields); err != nil {
		t.Fatalf("%s: %v", a.Body, err)
	}
	id, _ := fields[member].(string)
	return id
}
