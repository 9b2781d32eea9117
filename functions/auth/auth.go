// Package auth serves operators: they register tenants, set limits, issue API keys and look at the cluster.
package auth

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

// Function answers the /auth calls, and those of /admin that concern the cluster.
type Function struct {
	Registrar *tenant.Registrar
	Tenants   Tenants
	Jobs      Jobs
	// Nodes lists where jobs run; nil when this process cannot know.
	Nodes func(context.Context) ([]job.Node, error)
	// Pods counts the pods that run jobs by phase; nil where there is no cluster.
	Pods func(context.Context) (map[string]int, error)
	// Warmer brings up nodes; nil when this process can not.
	Warmer job.Warmer
	Now    func() time.Time
}

// Tenants reads tenants.
type Tenants interface {
	// Tenant returns one, or problem.NotFound.
	Tenant(ctx context.Context, id string) (tenant.Tenant, error)
	// Tenants lists all by id.
	Tenants(ctx context.Context) ([]tenant.Tenant, error)
	// KeyHints maps each tenant id to the first characters of its newest working key, for masked display.
	KeyHints(ctx context.Context) (map[string]string, error)
}

// Jobs counts jobs, and keeps those of the predecessor.
type Jobs interface {
	job.ImportStore
	// UsageByTenant counts the jobs of every tenant that has some.
	UsageByTenant(ctx context.Context) (map[string]job.Usage, error)
}

// Register adds the function's operations to api.
func (f *Function) Register(api huma.API) {
	tags := []string{"Tenants"}
	rest.RegisterLenient(api, rest.Admin, huma.Operation{
		OperationID: "register-tenant", Method: http.MethodPost, Path: "/auth/register", Tags: tags,
		Summary:     "Register a tenant",
		Description: "The answer contains the tenant's API key, which is shown only once: keep it.",
		Errors:      []int{http.StatusConflict},
	}, f.register)
	rest.RegisterLenient(api, rest.Admin, huma.Operation{
		OperationID: "regenerate-key", Method: http.MethodPost, Path: "/auth/regenerate-key", Tags: tags,
		Summary:     "Issue a new API key",
		Description: "All earlier keys of the tenant stop working immediately.",
		Errors:      []int{http.StatusNotFound},
	}, f.regenerateKey)
	rest.Register(api, rest.Admin, huma.Operation{
		OperationID: "list-tenants", Method: http.MethodGet, Path: "/auth/tenants", Tags: tags,
		Summary: "List the tenants",
	}, f.list)
	rest.Register(api, rest.Admin, huma.Operation{
		OperationID: "get-tenant", Method: http.MethodGet, Path: "/auth/tenants/{id}", Tags: tags,
		Summary: "Show a tenant",
		Errors:  []int{http.StatusNotFound},
	}, f.get)
	rest.RegisterLenient(api, rest.Admin, huma.Operation{
		OperationID: "update-tenant", Method: http.MethodPatch, Path: "/auth/tenants/{id}", Tags: tags,
		Summary:     "Change a tenant's limits and its default version of SUMO",
		Description: "Give the new values in the query or as JSON. Running jobs continue; queued ones are subject to the new limits.",
		Errors:      []int{http.StatusNotFound},
	}, f.update)
	rest.Register(api, rest.Admin, huma.Operation{
		OperationID: "delete-tenant", Method: http.MethodDelete, Path: "/auth/tenants/{id}", Tags: tags,
		Summary: "Delete a tenant and everything it owns",
		Description: "Removes the tenant's keys, namespace, scenarios, jobs and results. Refused while it has queued or running jobs, " +
			"unless force is set.",
		Errors: []int{http.StatusNotFound, http.StatusConflict},
	}, f.delete)
	f.registerImport(api)
	f.registerCluster(api)
}

