package submit

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sumo-k8/sumo-k8/pkg/delivery"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
)

func (f *Function) registerWebhooks(api huma.API) {
	tags := []string{"Webhooks"}
	rest.Register(api, rest.Tenant, huma.Operation{
		OperationID: "create-webhook", Method: http.MethodPost, Path: "/webhooks", Tags: tags, DefaultStatus: http.StatusCreated,
		Summary: "Have events of jobs sent to a web server",
		Description: "Events are POSTed at least once and signed as Standard Webhooks (https://www.standardwebhooks.com) describe. The answer " +
			"has the secret, which is shown only here and when it is replaced. A tenant has at most 20 webhooks.",
		Errors: []int{http.StatusConflict, http.StatusUnprocessableEntity},
	}, f.createWebhook)
	rest.Register(api, rest.Tenant, huma.Operation{
		OperationID: "update-webhook", Method: http.MethodPatch, Path: "/webhooks/{id}", Tags: tags,
		Summary: "Change a webhook",
		Description: "Fields that are left out stay as they are. To pause a webhook, disable it; what is waiting for it is sent when it " +
			"is enabled again.",
		Errors: []int{http.StatusNotFound},
	}, f.changeWebhook)
	rest.Register(api, rest.Tenant, huma.Operation{
		OperationID: "delete-webhook", Method: http.MethodDelete, Path: "/webhooks/{id}", Tags: tags,
		Summary:     "Delete a webhook",
		Description: "Its deliveries are deleted with it, those that are waiting included.",
		Errors:      []int{http.StatusNotFound},
	}, f.deleteWebhook)
	rest.Register(api, rest.Tenant, huma.Operation{
		OperationID: "rotate-webhook-secret", Method: http.MethodPost, Path: "/webhooks/{id}/rotate-secret", Tags: tags,
		Summary: "Replace a webhook's secret",
		Description: "The answer has the new secret, which is shown only here. Until keep_old_for seconds have passed, messages carry the " +
			"signatures of both secrets, so that the receiver can be switched without a gap.",
		Errors: []int{http.StatusNotFound, http.StatusConflict},
	}, f.rotateSecret)
	rest.Register(api, rest.Tenant, huma.Operation{
		OperationID: "redeliver", Method: http.MethodPost, Path: "/webhooks/deliveries/{id}/redeliver", Tags: tags,
		Summary:     "Send a delivery again",
		Description: "Makes the delivery due at once, whatever became of it, with all its attempts before it. Its message_id stays the same.",
		Errors:      []int{http.StatusNotFound, http.StatusConflict},
	}, f.redeliver)
}

// WebhookFields are the choices of a webhook beside its URL.
type WebhookFields struct {
	Events  *[]delivery.Type   `json:"events,omitempty" minItems:"1" maxItems:"20" enum:"job.queued,job.running,job.finished,job.progress,study.finished" doc:"What to report. By default everything but job.progress, which is sent up to once a second."`
	Labels  *map[string]string `json:"labels,omitempty" doc:"Report only jobs that have all of these labels."`
	Format  *delivery.Format   `json:"format,omitempty" enum:"standard,cloudevents" doc:"standard: {type, timestamp, data}. cloudevents: a structured CloudEvent 1.0. By default standard."`
	Studies *bool              `json:"studies,omitempty" doc:"Report a study's runs too; by default they are not. study.finished does not need it."`
	Enabled *bool              `json:"enabled,omitempty" doc:"By default true."`
}

func (w WebhookFields) change(url *string) delivery.HookChange {
	return delivery.HookChange{URL: url, Events: w.Events, Labels: w.Labels, Format: w.Format, Studies: w.Studies, Enabled: w.Enabled}
}

type createWebhookRequest struct {
	IdempotencyKey string `header:"Idempotency-Key" maxLength:"255" doc:"Repeating a request with the same key returns the webhook that it created the first time, without its secret. Keys are kept for 24 hours."`
	Body           struct {
		URL string `json:"url" minLength:"1" maxLength:"2048" doc:"An https URL; http only where the operator allows it."`
		WebhookFields
	}
}

