package local_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/chunk"
	"github.com/sumo-k8/sumo-k8/pkg/engine/local"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/process/processtest"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// chunkOf is a chunk of n runs of a study, whose ids are numbers.
func chunkOf(id string, n, parallel int) job.Chunk {
	c := job.Chunk{ID: id, Parallel: parallel}
	for i := range n {
		seed := int64(i)
		j := job.Job{
			ID: fmt.Sprintf("%s-%d", id, i), Namespace: "sumo-t", ScenarioKey: artifact.ScenarioKey("sumo-t", id), MemoryGi: 1,
			TimeoutSeconds: 60, SubmittedAt: time.Now(), Study: &job.StudyRun{ID: "study", Replication: i, Chunk: id},
			Options: simulation.Options{Seed: &seed},
		}
		j.ResultsKey = artifact.ResultsOfRun(j.Namespace, j.Study.ID, j.ID)
		c.Jobs = append(c.Jobs, j)
	}
	return c
}

// startChunk hands over a chunk whose runs are script.
func (b *bench) startChunk(t *testing.T, c job.Chunk, script string) {
	t.Helper()
	if _, err := b.objects.Put(t.Context(), c.Jobs[0].ScenarioKey, strings.NewReader(script), "application/zip"); err != nil {
		t.Fatal(err)
	}
	if err := b.Start(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

func (b *bench) seeEnded(t *testing.T, id string) job.Sight {
	t.Helper()
	return b.seeChunk(t, id, "ended", func(s job.Sight) bool { return s.Ended })
}

// seeRun waits until is accepts a run of a chunk.
func (b *bench) seeRun(t *testing.T, chunkID, id string, is func(job.Observation) bool) job.Observation {
	t.Helper()
	return b.seeChunk(t, chunkID, "as wanted", func(s job.Sight) bool { return is(s.Of(id)) }).Of(id)
}

func running(o job.Observation) bool { return o.State == job.Running }

func terminal(o job.Observation) bool { return o.State.Terminal() }

// again starts what a chunk that has ended left without an end, as reconcile does.
func (b *bench) again(t *testing.T, c job.Chunk) (lost job.Chunk) {
	t.Helper()
	s := b.seeEnded(t, c.ID)
	lost = job.Chunk{ID: c.ID, Parallel: c.Parallel}
	for _, j := range c.Jobs {
		if !s.Of(j.ID).State.Terminal() {
			lost.Jobs = append(lost.Jobs, j)
		}
	}
	if err := b.Forget(t.Context(), []string{c.ID}); err != nil {
		t.Fatal(err)
	}
	if len(lost.Jobs) > 0 {
		if err := b.Start(t.Context(), lost); err != nil {
			t.Fatal(err)
		}
	}
	return lost
}

func TestEveryRunOfAChunkEndsOnceWithItsOwnResults(t *testing.T) {
	t.Parallel()
	const n = 50
	b := newBench(t, nil)
	c := chunkOf("c", n, 4)
	b.startChunk(t, c, `echo $id >>"$SCRATCH/begun"; echo "$options" >"$out/log.txt"; head -c 2000000 /dev/zero >"$out/big.bin"
		case $id in *7) finish SimulationError;; *) finish "";; esac`)
	s := b.seeEnded(t, c.ID)
	if s.Others.State != "" || len(s.Runs) != n {
		t.Errorf("the chunk ended with %d runs and others %+v", len(s.Runs), s.Others)
	}
	for i, j := range c.Jobs {
		o := s.Of(j.ID)
		want := job.Succeeded
		if strings.HasSuffix(j.ID, "7") {
			want = job.Failed
		}
		if o.State != want || o.StartedAt == nil || o.FinishedAt == nil || o.StoredAt == nil {
			t.Errorf("run %s ended as %+v", j.ID, o)
		}
		if diff := cmp.Diff([]string{"big.bin", "log.txt", "outcome.json"}, names(o.Results)); diff != "" {
			t.Errorf("results of %s (-want +got):\n%s", j.ID, diff)
		}
		at := slices.IndexFunc(o.Results, func(f job.ResultFile) bool { return f.Name == "log.txt" })
		if got := b.read(t, j.ResultsKey+artifact.PackFile, o.Results[at].Offset, o.Results[at].Size); got != fmt.Sprintf("{\"seed\":%d}\n", i) {
			t.Errorf("the log of %s is %q", j.ID, got)
		}
	}
	if got := len(b.traces(t, "begun")); got != n {
		t.Errorf("%d runs began, want %d", got, n)
	}
	if err := b.Forget(t.Context(), []string{c.ID}); err != nil {
		t.Fatal(err)
	}
	if left, err := b.folders(); err != nil || len(left) > 0 {
		t.Errorf("folders left: %v, %v", left, err)
	}
}

// read reads a part of an object.
func (b *bench) read(t *testing.T, key string, offset, length int64) string {
	t.Helper()
	body, err := b.objects.Open(t.Context(), key, offset, length)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	text, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestAChunkTakesSlotsAsTheyBecomeFreeAndGivesBackWhatItsLastRunsDoNotNeed(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *local.Config) { c.Slots = 3 })
	c := chunkOf("c", 2, 8)
	b.startChunk(t, c, `wait_for "$SCRATCH/$id"; finish ""`)
	busy := func() int {
		nodes, err := b.Nodes(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return nodes[0].PodsRunning
	}
	for _, j := range c.Jobs {
		b.seeRun(t, c.ID, j.ID, running)
	}
	if got := busy(); got != 2 {
		t.Errorf("two runs take %d slots", got)
	}
	other := chunkOf("other", 2, 2)
	b.startChunk(t, other, `echo $id >>"$SCRATCH/order"; wait_for "$SCRATCH/go"; finish ""`)
	b.seeRun(t, "other", "other-0", running)
	if got := busy(); got != 3 {
		t.Errorf("with a chunk that finds one slot free, %d are busy", got)
	}
	b.start(t, "single", `finish ""`, nil)
	if o := b.seeRun(t, "other", "other-1", func(o job.Observation) bool { return true }); o.State != job.Pending {
		t.Errorf("the second run of a chunk with one slot is %s", o.State)
	}
	b.allow(t, "c-0")
	b.seeEnd(t, "single") // in the slot of the first run, while the chunk goes on
	if s := b.seeChunk(t, c.ID, "there", func(job.Sight) bool { return true }); s.Ended || s.Of("c-1").State != job.Running {
		t.Errorf("the chunk is %+v", s)
	}
	b.seeRun(t, "other", "other-1", running) // since nothing else waits for the slot
	if got := busy(); got != 3 {
		t.Errorf("with a chunk that was widened, %d slots are busy", got)
	}
	b.allow(t, "c-1")
	b.allow(t, "go")
	b.seeEnded(t, c.ID)
	b.seeEnded(t, other.ID)
	if got := busy(); got != 0 {
		t.Errorf("in the end %d slots are busy", got)
	}
}

func TestTheNextChunkIsOfTheTenantWithTheFewestRunsAtWorkAndStudiesGoLast(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *local.Config) { c.Slots = 2 })
	began := time.Now()
	of := func(tenant string, after int, priority job.Priority) func(*job.Job) {
		return func(j *job.Job) {
			j.Namespace, j.SubmittedAt, j.Priority = "sumo-"+tenant, began.Add(time.Duration(after)*time.Second), priority
		}
	}
	const note = `echo $id >>"$SCRATCH/order"; finish ""`
	b.start(t, "hold-a", `wait_for "$SCRATCH/a"; finish ""`, of("a", 0, job.Normal))
	b.start(t, "hold-b", `wait_for "$SCRATCH/b"; finish ""`, of("b", 0, job.Normal))
	b.seeState(t, "hold-a", job.Running)
	b.seeState(t, "hold-b", job.Running)
	study := chunkOf("study-c", 1, 1)
	study.Jobs[0].Namespace, study.Jobs[0].SubmittedAt = "sumo-c", began
	b.startChunk(t, study, note)
	b.start(t, "a-early", note, of("a", 1, job.Normal))
	b.start(t, "a-urgent", note, of("a", 9, job.High))
	b.start(t, "b-late", note, of("b", 8, job.Normal))
	b.start(t, "c-late", note, of("c", 7, job.Normal))
	b.allow(t, "b") // now a has one run at work, b and c none
	for _, id := range []string{"a-early", "a-urgent", "b-late", "c-late"} {
		b.seeEnd(t, id)
	}
	b.seeEnded(t, study.ID)
	b.allow(t, "a")
	if diff := cmp.Diff([]string{"a-urgent", "c-late", "b-late", "study-c-0", "a-early"}, b.traces(t, "order")); diff != "" {
		t.Errorf("order of runs (-want +got):\n%s", diff)
	}
}

