package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/sumo-k8/sumo-k8/infra/local/localtest"
	"github.com/sumo-k8/sumo-k8/pkg/delivery"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// request is what came to a receiver.
type request struct {
	at     time.Time
	path   string
	header http.Header
	body   []byte
}

// receiver is a web server on which each path stands for another kind of receiver.
type receiver struct {
	*httptest.Server
	mu  sync.Mutex
	got []request
}

func startReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{}
	ended := make(chan struct{})
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		r.mu.Lock()
		r.got = append(r.got, request{time.Now(), req.URL.Path, req.Header, body})
		r.mu.Unlock()
		switch req.URL.Path {
		case "/fails":
			http.Error(w, "it does not work", http.StatusInternalServerError)
		case "/hangs":
			<-ended
		case "/redirects":
			http.Redirect(w, req, "http://169.254.169.254/latest/meta-data/", http.StatusTemporaryRedirect)
		case "/floods":
			chunk := bytes.Repeat([]byte("x"), 1<<20)
			for range 1 << 10 {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		}
	}))
	t.Cleanup(func() { close(ended); r.Close() })
	return r
}

// on returns what came to a path.
func (r *receiver) on(path string) []request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(r.got), func(one request) bool { return one.path != path })
}

// stateMachine speaks the part of AWS Step Functions' API (JSON 1.0) that answers task tokens.
type stateMachine struct {
	*httptest.Server
	mu    sync.Mutex
	calls map[string][]map[string]any // by action and token
}

func startStateMachine(t *testing.T) *stateMachine {
	t.Helper()
	m := &stateMachine{calls: map[string][]map[string]any{}}
	m.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var input map[string]any
		_ = json.NewDecoder(r.Body).Decode(&input)
		action := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "AWSStepFunctions.")
		m.mu.Lock()
		defer m.mu.Unlock()
		key := fmt.Sprint(action, " ", input["taskToken"])
		m.calls[key] = append(m.calls[key], input)
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		_, _ = io.WriteString(w, "{}")
	}))
	t.Cleanup(m.Close)
	return m
}

func (m *stateMachine) called(action, token string) []map[string]any {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.calls[action+" "+token])
}

// awaitThat waits for is.
func awaitThat(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %s", what, patience)
		}
	}
}

// TestTheEndOfAJobReachesThoseWhoWait has every kind of receiver of one service, whose operator allows this machine's own address.
func TestTheEndOfAJobReachesThoseWhoWait(t *testing.T) {
	t.Parallel()
	r, machine := startReceiver(t), startStateMachine(t)
	p := startProgram(
		t, localtest.Folder(t), "WEBHOOK_HTTP=true", "WEBHOOK_ALLOW=127.0.0.1", "WEBHOOK_SHARED_TOKEN=shared",
		"WEBHOOK_TOKEN_HOSTS="+strings.TrimPrefix(r.URL, "http://"),
		"STEP_FUNCTIONS_REGION=eu-central-1", "STEP_FUNCTIONS_ENDPOINT="+machine.URL, "AWS_ACCESS_KEY_ID=x", "AWS_SECRET_ACCESS_KEY=y",
	)
	for name, test := range map[string]func(*testing.T, *tenantClient, *receiver, *stateMachine){
		"each receiver gets its events":        testReceivers,
		"a submission names its own webhook":   testShortForm,
		"a state machine gets the job's end":   testTaskTokens,
		"progress comes as the predecessor's":  testOldProgress,
		"a paused webhook catches up, in turn": testPausedWebhook,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, p.register(t), r, machine)
		})
	}
}

// addWebhook makes a webhook and returns its id and its secret.
func (c *tenantClient) addWebhook(t *testing.T, body string) (id, secret string) {
	t.Helper()
	var made struct {
		WebhookID string `json:"webhook_id"`
		Secret    string `json:"secret"`
	}
	c.request(
		t, "POST", "/webhooks", strings.NewReader(body), "Authorization: Bearer "+c.key, "Content-Type: application/json",
	).want(t, http.StatusCreated).into(t, &made)
	return made.WebhookID, made.Secret
}

