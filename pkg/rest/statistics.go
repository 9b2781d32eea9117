package rest

import (
	"math"

	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/study"
)

// StudyMetric is a metric of a study's runs.
type StudyMetric struct {
	Name   string               `json:"name"`
	Unit   string               `json:"unit" doc:"1 for a bare ratio or count."`
	Better simulation.Direction `json:"better" enum:"lower,higher," doc:"Which way is good for traffic; empty where neither is."`
}

// StudyMetricsOf puts measures on the wire.
func StudyMetricsOf(measures []simulation.Measure) []StudyMetric {
	out := make([]StudyMetric, len(measures))
	for i, m := range measures {
		out[i] = StudyMetric{Name: m.Name, Unit: m.Unit, Better: m.Better}
	}
	return out
}

// PointLabel names a point of a study.
type PointLabel struct {
	Point   int     `json:"point" minimum:"0"`
	Label   string  `json:"label" doc:"Variant and values, for people."`
	Variant string  `json:"variant"`
	Setting Setting `json:"setting"`
}

// PointLabelOf names p.
func PointLabelOf(p study.Point) PointLabel {
	return PointLabel{Point: p.Number, Label: study.Label(p.Variant, p.Setting), Variant: p.Variant, Setting: SettingOf(p.Setting)}
}

// PointFate is what has become of a point's runs, to be read beside its means.
type PointFate struct {
	PointLabel
	Succeeded       int            `json:"succeeded" doc:"Runs that count."`
	Missing         int            `json:"missing" doc:"Runs that have ended without a result: failed or cancelled."`
	Open            int            `json:"open" doc:"Runs that have not ended, or never began in a study that was stopped."`
	Incomplete      bool           `json:"incomplete" doc:"Whether runs are missing. They are not missing at random: those in congestion fail first, so that means over the rest look better than they are."`
	Reasons         map[string]int `json:"reasons" doc:"Of the missing runs, how many ended for which reason."`
	Teleports       *float64       `json:"teleports" doc:"Mean over the runs that count: vehicles that SUMO moved past a jam."`
	UnfinishedTrips *float64       `json:"unfinished_trips" doc:"Mean over the runs that count: vehicles that had not arrived at the end, which no mean of finished trips counts."`
	SumoVersions    []string       `json:"sumo_versions" doc:"That made the results."`
}

// MetricEstimate is what the runs of a point say about a metric. The unit is one run's value, never the pooled trips of several runs.
type MetricEstimate struct {
	Point             int      `json:"point" minimum:"0"`
	Metric            string   `json:"metric"`
	N                 int      `json:"n" doc:"Runs that count."`
	Mean              *float64 `json:"mean"`
	SD                *float64 `json:"sd" doc:"Standard deviation; null below two runs."`
	SE                *float64 `json:"standard_error"`
	Low               *float64 `json:"low" doc:"Lower end of the confidence interval of the mean; null below two runs."`
	High              *float64 `json:"high"`
	HalfWidth         *float64 `json:"half_width"`
	RelativeHalfWidth *float64 `json:"relative_half_width" doc:"Of the mean; null where that is 0."`
	Needed            *int     `json:"needed" doc:"Runs that the aim takes, if the spread stays what it is; 1000000 stands for that or more. Null below two runs, or without an aim for this metric."`
	Min               *float64 `json:"min"`
	Q1                *float64 `json:"q1"`
	Median            *float64 `json:"median"`
	Q3                *float64 `json:"q3"`
	Max               *float64 `json:"max"`
	Constant          bool     `json:"constant" doc:"All of several runs gave the same number: the seed changes nothing that this metric sees."`
}

// Number is v, or nil for what does not exist.
func Number(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}

// MetricEstimateOf puts e on the wire.
func MetricEstimateOf(e study.Estimate) MetricEstimate {
	out := MetricEstimate{
		Point: e.Point, Metric: e.Metric.Name, N: e.N, Mean: Number(e.Mean), SD: Number(e.SD), SE: Number(e.SE), Low: Number(e.Mean - e.Half),
		High: Number(e.Mean + e.Half), HalfWidth: Number(e.Half), RelativeHalfWidth: Number(e.Relative), Min: Number(e.Min), Q1: Number(e.Q1),
		Median: Number(e.Median), Q3: Number(e.Q3), Max: Number(e.Max), Constant: e.N >= 2 && e.SD == 0,
	}
	if e.Needed > 0 {
		out.Needed = &e.Needed
	}
	return out
}

