package postgres

import (
	"context"
	"io/fs"
	"regexp"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pressly/goose/v3"
	"golang.org/x/sync/errgroup"

	"github.com/sumo-k8/sumo-k8/infra/local/localtest"
	"github.com/sumo-k8/sumo-k8/migrations"
	"github.com/sumo-k8/sumo-k8/pkg/job"
)

func TestMigrationsRunOnceHoweverManyProcessesStartThem(t *testing.T) {
	t.Parallel()
	url := localtest.Database(t, nil)
	var starters errgroup.Group
	for range 5 {
		starters.Go(func() error { return Migrate(t.Context(), url) })
	}
	if err := starters.Wait(); err != nil {
		t.Fatal(err)
	}
	before := schema(t, url)
	if err := Migrate(t.Context(), url); err != nil {
		t.Fatalf("a second time: %v", err)
	}
	if got := schema(t, url); got != before || got == "" {
		t.Fatalf("a second time the schema changed from %s to %s", before, got)
	}
}

func TestMigrationsGoDownToNothingAndUpAgain(t *testing.T) {
	t.Parallel()
	url := localtest.Database(t, nil)
	if err := Migrate(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	full := schema(t, url)
	err := withMigrations(url, "", func(p *goose.Provider) error {
		_, err := p.DownTo(t.Context(), 0)
		return err
	})
	if err != nil {
		t.Fatalf("down: %v", err)
	}
	if left := schema(t, url); left != "" {
		t.Fatalf("left after going down: %s", left)
	}
	if err := Migrate(t.Context(), url); err != nil {
		t.Fatalf("up again: %v", err)
	}
	if got := schema(t, url); got != full {
		t.Fatalf("up again: got %s, want %s", got, full)
	}
}

func TestAMigrationThatWaitsForATableDoesNotBlockOthers(t *testing.T) {
	t.Parallel()
	url := localtest.Database(t, nil)
	if err := Migrate(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	err := withMigrations(url, "", func(p *goose.Provider) error {
		_, err := p.DownTo(t.Context(), 10) // the eleventh changes jobs
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	backup, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := backup.Exec(t.Context(), "LOCK TABLE jobs IN ACCESS SHARE MODE"); err != nil { // as pg_dump does
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	if err := Migrate(ctx, url); violation(err) != lockNotAvailable {
		t.Errorf("while another reads the table: %v", err)
	}
	if err := backup.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := Migrate(ctx, url); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestIndexesOfLargeTablesAreBuiltWhileOthersWrite(t *testing.T) {
	t.Parallel()
	const released = "00013" // and not to be changed any more
	files, err := fs.Glob(migrations.FS, "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	blocking := regexp.MustCompile(`CREATE (UNIQUE )?INDEX (IF NOT EXISTS )?\w+ ON (jobs|job_events|idempotency_keys)\b`)
	for _, name := range files {
		text, err := fs.ReadFile(migrations.FS, name)
		if err != nil {
			t.Fatal(err)
		}
		if found := blocking.Find(text); name[:len(released)] > released && found != nil {
			t.Errorf("%s: %s blocks all writers until it has read the table: write CONCURRENTLY", name, found)
		}
	}
}

func TestAnIndexThatBrokeOffIsBuiltAgain(t *testing.T) {
	t.Parallel()
	url := localtest.Database(t, Migrate)
	if err := withMigrations(url, "", func(p *goose.Provider) error {
		_, err := p.DownTo(t.Context(), 15)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	for _, statement := range []string{
		"CREATE UNIQUE INDEX jobs_by_imported_id ON jobs (imported_id)",
		"UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'jobs_by_imported_id'::regclass",
	} {
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	if err := Migrate(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	var broken int
	if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM pg_index WHERE NOT indisvalid").Scan(&broken); err != nil || broken > 0 {
		t.Errorf("%d indexes are not valid, %v", broken, err)
	}
}

func TestTheUpgradeKeepsTheVersionThatRanBefore(t *testing.T) {
	t.Parallel()
	const before = 12 // the last migration of a service with one version
	url := localtest.Database(t, Migrate)
	// The code knows the new columns, so what is stored first is stored with them, and then as if by the earlier release.
	d := open(t, Config{URL: url})
	newTenant(t, d, "acme", roomy)
	finished := inState(t, d, "acme", job.Succeeded).ID
	queued := submit(t, d, "acme").ID
	chosen := submit(t, d, "acme", func(j *job.Job) { j.Options.SumoVersion = "1.18" }).ID
	if err := withMigrations(url, "", func(p *goose.Provider) error {
		_, err := p.DownTo(t.Context(), before)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	d.Close()
	for _, version := range []string{"1.15", "1.20"} { // the second time there is nothing left to migrate
		if err := MigrateFrom(t.Context(), url, version); err != nil {
			t.Fatal(err)
		}
	}
	d = open(t, Config{URL: url})
	newTenant(t, d, "later", roomy)
	for id, want := range map[string]string{"acme": "1.15", "later": ""} {
		if got, err := d.Tenant(t.Context(), id); err != nil || got.DefaultSumoVersion != want {
			t.Errorf("the default of %s is %q, %v; want %q", id, got.DefaultSumoVersion, err, want)
		}
	}
	for id, want := range map[string]string{queued: "1.15", chosen: "1.18", finished: ""} {
		if got := read(t, d, "acme", id); got.Options.SumoVersion != want || got.Warnings != nil || got.Problems != nil {
			t.Errorf("a %s job runs on %q, want %q", got.State, got.Options.SumoVersion, want)
		}
	}
}

// schema names all that migrations have made, goose's own table left out.
func schema(t *testing.T, url string) (names string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	const query = `
		SELECT coalesce(string_agg(name, ' ' ORDER BY name), '') FROM (
			SELECT relname::text AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace
			UNION ALL SELECT proname::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace
			UNION ALL SELECT tgname::text FROM pg_trigger WHERE NOT tgisinternal
		) AS things WHERE name NOT LIKE 'goose%'`
	if err := conn.QueryRow(t.Context(), query).Scan(&names); err != nil {
		t.Fatal(err)
	}
	return names
}
