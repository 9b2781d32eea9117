package run

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/confine"
	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/sumotest"
)

// ownNames are the outputs in a run's output folder, without the files of every run.
func (r result) ownNames(t *testing.T) []string {
	t.Helper()
	root, err := os.OpenRoot(r.run.Out)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	names, err := listFiles(root)
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(names, func(name string) bool { return ours[name] })
}

func TestOutputsAreFoundByTheirRole(t *testing.T) {
	t.Parallel()
	const fleet = `<vehicle id="v" depart="0"><route edges="AB BC"/></vehicle><person id="p" depart="0"><walk edges="AB"/></person>`
	type roles = map[simulation.Output]string
	const summary, tripinfo = simulation.OutputSummary, simulation.OutputTripinfo
	const statistics, fcd = simulation.OutputStatistics, simulation.OutputFCD
	for name, tc := range map[string]struct {
		version, options string
		outputs          []simulation.Output
		want             []string
		files            roles
		metrics          []string // that the summary has
		warning          string
	}{
		"all the scenario's own": {
			options: `<summary-output value="out/s.xml"/><tripinfo-output value="t.xml.gz"/><statistic-output value="tripinfo.xml"/>`,
			want:    []string{"out/s.xml", "t.xml.gz", "tripinfo.xml"},
			files:   roles{summary: "out/s.xml", tripinfo: "t.xml.gz", statistics: "tripinfo.xml"},
			metrics: []string{"vehicles_finished", "mean_time_loss", "persons_finished"},
		},
		"all in one file": {
			options: `<summary-output value="all.xml"/><tripinfo-output value="all.xml"/><statistic-output value="all.xml"/>`,
			want:    []string{"all.xml"},
			files:   roles{summary: "all.xml", tripinfo: "all.xml", statistics: "all.xml"},
			metrics: []string{"vehicles_finished", "mean_time_loss", "persons_finished"},
		},
		"a name of ours for another output": {
			options: `<vehroute-output value="tripinfo.xml"/>`,
			want:    []string{"statistics.xml", "summary.xml", "sumo-k8-tripinfo.xml", "tripinfo.xml"},
			files:   roles{summary: "summary.xml", tripinfo: "sumo-k8-tripinfo.xml", statistics: "statistics.xml"},
			metrics: []string{"vehicles_finished", "mean_time_loss", "persons_finished"},
		},
		"persons apart": {
			options: `<personinfo-output value="p.xml"/>`,
			want:    []string{"p.xml", "statistics.xml", "summary.xml", "tripinfo.xml"},
			files: roles{
				summary: "summary.xml", tripinfo: "tripinfo.xml", statistics: "statistics.xml", simulation.OutputPersoninfo: "p.xml",
			},
			metrics: []string{"vehicles_finished", "mean_time_loss", "persons_finished"},
		},
		"thrown away": {
			options: `<summary-output value="/dev/null"/>`,
			want:    []string{"statistics.xml", "summary.xml", "tripinfo.xml"},
			files:   roles{summary: "summary.xml", tripinfo: "tripinfo.xml", statistics: "statistics.xml"},
			metrics: []string{"vehicles_finished"},
		},
		"a prefix that is a folder": {
			options: `<output-prefix value="p/x_"/><summary-output value="out/s.xml"/>`, outputs: []simulation.Output{fcd},
			want:    []string{"fcd.xml.gz", "out/p/x_s.xml", "statistics.xml", "tripinfo.xml"},
			files:   roles{summary: "out/p/x_s.xml", tripinfo: "tripinfo.xml", statistics: "statistics.xml", fcd: "fcd.xml.gz"},
			metrics: []string{"vehicles_finished", "mean_time_loss", "persons_finished"},
		},
		"the time in a suffix": {
			options: `<output-suffix value="-TIME"/><summary-output value="s.tar.xml"/>`,
			want:    []string{"s-DATE.tar.xml", "statistics.xml", "tripinfo.xml"},
			files:   roles{summary: "s-DATE.tar.xml", tripinfo: "tripinfo.xml", statistics: "statistics.xml"},
			metrics: []string{"vehicles_finished", "mean_time_loss"},
		},
		"CSV by name": {
			options: `<summary-output value="s.csv"/><tripinfo-output value="t.csv.gz"/>`,
			want:    []string{"s.csv", "statistics.xml", "t.csv.gz"},
			files:   roles{summary: "s.csv", tripinfo: "t.csv.gz", statistics: "statistics.xml"},
			metrics: []string{"mean_time_loss"},
		},
		"CSV for all": {
			options: `<output.format value="csv"/><summary-output value="s.xml"/>`, outputs: []simulation.Output{fcd},
			want:    []string{"fcd.csv.gz", "s.xml", "statistics.csv", "tripinfo.csv"},
			files:   roles{summary: "s.xml", tripinfo: "tripinfo.csv", statistics: "statistics.csv", fcd: "fcd.csv.gz"},
			metrics: []string{"vehicles_inserted", "persons_loaded", "mean_time_loss"},
		},
		"Parquet for all": {
			options: `<output.format value="parquet"/><summary-output value="s.parquet"/>`, outputs: []simulation.Output{fcd},
			warning: "the scenario does not ask for them itself: tripinfo, statistics, fcd.",
			want:    []string{"s.parquet"},
			files:   roles{summary: "s.parquet"},
			metrics: []string{"vehicles_inserted", "persons_loaded", "mean_time_loss"},
		},
		"names of Parquet, which an old version writes in XML": {
			version: "1.18", options: `<summary-output value="s.parquet"/>`,
			want:    []string{"s.parquet", "statistics.xml", "tripinfo.xml"},
			files:   roles{summary: "s.parquet", tripinfo: "tripinfo.xml", statistics: "statistics.xml"},
			metrics: []string{"vehicles_finished", "mean_time_loss"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRun(t)
			if tc.version != "" {
				r = newRunOf(t, sumotest.Version(t, tc.version))
			}
			r.Options.Outputs = tc.outputs
			got := perform(t.Context(), r, road(t, "<output>"+tc.options+"</output>", fleet), scenario.Config{})
			if !got.Succeeded() {
				t.Fatalf("%s: %s\n%s", got.Reason, got.Message, got.read(t, simulation.LogFile))
			}
			if said := strings.Join(got.Warnings, "\n"); !strings.Contains(said, tc.warning) || (said == "") != (tc.warning == "") {
				t.Errorf("warnings: %q, want …%q…", got.Warnings, tc.warning)
			}
			date := regexp.MustCompile(startTime)
			names := got.ownNames(t)
			for i, name := range names {
				names[i] = date.ReplaceAllString(name, "DATE")
			}
			if diff := cmp.Diff(tc.want, names); diff != "" {
				t.Errorf("results (-want +got):\n%s", diff)
			}
			files := roles{}
			for role, name := range got.Files {
				if _, err := os.Stat(filepath.Join(r.Out, name)); err != nil {
					t.Error(err)
				}
				files[role] = date.ReplaceAllString(name, "DATE")
			}
			if diff := cmp.Diff(tc.files, files); diff != "" {
				t.Errorf("roles (-want +got):\n%s", diff)
			}
			for _, metric := range tc.metrics {
				if v, ok := got.Summary.Metric(metric); !ok || v == 0 && metric != "persons_finished" {
					t.Errorf("%s = %v, %v", metric, v, ok)
				}
			}
		})
	}
}

