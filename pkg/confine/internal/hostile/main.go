// Command hostile stands in for a SUMO that has been taken over: it tries what such a program would, and prints the
// result of each attempt. It is started as SUMO is, with a scenario; lines of the file tries.txt in it name further
// things to try:
//
//	read PATH · list PATH · write PATH · change PATH · become PATH · unix PATH · abstract NAME · tcp IPV4 PORT ·
//	memory · stack · addresses · disk · reserved · deleted · wait
//
// A line of the output is "refused: WHAT (WHY)" or "DONE: WHAT". It makes system calls of its own, as the packages that
// are made for them need more than the wall allows.
package main

import (
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// attempt prints the result of a try.
func attempt(what string, err error) {
	if err == nil {
		fmt.Println("DONE:", what)
		return
	}
	fmt.Printf("refused: %s (%v)\n", what, err)
}

func errnoOf(result int64) error {
	if result < 0 && result > -4096 {
		return syscall.Errno(-result)
	}
	return nil
}

// call makes a system call. It is RawSyscall6, because the runtime waits for the others.
func call(trap uintptr, args ...uintptr) error {
	var a [6]uintptr
	copy(a[:], args)
	if _, _, errno := unix.RawSyscall6(trap, a[0], a[1], a[2], a[3], a[4], a[5]); errno != 0 {
		return errno
	}
	return nil
}

func text(s string) uintptr {
	p, err := unix.BytePtrFromString(s)
	if err != nil {
		panic(err)
	}
	return uintptr(unsafe.Pointer(p))
}

func open(path string, flags int) error {
	fd, err := unix.Open(path, flags, 0o600)
	if err == nil {
		unix.Close(fd)
	}
	return err
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == "--version" { // as SUMO does
		fmt.Println("Eclipse SUMO sumo Version 1.15.0")
		return
	}
	debug.SetGCPercent(-1) // system calls get addresses that the collector does not know
	signal.Ignore(unix.SIGTERM, unix.SIGXFSZ, unix.SIGHUP, unix.SIGINT)
	tries := readFile("tries.txt")
	itself()
	files()
	sockets()
	processes()
	otherCalls()
	otherInterfaces()
	for line := range strings.Lines(tries) {
		given(strings.Fields(line))
	}
	fmt.Println("hostile: all tried")
}

func readFile(name string) string {
	fd, err := unix.Open(name, unix.O_RDONLY, 0)
	if err != nil {
		fmt.Println("hostile:", name, err)
		return ""
	}
	defer unix.Close(fd)
	buf := make([]byte, 64<<10)
	n, err := unix.Read(fd, buf)
	if err != nil {
		fmt.Println("hostile:", name, err)
		return ""
	}
	return string(buf[:n])
}

// itself prints what the program was given.
func itself() {
	var names []string
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		names = append(names, name)
	}
	fmt.Println("environment:", strings.Join(names, " "))
	name := make([]byte, 4096)
	n, _ := unix.Readlink("/proc/self/exe", name)
	fmt.Println("program:", string(name[:max(n, 0)]))
	fmt.Println("user:", os.Getuid(), os.Getgid())
	var inherited []int
	for fd := 3; fd < 1024; fd++ {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil {
			inherited = append(inherited, fd)
		}
	}
	fmt.Println("descriptors:", inherited)
	var core unix.Rlimit
	_ = unix.Prlimit(0, unix.RLIMIT_CORE, nil, &core)
	fmt.Println("core dumps:", core.Max)
	var threads unix.Rlimit
	_ = unix.Prlimit(0, unix.RLIMIT_NPROC, nil, &threads)
	fmt.Println("threads of its user:", threads.Max)
	var in unix.Stat_t
	_ = unix.Fstat(0, &in)
	fmt.Println("standard input:", unix.Major(in.Rdev), unix.Minor(in.Rdev))
}

