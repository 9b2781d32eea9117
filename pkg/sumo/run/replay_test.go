package run

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/confine"
	"github.com/sumo-k8/sumo-k8/pkg/replay"
	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/sumotest"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/xml"
	networks "github.com/sumo-k8/sumo-k8/test_networks"
)

// recorded is a recording as it is read back.
type recorded struct {
	replay.Index
	headers []replay.Header
	frames  map[int64]map[string]seenAt
	states  map[int64]map[string]string // of signals, at the times of frames
}

type seenAt struct {
	Type, Lane         string
	X, Y, Angle, Speed float64
}

// readRecording reads the finished recording of a run.
func readRecording(t *testing.T, folder string) recorded {
	t.Helper()
	got := recorded{frames: map[int64]map[string]seenAt{}, states: map[int64]map[string]string{}}
	text, err := os.ReadFile(filepath.Join(folder, simulation.ReplayFile))
	if err == nil {
		err = json.Unmarshal(text, &got.Index)
	}
	if err != nil {
		t.Fatal(err)
	}
	segments, err := os.ReadFile(filepath.Join(folder, simulation.ReplaySegmentsFile))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range got.Segments {
		got.add(t, segments[:s.Bytes])
		segments = segments[s.Bytes:]
	}
	if len(segments) > 0 {
		t.Errorf("%d bytes belong to no segment", len(segments))
	}
	if _, err := os.Stat(filepath.Join(folder, simulation.ReplayFolder)); err == nil {
		t.Error("the folder of segments is left")
	}
	return got
}

func (got *recorded) add(t *testing.T, segment []byte) {
	t.Helper()
	r, err := replay.Open(segment)
	if err != nil {
		t.Fatal(err)
	}
	got.headers = append(got.headers, r.Header)
	signals, changes := slices.Clone(r.Header.Signals.States), r.Header.Signals.Changes
	for {
		ms, positions, err := r.Next(nil)
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		at := map[string]seenAt{}
		for _, p := range positions {
			s := seenAt{
				Type: r.Header.Vehicles[p.Vehicle].Type, X: float64(p.X) / replay.PerMetre, Y: float64(p.Y) / replay.PerMetre,
				Angle: float64(p.Angle), Speed: float64(p.Speed) / replay.PerSpeed,
			}
			if p.Lane >= 0 {
				s.Lane = r.Header.Lanes[p.Lane]
			}
			at[r.Header.Vehicles[p.Vehicle].ID] = s
		}
		got.frames[ms] = at
		for len(changes) > 0 && changes[0].Time <= ms {
			signals[changes[0].Signal] = changes[0].State
			changes = changes[1:]
		}
		got.states[ms] = map[string]string{}
		for i, id := range r.Header.Signals.IDs {
			got.states[ms][id] = signals[i]
		}
	}
}

