package study

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/statistics"
)

// Defaults of the answers about a study.
const (
	DefaultConfidence = 0.95
	DefaultHalfWidth  = 0.05 // relative, of which needed numbers of runs are counted
)

// Bounds of confidence. Quantiles beyond are those of a normal distribution that no run of SUMO follows so far out.
const (
	MinConfidence = 0.5
	MaxConfidence = 0.9999
)

// Estimate is what the successful runs of a point say about a metric. Numbers that do not exist are NaN.
type Estimate struct {
	Point  int
	Metric simulation.Measure
	statistics.Sample
	SE, Half float64 // standard error, and half width of the interval of the mean
	// Relative is the half width as a share of the mean's magnitude; NaN without an interval, or where the mean is 0.
	Relative float64
	// Needed is how many successful runs the aim takes by the spread so far; 0 where that is not known. It is
	// statistics.MostNeeded where that or more are needed.
	Needed int
}

// Fate is what has become of a point's runs, beside its means.
type Fate struct {
	Point int
	// Missing are the runs that have ended without a result: they are not missing at random, since runs fail in congestion. Open are those
	// that have not ended, or never began in a study that was stopped.
	Succeeded, Missing, Open int
	Reasons                  map[simulation.Reason]int // of the missing runs
	// Teleports and Unfinished are means over successful runs: vehicles that SUMO moved past a jam, and vehicles that had not arrived at
	// the end. NaN without a run.
	Teleports, Unfinished float64
	// LeftOut is the share of vehicles that means over trips leave out, because their trips had not ended; NaN where it is not known.
	LeftOut float64
	// Moved is the number of teleports for each vehicle that departed; NaN where it is not known.
	Moved    float64
	Versions []string // of SUMO, that made the results
}

// Incomplete reports whether a run of the point has ended without a result.
func (f Fate) Incomplete() bool { return f.Missing > 0 }

// Biased reports whether runs are missing that began and were not cancelled, so that what is left looks better than it is.
func (f Fate) Biased() bool {
	return f.Missing > f.Reasons[simulation.Cancelled]+f.Reasons[simulation.InvalidScenario]
}

// muchLeftOut is the share of unfinished trips, or of teleports, from which on means over trips say so. Below it are the vehicles that any
// interval of traffic that goes on leaves on the road; beyond it the queues that a mean over finished trips does not see.
const muchLeftOut = 0.05

// Congested reports whether means over the trips of the point leave out so many vehicles that they look better than traffic is.
func (f Fate) Congested() bool { return f.LeftOut >= muchLeftOut }

// Lifted reports whether SUMO moved so many vehicles past jams that means over the trips of the point look better than traffic is: what
// these vehicles would have lost in the jam is in no mean.
func (f Fate) Lifted() bool { return f.Moved >= muchLeftOut }

// Flattered reports whether means over the trips of the point look better than traffic is.
func (f Fate) Flattered() bool { return f.Congested() || f.Lifted() }

// Fates say what has become of the runs of each point.
func (d *Data) Fates() []Fate {
	fates := make([]Fate, len(d.Points))
	versions := make([]map[string]bool, len(d.Points))
	for i := range fates {
		fates[i] = Fate{
			Point: i, Open: len(d.Study.Seeds), Reasons: map[simulation.Reason]int{}, Teleports: d.mean("teleports", i), Unfinished: d.unfinished(i),
			LeftOut: d.leftOut(i), Moved: d.mean("teleports", i) / d.mean("vehicles_inserted", i),
		}
		versions[i] = map[string]bool{}
	}
	for _, r := range d.Results {
		if !r.State.Terminal() {
			continue
		}
		f := &fates[r.Point]
		f.Open--
		switch r.State {
		case job.Succeeded:
			f.Succeeded++
			versions[r.Point][r.SumoVersion] = true
		default:
			f.Missing++
			f.Reasons[r.Reason]++
		}
	}
	for i := range fates {
		delete(versions[i], "")
		fates[i].Versions = slices.Sorted(maps.Keys(versions[i]))
	}
	return fates
}

// halfWidth is the one that a mean is to have; NaN where none is defined. Without an aim it is the default share of the mean, of which
// rare counts have none.
func (a *Aim) halfWidth(m simulation.Measure, mean float64) float64 {
	share := DefaultHalfWidth
	if a != nil {
		if half, ok := a.Absolute[m.Name]; ok {
			return half
		}
		share = a.RelativeHalfWidth
	}
	if share == 0 || rare(m) {
		return math.NaN()
	}
	return share * math.Abs(mean)
}

