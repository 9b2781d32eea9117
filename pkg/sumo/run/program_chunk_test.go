package run

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/sumotest"
)

// A chunk's runs share one checked copy of the scenario, of which a program changes only its own.
func TestProgramsOfAChunkHaveCopiesOfTheirOwn(t *testing.T) {
	t.Parallel()
	const text = `
with open("shared.txt") as f:
    assert f.read() == "as uploaded", "another run has changed it"
with open("shared.txt", "w") as f:
    f.write("changed")
`
	first := programRun(t, sumotest.Newest(t), map[string]string{"control.py": text, "shared.txt": "as uploaded"})
	first.Options.Controller = &simulation.Controller{File: "control.py", Interface: simulation.TraCI}
	kept := &library{folder: t.TempDir()}
	first.shared = kept.files(first)
	second := newRun(t)
	second.Python, second.Scenario, second.Options, second.shared = first.Python, first.Scenario, first.Options, first.shared
	known := proofs{}
	for _, r := range []Run{first, second} {
		outcome := known.carryOut(t.Context(), r, false, kept.open)
		got := result{outcome, r}
		if !outcome.Succeeded() {
			t.Fatalf("%s: %s\n%s", outcome.Reason, outcome.Message, got.read(t, simulation.LogFile))
		}
		if text := got.read(t, "shared.txt"); text != "changed" {
			t.Errorf("the changed file is a result with %q", text)
		}
	}
	if len(known.valid) > 0 {
		t.Error("a program's run counts as proof that XML is valid")
	}
	plain := first
	plain.Options.Controller = nil
	if kept.name(plain) == kept.name(first) {
		t.Error("a plain run gets a program's copy of the scenario")
	}
}

// Each run has ports of its own, so that programs that write one down run side by side.
func TestProgramsOfAChunkUseTheSamePort(t *testing.T) {
	t.Parallel()
	const text = `
import os, subprocess, sys, time
import traci
sumo = subprocess.Popen(["sumo", "-n", "road.net.xml", "-r", "road.rou.xml", "--remote-port", "8813"])
traci.init(8813)
print("from", time.time())
while traci.simulation.getMinExpectedNumber() > 0:
    traci.simulationStep()
open("begun", "w").close()
for _ in range(6000): # at most a minute
    if os.path.exists("go"): break
    time.sleep(0.01)
print("until", time.time())
traci.close()
sys.exit(sumo.wait())
`
	f := road(t, "", oneVehicle)
	f["control.py"] = text
	c, k := chunkOf(t, zipped(t, f), 2, 2)
	c.Common.Python = sumotest.Python(t, c.Common.Version)
	for i := range c.List.Runs {
		c.List.Runs[i].Options.Controller = &simulation.Controller{File: "city/control.py", Interface: simulation.TraCI}
		c.List.Runs[i].Options.Outputs = []simulation.Output{simulation.OutputTripinfo, simulation.OutputEdgeData}
	}
	go func() { // lets both end once both have begun
		for t.Context().Err() == nil {
			begun, _ := filepath.Glob(filepath.Join(c.Common.Work, runsFolder, "*", runFolder, "city", "begun"))
			if len(begun) == 2 {
				for _, name := range begun {
					if err := os.WriteFile(filepath.Join(filepath.Dir(name), "go"), nil, 0o644); err != nil {
						t.Error(err)
					}
				}
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
	if outcome := k.do(c); !outcome.Succeeded() {
		t.Fatalf("%s: %s", outcome.Reason, outcome.Message)
	}
	began, ended := 0.0, 0.0 // the last beginning and the first end
	for run, files := range k.stored {
		if outcome := files.outcome(t); !outcome.Succeeded() {
			t.Fatalf("%s: %s: %s\n%s", run, outcome.Reason, outcome.Message, files[simulation.LogFile])
		}
		for line := range strings.Lines(files[simulation.LogFile]) {
			var at float64
			if n, _ := fmt.Sscanf(line, "program: from %f", &at); n == 1 {
				began = max(began, at)
			}
			if n, _ := fmt.Sscanf(line, "program: until %f", &at); n == 1 && (ended == 0 || at < ended) {
				ended = at
			}
		}
		if files[simulation.EdgeColumnsFile] == "" || files["edgedata.xml.gz"] == "" {
			t.Errorf("%s has the results %q", run, slices.Sorted(maps.Keys(files)))
		}
	}
	if len(k.stored) != 2 || began == 0 || began > ended {
		t.Errorf("%d runs, from %f until %f", len(k.stored), began, ended)
	}
}
