package status

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/rs/zerolog"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/outputs"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/roadnet"
	"github.com/sumo-k8/sumo-k8/pkg/view"
)

func (f *Function) registerViews(api huma.API) {
	registry := api.OpenAPI().Components.Schemas
	registry.RegisterTypeAlias(reflect.TypeFor[outputs.Values](), reflect.TypeFor[numbersOrNull]())
	registry.RegisterTypeAlias(reflect.TypeFor[outputs.Optional](), reflect.TypeFor[numberOrNull]())

	registerView(api, f, seriesView, huma.Operation{
		OperationID: "get-series", Path: "/jobs/{id}/series",
		Summary: "Show how a run went over time",
		Description: "From summary.xml, at no more than 1000 points: of a longer run neighbouring steps are put together, as merged tells; min and max are of all steps. " +
			"A run with the emission output has its emissions over time too.",
	})
	registerView(api, f, distributionsView, huma.Operation{
		OperationID: "get-distributions", Path: "/jobs/{id}/distributions",
		Summary:     "Show how travel times and delays were spread over trips",
		Description: "From tripinfo.xml, over all vehicles that departed. CO₂ and fuel are there for a run with the emission output.",
	})
	registerView(api, f, networkView, huma.Operation{
		OperationID: "get-network", Path: "/jobs/{id}/network",
		Summary:     "Show the network of a job, as lines and points",
		Description: "From the network file of the scenario. Coordinates are rounded to 0.1 m.",
	})
	registerView(api, f, edgeDataView, huma.Operation{
		OperationID: "get-edgedata", Path: "/jobs/{id}/edgedata",
		Summary:     "Show speed and density of every edge over time",
		Description: "Of a run with the edgedata output. The answer stays at some 4 MB: of a large network over a long time neighbouring intervals are put together, as merged tells.",
	})
	f.registerVehicles(api)
	f.registerPlots(api)
}

// numbersOrNull and numberOrNull describe what package outputs writes.
type (
	numbersOrNull []float64
	numberOrNull  float64
)

// Schema implements huma.SchemaProvider.
func (numbersOrNull) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeArray, Items: numberOrNull(0).Schema(nil)}
}

// Schema implements huma.SchemaProvider.
func (numberOrNull) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeNumber, Format: "double", Nullable: true}
}

// viewKind is something that is worked out from the results of a job, and kept. The name carries a version: what an
// earlier release has stored in another form is not found, and made again.
type viewKind[T any] struct {
	name string
	make func(f *Function, ctx context.Context, j job.Job) (T, error)
}

var (
	seriesView        = viewKind[outputs.Series]{"series-1.json.gz", (*Function).makeSeries}
	distributionsView = viewKind[outputs.Distributions]{"distributions-1.json.gz", (*Function).makeDistributions}
	networkView       = viewKind[roadnet.Geometry]{"network-2.json.gz", (*Function).makeNetwork}
	edgeDataView      = viewKind[outputs.EdgeData]{"edgedata-1.json.gz", (*Function).makeEdgeData}
)

// open returns the JSON of a view, in gzip.
func (k viewKind[T]) open(ctx context.Context, f *Function, j job.Job) (io.ReadCloser, error) {
	return f.Views.Open(ctx, artifact.ViewOf(j.Namespace, j.ID, k.name), view.JSON(func(ctx context.Context) (T, error) { return k.make(f, ctx, j) }))
}

// load returns a view itself.
func (k viewKind[T]) load(ctx context.Context, f *Function, j job.Job) (out T, err error) {
	packed, err := k.open(ctx, f, j)
	if err != nil {
		return out, err
	}
	defer packed.Close()
	plain, err := gzip.NewReader(packed)
	if err != nil {
		return out, fmt.Errorf("unpacking %s: %w", k.name, err)
	}
	if err := json.NewDecoder(plain).Decode(&out); err != nil {
		return out, fmt.Errorf("reading %s: %w", k.name, err)
	}
	return out, nil
}

type viewRequest struct {
	ID          string `path:"id" doc:"The job_id that submission answered with."`
	IfNoneMatch string `header:"If-None-Match" maxLength:"1000" doc:"ETag of an earlier answer: 304, as nothing changes once a job has finished."`
}

