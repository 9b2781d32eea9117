// Package post sends events to webhooks by HTTP: signed as Standard Webhooks (https://www.standardwebhooks.com) asks, and only to
// addresses that tenants may have us call.
package post

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/rs/zerolog"

	"github.com/sumo-k8/sumo-k8/pkg/delivery"
	"github.com/sumo-k8/sumo-k8/pkg/job"
)

const (
	// attemptLimit is how long one attempt may take, from the look-up of the host's name. Standard Webhooks advises 15 to 30 s; less
	// frees the sender for other receivers sooner, and a receiver that works at length should answer before it does.
	attemptLimit = 10 * time.Second
	// drainLimit is how long the body of an answer may take. It is read only so that the connection can be used again.
	drainLimit = time.Second
	maxAnswer  = 64 << 10 // bytes of the body
	maxHeaders = 16 << 10 // bytes of the answer's headers
	// maxRetryAfter is the longest pause between two attempts.
	maxRetryAfter = 24 * time.Hour
	// Connections that wait for the next event. Receivers are many, and each gets little.
	maxIdle, maxIdlePerReceiver, idleLimit = 64, 4, 30 * time.Second

	userAgent = "SUMO-K8"
)

// Config is what a Poster needs to know.
type Config struct {
	Plain bool // whether http is allowed as well as https
	Wall  *Wall
	// Token is sent as X-Webhook-Token with progress to TokenReceivers, each a host:port, by https. All tenants share it: anyone who
	// reads it can forge the progress of any job.
	Token          string
	TokenReceivers []string
	Now            func() time.Time
	Roots          *x509.CertPool // that sign receivers' certificates; nil for the system's
	Resolver       *net.Resolver  // of host names; nil for the system's
	// Log gets what deliveries do not say to tenants.
	Log zerolog.Logger
}

// Poster is a delivery.Poster.
type Poster struct {
	cfg            Config
	tokenReceivers map[string]bool
	transport      *http.Transport
	limit          time.Duration
}

var _ delivery.Poster = (*Poster)(nil)

// New makes a Poster.
func New(cfg Config) *Poster {
	p := &Poster{cfg: cfg, tokenReceivers: map[string]bool{}, limit: attemptLimit}
	for _, r := range cfg.TokenReceivers {
		if host, port, err := net.SplitHostPort(r); err == nil {
			p.tokenReceivers[net.JoinHostPort(hostKey(host), port)] = true
		}
	}
	// Its own transport rather than http.DefaultTransport: no proxy of the environment, which would resolve host names behind the wall.
	p.transport = &http.Transport{
		DialContext: p.dial, DialTLSContext: p.dialTLS,
		MaxIdleConns: maxIdle, MaxIdleConnsPerHost: maxIdlePerReceiver, IdleConnTimeout: idleLimit,
		MaxResponseHeaderBytes: maxHeaders, DisableCompression: true,
	}
	return p
}

// Post implements delivery.Poster.
func (p *Poster) Post(ctx context.Context, d delivery.Delivery) delivery.Attempt {
	body, contentType, err := encode(d)
	header := http.Header{}
	if err == nil {
		err = sign(header, d, body, p.cfg.Now())
	}
	switch {
	case errors.Is(err, errNoSecret):
		return delivery.Attempt{Error: "The webhook has no valid secret to sign with. Rotate its secret."}
	case err != nil:
		p.cfg.Log.Error().Err(err).Str("delivery", d.ID).Msg("a delivery cannot be sent")
		return delivery.Attempt{Error: "The event could not be signed. Rotate the webhook's secret."}
	}
	header.Set("Content-Type", contentType)
	return p.send(ctx, d.Hook.URL, header, body)
}

// Progress implements delivery.Poster.
func (p *Poster) Progress(ctx context.Context, hook job.ProgressWebhook, percent int) delivery.Attempt {
	body, err := encodeProgress(hook, percent)
	if err != nil {
		return delivery.Attempt{Error: "The progress could not be written as JSON.", Final: true}
	}
	header := http.Header{"Content-Type": {"application/json"}}
	if p.cfg.Token != "" && p.getsToken(hook.URL) {
		header.Set("X-Webhook-Token", p.cfg.Token)
	}
	return p.send(ctx, hook.URL, header, body)
}

// getsToken reports whether the operator listed the receiver at target, and it proves to be that one before anything is sent.
func (p *Poster) getsToken(target string) bool {
	u, err := url.Parse(target)
	return err == nil && u.Scheme == "https" && p.tokenReceivers[net.JoinHostPort(hostKey(u.Hostname()), cmp.Or(u.Port(), "443"))]
}

