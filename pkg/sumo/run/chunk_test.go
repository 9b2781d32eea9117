package run

import (
	"bytes"
	gocmp "cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/chunk"
	"github.com/sumo-k8/sumo-k8/pkg/confine"
	"github.com/sumo-k8/sumo-k8/pkg/confine/confinetest"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/sumotest"
	networks "github.com/sumo-k8/sumo-k8/test_networks"
)

// keeper is a small one, which follows the protocol of package chunk and keeps results in memory.
type keeper struct {
	t         testing.TB
	out, desk string
	refuses   func(run string) bool // nil for none
	silent    bool                  // it gives no sign that it lives

	mu     sync.Mutex
	stored map[string]results
	twice  []string // runs that were handed over again
}

// results are the files of a run by name.
type results map[string]string

func (r results) outcome(t testing.TB) (o simulation.Outcome) {
	t.Helper()
	if err := json.Unmarshal([]byte(r[simulation.OutcomeFile]), &o); err != nil {
		t.Fatalf("%v: %q", err, r[simulation.OutcomeFile])
	}
	return o
}

// put writes a file of the desk by a rename.
func (k *keeper) put(name string, v any) {
	text, err := json.Marshal(v)
	name = filepath.Join(k.desk, name)
	err = errors.Join(err, os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name+"~", text, 0o644), os.Rename(name+"~", name))
	if err != nil {
		k.t.Error(err)
	}
}

func (k *keeper) cancel(run string) { k.put(filepath.Join(chunk.CancelFolder, run), nil) }

// open says that the keeper is ready, with what it has stored already.
func (k *keeper) open() {
	skip := []string{}
	k.mu.Lock()
	for run := range k.stored {
		skip = append(skip, run)
	}
	k.mu.Unlock()
	k.put(chunk.AliveFile, nil)
	k.put(chunk.ReadyFile, chunk.Ready{Skip: skip})
}

// serve stores runs until end is closed.
func (k *keeper) serve(end <-chan struct{}) {
	for tick := time.NewTicker(2 * time.Millisecond); ; {
		if now := time.Now(); !k.silent {
			_ = os.Chtimes(filepath.Join(k.desk, chunk.AliveFile), now, now)
		}
		k.look()
		select {
		case <-end:
			return
		case <-tick.C:
		}
	}
}

func (k *keeper) look() {
	entries, _ := os.ReadDir(k.out)
	for _, e := range entries {
		folder := filepath.Join(k.out, e.Name())
		_, err := os.Stat(filepath.Join(folder, simulation.OutcomeFile))
		_, done := os.Lstat(filepath.Join(k.desk, chunk.StoredFolder, e.Name()))
		if err != nil || done == nil || k.refuses != nil && k.refuses(e.Name()) {
			continue
		}
		files := results{}
		err = filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			text, err := os.ReadFile(path)
			name, _ := filepath.Rel(folder, path)
			files[name] = string(text)
			return err
		})
		if err != nil {
			k.t.Errorf("a run has changed after its end: %v", err)
		}
		k.mu.Lock()
		if _, again := k.stored[e.Name()]; again {
			k.twice = append(k.twice, e.Name())
		}
		k.stored[e.Name()] = files
		k.mu.Unlock()
		k.put(filepath.Join(chunk.StoredFolder, e.Name()), chunk.RunState{})
	}
}

// chunkOf is a chunk of n runs of the newest SUMO on a scenario, with seeds from 1 on, and its keeper, which is ready.
func chunkOf(t testing.TB, zip string, n, parallel int) (Chunk, *keeper) {
	t.Helper()
	return chunkWith(t, sumotest.Newest(t), zip, n, parallel)
}

func chunkWith(t testing.TB, sumo release.Installation, zip string, n, parallel int) (Chunk, *keeper) {
	t.Helper()
	r := newRunOf(t, sumo)
	r.Scenario = zip
	dir := filepath.Dir(r.Work)
	c := Chunk{Common: r, Desk: filepath.Join(dir, "desk"), List: chunk.List{Generation: chunk.Generation, ID: "c", Parallel: parallel}}
	for i := range n {
		seed := int64(i + 1)
		c.List.Runs = append(c.List.Runs, chunk.Run{ID: fmt.Sprintf("r%03d", seed), Options: simulation.Options{Seed: &seed}, Pack: true})
	}
	k := &keeper{t: t, out: r.Out, desk: c.Desk, stored: map[string]results{}}
	k.open()
	return c, k
}

// do carries out a chunk beside its keeper.
func (k *keeper) do(c Chunk) simulation.Outcome { return k.doIn(k.t.Context(), c) }

func (k *keeper) doIn(ctx context.Context, c Chunk) simulation.Outcome {
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		k.serve(end)
		close(ended)
	}()
	outcome := c.Do(ctx)
	close(end)
	<-ended
	return outcome
}

