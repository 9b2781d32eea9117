package confine

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// attempts is what Python programs below begin with.
const attempts = `
import ctypes, errno, mmap, os, resource, signal, socket, subprocess, sys, threading, time
libc = ctypes.CDLL(None, use_errno=True)

def attempt(what, do):
    try:
        result = do()
    except OSError as e:
        print("refused:", what, e)
    else:
        print("DONE:", what, result)

def call(number, *args):
    result = libc.syscall(number, *args)
    if result == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
`

func refusesAll(t *testing.T, output string, err error, least int) {
	t.Helper()
	if err != nil || strings.Contains(output, "DONE") || strings.Count(output, "refused: ") < least {
		t.Errorf("it ended with %v: %s", err, output)
	}
}

func TestATreeReachesNoSocketOfOthers(t *testing.T) {
	t.Parallel()
	behindEachWall(t, func(t *testing.T, g grove) {
		g.wall.Loopback = true
		targets := openTargets(t)
		everywhere, err := net.Listen("tcp4", "0.0.0.0:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { everywhere.Close() })
		datagrams, err := net.ListenPacket("unixgram", filepath.Join(filepath.Dir(targets.unix.Addr().String()), "d"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = datagrams.Close() })
		if err := os.Chmod(datagrams.LocalAddr().String(), 0o777); err != nil {
			t.Fatal(err)
		}
		output, err := g.result(t, attempts+`
stream, abstract, gram, port, other = sys.argv[1:6]
hosts = ["127.0.0.1", "localhost", "0.0.0.0"] + sys.argv[6:]
tcp = lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM)
for family in socket.AF_UNIX, socket.AF_INET6, socket.AF_NETLINK, 38, 40:
    attempt("family %d" % family, lambda: socket.socket(family, socket.SOCK_STREAM))
attempt("UDP", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
attempt("raw", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW))
attempt("ICMP", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM, 1))
attempt("MPTCP", lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262))
attempt("SCTP", lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM, 132))
attempt("DNS", lambda: socket.getaddrinfo("example.org", 80))
for host in hosts:
    for p in int(port), int(other):
        attempt("connect %s %d" % (host, p), lambda: tcp().connect((host, p)))
        attempt("fast open %s %d" % (host, p), lambda: tcp().sendto(b"x", socket.MSG_FASTOPEN, (host, p)))
        attempt("fast open message %s %d" % (host, p), lambda: tcp().sendmsg([b"x"], [], socket.MSG_FASTOPEN, (host, p)))
        attempt("send %s %d" % (host, p), lambda: tcp().sendto(b"x", (host, p)))
attempt("a datagram by a pair", lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0].sendto(b"x", gram))
attempt("a packet by a pair", lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)[0].sendto(b"x", gram))
pair = socket.socketpair()
attempt("connect a pair", lambda: pair[0].connect(stream))
attempt("send by a pair", lambda: pair[0].sendto(b"x", gram))
attempt("connect a pair to an abstract name", lambda: pair[0].connect("\0" + abstract))
attempt("bind a pair", lambda: pair[0].bind("socket"))
attempt("bind to another address", lambda: tcp().bind((hosts[-1], 0)))
attempt("bind to a device", lambda: tcp().setsockopt(socket.SOL_SOCKET, 25, b"lo"))
attempt("a filter", lambda: tcp().setsockopt(socket.SOL_SOCKET, 26, b"\0" * 16))
attempt("fast open by option", lambda: tcp().setsockopt(socket.IPPROTO_TCP, 30, 1))
attempt("an upper protocol", lambda: tcp().setsockopt(socket.IPPROTO_TCP, 31, b"tls"))
`, append([]string{
			targets.unix.Addr().String(), strings.TrimPrefix(targets.abstract.Addr().String(), "@"), datagrams.LocalAddr().String(),
			fmt.Sprint(targets.tcp.Addr().(*net.TCPAddr).Port), fmt.Sprint(everywhere.Addr().(*net.TCPAddr).Port),
		}, append(ownAddresses(t), "192.0.2.1")...)...)
		refusesAll(t, output, err, 40)
	})
}

func ownAddresses(t *testing.T) []string {
	t.Helper()
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	var addresses []string
	for _, a := range all {
		if ip := a.(*net.IPNet).IP; ip.To4() != nil && !ip.IsLoopback() {
			addresses = append(addresses, ip.String())
		}
	}
	return addresses
}

// TestItsPortsAreItsOwn has two trees use the same port at the same time, and connects to neither from outside.
func TestItsPortsAreItsOwn(t *testing.T) {
	t.Parallel()
	const server = `
import socket, sys
l = socket.socket(); l.bind(("0.0.0.0", 8813)); l.listen()
print("port", l.getsockname()[1], flush=True)
l2 = socket.create_connection(("localhost", 8813))
c, _ = l.accept(); l2.sendall(sys.argv[1].encode()); print("got", c.recv(10).decode(), flush=True)
while True:
    c, peer = l.accept(); print("a stranger", flush=True)
`
	g := [2]grove{newGrove(t, 0), newGrove(t, 3)}
	for i := range g {
		g[i].wall.Loopback, g[i].wall.Slot = true, i
		var out lines
		cmd := g[i].command(t, nil, server, fmt.Sprint("tree", i))
		cmd.Stdout, cmd.Stderr = &out, &out
		tree, _, err := StartTree(cmd, g[i].wall)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { tree.Kill(); _ = tree.Wait() })
		var port int
		eventually(t, func() bool {
			_, _ = fmt.Sscanf(out.String(), "port %d", &port)
			return strings.Contains(out.String(), fmt.Sprintf("got tree%d\n", i))
		})
		if exec.Command("unshare", "--net", "true").Run() != nil {
			continue // it has no network of its own either
		}
		for _, address := range append(ownAddresses(t), "127.0.0.1") {
			for _, p := range []int{8813, port} {
				if c, err := net.DialTimeout("tcp", net.JoinHostPort(address, fmt.Sprint(p)), time.Second); err == nil {
					c.Close()
					t.Errorf("%s, port %d, can be reached from outside: %s", address, p, out.String())
				}
			}
		}
	}
}