// Confidence is the one of s's answers, unless they are asked for another.
func (s Study) Confidence() float64 {
	if a := s.Plan.Replications.Until; a != nil && a.Confidence > 0 {
		return a.Confidence
	}
	return DefaultConfidence
}

// Statistics describe each of some metrics at each point: by point, then by metric. Needed runs are those of aim, or, if it is nil, of an
// interval of 5 % of the mean at each side.
func (d *Data) Statistics(level *statistics.Level, metrics []simulation.Measure, aim *Aim) []Estimate {
	all := make([]Estimate, 0, len(d.Points)*len(metrics))
	for p := range d.Points {
		for _, m := range metrics {
			all = append(all, d.estimate(level, m, p, aim))
		}
	}
	return all
}

func (d *Data) estimate(level *statistics.Level, m simulation.Measure, point int, aim *Aim) Estimate {
	s := statistics.Describe(statistics.Present(d.Values(m.Name, point)))
	e := Estimate{Point: point, Metric: m, Sample: s, SE: s.SE(), Half: level.Half(s), Relative: math.NaN()}
	if s.Mean != 0 {
		e.Relative = e.Half / math.Abs(s.Mean)
	}
	if half := aim.halfWidth(m, s.Mean); s.N >= 2 && !math.IsNaN(half) {
		e.Needed = level.Needed(s.SD, half)
	}
	return e
}

// Notes are what a reader has to know about the numbers of the study, of which some metrics are shown.
func (d *Data) Notes(shown []simulation.Measure) []string {
	notes := []string{"The seed varies what SUMO draws at random: speed factors, imperfection, random departures and choices. Departures " +
		"and routes that the scenario writes out are the same in every run, so that intervals hold for this demand."}
	if d.Study.Plan.Replications.Until != nil {
		notes = append(notes, "The number of runs was decided by looking at the results after each round, so that intervals are a little "+
			"too narrow.")
	}
	missing, incomplete, invalid, open, biased := 0, 0, 0, 0, false
	fates := d.Fates()
	notes = append(notes, d.unmeasured(shown, fates)...)
	notes = append(notes, d.sparse(shown)...)
	notes = append(notes, d.Flattery(shown)...)
	for _, f := range fates {
		missing += f.Missing
		invalid += f.Reasons[simulation.InvalidScenario]
		open += f.Open
		biased = biased || f.Biased()
		if f.Incomplete() {
			incomplete++
		}
	}
	if missing > 0 {
		note := fmt.Sprintf("%d of the runs, at %d of the points, ended without a result.", missing, incomplete)
		if biased {
			note += " Runs do not fail at random: those in congestion do, so that what is left looks better than it is."
		}
		if invalid > 0 {
			note += fmt.Sprintf(" %d could not be run as planned, and a retry does not change that: fix what the messages of these runs name.",
				invalid)
		}
		notes = append(notes, note)
	}
	switch {
	case open == 0:
	case d.Study.State.Terminal():
		notes = append(notes, fmt.Sprintf("%d of the runs never began, because the study was stopped.", open))
	default:
		notes = append(notes, fmt.Sprintf("%d of the runs have not ended: these numbers will change.", open))
	}
	return notes
}

// unmeasured notes which metrics no successful run of a point has, and why.
func (d *Data) unmeasured(shown []simulation.Measure, fates []Fate) (notes []string) {
	measured := 0 // points with a run that has numbers
	for _, f := range fates {
		if f.Succeeded > 0 {
			measured++
		}
	}
	names, order := map[string][]string{}, []string{} // of metrics, by what follows them in a note
	for _, m := range shown {
		var without []Point
		for p, f := range fates {
			if f.Succeeded > 0 && len(statistics.Present(d.Values(m.Name, p))) == 0 {
				without = append(without, d.Points[p])
			}
		}
		if len(without) == 0 {
			continue
		}
		rest := d.absence(m, without)
		if len(without) < measured {
			rest = fmt.Sprintf(" at %d of the %d points", len(without), len(d.Points)) + rest
		}
		if names[rest] == nil {
			order = append(order, rest)
		}
		names[rest] = append(names[rest], m.Words())
	}
	for _, rest := range order {
		notes = append(notes, "No successful run has a value of "+strings.Join(names[rest], ", ")+rest+".")
	}
	return notes
}

