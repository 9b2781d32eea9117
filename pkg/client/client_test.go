package client

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/sumo-k8/sumo-k8/pkg/job"
)

// script answers the n-th request with the n-th handler, and those after the last with the last. It stands where the real
// service cannot be made to fail on demand.
type script struct {
	*httptest.Server
	mu      sync.Mutex
	answers []http.HandlerFunc
	keys    []string // Idempotency-Key of each request
	bodies  []string
}

func newScript(t testing.TB, answers ...http.HandlerFunc) *script {
	s := &script{answers: answers}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		answer := s.answers[min(len(s.keys), len(s.answers)-1)]
		s.keys, s.bodies = append(s.keys, r.Header.Get("Idempotency-Key")), append(s.bodies, string(body))
		s.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// seen returns the key and the body of each request.
func (s *script) seen() (keys, bodies []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.keys), slices.Clone(s.bodies)
}

func (s *script) client(t testing.TB) *Client {
	t.Helper()
	api, err := New(s.URL, Options{APIKey: "sk-test", Patience: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	api.firstPause = time.Millisecond // the pauses are not what is tested
	return api
}

func says(status int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if status >= 400 {
			w.Header().Set("Content-Type", "application/problem+json")
		}
		for _, h := range headers {
			name, value, _ := strings.Cut(h, ": ")
			w.Header().Set(name, value)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func cuts(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

const aJob = `{"job_id": "j1", "status": "QUEUED", "error": null, "new_field": 7}`

func TestASubmissionThatIsRepeatedIsTheSameOne(t *testing.T) {
	t.Parallel()
	s := newScript(t, cuts, says(503, `{"code": "unavailable", "detail": "Postgres is unreachable."}`),
		says(429, `{"code": "rate_limited"}`), says(409, `{"code": "conflict"}`, "Retry-After: 1"), says(200, aJob))
	path := filepath.Join(t.TempDir(), "a.zip")
	if err := os.WriteFile(path, []byte("the zip"), 0o600); err != nil {
		t.Fatal(err)
	}
	var sent []int64
	j, err := s.client(t).Submit(t.Context(), Submission{
		Run: Run{Name: "a"}, Scenario: File(path), Sent: func(n, total int64) { sent = append(sent, n, total) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if j.ID != "j1" || j.Status != job.Queued || string(j.JSON()) != aJob {
		t.Errorf("job %+v, JSON %s", j, j.JSON())
	}
	keys, bodies := s.seen()
	if len(keys) != 5 || keys[0] == "" {
		t.Fatalf("keys %q, want five with a value", keys)
	}
	for i := range keys {
		if keys[i] != keys[0] || bodies[i] != bodies[0] {
			t.Errorf("request %d differs from the first", i)
		}
	}
	if !strings.Contains(bodies[0], "the zip") || strings.Index(bodies[0], "scenario_id") > strings.Index(bodies[0], "the zip") {
		t.Errorf("the form has not all its fields before the zip:\n%s", bodies[0])
	}
	if want := []int64{7, 7}; !cmp.Equal(sent[len(sent)-2:], want) {
		t.Errorf("the last reports are of %v, want %v", sent, want)
	}
}

func TestWhatMustNotBeRepeatedIsSentOnce(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]http.HandlerFunc{
		"a cut":                      cuts,
		"the service is unreachable": says(503, `{"code": "unavailable"}`),
		"a gateway's error":          says(502, `<html>`),
		"it is refused":              says(400, `{"code": "invalid_request"}`),
		"our own other fault":        says(500, `{"code": "internal"}`),
		"a redirect elsewhere":       says(302, ``, "Location: https://elsewhere.example/x?signature=secret"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScript(t, answer)
			_, err := s.client(t).Register(t.Context(), "acme", Limits{})
			if keys, _ := s.seen(); err == nil || len(keys) != 1 {
				t.Errorf("error %v after %d requests, want one after one", err, len(keys))
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("a query in %q", err)
			}
		})
	}
}

func TestWhatTryingAgainDoesNotCureIsToldAtOnce(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]http.HandlerFunc{
		"not configured":              says(503, `{"code": "not_configured", "detail": "No admin key is configured."}`),
		"a conflict":                  says(409, `{"code": "conflict"}`),
		"unknown":                     says(404, `{"code": "not_found"}`),
		"longer than we are patient":  says(429, `{"code": "rate_limited"}`, "Retry-After: 3600"),
		"something else than JSON":    says(200, `<html>`),
		"a date beyond our patience":  says(503, `{}`, "Retry-After: "+time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)),
		"a redirect to another place": says(301, ``, "Location: https://elsewhere.example/"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScript(t, answer)
			_, err := s.client(t).Job(t.Context(), "j1")
			if keys, _ := s.seen(); err == nil || len(keys) != 1 {
				t.Errorf("error %v after %d requests, want one after one", err, len(keys))
			}
		})
	}
}

func TestARefusalTellsAllThatIsKnown(t *testing.T) {
	t.Parallel()
	document := `{"title": "Unprocessable", "status": 422, "detail": "The scenario cannot be run.", "code": "scenario_invalid",
		"errors": [{"location": "a.sumocfg:4", "message": "net.xml is missing"}, {"message": "no vehicles"}]}`
	s := newScript(t, says(422, document, "X-Request-Id: r7"))
	_, err := s.client(t).Job(t.Context(), "a/b")
	var refused *Error
	if !errors.As(err, &refused) {
		t.Fatalf("error %v is no *Error", err)
	}
	want := "GET " + s.URL + "/jobs/a%2Fb answered 422: The scenario cannot be run.\n  a.sumocfg:4: net.xml is missing\n  no vehicles"
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("text (-want +got):\n%s", diff)
	}
	if refused.RequestID != "r7" || refused.Code != "scenario_invalid" || string(refused.JSON()) != document {
		t.Errorf("error %+v", refused)
	}
}

func TestAnAddressMustBeOne(t *testing.T) {
	t.Parallel()
	for _, base := range []string{"", "localhost:8080", "ftp://x", "https://", "https://key@host", "https://host?x=1", "http://[bad"} {
		if _, err := New(base, Options{}); err == nil {
			t.Errorf("%q was accepted", base)
		}
	}
}

func TestAnEmptyIDIsNoAddress(t *testing.T) {
	t.Parallel()
	api, err := New("http://localhost", Options{APIKey: "sk-test", Transport: refusing{t}})
	if err != nil {
		t.Fatal(err)
	}
	for name, call := range map[string]func() error{
		"a job":      func() error { _, err := api.Job(t.Context(), ""); return err },
		"its tables": func() error { _, err := api.Tables(t.Context(), ""); return err },
	} {
		if err := call(); err == nil || !strings.Contains(err.Error(), "is empty in GET /jobs/") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// refusing is a network over which nothing may be sent.
type refusing struct{ t *testing.T }

func (r refusing) RoundTrip(req *http.Request) (*http.Response, error) {
	r.t.Errorf("%s %s is sent", req.Method, req.URL)
	return nil, errors.New("nothing may be sent")
}

func TestAServiceThatNeverAnsweredIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	stranger := httptest.NewTLSServer(says(200, aJob)) // whose certificate nobody has signed
	t.Cleanup(stranger.Close)
	plain := newScript(t, says(200, aJob))
	for name, test := range map[string]struct{ url, says string }{
		// Where nobody listens, and nobody else is given the port.
		"nobody listens":    {"http://127.0.0.1:1", "refused"},
		"without TLS":       {strings.Replace(plain.URL, "http:", "https:", 1), "its address is " + plain.URL},
		"not to be trusted": {stranger.URL, "certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScript(t, says(200, aJob))
			s.URL = test.url
			api := s.client(t)
			repeated := 0
			api.options.Retrying = func(error, time.Duration) { repeated++ }
			_, err := api.Job(t.Context(), "j1")
			var unreachable *Unreachable
			if !errors.As(err, &unreachable) || repeated > 0 || !strings.Contains(err.Error(), test.says) {
				t.Errorf("error %v after %d repetitions", err, repeated)
			}
		})
	}
}

func TestCallsEndWithTheirContext(t *testing.T) {
	t.Parallel()
	s := newScript(t, says(503, `{}`))
	api := s.client(t)
	why := errors.New("Ctrl-C")
	ctx, cancel := context.WithCancelCause(t.Context())
	api.options.Retrying = func(error, time.Duration) { cancel(why) }
	if _, err := api.Job(ctx, "j1"); !errors.Is(err, why) {
		t.Errorf("error %v, want %v", err, why)
	}
	for _, err := range api.Follow(ctx, "j1", "") {
		if !errors.Is(err, why) {
			t.Errorf("follow: error %v, want %v", err, why)
		}
	}
}

// logServer sends a log of n lines and cuts each connection after a number of bytes that next chooses.
func logServer(t testing.TB, n int, next func() int) *script {
	return newScript(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		from := 0
		if id := r.Header.Get("Last-Event-ID"); id != "" {
			if _, err := fmt.Sscanf(id, "2-%d", &from); err != nil {
				http.Error(w, "unknown id", http.StatusBadRequest)
				return
			}
		}
		var b strings.Builder
		b.WriteString("retry: 1\n\n: heartbeat\n\n")
		if from == 0 {
			b.WriteString("data: {\"message\": \"No log yet.\"}\n\n")
		}
		for i := from; i < n; i++ {
			fmt.Fprintf(&b, "id: 2-%d\ndata: {\"message\": \"line %d ü\"}\n\nevent: progress\n"+
				"data:{\"progress\":0.5,\"state\":\"RUNNING\"}\n\n", i+1, i)
		}
		b.WriteString("event: end\ndata: {\"status\": \"FAILED\", \"reason\": \"SimulationError\", \"message\": \"it broke\"}\n\n")
		text := b.String()
		_, _ = io.WriteString(w, text[:min(next(), len(text))])
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Errorf("flushing: %v", err)
		}
		panic(http.ErrAbortHandler)
	})
}

