package study

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/statistics"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
)

// Verdict says whether a difference is told apart from chance.
type Verdict string

// The verdicts. They follow the p values that are adjusted for the whole family of comparisons.
const (
	Lower        Verdict = "lower"
	Higher       Verdict = "higher"
	ByItself     Verdict = "by_itself"      // told apart by itself, not among all comparisons of the study
	NotToldApart Verdict = "not_told_apart" // from chance
	Constant     Verdict = "constant"       // every pair of runs differs by the same number
	Unknown      Verdict = "unknown"        // too few runs
)

// Comparison is a point compared with its baseline by one metric.
type Comparison struct {
	Point, Baseline int
	Metric          simulation.Measure
	// Mean and BaselineMean are those of each point's own successful runs. With runs that lack a partner their difference is not that of
	// the pairs.
	Mean, BaselineMean float64
	statistics.Difference
	Adjusted float64 // p, by Holm's method over the family; NaN without a test
	Verdict  Verdict
	// Better is whether traffic is better off; nil where the verdict is neither Lower nor Higher, neither way is good, or the side that looks
	// better leaves out vehicles that had not arrived, or delays of those that SUMO moved past jams.
	Better *bool
	// Words are the verdict for a person: "lower by 12.3 s (95 %: 8.1 to 16.5), n = 10, paired by seed".
	Words string
	// Sentence names both points too, and can stand in a report.
	Sentence string
}

// Comparisons are the points of a study compared with a baseline.
type Comparisons struct {
	Baseline Baseline
	// Family is how many comparisons p values are adjusted for: those of all points by all metrics of the study, whatever is asked for.
	Family int
	All    []Comparison // by point, then by metric
	// Unmatched are points for which the baseline has no partner.
	Unmatched []int
	// Notes are what a reader has to know about all of them.
	Notes []string
}

// FindBaseline is the one that text names, a variant or the JSON of a Baseline, or the plan's if text is empty.
func (p Plan) FindBaseline(text string) (Baseline, error) {
	b := p.Baseline
	if text != "" {
		b = &Baseline{Variant: text}
		if strings.HasPrefix(text, "{") {
			b = &Baseline{}
			if err := json.Unmarshal([]byte(text), b); err != nil {
				return Baseline{}, problem.New(problem.Invalid, `baseline must be the name of a variant, or JSON: `+
					`{"variant": "base", "values": {"demand": 1}}`)
			}
		}
	}
	if b == nil {
		names := make([]string, len(p.Variants))
		for i, v := range p.Variants {
			names[i] = v.Name
		}
		return Baseline{}, problem.New(problem.Invalid, "The study names no baseline. Say what to compare with: baseline=%s, or values of axes "+
			`as JSON: baseline={"values": {"demand": 1}}. Its variants are %s.`, names[0], strings.Join(names, ", "))
	}
	var f faults
	Plan{Variants: p.Variants, Axes: p.Axes, Baseline: b}.checkBaseline(&f)
	if len(f.items) > 0 {
		i := f.items[0]
		named := strings.TrimPrefix(i.Location, "body.")
		return Baseline{}, problem.New(problem.Invalid, "The baseline cannot be used: %s %s.", named, i.Message).
			WithItems(problem.Item{Location: "query.baseline", Message: i.Message, Value: i.Value})
	}
	return *b, nil
}

// of is the point that p is compared with, itself if it is a baseline; false if there is none.
func (b Baseline) of(p Point, numbers map[string]int) (point int, ok bool) {
	setting := slices.Clone(p.Setting)
	for i, v := range setting {
		if fixed, ok := b.Values[v.Axis]; ok {
			setting[i].Value = fixed
		}
	}
	point, ok = numbers[key(cmp.Or(b.Variant, p.Variant), setting)]
	return point, ok
}

// pairs are the numbers of the points that are compared, each with its baseline.
func (b Baseline) pairs(points []Point) (pairs [][2]int, unmatched []int) {
	numbers := make(map[string]int, len(points))
	for _, p := range points {
		numbers[key(p.Variant, p.Setting)] = p.Number
	}
	for _, p := range points {
		switch base, ok := b.of(p, numbers); {
		case !ok:
			unmatched = append(unmatched, p.Number)
		case base != p.Number:
			pairs = append(pairs, [2]int{p.Number, base})
		}
	}
	return pairs, unmatched
}

