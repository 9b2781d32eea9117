package rest

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/singleflight"

	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// Health checks a function's dependencies.
type Health struct {
	// Database and Objects answer nil when Postgres and the object store do.
	Database func(context.Context) error
	Objects  func(context.Context) error
	// Kubernetes answers nil when the API server does; nil where there is no cluster and none is needed.
	Kubernetes func(context.Context) error
	// Disk returns an error for users when the machine's disk is nearly full; nil where nothing is kept on it.
	Disk func() error
	// Confinement returns what confines runs, nil if unknown. It does not affect health, and may itself be nil.
	Confinement func(context.Context) (*simulation.Confinement, error)
	Now         func() time.Time
}

// checkTimeout is shorter than the 1 s after which a Kubernetes probe gives up by default.
const checkTimeout = 900 * time.Millisecond

// confinementAge is how old an answer of Health.Confinement may be: probes arrive every few seconds, and what confines runs
// changes only with the kernel or a release.
const confinementAge = time.Minute

// Register adds /health and /ready to api.
func (h Health) Register(api huma.API) {
	tags := []string{"Health"}
	if h.Confinement != nil {
		h.Confinement = cached(h.Confinement, h.Now)
	}
	health := h.answer("healthy", "unhealthy")
	// With little disk space left, requests are still served; only the runs that they start may fail.
	h.Disk = nil
	ready := h.answer("ready", "not_ready")
	Register(api, Public, huma.Operation{
		OperationID: "health", Method: http.MethodGet, Path: "/health", Tags: tags,
		Summary: "Report the state of the service and what it depends on", Responses: map[string]*huma.Response{"503": h.unwell(api)},
	}, func(ctx context.Context, _ *struct{}) (*healthAnswer, error) { return health(ctx), nil })
	var started atomic.Pointer[healthAnswer]
	Register(api, Public, huma.Operation{
		OperationID: "ready", Method: http.MethodGet, Path: "/ready", Tags: tags,
		Summary: "Report whether requests can be served", Responses: map[string]*huma.Response{"503": h.unwell(api)},
	}, func(ctx context.Context, in *readyInput) (*healthAnswer, error) {
		if first := started.Load(); in.Once && first != nil {
			return first, nil
		}
		out := ready(ctx)
		if out.Status == http.StatusOK {
			started.CompareAndSwap(nil, out)
		}
		return out, nil
	})
}

// HealthReport is the answer of /health and /ready. Clients of the predecessor read it with either status.
type HealthReport struct {
	Status           string    `json:"status" enum:"healthy,unhealthy,ready,not_ready"`
	DBAvailable      bool      `json:"db_available"`
	StorageAvailable bool      `json:"storage_available"`
	K8sAvailable     bool      `json:"k8s_available" doc:"False where the service runs on a single machine; that is not a fault."`
	Disk             string    `json:"disk,omitempty" doc:"What is wrong with the disk, where the service runs on a single machine; absent if nothing is."`
	Timestamp        time.Time `json:"timestamp"`

	Confinement *Confinement `json:"confinement" doc:"What confines SUMO to its run's folder: on a single machine what that machine offers, on a cluster the weakest confinement of the last day's runs. Null if unknown."`
}

type confinementOf = func(context.Context) (*simulation.Confinement, error)

// cached calls ask at most once every confinementAge, and answers other calls, including concurrent ones, with the last result.
func cached(ask confinementOf, now func() time.Time) confinementOf {
	var (
		asking sync.Mutex
		next   time.Time
		last   atomic.Pointer[simulation.Confinement]
	)
	return func(ctx context.Context) (*simulation.Confinement, error) {
		if !asking.TryLock() {
			return last.Load(), nil
		}
		defer asking.Unlock()
		at := now()
		if at.Before(next) {
			return last.Load(), nil
		}
		held, err := ask(ctx)
		last.Store(held)
		next = at.Add(confinementAge)
		return held, err
	}
}

// readyInput distinguishes an instance's probe from other callers. All instances share their dependencies: were they all taken out
// while one is unreachable, requests would hang instead of learning what is wrong and when to retry.
type readyInput struct {
	Once bool `query:"once" doc:"For probes: an instance that has been ready once stays ready and repeats that answer; requests themselves report what is unreachable."`
}

type healthAnswer struct {
	Status int
	Body   HealthReport
}

func (h Health) answer(well, unwell string) func(context.Context) *healthAnswer {
	// This needs no key, so however many ask at once, Postgres and the other dependencies are asked once.
	var shared singleflight.Group
	return func(ctx context.Context) *healthAnswer {
		report, _, _ := shared.Do("", func() (any, error) { // has no error
			return h.check(context.WithoutCancel(ctx)), nil // the first client may leave while others wait for the answer
		})
		out := &healthAnswer{Status: http.StatusOK, Body: report.(HealthReport)}
		out.Body.Status = well
		if !out.Body.DBAvailable || !out.Body.StorageAvailable || h.Kubernetes != nil && !out.Body.K8sAvailable || out.Body.Disk != "" {
			out.Status, out.Body.Status = http.StatusServiceUnavailable, unwell
		}
		return out
	}
}

func (h Health) check(ctx context.Context) HealthReport {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	var db, objects, cluster, disk, unknown error
	var held *simulation.Confinement
	var checks errgroup.Group
	checks.Go(func() error { db = h.Database(ctx); return nil })
	checks.Go(func() error { objects = h.Objects(ctx); return nil })
	if h.Confinement != nil {
		checks.Go(func() error { held, unknown = h.Confinement(ctx); return nil })
	}
	if h.Kubernetes != nil {
		checks.Go(func() error { cluster = h.Kubernetes(ctx); return nil })
	}
	if h.Disk != nil {
		checks.Go(func() error { disk = h.Disk(); return nil })
	}
	_ = checks.Wait() // each check keeps its own error
	if db != nil || objects != nil || cluster != nil || disk != nil {
		zerolog.Ctx(ctx).Warn().AnErr("postgres", db).AnErr("objects", objects).AnErr("kubernetes", cluster).AnErr("disk", disk).
			Msg("not healthy")
	}
	if unknown != nil {
		zerolog.Ctx(ctx).Warn().Err(unknown).Msg("confinement of runs is unknown")
	}
	report := HealthReport{
		DBAvailable: db == nil, StorageAvailable: objects == nil,
		K8sAvailable: h.Kubernetes != nil && cluster == nil, Timestamp: h.Now().UTC(),
		Confinement: (*Confinement)(held),
	}
	if disk != nil {
		report.Disk = disk.Error()
	}
	return report
}

func (h Health) unwell(api huma.API) *huma.Response {
	return &huma.Response{Description: "A dependency of the service is unreachable", Content: map[string]*huma.MediaType{
		"application/json": {Schema: api.OpenAPI().Components.Schemas.Schema(typeOf[HealthReport](), true, "HealthReport")},
	}}
}
