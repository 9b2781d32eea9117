package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/sumo-k8/sumo-k8/functions/status"
	"github.com/sumo-k8/sumo-k8/functions/submit"
	"github.com/sumo-k8/sumo-k8/pkg/delivery"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
)

// change sends JSON.
func (c *tenantClient) change(t testing.TB, method, path, body string) answer {
	t.Helper()
	return c.request(t, method, path, strings.NewReader(body), "Authorization: "+c.key, "Content-Type: application/json")
}

// hook makes a webhook with further fields, as JSON, and returns its id. Nothing is sent: its receiver is this machine, which is not
// allowed. Where a tenant has too many, the oldest goes.
func (c *tenantClient) hook(t testing.TB, fields string) string {
	t.Helper()
	create := func() answer {
		return c.change(t, "POST", "/webhooks", `{"url": "https://localhost:1/`+markOf(c)+`", `+fields+`}`)
	}
	a := create()
	if a.status == http.StatusConflict {
		var list struct{ Webhooks []rest.Webhook }
		c.call(t, "GET", "/webhooks").want(t, http.StatusOK).into(t, &list)
		c.call(t, "DELETE", "/webhooks/"+list.Webhooks[0].WebhookID).want(t, http.StatusOK)
		a = create()
	}
	var made rest.Webhook
	a.want(t, http.StatusCreated).into(t, &made)
	return made.WebhookID
}

func testWebhooks(t *testing.T, s *service) {
	c := s.register(t)
	id := c.hook(t, `"events": ["job.queued", "job.finished"]`)
	var replaced submit.NewWebhook
	c.change(t, "POST", "/webhooks/"+id+"/rotate-secret", `{"keep_old_for": 60}`).want(t, http.StatusOK).into(t, &replaced)
	if !strings.HasPrefix(replaced.Secret, "whsec_") {
		t.Errorf("the new secret is %q", replaced.Secret)
	}
	j := c.finish(t, c.submit(t, "square").JobID)

	var list struct{ Deliveries []rest.Delivery }
	c.call(t, "GET", "/webhooks/deliveries?job_id="+j.JobID).want(t, http.StatusOK).into(t, &list)
	if len(list.Deliveries) != 2 || list.Deliveries[0].Event != delivery.JobFinished || list.Deliveries[1].Event != delivery.JobQueued {
		t.Fatalf("the deliveries of a finished job are %+v", list.Deliveries)
	}
	path := "/webhooks/deliveries/" + list.Deliveries[0].DeliveryID
	var shown status.DeliveryWithMessage
	c.call(t, "GET", path).want(t, http.StatusOK).into(t, &shown)
	if d := shown.Message.Data; d.JobID != j.JobID || d.Status != j.Status || d.Summary == nil {
		t.Errorf("the message of the end is %+v", shown.Message)
	}
	c.call(t, "POST", path+"/redeliver").want(t, http.StatusOK)

	c.change(t, "PATCH", "/webhooks/"+id, `{"enabled": false}`).want(t, http.StatusOK)
	var hook rest.Webhook
	c.call(t, "GET", "/webhooks/"+id).want(t, http.StatusOK).into(t, &hook)
	if hook.Enabled {
		t.Error("a disabled webhook is enabled")
	}
	c.call(t, "DELETE", "/webhooks/"+id).want(t, http.StatusOK)
	if left := c.call(t, "GET", "/webhooks").want(t, http.StatusOK); string(left.body) != "{\"webhooks\":[]}\n" {
		t.Errorf("after the only webhook is deleted there is %s", left.body)
	}
	c.call(t, "GET", path).want(t, http.StatusNotFound) // with its webhook
}
