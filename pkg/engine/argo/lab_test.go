package argo

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/rs/zerolog"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/kube"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/store/s3"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

// labVariable names the kubeconfig of a cluster with Argo's controller, where deploy/ is applied and pods reach the object store of
// S3_ENDPOINT. `make e2e` sets it, with the object store's settings. The tests below are about that cluster; without it they are
// not run.
const labVariable = "SUMO_K8_LAB_KUBECONFIG"

var record = flag.Bool("record", false, "write the workflows that the lab shows to testdata")

// lab is a tenant on a real cluster. Every part has the rights of the function that uses it, and no others.
type lab struct {
	*Engine
	admin   *kube.Client
	logs    *kube.Logs
	objects *s3.Store
	tenant  tenant.Tenant
}

// labConfig is the cluster with the rights of one of our service accounts; all rights when it is empty.
func labConfig(t *testing.T, function string) *rest.Config {
	t.Helper()
	cfg, err := clientcmd.BuildConfigFromFlags("", os.Getenv(labVariable))
	if err != nil {
		t.Fatal(err)
	}
	if function != "" {
		cfg.Impersonate = rest.ImpersonationConfig{
			UserName: "system:serviceaccount:sumo-k8:" + function,
			Groups:   []string{"system:serviceaccounts", "system:serviceaccounts:sumo-k8", "system:authenticated"},
		}
	}
	return cfg
}

