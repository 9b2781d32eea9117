package stepfunctions

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/sumo-k8/sumo-k8/pkg/delivery"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// TestMain gives the SDK's chain credentials, and nothing of the machine's own.
func TestMain(m *testing.M) {
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "", "AWS_PROFILE": "",
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_EC2_METADATA_DISABLED": "true", "AWS_REGION": "",
	} {
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// call is one that a state machine got.
type call struct {
	Action                          string
	TaskToken, Output, Error, Cause string
}

// machine stands in for the API of Step Functions, which no test can reach: it speaks its protocol (AWS JSON 1.0) for task tokens.
type machine struct {
	*httptest.Server
	mu      sync.Mutex
	calls   []call
	waiting map[string]bool // by token
}

func start(t *testing.T, waiting ...string) *machine {
	t.Helper()
	m := &machine{waiting: map[string]bool{}}
	for _, token := range waiting {
		m.waiting[token] = true
	}
	m.Server = httptest.NewServer(m)
	t.Cleanup(m.Close)
	return m
}

func (m *machine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	action, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "AWSStepFunctions.")
	signature := r.Header.Get("Authorization")
	if !ok || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/x-amz-json-1.0" {
		refuse(w, http.StatusBadRequest, "UnknownOperationException", r.Header.Get("X-Amz-Target"))
		return
	}
	if !strings.HasPrefix(signature, "AWS4-HMAC-SHA256 Credential=AKIATEST/") ||
		!strings.Contains(signature, "/eu-central-1/states/aws4_request") {
		refuse(w, http.StatusBadRequest, "UnrecognizedClientException", "arn:aws:iam::123456789012:role/ours may not")
		return
	}
	c := call{Action: action}
	if err := json.NewDecoder(r.Body).Decode(&c); err != nil {
		refuse(w, http.StatusBadRequest, "SerializationException", err.Error())
		return
	}
	m.calls = append(m.calls, c)
	switch {
	case !m.waiting[c.TaskToken]:
		refuse(w, http.StatusBadRequest, "TaskTimedOut", "Task Timed Out: 'Provided task does not exist anymore'")
		return
	case action != "SendTaskHeartbeat":
		delete(m.waiting, c.TaskToken)
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	_, _ = io.WriteString(w, "{}")
}

func (m *machine) got() []call {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.calls)
}

func refuse(w http.ResponseWriter, status int, kind, message string) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"__type": "com.amazonaws.swf.service.v2.model#" + kind, "message": message})
}

func client(endpoint string, log io.Writer) *Client {
	return New(Config{
		Region: "eu-central-1", Endpoint: endpoint, Log: zerolog.New(log),
		Results: func(namespace, jobID string, files []job.ResultFile) (*string, any) {
			if len(files) == 0 {
				return nil, nil
			}
			prefix := "results/" + namespace + "/" + jobID + "/"
			return aws.String("s3://bucket/" + prefix), map[string]any{"prefix": prefix, "files": files}
		},
	})
}

func ended(token string, state job.State, reason simulation.Reason, message string, results ...job.ResultFile) delivery.Delivery {
	return delivery.Delivery{
		ID: "d", TenantID: "acme", JobID: "j-1", Task: &delivery.Task{Token: token, Namespace: "sumo-acme", Results: results},
		Event: delivery.Event{Type: delivery.JobFinished, Job: delivery.Job{ID: "j-1", State: state, Reason: reason, Message: message}},
	}
}

