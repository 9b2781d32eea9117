package chart

import (
	"bytes"
	"fmt"
	"html"
	"image/png"
	"io"
	"math"
	"slices"
	"strings"

	"golang.org/x/image/font"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/statistics"
	"github.com/sumo-k8/sumo-k8/pkg/study"
)

// StudyPlot is one plot of a study.
type StudyPlot struct {
	Name, Title string
	sheet       func(*drawing) (sheet, error)
}

// Differences is the plot that takes a baseline.
const Differences = "differences"

// StudyPlots lists the plots of a study.
func StudyPlots() []StudyPlot {
	return []StudyPlot{
		{"means", "Means with confidence intervals", (*drawing).means},
		{"boxes", "All runs of each point", (*drawing).boxes},
		{Differences, "Differences to the baseline", (*drawing).differences},
		{"convergence", "Width of the interval by the number of runs", (*drawing).convergence},
	}
}

// Question is what a plot of a study is to show.
type Question struct {
	Metric simulation.Measure
	// Axis is the horizontal one of means: the name of one of the study's. If empty it is the first that has several values; a study
	// without one has its points side by side.
	Axis string
	// Baseline is that of differences.
	Baseline study.Baseline
	Level    *statistics.Level
	// Most bounds how many points a plot shows that has a row for each, and in proportion its panels; the plot says how many it leaves out.
	// 0 shows all.
	Most int
}

// drawing is a plot in the making.
type drawing struct {
	theme
	Question
	data      *study.Data
	width     vg.Length
	fates     []study.Fate
	estimates []study.Estimate // by point
}

// mostPixels bounds a PNG: each pixel takes four bytes while it is drawn. SVG has no bound but that on points and runs.
const mostPixels = 12_000_000

// DrawStudy writes a plot of a study. It is as high as its points take, whatever o.Height is: a row for each point, or a panel for each
// combination of the other axes.
func DrawStudy(w io.Writer, kind StudyPlot, d *study.Data, q Question, o Options) error {
	theme := o.theme()
	width, _ := o.size()
	drawn := drawing{
		theme: theme, Question: q, data: d, width: width, fates: d.Fates(),
		estimates: d.Statistics(q.Level, []simulation.Measure{q.Metric}, d.Study.Plan.Replications.Until),
	}
	s, err := kind.sheet(&drawn)
	if err != nil {
		return err
	}
	s.theme = theme
	l := s.layout(width)
	o.Height = int(math.Ceil(float64(l.height / vg.Inch * dpi)))
	if o.SVG {
		svg := vgsvg.NewWith(vgsvg.UseWH(width, l.height))
		l.draw(draw.New(svg))
		var text bytes.Buffer
		if _, err := svg.WriteTo(&text); err != nil {
			return fmt.Errorf("drawing %s: %w", kind.Name, err)
		}
		_, err := w.Write(described(finish(text.Bytes(), o), s.title+". "+s.subtitle))
		return err
	}
	if pixels := o.Width * o.Height; pixels > mostPixels {
		return problem.New(problem.TooLarge, "This plot has %d × %d pixels, and a PNG at most %d. Ask for the SVG, which has no bound.",
			o.Width, o.Height, mostPixels)
	}
	bitmap := vgimg.NewWith(vgimg.UseWH(width, l.height), vgimg.UseDPI(dpi), vgimg.UseBackgroundColor(theme.background))
	l.draw(draw.New(bitmap))
	return png.Encode(w, bitmap.Image())
}

// described is a drawing with a title for those who do not see it.
func described(svg []byte, text string) []byte {
	at := bytes.Index(svg, []byte("<svg "))
	end := at + bytes.IndexByte(svg[at:], '>')
	title := `<title>` + html.EscapeString(printable(text)) + `</title>`
	return slices.Concat(svg[:at], []byte(`<svg role="img" `), svg[at+len("<svg "):end+1], []byte(title), svg[end+1:])
}

// unit is that of q's metric in brackets, empty for a bare number.
func (q Question) unit() string {
	if q.Metric.Unit == "1" {
		return ""
	}
	return q.Metric.Unit
}

func inBrackets(text, unit string) string {
	if unit == "" {
		return text
	}
	return text + " (" + unit + ")"
}

