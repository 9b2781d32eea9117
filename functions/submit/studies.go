package submit

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"reflect"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sumo-k8/sumo-k8/pkg/idempotency"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/study"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

// Studies keeps and cancels studies.
type Studies interface {
	study.IntakeStore
	study.PurgeStore
	// CancelStudy marks a study for cancelling: no further run of it starts. Repeating it is no error; a finished study that was not
	// cancelled is problem.Conflict.
	CancelStudy(ctx context.Context, tenantID, id string) (study.Study, error)
}

func (f *Function) registerStudies(api huma.API) {
	tags := []string{"Studies"}
	runs := newRunReader(api)
	rest.Register(api, rest.Tenant, huma.Operation{
		OperationID: "create-study", Method: http.MethodPost, Path: "/studies", Tags: tags,
		Summary: "Ask one question of many runs",
		Description: "Every variant with every combination of the axes' values is a point, and each point runs once with each seed. Each run " +
			"is a job that carries study_id, point and replication. With replications.until, rounds of further seeds follow until every point has " +
			"reached the aim; most_runs says how many runs that may take. With dry_run nothing is stored, and the answer says what the study " +
			"would be. At most 1,000 points and 10,000 runs; the limit on submissions counts a study as one. All problems found are reported " +
			"together.",
		Errors: []int{http.StatusNotFound, http.StatusUnprocessableEntity, http.StatusTooManyRequests},
	}, func(ctx context.Context, in *createStudyRequest) (*studyAnswer, error) {
		return f.createStudy(ctx, runs, in)
	})
	rest.Register(api, rest.Tenant, huma.Operation{
		OperationID: "cancel-study", Method: http.MethodDelete, Path: "/studies/{id}", Tags: tags,
		Summary: "Cancel or purge a study",
		Description: "No further run starts, and those at work are stopped; what has ended stays. The call may be repeated. With purge=true, a " +
			"finished study is deleted together with all its runs and their results; a call that breaks off may be repeated, too.",
		Errors: []int{http.StatusNotFound, http.StatusConflict},
	}, f.cancelStudy)
	rest.Register(api, rest.Tenant, huma.Operation{
		OperationID: "extend-study", Method: http.MethodPost, Path: "/studies/{id}/extend", Tags: tags,
		Summary: "Add seeds, values or variants, or another aim",
		Description: "What the study has already stays as it is: seeds that it has are not run again, and its points keep their numbers. " +
			"Another aim (replications.until) takes the place of the study's, and what is there counts for its first look. A " +
			"finished study is RUNNING again, which is a submission as POST /studies is.",
		Errors: []int{http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity, http.StatusTooManyRequests},
	}, func(ctx context.Context, in *extendStudyRequest) (*studyAnswer, error) {
		return f.extendStudy(ctx, runs, in)
	})
	rest.Register(api, rest.Tenant, huma.Operation{
		OperationID: "retry-study", Method: http.MethodPost, Path: "/studies/{id}/retry", Tags: tags,
		Summary: "Run the failed runs of a study again",
		Description: "Those that have failed or were cancelled get a new job each, with the same point and seed; the earlier jobs stay. " +
			"A study that was cancelled or stopped also goes on with the runs that never started. " +
			"A finished study is RUNNING again, which is a submission as POST /studies is.",
		Errors: []int{http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity, http.StatusTooManyRequests},
	}, func(ctx context.Context, in *retryStudyRequest) (*retryStudyAnswer, error) {
		return f.retryStudy(ctx, runs, in)
	})
	runs.document(api)
}

// refusedFields are fields of POST /jobs that a study's runs do not have, each with the reason.
var refusedFields = map[string]string{
	"seed":                   "is set by replications, for each run",
	"scenario_id":            "is made from the names of the study and the point; leave it out",
	"scenario":               "is each variant's; leave it out",
	"sumo_files":             "is not taken here: store the zip with POST /scenarios, and name its id in variants",
	"sumo_files_s3_url":      "is not taken here: store the zip with POST /scenarios, and name its id in variants",
	"sumo_files_s3_urls":     "is not taken here: store the zip with POST /scenarios, and name its id in variants",
	"task_token":             "takes one answer, and a study has many runs; use a webhook with the event study.finished",
	"webhook_url":            "is called for a single job; create a webhook with the event study.finished",
	"progress_webhook_url":   "is called for a single job; GET /studies/{id}/events reports the progress of a study",
	"progress_simulation_id": "belongs to progress_webhook_url, which a study does not have",
	"progress_start_sec":     "belongs to progress_webhook_url, which a study does not have",
	"progress_end_sec":       "belongs to progress_webhook_url, which a study does not have",
	"cache":                  "is the study's: name it beside run",
	"premium_sim":            "is written as priority here: high",
	"tool":                   "leaves files and no metrics: run it as a job, keep its result with keep_as, and study that",
	"check":                  "is for single jobs: a run that only checks its scenario has no metrics",
}