func TestStoppingRunsOfAChunkLeavesTheOthersAlone(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	c := chunkOf("c", 5, 2)
	b.startChunk(t, c, `trap 'finish Interrupted; exit 31' TERM; echo part >"$out/log.txt"; echo $id >>"$SCRATCH/begun"
		until [ -e "$SCRATCH/go" ]; do sleep 0.01; done; finish ""`)
	b.seeRun(t, c.ID, "c-0", running)
	b.traceLines(t, "begun", 2) // after the trap
	if err := b.Stop(t.Context(), c.ID, "c-0", "c-4"); err != nil {
		t.Fatal(err)
	}
	begun, waiting := b.seeRun(t, c.ID, "c-0", terminal), b.seeRun(t, c.ID, "c-4", terminal)
	if begun.State != job.Cancelled || !slices.Contains(names(begun.Results), "log.txt") {
		t.Errorf("the run that had begun ended as %+v", begun)
	}
	if waiting.State != job.Cancelled || len(waiting.Results) > 0 {
		t.Errorf("the run that had not begun ended as %+v", waiting)
	}
	b.allow(t, "go")
	s := b.seeEnded(t, c.ID)
	for _, id := range []string{"c-1", "c-2", "c-3"} {
		if o := s.Of(id); o.State != job.Succeeded {
			t.Errorf("%s ended as %+v", id, o)
		}
	}
	if begun := b.traces(t, "begun"); slices.Contains(begun, "c-4") || len(begun) != 4 {
		t.Errorf("runs that began: %v", begun)
	}
}