func TestATreeSignalsNobodyElse(t *testing.T) {
	t.Parallel()
	behindEachWall(t, func(t *testing.T, g grove) {
		foreign := exec.Command("sleep", "100")
		if err := foreign.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- foreign.Wait() }()
		t.Cleanup(func() { _ = foreign.Process.Kill() })
		output, err := g.result(t, attempts+`
foreign, test = int(sys.argv[1]), int(sys.argv[2])
warden = os.getppid()
for who in foreign, warden, test, 1:
    for number in 9, 15, 10, 19, 0:
        attempt("kill %d %d" % (who, number), lambda: os.kill(who, number))
        if who != 1: # -1 means everything
            attempt("kill its group %d %d" % (who, number), lambda: os.killpg(who, number))
        attempt("pthread_kill %d %d" % (who, number), lambda: call(234, who, who, number))
        attempt("tkill %d %d" % (who, number), lambda: call(200, who, number))
        info = ctypes.create_string_buffer(128)
        ctypes.c_int.from_buffer(info, 8).value = -1
        attempt("queue %d %d" % (who, number), lambda: call(129, who, number, info))
        attempt("queue to a thread %d %d" % (who, number), lambda: call(297, who, who, number, info))
    attempt("pidfd %d" % who, lambda: call(434, who, 0))
    attempt("limits of %d" % who, lambda: resource.prlimit(who, resource.RLIMIT_NOFILE))
    attempt("ptrace %d" % who, lambda: call(101, 0x4206, who, 0, 0))
    attempt("trace me", lambda: call(101, 0, 0, 0, 0))
attempt("owner of a pipe", lambda: __import__("fcntl").fcntl(os.pipe()[0], 8, foreign))
attempt("io_uring", lambda: call(425, 1, ctypes.create_string_buffer(120)))

# its own it may
child = subprocess.Popen(["sleep", "50"], start_new_session=True)
os.kill(child.pid, 0); os.killpg(child.pid, 15); assert child.wait() == -15
hit = []
signal.signal(signal.SIGUSR1, lambda *_: hit.append(1))
os.kill(os.getpid(), signal.SIGUSR1); signal.pthread_kill(threading.get_ident(), signal.SIGUSR1); signal.raise_signal(signal.SIGUSR1)
assert len(hit) == 3
os.kill(0, 0)
# and everything is itself at most
sys.stdout.flush()
signal.signal(signal.SIGTERM, lambda *_: None)
child = subprocess.Popen(["sleep", "50"], start_new_session=True)
try:
    os.kill(-1, signal.SIGTERM)
    assert child.wait() == -15
except PermissionError:
    pass
child.kill()
`, fmt.Sprint(foreign.Process.Pid), fmt.Sprint(os.Getpid()))
		refusesAll(t, output, err, 110)
		select {
		case err := <-ended:
			t.Errorf("the foreign process has ended: %v", err)
		default:
		}
	})
}

