package run

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"io"
	"maps"
	"math"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/confine"
	"github.com/sumo-k8/sumo-k8/pkg/process/processtest"
	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/program"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/sumotest"
)

func TestMain(m *testing.M) {
	program.Enter()
	confine.Enter()
	if name := os.Getenv(asChunk); name != "" {
		os.Exit(beChunk(name))
	}
	// Under nohup this process ignores hang-ups, and so would SUMO, unless we catch them.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	clean, err := sumotest.Reachable()
	if err != nil {
		panic(err)
	}
	code := m.Run()
	clean()
	os.Exit(code)
}

// files is a scenario by file name. Its configuration is always run.sumocfg.
type files map[string]string

// road is a scenario on testdata/road.net.xml, which has edges AB (500 m, two lanes) and BC (one lane) in a row, and DE
// apart from them. Options are elements of the configuration, demand is the content of its route file.
func road(t *testing.T, options, demand string) files {
	t.Helper()
	net, err := os.ReadFile("testdata/road.net.xml")
	if err != nil {
		t.Fatal(err)
	}
	return files{
		"road.net.xml": string(net),
		"road.rou.xml": "<routes>" + demand + "</routes>",
		"run.sumocfg": `<configuration><input><net-file value="road.net.xml"/><route-files value="road.rou.xml"/></input>` +
			options + `</configuration>`,
	}
}

const (
	oneVehicle = `<vehicle id="v" depart="0"><route edges="AB BC"/></vehicle>`
	// longDemand keeps SUMO busy for minutes of wall-clock time, and 1e6 s of simulated time.
	longDemand = `<flow id="f" begin="0" end="1000000" number="1000000"><route edges="AB BC"/></flow>`
	someDemand = `<flow id="f" begin="0" end="300" number="60"><route edges="AB BC"/></flow>`
)

type result struct {
	simulation.Outcome
	run Run
}

// newRun is a Run of the newest SUMO in fresh folders.
func newRun(t testing.TB) Run {
	t.Helper()
	return newRunOf(t, sumotest.Newest(t))
}

func newRunOf(t testing.TB, sumo release.Installation) Run {
	t.Helper()
	dir, err := os.MkdirTemp("", "run") // t.TempDir has the test's name, and SUMO takes no comma in a path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return Run{
		Binary: sumo.Binary, Home: sumo.Home, Version: sumo.Version, Work: filepath.Join(dir, "work"), Out: filepath.Join(dir, "out"),
		ProgressFile: filepath.Join(dir, "progress"), Limits: scenario.DefaultLimits(), Confinement: confine.Require,
	}
}

// perform runs a scenario whatever package scenario finds wrong with it: how SUMO itself takes it is what is tested. The options
// of config are added to those that are understood.
func perform(ctx context.Context, r Run, f files, config scenario.Config) result {
	config.Path = "run.sumocfg"
	outcome := r.perform(ctx, func(ctx context.Context, root *os.Root, _ string) (scenario.Config, error) {
		data, err := f.zip("")
		if err != nil {
			return config, err
		}
		manifest, _ := scenario.Inspect(ctx, scenario.Zip(bytes.NewReader(data), int64(len(data))), r.Limits) // its faults are what is tried
		config.Options = append(manifest.Configs[0].Options, config.Options...)
		for name, text := range f {
			if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
				return config, err
			}
			if err := root.WriteFile(name, []byte(text), 0o644); err != nil {
				return config, err
			}
		}
		return config, nil
	})
	return result{outcome, r}
}

func (r result) read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(r.run.Out, name))
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(name, ".gz") {
		z, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if data, err = io.ReadAll(z); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	return string(data)
}

// script makes a program that stands for SUMO. In it, $SUMO is the newest real one, and begun waits until that has simulated for
// a while.
func script(t *testing.T, text string) string {
	t.Helper()
	return scriptOf(t, sumotest.Newest(t), text)
}

func scriptOf(t *testing.T, sumo release.Installation, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "sumo")
	text = `#!/bin/sh
PATH=/usr/local/bin:/usr/bin:/bin
SUMO='` + sumo.Binary + `'
for arg; do case $arg in --summary-output=*) summary=${arg#*=} ;; esac; done
begun() { until [ "$(stat -c %s "$summary" 2>/dev/null || echo 0)" -gt 30000 ]; do sleep 0.05; done; }
` + text + "\n"
	processtest.WriteProgram(t, name, text)
	return name
}

