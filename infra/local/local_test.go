package local_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/rs/zerolog"

	"github.com/sumo-k8/sumo-k8/infra/local"
	"github.com/sumo-k8/sumo-k8/infra/local/localtest"
	"github.com/sumo-k8/sumo-k8/pkg/store/s3"
)

// asServer makes this test binary start both servers on the folder it names, store something, and wait to be killed.
const asServer = "LOCAL_TEST_SERVER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(asServer); dir != "" {
		if err := serve(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		select {}
	}
	localtest.Main(m)
}

const database = "sumo"

// serve starts both servers, stores a row and an object, and prints the pids of the servers.
func serve(dir string) error {
	ctx := context.Background()
	if _, err := local.Lock(dir); err != nil {
		return err
	}
	pg, err := local.StartPostgres(ctx, filepath.Join(dir, "postgres"), zerolog.Nop())
	if err != nil {
		return err
	}
	binary, err := localtest.ObjectStoreBinary(ctx)
	if err != nil {
		return err
	}
	server, err := local.StartObjectStore(ctx, filepath.Join(dir, "objectstore"), binary, zerolog.Nop())
	if err != nil {
		return err
	}
	if err := pg.EnsureDatabase(ctx, database); err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, pg.URL(database))
	if err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, "CREATE TABLE kept (n int); INSERT INTO kept VALUES (42)"); err != nil {
		return err
	}
	store, err := s3.New(bucket(server))
	if err != nil {
		return err
	}
	if err := store.EnsureBucket(ctx); err != nil {
		return err
	}
	if _, err := store.Put(ctx, "kept", strings.NewReader("object"), ""); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(struct{ Parent, Postgres, ObjectStore int }{os.Getpid(), pg.Pid(), server.Pid()})
}

func bucket(server *local.ObjectStore) s3.Config {
	return s3.Config{
		Endpoint: server.Endpoint(), AccessKey: server.AccessKey(), SecretKey: server.SecretKey(), UsePathStyle: true, Bucket: "kept",
	}
}

func startPostgres(t *testing.T, dir string) *local.Postgres {
	t.Helper()
	pg, err := local.StartPostgres(t.Context(), dir, zerolog.New(zerolog.NewTestWriter(t)))
	if err != nil {
		t.Fatal(err)
	}
	return pg
}

func startObjectStore(t *testing.T, dir string) *local.ObjectStore {
	t.Helper()
	binary, err := localtest.ObjectStoreBinary(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	server, err := local.StartObjectStore(t.Context(), dir, binary, zerolog.New(zerolog.NewTestWriter(t)))
	if err != nil {
		t.Fatal(err)
	}
	return server
}

func query[T any](t *testing.T, url, sql string) T {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var value T
	if err := conn.QueryRow(t.Context(), sql).Scan(&value); err != nil {
		t.Fatal(err)
	}
	return value
}

// runs reports whether a process that is not our child runs. A zombie has ended.
func runs(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

func TestServersDieWithTheirParentAndComeBackWithTheirData(t *testing.T) {
	t.Parallel()
	dir := localtest.Folder(t)
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), asServer+"="+dir)
	parent.Stderr = os.Stderr
	stdout, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	var pids struct{ Parent, Postgres, ObjectStore int }
	if err := json.NewDecoder(stdout).Decode(&pids); err != nil {
		t.Fatalf("the parent did not come up: %v, %v", err, parent.Wait())
	}
	if _, err := local.Lock(dir); err == nil || !strings.Contains(err.Error(), strconv.Itoa(pids.Parent)) {
		t.Errorf("Lock() of a folder in use = %v, want an error that names pid %d", err, pids.Parent)
	}

	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	unlock, err := local.Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	// At once, while the old server may still be ending.
	pg := startPostgres(t, filepath.Join(dir, "postgres"))
	server := startObjectStore(t, filepath.Join(dir, "objectstore"))
	for name, pid := range map[string]int{"postgres": pids.Postgres, "object store": pids.ObjectStore} {
		for deadline := time.Now().Add(time.Minute); runs(pid); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("the %s with pid %d outlived its parent", name, pid)
			}
		}
	}
	if n := query[int](t, pg.URL(database), "SELECT n FROM kept"); n != 42 {
		t.Errorf("the row is %d, want 42", n)
	}
	store, err := s3.New(bucket(server))
	if err != nil {
		t.Fatal(err)
	}
	body, err := store.Open(t.Context(), "kept", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if text, err := io.ReadAll(body); err != nil || string(text) != "object" {
		t.Errorf("the object is %q, %v", text, err)
	}
	if err := errors.Join(pg.Stop(), server.Stop()); err != nil {
		t.Error(err)
	}
}

