package local

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/chunk"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/keeper"
	"github.com/sumo-k8/sumo-k8/pkg/process"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
)

// progressEvery is how often the progress of runs is read. It is a small file each, and people see no difference
// below a quarter of a second.
const progressEvery = 250 * time.Millisecond

// carryOut has a sumo-run go through the runs of t that are left.
func (e *Engine) carryOut(t *task) {
	if err := e.attempt(t); err != nil && !errors.Is(context.Cause(t.wanted), errClosing) {
		e.fail(t, err)
		e.deliver(t)
	}
	e.goOn(t)
}

// attempt is carryOut as far as it may fail.
func (e *Engine) attempt(t *task) error {
	e.mu.Lock()
	left := t.left()
	e.mu.Unlock()
	if len(left) == 0 {
		return nil
	}
	if err := e.prepare(t); err != nil {
		return err
	}
	t.scenario = e.scenarios.take(left)
	defer e.scenarios.leave(t.scenario)
	if err := e.fetch(t, left[0].job); err != nil {
		return err
	}
	return e.process(t)
}

// goOn gives back the slots of t, and queues it again if runs are left: because their sumo-run was killed before their turn. Otherwise t
// has ended.
func (e *Engine) goOn(t *task) {
	if err := os.RemoveAll(t.file(workFolder)); err != nil {
		e.log.Warn().Err(err).Str("chunk", t.id).Msg("work folder not removed")
	}
	e.mu.Lock()
	if e.alive.Err() != nil {
		e.mu.Unlock()
		e.keep(t)
		return
	}
	defer e.mu.Unlock()
	for _, r := range t.runs {
		if r.cancelled && !r.finished() && !r.lost { // before its turn
			r.end(e.outcome(simulation.Cancelled), nil, e.now())
		}
	}
	if t.ended = len(t.left()) == 0; !t.ended {
		e.queue.add(t)
	}
	e.giveBack(t, 0)
	e.fillSlots()
	e.notify()
}

// prepare makes the folder of t.
func (e *Engine) prepare(t *task) error {
	if !t.made {
		if err := removeTask(t.dir); err != nil {
			return fmt.Errorf("clearing the chunk's folder: %w", err)
		}
		t.made = true
	}
	for _, name := range []string{chunk.ReadyFile, chunk.AliveFile, chunk.LanesFile, chunk.CancelFolder} { // of an earlier sumo-run
		if err := os.RemoveAll(t.desk("", name)); err != nil {
			return fmt.Errorf("clearing the chunk's folder: %w", err)
		}
	}
	for _, name := range []string{outFolder, workFolder, deskFolder} {
		if err := os.MkdirAll(t.file(name), 0o700); err != nil {
			return fmt.Errorf("making the chunk's folder: %w", err)
		}
	}
	return t.writeJSON(recordFile, t.record())
}

// fetch gets the scenario. It waits while the object store is unreachable, and as long as it has refused for RefusalPatience.
func (e *Engine) fetch(t *task, j job.Job) error {
	retries := artifact.Retries{Patience: e.cfg.RefusalPatience, Now: e.now}
	for {
		err := t.scenario.fetch(t.wanted, e.objects, j)
		delay, again := time.Duration(0), false
		if err != nil && t.wanted.Err() == nil && !errors.Is(err, errNoScenario) {
			delay, again = retries.After(err)
		}
		if !again {
			e.wait(t, "")
			return err
		}
		e.log.Warn().Err(err).Str("chunk", t.id).Dur("retry_in", delay).Msg("object store failed")
		detail, _ := artifact.Refusal(err)
		e.wait(t, strings.TrimSpace("The run waits for the object store to hand out its scenario. "+detail))
		select {
		case <-time.After(delay):
		case <-t.wanted.Done():
			return err
		}
	}
}

// wait says why no run of t begins.
func (e *Engine) wait(t *task, message string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if t.message != message {
		t.message = message
		e.notify()
	}
}

