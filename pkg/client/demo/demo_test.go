package main

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// fakeServer answers as the HTTP contract says. Its fields are set before the first request.
type fakeServer struct {
	*httptest.Server
	outcome map[string]string // scenario, or "study" → state its job ends in; SUCCEEDED when missing

	mu        sync.Mutex
	polls     map[string]int
	cancelled []string
}

const (
	testAdminKey  = "the admin key"
	testTenantKey = "sk-test"
)

func newFakeServer(t *testing.T) *fakeServer {
	s := &fakeServer{outcome: map[string]string{}, polls: map[string]int{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /auth/register", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Admin-Key") != testAdminKey {
			fail(w, http.StatusUnauthorized, "The admin key is not valid.")
			return
		}
		answer(w, map[string]any{"api_key": testTenantKey})
	})
	tenant := func(pattern string, handle http.HandlerFunc) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "Bearer "+testTenantKey {
				fail(w, http.StatusUnauthorized, "This API key is not valid.")
				return
			}
			handle(w, r)
		})
	}
	tenant("POST /jobs", func(w http.ResponseWriter, r *http.Request) {
		file, _, err := r.FormFile("sumo_files")
		if err != nil {
			fail(w, http.StatusBadRequest, err.Error())
			return
		}
		text, _ := io.ReadAll(file)
		if _, err := zip.NewReader(bytes.NewReader(text), int64(len(text))); err != nil {
			fail(w, http.StatusUnprocessableEntity, "The scenario cannot be run.", map[string]string{"location": "a.zip", "message": "not a zip"})
			return
		}
		answer(w, map[string]any{"job_id": "job-" + r.FormValue("scenario_id"), "status": "QUEUED"})
	})
	tenant("GET /jobs/{id}", func(w http.ResponseWriter, r *http.Request) {
		id := r.PathValue("id")
		s.mu.Lock()
		s.polls[id]++
		n := s.polls[id]
		s.mu.Unlock()
		state := "RUNNING"
		if n > 2 {
			state = s.end(id)
		}
		body := map[string]any{"job_id": id, "status": state, "progress": 0.3 * float64(min(n, 3)), "error": nil, "reason": nil}
		if state == "FAILED" {
			body["error"], body["reason"] = "Vehicle 'v7' has no valid route.", "SimulationError"
		}
		answer(w, body)
	})
	tenant("DELETE /jobs/{id}", func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.cancelled = append(s.cancelled, r.PathValue("id"))
		answer(w, map[string]any{})
	})
	tenant("GET /jobs/{id}/logs/stream", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		switch r.Header.Get("Last-Event-ID") {
		case "": // the first stream ends in the middle of an event
			fmt.Fprint(w, ": hello\n\nid: 1\ndata: {\"message\": \"first line\"}\n\nevent: progress\ndata:{\"progress\":0.5}\n\n"+
				"id: 2\ndata: {\"mess")
		case "1":
			fmt.Fprintf(w, "id: 2\ndata: {\"message\": \"second line\"}\n\nevent: end\ndata: {\"status\": %q}\n\n", s.end(r.PathValue("id")))
		default:
			fail(w, http.StatusBadRequest, "resumed at the wrong event")
		}
	})
	results := map[string]string{
		"summary.json": `{"metrics": [{"name": "vehicles_inserted", "value": 1530, "unit": "veh"}, {"name": "mean_speed", "value": 8.4567, "unit": "m/s"}]}`,
		"scenario/own": "the scenario's own output",
	}
	tenant("GET /jobs/{id}/results", func(w http.ResponseWriter, r *http.Request) {
		var files []map[string]any
		for name, text := range results {
			files = append(files, map[string]any{"name": name, "size": len(text)})
		}
		answer(w, map[string]any{"files": files})
	})
	tenant("GET /jobs/{id}/results/{name...}", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, s.URL+"/s3/"+r.PathValue("name")+"?signature=secret", http.StatusFound)
	})
	tenant("GET /jobs/{id}/replay", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{"segments": []map[string]int{{"n": 0, "frames": 60}, {"n": 1, "frames": 30}}})
	})
	tenant("GET /jobs/{id}/plots/vehicles.png", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "picture of "+r.PathValue("id"))
	})
	tenant("POST /scenarios", func(w http.ResponseWriter, _ *http.Request) { answer(w, map[string]any{"id": "cross-1"}) })
	tenant("POST /studies", func(w http.ResponseWriter, r *http.Request) {
		var asked struct {
			Variants []struct{ Scenario string }
			Baseline struct{ Values map[string]int }
		}
		err := json.NewDecoder(r.Body).Decode(&asked)
		if err != nil || asked.Variants[0].Scenario != "cross-1" || asked.Baseline.Values["side green"] != 42 {
			fail(w, http.StatusBadRequest, fmt.Sprintf("not the study that was expected: %+v, %v", asked, err))
			return
		}
		answer(w, map[string]any{"study_id": "study-1", "points": []map[string]any{{"point": 0, "variant": "cross"}}, "seeds": []int{1, 2}})
	})
	tenant("GET /studies/study-1/events", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "event: progress\ndata: {\"runs\": {\"planned\": 2, \"succeeded\": 2}}\n\n")
		fmt.Fprintf(w, "event: end\ndata: {\"status\": %q, \"message\": \"Look.\"}\n\n", s.end("study"))
	})
	tenant("GET /studies/study-1/comparison", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{"comparisons": []map[string]any{{"sentence": "Mean time loss is lower."}}})
	})
	tenant("DELETE /studies/study-1", func(w http.ResponseWriter, _ *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.cancelled = append(s.cancelled, "study-1")
		answer(w, map[string]any{})
	})
	mux.HandleFunc("GET /s3/{name...}", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			fail(w, http.StatusBadRequest, "only one auth mechanism is allowed")
			return
		}
		_, _ = io.WriteString(w, results[r.PathValue("name")])
	})
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func (s *fakeServer) end(jobID string) string {
	if state := s.outcome[strings.TrimPrefix(jobID, "job-")]; state != "" {
		return state
	}
	return "SUCCEEDED"
}

