package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/sumo-k8/sumo-k8/infra/local/localtest"
	"github.com/sumo-k8/sumo-k8/pkg/client"
	"github.com/sumo-k8/sumo-k8/pkg/client/internal/predecessor"
	"github.com/sumo-k8/sumo-k8/pkg/client/internal/service"
)

const (
	oldDone, oldFailed = "f0e1d2c3-b4a5-4697-8877-000000000001", "f0e1d2c3-b4a5-4697-8877-000000000002"
	oldRunning         = "f0e1d2c3-b4a5-4697-8877-000000000003"
)

// oldKey has the form of the predecessor's.
func oldKey(letter string) string { return "sk-" + strings.Repeat(letter, 32) }

// predecessorsDatabase has four tenants: one like any other, one with limits of its own, one with a short key, one with an id that we
// cannot use. The first has jobs.
func predecessorsDatabase(t *testing.T) string {
	t.Helper()
	url := localtest.Database(t, nil)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	for _, statement := range []string{
		`CREATE TABLE tenants (tenant_id text PRIMARY KEY, namespace text UNIQUE NOT NULL, api_key text UNIQUE NOT NULL, max_cpu int,
			max_memory_gi int, max_concurrent_jobs int, created_at timestamptz DEFAULT now())`,
		`CREATE TABLE jobs (job_id uuid PRIMARY KEY, tenant_id text NOT NULL REFERENCES tenants, k8s_job_name text NOT NULL,
			k8s_namespace text NOT NULL, status text, submitted_at timestamptz, started_at timestamptz, finished_at timestamptz,
			scenario_data jsonb, cpu_request text, memory_gi int, result_location text, result_files jsonb)`,
		fmt.Sprintf(`INSERT INTO tenants VALUES ('old-city', 'old-city', '%s', 8, 16, 2), ('old-large', 'old-large', '%s', 1000, 9000, 500),
			('old-sample', 'old-sample', 'key-old-12345', 10, 20, 2), ('old/city', 'old-slash', '%s', 1, 1, 1)`,
			oldKey("c"), oldKey("l"), oldKey("s")),
		fmt.Sprintf(`INSERT INTO jobs VALUES
			('%s', 'old-city', 'sim-1', 'old-city', 'SUCCEEDED', '2025-01-02 03:00:00Z', '2025-01-02 03:01:00Z', '2025-01-02 03:02:00Z',
			 '{"scenario_id": "peak", "config_file": "a.sumocfg", "task_token": "token", "premium_sim": "perhaps"}', 2, 4, 's3://old/results/1/',
			 '{"storage_type": "s3", "uploaded": true}'),
			('%s', 'old-city', 'sim-2', 'old-city', 'FAILED', '2025-01-02 04:00:00Z', NULL, '2025-01-02 04:02:00Z',
			 '{"scenario_id": "night"}', 2, 4, NULL, '{"storage_type": "s3", "uploaded": false, "error_message": "OOMKilled"}'),
			('%s', 'old-city', 'sim-3', 'old-city', 'RUNNING', '2025-01-02 05:00:00Z', NULL, NULL, NULL, 2, 4, NULL, NULL),
			('f0e1d2c3-b4a5-4697-8877-000000000004', 'old/city', 'sim-4', 'old-slash', 'FAILED', '2025-01-02 05:00:00Z', NULL,
			 '2025-01-02 06:00:00Z', NULL, NULL, NULL, NULL, NULL),
			('f0e1d2c3-b4a5-4697-8877-000000000005', 'old-city', 'sim-5', 'old-city', 'FAILED', '2025-01-01 05:00:00Z', NULL,
			 '2025-01-01 06:00:00Z', NULL, '2Gi', NULL, NULL, NULL)`, oldDone, oldFailed, oldRunning),
	} {
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	return url
}

func repair(t *testing.T, url, statement string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

func testImport(t *testing.T, s *service.Server) {
	op := operator(t, s)
	old := predecessorsDatabase(t)
	op.env[importVariable] = old
	imports := func(code int, args ...string) string {
		t.Helper()
		o := op.ends(code, append([]string{"import"}, args...)...)
		all := o.stdout + o.stderr
		for _, letter := range []string{"c", "l", "s"} {
			if strings.Contains(all, strings.Repeat(letter, 10)) {
				t.Errorf("import %q shows a key:\n%s", args, all)
			}
		}
		return all
	}

	dry := imports(exitRefused, "--dry-run")
	says(t, dry, "Tenants: 3 new, 0 present, 1 refused.\n", "Jobs: 2 new, 0 present, 2 refused; 1 unfinished, which are not imported.\n",
		"nothing has changed")
	if tenants := op.ok("tenants", "ls").stdout; strings.Contains(tenants, "old-city") {
		t.Fatalf("a dry run imported\n%s", tenants)
	}

	first := imports(exitRefused)
	says(t, first, "Tenants: 3 new, 0 present, 1 refused.\n", "Jobs: 2 new, 0 present, 2 refused; 1 unfinished",
		"Its cpu_request is not a number.", oldDone+"  old-city  Left out, because of an unexpected type: scenario_data.premium_sim.",
		"old-large: max_memory_gi is 5000 instead of 9000", "old-large: max_concurrent_jobs is 200 instead of 500",
		"old-sample: Its key has fewer than 20 characters", "old-sample: It has no key", `old/city: Give it another id: --rename "old/city"=NEW.`,
		oldRunning+"  old-city  RUNNING", "Its tenant was not imported.")
	rename := []string{"--rename", "old/city=old-slash"}
	repair(t, old, `UPDATE jobs SET cpu_request = '2' WHERE cpu_request = '2Gi'`)
	second := imports(exitOK, rename...)
	says(
		t, second, "Tenants: 1 new, 3 present, 0 refused.\n", "Jobs: 2 new, 2 present, 0 refused; 1 unfinished", "old/city    old-slash   new",
	)
	var third importReport
	raw := op.ok("import", rename[0], rename[1], "-o", "json").stdout
	if err := json.Unmarshal([]byte(raw), &third); err != nil || third.Jobs != (jobCounts{Present: 4, Unfinished: 1}) ||
		len(third.Tenants) != 4 || third.Unfinished[0].ID != oldRunning {
		t.Errorf("imported once more: %+v, %v", third, err)
	}
	limits := regexp.MustCompile(`(?m)^old-city .*$`).FindString(op.ok("tenants", "ls").stdout)
	says(t, limits, "sk-ccccc…", " 8 ", "16 GiB")

	u := person(t)
	u.env[urlVariable], u.env[apiKeyVariable] = s.URL, oldKey("c")
	says(t, u.ok("ls").stdout, oldDone, oldFailed)
	says(t, u.ok("get", oldDone).stdout, oldDone, "peak", "SUCCEEDED", "a.sumocfg")
	says(t, u.ok("get", oldFailed).stdout, "FAILED", "OOMKilled")
	says(t, u.ok("logs", oldDone).stderr+u.ok("logs", oldDone).stdout, "ran in the predecessor")
	says(t, u.ends(exitRefused, "retry", oldDone).stderr, "its scenario is not stored here")
	results := u.run("results", oldDone, "--list")
	says(t, results.stdout+results.stderr, "s3://old/results/1/")
	u.ok("submit", u.network("square", nil), "--follow")
	says(t, u.ok("get", "@latest").stdout, "square")
	listed := u.ok("ls").stdout
	newest, next, oldest := strings.Index(listed, "square"), strings.Index(listed, oldFailed), strings.Index(listed, oldDone)
	if newest > next || next > oldest {
		t.Errorf("the list is not by time:\n%s", listed)
	}

	op.ok("tenants", "new-key", "old-city")
	says(t, u.ends(exitRefused, "ls").stderr, "not valid")
	says(t, imports(exitOK, rename...), "old-city: Its imported key was replaced here")
}

func TestAnImportNeedsTheDatabaseOfThePredecessor(t *testing.T) {
	t.Parallel()
	u := person(t)
	u.env[urlVariable], u.env[adminKeyVariable] = "http://127.0.0.1:1", "an admin key"
	says(t, u.ends(exitUsage, "import").stderr, importVariable)
	says(t, u.ends(exitTrouble, "import", "--from", localtest.Database(t, nil)).stderr, "this is not the predecessor's database")
	u.env[importVariable] = predecessorsDatabase(t)
	says(t, u.ends(exitUsage, "import", "--rename", "nobody=somebody").stderr, "no tenant of the predecessor")
}

func TestOfManyFilesTheFirstAreSent(t *testing.T) {
	t.Parallel()
	var j predecessor.Job
	j.Results.Value.Files.List = make([]predecessor.File, client.MaxImportedFiles+1)
	sent, notes := importedJob(j, "acme")
	if len(sent.Files) != client.MaxImportedFiles || len(notes) != 1 || notes[0] != "It has 1001 result files; the first 1000 are kept." {
		t.Errorf("%d files are sent: %q", len(sent.Files), notes)
	}
}
