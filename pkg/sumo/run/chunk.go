package run

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gofrs/flock"

	"github.com/sumo-k8/sumo-k8/pkg/chunk"
	"github.com/sumo-k8/sumo-k8/pkg/confine"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
)

// Chunk is the runs of a list, which one process carries out. Their results are handed to a keeper: see package chunk.
type Chunk struct {
	List chunk.List
	// Common is what all runs have in common. Its folders Work and Out hold one for each run, its ProgressFile receives the sum of all, and
	// its Console a line when a run begins or ends. A single run writes its log and its progress there as without a chunk.
	Common Run
	// Desk is the folder that the keeper writes.
	Desk string
	// Unpacked is the folder in which the unpacked scenario is left for later chunks of the same one; empty for none.
	Unpacked string

	// For tests: in place of chunk.SilentAfter and ClosingTime.
	patience, closing time.Duration
}

// Names inside the work folder of a chunk.
const (
	runsFolder     = "runs"
	unpackedFolder = "scenarios"
)

// lockPatience bounds the wait for the lock, which a keeper may hold for a moment.
const lockPatience = 10 * time.Second

// briefRun is how long a run of a study may take whose progress nobody follows.
const briefRun = 10 * time.Second

// ClosingTime bounds checking and keeping the outputs after a stop, so that a run never hangs.
const ClosingTime = 5 * time.Minute

// OwnMemory is the part of a run's memory, in bytes, that sumo-run keeps for itself: it takes some 30 MB to check a scenario with a
// large network.
const OwnMemory = 64 << 20

// ForSUMO is the part of a run's memory that is SUMO's, in bytes; zero sets no limit.
func ForSUMO(memory int64) int64 {
	if memory <= 0 {
		return 0
	}
	return max(memory-OwnMemory, OwnMemory)
}

// Do carries out the runs and returns when each of them is stored or not wanted. Its outcome is that of a single run. Of several, it is a
// success, or Interrupted if it is to be repeated with those that are left: ctx has ended or the keeper is silent.
func (c Chunk) Do(ctx context.Context) simulation.Outcome {
	x, err := c.open(ctx)
	switch {
	case err == nil:
		defer x.close()
		return x.goOn(ctx)
	case ctx.Err() != nil, errors.Is(err, errSilent):
		return interrupted(err)
	}
	return failed(blame(err, "The chunk could not be begun"))
}

// interrupted is the outcome of a chunk that is to be repeated.
func interrupted(why error) simulation.Outcome {
	return failed(simulation.Interrupted, fmt.Sprintf("The chunk was stopped before its end: %v.", why))
}

// execution is a chunk on its way. What has no lock belongs to the goroutine of goOn.
type execution struct {
	Chunk
	lock     *flock.Flock
	desk     *desk
	library  *library
	progress *overall
	proofs   proofs
	counted  demandCounts
	brief    atomic.Bool // the last run to end was

	skip     map[string]bool
	parallel int // runs that may go on at a time
	lanes    lanes
	next     int // the first run that has not been looked at
	left     int // runs that were begun, and are to be repeated
	running  map[string]*running
	unstored map[string]int64 // runs that have ended, with the bytes that they occupy
	outcome  simulation.Outcome
	unseen   bool // a single run has ended elsewhere, as the keeper is to show
	ends     chan end
}

// running is a run that goes on.
type running struct {
	slot     int
	lane     *lane
	cancel   context.CancelCauseFunc
	deadline time.Time // by when it has ended whatever happens; zero for never
}

// end is the end of a run.
type end struct {
	run     string
	outcome simulation.Outcome
	kept    bool // whether it is a result of the run, which is not to be repeated
}

// open checks the list, prepares the folders, and waits for the keeper.
func (c Chunk) open(ctx context.Context) (*execution, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	for _, p := range []*string{&c.Common.Work, &c.Common.Out, &c.Desk, &c.Unpacked} {
		if *p == "" {
			continue
		}
		abs, err := filepath.Abs(*p)
		if err != nil {
			return nil, err
		}
		*p = abs
	}
	if err := os.MkdirAll(c.Common.Out, 0o755); err != nil {
		return nil, err
	}
	lock, err := lockOf(ctx, c.Common.Out)
	if err != nil {
		return nil, err
	}
	x := &execution{
		Chunk: c, lock: lock, desk: newDesk(c.Desk), parallel: max(c.List.Parallel, 1),
		library:  &library{folder: cmp.Or(c.Unpacked, filepath.Join(c.Common.Work, unpackedFolder))},
		lanes:    lanes{folder: filepath.Join(c.Common.Work, runsFolder)},
		progress: &overall{runs: map[string]int{}}, skip: map[string]bool{}, running: map[string]*running{}, unstored: map[string]int64{},
		ends: make(chan end, len(c.List.Runs)),
	}
	if err := x.prepare(ctx); err != nil {
		x.close()
		return nil, err
	}
	return x, nil
}

