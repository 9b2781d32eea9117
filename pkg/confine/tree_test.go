package confine

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/confine/confinetest"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// treeWalls are the kernels that a program may meet.
var treeWalls = map[string]int{"this kernel": 0, "Landlock ABI 5": 5, "Landlock ABI 3": 3, "Landlock ABI 1": 1, "no Landlock": NoLandlock}

// python is an interpreter that every user can reach.
const python = "/usr/bin/python3"

// grove is a folder in which a Python program runs with all that it starts.
type grove struct {
	dir, run string
	wall     Wall
}

func newGrove(t testing.TB, abi int) grove {
	t.Helper()
	if _, err := os.Stat(python); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	g := grove{dir: dir, run: filepath.Join(dir, "run")}
	if err := os.Mkdir(g.run, 0o755); err != nil {
		t.Fatal(err)
	}
	g.wall = Wall{
		Profile: Program, Program: python, LandlockABI: abi, Write: []string{g.run}, Limits: Limits{Processes: 64},
		Read: []string{python, "/usr/lib", "/lib", "/lib64", "/usr/bin/true", "/usr/bin/sleep", "/bin/sh", "/usr/bin/sh", "/usr/bin/dash"},
	}
	return g
}

// start begins a Python program whose output goes to out.
func (g grove) start(t testing.TB, out *bytes.Buffer, script string, args ...string) (*Tree, simulation.Confinement) {
	t.Helper()
	tree, held, err := StartTree(g.command(t, out, script, args...), g.wall)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		tree.Kill()
		_ = tree.Wait()
	})
	timer := time.AfterFunc(time.Minute, tree.Kill)
	t.Cleanup(func() { timer.Stop() })
	return tree, held
}

func (g grove) command(t testing.TB, out io.Writer, script string, args ...string) *exec.Cmd {
	t.Helper()
	if err := os.WriteFile(filepath.Join(g.run, "program.py"), []byte(script), 0o644); err != nil {
		t.Fatal(err)
	}
	return &exec.Cmd{
		Path: python, Args: append([]string{"python3", "program.py"}, args...), Dir: g.run, Stdout: out, Stderr: out,
		Env: []string{"PATH=/usr/bin:/bin", "HOME=" + g.run, "TMPDIR=" + g.run, "PYTHONDONTWRITEBYTECODE=1", "PYTHONUNBUFFERED=1"},
	}
}

// result runs a Python program to its end.
func (g grove) result(t testing.TB, script string, args ...string) (output string, err error) {
	t.Helper()
	var out bytes.Buffer
	tree, held := g.start(t, &out, script, args...)
	err = tree.Wait()
	if !held.Holds() || held.User != (os.Geteuid() == 0) {
		t.Errorf("held by %s", held)
	}
	return out.String(), err
}

// behindEachWall runs a test on each kernel, as the tests' user and as an ordinary one.
func behindEachWall(t *testing.T, test func(t *testing.T, g grove)) {
	t.Helper()
	confinetest.AsOrdinaryUser(t)
	for name, abi := range treeWalls {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newGrove(t, abi))
		})
	}
}

func exitCode(err error) int {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	}
	if err != nil {
		return -2
	}
	return 0
}

