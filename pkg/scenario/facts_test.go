package scenario

import (
	"compress/gzip"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/sumo-k8/sumo-k8/pkg/sumo/sumotest"
	networks "github.com/sumo-k8/sumo-k8/test_networks"
)

func TestFactsAreThoseOfTheFilesAConfigurationUses(t *testing.T) {
	t.Parallel()
	town := `<net version="1.9">
		<edge id=":j_0" function="internal"><lane id=":j_0_0" length="5"/></edge>
		<edge id="a"><lane id="a_0" length="1000.4"/><lane id="a_1" length="1000.4"/></edge>
		<edge id="b" function="normal"><lane id="b_0" length="500"/></edge>
		<edge id="w" function="walkingarea"><lane id="w_0" length="7"/></edge>
		<edge id="x" function="crossing"><lane id="x_0" length="7"/></edge>
		<tlLogic id="t" programID="0"/><tlLogic id="t" programID="night"/><tlLogic id="u" programID="0"/>
		<junction id="j" type="traffic_light"/><junction id=":j_1" type="internal"/><junction id="k" type="dead_end"/>
	</net>`
	cars := `<routes><vType id="c"/>
		<vehicle id="1" depart="0:01:00"/><trip id="2" depart="100.5"/><vehicle id="3" depart="triggered"/>
		<flow id="f" begin="120" end="1:00:00" number="9"/><flow id="g" begin="200" number="9"/>
	</routes>`
	people := `<additional><include href="people.rou.xml"/><laneAreaDetector id="d" lane="a_0" pos="1" endPos="9" file="d.xml"/></additional>`
	inner := `<routes><person id="p" depart="7"/><person id="q" depart="30"/><personFlow id="r" begin="40" end="50" number="2"/></routes>`
	config := func(more string) string {
		return `<configuration><net-file value="n.net.xml.gz"/><route-files value="cars.rou.xml"/>` + more + `</configuration>`
	}
	m, err := inspect(t, zipOf(t, entryOf("a.sumocfg", config("")), entryOf("b.sumocfg", config(`<additional-files value="people.add.xml"/>`)),
		entryOf("c.sumocfg", `<configuration><net-file value="other.net.xml"/></configuration>`),
		entryOf("n.net.xml.gz", gzipped(town)), entryOf("other.net.xml", net), entryOf("cars.rou.xml", cars), entryOf("people.add.xml", people),
		entryOf("people.rou.xml", inner), entryOf("unused.rou.xml", routes)), DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	seconds := func(s float64) *float64 { return &s }
	roads := Network{Edges: 2, Lanes: 3, Junctions: 2, TrafficLights: 2, EdgeLengthKm: 1.5, LaneLengthKm: 2.501}
	want := []Config{
		{Path: "a.sumocfg", Network: &roads, Untimed: true, Endless: true, Demand: &Demand{
			Vehicles: 3, Flows: 2, FirstDeparture: seconds(60), LastDeparture: seconds(3600),
		}},
		{Path: "b.sumocfg", Network: &roads, Untimed: true, Endless: true, Detectors: true, Outputs: []string{"d.xml"}, Demand: &Demand{
			Vehicles: 3, Flows: 2, Persons: 2, PersonFlows: 1, FirstDeparture: seconds(7), LastDeparture: seconds(3600),
		}},
		{Path: "c.sumocfg", Network: &Network{Edges: 1}, Demand: &Demand{}},
	}
	if diff := cmp.Diff(want, m.Configs, cmpopts.IgnoreFields(Config{}, "Options", "Reads")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFactsAreLeftOutWhereAFaultWouldFalsifyThem(t *testing.T) {
	t.Parallel()
	config := func(routes string) string {
		return `<configuration><net-file value="n.net.xml"/><route-files value="` + routes + `"/></configuration>`
	}
	m, err := inspect(t, zipOf(t, entryOf("n.net.xml", net), entryOf("r.rou.xml", routes), entryOf("broken.rou.xml", "<routes>"),
		entryOf("bad1.sumocfg", config("broken.rou.xml")), entryOf("bad2.sumocfg", config("broken.rou.xml")),
		entryOf("gone.sumocfg", config("gone.rou.xml")), entryOf("good.sumocfg", config("r.rou.xml"))), DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range m.Configs {
		if good := c.Path == "good.sumocfg"; (c.Network != nil) != good || (c.Demand != nil) != good {
			t.Errorf("%s has %+v and %+v", c.Path, c.Network, c.Demand)
		}
	}
}

// What netconvert reads of a network, and what SUMO loads of a demand, is what we say of them.
func TestFactsAgreeWithSUMO(t *testing.T) {
	t.Parallel()
	for _, name := range networks.Ready() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data, err := networks.ReadyZip(name)
			if err != nil {
				t.Fatal(err)
			}
			m, err := inspect(t, data, DefaultLimits())
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			if err := extract(t, data, dir); err != nil {
				t.Fatal(err)
			}
			for _, c := range m.Configs {
				if want := networkBySUMO(t, dir); !closeTo(want, *c.Network) {
					t.Errorf("%s: netconvert sees %+v, we %+v", c.Path, want, *c.Network)
				}
				vehicles, persons := loadedBySUMO(t, dir, c)
				if c.Demand.Flows == 0 && vehicles != c.Demand.Vehicles || c.Demand.PersonFlows == 0 && persons != c.Demand.Persons {
					t.Errorf("%s: SUMO loads %d vehicles and %d persons, we see %+v", c.Path, vehicles, persons, *c.Demand)
				}
			}
		})
	}
}

// closeTo allows for lengths that netconvert has rounded to centimetres for each lane.
func closeTo(want, got Network) bool {
	off := math.Max(math.Abs(want.EdgeLengthKm-got.EdgeLengthKm), math.Abs(want.LaneLengthKm-got.LaneLengthKm))
	got.EdgeLengthKm, got.LaneLengthKm = want.EdgeLengthKm, want.LaneLengthKm
	return want == got && off <= 0.001+0.00001*float64(want.Lanes)
}

// networkBySUMO has netconvert write a network in parts, without what it makes for itself, and counts them with another
// reader. Lengths are those of the lanes' shapes.
func networkBySUMO(t *testing.T, dir string) (n Network) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.net.xml*"))
	more, _ := filepath.Glob(filepath.Join(dir, "*", "*.net.xml*"))
	files = append(files, more...)
	if err != nil || len(files) != 1 {
		t.Fatalf("networks %v, %v", files, err)
	}
	out := t.TempDir()
	if printed, ok := sumo(t, sumotest.Newest(t), out, "netconvert", "-s", files[0], "--plain-output-prefix", "p",
		"--output-file", "whole.net.xml"); !ok {
		t.Fatal(printed)
	}
	lanes := map[string]int{}
	eachElement(t, filepath.Join(out, "p.edg.xml"), func(name string, attr map[string]string) {
		if name == "edge" {
			n.Edges++
			count, err := strconv.Atoi(attr["numLanes"])
			if err != nil {
				t.Fatal(err)
			}
			lanes[attr["id"]] = count
			n.Lanes += count
		}
	})
	eachElement(t, filepath.Join(out, "p.nod.xml"), func(name string, _ map[string]string) {
		if name == "node" {
			n.Junctions++
		}
	})
	lights := map[string]bool{}
	eachElement(t, filepath.Join(out, "p.tll.xml"), func(name string, attr map[string]string) {
		if name == "tlLogic" {
			lights[attr["id"]] = true
		}
	})
	n.TrafficLights = len(lights)
	eachElement(t, files[0], func(name string, attr map[string]string) {
		if name != "lane" {
			return
		}
		id := attr["id"]
		split := strings.LastIndex(id, "_")
		if lanes[id[:split]] == 0 {
			return
		}
		length := lengthOf(t, attr["shape"]) / 1000
		n.LaneLengthKm += length
		if id[split:] == "_0" {
			n.EdgeLengthKm += length
		}
	})
	return n
}

