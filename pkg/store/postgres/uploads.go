package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sumo-k8/sumo-k8/pkg/idempotency"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/store/postgres/internal/db"
)

// BeginUpload implements scenario.Store. It holds the tenant's row for the same reasons as CreateJob.
func (d *DB) BeginUpload(
	ctx context.Context, u scenario.Upload, idem *idempotency.Request, maxOpen int,
) (stored scenario.Upload, created bool, err error) {
	if !isID(u.ID) {
		return scenario.Upload{}, false, fmt.Errorf("beginning an upload: id %q is not a UUID", u.ID)
	}
	var row db.ScenarioUpload
	err = d.inTx(ctx, func(q *db.Queries) (err error) {
		if _, err := q.LockTenant(ctx, u.TenantID); err != nil {
			return orNone(err, noTenant(u.TenantID))
		}
		if idem != nil {
			earlier, found, err := remembered(ctx, q, u.TenantID, *idem)
			if err != nil {
				return err
			}
			if found && earlier.UploadID != nil {
				row, err = q.UploadOfTenant(ctx, db.UploadOfTenantParams{TenantID: u.TenantID, ID: *earlier.UploadID})
				return err
			}
		}
		open, err := q.OpenUploads(ctx, db.OpenUploadsParams{TenantID: u.TenantID, Most: maxOpen})
		if err != nil {
			return err
		}
		if len(open) >= maxOpen {
			p := problem.New(problem.Conflict, "You have %d uploads open, the most allowed. Complete or delete some of them; "+
				"each is given up %.0f hours after it began.", len(open), scenario.UploadLifetime.Hours())
			for _, id := range open {
				p = p.WithItems(problem.Item{Location: "upload_id", Message: id + " is open", Value: id})
			}
			return p
		}
		row, err = q.InsertUpload(
			ctx, db.InsertUploadParams{ID: u.ID, TenantID: u.TenantID, Name: u.Name, Size: u.Size, ExpectedDigest: u.Expected},
		)
		if err != nil {
			return err
		}
		created = true
		if idem == nil {
			return nil
		}
		return q.InsertIdempotencyKey(ctx, db.InsertIdempotencyKeyParams{
			TenantID: u.TenantID, Key: idem.Key, RequestHash: idem.RequestHash, UploadID: &u.ID,
		})
	})
	if err != nil {
		return scenario.Upload{}, false, translate(err, "beginning an upload")
	}
	return toUpload(row), created, nil
}

// Remember implements scenario.Store.
func (d *DB) Remember(ctx context.Context, tenantID string, idem idempotency.Request) error {
	err := d.inTx(ctx, func(q *db.Queries) error {
		if _, err := q.LockTenant(ctx, tenantID); err != nil {
			return orNone(err, noTenant(tenantID))
		}
		if _, found, err := remembered(ctx, q, tenantID, idem); found || err != nil {
			return err
		}
		return q.InsertIdempotencyKey(ctx, db.InsertIdempotencyKeyParams{TenantID: tenantID, Key: idem.Key, RequestHash: idem.RequestHash})
	})
	return translate(err, "recording an idempotency key")
}

// MadeBy implements idempotency.Ledger.
func (d *DB) MadeBy(ctx context.Context, tenantID string, idem idempotency.Request) (id string, err error) {
	row, _, err := remembered(ctx, d.q, tenantID, idem)
	for _, made := range []*string{row.StudyID, row.UploadID, row.HookID} {
		if made != nil {
			id = *made
		}
	}
	return id, translate(err, "looking up an idempotency key")
}

// remembered looks for what a key stands for. A caller that is about to record it holds the tenant's row, so that
// two requests with the same key follow each other.
func remembered(
	ctx context.Context, q *db.Queries, tenantID string, idem idempotency.Request,
) (row db.IdempotencyKeyRow, found bool, err error) {
	row, err = q.IdempotencyKey(ctx, db.IdempotencyKeyParams{TenantID: tenantID, Key: idem.Key, Lifetime: idempotency.Lifetime})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return row, false, nil
	case err != nil:
		return row, false, err
	case !bytes.Equal(row.RequestHash, idem.RequestHash):
		return row, false, idempotency.ErrReused()
	}
	return row, true, nil
}

// Upload implements scenario.Store.
func (d *DB) Upload(ctx context.Context, tenantID, id string) (scenario.Upload, error) {
	if !isID(id) {
		return scenario.Upload{}, noUpload(id)
	}
	row, err := d.q.UploadOfTenant(ctx, db.UploadOfTenantParams{TenantID: tenantID, ID: id})
	if errors.Is(err, pgx.ErrNoRows) {
		return scenario.Upload{}, noUpload(id)
	}
	if err != nil {
		return scenario.Upload{}, translate(err, "reading an upload")
	}
	return toUpload(row), nil
}

// FinishUpload implements scenario.Store.
func (d *DB) FinishUpload(ctx context.Context, tenantID, id, digest string) error {
	n, err := d.q.FinishUpload(ctx, db.FinishUploadParams{TenantID: tenantID, ID: id, Digest: digest})
	return affected(n, err, id, "finishing an upload")
}

// DeleteUpload implements scenario.Store.
func (d *DB) DeleteUpload(ctx context.Context, tenantID, id string) error {
	if !isID(id) {
		return noUpload(id)
	}
	n, err := d.q.DeleteUpload(ctx, db.DeleteUploadParams{TenantID: tenantID, ID: id})
	return affected(n, err, id, "deleting an upload")
}

// PruneUploads implements reconcile.Scenarios, oldest first.
func (d *DB) PruneUploads(ctx context.Context, before time.Time, limit int) (int, error) {
	n, err := d.q.PruneUploads(ctx, db.PruneUploadsParams{Before: before, Most: limit})
	return int(n), translate(err, "pruning uploads")
}

func affected(rows int64, err error, id, action string) error {
	if err == nil && rows == 0 {
		return noUpload(id)
	}
	return translate(err, action)
}

func noUpload(id string) error {
	return problem.New(problem.NotFound, "No upload %.80q. Begin one with POST /scenarios/uploads; refused and day-old ones are deleted.", id)
}

func toUpload(u db.ScenarioUpload) scenario.Upload {
	return scenario.Upload{
		ID: u.ID, TenantID: u.TenantID, Name: u.Name, Size: u.Size, Expected: u.ExpectedDigest, Digest: u.Digest, Created: u.CreatedAt,
	}
}
