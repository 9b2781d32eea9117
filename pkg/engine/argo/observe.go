package argo

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/chunk"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// patience is how long a pod may wait for something that needs a fix, such as an image that does not
// exist. Kubernetes and Argo would wait for ever. It outlasts a registry's restart.
const patience = 3 * time.Minute

// podsOf are the attempts of the chunk, in the order in which they were made.
func podsOf(w *wfv1.Workflow) []wfv1.NodeStatus {
	var pods []wfv1.NodeStatus
	for _, n := range w.Status.Nodes {
		if n.Type == wfv1.NodeTypePod {
			pods = append(pods, n)
		}
	}
	slices.SortFunc(pods, func(a, b wfv1.NodeStatus) int {
		return cmp.Or(a.StartedAt.Compare(b.StartedAt.Time), strings.Compare(a.ID, b.ID))
	})
	return pods
}

// sight is what w and the keeper's state say of a chunk; o is observe(w). With last, nothing more will come: a single job whose end
// the keeper has not reported ended as o says. Of several jobs, those without an end are lost, unless another attempt would end the same
// way.
func sight(w *wfv1.Workflow, o job.Observation, state chunk.State, last bool) job.Sight {
	s := job.Sight{ChunkID: chunkOf(w), Ended: last}
	if single(w) {
		r, begun := state.Runs[s.ChunkID]
		switch {
		case begun && final(w, r):
			o = observeRun(w, s.ChunkID, r)
		case o.State.Terminal() && !last:
			o = storing(o)
		case begun && !last:
			seen := observeRun(w, s.ChunkID, r)
			o.State, o.StartedAt, o.Progress = seen.State, seen.StartedAt, max(seen.Progress, o.Progress)
		}
		s.Runs = []job.Observation{o}
		return s
	}
	for id, r := range state.Runs {
		if !last || final(w, r) {
			s.Runs = append(s.Runs, observeRun(w, id, r))
		}
	}
	switch {
	case !last:
		s.Others.State = job.Pending
		if o.State == job.Pending {
			s.Others.Message = o.Message
		}
	case w.Status.Phase == wfv1.WorkflowSucceeded: // and left something out
	case o.Reason == simulation.ImagePullFailed, o.Reason == simulation.InternalError && !local(w, o):
		s.Others = o
		s.Others.JobID = ""
	}
	return s
}

// local reports whether an internal error may be one of the machine on which the last pod was: elsewhere the runs may go on. A scenario
// that is missing, a pod that Kubernetes cannot make and a workflow that Argo cannot begin are the same everywhere.
func local(w *wfv1.Workflow, o job.Observation) bool {
	return w.Status.Phase.Completed() && len(podsOf(w)) > 0 && o.Message != simulation.ScenarioGoneMessage
}

// final reports whether nothing more will happen to a run of w. One that was interrupted has its next attempt, unless w was stopped.
func final(w *wfv1.Workflow, r chunk.RunState) bool {
	return r.Ended() && (r.Outcome.Reason != simulation.Interrupted || w.Spec.Shutdown.Enabled())
}

// observeRun translates what the keeper says of a run.
func observeRun(w *wfv1.Workflow, id string, r chunk.RunState) job.Observation {
	o := job.Observation{JobID: id, State: job.Running, Progress: r.Progress, StartedAt: &r.StartedAt}
	if !final(w, r) {
		return o
	}
	outcome := *r.Outcome
	if outcome.Reason == simulation.Interrupted {
		outcome.Reason, outcome.Message = explained(simulation.Cancelled)
	}
	if !outcome.StartedAt.IsZero() {
		o.StartedAt = &outcome.StartedAt
	}
	o.FinishedAt = &outcome.FinishedAt
	if !r.StoredAt.IsZero() {
		o.StoredAt = &r.StoredAt
	}
	o.End(outcome)
	o.Stored(append([]job.ResultFile{}, r.Results...))
	return o
}

