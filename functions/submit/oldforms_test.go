package submit_test

import (
	"bytes"
	"encoding/json"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/sumo-k8/sumo-k8/functions/internal/app"
	"github.com/sumo-k8/sumo-k8/functions/internal/testing/served"
	"github.com/sumo-k8/sumo-k8/functions/submit"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	networks "github.com/sumo-k8/sumo-k8/test_networks"
)

// upload submits a zip as old clients do: every field is text.
func (in *installation) upload(t *testing.T, zip []byte, fields ...[2]string) served.Answer {
	t.Helper()
	return in.uploadWith(t, zip, nil, fields...)
}

// uploadWith is upload with further headers.
func (in *installation) uploadWith(t *testing.T, zip []byte, headers []string, fields ...[2]string) served.Answer {
	t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for _, f := range append([][2]string{{"scenario_id", "s"}, {"cpu_request", "1"}, {"memory_gi", "1"}}, fields...) {
		if err := w.WriteField(f[0], f[1]); err != nil {
			t.Fatal(err)
		}
	}
	part, err := w.CreateFormFile("sumo_files", "s.zip")
	if err == nil {
		_, err = part.Write(zip)
	}
	if err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	return in.Call(t, "POST", "/jobs", body.String(), append(headers, "Content-Type: "+w.FormDataContentType(), in.key)...)
}

func TestTheSecretOfAWebhookIsShownToWhoSubmits(t *testing.T) {
	t.Parallel()
	in := install(t, "")
	send := func() (j submit.Submitted) {
		t.Helper()
		body := `{"scenario_id": "s", "cpu_request": 1, "memory_gi": 1, "scenario": "` + in.scenario.Digest + `", "webhook_url": "https://receiver.invalid/"}`
		in.Call(t, "POST", "/jobs/s3", body, "Content-Type: application/json", "Idempotency-Key: once", in.key).Want(t, http.StatusOK).Into(t, &j)
		return j
	}
	first, again := send(), send()
	if !strings.HasPrefix(first.WebhookSecret, "whsec_") || again.WebhookSecret != first.WebhookSecret || again.JobID != first.JobID {
		t.Errorf("shown are %q, then %q of another job %t", first.WebhookSecret, again.WebhookSecret, again.JobID != first.JobID)
	}
	zip, err := networks.ReadyZip("square")
	if err != nil {
		t.Fatal(err)
	}
	var other submit.Submitted
	in.upload(t, zip, [2]string{"webhook_url", "https://receiver.invalid/"}).Want(t, http.StatusOK).Into(t, &other)
	if other.WebhookSecret == "" || other.WebhookSecret == first.WebhookSecret {
		t.Errorf("of a form it is %q", other.WebhookSecret)
	}
	if a := in.upload(t, zip, [2]string{"webhook_url", ""}).Want(t, http.StatusOK); strings.Contains(string(a.Body), "webhook_secret") {
		t.Errorf("without a webhook the answer is %s", a.Body)
	}
}

func TestCallbacksThatAreNotEnabledAreRefusedOrIgnored(t *testing.T) {
	t.Parallel()
	const asked = `, "task_token": "token", "progress_webhook_url": "http://receiver.invalid/", "progress_simulation_id": 17`
	in := install(t, "")
	var p rest.Problem
	in.submit(t, asked).Want(t, http.StatusBadRequest).Into(t, &p)
	if len(p.Errors) != 2 || p.Errors[0].Location != "body.task_token" || p.Errors[1].Location != "body.progress_webhook_url" ||
		strings.Contains(p.Detail, "token\"") {
		t.Errorf("refused with %+v", p)
	}
	in.job(t, `, "task_token": "", "progress_webhook_url": "", "webhook_url": "", "progress_simulation_id": ""`)
	in.job(t, `, "task_token": null, "progress_webhook_url": null, "webhook_url": null, "progress_simulation_id": null`)

	in.parts.Config.LegacyCallbacks = "ignore"
	in.Function = served.Serve(t, in.parts, "submit")
	j := in.job(t, asked)
	if len(j.Warnings) != 2 || j.TaskToken != "token" || !strings.HasPrefix(j.Warnings[0], "task_token is ignored") {
		t.Errorf("accepted as %+v", j)
	}
	stored, err := in.parts.DB.Job(t.Context(), "acme", j.JobID)
	if err != nil || stored.AnswersTask || stored.ProgressWebhook != nil || !slices.Equal(stored.Warnings, j.Warnings) {
		t.Errorf("stored as %+v, %v", stored, err)
	}
}

func TestCallbacksThatAreEnabledAreKept(t *testing.T) {
	t.Parallel()
	in := install(t, "", func(p *app.Parts) { p.Config.TaskRegion = "eu-central-1" })
	j := in.job(t, `, "task_token": "token", "progress_webhook_url": "https://receiver.invalid/", "progress_simulation_id": 17.0,
		"progress_start_sec": "10", "end": "50"`)
	stored, err := in.parts.DB.Job(t.Context(), "acme", j.JobID)
	if err != nil || !stored.AnswersTask || stored.ProgressWebhook == nil || len(j.Warnings) > 0 {
		t.Fatalf("stored as %+v, %v", stored, err)
	}
	if p := stored.ProgressWebhook; p.SimulationID != "17" || *p.StartSec != 10 || p.EndSec != nil || *p.Begin != 0 || *p.End != 50 {
		t.Errorf("the progress webhook is %+v", p)
	}
}

