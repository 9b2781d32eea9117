package logs

import (
	"bufio"
	"context"
	"encoding/json"
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
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// scripted is a run whose log and state the test writes. No real run is silent for minutes, or ends on demand.
type scripted struct {
	mu    sync.Mutex
	state job.Job
	log   *string // nil: there is none yet
	gone  int64   // unavailable bytes
	fail  error

	asked, opened int // calls
	held, most    int // logs that are open, and at most were
}

// heldLog is a log that is open.
type heldLog struct {
	io.Reader
	run *scripted
}

func (h heldLog) Close() error {
	h.run.mu.Lock()
	defer h.run.mu.Unlock()
	h.run.held--
	return nil
}

func (s *scripted) Job(context.Context, string, string) (job.Job, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	return s.state, s.fail
}

func (s *scripted) OpenLog(_ context.Context, _ job.Job, offset int64) (*job.Log, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opened++
	if s.log == nil {
		return nil, problem.New(problem.NotFound, "No log yet.")
	}
	offset = min(max(offset, s.gone), int64(len(*s.log)))
	began, _ := simulation.ParseLogStart([]byte(strings.SplitAfter(*s.log, "\n")[0]))
	s.held++
	s.most = max(s.most, s.held)
	body := heldLog{strings.NewReader((*s.log)[offset:]), s}
	return &job.Log{ReadCloser: body, Began: began, Offset: offset, Size: int64(len(*s.log))}, nil
}

func (s *scripted) say(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.log == nil {
		s.log = new(string)
	}
	*s.log += text
}

// restart starts a new log, as a job does whose run was lost.
func (s *scripted) restart(began time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := simulation.LogStart(began) + "\n"
	s.log = &first
}

func (s *scripted) become(change func(*job.Job)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.state)
}

func script(state job.State) *scripted {
	return &scripted{state: job.Job{ID: "j", TenantID: "acme", State: state}}
}

func (s *scripted) function() *Function {
	return &Function{Jobs: s, Live: s, StreamLimit: 280 * time.Second, Poll: 200 * time.Millisecond, Now: time.Now}
}

// follow runs a stream in the background, after the event with this id; the result is complete once the error arrives.
func (s *scripted) follow(ctx context.Context, lastID string) (*strings.Builder, <-chan error) {
	return s.followBy(ctx, s.function(), lastID)
}

func (s *scripted) followBy(ctx context.Context, f *Function, lastID string) (*strings.Builder, <-chan error) {
	return s.followAs(ctx, f, lastID, false)
}

// followAs is followBy for a reader of the predecessor's form, or of ours.
func (s *scripted) followAs(ctx context.Context, f *Function, lastID string, old bool) (*strings.Builder, <-chan error) {
	out, ended := &strings.Builder{}, make(chan error, 1)
	from, ok := parsePlace(lastID)
	if !ok {
		ended <- fmt.Errorf("%q is no id", lastID)
		return out, ended
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st := &stream{
		f: f, job: s.state, at: from, out: bufio.NewWriter(out), progress: s.state.Progress, wrote: time.Now(), old: old, resumed: lastID != "",
	}
	go func() { ended <- st.run(ctx) }()
	return out, ended
}

const (
	begun  = "retry: 200\n\n"
	seldom = "retry: 3000\n\n"
	resume = ": to be continued, send Last-Event-ID\n\n"
)

func said(end int, message string) string {
	return fmt.Sprintf("id: 0-%d\ndata: {\"message\":%q}\n\n", end, message)
}

func TestAStreamSendsWholeLinesAsTheyComeAndHeartbeatsBetween(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		run := script(job.Running)
		run.say("one\ntw")
		ctx, leave := context.WithCancel(t.Context())
		out, ended := run.follow(ctx, "")
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
		want := begun + said(4, "one") + said(9, "two") + strings.Repeat(": heartbeat\n\n", 2) +
			"event: progress\ndata:{\"progress\":0.5,\"state\":\"RUNNING\"}\n\n" + ": heartbeat\n\n"
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
		run.say("one\ntw") // the unfinished line is left to the next stream
		out, ended := run.follow(t.Context(), "")
		if err := <-ended; err != nil {
			t.Error(err)
		}
		took := time.Since(start)
		want := begun + said(4, "one") + strings.Repeat(": heartbeat\n\n", 18) + resume
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
		out, ended := run.follow(ctx, "")
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
		want := begun + "data: {\"message\":\"No log yet: the job waits for room under this tenant's limits.\"}\n\n" +
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
		out, ended := run.follow(t.Context(), "")
		time.Sleep(time.Second)
		unreachable := problem.New(problem.Unavailable, "The database is unreachable.")
		run.mu.Lock()
		run.fail = unreachable
		run.mu.Unlock()
		if err := <-ended; !errors.Is(err, unreachable) {
			t.Errorf("ended with %v", err)
		}
		if diff := cmp.Diff(begun+said(4, "one")+resume, out.String()); diff != "" {
			t.Error(diff)
		}
	})
}