func lengthOf(t *testing.T, shape string) (metres float64) {
	t.Helper()
	var px, py float64
	for i, point := range strings.Fields(shape) {
		var x, y float64
		if _, err := fmt.Sscanf(point, "%f,%f", &x, &y); err != nil {
			t.Fatalf("shape %q: %v", shape, err)
		}
		if i > 0 {
			metres += math.Hypot(x-px, y-py)
		}
		px, py = x, y
	}
	return metres
}

// loadedBySUMO is how many vehicles and persons SUMO loads when it loads all before its first step.
func loadedBySUMO(t *testing.T, dir string, c Config) (vehicles, persons int) {
	t.Helper()
	end := 1.0
	if c.Begin != nil {
		end += *c.Begin
	}
	statistics := filepath.Join(t.TempDir(), "s.xml")
	if printed, ok := sumo(t, sumotest.Newest(t), dir, "sumo", "-c", c.Path, "--no-step-log", "--route-steps", "0", "--end", fmt.Sprint(end),
		"--statistic-output", statistics); !ok {
		t.Fatal(printed)
	}
	eachElement(t, statistics, func(name string, attr map[string]string) {
		switch name {
		case "vehicles":
			vehicles, _ = strconv.Atoi(attr["loaded"])
		case "persons":
			persons, _ = strconv.Atoi(attr["loaded"])
		}
	})
	return vehicles, persons
}

func eachElement(t *testing.T, file string, visit func(name string, attr map[string]string)) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var text io.Reader = f
	if filepath.Ext(file) == ".gz" {
		if text, err = gzip.NewReader(f); err != nil {
			t.Fatal(err)
		}
	}
	d := xml.NewDecoder(text)
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if e, ok := token.(xml.StartElement); ok {
			attr := map[string]string{}
			for _, a := range e.Attr {
				attr[a.Name.Local] = a.Value
			}
			visit(e.Name.Local, attr)
		}
	}
}

// However a demand is spread over files, the facts are the same.
func TestFactsDoNotDependOnHowFilesAreSplit(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		departs := rapid.SliceOfN(rapid.IntRange(0, 5000), 1, 30).Draw(r, "departs")
		total := 0
		want := Demand{Vehicles: len(departs)}
		files := make([]strings.Builder, rapid.IntRange(1, 4).Draw(r, "files"))
		for i := range departs {
			total += departs[i] // sorted, as SUMO wants it
			fmt.Fprintf(&files[rapid.IntRange(0, len(files)-1).Draw(r, "file")], `<trip id="%d" depart="%d"/>`, i, total)
			if i == 0 {
				first := float64(total)
				want.FirstDeparture = &first
			}
		}
		last := float64(total)
		want.LastDeparture = &last
		parts := []part{entryOf("n.net.xml", net)}
		var names []string
		for i := range files {
			name := fmt.Sprintf("%d.rou.xml", i)
			text := "<routes>" + files[i].String() + "</routes>"
			if rapid.Bool().Draw(r, "gzip") {
				text = gzipped(text)
			}
			names, parts = append(names, name), append(parts, entryOf(name, text))
		}
		config := `<configuration><net-file value="n.net.xml"/><route-files value="` + strings.Join(names, ",") + `"/></configuration>`
		m, err := inspect(t, zipOf(t, append(parts, entryOf("s.sumocfg", config))...), DefaultLimits())
		if err != nil {
			r.Fatal(err)
		}
		if diff := cmp.Diff(&want, m.Configs[0].Demand); diff != "" {
			r.Errorf("(-want +got):\n%s", diff)
		}
	})
}