func TestATreeChangesOnlyItsFolders(t *testing.T) {
	t.Parallel()
	behindEachWall(t, func(t *testing.T, g grove) {
		argo := filepath.Join(g.dir, "argo")
		for _, folder := range []string{argo, filepath.Join(g.run, "out")} {
			if err := os.Mkdir(folder, 0o777); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(argo, "argoexec"), []byte("untouched"), 0o777); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(g.run, "given.txt")
		if err := os.WriteFile(file, []byte("given"), 0o644); err != nil {
			t.Fatal(err)
		}
		output, err := g.result(t, attempts+`
argo = sys.argv[1]
with open("given.txt", "a") as f: f.write(" and changed")
warden = "/proc/%d" % os.getppid()
for path in "/etc/passwd", "/etc/shadow", "/proc/self/environ", warden + "/environ", "/proc/self/root/etc/passwd", argo + "/argoexec":
    attempt("read " + path, lambda: open(path).read())
for path in argo + "/argoexec", argo + "/new", "../new", "/tmp/new", "/dev/shm/new", sys.executable:
    attempt("write " + path, lambda: open(path, "w"))
    attempt("append " + path, lambda: open(path, "a"))
    attempt("remove " + path, lambda: os.unlink(path))
    attempt("replace " + path, lambda: os.replace("program.py", path))
    attempt("make folder " + path, lambda: os.mkdir(path + ".d"))
for what in "/etc", "/etc/passwd", argo:
    attempt("symlink to " + what, lambda: os.symlink(what, "link"))
    attempt("link to " + what, lambda: os.link(what, "link"))
attempt("link to its own", lambda: os.link("program.py", "link"))
attempt("mkfifo", lambda: os.mkfifo("fifo"))
attempt("mknod", lambda: os.mknod("node", 0o600 | 0o020000, os.makedev(1, 3)))
attempt("socket", lambda: call(133, b"socket", 0o140600, 0))
os.rmdir("out")
attempt("its output folder a link", lambda: os.symlink("/etc", "out"))
attempt("its folder a link", lambda: os.rename("../run", "../was"))
attempt("its folder gone", lambda: os.rmdir("../run"))
with open("sh", "wb") as copy: copy.write(open("/bin/sh", "rb").read())
os.chmod("sh", 0o755)
attempt("run what it wrote", lambda: os.execv("./sh", ["sh", "-c", "exit 5"]))
os.makedirs("out")
`, argo)
		refusesAll(t, output, err, 40)
		if diff := cmp.Diff([]string{"argo", "run"}, names(t, g.dir)); diff != "" {
			t.Errorf("above its folder (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"argoexec"}, names(t, argo)); diff != "" {
			t.Errorf("in a folder beside (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"given.txt", "out", "program.py", "sh"}, names(t, g.run)); diff != "" {
			t.Errorf("in its folder (-want +got):\n%s", diff)
		}
		if text, err := os.ReadFile(file); err != nil || string(text) != "given and changed" {
			t.Errorf("a file of its own has %q, %v", text, err)
		}
		if text, err := os.ReadFile(filepath.Join(argo, "argoexec")); err != nil || string(text) != "untouched" {
			t.Errorf("a file beside has %q, %v", text, err)
		}
	})
}

// heartbeat is a Python function whose process leaves the session and its parent, and writes for ever.
const heartbeat = `
import os, subprocess, sys, time
def beat(name):
    if os.fork(): return
    os.setsid()
    if os.fork(): os._exit(0)
    for f in range(3): os.close(f)
    while True:
        with open(name, "a") as f: f.write("x")
        time.sleep(0.005)
`

// still fails if a file goes on to grow.
func still(t *testing.T, file string) {
	t.Helper()
	size := func() int64 {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	before := size()
	time.Sleep(100 * time.Millisecond)
	if after := size(); after != before {
		t.Errorf("%s has grown from %d to %d", file, before, after)
	}
}

func TestNothingOfATreeIsLeft(t *testing.T) {
	t.Parallel()
	behindEachWall(t, func(t *testing.T, g grove) {
		output, err := g.result(t, heartbeat+`
for i in range(5): beat("beat%d" % i)
while not all(os.path.exists("beat%d" % i) for i in range(5)): time.sleep(0.01)
sys.exit(4)
`)
		if exitCode(err) != 4 {
			t.Errorf("it ended with %v: %s", err, output)
		}
		for i := range 5 {
			still(t, filepath.Join(g.run, fmt.Sprint("beat", i)))
		}
		// Processes that end before anybody can look at them, each leaving another.
		output, err = g.result(t, heartbeat+`
for i in range(8):
    if os.fork() == 0:
        os.setsid()
        while True:
            try:
                if os.fork(): os._exit(0)
            except OSError: # those that have ended count until they are collected
                time.sleep(0.01)
            with open("comet%d" % i, "a") as f: f.write("x")
while not all(os.path.exists("comet%d" % i) for i in range(8)): time.sleep(0.01)
`)
		if err != nil {
			t.Errorf("it ended with %v: %s", err, output)
		}
		for i := range 8 {
			still(t, filepath.Join(g.run, fmt.Sprint("comet", i)))
		}
	})
}

func TestATreeKeepsItsLimits(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		limits Limits
		script string
		want   error
	}{
		"60 processes": {Limits{Processes: 64}, `
import subprocess
all = [subprocess.Popen(["sleep", "0.5"]) for _ in range(60)]
for p in all: p.wait()`, nil},
		"65 processes": {Limits{Processes: 64}, `
import subprocess
all = [subprocess.Popen(["sleep", "50"]) for _ in range(64)]
for p in all: p.wait()`, ErrProcesses},
		"a fork bomb": {Limits{Processes: 64}, `
import os
while True:
    try: os.fork()
    except OSError: pass`, ErrProcesses},
		"a fork bomb of sessions": {Limits{Processes: 64}, `
import os
while True:
    try:
        if os.fork() == 0: os.setsid()
    except OSError: pass`, ErrProcesses},
		"shared memory": {Limits{Memory: 200 << 20}, `
import os, time
text = b"x" * (150 << 20)
for _ in range(5):
    if os.fork() == 0: break
time.sleep(1)`, nil},
		"memory of many": {Limits{Memory: 200 << 20, Data: 190 << 20}, `
import os, time
for _ in range(5):
    if os.fork() == 0: break
text = bytearray(100 << 20)
time.sleep(50)`, ErrMemory},
		"what pairs of sockets hold": {Limits{Memory: 150 << 20}, `
import socket, time
pairs = [socket.socketpair() for _ in range(450)]
for pair in pairs:
    for end in pair:
        end.setblocking(False)
        try: end.send(bytes(1 << 18))
        except BlockingIOError: pass
time.sleep(50)`, ErrMemory},
		"files without names": {Limits{Memory: 200 << 20, FileSize: 100 << 20}, `
import tempfile, time
files = [tempfile.TemporaryFile() for _ in range(4)]
for f in files: f.write(bytes(90 << 20)); f.flush()
time.sleep(50)`, ErrMemory},
		"memory that no process counts": {Limits{Memory: 200 << 20, Data: 190 << 20}, `
import mmap, time
m = mmap.mmap(-1, 300 << 20)
for i in range(0, 300 << 20, 4096): m[i] = 1
time.sleep(50)`, ErrMemory},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, abi := range []int{0, 3} {
				g := newGrove(t, abi)
				g.wall.Limits = tc.limits
				began := time.Now()
				output, err := g.result(t, heartbeat+tc.script)
				if !errors.Is(err, tc.want) || time.Since(began) > 40*time.Second {
					t.Errorf("it ended with %v after %s: %s", err, time.Since(began), output)
				}
			}
		})
	}
}

