package roadnet

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/xml"
)

func TestANetworkBecomesLinesAndPoints(t *testing.T) {
	t.Parallel()
	file := `<net version="1.9"><location convBoundary="0,0,100,0"/>
<edge id=":B_0" function="internal"><lane id=":B_0_0" speed="9" length="1" shape="0,0 9,9"/></edge>
<edge id=":B_w0" function="walkingarea"><lane id=":B_w0_0" speed="1" length="1" shape="0,0 9,9"/></edge>
<edge id="one" from="A" to="B" priority="3" name="High &amp; Low Street">
	<lane id="one_0" speed="13.89" length="99.5" shape="0.00,-1.60 50.04,-1.60,7.00 50.04,-1.60 100.00,-1.60"/></edge>
<edge id="two" from="A" to="B" priority="-1">
	<lane id="two_0" speed="8" length="90" shape="0,-4.8 90,-4.8"/>
	<lane id="two_1" speed="14" length="91" shape="0,-1.6 90,-1.6"/></edge>
<edge id="three" priority="1">
	<lane id="three_0" speed="8" length="90" shape="0,1 9,1"/>
	<lane id="three_1" speed="8" length="90" shape="0,2 9,2"/>
	<lane id="three_2" speed="8" length="90" shape="0,3 9,3"/></edge>
<edge id="uneven" priority="1">
	<lane id="u_0" speed="8" length="90" shape="0,1 5,1 9,1"/>
	<lane id="u_1" speed="8" length="90" shape="0,2 9,2"/></edge>
<junction id="A" type="dead_end" x="0.04" y="0.00" shape="0.00,0.00 0.00,-3.20"/>
<junction id=":B_0_0" type="internal" x="900" y="0"/>
<junction id="B" type="traffic_light" x="120" y="-7.77" shape="118.04,-6.4 118,-6.4 122,-6.4,5 120,-9"/>
</net>`
	var r Reader
	if err := xml.Scan(strings.NewReader(file), r.Element); err != nil {
		t.Fatal(err)
	}
	want := Geometry{
		Bounds: [4]float64{0, -7.8, 120, 2}, Unit: "m",
		Edges: []Edge{
			{ID: "one", Name: "High & Low Street", Lanes: 1, Speed: 13.89, Length: 99.5, Priority: 3,
				Shape: []float64{0, -1.6, 50, -1.6, 100, -1.6}},
			{ID: "two", Lanes: 2, Speed: 14, Length: 91, Priority: -1, Shape: []float64{0, -3.2, 90, -3.2}},
			{ID: "three", Lanes: 3, Speed: 8, Length: 90, Priority: 1, Shape: []float64{0, 2, 9, 2}},
			{ID: "uneven", Lanes: 2, Speed: 8, Length: 90, Priority: 1, Shape: []float64{0, 2, 9, 2}},
		},
		Junctions: []Junction{
			{ID: "A", Type: "dead_end"},
			{ID: "B", Type: "traffic_light", X: 120, Y: -7.8, Shape: []float64{118, -6.4, 122, -6.4, 120, -9}},
		},
		StopLines: []StopLine{}, Polygons: []Polygon{},
	}
	if diff := cmp.Diff(want, r.Geometry()); diff != "" {
		t.Errorf("network (-want +got):\n%s", diff)
	}
}

func TestAnEmptyNetworkHasNoBounds(t *testing.T) {
	t.Parallel()
	var r Reader
	want := Geometry{Unit: "m", Edges: []Edge{}, Junctions: []Junction{}, StopLines: []StopLine{}, Polygons: []Polygon{}}
	if diff := cmp.Diff(want, r.Geometry()); diff != "" {
		t.Errorf("network (-want +got):\n%s", diff)
	}
}

func TestStopLinesLieAcrossTheLanesThatASignalControls(t *testing.T) {
	t.Parallel()
	file := `<net>
<edge id=":B_c0" function="crossing"><lane id=":B_c0_0" width="4" shape="102,-10 102,10"/></edge>
<edge id=":B_w0" function="walkingarea"><lane id=":B_w0_0" width="2" shape="100,-12 104,-10"/></edge>
<edge id="in"><lane id="in_0" shape="0,-4.8 100,-4.8"/><lane id="in_1" width="2" shape="0,-2 100,-2"/></edge>
<edge id="north"><lane id="north_0" shape="110,50 110,10"/></edge>
<edge id="point"><lane id="point_0" shape="1,1 1,1"/></edge>
<junction id="B" type="traffic_light" x="110" y="0"/>
<connection from="in" to="south" fromLane="0" toLane="0" via=":B_0_0" tl="B" linkIndex="1" dir="r"/>
<connection from="in" to="east" fromLane="0" toLane="0" via=":B_1_0" tl="B" linkIndex="2" dir="s"/>
<connection from="in" to="east" fromLane="1" toLane="0" tl="C" linkIndex="0"/>
<connection from="north" to="south" fromLane="0" toLane="0" tl="B" linkIndex="0"/>
<connection from=":B_w0" to=":B_c0" fromLane="0" toLane="0" tl="B" linkIndex="3"/>
<connection from="north" to="west" fromLane="0" toLane="0"/>
<connection from="north" to="west" fromLane="5" toLane="0" tl="B" linkIndex="9"/>
<connection from="north" to="west" fromLane="-9" toLane="0" tl="B" linkIndex="9"/>
<connection from="point" to="west" fromLane="0" toLane="0" tl="B" linkIndex="9"/>
<connection from="unknown" to="west" fromLane="0" toLane="0" tl="B" linkIndex="9"/>
<connection from="in" to="west" fromLane="0" toLane="0" tl="B" linkIndex="-1"/>
<connection from="in" to="west" fromLane="0" toLane="0" tl="B" linkIndex="x"/>
</net>`
	var r Reader
	if err := xml.Scan(strings.NewReader(file), r.Element); err != nil {
		t.Fatal(err)
	}
	want := []StopLine{
		{"B", 3, [4]float64{104, -10, 100, -10}},
		{"B", 1, [4]float64{100, -6.4, 100, -4.8}},
		{"B", 2, [4]float64{100, -4.8, 100, -3.2}},
		{"C", 0, [4]float64{100, -3, 100, -1}},
		{"B", 0, [4]float64{108.4, 10, 111.6, 10}},
	}
	if diff := cmp.Diff(want, r.Geometry().StopLines); diff != "" {
		t.Errorf("stop lines (-want +got):\n%s", diff)
	}
}

