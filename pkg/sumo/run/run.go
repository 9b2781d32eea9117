// Package run runs SUMO on one scenario and judges truthfully how the run ended.
//
// SUMO's exit code does not prove success: it is 0 for an interrupted run, for one abandoned because of teleports, and for
// one whose outputs a full disk cut off. So a run is judged by its exit code, the reason that SUMO gives, its messages and the
// outputs it left (see judge). What SUMO drops or ignores on the way to a good end, as it does at a desk, is a warning.
package run

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/confine"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
)

// DefaultHome is where Debian keeps SUMO's data. Without it, files that declare a schema fail to load with a message
// that looks like a corrupt upload.
const DefaultHome = "/usr/share/sumo"

// stopGrace is how long SUMO may take to close its outputs after a request to stop. It usually needs 40 ms, but it only
// reacts between two steps, and a step of a large city can take seconds. Ten seconds leave most of Kubernetes' usual
// grace period of 30 s to what follows.
const stopGrace = 10 * time.Second

// pipeDelay bounds the wait for output after SUMO's end. Nothing can hold its pipes then, as its whole process group is
// gone; the bound only makes a hang impossible. A busy machine may take seconds to read what is left in them.
const pipeDelay = 30 * time.Second

// ownFolder, inside the output folder, has outputs of the scenario whose names are the run's own.
const ownFolder = "scenario"

// Run is one simulation to carry out.
type Run struct {
	Binary   string // the sumo program: a path, or a name to be found in PATH
	Home     string // SUMO_HOME
	Version  string // of SUMO, such as "1.28"; empty: the program is asked
	Scenario string // the scenario's zip file
	Overlay  string // the file with what a derived scenario has in place of files in the zip; empty for none
	Work     string // a folder for the unpacked scenario; created when missing
	Out      string // the folder for logs, outputs and outcome; created when missing
	Options  simulation.Options
	Limits   scenario.Limits
	// Confinement says whether SUMO may run without a complete wall; empty means confine.Prefer.
	Confinement confine.Mode
	// Timeout is the most wall-clock time for unpacking and simulating; zero sets no limit.
	Timeout time.Duration
	// Memory is how much SUMO may allocate, and Output how much it may write to disk, in bytes; zero sets no limit.
	Memory, Output int64
	// ProgressFile receives "N/1000" as the run goes on, and "1000/1000" only on success. Empty: not written.
	ProgressFile string
	// Python runs the scenario's own programs, and SUMO's tools. Its zero value stands for none.
	Python release.Python
	// Image is noted in the outcome.
	Image string
	// Console receives each line of the log as it is written, and now and then a mark (simulation.LogMark); nil for none.
	Console io.Writer

	// In a chunk:
	shared  string                // where the unpacked scenario is, instead of in Work
	lane    *lane                 // the work folder, which may be laid out already
	valid   bool                  // the XML is known to be valid, so that SUMO need not validate it
	slot    int                   // which of the runs that go on at the same time this is
	study   bool                  // it is a study's: others go on beside it, and it leaves what statistics of the study need
	brief   bool                  // another run of the study has just shown that they are brief
	counted *demandCounts         // what the runs have counted
	heard   func(thousandths int) // hears of the progress too

	setters map[string]*scenario.Setter // by file, of the attributes that a study sets
	// unchanged is whether a file in the run's folder is the scenario's own and no result, where a program could have changed it.
	unchanged func(name string) bool

	recording *recording // nil for none
	states    savedStates

	// For tests: confine.Wall's LandlockABI, how long SUMO may take to stop instead of stopGrace, and what draws the seed of a scenario
	// that wants a random one.
	landlockABI int
	grace       time.Duration
	draw        func() int64
}

// errTimeout is the cause with which a run's context ends when its own timeout expires.
var errTimeout = errors.New("timeout")

// errCancelled is the cause with which a run's context ends when the service no longer wants the run.
var errCancelled = errors.New("cancelled")

