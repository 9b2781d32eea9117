package run_test

import (
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/sumotest"
	networks "github.com/sumo-k8/sumo-k8/test_networks"
)

func compressed(t *testing.T, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// corridor is the network of that name, with its routes and network compressed, and an output outside in the file of the detectors.
func corridor(t *testing.T, change func(name, text string) string) map[string][]byte {
	t.Helper()
	data, err := networks.ReadyZip("corridor")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for name, data := range unzipped(t, data) {
		text := string(data)
		text = strings.ReplaceAll(text, ".net.xml", ".net.xml.gz")
		text = strings.ReplaceAll(text, ".rou.xml", ".rou.xml.gz")
		text = strings.ReplaceAll(text, `file="queues.xml"`, `file="../../queues.xml"`)
		data = []byte(change(name, text))
		if strings.HasSuffix(name, ".net.xml") || strings.HasSuffix(name, ".rou.xml") {
			name, data = name+".gz", compressed(t, data)
		}
		files[name] = data
	}
	return files
}

func attributes(t *testing.T, values ...string) (list []simulation.Attribute) {
	t.Helper()
	for i := 0; i < len(values); i += 2 {
		a, err := simulation.ParseAttribute(values[i])
		if err != nil {
			t.Fatal(err)
		}
		a.Value = values[i+1]
		list = append(list, a)
	}
	return list
}

// corridorEnd is when each value has made a difference in the corridor, in seconds.
const corridorEnd = 1200

// TestValuesOfAStudyGiveTheNumbersOfARewrittenScenario holds a run that sets values to plain SUMO on files that are changed by hand.
func TestValuesOfAStudyGiveTheNumbersOfARewrittenScenario(t *testing.T) {
	t.Parallel()
	option := func(text string) func(name, text string) string {
		return func(name, of string) string {
			if name == "corridor.sumocfg" {
				return strings.Replace(of, `<time-to-teleport value="300"/>`, text, 1)
			}
			return of
		}
	}
	replaced := func(pairs ...string) func(name, text string) string {
		return func(_, text string) string { return strings.NewReplacer(pairs...).Replace(text) }
	}
	tests := map[string]struct {
		options simulation.Options
		by      func(name, text string) string
	}{
		"an attribute that is there": {
			simulation.Options{Attributes: attributes(t, "additional/vtypes.add.xml#vType[@id='car']/@speedFactor", "normc(0.7,0.05,0.6,0.8)")},
			replaced("normc(1.00,0.10,0.80,1.20)", "normc(0.7,0.05,0.6,0.8)"),
		},
		"one that is not": {
			simulation.Options{Attributes: attributes(t, "additional/vtypes.add.xml#vType[@id='car']/@sigma", "0.9")},
			replaced(`<vType id="car"`, `<vType id="car" sigma="0.9"`),
		},
		"all elements of a name, in compressed files": {
			simulation.Options{Attributes: attributes(t, "demand/corridor.rou.xml.gz#vehicle/@departLane", "first",
				"network/corridor.net.xml.gz#phase[@duration='42']/@duration", "20")},
			replaced(`departLane="best"`, `departLane="first"`, `duration="42"`, `duration="20"`),
		},
		"beside an output that moves": {
			simulation.Options{Attributes: attributes(t, "additional/detectors.add.xml#laneAreaDetector/@period", "60")},
			replaced(`period="300"`, `period="60"`),
		},
		"an option that the configuration sets": {
			simulation.Options{SUMOOptions: map[string]string{"time-to-teleport": "20"}}, option(`<time-to-teleport value="20"/>`),
		},
		"others": {
			simulation.Options{SUMOOptions: map[string]string{"default.carfollowmodel": "IDM", "time-to-impatience": "0:01:00"}},
			option(`<time-to-teleport value="300"/><default.carfollowmodel value="IDM"/><time-to-impatience value="60"/>`),
		},
	}
	asItIs := func(_, text string) string { return text }
	for _, sumo := range []release.Installation{sumotest.Newest(t), sumotest.Oldest(t)} {
		unchanged, said := plain(t, sumo, question{"corridor.sumocfg", corridor(t, asItIs), corridorEnd})
		if !unchanged.Runs {
			t.Fatal(said)
		}
		for name, test := range tests {
			t.Run(sumo.Version+" "+name, func(t *testing.T) {
				t.Parallel()
				want, said := plain(t, sumo, question{"corridor.sumocfg", corridor(t, test.by), corridorEnd})
				if !want.Runs || cmp.Equal(unchanged, want) && !strings.Contains(name, "moves") {
					t.Fatalf("plain SUMO has the same numbers, or none: %s", said)
				}
				outcome, out := carriedOut(t, sumo, question{"corridor.sumocfg", corridor(t, asItIs), corridorEnd}, test.options)
				if !outcome.Succeeded() {
					t.Fatal(outcome)
				}
				got := answer{true, numbers(t, out+"/"+outcome.Files[simulation.OutputStatistics])}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("SUMO %s (-SUMO +we):\n%s", sumo.Version, diff)
				}
				if strings.Contains(name, "moves") {
					queues, err := os.ReadFile(filepath.Join(out, "queues.xml"))
					if n := strings.Count(string(queues), "<interval"); err != nil || n != corridorEnd/60 {
						t.Errorf("the output has %d intervals, %v", n, err)
					}
				}
				options := test.options
				options.Check = true
				checked, _ := carriedOut(t, sumo, question{"corridor.sumocfg", corridor(t, asItIs), corridorEnd}, options)
				if !checked.Succeeded() || len(checked.Warnings) > 0 {
					t.Errorf("a check says: %s: %s %q", checked.Reason, checked.Message, checked.Warnings)
				}
			})
		}
	}
}