// However often a stream is cut, and wherever the log then ends, its pieces make the whole log: nothing twice, nothing lost.
func TestPiecesOfAStreamMakeTheWholeLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		run := script(job.Running)
		long := strings.Repeat("x", maxLine-1) + "äöü" // arrives in two pieces, of whole characters
		whole := []string{"one", "", "two", long[:maxLine-1], long[maxLine-1:], "three"}
		log := "one\n\ntwo\n" + long + "\nthree\n"
		var got []string
		lastID := ""
		for _, until := range []int{0, 2, 4, 5, 8, 5 + maxLine, len(log) - 3, len(log)} {
			if run.log == nil {
				run.say("")
			}
			run.say(log[len(*run.log):until])
			ctx, cut := context.WithTimeout(t.Context(), time.Second)
			out, ended := run.follow(ctx, lastID)
			if err := <-ended; !errors.Is(err, context.DeadlineExceeded) {
				t.Fatal(err)
			}
			cut()
			for _, e := range eventsIn(t, out.String()) {
				if e.id != "" {
					lastID, got = e.id, append(got, e.Message)
				}
			}
		}
		if diff := cmp.Diff(whole, got); diff != "" {
			t.Error(diff)
		}
	})
}

// A line of any length costs a follower one reading of the log, wherever its characters meet the ends of the pieces.
func TestALongLineIsSentInPiecesOfWholeCharacters(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		run := script(job.Running)
		line := strings.Repeat("€", 3*maxLine) // of three bytes, which no power of two is a multiple of
		run.say(line + "\nlast\n")
		ctx, cut := context.WithTimeout(t.Context(), time.Second)
		defer cut()
		out, ended := run.follow(ctx, "")
		if err := <-ended; !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		var got strings.Builder
		pieces := 0
		for _, e := range eventsIn(t, out.String()) {
			if e.id != "" {
				got.WriteString(e.Message)
				pieces++
			}
		}
		if got.String() != line+"last" || pieces < 9 {
			t.Errorf("%d pieces with %d bytes, which are not those of the log", pieces, got.Len())
		}
		synctest.Wait()
		run.mu.Lock()
		defer run.mu.Unlock()
		if run.most > 2 || run.held > 0 { // the follower's, and that of the watch
			t.Errorf("%d readings of the log were open at once, %d are still", run.most, run.held)
		}
	})
}

// sent is one server-sent event.
type sent struct {
	id string
	message
	Status job.State
}

// eventsIn reads the whole events of a stream that may be cut off.
func eventsIn(t *testing.T, text string) (events []sent) {
	t.Helper()
	text = text[:strings.LastIndex("\n\n"+text, "\n\n")]
	for block := range strings.SplitSeq(text, "\n\n") {
		var e sent
		for line := range strings.SplitSeq(block, "\n") {
			name, value, _ := strings.Cut(line, ":")
			value = strings.TrimPrefix(value, " ")
			switch name {
			case "id":
				e.id = value
			case "data":
				if err := json.Unmarshal([]byte(value), &e); err != nil {
					t.Fatalf("the event %q: %v", block, err)
				}
			}
		}
		if strings.Contains("\n"+block, "\ndata:") && e != (sent{}) { // an id alone is no event
			events = append(events, e)
		}
	}
	return events
}

// A job that runs again has a new log. A client that resumes at a place in the old one must get all of the new one.
func TestAResumptionAfterARerunBeginsTheNewLog(t *testing.T) {
	t.Parallel()
	first := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	second := first.Add(time.Minute)
	old, renewed := simulation.LogStart(first)+"\n", simulation.LogStart(second)+"\n"
	over := sent{message: message{Message: "The job was started again. Its log starts over.", Restarted: true}}
	at := func(began time.Time, text, line string) sent {
		return sent{id: place{began, int64(len(text) + len(line) + 1)}.String(), message: message{Message: line}}
	}
	for name, tt := range map[string]struct {
		lastID string
		want   []sent
	}{
		"from the start": {"", []sent{at(second, "", renewed[:len(renewed)-1]), at(second, renewed, "b")}},
		"behind the old log": {
			place{first, int64(len(old) + 100)}.String(), []sent{over, at(second, "", renewed[:len(renewed)-1]), at(second, renewed, "b")},
		},
		"within the new log":       {place{second, int64(len(renewed))}.String(), []sent{at(second, renewed, "b")}},
		"by an id without a run":   {strconv.Itoa(len(renewed)), []sent{at(second, renewed, "b")}},
		"by one of an unknown run": {place{time.Time{}, int64(len(renewed))}.String(), []sent{at(second, renewed, "b")}},
		"by one behind its end": {
			strconv.Itoa(len(renewed) + 100), []sent{over, at(second, "", renewed[:len(renewed)-1]), at(second, renewed, "b")},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				run := script(job.Running)
				run.restart(second)
				run.say("b\n")
				ctx, leave := context.WithTimeout(t.Context(), time.Second)
				defer leave()
				out, ended := run.follow(ctx, tt.lastID)
				if err := <-ended; !errors.Is(err, context.DeadlineExceeded) {
					t.Fatal(err)
				}
				if diff := cmp.Diff(tt.want, eventsIn(t, out.String()), cmp.AllowUnexported(sent{})); diff != "" {
					t.Errorf("-want +got:\n%s", diff)
				}
			})
		})
	}
}

