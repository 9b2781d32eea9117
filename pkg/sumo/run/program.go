package run

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/confine"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/program"
)

// Names inside the work folder of a run with a program.
const (
	homeFolder    = "home" // the program's own: temporary files and caches, which are no results
	standInFolder = "sumo" // stands for SUMO's folder: see package program
)

// Names of a program's files.
const (
	outFolder   = "out"         // {out}, beside the program
	cacheFolder = "__pycache__" // never a result
)

// maxProcesses is how many processes a program and what it has started may be: more than one for each core of a large machine.
const maxProcesses = 256

// hasProgram reports whether a program of the scenario or one of SUMO's tools runs, and not SUMO alone.
func (r Run) hasProgram() bool { return r.Options.Controller != nil || r.Options.Tool != nil }

// attend runs a program on its own copy of the scenario, judges how it ended, and collects what it has made.
func (r Run) attend(
	ctx context.Context, root *os.Root, chosen scenario.Config, s settings, log *logbook, progress *progressFile,
) simulation.Outcome {
	called, err := r.programOf(root, chosen)
	if err != nil {
		return failed(blame(err, "The program could not be started"))
	}
	chosen.Rewrites = nil // it runs as at a desk, where outputs keep their names
	if err := r.copySet(root, chosen); err != nil {
		return failed(blame(err, "The values of the study could not be set"))
	}
	planted, err := r.plantCopies(root, called.folder)
	if err != nil {
		return failed(blame(err, "The scenario could not be copied"))
	}
	s.own, s.prefix, s.suffix, s.format = nil, "", "", "" // the program decides; see program.Report
	if err := r.prepareReplay(s); err != nil {
		return failed(blame(err, "The recording could not be begun"))
	}
	if r.recording, err = r.record(ctx, chosen, s, time.Now()); err != nil {
		return failed(blame(err, "The recording could not be begun"))
	}
	defer r.recording.finish("", "") // where it is not reached below
	w, err := r.watch(log, progress, s, called)
	if err != nil {
		return failed(blame(err, "The program could not be started"))
	}
	defer w.close()
	cmd, err := r.programCommand(s, called, w)
	if err != nil {
		return failed(blame(err, "The program could not be started"))
	}
	log.line("sumo-run: " + called.title)
	if s.end == nil && chosen.Path != "" {
		defer w.mon.countDemand(ctx, root, s, r, chosen.Path)()
	}
	f, err := r.executeProgram(ctx, cmd, called, w)
	if errors.Is(err, confine.ErrUnconfined) {
		return failed(simulation.ConfinementUnavailable, "Programs run only where they can be confined: "+err.Error()+".")
	}
	if err != nil {
		return failed(blame(err, "The program could not be started"))
	}
	r.unchanged = planted.unchanged
	return r.finishProgram(chosen, s, f, called, log)
}

// calling is how a program is called.
type calling struct {
	title  string   // for the log
	folder string   // in which it runs, by its path inside the scenario
	path   string   // of the file that starts
	args   []string // with the file of the program
	// traci says that it speaks to a SUMO that runs beside it, libsumo that SUMO is in its own process; neither holds for a tool.
	traci, libsumo bool
	tool           string
	iterations     int // of duaIterate
}

// programOf says how the program of the run is called.
func (r Run) programOf(root *os.Root, chosen scenario.Config) (calling, error) {
	if r.Python.Interpreter == "" {
		return calling{}, problem.New(problem.ScenarioInvalid, "Programs need Python, and none is installed here for SUMO %s.", r.Version)
	}
	if t := r.Options.Tool; t != nil {
		args := simulation.Expand(t.Args, r.seed(chosen), r.programOut("."), chosen.Path)
		c := calling{title: "tool " + t.Name, folder: ".", tool: t.Name}
		script, err := toolFile(r.Home, t.Name)
		if err != nil {
			return calling{}, err
		}
		if strings.HasSuffix(script, ".py") {
			c.path, c.args = r.Python.Interpreter, append([]string{script}, args...)
		} else {
			c.path, c.args = script, args
		}
		c.iterations = iterationsOf(t.Name, args)
		return c, nil
	}
	c := r.Options.Controller
	if c.Interface == simulation.Libsumo && !hasLibsumo(r.Python.Path) {
		return calling{}, problem.New(problem.ScenarioInvalid, "There is no libsumo for SUMO %s here: "+
			"choose the interface traci, or another version.", r.Version)
	}
	file := path.Clean(c.File)
	if info, err := root.Stat(file); err != nil || !info.Mode().IsRegular() {
		return calling{}, problem.New(problem.ScenarioInvalid, "The scenario has no program %s.", c.File)
	}
	folder := path.Dir(file)
	config := ""
	if chosen.Path != "" {
		rel, err := filepath.Rel(folder, chosen.Path)
		if err != nil {
			return calling{}, err
		}
		config = rel
	}
	args := simulation.Expand(c.Args, r.seed(chosen), r.programOut(folder), config)
	return calling{
		title: fmt.Sprintf("program %s, interface %s, seed %d", file, c.Interface, r.seed(chosen)), folder: folder,
		path: r.Python.Interpreter, args: append([]string{path.Base(file)}, args...),
		traci: c.Interface == simulation.TraCI, libsumo: c.Interface == simulation.Libsumo,
	}, nil
}