func (c *tenantClient) deliveries(t *testing.T, query string) []rest.Delivery {
	t.Helper()
	var page struct {
		Deliveries []rest.Delivery `json:"deliveries"`
	}
	c.call(t, "GET", "/webhooks/deliveries?"+query).want(t, http.StatusOK).into(t, &page)
	return page.Deliveries
}

func testReceivers(t *testing.T, c *tenantClient, r *receiver, _ *stateMachine) {
	secrets, ids := map[string]string{}, map[string]string{}
	for _, path := range []string{"/works", "/fails", "/hangs", "/redirects", "/floods", "/events"} {
		format := map[bool]string{true: "cloudevents", false: "standard"}[path == "/events"]
		ids[path], secrets[path] = c.addWebhook(t, fmt.Sprintf(`{"url": %q, "format": %q}`, r.URL+path, format))
	}
	began := time.Now()
	long, j := c.submitEndless(t), c.submit(t, "square")
	c.await(t, long.JobID, running) // of a run that is over in no time nobody hears that it began
	c.call(t, "DELETE", "/jobs/"+long.JobID).want(t, http.StatusOK)
	c.finish(t, long.JobID)
	c.finish(t, j.JobID)

	// What became of each delivery of job.finished.
	want := map[string]string{
		"/works": "DELIVERED 200 ", "/events": "DELIVERED 200 ", "/floods": "DELIVERED 200 ",
		"/fails": "WAITING 500 The receiver answered 500 (Internal Server Error).",
		"/hangs": "WAITING 0 The receiver did not answer within 10s.",
		"/redirects": "WAITING 307 The receiver answered 307 (Temporary Redirect). Redirects are not followed: change the webhook's URL to " +
			"the one that it redirects to.",
	}
	ended := func() map[string]string {
		got := map[string]string{}
		for path := range want {
			for _, d := range c.deliveries(t, "limit=200&webhook_id="+ids[path]) {
				if d.AttemptedAt != nil && (d.Event == delivery.JobFinished || got[path] == "" && path != "/works") {
					got[path] = fmt.Sprint(d.State, " ", d.ResponseStatus, " ", d.Error)
				}
			}
		}
		return got
	}
	deadline := time.Now().Add(patience - 10*time.Second) // shows what differs before awaitThat gives up
	awaitThat(t, "every receiver has had its attempt", func() bool { return cmp.Equal(want, ended()) || time.Now().After(deadline) })
	if diff := cmp.Diff(want, ended()); diff != "" {
		t.Errorf("the deliveries (-want +got):\n%s", diff)
	}

	awaitThat(t, "the one that works has everything of both jobs", func() bool {
		finished := 0
		for _, d := range c.deliveries(t, "limit=200&webhook_id="+ids["/works"]) {
			if d.State != delivery.Delivered {
				return false
			}
			if d.Event == delivery.JobFinished {
				finished++
			}
		}
		return finished == 2
	})
	var types []string
	for _, one := range r.on("/works") {
		hook, err := standardwebhooks.NewWebhook(secrets["/works"])
		if err != nil {
			t.Fatal(err)
		}
		if err := hook.Verify(one.body, one.header); err != nil {
			t.Errorf("the signature is wrong: %v", err)
		}
		var message rest.WebhookMessage
		if err := json.Unmarshal(one.body, &message); err != nil {
			t.Fatal(err)
		}
		if message.Data.JobID == long.JobID {
			types = append(types, string(message.Type))
			continue
		}
		if s := message.Data.Summary; message.Type == delivery.JobFinished && (s == nil || !slices.ContainsFunc(
			s.Metrics, func(m simulation.Metric) bool { return m.Name == "vehicles_inserted" && m.Value == 32 },
		)) {
			t.Errorf("job.finished has the summary %+v", s)
		}
	}
	slices.Sort(types)
	if diff := cmp.Diff([]string{"job.finished", "job.queued", "job.running"}, slices.Compact(types)); diff != "" {
		t.Errorf("the events (-want +got):\n%s", diff)
	}
	for path := range maps.Keys(want) {
		got := r.on(path)
		if len(got) == 0 {
			t.Errorf("nothing came to %s", path)
			continue
		}
		t.Logf("%-10s %d requests, the first after %.2f s, %s", path, len(got), got[0].at.Sub(began).Seconds(), got[0].header["Content-Type"])
	}
	for _, d := range c.deliveries(t, "limit=200&state=DELIVERED&webhook_id="+ids["/works"]) {
		if late := d.AttemptedAt.Sub(d.CreatedAt); late > 9*time.Second { // the one that hangs has 10 s
			t.Errorf("%s was delivered after %s, beside a receiver that hangs", d.Event, late)
		}
	}
	again := c.deliveries(t, "state=DELIVERED&webhook_id="+ids["/works"])[0]
	before := len(r.on("/works"))
	c.call(t, "POST", "/webhooks/deliveries/"+again.DeliveryID+"/redeliver").want(t, http.StatusOK)
	awaitThat(t, "the delivery comes again", func() bool { return len(r.on("/works")) > before })
	if repeated := r.on("/works")[before]; repeated.header.Get("webhook-id") != again.MessageID {
		t.Errorf("the repetition has the id %s, the first %s", repeated.header.Get("webhook-id"), again.MessageID)
	}
}

