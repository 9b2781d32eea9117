package run

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/sumo-k8/sumo-k8/pkg/sumo/program"
)

// watching reads what a program and its SUMOs write. They have pipes of their own: SUMO's have names, by which the stand-in for SUMO opens
// them, and it becomes SUMO itself, so that nothing stands between. libsumo writes into the program's.
type watching struct {
	log          *logbook
	mon          *monitor
	called       calling
	out, err     pipe // the program's
	sumo, errors pipe // SUMO's
	readers      sync.WaitGroup

	closing bool // libsumo's closing statistics come

	mu    sync.Mutex
	words []string // the last lines of the program's standard error
}

type pipe struct {
	read, write *os.File
	name        string // of one that has a name
}

// Names of SUMO's pipes, in the program's own folder.
const (
	sumoPipe  = ".sumo-out"
	errorPipe = ".sumo-err"
)

// watch opens the pipes and begins to read.
func (r Run) watch(log *logbook, progress *progressFile, s settings, called calling) (*watching, error) {
	w := &watching{log: log, mon: newMonitor(log, progress, s), called: called}
	w.mon.recorded = r.recording
	var errs []error
	for _, p := range []*pipe{&w.out, &w.err} {
		read, write, err := os.Pipe()
		*p = pipe{read: read, write: write}
		errs = append(errs, err)
	}
	for name, p := range map[string]*pipe{sumoPipe: &w.sumo, errorPipe: &w.errors} {
		named, err := openNamed(filepath.Join(r.Work, homeFolder, name))
		*p = named
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		w.close()
		return nil, err
	}
	w.follow(w.out, w.stdout)
	w.follow(w.err, w.stderr)
	w.follow(w.sumo, w.mon.stdout)
	w.follow(w.errors, w.mon.stderr)
	return w, nil
}

// openNamed makes a pipe with a name. Its writing end stays open, so that reading ends when that is closed and not with the first SUMO.
func openNamed(name string) (pipe, error) {
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		return pipe{}, &os.PathError{Op: "mkfifo", Path: name, Err: err}
	}
	p := pipe{name: name}
	var err error
	if p.read, err = os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0); err != nil {
		return p, err
	}
	if p.write, err = os.OpenFile(name, os.O_WRONLY, 0); err != nil {
		return p, err
	}
	return p, os.Chmod(name, 0o666) // the program may run as another user, who can reach nothing else here
}

func (w *watching) follow(p pipe, yield func(string)) {
	w.readers.Go(func() {
		s := &splitter{yield: yield}
		_, _ = io.Copy(s, p.read) // until the last writer has closed it
		s.flush()
	})
}

// streams are the pipes, for the stand-in for SUMO.
func (w *watching) streams() program.Streams {
	return program.Streams{Out: inode(w.out.write), Err: inode(w.err.write), SUMO: w.sumo.name, Errors: w.errors.name}
}

func inode(f *os.File) uint64 {
	if f == nil {
		return 0
	}
	info, err := f.Stat()
	if err != nil {
		return 0
	}
	return info.Sys().(*syscall.Stat_t).Ino
}

// started is called when the program has its ends of the pipes, or could not be started.
func (w *watching) started() {
	w.out.write.Close()
	w.err.write.Close()
}

// finish is called when no process is left that could write, and returns when all is read.
func (w *watching) finish() {
	w.sumo.write.Close()
	w.errors.write.Close()
	w.readers.Wait()
	w.mon.finish()
}

func (w *watching) close() {
	for _, p := range []pipe{w.out, w.err, w.sumo, w.errors} {
		p.close()
	}
}

func (p pipe) close() {
	for _, f := range []*os.File{p.read, p.write} {
		if f != nil {
			f.Close()
		}
	}
}

// programMark is before the lines of the program itself.
const programMark = "program: "

// stdout takes a line of the program's standard output.
func (w *watching) stdout(line string) {
	if step, ok := iteration(line); ok && w.called.iterations > 0 {
		w.mon.part(float64(step) / float64(w.called.iterations))
	}
	if w.called.libsumo && w.ofSUMO(line) {
		w.mon.stdout(line)
		return
	}
	w.log.line(programMark + line)
}

// ofSUMO reports whether a line of a program with libsumo is one of SUMO's: where it begins, or of its closing statistics.
func (w *watching) ofSUMO(line string) bool {
	ends := strings.HasPrefix(line, "Simulation ended at time: ")
	w.closing = ends || w.closing && (strings.HasPrefix(line, " ") || strings.HasPrefix(line, "Reason: ") || statisticsHead.MatchString(line))
	return w.closing || strings.HasPrefix(line, "Simulation version ")
}

// statisticsHead is a head in SUMO's closing statistics, such as "Statistics (avg of 16):".
var statisticsHead = regexp.MustCompile(`^[A-Z][A-Za-z ]*( \(avg of \d+\))?:$`)

// stderr takes a line of its standard error, into which libsumo writes too.
func (w *watching) stderr(line string) {
	if w.called.libsumo && (strings.HasPrefix(line, "Warning: ") || strings.HasPrefix(line, "Error: ")) {
		w.mon.stderr(line)
		return
	}
	w.mu.Lock()
	if strings.HasPrefix(line, traceback) { // the newest counts
		w.words = nil
	}
	w.words = append(w.words, w.log.text(line))
	if len(w.words) > maxWords {
		w.words = w.words[1:]
	}
	w.mu.Unlock()
	w.log.line(programMark + line)
}

// traceback begins what Python says of an error that ends a program, and maxWords of its lines are kept: the last calls and the error.
const (
	traceback = "Traceback (most recent call last):"
	maxWords  = 12
)

func (w *watching) lastWords() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.words
}

// iterationLine is what duaIterate says when it begins an iteration.
var iterationLine = regexp.MustCompile(`^> Executing step (\d+)$`)

func iteration(line string) (n int, ok bool) {
	found := iterationLine.FindStringSubmatch(line)
	if found == nil {
		return 0, false
	}
	n, err := strconv.Atoi(found[1])
	return n, err == nil
}
