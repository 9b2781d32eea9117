package status

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/replay"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/outputs"
	"github.com/sumo-k8/sumo-k8/pkg/view"
)

func (f *Function) registerReplay(api huma.API) {
	index := huma.Operation{
		OperationID: "get-replay", Path: "/jobs/{id}/replay",
		Summary: "Show what there is of a job's recording",
		Description: "For a job with replay, also while it runs: the segments so far, which hold where vehicles are and the states of signals. " +
			"While the job runs its log's stream announces new ones as event: replay. A job with the fcd output and no recording gets one " +
			"from that, on the first call.",
	}
	describeView[Recording](api, &index)
	rest.Register(api, rest.Tenant, index, f.replay)
	rest.Register(api, rest.Tenant, huma.Operation{
		OperationID: "get-replay-segment", Method: http.MethodGet, Path: "/jobs/{id}/replay/segments/{attempt}/{n}",
		Tags: []string{"Charts and maps"}, Summary: "Read segments of a job's recording",
		Description: "A segment never changes under its address. docs/replay-format.md describes it. A segment of another attempt than GET " +
			"/jobs/{id}/replay names may be gone. With count, the answer is that many segments, one behind the other: fewer calls read a " +
			"long recording.",
		Errors: []int{http.StatusNotFound},
		Responses: map[string]*huma.Response{
			"200": {Description: "OK", Content: map[string]*huma.MediaType{
				replayType: {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}},
			}},
			"304": {Description: "Not Modified"},
		},
	}, f.replaySegments)
}

const (
	// replayType is the media type of a segment.
	replayType = "application/octet-stream"
	// replayAge is that of what never changes under its address.
	replayAge = "private, max-age=31536000, immutable"
	// maxReplaySegments bounds what an answer with several segments holds, in bytes: it is in memory until the client has taken it.
	maxReplaySegments = 8 << 20
)

// Recording is the index of a job's recording on the wire.
type Recording struct {
	JobID string `json:"job_id" format:"uuid"`
	replay.Index
}

func (f *Function) replay(ctx context.Context, in *viewRequest) (*huma.StreamResponse, error) {
	j, err := f.Jobs.Job(ctx, rest.TenantOf(ctx).ID, in.ID)
	if err != nil {
		return nil, err
	}
	if !j.State.Terminal() {
		return f.liveReplay(ctx, j, in.IfNoneMatch)
	}
	if j, err = f.finished(ctx, in.ID); err != nil {
		return nil, err
	}
	tag := viewTag(j, replayView.name)
	if matches(in.IfNoneMatch, tag) {
		return unchanged(tag, viewAge), nil
	}
	r, err := f.recording(ctx, j)
	if err != nil {
		return nil, err
	}
	body, err := packed(Recording{j.ID, r.Index})
	if err != nil {
		return nil, err
	}
	return stored(tag, viewAge, body), nil
}

// liveReplay answers with the recording of a job that goes on, as far as it is stored.
func (f *Function) liveReplay(ctx context.Context, j job.Job, known string) (*huma.StreamResponse, error) {
	if j.Options.Replay == nil {
		return nil, problem.New(problem.Conflict, "Job %s is %s, and not recorded. If it has the fcd output, there will be a recording once it "+
			"has finished. To watch a job while it runs, submit it with replay=true.", j.ID, j.State)
	}
	x := replay.NewIndex("", replay.FromRun)
	err := f.readJSON(ctx, artifact.LiveReplayIndex(j.ResultsKey), 0, -1, &x)
	if err != nil && problem.CodeOf(err) != problem.NotFound {
		return nil, err
	}
	tag := viewTag(j, fmt.Sprintf("replay/%s/%d/%d", x.Attempt, len(x.Segments), len(x.Types)))
	if matches(known, tag) {
		return unchanged(tag, revalidate), nil
	}
	body, err := packed(Recording{j.ID, x})
	if err != nil {
		return nil, err
	}
	return stored(tag, revalidate, body), nil
}

