package postgres

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sumo-k8/sumo-k8/infra/local/localtest"
)

func TestOneCallerAtATimeHoldsALock(t *testing.T) {
	t.Parallel()
	d := setup(t)
	failure := errors.New("failure")
	try := func(name string) bool {
		ran, err := d.TryLock(t.Context(), name, func(context.Context) error { return nil })
		if err != nil {
			t.Error(err)
		}
		return ran
	}
	ran, err := d.TryLock(t.Context(), "reconcile", func(ctx context.Context) error {
		if try("reconcile") {
			t.Error("the lock was taken twice")
		}
		if !try("other") {
			t.Error("a lock of another name is not free")
		}
		return failure
	})
	if !ran || !errors.Is(err, failure) {
		t.Errorf("ran=%t, %v", ran, err)
	}
	if !try("reconcile") {
		t.Error("the lock was not given back")
	}
}

func TestALockIsGivenBackWhenItsHolderIsCancelledOrPanics(t *testing.T) {
	t.Parallel()
	d := setup(t)
	ctx, cancel := context.WithCancel(t.Context())
	ran, err := d.TryLock(ctx, "l", func(ctx context.Context) error { cancel(); return ctx.Err() })
	if !ran || !errors.Is(err, context.Canceled) {
		t.Errorf("ran=%t, %v", ran, err)
	}
	func() {
		defer func() { _ = recover() }()
		_, _ = d.TryLock(t.Context(), "l", func(context.Context) error { panic("fn") })
	}()
	if ran, err := d.TryLock(t.Context(), "l", func(context.Context) error { return nil }); !ran || err != nil {
		t.Errorf("not given back: ran=%t, %v", ran, err)
	}
}

// The promise about vacuum in the doc comment of TryLock.
func TestAHeldLockHoldsNothingBackFromVacuum(t *testing.T) {
	t.Parallel()
	d := setup(t)
	_, err := d.TryLock(t.Context(), "l", func(ctx context.Context) error {
		var idle, holding int
		const query = `SELECT count(*), count(coalesce(backend_xid, backend_xmin)) FROM pg_stat_activity
			WHERE datname = current_database() AND state = 'idle in transaction'`
		if err := d.pool.QueryRow(ctx, query).Scan(&idle, &holding); err != nil {
			return err
		}
		if idle != 1 || holding != 0 {
			t.Errorf("%d transactions are idle, and %d of them hold vacuum back; want 1 and 0", idle, holding)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestALockOutlivesTheServersLimitOnIdleTransactions(t *testing.T) {
	t.Parallel()
	url := localtest.Database(t, Migrate)
	conf, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	limit := pgx.Identifier{conf.Database}.Sanitize() + " SET idle_in_transaction_session_timeout = '200ms'"
	if _, err := open(t, Config{URL: url}).pool.Exec(t.Context(), "ALTER DATABASE "+limit); err != nil {
		t.Fatal(err)
	}
	d := open(t, Config{URL: url})
	// A machine may pause for as long between the statements that take a lock, to which the limit applies: then it is tried again.
	tryLock := func(fn func(context.Context) error) (ran bool, err error) {
		for end := time.Now().Add(time.Minute); !ran && time.Now().Before(end); {
			if ran, err = d.TryLock(t.Context(), "l", fn); err == nil {
				break
			}
		}
		return ran, err
	}
	ran, err := tryLock(func(context.Context) error {
		time.Sleep(time.Second)
		if ran, err := tryLock(func(context.Context) error { return nil }); ran || err != nil {
			t.Errorf("the lock was lost: %v", err)
		}
		return nil
	})
	if !ran || err != nil {
		t.Errorf("ran=%t, %v", ran, err)
	}
}
