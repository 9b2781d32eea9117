// Package reconcile brings the record of jobs in line with what the engine reports, starts what has room, sends what receivers wait
// for, and removes what has expired.
package reconcile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/delivery"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/study"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

// Reconciler does the work. A process makes one for its lifetime; it holds nothing that a restart would lose.
type Reconciler struct {
	Jobs      Jobs
	Scenarios Scenarios
	// Intake stores the scenarios that tools have made.
	Intake  Intake
	Engine  job.Engine
	Objects Objects
	// Outbox sends deliveries; nil where nothing is delivered.
	Outbox Outbox
	// Tenants are provisioned by Provisioner, which is nil where there is nothing to provision.
	Tenants     Tenants
	Provisioner tenant.Provisioner
	// Lock runs fn while it holds the lock called name, and reports whether it did: when another process has the lock,
	// it returns false at once.
	Lock   func(ctx context.Context, name string, fn func(context.Context) error) (bool, error)
	Now    func() time.Time
	Config Config
	Log    zerolog.Logger
	// Passed is called after each pass, and Ended for each job whose end is recorded. Both may be nil.
	Passed func(took time.Duration, err error)
	Ended  func(End)

	mu     sync.Mutex // guards what follows: when this process last did the work that only some runs do
	pruned time.Time
	swept  time.Time

	keeping keeping
}

// Jobs is the part of the record of jobs that reconciling and pruning use.
type Jobs interface {
	job.Queue
	// ActiveJobs returns up to limit jobs that are PENDING or RUNNING, oldest first.
	ActiveJobs(ctx context.Context, limit int) ([]job.Job, error)
	// Apply writes what was observed of many jobs in one statement. An update that would move a job backwards, or that
	// concerns a finished job, changes nothing. It returns the ids whose state changed.
	Apply(ctx context.Context, updates []job.Update) (changed []string, err error)
	// Restart counts another attempt of jobs whose runs were lost, and returns those of them that are active.
	Restart(ctx context.Context, ids []string, message string) (restarted []string, err error)
	// Parallel returns how many runs go on side by side in each of the chunks of studies with the given ids.
	Parallel(ctx context.Context, chunkIDs []string) (map[string]int, error)
	// StepStudies brings the studies that go on in line with their runs: it counts them, stops those of a study that is cancelled or in
	// which too many have failed, and ends a study when its last run has ended. Before, it answers runs from the cache. It returns how many
	// studies have changed.
	StepStudies(ctx context.Context) (changed int, err error)
	// ActiveChunks returns those of ids that are chunks with jobs that are QUEUED, PENDING or RUNNING.
	ActiveChunks(ctx context.Context, ids []string) (map[string]bool, error)
	// KnownJobs returns those of ids that exist, or whose results another job has taken from the cache.
	KnownJobs(ctx context.Context, ids []string) (map[string]bool, error)
	// ReleaseResults and ReleaseStudyResults are those of job.PurgeStore and study.PurgeStore.
	ReleaseResults(ctx context.Context, tenantID, id string) (job.Released, error)
	ReleaseStudyResults(ctx context.Context, tenantID, id string, before time.Time) (job.Released, error)
	// ExpiredResults returns finished jobs whose results are older than before and not yet pruned.
	ExpiredResults(ctx context.Context, before time.Time, limit int) ([]job.Job, error)
	// MarkResultsPruned records that the results of these jobs are removed.
	MarkResultsPruned(ctx context.Context, ids []string) error
	// ExpiredStudies returns studies that finished before the given time and whose results are not yet pruned. ExpiredResults leaves out
	// their runs.
	ExpiredStudies(ctx context.Context, before time.Time, limit int) ([]study.Study, error)
	// MarkStudyPruned records that the results of a study's runs that ended before the given time are removed.
	MarkStudyPruned(ctx context.Context, id string, before time.Time) error
	// PruneIdempotencyKeys removes keys recorded before the given time and returns how many.
	PruneIdempotencyKeys(ctx context.Context, before time.Time, limit int) (int, error)
	// PruneDeliveries removes deliveries that are too old to be looked up, and gives up those that wait in vain.
	PruneDeliveries(ctx context.Context, now time.Time, limit int) (pruned, givenUp int, err error)
}

