package postgres

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

func TestQueueByTenant(t *testing.T) {
	t.Parallel()
	d := setup(t)
	narrow := tenant.Limits{MaxCPU: 4, MaxMemoryGi: 8, MaxConcurrentJobs: 2}
	for _, id := range []string{"idle", "busy", "late", "early"} {
		newTenant(t, d, id, narrow)
	}
	inState(t, d, "idle", job.Succeeded)
	big := func(j *job.Job) { j.CPURequest, j.MemoryGi = 3, 5 }
	submit(t, d, "busy", big)
	claim(t, d, "busy", 1)
	first := submit(t, d, "early")
	submit(t, d, "late")
	submit(t, d, "late")
	inState(t, d, "busy", job.Running)

	got, err := d.QueueByTenant(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	states := func(queued, pending, running int) map[job.State]int {
		return map[job.State]int{job.Queued: queued, job.Pending: pending, job.Running: running}
	}
	want := []job.TenantQueue{
		{TenantID: "early", Limits: narrow, Usage: job.Usage{ByState: states(1, 0, 0)}},
		{TenantID: "late", Limits: narrow, Usage: job.Usage{ByState: states(2, 0, 0)}},
		{TenantID: "busy", Limits: narrow, Usage: job.Usage{ByState: states(0, 1, 1), Held: 2, CPU: 4, MemoryGi: 6}},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(job.TenantQueue{}, "Oldest")); diff != "" {
		t.Fatalf("queue (-want +got):\n%s", diff)
	}
	if !got[0].Oldest.Equal(first.SubmittedAt) || !got[2].Oldest.IsZero() {
		t.Errorf("the oldest was submitted at %s, want %s; where none waits it is %s", got[0].Oldest, first.SubmittedAt, got[2].Oldest)
	}
}

func TestActivityCountsEachStepOnceInItsMinute(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	minute := time.Now().UTC().Truncate(time.Minute)
	at := func(minutes int) *time.Time {
		m := minute.Add(time.Duration(minutes)*time.Minute + time.Second)
		return &m
	}
	end := func(state job.State, reason simulation.Reason, started, finished *time.Time) {
		j := submit(t, d, "acme", func(j *job.Job) { j.SubmittedAt = *at(-10) })
		claim(t, d, "acme", 1)
		apply(t, d, job.Update{ID: j.ID, State: state, Reason: reason, StartedAt: started, FinishedAt: finished})
	}
	end(job.Succeeded, "", at(-9), at(-8))
	end(job.Failed, simulation.SimulationError, at(-9), at(-5))
	end(job.Failed, simulation.SimulationError, at(-8), at(-5))
	end(job.Failed, simulation.ImagePullFailed, nil, at(-5))
	end(job.Cancelled, simulation.Cancelled, at(-100), at(-1))
	end(job.Running, "", at(-2), nil)

	got, failures, err := d.ActivitySince(t.Context(), minute.Add(-9*time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	want := []job.Activity{
		{At: minute.Add(-9 * time.Minute), Started: 2},
		{At: minute.Add(-8 * time.Minute), Started: 1, Succeeded: 1},
		{At: minute.Add(-5 * time.Minute), Failed: 3},
		{At: minute.Add(-2 * time.Minute), Started: 1},
		{At: minute.Add(-1 * time.Minute), Cancelled: 1},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("activity (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(
		[]job.Failure{{Reason: simulation.SimulationError, Count: 2}, {Reason: simulation.ImagePullFailed, Count: 1}}, failures,
	); diff != "" {
		t.Errorf("failures (-want +got):\n%s", diff)
	}
}

func TestTheWeakestConfinementIsThatOfTheRunsSince(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	day := time.Now().UTC().Add(-24 * time.Hour).Truncate(time.Second)
	ended := func(hours int, held *simulation.Confinement) {
		t.Helper()
		j := inState(t, d, "acme", job.Running)
		at := day.Add(time.Duration(hours) * time.Hour)
		apply(t, d, job.Update{ID: j.ID, State: job.Failed, FinishedAt: &at, Confinement: held})
		if diff := cmp.Diff(held, read(t, d, "acme", j.ID).Confinement); diff != "" {
			t.Errorf("on record (-want +got):\n%s", diff)
		}
	}
	want := func(want *simulation.Confinement) {
		t.Helper()
		got, err := d.WeakestConfinement(t.Context(), day)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("the weakest (-want +got):\n%s", diff)
		}
	}
	want(nil)
	ended(1, nil) // SUMO never started
	want(nil)
	ended(-1, &simulation.Confinement{})
	want(nil)
	newest, older := simulation.Confinement{Landlock: 7, Filter: true}, simulation.Confinement{Landlock: 3, Filter: true}
	ended(2, &newest)
	ended(3, &newest)
	want(&newest)
	ended(4, &older)
	ended(-2, &older)
	ended(5, &simulation.Confinement{Landlock: 7, Filter: true, User: true})
	want(&older)
	ended(6, &simulation.Confinement{Landlock: 7})
	want(&simulation.Confinement{Landlock: 7})
	ended(7, &simulation.Confinement{})
	want(&simulation.Confinement{})
}
