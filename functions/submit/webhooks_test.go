package submit_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/functions/internal/app"
	"github.com/sumo-k8/sumo-k8/functions/internal/testing/served"
	"github.com/sumo-k8/sumo-k8/functions/submit"
	"github.com/sumo-k8/sumo-k8/pkg/delivery"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
)

const jsonType = "Content-Type: application/json"

// hook makes a webhook with more fields, as JSON: `, "events": ["job.finished"]`.
func (in *installation) hook(t *testing.T, more string) (h submit.NewWebhook) {
	t.Helper()
	in.Call(t, "POST", "/webhooks", `{"url": "https://example.org/sumo"`+more+`}`, jsonType, in.key).Want(t, http.StatusCreated).Into(t, &h)
	return h
}

// stored returns what is recorded of a webhook.
func (in *installation) stored(t *testing.T, id string) delivery.Hook {
	t.Helper()
	h, err := in.parts.DB.Hook(t.Context(), "acme", id)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// secrets returns those of a webhook that sign at a time.
func secrets(h delivery.Hook, at time.Time) (values []string) {
	for _, s := range h.Secrets {
		if s.ExpiresAt == nil || s.ExpiresAt.After(at) {
			values = append(values, s.Value)
		}
	}
	return values
}

func TestAWebhookHasItsDefaultsAndShowsItsSecretOnce(t *testing.T) {
	t.Parallel()
	in := install(t, "")
	made := in.hook(t, "")
	want := rest.Webhook{
		WebhookID: made.WebhookID, URL: "https://example.org/sumo", Labels: map[string]string{}, Format: delivery.Standard, Enabled: true,
		Events:    []delivery.Type{delivery.JobFinished, delivery.JobQueued, delivery.JobRunning, delivery.StudyFinished},
		CreatedAt: made.CreatedAt, UpdatedAt: made.UpdatedAt,
	}
	if diff := cmp.Diff(want, made.Webhook); diff != "" {
		t.Errorf("a webhook of nothing but a URL (-want +got):\n%s", diff)
	}
	got := secrets(in.stored(t, made.WebhookID), time.Now())
	if !slices.Equal(got, []string{made.Secret}) || !strings.HasPrefix(made.Secret, "whsec_") {
		t.Errorf("the secret %q was shown, and %q sign", made.Secret, got)
	}

	var changed rest.Webhook
	a := in.Call(t, "PATCH", "/webhooks/"+made.WebhookID, `{"events": ["job.progress", "job.finished", "job.progress"], "labels": {"a": "b"},
		"format": "cloudevents", "studies": true, "enabled": false, "url": "https://example.org/other"}`, jsonType, in.key).Want(t, http.StatusOK)
	a.Into(t, &changed)
	want = rest.Webhook{
		WebhookID: made.WebhookID, URL: "https://example.org/other", Labels: map[string]string{"a": "b"}, Format: delivery.CloudEvents,
		Studies: true, Events: []delivery.Type{delivery.JobFinished, delivery.JobProgress},
		CreatedAt: made.CreatedAt, UpdatedAt: changed.UpdatedAt,
	}
	if diff := cmp.Diff(want, changed); diff != "" {
		t.Errorf("changed (-want +got):\n%s", diff)
	}
	unchanged := in.Call(t, "PATCH", "/webhooks/"+made.WebhookID, "{}", jsonType, in.key).Want(t, http.StatusOK)
	removed := in.Call(t, "DELETE", "/webhooks/"+made.WebhookID, "", in.key).Want(t, http.StatusOK)
	for _, a := range []served.Answer{a, unchanged, removed} {
		if strings.Contains(string(a.Body), "whsec_") {
			t.Errorf("a secret is shown again: %s", a.Body)
		}
	}
	in.Call(t, "DELETE", "/webhooks/"+made.WebhookID, "", in.key).Want(t, http.StatusNotFound)
}

func TestARepeatedRequestMakesOneWebhook(t *testing.T) {
	t.Parallel()
	in := install(t, "")
	create := func(body string) served.Answer {
		return in.Call(t, "POST", "/webhooks", body, jsonType, in.key, "Idempotency-Key: k")
	}
	const body = `{"url": "https://example.org/sumo", "labels": {"b": "2", "a": "1"}}`
	var first, again submit.NewWebhook
	create(body).Want(t, http.StatusCreated).Into(t, &first)
	a := create(body).Want(t, http.StatusCreated)
	a.Into(t, &again)
	if again.WebhookID != first.WebhookID || again.Secret != "" || a.Header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("repeated it is %+v with the headers %v; the first was %s", again, a.Header, first.WebhookID)
	}
	create(strings.Replace(body, "1", "3", 1)).Want(t, http.StatusUnprocessableEntity)
}