func files() {
	parent := "/proc/" + strconv.Itoa(os.Getppid())
	for _, path := range []string{
		"/etc/passwd", "/etc/shadow", "/etc/hostname", "/proc/self/environ", "/proc/self/mem", "/proc/self/maps", "/proc/self/root/etc/passwd",
		parent + "/environ", parent + "/maps", parent + "/root/etc/passwd", "/proc/1/environ", "/proc/cpuinfo", "/var/run/argo/template",
		"/var/run/secrets/kubernetes.io/serviceaccount/token", "/dev/mem", "/dev/kmsg", "/sys/kernel/mm/transparent_hugepage/enabled",
	} {
		attempt("read "+path, open(path, unix.O_RDONLY))
	}
	for _, path := range []string{"/", "/etc", "/tmp", "/root", "/home", "/proc", "..", "../.."} {
		attempt("list "+path, list(path))
	}
	for _, path := range []string{"/tmp/hostile", "/var/tmp/hostile", "/dev/shm/hostile", "../hostile", "../../hostile", "../../out/hostile"} {
		attempt("make "+path, open(path, unix.O_WRONLY|unix.O_CREAT))
	}
	attempt("an unnamed file in /tmp", open("/tmp", unix.O_TMPFILE|unix.O_RDWR))
	// What the run's folder shows of the scenario is the one copy.
	change("tries.txt")
	change("../scenario/tries.txt")
	attempt("remove what it made", removed())
	for what, err := range map[string]error{
		"a link that leads out": call(unix.SYS_SYMLINKAT, text("/etc"), ^uintptr(99), text("etc")),
		"a second name":         call(unix.SYS_LINKAT, ^uintptr(99), text("/etc/passwd"), ^uintptr(99), text("passwd"), 0),
		"a pipe":                call(unix.SYS_MKNODAT, ^uintptr(99), text("pipe"), unix.S_IFIFO|0o600, 0),
		"a device":              call(unix.SYS_MKNODAT, ^uintptr(99), text("device"), unix.S_IFBLK|0o600, 0),
		"a folder":              call(unix.SYS_MKDIRAT, ^uintptr(99), text("folder"), 0o700),
	} {
		attempt("make "+what, err)
	}
}

func list(path string) error {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	_, err = unix.ReadDirent(fd, make([]byte, 4096))
	return err
}

func removed() error {
	if err := open("made-by-hostile", unix.O_WRONLY|unix.O_CREAT); err != nil {
		fmt.Println("hostile: cannot write in its own folder:", err)
	}
	return call(unix.SYS_UNLINKAT, ^uintptr(99), text("made-by-hostile"), 0)
}

// change tries everything that would alter a file.
func change(path string) {
	const atFDCWD = ^uintptr(99)
	const bothModes = unix.O_WRONLY | unix.O_RDWR
	name := text(path)
	times := [2]unix.Timespec{}
	for what, err := range map[string]error{
		"write":                     open(path, unix.O_WRONLY),
		"append to":                 open(path, unix.O_WRONLY|unix.O_APPEND),
		"empty, opened to write":    open(path, unix.O_WRONLY|unix.O_TRUNC),
		"empty, opened to read":     open(path, unix.O_RDONLY|unix.O_TRUNC),
		"empty, opened for nothing": open(path, bothModes|unix.O_TRUNC),
		"truncate":                  call(unix.SYS_TRUNCATE, name, 0),
		"chmod":                     call(unix.SYS_FCHMODAT, atFDCWD, name, 0o777),
		"chown":                     call(unix.SYS_FCHOWNAT, atFDCWD, name, 65534, 65534, 0),
		"set the times of":          call(unix.SYS_UTIMENSAT, atFDCWD, name, uintptr(unsafe.Pointer(&times)), 0),
		"set an attribute of":       call(unix.SYS_SETXATTR, name, text("user.hostile"), text("x"), 1, 0),
		"rename":                    call(unix.SYS_RENAMEAT2, atFDCWD, name, atFDCWD, text("../renamed"), 0),
		"remove":                    call(unix.SYS_UNLINKAT, atFDCWD, name, 0),
		"move here":                 call(unix.SYS_RENAMEAT2, atFDCWD, name, atFDCWD, text("moved"), 0),
		"replace":                   call(unix.SYS_RENAMEAT2, atFDCWD, text("made-by-hostile"), atFDCWD, name, 0),
	} {
		attempt(what+" "+path, err)
	}
}

