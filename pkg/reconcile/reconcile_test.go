package reconcile_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/sumo-k8/sumo-k8/pkg/idempotency"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/reconcile"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

var (
	// noon is outside the minutes in which orphaned objects are looked for.
	noon    = time.Date(2026, 5, 4, 12, 30, 0, 0, time.UTC)
	earlier = noon.Add(-time.Hour)
)

func config() reconcile.Config {
	return reconcile.Config{LostAfter: 3 * time.Second, MaxAttempts: 3, MaxStarts: 100}
}

func newReconciler(jobs *record, runs *engine) *reconcile.Reconciler {
	return &reconcile.Reconciler{
		Jobs: jobs, Engine: runs, Objects: &objects{}, Scenarios: scenarios{}, Lock: unlocked,
		Now: func() time.Time { return noon }, Config: config(), Log: zerolog.Nop(),
	}
}

func TestOnePass(t *testing.T) {
	t.Parallel()
	started := earlier
	summary := &simulation.Summary{SumoVersion: "1.15.0"}
	held := &simulation.Confinement{Landlock: 7, Filter: true}
	results := []job.ResultFile{{Name: "log.txt", Size: 3}}
	// Every job is called "j" of tenant "t", was updated long ago, and in its first attempt.
	tests := []struct {
		name       string
		job        *job.Job // nil: not on record
		run        *job.Observation
		prepare    func(*record, *engine)
		want       job.Job // of its fields, those that differ from job
		wantCalls  []string
		wantReport reconcile.Report
		wantErr    error
	}{
		{
			name:       "a queued job is dispatched",
			job:        &job.Job{State: job.Queued},
			want:       job.Job{State: job.Pending, Attempt: 1},
			wantCalls:  []string{"start j"},
			wantReport: reconcile.Report{Dispatched: 1},
		}, {
			name:       "a dispatched job that cannot be started stays claimed",
			job:        &job.Job{State: job.Queued},
			prepare:    func(_ *record, e *engine) { e.startErr = errUnreachable },
			want:       job.Job{State: job.Pending, Attempt: 1},
			wantCalls:  []string{"start j"},
			wantReport: reconcile.Report{Dispatched: 1},
		}, {
			name:       "a run that has begun is recorded",
			job:        &job.Job{State: job.Pending, Attempt: 1},
			run:        &job.Observation{State: job.Running, StartedAt: &started},
			want:       job.Job{State: job.Running, Attempt: 1, StartedAt: &started},
			wantReport: reconcile.Report{Active: 1, Changed: 1},
		}, {
			name:       "progress is recorded",
			job:        &job.Job{State: job.Running, Attempt: 1, StartedAt: &started, Progress: 0.25},
			run:        &job.Observation{State: job.Running, StartedAt: &started, Progress: 0.5},
			want:       job.Job{State: job.Running, Attempt: 1, StartedAt: &started, Progress: 0.5},
			wantReport: reconcile.Report{Active: 1},
		}, {
			name: "a finished run is recorded with what it left, then forgotten",
			job:  &job.Job{State: job.Running, Attempt: 1, StartedAt: &started},
			run: &job.Observation{
				State: job.Succeeded, Progress: 1, StartedAt: &started, FinishedAt: &noon, Summary: summary, Results: results,
				Confinement: held, Image: "registry/sumo:1.15",
			},
			want: job.Job{
				State: job.Succeeded, Attempt: 1, Progress: 1, StartedAt: &started, FinishedAt: &noon,
				Summary: summary, SumoVersion: "1.15.0", Results: results, Confinement: held,
				Image: "registry/sumo:1.15",
			},
			wantCalls:  []string{"forget j"},
			wantReport: reconcile.Report{Active: 1, Changed: 1, Forgotten: 1},
		}, {
			name:       "a finished run is kept when it cannot be recorded",
			job:        &job.Job{State: job.Running, Attempt: 1, StartedAt: &started},
			run:        &job.Observation{State: job.Succeeded},
			prepare:    func(r *record, _ *engine) { r.applyErr = errUnreachable },
			want:       job.Job{State: job.Running, Attempt: 1, StartedAt: &started},
			wantReport: reconcile.Report{Active: 1},
			wantErr:    errUnreachable,
		}, {
			name:       "a running job that the engine does not have is started again",
			job:        &job.Job{State: job.Running, Attempt: 1, StartedAt: &started, UpdatedAt: noon},
			want:       job.Job{State: job.Running, Attempt: 2, Lost: 1, StartedAt: &started, UpdatedAt: noon, Message: restarted},
			wantCalls:  []string{"start j"},
			wantReport: reconcile.Report{Active: 1, Restarted: 1},
		}, {
			name:       "a lost run is not counted while the engine is unreachable",
			job:        &job.Job{State: job.Running, Attempt: 1, StartedAt: &started},
			prepare:    func(_ *record, e *engine) { e.startErr = errUnreachable },
			want:       job.Job{State: job.Running, Attempt: 1, StartedAt: &started},
			wantCalls:  []string{"start j"},
			wantReport: reconcile.Report{Active: 1},
			wantErr:    errUnreachable,
		}, {
			name: "a lost run that cannot be started again has ended",
			job:  &job.Job{State: job.Running, Attempt: 1, StartedAt: &started},
			prepare: func(r *record, e *engine) {
				e.starting = func(id string) {
					r.mu.Lock()
					defer r.mu.Unlock()
					j := r.jobs[id]
					j.State = job.Failed
					r.jobs[id] = j
				}
			},
			want:       job.Job{State: job.Failed, Attempt: 1, StartedAt: &started},
			wantCalls:  []string{"start j"},
			wantReport: reconcile.Report{Active: 1},
		}, {
			name:       "a run started again does not take its record back",
			job:        &job.Job{State: job.Running, Attempt: 2, StartedAt: &started, Progress: 0.5, Message: "was lost"},
			run:        &job.Observation{State: job.Pending},
			want:       job.Job{State: job.Running, Attempt: 2, StartedAt: &started, Progress: 0.5, Message: "was lost"},
			wantReport: reconcile.Report{Active: 1},
		}, {
			name:       "a job claimed a moment ago is left alone",
			job:        &job.Job{State: job.Pending, Attempt: 1, UpdatedAt: noon.Add(-2 * time.Second)},
			want:       job.Job{State: job.Pending, Attempt: 1, UpdatedAt: noon.Add(-2 * time.Second)},
			wantReport: reconcile.Report{Active: 1},
		}, {
			name:       "a job claimed long ago is started again",
			job:        &job.Job{State: job.Pending, Attempt: 50, UpdatedAt: noon.Add(-4 * time.Second)},
			want:       job.Job{State: job.Pending, Attempt: 51, UpdatedAt: noon.Add(-4 * time.Second), Message: restarted},
			wantCalls:  []string{"start j"},
			wantReport: reconcile.Report{Active: 1, Restarted: 1},
		}, {
			name: "a run lost in its last attempt fails",
			job:  &job.Job{State: job.Running, Attempt: 3, Lost: 2, StartedAt: &started},
			want: job.Job{
				State: job.Failed, Reason: simulation.WorkflowLost, Attempt: 3, Lost: 2, StartedAt: &started, FinishedAt: &noon,
				Message: "lost 3 times",
			},
			wantReport: reconcile.Report{Active: 1, Changed: 1},
		}, {
			name:       "a job that never starts fails at last",
			job:        &job.Job{State: job.Pending, Attempt: 100},
			want:       job.Job{State: job.Failed, Reason: simulation.WorkflowLost, Attempt: 100, FinishedAt: &noon, Message: "lost 100 times"},
			wantReport: reconcile.Report{Active: 1, Changed: 1},
		}, {
			name:       "a cancelled run is stopped, and its end awaited",
			job:        &job.Job{State: job.Running, Attempt: 1, StartedAt: &started, CancelRequested: true},
			run:        &job.Observation{State: job.Running, StartedAt: &started},
			want:       job.Job{State: job.Running, Attempt: 1, StartedAt: &started, CancelRequested: true},
			wantCalls:  []string{"stop j"},
			wantReport: reconcile.Report{Active: 1, Stopped: 1},
		}, {
			name: "a cancelled job that the engine does not have is finished",
			job:  &job.Job{State: job.Running, Attempt: 1, StartedAt: &started, CancelRequested: true},
			want: job.Job{
				State: job.Cancelled, Reason: simulation.Cancelled, Attempt: 1, StartedAt: &started, FinishedAt: &noon, CancelRequested: true,
				Message: "Cancelled",
			},
			wantReport: reconcile.Report{Active: 1, Changed: 1},
		}, {
			name:       "a run of a finished job is stopped",
			job:        &job.Job{State: job.Cancelled},
			run:        &job.Observation{State: job.Running},
			want:       job.Job{State: job.Cancelled},
			wantCalls:  []string{"stop j"},
			wantReport: reconcile.Report{Stopped: 1},
		}, {
			name:       "a finished run of a finished job is forgotten",
			job:        &job.Job{State: job.Succeeded},
			run:        &job.Observation{State: job.Succeeded},
			want:       job.Job{State: job.Succeeded},
			wantCalls:  []string{"forget j"},
			wantReport: reconcile.Report{Forgotten: 1},
		}, {
			name:       "a run of a job that was deleted is stopped",
			run:        &job.Observation{State: job.Pending},
			wantCalls:  []string{"stop j"},
			wantReport: reconcile.Report{Stopped: 1},
		}, {
			name:       "an unreadable record does not keep queued jobs waiting",
			job:        &job.Job{State: job.Queued},
			prepare:    func(r *record, _ *engine) { r.activeErr = errUnreachable },
			want:       job.Job{State: job.Pending, Attempt: 1},
			wantCalls:  []string{"start j"},
			wantReport: reconcile.Report{Dispatched: 1},
			wantErr:    errUnreachable,
		}, {
			name:       "an unreachable engine loses nothing",
			job:        &job.Job{State: job.Running, Attempt: 3, StartedAt: &started},
			prepare:    func(_ *record, e *engine) { e.observeErr = errUnreachable },
			want:       job.Job{State: job.Running, Attempt: 3, StartedAt: &started},
			wantErr:    errUnreachable,
			wantReport: reconcile.Report{},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			jobs, runs := &record{jobs: map[string]job.Job{}}, &engine{}
			if tt.job != nil {
				tt.job.ID, tt.job.TenantID = "j", "t"
				tt.want.ID, tt.want.TenantID = "j", "t"
				jobs.jobs["j"] = *tt.job
			}
			if tt.run != nil {
				tt.run.JobID = "j"
				runs.runs = []job.Observation{*tt.run}
			}
			if tt.prepare != nil {
				tt.prepare(jobs, runs)
			}
			report, err := newReconciler(jobs, runs).Run(t.Context(), 0)
			if !errors.Is(err, tt.wantErr) {
				t.Errorf("Run() failed with %v, want %v", err, tt.wantErr)
			}
			tt.wantReport.Passes, tt.wantReport.PrunedKeys = 1, 4
			if diff := cmp.Diff(tt.wantReport, report); diff != "" {
				t.Errorf("report (-want +got):\n%s", diff)
			}
			got := jobs.jobs["j"]
			if tt.want.Message != "" && strings.Contains(got.Message, tt.want.Message) {
				got.Message = tt.want.Message
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("job on record (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.wantCalls, runs.noted); diff != "" {
				t.Errorf("calls of the engine (-want +got):\n%s", diff)
			}
		})
	}
}