// fail ends the runs of t that are left, because of err.
func (e *Engine) fail(t *task, err error) {
	outcome := e.outcome(simulation.InternalError)
	detail, refused := artifact.Refusal(err)
	switch {
	case errors.Is(context.Cause(t.wanted), errStopped):
		outcome = e.outcome(simulation.Cancelled)
	case refused:
		outcome.Message = "The scenario could not be fetched. " + detail
	case errors.Is(err, errNoScenario):
		outcome.Message = simulation.ScenarioGoneMessage
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		outcome = e.outcome(simulation.DiskFull)
	}
	if outcome.Reason != simulation.Cancelled {
		e.log.Error().Err(err).Str("chunk", t.id).Msg("runs failed")
	}
	outcome.StartedAt = outcome.FinishedAt
	for _, r := range t.runs {
		e.mu.Lock()
		open := !r.finished() && !r.lost && !r.simulated
		own := outcome
		if r.cancelled {
			own.Reason, own.Message = simulation.Cancelled, simulation.Cancelled.Message()
		}
		e.mu.Unlock()
		if open {
			e.settle(t, r, own)
		}
	}
}

// settle leaves the outcome of a run whose sumo-run did not. From here on the run has ended even if we crash: a restart finds this file.
func (e *Engine) settle(t *task, r *run, outcome simulation.Outcome) {
	err := t.writeJSON(filepath.Join(outFolder, r.ID, simulation.OutcomeFile), outcome)
	e.mu.Lock()
	defer e.mu.Unlock()
	r.simulated = true
	if err != nil {
		e.log.Error().Err(err).Str("job", r.ID).Msg("outcome not recorded")
		r.end(outcome, nil, time.Time{})
		e.notify()
	}
}

// deliver stores the runs of t that have ended and whose sumo-run is gone. When the engine closes first, the next one does it.
func (e *Engine) deliver(t *task) {
	e.mu.Lock()
	var ended []*run
	for _, r := range t.runs {
		if r.simulated && !r.finished() && !r.lost {
			ended = append(ended, r)
		}
	}
	e.giveBack(t, 0)
	e.mu.Unlock()
	if len(ended) == 0 {
		return
	}
	k := e.keeper(t, t.list(ended))
	k.Close()
	defer e.relay(t, k)()
	e.kept(t, k.Run(e.alive), func(*run) bool { return false })
}

// relay passes cancellations on to a keeper until stop returns. Only one may be at work for t: each value of t.wake reaches one receiver.
func (e *Engine) relay(t *task, k *keeper.Keeper) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() {
		for {
			k.Cancel(e.cancelled(t)...)
			select {
			case <-t.wake:
			case <-ctx.Done():
				return
			}
		}
	})
	return func() {
		cancel()
		work.Wait()
	}
}

// cancelled returns the runs of t that are to be stopped.
func (e *Engine) cancelled(t *task) (ids []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, r := range t.runs {
		if r.cancelled && !r.finished() {
			ids = append(ids, r.ID)
		}
	}
	return ids
}

// slots is how many runs of t may go on at a time.
func (e *Engine) slots(t *task) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return t.slots
}

// keeper returns what stores the runs of a list as they end.
func (e *Engine) keeper(t *task, list chunk.List) *keeper.Keeper {
	return &keeper.Keeper{
		List: list, Objects: results{e, t}, Out: t.file(outFolder), Desk: t.file(deskFolder),
		Report: func(_ context.Context, s chunk.State) error {
			e.report(t, s)
			return nil
		},
		Waiting:       func(id string, waiting bool, why string) { e.waiting(t, id, waiting, why) },
		ProgressEvery: progressEvery, Uploads: e.uploads, Patience: e.cfg.RefusalPatience, Now: e.now,
		Log: e.log.With().Str("chunk", t.id).Logger(),
	}
}

// kept takes note of how a keeper ended. Without it no run of the chunk ends any more: those are lost that have not ended before.
func (e *Engine) kept(t *task, err error, ended func(*run) bool) {
	if err == nil || e.alive.Err() != nil {
		return
	}
	e.log.Error().Err(err).Str("chunk", t.id).Msg("results cannot be kept")
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, r := range t.runs {
		if !ended(r) {
			r.lose()
		}
	}
}

