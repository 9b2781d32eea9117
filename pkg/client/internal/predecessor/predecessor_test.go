package predecessor

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/sumo-k8/sumo-k8/infra/local/localtest"
)

func TestMain(m *testing.M) { localtest.Main(m) }

// database returns a database after the statements, and a connection to it.
func database(t *testing.T, statements ...string) (url string, conn *pgx.Conn) {
	t.Helper()
	url = localtest.Database(t, nil)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	for _, s := range statements {
		if _, err := conn.Exec(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
	return url, conn
}

func opened(t *testing.T, url string) *Database {
	t.Helper()
	d, err := Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

const (
	id    = "f0e1d2c3-b4a5-4697-8877-665544332211"
	early = "2025-01-02 03:04:05.678901+00"
)

func at(text string) *Timestamp {
	parsed, err := time.Parse("2006-01-02 15:04:05.999999Z07", text)
	if err != nil {
		panic(err)
	}
	return &Timestamp{parsed.UTC()}
}

func readAll(t *testing.T, d *Database) (tenants []Tenant, jobs []Job) {
	t.Helper()
	tenants, unread, err := d.Tenants(t.Context())
	if err != nil || len(unread) > 0 {
		t.Fatal(unread, err)
	}
	for j, err := range d.Jobs(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		jobs = append(jobs, j)
	}
	if n, err := d.CountJobs(t.Context()); err != nil || n != int64(len(jobs)) {
		t.Errorf("%d jobs are counted, and %d read: %v", n, len(jobs), err)
	}
	return tenants, jobs
}

func TestItsTenantsAndJobsAreRead(t *testing.T) {
	t.Parallel()
	url, _ := database(
		t,
		`CREATE TABLE tenants (tenant_id text PRIMARY KEY, namespace text NOT NULL UNIQUE, api_key text NOT NULL UNIQUE, max_cpu int,
			max_memory_gi int, max_concurrent_jobs int, created_at timestamptz)`,
		`CREATE TABLE jobs (job_id uuid PRIMARY KEY, tenant_id text NOT NULL, k8s_job_name text, k8s_namespace text, status text,
			submitted_at timestamptz, started_at timestamptz, finished_at timestamptz, scenario_data jsonb, cpu_request int, memory_gi int,
			result_location text, result_files jsonb, estimated_cost_usd numeric(14, 6))`,
		`INSERT INTO tenants VALUES ('b', 'b', 'sk-b', 10, 20, 2, '`+early+`'), ('a', 'a', 'sk-a', NULL, NULL, NULL, NULL)`,
		`INSERT INTO jobs VALUES ('`+id+`', 'b', 'sim', 'b', 'SUCCEEDED', '`+early+`', NULL, '2025-01-02 04:00:00+00',
			'{"scenario_id": "peak", "config_file": "a.sumocfg", "queue_s3_key": "k", "task_token": "secret", "premium_sim": true}', 2, 4,
			'results/b/x/', '{"storage_type": "s3", "uploaded": true, "prefix": "results/b/x/", "files": [{"name": "a.xml", "size": 7, "url": "s3://o/a.xml"}]}')`,
	)
	d := opened(t, url)
	tenants, jobs := readAll(t, d)
	wantTenants := []Tenant{
		{ID: "a", APIKey: "sk-a"},
		{ID: "b", APIKey: "sk-b", MaxCPU: 10, MaxMemoryGi: 20, MaxConcurrentJobs: 2, CreatedAt: at(early)},
	}
	wantJobs := []Job{{
		ID: id, TenantID: "b", Status: "SUCCEEDED", SubmittedAt: at(early), FinishedAt: at("2025-01-02 04:00:00+00"), CPURequest: 2, MemoryGi: 4,
		ResultLocation: "results/b/x/", Scenario: Loose[Scenario]{Value: Scenario{ScenarioID: "peak", ConfigFile: "a.sumocfg", Premium: true}},
		Results: Loose[Results]{Value: Results{
			StorageType: "s3", Uploaded: true, Prefix: "results/b/x/", Files: Files{List: []File{{Name: "a.xml", Size: 7, URL: "s3://o/a.xml"}}},
		}},
	}}
	if diff := cmp.Diff(wantTenants, tenants) + cmp.Diff(wantJobs, jobs) + cmp.Diff([]string(nil), d.Missing); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestOtherTypesAndMissingColumnsDoNoHarm(t *testing.T) {
	t.Parallel()
	url, conn := database(
		t,
		`CREATE SCHEMA old`,
		`CREATE TABLE old.tenants (extra point, tenant_id varchar(100), api_key char(40), max_cpu numeric(6, 2), max_memory_gi text, created_at timestamp)`,
		`CREATE TABLE old.jobs (job_id text, tenant_id text, status text, scenario_id text, error text, scenario_data text, result_files json)`,
		`INSERT INTO old.tenants VALUES (NULL, 'a', 'sk-a', 10.00, '20', '2025-01-02 03:04:05')`,
		`INSERT INTO old.jobs VALUES ('1', 'a', 'FAILED', 'peak', 'too hot', '{"scenario_id": 17, "config_file": null}', '[]'),
			('2', 'a', 'RUNNING', NULL, NULL, 'no JSON', '{"files": "none", "error_message": "burnt"}')`,
	)
	d := opened(t, url+"&search_path=old")
	tenants, jobs := readAll(t, d)
	wantTenants := []Tenant{{
		ID: "a", APIKey: "sk-a" + strings.Repeat(" ", 36), MaxCPU: 10, MaxMemoryGi: 20, CreatedAt: at("2025-01-02 03:04:05+00"),
	}}
	wantJobs := []Job{
		{
			ID: "1", TenantID: "a", Status: "FAILED", ScenarioID: "peak", Error: "too hot",
			Scenario: Loose[Scenario]{Value: Scenario{ScenarioID: "17"}},
		},
		{
			ID: "2", TenantID: "a", Status: "RUNNING", Scenario: Loose[Scenario]{Dropped: []string{""}},
			Results: Loose[Results]{Value: Results{Error: "burnt"}, Dropped: []string{"files"}},
		},
	}
	wantMissing := []string{
		"There is no column tenants.max_concurrent_jobs.", "There is no column jobs.submitted_at.", "There is no column jobs.started_at.",
		"There is no column jobs.finished_at.", "There is no column jobs.cpu_request.", "There is no column jobs.memory_gi.",
		"There is no column jobs.result_location.",
	}
	if diff := cmp.Diff(wantTenants, tenants) + cmp.Diff(wantJobs, jobs) + cmp.Diff(wantMissing, d.Missing); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}

	d.Close() // its transaction holds the table
	if _, err := conn.Exec(t.Context(), `DROP TABLE old.jobs`); err != nil {
		t.Fatal(err)
	}
	d = opened(t, url+"&search_path=old")
	if _, jobs := readAll(t, d); jobs != nil || !strings.Contains(strings.Join(d.Missing, " "), "no table jobs") {
		t.Errorf("without a table there are %v, and %v", jobs, d.Missing)
	}
}

func TestAValueOfAnotherTypeIsLeftOutAlone(t *testing.T) {
	t.Parallel()
	url, _ := database(
		t, `CREATE TABLE tenants (tenant_id text)`,
		`CREATE TABLE jobs (job_id text, tenant_id text, status text, submitted_at text, error jsonb, scenario_data jsonb, result_files jsonb)`,
		`INSERT INTO jobs VALUES
			('1', 'a', 'FAILED', '2025-01-02 03:04:05.678901', '{"code": 7}',
				'{"scenario_id": "peak", "config_file": "a.sumocfg", "premium_sim": "true"}',
			 '{"storage_type": "s3", "uploaded": "yes", "files": [{"name": "a.xml", "size": "12"}, {"name": "b.xml", "size": 1.5}]}'),
			('2', 'a', 'FAILED', '2025-01-02 03:04:05.678901+00', NULL, '{"scenario_id": "peak", "premium_sim": "perhaps"}',
			 '{"prefix": "p/", "uploaded": {}, "files": [{"name": "a.xml", "size": "large"}, "b.xml", {"size": 1}, {"name": "c.xml", "size": 5000000000}]}')`,
	)
	_, jobs := readAll(t, opened(t, url))
	want := []Job{
		{
			ID: "1", TenantID: "a", Status: "FAILED", SubmittedAt: at(early), Error: `{"code":7}`,
			Scenario: Loose[Scenario]{Value: Scenario{ScenarioID: "peak", ConfigFile: "a.sumocfg", Premium: true}},
			Results: Loose[Results]{Value: Results{
				StorageType: "s3", Uploaded: true, Files: Files{List: []File{{Name: "a.xml", Size: 12}, {Name: "b.xml", Size: 1}}},
			}},
		},
		{
			ID: "2", TenantID: "a", Status: "FAILED", SubmittedAt: at(early),
			Scenario: Loose[Scenario]{Value: Scenario{ScenarioID: "peak"}, Dropped: []string{"premium_sim"}},
			Results: Loose[Results]{Dropped: []string{"uploaded"}, Value: Results{Prefix: "p/", Files: Files{
				List:    []File{{Name: "a.xml"}, {Name: "c.xml", Size: 5e9}},
				Dropped: []string{"files[0].size", "files[1]", "files[2]"},
			}}},
		},
	}
	withoutBlanks := cmp.Transformer("", func(x Text) string { return strings.ReplaceAll(string(x), ": ", ":") })
	if diff := cmp.Diff(want, jobs, withoutBlanks); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	dropped := []string{
		"scenario_data.premium_sim", "result_files.uploaded", "result_files.files[0].size", "result_files.files[1]", "result_files.files[2]",
	}
	if diff := cmp.Diff(dropped, jobs[1].Dropped()); diff != "" {
		t.Errorf("dropped (-want +got):\n%s", diff)
	}
}

func TestARowThatCannotBeReadIsNamedAndOthersAreRead(t *testing.T) {
	t.Parallel()
	url, _ := database(
		t, `CREATE TABLE tenants (tenant_id text, api_key jsonb)`, `INSERT INTO tenants VALUES ('a', '{"key": "sk-secret"}'), ('b', '"sk-b"')`,
		`CREATE TABLE jobs (job_id text, tenant_id text, status text, submitted_at text, cpu_request text)`,
		`INSERT INTO jobs VALUES ('1', 'a', 'FAILED', 'yesterday', '2'), ('2', 'a', 'FAILED', NULL, '2Gi'), ('3', 'a', 'FAILED', NULL, '2')`,
	)
	d := opened(t, url)
	tenants, unread, err := d.Tenants(t.Context())
	if err != nil || len(tenants) != 1 || tenants[0].APIKey != "sk-b" {
		t.Errorf("read are %v, %v", tenants, err)
	}
	if diff := cmp.Diff([]*RowError{{ID: "a", Reason: "Its api_key is of another type than expected."}}, unread); diff != "" {
		t.Errorf("tenants that are not read (-want +got):\n%s", diff)
	}
	var got []string
	for j, err := range d.Jobs(t.Context()) {
		got = append(got, fmt.Sprint(j.ID, j.TenantID, " ", err))
	}
	want := []string{"1a row 1: Its submitted_at is not a time.", "2a row 2: Its cpu_request is not a number.", "3a <nil>"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("jobs (-want +got):\n%s", diff)
	}
}

func TestADatabaseThatCannotBeReadIsNamedWithoutItsPassword(t *testing.T) {
	t.Parallel()
	empty, _ := database(t)
	for name, c := range map[string]struct{ url, want string }{
		"an empty database": {empty, "there is no column tenants.tenant_id"},
		"no server":         {"postgres://user:hush@127.0.0.1:1/db", "connecting to the predecessor's database"},
		"no address":        {"postgres://user:hush@[/db", "reading the address"},
	} {
		_, err := Open(t.Context(), c.url)
		if text := fmt.Sprint(err); !strings.Contains(text, c.want) || strings.Contains(text, "hush") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheDatabaseIsOnlyRead(t *testing.T) {
	t.Parallel()
	url, _ := database(t, `CREATE TABLE tenants (tenant_id text)`)
	d := opened(t, url)
	if _, err := d.conn.Exec(t.Context(), `INSERT INTO tenants VALUES ('a')`); err == nil {
		t.Error("a row was written")
	}
}
