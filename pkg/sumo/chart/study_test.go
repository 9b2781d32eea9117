package chart

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"html"
	"image/png"
	"math"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/statistics"
	"github.com/sumo-k8/sumo-k8/pkg/study"
)

// asked is a study of some variants over axes. value is what a run comes to, NaN for one that failed.
type asked struct {
	variants  []string
	axes      []study.Axis
	combine   study.Combine
	seeds     int
	until     *study.Aim
	value     func(point, replication int) float64
	cancelled bool // runs without a value
}

func axis(name, set string, values ...string) study.Axis {
	a := study.Axis{Name: name, Set: set}
	for _, v := range values {
		a.Values = append(a.Values, json.RawMessage(v))
	}
	return a
}

const measured = "mean_time_loss"

func (a asked) data(t testing.TB) *study.Data {
	t.Helper()
	s := study.Study{
		ID: "0198a1b2-0000-7000-8000-000000000000", Name: "signal plans", State: study.Succeeded, MetricNames: simulation.MetricNames(),
		Plan: study.Plan{
			Axes: a.axes, Combine: a.combine, Baseline: &study.Baseline{Variant: a.variants[0]}, Metrics: []string{measured},
			Replications: study.Replications{Until: a.until},
		},
	}
	for _, v := range a.variants {
		s.Plan.Variants = append(s.Plan.Variants, study.Variant{Name: v})
	}
	for i := range a.seeds {
		s.Seeds = append(s.Seeds, int64(i+1))
	}
	settings := []study.Setting{nil}
	for i, axis := range a.axes {
		var next []study.Setting
		for k, before := range settings {
			for j, v := range axis.Values {
				if a.combine == study.Zip && i > 0 && j != k {
					continue
				}
				next = append(next, append(slices.Clone(before), study.Value{Axis: axis.Name, Value: v}))
			}
		}
		settings = next
	}
	var points []study.Point
	var results []study.Result
	at := slices.Index(s.MetricNames, measured)
	for _, v := range a.variants {
		for _, setting := range settings {
			p := len(points)
			points = append(points, study.Point{Number: p, Variant: v, Setting: setting})
			for r := range a.seeds {
				one := study.Result{Point: p, Replication: r, State: job.Succeeded, SumoVersion: "1.28.0", Metrics: make([]float64, len(s.MetricNames))}
				if one.Metrics[at] = a.value(p, r); math.IsNaN(one.Metrics[at]) {
					one.State, one.Reason = job.Failed, simulation.DeadlineExceeded
					if a.cancelled {
						one.State, one.Reason = job.Cancelled, simulation.Cancelled
					}
				}
				results = append(results, one)
			}
		}
	}
	return study.NewData(s, points, results)
}

// noisy values rise with the point, and vary with the seed in the same way at all points but for a little.
func noisy(step float64) func(int, int) float64 {
	return func(point, replication int) float64 {
		shared := rand.New(rand.NewPCG(1, uint64(replication))).NormFloat64()
		own := rand.New(rand.NewPCG(uint64(point+2), uint64(replication))).NormFloat64()
		return 70 + step*float64(point) + 4*shared + 2*own
	}
}

// failing is of with some runs that fail.
func failing(of func(int, int) float64, failed func(point, replication int) bool) func(int, int) float64 {
	return func(p, r int) float64 {
		if failed(p, r) {
			return math.NaN()
		}
		return of(p, r)
	}
}

var demand = axis("demand", "scale", "0.8", "1", "1.2")

func question() Question {
	m, _ := simulation.MeasureOf(measured)
	return Question{Metric: m, Level: statistics.At(0.95), Baseline: study.Baseline{Variant: "base"}}
}

func plotOf(t testing.TB, name string) StudyPlot {
	t.Helper()
	all := StudyPlots()
	i := slices.IndexFunc(all, func(p StudyPlot) bool { return p.Name == name })
	if i < 0 {
		t.Fatalf("no plot is called %s", name)
	}
	return all[i]
}

var textElement = regexp.MustCompile(`(?s)<text[^>]*>([^<]*)</text>`)

