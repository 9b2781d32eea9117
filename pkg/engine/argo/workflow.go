package argo

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/job"
)

const (
	namePrefix = "sumo-"

	jobLabel    = "sumo-k8.io/job"
	tenantLabel = "sumo-k8.io/tenant"
	// installationLabel keeps installations in one cluster apart: each sees its own workflows only, for it would stop
	// those of others, of which it knows no jobs.
	installationLabel   = "sumo-k8.io/installation"
	defaultInstallation = "sumo-k8"
	// workflowLabel leads from a workflow to its pods.
	workflowLabel = "workflows.argoproj.io/workflow"

	// The next two are read by Argo's UI.
	titleAnnotation       = "workflows.argoproj.io/title"
	descriptionAnnotation = "workflows.argoproj.io/description"

	// traceAnnotation leads from a workflow to the trace of its job's submission.
	traceAnnotation = "sumo-k8.io/traceparent"

	// touchedAnnotation says when the workflow was last changed for no other reason than that Argo should see it.
	touchedAnnotation = "sumo-k8.io/touched"
)

// deadlineMargin is what a pod gets beyond sumo-run's own timeout: a quarter of an hour to fetch the scenario, and the
// grace in which sumo-run closes SUMO's outputs and Argo uploads them. The pod's deadline kills both, so it is only for
// those that hang.
const deadlineMargin = 15*time.Minute + grace

// workflow is the part of an Argo Workflow that we look at. Decoding no more keeps ten thousand of them cheap.
type workflow struct {
	Metadata struct {
		Name            string            `json:"name"`
		Namespace       string            `json:"namespace"`
		UID             string            `json:"uid"`
		ResourceVersion string            `json:"resourceVersion"`
		Labels          map[string]string `json:"labels"`
		Annotations     map[string]string `json:"annotations"`
		Created         moment            `json:"creationTimestamp"`
	} `json:"metadata"`
	Spec struct {
		Shutdown string `json:"shutdown"`
	} `json:"spec"`
	Status struct {
		Phase      string          `json:"phase"`
		StartedAt  moment          `json:"startedAt"`
		FinishedAt moment          `json:"finishedAt"`
		Nodes      map[string]node `json:"nodes"`
	} `json:"status"`
}

// node is one step of a workflow as Argo sees it; those of type Pod are the attempts of our run.
type node struct {
	ID         string `json:"id"`
	Type       string `json:"type"`
	Phase      string `json:"phase"`
	Message    string `json:"message"`
	StartedAt  moment `json:"startedAt"`
	FinishedAt moment `json:"finishedAt"`
	Progress   string `json:"progress"`
	Outputs    struct {
		ExitCode   string      `json:"exitCode"`
		Parameters []parameter `json:"parameters"`
	} `json:"outputs"`
}

// moment is a time that Kubernetes writes as null when it is not known.
type moment struct{ time.Time }

func (m *moment) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		return nil
	}
	return m.Time.UnmarshalJSON(text)
}

func (w *workflow) jobID() string { return w.Metadata.Labels[jobLabel] }

// creation is the whole of what we send to Argo: the template and its arguments.
type creation struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name        string            `json:"name"`
		Namespace   string            `json:"namespace"`
		Labels      map[string]string `json:"labels"`
		Annotations map[string]string `json:"annotations"`
	} `json:"metadata"`
	Spec struct {
		WorkflowTemplateRef struct {
			Name string `json:"name"`
		} `json:"workflowTemplateRef"`
		Arguments struct {
			Parameters []parameter `json:"parameters"`
		} `json:"arguments"`
	} `json:"spec"`
}

// parameter is an argument or an output.
type parameter struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// workflowOf writes the workflow of a job.
func (c Config) workflowOf(j job.Job) ([]byte, error) {
	options, err := json.Marshal(j.Options)
	if err != nil {
		return nil, fmt.Errorf("writing the run's options: %w", err)
	}
	timeout := time.Duration(j.TimeoutSeconds) * time.Second
	var w creation
	w.APIVersion, w.Kind = "argoproj.io/v1alpha1", "Workflow"
	w.Metadata.Name, w.Metadata.Namespace = namePrefix+j.ID, j.Namespace
	// A tenant's id is not always a label, but its namespace is, and it is the tenant's alone.
	w.Metadata.Labels = map[string]string{jobLabel: j.ID, tenantLabel: j.Namespace, installationLabel: c.Installation}
	w.Metadata.Annotations = map[string]string{
		titleAnnotation: plain(j.Name),
		descriptionAnnotation: fmt.Sprintf("Job %s of tenant %s: %d cores, %d GiB, at most %s.",
			j.ID, plain(j.TenantID), j.CPURequest, j.MemoryGi, timeout),
	}
	if j.Traceparent != "" {
		w.Metadata.Annotations[traceAnnotation] = j.Traceparent
	}
	w.Spec.WorkflowTemplateRef.Name = templateName(cmp.Or(j.Options.SumoVersion, c.SumoVersion))
	w.Spec.Arguments.Parameters = []parameter{
		{scenarioKeyParameter, j.ScenarioKey},
		{resultsKeyParameter, strings.TrimSuffix(artifact.ResultsOf(j.Namespace, j.ID), "/")},
		{optionsParameter, withoutBraces(options)},
		{timeoutParameter, timeout.String()},
		{deadlineParameter, strconv.Itoa(int(math.Ceil((timeout + deadlineMargin).Seconds())))},
		{cpuParameter, strconv.Itoa(j.CPURequest)},
		{memoryParameter, strconv.Itoa(j.MemoryGi) + "Gi"},
		{memoryBytesParameter, strconv.Itoa(j.MemoryGi << 30)},
		{priorityClassParameter, c.PriorityClasses[j.Priority]},
	}
	body, err := json.Marshal(w)
	if err != nil {
		return nil, fmt.Errorf("writing the workflow of job %s: %w", j.ID, err)
	}
	return body, nil
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
