package logs

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/server"
)

// scripted is a run whose log and state the test writes. No real run is silent for minutes, or ends when a test wants it to.
type scripted struct {
	job.Store // only Job is asked for

	mu    sync.Mutex
	state job.Job
	log   *string // nil: there is none yet
	fail  error
}

func (s *scripted) Job(context.Context, string, string) (job.Job, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state, s.fail
}

func (s *scripted) OpenLog(_ context.Context, _ job.Job, offset int64) (io.ReadCloser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.log == nil {
		return nil, problem.New(problem.NotFound, "No log yet.")
	}
	return io.NopCloser(strings.NewReader((*s.log)[min(int(offset), len(*s.log)):])), nil
}

func (s *scripted) say(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.log == nil {
		s.log = new(string)
	}
	*s.log += text
}

func (s *scripted) become(change func(*job.Job)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.state)
}

func script(state job.State) *scripted {
	return &scripted{state: job.Job{ID: "j", TenantID: "acme", State: state}}
}

// follow runs a stream in the background; the result is complete once the error has come.
func (s *scripted) follow(ctx context.Context, offset int64) (*strings.Builder, <-chan error) {
	f := &Function{Jobs: s, Live: s, StreamLimit: 280 * time.Second, Poll: 200 * time.Millisecond, Now: time.Now}
	out, ended := &strings.Builder{}, make(chan error, 1)
	st := &stream{f: f, job: s.state, offset: offset, out: bufio.NewWriter(out), progress: s.state.Progress, wrote: time.Now()}
	go func() { ended <- st.run(ctx) }()
	return out, ended
}

const resume = "retry: 200\n: to be continued, send Last-Event-ID\n\n"

func said(end int, message string) string {
	return fmt.Sprintf("id: %d\ndata: {\"message\":%q}\n\n", end, message)
}

func TestAStreamSendsWholeLinesAsTheyComeAndHeartbeatsBetween(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		run := script(job.Running)
		run.say("one\ntw")
		ctx, leave := context.WithCancel(t.Context())
		out, ended := run.follow(ctx, 0)
		time.Sleep(time.Second)
		run.say("o\r\n")
		time.Sleep(40 * time.Second) // two heartbeats
		run.become(func(j *job.Job) { j.Progress = 0.5 })
		time.Sleep(time.Second)
		run.say("three")
		time.Sleep(20 * time.Second) // one more
		leave()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("ended with %v", err)
		}
		want := said(4, "one") + said(9, "two") + strings.Repeat(": heartbeat\n\n", 2) +
			"event: progress\ndata: {\"progress\":0.5,\"status\":\"RUNNING\"}\n\n" + ": heartbeat\n\n"
		if diff := cmp.Diff(want, out.String()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAStreamEndsBeforeTheGatewayCutsIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		run := script(job.Running)
		run.say("one\ntw") // the unfinished line is the next stream's
		out, ended := run.follow(t.Context(), 0)
		if err := <-ended; err != nil {
			t.Error(err)
		}
		took := time.Since(start)
		want := said(4, "one") + strings.Repeat(": heartbeat\n\n", 18) + resume
		if diff := cmp.Diff(want, out.String()); diff != "" || took != 280*time.Second {
			t.Errorf("ended after %s: %s", took, diff)
		}
	})
}

func TestAStreamExplainsOnceWhyThereIsNoLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		run := script(job.Queued)
		ctx, leave := context.WithCancel(t.Context())
		out, ended := run.follow(ctx, 0)
		time.Sleep(5 * time.Second)
		run.become(func(j *job.Job) { j.State = job.Pending })
		time.Sleep(5 * time.Second)
		run.become(func(j *job.Job) { j.State = job.Running })
		run.say("one\n")
		time.Sleep(time.Second)
		leave()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("ended with %v", err)
		}
		want := "data: {\"message\":\"No log yet: the job waits for room under this tenant's limits.\"}\n\n" +
			"data: {\"message\":\"No log yet: the job is about to start.\"}\n\n" + said(4, "one")
		if diff := cmp.Diff(want, out.String()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAStreamWhoseStateIsUnknownAsksToBeResumed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		run := script(job.Running)
		run.say("one\n")
		out, ended := run.follow(t.Context(), 0)
		time.Sleep(time.Second)
		away := problem.New(problem.Unavailable, "The database is away.")
		run.mu.Lock()
		run.fail = away
		run.mu.Unlock()
		if err := <-ended; !errors.Is(err, away) {
			t.Errorf("ended with %v", err)
		}
		if diff := cmp.Diff(said(4, "one")+resume, out.String()); diff != "" {
			t.Error(diff)
		}
	})
}

// However often a stream is cut, and wherever the log then ends, its pieces make the whole log: nothing twice, nothing lost.
func TestPiecesOfAStreamMakeTheWholeLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		run := script(job.Running)
		long := strings.Repeat("x", maxLine+10) // comes in two pieces
		whole := []string{"one", "", "two", long[:maxLine], long[maxLine:], "three"}
		log := "one\n\ntwo\n" + long + "\nthree\n"
		var got []string
		lastID := int64(0)
		for _, until := range []int{0, 2, 4, 5, 8, 5 + maxLine, len(log) - 3, len(log)} {
			if run.log == nil {
				run.say("")
			}
			run.say(log[len(*run.log):until])
			ctx, cut := context.WithTimeout(t.Context(), time.Second)
			out, ended := run.follow(ctx, lastID)
			<-ended
			cut()
			for event := range strings.SplitSeq(out.String(), "\n\n") {
				id, data, ok := strings.Cut(event, "\ndata: {\"message\":")
				if !ok {
					continue
				}
				var err error
				if lastID, err = strconv.ParseInt(strings.TrimPrefix(id, "id: "), 10, 64); err != nil {
					t.Fatal(err)
				}
				line, err := strconv.Unquote(strings.TrimSuffix(data, "}"))
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, line)
			}
		}
		if diff := cmp.Diff(whole, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAStreamPausesWhenTheServerStops(t *testing.T) {
	t.Parallel()
	run := script(job.Running)
	run.say("one\n")
	begun := make(chan struct{})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var out *strings.Builder
	ended := make(chan error, 1)
	handler := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var streamed <-chan error
		out, streamed = run.follow(r.Context(), 0)
		close(begun)
		ended <- <-streamed
	})
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, listener, handler, time.Minute, zerolog.Nop()) }()
	go func() {
		if response, err := http.Get("http://" + listener.Addr().String()); err == nil {
			response.Body.Close()
		}
	}()
	<-begun
	stop()
	if err := errors.Join(<-ended, <-served); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(said(4, "one")+resume, out.String()); diff != "" {
		t.Error(diff)
	}
}
