package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

const (
	operatorKey = "the-operators-secret"
	tenantKeyOf = "acme"
	presigned   = "https://s3.example.org/results/x.xml?X-Amz-Signature=5ecre7"
)

// bundle is a small service in the form of the real one.
type bundle struct {
	url string
	key string // of the tenant

	serving sync.Mutex // held while a request is served
	log     bytes.Buffer
}

type itemAnswer struct {
	Body struct {
		Owner string `json:"owner"`
		URL   string `json:"url"`
	}
}

type itemRequest struct {
	ID    string            `path:"id"`
	Limit int               `query:"limit" minimum:"1" maximum:"5" default:"1"`
	Since time.Time         `query:"since"`
	Share float64           `query:"share" minimum:"0" maximum:"1"`
	From  Optional[float64] `query:"from"`
}

// either is a boolean, or an object.
type either struct{}

func (either) Schema(r huma.Registry) *huma.Schema {
	object := huma.SchemaFromType(r, reflect.TypeFor[struct {
		Size float64 `json:"size,omitempty" minimum:"0"`
	}]())
	return &huma.Schema{OneOf: []*huma.Schema{{Type: huma.TypeBoolean}, object}}
}

func (*either) UnmarshalJSON([]byte) error { return nil }

type part struct {
	Notes either `json:"notes,omitempty"`
}

// setup serves an API with one operation for a tenant, one for operators, and those of add.
func setup(t *testing.T, add func(huma.API, *http.ServeMux)) *bundle {
	t.Helper()
	text, key, err := tenant.NewKey(
		strings.NewReader(strings.Repeat("sixty-four bytes of randomness.. ", 8)), tenantKeyOf, "default", time.Now(),
	)
	if err != nil {
		t.Fatal(err)
	}
	b := &bundle{key: text}
	mux := http.NewServeMux()
	api := NewAPI(mux, Keys{Admin: operatorKey, TenantByKey: func(_ context.Context, id string, hash []byte) (tenant.Tenant, error) {
		if id != key.ID || !bytes.Equal(hash, key.Hash) {
			return tenant.Tenant{}, tenant.ErrUnknownKey()
		}
		return tenant.Tenant{ID: tenantKeyOf}, nil
	}})
	Register(api, Tenant, huma.Operation{OperationID: "item", Method: http.MethodGet, Path: "/items/{id}"},
		func(ctx context.Context, _ *itemRequest) (*itemAnswer, error) {
			out := &itemAnswer{}
			out.Body.Owner, out.Body.URL = TenantOf(ctx).ID, presigned
			return out, nil
		})
	Register(api, Admin, huma.Operation{OperationID: "operate", Method: http.MethodPost, Path: "/operate"},
		func(context.Context, *struct {
			Body struct {
				Name  string `json:"name" minLength:"1"`
				Notes either `json:"notes,omitempty"`
				Parts []part `json:"parts,omitempty"`
			}
		}) (*struct{}, error) {
			return nil, nil
		})
	nothing := func(context.Context, *struct{}) (*struct{}, error) { return nil, nil }
	Register(api, Tenant, huma.Operation{OperationID: "remove", Method: http.MethodDelete, Path: "/things/1"}, nothing)
	Register(api, Scheduler, huma.Operation{OperationID: "work", Method: http.MethodPost, Path: "/work"}, nothing)
	if add != nil {
		add(api, mux)
	}
	handler := Handler(mux, nil, zerolog.New(&b.log))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.serving.Lock()
		defer b.serving.Unlock()
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	b.url = s.URL
	return b
}

// logged is the log with all of those requests whose answer was read, which goes out before the log line.
func (b *bundle) logged() string {
	b.serving.Lock()
	defer b.serving.Unlock()
	return b.log.String()
}

type answer struct {
	status int
	header http.Header
	body   string
}

func (b *bundle) send(t *testing.T, method, path, body string, headers ...string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, b.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(content)}
}

