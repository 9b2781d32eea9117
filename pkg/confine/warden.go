package confine

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/sumo-k8/sumo-k8/pkg/process"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// wardenMarker is argv[0] of a child that is to guard a tree.
const wardenMarker = "sumo-k8-warden"

// killTree has the warden kill its tree. Until the warden handles it, when it has no tree yet, the Go runtime ignores it.
const killTree = syscall.SIGUSR1

// errand is what a warden is to start, and behind which wall.
type errand struct {
	Wall    Wall     `json:"wall"`
	Network bool     `json:"network"` // whether the warden is in a network of its own
	Path    string   `json:"path"`
	Args    []string `json:"args"`
	Env     []string `json:"env"`
	Dir     string   `json:"dir"`
	Parent  int      `json:"parent"` // the parent's process id
}

// beginning is a warden's first report: what confines the program, or why it has not started.
type beginning struct {
	Held       simulation.Confinement `json:"held"`
	Failed     string                 `json:"failed"`
	Errno      syscall.Errno          `json:"errno"`
	Unconfined bool                   `json:"unconfined"`
	NoNetwork  bool                   `json:"no_network"` // it has a network of its own that does not work
}

func (b beginning) err(path string) error {
	switch {
	case b.NoNetwork:
		return &wallError{"network namespace", b.Failed}
	case b.Unconfined:
		return fmt.Errorf("%w: %s", ErrUnconfined, strings.TrimPrefix(b.Failed, ErrUnconfined.Error()+": "))
	case b.Errno != 0:
		return &os.PathError{Op: "starting", Path: path, Err: b.Errno}
	case b.Failed != "":
		return errors.New(b.Failed)
	}
	return nil
}

// ending is a warden's last report, when nothing of its tree is left.
type ending struct {
	Broken limit `json:"broken"`
}

// limit is one that a tree has broken.
type limit string

const (
	brokeMemory    limit = "memory"
	brokeProcesses limit = "processes"
)

// guard makes this process the warden of a tree, and ends as the tree's program does.
func guard(text string) {
	reports := os.NewFile(answerFD, "reports")
	unix.CloseOnExec(answerFD)
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGTERM, killTree)
	w, began := newWarden(text)
	err := json.NewEncoder(reports).Encode(began)
	if w == nil {
		os.Exit(exitNotStarted)
	}
	if err != nil { // nobody is left to read it
		w.killAll()
		os.Exit(exitNotStarted)
	}
	status := w.watch(signals, reports)
	reports.Close()
	endAs(status)
}

// warden is the ancestor of a program and of everything that it starts: whatever loses its parent becomes the warden's child.
type warden struct {
	program *process.Process
	limits  Limits
}

func newWarden(text string) (*warden, beginning) {
	var e errand
	failed := func(err error) (*warden, beginning) {
		errno, _ := errors.AsType[syscall.Errno](err)
		return nil, beginning{Failed: err.Error(), Errno: errno, Unconfined: errors.Is(err, ErrUnconfined)}
	}
	if err := decode(text, &e); err != nil {
		return failed(err)
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return failed(fmt.Errorf("becoming the parent of orphans: %w", err))
	}
	if os.Getppid() != e.Parent {
		return failed(errors.New("the process that started it has ended"))
	}
	if e.Network {
		if err := raiseLoopback(); err != nil {
			return nil, beginning{Failed: err.Error(), NoNetwork: true}
		}
	}
	cmd := &exec.Cmd{Path: e.Path, Args: e.Args, Env: e.Env, Dir: e.Dir, Stdout: os.Stdout, Stderr: os.Stderr}
	var wall Keep
	defer wall.Close()
	program, listener, err := wall.begin(cmd, e.Wall, Require)
	if err != nil {
		return failed(err)
	}
	if listener != nil {
		go newBroker(listener).serve()
	}
	return &warden{program: program, limits: e.Wall.Limits}, beginning{Held: wall.plan}
}

// A warden looks at its tree that often; on a machine with many processes less often, so that it takes at most a twentieth of a core.
const (
	watchEvery  = 100 * time.Millisecond
	watchAtMost = 500 * time.Millisecond
)

// thoroughEvery is how many looks there are to one that goes through all processes of the machine, in which nothing can be missing.
const thoroughEvery = 10

// watch holds the tree to its limits and carries out signals until the program ends; then it kills what is left. It returns the program's
// status.
func (w *warden) watch(signals <-chan os.Signal, reports io.Writer) syscall.WaitStatus {
	var end ending
	timer := time.NewTimer(watchEvery)
	looks := 0
	for running := true; running; {
		select {
		case <-w.program.Done():
			running = false
		case s := <-signals:
			if s == killTree {
				running = false
			} else {
				_ = w.program.Signal(syscall.SIGTERM)
			}
		case <-timer.C:
			began := time.Now()
			looks++
			thorough := looks%thoroughEvery == 0
			if tree, err := look(thorough); err == nil {
				w.reap(tree)
				end.Broken = w.broken(tree, thorough)
			}
			running = end.Broken == ""
			timer.Reset(min(max(watchEvery, 20*time.Since(began)), watchAtMost))
		}
	}
	w.killAll()
	_ = json.NewEncoder(reports).Encode(end) // nobody may be there to read it
	exit, failed := errors.AsType[*exec.ExitError](w.program.Wait())
	if !failed {
		return 0
	}
	return exit.Sys().(syscall.WaitStatus)
}

