// Package logs is the function that shows what a run says: its log so far, or live as a stream.
package logs

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// Function answers the log calls.
type Function struct {
	Jobs    job.Store
	Objects artifact.Store
	// Live reads the log of a run that has not ended; nil when this process cannot reach it.
	Live job.LiveLogs
	// StreamLimit is when a stream ends for the client to resume, so that no gateway cuts it in the middle of a line.
	StreamLimit time.Duration
	// Poll is how often a stream looks for new lines.
	Poll time.Duration
	Now  func() time.Time
}

// Register adds the function's operations to api.
func (f *Function) Register(api huma.API) {
	tags := []string{"Logs"}
	rest.Register(api, rest.Tenant, huma.Operation{
		OperationID: "get-logs", Method: http.MethodGet, Path: "/jobs/{id}/logs", Tags: tags,
		Summary:     "Show a job's log",
		Description: "The last MiB of it, in whole lines. Before the run has begun, logs says why there are none.",
		Errors:      []int{http.StatusNotFound},
	}, f.snapshot)
	rest.Register(api, rest.Tenant, huma.Operation{
		OperationID: "stream-logs", Method: http.MethodGet, Path: "/jobs/{id}/logs/stream", Tags: tags,
		Summary: "Follow a job's log",
		Description: "Server-sent events. Each line is data: {\"message\": …} with an id; send the last id as Last-Event-ID to resume without " +
			"loss or repeat. Progress comes as event: progress. The last event carries {\"status\": …}.",
		Errors: []int{http.StatusNotFound},
		Responses: map[string]*huma.Response{"200": {
			Description: "OK", Content: map[string]*huma.MediaType{"text/event-stream": {Schema: &huma.Schema{Type: huma.TypeString}}},
		}},
	}, f.stream)
}

// snapshotBytes is how much of a log one answer shows: thousands of lines, and little enough to hold in memory.
const snapshotBytes = 1 << 20

// Snapshot is a log on the wire.
type Snapshot struct {
	JobID     string    `json:"job_id" format:"uuid"`
	PodName   string    `json:"pod_name" doc:"The pod or process that runs the job; empty before it exists."`
	Logs      string    `json:"logs"`
	Status    job.State `json:"status"`
	Offset    int64     `json:"offset" doc:"Byte at which logs begins."`
	Truncated bool      `json:"truncated" doc:"True when the log has more before offset."`
}

type jobRequest struct {
	ID string `path:"id"`
}

type snapshotAnswer struct{ Body Snapshot }

func (f *Function) snapshot(ctx context.Context, in *jobRequest) (*snapshotAnswer, error) {
	j, err := f.Jobs.Job(ctx, rest.TenantOf(ctx).ID, in.ID)
	if err != nil {
		return nil, err
	}
	out := Snapshot{JobID: j.ID, PodName: podName(j), Status: j.State}
	body, err := f.open(ctx, j, 0)
	if problem.CodeOf(err) == problem.NotFound {
		out.Logs = whyNoLog(j)
		return &snapshotAnswer{Body: out}, nil
	}
	if err != nil {
		return nil, err
	}
	defer body.Close()
	text, skipped, err := tail(body, snapshotBytes)
	if err != nil {
		return nil, fmt.Errorf("reading the log of job %s: %w", j.ID, err)
	}
	out.Logs, out.Offset, out.Truncated = string(text), skipped, skipped > 0
	return &snapshotAnswer{Body: out}, nil
}

// open reads a job's log from a byte offset: live while it runs, from the store afterwards.
func (f *Function) open(ctx context.Context, j job.Job, offset int64) (io.ReadCloser, error) {
	if !j.State.Terminal() {
		if f.Live == nil || j.State == job.Queued {
			return nil, problem.New(problem.NotFound, "Job %s has no log yet.", j.ID)
		}
		return f.Live.OpenLog(ctx, j, offset)
	}
	key := artifact.ResultsOf(j.Namespace, j.ID) + simulation.LogFile
	object, err := f.Objects.Stat(ctx, key)
	if err != nil {
		return nil, err
	}
	if offset >= object.Size {
		return io.NopCloser(bytes.NewReader(nil)), nil
	}
	return f.Objects.Open(ctx, key, offset, -1)
}

// tail reads all of r and returns its last max bytes from the start of a line, and how many bytes stand before them. A last
// line longer than max is shown from within.
func tail(r io.Reader, max int) (text []byte, skipped int64, err error) {
	window := max + 1 // with the byte before, which tells whether the last max bytes begin a line
	buffer := make([]byte, 0, 64<<10)
	chunk := make([]byte, 64<<10)
	for {
		n, err := r.Read(chunk)
		buffer = append(buffer, chunk[:n]...)
		if len(buffer) > 2*window {
			kept := copy(buffer, buffer[len(buffer)-window:])
			skipped += int64(len(buffer) - kept)
			buffer = buffer[:kept]
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, 0, err
		}
	}
	if over := len(buffer) - window; over > 0 {
		buffer, skipped = buffer[over:], skipped+int64(over)
	}
	if len(buffer) <= max && skipped == 0 {
		return buffer, 0, nil
	}
	start := bytes.IndexByte(buffer, '\n') + 1
	if start == 0 || start == len(buffer) {
		start = len(buffer) - max
	}
	return buffer[start:], skipped + int64(start), nil
}

func podName(j job.Job) string {
	if j.State == job.Queued || j.Attempt == 0 {
		return ""
	}
	return "sumo-" + j.ID
}

func whyNoLog(j job.Job) string {
	switch {
	case j.ResultsPruned:
		return "The log was removed with the job's results because of its age."
	case j.State == job.Queued:
		return "No log yet: the job waits for room under this tenant's limits."
	case j.State == job.Pending:
		return "No log yet: the job is about to start."
	case j.State == job.Running:
		return "No log yet: the simulation is just starting."
	case j.Message != "":
		return "There is no log: " + j.Message
	default:
		return "There is no log: the job ended before its simulation began."
	}
}
