package argo

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/rs/zerolog"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/chunk"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

func aJob() job.Job {
	id := uuid.Must(uuid.NewV7()).String()
	return job.Job{
		ID: id, TenantID: "acme corp", Namespace: "sumo-acme", Name: "morning peak", ScenarioKey: "scenarios/sumo-acme/u1.zip",
		ResultsKey: artifact.ResultsOf("sumo-acme", id),
		State:      job.Pending, CPURequest: 2, MemoryGi: 4, TimeoutSeconds: 3600,
	}
}

// aChunk is one of so many runs of a study, two at a time.
func aChunk(runs int) job.Chunk {
	c := job.Chunk{ID: uuid.NewString(), Parallel: 2}
	study := uuid.NewString()
	for i := range runs {
		j := aJob()
		j.Study = &job.StudyRun{ID: study, Replication: i, Chunk: c.ID}
		j.ResultsKey = artifact.ResultsOfRun(j.Namespace, study, j.ID)
		c.Jobs = append(c.Jobs, j)
	}
	return c
}

// startFirst makes the workflow of a job as the release made it that knew the first generation only.
func (b *bundle) startFirst(t *testing.T, j job.Job) {
	t.Helper()
	_, err := b.workflows.Workflows(j.Namespace).Create(t.Context(), &wfv1.Workflow{ObjectMeta: metav1.ObjectMeta{
		Name: job.RunName(j.ID), Namespace: j.Namespace, Annotations: map[string]string{titleAnnotation: j.Name},
		Labels: map[string]string{jobLabel: j.ID, installationLabel: b.cfg.Installation},
	}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

// keep writes what a chunk's keeper says.
func (b *bundle) keep(t *testing.T, namespace, id string, runs map[string]chunk.RunState) {
	t.Helper()
	text, err := chunk.State{ID: id, Runs: runs}.Encode()
	if err == nil {
		err = b.put(t.Context(), artifact.ChunkState(namespace, id), text)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// observed are the observations of all jobs of which the engine has any.
func (b *bundle) observed(ctx context.Context) (all []job.Observation, err error) {
	seen, err := b.Observe(ctx)
	for _, s := range seen {
		if s.Others.State != "" {
			all = append(all, s.Of(s.ChunkID))
		}
		all = append(all, s.Runs...)
	}
	return all, err
}

// jobStates are the observed states by job.
func (b *bundle) jobStates(t *testing.T) map[string]job.State {
	t.Helper()
	seen, err := b.observed(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	states := map[string]job.State{}
	for _, o := range seen {
		states[o.JobID] = o.State
	}
	return states
}

// see waits until the only job is observed as wanted.
func (b *bundle) see(t *testing.T, what string, is func([]job.Observation) bool) []job.Observation {
	t.Helper()
	for {
		seen, err := b.observed(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if is(seen) {
			return seen
		}
		select {
		case <-b.Changed():
		case <-time.After(time.Minute):
			t.Fatalf("waiting for %s, the engine still sees %+v", what, seen)
		}
	}
}

func (b *bundle) start(t *testing.T, jobs ...job.Job) {
	t.Helper()
	for _, j := range jobs {
		if err := b.Start(t.Context(), job.Single(j)); err != nil {
			t.Fatal(err)
		}
	}
}

const (
	statusRunning   = `{"phase":"Running","nodes":{"a":{"id":"a","type":"Pod","phase":"Running","progress":"250/1000"}}}`
	statusSucceeded = `{"phase":"Succeeded","finishedAt":"2026-11-22T10:00:00Z","nodes":{"a":{"id":"a","type":"Pod","phase":"Succeeded",
		"outputs":{"exitCode":"0","parameters":[{"name":"outcome","value":"{\"started_at\":\"2026-11-22T09:00:00Z\",\"finished_at\":\"2026-11-22T09:59:00Z\"}"}]}}}}`
)

func TestAWorkflowIsATemplateWithArgumentsAndNothingElse(t *testing.T) {
	t.Parallel()
	seed := int64(7)
	options := simulation.Options{ConfigFile: "a{{=1+1}}.sumocfg", Seed: &seed, SumoVersion: "1.18"}
	one := aJob()
	one.ID = "018f0000-0000-7000-8000-000000000001"
	one.Name, one.Priority, one.Options = "peak {{workflow.uid}} [x](http://evil)", job.High, options
	one.Traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	several := aChunk(5)
	several.ID = "018f0000-0000-7000-8000-000000000002"
	for i := range several.Jobs {
		several.Jobs[i].Options = options
		several.Jobs[i].OverlayKey = "scenarios/sumo-acme/o1.zip"
		several.Jobs[i].Study.ID = "018f0000-0000-7000-8000-000000000003"
	}
	for name, tt := range map[string]struct {
		chunk job.Chunk
		want  string
	}{
		"a job": {job.Single(one), `apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata:
  annotations:
    sumo-k8.io/traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
    workflows.argoproj.io/description: 'Job 018f0000-0000-7000-8000-000000000001 of
      tenant acme corp: 2 cores, 4 GiB, at most 1h0m0s.'
    workflows.argoproj.io/title: peak workflow.uid x http://evil
  labels:
    sumo-k8.io/chunk: 018f0000-0000-7000-8000-000000000001
    sumo-k8.io/installation: sumo-k8
    sumo-k8.io/job: 018f0000-0000-7000-8000-000000000001
    sumo-k8.io/tenant: sumo-acme
  name: sumo-018f0000-0000-7000-8000-000000000001
  namespace: sumo-acme
spec:
  arguments:
    parameters:
    - name: list-key
      value: chunks/sumo-acme/018f0000-0000-7000-8000-000000000001/runs.json
    - name: scenario-key
      value: scenarios/sumo-acme/u1.zip
    - name: overlay-key
      value: ""
    - name: overlay
      value: ""
    - name: parallel
      value: "1"
    - name: deadline
      value: "5100"
    - name: cpu
      value: "2"
    - name: memory
      value: 4Gi
    - name: priority-class
      value: sumo-k8-high
  workflowTemplateRef:
    name: sumo-1-18-g2
status:
  finishedAt: null
  startedAt: null
`},
		"runs of a study": {several, `apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata:
  annotations:
    workflows.argoproj.io/description: 'Chunk 018f0000-0000-7000-8000-000000000002
      of study 018f0000-0000-7000-8000-000000000003 of tenant acme corp: 5 runs, 2
      at a time, each with 2 cores, 4 GiB, at most 1h0m0s.'
    workflows.argoproj.io/title: morning peak (5 runs)
  labels:
    sumo-k8.io/chunk: 018f0000-0000-7000-8000-000000000002
    sumo-k8.io/installation: sumo-k8.studies
    sumo-k8.io/tenant: sumo-acme
  name: sumo-018f0000-0000-7000-8000-000000000002
  namespace: sumo-acme
spec:
  arguments:
    parameters:
    - name: list-key
      value: chunks/sumo-acme/018f0000-0000-7000-8000-000000000002/runs.json
    - name: scenario-key
      value: scenarios/sumo-acme/u1.zip
    - name: overlay-key
      value: scenarios/sumo-acme/o1.zip
    - name: overlay
      value: /scenario/overlay.zip
    - name: parallel
      value: "2"
    - name: deadline
      value: "12300"
    - name: cpu
      value: "4"
    - name: memory
      value: 8Gi
    - name: priority-class
      value: ""
  workflowTemplateRef:
    name: sumo-1-18-g2
status:
  finishedAt: null
  startedAt: null
`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.cfg.PriorityClasses = map[job.Priority]string{job.High: "sumo-k8-high"}
			if err := b.Start(t.Context(), tt.chunk); err != nil {
				t.Fatal(err)
			}
			got := b.api.workflow("sumo-acme", tt.chunk.ID)
			for _, given := range []string{"resourceVersion", "uid", "creationTimestamp"} { // by the API server
				delete(got["metadata"].(map[string]any), given)
			}
			text, err := yaml.Marshal(got)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, string(text)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if err := yaml.UnmarshalStrict(text, &wfv1.Workflow{}); err != nil {
				t.Errorf("Argo cannot read it: %v", err)
			}
			var list chunk.List
			if err := b.readJSON(t.Context(), artifact.ChunkList("sumo-acme", tt.chunk.ID), &list); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(chunk.ListOf(tt.chunk), list); diff != "" {
				t.Errorf("its list (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAJobWithoutATraceHasNoAnnotationOfOne(t *testing.T) {
	t.Parallel()
	b, j := setup(t), aJob()
	b.start(t, j)
	annotations := b.api.workflow(j.Namespace, j.ID)["metadata"].(map[string]any)["annotations"].(map[string]any)
	if value, is := annotations[traceAnnotation]; is || len(annotations) == 0 {
		t.Errorf("it is %v among %v", value, annotations)
	}
}

func TestStartingTwiceMakesOneWorkflow(t *testing.T) {
	t.Parallel()
	b := setup(t)
	j := aJob()
	b.start(t, j, j)
	if diff := cmp.Diff(map[string]job.State{j.ID: job.Pending}, b.jobStates(t)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestWhatWasStartedIsObservedAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for range 50 { // the watch may be faster, but not every time
		j := aJob()
		b.start(t, j)
		if _, seen := b.jobStates(t)[j.ID]; !seen {
			t.Fatal("a job that was started is not observed; it would count as lost")
		}
	}
}

func TestARunIsFollowedToItsEndWithOneListAndOneWatch(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.api.perPage = 1
	j, other := aJob(), aJob()
	b.startFirst(t, j)
	b.startFirst(t, other)
	b.jobStates(t)
	b.api.set(t, j.Namespace, j.ID, statusRunning)
	running := b.see(t, "the run", func(seen []job.Observation) bool {
		return slices.ContainsFunc(seen, func(o job.Observation) bool { return o.State == job.Running })
	})
	for _, o := range running {
		if o.JobID == j.ID && (o.Progress != 0.25 || o.StartedAt == nil) {
			t.Errorf("progress %v, started %v", o.Progress, o.StartedAt)
		}
	}
	key := artifact.ResultsOf(j.Namespace, j.ID)
	sums := strings.Repeat("0", 64) + "  log.txt\n"
	for name, text := range map[string]string{"log.txt": "1234", "scenario/e1.xml": "1234", simulation.ChecksumFile: sums} {
		if _, err := b.objects.Put(t.Context(), key+name, strings.NewReader(text), ""); err != nil {
			t.Fatal(err)
		}
	}
	b.api.set(t, j.Namespace, j.ID, statusSucceeded)
	ended := b.see(t, "the end", func(seen []job.Observation) bool {
		return slices.ContainsFunc(seen, func(o job.Observation) bool { return o.State == job.Succeeded })
	})
	started, finished := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC), time.Date(2026, 11, 22, 9, 59, 0, 0, time.UTC)
	stored := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC) // Argo's end is when the results are stored, sumo-run's that of the run
	want := job.Observation{
		JobID: j.ID, State: job.Succeeded, Progress: 1, StartedAt: &started, FinishedAt: &finished, StoredAt: &stored,
		Results: []job.ResultFile{
			{Name: "log.txt", Size: 4, SHA256: sums[:64]}, {Name: "scenario/e1.xml", Size: 4},
			{Name: simulation.ChecksumFile, Size: int64(len(sums)), SHA256: fmt.Sprintf("%x", sha256.Sum256([]byte(sums)))},
		},
	}
	i := slices.IndexFunc(ended, func(o job.Observation) bool { return o.JobID == j.ID })
	if diff := cmp.Diff(want, ended[i]); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if lists, watches := b.api.called("LIST"), b.api.called("WATCH"); lists != 2 || watches != 1 {
		t.Errorf("%d lists and %d watches, want two pages of one list and one watch", lists, watches)
	}
}

func TestNothingIsMissedWhenAWatchBreaks(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		cause func(*bundle)
	}{
		{"the connection ends", func(b *bundle) { b.api.hangUp() }},
		{"the watch is too old", func(b *bundle) {
			b.api.send(map[string]any{"type": "ERROR", "object": status(http.StatusGone)})
			b.api.hangUp()
		}},
		{"the API server cannot list for a while", func(b *bundle) {
			b.api.fail("LIST", http.StatusForbidden)
			b.api.hangUp()
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			stays, goes := aJob(), aJob()
			b.start(t, stays, goes)
			b.jobStates(t)
			tt.cause(b)
			b.api.vanish(goes.Namespace, goes.ID)
			b.api.set(t, stays.Namespace, stays.ID, statusRunning)
			deadline := time.Now().Add(time.Minute)
			for {
				// While the copy is not current, observing waits or fails; it never answers with what is old.
				seen, err := b.observed(t.Context())
				if err == nil && len(seen) == 1 && seen[0].JobID == stays.ID && seen[0].State == job.Running {
					return
				}
				if time.Now().After(deadline) {
					t.Fatalf("the engine still sees %+v (%v)", seen, err)
				}
				time.Sleep(time.Millisecond)
			}
		})
	}
}

// A list without a watch grows old: a run that another process has started since would count as lost.
func TestNothingOldIsReportedWhileNoWatchCanBeOpened(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first, second := aJob(), aJob()
	b.start(t, first)
	b.jobStates(t)
	watches := b.api.called("WATCH")
	b.api.cutOff("WATCH", true)
	b.api.hangUp()
	for b.api.called("WATCH") < watches+2 { // the copy was listed anew, and the watch is being tried again
		time.Sleep(time.Millisecond)
	}
	elsewhere, err := New(Config{}, b.client, b.objects, time.Now, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(elsewhere.Close)
	if err := elsewhere.Start(t.Context(), job.Single(second)); err != nil {
		t.Fatal(err)
	}
	for _, opens := range []bool{false, true} {
		b.api.cutOff("WATCH", !opens)
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		if opens {
			ctx, cancel = context.WithTimeout(t.Context(), 2*time.Minute)
		}
		seen, err := b.observed(ctx)
		cancel()
		if err == nil && len(seen) != 2 || opens && err != nil {
			t.Fatalf("%d runs are reported (%v), want 2", len(seen), err)
		}
	}
}

func TestAWorkflowThatArgoHasMissedIsTouched(t *testing.T) {
	t.Parallel()
	b := setup(t)
	now := time.Now() // and it stays so long as the test takes
	b.now = func() time.Time { return now }
	neglected, begun, fresh := aJob(), aJob(), aJob()
	b.start(t, neglected, begun, fresh)
	b.api.set(t, begun.Namespace, begun.ID, statusRunning)
	for _, j := range []job.Job{neglected, begun} {
		b.api.age(j.Namespace, j.ID, time.Hour)
	}
	touched := func(j job.Job) bool {
		annotations := b.api.workflow(j.Namespace, j.ID)["metadata"].(map[string]any)["annotations"].(map[string]any)
		return annotations[touchedAnnotation] != nil
	}
	b.see(t, "the touch", func([]job.Observation) bool { return touched(neglected) })
	if touched(begun) || touched(fresh) {
		t.Error("one that runs, or has just been made, was touched")
	}
}

func TestAWorkflowThatCameBeforeItsTemplateIsMadeAgain(t *testing.T) {
	t.Parallel()
	const unknown = `{"phase":"Error","finishedAt":"2026-11-22T10:00:00Z","message":"workflowtemplates.argoproj.io \"sumo-1-18\" not found"}`
	b, j := setup(t), aJob()
	var provided atomic.Int32
	b.cfg.Provide = func(_ context.Context, namespace string) error {
		if namespace == j.Namespace {
			provided.Add(1)
		}
		return errors.New("which is logged")
	}
	b.start(t, j)
	b.api.age(j.Namespace, j.ID, time.Hour) // nobody has reconciled since
	uid := func() any { return b.api.workflow(j.Namespace, j.ID)["metadata"].(map[string]any)["uid"] }
	spec := b.api.workflow(j.Namespace, j.ID)["spec"]
	before := uid()
	b.api.set(t, j.Namespace, j.ID, unknown)
	b.see(t, "another workflow", func(seen []job.Observation) bool {
		if len(seen) != 1 || seen[0].State != job.Pending {
			t.Fatalf("the job is seen as %+v, want PENDING", seen)
		}
		return uid() != before
	})
	if provided.Load() == 0 {
		t.Error("the namespace was not provided with templates")
	}
	again := b.api.workflow(j.Namespace, j.ID)
	if diff := cmp.Diff(spec, again["spec"]); diff != "" {
		t.Errorf("the spec (-first +again):\n%s", diff)
	}
	b.api.set(t, j.Namespace, j.ID, statusRunning)
	b.see(t, "the run", func(seen []job.Observation) bool { return len(seen) == 1 && seen[0].State == job.Running })

	// A template that does not come ends the job.
	b.now = func() time.Time { return time.Now().Add(patience) }
	b.api.set(t, j.Namespace, j.ID, unknown)
	b.see(t, "the end", func(seen []job.Observation) bool {
		return len(seen) == 1 && seen[0].State == job.Failed && seen[0].Reason == simulation.InternalError
	})
}

func TestAMissedWorkflowHasAnotherWhileOnceItWasTouched(t *testing.T) {
	t.Parallel()
	at := func(age time.Duration) string { return noon.Add(-age).Format(time.RFC3339) }
	for name, tt := range map[string]struct {
		created, touched, phase string
		want                    bool
	}{
		"new":                   {at(time.Second), "", "", false},
		"old":                   {at(time.Minute), "", "", true},
		"old, and Argo began":   {at(time.Minute), "", "Pending", false},
		"old, touched just now": {at(time.Minute), at(time.Second), "", false},
		"touched in vain":       {at(time.Minute), at(30 * time.Second), "", true},
	} {
		var w wfv1.Workflow
		text := fmt.Sprintf(
			`{"metadata": {"creationTimestamp": %q, "annotations": {%q: %q}}, "status": {"phase": %q}}`, tt.created, touchedAnnotation, tt.touched,
			tt.phase,
		)
		if err := json.Unmarshal([]byte(text), &w); err != nil {
			t.Fatal(err)
		}
		if got := missed(&w, noon); got != tt.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestStopIsAskedForOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	j := aJob()
	b.start(t, j)
	b.jobStates(t)
	b.api.set(t, j.Namespace, j.ID, statusRunning)
	for range 3 {
		if err := b.Stop(t.Context(), j.ID); err != nil {
			t.Fatal(err)
		}
	}
	if got := b.api.workflow(j.Namespace, j.ID)["spec"].(map[string]any)["shutdown"]; got != "Stop" {
		t.Errorf("shutdown is %v, want Stop, with which Argo stores the outputs", got)
	}
	if n := b.api.called(http.MethodPatch); n != 1 {
		t.Errorf("%d patches, want 1", n)
	}
}

func TestStoppingAndForgettingWhatIsNotThereIsNoError(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if err := b.Stop(t.Context(), aJob().ID); err != nil {
		t.Error(err)
	}
	if err := b.Forget(t.Context(), []string{aJob().ID}); err != nil {
		t.Error(err)
	}
}

func TestForgottenRunsAreRemoved(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var ids []string
	for range 20 {
		j := aJob()
		b.start(t, j)
		ids = append(ids, j.ID)
	}
	stays := aJob()
	b.start(t, stays)
	if err := b.Forget(t.Context(), ids); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]job.State{stays.ID: job.Pending}, b.jobStates(t)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestAnEndIsNotReportedBeforeItsResultsAreKnown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	j := aJob()
	b.startFirst(t, j)
	b.api.set(t, j.Namespace, j.ID, statusSucceeded)
	store := b.Engine.objects
	b.Engine.objects = silentStore{store}
	for _, o := range b.see(t, "the run", func(seen []job.Observation) bool { return len(seen) == 1 && seen[0].State != job.Pending }) {
		if o.State != job.Running || !strings.Contains(o.Message, "results are being stored") {
			t.Errorf("while the store is unreachable the run is %s: %s", o.State, o.Message)
		}
	}
	b.Engine.objects = store
	if got := b.jobStates(t)[j.ID]; got != job.Succeeded {
		t.Errorf("once the store is back the run is %s", got)
	}
}

func TestAStoppedRunEndsWithItsPod(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(*bundle, *testing.T, job.Job){
		"by Argo":     (*bundle).startFirst,
		"by a keeper": func(b *bundle, t *testing.T, j job.Job) { b.start(t, j) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			j := aJob()
			start(b, t, j)
			b.jobStates(t)
			if err := b.Stop(t.Context(), j.ID); err != nil {
				t.Fatal(err)
			}
			b.api.setPods("Running")
			b.api.set(
				t, j.Namespace, j.ID,
				`{"phase":"Failed","nodes":{"a":{"id":"a","type":"Pod","phase":"Failed","message":"workflow shutdown with strategy:  Stop"}}}`,
			)
			b.see(t, "that the results come", func(seen []job.Observation) bool {
				return seen[0].State == job.Running && strings.Contains(seen[0].Message, "results are being stored")
			})
			text := `{"reason":"Interrupted","message":"stopped","started_at":"2026-11-22T09:00:00Z","finished_at":"2026-11-22T09:59:00Z","summary":{"sumo_version":"1.18.0","partial":true}}`
			if name == "by Argo" {
				if err := b.put(t.Context(), j.ResultsKey+simulation.OutcomeFile, []byte(text)); err != nil {
					t.Fatal(err)
				}
			} else {
				var outcome simulation.Outcome
				if err := json.Unmarshal([]byte(text), &outcome); err != nil {
					t.Fatal(err)
				}
				b.keep(t, j.Namespace, j.ID, map[string]chunk.RunState{
					j.ID: {Outcome: &outcome, Results: []job.ResultFile{{Name: simulation.OutcomeFile}}},
				})
			}
			b.api.setPods("Succeeded", "Failed")
			b.see(t, "the end", func(seen []job.Observation) bool { return terminal(seen[0]) })
			for range 2 { // the second time from memory
				seen, err := b.observed(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				o := seen[0]
				if o.State != job.Cancelled || len(o.Results) != 1 || o.Summary == nil || !o.Summary.Partial || o.FinishedAt.Minute() != 59 {
					t.Errorf("it is %+v", o)
				}
			}
		})
	}
}

// silentStore is an object store that does not answer.
type silentStore struct{ artifact.Store }

func (silentStore) List(context.Context, string, func(artifact.Object) bool) error {
	return problem.New(problem.Unavailable, "unreachable")
}

func TestAnUnreachableAPIServerIsUnavailable(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.api.fail(http.MethodPost, http.StatusInternalServerError)
	if err := b.Start(t.Context(), job.Single(aJob())); problem.CodeOf(err) != problem.Unavailable {
		t.Errorf("start: %v", err)
	}
	b.api.fail("LIST", http.StatusInternalServerError)
	if _, err := b.Observe(t.Context()); problem.CodeOf(err) != problem.Unavailable {
		t.Errorf("observe: %v", err)
	}
}

func TestAClosedEngineSeesNothingRatherThanNoRuns(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.jobStates(t)
	b.Close()
	if seen, err := b.Observe(t.Context()); err == nil {
		t.Errorf("it answers %v, as if all runs were lost", seen)
	}
}