// report takes note of how the runs of t stand.
func (e *Engine) report(t *task, s chunk.State) {
	e.mu.Lock()
	var logs []*run
	for id, state := range s.Runs {
		if r := t.byID[id]; r != nil && !r.finished() && state.Ended() && state.Outcome.Reason != simulation.Interrupted {
			logs = append(logs, r)
		}
	}
	e.mu.Unlock()
	for _, r := range logs {
		e.keepLog(t, r)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	news := false
	for id, state := range s.Runs {
		r := t.byID[id]
		switch {
		case r == nil || r.finished() || r.lost:
		case !state.Ended():
			if r.seen.State == "" {
				t.moved = time.Now()
			}
			news = r.running(state) || news
		case state.Outcome.Reason == simulation.Interrupted: // it has not come to its end
		default:
			r.running(chunk.RunState{StartedAt: state.StartedAt, Progress: state.Progress})
			r.seen.Message = ""
			r.end(*state.Outcome, state.Results, state.StoredAt)
			t.moved = time.Now()
			if !r.Valid && t.scenario != nil && showsValid(*state.Outcome) {
				t.scenario.validated(r.form())
			}
			news = true
		}
	}
	if news {
		e.giveBack(t, t.unfinished())
		e.notify()
	}
}

// waiting takes note that the results of a run wait for the object store, or no longer do.
func (e *Engine) waiting(t *task, id string, waiting bool, why string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r := t.byID[id]
	if r == nil || r.finished() {
		return
	}
	r.waits, r.seen.Message = waiting, ""
	if waiting {
		r.seen.Message = strings.TrimSpace("The run has ended. Its results wait for the object store. " + why)
	}
	e.notify()
}

// results is the object store for the results of one chunk. A run whose first result arrives has ended, and leaves its slot to others while
// the rest is stored. Its recording arrives before.
type results struct {
	*Engine
	task *task
}

func (s results) Put(ctx context.Context, key string, body io.Reader, contentType string) (int64, error) {
	s.simulated(s.task, key)
	return s.objects.Put(ctx, key, body, contentType)
}

// simulated takes note that SUMO has ended the run of t to whose results key belongs.
func (e *Engine) simulated(t *task, key string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	at := slices.IndexFunc(t.runs, func(r *run) bool { return strings.HasPrefix(key, r.Results) })
	if at >= 0 && t.runs[at].Options.Replay != nil && strings.HasPrefix(key, artifact.LiveReplay(t.runs[at].Results)) {
		return
	}
	if at >= 0 && !t.runs[at].simulated {
		t.runs[at].simulated, t.moved = true, time.Now()
		e.giveBack(t, t.unfinished())
	}
}

// process has a sumo-run go through the runs of t that are left, and stores each when it has ended.
func (e *Engine) process(t *task) error {
	e.mu.Lock()
	runs, slots := t.left(), t.slots
	e.mu.Unlock()
	if len(runs) == 0 {
		return nil
	}
	for _, r := range runs {
		r.Valid = t.scenario.isValid(r.form())
		for _, left := range []string{t.out(r, ""), t.progress(r), t.desk(chunk.StoredFolder, r.ID)} { // by an interruption
			if err := os.RemoveAll(left); err != nil {
				return fmt.Errorf("clearing the run's folder: %w", err)
			}
		}
	}
	list := t.list(runs)
	list.Parallel = slots
	if err := t.writeJSON(listFile, list); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	k := e.keeper(t, list)
	kept := make(chan error, 1)
	go func() { kept <- k.Run(ctx) }()
	p, err := e.startProcess(t, runs[0].job)
	if err != nil {
		cancel()
		if err := <-kept; err != nil { // it has nothing to store
			e.log.Debug().Err(err).Str("chunk", t.id).Msg("keeper stopped")
		}
		return err
	}
	w := watch{Engine: e, task: t, process: p, keeper: k, kept: kept}
	w.until(list)
	e.conclude(t, runs, p.Wait(), w.killed)
	// The results of the last runs may still have to be stored, for which no slot is needed.
	e.mu.Lock()
	e.giveBack(t, 0)
	e.mu.Unlock()
	defer context.AfterFunc(e.alive, cancel)()
	stopRelay := e.relay(t, k)
	k.Close()
	if w.kept != nil {
		w.keepErr = <-w.kept
	}
	stopRelay()
	e.kept(t, w.keepErr, func(r *run) bool { return r.simulated })
	e.deliver(t) // what the keeper, which ended before sumo-run or failed, has not stored
	return nil
}

// watch ends a sumo-run when it has to.
type watch struct {
	*Engine
	task    *task
	process *process.Process
	keeper  *keeper.Keeper
	kept    <-chan error // of the keeper; nil once it has ended, with keepErr
	keepErr error
	// killed is why the process was killed although its runs are wanted: DeadlineExceeded, since it did not end in time, or Interrupted, since
	// its keeper has failed; empty if it was not.
	killed simulation.Reason
}

// until returns when sumo-run has ended. It keeps timeouts itself; that of all its runs together is for one that hangs, and begins anew
// with each run that begins or ends.
func (w *watch) until(list chunk.List) {
	var overdue, ungraceful <-chan time.Time
	timer := time.NewTimer(limit(list) + w.cfg.StopGrace)
	defer timer.Stop()
	if limit(list) > 0 {
		overdue = timer.C
	}
	grace := time.NewTimer(w.cfg.StopGrace) // counts once there is something to stop
	defer grace.Stop()
	closing, killed := w.alive.Done(), w.hard.Done()
	var idle <-chan time.Time
	w.keeper.Widen(w.slots(w.task)) // it may have been widened since the list was written
	for {
		select {
		case <-w.process.Done():
			return
		case <-w.task.wake:
			w.keeper.Widen(w.slots(w.task))
			if cancelled := w.cancelled(w.task); len(cancelled) > 0 {
				w.keeper.Cancel(cancelled...)
				grace.Reset(w.cfg.StopGrace)
				ungraceful = grace.C
			}
		case <-ungraceful:
			if closing == nil || w.unstopped() {
				w.process.Kill()
			}
		case <-overdue:
			if rest := w.rest(list); rest > 0 {
				timer.Reset(rest)
				continue
			}
			w.killed = simulation.DeadlineExceeded
			w.process.Kill()
		case w.keepErr = <-w.kept: // all is stored, or nothing can be
			if w.kept = nil; w.keepErr != nil {
				w.killed = simulation.Interrupted
				w.process.Kill()
			}
		case <-closing:
			closing = nil
			_ = w.process.Signal(syscall.SIGTERM)
			grace.Reset(w.cfg.StopGrace)
			ungraceful = grace.C
			ticker := time.NewTicker(100 * time.Millisecond)
			defer ticker.Stop()
			idle = ticker.C
		case <-idle:
			if w.onlyWaits() {
				w.process.Kill()
			}
		case <-killed:
			killed = nil
			w.process.Kill()
		}
	}
}

// rest is how long the runs that are left may take from now on.
func (w *watch) rest(list chunk.List) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	list.Runs = slices.DeleteFunc(slices.Clone(list.Runs), func(r chunk.Run) bool {
		known := w.task.byID[r.ID]
		return known.finished() || known.simulated
	})
	return limit(list) + w.cfg.StopGrace - time.Since(w.task.moved)
}

