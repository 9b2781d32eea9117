// Package logs serves what is followed live: the log of a run, as a stream or as it stands, and the progress of a study.
package logs

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/fairness"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// Function answers the calls for logs and streams.
type Function struct {
	Jobs    Jobs
	Studies Studies
	Objects Objects
	// Live reads the log of a run that has not finished; nil when this process cannot reach it.
	Live job.LiveLogs
	// StreamLimit is how long a stream lasts before the client has to resume, so that no gateway cuts it in the middle of a line; 0 for
	// as long as the job.
	StreamLimit time.Duration
	// Streams bounds those of one tenant.
	Streams fairness.Tally
	// Slots is how many runs the engine carries out at a time, for forecasts; 0 where it has no bound of its own.
	Slots int
	// Poll is how often a followed job's log is checked for new lines.
	Poll time.Duration
	Now  func() time.Time

	watches watches
}

// Jobs finds jobs.
type Jobs interface {
	// Job returns one of the tenant's jobs, or problem.NotFound.
	Job(ctx context.Context, tenantID, id string) (job.Job, error)
}

// Objects reads stored logs.
type Objects interface {
	Stat(ctx context.Context, key string) (artifact.Object, error)
	Open(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error)
}

// Register adds the function's operations to api.
func (f *Function) Register(api huma.API) {
	tags := []string{"Logs"}
	rest.Register(api, rest.Tenant, huma.Operation{
		OperationID: "get-logs", Method: http.MethodGet, Path: "/jobs/{id}/logs", Tags: tags,
		Summary: "Show a job's log or part of it",
		Description: "Returns the last MiB in whole lines. With tail: the last lines. With offset and limit: those bytes, and next_offset " +
			"to read on from. Before the run has started, logs says why there is none yet.",
		Errors: []int{http.StatusNotFound},
	}, f.snapshot)
	rest.Register(api, rest.Tenant, huma.Operation{
		OperationID: "stream-logs", Method: http.MethodGet, Path: "/jobs/{id}/logs/stream", Tags: tags,
		Summary: "Follow a job's log",
		Description: "Server-sent events. Each line is data: {\"message\": …} with an id; send the last id as Last-Event-ID to resume without " +
			"loss or repetition. Messages without an id are about the log: why there is none yet, that the job was restarted and its log " +
			"starts over (restarted: true), or that part of it is unavailable while the job runs (skipped: bytes). Progress arrives as " +
			"event: progress with {\"progress\": 0.5, \"state\": \"RUNNING\"}, and news of the recording of a job with replay as event: replay " +
			"with {\"attempt\": …, \"segments\": …, \"end\": …}. With Accept: text/event-stream;version=2 the last event is event: " +
			"end with {\"status\": …, \"reason\": …, \"message\": …}. Without, the first event is {\"pod\": …, \"phase\": …, \"message\": …}, and " +
			"the last one has {\"status\": …, \"message\": …}, where the status is Succeeded or Failed. Resume a stream that ends without its " +
			"last event: a gateway limits how long one lasts. The id after the last event is answered with 204.",
		Errors: []int{http.StatusNotFound},
		Responses: map[string]*huma.Response{
			"200": {
				Description: "OK", Content: map[string]*huma.MediaType{"text/event-stream": {Schema: &huma.Schema{Type: huma.TypeString}}},
			},
			"204": {Description: "The job has finished, and Last-Event-ID is the last of its stream."},
		},
	}, f.stream)
	f.registerStudies(api)
}

// open reads a job's log from a byte offset: live while it runs, from the store afterwards.
func (f *Function) open(ctx context.Context, j job.Job, offset int64) (*job.Log, error) {
	if !j.State.Terminal() {
		switch {
		case j.State == job.Queued:
			return nil, problem.New(problem.NotFound, "Job %s has no log yet.", j.ID)
		case f.Live == nil:
			return nil, problem.New(problem.NotFound, "The log can be read once the job has finished.")
		}
		return f.Live.OpenLog(ctx, j, offset)
	}
	key, start, size, err := f.stored(ctx, j)
	if err != nil {
		return nil, err
	}
	began, err := f.began(ctx, key, start)
	if err != nil {
		return nil, err
	}
	offset = min(offset, size)
	body, err := f.Objects.Open(ctx, key, start+offset, size-offset)
	if err != nil {
		return nil, err
	}
	return &job.Log{ReadCloser: body, Began: began, Offset: offset, Size: size}, nil
}

// stored finds the log of a job that has finished. Where it is no part of a pack, its size is that of the object: a run that was lost may
// have left a log without a record of it.
func (f *Function) stored(ctx context.Context, j job.Job) (key string, start, size int64, err error) {
	log, listed := job.FileNamed(j.Results, simulation.LogFile)
	if !listed {
		log.Name = simulation.LogFile
	}
	key, start, size = j.Locate(log)
	if size < 0 {
		var object artifact.Object
		object, err = f.Objects.Stat(ctx, key)
		size = object.Size
	}
	return key, start, size, err
}

// began returns when the run began that wrote the log which starts there.
func (f *Function) began(ctx context.Context, key string, start int64) (time.Time, error) {
	head, err := f.Objects.Open(ctx, key, start, int64(simulation.MaxLogStart))
	if err != nil {
		return time.Time{}, err
	}
	defer head.Close()
	line, err := io.ReadAll(head)
	if err != nil {
		return time.Time{}, err
	}
	began, _ := simulation.ParseLogStart(line)
	return began, nil
}

// whyNoLog explains why there is nothing to read; err is open's error.
func whyNoLog(j job.Job, err error) string {
	var live *problem.Error
	switch {
	case j.Imported != nil:
		return "There is no log here: the job ran in the predecessor of this service."
	case j.ResultsPruned:
		return "The log was removed together with the job's results because of its age."
	case j.State == job.Queued:
		return "No log yet: the job waits for room under this tenant's limits."
	case j.State == job.Pending:
		return "No log yet: the job is about to start."
	case j.State == job.Running && errors.As(err, &live):
		return live.Detail
	case j.Message != "":
		return "There is no log: " + j.Message
	default:
		return "There is no log: the job ended before its simulation began."
	}
}
