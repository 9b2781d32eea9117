// Package chart draws the plots of runs, for reports and the command line. It lays several runs over each other, so
// that they can be compared.
package chart

import (
	"bytes"
	"fmt"
	"image/png"
	"io"
	"math"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/image/font"
	"gonum.org/v1/plot"
	plotfont "gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/outputs"
)

// Kind is one plot of a run.
type Kind struct {
	Name  string
	Title string
	// Distribution names the distribution over trips; empty for a plot over time or over iterations.
	Distribution string
	panels       []panel
}

// panel is one of the plots that share a time axis, one above the other.
type panel struct {
	label  string
	scale  float64 // what values are multiplied by, to be in the label's unit
	curves []curve // of a comparison only the first is shown
}

type curve struct {
	name, legend string
	dashed       bool
}

// Emissions is the plot of an output that not every run has, and Convergence that of a tool that iterates.
const (
	Emissions   = "emissions"
	Convergence = "convergence"
)

// Kinds lists all plots.
func Kinds() []Kind {
	return []Kind{
		{Name: "vehicles", Title: "Vehicles over time", panels: []panel{
			{"vehicles", 1, []curve{{"running", "running", false}, {"halting", "of these halting", false}, {"waiting", "waiting to depart", true}}},
		}},
		{Name: "speed", Title: "Mean speed over time", panels: []panel{{"mean speed (km/h)", 3.6, []curve{{"mean_speed",
			"mean of the running vehicles", false}}}}},
		{Name: "travel_time", Title: "Travel times of all trips", Distribution: "travel_time"},
		{Name: "time_loss", Title: "Time lost on all trips", Distribution: "time_loss"},
		{Name: "waiting_time", Title: "Waiting times of all trips", Distribution: "waiting_time"},
		{Name: Emissions, Title: "Emissions over time", panels: []panel{
			{"CO₂ (g/s)", 1, []curve{{"co2", "CO₂ of all vehicles", false}}},
			{"NOx (mg/s)", 1, []curve{{"nox", "NOx of all vehicles", false}}},
		}},
		{Name: Convergence, Title: "Convergence of the assignment"},
	}
}

// Run is the data of one run. Only what the plot shows is needed.
type Run struct {
	Label       string
	Series      *outputs.Series
	Trips       *outputs.Distributions
	Convergence *simulation.Convergence
}

// Options say how a plot looks.
type Options struct {
	SVG           bool // rather than PNG
	Dark          bool
	Width, Height int // pixels
	// Subtitle says whose plot it is.
	Subtitle string
}

// MostRuns is how many runs have distinguishable colours.
const MostRuns = 8

// dpi makes a text of 11 points 18 pixels high: readable on a screen and on a slide.
const dpi = 120

// Draw writes a plot of at least one run.
func Draw(w io.Writer, kind Kind, runs []Run, o Options) error {
	theme := o.theme()
	for i := range runs {
		runs[i].Label = printable(runs[i].Label)
	}
	_, height := o.size()
	var panels []*plot.Plot
	var err error
	switch {
	case kind.Distribution != "":
		panels, err = theme.distribution(kind.Distribution, runs, height)
	case kind.Name == Convergence:
		panels, err = theme.overIterations(runs, height)
	default:
		panels, err = theme.overTime(kind.panels, runs, height)
	}
	if err != nil {
		return fmt.Errorf("drawing %s: %w", kind.Name, err)
	}
	return write(w, o, kind.Title, panels)
}

func (o Options) theme() theme {
	t := light
	if o.Dark {
		t = dark
	}
	t.svg = o.SVG
	return t
}

func (o Options) size() (width, height vg.Length) {
	return vg.Length(o.Width) * vg.Inch / dpi, vg.Length(o.Height) * vg.Inch / dpi
}

