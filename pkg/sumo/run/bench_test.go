package run

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/sumotest"
	networks "github.com/sumo-k8/sumo-k8/test_networks"
)

// BenchmarkChunk compares a chunk, two runs at a time and without storing, with the loops that a user would write: xargs -P2 sumo, with the
// same outputs, which validates the XML each time, and the same with -X never. It reports the wall-clock and the processor time of a run,
// in milliseconds, and those of the chunk as multiples of each loop's.
func BenchmarkChunk(b *testing.B) {
	sumo, program := sumotest.Newest(b), released(b)
	for network, runs := range map[string]int{"square": 200, "grid": 50} {
		b.Run(network, func(b *testing.B) {
			data, err := networks.ReadyZip(network)
			if err != nil {
				b.Fatal(err)
			}
			var loop, never, chunk times
			for range b.N {
				// In turn, so that whatever else the machine does befalls all alike.
				loop.add(userLoop(b, sumo.Binary, sumo.Home, data, runs, ""))
				never.add(userLoop(b, sumo.Binary, sumo.Home, data, runs, "-X never"))
				chunk.add(oneChunk(b, program, data, runs))
			}
			b.ReportMetric(0, "ns/op")
			for name, t := range map[string]times{"loop": loop, "never": never, "chunk": chunk} {
				b.ReportMetric(t.wall.Seconds()*1000/float64(b.N*runs), name+"-ms/run")
				b.ReportMetric(t.cpu.Seconds()*1000/float64(b.N*runs), name+"-cpu-ms/run")
			}
			b.ReportMetric(chunk.wall.Seconds()/loop.wall.Seconds(), "of-loop")
			b.ReportMetric(chunk.wall.Seconds()/never.wall.Seconds(), "of-never")
			b.ReportMetric(chunk.cpu.Seconds()/never.cpu.Seconds(), "cpu-of-never")
		})
	}
}

// released is sumo-run as a release has it.
func released(b *testing.B) string {
	b.Helper()
	dir := b.TempDir()
	build := exec.CommandContext(b.Context(), "go", "build", "-o", dir, "../sumo-run", "../../confine/sumo-wall")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	return filepath.Join(dir, "sumo-run")
}

// times is wall-clock and processor time.
type times struct{ wall, cpu time.Duration }

func (t *times) add(other times) { t.wall, t.cpu = t.wall+other.wall, t.cpu+other.cpu }

// taken is what f and the processes that it waits for take.
func taken(b *testing.B, cmd *exec.Cmd) times {
	b.Helper()
	before, began := children(b), time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	return times{time.Since(began), children(b) - before}
}

// children is the processor time of processes that have ended.
func children(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_CHILDREN, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func userLoop(b *testing.B, binary, home string, data []byte, runs int, flags string) times {
	b.Helper()
	dir := b.TempDir()
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		b.Fatal(err)
	}
	config := ""
	for _, f := range z.File {
		if strings.HasSuffix(f.Name, ".sumocfg") {
			config = filepath.Join(dir, "scenario", f.Name)
		}
	}
	if err := os.CopyFS(filepath.Join(dir, "scenario"), z); err != nil {
		b.Fatal(err)
	}
	for seed := range runs {
		if err := os.MkdirAll(filepath.Join(dir, fmt.Sprint(seed+1)), 0o755); err != nil {
			b.Fatal(err)
		}
	}
	cmd := exec.CommandContext(b.Context(), "sh", "-c", fmt.Sprintf(
		`seq %d | xargs -P2 -I{} %s %s -c %s --seed {} --tripinfo-output {}/tripinfo.xml --summary-output {}/summary.xml `+
			`--statistic-output {}/statistics.xml >/dev/null`, runs, binary, flags, config))
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "SUMO_HOME="+home)
	return taken(b, cmd)
}

