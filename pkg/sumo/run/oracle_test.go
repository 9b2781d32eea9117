package run_test

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/confine"
	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/run"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/sumotest"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/xml"
	networks "github.com/sumo-k8/sumo-k8/test_networks"
)

// These tests hold our runs to plain SUMO: it starts a scenario exactly when we do, and the numbers are the same.

// answer is what comes of a scenario. Where SUMO refuses it, there are no numbers.
type answer struct {
	Runs bool
	// Numbers are all attributes of the statistics output but those of <performance>, by element and name.
	Numbers map[string]string
}

// question is a scenario, one of its configurations, and an end that replaces the configuration's; 0 leaves it.
type question struct {
	config string
	files  map[string][]byte
	end    float64
}

// plainTimeout bounds one run of plain SUMO.
const plainTimeout = 2 * time.Minute

// plain asks SUMO itself, called in the unpacked folder as a user would.
func plain(t *testing.T, sumo release.Installation, q question) (answer, string) {
	t.Helper()
	statistics := filepath.Join(t.TempDir(), "statistics.xml") // behind the configuration's output-prefix, if it has one
	_, output, err := atDesk(t, sumo, q, "--statistic-output", statistics, "--duration-log.statistics", "--no-step-log")
	if err != nil {
		return answer{}, output
	}
	written, err := filepath.Glob(filepath.Join(filepath.Dir(statistics), "*"))
	if err != nil || len(written) != 1 {
		t.Fatalf("SUMO wrote the statistics to %q, %v", written, err)
	}
	return answer{true, numbers(t, written[0])}, output
}

