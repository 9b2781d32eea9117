package argo

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// verdict is how an observation judges the run.
type verdict struct {
	State  job.State
	Reason simulation.Reason
}

func (o verdict) String() string { return fmt.Sprint(o.State, " ", o.Reason) }

func decode(t testing.TB, text string) *wfv1.Workflow {
	t.Helper()
	var w wfv1.Workflow
	if err := json.Unmarshal([]byte(text), &w); err != nil {
		t.Fatal(err)
	}
	return &w
}

// ended is a workflow of one pod that has ended like this.
func ended(message, exitCode, outcome string) string {
	phase := "Failed"
	if exitCode == "" {
		phase = "Error"
	}
	return fmt.Sprintf(`{"status":{"phase":%[1]q,"finishedAt":"2026-11-22T11:00:00Z","nodes":{"p":{"id":"p","type":"Pod","phase":%[1]q,"message":%[2]q,
		"outputs":{"exitCode":%[3]q,"parameters":[{"name":"outcome","value":%[4]q}]}}}}}`, phase, message, exitCode, outcome)
}

func stopped(text string) string {
	return strings.Replace(text, "{", `{"spec":{"shutdown":"Stop"},`, 1)
}

func waitingPod(message string, since time.Duration) string {
	return fmt.Sprintf(`{"status":{"phase":"Running","nodes":{"p":{"id":"p","type":"Pod","phase":"Pending","message":%q,"startedAt":%q}}}}`,
		message, noon.Add(-since).Format(time.RFC3339))
}

