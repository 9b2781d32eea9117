package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/sumo-k8/sumo-k8/migrations"
)

const (
	// A process that finds another one migrating looks again every migrationPoll seconds, and gives up after
	// migrationPatience looks: five minutes are longer than any migration of ours may take.
	migrationPoll     = 1
	migrationPatience = 300
	// A statement that waits for a table, behind a backup for example, makes all who come after it wait too, so it gives up soon.
	// The Job that migrates tries again.
	tablePatience = "3s"
	// earlierVersion is the setting in which a migration finds the version of SUMO that ran all jobs before it.
	earlierVersion = "sumo_k8.earlier_version"
)

// Migrate brings the schema up to date. Any number of processes may call it at once: one works, the others wait. The URL
// must lead to the server itself, not to a pooler, because the lock belongs to a session.
func Migrate(ctx context.Context, url string) error { return MigrateFrom(ctx, url, "") }

// MigrateFrom is Migrate for a database in which one version of SUMO may have run all jobs so far: the tenants that exist keep it.
func MigrateFrom(ctx context.Context, url, sumoVersion string) error {
	return withMigrations(url, sumoVersion, func(p *goose.Provider) error {
		if pending, err := p.HasPending(ctx); err != nil || !pending {
			return err
		}
		_, err := p.Up(ctx)
		return err
	})
}

func withMigrations(url, sumoVersion string, fn func(*goose.Provider) error) (err error) {
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		return fmt.Errorf("reading the database URL: %w", err)
	}
	if _, chosen := cfg.RuntimeParams["lock_timeout"]; !chosen {
		cfg.RuntimeParams["lock_timeout"] = tablePatience
	}
	cfg.RuntimeParams[earlierVersion] = sumoVersion
	conn := stdlib.OpenDB(*cfg)
	defer func() { _ = conn.Close() }() // the migrations are committed or not by now
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