func TestEachRunOfAChunkHasItsOwnValues(t *testing.T) {
	t.Parallel()
	c, k := chunkOf(t, zipped(t, road(t, "", someDemand)), 4, 2)
	number := func(value string) []simulation.Attribute {
		return []simulation.Attribute{{File: "city/road.rou.xml", Element: "flow", Key: "id", Equals: "f", Name: "number", Value: value}}
	}
	c.List.Runs[1].Options.Attributes = number("7")
	c.List.Runs[2].Options.Attributes = number("9")
	c.List.Runs[3].Options.SUMOOptions = map[string]string{"max-num-vehicles": "0", "max-depart-delay": "0"}
	if outcome := k.do(c); !outcome.Succeeded() {
		t.Fatalf("%s: %s", outcome.Reason, outcome.Message)
	}
	for i, want := range []float64{60, 7, 9, 0} {
		got := k.stored[c.List.Runs[i].ID].outcome(t)
		if n, ok := got.Summary.Metric("vehicles_inserted"); !got.Succeeded() || !ok || n != want {
			t.Errorf("%d: %s: %s, with %g vehicles", i, got.Reason, got.Message, n)
		}
	}
}

func TestAChunkHandsOverEachOfItsRuns(t *testing.T) {
	t.Parallel()
	sumotest.Each(t, func(t *testing.T, sumo release.Installation) {
		c, k := chunkWith(t, sumo, zipped(t, road(t, "", someDemand)), 5, 2)
		c.List.Runs[1].Options.ConfigFile = "nowhere.sumocfg"
		var console strings.Builder
		c.Common.Console = &console
		if outcome := k.do(c); !outcome.Succeeded() {
			t.Fatalf("%s: %s", outcome.Reason, outcome.Message)
		}
		for _, run := range c.List.Runs {
			got := k.stored[run.ID].outcome(t)
			want := simulation.Reason("")
			if run.Options.ConfigFile != "" {
				want = simulation.InvalidScenario
			}
			if got.Reason != want {
				t.Errorf("%s: %s: %s", run.ID, got.Reason, got.Message)
			}
			if want == "" && !strings.Contains(k.stored[run.ID][simulation.LogFile], fmt.Sprintf("seed %d", *run.Options.Seed)) {
				t.Errorf("%s has another's log:\n%s", run.ID, k.stored[run.ID][simulation.LogFile])
			}
		}
		if text, err := os.ReadFile(c.Common.ProgressFile); err != nil || string(text) != "5000/5000" {
			t.Errorf("progress %q, %v", text, err)
		}
		if lines := strings.Count(console.String(), "\n"); lines != 10 {
			t.Errorf("the console has %d lines:\n%s", lines, console.String())
		}
		entries, err := os.ReadDir(c.Common.Out)
		if err != nil || len(entries) != 1 || entries[0].Name() != chunk.LockFile {
			t.Errorf("left in the output folder: %v, %v", entries, err)
		}
		if left, err := os.ReadDir(filepath.Join(c.Common.Work, runsFolder)); len(left) > 0 {
			t.Errorf("left in the work folder: %v, %v", left, err)
		}
	})
}

// several is a scenario with a configuration for each way to end. Each writes its loop.xml, by an additional file.
func several(t *testing.T) files {
	t.Helper()
	f := road(t, "", someDemand)
	f["loop.add.xml"] = `<additional><inductionLoop id="d" lane="AB_0" pos="1" period="60" file="loop.xml"/></additional>`
	for name, demand := range map[string]string{
		"good": "", "broken": oneVehicle + `<vehicle id="lost" depart="0"><route edges="AB DE"/></vehicle>`, "long": longDemand,
		"hungry": `<flow id="f" begin="0" end="1" number="200000"><route edges="AB BC"/></flow>`, "dump": longDemand,
	} {
		routes, extra := "road.rou.xml", ""
		if demand != "" {
			routes = name + ".rou.xml"
			f[routes] = "<routes>" + demand + "</routes>"
		}
		if name == "dump" {
			extra = `<output><netstate-dump value="dump.xml"/></output>`
		}
		f[name+".sumocfg"] = `<configuration><input><net-file value="road.net.xml"/><route-files value="` + routes + `"/>` +
			`<additional-files value="loop.add.xml"/></input>` + extra + `</configuration>`
	}
	delete(f, "run.sumocfg")
	return f
}