// look returns the descendants of this process.
func look(thorough bool) ([]task, error) {
	if !thorough {
		return lineage(os.Getpid())
	}
	all, err := tasks()
	return descendants(os.Getpid(), all), err
}

// broken is the limit that these processes break, which a look has found.
func (w *warden) broken(tree []task, thorough bool) limit {
	alive := 0
	for _, t := range tree {
		if t.state != 'Z' {
			alive++
		}
	}
	if most := w.limits.Processes; most > 0 && alive > most {
		return brokeProcesses
	}
	most := w.limits.Memory
	if most == 0 {
		return ""
	}
	for range mostMeasures {
		// What processes share counts once for each in their resident sizes, which are cheap to read.
		more := beside(tree)
		if resident(tree)+more <= most || proportional(tree)+more <= most {
			return ""
		}
		// One that has ended meanwhile counts with all that it shared, and has left larger shares to those that were read after it.
		if !anyEnded(tree) {
			return brokeMemory
		}
		time.Sleep(measureAgain)
		var err error
		if tree, err = look(thorough); err != nil {
			return ""
		}
	}
	return brokeMemory // whatever it starts ends before it is measured
}

// Processes of which one ends while they are measured are measured again after a while, so often at most.
const (
	measureAgain = 20 * time.Millisecond
	mostMeasures = 10
)

// reap collects the orphans that have ended. The program itself is collected elsewhere.
func (w *warden) reap(tree []task) {
	for _, t := range tree {
		if t.state == 'Z' && t.parent == os.Getpid() && t.pid != w.program.Pid() {
			_, _ = unix.Wait4(t.pid, nil, unix.WNOHANG, nil)
		}
	}
}

// killAll kills and collects all descendants. It collects nothing before all are dead: the dead count towards the number of processes that
// the tree may have, so that each kill leaves fewer to a program that starts others faster than they are killed. When the kernel says
// that there is no child, there is no descendant.
func (w *warden) killAll() {
	for !w.childless() {
		if alive, err := killDescendants(); err == nil && alive == 0 {
			w.collect()
			continue
		}
		time.Sleep(time.Millisecond)
	}
}

// killDescendants kills the living descendants that it comes across, and returns their number. It kills each as soon as it has read it,
// because many busy processes leave little time to this one. Of a process whose parent has a higher id it learns the next time.
func killDescendants() (alive int, err error) {
	pids, err := processes()
	if err != nil {
		return 0, err
	}
	slices.Sort(pids)
	tree := map[int]bool{os.Getpid(): true}
	for _, pid := range pids {
		t, err := taskOf(pid)
		if err != nil || !tree[t.parent] {
			continue
		}
		tree[pid] = true
		if t.state != 'Z' && t.state != 'X' {
			alive++
			kill(t)
		}
	}
	return alive, nil
}

// kill ends a descendant of this process. Its id may meanwhile be that of another process unless it is a child, which only we collect.
func kill(t task) {
	if t.parent == os.Getpid() {
		_ = unix.Kill(t.pid, unix.SIGKILL)
		return
	}
	fd, err := unix.PidfdOpen(t.pid, 0)
	if err != nil { // it has ended, or the kernel is old: then it is killed as our child, after its parents
		return
	}
	defer unix.Close(fd)
	if now, err := taskOf(t.pid); err == nil && (now.parent == t.parent || now.parent == os.Getpid()) {
		_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
	}
}

// childless reports whether no child is left, dead or alive.
func (w *warden) childless() bool {
	select {
	case <-w.program.Done(): // it is collected elsewhere
		return errors.Is(unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil), unix.ECHILD)
	default:
		return false
	}
}

// collect collects all children that have ended.
func (w *warden) collect() {
	<-w.program.Done()
	for {
		pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
		if pid <= 0 && !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// endAs ends this process as another has ended.
func endAs(status syscall.WaitStatus) {
	if !status.Signaled() {
		os.Exit(status.ExitStatus())
	}
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	var byDefault [4]uint64 // struct sigaction of the kernel
	const setSize = 8
	_, _, _ = unix.RawSyscall6(
		unix.SYS_RT_SIGACTION, uintptr(status.Signal()), uintptr(unsafe.Pointer(&byDefault)), 0, setSize, 0, 0,
	)
	_ = unix.Kill(os.Getpid(), status.Signal())
	time.Sleep(time.Second) // another thread may get it
	os.Exit(128 + int(status.Signal()))
}
