"""Tries to get out of its run. The arguments are the act and what that needs; a line of the output is "DONE: WHAT" or "refused: WHAT"."""
import os
import socket
import sys
import time

TARGET = os.path.abspath(sys.argv[2]) if len(sys.argv) > 2 else ""


def attempt(what, act):
    try:
        act()
    except OSError as why:
        print("refused: %s (%s)" % (what, why))
    else:
        print("DONE: %s" % what)


def write(name, mode="w"):
    with open(name, mode) as f:
        f.write("hostile")


def udp():
    address = ("127.0.0.1", int(sys.argv[2]))
    attempt("UDP", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", address))
    attempt("UDP by TCP's sockets", lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM).sendto(b"x", address))
    attempt("raw", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP))
    attempt("IPv6", lambda: socket.socket(socket.AF_INET6, socket.SOCK_STREAM))
    attempt("netlink", lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW))


def tcp():
    for host in "127.0.0.1", "0.0.0.0", "localhost":
        attempt("TCP to " + host, lambda: socket.create_connection((host, int(sys.argv[2])), 2))
    attempt("TCP elsewhere", lambda: socket.create_connection(("10.96.0.1", 443), 2))


def dns():
    attempt("DNS", lambda: socket.getaddrinfo("kubernetes.default.svc.cluster.local", 443))


def unix():
    for kind in socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET:
        attempt("a Unix socket", lambda: socket.socket(socket.AF_UNIX, kind).connect(TARGET))
        attempt("a pair's", lambda: socket.socketpair(socket.AF_UNIX, kind)[0].connect(TARGET))


def read():
    for name in sys.argv[2:]:
        attempt("read " + name, lambda: print(open(name).read()))
        attempt("list " + name, lambda: print(os.listdir(name)))


def replace():
    for name in sys.argv[2:]:
        write("out/mine")
        attempt("write " + name, lambda: write(name))
        attempt("append to " + name, lambda: write(name, "a"))
        attempt("empty " + name, lambda: os.open(name, os.O_RDONLY | os.O_TRUNC))
        attempt("rename over " + name, lambda: os.replace("out/mine", name))
        attempt("rename " + name, lambda: os.rename(name, name + ".old"))
        attempt("remove " + name, lambda: os.remove(name))
        attempt("make beside " + name, lambda: write(name + ".new"))


def links():
    for name in "out/a.txt", "out/b.txt":
        write(name)
    os.remove("out/a.txt")
    attempt("a symbolic link", lambda: os.symlink(TARGET, "out/a.txt"))
    attempt("a hard link", lambda: os.link(TARGET, "out/c.txt"))
    attempt("a pipe", lambda: os.mkfifo("out/d.txt"))
    attempt("a device", lambda: os.mknod("out/e.txt", 0o20666, os.makedev(1, 5)))
    attempt("a link to a descriptor", lambda: os.symlink("/proc/self/fd/1", "out/f.txt"))
    os.rename("out", "out2")
    attempt("a link for a folder", lambda: os.symlink(os.path.dirname(TARGET), "out"))


def forks():
    for _ in range(400):  # without end, but for the machine's sake
        try:
            if os.fork() == 0:
                time.sleep(60)
                os._exit(0)
        except OSError as why:
            print("refused: fork (%s)" % why)
    time.sleep(60)


def daemon():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            while True:
                write("out/late.txt", "a")
                time.sleep(0.005)
        os._exit(0)
    os.wait()
    while not os.path.exists("out/late.txt"):
        time.sleep(0.01)
    print("DONE: daemon")


def hidden():
    """Output where nobody may look, without end."""
    os.mkdir("out/hidden", 0o300)
    with open("out/hidden/big", "wb") as f:
        while True:
            f.write(bytes(1 << 20))


def deep():
    """Output below a path that is too long for the kernel, without end."""
    for _ in range(200):
        os.mkdir("d" * 50)
        os.chdir("d" * 50)
    with open("big", "wb") as f:
        while True:
            f.write(bytes(1 << 20))


def unreadable():
    os.mkdir("out/folder", 0)
    os.close(os.open("out/a.txt", os.O_CREAT | os.O_WRONLY, 0))
    print("DONE: unreadable")


def signals():
    for pid in int(sys.argv[2]), os.getppid(), 1:
        attempt("signal %d" % pid, lambda: os.kill(pid, 0))
    attempt("trace", lambda: open("/proc/%s/mem" % sys.argv[2], "rb").read(1))


globals()[sys.argv[1]]()
sys.stdout.flush()
