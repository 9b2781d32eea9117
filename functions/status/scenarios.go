package status

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/scenario"
)

func (f *Function) registerScenarios(api huma.API) {
	tags := []string{"Scenarios"}
	rest.Register(api, rest.Tenant, huma.Operation{
		OperationID: "list-scenarios", Method: http.MethodGet, Path: "/scenarios", Tags: tags,
		Summary: "List scenarios, newest first",
		Description: "Each entry has the size of its networks and demand. Pass next_cursor as cursor to get the next " +
			"page, until it is empty. Scenarios stored meanwhile do not shift the pages.",
	}, f.listScenarios)
	rest.Register(api, rest.Tenant, huma.Operation{
		OperationID: "get-scenario", Method: http.MethodGet, Path: "/scenarios/{id}", Tags: tags,
		Summary: "Show a scenario with its files",
		Errors:  []int{http.StatusNotFound},
	}, f.scenario)
}

type scenariosQuery struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
	Cursor string `query:"cursor" maxLength:"200" doc:"next_cursor of the previous page."`
}

type scenariosPage struct {
	Body struct {
		Scenarios  []rest.ScenarioSummary `json:"scenarios"`
		NextCursor string                 `json:"next_cursor" doc:"Empty on the last page."`
	}
}

func (f *Function) listScenarios(ctx context.Context, in *scenariosQuery) (*scenariosPage, error) {
	behind, err := decodePlace(in.Cursor)
	if err != nil {
		return nil, err
	}
	found, err := f.Scenarios.ListScenarios(ctx, rest.TenantOf(ctx).ID, behind, in.Limit+1)
	if err != nil {
		return nil, err
	}
	out := &scenariosPage{}
	found, out.Body.NextCursor = page(found, in.Limit, placeOf)
	out.Body.Scenarios = make([]rest.ScenarioSummary, len(found))
	for i, s := range found {
		out.Body.Scenarios[i] = rest.ScenarioSummaryOf(s)
	}
	return out, nil
}

// maxMicros is the year 9999, which both Go and Postgres know.
const maxMicros = 253_402_300_799_999_999

// placeOf keeps microseconds, which is as exact as Postgres keeps times.
func placeOf(s scenario.Scenario) string {
	return strconv.FormatInt(s.CreatedAt.UnixMicro(), 10) + ":" + s.Digest
}

func decodePlace(cursor string) (scenario.Place, error) {
	place, err := decodeCursor(cursor)
	if err != nil || place == "" {
		return scenario.Place{}, err
	}
	at, digest, _ := strings.Cut(place, ":")
	micros, err := strconv.ParseInt(at, 10, 64)
	if err != nil || micros <= 0 || micros > maxMicros || !scenario.IsDigest(digest) {
		return scenario.Place{}, errForeignCursor()
	}
	return scenario.Place{CreatedAt: time.UnixMicro(micros), Digest: digest}, nil
}

type scenarioRequest struct {
	ID string `path:"id" doc:"Id of the scenario."`
}

type scenarioAnswer struct{ Body rest.Scenario }

func (f *Function) scenario(ctx context.Context, in *scenarioRequest) (*scenarioAnswer, error) {
	s, err := f.Scenarios.Scenario(ctx, rest.TenantOf(ctx).ID, in.ID)
	if err != nil {
		return nil, err
	}
	return &scenarioAnswer{Body: rest.ScenarioOf(s)}, nil
}
