package app

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/config"
	"github.com/sumo-k8/sumo-k8/pkg/delivery"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/store/postgres"
	"github.com/sumo-k8/sumo-k8/pkg/store/s3"
)

func TestWebhooksReachWhatTheOperatorAllows(t *testing.T) {
	t.Parallel()
	allow := []string{"hooks.internal", "10.20.0.0/16", "127.0.0.1"}
	submit := Parts{Config: config.Config{Webhooks: true, WebhookAllow: allow}, DB: &postgres.DB{}}.submit()
	for use, c := range map[string]job.Callbacks{"submissions": submit.Intake.Callbacks, "webhooks": submit.Webhooks.Callbacks} {
		for addr, want := range map[string]bool{
			"10.20.1.1": true, "127.0.0.1": true, "1.1.1.1": true, "10.21.1.1": false, "[fd00::1]": false, "169.254.169.254": false,
		} {
			if fault := c.URLFault("https://" + addr + "/"); (fault == "") != want {
				t.Errorf("the URL of %s in %s %q, want it accepted: %t", addr, use, fault, want)
			}
		}
	}
}

func TestChannelsAreOffUnlessEnabled(t *testing.T) {
	t.Parallel()
	off := Parts{}
	if off.poster() != nil || off.tasks() != nil {
		t.Error("there are channels without WEBHOOKS and STEP_FUNCTIONS_REGION")
	}
	on := Parts{Config: config.Config{Webhooks: true, TaskRegion: "eu-central-1"}}
	if on.poster() == nil || on.tasks() == nil {
		t.Error("there are no channels with WEBHOOKS and STEP_FUNCTIONS_REGION")
	}
}

// TestATaskGetsTheResultsOfGetJobs holds what a state machine gets against what GET /jobs/{id} shows.
func TestATaskGetsTheResultsOfGetJobs(t *testing.T) {
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_CONFIG_FILE": os.DevNull,
		"AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
	} {
		t.Setenv(name, value)
	}
	var output struct {
		JobID    string          `json:"job_id"`
		Status   string          `json:"status"`
		Location *string         `json:"result_location"`
		Files    json.RawMessage `json:"result_files"`
	}
	machine := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var call struct{ Output string }
		if err := json.NewDecoder(r.Body).Decode(&call); err != nil {
			t.Error(err)
		}
		if err := json.Unmarshal([]byte(call.Output), &output); err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		_, _ = io.WriteString(w, "{}")
	}))
	t.Cleanup(machine.Close)
	objects, err := s3.New(s3.Config{Endpoint: "http://unused.invalid", Bucket: "sumo-k8", AccessKey: "unused", SecretKey: "unused"})
	if err != nil {
		t.Fatal(err)
	}
	p := Parts{Config: config.Config{TaskRegion: "eu-central-1", TaskEndpoint: machine.URL}, Objects: objects}
	files := []job.ResultFile{{Name: "log.txt", Size: 7}}
	a := p.tasks().End(t.Context(), delivery.Delivery{
		Task:  &delivery.Task{Token: "token", Namespace: "sumo-acme", Results: files},
		Event: delivery.Event{Job: delivery.Job{ID: "j-1", State: job.Succeeded}},
	})
	if a.Error != "" {
		t.Fatal(a.Error)
	}
	shown := rest.JobOf(job.Job{ID: "j-1", ResultsKey: "results/sumo-acme/j-1/", State: job.Succeeded, Results: files}, objects.URL)
	want, err := json.Marshal(shown.ResultFiles)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(output.Files)); diff != "" {
		t.Errorf("result_files (-want +got):\n%s", diff)
	}
	if output.JobID != "j-1" || output.Status != "SUCCEEDED" || *output.Location != "s3://sumo-k8/results/sumo-acme/j-1/" {
		t.Errorf("the output is %+v", output)
	}
}