func seconds(v float64) *float64 { return &v }

// TestOutcome has a row for each way in which a run is known to end. All but the two that say so are the real SUMO's.
func TestOutcome(t *testing.T) {
	t.Parallel()
	const teleporting = `<processing><ignore-route-errors value="true"/><time-to-teleport value="1"/></processing>`
	disconnected := func(depart string) string {
		return oneVehicle + `<vehicle id="lost" depart="` + depart + `"><route edges="AB DE"/></vehicle>`
	}
	// Two hundred thousand vehicles wait to depart at once.
	const crowd = `<flow id="f" begin="0" end="1" number="200000"><route edges="AB BC"/></flow>`

	// An option that no upload gets past the check.
	option := func(name, value string) scenario.Config {
		return scenario.Config{Options: []scenario.Option{{Name: name, Value: value}}}
	}

	for name, tc := range map[string]struct {
		options, demand string
		change          func(files)
		config          scenario.Config
		choose          simulation.Options
		binary          string // a script
		timeout         time.Duration
		reason          simulation.Reason
		message         string // a part of it
		noSummary       bool
		warning         string // a part of one
	}{
		"all vehicles have left":        {demand: oneVehicle},
		"the end of the interval comes": {demand: oneVehicle + `<vehicle id="w" depart="300"><route edges="AB"/></vehicle>`, choose: simulation.Options{End: seconds(200)}},
		"no demand at all": {
			warning: "No vehicle was simulated: none departs from 0 s on.",
		},
		"no demand in time": {
			demand: `<vehicle id="v" depart="28800"><route edges="AB BC"/></vehicle>`, choose: simulation.Options{End: seconds(600)},
			warning: "none departs between 0 s and 600 s",
		},
		"persons only": {demand: `<person id="p" depart="0"><walk edges="AB"/></person>`},
		"no room to depart": {
			options: `<processing><max-num-vehicles value="0"/></processing>`, demand: oneVehicle, choose: simulation.Options{End: seconds(60)},
			warning: "1 were still waiting to depart",
		},
		"many trips are cut off": {
			demand: someDemand, choose: simulation.Options{End: seconds(250)},
			warning: "Means are over finished trips only",
		},
		"many trips are cut off and count": {
			demand: someDemand, choose: simulation.Options{End: seconds(250), UnfinishedTrips: true},
			warning: "Means include their unfinished trips",
		},
		"many trips are cut off and the configuration counts them": {
			options: `<output><tripinfo-output.write-unfinished value="true"/></output>`,
			demand:  someDemand, choose: simulation.Options{End: seconds(250)},
			warning: "Means include their unfinished trips",
		},
		"a disconnected route that the scenario wants ignored": {options: teleporting, demand: disconnected("0")},
		"SUMO is to be quiet": {
			options: `<report><verbose value="false"/><duration-log.statistics value="false"/><duration-log.disable value="true"/>` +
				`<no-step-log value="true"/><no-warnings value="true"/></report>`, demand: oneVehicle,
		},
		"too many teleports": {
			options: teleporting + `<max-num-teleports value="0"/>`, demand: disconnected("0"),
			reason: simulation.TooManyTeleports, message: "The results until then are complete",
		},
		"vehicles out of order are dropped by SUMO with exit code 0": {
			demand:  `<vehicle id="late" depart="200"><route edges="AB"/></vehicle>` + oneVehicle + strings.ReplaceAll(oneVehicle, `"v"`, `"w"`),
			warning: "behind a later one (2)",
		},
		"vehicles out of order fail a strict run": {
			demand: `<vehicle id="late" depart="200"><route edges="AB"/></vehicle>` + oneVehicle, choose: simulation.Options{Strict: true},
			reason: simulation.InvalidScenario, message: "ignoring 'v'",
			warning: "ignoring 'v'",
		},
		"a disconnected route": {
			demand: disconnected("0"),
			reason: simulation.InvalidScenario, noSummary: true,
			message: "Vehicle 'lost' has no valid route. No connection between edge 'AB' and edge 'DE'.",
		},
		"a disconnected route that SUMO reads only after a while": {
			demand: disconnected("300"),
			reason: simulation.InvalidScenario, message: "was at 300 s",
		},
		"a missing file": {
			change: func(f files) { delete(f, "road.net.xml") },
			reason: simulation.InvalidScenario, message: "'road.net.xml' is not accessible", noSummary: true,
		},
		"a missing route file": {
			change: func(f files) { delete(f, "road.rou.xml") },
			reason: simulation.InvalidScenario, message: "'road.rou.xml' is not accessible", noSummary: true,
		},
		"a broken file": {
			change: func(f files) { f["road.rou.xml"] = "<routes><vehicle" },
			reason: simulation.InvalidScenario, message: "In file 'road.rou.xml'", noSummary: true,
		},
		"an unknown option": {
			config: option("from-the-future", "1"),
			reason: simulation.InvalidScenario, message: "No option with the name 'from-the-future' exists.", noSummary: true,
		},
		"an option with a bad value, which SUMO leaves out with exit code 0": {
			config: option("lateral-resolution", "wide"), demand: oneVehicle,
			warning: "'wide' is not a valid float",
		},
		"an option with a bad value fails a strict run": {
			config: option("lateral-resolution", "wide"), demand: oneVehicle, choose: simulation.Options{Strict: true},
			reason: simulation.InvalidScenario, message: "'wide' is not a valid float",
			warning: "'wide' is not a valid float",
		},
		"an end before the begin": {
			choose: simulation.Options{Begin: seconds(100), End: seconds(50)},
			reason: simulation.InvalidScenario, message: "end time should be after the begin time", noSummary: true,
		},
		"a duplicate vehicle": {
			demand: oneVehicle + oneVehicle,
			reason: simulation.InvalidScenario, message: "A vehicle with id 'v' already exists.", noSummary: true,
		},
		"an edge that is not there": {
			demand: `<vehicle id="v" depart="0"><route edges="XY"/></vehicle>`,
			reason: simulation.InvalidScenario, message: "The edge 'XY' within the route for vehicle 'v' is not known.", noSummary: true,
		},
		"an output into a folder that nobody announced": {
			options: `<additional-files value="detector.add.xml"/>`,
			change: func(f files) {
				f["detector.add.xml"] = `<additional><inductionLoop id="d" lane="AB_0" pos="1" period="60" file="deep/down/loop.xml"/></additional>`
			},
			reason: simulation.InvalidScenario, message: "Could not build output file 'deep/down/loop.xml'", noSummary: true,
		},
		"an announced output gets its folder": {
			options: `<output><vehroute-output value="deep/down/routes.xml"/></output>`, demand: oneVehicle,
			config: scenario.Config{Outputs: []string{"deep/down/routes.xml"}},
		},
		"a configuration that only saves itself": {
			config: option("save-configuration", "saved.sumocfg"),
			reason: simulation.SimulationError, message: "without simulating", noSummary: true,
		},
		"a configuration cannot switch off what the judgement needs": {
			options: `<report><no-step-log value="true"/><no-warnings value="true"/><duration-log.disable value="true"/>` +
				`<human-readable-time value="true"/></report><output-prefix value="x_"/>` +
				`<gui_only><gui-settings-file value="gone.xml"/></gui_only>`,
			config: option("remote-port", "8813"),
			demand: `<vehicle id="late" depart="200"><route edges="AB"/></vehicle>` + oneVehicle, choose: simulation.Options{Strict: true},
			reason: simulation.InvalidScenario, message: "ignoring 'v'",
			warning: "SUMO dropped departures",
		},
		"the timeout has passed": {
			demand: longDemand, timeout: 6 * time.Second, // in which SUMO has begun even on a busy machine
			reason: simulation.DeadlineExceeded, message: "longer timeout_seconds",
		},
		"the machine ends SUMO, which closes its outputs": {
			demand: longDemand, binary: `$SUMO "$@" & begun; kill $!; wait $!`,
			reason: simulation.Interrupted, message: "can be resubmitted",
		},
		"killed, as the kernel does when memory is short": {
			demand: longDemand, binary: `$SUMO "$@" & begun; kill -9 $!; wait $!`,
			reason: simulation.OutOfMemory, message: "memory_gi",
		},
		"killed itself, without a shell in between": {
			binary: `kill -9 $$`, // a stand-in: the real one cannot be made to do so at will
			reason: simulation.OutOfMemory, message: "memory_gi", noSummary: true,
		},
		"not enough memory to simulate": {
			demand: crowd, binary: `ulimit -v 300000; exec $SUMO "$@"`,
			reason: simulation.OutOfMemory, message: "memory_gi", noSummary: true,
		},
		"not enough memory to start": {
			binary: `ulimit -v 60000; exec $SUMO "$@"`,
			reason: simulation.OutOfMemory, message: "memory_gi", noSummary: true,
		},
		"an assertion fails": {
			demand: longDemand, binary: `$SUMO "$@" & begun; kill -ABRT $!; wait $!`,
			reason: simulation.SimulationError, message: "crashed (aborted)",
		},
		"an assertion's own words are kept": {
			binary: `echo "sumo: MSLane.cpp:1: move: Assertion 'x > 0' failed." >&2; kill -ABRT $$`, // a stand-in, as above
			reason: simulation.SimulationError, message: "Assertion 'x > 0' failed", noSummary: true,
		},
		"a full disk, which SUMO does not notice": {
			// A refused write gives SUMO the same as a full disk; no rights are needed to arrange it.
			demand: someDemand, binary: `ulimit -f 20; trap '' XFSZ; exec $SUMO "$@"`,
			reason: simulation.DiskFull, message: "summary.xml",
		},
		"a file too large, which kills SUMO": {
			demand: someDemand, binary: `ulimit -f 20; exec $SUMO "$@"`,
			reason: simulation.OutputTooLarge, message: "larger than a file may be",
		},
		"no SUMO": {
			binary: `exit 127`,
			reason: simulation.InternalError, message: "could not be started", noSummary: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRun(t)
			r.Options, r.Timeout = tc.choose, tc.timeout
			if tc.binary != "" {
				r.Binary = script(t, tc.binary)
				r.Confinement = confine.Off // a shell has child processes
			}
			f := road(t, tc.options, tc.demand)
			if tc.change != nil {
				tc.change(f)
			}
			got := perform(t.Context(), r, f, tc.config)

			if got.Reason != tc.reason || !strings.Contains(got.Message, tc.message) || tc.reason == "" && got.Message != "" {
				t.Fatalf("got %q: %q\nwant %q: …%q…\nlog:\n%s", got.Reason, got.Message, tc.reason, tc.message, got.read(t, simulation.LogFile))
			}
			if strings.Contains(got.Message, r.Work) || strings.Contains(got.Message, r.Out) {
				t.Errorf("the message shows our own paths: %s", got.Message)
			}
			if said := strings.Join(got.Warnings, "\n"); !strings.Contains(said, tc.warning) || (said == "") != (tc.warning == "") {
				t.Errorf("warnings: %q, want …%q…", got.Warnings, tc.warning)
			}
			if (got.Summary == nil) != tc.noSummary {
				t.Errorf("summary: %v, want none: %v", got.Summary, tc.noSummary)
			}
			if got.Summary != nil && got.Summary.Partial != (tc.reason != "") {
				t.Errorf("partial = %v", got.Summary.Partial)
			}
			var stored simulation.Outcome
			if err := json.Unmarshal([]byte(got.read(t, simulation.OutcomeFile)), &stored); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(got.Outcome, stored); diff != "" {
				t.Errorf("outcome.json differs (-returned +stored):\n%s", diff)
			}
			last := "sumo-run: succeeded\n"
			if tc.reason != "" {
				last = "sumo-run: " + string(tc.reason) + ": " + got.Message + "\n"
			}
			if log := got.read(t, simulation.LogFile); !strings.HasSuffix(log, last) {
				t.Errorf("the log does not end with the outcome:\n%s", log)
			}
			progress, err := os.ReadFile(r.ProgressFile)
			if err != nil {
				t.Fatal(err)
			}
			if whole := string(progress) == "1000/1000"; whole != (tc.reason == "") {
				t.Errorf("progress ended at %s", progress)
			}
		})
	}
}