func (d *drawing) label(point int) string {
	p := d.data.Points[point]
	return study.Label(p.Variant, p.Setting)
}

func (d *drawing) percent() string { return study.ExactPercent(d.Level.Confidence()) }

// subtitle says whose plot it is.
func (d *drawing) subtitle(more ...string) string {
	return strings.Join(append([]string{d.data.Study.Name, d.runs()}, more...), " · ")
}

// runs are how many values points have: "n = 10", or "n = 3 to 10".
func (d *drawing) runs() string {
	least, most := math.MaxInt, 0
	for _, e := range d.estimates {
		least, most = min(least, e.N), max(most, e.N)
	}
	if least >= most {
		return fmt.Sprintf("n = %d", most)
	}
	return fmt.Sprintf("n = %d to %d", least, most)
}

// mostNamed bounds the points that a note names.
const mostNamed = 6

// list names points, with what is to be said of each; those beyond mostNamed are counted.
func (d *drawing) list(points []int, of func(point int) string) string {
	var parts []string
	for i, p := range points {
		if i == mostNamed {
			parts = append(parts, fmt.Sprintf("and %d more", len(points)-i))
			break
		}
		parts = append(parts, d.label(p)+of(p))
	}
	return strings.Join(parts, "; ")
}

// missing are words for a point's runs that have ended without a result, and for those that have not ended.
func (d *drawing) missing(point int) string {
	f := d.fates[point]
	var parts []string
	if f.Missing > 0 {
		parts = append(parts, fmt.Sprintf("%d of %d runs missing", f.Missing, len(d.data.Study.Seeds)))
	}
	if f.Open > 0 {
		parts = append(parts, fmt.Sprintf("%d open", f.Open))
	}
	return strings.Join(parts, ", ")
}

const noValue = "No run has a value of this metric"

// notes are what a reader has to know about the points that a plot shows.
func (d *drawing) notes(points []int) (notes []string) {
	var none, single, constant, open []int
	for _, p := range points {
		e := d.estimates[p]
		switch {
		case e.N == 0:
			none = append(none, p)
		case e.N == 1:
			single = append(single, p)
		case e.SD == 0:
			constant = append(constant, p)
		}
		if d.fates[p].Open > 0 {
			open = append(open, p)
		}
	}
	nothing := func(int) string { return "" }
	if len(none) == len(points) {
		notes = append(notes, noValue+".")
	}
	if incomplete := d.incomplete(points); len(incomplete) > 0 {
		notes = append(notes, d.missingNote(incomplete, ", so that what is left looks better than it is")+d.list(incomplete, func(p int) string {
			return fmt.Sprintf(": %d of %d runs missing", d.fates[p].Missing, len(d.data.Study.Seeds))
		})+".")
	}
	notes = append(notes, d.data.Flattery([]simulation.Measure{d.Metric})...)
	if len(open) > 0 {
		notes = append(notes, fmt.Sprintf("Runs of %d of these points have not ended: the plot will change.", len(open)))
	}
	if len(none) > 0 && len(none) < len(points) {
		notes = append(notes, "No value: "+d.list(none, nothing)+".")
	}
	if len(single) > 0 {
		notes = append(notes, "A single value, which has no interval: "+d.list(single, nothing)+".")
	}
	if len(constant) > 0 {
		notes = append(notes, "All runs gave the same number, so that the interval has no width: "+d.list(constant, nothing)+".")
	}
	return notes
}

// shown are the first of n rows, and a note if that leaves some out.
func (d *drawing) shown(n int) (shown int, notes []string) {
	if d.Most > 0 && n > d.Most {
		return d.Most, []string{fmt.Sprintf("The first %d of %d are shown.", d.Most, n)}
	}
	return n, nil
}

// mark is that of the series with number i.
func (d *drawing) mark(i int) mark {
	return mark{shape: shapes[i%MostRuns], colour: d.palette[i%MostRuns]}
}

// pattern is the line of the series with number i.
func (d *drawing) pattern(i int) draw.LineStyle {
	style := d.line(i)
	style.Dashes = patterns[i%MostRuns]
	return style
}