// readFCD reads SUMO's own output.
func readFCD(t *testing.T, name string) map[int64]map[string]seenAt {
	t.Helper()
	in, f, err := openOutput(filepath.Dir(name), filepath.Base(name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	frames := map[int64]map[string]seenAt{}
	var at map[string]seenAt
	s := xml.Scanner{Lenient: true, Element: func(e xml.Element) error {
		number := func(name string) float64 { v, _ := e.Number(name); return v }
		switch string(e.Name) {
		case "timestep":
			at = map[string]seenAt{}
			frames[int64(math.Round(number("time")*1000))] = at
		case "vehicle", "person":
			lane := e.Attr("lane")
			if string(e.Name) == "person" {
				lane = e.Attr("edge")
			}
			at[string(e.Attr("id"))] = seenAt{string(e.Attr("type")), string(lane), number("x"), number("y"), number("angle"), number("speed")}
		}
		return nil
	}}
	if err := s.Scan(in); err != nil {
		t.Fatal(err)
	}
	return frames
}

// varying is what SUMO writes of a run besides its results: its configuration, the time that it took, and the name of the device by which
// a vehicle is recorded.
var varying = regexp.MustCompile(`(?s)<!--.*?-->|<performance[^>]*>| fcd_[^ "]*`)

func (r result) results(t *testing.T, o simulation.Output) string {
	t.Helper()
	return varying.ReplaceAllString(r.read(t, r.Files[o]), "")
}

func TestARecordingIsWhatSUMOWrites(t *testing.T) {
	t.Parallel()
	type variant struct {
		network string
		options simulation.Options
		period  int64 // ms
	}
	variants := map[string]variant{
		"sublane model and steps of 0.1 s": {"corridor", simulation.Options{
			StepLength: seconds(0.1), End: seconds(120), SUMOOptions: map[string]string{"lateral-resolution": "0.8"},
			Replay: &simulation.Replay{Period: 0.1},
		}, 100},
	}
	for _, name := range networks.Ready() {
		v := variant{name, simulation.Options{Replay: &simulation.Replay{}}, 1000}
		if !sumotest.All() { // whole runs take minutes
			v.options.End = shortly(name, 180)
		}
		variants[name] = v
	}
	sumotest.Each(t, func(t *testing.T, sumo release.Installation) {
		for name, v := range variants {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				zip := readyFile(t, v.network)
				carryOut := func(change func(o *simulation.Options)) result {
					r := newRunOf(t, sumo)
					r.Scenario, r.Options = zip, v.options
					r.Options.ConfigFile = firstConfig(t, zip)
					change(&r.Options)
					got := result{r.Do(t.Context()), r}
					if !got.Succeeded() {
						t.Fatalf("%s: %s", got.Reason, got.Message)
					}
					return got
				}
				plain := carryOut(func(o *simulation.Options) { o.Replay = nil })
				own := carryOut(func(o *simulation.Options) { o.Replay, o.Outputs = nil, []simulation.Output{simulation.OutputFCD} })
				with := carryOut(func(*simulation.Options) {})
				for _, o := range []simulation.Output{simulation.OutputTripinfo, simulation.OutputStatistics} {
					if diff := cmp.Diff(plain.results(t, o), with.results(t, o)); diff != "" {
						t.Fatalf("%s of the recorded run: %.2000s", o, diff)
					}
				}
				if len(with.Warnings) != len(plain.Warnings) {
					t.Errorf("warnings: %q", with.Warnings)
				}
				got := readRecording(t, with.run.Out)
				if len(got.Missing) > 0 || !got.Complete || got.Source != replay.FromRun ||
					(len(got.Signals) > 0) != slices.Contains([]string{"corridor", "cross", "grid", "multi_config", "pedestrian_bus"}, v.network) {
					t.Errorf("complete: %t, from %s, signals %q, missing %q", got.Complete, got.Source, got.Signals, got.Missing)
				}
				holdAgainst(t, got, readFCD(t, filepath.Join(own.run.Out, own.Files[simulation.OutputFCD])), v.period)
			})
		}
	})
}

// holdAgainst compares 10,000 random positions of a recording with those of SUMO's own output, and which vehicles there are at any time.
func holdAgainst(t *testing.T, got recorded, want map[int64]map[string]seenAt, period int64) {
	t.Helper()
	type sample struct {
		ms int64
		id string
	}
	var all []sample
	for ms, at := range want {
		if ms%period != 0 {
			continue
		}
		if len(got.frames[ms]) != len(at) {
			t.Errorf("at %d ms there are %d, want %d", ms, len(got.frames[ms]), len(at))
		}
		for id := range at {
			all = append(all, sample{ms, id})
		}
	}
	if len(all) == 0 {
		t.Fatal("there is nothing to compare")
	}
	random := rand.New(rand.NewPCG(7, uint64(len(all))))
	for range 10_000 {
		s := all[random.IntN(len(all))]
		w := want[s.ms][s.id]
		g, ok := got.frames[s.ms][s.id]
		const half = 0.05 + 1e-6
		if !ok || math.Abs(g.X-w.X) > half || math.Abs(g.Y-w.Y) > half || math.Abs(g.Speed-w.Speed) > half ||
			math.Abs(math.Remainder(g.Angle-w.Angle, 360)) > 0.5+1e-6 || w.Type != "" && g.Type != w.Type || g.Lane != w.Lane {
			t.Fatalf("at %d ms %s is %+v, want %+v", s.ms, s.id, g, w)
		}
	}
}

