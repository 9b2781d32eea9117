package confine

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/confine/confinetest"
	"github.com/sumo-k8/sumo-k8/pkg/process"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

func TestMain(m *testing.M) {
	Enter()
	if folder := os.Getenv(asParent); folder != "" {
		waitAsParent(folder)
		return
	}
	os.Exit(m.Run())
}

// walls are the kernels that a run may meet.
var walls = map[string]int{"this kernel": 0, "Landlock ABI 1": 1, "Landlock ABI 2": 2, "no Landlock": NoLandlock}

// room is where programs run behind a wall, one after the other: a folder to write in, and a file next to it that they may read.
type room struct {
	dir, run, input string
	wall            *Keep
}

func newRoom(t *testing.T, tries ...string) room {
	t.Helper()
	dir := t.TempDir()
	r := room{dir: dir, run: filepath.Join(dir, "run"), input: filepath.Join(dir, "scenario"), wall: &Keep{}}
	t.Cleanup(r.wall.Close)
	for _, name := range []string{r.run, r.input} {
		if err := os.Mkdir(name, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(r.input, "tries.txt")
	if err := os.WriteFile(file, []byte(strings.Join(tries, "\n")), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(file, filepath.Join(r.run, "tries.txt")); err != nil {
		t.Fatal(err)
	}
	return r
}

// keeps reports whether the next program gets the wall of the last one. A mount namespace is missed if the program that made it has ended
// before a busy machine looks.
func (r room) keeps() bool {
	missed := os.Geteuid() == 0 && r.wall.plan.Namespace && r.wall.mounts == nil
	if missed {
		r.wall.Close()
	}
	return r.wall.of != "" && !missed
}

// begin runs a program in the room to its end and returns its output.
func (r room) begin(t *testing.T, program string, abi int, limits Limits) (output string, held simulation.Confinement) {
	t.Helper()
	var out bytes.Buffer
	cmd := &exec.Cmd{Path: program, Args: []string{"sumo"}, Dir: r.run, Env: []string{"SUMO_HOME=/usr/share/sumo"}, Stdout: &out, Stderr: &out}
	p, held, err := r.wall.Start(cmd, Wall{
		Profile: SUMO, Program: program, Read: []string{program, r.input, "/usr/lib", "/lib", "/lib64"}, Write: []string{r.run}, Limits: limits,
		LandlockABI: abi,
	}, Require)
	if err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(time.Minute, p.Kill)
	defer timer.Stop()
	if err := p.Wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
	return out.String(), held
}

// TestNothingGetsThroughTheWall runs a program that tries all that a hijacked one could, and expects each try to be
// refused. Its own test is below: without a wall, many succeed.
func TestNothingGetsThroughTheWall(t *testing.T) {
	t.Parallel()
	confinetest.AsOrdinaryUser(t)
	program := confinetest.Hostile(t)
	listener := openTargets(t)
	for name, abi := range walls {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRoom(t, listener.tries(t)...)
			secret := filepath.Join(r.dir, "secret")
			if err := os.WriteFile(secret, []byte("untouched"), 0o666); err != nil {
				t.Fatal(err)
			}
			tries := append(listener.tries(t), "read "+secret, "write "+secret, "change "+secret, "change ../secret",
				"write "+filepath.Join(r.dir, "new"),
				"become /bin/sh", "become /bin/true",
				"read /proc/"+strconv.Itoa(os.Getpid())+"/environ", "read /proc/"+strconv.Itoa(os.Getpid())+"/cmdline")
			if err := os.WriteFile(filepath.Join(r.input, "tries.txt"), []byte(strings.Join(tries, "\n")), 0o666); err != nil {
				t.Fatal(err)
			}
			for kept := false; !kept && !t.Failed(); { // the last time with what was kept of the wall
				kept = r.keeps()
				output, held := r.begin(t, program, abi, Limits{})
				refused(t, output, held, program, abi, len(tries))
			}
			if text, err := os.ReadFile(secret); err != nil || string(text) != "untouched" {
				t.Errorf("the file beside its folder has %q, %v", text, err)
			}
			if diff := cmp.Diff([]string{"run", "scenario", "secret"}, names(t, r.dir)); diff != "" {
				t.Errorf("above its folder (-want +got):\n%s", diff)
			}
			if text, err := os.ReadFile(filepath.Join(r.input, "tries.txt")); err != nil || string(text) != strings.Join(tries, "\n") {
				t.Errorf("its input has %q, %v", text, err)
			}
		})
	}
}

// refused checks what the hostile program says of itself and of its tries, and what has held it.
func refused(t *testing.T, output string, held simulation.Confinement, program string, abi, tries int) {
	t.Helper()
	t.Logf("%s\n%s", held, output)
	if !held.Holds() || held.User != (os.Geteuid() == 0) {
		t.Errorf("held by %s", held)
	}
	if abi > 0 && held.Landlock != abi || abi == NoLandlock && (held.Landlock != 0 || !held.Namespace) {
		t.Errorf("held by %s, want Landlock ABI %d", held, abi)
	}
	for line := range strings.Lines(output) {
		if held.Landlock == 0 && strings.HasPrefix(line, "DONE: list ") {
			continue // of a file system in which there is nothing but the way to its own folder
		}
		if strings.HasPrefix(line, "DONE") || strings.HasPrefix(line, "hostile: ") && line != "hostile: all tried\n" {
			t.Error(strings.TrimSpace(line))
		}
	}
	if n := strings.Count(output, "refused: "); n < 170+tries {
		t.Errorf("only %d tries", n)
	}
	for _, want := range []string{
		"environment: SUMO_HOME\n", "descriptors: []\n", "program: " + program + "\n", "core dumps: 0\n", "standard input: 1 3\n",
		"hostile: all tried\n",
	} {
		if !strings.Contains(output, want) {
			t.Errorf("the output lacks %q", want)
		}
	}
	var threads uint64
	if _, err := fmt.Sscan(
		strings.TrimPrefix(regexp.MustCompile(`threads of its user: \d+`).FindString(output), "threads of its user:"), &threads,
	); err != nil {
		t.Error(err)
	}
	most := uint64(ownProcesses)
	if !held.User { // others of our user come and go
		most = uint64(2*allThreads() + moreProcesses)
	}
	if threads > most {
		t.Errorf("it may have %d threads", threads)
	}
	user := strings.Fields(regexp.MustCompile(`user: .*`).FindString(output))[1]
	if held.User && user == strconv.Itoa(os.Geteuid()) {
		t.Errorf("it ran as user %s, as we do", user)
	}
}

// TestAWallIsKeptForEqualOnesOnly changes what a program may read, and takes away and replaces the folder to write in.
func TestAWallIsKeptForEqualOnesOnly(t *testing.T) {
	t.Parallel()
	confinetest.AsOrdinaryUser(t)
	program, err := exec.LookPath("cat")
	if err != nil {
		t.Fatal(err)
	}
	for name, abi := range walls {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRoom(t)
			secret := filepath.Join(r.dir, "secret")
			if err := os.WriteFile(secret, []byte("read"), 0o644); err != nil {
				t.Fatal(err)
			}
			read := func(allowed ...string) string {
				t.Helper()
				var out bytes.Buffer
				cmd := &exec.Cmd{Path: program, Args: []string{"cat", secret}, Dir: r.run, Stdout: &out}
				p, _, err := r.wall.Start(cmd, Wall{
					Profile: SUMO, Program: program, Read: append(allowed, program, "/usr/lib", "/lib", "/lib64"), Write: []string{r.run},
					LandlockABI: abi,
				}, Require)
				if err != nil {
					t.Fatal(err)
				}
				_ = p.Wait() // the output says it
				return out.String()
			}
			for i, step := range []struct{ allowed, want string }{{r.input, ""}, {secret, "read"}, {secret, "read"}, {r.input, ""}} {
				if got := read(step.allowed); got != step.want {
					t.Errorf("step %d, with %s: it read %q, want %q", i, step.allowed, got, step.want)
				}
			}
			r.wall.Close()
			if err := errors.Join(os.Remove(filepath.Join(r.run, "tries.txt")), os.Remove(r.run), os.Mkdir(r.run, 0o755)); err != nil {
				t.Fatal(err)
			}
			if got := read(secret); got != "read" {
				t.Errorf("after Close, with a new folder, it read %q", got)
			}
		})
	}
}