// unstopped reports whether a run goes on that was cancelled.
func (w *watch) unstopped() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(w.task.runs, func(r *run) bool { return r.cancelled && !r.finished() && !r.simulated })
}

// onlyWaits reports whether nothing goes on but waiting for an object store that fails. The next engine stores what has ended.
func (w *watch) onlyWaits() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	waits := false
	for _, r := range w.task.runs {
		if r.finished() || r.lost { // a sumo-run that was killed may have left its progress
			continue
		}
		if _, err := os.Stat(w.task.progress(r)); err == nil {
			return false
		}
		waits = waits || r.waits
	}
	return waits
}

func (e *Engine) startProcess(t *task, j job.Job) (*process.Process, error) {
	sumo, err := e.cfg.sumo(j.Options.SumoVersion)
	if err != nil {
		return nil, err
	}
	console, err := os.Create(t.file(consoleFile))
	if err != nil {
		return nil, fmt.Errorf("making the console log: %w", err)
	}
	defer console.Close()
	args := []string{
		"--runs", t.file(listFile),
		"--scenario", t.scenario.file(scenarioFile),
		"--unpacked", t.scenario.file(unpackedFolder),
		"--work", t.file(workFolder),
		"--out", t.file(outFolder),
		"--desk", t.file(deskFolder),
		"--termination-log", t.file(messageFile),
		"--confinement", string(e.cfg.Confinement),
		"--output", strconv.FormatInt(e.cfg.MaxOutput, 10),
	}
	if j.OverlayKey != "" {
		args = append(args, "--overlay", t.scenario.file(overlayFile))
	}
	cmd := exec.Command(e.cfg.SumoRun, args...)
	cmd.Dir = t.dir
	cmd.Env = slices.Concat([]string{"PATH=" + os.Getenv("PATH")}, sumo, e.cfg.Env)
	cmd.Stderr = console // standard output only repeats logs
	return process.Start(cmd, process.Options{})
}

