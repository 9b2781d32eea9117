package status

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/chart"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/outputs"
)

func (f *Function) registerPlots(api huma.API) {
	list := huma.Operation{
		OperationID: "list-plots", Method: http.MethodGet, Path: "/jobs/{id}/plots", Tags: []string{"Charts and maps"},
		Summary: "List the plots available for a job",
		Errors:  []int{http.StatusNotFound, http.StatusConflict},
	}
	rest.Register(api, rest.Tenant, list, f.plots)
	draw := huma.Operation{
		OperationID: "get-plot", Method: http.MethodGet, Path: "/jobs/{id}/plots/{file}", Tags: list.Tags,
		Summary:     "Draw a plot of one or more jobs",
		Description: "If with names other jobs, all are overlaid; distributions then show the share of each job's trips up to a value.",
		Errors:      []int{http.StatusNotFound, http.StatusConflict, http.StatusRequestEntityTooLarge},
		Responses:   notModified(),
	}
	draw.Responses["200"] = drawn()
	rest.Register(api, rest.Tenant, draw, f.plot)
}

const (
	typePNG = "image/png"
	typeSVG = "image/svg+xml"
)

// drawn describes the answer that is a plot.
func drawn() *huma.Response {
	image := &huma.Schema{Type: huma.TypeString, Format: "binary"}
	described := "The plot. A PNG has letters of Latin, Greek and Cyrillic, and □ for those of other scripts; an SVG has them all."
	return &huma.Response{Description: described, Content: map[string]*huma.MediaType{typePNG: {Schema: image}, typeSVG: {Schema: image}}}
}

// imageType is the media type of a plot in the format that its name ends with.
func imageType(format string) string {
	if format == "svg" {
		return typeSVG
	}
	return typePNG
}

// Plots are the plots of a job.
type Plots struct {
	JobID string     `json:"job_id" format:"uuid"`
	Plots []PlotLink `json:"plots"`
}

// PlotLink is a plot with its addresses.
type PlotLink struct {
	Name  string `json:"name" enum:"vehicles,speed,travel_time,time_loss,waiting_time,emissions,convergence"`
	Title string `json:"title"`
	SVG   string `json:"svg" format:"uri-reference" doc:"Path relative to the service's address."`
	PNG   string `json:"png" format:"uri-reference" doc:"Path relative to the service's address."`
}

type plotsAnswer struct{ Body Plots }

