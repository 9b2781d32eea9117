package client

import (
	"strings"
	"testing"
)

func TestAWebhookWhoseSecretWasLostOnTheWayGetsAnother(t *testing.T) {
	t.Parallel()
	s := newScript(t, says(200, `{"webhooks": []}`), cuts,
		says(201, `{"webhook_id": "w", "url": "https://example.org"}`, "Idempotent-Replayed: true"),
		says(200, `{"webhook_id": "w", "url": "https://example.org", "secret": "whsec_new"}`))
	api := s.client(t)
	if _, err := api.Webhooks(t.Context()); err != nil { // the service is there
		t.Fatal(err)
	}
	target := "https://example.org"
	w, err := api.CreateWebhook(t.Context(), WebhookChange{URL: &target})
	if err != nil || w.ID != "w" || w.Secret != "whsec_new" {
		t.Errorf("created as %+v, %v", w, err)
	}
	keys, bodies := s.seen()
	if len(keys) != 4 || keys[1] == "" || keys[1] != keys[2] || bodies[3] != `{"keep_old_for":0}` {
		t.Errorf("the requests had the keys %q and the bodies %q", keys, bodies)
	}
}

func TestASubmissionNamesItsWebhookAndGetsTheSecret(t *testing.T) {
	t.Parallel()
	s := newScript(t, says(200, `{"job_id": "j", "webhook_secret": "whsec_x"}`))
	j, err := s.client(t).Submit(t.Context(), Submission{Run: Run{Name: "r", WebhookURL: "https://example.org/a b"}, ScenarioID: "s"})
	if err != nil || j.WebhookSecret != "whsec_x" {
		t.Errorf("submitted as %+v, %v", j, err)
	}
	if _, bodies := s.seen(); !strings.Contains(bodies[0], "webhook_url") || !strings.Contains(bodies[0], "example.org") {
		t.Errorf("the form is %q", bodies[0])
	}
}
