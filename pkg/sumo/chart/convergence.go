package chart

import (
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"

	"github.com/sumo-k8/sumo-k8/pkg/sumo/outputs"
)

// overIterations draws the mean travel time of each iteration, and how much it has changed since the one before. Both axes begin
// at 0, so that what is left of a change can be seen.
func (t theme) overIterations(runs []Run, height vg.Length) ([]*plot.Plot, error) {
	travel, change := t.plot("mean travel time (s)"), t.plot("change (%)")
	change.X.Label.Text = "iteration"
	last := 1.0
	for n, run := range runs {
		var number, times, changes outputs.Values
		for _, i := range run.Convergence.Iterations {
			last = max(last, float64(i.Number))
			number, times = append(number, float64(i.Number)), append(times, i.MeanTravelTime)
			relative := math.NaN()
			if i.RelativeChange != nil {
				relative = 100 * math.Abs(*i.RelativeChange)
			}
			changes = append(changes, relative)
		}
		legend := run.Label
		if len(runs) == 1 {
			legend = "of the trips that ended"
		}
		if err := t.addCurve(travel, number, times, t.line(n), legend, len(runs) == 1); err != nil {
			return nil, err
		}
		if err := t.addCurve(change, number, changes, t.line(n), "since the iteration before", false); err != nil {
			return nil, err
		}
	}
	if len(runs) > 1 {
		change.Legend = plot.NewLegend() // the first panel's says it
	}
	plots := []*plot.Plot{travel, change}
	for _, p := range plots {
		p.X.Min, p.X.Max = 0, last
		raise(p, max(legendLines, len(runs)), height/vg.Length(len(plots)))
	}
	return plots, nil
}
