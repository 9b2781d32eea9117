package client

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/study"
)

// StudyMetric is a metric of a study's runs.
type StudyMetric struct {
	Name   string               `json:"name"`
	Unit   string               `json:"unit"` // 1 for a bare ratio or count
	Better simulation.Direction `json:"better"`
}

// PointFate is what has become of a point's runs, to be read beside its means.
type PointFate struct {
	Point           int                        `json:"point"`
	Label           string                     `json:"label"` // variant and values, for people
	Variant         string                     `json:"variant"`
	Setting         map[string]json.RawMessage `json:"setting"`
	Succeeded       int                        `json:"succeeded"`  // runs that count
	Missing         int                        `json:"missing"`    // runs that have ended without a result
	Open            int                        `json:"open"`       // runs that have not ended
	Incomplete      bool                       `json:"incomplete"` // runs are missing
	Reasons         map[string]int             `json:"reasons"`    // how many of the missing runs ended for which reason
	Teleports       *float64                   `json:"teleports"`  // mean over the runs that count
	UnfinishedTrips *float64                   `json:"unfinished_trips"`
	SumoVersions    []string                   `json:"sumo_versions"`
}

// MetricEstimate is what the runs of a point say about a metric; nil stands for what does not exist.
type MetricEstimate struct {
	Point             int      `json:"point"`
	Metric            string   `json:"metric"`
	N                 int      `json:"n"` // runs that count
	Mean              *float64 `json:"mean"`
	SD                *float64 `json:"sd"`
	SE                *float64 `json:"standard_error"`
	Low               *float64 `json:"low"` // ends of the confidence interval of the mean
	High              *float64 `json:"high"`
	HalfWidth         *float64 `json:"half_width"`
	RelativeHalfWidth *float64 `json:"relative_half_width"` // of the mean
	Needed            *int     `json:"needed"`              // runs that the aim takes
	Min               *float64 `json:"min"`
	Q1                *float64 `json:"q1"`
	Median            *float64 `json:"median"`
	Q3                *float64 `json:"q3"`
	Max               *float64 `json:"max"`
	Constant          bool     `json:"constant"` // several runs gave the same number
}

// StudyStatistics are the means of a study with their intervals.
type StudyStatistics struct {
	Document
	ID         string           `json:"study_id"`
	Status     study.State      `json:"status"`
	Confidence float64          `json:"confidence"`
	Metrics    []StudyMetric    `json:"metrics"`
	Points     []PointFate      `json:"points"`
	Statistics []MetricEstimate `json:"statistics"` // by point, then by metric
	Notes      []string         `json:"notes"`
}

// PointComparison is a point compared with its baseline by a metric; nil stands for what does not exist.
type PointComparison struct {
	Point        int           `json:"point"`
	Baseline     int           `json:"baseline"` // the point that it is compared with
	Metric       string        `json:"metric"`
	Unit         string        `json:"unit"`
	Method       string        `json:"method"` // paired, welch, exact or none
	N            int           `json:"n"`
	Mean         *float64      `json:"mean"`
	BaselineMean *float64      `json:"baseline_mean"`
	Difference   *float64      `json:"difference"` // negative is lower
	Relative     *float64      `json:"relative"`   // to the baseline's mean
	SD           *float64      `json:"sd"`         // of the differences of pairs
	Low          *float64      `json:"low"`        // ends of the confidence interval of this difference alone
	High         *float64      `json:"high"`
	T            *float64      `json:"t"`
	DF           *float64      `json:"df"`
	P            *float64      `json:"p"`
	PAdjusted    *float64      `json:"p_adjusted"` // over all comparisons of the study
	Verdict      study.Verdict `json:"verdict"`
	Better       *bool         `json:"better"`
	Words        string        `json:"words"`    // the verdict for a person
	Sentence     string        `json:"sentence"` // the same with both points named
}

// StudyComparison is each point of a study compared with its baseline.
type StudyComparison struct {
	Document
	ID          string            `json:"study_id"`
	Status      study.State       `json:"status"`
	Baseline    study.Baseline    `json:"baseline"`
	Confidence  float64           `json:"confidence"`
	Family      int               `json:"family"`     // comparisons for which p values are adjusted
	Adjustment  string            `json:"adjustment"` // how they are adjusted
	Metrics     []StudyMetric     `json:"metrics"`
	Points      []PointFate       `json:"points"`
	Comparisons []PointComparison `json:"comparisons"` // by point, then by metric
	Unmatched   []int             `json:"unmatched"`   // points for which the baseline has no partner
	Notes       []string          `json:"notes"`
}

// StudyEdges are what the runs of a point say about each edge in one interval, by one attribute of the edgedata output.
type StudyEdges struct {
	Document
	StudyID    string         `json:"study_id"`
	Point      int            `json:"point"`
	Against    *int           `json:"against"` // the point of which differences are; nil without one
	Attribute  string         `json:"attribute"`
	Unit       string         `json:"unit"`       // "1" for a bare ratio; empty where it is not known
	Attributes []string       `json:"attributes"` // all that the runs have
	Interval   int            `json:"interval"`   // the one of Intervals that Edges are about
	Intervals  []EdgeInterval `json:"intervals"`
	N          int            `json:"n"`         // runs of the point that count
	AgainstN   *int           `json:"against_n"` // of the other point; nil without one
	Edges      []StudyEdge    `json:"edges"`     // by id, without those on which no run had a vehicle
	Notes      []string       `json:"notes"`
}