func TestWhatAWorkflowMeansForItsJob(t *testing.T) {
	t.Parallel()
	outcome := func(r simulation.Reason) string { return fmt.Sprintf(`{"reason":%q,"message":"sumo-run's words"}`, r) }
	tests := []struct {
		name, workflow string
		want           verdict
		message        string // a part of it
	}{
		{"not looked at by Argo", `{}`, verdict{State: job.Pending}, ""},
		{"no pod yet", `{"status":{"phase":"Running","nodes":{"r":{"type":"Retry","phase":"Running"}}}}`, verdict{State: job.Pending}, ""},
		{"no room", waitingPod("Unschedulable: 0/1 nodes are available: 1 Insufficient cpu.", time.Hour),
			verdict{State: job.Pending}, "waits for a machine"},
		{"image on its way", waitingPod("ContainerCreating", time.Hour), verdict{State: job.Pending}, ""},
		{"image missing, a moment ago", waitingPod("ErrImagePull: not found", time.Minute), verdict{State: job.Pending}, ""},
		{"image missing for long", waitingPod("ImagePullBackOff: Back-off pulling image", time.Hour),
			verdict{job.Failed, simulation.ImagePullFailed}, "image"},
		{"image never there", waitingPod("ErrImageNeverPull: Container image is not present", time.Hour),
			verdict{job.Failed, simulation.ImagePullFailed}, "image"},
		{"Secret missing for long", waitingPod(`CreateContainerConfigError: secret "x" not found`, time.Hour),
			verdict{job.Failed, simulation.InternalError}, "our side"},
		{"running", `{"status":{"phase":"Running","nodes":{"p":{"type":"Pod","phase":"Running"}}}}`, verdict{State: job.Running}, ""},
		{"running again", `{"status":{"phase":"Running","nodes":{
			"p":{"id":"p","type":"Pod","phase":"Error","startedAt":"2026-11-22T10:00:00Z"},"q":{"id":"q","type":"Pod","phase":"Pending","startedAt":"2026-11-22T10:01:00Z"}}}}`,
			verdict{State: job.Running}, "started again"},
		{"success", `{"status":{"phase":"Succeeded","nodes":{"p":{"type":"Pod","outputs":{"parameters":[{"name":"outcome","value":"{}"}]}}}}}`,
			verdict{State: job.Succeeded}, ""},
		{"success without an outcome", `{"status":{"phase":"Succeeded","nodes":{"p":{"type":"Pod"}}}}`,
			verdict{job.Failed, simulation.InternalError}, "our side"},
		{"success that was not stored", ended("wait: Error (exit code 64): failed to put file", "", `{}`),
			verdict{job.Failed, simulation.ResultsNotStored}, "could be stored"},
		{"success that a full store refused", ended("wait: Error (exit code 64): failed to put file: 507 Insufficient Storage", "", `{}`),
			verdict{job.Failed, simulation.ResultsNotStored}, "the operator must free space"},
		{"success that a quota refused", ended("wait: Error (exit code 64): failed to put file: Bucket quota exceeded", "", `{}`),
			verdict{job.Failed, simulation.ResultsNotStored}, "raise the quota"},
		{"success that a policy refused", ended("wait: Error (exit code 64): failed to put file: Access Denied.", "", `{}`),
			verdict{job.Failed, simulation.ResultsNotStored}, "the runs' key"},
		{"success with a file that is too large", ended(
			"wait: Error (exit code 64): failed to put file: Your proposed upload exceeds the maximum allowed object size.", "", `{}`,
		),
			verdict{job.Failed, simulation.ResultsNotStored}, "fewer outputs"},
		{"stopped while its results were not stored", stopped(
			ended("wait: Error (exit code 64): failed to put file: 507 Insufficient Storage", "", `{}`),
		),
			verdict{job.Cancelled, simulation.Cancelled}, "was cancelled"},
		{"bad scenario", ended("main: Error (exit code 10)", "10", outcome(simulation.InvalidScenario)),
			verdict{job.Failed, simulation.InvalidScenario}, "sumo-run's words"},
		{"SUMO's error", ended("main: Error (exit code 20)", "20", outcome(simulation.SimulationError)),
			verdict{job.Failed, simulation.SimulationError}, "sumo-run's words"},
		{"SUMO's error, by the last words only", ended("main: Error (exit code 20): SimulationError: SUMO stopped with an error.", "20", ""),
			verdict{job.Failed, simulation.SimulationError}, "SUMO stopped with an error."},
		{"too much output", ended("main: Error (exit code 24)", "24", outcome(simulation.OutputTooLarge)),
			verdict{job.Failed, simulation.OutputTooLarge}, "sumo-run's words"},
		{"full disk", ended("main: Error (exit code 23)", "23", outcome(simulation.DiskFull)),
			verdict{job.Failed, simulation.DiskFull}, "sumo-run's words"},
		{"full disk, without room for last words", ended("main: Error (exit code 23)", "23", ""),
			verdict{job.Failed, simulation.DiskFull}, "The operator has to free space"},
		{"sumo-run's deadline", ended("main: Error (exit code 30)", "30", outcome(simulation.DeadlineExceeded)),
			verdict{job.Failed, simulation.DeadlineExceeded}, "sumo-run's words"},
		{"the pod's deadline", ended("Pod was active on the node longer than the specified deadline", "0", ""),
			verdict{job.Failed, simulation.DeadlineExceeded}, "timeout"},
		{"SUMO killed for its memory", ended("main: Error (exit code 22)", "22", outcome(simulation.OutOfMemory)),
			verdict{job.Failed, simulation.OutOfMemory}, "sumo-run's words"},
		{"container killed for its memory", ended("main: OOMKilled (exit code 137)", "137", ""),
			verdict{job.Failed, simulation.OutOfMemory}, "memory_gi"},
		{"the pod's deadline, with an outcome",
			ended("Pod was active on the node longer than the specified deadline", "31", outcome(simulation.Interrupted)),
			verdict{job.Failed, simulation.DeadlineExceeded}, "timeout"},
		{"scenario missing", ended("init: Error (exit code 64): artifact scenario failed to load: The specified key does not exist.", "", ""),
			verdict{job.Failed, simulation.InternalError}, "Upload the scenario again"},
		{"outputs too large", ended(`Usage of EmptyDir volume "out" exceeds the limit "20Gi". `, "-1", ""),
			verdict{job.Failed, simulation.OutputTooLarge}, "fewer outputs"},
		{"pod evicted", ended("The node was low on resource: memory. Threshold quantity: 100Mi", "", ""),
			verdict{job.Failed, simulation.Interrupted}, "again"},
		{"pod deleted", ended("pod deleted", "", ""), verdict{job.Failed, simulation.Interrupted}, "again"},
		{"pod deleted, every time", `{"status":{"phase":"Error","nodes":{"r":{"type":"Retry"},"p":{"id":"p","type":"Pod","phase":"Error"},"q":{"id":"q","type":"Pod","phase":"Error"},
			"s":{"id":"s","type":"Pod","phase":"Error","message":"pod deleted","startedAt":"2026-11-22T10:00:00Z"}}}}`, verdict{job.Failed, simulation.Preempted}, "every attempt"},
		{"Argo's own failure", ended("init: Error (exit code 64): failed to load artifact", "", ""),
			verdict{job.Failed, simulation.InternalError}, "our side"},
		{"sumo-run missing from the image", ended("main: Error (exit code 64): failed to find name in PATH", "64", ""),
			verdict{job.Failed, simulation.InternalError}, "our side"},
		{"killed with its node", ended("main: Error (exit code 137)", "137", ""), verdict{job.Failed, simulation.Interrupted}, "again"},
		{"template missing", `{"status":{"phase":"Error","message":"workflowtemplates.argoproj.io \"sumo-9\" not found"}}`,
			verdict{job.Failed, simulation.InternalError}, "our side"},
		{"stopped", stopped(ended("workflow shutdown with strategy:  Stop", "31", outcome(simulation.Interrupted))),
			verdict{job.Cancelled, simulation.Cancelled}, "was cancelled"},
		{"stopped before it began", stopped(ended("workflow shutdown with strategy:  Stop", "", "")),
			verdict{job.Cancelled, simulation.Cancelled}, "was cancelled"},
		{"stopped after its error", stopped(ended("workflow shutdown with strategy:  Stop", "20", outcome(simulation.SimulationError))),
			verdict{job.Failed, simulation.SimulationError}, "sumo-run's words"},
		{"stopped at its end", stopped(ended("workflow shutdown with strategy:  Stop", "0", "{}")), verdict{State: job.Succeeded}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := observe(decode(t, tt.workflow), noon)
			if got := (verdict{o.State, o.Reason}); got != tt.want {
				t.Errorf("it is %s, want %s (%s)", got, tt.want, o.Message)
			}
			if !strings.Contains(o.Message, tt.message) || tt.message == "" && o.Message != "" {
				t.Errorf("message is %q, want %q in it", o.Message, tt.message)
			}
			if o.State.Terminal() && o.FinishedAt == nil {
				t.Error("it has ended at no time")
			}
		})
	}
}