// errUnrecorded is why a chunk is to be repeated that has a run whose outcome could not be written.
var errUnrecorded = errors.New("the outcome of a run could not be written")

// errEnough is the cause with which SUMO is stopped when it has simulated enough.
var errEnough = errors.New("enough steps")

// Do carries out the run and leaves its log, its outputs, summary.json and, last of all, outcome.json in r.Out.
// When ctx ends or the timeout expires, SUMO is asked to stop, so that what it has written is kept.
func (r Run) Do(ctx context.Context) simulation.Outcome { return r.perform(ctx, r.unpack) }

// unpacker unpacks a scenario for a version of SUMO into root and returns the configuration to run. It is a parameter because tests of
// how SUMO treats bad scenarios must bypass the check.
type unpacker func(ctx context.Context, root *os.Root, version string) (scenario.Config, error)

// opener opens the unpacked scenario of r, whose folders are prepared.
type opener func(ctx context.Context, r Run) (*os.Root, scenario.Config, error)

// unpacked opens a scenario that is unpacked into the work folder.
func unpacked(unpack unpacker) opener {
	return func(ctx context.Context, r Run) (*os.Root, scenario.Config, error) {
		root, err := os.OpenRoot(r.scenario())
		if err != nil {
			return nil, scenario.Config{}, err
		}
		chosen, err := unpack(ctx, root, r.Version)
		return root, chosen, err
	}
}

func (r Run) perform(ctx context.Context, unpack unpacker) simulation.Outcome {
	outcome, _ := r.carryOut(ctx, unpacked(unpack))
	outcome, _ = r.conclude(outcome)
	return outcome
}

// carryOut is perform without outcome.json.
func (r Run) carryOut(ctx context.Context, open opener) (outcome simulation.Outcome, shown reading) {
	started := time.Now()
	outcome, shown = r.attempt(ctx, started, open)
	if !r.Options.Check {
		if err := writeChecksums(r.Out); err != nil && outcome.Succeeded() {
			outcome.Reason, outcome.Message = blame(err, "The checksums of the results could not be written")
		}
	}
	if outcome = outcome.Bounded(); outcome.Files == nil {
		outcome.Files = map[simulation.Output]string{}
	}
	outcome.Image = r.Image
	outcome.StartedAt, outcome.FinishedAt = started.UTC(), time.Now().UTC()
	return outcome, shown
}

// conclude writes outcome.json, without the summary if that is what cannot be written, and reports whether it is there.
func (r Run) conclude(outcome simulation.Outcome) (_ simulation.Outcome, written bool) {
	name := filepath.Join(r.Out, simulation.OutcomeFile)
	err := writeJSON(name, outcome)
	if err == nil {
		return outcome, true
	}
	if outcome.Succeeded() {
		outcome.Reason, outcome.Message = blame(err, "The outcome could not be written")
	}
	outcome.Summary = nil
	return outcome, writeJSON(name, outcome) == nil
}

// attempt is carryOut without checksums and times.
func (r Run) attempt(ctx context.Context, started time.Time, open opener) (outcome simulation.Outcome, shown reading) {
	// The cause says later whether the timeout or the caller ended the run.
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if r.Timeout > 0 {
		timer := time.AfterFunc(r.Timeout, func() { cancel(errTimeout) })
		defer timer.Stop()
	}
	if err := r.prepareFolders(); err != nil {
		return failed(blame(err, "The run's folders could not be prepared")), unread
	}
	leave, err := r.findName()
	if err != nil {
		return failed(blame(err, "The run's folders could not be prepared")), unread
	}
	defer leave()
	progress, err := openProgress(r.ProgressFile, r.heard)
	if err != nil {
		return failed(blame(err, "The progress file could not be opened")), unread
	}
	defer progress.close()
	log, err := openLogbook(filepath.Join(r.Out, simulation.LogFile), started, r.Console, strings.NewReplacer(
		r.scenario()+"/", "", filepath.Join(r.Work, runFolder)+"/", "",
		filepath.Join(r.Work, copyFolder)+"/", "", r.Out+"/", "", r.Work+"/", ""))
	if err != nil {
		return failed(blame(err, "The log could not be opened")), unread
	}

	outcome, shown = r.simulate(ctx, open, log, progress)
	for _, warning := range outcome.Warnings {
		log.end("sumo-run: warning: " + warning)
	}
	if outcome.Succeeded() {
		log.end("sumo-run: succeeded")
	} else {
		log.end("sumo-run: " + string(outcome.Reason) + ": " + outcome.Message)
	}
	if err := log.close(); err != nil && outcome.Succeeded() {
		outcome.Reason, outcome.Message = blame(err, "The log could not be written")
	}
	if outcome.Succeeded() {
		progress.done()
	}
	return outcome, shown
}