// Compare compares all points with a baseline, by all metrics of the study, of which metrics are shown.
func (d *Data) Compare(level *statistics.Level, b Baseline, metrics []simulation.Measure) Comparisons {
	pairs, unmatched := b.pairs(d.Points)
	family := d.Metrics()
	c := Comparisons{Baseline: b, Family: len(pairs) * len(family), Unmatched: unmatched}
	fates, labels := d.Fates(), make([]string, len(d.Points))
	for i, p := range d.Points {
		labels[i] = Label(p.Variant, p.Setting)
	}
	c.All = make([]Comparison, 0, c.Family)
	p := make([]float64, 0, c.Family)
	for _, pair := range pairs {
		for _, m := range family {
			one := Comparison{
				Point: pair[0], Baseline: pair[1], Metric: m,
				Mean: d.mean(m.Name, pair[0]), BaselineMean: d.mean(m.Name, pair[1]),
				Difference: level.Compare(d.Values(m.Name, pair[0]), d.Values(m.Name, pair[1])),
			}
			c.All, p = append(c.All, one), append(p, one.P)
		}
	}
	for i, adjusted := range statistics.Holm(p, c.Family) {
		one := &c.All[i]
		one.Adjusted = adjusted
		one.Verdict = one.judge(1 - level.Confidence())
		one.Better = one.better(fates)
	}
	c.All = slices.DeleteFunc(c.All, func(one Comparison) bool { return !slices.Contains(metrics, one.Metric) })
	for i := range c.All {
		one := &c.All[i]
		one.Words = one.words(level.Confidence(), c.Family)
		one.Sentence = one.sentence(labels, fates, len(d.Study.Seeds))
	}
	c.Notes = d.notes(pairs, fates)
	return c
}

func (c *Comparison) judge(alpha float64) Verdict {
	switch {
	case c.Method == statistics.None:
		return Unknown
	case c.Method == statistics.Exact:
		return Constant
	case c.Adjusted <= alpha && c.Difference.Mean < 0:
		return Lower
	case c.Adjusted <= alpha:
		return Higher
	case c.P <= alpha:
		return ByItself
	}
	return NotToldApart
}

func (c *Comparison) better(fates []Fate) *bool {
	if c.Verdict != Lower && c.Verdict != Higher || c.Metric.Better == simulation.NoDirection {
		return nil
	}
	better, good := (c.Verdict == Lower) == (c.Metric.Better == simulation.LowerIsBetter), c.Baseline
	if better {
		good = c.Point
	}
	if overTrips(c.Metric) && fates[good].Flattered() {
		return nil
	}
	return &better
}

func (c *Comparison) words(confidence float64, family int) string {
	d := c.Difference
	unit := c.Metric.Unit
	if unit == "1" {
		unit = ""
	}
	way := "higher"
	if d.Mean < 0 {
		way = "lower"
	}
	pairing := "paired by seed"
	if d.Method == statistics.Welch {
		pairing = "not paired, Welch's test"
	}
	switch c.Verdict {
	case Unknown:
		return fmt.Sprintf("nothing to be said with n = %d: two runs of each point at least", d.N)
	case Constant:
		each, anyOf := fmt.Sprintf("in each of %d pairs of runs", d.N), fmt.Sprintf("in any of %d pairs of runs", d.N)
		if math.IsNaN(d.SD) { // seeds do not pair
			each, anyOf = "in all runs of both", "between any of the runs"
		}
		if d.Mean == 0 {
			return fmt.Sprintf("no difference %s; nothing varies, so there is no test", anyOf)
		}
		return fmt.Sprintf("%s by %s %s; nothing varies, so there is no test", way, Quantity(math.Abs(d.Mean), 0, unit), each)
	case NotToldApart:
		text := fmt.Sprintf("not told apart from chance with n = %d", d.N)
		low, high := d.Half-d.Mean, d.Half+d.Mean // below and above 0, which is in the interval
		if math.IsNaN(low+high) || math.IsInf(low+high, 0) {
			return text // the spread overflows
		}
		return fmt.Sprintf("%s (%s: lower by %s to higher by %s)", text, ExactPercent(confidence), Quantity(low, d.Half, unit),
			Quantity(high, d.Half, unit))
	}
	low, high := math.Abs(d.Mean)-d.Half, math.Abs(d.Mean)+d.Half
	text := fmt.Sprintf("%s by %s (%s: %s to %s), n = %d, %s", way, Quantity(math.Abs(d.Mean), d.Half, unit), ExactPercent(confidence),
		Quantity(low, d.Half, ""), Quantity(high, d.Half, ""), d.N, pairing)
	if c.Verdict == ByItself {
		text = fmt.Sprintf("told apart by itself, not among the %d comparisons of this study: %s", family, text)
	}
	return text
}