// svgOf is a plot as SVG, which has to be XML.
func svgOf(t testing.TB, name string, d *study.Data, q Question, width int) string {
	t.Helper()
	var b bytes.Buffer
	if err := DrawStudy(&b, plotOf(t, name), d, q, Options{SVG: true, Width: width}); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	var drawing struct {
		Width int    `xml:"width,attr"`
		Title string `xml:"title"`
	}
	if err := xml.Unmarshal(b.Bytes(), &drawing); err != nil || drawing.Width != width || drawing.Title == "" {
		t.Fatalf("%s is %d wide and has the title %q: %v", name, drawing.Width, drawing.Title, err)
	}
	if strings.Contains(b.String(), "NaN") || strings.Contains(b.String(), "Inf") {
		t.Errorf("%s draws at what is no number", name)
	}
	return b.String()
}

// texts are all lines of text of a plot, in the order in which they are drawn.
func texts(svg string) (lines []string) {
	for _, m := range textElement.FindAllStringSubmatch(svg, -1) {
		lines = append(lines, html.UnescapeString(m[1]))
	}
	return lines
}

var plans = []string{"base", "green wave"}

func TestAPlotOfAStudySaysWhatItShows(t *testing.T) {
	t.Parallel()
	third := func(p, r int) bool { return p == 4 && r%3 == 0 }
	long := strings.Repeat("a long name of a variant, ", 8) + strings.Repeat("x", 90)
	for name, tc := range map[string]struct {
		asked
		plot string
		want []string
		not  []string
	}{
		"a line for each variant": {
			asked{variants: plans, axes: []study.Axis{demand}, seeds: 10, value: noisy(-1)}, "means",
			[]string{"Mean time loss: means with 95 % intervals", "signal plans · n = 10", "base", "green wave", "0.8", "1", "1.2",
				"Mean time loss (s)", "demand (scale)"},
			[]string{"hollow: runs are missing"},
		},
		"an incomplete point": {
			asked{variants: plans, axes: []study.Axis{demand}, seeds: 10, value: failing(noisy(-1), third)}, "means",
			[]string{"signal plans · n = 6 to 10", "hollow: runs are missing", "Runs are missing, and not at random: those in congestion fail " +
				"first, so that what is left looks better than it is. green wave, demand 1: 4 of 10 runs missing."}, nil,
		},
		"a point with cancelled runs": {
			asked{variants: plans, axes: []study.Axis{demand}, seeds: 10, value: failing(noisy(-1), third), cancelled: true}, "means",
			[]string{
				"hollow: runs are missing",
				"Runs are missing that were cancelled, or could not be run as planned. green wave, demand 1: 4 of 10 runs missing.",
			}, nil,
		},
		"differences with cancelled runs": {
			asked{variants: plans, axes: []study.Axis{demand}, seeds: 10, value: failing(noisy(-1), third), cancelled: true}, "differences",
			[]string{"Runs are missing that were cancelled, or could not be run as planned. green wave, demand 1: 4 of 10 runs missing."}, nil,
		},
		"another axis beside the first": {
			asked{variants: plans, axes: []study.Axis{demand, axis("rerouting", "option:device.rerouting.probability", "0", "1")}, seeds: 3,
				value: noisy(1)}, "means",
			[]string{"base, rerouting 0", "base, rerouting 1", "green wave, rerouting 1"}, nil,
		},
		"more lines than a reader can distinguish": {
			asked{variants: plans, axes: []study.Axis{demand, axis("speed", "option:x", "1", "2", "3", "4", "5")}, seeds: 3,
				value: noisy(1)}, "means",
			[]string{"base", "green wave", "speed 1", "speed 5"}, []string{"base, speed 1"},
		},
		"axes that go together": {
			asked{variants: plans, axes: []study.Axis{demand, axis("end", "end", "100", "200", "300")}, combine: study.Zip, seeds: 3,
				value: noisy(1)}, "means", []string{"base", "demand (scale), together with end"}, []string{"base, end 100"},
		},
		"a text axis": {
			asked{variants: plans, axes: []study.Axis{axis("SUMO", "sumo_version", `"1.18"`, `"1.28"`)}, seeds: 3, value: noisy(1)}, "means",
			[]string{"1.18", "1.28", "SUMO (sumo_version)"}, nil,
		},
		"no axis, and a long name": {
			asked{variants: []string{"base", long}, seeds: 5, value: failing(noisy(1), func(p, r int) bool { return p == 1 && r < 2 })}, "means",
			[]string{"base", "71.7 ± 4.1 s, n = 5", "; 2 of 5 runs missing", strings.TrimSpace(long)}, nil,
		},
		"boxes": {
			asked{variants: plans, seeds: 7, value: noisy(1)}, "boxes",
			[]string{"Mean time loss of all runs", "n = 7", "one run", "mean", "quartiles and median, least and greatest run"}, nil,
		},
		"too few runs for a box": {
			asked{variants: plans, seeds: 4, value: noisy(1)}, "boxes", []string{"n = 4", "one run"},
			[]string{"quartiles and median, least and greatest run"},
		},
		"differences": {
			asked{variants: plans, axes: []study.Axis{demand}, seeds: 10, value: failing(noisy(-1), third)}, "differences",
			[]string{"Mean time loss: differences to the baseline, with 95 % intervals", "◄ lower (better)", "higher ►",
				"told apart from chance, among all 3 comparisons of the study", "not told apart from chance", "green wave, demand 0.8",
				"-2.1 s (-4.6 to 0.5), n = 10", "-4.7 s (-7.1 to -2.3), n = 6; 4 of 10 runs missing",
				"signal plans · n = 6 to 10 · baseline: base, at the same values of all axes"},
			[]string{"base, demand 0.8"},
		},
		"differences without a test": {
			asked{variants: plans, seeds: 3, value: func(p, _ int) float64 { return float64(70 - p) }}, "differences",
			[]string{"every pair of runs differs by the same number: no test", "-1 s, n = 3"}, nil,
		},
		"differences of single runs": {
			asked{variants: plans, seeds: 1, value: noisy(1)}, "differences",
			[]string{"n = 1: too few runs"}, []string{"not told apart from chance"},
		},
		"convergence with an aim": {
			asked{variants: plans, seeds: 10, until: &study.Aim{RelativeHalfWidth: 0.04, Max: 20}, value: noisy(1)}, "convergence",
			[]string{"Half width of the interval (% of the mean)", "aim: 4 %", "runs that count", "green wave",
				"The number of runs was decided by looking at the results after each round, so that intervals are a little too narrow."}, nil,
		},
		"convergence to an aim whose percentage is no exact product": {
			asked{variants: plans, seeds: 10, until: &study.Aim{RelativeHalfWidth: 0.07, Max: 20}, value: noisy(1)}, "convergence",
			[]string{"aim: 7 %"}, nil,
		},
		"convergence of differences": {
			asked{variants: plans, seeds: 10, until: &study.Aim{RelativeHalfWidth: 0.02, Max: 20, Of: "difference"}, value: noisy(1)}, "convergence",
			[]string{"Half width of the interval (% of the baseline's mean)", "aim: 2 %", "green wave"}, []string{"base"},
		},
		"convergence to an absolute width": {
			asked{variants: plans, seeds: 10, until: &study.Aim{Absolute: map[string]float64{measured: 3}, Max: 20}, value: noisy(1)}, "convergence",
			[]string{"Half width of the interval of the mean (s)", "aim: 3 s"}, nil,
		},
		"convergence of many points": {
			asked{variants: plans[:1], axes: []study.Axis{axis("d", "scale", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12")},
				seeds: 4, value: noisy(1)}, "convergence",
			[]string{"Named are the 8 points with the widest interval; the thin lines are 4 others."}, nil,
		},
		"convergence of one more than are named": {
			asked{variants: plans[:1], axes: []study.Axis{axis("d", "scale", "1", "2", "3", "4", "5", "6", "7", "8", "9")},
				seeds: 4, value: noisy(1)}, "convergence",
			[]string{"Named are the 8 points with the widest interval; the thin line is another one."}, nil,
		},
		"one comparison": {
			asked{variants: plans[:2], seeds: 6, value: func(p, r int) float64 { return float64(10*p + r*p%3) }}, "differences",
			[]string{"told apart from chance"}, []string{"told apart from chance, among all 1 comparisons of the study"},
		},
		"one seed": {
			asked{variants: plans, seeds: 1, value: noisy(1)}, "means",
			[]string{"A single value, which has no interval: base; green wave."}, nil,
		},
		"one seed does not converge": {
			asked{variants: plans, seeds: 1, value: noisy(1)}, "convergence", []string{"No interval yet, which takes two runs of a point"}, nil,
		},
		"equal values": {
			asked{variants: plans, axes: []study.Axis{demand}, seeds: 3, value: func(int, int) float64 { return 70 }}, "means",
			[]string{"All runs gave the same number, so that the interval has no width: base, demand 0.8; base, demand 1; base, demand 1.2; green " +
				"wave, demand 0.8; green wave, demand 1; green wave, demand 1.2."}, nil,
		},
		"a point without a success": {
			asked{variants: plans, seeds: 3, value: failing(noisy(1), func(p, _ int) bool { return p == 1 })}, "boxes",
			[]string{"no value; 3 of 3 runs missing", "No value: green wave."}, nil,
		},
		"no success at all": {
			asked{variants: plans, axes: []study.Axis{demand}, seeds: 3, value: failing(noisy(1), func(int, int) bool { return true })}, "means",
			[]string{"No run has a value of this metric"}, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lines := texts(svgOf(t, tc.plot, tc.data(t), question(), 1200))
			all := strings.ReplaceAll(strings.Join(lines, " "), " ", "")
			for _, want := range tc.want {
				if !strings.Contains(all, strings.ReplaceAll(want, " ", "")) { // long texts are broken into lines
					t.Errorf("the plot lacks %q:\n%s", want, strings.Join(lines, "\n"))
				}
			}
			for _, not := range tc.not {
				if slices.Contains(lines, not) {
					t.Errorf("the plot has %q", not)
				}
			}
		})
	}
}

func TestEveryPlotDrawsEveryStudy(t *testing.T) {
	t.Parallel()
	hostile := `<script>"&'` + "\n\x01"
	for name, a := range map[string]asked{
		"one seed":  {variants: plans, axes: []study.Axis{demand}, seeds: 1, value: noisy(1)},
		"no seed":   {variants: plans, axes: []study.Axis{demand}, value: noisy(1)},
		"equal":     {variants: plans, axes: []study.Axis{demand}, seeds: 5, value: func(int, int) float64 { return 70 }},
		"zero":      {variants: plans, axes: []study.Axis{demand}, seeds: 5, value: func(int, int) float64 { return 0 }},
		"failed":    {variants: plans, axes: []study.Axis{demand}, seeds: 5, value: func(int, int) float64 { return math.NaN() }},
		"tiny":      {variants: plans, seeds: 5, value: func(p, r int) float64 { return 1e-300 * float64(p+r) }},
		"huge":      {variants: plans, seeds: 5, value: func(p, r int) float64 { return 1e150 * float64(p-r) }},
		"nearly":    {variants: plans, seeds: 5, value: func(p, r int) float64 { return 1e9 + 1e-6*float64(p+r) }},
		"hostile":   {variants: []string{hostile, "b"}, axes: []study.Axis{axis(hostile, "scale", "1")}, seeds: 3, value: noisy(1)},
		"one value": {variants: plans, axes: []study.Axis{axis("d", "scale", "1")}, seeds: 3, value: noisy(1)},
		"same value": {variants: plans, axes: []study.Axis{axis("d", "scale", "1", "1"), axis("e", "end", "1", "2")}, combine: study.Zip,
			seeds: 3, value: noisy(1)},
		"truths": {variants: plans, axes: []study.Axis{axis("d", "option:x", "true", "false")}, seeds: 3, value: noisy(1)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := a.data(t)
			q := question()
			q.Baseline.Variant = a.variants[0]
			for _, kind := range StudyPlots() {
				if svg := svgOf(t, kind.Name, d, q, 900); strings.Contains(svg, "<script>") {
					t.Errorf("%s has a tag of a name", kind.Name)
				}
				var b bytes.Buffer
				if err := DrawStudy(&b, kind, d, q, Options{Width: 600, Dark: true}); err != nil {
					t.Errorf("%s: %v", kind.Name, err)
				} else if img, err := png.Decode(&b); err != nil || img.Bounds().Dx() != 600 {
					t.Errorf("%s is no PNG of its width: %v", kind.Name, err)
				}
			}
		})
	}
}

