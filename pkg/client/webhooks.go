package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/delivery"
)

// Webhook is a web server to which events of jobs are sent.
type Webhook struct {
	Document
	ID      string            `json:"webhook_id"`
	URL     string            `json:"url"`
	Events  []delivery.Type   `json:"events"`
	Labels  map[string]string `json:"labels"` // that a job must have to be reported
	Format  delivery.Format   `json:"format"`
	Studies bool              `json:"studies"` // whether a study's runs are reported too
	Enabled bool              `json:"enabled"`
	Remark  string            `json:"remark"` // why the service disabled it
	// Secret verifies what is sent. Only the answers to CreateWebhook and RotateSecret have it.
	Secret          string     `json:"secret"`
	OldSecretsUntil *time.Time `json:"old_secrets_until"` // when the replaced ones stop signing; nil if there are none
	CreatedAt       time.Time  `json:"created_at"`
	UpdatedAt       time.Time  `json:"updated_at"`
}

// UnmarshalJSON keeps the text beside the fields, also for webhooks inside a list.
func (w *Webhook) UnmarshalJSON(raw []byte) error {
	type plain Webhook // without this method
	if err := json.Unmarshal(raw, (*plain)(w)); err != nil {
		return err
	}
	w.keep(append(json.RawMessage(nil), raw...))
	return nil
}

// WebhookChange is what a webhook should be. Nil fields keep their value, or get the service's default.
type WebhookChange struct {
	URL     *string            `json:"url,omitempty"`
	Events  *[]delivery.Type   `json:"events,omitempty"`
	Labels  *map[string]string `json:"labels,omitempty"`
	Format  *delivery.Format   `json:"format,omitempty"`
	Studies *bool              `json:"studies,omitempty"`
	Enabled *bool              `json:"enabled,omitempty"`
}

// webhookPath is the escaped path of a webhook, with what follows it.
func webhookPath(id, below string) string { return "/webhooks/" + url.PathEscape(id) + below }

// CreateWebhook has events sent to a URL. Only the answer holds the secret.
func (c *Client) CreateWebhook(ctx context.Context, w WebhookChange) (out Webhook, err error) {
	b, err := jsonBody(w)
	if err != nil {
		return out, err
	}
	if err = c.call(ctx, request{method: http.MethodPost, path: "/webhooks", key: keyOr(""), body: b}, &out); err != nil || out.Secret != "" {
		return out, err
	}
	// The webhook is there, but the answer with its secret did not arrive.
	return c.RotateSecret(ctx, out.ID, 0)
}

// UpdateWebhook changes a webhook.
func (c *Client) UpdateWebhook(ctx context.Context, id string, w WebhookChange) (out Webhook, err error) {
	b, err := jsonBody(w)
	if err != nil {
		return out, err
	}
	err = c.call(ctx, request{method: http.MethodPatch, path: webhookPath(id, ""), body: b}, &out)
	return out, err
}

// RotateSecret replaces a webhook's secret. Only the answer holds the new one. The old one goes on signing for keep.
func (c *Client) RotateSecret(ctx context.Context, id string, keep time.Duration) (out Webhook, err error) {
	b, err := jsonBody(map[string]int{"keep_old_for": int(keep / time.Second)})
	if err != nil {
		return out, err
	}
	err = c.call(ctx, request{method: http.MethodPost, path: webhookPath(id, "/rotate-secret"), body: b}, &out)
	return out, err
}

// WebhookList is all webhooks of a tenant but those of single jobs, oldest first.
type WebhookList struct {
	Document
	Webhooks []Webhook `json:"webhooks"`
}

// Webhooks lists the tenant's webhooks.
func (c *Client) Webhooks(ctx context.Context) (l WebhookList, err error) {
	err = c.call(ctx, request{method: http.MethodGet, path: "/webhooks"}, &l)
	return l, err
}

// Webhook returns a webhook.
func (c *Client) Webhook(ctx context.Context, id string) (w Webhook, err error) {
	err = c.call(ctx, request{method: http.MethodGet, path: webhookPath(id, "")}, &w)
	return w, err
}

// DeleteWebhook deletes a webhook with its deliveries.
func (c *Client) DeleteWebhook(ctx context.Context, id string) (d Document, err error) {
	err = c.call(ctx, request{method: http.MethodDelete, path: webhookPath(id, "")}, &d)
	return d, err
}

// Delivery is one event on its way to one webhook, or the answer to a task token.
type Delivery struct {
	Document
	ID             string         `json:"delivery_id"`
	MessageID      string         `json:"message_id"` // the header webhook-id
	WebhookID      string         `json:"webhook_id"` // empty for the answer to a task token
	URL            string         `json:"url"`
	JobID          string         `json:"job_id"`   // empty if the event is about a study
	StudyID        string         `json:"study_id"` // empty if the event is about a job
	Event          delivery.Type  `json:"event"`
	State          delivery.State `json:"state"`
	Attempts       int            `json:"attempts"`
	CreatedAt      time.Time      `json:"created_at"`
	NextAttemptAt  *time.Time     `json:"next_attempt_at"` // nil unless it waits
	AttemptedAt    *time.Time     `json:"attempted_at"`
	ResponseStatus int            `json:"response_status"` // of the last attempt; 0 if there was no answer
	Error          string         `json:"error"`           // what was wrong with the last attempt
}

// UnmarshalJSON keeps the text beside the fields, also for deliveries inside a list.
func (d *Delivery) UnmarshalJSON(raw []byte) error {
	type plain Delivery // without this method
	if err := json.Unmarshal(raw, (*plain)(d)); err != nil {
		return err
	}
	d.keep(append(json.RawMessage(nil), raw...))
	return nil
}

// DeliveryFilter chooses deliveries. Its zero value chooses all.
type DeliveryFilter struct {
	WebhookID string
	JobID     string
	State     delivery.State
	Limit     int    // deliveries on a page: 1 to 200; 50 unless set
	Cursor    string // NextCursor of the page before
}

// DeliveryPage is a part of a list of deliveries, newest first.
type DeliveryPage struct {
	Document
	Deliveries []Delivery `json:"deliveries"`
	NextCursor string     `json:"next_cursor"` // empty on the last page
}

// Deliveries returns a page of the tenant's deliveries.
func (c *Client) Deliveries(ctx context.Context, f DeliveryFilter) (page DeliveryPage, err error) {
	query := url.Values{}
	for name, value := range map[string]string{
		"webhook_id": f.WebhookID, "job_id": f.JobID, "state": string(f.State), "cursor": f.Cursor,
	} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if f.Limit != 0 {
		query.Set("limit", strconv.Itoa(f.Limit))
	}
	err = c.call(ctx, request{method: http.MethodGet, path: "/webhooks/deliveries", query: query}, &page)
	return page, err
}

// Redeliver sends a delivery again, with all its attempts before it.
func (c *Client) Redeliver(ctx context.Context, id string) (d Delivery, err error) {
	path := "/webhooks/deliveries/" + url.PathEscape(id) + "/redeliver"
	err = c.call(ctx, request{method: http.MethodPost, path: path, safe: true}, &d) // a second call changes nothing
	return d, err
}
