package local

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/google/uuid"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/process"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
)

const (
	// progressEvery is how often the progress of a run is read. It is one small file, and people see no difference
	// below a quarter of a second.
	progressEvery = 250 * time.Millisecond
	// memoryAllowance, in bytes, is added to a job's memory: the limit also counts memory that the C library's allocator
	// reserves and never touches.
	memoryAllowance = 256 << 20
	// While the object store is unreachable we ask again after firstRetry, then ever more rarely up to lastRetry.
	firstRetry = 250 * time.Millisecond
	lastRetry  = 30 * time.Second
)

func (r *run) file(name string) string { return filepath.Join(r.dir, name) }
func (r *run) out(name string) string  { return filepath.Join(r.dir, outFolder, name) }

// Names of the files in a run's folder, beside those in out/.
const (
	recordFile   = "run.json"
	scenarioFile = "scenario.zip"
	workFolder   = "work"
	outFolder    = "out"
	progressFile = "progress"
	messageFile  = "termination-log"
	consoleFile  = "console.log" // the standard error of sumo-run
)

// record is run.json.
type record struct {
	ID        string `json:"id"`
	Namespace string `json:"namespace"`
	// Study and ResultsKey are those of the job; earlier releases wrote neither.
	Study      *job.StudyRun `json:"study,omitempty"`
	ResultsKey string        `json:"results_key,omitempty"`
	// Job is set by an orderly Close, for a run that has not come to its end and shall begin again.
	Job *job.Job `json:"job,omitempty"`
	// Interrupted is true when it had begun.
	Interrupted bool `json:"interrupted,omitempty"`
}