// StudyStatistics are means with intervals, by point and metric.
type StudyStatistics struct {
	StudyID    string           `json:"study_id" format:"uuid"`
	Status     study.State      `json:"status" enum:"RUNNING,SUCCEEDED,INCOMPLETE,FAILED,CANCELLED"`
	Confidence float64          `json:"confidence"`
	Metrics    []StudyMetric    `json:"metrics"`
	Points     []PointFate      `json:"points"`
	Statistics []MetricEstimate `json:"statistics" doc:"By point, then by metric."`
	Notes      []string         `json:"notes" doc:"What to know about these numbers."`
}

// PointComparison is a point compared with its baseline by a metric.
type PointComparison struct {
	Point        int           `json:"point" minimum:"0"`
	Baseline     int           `json:"baseline" minimum:"0" doc:"The point that it is compared with."`
	Metric       string        `json:"metric"`
	Unit         string        `json:"unit"`
	Method       string        `json:"method" enum:"paired,welch,exact,none" doc:"paired: by seed. welch: seeds do not pair. exact: all pairs differ by the same number, so there is no test. none: too few runs."`
	N            int           `json:"n" doc:"Pairs; of Welch's test the runs of the smaller side."`
	Mean         *float64      `json:"mean" doc:"Of the point's own runs."`
	BaselineMean *float64      `json:"baseline_mean"`
	Difference   *float64      `json:"difference" doc:"From the baseline: negative is lower."`
	Relative     *float64      `json:"relative" doc:"The difference as a share of the baseline's mean; null where that is 0."`
	SD           *float64      `json:"sd" doc:"Of the differences of pairs."`
	Low          *float64      `json:"low" doc:"Lower end of the confidence interval of this difference alone."`
	High         *float64      `json:"high"`
	T            *float64      `json:"t"`
	DF           *float64      `json:"df" doc:"Degrees of freedom."`
	P            *float64      `json:"p" doc:"Two-sided; null without a test."`
	PAdjusted    *float64      `json:"p_adjusted" doc:"By Holm's method, over all comparisons of the study."`
	Verdict      study.Verdict `json:"verdict" enum:"lower,higher,by_itself,not_told_apart,constant,unknown" doc:"lower, higher: told apart from chance among all comparisons. by_itself: told apart alone, not among all comparisons. constant: every pair differs by the same number."`
	Better       *bool         `json:"better" doc:"Whether traffic is better off; null where the verdict is neither lower nor higher, neither way is good, or the side that looks better leaves out vehicles that had not arrived, or has many teleports."`
	Words        string        `json:"words" doc:"The verdict for a person."`
	Sentence     string        `json:"sentence" doc:"The same with both points named, for a report."`
}

// PointComparisonOf puts c on the wire.
func PointComparisonOf(c study.Comparison) PointComparison {
	return PointComparison{
		Point: c.Point, Baseline: c.Baseline, Metric: c.Metric.Name, Unit: c.Metric.Unit, Method: string(c.Method), N: c.N, Mean: Number(c.Mean),
		BaselineMean: Number(c.BaselineMean), Difference: Number(c.Difference.Mean), SD: Number(c.SD), Low: Number(c.Difference.Mean - c.Half),
		High: Number(c.Difference.Mean + c.Half), T: Number(c.T), DF: Number(c.DF), P: Number(c.P), PAdjusted: Number(c.Adjusted),
		Relative: Number(c.Difference.Mean / math.Abs(c.BaselineMean)), Verdict: c.Verdict, Better: c.Better, Words: c.Words,
		Sentence: c.Sentence,
	}
}