// restarted is a part of the message on a job that was started again.
const restarted = "has been started again"

func TestNothingIsWrittenWhenNothingIsNew(t *testing.T) {
	t.Parallel()
	jobs := &record{jobs: map[string]job.Job{
		"j": {ID: "j", State: job.Running, StartedAt: &earlier, Progress: 0.5, Message: "started again"},
	}}
	runs := &engine{runs: []job.Observation{{JobID: "j", State: job.Running, StartedAt: &noon, Progress: 0.5}}}
	if _, err := newReconciler(jobs, runs).Run(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if jobs.applyCalled != 0 {
		t.Errorf("Apply was called %d times, want none", jobs.applyCalled)
	}
}

func TestRunSkipsWhileAnotherProcessReconciles(t *testing.T) {
	t.Parallel()
	r := newReconciler(&record{}, &engine{})
	r.Lock = func(context.Context, string, func(context.Context) error) (bool, error) { return false, nil }
	report, err := r.Run(t.Context(), time.Minute)
	if diff := cmp.Diff(reconcile.Report{Skipped: true}, report); err != nil || diff != "" {
		t.Errorf("Run() failed with %v, report (-want +got):\n%s", err, diff)
	}
}

func TestRunReturnsAtOnceWhenIdle(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	report, err := newReconciler(&record{}, &engine{}).Run(ctx, time.Hour)
	if err != nil || report.Passes != 1 {
		t.Errorf("Run() = %+v, %v, want one pass", report, err)
	}
}

func TestRunFollowsTheEngineUntilItsWorkIsDone(t *testing.T) {
	t.Parallel()
	jobs := &record{jobs: map[string]job.Job{"j": {ID: "j", State: job.Pending, UpdatedAt: noon}}}
	runs := &engine{changed: make(chan struct{}, 1)}
	runs.set(job.Observation{JobID: "j", State: job.Running})
	go func() {
		for jobs.get("j").State != job.Running {
			time.Sleep(time.Millisecond)
		}
		runs.set(job.Observation{JobID: "j", State: job.Failed, Reason: simulation.SimulationError})
		for !strings.Contains(strings.Join(runs.calls(), " "), "forget j") {
			time.Sleep(time.Millisecond)
		}
		runs.set()
	}()
	report, err := newReconciler(jobs, runs).Run(t.Context(), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if got := jobs.jobs["j"].State; got != job.Failed {
		t.Errorf("job is %s, want FAILED", got)
	}
	if report.Changed != 2 || report.Active != 0 {
		t.Errorf("report %+v, want 2 changes and nothing active in the end", report)
	}
}

func (e *engine) calls() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.noted)
}

