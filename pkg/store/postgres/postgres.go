// Package postgres keeps tenants, scenarios and jobs in PostgreSQL. What calls it declares the interfaces that DB implements.
//
// All SQL is in queries/*.sql and is turned into Go by sqlc. The schema is in package migrations. The rules that must
// hold for every writer (states move forward only, every transition is an event) are in the schema; the rules of one call
// (limits, order of the queue, idempotency) are in that call's transaction.
package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/store/postgres/internal/db"
)

//go:generate go tool -modfile=../../../infra/tools/go.mod sqlc generate -f sqlc.yaml

// Config names the database and how to use it. Only URL is required.
type Config struct {
	// URL is a connection URL or a key=value string, as psql takes it.
	URL string
	// ApplicationName appears in pg_stat_activity.
	ApplicationName string
	// MaxConns bounds the connections of this process; the default is 4, and 2 the least.
	MaxConns int
	// StatementTimeout ends a statement on the server; the default is 15 s. It has no effect with Pooled.
	StatementTimeout time.Duration
	// Pooled is for a URL that leads to a pooler in transaction mode, such as PgBouncer. Nothing is then kept in a
	// session: no prepared statements, and no parameters that such a pooler refuses. Set the timeout on the role:
	// ALTER ROLE … SET statement_timeout = '15s'.
	Pooled bool
	// Tracer is called for each statement; it may be nil.
	Tracer pgx.QueryTracer
	// Chunks bound what runs of one chunk ask for together; zero sets no bound.
	Chunks job.ChunkLimits
}

const (
	// defaultMaxConns is small because there are many of us: a hundred instances of a function share one server, whose
	// own default is 100 connections. A request needs one connection; a lock that is held (TryLock) keeps another.
	defaultMaxConns = 4
	leastMaxConns   = 2
	// maxConnIdle returns connections soon: an instance that is idle for this long is about to be scaled down.
	maxConnIdle = 30 * time.Second
	// maxConnLife makes connections follow a failover or a moved address in reasonable time.
	maxConnLife = 15 * time.Minute
	// connectTimeout is long enough for TLS across regions, and short enough to answer 503 within a client's patience.
	connectTimeout = 5 * time.Second
	// defaultStatementTimeout is a hundred times what the slowest of our statements takes on a full database.
	defaultStatementTimeout = 15 * time.Second
)

// DB is a pool of connections to one database. It is safe for concurrent use.
type DB struct {
	pool *pgxpool.Pool
	q    *db.Queries
	// lists are statements with optional conditions: their plan must follow the arguments.
	lists  *db.Queries
	chunks job.ChunkLimits
}

// planned has each statement planned for its arguments. A prepared statement gets, after a few executions, one plan for
// all arguments. For a condition that may be absent that is a plan which cannot use the condition's index.
type planned struct{ db.DBTX }

func (p planned) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	return p.DBTX.Query(ctx, sql, append([]any{pgx.QueryExecModeCacheDescribe}, args...)...)
}

// Open prepares a pool and returns at once: the first connection is made when it is needed, so that a function can start
// while its database is unreachable.
func Open(ctx context.Context, c Config) (*DB, error) {
	conf, err := pgxpool.ParseConfig(c.URL)
	if err != nil {
		return nil, fmt.Errorf("reading the database URL: %w", err)
	}
	if c.MaxConns == 0 {
		c.MaxConns = defaultMaxConns
	}
	if c.MaxConns < leastMaxConns {
		return nil, fmt.Errorf("a database pool of %d is too small: give at least %d connections", c.MaxConns, leastMaxConns)
	}
	conf.MaxConns = int32(c.MaxConns)
	conf.MinConns = 0
	conf.MaxConnIdleTime = maxConnIdle
	conf.MaxConnLifetime = maxConnLife
	conf.MaxConnLifetimeJitter = maxConnLife / 10
	conf.HealthCheckPeriod = maxConnIdle / 2
	conf.PingTimeout = connectTimeout
	conf.ConnConfig.ConnectTimeout = connectTimeout
	conf.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheStatement
	conf.ConnConfig.Tracer = c.Tracer
	if c.ApplicationName != "" {
		conf.ConnConfig.RuntimeParams["application_name"] = c.ApplicationName
	}
	if c.Pooled {
		conf.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	} else {
		if c.StatementTimeout == 0 {
			c.StatementTimeout = defaultStatementTimeout
		}
		conf.ConnConfig.RuntimeParams["statement_timeout"] = strconv.FormatInt(c.StatementTimeout.Milliseconds(), 10)
	}
	conf.AfterConnect = func(_ context.Context, conn *pgx.Conn) error {
		// A job's row is mostly JSON, and the standard library takes longer to read it than Postgres to find it.
		conn.TypeMap().RegisterType(&pgtype.Type{Name: "jsonb", OID: pgtype.JSONBOID, Codec: &pgtype.JSONBCodec{
			Marshal: json.Marshal, Unmarshal: func(data []byte, v any) error { return jsonv2.Unmarshal(data, v) },
		}})
		conn.TypeMap().RegisterType(&pgtype.Type{
			Name: "timestamptz", OID: pgtype.TimestamptzOID, Codec: &pgtype.TimestamptzCodec{ScanLocation: time.UTC},
		})
		return nil
	}
	pool, err := pgxpool.NewWithConfig(ctx, conf)
	if err != nil {
		return nil, fmt.Errorf("preparing the database pool: %w", err)
	}
	return &DB{pool: pool, q: db.New(pool), lists: db.New(planned{pool}), chunks: c.Chunks}, nil
}

// Close waits for running calls and closes all connections.
func (d *DB) Close() { d.pool.Close() }

// Ping reports whether the database answers: nil or problem.Unavailable.
func (d *DB) Ping(ctx context.Context) error {
	return translate(d.pool.Ping(ctx), "pinging the database")
}

// inTx runs fn in one transaction, which is rolled back when fn fails.
func (d *DB) inTx(ctx context.Context, fn func(q *db.Queries) error) error {
	return pgx.BeginFunc(ctx, d.pool, func(tx pgx.Tx) error { return fn(d.q.WithTx(tx)) })
}