func readyFile(t *testing.T, name string) string {
	t.Helper()
	data, err := networks.ReadyZip(name)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "scenario.zip")
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// shortly is an end so many seconds after the first configuration of a ready network begins.
func shortly(network string, after float64) *float64 {
	if network == "multi_config" { // of which the evening is the first
		after += 61_200
	}
	return &after
}

// firstConfig is the configuration that is run where there are several.
func firstConfig(t *testing.T, zip string) string {
	t.Helper()
	f, size, err := openZip(zip)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m, err := scenario.Inspect(t.Context(), scenario.Zip(f, size), scenario.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	return m.Configs[0].Path
}

// recordRoad runs a small scenario with a recording.
func recordRoad(t *testing.T, options, demand string, asked simulation.Replay, change func(r *Run)) (result, recorded) {
	t.Helper()
	r := newRun(t)
	r.Options.Replay = &asked
	if change != nil {
		change(&r)
	}
	r.Scenario = zipped(t, road(t, options, demand))
	got := result{r.Do(t.Context()), r}
	if !got.Succeeded() {
		t.Fatalf("%s: %s", got.Reason, got.Message)
	}
	return got, readRecording(t, r.Out)
}

func TestWhatIsRecordedCanBeChosen(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		options string
		asked   simulation.Replay
		times   [3]int64 // first, period, last, ms
		lanes   []string // that may be seen; nil for any
	}{
		"all":                   {asked: simulation.Replay{}, times: [3]int64{0, 1000, 599_000}},
		"every 5 s":             {asked: simulation.Replay{Period: 5}, times: [3]int64{0, 5000, 595_000}},
		"part of a step":        {asked: simulation.Replay{Period: 0.2}, times: [3]int64{0, 1000, 599_000}},
		"a step of 0.3 s":       {options: `<time><step-length value="0.3"/></time>`, times: [3]int64{0, 900, 599_400}},
		"a begin between steps": {options: `<time><begin value="0.5"/></time>`, times: [3]int64{500, 1000, 599_500}},
		"from and to": {
			asked: simulation.Replay{From: seconds(99.5), To: seconds(200)}, times: [3]int64{100_000, 1000, 200_000},
		},
		"an edge":                  {asked: simulation.Replay{Edges: []string{"BC"}}, times: [3]int64{0, 1000, 599_000}, lanes: []string{"BC_0"}},
		"options of the scenario":  {options: `<output><fcd-output.geo value="true"/><fcd-output.attributes value="x"/><device.fcd.period value="7"/></output>`, times: [3]int64{0, 1000, 599_000}},
		"a prefix":                 {options: `<output><output-prefix value="a-"/></output>`, times: [3]int64{0, 1000, 599_000}},
		"times in words of people": {options: `<report><human-readable-time value="true"/></report>`, times: [3]int64{0, 1000, 599_000}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			options := tc.options + `<time><end value="600"/></time>`
			result, got := recordRoad(t, strings.ReplaceAll(options, "</time><time>", ""), someDemand, tc.asked, nil)
			if len(result.Warnings) > 0 || len(got.Missing) > 0 {
				t.Errorf("warnings %q, missing %q", result.Warnings, got.Missing)
			}
			var times []int64
			vehicles := 0
			for _, h := range got.headers {
				times = append(times, h.Times...)
				for _, lane := range h.Lanes {
					if tc.lanes != nil && !slices.Contains(tc.lanes, lane) {
						t.Errorf("a vehicle is on %s", lane)
					}
				}
				vehicles += len(h.Vehicles)
			}
			if vehicles == 0 {
				t.Fatalf("no vehicle\n%s", result.read(t, simulation.LogFile))
			}
			period := int64(math.Round(got.Period * 1000))
			if found := [3]int64{times[0], period, times[len(times)-1]}; found != tc.times || times[1]-times[0] != period {
				t.Errorf("got %d ms, want %d", found, tc.times)
			}
		})
	}
}

