// Package confine starts a program behind a wall: even if its input takes it over, it reaches only the files and
// folders that it was given.
//
// The wall consists of mechanisms that the kernel offers to any user; each covers gaps of the others:
//
//   - Landlock (or, on a kernel without it, a mount namespace that shows nothing else) decides which files can be opened.
//   - A seccomp filter allows the system calls that the program needs and answers ENOSYS to all others: no sockets, no
//     child processes, no signals to other processes, no change of modes, owners or times of files.
//   - A service that runs as root gives each program a user of its own.
//   - no_new_privs, no core dumps, no inherited descriptors, a session and an environment of its own, and limits on
//     memory and on the size of files.
//
// StartTree confines an interpreter with all that it starts. Its wall allows child processes and changes in its own folders, and has parts
// of its own:
//
//   - A warden, a process between this one and the program, is the ancestor of whatever the program starts. It counts the processes and
//     their memory, and ends when no process is left.
//   - Signals reach the program's own processes only: by the user, by Landlock, or because the filter asks the warden about each.
//   - Programs connect to each other by TCP. The filter asks the warden about bind, listen and connect. The warden does not let these calls
//     happen: it puts a socket of its own making in the place of the program's. So each tree has all ports to itself, and no address leads
//     out. Where it may, the warden makes these sockets in a network namespace, in which nobody else is.
//
// The confined program starts in two steps, because Go code cannot run between fork and exec: this program starts itself
// again (see Enter), puts up the wall around itself and then execs the other program. Where sumo-wall lies beside this program, it takes
// the place of this second start. What programs that follow each other have in common of their walls is made once (see Keep).
package confine

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/sumo-k8/sumo-k8/pkg/process"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// Mode decides whether a program may start without a complete wall.
type Mode string

const (
	// Require refuses to start a program that cannot be held to its files or whose system calls cannot be filtered.
	Require Mode = "require"
	// Prefer puts up what the machine offers and always starts the program: for containers, which are walls themselves.
	Prefer Mode = "prefer"
	// Off puts up no wall. Limits still hold, and nothing is inherited.
	Off Mode = "off"
)

// UnmarshalText reads a mode from a setting; an empty one leaves the default to the caller.
func (m *Mode) UnmarshalText(text []byte) error {
	switch mode := Mode(text); mode {
	case Require, Prefer, Off, "":
		*m = mode
		return nil
	}
	return fmt.Errorf("%q is none of %s, %s and %s", text, Require, Prefer, Off)
}

// MarshalText writes a mode as a setting.
func (m Mode) MarshalText() ([]byte, error) { return []byte(m), nil }

// Profile names the system calls that a kind of program needs.
type Profile string

const (
	// SUMO is the profile of the simulator: one process that reads and writes files.
	SUMO Profile = "sumo"
	// Program is the profile of an interpreter with the programs that it starts: see StartTree.
	Program Profile = "program"
)

// Wall is what a program may reach and use.
type Wall struct {
	Profile Profile `json:"profile"`
	// Program is the path of the program that finally runs, where cmd is a launcher. The dynamic loader finds
	// libraries beside a program by /proc/self/exe, which in a mount namespace is a link to this path.
	Program string `json:"program"`
	// Read lists the files and folders that the program may read and execute, with everything below them. Missing ones are
	// skipped.
	Read []string `json:"read"`
	// Write lists the folders in which the program may also create and write files, at any depth.
	Write  []string `json:"write"`
	Limits Limits   `json:"limits"`
	// Loopback lets a program of profile Program speak TCP with the programs that it starts, and with nobody else.
	Loopback bool `json:"loopback"`
	// Slot distinguishes programs that this process runs at the same time: each has a user of its own. It is less than Slots.
	Slot int `json:"slot"`
	// LandlockABI is the newest Landlock ABI to use; 0 sets no bound, and NoLandlock uses none. Tests set it to try an older
	// kernel's wall on a newer kernel.
	LandlockABI int `json:"landlock_abi"`
}

// Slots bounds Wall.Slot.
const Slots = 32

// NoLandlock stands for a kernel without Landlock, as Wall.LandlockABI.
const NoLandlock = -1

