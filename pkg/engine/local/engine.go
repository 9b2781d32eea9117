// Package local carries out chunks of jobs on this machine, each by a sumo-run process.
//
// Every chunk has a folder of its own, and a sumo-run that goes through its runs (see package chunk):
//
//	<Dir>/<chunk id>/chunk.json  what is needed to store the results, or to go on, after a restart
//	                 runs.json   what sumo-run is to do
//	                 work/       where sumo-run works
//	                 out/        what the runs leave, until it is stored
//	                 desk/       what the keeper of results signals; desk/stored/<run> has the end of a run
//	                 logs/       logs of runs that have ended, until the chunk is forgotten
//	<Dir>/.scenarios/            scenarios that chunks share, as objects and unpacked (see scenarios)
//
// The folder is the engine's only memory beyond the process. A restart finds one of four things about a run:
//
//   - desk/stored/<run>: the run has ended, and its results are stored. Its end is reported again.
//   - out/<run>/outcome.json: the run has ended, and only its results must be stored. So no run that came to its end is ever
//     repeated.
//   - a whole job in chunk.json: an orderly Close interrupted the run, or found it waiting. The engine has it still, and
//     begins it again by itself. Our stop is not the job's fault, so it does not count as a lost run.
//   - neither: the run is lost. Once the others of its chunk have ended the chunk has, without that run, which runs again when it is
//     started again.
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
	"github.com/sumo-k8/sumo-k8/pkg/disk"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
)

// Config is where and how chunks run.
type Config struct {
	Dir     string // folder of the chunks; nobody else may use it
	SumoRun string // path of the sumo-run program
	// Slots is how many runs may go on at a time; 0 means one for each CPU, since a run keeps one busy.
	Slots int
	// Confinement decides whether runs may start where this machine cannot confine SUMO to their files; empty means confine.Require.
	Confinement confine.Mode
	// MaxOutput is how much one run may write to disk, in bytes; 0 sets no limit.
	MaxOutput int64
	// Installations are the versions of SUMO that jobs name. One without a Binary is the SUMO that sumo-run finds by itself.
	Installations []release.Installation
	// Python is what programs of a scenario run with, by the version of SUMO; none where they are not enabled.
	Python map[string]release.Python
	// Env is added to the runs' environment ("NAME=value"), which is otherwise empty but for PATH: nothing of ours,
	// credentials least of all, reaches a program that reads untrusted input.
	Env []string
	// StopGrace is how long a run may take to end when asked to, and a chunk beyond the timeouts of its runs, before sumo-run is killed; 0
	// means DefaultStopGrace.
	StopGrace time.Duration
	// RefusalPatience is how long a run keeps retrying an object store that refuses its requests; 0 means
	// artifact.DefaultPatience. It waits for an unreachable one without limit.
	RefusalPatience time.Duration
}

// DefaultStopGrace is a little more than the five minutes after which sumo-run itself gives up checking and keeping
// the outputs of a run that was stopped. So only a sumo-run that hangs is killed.
const DefaultStopGrace = 6 * time.Minute

// parallelUploads bounds the files that all runs together send to the object store at once. Four hide its latency; more
// only take memory and CPU from SUMO.
const parallelUploads = 4