func TestABoxIsRecorded(t *testing.T) {
	t.Parallel()
	_, all := recordRoad(t, "", someDemand, simulation.Replay{}, nil)
	b := *all.Bounds
	box := [4]float64{b[0] + 100, b[1] - 1, b[2] - 100, b[3] + 1}
	_, got := recordRoad(t, "", someDemand, simulation.Replay{Box: &box}, nil)
	if g := *got.Bounds; g[0] < box[0] || g[2] > box[2] || g[2]-g[0] < 10 {
		t.Errorf("bounds %v of the box %v", g, box)
	}
}

func TestARecordingOfPlacesWhereNobodyIsSaysSo(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		asked simulation.Replay
		empty bool
	}{
		"an edge that is not there": {simulation.Replay{Edges: []string{"CB"}}, true},
		"and one that is":           {simulation.Replay{Edges: []string{"CB", "BC"}}, false},
		"a box beside the network":  {simulation.Replay{Box: &[4]float64{-900, -900, -800, -800}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			result, got := recordRoad(t, `<time><end value="60"/></time>`, someDemand, tc.asked, nil)
			said := strings.Contains(strings.Join(result.Warnings, " "), "The recording is empty")
			if said != tc.empty || (len(got.Missing) > 0) != tc.empty {
				t.Errorf("warnings %q, missing %q", result.Warnings, got.Missing)
			}
		})
	}
}

func TestWhereTheRunWritesItsPositionsTheRecordingIsMadeFromThem(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		options string
		change  func(r *Run)
	}{
		"asked for": {"", func(r *Run) { r.Options.Outputs = []simulation.Output{simulation.OutputFCD} }},
		"its own":   {`<output><fcd-output value="mine.xml"/></output>`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			result, got := recordRoad(t, tc.options, someDemand, simulation.Replay{Period: 2}, tc.change)
			if got.Source != replay.FromFCD || len(got.Missing) != 1 || len(result.Warnings) != 1 {
				t.Errorf("from %s, warnings %q, missing %q", got.Source, result.Warnings, got.Missing)
			}
			holdAgainst(t, got, readFCD(t, filepath.Join(result.run.Out, result.Files[simulation.OutputFCD])), 2000)
		})
	}
}

func TestARunThatCannotBeRecordedSaysSo(t *testing.T) {
	t.Parallel()
	for name, options := range map[string]string{
		"CSV":               `<output><output.format value="csv"/></output>`,
		"a prefix of times": `<output><output-prefix value="TIME-"/></output>`,
	} {
		r := newRun(t)
		r.Options.Replay = &simulation.Replay{}
		got := perform(t.Context(), r, road(t, options, oneVehicle), scenario.Config{})
		if !got.Succeeded() || !strings.Contains(strings.Join(got.Warnings, " "), "There is no recording") {
			t.Errorf("%s: %s %q", name, got.Reason, got.Warnings)
		}
		if _, err := os.Stat(filepath.Join(r.Out, simulation.ReplayFile)); err == nil {
			t.Errorf("%s: there is a recording", name)
		}
	}
}

// What SUMO says is all that counts then: that a recording is made otherwise, or has nothing in it, follows from it.
func TestARunThatSUMORejectsSaysNothingOfItsRecording(t *testing.T) {
	t.Parallel()
	const unknown, unconnected = `<route edges="AB nowhere"/></vehicle>`, `<route edges="BC AB"/></vehicle>`
	for name, tc := range map[string]struct{ options, demand string }{
		"as it loads":        {"", `<vehicle id="v" depart="0">` + unknown},
		"its own fcd output": {`<output><fcd-output value="mine.xml"/></output>`, `<vehicle id="v" depart="0">` + unknown},
		"tables":             {`<output><output.format value="csv"/></output>`, `<vehicle id="v" depart="0">` + unknown},
		"at a departure":     {"", `<vehicle id="v" depart="5">` + unconnected},
	} {
		for _, outputs := range [][]simulation.Output{nil, {simulation.OutputFCD}} {
			r := newRun(t)
			r.Options.Replay, r.Options.Outputs = &simulation.Replay{Edges: []string{"CB"}}, outputs
			got := perform(t.Context(), r, road(t, tc.options, tc.demand), scenario.Config{})
			if got.Reason != simulation.InvalidScenario || len(got.Warnings) > 0 {
				t.Errorf("%s, with the outputs %q: %s %q", name, outputs, got.Reason, got.Warnings)
			}
		}
	}
}

