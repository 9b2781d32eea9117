package status

import (
	"context"
	"io"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/outputs"
)

// registerSeries adds what charts show.
func (f *Function) registerSeries(api huma.API) {
	registry := api.OpenAPI().Components.Schemas
	registry.RegisterTypeAlias(reflect.TypeFor[outputs.Values](), reflect.TypeFor[numbersOrNull]())
	registry.RegisterTypeAlias(reflect.TypeFor[outputs.Optional](), reflect.TypeFor[numberOrNull]())

	registerView(api, f, seriesView, huma.Operation{
		OperationID: "get-series", Path: "/jobs/{id}/series",
		Summary: "Show how a run went over time",
		Description: "From summary.xml, with at most 1000 points: in a longer run neighbouring steps are merged, and merged says how many; " +
			"min and max cover all steps. A run with the emission output also has its emissions over time.",
	})
	registerView(api, f, distributionsView, huma.Operation{
		OperationID: "get-distributions", Path: "/jobs/{id}/distributions",
		Summary:     "Show the distributions of travel times and delays",
		Description: "From tripinfo.xml, over all vehicles that departed. A run with the emission output also has CO₂ and fuel.",
	})
}

var (
	seriesView        = viewKind[outputs.Series]{"series-1.json.gz", (*Function).makeSeries}
	distributionsView = viewKind[outputs.Distributions]{"distributions-2.json.gz", (*Function).makeDistributions}
)

func (f *Function) makeSeries(ctx context.Context, j job.Job) (outputs.Series, error) {
	summary, err := f.output(ctx, j, simulation.OutputSummary)
	if err != nil {
		return outputs.Series{}, err
	}
	defer summary.Close()
	var emissions io.Reader
	// Curves that were not asked for are not missed, and a file too large for its curves must not fail all others.
	file, err := f.output(ctx, j, simulation.OutputEmission)
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
	tripinfo, err := f.output(ctx, j, simulation.OutputTripinfo)
	if err != nil {
		return outputs.Distributions{}, err
	}
	defer tripinfo.Close()
	d, err := outputs.ReadDistributions(tripinfo)
	d.JobID, d.Complete = j.ID, d.Complete && whole(j)
	return d, err
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
