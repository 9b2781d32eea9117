package status

import (
	"context"
	"net/http"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/server"
)

const (
	// maxWait keeps a waiting request below the 60 s after which common proxies give up on an answer.
	maxWait = 50 * time.Second
	// waitPoll is how often a waiting request reads its job: one indexed row, which takes a tenth of a millisecond.
	waitPoll = 250 * time.Millisecond
)

type jobRequest struct {
	ID string `path:"id" doc:"The job_id returned at submission."`
}

type getJobRequest struct {
	ID          string `path:"id" doc:"The job_id returned at submission."`
	Wait        string `query:"wait" maxLength:"20" doc:"How long to wait for the status to change, for example 30s; at most 50s." example:"30s"`
	IfNoneMatch string `header:"If-None-Match" maxLength:"1000" doc:"ETag of an earlier answer. The call answers 304 while nothing has changed."`
}

type jobAnswer struct {
	Status       int
	ETag         string `header:"ETag"`
	CacheControl string `header:"Cache-Control"`
	Body         *rest.Job
}

func (f *Function) job(ctx context.Context, in *getJobRequest) (*jobAnswer, error) {
	wait, err := parseWait(in.Wait)
	if err != nil {
		return nil, err
	}
	tenantID := rest.TenantOf(ctx).ID
	j, err := f.Jobs.Job(ctx, tenantID, in.ID)
	if err != nil {
		return nil, err
	}
	if wait > 0 && !j.State.Terminal() {
		if j, err = f.awaitChange(ctx, j, wait); err != nil {
			return nil, err
		}
	}
	tag := etag(j)
	out := &jobAnswer{Status: http.StatusNotModified, ETag: tag, CacheControl: revalidate}
	if !matches(in.IfNoneMatch, tag) {
		names, err := f.Studies.PointNames(ctx, tenantID, []job.Job{j})
		if err != nil {
			return nil, err
		}
		wire := f.wire(j, names)
		out.Status, out.Body = http.StatusOK, &wire
	}
	return out, nil
}

func parseWait(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	wait, err := time.ParseDuration(text)
	if err != nil || wait < 0 {
		return 0, problem.New(problem.Invalid, "wait %q is not a duration. Write it like 30s.", text).
			WithItems(problem.Item{Location: "query.wait", Message: "must be a duration such as 30s", Value: text})
	}
	return min(wait, maxWait), nil
}

// awaitChange returns j as soon as its state changes, or as it is when the time is up.
func (f *Function) awaitChange(ctx context.Context, j job.Job, wait time.Duration) (job.Job, error) {
	before := j.State
	deadline := time.NewTimer(wait)
	defer deadline.Stop()
	poll := time.NewTicker(waitPoll)
	defer poll.Stop()
	for {
		select {
		case <-ctx.Done():
			return j, ctx.Err()
		case <-server.Stopping(ctx):
			return j, nil
		case <-deadline.C:
			return j, nil
		case <-poll.C:
		}
		now, err := f.Jobs.Job(ctx, j.TenantID, j.ID)
		if err != nil || now.State != before {
			return now, err
		}
		j = now
	}
}