func TestPostgresIsPrivateAndDurable(t *testing.T) {
	t.Parallel()
	pg := startPostgres(t, localtest.Folder(t))
	for setting, want := range map[string]string{
		"listen_addresses": "", "fsync": "on", "synchronous_commit": "on", "full_page_writes": "on",
		"server_encoding": "UTF8", "lc_collate": "C.UTF-8", "TimeZone": "UTC",
	} {
		if got := query[string](t, pg.URL("postgres"), "SHOW "+setting); got != want {
			t.Errorf("%s is %q, want %q", setting, got, want)
		}
	}
	sockets, _, _ := strings.Cut(query[string](t, pg.URL("postgres"), "SHOW unix_socket_directories"), ",")
	for _, dir := range []string{sockets, filepath.Join(pg.Folder(), "data")} {
		info, err := os.Stat(dir)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o700 {
			t.Errorf("%s has mode %v, want 0700", dir, info.Mode())
		}
	}
	if err := pg.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(sockets); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after Stop() the socket folder is there: %v", err)
	}
	select {
	case <-pg.Done():
	default:
		t.Error("after Stop() Done() is open")
	}
}

// wantRefused checks that pg's socket refuses a password.
func wantRefused(t *testing.T, pg *local.Postgres, password string) {
	t.Helper()
	config, err := pgx.ParseConfig(pg.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	config.Password = password
	conn, err := pgx.ConnectConfig(t.Context(), config)
	if err == nil {
		conn.Close(t.Context())
	}
	if err == nil || !strings.Contains(err.Error(), "28P01") {
		t.Errorf("with the password %q: %v, want an authentication failure", password, err)
	}
}

// wantPassword checks that pg accepts only the password in its file, and returns it.
func wantPassword(t *testing.T, pg *local.Postgres) string {
	t.Helper()
	path := filepath.Join(pg.Folder(), "password")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 || int(info.Sys().(*syscall.Stat_t).Uid) != os.Geteuid() {
		t.Errorf("the password's file: %+v, %v; want it to be ours, with mode 0600", info, err)
	}
	password := strings.TrimSpace(string(text))
	if !strings.Contains(pg.URL("postgres"), ":"+password+"@") || len(password) < 20 {
		t.Errorf("the password is %q, the URL %s", password, pg.URL("postgres"))
	}
	wantRefused(t, pg, "")
	wantRefused(t, pg, "a guess")
	const access = "SELECT string_agg(type || ' ' || auth_method, ', ') FROM pg_hba_file_rules"
	if rules := query[string](t, pg.URL("postgres"), access); rules != "local scram-sha-256" {
		t.Errorf("who may connect: %s", rules)
	}
	return password
}

func TestPostgresRequiresAPasswordThatNoOtherUserReads(t *testing.T) {
	t.Parallel()
	dir := localtest.Folder(t)
	var log bytes.Buffer
	start := func() *local.Postgres {
		pg, err := local.StartPostgres(t.Context(), dir, zerolog.New(&log).Level(zerolog.TraceLevel))
		if err != nil {
			t.Fatal(err)
		}
		return pg
	}
	pg := start()
	first := wantPassword(t, pg)
	if err := pg.Stop(); err != nil {
		t.Fatal(err)
	}
	pg = start()
	if second := wantPassword(t, pg); second != first {
		t.Error("the second start has another password")
	}
	cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pg.Pid()))
	if err != nil {
		t.Fatal(err)
	}
	if err := pg.Stop(); err != nil {
		t.Fatal(err)
	}
	seen := map[string][]byte{"our log": log.Bytes(), "the command line": cmdline}
	for _, name := range []string{"postgres.log", "postgres.log.previous"} {
		if seen[name], err = os.ReadFile(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range seen {
		if bytes.Contains(text, []byte(first)) || bytes.Contains(text, []byte("SCRAM-SHA-256$")) {
			t.Errorf("%s has the password: %s", name, text)
		}
	}
}

// A cluster may come from a release that trusted its socket, or its upgrade may have been interrupted anywhere.
func TestAClusterWithAnotherPasswordGetsTheOneOfItsFile(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sql     string // how the cluster is changed
		forgets bool   // whether the file is lost
		crash   bool   // whether the server is killed
	}{
		"made by a release that trusted its socket": {"ALTER ROLE postgres PASSWORD NULL", true, false},
		"of that release, and not stopped properly": {"ALTER ROLE postgres PASSWORD NULL", true, true},
		"cut short when there was a file":           {"ALTER ROLE postgres PASSWORD NULL", false, true},
		"whose file was lost":                       {"SELECT 1", true, false},
		"with a password that was set by hand":      {"ALTER ROLE postgres PASSWORD 'other'", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := localtest.Folder(t)
			pg := startPostgres(t, dir)
			if err := pg.EnsureDatabase(t.Context(), database); err != nil {
				t.Fatal(err)
			}
			conn, err := pgx.Connect(t.Context(), pg.URL(database))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := conn.Exec(t.Context(), "CREATE TABLE kept (n int); INSERT INTO kept VALUES (42); "+c.sql); err != nil {
				t.Fatal(err)
			}
			if c.crash {
				if err := syscall.Kill(pg.Pid(), syscall.SIGQUIT); err != nil {
					t.Fatal(err)
				}
				<-pg.Done()
			} else if err := pg.Stop(); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "data", "pg_hba.conf"), []byte("local all all trust\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			if c.forgets {
				if err := os.Remove(filepath.Join(dir, "password")); err != nil {
					t.Fatal(err)
				}
			}
			pg = startPostgres(t, dir)
			wantPassword(t, pg)
			if n := query[int](t, pg.URL(database), "SELECT n FROM kept"); n != 42 {
				t.Errorf("the row is %d, want 42", n)
			}
			if err := pg.Stop(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestIdsGoOnAfterACrash has rows numbered in the transaction that makes their table, as migrations are, and in later ones.
func TestIdsGoOnAfterACrash(t *testing.T) {
	t.Parallel()
	dir := localtest.Folder(t)
	pg := startPostgres(t, dir)
	conn, err := pgx.Connect(t.Context(), pg.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{
		"CREATE TABLE numbered (id int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, n int); INSERT INTO numbered (n) VALUES (1)",
		"INSERT INTO numbered (n) VALUES (2)", "INSERT INTO numbered (n) VALUES (3)",
	} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Kill(pg.Pid(), syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	<-pg.Done()
	pg = startPostgres(t, dir)
	if id := query[int](t, pg.URL("postgres"), "INSERT INTO numbered (n) VALUES (4) RETURNING id"); id < 4 {
		t.Errorf("the id is %d", id)
	}
	if err := pg.Stop(); err != nil {
		t.Error(err)
	}
}

func TestPostgresOnANetworkRequiresThePassword(t *testing.T) {
	t.Parallel()
	// Every process has its own loopback address, so that the usual port is free there.
	pid := os.Getpid()
	address := fmt.Sprintf("127.%d.%d.%d", 64+pid>>16&63, pid>>8&255, pid&255)
	pg, err := local.StartListeningPostgres(t.Context(), localtest.Folder(t), local.Listener{
		Address: address, Clients: "127.64.0.0/10", Password: "it's secret",
	}, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := pg.Stop(); err != nil {
			t.Error(err)
		}
	})
	connect := func(from, password string) error {
		config, err := pgx.ParseConfig("postgres://postgres@" + address + "/postgres?sslmode=disable")
		if err != nil {
			t.Fatal(err)
		}
		config.Password = password
		config.DialFunc = (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}).DialContext
		conn, err := pgx.ConnectConfig(t.Context(), config)
		if err != nil {
			return err
		}
		return conn.Close(t.Context())
	}
	if err := connect(address, "it's secret"); err != nil {
		t.Errorf("the password is refused: %v", err)
	}
	if err := connect(address, "a guess"); err == nil || !strings.Contains(err.Error(), "28P01") {
		t.Errorf("with another password: %v, want an authentication failure", err)
	}
	if err := connect("127.0.0.1", "it's secret"); err == nil || !strings.Contains(err.Error(), "no pg_hba.conf entry") {
		t.Errorf("from another network: %v, want a refusal", err)
	}
	wantRefused(t, pg, "a guess")
	// Otherwise killing the server could lose what was just committed.
	if got := query[string](t, pg.URL("postgres"), "SHOW synchronous_commit"); got != "on" {
		t.Errorf("synchronous_commit is %s", got)
	}
}

func TestPostgresStopsThoughSessionsAreOpen(t *testing.T) {
	t.Parallel()
	pg := startPostgres(t, localtest.Folder(t))
	conn, err := pgx.Connect(t.Context(), pg.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if err := pg.Stop(); err != nil { // as it would be if it had to be killed
		t.Errorf("Stop() = %v", err)
	}
}

func TestPostgresIgnoresAPidFileOfAnotherProcess(t *testing.T) {
	t.Parallel()
	dir := localtest.Folder(t)
	// As after a restart of the machine or container, when the pid belongs to another process: here, to us. A single-user
	// backend that was killed while it set the password leaves a negative one.
	for _, pid := range []int{os.Getpid(), -os.Getpid()} {
		if err := startPostgres(t, dir).Stop(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "data", "postmaster.pid"), fmt.Appendln(nil, pid), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	pg := startPostgres(t, dir)
	if err := pg.EnsureDatabase(t.Context(), database); err != nil {
		t.Error(err)
	}
	if err := pg.EnsureDatabase(t.Context(), database); err != nil {
		t.Errorf("EnsureDatabase() of one that exists = %v", err)
	}
	if err := pg.Stop(); err != nil {
		t.Error(err)
	}
}

func TestRootKeepsTheClusterWhereItsUserReachesIt(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root needs another user for Postgres")
	}
	closed := localtest.Folder(t)
	if err := os.Chmod(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(closed, "data", "postgres")
	var folders []string
	for range 2 {
		pg := startPostgres(t, dir)
		folders = append(folders, pg.Folder())
		t.Cleanup(func() { os.RemoveAll(pg.Folder()) })
		if !strings.HasPrefix(pg.Folder(), "/var/lib/sumo-k8/") {
			t.Errorf("the cluster is in %s", pg.Folder())
		}
		if err := pg.EnsureDatabase(t.Context(), database); err != nil {
			t.Error(err)
		}
		if err := pg.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	if folders[0] != folders[1] {
		t.Errorf("the second start uses %s instead of %s", folders[1], folders[0])
	}
}

func TestPostgresThatCannotStartReportsWhy(t *testing.T) {
	t.Parallel()
	dir := localtest.Folder(t)
	if err := startPostgres(t, dir).Stop(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "data", "postgresql.conf"), []byte("nonsense\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := local.StartPostgres(t.Context(), dir, zerolog.Nop())
	if err == nil || !strings.Contains(err.Error(), "postgresql.conf") {
		t.Errorf("StartPostgres() = %v, want the server's own words", err)
	}
}

func TestClusterOfAnotherVersionIsLeftAlone(t *testing.T) {
	t.Parallel()
	dir := localtest.Folder(t)
	if err := os.Mkdir(filepath.Join(dir, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "data", "PG_VERSION"), []byte("9\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := local.StartPostgres(t.Context(), dir, zerolog.Nop())
	if err == nil || !strings.Contains(err.Error(), "apt-get install --no-install-recommends postgresql-9") {
		t.Errorf("StartPostgres() = %v, want the command that installs version 9", err)
	}
}

func TestStartGivesUpWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := local.StartPostgres(ctx, localtest.Folder(t), zerolog.Nop()); !errors.Is(err, context.Canceled) {
		t.Errorf("StartPostgres() = %v, want context.Canceled", err)
	}
	binary, err := localtest.ObjectStoreBinary(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := local.StartObjectStore(ctx, localtest.Folder(t), binary, zerolog.Nop()); !errors.Is(err, context.Canceled) {
		t.Errorf("StartObjectStore() = %v, want context.Canceled", err)
	}
}

func TestObjectStoreKeepsItsKeysToItself(t *testing.T) {
	t.Parallel()
	dir := localtest.Folder(t)
	first := startObjectStore(t, dir)
	if err := first.Stop(); err != nil {
		t.Fatal(err)
	}
	second := startObjectStore(t, dir)
	if first.AccessKey() != second.AccessKey() || first.SecretKey() != second.SecretKey() || len(second.SecretKey()) < 20 {
		t.Error("the keys of the second start differ from those of the first, or are short")
	}
	info, err := os.Stat(filepath.Join(dir, "credentials.json"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the credentials' file: %v, %v; want mode 0600", info.Mode(), err)
	}
	cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", second.Pid()))
	if err != nil || strings.Contains(string(cmdline), second.SecretKey()) {
		t.Errorf("every user can read the secret key in the command line: %v", err)
	}
	if err := second.Stop(); err != nil {
		t.Error(err)
	}
}

func TestObjectStoreThatCannotStartReportsWhy(t *testing.T) {
	t.Parallel()
	dir := localtest.Folder(t)
	if err := os.WriteFile(filepath.Join(dir, "objects"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	binary, err := localtest.ObjectStoreBinary(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, err = local.StartObjectStore(t.Context(), dir, binary, zerolog.Nop())
	if err == nil || !strings.Contains(err.Error(), "not a directory") {
		t.Errorf("StartObjectStore() = %v, want the server's own words", err)
	}
}

func TestObjectStoreWorksWithoutExtendedAttributes(t *testing.T) {
	t.Parallel()
	dir := localtest.Folder(t)
	// A store that began with a metadata folder, as on a file system without attributes, keeps using it.
	if err := os.Mkdir(filepath.Join(dir, "metadata"), 0o700); err != nil {
		t.Fatal(err)
	}
	server := startObjectStore(t, dir)
	store, err := s3.New(bucket(server))
	if err != nil {
		t.Fatal(err)
	}
	if err := store.EnsureBucket(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{10, 11 << 20} { // in one request, and in parts
		want := strings.Repeat("x", size)
		if _, err := store.Put(t.Context(), "a/key", strings.NewReader(want), "text/x-kept"); err != nil {
			t.Fatal(err)
		}
		body, err := store.Open(t.Context(), "a/key", 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(body)
		body.Close()
		if err != nil || string(got) != want {
			t.Errorf("%d bytes come back as %d, %v", size, len(got), err)
		}
		if o, err := store.Stat(t.Context(), "a/key"); err != nil || o.ETag == "" {
			t.Errorf("Stat() = %+v, %v, want an ETag", o, err)
		}
	}
	if kept, _ := filepath.Glob(filepath.Join(dir, "metadata", "kept", "a", "key", "meta", "content-type")); len(kept) != 1 {
		t.Error("the content type is not in the metadata folder")
	}
	if err := server.Stop(); err != nil {
		t.Error(err)
	}
}

func TestServerThatEndsByItselfIsNoticed(t *testing.T) {
	t.Parallel()
	server := startObjectStore(t, localtest.Folder(t))
	if err := syscall.Kill(server.Pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-server.Done()
	if err := server.Stop(); err == nil {
		t.Error("Stop() of a server that had crashed gives no error")
	}
}

func TestPostgresTakesALongPath(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(localtest.Folder(t), strings.Repeat("a long name ", 12))
	if err := os.Mkdir(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	if err := startPostgres(t, dir).Stop(); err != nil {
		t.Error(err)
	}
}

func TestLockIsFreeAfterUnlock(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "made", "by", "lock")
	for range 2 {
		unlock, err := local.Lock(dir)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := local.Lock(dir); err == nil {
			t.Error("two locks of one folder")
		}
		unlock()
	}
}

// A starting process has all descriptors of its parent for a moment.
func TestLockIsFreeAfterUnlockWhileProcessesStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	stop := make(chan struct{})
	var starting sync.WaitGroup
	for range 4 {
		starting.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					if err := exec.Command("true").Run(); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	for range 500 {
		unlock, err := local.Lock(dir)
		if err != nil {
			t.Error(err)
			break
		}
		unlock()
	}
	close(stop)
	starting.Wait()
}
