package job

import (
	"context"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

// PurgeStore forgets finished jobs.
type PurgeStore interface {
	// Job returns one of the tenant's jobs, or problem.NotFound.
	Job(ctx context.Context, tenantID, id string) (Job, error)
	// ReleaseResults gives up the results of a finished job, and says which objects no other job has: see Released. It may be repeated.
	ReleaseResults(ctx context.Context, tenantID, id string) (Released, error)
	// DeleteJob forgets a finished job with its events. One that has not finished is problem.Conflict.
	DeleteJob(ctx context.Context, tenantID, id string) error
}

// Unpurgeable says that a job cannot be purged because it has not finished.
func Unpurgeable(j Job) error {
	return problem.New(problem.Conflict, "Job %s is %s. Cancel it first, and purge it once it has finished.", j.ID, j.State)
}

// Purge removes a finished job with its results, and returns what it was. Objects go first: while any may be left, the job
// is still there to be purged again.
func Purge(ctx context.Context, jobs PurgeStore, objects artifact.Remover, tenantID, id string) (Job, error) {
	j, err := jobs.Job(ctx, tenantID, id)
	if err != nil {
		return Job{}, err
	}
	if j.Study != nil {
		return Job{}, problem.New(problem.Conflict, "Job %s is a run of study %s, which would be incomplete without it. Purge the study: DELETE "+
			"/studies/%s?purge=true.", id, j.Study.ID, j.Study.ID)
	}
	if !j.State.Terminal() {
		return Job{}, Unpurgeable(j)
	}
	if j.Imported == nil { // what the predecessor stored is not ours to remove
		released, err := jobs.ReleaseResults(ctx, tenantID, j.ID)
		if err != nil {
			return Job{}, err
		}
		for _, results := range released.Remove {
			if err := artifact.RemoveResults(ctx, objects, results); err != nil {
				return Job{}, err
			}
		}
	}
	if err := jobs.DeleteJob(ctx, tenantID, j.ID); err != nil {
		return Job{}, err
	}
	j.Results, j.ResultsPruned = nil, true
	return j, nil
}
