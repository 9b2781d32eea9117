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
	row, err := d.q.InsertScenario(ctx, insertion(s))
	switch {
	case err == nil:
		return toScenario(row), true, nil
	case errors.Is(err, pgx.ErrNoRows):
		// Another upload of the same bytes came first. The insert has waited for it, so it can be read now.
		stored, err := d.Scenario(ctx, s.TenantID, s.Digest)
		return stored, false, err
	case violation(err) == foreignKeyViolation:
		return scenario.Scenario{}, false, noTenant(s.TenantID)
	}
	return scenario.Scenario{}, false, translate(err, "storing a scenario")
}

func insertion(s scenario.Scenario) db.InsertScenarioParams {
	return db.InsertScenarioParams{
		TenantID: s.TenantID, Digest: s.Digest, Name: s.Name, ObjectKey: s.Key, Size: s.Size, Manifest: s.Manifest,
		BaseDigest: s.Derived.Base, OverlayKey: s.OverlayKey, OverlaySize: s.OverlaySize,
		Changed: notNil(s.Derived.Changed), Added: notNil(s.Derived.Added), Deleted: notNil(s.Derived.Deleted),
	}
}

// PutDerived implements scenario.Store. It holds the tenant's row, so that what the two share is not deleted meanwhile.
func (d *DB) PutDerived(ctx context.Context, s scenario.Scenario, from string) (stored scenario.Scenario, created bool, err error) {
	var row db.Scenario
	err = d.inTx(ctx, func(q *db.Queries) error {
		if _, err := q.LockTenant(ctx, s.TenantID); err != nil {
			return orNone(err, noTenant(s.TenantID))
		}
		if _, err := q.ScenarioOfTenant(ctx, db.ScenarioOfTenantParams{TenantID: s.TenantID, Digest: from}); err != nil {
			return orNone(err, noScenario(from))
		}
		row, err = q.InsertScenario(ctx, insertion(s))
		if created = err == nil; errors.Is(err, pgx.ErrNoRows) { // the same came first
			row, err = q.ScenarioOfTenant(ctx, db.ScenarioOfTenantParams{TenantID: s.TenantID, Digest: s.Digest})
		}
		return err
	})
	if err != nil {
		return scenario.Scenario{}, false, translate(err, "storing a derived scenario")
	}
	return toScenario(row), created, nil
}

// Scenario returns one of the tenant's, or problem.NotFound.
func (d *DB) Scenario(ctx context.Context, tenantID, digest string) (scenario.Scenario, error) {
	if !scenario.IsDigest(digest) {
		return scenario.Scenario{}, noScenario(digest)
	}
	row, err := d.q.ScenarioOfTenant(ctx, db.ScenarioOfTenantParams{TenantID: tenantID, Digest: digest})
	if err != nil {
		return scenario.Scenario{}, translate(orNone(err, noScenario(digest)), "reading a scenario")
	}
	return toScenario(row), nil
}

// ScenarioOverBase implements scenario.Store.
func (d *DB) ScenarioOverBase(ctx context.Context, tenantID, base string) (scenario.Scenario, error) {
	if !scenario.IsDigest(base) {
		return scenario.Scenario{}, noScenario(base)
	}
	row, err := d.q.ScenarioOverBase(ctx, db.ScenarioOverBaseParams{TenantID: tenantID, BaseDigest: base})
	if err != nil {
		return scenario.Scenario{}, translate(orNone(err, noScenario(base)), "looking for a derived scenario")
	}
	return toScenario(row), nil
}

// UpdateManifest implements scenario.Store.
func (d *DB) UpdateManifest(ctx context.Context, tenantID, digest string, m scenario.Manifest) (scenario.Scenario, error) {
	row, err := d.q.UpdateManifest(ctx, db.UpdateManifestParams{TenantID: tenantID, Digest: digest, Manifest: m})
	if err != nil {
		return scenario.Scenario{}, translate(orNone(err, noScenario(digest)), "updating a scenario")
	}
	return toScenario(row), nil
}