// lineEntry is a series in a legend.
func (d *drawing) lineEntry(text string, style draw.LineStyle, m *mark) entry {
	return entry{text, func(c *draw.Canvas, from, to vg.Point) {
		c.StrokeLines(style, []vg.Point{from, to})
		if m != nil {
			m.draw(c, d.theme, vg.Point{X: (from.X + to.X) / 2, Y: from.Y})
		}
	}}
}

// markEntry is a kind of marker in a legend, with its interval.
func (d *drawing) markEntry(text string, m mark) entry {
	return d.lineEntry(text, m.whisker(), &m)
}

// hollow is the entry for incomplete points, if there are any among points.
func (d *drawing) hollow(points []int) []entry {
	if len(d.incomplete(points)) == 0 {
		return nil
	}
	return []entry{d.markEntry("hollow: runs are missing", mark{colour: d.ink, hollow: true})}
}

// rowPlot is a plot in the making whose points stand below each other, each with a label and a remark.
type rowPlot struct {
	d      *drawing
	plot   *plot.Plot
	rows   []row
	ticks  plot.ConstantTicks
	right  []remark
	y      vg.Length
	x      *span
	labels draw.TextStyle
}

func (d *drawing) rowPlot(xLabel string) *rowPlot {
	p := d.plot("")
	p.X.Label.Text = xLabel
	p.X.Tick.Marker = roundTicks(6)
	return &rowPlot{d: d, plot: p, x: newSpan(), labels: d.text(small, font.WeightNormal, d.ink)}
}

// add adds a row that is as high as its label and its remark.
func (r *rowPlot) add(one row, label, right string) {
	lines := wrap(r.labels, printable(label), r.d.width*0.36)
	beside := wrap(r.d.remarkStyle(), printable(right), r.d.width*0.3)
	height := vg.Length(max(len(lines), len(beside)))*lineHeight + 8
	one.y = -float64(r.y + height/2)
	r.y += height
	r.ticks = append(r.ticks, plot.Tick{Value: one.y, Label: strings.Join(lines, "\n")})
	r.right = append(r.right, remark{one.y, strings.Join(beside, "\n")})
	r.rows = append(r.rows, one)
	r.x.add(one.mean)
	if one.half > 0 {
		r.x.add(one.mean-one.half, one.mean+one.half)
	}
	if one.spread != nil {
		r.x.add(one.spread.values...)
	}
}

func (r *rowPlot) pane() pane {
	if r.x.least > r.x.most {
		r.plot.X.Tick.Marker = plot.ConstantTicks{}
	}
	r.x.set(&r.plot.X)
	r.plot.Y.Min, r.plot.Y.Max = -float64(max(r.y, 1)), 0
	r.plot.Y.Tick.Marker = r.ticks
	r.plot.Y.Tick.Length = 0
	r.plot.Add(rows{r.d.theme, r.rows})
	const (
		axis  = 45         // height of the horizontal axis with its label
		empty = lineHeight // height of the data without a row
	)
	return pane{plot: r.plot, height: max(r.y, empty) + axis, right: r.right}
}

// estimated is a mean with its interval in words.
func (d *drawing) estimated(e study.Estimate) string {
	unit := d.unit()
	switch {
	case e.N == 0:
		return "no value"
	case e.N == 1:
		return study.Quantity(e.Mean, 0, unit) + ", n = 1"
	case e.SD == 0:
		return fmt.Sprintf("%s in all of %d", study.Quantity(e.Mean, 0, unit), e.N)
	}
	return fmt.Sprintf("%s ± %s, n = %d", study.Quantity(e.Mean, e.Half, ""), study.Quantity(e.Half, e.Half, unit), e.N)
}

// missingNote begins a note on points that lack runs.
func (d *drawing) missingNote(points []int, so string) string {
	if slices.ContainsFunc(points, func(p int) bool { return d.fates[p].Biased() }) {
		return "Runs are missing, and not at random: those in congestion fail first" + so + ". "
	}
	return "Runs are missing that were cancelled, or could not be run as planned. "
}

// withMissing adds what is missing of a point to a remark.
func (d *drawing) withMissing(text string, point int) string {
	if missing := d.missing(point); missing != "" {
		text += "; " + missing
	}
	return text
}

func (d *drawing) all() []int {
	points := make([]int, len(d.data.Points))
	for i := range points {
		points[i] = i
	}
	return points
}

