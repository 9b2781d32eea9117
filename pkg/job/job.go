// Package job defines the unit of work: one SUMO run of one scenario for one tenant, from acceptance to its end.
//
// A job moves through its states in one direction only:
//
//	QUEUED → PENDING → RUNNING → SUCCEEDED | FAILED | CANCELLED
//
// It may skip states (a queued job is cancelled, a short run is seen only when finished) but never goes back. The Store
// enforces this for every writer, and records each transition as an Event.
package job

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// State is a job's state.
type State string

// The states, in order.
const (
	Queued    State = "QUEUED"    // accepted and durable; waiting for room under the tenant's limits
	Pending   State = "PENDING"   // handed to the engine, not yet running
	Running   State = "RUNNING"   // SUMO is running
	Succeeded State = "SUCCEEDED" // finished, results stored
	Failed    State = "FAILED"    // ended without full results; Reason and Message say why
	Cancelled State = "CANCELLED" // stopped by a person
)

// States lists every state, in order.
func States() []State { return []State{Queued, Pending, Running, Succeeded, Failed, Cancelled} }

// Terminal reports whether a job in s has finished.
func (s State) Terminal() bool { return s == Succeeded || s == Failed || s == Cancelled }

// Active reports whether a job in s holds a part of its tenant's limits.
func (s State) Active() bool { return s == Pending || s == Running }

func (s State) rank() int {
	switch s {
	case Queued:
		return 0
	case Pending:
		return 1
	case Running:
		return 2
	case Succeeded, Failed, Cancelled:
		return 3
	default:
		return -1
	}
}

// CanBecome reports whether a job may go from s to next; staying does not count.
func (s State) CanBecome(next State) bool {
	return s.rank() >= 0 && s.rank() < next.rank()
}

// Job is one run of one scenario.
type Job struct {
	ID       string // UUIDv7 (RFC 9562), so that ids sort by submission; any UUID for an imported job
	TenantID string
	// Namespace is the tenant's, carried along because every engine and every object key needs it.
	Namespace string
	// Name is the caller's own word for the run (scenario_id on the wire); it need not be unique.
	Name string
	// ScenarioDigest is the SHA-256 of the scenario's zip, in hexadecimal.
	ScenarioDigest string
	// ScenarioKey is the object that holds the zip, and OverlayKey the one with the files that a derived scenario has in place of those in
	// the zip; empty for other scenarios.
	ScenarioKey, OverlayKey string
	// ResultsKey is what the keys of all its results begin with; it ends in a slash.
	ResultsKey string
	// Study is what a study's run answers; nil for other jobs.
	Study *StudyRun

	State    State
	Reason   simulation.Reason
	Message  string  // for a person; empty while all is well
	Progress float64 // 0 to 1

	CPURequest     int // cores
	MemoryGi       int // GiB
	Priority       Priority
	Options        simulation.Options
	TimeoutSeconds int // wall clock, counted from the start of the run
	Labels         map[string]string

	// TaskToken is a state machine's, which waits for the job. It gets an answer if AnswersTask; otherwise it is the caller's own note.
	TaskToken       string
	AnswersTask     bool
	ProgressWebhook *ProgressWebhook
	// Webhook is the one that the submission names; nil except in the answer to a submission or its repetition, which shows the secret.
	Webhook *Webhook
	// Traceparent names the trace that the submission belongs to (W3C Trace Context); empty for none.
	Traceparent string

	// Attempt counts how often the job was handed to the engine; more than one means that a run was lost. A run of a study that was lost
	// through a neighbour keeps its count.
	Attempt int
	// Lost counts how often it was lost while it ran. Starts that did not get as far say nothing about the run.
	Lost            int
	CancelRequested bool

	// SumoVersion that ran, known once the job has finished.
	SumoVersion string
	Summary     *simulation.Summary
	Results     []ResultFile // sorted by name; empty until the job has finished
	// Warnings are what a person should know about the job: found in its scenario at submission, and in its run. None is twice.
	Warnings []string
	// Problems are what SUMO says about the scenario, of a job that only checks it (Options.Check).
	Problems []problem.Item
	// Confinement is what held SUMO, known once the job has finished; nil when SUMO never started or nothing reported it.
	Confinement *simulation.Confinement
	// Image is the container image in which SUMO ran, as the operator names it, with its digest where the cluster reports one; known once the
	// job has finished, and empty outside containers.
	Image string
	// Work is the key of what the job computes, which the cache has its results by; empty if it takes no part in the cache. UseCache is set
	// for a new job that may have the results of an earlier one.
	Work     string
	UseCache bool
	// CachedFrom is the job whose results these are, if they were taken from the cache. It may have been deleted since.
	CachedFrom string
	// KeptScenario is the digest of the stored scenario that the result of a tool has become, if it was to be kept. That may have been
	// deleted since.
	KeptScenario string
	// ResultsPruned is true once the results were removed because of their age.
	ResultsPruned bool
	// Imported is nil except for a job that the predecessor ran.
	Imported *Imported

	SubmittedAt time.Time
	// DispatchedAt is when the job was claimed for its engine.
	DispatchedAt *time.Time
	StartedAt    *time.Time
	FinishedAt   *time.Time
	UpdatedAt    time.Time
}

// StudyRun is the place of a job in its study.
type StudyRun struct {
	ID string // of the study
	// Point and Replication are numbered from 0. Runs of one point differ in their seeds only, and a replication has the same seed at
	// all points.
	Point, Replication int
	// Chunk is the id of the chunk in which it was started last.
	Chunk string
	// Superseded is true of a run that was ordered again after it had failed: it counts no longer.
	Superseded bool
}