// prepareFolders makes the paths absolute, as SUMO runs in another folder, and clears what an earlier attempt left: a
// pod's volumes outlive its containers.
func (r *Run) prepareFolders() error {
	for _, p := range []*string{&r.Work, &r.Out, &r.Scenario, &r.Overlay} {
		if *p == "" {
			continue
		}
		abs, err := filepath.Abs(*p)
		if err != nil {
			return err
		}
		*p = abs
	}
	for _, name := range []string{r.Scenario, r.Overlay, r.Work} {
		if within, err := filepath.Rel(r.Out, name); name != "" && err == nil && filepath.IsLocal(within) {
			return fmt.Errorf("the output folder %s holds %s: choose another", r.Out, name)
		}
	}
	in := func(name string) string { return filepath.Join(r.Work, name) }
	folders := []string{in(runFolder), in(resultFolder)}
	if r.hasProgram() {
		folders = append(folders, in(homeFolder), in(standInFolder))
	}
	stale := []string{r.Work, r.Out} // in a chunk, a run has them for itself
	switch {
	case r.lane.fits():
		stale, folders = []string{r.Out}, nil
	case r.shared == "":
		folders = append(folders, r.scenario())
		stale = []string{in(copyFolder), in(runFolder), in(resultFolder), in(homeFolder), in(standInFolder), r.scenario()}
	}
	for _, name := range stale {
		if err := os.RemoveAll(name); err != nil {
			return err
		}
	}
	for _, name := range append(folders, r.Out) {
		if err := os.MkdirAll(name, 0o755); err != nil {
			return err
		}
	}
	if r.shared != "" {
		return nil
	}
	return r.clearOutput()
}

// clearOutput removes what an earlier attempt left in the output folder: what it listed in its checksums, or, if it was killed while it
// moved files there, in collectedFile. Other files stay.
func (r Run) clearOutput() error {
	out, err := os.OpenRoot(r.Out)
	if err != nil {
		return err
	}
	defer out.Close()
	stale := slices.Collect(maps.Keys(ours))
	if isOutput(r.Out) {
		sums, err := out.ReadFile(simulation.ChecksumFile)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		stale = slices.AppendSeq(stale, maps.Keys(simulation.ParseChecksums(sums)))
		for _, t := range r.Options.Tables {
			stale = append(stale, t.File())
		}
		if err := out.RemoveAll(simulation.ReplayFolder); err != nil { // of one that was killed
			return err
		}
	}
	collected := filepath.Join(r.Work, collectedFile)
	list, err := os.ReadFile(collected)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if folder, names, _ := strings.Cut(string(list), "\n"); folder == r.Out {
		stale = append(stale, strings.Split(names, "\n")...)
	}
	for _, name := range stale {
		if !filepath.IsLocal(name) {
			continue
		}
		if err := out.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
			return err
		}
		for dir := path.Dir(name); dir != "." && out.Remove(dir) == nil; dir = path.Dir(dir) { // until one that is not empty
		}
	}
	return os.RemoveAll(collected)
}

// isOutput reports whether a folder is that of an earlier attempt: it has a log that begins as ours do. The checksums of another
// folder are its owner's.
func isOutput(folder string) bool {
	log, err := os.Open(filepath.Join(folder, simulation.LogFile))
	if err != nil {
		return false
	}
	defer log.Close()
	first, _ := bufio.NewReader(io.LimitReader(log, int64(simulation.MaxLogStart))).ReadBytes('\n') // a part is no start
	_, ok := simulation.ParseLogStart(first)
	return ok
}

