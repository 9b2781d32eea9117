package confine

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"syscall"

	"github.com/landlock-lsm/go-landlock/landlock"
	llsys "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"

	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// What a child inherits beside the three standard descriptors, each where its order needs it: the pipe for its answer, the socket by which
// it gives its warden the descriptor for the calls that the warden decides, Landlock's set of rules, and a mount namespace.
const (
	answerFD = iota + 3
	wardenFD
	rulesetFD
	mountsFD
)

// exitNotStarted is the exit code of a child that did not become the program. Its answer holds the reason.
const exitNotStarted = 70

// entered guards Start against programs that do not call Enter: they would start themselves forever.
var entered bool

// Enter turns this process into a confined program if Start began it for that purpose, and then never returns. A program
// that calls Start must call Enter first in main.
func Enter() {
	entered = true
	if len(os.Args) != 2 {
		return
	}
	switch os.Args[0] {
	case marker:
	case wardenMarker:
		guard(os.Args[1])
	default:
		return
	}
	runtime.LockOSThread() // the wall applies to one thread; exec ends all others
	a := become(os.Args[1])
	text, err := json.Marshal(a)
	if err == nil {
		_, err = unix.Write(answerFD, text)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, a.Part, a.Message, err)
	}
	os.Exit(exitNotStarted)
}

// become carries out the order, and returns only on failure.
func become(text string) answer {
	var o order
	if err := decode(text, &o); err != nil {
		return answer{Message: err.Error()}
	}
	o.Filter.setPid(os.Getpid())
	for _, step := range []struct {
		part string
		do   func() error
	}{
		{"descriptors", closeOnExec}, // needs /proc, which the mount namespace hides
		{"memory", o.goFirst},
		{"mount namespace", o.showOnlyFiles},
		{"folder", func() error { return unix.Chdir(o.Dir) }},
		{"privileges", o.dropPrivileges},
		{"Landlock", o.restrictFiles},
		// The limits are the program's. They come last, since they may be less than what is needed here: Go's runtime ends the process when
		// it gets no memory or no further thread.
		{"limits", o.limit},
		{"system call filter", o.filterCalls},
	} {
		if err := step.do(); err != nil {
			return answer{Part: step.part, Message: err.Error()}
		}
	}
	if _, err := unix.Write(answerFD, []byte(raised)); err != nil {
		return answer{Message: err.Error()}
	}
	err := syscall.Exec(o.Path, o.Args, o.Env)
	errno, _ := errors.AsType[syscall.Errno](err)
	return answer{Errno: int(errno), Message: err.Error()}
}

// closeOnExec keeps every descriptor but the three standard ones from the program.
func closeOnExec() error {
	err := unix.CloseRange(answerFD, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC)
	if !errors.Is(err, unix.ENOSYS) && !errors.Is(err, unix.EINVAL) {
		return err
	}
	// Linux before 5.11 has no such flag.
	entries, err := os.ReadDir("/proc/self/fd")
	for _, entry := range entries {
		var fd int
		if _, err := fmt.Sscan(entry.Name(), &fd); err == nil && fd >= answerFD {
			unix.CloseOnExec(fd)
		}
	}
	return err
}

// goFirst makes the kernel end the program before its warden and ourselves when memory runs out. A warden that ends leaves what it guards.
func (o order) goFirst() error {
	if o.Wall.Profile == Program {
		_ = os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0) // some containers mount /proc read-only
	}
	return nil
}

// ownProcesses is how many threads a program with a user of its own may have (RLIMIT_NPROC counts by user). SUMO has
// as many as its option threads sets, one by default.
const ownProcesses = 64

// moreProcesses bounds a program without a user of its own: all threads of its user together may exceed the number that the whole
// machine had at its start by this many. So it gets some, and the user's other programs keep most.
const moreProcesses = 256

// threadsEach is how many threads a tree may have beside these for each process that it may have: more than the warden lets live, so that
// it is the warden that ends the tree and says why.
const threadsEach = 2

// programFiles is how many descriptors each process of a tree may have.
const programFiles = 1024

// Limits on memory that RLIMIT_DATA does not count, in bytes: the stack, of the usual size, and the page tables of read-only
// mappings, which take a five-hundredth of their size. Libraries reserve a few gigabytes of addresses at most.
const (
	stack     = 8 << 20
	addresses = 16 << 30
)