// Scenarios is the record of scenarios and their uploads.
type Scenarios interface {
	// KnownKeys returns those of the object keys that belong to a scenario.
	KnownKeys(ctx context.Context, keys []string) (map[string]bool, error)
	// PruneUploads forgets uploads begun before the given time, and returns how many.
	PruneUploads(ctx context.Context, before time.Time, limit int) (int, error)
}

// Objects is the object store with what only its keeper needs.
type Objects interface {
	artifact.Remover
	scenario.Opener
	Put(ctx context.Context, key string, r io.Reader, contentType string) (int64, error)
	// ListAfter is List without the keys up to after.
	ListAfter(ctx context.Context, prefix, after string, yield func(artifact.Object) bool) error
	// AbortUploads frees what is left of uploads that began before the given time and were never finished, because the
	// process that sent them was killed. It returns how many there were.
	AbortUploads(ctx context.Context, before time.Time) (int, error)
}

// Outbox sends deliveries in the background, while runs are reconciled. It is a delivery.Sender.
type Outbox interface {
	// Round starts to send what is due and returns at once. Busy reports whether anything is on its way, or about to be due.
	Round(ctx context.Context) (busy bool, err error)
	// Changed delivers a value when another Round would send more.
	Changed() <-chan struct{}
	// Stop makes rounds start nothing more. Finish waits for the attempts that are on their way, which takes seconds, and counts all
	// since the last call.
	Stop()
	Finish() delivery.Sent
}

// Config bounds what is retried and kept.
type Config struct {
	// LostAfter is how long the engine may not know a job that was claimed for it, before the job counts as lost. It
	// covers the time between claiming a job and starting it.
	LostAfter time.Duration
	// MaxAttempts is how often a job may be lost while it runs before it fails: a run that is lost again and again is probably what brings
	// its engine down.
	MaxAttempts int
	// MaxStarts is how often a job is handed to the engine, however far it gets.
	MaxStarts int
	// KeepResults is how long results are kept after a job's end; 0 keeps them for ever.
	KeepResults time.Duration
}

// DefaultConfig is what a small installation needs.
func DefaultConfig() Config {
	return Config{LostAfter: 5 * time.Second, MaxAttempts: 3, MaxStarts: 100, KeepResults: 30 * 24 * time.Hour}
}

// Report counts what one Run did.
type Report struct {
	Skipped       bool `json:"skipped"`        // another process held the lock
	Interrupted   bool `json:"interrupted"`    // the process was stopping; the next call does the rest
	Passes        int  `json:"passes"`         // how often record and engine were compared
	Active        int  `json:"active"`         // jobs pending or running at the last pass
	Dispatched    int  `json:"dispatched"`     // chunks handed to the engine
	Changed       int  `json:"changed"`        // jobs that changed their state
	Stopped       int  `json:"stopped"`        // requests to the engine to stop a run
	Restarted     int  `json:"restarted"`      // lost runs started again
	Forgotten     int  `json:"forgotten"`      // finished runs that the engine may forget
	PrunedResults int  `json:"pruned_results"` // jobs whose results were removed because of their age
	PrunedStudies int  `json:"pruned_studies"` // studies of which the same is true
	PrunedKeys    int  `json:"pruned_keys"`    // idempotency keys removed because of their age
	PrunedObjects int  `json:"pruned_objects"` // objects removed because nothing refers to them
	PrunedUploads int  `json:"pruned_uploads"` // unfinished uploads that were given up

	PrunedDeliveries int `json:"pruned_deliveries"` // records of deliveries removed because of their age
	Provisioned      int `json:"provisioned"`       // tenants whose namespace was checked, and repaired if needed
	Unprovisioned    int `json:"unprovisioned"`     // tenants for which that failed

	Deliveries delivery.Sent `json:"deliveries"` // what was sent to receivers
}

const (
	lockName = "reconcile"
	// maxActive bounds the jobs that one pass looks at. The rest have their turn when older ones have ended.
	maxActive = 20_000
	// maxDispatch and maxRestarts bound the chunks that one pass starts; the next pass continues.
	maxDispatch = 1_000
	maxRestarts = 200
	// parallelStops hides the latency of an engine to which stopping is a request.
	parallelStops = 8
	// tick is how often a pass is made while the engine reports no change.
	tick = time.Second
	// leastRest is the pause after each pass, in which changes gather. It is half of the tenth of a second within which
	// the end of a run should be on record. A pass that takes longer is followed by a pause as long as itself, so that
	// reconciling never takes more than half of a database connection.
	leastRest = 50 * time.Millisecond
)