// findName replaces r.Work by a symbolic link to it where SUMO would read its path differently, such as one with a comma. leave
// removes the link.
func (r *Run) findName() (leave func(), err error) {
	if scenario.Expressible(r.Work) {
		return func() {}, nil
	}
	dir, err := os.MkdirTemp("", "sumo-run-")
	if err != nil {
		return nil, err
	}
	name := filepath.Join(dir, "work")
	// 0711, since SUMO may run as another user.
	if err := errors.Join(os.Chmod(dir, 0o711), os.Symlink(r.Work, name)); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	r.Work = name
	return func() { os.RemoveAll(dir) }, nil
}

// simulate unpacks, runs, judges and collects.
func (r Run) simulate(
	ctx context.Context, open opener, log *logbook, progress *progressFile,
) (outcome simulation.Outcome, shown reading) {
	if r.Version == "" {
		version, err := SUMOVersion(ctx, r.Binary)
		if err != nil {
			return failed(blame(err, "SUMO could not be started")), unread
		}
		r.Version = release.Short(version)
	}

	root, chosen, err := open(ctx, r)
	if root != nil {
		defer root.Close()
	}
	if err != nil {
		if ctx.Err() != nil {
			reason, advice := stopped(ctx)
			return failed(reason, "The run was stopped while the scenario was being unpacked. "+advice), unread
		}
		outcome := failed(blame(err, "The scenario could not be unpacked"))
		if p, ok := errors.AsType[*problem.Error](err); ok && r.Options.Check {
			outcome.Problems = p.Items
		}
		return outcome, unread
	}
	if chosen.Random && r.Options.Seed == nil { // a run must be repeatable
		seed := int64(rand.Int32())
		if r.draw != nil {
			seed = r.draw()
		}
		r.Options.Seed = &seed
	}
	if chosen, err = r.adopt(root, chosen); err != nil {
		return failed(blame(err, "The values of the study could not be set")), unread
	}
	settings := settingsOf(chosen)
	settings.version = r.Version
	settings.apply(chosen, r.Options)
	if r.hasProgram() {
		return r.attend(ctx, root, chosen, settings, log, progress), unread // it shows nothing about runs of SUMO alone
	}
	var unmoved []string
	if r.Options.Check {
		settings.enough = checkSteps
		if unmoved, err = r.copyDemand(root, chosen, settings); err != nil {
			return failed(blame(err, "The demand could not be copied")), unread
		}
		var cancel context.CancelFunc
		ctx, cancel, err = boundCheck(ctx, root)
		defer cancel()
		if err != nil {
			return failed(blame(err, "The scenario's size could not be measured")), unread
		}
	}
	r.states = statesOf(chosen)
	args := r.arguments(settings)
	config, err := r.prepare(root, chosen, settings, args)
	if err != nil {
		return failed(blame(err, "The folder of the run could not be prepared")), unread
	}

	if r.recording, err = r.record(ctx, chosen, settings, time.Now()); err != nil {
		return failed(blame(err, "The recording could not be begun")), unread
	}
	defer r.recording.finish("", "") // where it is not reached below

	mon := newMonitor(log, progress, settings)
	mon.recorded = r.recording
	log.line(fmt.Sprintf("sumo-run: configuration %s, seed %d%s", chosen.Path, r.seed(chosen), settings.interval()))
	for _, w := range chosen.Remarks(chosen.Interval(r.Options.Begin, r.Options.End)) {
		log.line("sumo-run: warning: " + w.String())
	}
	if settings.end == nil {
		defer mon.countDemand(ctx, root, settings, r, chosen.Path)()
	}
	cmd, err := r.command(config, args)
	if err != nil {
		return failed(blame(err, "SUMO could not be started")), unread
	}
	fate, err := r.execute(ctx, cmd, mon)
	if err != nil {
		return failed(blame(err, "SUMO could not be started")), unread
	}
	mon.finish()
	fate.strict = r.Options.Strict
	shown = fate.reading()
	if r.Options.Check {
		return fate.checked(ctx, settings, unmoved), shown
	}
	return r.finish(chosen, settings, fate, log), shown
}