func (a answer) problem(t *testing.T) Problem {
	t.Helper()
	var p Problem
	if err := json.Unmarshal([]byte(a.body), &p); err != nil {
		t.Fatalf("answered %d with %s: %v", a.status, a.body, err)
	}
	if got := a.header.Get("Content-Type"); got != "application/problem+json" || p.Status != a.status ||
		p.Title != http.StatusText(a.status) ||
		p.Type != "/docs#"+string(p.Code) || p.Detail == "" {
		t.Errorf("answered %d as %s with %+v", a.status, got, p)
	}
	return p
}

// lines are those of the log that have this message.
func (b *bundle) lines(t *testing.T, message string) []map[string]any {
	t.Helper()
	var out []map[string]any
	for line := range strings.Lines(b.logged()) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatalf("the log has a line that is not JSON: %s", line)
		}
		if fields["message"] == message {
			out = append(out, fields)
		}
	}
	return out
}

// What only the log may tell: a failure of Postgres as its driver words it, a link, and a path of ours.
const internals = `ERROR: column "secret" of relation "jobs" does not exist (SQLSTATE 42703) at /srv/app.go:12 ` + presigned

func TestInternalCausesReachTheLogOnly(t *testing.T) {
	t.Parallel()
	cause := errors.New(internals)
	for name, test := range map[string]struct {
		fail       error // nil: panic
		wantStatus int
		wantDetail string
	}{
		"an unknown error": {cause, 500, internalDetail},
		"a wrapped error":  {fmt.Errorf("reading a job: %w", cause), 500, internalDetail},
		"a panic":          {nil, 500, internalDetail},
		"a late answer": {
			fmt.Errorf("%w: %w", context.DeadlineExceeded, cause), 503,
			"A service behind this one did not answer in time. Try again in a few seconds.",
		},
		"a problem's cause": {
			fmt.Errorf("on the way: %w", problem.Wrap(cause, problem.Unavailable, "The database is away.")), 503, "The database is away.",
		},
		"a joined problem": {errors.Join(cause, problem.New(problem.NotFound, "No such item.")), 404, "No such item."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, func(api huma.API, _ *http.ServeMux) {
				Register(api, Public, huma.Operation{OperationID: "fail", Method: http.MethodGet, Path: "/fail", Errors: []int{404}},
					func(context.Context, *struct{}) (*itemAnswer, error) {
						if test.fail == nil {
							panic(cause)
						}
						return nil, test.fail
					})
			})
			a := b.send(t, "GET", "/fail", "")
			if p := a.problem(t); a.status != test.wantStatus || p.Detail != test.wantDetail {
				t.Errorf("answered %d: %s", a.status, a.body)
			}
			for word := range strings.FieldsSeq(internals) {
				if len(word) > 5 && strings.Contains(a.body, word) {
					t.Errorf("the answer tells %q: %s", word, a.body)
				}
			}
			id := a.header.Get("X-Request-Id")
			told := append(b.lines(t, "request failed"), b.lines(t, "handler panicked")...)
			if len(told) != 1 || told[0]["request_id"] != id || !strings.Contains(fmt.Sprint(told), "SQLSTATE 42703") && test.wantStatus >= 500 {
				t.Errorf("the log does not tell the cause of request %s: %s", id, b.logged())
			}
		})
	}
}