// hasLibsumo reports whether Python finds libsumo in one of the folders.
func hasLibsumo(search []string) bool {
	return slices.ContainsFunc(search, func(folder string) bool {
		_, err := os.Stat(filepath.Join(folder, "libsumo", "__init__.py"))
		return err == nil
	})
}

// programOut is the folder beside the program that {out} stands for.
func (r Run) programOut(folder string) string {
	return filepath.Join(r.Work, runFolder, folder, outFolder)
}

// planting is the copy of a scenario as a program finds it.
type planting struct {
	run    Run
	root   *os.Root
	copied map[string]fs.FileInfo
}

// plantCopies copies all files of the scenario into the folder in which the program runs, which may change them.
func (r Run) plantCopies(root *os.Root, folder string) (*planting, error) {
	run, err := os.OpenRoot(filepath.Join(r.Work, runFolder))
	if err != nil {
		return nil, err
	}
	defer run.Close()
	p := &planting{r, root, map[string]fs.FileInfo{}}
	if err := mirror(root, run, func(name string) error { return p.plant(run, name) }); err != nil {
		return nil, err
	}
	out := path.Join(folder, outFolder)
	if info, err := run.Stat(out); err == nil && !info.IsDir() {
		return nil, problem.New(problem.ScenarioInvalid, "The scenario has a file %s, "+
			"where the folder of the program's results is: rename it.", out)
	}
	return p, run.MkdirAll(out, 0o755)
}

func (p *planting) plant(run *os.Root, name string) error {
	in, err := p.original(name)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := run.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	// The program may run as another user, who can reach nothing else here.
	if err := errors.Join(err, out.Chmod(0o666), out.Close()); err != nil {
		return fmt.Errorf("copying %s: %w", name, err)
	}
	p.copied[name], err = run.Stat(name)
	return err
}

// original opens what a file of the scenario was before the program ran.
func (p *planting) original(name string) (*os.File, error) {
	own, err := os.Open(p.run.copyOf(name))
	if err == nil {
		return own, nil
	}
	return p.root.Open(name)
}

// unchanged reports whether a file in the folder of the run is as it was before the program ran, or is a cache.
func (p *planting) unchanged(name string) bool {
	if slices.Contains(strings.Split(name, "/"), cacheFolder) {
		return true
	}
	was := p.copied[name]
	if was == nil {
		return false
	}
	run, err := os.OpenRoot(filepath.Join(p.run.Work, runFolder))
	if err != nil {
		return false
	}
	defer run.Close()
	now, err := run.Stat(name)
	if err != nil || now.Size() != was.Size() {
		return false
	}
	if now.ModTime().Equal(was.ModTime()) && os.SameFile(now, was) {
		return true
	}
	return p.sameContent(run, name)
}

func (p *planting) sameContent(run *os.Root, name string) bool {
	a, err := p.original(name)
	if err != nil {
		return false
	}
	defer a.Close()
	b, err := run.Open(name)
	if err != nil {
		return false
	}
	defer b.Close()
	return sameBytes(a, b)
}

// sameBytes reports whether two readers have the same content.
func sameBytes(a, b io.Reader) bool {
	x, y := make([]byte, copyBuffer), make([]byte, copyBuffer)
	for {
		n, errA := io.ReadFull(a, x)
		m, errB := io.ReadFull(b, y)
		switch {
		case !bytes.Equal(x[:n], y[:m]):
			return false
		case errA != nil || errB != nil:
			return errA != nil && errB != nil && errors.Is(errA, errB)
		}
	}
}