func oneChunk(b *testing.B, program string, data []byte, runs int) times {
	b.Helper()
	scenario := filepath.Join(b.TempDir(), "scenario.zip")
	if err := os.WriteFile(scenario, data, 0o644); err != nil {
		b.Fatal(err)
	}
	c, k := chunkOf(b, scenario, runs, 2)
	text, err := json.Marshal(c.List)
	if err != nil {
		b.Fatal(err)
	}
	list := filepath.Join(filepath.Dir(c.Common.Work), "list.json")
	if err := os.WriteFile(list, text, 0o644); err != nil {
		b.Fatal(err)
	}
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		k.serve(end)
		close(ended)
	}()
	cmd := exec.CommandContext(b.Context(), program, "--runs", list, "--scenario", scenario, "--work", c.Common.Work, "--out", c.Common.Out,
		"--desk", c.Desk, "--output", "1000000000")
	cmd.Env = append(os.Environ(), "SUMO_BINARY="+c.Common.Binary, "SUMO_HOME="+c.Common.Home, "SUMO_VERSION="+c.Common.Version)
	t := taken(b, cmd)
	close(end)
	<-ended
	for run, files := range k.stored {
		if outcome := files.outcome(b); !outcome.Succeeded() {
			b.Errorf("%s: %s", run, outcome.Message)
		}
	}
	if len(k.stored) != runs {
		b.Errorf("%d runs of %d", len(k.stored), runs)
	}
	return t
}

// steering steps through a simulation, and looks at each step as programs do. Its arguments are SUMO's.
const steering = `
import sys
import traci
traci.start(["sumo"] + sys.argv[1:])
waiting = 0
while traci.simulation.getMinExpectedNumber() > 0:
    traci.simulationStep()
    waiting += traci.simulation.getDepartedNumber()
traci.close()
`

// BenchmarkController compares a run of a program that steers the network corridor with the same program by hand, which writes the same
// outputs. It reports times in milliseconds: of the program by hand, of the program in the run, from the start of its wall until no process
// is left, and of the whole sumo-run, which unpacks and checks the scenario and reads the outputs; and the last two as multiples of the
// first. The processor time by hand includes that of threads which a library (OpenBLAS) starts for each core; a run has one.
func BenchmarkController(b *testing.B) {
	sumo, sumoRun := sumotest.Newest(b), released(b)
	for _, of := range []simulation.Interface{simulation.TraCI, simulation.Libsumo} {
		b.Run(string(of), func(b *testing.B) {
			var hand, run, program times
			for range b.N {
				r := newRunOf(b, sumo)
				r.Python = sumotest.Python(b, sumo.Version)
				r.Scenario = programZip(b, "corridor", map[string]string{"steering.py": steering})
				c := simulation.Controller{File: "steering.py", Args: []string{"-c", "{config}"}, Interface: of}
				cmd := handCommand(b, r, c, "corridor.sumocfg")
				for _, o := range r.added(settings{}) {
					cmd.Args = append(cmd.Args, "--"+ownOption(o), filepath.Join(outFolder, o.File()))
				}
				hand.add(taken(b, cmd))
				options, err := json.Marshal(simulation.Options{Controller: &c})
				if err != nil {
					b.Fatal(err)
				}
				cmd = exec.CommandContext(b.Context(), sumoRun, "--scenario", r.Scenario, "--work", r.Work, "--out", r.Out,
					"--options", string(options))
				cmd.Env = append(os.Environ(), "SUMO_BINARY="+r.Binary, "SUMO_HOME="+r.Home, "SUMO_VERSION="+r.Version,
					"SUMO_PYTHON="+r.Python.Interpreter, "SUMO_PYTHONPATH="+strings.Join(r.Python.Path, ":"))
				run.add(taken(b, cmd))
				var summary simulation.Summary
				text, err := os.ReadFile(filepath.Join(r.Out, simulation.SummaryFile))
				if err == nil {
					err = json.Unmarshal(text, &summary)
				}
				if err != nil {
					b.Fatal(err)
				}
				seconds, _ := summary.Metric("wall_time")
				program.add(times{wall: time.Duration(seconds * float64(time.Second))})
			}
			b.ReportMetric(0, "ns/op")
			for name, t := range map[string]times{"hand": hand, "run": run} {
				b.ReportMetric(t.wall.Seconds()*1000/float64(b.N), name+"-ms/run")
				b.ReportMetric(t.cpu.Seconds()*1000/float64(b.N), name+"-cpu-ms/run")
			}
			b.ReportMetric(program.wall.Seconds()*1000/float64(b.N), "program-ms/run")
			b.ReportMetric(program.wall.Seconds()/hand.wall.Seconds(), "program-of-hand")
			b.ReportMetric(run.wall.Seconds()/hand.wall.Seconds(), "of-hand")
			b.ReportMetric(run.cpu.Seconds()/hand.cpu.Seconds(), "cpu-of-hand")
		})
	}
}