// check refuses a list that this program does not understand.
func (c Chunk) check() error {
	if c.List.Generation != chunk.Generation {
		return fmt.Errorf("the list of runs is of generation %d, and this program of %d", c.List.Generation, chunk.Generation)
	}
	if n := len(c.List.Runs); n == 0 || n > chunk.MostRuns || c.List.Single && n > 1 {
		return fmt.Errorf("the list has %d runs", n)
	}
	seen := map[string]bool{chunk.LockFile: true, simulation.OutcomeFile: true}
	for _, r := range c.List.Runs {
		if r.ID != filepath.Base(r.ID) || !filepath.IsLocal(r.ID) || r.ID == "." || strings.HasSuffix(r.ID, chunk.ProgressSuffix) || seen[r.ID] {
			return fmt.Errorf("the list has a run with the id %q", r.ID)
		}
		seen[r.ID] = true
	}
	return nil
}

// lockOf locks the output folder for as long as this process lives, by which the keeper sees that.
func lockOf(ctx context.Context, out string) (*flock.Flock, error) {
	ctx, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	lock := flock.New(filepath.Join(out, chunk.LockFile), flock.SetPermissions(0o644)) // the keeper is another user in a pod
	if _, err := lock.TryLockContext(ctx, lookEvery); err != nil {
		return nil, fmt.Errorf("locking the output folder, which another process may use: %w", err)
	}
	return lock, nil
}

