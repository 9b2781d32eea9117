package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/store/postgres/internal/db"
)

// importedJob is what ImportJobs reads.
type importedJob struct {
	Place          string             `json:"place"`
	ID             string             `json:"id"`
	Imported       job.Imported       `json:"imported"`
	TenantID       string             `json:"tenant_id"`
	Name           string             `json:"name"`
	State          job.State          `json:"state"`
	Reason         simulation.Reason  `json:"reason"`
	Message        string             `json:"message"`
	Progress       float64            `json:"progress"`
	CPURequest     int                `json:"cpu_request"`
	MemoryGi       int                `json:"memory_gi"`
	Priority       job.Priority       `json:"priority"`
	Options        simulation.Options `json:"options"`
	TimeoutSeconds int                `json:"timeout_seconds"`
	SubmittedAt    time.Time          `json:"submitted_at"`
	StartedAt      *time.Time         `json:"started_at"`
	FinishedAt     *time.Time         `json:"finished_at"`
}

// ImportJobs implements job.ImportStore.
func (d *DB) ImportJobs(ctx context.Context, jobs []job.Job) (kept []string, err error) {
	rows := each(jobs, func(j job.Job) importedJob {
		return importedJob{
			Place: placeOf(j), ID: j.ID, Imported: *j.Imported, TenantID: j.TenantID, Name: j.Name, State: j.State, Reason: j.Reason,
			Message: j.Message, Progress: j.Progress, CPURequest: j.CPURequest, MemoryGi: j.MemoryGi, Priority: j.Priority,
			Options: j.Options, TimeoutSeconds: j.TimeoutSeconds,
			SubmittedAt: j.SubmittedAt, StartedAt: j.StartedAt, FinishedAt: j.FinishedAt,
		}
	})
	doc, err := json.Marshal(rows)
	if err != nil {
		return nil, fmt.Errorf("importing jobs: %w", err)
	}
	ids, err := d.q.ImportJobs(ctx, withoutNUL(doc))
	if err != nil {
		return nil, translate(err, "importing jobs")
	}
	return each(ids, func(id *string) string { return *id }), nil
}

// ImportedJobs implements job.ImportStore.
func (d *DB) ImportedJobs(ctx context.Context, ids []string) (map[string]string, error) {
	rows, err := d.q.ImportedJobs(ctx, onlyIDs(ids))
	if err != nil {
		return nil, translate(err, "looking up imported jobs")
	}
	return owners(rows), nil
}

func owners(rows []db.ImportedJobsRow) map[string]string {
	out := make(map[string]string, len(rows))
	for _, r := range rows {
		out[*r.ImportedID] = r.TenantID
	}
	return out
}

// placeOf is a UUIDv7 with the time of j's submission. The rest comes from its id in the predecessor, so that it is always the same.
func placeOf(j job.Job) string {
	sum, first := sha256.Sum256([]byte(j.ID)), uuid.MustParse(firstID(j.SubmittedAt))
	var id uuid.UUID
	copy(id[:], sum[:])
	copy(id[:6], first[:6])
	id[6] = id[6]&0x0f | 0x70 // version 7
	id[8] = id[8]&0x3f | 0x80 // the variant of RFC 9562
	return id.String()
}
