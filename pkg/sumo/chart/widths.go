package chart

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/statistics"
	"github.com/sumo-k8/sumo-k8/pkg/study"
)

// convergence is the half width of the interval by the number of runs that count, in the order of the seeds.
func (d *drawing) convergence() (sheet, error) {
	w := d.widths()
	legend := w.style()
	if w.aimed() {
		legend = append(legend, d.lineEntry(w.aimWords(), w.aimStyle(), nil))
	}
	drawn := pane{plot: w.plot(), height: axisPane}
	if len(w.none) == len(w.lines) {
		drawn.plot.Y.Tick.Marker, drawn.message = plot.ConstantTicks{}, "No interval yet, which takes two runs of a point"
	}
	return sheet{
		title:    fmt.Sprintf("%s: half width of the %s interval by the number of runs", d.Metric.Words(), d.percent()),
		subtitle: d.subtitle(), legend: legend, panes: []pane{drawn}, notes: w.notes(drawn.plot.Y.Max),
	}, nil
}

// widths are the lines of convergence.
type widths struct {
	*drawing
	runs     courses
	aim      float64 // of the study, in the unit of the plot; NaN for none
	relative bool    // to the mean, or the baseline's, in per cent
	lines    []polyline
	order    []int // of the lines, those that are named first
	none     []int // points without a line
	y        *span
	longest  int // line, in runs
}

func (d *drawing) widths() *widths {
	w := &widths{drawing: d, runs: d.courses(), y: newSpan(), longest: 2}
	w.aim, w.relative = d.widthAim()
	w.y.add(0, 2*w.aim)
	w.lines = make([]polyline, len(w.runs.all))
	for i, c := range w.runs.all {
		spots := c.spots(d.Level, w.relative)
		w.lines[i] = polyline{theme: d.theme, plain: true, spots: spots}
		for k, s := range spots {
			// The width with two or three runs is a multiple of all later ones, which would lie on the axis.
			if s.x >= fewForBox || k == len(spots)-1 {
				w.y.add(1.2 * s.mean)
			}
			w.longest = max(w.longest, int(s.x))
		}
	}
	return w
}

// widthAim is the half width for which the study adds runs, NaN if it has no such aim for the metric, and whether widths are shown as
// shares.
func (d *drawing) widthAim() (aim float64, relative bool) {
	relative = d.Metric.Unit != "1"
	a := d.data.Study.Plan.Replications.Until
	if a == nil {
		return math.NaN(), relative
	}
	if half, ok := a.Absolute[d.Metric.Name]; ok {
		return half, false
	}
	if relative && slices.ContainsFunc(d.data.Reaches(), func(r study.Reach) bool { return r.Metric == d.Metric.Name }) {
		return 100 * a.RelativeHalfWidth, true
	}
	return math.NaN(), relative
}

func (w *widths) aimed() bool { return !math.IsNaN(w.aim) }

func (w *widths) aimWords() string {
	if w.relative {
		return "aim: " + study.ExactPercent(w.aim/100)
	}
	return "aim: " + study.Quantity(w.aim, 0, w.unit())
}

func (w *widths) aimStyle() draw.LineStyle {
	return draw.LineStyle{Color: w.ink, Width: vg.Points(1.6), Dashes: []vg.Length{2, 2}}
}

// style gives each line its looks, and returns the legend. The widest at the end are named; of more lines nobody could follow one.
func (w *widths) style() (legend []entry) {
	for i := range w.lines {
		w.order = append(w.order, i)
	}
	last := func(i int) float64 {
		if n := len(w.lines[i].spots); n > 0 {
			return w.lines[i].spots[n-1].mean
		}
		return math.Inf(-1)
	}
	if len(w.lines) > MostRuns {
		slices.SortStableFunc(w.order, func(a, b int) int { return cmp.Compare(last(b), last(a)) })
	}
	for rank, i := range w.order {
		line := &w.lines[i]
		switch {
		case len(line.spots) == 0:
			w.none = append(w.none, w.runs.all[i].point)
		case rank >= MostRuns:
			line.style = draw.LineStyle{Color: w.fill(w.faint), Width: vg.Points(0.7)}
		default:
			line.style = w.pattern(rank)
			legend = append(legend, w.lineEntry(w.label(w.runs.all[i].point), line.style, nil))
		}
	}
	slices.Sort(w.none)
	return legend
}

