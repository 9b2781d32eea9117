package tenant

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

// Registrar registers, changes and removes tenants, on record and with everything they have elsewhere.
type Registrar struct {
	Tenants RegistrarStore
	Objects artifact.Remover
	// OwnBucket is the service's own, which no tenant may name for its inputs.
	OwnBucket string
	// Provisioner keeps the tenants' namespaces; nil where there is no cluster.
	Provisioner Provisioner
	// VersionFault says why a version of SUMO cannot be a tenant's default, as the end of a sentence about it; empty if it can.
	VersionFault func(version string) string
	// Changed reports that reconcile has work; nil where nothing listens.
	Changed func(context.Context)
	Random  io.Reader // cryptographically strong
	Now     func() time.Time
}

// RegistrarStore records tenants and their keys. Where there is no tenant with an id, that is problem.NotFound.
type RegistrarStore interface {
	Tenant(ctx context.Context, id string) (Tenant, error)
	// CreateTenant stores t with its first key, or answers problem.Exists.
	CreateTenant(ctx context.Context, t Tenant, k Key) (Tenant, error)
	// ImportTenant is CreateTenant for a tenant that may have no key.
	ImportTenant(ctx context.Context, t Tenant, k *Key) (Tenant, error)
	// KeyOwner returns the tenant that has or had the key with this id, and whether it still works, or problem.NotFound.
	KeyOwner(ctx context.Context, id string) (tenantID string, works bool, err error)
	// UpdateTenant applies p.
	UpdateTenant(ctx context.Context, id string, p Patch) (Tenant, error)
	// ReplaceKeys makes k the tenant's only key: all others stop working in the same instant.
	ReplaceKeys(ctx context.Context, tenantID string, k Key) error
	// RetireTenant revokes all keys of the tenant, so that nothing new is accepted for it, and asks for its active jobs to
	// be cancelled. Unless force is set, a tenant with queued or running jobs is problem.Conflict and stays as it is.
	RetireTenant(ctx context.Context, id string, force bool) (Tenant, error)
	// DeleteTenant forgets the tenant with its keys, scenarios and jobs. Repeating it is no error.
	DeleteTenant(ctx context.Context, id string) error
}

// Provisioner keeps what a tenant has besides its record: on Kubernetes its namespace, quota and policies.
type Provisioner interface {
	// Provision brings it into the state that t asks for, however it was before.
	Provision(ctx context.Context, t Tenant) error
	// Deprovision removes it. Repeating it is no error.
	Deprovision(ctx context.Context, t Tenant) error
}

// Register makes a tenant with the default limits, changed by p, and returns its first API key. When the tenant cannot be
// provisioned it is removed again: nobody would ever see its key, and the same request can be repeated.
func (r *Registrar) Register(ctx context.Context, id string, p Patch) (t Tenant, key string, err error) {
	if err := CheckID(id); err != nil {
		return Tenant{}, "", err
	}
	if err := r.check(p); err != nil {
		return Tenant{}, "", err
	}
	t = p.apply(Tenant{ID: id, Namespace: NamespaceFor(id), Limits: DefaultLimits(), CreatedAt: r.Now()})
	key, stored, err := r.newKey(t)
	if err != nil {
		return Tenant{}, "", err
	}
	if t, err = r.Tenants.CreateTenant(ctx, t, stored); err != nil {
		return Tenant{}, "", err
	}
	if err := r.provision(ctx, t); err != nil {
		return Tenant{}, "", errors.Join(err, r.Tenants.DeleteTenant(context.WithoutCancel(ctx), t.ID))
	}
	return t, key, nil
}

// Update applies p, which changes at least one field.
func (r *Registrar) Update(ctx context.Context, id string, p Patch) (Tenant, error) {
	if err := r.check(p); err != nil {
		return Tenant{}, err
	}
	t, err := r.Tenants.UpdateTenant(ctx, id, p)
	if err != nil {
		return Tenant{}, err
	}
	r.changed(ctx) // there may be room for queued jobs
	return t, r.provision(ctx, t)
}

// ReplaceKey issues a new API key; every earlier key of the tenant stops working.
func (r *Registrar) ReplaceKey(ctx context.Context, id string) (t Tenant, key string, err error) {
	if t, err = r.Tenants.Tenant(ctx, id); err != nil {
		return Tenant{}, "", err
	}
	key, stored, err := r.newKey(t)
	if err != nil {
		return Tenant{}, "", err
	}
	return t, key, r.Tenants.ReplaceKeys(ctx, t.ID, stored)
}

// Remove retires a tenant and removes everything it has, the record last: when a step fails, the tenant is still there to be
// removed again. Runs still active are stopped by reconcile, which finds no job for them.
func (r *Registrar) Remove(ctx context.Context, id string, force bool) (Tenant, error) {
	t, err := r.Tenants.RetireTenant(ctx, id, force)
	if err != nil {
		return Tenant{}, err
	}
	r.changed(ctx) // active runs are to be stopped
	if r.Provisioner != nil {
		if err := r.Provisioner.Deprovision(ctx, t); err != nil {
			return Tenant{}, err
		}
	}
	for _, prefix := range artifact.Prefixes() {
		if err := artifact.RemoveAll(ctx, r.Objects, prefix+t.Namespace+"/"); err != nil {
			return Tenant{}, err
		}
	}
	return t, r.Tenants.DeleteTenant(ctx, t.ID)
}

func (r *Registrar) check(p Patch) error {
	if v := p.DefaultSumoVersion; v != nil && *v != "" {
		if fault := r.VersionFault(*v); fault != "" {
			return problem.New(problem.Invalid, "SUMO %.20q cannot be the tenant's default: it %s.", *v, fault).
				WithItems(problem.Item{Location: "body.default_sumo_version", Message: fault, Value: *v})
		}
	}
	if p.InputBuckets == nil {
		return nil
	}
	return checkInputBuckets(*p.InputBuckets, r.OwnBucket)
}

func (r *Registrar) newKey(t Tenant) (string, Key, error) {
	return NewKey(r.Random, t.ID, "default", r.Now())
}

func (r *Registrar) provision(ctx context.Context, t Tenant) error {
	if r.Provisioner == nil {
		return nil
	}
	return r.Provisioner.Provision(ctx, t)
}

func (r *Registrar) changed(ctx context.Context) {
	if r.Changed != nil {
		r.Changed(ctx)
	}
}