// Limits bound what a program uses. Zero sets no limit.
type Limits struct {
	// Data is the private memory that the program may allocate, in bytes (RLIMIT_DATA). Mappings that are not writable do
	// not count.
	Data int64 `json:"data"`
	// FileSize is how large any single file may grow, in bytes (RLIMIT_FSIZE). Beyond it the program gets SIGXFSZ.
	FileSize int64 `json:"file_size"`
	// Memory is what the processes of a tree may occupy together, in bytes, including files that they have open but have removed and what
	// the kernel may hold for their sockets and pipes. Processes is how many they may be. They are for StartTree.
	Memory    int64 `json:"memory"`
	Processes int   `json:"processes"`
}

// ErrUnconfined is returned on a machine that cannot put up the wall that the mode asks for.
var ErrUnconfined = errors.New("this machine cannot confine programs")

// Start starts cmd behind w, as process.Start does, and returns what confines it. It uses cmd's Path, Args, Env, Dir,
// Stdout, Stderr and WaitDelay; standard input is /dev/null. An error that wraps ErrUnconfined names what is missing.
func Start(cmd *exec.Cmd, w Wall, mode Mode) (*process.Process, simulation.Confinement, error) {
	var k Keep
	defer k.Close()
	return k.Start(cmd, w, mode)
}

// begin starts cmd behind the strongest wall that the machine can put up, and keeps that. The file is nil unless the filter asks the warden
// about calls.
func (k *Keep) begin(cmd *exec.Cmd, w Wall, mode Mode) (*process.Process, *os.File, error) {
	able := w.abilities()
	var missing []error
	if able.landlock == 0 {
		missing = append(
			missing,
			&wallError{"Landlock", "the kernel has none; it takes Linux 5.13 or later, with landlock among the modules in /sys/kernel/security/lsm"},
		)
	}
	for _, plan := range w.plans(mode, cmd.Path, able) {
		k.Close()
		p, listener, err := k.make(cmd, w, plan)
		if err == nil {
			return p, listener, nil
		}
		if _, wall := errors.AsType[*wallError](err); !wall {
			return nil, nil, err
		}
		missing = append(missing, err)
		if plan.User { // the next plan's user is our own
			if err := w.give(os.Geteuid()); err != nil {
				return nil, nil, err
			}
		}
	}
	return nil, nil, fmt.Errorf("%w: %w", ErrUnconfined, errors.Join(missing...))
}

var errNotEntered = errors.New("confine.Enter was not called at the start of this program")

// wallError is a part of the wall that could not be put up.
type wallError struct {
	part    string
	message string
}

func (e *wallError) Error() string { return e.part + ": " + e.message }

// order is what the child is to become, and behind which wall.
type order struct {
	Wall Wall                   `json:"wall"`
	Plan simulation.Confinement `json:"plan"`
	Path string                 `json:"path"`
	Args []string               `json:"args"`
	Env  []string               `json:"env"`
	Dir  string                 `json:"dir"`
	// User is the user and group to become under Plan.User.
	User int `json:"user"`
	// Threads is how many threads the machine has already; 0 when unknown.
	Threads int `json:"threads"`
	Parent  int `json:"parent"` // the parent's process id
	// Landlock are the flags with which the set of rules at rulesetFD is enforced.
	Landlock uint32 `json:"landlock"`
	// Filter is the system call filter, and Asks whether it leaves calls to the warden.
	Filter filter `json:"filter"`
	Asks   bool   `json:"asks"`
	// Made is whether the mount namespace is there already, at mountsFD.
	Made bool `json:"made"`
}

// raised is what the child says when its wall is up. A child that then becomes the program closes the pipe without an answer; one that is
// killed on the way closes it too.
const raised = "+"

// answer is the child's report of why it did not become the program.
type answer struct {
	Part    string `json:"part"` // the part of the wall that failed; empty when the program itself did
	Message string `json:"message"`
	Errno   int    `json:"errno"`
}

// self is this program, even if its file has been renamed or replaced.
const self = "/proc/self/exe"

// companion is the name of a program that does nothing but call Enter. It starts in 2 ms, where one with many packages takes 5.
const companion = "sumo-wall"

// starter is the program that becomes the confined one.
var starter = sync.OnceValue(func() string {
	file, err := os.Executable()
	if err != nil {
		return self
	}
	return starterIn(filepath.Dir(file))
})