// observe translates w for a job, as far as Argo knows of it, and without the results. Along the life of a workflow the state and
// the progress never go back: an attempt that follows a lost one counts as running from its start. The exception is an attempt
// whose pod Argo recreates for the same attempt; the record does not follow it back.
func observe(w *wfv1.Workflow, now time.Time) job.Observation {
	o := job.Observation{JobID: chunkOf(w), State: job.Pending}
	pods := podsOf(w)
	for _, p := range pods {
		o.Progress = max(o.Progress, simulation.ParseProgress(string(p.Progress)))
		if p.Phase != wfv1.NodePending && p.Phase != "" {
			o.State = job.Running
		}
	}
	var last wfv1.NodeStatus
	if len(pods) > 0 {
		last = pods[len(pods)-1]
	}
	// Argo ends a workflow only when its outputs are stored, or have failed to be.
	if w.Status.Phase.Completed() {
		judge(w, last, len(pods), &o)
		return o
	}
	if last.Phase == wfv1.NodePending {
		o.Message = waiting(last.Message)
		if reason := fatal(last.Message); reason != "" && now.Sub(last.StartedAt.Time) > patience {
			o.End(reason.Unreported())
			o.FinishedAt = &now
		}
	}
	if len(pods) > 1 && o.Message == "" && o.State == job.Running {
		o.Message = fmt.Sprintf("The run was lost with its machine and has been started again (attempt %d of %d).", len(pods), maxAttempts)
	}
	return o
}

// missed reports whether Argo should have begun w by now. A touch starts the wait again.
func missed(w *wfv1.Workflow, now time.Time) bool {
	last := w.CreationTimestamp.Time
	if touched, err := time.Parse(time.RFC3339, w.Annotations[touchedAnnotation]); err == nil {
		last = touched
	}
	return w.Status.Phase == wfv1.WorkflowUnknown && now.Sub(last) > missedAfter
}

// tooEarly reports whether Argo has ended w because it did not know its template yet: an upgrade brings versions whose templates an
// older namespace lacks, and Argo's controller reads templates from a copy, which a new one takes a moment to reach. Patience counts
// from the first remake, so that time without a reconciliation costs no job.
func tooEarly(w *wfv1.Workflow, now time.Time) bool {
	return w.Status.Phase == wfv1.WorkflowError && len(w.Status.Nodes) == 0 && w.Spec.Shutdown == "" &&
		strings.Contains(w.Status.Message, "workflowtemplates.argoproj.io") && strings.Contains(w.Status.Message, "not found") &&
		!exhausted(w, now)
}

// exhausted reports whether a workflow has been made again for so long that its template will not come.
func exhausted(w *wfv1.Workflow, now time.Time) bool {
	remade, err := time.Parse(time.RFC3339, w.Annotations[remadeAnnotation])
	return err == nil && now.Sub(remade) >= patience
}

// waiting turns Argo's words on a pod that has not started into ours.
func waiting(message string) string {
	switch {
	case strings.HasPrefix(message, "Unschedulable"):
		return "The run waits for a machine with enough free CPU and memory."
	case strings.Contains(message, "exceeded quota"):
		return "The run waits for room in the namespace of its tenant."
	default:
		return ""
	}
}

// imageMissing begins a kubelet's messages that an image is not available.
var imageMissing = []string{"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"}

// fatal is the reason why a waiting pod cannot start without a fix; empty for other waits.
func fatal(message string) simulation.Reason {
	kind, _, _ := strings.Cut(message, ":")
	switch {
	case slices.Contains(imageMissing, kind), kind == "ImageInspectError", kind == "RegistryUnavailable":
		return simulation.ImagePullFailed
	case kind == "CreateContainerConfigError", kind == "CreateContainerError", kind == "RunContainerError":
		return simulation.InternalError
	default:
		return ""
	}
}

// refusal is the reason why results were not stored and who can fix it, from the store's error as Argo quotes it; empty when
// it is not known.
func refusal(quoted string) string {
	switch {
	case storeFull.MatchString(quoted):
		return artifact.StoreFull
	case strings.Contains(quoted, "Access Denied"), strings.Contains(quoted, "bucket does not exist"):
		return "The object store denies access, or its bucket is missing; the operator must check the runs' key and the bucket."
	case strings.Contains(quoted, "proposed upload exceeds"):
		return "A file is larger than the object store accepts; request fewer outputs or a shorter interval."
	default:
		return ""
	}
}

var storeFull = regexp.MustCompile(storeFullPattern)