// TestOneRunsEndLeavesTheOthersUntouched has a run for each way to end, beside others that succeed as if they were alone.
func TestOneRunsEndLeavesTheOthersUntouched(t *testing.T) {
	t.Parallel()
	sumotest.Each(t, func(t *testing.T, sumo release.Installation) {
		zip := zipped(t, several(t))
		table := []struct {
			config  string
			change  func(*chunk.Run)
			cancel  bool
			reason  simulation.Reason
			message string
		}{
			{config: "good"},
			{config: "broken", reason: simulation.InvalidScenario, message: "'lost' has no valid route"},
			{config: "long", cancel: true, reason: simulation.Cancelled, message: "The run was cancelled. The simulation was at"},
			{config: "good"},
			{
				config: "long", change: func(r *chunk.Run) { r.TimeoutSeconds = 2 },
				reason: simulation.DeadlineExceeded, message: "longer timeout_seconds",
			},
			{config: "hungry", change: func(r *chunk.Run) { r.Memory = OwnMemory + 160<<20 }, reason: simulation.OutOfMemory, message: "memory_gi"},
			{config: "dump", reason: simulation.OutputTooLarge, message: "MiB were in city/dump.xml"},
			{config: "good"},
		}
		c, k := chunkWith(t, sumo, zip, len(table), 4)
		c.Common.Output = 16 << 20
		cancelled := ""
		for i, row := range table {
			run := &c.List.Runs[i]
			run.Options.ConfigFile = "city/" + row.config + ".sumocfg"
			if row.change != nil {
				row.change(run)
			}
			if row.cancel {
				cancelled = run.ID
			}
		}
		go func() { // as soon as it simulates
			log := filepath.Join(c.Common.Out, cancelled, simulation.LogFile)
			for t.Context().Err() == nil {
				if text, _ := os.ReadFile(log); strings.Contains(string(text), "\n[") {
					k.cancel(cancelled)
					return
				}
				time.Sleep(10 * time.Millisecond)
			}
		}()
		if outcome := k.do(c); !outcome.Succeeded() {
			t.Fatalf("%s: %s", outcome.Reason, outcome.Message)
		}
		for i, row := range table {
			run := c.List.Runs[i]
			got := k.stored[run.ID]
			if outcome := got.outcome(t); outcome.Reason != row.reason || !strings.Contains(outcome.Message, row.message) {
				t.Errorf("%s %s: %s: %s", run.ID, row.config, outcome.Reason, outcome.Message)
			}
			if row.reason != "" {
				continue
			}
			alone := newRunOf(t, sumo)
			alone.Scenario, alone.Options = zip, run.Options
			if outcome := alone.Do(t.Context()); !outcome.Succeeded() {
				t.Fatalf("%s: %s", outcome.Reason, outcome.Message)
			}
			for _, name := range []string{"tripinfo.xml", "summary.xml", "city/loop.xml"} {
				text, err := os.ReadFile(filepath.Join(alone.Out, name))
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(body(string(text)), body(got[name])); diff != "" {
					t.Errorf("%s of %s (-alone +in the chunk):\n%s", name, run.ID, diff)
				}
			}
		}
	})
}

// duration is what a step of the summary took, of wall-clock time.
var duration = regexp.MustCompile(` duration="\d+"`)

// body is an output without what differs between two equal runs: the comment with date and paths, and times of the wall clock.
func body(text string) string {
	if _, rest, ok := strings.Cut(text, "-->"); ok {
		text = rest
	}
	return duration.ReplaceAllString(text, "")
}

// noted is SUMO, which says in a warning when it does not validate.
func noted(t *testing.T, sumo release.Installation) string {
	t.Helper()
	return scriptOf(t, sumo, `case "$*" in *--xml-validation.routes=never*) echo "Warning: unvalidated" >&2 ;; esac; exec $SUMO "$@"`)
}

func TestXMLIsValidatedOnce(t *testing.T) {
	t.Parallel()
	const schema = ` xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" ` +
		`xsi:noNamespaceSchemaLocation="http://sumo.dlr.de/xsd/routes_file.xsd"`
	end := 200.0
	sumotest.Each(t, func(t *testing.T, sumo release.Installation) {
		for name, tc := range map[string]struct {
			options string // of the configuration
			demand  string // in place of someDemand
			change  func(c *Chunk)
			without []bool // which of the runs SUMO does not validate
			reason  simulation.Reason
			message string
		}{
			"one point": {without: []bool{false, true, true}},
			"a run that is known to be valid": {
				change: func(c *Chunk) { c.List.Runs[0].Valid = true }, without: []bool{true, false, true},
			},
			"a run that reads more or less": {
				change: func(c *Chunk) { c.List.Runs[1].Options.End = &end }, without: []bool{false, false, true},
			},
			"a fault against the schema": {
				demand:  strings.ReplaceAll(someDemand, "<flow ", `<flow flown="1" `),
				without: []bool{false, false, false}, reason: simulation.InvalidScenario, message: "'flown'",
			},
			"blanks that only validation removes": {
				demand: `<vType id="t" length=" 4 "/>` + strings.ReplaceAll(someDemand, "<flow ", `<flow type="t" `),
				change: func(c *Chunk) {
					for i := range c.List.Runs {
						c.List.Runs[i].Valid = true
					}
				},
				without: []bool{false, false, false},
			},
			"a scenario that decides itself": {options: `<xml-validation value="local"/>`, without: []bool{false, false, false}},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				scene := road(t, tc.options, gocmp.Or(tc.demand, someDemand))
				scene["road.rou.xml"] = strings.Replace(scene["road.rou.xml"], "<routes", "<routes"+schema, 1)
				c, k := chunkWith(t, sumo, zipped(t, scene), 3, 1)
				c.Common.Binary, c.Common.Confinement = noted(t, sumo), confine.Off
				if tc.change != nil {
					tc.change(&c)
				}
				if outcome := k.do(c); !outcome.Succeeded() {
					t.Fatalf("%s: %s", outcome.Reason, outcome.Message)
				}
				for i, run := range c.List.Runs {
					got := k.stored[run.ID]
					if outcome := got.outcome(t); outcome.Reason != tc.reason || !strings.Contains(outcome.Message, tc.message) {
						t.Errorf("%s: %s: %s", run.ID, outcome.Reason, outcome.Message)
					}
					if without := strings.Contains(got[simulation.LogFile], "unvalidated"); without != tc.without[i] {
						t.Errorf("%s without validation: %v\n%s", run.ID, without, got[simulation.LogFile])
					}
				}
			})
		}
	})
}

// asChunk makes this test binary carry out the chunk in the file that it names.
const asChunk = "TEST_AS_CHUNK"