func TestPythonRunsInATree(t *testing.T) {
	t.Parallel()
	behindEachWall(t, func(t *testing.T, g grove) {
		output, err := g.result(t, `
import asyncio, ctypes, fcntl, multiprocessing, os, shutil, subprocess, sys, tempfile, threading, zipfile, sqlite3, mmap

# files and folders
os.makedirs("out/deep", exist_ok=True)
with open("out/deep/a.txt", "w") as f: f.write("first")
move = shutil.move if "ABI 1" in sys.argv else os.rename # before ABI 2, Landlock keeps files in their folders
move("out/deep/a.txt", "out/b.txt")
move("out/b.txt", "c.txt")
shutil.copy2("c.txt", "d.txt")
shutil.copytree("out", "out2")
shutil.rmtree("out2")
with open("d.txt", "r+") as f: f.truncate(2)
assert open("d.txt").read() == "fi"
os.remove("d.txt")
with tempfile.TemporaryDirectory() as folder:
    open(os.path.join(folder, "x"), "w").close()
with tempfile.NamedTemporaryFile() as f: f.write(b"x")
with zipfile.ZipFile("z.zip", "w") as z: z.write("c.txt")
with sqlite3.connect("data.db") as db: db.execute("create table t (x)")
with mmap.mmap(-1, 4096) as m: m[0] = 1
with open("lock", "w") as mine, open("lock") as theirs:
    fcntl.flock(mine, fcntl.LOCK_EX)
    try:
        fcntl.flock(theirs, fcntl.LOCK_SH | fcntl.LOCK_NB)
        sys.exit("the lock holds nobody")
    except BlockingIOError:
        pass

# children
assert subprocess.run(["true"]).returncode == 0
assert subprocess.check_output(["sh", "-c", "echo hi | sh -c 'read x; echo $x there'"], text=True) == "hi there\n"
assert os.system("exit 3") >> 8 == 3
p = subprocess.Popen(["sleep", "60"], start_new_session=True)
p.terminate()
assert p.wait() == -15
p = subprocess.Popen(["sleep", "60"]); p.kill(); assert p.wait() == -9

# multiprocessing by pipes
def work(end):
    end.send(end.recv() * 2)
for method in "fork", "spawn":
    if __name__ == "__main__":
        context = multiprocessing.get_context("fork")
        here, there = context.Pipe()
        child = context.Process(target=work, args=(there,)); child.start()
        here.send(21); assert here.recv() == 42; child.join(); assert child.exitcode == 0

# threads and asyncio
done = []
threads = [threading.Thread(target=lambda: done.append(1)) for _ in range(8)]
[x.start() for x in threads]; [x.join() for x in threads]
assert len(done) == 8
async def main():
    p = await asyncio.create_subprocess_exec("sh", "-c", "echo from a child", stdout=subprocess.PIPE)
    out, _ = await p.communicate()
    assert out == b"from a child\n", out
    await asyncio.sleep(0.01)
asyncio.run(main())
try:
    import numpy
    assert (numpy.ones((200, 200)) @ numpy.ones((200, 200)))[0, 0] == 200
except ImportError:
    pass
print("all well")
sys.exit(7)
`, "ABI "+strconv.Itoa(g.wall.LandlockABI))
		if exitCode(err) != 7 || !strings.Contains(output, "all well") {
			t.Errorf("it ended with %v: %s", err, output)
		}
	})
}

func TestATreeEndsAsItsProgram(t *testing.T) {
	t.Parallel()
	for name, signal := range map[string]syscall.Signal{"SIGSEGV": syscall.SIGSEGV, "SIGTERM": syscall.SIGTERM, "SIGKILL": syscall.SIGKILL} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := newGrove(t, 0).result(t, "import os; os.kill(os.getpid(), "+strconv.Itoa(int(signal))+")")
			exit, ok := errors.AsType[*exec.ExitError](err)
			if !ok || exit.Sys().(syscall.WaitStatus).Signal() != signal {
				t.Errorf("it ended with %v", err)
			}
		})
	}
}

func TestATreeThatCannotStart(t *testing.T) {
	t.Parallel()
	g := newGrove(t, 0)
	g.wall.Loopback = true
	cmd := &exec.Cmd{Path: filepath.Join(g.dir, "none"), Args: []string{"none"}, Dir: g.run, Env: []string{}}
	if _, _, err := StartTree(cmd, g.wall); !errors.Is(err, os.ErrNotExist) || errors.Is(err, ErrUnconfined) {
		t.Errorf("got %v", err)
	}
	g.wall.Profile = "none"
	_, _, err := StartTree(cmd, g.wall)
	if !errors.Is(err, ErrUnconfined) || !strings.Contains(err.Error(), "system call filter") ||
		strings.Count(err.Error(), "cannot confine") != 1 {
		t.Errorf("got %v", err)
	}
}

// lines is the output of a program that still runs.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func eventually(t *testing.T, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if condition() {
			return
		}
	}
	t.Fatal("it takes too long")
}
