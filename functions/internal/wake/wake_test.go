package wake

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/sumo-k8/sumo-k8/pkg/telemetry/traceparent"
)

// patient is how long a test waits for what takes milliseconds on an idle machine.
const patient = time.Minute

func receive[T any](t *testing.T, from <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-time.After(patient):
		t.Fatalf("waited %s for %s", patient, what)
	}
	return v
}

// function is a reconcile function whose calls the test sees and answers.
type function struct {
	url     string
	calls   chan *http.Request
	answers chan string // the body; an empty one for a failure
	most    atomic.Int32
}

func serve(t *testing.T) *function {
	t.Helper()
	f := &function{calls: make(chan *http.Request, 100), answers: make(chan string, 100)}
	var now atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.most.Store(max(f.most.Load(), now.Add(1)))
		defer now.Add(-1)
		_, _ = io.Copy(io.Discard, r.Body) // only then does the server notice that the client disconnects
		f.calls <- r
		select {
		case body := <-f.answers:
			if body == "" {
				w.WriteHeader(http.StatusServiceUnavailable)
				body = `{"detail": "Postgres is unreachable."}`
			}
			_, _ = io.WriteString(w, body)
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(s.Close)
	f.url = s.URL + "/reconcile"
	return f
}

func (f *function) caller() Caller { return Caller{URL: f.url, Transport: http.DefaultTransport} }

// buffer is a log that may be read while it is written.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func TestACallCarriesTheTokenAsItIsNow(t *testing.T) {
	t.Parallel()
	f := serve(t)
	c := f.caller()
	c.TokenFile, c.AdminKey = filepath.Join(t.TempDir(), "token"), "not to be sent"
	var got []string
	for _, token := range []string{"first", "second\n"} {
		if err := os.WriteFile(c.TokenFile, []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
		f.answers <- `{"passes": 3}`
		report, err := c.Call(t.Context())
		if err != nil || report.Passes != 3 {
			t.Errorf("%+v, %v", report, err)
		}
		r := receive(t, f.calls, "the call")
		got = append(got, r.Method, r.URL.Path, r.Header.Get("Authorization"), r.Header.Get("X-Admin-Key"))
	}
	if diff := cmp.Diff([]string{"POST", "/reconcile", "Bearer first", "", "POST", "/reconcile", "Bearer second", ""}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	c.TokenFile = ""
	f.answers <- `{}`
	if _, err := c.Call(t.Context()); err != nil {
		t.Error(err)
	}
	if r := receive(t, f.calls, "the call"); r.Header.Get("X-Admin-Key") != c.AdminKey {
		t.Errorf("without a file it was sent %v", r.Header)
	}
}

func TestACallThatFailsSaysWhy(t *testing.T) {
	t.Parallel()
	f := serve(t)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it followed a redirect") }))
	t.Cleanup(elsewhere.Close)
	moved := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	t.Cleanup(moved.Close)
	for name, test := range map[string]struct {
		edit func(*Caller)
		want string
	}{
		"a failure":        {func(*Caller) { f.answers <- "" }, "Postgres is unreachable."},
		"another program":  {func(*Caller) { f.answers <- "<html>" }, "not a report"},
		"nobody":           {func(c *Caller) { c.URL = "http://127.0.0.1:1" }, "refused"},
		"a redirect":       {func(c *Caller) { c.URL = moved.URL }, "307"},
		"no token":         {func(c *Caller) { c.TokenFile = "/does/not/exist" }, "RECONCILE_TOKEN_FILE"},
		"an unusable host": {func(c *Caller) { c.URL = "http://[" }, "calling reconcile"},
	} {
		c := f.caller()
		test.edit(&c)
		if _, err := c.Call(t.Context()); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v; want %q", name, err, test.want)
		}
	}
}

func TestChangesDuringACallMakeOneMore(t *testing.T) {
	t.Parallel()
	f := serve(t)
	w := start(f.caller(), zerolog.Nop(), nil)
	w.Changed(t.Context())
	receive(t, f.calls, "the first call")
	for range 50 {
		w.Changed(t.Context())
	}
	f.answers <- `{}`
	receive(t, f.calls, "the second call")
	f.answers <- `{}`
	// A third call would begin before that of a later change, which is recognised by being the only one left.
	w.Changed(t.Context())
	receive(t, f.calls, "the call of the later change")
	f.answers <- `{}`
	w.Close()
	if n := len(f.calls); n != 0 || f.most.Load() != 1 {
		t.Errorf("%d calls too many, %d concurrent", n, f.most.Load())
	}
}

func TestACallNamesTheTraceOfTheChange(t *testing.T) {
	t.Parallel()
	f := serve(t)
	w := start(f.caller(), zerolog.Nop(), nil)
	t.Cleanup(w.Close)
	const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for _, want := range []string{trace, ""} {
		request, gone := context.WithCancel(traceparent.With(t.Context(), want))
		gone() // the request is answered long before the call
		w.Changed(request)
		if got := receive(t, f.calls, "the call").Header.Get("Traceparent"); got != want {
			t.Errorf("it names %q, want %q", got, want)
		}
		f.answers <- `{}`
	}
}

func TestACallThatMayHaveMissedTheChangeIsRepeated(t *testing.T) {
	t.Parallel()
	f := serve(t)
	w := start(f.caller(), zerolog.Nop(), []time.Duration{time.Millisecond, time.Millisecond, time.Millisecond})
	for _, answers := range [][]string{
		{`{"skipped": true}`, `{"skipped": true}`, `{"passes": 1}`},
		{`{"passes": 1, "interrupted": true}`, `{"passes": 1}`},
		{`{"skipped": true}`, `{"skipped": true}`, `{"skipped": true}`, `{"skipped": true}`},
	} {
		w.Changed(t.Context())
		for _, answer := range answers {
			receive(t, f.calls, "a call")
			f.answers <- answer
		}
	}
	w.Close()
	if n := len(f.calls); n != 0 {
		t.Errorf("%d calls too many", n)
	}
}

func TestAFailureIsLoggedAndTheNextChangeCallsAgain(t *testing.T) {
	t.Parallel()
	f := serve(t)
	var log buffer
	w := start(f.caller(), zerolog.New(&log), nil)
	w.Changed(t.Context())
	receive(t, f.calls, "the first call")
	w.Changed(t.Context())
	f.answers <- ""
	receive(t, f.calls, "the call after a failure")
	f.answers <- `{}`
	w.Close()
	if !strings.Contains(log.String(), "Postgres is unreachable.") {
		t.Errorf("the log has %s", log.String())
	}
}

func TestCloseGivesUpTheCallThatIsUnderWay(t *testing.T) {
	t.Parallel()
	f := serve(t)
	var log buffer
	w := start(f.caller(), zerolog.New(&log), nil)
	w.Changed(t.Context())
	call := receive(t, f.calls, "the call")
	w.Close()
	receive(t, call.Context().Done(), "the call's end")
	w.Changed(t.Context()) // from a request that ends late; it must not block
	w.Changed(t.Context())
	if log.String() != "" {
		t.Errorf("the log has %s", log.String())
	}
}

func TestACallEndsWithItsContext(t *testing.T) {
	t.Parallel()
	f := serve(t)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-f.calls
		cancel()
	}()
	if _, err := f.caller().Call(ctx); err == nil {
		t.Error("it did not end")
	}
}
