package confine

import (
	"slices"
	"syscall"

	"github.com/elastic/go-seccomp-bpf"
	"golang.org/x/sys/unix"

	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// interpreter are the system calls that a program of profile Program may make beside SUMO's. Their reach is bounded by Landlock,
// where they take a path, and by having no descriptors but its own.
var interpreter = []string{
	// files and folders
	"chdir", "fchdir", "mkdir", "mkdirat", "rmdir", "unlink", "unlinkat", "rename", "renameat", "sendfile", "msync", "flock",
	// children. The warden counts them afterwards: were it asked about each, a signal would interrupt fork(2), which shells do not expect
	"fork", "vfork", "wait4", "waitid", "close_range", "getpgid", "getpgrp", "setpgid", "getsid", "setsid", "rt_sigsuspend",
	// waiting, pipes and sockets; a socket can be made by the rules below only
	"pipe", "pipe2", "epoll_create", "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "eventfd", "eventfd2", "signalfd4",
	"timerfd_create", "timerfd_settime", "timerfd_gettime",
	"accept", "accept4", "shutdown", "getsockname", "getpeername", "getsockopt", "recvfrom", "recvmsg", "recvmmsg",
	// questions about itself
	"getgroups", "getresuid", "getresgid", "getpriority", "sched_getparam", "sched_getscheduler", "sched_get_priority_max",
	"sched_get_priority_min",
}

// signals are the calls that send signals by process id.
var signals = []string{"kill", "tgkill", "tkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo"}

// namespaces are the flags of clone(2) that make namespaces, and those that give a child another parent or watcher.
const namespaces = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWUSER |
	unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_PARENT | unix.CLONE_PIDFD | unix.CLONE_PTRACE

// programPolicy is the filter of profile Program.
func programPolicy(loopback bool, plan simulation.Confinement) policy {
	p := policy{
		allowed:     slices.Concat(simulator, interpreter),
		conditional: everywhere(),
		answered: []answered{
			{unix.EAFNOSUPPORT, []string{"socket", "socketpair"}},
			{unix.EACCES, []string{"symlink", "symlinkat", "link", "linkat", "mknod", "mknodat", "chown", "lchown", "fchown", "fchownat"}},
			// Landlock lets a program change modes and times of any file that its user owns, and copying a file takes both.
			{0, []string{"chmod", "fchmod", "fchmodat", "utime", "utimes", "futimesat", "utimensat"}},
			{unix.EOPNOTSUPP, []string{
				"getxattr", "lgetxattr", "fgetxattr", "listxattr", "llistxattr", "flistxattr", "setxattr", "lsetxattr", "fsetxattr",
				"removexattr", "lremovexattr", "fremovexattr",
			}},
		},
	}
	if p.signalsAsked(plan) {
		p.asked = append(p.asked, signals...)
	} else {
		p.allowed = append(p.allowed, signals...)
	}
	// The warden measures a tree's memory; RLIMIT_DATA needs to hold for private memory only.
	p.allow("mmap", condition{when(3, seccomp.BitsNotSet, unix.MAP_GROWSDOWN)})
	p.allow("clone", condition{when(0, seccomp.BitsNotSet, namespaces)})
	p.allow("renameat2", condition{when(4, seccomp.BitsNotSet, unix.RENAME_WHITEOUT)})
	p.allow("prctl", condition{when(0, seccomp.Equal, unix.PR_SET_NAME)}, condition{when(0, seccomp.Equal, unix.PR_GET_NAME)})
	p.allow("sched_setaffinity", condition{when(0, seccomp.Equal, 0)})
	for _, command := range []uint64{unix.F_GETLK, unix.F_SETLK, unix.F_SETLKW} {
		p.allow("fcntl", condition{when(1, seccomp.Equal, command)})
	}
	for _, command := range []uint64{fionbio, unix.TIOCINQ, fioclex, fionclex} {
		p.allow("ioctl", condition{when(1, seccomp.Equal, command)})
	}
	// A pair of datagram sockets could send to any socket by its address.
	for _, flags := range socketFlags {
		p.allow("socketpair", condition{when(0, seccomp.Equal, unix.AF_UNIX), when(1, seccomp.Equal, unix.SOCK_STREAM|flags)})
	}
	// MSG_FASTOPEN connects.
	for name, flags := range map[string]uint32{"sendto": 3, "sendmsg": 2, "sendmmsg": 3} {
		p.allow(name, condition{when(flags, seccomp.BitsNotSet, unix.MSG_FASTOPEN)})
	}
	if loopback {
		p.loopback()
	} else {
		p.answered = append(p.answered, answered{syscall.EOPNOTSUPP, append([]string{"setsockopt"}, brokered...)})
	}
	return p
}

// Commands of ioctl(2) that set a descriptor's flags, from <asm-generic/ioctls.h>.
const (
	fionbio  = 0x5421
	fionclex = 0x5450
	fioclex  = 0x5451
)

// signalsAsked reports whether neither Landlock nor the user keeps a program's signals from others' processes.
func (policy) signalsAsked(plan simulation.Confinement) bool {
	const scopesSignals = 6 // the ABI
	return plan.Landlock < scopesSignals && !plan.User
}

// socketFlags are what may be combined with a type of sockets.
var socketFlags = []uint64{0, unix.SOCK_CLOEXEC, unix.SOCK_NONBLOCK, unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK}

// brokered are the calls that give a socket an address. The warden carries them out.
var brokered = []string{"bind", "connect", "listen"}

// loopback allows TCP over IPv4.
func (p *policy) loopback() {
	for _, flags := range socketFlags {
		for _, protocol := range []uint64{0, unix.IPPROTO_TCP} {
			p.allow("socket", condition{
				when(0, seccomp.Equal, unix.AF_INET), when(1, seccomp.Equal, unix.SOCK_STREAM|flags), when(2, seccomp.Equal, protocol),
			})
		}
	}
	for level, options := range map[uint64][]uint64{
		unix.SOL_SOCKET: {
			unix.SO_REUSEADDR, unix.SO_KEEPALIVE, unix.SO_LINGER, unix.SO_SNDBUF, unix.SO_RCVBUF, unix.SO_SNDTIMEO, unix.SO_RCVTIMEO,
		},
		unix.IPPROTO_TCP: {unix.TCP_NODELAY, unix.TCP_QUICKACK, unix.TCP_KEEPIDLE, unix.TCP_KEEPINTVL, unix.TCP_KEEPCNT},
	} {
		for _, option := range options {
			p.allow("setsockopt", condition{when(1, seccomp.Equal, level), when(2, seccomp.Equal, option)})
		}
	}
	p.answered = append(p.answered, answered{syscall.ENOPROTOOPT, []string{"setsockopt"}})
	p.asked = append(p.asked, brokered...)
}