func TestStoppingAChunkEndsAllThatHasNotEnded(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	c := chunkOf("c", 20, 2)
	b.startChunk(t, c, `trap 'finish Interrupted; exit 31' TERM
		case $id in c-0) finish ""; exit 0;; esac
		: >"$SCRATCH/$id"; while :; do sleep 0.01; done`)
	b.trace(t, "c-1")
	b.seeRun(t, c.ID, "c-0", terminal)
	b.trace(t, "c-2") // in the place of the first
	if err := b.Stop(t.Context(), c.ID); err != nil {
		t.Fatal(err)
	}
	s := b.seeEnded(t, c.ID)
	for _, j := range c.Jobs {
		want := job.Cancelled
		if j.ID == "c-0" {
			want = job.Succeeded
		}
		if o := s.Of(j.ID); o.State != want {
			t.Errorf("%s ended as %+v", j.ID, o)
		}
	}
}

func TestStoppingRunsOfAWaitingChunk(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *local.Config) { c.Slots = 1 })
	b.start(t, "first", `wait_for "$SCRATCH/go"; finish ""`, nil)
	c, whole := chunkOf("c", 3, 1), chunkOf("whole", 3, 1)
	b.startChunk(t, c, `echo $id >>"$SCRATCH/begun"; finish ""`)
	b.startChunk(t, whole, `echo $id >>"$SCRATCH/begun"; finish ""`)
	if err := b.Stop(t.Context(), c.ID, "c-1"); err != nil {
		t.Fatal(err)
	}
	if err := b.Stop(t.Context(), whole.ID); err != nil {
		t.Fatal(err)
	}
	s := b.seeEnded(t, whole.ID)
	for _, j := range whole.Jobs {
		if o := s.Of(j.ID); o.State != job.Cancelled || o.StartedAt != nil {
			t.Errorf("%s ended as %+v", j.ID, o)
		}
	}
	if o := b.seeRun(t, c.ID, "c-1", terminal); o.State != job.Cancelled {
		t.Errorf("c-1 ended as %+v", o)
	}
	b.allow(t, "go")
	b.seeEnded(t, c.ID)
	if diff := cmp.Diff([]string{"c-0", "c-2"}, b.traces(t, "begun")); diff != "" {
		t.Errorf("runs that began (-want +got):\n%s", diff)
	}
}

