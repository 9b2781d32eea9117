package run

import (
	"archive/zip"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/sumotest"
	networks "github.com/sumo-k8/sumo-k8/test_networks"
)

// programs are those of testdata/programs, on the ready network grid.
var programs = map[string]simulation.Controller{
	"fixed_time":    {File: "fixed_time.py", Args: []string{"{config}"}, Interface: simulation.TraCI},
	"actuated":      {File: "actuated.py", Args: []string{"{config}"}, Interface: simulation.TraCI},
	"max_pressure":  {File: "max_pressure.py", Args: []string{"{config}", "--hold=10", "--out", "out"}, Interface: simulation.TraCI},
	"insertion":     {File: "insertion.py", Args: []string{"grid.net.xml.gz"}, Interface: simulation.TraCI},
	"subscriptions": {File: "subscriptions.py", Args: []string{"{config}", "7"}, Interface: simulation.TraCI},
	"in_process":    {File: "in_process.py", Args: []string{"{config}"}, Interface: simulation.Libsumo},
	"in_place":      {File: "fixed_time.py", Args: []string{"{config}"}, Interface: simulation.Libsumo}, // traci becomes libsumo
	"episodes":      {File: "episodes.py", Args: []string{"{config}"}, Interface: simulation.TraCI},
}

// onEachVersion are those that run on the oldest version too, where not all versions are asked for.
var onEachVersion = []string{"fixed_time", "in_process", "episodes"}

// programZip is a ready network with the files of testdata/programs, and more.
func programZip(t testing.TB, network string, more map[string]string) string {
	t.Helper()
	scripts, err := filepath.Glob("testdata/programs/*.py")
	if err != nil {
		t.Fatal(err)
	}
	all := maps.Clone(more)
	if all == nil {
		all = map[string]string{}
	}
	for _, script := range scripts {
		text, err := os.ReadFile(script)
		if err != nil {
			t.Fatal(err)
		}
		all[filepath.Base(script)] = string(text)
	}
	text, err := networks.With(network, all)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "scenario.zip")
	if err := os.WriteFile(name, text, 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

func programRun(t testing.TB, sumo release.Installation, more map[string]string) Run {
	r := newRunOf(t, sumo)
	r.Python = sumotest.Python(t, sumo.Version)
	r.Scenario = programZip(t, "grid", more)
	return r
}

// byHand unpacks the scenario into a folder and calls a program there as a person would at a desk. It returns the files that are new.
func byHand(t *testing.T, r Run, c simulation.Controller) map[string]string {
	t.Helper()
	cmd := handCommand(t, r, c, "grid.sumocfg")
	before := filesOf(t, cmd.Dir)
	if c.File == "actuated.py" { // nobody sees a window here
		cmd.Args = append(cmd.Args, "--nogui")
	}
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("by hand: %v\n%s", err, said)
	}
	made := filesOf(t, cmd.Dir)
	for name := range before {
		delete(made, name)
	}
	return made
}

// handCommand is the call of a program at a desk, in a folder with the scenario.
func handCommand(t testing.TB, r Run, c simulation.Controller, config string) *exec.Cmd {
	t.Helper()
	folder := t.TempDir()
	in, err := zip.OpenReader(r.Scenario)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close() }()
	if err := os.CopyFS(folder, in); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(folder, outFolder), 0o755); err != nil {
		t.Fatal(err)
	}
	args := simulation.Expand(c.Args, 0, "", config)
	cmd := exec.CommandContext(t.Context(), r.Python.Interpreter, append([]string{c.File}, args...)...)
	cmd.Dir = folder
	cmd.Env = []string{
		"PATH=" + filepath.Join(r.Home, "bin"), "SUMO_HOME=" + r.Home, "PYTHONPATH=" + strings.Join(r.Python.Path, ":"),
		"PYTHONDONTWRITEBYTECODE=1", "LC_ALL=C.UTF-8",
	}
	if c.Interface == simulation.Libsumo {
		cmd.Env = append(cmd.Env, "LIBSUMO_AS_TRACI=1")
	}
	return cmd
}

