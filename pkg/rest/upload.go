package rest

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

// uploadRetry is the Retry-After for a tenant with too many uploads: about as long as a scenario of some MiB takes.
const uploadRetry = 5 * time.Second

// streams reports whether the handler of op reads the body as it arrives, rather than huma before it. Bodies of such
// operations are uploads: of any length, at a minimum rate.
func streams(op *huma.Operation) bool {
	return op.MaxBodyBytes < 0 || op.MaxBodyBytes == 0 && op.RequestBody != nil
}

// closeUntilWhole makes an answer close the connection unless the upload of ctx has arrived completely, which the caller reports
// by whole: otherwise net/http would hold the answer back until a slow client has sent the rest.
func closeUntilWhole(ctx huma.Context) (whole func()) {
	r, w := humago.Unwrap(ctx)
	if r.ContentLength == 0 || w.Header().Get("Connection") != "" {
		return func() {}
	}
	w.Header().Set("Connection", "close")
	return func() { w.Header().Del("Connection") }
}

// beginUpload applies the limits of uploads to the body of ctx until end is called. The error is problem.RateLimited.
func (g *gate) beginUpload(ctx huma.Context, whole func()) (end func(), err error) {
	r, w := humago.Unwrap(ctx)
	t, _ := ctx.Context().Value(tenantKey{}).(tenant.Tenant) // all operators together count as one tenant
	end, ok := g.uploads.Begin(t.ID)
	if !ok {
		return nil, problem.New(problem.RateLimited, "You have %d uploads under way at this instance, the most that one tenant may have. "+
			"Wait until one has finished, and retry in %s.", g.uploads.Most, inSeconds(uploadRetry)).WithRetryAfter(uploadRetry)
	}
	r.Body = &uploadBody{
		ReadCloser: r.Body, control: http.NewResponseController(w), pace: newPace(g.keys.Limits.MinUploadRate), whole: whole, ended: end,
	}
	return end, nil
}

// StreamIn returns the request of ctx, whose body the handler reads as it arrives. Reading fails with code
// request_timeout when the client is slower than Limits.MinUploadRate.
func StreamIn(ctx huma.Context) *http.Request {
	r, _ := humago.Unwrap(ctx)
	return r.WithContext(ctx.Context())
}

type uploadBody struct {
	io.ReadCloser
	control *http.ResponseController
	pace    *pace
	whole   func() // called at the end of the body
	ended   func() // called when reading ends, with or without an error
	err     error
}

func (b *uploadBody) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err // net/http watches the connection itself after the body's end: a deadline then would cut off the handler
	}
	// A deadline that passes ends the request, so it cannot serve for checking the clock periodically: it is the moment at
	// which silence becomes too long. net/http clears it at the body's end.
	start := time.Now()
	_ = b.control.SetReadDeadline(start.Add(b.pace.patience())) // recorders in tests have none
	n, err := b.ReadCloser.Read(p)
	b.pace.received(n, time.Since(start))
	switch {
	case err == io.EOF: //nolint:errorlint // a Reader ends with EOF itself; one that is wrapped is a failure
		b.whole()
	case errors.Is(err, os.ErrDeadlineExceeded), err == nil && b.pace.patience() <= 0:
		err = b.pace.tooSlow(err)
	}
	if err != nil {
		b.err = err
		b.ended()
	}
	return n, err
}

const (
	// paceWindow is long against a mobile network's pauses, and short against the ten minutes that proxies give a request.
	paceWindow  = time.Minute
	paceSeconds = int64(paceWindow / time.Second)
	// paceStep is the resolution of the window: bytes count until they are between paceWindow and paceWindow+paceStep old, so
	// that no client at the required rate falls below it.
	paceStep  = time.Second
	paceSteps = int(paceWindow/paceStep) + 1
)

// pace measures how fast a body arrived over the last paceWindow. Only the time spent waiting for the client counts: while we
// store what has arrived, it cannot send.
type pace struct {
	rate   int64         // bytes a second; 0 requires only that something arrives in each window
	waited time.Duration // for the client, so far
	step   int           // the step of waited
	steps  [paceSteps]int64
	sum    int64 // of steps: the bytes of the window
}

func newPace(rate int64) *pace { return &pace{rate: rate} }

// least is how many bytes must arrive in each window.
func (p *pace) least() int64 { return max(1, p.rate*paceSeconds) }

// received records n bytes that arrived after waiting that long.
func (p *pace) received(n int, waiting time.Duration) {
	p.waited += waiting
	now := int(p.waited / paceStep)
	for p.step = max(p.step, now-paceSteps); p.step < now; {
		p.step++
		oldest := &p.steps[p.step%paceSteps]
		p.sum -= *oldest
		*oldest = 0
	}
	p.steps[p.step%paceSteps] += int64(n)
	p.sum += int64(n)
}

// patience is how long the client may stay silent from now on; zero or less when it is too slow already.
func (p *pace) patience() time.Duration {
	if p.step >= paceSteps && p.sum < p.least() {
		return 0
	}
	left := p.sum
	for step := max(0, p.step-paceSteps+1); ; step++ {
		left -= p.steps[step%paceSteps]
		if left < p.least() { // as it is at the newest step, when none are left
			return time.Duration(step+paceSteps)*paceStep - p.waited
		}
	}
}

func (p *pace) tooSlow(cause error) error {
	const cure = "Retry over a faster connection, or upload directly to the object store: POST /scenarios/uploads."
	if p.sum == 0 {
		return problem.Wrap(cause, requestTimeout, "Nothing of the upload arrived in the last %d s. "+cure, paceSeconds)
	}
	return problem.Wrap(cause, requestTimeout, "The upload is too slow: %s arrived in the last %d s (%s); at least %s is required. "+cure,
		sizeText(p.sum), paceSeconds, rateText(float64(p.sum)/paceWindow.Seconds()), rateText(float64(p.rate)))
}

func rateText(perSecond float64) string { return fmt.Sprintf("%.1f KiB/s", perSecond/1024) }