func TestASumoRunThatIsKilledLosesTheRunsAtWorkOnly(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	c := chunkOf("c", 6, 2)
	// The second run brings sumo-run down while the first is at work, once.
	b.startChunk(t, c, `echo $id >>"$SCRATCH/begun"
		case $id in
		c-0) [ -e "$SCRATCH/killed" ] || { wait_for "$SCRATCH/never"; };;
		c-1) [ -e "$SCRATCH/killed" ] || { wait_for "$SCRATCH/kill"; : >"$SCRATCH/killed"; kill -9 $PPID; exit; };;
		esac
		finish ""`)
	b.seeRun(t, c.ID, "c-0", running)
	b.seeRun(t, c.ID, "c-1", running)
	b.traceLines(t, "begun", 2)
	b.allow(t, "kill")
	s := b.seeEnded(t, c.ID)
	for i, j := range c.Jobs {
		want := job.Succeeded
		if i < 2 {
			want = "" // lost
		}
		if o := s.Of(j.ID); o.State != want {
			t.Errorf("%s ended as %+v, want %q", j.ID, o, want)
		}
	}
	lost := b.again(t, c)
	if len(lost.Jobs) != 2 {
		t.Fatalf("%d runs were lost, want 2", len(lost.Jobs))
	}
	s = b.seeEnded(t, c.ID)
	for _, j := range lost.Jobs {
		if o := s.Of(j.ID); o.State != job.Succeeded {
			t.Errorf("started again, %s ended as %+v", j.ID, o)
		}
	}
	begun := b.traces(t, "begun")
	slices.Sort(begun)
	if diff := cmp.Diff([]string{"c-0", "c-0", "c-1", "c-1", "c-2", "c-3", "c-4", "c-5"}, begun); diff != "" {
		t.Errorf("runs that began (-want +got):\n%s", diff)
	}
}

func TestASumoRunThatHangsIsKilledAndTheOtherRunsGoOn(t *testing.T) {
	t.Parallel()
	const script = `case $id in c-0|c-1) trap '' TERM; : >"$SCRATCH/$id"; sleep 200;; esac; finish ""`
	for name, tt := range map[string]struct {
		grace time.Duration
		stop  []string
		want  map[string]job.State
	}{
		"past all timeouts": {tooLong, nil, map[string]job.State{"c-0": job.Failed, "c-1": job.Failed, "c-2": job.Succeeded}},
		"when one of its runs is cancelled": {
			50 * time.Millisecond, []string{"c-0"}, map[string]job.State{"c-0": job.Cancelled, "c-1": "", "c-2": job.Succeeded},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, func(c *local.Config) { c.StopGrace = tt.grace })
			c := chunkOf("c", 3, 2)
			for i := range c.Jobs {
				c.Jobs[i].TimeoutSeconds = 1
				if tt.stop != nil {
					c.Jobs[i].TimeoutSeconds = 600
				}
			}
			b.startChunk(t, c, script)
			b.trace(t, "c-0")
			b.trace(t, "c-1")
			if tt.stop != nil {
				b.seeRun(t, c.ID, "c-0", running)
				if err := b.Stop(t.Context(), c.ID, tt.stop...); err != nil {
					t.Fatal(err)
				}
			}
			s := b.seeEnded(t, c.ID)
			for id, want := range tt.want {
				o := s.Of(id)
				if o.State != want || want == job.Failed && o.Reason != simulation.DeadlineExceeded {
					t.Errorf("%s ended as %+v, want %q", id, o, want)
				}
			}
		})
	}
}

