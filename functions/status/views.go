package status

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/view"
)

// viewKind is a view computed from a job's results and kept. The name carries a version: what an earlier release stored in
// another form is not found, and made again.
type viewKind[T any] struct {
	name string
	make func(f *Function, ctx context.Context, j job.Job) (T, error)
}

// open returns the JSON of a view, in gzip.
func (k viewKind[T]) open(ctx context.Context, f *Function, j job.Job) (io.ReadCloser, error) {
	write := view.JSON(func(ctx context.Context) (T, error) { return k.make(f, ctx, j) })
	return f.Views.Open(ctx, artifact.ViewOf(j.ResultsKey, k.name), write)
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
	ID          string `path:"id" doc:"The job_id returned at submission."`
	IfNoneMatch string `header:"If-None-Match" maxLength:"1000" doc:"ETag of an earlier answer. The call then answers 304, since a finished job's results do not change."`
}

// registerView adds the operation that answers with a view of a finished job.
func registerView[T any](api huma.API, f *Function, k viewKind[T], op huma.Operation) {
	registerViewOf(api, f, k, f.finished, op)
}

// registerViewOf adds the operation that answers with a view of a job that find returns.
func registerViewOf[T any](
	api huma.API, f *Function, k viewKind[T], find func(context.Context, string) (job.Job, error), op huma.Operation,
) {
	describeView[T](api, &op)
	rest.Register(api, rest.Tenant, op, func(ctx context.Context, in *viewRequest) (*huma.StreamResponse, error) {
		j, err := find(ctx, in.ID)
		if err != nil {
			return nil, err
		}
		tag := viewTag(j, k.name)
		if matches(in.IfNoneMatch, tag) {
			return unchanged(tag, viewAge), nil
		}
		packed, err := k.open(ctx, f, j)
		if err != nil {
			return nil, err
		}
		return stored(tag, viewAge, packed), nil
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
