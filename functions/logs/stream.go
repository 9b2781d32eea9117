package logs

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/rs/zerolog"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/server"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

const (
	// heartbeat is shorter than the 30 s after which common proxies close a silent connection.
	heartbeat = 15 * time.Second
	// maxLine bounds the buffer for a line. Longer lines are sent in pieces.
	maxLine = 64 << 10
)

// place is how far a follower has read: an offset in the log of the run that began at a given time, which is zero if the run
// is unknown. As an event id it reads "<milliseconds since 1970>-<bytes>", opaque to clients. Ids of earlier releases
// have only the bytes.
type place struct {
	began  time.Time
	offset int64
}

func (p place) String() string {
	var began int64
	if !p.began.IsZero() {
		began = p.began.UnixMilli()
	}
	return strconv.FormatInt(began, 10) + "-" + strconv.FormatInt(p.offset, 10)
}

func parsePlace(id string) (p place, ok bool) {
	if id == "" {
		return place{}, true
	}
	run, bytes, both := strings.Cut(id, "-")
	if !both {
		run, bytes = "0", id
	}
	began, err := strconv.ParseUint(run, 10, 63)
	offset, err2 := strconv.ParseUint(bytes, 10, 63)
	if began > 0 {
		p.began = time.UnixMilli(int64(began)).UTC()
	}
	p.offset = int64(offset)
	return p, err == nil && err2 == nil
}

// endMark ends the id that follows the last event. A browser that has read it reconnects all the same, until an answer has no content.
const endMark = "-end"

type streamRequest struct {
	ID          string `path:"id"`
	LastEventID string `header:"Last-Event-ID" maxLength:"40" doc:"Resume after this event."`
}

// acceptsNew reports whether a reader asks for the present form of the stream. The predecessor's readers do not, nor do readers of
// event streams in general, whatever their library sends.
func acceptsNew(accept string) bool {
	for media := range strings.SplitSeq(accept, ",") {
		name, parameters, err := mime.ParseMediaType(media)
		if err == nil && name == "text/event-stream" && parameters["version"] == "2" {
			return true
		}
	}
	return false
}

func (f *Function) stream(ctx context.Context, in *streamRequest) (*huma.StreamResponse, error) {
	last, ended := strings.CutSuffix(in.LastEventID, endMark)
	from, ok := parsePlace(last)
	if !ok {
		return nil, errNoEvent(in.LastEventID)
	}
	j, err := f.Jobs.Job(ctx, rest.TenantOf(ctx).ID, in.ID)
	if err != nil {
		return nil, err
	}
	if ended && j.State.Terminal() {
		return noEvents(), nil
	}
	return f.events(ctx, func(hctx huma.Context, out *bufio.Writer) {
		s := &stream{
			f: f, job: j, at: from, out: out, progress: -1, wrote: f.Now(),
			old: !acceptsNew(hctx.Header("Accept")), resumed: in.LastEventID != "",
		}
		if err := s.run(hctx.Context()); err != nil && !errors.Is(err, context.Canceled) {
			zerolog.Ctx(hctx.Context()).Info().Err(err).Str("job", j.ID).Msg("log stream ended early; the client may resume")
		}
	})
}

func errNoEvent(id string) error {
	return problem.New(problem.Invalid, "Last-Event-ID %q is not the id of an event of this stream. Leave the header out to begin at the "+
		"start.", id)
}

// noEvents is the answer to a reader who has them all: one without content does not reconnect.
func noEvents() *huma.StreamResponse {
	return &huma.StreamResponse{Body: func(hctx huma.Context) { hctx.SetStatus(http.StatusNoContent) }}
}

// streamsRetry is the Retry-After for a tenant with too many streams: some of them may end with their jobs at any time.
const streamsRetry = 5 * time.Second

// events is an answer of server-sent events, which follow writes.
func (f *Function) events(ctx context.Context, follow func(huma.Context, *bufio.Writer)) (*huma.StreamResponse, error) {
	end, ok := f.Streams.Begin(rest.TenantOf(ctx).ID)
	if !ok {
		return nil, problem.New(problem.RateLimited, "You have %d streams open at this instance, the most that one tenant may have. End some of "+
			"them, or follow the study rather than its runs.", f.Streams.Most).WithRetryAfter(streamsRetry)
	}
	return &huma.StreamResponse{Body: func(hctx huma.Context) {
		defer end()
		hctx.SetHeader("Content-Type", "text/event-stream")
		hctx.SetHeader("X-Accel-Buffering", "no") // nginx would buffer lines
		hctx.SetStatus(http.StatusOK)
		if hctx.Method() == http.MethodHead {
			return // a HEAD only checks that there is a stream, and must not wait for its end
		}
		follow(hctx, bufio.NewWriter(rest.StreamOut(hctx)))
	}}, nil
}

