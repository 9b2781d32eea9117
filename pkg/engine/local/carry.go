package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/chunk"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/keeper"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
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
