package status

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sumo-k8/sumo-k8/pkg/calibration"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/chart"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/outputs"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/roadnet"
)

func (f *Function) registerCounts(api huma.API) {
	const described = "Send CSV. " + calibration.Format + " Several detectors or edges that count together, such as those of all lanes, are " +
		"separated by blanks. Detectors are induction loops (E1) of the scenario; edges are read from the edgedata output, as the vehicles " +
		"that entered them or departed on them."
	op := huma.Operation{
		OperationID: "compare-counts", Method: http.MethodPost, Path: "/jobs/{id}/counts", Tags: []string{"Charts and maps"},
		Summary: "Compare traffic counts with a job",
		Description: described + " The answer has the GEH statistic of each count, √(2(m−c)²/(m+c)) of the flows m and c in vehicles per " +
			"hour, the share below 5, and the root mean square error. Nothing is stored.",
		MaxBodyBytes: calibration.MaxBytes,
		Errors:       []int{http.StatusRequestTimeout, http.StatusNotFound, http.StatusConflict, http.StatusRequestEntityTooLarge},
	}
	rest.Register(api, rest.Tenant, op, f.counts)
	op.OperationID, op.Path = "draw-counts", "/jobs/{id}/counts/{file}"
	op.Summary = "Draw traffic counts against those of a job"
	op.Description = described + " The plot has a mark for each count, the line on which both are the same, and the band of a GEH below 5."
	op.Responses = map[string]*huma.Response{"200": drawn()}
	rest.Register(api, rest.Tenant, op, f.countsPlot)
	// Not required, so that an unknown job is the first thing to say about a request without counts.
	body := &huma.RequestBody{Description: "The counts.", Content: map[string]*huma.MediaType{
		"text/csv": {Schema: &huma.Schema{Type: huma.TypeString, Examples: []any{"edge,hour,count\nmain,7,412\nmain,8,398\n"}}},
	}}
	paths := api.OpenAPI().Paths // documented only now: huma knows a body only as bytes
	paths["/jobs/{id}/counts"].Post.RequestBody, paths[op.Path].Post.RequestBody = body, body
}

type countsRequest struct {
	ID      string `path:"id" doc:"The job_id returned at submission."`
	RawBody []byte `contentType:"text/csv"`
}

// Counts are counts beside those of a run.
type Counts struct {
	JobID    string        `json:"job_id" format:"uuid"`
	Counts   int           `json:"counts" doc:"How many were sent."`
	Compared int           `json:"compared" doc:"How many of them the run has values for."`
	Below    int           `json:"geh_below_5" doc:"How many of those compared have a GEH below 5."`
	Share    *float64      `json:"share_below_5" doc:"The same as a share of those compared. Null without any, as the next two. More than 0.85 is usually asked for (DMRB 12.2.1, table 4.2)."`
	RMSE     *float64      `json:"rmse" doc:"Root mean square of the differences, in vehicles per hour."`
	Bias     *float64      `json:"bias" doc:"Mean of the run's flow less the counted one, in vehicles per hour."`
	Rows     []CountedFlow `json:"rows" doc:"In the order of the file."`
	Notes    []string      `json:"notes" doc:"What makes the comparison doubtful, such as ignored columns."`
}

// CountedFlow is a count beside that of the run.
type CountedFlow struct {
	Line     int              `json:"line" doc:"Of the file."`
	Kind     calibration.Kind `json:"kind" enum:"detector,edge"`
	Places   []string         `json:"places" doc:"Ids of the detectors or edges that count together."`
	Begin    float64          `json:"begin" doc:"Seconds of simulated time."`
	End      float64          `json:"end" doc:"Seconds of simulated time."`
	Counted  float64          `json:"counted" doc:"Vehicles per hour."`
	Modelled *float64         `json:"modelled" doc:"Vehicles per hour; null if message says why there is no value."`
	GEH      *float64         `json:"geh" doc:"Null if modelled is."`
	Message  string           `json:"message,omitempty"`
}

type countsAnswer struct{ Body Counts }

func (f *Function) counts(ctx context.Context, in *countsRequest) (*countsAnswer, error) {
	j, rows, notes, err := f.compareCounts(ctx, in.ID, in.RawBody)
	if err != nil {
		return nil, err
	}
	s := calibration.Summarise(rows)
	out := Counts{JobID: j.ID, Counts: len(rows), Compared: s.Compared, Below: s.Below, Rows: make([]CountedFlow, len(rows)), Notes: notes}
	if s.Compared > 0 {
		share := float64(s.Below) / float64(s.Compared)
		out.Share, out.RMSE, out.Bias = &share, &s.RMSE, &s.Bias
	}
	for i, r := range rows {
		out.Rows[i] = CountedFlow{
			Line: r.Line, Kind: r.Kind, Places: r.IDs, Begin: r.Begin, End: r.End, Counted: r.Flow, Message: r.Why,
		}
		if r.Why == "" {
			out.Rows[i].Modelled, out.Rows[i].GEH = &rows[i].Modelled, &rows[i].GEH
		}
	}
	return &countsAnswer{Body: out}, nil
}