// The first run hangs while the others take the time that they have: together more than what all three may take, and each by far less
// than what is left from the end before on.
func TestRunsBesideOneThatHangsAreNotBlamed(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *local.Config) { c.StopGrace = tooLong })
	c := chunkOf("c", 3, 2)
	for i := range c.Jobs {
		c.Jobs[i].TimeoutSeconds = 1
	}
	each := (tooLong + 3*time.Second) / 2
	b.startChunk(t, c, fmt.Sprintf(`case $id in c-0) sleep 200;; *) sleep %g;; esac; finish ""`, each.Seconds()))
	s := b.seeEnded(t, c.ID)
	for id, want := range map[string]job.State{"c-0": job.Failed, "c-1": job.Succeeded, "c-2": job.Succeeded} {
		if o := s.Of(id); o.State != want {
			t.Errorf("%s ended as %+v, want %s", id, o, want)
		}
	}
}

func TestASumoRunThatEndsBeforeTheFirstRunFailsTheChunkAndOneThatIsKilledLosesIt(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]job.State{
		"exit 70": job.Failed, "exit 0": job.Failed, "kill -9 $$": "", "kill $$": "", "exit 31": "",
	} {
		program := filepath.Join(t.TempDir(), "sumo-run")
		processtest.WriteProgram(t, program, "#!/bin/sh\n"+script+"\n")
		b := newBench(t, func(c *local.Config) { c.SumoRun = program })
		c := chunkOf("c", 3, 2)
		b.startChunk(t, c, "")
		s := b.seeEnded(t, c.ID)
		for _, j := range c.Jobs {
			o := s.Of(j.ID)
			if o.State != want || want == job.Failed && (o.Reason != simulation.InternalError || len(o.Results) != 1) {
				t.Errorf("%s: %s ended as %+v", script, j.ID, o)
			}
		}
	}
}

func TestARestartOfAChunkRepeatsNoRunThatHasEnded(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.close(t)
	store := &flaky{Store: b.objects}
	b.objects = store
	b.open(t)
	c := chunkOf("c", 8, 2)
	b.startChunk(t, c, `trap 'finish Interrupted; exit 31' TERM; echo $id >>"$SCRATCH/begun"
		case $id in
		c-2) wait_for "$SCRATCH/two";;
		c-3) until [ -e "$SCRATCH/go" ]; do sleep 0.01; done;;
		esac
		finish ""`)
	b.seeRun(t, c.ID, "c-0", terminal)
	b.seeRun(t, c.ID, "c-1", terminal)
	b.seeRun(t, c.ID, "c-2", running)
	b.seeRun(t, c.ID, "c-3", running)
	store.puts.Store(1 << 30)
	b.allow(t, "two") // it ends, and is not stored, and so do all but the fourth
	b.seeRun(t, c.ID, "c-7", func(o job.Observation) bool { return strings.Contains(o.Message, "results wait") })
	b.traceLines(t, "begun", len(c.Jobs)) // the fourth listens by then
	b.close(t)

	// A kill would have left the same, but for the jobs that the engine keeps.
	killed := b.cfg
	killed.Dir = filepath.Join(t.TempDir(), "killed")
	if err := os.CopyFS(killed.Dir, os.DirFS(b.cfg.Dir)); err != nil {
		t.Fatal(err)
	}
	forgetJobs(t, filepath.Join(killed.Dir, c.ID, "chunk.json"))

	store.puts.Store(0)
	b.open(t)
	if o := b.seeRun(t, c.ID, "c-3", running); !strings.Contains(o.Message, "started again") {
		t.Errorf("the run that was interrupted says %q", o.Message)
	}
	b.allow(t, "go")
	after := &bench{cfg: killed, objects: store, scratch: b.scratch}
	after.open(t)
	for name, e := range map[string]*bench{"an orderly close": b, "a kill": after} {
		s := e.seeEnded(t, c.ID)
		for _, j := range c.Jobs {
			want := job.Succeeded
			if j.ID == "c-3" && e == after {
				want = ""
			}
			if o := s.Of(j.ID); o.State != want || want != "" && !slices.Contains(names(o.Results), "outcome.json") {
				t.Errorf("after %s, %s is %+v", name, j.ID, o)
			}
		}
	}
	begun := b.traces(t, "begun")
	slices.Sort(begun)
	if diff := cmp.Diff([]string{"c-0", "c-1", "c-2", "c-3", "c-3", "c-4", "c-5", "c-6", "c-7"}, begun); diff != "" {
		t.Errorf("runs that began (-want +got):\n%s", diff)
	}
}

