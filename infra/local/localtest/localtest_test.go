package localtest_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/sumo-k8/sumo-k8/infra/local/localtest"
)

func TestMain(m *testing.M) { localtest.Main(m) }

func execute(ctx context.Context, url, sql string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, sql)
	return err
}

func TestEachDatabaseIsAFreshCopyOfTheSchema(t *testing.T) {
	t.Parallel()
	var migrations atomic.Int32
	migrate := func(ctx context.Context, url string) error {
		migrations.Add(1)
		return execute(ctx, url, "CREATE TABLE jobs (id int PRIMARY KEY)")
	}
	for range 4 {
		url := localtest.Database(t, migrate)
		// The same key each time: a database that is not fresh refuses it.
		if err := execute(t.Context(), url, "INSERT INTO jobs VALUES (1)"); err != nil {
			t.Error(err)
		}
	}
	if n := migrations.Load(); n != 1 {
		t.Errorf("migrated %d times, want once", n)
	}
}

func TestDatabaseWithoutSchemaIsEmpty(t *testing.T) {
	t.Parallel()
	if err := execute(t.Context(), localtest.Database(t, nil), "CREATE TABLE jobs ()"); err != nil {
		t.Error(err)
	}
}

func TestDatabaseIsDroppedThoughASessionIsOpen(t *testing.T) {
	t.Parallel()
	var url string
	t.Run("test that leaks its connection", func(t *testing.T) {
		url = localtest.Database(t, nil)
		if _, err := pgx.Connect(t.Context(), url); err != nil {
			t.Fatal(err)
		}
	})
	if err := execute(t.Context(), url, "SELECT 1"); err == nil {
		t.Error("the database outlived its test")
	}
}

func TestBucketsAreApart(t *testing.T) {
	t.Parallel()
	if a, b := localtest.Bucket(t), localtest.Bucket(t); a.Bucket == b.Bucket {
		t.Errorf("two tests share the bucket %s", a.Bucket)
	}
}

func BenchmarkDatabase(b *testing.B) {
	migrate := func(ctx context.Context, url string) error { return execute(ctx, url, "CREATE TABLE jobs (id int)") }
	for b.Loop() {
		localtest.Database(b, migrate)
	}
}