// limit delivers a value when it is time for the client to resume; without a StreamLimit never.
func (f *Function) limit() (reached <-chan time.Time, stop func()) {
	if f.StreamLimit <= 0 {
		return nil, func() {}
	}
	timer := time.NewTimer(f.StreamLimit)
	return timer.C, func() { timer.Stop() }
}

// stream is one follower of one job's log.
type stream struct {
	old     bool // in the predecessor's form
	resumed bool // by a reader who knows that streams end and go on

	f         *Function
	job       job.Job
	at        place
	out       *bufio.Writer
	progress  float64
	replay    replayState
	explained string // the last explanation sent of why there is no log
	wrote     time.Time
}

// run follows the log until the job has finished and its whole log is sent, or until it is time for the client to resume.
func (s *stream) run(ctx context.Context) error {
	limit, stop := s.f.limit()
	defer stop()
	s.begin()
	w := s.f.join(s.job)
	defer s.f.leave(w)
	for {
		// The state is read before the log, so that everything written before the end is seen.
		now, changed := w.latest()
		if now.err != nil {
			return errors.Join(now.err, s.pause())
		}
		if !s.job.State.Terminal() { // a job that had finished before the stream began stays so, even if the watch lags behind
			s.job = now.job
		}
		over := s.job.State.Terminal()
		if err := s.copyLines(ctx, over); err != nil {
			return err
		}
		s.sendProgress()
		s.sendReplay(now.replay)
		if over {
			return s.end()
		}
		if err := s.out.Flush(); err != nil {
			return err
		}
		if ended, err := s.wait(ctx, changed, limit); ended {
			return err
		}
	}
}

// wait keeps the connection alive until there is something new; ended reports that the stream has to end.
func (s *stream) wait(ctx context.Context, changed <-chan struct{}, limit <-chan time.Time) (ended bool, err error) {
	for {
		silent := time.NewTimer(heartbeat - s.f.Now().Sub(s.wrote))
		select {
		case <-changed:
			silent.Stop()
			return false, nil
		case <-silent.C:
			s.write(": heartbeat\n\n")
			if err := s.out.Flush(); err != nil {
				return true, err
			}
			continue
		case <-ctx.Done():
			err = ctx.Err()
		case <-server.Stopping(ctx):
			err = s.pause()
		case <-limit:
			err = s.pause()
		}
		silent.Stop()
		return true, err
	}
}

// lineBuffers hold lines while they are read. A follower needs one only while it reads.
var lineBuffers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, maxLine) }}

// copyLines sends what the log has beyond the place: whole lines, and everything once the job has finished.
func (s *stream) copyLines(ctx context.Context, all bool) error {
	log, err := s.open(ctx)
	if problem.CodeOf(err) == problem.NotFound {
		s.explain(whyNoLog(s.job, err))
		return nil
	}
	if err != nil {
		return errors.Join(err, s.pause())
	}
	defer log.Close()
	lines := lineBuffers.Get().(*bufio.Reader)
	lines.Reset(log)
	defer func() {
		lines.Reset(nil)
		lineBuffers.Put(lines)
	}()
	for {
		line, err := lines.ReadSlice('\n')
		piece := line
		long := errors.Is(err, bufio.ErrBufferFull)
		if long {
			piece = wholeCharacters(line)
		}
		if len(piece) > 0 && (err == nil || long || all) {
			s.at.offset += int64(len(piece))
			s.event(s.at.String(), "", message{Message: string(bytes.TrimRight(piece, "\r\n"))})
		}
		switch {
		case len(piece) < len(line):
			rest := bytes.Clone(line[len(piece):]) // the beginning of a character, with which the next piece starts
			lines.Reset(io.MultiReader(bytes.NewReader(rest), log))
		case err == nil || long:
		case errors.Is(err, io.EOF):
			return nil
		default:
			return errors.Join(fmt.Errorf("reading the log: %w", err), s.pause())
		}
	}
}

// open opens the log at the place. If the log belongs to another run than before, it sends a message and starts from the
// beginning; if part of the log is unavailable, it sends a message, too.
func (s *stream) open(ctx context.Context) (*job.Log, error) {
	log, err := s.f.open(ctx, s.job, s.at.offset)
	if err != nil {
		return nil, err
	}
	another := !log.Began.Equal(s.at.began) && !log.Began.IsZero() && !s.at.began.IsZero()
	if shorter := log.Size < s.at.offset && s.at.began.IsZero(); another || shorter {
		log.Close()
		s.at = place{began: log.Began}
		s.event("", "", message{Message: "The job was started again. Its log starts over.", Restarted: true})
		if log, err = s.f.open(ctx, s.job, 0); err != nil {
			return nil, err
		}
	}
	s.at.began = log.Began
	if log.Offset > s.at.offset {
		s.event("", "", message{Message: skipped(s.at.offset, log.Offset), Skipped: log.Offset - s.at.offset})
		s.at.offset = log.Offset
	}
	return log, nil
}

