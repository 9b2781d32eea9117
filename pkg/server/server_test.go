package server

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// patience is for what takes milliseconds on an idle machine.
const patience = time.Minute

// running is a server under test.
type running struct {
	url, address string
	stop         context.CancelFunc
	ended        chan error
	log          *bytes.Buffer // to be read after the end
}

// usual are the limits of Serve.
var usual = lingerLimits{lingerSilence, lingerTime}

func run(t *testing.T, handler http.HandlerFunc, headers, grace time.Duration) *running {
	t.Helper()
	return runWith(t, handler, timeouts{headers, patience, Shutdown{Grace: grace}, usual})
}

func runWith(t *testing.T, handler http.HandlerFunc, limits timeouts) *running {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	r := &running{
		url: "http://" + listener.Addr().String(), address: listener.Addr().String(), stop: stop, ended: make(chan error, 1),
		log: &bytes.Buffer{},
	}
	go func() {
		r.ended <- serve(ctx, listener, handler, limits, zerolog.New(r.log))
	}()
	t.Cleanup(stop)
	return r
}

func (r *running) wait(t *testing.T) error {
	t.Helper()
	return receive(t, r.ended, "the server's end")
}

func receive[T any](t *testing.T, from <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-time.After(patience):
		t.Fatalf("waited %s for %s", patience, what)
	}
	return v
}

// result is what a client got.
type result struct {
	body string
	err  error
}

// get asks in the background.
func get(t *testing.T, url string) <-chan result {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	out := make(chan result, 1)
	go func() {
		response, err := (&http.Client{Transport: &http.Transport{}}).Do(r)
		if err != nil {
			out <- result{err: err}
			return
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		out <- result{string(body), err}
	}()
	return out
}

func TestRequestsUnderWayAreFinished(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}), make(chan struct{})
	s := run(t, func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		<-release
		if err := r.Context().Err(); err != nil {
			t.Errorf("the request was cancelled: %v", err)
		}
		_, _ = io.WriteString(w, "done")
	}, patience, patience)
	answer := get(t, s.url)
	receive(t, entered, "the request")
	s.stop()
	// New clients are refused while the request is under way.
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		conn, err := net.Dial("tcp", s.address)
		if err != nil {
			break
		}
		conn.Close()
		if time.Now().After(deadline) {
			t.Fatal("the server still listens")
		}
	}
	select {
	case err := <-s.ended:
		t.Fatalf("the server ended before the request: %v", err)
	default:
	}
	close(release)
	if got := receive(t, answer, "the answer"); got.err != nil || got.body != "done" {
		t.Errorf("the client got %+v", got)
	}
	if err := s.wait(t); err != nil {
		t.Errorf("Serve() = %v", err)
	}
	if s.log.Len() > 0 {
		t.Errorf("logged %s", s.log)
	}
}

func TestAStreamIsNotifiedThatTheServerStops(t *testing.T) {
	t.Parallel()
	entered := make(chan struct{})
	s := run(t, func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-Stopping(r.Context()):
			t.Error("the server stops before it was asked to")
		default:
		}
		_, _ = io.WriteString(w, "first, ")
		_ = http.NewResponseController(w).Flush()
		close(entered)
		<-Stopping(r.Context())
		_, _ = io.WriteString(w, "last")
	}, patience, patience)
	answer := get(t, s.url)
	receive(t, entered, "the request")
	s.stop()
	if got := receive(t, answer, "the answer"); got.err != nil || got.body != "first, last" {
		t.Errorf("the client got %+v", got)
	}
	if err := s.wait(t); err != nil {
		t.Errorf("Serve() = %v", err)
	}
}

func TestOutsideOfAServerNothingStops(t *testing.T) {
	t.Parallel()
	if ch := Stopping(t.Context()); ch != nil {
		t.Errorf("Stopping() = %v", ch)
	}
}

func TestRequestsBeyondTheGraceAreCutOff(t *testing.T) {
	t.Parallel()
	entered, given := make(chan struct{}), make(chan struct{})
	s := run(t, func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
		close(given)
	}, patience, time.Millisecond)
	answer := get(t, s.url)
	receive(t, entered, "the request")
	s.stop()
	if got := receive(t, answer, "the end of the connection"); got.err == nil {
		t.Errorf("the client got %q", got.body)
	}
	receive(t, given, "the handler to be notified")
	if err := s.wait(t); err != nil {
		t.Errorf("Serve() = %v", err)
	}
	if !strings.Contains(s.log.String(), "cut off") {
		t.Errorf("the log does not mention it: %s", s.log)
	}
}