func TestStoppingATree(t *testing.T) {
	t.Parallel()
	behindEachWall(t, func(t *testing.T, g grove) {
		const program = heartbeat + `
import signal
beat("beat")
while not os.path.exists("beat"): time.sleep(0.01)
if sys.argv[1] == "listens": signal.signal(signal.SIGTERM, lambda *_: sys.exit(9))
else: signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
while True: time.sleep(0.1)
`
		g.wall.Loopback = true
		for _, listens := range []string{"listens", "does not listen", "killed"} {
			var out lines
			cmd := g.command(t, nil, program, listens)
			cmd.Stdout, cmd.Stderr = &out, &out
			tree, _, err := StartTree(cmd, g.wall)
			if err != nil {
				t.Fatal(err)
			}
			eventually(t, func() bool { return strings.Contains(out.String(), "ready") })
			want := -1 // a signal
			switch listens {
			case "listens":
				err, want = tree.Stop(t.Context(), time.Minute), 9
			case "killed":
				tree.Kill()
				err = tree.Wait()
			default:
				err = tree.Stop(t.Context(), 50*time.Millisecond)
			}
			if exitCode(err) != want {
				t.Errorf("%s: it ended with %v: %s", listens, err, out.String())
			}
			still(t, filepath.Join(g.run, "beat"))
		}
	})
}

