package roadnet

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

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
	}
	if diff := cmp.Diff(want, r.Geometry()); diff != "" {
		t.Errorf("network (-want +got):\n%s", diff)
	}
}

func TestAnEmptyNetworkHasNoBounds(t *testing.T) {
	t.Parallel()
	var r Reader
	if diff := cmp.Diff(Geometry{Unit: "m", Edges: []Edge{}, Junctions: []Junction{}}, r.Geometry()); diff != "" {
		t.Errorf("network (-want +got):\n%s", diff)
	}
}
