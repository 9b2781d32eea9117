package outputs

import (
	"errors"
	"io"
	"math"

	"github.com/sumo-k8/sumo-k8/pkg/calibration"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/xml"
)

// ReadEdgeCounts passes an edgedata output to a comparison. What an edge counts are the vehicles that came onto it: SUMO's entered, from
// other edges, and departed. routeSampler counts a route on each of its edges in the same way.
func ReadEdgeCounts(edgedata io.Reader, c *calibration.Comparison) error {
	_, err := read(edgedata, func(e xml.Element) error {
		switch string(e.Name) {
		case "interval":
			if begin, end := number(e, "begin"), number(e, "end"); begin < end {
				c.Interval(begin, end)
			}
		case "edge":
			entered, departed := number(e, "entered"), number(e, "departed")
			if math.IsNaN(entered) || math.IsNaN(departed) {
				return problem.New(problem.NotFound, "The edgedata output has no numbers of vehicles, entered and departed. Have its definition "+
					"write all attributes of the default type.")
			}
			c.Edge(string(e.Attr("id")), entered+departed)
		}
		return nil
	})
	return err
}

// ReadLoopCounts passes the output of induction loops (E1) to a comparison: the vehicles that have passed them (nVehContrib). Any other
// file is left after its first element.
func ReadLoopCounts(file io.Reader, c *calibration.Comparison) error {
	_, err := read(file, func(e xml.Element) error {
		if e.Depth == 1 && string(e.Name) != "detector" {
			return errOther
		}
		if string(e.Name) != "interval" {
			return nil
		}
		begin, end, vehicles := number(e, "begin"), number(e, "end"), number(e, "nVehContrib")
		if begin < end && !math.IsNaN(vehicles) {
			c.Detector(string(e.Attr("id")), begin, end, vehicles)
		}
		return nil
	})
	if errors.Is(err, errOther) {
		return nil
	}
	return err
}

var errOther = errors.New("the file is no output of induction loops")
