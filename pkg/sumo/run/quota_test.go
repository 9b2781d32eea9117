package run

import (
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sumo-k8/sumo-k8/pkg/confine"
	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// folders makes those of a run.
func folders(t *testing.T) Run {
	t.Helper()
	r := newRun(t)
	if err := r.prepareFolders(); err != nil {
		t.Fatal(err)
	}
	return r
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestHolesInFilesCount(t *testing.T) {
	t.Parallel()
	r := folders(t)
	r.Output = 1 << 20
	name := filepath.Join(r.Work, runFolder, "holes.xml")
	write(t, name, "")
	if err := os.Truncate(name, 2<<20); err != nil {
		t.Fatal(err)
	}
	if u := r.usage(0); !r.over(u) || u.largest != "holes.xml" {
		t.Errorf("it counts as %+v", u)
	}
}

func TestManyFilesAreTooMuch(t *testing.T) {
	t.Parallel()
	r := folders(t)
	r.Output = 1 << 30
	first := filepath.Join(r.Work, resultFolder, "0")
	write(t, first, "")
	if err := os.Symlink(first, filepath.Join(r.Work, runFolder, "input")); err != nil {
		t.Fatal(err)
	}
	if u := r.usage(0); u.files != 1 {
		t.Errorf("the scenario's own files count: %+v", u)
	}
	for n := range 100 { // second names count as files do
		dir := filepath.Join(r.Work, resultFolder, fmt.Sprintf("%d+", n%3))
		mkdir(t, dir)
		if err := os.Link(first, filepath.Join(dir, strconv.Itoa(n))); err != nil {
			t.Fatal(err)
		}
	}
	u := r.usage(0)
	if u.files != 104 { // so do folders
		t.Errorf("they count as %+v", u)
	}
	if u.files = maxFiles; r.over(u) {
		t.Errorf("too much are %+v", u)
	}
	if u.files++; !r.over(u) {
		t.Errorf("not too much are %+v", u)
	}
	if text := (outputTooLarge{r.Output, u}).advice(); !strings.Contains(text, strconv.Itoa(maxFiles)+" files") {
		t.Error(text)
	}
}

func TestWhoGoesOnWritingIsKilled(t *testing.T) {
	t.Parallel()
	r := newRun(t)
	r.Confinement, r.Output, r.grace = confine.Off, 1<<20, time.Minute
	r.Binary = script(t, `trap '' TERM
truncate -s 1M $(seq 270)
while :; do sleep 0.1; done`)
	began := time.Now()
	got := perform(t.Context(), r, road(t, "", oneVehicle), scenario.Config{})
	if got.Reason != simulation.OutputTooLarge || time.Since(began) > r.grace {
		t.Errorf("after %s: %s: %s", time.Since(began), got.Reason, got.Message)
	}
}

func TestOutputsKeepTheirNamesUnlessTheyAreOurs(t *testing.T) {
	t.Parallel()
	r := folders(t)
	results, run := filepath.Join(r.Work, resultFolder), filepath.Join(r.Work, runFolder)
	for _, name := range []string{
		simulation.OutcomeFile, simulation.LogFile, "fcd/fcd.xml.gz", "tripinfo/x_tripinfo.xml", "statistics/statistics.xml",
	} {
		mkdir(t, filepath.Dir(filepath.Join(results, name)))
		write(t, filepath.Join(results, name), "added")
	}
	own := []string{
		"own.xml", "deep/own.xml", "line\nbreak.xml", "\xff.xml", "\x01.xml", simulation.OutcomeFile,
		simulation.LogFile + "/x.xml", "scenario/log.txt/x.xml",
		"tripinfo.xml", "out/s.xml", "statistics.xml/x.xml", strings.Repeat(strings.Repeat("d", 240)+"/", 4) + "long.xml",
	}
	for _, name := range own {
		mkdir(t, filepath.Dir(filepath.Join(run, name)))
		write(t, filepath.Join(run, name), "")
	}
	left, err := r.collect(settings{own: map[simulation.Output]string{simulation.OutputSummary: "out/s.xml"}})
	if err != nil || left.omitted != 4 {
		t.Errorf("%d omitted, %v", left.omitted, err)
	}
	root, err := os.OpenRoot(r.Out)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	got, err := listFiles(root)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"deep/own.xml", "out/s.xml", "own.xml", "scenario/log.txt/x.xml", "scenario/outcome.json", "scenario/scenario/log.txt/x.xml",
		"statistics.xml/x.xml", "sumo-k8-statistics.xml", "sumo-k8-tripinfo.xml", "tripinfo.xml",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	files := map[simulation.Output]string{
		simulation.OutputSummary: "out/s.xml", simulation.OutputTripinfo: "sumo-k8-tripinfo.xml",
		simulation.OutputStatistics: "sumo-k8-statistics.xml",
	}
	if diff := cmp.Diff(files, left.files); diff != "" {
		t.Errorf("roles (-want +got):\n%s", diff)
	}
	if len(left.notes) != 2 || !strings.Contains(left.notes[0], "scenario/scenario/log.txt/x.xml") {
		t.Errorf("said of them: %q", left.notes)
	}
}

// foldersOfResults are folders with those in which SUMO writes what every run adds.
func foldersOfResults(t *testing.T) Run {
	t.Helper()
	r := folders(t)
	for _, o := range simulation.DefaultOutputs() {
		mkdir(t, filepath.Join(r.Work, resultFolder, string(o)))
	}
	return r
}

func TestNamesOfResultsNeverMeet(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		own   []string
		want  []string
		files map[simulation.Output]string
		notes int
	}{
		"a folder with a name of ours, and the file that makes room": {
			own: []string{"log.txt/a.xml", "log.txt/b.xml", "scenario/log.txt", "scenario/scenario/log.txt"},
			want: []string{
				"scenario/log.txt", "scenario/scenario/log.txt",
				"scenario/scenario/scenario/log.txt/a.xml", "scenario/scenario/scenario/log.txt/b.xml",
			},
			notes: 1,
		},
		"files of ours that are not complete, and what only resembles them": {
			own: []string{
				"summary.json.partial", "Outcome.json.partial", "convergence.json.partial/a.xml", "trips.xml.partial", "replay.json.partial",
			},
			want: []string{
				"scenario/Outcome.json.partial", "scenario/convergence.json.partial/a.xml", "scenario/replay.json.partial",
				"scenario/summary.json.partial", "trips.xml.partial",
			},
			notes: 4,
		},
		"upper case": {
			own:   []string{"OUTCOME.JSON", "Scenario", "Summary.xml", "a.xml", "A.xml"},
			want:  []string{"A.xml", "Summary.xml", "a.xml", "scenario/OUTCOME.JSON", "scenario/Scenario", "sumo-k8-summary.xml"},
			files: map[simulation.Output]string{simulation.OutputSummary: "sumo-k8-summary.xml"}, notes: 3,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := foldersOfResults(t)
			for _, name := range tc.own {
				name = filepath.Join(r.Work, runFolder, name)
				mkdir(t, filepath.Dir(name))
				write(t, name, "")
			}
			if tc.files != nil {
				write(t, filepath.Join(r.Work, resultFolder, "summary/summary.xml"), "added")
			}
			left, err := r.collect(settings{})
			if err != nil || len(left.notes) != tc.notes {
				t.Errorf("%q, %v", left.notes, err)
			}
			if diff := cmp.Diff(tc.want, result{run: r}.ownNames(t)); diff != "" {
				t.Errorf("results (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.files, left.files, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("roles (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOutputsWithARoleAreKeptFirst(t *testing.T) {
	t.Parallel()
	r := foldersOfResults(t)
	for n := range simulation.MaxOwnFiles {
		write(t, filepath.Join(r.Work, runFolder, fmt.Sprintf("state_%d.xml", n)), "")
	}
	write(t, filepath.Join(r.Work, runFolder, "trips.xml"), "")
	left, err := r.collect(settings{own: map[simulation.Output]string{simulation.OutputTripinfo: "trips.xml"}})
	if err != nil || left.omitted != 1 || left.files[simulation.OutputTripinfo] != "trips.xml" {
		t.Errorf("%d omitted, %v, %v", left.omitted, left.files, err)
	}
}

func mkdir(t *testing.T, name string) {
	t.Helper()
	if err := os.MkdirAll(name, 0o755); err != nil {
		t.Fatal(err)
	}
}

func TestUnknownTagsAreNotKept(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for n := range 1000 {
		fmt.Fprintf(&b, "<t%d/>", n)
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "summary.xml"), "<summary>"+b.String()+`<step loaded="1"/></summary>`)
	if got := readTags(dir, "summary.xml"); len(got) != 1 || got.number("step", "loaded") == nil {
		t.Errorf("%d tags: %v", len(got), got.number("step", "loaded"))
	}
}

// TestARunEndsWhateverNumbersAProgramWrites has sums that are no numbers in JSON, so that a run without an outcome once had its place for
// ever.
func TestARunEndsWhateverNumbersAProgramWrites(t *testing.T) {
	t.Parallel()
	r := folders(t)
	write(t, filepath.Join(r.Out, "s.xml"), `<statistics><vehicles loaded="2" inserted="1e308" running="-1e308"/></statistics>`)
	write(t, filepath.Join(r.Out, "steps.xml"), `<summary><step arrived="-1e308" ended="1e308"/></summary>`)
	write(t, filepath.Join(r.Out, "t.xml"), `<tripinfos>`+strings.Repeat(`<tripinfo><emissions CO2_abs="1e308"/></tripinfo>`, 3)+`</tripinfos>`)
	left := kept{files: map[simulation.Output]string{
		simulation.OutputStatistics: "s.xml", simulation.OutputSummary: "steps.xml", simulation.OutputTripinfo: "t.xml",
	}}
	summary, reason, message := r.sumUp(scenario.Config{}, fate{observed: observed{version: "1"}}, &left, "", "")
	if loaded, _ := summary.Metric("vehicles_loaded"); reason != "" || loaded != 2 {
		t.Errorf("%s: %s, %+v", reason, message, summary)
	}
	for _, name := range []string{"vehicles_finished", "emissions_co2"} {
		if v, ok := summary.Metric(name); ok {
			t.Errorf("%s is %v", name, v)
		}
	}
	summary.Metrics = append(summary.Metrics, simulation.Metric{Name: "end", Value: math.Inf(1)})
	outcome, written := r.conclude(simulation.Outcome{Summary: summary})
	text, err := os.ReadFile(filepath.Join(r.Out, simulation.OutcomeFile))
	if !written || err != nil || outcome.Reason != simulation.InternalError || !strings.Contains(string(text), string(outcome.Reason)) {
		t.Errorf("the outcome is %+v, %v: %s", outcome, err, text)
	}
}

// TestTooMuchOutputEndsARunInTimeToKeepIt is the dump that once filled a disk.
func TestTooMuchOutputEndsARunInTimeToKeepIt(t *testing.T) {
	t.Parallel()
	r := newRun(t)
	r.Output = 16 << 20
	got := perform(t.Context(), r, road(t, `<output><netstate-dump value="made/dump.xml"/></output>`, longDemand), scenario.Config{
		Outputs: []string{"made/dump.xml"},
	})
	if got.Reason != simulation.OutputTooLarge || !strings.Contains(got.Message, "16 MiB") || !strings.Contains(got.Message, "made/dump.xml") {
		t.Errorf("%s: %s", got.Reason, got.Message)
	}
	if got.Summary == nil || !got.Summary.Partial {
		t.Errorf("summary: %+v", got.Summary)
	}
	if broken := new(kept).incomplete(r.Out, append(slices.Collect(maps.Values(got.Files)), "made/dump.xml")); len(broken) > 0 {
		t.Errorf("cut off: %v", broken)
	}
	if info, err := os.Stat(filepath.Join(r.Out, "made/dump.xml")); err != nil || info.Size() < r.Output/2 {
		t.Errorf("%v, %v", info, err)
	}
}
