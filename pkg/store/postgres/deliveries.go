package postgres

import (
	"context"

	"github.com/sumo-k8/sumo-k8/pkg/delivery"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/store/postgres/internal/db"
)

// createHookOfJob stores the webhook that a submission names.
func createHookOfJob(ctx context.Context, q *db.Queries, j job.Job) error {
	return q.InsertHook(ctx, db.InsertHookParams{
		ID: j.Webhook.ID, TenantID: j.TenantID, JobID: &j.ID, URL: j.Webhook.URL, Receiver: delivery.Receiver(j.Webhook.URL),
		Events: delivery.ShortForm(), Labels: map[string]string{}, Format: delivery.Standard, Enabled: true,
		Secrets: []delivery.Secret{{Value: j.Webhook.Secret}},
	})
}