// finish keeps, judges and summarises what SUMO has left.
func (r Run) finish(chosen scenario.Config, s settings, f fate, log *logbook) simulation.Outcome {
	left := r.gather("The scenario", s, &f, log)
	f.broken = left.incomplete(r.Out, left.whole)
	reason, message := f.judge()
	if !f.atStart(reason) {
		left.notes = append(left.notes, left.ofReplay...)
	}
	summary, reason, message := r.sumUp(chosen, f, &left, reason, message)
	return simulation.Outcome{
		Reason: reason, Message: message, Summary: summary, Confinement: &f.held, Files: left.files,
		Warnings: slices.Concat(r.unwritten(s), left.notes, f.remarks(s, summary)),
	}
}

// gather moves what a run has left to its results, and ends the recording. who wrote it, for people.
func (r Run) gather(who string, s settings, f *fate, log *logbook) kept {
	left, err := r.collect(s)
	if err != nil {
		log.end("sumo-run: some files that the run wrote are missing from the results: " + err.Error())
		f.writeErr = errors.Join(f.writeErr, err)
	}
	if left.omitted > 0 {
		left.notes = append(left.notes, fmt.Sprintf("%s wrote more than %d files, or files whose names cannot be stored: "+
			"%d are missing from the results.", who, simulation.MaxOwnFiles, left.omitted))
	}
	left.ofReplay = r.finishReplay(s, left.files[simulation.OutputFCD])
	return left
}

// sumUp writes what the run itself says of SUMO's outputs, with notes on what cannot be said. A run that cannot has failed.
func (r Run) sumUp(
	chosen scenario.Config, f fate, left *kept, reason simulation.Reason, message string,
) (*simulation.Summary, simulation.Reason, string) {
	summary, note := r.summarise(chosen, f, left.files)
	if note != "" {
		left.notes = append(left.notes, note)
	}
	if summary != nil {
		summary.Partial = reason != ""
		if warning := r.byClass(chosen, summary, left.files[simulation.OutputTripinfo]); warning != "" && reason == "" {
			left.notes = append(left.notes, warning)
		}
		summary.Metrics = slices.DeleteFunc(summary.Metrics, boundless)
		if err := writeJSON(filepath.Join(r.Out, simulation.SummaryFile), summary); err != nil && reason == "" {
			reason, message = blame(err, "The summary could not be written")
		}
	}
	if name := left.files[simulation.OutputEdgeData]; r.study && reason == "" && name != "" {
		if warning := r.writeEdgeColumns(name); warning != "" {
			left.notes = append(left.notes, warning)
		}
	}
	if reason == "" {
		r.makeTables(left)
	}
	return summary, reason, message
}

// boundless reports whether a metric is no finite number, as the sum of those that a program has written may be.
func boundless(m simulation.Metric) bool { return math.IsNaN(m.Value) || math.IsInf(m.Value, 0) }

// seed is the one with which SUMO runs.
func (r Run) seed(chosen scenario.Config) int64 {
	switch {
	case r.Options.Seed != nil:
		return *r.Options.Seed
	case chosen.Seed != nil:
		return *chosen.Seed
	}
	return simulation.DefaultSeed
}

