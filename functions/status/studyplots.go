package status

import (
	"bytes"
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/study"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/chart"
)

func (f *Function) registerStudyPlots(api huma.API, tags []string) {
	rest.Register(api, rest.Tenant, huma.Operation{
		OperationID: "list-study-plots", Method: http.MethodGet, Path: "/studies/{id}/plots", Tags: tags,
		Summary:     "List the plots of a study",
		Description: "The plot of differences is listed if the study has a baseline; it can be drawn against any.",
		Errors:      []int{http.StatusNotFound},
	}, f.studyPlots)
	draw := huma.Operation{
		OperationID: "get-study-plot", Method: http.MethodGet, Path: "/studies/{id}/plots/{file}", Tags: tags,
		Summary: "Draw a plot of a study",
		Description: "means: a metric over an axis, a line for each variant, with confidence intervals; points side by side if the study has " +
			"no axis. boxes: all runs of each point. differences: each point against the baseline. convergence: the half width of the interval " +
			"by the number of runs, with the aim if the study has one. A plot is as high as its points take; what is incomplete is hollow, or " +
			"says so beside it. A PNG of more than 12 million pixels is refused; the SVG has no such bound.",
		Errors: []int{http.StatusNotFound, http.StatusRequestEntityTooLarge},
	}
	draw.Responses = map[string]*huma.Response{"200": drawn()}
	rest.Register(api, rest.Tenant, draw, f.studyPlot)
}

// StudyPlots are the plots of a study.
type StudyPlots struct {
	StudyID string          `json:"study_id" format:"uuid"`
	Plots   []StudyPlotLink `json:"plots"`
}

// StudyPlotLink is a plot of a study with its addresses.
type StudyPlotLink struct {
	Name  string `json:"name" enum:"means,boxes,differences,convergence"`
	Title string `json:"title"`
	SVG   string `json:"svg" format:"uri-reference" doc:"Path relative to the service's address."`
	PNG   string `json:"png" format:"uri-reference" doc:"Path relative to the service's address."`
}

type studyPlotsAnswer struct{ Body StudyPlots }

func (f *Function) studyPlots(ctx context.Context, in *studyRequest) (*studyPlotsAnswer, error) {
	s, err := f.Studies.Study(ctx, rest.TenantOf(ctx).ID, in.ID)
	if err != nil {
		return nil, err
	}
	out := StudyPlots{StudyID: s.ID, Plots: []StudyPlotLink{}}
	for _, p := range chart.StudyPlots() {
		if p.Name == chart.Differences && s.Plan.Baseline == nil {
			continue
		}
		path := "/studies/" + s.ID + "/plots/" + p.Name
		out.Plots = append(out.Plots, StudyPlotLink{Name: p.Name, Title: p.Title, SVG: path + ".svg", PNG: path + ".png"})
	}
	return &studyPlotsAnswer{Body: out}, nil
}

type studyPlotRequest struct {
	ID         string  `path:"id" doc:"Its study_id."`
	File       string  `path:"file" pattern:"^(means|boxes|differences|convergence)\\.(svg|png)$" patternDescription:"means, boxes, differences or convergence, with .svg or .png" example:"means.svg"`
	Metric     string  `query:"metric" maxLength:"200" doc:"The metric to show; the study's first if left out."`
	Axis       string  `query:"axis" maxLength:"100" doc:"Of means: the horizontal axis; the study's first with several values if left out."`
	Baseline   string  `query:"baseline" maxLength:"2000" doc:"Of differences: what to compare with, as GET /studies/{id}/comparison takes it."`
	Confidence float64 `query:"confidence" minimum:"0.5" maximum:"0.9999" doc:"Of the intervals; that of the study's aim if left out, or else 0.95."`
	Theme      string  `query:"theme" enum:"light,dark" default:"light"`
	Width      int     `query:"width" minimum:"600" maximum:"2400" default:"1200" doc:"Pixels; the height follows from the points."`
}

type studyPlotAnswer struct {
	ContentType string `header:"Content-Type"`
	Body        []byte
}

func (f *Function) studyPlot(ctx context.Context, in *studyPlotRequest) (*studyPlotAnswer, error) {
	d, err := f.numbers(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	asked := StudyQuestion{Confidence: in.Confidence}
	measures := d.Metrics()
	if in.Metric != "" {
		asked.Metric = []string{in.Metric}
		if measures, err = asked.measures(d); err != nil {
			return nil, err
		}
	}
	q := chart.Question{Metric: firstOf(measures), Axis: in.Axis, Level: asked.level(d.Study)}
	name, format, _ := strings.Cut(in.File, ".")
	if name == chart.Differences {
		if q.Baseline, err = d.Study.Plan.FindBaseline(in.Baseline); err != nil {
			return nil, err
		}
		if err := compared(d, measures[:min(1, len(measures))]); err != nil {
			return nil, err
		}
	}
	plots := chart.StudyPlots()
	plot := plots[slices.IndexFunc(plots, func(p chart.StudyPlot) bool { return p.Name == name })] // the pattern lets no other pass
	var image bytes.Buffer
	if err := chart.DrawStudy(&image, plot, d, q, chart.Options{SVG: format == "svg", Dark: in.Theme == "dark", Width: in.Width}); err != nil {
		return nil, err
	}
	return &studyPlotAnswer{ContentType: imageType(format), Body: image.Bytes()}, nil
}

// firstOf is the first of a study's metrics; one that studies are often about while no run has any.
func firstOf(measures []simulation.Measure) simulation.Measure {
	if len(measures) > 0 {
		return measures[0]
	}
	m, _ := simulation.MeasureOf(study.DefaultMetrics()[0])
	return m
}