// atDesk runs plain SUMO in a folder with the scenario, which it returns. The error is how SUMO ended.
func atDesk(t *testing.T, sumo release.Installation, q question, options ...string) (dir, output string, err error) {
	t.Helper()
	// Outputs to ../x land in a folder of the test's too.
	dir = filepath.Join(t.TempDir(), "desk", "scenario")
	for name, data := range q.files {
		write(t, filepath.Join(dir, name), data)
	}
	// A zip loses empty folders, so we make those of outputs; on a desk they are there.
	folders := map[string]bool{dir: true}
	for name := range q.files {
		folders[filepath.Join(dir, filepath.Dir(name))] = true
	}
	for folder := range folders {
		for _, output := range []string{"out", "results", "../results"} {
			if err := os.MkdirAll(filepath.Join(folder, output), 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	args := append([]string{"-c", q.config}, options...)
	if q.end > 0 {
		args = append(args, "--end", fmt.Sprint(q.end))
	}
	ctx, cancel := context.WithTimeout(t.Context(), plainTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, sumo.Binary, args...)
	cmd.Dir, cmd.Env = dir, []string{"SUMO_HOME=" + sumo.Home, "LC_ALL=C.UTF-8"}
	said, err := cmd.CombinedOutput()
	if err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	if ctx.Err() != nil {
		t.Fatalf("plain SUMO had not ended after %s:\n%s", plainTimeout, said)
	}
	return dir, string(said), err
}

// ours asks sumo-run, which unpacks the scenario from its zip.
func ours(t *testing.T, sumo release.Installation, q question) (answer, string) {
	t.Helper()
	outcome, out := carriedOut(t, sumo, q, simulation.Options{})
	said := fmt.Sprintf("%s: %s\nwarnings: %s", outcome.Reason, outcome.Message, strings.Join(outcome.Warnings, "\n"))
	switch outcome.Reason {
	case "":
		return answer{true, numbers(t, filepath.Join(out, outcome.Files[simulation.OutputStatistics]))}, said
	case simulation.InvalidScenario, simulation.SimulationError:
		return answer{}, said
	}
	t.Fatal(said)
	return answer{}, ""
}

// carriedOut is the outcome of a run of ours, and its output folder.
func carriedOut(t *testing.T, sumo release.Installation, q question, options simulation.Options) (simulation.Outcome, string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "oracle") // t.TempDir has the test's name, and SUMO takes no comma in a path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	archive := filepath.Join(dir, "scenario.zip")
	write(t, archive, zipped(t, q.files))
	options.ConfigFile = q.config
	r := run.Run{
		Binary: sumo.Binary, Home: sumo.Home, Scenario: archive, Work: filepath.Join(dir, "work"), Out: filepath.Join(dir, "out"),
		Limits: scenario.DefaultLimits(), Confinement: confine.Require, Options: options,
	}
	r.Limits.SUMOVersion = sumo.Version
	if q.end > 0 {
		r.Options.End = &q.end
	}
	return r.Do(t.Context()), r.Out
}

// numbers reads a statistics output.
func numbers(t *testing.T, name string) map[string]string {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	found := map[string]string{}
	err = xml.Scan(f, func(e xml.Element) error {
		for _, a := range e.Attrs {
			if e.Depth == 2 && string(e.Name) != "performance" {
				found[string(e.Name)+" "+string(a.Name)] = string(a.Value)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatalf("reading the statistics: %v", err)
	}
	return found
}

// agree fails the test where SUMO and we answer differently, and returns what SUMO says.
func agree(t *testing.T, sumo release.Installation, q question) answer {
	t.Helper()
	want, said := plain(t, sumo, q)
	got, weSaid := ours(t, sumo, q)
	if diff := cmp.Diff(want, got); diff != "" {
		keep(t, q)
		t.Errorf("SUMO %s and we differ on %s (-SUMO +we):\n%s\nSUMO says:\n%s\nwe say:\n%s",
			sumo.Version, q.config, diff, clip(said), clip(weSaid))
	}
	checked, _ := carriedOut(t, sumo, q, simulation.Options{Check: true})
	// A check reads all vehicles at once, also two of the same id, and no more of a file that is cut off than plain SUMO in its first steps.
	excepted := strings.Contains(checked.Message, "already exists") || strings.Contains(said, "input ended before")
	if (checked.Succeeded() != want.Runs || want.Runs && len(checked.Warnings) > 0) && !excepted {
		keep(t, q)
		t.Errorf("a check of %s by SUMO %s says: %s: %s %q\nSUMO says:\n%s",
			q.config, sumo.Version, checked.Reason, clip(checked.Message), checked.Warnings, clip(said))
	}
	return want
}

// clip shortens what a program printed.
func clip(text string) string {
	const most = 3000
	return text[:min(len(text), most)]
}

// keep leaves the scenario of a failure where ORACLE_KEEP names a folder.
func keep(t *testing.T, q question) {
	t.Helper()
	if dir := os.Getenv("ORACLE_KEEP"); dir != "" {
		write(t, filepath.Join(dir, strings.ReplaceAll(t.Name(), "/", "_")+".zip"), zipped(t, q.files))
	}
}

func write(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// zipped is a zip of files, without compression, which for the larger ones would take longer than a run.
func zipped(t *testing.T, files map[string][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(files[name]); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func unzipped(t *testing.T, data []byte) map[string][]byte {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	return filesOf(t, z)
}

func filesOf(t *testing.T, folder fs.FS) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	err := fs.WalkDir(folder, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		files[name], err = fs.ReadFile(folder, name)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func configsIn(files map[string][]byte) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(files)), func(name string) bool { return !strings.HasSuffix(name, ".sumocfg") })
}

// TestOutputsThatNameFilesAreThoseOfPlainSUMO has vehicles that name outputs of their own. SUMO repeats these names, with the folder of
// the file that gives them, in the outputs of others.
func TestOutputsThatNameFilesAreThoseOfPlainSUMO(t *testing.T) {
	t.Parallel()
	const demand = `<routes><vType id="s"><param key="has.ssm.device" value="true"/><param key="device.ssm.file" value="own.xml"/></vType>` +
		`<vehicle id="v" type="s" depart="0"><route edges="AB BC"/><param key="device.ssm.file" value="out/v.xml"/></vehicle></routes>`
	// Without tripinfo of its own a run of ours would add it, and states hold that device.
	const settings = `<vehroute-output value="vehicles.xml"/><tripinfo-output value="trips.xml"/>` +
		`<save-state.times value="3"/><save-state.files value="state.xml"/><device.ssm.measures value="TTC"/><seed value="1"/><end value="5"/>`
	net, err := os.ReadFile("testdata/road.net.xml")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ config, net, routes string }{
		{"s.sumocfg", "n.net.xml", "r.rou.xml"},
		{"s.sumocfg", "n.net.xml", "demand/r.rou.xml"},
		{"a city/s.sumocfg", "n.net.xml", "r.rou.xml"},
		{"configs/s.sumocfg", "../n.net.xml", "../demand/r.rou.xml"},
	} {
		t.Run(test.config+" "+test.routes, func(t *testing.T) {
			t.Parallel()
			sumotest.Each(t, func(t *testing.T, sumo release.Installation) {
				dir := filepath.Dir(test.config)
				q := question{config: test.config, files: map[string][]byte{
					filepath.Join(dir, test.net): net, filepath.Join(dir, test.routes): []byte(demand),
					test.config: []byte(`<configuration><net-file value="` + test.net + `"/><route-files value="` + test.routes + `"/>` +
						settings + `</configuration>`),
				}}
				desk, said, err := atDesk(t, sumo, q)
				if err != nil {
					t.Fatalf("%v: %s", err, said)
				}
				outcome, out := carriedOut(t, sumo, q, simulation.Options{})
				if !outcome.Succeeded() {
					t.Fatalf("%s: %s", outcome.Reason, outcome.Message)
				}
				for _, name := range []string{"vehicles.xml", "state.xml"} {
					want, got := withoutComments(t, filepath.Join(desk, dir, name)), withoutComments(t, filepath.Join(out, dir, name))
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("%s (-SUMO +we):\n%s", name, diff)
					}
				}
			})
		})
	}
}

// TestInputsWithColonsAreFiles has times of day in the names of all kinds of inputs. SUMO takes a name with a colon for a network address
// only where it writes. Where it reads, it looks for the file in the folder in which it was started, that of the configuration.
func TestInputsWithColonsAreFiles(t *testing.T) {
	t.Parallel()
	net, err := os.ReadFile("testdata/road.net.xml")
	if err != nil {
		t.Fatal(err)
	}
	q := question{config: "08:00.sumocfg", files: map[string][]byte{
		"net 08:00.net.xml": net,
		"demand/8:00.rou.xml": []byte(`<routes><include href="types 08:00.xml"/><vehicle id="v" type="t" depart="0">` +
			`<route edges="AB BC"/></vehicle></routes>`),
		"types 08:00.xml":     []byte(`<routes><vType id="t" maxSpeed="7"/></routes>`),
		"more/localhost:8080": []byte(`<additional><variableSpeedSign id="s" lanes="AB_0" file="day:1/8:00.xml"/></additional>`),
		"more/add.xml":        []byte(`<additional><edgeData id="e" edgesFile="edges:00.txt" file="e.xml"/></additional>`),
		"day:1/8:00.xml":      []byte(`<vss><step time="0" speed="3"/></vss>`),
		"edges:00.txt":        []byte("AB\n"),
		"http:weight.xml":     []byte(`<meandata><interval begin="0" end="9"><edge id="AB" traveltime="3"/></interval></meandata>`),
		"08:00.sumocfg": []byte(`<configuration><net-file value="net 08:00.net.xml"/><route-files value="demand/8:00.rou.xml"/>` +
			`<additional-files value="more/localhost:8080,more/add.xml"/><weight-files value="http:weight.xml"/><end value="60"/></configuration>`),
	}}
	below := question{config: "a city/" + q.config, files: map[string][]byte{}}
	for name, data := range q.files {
		below.files["a city/"+name] = data
	}
	sumotest.Each(t, func(t *testing.T, sumo release.Installation) {
		want := agree(t, sumo, q)
		if !want.Runs {
			t.Error("SUMO does not run it")
		}
		got, said := ours(t, sumo, below)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("in a folder (-SUMO +we):\n%s\nwe say:\n%s", diff, said)
		}
	})
}

// TestRouteFilesAreReadAsFarAsSUMOReadsThem has faults behind the departures up to which runs go on.
func TestRouteFilesAreReadAsFarAsSUMOReadsThem(t *testing.T) {
	t.Parallel()
	net, err := os.ReadFile("testdata/road.net.xml")
	if err != nil {
		t.Fatal(err)
	}
	const begin = `<routes><route id="r" edges="AB BC"/>`
	vehicle := func(depart int) string {
		return fmt.Sprintf("<vehicle id=\"%d\" depart=\"%d\" route=\"r\"/>\n", depart, depart)
	}
	dense := begin
	for depart := range 500 {
		dense += vehicle(depart)
	}
	packed := func(text string) string {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = z.Write([]byte(text)) // a bytes.Buffer takes all
		_ = z.Close()
		return b.String()
	}
	const walk = `<walk edges="AB" arrivalPos="9"/>`
	for name, test := range map[string]struct {
		demand string
		runs   []float64 // ends
		fails  []float64
	}{
		"many vehicles":   {dense + "</x>", []float64{250}, []float64{500}},
		"a single one":    {begin + vehicle(9) + "</x>", []float64{8, 9}, []float64{10}},
		"few of them":     {begin + vehicle(0) + vehicle(100) + "</x>", []float64{99, 100}, []float64{101}},
		"at the begin":    {begin + vehicle(0) + "</x>", nil, []float64{9}},
		"within the next": {begin + vehicle(0) + vehicle(100) + `<vehicle id="x" depart="200"><x</vehicle>`, []float64{100}, []float64{101}},
		"a flow":          {begin + vehicle(0) + `<flow id="f" begin="100" end="200" number="3" route="r"/></x>`, []float64{100}, []float64{101}},
		"one without vehicles": {
			begin + vehicle(50) + `<flow id="f" begin="100" end="200" number="0" route="r"/></x>`, []float64{50}, []float64{51},
		},
		"one of public transport": {
			begin + vehicle(50) + `<flow id="f" begin="100" end="200" number="3" route="r" line="l"/></x>`, []float64{50}, []float64{51},
		},
		"a person": {begin + vehicle(0) + `<person id="p" depart="100">` + walk + `</person></x>`, []float64{100}, []float64{101}},
		"persons": {
			begin + vehicle(0) + `<personFlow id="p" begin="100" end="200" number="2">` + walk + `</personFlow></x>`, []float64{100}, []float64{101},
		},
		"an include that is missing":  {begin + vehicle(0) + `<include href="gone.xml"/>` + vehicle(5) + "</routes>", []float64{4, 20}, nil},
		"gzip without its trailer":    {packed(dense + "</routes>")[:len(packed(dense+"</routes>"))-6], []float64{250, 900}, nil},
		"gzip that is cut off before": {packed(dense)[:len(packed(dense))*9/10], []float64{20}, []float64{500}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sumotest.Each(t, func(t *testing.T, sumo release.Installation) {
				for end, runs := range ends(test.runs, test.fails) {
					q := question{config: "s.sumocfg", end: end, files: map[string][]byte{
						"n.net.xml": net, "r.rou.xml": []byte(test.demand),
						"s.sumocfg": []byte(`<configuration><net-file value="n.net.xml"/><route-files value="r.rou.xml"/></configuration>`),
					}}
					want, said := plain(t, sumo, q) // a check reads no file of this kind to its end
					if want.Runs != runs {
						t.Errorf("until %g SUMO says: %s", end, said)
					}
					got, said := ours(t, sumo, q)
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("until %g (-SUMO +we):\n%s\nwe say:\n%s", end, diff, said)
					}
					if refused := refusal(t, sumo, q); runs == (refused != nil) {
						t.Errorf("until %g a job is refused: %v", end, refused)
					}
				}
			})
		})
	}
}

// TestFaultsThatSUMOReadsLaterAreTheScenarios has vehicles that SUMO refuses after its first steps.
func TestFaultsThatSUMOReadsLaterAreTheScenarios(t *testing.T) {
	t.Parallel()
	net, err := os.ReadFile("testdata/road.net.xml")
	if err != nil {
		t.Fatal(err)
	}
	for name, demand := range map[string]string{
		"two vehicles of one id":       `<vehicle id="a" depart="50" route="r"/>`,
		"two types of one id":          `<vType id="t"/><vType id="t"/>`,
		"two routes of one id":         `<route id="r" edges="AB"/>`,
		"two flows of one id":          strings.Repeat(`<flow id="f" begin="50" end="60" number="2" route="r"/>`, 2),
		"a negative departure":         `<vehicle id="z" depart="-3" route="r"/>`,
		"a flow that ends at once":     `<flow id="z" begin="50" end="45" number="3" route="r"/>`,
		"a flow of how many":           `<flow id="z" begin="50" end="55" route="r"/>`,
		"a negative number":            `<flow id="z" begin="50" end="55" number="-2" route="r"/>`,
		"a departure that is too fast": `<vehicle id="z" depart="50" route="r" departSpeed="999"/>`,
		"a stop elsewhere":             `<vehicle id="z" depart="50"><route edges="AB"/><stop lane="BC_0" duration="3"/></vehicle>`,
		"no route":                     `<vehicle id="z" depart="50"/>`,
		"a route without edges":        `<route id="q" edges=""/>`,
		"a trip from nowhere":          `<trip id="z" depart="50"/>`,
		"a trip from an unknown zone":  `<trip id="z" depart="50" fromTaz="q" toTaz="q"/>`,
		"a person without a plan":      `<person id="p" depart="50"/>`,
		"an interval that is no time":  `<interval begin="x" end="3"><flow id="q" number="1" route="r"/></interval>`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sumotest.Each(t, func(t *testing.T, sumo release.Installation) {
				q := question{config: "s.sumocfg", end: 100, files: map[string][]byte{
					"n.net.xml": net,
					"r.rou.xml": []byte(`<routes><route id="r" edges="AB BC"/><vehicle id="a" depart="1" route="r"/>` +
						`<vehicle id="b" depart="40" route="r"/>` + demand + `<vehicle id="y" depart="70" route="r"/></routes>`),
					"s.sumocfg": []byte(`<configuration><net-file value="n.net.xml"/><route-files value="r.rou.xml"/></configuration>`),
				}}
				if want, said := plain(t, sumo, q); want.Runs {
					t.Errorf("SUMO runs it: %s", said)
				}
				if outcome, _ := carriedOut(t, sumo, q, simulation.Options{}); outcome.Reason != simulation.InvalidScenario {
					t.Errorf("%s: %s", outcome.Reason, outcome.Message)
				}
			})
		})
	}
}