func TestAStreamThatIsOpenDuringARerunContinuesWithTheNewLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		run := script(job.Running)
		run.restart(time.UnixMilli(1000))
		run.say("old\n")
		ctx, leave := context.WithCancel(t.Context())
		out, ended := run.follow(ctx, "")
		time.Sleep(time.Second)
		run.mu.Lock()
		run.log = nil
		run.mu.Unlock()
		time.Sleep(time.Second)
		run.restart(time.UnixMilli(2000))
		run.say("new, and longer than the old\n")
		time.Sleep(time.Second)
		leave()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		var got []string
		for _, e := range eventsIn(t, out.String()) {
			got = append(got, e.Message)
		}
		want := []string{
			simulation.LogStart(time.UnixMilli(1000)), "old", "The job was started again. Its log starts over.",
			simulation.LogStart(time.UnixMilli(2000)), "new, and longer than the old",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}

func TestAStreamReportsUnavailableParts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		run := script(job.Running)
		run.say("one\ntwo\nthree\n")
		run.gone = 8
		ctx, leave := context.WithTimeout(t.Context(), time.Second)
		defer leave()
		out, ended := run.follow(ctx, "0-4")
		if err := <-ended; !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		want := begun + "data: {\"message\":\"Bytes 4 to 7 of the log are unavailable while the job runs. They can be read once it has " +
			"finished.\",\"skipped\":4}\n\n" +
			said(14, "three")
		if diff := cmp.Diff(want, out.String()); diff != "" {
			t.Error(diff)
		}
	})
}

// A thousand followers of a silent job cost what one does.
func TestFollowersShareTheLookAtAJob(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		run := script(job.Running)
		run.say("one\n")
		f := run.function()
		const followers = 1000
		ctx, leave := context.WithTimeout(t.Context(), 9900*time.Millisecond)
		defer leave()
		outs, ends := make([]*strings.Builder, followers), make([]<-chan error, followers)
		for i := range followers {
			outs[i], ends[i] = run.followBy(ctx, f, "")
		}
		time.Sleep(5 * time.Second)
		run.say("two\n")
		for i := range followers {
			if err := <-ends[i]; !errors.Is(err, context.DeadlineExceeded) {
				t.Fatal(err)
			}
			if diff := cmp.Diff(begun+said(4, "one")+said(8, "two"), outs[i].String()); diff != "" {
				t.Fatal(diff)
			}
		}
		// 10 s are 50 checks of the log and 20 of the state. Each follower reads when it joins, and when there is more: once
		// for the line, and once more if the first check came after it.
		run.mu.Lock()
		defer run.mu.Unlock()
		if run.asked > 20 || run.opened > 50+3*followers {
			t.Errorf("the state was read %d times, and the log %d times", run.asked, run.opened)
		}
		if len(f.watches.jobs) != 0 {
			t.Errorf("%d jobs are still watched", len(f.watches.jobs))
		}
	})
}

func TestAStreamPausesWhenTheServerStops(t *testing.T) {
	t.Parallel()
	run := script(job.Running)
	run.say("one\n")
	streaming := make(chan struct{})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var out *strings.Builder
	ended := make(chan error, 1)
	handler := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var streamed <-chan error
		out, streamed = run.follow(r.Context(), "")
		close(streaming)
		ended <- <-streamed
	})
	served := make(chan error, 1)
	go func() {
		served <- server.Serve(ctx, listener, handler, server.Shutdown{Grace: time.Minute}, zerolog.Nop())
	}()
	go func() {
		if response, err := http.Get("http://" + listener.Addr().String()); err == nil {
			response.Body.Close()
		}
	}()
	<-streaming
	stop()
	if err := errors.Join(<-ended, <-served); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(begun+said(4, "one")+resume, out.String()); diff != "" {
		t.Error(diff)
	}
}