func TestWebhooksThatCannotBeAreRefusedWithEveryFault(t *testing.T) {
	t.Parallel()
	in := install(t, "")
	id := in.hook(t, "").WebhookID
	in.WantRefused(t, map[string]served.Refusal{
		"no url":        served.Refused("POST", "/webhooks", `{}`, http.StatusBadRequest, "url"),
		"plain http":    served.Refused("POST", "/webhooks", `{"url": "http://example.org"}`, http.StatusBadRequest, `"location":"body.url"`),
		"no server":     served.Refused("POST", "/webhooks", `{"url": "example.org"}`, http.StatusBadRequest, "https://host/path"),
		"no event":      served.Refused("POST", "/webhooks", `{"url": "https://example.org", "events": []}`, http.StatusBadRequest, "body.events"),
		"unknown event": served.Refused("POST", "/webhooks", `{"url": "https://example.org", "events": ["job.eaten"]}`, http.StatusBadRequest, "job.finished"),
		"another form":  served.Refused("POST", "/webhooks", `{"url": "https://example.org", "format": "xml"}`, http.StatusBadRequest, "cloudevents"),
		"two faults": served.Refused(
			"POST", "/webhooks", `{"url": "http://example.org", "labels": {"a=b": ""}}`, http.StatusBadRequest, `"location":"body.labels"`,
		),
		"a changed url":     served.Refused("PATCH", "/webhooks/"+id, `{"url": "http://example.org"}`, http.StatusBadRequest, "WEBHOOK_HTTP"),
		"nobody's":          served.Refused("PATCH", "/webhooks/"+in.scenario.Digest, `{}`, http.StatusNotFound, "There is no webhook"),
		"nobody's delivery": served.Refused("POST", "/webhooks/deliveries/x/redeliver", "", http.StatusNotFound, "There is no delivery"),
		"a negative time":   served.Refused("POST", "/webhooks/"+id+"/rotate-secret", `{"keep_old_for": -1}`, http.StatusBadRequest, "keep_old_for"),
	}, in.key)
}

func TestATenantHasTwentyWebhooksAtMost(t *testing.T) {
	t.Parallel()
	in := install(t, "")
	for range 20 {
		in.hook(t, "")
	}
	a := in.Call(t, "POST", "/webhooks", `{"url": "https://example.org/sumo"}`, jsonType, in.key).Want(t, http.StatusConflict)
	if !strings.Contains(string(a.Body), "20 webhooks, the most") {
		t.Errorf("the 21st: %s", a.Body)
	}
}

func TestAReplacedSecretSignsForAWhile(t *testing.T) {
	t.Parallel()
	in := install(t, "")
	made := in.hook(t, "")
	rotate := func(body string) (h submit.NewWebhook) {
		headers := []string{in.key}
		if body != "" {
			headers = append(headers, jsonType)
		}
		in.Call(t, "POST", "/webhooks/"+made.WebhookID+"/rotate-secret", body, headers...).Want(t, http.StatusOK).Into(t, &h)
		return h
	}
	second := rotate("")
	if until := second.OldSecretsUntil; until == nil || time.Until(*until).Round(time.Hour) != 24*time.Hour {
		t.Errorf("without a choice the old secret signs until %v", until)
	}
	third := rotate(`{"keep_old_for": 60}`)
	h := in.stored(t, made.WebhookID)
	if diff := cmp.Diff([]string{third.Secret, second.Secret, made.Secret}, secrets(h, time.Now())); diff != "" {
		t.Errorf("now these sign (-want +got):\n%s", diff)
	}
	if got := secrets(h, time.Now().Add(2*time.Minute)); !slices.Equal(got, []string{third.Secret}) {
		t.Errorf("after a minute %q sign", got)
	}
	for range 2 {
		rotate(`{"keep_old_for": 60}`)
	}
	in.Call(t, "POST", "/webhooks/"+made.WebhookID+"/rotate-secret", `{}`, jsonType, in.key).Want(t, http.StatusConflict)
	last := rotate(`{"keep_old_for": 0}`)
	if got := in.stored(t, made.WebhookID).Secrets; len(got) != 1 || got[0].Value != last.Secret || last.OldSecretsUntil != nil {
		t.Errorf("after a rotation that keeps none there are %d secrets, until %v", len(got), last.OldSecretsUntil)
	}
}

