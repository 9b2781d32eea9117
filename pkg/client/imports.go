package client

import (
	"context"
	"net/http"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

// The most that one call imports, and the most files of a job.
const (
	MaxImportedTenants = 20
	MaxImportedJobs    = 200
	MaxImportedFiles   = 1000
)

// ImportedTenant is a tenant of the predecessor. What is not known is zero.
type ImportedTenant struct {
	ID          string    `json:"tenant_id"`
	MaxCPU      int       `json:"max_cpu,omitempty"`
	MaxMemoryGi int       `json:"max_memory_gi,omitempty"`
	MaxJobs     int       `json:"max_concurrent_jobs,omitempty"`
	CreatedAt   time.Time `json:"created_at,omitzero"`
	KeySHA256   string    `json:"api_key_sha256,omitempty"` // in hexadecimal; empty for no key
	KeyHint     string    `json:"api_key_hint,omitempty"`   // its first characters
}

// TenantImport is what the service made of a tenant.
type TenantImport struct {
	ID      string               `json:"tenant_id"`
	Outcome tenant.ImportOutcome `json:"outcome"`
	Notes   []string             `json:"notes"`
}

// ImportTenants imports up to MaxImportedTenants of the predecessor's tenants. Those that are there already stay as they are. A dry
// call only asks what would happen.
func (c *Client) ImportTenants(ctx context.Context, tenants []ImportedTenant, dry bool) ([]TenantImport, error) {
	var out struct {
		Tenants []TenantImport `json:"tenants"`
	}
	err := c.importBatch(ctx, "/admin/import/tenants", map[string]any{"tenants": tenants, "dry_run": dry}, &out)
	return out.Tenants, err
}

// ImportedJob is a finished job of the predecessor.
type ImportedJob struct {
	ID             string         `json:"job_id"`
	TenantID       string         `json:"tenant_id"`
	Name           string         `json:"scenario_id,omitempty"`
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
	Files          []ImportedFile `json:"files,omitempty"`
}

// ImportedFile is a result file of the predecessor's.
type ImportedFile struct {
	Name string `json:"name"`
	Size int64  `json:"size,omitempty"`
	URL  string `json:"url,omitempty"`
}

// JobImport is what the service made of a job.
type JobImport struct {
	ID      string               `json:"job_id"`
	Outcome tenant.ImportOutcome `json:"outcome"`
	Reason  string               `json:"reason"`
	Notes   []string             `json:"notes"`
}

// ImportJobs imports up to MaxImportedJobs of the predecessor's finished jobs, in at most a MiB of JSON. Those that are there already
// stay as they are. A dry call only asks what would happen, and takes their tenants for imported.
func (c *Client) ImportJobs(ctx context.Context, jobs []ImportedJob, dry bool) ([]JobImport, error) {
	var out struct {
		Jobs []JobImport `json:"jobs"`
	}
	err := c.importBatch(ctx, "/admin/import/jobs", map[string]any{"jobs": jobs, "dry_run": dry}, &out)
	return out.Jobs, err
}

func (c *Client) importBatch(ctx context.Context, path string, batch, out any) error {
	b, err := jsonBody(batch)
	if err != nil {
		return err
	}
	return c.call(ctx, request{method: http.MethodPost, path: path, admin: true, safe: true, body: b}, out)
}
