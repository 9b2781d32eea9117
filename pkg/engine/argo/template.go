package argo

import (
	"bytes"
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/sumo-k8/sumo-k8/pkg/chunk"
	"github.com/sumo-k8/sumo-k8/pkg/confine"
	"github.com/sumo-k8/sumo-k8/pkg/kube"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/templates"
)

// Names of the arguments that a workflow gives to its template, and of the parameter that it leaves.
const (
	listKeyParameter       = "list-key"
	scenarioKeyParameter   = "scenario-key"
	overlayKeyParameter    = "overlay-key"
	overlayParameter       = "overlay"
	parallelParameter      = "parallel"
	deadlineParameter      = "deadline"
	cpuParameter           = "cpu"
	memoryParameter        = "memory"
	priorityClassParameter = "priority-class"

	outcomeParameter = "outcome"
)

// overlayPath is where a pod has the overlay of a derived scenario.
const overlayPath = "/scenario/overlay.zip"

// maxAttempts is how often a pod is made when its node is lost or stops it.
const maxAttempts = 3

// grace is how long a pod may take to end after it is asked to: the five minutes after which sumo-run gives up closing
// SUMO's outputs, and as much for storing them.
const grace = 10 * time.Minute

// Template is an operator's choices for runs with one version of SUMO.
type Template struct {
	Version string // of SUMO, such as "1.18"
	// Programs is true of the template for runs with programs, and for tools.
	Programs bool
	Image    string
	// PullPolicy of the image; empty means IfNotPresent, which is right for tags that never move.
	PullPolicy string
	// NodeSelector and Tolerations choose nodes; empty for any.
	NodeSelector map[string]string
	Tolerations  []corev1.Toleration
	// PodSpecPatch is merged into every pod, for what has no setting of its own, such as affinity.
	PodSpecPatch string
	// Store is how pods reach the object store.
	Store kube.ObjectStore
	// Confinement is whether SUMO may run on a node that cannot hold it to the run's files; empty means confine.Prefer.
	Confinement confine.Mode
	// Unpacked is the size of the largest scenario that is accepted, and Output how much SUMO may write in one run, in bytes; 0 means
	// 16 GiB for either.
	Unpacked, Output int64
	// ProgressEvery is how often a run reports its progress. Each report is written to etcd twice.
	ProgressEvery time.Duration
}

const (
	// defaultUnpacked is what package scenario accepts by default, and defaultOutput holds every output of a large city for
	// a day.
	defaultUnpacked = 16 << 30
	defaultOutput   = 16 << 30
	// diskMargin, in bytes, is for the log and for what SUMO writes while it is being stopped: sumo-run's limit must come
	// long before the kubelet's, which ends the pod with everything in it.
	diskMargin = 2 << 30
	// defaultProgressEvery keeps a thousand runs under the few hundred writes a second that a small etcd takes.
	defaultProgressEvery = 10 * time.Second
)

// templateName is that of this release's template for a version of SUMO, alone or with programs.
func templateName(version string, programs bool) string {
	name := "sumo-" + strings.ReplaceAll(version, ".", "-")
	if programs {
		name += "-python"
	}
	return fmt.Sprintf("%s-g%d", name, chunk.Generation)
}

// verdicts are the exit codes of runs that would end the same way again, as a list in Argo's expressions.
func verdicts() string {
	var codes []string
	for _, r := range simulation.Judged() {
		if r != simulation.Interrupted {
			codes = append(codes, "'"+strconv.Itoa(r.ExitCode())+"'")
		}
	}
	return "[" + strings.Join(codes, ", ") + "]"
}

// storeFullPattern matches the errors of a full object store as Argo quotes them: those of MinIO, VersityGW and Ceph, and a bare 507.
const storeFullPattern = `minimum free drive threshold|No space left|Insufficient Storage|quota exceeded|QuotaExceeded`

// repeated matches what Kubernetes and Argo report of a pod that would end the same way again: one that used more than it
// may, whose scenario is missing, or whose results have no room.
const repeated = `OOMKilled|exceeds|longer than the specified deadline|DeadlineExceeded|key does not exist|` + storeFullPattern

var manifest = kube.Manifest("sumo.yaml", templates.SUMO)

// Manifest writes the WorkflowTemplate for a namespace as YAML.
func (s Template) Manifest(namespace string) ([]byte, error) {
	values := struct {
		Template
		Namespace, Name                string
		Verdicts, Final, ProgressEvery string
		AgentCPU, AgentMemory          string
		DiskOfRun, DiskOfChunk         int64 // MiB
		GraceSeconds, Retries          int
	}{
		Template: s, Namespace: namespace, Name: templateName(s.Version, s.Programs), Verdicts: verdicts(), Final: "'" + repeated + "'",
		AgentCPU: kube.AgentCPU(), AgentMemory: kube.AgentMemory(), GraceSeconds: int(grace / time.Second), Retries: maxAttempts - 1,
	}
	values.PullPolicy = cmp.Or(s.PullPolicy, "IfNotPresent")
	values.Confinement = cmp.Or(s.Confinement, confine.Prefer)
	values.Unpacked, values.Output = cmp.Or(s.Unpacked, defaultUnpacked), cmp.Or(s.Output, defaultOutput)
	values.DiskOfRun, values.DiskOfChunk = (values.Output+values.Output/4)>>20, (values.Unpacked+diskMargin)>>20
	values.DiskOfChunk += values.DiskOfRun // of runs that have ended, and wait for the keeper: see run.Chunk
	values.ProgressEvery = cmp.Or(s.ProgressEvery, defaultProgressEvery).String()
	var b bytes.Buffer
	if err := manifest.Execute(&b, values); err != nil {
		return nil, fmt.Errorf("writing the workflow template of SUMO %s: %w", s.Version, err)
	}
	return b.Bytes(), nil
}