// write writes panels below a title as a file.
func write(w io.Writer, o Options, title string, panels []*plot.Plot) error {
	theme := o.theme()
	width, height := o.size()
	if o.SVG {
		svg := vgsvg.NewWith(vgsvg.UseWH(width, height))
		theme.lay(draw.New(svg), title, printable(o.Subtitle), panels)
		var text bytes.Buffer
		if _, err := svg.WriteTo(&text); err != nil {
			return err
		}
		_, err := w.Write(finish(text.Bytes(), o))
		return err
	}
	bitmap := vgimg.NewWith(vgimg.UseWH(width, height), vgimg.UseDPI(dpi), vgimg.UseBackgroundColor(theme.background))
	theme.lay(draw.New(bitmap), title, printable(o.Subtitle), panels)
	return png.Encode(w, bitmap.Image())
}

var svgSize = regexp.MustCompile(`<svg width="[^"]*" height="[^"]*"`)

// finish sets the requested size in pixels instead of points, and fallbacks for viewers without our typeface.
func finish(svg []byte, o Options) []byte {
	if at := svgSize.FindIndex(svg); at != nil {
		svg = slices.Concat(svg[:at[0]], fmt.Appendf(nil, `<svg width="%d" height="%d"`, o.Width, o.Height), svg[at[1]:])
	}
	return bytes.ReplaceAll(svg, []byte("font-family:Liberation Sans;"), []byte("font-family:Liberation Sans,Arial,Helvetica,sans-serif;"))
}

// lay puts the title and the panels onto a canvas.
func (t theme) lay(c draw.Canvas, title, subtitle string, panels []*plot.Plot) {
	c.SetColor(t.background)
	c.Fill(c.Path())
	const margin = 10 // points
	left, top := c.Min.X+margin, c.Max.Y-margin
	heading := t.text(14, font.WeightBold, t.ink)
	heading.YAlign = draw.YTop
	c.FillText(heading, vg.Point{X: left, Y: top}, title)
	below := t.text(10, font.WeightNormal, t.faint)
	below.YAlign = draw.YTop
	c.FillText(below, vg.Point{X: left, Y: top - 20}, shorten(below, subtitle, c.Max.X-left-margin))

	area := draw.Crop(c, 0, 0, 0, -margin-42)
	tiles := draw.Tiles{
		Rows: len(panels), Cols: 1, PadY: vg.Points(8), PadBottom: vg.Points(8), PadLeft: vg.Points(10), PadRight: vg.Points(18),
	}
	grid := make([][]*plot.Plot, len(panels))
	for i, p := range panels {
		grid[i] = []*plot.Plot{p}
	}
	for row, at := range plot.Align(grid, tiles, area) {
		grid[row][0].Draw(at[0])
	}
}

// shorten cuts text that is wider than there is room.
func shorten(style draw.TextStyle, text string, room vg.Length) string {
	runes := []rune(text)
	for n := len(runes); n > 0; n-- {
		cut := string(runes[:n])
		if n < len(runes) {
			cut += "…"
		}
		if style.Width(cut) <= room {
			return cut
		}
	}
	return ""
}

// overTime makes panels over one axis of time.
func (t theme) overTime(panels []panel, runs []Run, height vg.Length) ([]*plot.Plot, error) {
	first, end := math.Inf(1), math.Inf(-1)
	for _, r := range runs {
		if n := len(r.Series.Time); n > 0 {
			first, end = math.Min(first, r.Series.Time[0]), math.Max(end, r.Series.Time[n-1])
		}
	}
	if first > end {
		first, end = 0, 1
	}
	label, ticks := timeAxis(first, end)
	var plots []*plot.Plot
	for i, panel := range panels {
		p := t.plot(panel.label)
		p.X.Min, p.X.Max, p.X.Tick.Marker = first, math.Max(end, first+1), ticks
		if i == len(panels)-1 {
			p.X.Label.Text = label
		}
		for n, run := range runs {
			curves := panel.curves
			if len(runs) > 1 {
				curves = []curve{{curves[0].name, run.Label, false}}
			}
			for k, c := range curves {
				data := run.Series.Curve(c.name)
				if data == nil {
					continue
				}
				style := t.line(n + k)
				if c.dashed {
					style.Dashes = dashes
				}
				// The area shows at a glance which curve the others are part of.
				if err := t.addCurve(p, run.Series.Time, scaled(data.Values, panel.scale), style, c.legend, len(runs) == 1 && k == 0); err != nil {
					return nil, err
				}
			}
		}
		if i > 0 && len(runs) > 1 {
			p.Legend = plot.NewLegend() // the first panel's says it
		}
		raise(p, max(legendLines, len(runs)), height/vg.Length(len(panels)))
		plots = append(plots, p)
	}
	return plots, nil
}