func TestAPlotGrowsWithItsPointsUpToABoundOfPNG(t *testing.T) {
	t.Parallel()
	variants := make([]string, 1000)
	for i := range variants {
		variants[i] = fmt.Sprintf("plan %d", i)
	}
	d := asked{variants: variants, seeds: 2, value: noisy(0.1)}.data(t)
	q := question()
	q.Baseline.Variant = variants[0]
	for _, name := range []string{"means", "boxes", "differences"} {
		lines := texts(svgOf(t, name, d, q, 1200))
		if !slices.Contains(lines, "plan 1") || !slices.Contains(lines, "plan 999") {
			t.Errorf("%s lacks points", name)
		}
		if err := DrawStudy(&bytes.Buffer{}, plotOf(t, name), d, q, Options{Width: 1200}); problem.CodeOf(err) != problem.TooLarge {
			t.Errorf("%s as PNG: %v", name, err)
		}
		few := q
		few.Most = 10
		if lines := texts(svgOf(t, name, d, few, 1200)); slices.Contains(lines, "plan 11") || !slices.ContainsFunc(lines, func(l string) bool {
			return strings.HasPrefix(l, "The first 10 of ")
		}) {
			t.Errorf("%s of few points: %q", name, lines)
		}
	}
}

func TestAnUnknownAxisIsRefused(t *testing.T) {
	t.Parallel()
	for _, axes := range [][]study.Axis{nil, {demand}} {
		q := question()
		q.Axis = "colour"
		d := asked{variants: plans, axes: axes, seeds: 2, value: noisy(1)}.data(t)
		err := DrawStudy(&bytes.Buffer{}, plotOf(t, "means"), d, q, Options{Width: 900})
		if problem.CodeOf(err) != problem.Invalid || !strings.Contains(err.Error(), "colour") {
			t.Errorf("with %d axes: %v", len(axes), err)
		}
	}
}

