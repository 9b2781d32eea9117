package argo

import (
	"context"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/chunk"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

const (
	statusPodPending = `{"phase":"Running","nodes":{"a":{"id":"a","type":"Pod","phase":"Pending","message":"Unschedulable: no node"}}}`
	statusNoImage    = `{"phase":"Running","nodes":{"a":{"id":"a","type":"Pod","phase":"Pending","message":"ImagePullBackOff: none",
		"startedAt":"2026-11-22T10:00:00Z"}}}`
	statusDone    = `{"phase":"Succeeded","finishedAt":"2026-11-22T10:00:00Z","nodes":{"a":{"id":"a","type":"Pod","phase":"Succeeded"}}}`
	statusEvicted = `{"phase":"Error","finishedAt":"2026-11-22T10:00:00Z","nodes":{"a":{"id":"a","type":"Pod","phase":"Error",
		"message":"The node was low on resource: memory."}}}`
	statusNoScenario = `{"phase":"Error","finishedAt":"2026-11-22T10:00:00Z","nodes":{"a":{"id":"a","type":"Pod","phase":"Error",
		"message":"init: Error (exit code 64): artifact scenario failed to load: The specified key does not exist."}}}`
	statusBrokenNode = `{"phase":"Error","finishedAt":"2026-11-22T10:00:00Z","nodes":{"a":{"id":"a","type":"Pod","phase":"Failed",
		"message":"main: Error (exit code 2)","outputs":{"exitCode":"2"}}}}`
	statusNotBegun = `{"phase":"Error","finishedAt":"2026-11-22T10:00:00Z","message":"invalid spec"}`
)

func ranAt(minute int) time.Time { return time.Date(2026, 11, 22, 9, minute, 0, 0, time.UTC) }

// runEnded is the state of a run that has ended for reason.
func runEnded(reason simulation.Reason) chunk.RunState {
	outcome := reason.Unreported()
	outcome.StartedAt, outcome.FinishedAt = ranAt(1), ranAt(2)
	return chunk.RunState{StartedAt: ranAt(0), Outcome: &outcome, StoredAt: ranAt(3), Results: []job.ResultFile{{Name: "log.txt", Size: 4}}}
}

// sees waits until the only chunk is seen as wanted.
func (b *bundle) sees(t *testing.T, what string, is func(job.Sight) bool) job.Sight {
	t.Helper()
	var last []job.Sight
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		seen, err := b.Observe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if last = seen; len(seen) == 1 && is(seen[0]) {
			return seen[0]
		}
		select {
		case <-b.Changed():
		case <-time.After(100 * time.Millisecond):
		}
	}
	t.Fatalf("waiting for %s, the engine still sees %+v", what, last)
	return job.Sight{}
}

