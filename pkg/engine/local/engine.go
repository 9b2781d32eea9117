// Package local runs jobs as sumo-run processes on this machine.
//
// Every run has a folder of its own:
//
//	<Dir>/<job id>/run.json      what is needed to store the results, or to begin again, after a restart
//	               scenario.zip  the scenario, fetched from the object store
//	               work/         where sumo-run unpacks it
//	               out/          what the run leaves; every file in it becomes a result
//
// The folder is the engine's only memory beyond the process. A restart finds one of three things in it:
//
//   - out/outcome.json: the run has ended, and only its results must be stored. So no run that came to its end is ever
//     repeated.
//   - a whole job in run.json: an orderly Close interrupted the run, or found it waiting. The engine has it still, and
//     begins it again by itself. Our stop is not the job's fault, so it does not count as a lost run.
//   - neither: the run is lost. Its folder is removed, and the job runs again when it is started again.
package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/confine"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
)

// Config is where and how jobs run.
type Config struct {
	Dir     string // folder of the runs; nobody else may use it
	SumoRun string // path of the sumo-run program
	// Slots is how many runs may go on at a time; 0 means one for each CPU, since a run keeps one busy.
	Slots int
	// Confinement decides whether runs may start where this machine cannot confine SUMO to their files; empty means confine.Require.
	Confinement confine.Mode
	// MaxOutput is how much one run may write to disk, in bytes; 0 sets no limit.
	MaxOutput int64
	// Installations are the versions of SUMO that jobs name. One without a Binary is the SUMO that sumo-run finds by itself.
	Installations []release.Installation
	// Env is added to the runs' environment ("NAME=value"), which is otherwise empty but for PATH: nothing of ours,
	// credentials least of all, reaches a program that reads untrusted input.
	Env []string
	// StopGrace is how long a run may take to end when asked to, and beyond its timeout, before it is killed; 0 means
	// DefaultStopGrace.
	StopGrace time.Duration
	// RefusalPatience is how long a run keeps retrying an object store that refuses its requests; 0 means
	// DefaultRefusalPatience. It waits for an unreachable one without limit.
	RefusalPatience time.Duration
}

// DefaultStopGrace is a little more than the five minutes after which sumo-run itself gives up checking and keeping
// the outputs of a run that was stopped. So only a sumo-run that hangs is killed.
const DefaultStopGrace = 6 * time.Minute

// DefaultRefusalPatience is enough for a new key or policy to take effect, or for space to be freed. A full store usually takes
// hours to fix, during which the job would occupy part of its tenant's limits.
const DefaultRefusalPatience = 5 * time.Minute

// parallelUploads bounds the files that all runs together send to the object store at once. Four hide its latency; more
// only take memory and CPU from SUMO.
const parallelUploads = 4

// Engine is a job.Engine and a job.LiveLogs.
type Engine struct {
	cfg     Config
	objects artifact.Store
	now     func() time.Time
	log     zerolog.Logger
	started time.Time

	changed chan struct{}
	uploads chan struct{} // one token for each upload under way
	alive   context.Context
	close   context.CancelCauseFunc // ends all work, gracefully
	hard    context.Context
	kill    context.CancelFunc // ends the grace
	work    sync.WaitGroup

	mu    sync.Mutex
	runs  map[string]*run
	queue []*run // those that wait for a slot, the next first
	free  int    // slots
}

// run is one job in the engine.
type run struct {
	job job.Job // of a run found on disk, only what run.json keeps
	dir string
	// again is true when the run was interrupted by an orderly Close and begins anew.
	again bool
	// wanted ends when the run shall stop; its cause is errStopped or errClosing.
	wanted context.Context
	stop   context.CancelCauseFunc
	seen   job.Observation // guarded by Engine.mu
}

var (
	errStopped = errors.New("the job is cancelled")
	errClosing = errors.New("the engine is closing")
)

var (
	_ job.Engine   = (*Engine)(nil)
	_ job.LiveLogs = (*Engine)(nil)
)

