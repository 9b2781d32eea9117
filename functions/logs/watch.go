package logs

import (
	"context"
	"encoding/json"
	"io"
	"math"
	"sync"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/replay"
)

// stateEvery is how often the state of a followed job is read.
const stateEvery = 500 * time.Millisecond

// watches are the jobs whose logs are being followed, each polled once for all its followers. A job costs the database
// and the engine the same whether one client follows it or a thousand, and a follower costs only what is new in the log.
type watches struct {
	mu   sync.Mutex
	jobs map[string]*watch
}

// watch polls one job.
type watch struct {
	id        string
	followers int // guarded by watches.mu
	stop      context.CancelFunc

	mu      sync.Mutex
	seen    look
	changed chan struct{} // closed when seen is no longer the latest
}

// look is what one poll finds.
type look struct {
	job    job.Job
	err    error // why the job's state is unknown
	log    logState
	replay replayState
}

// replayState is how far the recording of the job has been stored.
type replayState struct {
	Attempt  string  `json:"attempt"`
	Segments int     `json:"segments"`
	End      float64 `json:"end"` // simulated seconds
}

// logState identifies a state of a log, to detect a change.
type logState struct {
	began time.Time
	size  int64
	none  string // why there is no log
}

// join returns the watch of j, and starts it for the first follower.
func (f *Function) join(j job.Job) *watch {
	f.watches.mu.Lock()
	defer f.watches.mu.Unlock()
	w := f.watches.jobs[j.ID]
	if w == nil {
		if f.watches.jobs == nil {
			f.watches.jobs = map[string]*watch{}
		}
		ctx, stop := context.WithCancel(context.Background())
		w = &watch{id: j.ID, stop: stop, seen: look{job: j}, changed: make(chan struct{})}
		f.watches.jobs[j.ID] = w
		go f.keepLooking(ctx, w)
	}
	w.followers++
	return w
}

// leave ends the watch when the last follower leaves.
func (f *Function) leave(w *watch) {
	f.watches.mu.Lock()
	defer f.watches.mu.Unlock()
	if w.followers--; w.followers > 0 {
		return
	}
	w.stop()
	delete(f.watches.jobs, w.id)
}

// latest returns the latest look, and a channel that is closed when there is a newer one.
func (w *watch) latest() (look, <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen, w.changed
}

// keepLooking polls the job until it has finished or has no followers.
func (f *Function) keepLooking(ctx context.Context, w *watch) {
	tick := time.NewTicker(f.Poll)
	defer tick.Stop()
	now, _ := w.latest()
	var seen artifact.Object // the index of the recording
	for asked := f.Now(); !now.job.State.Terminal(); {
		now.log = f.logState(ctx, now.job)
		w.publish(now)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if at := f.Now(); at.Sub(asked) >= stateEvery {
			asked = at
			var j job.Job
			if j, now.err = f.Jobs.Job(ctx, now.job.TenantID, now.job.ID); now.err == nil {
				now.job = j
			}
			if now.job.Options.Replay != nil && now.job.State == job.Running {
				f.lookAtReplay(ctx, now.job, &seen, &now.replay)
			}
		}
	}
	w.publish(now)
}

// publish wakes the followers if anything they report has changed.
func (w *watch) publish(now look) {
	w.mu.Lock()
	defer w.mu.Unlock()
	same := (now.err == nil) == (w.seen.err == nil) && now.log == w.seen.log && now.replay == w.seen.replay
	if same && now.job.State == w.seen.job.State && now.job.Progress == w.seen.job.Progress {
		return
	}
	w.seen = now
	close(w.changed)
	w.changed = make(chan struct{})
}

// lookAtReplay reads how far the recording has come, if its index has changed since it was seen. What fails is tried with the next look.
func (f *Function) lookAtReplay(ctx context.Context, j job.Job, seen *artifact.Object, state *replayState) {
	key := artifact.LiveReplayIndex(j.ResultsKey)
	object, err := f.Objects.Stat(ctx, key)
	if err != nil || object == *seen {
		return
	}
	body, err := f.Objects.Open(ctx, key, 0, -1)
	if err != nil {
		return
	}
	defer body.Close()
	var index struct {
		Attempt  string
		Segments []struct{}
		End      float64
	}
	if json.NewDecoder(io.LimitReader(body, replay.MaxIndex)).Decode(&index) != nil {
		return
	}
	*seen, *state = object, replayState{index.Attempt, len(index.Segments), index.End}
}

func (f *Function) logState(ctx context.Context, j job.Job) logState {
	log, err := f.open(ctx, j, math.MaxInt64)
	switch {
	case problem.CodeOf(err) == problem.NotFound:
		return logState{none: whyNoLog(j, err)}
	case err != nil:
		return logState{none: string(problem.CodeOf(err))} // a follower that reads the log itself gets the error
	}
	log.Close()
	return logState{began: log.Began, size: log.Size}
}