// send makes one attempt to post body.
func (p *Poster) send(ctx context.Context, target string, header http.Header, body []byte) delivery.Attempt {
	// The operator may have forbidden http since the webhook was registered. The wall checks addresses, once they are known.
	if fault := (job.Callbacks{Plain: p.cfg.Plain}).URLFault(target); fault != "" {
		return delivery.Attempt{Error: "The URL " + fault + "."}
	}
	ctx, stop := context.WithTimeoutCause(ctx, p.limit, errSlow)
	defer stop()
	ctx, drained := context.WithCancelCause(ctx)
	defer drained(nil)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return delivery.Attempt{Error: "The URL is not one of a web server."}
	}
	request.Header = header
	header.Set("User-Agent", userAgent)
	// The key, which is not sent, lets the transport repeat the request when the receiver has just closed the idle connection.
	header["Idempotency-Key"] = nil

	// RoundTrip rather than a Client: it follows no redirects and keeps no cookies.
	answer, err := p.transport.RoundTrip(request)
	if err != nil {
		return p.failed(ctx, err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusSwitchingProtocols { // whose "body" is the connection, and knows no context
		timer := time.AfterFunc(drainLimit, func() { drained(errDrained) })
		defer timer.Stop()
		_, _ = io.CopyN(io.Discard, answer.Body, maxAnswer) // the status has said what matters
	}
	return judge(answer.StatusCode, answer.Header.Get("Retry-After"), p.cfg.Now())
}

// failed is an attempt that got no answer.
func (p *Poster) failed(ctx context.Context, err error) delivery.Attempt {
	var f *failure
	cause := context.Cause(ctx)
	switch {
	case cause != nil && !errors.Is(cause, errSlow):
		return delivery.Attempt{Error: "The attempt was interrupted."}
	case errors.As(err, &f):
		err = f.cause
	case cause != nil:
		f = &failure{sentence: fmt.Sprintf("The receiver did not answer within %s.", p.limit)}
	default:
		f = &failure{sentence: "The receiver closed the connection, or its answer was not HTTP."}
	}
	p.cfg.Log.Debug().Err(err).Msg("a webhook was not answered")
	return delivery.Attempt{Error: f.sentence, Down: true}
}

// judge says what an answer means.
func judge(status int, retryAfter string, now time.Time) delivery.Attempt {
	a := delivery.Attempt{Status: status}
	answered := "The receiver answered " + strconv.Itoa(status)
	if text := http.StatusText(status); text != "" {
		answered += " (" + text + ")"
	}
	switch {
	case status >= 200 && status < 300:
		return a
	case status >= 300 && status < 400:
		a.Error = answered + ". Redirects are not followed: change the webhook's URL to the one that it redirects to."
		return a
	case status == http.StatusGone:
		a.Gone, a.Final = true, true
	case status == http.StatusTooManyRequests, status >= 500:
		a.Down = true
	}
	if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
		a.RetryAfter = pause(retryAfter, now)
	}
	a.Error = answered + "."
	return a
}

// pause reads a Retry-After: seconds, or a date. What is neither asks for nothing.
func pause(header string, now time.Time) time.Duration {
	var d time.Duration
	if seconds, err := strconv.ParseInt(header, 10, 64); err == nil {
		d = time.Duration(min(max(seconds, 0), int64(maxRetryAfter/time.Second))) * time.Second // which would overflow unbounded
	} else if at, err := http.ParseTime(header); err == nil {
		d = at.Sub(now)
	}
	return min(max(d, 0), maxRetryAfter)
}

// connectLimit bounds what the transport does behind an attempt's back: it connects in a context of its own. The attempt ends first.
func (p *Poster) connectLimit() time.Duration { return p.limit + time.Second }

// dial connects to a receiver if its address is permitted.
func (p *Poster) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, unreachable(err)
	}
	d := net.Dialer{Timeout: p.connectLimit(), Resolver: p.cfg.Resolver, Control: p.cfg.Wall.control}
	if p.cfg.Wall.opens(host) {
		d.Control = nil
	}
	conn, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, unreachable(err)
	}
	return conn, nil
}

// dialTLS connects to a receiver that proves who it is.
func (p *Poster) dialTLS(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := p.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, unreachable(err)
	}
	ctx, cancel := context.WithTimeout(ctx, p.connectLimit())
	defer cancel()
	secure := tls.Client(conn, &tls.Config{
		ServerName: host, RootCAs: p.cfg.Roots, NextProtos: []string{"http/1.1"},
	})
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, insecure(err)
	}
	return secure, nil
}