// unpack checks the scenario again, since the service that accepted it may be another release, and extracts it.
func (r Run) unpack(ctx context.Context, root *os.Root, version string) (scenario.Config, error) {
	zip, size, err := openZip(r.Scenario)
	if err != nil {
		return scenario.Config{}, err
	}
	defer zip.Close()
	content := scenario.Zip(zip, size)
	if r.Overlay != "" {
		overlay, size, err := openZip(r.Overlay)
		if err != nil {
			return scenario.Config{}, err
		}
		defer overlay.Close()
		content = content.Overlaid(overlay, size)
	}
	limits := r.Limits
	limits.SUMOVersion, limits.Config, limits.Program = version, r.Options.ConfigFile, r.hasProgram()
	manifest, err := scenario.Inspect(ctx, content, limits)
	if err != nil {
		return scenario.Config{}, err
	}
	if r.hasProgram() {
		chosen, err := manifest.ProgramConfig(r.Options.ConfigFile)
		if err != nil {
			return scenario.Config{}, err
		}
		return chosen, scenario.Extract(ctx, content, limits, root, nil)
	}
	chosen, err := manifest.ChooseConfig(r.Options.ConfigFile)
	if err != nil {
		return scenario.Config{}, err
	}
	return chosen, scenario.Extract(ctx, content, limits, root, chosen.Reads)
}

func openZip(name string) (*os.File, int64, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// prepare makes the folder in which SUMO runs, requests edgedata, and writes the configuration, whose path in that folder it
// returns.
func (r Run) prepare(root *os.Root, chosen scenario.Config, s settings, args []string) (config string, err error) {
	if r.lane.fits() {
		return r.lane.config, r.writeConfig(chosen, s, args)
	}
	if err := r.copySet(root, chosen); err != nil {
		return "", err
	}
	if err := r.plant(root, chosen, s); err != nil {
		return "", err
	}
	if r.adds(s, simulation.OutputEdgeData) {
		request := edgeDataRequest(filepath.Join(r.Work, s.addedPath(simulation.OutputEdgeData)), s.edgeDataPeriod(), s.validatesAll)
		if err := os.WriteFile(filepath.Join(r.Work, edgeDataFile), request, 0o644); err != nil {
			return "", err
		}
	}
	if err := r.prepareReplay(s); err != nil {
		return "", err
	}
	if err := r.writeConfig(chosen, s, args); err != nil {
		return "", err
	}
	if config, err = r.linkConfig(chosen); err != nil {
		return "", err
	}
	return config, r.lane.laidOut(r, config)
}

// execute runs SUMO to its end. An error means that it could not be started.
func (r Run) execute(ctx context.Context, cmd *exec.Cmd, mon *monitor) (fate, error) {
	stdout, stderr := &splitter{yield: mon.stdout}, &splitter{yield: mon.stderr}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.WaitDelay = pipeDelay

	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	mon.enough = func() { stop(errEnough) }
	began := time.Now()
	start := confine.Start
	if r.lane.fits() {
		start = r.lane.wall.Start
	}
	child, held, err := start(cmd, r.wall(cmd), cmp.Or(r.Confinement, confine.Prefer))
	if err != nil {
		return fate{}, err
	}
	if held == (simulation.Confinement{}) {
		mon.log.line("sumo-run: not confined")
	} else {
		mon.log.line("sumo-run: confined by " + held.String())
	}
	var quota sync.WaitGroup
	quota.Go(func() { r.keepQuota(alone{child}, stop) })
	f := fate{held: held}
	select {
	case <-child.Done():
	case <-ctx.Done():
		if !errors.Is(context.Cause(ctx), errEnough) {
			f.stopBy(ctx)
		}
		// Not ctx, which has ended: SUMO gets its grace period.
		_ = child.Stop(context.WithoutCancel(ctx), cmp.Or(r.grace, stopGrace))
	}
	err = child.Wait()
	f.wall = time.Since(began)
	quota.Wait() // the folders may be another run's next
	stdout.flush()
	stderr.flush()
	if err := f.exited(err); err != nil {
		return fate{}, err
	}
	r.checkQuota(&f)
	f.observed = mon.observed()
	// On a machine with much else to do, SUMO may have to be killed. It has said all that was wanted by then.
	killed := f.signal == syscall.SIGKILL
	if errors.Is(context.Cause(ctx), errEnough) && (killed || f.code == 0 && f.signal == 0 && f.reason == reasonInterrupt) {
		f.signal, f.reason = 0, reasonEnd
	}
	return f, nil
}

// exited records how a process ended, by the error of waiting for it. An error that does not say so is returned.
func (f *fate) exited(err error) error {
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		if errors.Is(err, exec.ErrWaitDelay) {
			return nil
		}
		return err
	}
	if status := exit.Sys().(syscall.WaitStatus); status.Signaled() {
		f.signal = status.Signal()
	} else {
		f.code = status.ExitStatus()
	}
	return nil
}

