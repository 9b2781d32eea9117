package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

// doing makes a job do some work, with what is there of it if use is set.
func doing(work string, use bool) func(*job.Job) {
	return func(j *job.Job) {
		j.Work, j.UseCache = work, use
		j.ResultsKey = artifact.ResultsOf(tenant.NamespaceFor(j.TenantID), j.ID)
	}
}

// done submits a job that does some work, and ends it.
func done(t testing.TB, d *DB, tenantID, work string, state job.State) job.Job {
	t.Helper()
	j := submit(t, d, tenantID, doing(work, false))
	claim(t, d, tenantID, 100)
	start := time.Now().Add(-time.Minute)
	apply(t, d, job.Update{
		ID: j.ID, State: state, StartedAt: &start, SumoVersion: "1.28.0", Results: []job.ResultFile{{Name: "log.txt", Size: 5}},
		Summary: &simulation.Summary{Metrics: []simulation.Metric{{Name: "mean_speed", Value: 3}}}, Warnings: []string{"Mind the gap."},
	})
	return read(t, d, tenantID, j.ID)
}

func TestWorkIsTakenFromTheLatestRunOfTheTenant(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	newTenant(t, d, "rival", roomy)
	for _, state := range []job.State{job.Failed, job.Cancelled} {
		done(t, d, "acme", "w-1", state)
	}
	done(t, d, "rival", "w-1", job.Succeeded)
	done(t, d, "acme", "", job.Succeeded)
	for _, work := range []string{"w-1", ""} {
		if j := submit(t, d, "acme", doing(work, true)); j.State != job.Queued || j.CachedFrom != "" {
			t.Errorf("the work %q is there: %+v", work, j)
		}
	}
	claim(t, d, "acme", 100)
	ran := done(t, d, "acme", "w-1", job.Succeeded)
	copied := submit(t, d, "acme", doing("w-1", true))
	if copied.State != job.Succeeded || copied.CachedFrom != ran.ID || copied.ResultsKey != ran.ResultsKey || len(copied.Results) != 1 ||
		copied.SumoVersion != "1.28.0" || copied.Summary == nil || !slices.Equal(copied.Warnings, ran.Warnings) || copied.Progress != 1 ||
		!copied.StartedAt.Equal(*copied.FinishedAt) {
		t.Errorf("what was taken is %+v", copied)
	}
	if j := submit(t, d, "acme", doing("w-1", false)); j.State != job.Queued {
		t.Errorf("a job that is to run is %s", j.State)
	}
	newer := done(t, d, "acme", "w-1", job.Succeeded)
	submit(t, d, "acme", doing("w-1", true))
	if j := submit(t, d, "acme", doing("w-1", true)); j.CachedFrom != newer.ID {
		t.Errorf("of two runs, the older was taken")
	}
	replaced := submit(t, d, "acme", doing("w-2", false))
	if err := d.ReplaceVersion(t.Context(), replaced.ID, "1.30", "", []string{}, []string{"Runs on SUMO 1.30."}); err != nil {
		t.Fatal(err)
	}
	claim(t, d, "acme", 100)
	apply(t, d, job.Update{ID: replaced.ID, State: job.Succeeded})
	if known, err := d.KnownWork(t.Context(), "acme", []string{"w-1", "w-2", "w-3", "w-1"}); err != nil || len(known) != 1 || !known["w-1"] {
		t.Errorf("known work is %v, %v", known, err)
	}
	events, err := d.Events(t.Context(), "acme", copied.ID)
	if err != nil || len(events) != 2 || events[1].From != job.Queued || events[1].To != job.Succeeded {
		t.Errorf("events are %+v, %v", events, err)
	}
}

func TestSharedResultsGoWithTheLastJobThatHasThem(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	ran := done(t, d, "acme", "w-1", job.Succeeded)
	jobs := []job.Job{ran}
	for range 2 {
		jobs = append(jobs, submit(t, d, "acme", doing("w-1", true)))
	}
	release := func(j job.Job) []string {
		t.Helper()
		r, err := d.ReleaseResults(t.Context(), "acme", j.ID)
		if err != nil {
			t.Fatal(err)
		}
		return r.Remove
	}
	for range 2 { // as after a crash
		if keys := release(ran); len(keys) > 0 {
			t.Fatalf("results that two other jobs have are to be removed: %v", keys)
		}
	}
	if !read(t, d, "acme", ran.ID).ResultsPruned {
		t.Error("a job keeps results that it has released")
	}
	if known, err := d.KnownJobs(t.Context(), []string{ran.ID}); err != nil || !known[ran.ID] {
		t.Errorf("objects that others have count as orphans: %v, %v", known, err)
	}
	if err := d.DeleteJob(t.Context(), "acme", ran.ID); err != nil {
		t.Fatal(err)
	}
	if known, err := d.KnownJobs(t.Context(), []string{ran.ID}); err != nil || !known[ran.ID] {
		t.Errorf("objects of a deleted job that others have count as orphans: %v, %v", known, err)
	}
	if keys := release(jobs[1]); len(keys) > 0 {
		t.Errorf("results that another job has are to be removed: %v", keys)
	}
	third := submit(t, d, "acme", doing("w-1", true)) // of the last one
	if third.CachedFrom != ran.ID || len(release(jobs[2])) > 0 {
		t.Errorf("taken from %s", third.CachedFrom)
	}
	for range 2 {
		if keys := release(third); !slices.Equal(keys, []string{ran.ResultsKey}) {
			t.Errorf("the last job has %v to be removed", keys)
		}
	}
	if j := submit(t, d, "acme", doing("w-1", true)); j.CachedFrom != "" {
		t.Error("results that are being removed were taken")
	}
}

