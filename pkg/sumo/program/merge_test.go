package program

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

func TestMerge(t *testing.T) {
	t.Parallel()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	rules := Rules{
		Folders: []string{here}, Set: []string{"seed=7", "language=C"}, Requested: []string{"seed"}, Shown: []string{"no-step-log=false"},
		Results: "/results", Add: []Addition{{simulation.OutputTripinfo, "tripinfo-output", "tripinfo.xml", "tripinfo.csv"}},
	}
	const added, forced, shown = "--tripinfo-output=/results/tripinfo/tripinfo.xml", "--seed=7", "--language=C"
	for name, tc := range map[string]struct {
		args     string
		config   map[string]string
		want     string
		warnings int
	}{
		"plain":               {args: "-c a.sumocfg", want: "-c a.sumocfg " + added},
		"one file":            {args: "a.sumocfg", want: "--configuration-file=a.sumocfg " + added},
		"one network":         {args: "a.net.xml.gz", want: "--net-file=a.net.xml.gz " + added},
		"graphical":           {args: "-c a.sumocfg --start -Q --delay 100 -d 5 --window-size 3,4 -S", want: "-c a.sumocfg " + added},
		"letters together":    {args: "-SQ -c a.sumocfg -vW", want: "-c a.sumocfg --verbose=true --no-warnings=true " + added},
		"a flag with a value": {args: "--no-step-log true -c a.sumocfg", want: "-c a.sumocfg " + added},
		"the program's seed":  {args: "-c a.sumocfg --seed 3", want: "-c a.sumocfg " + added, warnings: 1},
		"the same seed":       {args: "-c a.sumocfg --seed=7", want: "-c a.sumocfg " + added},
		"its own output":      {args: "-c a.sumocfg --tripinfo mine.xml", want: "-c a.sumocfg --tripinfo mine.xml"},
		"the configuration's": {args: "-c a.sumocfg", config: map[string]string{"tripinfo-output": "mine.xml"}, want: "-c a.sumocfg"},
		"as CSV": {
			args: "-c a.sumocfg --output.format csv",
			want: "-c a.sumocfg --output.format csv " + strings.Replace(added, ".xml", ".csv", 1),
		},
		"as Parquet":            {args: "-c a.sumocfg --output.format parquet", want: "-c a.sumocfg --output.format parquet"},
		"schemas from the web":  {args: "-c a.sumocfg -X auto", want: "-c a.sumocfg --xml-validation=local " + added},
		"unknown":               {args: "--from-the-future 3 -c a.sumocfg", want: "--from-the-future 3 -c a.sumocfg " + added},
		"a port":                {args: "-c a.sumocfg --remote-port 8813", want: "-c a.sumocfg --remote-port 8813 " + added},
		"values behind letters": {args: "-ca.sumocfg -e=10 -b5", want: "-ca.sumocfg -e=10 -b5 " + added},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := rules.Merge(strings.Fields(tc.args), true, true, func(string) (map[string]string, error) { return tc.config, nil })
			if err != nil {
				t.Fatal(err)
			}
			got.Arguments = slices.DeleteFunc(got.Arguments, func(a string) bool {
				return a == forced || a == shown || a == "--no-step-log=false"
			})
			if diff := cmp.Diff(strings.Fields(tc.want), got.Arguments); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if len(got.Warnings) != tc.warnings {
				t.Errorf("warnings %q", got.Warnings)
			}
		})
	}
}