func TestRunEndsWithItsWindow(t *testing.T) {
	t.Parallel()
	jobs := &record{jobs: map[string]job.Job{"j": {ID: "j", State: job.Running, StartedAt: &noon}}}
	runs := &engine{runs: []job.Observation{{JobID: "j", State: job.Running, StartedAt: &noon}}}
	report, err := newReconciler(jobs, runs).Run(t.Context(), 120*time.Millisecond)
	if err != nil || report.Active != 1 {
		t.Errorf("Run() = %+v, %v, want one job still active", report, err)
	}
}

// provisioning is a tenant.Provisioner whose work takes as long as provision.
type provisioning struct {
	*tenants
	provision func()
}

func (p provisioning) Provision(context.Context, tenant.Tenant) error {
	p.provision()
	return nil
}

func TestANewJobIsSeenAsLongAsOtherCallsAreSkipped(t *testing.T) {
	t.Parallel()
	jobs, runs := &record{jobs: map[string]job.Job{}}, &engine{}
	r := newReconciler(jobs, runs)
	idle, started, window := make(chan struct{}), make(chan struct{}), 50*time.Millisecond
	passed := sync.OnceFunc(func() { close(idle) })
	r.Passed = func(time.Duration, error) { passed() }
	runs.starting = func(string) { close(started) }
	p := provisioning{&tenants{due: []tenant.Tenant{{ID: "t"}}}, func() {
		<-idle // the first pass has found nothing to do
		time.Sleep(2 * window)
		jobs.mu.Lock()
		jobs.jobs["new"] = job.Job{ID: "new", TenantID: "a", State: job.Queued}
		jobs.mu.Unlock()
		select {
		case <-started:
		case <-time.After(time.Minute):
			t.Error("a job that came while a tenant was provisioned is not started")
		}
	}}
	r.Tenants, r.Provisioner = p, p
	if report, err := r.Run(t.Context(), window); err != nil || report.Provisioned != 1 || report.Dispatched != 1 {
		t.Errorf("Run() = %+v, %v, want one tenant provisioned and one job dispatched", report, err)
	}
}