func (o order) limit() error {
	set := func(resource int, limit uint64) error {
		var now unix.Rlimit
		if err := unix.Getrlimit(resource, &now); err != nil {
			return err
		}
		limit = min(limit, now.Max) // the machine's own may be lower already
		return unix.Setrlimit(resource, &unix.Rlimit{Cur: limit, Max: limit})
	}
	err := set(unix.RLIMIT_CORE, 0)
	if data := o.Wall.Limits.Data; data > 0 {
		err = errors.Join(err, set(unix.RLIMIT_DATA, uint64(data)), set(unix.RLIMIT_AS, uint64(data)+addresses), set(unix.RLIMIT_STACK, stack))
	}
	if size := o.Wall.Limits.FileSize; size > 0 {
		err = errors.Join(err, set(unix.RLIMIT_FSIZE, uint64(size)))
	}
	if o.Wall.Profile == Program {
		err = errors.Join(err, set(unix.RLIMIT_NOFILE, programFiles))
	}
	own, more := ownProcesses, moreProcesses
	if tree := o.Wall.Limits.Processes; tree > 0 {
		own += threadsEach * tree
		more = own
	}
	if o.Plan.User {
		err = errors.Join(err, set(unix.RLIMIT_NPROC, uint64(own)))
	} else if o.Threads > 0 && o.Plan != (simulation.Confinement{}) {
		err = errors.Join(err, set(unix.RLIMIT_NPROC, uint64(o.Threads+more)))
	}
	return err
}

// dropPrivileges gives up root's privileges irrevocably and sets the parent-death signal again, which the kernel clears when
// the user changes.
func (o order) dropPrivileges() error {
	var err error
	// The wrappers in package syscall change all threads. Only this one survives exec.
	call := func(what string, trap, a, b, c uintptr) {
		if _, _, errno := unix.RawSyscall(trap, a, b, c); errno != 0 {
			err = errors.Join(err, fmt.Errorf("%s: %w", what, errno))
		}
	}
	if o.Plan.User {
		id := uintptr(o.User)
		call("leaving all groups", unix.SYS_SETGROUPS, 0, 0, 0)
		call("changing the group", unix.SYS_SETRESGID, id, id, id)
		call("changing the user", unix.SYS_SETRESUID, id, id, id)
	}
	if o.Plan.Filter || o.Plan.Files() {
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var none [2]unix.CapUserData
		err = errors.Join(err, unix.Capset(&header, &none[0]))
	}
	err = errors.Join(err,
		unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
		unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0))
	if parent := os.Getppid(); parent != o.Parent {
		err = errors.Join(err, errors.New("the process that started it has ended"))
	}
	return err
}

// landlockVersions are the rights that each Landlock ABI handles; the index is the ABI.
var landlockVersions = []landlock.Config{
	{}, landlock.V1, landlock.V2, landlock.V3, landlock.V4, landlock.V5, landlock.V6, landlock.V7, landlock.V8, landlock.V9, landlock.V10,
	landlock.V11,
}

// writeAccess is what a program may do in its folders: list, read, create and write files. It may neither remove nor
// rename anything, nor create folders, links, pipes, sockets or devices.
const writeAccess = landlock.AccessFSSet(llsys.AccessFSReadFile | llsys.AccessFSReadDir | llsys.AccessFSWriteFile |
	llsys.AccessFSMakeReg | llsys.AccessFSTruncate)

// treeAccess is what profile Program may also do there: remove and rename files and folders, and make folders.
const treeAccess = writeAccess | landlock.AccessFSSet(llsys.AccessFSMakeDir|llsys.AccessFSRemoveFile|llsys.AccessFSRemoveDir|
	llsys.AccessFSRefer)

// nullAccess is for /dev/null, which SUMO opens for unwanted outputs.
const nullAccess = landlock.AccessFSSet(llsys.AccessFSReadFile | llsys.AccessFSWriteFile)

// rules makes Landlock's set of rules for w, and returns it with the flags for enforcing it.
func (w Wall) rules(abi int) (ruleset *os.File, flags uint32, err error) {
	config := landlockVersions[min(abi, len(landlockVersions)-1)]
	write := writeAccess
	if w.Profile == Program {
		write = treeAccess
	}
	rules := []landlock.Rule{
		landlock.PathAccess(nullAccess, os.DevNull),
		landlock.PathAccess(write&config.HandledAccessFS, w.Write...),
	}
	for _, path := range w.Read {
		info, err := os.Stat(path)
		switch {
		case errors.Is(err, os.ErrNotExist):
		case err != nil:
			return nil, 0, err
		case info.IsDir():
			rules = append(rules, landlock.RODirs(path))
		default:
			rules = append(rules, landlock.ROFiles(path))
		}
	}
	fd, flags, err := config.NewRulesetFD(rules...)
	if err != nil {
		return nil, 0, err
	}
	return os.NewFile(uintptr(fd), "Landlock's rules"), flags, nil
}

func (o order) restrictFiles() error {
	if o.Plan.Landlock == 0 {
		return nil
	}
	return llsys.LandlockRestrictSelf(rulesetFD, o.Landlock)
}