func TestMergeRecords(t *testing.T) {
	t.Parallel()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	const into, always = "--fcd-output=/results/replay/fcd.xml", "--fcd-output.attributes=" + ReplayAttributes
	recorded := func(period, begin string, more ...string) []string {
		return append([]string{into, always, "--device.fcd.period=" + period, "--device.fcd.begin=" + begin}, more...)
	}
	from := 100.0
	for name, tc := range map[string]struct {
		asked  simulation.Replay
		edges  string
		args   string
		config map[string]string
		want   []string // without -n and the options of the program
		report Report
	}{
		"plain":      {want: append([]string{"+a", "request.xml"}, recorded("1", "0")...)},
		"additional": {args: "-a x.xml", want: append([]string{"--additional-files=x.xml,request.xml"}, recorded("1", "0")...)},
		"its steps":  {args: "--step-length=0.3 -b 2", want: append([]string{"+a", "request.xml"}, recorded("0.9", "2")...)},
		"the job's begin": {
			asked: simulation.Replay{From: &from, Period: 5}, want: append([]string{"+a", "request.xml"}, recorded("5", "100")...),
		},
		"edges": {
			edges: "edges.txt", config: map[string]string{fcdEdges: "mine.txt"},
			want: append([]string{"+a", "request.xml"}, recorded("1", "0", "--"+fcdEdges+"=edges.txt")...),
		},
		"what would change it": {
			args: "--fcd-output.attributes=x --device.fcd.period 7", config: map[string]string{fcdEdges: "mine.txt"},
			want: append([]string{"+a", "request.xml"}, recorded("1", "0", "--"+fcdEdges+"=/dev/null")...),
		},
		"longitudes": {args: "--fcd-output.geo", want: append([]string{"+a", "request.xml"}, recorded("1", "0", "--fcd-output.geo=false")...)},
		"nowhere":    {args: "--fcd-output /dev/null", want: append([]string{"+a", "request.xml"}, recorded("1", "0")...)},
		"its own": {
			args:   "--fcd-output=mine.xml",
			report: Report{Own: map[simulation.Output]string{simulation.OutputFCD: filepath.Join(here, "mine.xml")}},
		},
		"persons apart": {
			args: "--personinfo-output=mine.xml", want: append([]string{"+a", "request.xml"}, recorded("1", "0")...),
			report: Report{Own: map[simulation.Output]string{simulation.OutputPersoninfo: filepath.Join(here, "mine.xml")}},
		},
		"as CSV":  {args: "--output.format=csv", report: Report{Format: "csv"}},
		"persons": {config: map[string]string{personsFCD: "p.xml"}, report: Report{Unrecorded: "the program's SUMO has person-fcd-output"}},
		"a prefix": {
			args: "--output-prefix=a", report: Report{Unrecorded: "the program's SUMO has output-prefix"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rules := Rules{
				Folders: []string{here},
				Replay:  &Replay{Pipe: "/results/replay/fcd.xml", Request: "request.xml", Edges: tc.edges, Asked: tc.asked},
			}
			args := append([]string{"-c", "a.sumocfg"}, strings.Fields(tc.args)...)
			got, err := rules.Merge(args, true, true, func(string) (map[string]string, error) { return tc.config, nil })
			if err != nil {
				t.Fatal(err)
			}
			added := slices.DeleteFunc(slices.Clone(got.Arguments), func(a string) bool { return slices.Contains(args, a) })
			if diff := cmp.Diff(tc.want, added, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if r := got.Report; r.Format != tc.report.Format || !maps.Equal(r.Own, tc.report.Own) ||
				!strings.HasPrefix(r.Unrecorded, tc.report.Unrecorded) || (r.Unrecorded == "") != (tc.report.Unrecorded == "") {
				t.Errorf("the report is %+v", r)
			}
			beside, err := rules.Merge(args, true, false, func(string) (map[string]string, error) { return tc.config, nil })
			if err != nil || !slices.Equal(beside.Arguments, args) {
				t.Errorf("another SUMO beside it gets %q, %v", beside.Arguments, err)
			}
		})
	}
}

func TestMergeRefusesFilesOutsideTheRun(t *testing.T) {
	t.Parallel()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	rules := Rules{Folders: []string{here}}
	for args, refused := range map[string]bool{
		"-n /etc/passwd": true, "-r a.xml,../../../b.xml": true, "--fcd-output=/tmp/x": true,
		"-n a.net.xml": false, "-n " + filepath.Join(here, "a.net.xml"): false, "--summary-output /dev/null": false, "--seed 5": false,
	} {
		_, err := rules.Merge(strings.Fields(args), false, false, func(string) (map[string]string, error) { return nil, os.ErrNotExist })
		if (err != nil) != refused {
			t.Errorf("%s: %v", args, err)
		}
	}
	broken := errors.New("broken")
	_, err = rules.Merge([]string{"-c", "a"}, false, false, func(string) (map[string]string, error) { return nil, broken })
	if !errors.Is(err, broken) {
		t.Errorf("got %v of an unreadable configuration", err)
	}
}

func TestConfigurationsAreReadAsSUMODoes(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	name := filepath.Join(folder, "run.sumocfg")
	err := os.WriteFile(name, []byte(`<configuration><input><net-file value="a.net.xml"/><r v="../b.rou.xml"/></input>
		<output><tripinfo-output>
			own.xml
		</tripinfo-output><summary value="/abs/s.xml"/><output-prefix>p_</output-prefix><fcd-output value=""/></output></configuration>`), 0o644)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ReadConfiguration(name)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"net-file": filepath.Join(folder, "a.net.xml"), "route-files": filepath.Join(folder, "../b.rou.xml"),
		"tripinfo-output": filepath.Join(folder, "own.xml"), "summary-output": "/abs/s.xml", "output-prefix": "p_",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func FuzzMerge(f *testing.F) {
	f.Add("-c a.sumocfg --seed 5")
	f.Add("-SQvW")
	f.Add("+a x -")
	rules := Rules{Set: []string{"seed=7"}}
	f.Fuzz(func(t *testing.T, text string) {
		args := strings.Split(text, " ")
		got, err := rules.Merge(args, true, true, func(string) (map[string]string, error) { return nil, nil })
		if err != nil {
			return
		}
		seeds := 0
		for _, a := range readArguments(got.Arguments) {
			if a.is("seed") {
				seeds++
			}
			if a.option.GUI {
				t.Errorf("%q leaves %+v", args, a)
			}
		}
		if len(args) > 1 && seeds > 1 {
			t.Errorf("%q sets the seed %d times: %q", args, seeds, got.Arguments)
		}
	})
}
