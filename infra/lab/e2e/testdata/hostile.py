"""Tries what a controller must not do, says of each attempt whether it was refused, and goes on until it is stopped."""

import os
import socket
import struct
import sys
import time


def attempt(what, act):
    try:
        print("DONE: %s: %.80r" % (what, act()), flush=True)
    except Exception as error:
        print("refused: %s (%s)" % (what, error), flush=True)


def connect(address, kind=socket.SOCK_STREAM):
    def act():
        with socket.socket(socket.AF_INET, kind) as s:
            s.settimeout(5)
            s.connect(address)
            return s.getpeername()
    return act


def ask(server):
    """Asks a DNS server for a name, by UDP."""
    def act():
        question = struct.pack(">HHHHHH", 1, 0x100, 1, 0, 0, 0) + b"\7example\3com\0" + struct.pack(">HH", 1, 1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(5)
            s.sendto(question, (server, 53))
            return s.recv(512)
    return act


def unix():
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
        s.connect("/var/run/postgresql/.s.PGSQL.5432")


def write(path):
    def act():
        with open(path, "w") as f:
            return f.write("changed")
    return act


for address in sys.argv[1:4]:
    host, port = address.rsplit(":", 1)
    attempt("connect to " + address, connect((host, int(port))))
attempt("ask the DNS server", ask(sys.argv[4]))
attempt("connect to the DNS server", connect((sys.argv[4], 53)))
attempt("look a name up", lambda: socket.getaddrinfo("kubernetes.default.svc.cluster.local", 443))
attempt("open a Unix socket", unix)
attempt("open a raw socket", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))
attempt("open an IPv6 socket", lambda: socket.socket(socket.AF_INET6, socket.SOCK_STREAM))
for path in ["/etc/passwd", "/scenario/scenario.zip", "/chunk/runs.json", "/proc/1/environ",
             "/var/run/secrets/kubernetes.io/serviceaccount/token", "/var/run/argo/argoexec"]:
    attempt("read " + path, lambda: open(path, "rb").read(80))
for path in ["/var/run/argo/argoexec", "/var/run/argo/template", "/usr/bin/sumo-run", "/desk/ready", "/job/out/lock", "/tmp/x"]:
    attempt("write " + path, write(path))
attempt("replace Argo's program", lambda: os.rename("out", "/var/run/argo/argoexec"))
attempt("kill the first process", lambda: os.kill(1, 9))
attempt("kill its parent", lambda: os.kill(os.getppid(), 9))
attempt("leave a link as a result", lambda: os.symlink("/etc/passwd", "out/passwd"))
print("all tried", flush=True)

# A grandchild in a session of its own, which nobody waits for.
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        while True:
            with open("out/late.txt", "a") as f:
                f.write("still here\n")
            time.sleep(0.1)
    os._exit(0)
while True:
    time.sleep(1)
