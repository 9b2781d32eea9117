package confine

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// ports are the TCP ports of a tree, by the numbers that its programs know. Each tree has all of them: another tree's, or the machine's,
// are others. Behind a port is a socket that listens on the loopback interface, on whichever port is free there.
type ports map[int]port

// port is a socket that listens. As long as this copy of it is open, its number on the machine is nobody else's.
type port struct {
	socket int
	inode  string // as /proc shows it
	number int    // on the machine
}

// mostPorts bounds how many ports a tree has at a time.
const mostPorts = 64

// backlog is how many connections may wait to be accepted.
const backlog = 128

// open makes a socket that listens on a port, or on any for 0. It belongs to ports.
func (p ports) open(wanted int) (socket int, err error) {
	if _, taken := p[wanted]; taken {
		return 0, unix.EADDRINUSE
	}
	if len(p) >= mostPorts {
		return 0, unix.ENOBUFS
	}
	for range 10 {
		opened, err := listening()
		if err != nil {
			return 0, err
		}
		number := wanted
		if number == 0 {
			number = opened.number
		}
		if _, taken := p[number]; taken { // under a number that the program chose
			unix.Close(opened.socket)
			continue
		}
		p[number] = opened
		return opened.socket, nil
	}
	return 0, unix.EADDRINUSE
}

var loopbackAddress = [4]byte{127, 0, 0, 1}

func stream() (int, error) {
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return 0, err
	}
	// The program may have asked for it on the socket that this one replaces. Accepted sockets inherit it.
	if err := unix.SetsockoptInt(socket, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		unix.Close(socket)
		return 0, err
	}
	return socket, nil
}

func listening() (p port, err error) {
	p.socket, err = stream()
	if err != nil {
		return port{}, err
	}
	defer func() {
		if err != nil {
			unix.Close(p.socket)
		}
	}()
	if err := unix.Bind(p.socket, &unix.SockaddrInet4{Addr: loopbackAddress}); err != nil {
		return port{}, err
	}
	if err := unix.Listen(p.socket, backlog); err != nil {
		return port{}, err
	}
	name, err := unix.Getsockname(p.socket)
	if err != nil {
		return port{}, err
	}
	p.number = name.(*unix.SockaddrInet4).Port
	p.inode, err = inodeOf(p.socket)
	return p, err
}

// inodeOf is how /proc shows a socket.
func inodeOf(socket int) (string, error) {
	var status unix.Stat_t
	err := unix.Fstat(socket, &status)
	return fmt.Sprintf("%s%d]", socketLink, status.Ino), err
}

// has reports whether a socket is one of these.
func (p ports) has(inode string) bool {
	for _, open := range p {
		if open.inode == inode {
			return true
		}
	}
	return false
}

// dialMilliseconds is how long a connection may take. It takes no time unless more connections wait than the port lets wait.
const dialMilliseconds = 1000

// dial makes a socket that is connected to a port.
func (p ports) dial(wanted int) (socket int, err error) {
	to, open := p[wanted]
	if !open {
		return 0, unix.ECONNREFUSED
	}
	if socket, err = stream(); err != nil {
		return 0, err
	}
	if err := dial(socket, to.number); err != nil {
		unix.Close(socket)
		return 0, err
	}
	return socket, nil
}

func dial(socket, number int) error {
	err := unix.Connect(socket, &unix.SockaddrInet4{Addr: loopbackAddress, Port: number})
	if err != unix.EINPROGRESS {
		return err
	}
	ready := []unix.PollFd{{Fd: int32(socket), Events: unix.POLLOUT}}
	switch n, err := unix.Poll(ready, dialMilliseconds); {
	case err != nil:
		return err
	case n == 0:
		return unix.ETIMEDOUT
	}
	errno, err := unix.GetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && errno != 0 {
		err = unix.Errno(errno)
	}
	return err
}

// forgetClosed closes the sockets that no descendant of a process has any more: they are listening still, and nobody accepts.
func (p ports) forgetClosed(warden int) error {
	var held map[string]bool
	// A process may hand a socket to a child that is younger than the list of processes, and close its own. Then the second list has it.
	for range 2 {
		if p.allIn(held) {
			return nil
		}
		now, err := sockets(warden)
		if err != nil {
			return err
		}
		if held == nil {
			held = now
		}
		for inode := range now {
			held[inode] = true
		}
	}
	for number, open := range p {
		if !held[open.inode] {
			unix.Close(open.socket)
			delete(p, number)
		}
	}
	return nil
}

func (p ports) allIn(inodes map[string]bool) bool {
	for _, open := range p {
		if !inodes[open.inode] {
			return false
		}
	}
	return true
}

// sockets are those that the descendants of a process have.
func sockets(warden int) (map[string]bool, error) {
	all, err := tasks()
	if err != nil {
		return nil, err
	}
	inodes := map[string]bool{}
	eachLink(descendants(warden, all), func(_, link string) { inodes[link] = true })
	return inodes, nil
}