// In black and white, lines differ by dashes and by the shape of their markers.
func TestLinesDifferWithoutColour(t *testing.T) {
	t.Parallel()
	for i := range MostRuns {
		for k := range i {
			if cmp.Equal(patterns[i], patterns[k]) || cmp.Equal(shapes[i], shapes[k]) {
				t.Errorf("lines %d and %d look alike", k, i)
			}
		}
	}
	var axes []study.Axis
	axes = append(axes, demand, axis("r", "option:x", "0", "1", "2", "3"))
	svg := svgOf(t, "means", asked{variants: plans, axes: axes, seeds: 3, value: noisy(1)}.data(t), question(), 1200)
	seen := map[string]bool{}
	for _, m := range regexp.MustCompile(`stroke-dasharray:([^;"]*)`).FindAllStringSubmatch(svg, -1) {
		seen[m[1]] = true
	}
	if len(seen) != MostRuns-1 { // and one without dashes
		t.Errorf("the dashes of %d lines are %v", MostRuns, seen)
	}
}

func TestEveryRunIsADot(t *testing.T) {
	t.Parallel()
	svg := svgOf(t, "boxes", asked{variants: plans, seeds: 50, value: noisy(1)}.data(t), question(), 1200)
	if n := strings.Count(svg, "A1.5,1.5 ") / 2; n != 2*50+1 { // a circle is two arcs, and one is in the legend
		t.Errorf("%d dots", n)
	}
	again := svgOf(t, "boxes", asked{variants: plans, seeds: 50, value: noisy(1)}.data(t), question(), 1200)
	if svg != again {
		t.Error("two drawings of the same runs differ")
	}
}

