package confine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// broker carries out the calls that a tree's filter leaves to the warden (seccomp_unotify(2)). It never lets a call go on whose meaning
// lies in the program's memory, which another thread may change: it acts on its own copy.
//
// A signal whose handler does not restart calls interrupts one that the broker has not received yet: the program sees EINTR, though nothing
// goes on behind it.
type broker struct {
	listener *os.File
	warden   int // the process whose descendants may ask
	ports    ports
	// connected are the sockets that connect has made, as /proc shows them, and the ports to which they lead.
	connected map[string]int
}

func newBroker(listener *os.File) *broker {
	return &broker{listener: listener, warden: os.Getpid(), ports: ports{}, connected: map[string]int{}}
}

// mostConnected bounds how many connections are remembered.
const mostConnected = 1024

// notification, reply and newDescriptor are the kernel's struct seccomp_notif, seccomp_notif_resp and seccomp_notif_addfd.
type (
	notification struct {
		id    uint64
		task  uint32
		flags uint32
		call  int32
		arch  uint32
		at    uint64
		args  [6]uint64
	}
	reply struct {
		id    uint64
		value int64
		errno int32
		flags uint32
	}
	newDescriptor struct {
		id       uint64
		flags    uint32
		source   uint32
		target   uint32
		newFlags uint32
	}
)

// serve answers until the listener fails, which is when nobody can ask any more.
func (b *broker) serve() {
	for {
		var n notification
		switch err := b.ioctl(unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(&n)); {
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.ENOENT): // the one who asked has ended
			continue
		case err != nil:
			return
		}
		r := b.answer(n)
		_ = b.ioctl(unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&r)) // it fails only when the one who asked has ended
	}
}

func (b *broker) ioctl(command uintptr, argument unsafe.Pointer) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, b.listener.Fd(), command, uintptr(argument)); errno != 0 {
		return errno
	}
	return nil
}

func (b *broker) answer(n notification) reply {
	goOn := func(err error) reply {
		r := reply{id: n.id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
		if err != nil {
			r = refuse(n, err)
		}
		return r
	}
	switch n.call {
	case unix.SYS_BIND:
		return refuse(n, b.bind(n))
	case unix.SYS_LISTEN:
		return refuse(n, b.listen(n))
	case unix.SYS_CONNECT:
		return refuse(n, b.connect(n))
	case unix.SYS_KILL:
		return goOn(b.maySignal(n, int(int32(n.args[0]))))
	case unix.SYS_TGKILL, unix.SYS_TKILL, unix.SYS_RT_SIGQUEUEINFO, unix.SYS_RT_TGSIGQUEUEINFO:
		return goOn(b.maySignalProcess(int(int32(n.args[0]))))
	}
	return refuse(n, unix.ENOSYS)
}

// refuse replies with an error, or with success for nil.
func refuse(n notification, err error) reply {
	if err == nil {
		return reply{id: n.id}
	}
	errno := syscall.EIO
	if e, ok := errors.AsType[syscall.Errno](err); ok {
		errno = e
	}
	return reply{id: n.id, errno: -int32(errno)}
}

// maySignal is nil if all that kill(2) would signal belongs to the tree. To the program, nothing else exists.
func (b *broker) maySignal(n notification, target int) error {
	switch {
	case target > 0:
		return b.maySignalProcess(target)
	case target == -1:
		return unix.EPERM
	}
	all, err := tasks()
	if err != nil {
		return err
	}
	group := -target
	if target == 0 {
		process, err := processOf(int(n.task))
		if err != nil {
			return err
		}
		t, err := taskOf(process)
		if err != nil {
			return err
		}
		group = t.group
	}
	members := 0
	for _, t := range all {
		if t.group == group {
			members++
		}
	}
	for _, t := range descendants(b.warden, all) {
		if t.group == group {
			members--
		}
	}
	if members != 0 {
		return unix.ESRCH
	}
	return nil
}

// maySignalProcess is nil if a process or thread belongs to the tree. That it ends before the call goes on, and its id goes to another
// process, takes a whole round of all ids in that time.
func (b *broker) maySignalProcess(target int) error {
	process, err := processOf(target)
	if err != nil {
		return unix.ESRCH
	}
	all, err := tasks()
	if err != nil {
		return err
	}
	for _, t := range descendants(b.warden, all) {
		if t.pid == process {
			return nil
		}
	}
	return unix.ESRCH
}

// processOf is the process of a thread.
func processOf(thread int) (int, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", thread))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if id, found := strings.CutPrefix(line, "Tgid:"); found {
			return strconv.Atoi(strings.TrimSpace(id))
		}
	}
	return 0, fmt.Errorf("/proc/%d/status names no process", thread)
}

// asked is a socket of the program and what it wants with it.
type asked struct {
	descriptor uint32
	inode      string // as /proc shows it: "socket:[4711]"
	nonBlock   bool
	close      bool // on exec
	address    [4]byte
	port       int
}