func sockets() {
	for family, name := range map[int]string{
		unix.AF_UNIX: "UNIX", unix.AF_INET: "INET", unix.AF_INET6: "INET6", unix.AF_NETLINK: "NETLINK", unix.AF_PACKET: "PACKET",
		unix.AF_VSOCK: "VSOCK", unix.AF_ALG: "ALG", unix.AF_BLUETOOTH: "BLUETOOTH", unix.AF_XDP: "XDP",
	} {
		for kind, kindName := range map[int]string{unix.SOCK_STREAM: "stream", unix.SOCK_DGRAM: "datagram", unix.SOCK_RAW: "raw"} {
			fd, err := unix.Socket(family, kind, 0)
			attempt("socket "+name+" "+kindName, err)
			if err == nil && family == unix.AF_INET && kind == unix.SOCK_STREAM {
				attempt("bind", unix.Bind(fd, &unix.SockaddrInet4{}))
				attempt("listen", unix.Listen(fd, 1))
			}
		}
	}
	var pair [2]int32
	attempt("socketpair", call(unix.SYS_SOCKETPAIR, unix.AF_UNIX, unix.SOCK_STREAM, 0, uintptr(unsafe.Pointer(&pair))))
}

func processes() {
	parent := uintptr(os.Getppid())
	var limit unix.Rlimit
	var local, remote unix.Iovec
	info := [128]byte{}
	for what, err := range map[string]error{
		"ptrace its parent":            call(unix.SYS_PTRACE, unix.PTRACE_SEIZE, parent, 0, 0),
		"signal its parent":            call(unix.SYS_KILL, parent, 0),
		"signal everything":            call(unix.SYS_KILL, ^uintptr(0), 0),
		"signal its group":             call(unix.SYS_KILL, 0, 0),
		"tgkill its parent":            call(unix.SYS_TGKILL, parent, parent, 0),
		"tkill its parent":             call(unix.SYS_TKILL, parent, 0),
		"queue a signal to its parent": call(unix.SYS_RT_SIGQUEUEINFO, parent, 0, uintptr(unsafe.Pointer(&info))),
		"pidfd of its parent":          call(unix.SYS_PIDFD_OPEN, parent, 0),
		"a descriptor of its parent":   call(unix.SYS_PIDFD_GETFD, 0, 0, 0),
		"read its parent's memory": call(
			unix.SYS_PROCESS_VM_READV, parent, uintptr(unsafe.Pointer(&local)), 1, uintptr(unsafe.Pointer(&remote)), 1, 0,
		),
		"write its parent's memory": call(
			unix.SYS_PROCESS_VM_WRITEV, parent, uintptr(unsafe.Pointer(&local)), 1, uintptr(unsafe.Pointer(&remote)), 1, 0,
		),
		"its parent's limits":          call(unix.SYS_PRLIMIT64, parent, unix.RLIMIT_CORE, 0, uintptr(unsafe.Pointer(&limit))),
		"its parent's priority":        call(unix.SYS_SETPRIORITY, unix.PRIO_PROCESS, parent, 0),
		"signals by a descriptor":      call(unix.SYS_FCNTL, 1, unix.F_SETOWN, parent),
		"a process":                    forked(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0),
		"a process with shared memory": call(unix.SYS_CLONE3, 0, 0),
		// Arguments that are the numbers of other calls, for a filter that confuses them.
		"a process with an odd signal": forked(unix.SYS_CLONE, unix.SYS_FCNTL, 0, 0, 0, 0),
		"signal its parent oddly":      call(unix.SYS_KILL, unix.SYS_FCNTL<<32|parent, 0),
		"its parent's limits, oddly": call(
			unix.SYS_PRLIMIT64, unix.SYS_FCNTL<<32|parent, unix.RLIMIT_FSIZE, 0, uintptr(unsafe.Pointer(&limit)),
		),
		"another user":                   call(unix.SYS_SETRESUID, ^uintptr(0), ^uintptr(0), ^uintptr(0)),
		"another group":                  call(unix.SYS_SETRESGID, ^uintptr(0), ^uintptr(0), ^uintptr(0)),
		"a user namespace":               call(unix.SYS_UNSHARE, unix.CLONE_NEWUSER),
		"a namespace of another":         call(unix.SYS_SETNS, 0, 0),
		"a higher limit":                 raised(),
		"a larger stack":                 unix.Prlimit(0, unix.RLIMIT_STACK, &unix.Rlimit{Cur: 9 << 20, Max: 9 << 20}, nil),
		"to change what prctl can":       call(unix.SYS_PRCTL, unix.PR_SET_DUMPABLE, 1),
		"another root":                   call(unix.SYS_CHROOT, text(".")),
		"a Landlock ruleset of its own":  call(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, 1),
		"a filter of its own":            call(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, 0),
		"to take its personality off":    call(unix.SYS_PERSONALITY, 0),
		"the scheduler of its parent":    call(unix.SYS_SCHED_SETSCHEDULER, parent, 0, uintptr(unsafe.Pointer(&info))),
		"the affinity of its parent":     call(unix.SYS_SCHED_SETAFFINITY, parent, 8, uintptr(unsafe.Pointer(&info))),
		"its parent's robust list":       call(unix.SYS_MOVE_PAGES, parent, 0, 0, 0, 0, 0),
		"to compare its parent's files":  call(unix.SYS_KCMP, parent, parent, 0, 0, 0),
		"a new session":                  call(unix.SYS_SETSID),
		"its parent's group":             call(unix.SYS_SETPGID, 0, parent),
		"the terminal":                   call(unix.SYS_IOCTL, 0, unix.TIOCSTI, text("x")),
		"capabilities":                   call(unix.SYS_CAPSET, 0, 0),
		"no limits on what it allocates": call(unix.SYS_MLOCKALL, 1),
	} {
		attempt("processes: "+what, err)
	}
	for _, old := range oldForks {
		attempt("processes: "+old.name, forked(old.trap))
	}
}

