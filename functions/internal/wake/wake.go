// Package wake calls the reconcile function: once, as the schedule does, or in the background whenever there is new
// work for it.
package wake

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/sumo-k8/sumo-k8/pkg/reconcile"
	"github.com/sumo-k8/sumo-k8/pkg/telemetry/traceparent"
)

const (
	// patience is longer than any answer takes: both reconcile and Knative give up after five minutes.
	patience = 6 * time.Minute
	// maxAnswer is far more than the size of a report or a problem.
	maxAnswer = 64 << 10
)

// Caller calls reconcile.
type Caller struct {
	URL string
	// TokenFile has the token of our service account, which is renewed while we run. Without a file, AdminKey is sent.
	TokenFile string
	AdminKey  string
	Transport http.RoundTripper
}

// Call calls reconcile and waits for its answer.
func (c Caller) Call(ctx context.Context) (reconcile.Report, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL, nil)
	if err != nil {
		return reconcile.Report{}, fmt.Errorf("calling reconcile: %w", err)
	}
	traceparent.ToHeader(ctx, r.Header)
	if err := c.authorise(r); err != nil {
		return reconcile.Report{}, err
	}
	// An http.Client would follow a redirect and send the token elsewhere.
	response, err := c.Transport.RoundTrip(r)
	if err != nil {
		return reconcile.Report{}, fmt.Errorf("calling reconcile: %w", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return reconcile.Report{}, fmt.Errorf("reading reconcile's answer: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return reconcile.Report{}, fmt.Errorf("reconcile answered %s: %s", response.Status, detail(body))
	}
	var report reconcile.Report
	if err := json.Unmarshal(body, &report); err != nil {
		return reconcile.Report{}, fmt.Errorf("reconcile's answer is not a report: %w", err)
	}
	return report, nil
}

func (c Caller) authorise(r *http.Request) error {
	if c.TokenFile == "" {
		if c.AdminKey != "" {
			r.Header.Set("X-Admin-Key", c.AdminKey)
		}
		return nil
	}
	token, err := os.ReadFile(c.TokenFile)
	if err != nil {
		return fmt.Errorf("reading RECONCILE_TOKEN_FILE: %w", err)
	}
	r.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	return nil
}

// detail returns a problem's detail, or the beginning of any other answer.
func detail(body []byte) string {
	var problem struct {
		Detail string `json:"detail"`
	}
	if json.Unmarshal(body, &problem) == nil && problem.Detail != "" {
		return problem.Detail
	}
	const enough = 200
	return strings.ToValidUTF8(string(body[:min(len(body), enough)]), "")
}

// pauses follow calls that were skipped, because another call was working, or interrupted, because their process is being
// replaced. The other call may have read the jobs for the last time before the change that caused ours, and be finishing.
// If it is still working after the last pause, it is following jobs and sees every change.
var pauses = []time.Duration{time.Second, 3 * time.Second, 10 * time.Second}

// Waker calls in the background, one call at a time.
type Waker struct {
	caller  Caller
	log     zerolog.Logger
	pauses  []time.Duration
	changed chan string // the trace of the change
	stop    context.CancelFunc
	ended   chan struct{}
}

// Start makes a Waker. The caller closes it.
func Start(caller Caller, log zerolog.Logger) *Waker { return start(caller, log, pauses) }

func start(caller Caller, log zerolog.Logger, pauses []time.Duration) *Waker {
	ctx, stop := context.WithCancel(context.Background())
	w := &Waker{caller: caller, log: log, pauses: pauses, changed: make(chan string, 1), stop: stop, ended: make(chan struct{})}
	go w.run(ctx)
	return w
}

// Changed reports new work and returns at once. Changes during a call cause one more call, which belongs to the trace of the
// first of them.
func (w *Waker) Changed(ctx context.Context) {
	select {
	case w.changed <- traceparent.Of(ctx):
	default: // a later call is due already
	}
}

// Close abandons the active call. Reconcile continues without us.
func (w *Waker) Close() {
	w.stop()
	<-w.ended
}

func (w *Waker) run(ctx context.Context) {
	defer close(w.ended)
	for {
		var changed string
		select {
		case <-ctx.Done():
			return
		case changed = <-w.changed:
		}
		if err := w.wake(traceparent.With(ctx, changed)); err != nil && ctx.Err() == nil {
			w.log.Warn().Err(err).Msg("reconcile could not be woken; the schedule will call it")
		}
	}
}

func (w *Waker) wake(ctx context.Context) error {
	for i := 0; ; i++ {
		report, err := w.caller.Call(ctx)
		if err != nil || !report.Skipped && !report.Interrupted || i == len(w.pauses) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(w.pauses[i]):
		}
	}
}
