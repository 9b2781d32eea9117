package post

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/sumo-k8/sumo-k8/pkg/delivery"
	"github.com/sumo-k8/sumo-k8/pkg/job"
)

// eventPrefix makes the type of a CloudEvent: the specification asks for the reversed name of a domain that is the producer's.
const eventPrefix = "io.github.sumo-k8."

// encode makes the body of d, which is the same in every attempt.
func encode(d delivery.Delivery) (body []byte, contentType string, err error) {
	e := d.Event.UTC()
	if d.Hook.Format != delivery.CloudEvents {
		body, err = json.Marshal(e)
		return body, "application/json", err
	}
	cloud := event.New()
	cloud.SetID(d.MessageID())
	cloud.SetSource("/sumo-k8/tenants/" + url.PathEscape(d.TenantID))
	cloud.SetType(eventPrefix + string(e.Type))
	cloud.SetSubject(e.Subject())
	cloud.SetTime(e.At)
	if err := cloud.SetData(event.ApplicationJSON, e.Data()); err != nil {
		return nil, "", err
	}
	body, err = json.Marshal(cloud)
	return body, event.ApplicationCloudEventsJSON, err
}

var errNoSecret = errors.New("the webhook has no valid secret")

// sign adds the headers of Standard Webhooks, with a signature by each secret that is valid at the time.
func sign(h http.Header, d delivery.Delivery, body []byte, at time.Time) error {
	var signatures []string
	for _, s := range d.Hook.Secrets {
		if s.ExpiresAt != nil && !at.Before(*s.ExpiresAt) {
			continue
		}
		signer, err := webhooks.NewWebhook(s.Value)
		if err != nil {
			return fmt.Errorf("reading a secret of webhook %s: it is not base 64", d.Hook.ID) // err may quote it
		}
		signature, err := signer.Sign(d.MessageID(), at, body)
		if err != nil {
			return err
		}
		signatures = append(signatures, signature)
	}
	if len(signatures) == 0 {
		return errNoSecret
	}
	h.Set(webhooks.HeaderWebhookID, d.MessageID())
	h.Set(webhooks.HeaderWebhookTimestamp, strconv.FormatInt(at.Unix(), 10))
	h.Set(webhooks.HeaderWebhookSignature, strings.Join(signatures, " "))
	return nil
}

// progress is the body that the predecessor sent. Its keys, words and order are those that receivers know.
type progress struct {
	SimulationID   any    `json:"simulation_id"`
	StatusType     string `json:"status_type"`
	Status         string `json:"simulation_status"`
	AdvancedStatus string `json:"advanced_status"`
	Message        string `json:"message"`
}

func encodeProgress(p job.ProgressWebhook, percent int) ([]byte, error) {
	return json.Marshal(progress{
		SimulationID: simulationID(p.SimulationID), StatusType: "progress", Status: "Running", AdvancedStatus: "Not Started",
		Message: fmt.Sprintf("Simulation progress: %d%% (step %[1]d)", percent),
	})
}

// simulationID is an integer where the client's is one, however it was sent; null if the client sent none.
func simulationID(id string) any {
	switch {
	case id == "":
		return nil
	case strings.Trim(id, "0123456789") != "":
		return id
	case strings.Trim(id, "0") == "":
		return 0
	default:
		return json.Number(strings.TrimLeft(id, "0")) // of any length
	}
}