func TestStoppedRunKeepsItsOutputsComplete(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r := newRun(t)
	r.Options.Outputs = []simulation.Output{simulation.OutputFCD}
	r.Console = onFirst("[", cancel) // the first progress line: SUMO is simulating
	got := perform(ctx, r, road(t, "", longDemand), scenario.Config{})
	if got.Reason != simulation.Interrupted {
		t.Fatalf("got %q: %s", got.Reason, got.Message)
	}
	if broken := new(kept).incomplete(r.Out, slices.Collect(maps.Values(got.Files))); len(broken) > 0 {
		t.Errorf("cut off: %v", broken)
	}
	if n, ok := got.Summary.Metric("vehicles_inserted"); !ok || n < 1 || !got.Summary.Partial {
		t.Errorf("summary: %+v", got.Summary)
	}
	if got.Summary.SumoVersion == "" {
		t.Error("no version of SUMO")
	}
}

// onFirst calls f at the first write that begins with prefix.
func onFirst(prefix string, f func()) io.Writer {
	return writerFunc(func(p []byte) (int, error) {
		if bytes.HasPrefix(p, []byte(prefix)) {
			f()
		}
		return len(p), nil
	})
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestStopWhileUnpacking(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	r := newRun(t)
	got := r.perform(ctx, func(ctx context.Context, _ *os.Root, _ string) (scenario.Config, error) {
		cancel()
		return scenario.Config{}, ctx.Err()
	})
	if got.Reason != simulation.Interrupted {
		t.Errorf("got %q: %s", got.Reason, got.Message)
	}
}

func TestProgressIsLive(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]*float64{"by the interval": seconds(1e6), "by the vehicles when there is no end": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			r := newRun(t)
			r.Options.End = end
			scene := road(t, "", longDemand) // of which progress is not over before it is looked at
			done := make(chan result, 1)
			go func() { done <- perform(ctx, r, scene, scenario.Config{}) }()

			partway := regexp.MustCompile(`^[1-9][0-9]{0,2}/1000$`)
			seen := ""
			for {
				select {
				case got := <-done:
					if seen == "" || got.Reason != simulation.Interrupted {
						t.Fatalf("the run ended (%q: %s) and progress on the way was %q", got.Reason, got.Message, seen)
					}
					return
				case <-time.After(5 * time.Millisecond):
					if now, err := os.ReadFile(r.ProgressFile); err == nil && partway.Match(now) {
						seen = string(now)
						cancel()
					}
				}
			}
		})
	}
}

