package run

import (
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/confine"
	"github.com/sumo-k8/sumo-k8/pkg/confine/confinetest"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/sumotest"
)

// act is what testdata/hostile.py does, how that ends, and what it succeeds in.
type act struct {
	args    []string
	reason  simulation.Reason
	message string
	done    []string
	check   func(t *testing.T, r Run)
	change  func(r *Run)
	reads   bool // or writes files, so that it is tried without Landlock too
}

// around is what a hostile program finds around its run.
type around struct {
	world
	udp   int    // port
	unix  string // a socket, as Postgres has one
	argo  string // a file such as /var/run/argo has
	other string // a file of another run
}

func newAround(t *testing.T) around {
	t.Helper()
	w := newWorld(t)
	a := around{
		world: w, argo: filepath.Join(w.dir, "argo", "argoexec"), other: filepath.Join(w.dir, "other", "run", "a.xml"),
	}
	for _, name := range []string{a.argo, a.other} {
		if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(secret), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	a.before = w.look(t)
	datagrams, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = datagrams.Close() })
	a.udp = datagrams.LocalAddr().(*net.UDPAddr).Port
	go func() {
		for {
			if _, _, err := datagrams.ReadFrom(make([]byte, 1)); err != nil {
				return
			}
			a.callers.Add(1)
		}
	}()
	folder, err := os.MkdirTemp("", "pg") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	a.unix = filepath.Join(folder, ".s.PGSQL.5432")
	listener, err := net.Listen("unix", a.unix)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	for name, mode := range map[string]os.FileMode{folder: 0o755, a.unix: 0o777} {
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
	}
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			a.callers.Add(1)
			connection.Close()
		}
	}()
	return a
}

// acts are those of testdata/hostile.py.
func (a around) acts(r Run) map[string]act {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	shared := filepath.Join(r.scenario(), "city", "road.net.xml")
	out := filepath.Join(a.dir, "home", "work", runFolder, "city", outFolder)
	return map[string]act{
		"UDP and other sockets": {args: []string{"udp", strconv.Itoa(a.udp)}},
		"TCP":                   {args: []string{"tcp", strconv.Itoa(a.port)}},
		"DNS":                   {args: []string{"dns"}},
		"a Unix socket":         {args: []string{"unix", a.unix}},
		"reading": {
			args: []string{"read", "/etc/passwd", "/etc/shadow", filepath.Join(a.dir, "secret"), a.other, a.argo, "/root"}, reads: true,
		},
		"replacing files": {
			args: []string{"replace", shared, self, a.argo, a.other, filepath.Join(a.dir, "victim.xml")}, reads: true,
			check: func(t *testing.T, r Run) {
				if text, err := os.ReadFile(shared); err != nil || string(text) != a.net {
					t.Errorf("the scenario's own copy is changed: %v", err)
				}
				if _, err := os.Stat(self + ".new"); err == nil {
					t.Error("there is a file beside sumo-run")
				}
			},
		},
		"links for outputs": {
			args: []string{"links", filepath.Join(a.dir, "secret")}, reads: true,
			check: func(t *testing.T, r Run) {
				if diff := cmp.Diff([]string{"city/out2/b.txt"}, resultsOf(t, r)); diff != "" {
					t.Errorf("results (-want +got):\n%s", diff)
				}
			},
		},
		"forks without end": {args: []string{"forks"}, reason: simulation.ControllerError, message: "more than 256 processes"},
		"a daemon": {
			args: []string{"daemon"}, done: []string{"daemon"},
			check: func(t *testing.T, r Run) {
				late := filepath.Join(r.Out, "city", outFolder, "late.txt")
				before, err := os.ReadFile(late)
				if err != nil || len(before) == 0 {
					t.Fatalf("the daemon has not written: %v", err)
				}
				time.Sleep(200 * time.Millisecond)
				if after, err := os.ReadFile(late); err != nil || len(after) != len(before) {
					t.Errorf("it has written since the run's end: %d bytes, then %d, %v", len(before), len(after), err)
				}
				if _, err := os.Stat(filepath.Join(out, "late.txt")); err == nil {
					t.Error("it has written where the result was")
				}
			},
		},
		"output where nobody may look": {
			args: []string{"hidden"}, reason: simulation.OutputTooLarge, message: "may write",
			change: func(r *Run) { r.Output = 20 << 20 },
		},
		"output at a path that is too long": {
			args: []string{"deep"}, reason: simulation.OutputTooLarge, message: "may nest",
			change: func(r *Run) { r.Output = 20 << 20 },
		},
		"results that nobody may read": {
			args: []string{"unreadable"}, done: []string{"unreadable"},
			check: func(t *testing.T, r Run) {
				if info, err := os.Stat(filepath.Join(r.Out, "city", outFolder, "a.txt")); err != nil || info.Mode().Perm()&0o444 != 0o444 {
					t.Errorf("its result is %v, %v", info, err)
				}
			},
		},
		"signals": {args: []string{"signals", strconv.Itoa(os.Getpid())}},
	}
}