// forgetJobs takes out of a chunk's record what only an orderly close writes.
func forgetJobs(t *testing.T, path string) {
	t.Helper()
	var rec map[string]any
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &rec)
	}
	if err == nil {
		if rec["jobs"] == nil {
			t.Error("an orderly close kept no jobs")
		}
		delete(rec, "jobs")
		text, err = json.Marshal(rec)
	}
	if err == nil {
		err = os.WriteFile(path, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestAChunkThatWaitedAtAnOrderlyCloseIsStillThere(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *local.Config) { c.Slots = 1 })
	b.start(t, "first", `trap 'finish Interrupted; exit 31' TERM; : >"$SCRATCH/up"
		until [ -e "$SCRATCH/go" ]; do sleep 0.01; done; finish ""`, nil)
	c := chunkOf("c", 3, 1)
	b.startChunk(t, c, `finish ""`)
	if err := b.Stop(t.Context(), c.ID, "c-1"); err != nil {
		t.Fatal(err)
	}
	b.trace(t, "up")
	b.close(t)
	b.allow(t, "go")
	b.open(t)
	s := b.seeEnded(t, c.ID)
	for _, j := range c.Jobs {
		want := job.Succeeded
		if j.ID == "c-1" {
			want = "" // its end was reported before, or is asked for again
		}
		if o := s.Of(j.ID); o.State != want || o.Message != "" && want == job.Succeeded && o.Message != "reported by the run" {
			t.Errorf("%s is %+v", j.ID, o)
		}
	}
}