func (b *bundle) startChunk(t *testing.T, runs int) job.Chunk {
	t.Helper()
	c := aChunk(runs)
	if err := b.Start(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	return c
}

// The end of a job is on record when its results are stored, though its pod takes seconds to close.
func TestAJobEndsBeforeItsWorkflow(t *testing.T) {
	t.Parallel()
	b := setup(t)
	j := aJob()
	b.start(t, j)
	b.api.set(t, j.Namespace, j.ID, statusRunning)
	b.keep(t, j.Namespace, j.ID, map[string]chunk.RunState{j.ID: {StartedAt: ranAt(0), Progress: 0.5}})
	running := b.sees(t, "its run", func(s job.Sight) bool { return s.Of(j.ID).Progress == 0.5 }).Of(j.ID)
	if running.State != job.Running || !running.StartedAt.Equal(ranAt(0)) {
		t.Errorf("it runs as %+v", running)
	}
	b.keep(t, j.Namespace, j.ID, map[string]chunk.RunState{j.ID: runEnded("")})
	ended := b.sees(t, "its end", func(s job.Sight) bool { return s.Of(j.ID).State.Terminal() })
	want := job.Observation{
		JobID: j.ID, State: job.Succeeded, Progress: 1, StartedAt: new(ranAt(1)), FinishedAt: new(ranAt(2)), StoredAt: new(ranAt(3)),
		Results: []job.ResultFile{{Name: "log.txt", Size: 4, Roles: []simulation.Output{}}}, Roles: map[simulation.Output]string{},
	}
	if diff := cmp.Diff(want, ended.Of(j.ID), cmpopts.EquateEmpty()); diff != "" || ended.Ended {
		t.Errorf("it has ended as (-want +got), its chunk too: %t\n%s", ended.Ended, diff)
	}
	b.api.set(t, j.Namespace, j.ID, statusSucceeded)
	last := b.sees(t, "the workflow's end", func(s job.Sight) bool { return s.Ended })
	if diff := cmp.Diff(want, last.Of(j.ID), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("at last (-want +got):\n%s", diff)
	}
}

func TestAnEndedRunHasTheDigestOfItsImage(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ node, reference, want string }{
		"from a registry": {"registry.example/sumo@sha256:abc", "registry.example/sumo:1.18", "registry.example/sumo:1.18@sha256:abc"},
		"of Docker's":     {"docker-pullable://registry.example/sumo@sha256:abc", "sumo:1.18", "sumo:1.18@sha256:abc"},
		"from nowhere":    {"sha256:abc", "dev.local/sumo:1.18", "dev.local/sumo:1.18"},
		"already named":   {"registry.example/sumo@sha256:abc", "sumo@sha256:abc", "sumo@sha256:abc"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			c := b.startChunk(t, 2)
			b.api.setPods("Running")
			b.api.setImage(tt.node)
			b.api.set(t, c.Jobs[0].Namespace, c.ID, statusRunning)
			ended := runEnded("")
			ended.Outcome.Image = tt.reference
			runs := map[string]chunk.RunState{}
			for i, j := range c.Jobs { // one after the other
				runs[j.ID] = ended
				b.keep(t, c.Jobs[0].Namespace, c.ID, runs)
				s := b.sees(t, "the end of a run", func(s job.Sight) bool { return s.Of(j.ID).State.Terminal() })
				if got := s.Of(j.ID).Image; got != tt.want {
					t.Errorf("the image of run %d is %q, want %q", i, got, tt.want)
				}
			}
			if n := b.api.called("PODS"); n > 1 {
				t.Errorf("the pods of a chunk were listed %d times", n)
			}
		})
	}
}

func TestAnInterruptedJobHasNotEndedWhileArgoRepeatsIt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	j := aJob()
	b.start(t, j)
	b.api.set(t, j.Namespace, j.ID, statusRunning)
	b.keep(t, j.Namespace, j.ID, map[string]chunk.RunState{j.ID: runEnded(simulation.Interrupted)})
	o := b.sees(t, "the interruption", func(s job.Sight) bool { return s.Of(j.ID).StartedAt.Equal(ranAt(0)) }).Of(j.ID)
	if o.State != job.Running {
		t.Errorf("it is %+v", o)
	}
	b.api.set(t, j.Namespace, j.ID, statusEvicted)
	b.sees(t, "its loss", func(s job.Sight) bool { return s.Ended && s.Of(j.ID).Reason == simulation.Interrupted })
}