// inProcess is a chunk in a process of its own, which can be killed.
func inProcess(t *testing.T, c Chunk) *exec.Cmd {
	t.Helper()
	c.Common.Console = nil
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(filepath.Dir(c.Common.Work), "chunk.json")
	if err := os.WriteFile(name, text, 0o644); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), asChunk+"="+name)
	cmd.Stderr = os.Stderr
	return cmd
}

// beChunk is the other side of inProcess.
func beChunk(name string) int {
	text, err := os.ReadFile(name)
	if err != nil {
		panic(err)
	}
	var c Chunk
	if err := json.Unmarshal(text, &c); err != nil {
		panic(err)
	}
	c.Common.Console = os.Stdout
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	return c.Do(ctx).Reason.ExitCode()
}

// TestAKilledChunkGoesOn kills sumo-run at random moments, and starts it again over the same folders.
func TestAKilledChunkGoesOn(t *testing.T) {
	t.Parallel()
	const runs, parallel, mostKills = 20, 2, 10
	zip := zipped(t, road(t, `<output><vehroute-output value="routes.xml"/></output>`, someDemand))
	undisturbed, want := chunkOf(t, zip, runs, parallel)
	if outcome := want.do(undisturbed); !outcome.Succeeded() {
		t.Fatalf("%s: %s", outcome.Reason, outcome.Message)
	}
	c, got := chunkOf(t, zip, runs, parallel)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		got.serve(stop)
		close(stopped)
	}()
	began, kills := 0, 0
	for ; ; kills++ {
		got.open()
		stored := got.runs()
		cmd := inProcess(t, c)
		var console bytes.Buffer
		cmd.Stdout = &console
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		after := time.Duration(20+rand.IntN(600)) * time.Millisecond
		// On a slow machine no run may end in that time, and with the race detector a process takes a second to end.
		if kills == mostKills || len(stored) == runs {
			after = time.Hour
		}
		kill := time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
		err := cmd.Wait()
		kill.Stop()
		for _, run := range stored {
			if strings.Contains(console.String(), run+" begins") {
				t.Errorf("%s is stored, and begins again", run)
			}
		}
		began += strings.Count(console.String(), " begins\n")
		if err == nil {
			break
		}
		if cmd.ProcessState.Exited() {
			t.Fatalf("it ended by itself: %v", err)
		}
	}
	close(stop)
	<-stopped
	t.Logf("%d kills, %d runs begun for %d", kills, began, runs)
	if began > runs+kills*parallel {
		t.Errorf("%d runs were begun: more were repeated than were at work", began)
	}
	if len(got.twice) > 0 {
		t.Errorf("handed over twice: %v", got.twice)
	}
	if diff := cmp.Diff(want.runs(), got.runs()); diff != "" {
		t.Errorf("runs (-undisturbed +got):\n%s", diff)
	}
	for run, files := range want.stored {
		if outcome := got.stored[run].outcome(t); !outcome.Succeeded() {
			t.Errorf("%s: %s: %s", run, outcome.Reason, outcome.Message)
		}
		for name, text := range files {
			if path.Ext(name) == ".xml" && name != "statistics.xml" { // which has times of the wall clock
				if diff := cmp.Diff(body(text), body(got.stored[run][name])); diff != "" {
					t.Errorf("%s of %s (-undisturbed +got):\n%s", name, run, diff)
				}
			}
		}
	}
}

// runs are those that are stored.
func (k *keeper) runs() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Sorted(maps.Keys(k.stored))
}

// TestASIGTERMEndsAChunk has three runs: one that waits for the keeper, one that goes on, and one that has not begun.
func TestASIGTERMEndsAChunk(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		single, cancel bool
		reason         simulation.Reason
		stored         map[string]simulation.Reason
	}{
		"several runs": {reason: simulation.Interrupted, stored: map[string]simulation.Reason{"r001": ""}},
		"runs of which one is cancelled": {
			cancel: true, reason: simulation.Interrupted, stored: map[string]simulation.Reason{"r001": "", "r002": simulation.Cancelled},
		},
		"a single run": {
			single: true, reason: simulation.Interrupted, stored: map[string]simulation.Reason{"r002": simulation.Interrupted},
		},
		"a single run that is cancelled": {
			single: true, cancel: true, reason: simulation.Cancelled, stored: map[string]simulation.Reason{"r002": simulation.Cancelled},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, k := chunkOf(t, zipped(t, several(t)), 3, 1)
			for i, config := range []string{"good", "long", "good"} {
				c.List.Runs[i].Options.ConfigFile = "city/" + config + ".sumocfg"
			}
			if tc.single {
				c.List.Single, c.List.Runs = true, c.List.Runs[1:2]
			}
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			held := true // the keeper stores nothing before the stop
			k.refuses = func(string) bool { return held && ctx.Err() == nil }
			go func() {
				for t.Context().Err() == nil {
					if text, _ := os.ReadFile(filepath.Join(c.Common.Out, "r002", simulation.LogFile)); strings.Contains(string(text), "\n[") {
						if tc.cancel {
							k.put(filepath.Join(chunk.CancelFolder, "r002"), nil)
						}
						stop()
						return
					}
					time.Sleep(5 * time.Millisecond)
				}
			}()
			outcome := k.doIn(ctx, c)
			if outcome.Reason != tc.reason {
				t.Errorf("%s: %s", outcome.Reason, outcome.Message)
			}
			got := map[string]simulation.Reason{}
			for run, files := range k.stored {
				got[run] = files.outcome(t).Reason
			}
			if diff := cmp.Diff(tc.stored, got); diff != "" {
				t.Errorf("handed over (-want +got):\n%s", diff)
			}
			_, err := os.Stat(filepath.Join(c.Common.Out, simulation.OutcomeFile))
			if copied := err == nil; copied != tc.single {
				t.Errorf("a copy of the outcome: %v", err)
			}
		})
	}
}

