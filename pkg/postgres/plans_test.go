package postgres

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

// fill makes a database with a long history: jobs in all, of which one in ten waits and one in a thousand is active.
func fill(t testing.TB, d *DB, tenants, jobs int) {
	t.Helper()
	for i := range tenants {
		newTenant(t, d, fmt.Sprintf("tenant-%d", i), tenant.Limits{MaxCPU: 8, MaxMemoryGi: 16, MaxConcurrentJobs: 8})
	}
	for _, sql := range []string{
		// The history is written as it would have become; one event for each job is recorded by hand, in bulk.
		"ALTER TABLE jobs DISABLE TRIGGER USER",
		fmt.Sprintf(`
			INSERT INTO jobs (id, tenant_id, namespace, name, scenario_digest, scenario_key, state, cpu_request, memory_gi, priority,
				options, timeout_seconds, task_token, submitted_at, dispatched_at, finished_at, updated_at)
			SELECT ('01900000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'tenant-' || n %% %d, 'n', 'history', '%s', 'k',
				state, 1 + n %% 4, 1 + n %% 8, (n %% 3 - 1) * 10, '{}', 60, '', now() - n * interval '1 second',
				CASE WHEN state <> 'QUEUED' THEN now() END, CASE WHEN state = 'SUCCEEDED' THEN now() END, now()
			FROM generate_series(1, %d) AS n,
			LATERAL (SELECT CASE WHEN n %% 1000 = 1 THEN 'RUNNING' WHEN n %% 10 = 0 THEN 'QUEUED' ELSE 'SUCCEEDED' END AS state) AS s`,
			tenants, digest, jobs),
		"ALTER TABLE jobs ENABLE TRIGGER USER",
		"INSERT INTO job_events SELECT id, 1, submitted_at, '', 'QUEUED', '', '' FROM jobs",
		"VACUUM ANALYZE jobs, job_events",
	} {
		if _, err := d.pool.Exec(context.Background(), sql); err != nil {
			t.Fatal(err)
		}
	}
}

// On a database with a history, what runs often must read what it needs and no more.
func TestFrequentStatementsUseTheirIndexes(t *testing.T) {
	t.Parallel()
	d := setup(t)
	const tenants, jobs = 100, 100_000
	fill(t, d, tenants, jobs)
	for _, c := range []struct {
		query string
		args  []any
		most  int // rows that it may read
	}{
		{"RecentJobs", []any{"tenant-1", 20}, 20},
		{"ListJobs", []any{"tenant-1", nil, "", "", nil, nil, nil, 51}, 51},
		{"ListJobs", []any{"tenant-1", "01900000-0000-7000-8000-000000001000", "SUCCEEDED", "", nil, nil, nil, 51}, jobs / tenants},
		{"AllJobs", []any{100}, 100},
		{"AllJobsInState", []any{"RUNNING", 50}, 50},
		{"AllJobsInState", []any{"SUCCEEDED", 50}, 60},
		{"AllJobsInState", []any{"FAILED", 50}, 0},
		{"QueueHead", []any{reserveAfter, "tenant-10", 8, 16, 100}, 100},
		{"QueueDepth", []any{"tenant-10", 50}, 50},
		{"ActiveUsage", []any{"tenant-1"}, jobs / 1000},
		{"ActiveJobs", []any{1000}, jobs / 1000},
		{"TenantsWithQueue", nil, tenants + jobs/1000},
		{"Usage", []any{"tenant-1"}, jobs / tenants},
		{"JobOfTenant", []any{"tenant-1", "01900000-0000-7000-8000-000000000001"}, 1},
		{"Events", []any{"tenant-1", "01900000-0000-7000-8000-000000000001"}, 2},
		{"JobsNeedingScenario", []any{"tenant-1", digest, 10}, jobs / tenants},
		{"KnownJobs", []any{[]string{"01900000-0000-7000-8000-000000000001"}}, 1},
		{"ExpiredResults", []any{"2000-01-01", 100}, 0},
		{"RequestCancel", []any{"tenant-10", "01900000-0000-7000-8000-00000000000a"}, 1},
		{"Dispatch", []any{[]string{"01900000-0000-7000-8000-00000000000a"}}, 1},
	} {
		rows, err := d.pool.Query(t.Context(), "EXPLAIN (ANALYZE, TIMING OFF) "+query(t, c.query), c.args...)
		if err != nil {
			t.Fatalf("%s: %v", c.query, err)
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatalf("%s: %v", c.query, err)
		}
		plan := strings.Join(lines, "\n")
		if read := rowsRead(t, plan); strings.Contains(plan, "Seq Scan on jobs") || read > c.most {
			t.Errorf("%s reads %d rows, want at most %d through an index:\n%s", c.query, read, c.most, plan)
		}
	}
}

// query is a statement as sqlc passes it to the server.
func query(t *testing.T, name string) string {
	t.Helper()
	for _, file := range []string{"jobs", "tenants", "scenarios"} {
		source, err := os.ReadFile("internal/db/" + file + ".sql.go")
		if err != nil {
			t.Fatal(err)
		}
		if _, rest, found := strings.Cut(string(source), "`-- name: "+name+" :"); found {
			sql, _, _ := strings.Cut(rest, "`")
			_, sql, _ = strings.Cut(sql, "\n")
			return sql
		}
	}
	t.Fatalf("there is no query %s", name)
	return ""
}

var (
	scan    = regexp.MustCompile(`Scan.* on (?:jobs|job_events)\b.*actual rows=(\d+) loops=(\d+)`)
	removed = regexp.MustCompile(`Rows Removed by Filter: (\d+)`)
)

// rowsRead adds up the rows that the scans of a plan returned, and those that they filtered out.
func rowsRead(t *testing.T, plan string) (n int) {
	t.Helper()
	for _, m := range scan.FindAllStringSubmatch(plan, -1) {
		var rows, loops int
		if _, err := fmt.Sscan(m[1]+" "+m[2], &rows, &loops); err != nil {
			t.Fatal(err)
		}
		n += rows * loops
	}
	for _, m := range removed.FindAllStringSubmatch(plan, -1) {
		var rows int
		if _, err := fmt.Sscan(m[1], &rows); err != nil {
			t.Fatal(err)
		}
		n += rows
	}
	return n
}