// Run makes passes until nothing is active or window ends, whichever is first; but one at least. When another process
// holds the lock it returns at once, with Report.Skipped set. The error is that of the last pass, of pruning and of
// provisioning: what failed earlier and succeeded since is only logged.
func (r *Reconciler) Run(ctx context.Context, window time.Duration) (Report, error) {
	var rep Report
	ran, err := r.Lock(ctx, lockName, func(ctx context.Context) error {
		// Pruning and provisioning can take long, so they go on beside the passes.
		var beside sync.WaitGroup
		var pruneErr, provisionErr error
		pruned, provisioned := rep, rep
		beside.Go(func() { pruneErr = r.prune(ctx, &pruned) })
		beside.Go(func() { provisionErr = r.provision(ctx, &provisioned) })
		others := make(chan struct{})
		go func() {
			beside.Wait()
			close(others)
		}()
		err := r.passes(ctx, window, others, &rep)
		r.keeping.work.Wait() // what it has found is recorded by the next call
		if r.Outbox != nil {
			rep.Deliveries = r.Outbox.Finish()
		}
		<-others
		rep.Deliveries.GivenUp += pruned.Deliveries.GivenUp
		rep.PrunedResults, rep.PrunedStudies, rep.PrunedKeys = pruned.PrunedResults, pruned.PrunedStudies, pruned.PrunedKeys
		rep.PrunedObjects, rep.PrunedUploads = pruned.PrunedObjects, pruned.PrunedUploads
		rep.PrunedDeliveries = pruned.PrunedDeliveries
		rep.Provisioned, rep.Unprovisioned = provisioned.Provisioned, provisioned.Unprovisioned
		return errors.Join(err, pruneErr, provisionErr)
	})
	rep.Skipped = !ran && err == nil
	return rep, err
}

// passes makes passes while there is something to wait for, and until others is closed: those who call meanwhile because there is a new
// job are skipped, and rely on us to see it.
func (r *Reconciler) passes(ctx context.Context, window time.Duration, others <-chan struct{}, rep *Report) error {
	end := time.NewTimer(window)
	defer end.Stop()
	over := false // only what is under way is still waited for
	for {
		began := time.Now()
		busy, sending, err := r.pass(ctx, rep)
		stopped := errors.Is(ctx.Err(), context.Canceled) // what an orderly stop interrupts has not failed
		if r.Passed != nil && !stopped {
			r.Passed(time.Since(began), err)
		}
		if err != nil && !stopped {
			r.Log.Warn().Err(err).Msg("reconciling failed in part")
		}
		finished := func() bool { return others == nil && (!busy || over && !sending) }
		rest := max(time.Since(began), leastRest)
		rested, due := time.After(rest), time.After(max(rest, tick))
		var changed, sendable <-chan struct{} // nil, which blocks, until we have rested
		for waiting := true; waiting; {
			if finished() {
				return err
			}
			select {
			case <-ctx.Done():
				return errors.Join(err, ctx.Err())
			case <-others:
				others = nil
			case <-end.C:
				over = true
				if r.Outbox != nil {
					r.Outbox.Stop()
				}
			case <-rested:
				changed = r.Engine.Changed()
				if r.Outbox != nil {
					sendable = r.Outbox.Changed()
				}
			case <-changed:
				waiting = false
			case <-sendable:
				waiting = false
			case <-due:
				waiting = false
			}
		}
	}
}

// pass compares record and engine once and acts on what it finds. Every step can be repeated; one that fails does not
// keep the others from being done. Busy reports whether there is, or may be, something to wait for, and sending whether
// deliveries are on their way.
func (r *Reconciler) pass(ctx context.Context, rep *Report) (busy, sending bool, err error) {
	rep.Passes++
	active, seen, err := r.observe(ctx)
	if err != nil {
		busy = true
	} else {
		todo := r.Config.compare(r.Now(), active, seen)
		r.keep(ctx, &todo)
		err = errors.Join(
			r.record(ctx, todo, rep),
			r.stop(ctx, todo.stop, rep),
			r.restart(ctx, todo, rep),
			r.clear(ctx, todo.strays, rep),
		)
		rep.Active = len(active)
	}
	changed, stepErr := r.Jobs.StepStudies(ctx)
	if stepErr != nil {
		err = errors.Join(err, fmt.Errorf("bringing studies in line with their runs: %w", stepErr))
	}
	dispatcher := job.Dispatcher{Queue: r.Jobs, Engine: r.Engine, Log: r.Log}
	n, dispatchErr := dispatcher.DispatchAll(ctx, maxDispatch)
	rep.Dispatched += n
	sending, sendErr := r.send(ctx)
	return busy || sending || len(active)+len(seen)+n+changed > 0, sending, errors.Join(err, dispatchErr, sendErr)
}

