package local

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

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
