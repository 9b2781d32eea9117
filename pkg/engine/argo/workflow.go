package argo

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/kube"
)

const (
	jobLabel = "sumo-k8.io/job"
	// installationLabel keeps installations in one cluster apart: each sees its own workflows only, for it would stop
	// those of others, whose jobs it does not know.
	installationLabel   = "sumo-k8.io/installation"
	defaultInstallation = "sumo-k8"

	// The next two are read by Argo's UI.
	titleAnnotation       = "workflows.argoproj.io/title"
	descriptionAnnotation = "workflows.argoproj.io/description"

	// traceAnnotation leads from a workflow to the trace of its job's submission.
	traceAnnotation = "sumo-k8.io/traceparent"

	// touchedAnnotation says when the workflow was last changed for no other reason than that Argo should see it.
	touchedAnnotation = "sumo-k8.io/touched"

	// remadeAnnotation is when a job's workflow was first made again.
	remadeAnnotation = "sumo-k8.io/remade"
)

// deadlineMargin is what a pod gets beyond sumo-run's own timeout: a quarter of an hour to fetch the scenario, and the
// grace in which sumo-run closes SUMO's outputs and Argo uploads them. The pod's deadline kills both, so it is only for
// those that hang.
const deadlineMargin = 15*time.Minute + grace

// jobOf is the id of the job that a workflow runs.
func jobOf(w *wfv1.Workflow) string { return w.Labels[jobLabel] }

// slim copies the part of a workflow that this package reads, which makes ten thousand of them cheap to hold: most of a
// workflow is its template, and what Argo notes of nodes that are no pods.
func slim(w *wfv1.Workflow) *wfv1.Workflow {
	s := &wfv1.Workflow{
		ObjectMeta: metav1.ObjectMeta{
			Name: w.Name, Namespace: w.Namespace, UID: w.UID, ResourceVersion: w.ResourceVersion, CreationTimestamp: w.CreationTimestamp,
			Labels: only(w.Labels, jobLabel), Annotations: only(w.Annotations, touchedAnnotation, remadeAnnotation),
		},
		Spec:   wfv1.WorkflowSpec{Shutdown: w.Spec.Shutdown},
		Status: wfv1.WorkflowStatus{Phase: w.Status.Phase, Message: w.Status.Message, FinishedAt: w.Status.FinishedAt},
	}
	for key, n := range w.Status.Nodes {
		if n.Type != wfv1.NodeTypePod {
			continue
		}
		pod := wfv1.NodeStatus{ID: n.ID, Type: n.Type, Phase: n.Phase, Message: n.Message, StartedAt: n.StartedAt, Progress: n.Progress}
		if n.Outputs != nil {
			pod.Outputs = &wfv1.Outputs{ExitCode: n.Outputs.ExitCode}
			for _, p := range n.Outputs.Parameters {
				if p.Name == outcomeParameter {
					pod.Outputs.Parameters = []wfv1.Parameter{{Name: p.Name, Value: p.Value}}
				}
			}
		}
		if s.Status.Nodes == nil {
			s.Status.Nodes = wfv1.Nodes{}
		}
		s.Status.Nodes[key] = pod
	}
	return s
}

func only(all map[string]string, names ...string) (some map[string]string) {
	for _, name := range names {
		if value, has := all[name]; has {
			if some == nil {
				some = map[string]string{}
			}
			some[name] = value
		}
	}
	return some
}

// workflowOf is the whole of what we send to Argo for a job: the template and its arguments.
func (c Config) workflowOf(j job.Job) (*wfv1.Workflow, error) {
	options, err := json.Marshal(j.Options)
	if err != nil {
		return nil, fmt.Errorf("writing the run's options: %w", err)
	}
	timeout := time.Duration(j.TimeoutSeconds) * time.Second
	w := &wfv1.Workflow{ObjectMeta: metav1.ObjectMeta{
		Name: job.RunName(j.ID), Namespace: j.Namespace,
		Labels: map[string]string{jobLabel: j.ID, kube.TenantLabel: j.Namespace, installationLabel: c.Installation},
		Annotations: map[string]string{
			titleAnnotation: plain(j.Name),
			descriptionAnnotation: fmt.Sprintf("Job %s of tenant %s: %d cores, %d GiB, at most %s.",
				j.ID, plain(j.TenantID), j.CPURequest, j.MemoryGi, timeout),
		},
	}}
	if j.Traceparent != "" {
		w.Annotations[traceAnnotation] = j.Traceparent
	}
	w.Spec.WorkflowTemplateRef = &wfv1.WorkflowTemplateRef{Name: templateName(j.Options.SumoVersion)}
	for _, p := range []struct{ name, value string }{
		{scenarioKeyParameter, j.ScenarioKey},
		{resultsKeyParameter, strings.TrimSuffix(artifact.ResultsOf(j.Namespace, j.ID), "/")},
		{optionsParameter, withoutBraces(options)},
		{timeoutParameter, timeout.String()},
		{deadlineParameter, strconv.Itoa(int(math.Ceil((timeout + deadlineMargin).Seconds())))},
		{cpuParameter, strconv.Itoa(j.CPURequest)},
		{memoryParameter, strconv.Itoa(j.MemoryGi) + "Gi"},
		{memoryBytesParameter, strconv.Itoa(j.MemoryGi << 30)},
		{priorityClassParameter, c.PriorityClasses[j.Priority]},
	} {
		w.Spec.Arguments.Parameters = append(w.Spec.Arguments.Parameters, wfv1.Parameter{Name: p.name, Value: wfv1.AnyStringPtr(p.value)})
	}
	return w, nil
}

// withoutBraces writes a JSON object so that it means the same and has no "{{", which Argo would take for something to
// be filled in. The object has no objects inside, so that all braces but the first and the last stand in strings.
func withoutBraces(object []byte) string {
	inner := bytes.ReplaceAll(object[1:len(object)-1], []byte("{"), []byte(`\u007b`))
	inner = bytes.ReplaceAll(inner, []byte("}"), []byte(`\u007d`))
	return "{" + string(inner) + "}"
}

// plain makes a name safe to be shown by Argo's UI, which reads Markdown and fills in braces.
func plain(name string) string {
	return strings.Join(strings.FieldsFunc(name, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune(".,:@-+/_", r)
	}), " ")
}
