// Package auth serves operators: they register tenants, set limits, issue API keys and look at the cluster.
package auth

import (
	"context"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

// Function answers the /auth calls, and those of /admin that concern the cluster.
type Function struct {
	Tenants tenant.Store
	Objects artifact.Store
	// OwnBucket is the service's own bucket, which no tenant may name for its inputs.
	OwnBucket string
	// Provisioner keeps the tenants' namespaces; nil where there is no cluster.
	Provisioner tenant.Provisioner
	Jobs        job.Store
	// Nodes lists where jobs run; nil when this process cannot know.
	Nodes func(context.Context) ([]job.Node, error)
	// Pods counts the pods that run jobs by phase; nil where there is no cluster.
	Pods func(context.Context) (map[string]int, error)
	// Warmer brings up nodes; nil where there is no cluster.
	Warmer job.Warmer
	// Changed is told when there is something for reconcile to do. It may be nil.
	Changed func(context.Context)
	Random  io.Reader // cryptographically strong
	Now     func() time.Time
}

// Register adds the function's operations to api.
func (f *Function) Register(api huma.API) {
	tags := []string{"Tenants"}
	rest.Register(api, rest.Admin, huma.Operation{
		OperationID: "register-tenant", Method: http.MethodPost, Path: "/auth/register", Tags: tags,
		Summary:     "Register a tenant",
		Description: "The answer holds the tenant's API key. It is shown only here: keep it.",
		Errors:      []int{http.StatusConflict},
	}, f.register)
	rest.Register(api, rest.Admin, huma.Operation{
		OperationID: "regenerate-key", Method: http.MethodPost, Path: "/auth/regenerate-key", Tags: tags,
		Summary:     "Issue a new API key",
		Description: "All earlier keys of the tenant stop working at once.",
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
	rest.Register(api, rest.Admin, huma.Operation{
		OperationID: "update-tenant", Method: http.MethodPatch, Path: "/auth/tenants/{id}", Tags: tags,
		Summary:     "Change a tenant's limits",
		Description: "Give the new values in the query or as JSON. Running jobs go on; waiting ones are measured by the new limits.",
		Errors:      []int{http.StatusNotFound},
	}, f.update)
	rest.Register(api, rest.Admin, huma.Operation{
		OperationID: "delete-tenant", Method: http.MethodDelete, Path: "/auth/tenants/{id}", Tags: tags,
		Summary:     "Delete a tenant with all it has",
		Description: "Removes its keys, namespace, scenarios, jobs and results. Refused while jobs wait or run, unless force is set.",
		Errors:      []int{http.StatusNotFound, http.StatusConflict},
	}, f.delete)
	f.registerCluster(api)
}

// Tenant is a tenant on the wire.
type Tenant struct {
	TenantID     string    `json:"tenant_id"`
	Namespace    string    `json:"namespace" doc:"Kubernetes namespace of its jobs and prefix of its objects."`
	APIKey       string    `json:"api_key" doc:"The key itself when it is issued; otherwise its first characters."`
	MaxCPU       int       `json:"max_cpu" doc:"Cores that its jobs may use together."`
	MaxMemoryGi  int       `json:"max_memory_gi" doc:"GiB that its jobs may use together."`
	MaxJobs      int       `json:"max_concurrent_jobs" doc:"Jobs that may run at a time."`
	InputBuckets []string  `json:"input_buckets" doc:"Where its s3:// inputs may come from: bucket or bucket/prefix/."`
	CreatedAt    time.Time `json:"created_at"`
}

func onWire(t tenant.Tenant, key string) Tenant {
	buckets := t.InputBuckets
	if buckets == nil {
		buckets = []string{}
	}
	return Tenant{
		TenantID: t.ID, Namespace: t.Namespace, APIKey: key,
		MaxCPU: t.Limits.MaxCPU, MaxMemoryGi: t.Limits.MaxMemoryGi, MaxJobs: t.Limits.MaxConcurrentJobs,
		InputBuckets: buckets, CreatedAt: t.CreatedAt.UTC(),
	}
}

type tenantAnswer struct{ Body Tenant }

// LimitChange names limits; all are optional everywhere: register has defaults, update leaves what is not named.
type LimitChange struct {
	MaxCPU       *int      `json:"max_cpu,omitempty" minimum:"1" maximum:"1000" doc:"Cores; 32 unless given."`
	MaxMemoryGi  *int      `json:"max_memory_gi,omitempty" minimum:"1" maximum:"5000" doc:"GiB; 128 unless given."`
	MaxJobs      *int      `json:"max_concurrent_jobs,omitempty" minimum:"1" maximum:"200" doc:"2 unless given."`
	InputBuckets *[]string `json:"input_buckets,omitempty" maxItems:"50" doc:"Where s3:// inputs may come from: bucket or bucket/prefix/."`
}

func (l LimitChange) patch() tenant.Patch {
	return tenant.Patch{MaxCPU: l.MaxCPU, MaxMemoryGi: l.MaxMemoryGi, MaxConcurrentJobs: l.MaxJobs, InputBuckets: l.InputBuckets}
}

type registerRequest struct {
	Body struct {
		TenantID string `json:"tenant_id" minLength:"1" maxLength:"100" doc:"Letters, digits, spaces, '.', '_', '@' or '-'."`
		LimitChange
	}
}

func (f *Function) register(ctx context.Context, in *registerRequest) (*tenantAnswer, error) {
	if err := tenant.CheckID(in.Body.TenantID); err != nil {
		return nil, err
	}
	t := tenant.Tenant{
		ID: in.Body.TenantID, Namespace: tenant.NamespaceFor(in.Body.TenantID), Limits: tenant.DefaultLimits(), CreatedAt: f.Now(),
	}
	setIf(&t.Limits.MaxCPU, in.Body.MaxCPU)
	setIf(&t.Limits.MaxMemoryGi, in.Body.MaxMemoryGi)
	setIf(&t.Limits.MaxConcurrentJobs, in.Body.MaxJobs)
	setIf(&t.InputBuckets, in.Body.InputBuckets)
	if err := f.checkBuckets(t.InputBuckets); err != nil {
		return nil, err
	}
	text, key, err := tenant.NewKey(f.Random, t.ID, "default", f.Now())
	if err != nil {
		return nil, err
	}
	t, err = f.Tenants.CreateTenant(ctx, t, key)
	if err != nil {
		return nil, err
	}
	if err := f.provision(ctx, t); err != nil {
		// The key would never be seen. Without the tenant, the same request can simply be sent again.
		return nil, errors.Join(err, f.Tenants.DeleteTenant(context.WithoutCancel(ctx), t.ID))
	}
	return &tenantAnswer{Body: onWire(t, text)}, nil
}

type regenerateRequest struct {
	Body struct {
		TenantID string `json:"tenant_id" minLength:"1" maxLength:"100"`
	}
}

func (f *Function) regenerateKey(ctx context.Context, in *regenerateRequest) (*tenantAnswer, error) {
	t, err := f.Tenants.Tenant(ctx, in.Body.TenantID)
	if err != nil {
		return nil, err
	}
	text, key, err := tenant.NewKey(f.Random, t.ID, "default", f.Now())
	if err != nil {
		return nil, err
	}
	if err := f.Tenants.ReplaceKeys(ctx, t.ID, key); err != nil {
		return nil, err
	}
	return &tenantAnswer{Body: onWire(t, text)}, nil
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
	return &tenantAnswer{Body: onWire(t, masked(hints[t.ID]))}, nil
}

type updateRequest struct {
	ID string `path:"id"`
	// Query parameters cannot be absent in huma; zero stands for that, as no limit may be zero.
	MaxCPU      int          `query:"max_cpu" minimum:"1" maximum:"1000"`
	MaxMemoryGi int          `query:"max_memory_gi" minimum:"1" maximum:"5000"`
	MaxJobs     int          `query:"max_concurrent_jobs" minimum:"1" maximum:"200"`
	Body        *LimitChange `required:"false"`
}

func (f *Function) update(ctx context.Context, in *updateRequest) (*tenantAnswer, error) {
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
			return nil, problem.New(problem.Invalid, "%s stands both in the query (%d) and in the body (%d). Give it once.", q.name, q.value, **q.into)
		default:
			*q.into = &q.value
		}
	}
	if patch == (tenant.Patch{}) {
		return nil, problem.New(problem.Invalid, "Nothing to change was given. Name at least one of max_cpu, max_memory_gi, max_concurrent_jobs and input_buckets.")
	}
	if patch.InputBuckets != nil {
		if err := f.checkBuckets(*patch.InputBuckets); err != nil {
			return nil, err
		}
	}
	t, err := f.Tenants.UpdateTenant(ctx, in.ID, patch)
	if err != nil {
		return nil, err
	}
	f.changed(ctx) // there may be room for jobs that wait
	if err := f.provision(ctx, t); err != nil {
		return nil, err
	}
	return f.withMaskedKey(ctx, t)
}

func (f *Function) provision(ctx context.Context, t tenant.Tenant) error {
	if f.Provisioner == nil {
		return nil
	}
	return f.Provisioner.Provision(ctx, t)
}

func (f *Function) changed(ctx context.Context) {
	if f.Changed != nil {
		f.Changed(ctx)
	}
}

type deleteRequest struct {
	ID    string `path:"id"`
	Force bool   `query:"force" doc:"Cancel the jobs that wait or run."`
}

type deleteAnswer struct {
	Body struct {
		TenantID string `json:"tenant_id"`
		Status   string `json:"status" enum:"deleted"`
	}
}

// delete takes steps that can each be repeated: when one fails, the tenant is still there to be deleted again. Runs that go on
// meanwhile are stopped by reconcile, which finds no job for them.
func (f *Function) delete(ctx context.Context, in *deleteRequest) (*deleteAnswer, error) {
	t, err := f.Tenants.RetireTenant(ctx, in.ID, in.Force)
	if err != nil {
		return nil, err
	}
	f.changed(ctx) // runs that go on are to be stopped
	if f.Provisioner != nil {
		if err := f.Provisioner.Deprovision(ctx, t); err != nil {
			return nil, err
		}
	}
	for _, prefix := range artifact.Prefixes() {
		if err := artifact.RemoveAll(ctx, f.Objects, prefix+t.Namespace+"/"); err != nil {
			return nil, err
		}
	}
	if err := f.Tenants.DeleteTenant(ctx, t.ID); err != nil {
		return nil, err
	}
	out := &deleteAnswer{}
	out.Body.TenantID, out.Body.Status = t.ID, "deleted"
	return out, nil
}

// bucketPattern is S3's naming rule for buckets, with an optional prefix that ends in a slash so that "team" does not
// open "team-secret/".
var bucketPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/([^/]+/)*)?$`)

func (f *Function) checkBuckets(buckets []string) error {
	for _, b := range buckets {
		bucket, prefix, _ := strings.Cut(b, "/")
		if fault := artifact.InputKeyFault(prefix); fault != "" {
			return problem.New(problem.Invalid, "input_buckets has %.100q. Its prefix %s.", b, fault)
		}
		if !bucketPattern.MatchString(b) {
			return problem.New(problem.Invalid, "input_buckets has %.100q, which is neither a bucket name nor bucket/prefix/ with a slash at its end.", b)
		}
		if bucket == f.OwnBucket {
			return problem.New(problem.Invalid, "input_buckets has %.100q. The bucket %s is this service's own, with every tenant's data, and cannot be opened to a tenant; "+
				"copy the inputs to another bucket.", b, bucket)
		}
	}
	return nil
}

// masked shows enough of a key to tell it from others.
func masked(hint string) string {
	if hint == "" {
		return "" // no key works at present
	}
	return hint + "…"
}

func setIf[T any](into *T, value *T) {
	if value != nil {
		*into = *value
	}
}