// stepTimes and performance are what outputs say about real time: in summary.xml and, since 1.20, in statistics.xml. As one expression
// they would be searched for byte by byte, which takes seconds in large outputs.
var (
	stepTimes   = regexp.MustCompile(` duration="[0-9]+"/>`)
	performance = regexp.MustCompile(`<performance [^>]*>`)
)

func TestSameSeedGivesTheSameOutputs(t *testing.T) {
	t.Parallel()
	outputs := simulation.Outputs()
	simulate := func(seed int64) map[string]string {
		r := newRun(t)
		r.Options = simulation.Options{Seed: &seed, Outputs: outputs}
		got := perform(t.Context(), r, road(t, "<random value='true'/>", someDemand), scenario.Config{})
		if !got.Succeeded() {
			t.Fatalf("%s: %s", got.Reason, got.Message)
		}
		texts := map[string]string{}
		for _, name := range got.Files {
			text := got.read(t, name)
			if !strings.HasSuffix(strings.TrimSpace(text), ">") {
				t.Errorf("%s is cut off", name)
			}
			_, text, _ = strings.Cut(text, "-->") // dates and paths
			texts[name] = performance.ReplaceAllString(stepTimes.ReplaceAllString(text, "/>"), "/>")
		}
		return texts
	}
	first, again, other := simulate(7), simulate(7), simulate(8)
	if len(first) != len(outputs) {
		t.Errorf("asked for %d outputs, got %d", len(outputs), len(first))
	}
	if diff := cmp.Diff(first, again); diff != "" {
		t.Errorf("the same seed gave different outputs:\n%.2000s", diff)
	}
	if first["tripinfo.xml"] == other["tripinfo.xml"] {
		t.Error("another seed changed nothing")
	}
}