func (f *Function) plots(ctx context.Context, in *jobRequest) (*plotsAnswer, error) {
	j, err := f.finished(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	out := Plots{JobID: j.ID, Plots: []PlotLink{}}
	for _, kind := range chart.Kinds() {
		if drawable(j, kind) {
			path := "/jobs/" + j.ID + "/plots/" + kind.Name
			out.Plots = append(out.Plots, PlotLink{Name: kind.Name, Title: kind.Title, SVG: path + ".svg", PNG: path + ".png"})
		}
	}
	return &plotsAnswer{Body: out}, nil
}

// drawable reports whether j has what a plot is drawn from.
func drawable(j job.Job, kind chart.Kind) bool {
	if kind.Name == chart.Convergence {
		_, ok := convergenceOf(j)
		return ok
	}
	file, ok := j.Result(needed(kind))
	return ok && !tabular.MatchString(file.Name)
}

// convergenceOf is the file in which a tool of j has left how it converged.
func convergenceOf(j job.Job) (job.ResultFile, bool) {
	if j.Options.Tool == nil { // a scenario may have a file of that name
		return job.ResultFile{}, false
	}
	return job.FileNamed(j.Results, simulation.ConvergenceFile)
}

// maxConvergence bounds the file in bytes: some 100 for each iteration.
const maxConvergence = 4 << 20

// convergence reads how a tool has converged.
func (f *Function) convergence(ctx context.Context, j job.Job) (out simulation.Convergence, err error) {
	file, ok := convergenceOf(j)
	if !ok {
		return out, problem.New(problem.NotFound, "Job %s has no convergence to show: only a tool that iterates has one, such as duaIterate.",
			j.ID)
	}
	body, err := f.open(ctx, j, file)
	if err != nil {
		return out, err
	}
	defer body.Close()
	if err := json.NewDecoder(io.LimitReader(body, maxConvergence)).Decode(&out); err != nil {
		return out, fmt.Errorf("reading %s of job %s: %w", file.Name, j.ID, err)
	}
	return out, nil
}

// needed is the output that a plot is drawn from.
func needed(kind chart.Kind) simulation.Output {
	switch {
	case kind.Distribution != "":
		return simulation.OutputTripinfo
	case kind.Name == chart.Emissions:
		return simulation.OutputEmission
	default:
		return simulation.OutputSummary
	}
}

type plotRequest struct {
	ID          string   `path:"id" doc:"The job_id returned at submission."`
	File        string   `path:"file" pattern:"^(vehicles|speed|travel_time|time_loss|waiting_time|emissions|convergence)\\.(svg|png)$" patternDescription:"vehicles, speed, travel_time, time_loss, waiting_time, emissions or convergence, with .svg or .png" example:"vehicles.png"`
	With        []string `query:"with" maxItems:"7" doc:"Ids of other jobs to overlay, separated by commas."`
	Theme       string   `query:"theme" enum:"light,dark" default:"light"`
	Width       int      `query:"width" minimum:"400" maximum:"2400" default:"1200" doc:"Pixels."`
	Height      int      `query:"height" minimum:"300" maximum:"1600" default:"700" doc:"Pixels."`
	IfNoneMatch string   `header:"If-None-Match" maxLength:"1000" doc:"ETag of an earlier answer. The call then answers 304, since a finished job's results do not change."`
}

type plotAnswer struct {
	Status       int
	ContentType  string `header:"Content-Type"`
	ETag         string `header:"ETag"`
	CacheControl string `header:"Cache-Control"`
	Vary         string `header:"Vary"`
	Body         []byte
}

// plotVersion changes whenever the same data are drawn differently.
const plotVersion = 2

func (f *Function) plot(ctx context.Context, in *plotRequest) (*plotAnswer, error) {
	name, format, _ := strings.Cut(in.File, ".")
	kinds := chart.Kinds()
	kind := kinds[slices.IndexFunc(kinds, func(k chart.Kind) bool { return k.Name == name })] // the pattern lets no other pass
	ids := append([]string{in.ID}, in.With...)
	if err := eachOnce(ids); err != nil {
		return nil, err
	}
	jobs := make([]job.Job, len(ids))
	for i, id := range ids {
		var err error
		if jobs[i], err = f.finished(ctx, id); err != nil {
			return nil, err
		}
	}
	tag := fmt.Sprintf(`"%d/%s/%s/%dx%d/%s"`, plotVersion, in.File, in.Theme, in.Width, in.Height, strings.Join(ids, "+"))
	if matches(in.IfNoneMatch, tag) {
		return &plotAnswer{Status: http.StatusNotModified, ETag: tag, CacheControl: viewAge, Vary: viewVary}, nil
	}
	runs := make([]chart.Run, len(jobs))
	for i, label := range labels(jobs) {
		var err error
		if runs[i], err = f.chartRun(ctx, jobs[i], kind); err != nil {
			return nil, err
		}
		runs[i].Label = label
	}
	subtitle := describe(jobs[0])
	if len(jobs) > 1 {
		subtitle = fmt.Sprintf("%d runs compared", len(jobs))
	}
	var image bytes.Buffer
	err := chart.Draw(&image, kind, runs, chart.Options{
		SVG: format == "svg", Dark: in.Theme == "dark", Width: in.Width, Height: in.Height, Subtitle: subtitle,
	})
	if err != nil {
		return nil, err
	}
	return &plotAnswer{
		Status: http.StatusOK, ContentType: imageType(format), ETag: tag, CacheControl: viewAge, Vary: viewVary, Body: image.Bytes(),
	}, nil
}

// chartRun reads what a plot shows of a job.
func (f *Function) chartRun(ctx context.Context, j job.Job, kind chart.Kind) (run chart.Run, err error) {
	if kind.Name == chart.Convergence {
		converged, err := f.convergence(ctx, j)
		return chart.Run{Convergence: &converged}, err
	}
	if _, err := shown(j, needed(kind)); err != nil && problem.CodeOf(err) != problem.TooLarge {
		return run, err
	}
	if kind.Distribution != "" {
		var trips outputs.Distributions
		trips, err = distributionsView.load(ctx, f, j)
		run.Trips = &trips
	} else {
		var series outputs.Series
		series, err = seriesView.load(ctx, f, j)
		run.Series = &series
		if err == nil && kind.Name == chart.Emissions && series.Curve("co2") == nil {
			if _, err = shown(j, simulation.OutputEmission); err == nil {
				err = problem.New(problem.NotFound, "The emission output of job %s has no CO₂ to show. Download it from the job's results.", j.ID)
			}
		}
	}
	return run, err
}

// describe identifies a run in one line.
func describe(j job.Job) string {
	parts := []string{j.Name}
	if j.Options.Seed != nil {
		parts = append(parts, fmt.Sprintf("seed %d", *j.Options.Seed))
	}
	if j.Options.Scale != nil {
		parts = append(parts, fmt.Sprintf("demand × %g", *j.Options.Scale))
	}
	if j.SumoVersion != "" {
		parts = append(parts, "SUMO "+j.SumoVersion)
	}
	if j.State != job.Succeeded {
		parts = append(parts, "stopped early")
	}
	return strings.Join(append(parts, "job "+j.ID), " · ")
}

// labels are distinct names for the jobs: what people called them, with the seed and the scale of the demand where they were
// chosen, and the end of the id where everything else is the same.
func labels(jobs []job.Job) []string {
	out := make([]string, len(jobs))
	count := map[string]int{}
	for i, j := range jobs {
		out[i] = j.Name
		if j.Options.Seed != nil {
			out[i] += fmt.Sprintf(", seed %d", *j.Options.Seed)
		}
		if j.Options.Scale != nil {
			out[i] += fmt.Sprintf(", demand × %g", *j.Options.Scale)
		}
		count[out[i]]++
	}
	for i, j := range jobs {
		if count[out[i]] > 1 {
			out[i] += " (…" + j.ID[len(j.ID)-6:] + ")"
		}
	}
	return out
}
