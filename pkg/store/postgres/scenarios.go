package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/store/postgres/internal/db"
)

// PutScenario implements scenario.Store.
func (d *DB) PutScenario(ctx context.Context, s scenario.Scenario) (scenario.Scenario, bool, error) {
	row, err := d.q.InsertScenario(ctx, db.InsertScenarioParams{
		TenantID: s.TenantID, Digest: s.Digest, Name: s.Name, ObjectKey: s.Key, Size: s.Size, Manifest: s.Manifest,
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

// Scenario returns one of the tenant's, or problem.NotFound.
func (d *DB) Scenario(ctx context.Context, tenantID, digest string) (scenario.Scenario, error) {
	if !scenario.IsDigest(digest) {
		return scenario.Scenario{}, noScenario(digest)
	}
	row, err := d.q.ScenarioOfTenant(ctx, db.ScenarioOfTenantParams{TenantID: tenantID, Digest: digest})
	if err != nil {
		return scenario.Scenario{}, translate(orNoScenario(err, digest), "reading a scenario")
	}
	return toScenario(row), nil
}

// UpdateManifest implements scenario.Store.
func (d *DB) UpdateManifest(ctx context.Context, tenantID, digest string, m scenario.Manifest) (scenario.Scenario, error) {
	row, err := d.q.UpdateManifest(ctx, db.UpdateManifestParams{TenantID: tenantID, Digest: digest, Manifest: m})
	if err != nil {
		return scenario.Scenario{}, translate(orNoScenario(err, digest), "updating a scenario")
	}
	return toScenario(row), nil
}

// ListScenarios returns up to limit of the tenant's scenarios, newest first, after the given place.
func (d *DB) ListScenarios(ctx context.Context, tenantID string, behind scenario.Place, limit int) ([]scenario.Scenario, error) {
	rows, err := d.q.ListScenarios(ctx, db.ListScenariosParams{
		TenantID: tenantID, Before: known(behind.CreatedAt), BeforeDigest: behind.Digest, Most: limit,
	})
	if err != nil {
		return nil, translate(err, "listing scenarios")
	}
	out := make([]scenario.Scenario, len(rows))
	for i, r := range rows {
		out[i] = scenario.Scenario{TenantID: r.TenantID, Digest: r.Digest, Name: r.Name, Key: r.ObjectKey, Size: r.Size, CreatedAt: r.CreatedAt}
		if err := json.Unmarshal(r.Manifest, &out[i].Manifest); err != nil {
			return nil, fmt.Errorf("reading the manifest of scenario %s: %w", r.Digest, err)
		}
	}
	return out, nil
}

// maxNeedingNamed is how many jobs the refusal to delete their scenario names.
const maxNeedingNamed = 10

// DeleteScenario implements scenario.Store. It holds the tenant's row, as CreateJob does, so that no job is made of the
// scenario meanwhile.
func (d *DB) DeleteScenario(ctx context.Context, tenantID, digest string) (scenario.Scenario, error) {
	if !scenario.IsDigest(digest) {
		return scenario.Scenario{}, noScenario(digest)
	}
	var row db.Scenario
	err := d.inTx(ctx, func(q *db.Queries) error {
		if _, err := q.LockTenant(ctx, tenantID); err != nil {
			return orNoTenant(err, tenantID)
		}
		jobs, err := q.JobsNeedingScenario(ctx, db.JobsNeedingScenarioParams{TenantID: tenantID, Digest: digest, Most: maxNeedingNamed})
		if err != nil {
			return err
		}
		if len(jobs) > 0 {
			p := problem.New(problem.Conflict, "Unfinished jobs need this scenario, such as %s, which is %s. Wait until they finish, or "+
				"cancel them.",
				jobs[0].ID, jobs[0].State)
			for _, j := range jobs {
				p = p.WithItems(problem.Item{Location: "job", Message: "is " + string(j.State), Value: j.ID})
			}
			return p
		}
		row, err = q.DeleteScenario(ctx, db.DeleteScenarioParams{TenantID: tenantID, Digest: digest})
		return orNoScenario(err, digest)
	})
	if err != nil {
		return scenario.Scenario{}, translate(err, "deleting a scenario")
	}
	return toScenario(row), nil
}

// KnownKeys implements reconcile.Scenarios.
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
		return noScenario(digest)
	}
	return err
}

func noScenario(digest string) error {
	return problem.New(problem.NotFound, "No scenario %.80q. Check the id, or upload the scenario again.", digest)
}

func toScenario(s db.Scenario) scenario.Scenario {
	return scenario.Scenario{
		TenantID: s.TenantID, Digest: s.Digest, Name: s.Name, Key: s.ObjectKey, Size: s.Size, Manifest: s.Manifest, CreatedAt: s.CreatedAt,
	}
}
