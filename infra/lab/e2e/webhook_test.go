package e2e

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/sumo-k8/sumo-k8/pkg/delivery"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
)

// testWebhooks has a receiver on this machine, at the one address and port that the lab's overlay opens for reconcile beside the public
// ones.
func testWebhooks(t *testing.T, c *cluster) {
	const address = "10.244.0.1:8099"
	var mu sync.Mutex
	var secret string
	seen := map[delivery.Type]time.Time{}
	var ended job.State
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		body, _ := io.ReadAll(r.Body)
		hook, err := standardwebhooks.NewWebhook(secret)
		if err == nil {
			err = hook.Verify(body, r.Header)
		}
		var message rest.WebhookMessage
		if err == nil {
			err = json.Unmarshal(body, &message)
		}
		if err != nil {
			t.Errorf("%s: %v", body, err)
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		seen[message.Type] = time.Now()
		if message.Type == delivery.JobFinished {
			ended = message.Data.Status
		}
	})}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })

	a := c.register(t, "")
	authorised := map[string]string{"Authorization": "Bearer " + a.key, "Content-Type": "application/json"}
	var made struct{ Secret string }
	mu.Lock() // nothing is sent before the secret is known
	c.call(t, "POST", "/webhooks", authorised, strings.NewReader(`{"url": "http://`+address+`/jobs"}`), http.StatusCreated, &made)
	secret = made.Secret
	mu.Unlock()

	j := a.finish(t, a.submit(t, ready(t, "square"), nil).JobID)
	if j.Status != job.Succeeded {
		t.Fatalf("the job ended %s: %s", j.Status, why(j))
	}
	until(t, "job.finished", func() (bool, string) {
		mu.Lock()
		defer mu.Unlock()
		return ended == job.Succeeded, "the receiver has seen " + string(ended)
	})
	mu.Lock()
	defer mu.Unlock()
	if seen[delivery.JobQueued].IsZero() {
		t.Error("job.queued never came")
	}
	t.Logf("job.finished came %.1f s after the end of the run", seen[delivery.JobFinished].Sub(*j.FinishedAt).Seconds())
}
