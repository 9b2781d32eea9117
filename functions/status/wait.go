package status

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/server"
)

const (
	// maxWait keeps a waiting request below the 60 s after which common proxies give up on an answer.
	maxWait = 50 * time.Second
	// waitPoll is how often the states of awaited jobs are read, and waitPollLimit how long that may take.
	waitPoll      = 250 * time.Millisecond
	waitPollLimit = 5 * time.Second
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

// awaitChange returns j when its state has changed, or as it is when the time is up.
func (f *Function) awaitChange(ctx context.Context, j job.Job, wait time.Duration) (job.Job, error) {
	changed, leave := f.waits.join(f.Jobs, awaited{j.ID, j.State})
	defer leave()
	deadline := time.NewTimer(wait)
	defer deadline.Stop()
	select {
	case <-ctx.Done():
		return j, ctx.Err()
	case <-server.Stopping(ctx):
	case <-deadline.C:
	case <-changed:
	}
	return f.Jobs.Job(ctx, j.TenantID, j.ID)
}

// awaited is a job that requests wait for, in the state that they have seen.
type awaited struct {
	id    string
	state job.State
}

// waits are the jobs that requests wait for. One statement reads the states of all of them, so that the database bears the same whether
// ten requests wait or thousands.
type waits struct {
	mu      sync.Mutex
	awaited map[awaited]*change
	polling bool // a goroutine reads the states, as long as anything is awaited
}

// change wakes the requests that wait for one job.
type change struct {
	requests int           // guarded by waits.mu
	come     chan struct{} // closed when the job is in another state
}

// join returns a channel that is closed when the job is in another state. The caller leaves when it waits no longer.
func (w *waits) join(jobs Jobs, a awaited) (changed <-chan struct{}, leave func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.awaited == nil {
		w.awaited = map[awaited]*change{}
	}
	c := w.awaited[a]
	if c == nil {
		c = &change{come: make(chan struct{})}
		w.awaited[a] = c
	}
	c.requests++
	if !w.polling {
		w.polling = true
		go w.poll(jobs)
	}
	return c.come, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if c.requests--; c.requests == 0 && w.awaited[a] == c {
			delete(w.awaited, a)
		}
	}
}

// poll reads the states until nothing is awaited. If it cannot, every request looks for itself, and reports what is wrong.
func (w *waits) poll(jobs Jobs) {
	tick := time.NewTicker(waitPoll)
	defer tick.Stop()
	for range tick.C {
		ids := w.ids()
		if ids == nil {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), waitPollLimit)
		states, _ := jobs.JobStates(ctx, ids)
		cancel()
		w.wake(states)
	}
}

// ids are the awaited jobs; nil ends the polling.
func (w *waits) ids() (ids []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for a := range w.awaited {
		ids = append(ids, a.id)
	}
	w.polling = ids != nil
	return ids
}

// wake wakes the requests that have seen another state than these.
func (w *waits) wake(states map[string]job.State) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for a, c := range w.awaited {
		if states[a.id] != a.state {
			close(c.come)
			delete(w.awaited, a)
		}
	}
}
