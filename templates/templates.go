// Package templates holds the Argo WorkflowTemplate by which SUMO runs in a cluster, one for each version of SUMO.
package templates

import (
	"bytes"
	"cmp"
	_ "embed"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"text/template"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/confine"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// Names of the arguments that a workflow gives to its template, and of the parameter that it leaves.
const (
	ScenarioKey   = "scenario-key"
	ResultsKey    = "results-key"
	Options       = "options"
	Timeout       = "timeout"
	Deadline      = "deadline"
	CPU           = "cpu"
	Memory        = "memory"
	MemoryBytes   = "memory-bytes"
	PriorityClass = "priority-class"

	Outcome = "outcome"
)

// Attempts is how often a run is made when its node is lost or stops it: once, and the two retries of the template.
const Attempts = 3

// Grace is how long a pod may take to end after it was told to: five minutes after which sumo-run gives up closing
// SUMO's outputs, and as much for uploading them.
const Grace = 10 * time.Minute

// What each of Argo's two containers gets. It downloads or uploads in parts of a few MiB and needs some 50 MiB itself;
// the tenth of a core is what it takes to keep a gigabit line busy.
const (
	AgentCPU    = "100m"
	AgentMemory = "256Mi"
)

// Settings are an operator's choices for the runs of one tenant with one version of SUMO.
type Settings struct {
	Namespace string
	Version   string // of SUMO, such as "1.18"
	Image     string
	// PullPolicy of the image; empty means IfNotPresent, which is right for tags that never move.
	PullPolicy string
	// NodeSelector and Tolerations choose nodes; empty for any.
	NodeSelector map[string]string
	Tolerations  []Toleration
	// PodSpecPatch is merged into every pod, for what has no setting of its own, such as affinity.
	PodSpecPatch string
	// Confinement is whether SUMO may run on a node that cannot hold it to the run's files; empty means confine.Prefer.
	Confinement confine.Mode
	// Unpacked is the size of the largest scenario that is accepted, and Output how much SUMO may write, in bytes; 0 means
	// 16 GiB for either.
	Unpacked, Output int64
	// ProgressEvery is how often a run reports its progress. Each report is written to etcd twice.
	ProgressEvery time.Duration
}

// Toleration is that of a pod, as Kubernetes spells it.
type Toleration struct {
	Key      string `json:"key,omitempty"`
	Operator string `json:"operator,omitempty"`
	Value    string `json:"value,omitempty"`
	Effect   string `json:"effect,omitempty"`
}

var taint = regexp.MustCompile(`^([\w./-]+)(=[\w.-]*)?(:(NoSchedule|PreferNoSchedule|NoExecute))?$`)

// UnmarshalText reads the taint to be tolerated, as `kubectl taint` writes it: key=value:effect. Without a value any value
// is tolerated, without an effect all effects are.
func (t *Toleration) UnmarshalText(text []byte) error {
	parts := taint.FindSubmatch(text)
	if parts == nil {
		return fmt.Errorf("%q is not a taint; write key=value:effect, with the effect NoSchedule, PreferNoSchedule or NoExecute", text)
	}
	*t = Toleration{Key: string(parts[1]), Operator: "Exists", Effect: string(parts[4])}
	if value, given := bytes.CutPrefix(parts[2], []byte("=")); given {
		t.Operator, t.Value = "Equal", string(value)
	}
	return nil
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

// Name of the template for a version of SUMO.
func Name(version string) string { return "sumo-" + strings.ReplaceAll(version, ".", "-") }

// verdicts are the exit codes by which sumo-run says that running again would end the same way.
var verdicts = []int{
	simulation.ExitInvalidScenario, simulation.ExitSimulationError, simulation.ExitTooManyTeleports, simulation.ExitOutOfMemory,
	simulation.ExitDiskFull, simulation.ExitOutputTooLarge, simulation.ExitDeadlineExceeded, simulation.ExitInternalError,
}

// StoreFull matches what Argo quotes of an object store without room: of MinIO, VersityGW and Ceph, and an answer 507 alone.
const StoreFull = `minimum free drive threshold|No space left|Insufficient Storage|quota exceeded|QuotaExceeded`

// final matches what Kubernetes and Argo say of a pod that would end the same way again: one that used more than it
// may, whose scenario is gone, or whose results have no room.
const final = `OOMKilled|exceeds|longer than the specified deadline|DeadlineExceeded|key does not exist|` + StoreFull

//go:embed sumo.yaml
var source string

var page = template.Must(template.New("sumo.yaml").Delims("[[", "]]").Option("missingkey=error").
	Funcs(template.FuncMap{"json": toJSON}).Parse(source))

// WorkflowTemplate writes the template as YAML.
func WorkflowTemplate(s Settings) ([]byte, error) {
	var codes []string
	for _, code := range verdicts {
		codes = append(codes, "'"+strconv.Itoa(code)+"'")
	}
	values := struct {
		Settings
		Name, Verdicts, Final, ProgressEvery string
		AgentCPU, AgentMemory                string
		GraceSeconds                         int
		Disk                                 string
	}{
		Settings: s, Name: Name(s.Version), Verdicts: "[" + strings.Join(codes, ", ") + "]", Final: "'" + final + "'",
		AgentCPU: AgentCPU, AgentMemory: AgentMemory, GraceSeconds: int(Grace / time.Second),
	}
	values.PullPolicy = cmp.Or(s.PullPolicy, "IfNotPresent")
	values.Confinement = cmp.Or(s.Confinement, confine.Prefer)
	values.Unpacked, values.Output = cmp.Or(s.Unpacked, defaultUnpacked), cmp.Or(s.Output, defaultOutput)
	values.Disk = strconv.FormatInt((values.Unpacked+values.Output+values.Output/4+diskMargin)>>20, 10) + "Mi"
	values.ProgressEvery = defaultProgressEvery.String()
	if s.ProgressEvery > 0 {
		values.ProgressEvery = s.ProgressEvery.String()
	}
	var b bytes.Buffer
	if err := page.Execute(&b, values); err != nil {
		return nil, fmt.Errorf("writing the workflow template of SUMO %s: %w", s.Version, err)
	}
	return b.Bytes(), nil
}

// toJSON quotes a value: JSON is YAML.
func toJSON(v any) (string, error) {
	text, err := json.Marshal(v)
	return string(text), err
}