// comments and stepTimes are what differs between any two runs of SUMO: the comment with the time and all options, and how long each step
// took.
var comments = regexp.MustCompile(`(?s)<!--.*?-->`)

func filesOf(t *testing.T, folder string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := fs.WalkDir(os.DirFS(folder), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			text, err := os.ReadFile(filepath.Join(folder, name))
			found[name] = stepTimes.ReplaceAllString(comments.ReplaceAllString(string(text), ""), "/>")
			return err
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestAProgramGivesWhatItGivesByHand(t *testing.T) {
	t.Parallel()
	sumotest.Each(t, func(t *testing.T, sumo release.Installation) {
		for name, c := range programs {
			if sumo.Version != sumotest.Newest(t).Version && !sumotest.All() && !slices.Contains(onEachVersion, name) {
				continue
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				r := programRun(t, sumo, nil)
				r.Options.Controller = &c
				got := result{r.Do(t.Context()), r}
				if !got.Succeeded() {
					t.Fatalf("%s: %s\n%s", got.Reason, got.Message, got.read(t, simulation.LogFile))
				}
				made := filesOf(t, r.Out)
				want := byHand(t, r, c)
				if len(want) == 0 {
					t.Fatal("the program makes nothing by hand")
				}
				for file, text := range want {
					if _, there := made[file]; !there {
						t.Errorf("%s is missing; there are %q", file, slices.Sorted(maps.Keys(made)))
					} else if made[file] != text {
						t.Errorf("%s differs (-by hand +here):\n%.2000s", file, cmp.Diff(text, made[file]))
					}
				}
				for file := range made {
					own := path.Dir(file) == "." && slices.Contains([]string{
						simulation.LogFile, simulation.SummaryFile, simulation.OutcomeFile, simulation.ChecksumFile,
						"summary.xml", "tripinfo.xml", "statistics.xml",
					}, file)
					if _, there := want[file]; !there && !own {
						t.Errorf("%s is no result by hand", file)
					}
				}
				if got.Summary == nil {
					t.Fatalf("the run has no summary; results %q\n%s", slices.Sorted(maps.Keys(made)), got.read(t, simulation.LogFile))
				}
				if version := got.Summary.SumoVersion; version != sumo.Version+".0" {
					t.Errorf("the run is of SUMO %q", version)
				}
			})
		}
	})
}

// SUMO reads options that stand as text, and names of files relative to the configuration that has them. So does the stand-in for SUMO.
func TestOutputsOfAProgramsConfigurationAreKnown(t *testing.T) {
	t.Parallel()
	const text = `
import traci
traci.start(["sumo", "-c", "data/run.sumocfg"])
while traci.simulation.getMinExpectedNumber() > 0:
    traci.simulationStep()
traci.close()
`
	sumotest.Each(t, func(t *testing.T, sumo release.Installation) {
		f := road(t, "", oneVehicle)
		f["control.py"], f["data/run.sumocfg"] = text, `<configuration><net-file value="../road.net.xml"/>
			<route-files value="../road.rou.xml"/><tripinfo-output>
				own.xml
			</tripinfo-output><summary value="sums.xml"/></configuration>`
		delete(f, "run.sumocfg")
		r := newRunOf(t, sumo)
		r.Python, r.Scenario = sumotest.Python(t, sumo.Version), zipped(t, f)
		r.Options.Controller = &simulation.Controller{File: "city/control.py", Interface: simulation.TraCI}
		got := result{r.Do(t.Context()), r}
		if !got.Succeeded() {
			t.Fatalf("%s: %s\n%s", got.Reason, got.Message, got.read(t, simulation.LogFile))
		}
		want := map[simulation.Output]string{
			simulation.OutputTripinfo: "city/data/own.xml", simulation.OutputSummary: "city/data/sums.xml",
			simulation.OutputStatistics: "statistics.xml",
		}
		if diff := cmp.Diff(want, got.Files); diff != "" {
			t.Errorf("outputs (-want +got):\n%s\n%s", diff, got.read(t, simulation.LogFile))
		}
		if n, ok := got.Summary.Metric("mean_travel_time"); !ok || n <= 0 {
			t.Errorf("a mean travel time of %v s, %v", n, ok)
		}
	})
}