// sparse notes how many successful runs lack a metric that others of their point have: they are not missing, and yet in no mean of it.
func (d *Data) sparse(shown []simulation.Measure) []string {
	runs, points := map[[2]int]bool{}, map[int]bool{}
	var lacking []string
	for _, m := range shown {
		lacks := false
		for _, r := range d.Results {
			values := d.Values(m.Name, r.Point)
			if r.State != job.Succeeded || len(statistics.Present(values)) == 0 || !math.IsNaN(values[r.Replication]) {
				continue
			}
			lacks, runs[[2]int{r.Point, r.Replication}], points[r.Point] = true, true, true
		}
		if lacks {
			lacking = append(lacking, m.Words())
		}
	}
	if len(lacking) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%d of the runs, at %d of the points, succeeded without a value, so that means are over the others: %s.",
		len(runs), len(points), strings.Join(lacking, ", "))}
}

// overTrips reports whether m is a mean or a sum over the trips that count in SUMO's statistics.
func overTrips(m simulation.Measure) bool {
	name := m.Name
	if class, ok := simulation.ClassOf(name); ok {
		name = class.Base
	}
	return name == "total_travel_time" || name != "vehicles_finished" && slices.Contains(simulation.TripMetrics(), name)
}

// Flattery notes at which points metrics over trips look better than traffic is, and where most; empty if no such metric is shown.
func (d *Data) Flattery(shown []simulation.Measure) (notes []string) {
	if !slices.ContainsFunc(shown, overTrips) {
		return nil
	}
	fates := d.Fates()
	note := func(flattered func(Fate) bool, share func(Fate) float64, say func(where string, share float64, at string) string) {
		var worst Fate
		n := 0
		for _, f := range fates {
			if flattered(f) {
				n++
				if n == 1 || share(f) > share(worst) {
					worst = f
				}
			}
		}
		if n > 0 {
			p := d.Points[worst.Point]
			notes = append(notes, say(fmt.Sprintf("At %d of the %d points", n, len(d.Points)), share(worst), Label(p.Variant, p.Setting)))
		}
	}
	note(Fate.Congested, func(f Fate) float64 { return f.LeftOut }, func(where string, share float64, at string) string {
		return fmt.Sprintf("%s vehicles had not arrived at the end: %s of them at %s. They are in no mean and no sum over trips, so that "+
			"congestion looks better there than it is.", where, Percent(share), at)
	})
	note(Fate.Lifted, func(f Fate) float64 { return f.Moved }, func(where string, share float64, at string) string {
		return fmt.Sprintf("%s SUMO moved vehicles past jams: %s at %s. What they would have lost in the jams is in no mean and no sum over "+
			"trips, so that congestion looks better there than it is.", where, teleports(share), at)
	})
	return notes
}

// teleports are their number for each vehicle, for a person.
func teleports(each float64) string { return significant(100*each, 2) + " teleports for 100 vehicles" }

// absence says why the runs of points have no value of m, as the end of a sentence; empty if it is not known.
func (d *Data) absence(m simulation.Measure, points []Point) string {
	most := func(metric string) float64 { // of the points' runs; -1 where none has it
		most := -1.0
		for _, p := range points {
			most = slices.Max(append(statistics.Present(d.Values(metric, p.Number)), most))
		}
		return most
	}
	class, byClass := simulation.ClassOf(m.Name)
	emission := func(p Point) bool { return slices.Contains(p.Options.Outputs, simulation.OutputEmission) }
	switch {
	case byClass && most(class.Base) >= 0:
		return ": no vehicle of that class had a trip that counts"
	case strings.HasPrefix(m.Name, "persons_") && most("persons_loaded") < 0:
		return ": there were no persons"
	case slices.Contains(simulation.TripMetrics(), m.Name) && most("vehicles_finished") == 0:
		return ": no vehicle had arrived"
	case slices.Contains([]string{"fuel", "electricity"}, m.Name) || strings.HasPrefix(m.Name, "emissions_"):
		if !slices.ContainsFunc(points, emission) {
			return ": the output emission was not asked for"
		}
	}
	return ""
}