func TestEventsHaveTheirPlaces(t *testing.T) {
	t.Parallel()
	// A vehicle that stops on the only lane has the one behind it teleported.
	run, got := recordRoad(t, `<processing><time-to-teleport value="20"/></processing><time><end value="300"/></time>`,
		`<vehicle id="first" depart="0"><route edges="AB BC"/><stop lane="BC_0" endPos="80" duration="250"/></vehicle>`+
			`<vehicle id="stuck" depart="5"><route edges="AB BC"/></vehicle>`, simulation.Replay{}, nil)
	i := slices.IndexFunc(got.Events, func(e replay.Incident) bool { return e.Kind == replay.Teleport })
	if i < 0 {
		t.Fatalf("events: %+v\n%s", got.Events, run.read(t, simulation.LogFile))
	}
	e := got.Events[i]
	if e.Vehicle != "stuck" || e.Edge != "BC" || e.Lane != "BC_0" || e.Time < 20 || e.X == nil || !strings.Contains(e.Text, "Teleporting") {
		t.Fatalf("%+v", e)
	}
	if before := got.frames[int64(e.Time*1000)-1000]["stuck"]; math.Abs(before.X-*e.X) > 0.1 || math.Abs(before.Y-*e.Y) > 0.1 {
		t.Errorf("it was at %+v, and the event is at %v, %v", before, *e.X, *e.Y)
	}
}

func TestAVehicleThatStandsForAnHourIsRecorded(t *testing.T) {
	t.Parallel()
	_, got := recordRoad(t, `<time><end value="4000"/></time><processing><time-to-teleport value="-1"/></processing>`,
		`<vehicle id="stops" depart="0"><route edges="AB BC"/><stop lane="BC_0" endPos="80" duration="3600"/></vehicle>`+
			`<person id="waits" depart="0"><walk edges="AB"/><stop edge="AB" duration="3600"/></person>`, simulation.Replay{}, nil)
	first, last := int64(-1), int64(-1) // ms: the frames in which it stands where it stops
	for ms := range int64(4000) {
		ms *= 1000
		at, ok := got.frames[ms]["stops"]
		if !ok || at.Speed > 0.1 || at.Lane != "BC_0" {
			continue
		}
		if first < 0 {
			first = ms
		}
		last = ms
		if moved := math.Abs(at.X - got.frames[first]["stops"].X); moved > 0.11 {
			t.Errorf("at %d ms it is %g m from where it stopped", ms, moved)
		}
	}
	if stood := (last - first) / 1000; stood < 3590 || stood > 3610 {
		t.Errorf("it stood from %d to %d ms", first, last)
	}
	longest, bytes := 0.0, 0
	for _, h := range got.headers {
		for _, v := range h.Vehicles {
			longest = max(longest, v.Waiting)
		}
	}
	for _, s := range got.Segments {
		bytes += s.Bytes
	}
	if longest < 3500 || longest > 3600 {
		t.Errorf("at the begin of a segment it has been standing for %g s at most", longest)
	}
	if person := got.frames[3_000_000]["waits"]; person.Lane != "AB" || person.Type != "DEFAULT_PEDTYPE" {
		t.Errorf("the person is %+v", person)
	}
	if frames := len(got.frames); bytes > 10*frames {
		t.Errorf("%d frames take %d bytes", frames, bytes)
	}
}

