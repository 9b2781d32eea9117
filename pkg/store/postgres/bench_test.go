package postgres

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/sumo-k8/sumo-k8/infra/local/localtest"
	"github.com/sumo-k8/sumo-k8/pkg/idempotency"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

// What GET /jobs/{id} asks of the database, beside the same statements sent through pgx alone.
func BenchmarkJobWithKeyCheck(b *testing.B) {
	for _, mode := range []struct {
		name   string
		pooled bool
	}{{"direct", false}, {"pooled", true}} {
		d := open(b, Config{URL: localtest.Database(b, Migrate), Pooled: mode.pooled})
		text := newTenant(b, d, "acme", roomy)
		j := finishedJob(b, d)
		b.Run(mode.name+"/store", func(b *testing.B) {
			for b.Loop() {
				id, hash, err := tenant.ParseKey(text)
				if err != nil {
					b.Fatal(err)
				}
				t, err := d.TenantByKey(b.Context(), id, hash)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := d.Job(b.Context(), t.ID, j.ID); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(mode.name+"/bare", func(b *testing.B) {
			key, _, err := tenant.ParseKey(text)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				const byKey = "SELECT t.*, k.hash FROM api_keys k JOIN tenants t ON t.id = k.tenant_id WHERE k.id = $1"
				for sql, args := range map[string][]any{byKey: {key}, "SELECT * FROM jobs WHERE tenant_id = $1 AND id = $2": {"acme", j.ID}} {
					rows, err := d.pool.Query(b.Context(), sql, args...)
					if err != nil {
						b.Fatal(err)
					}
					for rows.Next() {
						_ = rows.RawValues()
					}
					if rows.Err() != nil {
						b.Fatal(rows.Err())
					}
				}
			}
		})
	}
}

// finishedJob has as much on record as a job usually has in the end.
func finishedJob(b *testing.B, d *DB) job.Job {
	b.Helper()
	j := submit(b, d, "acme")
	claim(b, d, "acme", 1)
	u := job.Update{ID: j.ID, State: job.Succeeded, SumoVersion: "1.15.0", Summary: &simulation.Summary{}}
	for range 21 {
		u.Summary.Metrics = append(u.Summary.Metrics, simulation.Metric{Name: "mean_travel_time", Value: 276.86, Unit: "s"})
	}
	for i := range 9 {
		u.Results = append(u.Results, job.ResultFile{Name: fmt.Sprintf("output-%d.xml", i), Size: 123_456, SHA256: strings.Repeat("ab", 32)})
	}
	apply(b, d, u)
	return j
}

func BenchmarkCreateJob(b *testing.B) {
	for _, waiting := range []int{0, 1000, 10_000} {
		b.Run(fmt.Sprintf("behind %d", waiting), func(b *testing.B) {
			d := setup(b)
			newTenant(b, d, "acme", roomy)
			queue(b, d, "acme", waiting)
			for i := 0; b.Loop(); i++ {
				idem := &idempotency.Request{Key: fmt.Sprint(i), RequestHash: []byte("hash")}
				if _, _, err := d.CreateJob(b.Context(), newJob("acme"), idem, job.Admission{MaxQueued: 1_000_000}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// Submissions of one tenant wait for each other.
func BenchmarkCreateJobBySeveralClients(b *testing.B) {
	d := setup(b)
	newTenant(b, d, "acme", roomy)
	b.SetParallelism(4)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, _, err := d.CreateJob(context.Background(), newJob("acme"), nil, job.Admission{MaxQueued: 1_000_000}); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

func BenchmarkClaimFromADeepQueue(b *testing.B) {
	d := setup(b)
	newTenant(b, d, "acme", roomy)
	queue(b, d, "acme", 10_000)
	for b.Loop() {
		claimed, err := d.Claim(b.Context(), "acme", 1)
		if err != nil {
			b.Fatal(err)
		}
		var updates []job.Update
		for _, j := range claimed {
			updates = append(updates, job.Update{ID: j.ID, State: job.Succeeded})
		}
		if _, err := d.Apply(b.Context(), updates); err != nil {
			b.Fatal(err)
		}
	}
}

// What one pass of the reconciler writes: nothing new of most jobs, progress, or a new state of each.
func BenchmarkApplyTo10000Jobs(b *testing.B) {
	d := setup(b)
	updates := make([]job.Update, 0, 10_000)
	for i := range 50 {
		id := fmt.Sprintf("tenant-%d", i)
		newTenant(b, d, id, roomy)
		queue(b, d, id, 200)
		for _, jobID := range claim(b, d, id, 200) {
			updates = append(updates, job.Update{ID: jobID, State: job.Running})
		}
	}
	run := func(name string, edit func(u *job.Update, n int)) {
		n := 0
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				n++
				for i := range updates {
					edit(&updates[i], n)
				}
				b.StartTimer()
				if _, err := d.Apply(b.Context(), updates); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("new state", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			const back = `ALTER TABLE jobs DISABLE TRIGGER USER; UPDATE jobs SET state = 'PENDING'; ALTER TABLE jobs ENABLE TRIGGER USER`
			if _, err := d.pool.Exec(b.Context(), back, pgx.QueryExecModeSimpleProtocol); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
			if changed, err := d.Apply(b.Context(), updates); err != nil || len(changed) != len(updates) {
				b.Fatal(len(changed), err)
			}
		}
	})
	run("nothing new", func(*job.Update, int) {})
	run("progress", func(u *job.Update, n int) { u.Progress = 1 - 1/float64(n+1) })
}

func queue(b *testing.B, d *DB, tenantID string, jobs int) {
	b.Helper()
	const sql = `
		INSERT INTO jobs (id, tenant_id, namespace, name, scenario_digest, scenario_key, state, cpu_request, memory_gi, priority,
			options, timeout_seconds, task_token, submitted_at, updated_at)
		SELECT gen_random_uuid(), $1, 'n', 'waiting', $2, 'k', 'QUEUED', 1, 1, 0, '{}', 60, '', now(), now() FROM generate_series(1, $3)`
	if _, err := d.pool.Exec(b.Context(), sql, tenantID, digest, jobs); err != nil {
		b.Fatal(err)
	}
	if _, err := d.pool.Exec(b.Context(), "VACUUM ANALYZE jobs"); err != nil {
		b.Fatal(err)
	}
}