// TestNumbersDoNotDependOnHowOutputsAreWritten asks for the outputs in the ways that scenarios do: the run is the same, and so are its
// numbers, except for those that only an output in XML has.
func TestNumbersDoNotDependOnHowOutputsAreWritten(t *testing.T) {
	t.Parallel()
	// Vehicles leave until the very end. The one that stops is in the way of others, which teleport; bicycles have means of their own.
	const demand = `<vType id="bike" vClass="bicycle"/><vType id="van" maxSpeed="9"/>
		<vehicle id="stops" depart="0"><route edges="AB BC"/><stop lane="BC_0" endPos="60" duration="60"/></vehicle>
		<flow id="bikes" type="bike" begin="0" end="100" number="5"><route edges="AB BC"/></flow>
		<flow id="f" type="van" begin="0" end="300" number="150"><route edges="AB BC"/></flow>
		<person id="p" depart="0"><walk edges="AB" arrivalPos="50"/></person><person id="q" depart="0"><walk edges="AB BC"/></person>`
	const always = `<end value="180"/><time-to-teleport value="20"/><collision.action value="warn"/>`
	numbers := func(t *testing.T, options string) map[string]float64 {
		t.Helper()
		got := perform(t.Context(), newRun(t), road(t, always+options, demand), scenario.Config{})
		if !got.Succeeded() {
			t.Fatalf("%s: %s\n%s", got.Reason, got.Message, got.read(t, simulation.LogFile))
		}
		of := map[string]float64{}
		for _, m := range got.Summary.Metrics {
			if !slices.Contains([]string{"wall_time", "real_time_factor", "vehicle_updates_per_second"}, m.Name) {
				of[m.Name] = m.Value
			}
		}
		return of
	}
	want := numbers(t, "")
	for _, name := range []string{"vehicles_finished", "teleports", "persons_finished", "mean_waiting_time", "mean_depart_delay"} {
		if want[name] == 0 {
			t.Errorf("%s is 0, which shows nothing", name)
		}
	}
	if want["vehicles_finished"] == want["vehicles_inserted"] || want["persons_finished"] == want["persons_loaded"] {
		t.Error("nothing is on the road at the end")
	}
	for name, tc := range map[string]struct {
		options string
		lacks   []string
	}{
		"a step in a while":     {`<summary-output value="s.xml"/><summary-output.period value="100"/>`, nil},
		"persons apart":         {`<tripinfo-output value="t.xml"/><personinfo-output value="p.xml.gz"/>`, nil},
		"statistics as CSV":     {`<statistic-output value="s.csv"/>`, nil},
		"statistics as Parquet": {`<statistic-output value="s.parquet"/>`, []string{"total_travel_time"}},
		"another separator":     {`<statistic-output value="s.csv.gz"/><output.column-separator value=","/>`, nil},
		"CSV":                   {`<output.format value="csv"/>`, []string{"persons_finished"}},
		"Parquet":               {`<output.format value="parquet"/>`, []string{"total_travel_time", "persons_finished"}},
		"times as clocks":       {`<human-readable-time value="true"/>`, nil},
		"no step is written":    {`<summary-output value="s.xml"/><summary-output.period value="500"/>`, nil},
		"a summary as CSV":      {`<summary-output value="s.csv"/>`, nil},
		"all in one file":       {`<summary-output value="o.xml"/><tripinfo-output value="o.xml"/><statistic-output value="o.xml"/>`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := maps.Clone(want)
			for _, name := range tc.lacks {
				delete(want, name)
			}
			if diff := cmp.Diff(want, numbers(t, tc.options)); diff != "" {
				t.Errorf("(-one output each, in XML +%s):\n%s", name, diff)
			}
		})
	}
}

