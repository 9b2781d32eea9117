package outputs

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sumo-k8/sumo-k8/pkg/calibration"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

// What SUMO wrote of two edges, on both of which vehicles depart, and of loops on the two lanes of one of them.
const (
	countedEdges = `<meandata><interval begin="0.00" end="300.00" id="x">
	<edge id="e1" sampledSeconds="1" departed="50" arrived="0" entered="0" left="45"/>
	<edge id="e2" sampledSeconds="1" departed="10" arrived="47" entered="45" left="0"/>
</interval><interval begin="00:05:00" end="00:10:00" id="x">
	<edge id="e2" sampledSeconds="0.00" departed="10" arrived="58" entered="49" left="0"/>
</interval></meandata>`
	countedLoops = `<detector>
	<interval begin="0.00" end="300.00" id="d0" nVehContrib="12" flow="144.00" occupancy="0.00" nVehEntered="13"/>
	<interval begin="0.00" end="300.00" id="d1" nVehContrib="35" flow="420.00" occupancy="6.19" nVehEntered="36"/>
	<interval begin="0.00" end="300.00" id="area" sampledSeconds="1" nVehEntered="3"/>
</detector>`
)

func TestReadingWhatARunCounted(t *testing.T) {
	t.Parallel()
	c := calibration.New([]calibration.Count{
		{Line: 2, Kind: calibration.Edge, IDs: []string{"e1"}, Begin: 0, End: 600},
		{Line: 3, Kind: calibration.Edge, IDs: []string{"e2"}, Begin: 300, End: 600},
		{Line: 4, Kind: calibration.Detector, IDs: []string{"d0", "d1"}, Begin: 0, End: 300},
		{Line: 5, Kind: calibration.Detector, IDs: []string{"area"}, Begin: 0, End: 300},
	})
	if err := ReadEdgeCounts(strings.NewReader(countedEdges), c); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{countedLoops, "<tripinfos><interval begin='0' end='300' id='d0' nVehContrib='99'/></tripinfos>", "no XML"} {
		if err := ReadLoopCounts(strings.NewReader(file), c); err != nil {
			t.Fatal(err)
		}
	}
	var flows []float64
	rows := c.Rows(false)
	for _, row := range rows {
		flows = append(flows, row.Modelled)
	}
	if diff := cmp.Diff([]float64{50 * 6, 59 * 12, 47 * 12, 0}, flows, cmpopts.EquateApprox(0, 1e-9)); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(rows[3].Why, "area") {
		t.Errorf("an area detector counts as a loop: %+v", rows[3])
	}
}

func TestEdgeDataWithoutVehiclesIsNoCount(t *testing.T) {
	t.Parallel()
	c := calibration.New([]calibration.Count{{Kind: calibration.Edge, IDs: []string{"e"}, End: 60}})
	err := ReadEdgeCounts(strings.NewReader(`<meandata><interval begin="0" end="60"><edge id="e" CO2_abs="1"/></interval></meandata>`), c)
	if problem.CodeOf(err) != problem.NotFound {
		t.Error(err)
	}
}

func TestAFailedReadOfCountsIsAFailure(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	c := calibration.New(nil)
	for name, read := range map[string]func(io.Reader, *calibration.Comparison) error{"edges": ReadEdgeCounts, "loops": ReadLoopCounts} {
		file := io.MultiReader(strings.NewReader("<detector>"), iotest.ErrReader(broken))
		if err := read(file, c); !errors.Is(err, broken) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
