package run

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/confine"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/sumotest"
)

// TestEndingsOfEveryVersion has the endings whose texts or exit codes differ between versions, or may.
func TestEndingsOfEveryVersion(t *testing.T) {
	t.Parallel()
	sumotest.Each(t, func(t *testing.T, sumo release.Installation) {
		for name, tc := range map[string]struct {
			options, demand string
			outputs         []simulation.Output
			binary          string
			reason          simulation.Reason
			message         string
			warning         string
			steps           bool    // the step lines are read
			end             float64 // of the simulation
		}{
			"all vehicles have left": {demand: oneVehicle, steps: true},
			"the end comes": {
				options: `<time><end value="300"/></time>`, demand: `<vehicle id="v" depart="0"><route edges="AB BC"/></vehicle>` +
					`<vehicle id="w" depart="900"><route edges="AB"/></vehicle>`,
				steps: true, end: 300,
			},
			"the end comes, in hours and minutes": {
				options: `<time><end value="0:05:00"/></time><report><human-readable-time value="true"/></report>`,
				demand: `<vehicle id="v" depart="0"><route edges="AB BC"/></vehicle>` +
					`<vehicle id="w" depart="0:15:00"><route edges="AB"/></vehicle>`,
				steps: true, end: 300,
			},
			"the machine ends SUMO": {
				demand: longDemand, binary: `$SUMO "$@" & begun; kill $!; wait $!`,
				reason: simulation.Interrupted, steps: true,
			},
			"the machine ends SUMO while it loads": {
				options: `<processing><route-steps value="0"/></processing>`, demand: crowd(20_000),
				// SUMO loses one that comes at the start, however late that is.
				binary: `$SUMO "$@" & while sleep 0.3; kill $!; do :; done 2>/dev/null; wait $!`,
				reason: simulation.Interrupted,
			},
			"the machine ends SUMO twice": {
				demand: longDemand, binary: `$SUMO "$@" & begun; for i in 1 2 3 4 5 6 7 8; do kill $!; done 2>/dev/null; wait $!`,
				reason: simulation.Interrupted,
			},
			"a terminal hangs up":         {demand: longDemand, binary: `$SUMO "$@" & begun; kill -HUP $!; wait $!`, reason: simulation.Interrupted},
			"a person quits":              {demand: longDemand, binary: `$SUMO "$@" & begun; kill -9 $!; exit 131`, reason: simulation.Interrupted},
			"the machine limits CPU time": {demand: longDemand, binary: `$SUMO "$@" & begun; kill -XCPU $!; wait $!`, reason: simulation.DeadlineExceeded},
			"the log has no reader, which only some versions mind": {demand: longDemand, binary: `$SUMO "$@" & begun; kill -9 $!; exit 141`, reason: simulation.Interrupted},
			"SUMO reads memory not its own":                        {demand: longDemand, binary: `$SUMO "$@" & begun; kill -SEGV $!; wait $!`, reason: simulation.SimulationError, message: "crashed"},
			"a full disk under a compressed output": {
				demand: crowd(300), outputs: []simulation.Output{simulation.OutputFCD},
				binary: `ulimit -f 20; trap '' XFSZ; exec $SUMO "$@"`, reason: simulation.DiskFull,
			},
			"a file that is not read": {
				options: `<input><additional-files value="gone.xml"/></input>`, demand: oneVehicle,
				reason: simulation.InvalidScenario, message: "gone.xml",
			},
			"vehicles out of order": {
				demand:  `<vehicle id="late" depart="200"><route edges="AB"/></vehicle>` + oneVehicle,
				warning: "ignoring 'v'",
			},
			"an error that SUMO goes on after": {
				demand:  `<vType id="t" guiShape="nonsense"/>` + oneVehicle,
				warning: "The shape 'nonsense' for vType 't' is not known.",
			},
			"a misspelt word where SUMO's schema is named": {
				demand: `<vehicle id="v" dpart="0"><route edges="AB BC"/></vehicle>`,
				reason: simulation.InvalidScenario, message: "attribute 'dpart' is not declared for element 'vehicle'",
			},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				r := newRunOf(t, sumo)
				r.Options.Outputs = tc.outputs
				if tc.binary != "" {
					r.Binary = scriptOf(t, sumo, tc.binary)
					r.Confinement = confine.Off // a shell has child processes
				}
				f := road(t, tc.options, tc.demand)
				if strings.Contains(tc.demand, "dpart") {
					f.nameSchema()
				}
				var end *float64
				if tc.end > 0 {
					end = &tc.end
				}
				r.Timeout = time.Minute
				got := perform(t.Context(), r, f, scenario.Config{End: end})
				log := got.read(t, simulation.LogFile)
				if got.Reason != tc.reason || !strings.Contains(got.Message, tc.message) {
					t.Fatalf("got %q: %s\nwant %q: …%s…\n%s", got.Reason, got.Message, tc.reason, tc.message, log)
				}
				if said := strings.Join(got.Warnings, "\n"); !strings.Contains(said, tc.warning) || (tc.warning == "") != (said == "") {
					t.Errorf("warnings: %q", got.Warnings)
				}
				if tc.steps && !strings.Contains(log, "t=0 s") {
					t.Errorf("the steps were not read:\n%s", log)
				}
				if v, _ := got.Summary.Metric("end"); tc.end > 0 && v != tc.end {
					t.Errorf("it ended at %v, want %v", v, tc.end)
				}
				if _, ok := got.Summary.Metric("mean_travel_time"); tc.end > 0 && !ok {
					t.Errorf("no means: %+v", got.Summary)
				}
			})
		}
	})
}