// TestAProgramHasStartedOnceItsWallIsUp lets a child end, as one that is killed does, with and without having said so.
func TestAProgramHasStartedOnceItsWallIsUp(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]bool{"": false, raised: true, raised + `{"errno": 2}`: false, `{"part": "limits"}`: false} {
		p, err := process.Start(exec.Command("true"), process.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := await(strings.NewReader(said), p, "true"); (err == nil) != want {
			t.Errorf("after %q: %v", said, err)
		}
		_ = p.Wait()
	}
}

// TestTheTriesAreReal lets the same program loose without a wall: tries that then fail would prove nothing. Root would
// harm the machine.
func TestTheTriesAreReal(t *testing.T) {
	t.Parallel()
	if os.Geteuid() == 0 {
		confinetest.Again(t)
		return
	}
	program := confinetest.Hostile(t)
	targets := openTargets(t)
	r := newRoom(t, append(targets.tries(t), "read /proc/"+strconv.Itoa(os.Getpid())+"/environ")...)
	var out bytes.Buffer
	cmd := &exec.Cmd{Path: program, Args: []string{"sumo"}, Dir: r.run, Env: []string{}, Stdout: &out, Stderr: &out}
	p, held, err := Start(cmd, Wall{Profile: SUMO}, Off)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Wait(); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(simulation.Confinement{}, held); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for _, want := range append([]string{
		"read /etc/passwd", "list /etc", "make ../hostile", "write tries.txt", "empty, opened to read tries.txt",
		"empty, opened for nothing tries.txt",
		"truncate tries.txt", "chmod tries.txt", "set the times of tries.txt", "rename ../scenario/tries.txt", "remove what it made",
		"make a link that leads out", "make a pipe", "make a folder", "socket UNIX stream", "socket INET stream", "bind", "listen", "socketpair",
		"processes: signal its parent", "processes: tgkill its parent", "processes: pidfd of its parent", "processes: its parent's limits",
		"processes: signals by a descriptor", "processes: a process", "System V shared memory", "memfd_create", "shared memory", "inotify",
	}, targets.tries(t)...) {
		if !strings.Contains(out.String(), "DONE: "+want+"\n") {
			t.Errorf("%s failed without a wall", want)
		}
	}
	if t.Failed() {
		t.Log(out.String())
	}
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

// targets are servers for a program to connect to.
type targets struct{ unix, abstract, tcp net.Listener }

func openTargets(t *testing.T) targets {
	t.Helper()
	dir, err := os.MkdirTemp("", "s") // t.TempDir's paths are too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	listen := func(network, address string) net.Listener {
		l, err := net.Listen(network, address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		return l
	}
	return targets{listen("unix", filepath.Join(dir, "s")), listen("unix", "@"+dir), listen("tcp", "127.0.0.1:0")}
}

func (s targets) tries(t *testing.T) []string {
	t.Helper()
	return []string{
		"unix " + s.unix.Addr().String(),
		"abstract " + strings.TrimPrefix(s.abstract.Addr().String(), "@"),
		fmt.Sprintf("tcp 127.0.0.1 %d", s.tcp.Addr().(*net.TCPAddr).Port),
	}
}

func TestLimitsHold(t *testing.T) {
	t.Parallel()
	confinetest.AsOrdinaryUser(t)
	program := confinetest.Hostile(t)
	r := newRoom(t, "memory", "stack", "addresses", "disk", "reserved", "deleted")
	output, _ := r.begin(t, program, 0, Limits{Data: 256 << 20, FileSize: 8 << 20})
	for _, want := range []string{
		`refused: memory \(cannot allocate memory\) after (1[6-9]\d|2[0-5]\d) MiB`,
		`refused: disk grown-by-hostile \(file too large\) after 8 MiB`,
		`refused: stack \(function not implemented\) after 0 MiB`, `refused: addresses \(cannot allocate memory\)`,
		`refused: reserved \(function not implemented\)`, `refused: disk \. \(function not implemented\)`,
	} {
		if !regexp.MustCompile(want).MatchString(output) {
			t.Errorf("the output lacks %q:\n%s", want, output)
		}
	}
}

// TestTheLimitsAreTheProgramsOwn starts a program with less memory than this process needs to raise its wall.
func TestTheLimitsAreTheProgramsOwn(t *testing.T) {
	t.Parallel()
	program, err := exec.LookPath("true")
	if err != nil {
		t.Fatal(err)
	}
	r := newRoom(t)
	for range 20 {
		if output, _ := r.begin(t, program, 0, Limits{Data: 1 << 20}); output != "" {
			t.Fatal(output)
		}
	}
}

func TestPlans(t *testing.T) {
	t.Parallel()
	open, closed := confinetest.OpenDir(t), filepath.Join(t.TempDir(), "closed")
	if err := os.MkdirAll(filepath.Join(closed, "run"), 0o700); err != nil {
		t.Fatal(err)
	}
	type plans = []simulation.Confinement
	full := abilities{landlock: 7, root: true, mount: true, otherUser: true}
	for name, tc := range map[string]struct {
		mode  Mode
		write string
		able  abilities
		want  plans
	}{
		"root": {Require, filepath.Join(open, "run"), full, plans{{Landlock: 7, Filter: true, User: true}, {Landlock: 7, Filter: true}}},
		"root, below a private folder": {
			Require, filepath.Join(closed, "run"), full,
			plans{{Landlock: 7, Namespace: true, Filter: true, User: true}, {Landlock: 7, Filter: true}},
		},
		"root that may not mount, below a private folder": {
			Require, filepath.Join(closed, "run"), abilities{landlock: 7, root: true, otherUser: true}, plans{{Landlock: 7, Filter: true}},
		},
		"root of an old kernel": {
			Require, filepath.Join(open, "run"), abilities{root: true, mount: true, otherUser: true},
			plans{{Namespace: true, Filter: true, User: true}, {Namespace: true, Filter: true}},
		},
		"an ordinary user":                  {Require, filepath.Join(closed, "run"), abilities{landlock: 2}, plans{{Landlock: 2, Filter: true}}},
		"an ordinary user of an old kernel": {Require, filepath.Join(closed, "run"), abilities{}, plans{{Namespace: true, Filter: true}}},
		"an ordinary user who prefers": {
			Prefer, filepath.Join(closed, "run"), abilities{landlock: 2}, plans{{Landlock: 2, Filter: true}, {Landlock: 2}, {Filter: true}, {}},
		},
		"an ordinary user of an old kernel who prefers": {
			Prefer, filepath.Join(closed, "run"), abilities{}, plans{{Namespace: true, Filter: true}, {Filter: true}, {}},
		},
		"off": {Off, filepath.Join(open, "run"), full, plans{{}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := Wall{Profile: SUMO, Write: []string{tc.write}}.plans(tc.mode, "/bin/sh", tc.able)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if tc.mode == Require {
				for _, p := range got {
					if !p.Holds() {
						t.Errorf("%s does not hold", p)
					}
				}
			}
			if !slices.IsSortedFunc(got, func(a, b simulation.Confinement) int { return b.Compare(a) }) {
				t.Errorf("a weaker plan goes before a stronger one: %v", got)
			}
		})
	}
}

// TestAWardenMustSeeItsTree is about root in a container that may not look at other users' processes.
func TestAWardenMustSeeItsTree(t *testing.T) {
	t.Parallel()
	dir := confinetest.OpenDir(t)
	able := abilities{landlock: 7, root: true, otherUser: true}
	for profile, want := range map[Profile][]simulation.Confinement{
		SUMO: {{Landlock: 7, Filter: true, User: true}, {Landlock: 7, Filter: true}}, Program: {{Landlock: 7, Filter: true}},
	} {
		if diff := cmp.Diff(want, Wall{Profile: profile, Write: []string{dir}}.plans(Require, "/bin/sh", able)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", profile, diff)
		}
	}
}

func TestWhatCannotBeStartedIsNoWallsFault(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd := &exec.Cmd{Path: filepath.Join(dir, "none"), Args: []string{"none"}, Dir: dir, Env: []string{}}
	_, _, err := Start(cmd, Wall{Profile: SUMO, Write: []string{dir}}, Require)
	if !errors.Is(err, os.ErrNotExist) || errors.Is(err, ErrUnconfined) {
		t.Errorf("got %v", err)
	}
	_, _, err = Start(cmd, Wall{Profile: "none", Write: []string{dir}}, Require)
	if !errors.Is(err, ErrUnconfined) || !strings.Contains(err.Error(), "system call filter") {
		t.Errorf("got %v", err)
	}
}

func TestTheCompanionIsAProgramBesideThisOne(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		make func(file string) error
		want bool
	}{
		"nothing":   {func(string) error { return nil }, false},
		"a program": {func(file string) error { return os.WriteFile(file, nil, 0o755) }, true},
		"a file":    {func(file string) error { return os.WriteFile(file, nil, 0o644) }, false},
		"a folder":  {func(file string) error { return os.Mkdir(file, 0o755) }, false},
	} {
		folder := t.TempDir()
		file := filepath.Join(folder, companion)
		if err := tc.make(file); err != nil {
			t.Fatal(err)
		}
		want := self
		if tc.want {
			want = file
		}
		if got := starterIn(folder); got != want {
			t.Errorf("beside %s: %s, want %s", name, got, want)
		}
	}
}

func TestAnUnknownOrderIsRefused(t *testing.T) {
	t.Parallel()
	if a := become(`{"path": "/bin/true", "more": true}`); !strings.Contains(a.Message, "unknown field") {
		t.Errorf("a program: %+v", a)
	}
	if w, began := newWarden(`{"path": "/bin/true", "wall": {"more": true}}`); w != nil || !strings.Contains(began.Failed, "unknown field") {
		t.Errorf("a warden: %+v", began)
	}
}
