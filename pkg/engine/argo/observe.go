package argo

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// Phases of workflows and their nodes.
const (
	phasePending   = "Pending"
	phaseRunning   = "Running"
	phaseSucceeded = "Succeeded"
	phaseFailed    = "Failed"
	phaseError     = "Error"
)

// patience is how long a pod may wait for something that does not come by itself, such as an image that does not
// exist. Kubernetes and Argo would wait for ever. It outlasts a registry's restart.
const patience = 3 * time.Minute

// over reports whether the workflow has ended. Argo says so only when the outputs are stored, or have failed to be.
func (w *workflow) over() bool {
	switch w.Status.Phase {
	case phaseSucceeded, phaseFailed, phaseError:
		return true
	}
	return false
}

// pods are the attempts of the run, in the order in which they were made.
func (w *workflow) pods() []node {
	var pods []node
	for _, n := range w.Status.Nodes {
		if n.Type == "Pod" {
			pods = append(pods, n)
		}
	}
	slices.SortFunc(pods, func(a, b node) int {
		if c := a.StartedAt.Compare(b.StartedAt.Time); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return pods
}

// observe says what w means for its job, without the results. Along the life of a workflow the state and the progress
// never go back: an attempt that follows a lost one counts as running from its start. The exception is an attempt whose pod
// Argo makes again instead of giving the attempt up; the record does not follow it back.
func (w *workflow) observe(now time.Time) job.Observation {
	o := job.Observation{JobID: w.jobID(), State: job.Pending}
	pods := w.pods()
	for _, p := range pods {
		o.Progress = max(o.Progress, p.progress())
		if p.Phase != phasePending && p.Phase != "" {
			o.State = job.Running
		}
	}
	var last node
	if len(pods) > 0 {
		last = pods[len(pods)-1]
	}
	if w.over() {
		w.judge(last, len(pods), &o)
		return o
	}
	if len(pods) > 0 && last.Phase == phasePending {
		o.Message = waiting(last.Message)
		if reason, message := hopeless(last.Message); reason != "" && now.Sub(last.StartedAt.Time) > patience {
			o.State, o.Reason, o.Message, o.FinishedAt = job.Failed, reason, message, &now
		}
	}
	if len(pods) > 1 && o.Message == "" && o.State == job.Running {
		o.Message = fmt.Sprintf("The run was lost with its machine and has been started again (attempt %d of %d).", len(pods), maxAttempts)
	}
	return o
}

// overlooked tells a workflow that Argo should have begun with. One that was touched has another while.
func (w *workflow) overlooked(now time.Time) bool {
	last := w.Metadata.Created.Time
	if touched, err := time.Parse(time.RFC3339, w.Metadata.Annotations[touchedAnnotation]); err == nil {
		last = touched
	}
	return w.Status.Phase == "" && now.Sub(last) > overlookedAfter
}

// progress is the part of the run that is done, from "N/M".
func (n node) progress() float64 {
	done, all, _ := strings.Cut(n.Progress, "/")
	x, err := strconv.ParseUint(done, 10, 32)
	y, err2 := strconv.ParseUint(all, 10, 32)
	// Argo counts a pod that says nothing itself as 0/1 and, at its end, 1/1.
	if err != nil || err2 != nil || y <= 1 {
		return 0
	}
	return min(float64(x)/float64(y), 1)
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

// hopeless tells of a pod that waits for what will not come by itself.
func hopeless(message string) (simulation.Reason, string) {
	kind, _, _ := strings.Cut(message, ":")
	switch kind {
	case "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError", "RegistryUnavailable":
		return simulation.ImagePullFailed, imageMessage
	case "CreateContainerConfigError", "CreateContainerError", "RunContainerError":
		return simulation.InternalError, internalMessage
	default:
		return "", ""
	}
}

// Messages for a person.
const (
	internalMessage = "The run could not be carried out because of a fault on our side. Submit it again; " +
		"if that does not help, tell the operator the job's id."
	imageMessage  = "SUMO's image could not be fetched. Tell the operator the job's id; once the image is there, submit the job again."
	scenarioGone  = "The scenario's files are no longer in the object store. Upload the scenario again and submit a new job."
	preempted     = "The machine was taken away from the run, and so it was from every attempt to repeat it. Submit it again when there is less going on."
	cancelled     = "Cancelled on request. The results are those written until then."
	tooLate       = "The run took longer than its timeout and had to be killed. Submit it with a larger timeout_seconds, a shorter interval or less demand."
	noMemory      = "The run used more memory than it may and was killed. Submit it with a larger memory_gi, fewer outputs or less demand."
	tooMuchOutput = "The run exceeded its output limit and was stopped. Request fewer outputs, or a longer period between their entries."
	interrupted   = "The run was stopped by the machine. It can be run again as it is."
)

// unstored explains why the results of a successful run are missing, and who can fix it, from the store's error as Argo quotes it.
func unstored(quoted string) string {
	const what = "SUMO ended well, but not all results could be stored"
	switch {
	case storeFull.MatchString(quoted):
		return what + ": the object store is full or over its quota. The operator must free space or raise the quota; then submit the job again."
	case strings.Contains(quoted, "Access Denied"), strings.Contains(quoted, "bucket does not exist"):
		return what + ": the object store denies access, or its bucket is missing. The operator must check the runs' key and the bucket; then submit the job again."
	case strings.Contains(quoted, "proposed upload exceeds"):
		return what + ": a file is larger than the object store accepts. Submit the job again with fewer outputs or a shorter interval."
	default:
		return what + ". Submit the job again; if that does not help, tell the operator the job's id."
	}
}

var storeFull = regexp.MustCompile(storeFullPattern)

// judge says how a workflow that is over has ended.
func (w *workflow) judge(last node, attempts int, o *job.Observation) {
	finished := w.Status.FinishedAt.UTC()
	o.FinishedAt = &finished
	outcome, told := last.outcome()
	if told {
		o.Summary, o.Confinement = outcome.Summary, outcome.Confinement
		if !outcome.StartedAt.IsZero() {
			o.StartedAt, o.FinishedAt, o.StoredAt = &outcome.StartedAt, &outcome.FinishedAt, &finished
		}
		o.Reason, o.Message = outcome.Reason, outcome.Message
	}
	switch {
	case told && outcome.Succeeded() && w.Status.Phase != phaseSucceeded && w.Spec.Shutdown == "":
		o.Reason, o.Message = simulation.ResultsNotStored, unstored(last.Message)
	case told && outcome.Succeeded() && strings.HasPrefix(last.Message, "wait: "):
		o.Reason, o.Message = simulation.Cancelled, cancelled // while Argo was still trying to store the results
	case told && outcome.Succeeded(), told && outcome.Reason != simulation.Interrupted:
	case w.Spec.Shutdown != "":
		o.Reason, o.Message = simulation.Cancelled, cancelled
	case w.Status.Phase == phaseSucceeded:
		// Without an outcome nobody has said that the run was a success.
		o.Reason, o.Message = simulation.InternalError, internalMessage
	default:
		o.Reason, o.Message = blame(last, attempts)
	}
	switch o.Reason {
	case "":
		o.State, o.Progress = job.Succeeded, 1
	case simulation.Cancelled:
		o.State = job.Cancelled
	default:
		o.State = job.Failed
	}
}

// withOutcome is w as if Argo had noted the outcome that its last pod has left.
func (w *workflow) withOutcome(text string) *workflow {
	pods := w.pods()
	if len(pods) == 0 {
		return w
	}
	last := pods[len(pods)-1]
	last.Outputs.Parameters = append(slices.Clip(last.Outputs.Parameters), parameter{outcomeParameter, text})
	amended := *w
	amended.Status.Nodes = maps.Clone(w.Status.Nodes)
	for key, n := range amended.Status.Nodes {
		if n.ID == last.ID {
			amended.Status.Nodes[key] = last
		}
	}
	return &amended
}

// outcome is what sumo-run has left; false when it could not.
func (n node) outcome() (simulation.Outcome, bool) {
	for _, p := range n.Outputs.Parameters {
		if p.Name != outcomeParameter {
			continue
		}
		var outcome simulation.Outcome
		if err := json.Unmarshal([]byte(p.Value), &outcome); err == nil {
			return outcome, true
		}
	}
	return simulation.Outcome{}, false
}

// blame finds the reason of a run that sumo-run has not judged, because it was interrupted or could not, in what Kubernetes and Argo say of its last pod.
func blame(n node, attempts int) (simulation.Reason, string) {
	mentions := func(parts ...string) bool {
		return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(n.Message, part) })
	}
	lost, why := simulation.Interrupted, interrupted
	if attempts >= maxAttempts {
		lost, why = simulation.Preempted, preempted
	}
	switch verdict := reasonOf(n.Outputs.ExitCode); {
	case attempts == 0:
		return simulation.InternalError, internalMessage
	case mentions("OOMKilled"):
		return simulation.OutOfMemory, noMemory
	case mentions("longer than the specified deadline", "DeadlineExceeded", "exceeded its deadline"):
		return simulation.DeadlineExceeded, tooLate
	case mentions("exceeds the limit", "exceeds the total limit", "exceeds its local"):
		return simulation.OutputTooLarge, tooMuchOutput
	case mentions("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"):
		return simulation.ImagePullFailed, imageMessage
	case verdict == simulation.Interrupted:
		return lost, why
	case verdict != "":
		return verdict, lastWords(n.Message, verdict)
	case mentions("key does not exist"):
		return simulation.InternalError, scenarioGone
	case mentions("init: ", "wait: "), failedByItself(n.Outputs.ExitCode):
		// Argo's own containers or process: the scenario could not be fetched, sumo-run not be started, or the results
		// not be stored.
		return simulation.InternalError, internalMessage
	default:
		// Nothing judged the run, and no container failed by itself: its pod was deleted, evicted or lost with its node.
		return lost, why
	}
}

// reasonOf is the reason for which sumo-run ends with this exit code; empty for codes that are not its own.
func reasonOf(code string) simulation.Reason {
	n, err := strconv.Atoi(code)
	if err != nil {
		return ""
	}
	return simulation.ReasonOf(n)
}

// failedByItself reports whether this is the exit code of a process that no signal has ended.
func failedByItself(code string) bool {
	n, err := strconv.Atoi(code)
	return err == nil && n > 0 && n < 128
}

// lastWords is the message that sumo-run has left for Kubernetes, which Argo quotes: "main: Error (exit code 20):
// SimulationError: …".
func lastWords(quoted string, reason simulation.Reason) string {
	if _, words, found := strings.Cut(quoted, string(reason)+": "); found && reason != simulation.InternalError {
		return words
	}
	if reason == simulation.DiskFull {
		return simulation.DiskFullMessage // there was no space for a message either
	}
	return internalMessage
}