// Tenant is a tenant on the wire.
type Tenant struct {
	TenantID     string    `json:"tenant_id"`
	Namespace    string    `json:"namespace" doc:"Kubernetes namespace of the tenant's jobs, and prefix of its objects."`
	APIKey       string    `json:"api_key" doc:"The key itself when it is issued; afterwards only its first characters."`
	MaxCPU       int       `json:"max_cpu" doc:"Cores that the tenant's jobs may use together."`
	MaxMemoryGi  int       `json:"max_memory_gi" doc:"GiB that the tenant's jobs may use together."`
	MaxJobs      int       `json:"max_concurrent_jobs" doc:"Jobs that may run at a time."`
	InputBuckets []string  `json:"input_buckets" doc:"Where the tenant's s3:// inputs may come from, each written bucket or bucket/prefix/."`
	SumoVersion  string    `json:"default_sumo_version" doc:"SUMO version of jobs that name none; empty for the newest."`
	Controllers  bool      `json:"controllers" doc:"Whether the tenant's jobs may run programs of their scenarios, and tools of SUMO's, where the operator has enabled them (CONTROLLERS)."`
	CreatedAt    time.Time `json:"created_at"`
	Warnings     []string  `json:"warnings,omitempty" doc:"What to know about the request that this answers, such as unknown fields that were ignored."`
}

func onWire(t tenant.Tenant, key string) Tenant {
	buckets := t.InputBuckets
	if buckets == nil {
		buckets = []string{}
	}
	return Tenant{
		TenantID: t.ID, Namespace: t.Namespace, APIKey: key,
		MaxCPU: t.Limits.MaxCPU, MaxMemoryGi: t.Limits.MaxMemoryGi, MaxJobs: t.Limits.MaxConcurrentJobs,
		InputBuckets: buckets, SumoVersion: t.DefaultSumoVersion, Controllers: t.Controllers, CreatedAt: t.CreatedAt.UTC(),
	}
}

type tenantAnswer struct{ Body Tenant }

// LimitChange sets limits. All are optional: register has defaults, update keeps what is left out.
type LimitChange struct {
	MaxCPU       *int      `json:"max_cpu,omitempty" minimum:"1" maximum:"1000" doc:"Cores; 32 by default."`
	MaxMemoryGi  *int      `json:"max_memory_gi,omitempty" minimum:"1" maximum:"5000" doc:"GiB; 128 by default."`
	MaxJobs      *int      `json:"max_concurrent_jobs,omitempty" minimum:"1" maximum:"200" doc:"Jobs that may run at a time; 2 by default."`
	InputBuckets *[]string `json:"input_buckets,omitempty" maxItems:"50" doc:"Where s3:// inputs may come from, each written bucket or bucket/prefix/."`
	SumoVersion  *string   `json:"default_sumo_version,omitempty" maxLength:"20" doc:"SUMO version of jobs that name none, one on offer; empty for the newest, which an upgrade of the service may change." example:"1.28"`
	Controllers  *bool     `json:"controllers,omitempty" doc:"Whether the tenant's jobs may run programs of their scenarios (controller) and tools of SUMO's (tool); false by default."`
}

func (l LimitChange) patch() tenant.Patch {
	return tenant.Patch{
		MaxCPU: l.MaxCPU, MaxMemoryGi: l.MaxMemoryGi, MaxConcurrentJobs: l.MaxJobs, InputBuckets: l.InputBuckets,
		DefaultSumoVersion: l.SumoVersion, Controllers: l.Controllers,
	}
}

type registerRequest struct {
	Body struct {
		TenantID string `json:"tenant_id" minLength:"1" maxLength:"100" doc:"Letters, digits, spaces, '.', '_', '@' or '-'."`
		LimitChange
	}
}

func (f *Function) register(ctx context.Context, in *registerRequest) (*tenantAnswer, error) {
	t, key, err := f.Registrar.Register(ctx, in.Body.TenantID, in.Body.patch())
	if err != nil {
		return nil, err
	}
	return answer(ctx, onWire(t, key)), nil
}

// answer adds the request's warnings.
func answer(ctx context.Context, t Tenant) *tenantAnswer {
	t.Warnings = rest.WarningsOf(ctx)
	return &tenantAnswer{Body: t}
}

type regenerateRequest struct {
	Body struct {
		TenantID string `json:"tenant_id" minLength:"1" maxLength:"100"`
	}
}

func (f *Function) regenerateKey(ctx context.Context, in *regenerateRequest) (*tenantAnswer, error) {
	t, key, err := f.Registrar.ReplaceKey(ctx, in.Body.TenantID)
	if err != nil {
		return nil, err
	}
	return answer(ctx, onWire(t, key)), nil
}

