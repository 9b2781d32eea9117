package run

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/replay"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/sumotest"
)

func TestAProgramIsRecorded(t *testing.T) {
	t.Parallel()
	sumotest.Each(t, func(t *testing.T, sumo release.Installation) {
		for _, name := range []string{"fixed_time", "in_process", "in_place", "episodes", "insertion"} {
			if !slices.Contains([]string{"fixed_time", "in_process"}, name) && sumo.Version != sumotest.Newest(t).Version && !sumotest.All() {
				continue
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				c := programs[name]
				carryOut := func(change func(o *simulation.Options)) result {
					r := programRun(t, sumo, nil)
					r.Options.Controller = &c
					change(&r.Options)
					got := result{r.Do(t.Context()), r}
					if !got.Succeeded() {
						t.Fatalf("%s: %s\n%s", got.Reason, got.Message, got.read(t, simulation.LogFile))
					}
					return got
				}
				plain := carryOut(func(o *simulation.Options) { o.Outputs = []simulation.Output{simulation.OutputFCD} })
				with := carryOut(func(o *simulation.Options) { o.Replay = &simulation.Replay{} })
				for o := range with.Files {
					if a, b := plain.results(t, o), with.results(t, o); o != simulation.OutputSummary && a != b {
						t.Errorf("%s of the recorded run: %.2000s", o, cmp.Diff(a, b))
					}
				}
				if diff := cmp.Diff(plain.Warnings, with.Warnings); diff != "" {
					t.Errorf("warnings (-unrecorded +recorded):\n%s", diff)
				}
				got := readRecording(t, with.run.Out)
				if len(got.Missing) > 0 || !got.Complete || got.Source != replay.FromRun || len(got.Signals) == 0 || got.Period != 1 {
					t.Errorf("complete: %t, from %s, %d signals, every %g s, missing %q", got.Complete, got.Source, len(got.Signals), got.Period,
						got.Missing)
				}
				fcd := readFCD(t, filepath.Join(plain.run.Out, plain.Files[simulation.OutputFCD]))
				maps.DeleteFunc(fcd, func(ms int64, _ map[string]seenAt) bool { return ms%1000 != 0 })
				if len(got.frames) != len(fcd) {
					t.Errorf("%d frames, want %d", len(got.frames), len(fcd))
				}
				holdAgainst(t, got, fcd, 1000)
			})
		}
	})
}

// drive is a program that does something to itself, and then steps through a simulation as it has been asked for.
const drive = `
import os, sys, time
import traci
pipe = os.path.join(os.environ["HOME"], "..", "results", "replay", "fcd.xml")
def run(steps, *more):
    for _ in range(steps):
        traci.simulationStep()
begin = ["sumo", "-n", "road.net.xml", "-r", "road.rou.xml"]
`