// Whoever comes first, results are removed once, and not while anybody has them.
func TestReleasingAndTakingAtOnce(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	for round := range 10 {
		work := fmt.Sprintf("w-%d", round)
		jobs := []job.Job{done(t, d, "acme", work, job.Succeeded)}
		for range 3 {
			jobs = append(jobs, submit(t, d, "acme", doing(work, true)))
		}
		var mu sync.Mutex
		var removed, taken int
		var all sync.WaitGroup
		for _, j := range jobs {
			all.Go(func() {
				r, err := d.ReleaseResults(context.Background(), "acme", j.ID)
				mu.Lock()
				defer mu.Unlock()
				if removed += len(r.Remove); err != nil {
					t.Error(err)
				}
			})
			all.Go(func() {
				j, _, err := d.CreateJob(context.Background(), newJob("acme", doing(work, true)), nil, job.Admission{MaxQueued: 1_000_000})
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
				} else if j.CachedFrom != "" {
					taken++
				}
			})
		}
		all.Wait()
		if want := map[bool]int{true: 0, false: 1}[taken > 0]; removed != want {
			t.Errorf("results that %d jobs have taken were removed %d times", taken, removed)
		}
	}
}

func TestStudiesAreAnsweredFromTheCacheWithoutRoom(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", tenant.Limits{MaxCPU: 1, MaxMemoryGi: 1, MaxConcurrentJobs: 1})
	newStudyOf := func(points, seeds int, cache string) string {
		t.Helper()
		id := newStudy(t, d, "acme", testStudy{points: points, seeds: seeds, coreSeconds: 1})
		if _, err := d.pool.Exec(t.Context(), `UPDATE study_points SET work = 'p' || point WHERE study_id = $1`, id); err != nil {
			t.Fatal(err)
		}
		set := `UPDATE studies SET plan = jsonb_build_object('cache', $2::text) WHERE id = $1`
		if _, err := d.pool.Exec(t.Context(), set, id, cache); err != nil {
			t.Fatal(err)
		}
		return id
	}
	step := func() {
		t.Helper()
		if _, err := d.StepStudies(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	first := newStudyOf(2, 300, "use") // more than are looked up in one transaction
	for {
		chunks, _ := claimed(t, d, "acme", 10)
		if len(chunks) == 0 {
			break
		}
		var ended []job.Update
		start := time.Now().Add(-time.Second)
		for _, c := range chunks {
			for _, j := range c.Jobs {
				ended = append(ended, job.Update{
					ID: j.ID, State: job.Succeeded, StartedAt: &start,
					Summary: &simulation.Summary{Metrics: []simulation.Metric{{Name: "mean_speed", Value: float64(*j.Options.Seed)}}},
				})
			}
		}
		apply(t, d, ended...)
		step()
	}
	// A job holds all the room there is.
	submit(t, d, "acme", func(j *job.Job) { j.Priority = job.High })
	claim(t, d, "acme", 1)
	again, fresh := newStudyOf(2, 300, "use"), newStudyOf(1, 1, "refresh")
	step()
	if chunks, _ := claimed(t, d, "acme", 10); len(chunks) != 0 {
		t.Errorf("%d chunks have room", len(chunks))
	}
	s, err := d.Study(t.Context(), "acme", again)
	if err != nil || s.State != "SUCCEEDED" || s.Counts.Succeeded != 600 || s.Counts.CoreSeconds != 0 {
		t.Errorf("the study that was asked again is %s with %+v, %v", s.State, s.Counts, err)
	}
	points, err := d.Points(t.Context(), "acme", again)
	if err != nil || points[0].Counts.Cached != 300 || points[1].Counts.Cached != 300 || *points[0].CoreSeconds != 1 {
		t.Errorf("its points are %+v, %v", points, err)
	}
	if s, err := d.Study(t.Context(), "acme", fresh); err != nil || s.Counts.Succeeded > 0 {
		t.Errorf("the study that is to run is %+v, %v", s.Counts, err)
	}
	results, err := d.StudyResults(t.Context(), "acme", again)
	if err != nil || len(results) != 600 || results[299].Metrics[0] != 300 {
		t.Errorf("%d results, %v", len(results), err)
	}

	// The first study gives up what the second has, and the second what it alone has.
	r, err := d.ReleaseStudyResults(t.Context(), "acme", first, time.Time{})
	if err != nil || len(r.Keep) != 600 || len(r.Remove) > 0 || !strings.HasPrefix(r.Keep[0], artifact.StudyResults("sumo-acme", first)) {
		t.Errorf("the first study keeps %d results and removes %d, %v", len(r.Keep), len(r.Remove), err)
	}
	r, err = d.ReleaseStudyResults(t.Context(), "acme", again, time.Time{})
	if err != nil || len(r.Keep) > 0 || len(r.Remove) != 600 || !strings.HasPrefix(r.Remove[0], artifact.StudyResults("sumo-acme", first)) {
		t.Errorf("the second study keeps %d results and removes %d, %v", len(r.Keep), len(r.Remove), err)
	}
}