func TestAClientWhoseHeadersDoNotComeIsCutOff(t *testing.T) {
	t.Parallel()
	s := run(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("served %s", r.URL) }, 20*time.Millisecond, patience)
	for _, sent := range []string{"", "GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "} {
		conn, err := net.Dial("tcp", s.address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, sent); err != nil {
			t.Fatal(err)
		}
		if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		// It may be answered first. What counts is that the connection ends without the rest having come.
		if _, err := io.Copy(io.Discard, conn); isTimeout(err) {
			t.Errorf("after %q the connection stays open", sent)
		}
	}
	s.stop()
	if err := s.wait(t); err != nil {
		t.Errorf("Serve() = %v", err)
	}
}

// net/http reads what is left of a body before it sends an answer, so even a handler that needs none could be held up.
func TestAClientWhoseBodyDoesNotComeIsAnsweredAndCutOff(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- serve(ctx, listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/reads" {
				if _, err := io.Copy(io.Discard, r.Body); !isTimeout(err) {
					t.Errorf("reading the body: %v", err)
				}
			}
			w.WriteHeader(http.StatusTeapot)
		}), timeouts{patience, 20 * time.Millisecond, Shutdown{Grace: patience}, usual}, zerolog.Nop())
	}()
	for _, path := range []string{"/reads", "/does-not"} {
		conn, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, "POST "+path+" HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nfour"); err != nil {
			t.Fatal(err)
		}
		if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(conn)
		if isTimeout(err) || !strings.HasPrefix(string(answer), "HTTP/1.1 418 ") {
			t.Errorf("%s: answered %q, %v", path, answer, err)
		}
	}
	stop()
	if err := receive(t, ended, "the server's end"); err != nil {
		t.Errorf("Serve() = %v", err)
	}
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

func TestHugeHeadersAreRefused(t *testing.T) {
	t.Parallel()
	s := run(t, func(http.ResponseWriter, *http.Request) { t.Error("served") }, patience, patience)
	conn, err := net.Dial("tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go func() { // the server may close before it has read everything
		_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\nX-Huge: "+strings.Repeat("x", 2*maxHeaderBytes)+"\r\n\r\n")
	}()
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("answered %d", response.StatusCode)
	}
}

func TestAListenerThatFailsEndsTheServer(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	if err := Serve(t.Context(), listener, http.NotFoundHandler(), Shutdown{Grace: patience}, zerolog.Nop()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve() = %v", err)
	}
}

func TestRequestsAreTakenUntilNoneComeAnyLonger(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + listener.Addr().String()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "served") })
	go func() {
		// Quiet is ample for the requests below to come in it on a busy machine.
		ended <- serve(ctx, listener, handler, timeouts{patience, patience, Shutdown{10 * time.Second, patience}, usual}, zerolog.Nop())
	}()
	send := func(agent string) (int, bool) {
		r, err := http.NewRequestWithContext(t.Context(), "GET", url+"/ready", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("User-Agent", agent)
		response, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatalf("%s: %v", agent, err)
		}
		defer response.Body.Close()
		body, _ := io.ReadAll(response.Body)
		return response.StatusCode, response.Close || string(body) != "served"
	}
	for _, agent := range []string{"someone", "kube-probe/1.34"} {
		if status, last := send(agent); status != http.StatusOK || last {
			t.Errorf("before the shutdown %s was answered %d, as the last on its connection: %t", agent, status, last)
		}
	}
	stop()
	for {
		if status, _ := send("kube-probe/1.34"); status == http.StatusServiceUnavailable {
			break // it has noticed the shutdown
		}
	}
	if status, last := send("someone"); status != http.StatusOK || !last {
		t.Errorf("while it stops it answered %d, as the last on its connection: %t", status, last)
	}
	if err := receive(t, ended, "the server's end"); err != nil {
		t.Errorf("Serve() = %v", err)
	}
}

func TestKnativesNetworkFindsOutWhoAnswers(t *testing.T) {
	t.Parallel()
	s := run(t, func(http.ResponseWriter, *http.Request) { t.Error("the probe was served as a request") }, patience, patience)
	r, err := http.NewRequestWithContext(t.Context(), "GET", s.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("K-Network-Probe", "probe")
	r.Header.Set("K-Network-Hash", "h")
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK || response.Header.Get("K-Network-Hash") != "h" {
		t.Errorf("answered %d, %v", response.StatusCode, response.Header)
	}
	s.stop()
	if err := s.wait(t); err != nil {
		t.Errorf("Serve() = %v", err)
	}
}