func (r *Reconciler) send(ctx context.Context) (busy bool, err error) {
	if r.Outbox == nil {
		return false, nil
	}
	return r.Outbox.Round(ctx)
}

// observe reads the record first and the engine second, so that a run which the record holds to be running and the
// engine does not have is really lost: nobody but us removes runs whose end is on record.
func (r *Reconciler) observe(ctx context.Context) ([]job.Job, []job.Sight, error) {
	active, err := r.Jobs.ActiveJobs(ctx, maxActive)
	if err != nil {
		return nil, nil, fmt.Errorf("reading active jobs: %w", err)
	}
	seen, err := r.Engine.Observe(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("observing the engine: %w", err)
	}
	return active, seen, nil
}

// record writes all that was learnt in one statement. Only then may the engine forget the finished runs.
func (r *Reconciler) record(ctx context.Context, todo differences, rep *Report) error {
	if len(todo.updates) > 0 {
		changed, err := r.Jobs.Apply(ctx, todo.updates)
		if err != nil {
			return fmt.Errorf("recording what the engine sees: %w", err)
		}
		rep.Changed += len(changed)
		r.keeping.forget(todo.keep)
		r.reportEnds(todo.ends, changed)
		r.dropRecordings(ctx, todo.ends, changed)
	}
	return r.forget(ctx, todo.finished, rep)
}

// dropRecordings removes the recordings by which runs were watched while they went on: they are results now. It goes on beside the passes;
// what fails is removed with the results.
func (r *Reconciler) dropRecordings(ctx context.Context, ends map[string]End, changed []string) {
	var recorded []string
	for _, id := range changed {
		if end, ended := ends[id]; ended && end.Job.Options.Replay != nil {
			recorded = append(recorded, artifact.LiveReplay(end.Job.ResultsKey))
		}
	}
	if len(recorded) == 0 {
		return
	}
	r.keeping.work.Go(func() {
		for _, prefix := range recorded {
			if err := artifact.RemoveAll(ctx, r.Objects, prefix); err != nil && ctx.Err() == nil {
				r.Log.Warn().Err(err).Str("prefix", prefix).Msg("the recording of a run that has ended was not removed")
			}
		}
	})
}

func (r *Reconciler) reportEnds(ends map[string]End, changed []string) {
	if r.Ended == nil {
		return
	}
	now := r.Now()
	for _, id := range changed {
		if end, ended := ends[id]; ended {
			end.RecordedAt = now
			r.Ended(end)
		}
	}
}

func (r *Reconciler) forget(ctx context.Context, ids []string, rep *Report) error {
	if len(ids) == 0 {
		return nil
	}
	if err := r.Engine.Forget(ctx, ids); err != nil {
		return fmt.Errorf("forgetting finished runs: %w", err)
	}
	rep.Forgotten += len(ids)
	return nil
}

func (r *Reconciler) stop(ctx context.Context, chunks map[string][]string, rep *Report) error {
	var work errgroup.Group
	work.SetLimit(parallelStops)
	ids := slices.Sorted(maps.Keys(chunks))
	errs := make([]error, len(ids))
	for i, id := range ids {
		work.Go(func() error {
			if err := r.Engine.Stop(ctx, id, chunks[id]...); err != nil {
				errs[i] = fmt.Errorf("stopping chunk %s: %w", id, err)
			}
			return nil
		})
	}
	_ = work.Wait() // each leaves its own error
	for i, id := range ids {
		if errs[i] == nil {
			rep.Stopped += max(1, len(chunks[id]))
		}
	}
	return errors.Join(errs...)
}