func TestAChunkIsWidened(t *testing.T) {
	t.Parallel()
	c, k := chunkOf(t, zipped(t, road(t, "", longDemand)), 2, 1)
	cancelled := make(chan bool, 1)
	go func() { // the runs once both go on
		for end := time.After(time.Minute); ; time.Sleep(10 * time.Millisecond) {
			at, _ := filepath.Glob(filepath.Join(c.Common.Work, runsFolder, "*"))
			switch {
			case len(at) == 1:
				k.put(chunk.LanesFile, 2)
			case len(at) == 2:
				k.put(filepath.Join(chunk.CancelFolder, "r001"), nil)
				k.put(filepath.Join(chunk.CancelFolder, "r002"), nil)
				cancelled <- true
				return
			}
			select {
			case <-end:
				cancelled <- false
				return
			default:
			}
		}
	}()
	if outcome := k.do(c); !outcome.Succeeded() || !<-cancelled {
		t.Errorf("not both runs went on at a time; the chunk ended as %+v", outcome)
	}
}

func TestAChunkWaitsForItsKeeper(t *testing.T) {
	t.Parallel()
	t.Run("which is not there", func(t *testing.T) {
		t.Parallel()
		c, _ := chunkOf(t, zipped(t, road(t, "", oneVehicle)), 2, 1)
		if err := os.Remove(filepath.Join(c.Desk, chunk.ReadyFile)); err != nil {
			t.Fatal(err)
		}
		c.patience = 100 * time.Millisecond
		if outcome := c.Do(t.Context()); outcome.Reason != simulation.Interrupted {
			t.Errorf("%s: %s", outcome.Reason, outcome.Message)
		}
	})
	t.Run("which falls silent", func(t *testing.T) {
		t.Parallel()
		c, k := chunkOf(t, zipped(t, road(t, "", longDemand)), 2, 1)
		c.patience, k.silent = 2*time.Second, true
		if outcome := k.do(c); outcome.Reason != simulation.Interrupted || len(k.stored) > 0 {
			t.Errorf("%s: %s, and %v", outcome.Reason, outcome.Message, k.runs())
		}
	})
	t.Run("which falls silent after a stop", func(t *testing.T) {
		t.Parallel()
		c, k := chunkOf(t, zipped(t, road(t, "", oneVehicle)), 1, 1)
		c.patience, k.silent = time.Second, true
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		k.refuses = func(string) bool { stop(); return true }
		from := time.Now()
		if outcome := k.doIn(ctx, c); outcome.Reason != simulation.Interrupted || time.Since(from) > time.Minute {
			t.Errorf("after %s: %s: %s", time.Since(from), outcome.Reason, outcome.Message)
		}
		// The keeper is another user in a pod, and looks whether sumo-run lives.
		if info, err := os.Stat(filepath.Join(c.Common.Out, chunk.LockFile)); err != nil || info.Mode()&0o004 == 0 {
			t.Errorf("the lock is %v (%v)", info, err)
		}
	})
	t.Run("which lives", func(t *testing.T) {
		t.Parallel()
		c, k := chunkOf(t, zipped(t, road(t, "", oneVehicle)), 1, 1)
		c.patience = 6 * time.Second
		var ended time.Time
		k.refuses = func(string) bool {
			if ended.IsZero() {
				ended = time.Now()
			}
			return time.Since(ended) < c.patience+2*time.Second
		}
		if outcome := k.do(c); !outcome.Succeeded() {
			t.Errorf("%s: %s", outcome.Reason, outcome.Message)
		}
	})
	t.Run("which cannot store", func(t *testing.T) {
		t.Parallel()
		c, k := chunkOf(t, zipped(t, road(t, "", oneVehicle)), chunk.MostUnstored+5, 2)
		c.List.Single = false
		most := 0
		k.refuses = func(string) bool {
			waiting, _ := filepath.Glob(filepath.Join(c.Common.Out, "*", simulation.OutcomeFile))
			most = max(most, len(waiting))
			return len(k.stored) == 0 && len(waiting) < chunk.MostUnstored
		}
		if outcome := k.do(c); !outcome.Succeeded() || len(k.stored) != len(c.List.Runs) {
			t.Errorf("%s: %s, and %v", outcome.Reason, outcome.Message, k.runs())
		}
		if most < chunk.MostUnstored || most > chunk.MostUnstored+c.List.Parallel {
			t.Errorf("%d runs waited", most)
		}
	})
}

