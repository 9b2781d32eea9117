package local

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/chunk"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/keeper"
	"github.com/sumo-k8/sumo-k8/pkg/process"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
)

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
