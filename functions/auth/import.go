package auth

import (
	"context"
	"encoding/hex"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

// The calls are safe to repeat: what is here already stays as it is. Their batches end well within a minute.
func (f *Function) registerImport(api huma.API) {
	tags := []string{"Operators"}
	rest.Register(api, rest.Admin, huma.Operation{
		OperationID: "import-tenants", Method: http.MethodPost, Path: "/admin/import/tenants", Tags: tags,
		Summary: "Import tenants of the predecessor",
		Description: "Their keys go on working; only hashes of them are sent. Limits out of bounds are set to the nearest bound. A tenant " +
			"that is here already stays as it is.",
	}, f.importTenants)
	rest.Register(api, rest.Admin, huma.Operation{
		OperationID: "import-jobs", Method: http.MethodPost, Path: "/admin/import/jobs", Tags: tags,
		Summary: "Import finished jobs of the predecessor",
		Description: "They are kept for the record, under the ids that they have; their results stay where they are. A job that is here " +
			"already stays as it is.",
	}, f.importJobs)
}

// ImportedTenant is a tenant of the predecessor on the wire.
type ImportedTenant struct {
	TenantID    string    `json:"tenant_id"`
	MaxCPU      int       `json:"max_cpu,omitempty" doc:"Absent if not known."`
	MaxMemoryGi int       `json:"max_memory_gi,omitempty" doc:"Absent if not known."`
	MaxJobs     int       `json:"max_concurrent_jobs,omitempty" doc:"Absent if not known."`
	CreatedAt   time.Time `json:"created_at,omitzero" doc:"Absent if not known."`
	KeySHA256   string    `json:"api_key_sha256,omitempty" pattern:"^([0-9a-f]{64})?$" doc:"SHA-256 of the API key, in hexadecimal; absent for none."`
	KeyHint     string    `json:"api_key_hint,omitempty" maxLength:"8" pattern:"^[!-~]*$" doc:"The first characters of the key, to distinguish keys in listings."`
}

type importTenantsRequest struct {
	Body struct {
		DryRun  bool             `json:"dry_run,omitempty" doc:"Change nothing, and say what would happen."`
		Tenants []ImportedTenant `json:"tenants" maxItems:"20"`
	}
}

// TenantImport is what an import made of a tenant.
type TenantImport struct {
	TenantID string               `json:"tenant_id"`
	Outcome  tenant.ImportOutcome `json:"outcome" enum:"new,present,refused"`
	Notes    []string             `json:"notes" doc:"Why it was refused, what was changed, and what is left to do."`
}

type importTenantsAnswer struct {
	Body struct {
		Tenants []TenantImport `json:"tenants" doc:"In the order of the request."`
	}
}

func (f *Function) importTenants(ctx context.Context, in *importTenantsRequest) (*importTenantsAnswer, error) {
	out := &importTenantsAnswer{}
	out.Body.Tenants = make([]TenantImport, len(in.Body.Tenants))
	for i, t := range in.Body.Tenants {
		result, err := f.Registrar.Import(ctx, t.domain(), in.Body.DryRun)
		if err != nil {
			return nil, err
		}
		out.Body.Tenants[i] = TenantImport{TenantID: t.TenantID, Outcome: result.Outcome, Notes: append([]string{}, result.Notes...)}
	}
	return out, nil
}

func (t ImportedTenant) domain() tenant.Imported {
	out := tenant.Imported{
		ID: t.TenantID, CreatedAt: t.CreatedAt,
		Limits: tenant.Limits{MaxCPU: t.MaxCPU, MaxMemoryGi: t.MaxMemoryGi, MaxConcurrentJobs: t.MaxJobs},
	}
	if hash, err := hex.DecodeString(t.KeySHA256); err == nil && len(hash) > 0 {
		key := tenant.ImportedKey(hash, t.KeyHint, t.TenantID)
		out.Key = &key
	}
	return out
}

// ImportedJob is a finished job of the predecessor on the wire. It has no bounds of its own: one that is out of bounds is refused alone,
// and not the call with all others.
type ImportedJob struct {
	JobID          string         `json:"job_id"`
	TenantID       string         `json:"tenant_id"`
	ScenarioID     string         `json:"scenario_id,omitempty"`
	Status         string         `json:"status"`
	SubmittedAt    time.Time      `json:"submitted_at"`
	StartedAt      *time.Time     `json:"started_at,omitempty"`
	FinishedAt     *time.Time     `json:"finished_at,omitempty"`
	CPURequest     int            `json:"cpu_request"`
	MemoryGi       int            `json:"memory_gi"`
	Premium        bool           `json:"premium_sim,omitempty"`
	ConfigFile     string         `json:"config_file,omitempty"`
	Error          string         `json:"error,omitempty"`
	ResultLocation string         `json:"result_location,omitempty"`
	StorageType    string         `json:"storage_type,omitempty"`
	Prefix         string         `json:"prefix,omitempty"`
	Uploaded       bool           `json:"uploaded,omitempty"`
	Files          []ImportedFile `json:"files,omitempty" maxItems:"1000"`
}

// ImportedFile is a result file of the predecessor's on the wire.
type ImportedFile struct {
	Name string `json:"name"`
	Size int64  `json:"size,omitempty" minimum:"0"`
	URL  string `json:"url,omitempty"`
}

type importJobsRequest struct {
	Body struct {
		DryRun bool          `json:"dry_run,omitempty" doc:"Change nothing, and say what would happen once the tenants are imported."`
		Jobs   []ImportedJob `json:"jobs" maxItems:"200"`
	}
}

// JobImport is what an import made of a job.
type JobImport struct {
	JobID   string               `json:"job_id"`
	Outcome tenant.ImportOutcome `json:"outcome" enum:"new,present,refused"`
	Reason  string               `json:"reason" doc:"Why it was refused; empty otherwise."`
	Notes   []string             `json:"notes" doc:"What was changed about it."`
}

type importJobsAnswer struct {
	Body struct {
		Jobs []JobImport `json:"jobs" doc:"In the order of the request."`
	}
}

func (f *Function) importJobs(ctx context.Context, in *importJobsRequest) (*importJobsAnswer, error) {
	jobs := make([]job.Job, len(in.Body.Jobs))
	for i, j := range in.Body.Jobs {
		jobs[i] = j.domain()
	}
	results, err := job.Import(ctx, f.Jobs, jobs, in.Body.DryRun)
	if err != nil {
		return nil, err
	}
	out := &importJobsAnswer{}
	out.Body.Jobs = make([]JobImport, len(results))
	for i, r := range results {
		out.Body.Jobs[i] = JobImport{JobID: r.ID, Outcome: r.Outcome, Reason: r.Reason, Notes: append([]string{}, r.Notes...)}
	}
	return out, nil
}

func (j ImportedJob) domain() job.Job {
	imported := &job.Imported{Location: j.ResultLocation, StorageType: j.StorageType, Prefix: j.Prefix, Uploaded: j.Uploaded}
	for _, f := range j.Files {
		imported.Files = append(imported.Files, job.ImportedFile(f))
	}
	priority := job.Normal
	if j.Premium {
		priority = job.High
	}
	return job.Job{
		ID: j.JobID, TenantID: j.TenantID, Name: j.ScenarioID, State: job.State(j.Status), Message: j.Error,
		SubmittedAt: j.SubmittedAt, StartedAt: j.StartedAt, FinishedAt: j.FinishedAt,
		CPURequest: j.CPURequest, MemoryGi: j.MemoryGi, Priority: priority,
		Options: simulation.Options{ConfigFile: j.ConfigFile}, Imported: imported,
	}
}