// TestWhatWaitsIsBoundedInBytes has a keeper that stores a run only when no further one begins.
func TestWhatWaitsIsBoundedInBytes(t *testing.T) {
	t.Parallel()
	c, k := chunkOf(t, zipped(t, road(t, "", oneVehicle)), 6, 1)
	c.Common.Output = 8 << 20
	most := 0
	began := time.Now()
	since := began
	k.refuses = func(run string) bool {
		waiting, _ := filepath.Glob(filepath.Join(c.Common.Out, "*", simulation.OutcomeFile))
		if len(waiting) > most {
			most, since = len(waiting), time.Now()
		}
		// The second takes its time. Whether a third begins then shows soon.
		return most < 2 && time.Since(began) < time.Minute || time.Since(since) < 2*time.Second
	}
	c.Common.Binary, c.Common.Confinement = scriptOf(t, sumotest.Newest(t),
		`head -c 6291456 /dev/zero > padding; exec $SUMO "$@"`), confine.Off
	if outcome := k.do(c); !outcome.Succeeded() || len(k.stored) != len(c.List.Runs) {
		t.Errorf("%s: %s, and %v", outcome.Reason, outcome.Message, k.runs())
	}
	if most != 2 { // of 6 MiB each
		t.Errorf("%d runs waited", most)
	}
}

func TestAChunkPassesOverWhatIsNotWanted(t *testing.T) {
	t.Parallel()
	c, k := chunkOf(t, zipped(t, road(t, "", oneVehicle)), 4, 1)
	k.put(chunk.ReadyFile, chunk.Ready{Skip: []string{"r001"}})
	k.cancel("r002")
	k.put(filepath.Join(chunk.StoredFolder, "r003"), nil)
	if outcome := k.do(c); !outcome.Succeeded() {
		t.Fatalf("%s: %s", outcome.Reason, outcome.Message)
	}
	if diff := cmp.Diff([]string{"r004"}, k.runs()); diff != "" {
		t.Errorf("carried out (-want +got):\n%s", diff)
	}
	if text, err := os.ReadFile(c.Common.ProgressFile); err != nil || string(text) != "4000/4000" {
		t.Errorf("progress %q, %v", text, err)
	}
}

// TestASingleRunThatEndedElsewhere has a pod's sumo-run end as the run did whose end the keeper knows.
func TestASingleRunThatEndedElsewhere(t *testing.T) {
	t.Parallel()
	for name, ready := range map[string]chunk.Ready{"stored": {Skip: []string{"r001"}}, "not skipped": {}} {
		c, k := chunkOf(t, "unread.zip", 1, 1)
		c.List.Single = true
		k.put(chunk.ReadyFile, ready)
		want := simulation.Outcome{Reason: simulation.TooManyTeleports, Message: "stuck"}
		k.put(filepath.Join(chunk.StoredFolder, "r001"), chunk.RunState{Outcome: &want})
		got := k.do(c)
		var copied simulation.Outcome
		text, err := os.ReadFile(filepath.Join(c.Common.Out, simulation.OutcomeFile))
		if err == nil {
			err = json.Unmarshal(text, &copied)
		}
		if got.Reason != want.Reason || copied.Reason != want.Reason || copied.Message != want.Message || err != nil {
			t.Errorf("%s: %s: %s, and the copy %s, %v", name, got.Reason, got.Message, text, err)
		}
	}
}

func TestACopyOfAnOutcomeThatFailsIsSaid(t *testing.T) {
	t.Parallel()
	c, k := chunkOf(t, "unread.zip", 1, 1)
	c.List.Single = true
	var console strings.Builder
	c.Common.Console = &console
	k.put(filepath.Join(chunk.StoredFolder, "r001"), chunk.RunState{Outcome: &simulation.Outcome{}})
	if err := os.MkdirAll(filepath.Join(c.Common.Out, simulation.OutcomeFile, "in the way"), 0o755); err != nil {
		t.Fatal(err)
	}
	if k.do(c); !strings.Contains(console.String(), "the copy of its outcome could not be written") {
		t.Errorf("the console has %q", console.String())
	}
}

// TestARunWithoutAnOutcomeIsRepeated has a run whose outcome cannot be written, for which a chunk and its keeper would wait for ever.
func TestARunWithoutAnOutcomeIsRepeated(t *testing.T) {
	t.Parallel()
	c, k := chunkOf(t, zipped(t, road(t, "", oneVehicle)), 1, 1)
	c.Common.Confinement = confine.Off
	c.Common.Binary = script(t, `mkdir -p '`+filepath.Join(c.Common.Out, "r001", simulation.OutcomeFile+simulation.PartialSuffix, "in the way")+`'
exec "$SUMO" "$@"`)
	outcome := k.do(c)
	if outcome.Reason != simulation.Interrupted || !strings.Contains(outcome.Message, errUnrecorded.Error()) || len(k.stored) > 0 {
		t.Errorf("%s: %s, %d stored", outcome.Reason, outcome.Message, len(k.stored))
	}
}

// TestWhatTheKeeperReadsStays has a run that an earlier sumo-run has ended: it is removed once it is stored, even if it is skipped.
func TestWhatTheKeeperReadsStays(t *testing.T) {
	t.Parallel()
	c, k := chunkOf(t, "unread.zip", 1, 1)
	k.put(chunk.ReadyFile, chunk.Ready{Skip: []string{"r001"}})
	left := filepath.Join(c.Common.Out, "r001", simulation.OutcomeFile)
	if err := os.MkdirAll(filepath.Dir(left), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, left, "{}")
	looks := 0
	k.refuses = func(string) bool { looks++; return looks < 100 }
	if outcome := k.do(c); !outcome.Succeeded() || len(k.stored) != 1 {
		t.Errorf("%s: %s, and %v are stored", outcome.Reason, outcome.Message, k.runs())
	}
}