// forked makes a process, and has it end at once.
func forked(trap uintptr, args ...uintptr) error {
	var a [6]uintptr
	copy(a[:], args)
	pid, _, errno := unix.RawSyscall6(trap, a[0], a[1], a[2], a[3], a[4], a[5])
	if errno != 0 {
		return errno
	}
	if pid == 0 {
		for {
			_, _, _ = unix.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
		}
	}
	return nil
}

func raised() error {
	var limit unix.Rlimit
	if err := unix.Prlimit(0, unix.RLIMIT_CORE, nil, &limit); err != nil {
		return err
	}
	limit.Cur, limit.Max = 1<<20, 1<<20
	return unix.Prlimit(0, unix.RLIMIT_CORE, &limit, nil)
}

func otherCalls() {
	for what, err := range map[string]error{
		"System V shared memory": call(unix.SYS_SHMGET, 0, 4096, unix.IPC_CREAT|0o600),
		"System V messages":      call(unix.SYS_MSGGET, 0, unix.IPC_CREAT|0o600),
		"System V semaphores":    call(unix.SYS_SEMGET, 0, 1, unix.IPC_CREAT|0o600),
		"a POSIX message queue":  call(unix.SYS_MQ_OPEN, text("hostile"), unix.O_CREAT|unix.O_RDWR, 0o600, 0),
		"memfd_create":           call(unix.SYS_MEMFD_CREATE, text("hostile"), 0),
		"shared memory": call(
			unix.SYS_MMAP, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANONYMOUS, ^uintptr(0), 0,
		),
		"mount":                 call(unix.SYS_MOUNT, text("tmpfs"), text("."), text("tmpfs"), 0, 0),
		"open_tree":             call(unix.SYS_OPEN_TREE, ^uintptr(99), text("/"), 0),
		"a key":                 call(unix.SYS_ADD_KEY, text("user"), text("hostile"), text("x"), 1, ^uintptr(2)),
		"keyctl":                call(unix.SYS_KEYCTL, 0, ^uintptr(2), 0),
		"bpf":                   call(unix.SYS_BPF, 0, 0, 0),
		"userfaultfd":           call(unix.SYS_USERFAULTFD, 1),
		"io_uring":              call(unix.SYS_IO_URING_SETUP, 1, text(strings.Repeat("x", 120))),
		"perf_event_open":       call(unix.SYS_PERF_EVENT_OPEN, 0, 0, 0, 0, 0),
		"openat2":               call(unix.SYS_OPENAT2, ^uintptr(99), text("/etc/passwd"), text(strings.Repeat("x", 24)), 24),
		"open_by_handle_at":     call(unix.SYS_OPEN_BY_HANDLE_AT, 0, 0, 0),
		"fanotify":              call(unix.SYS_FANOTIFY_INIT, 0, 0),
		"inotify":               call(unix.SYS_INOTIFY_INIT1, 0),
		"the log of the kernel": call(unix.SYS_SYSLOG, 10, 0, 0),
		"the host's name":       call(unix.SYS_SETHOSTNAME, text(""), 0),
		"the clock":             call(unix.SYS_SETTIMEOFDAY, 0, 0),
		"a kernel module":       call(unix.SYS_FINIT_MODULE, 0, text(""), 0),
		"sync of everything":    call(unix.SYS_SYNC),
		"splice":                call(unix.SYS_SPLICE, 0, 0, 1, 0, 1, 0),
	} {
		attempt(what, err)
	}
}

