package study

import (
	"math"
	"slices"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// Result is what one run of a study came to.
type Result struct {
	Point, Replication int
	JobID              string
	State              job.State
	Reason             simulation.Reason // of a run that failed
	SumoVersion        string            // that ran
	// Metrics are in the order of the study's metric names, NaN where the run has none. Those of a run that failed count in nothing.
	Metrics []float64
}

// Data are a study's numbers.
type Data struct {
	Study   Study
	Points  []Point // by number
	Results []Result
	// values are one list for each metric and point, by replication; NaN where no successful run has the number.
	values map[string][][]float64
}

// largest bounds the magnitude of a metric: beyond it, squares overflow, and nothing about traffic is that large.
const largest = 1e100

// Has reports whether the study, with such points, has the run of a point and a replication. Those that are read later may be of an
// extension that was made since.
func (s Study) Has(points []Point, point, replication int) bool {
	return point >= 0 && point < len(points) && replication >= 0 && replication < len(s.Seeds)
}

// NewData arranges the results of a study, without those of runs that it does not have.
func NewData(s Study, points []Point, results []Result) *Data {
	results = slices.DeleteFunc(results, func(r Result) bool { return !s.Has(points, r.Point, r.Replication) })
	d := &Data{Study: s, Points: points, Results: results, values: map[string][][]float64{}}
	for i, name := range s.MetricNames {
		flat := make([]float64, len(points)*len(s.Seeds))
		for j := range flat {
			flat[j] = math.NaN()
		}
		found := false
		for _, r := range results {
			if r.State != job.Succeeded || i >= len(r.Metrics) || !(math.Abs(r.Metrics[i]) <= largest) {
				continue
			}
			flat[r.Point*len(s.Seeds)+r.Replication], found = r.Metrics[i], true
		}
		if !found {
			continue
		}
		lists := make([][]float64, len(points))
		for p := range lists {
			lists[p] = flat[p*len(s.Seeds) : (p+1)*len(s.Seeds) : (p+1)*len(s.Seeds)]
		}
		d.values[name] = lists
	}
	return d
}

// Values are those of a metric at a point, by replication; NaN where no successful run has one, and nil if no run of the study has any.
func (d *Data) Values(metric string, point int) []float64 {
	lists := d.values[metric]
	if lists == nil {
		return nil
	}
	return lists[point]
}

// Metrics are those that the study is about, the first one being what it is most about: the plan's in its order, or else all that describe
// traffic and that any run has, with DefaultMetrics first.
func (d *Data) Metrics() []simulation.Measure {
	leads := d.Study.Plan.Metrics
	named := len(leads) > 0
	if !named {
		leads = DefaultMetrics()
	}
	var about []simulation.Measure
	for _, name := range d.Study.MetricNames {
		m, ok := simulation.MeasureOf(name)
		if ok && (named && slices.Contains(leads, name) || !named && !m.OfTheRun && d.values[name] != nil) {
			about = append(about, m)
		}
	}
	rank := func(m simulation.Measure) int {
		if i := slices.Index(leads, m.Name); i >= 0 {
			return i
		}
		return len(leads)
	}
	slices.SortStableFunc(about, func(a, b simulation.Measure) int { return rank(a) - rank(b) })
	return about
}

// Measured are all metrics that any successful run has.
func (d *Data) Measured() (measured []simulation.Measure) {
	for _, name := range d.Study.MetricNames {
		if m, ok := simulation.MeasureOf(name); ok && d.values[name] != nil {
			measured = append(measured, m)
		}
	}
	return measured
}

// mean is that of a metric over the successful runs of a point; NaN without one.
func (d *Data) mean(metric string, point int) float64 {
	sum, n := 0.0, 0
	for _, v := range d.Values(metric, point) {
		if !math.IsNaN(v) {
			sum += v
			n++
		}
	}
	if n == 0 {
		return math.NaN()
	}
	return sum / float64(n)
}

// unfinished is the mean number of vehicles, over the successful runs of a point, that had not arrived at the end; NaN without one.
func (d *Data) unfinished(point int) float64 {
	return d.mean("vehicles_running", point) + d.mean("vehicles_waiting", point)
}

// leftOut is the mean share of vehicles, over the successful runs of a point, whose trips count in no mean; NaN where it is not known.
func (d *Data) leftOut(point int) float64 {
	waiting, running := d.mean("vehicles_waiting", point), d.mean("vehicles_running", point)
	all := d.mean("vehicles_finished", point) + running + waiting
	if d.Points[point].Options.UnfinishedTrips {
		running = 0 // they count as if they ended then
	}
	return (running + waiting) / all
}