func TestFollowLosesAndRepeatsNothingWhereverItIsCut(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(0, 40).Draw(rt, "lines")
		cutAt := rapid.SliceOfN(rapid.IntRange(1, 3000), 0, 8).Draw(rt, "cuts")
		var at atomic.Int32
		s := logServer(t, n, func() int {
			if at := int(at.Add(1)); at <= len(cutAt) {
				return cutAt[at-1]
			}
			return 1 << 20
		})
		defer s.Close()
		var want, got []string
		for i := range n {
			want = append(want, fmt.Sprintf("line %d ü", i))
		}
		notes, ends := 0, 0
		for e, err := range s.client(t).Follow(t.Context(), "j1", "") {
			if err != nil {
				rt.Fatal(err)
			}
			switch e.Kind {
			case LogLine:
				got = append(got, e.Message)
			case LogNote:
				notes++
			case LogEnd:
				ends++
				if e.Status != job.Failed || e.Reason != "SimulationError" || e.Message != "it broke" {
					rt.Errorf("the end is %+v", e)
				}
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			rt.Errorf("lines (-want +got):\n%s", diff)
		}
		if notes != 1 || ends != 1 {
			rt.Errorf("%d notes and %d ends, want one of each", notes, ends)
		}
	})
}

func TestFollowGivesUpOnAStreamThatNeverBegins(t *testing.T) {
	t.Parallel()
	s := newScript(t, says(200, ""))
	api := s.client(t)
	api.options.Patience = time.Nanosecond
	var last error
	for _, err := range api.Follow(t.Context(), "j1", "") {
		last = err
	}
	var unreachable *Unreachable
	if !errors.As(last, &unreachable) {
		t.Errorf("error %v", last)
	}
}