func TestTenantsAreProvisioned(t *testing.T) {
	t.Parallel()
	all := make([]tenant.Tenant, 25)
	for i := range all {
		all[i].ID = fmt.Sprintf("t%02d", i)
	}
	tests := []struct {
		name       string
		store      tenants
		wantErr    error
		wantReport reconcile.Report
		wantLast   string
	}{
		{name: "none is due", wantReport: reconcile.Report{}},
		{name: "those that are due", store: tenants{due: all[:3]}, wantReport: reconcile.Report{Provisioned: 3}, wantLast: "t02"},
		{
			name: "one that fails keeps no other waiting", store: tenants{due: all[:3], broken: "t01"},
			wantReport: reconcile.Report{Provisioned: 2, Unprovisioned: 1}, wantLast: "t02",
		},
		{
			name: "what is made for one that is retired meanwhile is removed", store: tenants{due: all[:3], retired: "t01"},
			wantReport: reconcile.Report{Provisioned: 2}, wantLast: "t02",
		},
		{name: "twenty at a time", store: tenants{due: all}, wantReport: reconcile.Report{Provisioned: 20}, wantLast: "t19"},
		{name: "an unreachable record is reported", store: tenants{due: all, dueErr: errUnreachable}, wantErr: errUnreachable},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newReconciler(&record{}, &engine{})
			r.Tenants, r.Provisioner = &tt.store, &tt.store
			report, err := r.Run(t.Context(), 0)
			if !errors.Is(err, tt.wantErr) {
				t.Errorf("Run() failed with %v, want %v", err, tt.wantErr)
			}
			tt.wantReport.Passes, tt.wantReport.PrunedKeys = 1, 4
			if diff := cmp.Diff(tt.wantReport, report); diff != "" {
				t.Errorf("report (-want +got):\n%s", diff)
			}
			if n := len(tt.store.provisioned); n != report.Provisioned || n > 0 && tt.store.provisioned[n-1] != tt.wantLast {
				t.Errorf("provisioned %v, want the last to be %s", tt.store.provisioned, tt.wantLast)
			}
			if removed := strings.Join(tt.store.removed, " "); removed != tt.store.retired {
				t.Errorf("removed %q, want %q", removed, tt.store.retired)
			}
		})
	}
}

