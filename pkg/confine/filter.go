package confine

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"syscall"
	"unsafe"

	"github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// simulator are the system calls that SUMO may make with any arguments. Names that an architecture lacks are skipped there. All
// other calls answer ENOSYS, as on a kernel without them, so that libraries fall back to older ones (clone for clone3, openat for
// openat2).
var simulator = []string{
	// files, by what Landlock grants
	"read", "readv", "pread64", "preadv", "write", "writev", "pwrite64", "pwritev", "lseek", "close", "dup", "dup2", "dup3",
	"fstat", "newfstatat", "fstatat" /* the same on arm64 */, "stat", "lstat", "statx", "statfs", "fstatfs", "access", "faccessat",
	"faccessat2",
	"readlink", "readlinkat", "getcwd", "getdents", "getdents64", "creat", "ftruncate", "fadvise64", "fsync", "fdatasync", "umask",
	// memory
	"brk", "mprotect", "munmap", "mremap", "madvise", "mincore", "membarrier",
	// threads of its own, time, and questions about itself
	"futex", "set_robust_list", "get_robust_list", "set_tid_address", "rseq", "arch_prctl", "sched_yield", "sched_getaffinity",
	"exit", "exit_group", "restart_syscall", "execve",
	"rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigtimedwait", "rt_sigpending", "sigaltstack", "pause",
	"clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday", "time", "times", "getrusage", "alarm", "setitimer",
	"getitimer",
	"getpid", "getppid", "gettid", "getuid", "geteuid", "getgid", "getegid", "getrlimit", "getrandom", "uname", "sysinfo", "getcpu",
	"poll", "ppoll", "select", "pselect6",
}

// policy is how a filter answers each system call. A call that no part names answers ENOSYS.
type policy struct {
	allowed     []string
	conditional []seccomp.NameWithConditions // allowed with these arguments only
	asked       []string                     // decided by the warden, see broker
	answered    []answered
}

// answered are calls that the filter answers itself: with an error that programs expect, or, for 0, as if they had been carried out.
type answered struct {
	errno syscall.Errno
	calls []string
}

// policy is that of w's profile.
func (w Wall) policy(plan simulation.Confinement) (policy, error) {
	switch w.Profile {
	case SUMO:
		return simulatorPolicy(ownPid), nil
	case Program:
		return programPolicy(w.Loopback, plan), nil
	}
	return policy{}, fmt.Errorf("there is no profile %q", w.Profile)
}

func simulatorPolicy(pid int) policy {
	p := policy{
		allowed:     simulator,
		conditional: everywhere(),
		// SUMO opens a socket at every start, and copes without one.
		answered: []answered{{unix.EAFNOSUPPORT, []string{"socket", "socketpair"}}},
	}
	// RLIMIT_DATA counts neither shared anonymous memory nor mappings that grow like a stack.
	p.allow("mmap", condition{when(3, seccomp.BitsNotSet, unix.MAP_ANONYMOUS)},
		condition{when(3, seccomp.BitsSet, unix.MAP_PRIVATE), when(3, seccomp.BitsNotSet, unix.MAP_SHARED|unix.MAP_GROWSDOWN)})
	p.allow("clone", condition{when(0, seccomp.BitsSet, unix.CLONE_THREAD)})
	// abort(3) is a signal to oneself.
	for _, name := range []string{"kill", "tgkill"} {
		p.allow(name, condition{when(0, seccomp.Equal, uint64(pid))})
	}
	p.allow("prlimit64", condition{when(0, seccomp.Equal, uint64(pid)), when(2, seccomp.Equal, 0)})
	return p
}

type condition = seccomp.ArgumentConditions

func when(argument uint32, operation seccomp.Operation, value uint64) seccomp.Condition {
	return seccomp.Condition{Argument: argument, Operation: operation, Value: value}
}

// allow lets a call pass whose arguments meet all conditions of an alternative.
func (p *policy) allow(name string, alternatives ...condition) {
	for _, conditions := range alternatives {
		p.conditional = append(p.conditional, seccomp.NameWithConditions{Name: name, Conditions: conditions})
	}
}