// fileServer redirects to a link that sends content and cuts each connection after as many bytes as next says.
func fileServer(t testing.TB, content string, next func() int) *script {
	return newScript(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/jobs/") {
			http.Redirect(w, r, "/s3"+r.URL.EscapedPath()+"?signature=secret", http.StatusFound)
			return
		}
		if r.Header.Get("Authorization") != "" {
			http.Error(w, "only one auth mechanism is allowed", http.StatusBadRequest)
			return
		}
		if limit := next(); limit >= 0 {
			w = &limitedWriter{ResponseWriter: w, left: limit}
		}
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(content))
	})
}

type limitedWriter struct {
	http.ResponseWriter
	left int
}

func (l *limitedWriter) Write(p []byte) (int, error) {
	n, err := l.ResponseWriter.Write(p[:min(len(p), l.left)])
	if l.left -= n; l.left == 0 {
		_ = http.NewResponseController(l.ResponseWriter).Flush()
		panic(http.ErrAbortHandler)
	}
	return n, err
}

func TestADownloadGoesOnWhereItWasCut(t *testing.T) {
	t.Parallel()
	content := strings.Repeat("0123456789", 20_000)
	limits := []int{1, 70_000, 0, 50_000, -1}
	var at atomic.Int32
	s := fileServer(t, content, func() int { return limits[at.Add(1)-1] })
	root := openRoot(t, t.TempDir())
	var last int64
	file := ResultFile{Name: "sub folder/fcd?.xml", Size: int64(len(content)), SHA256: "B56B2C1DE1A7F92FFD3F9D2D5C4FBF0E2B7D6B5C"}
	_, err := s.client(t).Save(t.Context(), "j1", file, root, func(n int64) { last = n })
	if err == nil || !strings.Contains(err.Error(), "SHA-256") {
		t.Errorf("error %v, want one about the wrong checksum", err)
	}
	if n := int(at.Load()); n != len(limits) || last != file.Size {
		t.Errorf("%d requests, %d bytes reported", n, last)
	}
	if entries, _ := os.ReadDir(filepath.Join(root.Name(), "sub folder")); len(entries) != 0 {
		t.Errorf("a damaged download left %v", entries)
	}
	at.Store(0)
	file.SHA256 = ""
	if _, err := s.client(t).Save(t.Context(), "j1", file, root, nil); err != nil {
		t.Fatal(err)
	}
	if got, err := root.ReadFile(filepath.FromSlash(file.Name)); err != nil || string(got) != content {
		t.Errorf("%d bytes, %v; they differ", len(got), err)
	}
}