func TestEachRunOfAChunkIsSeenByItself(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.startChunk(t, 4)
	ns, id := c.Jobs[0].Namespace, func(i int) string { return c.Jobs[i].ID }
	waits := b.sees(t, "the chunk", func(job.Sight) bool { return true })
	if o := waits.Of(id(0)); o.State != job.Pending || len(waits.Runs) != 0 {
		t.Errorf("at first it is %+v", waits)
	}
	b.api.set(t, ns, c.ID, statusPodPending)
	b.sees(t, "why it waits", func(s job.Sight) bool { return strings.Contains(s.Of(id(3)).Message, "waits for a machine") })
	b.api.set(t, ns, c.ID, statusRunning)
	b.keep(t, ns, c.ID, map[string]chunk.RunState{
		id(0): runEnded(""), id(1): runEnded(simulation.OutOfMemory), id(2): {StartedAt: ranAt(4), Progress: 0.1},
	})
	s := b.sees(t, "its runs", func(s job.Sight) bool { return len(s.Runs) == 3 })
	got := []job.State{s.Of(id(0)).State, s.Of(id(1)).State, s.Of(id(2)).State, s.Of(id(3)).State}
	if diff := cmp.Diff([]job.State{job.Succeeded, job.Failed, job.Running, job.Pending}, got); diff != "" || s.Ended {
		t.Errorf("ended: %t; -want +got:\n%s", s.Ended, diff)
	}
	// The pod is lost, or has left something out: what it has not stored is started again, as reconcile sees from the end of the chunk.
	for _, status := range []string{statusEvicted, statusDone} {
		b.api.set(t, ns, c.ID, status)
		s = b.sees(t, "the chunk's end", func(s job.Sight) bool { return s.Ended })
		got = []job.State{s.Of(id(0)).State, s.Of(id(1)).State, s.Of(id(2)).State, s.Of(id(3)).State}
		if diff := cmp.Diff([]job.State{job.Succeeded, job.Failed, "", ""}, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
}

// A keeper may report the last runs just before the pod ends: what was read of them earlier does not decide.
func TestAChunkDoesNotEndBeforeItsStateWasReadAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.startChunk(t, 1)
	ns, id := c.Jobs[0].Namespace, c.Jobs[0].ID
	b.api.set(t, ns, c.ID, statusRunning)
	b.sees(t, "the chunk", func(job.Sight) bool { return true })
	b.keep(t, ns, c.ID, map[string]chunk.RunState{id: runEnded("")})
	b.api.set(t, ns, c.ID, statusDone)
	b.sees(t, "the chunk's end", func(s job.Sight) bool {
		if s.Ended && s.Of(id).State != job.Succeeded {
			t.Fatalf("it ended as %+v", s)
		}
		return s.Ended
	})
}

func TestAnUnreachableStoreEndsNoChunk(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.states.objects = silentStore{b.objects}
	c := b.startChunk(t, 1)
	b.api.set(t, c.Jobs[0].Namespace, c.ID, statusEvicted)
	for range 3 {
		s := b.sees(t, "the chunk", func(job.Sight) bool { return true })
		if s.Ended || s.Of(c.Jobs[0].ID).State != job.Pending {
			t.Fatalf("it is seen as %+v", s)
		}
		time.Sleep(chunk.ReportEvery / 2)
	}
}

func TestAStateThatCannotBeReadHoldsUpItsOwnChunkOnly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	bad, good := b.startChunk(t, 2), b.startChunk(t, 1)
	sightOf := func(c job.Chunk) job.Sight {
		t.Helper()
		seen, err := b.Observe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		at := slices.IndexFunc(seen, func(s job.Sight) bool { return s.ChunkID == c.ID })
		if at < 0 {
			t.Fatalf("chunk %s is not among %+v", c.ID, seen)
		}
		return seen[at]
	}
	await := func(c job.Chunk, is func(job.Sight) bool) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); !is(sightOf(c)); time.Sleep(50 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("it is seen as %+v", sightOf(c))
			}
		}
	}
	ns := bad.Jobs[0].Namespace
	succeeded := func(c job.Chunk, i int) bool { return sightOf(c).Of(c.Jobs[i].ID).State == job.Succeeded }
	b.api.set(t, ns, bad.ID, statusRunning)
	b.api.set(t, ns, good.ID, statusRunning)
	b.keep(t, ns, bad.ID, map[string]chunk.RunState{bad.Jobs[0].ID: runEnded("")})
	await(bad, func(job.Sight) bool { return succeeded(bad, 0) })
	if err := b.put(t.Context(), artifact.ChunkState(ns, bad.ID), []byte("not a state")); err != nil {
		t.Fatal(err)
	}
	b.keep(t, ns, good.ID, map[string]chunk.RunState{good.Jobs[0].ID: runEnded("")})
	b.api.set(t, ns, bad.ID, statusDone)
	b.api.set(t, ns, good.ID, statusDone)
	await(good, func(s job.Sight) bool { return s.Ended })
	if !succeeded(good, 0) || !succeeded(bad, 0) || sightOf(bad).Ended {
		t.Errorf("they are %+v and %+v", sightOf(good), sightOf(bad))
	}
	b.keep(t, ns, bad.ID, map[string]chunk.RunState{bad.Jobs[0].ID: runEnded(""), bad.Jobs[1].ID: runEnded("")})
	await(bad, func(s job.Sight) bool { return s.Ended })
	if !succeeded(bad, 1) {
		t.Errorf("in the end it is %+v", sightOf(bad))
	}
}

// Nothing writes the state of a chunk whose pod is gone.
func TestAStateThatIsBrokenForGoodLosesItsRuns(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.startChunk(t, 1)
	ns := c.Jobs[0].Namespace
	if err := b.put(t.Context(), artifact.ChunkState(ns, c.ID), []byte("not a state")); err != nil {
		t.Fatal(err)
	}
	b.api.set(t, ns, c.ID, statusEvicted)
	if s := b.sees(t, "the eviction", func(job.Sight) bool { return b.runs.get(c.ID).Status.Phase != "" }); s.Ended {
		t.Fatalf("at first it is %+v", s)
	}
	b.now = func() time.Time { return time.Now().Add(2 * patience) }
	s := b.sees(t, "its end", func(s job.Sight) bool { return s.Ended })
	if o := s.Of(c.Jobs[0].ID); o.State != "" {
		t.Errorf("its run ended as %+v", o)
	}
}