// registerView adds the operation that answers with a view.
func registerView[T any](api huma.API, f *Function, k viewKind[T], op huma.Operation) {
	describeView[T](api, &op)
	rest.Register(api, rest.Tenant, op, func(ctx context.Context, in *viewRequest) (*huma.StreamResponse, error) {
		j, err := f.finished(ctx, in.ID)
		if err != nil {
			return nil, err
		}
		tag := viewTag(j, k.name)
		if matches(in.IfNoneMatch, tag) {
			return unchanged(tag), nil
		}
		packed, err := k.open(ctx, f, j)
		if err != nil {
			return nil, err
		}
		return stored(tag, "application/json", packed), nil
	})
}

// describeView completes an operation whose answer is a JSON object like T.
func describeView[T any](api huma.API, op *huma.Operation) {
	op.Method, op.Tags = http.MethodGet, []string{"Charts and maps"}
	op.Errors = []int{http.StatusNotFound, http.StatusConflict, http.StatusRequestEntityTooLarge}
	op.Responses = notModified()
	op.Responses["200"] = &huma.Response{Description: "OK", Content: map[string]*huma.MediaType{
		"application/json": {Schema: api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[T](), true, "")},
	}}
}

// viewTag names what the answer is made of.
func viewTag(j job.Job, name string) string { return `"` + j.ID + "/" + name + `"` }

// weak marks a tag as that of an answer which goes out with and without gzip (RFC 9110, section 8.8.1).
func weak(tag string) string { return "W/" + tag }

// viewAge lets a browser show a job again without asking. It is short because an operator may remove results at any time.
// A browser in which another key is used asks again.
const (
	viewAge  = "private, max-age=3600"
	viewVary = "Accept-Encoding, Authorization"
)

func unchanged(tag string) *huma.StreamResponse {
	return &huma.StreamResponse{Body: func(c huma.Context) {
		c.SetHeader("ETag", weak(tag))
		c.SetHeader("Cache-Control", viewAge)
		c.SetHeader("Vary", viewVary)
		c.SetStatus(http.StatusNotModified)
	}}
}

// stored answers with what is at hand in gzip, and unpacks it for clients that do not take that.
func stored(tag, contentType string, packed io.ReadCloser) *huma.StreamResponse {
	return &huma.StreamResponse{Body: func(c huma.Context) {
		defer packed.Close()
		c.SetHeader("Content-Type", contentType)
		c.SetHeader("ETag", weak(tag))
		c.SetHeader("Cache-Control", viewAge)
		c.SetHeader("Vary", viewVary)
		var body io.Reader = packed
		var err error
		if acceptsGzip(c.Header("Accept-Encoding")) {
			c.SetHeader("Content-Encoding", "gzip")
		} else {
			body, err = gzip.NewReader(packed)
		}
		if err == nil {
			c.SetStatus(http.StatusOK)
			_, err = io.Copy(rest.StreamOut(c), body)
		}
		if err != nil {
			// A connection that breaks tells the client that the answer is not whole.
			zerolog.Ctx(c.Context()).Warn().Err(err).Msg("answer broken off")
			panic(http.ErrAbortHandler)
		}
	}}
}

// acceptsGzip reads an Accept-Encoding (RFC 9110, section 12.5.3).
func acceptsGzip(header string) bool {
	for item := range strings.SplitSeq(header, ",") {
		coding, weight, _ := strings.Cut(item, ";")
		if coding = strings.TrimSpace(coding); !strings.EqualFold(coding, "gzip") && coding != "*" {
			continue
		}
		weight = strings.ReplaceAll(weight, " ", "")
		return strings.TrimRight(strings.TrimPrefix(weight, "q="), ".0") != "" || weight == ""
	}
	return false
}

// packed is v as a client gets it.
func packed(v any) (io.ReadCloser, error) {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if err := json.NewEncoder(z).Encode(v); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return io.NopCloser(&out), nil
}

// The largest outputs that are worked on, in bytes as they are stored. Larger ones would take longer than a person waits:
// a compressed one unpacks to some ten times its size.
const (
	maxPlainOutput  = 4 << 30
	maxPackedOutput = 256 << 20
)