// ends is whether SUMO runs, by the end.
func ends(runs, fails []float64) map[float64]bool {
	all := map[float64]bool{}
	for _, end := range runs {
		all[end] = true
	}
	for _, end := range fails {
		all[end] = false
	}
	return all
}

// refusal is why an upload, or a job of it, is refused; nil if neither is.
func refusal(t *testing.T, sumo release.Installation, q question) error {
	t.Helper()
	limits := scenario.DefaultLimits()
	limits.SUMOVersion = sumo.Version
	data := zipped(t, q.files)
	m, err := scenario.Inspect(t.Context(), scenario.Zip(bytes.NewReader(data), int64(len(data))), limits)
	if err != nil {
		return err
	}
	c, err := m.ChooseConfig(q.config)
	if err != nil {
		return err
	}
	return c.Refuse(c.Interval(nil, &q.end))
}

// withoutComments is an output without the comments that SUMO begins it with.
func withoutComments(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return regexp.MustCompile(`(?s)<!--.*?-->`).ReplaceAllString(string(data), "")
}

func TestReadyNetworksHaveSUMOsOwnNumbers(t *testing.T) {
	t.Parallel()
	sumotest.Each(t, func(t *testing.T, sumo release.Installation) {
		for _, name := range networks.Ready() {
			data, err := networks.ReadyZip(name)
			if err != nil {
				t.Fatal(err)
			}
			files := unzipped(t, data)
			for _, config := range configsIn(files) {
				t.Run(config, func(t *testing.T) {
					t.Parallel()
					q := question{config: config, files: files}
					if name == "grid" && !sumotest.All() {
						q.end = 600 // its run takes as long as those of all others together
					}
					if want := agree(t, sumo, q); !want.Runs {
						t.Error("SUMO does not run it")
					}
				})
			}
		}
	})
}