type listAnswer struct {
	Body struct {
		Tenants []Tenant `json:"tenants"`
	}
}

func (f *Function) list(ctx context.Context, _ *struct{}) (*listAnswer, error) {
	tenants, err := f.Tenants.Tenants(ctx)
	if err != nil {
		return nil, err
	}
	hints, err := f.Tenants.KeyHints(ctx)
	if err != nil {
		return nil, err
	}
	out := &listAnswer{}
	out.Body.Tenants = make([]Tenant, len(tenants))
	for i, t := range tenants {
		out.Body.Tenants[i] = onWire(t, masked(hints[t.ID]))
	}
	return out, nil
}

type tenantRequest struct {
	ID string `path:"id"`
}

func (f *Function) get(ctx context.Context, in *tenantRequest) (*tenantAnswer, error) {
	t, err := f.Tenants.Tenant(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return f.withMaskedKey(ctx, t)
}

func (f *Function) withMaskedKey(ctx context.Context, t tenant.Tenant) (*tenantAnswer, error) {
	hints, err := f.Tenants.KeyHints(ctx)
	if err != nil {
		return nil, err
	}
	return answer(ctx, onWire(t, masked(hints[t.ID]))), nil
}

type updateRequest struct {
	ID string `path:"id"`
	// huma's query parameters cannot be absent; zero means absent, since no limit may be zero.
	MaxCPU      int          `query:"max_cpu" minimum:"1" maximum:"1000"`
	MaxMemoryGi int          `query:"max_memory_gi" minimum:"1" maximum:"5000"`
	MaxJobs     int          `query:"max_concurrent_jobs" minimum:"1" maximum:"200"`
	Body        *LimitChange `required:"false"`
}

func (f *Function) update(ctx context.Context, in *updateRequest) (*tenantAnswer, error) {
	patch, err := in.patch()
	if err != nil {
		return nil, err
	}
	t, err := f.Registrar.Update(ctx, in.ID, patch)
	if err != nil {
		return nil, err
	}
	return f.withMaskedKey(ctx, t)
}

// patch merges the query and the body.
func (in *updateRequest) patch() (tenant.Patch, error) {
	var patch tenant.Patch
	if in.Body != nil {
		patch = in.Body.patch()
	}
	for _, q := range []struct {
		value int
		into  **int
		name  string
	}{
		{in.MaxCPU, &patch.MaxCPU, "max_cpu"}, {in.MaxMemoryGi, &patch.MaxMemoryGi, "max_memory_gi"},
		{in.MaxJobs, &patch.MaxConcurrentJobs, "max_concurrent_jobs"},
	} {
		switch {
		case q.value == 0:
		case *q.into != nil && **q.into != q.value:
			return patch, problem.New(problem.Invalid, "%s is given both in the query (%d) and in the body (%d). "+
				"Give it once.", q.name, q.value, **q.into)
		default:
			*q.into = &q.value
		}
	}
	if patch == (tenant.Patch{}) {
		return patch, problem.New(problem.Invalid, "Nothing to change was given. Name at least one of max_cpu, max_memory_gi, "+
			"max_concurrent_jobs, input_buckets, default_sumo_version and controllers.")
	}
	return patch, nil
}

type deleteRequest struct {
	ID    string `path:"id"`
	Force bool   `query:"force" doc:"Cancel queued and running jobs first."`
}

type deleteAnswer struct {
	Body struct {
		TenantID string `json:"tenant_id"`
		Status   string `json:"status" enum:"deleted"`
	}
}

func (f *Function) delete(ctx context.Context, in *deleteRequest) (*deleteAnswer, error) {
	t, err := f.Registrar.Remove(ctx, in.ID, in.Force)
	if err != nil {
		return nil, err
	}
	out := &deleteAnswer{}
	out.Body.TenantID, out.Body.Status = t.ID, "deleted"
	return out, nil
}

// masked shows enough of a key to distinguish it from others.
func masked(hint string) string {
	if hint == "" {
		return "" // no key works at present
	}
	return hint + "…"
}
