package chart

import (
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/sumo-k8/sumo-k8/pkg/statistics"
)

// A shape is a marker's outline: its corners around the centre, at distance 1 more or less. One without corners is a circle.
type shape []vg.Point

// MostRuns shapes and patterns of dashes set lines apart without colour.
var (
	shapes = [MostRuns]shape{
		nil, polygon(4, math.Pi/4, 1.15), polygon(3, math.Pi/2, 1.3), polygon(4, 0, 1.25), polygon(3, -math.Pi/2, 1.3),
		star(5, 0.5, 1.45), polygon(6, 0, 1.1), star(4, 0.45, 1.45),
	}
	patterns = [MostRuns][]vg.Length{
		nil, {6, 3}, {1.5, 2.5}, {9, 3, 1.5, 3}, {3, 1.5}, {12, 4}, {1.5, 1.5, 1.5, 5}, {8, 2, 2, 2, 2, 2},
	}
)

func polygon(corners int, from, radius float64) shape {
	s := make(shape, corners)
	for i := range s {
		sin, cos := math.Sincos(from + 2*math.Pi*float64(i)/float64(corners))
		s[i] = vg.Point{X: vg.Length(radius * cos), Y: vg.Length(radius * sin)}
	}
	return s
}

func star(points int, inner, radius float64) shape {
	s := polygon(2*points, math.Pi/2, radius)
	for i := 1; i < len(s); i += 2 {
		s[i].X, s[i].Y = s[i].X*vg.Length(inner), s[i].Y*vg.Length(inner)
	}
	return s
}

func (s shape) path(at vg.Point, radius vg.Length) (p vg.Path) {
	if s == nil {
		p.Move(vg.Point{X: at.X + radius, Y: at.Y})
		p.Arc(at, radius, 0, 2*math.Pi)
		p.Close()
		return p
	}
	for i, corner := range s {
		to := vg.Point{X: at.X + corner.X*radius, Y: at.Y + corner.Y*radius}
		if i == 0 {
			p.Move(to)
			continue
		}
		p.Line(to)
	}
	p.Close()
	return p
}

// mark is a mean with its interval.
type mark struct {
	shape        shape
	colour       color.Color
	hollow, bold bool
}

const markRadius = 3.4 // points

// draw puts a marker at a place.
func (m mark) draw(c *draw.Canvas, t theme, at vg.Point) {
	path := m.shape.path(at, markRadius)
	c.SetColor(m.colour)
	if m.hollow {
		c.SetColor(t.background)
	}
	c.Fill(path)
	c.SetLineStyle(draw.LineStyle{Color: m.colour, Width: vg.Points(1.3)})
	c.Stroke(path)
}

// whisker is the style of m's interval.
func (m mark) whisker() draw.LineStyle {
	width := vg.Points(1.1)
	if m.bold {
		width = vg.Points(2)
	}
	return draw.LineStyle{Color: m.colour, Width: width}
}

// spread is drawn behind a row's mark: all its values, and a box if they are enough for one.
type spread struct {
	values []float64
	sample statistics.Sample
}

// fewForBox is the number of values below which quartiles say less than the values themselves.
const fewForBox = 5

// row is one line of a plot whose points stand below each other.
type row struct {
	y          float64 // points from the top, negative
	mean, half float64 // NaN without one
	mark       mark
	spread     *spread
}

// rows draw themselves.
type rows struct {
	theme theme
	all   []row
}

// Plot implements plot.Plotter.
func (r rows) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	for _, one := range r.all {
		at := y(one.y)
		if math.IsNaN(one.mean) {
			continue
		}
		if one.spread != nil {
			r.theme.box(&c, one.spread.sample, one.mark.colour, x, at)
		}
		if one.half > 0 {
			left, right, style := x(one.mean-one.half), x(one.mean+one.half), one.mark.whisker()
			c.StrokeLine2(style, left, at, right, at)
			for _, end := range []vg.Length{left, right} {
				c.StrokeLine2(style, end, at-serif, end, at+serif)
			}
		}
		one.mark.draw(&c, r.theme, vg.Point{X: x(one.mean), Y: at})
		if one.spread != nil {
			r.theme.dots(&c, one.spread.values, x, at)
		}
	}
}