// has reports whether runs can start with a version. A run that waited for one that was removed meanwhile counts as lost, so that it is
// started with another.
func (c Config) has(version string) bool {
	_, err := c.sumo(version)
	return err == nil
}

// sumo leads sumo-run to a version of SUMO, by its environment. Jobs of earlier releases name none.
func (c Config) sumo(version string) (env []string, err error) {
	if version == "" {
		return nil, nil
	}
	i := slices.IndexFunc(c.Installations, func(at release.Installation) bool { return at.Version == version })
	if i < 0 {
		return nil, fmt.Errorf("SUMO %s is not installed on this machine", version)
	}
	at := c.Installations[i]
	env = []string{"SUMO_VERSION=" + at.Version}
	if at.Binary != "" {
		env = append(env, "SUMO_BINARY="+at.Binary, "SUMO_HOME="+at.Home)
	}
	if python, ok := c.Python[version]; ok {
		env = append(env, "SUMO_PYTHON="+python.Interpreter, "SUMO_PYTHONPATH="+strings.Join(python.Path, string(filepath.ListSeparator)))
	}
	return env, nil
}

// trace is what a sumo-run that has ended left of a run.
type trace struct {
	outcome simulation.Outcome
	begun   bool // it left a folder
	judged  bool // it left an outcome
}

// ended reports whether the run came to its end.
func (was trace) ended() bool { return was.judged && was.outcome.Reason != simulation.Interrupted }

// traces reads what is left of runs. nothing says that sumo-run did not even come to the first one.
func (e *Engine) traces(t *task, runs []*run) (traces []trace, nothing bool) {
	traces, nothing = make([]trace, len(runs)), true
	for i, r := range runs {
		was := &traces[i]
		_, err := os.Stat(t.out(r, ""))
		was.begun = err == nil
		was.judged = readJSON(t.out(r, simulation.OutcomeFile), &was.outcome) == nil
		e.mu.Lock()
		nothing = nothing && !was.begun && !r.finished()
		e.mu.Unlock()
	}
	return traces, nothing
}