func (w *widths) plot() *plot.Plot {
	p := w.drawing.plot("")
	of := "mean"
	if w.runs.differences {
		of = "difference"
	}
	p.Y.Label.Text = inBrackets("Half width of the interval of the "+of, w.unit())
	if w.relative {
		p.Y.Label.Text = "Half width of the interval (% of the " + w.runs.base + ")"
	}
	p.X.Label.Text = "runs that count"
	for _, i := range slices.Backward(w.order) { // those that are named lie on top
		p.Add(w.lines[i])
	}
	if w.aimed() {
		p.Add(rule{w.aim, false, w.aimStyle()})
	}
	w.y.set(&p.Y)
	p.Y.Min = 0
	p.X.Min, p.X.Max = 1.5, float64(w.longest)+0.5
	p.X.Tick.Marker = wholeTicks{roundTicks(10)}
	return p
}

// notes are what a reader has to know about the lines. top is where the plot ends.
func (w *widths) notes(top float64) (notes []string) {
	if rest := len(w.lines) - MostRuns - len(w.none); rest > 0 {
		others := "the thin line is another one"
		if rest > 1 {
			others = fmt.Sprintf("the thin lines are %d others", rest)
		}
		notes = append(notes, fmt.Sprintf("Named are the %d points with the widest interval; %s.", MostRuns, others))
	}
	if len(w.none) > 0 && len(w.none) < len(w.lines) {
		notes = append(notes, "No interval, which takes two runs: "+w.list(w.none, func(int) string { return "" })+".")
	}
	if slices.ContainsFunc(w.lines, func(l polyline) bool { return len(l.spots) > 0 && l.spots[0].mean > top }) {
		notes = append(notes, "Lines leave the plot at the top, where few runs make the interval wide.")
	}
	if incomplete := w.incomplete(w.all()); len(incomplete) > 0 {
		missing := func(p int) string { return ": " + w.missing(p) }
		notes = append(notes, "Runs are missing, and count in no line: "+w.list(incomplete, missing)+".")
	}
	if w.data.Study.Plan.Replications.Until != nil {
		notes = append(notes, "The number of runs was decided by looking at the results after each round, so that intervals are a little too "+
			"narrow.")
	}
	return notes
}

// courses are the values of a study in the order in which they came, one list for each line.
type courses struct {
	all         []course
	differences bool
	base        string // what a relative width is a share of
}

type course struct {
	point  int
	values []float64
	base   float64 // what a relative width is a share of; NaN for the mean of the values so far
}

// courses are those of differences where the aim of the study is of differences, else those of means.
func (d *drawing) courses() courses {
	plan := d.data.Study.Plan
	if a := plan.Replications.Until; a != nil && a.Of == "difference" && plan.Baseline != nil {
		out := courses{differences: true, base: "baseline's mean"}
		for _, c := range d.data.Compare(d.Level, *plan.Baseline, []simulation.Measure{d.Metric}).All {
			out.all = append(out.all, course{
				c.Point, statistics.Differences(d.data.Values(d.Metric.Name, c.Point), d.data.Values(d.Metric.Name, c.Baseline)), c.BaselineMean,
			})
		}
		return out
	}
	out := courses{base: "mean"}
	for i := range d.data.Points {
		out.all = append(out.all, course{i, statistics.Present(d.data.Values(d.Metric.Name, i)), math.NaN()})
	}
	return out
}

// mostSteps bounds the points of a line of convergence.
const mostSteps = 200

// spots are the half widths with 2, 3, … of c's values; per cent if relative. The sums are Welford's: Note on a Method for Calculating
// Corrected Sums of Squares and Products, Technometrics 4 (1962) 3.
func (c course) spots(level *statistics.Level, relative bool) (spots []spot) {
	mean, squares := 0.0, 0.0
	every := 1 + len(c.values)/mostSteps
	for i, v := range c.values {
		n := i + 1
		delta := v - mean
		mean += delta / float64(n)
		squares += delta * (v - mean)
		if n < 2 || n%every != 0 && n != len(c.values) && n > 10 {
			continue
		}
		half := level.Half(statistics.Sample{N: n, SD: math.Sqrt(squares / float64(n-1))})
		if relative {
			of := mean
			if !math.IsNaN(c.base) {
				of = c.base
			}
			half *= 100 / math.Abs(of)
		}
		if !math.IsNaN(half) && !math.IsInf(half, 0) {
			spots = append(spots, spot{x: float64(n), mean: half})
		}
	}
	return spots
}

// wholeTicks leaves out ticks between whole numbers.
type wholeTicks struct{ of plot.Ticker }

// Ticks implements plot.Ticker.
func (w wholeTicks) Ticks(least, greatest float64) (ticks []plot.Tick) {
	for _, t := range w.of.Ticks(least, greatest) {
		if t.Value == math.Trunc(t.Value) {
			t.Label = english.Sprintf("%.0f", t.Value)
			ticks = append(ticks, t)
		}
	}
	return ticks
}