// TestVehiclesThatNeverDepartedHaveNotArrived has SUMO discard vehicles, which it counts among those that have ended.
func TestVehiclesThatNeverDepartedHaveNotArrived(t *testing.T) {
	t.Parallel()
	sumotest.Each(t, func(t *testing.T, sumo release.Installation) {
		for name, options := range map[string]string{
			"scaled down":              `<scale value="0.4"/>`,
			"scaled to nothing":        `<scale value="0"/>`,
			"a queue that is too long": `<max-depart-delay value="5"/>`,
			"a step in a while":        `<scale value="0.4"/><summary-output value="s.xml"/><summary-output.period value="70"/>`,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				r := newRunOf(t, sumo)
				const demand = `<flow id="f" begin="0" end="200" number="300"><route edges="AB BC"/></flow>`
				got := perform(t.Context(), r, road(t, `<end value="180"/>`+options, demand), scenario.Config{})
				if !got.Succeeded() {
					t.Fatalf("%s: %s\n%s", got.Reason, got.Message, got.read(t, simulation.LogFile))
				}
				arrived := strings.Count(got.read(t, "tripinfo.xml"), "<tripinfo ") // of those on the road there are none without unfinished_trips
				if n, ok := got.Summary.Metric("vehicles_finished"); !ok || int(n) != arrived {
					t.Errorf("%v vehicles finished, %v; %d trips ended", n, ok, arrived)
				}
			})
		}
	})
}

// TestTheLastStepIsFoundBeforeManyTrips has the trips of vehicles that are still on the road behind the last step, in the same file.
func TestTheLastStepIsFoundBeforeManyTrips(t *testing.T) {
	t.Parallel()
	r := newRun(t)
	r.Options.UnfinishedTrips, r.Options.End = true, seconds(200)
	const demand = `<flow id="f" begin="0" end="200" number="200"><route edges="AB BC"/></flow>`
	got := perform(t.Context(), r, road(t, `<summary-output value="all.xml"/><tripinfo-output value="all.xml"/>`, demand), scenario.Config{})
	text := got.read(t, "all.xml")
	if behind := len(text) - strings.LastIndex(text, "<step "); behind <= lastSteps {
		t.Fatalf("only %d bytes are behind the last step", behind)
	}
	if finished, ok := got.Summary.Metric("vehicles_finished"); !got.Succeeded() || !ok || finished == 0 {
		t.Errorf("%s: %g vehicles finished, %v", got.Message, finished, ok)
	}
}

