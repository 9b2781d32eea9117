package chart

import (
	"fmt"
	"io"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/sumo-k8/sumo-k8/pkg/calibration"
)

// DrawCounts draws the flows of a run over those that were counted. Rows that cannot be compared are left out.
func DrawCounts(w io.Writer, rows []calibration.Compared, o Options) error {
	t := o.theme()
	within := marks{theme: t, mark: mark{colour: t.palette[0]}}
	beyond := marks{theme: t, mark: mark{shape: shapes[3], colour: t.palette[1], hollow: true}}
	most := 10.0 // vehicles per hour
	for _, r := range rows {
		if r.Why != "" {
			continue
		}
		group := &within
		if r.GEH >= calibration.Accepted {
			group = &beyond
		}
		group.at = append(group.at, plotter.XY{X: r.Flow, Y: r.Modelled})
		most = max(most, r.Flow, r.Modelled)
	}
	most *= 1.05
	p := t.plot("simulated flow (veh/h)")
	p.X.Label.Text = "counted flow (veh/h)"
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0, most, 0, most

	const steps = 200 // of the two curves, which bend at their beginning only
	equal := curveTo{style: draw.LineStyle{Color: t.ink, Width: vg.Points(1)}, points: plotter.XYs{{}, {X: most, Y: most}}}
	lower := curveTo{style: draw.LineStyle{Color: t.faint, Width: vg.Points(1), Dashes: dashes}}
	upper := lower
	for i := range steps + 1 {
		c := most * math.Pow(float64(i)/steps, 2)
		low, high := calibration.Band(c, calibration.Accepted)
		lower.points, upper.points = append(lower.points, plotter.XY{X: c, Y: low}), append(upper.points, plotter.XY{X: c, Y: high})
	}
	p.Add(equal, lower, upper, within, beyond)
	p.Legend.Add(fmt.Sprintf("GEH below %d: %d of %d", calibration.Accepted, len(within.at), len(within.at)+len(beyond.at)), within)
	p.Legend.Add(fmt.Sprintf("GEH of %d or more: %d", calibration.Accepted, len(beyond.at)), beyond)
	p.Legend.Add("simulated as counted", equal)
	p.Legend.Add(fmt.Sprintf("GEH of %d", calibration.Accepted), lower)
	if err := write(w, o, "Simulated and counted flows", []*plot.Plot{p}); err != nil {
		return fmt.Errorf("drawing counts: %w", err)
	}
	return nil
}

// marks are one mark at several places.
type marks struct {
	theme theme
	mark  mark
	at    plotter.XYs
}

// Plot implements plot.Plotter.
func (m marks) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	for _, at := range m.at {
		m.mark.draw(&c, m.theme, vg.Point{X: x(at.X), Y: y(at.Y)})
	}
}

// Thumbnail implements plot.Thumbnailer.
func (m marks) Thumbnail(c *draw.Canvas) { m.mark.draw(c, m.theme, c.Center()) }

// curveTo is a curve that is cut where the plot ends.
type curveTo struct {
	style  draw.LineStyle
	points plotter.XYs
}

// Plot implements plot.Plotter.
func (l curveTo) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	line := make([]vg.Point, len(l.points))
	for i, at := range l.points {
		line[i] = vg.Point{X: x(at.X), Y: y(at.Y)}
	}
	c.StrokeLines(l.style, c.ClipLinesXY(line)...)
}

// Thumbnail implements plot.Thumbnailer.
func (l curveTo) Thumbnail(c *draw.Canvas) {
	middle := c.Center().Y
	c.StrokeLine2(l.style, c.Min.X, middle, c.Max.X, middle)
}