func tooLarge(name string, size int64) bool {
	if strings.HasSuffix(name, ".gz") {
		return size > maxPackedOutput
	}
	return size > maxPlainOutput
}

// output opens an output of a run, by the first of names that it has.
func (f *Function) output(ctx context.Context, j job.Job, o simulation.Output, names ...string) (io.ReadCloser, error) {
	for _, name := range names {
		for _, file := range j.Results {
			switch {
			case file.Name != name:
			case tooLarge(name, file.Size):
				return nil, problem.New(problem.TooLarge, "%s has %d MB, more than can be shown here. Download it from the job's results, or simulate a shorter interval.", name, file.Size/1e6)
			default:
				return f.Objects.Open(ctx, artifact.ResultsOf(j.Namespace, j.ID)+name, 0, -1)
			}
		}
	}
	return nil, noOutput(j, source{o, names[0]})
}

// noOutput says what to do about an output that a run has not.
func noOutput(j job.Job, s source) error {
	if j.State != job.Succeeded {
		return problem.New(problem.NotFound, "Job %s ended as %s, without %s: %s", j.ID, j.State, s.file, j.Message)
	}
	return problem.New(problem.NotFound, "Job %s has no %s, because it was not asked for. Submit the scenario again with outputs=%s.", j.ID, s.file, s.output)
}

// Names of the outputs that views are made from.
const (
	summaryFile  = "summary.xml"
	tripinfoFile = "tripinfo.xml"
	emissionFile = "emission.xml.gz"
)

// whole reports whether a run went to its end. SUMO closes its files properly when it is stopped, so they do not tell.
func whole(j job.Job) bool { return j.State == job.Succeeded }

func (f *Function) makeSeries(ctx context.Context, j job.Job) (outputs.Series, error) {
	summary, err := f.output(ctx, j, simulation.OutputSummary, summaryFile)
	if err != nil {
		return outputs.Series{}, err
	}
	defer summary.Close()
	var emissions io.Reader
	// Nobody misses curves that were not asked for, and those of a huge file are not worth a failure of all others.
	file, err := f.output(ctx, j, simulation.OutputEmission, emissionFile)
	if code := problem.CodeOf(err); err == nil {
		defer file.Close()
		emissions = file
	} else if code != problem.NotFound && code != problem.TooLarge {
		return outputs.Series{}, err
	}
	s, err := outputs.ReadSeries(summary, emissions)
	s.JobID, s.Complete = j.ID, s.Complete && whole(j)
	return s, err
}

func (f *Function) makeDistributions(ctx context.Context, j job.Job) (outputs.Distributions, error) {
	tripinfo, err := f.output(ctx, j, simulation.OutputTripinfo, tripinfoFile)
	if err != nil {
		return outputs.Distributions{}, err
	}
	defer tripinfo.Close()
	d, err := outputs.ReadDistributions(tripinfo)
	d.JobID, d.Complete = j.ID, d.Complete && whole(j)
	return d, err
}

func (f *Function) makeEdgeData(ctx context.Context, j job.Job) (outputs.EdgeData, error) {
	file, err := f.output(ctx, j, simulation.OutputEdgeData, "edgedata.xml.gz", "edgedata.xml")
	if err != nil {
		return outputs.EdgeData{}, err
	}
	defer file.Close()
	d, err := outputs.ReadEdgeData(file)
	d.JobID, d.Complete = j.ID, d.Complete && whole(j)
	return d, err
}

func (f *Function) makeNetwork(ctx context.Context, j job.Job) (roadnet.Geometry, error) {
	zip, err := f.Objects.Stat(ctx, j.ScenarioKey)
	if problem.CodeOf(err) == problem.NotFound {
		return roadnet.Geometry{}, problem.New(problem.NotFound, "The scenario of job %s was removed, and its network with it.", j.ID)
	}
	if err != nil {
		return roadnet.Geometry{}, err
	}
	var r roadnet.Reader
	err = scenario.ScanNet(ctx, scenario.NewReaderAt(ctx, f.Objects, zip.Key, zip.Size), zip.Size, f.Limits, j.Options.ConfigFile, r.Element)
	if err != nil {
		return roadnet.Geometry{}, err
	}
	return r.Geometry(), nil
}
