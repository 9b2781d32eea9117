package run

import (
	"archive/zip"
	"encoding/json"
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
		"a file outside": {text: "import traci\ntraci.start(['sumo', '-n', '/etc/passwd'], numRetries=0)", reason: simulation.ControllerError,
			message: "outside the run"},
		"without end": {
			text: "while True: pass", reason: simulation.DeadlineExceeded, message: "time limit",
			change: func(r *Run) { r.Timeout = 4 * time.Second },
		},
		"much output": {
			text: "f = open('big', 'wb')\nwhile True: f.write(bytes(1 << 20))", reason: simulation.OutputTooLarge, message: "may write",
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
		if len(c.Iterations) != 3 || c.Iterations[0].MeanTravelTime <= 0 || c.Iterations[0].RelativeChange != nil || c.Iterations[1].RelativeChange == nil {
			t.Errorf("convergence %+v", c)
		}
		z, err := zip.OpenReader(filepath.Join(r.Out, simulation.KeptFile))
		if err != nil {
			t.Fatal(err)
		}
		defer z.Close()
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

func TestToolsOfEachKindRun(t *testing.T) {
	t.Parallel()
	for _, tool := range []simulation.Tool{
		{Name: "netconvert", Args: []string{"-s", "grid.net.xml.gz", "-o", "{out}/again.net.xml"}},
		{Name: "randomTrips", Args: []string{"-n", "grid.net.xml.gz", "-e", "20", "-o", "out/some.trips.xml", "--seed", "{seed}"}},
	} {
		t.Run(tool.Name, func(t *testing.T) {
			t.Parallel()
			r := programRun(t, sumotest.Newest(t), nil)
			r.Options.Tool = &tool
			got := result{r.Do(t.Context()), r}
			if !got.Succeeded() {
				t.Fatalf("%s: %s\n%s", got.Reason, got.Message, got.read(t, simulation.LogFile))
			}
			if made, _ := filepath.Glob(filepath.Join(r.Out, "out", "*.xml")); len(made) != 1 {
				t.Errorf("made %q", made)
			}
		})
	}
}
