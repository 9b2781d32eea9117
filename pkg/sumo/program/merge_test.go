package program

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

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