func answer(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body)
}

func fail(w http.ResponseWriter, status int, detail string, items ...map[string]string) {
	w.Header().Set("Content-Type", "application/problem+json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"title": http.StatusText(status), "status": status, "detail": detail, "errors": items})
}

// networks makes a folder with a zip for each name, and for the study.
func networks(t *testing.T, names ...string) string {
	dir := t.TempDir()
	for _, name := range append(names, question.scenario) {
		var b bytes.Buffer
		if err := zip.NewWriter(&b).Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name+".zip"), b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

var testTime = time.Date(2026, 3, 4, 5, 6, 7, 89e6, time.UTC)

func TestTheWholePathEndsWithTheVerdict(t *testing.T) {
	t.Parallel()
	server := newFakeServer(t)
	out := t.TempDir()
	var stdout bytes.Buffer
	code := run(t.Context(), []string{"--url", server.URL, "--admin-key", testAdminKey,
		"--networks", networks(t, "corridor", "square"), "--out", out}, &stdout, testTime)
	if code != 0 {
		t.Fatalf("exit code %d:\n%s", code, &stdout)
	}
	for _, want := range []string{
		"made tenant demo-20260304-050607.089",
		"submitted corridor as job job-corridor",
		"square   | second line\n",
		"corridor   90 % SUCCEEDED\n",
		"vehicles inserted        veh      1,530   1,530\n",
		"mean speed of the trips  m/s       8.46    8.46\n",
		"\n2/2 done\nMean time loss is lower.\n",
		"corridor: plot " + filepath.Join(out, "corridor", "plot.png") + ", recording of 90 moments\n",
	} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("no %q in\n%s", want, &stdout)
		}
	}
	if n := strings.Count(stdout.String(), "corridor | first line"); n != 1 {
		t.Errorf("the first log line stands there %d times, want once:\n%s", n, &stdout)
	}
	lines := strings.Split(strings.TrimSpace(stdout.String()), "\n")
	if got, want := lines[len(lines)-1], "demo: SUCCEEDED jobs=2 vehicles=3060 results="+out; got != want {
		t.Errorf("last line %q, want %q", got, want)
	}
	text, err := os.ReadFile(filepath.Join(out, "square", "scenario", "own"))
	if err != nil || string(text) != "the scenario's own output" {
		t.Errorf("a result in a subfolder reads %q, %v", text, err)
	}
	if plot, err := os.ReadFile(filepath.Join(out, "corridor", plotFile)); err != nil || string(plot) != "picture of job-corridor" {
		t.Errorf("the plot is %q, %v", plot, err)
	}
}