// gameEnd is long enough for congestion and short enough for a test, in seconds.
const gameEnd = 900

// TestSUMOsOwnScenarios runs the scenarios of SUMO's game, which every wheel brings, from one zip of the folder, as a person would
// make it. They have taxis, trains, pedestrians, seeds and outputs of their own, and some need an older SUMO. All of them take minutes
// under the race detector: on each change a few run that have little in common.
func TestSUMOsOwnScenarios(t *testing.T) {
	t.Parallel()
	files := filesOf(t, os.DirFS(filepath.Join(sumotest.Newest(t).Home, "tools", "game")))
	versions := sumotest.Versions()
	if len(versions) > 2 {
		versions = []string{"1.20", "1.24", release.Newest().Version}
	} else {
		versions = versions[len(versions)-1:]
	}
	configs := configsIn(files)
	if len(configs) != 19 {
		t.Errorf("%d configurations, where there were 19", len(configs))
	}
	if len(versions) == 1 {
		configs = []string{"DRT2.sumocfg", "hiking/hiking.sumocfg", "racing/racing.sumocfg", "rail/test.sumocfg"}
	}
	for _, version := range versions {
		sumo := sumotest.Version(t, version)
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			for _, config := range configs {
				t.Run(config, func(t *testing.T) {
					t.Parallel()
					agree(t, sumo, question{config: config, files: files, end: gameEnd})
				})
			}
		})
	}
}