func TestADownloadGoesOnAfterItsProcessWasKilled(t *testing.T) {
	t.Parallel()
	content := strings.Repeat("0123456789", 20_000)
	digest := sha256.Sum256([]byte(content))
	sum := hex.EncodeToString(digest[:])
	const name, another = "sub/fcd.xml", "0123456789abcdef0123456789"
	part := func(sum string) string { return filepath.FromSlash(name) + "." + sum[:26] + ".part" }
	for what, tt := range map[string]struct {
		left string // by the process that was killed
		sent int    // bytes that are fetched
	}{
		"nothing":                 {"", len(content)},
		"a beginning":             {content[:150_000], 50_000},
		"all":                     {content, 0},
		"more than there is":      {content + "x", len(content)},
		"what a crash has spoilt": {strings.Repeat("\x00", 150_000), 50_000 + len(content)},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			var sent atomic.Int64
			s := newScript(t, func(w http.ResponseWriter, r *http.Request) {
				if !strings.HasPrefix(r.URL.Path, "/s3") {
					http.Redirect(w, r, "/s3", http.StatusFound)
					return
				}
				first, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(r.Header.Get("Range"), "bytes="), "-"))
				sent.Add(int64(len(content) - first))
				http.ServeContent(w, r, "", time.Time{}, strings.NewReader(content))
			})
			root := openRoot(t, t.TempDir())
			old := time.Now().Add(-25 * time.Hour)
			err := errors.Join(root.MkdirAll("sub", 0o755), root.WriteFile(part(another), []byte("x"), 0o600),
				root.Chtimes(part(another), old, old), root.WriteFile(filepath.FromSlash("sub/fcd.xml.mine.part"), nil, 0o600))
			if tt.left != "" {
				err = errors.Join(err, root.WriteFile(part(sum), []byte(tt.left), 0o600))
			}
			if err != nil {
				t.Fatal(err)
			}
			var last int64
			file := ResultFile{Name: name, Size: int64(len(content)), SHA256: sum}
			fetched, err := s.client(t).Save(t.Context(), "j1", file, root, func(n int64) { last = n })
			if err != nil || !fetched {
				t.Fatalf("fetched: %v, %v", fetched, err)
			}
			if again, err := s.client(t).Save(t.Context(), "j1", file, root, nil); err != nil || again {
				t.Errorf("what is there is fetched again: %v, %v", again, err)
			}
			if got, err := root.ReadFile(filepath.FromSlash(name)); err != nil || string(got) != content {
				t.Errorf("%d bytes, %v; they differ", len(got), err)
			}
			if n := int(sent.Load()); n != tt.sent || n > 0 && last != file.Size {
				t.Errorf("%d bytes are fetched, want %d; %d are reported", n, tt.sent, last)
			}
			var left []string
			entries, err := os.ReadDir(filepath.Join(root.Name(), "sub"))
			for _, e := range entries {
				left = append(left, e.Name())
			}
			if diff := cmp.Diff([]string{"fcd.xml", "fcd.xml.mine.part"}, left); err != nil || diff != "" {
				t.Errorf("in the folder (-want +got), %v:\n%s", err, diff)
			}
		})
	}
}

