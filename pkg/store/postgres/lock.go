package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// unlockTimeout bounds the release of a lock in a database that has stopped answering. The lock ends with the connection anyway.
const unlockTimeout = 5 * time.Second

// TryLock runs fn while holding the lock called name, which one caller on this database can hold at a time. When another
// holds it, TryLock returns false at once.
//
// The lock belongs to a transaction that stays open, and idle, while fn runs: unlike a session's lock it works through
// a pooler in transaction mode, and it ends with its holder, however that dies. Such a transaction does not hold
// up vacuum: it has written nothing, so it has no transaction id, and between statements a READ COMMITTED
// transaction has no snapshot, so it holds nothing back. It does keep one of the pool's connections.
//
// A holder whose connection breaks loses the lock without noticing. The lock therefore saves work; it must not be all
// that keeps data right.
func (d *DB) TryLock(ctx context.Context, name string, fn func(ctx context.Context) error) (ran bool, err error) {
	const action = "taking a lock"
	tx, err := d.pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.ReadCommitted})
	if err != nil {
		return false, translate(err, action)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), unlockTimeout)
		defer cancel()
		// Nothing was written that could be lost, and a connection that cannot be rolled back is closed.
		_ = tx.Rollback(ctx)
	}()
	q := d.q.WithTx(tx)
	if locked, err := q.TryAdvisoryLock(ctx, name); err != nil || !locked {
		return false, translate(err, action)
	}
	// This must come last: the snapshot of a SELECT lives until the next statement, and SET takes none.
	if err := q.KeepIdleTransaction(ctx); err != nil {
		return false, translate(err, action)
	}
	return true, fn(ctx)
}
