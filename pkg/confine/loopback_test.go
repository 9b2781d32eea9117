package confine

import (
	"strings"
	"testing"
)

// TestProgramsOfATreeConnect has the idioms by which TraCI's clients and servers find each other, and others that programs use.
func TestProgramsOfATreeConnect(t *testing.T) {
	t.Parallel()
	behindEachWall(t, func(t *testing.T, g grove) {
		g.wall.Loopback = true
		output, err := g.result(t, `
import asyncio, errno, os, select, socket, subprocess, sys, threading, time

SERVER = """
import socket, sys
try:
    socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
except OSError:
    pass # as SUMO
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("0.0.0.0", int(sys.argv[1])))
s.listen(1)
c, _ = s.accept()
s.close()
c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
while True:
    b = c.recv(4, socket.MSG_WAITALL)
    if not b: break
    c.sendall(b)
"""

def free():
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("", 0))
    port = s.getsockname()[1]
    s.close()
    return port

def connect(host, port):
    while True:
        s = socket.socket()
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            s.connect((host, port))
            return s
        except ConnectionRefusedError:
            s.close()
            time.sleep(0.02)

def refused(host, port):
    try:
        socket.create_connection((host, port), 50)
    except ConnectionRefusedError:
        return True

for port in free(), 8813, free(), 8813:
    assert refused("localhost", port)
    server = subprocess.Popen([sys.executable, "-c", SERVER, str(port)])
    s = connect("localhost", port)
    began = time.monotonic()
    for i in range(2000):
        s.sendall(b"step"); assert s.recv(4, socket.MSG_WAITALL) == b"step"
    print("%.0f microseconds a message" % ((time.monotonic() - began) / 2000 * 1e6))
    s.close()
    assert server.wait() == 0
    assert refused("127.0.0.1", port)

# several clients of one server, within a process; two sockets cannot have a port
l = socket.socket(); l.bind(("127.0.0.1", 9000)); l.listen()
try:
    socket.socket().bind(("", 9000)); raise SystemExit("bound twice")
except OSError as e:
    assert e.errno == errno.EADDRINUSE, e
clients = [socket.create_connection(("localhost", 9000)) for _ in range(3)]
for i, c in enumerate(clients):
    c.sendall(bytes([i]))
assert sorted(l.accept()[0].recv(1)[0] for _ in clients) == [0, 1, 2]
l.close()

# calls that come again, as after a signal, are carried out once
l = socket.socket(); l.bind(("", 9003)); l.bind(("", 9003)); l.listen(); l.setblocking(False)
s = socket.create_connection(("127.0.0.1", 9003)); s.connect(("127.0.0.1", 9003))
accepted, _ = l.accept(); s.sendall(b"x"); select.select([accepted], [], [], 50); assert accepted.recv(1) == b"x"
try:
    l.accept(); raise SystemExit("connected twice")
except BlockingIOError:
    pass
l.close()

# listening without a port
l = socket.socket(); l.listen(); assert l.getsockname()[1] > 0
socket.create_connection(("127.0.0.1", l.getsockname()[1])); l.accept()
l.close()

# without blocking
l = socket.socket(); l.setblocking(False); l.bind(("", 9001)); l.listen()
try:
    l.accept(); raise SystemExit("accepted nothing")
except BlockingIOError:
    pass
s = socket.socket(); s.setblocking(False)
assert s.connect_ex(("127.0.0.1", 9001)) in (0, errno.EINPROGRESS)
select.select([], [s], [], 50); assert s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
select.select([l], [], [], 50); accepted = l.accept()
try:
    s.recv(1); raise SystemExit("it blocks")
except BlockingIOError:
    pass
assert not s.get_inheritable() and not l.get_inheritable()

async def main():
    async def echo(r, w):
        w.write(await r.readexactly(3)); await w.drain(); w.close()
    server = await asyncio.start_server(echo, "127.0.0.1", 9002)
    r, w = await asyncio.open_connection("127.0.0.1", 9002)
    w.write(b"abc"); assert await r.read() == b"abc"
    server.close()
asyncio.run(main())
print("all well")
`)
		t.Log(output)
		if err != nil || !strings.Contains(output, "all well") {
			t.Errorf("it ended with %v: %s", err, output)
		}
	})
}