func TestTwoMayWriteTheSameFileAtATime(t *testing.T) {
	t.Parallel()
	root := openRoot(t, t.TempDir())
	whole := func(text string) func(w io.Writer) error {
		return func(w io.Writer) error {
			_, err := io.WriteString(w, text)
			return err
		}
	}
	err := WriteFile(root, "sub/a.xml", func(w io.Writer) error {
		_, err := io.WriteString(w, "<first")
		broken := errors.New("broken")
		if err := WriteFile(root, "sub/a.xml", func(io.Writer) error { return broken }); !errors.Is(err, broken) {
			t.Errorf("error %v, want %v", err, broken)
		}
		if _, err := root.Stat("sub/a.xml"); err == nil {
			t.Error("the file is there before it is complete")
		}
		return errors.Join(err, WriteFile(root, "sub/a.xml", whole("<other/>")), whole("/>")(w))
	})
	got, read := root.ReadFile("sub/a.xml")
	left, _ := os.ReadDir(filepath.Join(root.Name(), "sub"))
	if err != nil || read != nil || string(got) != "<first/>" || len(left) != 1 {
		t.Errorf("%q with %d files, %v, %v", got, len(left), err, read)
	}
}

func openRoot(t testing.TB, dir string) *os.Root {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

// TestDownloadsBesideAnother has other processes change the folder while a file arrives.
func TestDownloadsBesideAnother(t *testing.T) {
	t.Parallel()
	const content = "what both download"
	digest := sha256.Sum256([]byte(content))
	file := ResultFile{Name: "sub/own.xml", Size: int64(len(content)), SHA256: hex.EncodeToString(digest[:])}
	name := filepath.FromSlash(file.Name)
	part := name + "." + file.SHA256[:26] + ".part"
	for what, tt := range map[string]struct {
		before, during func(*os.Root) error
		fetched        int32
	}{
		"it is there already":    {before: func(r *os.Root) error { return r.WriteFile(name, []byte(content), 0o600) }},
		"it is there, but other": {before: func(r *os.Root) error { return r.WriteFile(name, []byte("what both downloaX"), 0o600) }, fetched: 1},
		"the other completes it": {during: func(r *os.Root) error { return r.Rename(part, name) }, fetched: 1},
		"the other gives up":     {during: func(r *os.Root) error { return r.Remove(part) }, fetched: 2},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			root := openRoot(t, t.TempDir())
			if err := root.Mkdir("sub", 0o700); err != nil {
				t.Fatal(err)
			}
			if tt.before != nil {
				if err := tt.before(root); err != nil {
					t.Fatal(err)
				}
			}
			var fetched atomic.Int32
			s := newScript(t, func(w http.ResponseWriter, r *http.Request) {
				if !strings.HasPrefix(r.URL.Path, "/s3") {
					http.Redirect(w, r, "/s3", http.StatusFound)
					return
				}
				if fetched.Add(1) == 1 && tt.during != nil {
					if err := tt.during(root); err != nil {
						t.Error(err)
					}
				}
				http.ServeContent(w, r, "", time.Time{}, strings.NewReader(content))
			})
			if _, err := s.client(t).Save(t.Context(), "j1", file, root, nil); err != nil {
				t.Fatal(err)
			}
			if got, err := root.ReadFile(name); err != nil || string(got) != content {
				t.Errorf("%q, %v", got, err)
			}
			if n := fetched.Load(); n != tt.fetched {
				t.Errorf("fetched %d times, want %d", n, tt.fetched)
			}
			if entries, err := os.ReadDir(filepath.Join(root.Name(), "sub")); err != nil || len(entries) != 1 {
				t.Errorf("%v, %v", entries, err)
			}
		})
	}
}

