// Package localtest gives tests real servers: a fresh Postgres database or S3 bucket in milliseconds.
//
//	func TestMain(m *testing.M) { localtest.Main(m) }
package localtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/rs/zerolog"

	"github.com/sumo-k8/sumo-k8/infra/local"
	"github.com/sumo-k8/sumo-k8/pkg/store/s3"
)

// setUp covers waiting while another test binary builds the object store with an empty build cache.
const setUp = 5 * time.Minute

// servers of this test binary.
var (
	folder      = sync.OnceValues(passableFolder)
	postgres    = lazy[*local.Postgres]{start: startPostgres}
	objectStore = lazy[*local.ObjectStore]{start: startObjectStore}

	// serial makes the names of databases unique.
	serial atomic.Int64

	templatesMu sync.Mutex
	templates   = map[uintptr]template{}
)

type template struct {
	name string
	err  error
}

// lazy is a server that starts on first use.
type lazy[S any] struct {
	start  func() (S, error)
	once   sync.Once
	server S
	err    error
	up     bool
}

func (l *lazy[S]) get(t testing.TB) S {
	t.Helper()
	l.once.Do(func() {
		l.server, l.err = l.start()
		l.up = l.err == nil
	})
	if l.err != nil {
		t.Fatal(l.err)
	}
	return l.server
}

// Main runs the tests of a package, removes the servers that they used, and exits.
func Main(m *testing.M) {
	code := m.Run()
	if err := tearDown(); err != nil {
		fmt.Fprintln(os.Stderr, "localtest:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

func tearDown() error {
	var failures []error
	if objectStore.up {
		failures = append(failures, objectStore.server.Stop())
	}
	if postgres.up {
		failures = append(failures, postgres.server.Stop(), os.RemoveAll(postgres.server.Folder()))
	}
	if postgres.up || objectStore.up {
		dir, _ := folder()
		failures = append(failures, os.RemoveAll(dir))
	}
	return errors.Join(failures...)
}

func startPostgres() (*local.Postgres, error) {
	dir, err := folder()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), setUp)
	defer cancel()
	return local.StartDisposablePostgres(ctx, filepath.Join(dir, "postgres"), zerolog.Nop())
}

func startObjectStore() (*local.ObjectStore, error) {
	dir, err := folder()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), setUp)
	defer cancel()
	binary, err := ObjectStoreBinary(ctx)
	if err != nil {
		return nil, err
	}
	return local.StartObjectStore(ctx, filepath.Join(dir, "objectstore"), binary, zerolog.Nop())
}

// Database returns the URL of a new database that migrate has brought to its schema, or of an empty one when migrate is
// nil. It is dropped when the test ends. migrate runs once per test binary; databases are copies of what it made.
func Database(t testing.TB, migrate func(ctx context.Context, url string) error) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), setUp)
	defer cancel()
	pg := postgres.get(t)
	from, err := templateOf(ctx, pg, migrate)
	if err != nil {
		t.Fatalf("prepare the schema: %v", err)
	}
	name := fmt.Sprintf("test_%d", serial.Add(1))
	if err := execute(ctx, pg, "CREATE DATABASE "+name+" TEMPLATE "+from); err != nil {
		t.Fatalf("create a database: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), setUp)
		defer cancel()
		if err := execute(ctx, pg, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Errorf("drop the test's database: %v", err)
		}
	})
	return pg.URL(name)
}

// templateOf makes the template database for copies, once for each migrate function.
func templateOf(ctx context.Context, pg *local.Postgres, migrate func(context.Context, string) error) (string, error) {
	if migrate == nil {
		return "template0", nil
	}
	templatesMu.Lock()
	defer templatesMu.Unlock()
	id := reflect.ValueOf(migrate).Pointer()
	made, ok := templates[id]
	if !ok {
		made.name = fmt.Sprintf("template_%d", serial.Add(1))
		made.err = pg.EnsureDatabase(ctx, made.name)
		if made.err == nil {
			made.err = migrate(ctx, pg.URL(made.name))
		}
		templates[id] = made
	}
	return made.name, made.err
}

func execute(ctx context.Context, pg *local.Postgres, sql string) error {
	conn, err := pgx.Connect(ctx, pg.URL("postgres"))
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, sql)
	return errors.Join(err, conn.Close(ctx))
}

// Bucket returns the settings for a new, empty bucket on the real S3 server. It is removed with the server.
func Bucket(t testing.TB) s3.Config {
	t.Helper()
	cfg := Endpoint(t)
	cfg.Bucket = "test-" + strings.ToLower(rand.Text()) // by its name ext4 chooses where it lies, which is not to be where one was removed
	store, err := s3.New(cfg)
	if err == nil {
		err = store.EnsureBucket(t.Context())
	}
	if err != nil {
		t.Fatalf("make a bucket: %v", err)
	}
	return cfg
}

// Folder returns a new folder for the data of servers that a test starts by itself. Unlike that of t.TempDir, the user that
// Postgres runs as can reach it when we are root. It is removed when the test ends.
func Folder(t testing.TB) string {
	t.Helper()
	dir, err := passableFolder()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func passableFolder() (string, error) {
	dir, err := os.MkdirTemp("", "sumo-k8-test-")
	if err != nil {
		return "", err
	}
	return dir, os.Chmod(dir, 0o711)
}

// Endpoint returns the settings for reaching the real S3 server. The bucket that it names does not exist.
func Endpoint(t testing.TB) s3.Config {
	t.Helper()
	server := objectStore.get(t)
	return s3.Config{
		Endpoint:     server.Endpoint(),
		AccessKey:    server.AccessKey(),
		SecretKey:    server.SecretKey(),
		UsePathStyle: true,
		Bucket:       "absent",
	}
}
