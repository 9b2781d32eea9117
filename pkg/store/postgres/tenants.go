package postgres

import (
	"context"
	"crypto/subtle"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/store/postgres/internal/db"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

// CreateTenant implements tenant.RegistrarStore. A zero CreatedAt becomes the database's time.
func (d *DB) CreateTenant(ctx context.Context, t tenant.Tenant, k tenant.Key) (tenant.Tenant, error) {
	return d.ImportTenant(ctx, t, &k)
}

// ImportTenant implements tenant.RegistrarStore. A zero CreatedAt becomes the database's time.
func (d *DB) ImportTenant(ctx context.Context, t tenant.Tenant, k *tenant.Key) (tenant.Tenant, error) {
	var created db.Tenant
	err := d.inTx(ctx, func(q *db.Queries) (err error) {
		created, err = q.InsertTenant(ctx, db.InsertTenantParams{
			ID: t.ID, Namespace: t.Namespace,
			MaxCPU: t.Limits.MaxCPU, MaxMemoryGi: t.Limits.MaxMemoryGi, MaxConcurrentJobs: t.Limits.MaxConcurrentJobs,
			InputBuckets: notNil(t.InputBuckets), DefaultSumoVersion: t.DefaultSumoVersion, Controllers: t.Controllers,
			Imported: t.Imported, CreatedAt: known(t.CreatedAt),
		})
		if violation(err) == uniqueViolation {
			return problem.Wrap(err, problem.Exists,
				"Tenant %q exists already. Choose another tenant_id, or change this one with PATCH /auth/tenants/%s.", t.ID, t.ID)
		}
		if err != nil || k == nil {
			return err
		}
		return insertKey(ctx, q, t.ID, *k)
	})
	if err != nil {
		return tenant.Tenant{}, translate(err, "creating a tenant")
	}
	return toTenant(created), nil
}

// KeyOwner implements tenant.RegistrarStore.
func (d *DB) KeyOwner(ctx context.Context, id string) (tenantID string, works bool, err error) {
	row, err := d.q.KeyOwner(ctx, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", false, problem.New(problem.NotFound, "There is no key with the id %q.", id)
	}
	return row.TenantID, row.Works, translate(err, "looking up the owner of an API key")
}

// Tenant returns one, or problem.NotFound.
func (d *DB) Tenant(ctx context.Context, id string) (tenant.Tenant, error) {
	row, err := d.q.Tenant(ctx, id)
	if err != nil {
		return tenant.Tenant{}, translate(orNone(err, noTenant(id)), "reading a tenant")
	}
	return toTenant(row), nil
}

// Tenants lists all tenants by id.
func (d *DB) Tenants(ctx context.Context) ([]tenant.Tenant, error) {
	rows, err := d.q.Tenants(ctx)
	if err != nil {
		return nil, translate(err, "listing tenants")
	}
	return each(rows, toTenant), nil
}

// UpdateTenant implements tenant.RegistrarStore. It waits for a Claim that is deciding about the tenant.
func (d *DB) UpdateTenant(ctx context.Context, id string, p tenant.Patch) (tenant.Tenant, error) {
	var updated db.Tenant
	err := d.inTx(ctx, func(q *db.Queries) (err error) {
		params := db.UpdateTenantParams{
			ID: id, MaxCPU: p.MaxCPU, MaxMemoryGi: p.MaxMemoryGi, MaxConcurrentJobs: p.MaxConcurrentJobs,
			DefaultSumoVersion: p.DefaultSumoVersion, Controllers: p.Controllers,
		}
		if p.InputBuckets != nil {
			params.InputBuckets = notNil(*p.InputBuckets)
		}
		if updated, err = q.UpdateTenant(ctx, params); err != nil {
			return err
		}
		// Messages of waiting jobs about the old limits may no longer be true. Claim writes them again if they are.
		return q.ClearQueueMessages(ctx, id)
	})
	if err != nil {
		return tenant.Tenant{}, translate(orNone(err, noTenant(id)), "updating a tenant")
	}
	return toTenant(updated), nil
}

// DueTenant implements reconcile.Tenants.
func (d *DB) DueTenant(ctx context.Context, retry time.Duration) (tenant.Tenant, bool, error) {
	row, err := d.q.DueTenant(ctx, retry)
	if errors.Is(err, pgx.ErrNoRows) {
		return tenant.Tenant{}, false, nil
	}
	if err != nil {
		return tenant.Tenant{}, false, translate(err, "looking for a tenant whose provision is due")
	}
	return toTenant(row), true, nil
}

// Provisioned implements reconcile.Tenants.
func (d *DB) Provisioned(ctx context.Context, t tenant.Tenant, next time.Duration) error {
	if _, err := d.q.Provisioned(ctx, db.ProvisionedParams{ID: t.ID, UpdatedAt: t.UpdatedAt, Next: next}); err != nil {
		return translate(orNone(err, noTenant(t.ID)), "noting that a tenant was provisioned")
	}
	return nil
}

// RetireTenant implements tenant.RegistrarStore.
func (d *DB) RetireTenant(ctx context.Context, id string, force bool) (tenant.Tenant, error) {
	var retired db.Tenant
	err := d.inTx(ctx, func(q *db.Queries) (err error) {
		// Under the lock no job is created or claimed.
		if retired, err = q.LockTenant(ctx, id); err != nil {
			return err
		}
		if !force {
			usage, err := q.Usage(ctx, id)
			if err != nil {
				return err
			}
			busy, err := q.HasStudiesRunning(ctx, id)
			if err != nil {
				return err
			}
			for _, u := range usage {
				busy = busy || !u.State.Terminal()
			}
			if busy {
				return problem.New(
					problem.Conflict, "Tenant %s has jobs waiting or running. Wait until they finish, or cancel and delete all with force=true.", id,
				)
			}
		}
		if err := q.RevokeKeys(ctx, id); err != nil {
			return err
		}
		if err := q.RetireTenant(ctx, id); err != nil {
			return err
		}
		if err := q.CancelStudiesOfTenant(ctx, id); err != nil {
			return err
		}
		return q.RequestCancelOfTenant(ctx, id)
	})
	if err != nil {
		return tenant.Tenant{}, translate(orNone(err, noTenant(id)), "retiring a tenant")
	}
	return toTenant(retired), nil
}

// DeleteTenant implements tenant.RegistrarStore.
func (d *DB) DeleteTenant(ctx context.Context, id string) error {
	if err := d.q.DeleteTenant(ctx, id); err != nil {
		return translate(err, "deleting a tenant")
	}
	return nil
}

// ReplaceKeys implements tenant.RegistrarStore.
func (d *DB) ReplaceKeys(ctx context.Context, tenantID string, k tenant.Key) error {
	err := d.inTx(ctx, func(q *db.Queries) error {
		// Under the lock two replacements follow each other, and the later one revokes the key of the earlier.
		if _, err := q.LockTenant(ctx, tenantID); err != nil {
			return err
		}
		if err := q.RevokeKeys(ctx, tenantID); err != nil {
			return err
		}
		return insertKey(ctx, q, tenantID, k)
	})
	return translate(orNone(err, noTenant(tenantID)), "replacing API keys")
}

// TenantByKey is the look-up of rest.Keys.
func (d *DB) TenantByKey(ctx context.Context, id string, hash []byte) (tenant.Tenant, error) {
	row, err := d.q.TenantByKey(ctx, id)
	if errors.Is(err, pgx.ErrNoRows) || violation(err) == notInRepertoire {
		return tenant.Tenant{}, tenant.ErrUnknownKey()
	}
	if err != nil {
		return tenant.Tenant{}, translate(err, "looking up an API key")
	}
	if subtle.ConstantTimeCompare(row.Hash, hash) != 1 {
		return tenant.Tenant{}, tenant.ErrUnknownKey()
	}
	if row.UseUnrecorded {
		// At most once a minute per key, so that reads stay reads. The owner of a good key is let in even when
		// this note cannot be written, for example while the database is read-only.
		_ = d.q.TouchKey(ctx, id)
	}
	return toTenant(row.Tenant), nil
}

// KeyHints maps each tenant id to the first characters of its newest working key.
func (d *DB) KeyHints(ctx context.Context) (map[string]string, error) {
	rows, err := d.q.KeyHints(ctx)
	if err != nil {
		return nil, translate(err, "listing key hints")
	}
	hints := make(map[string]string, len(rows))
	for _, r := range rows {
		hints[r.TenantID] = r.Hint
	}
	return hints, nil
}

func insertKey(ctx context.Context, q *db.Queries, tenantID string, k tenant.Key) error {
	return q.InsertKey(ctx, db.InsertKeyParams{
		ID: k.ID, TenantID: tenantID, Name: k.Name, Hint: k.Hint, Hash: k.Hash, CreatedAt: k.CreatedAt, ExpiresAt: k.ExpiresAt,
	})
}

func noTenant(id string) error {
	return problem.New(problem.NotFound, "No tenant %q. Check the id, or list all with GET /auth/tenants.", id)
}

func toTenant(t db.Tenant) tenant.Tenant {
	out := tenant.Tenant{
		ID: t.ID, Namespace: t.Namespace,
		Limits:             tenant.Limits{MaxCPU: t.MaxCPU, MaxMemoryGi: t.MaxMemoryGi, MaxConcurrentJobs: t.MaxConcurrentJobs},
		DefaultSumoVersion: t.DefaultSumoVersion, Controllers: t.Controllers,
		Imported: t.Imported, CreatedAt: t.CreatedAt, UpdatedAt: t.UpdatedAt,
	}
	if len(t.InputBuckets) > 0 {
		out.InputBuckets = t.InputBuckets
	}
	return out
}

// notNil is s for a column that is never null: pgx writes a nil slice as NULL.
func notNil(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

// notNilMap is the same for a map, in a column of JSON.
func notNilMap(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

// known is t, or nil for the zero time.
func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func each[From, To any](rows []From, convert func(From) To) []To {
	out := make([]To, len(rows))
	for i, r := range rows {
		out[i] = convert(r)
	}
	return out
}
