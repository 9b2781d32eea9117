package status_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/sumo-k8/sumo-k8/functions/internal/testing/served"
	"github.com/sumo-k8/sumo-k8/functions/status"
	"github.com/sumo-k8/sumo-k8/pkg/delivery"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
)

// hook makes a webhook of acme's.
func (in *installation) hook(t *testing.T, events ...delivery.Type) delivery.Hook {
	t.Helper()
	h, _, err := in.parts.DB.CreateHook(t.Context(), delivery.Hook{
		ID: uuid.Must(uuid.NewV7()).String(), TenantID: "acme", URL: "https://example.org/sumo", Events: events, Format: delivery.Standard,
		Enabled: true, Secrets: []delivery.Secret{{Value: delivery.NewSecret()}},
	}, nil, 20)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestWebhooksAreShownWithoutTheirSecrets(t *testing.T) {
	t.Parallel()
	in := install(t)
	first, second := in.hook(t, delivery.JobQueued), in.hook(t, delivery.JobFinished, delivery.JobRunning)
	var list struct{ Webhooks []rest.Webhook }
	a := in.Call(t, "GET", "/webhooks", "", in.acme).Want(t, http.StatusOK)
	a.Into(t, &list)
	if len(list.Webhooks) != 2 || list.Webhooks[0].WebhookID != first.ID || list.Webhooks[1].WebhookID != second.ID {
		t.Errorf("the list is %s", a.Body)
	}
	one := in.Call(t, "GET", "/webhooks/"+second.ID, "", in.acme).Want(t, http.StatusOK)
	var shown rest.Webhook
	one.Into(t, &shown)
	if diff := cmp.Diff(list.Webhooks[1], shown); diff != "" {
		t.Errorf("a webhook differs from itself in the list:\n%s", diff)
	}
	for _, a := range []served.Answer{a, one} {
		if strings.Contains(string(a.Body), first.Secrets[0].Value) || strings.Contains(string(a.Body), "whsec_") {
			t.Errorf("a secret is shown: %s", a.Body)
		}
	}
	in.Call(t, "GET", "/webhooks", "", in.rival).Want(t, http.StatusOK).Into(t, &list)
	if len(list.Webhooks) != 0 {
		t.Errorf("another tenant sees %+v", list.Webhooks)
	}
	in.WantRefused(t, map[string]served.Refusal{
		"another tenant's": served.Refused("GET", "/webhooks/"+first.ID, "", http.StatusNotFound, "There is no webhook"),
		"nobody's":         served.Refused("GET", "/webhooks/x", "", http.StatusNotFound, "There is no webhook"),
	}, in.rival)
}

func TestDeliveriesAreListedByWhatTheyAreOf(t *testing.T) {
	t.Parallel()
	in := install(t)
	h, other := in.hook(t, delivery.JobQueued), in.hook(t, delivery.JobQueued)
	var jobs []string
	for range 3 {
		jobs = append(jobs, in.queue(t))
	}
	list := func(query string) (page struct {
		Deliveries []rest.Delivery
		NextCursor string `json:"next_cursor"`
	}) {
		t.Helper()
		in.Call(t, "GET", "/webhooks/deliveries?"+query, "", in.acme).Want(t, http.StatusOK).Into(t, &page)
		return page
	}
	for query, want := range map[string]int{
		"": 6, "webhook_id=" + h.ID: 3, "job_id=" + jobs[0]: 2, "job_id=" + jobs[0] + "&webhook_id=" + other.ID: 1, "state=WAITING": 6,
		"state=DELIVERED": 0, "webhook_id=nobody": 0,
	} {
		if got := list(query).Deliveries; len(got) != want {
			t.Errorf("%q finds %d deliveries, want %d", query, len(got), want)
		}
	}
	var found []string
	for cursor, pages := "", 0; pages == 0 || cursor != ""; pages++ {
		page := list("limit=2&webhook_id=" + h.ID + "&cursor=" + url.QueryEscape(cursor))
		for _, d := range page.Deliveries {
			found = append(found, d.JobID)
		}
		cursor = page.NextCursor
	}
	slices.Reverse(jobs)
	if diff := cmp.Diff(jobs, found); diff != "" {
		t.Errorf("page by page, newest first (-want +got):\n%s", diff)
	}
	in.WantRefused(t, map[string]served.Refusal{
		"a misspelt filter": served.Refused("GET", "/webhooks/deliveries?hook=x", "", http.StatusBadRequest, "hook"),
		"no state":          served.Refused("GET", "/webhooks/deliveries?state=LOST", "", http.StatusBadRequest, "GIVEN_UP"),
		"a foreign cursor":  served.Refused("GET", "/webhooks/deliveries?cursor=MTp4", "", http.StatusBadRequest, "cursor"),
	}, in.acme)
}

func TestADeliveryShowsItsMessage(t *testing.T) {
	t.Parallel()
	in := install(t)
	h := in.hook(t, delivery.JobQueued)
	id := in.queue(t, func(j *job.Job) { j.Labels = map[string]string{"study": "a"} })
	recorded, _, err := in.parts.DB.Deliveries(t.Context(), "acme", delivery.Filter{JobID: id}, "", 1)
	if err != nil || len(recorded) != 1 {
		t.Fatalf("the job has %d deliveries: %v", len(recorded), err)
	}
	var shown status.DeliveryWithMessage
	path := "/webhooks/deliveries/" + recorded[0].ID
	in.Call(t, "GET", path, "", in.acme).Want(t, http.StatusOK).Into(t, &shown)
	if shown.WebhookID == nil || *shown.WebhookID != h.ID || shown.URL != h.URL || shown.MessageID != "msg_"+recorded[0].ID ||
		shown.State != delivery.Waiting || shown.NextAttemptAt == nil || shown.AttemptedAt != nil {
		t.Errorf("the delivery is %+v", shown.Delivery)
	}
	if m := shown.Message; m.Type != delivery.JobQueued || m.Data.JobID != id || m.Data.Status != job.Queued || m.Data.Labels["study"] != "a" {
		t.Errorf("its message is %+v", m)
	}
	in.Call(t, "GET", path, "", in.rival).Want(t, http.StatusNotFound)
}