// New makes an engine over cfg.Dir and takes up what an earlier one left there: results of finished runs are stored, runs
// that Close kept begin again, others are removed. Scenarios are read from objects and results written to it.
func New(cfg Config, objects artifact.Store, now func() time.Time, log zerolog.Logger) (*Engine, error) {
	cfg.Slots = cmp.Or(cfg.Slots, runtime.NumCPU())
	cfg.StopGrace = cmp.Or(cfg.StopGrace, DefaultStopGrace)
	cfg.Confinement = cmp.Or(cfg.Confinement, confine.Require)
	cfg.RefusalPatience = cmp.Or(cfg.RefusalPatience, DefaultRefusalPatience)
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("finding the folder of runs: %w", err)
	}
	cfg.Dir = dir
	program, err := exec.LookPath(cfg.SumoRun)
	if err == nil {
		program, err = filepath.Abs(program) // each run has a working directory of its own
	}
	if err != nil {
		return nil, fmt.Errorf("finding the program that runs scenarios, sumo-run: %w", err)
	}
	cfg.SumoRun = program
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the folder of runs: %w", err)
	}
	e := &Engine{
		cfg: cfg, objects: objects, now: now, log: log, started: now(),
		changed: make(chan struct{}, 1),
		uploads: make(chan struct{}, parallelUploads),
		runs:    map[string]*run{},
		free:    cfg.Slots,
	}
	e.alive, e.close = context.WithCancelCause(context.Background())
	e.hard, e.kill = context.WithCancel(context.Background())
	if err := e.resume(); err != nil {
		return nil, err
	}
	return e, nil
}

// Close stops all runs, gracefully until ctx ends. Runs that it interrupts are not reported as finished. The next engine
// over the same folder begins them again, and those that wait for a slot; it also stores results that are not stored yet.
func (e *Engine) Close(ctx context.Context) error {
	e.mu.Lock()
	e.close(errClosing)
	waiting := e.queue
	e.queue = nil
	e.mu.Unlock()
	for _, r := range waiting {
		e.keep(r)
	}
	done := make(chan struct{})
	go func() {
		e.work.Wait()
		close(done)
	}()
	select {
	case <-done:
		e.kill()
		return nil
	case <-ctx.Done():
		e.kill()
		<-done
		return fmt.Errorf("stopping runs gracefully: %w", ctx.Err())
	}
}

func (e *Engine) errIfClosed() error {
	if e.alive.Err() == nil {
		return nil
	}
	return problem.Wrap(errClosing, problem.Unavailable, "The engine is shutting down. Jobs go on when it is started again.").
		WithRetryAfter(5 * time.Second)
}