func TestADownloadThatCannotBeWholeIsAnErrorWithoutTheLink(t *testing.T) {
	t.Parallel()
	to := func(address string) http.HandlerFunc { return says(302, "", "Location: "+address) }
	for name, tt := range map[string]struct {
		file    ResultFile
		answers []http.HandlerFunc
		want    string
	}{
		"too short": {ResultFile{Name: "own", Size: 1000}, []http.HandlerFunc{to("/s3?signature=secret"), says(200, "short")},
			"got 5 bytes of 1000"},
		"the link is refused": {ResultFile{Name: "own", Size: 1}, []http.HandlerFunc{to("/s3?signature=secret"), says(403, "<Error>")},
			"answered 403"},
		"the link is nonsense": {ResultFile{Name: "own", Size: 1}, []http.HandlerFunc{to("http://[bad?signature=secret")},
			"without a readable link"},
		"unreachable store": {ResultFile{Name: "own", Size: 1}, []http.HandlerFunc{to("http://127.0.0.1:1/x?signature=secret")}, "refused"},
		"out of the folder": {ResultFile{Name: "../own", Size: 5}, []http.HandlerFunc{to("/s3?signature=secret"), says(200, "short")},
			"escapes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScript(t, tt.answers...)
			api := s.client(t)
			api.options.Patience = time.Nanosecond
			dir := t.TempDir()
			_, err := api.Save(t.Context(), "j1", tt.file, openRoot(t, dir), nil)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "secret") {
				t.Errorf("error %v, want one with %q and without the signature", err, tt.want)
			}
			if entries, _ := os.ReadDir(dir); len(entries) != 0 {
				t.Errorf("it left %v", entries)
			}
		})
	}
}

func TestAFolderMakesTheSameZipEachTime(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("grid.sumocfg", "<configuration/>")
	write("data/b.rou.xml.gz", "packed")
	write(".git/config", "mine")
	write("data/.DS_Store", "nobody's")
	if err := os.Symlink("grid.sumocfg", filepath.Join(dir, "link.sumocfg")); err != nil {
		t.Fatal(err)
	}
	read := func() []byte {
		body, size, err := Folder(dir).Open()
		if err != nil {
			t.Fatal(err)
		}
		defer body.Close()
		raw, err := io.ReadAll(body)
		if err != nil || size != -1 {
			t.Fatalf("size %d, error %v", size, err)
		}
		return raw
	}
	first := read()
	if err := os.Chtimes(filepath.Join(dir, "grid.sumocfg"), time.Now(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first, read()) {
		t.Error("the second zip differs")
	}
	archive, err := zip.NewReader(bytes.NewReader(first), int64(len(first)))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, f := range archive.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(r)
		got[f.Name] = string(text)
	}
	want := map[string]string{"grid.sumocfg": "<configuration/>", "data/b.rou.xml.gz": "packed", "link.sumocfg": "<configuration/>"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	odd := filepath.Join(dir, "odd")
	for what, leave := range map[string]func() error{
		"a link to the outside": func() error { return os.Symlink("/etc/hostname", odd) },
		"a pipe":                func() error { return syscall.Mkfifo(odd, 0o600) },
	} {
		if err := leave(); err != nil {
			t.Fatal(err)
		}
		s := newScript(t, says(200, aJob))
		_, err = s.client(t).Submit(t.Context(), Submission{Run: Run{Name: "a"}, Scenario: Folder(dir)})
		if err == nil || !strings.Contains(err.Error(), "packing the folder: ") {
			t.Errorf("%s: error %v", what, err)
		}
		if err := os.Remove(odd); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAServerThatAsksForTimeIsGivenIt(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, "-1": 0, "soon": 0,
		now.Add(9 * time.Second).Format(http.TimeFormat): 9 * time.Second,
		now.Add(-time.Hour).Format(http.TimeFormat):      0,
	} {
		if got := retryAfter(text, now); got != want {
			t.Errorf("Retry-After %q gives %s, want %s", text, got, want)
		}
	}
}
