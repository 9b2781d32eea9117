package postgres

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/sumo-k8/sumo-k8/infra/local/localtest"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

func TestClaimTakesWhatFitsInOrder(t *testing.T) {
	t.Parallel()
	type waiting struct {
		name     string
		cpu, mem int
		priority job.Priority
		age      int // seconds
	}
	limits := tenant.Limits{MaxCPU: 4, MaxMemoryGi: 8, MaxConcurrentJobs: 3}
	d := setup(t)
	tooOld := int(reserveAfter.Seconds()) + 60
	for name, c := range map[string]struct {
		running []waiting
		queue   []waiting
		max     int
		want    string
	}{
		"nothing waits": {max: 9, want: ""},
		"first submitted first, as many as may run": {
			queue: []waiting{{"c", 1, 1, 0, 1}, {"a", 1, 1, 0, 4}, {"d", 1, 1, 0, 0}, {"b", 1, 1, 0, 3}}, max: 9, want: "a b c",
		},
		"priority before age": {
			queue: []waiting{{"low", 1, 1, job.Low, 3}, {"normal", 1, 1, 0, 2}, {"high", 1, 1, job.High, 1}}, max: 2, want: "high normal",
		},
		"no more than asked for":      {queue: []waiting{{"a", 1, 1, 0, 2}, {"b", 1, 1, 0, 1}}, max: 1, want: "a"},
		"none when none is asked for": {queue: []waiting{{"a", 1, 1, 0, 2}}, max: 0, want: ""},
		"no more than the cores":      {queue: []waiting{{"a", 3, 1, 0, 3}, {"b", 2, 1, 0, 2}, {"c", 1, 1, 0, 1}}, max: 9, want: "a c"},
		"no more than the memory":     {queue: []waiting{{"a", 1, 7, 0, 3}, {"b", 1, 2, 0, 2}, {"c", 1, 1, 0, 1}}, max: 9, want: "a c"},
		"what runs counts": {
			running: []waiting{{"r", 3, 1, 0, 9}}, queue: []waiting{{"a", 2, 1, 0, 2}, {"b", 1, 1, 0, 1}}, max: 9, want: "b",
		},
		"a job that waited too long is not overtaken": {
			running: []waiting{{"r", 1, 1, 0, 9}}, queue: []waiting{{"big", 4, 1, 0, tooOld}, {"small", 1, 1, 0, 1}}, max: 9, want: "",
		},
		"but those before it go": {
			running: []waiting{{"r", 1, 1, 0, 9}},
			queue:   []waiting{{"urgent", 1, 1, job.High, 1}, {"big", 4, 1, 0, tooOld}, {"small", 1, 1, 0, 1}}, max: 9, want: "urgent",
		},
		"and it goes when it fits": {queue: []waiting{{"big", 4, 1, 0, tooOld}, {"small", 1, 1, 0, 1}}, max: 9, want: "big"},
		"what can never run holds nothing up": {
			queue: []waiting{{"cores", 5, 1, 0, tooOld}, {"memory", 1, 9, 0, tooOld}, {"small", 1, 1, 0, 1}}, max: 9, want: "small",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			newTenant(t, d, name, limits)
			names := map[string]string{}
			add := func(w waiting) {
				j := submit(t, d, name, func(j *job.Job) {
					j.CPURequest, j.MemoryGi, j.Priority, j.SubmittedAt = w.cpu, w.mem, w.priority, time.Now().Add(-time.Duration(w.age)*time.Second)
				})
				names[j.ID] = w.name
			}
			for _, w := range c.running {
				add(w)
				claim(t, d, name, 1)
			}
			for _, w := range c.queue {
				add(w)
			}
			var got []string
			for _, id := range claim(t, d, name, c.max) {
				got = append(got, names[id])
				if j := read(t, d, name, id); j.State != job.Pending || j.Attempt != 1 {
					t.Errorf("%s was claimed, but is %s in attempt %d", names[id], j.State, j.Attempt)
				}
			}
			if got := strings.Join(got, " "); got != c.want {
				t.Errorf("claimed %q, want %q", got, c.want)
			}
		})
	}
}