// message is the data of an event that carries a line of the log or, without an id, a remark about the log.
type message struct {
	Message   string `json:"message"`
	Restarted bool   `json:"restarted,omitempty"`
	Skipped   int64  `json:"skipped,omitempty"`
}

// explain sends once why there is nothing yet.
func (s *stream) explain(text string) {
	if text == s.explained || s.at.offset > 0 {
		return
	}
	s.explained = text
	s.event("", "", message{Message: text})
}

// begin has browsers reconnect soon when the stream ends before the job, and sends what old readers expect first.
func (s *stream) begin() {
	if !s.job.State.Terminal() {
		s.write("retry: 200\n\n")
	}
	if !s.old || s.resumed {
		return
	}
	s.event("", "", struct {
		Pod     string `json:"pod"`
		Phase   string `json:"phase"`
		Message string `json:"message"`
	}{podName(s.job), phaseOf(s.job.State), "Starting log stream..."})
}

// phaseOf is the phase of the pod that runs a job in this state, in Kubernetes' words.
func phaseOf(state job.State) string {
	switch state {
	case job.Running:
		return "Running"
	case job.Succeeded:
		return "Succeeded"
	case job.Failed, job.Cancelled:
		return "Failed"
	default:
		return "Pending"
	}
}

// sendProgress sends the progress when it has changed, in a form that the predecessor's readers skip. They take every line that begins
// with "data: " for a line of the log, and its status for the end; event streams need no blank after the colon.
func (s *stream) sendProgress() {
	if s.job.Progress == s.progress {
		return
	}
	s.progress = s.job.Progress
	s.write("event: progress\ndata:" + encoded(struct {
		Progress float64   `json:"progress"`
		State    job.State `json:"state"`
	}{s.job.Progress, s.job.State}) + "\n\n")
}

// sendReplay says that segments have been added to the recording, in the form of progress.
func (s *stream) sendReplay(now replayState) {
	if now == s.replay || now.Segments == 0 {
		return
	}
	s.replay = now
	s.write("event: replay\ndata:" + encoded(now) + "\n\n")
}

// end sends how the job has ended, and then an id by which a reader who reconnects all the same says so. It stands alone, because only
// lines of the log have ids. Readers that know no end are to reconnect seldom.
func (s *stream) end() error {
	s.write("retry: 3000\n\n")
	if s.old {
		s.event("", "", struct {
			Status  string `json:"status"`
			Message string `json:"message"`
		}{phaseOf(s.job.State), oldEnd(s.job)})
	} else {
		text := s.job.Message
		if text == "" {
			text = "Job " + string(s.job.State)
		}
		s.event("", "end", struct {
			Message string            `json:"message"`
			Reason  simulation.Reason `json:"reason"`
			Status  job.State         `json:"status"`
		}{text, s.job.Reason, s.job.State})
	}
	s.write("id: " + s.at.String() + endMark + "\n\n")
	return s.out.Flush()
}

// oldEnd says how a job has ended, as the predecessor did. It knew no cancelled jobs.
func oldEnd(j job.Job) string {
	text := "Job " + strings.ToLower(string(j.State))
	if j.State != job.Succeeded && j.Message != "" {
		text += ": " + j.Message
	}
	return text
}

// pause ends the stream so that the client reconnects for the rest. The predecessor's streams had no end by time, so its readers learn
// from the log itself that the job goes on.
func (s *stream) pause() error {
	if s.old && !s.resumed {
		text := "This stream ends here, but the job goes on: request the stream again, or poll GET /jobs/" + s.job.ID + "."
		s.event("", "", message{Message: text})
	}
	s.write(": to be continued, send Last-Event-ID\n\n")
	return s.out.Flush()
}

func (s *stream) event(id, kind string, data any) {
	if id != "" {
		s.write("id: " + id + "\n")
	}
	if kind != "" {
		s.write("event: " + kind + "\n")
	}
	s.write("data: " + encoded(data) + "\n\n")
}

func encoded(data any) string {
	raw, _ := json.Marshal(data) // strings and numbers always marshal
	return string(raw)
}

// write leaves errors to the next Flush, which returns the first one.
func (s *stream) write(text string) {
	_, _ = s.out.WriteString(text)
	s.wrote = s.f.Now()
}