// What is not told apart is hollow: filled with the background.
func TestWhatIsNotToldApartIsHollow(t *testing.T) {
	t.Parallel()
	hollow := func(a asked) int {
		return strings.Count(svgOf(t, "differences", a.data(t), question(), 1200), `style="fill:#FFFFFF"`)
	}
	apart := hollow(asked{variants: plans, seeds: 10, value: noisy(50)})
	not := hollow(asked{variants: plans, seeds: 10, value: noisy(0)})
	if not != apart+2 { // the point's marker, and that of the legend
		t.Errorf("%d areas of the background are drawn where nothing is told apart, %d where all is", not, apart)
	}
}

func TestConvergenceEndsWithTheIntervalOfAllRuns(t *testing.T) {
	t.Parallel()
	d := asked{variants: plans, seeds: 600, value: noisy(1)}.data(t)
	q := question()
	for i, e := range d.Statistics(q.Level, []simulation.Measure{q.Metric}, nil) {
		c := course{point: i, values: statistics.Present(d.Values(measured, i)), base: math.NaN()}
		spots := c.spots(q.Level, false)
		last := spots[len(spots)-1]
		if last.x != 600 || math.Abs(last.mean/e.Half-1) > 1e-9 || spots[0].x != 2 || len(spots) > mostSteps+20 {
			t.Errorf("point %d: from %v to %v in %d steps, want %v", i, spots[0], last, len(spots), e.Half)
		}
		if share := c.spots(q.Level, true); math.Abs(share[len(share)-1].mean/(100*e.Relative)-1) > 1e-9 {
			t.Errorf("point %d: relative %v, want %v", i, share[len(share)-1], e.Relative)
		}
	}
}