func TestOrphansAreRemovedBesideMoreResultsThanThereIsTimeFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		now := noon.Add(30 * time.Minute) // the top of the hour
		yesterday := now.Add(-25 * time.Hour)
		store := &objects{endless: "results/", begun: []time.Time{yesterday}, modified: map[string]time.Time{}}
		for _, key := range []string{
			"scenarios/sumo-a/orphan.zip", "views/sumo-a/deleted/plots", "chunks/sumo-a/gone/runs.json", "states/sumo-a/gone.json.gz",
			"uploads/sumo-a/old.zip",
		} {
			store.modified[key] = yesterday
		}
		r := newReconciler(&record{}, &engine{})
		r.Objects, r.Now = store, func() time.Time { return now }
		report, err := r.Run(t.Context(), 0)
		if err != nil || len(store.modified)+len(store.begun) > 0 {
			t.Errorf("%+v, %v; there are still %v and %d unfinished uploads", report, err, store.modified, len(store.begun))
		}
	})
}

// Each search looks at 3,000 of 7,000 objects. It goes on in the next hour, in another process, and begins anew where it has come through.
func TestOrphansAreFoundWhereverTheyAreAmongMoreThanOneSearchReaches(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		now := noon.Add(30 * time.Minute) // the top of the hour
		yesterday := now.Add(-25 * time.Hour)
		store := &objects{each: 10 * time.Millisecond, modified: map[string]time.Time{}}
		jobs := &record{jobs: map[string]job.Job{}}
		for i := range 3500 {
			id := fmt.Sprintf("job-%04d", i)
			jobs.jobs[id] = job.Job{ID: id, State: job.Succeeded, FinishedAt: &yesterday}
			store.modified["results/sumo-a/"+id+"/log.txt"], store.modified["views/sumo-a/"+id+"/plots"] = yesterday, yesterday
		}
		orphans := []string{
			"results/sumo-a/aaa/log.txt", "results/sumo-a/job-2000x/log.txt", "results/sumo-a/zzz/log.txt", "views/sumo-a/zzz/plots",
		}
		leave := func() {
			for _, key := range orphans {
				store.modified[key] = yesterday
			}
		}
		left := func() int { return len(store.modified) - 2*len(jobs.jobs) }
		search := func() {
			t.Helper()
			r := newReconciler(jobs, &engine{})
			r.Objects, r.Now = store, func() time.Time { return now }
			if _, err := r.Run(t.Context(), 0); err != nil {
				t.Fatal(err)
			}
			now = now.Add(time.Hour)
		}
		leave()
		for range 2 { // whatever one round leaves behind itself is found by the next
			for hours := 0; left() > 0; hours++ {
				if hours == 6 {
					t.Fatalf("after %d searches there are %d orphans", hours, left())
				}
				search()
			}
			leave()
		}
		store.each = 0
		if search(); left() > 0 || len(store.content) > 0 {
			t.Errorf("a search that comes through leaves %d orphans and %v", left(), store.content)
		}
	})
}

