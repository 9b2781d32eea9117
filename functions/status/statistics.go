package status

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/statistics"
	"github.com/sumo-k8/sumo-k8/pkg/study"
)

func (f *Function) registerStatistics(api huma.API, tags []string) {
	rest.Register(api, rest.Tenant, huma.Operation{
		OperationID: "get-study-statistics", Method: http.MethodGet, Path: "/studies/{id}/statistics", Tags: tags,
		Summary: "Describe each metric at each point: mean, interval, spread",
		Description: "The unit is one run's value of a metric. The interval is mean ± t(n−1, 1−α/2)·s/√n; needed is the least n for which " +
			"its half width is the aimed one, with the spread so far (FHWA, Traffic Analysis Toolbox III, appendix B). Quartiles interpolate " +
			"linearly. Answers at any time: runs that have not ended are open.",
		Errors: []int{http.StatusNotFound},
	}, f.statistics)
	rest.Register(api, rest.Tenant, huma.Operation{
		OperationID: "get-study-comparison", Method: http.MethodGet, Path: "/studies/{id}/comparison", Tags: tags,
		Summary: "Compare each point with the baseline",
		Description: "Paired by seed (Student's t test of the differences), or by Welch's test where fewer than two seeds pair. p values are " +
			"adjusted by Holm's method over all comparisons of the study; verdicts follow those. Each interval is for its comparison alone.",
		Errors: []int{http.StatusNotFound},
	}, f.comparison)
	f.registerTable(api, tags)
	f.registerStudyTables(api, tags)
	f.registerStudyPlots(api, tags)
	f.registerReport(api, tags)
	f.registerStudyEdges(api, tags)
}

// StudyQuestion is what answers about the numbers of a study have in common.
type StudyQuestion struct {
	ID         string   `path:"id" doc:"Its study_id."`
	Metric     []string `query:"metric,explode" maxItems:"100" doc:"Metrics to show; those that the study is about if left out."`
	Confidence float64  `query:"confidence" minimum:"0.5" maximum:"0.9999" doc:"Of the intervals; that of the study's aim if left out, or else 0.95."`
}

// level is the confidence asked for.
func (q StudyQuestion) level(s study.Study) *statistics.Level {
	if q.Confidence > 0 {
		return statistics.At(q.Confidence)
	}
	return statistics.At(s.Confidence())
}

// measures are the metrics asked for.
func (q StudyQuestion) measures(d *study.Data) ([]simulation.Measure, error) {
	if len(q.Metric) == 0 {
		return d.Metrics(), nil
	}
	var found []simulation.Measure
	for i, name := range q.Metric {
		if slices.Contains(q.Metric[:i], name) {
			continue
		}
		m, ok := simulation.MeasureOf(name)
		if !ok || !slices.Contains(d.Study.MetricNames, name) {
			return nil, problem.New(problem.Invalid, "%.80q is no metric of this study. It has %s.", name, strings.Join(d.Study.MetricNames, ", ")).
				WithItems(problem.Item{Location: "query.metric", Message: "is no metric of this study", Value: name})
		}
		found = append(found, m)
	}
	return found, nil
}

func names(measures []simulation.Measure) string {
	if len(measures) == 0 {
		return "no metric, because no run has succeeded yet"
	}
	all := make([]string, len(measures))
	for i, m := range measures {
		all[i] = m.Name
	}
	return strings.Join(all, ", ")
}

// numbers reads the numbers of a study.
func (f *Function) numbers(ctx context.Context, id string) (*study.Data, error) {
	t := rest.TenantOf(ctx)
	s, err := f.Studies.Study(ctx, t.ID, id)
	if err != nil {
		return nil, err
	}
	points, err := f.Studies.Points(ctx, t.ID, id)
	if err != nil {
		return nil, err
	}
	results, err := f.Studies.StudyResults(ctx, t.ID, id)
	if err != nil {
		return nil, err
	}
	return study.NewData(s, points, results), nil
}

func fates(d *study.Data) []rest.PointFate {
	all := d.Fates()
	out := make([]rest.PointFate, len(all))
	for i, fate := range all {
		out[i] = rest.PointFateOf(d.Points[i], fate)
	}
	return out
}

type statisticsRequest struct {
	StudyQuestion
	RelativeHalfWidth float64 `query:"relative_half_width" minimum:"0.0001" maximum:"1" doc:"The aim that needed runs are counted for, as a share of the mean; that of the study if left out, or else 0.05."`
}

type statisticsAnswer struct{ Body rest.StudyStatistics }

func (f *Function) statistics(ctx context.Context, in *statisticsRequest) (*statisticsAnswer, error) {
	d, err := f.numbers(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	measures, err := in.measures(d)
	if err != nil {
		return nil, err
	}
	aim := d.Study.Plan.Replications.Until
	if in.RelativeHalfWidth > 0 {
		aim = &study.Aim{RelativeHalfWidth: in.RelativeHalfWidth}
	}
	level := in.level(d.Study)
	estimates := d.Statistics(level, measures, aim)
	out := &statisticsAnswer{Body: rest.StudyStatistics{
		StudyID: d.Study.ID, Status: d.Study.State, Confidence: level.Confidence(), Metrics: rest.StudyMetricsOf(measures), Points: fates(d),
		Statistics: make([]rest.MetricEstimate, len(estimates)), Notes: d.Notes(measures),
	}}
	for i, e := range estimates {
		out.Body.Statistics[i] = rest.MetricEstimateOf(e)
	}
	return out, nil
}

type differencesRequest struct {
	StudyQuestion
	Baseline string `query:"baseline" maxLength:"2000" doc:"What to compare with: the name of a variant, or JSON such as {\"values\": {\"demand\": 1}}; the study's own baseline if left out. An axis that it does not name is matched."`
}

type differencesAnswer struct{ Body rest.StudyComparison }

func (f *Function) comparison(ctx context.Context, in *differencesRequest) (*differencesAnswer, error) {
	d, err := f.numbers(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	measures, err := in.measures(d)
	if err != nil {
		return nil, err
	}
	baseline, err := d.Study.Plan.FindBaseline(in.Baseline)
	if err != nil {
		return nil, err
	}
	if err := compared(d, measures); err != nil {
		return nil, err
	}
	level := in.level(d.Study)
	c := d.Compare(level, baseline, measures)
	out := &differencesAnswer{Body: rest.StudyComparison{
		StudyID: d.Study.ID, Status: d.Study.State, Baseline: c.Baseline, Confidence: level.Confidence(), Family: c.Family, Adjustment: "Holm",
		Metrics: rest.StudyMetricsOf(measures), Points: fates(d), Comparisons: make([]rest.PointComparison, len(c.All)),
		Unmatched: append([]int{}, c.Unmatched...), Notes: append(c.Notes, d.Notes(measures)...),
	}}
	for i, one := range c.All {
		out.Body.Comparisons[i] = rest.PointComparisonOf(one)
	}
	return out, nil
}

// compared refuses metrics by which the study does not compare.
func compared(d *study.Data, measures []simulation.Measure) error {
	family := d.Metrics()
	for _, m := range measures {
		if !slices.Contains(family, m) {
			return problem.New(problem.Invalid, "The study does not compare %s: it is about %s. A comparison beyond those would be one more "+
				"chance of a false alarm. Make a study that names it in metrics; /statistics and /table show it.", m.Name, names(family)).
				WithItems(problem.Item{Location: "query.metric", Message: "is none of the metrics that the study is about", Value: m.Name})
		}
	}
	return nil
}