// nameSchema makes the route file name SUMO's schema, as SUMO's own tools do.
func (f files) nameSchema() {
	f["road.rou.xml"] = strings.Replace(f["road.rou.xml"], "<routes>", `<routes xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" `+
		`xsi:noNamespaceSchemaLocation="http://sumo.dlr.de/xsd/routes_file.xsd">`, 1)
}

// crowd is so many vehicles, one by one.
func crowd(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `<vehicle id="%d" depart="%d"><route edges="AB BC"/></vehicle>`, i, i)
	}
	return b.String()
}

func TestAnAnswerToTheSecondSIGTERM(t *testing.T) {
	t.Parallel()
	r := newRun(t)
	r.Binary, r.Confinement = script(t, "exit 15"), confine.Off // a stand-in: the real one is hard to hit
	if got := perform(t.Context(), r, road(t, "", oneVehicle), scenario.Config{}); got.Reason != simulation.Interrupted {
		t.Errorf("%s: %s", got.Reason, got.Message)
	}
}

// TestRunsThatNeverEnd has a stand-in for what JuPedSim does on some networks: SUMO neither ends nor heeds SIGTERM.
func TestRunsThatNeverEnd(t *testing.T) {
	t.Parallel()
	r := newRun(t)
	r.Binary, r.Confinement = script(t, "trap '' TERM; while :; do sleep 0.1; done"), confine.Off
	r.Timeout, r.grace = 300*time.Millisecond, 200*time.Millisecond
	if got := perform(t.Context(), r, road(t, "", oneVehicle), scenario.Config{}); got.Reason != simulation.DeadlineExceeded {
		t.Errorf("%s: %s", got.Reason, got.Message)
	}
}

// catalogue is a file of translations as gettext reads them (GNU gettext manual, "The Format of GNU MO Files").
func catalogue(translations map[string]string) []byte {
	var b bytes.Buffer
	u32 := func(values ...int) {
		for _, v := range values {
			_ = binary.Write(&b, binary.LittleEndian, uint32(v))
		}
	}
	keys := slices.Sorted(maps.Keys(translations))
	const header = 28
	text := header + 16*len(keys)
	u32(0x950412de, 0, len(keys), header, header+8*len(keys), 0, 0)
	var texts bytes.Buffer
	for _, of := range []func(string) string{func(key string) string { return key }, func(key string) string { return translations[key] }} {
		for _, key := range keys {
			u32(len(of(key)), text+texts.Len())
			texts.WriteString(of(key) + "\x00")
		}
	}
	return append(b.Bytes(), texts.Bytes()...)
}