func TestSummaryAgreesWithTheOutputs(t *testing.T) {
	t.Parallel()
	r := newRun(t)
	r.Options = simulation.Options{End: seconds(250), Outputs: []simulation.Output{simulation.OutputEmission}, UnfinishedTrips: true}
	scene := road(t, "", someDemand+`<person id="p" depart="250"><walk edges="AB"/></person>`)
	got := perform(t.Context(), r, scene, scenario.Config{})
	if !got.Succeeded() {
		t.Fatalf("%s: %s", got.Reason, got.Message)
	}

	var trips struct {
		Trips []struct {
			Arrival     float64 `xml:"arrival,attr"`
			Duration    float64 `xml:"duration,attr"`
			RouteLength float64 `xml:"routeLength,attr"`
			TimeLoss    float64 `xml:"timeLoss,attr"`
			Emissions   struct {
				CO2         float64 `xml:"CO2_abs,attr"`
				CO          float64 `xml:"CO_abs,attr"`
				HC          float64 `xml:"HC_abs,attr"`
				NOx         float64 `xml:"NOx_abs,attr"`
				PMx         float64 `xml:"PMx_abs,attr"`
				Fuel        float64 `xml:"fuel_abs,attr"`
				Electricity float64 `xml:"electricity_abs,attr"`
			} `xml:"emissions"`
		} `xml:"tripinfo"`
	}
	if err := xml.Unmarshal([]byte(got.read(t, "tripinfo.xml")), &trips); err != nil {
		t.Fatal(err)
	}
	n := float64(len(trips.Trips))
	var finished, duration, length, loss, co2, co, hc, nox, pmx, fuel, electricity float64
	for _, trip := range trips.Trips {
		if trip.Arrival >= 0 {
			finished++
		}
		duration += trip.Duration
		length += trip.RouteLength
		loss += trip.TimeLoss
		e := trip.Emissions
		co2, co, hc, nox, pmx, fuel, electricity = co2+e.CO2, co+e.CO, hc+e.HC, nox+e.NOx, pmx+e.PMx, fuel+e.Fuel, electricity+e.Electricity
	}
	if n < 40 || finished == 0 || finished == n {
		t.Fatalf("%g trips of which %g finished do not test much", n, finished)
	}
	if co2*co*hc*nox*pmx*fuel == 0 {
		t.Fatalf("there are no emissions to sum up: %g mg of CO2, %g of CO, %g of HC, %g of NOx, %g of PMx, %g of fuel",
			co2, co, hc, nox, pmx, fuel)
	}
	for name, want := range map[string]float64{
		"vehicles_inserted": n, "vehicles_finished": finished, "vehicles_running": n - finished,
		"mean_travel_time": duration / n, "total_travel_time": duration, "mean_route_length": length / n, "mean_time_loss": loss / n,
		"emissions_co2": co2, "emissions_co": co, "emissions_hc": hc, "emissions_nox": nox, "emissions_pmx": pmx, "fuel": fuel,
		"electricity": electricity, "begin": 0, "end": 250, "simulated_time": 250, "teleports": 0, "collisions": 0,
	} {
		value, ok := got.Summary.Metric(name)
		if !ok || math.Abs(value-want) > 0.006*math.Max(1, math.Abs(want)/100) { // SUMO rounds to two digits
			t.Errorf("%s = %v (%v), want %v", name, value, ok, want)
		}
	}
	for _, name := range []string{"vehicles_loaded", "vehicles_waiting", "mean_speed", "mean_waiting_time", "mean_depart_delay", "wall_time"} {
		if _, ok := got.Summary.Metric(name); !ok {
			t.Errorf("%s is missing", name)
		}
	}
	var stored simulation.Summary
	if err := json.Unmarshal([]byte(got.read(t, simulation.SummaryFile)), &stored); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(*got.Summary, stored); diff != "" {
		t.Errorf("summary.json differs:\n%s", diff)
	}
}