func TestADeliveryIsSentAgainUnlessItsWebhookIsDisabled(t *testing.T) {
	t.Parallel()
	var woken atomic.Int32
	in := install(t, "", func(p *app.Parts) { p.Changed = func(context.Context) { woken.Add(1) } })
	made := in.hook(t, "")
	in.job(t, "")
	page, _, err := in.parts.DB.Deliveries(t.Context(), "acme", delivery.Filter{HookID: made.WebhookID}, "", 10)
	if err != nil || len(page) != 1 {
		t.Fatalf("the job has %d deliveries: %v", len(page), err)
	}
	path := "/webhooks/deliveries/" + page[0].ID + "/redeliver"
	before := woken.Load()
	var d rest.Delivery
	in.Call(t, "POST", path, "", in.key).Want(t, http.StatusOK).Into(t, &d)
	if d.State != delivery.Waiting || d.Event != delivery.JobQueued || d.NextAttemptAt == nil || d.NextAttemptAt.After(time.Now()) ||
		d.WebhookID == nil || *d.WebhookID != made.WebhookID || d.MessageID != "msg_"+page[0].ID || woken.Load() != before+1 {
		t.Errorf("ordered again it is %+v, with reconcile woken %d times", d, woken.Load()-before)
	}
	enable := func(enabled bool) {
		in.Call(t, "PATCH", "/webhooks/"+made.WebhookID, fmt.Sprintf(`{"enabled": %t}`, enabled), jsonType, in.key).Want(t, http.StatusOK)
	}
	enable(false)
	a := in.Call(t, "POST", path, "", in.key).Want(t, http.StatusConflict)
	if !strings.Contains(string(a.Body), "PATCH /webhooks/"+made.WebhookID) {
		t.Errorf("the refusal names no cure: %s", a.Body)
	}
	before = woken.Load()
	enable(true) // sends what was paused
	if woken.Load() != before+1 {
		t.Errorf("reconcile was woken %d times", woken.Load()-before)
	}
}

func TestWithoutWebhooksNoneAreMadeAndOldOnesCanBeRemoved(t *testing.T) {
	t.Parallel()
	in := install(t, "", func(p *app.Parts) { p.Config.Webhooks = false })
	h := delivery.Hook{
		ID: "01890a5d-ac96-774b-bcce-b302099a8057", TenantID: "acme", URL: "https://example.org", Events: []delivery.Type{delivery.JobQueued},
		Format: delivery.Standard, Enabled: true, Secrets: []delivery.Secret{{Value: "s"}},
	}
	if _, _, err := in.parts.DB.CreateHook(t.Context(), h, nil, 1); err != nil {
		t.Fatal(err)
	}
	const refusal = "The operator enables them with WEBHOOKS=true"
	in.WantRefused(t, map[string]served.Refusal{
		"create": served.Refused("POST", "/webhooks", `{"url": "https://example.org"}`, http.StatusServiceUnavailable, refusal),
		"change": served.Refused("PATCH", "/webhooks/"+h.ID, `{}`, http.StatusServiceUnavailable, refusal),
		"rotate": served.Refused("POST", "/webhooks/"+h.ID+"/rotate-secret", `{}`, http.StatusServiceUnavailable, refusal),
	}, in.key)
	in.Call(t, "DELETE", "/webhooks/"+h.ID, "", in.key).Want(t, http.StatusOK)
}
