package run

import (
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/sumotest"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/xml"
)

// tripsOf are the trips of a tripinfo output as SUMO wrote them.
func tripsOf(t *testing.T, text string) (trips []map[string]string) {
	t.Helper()
	s := xml.Scanner{Lenient: true, Element: func(e xml.Element) error {
		if string(e.Name) == "tripinfo" {
			trip := map[string]string{}
			for _, a := range e.Attrs {
				trip[string(a.Name)] = string(a.Value)
			}
			trips = append(trips, trip)
		}
		return nil
	}}
	if err := s.Scan(strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	return trips
}

func TestMetricsByClassAreThoseOfTheTrips(t *testing.T) {
	t.Parallel()
	demand := `<vTypeDistribution id="mix"><vType id="car" probability="0.6"/><vType id="minibus" vClass="bus" probability="0.4"/></vTypeDistribution>
		<vType id="truck" vClass="truck" maxSpeed="6"/><vType id="coach" vClass="coach"/>
		<flow id="f" type="mix" begin="0" end="200" number="40"><route edges="AB BC"/></flow>
		<flow id="g" begin="0" end="200" number="10"><route edges="AB BC"/></flow>
		<vehicle id="t" type="truck" depart="20"><route edges="AB BC"/></vehicle>
		<vehicle id="b" type="bus" depart="100"><route edges="AB BC"/></vehicle>
		<vehicle id="late" type="coach" depart="218"><route edges="AB BC"/></vehicle>`
	of := map[string]map[string]bool{ // vTypes by what is asked for
		"vClass=bus": {"minibus": true, "bus": true}, "vClass=truck": {"truck": true}, "vClass=passenger": {"car": true, "DEFAULT_VEHTYPE": true},
		"vType=car": {"car": true}, "vType=bus": {"bus": true}, "vClass=coach": {"coach": true}, "vClass=tram": {}, "vType=none": {},
	}
	sumotest.Each(t, func(t *testing.T, sumo release.Installation) {
		f := road(t, "<time><end value=\"220\"/></time>", demand)
		f["types.add.xml"] = `<additional><vType id="bus" vClass="passenger"/></additional>`
		f["run.sumocfg"] = strings.Replace(f["run.sumocfg"], "</input>", `<additional-files value="types.add.xml"/></input>`, 1)
		zip := zipped(t, f)
		for _, unfinished := range []bool{false, true} {
			c, k := chunkWith(t, sumo, zip, 1, 1)
			o := &c.List.Runs[0].Options
			o.UnfinishedTrips = unfinished
			// The value of an axis is what counts.
			o.Attributes = []simulation.Attribute{{
				File: "city/types.add.xml", Element: "vType", Key: "id", Equals: "bus", Name: "vClass", Value: "bus",
			}}
			for class := range of {
				for _, base := range simulation.TripMetrics() {
					o.Metrics = append(o.Metrics, base+"@"+class)
				}
			}
			if outcome := k.do(c); !outcome.Succeeded() {
				t.Fatalf("%s: %s", outcome.Reason, outcome.Message)
			}
			stored := k.stored[c.List.Runs[0].ID]
			got := stored.outcome(t)
			if !got.Succeeded() {
				t.Fatalf("%s: %s", got.Reason, got.Message)
			}
			trips := tripsOf(t, stored["tripinfo.xml"])
			for class, types := range of {
				n, finished, sums := 0.0, 0.0, map[string]float64{}
				for _, trip := range trips {
					if !types[trip["vType"]] {
						continue
					}
					n++
					value := func(name string) float64 {
						v, ok := xml.Number([]byte(trip[name]))
						if !ok {
							t.Fatalf("%s=%q", name, trip[name])
						}
						return v
					}
					if value("arrival") >= 0 {
						finished++
					}
					sums["mean_route_length"] += value("routeLength")
					sums["mean_speed"] += value("routeLength") / value("duration")
					sums["mean_travel_time"] += value("duration")
					sums["mean_waiting_time"] += value("waitingTime")
					sums["mean_time_loss"] += value("timeLoss")
					sums["mean_depart_delay"] += value("departDelay")
				}
				for _, base := range simulation.TripMetrics() {
					v, ok := got.Summary.Metric(base + "@" + class)
					want := sums[base] / n
					if base == "vehicles_finished" {
						want = finished
					}
					if ok != !math.IsNaN(want) || ok && math.Abs(v-want) > 1e-9*math.Max(1, math.Abs(want)) {
						t.Errorf("%s@%s is %g, %t, want %g of %g trips", base, class, v, ok, want, n)
					}
				}
			}
			if n, _ := got.Summary.Metric("vehicles_finished@vClass=bus"); n < 5 {
				t.Errorf("%g buses are too few for a test", n)
			}
		}
	})
}

// Over all vehicles of a run, the metrics by class are SUMO's own, but for its rounding.
func TestTheClassOfAllVehiclesHasTheMetricsOfTheRun(t *testing.T) {
	t.Parallel()
	sumotest.Each(t, func(t *testing.T, sumo release.Installation) {
		c, k := chunkWith(t, sumo, zipped(t, road(t, "", someDemand)), 1, 1)
		for _, base := range simulation.TripMetrics() {
			c.List.Runs[0].Options.Metrics = append(c.List.Runs[0].Options.Metrics, base+"@vClass=passenger")
		}
		if outcome := k.do(c); !outcome.Succeeded() {
			t.Fatalf("%s: %s", outcome.Reason, outcome.Message)
		}
		got := k.stored[c.List.Runs[0].ID].outcome(t)
		for _, base := range simulation.TripMetrics() {
			want, known := got.Summary.Metric(base)
			v, ok := got.Summary.Metric(base + "@vClass=passenger")
			if !known || !ok || math.Abs(v-want) > 0.0051 {
				t.Errorf("%s: %g, want %g", base, v, want)
			}
		}
	})
}

func TestMetricsByClassThatCannotBeHadAreAWarning(t *testing.T) {
	t.Parallel()
	c, k := chunkOf(t, zipped(t, road(t, `<output><tripinfo-output value="own.csv"/></output>`, someDemand)), 1, 1)
	c.List.Runs[0].Options.Metrics = []string{"mean_speed@vClass=bus"}
	if outcome := k.do(c); !outcome.Succeeded() {
		t.Fatalf("%s: %s", outcome.Reason, outcome.Message)
	}
	got := k.stored[c.List.Runs[0].ID].outcome(t)
	warnings := strings.Join(got.Warnings, "\n")
	if !got.Succeeded() || !strings.Contains(warnings, "There are no metrics by class of vehicle") {
		t.Errorf("%s: %s, with the warnings %s", got.Reason, got.Message, warnings)
	}
}

// TestTripsFromBeforeALoadedStateCount has a scenario that warms up, and goes on from the state with its clock at 0: the vehicles of the
// state departed before that.
func TestTripsFromBeforeALoadedStateCount(t *testing.T) {
	t.Parallel()
	warm := perform(t.Context(), newRun(t),
		road(t, `<end value="60"/><save-state.times value="50"/><save-state.files value="warm.xml"/>`, someDemand), scenario.Config{})
	if !warm.Succeeded() {
		t.Fatalf("%s: %s", warm.Reason, warm.Message)
	}
	f := road(t, `<load-state value="warm.xml"/><load-state.offset value="50"/><begin value="0"/><end value="300"/>`, "")
	f["warm.xml"] = warm.read(t, "warm.xml")
	c, k := chunkOf(t, zipped(t, f), 1, 1)
	c.List.Runs[0].Options.Metrics = []string{"vehicles_finished@vClass=passenger"}
	if outcome := k.do(c); !outcome.Succeeded() {
		t.Fatalf("%s: %s", outcome.Reason, outcome.Message)
	}
	stored := k.stored[c.List.Runs[0].ID]
	got := stored.outcome(t)
	if !got.Succeeded() {
		t.Fatalf("%s: %s", got.Reason, got.Message)
	}
	early, all := 0, 0.0
	for _, trip := range tripsOf(t, stored["tripinfo.xml"]) {
		if strings.HasPrefix(trip["depart"], "-") {
			early++
		}
		all++
	}
	if n, _ := got.Summary.Metric("vehicles_finished@vClass=passenger"); early == 0 || n != all {
		t.Errorf("%g of %g trips count, %d of which began before the state", n, all, early)
	}
}

func TestNamesOfTypesTakeABoundedPartOfMemory(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for i := range maxTypeNames>>20 + 1 {
		fmt.Fprintf(&b, `<tripinfo depart="0" vType="%d%s"/>`, i, strings.Repeat("x", 1<<20-10))
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "t.xml"), "<tripinfos>"+b.String()+"</tripinfos>")
	if types, err := readTypes(dir, "t.xml"); err == nil || !strings.Contains(err.Error(), "types of vehicles") {
		t.Errorf("%d types, %v", len(types), err)
	}
}
