package confine

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"unsafe"

	"github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// profiles are the system calls that each kind of program may make with any arguments. Names that an architecture lacks are
// skipped there. All other calls answer ENOSYS, as on a kernel without them, so that libraries fall back to older ones
// (clone for clone3, openat for openat2).
var profiles = map[Profile][]string{
	SUMO: {
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
	},
}

// conditional are the calls that every profile allows with certain arguments only; pid is the confined process.
func conditional(pid int) []seccomp.NameWithConditions {
	var calls []seccomp.NameWithConditions
	allow := func(name string, alternatives ...seccomp.ArgumentConditions) {
		for _, conditions := range alternatives {
			calls = append(calls, seccomp.NameWithConditions{Name: name, Conditions: conditions})
		}
	}
	when := func(argument uint32, operation seccomp.Operation, value uint64) seccomp.Condition {
		return seccomp.Condition{Argument: argument, Operation: operation, Value: value}
	}
	// Before ABI 3, Landlock lets O_TRUNC empty a file that is only readable: open(2) truncates in any access mode. So
	// O_TRUNC requires O_WRONLY or O_RDWR, which Landlock checks; with both bits it checks nothing. O_TMPFILE is refused: an
	// unnamed file stays on the disk as long as it is mapped, where the quota does not see it.
	for name, flags := range map[string]uint32{"open": 1, "openat": 2} {
		named := when(flags, seccomp.BitsNotSet, unix.O_TMPFILE&^unix.O_DIRECTORY)
		allow(name,
			seccomp.ArgumentConditions{named, when(flags, seccomp.BitsNotSet, unix.O_TRUNC)},
			seccomp.ArgumentConditions{named, when(flags, seccomp.BitsSet, unix.O_WRONLY), when(flags, seccomp.BitsNotSet, unix.O_RDWR)},
			seccomp.ArgumentConditions{named, when(flags, seccomp.BitsSet, unix.O_RDWR), when(flags, seccomp.BitsNotSet, unix.O_WRONLY)})
	}
	// RLIMIT_DATA counts neither shared anonymous memory nor mappings that grow like a stack.
	allow("mmap",
		seccomp.ArgumentConditions{when(3, seccomp.BitsNotSet, unix.MAP_ANONYMOUS)},
		seccomp.ArgumentConditions{when(3, seccomp.BitsSet, unix.MAP_PRIVATE), when(3, seccomp.BitsNotSet, unix.MAP_SHARED|unix.MAP_GROWSDOWN)})
	allow("clone", seccomp.ArgumentConditions{when(0, seccomp.BitsSet, unix.CLONE_THREAD)})
	// abort(3) is a signal to oneself.
	for _, name := range []string{"kill", "tgkill"} {
		allow(name, seccomp.ArgumentConditions{when(0, seccomp.Equal, uint64(pid))})
	}
	// Only to read limits: a raised stack limit would allow memory that RLIMIT_DATA does not count.
	for _, self := range []int{0, pid} {
		allow("prlimit64", seccomp.ArgumentConditions{when(0, seccomp.Equal, uint64(self)), when(2, seccomp.Equal, 0)})
	}
	// Not F_SETOWN, which makes the kernel send signals on the caller's behalf.
	for _, command := range []uint64{unix.F_DUPFD, unix.F_DUPFD_CLOEXEC, unix.F_GETFD, unix.F_SETFD, unix.F_GETFL, unix.F_SETFL} {
		allow("fcntl", seccomp.ArgumentConditions{when(1, seccomp.Equal, command)})
	}
	allow("ioctl", seccomp.ArgumentConditions{when(1, seccomp.Equal, unix.TCGETS)}) // isatty(3)
	return calls
}

// filterCalls installs the system call filter on this thread. It is inherited and cannot be removed.
func (o order) filterCalls() error {
	if !o.Plan.Filter {
		return nil
	}
	program, err := filter(o.Wall.Profile, os.Getpid())
	if err != nil {
		return err
	}
	code := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	if _, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&code))); errno != 0 {
		return fmt.Errorf("seccomp: %w", errno)
	}
	return nil
}

// filter is the BPF program that decides each system call of process pid.
func filter(profile Profile, pid int) ([]unix.SockFilter, error) {
	names, known := profiles[profile]
	if !known {
		return nil, fmt.Errorf("there is no profile %q", profile)
	}
	machine, err := arch.GetInfo("")
	if err != nil {
		return nil, err
	}
	allowed := seccomp.SyscallGroup{Action: seccomp.ActionAllow}
	for _, name := range names {
		if _, ok := machine.SyscallNames[name]; ok {
			allowed.Names = append(allowed.Names, name)
		}
	}
	groups := [][]seccomp.SyscallGroup{{
		// SUMO opens a socket at every start, and copes without one.
		{Names: []string{"socket", "socketpair"}, Action: seccomp.ActionErrno | seccomp.Action(unix.EAFNOSUPPORT)},
		allowed,
	}}
	calls := map[string][]seccomp.NameWithConditions{}
	for _, call := range conditional(pid) {
		if _, ok := machine.SyscallNames[call.Name]; ok {
			calls[call.Name] = append(calls[call.Name], call)
		}
	}
	// Each is a program of its own that begins by loading the call's number: after a failed condition, the library would
	// compare the numbers of later calls with the argument that it loaded last.
	for _, name := range slices.Sorted(maps.Keys(calls)) {
		groups = append(groups, []seccomp.SyscallGroup{{NamesWithCondtions: calls[name], Action: seccomp.ActionAllow}})
	}
	var instructions []bpf.Instruction
	for _, group := range groups {
		part, err := assemble(group)
		if err != nil {
			return nil, err
		}
		instructions = append(instructions, part...)
	}
	instructions = append(instructions, bpf.RetConstant{Val: uint32(seccomp.ActionErrno) | uint32(unix.ENOSYS)})
	raw, err := bpf.Assemble(instructions)
	if err != nil {
		return nil, err
	}
	program := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		program[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	return program, nil
}

// assemble makes a part of a filter. Calls that it does not name, and those of other architectures, fall through its end.
func assemble(groups []seccomp.SyscallGroup) ([]bpf.Instruction, error) {
	policy := seccomp.Policy{DefaultAction: seccomp.ActionErrno, Syscalls: groups}
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