func scaled(values outputs.Values, factor float64) outputs.Values {
	out := make(outputs.Values, len(values))
	for i, v := range values {
		out[i] = v * factor
	}
	return out
}

// addCurve adds a curve with gaps where it has no values.
func (t theme) addCurve(p *plot.Plot, time, values outputs.Values, style draw.LineStyle, legend string, filled bool) error {
	named := false
	for from := 0; from < len(values); from++ {
		to := from
		for to < len(values) && !math.IsNaN(values[to]) {
			to++
		}
		if to == from {
			continue
		}
		points := make(plotter.XYs, 0, to-from)
		for i := from; i < to; i++ {
			points = append(points, plotter.XY{X: time[i], Y: values[i]})
		}
		line, err := plotter.NewLine(points)
		if err != nil {
			return err
		}
		line.LineStyle = style
		if filled {
			line.FillColor = t.fill(style.Color)
		}
		p.Add(line)
		if !named {
			p.Legend.Add(legend, line)
			named = true
		}
		from = to
	}
	return nil
}

// distribution draws a histogram of one run. For several it draws the share of trips up to each value, which compares runs of any
// size and with bins of any width.
func (t theme) distribution(name string, runs []Run, height vg.Length) ([]*plot.Plot, error) {
	var ds []*outputs.Distribution
	empty := true
	for _, r := range runs {
		d := r.Trips.Distribution(name)
		if d == nil {
			return nil, fmt.Errorf("a run has no %s", name)
		}
		ds = append(ds, d)
		empty = empty && len(d.Counts) == 0
	}
	p := t.plot("trips")
	if len(runs) > 1 {
		p.Y.Label.Text = "share of trips up to a value (%)"
	}
	p.X.Label.Text = fmt.Sprintf("%s (%s)", lower(ds[0].Label), ds[0].Unit)
	if empty {
		p.X.Max = 1
		raise(p, 0, height)
		return []*plot.Plot{p}, nil
	}
	p.X.Min, p.X.Max = math.Inf(1), math.Inf(-1)
	for i, d := range ds {
		n := len(d.Edges)
		if n == 0 {
			continue
		}
		p.X.Min, p.X.Max = math.Min(p.X.Min, d.Edges[0]), math.Max(p.X.Max, d.Edges[n-1])
		points, style, legend := steps(d), t.line(i), fmt.Sprintf("%s, median %s %s", runs[i].Label, number(float64(d.P50)), d.Unit)
		if len(runs) > 1 {
			points = shares(d)
		} else {
			legend = fmt.Sprintf("%s trips, in steps of %s %s", number(float64(d.Count)), number(d.Edges[1]-d.Edges[0]), d.Unit)
		}
		outline, err := plotter.NewLine(points)
		if err != nil {
			return nil, err
		}
		outline.LineStyle = style
		if len(runs) == 1 {
			outline.FillColor = t.fill(style.Color)
		}
		p.Add(outline)
		p.Legend.Add(legend, outline)
	}
	if len(runs) > 1 {
		// The curves end at the top right, so that the other corner on that side is free.
		p.Y.Min, p.Y.Max = 0, 102
		p.Legend.Top, p.Legend.Left = false, false
		p.Legend.XOffs, p.Legend.YOffs = -p.Legend.XOffs, -p.Legend.YOffs
		return []*plot.Plot{p}, nil
	}
	top := p.Y.Max
	raise(p, legendLines, height)
	d := ds[0]
	for i, mark := range []struct {
		legend string
		at     float64
	}{{"mean", float64(d.Mean)}, {"median", float64(d.P50)}, {"95 % are below", float64(d.P95)}} {
		line, err := plotter.NewLine(plotter.XYs{{X: mark.at, Y: 0}, {X: mark.at, Y: top}})
		if err != nil {
			return nil, err
		}
		line.LineStyle = t.line(i + 1)
		line.Dashes = dashes
		p.Add(line)
		p.Legend.Add(fmt.Sprintf("%s %s %s", mark.legend, number(mark.at), d.Unit), line)
	}
	return []*plot.Plot{p}, nil
}