func TestWhatHeldARunIsReportedWithItsEnd(t *testing.T) {
	t.Parallel()
	outcome := `{"reason":"SimulationError","confinement":{"landlock":0,"namespace":true,"filter":true,"user":false}}`
	o := observe(decode(t, ended("main: Error (exit code 20)", "20", outcome)), noon)
	if diff := cmp.Diff(&simulation.Confinement{Namespace: true, Filter: true}, o.Confinement); diff != "" {
		t.Errorf("confinement (-want +got):\n%s", diff)
	}
}

// TestRecordedWorkflows holds what real clusters made of real failures against what we make of it. Each file in testdata
// is a workflow as the API server returned it; its name begins with the reason.
func TestRecordedWorkflows(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no recordings: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			name, _, _ := strings.Cut(strings.TrimSuffix(filepath.Base(file), ".json"), "_")
			want := verdict{job.Failed, simulation.Reason(name)}
			switch name {
			case "Succeeded":
				want = verdict{State: job.Succeeded}
			case "Cancelled":
				want.State = job.Cancelled
			}
			w := decode(t, string(text))
			o := observe(w, w.Status.StartedAt.Add(time.Hour))
			if diff := cmp.Diff(want, verdict{o.State, o.Reason}); diff != "" {
				t.Errorf("-want +got:\n%s%s", diff, o.Message)
			}
		})
	}
}