// conclude decides what became of the runs that a sumo-run which has ended did not bring to their end. killed is watch.killed.
func (e *Engine) conclude(t *task, runs []*run, exit error, killed simulation.Reason) {
	closing := e.alive.Err() != nil
	traces, nothing := e.traces(t, runs)
	for i, r := range runs {
		was := traces[i]
		e.mu.Lock()
		finished, cancelled := r.finished(), r.cancelled
		r.simulated = was.ended()
		e.mu.Unlock()
		switch {
		case finished, was.ended(): // the keeper has it
		case cancelled && was.begun:
			e.settle(t, r, e.cancelledOutcome(was))
		case cancelled, closing:
		case killed == simulation.DeadlineExceeded && (t.single || was.begun && e.overdue(r)):
			e.settle(t, r, e.overdueOutcome(r))
		case killed == "" && (t.single || nothing):
			outcome := e.silentEnd(t, r, exit)
			// Where none of several runs has begun, no run has taken the memory.
			if outcome.Reason == simulation.Interrupted || outcome.Reason == simulation.OutOfMemory && !t.single {
				e.loseRun(r)
				continue
			}
			e.settle(t, r, outcome)
		case was.begun, t.single, nothing:
			e.log.Warn().Str("chunk", t.id).Str("job", r.ID).AnErr("exit", exit).Bytes("console", tail(t.file(consoleFile))).Msg("run lost")
			e.loseRun(r)
		}
	}
}

// cancelledOutcome is that of a run which was stopped, with what sumo-run said of it.
func (e *Engine) cancelledOutcome(was trace) simulation.Outcome {
	if !was.judged {
		return e.outcome(simulation.Cancelled)
	}
	outcome := was.outcome
	outcome.Reason, outcome.Message = simulation.Cancelled, simulation.Cancelled.Message()
	return outcome
}

// overdueOutcome is that of a run whose sumo-run was killed since it did not end in time.
func (e *Engine) overdueOutcome(r *run) simulation.Outcome {
	outcome := e.outcome(simulation.DeadlineExceeded)
	outcome.Message += fmt.Sprintf(" Its timeout was %s.", time.Duration(r.TimeoutSeconds)*time.Second)
	return outcome
}

// overdue reports whether r, which goes on, has reached its timeout.
func (e *Engine) overdue(r *run) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	began := r.seen.StartedAt
	return began != nil && e.now().Sub(*began) >= time.Duration(r.TimeoutSeconds)*time.Second
}

func (e *Engine) loseRun(r *run) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r.lose()
}

// silentEnd is the outcome of a run when its sumo-run could not write one.
func (e *Engine) silentEnd(t *task, r *run, exit error) simulation.Outcome {
	var code int
	var signal syscall.Signal
	if status := (*exec.ExitError)(nil); errors.As(exit, &status) {
		code = status.ExitCode()
		if ws, ok := status.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
			signal = ws.Signal()
		}
	}
	var outcome simulation.Outcome
	switch signal {
	case syscall.SIGTERM, syscall.SIGINT:
		outcome = e.outcome(simulation.Interrupted)
	case syscall.SIGKILL:
		// Nothing but the kernel, when memory runs out, kills our runs this way: those that we kill do not come here.
		outcome = e.outcome(simulation.OutOfMemory)
		outcome.Message += fmt.Sprintf(" Its memory_gi was %d.", (r.Memory-memoryAllowance)>>30)
	default:
		// Code 0 without an outcome is a fault too.
		outcome = e.outcome(cmp.Or(simulation.ReasonOf(code), simulation.InternalError))
		words, _ := os.ReadFile(t.file(messageFile))
		outcome.Message = outcome.Reason.Explain(string(words))
	}
	e.mu.Lock()
	if began := r.seen.StartedAt; began != nil {
		outcome.StartedAt = *began
	}
	e.mu.Unlock()
	outcome.StartedAt = cmp.Or(outcome.StartedAt, outcome.FinishedAt)
	e.log.Warn().Str("job", r.ID).AnErr("exit", exit).Str("reason", string(outcome.Reason)).
		Bytes("console", tail(t.file(consoleFile))).Msg("run ended without an outcome")
	return outcome
}

// tail is the end of a file, as much as a log line may carry.
func tail(path string) []byte {
	text, _ := os.ReadFile(path)
	return bytes.TrimSpace(text[max(0, len(text)-1000):])
}
