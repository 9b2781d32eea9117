package logs

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

func TestReadersSayWhichFormTheyRead(t *testing.T) {
	t.Parallel()
	for accept, want := range map[string]bool{
		"":                               false,
		"*/*":                            false,
		"text/event-stream":              false,
		"text/event-stream;charset=utf8": false,
		"text/event-stream;version=1":    false,
		"application/json;version=2":     false,
		"text/event-stream;version=2":    true,
		"text/event-stream; version=2":   true,
		"text/event-stream; VERSION=\"2\", application/json":         true,
		"application/json, text/event-stream;q=0.5;version=2, a;;=b": true,
	} {
		if got := acceptsNew(accept); got != want {
			t.Errorf("%q asks for the present form: %t", accept, got)
		}
	}
}

// readAsBefore reads a stream as the predecessor's clients do: each line that begins with "data: " is JSON, and nothing else is read.
func readAsBefore(t *testing.T, stream string) (read []map[string]any) {
	t.Helper()
	for line := range strings.Lines(stream) {
		data, ok := strings.CutPrefix(line, "data: ")
		if !ok {
			continue
		}
		var fields map[string]any
		if err := json.Unmarshal([]byte(data), &fields); err != nil {
			t.Errorf("%q: %v", line, err)
		}
		read = append(read, fields)
	}
	return read
}

// nothingStored is the store of runs that have left no log. Streams that have read all before the end need none.
type nothingStored struct{ Objects }

func (nothingStored) Stat(context.Context, string) (artifact.Object, error) {
	return artifact.Object{}, problem.New(problem.NotFound, "No such object.")
}

func TestOldReadersGetTheStreamThatTheyKnow(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		end  job.Job // its state and message
		want map[string]any
	}{
		"succeeded": {
			job.Job{State: job.Succeeded, Message: "a remark"}, map[string]any{"status": "Succeeded", "message": "Job succeeded"},
		},
		"failed": {
			job.Job{State: job.Failed, Message: "It broke."}, map[string]any{"status": "Failed", "message": "Job failed: It broke."},
		},
		"failed silently": {job.Job{State: job.Failed}, map[string]any{"status": "Failed", "message": "Job failed"}},
		"cancelled": {
			job.Job{State: job.Cancelled, Message: "On request."}, map[string]any{"status": "Failed", "message": "Job cancelled: On request."},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				run := script(job.Running)
				run.state.Attempt = 1
				run.say("one\n")
				f := run.function()
				f.Objects, f.StreamLimit = nothingStored{}, 0 // no limit, as on one machine
				out, ended := run.followAs(t.Context(), f, "", true)
				time.Sleep(time.Second)
				for percent := range 100 {
					run.become(func(j *job.Job) { j.Progress = float64(percent) / 100 })
					time.Sleep(10 * time.Second) // far beyond any limit
				}
				run.say("two\n")
				time.Sleep(time.Second)
				run.become(func(j *job.Job) { j.State, j.Message = tt.end.State, tt.end.Message })
				if err := <-ended; err != nil {
					t.Error(err)
				}
				want := []map[string]any{
					{"pod": job.RunName("j"), "phase": "Running", "message": "Starting log stream..."},
					{"message": "one"}, {"message": "two"}, tt.want,
				}
				if diff := cmp.Diff(want, readAsBefore(t, out.String())); diff != "" {
					t.Errorf("-want +got:\n%s", diff)
				}
				if !strings.HasPrefix(out.String(), "retry: 200\n\ndata: {\"pod\"") || strings.Count(out.String(), "event: progress\n") != 99 {
					t.Errorf("the stream is %s", out)
				}
				if strings.Count(out.String(), "\"status\"") != 1 {
					t.Errorf("the stream has status more than once:\n%s", out)
				}
			})
		})
	}
}

func TestOldReadersOfAQueuedJobAreGreetedFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		run := script(job.Queued)
		f := run.function()
		f.Objects = nothingStored{}
		out, ended := run.followAs(t.Context(), f, "", true)
		time.Sleep(time.Second)
		run.become(func(j *job.Job) { j.State, j.Message = job.Cancelled, "On request." })
		if err := <-ended; err != nil {
			t.Error(err)
		}
		want := []map[string]any{
			{"pod": "", "phase": "Pending", "message": "Starting log stream..."},
			{"message": "No log yet: the job waits for room under this tenant's limits."},
			{"message": "There is no log: On request."},
			{"status": "Failed", "message": "Job cancelled: On request."},
		}
		if diff := cmp.Diff(want, readAsBefore(t, out.String())); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}

// Nothing that an old reader takes for the end may stand where only the stream ends.
func TestOldReadersLearnThatAStreamEndsBeforeTheirJob(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		run := script(job.Running)
		run.state.Attempt = 1
		run.say("one\n")
		out, ended := run.followAs(t.Context(), run.function(), "", true)
		if err := <-ended; err != nil {
			t.Error(err)
		}
		read := readAsBefore(t, out.String())
		last := read[len(read)-1]
		if text, _ := last["message"].(string); len(read) != 3 || !strings.Contains(text, "GET /jobs/j") || last["status"] != nil {
			t.Errorf("the stream ends with %v", read)
		}
		if !strings.HasSuffix(out.String(), resume) {
			t.Errorf("the stream is %s", out)
		}
		// A reader that resumes knows this, and reads only lines of the log.
		out, ended = run.followAs(t.Context(), run.function(), "0-4", true)
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if read := readAsBefore(t, out.String()); len(read) != 0 {
			t.Errorf("a stream that is resumed has %v", read)
		}
	})
}

func TestTheLastEventHasANameForNewReaders(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		run := script(job.Running)
		run.say("one\n")
		f := run.function()
		f.Objects = nothingStored{}
		out, ended := run.followBy(t.Context(), f, "")
		time.Sleep(time.Second)
		run.become(func(j *job.Job) { j.State, j.Reason, j.Message = job.Failed, "SimulationError", "It broke." })
		if err := <-ended; err != nil {
			t.Error(err)
		}
		want := begun + said(4, "one") + seldom +
			"event: end\ndata: {\"message\":\"It broke.\",\"reason\":\"SimulationError\",\"status\":\"FAILED\"}\n\n" +
			"id: 0-4-end\n\n"
		if diff := cmp.Diff(want, out.String()); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}
