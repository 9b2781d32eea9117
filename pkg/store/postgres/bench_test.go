package postgres

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

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
	u := job.Update{ID: j.ID, State: job.Succeeded, SumoVersion: "1.15.0", Summary: wholeSummary()}
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
		claimed, err := d.Claim(b.Context(), "acme", 1, true)
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

// What a pass of the reconciler asks of the database: with nothing to do, with as many single jobs as go on of the study, and with a study
// of which 10,000 runs are at work in 50 chunks. In each pass, runs report progress, 20 end, and others take their places.
func BenchmarkPass(b *testing.B) {
	const chunks, runs = 50, 200
	pass := func(b *testing.B, d *DB, n int) {
		b.Helper()
		active, err := d.ActiveJobs(b.Context(), 20_000)
		if err != nil {
			b.Fatal(err)
		}
		var updates []job.Update
		now := time.Now()
		began := now.Add(-time.Second)
		ended := 0
		for _, j := range active {
			switch {
			case j.State == job.Running && ended < 20:
				ended++
				updates = append(updates, job.Update{ID: j.ID, State: job.Succeeded, StartedAt: &began, FinishedAt: &now, Summary: wholeSummary()})
			case j.State == job.Running || len(updates) < 400:
				updates = append(updates, job.Update{ID: j.ID, State: job.Running, StartedAt: &began, Progress: 1 - 1/float64(n+2)})
			}
		}
		apply(b, d, updates...)
		if _, err := d.StepStudies(b.Context()); err != nil {
			b.Fatal(err)
		}
		waiting, err := d.TenantsWithQueue(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		for _, id := range waiting {
			if _, err := d.Claim(b.Context(), id, 10, true); err != nil {
				b.Fatal(err)
			}
		}
	}
	for name, prepare := range map[string]func(*DB){
		"idle": func(*DB) {},
		"400 single jobs": func(d *DB) {
			for i := range 2 {
				id := fmt.Sprintf("tenant-%d", i)
				newTenant(b, d, id, roomy)
				queue(b, d, id, 10_000)
				claim(b, d, id, 200)
			}
		},
		"10000 runs of a study": func(d *DB) {
			newTenant(b, d, "acme", roomy)
			newStudy(b, d, "acme", testStudy{points: 100, seeds: chunks * runs / 100, coreSeconds: 0.1})
			for placed := 0; placed < chunks*runs; {
				more, _ := claimed(b, d, "acme", 10)
				for _, c := range more {
					placed += len(c.Jobs)
					end(b, d, job.Running, 0, c.Jobs[:c.Parallel]...)
				}
			}
		},
	} {
		b.Run(name, func(b *testing.B) {
			d := setup(b)
			prepare(d)
			if _, err := d.pool.Exec(b.Context(), "VACUUM ANALYZE"); err != nil {
				b.Fatal(err)
			}
			for n := 0; b.Loop(); n++ {
				pass(b, d, n)
			}
		})
	}
}

// wholeSummary has as many metrics as a run usually has.
func wholeSummary() *simulation.Summary {
	s := &simulation.Summary{}
	for range 21 {
		s.Metrics = append(s.Metrics, simulation.Metric{Name: "mean_travel_time", Value: 276.86, Unit: "s"})
	}
	return s
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