func TestAFailureIsTheLastLineAndTheExitCode(t *testing.T) {
	t.Parallel()
	notConfigured := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fail(w, http.StatusServiceUnavailable, "No admin key is configured.")
	}))
	t.Cleanup(notConfigured.Close)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "<html>bad gateway", http.StatusBadGateway)
	}))
	t.Cleanup(proxy.Close)
	server := newFakeServer(t)
	good := networks(t, "corridor", "square")
	broken := networks(t, "square")
	if err := os.WriteFile(filepath.Join(broken, "corridor.zip"), []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}

	tests := map[string]struct {
		args []string
		last string // a regular expression
		also string
	}{
		"no server named":      {args: nil, last: `give either --server .* or --url`},
		"two servers named":    {args: []string{"--server", "a", "--url", "b"}, last: `give either`},
		"no admin key":         {args: []string{"--url", server.URL}, last: `give --admin-key`},
		"one name twice":       {args: []string{"--server", "a", "x", "x"}, last: `"x" is named twice`},
		"a path as a scenario": {args: []string{"--server", "a", "../x"}, last: `"../x" is not the name of a zip`},
		"wrong admin key": {args: []string{"--url", server.URL, "--admin-key", "wrong"},
			last: `making tenant \S+: POST \S+/auth/register answered 401: The admin key is not valid\.`},
		"admin calls not configured": {
			args: []string{"--url", notConfigured.URL, "--admin-key", "k"}, last: `answered 503: No admin key is configured\.`,
		},
		"something else answers": {
			args: []string{"--url", proxy.URL, "--admin-key", "k"}, last: `answered 502: Bad Gateway "<html>bad gateway\\n"`,
		},
		"nobody answers": {
			args: []string{"--url", "http://127.0.0.1:1", "--admin-key", "k"}, last: `POST \S+/auth/register: .*connection refused`,
		},
		"no such scenario": {args: []string{"--url", server.URL, "--admin-key", testAdminKey, "--networks", good, "nowhere"},
			last: `submitting nowhere: open \S+nowhere.zip: no such file`},
		"a refused scenario": {args: []string{"--url", server.URL, "--admin-key", testAdminKey, "--networks", broken},
			last: `submitting corridor: .* answered 422: The scenario cannot be run\.`, also: "  a.zip: not a zip\n"},
		"a missing binary": {
			args: []string{"--server", "/no/such/binary", "--data", t.TempDir()}, last: `starting /no/such/binary: .*no such file`,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var stdout bytes.Buffer
			if code := run(t.Context(), append([]string{"--out", t.TempDir()}, tt.args...), &stdout, testTime); code == 0 {
				t.Error("the exit code is 0")
			}
			lines := strings.Split(strings.TrimSpace(stdout.String()), "\n")
			if last := lines[len(lines)-1]; !regexp.MustCompile(`^demo: FAILED .*` + tt.last).MatchString(last) {
				t.Errorf("last line %q does not match %q", last, tt.last)
			}
			if !strings.Contains(stdout.String(), tt.also) {
				t.Errorf("no %q in\n%s", tt.also, &stdout)
			}
		})
	}
}

func TestAFailedJobFailsTheDemoAndCancelsTheOthers(t *testing.T) {
	t.Parallel()
	server := newFakeServer(t)
	server.outcome = map[string]string{"corridor": "FAILED", "square": "RUNNING"}
	var stdout bytes.Buffer
	code := run(t.Context(), []string{"--url", server.URL, "--admin-key", testAdminKey,
		"--networks", networks(t, "corridor", "square"), "--out", t.TempDir()}, &stdout, testTime)
	want := "demo: FAILED following corridor: job job-corridor is FAILED (SimulationError): Vehicle 'v7' has no valid route.\n"
	if code == 0 || !strings.HasSuffix(stdout.String(), want) {
		t.Errorf("exit code %d, output\n%s\nwant it to end with %s", code, &stdout, want)
	}
	if diff := cmp.Diff([]string{"job-corridor", "job-square"}, server.cancelled); diff != "" {
		t.Errorf("cancelled (-want +got):\n%s", diff)
	}
}

func TestAStudyThatDoesNotSucceedFailsTheDemoAndIsCancelled(t *testing.T) {
	t.Parallel()
	server := newFakeServer(t)
	server.outcome = map[string]string{"study": "INCOMPLETE"}
	var stdout bytes.Buffer
	code := run(t.Context(), []string{"--url", server.URL, "--admin-key", testAdminKey,
		"--networks", networks(t, "corridor", "square"), "--out", t.TempDir()}, &stdout, testTime)
	want := "demo: FAILED following the study: study study-1 is INCOMPLETE: Look.\n"
	if code == 0 || !strings.HasSuffix(stdout.String(), want) {
		t.Errorf("exit code %d, output\n%s\nwant it to end with %s", code, &stdout, want)
	}
	if diff := cmp.Diff([]string{"study-1"}, server.cancelled); diff != "" {
		t.Errorf("cancelled (-want +got):\n%s", diff)
	}
}

func TestAnInterruptCancelsTheJobs(t *testing.T) {
	t.Parallel()
	server := newFakeServer(t)
	server.outcome = map[string]string{"corridor": "RUNNING", "square": "RUNNING"}
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	followed := func() bool {
		server.mu.Lock()
		defer server.mu.Unlock()
		return len(server.polls) == 2
	}
	go func() { // once both jobs are submitted and followed
		for ; ctx.Err() == nil; time.Sleep(10 * time.Millisecond) {
			if followed() {
				interrupt()
			}
		}
	}()
	var stdout bytes.Buffer
	code := run(ctx, []string{"--url", server.URL, "--admin-key", testAdminKey,
		"--networks", networks(t, "corridor", "square"), "--out", t.TempDir()}, &stdout, testTime)
	if code == 0 || !strings.HasSuffix(stdout.String(), "demo: FAILED interrupted before it was done\n") {
		t.Errorf("exit code %d, output\n%s", code, &stdout)
	}
	if diff := cmp.Diff([]string{"job-corridor", "job-square"}, server.cancelled); diff != "" {
		t.Errorf("cancelled (-want +got):\n%s", diff)
	}
}