// incomplete are those of some points that lack runs.
func (d *drawing) incomplete(points []int) []int {
	return slices.DeleteFunc(slices.Clone(points), func(p int) bool { return !d.fates[p].Incomplete() })
}

// means is a metric over an axis, or at points side by side.
func (d *drawing) means() (sheet, error) {
	title := fmt.Sprintf("%s: means with %s intervals", d.Metric.Words(), d.percent())
	axis := slices.IndexFunc(d.data.Study.Plan.Axes, func(a study.Axis) bool {
		return d.Axis == a.Name || d.Axis == "" && len(a.Values) > 1
	})
	if axis >= 0 {
		return d.overAxis(axis, title), nil
	}
	if d.Axis != "" {
		return sheet{}, noAxis(d.data.Study.Plan, d.Axis)
	}
	r := d.rowPlot(inBrackets(d.Metric.Words(), d.unit()))
	n, notes := d.shown(len(d.data.Points))
	points := d.all()[:n]
	for _, p := range points {
		e := d.estimates[p]
		m := d.mark(0)
		m.hollow = d.fates[p].Incomplete()
		r.add(row{mean: e.Mean, half: e.Half, mark: m}, d.label(p), d.withMissing(d.estimated(e), p))
	}
	return sheet{
		title: title, subtitle: d.subtitle(), legend: d.hollow(points), panes: []pane{r.pane()}, notes: append(notes, d.notes(points)...),
	}, nil
}

func noAxis(p study.Plan, name string) error {
	if len(p.Axes) == 0 {
		return problem.New(problem.Invalid, "%.80q is no axis of this study, which has none. Leave axis out.", name).
			WithItems(problem.Item{Location: "query.axis", Message: "is no axis of this study, which has none", Value: name})
	}
	names := make([]string, len(p.Axes))
	for i, a := range p.Axes {
		names[i] = a.Name
	}
	return problem.New(problem.Invalid, "%.80q is no axis of this study. It has %s.", name, strings.Join(names, ", ")).
		WithItems(problem.Item{Location: "query.axis", Message: "is no axis of this study", Value: name})
}

// boxes are all runs of each point.
func (d *drawing) boxes() (sheet, error) {
	r := d.rowPlot(inBrackets(d.Metric.Words(), d.unit()))
	n, notes := d.shown(len(d.data.Points))
	points := d.all()[:n]
	drawn := false
	for _, p := range points {
		e := d.estimates[p]
		values := statistics.Present(d.data.Values(d.Metric.Name, p))
		m := mark{shape: shapes[3], colour: d.palette[0], hollow: d.fates[p].Incomplete()}
		text := fmt.Sprintf("n = %d", e.N)
		if e.N == 0 {
			text = "no value"
		}
		drawn = drawn || e.N >= fewForBox
		r.add(row{mean: e.Mean, half: math.NaN(), mark: m, spread: &spread{values, e.Sample}}, d.label(p), d.withMissing(text, p))
	}
	legend := []entry{
		{"one run", func(c *draw.Canvas, from, to vg.Point) {
			c.SetColor(d.ink)
			c.Fill(shape(nil).path(vg.Point{X: (from.X + to.X) / 2, Y: from.Y}, 1.5))
		}},
		{"mean", func(c *draw.Canvas, from, to vg.Point) {
			mark{shape: shapes[3], colour: d.palette[0]}.draw(c, d.theme, vg.Point{X: (from.X + to.X) / 2, Y: from.Y})
		}},
	}
	if drawn {
		legend = append(legend, entry{"quartiles and median, least and greatest run", func(c *draw.Canvas, from, to vg.Point) {
			at := func(share float64) float64 { return float64(from.X) + share*float64(to.X-from.X) }
			d.box(c, statistics.Sample{N: fewForBox, Min: at(0), Q1: at(0.25), Median: at(0.5), Q3: at(0.75), Max: at(1)}, d.palette[0],
				func(v float64) vg.Length { return vg.Length(v) }, from.Y)
		}})
	}
	return sheet{
		title: d.Metric.Words() + " of all runs", subtitle: d.subtitle(), legend: append(legend, d.hollow(points)...), panes: []pane{r.pane()},
		notes: append(notes, d.notes(points)...),
	}, nil
}

// axisPane is the height of a plot over an axis, in points.
const axisPane = 270