// readJSON reads an object, or a part of one, that is JSON.
func (f *Function) readJSON(ctx context.Context, key string, offset, length int64, into any) error {
	text, err := f.read(ctx, key, offset, length, replay.MaxIndex)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("reading %s: %w", key, err)
	}
	return nil
}

// read reads at most limit bytes of an object.
func (f *Function) read(ctx context.Context, key string, offset, length, limit int64) ([]byte, error) {
	body, err := f.Objects.Open(ctx, key, offset, length)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	data, err := io.ReadAll(io.LimitReader(body, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%s has more than %d bytes", key, limit)
	}
	return data, err
}

// recording is that of a job that has finished.
type recording struct {
	replay.Index
	Whole bool `json:"whole"` // the run did not end early

	key    string // of the object with the segments
	offset int64  // where the first begins
}

// recording finds that of a job that has finished: a result, or what is made from its fcd output.
func (f *Function) recording(ctx context.Context, j job.Job) (recording, error) {
	index, indexed := job.FileNamed(j.Results, simulation.ReplayFile)
	segments, stored := job.FileNamed(j.Results, simulation.ReplaySegmentsFile)
	if j.Options.Replay != nil && indexed && stored {
		r := recording{Whole: whole(j)}
		key, offset, length := j.Locate(index)
		r.key, r.offset, _ = j.Locate(segments)
		return r, f.readJSON(ctx, key, offset, length, &r.Index)
	}
	if _, has := j.Result(simulation.OutputFCD); !has {
		if j.Options.Replay != nil {
			return recording{}, problem.New(problem.NotFound, "Job %s ended as %s, without a recording. Its warnings and its message say more.",
				j.ID, j.State)
		}
		return recording{}, problem.New(problem.NotFound, "Job %s has no recording, because none was asked for. Submit the scenario again "+
			"with replay=true.", j.ID)
	}
	r, err := replayView.load(ctx, f, j)
	r.key = artifact.ViewOf(j.ResultsKey, replayParts)
	return r, err
}

// replayView is kept as an index beside the segments.
var replayView = viewKind[recording]{"replay-1.json.gz", (*Function).makeReplay}

const (
	replayParts = "replay-1.segments"
	// replayAttempt is the only one of a recording that is made after the run. It changes with the numbers in the names above.
	replayAttempt = "fcd1"
)

// makeReplay stores the segments first, so that an index never points at what is not there.
func (f *Function) makeReplay(ctx context.Context, j job.Job) (r recording, err error) {
	fcd, err := f.output(ctx, j, simulation.OutputFCD)
	if err != nil {
		return r, err
	}
	defer fcd.Close()
	err = view.Store(ctx, f.Objects, artifact.ViewOf(j.ResultsKey, replayParts), view.Gzip, func(w io.Writer) error {
		r.Index, r.Whole, err = outputs.Record(fcd, replayAttempt, func(segment []byte) error {
			_, err := w.Write(segment)
			return err
		})
		return err
	})
	r.Whole = r.Whole && whole(j)
	return r, err
}

// segments reads count segments from n on, or the first of them that fit into an answer.
func (f *Function) segments(ctx context.Context, r recording, n, count int) ([]byte, error) {
	if n+count > len(r.Segments) {
		return nil, problem.New(problem.NotFound, "The recording has no segment %d. GET /jobs/{id}/replay lists them.", n+count-1)
	}
	offset, length := r.offset, 0
	for _, s := range r.Segments[:n] {
		offset += int64(s.Bytes)
	}
	for _, s := range r.Segments[n : n+count] {
		if !fits(length, s.Bytes) {
			break
		}
		length += s.Bytes
	}
	return f.read(ctx, r.key, offset, int64(length), replay.MaxSegment)
}

// liveSegments does the same for a job that goes on, whose segments are objects of their own.
func (f *Function) liveSegments(ctx context.Context, j job.Job, attempt string, n, count int) (data []byte, err error) {
	for k := n; k < n+count; k++ {
		segment, err := f.read(ctx, artifact.LiveReplaySegment(j.ResultsKey, attempt, k), 0, -1, replay.MaxSegment)
		if err != nil {
			return nil, err
		}
		if !fits(len(data), len(segment)) {
			break
		}
		data = append(data, segment...)
	}
	return data, nil
}

// fits reports whether an answer with some bytes takes another segment. Only sizes decide, so that an address always has the same
// answer. The first segment always fits.
func fits(length, segment int) bool { return length == 0 || length+segment <= maxReplaySegments }

type segmentRequest struct {
	ID          string `path:"id" doc:"The job_id returned at submission."`
	Attempt     string `path:"attempt" maxLength:"40" doc:"attempt of GET /jobs/{id}/replay."`
	N           string `path:"n" maxLength:"10" doc:"Number of the segment."`
	Count       int    `query:"count" minimum:"1" maximum:"100" default:"1" doc:"Segments to read, from this one on. The answer has fewer of them, but whole ones, where they exceed 8 MiB together: bytes of GET /jobs/{id}/replay says where each ends."`
	IfNoneMatch string `header:"If-None-Match" maxLength:"1000" doc:"ETag of an earlier answer. The call then answers 304."`
}

// attemptName matches every attempt: it becomes part of an object's key.
var attemptName = regexp.MustCompile(`^[0-9a-z]{1,40}$`)

func (f *Function) replaySegments(ctx context.Context, in *segmentRequest) (*huma.StreamResponse, error) {
	j, err := f.Jobs.Job(ctx, rest.TenantOf(ctx).ID, in.ID)
	if err != nil {
		return nil, err
	}
	another := problem.New(problem.NotFound, "The recording of job %s has no segment %q of the attempt %.40q, or not any longer. "+
		"GET /jobs/{id}/replay lists the segments of the attempt that counts.", j.ID, in.N, in.Attempt)
	n, err := strconv.Atoi(in.N)
	if err != nil || n < 0 || !attemptName.MatchString(in.Attempt) {
		return nil, another
	}
	tag := viewTag(j, fmt.Sprintf("replay/%s/%d/%d", in.Attempt, n, in.Count))
	var data []byte
	if !j.State.Terminal() {
		data, err = f.liveSegments(ctx, j, in.Attempt, n, in.Count)
		if problem.CodeOf(err) == problem.NotFound {
			err = another
		}
	} else {
		data, err = f.finishedSegments(ctx, in, n, another)
	}
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(c huma.Context) {
		c.SetHeader("ETag", tag)
		c.SetHeader("Cache-Control", replayAge)
		c.SetHeader("Vary", viewVary)
		if matches(in.IfNoneMatch, tag) {
			c.SetStatus(http.StatusNotModified)
			return
		}
		c.SetHeader("Content-Type", replayType)
		c.SetHeader("Content-Length", strconv.Itoa(len(data)))
		c.SetStatus(http.StatusOK)
		_, _ = io.Copy(rest.StreamOut(c), bytes.NewReader(data)) // the client sees that it is cut
	}}, nil
}

func (f *Function) finishedSegments(ctx context.Context, in *segmentRequest, n int, another error) ([]byte, error) {
	j, err := f.finished(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	known := f.recordings.open()
	r, ok := known.Get(j.ID)
	if !ok {
		if r, err = f.recording(ctx, j); err != nil {
			return nil, err
		}
		r.Index = replay.Index{Attempt: r.Attempt, Segments: r.Segments} // what segments are found by
		known.Add(j.ID, r)
	}
	if in.Attempt != r.Attempt {
		return nil, another
	}
	return f.segments(ctx, r, n, in.Count)
}

// recordings are those of jobs that have finished whose segments were read lately: people read one after the other. They never change.
type recordings struct {
	once sync.Once
	byID *lru.Cache[string, recording]
}

// maxRecordings bounds them: each takes some 100 bytes for a segment, and an hour has 60 segments.
const maxRecordings = 50

func (r *recordings) open() *lru.Cache[string, recording] {
	r.once.Do(func() { r.byID, _ = lru.New[string, recording](maxRecordings) }) // the size is valid
	return r.byID
}