// runReader reads the fields of a study's runs by the schema of single jobs.
type runReader struct {
	registry huma.Registry
	schema   *huma.Schema
}

func newRunReader(api huma.API) *runReader {
	registry := api.OpenAPI().Components.Schemas
	of := huma.SchemaFromType(registry, reflect.TypeFor[Run]())
	schema := &huma.Schema{
		Type: huma.TypeObject, Properties: maps.Clone(of.Properties), AdditionalProperties: true, // which read refuses, with the reason
		Description: "The fields of POST /jobs but those that belong to single jobs.",
	}
	for name := range refusedFields {
		delete(schema.Properties, name)
	}
	cores := *schema.Properties["cpu_request"]
	cores.Default = float64(defaultCPU)
	schema.Properties["cpu_request"] = &cores
	schema.PrecomputeMessages()
	return &runReader{registry: registry, schema: schema}
}

// defaultCPU is what a run of a study asks for: SUMO keeps one core busy, unless its configuration asks for threads.
const defaultCPU = 1

// runSchema names the schema of a study's runs in the document.
const runSchema = "StudyRun"

// document puts the schema in the place of the fields that the domain keeps as they are.
func (r *runReader) document(api huma.API) {
	schemas := api.OpenAPI().Components.Schemas.Map()
	schemas[runSchema] = r.schema
	for name, schema := range schemas {
		if run := schema.Properties["run"]; run != nil && name != runSchema {
			schema.Properties["run"] = &huma.Schema{Ref: "#/components/schemas/" + runSchema, Description: run.Description}
		}
	}
}

// read turns fields into a request, and reports every one that cannot be.
func (r *runReader) read(fields study.Fields) (job.Request, []problem.Item) {
	var items []problem.Item
	typed := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		location := "body." + name
		switch reason, refused := refusedFields[name]; {
		case refused:
			items = append(items, problem.Item{Location: location, Message: reason})
			continue
		case r.schema.Properties[name] == nil:
			items = append(items, problem.Item{Location: location, Message: "is not a field of a run; /docs lists them"})
			continue
		}
		var value any
		if err := json.Unmarshal(fields[name], &value); err != nil {
			items = append(items, problem.Item{Location: location, Message: "is not valid JSON"})
			continue
		}
		if value != nil {
			typed[name] = value
		}
	}
	items = append(items, complete(r.registry, r.schema, typed)...)
	var run Run
	raw, err := json.Marshal(typed)
	if err == nil {
		err = json.Unmarshal(raw, &run)
	}
	if err != nil && len(items) == 0 {
		items = append(items, problem.Item{Location: "body", Message: "has a value of the wrong type: " + err.Error()})
	}
	if len(items) > 0 {
		return job.Request{}, items
	}
	request, err := run.request()
	if err != nil {
		return job.Request{}, []problem.Item{{Location: "body.priority", Message: err.Error()}}
	}
	return request, nil
}

// studies is the intake of studies whose runs r reads.
func (f *Function) studies(r *runReader) *study.Intake {
	return &study.Intake{
		Studies: f.Studies, Jobs: f.Intake, Read: r.read, Trial: f.Scenarios.Trial, Share: f.Scenarios.Share, NewID: f.Intake.NewID,
		Changed: f.Changed,
	}
}

type createStudyRequest struct {
	IdempotencyKey string `header:"Idempotency-Key" maxLength:"255" doc:"Repeating a request with the same key returns the study that it created the first time. Keys are kept for 24 hours."`
	Body           createStudyBody
}

