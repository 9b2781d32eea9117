package postgres

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

// cluster is an engine with a number of cores and a clock of its own. Chunks wait in one line for cores, as pods do.
type cluster struct {
	t         *testing.T
	d         *DB
	cores     int
	waiting   []*simulated
	atWork    []*simulated
	now       time.Duration // since the start
	overheads time.Duration // between the start of a chunk and that of its first run
}

// simulated is a chunk of a cluster.
type simulated struct {
	job.Chunk
	cores       int
	asked, ends time.Duration
}

// Start implements job.Starter.
func (c *cluster) Start(_ context.Context, ch job.Chunk) error {
	c.waiting = append(c.waiting, &simulated{Chunk: ch, cores: ch.Parallel * ch.Jobs[0].CPURequest, asked: c.now})
	return nil
}

// tick lets a while pass. Each run takes runSeconds.
func (c *cluster) tick(while time.Duration, runSeconds float64, began func(*simulated)) {
	c.now += while
	var going []*simulated
	for _, s := range c.atWork {
		if s.ends > c.now {
			going = append(going, s)
			continue
		}
		c.cores += s.cores
		end(c.t, c.d, job.Succeeded, runSeconds, s.Jobs...)
	}
	c.atWork = going
	for len(c.waiting) > 0 && c.waiting[0].cores <= c.cores {
		s := c.waiting[0]
		c.waiting = c.waiting[1:]
		c.cores -= s.cores
		s.ends = c.now + c.overheads + time.Duration(float64(len(s.Jobs))*runSeconds/float64(s.Parallel)*float64(time.Second))
		apply(c.t, c.d, job.Update{ID: s.Jobs[0].ID, State: job.Running})
		began(s)
		c.atWork = append(c.atWork, s)
	}
}

// Two tenants have studies of 500 runs each, and a third single jobs now and then, on a cluster that any of them could fill. Nobody waits
// longer than one chunk of each other study takes, and the few single jobs in front.
func TestNobodyWaitsBehindAnothersStudyLongerThanOneChunk(t *testing.T) {
	t.Parallel()
	d := setup(t)
	const runSeconds, runs, cores, tick = 3, 500, 8, 3 * time.Second
	limits := tenant.Limits{MaxCPU: 8, MaxMemoryGi: 100, MaxConcurrentJobs: 20}
	for _, id := range []string{"first", "second", "third"} {
		newTenant(t, d, id, limits)
	}
	newStudy(t, d, "first", testStudy{seeds: runs, coreSeconds: runSeconds})
	newStudy(t, d, "second", testStudy{seeds: runs, coreSeconds: runSeconds})
	c := &cluster{t: t, d: d, cores: cores, overheads: 6 * time.Second}
	dispatcher := job.Dispatcher{Queue: d, Engine: c}

	waited := map[string]time.Duration{} // the longest of each tenant, for a machine
	finished := map[string]time.Duration{}
	var longest, single time.Duration // that a chunk of a study takes, and a single job
	submitted, served := 0, 0
	for c.now < time.Hour && (len(finished) < 2 || served < submitted) {
		if int(c.now.Seconds())%21 == 0 && len(finished) < 2 {
			submit(t, d, "third")
			submitted++
		}
		if _, err := dispatcher.DispatchAll(t.Context(), 1000); err != nil {
			t.Fatal(err)
		}
		c.tick(tick, runSeconds, func(s *simulated) {
			id := s.Jobs[0].TenantID
			waited[id] = max(waited[id], c.now-s.asked)
			if s.Jobs[0].Study != nil {
				longest = max(longest, s.ends-c.now)
			} else {
				single = s.ends - c.now
				served++
			}
		})
		stepStudies(t, d)
		finished = map[string]time.Duration{}
		rows, err := d.pool.Query(t.Context(), "SELECT tenant_id FROM studies WHERE state = 'SUCCEEDED'")
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var id string
			if err := rows.Scan(&id); err != nil {
				t.Fatal(err)
			}
			finished[id] = c.now
		}
		if rows.Err() != nil {
			t.Fatal(rows.Err())
		}
	}
	t.Logf("the longest chunk took %v; the longest waits were %v; %d jobs were served; all was done after %v", longest, waited, served, c.now)
	if len(finished) < 2 || served < submitted {
		t.Fatalf("%v have finished, and %d of %d jobs were served", finished, served, submitted)
	}
	for id, others := range map[string]time.Duration{"first": 1, "second": 1, "third": 2} {
		if most := others*(longest+tick) + 2*single; waited[id] > most {
			t.Errorf("%s waited for %v, want at most %v", id, waited[id], most)
		}
	}
}