func labClient(t *testing.T, function string) *kube.Client {
	t.Helper()
	client, err := kube.NewClient(labConfig(t, function))
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// setupLab makes a tenant of its own for a test.
func setupLab(t *testing.T) *lab {
	t.Helper()
	if os.Getenv(labVariable) == "" {
		t.Skip(labVariable + " is not set")
	}
	admin := labClient(t, "")
	id := "lab-" + strings.ToLower(uuid.NewString()[:8])
	l := &lab{admin: admin, tenant: tenant.Tenant{
		ID: id, Namespace: tenant.NamespaceFor(id), Limits: tenant.Limits{MaxCPU: 8, MaxMemoryGi: 16, MaxConcurrentJobs: 8},
	}}
	endpoint, key, secret := os.Getenv("S3_ENDPOINT"), os.Getenv("S3_ACCESS_KEY"), os.Getenv("S3_SECRET_KEY")
	var err error
	l.objects, err = s3.New(s3.Config{
		Endpoint: endpoint, Region: "us-east-1", Bucket: "lab-argo", AccessKey: key, SecretKey: secret, UsePathStyle: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.objects.EnsureBucket(t.Context()); err != nil {
		t.Fatal(err)
	}
	store := kube.ObjectStore{Endpoint: endpoint, Region: "us-east-1", Bucket: "lab-argo", AccessKey: key, SecretKey: secret}
	oldest, newest := release.Oldest().Version, release.Newest().Version
	template := func(version, image, pullPolicy string) func(string) ([]byte, error) {
		return Template{
			Version: version, Image: image, PullPolicy: pullPolicy, ProgressEvery: time.Second, Output: 64 << 20, Unpacked: 256 << 20,
			Store: store,
		}.Manifest
	}
	provisioner := &kube.Provisioner{
		Client: labClient(t, "auth"), Home: "sumo-k8",
		Store: store,
		Templates: []func(string) ([]byte, error){
			template(oldest, "dev.local/sumo:"+oldest, ""), template(newest, "dev.local/sumo:"+newest, ""),
			template("0.0", "dev.local/no-such-image:0", "Never"),
		},
	}
	for range 2 { // the second time repairs what there is
		if err := provisioner.Provision(t.Context(), l.tenant); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if err := provisioner.Deprovision(context.Background(), l.tenant); err != nil {
			t.Error(err)
		}
	})
	l.Engine, err = New(Config{
		Installation: id, PriorityClasses: map[job.Priority]string{job.High: "sumo-k8-high"},
	}, labClient(t, "reconcile"), l.objects, time.Now, zerolog.New(zerolog.NewTestWriter(t)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	l.logs = kube.NewLogs(labClient(t, "logs"))
	return l
}

// job makes a job of a scenario that ships with the project.
func (l *lab) job(t *testing.T, scenario string, change func(*job.Job)) job.Job {
	t.Helper()
	f, err := os.Open(filepath.Join("..", "..", "..", "test_networks", scenario))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	j := job.Job{
		ID: uuid.Must(uuid.NewV7()).String(), TenantID: l.tenant.ID, Namespace: l.tenant.Namespace, Name: scenario,
		CPURequest: 1, MemoryGi: 1, TimeoutSeconds: 600, State: job.Pending,
		Options: simulation.Options{SumoVersion: release.Newest().Version},
	}
	j.ResultsKey = artifact.ResultsOf(j.Namespace, j.ID)
	j.ScenarioKey = artifact.ScenarioKey(j.Namespace, uuid.NewString())
	if change != nil {
		change(&j)
	}
	if _, err := l.objects.Put(t.Context(), j.ScenarioKey, f, "application/zip"); err != nil {
		t.Fatal(err)
	}
	return j
}

// patienceOnLab is what a run on a small machine may take that runs several at once.
const patienceOnLab = 4 * time.Minute

// await observes j until is accepts the observation.
func (l *lab) await(t *testing.T, j job.Job, what string, is func(job.Observation) bool) job.Observation {
	t.Helper()
	var last job.Observation
	for deadline := time.Now().Add(patienceOnLab); time.Now().Before(deadline); {
		seen, err := l.Observe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range seen {
			if s.ChunkID == j.ChunkID() {
				last = s.Of(j.ID)
				if is(last) {
					return last
				}
			}
		}
		select {
		case <-l.Changed():
		case <-time.After(time.Second):
		}
	}
	t.Fatalf("waiting for %s; at last it was %+v\n%s", what, last, l.workflowText(t, j))
	return last
}

func workflowPath(j job.Job) string {
	return "/apis/argoproj.io/v1alpha1/namespaces/" + j.Namespace + "/workflows/" + job.RunName(j.ChunkID())
}

func (l *lab) workflowText(t *testing.T, j job.Job) []byte {
	t.Helper()
	text, err := l.admin.Get().AbsPath(workflowPath(j)).Do(context.Background()).Raw()
	if err != nil {
		return []byte(err.Error())
	}
	return text
}

// keep writes j's workflow to testdata, with -record, without what differs between recordings and means nothing.
func (l *lab) keep(t *testing.T, j job.Job, name string) {
	t.Helper()
	if !*record {
		return
	}
	var w map[string]any
	if err := json.Unmarshal(l.workflowText(t, j), &w); err != nil {
		t.Fatal(err)
	}
	meta := w["metadata"].(map[string]any)
	for _, field := range []string{"managedFields", "generation", "resourceVersion"} {
		delete(meta, field)
	}
	for _, field := range []string{"storedWorkflowTemplateSpec", "storedTemplates", "artifactRepositoryRef"} {
		delete(w["status"].(map[string]any), field)
	}
	text, err := json.MarshalIndent(w, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join("testdata", name+".json"), append(text, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

func terminal(o job.Observation) bool { return o.State.Terminal() }
func running(o job.Observation) bool  { return o.State == job.Running }

// endsAs awaits j's end and holds it against what it should be.
func (l *lab) endsAs(t *testing.T, j job.Job, want verdict) job.Observation {
	t.Helper()
	o := l.await(t, j, "its end", terminal)
	if got := (verdict{o.State, o.Reason}); got != want {
		t.Fatalf("it ended as %s (%s), want %s\n%s", got, o.Message, want, l.workflowText(t, j))
	}
	return o
}

func resultNames(o job.Observation) []string {
	var names []string
	for _, r := range o.Results {
		names = append(names, r.Name)
	}
	return names
}

func TestLabRunsSUMO(t *testing.T) {
	t.Parallel()
	l := setupLab(t)
	for _, version := range []string{release.Oldest().Version, release.Newest().Version} {
		t.Run(version, func(t *testing.T) {
			began := time.Now()
			j := l.job(t, "ready_to_use/square.zip", func(j *job.Job) { j.Options.SumoVersion, j.Priority = version, job.High })
			if err := l.Start(t.Context(), job.Single(j)); err != nil {
				t.Fatal(err)
			}
			if err := l.Start(t.Context(), job.Single(j)); err != nil {
				t.Fatalf("starting it again: %v", err)
			}
			l.await(t, j, "its start", func(o job.Observation) bool { return o.State != job.Pending })
			pod := time.Since(began)
			o := l.endsAs(t, j, verdict{State: job.Succeeded})
			t.Logf("seen running after %.1fs, ended after %.1fs; sumo-run took %.1fs", pod.Seconds(), time.Since(began).Seconds(),
				o.FinishedAt.Sub(*o.StartedAt).Seconds())
			want := []string{"log.txt", "outcome.json", "sha256sums.txt", "statistics.xml", "summary.json", "summary.xml", "tripinfo.xml"}
			if !cmp.Equal(want, resultNames(o)) {
				t.Errorf("results are %v, want %v", resultNames(o), want)
			}
			if o.Summary == nil || !strings.HasPrefix(o.Summary.SumoVersion, version) {
				t.Errorf("summary is %+v", o.Summary)
			}
			l.keep(t, j, "Succeeded_"+version)
			if err := l.Forget(t.Context(), []string{j.ID}); err != nil {
				t.Fatal(err)
			}
			seen, err := l.Observe(t.Context())
			if err != nil || slices.ContainsFunc(seen, func(s job.Sight) bool { return s.ChunkID == j.ID }) {
				t.Errorf("after it was forgotten it is still seen: %v %v", seen, err)
			}
		})
	}
}

func TestLabReportsWhyRunsFail(t *testing.T) {
	t.Parallel()
	l := setupLab(t)
	for _, tt := range []struct {
		name      string
		scenario  string
		change    func(*job.Job)
		arguments map[string]string // instead of those of the job
		want      simulation.Reason
		results   bool
	}{
		{"bad scenario", "broken/not_a_zip.zip", nil, nil, simulation.InvalidScenario, true},
		{"sumo-runs deadline", "ready_to_use/grid.zip", func(j *job.Job) { endless(j); j.TimeoutSeconds = 2 }, nil,
			simulation.DeadlineExceeded, true},
		{"the pods deadline", "ready_to_use/grid.zip", endless, map[string]string{deadlineParameter: "6"}, simulation.DeadlineExceeded, false},
		{"memory", "ready_to_use/grid.zip", endless, map[string]string{memoryParameter: "20Mi"}, simulation.OutOfMemory, false},
		{"scenario gone", "ready_to_use/square.zip", nil, map[string]string{scenarioKeyParameter: "scenarios/none.zip"},
			simulation.InternalError, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			j := l.job(t, tt.scenario, tt.change)
			w := l.cfg.workflowOf(job.Single(j))
			if err := l.putObjects(t.Context(), j.Namespace, job.Single(j)); err != nil {
				t.Fatal(err)
			}
			for i, p := range w.Spec.Arguments.Parameters {
				if value, changed := tt.arguments[p.Name]; changed {
					w.Spec.Arguments.Parameters[i].Value = wfv1.AnyStringPtr(value)
				}
			}
			if _, err := l.workflows.Workflows(j.Namespace).Create(t.Context(), w, metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
			o := l.endsAs(t, j, verdict{job.Failed, tt.want})
			l.keep(t, j, string(tt.want)+"_"+strings.ReplaceAll(tt.name, " ", "-"))
			if tt.results && !slices.Contains(resultNames(o), simulation.OutcomeFile) {
				t.Errorf("results are %v", resultNames(o))
			}
			t.Logf("%s: %s", o.Reason, o.Message)
		})
	}
}

func TestLabImageMissing(t *testing.T) {
	t.Parallel()
	l := setupLab(t)
	j := l.job(t, "ready_to_use/square.zip", func(j *job.Job) { j.Options.SumoVersion = "0.0" })
	if err := l.Start(t.Context(), job.Single(j)); err != nil {
		t.Fatal(err)
	}
	for { // until its pod waits for the image
		seen, err := l.Observe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(seen) == 1 && seen[0].Of(j.ID).Message != "" {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	l.now = func() time.Time { return time.Now().Add(time.Hour) }
	l.endsAs(t, j, verdict{job.Failed, simulation.ImagePullFailed})
	l.keep(t, j, string(simulation.ImagePullFailed)+"_never")
	if err := l.Forget(t.Context(), []string{j.ID}); err != nil {
		t.Fatal(err)
	}
}

// pods are those of j that run.
func (l *lab) pods(t *testing.T, j job.Job) []*corev1.Pod {
	t.Helper()
	var running []*corev1.Pod
	err := kube.EachPodOf(t.Context(), l.admin, j.Namespace, j.ChunkID(), func(p *corev1.Pod) {
		if p.Status.Phase == corev1.PodRunning {
			running = append(running, p)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return running
}

// endless runs for minutes, on a fast machine too.
func endless(j *job.Job) {
	step := 0.002
	j.Options.StepLength = &step
}

func TestLabStopKeepsWhatWasWritten(t *testing.T) {
	t.Parallel()
	l := setupLab(t)
	j := l.job(t, "ready_to_use/grid.zip", endless)
	if err := l.Start(t.Context(), job.Single(j)); err != nil {
		t.Fatal(err)
	}
	l.await(t, j, "progress", func(o job.Observation) bool { return running(o) && o.Progress > 0 })
	began := time.Now()
	if err := l.Stop(t.Context(), j.ID); err != nil {
		t.Fatal(err)
	}
	o := l.endsAs(t, j, verdict{job.Cancelled, simulation.Cancelled})
	t.Logf("ended %.1fs after it was asked to", time.Since(began).Seconds())
	l.keep(t, j, "Cancelled_running")
	for _, name := range []string{simulation.LogFile, simulation.OutcomeFile, "summary.xml", "tripinfo.xml"} {
		if !slices.Contains(resultNames(o), name) {
			t.Errorf("%s is not among the results %v", name, resultNames(o))
		}
	}
	if o.Summary == nil || !o.Summary.Partial {
		t.Errorf("the summary is %+v, want that of a part of the run", o.Summary)
	}
}

// TestLabLostPodsAreRepeated removes the pod of a run. In place of one that was new, or deleted without grace, Argo makes another
// for the same attempt. The run ends well in each case, with all that belongs to it.
func TestLabLostPodsAreRepeated(t *testing.T) {
	t.Parallel()
	l := setupLab(t)
	evict := func(t *testing.T, name string) error {
		body := fmt.Sprintf(`{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":%q,"namespace":%q}}`, name, l.tenant.Namespace)
		return l.admin.Post().AbsPath("/api/v1/namespaces", l.tenant.Namespace, "pods", name, "eviction").
			Body([]byte(body)).Do(t.Context()).Error()
	}
	remove := func(t *testing.T, name string) error {
		return l.admin.Delete().AbsPath("/api/v1/namespaces", l.tenant.Namespace, "pods", name).
			Body([]byte(`{"apiVersion":"v1","kind":"DeleteOptions","gracePeriodSeconds":0}`)).Do(t.Context()).Error()
	}
	for _, c := range []struct {
		name    string
		take    func(t *testing.T, name string) error
		age     time.Duration // of the pod at least; to Argo one is new for 10 s
		counted bool
	}{
		{"evicted", evict, 11 * time.Second, true},
		{"deleted", remove, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := l.job(t, "ready_to_use/grid.zip", func(j *job.Job) { step := 0.02; j.Options.StepLength = &step })
			if err := l.Start(t.Context(), job.Single(j)); err != nil {
				t.Fatal(err)
			}
			var first, second []*corev1.Pod
			l.await(t, j, "its pod", func(o job.Observation) bool { first = l.pods(t, j); return running(o) && len(first) == 1 })
			seen := time.Now()
			l.await(t, j, "its age", func(job.Observation) bool { return time.Since(seen) > c.age })
			if err := c.take(t, first[0].Name); err != nil {
				t.Fatal(err)
			}
			o := l.await(t, j, "another pod", func(o job.Observation) bool {
				second = l.pods(t, j)
				return running(o) && len(second) == 1 && second[0].UID != first[0].UID
			})
			if c.counted && !strings.Contains(o.Message, "attempt 2") {
				t.Errorf("the second attempt has the message %q", o.Message)
			}
			o = l.endsAs(t, j, verdict{job.Succeeded, ""})
			if o.Summary == nil || o.Summary.Partial || !slices.Contains(resultNames(o), "tripinfo.xml") {
				t.Errorf("the summary is %+v, the results are %v", o.Summary, resultNames(o))
			}
		})
	}
}

func TestLabAWorkflowThatVanishedIsNotObserved(t *testing.T) {
	t.Parallel()
	l := setupLab(t)
	j := l.job(t, "ready_to_use/grid.zip", endless)
	if err := l.Start(t.Context(), job.Single(j)); err != nil {
		t.Fatal(err)
	}
	l.await(t, j, "its start", running)
	if err := l.admin.Delete().AbsPath(workflowPath(j)).Do(t.Context()).Error(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(patienceOnLab); ; {
		seen, err := l.Observe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(seen, func(s job.Sight) bool { return s.ChunkID == j.ID }) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("it is still seen: %+v", seen)
		}
		<-l.Changed()
	}
	if err := l.Start(t.Context(), job.Single(j)); err != nil {
		t.Fatalf("starting it again: %v", err)
	}
	l.await(t, j, "its second start", running)
}

func TestLabLogsAreThoseOfTheFile(t *testing.T) {
	t.Parallel()
	l := setupLab(t)
	j := l.job(t, "ready_to_use/grid.zip", func(j *job.Job) { j.Options.SumoVersion = release.Oldest().Version })
	if err := l.Start(t.Context(), job.Single(j)); err != nil {
		t.Fatal(err)
	}
	// Read by pieces while it runs, as a follower does; what comes must be the beginning of the file.
	var got bytes.Buffer
	for ended := false; !ended; {
		ended = terminal(l.await(t, j, "something", func(job.Observation) bool { return true }))
		body, err := l.logs.OpenLog(t.Context(), j, int64(got.Len()))
		if problem.CodeOf(err) == problem.NotFound {
			time.Sleep(100 * time.Millisecond)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(&got, body); err != nil {
			t.Fatal(err)
		}
		body.Close()
	}
	file, err := l.objects.Open(t.Context(), j.ResultsKey+simulation.LogFile, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	want, err := io.ReadAll(file)
	if err != nil {
		t.Fatal(err)
	}
	if got.Len() == 0 || !bytes.HasPrefix(want, got.Bytes()) {
		t.Errorf("live (-) and stored (+) log differ:\n%s", cmp.Diff(got.String(), string(want)))
	}
	t.Logf("%d of %d bytes were read live", got.Len(), len(want))
}

// chunk makes a chunk of runs of a study, one at a time, which differ in their seeds.
func (l *lab) chunk(t *testing.T, scenario string, runs int, change func(*job.Job)) job.Chunk {
	t.Helper()
	first := l.job(t, scenario, change)
	c := job.Chunk{ID: uuid.NewString(), Parallel: 1}
	study := uuid.NewString()
	for i := range runs {
		j, seed := first, int64(i)
		j.ID, j.Options.Seed = uuid.Must(uuid.NewV7()).String(), &seed
		j.Study = &job.StudyRun{ID: study, Replication: i, Chunk: c.ID}
		j.ResultsKey = artifact.ResultsOfRun(j.Namespace, study, j.ID)
		c.Jobs = append(c.Jobs, j)
	}
	return c
}

// follow observes a chunk as reconcile does, starting again what is lost, until all of its runs have ended and it has. Each look at it is
// shown to see, which may be nil. It returns the first end that is reported of each run.
func (l *lab) follow(t *testing.T, c job.Chunk, see func(job.Sight)) map[string]job.Observation {
	t.Helper()
	ends := map[string]job.Observation{}
	var last job.Sight
	current := c.Jobs // of the chunk as it was started last
	for deadline := time.Now().Add(2 * patienceOnLab); time.Now().Before(deadline); {
		seen, err := l.Observe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(seen, func(s job.Sight) bool { return s.ChunkID == c.ID })
		if i < 0 {
			left := c
			left.Jobs = nil
			for _, j := range c.Jobs {
				if _, ended := ends[j.ID]; !ended {
					left.Jobs = append(left.Jobs, j)
				}
			}
			if len(left.Jobs) == 0 {
				return ends
			}
			current = left.Jobs
			if err := l.Start(t.Context(), left); err != nil && problem.CodeOf(err) != problem.Unavailable {
				t.Fatal(err)
			}
		} else {
			last = seen[i]
			for _, j := range current {
				o := last.Of(j.ID)
				first, ended := ends[j.ID]
				switch {
				case !ended && terminal(o):
					ends[j.ID] = o
				case ended && terminal(o) && !o.FinishedAt.Equal(*first.FinishedAt):
					t.Errorf("run %d has ended twice: %v and %v", j.Study.Replication, first.FinishedAt, o.FinishedAt)
				case ended && !terminal(o) && !last.Ended:
					t.Errorf("run %d had ended, and is %s", j.Study.Replication, o.State)
				}
			}
			if see != nil {
				see(last)
			}
			if last.Ended {
				if err := l.Forget(t.Context(), []string{c.ID}); err != nil {
					t.Fatal(err)
				}
			}
		}
		select {
		case <-l.Changed():
		case <-time.After(time.Second):
		}
	}
	t.Fatalf("%d of %d runs have ended; at last it was %+v\n%s", len(ends), len(c.Jobs), last.Others, l.workflowText(t, c.Jobs[0]))
	return nil
}

func succeeded(t *testing.T, ends map[string]job.Observation, runs int) {
	t.Helper()
	for id, o := range ends {
		if o.State != job.Succeeded {
			t.Errorf("%s ended as %s %s (%s)", id, o.State, o.Reason, o.Message)
		}
	}
	if len(ends) != runs {
		t.Errorf("%d runs have ended, want %d", len(ends), runs)
	}
}

func TestLabRunsAChunkInOnePod(t *testing.T) {
	t.Parallel()
	l := setupLab(t)
	const runs = 200
	c := l.chunk(t, "ready_to_use/square.zip", runs, nil)
	began := time.Now()
	if err := l.Start(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	var first, all time.Duration
	ended := 0
	ends := l.follow(t, c, func(s job.Sight) {
		ended = 0
		for _, o := range s.Runs {
			if terminal(o) {
				ended++
			}
		}
		if first == 0 && ended > 0 {
			first = time.Since(began)
		}
		if all == 0 && ended == runs {
			all = time.Since(began)
		}
	})
	t.Logf("%d runs: the first ends are seen after %.1fs, the last after %.1fs; the pod has ended after %.1fs",
		runs, first.Seconds(), all.Seconds(), time.Since(began).Seconds())
	succeeded(t, ends, runs)
	for _, j := range c.Jobs {
		o := ends[j.ID]
		if o.Summary == nil || len(o.Results) < 7 || o.StoredAt == nil {
			t.Fatalf("run %d has %+v and the results %v", j.Study.Replication, o.Summary, resultNames(o))
		}
	}
	if _, err := l.objects.Stat(t.Context(), c.Jobs[runs-1].ResultsKey+artifact.PackFile); err != nil {
		t.Error(err)
	}
	for _, prefix := range []string{artifact.ChunkPrefix, artifact.StatePrefix} {
		if err := l.objects.List(t.Context(), prefix+l.tenant.Namespace, func(o artifact.Object) bool {
			t.Errorf("%s is left", o.Key)
			return true
		}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLabOneRunOfAChunkIsCancelled(t *testing.T) {
	t.Parallel()
	l := setupLab(t)
	c := l.chunk(t, "ready_to_use/grid.zip", 3, nil)
	endless(&c.Jobs[0])
	if err := l.Start(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	asked := false
	ends := l.follow(t, c, func(s job.Sight) {
		if s.Of(c.Jobs[0].ID).State == job.Running && !asked {
			asked = true
			if err := l.Stop(t.Context(), c.ID, c.Jobs[0].ID, c.Jobs[2].ID); err != nil {
				t.Fatal(err)
			}
		}
	})
	want := []job.State{job.Cancelled, job.Succeeded, job.Cancelled}
	for i, j := range c.Jobs {
		if ends[j.ID].State != want[i] {
			t.Errorf("run %d ended as %s (%s), want %s", i, ends[j.ID].State, ends[j.ID].Message, want[i])
		}
	}
	if got := resultNames(ends[c.Jobs[0].ID]); !slices.Contains(got, simulation.LogFile) {
		t.Errorf("the run that was stopped has left %v", got)
	}
}

// kill ends the processes of this machine, which is the lab's node, in whose command line are all of these words.
func kill(t *testing.T, words ...string) {
	t.Helper()
	found := false
	processes, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range processes {
		text, err := os.ReadFile(name)
		program, _, _ := strings.Cut(string(text), "\x00")
		if err != nil || filepath.Base(program) != words[0] ||
			slices.ContainsFunc(words, func(w string) bool { return !bytes.Contains(text, []byte(w)) }) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		if err != nil {
			t.Fatal(err)
		}
		found = syscall.Kill(pid, syscall.SIGKILL) == nil || found
	}
	if !found {
		t.Errorf("nothing runs as %v", words)
	}
}

// TestLabWhatIsKilledOfAChunkIsRepeated kills parts of a pod in the middle of its runs. Each run ends once, and what had been stored is
// not repeated.
func TestLabWhatIsKilledOfAChunkIsRepeated(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		take func(*testing.T, *lab, job.Job)
	}{
		{"sumo-run", func(t *testing.T, _ *lab, _ job.Job) { kill(t, "sumo-run", "--output=67108864", "--desk=/desk") }},
		{"the keeper", func(t *testing.T, l *lab, _ job.Job) { kill(t, "sumo-keeper", "--namespace="+l.tenant.Namespace) }},
		{"the pod", func(t *testing.T, l *lab, j job.Job) {
			for _, p := range l.pods(t, j) {
				if err := l.admin.Delete().AbsPath("/api/v1/namespaces", l.tenant.Namespace, "pods", p.Name).
					Body([]byte(`{"apiVersion":"v1","kind":"DeleteOptions","gracePeriodSeconds":0}`)).Do(t.Context()).Error(); err != nil {
					t.Error(err)
				}
			}
		}},
		{"the workflow", func(t *testing.T, l *lab, j job.Job) {
			if err := l.admin.Delete().AbsPath(workflowPath(j)).Do(t.Context()).Error(); err != nil {
				t.Error(err)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := setupLab(t)
			const runs = 60
			c := l.chunk(t, "ready_to_use/square.zip", runs, nil)
			if err := l.Start(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			began, taken := time.Now(), false
			before := 0
			ends := l.follow(t, c, func(s job.Sight) {
				ended := 0
				for _, o := range s.Runs {
					if terminal(o) {
						ended++
					}
				}
				if !taken && ended > 5 {
					taken, before = true, ended
					tt.take(t, l, c.Jobs[0])
				}
			})
			succeeded(t, ends, runs)
			if !taken || before == runs {
				t.Errorf("%d runs had ended when it was killed", before)
			}
			t.Logf("%d of %d runs had ended when it was killed; all after %.1fs", before, runs, time.Since(began).Seconds())
		})
	}
}

// startFirst starts j by the template of the release that knew the first generation only.
func (l *lab) startFirst(t *testing.T, j job.Job) {
	t.Helper()
	text, err := os.ReadFile("testdata/first-generation.yaml")
	if err != nil {
		t.Fatal(err)
	}
	version := j.Options.SumoVersion
	manifest := strings.NewReplacer("sumo-1-18", "sumo-"+strings.ReplaceAll(version, ".", "-"), "sumo-acme", j.Namespace,
		"registry.example/sumo:1.18", "dev.local/sumo:"+version).Replace(string(text))
	name := "/apis/argoproj.io/v1alpha1/namespaces/" + j.Namespace + "/workflowtemplates/sumo-" + strings.ReplaceAll(version, ".", "-")
	if err := l.admin.Patch(types.ApplyYAMLPatchType).AbsPath(name).Param("fieldManager", "sumo-k8").Param("force", "true").
		Body([]byte(manifest)).Do(t.Context()).Error(); err != nil {
		t.Fatal(err)
	}
	options, err := json.Marshal(j.Options)
	if err != nil {
		t.Fatal(err)
	}
	w := &wfv1.Workflow{ObjectMeta: metav1.ObjectMeta{
		Name: job.RunName(j.ID), Namespace: j.Namespace,
		Labels: map[string]string{jobLabel: j.ID, kube.TenantLabel: j.Namespace, installationLabel: l.cfg.Installation},
	}}
	w.Spec.WorkflowTemplateRef = &wfv1.WorkflowTemplateRef{Name: "sumo-" + strings.ReplaceAll(version, ".", "-")}
	for name, value := range map[string]string{
		"scenario-key": j.ScenarioKey, "results-key": strings.TrimSuffix(j.ResultsKey, "/"), "options": string(options),
		"timeout": "10m", "deadline": "2100", "cpu": "1", "memory": "1Gi", "memory-bytes": "1073741824", "priority-class": "",
	} {
		w.Spec.Arguments.Parameters = append(w.Spec.Arguments.Parameters, wfv1.Parameter{Name: name, Value: wfv1.AnyStringPtr(value)})
	}
	if _, err := l.workflows.Workflows(j.Namespace).Create(t.Context(), w, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// TestLabWorkflowsOfTheFirstGenerationEndAfterAnUpgrade has one that has ended, one that runs and one that waits when this release begins.
func TestLabWorkflowsOfTheFirstGenerationEndAfterAnUpgrade(t *testing.T) {
	t.Parallel()
	l := setupLab(t)
	finished, running, waiting := l.job(t, "ready_to_use/square.zip", nil), l.job(t, "ready_to_use/grid.zip", endless),
		l.job(t, "ready_to_use/square.zip", nil)
	l.startFirst(t, finished)
	for { // until it has ended, though nobody has observed that
		w, err := l.workflows.Workflows(finished.Namespace).Get(t.Context(), job.RunName(finished.ID), metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if w.Status.Phase.Completed() {
			break
		}
		time.Sleep(500 * time.Millisecond)
	}
	l.startFirst(t, running)
	l.await(t, running, "progress", func(o job.Observation) bool { return o.State == job.Running && o.Progress > 0 })
	l.startFirst(t, waiting)
	queued := l.job(t, "ready_to_use/square.zip", nil)
	if err := l.Start(t.Context(), job.Single(queued)); err != nil {
		t.Fatal(err)
	}
	if err := l.Stop(t.Context(), running.ID, running.ID); err != nil {
		t.Fatal(err)
	}
	for _, j := range []job.Job{finished, waiting, queued} {
		if o := l.endsAs(t, j, verdict{State: job.Succeeded}); len(o.Results) != 7 || o.Summary == nil || o.Results[0].SHA256 == "" {
			t.Errorf("the results are %+v", o.Results)
		}
	}
	o := l.endsAs(t, running, verdict{job.Cancelled, simulation.Cancelled})
	if o.Summary == nil || !o.Summary.Partial {
		t.Errorf("the summary of the run that was stopped is %+v", o.Summary)
	}
	if err := l.Forget(t.Context(), []string{finished.ID, running.ID, waiting.ID, queued.ID}); err != nil {
		t.Fatal(err)
	}
	if seen, err := l.Observe(t.Context()); err != nil || len(seen) > 0 {
		t.Errorf("after all are forgotten %+v is seen (%v)", seen, err)
	}
}