func TestAJobLargerThanTheLimitsSaysSoUntilTheyAreRaised(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", tenant.Limits{MaxCPU: 4, MaxMemoryGi: 8, MaxConcurrentJobs: 1})
	j := submit(t, d, "acme", func(j *job.Job) { j.CPURequest, j.MemoryGi = 6, 2 })
	fits := submit(t, d, "acme")
	claim(t, d, "acme", 1)
	if got := read(t, d, "acme", j.ID).Message; !strings.Contains(got, "6 CPU and 2 GiB") || !strings.Contains(got, "4 CPU and 8 GiB") {
		t.Errorf("message %q does not explain", got)
	}
	if got := read(t, d, "acme", fits.ID).Message; got != "" {
		t.Errorf("a job that fits says %q", got)
	}
	cpu := 6
	if _, err := d.UpdateTenant(t.Context(), "acme", tenant.Patch{MaxCPU: &cpu}); err != nil {
		t.Fatal(err)
	}
	claim(t, d, "acme", 1)
	if got := read(t, d, "acme", j.ID).Message; got != "" {
		t.Errorf("with higher limits it still says %q", got)
	}
}

func TestTenantsThatHoldLeastOfTheirLimitsComeFirst(t *testing.T) {
	t.Parallel()
	d := setup(t)
	for _, c := range []struct {
		id         string
		limits     tenant.Limits
		activeCPU  int
		waitingFor time.Duration
	}{
		{"half of its memory", tenant.Limits{MaxCPU: 100, MaxMemoryGi: 2, MaxConcurrentJobs: 100}, 1, time.Hour},
		{"a quarter of its cores", tenant.Limits{MaxCPU: 4, MaxMemoryGi: 100, MaxConcurrentJobs: 100}, 1, 0},
		{"nothing, waiting shorter", roomy, 0, time.Minute},
		{"nothing, waiting longer", roomy, 0, time.Hour},
		{"all of its jobs", tenant.Limits{MaxCPU: 100, MaxMemoryGi: 100, MaxConcurrentJobs: 1}, 1, 9 * time.Hour},
	} {
		newTenant(t, d, c.id, c.limits)
		if c.activeCPU > 0 {
			submit(t, d, c.id, func(j *job.Job) { j.CPURequest = c.activeCPU })
			claim(t, d, c.id, 1)
		}
		submit(t, d, c.id, func(j *job.Job) { j.SubmittedAt = time.Now().Add(-c.waitingFor) })
	}
	newTenant(t, d, "without a queue", roomy)
	got, err := d.TenantsWithQueue(t.Context())
	want := []string{
		"nothing, waiting longer", "nothing, waiting shorter", "a quarter of its cores", "half of its memory", "all of its jobs",
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

func TestRestartCountsAttemptsOfActiveJobsOnly(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	var jobs []job.Job
	var ids []string
	for _, state := range job.States()[1:] {
		jobs = append(jobs, inState(t, d, "acme", state))
	}
	jobs = append(jobs, inState(t, d, "acme", job.Queued))
	for _, j := range jobs {
		ids = append(ids, j.ID)
	}
	restarted, err := d.Restart(t.Context(), ids, "The run was lost\x00.")
	if err != nil || len(restarted) != 2 {
		t.Errorf("%d were restarted, %v", len(restarted), err)
	}
	for _, j := range jobs {
		got := read(t, d, "acme", j.ID)
		if !j.State.Active() {
			if diff := cmp.Diff(j, got); diff != "" || slices.Contains(restarted, j.ID) {
				t.Errorf("%s: %s", j.State, diff)
			}
			continue
		}
		if !slices.Contains(restarted, j.ID) || got.Attempt != 2 || got.State != j.State || got.Message != "The run was lost." {
			t.Errorf("%s: %+v", j.State, got)
		}
	}
}

// Many claimers, and jobs that end while they claim: the limits hold at every moment, and every job runs.
func TestTogetherClaimersNeverExceedTheLimitsAndServeEveryJob(t *testing.T) {
	t.Parallel()
	const tenants, jobs, claimers = 5, 500, 20
	d := open(t, Config{URL: localtest.Database(t, Migrate), MaxConns: claimers})
	random := rand.New(rand.NewPCG(1, 2))
	limits := map[string]tenant.Limits{}
	sizes := map[string]job.Job{}
	var ids []string
	for i := range tenants {
		id := fmt.Sprintf("tenant-%d", i)
		ids = append(ids, id)
		limits[id] = tenant.Limits{MaxCPU: 4 + random.IntN(12), MaxMemoryGi: 8 + random.IntN(24), MaxConcurrentJobs: 1 + random.IntN(8)}
		newTenant(t, d, id, limits[id])
	}
	for i := range jobs {
		id := ids[i%tenants]
		j := submit(t, d, id, func(j *job.Job) {
			j.CPURequest, j.MemoryGi = 1+random.IntN(limits[id].MaxCPU), 1+random.IntN(limits[id].MaxMemoryGi)
			j.Priority = []job.Priority{job.Low, job.Normal, job.High}[random.IntN(3)]
			// Some have waited for so long that they are no longer overtaken.
			j.SubmittedAt = time.Now().Add(-time.Duration(random.IntN(20)) * time.Minute)
		})
		sizes[j.ID] = j
	}

	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var watching sync.WaitGroup
	done := make(chan struct{})
	watching.Go(func() {
		for {
			usages, err := d.UsageByTenant(ctx)
			if err != nil {
				t.Error(err)
				return
			}
			for id, u := range usages {
				if l := limits[id]; u.CPU > l.MaxCPU || u.MemoryGi > l.MaxMemoryGi || u.Held > l.MaxConcurrentJobs {
					t.Errorf("%s holds %+v, more than %+v", id, u, l)
				}
			}
			select {
			case <-done:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	})
	group, groupCtx := errgroup.WithContext(ctx)
	for range claimers {
		group.Go(func() error {
			for {
				waiting, err := d.TenantsWithQueue(groupCtx)
				if err != nil || len(waiting) == 0 {
					return err
				}
				for _, id := range waiting {
					claimed, err := d.Claim(groupCtx, id, 3, true)
					if err != nil {
						return err
					}
					for _, j := range claimed {
						if _, err := d.Apply(groupCtx, []job.Update{{ID: j.ID, State: job.Succeeded}}); err != nil {
							return err
						}
					}
				}
			}
		})
	}
	err := group.Wait()
	close(done)
	watching.Wait()
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		replay(t, d, id, limits[id], sizes)
	}
	if _, total, err := d.AllJobs(t.Context(), job.Succeeded, "", 1); err != nil || total != jobs {
		t.Errorf("%d of %d jobs were served, %v", total, jobs, err)
	}
}

// replay goes through the recorded events of a tenant in the order of time and adds up what was held.
func replay(t *testing.T, d *DB, tenantID string, limits tenant.Limits, sizes map[string]job.Job) {
	t.Helper()
	var events []job.Event
	for id, j := range sizes {
		if j.TenantID == tenantID {
			more, err := d.Events(t.Context(), tenantID, id)
			if err != nil {
				t.Fatal(err)
			}
			events = append(events, more...)
		}
	}
	slices.SortFunc(events, func(a, b job.Event) int { return a.At.Compare(b.At) })
	var cpu, memory, active int
	for _, e := range events {
		sign := 0
		switch {
		case e.To == job.Pending:
			sign = 1
		case e.To.Terminal():
			sign = -1
		}
		cpu += sign * sizes[e.JobID].CPURequest
		memory += sign * sizes[e.JobID].MemoryGi
		active += sign
		if cpu > limits.MaxCPU || memory > limits.MaxMemoryGi || active > limits.MaxConcurrentJobs {
			t.Fatalf("%s held %d CPU, %d GiB in %d jobs at %v, more than %+v", tenantID, cpu, memory, active, e.At, limits)
		}
	}
	if active != 0 {
		t.Errorf("%s: %d jobs never ended", tenantID, active)
	}
}
