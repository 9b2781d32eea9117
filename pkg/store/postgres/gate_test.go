package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/store/postgres/internal/db"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

// testStudy is a study as tests describe it; zero fields have values that hold nothing back.
type testStudy struct {
	name        string
	points      int
	seeds       int
	maxParallel int
	priority    job.Priority
	cpu, memory int
	coreSeconds float64 // of each point; 0 for unknown
	stopShare   float64
	age         time.Duration
	// variants are the scenarios of the points, in turn; the tenant's only one if empty.
	variants []string
}

// newStudy records a study, and returns its id.
func newStudy(t testing.TB, d *DB, tenantID string, s testStudy) string {
	t.Helper()
	id, err := newID()
	if err != nil {
		t.Fatal(err)
	}
	set := func(n *int, least int) { *n = max(*n, least) }
	set(&s.points, 1)
	set(&s.seeds, 1)
	set(&s.cpu, 1)
	set(&s.memory, 1)
	if s.maxParallel == 0 {
		s.maxParallel = 1000
	}
	if s.stopShare == 0 {
		s.stopShare = 1
	}
	if len(s.variants) == 0 {
		s.variants = []string{digest}
	}
	var seeds []int64
	for i := range s.seeds {
		seeds = append(seeds, int64(i+1))
	}
	ctx := context.Background()
	if _, err := d.pool.Exec(ctx, `
		INSERT INTO studies (id, tenant_id, name, state, plan, priority, labels, seeds, max_parallel, stop_share, metric_names, runs,
			created_at)
		VALUES ($1, $2, $3, 'RUNNING', '{}', $4, '{"project": "ring"}', $5, $6, $7, '{mean_speed,teleports}', $8, now() - $9::interval)`,
		id, tenantID, s.name, s.priority, seeds, s.maxParallel, s.stopShare, s.points*s.seeds, s.age); err != nil {
		t.Fatal(err)
	}
	if _, err := d.pool.Exec(ctx, `
		INSERT INTO study_points (study_id, point, variant, setting, scenario_digest, scenario_key, cpu_request, memory_gi, options,
			timeout_seconds, warnings, core_seconds)
		SELECT $1, n, 'base', jsonb_build_array(jsonb_build_object('axis', 'demand', 'value', n)),
			($2::text[])[1 + n % cardinality($2::text[])], 'key', $3, $4, '{"sumo_version": "1.28", "scale": 2}', 60, '["Mind the gap."]',
			nullif($5::float8, 0)
		FROM generate_series(0, $6 - 1) AS n`,
		id, s.variants, s.cpu, s.memory, s.coreSeconds, s.points); err != nil {
		t.Fatal(err)
	}
	return id
}

// claimed claims chunks, and shows each as its runs: "point.replication …".
func claimed(t testing.TB, d *DB, tenantID string, atMost int) (chunks []job.Chunk, shown []string) {
	t.Helper()
	chunks, err := d.Claim(context.Background(), tenantID, atMost, true)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range chunks {
		var runs []string
		for _, j := range c.Jobs {
			if j.Study == nil {
				runs = append(runs, j.Name)
			} else {
				runs = append(runs, fmt.Sprintf("%d.%d", j.Study.Point, j.Study.Replication))
			}
		}
		shown = append(shown, fmt.Sprintf("%s x%d", strings.Join(runs, " "), c.Parallel))
	}
	return chunks, shown
}

// end records that jobs have ended after so many seconds.
func end(t testing.TB, d *DB, state job.State, seconds float64, jobs ...job.Job) {
	t.Helper()
	now := time.Now()
	began := now.Add(-time.Duration(seconds * float64(time.Second)))
	var updates []job.Update
	for _, j := range jobs {
		updates = append(updates, job.Update{ID: j.ID, State: state, StartedAt: &began, FinishedAt: &now})
	}
	apply(t, d, updates...)
}

