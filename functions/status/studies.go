package status

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/study"
)

// Studies is the record of studies. Another tenant's study is problem.NotFound.
type Studies interface {
	Study(ctx context.Context, tenantID, id string) (study.Study, error)
	// Points returns the points of a study in their order, with what has become of their runs.
	Points(ctx context.Context, tenantID, id string) ([]study.Point, error)
	// ListStudies returns up to limit of the tenant's studies that f describes, newest first, after the one with the id after, without
	// their plans and seeds. An empty after begins with the newest. Studies made meanwhile change no later page.
	ListStudies(ctx context.Context, tenantID string, f study.Filter, after string, limit int) ([]study.Study, error)
	// StudyResults returns what the runs of a study came to that have a row, by point and replication, without those that were made again.
	StudyResults(ctx context.Context, tenantID, id string) ([]study.Result, error)
	// PointNames returns the points that jobs of the tenant are runs of.
	PointNames(ctx context.Context, tenantID string, jobs []job.Job) (map[study.Place]study.Point, error)
}

func (f *Function) registerStudies(api huma.API) {
	tags := []string{"Studies"}
	rest.Register(api, rest.Tenant, huma.Operation{
		OperationID: "list-studies", Method: http.MethodGet, Path: "/studies", Tags: tags,
		Summary: "List studies, newest first",
		Description: "Pass next_cursor as cursor to get the next page, until it is empty. Studies created meanwhile do not shift the " +
			"pages.",
	}, f.studies)
	rest.Register(api, rest.Tenant, huma.Operation{
		OperationID: "get-study", Method: http.MethodGet, Path: "/studies/{id}", Tags: tags,
		Summary:     "Show a study with its points",
		Description: "GET /jobs?study={id} lists its runs, and GET /studies/{id}/events follows it.",
		Errors:      []int{http.StatusNotFound},
	}, f.study)
	f.registerStatistics(api, tags)
}

// wire puts j on the wire, with the name of its point in names.
func (f *Function) wire(j job.Job, names map[study.Place]study.Point) rest.Job {
	out := rest.JobOf(j, f.Objects.URL)
	if j.Study == nil {
		return out
	}
	if p, ok := names[study.Place{Study: j.Study.ID, Point: j.Study.Point}]; ok {
		out.Variant, out.Setting = &p.Variant, rest.SettingOf(p.Setting)
	}
	return out
}

type studiesQuery struct {
	Status study.State `query:"status" enum:"RUNNING,SUCCEEDED,INCOMPLETE,FAILED,CANCELLED"`
	Label  []string    `query:"label,explode" maxItems:"20" doc:"key=value. If given several times, a study must have all of the labels."`
	Limit  int         `query:"limit" minimum:"1" maximum:"200" default:"50"`
	Cursor string      `query:"cursor" maxLength:"200" doc:"next_cursor of the previous page."`
}

type studiesPage struct {
	Body struct {
		Studies    []rest.StudySummary `json:"studies"`
		NextCursor string              `json:"next_cursor" doc:"Empty on the last page."`
	}
}

func (f *Function) studies(ctx context.Context, in *studiesQuery) (*studiesPage, error) {
	labels, err := labelsOf(in.Label)
	if err != nil {
		return nil, err
	}
	after, err := decodeCursor(in.Cursor)
	if err != nil {
		return nil, err
	}
	found, err := f.Studies.ListStudies(ctx, rest.TenantOf(ctx).ID, study.Filter{State: in.Status, Labels: labels}, after, in.Limit+1)
	if err != nil {
		return nil, err
	}
	out := &studiesPage{}
	found, out.Body.NextCursor = page(found, in.Limit, func(s study.Study) string { return s.ID })
	out.Body.Studies = make([]rest.StudySummary, len(found))
	for i, s := range found {
		out.Body.Studies[i] = rest.StudySummaryOf(s)
	}
	return out, nil
}

type studyRequest struct {
	ID string `path:"id" doc:"Its study_id."`
}

type studyAnswer struct{ Body rest.Study }

func (f *Function) study(ctx context.Context, in *studyRequest) (*studyAnswer, error) {
	t := rest.TenantOf(ctx)
	s, err := f.Studies.Study(ctx, t.ID, in.ID)
	if err != nil {
		return nil, err
	}
	points, err := f.Studies.Points(ctx, t.ID, in.ID)
	if err != nil {
		return nil, err
	}
	return &studyAnswer{Body: rest.StudyOf(s, points, study.Room{Limits: t.Limits, Slots: f.Slots}, f.Now())}, nil
}