// sentence says what is compared, too, which runs are missing, and which vehicles.
func (c *Comparison) sentence(labels []string, fates []Fate, runs int) string {
	text := c.Metric.Words() + " of " + labels[c.Point] + " against " + labels[c.Baseline] + ": " + c.Words + "."
	for _, point := range []int{c.Point, c.Baseline} {
		if n := fates[point].Missing; n > 0 {
			text += fmt.Sprintf(" Incomplete: %d of %d runs of %s ended without a result.", n, runs, labels[point])
		}
		if overTrips(c.Metric) && fates[point].Congested() {
			text += fmt.Sprintf(" Left out: %s of the vehicles of %s, which had not arrived at the end.", Percent(fates[point].LeftOut),
				labels[point])
		}
		if overTrips(c.Metric) && fates[point].Lifted() {
			text += fmt.Sprintf(" Moved past jams: %s of %s.", teleports(fates[point].Moved), labels[point])
		}
	}
	return text
}

// Quantity is a number for people: with as many decimals as two digits of its half width take, or with six significant digits without one.
func Quantity(v, half float64, unit string) string {
	var text string
	if half > 0 {
		decimals := max(0, 1-int(math.Floor(math.Log10(half))))
		text = fmt.Sprintf("%.*f", min(decimals, 12), v)
	} else {
		text = significant(v, 6)
	}
	if unit != "" {
		text += " " + unit
	}
	return text
}

// Percent is a share for people, with two significant digits.
func Percent(share float64) string { return significant(100*share, 2) + " %" }

// ExactPercent is a share that somebody chose, such as a confidence: without the digits that its multiplication makes up.
func ExactPercent(share float64) string { return significant(100*share, 6) + " %" }

// significant writes v rounded to so many digits, never with an exponent.
func significant(v float64, digits int) string {
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', digits, 64), 64)
	if err != nil { // rounded up beyond the largest number
		rounded = v
	}
	return strconv.FormatFloat(rounded, 'f', -1, 64)
}

// notes say what sets the points of pairs apart beside what the study varies.
func (d *Data) notes(pairs [][2]int, fates []Fate) (notes []string) {
	var versions, warnings []string
	for _, pair := range pairs {
		point, base := pair[0], pair[1]
		if both := union(fates[point].Versions, fates[base].Versions); len(both) > 1 {
			versions = union(versions, both)
		}
		for _, w := range union(d.Points[point].Warnings, d.Points[base].Warnings) {
			if !slices.Contains(d.Points[point].Warnings, w) || !slices.Contains(d.Points[base].Warnings, w) {
				warnings = union(warnings, []string{w})
			}
		}
	}
	if len(versions) > 0 {
		slices.SortFunc(versions, release.Compare)
		notes = append(notes, "Points are compared that ran on different versions of SUMO ("+strings.Join(versions, ", ")+"), whose models and "+
			"defaults differ: part of each difference, or all of it, may be theirs.")
	}
	for _, w := range warnings {
		notes = append(notes, "Not the same for both sides of a comparison: "+w)
	}
	return notes
}

// union is a with what only b has.
func union(a, b []string) []string {
	a = slices.Clip(a) // what is added stands in no list of others
	for _, text := range b {
		if !slices.Contains(a, text) {
			a = append(a, text)
		}
	}
	return a
}
