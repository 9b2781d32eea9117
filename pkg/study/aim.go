package study

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/statistics"
)

// of what an aim judges the interval.
const (
	ofMean       = "mean"
	ofDifference = "difference"
)

// minReplications is the least number of runs of a point before a sequential study judges them, unless it says otherwise: a standard
// deviation from fewer is hardly one.
const minReplications = 5

// least is how many runs each point has before the aim is judged.
func (a *Aim) least() int { return cmp.Or(a.Min, minReplications) }

// DefaultMetrics are what an aim judges in a study that names no metrics.
func DefaultMetrics() []string { return []string{"mean_travel_time", "mean_time_loss"} }

// Measures are the metrics of those names; the default ones if there are none.
func Measures(names []string) (measures []simulation.Measure) {
	if len(names) == 0 {
		names = DefaultMetrics()
	}
	for _, name := range names {
		if m, ok := simulation.MeasureOf(name); ok {
			measures = append(measures, m)
		}
	}
	return measures
}

// rare reports whether m counts what rarely happens, such as teleports. Its mean may be near zero, of which a share is no aim.
func rare(m simulation.Measure) bool { return m.Unit == "1" }

// judged are the metrics that a judges in a study about metrics, rare ones by an absolute half width only.
func (a *Aim) judged(metrics []string) []string {
	names := slices.Sorted(maps.Keys(a.Absolute))
	for _, m := range Measures(metrics) {
		if a.RelativeHalfWidth > 0 && !rare(m) && !slices.Contains(names, m.Name) {
			names = append(names, m.Name)
		}
	}
	return names
}

// checkDifferences refuses an aim at differences where no point has another to differ from.
func (p Plan) checkDifferences(points []Point) error {
	if a := p.Replications.Until; a == nil || a.Of != ofDifference {
		return nil
	}
	if pairs, _ := p.Baseline.pairs(points); len(pairs) > 0 {
		return nil
	}
	return refused([]problem.Item{{
		Location: "body.replications.until.of", Value: ofDifference,
		Message: "has nothing to judge: the baseline " + onlyBaseline,
	}})
}

// Reach is how far a point is from the aim by one metric.
type Reach struct {
	Point  int
	Metric string
	N      int     // values, or pairs, that count
	Half   float64 // half width so far; NaN below two values
	Aim    float64 // half width that it is to have; NaN without a value of what it is a share of
	Needed int     // by the spread so far; 0 while it is not known
}

// Reached reports whether the point has its aim.
func (r Reach) Reached() bool { return r.N >= 2 && r.Half <= r.Aim }

// Reaches say how far each point is from the aim of a sequential study; nil for others.
func (d *Data) Reaches() []Reach {
	aim := d.Study.Plan.Replications.Until
	if aim == nil {
		return nil
	}
	level := statistics.At(d.Study.Confidence())
	var judged []simulation.Measure
	for _, name := range aim.judged(d.Study.Plan.Metrics) {
		if m, ok := simulation.MeasureOf(name); ok {
			judged = append(judged, m)
		}
	}
	var all []Reach
	add := func(point int, metric string, s statistics.Sample, goal float64) {
		if goal == 0 {
			return // a share of nothing
		}
		r := Reach{Point: point, Metric: metric, N: s.N, Half: level.Half(s), Aim: goal}
		if s.N >= 2 {
			r.Needed = level.Needed(s.SD, goal)
		}
		all = append(all, r)
	}
	if aim.Of != ofDifference {
		for p := range d.Points {
			for _, m := range judged {
				s := statistics.Describe(statistics.Present(d.Values(m.Name, p)))
				add(p, m.Name, s, aim.halfWidth(m, s.Mean))
			}
		}
		return all
	}
	pairs, _ := d.Study.Plan.Baseline.pairs(d.Points)
	for _, pair := range pairs {
		for _, m := range judged {
			differences := statistics.Differences(d.Values(m.Name, pair[0]), d.Values(m.Name, pair[1]))
			add(pair[0], m.Name, statistics.Describe(differences), aim.halfWidth(m, d.mean(m.Name, pair[1])))
		}
	}
	return all
}

// Next are the seeds of another round of a sequential study whose runs have all ended; nil if none is due, because every point has its
// aim, or cannot have it.
//
// A round gives every point the same seeds, as many as the point with the largest need asks: so n is equal everywhere, and pairs are
// complete. It doubles the seeds at most, since a spread from few runs is itself uncertain.
func (d *Data) Next() []int64 {
	aim := d.Study.Plan.Replications.Until
	n := len(d.Study.Seeds)
	if aim == nil || n >= aim.Max {
		return nil
	}
	more := 0
	for _, r := range d.Reaches() {
		switch {
		case r.Reached() || r.N == 0: // without a single value there is nothing that more runs would make exact
		case r.Needed == 0:
			more = max(more, 1) // a single value has no spread
		default:
			more = max(more, r.Needed-r.N)
		}
	}
	return NextSeeds(d.Study.Seeds, min(more, n, aim.Max-n))
}

// Remark says what became of the aim of a sequential study that ends.
func (d *Data) Remark() string {
	short, none := map[int]bool{}, map[int]bool{}
	reaches := d.Reaches()
	if len(reaches) == 0 {
		return "The aim judges nothing: it is a share of means that are all 0."
	}
	for _, r := range reaches {
		switch {
		case r.N == 0:
			none[r.Point] = true
		case !r.Reached():
			short[r.Point] = true
		}
	}
	n := len(d.Study.Seeds)
	var parts []string
	if len(short) > 0 {
		most := ""
		if n >= d.Study.Plan.Replications.Until.Max {
			most = ", the most that it allows"
		}
		parts = append(parts, fmt.Sprintf("%s not reached the aim with %d runs each%s.", share(len(short), len(d.Points)), n, most))
	}
	if len(none) > 0 {
		parts = append(parts, fmt.Sprintf("%s no run with the metrics that the aim judges.", share(len(none), len(d.Points))))
	}
	if len(parts) == 0 {
		return fmt.Sprintf("Every point has reached the aim with %d runs.", n)
	}
	return strings.Join(parts, " ")
}

// share is "1 of 6 points has".
func share(n, of int) string {
	switch {
	case of == 1:
		return "The only point has"
	case n == 1:
		return fmt.Sprintf("1 of %d points has", of)
	}
	return fmt.Sprintf("%d of %d points have", n, of)
}

// NextSeeds are n seeds that are not among those of a study: the smallest ones from 1 on.
func NextSeeds(seeds []int64, n int) (next []int64) {
	has := make(map[int64]bool, len(seeds))
	for _, s := range seeds {
		has[s] = true
	}
	for s := int64(1); len(next) < n; s++ {
		if !has[s] {
			next = append(next, s)
		}
	}
	return next
}
