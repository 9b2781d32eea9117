package run

import (
	"archive/zip"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/sumotest"
)

func TestHowAProgramEnds(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		text    string
		change  func(*Run)
		reason  simulation.Reason
		message string
	}{
		"without SUMO": {text: "print('nothing to do')"},
		"an exception": {text: "raise KeyError('lane_7')", reason: simulation.ControllerError, message: "KeyError: 'lane_7'"},
		"an exit code": {text: "import sys\nsys.exit(3)", reason: simulation.ControllerError, message: "exit code 3"},
		"a signal":     {text: "import os\nos.abort()", reason: simulation.ControllerError, message: "crashed"},
		// A program that does not try again for long may end before the refusal has come.
		"a file outside": {text: "import traci\ntraci.start(['sumo', '-n', '/etc/passwd'], numRetries=12)", reason: simulation.ControllerError,
			message: "outside the run"},
		"without end": {
			text: "while True: pass", reason: simulation.DeadlineExceeded, message: "time limit",
			change: func(r *Run) { r.Timeout = 12 * time.Second }, // in which it has begun even on a busy machine
		},
		"much output": {
			text: "f = open('big', 'wb')\nwhile True: f.write(bytes(1 << 20))", reason: simulation.OutputTooLarge, message: "may write",
			change: func(r *Run) { r.Output = 20 << 20 },
		},
		"folders without end": {
			text: "import os\nn = 0\nwhile True:\n  os.mkdir(f'{n}')\n  n += 1", reason: simulation.OutputTooLarge, message: "folders",
			change: func(r *Run) { r.Output = 20 << 20 },
		},
		"output without a name": {
			text: "import os\nwhile True:\n  f = open('big', 'wb')\n  os.unlink('big')\n  f.write(bytes(8 << 20)); f.flush()\n" +
				"  globals().setdefault('kept', []).append(f)",
			reason: simulation.OutputTooLarge, message: "may write",
			change: func(r *Run) { r.Output = 20 << 20 },
		},
		"a link as result": {
			text: "import os\nopen('mine.txt', 'w').write('x')\n" +
				"try:\n  os.symlink('/etc/passwd', 'theirs.txt')\nexcept OSError:\n  pass\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := programRun(t, sumotest.Newest(t), map[string]string{"control.py": tc.text})
			r.Options.Controller = &simulation.Controller{File: "control.py", Interface: simulation.TraCI}
			r.grace = time.Second
			if tc.change != nil {
				tc.change(&r)
			}
			got := result{r.Do(t.Context()), r}
			if got.Reason != tc.reason || !strings.Contains(got.Message, tc.message) {
				t.Errorf("ended as %q: %s\n%s", got.Reason, got.Message, got.read(t, simulation.LogFile))
			}
			if _, err := os.Lstat(filepath.Join(r.Out, "theirs.txt")); err == nil {
				t.Error("a link is a result")
			}
		})
	}
}

// gridTrips are a few on the network grid.
const gridTrips = `<trip id="n" depart="0" from="D7D6" to="A6left6"/><trip id="m" depart="1" from="G1F1" to="A9top0"/>`

func TestAToolIsKeptAndSaysHowItConverges(t *testing.T) {
	t.Parallel()
	sumotest.Each(t, func(t *testing.T, sumo release.Installation) {
		r := programRun(t, sumo, map[string]string{
			"od.trips.xml": `<trips>` + gridTrips + `</trips>`,
		})
		r.Options.Tool = &simulation.Tool{
			Name: "duaIterate", Args: []string{"-n", "grid.net.xml.gz", "-t", "od.trips.xml", "-l", "3"}, KeepAs: "assigned",
		}
		got := result{r.Do(t.Context()), r}
		if !got.Succeeded() {
			t.Fatalf("%s: %s\n%s", got.Reason, got.Message, got.read(t, simulation.LogFile))
		}
		var c simulation.Convergence
		if err := json.Unmarshal([]byte(got.read(t, simulation.ConvergenceFile)), &c); err != nil {
			t.Fatal(err)
		}
		if len(c.Iterations) != 3 || c.Iterations[0].MeanTravelTime <= 0 || c.Iterations[0].RelativeChange != nil ||
			c.Iterations[1].RelativeChange == nil {
			t.Errorf("convergence %+v", c)
		}
		z, err := zip.OpenReader(filepath.Join(r.Out, simulation.KeptFile))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = z.Close() }()
		var names []string
		for _, f := range z.File {
			names = append(names, f.Name)
		}
		for _, want := range []string{"grid.net.xml.gz", "od.trips.xml", "edgedata.add.xml"} {
			if !slices.Contains(names, want) {
				t.Errorf("%q lacks %s", names, want)
			}
		}
	})
}