type countsPlotRequest struct {
	ID      string `path:"id" doc:"The job_id returned at submission."`
	File    string `path:"file" pattern:"^scatter\\.(svg|png)$" patternDescription:"scatter.svg or scatter.png" example:"scatter.svg"`
	Theme   string `query:"theme" enum:"light,dark" default:"light"`
	Width   int    `query:"width" minimum:"400" maximum:"2400" default:"1000" doc:"Pixels."`
	Height  int    `query:"height" minimum:"300" maximum:"1600" default:"1000" doc:"Pixels."`
	RawBody []byte `contentType:"text/csv"`
}

type countsPlotAnswer struct {
	ContentType string `header:"Content-Type"`
	Body        []byte
}

func (f *Function) countsPlot(ctx context.Context, in *countsPlotRequest) (*countsPlotAnswer, error) {
	j, rows, _, err := f.compareCounts(ctx, in.ID, in.RawBody)
	if err != nil {
		return nil, err
	}
	_, format, _ := strings.Cut(in.File, ".")
	var image bytes.Buffer
	err = chart.DrawCounts(&image, rows, chart.Options{
		SVG: format == "svg", Dark: in.Theme == "dark", Width: in.Width, Height: in.Height, Subtitle: describe(j),
	})
	if err != nil {
		return nil, err
	}
	return &countsPlotAnswer{ContentType: imageType(format), Body: image.Bytes()}, nil
}

// compareCounts compares the counts of a file with those of a job.
func (f *Function) compareCounts(ctx context.Context, id string, file []byte) (job.Job, []calibration.Compared, []string, error) {
	j, err := f.finished(ctx, id)
	if err != nil {
		return j, nil, nil, err
	}
	counts, ignored, err := calibration.Read(bytes.NewReader(file))
	if err != nil {
		return j, nil, nil, err
	}
	c := calibration.New(counts)
	if err := f.Views.Work(ctx, j.Namespace, func(ctx context.Context) error { return f.readCounts(ctx, j, c) }); err != nil {
		return j, nil, nil, err
	}
	notes := []string{}
	if len(ignored) > 0 {
		notes = append(notes, fmt.Sprintf("Columns that have no meaning here were ignored: %s.", strings.Join(ignored, ", ")))
	}
	if !whole(j) {
		notes = append(notes, "The run stopped early, so that its last counts may be too low.")
	}
	return j, c.Rows(drained(j)), notes, nil
}

// drained reports whether no vehicle was left when a run ended.
func drained(j job.Job) bool {
	running, known := j.Summary.Metric("vehicles_running")
	waiting, alsoKnown := j.Summary.Metric("vehicles_waiting")
	return whole(j) && known && alsoKnown && running+waiting == 0
}

// readCounts passes to c what the results of j say about its places.
func (f *Function) readCounts(ctx context.Context, j job.Job, c *calibration.Comparison) error {
	if c.Has(calibration.Edge) {
		edgedata, err := f.output(ctx, j, simulation.OutputEdgeData)
		if err != nil {
			return err
		}
		err = outputs.ReadEdgeCounts(edgedata, c)
		edgedata.Close()
		if err != nil {
			return err
		}
	}
	if len(c.Unseen(calibration.Edge)) > 0 { // edges without vehicles may be left out of the output
		if err := f.findEdges(ctx, j, c); err != nil {
			return err
		}
	}
	for _, file := range j.Results {
		if len(c.Unseen(calibration.Detector)) == 0 {
			return nil
		}
		if !mayHaveLoops(file) {
			continue
		}
		body, err := f.open(ctx, j, file)
		if err != nil {
			return err
		}
		err = outputs.ReadLoopCounts(body, c)
		body.Close()
		if err != nil {
			return fmt.Errorf("reading %s of job %s: %w", file.Name, j.ID, err)
		}
	}
	return nil
}

// findEdges looks up in the network which edges there are; none where the scenario has been deleted.
func (f *Function) findEdges(ctx context.Context, j job.Job, c *calibration.Comparison) error {
	content, err := f.contentOf(ctx, j)
	if err == nil {
		err = scenario.ScanNet(ctx, content, f.Limits, j.Options.ConfigFile, roadnet.EachEdge(c.Exists))
	}
	if problem.CodeOf(err) == problem.NotFound {
		return nil
	}
	return err
}

// notLoops are files of every run that detectors write nothing into.
var notLoops = []string{
	simulation.LogFile, simulation.SummaryFile, simulation.EdgeColumnsFile, simulation.KeptFile, simulation.ConvergenceFile,
	simulation.ChecksumFile,
}

// mayHaveLoops reports whether a file may be the output of induction loops: it has no role and can be read.
func mayHaveLoops(f job.ResultFile) bool {
	return len(f.Roles) == 0 && !slices.Contains(notLoops, f.Name) && !tabular.MatchString(f.Name) && !tooLarge(f.Name, f.Size)
}
