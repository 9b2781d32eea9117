package argo

import (
	"cmp"
	"fmt"
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
	// jobLabel is on the workflows of single jobs. Those of the first generation have no other label of their own.
	jobLabel   = "sumo-k8.io/job"
	chunkLabel = "sumo-k8.io/chunk"
	// installationLabel keeps installations in one cluster apart: each sees its own workflows only, for it would stop
	// those of others, whose jobs it does not know.
	installationLabel   = "sumo-k8.io/installation"
	defaultInstallation = "sumo-k8"
	// studiesSuffix follows the installation on the workflows of studies. Instances of the release that knew single jobs only do not look
	// for them, and stop none while they are being replaced.
	studiesSuffix = ".studies"

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

// deadlineMargin is what a pod gets beyond the timeouts of its runs: a quarter of an hour to fetch the scenario, and the
// grace in which sumo-run closes SUMO's outputs and the keeper stores them. The pod's deadline kills both, so it is only for
// those that hang.
const deadlineMargin = 15*time.Minute + grace

// chunkOf is the id of the chunk that a workflow carries out.
func chunkOf(w *wfv1.Workflow) string { return cmp.Or(w.Labels[chunkLabel], w.Labels[jobLabel]) }

// single reports whether the chunk is a job that belongs to no study.
func single(w *wfv1.Workflow) bool { return w.Labels[jobLabel] != "" }

// kept reports whether a keeper stores the runs of w, and says how they stand. In the first generation Argo stored the results.
func kept(w *wfv1.Workflow) bool { return w.Labels[chunkLabel] != "" }

// slim copies the part of a workflow that this package reads, which makes ten thousand of them cheap to hold: most of a
// workflow is its template, and what Argo notes of nodes that are no pods.
func slim(w *wfv1.Workflow) *wfv1.Workflow {
	s := &wfv1.Workflow{
		ObjectMeta: metav1.ObjectMeta{
			Name: w.Name, Namespace: w.Namespace, UID: w.UID, ResourceVersion: w.ResourceVersion, CreationTimestamp: w.CreationTimestamp,
			DeletionTimestamp: w.DeletionTimestamp, Labels: only(w.Labels, jobLabel, chunkLabel),
			Annotations: only(w.Annotations, touchedAnnotation, remadeAnnotation),
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

// workflowOf is the whole of what we send to Argo for a chunk: the template and its arguments.
func (c Config) workflowOf(of job.Chunk) *wfv1.Workflow {
	j := of.Jobs[0] // what matters here is the same for all
	limit, one := time.Duration(0), j.Study == nil
	for _, j := range of.Jobs {
		limit = max(limit, time.Duration(j.TimeoutSeconds)*time.Second)
	}
	rounds := (len(of.Jobs) + of.Parallel - 1) / of.Parallel
	deadline := time.Duration(rounds)*limit + deadlineMargin
	title, description := plain(j.Name), fmt.Sprintf("Job %s of tenant %s: %d cores, %d GiB, at most %s.",
		j.ID, plain(j.TenantID), j.CPURequest, j.MemoryGi, limit)
	labels := map[string]string{chunkLabel: of.ID, kube.TenantLabel: j.Namespace, installationLabel: c.Installation}
	if one {
		labels[jobLabel] = j.ID
	} else {
		labels[installationLabel] += studiesSuffix
		title = fmt.Sprintf("%s (%d runs)", title, len(of.Jobs))
		description = fmt.Sprintf("Chunk %s of study %s of tenant %s: %d runs, %d at a time, each with %d cores, %d GiB, at most %s.",
			of.ID, j.Study.ID, plain(j.TenantID), len(of.Jobs), of.Parallel, j.CPURequest, j.MemoryGi, limit)
	}
	w := &wfv1.Workflow{ObjectMeta: metav1.ObjectMeta{
		Name: job.RunName(of.ID), Namespace: j.Namespace, Labels: labels,
		Annotations: map[string]string{titleAnnotation: title, descriptionAnnotation: description},
	}}
	if program := j.Options.ProgramName(); program != "" {
		w.Annotations[titleAnnotation] += ": " + plain(program)
	}
	if j.Traceparent != "" {
		w.Annotations[traceAnnotation] = j.Traceparent
	}
	overlay := ""
	if j.OverlayKey != "" {
		overlay = overlayPath
	}
	w.Spec.WorkflowTemplateRef = &wfv1.WorkflowTemplateRef{Name: templateName(j.Options.SumoVersion, of.Program())}
	for _, p := range []struct{ name, value string }{
		{listKeyParameter, artifact.ChunkList(j.Namespace, of.ID)},
		{scenarioKeyParameter, j.ScenarioKey},
		{overlayKeyParameter, j.OverlayKey},
		{overlayParameter, overlay},
		{parallelParameter, strconv.Itoa(of.Parallel)},
		{deadlineParameter, strconv.Itoa(int(deadline.Seconds()))},
		{cpuParameter, strconv.Itoa(of.Parallel * j.CPURequest)},
		{memoryParameter, strconv.Itoa(of.Parallel*j.MemoryGi) + "Gi"},
		{priorityClassParameter, c.PriorityClasses[j.Priority]},
	} {
		w.Spec.Arguments.Parameters = append(w.Spec.Arguments.Parameters, wfv1.Parameter{Name: p.name, Value: wfv1.AnyStringPtr(p.value)})
	}
	return w
}

// plain makes a name safe to be shown by Argo's UI, which reads Markdown and fills in braces.
func plain(name string) string {
	return strings.Join(strings.FieldsFunc(name, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune(".,:@-+/_", r)
	}), " ")
}
