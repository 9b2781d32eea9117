package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/sumo-k8/sumo-k8/pkg/postgres/internal/db"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/scenario"
)

// PutScenario implements scenario.Store.
func (d *DB) PutScenario(ctx context.Context, s scenario.Scenario) (scenario.Scenario, bool, error) {
	row, err := d.q.InsertScenario(ctx, db.InsertScenarioParams{
		TenantID: s.TenantID, Digest: s.Digest, ObjectKey: s.Key, Size: s.Size, Manifest: s.Manifest,
	})
	switch {
	case err == nil:
		return toScenario(row), true, nil
	case errors.Is(err, pgx.ErrNoRows):
		// Another upload of the same bytes came first. The insert has waited for it, so it can be read now.
		stored, err := d.Scenario(ctx, s.TenantID, s.Digest)
		return stored, false, err
	case violation(err) == foreignKeyViolation:
		return scenario.Scenario{}, false, orNoTenant(pgx.ErrNoRows, s.TenantID)
	}
	return scenario.Scenario{}, false, translate(err, "storing a scenario")
}

// Scenario implements scenario.Store.
func (d *DB) Scenario(ctx context.Context, tenantID, digest string) (scenario.Scenario, error) {
	row, err := d.q.ScenarioOfTenant(ctx, db.ScenarioOfTenantParams{TenantID: tenantID, Digest: digest})
	if err != nil {
		return scenario.Scenario{}, translate(orNoScenario(err, digest), "reading a scenario")
	}
	return toScenario(row), nil
}

// KnownKeys implements scenario.Store.
func (d *DB) KnownKeys(ctx context.Context, keys []string) (map[string]bool, error) {
	rows, err := d.q.KnownScenarioKeys(ctx, notNil(keys))
	if err != nil {
		return nil, translate(err, "looking up scenario objects")
	}
	found := make(map[string]bool, len(rows))
	for _, key := range rows {
		found[key] = true
	}
	return found, nil
}

func orNoScenario(err error, digest string) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return problem.New(problem.NotFound, "No scenario %.80q. Check the id, or upload the scenario again.", digest)
	}
	return err
}

func toScenario(s db.Scenario) scenario.Scenario {
	return scenario.Scenario{
		TenantID: s.TenantID, Digest: s.Digest, Key: s.ObjectKey, Size: s.Size, Manifest: s.Manifest, CreatedAt: s.CreatedAt,
	}
}
