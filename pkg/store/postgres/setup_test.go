package postgres

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sumo-k8/sumo-k8/infra/local/localtest"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

func TestMain(m *testing.M) { localtest.Main(m) }

// roomy limits hold nothing back.
var roomy = tenant.Limits{MaxCPU: 1000, MaxMemoryGi: 5000, MaxConcurrentJobs: 200}

// digest of the one scenario that newTenant stores.
var digest = hex.EncodeToString(sha256.New().Sum(nil))

func setup(t testing.TB) *DB {
	t.Helper()
	url := localtest.Database(t, Migrate)
	if os.Getenv(throughPgBouncer) != "" {
		return open(t, Config{URL: viaPgBouncer(t, url), MaxConns: 8, Pooled: true})
	}
	return open(t, Config{URL: url, MaxConns: 8})
}

func open(t testing.TB, c Config) *DB {
	t.Helper()
	d, err := Open(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

// newTenant registers a tenant with a key and a scenario, and returns the key's text.
func newTenant(t testing.TB, d *DB, id string, limits tenant.Limits) (key string) {
	t.Helper()
	text, k, err := tenant.NewKey(rand.Reader, id, "first", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.CreateTenant(
		context.Background(), tenant.Tenant{ID: id, Namespace: tenant.NamespaceFor(id), Limits: limits}, k,
	); err != nil {
		t.Fatal(err)
	}
	s := scenario.Scenario{TenantID: id, Digest: digest, Key: "scenarios/" + id + "/1.zip", Size: 1}
	if _, _, err := d.PutScenario(context.Background(), s); err != nil {
		t.Fatal(err)
	}
	return text
}

func newJob(tenantID string, edits ...func(*job.Job)) job.Job {
	j := job.Job{
		ID: uuid.Must(uuid.NewV7()).String(), TenantID: tenantID, Name: "morning peak", ScenarioDigest: digest,
		CPURequest: 1, MemoryGi: 1, TimeoutSeconds: 60,
	}
	for _, edit := range edits {
		edit(&j)
	}
	return j
}

func submit(t testing.TB, d *DB, tenantID string, edits ...func(*job.Job)) job.Job {
	t.Helper()
	j, created, err := d.CreateJob(context.Background(), newJob(tenantID, edits...), nil, job.Admission{MaxQueued: 1_000_000})
	if err != nil || !created {
		t.Fatalf("CreateJob: created=%t, %v", created, err)
	}
	return j
}

func claim(t testing.TB, d *DB, tenantID string, atMost int) []string {
	t.Helper()
	jobs, err := d.Claim(context.Background(), tenantID, atMost, true)
	if err != nil {
		t.Fatal(err)
	}
	ids := []string{}
	for _, j := range jobs {
		ids = append(ids, j.ID)
	}
	return ids
}

func apply(t testing.TB, d *DB, updates ...job.Update) []string {
	t.Helper()
	changed, err := d.Apply(context.Background(), updates)
	if err != nil {
		t.Fatal(err)
	}
	return changed
}

func read(t testing.TB, d *DB, tenantID, id string) job.Job {
	t.Helper()
	j, err := d.Job(context.Background(), tenantID, id)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// inState submits a job and moves it to state.
func inState(t testing.TB, d *DB, tenantID string, state job.State) job.Job {
	t.Helper()
	j := submit(t, d, tenantID)
	if state != job.Queued {
		claim(t, d, tenantID, 1)
		apply(t, d, job.Update{ID: j.ID, State: state})
	}
	return read(t, d, tenantID, j.ID)
}

func wantCode(t testing.TB, err error, want problem.Code) {
	t.Helper()
	if got := problem.CodeOf(err); got != want {
		t.Fatalf("got %q (%v), want %q", got, err, want)
	}
}

// trail is the states a job went through, such as "QUEUED PENDING".
func trail(t testing.TB, d *DB, tenantID, id string) string {
	t.Helper()
	events, err := d.Events(context.Background(), tenantID, id)
	if err != nil {
		t.Fatal(err)
	}
	var states []string
	for _, e := range events {
		states = append(states, string(e.To))
	}
	return strings.Join(states, " ")
}