// given is one line of tries.txt.
func given(words []string) {
	if len(words) == 0 {
		return
	}
	what := strings.Join(words, " ")
	switch words[0] {
	case "read":
		attempt(what, open(words[1], unix.O_RDONLY))
	case "list":
		attempt(what, list(words[1]))
	case "write":
		attempt(what, open(words[1], unix.O_WRONLY|unix.O_CREAT))
	case "change":
		change(words[1])
	case "unix":
		attempt(what, connect(unix.AF_UNIX, &unix.SockaddrUnix{Name: words[1]}))
	case "abstract":
		attempt(what, connect(unix.AF_UNIX, &unix.SockaddrUnix{Name: "@" + words[1]}))
	case "tcp":
		port, _ := strconv.Atoi(words[2])
		attempt(what, connect(unix.AF_INET, &unix.SockaddrInet4{Addr: netip.MustParseAddr(words[1]).As4(), Port: port}))
	case "become":
		attempt(what, call(unix.SYS_EXECVE, text(words[1]), 0, 0))
		attempt(what+" by another call", call(unix.SYS_EXECVEAT, ^uintptr(99), text(words[1]), 0, 0, 0))
	case "memory":
		fillMemory(what, 0)
	case "stack":
		fillMemory(what, unix.MAP_GROWSDOWN)
	case "addresses":
		attempt(what, reserve(1<<40))
	case "disk":
		fillDisk("grown-by-hostile", unix.O_WRONLY|unix.O_CREAT)
	case "reserved":
		attempt(what, reserveDisk("reserved-by-hostile"))
	case "wait":
		_ = unix.Nanosleep(&unix.Timespec{Sec: 5}, nil) // time.Sleep makes an epoll instance
	case "deleted":
		fillDisk(".", unix.O_WRONLY|unix.O_TMPFILE)
	default:
		fmt.Println("hostile: what is", what)
	}
}

func connect(family int, to unix.Sockaddr) error {
	fd, err := unix.Socket(family, unix.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Connect(fd, to)
}

const mebibyte = 1 << 20

// enough, in MiB, is more than any test allows.
const enough = 16 << 10

// reserve maps memory that can be read only: the tables of what it reads of it cost memory.
func reserve(size uintptr) error {
	return call(unix.SYS_MMAP, 0, size, unix.PROT_READ, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE, ^uintptr(0), 0)
}

// fillMemory allocates and touches memory until it gets no more.
func fillMemory(what string, flags uintptr) {
	for n := 0; n < enough; n += 16 {
		at, _, errno := unix.RawSyscall6(
			unix.SYS_MMAP, 0, 16*mebibyte, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|flags, ^uintptr(0), 0,
		)
		if errno != 0 {
			fmt.Printf("refused: %s (%v) after %d MiB\n", what, errno, n)
			return
		}
		touch(at, 16*mebibyte)
	}
	fmt.Println("DONE:", what)
}

// reserveDisk takes disk space faster than anybody could write.
func reserveDisk(name string) error {
	fd, err := unix.Open(name, unix.O_WRONLY|unix.O_CREAT, 0o600)
	if err != nil {
		return nil // so that it is noticed
	}
	return call(unix.SYS_FALLOCATE, uintptr(fd), 0, 0, 4*mebibyte)
}

// fillDisk writes to one file until it may not.
func fillDisk(name string, flags int) {
	fd, err := unix.Open(name, flags, 0o600)
	if err != nil {
		fmt.Printf("refused: disk %s (%v)\n", name, err)
		return
	}
	block := make([]byte, mebibyte)
	for n := range enough {
		for left := block; len(left) > 0; {
			written, err := unix.Write(fd, left)
			if err != nil {
				fmt.Printf("refused: disk %s (%v) after %d MiB\n", name, err, n)
				return
			}
			left = left[written:]
		}
	}
	fmt.Println("DONE: disk", name)
}