// starterIn is the companion if it is in a folder, and otherwise this program.
func starterIn(folder string) string {
	file := filepath.Join(folder, companion)
	if info, err := os.Stat(file); err != nil || !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
		return self
	}
	return file
}

// decode reads what another process of ours orders. It refuses what it does not know: a companion of another release must not leave out a
// part of the wall.
func decode(text string, v any) error {
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

// oneThread is the environment of that program, which does one thing after the other: Go starts it faster without further threads, and
// without asking the control group how many would be of use.
var oneThread = []string{"GOMAXPROCS=1", "GODEBUG=containermaxprocs=0"}

// transient is the environment of a child that becomes another program: exec frees all memory, so collecting it would only take time.
var transient = append(slices.Clip(oneThread), "GOGC=off")

// marker is argv[0] of a child that is to become another program.
const marker = "sumo-k8-confine"

// start starts cmd behind w with what is kept.
func (k *Keep) start(cmd *exec.Cmd, w Wall) (p *process.Process, listener *os.File, err error) {
	plan := k.plan
	o := order{
		Wall: w, Plan: plan, Path: cmd.Path, Args: cmd.Args, Env: cmd.Env, Dir: cmd.Dir,
		User: w.ownUser(), Threads: allThreads(), Parent: os.Getpid(),
		Landlock: k.landlock, Filter: k.filter, Asks: k.asks, Made: k.mounts != nil,
	}
	if plan.User {
		if err := w.give(o.User); err != nil {
			return nil, nil, &wallError{"user", err.Error()}
		}
	}
	text, err := json.Marshal(o)
	if err != nil {
		return nil, nil, fmt.Errorf("encoding what to start: %w", err)
	}
	report, reporter, err := os.Pipe()
	if err != nil {
		return nil, nil, fmt.Errorf("opening a pipe: %w", err)
	}
	defer report.Close()
	child := &exec.Cmd{
		Path: starter(), Args: []string{marker, string(text)}, Env: transient,
		Stdout: cmd.Stdout, Stderr: cmd.Stderr, WaitDelay: cmd.WaitDelay,
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	if plan.Namespace && k.mounts == nil {
		isolate(child.SysProcAttr)
	}
	var toWarden *os.File
	var receive func() (*os.File, error)
	if o.Asks {
		here, there, err := pair()
		if err != nil {
			reporter.Close()
			return nil, nil, err
		}
		defer here.Close()
		defer there.Close()
		toWarden = there
		receive = func() (*os.File, error) { return receiveFile(here) }
	}
	child.ExtraFiles = []*os.File{answerFD - 3: reporter, wardenFD - 3: toWarden, rulesetFD - 3: k.ruleset, mountsFD - 3: k.mounts}
	p, err = process.Start(child, process.Options{})
	reporter.Close()
	if err != nil {
		if plan.Namespace { // the usual reason is that this user may not make one
			return nil, nil, &wallError{"mount namespace", err.Error()}
		}
		return nil, nil, err
	}
	if plan.Namespace && k.mounts == nil {
		k.mounts = mountsOf(p)
	}
	if err := await(report, p, cmd.Path); err != nil || receive == nil {
		return p, nil, err
	}
	if listener, err = receive(); err != nil {
		p.Kill()
		return nil, nil, errors.Join(err, p.Wait())
	}
	return p, listener, nil
}

// await reads the child's answer; the pipe is closed when it becomes the program.
func await(report io.Reader, p *process.Process, path string) error {
	text, err := io.ReadAll(report)
	text, up := bytes.CutPrefix(text, []byte(raised))
	if err == nil && up && len(text) == 0 {
		return nil
	}
	p.Kill()
	ended := p.Wait()
	var a answer
	if err := errors.Join(err, json.Unmarshal(text, &a)); err != nil {
		return fmt.Errorf("starting %s: %w (%w)", path, err, ended)
	}
	switch {
	case a.Part != "":
		return &wallError{a.Part, a.Message}
	case a.Errno != 0:
		return &os.PathError{Op: "starting", Path: path, Err: syscall.Errno(a.Errno)}
	}
	return fmt.Errorf("starting %s: %s", path, strings.TrimSpace(a.Message))
}