func TestARecordedProgramEndsHoweverItTreatsTheRecording(t *testing.T) {
	t.Parallel()
	const whole = 100_000 // ms: the last of 101 frames
	for name, tc := range map[string]struct {
		text    string
		libsumo bool
		change  func(r *Run)
		reason  simulation.Reason
		first   int64 // ms
		last    int64 // ms; -1 for no frame, and -2 for any
		warning string
	}{
		"as it should":  {text: "traci.start(begin)\nrun(101)\ntraci.close()", last: whole},
		"without close": {text: "traci.start(begin)\nrun(101)", last: whole},
		"its own steps": {text: "traci.start(begin + ['--begin', '20', '--step-length', '0.4'])\n" +
			"run(201)\ntraci.close()", first: 20_000, last: 99_200},
		"a pause": {text: "traci.start(begin)\nrun(50)\ntime.sleep(2.5)\nrun(51)\ntraci.close()", last: whole},
		"a prefix": {
			text: "traci.start(begin + ['--output-prefix', 'a-'])\nrun(101)\ntraci.close()", last: -1, warning: "output-prefix",
		},
		"as tables": {
			text: "traci.start(begin + ['--output.format', 'csv'])\nrun(101)\ntraci.close()", last: -1, warning: "format csv",
		},
		"options of its own": {
			text: "traci.start(begin + ['--fcd-output.geo', '--device.fcd.period', '7', '--fcd-output.attributes', 'x'])\nrun(101)\ntraci.close()",
			last: whole,
		},
		"an output of its own": {
			text: "traci.start(begin + ['--fcd-output', 'mine.xml'])\nrun(101)\ntraci.close()", last: whole, warning: "fcd output",
		},
		"an output of its own, every 7 s": {
			text: "traci.start(begin + ['--fcd-output', 'mine.xml', '--device.fcd.period', '7'])\nrun(101)\ntraci.close()",
			last: 98_000, warning: "fcd output",
		},
		"an output of its own at last": {
			text: "traci.start(begin)\nrun(50)\ntraci.load(begin[1:] + ['--fcd-output', 'mine.xml'])\nrun(101)\ntraci.close()",
			last: whole, warning: "fcd output",
		},
		"a simulation killed": {
			text: "traci.start(begin)\nrun(80)\ntraci.getConnection()._process.kill()\ntraci.getConnection()._process.wait()\n" +
				"traci.switch('default')\ntraci.connection._connections.clear()\ntraci.start(begin)\nrun(101)\ntraci.close()", last: whole,
		},
		"an earlier state": {
			text: "traci.start(begin)\nrun(31)\ntraci.simulation.saveState('s.xml')\nrun(30)\n" +
				"traci.simulation.loadState('s.xml')\nrun(70)\ntraci.close()",
			first: 31_000, last: whole,
		},
		"in its own process":               {text: "traci.start(begin)\nrun(101)\ntraci.close()", libsumo: true, last: whole},
		"in its own process without close": {text: "traci.start(begin)\nrun(101)", libsumo: true, last: -2, warning: "cut off"},
		"an exit":                          {text: "traci.start(begin)\nrun(101)\nos._exit(3)", reason: simulation.ControllerError, last: -2},
		"the pipe removed": {
			text: "os.remove(pipe)\ntraci.start(begin)\nrun(101)\ntraci.close()", last: -1, warning: "removed or replaced",
		},
		"the pipe replaced": {
			text: "traci.start(begin)\nrun(60)\nos.remove(pipe)\nopen(pipe, 'w').write('x')\nrun(41)\ntraci.close()", last: whole,
			warning: "removed or replaced",
		},
		"garbage before": {
			text: "f = open(pipe, 'wb')\nf.write(b'<a' * 100000 + bytes(range(256)) * 100)\nf.flush()\ntraci.start(begin)\nrun(101)\n" +
				"traci.close()", last: whole,
		},
		"garbage within": {
			text: "f = open(pipe, 'wb')\ntraci.start(begin)\nrun(70)\nf.write(b'<a <' * 100000 + bytes(range(256)) * 100)\nf.flush()\n" +
				"run(31)\ntraci.close()", last: -2, warning: "The recording ends at",
		},
		"frames in frames": {
			text: "f = open(pipe, 'wb')\nf.write(b'<fcd-export><timestep time=\"1\"><timestep time=\"2\">" +
				"<tlsState time=\"3\" id=\"a\" state=\"G\"/>')\n" +
				"f.flush()\ntraci.start(begin)\nrun(101)\ntraci.close()", last: whole,
		},
		"many beginnings": {
			text: "f = open(pipe, 'wb')\nf.write(b'<?xml?><a><timestep time=\"5\"/>' * 2000)\nf.flush()\n" +
				"traci.start(begin)\nrun(101)\ntraci.close()",
			last: whole,
		},
		"no end": {
			text: "traci.start(begin)\nrun(101)\nf = open(pipe, 'wb')\ntime.sleep(100)",
			// Even on a busy machine, the program begins its simulation in that time.
			change: func(r *Run) { r.Timeout = 12 * time.Second }, reason: simulation.DeadlineExceeded, last: -2,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sumo := sumotest.Newest(t)
			f := road(t, "", someDemand)
			f["control.py"] = drive + tc.text
			r := newRunOf(t, sumo)
			r.Python, r.Scenario, r.grace = sumotest.Python(t, sumo.Version), zipped(t, f), time.Second
			r.Options.Replay = &simulation.Replay{}
			r.Options.Controller = &simulation.Controller{File: "city/control.py", Interface: simulation.TraCI}
			if tc.libsumo {
				r.Options.Controller.Interface = simulation.Libsumo
			}
			if tc.change != nil {
				tc.change(&r)
			}
			got := result{r.Do(t.Context()), r}
			if got.Reason != tc.reason {
				t.Fatalf("%s: %s\n%s", got.Reason, got.Message, got.read(t, simulation.LogFile))
			}
			said := strings.Join(got.Warnings, "\n")
			silent := tc.warning == "" && tc.reason == ""
			if silent && strings.Contains(said, "ecording") || !strings.Contains(said, tc.warning) {
				t.Errorf("warnings %q", got.Warnings)
			}
			if tc.last == -1 && strings.Contains(said, "There is no recording") {
				return
			}
			recording := readRecording(t, r.Out)
			var times []int64
			for ms := range recording.frames {
				times = append(times, ms)
			}
			slices.Sort(times)
			switch {
			case tc.last == -2:
			case tc.last == -1 && len(times) > 0, tc.last >= 0 && len(times) == 0:
				t.Errorf("frames at %d ms; missing %q", times, recording.Missing)
			case tc.last >= 0 && (times[0] != tc.first || times[len(times)-1] != tc.last):
				t.Errorf("frames from %d to %d ms, missing %q\n%s", times[0], times[len(times)-1], recording.Missing, got.read(t, simulation.LogFile))
			}
		})
	}
}