func TestFoldersOfTheReleaseBeforeChunksAreTakenUp(t *testing.T) {
	t.Parallel()
	const (
		ended   = "0198c0de-0000-7000-8000-000000000001"
		kept    = "0198c0de-0000-7000-8000-000000000002"
		waited  = "0198c0de-0000-7000-8000-000000000003"
		killed  = "0198c0de-0000-7000-8000-000000000004"
		stopped = "0198c0de-0000-7000-8000-000000000005"
	)
	// As that release wrote it, with the job of an orderly close.
	const theJob = `{"ID":"@","TenantID":"t","Namespace":"sumo-t","Name":"n","ScenarioDigest":"d","ScenarioKey":"scenarios/sumo-t/u.zip",` +
		`"State":"RUNNING","Reason":"","Message":"","Progress":0,"CPURequest":1,"MemoryGi":2,"Priority":0,"Options":{"seed":7},` +
		`"TimeoutSeconds":60,"Labels":{"a":"b"},"TaskToken":"","AnswersTask":false,"ProgressWebhook":null,"Webhook":null,"Traceparent":"",` +
		`"Attempt":1,"CancelRequested":false,"SumoVersion":"","Summary":null,"Results":null,"Warnings":null,"Problems":null,` +
		`"Confinement":null,"ResultsPruned":false,"Imported":null,"SubmittedAt":"2026-05-04T12:00:00Z","DispatchedAt":null,` +
		`"StartedAt":null,"FinishedAt":null,"UpdatedAt":"0001-01-01T00:00:00Z"}`
	b := newBench(t, nil)
	const script = `echo "$id $options $memory" >>"$SCRATCH/begun"; echo log >"$out/log.txt"; finish ""`
	if _, err := b.objects.Put(t.Context(), "scenarios/sumo-t/u.zip", strings.NewReader(script), ""); err != nil {
		t.Fatal(err)
	}
	b.close(t)
	write := func(id, name, text string) {
		t.Helper()
		path := filepath.Join(b.cfg.Dir, id, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "@", id)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(ended, "run.json", `{"id":"@","namespace":"sumo-t"}`)
	write(ended, "progress", "900/1000")
	write(ended, "console.log", "")
	write(ended, "out/log.txt", "the whole log")
	write(ended, "out/scenario/own.xml", "<own/>")
	write(ended, "out/outcome.json", `{"reason":"TooManyTeleports","message":"m","started_at":"2026-05-04T12:00:00Z",`+
		`"finished_at":"2026-05-04T12:00:01Z","files":{"summary":"scenario/own.xml"}}`)
	write(kept, "run.json", `{"id":"@","namespace":"sumo-t","job":`+theJob+`,"interrupted":true}`)
	write(waited, "run.json", `{"id":"@","namespace":"sumo-t","job":`+theJob+`}`)
	write(killed, "run.json", `{"id":"@","namespace":"sumo-t"}`)
	write(killed, "scenario.zip", script)
	write(killed, "work/scenario/a.xml", "<a/>")
	write(killed, "out/log.txt", "half a log")
	write(stopped, "run.json", `{"id":"@","namespace":"sumo-t"}`)
	write(stopped, "out/outcome.json", `{"reason":"Interrupted"}`)

	b.open(t)
	o := b.seeEnd(t, ended)
	at := time.Date(2026, 5, 4, 12, 0, 1, 0, time.UTC)
	if o.State != job.Failed || o.Reason != simulation.TooManyTeleports || !o.FinishedAt.Equal(at) {
		t.Errorf("the run that had ended is %+v", o)
	}
	want := map[string]string{"log.txt": "the whole log", "scenario/own.xml": "<own/>"}
	got := b.stored(t, job.Job{Namespace: "sumo-t", ID: ended})
	delete(got, "outcome.json")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("its results (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"log.txt", "outcome.json", "scenario/own.xml"}, names(o.Results)); diff != "" {
		t.Errorf("its results on record (-want +got):\n%s", diff)
	}
	for _, id := range []string{kept, waited} {
		if o := b.seeEnd(t, id); o.State != job.Succeeded || len(b.stored(t, job.Job{Namespace: "sumo-t", ID: id})) != 2 {
			t.Errorf("%s, begun again, is %+v", id, o)
		}
	}
	text, err := os.ReadFile(filepath.Join(b.scratch, "begun"))
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	slices.Sort(lines)
	limits := fmt.Sprintf(` {"seed":7} %d`, 2<<30+256<<20)
	if diff := cmp.Diff([]string{kept + limits, waited + limits}, lines); diff != "" {
		t.Errorf("runs that began, %v (-want +got):\n%s", err, diff)
	}
	seen, err := b.Observe(t.Context())
	if err != nil || len(seen) != 3 {
		t.Errorf("Observe() = %+v, %v, want the three that were not lost", seen, err)
	}
	for _, id := range []string{killed, stopped} {
		if _, known := of(seen, id); known {
			t.Errorf("%s, which was lost, is still known", id)
		}
	}
}

// counting counts how often objects are opened.
type counting struct {
	artifact.Store
	opens atomic.Int32
}

func (c *counting) Open(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	c.opens.Add(1)
	return c.Store.Open(ctx, key, offset, length)
}

func TestAScenarioIsFetchedOnceForAWhile(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.close(t)
	store := &counting{Store: b.objects}
	var later atomic.Int64
	e, err := local.New(b.cfg, store, func() time.Time { return time.Now().Add(time.Duration(later.Load())) }, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	b.Engine = e
	t.Cleanup(func() { _ = e.Close(context.Background()) })
	// Its summary says that SUMO had nothing to complain about.
	const script = `echo '{"started_at":"2026-05-04T12:00:00Z","summary":{"warnings":0}}' >"$outcome"`
	same := func(j *job.Job) { j.ScenarioKey = artifact.ScenarioKey("sumo-t", "one") }
	valid := func(id string) bool {
		t.Helper()
		var list chunk.List
		text, err := os.ReadFile(filepath.Join(b.cfg.Dir, id, "runs.json"))
		if err == nil {
			err = json.Unmarshal(text, &list)
		}
		if err != nil {
			t.Fatal(err)
		}
		return list.Runs[0].Valid
	}
	b.start(t, "first", script, same)
	b.seeEnded(t, "first")
	b.start(t, "second", "", same)
	b.start(t, "other-interval", "", func(j *job.Job) { same(j); end := 10.0; j.Options.End = &end })
	b.seeEnded(t, "second")
	b.seeEnded(t, "other-interval")
	if got := store.opens.Load(); got != 1 {
		t.Errorf("three jobs opened the scenario %d times", got)
	}
	if valid("first") || !valid("second") || valid("other-interval") {
		t.Errorf("known to be valid: first %v, second %v, other interval %v; want the second only",
			valid("first"), valid("second"), valid("other-interval"))
	}
	scenarios := func() int {
		entries, err := os.ReadDir(filepath.Join(b.cfg.Dir, ".scenarios"))
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	later.Store(int64(time.Hour))
	b.start(t, "another", script, nil)
	b.seeEnded(t, "another")
	for end := time.Now().Add(patience); scenarios() != 1; time.Sleep(5 * time.Millisecond) { // nobody waits for a removal
		if time.Now().After(end) {
			t.Fatalf("an hour later %d scenarios are kept, want the last one", scenarios())
		}
	}
	b.start(t, "third", "", same)
	b.seeEnded(t, "third")
	if got := store.opens.Load(); got != 3 || valid("third") {
		t.Errorf("after its removal the scenario was opened %d times, want 3", got)
	}
	b.close(t)
	if _, err := os.ReadDir(filepath.Join(b.cfg.Dir, ".scenarios")); !os.IsNotExist(err) {
		t.Errorf("a closed engine left scenarios: %v", err)
	}
}

func TestTheLogOfARunOfAChunkStaysUntilTheChunkIsForgotten(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	c := chunkOf("c", 2, 2)
	b.startChunk(t, c, `echo $id >"$out/log.txt"; : >"$SCRATCH/$id"; case $id in c-1) wait_for "$SCRATCH/go";; esac; finish ""`)
	read := func(j job.Job) string {
		t.Helper()
		log, err := b.OpenLog(t.Context(), j, 0)
		if err != nil {
			return string(problem.CodeOf(err))
		}
		defer log.Close()
		text, err := io.ReadAll(log)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	b.trace(t, "c-1")
	b.seeRun(t, c.ID, "c-0", terminal)
	for _, j := range c.Jobs {
		if got := read(j); got != j.ID+"\n" {
			t.Errorf("the log of %s is %q", j.ID, got)
		}
	}
	b.allow(t, "go")
	b.seeEnded(t, c.ID)
	for _, j := range c.Jobs {
		if got := read(j); got != j.ID+"\n" {
			t.Errorf("at the end of the chunk, the log of %s is %q", j.ID, got)
		}
	}
	b.again(t, c)
	if got := read(c.Jobs[0]); got != string(problem.NotFound) {
		t.Errorf("once the chunk is forgotten, its log is %q", got)
	}
}
