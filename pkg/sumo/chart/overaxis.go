package chart

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/sumo-k8/sumo-k8/pkg/study"
)

// line is the points of a study that one line joins.
type line struct {
	variant, others string // others are the values of the other axes
	spots           []place
}

// place is a point at a value of the axis, by its number.
type place struct{ value, point int }

// label names a line.
func (l line) label() string {
	if l.others == "" {
		return l.variant
	}
	return l.variant + ", " + l.others
}

// lines are those of a study over one of its axes. Where axes go together (study.Zip), the others change along it.
func (d *drawing) lines(axis int) (lines []line) {
	plan := d.data.Study.Plan
	values := plan.Axes[axis].Values
	at := map[[2]string]int{}
	for _, p := range d.data.Points {
		var others []string
		for i, v := range p.Setting {
			if i != axis && plan.Combine != study.Zip && len(plan.Axes[i].Values) > 1 {
				others = append(others, v.Axis+" "+v.Text())
			}
		}
		key := [2]string{p.Variant, strings.Join(others, ", ")}
		i, ok := at[key]
		if !ok {
			i = len(lines)
			at[key] = i
			lines = append(lines, line{variant: key[0], others: key[1]})
		}
		x := slices.IndexFunc(values, func(v json.RawMessage) bool { return study.Value{Value: v}.Text() == p.Setting[axis].Text() })
		if x >= 0 {
			lines[i].spots = append(lines[i].spots, place{x, p.Number})
		}
	}
	return lines
}

// scale is the horizontal axis: numbers at their places, or categories beside each other.
type scale struct {
	label       string
	at          []float64 // of each value
	ticks       plot.Ticker
	step        float64 // between lines at the same value, so that their intervals do not hide each other
	turned      bool    // whether the labels are
	room        vg.Length
	least, most float64
}

// mostTicks is how many values of an axis have a tick each.
const mostTicks = 10

// scale makes the axis for a pane of a width.
func (d *drawing) scale(axis int, width vg.Length, lines int) scale {
	plan := d.data.Study.Plan
	a := plan.Axes[axis]
	s := scale{label: a.Words(), at: make([]float64, len(a.Values))}
	if plan.Combine == study.Zip && len(plan.Axes) > 1 {
		var others []string
		for i, other := range plan.Axes {
			if i != axis {
				others = append(others, other.Name)
			}
		}
		s.label += ", together with " + strings.Join(others, ", ")
	}
	s.label = printable(s.label)
	numeric := true
	for i, v := range a.Values {
		if numeric = json.Unmarshal(v, &s.at[i]) == nil; !numeric {
			break
		}
	}
	if numeric {
		x := newSpan()
		x.add(s.at...)
		size := x.most - x.least
		if size == 0 {
			size = math.Max(math.Abs(x.most), 1)
		}
		s.step, s.least, s.most = size*0.012, x.least-0.06*size, x.most+0.06*size
		s.ticks = roundTicks(8)
		sorted := slices.Sorted(slices.Values(s.at))
		gap := math.Inf(1)
		for i := range sorted[1:] {
			gap = math.Min(gap, sorted[i+1]-sorted[i])
		}
		s.step = math.Min(s.step, 0.5*gap/float64(lines))
		if len(s.at) <= mostTicks && gap > 0.07*size {
			ticks := make(plot.ConstantTicks, len(s.at))
			for i, v := range s.at {
				ticks[i] = plot.Tick{Value: v, Label: study.Value{Value: a.Values[i]}.Text()}
			}
			s.ticks = ticks
		}
		return s
	}
	style := d.plot("").X.Tick.Label
	ticks := make(plot.ConstantTicks, len(a.Values))
	slot := (width - 80) / vg.Length(len(a.Values)) // beside the vertical axis with its labels
	const longest = 180                             // of a turned label, in points
	for i := range a.Values {
		s.at[i] = float64(i)
		text := printable(study.Value{Value: a.Values[i]}.Text())
		s.turned = s.turned || slot < 40 && style.Width(text) > slot-6
		ticks[i] = plot.Tick{Value: float64(i), Label: text}
	}
	for i, t := range ticks {
		room := max(slot-6, 20)
		if s.turned {
			room = longest
		}
		parts := wrap(style, t.Label, room)
		ticks[i].Label = strings.Join(parts, "\n")
		if s.turned {
			const gap = "   " // the mark of a tick reaches into the label
			ticks[i].Label = strings.Join(parts, gap+"\n") + gap
			for _, part := range parts {
				s.room = max(s.room, style.Width(part+gap))
			}
		} else {
			s.room = max(s.room, vg.Length(len(parts)-1)*lineHeight)
		}
	}
	s.ticks, s.step = ticks, math.Min(0.04, 0.6/float64(lines))
	s.least, s.most = -0.6, float64(len(a.Values))-0.4
	return s
}