// Events of a simulation before the last one are no longer in the recording.
func TestEventsAreOfTheSimulationThatIsRecorded(t *testing.T) {
	t.Parallel()
	const demand = `<vehicle id="first" depart="0"><route edges="AB BC"/><stop lane="BC_0" endPos="80" duration="250"/></vehicle>` +
		`<vehicle id="stuck" depart="5"><route edges="AB BC"/></vehicle>`
	for name, tc := range map[string]struct {
		waits [3]int // time-to-teleport of three simulations
		at    []float64
	}{
		"the first": {[3]int{20, -1, -1}, nil},
		"the last":  {[3]int{-1, 20, 30}, []float64{30}},
	} {
		for _, api := range []simulation.Interface{simulation.TraCI, simulation.Libsumo} {
			t.Run(name+" over "+string(api), func(t *testing.T) {
				t.Parallel()
				sumo := sumotest.Newest(t)
				f := road(t, "", demand)
				f["control.py"] = drive + fmt.Sprintf("waits = %s\n", strings.Join(strings.Fields(fmt.Sprint(tc.waits)), ",")) +
					"traci.start(begin + ['--time-to-teleport', str(waits[0])])\nrun(100)\n" +
					"for w in waits[1:]:\n  traci.load(begin[1:] + ['--time-to-teleport', str(w)])\n  run(100)\ntraci.close()\n"
				r := newRunOf(t, sumo)
				r.Python, r.Scenario = sumotest.Python(t, sumo.Version), zipped(t, f)
				r.Options.Replay = &simulation.Replay{Period: 200} // events wait for the next frame, which never comes
				r.Options.Controller = &simulation.Controller{File: "city/control.py", Interface: api}
				got := result{r.Do(t.Context()), r}
				if !got.Succeeded() {
					t.Fatalf("%s: %s\n%s", got.Reason, got.Message, got.read(t, simulation.LogFile))
				}
				events := readRecording(t, r.Out).Events
				var stuck []float64 // since when
				for _, e := range events {
					if e.Kind == replay.Teleport {
						stuck = append(stuck, e.Time)
					}
				}
				if len(stuck) != len(tc.at) || len(stuck) > 0 && stuck[0] < tc.at[0] {
					t.Errorf("events %+v\n%s", events, got.read(t, simulation.LogFile))
				}
			})
		}
	}
}

// watchSignals is a program that steers the signals, and writes down what they show at each step. It may load an earlier state.
const watchSignals = `
import sys
import traci
traci.start(["sumo", "-c", sys.argv[1], "--step-length", "1"])
shown = open("shown.txt", "w")
def run(steps, by_hand):
    for step in range(steps):
        traci.simulationStep()
        time = traci.simulation.getTime() - 1
        for light in traci.trafficlight.getIDList():
            shown.write("%d %s %s\n" % (time, light, traci.trafficlight.getRedYellowGreenState(light)))
        lights = sorted(traci.trafficlight.getIDList())
        if step % 7 == 0:
            traci.trafficlight.setPhase(lights[step % 5], step % 4)
        elif by_hand:
            light = lights[5 + step % 3]
            state = "rG"[step % 2] * len(traci.trafficlight.getRedYellowGreenState(light))
            traci.trafficlight.setRedYellowGreenState(light, state)
run(40, False)
traci.simulation.saveState("state.xml")
run(20, sys.argv[2] == "on")
if sys.argv[2] == "back":
    traci.simulation.loadState("state.xml")
    run(30, False)
traci.close()
`

func TestTheSignalsThatAProgramSteersAreRecorded(t *testing.T) {
	t.Parallel()
	sumotest.Each(t, func(t *testing.T, sumo release.Installation) {
		for way, want := range map[string]struct{ first, frames, signals int }{"on": {0, 60, 100}, "back": {40_000, 30, 0}} {
			t.Run(way, func(t *testing.T) {
				t.Parallel()
				r := programRun(t, sumo, map[string]string{"signals.py": watchSignals})
				r.Options.Replay = &simulation.Replay{}
				r.Options.Controller = &simulation.Controller{File: "signals.py", Args: []string{"{config}", way}, Interface: simulation.TraCI}
				got := result{r.Do(t.Context()), r}
				if !got.Succeeded() {
					t.Fatalf("%s: %s\n%s", got.Reason, got.Message, got.read(t, simulation.LogFile))
				}
				recording := readRecording(t, r.Out)
				times := slices.Sorted(maps.Keys(recording.states))
				if len(times) != want.frames || times[0] != int64(want.first) || len(recording.Signals) != want.signals {
					t.Fatalf("%d signals, frames at %d ms", len(recording.Signals), times)
				}
				if missing := strings.Join(recording.Missing, "\n"); strings.Contains(missing, "signals") != (want.signals == 0) {
					t.Errorf("missing %q", missing)
				}
				if want.signals == 0 {
					return
				}
				compared := 0
				for line := range strings.Lines(got.read(t, "shown.txt")) {
					var at int64
					var light, state string
					if _, err := fmt.Sscan(line, &at, &light, &state); err != nil {
						t.Fatal(err)
					}
					if recorded := recording.states[at*1000][light]; recorded != state {
						t.Fatalf("at %d s %s shows %s, want %s", at, light, recorded, state)
					}
					compared++
				}
				if compared != want.frames*want.signals {
					t.Errorf("%d states", compared)
				}
			})
		}
	})
}