// Webhook is called when a single job starts and ends.
type Webhook struct {
	ID     string // UUIDv7
	URL    string
	Secret string // signs what is sent
}

// ProgressWebhook is where a client of the predecessor asked for reports of progress.
type ProgressWebhook struct {
	URL          string `json:"url"`
	SimulationID string `json:"simulation_id,omitempty"`
	// StartSec and EndSec are the simulation times at which the client sees 0 and 100 per cent; nil for those of the run.
	StartSec *float64 `json:"start_sec,omitempty"`
	EndSec   *float64 `json:"end_sec,omitempty"`
	// Begin and End are the interval that the run simulates, filled in at submission; End is nil where it has none.
	Begin *float64 `json:"begin,omitempty"`
	End   *float64 `json:"end,omitempty"`
}

// Locate returns where a result of j is stored: its object and the range there; a negative length is the rest of the object.
func (j Job) Locate(f ResultFile) (key string, offset, length int64) {
	if f.Packed() {
		return j.ResultsKey + artifact.PackFile, f.Offset, f.Size
	}
	return j.ResultsKey + f.Name, 0, -1
}

// ResultFile is one file that a run left.
type ResultFile struct {
	Name string `json:"name"` // its path below the job's results, with slashes
	Size int64  `json:"size"` // bytes
	// Offset is where the file begins in artifact.PackFile of the job's results, if it is kept in there; 0 for one that is an object.
	Offset int64 `json:"offset,omitempty"`
	// SHA256 is the file's checksum, in hexadecimal; empty when it is not known.
	SHA256 string `json:"sha256,omitempty"`
	// ContentSHA256 is that of what equal runs have in common: see simulation.ContentSum. It is empty for files that have none, and where an
	// earlier release stored the file.
	ContentSHA256 string `json:"content_sha256,omitempty"`
	// Roles are the outputs that the file has, whatever its name: several where the scenario writes them into one file. It is empty for
	// other files, and nil if the job finished before files had roles.
	Roles []simulation.Output `json:"roles,omitzero" nullable:"false"`
}

// KeepAs is the name of the scenario that the result of a tool is to become; empty for none.
func (j Job) KeepAs() string {
	if j.Options.Tool == nil {
		return ""
	}
	return j.Options.Tool.KeepAs
}

// Packed reports whether the file is kept in artifact.PackFile.
func (f ResultFile) Packed() bool { return f.Offset > 0 }

// Role is the first of Roles, empty if there is none: what clients and instances of the release know that gave a file one role.
func (f ResultFile) Role() simulation.Output {
	if len(f.Roles) == 0 {
		return ""
	}
	return f.Roles[0]
}

// resultFields are the fields of a ResultFile without its methods, and storedFile what stands in a row.
type (
	resultFields ResultFile
	storedFile   struct {
		resultFields
		Role simulation.Output `json:"role,omitempty"`
	}
)

// MarshalJSON also writes what the release reads that gave a file one role: during an upgrade, its instances run beside ours.
func (f ResultFile) MarshalJSON() ([]byte, error) {
	return json.Marshal(storedFile{resultFields(f), f.Role()})
}

// UnmarshalJSON also reads what that release stored.
func (f *ResultFile) UnmarshalJSON(data []byte) error {
	var stored storedFile
	if err := json.Unmarshal(data, &stored); err != nil {
		return err
	}
	*f = ResultFile(stored.resultFields)
	if f.Roles == nil && stored.Role != "" {
		f.Roles = []simulation.Output{stored.Role}
	}
	return nil
}

// FileNamed returns the one of files that has the name.
func FileNamed(files []ResultFile, name string) (f ResultFile, ok bool) {
	if i := slices.IndexFunc(files, func(f ResultFile) bool { return f.Name == name }); i >= 0 {
		return files[i], true
	}
	return ResultFile{}, false
}

// Result returns the file that has an output of the run.
func (j Job) Result(o simulation.Output) (f ResultFile, ok bool) {
	i := slices.IndexFunc(j.Results, func(f ResultFile) bool { return slices.Contains(f.Roles, o) })
	if i < 0 && !slices.ContainsFunc(j.Results, func(f ResultFile) bool { return f.Roles != nil }) {
		// The job finished before files had roles. Outputs then had names of ours, some of them others in still earlier releases.
		names := []string{o.File(), string(o) + ".xml"}
		i = slices.IndexFunc(j.Results, func(f ResultFile) bool { return slices.Contains(names, f.Name) })
	}
	if i < 0 {
		return ResultFile{}, false
	}
	return j.Results[i], true
}

// withRoles marks the files that are outputs of the run; none if the run does not say which are.
func withRoles(files []ResultFile, roles map[simulation.Output]string) []ResultFile {
	marked := slices.Clone(files)
	for i := range marked {
		if roles != nil {
			marked[i].Roles = []simulation.Output{}
		}
		for _, o := range simulation.KnownOutputs() {
			if roles[o] == marked[i].Name {
				marked[i].Roles = append(marked[i].Roles, o)
			}
		}
		for _, t := range simulation.Tables() {
			if roles[t.Role()] == marked[i].Name {
				marked[i].Roles = append(marked[i].Roles, t.Role())
			}
		}
	}
	return marked
}

// ErrorText says in a sentence why a job did not succeed.
func ErrorText(reason simulation.Reason, message string) string {
	return cmp.Or(message, "The job ended without a message ("+string(reason)+").")
}

// Event is one transition of a job. Events of a job are numbered from 1 without gaps.
type Event struct {
	JobID   string
	Seq     int
	At      time.Time
	From    State // empty for the first
	To      State
	Reason  simulation.Reason
	Message string
}