func TestPruning(t *testing.T) {
	t.Parallel()
	topOfTheHour := noon.Add(30 * time.Minute)
	// A study with one of its runs, and one that is not on record.
	const (
		study = "0198f0d2-0000-7a51-9b1e-2f6a4c8d0e11"
		run   = "0198f0d2-1111-7a51-9b1e-2f6a4c8d0e11"
		gone  = "0198f0d2-2222-7a51-9b1e-2f6a4c8d0e11"
	)
	longAgo, yesterday := topOfTheHour.Add(-31*24*time.Hour), topOfTheHour.Add(-25*time.Hour)
	newStore := func() *objects {
		return &objects{modified: map[string]time.Time{
			"scenarios/sumo-a/kept.zip":       yesterday,
			"scenarios/sumo-a/orphan.zip":     yesterday,
			"scenarios/sumo-a/fresh.zip":      topOfTheHour.Add(-23 * time.Hour),
			"results/sumo-a/old/log.txt":      longAgo,
			"results/sumo-a/old/out/fcd.xml":  longAgo,
			"results/sumo-a/recent/log.txt":   yesterday,
			"results/sumo-a/deleted/log.txt":  yesterday,
			"views/sumo-a/old/plots":          longAgo,
			"views/sumo-a/recent/plots":       yesterday,
			"views/sumo-a/deleted/plots":      yesterday,
			"results/sumo-a/deleted/x/y.xml":  yesterday,
			"results/sumo-a/deleted/late.xml": topOfTheHour,
			"results/not-ours":                yesterday,
			// The second is the predecessor's.
			"results/sumo-a/0198f0d2-7c3e-7a51-9b1e-2f6a4c8d0e11/fcd.xml": yesterday,
			"results/sumo-a/f0e1d2c3-b4a5-4697-8877-665544332211/fcd.xml": yesterday,
			"results/sumo-a/" + study + "/" + run + "/files.zip":          yesterday,
			"results/sumo-a/" + study + "/" + run + "/x/y.xml":            yesterday,
			"results/sumo-a/" + study + "/" + gone + "/files.zip":         yesterday,
			"views/sumo-a/" + study + "/" + run + "/series-1.json":        yesterday,
			"views/sumo-a/" + study + "/" + gone + "/series-1.json":       yesterday,
			"chunks/sumo-a/active/runs.json":                              yesterday,
			"chunks/sumo-a/gone/runs.json":                                yesterday,
			"chunks/sumo-a/gone/cancelled.json":                           topOfTheHour,
			"states/sumo-a/active.json.gz":                                yesterday,
			"states/sumo-a/gone.json.gz":                                  yesterday,
			"uploads/sumo-a/old.zip":                                      yesterday,
			"uploads/sumo-a/fresh.zip":                                    topOfTheHour.Add(-23 * time.Hour),
			"elsewhere/file":                                              longAgo,
		}}
	}
	newRecord := func() *record {
		return &record{chunks: map[string]bool{"active": true}, jobs: map[string]job.Job{
			"old":    {ID: "old", ResultsKey: "results/sumo-a/old/", State: job.Succeeded, FinishedAt: &longAgo},
			"recent": {ID: "recent", ResultsKey: "results/sumo-a/recent/", State: job.Failed, FinishedAt: &yesterday},
			run:      {ID: run, ResultsKey: "results/sumo-a/" + study + "/" + run + "/", State: job.Succeeded, FinishedAt: &yesterday},
		}}
	}
	const month = 30 * 24 * time.Hour
	tests := []struct {
		name        string
		now         time.Time
		keep        time.Duration
		deleteErr   error
		wantRemoved []string
		wantResults int
		wantObjects int
		wantUploads int
		wantErr     error
	}{
		{
			name: "expired results at any time", now: noon.Add(35 * time.Minute), keep: month,
			wantRemoved: []string{"results/sumo-a/old/log.txt", "results/sumo-a/old/out/fcd.xml", "views/sumo-a/old/plots"},
			wantResults: 1,
		}, {
			name: "results are kept for ever when so configured", now: noon,
		}, {
			name: "orphans at the top of the hour", now: topOfTheHour, keep: month,
			wantRemoved: []string{
				"chunks/sumo-a/gone/runs.json",
				"results/sumo-a/" + study + "/" + gone + "/files.zip", "results/sumo-a/0198f0d2-7c3e-7a51-9b1e-2f6a4c8d0e11/fcd.xml",
				"results/sumo-a/deleted/log.txt", "results/sumo-a/deleted/x/y.xml",
				"results/sumo-a/old/log.txt", "results/sumo-a/old/out/fcd.xml", "scenarios/sumo-a/orphan.zip", "states/sumo-a/gone.json.gz",
				"uploads/sumo-a/old.zip", "views/sumo-a/" + study + "/" + gone + "/series-1.json", "views/sumo-a/deleted/plots",
				"views/sumo-a/old/plots",
			},
			wantResults: 1, wantObjects: 10, wantUploads: 1,
		}, {
			name: "results whose objects cannot be removed stay on record", now: noon.Add(35 * time.Minute), keep: month,
			deleteErr: errUnreachable, wantErr: errUnreachable,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			jobs, store := newRecord(), newStore()
			store.deleteErr = tt.deleteErr
			store.begun = []time.Time{topOfTheHour.Add(-25 * time.Hour), topOfTheHour.Add(-time.Hour)}
			r := newReconciler(jobs, &engine{})
			r.Objects, r.Scenarios = store, scenarios{keys: map[string]bool{"scenarios/sumo-a/kept.zip": true}, uploads: 2}
			r.Now, r.Config.KeepResults = func() time.Time { return tt.now }, tt.keep

			report, err := r.Run(t.Context(), 0)
			if !errors.Is(err, tt.wantErr) {
				t.Fatalf("Run() failed with %v, want %v", err, tt.wantErr)
			}
			want := reconcile.Report{
				Passes: 1, PrunedKeys: 4, PrunedResults: tt.wantResults, PrunedObjects: tt.wantObjects, PrunedUploads: 2 + tt.wantUploads,
			}
			if diff := cmp.Diff(want, report); diff != "" {
				t.Errorf("report (-want +got):\n%s", diff)
			}
			if jobs.jobs["old"].ResultsPruned != (tt.wantResults == 1) {
				t.Errorf("results on record as pruned: %v", jobs.jobs["old"].ResultsPruned)
			}
			if want := tt.now.Add(-idempotency.Lifetime); !jobs.keysBefore.Equal(want) {
				t.Errorf("keys pruned before %v, want %v", jobs.keysBefore, want)
			}
			var removed []string
			for _, key := range slices.Sorted(maps.Keys(newStore().modified)) {
				if _, still := store.modified[key]; !still {
					removed = append(removed, key)
				}
			}
			if diff := cmp.Diff(tt.wantRemoved, removed); diff != "" {
				t.Errorf("removed objects (-want +got):\n%s", diff)
			}

			again, err := r.Run(t.Context(), 0)
			if diff := cmp.Diff(reconcile.Report{Passes: 1}, again); err != nil || diff != "" {
				t.Errorf("a second run within the minute failed with %v, report (-want +got):\n%s", err, diff)
			}
		})
	}
}

