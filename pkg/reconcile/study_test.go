package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/reconcile"
	"github.com/sumo-k8/sumo-k8/pkg/study"
)

// chunks is an engine that has the given chunks, and notes those that it is to start.
type chunks struct {
	engine
	has     []job.Sight
	started []string
}

func (e *chunks) Observe(context.Context) ([]job.Sight, error) { return e.has, nil }

func (e *chunks) Start(_ context.Context, c job.Chunk) error {
	var ids []string
	for _, j := range c.Jobs {
		ids = append(ids, fmt.Sprint(j.ID, "/", j.Attempt))
	}
	slices.Sort(ids)
	e.started = append(e.started, fmt.Sprint(c.ID, " ", ids, " x", c.Parallel))
	return e.startErr
}

// ofChunk are jobs of a chunk that were dispatched long ago.
func ofChunk(chunkID string, jobs ...job.Job) *record {
	r := &record{jobs: map[string]job.Job{}, parallel: 8}
	for _, j := range jobs {
		j.Study = &job.StudyRun{ID: "s", Chunk: chunkID}
		r.jobs[j.ID] = j
	}
	return r
}

func TestLostRunsOfAChunkStartAgainTogether(t *testing.T) {
	t.Parallel()
	pending := func(id string, attempt int) job.Job { return job.Job{ID: id, State: job.Pending, Attempt: attempt} }
	jobs := ofChunk("c", pending("1", 1), pending("2", 2), pending("3", 1), job.Job{ID: "4", State: job.Succeeded})
	jobs.jobs["single"] = pending("single", 1)
	runs := &chunks{}
	r := newReconciler(jobs, &runs.engine)
	r.Engine = runs
	report, err := r.Run(t.Context(), 0)
	if diff := cmp.Diff([]string{"c [1/2 2/3 3/2] x1", "single [single/2] x1"}, runs.started); err != nil || diff != "" {
		t.Errorf("%v, -want +got:\n%s", err, diff)
	}
	if report.Restarted != 4 || jobs.jobs["1"].Attempt != 2 || jobs.jobs["2"].Attempt != 3 || jobs.jobs["4"].Attempt != 0 {
		t.Errorf("%+v, on record %+v", report, jobs.jobs)
	}
}

// A run that brings its machine down uses up its own attempts, and none of those that go on beside it or wait behind it.
func TestOneBadRunCostsItsNeighboursNothing(t *testing.T) {
	t.Parallel()
	began := noon.Add(-time.Minute)
	at := func(id string, state job.State, attempt int) job.Job {
		j := job.Job{ID: id, State: state, Attempt: attempt}
		if state == job.Running {
			j.StartedAt, j.Lost = &began, attempt-1
		}
		return j
	}
	for _, tt := range []struct {
		name    string
		lost    []job.Job
		started string
		state   job.State // of the first
	}{
		{
			"nothing has begun", []job.Job{at("1", job.Pending, 1), at("2", job.Pending, 1), at("3", job.Pending, 1)},
			"c [1/2 2/2 3/2] x3", job.Pending,
		}, {
			"what never began is not blamed for it", []job.Job{at("1", job.Pending, 7), at("2", job.Pending, 7)}, "c [1/8 2/8] x1", job.Pending,
		}, {
			"side by side, either may be to blame", []job.Job{at("1", job.Running, 1), at("2", job.Running, 1), at("3", job.Pending, 1)},
			"c [1/2 2/2 3/1] x1", job.Running,
		}, {
			"the first is to blame", []job.Job{at("1", job.Running, 2), at("2", job.Running, 2), at("3", job.Pending, 1)},
			"c [1/3 2/2 3/1] x1", job.Running,
		}, {
			"the first is given up", []job.Job{at("1", job.Running, 3), at("2", job.Running, 2), at("3", job.Pending, 1)},
			"c [2/2 3/1] x1", job.Failed,
		}, {
			"the first has gone down before its state was read", []job.Job{at("1", job.Pending, 1), at("2", job.Running, 2)},
			"c [1/2 2/2] x1", job.Pending,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			jobs := ofChunk("c", tt.lost...)
			runs := &chunks{}
			r := newReconciler(jobs, &runs.engine)
			r.Engine = runs
			if _, err := r.Run(t.Context(), 0); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{tt.started}, runs.started); diff != "" || jobs.jobs["1"].State != tt.state {
				t.Errorf("the first is %s, -want +got:\n%s", jobs.jobs["1"].State, diff)
			}
			for _, j := range jobs.jobs {
				if want := fmt.Sprint(j.ID, "/", j.Attempt); j.State.Active() && !strings.Contains(tt.started, want) {
					t.Errorf("%s is on record, though %s were started", want, tt.started)
				}
			}
		})
	}
}

