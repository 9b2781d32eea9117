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
	Versions              []string // of SUMO, that made the results
}

// Incomplete reports whether a run of the point has ended without a result.
func (f Fate) Incomplete() bool { return f.Missing > 0 }

// Biased reports whether runs are missing that were not cancelled, so that what is left looks better than it is.
func (f Fate) Biased() bool { return f.Missing > f.Reasons[simulation.Cancelled] }

// Fates say what has become of the runs of each point.
func (d *Data) Fates() []Fate {
	fates := make([]Fate, len(d.Points))
	versions := make([]map[string]bool, len(d.Points))
	for i := range fates {
		fates[i] = Fate{
			Point: i, Open: len(d.Study.Seeds), Reasons: map[simulation.Reason]int{}, Teleports: d.mean("teleports", i), Unfinished: d.unfinished(i),
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

// halfWidth is the one that a mean is to have; NaN where none is defined. Without an aim it is the default share of the mean.
func (a *Aim) halfWidth(metric string, mean float64) float64 {
	if a != nil {
		if half, ok := a.Absolute[metric]; ok {
			return half
		}
		if a.RelativeHalfWidth > 0 {
			return a.RelativeHalfWidth * math.Abs(mean)
		}
		return math.NaN()
	}
	return DefaultHalfWidth * math.Abs(mean)
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
	if half := aim.halfWidth(m.Name, s.Mean); s.N >= 2 && !math.IsNaN(half) {
		e.Needed = level.Needed(s.SD, half)
	}
	return e
}

// Notes are what a reader has to know about all numbers of the study.
func (d *Data) Notes() []string {
	notes := []string{"The seed varies what SUMO draws at random: speed factors, imperfection, random departures and choices. Departures " +
		"and routes that the scenario writes out are the same in every run, so that intervals hold for this demand."}
	if d.Study.Plan.Replications.Until != nil {
		notes = append(notes, "The number of runs was decided by looking at the results after each round, so that intervals are a little "+
			"too narrow.")
	}
	missing, incomplete, open, biased := 0, 0, 0, false
	for _, f := range d.Fates() {
		missing += f.Missing
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
		notes = append(notes, note)
	}
	if note := d.unmeasured(); note != "" {
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

// unmeasured says how many successful runs have no value of a metric that the study is most about, such as those in which no trip ended:
// they are not missing, and yet in no mean of it.
func (d *Data) unmeasured() string {
	runs, points := map[[2]int]bool{}, map[int]bool{}
	var lacking []string
	for _, m := range Measures(d.Study.Plan.Metrics) {
		lacks := false
		for _, r := range d.Results {
			values := d.Values(m.Name, r.Point)
			if r.State != job.Succeeded || values == nil || !math.IsNaN(values[r.Replication]) {
				continue
			}
			lacks, runs[[2]int{r.Point, r.Replication}], points[r.Point] = true, true, true
		}
		if lacks {
			lacking = append(lacking, m.Words())
		}
	}
	if len(lacking) == 0 {
		return ""
	}
	return fmt.Sprintf("%d of the runs, at %d of the points, succeeded without a value, so that means are over the others: %s. A run in "+
		"which no trip ends has none.", len(runs), len(points), strings.Join(lacking, ", "))
}
