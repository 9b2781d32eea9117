package postgres

import (
	"context"
	"fmt"
	"net"
	"net/url"
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

	"github.com/sumo-k8/sumo-k8/infra/local/localtest"
	"github.com/sumo-k8/sumo-k8/pkg/process"
)

// throughPgBouncer makes setup lead every test's connections through a PgBouncer in transaction mode.
const throughPgBouncer = "SUMO_K8_TEST_PGBOUNCER"

// Every test of the store that uses setup runs once more through the pooler, except those that inspect a session, which
// a pooler shares, and those that need a large table. It does not run beside the others: that would double the load. What the store does
// in any order is searched without the pooler; of that, a few draws go through it.
func TestTheStoreWorksThroughPgBouncer(t *testing.T) {
	if os.Getenv(throughPgBouncer) != "" {
		t.Skip("this is the run through it")
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.timeout=10m", "-test.v", "-rapid.checks=10",
		"-test.skip=^(TestTheStoreWorksThroughPgBouncer|TestAConnectionThatBreaksIsUnavailableAndThenReplaced|"+
			"TestFrequentStatementsUseTheirIndexes|TestEveryFilterOfALongListUsesAnIndex)$")
	cmd.Env = append(os.Environ(), throughPgBouncer+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v:\n%s", err, out)
	}
	if passed := strings.Count(string(out), "--- PASS: Test"); passed < 50 {
		t.Errorf("only %d tests went through it", passed)
	}
}

// The lock's transaction must keep its connection to the server while others take turns on the rest.
func TestALockIsHeldThroughPgBouncerWhileOthersWork(t *testing.T) {
	t.Parallel()
	pooled := viaPgBouncer(t, localtest.Database(t, Migrate))
	holder, other := open(t, Config{URL: pooled, Pooled: true}), open(t, Config{URL: pooled, Pooled: true})
	ran, err := holder.TryLock(t.Context(), "reconcile", func(ctx context.Context) error {
		var calls sync.WaitGroup
		for i := range 40 { // far more than there are connections to the server
			calls.Go(func() {
				if i%2 == 0 {
					if ran, err := other.TryLock(ctx, "reconcile", func(context.Context) error { return nil }); ran || err != nil {
						t.Errorf("the lock was taken twice: %v", err)
					}
				} else if _, err := holder.Tenants(ctx); err != nil {
					t.Error(err)
				}
			})
		}
		calls.Wait()
		return nil
	})
	if !ran || err != nil {
		t.Errorf("ran=%t, %v", ran, err)
	}
	if ran, err := other.TryLock(t.Context(), "reconcile", func(context.Context) error { return nil }); !ran || err != nil {
		t.Errorf("the lock was not given back: ran=%t, %v", ran, err)
	}
}

// viaPgBouncer returns a URL to the same database through a pooler of the test's own.
func viaPgBouncer(t testing.TB, database string) string {
	t.Helper()
	server, err := pgx.ParseConfig(database)
	if err != nil {
		t.Fatal(err)
	}
	program, err := exec.LookPath("pgbouncer")
	if err != nil { // Debian keeps it where ordinary users do not look
		if program, err = exec.LookPath("/usr/sbin/pgbouncer"); err != nil {
			t.Fatalf("there is no PgBouncer; infra/debian/install.sh pgbouncer gets it: %v", err)
		}
	}
	folder := localtest.Folder(t)
	settings := filepath.Join(folder, "pgbouncer.ini")
	const port = "6432" // only names the socket: nothing listens on the network
	text := fmt.Sprintf(`[databases]
* = host=%[1]s port=%[2]d user=%[3]s password=%[6]s
[pgbouncer]
unix_socket_dir = %[4]s
listen_port = %[5]s
auth_type = any
pool_mode = transaction
default_pool_size = 3
max_client_conn = 500
logfile = %[4]s/log
`, server.Host, server.Port, server.User, folder, port, server.Password)
	if err := os.WriteFile(settings, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-q", settings)
	if os.Getuid() == 0 { // as which it does not run; the server's user can reach the server's socket
		socket, err := os.Stat(filepath.Join(server.Host, ".s.PGSQL."+strconv.Itoa(int(server.Port))))
		if err != nil {
			t.Fatal(err)
		}
		owner := socket.Sys().(*syscall.Stat_t)
		for _, path := range []string{folder, settings} {
			if err := os.Chown(path, int(owner.Uid), int(owner.Gid)); err != nil {
				t.Fatal(err)
			}
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: owner.Uid, Gid: owner.Gid}}
	}
	pooler, err := process.Start(cmd, process.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		pooler.Kill()
		_ = pooler.Wait()
	})
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		conn, err := net.Dial("unix", filepath.Join(folder, ".s.PGSQL."+port))
		if err == nil {
			conn.Close()
			break
		}
		if time.Now().After(deadline) {
			log, _ := os.ReadFile(filepath.Join(folder, "log"))
			t.Fatalf("PgBouncer does not listen: %s", log)
		}
	}
	return "postgres:///" + server.Database + "?" + url.Values{"host": {folder}, "port": {port}, "user": {server.User}}.Encode()
}