// probe remembers where a plot draws its data.
type probe struct{ at *vg.Rectangle }

func (p probe) Plot(c draw.Canvas, _ *plot.Plot) { *p.at = c.Rectangle }

// In a narrow picture, names that are wider than the data must not take their room: less than none turns the axis around, so that what is
// higher is drawn as lower.
func TestNamesLeaveRoomForTheData(t *testing.T) {
	t.Parallel()
	long := strings.TrimSpace(strings.Repeat("green wave ", 9))
	const width, height = 60, 2 // points that data take at least; they are low where there is no row
	for name, a := range map[string]asked{
		"short": {variants: plans, axes: []study.Axis{demand}, seeds: 5, value: noisy(10)},
		"many":  {variants: plans, axes: []study.Axis{demand, axis("r", "option:x", "0", "1", "2", "3")}, seeds: 5, value: noisy(10)},
		"long": {variants: []string{long, long + "2"}, axes: []study.Axis{axis(long, "scale", "1", "2"), axis(long+"2", "end", "1", "2", "3")},
			seeds: 5, value: noisy(10)},
		"one word": {variants: []string{strings.Repeat("x", 100), "b"}, axes: []study.Axis{axis(strings.Repeat("y", 100), "scale", "1", "2")},
			seeds: 5, value: noisy(10)},
	} {
		for _, metric := range []string{measured, measured + "@vType=" + strings.Repeat("car_with_a_long_name_", 4)} {
			t.Run(name+" "+metric, func(t *testing.T) {
				t.Parallel()
				d, q := a.data(t), question()
				q.Baseline.Variant = a.variants[0]
				q.Metric.Name = metric
				o := Options{Width: 600}
				w, _ := o.size()
				for _, kind := range StudyPlots() {
					drawn := drawing{theme: o.theme(), Question: q, data: d, width: w, fates: d.Fates(),
						estimates: d.Statistics(q.Level, []simulation.Measure{q.Metric}, nil)}
					s, err := kind.sheet(&drawn)
					if err != nil {
						t.Fatal(err)
					}
					s.theme = drawn.theme
					l := s.layout(w)
					drew := make([]vg.Rectangle, len(l.panes))
					for i := range l.panes {
						l.panes[i].plot.Add(probe{&drew[i]})
					}
					l.draw(draw.New(vgsvg.NewWith(vgsvg.UseWH(w, l.height))))
					for i, data := range drew {
						if size := data.Size(); size.X < width || size.Y < height {
							t.Errorf("%s, pane %d: the data have %.0f by %.0f points", kind.Name, i, size.X, size.Y)
						}
					}
				}
			})
		}
	}
}