// judge decides how a workflow has ended.
func judge(w *wfv1.Workflow, last wfv1.NodeStatus, attempts int, o *job.Observation) {
	finished := w.Status.FinishedAt.UTC()
	o.FinishedAt = &finished
	outcome, reported := outcomeOf(last)
	if reported && !outcome.StartedAt.IsZero() {
		o.StartedAt, o.FinishedAt, o.StoredAt = &outcome.StartedAt, &outcome.FinishedAt, &finished
	}
	stopped := w.Spec.Shutdown.Enabled()
	switch {
	case reported && outcome.Succeeded() && w.Status.Phase != wfv1.WorkflowSucceeded && !stopped:
		outcome = outcome.Unstored(refusal(last.Message))
	case reported && outcome.Succeeded() && strings.HasPrefix(last.Message, "wait: "): // Argo was still trying to store the results
		outcome.Reason, outcome.Message = simulation.Cancelled, simulation.CancelledUnstoredMessage
	case reported && outcome.Reason != simulation.Interrupted:
	case stopped:
		outcome.Reason, outcome.Message = explained(simulation.Cancelled)
	case w.Status.Phase == wfv1.WorkflowSucceeded:
		// Without an outcome nothing has reported success.
		outcome.Reason, outcome.Message = explained(simulation.InternalError)
	default:
		outcome.Reason, outcome.Message = blame(last, attempts)
	}
	o.End(outcome)
}

// withOutcome is w as if Argo had noted the outcome that its last pod left.
func withOutcome(w *wfv1.Workflow, text string) *wfv1.Workflow {
	pods := podsOf(w)
	if len(pods) == 0 {
		return w
	}
	last := pods[len(pods)-1]
	outputs := wfv1.Outputs{Parameters: []wfv1.Parameter{{Name: outcomeParameter, Value: wfv1.AnyStringPtr(text)}}}
	if last.Outputs != nil {
		outputs.ExitCode = last.Outputs.ExitCode
	}
	last.Outputs = &outputs
	amended := *w
	amended.Status.Nodes = maps.Clone(w.Status.Nodes)
	for key, n := range amended.Status.Nodes {
		if n.ID == last.ID {
			amended.Status.Nodes[key] = last
		}
	}
	return &amended
}

// outcomeOf is the outcome that sumo-run left; false when it could not.
func outcomeOf(n wfv1.NodeStatus) (simulation.Outcome, bool) {
	none := simulation.InternalError.Unreported()
	if n.Outputs == nil {
		return none, false
	}
	for _, p := range n.Outputs.Parameters {
		if p.Name != outcomeParameter {
			continue
		}
		var outcome simulation.Outcome
		if err := json.Unmarshal([]byte(p.GetValue()), &outcome); err == nil {
			return outcome, true
		}
	}
	return none, false
}

// blame finds the reason of a run that sumo-run has not judged, because it was interrupted or unable to, in what
// Kubernetes and Argo report of its last pod.
func blame(n wfv1.NodeStatus, attempts int) (simulation.Reason, string) {
	mentions := func(parts ...string) bool {
		return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(n.Message, part) })
	}
	lost := simulation.Interrupted
	if attempts >= maxAttempts {
		lost = simulation.Preempted
	}
	code := exitCode(n)
	switch verdict := simulation.ReasonOf(code); {
	case attempts == 0:
		return explained(simulation.InternalError)
	case mentions("OOMKilled"):
		return explained(simulation.OutOfMemory)
	case mentions("longer than the specified deadline", "DeadlineExceeded", "exceeded its deadline"):
		return explained(simulation.DeadlineExceeded)
	case mentions("exceeds the limit", "exceeds the total limit", "exceeds its local"):
		return explained(simulation.OutputTooLarge)
	case mentions(imageMissing...):
		return explained(simulation.ImagePullFailed)
	case verdict == simulation.Interrupted:
		return explained(lost)
	case verdict != "":
		// Argo quotes sumo-run's last words: "main: Error (exit code 20): SimulationError: …".
		return verdict, verdict.Explain(n.Message)
	case mentions("key does not exist"):
		return simulation.InternalError, simulation.ScenarioGoneMessage
	case mentions("init: ", "wait: "), code > 0 && code < 128: // no signal has caused this code
		// Argo's own containers or process: the scenario could not be fetched, sumo-run not started, or the results
		// not stored.
		return explained(simulation.InternalError)
	default:
		// Nothing judged the run, and no container failed by itself: its pod was deleted, evicted or lost with its node.
		return explained(lost)
	}
}

func explained(r simulation.Reason) (simulation.Reason, string) { return r, r.Message() }

// exitCode is that of SUMO's container; -1 when Argo does not know it.
func exitCode(n wfv1.NodeStatus) int {
	if n.Outputs == nil || n.Outputs.ExitCode == nil {
		return -1
	}
	code, err := strconv.Atoi(*n.Outputs.ExitCode)
	if err != nil {
		return -1
	}
	return code
}