func TestNamesOfOutputsAreRewrittenInTheRunsOwnCopy(t *testing.T) {
	t.Parallel()
	f := road(t, `<input><additional-files value="sub/d.add.xml"/></input>`, oneVehicle)
	f["sub/d.add.xml"] = `<additional>
	<inductionLoop id="d" lane="AB_0" pos="100" period="60" file="../../loop.xml"/>
	<inductionLoop id="e" lane="AB_0" pos="200" period="60" file="kept.xml"/>
	<include href="e.add.xml"/></additional>`
	f["sub/e.add.xml"] = `<additional><edgeData id="x" file="edges.xml"/></additional>`
	r := newRun(t)
	got := perform(t.Context(), r, f, scenario.Config{
		Outputs: []string{"sub/made/loop.xml"},
		Rewrites: map[string][]scenario.Rewrite{
			"sub/d.add.xml": {{Element: "inductionLoop", Attribute: "file", From: "../../loop.xml", To: "made/loop.xml"}},
		},
	})
	if !got.Succeeded() {
		t.Fatalf("%s: %s\n%s", got.Reason, got.Message, got.read(t, simulation.LogFile))
	}
	want := []string{"statistics.xml", "sub/edges.xml", "sub/kept.xml", "sub/made/loop.xml", "summary.xml", "tripinfo.xml"}
	if diff := cmp.Diff(want, got.ownNames(t)); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
	if text, err := os.ReadFile(filepath.Join(r.Work, scenarioFolder, "sub/d.add.xml")); err != nil || string(text) != f["sub/d.add.xml"] {
		t.Errorf("the scenario's file is now %s, %v", text, err)
	}
}

func TestARandomScenarioIsRunWithADrawnSeed(t *testing.T) {
	t.Parallel()
	f := road(t, `<random_number><random value="true"/><seed value="5"/></random_number>`, oneVehicle)
	r := newRun(t)
	r.draw = func() int64 { return 4711 }
	got := perform(t.Context(), r, f, scenario.Config{Random: true})
	if log := got.read(t, simulation.LogFile); !strings.Contains(log, "seed 4711") {
		t.Error(log)
	}
	if text := got.read(t, "tripinfo.xml"); !strings.Contains(text, `<seed value="4711"/>`) {
		t.Errorf("SUMO ran with another seed:\n%.2000s", text)
	}
}

func TestASchemaOutsideIsNotRead(t *testing.T) {
	t.Parallel()
	outside := filepath.Join(t.TempDir(), "types.xsd")
	write(t, outside, `<xsd:schema xmlns:xsd="http://www.w3.org/2001/XMLSchema"><xsd:element name="secret"/></xsd:schema>`)
	f := road(t, "", oneVehicle)
	f["road.rou.xml"] = strings.Replace(f["road.rou.xml"], "<routes>",
		`<routes xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:noNamespaceSchemaLocation="file://`+outside+`">`, 1)
	for confinement, want := range map[confine.Mode]simulation.Reason{confine.Require: "", confine.Off: simulation.InvalidScenario} {
		r := newRun(t)
		r.Confinement = confinement
		// The schema knows no routes, so a SUMO that reads it refuses them.
		if got := perform(t.Context(), r, f, scenario.Config{}); got.Reason != want {
			t.Errorf("%s: %s: %s\n%s", confinement, got.Reason, got.Message, got.read(t, simulation.LogFile))
		}
	}
}

func TestAPrefixCannotMoveAnAddedOutputOutOfItsFolder(t *testing.T) {
	t.Parallel()
	for _, prefix := range []string{"", "x_", "a/b/", "../x_", "a/../../../b/x_"} {
		s := settings{prefix: prefix}
		if name := s.affixed(s.addedPath(simulation.OutputFCD)); !strings.HasPrefix(name, "results/fcd/") {
			t.Errorf("%s makes it %s", prefix, name)
		}
	}
}

func TestAnOutputFolderHoldsNeitherScenarioNorWork(t *testing.T) {
	t.Parallel()
	r := newRun(t)
	r.Out = filepath.Dir(r.Work)
	r.Scenario = filepath.Join(r.Out, "city.zip")
	write(t, r.Scenario, "")
	if err := r.prepareFolders(); err == nil {
		t.Error("accepted")
	}
}

func TestOnlyAnEarlierAttemptIsCleared(t *testing.T) {
	t.Parallel()
	sums := string(simulation.FormatChecksums(map[string][]byte{"old/a.xml": make([]byte, 32)}))
	for log, want := range map[string]bool{simulation.LogStart(began) + "\nmore\n": false, "a diary\n": true} {
		r := newRun(t)
		r.Scenario = filepath.Join(filepath.Dir(r.Work), "city.zip")
		mkdir(t, filepath.Join(r.Out, "old"))
		mkdir(t, r.Work)
		write(t, filepath.Join(r.Out, "old/a.xml"), "")
		write(t, filepath.Join(r.Out, "killed.xml"), "")
		write(t, filepath.Join(r.Out, simulation.ChecksumFile), sums)
		write(t, filepath.Join(r.Work, collectedFile), r.Out+"\nkilled.xml\n")
		write(t, filepath.Join(r.Out, simulation.LogFile), log)
		write(t, filepath.Join(r.Out, "mine.txt"), "")
		if err := r.prepareFolders(); err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]bool{"mine.txt": true, "killed.xml": false, "old": want} {
			if _, err := os.Stat(filepath.Join(r.Out, name)); (err == nil) != want {
				t.Errorf("%s beside %q: %v", name, log, err)
			}
		}
	}
}