// everywhere are the calls that every profile allows with certain arguments only.
func everywhere() []seccomp.NameWithConditions {
	var p policy
	// Before ABI 3, Landlock lets O_TRUNC empty a file that is only readable: open(2) truncates in any access mode. So
	// O_TRUNC requires O_WRONLY or O_RDWR, which Landlock checks; with both bits it checks nothing. O_TMPFILE is refused: an
	// unnamed file stays on the disk as long as it is mapped, where the quota does not see it.
	for name, flags := range map[string]uint32{"open": 1, "openat": 2} {
		named := when(flags, seccomp.BitsNotSet, unix.O_TMPFILE&^unix.O_DIRECTORY)
		p.allow(name,
			condition{named, when(flags, seccomp.BitsNotSet, unix.O_TRUNC)},
			condition{named, when(flags, seccomp.BitsSet, unix.O_WRONLY), when(flags, seccomp.BitsNotSet, unix.O_RDWR)},
			condition{named, when(flags, seccomp.BitsSet, unix.O_RDWR), when(flags, seccomp.BitsNotSet, unix.O_WRONLY)})
	}
	// Only to read limits: a raised stack limit would allow memory that RLIMIT_DATA does not count.
	p.allow("prlimit64", condition{when(0, seccomp.Equal, 0), when(2, seccomp.Equal, 0)})
	// Not F_SETOWN, which makes the kernel send signals on the caller's behalf.
	for _, command := range []uint64{unix.F_DUPFD, unix.F_DUPFD_CLOEXEC, unix.F_GETFD, unix.F_SETFD, unix.F_GETFL, unix.F_SETFL} {
		p.allow("fcntl", condition{when(1, seccomp.Equal, command)})
	}
	p.allow("ioctl", condition{when(1, seccomp.Equal, unix.TCGETS)}) // isatty(3)
	return p.conditional
}

// ownPid stands in a filter for the process that becomes the program, which is not known when the filter is made. Process ids have 22 bits
// at most.
const ownPid = math.MaxInt32

// filter is a system call filter in BPF, as the kernel takes it.
type filter []unix.SockFilter

// MarshalText writes it as base64: as JSON's objects it is ten times as long.
func (f filter) MarshalText() ([]byte, error) {
	raw := make([]byte, 0, len(f)*unix.SizeofSockFilter)
	for _, i := range f {
		raw = binary.NativeEndian.AppendUint16(raw, i.Code)
		raw = append(raw, i.Jt, i.Jf)
		raw = binary.NativeEndian.AppendUint32(raw, i.K)
	}
	return base64.StdEncoding.AppendEncode(nil, raw), nil
}

// UnmarshalText reads what MarshalText has written.
func (f *filter) UnmarshalText(text []byte) error {
	raw, err := base64.StdEncoding.AppendDecode(nil, text)
	if err != nil || len(raw)%unix.SizeofSockFilter != 0 {
		return errors.Join(errors.New("the filter is not whole"), err)
	}
	*f = make(filter, 0, len(raw)/unix.SizeofSockFilter)
	for i := range slices.Chunk(raw, unix.SizeofSockFilter) {
		*f = append(*f, unix.SockFilter{Code: binary.NativeEndian.Uint16(i), Jt: i[2], Jf: i[3], K: binary.NativeEndian.Uint32(i[4:])})
	}
	return nil
}

// setPid puts a process in the place of ownPid.
func (f filter) setPid(pid int) {
	for i := range f {
		if f[i].K == ownPid {
			f[i].K = uint32(pid)
		}
	}
}

