// Package predecessor reads the database of the service that this one replaces: its tenants with their keys, and its jobs.
//
// The schema differed between releases and installations, so columns are read by their names: only those that identify a row must be there.
package predecessor

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// Tenant is a tenant of the predecessor. Numbers that it does not record are 0, and times nil.
type Tenant struct {
	ID                string     `json:"tenant_id"`
	APIKey            string     `json:"api_key"` // in clear text
	MaxCPU            Number     `json:"max_cpu"`
	MaxMemoryGi       Number     `json:"max_memory_gi"`
	MaxConcurrentJobs Number     `json:"max_concurrent_jobs"`
	CreatedAt         *Timestamp `json:"created_at"`
}

// Job is a job of the predecessor.
type Job struct {
	ID             string          `json:"job_id"`
	TenantID       string          `json:"tenant_id"`
	Status         string          `json:"status"`
	SubmittedAt    *Timestamp      `json:"submitted_at"`
	StartedAt      *Timestamp      `json:"started_at"`
	FinishedAt     *Timestamp      `json:"finished_at"`
	CPURequest     Number          `json:"cpu_request"`
	MemoryGi       Number          `json:"memory_gi"`
	ResultLocation Text            `json:"result_location"`
	ScenarioID     Text            `json:"scenario_id"` // a column of its own in some installations
	Error          Text            `json:"error"`       // likewise
	Scenario       Loose[Scenario] `json:"scenario_data"`
	Results        Loose[Results]  `json:"result_files"`
}

// Scenario is what a job was submitted with.
type Scenario struct {
	ScenarioID Text `json:"scenario_id"`
	ConfigFile Text `json:"config_file"`
	Premium    Flag `json:"premium_sim"`
}

// Results are what a job left.
type Results struct {
	StorageType Text  `json:"storage_type"`
	Uploaded    Flag  `json:"uploaded"`
	Prefix      Text  `json:"prefix"`
	Error       Text  `json:"error_message"`
	Files       Files `json:"files"`
}

// File is a result file.
type File struct {
	Name Text   `json:"name"`
	Size Number `json:"size"`
	URL  Text   `json:"url"`
}

// Dropped names what is left out of j's documents, because it has another form than expected.
func (j Job) Dropped() (names []string) {
	name := func(column string, dropped []string) {
		for _, field := range dropped {
			names = append(names, strings.TrimSuffix(column+"."+field, "."))
		}
	}
	name("scenario_data", j.Scenario.Dropped)
	name("result_files", j.Results.Dropped)
	name("result_files", j.Results.Value.Files.Dropped)
	return names
}

// RowError says that a row cannot be read.
type RowError struct {
	ID     string // the row's
	Reason string // a sentence without the value, which may be a key
}

// Error implements error.
func (e *RowError) Error() string { return "row " + e.ID + ": " + e.Reason }

// Finished reports whether j ended.
func (j Job) Finished() bool { return j.Status == "SUCCEEDED" || j.Status == "FAILED" }

// columns that are read of a table, and those of them without which its rows say nothing.
type table struct {
	name           string
	columns, needs []string
}

var (
	tenants = table{
		"tenants", []string{"tenant_id", "api_key", "max_cpu", "max_memory_gi", "max_concurrent_jobs", "created_at"}, []string{"tenant_id"},
	}
	jobs = table{"jobs", []string{
		"job_id", "tenant_id", "status", "submitted_at", "started_at", "finished_at", "cpu_request", "memory_gi", "result_location",
		"scenario_id", "error", "scenario_data", "result_files",
	}, []string{"job_id", "tenant_id", "status"}}
	// optional columns were never part of the predecessor's own schema, so nobody misses them.
	optional = []string{"scenario_id", "error"}
)

// Database is a snapshot of the predecessor's database. It is read in one transaction that can write nothing.
type Database struct {
	conn *pgx.Conn
	has  map[string][]string // the columns that are read of each table
	// Missing says which tables and columns are not there.
	Missing []string
}

// connectWithin bounds the wait for a server that does not answer.
const connectWithin = 10 * time.Second