// resultsOf are the results of a run that the program has made.
func resultsOf(t *testing.T, r Run) []string {
	t.Helper()
	var made []string
	for name := range filesOf(t, r.Out) {
		if strings.HasPrefix(name, "city/") {
			made = append(made, name)
		}
	}
	slices.Sort(made)
	return made
}

// succeeded is a line of what testdata/hostile.py has done.
var succeeded = regexp.MustCompile(`(?m)program: DONE: (.*)$`)

// TestNoProgramGetsOut runs each act of testdata/hostile.py as a controller, and afterwards an honest one.
func TestNoProgramGetsOut(t *testing.T) {
	t.Parallel()
	confinetest.AsOrdinaryUser(t)
	hostile, err := os.ReadFile("testdata/hostile.py")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for name := range newAround(t).acts(Run{}) {
		names = append(names, name)
	}
	for _, name := range names {
		walls := map[string]int{"": 0}
		if newAround(t).acts(Run{})[name].reads {
			walls[", without Landlock"] = confine.NoLandlock
		}
		for wall, abi := range walls {
			t.Run(name+wall, func(t *testing.T) {
				t.Parallel()
				a := newAround(t)
				r := a.run(t)
				r.landlockABI, r.grace = abi, time.Second
				r.Python = sumotest.Python(t, r.Version)
				f := road(t, "", oneVehicle)
				f["hostile.py"], f["honest.py"] = string(hostile), "open('out/honest.txt', 'w').write('well')"
				r.Scenario = zipped(t, f)
				tried := a.acts(r)[name]
				honest := r
				if tried.change != nil {
					tried.change(&r)
				}
				r.Options.Controller = &simulation.Controller{File: "city/hostile.py", Args: tried.args, Interface: simulation.TraCI}
				got := result{r.Do(t.Context()), r}
				log := got.read(t, simulation.LogFile)
				if got.Reason != tried.reason || !strings.Contains(got.Message, tried.message) {
					t.Errorf("it ended with %q: %s\n%s", got.Reason, got.Message, log)
				}
				if got.Confinement == nil || !got.Confinement.Holds() {
					t.Errorf("it was held by %s", got.Confinement)
				}
				var done []string
				for _, found := range succeeded.FindAllStringSubmatch(log, -1) {
					done = append(done, found[1])
				}
				if diff := cmp.Diff(tried.done, done); diff != "" {
					t.Errorf("it succeeds in (-want +got):\n%s\n%s", diff, log)
				}
				a.check(t, r, got.Message+log)
				if tried.check != nil {
					tried.check(t, r)
				}
				honest.Options.Controller = &simulation.Controller{File: "city/honest.py", Interface: simulation.TraCI}
				if after := (result{honest.Do(t.Context()), honest}); !after.Succeeded() {
					t.Errorf("an honest program afterwards: %s: %s", after.Reason, after.Message)
				} else if diff := cmp.Diff([]string{"city/out/honest.txt"}, resultsOf(t, honest)); diff != "" {
					t.Errorf("its results (-want +got):\n%s", diff)
				}
			})
		}
	}
}