// resume takes up the folders that an earlier engine left.
func (e *Engine) resume() error {
	entries, err := os.ReadDir(e.cfg.Dir)
	if err != nil {
		return fmt.Errorf("reading the folder of runs: %w", err)
	}
	for _, entry := range entries {
		dir := filepath.Join(e.cfg.Dir, entry.Name())
		var rec record
		var outcome simulation.Outcome
		if readJSON(filepath.Join(dir, recordFile), &rec) != nil || rec.ID != entry.Name() {
			// A run whose start was cut short is made anew when the job is started, if it ever is. What has no name of a
			// run was not made by us.
			if uuid.Validate(entry.Name()) == nil {
				if err := removeRun(dir); err != nil {
					return fmt.Errorf("removing a run that never began: %w", err)
				}
			}
			continue
		}
		unfinished := readJSON(filepath.Join(dir, outFolder, simulation.OutcomeFile), &outcome) != nil || outcome.Reason == simulation.Interrupted
		switch {
		case !unfinished:
			r := e.add(job.Job{
				ID: rec.ID, Namespace: rec.Namespace, Study: rec.Study,
				ResultsKey: cmp.Or(rec.ResultsKey, artifact.ResultsOf(rec.Namespace, rec.ID)),
			})
			r.seen.State, r.seen.StartedAt, r.seen.Progress = job.Running, &outcome.StartedAt, r.progress()
			e.work.Go(func() { e.deliver(r, outcome) })
		case rec.Job != nil && rec.Job.ID == rec.ID && e.cfg.has(rec.Job.Options.SumoVersion):
			r := e.add(*rec.Job)
			r.again = rec.Interrupted
			e.enqueue(r)
		default:
			if err := removeRun(dir); err != nil {
				return fmt.Errorf("removing an unfinished run: %w", err)
			}
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.fillSlots()
	return nil
}

// keep leaves r to the next engine, which begins it again. Should that fail, the run counts as lost.
func (e *Engine) keep(r *run) {
	kept := r.job
	kept.TaskToken, kept.ProgressWebhook = "", nil // secrets of the tenant's, of no use to a run
	err := clearRun(r.dir)
	if err == nil {
		err = r.writeJSON(r.file(recordFile), record{ID: r.job.ID, Namespace: r.job.Namespace, Study: r.job.Study, ResultsKey: r.job.ResultsKey, Job: &kept, Interrupted: r.again})
	}
	if err != nil {
		e.log.Warn().Err(err).Str("job", r.job.ID).Msg("run not kept for the next start; it will count as lost")
	}
}

// removeRun removes the folder of a run. The record goes last, so that resume completes a removal that was cut short.
func removeRun(dir string) error {
	if err := clearRun(dir); err != nil {
		return err
	}
	return os.RemoveAll(dir)
}

// clearRun removes all but the record from the folder of a run, where there is one.
func clearRun(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, entry := range entries {
		if entry.Name() != recordFile {
			if err := os.RemoveAll(filepath.Join(dir, entry.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// execute takes one run through its life; it holds a slot until SUMO has ended.
func (e *Engine) execute(r *run) {
	outcome, ended := e.simulate(r)
	e.releaseSlot()
	if ended {
		e.deliver(r, outcome)
		return
	}
	if errors.Is(context.Cause(r.wanted), errClosing) {
		r.again = true
		e.keep(r)
		return
	}
	// Interrupted by others. Without its folder the run is unknown, so it will be started again, and counted as lost.
	if err := removeRun(r.dir); err != nil {
		e.log.Warn().Err(err).Str("job", r.job.ID).Msg("folder of an interrupted run not removed")
	}
	e.drop(r)
}

// simulate returns how the run ended; ended is false when it was interrupted and is to be repeated.
func (e *Engine) simulate(r *run) (outcome simulation.Outcome, ended bool) {
	began := e.now()
	err := e.prepare(r)
	if err == nil {
		outcome, ended, err = e.runProcess(r)
	}
	if err != nil {
		switch cause := context.Cause(r.wanted); {
		case errors.Is(cause, errStopped):
			outcome, ended = e.end(simulation.Cancelled), true
		case cause != nil:
			return simulation.Outcome{}, false
		default:
			e.log.Error().Err(err).Str("job", r.job.ID).Msg("run failed")
			outcome, ended = e.end(simulation.InternalError), true
			detail, refused := refusal(err)
			switch {
			case refused:
				outcome.Message = "The scenario could not be fetched. " + detail
			case errors.Is(err, errNoScenario):
				outcome.Message = simulation.ScenarioGoneMessage
			case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
				outcome = e.end(simulation.DiskFull)
			}
		}
	}
	if !ended {
		return outcome, false
	}
	if outcome.StartedAt.IsZero() {
		outcome.StartedAt = began
	}
	// From here on the run has ended even if we crash: a restart finds this file.
	if err := r.writeJSON(r.out(simulation.OutcomeFile), outcome); err != nil {
		e.log.Error().Err(err).Str("job", r.job.ID).Msg("outcome not recorded")
	}
	for _, name := range []string{workFolder, scenarioFile} {
		if err := os.RemoveAll(r.file(name)); err != nil {
			e.log.Warn().Err(err).Str("job", r.job.ID).Msg("unpacked scenario not removed")
		}
	}
	return outcome, true
}

// end is the outcome of a run that ends now, for a reason that sumo-run has not explained.
func (e *Engine) end(reason simulation.Reason) simulation.Outcome {
	outcome := reason.Unreported()
	outcome.FinishedAt = e.now()
	return outcome
}

// prepare makes the run's folder and fetches its scenario. It waits while the object store is unreachable.
func (e *Engine) prepare(r *run) error {
	if err := removeRun(r.dir); err != nil {
		return fmt.Errorf("clearing the run's folder: %w", err)
	}
	for _, dir := range []string{r.file(outFolder), r.file(workFolder)} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("making the run's folder: %w", err)
		}
	}
	if err := r.writeJSON(r.file(recordFile), record{ID: r.job.ID, Namespace: r.job.Namespace, Study: r.job.Study, ResultsKey: r.job.ResultsKey}); err != nil {
		return err
	}
	return e.persist(r.wanted, r, "The run waits for the object store to hand out its scenario.", func(ctx context.Context) error {
		return e.fetch(ctx, r)
	})
}

func (e *Engine) fetch(ctx context.Context, r *run) error {
	body, err := e.objects.Open(ctx, r.job.ScenarioKey, 0, -1)
	if problem.CodeOf(err) == problem.NotFound {
		return fmt.Errorf("%w: %w", errNoScenario, err)
	}
	if err != nil {
		return fmt.Errorf("opening the scenario: %w", err)
	}
	defer body.Close()
	f, err := os.Create(r.file(scenarioFile))
	if err != nil {
		return fmt.Errorf("making a file for the scenario: %w", err)
	}
	_, err = io.Copy(f, body)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("fetching the scenario: %w", err)
	}
	return nil
}

var errNoScenario = errors.New("the scenario is not in the object store")

// persist repeats try until it succeeds, ctx ends, the fault is incurable, or the store has refused for RefusalPatience. Meanwhile
// the run's message is waiting, followed by the store's reason if it refuses.
func (e *Engine) persist(ctx context.Context, r *run, waiting string, try func(context.Context) error) error {
	var refusedSince time.Time
	for delay := firstRetry; ; delay = min(2*delay, lastRetry) {
		err := try(ctx)
		switch {
		case problem.CodeOf(err) == problem.Unavailable:
			refusedSince = time.Time{}
		case refusedSince.IsZero():
			refusedSince = e.now()
		}
		if err == nil || ctx.Err() != nil || incurable(err) ||
			!refusedSince.IsZero() && e.now().Sub(refusedSince) >= e.cfg.RefusalPatience {
			e.observe(r, func(o *job.Observation) { o.Message = "" })
			return err
		}
		e.log.Warn().Err(err).Str("job", r.job.ID).Dur("retry_in", delay).Msg("object store failed")
		detail, _ := refusal(err)
		e.observe(r, func(o *job.Observation) { o.Message = strings.TrimSpace(waiting + " " + detail) })
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return err
		}
	}
}

// incurable reports whether waiting cannot fix err: the scenario is missing, a file of our own cannot be read or
// written, or an object is larger than the store takes.
func incurable(err error) bool {
	var ours *fs.PathError
	return errors.Is(err, errNoScenario) || errors.As(err, &ours) || problem.CodeOf(err) == problem.TooLarge
}

// refusal returns the store's reason for refusing and who can fix it; false for errors of other kinds.
func refusal(err error) (detail string, refused bool) {
	var p *problem.Error
	if !errors.As(err, &p) || p.Code != problem.StorageRefused && p.Code != problem.TooLarge {
		return "", false
	}
	return p.Detail, true
}

// runProcess runs sumo-run and determines how it ended.
func (e *Engine) runProcess(r *run) (simulation.Outcome, bool, error) {
	p, err := e.startProcess(r)
	if err != nil {
		return simulation.Outcome{}, false, err
	}
	started := e.now()
	e.observe(r, func(o *job.Observation) {
		o.State, o.StartedAt = job.Running, &started
		if r.again {
			o.Message = "The service restarted during the run; the run was started again from the beginning."
		}
	})

	// sumo-run keeps the timeout itself; this is for one that hangs.
	var overdue <-chan time.Time
	if limit := r.timeout(); limit > 0 {
		timer := time.NewTimer(limit + e.cfg.StopGrace)
		defer timer.Stop()
		overdue = timer.C
	}
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	late := false
	for running := true; running; {
		select {
		case <-p.Done():
			running = false
		case <-r.wanted.Done():
			_ = p.Stop(e.hard, e.cfg.StopGrace) // the exit status is read below
			running = false
		case <-overdue:
			late = true
			p.Kill()
		case <-tick.C:
			if now := r.progress(); now > r.seen.Progress { // only this goroutine changes it
				e.observe(r, func(o *job.Observation) { o.Progress = now })
			}
		}
	}
	outcome, ended := e.settle(r, p.Wait(), late)
	if outcome.StartedAt.IsZero() {
		outcome.StartedAt = started
	}
	return outcome, ended, nil
}

func (r *run) timeout() time.Duration { return time.Duration(r.job.TimeoutSeconds) * time.Second }

func (e *Engine) startProcess(r *run) (*process.Process, error) {
	sumo, err := e.cfg.sumo(r.job.Options.SumoVersion)
	if err != nil {
		return nil, err
	}
	options, err := json.Marshal(r.job.Options)
	if err != nil {
		return nil, fmt.Errorf("writing the run's options: %w", err)
	}
	console, err := os.Create(r.file(consoleFile))
	if err != nil {
		return nil, fmt.Errorf("making the run's console log: %w", err)
	}
	defer console.Close()
	cmd := exec.Command(e.cfg.SumoRun,
		"--scenario", r.file(scenarioFile),
		"--work", r.file(workFolder),
		"--out", r.file(outFolder),
		"--options", string(options),
		"--timeout", r.timeout().String(),
		"--progress", r.file(progressFile),
		"--termination-log", r.file(messageFile),
		"--confinement", string(e.cfg.Confinement),
		"--memory", strconv.Itoa(r.job.MemoryGi<<30+memoryAllowance),
		"--output", strconv.FormatInt(e.cfg.MaxOutput, 10),
	)
	cmd.Dir = r.dir
	cmd.Env = slices.Concat([]string{"PATH=" + os.Getenv("PATH")}, sumo, e.cfg.Env)
	cmd.Stderr = console // standard output only repeats log.txt
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
	return env, nil
}

// settle decides how a run has ended, from what sumo-run left and how its process ended.
func (e *Engine) settle(r *run, exit error, late bool) (outcome simulation.Outcome, ended bool) {
	wasStopped := errors.Is(context.Cause(r.wanted), errStopped)
	if err := readJSON(r.out(simulation.OutcomeFile), &outcome); err != nil {
		outcome = e.silentEnd(r, exit, late)
	}
	if outcome.Reason != simulation.Interrupted {
		return outcome, true
	}
	if wasStopped {
		outcome.Reason, outcome.Message = simulation.Cancelled, simulation.Cancelled.Message()
	}
	return outcome, wasStopped
}

// silentEnd is the outcome of a sumo-run that could not write one.
func (e *Engine) silentEnd(r *run, exit error, late bool) simulation.Outcome {
	var code int
	var signal syscall.Signal
	if status := (*exec.ExitError)(nil); errors.As(exit, &status) {
		code = status.ExitCode()
		if ws, ok := status.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
			signal = ws.Signal()
		}
	}
	var outcome simulation.Outcome
	switch {
	case late:
		outcome = e.end(simulation.DeadlineExceeded)
		outcome.Message += fmt.Sprintf(" Its timeout was %s.", time.Duration(r.job.TimeoutSeconds)*time.Second)
	case r.wanted.Err() != nil || signal == syscall.SIGTERM || signal == syscall.SIGINT:
		outcome = e.end(simulation.Interrupted)
	case signal == syscall.SIGKILL:
		// Nothing but the kernel, when memory runs out, kills our runs this way.
		outcome = e.end(simulation.OutOfMemory)
		outcome.Message += fmt.Sprintf(" Its memory_gi was %d.", r.job.MemoryGi)
	default:
		// Code 0 without an outcome is a fault too.
		outcome = e.end(cmp.Or(simulation.ReasonOf(code), simulation.InternalError))
		words, _ := os.ReadFile(r.file(messageFile))
		outcome.Message = outcome.Reason.Explain(string(words))
	}
	e.log.Warn().Str("job", r.job.ID).AnErr("exit", exit).Str("reason", string(outcome.Reason)).
		Bytes("console", tail(r.file(consoleFile))).Msg("run ended without an outcome")
	return outcome
}

// progress is what sumo-run last wrote of it; 0 while there is nothing to read.
func (r *run) progress() float64 {
	text, err := os.ReadFile(r.file(progressFile))
	if err != nil {
		return 0
	}
	return simulation.ParseProgress(string(text))
}

// deliver stores the results of a run that has ended, and then reports its end. When the engine closes first, the next
// one does it.
func (e *Engine) deliver(r *run, outcome simulation.Outcome) {
	stored := map[string]job.ResultFile{}
	// The first try is made for a cancelled job as well: its results are those written so far. Later tries end with the
	// cancellation, so that it never waits for the store.
	uploading := e.alive
	err := e.persist(r.wanted, r, "The run has ended. Its results wait for the object store.", func(ctx context.Context) error {
		err := e.upload(uploading, r, stored)
		uploading = ctx
		return err
	})
	if e.alive.Err() != nil {
		return
	}
	if err != nil {
		e.log.Error().Err(err).Str("job", r.job.ID).Msg("results not stored")
		outcome = r.withoutResults(outcome, err)
	}
	results := make([]job.ResultFile, 0, len(stored))
	for _, file := range stored {
		results = append(results, file)
	}
	slices.SortFunc(results, func(a, b job.ResultFile) int { return strings.Compare(a.Name, b.Name) })
	now := e.now()
	e.mu.Lock()
	defer e.mu.Unlock()
	r.finish(outcome, results)
	r.seen.StoredAt = &now
	e.notify()
}

// withoutResults is the outcome of a run that ended with outcome but whose results could not all be stored because of err. A run
// that failed keeps its reason.
func (r *run) withoutResults(outcome simulation.Outcome, err error) simulation.Outcome {
	var ours *fs.PathError
	switch {
	case errors.Is(context.Cause(r.wanted), errStopped):
		outcome.Reason, outcome.Message = simulation.Cancelled, simulation.CancelledUnstoredMessage
	case errors.As(err, &ours):
		outcome.Reason, outcome.Message = simulation.InternalError, simulation.InternalError.Message()
	default:
		why, _ := refusal(err)
		outcome = outcome.Unstored(why)
	}
	return outcome
}

// upload sends the files of the run's out/ that are not in stored yet, and adds them. If the store becomes unreachable it skips the
// rest and returns that error; a file that the store refuses does not keep the others from being sent.
func (e *Engine) upload(ctx context.Context, r *run, stored map[string]job.ResultFile) error {
	var names []string
	err := filepath.WalkDir(r.file(outFolder), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		name, err := filepath.Rel(r.file(outFolder), path)
		if _, done := stored[name]; !done {
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("listing results: %w", err)
	}
	var (
		mu      sync.Mutex
		outage  error
		refused []error
		work    sync.WaitGroup
	)
	proceed := func() bool {
		mu.Lock()
		defer mu.Unlock()
		return outage == nil && ctx.Err() == nil
	}
	for _, name := range names {
		e.uploads <- struct{}{}
		work.Go(func() {
			defer func() { <-e.uploads }()
			if !proceed() {
				return
			}
			file, err := e.put(ctx, r, name)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				stored[name] = file
			case problem.CodeOf(err) == problem.Unavailable:
				outage = fmt.Errorf("storing %s: %w", name, err)
			default:
				refused = append(refused, fmt.Errorf("storing %s: %w", name, err))
			}
		})
	}
	work.Wait()
	return cmp.Or(outage, errors.Join(refused...), ctx.Err())
}

func (e *Engine) put(ctx context.Context, r *run, name string) (job.ResultFile, error) {
	f, err := os.Open(r.out(name))
	if err != nil {
		return job.ResultFile{}, err
	}
	defer f.Close()
	sum := sha256.New()
	size, err := e.objects.Put(ctx, r.job.ResultsKey+name, io.TeeReader(f, sum), artifact.ContentType(name))
	return job.ResultFile{Name: name, Size: size, SHA256: hex.EncodeToString(sum.Sum(nil))}, err
}

// finish sets the terminal state. The caller holds Engine.mu.
func (r *run) finish(outcome simulation.Outcome, results []job.ResultFile) {
	o := &r.seen
	o.End(outcome)
	if o.StartedAt == nil && !outcome.StartedAt.IsZero() {
		o.StartedAt = &outcome.StartedAt
	}
	o.FinishedAt = &outcome.FinishedAt
	o.Stored(results)
}

func readJSON(path string, v any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, v)
}

// writeJSON replaces the file at path as a whole, or not at all. It is prepared outside of out/, where everything is a
// result.
func (r *run) writeJSON(path string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encoding %s: %w", filepath.Base(path), err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("making the folder of %s: %w", filepath.Base(path), err)
	}
	fresh := r.file("new.json")
	if err := os.WriteFile(fresh, text, 0o600); err != nil {
		return fmt.Errorf("writing %s: %w", filepath.Base(path), err)
	}
	if err := os.Rename(fresh, path); err != nil {
		return fmt.Errorf("replacing %s: %w", filepath.Base(path), err)
	}
	return nil
}

// tail is the end of a file, as much as a log line may carry.
func tail(path string) []byte {
	text, _ := os.ReadFile(path)
	return bytes.TrimSpace(text[max(0, len(text)-1000):])
}