// stopBy records from ctx why SUMO is or would be asked to stop.
func (f *fate) stopBy(ctx context.Context) { f.stop, f.stopAdvice = stopped(ctx) }

// stopped returns why ctx has ended and what to do about it.
func stopped(ctx context.Context) (reason simulation.Reason, advice string) {
	cause := context.Cause(ctx)
	if large, ok := errors.AsType[outputTooLarge](cause); ok {
		return simulation.OutputTooLarge, large.advice()
	}
	if errors.Is(cause, errTimeout) {
		return simulation.DeadlineExceeded, "Give the job a longer timeout_seconds, or simulate a shorter interval."
	}
	if errors.Is(cause, errCancelled) {
		return simulation.Cancelled, ""
	}
	return simulation.Interrupted, "It can be resubmitted unchanged."
}

func failed(reason simulation.Reason, message string) simulation.Outcome {
	return simulation.Outcome{Reason: reason, Message: message}
}

// blame decides whose fault err is. Its message begins with what.
func blame(err error, what string) (simulation.Reason, string) {
	var p *problem.Error
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EFBIG):
		return simulation.DiskFull, what + ". " + simulation.DiskFullMessage
	case errors.Is(err, confine.ErrUnconfined):
		return simulation.InternalError, fmt.Sprintf("%s: %v. "+
			"The operator's setting CONFINEMENT=prefer allows runs with weaker confinement or none.", what, err)
	case errors.As(err, &p) && p.Code != problem.Internal && p.Code != problem.Unavailable:
		lines := []string{p.Detail}
		for _, item := range p.Items {
			switch {
			case strings.Contains(p.Detail, item.Message): // the detail of a single fault repeats it
			case item.Location == "":
				lines = append(lines, item.Message)
			default:
				lines = append(lines, item.Location+": "+item.Message)
			}
		}
		return simulation.InvalidScenario, strings.Join(lines, "\n")
	default:
		return simulation.InternalError, fmt.Sprintf("%s: %v", what, err)
	}
}

// writeJSON writes v as writeWhole does.
func writeJSON(name string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding %s: %w", filepath.Base(name), err)
	}
	return writeWhole(name, append(data, '\n'))
}

// writeWhole writes a file so that it either does not exist or is complete. At the top of an output folder, simulation.Unfinished has its
// name.
func writeWhole(name string, data []byte) error {
	partial := name + simulation.PartialSuffix
	if err := os.WriteFile(partial, data, 0o644); err != nil {
		_ = os.Remove(partial)
		return err
	}
	return os.Rename(partial, name)
}

// SUMOVersion asks a SUMO program for its version, such as "1.15.0".
func SUMOVersion(ctx context.Context, binary string) (string, error) {
	out, err := exec.CommandContext(ctx, binary, "--version").Output()
	if err != nil {
		return "", fmt.Errorf("asking %s for its version: %w", binary, err)
	}
	first, _, _ := strings.Cut(string(out), "\n")
	version := versionLine.FindStringSubmatch(first)
	if version == nil {
		return "", fmt.Errorf("asking %s for its version: it answered %.80q", binary, first)
	}
	return version[1], nil
}

// versionLine is the first line of SUMO's answer: "Eclipse SUMO sumo Version 1.15.0", and without the word since 1.25. Builds
// from the repository have a version such as v1_18_0+0557-0123abcd.
var versionLine = regexp.MustCompile(`^Eclipse SUMO sumo (?:Version )?(v?\d+[._]\d+\S*)\s*$`)