// Open connects to the database at url, as psql takes it.
func Open(ctx context.Context, url string) (_ *Database, err error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("reading the address of the predecessor's database: %w", err)
	}
	config.ConnectTimeout = connectWithin
	// Times without a zone are those of a server in UTC, as in its image.
	config.RuntimeParams["timezone"] = "UTC"
	config.RuntimeParams["application_name"] = "sumo-k8 import"
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connecting to the predecessor's database: %w", err)
	}
	d := &Database{conn: conn, has: map[string][]string{}}
	defer func() {
		if err != nil {
			d.Close()
		}
	}()
	if _, err := conn.Exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"); err != nil {
		return nil, fmt.Errorf("reading the predecessor's database: %w", err)
	}
	for _, t := range []table{tenants, jobs} {
		if err := d.inspect(ctx, t); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// Close ends the connection.
func (d *Database) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), connectWithin)
	defer cancel()
	_ = d.conn.Close(ctx) // there is nothing to lose
}

// inspect finds out which columns of t are there.
func (d *Database) inspect(ctx context.Context, t table) error {
	rows, err := d.conn.Query(ctx, `SELECT column_name::text FROM information_schema.columns
		WHERE table_schema = ANY (current_schemas(false)) AND table_name = $1`, t.name)
	if err != nil {
		return fmt.Errorf("reading the predecessor's schema: %w", err)
	}
	there, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("reading the predecessor's schema: %w", err)
	}
	if len(there) == 0 && t.name == jobs.name {
		d.Missing = append(d.Missing, "There is no table jobs that this user may read: no jobs are imported.")
		return nil
	}
	for _, column := range t.columns {
		switch {
		case slices.Contains(there, column):
			d.has[t.name] = append(d.has[t.name], column)
		case slices.Contains(t.needs, column):
			return fmt.Errorf("this is not the predecessor's database: there is no column %s.%s that this user may read in the schemas of "+
				"its search_path", t.name, column)
		case !slices.Contains(optional, column):
			d.Missing = append(d.Missing, fmt.Sprintf("There is no column %s.%s.", t.name, column))
		}
	}
	return nil
}

// Tenants reads all tenants, by id, except those in rows that cannot be read.
func (d *Database) Tenants(ctx context.Context) (all []Tenant, unread []*RowError, err error) {
	for t, err := range read[Tenant](ctx, d, tenants.name, "tenant_id") {
		var row *RowError
		switch {
		case errors.As(err, &row):
			unread = append(unread, row)
		case err != nil:
			return nil, nil, err
		default:
			all = append(all, t)
		}
	}
	return all, unread, nil
}

// CountJobs counts all jobs.
func (d *Database) CountJobs(ctx context.Context) (n int64, err error) {
	if d.has[jobs.name] == nil {
		return 0, nil
	}
	if err := d.conn.QueryRow(ctx, "SELECT count(*) FROM jobs").Scan(&n); err != nil {
		return 0, fmt.Errorf("counting the predecessor's jobs: %w", err)
	}
	return n, nil
}

// Jobs reads all jobs one after the other, by id. The database is busy until the loop ends. A *RowError stands for a row that cannot be
// read, and with it comes what else the row has; other rows follow.
func (d *Database) Jobs(ctx context.Context) iter.Seq2[Job, error] {
	return read[Job](ctx, d, jobs.name, "job_id")
}

// read reads a table whose rows come as JSON objects, so that columns of other types do no harm.
func read[T any](ctx context.Context, d *Database, name, order string) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		columns := d.has[name]
		if columns == nil {
			return
		}
		rows, err := d.conn.Query(ctx, fmt.Sprintf(
			"SELECT coalesce(%[3]s::text, ''), row_to_json(r)::text FROM (SELECT %[1]s FROM %[2]s) AS r ORDER BY %[3]s",
			strings.Join(columns, ", "), name, order,
		))
		if err != nil {
			yield(none, fmt.Errorf("reading the predecessor's %s: %w", name, err))
			return
		}
		defer rows.Close()
		for rows.Next() {
			var id, text string
			if err := rows.Scan(&id, &text); err != nil {
				yield(none, fmt.Errorf("reading the predecessor's %s: %w", name, err))
				return
			}
			var row T
			faults, err := readFields([]byte(text), &row)
			if len(faults) > 0 {
				err = &RowError{ID: id, Reason: fmt.Sprintf("Its %s %s.", faults[0].name, faults[0].err)}
			}
			if !yield(row, err) {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(none, fmt.Errorf("reading the predecessor's %s: %w", name, err))
		}
	}
}
