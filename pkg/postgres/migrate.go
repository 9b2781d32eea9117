package postgres

import (
	"context"
	"database/sql"
	"fmt"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver called "pgx"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/sumo-k8/sumo-k8/migrations"
)

const (
	// A starter that finds another one migrating looks again every migrationPoll seconds, and gives up after
	// migrationPatience looks: five minutes are longer than any migration of ours may take.
	migrationPoll     = 1
	migrationPatience = 300
)

// Migrate brings the schema up to date. Any number of processes may call it at once: one works, the others wait. The URL
// must lead to the server itself, not to a pooler, because the lock belongs to a session.
func Migrate(ctx context.Context, url string) error {
	return withMigrations(url, func(p *goose.Provider) error {
		if pending, err := p.HasPending(ctx); err != nil || !pending {
			return err
		}
		_, err := p.Up(ctx)
		return err
	})
}

func withMigrations(url string, fn func(*goose.Provider) error) (err error) {
	conn, err := sql.Open("pgx", url)
	if err != nil {
		return fmt.Errorf("reading the database URL: %w", err)
	}
	defer conn.Close()
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(migrationPoll, migrationPatience))
	if err != nil {
		return fmt.Errorf("preparing migrations: %w", err)
	}
	p, err := goose.NewProvider(goose.DialectPostgres, conn, migrations.FS, goose.WithSessionLocker(locker))
	if err != nil {
		return fmt.Errorf("preparing migrations: %w", err)
	}
	return translate(fn(p), "migrating the database")
}