// StudyComparison is each point of a study compared with its baseline.
type StudyComparison struct {
	StudyID     string            `json:"study_id" format:"uuid"`
	Status      study.State       `json:"status" enum:"RUNNING,SUCCEEDED,INCOMPLETE,FAILED,CANCELLED"`
	Baseline    study.Baseline    `json:"baseline"`
	Confidence  float64           `json:"confidence"`
	Family      int               `json:"family" doc:"How many comparisons p_adjusted counts: all points by all metrics of the study, whatever this answer shows."`
	Adjustment  string            `json:"adjustment" doc:"How p values are adjusted: Holm."`
	Metrics     []StudyMetric     `json:"metrics"`
	Points      []PointFate       `json:"points"`
	Comparisons []PointComparison `json:"comparisons" doc:"By point, then by metric."`
	Unmatched   []int             `json:"unmatched" doc:"Points for which the baseline has no partner."`
	Notes       []string          `json:"notes" doc:"What to know about these numbers."`
}

// PointFateOf puts f on the wire, for point p.
func PointFateOf(p study.Point, f study.Fate) PointFate {
	out := PointFate{
		PointLabel: PointLabelOf(p), Succeeded: f.Succeeded, Missing: f.Missing, Open: f.Open, Incomplete: f.Incomplete(),
		Reasons: map[string]int{}, Teleports: Number(f.Teleports), UnfinishedTrips: Number(f.Unfinished), SumoVersions: orEmpty(f.Versions),
	}
	for reason, n := range f.Reasons {
		out.Reasons[string(reason)] = n
	}
	return out
}

// StudyEdges are what the runs of a point say about each edge in one interval, by one attribute.
type StudyEdges struct {
	StudyID    string         `json:"study_id" format:"uuid"`
	Point      int            `json:"point" minimum:"0"`
	Against    *int           `json:"against" minimum:"0" doc:"The point of which differences are; null without one."`
	Attribute  string         `json:"attribute" example:"speed"`
	Unit       string         `json:"unit" doc:"1 for a bare ratio; empty where it is not known."`
	Attributes []string       `json:"attributes" doc:"All that the runs have, by their names in SUMO's output."`
	Interval   int            `json:"interval" minimum:"0" doc:"The one of intervals that edges are about."`
	Intervals  []EdgeInterval `json:"intervals"`
	N          int            `json:"n" doc:"Runs of the point that count."`
	AgainstN   *int           `json:"against_n,omitempty" doc:"Runs of the other point that count; absent without one."`
	Edges      []StudyEdge    `json:"edges" doc:"By id. Those on which no run had a vehicle are left out."`
	Notes      []string       `json:"notes" doc:"What to know about these numbers."`
}

// EdgeInterval is a time for which edges have values.
type EdgeInterval struct {
	Begin float64 `json:"begin" doc:"Seconds of simulated time."`
	End   float64 `json:"end"`
}

// StudyEdge is what the runs say about an edge.
type StudyEdge struct {
	ID         string   `json:"id"`
	N          int      `json:"n" doc:"Runs of the point with a value: all that have the interval, of what is 0 on an edge without vehicles; else those with a vehicle there."`
	Mean       *float64 `json:"mean"`
	SD         *float64 `json:"sd" doc:"Standard deviation; null below two values."`
	Difference *float64 `json:"difference,omitempty" doc:"To the other point: negative is lower. Of pairs of runs with the same seed, or of the means where fewer than two pair. Absent without another point, or without a value of each."`
	P          *float64 `json:"p,omitempty" doc:"Two-sided; absent without a test, as where all pairs differ by the same number."`
	Q          *float64 `json:"q,omitempty" doc:"p adjusted for the false discovery rate (Benjamini and Hochberg) over all edges and intervals of the attribute."`
	ToldApart  *bool    `json:"told_apart,omitempty" doc:"Whether q is at most 0.05: of the edges and intervals that are told apart, one in twenty is expected to be by chance. Absent without another point."`
}

// StudyEdgeOf puts e on the wire; with differences if there is another point.
func StudyEdgeOf(e study.EdgeEstimate, compared bool) StudyEdge {
	out := StudyEdge{ID: e.Edge, N: e.N, Mean: Number(e.Mean), SD: Number(e.SD)}
	if compared {
		apart := e.ToldApart()
		out.Difference, out.P, out.Q, out.ToldApart = Number(e.Difference.Mean), Number(e.P), Number(e.Adjusted), &apart
	}
	return out
}