func TestATokenIsAnsweredWithTheEndOfItsJob(t *testing.T) {
	t.Parallel()
	m := start(t, "won", "empty", "lost", "stopped", "long")
	c := client(m.URL, io.Discard)
	long := strings.Repeat("ä", 20_000)
	done := delivery.Attempt{Status: 200}
	for i, a := range []delivery.Attempt{
		c.Heartbeat(t.Context(), "won"),
		c.Heartbeat(t.Context(), "won"),
		c.End(t.Context(), ended("won", job.Succeeded, "", "", job.ResultFile{Name: "log.txt", Size: 3})),
		c.End(t.Context(), ended("empty", job.Succeeded, "", "")),
		c.End(t.Context(), ended("lost", job.Failed, "SimulationError", "SUMO: <edge> 'x' is not known.")),
		c.End(t.Context(), ended("stopped", job.Cancelled, "Cancelled", "")),
		c.End(t.Context(), ended("long", job.Failed, "SimulationError", "x"+long)),
	} {
		if diff := cmp.Diff(done, a); diff != "" {
			t.Errorf("call %d (-want +got):\n%s", i, diff)
		}
	}
	want := []call{
		{Action: "SendTaskHeartbeat", TaskToken: "won"},
		{Action: "SendTaskHeartbeat", TaskToken: "won"},
		{Action: "SendTaskSuccess", TaskToken: "won", Output: `{"job_id":"j-1","status":"SUCCEEDED",` +
			`"result_location":"s3://bucket/results/sumo-acme/j-1/",` +
			`"result_files":{"files":[{"name":"log.txt","size":3}],"prefix":"results/sumo-acme/j-1/"}}`},
		{Action: "SendTaskSuccess", TaskToken: "empty", Output: `{"job_id":"j-1","status":"SUCCEEDED","result_location":null,"result_files":null}`},
		{Action: "SendTaskFailure", TaskToken: "lost", Error: "SUMOK8JobFailed", Cause: "SUMO: <edge> 'x' is not known."},
		{Action: "SendTaskFailure", TaskToken: "stopped", Error: "SUMOK8JobFailed", Cause: "The job ended without a message (Cancelled)."},
		{Action: "SendTaskFailure", TaskToken: "long", Error: "SUMOK8JobFailed", Cause: "x" + long[:32_766]},
	}
	if diff := cmp.Diff(want, m.got()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	for _, c := range m.got() {
		t.Logf("the state machine got %.200q", fmt.Sprint(c))
	}

	// An answer whose confirmation is lost comes again.
	again := c.End(t.Context(), ended("won", job.Succeeded, "", ""))
	if diff := cmp.Diff(delivery.Attempt{Status: 400, Error: notWaiting, Final: true}, again); diff != "" {
		t.Errorf("the second answer (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(again, c.Heartbeat(t.Context(), "won")); diff != "" {
		t.Errorf("a heartbeat behind the end (-want +got):\n%s", diff)
	}
}

func TestTheListOfFilesIsShortenedToWhatATaskTakes(t *testing.T) {
	t.Parallel()
	m := start(t, "many", "all")
	c := client(m.URL, io.Discard)
	var files []job.ResultFile
	for i := range 5000 {
		files = append(files, job.ResultFile{Name: fmt.Sprintf("trajectories/%04d/ümläut.xml", i), Size: 1, SHA256: strings.Repeat("a", 64)})
	}
	type sent struct {
		Location string `json:"result_location"`
		Files    struct {
			Files []job.ResultFile `json:"files"`
		} `json:"result_files"`
		Omitted *int `json:"result_files_omitted"`
	}
	for _, tt := range []struct {
		token    string
		files    []job.ResultFile
		shortens bool
	}{{"many", files, true}, {"all", files[:1500], false}} {
		if a := c.End(t.Context(), ended(tt.token, job.Succeeded, "", "", tt.files...)); a.Error != "" {
			t.Fatalf("%s: the attempt is %+v", tt.token, a)
		}
		calls := m.got()
		output := calls[len(calls)-1].Output
		var s sent
		if err := json.Unmarshal([]byte(output), &s); err != nil {
			t.Fatal(err)
		}
		if len(output) > 262_144 || s.Location == "" {
			t.Errorf("%s: the output has %d bytes and the location %q", tt.token, len(output), s.Location)
		}
		if !tt.shortens {
			if s.Omitted != nil || len(s.Files.Files) != len(tt.files) {
				t.Errorf("%s: %d files are listed", tt.token, len(s.Files.Files))
			}
			continue
		}
		if s.Omitted == nil || *s.Omitted+len(s.Files.Files) != len(tt.files) || len(output) < 262_144-200 {
			t.Errorf("%s: %d files are listed in %d bytes", tt.token, len(s.Files.Files), len(output))
		}
		if diff := cmp.Diff(tt.files[:len(s.Files.Files)], s.Files.Files); diff != "" {
			t.Errorf("%s: the files are not the first ones (-want +got):\n%s", tt.token, diff)
		}
	}
}

func TestErrorsAreFinalIfTheyAreAboutTheToken(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]struct {
		status      int
		final, down bool
	}{
		"TaskDoesNotExist":            {400, true, false},
		"TaskTimedOut":                {400, true, false},
		"InvalidToken":                {400, true, false},
		"InvalidOutput":               {400, true, false},
		"ValidationException":         {400, true, false},
		"KmsInvalidStateException":    {400, false, false},
		"KmsThrottlingException":      {400, false, false},
		"ThrottlingException":         {400, false, true},
		"AccessDeniedException":       {400, false, true},
		"UnrecognizedClientException": {400, false, true},
		"ExpiredTokenException":       {403, false, true},
		"InternalServerError":         {500, false, true},
		"ServiceUnavailable":          {503, false, true},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			var calls atomic.Int64
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				calls.Add(1)
				refuse(w, want.status, kind, "User: arn:aws:iam::123456789012:role/ours may not")
			}))
			t.Cleanup(s.Close)
			var log strings.Builder
			a := client(s.URL, &log).End(t.Context(), ended("t", job.Failed, "", "broken"))
			got := a
			got.Error = ""
			if diff := cmp.Diff(delivery.Attempt{Status: want.status, Final: want.final, Down: want.down}, got); diff != "" {
				t.Errorf("attempt (-want +got):\n%s", diff)
			}
			if a.Error == "" || strings.Contains(a.Error, "arn:") {
				t.Errorf("the error is %q", a.Error)
			}
			if logged := strings.Contains(log.String(), "arn:"); logged == want.final {
				t.Errorf("the log has %q", log.String())
			}
			if n := calls.Load(); n != 1 {
				t.Errorf("%d calls", n)
			}
			t.Logf("%s: %+v", kind, a)
		})
	}
}

