// Package program lets a scenario's own program start SUMO as it would at a desk.
//
// A run makes a folder (see Install) that stands for SUMO's: its sumo and sumo-gui are links to the run's own binary, which called by
// such a name (see Enter) merges the program's arguments with what the run asks of SUMO, and becomes SUMO. A module that Python loads at
// its start does the same for libsumo and for TraCI's load. This is no wall, which package confine puts up: a program that goes around it
// only goes without what the run adds.
package program

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Names in the folder that stands for SUMO's.
const (
	binFolder   = "bin"
	rulesFile   = "rules.json"
	pythonPart  = "python"
	mergeName   = "merge-options" // prints what becomes of arguments
	lockFile    = "added.lock"    // in Rules.Results, of the SUMO that gets added outputs
	reportFile  = "report.json"   // in Rules.Results, of the newest such SUMO
	simulator   = "sumo"
	graphical   = "sumo-gui"
	siteModule  = "sitecustomize.py"
	failureCode = 1 // SUMO's own
)

// Enter becomes SUMO where this program has been called by its name, and otherwise returns. It must be called before anything else.
func Enter() {
	name := filepath.Base(os.Args[0])
	if !slices.Contains([]string{simulator, graphical, mergeName}, name) {
		return
	}
	fmt.Fprintln(os.Stderr, "Error:", enter(name, os.Args[0], os.Args[1:]))
	os.Exit(failureCode)
}

// enter returns only what went wrong.
func enter(name, called string, args []string) error {
	rules, err := rulesBeside(called)
	if err != nil {
		return err
	}
	if name == mergeName {
		return rules.print(args)
	}
	shown := rules.Log.take()
	alone := rules.alone()
	merged, err := rules.Merge(args, shown, alone, ReadConfiguration)
	if err != nil {
		return err
	}
	if err := rules.prepare(merged, alone); err != nil {
		return err
	}
	for _, w := range merged.Warnings {
		fmt.Fprintln(os.Stderr, "Warning:", w)
	}
	binary := filepath.Join(rules.Home, binFolder, simulator)
	env := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "SUMO_HOME=") })
	env = append(env, "SUMO_HOME="+rules.Home)
	if shown {
		env = append(env, rules.Environment...)
	}
	return fmt.Errorf("starting %s: %w", binary, unix.Exec(binary, append([]string{simulator}, merged.Arguments...), env))
}

// rulesBeside reads the rules of the folder in which this program was called, by a path or through PATH.
func rulesBeside(called string) (Rules, error) {
	var rules Rules
	if !strings.Contains(called, "/") {
		found, err := exec.LookPath(called)
		if err != nil {
			return rules, err
		}
		called = found
	}
	text, err := os.ReadFile(filepath.Join(filepath.Dir(called), "..", rulesFile))
	if err != nil {
		return rules, fmt.Errorf("reading what the run asks of SUMO: %w", err)
	}
	err = json.Unmarshal(text, &rules)
	return rules, err
}

// print prints what becomes of the arguments behind the first, which says whether another SUMO of the run gets added outputs.
func (r Rules) print(args []string) error {
	if len(args) == 0 {
		return errors.New("the first argument must be alone or beside")
	}
	alone := args[0] == "alone"
	merged, err := r.Merge(args[1:], true, alone, ReadConfiguration)
	if err != nil {
		return err
	}
	if err := r.prepare(merged, alone); err != nil {
		return err
	}
	if err := json.NewEncoder(os.Stdout).Encode(merged); err != nil {
		return err
	}
	os.Exit(0)
	return nil
}

// prepare makes the folders of added outputs, which SUMO does not make, and leaves the report of a SUMO that has them.
func (r Rules) prepare(m Merged, alone bool) error {
	if !alone {
		return nil
	}
	for _, folder := range m.Folders {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
	}
	if r.Replay != nil {
		r.Log.mark()
	}
	text, err := json.Marshal(m.Report)
	if err != nil {
		return fmt.Errorf("encoding what SUMO writes: %w", err)
	}
	return os.WriteFile(filepath.Join(r.Results, reportFile), text, 0o644)
}

// maxReport bounds what is read of a report, in bytes, which a program may have replaced.
const maxReport = 64 << 10

// ReadReport reads what the newest SUMO with added outputs has written, below results; the zero value stands for no such SUMO.
func ReadReport(results *os.Root) Report {
	f, err := results.OpenFile(reportFile, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe by this name would block
	if err != nil {
		return Report{}
	}
	defer f.Close()
	var report Report
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() || json.NewDecoder(io.LimitReader(f, maxReport)).Decode(&report) != nil {
		return Report{}
	}
	if report.Unrecorded != affixed && report.Unrecorded != separated {
		report.Unrecorded = ""
	}
	return report
}

// alone reports whether no other SUMO of the run gets added outputs now, in which two would write. The lock is this
// process's, which becomes SUMO.
func (r Rules) alone() bool {
	fd, err := unix.Open(filepath.Join(r.Results, lockFile), unix.O_RDWR|unix.O_CREAT, 0o644) // without O_CLOEXEC
	return err == nil && unix.FcntlFlock(uintptr(fd), unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK}) == nil
}

// Streams are the pipes of a run: the program's, by their inodes, and those for SUMO's lines, by their paths.
type Streams struct {
	Out, Err     uint64 // inodes of the program's own
	SUMO, Errors string // pipes with a name
}

// take gives this process the pipes for SUMO's lines, where it has the program's. It reports whether SUMO's output goes to the run's log.
func (s Streams) take() bool {
	shown := redirect(1, s.Out, s.SUMO)
	redirect(2, s.Err, s.Errors)
	return shown
}

// mark writes Mark among SUMO's errors.
func (s Streams) mark() {
	pipe, err := unix.Open(s.Errors, unix.O_WRONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return
	}
	defer unix.Close(pipe)
	_, _ = unix.Write(pipe, []byte(Mark+"\n"))
}

func redirect(fd int, inode uint64, name string) bool {
	var at syscall.Stat_t
	if syscall.Fstat(fd, &at) != nil || at.Mode&syscall.S_IFMT != syscall.S_IFIFO || at.Ino != inode {
		return false
	}
	pipe, err := unix.Open(name, unix.O_WRONLY|unix.O_NONBLOCK, 0) // fails at once where nobody reads
	if err != nil {
		return true // in the program's own pipe
	}
	defer unix.Close(pipe)
	_ = unix.SetNonblock(pipe, false)
	_ = unix.Dup3(pipe, fd, 0)
	return true
}
