package status

import (
	"context"
	"encoding/base64"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
)

func (f *Function) registerList(api huma.API) {
	rest.Register(api, rest.Tenant, huma.Operation{
		OperationID: "list-jobs", Method: http.MethodGet, Path: "/jobs", Tags: []string{"Jobs"},
		Summary:     "List jobs, newest first",
		Description: "Pass next_cursor as cursor to get the next page, until it is empty. Jobs submitted meanwhile do not shift the pages.",
	}, f.list)
}

type jobsQuery struct {
	Status          job.State `query:"status" enum:"QUEUED,PENDING,RUNNING,SUCCEEDED,FAILED,CANCELLED"`
	ScenarioID      string    `query:"scenario_id" maxLength:"500" doc:"The name given at submission."`
	Study           string    `query:"study" maxLength:"100" doc:"Only the runs of this study, by its study_id. Without it the runs of studies are left out."`
	Point           int       `query:"point" minimum:"-1" maximum:"999" default:"-1" doc:"With study: only the runs of the point of this number; -1 for all."`
	Variant         string    `query:"variant" maxLength:"100" doc:"With study: only the runs of this variant."`
	Label           []string  `query:"label,explode" maxItems:"20" doc:"key=value. If given several times, a job must have all of the labels."`
	SubmittedAfter  time.Time `query:"submitted_after"`
	SubmittedBefore time.Time `query:"submitted_before"`
	Limit           int       `query:"limit" minimum:"1" maximum:"200" default:"50"`
	Cursor          string    `query:"cursor" maxLength:"200" doc:"next_cursor of the previous page."`
}

type jobsPage struct {
	Body struct {
		Jobs       []rest.Job `json:"jobs"`
		NextCursor string     `json:"next_cursor" doc:"Empty on the last page."`
	}
}

func (f *Function) list(ctx context.Context, in *jobsQuery) (*jobsPage, error) {
	labels, err := labelsOf(in.Label)
	if err != nil {
		return nil, err
	}
	filter := job.Filter{
		State: in.Status, Name: in.ScenarioID, Study: in.Study, Labels: labels, SubmittedAfter: in.SubmittedAfter,
		SubmittedBefore: in.SubmittedBefore, Variant: in.Variant,
	}
	if in.Point >= 0 {
		filter.Point = &in.Point
	}
	after, err := decodeCursor(in.Cursor)
	if err != nil {
		return nil, err
	}
	jobs, err := f.Jobs.ListJobs(ctx, rest.TenantOf(ctx).ID, filter, after, in.Limit+1)
	if err != nil {
		return nil, err
	}
	out := &jobsPage{}
	jobs, out.Body.NextCursor = page(jobs, in.Limit, job.Job.Place)
	out.Body.Jobs = make([]rest.Job, len(jobs))
	names, err := f.Studies.PointNames(ctx, rest.TenantOf(ctx).ID, jobs)
	if err != nil {
		return nil, err
	}
	for i, j := range jobs {
		out.Body.Jobs[i] = f.wire(j, names)
	}
	return out, nil
}

// labelsOf reads label=key=value parameters; nil if there are none.
func labelsOf(given []string) (map[string]string, error) {
	var labels map[string]string
	for _, label := range given {
		key, value, ok := strings.Cut(label, "=")
		if !ok || key == "" {
			return nil, problem.New(problem.Invalid, "label %.100q is not of the form key=value.", label)
		}
		if labels == nil {
			labels = map[string]string{}
		}
		labels[key] = value
	}
	return labels, nil
}

// Cursors are opaque, so that their contents may change.
const cursorPrefix = "1:"

// page is the first limit of found, and the cursor of the next page: empty unless more was found than that, one more being enough to ask
// for. place is what a cursor consists of.
func page[T any](found []T, limit int, place func(T) string) (shown []T, next string) {
	if len(found) <= limit {
		return found, ""
	}
	return found[:limit], encodeCursor(place(found[limit-1]))
}

func encodeCursor(id string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(cursorPrefix + id))
}

func decodeCursor(cursor string) (id string, err error) {
	if cursor == "" {
		return "", nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	id, ok := strings.CutPrefix(string(raw), cursorPrefix)
	if err != nil || !ok {
		return "", errForeignCursor()
	}
	return id, nil
}

func errForeignCursor() error {
	return problem.New(problem.Invalid, "The cursor is not valid. Send the next_cursor of the previous page unchanged, or none to start.")
}