// meeting is an engine in which two chunks can only be stopped together.
type meeting struct {
	chunks
	both sync.WaitGroup
}

func (e *meeting) Stop(ctx context.Context, _ string, _ ...string) error {
	e.both.Done()
	met := make(chan struct{})
	go func() {
		e.both.Wait()
		close(met)
	}()
	select {
	case <-met:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func TestChunksAreStoppedSideBySide(t *testing.T) {
	t.Parallel()
	jobs, runs := &record{jobs: map[string]job.Job{}}, &meeting{}
	for _, id := range []string{"1", "2"} {
		jobs.jobs[id] = job.Job{ID: id, State: job.Running, CancelRequested: true, StartedAt: &noon}
		runs.has = append(runs.has, sights(job.Observation{JobID: id, State: job.Running})...)
	}
	runs.both.Add(2)
	r := newReconciler(jobs, &runs.engine)
	r.Engine = runs
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if report, err := r.Run(ctx, 0); err != nil || report.Stopped != 2 {
		t.Errorf("%+v, %v", report, err)
	}
}

// A chunk ends early, for example with its pod: the engine forgets it, and what it has not done is lost and starts again under its name.
func TestWhatAChunkLeavesUndoneStartsAgain(t *testing.T) {
	t.Parallel()
	began := noon.Add(-time.Minute)
	jobs := ofChunk("c", job.Job{ID: "1", State: job.Running, Attempt: 1, StartedAt: &began}, job.Job{ID: "2", State: job.Pending, Attempt: 1})
	runs := &chunks{has: []job.Sight{{
		ChunkID: "c", Runs: []job.Observation{{JobID: "1", State: job.Succeeded, FinishedAt: &noon}}, Ended: true,
	}}}
	r := newReconciler(jobs, &runs.engine)
	r.Engine = runs
	if _, err := r.Run(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"forget c"}, runs.noted); diff != "" || len(runs.started) > 0 {
		t.Fatalf("started %v, -want +got:\n%s", runs.started, diff)
	}
	runs.has = nil
	if _, err := r.Run(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"c [2/2] x1"}, runs.started); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestStudiesAreBroughtInLineBeforeRunsAreDispatched(t *testing.T) {
	t.Parallel()
	jobs := &record{jobs: map[string]job.Job{"j": {ID: "j", State: job.Queued}}}
	jobs.stepErr = errUnreachable
	report, err := newReconciler(jobs, &engine{}).Run(t.Context(), 0)
	if !errors.Is(err, errUnreachable) || jobs.steps != 1 || report.Dispatched != 1 {
		t.Errorf("%v after %d steps: %+v", err, jobs.steps, report)
	}
}

func TestExpiredResultsOfStudiesAreRemovedTogether(t *testing.T) {
	t.Parallel()
	longAgo := noon.Add(-31 * 24 * time.Hour)
	for _, fails := range []bool{false, true} {
		jobs := &record{jobs: map[string]job.Job{}, studies: []study.Study{
			{ID: "old", Namespace: "sumo-a", FinishedAt: &longAgo}, {ID: "recent", Namespace: "sumo-a", FinishedAt: &earlier},
		}}
		store := &objects{modified: map[string]time.Time{
			"results/sumo-a/old/1/files.zip": longAgo, "results/sumo-a/old/2/fcd.xml": longAgo, "views/sumo-a/old/1/plots": longAgo,
			"results/sumo-a/recent/1/files.zip": longAgo, "results/sumo-b/old/1/files.zip": longAgo,
		}}
		want, left, pruned := []string{"results/sumo-a/recent/1/files.zip", "results/sumo-b/old/1/files.zip"}, 1, 1
		if fails {
			store.deleteErr = errUnreachable
			want, left, pruned = slices.Sorted(maps.Keys(store.modified)), 2, 0
		}
		r := newReconciler(jobs, &engine{})
		r.Objects, r.Config.KeepResults = store, 30*24*time.Hour
		report, err := r.Run(t.Context(), 0)
		if errors.Is(err, errUnreachable) != fails || !cmp.Equal(report, reconcile.Report{Passes: 1, PrunedKeys: 4, PrunedStudies: pruned}) {
			t.Errorf("%v: %+v", err, report)
		}
		if diff := cmp.Diff(want, slices.Sorted(maps.Keys(store.modified))); diff != "" || len(jobs.studies) != left {
			t.Errorf("%d studies have results, -want +got:\n%s", len(jobs.studies), diff)
		}
	}
}
