package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/sumo-k8/sumo-k8/pkg/store/postgres/internal/db"
)

// linkSecret is the name of what signs links.
const linkSecret = "links"

// LinkSecret returns the secret that signs links to results, which all instances of this installation share. If there is none, it becomes
// what random returns.
func (d *DB) LinkSecret(ctx context.Context, random func() []byte) ([]byte, error) {
	secret, err := d.q.Secret(ctx, linkSecret)
	if errors.Is(err, pgx.ErrNoRows) {
		if err = d.q.InsertSecret(ctx, db.InsertSecretParams{Name: linkSecret, Value: random()}); err == nil {
			secret, err = d.q.Secret(ctx, linkSecret) // another instance may have been faster
		}
	}
	return secret, translate(err, "reading the secret of links")
}