// set gives a plot the axis.
func (s scale) set(p *plot.Plot) {
	p.X.Min, p.X.Max, p.X.Tick.Marker, p.X.Label.Text = s.least, s.most, s.ticks, s.label
	if s.turned {
		p.X.Tick.Label.Rotation = math.Pi / 2
		p.X.Tick.Label.XAlign, p.X.Tick.Label.YAlign = draw.XRight, draw.YCenter
	}
}

// overAxis is a line for each variant over one axis. As many lines as a reader can distinguish stand in one panel; with more, each
// combination of the other axes has its own panel, and with more variants than that several.
func (d *drawing) overAxis(axis int, title string) sheet {
	lines := d.lines(axis)
	s := sheet{title: title, subtitle: d.subtitle(), notes: d.notes(d.all())}
	type group struct {
		title  string
		lines  []line
		legend bool
	}
	var groups []group
	if len(lines) <= MostRuns {
		groups = []group{{lines: lines}}
		for i, l := range lines {
			s.legend = append(s.legend, d.lineEntry(l.label(), d.pattern(i), new(d.mark(i))))
		}
	} else {
		byOthers := map[string][]line{}
		var others []string
		for _, l := range lines {
			if byOthers[l.others] == nil {
				others = append(others, l.others)
			}
			byOthers[l.others] = append(byOthers[l.others], l)
		}
		own := len(d.data.Study.Plan.Variants) > MostRuns
		for _, name := range others {
			all := byOthers[name]
			for from := 0; from < len(all); from += MostRuns {
				g := group{title: name, lines: all[from:min(len(all), from+MostRuns)], legend: own}
				if len(all) > MostRuns {
					g.title = strings.TrimPrefix(fmt.Sprintf("%s, variants %d to %d", name, from+1, from+len(g.lines)), ", ")
				}
				groups = append(groups, g)
			}
		}
		if !own {
			for i, l := range groups[0].lines {
				s.legend = append(s.legend, d.lineEntry(l.variant, d.pattern(i), new(d.mark(i))))
			}
		}
		s.columns = 2
	}
	s.legend = append(s.legend, d.hollow(d.all())...)
	const rowsOfPanel = 9 // how many rows of another plot are as high as a panel of two columns
	if most := max(1, d.Most/rowsOfPanel); d.Most > 0 && len(groups) > most {
		s.notes = append([]string{fmt.Sprintf("The first %d of %d panels are shown.", most, len(groups))}, s.notes...)
		groups = groups[:most]
	}
	width := (d.width - 2*edge) / vg.Length(max(1, s.columns))
	y := newSpan() // the same in all panels, which are to be compared
	for _, g := range groups {
		for _, l := range g.lines {
			for _, at := range l.spots {
				e := d.estimates[at.point]
				y.add(e.Mean, e.Mean-e.Half, e.Mean+e.Half) // without an interval the ends are no numbers
			}
		}
	}
	for _, g := range groups {
		p := d.plot(inBrackets(d.Metric.Words(), d.unit()))
		scale, message := d.scale(axis, width, len(g.lines)), ""
		scale.set(p)
		if y.least > y.most {
			p.Y.Tick.Marker = plot.ConstantTicks{}
			message = noValue
		}
		y.set(&p.Y)
		one := pane{plot: p, title: g.title, height: axisPane + scale.room, message: message}
		for i, l := range g.lines {
			p.Add(d.polyline(l, scale, i, len(g.lines)))
			if g.legend {
				one.legend = append(one.legend, d.lineEntry(l.variant, d.pattern(i), new(d.mark(i))))
			}
		}
		s.panes = append(s.panes, one)
	}
	return s
}

// polyline is the line with number i of n.
func (d *drawing) polyline(l line, s scale, i, n int) polyline {
	out := polyline{theme: d.theme, style: d.pattern(i), mark: d.mark(i)}
	spots := slices.Clone(l.spots) // numbers may stand in any order in a plan
	slices.SortStableFunc(spots, func(a, b place) int { return cmp.Compare(s.at[a.value], s.at[b.value]) })
	shift := (float64(i) - float64(n-1)/2) * s.step
	for _, at := range spots {
		e := d.estimates[at.point]
		out.spots = append(out.spots, spot{s.at[at.value] + shift, e.Mean, e.Half})
		out.hollow = append(out.hollow, d.fates[at.point].Incomplete())
	}
	return out
}
