package chart

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/study"
)

// differences is a forest plot of the points against their baselines.
func (d *drawing) differences() (sheet, error) {
	c := d.data.Compare(d.Level, d.Baseline, []simulation.Measure{d.Metric})
	n, notes := d.shown(len(c.All))
	f := d.forest(c.All[:n], oneBaseline(c.All))
	drawn := f.pane()
	drawn.above = d.sides()
	return sheet{
		title:    fmt.Sprintf("%s: differences to the baseline, with %s intervals", d.Metric.Words(), d.percent()),
		subtitle: d.subtitle("baseline: " + d.baseline(c)), legend: f.legend(c.Family), panes: []pane{drawn},
		notes: append(notes, f.notes(c)...),
	}, nil
}

// forest is a plot of comparisons below each other.
type forest struct {
	*rowPlot
	marks map[study.Verdict]mark
	seen  map[study.Verdict]bool
	// points are those that are compared, and then the baselines that are not among them.
	points []int
}

// forest draws comparisons. One baseline for all of them need not be named with each.
func (d *drawing) forest(all []study.Comparison, one bool) *forest {
	f := &forest{
		rowPlot: d.rowPlot(inBrackets("Difference of "+lower(d.Metric.Words())+" to the baseline", d.unit())),
		marks: map[study.Verdict]mark{
			study.Lower: {shape: shapes[1], colour: d.palette[0], bold: true}, study.NotToldApart: {colour: d.faint, hollow: true},
			study.ByItself: {shape: shapes[3], colour: d.palette[4], hollow: true}, study.Constant: {shape: shapes[2], colour: d.palette[2]},
		},
		seen: map[study.Verdict]bool{},
	}
	f.marks[study.Higher] = f.marks[study.Lower]
	f.x.add(0)
	for _, v := range all {
		f.points = append(f.points, v.Point)
		label := d.label(v.Point)
		if !one && len(d.Baseline.Values) > 0 { // else the label says it all
			label += " against " + d.label(v.Baseline)
		}
		f.seen[v.Verdict] = true
		if m, drawn := f.marks[v.Verdict]; drawn {
			f.add(row{mean: v.Difference.Mean, half: v.Half, mark: m}, label, d.withMissing(d.difference(v), v.Point))
		} else {
			f.add(row{mean: math.NaN(), half: math.NaN()}, label, d.withMissing(fmt.Sprintf("n = %d: too few runs", v.N), v.Point))
		}
	}
	for _, v := range all {
		if !slices.Contains(f.points, v.Baseline) {
			f.points = append(f.points, v.Baseline)
		}
	}
	f.plot.Add(rule{0, true, draw.LineStyle{Color: d.ink, Width: vg.Points(1)}})
	return f
}

// difference is a difference with its interval in words.
func (d *drawing) difference(v study.Comparison) string {
	mean := study.Quantity(v.Difference.Mean, v.Half, d.unit())
	if v.Half > 0 {
		return fmt.Sprintf("%s (%s to %s), n = %d", mean,
			study.Quantity(v.Difference.Mean-v.Half, v.Half, ""), study.Quantity(v.Difference.Mean+v.Half, v.Half, ""), v.N)
	}
	return fmt.Sprintf("%s, n = %d", mean, v.N)
}

// sides say on which side of the baseline a point is better.
func (d *drawing) sides() *sides {
	left, right := "lower", "higher"
	switch d.Metric.Better {
	case simulation.LowerIsBetter:
		left += " (better)"
	case simulation.HigherIsBetter:
		right += " (better)"
	}
	return &sides{0, "◄ " + left, right + " ►"}
}

// legend explains the marks that are in the plot. family is how many comparisons the study has.
func (f *forest) legend(family int) (legend []entry) {
	if f.seen[study.Lower] || f.seen[study.Higher] {
		text := fmt.Sprintf("told apart from chance, among all %d comparisons of the study", family)
		if family == 1 {
			text = "told apart from chance"
		}
		legend = append(legend, f.d.markEntry(text, f.marks[study.Lower]))
	}
	for _, e := range []struct {
		verdict study.Verdict
		text    string
	}{
		{study.ByItself, "told apart by itself, not among all comparisons"}, {study.NotToldApart, "not told apart from chance"},
		{study.Constant, "every pair of runs differs by the same number: no test"},
	} {
		if f.seen[e.verdict] {
			legend = append(legend, f.d.markEntry(e.text, f.marks[e.verdict]))
		}
	}
	return legend
}

// notes are what a reader has to know about the comparisons.
func (f *forest) notes(c study.Comparisons) (notes []string) {
	d := f.d
	if len(c.All) == 0 {
		notes = append(notes, "No point has a partner to be compared with.")
	}
	if len(f.seen) > 0 && (len(f.seen) != 1 || !f.seen[study.Unknown]) {
		notes = append(notes, "Each interval is for its comparison alone; told apart is by p values that are adjusted by Holm's method.")
	}
	if len(c.Unmatched) > 0 {
		notes = append(notes, "Without a partner at the baseline: "+d.list(c.Unmatched, func(int) string { return "" })+".")
	}
	if incomplete := d.incomplete(f.points); len(incomplete) > 0 {
		notes = append(notes, d.missingNote(incomplete, "")+d.list(incomplete, func(p int) string { return ": " + d.missing(p) })+".")
	}
	notes = append(notes, d.data.Flattery([]simulation.Measure{d.Metric})...)
	if n := len(c.Notes); n > mostNamed {
		return append(append(notes, c.Notes[:mostNamed]...), "More with the comparison: "+study.Counted(n-mostNamed, "note")+".")
	}
	return append(notes, c.Notes...)
}

func oneBaseline(all []study.Comparison) bool {
	return !slices.ContainsFunc(all, func(c study.Comparison) bool { return c.Baseline != all[0].Baseline })
}

// baseline names what points are compared with.
func (d *drawing) baseline(c study.Comparisons) string {
	if len(c.All) > 0 && oneBaseline(c.All) {
		return d.label(c.All[0].Baseline)
	}
	return d.data.Study.Plan.BaselineWords(c.Baseline)
}