// programCommand prepares what the program finds, and calls it.
func (r Run) programCommand(s settings, called calling, w *watching) (*exec.Cmd, error) {
	home := filepath.Join(r.Work, homeFolder)
	sumoHome, search := r.Home, r.Python.Path
	bin := filepath.Join(r.Home, "bin")
	if called.tool == "" {
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		for _, o := range r.added(s) { // SUMO has them made anew with each start
			if err := os.MkdirAll(filepath.Join(r.Work, resultFolder, string(o)), 0o755); err != nil {
				return nil, err
			}
		}
		if r.adds(s, simulation.OutputEdgeData) {
			request := edgeDataRequest(filepath.Join(r.Work, s.addedPath(simulation.OutputEdgeData)), s.edgeDataPeriod(), s.validatesAll)
			if err := os.WriteFile(filepath.Join(r.Work, edgeDataFile), request, 0o644); err != nil {
				return nil, err
			}
		}
		standIn, err := program.Install(filepath.Join(r.Work, standInFolder), self, r.Python.Interpreter, r.rules(s, w))
		if err != nil {
			return nil, err
		}
		sumoHome, bin = string(standIn), standIn.Bin()
		search = append([]string{standIn.Python()}, search...)
	}
	cmd := exec.Command(called.path, called.args...)
	cmd.Dir = filepath.Join(r.Work, runFolder, called.folder)
	cmd.Stdout, cmd.Stderr = w.out.write, w.err.write
	cmd.WaitDelay = pipeDelay
	cmd.Env = []string{
		"PATH=" + bin, "PYTHONPATH=" + strings.Join(search, ":"), "SUMO_HOME=" + sumoHome, "HOME=" + home, "TMPDIR=" + home,
		"LC_ALL=C.UTF-8", "PYTHONUNBUFFERED=1", "PYTHONDONTWRITEBYTECODE=1", "OMP_NUM_THREADS=1", "OPENBLAS_NUM_THREADS=1",
	}
	if binary, err := r.binary(); err == nil {
		// The dynamic loader finds the libraries beside SUMO by /proc/self/exe, which in a mount namespace names the interpreter.
		if own := filepath.Clean(ownLibraries(binary)); isFolder(own) {
			cmd.Env = append(cmd.Env, "LD_LIBRARY_PATH="+own)
		}
	}
	if called.libsumo {
		cmd.Env = append(cmd.Env, "LIBSUMO_AS_TRACI=1")
	}
	return cmd, nil
}

func isFolder(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}

// rules are what the run asks of each SUMO that the program starts: as of one that runs alone, but for what only that needs.
func (r Run) rules(s settings, w *watching) program.Rules {
	results := filepath.Join(r.Work, resultFolder)
	rules := program.Rules{
		Home: r.Home, Environment: r.buffering(), Results: results, Log: w.streams(),
		Folders: r.programFolders(),
	}
	if r.records(s) {
		asked := r.replayAsked()
		rules.Replay = &asked
	}
	outputs := map[string]bool{}
	for _, o := range r.added(s) {
		a := program.Addition{Output: o, Option: ownOption(o), File: o.File(), CSV: csvName(o)}
		if o == simulation.OutputEdgeData {
			a.Option, rules.EdgeData = "", filepath.Join(r.Work, edgeDataFile)
		}
		outputs[ownOption(o)] = true
		rules.Add = append(rules.Add, a)
	}
	for _, arg := range r.arguments(s) {
		option := strings.TrimPrefix(arg, "--")
		switch name, _, _ := strings.Cut(option, "="); {
		case name == "remote-port", outputs[name]:
		case strings.Contains(name, "step-log"), strings.HasPrefix(name, "duration-log"), strings.HasPrefix(name, "log."), name == "no-warnings",
			name == "verbose":
			rules.Shown = append(rules.Shown, option)
		default:
			rules.Set = append(rules.Set, option)
		}
	}
	for name, value := range r.Options.SUMOOptions {
		rules.Set = append(rules.Set, name+"="+value)
		rules.Requested = append(rules.Requested, name)
	}
	slices.Sort(rules.Set)
	for name, given := range map[string]bool{
		"seed": r.Options.Seed != nil, "begin": r.Options.Begin != nil, "end": r.Options.End != nil,
		"step-length": r.Options.StepLength != nil, "scale": r.Options.Scale != nil,
	} {
		if given {
			rules.Requested = append(rules.Requested, name)
		}
	}
	return rules
}