// stopping is a tenant.Provisioner and an engine in whose calls the process is asked to stop.
type stopping struct {
	*tenants
	*engine
	stop context.CancelFunc
}

func (s stopping) Provision(ctx context.Context, _ tenant.Tenant) error {
	s.stop()
	return ctx.Err()
}

func (s stopping) Observe(ctx context.Context) ([]job.Sight, error) {
	s.stop()
	return nil, ctx.Err()
}

func TestAStopIsNoFailureOfWhatItInterrupts(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var log bytes.Buffer
	s := stopping{&tenants{due: make([]tenant.Tenant, 3)}, &engine{}, stop}
	r := newReconciler(&record{}, s.engine)
	r.Engine, r.Tenants, r.Provisioner, r.Log = s, s, s, zerolog.New(&log)
	r.Passed = func(_ time.Duration, err error) { t.Errorf("a pass is reported: %v", err) }
	report, err := r.Run(ctx, time.Minute)
	if !errors.Is(err, context.Canceled) || report.Unprovisioned != 0 || log.Len() > 0 {
		t.Errorf("%+v, %v; the log has %s", report, err, &log)
	}
}

func TestAnEndIsReportedOnceAsItIsOnRecord(t *testing.T) {
	t.Parallel()
	started, finished, stored := noon.Add(-3*time.Minute), noon.Add(-2*time.Minute), noon.Add(-time.Minute)
	const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	active := func(id string, edits ...func(*job.Job)) job.Job {
		j := job.Job{ID: id, TenantID: "t", State: job.Running, Attempt: 2, Traceparent: trace, SubmittedAt: earlier, DispatchedAt: &earlier}
		for _, edit := range edits {
			edit(&j)
		}
		return j
	}
	cancelling := func(j *job.Job) { j.CancelRequested = true }
	held := &simulation.Confinement{Landlock: 7, Filter: true}
	jobs := &record{jobs: map[string]job.Job{
		"done": active("done"), "stopped": active("stopped", cancelling), "late": active("late", cancelling),
		"lost": active("lost", func(j *job.Job) { j.Attempt, j.Lost, j.StartedAt = 3, 2, &started }), "goes on": active("goes on"),
	}}
	runs := &engine{runs: []job.Observation{
		{
			JobID: "done", State: job.Succeeded, StartedAt: &started, FinishedAt: &finished, StoredAt: &stored,
			Summary: &simulation.Summary{SumoVersion: "1.15.0"}, Confinement: held,
		},
		{JobID: "stopped", State: job.Failed, Reason: simulation.Interrupted, FinishedAt: &finished},
		{JobID: "late", State: job.Succeeded, StartedAt: &started, FinishedAt: &finished, StoredAt: &stored},
		{JobID: "goes on", State: job.Running, StartedAt: &started},
	}}
	got := map[string]reconcile.End{}
	r := newReconciler(jobs, runs)
	r.Ended = func(e reconcile.End) {
		if _, again := got[e.Job.ID]; again {
			t.Errorf("the end of %q is reported twice", e.Job.ID)
		}
		got[e.Job.ID] = e
	}
	for range 2 {
		if _, err := r.Run(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
	}
	end := func(id string, stored *time.Time, edit func(*job.Job)) reconcile.End {
		return reconcile.End{Job: active(id, edit), StoredAt: stored, RecordedAt: noon}
	}
	want := map[string]reconcile.End{
		"done": end("done", &stored, func(j *job.Job) {
			j.State, j.StartedAt, j.FinishedAt, j.SumoVersion = job.Succeeded, &started, &finished, "1.15.0"
			j.Confinement = held
		}),
		"stopped": end("stopped", nil, func(j *job.Job) {
			j.State, j.Reason, j.FinishedAt, j.CancelRequested = job.Cancelled, simulation.Cancelled, &finished, true
		}),
		"late": end("late", &stored, func(j *job.Job) {
			j.State, j.StartedAt, j.FinishedAt, j.CancelRequested = job.Succeeded, &started, &finished, true
		}),
		"lost": end("lost", nil, func(j *job.Job) {
			j.State, j.Reason, j.Attempt, j.Lost, j.StartedAt, j.FinishedAt = job.Failed, simulation.WorkflowLost, 3, 2, &started, &noon
		}),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	jobs.jobs["unwritten"], jobs.applyErr = active("unwritten"), errUnreachable
	runs.runs = []job.Observation{{JobID: "unwritten", State: job.Succeeded}}
	if _, err := r.Run(t.Context(), 0); !errors.Is(err, errUnreachable) {
		t.Errorf("the error is %v", err)
	}
	if len(got) != len(want) {
		t.Error("an end was reported that could not be recorded")
	}
}