const (
	serif     = 3 // half the length of the bar at the end of an interval, in points
	boxHeight = 13
)

// box draws quartiles and median, with whiskers to the least and the greatest value.
func (t theme) box(c *draw.Canvas, q statistics.Sample, colour color.Color, x func(float64) vg.Length, at vg.Length) {
	if q.N < fewForBox {
		return
	}
	const half = boxHeight / 2.0
	line := draw.LineStyle{Color: colour, Width: vg.Points(1)}
	c.StrokeLine2(line, x(q.Min), at, x(q.Q1), at)
	c.StrokeLine2(line, x(q.Q3), at, x(q.Max), at)
	for _, end := range []float64{q.Min, q.Max} {
		c.StrokeLine2(line, x(end), at-serif, x(end), at+serif)
	}
	var path vg.Path
	path.Move(vg.Point{X: x(q.Q1), Y: at - half})
	path.Line(vg.Point{X: x(q.Q3), Y: at - half})
	path.Line(vg.Point{X: x(q.Q3), Y: at + half})
	path.Line(vg.Point{X: x(q.Q1), Y: at + half})
	path.Close()
	c.SetColor(t.fill(colour))
	c.Fill(path)
	c.SetLineStyle(line)
	c.Stroke(path)
	c.StrokeLine2(draw.LineStyle{Color: colour, Width: vg.Points(2.2)}, x(q.Median), at-half, x(q.Median), at+half)
}

// dots draws every value. They keep clear of each other by a sequence that spreads evenly however many there are, and that is the same in
// each drawing.
func (t theme) dots(c *draw.Canvas, values []float64, x func(float64) vg.Length, at vg.Length) {
	const radius = 1.5
	var dots vg.Path
	for i, v := range values {
		_, part := math.Modf(float64(i+1) * 0.6180339887) // the golden ratio
		dots = append(dots, shape(nil).path(vg.Point{X: x(v), Y: at + vg.Length((part-0.5)*boxHeight*0.75)}, radius)...)
	}
	c.SetColor(t.ink)
	c.Fill(dots)
}

// spot is a mean at a place of an axis.
type spot struct{ x, mean, half float64 }

// polyline is a line through means with their intervals; it is interrupted where there is no mean.
type polyline struct {
	theme  theme
	style  draw.LineStyle
	mark   mark
	spots  []spot
	hollow []bool // by spot
	plain  bool   // without markers and intervals
}

// Plot implements plot.Plotter.
func (l polyline) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	var line []vg.Point
	flush := func() {
		if len(line) > 1 {
			c.StrokeLines(l.style, c.ClipLinesXY(line)...)
		}
		line = nil
	}
	for _, s := range l.spots {
		if math.IsNaN(s.mean) {
			flush()
			continue
		}
		line = append(line, vg.Point{X: x(s.x), Y: y(s.mean)})
	}
	flush()
	if l.plain {
		return
	}
	for i, s := range l.spots {
		if math.IsNaN(s.mean) {
			continue
		}
		at := vg.Point{X: x(s.x), Y: y(s.mean)}
		if s.half > 0 {
			low, high, style := y(s.mean-s.half), y(s.mean+s.half), l.mark.whisker()
			c.StrokeLine2(style, at.X, low, at.X, high)
			for _, end := range []vg.Length{low, high} {
				c.StrokeLine2(style, at.X-serif, end, at.X+serif, end)
			}
		}
		m := l.mark
		m.hollow = l.hollow[i]
		m.draw(&c, l.theme, at)
	}
}

// rule is a straight line through a plot, at a value of one axis.
type rule struct {
	at       float64
	vertical bool
	style    draw.LineStyle
}

// Plot implements plot.Plotter.
func (r rule) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	if r.vertical {
		c.StrokeLine2(r.style, x(r.at), c.Min.Y, x(r.at), c.Max.Y)
		return
	}
	c.StrokeLine2(r.style, c.Min.X, y(r.at), c.Max.X, y(r.at))
}