// gridFiles are inputs of tools on the network grid.
var gridFiles = map[string]string{
	"some.rou.xml": `<routes><route id="a" edges="A0A1 A1A2"/><route id="b" edges="A0B0 B0C0"/></routes>`,
	"counts.xml":   `<data><interval id="i" begin="0" end="300"><edge id="A0A1" entered="5"/><edge id="B0C0" entered="3"/></interval></data>`,
	"two.rou.xml": `<routes><vehicle id="a" depart="0"><route edges="A0A1 A1A2 A2A3"/></vehicle>
		<vehicle id="b" depart="5"><route edges="A0B0 B0C0 C0D0"/></vehicle></routes>`,
	"taz.add.xml": `<additional><taz id="1" edges="A0A1 A1A2"/><taz id="2" edges="C0D0 D0E0"/></additional>`,
	"od.txt":      "$OR;D2\n0.00 1.00\n1.00\n1 2 10\n2 1 5\n",
}

func TestToolsOfEachKindRun(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		args string
		made string // into the only file
		n    int    // times
	}{
		"netconvert":  {"-s grid.net.xml.gz -o {out}/again.net.xml --keep-edges.explicit A0A1,A1A2", `<edge id="A`, 2},
		"randomTrips": {"-n grid.net.xml.gz -e 20 -o out/some.trips.xml --seed {seed}", "<trip ", 20},
		"routeSampler": {
			"-r some.rou.xml --edgedata-files counts.xml -o out/sampled.rou.xml --seed {seed}", "<vehicle ", 8,
		},
		"cutRoutes":          {"grid.net.xml.gz two.rou.xml --routes-output {out}/cut.rou.xml", "<vehicle ", 2},
		"od2trips":           {"-n taz.add.xml -d od.txt -o out/od.trips.xml --seed {seed}", "<trip ", 15},
		"marouter":           {"-n grid.net.xml.gz --additional-files taz.add.xml -m od.txt -o out/ma.rou.xml --max-iterations 2", "<flow ", 2},
		"tlsCycleAdaptation": {"-n grid.net.xml.gz -r two.rou.xml -o {out}/cycle.add.xml", "<tlLogic ", 4},
		"tlsCoordinator":     {"-n grid.net.xml.gz -r two.rou.xml -o {out}/coordinated.add.xml", "<tlLogic ", 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := programRun(t, sumotest.Newest(t), gridFiles)
			r.Options.Tool = &simulation.Tool{Name: name, Args: strings.Fields(tc.args)}
			got := result{r.Do(t.Context()), r}
			if !got.Succeeded() {
				t.Fatalf("%s: %s\n%s", got.Reason, got.Message, got.read(t, simulation.LogFile))
			}
			made, _ := filepath.Glob(filepath.Join(r.Out, "out", "*.xml"))
			if len(made) != 1 {
				t.Fatalf("made %q", made)
			}
			text, err := os.ReadFile(made[0])
			if n := strings.Count(string(text), tc.made); err != nil || n != tc.n {
				t.Errorf("%d times %s, want %d; %v\n%.2000s", n, tc.made, tc.n, err, text)
			}
		})
	}
}

// What a tool keeps may be as large as what a run may write leaves.
func TestWhatAToolKeepsIsBounded(t *testing.T) {
	t.Parallel()
	noise := make([]byte, 1<<20)
	_, _ = rand.NewChaCha8([32]byte{}).Read(noise)
	r := programRun(t, sumotest.Newest(t), map[string]string{"noise": string(noise)})
	r.Options.Tool = &simulation.Tool{Name: "randomTrips", Args: []string{"-n", "grid.net.xml.gz", "-e", "20"}, KeepAs: "trips"}
	for limit, reason := range map[int64]simulation.Reason{8 << 20: "", 2 << 20: simulation.OutputTooLarge} {
		r.Output = limit
		got := result{r.Do(t.Context()), r}
		if got.Reason != reason || reason != "" && !strings.Contains(got.Message, simulation.KeptFile) {
			t.Errorf("with %d bytes: %q: %s", limit, got.Reason, got.Message)
		}
		if _, err := os.Stat(filepath.Join(r.Out, simulation.KeptFile)); (err == nil) != (reason == "") {
			t.Errorf("with %d bytes, the kept file: %v", limit, err)
		}
	}
}
