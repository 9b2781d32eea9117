package status

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/outputs"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/roadnet"
)

// registerNetwork adds what maps show, but for the vehicles.
func (f *Function) registerNetwork(api huma.API) {
	registerViewOf(api, f, networkView, f.scenarioStays, huma.Operation{
		OperationID: "get-network", Path: "/jobs/{id}/network",
		Summary: "Show a job's network as lines and points",
		Description: "From the scenario's network file, with the polygons of its additional files, also while the job waits or runs. " +
			"Coordinates are rounded to 0.1 m.",
	})
	registerView(api, f, edgeDataView, huma.Operation{
		OperationID: "get-edgedata", Path: "/jobs/{id}/edgedata",
		Summary: "Show speed and density of every edge over time",
		Description: "For a run with the edgedata output. The answer stays at about 4 MB: for a large network over a long time neighbouring " +
			"intervals are merged, and merged says how many.",
	})
}

var (
	networkView  = viewKind[roadnet.Geometry]{"network-3.json.gz", (*Function).makeNetwork}
	edgeDataView = viewKind[outputs.EdgeData]{"edgedata-1.json.gz", (*Function).makeEdgeData}
)

// scenarioStays returns a job whose network can be shown: one that has not finished, or one that has and still has results, beside
// which the view is kept.
func (f *Function) scenarioStays(ctx context.Context, id string) (job.Job, error) {
	j, err := f.Jobs.Job(ctx, rest.TenantOf(ctx).ID, id)
	if err == nil && !j.State.Terminal() {
		return j, nil
	}
	return f.finished(ctx, id)
}

func (f *Function) makeNetwork(ctx context.Context, j job.Job) (roadnet.Geometry, error) {
	content, err := f.contentOf(ctx, j)
	if problem.CodeOf(err) == problem.NotFound {
		return roadnet.Geometry{}, problem.New(problem.NotFound, "The scenario of job %s was removed, and its network with it.", j.ID)
	}
	if err != nil {
		return roadnet.Geometry{}, err
	}
	var r roadnet.Reader
	if err := scenario.ScanNet(ctx, content, f.Limits, j.Options.ConfigFile, r.Element); err != nil {
		return roadnet.Geometry{}, err
	}
	if err := scenario.ScanAdditional(ctx, content, f.Limits, j.Options.ConfigFile, r.Additional); err != nil {
		return roadnet.Geometry{}, err
	}
	return r.Geometry(), nil
}

// contentOf opens the scenario of a job, which may have been deleted since: problem.NotFound.
func (f *Function) contentOf(ctx context.Context, j job.Job) (scenario.Content, error) {
	zip, err := f.Objects.Stat(ctx, j.ScenarioKey)
	if err != nil {
		return scenario.Content{}, err
	}
	s := scenario.Scenario{Key: j.ScenarioKey, Size: zip.Size}
	if j.OverlayKey != "" {
		overlay, err := f.Objects.Stat(ctx, j.OverlayKey)
		if err != nil {
			return scenario.Content{}, err
		}
		s.OverlayKey, s.OverlaySize = j.OverlayKey, overlay.Size
	}
	return s.Content(ctx, f.Objects), nil
}

func (f *Function) makeEdgeData(ctx context.Context, j job.Job) (outputs.EdgeData, error) {
	file, err := f.output(ctx, j, simulation.OutputEdgeData)
	if err != nil {
		return outputs.EdgeData{}, err
	}
	defer file.Close()
	d, err := outputs.ReadEdgeData(file)
	d.JobID, d.Complete = j.ID, d.Complete && whole(j)
	return d, err
}