func TestWhatWouldEndTheSameWayAgainEndsEveryRunOfAChunk(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		status string
		want   simulation.Reason // empty: the runs are lost
	}{
		"no image":            {statusNoImage, simulation.ImagePullFailed},
		"no scenario":         {statusNoScenario, simulation.InternalError},
		"no pod":              {statusNotBegun, simulation.InternalError},
		"sumo-run begins not": {statusBrokenNode, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			c := b.startChunk(t, 2)
			b.api.set(t, c.Jobs[0].Namespace, c.ID, tt.status)
			o := b.sees(t, "the end", func(s job.Sight) bool { return s.Ended }).Of(c.Jobs[1].ID)
			if o.Reason != tt.want || o.JobID != c.Jobs[1].ID || o.State.Terminal() != (tt.want != "") {
				t.Errorf("a run ended as %+v", o)
			}
		})
	}
}

func TestStatesAreListedOnceASecondAndReadWhenTheyHaveChanged(t *testing.T) {
	t.Parallel()
	b := setup(t)
	counted := &countingStore{Store: b.objects}
	b.states.objects = counted
	now := time.Now()
	b.states.now = func() time.Time { return now }
	c := b.startChunk(t, 1)
	ns := c.Jobs[0].Namespace
	b.keep(t, ns, "of another installation", nil)
	look := func(lists, reads int) {
		t.Helper()
		for range 3 {
			if _, err := b.Observe(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if counted.lists != lists || counted.reads != reads {
			t.Errorf("%d lists and %d reads, want %d and %d", counted.lists, counted.reads, lists, reads)
		}
	}
	look(1, 1)
	now = now.Add(time.Second)
	look(2, 1)
	b.keep(t, ns, c.ID, map[string]chunk.RunState{c.Jobs[0].ID: {Progress: 0.5}})
	now = now.Add(time.Second)
	look(3, 2)
}

// countingStore counts requests. One goroutine at a time uses it.
type countingStore struct {
	artifact.Store
	lists, reads int
}

func (s *countingStore) List(ctx context.Context, prefix string, yield func(artifact.Object) bool) error {
	s.lists++
	return s.Store.List(ctx, prefix, yield)
}

func (s *countingStore) Open(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	s.reads++
	return s.Store.Open(ctx, key, offset, length)
}

func TestCancellingRunsOfAChunk(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.startChunk(t, 3)
	ns, id := c.Jobs[0].Namespace, func(i int) string { return c.Jobs[i].ID }
	stop := func(want []string, shutdown bool, jobs ...string) {
		t.Helper()
		if err := b.Stop(t.Context(), c.ID, jobs...); err != nil {
			t.Fatal(err)
		}
		var got chunk.Cancelled
		if err := b.readJSON(t.Context(), artifact.ChunkCancelled(ns, c.ID), &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got.Runs, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("cancelled (-want +got):\n%s", diff)
		}
		if got := b.api.workflow(ns, c.ID)["spec"].(map[string]any)["shutdown"] != nil; got != shutdown {
			t.Errorf("the workflow is stopped: %t, want %t", got, shutdown)
		}
	}
	b.api.set(t, ns, c.ID, statusRunning)
	b.sees(t, "the pod", func(job.Sight) bool { return b.runs.get(c.ID).Status.Phase != "" })
	stop([]string{id(1)}, false, id(1))
	b.keep(t, ns, c.ID, map[string]chunk.RunState{id(0): runEnded("")})
	b.sees(t, "its end", func(s job.Sight) bool { return s.Of(id(0)).State.Terminal() })
	// Nothing is left that is wanted, and the pod sees to that itself.
	stop([]string{id(1), id(2)}, false, id(1), id(2))
	stop([]string{id(1), id(2)}, false, id(2))
	b.now = func() time.Time { return time.Now().Add(2 * skipTime) }
	stop([]string{id(1), id(2)}, true, id(2))
}

// Reconcile asks with each pass until the runs have ended, of every chunk of a study that is cancelled.
func TestCancellingAgainTakesNoRequest(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.startChunk(t, 3)
	ns, id := c.Jobs[0].Namespace, func(i int) string { return c.Jobs[i].ID }
	b.api.set(t, ns, c.ID, statusRunning)
	b.sees(t, "the pod", func(job.Sight) bool { return b.runs.get(c.ID).Status.Phase != "" })
	counted := &countingStore{Store: b.objects}
	b.Engine.objects = counted
	stop := func(want int, jobs ...string) {
		t.Helper()
		if err := b.Stop(t.Context(), c.ID, jobs...); err != nil {
			t.Fatal(err)
		}
		if counted.reads != want {
			t.Errorf("after %v was cancelled there were %d reads, want %d", jobs, counted.reads, want)
		}
	}
	stop(2, id(0), id(1))
	stop(2, id(0), id(1))
	stop(2, id(1))
	stop(3, id(1), id(2))
	// What another process has written over is written again.
	if err := b.put(t.Context(), artifact.ChunkCancelled(ns, c.ID), []byte(`{"runs":[]}`)); err != nil {
		t.Fatal(err)
	}
	b.now = func() time.Time { return time.Now().Add(2 * cancelAgain) }
	stop(4, id(2))
	var got chunk.Cancelled
	if err := b.readJSON(t.Context(), artifact.ChunkCancelled(ns, c.ID), &got); err != nil || !slices.Contains(got.Runs, id(2)) {
		t.Errorf("cancelled are %v (%v)", got.Runs, err)
	}
}

func TestAChunkOfWhichNothingIsWantedIsStoppedBeforeItHasAPod(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.startChunk(t, 2)
	if err := b.Stop(t.Context(), c.ID, c.Jobs[0].ID, c.Jobs[1].ID); err != nil {
		t.Fatal(err)
	}
	if got := b.api.workflow(c.Jobs[0].Namespace, c.ID)["spec"].(map[string]any)["shutdown"]; got != "Stop" {
		t.Errorf("shutdown is %v", got)
	}
}

func TestAForgottenChunkLeavesNothingAndItsNameIsFreeWhenItsPodsAreGone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.api.keeps = true
	c := b.startChunk(t, 2)
	ns := c.Jobs[0].Namespace
	b.sees(t, "the chunk", func(job.Sight) bool { return true })
	if err := b.Forget(t.Context(), []string{c.ID}); err != nil {
		t.Fatal(err)
	}
	for _, prefix := range []string{artifact.ChunkPrefix, artifact.StatePrefix} {
		if err := b.objects.List(t.Context(), prefix, func(o artifact.Object) bool { t.Errorf("%s is left", o.Key); return true }); err != nil {
			t.Fatal(err)
		}
	}
	if seen, err := b.Observe(t.Context()); err != nil || len(seen) != 0 {
		t.Errorf("it is still seen: %+v (%v)", seen, err)
	}
	if err := b.Start(t.Context(), c); problem.CodeOf(err) != problem.Unavailable {
		t.Errorf("starting it again while its pods are being removed: %v", err)
	}
	b.api.vanish(ns, c.ID)
	c.Jobs = slices.Clone(c.Jobs[1:]) // the other one has ended
	if err := b.Start(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	var list chunk.List
	if err := b.readJSON(t.Context(), artifact.ChunkList(ns, c.ID), &list); err != nil || len(list.Runs) != 1 {
		t.Errorf("its list is %+v (%v)", list, err)
	}
}

// A start that is repeated, perhaps of fewer runs, changes nothing of a chunk that the engine has.
func TestStartingAChunkAgainKeepsItsList(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.startChunk(t, 3)
	ns := c.Jobs[0].Namespace
	b.keep(t, ns, c.ID, map[string]chunk.RunState{c.Jobs[0].ID: runEnded("")})
	fewer := c
	fewer.Jobs = c.Jobs[1:]
	if err := b.Start(t.Context(), fewer); err != nil {
		t.Fatal(err)
	}
	var list chunk.List
	if err := b.readJSON(t.Context(), artifact.ChunkList(ns, c.ID), &list); err != nil || len(list.Runs) != 3 {
		t.Errorf("its list is %+v (%v)", list, err)
	}
	b.sees(t, "the run that has ended", func(s job.Sight) bool { return s.Of(c.Jobs[0].ID).State == job.Succeeded })
}