func TestSubmissionsLeaveStudiesToReconcile(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", tenant.Limits{MaxCPU: 10, MaxMemoryGi: 10, MaxConcurrentJobs: 1})
	newStudy(t, d, "acme", testStudy{priority: 10, coreSeconds: 1})
	submit(t, d, "acme")
	if chunks, err := d.Claim(t.Context(), "acme", 9, false); err != nil || len(chunks) > 0 {
		t.Errorf("%d chunks start in the place of a study, %v", len(chunks), err)
	}
	if _, got := claimed(t, d, "acme", 9); !slices.Equal(got, []string{"0.0 x1"}) {
		t.Errorf("reconcile starts %v", got)
	}
}

func TestStudiesThatHaveEndedGetNoRuns(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	running, ended := newStudy(t, d, "acme", testStudy{}), newStudy(t, d, "acme", testStudy{})
	if _, err := d.pool.Exec(t.Context(), "UPDATE studies SET state = 'CANCELLED', finished_at = now() WHERE id = $1", ended); err != nil {
		t.Fatal(err)
	}
	err := d.inTx(t.Context(), func(q *db.Queries) error {
		of := func(id string) chunkOfRuns {
			return chunkOfRuns{StudyID: id, Scenario: digest, Runs: 1, Parallel: 1, CPU: 1, MemoryGi: 1}
		}
		placed, ids, err := place(t.Context(), q, db.Tenant{ID: "acme", Namespace: "acme"}, []chunkOfRuns{of(ended), of(running)})
		if len(placed) != 1 || placed[0].StudyID != running || len(ids) != 1 {
			t.Errorf("placed %v as %v", placed, ids)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if version, err := d.StudyVersion(t.Context(), "acme", running); err != nil || version != 2 {
		t.Errorf("the version is %d, %v", version, err)
	}
}

func TestStudiesAboveTheLimitsHoldUpNoOthers(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", tenant.Limits{MaxCPU: 4, MaxMemoryGi: 4, MaxConcurrentJobs: 4})
	var large string
	for range studiesAtOnce + 1 {
		large = newStudy(t, d, "acme", testStudy{cpu: 5})
	}
	newStudy(t, d, "acme", testStudy{coreSeconds: 1})
	if _, got := claimed(t, d, "acme", 9); !slices.Equal(got, []string{"0.0 x1"}) {
		t.Errorf("started: %v", got)
	}
	message := func() string {
		stepStudies(t, d)
		s, err := d.Study(t.Context(), "acme", large)
		if err != nil {
			t.Fatal(err)
		}
		return s.Message
	}
	if got := message(); got != oversized {
		t.Errorf("it says %q", got)
	}
	if _, err := d.pool.Exec(t.Context(), "UPDATE tenants SET max_cpu = 5"); err != nil {
		t.Fatal(err)
	}
	if got := message(); got != "" {
		t.Errorf("with higher limits it says %q", got)
	}
}

func TestARunOfAStudyIsAJobWithItsPlace(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	long := strings.Repeat("ä", 600)
	for _, name := range []string{"signal plans", long} {
		id := newStudy(t, d, "acme", testStudy{name: name, points: 2, seeds: 3, coreSeconds: 1})
		chunks, shown := claimed(t, d, "acme", 1)
		if diff := cmp.Diff([]string{"0.0 1.0 0.1 1.1 0.2 1.2 x6"}, shown); diff != "" {
			t.Fatal(diff)
		}
		got := chunks[0].Jobs[3]
		seed, scale := int64(2), 2.0
		want := job.Job{
			ID: got.ID, TenantID: "acme", Namespace: tenant.NamespaceFor("acme"), Name: "signal plans / base, demand 1 / seed 2",
			ScenarioDigest: digest, ScenarioKey: "key",
			ResultsKey: "results/" + tenant.NamespaceFor("acme") + "/" + id + "/" + got.ID + "/",
			Study:      &job.StudyRun{ID: id, Point: 1, Replication: 1, Chunk: chunks[0].ID},
			State:      job.Pending, CPURequest: 1, MemoryGi: 1,
			Options:        simulation.Options{SumoVersion: "1.28", Scale: &scale, Seed: &seed},
			TimeoutSeconds: 60, Labels: map[string]string{"project": "ring"}, Warnings: []string{"Mind the gap."}, Attempt: 1,
			SubmittedAt: got.SubmittedAt, DispatchedAt: got.DispatchedAt, UpdatedAt: got.UpdatedAt,
		}
		if name == long {
			want.Name = strings.Repeat("ä", job.MaxName-len(" / base, demand 1 / seed 2")) + " / base, demand 1 / seed 2"
		}
		if diff := cmp.Diff(want, read(t, d, "acme", got.ID)); diff != "" || cmp.Diff(want, got) != "" {
			t.Error(diff, cmp.Diff(want, got))
		}
		if got := trail(t, d, "acme", got.ID); got != "QUEUED PENDING" {
			t.Errorf("it went through %s", got)
		}
		end(t, d, job.Succeeded, 1, chunks[0].Jobs...)
	}
}

func TestTheGateMakesChunksOfStudies(t *testing.T) {
	t.Parallel()
	d := setup(t)
	for name, c := range map[string]struct {
		limits  tenant.Limits
		studies []testStudy
		jobs    int // that wait, of one core
		want    []string
	}{
		"three probes while nothing is known": {roomy, []testStudy{{points: 2, seeds: 9}}, 0, []string{"0.0 1.0 0.1 x3"}},
		"all of a short study": {
			roomy, []testStudy{{seeds: 9, coreSeconds: 1}}, 0, []string{"0.0 0.1 0.2 0.3 0.4 0.5 0.6 0.7 0.8 x8"},
		},
		"half a minute of work when many cores wait": {roomy, []testStudy{{seeds: 100, coreSeconds: 10}}, 0, []string{"0.0 0.1 0.2 x3"}},
		"one long run": {roomy, []testStudy{{seeds: 9, coreSeconds: 1000}}, 0, []string{"0.0 x1"}},
		"no more side by side than the study may have": {
			roomy, []testStudy{{seeds: 5, coreSeconds: 1, maxParallel: 2}}, 0, []string{"0.0 0.1 0.2 0.3 0.4 x2"},
		},
		"no more than the cores": {
			tenant.Limits{MaxCPU: 7, MaxMemoryGi: 100, MaxConcurrentJobs: 9}, []testStudy{{seeds: 5, coreSeconds: 1, cpu: 2}}, 0,
			[]string{"0.0 0.1 0.2 0.3 0.4 x3"},
		},
		"no more than the memory": {
			tenant.Limits{MaxCPU: 100, MaxMemoryGi: 8, MaxConcurrentJobs: 9}, []testStudy{{seeds: 5, coreSeconds: 1, memory: 2}}, 0,
			[]string{"0.0 0.1 0.2 0.3 0.4 x4"},
		},
		"each scenario has probes, in turn": {
			roomy, []testStudy{{points: 3, seeds: 2, variants: []string{digest, "other"}}}, 0, []string{"0.0 2.0 0.1 x3"},
		},
		"jobs before studies": {
			tenant.Limits{MaxCPU: 4, MaxMemoryGi: 100, MaxConcurrentJobs: 9}, []testStudy{{seeds: 5, coreSeconds: 1}}, 2,
			[]string{"morning peak x1", "morning peak x1", "0.0 0.1 0.2 0.3 0.4 x2"},
		},
		"but not before more urgent ones": {
			tenant.Limits{MaxCPU: 4, MaxMemoryGi: 100, MaxConcurrentJobs: 9},
			[]testStudy{{seeds: 2, coreSeconds: 1}, {seeds: 3, coreSeconds: 1, priority: job.High}}, 2,
			[]string{"morning peak x1", "0.0 0.1 0.2 x3"},
		},
		"a study larger than the limits holds nothing up": {
			tenant.Limits{MaxCPU: 4, MaxMemoryGi: 100, MaxConcurrentJobs: 9},
			[]testStudy{{cpu: 5, coreSeconds: 1, age: time.Hour}, {seeds: 2, coreSeconds: 1}}, 0, []string{"0.0 0.1 x2"},
		},
		"one that waited too long is not overtaken by others": {
			tenant.Limits{MaxCPU: 4, MaxMemoryGi: 100, MaxConcurrentJobs: 9},
			[]testStudy{{cpu: 4, coreSeconds: 1, age: time.Hour}, {seeds: 2, coreSeconds: 1}}, 1, []string{"morning peak x1"},
		},
		"one that waits is": {
			tenant.Limits{MaxCPU: 4, MaxMemoryGi: 100, MaxConcurrentJobs: 9},
			[]testStudy{{cpu: 4, coreSeconds: 1}, {seeds: 2, coreSeconds: 1}}, 1, []string{"morning peak x1", "0.0 0.1 x2"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			newTenant(t, d, name, c.limits)
			for _, s := range c.studies {
				newStudy(t, d, name, s)
			}
			for range c.jobs {
				submit(t, d, name)
			}
			_, got := claimed(t, d, name, 10)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestProbesShowWhatTheOtherRunsTake(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	newStudy(t, d, "acme", testStudy{seeds: 500})
	probing, _ := claimed(t, d, "acme", 10)
	if _, shown := claimed(t, d, "acme", 10); shown != nil {
		t.Fatalf("before a probe has ended, %v start", shown)
	}
	end(t, d, job.Succeeded, 15, probing[0].Jobs[0])
	if _, shown := claimed(t, d, "acme", 10); !slices.Equal(shown, []string{"0.3 0.4 x2"}) {
		t.Errorf("then %v start, want half a minute of work", shown)
	}
	newTenant(t, d, "initech", roomy)
	newStudy(t, d, "initech", testStudy{seeds: 500})
	if _, shown := claimed(t, d, "initech", 10); len(shown) != 1 || !strings.HasSuffix(shown[0], "0.2 x3") {
		t.Errorf("another tenant does not probe, but starts %v", shown)
	}
	newStudy(t, d, "acme", testStudy{seeds: 7, priority: job.High})
	end(t, d, job.Succeeded, 15, probing[0].Jobs[1:]...)
	end(t, d, job.Running, 0, activeOf(t, d, "acme")...)
	if _, shown := claimed(t, d, "acme", 1); !slices.Equal(shown, []string{"0.0 0.1 x2"}) {
		t.Errorf("another study of the same scenario starts %v", shown)
	}
}

// activeOf returns the active jobs of a tenant.
func activeOf(t testing.TB, d *DB, tenantID string) []job.Job {
	t.Helper()
	jobs, err := d.ActiveJobs(context.Background(), 100_000)
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(jobs, func(j job.Job) bool { return j.TenantID != tenantID })
}

// A tenant has at most as many chunks that wait for a machine as it has others.
func TestChunksThatHaveNotBegunAreNoMoreThanThoseThatHave(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	newStudy(t, d, "acme", testStudy{seeds: 1000, coreSeconds: 30})
	for waiting, want := range []int{1, 1, 2, 4, 8} {
		chunks, _ := claimed(t, d, "acme", 100)
		if len(chunks) != want {
			t.Fatalf("in round %d there are %d chunks more, want %d", waiting, len(chunks), want)
		}
		if more, _ := claimed(t, d, "acme", 100); len(more) != 0 {
			t.Fatalf("while %d wait, there are %d more", want, len(more))
		}
		for _, c := range chunks {
			end(t, d, job.Running, 0, c.Jobs[0])
		}
	}
}

func TestHowManyRunsAChunkHas(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		waiting     int
		coreSeconds float64
		cores       int // free, and the study's
		want        int
	}{
		"little work for many cores":             {1000, 1, 100, 30},
		"much work for few cores":                {10_000, 2, 4, 150},
		"as much as keeps all cores at work":     {1000, 2, 10, 50},
		"never more than the list may have":      {10_000, 0.05, 2, 200},
		"of runs that take no time as well":      {10_000, 0, 2, 200},
		"one at least":                           {10, 1000, 2, 1},
		"no more than there are":                 {7, 1, 2, 7},
		"what would be left is not worth it":     {50, 1, 2, 50},
		"but is if it makes the chunk too large": {220, 0.1, 2, 200},
		"whole runs":                             {100, 20, 100, 2},
	} {
		k := kindOfRuns{CPU: 1, MemoryGi: 1, Points: 1, Waiting: c.waiting, CoreSeconds: c.coreSeconds}
		s := waitingStudy{Kinds: []kindOfRuns{k}, Cores: c.cores / 2}
		if got := s.size(k, c.cores-c.cores/2); got != c.want {
			t.Errorf("%s: %d runs, want %d", name, got, c.want)
		}
	}
}

func TestReplicationsAreStartedEvenly(t *testing.T) {
	t.Parallel()
	s := waitingStudy{ID: "s", Parallel: 100, Probed: map[string]bool{}, Kinds: []kindOfRuns{
		{Point: 0, Scenario: "a", CPU: 1, MemoryGi: 1, Points: 1, Waiting: 100, CoreSeconds: 30},
		{Point: 1, Scenario: "b", CPU: 1, MemoryGi: 1, Points: 2, Waiting: 200, CoreSeconds: 30},
		{Point: 2, Scenario: "c", CPU: 1, MemoryGi: 1, Points: 1, Waiting: 100, CoreSeconds: -1},
	}}
	_, chunks := choose(nil, []waitingStudy{s}, tenant.Limits{MaxCPU: 1000, MaxMemoryGi: 1000, MaxConcurrentJobs: 10}, 7)
	var got []string
	for _, c := range chunks {
		got = append(got, fmt.Sprint(c.Scenario, " ", c.Skip, "+", c.Runs))
	}
	if diff := cmp.Diff([]string{"a 0+1", "b 0+1", "c 0+3", "b 1+1", "a 1+1", "b 2+1", "b 3+1"}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestFurtherChunksOfATenant(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ begun, waiting, want int }{{0, 0, 1}, {0, 1, 0}, {1, 0, 1}, {1, 1, 0}, {5, 2, 3}, {2, 5, -3}} {
		var chunks []db.ChunksAtWorkRow
		for range c.begun {
			chunks = append(chunks, db.ChunksAtWorkRow{Begun: true})
		}
		if got := furtherChunks(append(chunks, make([]db.ChunksAtWorkRow, c.waiting)...)); got != c.want {
			t.Errorf("with %d at work and %d that wait: %d, want %d", c.begun, c.waiting, got, c.want)
		}
	}
}

// What a chunk holds, and how many jobs it counts as, wherever that is shown; and which lists have its jobs.
func TestAChunkCountsAsOneJob(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", tenant.Limits{MaxCPU: 7, MaxMemoryGi: 50, MaxConcurrentJobs: 9})
	newTenant(t, d, "initech", roomy)
	id := newStudy(t, d, "acme", testStudy{points: 3, seeds: 10, cpu: 2, memory: 3, coreSeconds: 3})
	single := submit(t, d, "acme")
	chunks, _ := claimed(t, d, "acme", 9)
	if len(chunks) != 2 || len(chunks[1].Jobs) != 10 {
		t.Fatalf("%+v start", chunks)
	}
	submit(t, d, "acme", func(j *job.Job) { j.CPURequest = 7 })
	stepStudies(t, d)
	want := job.Usage{
		ByState: map[job.State]int{job.Queued: 1, job.Pending: 11, job.Running: 0}, Held: 2, CPU: 7, MemoryGi: 10,
	}
	queues, err := d.QueueByTenant(t.Context())
	if err != nil || len(queues) != 1 || queues[0].Studies != 1 || queues[0].Unstarted != 20 {
		t.Fatalf("%+v, %v", queues, err)
	}
	if diff := cmp.Diff(want, queues[0].Usage); diff != "" {
		t.Errorf("in the queue, -want +got:\n%s", diff)
	}
	delete(want.ByState, job.Running)
	usage, err := d.Usage(t.Context(), "acme")
	if diff := cmp.Diff(want, usage); err != nil || diff != "" {
		t.Errorf("%v, of one tenant, -want +got:\n%s", err, diff)
	}
	usages, err := d.UsageByTenant(t.Context())
	if diff := cmp.Diff(map[string]job.Usage{"acme": want}, usages); err != nil || diff != "" {
		t.Errorf("%v, of each, -want +got:\n%s", err, diff)
	}

	point := 2
	for name, c := range map[string]struct {
		f    job.Filter
		want int
	}{
		"none of a study":    {job.Filter{}, 2},
		"in a state":         {job.Filter{State: job.Pending}, 1},
		"of a study":         {job.Filter{Study: id}, 10},
		"at a point":         {job.Filter{Study: id, Point: &point}, 3},
		"of a variant":       {job.Filter{Study: id, Variant: "base", State: job.Pending}, 10},
		"of none":            {job.Filter{Study: id, Variant: "other"}, 0},
		"of another":         {job.Filter{Study: mustID(t)}, 0},
		"with a label":       {job.Filter{Labels: map[string]string{"project": "ring"}}, 0},
		"with a label in it": {job.Filter{Study: id, Labels: map[string]string{"project": "ring"}}, 10},
	} {
		jobs, err := d.ListJobs(t.Context(), "acme", c.f, "", 100)
		if err != nil || len(jobs) != c.want {
			t.Errorf("%s: %d jobs, %v; want %d", name, len(jobs), err, c.want)
		}
	}
	if jobs, err := d.ListJobs(t.Context(), "initech", job.Filter{Study: id}, "", 9); err != nil || len(jobs) > 0 {
		t.Errorf("another tenant sees %d, %v", len(jobs), err)
	}
	for _, f := range []job.Filter{{Point: &point}, {Variant: "base"}, {Study: "1"}} {
		_, err := d.ListJobs(t.Context(), "acme", f, "", 9)
		wantCode(t, err, problem.Invalid)
	}
	if jobs, err := d.RecentJobs(t.Context(), "acme", 9); err != nil || len(jobs) != 2 {
		t.Errorf("%d jobs are recent, %v", len(jobs), err)
	}
	for state, n := range map[job.State]int{"": 2, job.Pending: 1} {
		if jobs, total, err := d.AllJobs(t.Context(), state, "", 9); err != nil || len(jobs) != n || total != n {
			t.Errorf("operators see %d of %d, %v", len(jobs), total, err)
		}
	}

	// It holds all until its last job has ended.
	end(t, d, job.Succeeded, 1, single)
	end(t, d, job.Succeeded, 1, chunks[1].Jobs[1:]...)
	if usage, err := d.Usage(t.Context(), "acme"); err != nil || usage.Held != 1 || usage.CPU != 6 || usage.MemoryGi != 9 {
		t.Errorf("with one job left it holds %+v, %v", usage, err)
	}
	end(t, d, job.Failed, 1, chunks[1].Jobs[0])
	if usage, err := d.Usage(t.Context(), "acme"); err != nil || usage.Held+usage.CPU+usage.MemoryGi != 0 {
		t.Errorf("at its end it holds %+v, %v", usage, err)
	}
	_, err = job.Purge(t.Context(), d, nil, "acme", chunks[1].Jobs[0].ID)
	wantCode(t, err, problem.Conflict)
}

func TestAChunkFitsOnOneMachine(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		limits        job.ChunkLimits
		cpu, memoryGi int
		want          int
	}{
		"no limits":                          {cpu: 1, memoryGi: 1, want: 8},
		"its cores":                          {limits: job.ChunkLimits{Cores: 4}, cpu: 1, memoryGi: 1, want: 4},
		"its memory":                         {limits: job.ChunkLimits{Cores: 4, MemoryGi: 8}, cpu: 1, memoryGi: 4, want: 2},
		"a run of several cores":             {limits: job.ChunkLimits{Cores: 4}, cpu: 3, memoryGi: 1, want: 1},
		"a run that is larger than a chunk":  {limits: job.ChunkLimits{Cores: 4}, cpu: 8, memoryGi: 1, want: 1},
		"one that needs more memory as well": {limits: job.ChunkLimits{Cores: 4, MemoryGi: 8}, cpu: 1, memoryGi: 9, want: 1},
	} {
		s := waitingStudy{
			Parallel: 100, Limits: tt.limits, Probed: map[string]bool{},
			Kinds: []kindOfRuns{{CPU: tt.cpu, MemoryGi: tt.memoryGi, Points: 1, Waiting: 100, CoreSeconds: 1}},
		}
		free := tenant.Limits{MaxCPU: 64, MaxMemoryGi: 256, MaxConcurrentJobs: 10}
		if chunks := s.take(&free, 1); len(chunks) != 1 || chunks[0].Parallel != tt.want || chunks[0].CPU != tt.want*tt.cpu {
			t.Errorf("%s: %+v, want %d side by side", name, chunks, tt.want)
		}
	}
}