func TestPolygonsAreReadAsSUMODrawsThem(t *testing.T) {
	t.Parallel()
	file := `<additional>
<poly id="roof" type="building" color="1,0.5,0" fill="1" layer="5" shape="0,0 10.04,0 10,10"/>
<polygon id="path" color="0,128,255" layer="-1" shape="0,0,3 5,5,3"/>
<poly id="same" color="12,34,56,100" fill="true" shape="0,0 1,0 1,1"/>
<poly id="hidden" color="invisible" shape="0,0 1,0 1,1"/>
<poly id="clear" color="#12345600" shape="0,0 1,0 1,1"/>
<poly id="degrees" geo="true" color="red" shape="13.1,52.1 13.2,52.1"/>
<poly id="dot" color="red" shape="1,1 1,1"/>
<poi id="p" color="red" x="1" y="1"/>
</additional>`
	var r Reader
	if err := xml.Scan(strings.NewReader(file), r.Additional); err != nil {
		t.Fatal(err)
	}
	want := []Polygon{
		{ID: "path", Color: "#0080ff", Layer: -1, Shape: []float64{0, 0, 5, 5}},
		{ID: "same", Color: "#0c2238", Fill: true, Shape: []float64{0, 0, 1, 0, 1, 1}},
		{ID: "roof", Type: "building", Color: "#ff8000", Layer: 5, Fill: true, Shape: []float64{0, 0, 10, 0, 10, 10}},
	}
	if diff := cmp.Diff(want, r.Geometry().Polygons); diff != "" {
		t.Errorf("polygons (-want +got):\n%s", diff)
	}
}

func TestColorsAreReadAsSUMODoes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "#ff0000", "nonsense": "#ff0000", "1,2": "#ff0000", "1,2,300": "#ff0000", "1,2,NaN": "#ff0000", "#12": "#ff0000",
		"#gg0000": "#ff0000", "Cyan": "#00ffff", "#A1b2C3": "#a1b2c3", "#a1b2c3ff": "#a1b2c3", "1,1,1": "#ffffff",
		"0,1,2": "#000102", ".2,.4,1": "#3366ff",
		"1.0,0,0,1.0": "#ff0000", "10,20,30,0": "", "0.1,0.1,0.1,0": "",
	} {
		if got, visible := colorOf(text); got != want && visible || visible != (want != "") {
			t.Errorf("colour %q is %s, visible %v, want %s", text, got, visible, want)
		}
	}
}

func FuzzAMapIsReadFromAnyFile(f *testing.F) {
	f.Add(`<net><edge id="a"><lane shape="0,0 1,1"/></edge><connection from="a" fromLane="0" tl="t" linkIndex="0"/></net>`)
	f.Add(`<additional><poly color="1,2,3,4" shape="0,0 1e308,1e308"/></additional>`)
	f.Fuzz(func(t *testing.T, file string) {
		var r Reader
		_ = xml.Scan(strings.NewReader(file), r.Element) // what was read before a fault is shown
		_ = xml.Scan(strings.NewReader(file), r.Additional)
		if _, err := json.Marshal(r.Geometry()); err != nil {
			t.Errorf("%q: %v", file, err)
		}
	})
}

// TestNamesTakeABoundedPartOfMemory has names of a MiB each, which SUMO reads, in the number that there may be of what has them.
func TestNamesTakeABoundedPartOfMemory(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 1<<20)
	for name, file := range map[string]string{
		"edges":     `<net>` + strings.Repeat(`<edge id="`+long+`"/>`, 70) + `</net>`,
		"crossings": `<net>` + strings.Repeat(`<edge id="`+long+`" function="crossing"/>`, 70) + `</net>`,
		"streets":   `<net>` + strings.Repeat(`<edge id="e" name="`+long+`"/>`, 70) + `</net>`,
		"junctions": `<net>` + strings.Repeat(`<junction id="j" type="`+long+`"/>`, 70) + `</net>`,
		"signals":   `<net>` + strings.Repeat(`<connection from="e" tl="`+long+`" linkIndex="1"/>`, 70) + `</net>`,
	} {
		var r Reader
		if err := xml.Scan(strings.NewReader(file), r.Element); problem.CodeOf(err) != problem.TooLarge {
			t.Errorf("%s: %v", name, err)
		}
	}
	var r Reader
	polygons := `<additional>` + strings.Repeat(`<poly id="`+long+`" shape="0,0 1,1"/>`, 70) + `<poly id="short" shape="0,0 1,1"/></additional>`
	if err := xml.Scan(strings.NewReader(polygons), r.Additional); err != nil {
		t.Fatal(err)
	}
	if shown := r.Geometry().Polygons; len(shown) != 64 {
		t.Errorf("%d polygons are shown", len(shown))
	}
}
