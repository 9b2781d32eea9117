package rest

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"
)

// Health checks what a function needs in order to do its work.
type Health struct {
	// Database and Objects answer nil when Postgres and the object store do.
	Database func(context.Context) error
	Objects  func(context.Context) error
	// Kubernetes answers nil when the API server does. A nil function means that there is no cluster, and that none is needed.
	Kubernetes func(context.Context) error
	Now        func() time.Time
}

// checkTimeout is shorter than the 1 s after which a Kubernetes probe gives up by default.
const checkTimeout = 900 * time.Millisecond

// Register adds /health and /ready to api.
func (h Health) Register(api huma.API) {
	tags := []string{"Health"}
	Register(api, Public, huma.Operation{
		OperationID: "health", Method: http.MethodGet, Path: "/health", Tags: tags,
		Summary: "Say what works", Responses: map[string]*huma.Response{"503": h.unwell(api)},
	}, h.answer("healthy", "unhealthy"))
	Register(api, Public, huma.Operation{
		OperationID: "ready", Method: http.MethodGet, Path: "/ready", Tags: tags,
		Summary: "Say whether requests can be served", Responses: map[string]*huma.Response{"503": h.unwell(api)},
	}, h.answer("ready", "not_ready"))
}

// HealthReport is the answer of /health and /ready. Clients of the predecessor read it with either status.
type HealthReport struct {
	Status           string    `json:"status" enum:"healthy,unhealthy,ready,not_ready"`
	DBAvailable      bool      `json:"db_available"`
	StorageAvailable bool      `json:"storage_available"`
	K8sAvailable     bool      `json:"k8s_available" doc:"False, and no fault, where the service runs on one machine."`
	Timestamp        time.Time `json:"timestamp"`
}

type healthAnswer struct {
	Status int
	Body   HealthReport
}

func (h Health) answer(well, unwell string) func(context.Context, *struct{}) (*healthAnswer, error) {
	return func(ctx context.Context, _ *struct{}) (*healthAnswer, error) {
		checkCtx, cancel := context.WithTimeout(ctx, checkTimeout)
		defer cancel()
		var db, objects, cluster error
		var checks errgroup.Group
		checks.Go(func() error { db = h.Database(checkCtx); return nil })
		checks.Go(func() error { objects = h.Objects(checkCtx); return nil })
		if h.Kubernetes != nil {
			checks.Go(func() error { cluster = h.Kubernetes(checkCtx); return nil })
		}
		_ = checks.Wait() // each check leaves its own verdict
		out := &healthAnswer{Status: http.StatusOK, Body: HealthReport{
			Status: well, DBAvailable: db == nil, StorageAvailable: objects == nil,
			K8sAvailable: h.Kubernetes != nil && cluster == nil, Timestamp: h.Now().UTC(),
		}}
		if db != nil || objects != nil || cluster != nil {
			out.Status, out.Body.Status = http.StatusServiceUnavailable, unwell
			zerolog.Ctx(ctx).Warn().AnErr("postgres", db).AnErr("objects", objects).AnErr("kubernetes", cluster).Msg("not healthy")
		}
		return out, nil
	}
}

func (h Health) unwell(api huma.API) *huma.Response {
	return &huma.Response{Description: "Something that the service needs is away", Content: map[string]*huma.MediaType{
		"application/json": {Schema: api.OpenAPI().Components.Schemas.Schema(typeOf[HealthReport](), true, "HealthReport")},
	}}
}
