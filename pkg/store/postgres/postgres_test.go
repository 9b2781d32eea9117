package postgres

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sumo-k8/sumo-k8/infra/local/localtest"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

func TestOpenDoesNotConnect(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	contacted := make(chan struct{})
	go func() {
		if _, err := silent.Accept(); err == nil {
			close(contacted)
		}
	}()
	open(t, Config{URL: "postgres://nobody@" + silent.Addr().String() + "/none"})
	select {
	case <-contacted:
		t.Error("Open connected")
	case <-time.After(100 * time.Millisecond):
	}
}

func TestAnUnreachableDatabaseIsUnavailable(t *testing.T) {
	t.Parallel()
	url := localtest.Database(t, Migrate)
	closed := open(t, Config{URL: url})
	closed.Close()
	conf, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	for name, d := range map[string]*DB{
		"no server":   open(t, Config{URL: "postgres://nobody@127.0.0.1:1/none"}),
		"no database": open(t, Config{URL: "host=" + conf.Host + " user=" + conf.User + " dbname=absent"}),
		"pool closed": closed,
	} {
		err := d.Ping(t.Context())
		var p *problem.Error
		if !errors.As(err, &p) || p.Code != problem.Unavailable || p.RetryAfter <= 0 {
			t.Errorf("%s: Ping: %v", name, err)
		}
		if _, err := d.Claim(t.Context(), "acme", 1, true); problem.CodeOf(err) != problem.Unavailable {
			t.Errorf("%s: Claim: %v", name, err)
		}
	}
}

func TestAConnectionThatBreaksIsUnavailableAndThenReplaced(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	_, err := d.pool.Exec(t.Context(), "SELECT pg_terminate_backend(pg_backend_pid())")
	wantCode(t, translate(err, "ending this session"), problem.Unavailable)
	if _, err := d.Tenant(t.Context(), "acme"); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestASlowStatementEndsAsUnavailable(t *testing.T) {
	t.Parallel()
	d := open(t, Config{URL: localtest.Database(t, Migrate), StatementTimeout: 20 * time.Millisecond})
	_, err := d.pool.Exec(t.Context(), "SELECT pg_sleep(10)")
	wantCode(t, translate(err, "sleeping"), problem.Unavailable)
}

func TestACancelledCallIsNotTheDatabasesFault(t *testing.T) {
	t.Parallel()
	d := setup(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := d.Tenant(ctx, "acme")
	if !errors.Is(err, context.Canceled) || problem.CodeOf(err) == problem.Unavailable {
		t.Errorf("got %v", err)
	}
}

// A pooler in transaction mode hands every transaction to any session, so nothing may be kept in one.
func TestPooledLeavesNothingInASession(t *testing.T) {
	t.Parallel()
	d := open(t, Config{URL: localtest.Database(t, Migrate), Pooled: true, MaxConns: 2})
	key := newTenant(t, d, "acme", roomy)
	if _, err := byKey(d, key); err != nil {
		t.Fatal(err)
	}
	j := submit(t, d, "acme")
	claim(t, d, "acme", 1)
	apply(t, d, job.Update{ID: j.ID, State: job.Succeeded})
	if got := trail(t, d, "acme", j.ID); got != "QUEUED PENDING SUCCEEDED" {
		t.Errorf("got %s", got)
	}
	if _, err := d.TryLock(t.Context(), "l", func(context.Context) error { return nil }); err != nil {
		t.Error(err)
	}
	var statements, locks int
	var timeout string
	const query = `SELECT (SELECT count(*) FROM pg_prepared_statements WHERE name <> ''),
		(SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()),
		current_setting('statement_timeout')`
	if err := d.pool.QueryRow(t.Context(), query).Scan(&statements, &locks, &timeout); err != nil {
		t.Fatal(err)
	}
	if statements != 0 || locks != 0 || timeout != "0" {
		t.Errorf("%d statements, %d locks, statement_timeout %s", statements, locks, timeout)
	}
}

func TestSettingsThatCannotWorkAreRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]Config{
		"broken URL":      {URL: "postgres://%zz"},
		"pool of one":     {MaxConns: 1},
		"negative number": {MaxConns: -1},
	} {
		if d, err := Open(t.Context(), c); err == nil {
			d.Close()
			t.Errorf("%s: accepted", name)
		}
	}
}