func TestASingleRunThatHangsIsNotRepeated(t *testing.T) {
	t.Parallel()
	for _, single := range []bool{true, false} {
		c, _ := chunkOf(t, "unread.zip", 1, 1)
		c.List.Single, c.closing = single, time.Millisecond
		x := &execution{
			Chunk: c, desk: newDesk(c.Desk), progress: &overall{runs: map[string]int{}}, next: 1, ends: make(chan end),
			running: map[string]*running{"r001": {deadline: time.Now()}},
		}
		want := simulation.Interrupted
		if single {
			want = simulation.InternalError
		}
		if outcome := x.goOn(t.Context()); outcome.Reason != want {
			t.Errorf("single %v: %s: %s", single, outcome.Reason, outcome.Message)
		}
	}
}

func TestAPassingFaultOfUnpackingIsNotKept(t *testing.T) {
	t.Parallel()
	c, _ := chunkOf(t, zipped(t, road(t, "", oneVehicle)), 1, 1)
	r := c.Common
	r.Version = "1.28"
	l := &library{folder: filepath.Join(t.TempDir(), "later")} // which is missing
	if _, _, err := l.open(t.Context(), r); err == nil {
		t.Fatal("it was unpacked into a folder that is missing")
	}
	if err := os.Mkdir(l.folder, 0o755); err != nil {
		t.Fatal(err)
	}
	root, _, err := l.open(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	root.Close()
}

func TestARunThatIsValidatedAgainHasOneTimeLimit(t *testing.T) {
	t.Parallel()
	c, _ := chunkOf(t, zipped(t, road(t, "", someDemand)), 1, 1)
	r := c.Common
	r.shared, r.Confinement, r.Timeout, r.grace = c.Common.Work, confine.Off, 10*time.Second, 100*time.Millisecond
	r.Binary = scriptOf(t, sumotest.Newest(t), `case "$*" in
*--xml-validation.routes=never*) sleep 8; echo "Error: Attribute 'length' is not of type float." >&2; exit 1 ;;
esac
sleep 60`)
	r.Version = "1.28"
	l := &library{folder: t.TempDir()}
	r.shared = l.files(r)
	began := time.Now()
	var p proofs
	outcome := p.carryOut(t.Context(), r, true, l.open)
	// With a limit for each of its two attempts it would take 18 s at least.
	if took := time.Since(began); outcome.Reason != simulation.DeadlineExceeded || took > 17*time.Second {
		t.Errorf("after %s: %s: %s", took, outcome.Reason, outcome.Message)
	}
}

func TestWhatRunsShowAboutTheirXML(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		fate fate
		want reading
	}{
		"no complaint":       {fate{}, sound},
		"blanks":             {fate{code: 1, observed: observed{errors: []string{"Attribute 'length' is not of type float."}}}, doubtful},
		"dropped":            {fate{observed: observed{errors: []string{"Attribute 'length' is not of type float."}}}, doubtful},
		"no way through":     {fate{code: 1, observed: observed{errors: []string{"Vehicle 'v' has no valid route."}}}, unread},
		"a crash":            {fate{signal: syscall.SIGSEGV, observed: observed{errors: []string{"Invalid"}}}, unread},
		"stopped by a limit": {fate{stop: simulation.DeadlineExceeded}, unread},
	} {
		if got := tc.fate.reading(); got != tc.want {
			t.Errorf("%s shows %d, want %d", name, got, tc.want)
		}
	}
}

func TestAChunkRefusesAListThatItDoesNotUnderstand(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*chunk.List){
		"another generation":   func(l *chunk.List) { l.Generation++ },
		"no runs":              func(l *chunk.List) { l.Runs = nil },
		"a run twice":          func(l *chunk.List) { l.Runs[1].ID = l.Runs[0].ID },
		"a run that leads out": func(l *chunk.List) { l.Runs[0].ID = "../r" },
		"a name of ours":       func(l *chunk.List) { l.Runs[0].ID = chunk.LockFile },
		"no name":              func(l *chunk.List) { l.Runs[0].ID = "" },
	} {
		c, k := chunkOf(t, "unread.zip", 2, 1)
		change(&c.List)
		if outcome := k.do(c); outcome.Reason != simulation.InternalError || len(k.stored) > 0 {
			t.Errorf("%s: %s: %s", name, outcome.Reason, outcome.Message)
		}
	}
}