// ListScenarios returns up to limit of the tenant's scenarios, newest first, after the given place.
func (d *DB) ListScenarios(ctx context.Context, tenantID string, behind scenario.Place, limit int) ([]scenario.Scenario, error) {
	rows, err := d.q.ListScenarios(ctx, db.ListScenariosParams{
		TenantID: tenantID, Before: known(behind.CreatedAt), BeforeDigest: behind.Digest, Most: limit, Listed: scenario.ListedPaths,
	})
	if err != nil {
		return nil, translate(err, "listing scenarios")
	}
	out := make([]scenario.Scenario, len(rows))
	for i, r := range rows {
		out[i] = scenario.Scenario{
			TenantID: r.TenantID, Digest: r.Digest, Name: r.Name, Key: r.ObjectKey, Size: r.Size, CreatedAt: r.CreatedAt,
			OverlayKey: r.OverlayKey, OverlaySize: r.OverlaySize,
			Derived: differences(r.BaseDigest, r.Changed, r.Added, r.Deleted, r.Differences),
		}
		if err := json.Unmarshal(r.Manifest, &out[i].Manifest); err != nil {
			return nil, fmt.Errorf("reading the manifest of scenario %s: %w", r.Digest, err)
		}
	}
	return out, nil
}

// maxNeedingNamed is how many jobs, or studies, the refusal to delete their scenario names.
const maxNeedingNamed = 10

// DeleteScenario implements scenario.Store. It holds the tenant's row, as CreateJob does, so that no job is made of the
// scenario meanwhile.
func (d *DB) DeleteScenario(ctx context.Context, tenantID, digest string) (s scenario.Scenario, unneeded []string, err error) {
	if !scenario.IsDigest(digest) {
		return scenario.Scenario{}, nil, noScenario(digest)
	}
	err = d.inTx(ctx, func(q *db.Queries) error {
		if _, err := q.LockTenant(ctx, tenantID); err != nil {
			return orNone(err, noTenant(tenantID))
		}
		if err := needed(ctx, q, tenantID, digest); err != nil {
			return err
		}
		row, err := q.DeleteScenario(ctx, db.DeleteScenarioParams{TenantID: tenantID, Digest: digest})
		if err != nil {
			return orNone(err, noScenario(digest))
		}
		s = toScenario(row)
		unneeded = nil
		if s.OverlayKey != "" {
			unneeded = append(unneeded, s.OverlayKey)
		}
		others, err := q.KnownScenarioKeys(ctx, []string{s.Key})
		if len(others) == 0 {
			unneeded = append(unneeded, s.Key)
		}
		return err
	})
	if err != nil {
		return scenario.Scenario{}, nil, translate(err, "deleting a scenario")
	}
	return s, unneeded, nil
}

// needed refuses to delete a scenario that unfinished jobs or studies need.
func needed(ctx context.Context, q *db.Queries, tenantID, digest string) error {
	jobs, err := q.JobsNeedingScenario(ctx, db.JobsNeedingScenarioParams{TenantID: tenantID, Digest: digest, Most: maxNeedingNamed})
	if err != nil {
		return err
	}
	studies, err := q.StudiesNeedingScenario(ctx, db.StudiesNeedingScenarioParams{TenantID: tenantID, Digest: digest, Most: maxNeedingNamed})
	if err != nil {
		return err
	}
	var p *problem.Error
	switch {
	case len(studies) > 0:
		p = problem.New(problem.Conflict, "Running studies need this scenario, such as %s (%s). Wait until they finish, or cancel them.",
			studies[0].ID, studies[0].Name)
	case len(jobs) > 0:
		p = problem.New(problem.Conflict, "Unfinished jobs need this scenario, such as %s, which is %s. Wait until they finish, or "+
			"cancel them.", jobs[0].ID, jobs[0].State)
	default:
		return nil
	}
	for _, s := range studies {
		p = p.WithItems(problem.Item{Location: "study", Message: s.ID + " is running", Value: s.ID})
	}
	for _, j := range jobs {
		p = p.WithItems(problem.Item{Location: "job", Message: j.ID + " is " + string(j.State), Value: j.ID})
	}
	return p
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

func noScenario(digest string) error {
	return problem.New(problem.NotFound, "No scenario %.80q. Check the id, or upload the scenario again.", digest)
}

func toScenario(s db.Scenario) scenario.Scenario {
	return scenario.Scenario{
		TenantID: s.TenantID, Digest: s.Digest, Name: s.Name, Key: s.ObjectKey, Size: s.Size, Manifest: s.Manifest, CreatedAt: s.CreatedAt,
		OverlayKey: s.OverlayKey, OverlaySize: s.OverlaySize,
		Derived: differences(s.BaseDigest, s.Changed, s.Added, s.Deleted, len(s.Changed)+len(s.Added)+len(s.Deleted)),
	}
}

func differences(base string, changed, added, deleted []string, total int) scenario.Differences {
	if base == "" {
		return scenario.Differences{}
	}
	return scenario.Differences{Base: base, Changed: changed, Added: added, Deleted: deleted, Total: total}
}