type createStudyBody struct {
	Name string `json:"name" minLength:"1" maxLength:"100" doc:"Your name for the study."`
	study.Plan
	MaxParallel int  `json:"max_parallel,omitempty" minimum:"1" maximum:"10000" doc:"The most runs at work at a time; as many as the tenant's limits allow if left out."`
	DryRun      bool `json:"dry_run,omitempty" doc:"Only says what the study would be."`
}

type studyAnswer struct {
	Replayed string `header:"Idempotent-Replayed" doc:"true if the Idempotency-Key had already created or extended this study."`
	Body     rest.Study
}

// room is what the studies of t have to run in.
func (f *Function) room(t tenant.Tenant) study.Room {
	return study.Room{Limits: t.Limits, Slots: f.Slots}
}

func (f *Function) createStudy(ctx context.Context, runs *runReader, in *createStudyRequest) (*studyAnswer, error) {
	t := rest.TenantOf(ctx)
	request := study.Request{Name: in.Body.Name, Plan: in.Body.Plan, MaxParallel: in.Body.MaxParallel}
	if in.Body.DryRun {
		s, points, err := f.studies(runs).Plan(ctx, t, request)
		if err != nil {
			return nil, err
		}
		return &studyAnswer{Body: rest.StudyOf(s, points, f.room(t), f.Now())}, nil
	}
	idem, err := idempotency.Of(in.IdempotencyKey, "create-study", request, "")
	if err != nil {
		return nil, err
	}
	s, points, created, err := f.studies(runs).Accept(ctx, t, request, idem)
	if err != nil {
		return nil, err
	}
	return &studyAnswer{Replayed: rest.Replayed(!created), Body: rest.StudyOf(s, points, f.room(t), f.Now())}, nil
}

type cancelStudyRequest struct {
	ID    string `path:"id" doc:"Its study_id."`
	Purge bool   `query:"purge" doc:"Delete a finished study with its runs and their results."`
}

type studySummaryAnswer struct{ Body rest.StudySummary }

func (f *Function) cancelStudy(ctx context.Context, in *cancelStudyRequest) (*studySummaryAnswer, error) {
	t := rest.TenantOf(ctx)
	var s study.Study
	var err error
	if in.Purge {
		s, err = study.Purge(ctx, f.Studies, f.Objects, t.ID, in.ID)
	} else if s, err = f.Studies.CancelStudy(ctx, t.ID, in.ID); err == nil {
		f.changed(ctx)
	}
	if err != nil {
		return nil, err
	}
	return &studySummaryAnswer{Body: rest.StudySummaryOf(s)}, nil
}

type extendStudyRequest struct {
	ID             string `path:"id" doc:"Its study_id."`
	IdempotencyKey string `header:"Idempotency-Key" maxLength:"255"`
	Body           study.Extension
}

func (f *Function) extendStudy(ctx context.Context, runs *runReader, in *extendStudyRequest) (*studyAnswer, error) {
	t := rest.TenantOf(ctx)
	s, points, repeated, err := f.studies(runs).Extend(ctx, t, in.ID, in.Body, in.IdempotencyKey)
	if err != nil {
		return nil, err
	}
	return &studyAnswer{Replayed: rest.Replayed(repeated), Body: rest.StudyOf(s, points, f.room(t), f.Now())}, nil
}

type retryStudyRequest struct {
	ID             string `path:"id" doc:"Its study_id."`
	IdempotencyKey string `header:"Idempotency-Key" maxLength:"255"`
}

type retryStudyAnswer struct {
	Replayed string `header:"Idempotent-Replayed" doc:"true if the Idempotency-Key had already ordered these runs."`
	Body     struct {
		rest.StudySummary
		Again int `json:"again" doc:"How many runs are made again, or for the first time; 0 if the Idempotency-Key had already ordered them."`
	}
}

func (f *Function) retryStudy(ctx context.Context, runs *runReader, in *retryStudyRequest) (*retryStudyAnswer, error) {
	s, again, repeated, err := f.studies(runs).Retry(ctx, rest.TenantOf(ctx), in.ID, in.IdempotencyKey)
	if err != nil {
		return nil, err
	}
	out := &retryStudyAnswer{Replayed: rest.Replayed(repeated)}
	out.Body.StudySummary, out.Body.Again = rest.StudySummaryOf(s), again
	return out, nil
}