func TestAnAnswerThatBreaksOffIsNotTakenForWhole(t *testing.T) {
	t.Parallel()
	b := setup(t, func(_ huma.API, mux *http.ServeMux) {
		mux.HandleFunc("GET /breaks", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"half": `)
			_ = http.NewResponseController(w).Flush()
			panic("in the middle")
		})
	})
	response, err := http.Get(b.url + "/breaks")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, err := io.ReadAll(response.Body); err == nil {
		t.Errorf("the client takes %q for the whole answer", body)
	}
	if got := b.lines(t, "request"); len(got) != 1 || got[0]["cut"] != true {
		t.Errorf("the log has %v", got)
	}
}

func TestAStatusThatComesTooLateIsNotSent(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /late", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "begun")
		w.WriteHeader(499) // as huma does when the client left in the middle of the answer
	})
	var complaints bytes.Buffer
	s := httptest.NewUnstartedServer(Handler(mux, nil, zerolog.Nop()))
	s.Config.ErrorLog = log.New(&complaints, "", 0)
	s.Start()
	response, err := http.Get(s.URL + "/late")
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	s.Close() // waits for the handler
	if response.StatusCode != http.StatusOK || complaints.Len() > 0 {
		t.Errorf("status %d, and net/http complains %q", response.StatusCode, complaints.String())
	}
}

func TestProblemsCarryTheirHeaders(t *testing.T) {
	t.Parallel()
	b := setup(t, func(api huma.API, _ *http.ServeMux) {
		Register(api, Public, huma.Operation{OperationID: "full", Method: http.MethodGet, Path: "/full", Errors: []int{429}},
			func(context.Context, *struct{}) (*itemAnswer, error) {
				return nil, problem.New(problem.QueueFull, "The queue is full.").WithRetryAfter(1500 * time.Millisecond)
			})
	})
	full := b.send(t, "GET", "/full", "")
	if full.status != 429 || full.header.Get("Retry-After") != "2" { // rounded up: earlier would be too early
		t.Errorf("answered %d with %v", full.status, full.header)
	}
	for name, headers := range map[string][]string{
		"no key": nil, "no scheme of ours": {"Authorization: Basic YTpi"},
		"an unknown key":     {"Authorization: Bearer sk-" + strings.Repeat("0", 45)},
		"the operator's key": {"X-Admin-Key: " + operatorKey},
	} {
		a := b.send(t, "GET", "/items/1", "", headers...)
		if a.status != 401 || !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Bearer ") || a.header.Get("Retry-After") != "" {
			t.Errorf("%s: answered %d with %v", name, a.status, a.header)
		}
		if p := a.problem(t); p.Code != problem.Unauthorized || p.Instance != "/items/1" {
			t.Errorf("%s: %+v", name, p)
		}
	}
	if a := b.send(t, "GET", "/items/1", "", "Authorization: Bearer "+b.key); a.status != 200 || a.header.Get("WWW-Authenticate") != "" ||
		a.header.Get("Cache-Control") != "no-store" || a.header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("answered %d with %v", a.status, a.header)
	}
}

func TestWithoutAnAdminKeyOperatorsAreTurnedAway(t *testing.T) {
	t.Parallel()
	keys := Keys{}
	for _, given := range []string{"", "anything"} {
		if err := keys.checkAdmin(given); problem.CodeOf(err) != problem.NotConfigured {
			t.Errorf("the key %q gives %v", given, err)
		}
	}
}

func TestRequestsAreIdentified(t *testing.T) {
	t.Parallel()
	made := regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	for given, kept := range map[string]bool{
		"mine-1": true, "A_b.C-9": true, strings.Repeat("x", 64): true,
		"": false, strings.Repeat("x", 65): false, "a b": false, `a"b`: false, "a\tb": false, "ä": false, "a;b": false,
	} {
		b := setup(t, nil)
		headers := []string{"X-Request-Id: " + given}
		if given == "" {
			headers = nil
		}
		for _, path := range []string{"/items/1", "/nothing"} {
			got := b.send(t, "GET", path, "", headers...).header.Get("X-Request-Id")
			if kept && got != given || !kept && !made.MatchString(got) {
				t.Errorf("%q is answered with %q", given, got)
			}
			if lines := b.lines(t, "request"); lines[len(lines)-1]["request_id"] != got {
				t.Errorf("%q is logged as %v", got, lines[len(lines)-1]["request_id"])
			}
		}
	}
}

func TestWhatIsNotThereIsAProblem(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	for name, test := range map[string]struct {
		method, path string
		status       int
		code         problem.Code
		allow        string
	}{
		"an unknown path":    {"GET", "/nothing/%3Cscript%3E", 404, problem.NotFound, ""},
		"a deeper path":      {"GET", "/items/1/more", 404, problem.NotFound, ""},
		"another method":     {"PUT", "/items/1", 405, methodNotAllowed, "GET, HEAD"},
		"a method of nobody": {"BREW", "/operate", 405, methodNotAllowed, "POST"},
	} {
		a := b.send(t, test.method, test.path, "")
		p := a.problem(t)
		if a.status != test.status || p.Code != test.code || p.Instance != test.path || a.header.Get("Allow") != test.allow {
			t.Errorf("%s answered %d, Allow %q: %+v", name, a.status, a.header.Get("Allow"), p)
		}
	}
}

func TestASlashAtTheEndOfAPathIsRedirected(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	for _, pattern := range []string{
		"GET /{$}", "POST /jobs", "GET /jobs/{id}", "GET /jobs/{id}/results", "GET /jobs/{id}/results/{name...}",
	} {
		mux.HandleFunc(pattern, func(http.ResponseWriter, *http.Request) {})
	}
	handler := Handler(mux, nil, zerolog.Nop())
	for request, want := range map[string]string{
		"POST /jobs/":                      "/jobs",
		"GET /jobs/1/?wait=5s&x=%2F":       "/jobs/1?wait=5s&x=%2F",
		"GET /jobs/a%2Fb/":                 "/jobs/a%2Fb",
		"GET /jobs/1/results/":             "/jobs/1/results",
		"GET /":                            "200",
		"POST /jobs":                       "200",
		"GET /jobs/1/results/a/b":          "200",
		"GET /jobs/":                       "404",
		"DELETE /jobs/1/":                  "404",
		"GET /nothing/":                    "404",
		"GET /jobs/1//":                    "404",
		"GET //example.org/jobs/1/":        "404",
		"GET //example.org/":               "404",
		"GET /jobs/../jobs/1/":             "404",
		"GET /%2F/example.org/":            "404",
		"GET /jobs/1/results/..%2f..%2fx/": "404",
	} {
		method, target, _ := strings.Cut(request, " ")
		r := httptest.NewRequest(method, "http://example.com/", strings.NewReader("x"))
		parsed, err := url.Parse("http://example.com" + target)
		if err != nil {
			t.Fatal(err)
		}
		r.URL = parsed
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		got := strconv.Itoa(w.Code)
		if w.Code == http.StatusTemporaryRedirect {
			got = w.Header().Get("Location")
		}
		if got != want {
			t.Errorf("%s leads to %s, want %s", request, got, want)
		}
	}
}

func TestFaultsInARequestAreListed(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	for name, test := range map[string]struct {
		method, path, body, key string
		status                  int
		location                string
	}{
		"not a number":       {"GET", "/items/1?share=NaN", "", "Authorization: " + b.key, 400, "query.share"},
		"an infinite number": {"GET", "/items/1?share=-Inf", "", "Authorization: " + b.key, 400, "query.share"},
		"neither kind":       {"POST", "/operate", `{"name": "x", "notes": "yes"}`, "X-Admin-Key: " + operatorKey, 400, "body.notes"},
		"a member of one kind": {
			"POST", "/operate", `{"name": "x", "notes": {"size": -1}}`, "X-Admin-Key: " + operatorKey, 400,
			"body.notes.size",
		},
		"a member of no kind": {
			"POST", "/operate", `{"name": "x", "notes": {"sise": 1}}`, "X-Admin-Key: " + operatorKey, 400,
			"body.notes.sise",
		},
		"a member further down": {
			"POST", "/operate", `{"name": "x", "parts": [{}, {"notes": {"size": -1}}]}`, "X-Admin-Key: " + operatorKey, 400,
			"body.parts[1].notes.size",
		},
		"a misspelt parameter": {"GET", "/items/1?limit=2&since_=1", "", "Authorization: " + b.key, 400, "query.since_"},
		"a long parameter": {
			"GET", "/items/1?" + strings.Repeat("x", 5000) + "=1", "", "Authorization: " + b.key, 400, "query." + strings.Repeat("x", 100),
		},
		"an unknown one of none": {"POST", "/operate?force=true", `{"name": "x"}`, "X-Admin-Key: " + operatorKey, 400, "query.force"},
		"a number out of range":  {"GET", "/items/1?limit=6", "", "Authorization: " + b.key, 400, "query.limit"},
		"no number":              {"GET", "/items/1?limit=many", "", "Authorization: " + b.key, 400, "query.limit"},
		"no time":                {"GET", "/items/1?since=yesterday", "", "Authorization: " + b.key, 400, "query.since"},
		"an endless number":      {"GET", "/items/1?from=-inf", "", "Authorization: " + b.key, 400, "query.from"},
		"a missing member":       {"POST", "/operate", `{}`, "X-Admin-Key: " + operatorKey, 400, "body"},
		"an unknown member":      {"POST", "/operate", `{"name": "x", "nam": 1}`, "X-Admin-Key: " + operatorKey, 400, "body.nam"},
		"an empty member":        {"POST", "/operate", `{"name": ""}`, "X-Admin-Key: " + operatorKey, 400, "body.name"},
		"no JSON":                {"POST", "/operate", `{`, "X-Admin-Key: " + operatorKey, 400, "body"},
		"no body":                {"POST", "/operate", "", "X-Admin-Key: " + operatorKey, 400, ""},
		"brackets":               {"POST", "/operate", strings.Repeat("[", 1<<19), "X-Admin-Key: " + operatorKey, 400, "body"},
		"nested objects": {
			"POST", "/operate", strings.Repeat(`{"name":`, 9_000) + "1" + strings.Repeat("}", 9_000), "X-Admin-Key: " + operatorKey, 400,
			"body.name",
		},
		"what is not read":        {"DELETE", "/things/1", `{"seed": 3}`, "Authorization: " + b.key, 400, "body"},
		"what says nothing":       {"DELETE", "/things/1", "{}", "Authorization: " + b.key, 204, ""},
		"an event of a scheduler": {"POST", "/work", `{"seed": 3}`, "X-Admin-Key: " + operatorKey, 204, ""},
		"a body of 2 MiB":         {"POST", "/operate", `{"name": "` + strings.Repeat("x", 2<<20) + `"}`, "X-Admin-Key: " + operatorKey, 413, ""},
	} {
		a := b.send(t, test.method, test.path, test.body, test.key, "Content-Type: application/json")
		if a.status == http.StatusNoContent && test.status == a.status {
			continue
		}
		p := a.problem(t)
		if a.status != test.status || test.location != "" && (len(p.Errors) == 0 || p.Errors[0].Location != test.location) {
			t.Errorf("%s answered %d: %+v", name, a.status, p)
		}
		if strings.Contains(a.body, "schema") {
			t.Errorf("%s is answered with what only the authors of schemas understand: %s", name, a.body)
		}
		if len(a.body) > 1000 {
			t.Errorf("%s is answered with %d bytes", name, len(a.body))
		}
		if strings.Contains(a.body, "2006-01-02") { // how Go writes the form of a time
			t.Errorf("%s is answered with what only Go programmers understand: %s", name, a.body)
		}
	}
	if a := b.send(
		t, "POST", "/operate", "name: x", "X-Admin-Key: "+operatorKey, "Content-Type: application/yaml",
	); a.status != 415 || a.problem(t).Code != unsupportedMediaType {
		t.Errorf("another media type is answered with %d: %s", a.status, a.body)
	}
}

func TestEveryRequestIsOneLineOfTheLogWithoutSecrets(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	link := "?X-Amz-Signature=5ecre7&X-Amz-Credential=cred3ntial"
	for _, test := range []struct {
		method, path, key string
		want              map[string]any
	}{
		{
			"GET", "/items/1" + link, "Authorization: Bearer " + b.key,
			map[string]any{"route": "GET /items/{id}", "status": 400., "tenant": tenantKeyOf}, // it has no such parameters
		},
		{"GET", "/items/" + b.key, "Authorization: " + b.key, map[string]any{"route": "GET /items/{id}", "status": 200., "tenant": tenantKeyOf}},
		{"GET", "/items/1", "Authorization: Bearer " + b.key + "x", map[string]any{"route": "GET /items/{id}", "status": 401., "tenant": ""}},
		{"POST", "/operate", "X-Admin-Key: " + operatorKey, map[string]any{"route": "POST /operate", "status": 400., "tenant": ""}},
		{"POST", "/operate", "X-Admin-Key: " + operatorKey + "x", map[string]any{"route": "POST /operate", "status": 401., "tenant": ""}},
		{"GET", "/" + b.key + link, "X-Admin-Key: " + operatorKey, map[string]any{"route": "", "status": 404., "tenant": ""}},
	} {
		before := len(b.lines(t, "request"))
		a := b.send(t, test.method, test.path, "", test.key)
		lines := b.lines(t, "request")
		if len(lines) != before+1 {
			t.Fatalf("%s %s wrote %d lines", test.method, test.path, len(lines)-before)
		}
		line := lines[before]
		if line["bytes"] != float64(len(a.body)) || line["request_id"] != a.header.Get("X-Request-Id") || line["method"] != test.method {
			t.Errorf("%s %s wrote %v", test.method, test.path, line)
		}
		for name := range line {
			if _, ok := test.want[name]; !ok {
				delete(line, name)
			}
		}
		if diff := cmp.Diff(test.want, line); diff != "" {
			t.Errorf("%s %s: %s", test.method, test.path, diff)
		}
	}
	for _, secret := range []string{b.key, operatorKey, "5ecre7", "cred3ntial"} {
		if strings.Contains(b.logged(), secret) {
			t.Errorf("the log tells %s: %s", secret, b.logged())
		}
	}
}

func TestATraceIsNamedInTheLogAndObserversHearOfRoutesOnly(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	var heard []string
	mux := http.NewServeMux()
	Register(NewAPI(mux, Keys{}), Public, huma.Operation{OperationID: "item", Method: http.MethodGet, Path: "/items/{id}"},
		func(context.Context, *itemRequest) (*struct{}, error) { return nil, nil })
	handler := Handler(mux, nil, zerolog.New(&log), func(r *http.Request, route string) (context.Context, func(int, time.Duration)) {
		return r.Context(), func(status int, took time.Duration) {
			if took <= 0 {
				t.Errorf("%s took %s", route, took)
			}
			heard = append(heard, fmt.Sprint(route, " ", status))
		}
	})
	const id = "4bf92f3577b34da6a3ce929d0e0e4736"
	for _, test := range []struct{ path, traceparent, trace string }{
		{"/items/1", "00-" + id + "-00f067aa0ba902b7-01", id},
		{"/items/2", "01-" + id + "-00f067aa0ba902b7-01-of-a-later-version", id},
		{"/items/3", "00-" + strings.Repeat("0", 32) + "-00f067aa0ba902b7-01", ""},
		{"/items/4", "00-" + strings.ToUpper(id) + "-00f067aa0ba902b7-01", ""},
		{"/items/5", "", ""},
		{"/nothing/" + id, `"}{`, ""},
	} {
		log.Reset()
		r := httptest.NewRequest("GET", test.path, nil)
		if test.traceparent != "" {
			r.Header.Set("Traceparent", test.traceparent)
		}
		handler.ServeHTTP(httptest.NewRecorder(), r)
		var line map[string]any
		if err := json.Unmarshal(log.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		if got, _ := line["trace_id"].(string); got != test.trace {
			t.Errorf("%s with %q is logged with the trace %q", test.path, test.traceparent, got)
		}
	}
	want := []string{"GET /items/{id} 204", "GET /items/{id} 204", "GET /items/{id} 204", "GET /items/{id} 204", "GET /items/{id} 204", " 404"}
	if diff := cmp.Diff(want, heard); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
