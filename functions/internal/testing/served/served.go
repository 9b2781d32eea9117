// Package served runs a function behind HTTP for its tests, with real Postgres and S3, and holds every answer against the
// OpenAPI document.
package served

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/sumo-k8/sumo-k8/functions/internal/app"
	"github.com/sumo-k8/sumo-k8/functions/internal/testing/contract"
	"github.com/sumo-k8/sumo-k8/functions/internal/testing/requests"
	"github.com/sumo-k8/sumo-k8/infra/local/localtest"
	"github.com/sumo-k8/sumo-k8/pkg/config"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/store/postgres"
	"github.com/sumo-k8/sumo-k8/pkg/store/s3"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
)

// AdminKey is the operator's key.
const AdminKey = "the operator's key"

// Parts returns the parts of a function with default settings, no limits on calls, a fresh database and bucket, and the oldest and the
// newest SUMO as if they were installed. A test may change them before it serves them.
func Parts(t testing.TB) app.Parts {
	t.Helper()
	cfg, err := config.Load()
	if err != nil {
		t.Fatal(err)
	}
	cfg.DatabaseURL = localtest.Database(t, postgres.Migrate)
	db, err := postgres.Open(t.Context(), postgres.Config{URL: cfg.DatabaseURL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	bucket := localtest.Bucket(t)
	objects, err := s3.New(bucket)
	if err != nil {
		t.Fatal(err)
	}
	cfg.AdminKey, cfg.S3Bucket, cfg.CallsPerSecond, cfg.WrongKeysPerMinute = AdminKey, bucket.Bucket, 0, 0
	return app.Parts{
		Config: cfg, DB: db, Objects: objects, Log: zerolog.Nop(),
		Installations: []release.Installation{{Version: release.Oldest().Version}, {Version: release.Newest().Version}},
	}
}

// Function is a function that serves until its test ends.
type Function struct {
	*contract.Checker
	url    string
	client *http.Client
}

// Serve serves the function called target.
func Serve(t testing.TB, parts app.Parts, target string) *Function {
	t.Helper()
	handler, err := parts.Handler(target)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	checker := contract.New(t, app.OpenAPI, http.DefaultTransport)
	client := &http.Client{Transport: checker, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return &Function{Checker: checker, url: server.URL, client: client}
}

// Answer is the response to a call.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Call sends a request. A header is "Name: value".
func (f *Function) Call(t testing.TB, method, path, body string, headers ...string) Answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, f.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return f.send(t, r, headers)
}

// Admin sends a request as the operator, with a JSON body if body is not empty.
func (f *Function) Admin(t testing.TB, method, path, body string, headers ...string) Answer {
	t.Helper()
	if body != "" {
		headers = append(headers, "Content-Type: application/json")
	}
	return f.Call(t, method, path, body, append(headers, "X-Admin-Key: "+AdminKey)...)
}

func (f *Function) send(t testing.TB, r *http.Request, headers []string) Answer {
	t.Helper()
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	response, err := f.client.Do(r)
	if err != nil {
		t.Fatalf("%s %s: %v", r.Method, r.URL, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("%s %s: reading the answer: %v", r.Method, r.URL, err)
	}
	return Answer{response.StatusCode, response.Header, body}
}

// Want fails the test unless the answer has this status.
func (a Answer) Want(t testing.TB, status int) Answer {
	t.Helper()
	if a.Status != status {
		t.Fatalf("answered %d, want %d: %s", a.Status, status, a.Body)
	}
	return a
}

// Into decodes the answer's JSON.
func (a Answer) Into(t testing.TB, v any) {
	t.Helper()
	if err := json.Unmarshal(a.Body, v); err != nil {
		t.Fatalf("reading the answer %s: %v", a.Body, err)
	}
}

// Refusal is a request that is refused.
type Refusal struct {
	method, path, body string
	status             int
	says               string
}

// Refused returns a Refusal with this status, whose problem contains says. A body is JSON.
func Refused(method, path, body string, status int, says string) Refusal {
	return Refusal{method, path, body, status, says}
}

// WantRefused sends each request with these headers and fails the test unless it is refused as expected.
func (f *Function) WantRefused(t *testing.T, refusals map[string]Refusal, headers ...string) {
	t.Helper()
	for name, r := range refusals {
		sent := headers
		if r.body != "" {
			sent = append(slices.Clip(sent), "Content-Type: application/json")
		}
		a := f.Call(t, r.method, r.path, r.body, sent...)
		var p rest.Problem
		a.Into(t, &p)
		if a.Status != r.status || !strings.Contains(string(a.Body), r.says) || p.Status != a.Status || p.Detail == "" {
			t.Errorf("%s: %s %s answers %d %s, want %d with %q", name, r.method, r.path, a.Status, a.Body, r.status, r.says)
		}
	}
}

// WantKeyed fails the test unless every operation that mine selects refuses calls without its key and with each wrong header.
func (f *Function) WantKeyed(t *testing.T, mine func(contract.Operation) bool, wrong ...string) {
	t.Helper()
	keyed := 0
	for _, op := range f.Operations {
		if !mine(op) {
			continue
		}
		keyed++
		q, err := requests.Plain(f.Document, op, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, header := range append([]string{"Accept: */*"}, wrong...) {
			r, err := q.To(f.url)
			if err != nil {
				t.Fatal(err)
			}
			a := f.send(t, r.WithContext(t.Context()), []string{header})
			if a.Status != http.StatusUnauthorized || a.Header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s with %q answers %d: %s", op, header, a.Status, a.Body)
			}
		}
	}
	if keyed == 0 {
		t.Error("no operation was called")
	}
}