// Engine is a job.Engine and a job.LiveLogs.
type Engine struct {
	cfg       Config
	objects   artifact.Store
	scenarios *scenarios
	now       func() time.Time
	log       zerolog.Logger
	started   time.Time

	changed chan struct{}
	uploads chan struct{} // one token for each upload under way
	alive   context.Context
	close   context.CancelCauseFunc // ends all work, gracefully
	hard    context.Context
	kill    context.CancelFunc // ends the grace
	work    sync.WaitGroup

	forgetting sync.Mutex // held while folders of chunks are removed

	mu     sync.Mutex
	tasks  map[string]*task
	queue  queue
	atWork map[string]int // slots in use, by namespace
	free   int            // slots
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
// that Close kept begin again, others are lost. Scenarios are read from objects and results written to it.
func New(cfg Config, objects artifact.Store, now func() time.Time, log zerolog.Logger) (*Engine, error) {
	cfg.Slots = cmp.Or(cfg.Slots, runtime.NumCPU())
	cfg.StopGrace = cmp.Or(cfg.StopGrace, DefaultStopGrace)
	cfg.Confinement = cmp.Or(cfg.Confinement, confine.Require)
	cfg.RefusalPatience = cmp.Or(cfg.RefusalPatience, artifact.DefaultPatience)
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("finding the folder of runs: %w", err)
	}
	cfg.Dir = dir
	program, err := exec.LookPath(cfg.SumoRun)
	if err == nil {
		program, err = filepath.Abs(program) // each chunk has a working directory of its own
	}
	if err != nil {
		return nil, fmt.Errorf("finding the program that runs scenarios, sumo-run: %w", err)
	}
	cfg.SumoRun = program
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the folder of runs: %w", err)
	}
	_ = disk.Spread(cfg.Dir) // each chunk makes and removes thousands of files
	shared, err := openScenarios(filepath.Join(cfg.Dir, scenariosFolder), now, log)
	if err != nil {
		return nil, err
	}
	e := &Engine{
		cfg: cfg, objects: objects, scenarios: shared, now: now, log: log, started: now(),
		changed: make(chan struct{}, 1),
		uploads: make(chan struct{}, parallelUploads),
		tasks:   map[string]*task{},
		queue:   queue{},
		atWork:  map[string]int{},
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
// over the same folder begins them again, and those that wait; it also stores results that are not stored yet.
func (e *Engine) Close(ctx context.Context) error {
	e.mu.Lock()
	e.close(errClosing)
	waiting := e.queue.drain()
	e.mu.Unlock()
	for _, t := range waiting {
		e.keep(t)
	}
	done := make(chan struct{})
	go func() {
		e.work.Wait()
		close(done)
	}()
	var err error
	select {
	case <-done:
		e.kill()
	case <-ctx.Done():
		e.kill()
		<-done
		err = fmt.Errorf("stopping runs gracefully: %w", ctx.Err())
	}
	e.scenarios.close()
	return err
}

func (e *Engine) errIfClosed() error {
	if e.alive.Err() == nil {
		return nil
	}
	return problem.Wrap(errClosing, problem.Unavailable, "The engine is shutting down. Jobs go on when it is started again.").
		WithRetryAfter(5 * time.Second)
}

// Start queues a chunk until slots are free (see queue for the order).
func (e *Engine) Start(_ context.Context, c job.Chunk) error {
	if !isFolderName(c.ID) {
		return fmt.Errorf("chunk id %q cannot name a folder", c.ID)
	}
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
	if e.tasks[c.ID] != nil {
		return nil
	}
	t := e.add(c.ID, c.Jobs[0].Namespace, runsOf(c))
	t.parallel, t.single = c.Parallel, c.Jobs[0].Study == nil
	t.urge(c.Jobs[0])
	e.queue.add(t)
	e.fillSlots()
	e.notify()
	return nil
}

// isFolderName reports whether id stays inside the folder of chunks. Those of jobs and chunks are UUIDs.
func isFolderName(id string) bool {
	return id != "" && id == filepath.Base(id) && !strings.HasPrefix(id, ".")
}

// add makes a chunk known. The caller holds e.mu, or is alone.
func (e *Engine) add(id, namespace string, runs []*run) *task {
	t := &task{
		id: id, namespace: namespace, dir: filepath.Join(e.cfg.Dir, id), parallel: 1,
		runs: runs, byID: make(map[string]*run, len(runs)), wake: make(chan struct{}, 1),
	}
	for _, r := range runs {
		t.byID[r.ID] = r
	}
	t.wanted, t.stop = context.WithCancelCause(e.alive)
	e.tasks[id] = t
	return t
}

// fillSlots starts waiting chunks while slots are free. The caller holds e.mu.
func (e *Engine) fillSlots() {
	for e.free > 0 && e.alive.Err() == nil {
		t := e.queue.next(e.atWork)
		if t == nil {
			e.widen()
			return
		}
		t.slots = max(1, min(t.parallel, t.unfinished(), e.free))
		e.free -= t.slots
		e.atWork[t.namespace] += t.slots
		e.work.Go(func() { e.carryOut(t) })
	}
}

// widen lets chunks at work use slots for which none waits: one that began when few were free. The caller holds e.mu.
func (e *Engine) widen() {
	for ; e.free > 0; e.free-- {
		var first *task // of the tenant with the fewest runs at work
		for _, t := range e.tasks {
			narrow := t.slots > 0 && t.slots < min(t.parallel, t.unfinished())
			if narrow && (first == nil || cmp.Or(cmp.Compare(e.atWork[t.namespace], e.atWork[first.namespace]), byAge(t, first)) < 0) {
				first = t
			}
		}
		if first == nil {
			return
		}
		first.slots++
		e.atWork[first.namespace]++
		first.rouse()
	}
}

// giveBack frees the slots of t beyond the first keep. The caller holds e.mu.
func (e *Engine) giveBack(t *task, keep int) {
	surplus := t.slots - keep
	if surplus <= 0 {
		return
	}
	t.slots -= surplus
	e.free += surplus
	if e.atWork[t.namespace] -= surplus; e.atWork[t.namespace] == 0 {
		delete(e.atWork, t.namespace)
	}
	e.fillSlots()
}

// Stop ends runs of a chunk, or all. One whose results are being stored has finished and stays as it is, unless it waits for the object
// store: then it ends with what has been stored.
func (e *Engine) Stop(_ context.Context, chunkID string, jobs ...string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	t := e.tasks[chunkID]
	if t == nil {
		return nil
	}
	waiting, news := e.queue.has(t), false
	for _, r := range t.runs {
		if r.finished() || r.cancelled || len(jobs) > 0 && !slices.Contains(jobs, r.ID) {
			continue
		}
		r.cancelled, news = true, true
		if waiting {
			r.end(e.outcome(simulation.Cancelled), nil, e.now())
		}
	}
	if !news {
		return nil
	}
	if !slices.ContainsFunc(t.runs, func(r *run) bool { return !r.finished() && !r.cancelled }) {
		t.stop(errStopped)
		if waiting {
			e.queue.remove(t)
			t.ended = true
		}
	}
	t.rouse()
	e.notify()
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
	seen := make([]job.Sight, 0, len(e.tasks))
	for _, t := range e.tasks {
		seen = append(seen, t.sight())
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

// Forget removes the folders of chunks that have ended. Ids of others are ignored.
func (e *Engine) Forget(_ context.Context, chunkIDs []string) error {
	e.mu.Lock()
	var ended []*task
	for _, id := range chunkIDs {
		if t := e.tasks[id]; t != nil && t.ended {
			ended = append(ended, t)
		}
	}
	e.mu.Unlock()
	e.forgetting.Lock()
	defer e.forgetting.Unlock()
	var errs []error
	for _, t := range ended {
		if !e.has(t) { // another call was faster, and the folder may be that of a chunk that was started again
			continue
		}
		// The chunk leaves the map last: as long as it is in there, nobody starts another in its folder.
		if err := removeTask(t.dir); err != nil {
			errs = append(errs, fmt.Errorf("removing the folder of chunk %s: %w", t.id, err))
			continue
		}
		e.drop(t)
	}
	return errors.Join(errs...)
}

func (e *Engine) has(t *task) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.tasks[t.id] == t
}

func (e *Engine) drop(t *task) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.tasks, t.id)
	t.stop(nil)
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
