package logs

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/rs/zerolog"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/server"
)

const (
	// heartbeat is shorter than the 30 s after which common proxies close a silent connection.
	heartbeat = 15 * time.Second
	// stateEvery is how often a stream that is up to date asks what state the job is in.
	stateEvery = 500 * time.Millisecond
	// maxLine bounds the memory of one follower. Longer lines come in pieces.
	maxLine = 64 << 10
)

type streamRequest struct {
	ID          string `path:"id"`
	LastEventID string `header:"Last-Event-ID" maxLength:"20" doc:"Resume behind this event."`
}

func (f *Function) stream(ctx context.Context, in *streamRequest) (*huma.StreamResponse, error) {
	var offset int64
	if in.LastEventID != "" {
		var err error
		if offset, err = strconv.ParseInt(in.LastEventID, 10, 64); err != nil || offset < 0 {
			return nil, problem.New(problem.Invalid, "Last-Event-ID %q is not the id of an event of this stream. Leave the header out to begin at the start.", in.LastEventID)
		}
	}
	j, err := f.Jobs.Job(ctx, rest.TenantOf(ctx).ID, in.ID)
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(hctx huma.Context) {
		hctx.SetHeader("Content-Type", "text/event-stream")
		hctx.SetHeader("X-Accel-Buffering", "no") // nginx would hold lines back
		hctx.SetStatus(200)
		if hctx.Method() == http.MethodHead {
			return // it only asks whether there is a stream, and must not wait for its end
		}
		s := &stream{f: f, job: j, offset: offset, out: bufio.NewWriter(rest.StreamOut(hctx)), progress: -1, wrote: f.Now()}
		if err := s.run(hctx.Context()); err != nil && !errors.Is(err, context.Canceled) {
			zerolog.Ctx(hctx.Context()).Info().Err(err).Str("job", j.ID).Msg("log stream ended early; the client may resume")
		}
	}}, nil
}

// stream is one follower of one job's log.
type stream struct {
	f        *Function
	job      job.Job
	offset   int64 // bytes of the log that were sent
	out      *bufio.Writer
	progress float64
	said     string // the last explanation of why there is no log
	wrote    time.Time
}

// run follows the log until the job is over and all of its log was sent, or until it is time for the client to resume.
func (s *stream) run(ctx context.Context) error {
	limit := time.NewTimer(s.f.StreamLimit)
	defer limit.Stop()
	tick := time.NewTicker(s.f.Poll)
	defer tick.Stop()
	asked := s.f.Now()
	for {
		// The state is read before the log: what is written before the end is seen then.
		over := s.job.State.Terminal()
		if err := s.copyLines(ctx, over); err != nil {
			return err
		}
		if err := s.sendProgress(); err != nil {
			return err
		}
		if over {
			return s.end()
		}
		if s.f.Now().Sub(s.wrote) >= heartbeat {
			s.write(": heartbeat\n\n")
		}
		if err := s.out.Flush(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-server.Stopping(ctx):
			return s.pause()
		case <-limit.C:
			return s.pause()
		case <-tick.C:
		}
		if now := s.f.Now(); now.Sub(asked) >= stateEvery {
			asked = now
			j, err := s.f.Jobs.Job(ctx, s.job.TenantID, s.job.ID)
			if err != nil {
				return errors.Join(err, s.pause())
			}
			s.job = j
		}
	}
}

// copyLines sends what the log has beyond the offset: whole lines, and at the end of the job all the rest.
func (s *stream) copyLines(ctx context.Context, all bool) error {
	body, err := s.f.open(ctx, s.job, s.offset)
	if problem.CodeOf(err) == problem.NotFound {
		return s.explain(whyNoLog(s.job))
	}
	if err != nil {
		return errors.Join(err, s.pause())
	}
	defer body.Close()
	lines := bufio.NewReaderSize(body, maxLine)
	for {
		line, err := lines.ReadSlice('\n')
		complete := err == nil || errors.Is(err, bufio.ErrBufferFull)
		if len(line) > 0 && (complete || all) {
			s.offset += int64(len(line))
			s.event(strconv.FormatInt(s.offset, 10), "", map[string]any{"message": string(bytes.TrimRight(line, "\r\n"))})
		}
		switch {
		case complete:
		case errors.Is(err, io.EOF):
			return nil
		default:
			return fmt.Errorf("reading the log: %w", err)
		}
	}
}

// explain tells once why there is nothing yet. It has no id, since it is no line of the log.
func (s *stream) explain(text string) error {
	if text == s.said || s.offset > 0 {
		return nil
	}
	s.said = text
	s.event("", "", map[string]any{"message": text})
	return nil
}

func (s *stream) sendProgress() error {
	if s.job.Progress == s.progress {
		return nil
	}
	s.progress = s.job.Progress
	s.event("", "progress", map[string]any{"status": s.job.State, "progress": s.job.Progress})
	return nil
}

func (s *stream) end() error {
	message := s.job.Message
	if message == "" {
		message = "Job " + string(s.job.State)
	}
	s.event("", "", map[string]any{"status": s.job.State, "reason": s.job.Reason, "message": message})
	return s.out.Flush()
}

// pause ends the stream so that the client comes back for the rest; browsers do by themselves, after retry milliseconds.
func (s *stream) pause() error {
	s.write("retry: 200\n: to be continued, send Last-Event-ID\n\n")
	return s.out.Flush()
}

func (s *stream) event(id, kind string, data any) {
	if id != "" {
		s.write("id: " + id + "\n")
	}
	if kind != "" {
		s.write("event: " + kind + "\n")
	}
	raw, err := json.Marshal(data)
	if err != nil {
		return // strings and numbers always marshal
	}
	s.write("data: " + string(raw) + "\n\n")
}

// write leaves its error to the next Flush, which returns the first one.
func (s *stream) write(text string) {
	_, _ = s.out.WriteString(text)
	s.wrote = s.f.Now()
}