func testShortForm(t *testing.T, c *tenantClient, r *receiver, _ *stateMachine) {
	var made struct {
		JobID  string `json:"job_id"`
		Secret string `json:"webhook_secret"`
	}
	c.post(t, [][2]string{
		{"scenario_id", "one"}, {"webhook_url", r.URL + "/once"}, {"@sumo_files", zipOf(t, "square")},
	}).want(t, http.StatusOK).into(t, &made)
	hook, err := standardwebhooks.NewWebhook(made.Secret)
	if err != nil {
		t.Fatal(err)
	}
	finished := func() bool {
		for _, one := range r.on("/once") {
			if err := hook.Verify(one.body, one.header); err != nil {
				t.Errorf("the signature is wrong: %v", err)
			}
			if bytes.Contains(one.body, []byte(`"job.finished"`)) && bytes.Contains(one.body, []byte(made.JobID)) {
				return true
			}
		}
		return false
	}
	awaitThat(t, "job.finished", finished)
	if a := c.call(t, "GET", "/jobs/"+made.JobID); bytes.Contains(a.body, []byte("whsec_")) {
		t.Errorf("the secret is shown again: %s", a.body)
	}
}

func testTaskTokens(t *testing.T, c *tenantClient, _ *receiver, machine *stateMachine) {
	good := c.submit(t, "square", [2]string{"task_token", "good"})
	long := c.submitEndless(t, [2]string{"task_token", "long"})
	awaitThat(t, "a heartbeat", func() bool { return len(machine.called("SendTaskHeartbeat", "long")) > 0 })
	c.call(t, "DELETE", "/jobs/"+long.JobID).want(t, http.StatusOK)

	awaitThat(t, "the success", func() bool { return len(machine.called("SendTaskSuccess", "good")) > 0 })
	var output struct {
		JobID          string `json:"job_id"`
		Status         string `json:"status"`
		ResultLocation string `json:"result_location"`
		ResultFiles    struct {
			Prefix      string           `json:"prefix"`
			Uploaded    any              `json:"uploaded"`
			StorageType string           `json:"storage_type"`
			Files       []map[string]any `json:"files"`
		} `json:"result_files"`
	}
	text, _ := machine.called("SendTaskSuccess", "good")[0]["output"].(string)
	if err := json.Unmarshal([]byte(text), &output); err != nil {
		t.Fatalf("the output is %s: %v", text, err)
	}
	j := c.finish(t, good.JobID)
	if output.JobID != good.JobID || output.Status != "SUCCEEDED" || output.ResultLocation != *j.ResultLocation ||
		output.ResultFiles.StorageType != "s3" || len(output.ResultFiles.Files) != len(j.ResultFiles.Files) {
		t.Errorf("the output is %s", text)
	}
	awaitThat(t, "the failure", func() bool { return len(machine.called("SendTaskFailure", "long")) > 0 })
	failure := machine.called("SendTaskFailure", "long")[0]
	if cause, _ := failure["cause"].(string); failure["error"] != "SUMOK8JobFailed" || !strings.Contains(strings.ToLower(cause), "cancel") {
		t.Errorf("the failure is %v", failure)
	}
	if n := len(machine.called("SendTaskFailure", "good")) + len(machine.called("SendTaskSuccess", "long")); n > 0 {
		t.Errorf("%d wrong answers", n)
	}
}