// NewWebhook is a webhook whose secret has just been made.
type NewWebhook struct {
	rest.Webhook
	Secret string `json:"secret,omitempty" doc:"Verifies messages, as Standard Webhooks libraries take it. Shown only now; absent if an Idempotency-Key had already created this webhook." example:"whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"`
}

func (f *Function) newWebhook(h delivery.Hook) NewWebhook {
	return NewWebhook{Webhook: rest.WebhookOf(h, f.Now()), Secret: h.Secrets[0].Value}
}

type newWebhookAnswer struct {
	Replayed string `header:"Idempotent-Replayed" doc:"true if the Idempotency-Key had already created this webhook."`
	Body     NewWebhook
}

func (f *Function) createWebhook(ctx context.Context, in *createWebhookRequest) (*newWebhookAnswer, error) {
	h, created, err := f.Webhooks.Add(ctx, rest.TenantOf(ctx).ID, in.Body.change(&in.Body.URL), in.IdempotencyKey)
	if err != nil {
		return nil, err
	}
	out := &newWebhookAnswer{Replayed: rest.Replayed(!created), Body: f.newWebhook(h)}
	if !created {
		out.Body.Secret = ""
	}
	return out, nil
}

type changeWebhookRequest struct {
	ID   string `path:"id" doc:"Its webhook_id."`
	Body struct {
		URL *string `json:"url,omitempty" minLength:"1" maxLength:"2048" doc:"An https URL; http only where the operator allows it."`
		WebhookFields
	}
}

type webhookAnswer struct{ Body rest.Webhook }

func (f *Function) changeWebhook(ctx context.Context, in *changeWebhookRequest) (*webhookAnswer, error) {
	h, err := f.Webhooks.Change(ctx, rest.TenantOf(ctx).ID, in.ID, in.Body.change(in.Body.URL))
	if err != nil {
		return nil, err
	}
	return &webhookAnswer{Body: rest.WebhookOf(h, f.Now())}, nil
}

type webhookRequest struct {
	ID string `path:"id" doc:"Its webhook_id."`
}

type deleteWebhookAnswer struct {
	Body struct {
		WebhookID string `json:"webhook_id"`
		Status    string `json:"status" enum:"deleted"`
	}
}

func (f *Function) deleteWebhook(ctx context.Context, in *webhookRequest) (*deleteWebhookAnswer, error) {
	if err := f.Webhooks.Store.DeleteHook(ctx, rest.TenantOf(ctx).ID, in.ID); err != nil {
		return nil, err
	}
	out := &deleteWebhookAnswer{}
	out.Body.WebhookID, out.Body.Status = in.ID, "deleted"
	return out, nil
}

type rotateRequest struct {
	ID   string `path:"id" doc:"Its webhook_id."`
	Body *struct {
		KeepOldFor *int `json:"keep_old_for,omitempty" minimum:"0" maximum:"2592000" doc:"How many seconds the old secret goes on signing beside the new one, 86400 by default; 0 for a secret that is no longer safe."`
	}
}

// keepOldSecret gives receivers a day to be switched.
const keepOldSecret = 24 * time.Hour

type rotateAnswer struct{ Body NewWebhook }

func (f *Function) rotateSecret(ctx context.Context, in *rotateRequest) (*rotateAnswer, error) {
	keep := keepOldSecret
	if in.Body != nil && in.Body.KeepOldFor != nil {
		keep = time.Duration(*in.Body.KeepOldFor) * time.Second
	}
	h, err := f.Webhooks.Rotate(ctx, rest.TenantOf(ctx).ID, in.ID, keep)
	if err != nil {
		return nil, err
	}
	return &rotateAnswer{Body: f.newWebhook(h)}, nil
}

type deliveryRequest struct {
	ID string `path:"id" doc:"Its delivery_id."`
}

type deliveryAnswer struct{ Body rest.Delivery }

func (f *Function) redeliver(ctx context.Context, in *deliveryRequest) (*deliveryAnswer, error) {
	d, err := f.Webhooks.Redeliver(ctx, rest.TenantOf(ctx).ID, in.ID)
	if err != nil {
		return nil, err
	}
	return &deliveryAnswer{Body: rest.DeliveryOf(d)}, nil
}