// restart starts lost runs again, those of a chunk together. A start is counted after it was made: while the engine is unreachable, jobs
// wait for it and do not use up their attempts. It counts for those alone that may have brought the chunk down.
func (r *Reconciler) restart(ctx context.Context, todo differences, rep *Report) error {
	chunks, err := r.lostChunks(ctx, todo)
	if err != nil {
		return err
	}
	var errs []error
	for _, c := range chunks {
		culprits := blamed(todo.lost[c.ID])
		var counted []job.Job
		for i := range c.Jobs {
			if culprits[c.Jobs[i].ID] {
				c.Jobs[i].Attempt++
				counted = append(counted, c.Jobs[i])
			}
		}
		if err := r.Engine.Start(ctx, c); err != nil {
			errs = append(errs, fmt.Errorf("starting chunk %s again: %w", c.ID, err))
			continue
		}
		rep.Restarted += len(c.Jobs) - len(counted)
		errs = append(errs, r.countAttempts(ctx, counted, rep))
	}
	return errors.Join(errs...)
}

// lostChunks makes chunks of lost jobs, as many as one pass starts again. Once runs of a chunk were lost at work, or twice, they go on one
// after the other: one that brings its machine or process down then brings down no other.
func (r *Reconciler) lostChunks(ctx context.Context, todo differences) ([]job.Chunk, error) {
	byID := map[string][]job.Job{}
	var studies []string
	for _, j := range todo.restart {
		id := j.ChunkID()
		if j.Study != nil && byID[id] == nil {
			studies = append(studies, id)
		}
		byID[id] = append(byID[id], j)
	}
	parallel := map[string]int{}
	if len(studies) > 0 {
		var err error
		if parallel, err = r.Jobs.Parallel(ctx, studies); err != nil {
			return nil, fmt.Errorf("looking up how many lost runs go on side by side: %w", err)
		}
	}
	suspect := func(j job.Job) bool { return j.State == job.Running || j.Attempt > 1 }
	var chunks []job.Chunk
	for n, id := range slices.Sorted(maps.Keys(byID)) {
		if n == maxRestarts {
			break
		}
		c := job.Chunk{ID: id, Jobs: byID[id], Parallel: 1}
		if !slices.ContainsFunc(todo.lost[id], suspect) {
			c.Parallel = max(1, min(parallel[id], len(c.Jobs)))
		}
		chunks = append(chunks, c)
	}
	return chunks, nil
}

// countAttempts records that jobs were started again. Those that have ended meanwhile, because no version of SUMO here can run them any
// longer, are left out.
func (r *Reconciler) countAttempts(ctx context.Context, jobs []job.Job, rep *Report) error {
	byAttempt := map[int][]string{}
	for _, j := range jobs {
		byAttempt[j.Attempt] = append(byAttempt[j.Attempt], j.ID)
	}
	var errs []error
	for _, attempt := range slices.Sorted(maps.Keys(byAttempt)) {
		message := fmt.Sprintf("The run was lost with the machine or process it ran on. It has been started again, as attempt %d.", attempt)
		restarted, err := r.Jobs.Restart(ctx, byAttempt[attempt], message)
		if err != nil {
			errs = append(errs, fmt.Errorf("counting attempt %d of jobs: %w", attempt, err))
			continue
		}
		rep.Restarted += len(restarted)
		for _, id := range restarted {
			r.Log.Warn().Str("job", id).Int("attempt", attempt).Msg("lost run started again")
		}
	}
	return errors.Join(errs...)
}

// clear ends chunks whose jobs are finished or deleted. A chunk may also be of a job that was claimed since the record was read, and is
// left alone; so is one whose runs have all ended, until it has ended too.
func (r *Reconciler) clear(ctx context.Context, strays []job.Sight, rep *Report) error {
	if len(strays) == 0 {
		return nil
	}
	ids := make([]string, len(strays))
	for i, s := range strays {
		ids[i] = s.ChunkID
	}
	active, err := r.Jobs.ActiveChunks(ctx, ids)
	if err != nil {
		return fmt.Errorf("looking up jobs of unexpected chunks: %w", err)
	}
	stop := map[string][]string{}
	var forget []string
	for _, s := range strays {
		switch {
		case active[s.ChunkID]:
		case s.Ended:
			forget = append(forget, s.ChunkID)
		case s.AtWork():
			stop[s.ChunkID] = nil
		}
	}
	return errors.Join(r.stop(ctx, stop, rep), r.forget(ctx, forget, rep))
}
