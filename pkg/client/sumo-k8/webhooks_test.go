package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sumo-k8/sumo-k8/pkg/delivery"
)

func TestEveryEventCanBeNamed(t *testing.T) {
	t.Parallel()
	for i, name := range eventNames() {
		for _, given := range []string{name, string(delivery.Types()[i])} {
			if got := eventOf(given); got != delivery.Types()[i] {
				t.Errorf("%s is %s, want %s", given, got, delivery.Types()[i])
			}
		}
	}
}

func TestTheSecretOfASubmissionsWebhookIsPrintedOnce(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if !strings.Contains(string(body), "webhook_url") {
			w.WriteHeader(http.StatusTeapot)
		}
		_, _ = io.WriteString(w, `{"job_id": "j", "status": "QUEUED", "webhook_secret": "whsec_x"}`)
	}))
	defer server.Close()
	u := person(t)
	u.env[urlVariable], u.env[apiKeyVariable] = server.URL, "sk-test"
	args := []string{"submit", "--scenario", "abc", "--webhook-url", "https://example.org"}
	o := u.ok(args...)
	if o.stdout != "j\n" || strings.Count(o.stderr, "whsec_x") != 1 {
		t.Errorf("standard output is %q, and the rest\n%s", o.stdout, o.stderr)
	}
	if o := u.ok(append(args, "-o", "json")...); strings.Count(o.stdout+o.stderr, "whsec_x") != 1 {
		t.Errorf("as JSON it is\n%s%s", o.stdout, o.stderr)
	}
}
