package job

import (
	"context"
	"fmt"
	"regexp"
	"time"
	"unicode/utf8"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

// Imported is what the predecessor recorded of the results of a job that it ran. We keep such a job for the record: it has finished,
// and its scenario, log and results are not with us.
type Imported struct {
	// Place is the job's in listings (see Job.Place).
	Place string `json:"-"`
	// Location is where the results are, as the predecessor wrote it: an s3:// URL, a prefix in its bucket or a path.
	Location    string         `json:"location,omitempty"`
	StorageType string         `json:"storage_type,omitempty"`
	Prefix      string         `json:"prefix,omitempty"`
	Uploaded    bool           `json:"uploaded,omitempty"`
	Files       []ImportedFile `json:"files,omitempty"`
}

// ImportedFile is a result file of the predecessor's.
type ImportedFile struct {
	Name string `json:"name"`
	Size int64  `json:"size"`
	URL  string `json:"url,omitempty"`
}

// Place orders jobs in listings, newest first by falling place. It is the id, except for imported jobs, whose ids are random.
func (j Job) Place() string {
	if j.Imported != nil {
		return j.Imported.Place
	}
	return j.ID
}

// Elsewhere says where the results of an imported job are, as one sentence or two.
func (j Job) Elsewhere() string {
	if j.Imported.Location == "" {
		return fmt.Sprintf("Job %s ran in the predecessor of this service, which did not record where its results are.", j.ID)
	}
	return fmt.Sprintf("Job %s ran in the predecessor of this service, and its results are where that stored them: %s. Fetch them from there.",
		j.ID, j.Imported.Location)
}

// ImportStore keeps jobs of the predecessor.
type ImportStore interface {
	// ImportedJobs returns the tenants of those jobs with the given ids that were imported.
	ImportedJobs(ctx context.Context, ids []string) (tenantOf map[string]string, err error)
	// ImportJobs keeps jobs in one transaction, without those that were imported before and those of unknown tenants, and returns the
	// ids of what it kept.
	ImportJobs(ctx context.Context, jobs []Job) (kept []string, err error)
}

// ImportResult is what an import made of a job.
type ImportResult struct {
	ID      string
	Outcome tenant.ImportOutcome
	Reason  string   // why it was refused
	Notes   []string // what was changed about it
}

// Import keeps jobs of the predecessor, and says of each what it made of it, in their order. Jobs that are here already stay as they
// are, so that an import can be repeated. A dry run only says what would happen, and takes the tenants for imported.
func Import(ctx context.Context, store ImportStore, jobs []Job, dry bool) ([]ImportResult, error) {
	out, ids := make([]ImportResult, len(jobs)), make([]string, 0, len(jobs))
	for i, j := range jobs {
		out[i] = ImportResult{ID: j.ID, Outcome: tenant.ImportRefused, Reason: j.importFault()}
		if out[i].Reason == "" {
			ids = append(ids, j.ID)
		}
	}
	before, err := store.ImportedJobs(ctx, ids)
	if err != nil {
		return nil, err
	}
	var fresh []Job
	for i, j := range jobs {
		switch owner, here := before[j.ID]; {
		case out[i].Reason != "":
		case here && owner == j.TenantID:
			out[i].Outcome = tenant.ImportPresent
		case here:
			out[i].Reason = fmt.Sprintf("It was imported as one of tenant %q.", owner)
		default:
			out[i].Outcome = tenant.ImportNew
			j, out[i].Notes = j.settled()
			fresh = append(fresh, j)
		}
	}
	if dry || len(fresh) == 0 {
		return out, nil
	}
	kept, err := store.ImportJobs(ctx, fresh)
	if err != nil {
		return nil, err
	}
	isKept := map[string]bool{}
	for _, id := range kept {
		isKept[id] = true
	}
	for i, j := range jobs {
		if out[i].Outcome == tenant.ImportNew && !isKept[j.ID] {
			out[i] = ImportResult{
				ID: j.ID, Outcome: tenant.ImportRefused,
				Reason: fmt.Sprintf("There is no tenant %q, or the job is being imported by another call.", j.TenantID),
			}
		}
	}
	return out, nil
}

const (
	// predecessorTimeout is the one that the predecessor gave all runs unless its operator chose another, which it does not record.
	predecessorTimeout = 24 * time.Hour
	// maxImportedText bounds places and messages, in characters. The predecessor had no bound.
	maxImportedText = 4000
	// maxImportedRequest is far beyond what a job could ask the predecessor for.
	maxImportedRequest = 100_000
)

var uuidPattern = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// importFault says why j cannot be imported; empty if it can.
func (j Job) importFault() string {
	switch {
	case !uuidPattern.MatchString(j.ID):
		return "Its id is not a UUID."
	case j.State != Succeeded && j.State != Failed:
		return fmt.Sprintf("It is %s. Only jobs that are SUCCEEDED or FAILED are kept for the record.", j.State)
	case j.SubmittedAt.IsZero() || j.FinishedAt == nil:
		return "The time of its submission or its end is not recorded."
	case j.CPURequest < 1 || j.MemoryGi < 1 || j.CPURequest > maxImportedRequest || j.MemoryGi > maxImportedRequest:
		return fmt.Sprintf("Its cpu_request or memory_gi is not a number from 1 to %d.", maxImportedRequest)
	case utf8.RuneCountInString(j.Imported.Location) > maxImportedText:
		return fmt.Sprintf("Its result_location has more than %d characters.", maxImportedText)
	}
	return ""
}

// settled is j with what the predecessor did not record, and within our bounds. The notes say what was cut.
func (j Job) settled() (_ Job, notes []string) {
	j.Name, notes = cut("scenario_id", j.Name, MaxName)
	j.TimeoutSeconds = seconds(predecessorTimeout)
	if j.State == Succeeded {
		j.Progress = 1
		return j, notes
	}
	j.Reason = simulation.NotRecorded
	message, more := cut("error", j.Message, maxImportedText)
	if j.Message = message; message == "" {
		j.Message = "The job ran in the predecessor of this service, which recorded no reason for its failure."
	}
	return j, append(notes, more...)
}

// cut is text with at most the given number of characters, and a note if that cut it.
func cut(field, text string, most int) (string, []string) {
	runes := []rune(text)
	if len(runes) <= most {
		return text, nil
	}
	return string(runes[:most-1]) + "…", []string{fmt.Sprintf("Its %s has %d characters; the first %d are kept.", field, len(runes), most-1)}
}

// refuseRetry answers a retry of an imported job.
func (j Job) refuseRetry() error {
	return problem.New(problem.Conflict, "Job %s ran in the predecessor of this service, and its scenario is not stored here. Submit the "+
		"scenario again.", j.ID)
}