// Whatever is submitted, claimed, lost, started again and cancelled, the limits hold, and a replication of a point is at work once.
func TestTheGateHoldsWhateverHappens(t *testing.T) {
	t.Parallel()
	d := setup(t)
	tenants := 0
	rapid.Check(t, func(rt *rapid.T) {
		tenants++
		id := fmt.Sprintf("tenant-%d", tenants)
		limits := tenant.Limits{
			MaxCPU: rapid.IntRange(1, 12).Draw(rt, "cpu"), MaxMemoryGi: rapid.IntRange(1, 24).Draw(rt, "memory"),
			MaxConcurrentJobs: rapid.IntRange(1, 4).Draw(rt, "jobs"),
		}
		newTenant(t, d, id, limits)
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 0))
		var studies []string
		pick := func(jobs []job.Job) []job.Job {
			return slices.DeleteFunc(jobs, func(job.Job) bool { return random.IntN(2) == 0 })
		}
		for range rapid.IntRange(1, 25).Draw(rt, "steps") {
			switch call := rapid.SampledFrom([]string{
				"study", "job", "claim", "claim", "claim", "run", "end", "end", "fail", "restart", "cancel", "cancel study", "retry", "step",
			}).Draw(rt, "call"); call {
			case "study":
				studies = append(studies, newStudy(t, d, id, testStudy{
					points: 1 + random.IntN(5), seeds: 1 + random.IntN(30), cpu: 1 + random.IntN(4), memory: 1 + random.IntN(4),
					coreSeconds: float64(random.IntN(40)), maxParallel: 1 + random.IntN(10), stopShare: random.Float64(),
				}))
			case "job":
				submit(t, d, id, func(j *job.Job) { j.CPURequest, j.MemoryGi = 1+random.IntN(4), 1+random.IntN(4) })
			case "claim":
				claim(t, d, id, 1+random.IntN(10))
			case "run":
				end(t, d, job.Running, 1, pick(activeOf(t, d, id))...)
			case "end":
				end(t, d, job.Succeeded, 20, pick(activeOf(t, d, id))...)
			case "fail":
				end(t, d, job.Failed, 20, pick(activeOf(t, d, id))...)
			case "restart":
				var ids []string
				for _, j := range pick(activeOf(t, d, id)) {
					ids = append(ids, j.ID)
				}
				if _, err := d.Restart(t.Context(), ids, "again"); err != nil {
					rt.Fatal(err)
				}
			case "cancel":
				for _, j := range pick(activeOf(t, d, id)) {
					if _, err := d.RequestCancel(t.Context(), id, j.ID); err != nil {
						rt.Fatal(err)
					}
				}
			case "step":
				stepStudies(t, d)
			case "cancel study", "retry":
				if len(studies) == 0 {
					continue
				}
				s := studies[random.IntN(len(studies))]
				if call == "cancel study" {
					change(t, d, s, "cancel_requested = true")
					continue
				}
				if _, err := d.pool.Exec(t.Context(), "UPDATE jobs SET superseded = true WHERE study_id = $1 AND state = 'FAILED'", s); err != nil {
					rt.Fatal(err)
				}
				change(t, d, s, "state = 'RUNNING', finished_at = NULL, unplaced = true, cancel_requested = false")
			}
			checkGate(rt, d, id, limits)
		}
		for _, s := range studies {
			finish(rt, t, d, id, s)
		}
	})
}

func checkGate(rt *rapid.T, d *DB, tenantID string, limits tenant.Limits) {
	u, err := d.Usage(context.Background(), tenantID)
	if err != nil || u.Held > limits.MaxConcurrentJobs || u.CPU > limits.MaxCPU || u.MemoryGi > limits.MaxMemoryGi {
		rt.Fatalf("it holds %+v of %+v, %v", u, limits, err)
	}
	// Runs at work of each study, by their chunks, and places that are taken twice.
	var over, twice int
	if err := d.pool.QueryRow(context.Background(), `
		SELECT (SELECT count(*) FROM studies s WHERE s.tenant_id = $1 AND s.max_parallel < (
			SELECT coalesce(sum(least(c.parallel, (SELECT count(*) FROM jobs j WHERE j.chunk_id = c.id AND j.state IN ('PENDING', 'RUNNING')))), 0)
			FROM chunks c WHERE c.study_id = s.id)),
			(SELECT count(*) FROM (SELECT FROM jobs WHERE tenant_id = $1 AND study_id IS NOT NULL AND NOT superseded
				GROUP BY study_id, point, replication HAVING count(*) > 1) AS double)`, tenantID).Scan(&over, &twice); err != nil {
		rt.Fatal(err)
	}
	if over+twice > 0 {
		rt.Fatalf("%d studies have more at work than they may, and %d runs are there twice", over, twice)
	}
}

// finish lets a study run to its end, after which each of its replications is there once, unless it was stopped.
func finish(rt *rapid.T, t *testing.T, d *DB, tenantID, id string) {
	for range 1000 {
		stepStudies(t, d)
		var state string
		var runs, rows int
		var fits bool
		if err := d.pool.QueryRow(t.Context(), `
			SELECT s.state, s.runs, (SELECT count(*) FROM jobs j WHERE j.study_id = s.id AND NOT j.superseded),
				(SELECT bool_and(p.cpu_request <= t.max_cpu AND p.memory_gi <= t.max_memory_gi) FROM study_points p WHERE p.study_id = s.id)
			FROM studies s JOIN tenants t ON t.id = s.tenant_id WHERE s.id = $1`, id).Scan(&state, &runs, &rows, &fits); err != nil {
			rt.Fatal(err)
		}
		if state != "RUNNING" {
			if complete := state == "SUCCEEDED" || state == "INCOMPLETE"; complete && rows != runs || rows > runs {
				rt.Fatalf("a study that is %s has %d of %d runs", state, rows, runs)
			}
			return
		}
		if !fits {
			return // it waits for higher limits
		}
		claim(t, d, tenantID, 10)
		end(t, d, job.Succeeded, 1, activeOf(t, d, tenantID)...)
	}
	rt.Fatal("a study never ends")
}