// programFolders are those in which the program may write, also as it sees them where r.Work is a link.
func (r Run) programFolders() []string {
	var folders []string
	for _, name := range r.writable() {
		folder := filepath.Join(r.Work, name)
		folders = append(folders, folder)
		if resolved, err := filepath.EvalSymlinks(folder); err == nil && resolved != folder {
			folders = append(folders, resolved)
		}
	}
	return folders
}

// programWall is what the program and all that it starts may reach.
func (r Run) programWall(cmd *exec.Cmd, called calling) confine.Wall {
	w := r.wall(cmd)
	w.Profile, w.Program, w.Loopback = confine.Program, cmd.Path, called.traci
	w.Limits.Memory, w.Limits.Processes = r.Memory, maxProcesses
	w.Read = append(w.Read, filepath.Join(r.Work, standInFolder), "/usr/share/zoneinfo", "/etc/localtime")
	w.Read = append(w.Read, r.Python.Path...)
	if self, err := os.Executable(); err == nil {
		w.Read = append(w.Read, self)
	}
	interpreter := r.Python.Interpreter
	w.Read = append(w.Read, interpreter)
	if resolved, err := filepath.EvalSymlinks(interpreter); err == nil {
		w.Program = resolved
		prefix := filepath.Join(filepath.Dir(resolved), "..")
		w.Read = append(w.Read, resolved, filepath.Join(prefix, "lib"), filepath.Join(prefix, "lib64"))
	}
	return w
}

// executeProgram runs the program to its end. An error means that it could not be started.
func (r Run) executeProgram(ctx context.Context, cmd *exec.Cmd, called calling, w *watching) (fate, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	began := time.Now()
	tree, held, err := confine.StartTree(cmd, r.programWall(cmd, called))
	w.started()
	if err != nil {
		return fate{}, err
	}
	w.log.line("sumo-run: confined by " + held.String())
	var quota sync.WaitGroup
	quota.Go(func() { r.keepQuota(tree, stop) })
	f := fate{held: held, strict: r.Options.Strict}
	select {
	case <-tree.Done():
	case <-ctx.Done():
		f.stopBy(ctx)
		// Not ctx, which has ended: the program gets its grace period.
		_ = tree.Stop(context.WithoutCancel(ctx), cmp.Or(r.grace, stopGrace))
	}
	err = tree.Wait()
	f.wall = time.Since(began)
	quota.Wait() // the folders may be another run's next
	w.finish()
	f.broke = errors.Join(only(err, confine.ErrMemory), only(err, confine.ErrProcesses))
	if err := f.exited(err); err != nil && f.broke == nil {
		return fate{}, err
	}
	r.checkQuota(&f)
	f.observed, f.words = w.mon.observed(), w.lastWords()
	return f, nil
}

// only is target if err wraps it.
func only(err, target error) error {
	if errors.Is(err, target) {
		return target
	}
	return nil
}

// finishProgram keeps, judges and summarises what the program has left.
func (r Run) finishProgram(chosen scenario.Config, s settings, f fate, called calling, log *logbook) simulation.Outcome {
	r.readReport(&s)
	tool := r.Options.Tool
	if tool != nil && tool.KeepAs != "" && f.code == 0 && f.signal == 0 && f.stop == "" {
		f.writeErr = r.keepWhole()
		if large, ok := errors.AsType[outputTooLarge](f.writeErr); ok {
			f.exceeded(large)
			f.writeErr = nil
		}
	}
	left := r.gather("The program", s, &f, log)
	f.broken = left.incomplete(r.Out, slices.Sorted(maps.Values(left.files))) // other files are the program's matter
	reason, message := f.judgeProgram()
	if !f.atStart(reason) {
		left.notes = append(left.notes, left.ofReplay...)
	}
	if len(f.broken) > 0 && reason == "" {
		left.notes = append(left.notes, "These outputs are cut off, since the program ended before it closed SUMO: "+
			strings.Join(f.broken, ", ")+".")
	}
	summary, reason, message := r.sumUp(chosen, f, &left, reason, message)
	if called.tool == duaIterate {
		if err := r.writeConvergence(); err != nil && reason == "" {
			reason, message = blame(err, "The convergence could not be written")
		}
	}
	if reason != "" {
		_ = removeFiles(filepath.Join(r.Out, simulation.KeptFile)) // it counts only of a run that succeeded
	}
	return simulation.Outcome{
		Reason: reason, Message: message, Summary: summary, Confinement: &f.held, Files: left.files,
		Warnings: append(left.notes, f.remarks(s, summary)...),
	}
}

