package client

import (
	"context"
	"crypto/tls"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

const (
	firstPause = 250 * time.Millisecond
	// longestPause bounds how long a service that is back waits for the next try.
	longestPause = 5 * time.Second
)

// patience decides about one call whether it is worth another try, and waits before it.
type patience struct {
	c          *Client
	repeatable bool
	since      time.Time // of the first failure in a row
	pause      time.Duration
}

func (c *Client) patience(repeatable bool) *patience { return &patience{c: c, repeatable: repeatable} }

// rewarded records that the service has delivered something.
func (p *patience) rewarded() { p.since, p.pause = time.Time{}, 0 }

// wait returns nil when it is time to try again, and the error to give up with otherwise.
func (p *patience) wait(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	wait, again := p.worthwhile(err)
	if !again {
		return err
	}
	now := time.Now()
	if p.since.IsZero() {
		p.since = now
	}
	if now.Add(wait).Sub(p.since) > p.c.options.Patience {
		return err
	}
	if p.c.options.Retrying != nil {
		p.c.options.Retrying(err, wait)
	}
	return sleep(ctx, wait)
}

// worthwhile reports whether a request that failed with err may succeed when it is sent again, and when.
func (p *patience) worthwhile(err error) (time.Duration, bool) {
	var refused *Error
	if errors.As(err, &refused) {
		switch {
		case refused.Status == http.StatusTooManyRequests: // it was not processed
		case !p.repeatable || refused.Code == problem.NotConfigured || refused.Code == problem.StorageRefused:
			return 0, false
		case refused.Status == http.StatusConflict && refused.RetryAfter > 0: // our own first try is still being worked on
		case refused.Status >= http.StatusBadGateway && refused.Status <= http.StatusGatewayTimeout:
		default:
			return 0, false
		}
		return max(refused.RetryAfter, p.nextPause()), true
	}
	var unreachable *Unreachable
	if !errors.As(err, &unreachable) {
		return 0, false
	}
	if neverSent(err) {
		// A service that has never answered is more likely a wrong address than one that restarts.
		return p.nextPause(), p.c.answered.Load()
	}
	return p.nextPause(), p.repeatable
}

// neverSent reports whether the request failed before anything of it was sent: there was no connection, or nobody to trust at its end.
func neverSent(err error) bool {
	var (
		op          *net.OpError
		plain       tls.RecordHeaderError
		certificate *tls.CertificateVerificationError
	)
	return errors.As(err, &op) && op.Op == "dial" || errors.As(err, &plain) || errors.As(err, &certificate)
}

// nextPause doubles from one failure to the next. Its random part keeps many clients of one service apart.
func (p *patience) nextPause() time.Duration {
	p.pause = min(max(2*p.pause, p.c.firstPause), longestPause)
	return p.pause/2 + rand.N(p.pause/2)
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
