package status

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
)

func (f *Function) registerManifest(api huma.API) {
	rest.Register(api, rest.Tenant, huma.Operation{
		OperationID: "get-manifest", Method: http.MethodGet, Path: "/jobs/{id}/manifest.json", Tags: []string{"Results"},
		Summary: "Show what made a run and the checksums of its results",
		Description: "Enough to run it again, here or elsewhere, and compare: sumo-k8 reproduce does both. content_sha256 leaves out dates, " +
			"paths and computing times, so that equal runs have equal checksums; files with varies are not compared.",
		Errors: []int{http.StatusNotFound, http.StatusConflict},
	}, f.manifest)
}

type manifestAnswer struct{ Body job.Manifest }

func (f *Function) manifest(ctx context.Context, in *jobRequest) (*manifestAnswer, error) {
	t := rest.TenantOf(ctx)
	j, err := f.Jobs.Job(ctx, t.ID, in.ID)
	switch {
	case err != nil:
		return nil, err
	case j.Imported != nil:
		return nil, problem.New(problem.NotFound, "%s", j.Elsewhere())
	case !j.State.Terminal():
		return nil, problem.New(problem.Conflict, "Job %s is %s. Its manifest will be available once it has finished.", j.ID, j.State)
	}
	s, err := f.Scenarios.Scenario(ctx, t.ID, j.ScenarioDigest)
	if err != nil {
		return nil, err
	}
	return &manifestAnswer{Body: j.Manifest(s, f.Release)}, nil
}