// TestACatalogueInTheScenarioDecidesNoEnd has one that makes SUMO say that an interrupted or failed run has reached its end.
func TestACatalogueInTheScenarioDecidesNoEnd(t *testing.T) {
	t.Parallel()
	mo := catalogue(map[string]string{
		"": "Content-Type: text/plain; charset=UTF-8\n", "Reason: ": "Grund: ", "Reason: %": "Grund: %",
		"Too many teleports.": "All vehicles have left the simulation.",
	})
	sumotest.Each(t, func(t *testing.T, sumo release.Installation) {
		r := newRunOf(t, sumo)
		locale, err := filepath.Rel(filepath.Join(sumo.Home, "data", "locale"), filepath.Join(r.Work, runFolder, "forged"))
		if err != nil {
			t.Fatal(err)
		}
		f := road(t, `<processing><ignore-route-errors value="true"/><time-to-teleport value="1"/><max-num-teleports value="0"/></processing>`,
			oneVehicle+`<vehicle id="lost" depart="0"><route edges="AB DE"/></vehicle>`)
		got := result{r.perform(t.Context(), func(_ context.Context, root *os.Root, _ string) (scenario.Config, error) {
			f.unpack(t, root)
			for _, name := range []string{"forged", "C", "C.UTF-8", "en"} {
				if err := root.MkdirAll(name+"/LC_MESSAGES", 0o755); err != nil {
					t.Fatal(err)
				}
				if err := root.WriteFile(name+"/LC_MESSAGES/sumo.mo", mo, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			return scenario.Config{Path: "run.sumocfg", Options: []scenario.Option{
				{Name: "net-file", Files: []string{"road.net.xml"}}, {Name: "route-files", Files: []string{"road.rou.xml"}},
				{Name: "ignore-route-errors", Value: "true"}, {Name: "time-to-teleport", Value: "1"}, {Name: "max-num-teleports", Value: "0"},
				{Name: "language", Value: locale},
			}}, nil
		}), r}
		if got.Reason != simulation.TooManyTeleports {
			t.Errorf("%s: %s\n%s", got.Reason, got.Message, got.read(t, simulation.LogFile))
		}
	})
}

// statistics are the numbers of a statistics output that do not depend on the machine.
func statistics(t *testing.T, text string) (numbers map[string]string) {
	t.Helper()
	numbers = map[string]string{}
	d := xml.NewDecoder(strings.NewReader(text))
	for {
		token, err := d.Token()
		if token == nil {
			return numbers
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local != "performance" {
			for _, a := range e.Attr {
				numbers[e.Name.Local+" "+a.Name.Local] = a.Value
			}
		}
	}
}

// TestTheNumbersArePlainSUMOs compares runs with SUMO on the same files at a desk.
func TestTheNumbersArePlainSUMOs(t *testing.T) {
	t.Parallel()
	sumotest.Each(t, func(t *testing.T, sumo release.Installation) {
		for name, options := range map[string]string{
			"as it is":               ``,
			"a seed":                 `<random_number><seed value="42"/></random_number>`,
			"threads":                `<processing><threads value="2"/></processing>`,
			"unfinished trips":       `<output><tripinfo-output value="t.xml"/><tripinfo-output.write-unfinished value="true"/></output>`,
			"validation":             `<report><xml-validation value="always"/></report>`,
			"validation on its own":  `<report><xml-validation value="auto"/></report>`,
			"clock times":            `<report><human-readable-time value="true"/></report>`,
			"affixes":                `<output><output-prefix value="x_"/><summary-output value="s.xml"/></output>`,
			"a devices' probability": `<processing><device.rerouting.probability value="0.5"/></processing>`,
			"its own statistics":     `<output><statistic-output value="own.xml"/></output>`,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				f := road(t, options, `<flow id="f" begin="0" end="300" probability="0.4"><route edges="AB BC"/></flow>`+
					`<person id="p" depart="10"><walk edges="AB"/></person>`)
				if strings.Contains(options, "validation") {
					f.nameSchema()
				}
				r := newRunOf(t, sumo)
				r.Options.End = seconds(250)
				r.Options.Outputs = simulation.Outputs()
				got := perform(t.Context(), r, f, scenario.Config{End: r.Options.End})
				if !got.Succeeded() {
					t.Fatalf("%s: %s\n%s", got.Reason, got.Message, got.read(t, simulation.LogFile))
				}
				desk := t.TempDir()
				for file, text := range f {
					write(t, filepath.Join(desk, file), text)
				}
				cmd := sumotest.Command(t, sumo, "sumo", "-c", "run.sumocfg", "--end", "250", "--duration-log.statistics", "--no-step-log",
					"--statistic-output", "desk.xml")
				cmd.Dir = desk
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
				name := "desk.xml"
				if strings.Contains(options, "prefix") {
					name = "x_" + name
				}
				plain, err := os.ReadFile(filepath.Join(desk, name))
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(statistics(t, string(plain)), statistics(t, got.read(t, got.Files[simulation.OutputStatistics]))); diff != "" {
					t.Errorf("-plain +ours:\n%s", diff)
				}
			})
		}
	})
}

func TestChecksOfEveryVersion(t *testing.T) {
	t.Parallel()
	lost := func(depart string) string {
		return `<vehicle id="lost" depart="` + depart + `"><route edges="AB DE"/></vehicle>`
	}
	disconnectedIn := func(id string) []problem.Item {
		return []problem.Item{{Message: "Error: Vehicle '" + id + "' has no valid route. No connection between edge 'AB' and edge 'DE'."}}
	}
	disconnected := disconnectedIn("lost")
	repeated := func(departs ...int) (demand string) { // of vehicles that the first of them has as its id, and the last
		for i, depart := range departs {
			demand += fmt.Sprintf(`<vehicle id="%d" depart="%d"><route edges="AB"/></vehicle>`, i%(len(departs)-1), depart)
		}
		return demand
	}
	twice := func(elements string) string { // long after they have left, and somebody else departs between
		const between = `<vehicle id="between" depart="500"><route edges="AB BC"/></vehicle>`
		return fmt.Sprintf(elements, 0) + between + fmt.Sprintf(elements, 1000)
	}
	const closed = `<additional><rerouter id="r" edges="AB"><interval begin="0" end="400">` +
		`<closingReroute id="BC" disallow="all"/><closingLaneReroute id="AB_0" disallow="all"/></interval></rerouter></additional>`
	sumotest.Each(t, func(t *testing.T, sumo release.Installation) {
		for name, tc := range map[string]struct {
			options, demand string
			change          func(files)
			begin, end      float64
			reason          simulation.Reason
			problems        []problem.Item
		}{
			"sound": {demand: longDemand},
			"an unknown edge at the end of the routes": {
				demand: oneVehicle + `<vehicle id="w" depart="90000"><route edges="AB XY"/></vehicle>`,
				reason: simulation.InvalidScenario,
				problems: []problem.Item{
					{Message: "Error: The edge 'XY' within the route for vehicle 'w' is not known. The route can not be build."},
				},
			},
			"a broken file": {
				demand: "\n<vehicle <vehicle/>", reason: simulation.InvalidScenario,
				problems: []problem.Item{{Location: "road.rou.xml:2", Message: "Error: unterminated start tag 'vehicle'"}},
			},
			"what SUMO goes on after when it loads routes as it goes": {
				demand:   `<vType id="t" guiShape="nonsense"/>` + oneVehicle,
				problems: []problem.Item{{Message: "Error: The shape 'nonsense' for vType 't' is not known."}},
			},
			"the same where it loads them at once": {
				options: `<processing><route-steps value="0"/></processing>`, demand: `<vType id="t" guiShape="nonsense"/>` + oneVehicle,
				reason:   simulation.InvalidScenario,
				problems: []problem.Item{{Message: "Error: The shape 'nonsense' for vType 't' is not known."}},
			},
			"a route that is not connected, and departs late": {
				demand: oneVehicle + lost("500"), reason: simulation.InvalidScenario, problems: disconnected,
			},
			"a route in an included file": {
				change: func(f files) { f["more.rou.xml"] = "<routes>" + lost("500") + "</routes>" },
				demand: oneVehicle + `<include href="more.rou.xml"/>`, reason: simulation.InvalidScenario, problems: disconnected,
			},
			"a route in an additional file, where order does not matter": {
				options: `<additional-files value="more.add.xml"/>`,
				change:  func(f files) { f["more.add.xml"] = "<additional>" + oneVehicle + lost("0") + "</additional>" },
				demand:  `<vehicle id="w" depart="9"><route edges="AB BC"/></vehicle>`, reason: simulation.InvalidScenario, problems: disconnected,
			},
			"a compressed file of routes": {
				change: func(f files) {
					var b bytes.Buffer
					z := gzip.NewWriter(&b)
					if _, err := io.WriteString(z, f["road.rou.xml"]); err != nil || z.Close() != nil {
						t.Error(err)
					}
					f["road.rou.xml"] = b.String()
				},
				demand: lost("500"), reason: simulation.InvalidScenario, problems: disconnected,
			},
			"behind as many vehicles as the scenario lets in": {
				options: `<max-num-vehicles value="1"/><random-depart-offset value="99"/>`,
				demand:  oneVehicle + lost("500"), reason: simulation.InvalidScenario, problems: disconnected,
			},
			"a flow by chance": {
				demand: `<flow id="lost" begin="400" end="500" probability="0.001"><route edges="AB DE"/></flow>`,
				reason: simulation.InvalidScenario, problems: disconnectedIn("lost.0"),
			},
			"a flow": {
				demand: `<flow id="lost" begin="400" end="500" period="50"><route edges="AB DE"/></flow>`,
				reason: simulation.InvalidScenario, problems: disconnectedIn("lost.0"),
			},
			"ids that are used again": {
				demand: twice(`<vehicle id="v" depart="%[1]d"><route edges="AB BC"/></vehicle>` +
					`<person id="v" depart="%[1]d"><walk edges="AB BC"/></person>`),
			},
			"an id of a route that is not connected, used again": {
				demand: oneVehicle + `<vehicle id="w" depart="500"><route edges="AB BC"/></vehicle>` +
					strings.Replace(lost("1000"), "lost", "v", 1),
				reason: simulation.InvalidScenario, problems: disconnectedIn("v"),
			},
			"an id of two vehicles that SUMO reads at once": {
				demand: oneVehicle + oneVehicle, reason: simulation.InvalidScenario,
				problems: []problem.Item{{Message: "Error: "}},
			},
			"an id that SUMO reads again when the first has departed": {demand: repeated(0, 300, 301)},
			"an id that SUMO reads again before the first departs": {
				demand: repeated(300, 500, 501), reason: simulation.InvalidScenario, problems: []problem.Item{{Message: "Error: "}},
			},
			"an id of two flows": {
				demand: `<route id="r" edges="AB BC"/>` + twice(`<flow id="f" begin="%[1]d" end="%[1]d9" number="1" route="r"/>`), reason: simulation.InvalidScenario,
				problems: []problem.Item{{Message: "Error: "}},
			},
			"a speed that no vehicle of its type has": {
				demand: `<vType id="t" speedDev="0"/><vehicle id="v" type="t" depart="5" departSpeed="100"><route edges="AB BC"/></vehicle>`,
				reason: simulation.InvalidScenario,
				problems: []problem.Item{
					{Message: "Error: Departure speed for vehicle 'v' is too high for the vehicle type 't'."},
				},
			},
			"a time that SUMO does not read": {
				demand: `<vehicle id="v" depart="5 "><route edges="AB BC"/></vehicle>`, reason: simulation.InvalidScenario,
				problems: []problem.Item{{Message: "Error: "}},
			},
			"a flow's end that SUMO does not read": {
				demand: `<flow id="f" begin="5" end="9 " period="1"><route edges="AB BC"/></flow>`, reason: simulation.InvalidScenario,
				problems: []problem.Item{{Message: "Error: "}},
			},
			"a flow without begin": {
				begin: 100, end: 500, demand: `<flow id="lost" end="300" probability="0.001"><route edges="AB DE"/></flow>`,
				reason: simulation.InvalidScenario, problems: disconnectedIn("lost.0"),
			},
			"a flow without begin that SUMO drops": {
				begin: 100, end: 500, demand: `<vehicle id="w" depart="150"><route edges="AB BC"/></vehicle>` +
					`<flow id="lost" end="300" period="50"><route edges="AB DE"/></flow>`,
				problems: []problem.Item{{Message: "Warning: "}},
			},
			"a trip to where no road leads": {
				demand: `<trip id="lost" depart="500" from="AB" to="DE"/>`, reason: simulation.InvalidScenario,
				problems: []problem.Item{
					{Message: "Warning: "}, {Message: "Warning: "}, {Message: "Error: Vehicle 'lost' has no valid route."},
				},
			},
			"a person's walk to where no road leads": {
				demand: `<person id="p" depart="500"><walk from="AB" to="DE"/></person>`, reason: simulation.InvalidScenario,
				problems: []problem.Item{
					{Message: "Warning: "}, {Message: "Error: No connection found between edge 'AB' and edge 'DE' for person 'p'."},
				},
			},
			"a vehicle that SUMO drops": {
				demand:   `<vehicle id="w" depart="9"><route edges="AB BC"/></vehicle>` + lost("0"),
				problems: []problem.Item{{Message: "Warning: "}},
			},
			"a flow that SUMO drops": {
				demand: `<vehicle id="w" depart="9"><route edges="AB BC"/></vehicle>` +
					`<flow id="lost" begin="0" end="5" number="2"><route edges="AB DE"/></flow>`,
				problems: []problem.Item{{Message: "Warning: "}},
			},
			"what SUMO drops where it loads routes at once": {
				options: `<route-steps value="0"/>`, demand: `<vehicle id="w" depart="9"><route edges="AB BC"/></vehicle>` + lost("0"),
				reason: simulation.InvalidScenario, problems: disconnected,
			},
			"a vehicle that SUMO drops, and one that it does not": {
				demand: `<vehicle id="w" depart="9"><route edges="AB BC"/></vehicle>` +
					strings.Replace(lost("0"), "lost", "dropped", 1) + lost("10"),
				reason: simulation.InvalidScenario, problems: append([]problem.Item{{Message: "Warning: "}}, disconnected...),
			},
			"a vehicle outside the interval":    {begin: 100, end: 500, demand: lost("99") + strings.Replace(lost("500"), "lost", "lost2", 1)},
			"routes that need not be connected": {options: `<ignore-route-errors value="true"/>`, demand: lost("500")},
			"a road that is closed before the vehicle departs": {
				options: `<additional-files value="close.add.xml"/>`,
				change:  func(f files) { f["close.add.xml"] = closed },
				demand:  `<vehicle id="v" depart="500"><route edges="AB BC"/></vehicle>`,
			},
			"flows of a calibrator": {
				options: `<additional-files value="c.add.xml"/>`,
				change: func(f files) {
					f["c.add.xml"] = `<additional><route id="r" edges="AB BC"/><calibrator id="c" edge="AB" pos="0" output="c.xml">` +
						`<flow begin="0" end="10" vehsPerHour="100" route="r"/><flow begin="10" end="20" vehsPerHour="100" route="r"/>` +
						`</calibrator></additional>`
				},
				demand: oneVehicle,
			},
			"a warning": {
				options: `<processing><step-length value="2"/></processing>`, demand: oneVehicle,
				problems: []problem.Item{{Message: "Warning: "}},
			},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				r := newRunOf(t, sumo)
				r.Options.Check = true
				r.Options.Outputs = simulation.Outputs()
				scene := road(t, tc.options, tc.demand)
				if tc.change != nil {
					tc.change(scene)
				}
				if tc.begin > 0 {
					r.Options.Begin, r.Options.End = seconds(tc.begin), seconds(tc.end)
				}
				got := perform(t.Context(), r, scene, scenario.Config{})
				if got.Reason != tc.reason || len(got.Warnings) > 0 {
					t.Errorf("%q: %s %q\n%s", got.Reason, got.Message, got.Warnings, got.read(t, simulation.LogFile))
				}
				for i, p := range got.Problems {
					for _, kind := range []string{"Warning: ", "Error: "} { // its words are each version's own
						if i < len(tc.problems) && tc.problems[i].Message == kind && strings.HasPrefix(p.Message, kind) {
							got.Problems[i].Message = kind
						}
					}
				}
				if diff := cmp.Diff(tc.problems, got.Problems); diff != "" {
					t.Errorf("problems (-want +got):\n%s", diff)
				}
				entries, err := os.ReadDir(r.Out)
				if err != nil || len(entries) != 2 || got.Summary != nil || len(got.Files) > 0 {
					t.Errorf("it kept %v, %v, %v, %v", entries, err, got.Summary, got.Files)
				}
			})
		}
	})
}
