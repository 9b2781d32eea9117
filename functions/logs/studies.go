package logs

import (
	"bufio"
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/rs/zerolog"

	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/study"
)

// Studies finds studies. Another tenant's is problem.NotFound.
type Studies interface {
	Study(ctx context.Context, tenantID, id string) (study.Study, error)
	// Points returns the points of a study in their order, with what has become of their runs.
	Points(ctx context.Context, tenantID, id string) ([]study.Point, error)
	// StudyVersion returns a number that grows with each change of the study.
	StudyVersion(ctx context.Context, tenantID, id string) (int64, error)
}

// studyEvery is how often a followed study is looked at: as often as reconcile counts its runs.
const studyEvery = time.Second

func (f *Function) registerStudies(api huma.API) {
	rest.Register(api, rest.Tenant, huma.Operation{
		OperationID: "stream-study", Method: http.MethodGet, Path: "/studies/{id}/events", Tags: []string{"Studies"},
		Summary: "Follow a study",
		Description: "Server-sent events. Each event: progress has an id and {\"status\": …, \"message\": …, \"runs\": {…}, \"eta\": " +
			"…, \"points\": […]}, where points are those whose counts have changed since the event before; the first event " +
			"of a stream has all of them. The last event is event: end with {\"status\": …, \"message\": …}. Resume a stream " +
			"that ends without it: a gateway limits how long one lasts. With Last-Event-ID nothing is sent before there is " +
			"something new. The id after the last event is answered with 204.",
		Errors: []int{http.StatusNotFound},
		Responses: map[string]*huma.Response{
			"200": {
				Description: "OK", Content: map[string]*huma.MediaType{"text/event-stream": {Schema: &huma.Schema{Type: huma.TypeString}}},
			},
			"204": {Description: "The study has finished, and Last-Event-ID is the last of its stream."},
		},
	}, f.streamStudy)
}

type studyStreamRequest struct {
	ID          string `path:"id" doc:"Its study_id."`
	LastEventID string `header:"Last-Event-ID" maxLength:"40" doc:"Resume after this event."`
}

func (f *Function) streamStudy(ctx context.Context, in *studyStreamRequest) (*huma.StreamResponse, error) {
	last, ended := strings.CutSuffix(in.LastEventID, endMark)
	var seen int64
	if last != "" {
		var err error
		if seen, err = strconv.ParseInt(last, 10, 64); err != nil || seen < 0 {
			return nil, errNoEvent(in.LastEventID)
		}
	}
	t := rest.TenantOf(ctx)
	s, err := f.Studies.Study(ctx, t.ID, in.ID)
	if err != nil {
		return nil, err
	}
	if ended && s.State.Terminal() && s.Version == seen {
		return noEvents(), nil
	}
	return f.events(ctx, func(hctx huma.Context, out *bufio.Writer) {
		follower := &studyStream{stream: stream{f: f, out: out, wrote: f.Now()}, study: s, seen: seen}
		if err := follower.run(hctx.Context()); err != nil && !errors.Is(err, context.Canceled) {
			zerolog.Ctx(hctx.Context()).Info().Err(err).Str("study", s.ID).Msg("study stream ended early; the client may resume")
		}
	})
}

// studyStream is one follower of one study.
type studyStream struct {
	stream
	study study.Study
	seen  int64                // the version of the last event
	sent  map[int]study.Counts // of points, as the client has them; nil before the first event
}

// run sends changes until the study has finished, or until it is time for the client to resume.
func (s *studyStream) run(ctx context.Context) error {
	limit, stop := s.f.limit()
	defer stop()
	s.write("retry: 200\n\n")
	version := s.study.Version
	for {
		if version != s.seen {
			if err := s.send(ctx); err != nil {
				return errors.Join(err, s.pause())
			}
		}
		if s.study.State.Terminal() {
			return s.end()
		}
		if err := s.out.Flush(); err != nil {
			return err
		}
		next := make(chan struct{})
		timer := time.AfterFunc(studyEvery, func() { close(next) })
		ended, err := s.wait(ctx, next, limit)
		timer.Stop()
		if ended {
			return err
		}
		if version, err = s.f.Studies.StudyVersion(ctx, s.study.TenantID, s.study.ID); err != nil {
			return errors.Join(err, s.pause())
		}
	}
}

// send sends how the study stands. The study is read before its points, so that a finished one has its last counts.
func (s *studyStream) send(ctx context.Context) error {
	now, err := s.f.Studies.Study(ctx, s.study.TenantID, s.study.ID)
	if err != nil {
		return err
	}
	points, err := s.f.Studies.Points(ctx, s.study.TenantID, s.study.ID)
	if err != nil {
		return err
	}
	s.study, s.seen = now, now.Version
	var changed []study.Point
	if s.sent == nil {
		s.sent = make(map[int]study.Counts, len(points))
	}
	for _, p := range points {
		if before, known := s.sent[p.Number]; !known || before != p.Counts {
			changed = append(changed, p)
		}
		s.sent[p.Number] = p.Counts
	}
	room := study.Room{Limits: rest.TenantOf(ctx).Limits, Slots: s.f.Slots}
	s.event(strconv.FormatInt(s.seen, 10), "progress", rest.StudyProgressOf(now, points, changed, room, s.f.Now()))
	return nil
}

// end sends how the study has ended, and then an id by which a reader who reconnects all the same says so.
func (s *studyStream) end() error {
	s.write("retry: 3000\n\n")
	s.event("", "end", struct {
		Status  study.State `json:"status"`
		Message string      `json:"message"`
	}{s.study.State, s.study.Message})
	s.write("id: " + strconv.FormatInt(s.study.Version, 10) + endMark + "\n\n")
	return s.out.Flush()
}
