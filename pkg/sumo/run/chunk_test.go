package run

import (
	gocmp "cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/chunk"
	"github.com/sumo-k8/sumo-k8/pkg/confine"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/sumotest"
)

// keeper is a small one, which follows the protocol of package chunk and keeps results in memory.
type keeper struct {
	t         testing.TB
	out, desk string
	refuses   func(run string) bool // nil for none

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
	if err = errors.Join(err, os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name+"~", text, 0o644), os.Rename(name+"~", name)); err != nil {
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
func (k *keeper) do(c Chunk) simulation.Outcome {
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		k.serve(end)
		close(ended)
	}()
	outcome := c.Do(k.t.Context())
	close(end)
	<-ended
	return outcome
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
		if err != nil || len(entries) != 1 || entries[0].Name() != lockFile {
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
			{config: "long", cancel: true, reason: simulation.Cancelled, message: "Cancelled on request. The simulation was at"},
			{config: "good"},
			{
				config: "long", change: func(r *chunk.Run) { r.TimeoutSeconds = 2 },
				reason: simulation.DeadlineExceeded, message: "longer timeout_seconds",
			},
			{config: "hungry", change: func(r *chunk.Run) { r.Memory = 1 }, reason: simulation.OutOfMemory, message: "memory_gi"},
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
	const schema = ` xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:noNamespaceSchemaLocation="http://sumo.dlr.de/xsd/routes_file.xsd"`
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