// look reads what a call is about: its socket and, where it has one, its address.
func (b *broker) look(n notification, addressed bool) (asked, error) {
	a := asked{descriptor: uint32(n.args[0])}
	var err error
	if a.inode, err = os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", n.task, a.descriptor)); err != nil {
		return a, unix.EBADF
	}
	if !strings.HasPrefix(a.inode, socketLink) {
		return a, unix.ENOTSOCK
	}
	if err := a.readFlags(int(n.task)); err != nil {
		return a, err
	}
	if addressed {
		if err := a.readAddress(n); err != nil {
			return a, err
		}
	}
	// So far, the task's id may have been another's.
	return a, b.ioctl(unix.SECCOMP_IOCTL_NOTIF_ID_VALID, unsafe.Pointer(&n.id))
}

// socketLink is how the link of a socket's descriptor begins.
const socketLink = "socket:["

func (a *asked) readFlags(task int) error {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/fdinfo/%d", task, a.descriptor))
	if err != nil {
		return unix.EBADF
	}
	for line := range strings.Lines(string(text)) {
		if octal, found := strings.CutPrefix(line, "flags:"); found {
			flags, err := strconv.ParseUint(strings.TrimSpace(octal), 8, 64)
			a.nonBlock, a.close = flags&unix.O_NONBLOCK != 0, flags&unix.O_CLOEXEC != 0
			return err
		}
	}
	return unix.EBADF
}

// readAddress copies the struct sockaddr_in that the second and third argument describe.
func (a *asked) readAddress(n notification) error {
	var text [unix.SizeofSockaddrInet4]byte
	if n.args[2] < uint64(len(text)) {
		return unix.EINVAL
	}
	memory, err := os.Open(fmt.Sprintf("/proc/%d/mem", n.task))
	if err != nil {
		return err
	}
	defer memory.Close()
	if _, err := unix.Pread(int(memory.Fd()), text[:], int64(n.args[1])); err != nil {
		return unix.EFAULT
	}
	if family := binary.NativeEndian.Uint16(text[:]); family != unix.AF_INET {
		return unix.EAFNOSUPPORT
	}
	a.port, a.address = int(binary.BigEndian.Uint16(text[2:])), [4]byte(text[4:8])
	return nil
}

// local reports whether an address is this machine's only in every network: 127.0.0.0/8 or 0.0.0.0.
func (a asked) local() bool { return a.address[0] == 127 || a.address == [4]byte{} }

// bind gives the program a socket that listens on a port of the tree.
func (b *broker) bind(n notification) error {
	a, err := b.look(n, true)
	switch {
	case err != nil:
		return err
	case !a.local():
		return unix.EADDRNOTAVAIL
	case b.ports.has(a.inode) && (a.port == 0 || b.ports[a.port].inode == a.inode):
		return nil // a signal has interrupted the call after it was carried out, and it comes again
	}
	return b.open(n, a)
}

// listen has nothing to do for a socket with a port: it listens already. Any other gets a port.
func (b *broker) listen(n notification) error {
	a, err := b.look(n, false)
	if err != nil || b.ports.has(a.inode) {
		return err
	}
	return b.open(n, a)
}

func (b *broker) open(n notification, a asked) error {
	if err := b.ports.forgetClosed(b.warden); err != nil {
		return err
	}
	socket, err := b.ports.open(a.port)
	if err != nil {
		return err
	}
	return b.replace(n, a, socket)
}

// connect gives the program a socket that is connected to a port of the tree.
func (b *broker) connect(n notification) error {
	a, err := b.look(n, true)
	switch {
	case err != nil:
		return err
	case !a.local():
		return unix.ENETUNREACH
	case b.connected[a.inode] == a.port && a.port > 0:
		return nil // as with bind
	}
	if err := b.ports.forgetClosed(b.warden); err != nil {
		return err
	}
	socket, err := b.ports.dial(a.port)
	if err != nil {
		return err
	}
	defer unix.Close(socket)
	inode, err := inodeOf(socket)
	if err != nil {
		return err
	}
	if err := b.replace(n, a, socket); err != nil {
		return err
	}
	if len(b.connected) >= mostConnected {
		clear(b.connected)
	}
	b.connected[inode] = a.port
	return nil
}

// replace puts a socket in the place of the program's own.
func (b *broker) replace(n notification, a asked, socket int) error {
	if err := unix.SetNonblock(socket, a.nonBlock); err != nil {
		return err
	}
	d := newDescriptor{id: n.id, flags: unix.SECCOMP_ADDFD_FLAG_SETFD, source: uint32(socket), target: a.descriptor}
	if a.close {
		d.newFlags = unix.O_CLOEXEC
	}
	return b.ioctl(unix.SECCOMP_IOCTL_NOTIF_ADDFD, unsafe.Pointer(&d))
}