func TestTheFirstOfSeveralConfigurationsRunsForOldClients(t *testing.T) {
	t.Parallel()
	in := install(t, "")
	zip, err := networks.ReadyZip("multi_config")
	if err != nil {
		t.Fatal(err)
	}
	var j submit.Submitted
	in.upload(t, zip).Want(t, http.StatusOK).Into(t, &j)
	if j.ConfigFile != "evening.sumocfg" || len(j.Warnings) != 1 || !strings.Contains(j.Warnings[0], "morning.sumocfg") {
		t.Errorf("runs %s with the warnings %q", j.ConfigFile, j.Warnings)
	}
	var chosen submit.Submitted
	in.upload(t, zip, [2]string{"config_file", "morning.sumocfg"}).Want(t, http.StatusOK).Into(t, &chosen)
	if chosen.ConfigFile != "morning.sumocfg" || len(chosen.Warnings) != 0 {
		t.Errorf("chosen is %s, with the warnings %q", chosen.ConfigFile, chosen.Warnings)
	}
	body := `{"scenario_id": "s", "scenario": "` + j.Scenario + `"}`
	var p rest.Problem
	in.Call(t, "POST", "/jobs/s3", body, "Content-Type: application/json", in.key).Want(t, http.StatusUnprocessableEntity).Into(t, &p)
	if p.Code != problem.ScenarioInvalid || !strings.Contains(p.Detail, "evening.sumocfg, morning.sumocfg") {
		t.Errorf("a stored scenario is refused with %+v", p)
	}
}

func TestOldClientsWriteNumbersAndTextsAsTheyLike(t *testing.T) {
	t.Parallel()
	in := install(t, "")
	body := func(name any, more string) string {
		text, err := json.Marshal(name)
		if err != nil {
			t.Fatal(err)
		}
		return `{"scenario_id": ` + string(text) + `, "scenario": "` + in.scenario.Digest + `"` + more + `}`
	}
	send := func(body string) served.Answer {
		t.Helper()
		return in.Call(t, "POST", "/jobs/s3", body, "Content-Type: application/json", in.key)
	}
	var j rest.Job
	send(body(2026, `, "cpu_request": "2", "memory_gi": "3", "premium_sim": "true", "zone": "eu", "task_token": ""`)).Want(t, http.StatusOK).Into(t, &j)
	if j.ScenarioID != "2026" || j.CPURequest != 2 || j.MemoryGi != 3 || j.Priority != "high" ||
		len(j.Warnings) != 1 || !strings.Contains(j.Warnings[0], `"zone"`) {
		t.Errorf("read as %+v", j)
	}
	send(body("s", `, "cpu_request": 2.5`)).Want(t, http.StatusOK).Into(t, &j)
	if j.CPURequest != 2 || len(j.Warnings) != 1 || !strings.Contains(j.Warnings[0], "2.5 is read as 2") {
		t.Errorf("a part of a core is read as %+v", j)
	}
	for length, status := range map[int]int{0: http.StatusBadRequest, 101: http.StatusOK, 500: http.StatusOK, 501: http.StatusBadRequest} {
		name := strings.Repeat("\U0010FFFF", length) // as many bytes as there can be
		if a := send(body(name, "")); a.Status != status {
			t.Errorf("a scenario_id of %d characters answers %d: %s", length, a.Status, a.Body)
		}
	}
	zip, err := networks.ReadyZip("square")
	if err != nil {
		t.Fatal(err)
	}
	in.upload(t, zip, [2]string{"zone", "eu"}).Want(t, http.StatusOK).Into(t, &j)
	if len(j.Warnings) != 1 || !strings.Contains(j.Warnings[0], `"zone"`) {
		t.Errorf("a form is read with the warnings %q", j.Warnings)
	}
	for name, more := range map[string]string{
		"both addresses":      `, "sumo_files_s3_url": "s3://b/k.zip", "sumo_files_s3_urls": ["s3://b/k.zip"]`,
		"two sources":         `, "sumo_files_s3_urls": ["s3://b/k.zip"]`,
		"words for a number":  `, "cpu_request": "two"`,
		"less than a core":    `, "cpu_request": 0.5`,
		"too many, as a text": `, "cpu_request": "33"`,
	} {
		if a := send(body("s", more)); a.Status != http.StatusBadRequest {
			t.Errorf("%s: answers %d: %s", name, a.Status, a.Body)
		}
	}
	if a := send(`{"scenario_id": "s", "sumo_files_s3_url": "", "sumo_files_s3_urls": []}`); a.Status != http.StatusBadRequest {
		t.Errorf("no source answers %d: %s", a.Status, a.Body)
	}
}