func testOldProgress(t *testing.T, c *tenantClient, r *receiver, _ *stateMachine) {
	id := c.store(t, endless(t)).ID
	body := fmt.Sprintf(`{"scenario_id": 7, "scenario": %q, "end": "300000", "progress_webhook_url": %q, "progress_simulation_id": "17",
		"progress_start_sec": "0", "progress_end_sec": 20000, "task_token": "", "cpu_request": "1"}`, id, r.URL+"/progress")
	var j rest.Job
	c.request(
		t, "POST", "/jobs/s3", strings.NewReader(body), "Authorization: "+c.key, "Content-Type: application/json",
	).want(t, http.StatusOK).into(t, &j)
	awaitThat(t, "progress", func() bool { return len(r.on("/progress")) >= 3 })
	c.call(t, "DELETE", "/jobs/"+j.JobID).want(t, http.StatusOK)
	c.finish(t, j.JobID)
	ended := time.Now()
	time.Sleep(3 * time.Second) // in which more would come
	last, late := -1, 0
	for i, one := range r.on("/progress") {
		var got struct {
			SimulationID   any    `json:"simulation_id"`
			StatusType     string `json:"status_type"`
			Status         string `json:"simulation_status"`
			AdvancedStatus string `json:"advanced_status"`
			Message        string `json:"message"`
		}
		if err := json.Unmarshal(one.body, &got); err != nil {
			t.Fatal(err)
		}
		var percent, step int
		if _, err := fmt.Sscanf(got.Message, "Simulation progress: %d%% (step %d)", &percent, &step); err != nil || percent != step {
			t.Errorf("the message is %q", got.Message)
		}
		if got.SimulationID != 17.0 || got.StatusType != "progress" || got.Status != "Running" || got.AdvancedStatus != "Not Started" ||
			one.header.Get("Content-Type") != "application/json" || one.header.Get("X-Webhook-Token") != "" { // a secret, and this is http
			t.Errorf("%s %v", one.body, one.header)
		}
		if one.at.After(ended) {
			late++ // one can have been on its way
		}
		if percent <= last || percent > 100 || late > 1 {
			t.Errorf("report %d is of %d per cent, after %d, %s behind the end", i, percent, last, one.at.Sub(ended))
		}
		last = percent
	}
}

func testPausedWebhook(t *testing.T, c *tenantClient, r *receiver, _ *stateMachine) {
	id, _ := c.addWebhook(t, fmt.Sprintf(`{"url": %q, "events": ["job.finished"], "labels": {"team": "north"}}`, r.URL+"/paused"))
	change := func(body string) {
		t.Helper()
		c.request(
			t, "PATCH", "/webhooks/"+id, strings.NewReader(body), "Authorization: Bearer "+c.key, "Content-Type: application/json",
		).want(t, http.StatusOK)
	}
	change(fmt.Sprintf(`{"url": %q}`, r.URL+"/fails"))
	north := c.submit(t, "square", [2]string{"labels", `{"team": "north"}`})
	south := c.submit(t, "square", [2]string{"labels", `{"team": "south"}`})
	c.finish(t, north.JobID)
	c.finish(t, south.JobID)
	awaitThat(t, "the first attempt", func() bool {
		got := c.deliveries(t, "webhook_id="+id)
		return len(got) == 1 && got[0].Attempts > 0
	})
	change(`{"enabled": false}`)
	if got := c.deliveries(t, "webhook_id="+id); len(got) != 1 || got[0].State != delivery.Paused || got[0].JobID != north.JobID {
		t.Errorf("%+v", got)
	}
	change(fmt.Sprintf(`{"url": %q, "enabled": true}`, r.URL+"/paused"))
	awaitThat(t, "the delivery", func() bool { return len(r.on("/paused")) == 1 })
	if j := c.job(t, south.JobID); j.Status != job.Succeeded {
		t.Errorf("the other job is %s", j.Status)
	}
}