// filterCalls installs the system call filter on this thread. It is inherited and cannot be removed. Calls that the warden decides reach it
// by the descriptor that this thread sends it.
func (o order) filterCalls() error {
	if !o.Plan.Filter {
		return nil
	}
	if len(o.Filter) == 0 {
		return errors.New("the order has no filter")
	}
	code := unix.SockFprog{Len: uint16(len(o.Filter)), Filter: &o.Filter[0]}
	install := func(flags uintptr) (int, syscall.Errno) {
		fd, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&code)))
		return int(fd), errno
	}
	if !o.Asks {
		if _, errno := install(0); errno != 0 {
			return fmt.Errorf("seccomp: %w", errno)
		}
		return nil
	}
	// Before Linux 5.19, a signal may interrupt a call that the warden is carrying out.
	listener, errno := install(unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV)
	if errno == unix.EINVAL {
		listener, errno = install(unix.SECCOMP_FILTER_FLAG_NEW_LISTENER)
	}
	if errno != 0 {
		return fmt.Errorf("seccomp with notifications: %w", errno)
	}
	return unix.Sendmsg(wardenFD, []byte{0}, unix.UnixRights(listener), nil, 0)
}

// pretended stands for an error of number 0, by which a call succeeds without having been made: the library makes EPERM of that.
const pretended = seccomp.ActionTrap

// filter is the BPF program that carries out the policy.
func (p policy) filter() (filter, error) {
	machine, err := arch.GetInfo("")
	if err != nil {
		return nil, err
	}
	known := func(names []string) []string {
		return slices.DeleteFunc(slices.Clone(names), func(name string) bool { _, ok := machine.SyscallNames[name]; return !ok })
	}
	groups := []seccomp.SyscallGroup{{Names: known(p.allowed), Action: seccomp.ActionAllow}}
	calls := map[string][]seccomp.NameWithConditions{}
	for _, call := range p.conditional {
		if _, ok := machine.SyscallNames[call.Name]; ok {
			calls[call.Name] = append(calls[call.Name], call)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(calls)) {
		groups = append(groups, seccomp.SyscallGroup{NamesWithCondtions: calls[name], Action: seccomp.ActionAllow})
	}
	if asked := known(p.asked); len(asked) > 0 {
		groups = append(groups, seccomp.SyscallGroup{Names: asked, Action: seccomp.ActionUserNotify})
	}
	for _, a := range p.answered {
		action := seccomp.ActionErrno | seccomp.Action(a.errno)
		if a.errno == 0 {
			action = pretended
		}
		groups = append(groups, seccomp.SyscallGroup{Names: known(a.calls), Action: action})
	}
	var instructions []bpf.Instruction
	// Each is a program of its own that begins by loading the call's number: after a failed condition, the library would
	// compare the numbers of later calls with the argument that it loaded last.
	for _, group := range groups {
		part, err := assemble(group)
		if err != nil {
			return nil, err
		}
		for i := range part {
			if part[i] == bpf.Instruction(bpf.RetConstant{Val: uint32(pretended)}) {
				part[i] = bpf.RetConstant{Val: uint32(seccomp.ActionErrno)}
			}
		}
		instructions = append(instructions, part...)
	}
	instructions = append(instructions, bpf.RetConstant{Val: uint32(seccomp.ActionErrno) | uint32(unix.ENOSYS)})
	raw, err := bpf.Assemble(instructions)
	if err != nil {
		return nil, err
	}
	program := make(filter, len(raw))
	for i, r := range raw {
		program[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	return program, nil
}

// assemble makes a part of a filter. Calls that it does not name, and those of other architectures, fall through its end.
func assemble(group seccomp.SyscallGroup) ([]bpf.Instruction, error) {
	policy := seccomp.Policy{DefaultAction: seccomp.ActionErrno, Syscalls: []seccomp.SyscallGroup{group}}
	instructions, err := policy.Assemble()
	if err != nil {
		return nil, err
	}
	// The library's default is always EPERM, and is the last instruction.
	byDefault := bpf.Instruction(bpf.RetConstant{Val: uint32(seccomp.ActionErrno) | uint32(unix.EPERM)})
	last := len(instructions) - 1
	if slices.Index(instructions, byDefault) != last {
		return nil, errors.New("the filter does not end with its default action")
	}
	return instructions[:last], nil
}