// steps is the outline of a histogram.
func steps(d *outputs.Distribution) plotter.XYs {
	points := plotter.XYs{{X: d.Edges[0], Y: 0}}
	for i, n := range d.Counts {
		points = append(points, plotter.XY{X: d.Edges[i], Y: float64(n)}, plotter.XY{X: d.Edges[i+1], Y: float64(n)})
	}
	return append(points, plotter.XY{X: d.Edges[len(d.Edges)-1], Y: 0})
}

// shares are the parts of all trips up to each edge, in per cent.
func shares(d *outputs.Distribution) plotter.XYs {
	points := plotter.XYs{{X: d.Edges[0], Y: 0}}
	sum := 0
	for i, n := range d.Counts {
		sum += n
		points = append(points, plotter.XY{X: d.Edges[i+1], Y: 100 * float64(sum) / float64(d.Count)})
	}
	return points
}

// legendLines is how many lines the legend of a single run has at most.
const legendLines = 4

// raise makes room for a legend of so many lines above the highest value of a panel of the given height.
func raise(p *plot.Plot, lines int, height vg.Length) {
	const lineHeight, around = 13, 70 // points
	share := float64(lines*lineHeight+10) / math.Max(1, float64(height-around))
	p.Y.Min, p.Y.Max = 0, math.Max(p.Y.Max, 1e-3)/(1-math.Min(share, 0.5))
}

// printable makes a run's name fit on one line.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, text)
}

// plot returns an empty plot in the style of ours.
func (t theme) plot(yLabel string) *plot.Plot {
	p := plot.New()
	p.BackgroundColor = t.background
	p.Legend.TextStyle = t.text(10, font.WeightNormal, t.ink)
	p.Legend.Top, p.Legend.Left = true, true // text that a viewer's typeface makes wider then runs into nothing
	p.Legend.Padding = vg.Points(3)
	p.Legend.YPosition = draw.PosCenter
	p.Legend.XOffs, p.Legend.YOffs = vg.Points(8), vg.Points(-4)
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		label := axis.Label.TextStyle
		axis.Label.TextStyle = t.text(11, font.WeightNormal, t.ink)
		axis.Label.TextStyle.Rotation, axis.Label.TextStyle.XAlign, axis.Label.TextStyle.YAlign = label.Rotation, label.XAlign, label.YAlign
		axis.Label.Padding = vg.Points(4)
		tick := axis.Tick.Label
		axis.Tick.Label = t.text(10, font.WeightNormal, t.ink)
		axis.Tick.Label.XAlign, axis.Tick.Label.YAlign = tick.XAlign, tick.YAlign
		axis.Color, axis.Tick.Color = t.faint, t.faint
		axis.Padding = 0
	}
	p.X.Tick.Marker = roundTicks(10)
	p.Y.Tick.Marker = roundTicks(6)
	p.Y.Label.Text = yLabel
	p.Y.Min, p.Y.Max = 0, 0
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = t.grid, t.grid
	grid.Vertical.Width, grid.Horizontal.Width = vg.Points(0.7), vg.Points(0.7)
	p.Add(grid)
	return p
}

func (t theme) text(size vg.Length, weight font.Weight, c colour) draw.TextStyle {
	return draw.TextStyle{
		Color:   c,
		Font:    plotfont.Font{Typeface: "Liberation", Variant: "Sans", Size: size, Weight: weight},
		Handler: letters{text.Plain{Fonts: plotfont.DefaultCache}, t.svg},
	}
}