// TestAnUnpackedScenarioIsKept has a later chunk that finds the scenario unpacked, and no zip.
func TestAnUnpackedScenarioIsKept(t *testing.T) {
	t.Parallel()
	for _, name := range networks.Ready() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data, err := networks.ReadyZip(name)
			if err != nil {
				t.Fatal(err)
			}
			zip := filepath.Join(t.TempDir(), "scenario.zip")
			write(t, zip, string(data))
			config := firstConfig(t, zip)
			shelf := t.TempDir()
			if err := os.Chmod(filepath.Dir(shelf), 0o755); err != nil {
				t.Fatal(err)
			}
			var stored [2]map[string]results
			for i := range stored {
				c, k := chunkOf(t, zip, 2, 2)
				c.Unpacked = shelf
				for i := range c.List.Runs {
					c.List.Runs[i].Options.ConfigFile, c.List.Runs[i].Options.End = config, shortly(name, 200)
				}
				if outcome := k.do(c); !outcome.Succeeded() {
					t.Fatalf("%s: %s", outcome.Reason, outcome.Message)
				}
				if stored[i] = k.stored; i == 0 {
					_ = os.Remove(zip)
				}
			}
			for run, files := range stored[0] {
				if outcome := files.outcome(t); !outcome.Succeeded() {
					t.Errorf("%s: %s", outcome.Reason, outcome.Message)
				}
				if !strings.Contains(files["tripinfo.xml"], "<tripinfo ") {
					t.Error("no trip has ended")
				}
				if diff := cmp.Diff(body(files["tripinfo.xml"]), body(stored[1][run]["tripinfo.xml"])); diff != "" {
					t.Errorf("the trips of %s (-first +later chunk):\n%s", run, diff)
				}
			}
			if entries, err := os.ReadDir(shelf); err != nil || len(entries) != 1 {
				t.Errorf("kept: %v, %v", entries, err)
			}
		})
	}
}

// TestRunsOfAChunkDoNotReachEachOther has two runs of a SUMO that was taken over.
func TestRunsOfAChunkDoNotReachEachOther(t *testing.T) {
	t.Parallel()
	confinetest.AsOrdinaryUser(t)
	program := confinetest.Hostile(t)
	for name, abi := range map[string]int{"all": 0, "Landlock ABI 1": 1, "without Landlock": confine.NoLandlock} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, k := chunkOf(t, "", 2, 2)
			home := filepath.Dir(c.Common.Work)
			c.Unpacked = filepath.Join(home, "unpacked")
			c.Common.Binary, c.Common.landlockABI = program, abi
			c.Common.Scenario = filepath.Join(home, "scenario.zip")
			list := filepath.Join(home, "list.json")
			write(t, list, "{}")
			var tries []string
			for i := range c.List.Runs {
				run := &c.List.Runs[i]
				run.TimeoutSeconds = 60 // they wait at their end, each with its folders there
				r := c.Common
				r.Work, r.Out = filepath.Join(c.Common.Work, runsFolder, run.ID), filepath.Join(c.Common.Out, run.ID)
				shared := (&library{folder: c.Unpacked}).files(r)
				tries = append(tries,
					"list "+r.Out, "read "+filepath.Join(r.Out, simulation.LogFile), "change "+filepath.Join(r.Out, simulation.LogFile),
					"write "+filepath.Join(r.Out, simulation.OutcomeFile),
					"change "+filepath.Join(shared, "road.net.xml"), "write "+filepath.Join(shared, "new.xml"),
					"read "+filepath.Join(shared, "..", chosenFile), "write "+filepath.Join(c.Desk, chunk.StoredFolder, run.ID),
					"write "+filepath.Join(c.Desk, chunk.CancelFolder, run.ID), "change "+filepath.Join(r.Work, configFile))
			}
			// Names that are the other run's for each: its own folders are its to write in.
			tries = append(tries,
				"list ../../r001/run", "read ../../r001/run.sumocfg", "write ../../r001/run/new.xml", "write ../../r001/results/new.xml",
				"read "+list, "change "+list, "list "+c.Desk,
				"read "+filepath.Join(c.Desk, chunk.ReadyFile), "change "+filepath.Join(c.Desk, chunk.ReadyFile),
				"list "+c.Common.Out, "read "+filepath.Join(c.Common.Out, chunk.LockFile), "list "+c.Unpacked, "read "+c.Common.Scenario, "wait")
			scene := road(t, `<fcd-output.filter-edges.input-file value="tries.txt"/>`, oneVehicle)
			scene["tries.txt"] = strings.Join(tries, "\n")
			data, err := scene.zip("")
			if err != nil {
				t.Fatal(err)
			}
			write(t, c.Common.Scenario, string(data))
			if outcome := k.do(c); !outcome.Succeeded() {
				t.Fatalf("%s: %s", outcome.Reason, outcome.Message)
			}
			users := map[string]bool{}
			for run, files := range k.stored {
				log := files[simulation.LogFile]
				outcome := files.outcome(t)
				if outcome.Confinement == nil || !outcome.Confinement.Holds() {
					t.Fatalf("%s was held by %s: %s: %s", run, outcome.Confinement, outcome.Reason, outcome.Message)
				}
				for line := range strings.Lines(log) {
					own := run == "r001" && strings.Contains(line, "../../r001/")
					// There is nothing but the way to its own folders.
					shown := outcome.Confinement.Landlock == 0 && strings.HasPrefix(line, "DONE: list ")
					if strings.HasPrefix(line, "DONE: ") && !own && !shown {
						t.Errorf("%s: %s", run, line)
					}
				}
				if n := strings.Count(log, "refused: "); n < len(tries) {
					t.Errorf("%s tried %d times:\n%s", run, n, log)
				}
				users[regexp.MustCompile(`user: \d+`).FindString(log)] = true
			}
			if os.Geteuid() == 0 && len(users) != 2 {
				t.Errorf("they ran as %v", users)
			}
		})
	}
}