func TestWhatIsKeptOfAWorkflowIsAllThatIsReadAndLittleElse(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no recordings: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			w := decode(t, string(text))
			w.Annotations[touchedAnnotation] = noon.Format(time.RFC3339)
			kept := slim(w)
			if diff := cmp.Diff(observe(w, noon), observe(kept, noon)); diff != "" {
				t.Errorf("observed (-whole +kept):\n%s", diff)
			}
			of := func(w *wfv1.Workflow) []any {
				return []any{w.Name, w.Namespace, w.UID, w.ResourceVersion, chunkOf(w), w.Spec.Shutdown, missed(w, noon)}
			}
			if diff := cmp.Diff(of(w), of(kept)); diff != "" {
				t.Errorf("-whole +kept:\n%s", diff)
			}
			small, err := json.Marshal(kept)
			if err != nil {
				t.Fatal(err)
			}
			if len(small) > len(text)/2 {
				t.Errorf("%d of %d bytes are kept", len(small), len(text))
			}
		})
	}
}

// TestTheLifeOfAWorkflowNeverGoesBack draws lives of up to three attempts and looks at them after every step.
func TestTheLifeOfAWorkflowNeverGoesBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := &wfv1.Workflow{}
		w.Status.Nodes = wfv1.Nodes{}
		before := observe(w, noon)
		look := func() {
			now := observe(w, noon)
			if now.State != before.State && !before.State.CanBecome(now.State) || now.Progress < before.Progress {
				t.Fatalf("from %s %v to %s %v", before.State, before.Progress, now.State, now.Progress)
			}
			before = now
		}
		attempts := rapid.IntRange(1, 3).Draw(t, "attempts")
		for i := range attempts {
			n := wfv1.NodeStatus{
				ID: fmt.Sprint(i), Type: wfv1.NodeTypePod, Phase: wfv1.NodePending, StartedAt: metav1.NewTime(noon.Add(time.Duration(i) * time.Second)),
			}
			step := func() { w.Status.Nodes[n.ID] = n; look() }
			w.Status.Phase = wfv1.WorkflowRunning
			n.Message = rapid.SampledFrom([]string{"", "Unschedulable: no node", "PodInitializing"}).Draw(t, "waits")
			step()
			n.Message = ""
			if rapid.Bool().Draw(t, "runs") {
				n.Phase = wfv1.NodeRunning
				for done := 0; done < 1000; done += rapid.IntRange(100, 1000).Draw(t, "pace") {
					n.Progress = wfv1.Progress(fmt.Sprintf("%d/1000", done))
					step()
				}
			}
			n.Phase = rapid.SampledFrom([]wfv1.NodePhase{wfv1.NodeError, wfv1.NodeFailed}).Draw(t, "fails")
			n.Outputs = &wfv1.Outputs{ExitCode: new(rapid.SampledFrom([]string{"", "-1", "20", "31", "137"}).Draw(t, "code"))}
			n.Message = rapid.SampledFrom([]string{"pod deleted", "main: OOMKilled (exit code 137)", ""}).Draw(t, "says")
			step()
		}
		w.Status.Phase = rapid.SampledFrom([]wfv1.WorkflowPhase{wfv1.WorkflowError, wfv1.WorkflowFailed, wfv1.WorkflowSucceeded}).Draw(t, "end")
		look()
		if !before.State.Terminal() {
			t.Fatalf("at the end it is %s", before.State)
		}
	})
}