// readReport sets what the newest SUMO with added outputs has by the program's own choice: outputs, by path inside the scenario, the format
// of all, and why it is not recorded.
func (r Run) readReport(s *settings) {
	results, err := os.OpenRoot(filepath.Join(r.Work, resultFolder))
	if err != nil {
		return
	}
	defer results.Close()
	report := program.ReadReport(results)
	own := map[simulation.Output]string{}
	for role, name := range report.Own {
		for _, folder := range r.programFolders() {
			rel, err := filepath.Rel(folder, name)
			known := slices.Contains(simulation.KnownOutputs(), role)
			if err == nil && filepath.IsLocal(rel) && known && filepath.Base(folder) == runFolder {
				own[role] = filepath.ToSlash(rel)
			}
		}
	}
	if !slices.Contains([]string{"", "xml", "csv", "parquet"}, report.Format) {
		report.Format = ""
	}
	s.own, s.format, s.unrecorded = own, report.Format, report.Unrecorded
}

// judgeProgram is judge for a run with a program.
func (f fate) judgeProgram() (simulation.Reason, string) {
	text := strings.Join(append(slices.Clone(f.errors), f.words...), "\n")
	mentions := func(parts ...string) bool {
		return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(text, part) })
	}
	ended := f.code == 0 && f.signal == 0 && f.broke == nil
	switch {
	case f.stop == simulation.OutputTooLarge, f.stop != "" && !ended:
		return f.stop, f.stopMessage()
	case errors.Is(f.broke, confine.ErrProcesses):
		return simulation.ControllerError, fmt.Sprintf("The program started more than %d processes.", maxProcesses)
	case errors.Is(f.broke, confine.ErrMemory), f.signal == syscall.SIGKILL,
		!ended && mentions("MemoryError", "bad_alloc", "Cannot allocate memory"):
		return simulation.OutOfMemory, "The program and SUMO ran out of memory. " +
			"Give the job more memory_gi, or make the scenario smaller." + f.where()
	case !ended && mentions("No space left on device", "Disk quota exceeded"):
		return simulation.DiskFull, simulation.DiskFullMessage + f.where()
	case f.signal == syscall.SIGXFSZ, !ended && mentions("File too large"):
		return simulation.OutputTooLarge, "A file grew larger than it may be. Write less, or to several files." + f.where()
	case slices.Contains(interrupts, f.signal):
		return simulation.Interrupted, "The machine interrupted the program." + f.where() + resubmittable
	case f.signal != 0:
		return simulation.ControllerError, fmt.Sprintf("The program crashed (%v).%s", f.signal, f.wordsOf())
	case f.code != 0:
		return simulation.ControllerError, fmt.Sprintf("The program ended with exit code %d.%s", f.code, f.wordsOf())
	case len(f.broken) > 0 && f.ended != nil: // SUMO has closed them
		return simulation.DiskFull, fmt.Sprintf("SUMO reached its end, but these outputs are incomplete, as a full disk leaves them: %s. %s",
			strings.Join(f.broken, ", "), simulation.DiskFullMessage)
	case f.writeErr != nil:
		return blame(f.writeErr, "The program's results could not be kept")
	case f.strict && len(f.errors) > 0:
		return simulation.InvalidScenario, strictMessage + f.messages()
	}
	return "", ""
}

// wordsOf are the last lines that the program wrote to its standard error, and SUMO's errors, one line each, to append.
func (f fate) wordsOf() string {
	lines := slices.Clone(f.words)
	for _, e := range f.errors {
		if !slices.ContainsFunc(lines, func(l string) bool { return strings.Contains(l, e) }) {
			lines = append(lines, "SUMO: "+e)
		}
	}
	if len(lines) == 0 {
		return ""
	}
	return "\n" + strings.Join(lines, "\n")
}