// prepare clears what a killed process has left, and waits for the keeper.
func (x *execution) prepare(ctx context.Context) error {
	if err := os.RemoveAll(filepath.Join(x.Common.Work, runsFolder)); err != nil {
		return err
	}
	if x.Unpacked == "" {
		if err := os.RemoveAll(x.library.folder); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(x.library.folder, 0o755); err != nil {
		return err
	}
	file, err := openProgressOf(x.Common.ProgressFile, progressTotal*len(x.List.Runs))
	if err != nil {
		return err
	}
	x.progress.file = file
	ready, err := x.desk.ready(ctx, x.silentAfter())
	if err != nil {
		return err
	}
	for _, id := range ready.Skip {
		x.skip[id] = true
	}
	// Without an answer to these, each run fails for that reason.
	if binary, err := x.Common.binary(); err == nil {
		x.Common.Binary = binary
	}
	if x.Common.Version == "" {
		if version, err := SUMOVersion(ctx, x.Common.Binary); err == nil {
			x.Common.Version = release.Short(version)
		}
	}
	return nil
}

func (x *execution) silentAfter() time.Duration { return cmp.Or(x.patience, chunk.SilentAfter) }

func (x *execution) close() {
	if x.progress.file != nil {
		x.progress.file.close()
	}
	for _, l := range x.lanes.idle {
		l.clear()
	}
	_ = x.lock.Close() // the kernel releases it at the latest
}

// goOn carries out the runs that are left.
func (x *execution) goOn(ctx context.Context) simulation.Outcome {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	ended := ctx.Done()
	var closing time.Time // by when all is handed over, or is not to be
	silent := false       // whether the keeper is, which may be found after ctx has ended
	for {
		x.begin(ctx)
		switch {
		case len(x.running) > 0, len(x.unstored) > 0 && !silent:
		case x.left > 0, x.next < len(x.List.Runs), len(x.unstored) > 0:
			return interrupted(cmp.Or(context.Cause(ctx), errUnrecorded))
		default:
			return x.outcome
		}
		select {
		case e := <-x.ends:
			x.end(e)
		case <-ended:
			ended, closing = nil, time.Now().Add(cmp.Or(x.closing, ClosingTime))
		case now := <-look.C:
			x.look()
			if x.desk.silent(now) > x.silentAfter() {
				silent = true
				stop(errSilent)
			}
			switch hangs := x.hang(now); {
			case hangs && x.List.Single: // and would again
				return failed(simulation.InternalError, "The run could not be finished in time.")
			case hangs, !closing.IsZero() && now.After(closing):
				return interrupted(errors.New("it could not be finished in time"))
			}
		}
	}
}

// hang reports whether a run goes on that should have ended long ago.
func (x *execution) hang(now time.Time) bool {
	for _, r := range x.running {
		if !r.deadline.IsZero() && now.After(r.deadline) {
			return true
		}
	}
	return false
}

// begin begins runs, in the order of the list, as long as there is room. After a stop it only passes over those that are not wanted.
func (x *execution) begin(ctx context.Context) {
	for ; x.next < len(x.List.Runs); x.next++ {
		if ctx.Err() == nil && !x.room() {
			return
		}
		run := x.List.Runs[x.next]
		if x.passOver(run.ID) {
			continue
		}
		if ctx.Err() != nil {
			return
		}
		r, at := x.run(run), &running{slot: x.freeSlot()}
		at.lane = x.lanes.take(r.form())
		r.slot, r.lane, r.Work = at.slot, at.lane, at.lane.folder
		if timeout := lasting(run.TimeoutSeconds); timeout > 0 {
			at.deadline = time.Now().Add(timeout + cmp.Or(x.closing, ClosingTime))
		}
		var runContext context.Context
		runContext, at.cancel = context.WithCancelCause(ctx)
		x.running[run.ID] = at
		x.say(run.ID, "begins")
		go func() { x.ends <- x.carryOut(runContext, run, r) }()
	}
}

// passOver reports whether a run is not to be begun, and sees to what is left of it. Only what is stored may be removed, since the keeper
// may be reading it. The keeper shows the end of a single run that is not wanted, for its copy.
func (x *execution) passOver(id string) bool {
	stored, unwanted := x.desk.stored(id), x.skip[id] || x.desk.cancelled(id)
	switch outcome, ok := x.finished(id); {
	case ok && !stored:
		x.ended(id, outcome)
	case x.List.Single && (stored || unwanted):
		x.unstored[id], x.unseen = 0, true
	case stored || unwanted:
		x.progress.settle(id, true)
		x.remove(id)
	default:
		return false
	}
	return true
}

// room reports whether a further run may begin. What waits for the keeper occupies no more than one run may write when a run begins, so
// that a disk which holds one run more than go on at a time holds it too.
func (x *execution) room() bool {
	var waiting int64
	for _, bytes := range x.unstored {
		waiting += bytes
	}
	return len(x.running) < x.parallel && len(x.unstored) < chunk.MostUnstored &&
		(x.Common.Output == 0 || waiting <= x.Common.Output)
}

func lasting(seconds int) time.Duration { return time.Duration(seconds) * time.Second }

// freeSlot is the first that no run has.
func (x *execution) freeSlot() int {
	taken := map[int]bool{}
	for _, r := range x.running {
		taken[r.slot] = true
	}
	slot := 0
	for taken[slot] {
		slot++
	}
	return slot % confine.Slots
}

// finished is the outcome of a run that has ended in a process that was killed before its results were stored.
func (x *execution) finished(id string) (simulation.Outcome, bool) {
	var outcome simulation.Outcome
	text, err := os.ReadFile(filepath.Join(x.Common.Out, id, simulation.OutcomeFile))
	if err != nil || json.Unmarshal(text, &outcome) != nil {
		return simulation.Outcome{}, false
	}
	return outcome, true
}

// look looks at what the keeper wants and has stored.
func (x *execution) look() {
	x.parallel = max(x.parallel, x.desk.lanes())
	for id, r := range x.running {
		if x.desk.cancelled(id) {
			r.cancel(errCancelled)
		}
	}
	maps.DeleteFunc(x.unstored, func(id string, _ int64) bool {
		if !x.desk.stored(id) {
			return false
		}
		if x.List.Single {
			x.copyOutcome(id)
		}
		x.remove(id)
		return true
	})
}

// copyOutcome leaves the outcome of a single run beside its folder.
func (x *execution) copyOutcome(id string) {
	if x.unseen {
		outcome, err := x.desk.outcome(id)
		if err != nil {
			outcome = failed(blame(err, "The stored outcome could not be read"))
		}
		x.outcome = outcome
		x.progress.settle(id, outcome.Succeeded())
	}
	if err := writeJSON(filepath.Join(x.Common.Out, simulation.OutcomeFile), x.outcome); err != nil {
		x.print(id, "the copy of its outcome could not be written: "+err.Error())
	}
}

// remove removes what a run has left in the output folder.
func (x *execution) remove(id string) {
	if err := errors.Join(os.RemoveAll(filepath.Join(x.Common.Out, id)), removeFiles(x.progressOf(id))); err != nil {
		x.print(id, "its folder could not be removed: "+err.Error())
	}
}

func (x *execution) progressOf(id string) string {
	return filepath.Join(x.Common.Out, id+chunk.ProgressSuffix)
}

// end records the end of a run.
func (x *execution) end(e end) {
	x.running[e.run].cancel(nil)
	x.lanes.giveBack(x.running[e.run].lane)
	delete(x.running, e.run)
	if !e.kept {
		x.left++
		x.say(e.run, "is interrupted")
		return
	}
	said := "succeeded"
	if !e.outcome.Succeeded() {
		first, _, _ := strings.Cut(e.outcome.Message, "\n")
		said = string(e.outcome.Reason) + ": " + first
	}
	x.say(e.run, said)
	x.ended(e.run, e.outcome)
}

// ended records that a run waits for the keeper.
func (x *execution) ended(id string, outcome simulation.Outcome) {
	x.progress.settle(id, !x.List.Single || outcome.Succeeded())
	x.unstored[id] = occupied(filepath.Join(x.Common.Out, id))
	if x.List.Single {
		x.outcome = outcome
	}
}

// say writes a line about a run to the console, where its log is not.
func (x *execution) say(id, what string) {
	if !x.List.Single {
		x.print(id, what)
	}
}

// print writes a line about a run to the console.
func (x *execution) print(id, what string) {
	if x.Common.Console != nil {
		_, _ = io.WriteString(x.Common.Console, clean("sumo-run: "+id+" "+what)+"\n")
	}
}

// run is what a run of the list is to do, but for the folder and the slot that it gets.
func (x *execution) run(run chunk.Run) Run {
	r := x.Common
	r.Out = filepath.Join(x.Common.Out, run.ID)
	r.Options, r.Timeout, r.Memory = run.Options, lasting(run.TimeoutSeconds), ForSUMO(run.Memory)
	r.ProgressFile, r.heard = x.progressOf(run.ID), func(n int) { x.progress.set(run.ID, n) }
	r.shared, r.counted = x.library.files(r), &x.counted
	if !x.List.Single {
		r.study, r.brief, r.Console = true, x.brief.Load(), nil
	}
	return r
}

// carryOut carries out one run.
func (x *execution) carryOut(ctx context.Context, run chunk.Run, r Run) end {
	began := time.Now()
	e := end{run: run.ID, kept: true, outcome: x.proofs.carryOut(ctx, r, run.Valid, x.library.open)}
	if ctx.Err() != nil && !errors.Is(context.Cause(ctx), errCancelled) &&
		(e.outcome.Reason == simulation.Interrupted || e.outcome.Reason == simulation.InternalError) {
		switch { // a stop comes with a cancellation, or to a machine that goes down
		case x.desk.cancelled(run.ID):
			e.outcome.Reason, e.outcome.Message = simulation.Cancelled, simulation.Cancelled.Message()
		case !x.List.Single:
			e.kept = false
		}
	}
	if e.kept { // unless nothing shows the keeper that it has ended
		e.outcome, e.kept = r.conclude(e.outcome)
		x.brief.Store(e.outcome.Succeeded() && time.Since(began) < briefRun)
	}
	r.lane.settle(r, e.outcome)
	// What cannot be removed is in nobody's way.
	_ = os.Remove(r.ProgressFile)
	if !e.kept {
		_ = os.RemoveAll(r.Out)
	}
	return e
}

// proofs say for which runs the XML is known to be valid. SUMO validates it against schemas, which takes longer than many a run. A run
// reads what an earlier one has read if it differs only in what is left out here.
type proofs struct {
	mu    sync.Mutex
	valid map[string]bool // false where a run fails unless SUMO validates, and so normalises, its XML
}

func (p *proofs) name(o simulation.Options) string {
	text, _ := json.Marshal([]any{ // strings and finite numbers
		o.ConfigFile, o.Begin, o.End, o.StepLength, o.SUMOOptions, o.Attributes, o.Check,
	})
	return string(text)
}

// carryOut carries out a run, without validation if its XML is known to be valid. If SUMO then complains of what it has read, it goes the
// usual way, in the time that is left: blanks around a number, which validation removes, are a fault without it.
func (p *proofs) carryOut(ctx context.Context, r Run, valid bool, open opener) simulation.Outcome {
	name := p.name(r.Options)
	p.mu.Lock()
	proven, known := p.valid[name]
	p.mu.Unlock()
	r.valid = proven || valid && !known
	began := time.Now()
	outcome, shown := r.carryOut(ctx, open)
	switch {
	case !r.valid && shown == sound && outcome.Succeeded() && !known:
		p.record(name, true)
	case r.valid && shown == doubtful && (outcome.Succeeded() ||
		outcome.Reason == simulation.InvalidScenario || outcome.Reason == simulation.SimulationError):
		r.valid = false
		r.lane.clear()
		if r.Timeout > 0 {
			r.Timeout = max(r.Timeout-time.Since(began), 1) // 0 sets no limit
		}
		if outcome, shown = r.carryOut(ctx, open); shown == sound {
			p.record(name, false)
		}
		outcome.StartedAt = began.UTC()
	}
	return outcome
}

func (p *proofs) record(name string, valid bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.valid == nil {
		p.valid = map[string]bool{}
	}
	if was, known := p.valid[name]; !known || was {
		p.valid[name] = valid
	}
}