func TestTypesHaveTheirShapes(t *testing.T) {
	t.Parallel()
	_, got := recordRoad(t, "", `<vType id="lorry" vClass="truck"/><vType id="long" vClass="bus" length="18" width="2.6"/>`+
		`<vType id="unused"/><vehicle id="a" type="lorry" depart="0"><route edges="AB BC"/></vehicle>`+
		`<vehicle id="b" type="long" depart="5"><route edges="AB BC"/></vehicle><vehicle id="c" depart="9"><route edges="AB BC"/></vehicle>`,
		simulation.Replay{}, nil)
	if diff := cmp.Diff(map[string]replay.VehicleType{
		"lorry": {Class: "truck", Length: 7.1, Width: 2.4}, "long": {Class: "bus", Length: 18, Width: 2.6},
		"DEFAULT_VEHTYPE": {Class: "passenger", Length: 5, Width: 1.8},
	}, got.Types); diff != "" {
		t.Error(diff)
	}
}

func TestSegmentsCanBeWatchedWhileTheRunGoesOn(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r := newRun(t)
	r.Options.Replay = &simulation.Replay{}
	ended := make(chan result, 1)
	go func() { ended <- perform(ctx, r, road(t, "", longDemand), scenario.Config{}) }()
	folder := filepath.Join(r.Out, simulation.ReplayFolder)
	var x replay.Index
	for deadline := time.Now().Add(time.Minute); len(x.Segments) < 3; time.Sleep(20 * time.Millisecond) {
		if text, err := os.ReadFile(filepath.Join(folder, simulation.ReplayIndexFile)); err == nil {
			if err := json.Unmarshal(text, &x); err != nil {
				t.Fatal(err)
			}
		}
		if time.Now().After(deadline) {
			t.Fatal("no segments")
		}
	}
	if x.Complete || x.Attempt == "" {
		t.Errorf("the index of a run that goes on: %+v", x)
	}
	for _, s := range x.Segments {
		data, err := os.ReadFile(filepath.Join(folder, strconv.Itoa(s.N)))
		if err != nil || len(data) != s.Bytes {
			t.Fatalf("segment %d has %d bytes, want %d: %v", s.N, len(data), s.Bytes, err)
		}
	}
	cancel()
	got := <-ended
	if got.Reason != simulation.Interrupted {
		t.Errorf("%s: %s", got.Reason, got.Message)
	}
	whole := readRecording(t, r.Out)
	if !whole.Complete || whole.End < x.End || !strings.HasPrefix(whole.Attempt, x.Attempt) {
		t.Errorf("to %g s, and %g s while it went on; attempts %s and %s", whole.End, x.End, whole.Attempt, x.Attempt)
	}
}

func TestARecordedRunEndsHoweverSUMODoes(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		script string
		change func(r *Run)
		reason simulation.Reason
	}{
		"killed":           {script: `$SUMO "$@" & begun; sleep 1; kill -9 $!; wait $!; exit 137`, reason: simulation.OutOfMemory},
		"before it begins": {script: `exit 1`, reason: simulation.SimulationError},
		"at its limit":     {change: func(r *Run) { r.Output = 1 << 20 }, reason: simulation.OutputTooLarge},
		"at its time":      {change: func(r *Run) { r.Timeout = 3 * time.Second }, reason: simulation.DeadlineExceeded},
		"its folder is removed": {change: func(r *Run) {
			r.Timeout = 4 * time.Second
			go removeSoon(r.Out)
		}, reason: simulation.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRun(t)
			r.Options.Replay, r.Timeout = &simulation.Replay{}, time.Minute
			if tc.script != "" {
				r.Binary, r.Confinement = script(t, tc.script), confine.Off // a shell has child processes
			}
			if tc.change != nil {
				tc.change(&r)
			}
			began := time.Now()
			got := perform(t.Context(), r, road(t, "", longDemand), scenario.Config{})
			if got.Reason != tc.reason {
				t.Errorf("%s: %s", got.Reason, got.Message)
			}
			if took := time.Since(began); took > 2*time.Minute {
				t.Errorf("it took %v", took)
			}
		})
	}
}

// removeSoon removes what is recorded while SUMO goes on.
func removeSoon(folder string) {
	time.Sleep(1500 * time.Millisecond)
	_ = os.RemoveAll(filepath.Join(folder, simulation.ReplayFolder))
}
