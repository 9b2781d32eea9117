package client

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// Log is what a job's log holds at present.
type Log struct {
	Document
	Logs      string    `json:"logs"`
	Status    job.State `json:"status"`
	Truncated bool      `json:"truncated"` // it has more before
}

// Log returns the last lines of a job's log, or with tail 0 as much of it as the service sends at once.
func (c *Client) Log(ctx context.Context, id string, tail int) (l Log, err error) {
	r := request{method: http.MethodGet, path: jobPath(id, "/logs")}
	if tail > 0 {
		r.query = url.Values{"tail": {strconv.Itoa(tail)}}
	}
	err = c.call(ctx, r, &l)
	return l, err
}

// LogKind is the kind of a LogEvent.
type LogKind int

// The kinds of events.
const (
	LogLine     LogKind = iota // a line of the log
	LogNote                    // something about the log: why there is none yet, or that it starts over
	LogProgress                // how far the job is
	LogEnd                     // how the job has ended; the last one
)

// LogEvent is one event in following a job.
type LogEvent struct {
	Document
	Kind     LogKind
	ID       string // of a line: Follow can resume after it
	Message  string // all but progress: the line, or a sentence for a person
	Status   job.State
	Reason   simulation.Reason // at the end of a job that did not succeed
	Progress float64           // 0 to 1
}

// Follow yields the lines of a job's log after the one with the id after, or all of them when that is empty, and the job's
// progress, until it has ended. Streams that end early, as those through a gateway must, or that break, are resumed: no line
// is lost or repeated. An error is yielded last.
func (c *Client) Follow(ctx context.Context, id, after string) iter.Seq2[LogEvent, error] {
	return func(yield func(LogEvent, error) bool) {
		f := follower{stream: c.stream("log", jobPath(id, "/logs/stream"), after)}
		err := f.follow(ctx, func(e event) (done bool, err error) {
			next, err := f.understand(e)
			if err != nil || next == nil {
				return false, err
			}
			if !yield(*next, nil) {
				return true, nil
			}
			if next.Kind == LogLine {
				f.after, f.note = next.ID, ""
			}
			return next.Kind == LogEnd, nil
		})
		if err != nil {
			yield(LogEvent{}, err)
		}
	}
}

type follower struct {
	stream
	note string // the last explanation, which a new stream repeats
}

// stream reads the events of one address, which it opens again until one of them is the last.
type stream struct {
	c        *Client
	what     string // is streamed, for messages
	path     string
	after    string // id of the last event
	patience *patience
	resume   time.Duration // pause before a stream that ended is resumed
}

func (c *Client) stream(what, path, after string) stream {
	return stream{c: c, what: what, path: path, after: after, patience: c.patience(true), resume: c.firstPause}
}

// follow hands events to take until it is done. Streams that end early or break are resumed behind the event after, which take sets.
func (s *stream) follow(ctx context.Context, take func(event) (done bool, err error)) error {
	for {
		done, err := s.read(ctx, take)
		if done {
			return nil
		}
		if err == nil {
			err = sleep(ctx, s.resume)
		} else {
			err = s.patience.wait(ctx, err)
		}
		if err != nil {
			return err
		}
	}
}

// read reads one stream.
func (s *stream) read(ctx context.Context, take func(event) (done bool, err error)) (done bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r := request{method: http.MethodGet, path: s.path, header: http.Header{"Accept": {"text/event-stream;version=2"}}}
	if s.after != "" {
		r.header.Set("Last-Event-ID", s.after)
	}
	resp, err := s.c.send(ctx, r)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	body := watch(resp.Body, cancel)
	defer body.stop()
	reader := &eventReader{}
	for e, err := range reader.events(body) {
		if errors.Is(err, bufio.ErrTooLong) {
			return false, fmt.Errorf("a line of the %s stream is longer than %d bytes", s.what, maxEventLine)
		}
		if err != nil {
			return false, s.c.unreachable(ctx, resp.Request, fmt.Errorf("the %s stream broke off: %w", s.what, err))
		}
		s.patience.rewarded()
		if done, err := take(e); done || err != nil {
			return done, err
		}
	}
	if reader.retry > 0 {
		s.resume = reader.retry
	}
	if body.count == 0 {
		return false, s.c.unreachable(ctx, resp.Request, fmt.Errorf("the %s stream ended before it began", s.what))
	}
	return false, nil
}

// understand returns nil for what the caller knows already or does not need.
func (f *follower) understand(e event) (*LogEvent, error) {
	var data struct {
		Message  string            `json:"message"`
		Status   job.State         `json:"status"`
		State    job.State         `json:"state"` // with progress
		Reason   simulation.Reason `json:"reason"`
		Progress float64           `json:"progress"`
	}
	if !slices.Contains([]string{defaultEvent, "progress", "end"}, e.name) {
		return nil, nil
	}
	if err := json.Unmarshal([]byte(e.data), &data); err != nil {
		return nil, fmt.Errorf("event %.200q of the log stream is not JSON: %w", e.data, err)
	}
	next := LogEvent{ID: e.id, Message: data.Message, Status: cmp.Or(data.Status, data.State), Reason: data.Reason, Progress: data.Progress}
	next.keep(json.RawMessage(e.data))
	switch {
	case e.name == "progress":
		next.Kind = LogProgress
	case e.name == "end":
		next.Kind = LogEnd
	case e.id != "":
		next.Kind = LogLine
	case data.Message == f.note:
		return nil, nil
	default:
		f.note, next.Kind = data.Message, LogNote
	}
	return &next, nil
}

// watchedReader gives up a stream that is silent for too long: the other end may be gone.
type watchedReader struct {
	r     io.Reader
	timer *time.Timer
	count int64
}

func watch(r io.Reader, cancel context.CancelCauseFunc) *watchedReader {
	return &watchedReader{r: r, timer: time.AfterFunc(silence, func() { cancel(fmt.Errorf("nothing came for %s", silence)) })}
}

func (w *watchedReader) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	w.count += int64(n)
	w.timer.Reset(silence)
	return n, err
}

func (w *watchedReader) stop() { w.timer.Stop() }