// EdgeInterval is a time for which edges have values, in simulated seconds.
type EdgeInterval struct {
	Begin float64 `json:"begin"`
	End   float64 `json:"end"`
}

// StudyEdge is what the runs say about an edge. What cannot be said is nil.
type StudyEdge struct {
	ID         string   `json:"id"`
	N          int      `json:"n"` // runs of the point with a value
	Mean       *float64 `json:"mean"`
	SD         *float64 `json:"sd"`
	Difference *float64 `json:"difference"` // to the other point: negative is lower
	P          *float64 `json:"p"`          // two-sided
	Q          *float64 `json:"q"`          // p adjusted for the false discovery rate (Benjamini and Hochberg)
	ToldApart  *bool    `json:"told_apart"` // whether Q is at most 0.05
}

// EdgeQuestion says which numbers of edges are asked for.
type EdgeQuestion struct {
	Point     int
	Against   *int   // the point to compare it with; nil for none
	Attribute string // of the edgedata output, such as timeLoss; empty for speed
	Interval  int    // from 0
}

// StudyQuestion says which numbers of a study are asked for. The study chooses for zero values.
type StudyQuestion struct {
	Metrics    []string
	Confidence float64 // of the intervals, such as 0.95
	// RelativeHalfWidth is the aim of StudyStatistics for which needed runs are counted, as a share of the mean.
	RelativeHalfWidth float64
	// Baseline is what StudyComparison compares with: the name of a variant, or the JSON of a study.Baseline.
	Baseline string
}

func (q StudyQuestion) query() url.Values {
	values := url.Values{}
	if len(q.Metrics) > 0 {
		values["metric"] = q.Metrics
	}
	for name, number := range map[string]float64{"confidence": q.Confidence, "relative_half_width": q.RelativeHalfWidth} {
		if number != 0 {
			values.Set(name, strconv.FormatFloat(number, 'g', -1, 64))
		}
	}
	if q.Baseline != "" {
		values.Set("baseline", q.Baseline)
	}
	return values
}

// StudyStatistics describes each metric at each point of a study.
func (c *Client) StudyStatistics(ctx context.Context, id string, q StudyQuestion) (s StudyStatistics, err error) {
	err = c.call(ctx, request{method: http.MethodGet, path: studyPath(id, "/statistics"), query: q.query()}, &s)
	return s, err
}

// StudyComparison compares each point of a study with its baseline.
func (c *Client) StudyComparison(ctx context.Context, id string, q StudyQuestion) (s StudyComparison, err error) {
	err = c.call(ctx, request{method: http.MethodGet, path: studyPath(id, "/comparison"), query: q.query()}, &s)
	return s, err
}

// StudyEdges describes the edges of a network at one point of a study, and compares them with another point.
func (c *Client) StudyEdges(ctx context.Context, id string, q EdgeQuestion) (e StudyEdges, err error) {
	query := url.Values{"point": {strconv.Itoa(q.Point)}, "interval": {strconv.Itoa(q.Interval)}}
	if q.Against != nil {
		query.Set("against", strconv.Itoa(*q.Against))
	}
	if q.Attribute != "" {
		query.Set("attribute", q.Attribute)
	}
	err = c.call(ctx, request{method: http.MethodGet, path: studyPath(id, "/edgedata"), query: query}, &e)
	return e, err
}

// StudyTable copies a study to w as a tidy table, with one row for each run and metric: as "csv", "json" or "parquet". Without metrics
// it has all that any run has.
func (c *Client) StudyTable(ctx context.Context, id, format string, metrics []string, w io.Writer) error {
	query := url.Values{"format": {format}}
	if len(metrics) > 0 {
		query["metric"] = metrics
	}
	return c.copy(ctx, request{method: http.MethodGet, path: studyPath(id, "/table"), query: query}, w)
}

// StudyPlots lists the plots of a study.
func (c *Client) StudyPlots(ctx context.Context, id string) (p Plots, err error) {
	err = c.call(ctx, request{method: http.MethodGet, path: studyPath(id, "/plots")}, &p)
	return p, err
}

// StudyDrawing says what a plot of a study shows. The service chooses for zero values.
type StudyDrawing struct {
	Format     string // svg or png
	Metric     string
	Axis       string // along which the metric is drawn
	Baseline   string // as in StudyQuestion
	Confidence float64
	Dark       bool
	Width      int // pixels
}

// StudyPlot returns a plot of a study as a file.
func (c *Client) StudyPlot(ctx context.Context, id, name string, d StudyDrawing) ([]byte, error) {
	query := StudyQuestion{Confidence: d.Confidence, Baseline: d.Baseline}.query()
	for param, value := range map[string]string{"metric": d.Metric, "axis": d.Axis} {
		if value != "" {
			query.Set(param, value)
		}
	}
	if d.Dark {
		query.Set("theme", "dark")
	}
	if d.Width != 0 {
		query.Set("width", strconv.Itoa(d.Width))
	}
	path := studyPath(id, "/plots/"+url.PathEscape(name+"."+d.Format))
	return c.fetch(ctx, request{method: http.MethodGet, path: path, query: query})
}

// StudyReport copies the report of a study to w: one HTML file that needs nothing else.
func (c *Client) StudyReport(ctx context.Context, id string, w io.Writer) error {
	return c.copy(ctx, request{method: http.MethodGet, path: studyPath(id, "/report.html")}, w)
}
