package postgres

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sumo-k8/sumo-k8/infra/local/localtest"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

// historyBegan is a second before the first job of a history, in which one job was submitted each second.
var historyBegan = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// jobN is the id of the n-th job of a history.
func jobN(n int) string {
	return strings.Replace(firstID(historyBegan.Add(time.Duration(n)*time.Second)), "-0000-0000-", "-7000-8000-", 1)
}

// studyN is the id of the n-th study of a history.
func studyN(n int) string { return fmt.Sprintf("00000000-0000-7000-8000-%012d", n) }

// runsOfStudy is how many runs each study of a history has: the most that one may have.
const runsOfStudy = 10_000

// fill makes a database with a long history: jobs in all, one in ten of them waiting and one in a thousand active, and between them half
// as many runs of studies, each study with a chunk that is at work.
func fill(t testing.TB, d *DB, tenants, jobs int) {
	t.Helper()
	for i := range tenants {
		newTenant(t, d, fmt.Sprintf("tenant-%d", i), tenant.Limits{MaxCPU: 8, MaxMemoryGi: 16, MaxConcurrentJobs: 8})
	}
	conn, err := d.pool.Acquire(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	for _, sql := range []string{
		"SET statement_timeout = 0", // no statement of the service's takes as long as this may on a busy machine
		// The history is written as it would have become; one event for each job is recorded by hand, in bulk.
		"ALTER TABLE jobs DISABLE TRIGGER USER",
		fmt.Sprintf(`
			INSERT INTO jobs (id, tenant_id, namespace, name, scenario_digest, scenario_key, state, cpu_request, memory_gi, priority,
				options, timeout_seconds, labels, task_token, submitted_at, dispatched_at, finished_at, updated_at, confinement)
			SELECT (lpad(to_hex(ms >> 16), 8, '0') || '-' || lpad(to_hex(ms & 65535), 4, '0') || '-7000-8000-000000000000')::uuid,
				'tenant-' || n %% %d, 'n', 'run-' || n %% 997, '%s', 'k',
				state, 1 + n %% 4, 1 + n %% 8, (n %% 3 - 1) * 10, '{}', 60,
				jsonb_build_object('team', (n %% 7)::text, 'batch', (n %% 4999)::text), '', to_timestamp(ms / 1000.0),
				CASE WHEN state <> 'QUEUED' THEN now() END, CASE WHEN state = 'SUCCEEDED' THEN now() END, now(),
				CASE WHEN state = 'SUCCEEDED' THEN jsonb_build_object('landlock', 1 + n %% 3, 'filter', true) END
			FROM generate_series(1, %d) AS n,
			LATERAL (SELECT %d + n * 1000::bigint AS ms) AS t,
			LATERAL (SELECT CASE WHEN n %% 1000 = 1 THEN 'RUNNING' WHEN n %% 10 = 0 THEN 'QUEUED' ELSE 'SUCCEEDED' END AS state) AS s`,
			tenants, digest, jobs, historyBegan.UnixMilli()),
		fmt.Sprintf(`
			INSERT INTO studies (id, tenant_id, name, state, plan, priority, seeds, max_parallel, stop_share, metric_names, runs)
			SELECT ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, 'tenant-' || n %% %d, 'study', 'RUNNING', '{}', 0,
				array(SELECT generate_series(1, 100)), 8, 1, '{}', %[2]d
			FROM generate_series(0, %[3]d - 1) AS n`, tenants, runsOfStudy, jobs/2/runsOfStudy),
		`INSERT INTO study_points (study_id, point, variant, setting, scenario_digest, scenario_key, cpu_request, memory_gi, options,
				timeout_seconds)
			SELECT id, n, 'variant ' || n % 2, '[]', 'd', 'k', 1, 1, '{}', 60 FROM studies, generate_series(0, 99) AS n`,
		`INSERT INTO chunks (id, tenant_id, study_id, scenario_digest, runs, parallel, cpu, memory_gi)
			SELECT id, tenant_id, id, 'd', 10, 8, 8, 8 FROM studies`,
		fmt.Sprintf(`
			INSERT INTO jobs (id, tenant_id, namespace, name, scenario_digest, scenario_key, state, cpu_request, memory_gi, priority,
				options, timeout_seconds, labels, task_token, submitted_at, dispatched_at, finished_at, updated_at, study_id, point,
				replication, chunk_id)
			SELECT (lpad(to_hex(ms >> 16), 8, '0') || '-' || lpad(to_hex(ms & 65535), 4, '0') || '-7000-9000-000000000000')::uuid,
				s.tenant_id, 'n', 'study / ' || n, '%[1]s', 'k', w.state, 1, 1, 0, '{}', 60, '{"team": "3"}', '', to_timestamp(ms / 1000.0), now(),
				CASE WHEN w.state = 'SUCCEEDED' THEN now() END, now(), s.id, n %% 100, n %% %[2]d / 100,
				CASE WHEN w.state = 'RUNNING' THEN s.id END
			FROM generate_series(0, %[3]d - 1) AS n
			JOIN studies s ON s.id = ('00000000-0000-7000-8000-' || lpad((n / %[2]d)::text, 12, '0'))::uuid,
			LATERAL (SELECT %[4]d + n * 2000::bigint AS ms) AS t,
			LATERAL (SELECT CASE WHEN n %% 1000 = 1 THEN 'RUNNING' ELSE 'SUCCEEDED' END AS state) AS w`,
			digest, runsOfStudy, jobs/2, historyBegan.UnixMilli()),
		fmt.Sprintf(`
			INSERT INTO scenarios (tenant_id, digest, object_key, size, manifest, created_at, base_digest, overlay_key)
			SELECT tenant_id, encode(sha256(n::text::bytea), 'hex'), object_key, size, manifest, created_at, 'base-' || n,
				'overlay-' || n || tenant_id
			FROM scenarios, generate_series(1, %d) AS n`, max(1, 10_000/tenants)),
		"ALTER TABLE jobs ENABLE TRIGGER USER",
		// With this, ANALYZE reads every row instead of a sample, so that plans are the same each time.
		"ALTER TABLE jobs ALTER COLUMN id SET STATISTICS 1000",
		"ALTER TABLE job_events ALTER COLUMN job_id SET STATISTICS 1000",
		"INSERT INTO job_events SELECT id, 1, submitted_at, '', 'QUEUED', '', '' FROM jobs",
		"VACUUM ANALYZE jobs, job_events, studies, study_points, chunks, scenarios",
		"RESET statement_timeout",
	} {
		if _, err := conn.Exec(context.Background(), sql); err != nil {
			t.Fatal(err)
		}
	}
}

// patient is a database without the service's limit on a statement: what changes all runs of a study may take long on a busy machine.
func patient(t testing.TB) *DB {
	t.Helper()
	return open(t, Config{URL: localtest.Database(t, Migrate), MaxConns: 8, StatementTimeout: 10 * time.Minute})
}

// On a database with a history, what runs often must read what it needs and no more.
func TestFrequentStatementsUseTheirIndexes(t *testing.T) {
	t.Parallel()
	d := patient(t)
	const tenants, jobs = 100, 100_000
	fill(t, d, tenants, jobs)
	for _, c := range []struct {
		query string
		args  []any
		most  int // rows that it may read
	}{
		{"RecentJobs", []any{"tenant-1", 20}, 20},
		{"ListJobs", []any{"tenant-1", nil, nil, "", nil, nil, "", "", nil, nil, nil, 51}, 51},
		{"ListJobs", []any{"tenant-1", nil, nil, "", jobN(90_000), nil, "SUCCEEDED", "", nil, nil, nil, 51}, 2 * 51},
		{"AllJobs", []any{nil, 100}, 100},
		{"AllJobs", []any{jobN(90_000), 100}, 100},
		{"AllJobsInState", []any{"RUNNING", nil, 50}, jobs / 1000},
		{"AllJobsInState", []any{"SUCCEEDED", nil, 50}, 60},
		{"AllJobsInState", []any{"SUCCEEDED", jobN(50_000), 50}, 60},
		{"AllJobsInState", []any{"FAILED", nil, 50}, 0},
		{"QueueHead", []any{reserveAfter, "tenant-10", 8, 16, 100}, 100},
		{"QueueDepth", []any{"tenant-10", 50}, 50},
		{"ActiveUsage", []any{"tenant-1"}, 2 * jobs / 1000},
		{"ActiveJobs", []any{1000}, 2 * jobs / 1000},
		{"TenantsWithQueue", nil, 10 * jobs / 1000},
		{"Usage", []any{"tenant-1"}, jobs/tenants + runsOfStudy + 200},
		{"ChunksAtWork", []any{"tenant-1"}, 50},
		{"StudiesWaiting", []any{reserveAfter, "tenant-1", 10}, 10},
		{"RunsWaiting", []any{"tenant-1", []string{studyN(1)}, 8, 16}, runsOfStudy + 20},
		{"CountStudies", []any{repeating()}, jobs},
		{"UpdateExpectations", []any{[]string{studyN(1)}}, runsOfStudy},
		{"CancelRunsOfStudies", []any{[]string{studyN(1)}, []string{"Too many failed."}}, runsOfStudy},
		{"DeleteIdleChunks", nil, jobs / 1000},
		{"ExpiredStudies", []any{"2000-01-01", 10}, 10},
		{"JobOfTenant", []any{"tenant-1", jobN(1)}, 1},
		{"Events", []any{"tenant-1", jobN(1)}, 2},
		{"JobsNeedingScenario", []any{"tenant-1", digest, 10}, jobs/tenants + runsOfStudy},
		{"ScenarioOverBase", []any{"tenant-1", "base-1"}, 1},
		{"KnownJobs", []any{[]string{jobN(1)}}, 1},
		{"JobStates", []any{[]string{jobN(1)}}, 1},
		{"ExpiredResults", []any{"2000-01-01", 100}, 0},
		{"QueueByTenant", nil, tenants + jobs/10 + 20*jobs/1000},
		// A minute's events, the job of each, and twice what of the job is older.
		{"Activity", []any{historyBegan.Add((jobs - 60) * time.Second)}, 8 * 60},
		{"Failures", []any{historyBegan.Add((jobs - 60) * time.Second)}, 4 * 60},
		{"Confinements", []any{historyBegan}, 4 * 3},
		{"RequestCancel", []any{"tenant-10", jobN(10)}, 1},
		{"Dispatch", []any{[]string{jobN(10)}}, 1},
	} {
		plan := explain(t, d, c.query, c.args...)
		if read := rowsRead(t, plan); strings.Contains(plan, "Seq Scan on jobs") || read > c.most {
			t.Errorf("%s reads %d rows, want at most %d through an index:\n%s", c.query, read, c.most, plan)
		}
	}
}

// A tenant with a long history of its own lists it by any filter, and each page is read through an index.
func TestEveryFilterOfALongListUsesAnIndex(t *testing.T) {
	t.Parallel()
	d := patient(t)
	const jobs, page = 100_000, 51
	fill(t, d, 1, jobs)
	point := 7
	second := func(n int) time.Time { return historyBegan.Add(time.Duration(n) * time.Second) }
	labels := func(pairs ...string) map[string]string {
		m := map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i]] = pairs[i+1]
		}
		return m
	}
	for name, c := range map[string]struct {
		after  string
		filter job.Filter
		most   int // rows that it may read
	}{
		"all":                            {"", job.Filter{}, page},
		"a later page":                   {jobN(jobs / 2), job.Filter{}, page},
		"a common state":                 {"", job.Filter{State: job.Succeeded}, 2 * page},
		"a rare state":                   {"", job.Filter{State: job.Running}, jobs / 1000},
		"a state that is not there":      {"", job.Filter{State: job.Failed}, 0},
		"a name":                         {"", job.Filter{Name: "run-5"}, 2 * page},
		"a name, a later page":           {jobN(jobs / 2), job.Filter{Name: "run-5"}, 2 * page},
		"a name that is not there":       {"", job.Filter{Name: "never"}, 0},
		"a name and a state":             {"", job.Filter{Name: "run-5", State: job.Succeeded}, 2 * page},
		"a common label":                 {"", job.Filter{Labels: labels("team", "3")}, 10 * page},
		"a rare label":                   {"", job.Filter{Labels: labels("batch", "3")}, 2 * page},
		"a label that is not there":      {"", job.Filter{Labels: labels("batch", "x")}, 0},
		"two labels":                     {"", job.Filter{Labels: labels("team", "3", "batch", "3")}, 2 * page},
		"a rare label and a state":       {"", job.Filter{State: job.Succeeded, Labels: labels("batch", "3")}, 2 * page},
		"the latest hour":                {"", job.Filter{SubmittedAfter: second(jobs - 3600)}, page},
		"an hour of long ago":            {"", job.Filter{SubmittedAfter: second(10_000), SubmittedBefore: second(13_600)}, page + 2*60},
		"before the first":               {"", job.Filter{SubmittedBefore: second(1)}, 2 * 60},
		"a study":                        {"", job.Filter{Study: studyN(3)}, page},
		"a later page of a study":        {jobN(70_000), job.Filter{Study: studyN(3)}, page},
		"a state in a study":             {"", job.Filter{Study: studyN(3), State: job.Running}, runsOfStudy},
		"a point of a study":             {"", job.Filter{Study: studyN(3), Point: &point}, runsOfStudy},
		"a variant of a study":           {"", job.Filter{Study: studyN(3), Variant: "variant 1"}, 2*page + 500},
		"a study that is not there":      {"", job.Filter{Study: studyN(99)}, 0},
		"a label that the runs have too": {"", job.Filter{Labels: labels("team", "3"), State: job.Succeeded}, 10 * page},
		"an hour, and a state": {
			"", job.Filter{State: job.Running, SubmittedAfter: second(10_000), SubmittedBefore: second(13_600)}, jobs / 1000,
		},
	} {
		p, err := listParams("tenant-0", c.filter, c.after, page)
		if err != nil {
			t.Fatal(err)
		}
		plan := explain(t, d, "ListJobs", p.TenantID, p.StudyID, p.Point, p.Variant, p.After, p.Least, p.State, p.Name,
			p.Labels, p.SubmittedAfter, p.SubmittedBefore, p.Most)
		if read := rowsRead(t, plan); strings.Contains(plan, "Seq Scan on jobs") || read > c.most {
			t.Errorf("%s: it reads %d rows, want at most %d through an index:\n%s", name, read, c.most, plan)
		}
	}
}

// explain is the plan of a statement, with what it has read.
func explain(t *testing.T, d *DB, name string, args ...any) string {
	t.Helper()
	rows, err := d.pool.Query(t.Context(), "EXPLAIN (ANALYZE, TIMING OFF) "+query(t, name), args...)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return strings.Join(lines, "\n")
}

// query is a statement as sqlc passes it to the server.
func query(t *testing.T, name string) string {
	t.Helper()
	for _, file := range []string{"jobs", "gate", "studystep", "tenants", "scenarios", "operations"} {
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
