package status

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sumo-k8/sumo-k8/pkg/delivery"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
)

// Webhooks is the record of webhooks and their deliveries; see delivery.Store.
type Webhooks interface {
	Hooks(ctx context.Context, tenantID string) ([]delivery.Hook, error)
	Hook(ctx context.Context, tenantID, id string) (delivery.Hook, error)
	Deliveries(ctx context.Context, tenantID string, f delivery.Filter, after string, limit int) ([]delivery.Delivery, string, error)
	Delivery(ctx context.Context, tenantID, id string) (delivery.Delivery, error)
}

func (f *Function) registerWebhooks(api huma.API) {
	tags := []string{"Webhooks"}
	rest.Register(api, rest.Tenant, huma.Operation{
		OperationID: "list-webhooks", Method: http.MethodGet, Path: "/webhooks", Tags: tags,
		Summary:     "List webhooks, oldest first",
		Description: "Without those that submissions name (webhook_url).",
	}, f.webhooks)
	rest.Register(api, rest.Tenant, huma.Operation{
		OperationID: "get-webhook", Method: http.MethodGet, Path: "/webhooks/{id}", Tags: tags,
		Summary: "Show a webhook",
		Errors:  []int{http.StatusNotFound},
	}, f.webhook)
	rest.Register(api, rest.Tenant, huma.Operation{
		OperationID: "list-deliveries", Method: http.MethodGet, Path: "/webhooks/deliveries", Tags: tags,
		Summary: "List deliveries, newest first",
		Description: "What was sent or is waiting: events for webhooks, and answers to task tokens. Progress is not listed. Deliveries are " +
			"kept for 30 days. Pass next_cursor as cursor to get the next page, until it is empty.",
	}, f.deliveries)
	rest.Register(api, rest.Tenant, huma.Operation{
		OperationID: "get-delivery", Method: http.MethodGet, Path: "/webhooks/deliveries/{id}", Tags: tags,
		Summary: "Show a delivery with its message",
		Errors:  []int{http.StatusNotFound},
	}, f.delivery)
}

type webhooksAnswer struct {
	Body struct {
		Webhooks []rest.Webhook `json:"webhooks"`
	}
}

func (f *Function) webhooks(ctx context.Context, _ *struct{}) (*webhooksAnswer, error) {
	hooks, err := f.Webhooks.Hooks(ctx, rest.TenantOf(ctx).ID)
	if err != nil {
		return nil, err
	}
	out := &webhooksAnswer{}
	out.Body.Webhooks = make([]rest.Webhook, len(hooks))
	for i, h := range hooks {
		out.Body.Webhooks[i] = rest.WebhookOf(h, f.Now())
	}
	return out, nil
}

type webhookRequest struct {
	ID string `path:"id" doc:"Its webhook_id."`
}

type webhookAnswer struct{ Body rest.Webhook }

func (f *Function) webhook(ctx context.Context, in *webhookRequest) (*webhookAnswer, error) {
	h, err := f.Webhooks.Hook(ctx, rest.TenantOf(ctx).ID, in.ID)
	if err != nil {
		return nil, err
	}
	return &webhookAnswer{Body: rest.WebhookOf(h, f.Now())}, nil
}

type deliveriesQuery struct {
	WebhookID string         `query:"webhook_id" maxLength:"100"`
	JobID     string         `query:"job_id" maxLength:"100"`
	State     delivery.State `query:"state" enum:"WAITING,PAUSED,DELIVERED,GIVEN_UP"`
	Limit     int            `query:"limit" minimum:"1" maximum:"200" default:"50"`
	Cursor    string         `query:"cursor" maxLength:"200" doc:"next_cursor of the previous page."`
}

type deliveriesPage struct {
	Body struct {
		Deliveries []rest.Delivery `json:"deliveries"`
		NextCursor string          `json:"next_cursor" doc:"Empty on the last page."`
	}
}

func (f *Function) deliveries(ctx context.Context, in *deliveriesQuery) (*deliveriesPage, error) {
	after, err := decodeCursor(in.Cursor)
	if err != nil {
		return nil, err
	}
	filter := delivery.Filter{HookID: in.WebhookID, JobID: in.JobID, State: in.State}
	found, next, err := f.Webhooks.Deliveries(ctx, rest.TenantOf(ctx).ID, filter, after, in.Limit)
	if err != nil {
		return nil, err
	}
	out := &deliveriesPage{}
	if next != "" {
		out.Body.NextCursor = encodeCursor(next)
	}
	out.Body.Deliveries = make([]rest.Delivery, len(found))
	for i, d := range found {
		out.Body.Deliveries[i] = rest.DeliveryOf(d)
	}
	return out, nil
}

// DeliveryWithMessage is a delivery with what is sent.
type DeliveryWithMessage struct {
	rest.Delivery
	Message rest.WebhookMessage `json:"message" doc:"The body in the standard format. The answer to a task token is made of it."`
}

type deliveryRequest struct {
	ID string `path:"id" doc:"Its delivery_id."`
}

type deliveryAnswer struct{ Body DeliveryWithMessage }

func (f *Function) delivery(ctx context.Context, in *deliveryRequest) (*deliveryAnswer, error) {
	d, err := f.Webhooks.Delivery(ctx, rest.TenantOf(ctx).ID, in.ID)
	if err != nil {
		return nil, err
	}
	return &deliveryAnswer{Body: DeliveryWithMessage{Delivery: rest.DeliveryOf(d), Message: rest.WebhookMessageOf(d.Event)}}, nil
}