func TestValuesThatCannotBeSetFailARun(t *testing.T) {
	t.Parallel()
	files := corridor(t, func(_, text string) string { return text })
	for name, test := range map[string]struct {
		options simulation.Options
		want    string
	}{
		"no element": {simulation.Options{Attributes: attributes(t, "additional/vtypes.add.xml#vType[@id='bus']/@sigma", "0.9")},
			"no element matches"},
		"an attribute that SUMO does not know": {simulation.Options{
			Attributes: attributes(t, "additional/vtypes.add.xml#vType[@id='car']/@sgima", "0.9")}, "no element matches"},
		"a name of a file": {simulation.Options{
			Attributes: attributes(t, "additional/detectors.add.xml#laneAreaDetector/@file", "../../x")}, "names a file"},
		"no file": {
			simulation.Options{Attributes: attributes(t, "additional/other.add.xml#vType/@sigma", "0.9")}, "reads no file",
		},
		"an option that names a file": {simulation.Options{SUMOOptions: map[string]string{"tripinfo-output": "x.xml"}}, "names files"},
		"an option that is a field":   {simulation.Options{SUMOOptions: map[string]string{"end": "5"}}, "set end instead"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			outcome, _ := carriedOut(t, sumotest.Newest(t), question{config: "corridor.sumocfg", files: files}, test.options)
			if outcome.Reason != simulation.InvalidScenario || !strings.Contains(outcome.Message, test.want) {
				t.Errorf("%s: %s", outcome.Reason, outcome.Message)
			}
		})
	}
}

// TestACheckExaminesTheValuesOfAStudy has a demand that plain SUMO refuses at departure only with the value that is set.
func TestACheckExaminesTheValuesOfAStudy(t *testing.T) {
	t.Parallel()
	files := corridor(t, func(_, text string) string { return text })
	const file = "demand/corridor.rou.xml.gz#vehicle[@id='westbound.1']/"
	for value, want := range map[string]bool{"50": true, "5000": false} { // the interval ends before
		options := simulation.Options{Check: true, Attributes: attributes(t, file+"@depart", value, file+"@departLane", "7")}
		outcome, _ := carriedOut(t, sumotest.Newest(t), question{config: "corridor.sumocfg", files: files}, options)
		if found := strings.Contains(outcome.Message, "westbound.1"); found != want {
			t.Errorf("%s: %s: %s", value, outcome.Reason, outcome.Message)
		}
	}
}