// asParent makes this test binary start a tree in the folder that it names, and wait to be killed.
const asParent = "CONFINE_TEST_PARENT"

// wait keeps a tree until the process is killed.
func waitAsParent(folder string) {
	cmd := &exec.Cmd{Path: python, Args: []string{"python3", "program.py"}, Dir: folder, Env: []string{}, Stdout: os.Stdout, Stderr: os.Stderr}
	tree, _, err := StartTree(cmd, Wall{
		Profile: Program, Program: python, Read: []string{python, "/usr/lib", "/lib", "/lib64"}, Write: []string{folder}, Loopback: true,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(tree.Wait())
}

func TestATreeEndsWithItsParent(t *testing.T) {
	t.Parallel()
	behindEachWall(t, func(t *testing.T, g grove) {
		if g.wall.LandlockABI != 0 {
			return
		}
		g.command(t, nil, heartbeat+`
for name in "a", "b": beat(name)
while True:
    with open("c", "a") as f: f.write("x")
    time.sleep(0.005)`)
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		parent := exec.Command(self)
		parent.Env, parent.Stdout, parent.Stderr = append(os.Environ(), asParent+"="+g.run), &out, &out
		if err := parent.Start(); err != nil {
			t.Fatal(err)
		}
		files := []string{"a", "b", "c"}
		eventually(t, func() bool {
			for _, name := range files {
				if _, err := os.Stat(filepath.Join(g.run, name)); err != nil {
					return false
				}
			}
			return true
		})
		if err := parent.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = parent.Wait() // until the warden, which has its output, has ended too
		for _, name := range files {
			still(t, filepath.Join(g.run, name))
		}
		if t.Failed() {
			t.Log(out.String())
		}
	})
}