// Start queues the jobs of c until slots are free. Among waiting jobs the highest priority goes first, then the first submitted.
func (e *Engine) Start(_ context.Context, c job.Chunk) error {
	for _, j := range c.Jobs {
		if !isFolderName(j.ID) {
			return fmt.Errorf("job id %q cannot name a folder", j.ID)
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.errIfClosed(); err != nil {
		return err
	}
	for _, j := range c.Jobs {
		if e.runs[j.ID] == nil {
			e.enqueue(e.add(j))
		}
	}
	e.fillSlots()
	e.notify()
	return nil
}

// isFolderName reports whether id stays inside the folder of runs. Those of jobs are UUIDs.
func isFolderName(id string) bool {
	return id != "" && id == filepath.Base(id) && !strings.HasPrefix(id, ".")
}

func inOrder(a, b *run) int {
	return cmp.Or(
		cmp.Compare(b.job.Priority, a.job.Priority),
		a.job.SubmittedAt.Compare(b.job.SubmittedAt),
		cmp.Compare(a.job.ID, b.job.ID),
	)
}

// add makes a run known. The caller holds e.mu, or is alone.
func (e *Engine) add(j job.Job) *run {
	r := &run{job: j, dir: filepath.Join(e.cfg.Dir, j.ID), seen: job.Observation{JobID: j.ID}}
	r.wanted, r.stop = context.WithCancelCause(e.alive)
	e.runs[j.ID] = r
	return r
}

// enqueue makes r wait for its turn. The caller holds e.mu, or is alone.
func (e *Engine) enqueue(r *run) {
	r.seen.State = job.Pending
	at, _ := slices.BinarySearchFunc(e.queue, r, inOrder)
	e.queue = slices.Insert(e.queue, at, r)
}

// fillSlots starts waiting runs while slots are free. The caller holds e.mu.
func (e *Engine) fillSlots() {
	for e.free > 0 && len(e.queue) > 0 && e.alive.Err() == nil {
		r := e.queue[0]
		e.queue = e.queue[1:]
		e.free--
		e.work.Go(func() { e.execute(r) })
	}
}

func (e *Engine) releaseSlot() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.free++
	e.fillSlots()
}

// Stop ends runs, or takes them out of the queue. A run whose results are being stored has finished and stays as it is, unless it
// waits for the object store: then it ends with what has been stored.
func (e *Engine) Stop(_ context.Context, chunkID string, jobs ...string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	for id, r := range e.runs {
		if r.job.ChunkID() != chunkID || len(jobs) > 0 && !slices.Contains(jobs, id) {
			continue
		}
		r.stop(errStopped)
		if at := slices.Index(e.queue, r); at >= 0 {
			e.queue = slices.Delete(e.queue, at, at+1)
			r.finish(e.end(simulation.Cancelled), nil)
			e.notify()
		}
	}
	return nil
}

// Observe returns every chunk that has not been forgotten. A closed engine answers problem.Unavailable, for it cannot
// distinguish a run that it has interrupted from one that it never had.
func (e *Engine) Observe(context.Context) ([]job.Sight, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.errIfClosed(); err != nil {
		return nil, err
	}
	chunks := map[string]*job.Sight{}
	for _, r := range e.runs {
		id := r.job.ChunkID()
		if chunks[id] == nil {
			chunks[id] = &job.Sight{ChunkID: id, Ended: true}
		}
		chunks[id].Runs = append(chunks[id].Runs, r.seen)
		chunks[id].Ended = chunks[id].Ended && r.seen.State.Terminal()
	}
	seen := make([]job.Sight, 0, len(chunks))
	for _, s := range chunks {
		seen = append(seen, *s)
	}
	return seen, nil
}

// Changed delivers a value soon after a run has started, moved on or ended.
func (e *Engine) Changed() <-chan struct{} { return e.changed }

func (e *Engine) notify() {
	select {
	case e.changed <- struct{}{}:
	default: // a value that nobody has taken yet reports this change too
	}
}

// Forget removes the folders of finished runs. Ids of others are ignored.
func (e *Engine) Forget(_ context.Context, chunkIDs []string) error {
	e.mu.Lock()
	var finished []*run
	for _, r := range e.runs {
		if r.seen.State.Terminal() && slices.Contains(chunkIDs, r.job.ChunkID()) {
			finished = append(finished, r)
		}
	}
	e.mu.Unlock()
	var errs []error
	for _, r := range finished {
		// The run leaves the map last: as long as it is in there, nobody starts another in its folder.
		if err := removeRun(r.dir); err != nil {
			errs = append(errs, fmt.Errorf("removing the folder of run %s: %w", r.job.ID, err))
			continue
		}
		e.drop(r)
	}
	return errors.Join(errs...)
}

func (e *Engine) drop(r *run) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.runs, r.job.ID)
	r.stop(nil)
	e.notify()
}

// observe changes what is seen of r.
func (e *Engine) observe(r *run, change func(*job.Observation)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	change(&r.seen)
	e.notify()
}

// Nodes describes this machine.
func (e *Engine) Nodes(context.Context) ([]job.Node, error) {
	name, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("finding this machine's name: %w", err)
	}
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return nil, fmt.Errorf("finding this machine's memory: %w", err)
	}
	has := map[string]string{
		"cpu":    strconv.Itoa(runtime.NumCPU()),
		"memory": strconv.FormatUint(info.Totalram*uint64(info.Unit)>>10, 10) + "Ki",
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return []job.Node{{
		Name: name, Ready: e.alive.Err() == nil, Capacity: has, Allocatable: has,
		PodsRunning: e.cfg.Slots - e.free, Created: e.started,
	}}, nil
}