// hang answers nothing until the client leaves, which the server notices once it has read the request.
func hang(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

func TestFaultsOfTheNetworkAreTriedAgain(t *testing.T) {
	t.Parallel()
	server := func(speak http.HandlerFunc) string {
		s := httptest.NewServer(speak)
		t.Cleanup(s.Close)
		return s.URL
	}
	const unreachable = "Step Functions cannot be reached, or this service has no credentials for it; its operator can see more in the log."
	for name, tt := range map[string]struct{ url, want string }{
		"nobody there":          {"http://127.0.0.1:1", unreachable},
		"hangs":                 {server(hang), "Step Functions did not answer within 2s."},
		"closes the connection": {server(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), unreachable},
	} {
		t.Run(name, func(t *testing.T) {
			c := client(tt.url, io.Discard)
			if name == "hangs" {
				c.limit = 2 * time.Second
			}
			for call, a := range map[string]delivery.Attempt{
				"end": c.End(t.Context(), ended("t", job.Succeeded, "", "")), "heartbeat": c.Heartbeat(t.Context(), "t"),
			} {
				if diff := cmp.Diff(delivery.Attempt{Error: tt.want, Down: true}, a); diff != "" {
					t.Errorf("%s (-want +got):\n%s", call, diff)
				}
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if diff := cmp.Diff(delivery.Attempt{Error: "The attempt was interrupted."}, c.Heartbeat(ctx, "t")); diff != "" {
				t.Errorf("interrupted (-want +got):\n%s", diff)
			}
		})
	}
}

// TestCredentialsAreLookedUpWhenTheyAreNeeded changes the environment, so it runs alone.
func TestCredentialsAreLookedUpWhenTheyAreNeeded(t *testing.T) {
	m := start(t, "t")
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	var log strings.Builder
	c := client(m.URL, &log)
	a := c.Heartbeat(t.Context(), "t")
	if !strings.Contains(a.Error, "credentials") || a.Final || !a.Down || !strings.Contains(log.String(), "credentials") {
		t.Errorf("without credentials the attempt is %+v, and the log %q", a, log.String())
	}
	if calls := m.got(); len(calls) > 0 {
		t.Errorf("%d calls were made", len(calls))
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	if a := client(m.URL, io.Discard).Heartbeat(t.Context(), "t"); a.Error != "" {
		t.Errorf("with credentials the attempt is %+v", a)
	}
}

func TestACauseIsCutBetweenCharacters(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"": "", "abc": "abc", "abcd": "abcd", "abcde": "abcd", "abcä": "abc", "aääx": "aä", "€€": "€", "a😀": "a",
	} {
		if got := cut(s, 4); got != want || !utf8.ValidString(got) {
			t.Errorf("%q is cut to %q, want %q", s, got, want)
		}
	}
}