func TestSummaryLeavesOutWhatDoesNotExist(t *testing.T) {
	t.Parallel()
	got := perform(t.Context(), newRun(t), road(t, "", ""), scenario.Config{})
	for _, name := range []string{"mean_speed", "mean_travel_time", "persons_loaded", "emissions_co2"} {
		if v, ok := got.Summary.Metric(name); ok {
			t.Errorf("%s = %v in a run without any vehicle", name, v)
		}
	}
}

func TestScenarioOutputsAreCollected(t *testing.T) {
	t.Parallel()
	scene := road(
		t,
		`<additional-files value="detectors.add.xml"/><output><vehroute-output value="made/routes.xml"/><summary-output value="mine.xml"/></output>`,
		oneVehicle,
	)
	scene["detectors.add.xml"] = `<additional><route id="r" edges="BC"/><inductionLoop id="d" lane="AB_0" pos="100" period="60" file="loop.xml"/>` +
		`<calibrator id="c" edge="BC" pos="0" period="60" output="calibrator.xml"><flow begin="0" end="60" vehsPerHour="10" route="r"/></calibrator></additional>`
	r := newRun(t)
	// Ours is an additional file too: the scenario's own must survive it.
	r.Options.Outputs = []simulation.Output{simulation.OutputEdgeData}
	got := perform(t.Context(), r, scene, scenario.Config{Outputs: []string{"made/routes.xml", "loop.xml", "calibrator.xml"}})
	if !got.Succeeded() {
		t.Fatalf("%s: %s", got.Reason, got.Message)
	}
	var names []string
	err := filepath.WalkDir(r.Out, func(name string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(r.Out, name)
			names = append(names, rel)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"calibrator.xml", "edgedata.xml.gz", "log.txt", "loop.xml", "made/routes.xml", "mine.xml", "outcome.json",
		"sha256sums.txt", "statistics.xml", "summary.json", "tripinfo.xml",
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
	sums := simulation.ParseChecksums([]byte(got.read(t, simulation.ChecksumFile)))
	if sum := sha256.Sum256([]byte(got.read(t, "loop.xml"))); sums["loop.xml"] != hex.EncodeToString(sum[:]) ||
		len(sums) != len(want)-2 {
		t.Errorf("the checksums are %v", sums)
	}
	if text := got.read(t, "edgedata.xml.gz"); !strings.Contains(text, `<edge id="AB"`) {
		t.Errorf("edgedata has no edges:\n%s", text)
	}
}

// TestEarlierOutputsAreReplaced runs a scenario that was packed with what an earlier run has left, beside a file with such a name that
// it reads.
func TestEarlierOutputsAreReplaced(t *testing.T) {
	t.Parallel()
	const options = `<save-state.period value="10"/><save-state.suffix value=".xml"/><device.ssm.probability value="1"/>` +
		`<vtk-output value="v"/><end value="20"/><additional-files value="signs.add.xml"/>`
	f := road(t, options, oneVehicle)
	f["signs.add.xml"] = `<additional><variableSpeedSign id="s" lanes="AB_0" file="ssm_signs.xml"/></additional>`
	f["ssm_signs.xml"] = `<vss><step time="0" speed="1"/></vss>`
	for _, name := range []string{"state_10.00.xml", "ssm_v.xml", "v_1.vtp"} {
		f[name] = "<earlier/>"
	}
	r := newRun(t)
	r.Scenario = zipped(t, f)
	got := result{r.Do(t.Context()), r}
	if !got.Succeeded() {
		t.Fatalf("%s: %s", got.Reason, got.Message)
	}
	for _, name := range []string{"city/state_10.00.xml", "ssm_v.xml", "city/v_1.vtp"} { // SUMO writes SSM where it runs
		if text := got.read(t, name); strings.Contains(text, "earlier") {
			t.Errorf("%s has not been written", name)
		}
	}
}

func TestFilesOfMessagesMayBeEmpty(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"errors.xml", "errors.csv"} {
		got := perform(t.Context(), newRun(t), road(t, `<output-prefix value="x_"/><error-log value="`+name+`"/>`, oneVehicle), scenario.Config{})
		if !got.Succeeded() {
			t.Errorf("%s: %s: %s", name, got.Reason, got.Message)
		}
	}
}

func TestTheOutcomeIsBounded(t *testing.T) {
	t.Parallel()
	r := newRun(t)
	r.Options.Check, r.Confinement = true, confine.Off
	r.Binary = script(t, `long=$(head -c 4000 /dev/zero | tr '\0' x)
for i in $(seq 100); do echo "Warning: $i $long" >&2; done
exec $SUMO "$@"`)
	got := perform(t.Context(), r, road(t, "", oneVehicle), scenario.Config{})
	info, err := os.Stat(filepath.Join(r.Out, simulation.OutcomeFile))
	if err != nil || info.Size() > simulation.MaxOutcome || !got.Succeeded() || len(got.Problems) == 0 {
		t.Errorf("%s: %s: %d problems in %v, %v", got.Reason, got.Message, len(got.Problems), info, err)
	}
}

func TestLogTellsTheRun(t *testing.T) {
	t.Parallel()
	scene := road(t, "", `<vehicle id="late" depart="200"><route edges="AB"/></vehicle>`+
		`<vehicle id="v`+"\u202e"+`&#x85;evil" depart="0"><route edges="AB"/></vehicle>`)
	scene["run.sumocfg"] = strings.Replace(scene["run.sumocfg"], "<input>", `<input><additional-files value="gone.xml"/>`, 1)
	broken := perform(t.Context(), newRun(t), scene, scenario.Config{})
	scene["gone.xml"] = "<additional/>"
	seed := int64(99)
	r := newRun(t)
	r.Options.Seed = &seed
	var console bytes.Buffer
	r.Console = &console
	whole := perform(t.Context(), r, scene, scenario.Config{End: seconds(300)})

	for log, want := range map[string][]string{
		broken.read(t, simulation.LogFile): {"Error: File 'gone.xml' is not accessible (No such file or directory).\n"},
		whole.read(t, simulation.LogFile): {
			"sumo-run: configuration run.sumocfg, seed 99, from 0 s to 300 s\n", "Simulation version ", "\n[   0.0 %] t=0 s  running ",
			"\nWarning: Route file should be sorted by departure time, ignoring 'v\ufffd\ufffdevil'!\n", "Simulation ended at time: ",
			"\n Inserted: ",
		},
	} {
		for _, part := range want {
			if !strings.Contains(log, part) {
				t.Errorf("%q is not in the log:\n%s", part, log)
			}
		}
		if strings.ContainsAny(log, "\r\x1b\u202e\u0085") || strings.Contains(log, os.TempDir()) || !strings.HasSuffix(log, "\n") {
			t.Errorf("the log is not clean:\n%q", log)
		}
	}
	if console.String() != whole.read(t, simulation.LogFile) {
		t.Errorf("the console got something else than the log:\n%s", console.String())
	}
}

func TestARunThatEndsWhereItBeginsHasOneStep(t *testing.T) {
	t.Parallel()
	r := newRun(t)
	r.Options.Begin, r.Options.End = seconds(5), seconds(5)
	got := perform(t.Context(), r, road(t, "", strings.Replace(oneVehicle, `depart="0"`, `depart="5"`, 1)), scenario.Config{})
	if !got.Succeeded() || !strings.Contains(got.read(t, simulation.LogFile), " Inserted: 1\n") {
		t.Errorf("%s: %s\n%s", got.Reason, got.Message, got.read(t, simulation.LogFile))
	}
}

func TestASecondAttemptLeavesNothingOfTheFirst(t *testing.T) {
	t.Parallel()
	r := newRun(t)
	first := road(t, `<output><vehroute-output value="routes.xml"/></output>`, oneVehicle)
	if got := perform(t.Context(), r, first, scenario.Config{}); !got.Succeeded() {
		t.Fatalf("%s: %s", got.Reason, got.Message)
	}
	second := road(t, "", oneVehicle)
	delete(second, "road.net.xml")
	got := perform(t.Context(), r, second, scenario.Config{})
	if got.Reason != simulation.InvalidScenario {
		t.Errorf("the first attempt's network was still there: %q %s", got.Reason, got.Message)
	}
	for _, name := range []string{simulation.SummaryFile, "statistics.xml", "routes.xml"} {
		if _, err := os.Stat(filepath.Join(r.Out, name)); err == nil {
			t.Errorf("%s of the first attempt is still there", name)
		}
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	v, err := SUMOVersion(t.Context(), sumotest.Newest(t).Binary)
	if err != nil || !regexp.MustCompile(`^[0-9]+\.[0-9]+`).MatchString(v) {
		t.Errorf("got %q, %v", v, err)
	}
	for line, want := range map[string]string{
		"Eclipse SUMO sumo Version 1.15.0":                "1.15.0",
		"Eclipse SUMO sumo Version 1.18.0":                "1.18.0",
		"Eclipse SUMO sumo 1.28.0":                        "1.28.0",
		"Eclipse SUMO sumo Version v1_18_0+0557-0123abcd": "v1_18_0+0557-0123abcd",
		"hello":                           "",
		"Eclipse SUMO netgenerate 1.28.0": "",
		"Eclipse SUMO sumo Version":       "",
	} {
		got, err := SUMOVersion(t.Context(), script(t, "echo '"+line+"'; echo ' Build features: Linux 1.2.3'"))
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%s: got %q, %v, want %q", line, got, err, want)
		}
	}
}

func TestARunWhoseProgressCannotBeShownLeavesNoFileOpen(t *testing.T) {
	t.Parallel()
	r := newRun(t)
	r.ProgressFile = filepath.Join(r.Work, "missing", "progress")
	if got := perform(t.Context(), r, road(t, "", oneVehicle), scenario.Config{}); got.Reason != simulation.InternalError {
		t.Errorf("%s: %s", got.Reason, got.Message)
	}
	open, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range open {
		if name, err := os.Readlink(link); err == nil && strings.HasPrefix(name, r.Out) { // others may close theirs meanwhile
			t.Errorf("%s is open", name)
		}
	}
}
