// Package client is a Go client of the HTTP API.
//
// The client repeats calls that are safe to repeat while the service is unreachable or asks to retry later. A submission
// is one of them: it carries an Idempotency-Key, so that it makes one job however often it is sent.
//
//	api, err := client.New("https://sumo.example.com", client.Options{APIKey: key})
//	…
//	job, err := api.Submit(ctx, client.Submission{Run: client.Run{Name: "morning-peak"}, Scenario: client.File("city.zip")})
//	…
//	for e, err := range api.Follow(ctx, job.ID, "") {
//		…
//	}
package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

const (
	// answerWithin is how long an answer may take. The service holds no call longer than 50 s.
	answerWithin = 70 * time.Second
	// headWithin bounds the wait for an answer after an upload, which is checked before it is answered. No gateway lets a
	// request take longer than Knative's 300 s.
	headWithin = 300 * time.Second
	// silence is how long a stream may be silent before it is taken for dead. Log streams send a heartbeat every 15 s.
	silence = time.Minute
	// askFirst is how long an upload waits for the service to agree to it. Servers that do not know Expect: 100-continue never answer.
	askFirst = 2 * time.Second
	// maxAnswer bounds the JSON that we take in: the list of a job's results, with a long link for each, is the largest.
	maxAnswer = 32 << 20

	defaultPatience = 30 * time.Second
)

// Options say who calls, and how.
type Options struct {
	// APIKey is a tenant's key; AdminKey is the operator's. Only the calls of each need it.
	APIKey, AdminKey string
	// Patience is how long a call is repeated while the service is unreachable; 30 s unless set. A restart takes some seconds.
	Patience time.Duration
	// Retrying is called each time before a call is repeated. It may be nil.
	Retrying func(err error, wait time.Duration)
	// UserAgent names the calling program.
	UserAgent string
	// Transport sends the requests; one with sensible timeouts unless set.
	Transport http.RoundTripper
}

// Client calls one service. It may be used by several goroutines.
type Client struct {
	base       string
	options    Options
	firstPause time.Duration // between two tries
	answered   *atomic.Bool  // whether the service has ever answered
}

// New makes a client of the service at base, such as https://sumo.example.com. It sends nothing.
func New(base string, o Options) (*Client, error) {
	address, err := url.Parse(base)
	if err != nil || address.Scheme != "http" && address.Scheme != "https" || address.Host == "" ||
		address.User != nil || address.RawQuery != "" || address.Fragment != "" {
		return nil, fmt.Errorf("%q is not the address of a service; write it like https://sumo.example.com", base)
	}
	if o.Patience == 0 {
		o.Patience = defaultPatience
	}
	if o.Transport == nil {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.ResponseHeaderTimeout = headWithin
		transport.ExpectContinueTimeout = askFirst
		o.Transport = transport
	}
	return &Client{base: strings.TrimRight(base, "/"), options: o, firstPause: firstPause, answered: &atomic.Bool{}}, nil
}

// WithAPIKey returns a client of the same service that calls with another tenant's key.
func (c *Client) WithAPIKey(key string) *Client {
	other := *c
	other.options.APIKey = key
	return &other
}

// Document is the raw answer. It is part of what calls return, for programs that need fields that this package does not know.
type Document struct{ raw json.RawMessage }

// JSON is the answer's text.
func (d Document) JSON() json.RawMessage { return d.raw }

func (d *Document) keep(raw json.RawMessage) { d.raw = raw }

// request is a call that can be sent several times.
type request struct {
	method string
	path   string // escaped
	query  url.Values
	header http.Header
	admin  bool
	// key makes a POST repeatable: the service does the same thing only once for it.
	key string
	// safe is a POST that changes nothing, or nothing more when it is repeated.
	safe bool
	body *body // nil for none
}

// body of a request. Its size is -1 when unknown.
type body struct {
	kind string // media type
	open func() (io.ReadCloser, int64, error)
	// upload is a body of any size, which is sent only after the service has agreed to take it.
	upload bool
}

func jsonBody(v any) (*body, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("writing the request: %w", err)
	}
	return &body{kind: "application/json", open: func() (io.ReadCloser, int64, error) {
		return io.NopCloser(bytes.NewReader(raw)), int64(len(raw)), nil
	}}, nil
}

// repeatable reports whether sending r twice does the same as sending it once.
func (r request) repeatable() bool {
	return r.key != "" || r.safe || r.method == http.MethodGet || r.method == http.MethodDelete || r.method == http.MethodPut
}

// call sends r until it is answered, and reads the JSON of a good answer into out, unless that is nil.
func (c *Client) call(ctx context.Context, r request, out any) error {
	raw, err := c.fetch(ctx, r)
	if err != nil {
		return err
	}
	return decode(raw, r, out)
}

// fetch sends r until it is answered, and returns a good answer as it came.
func (c *Client) fetch(ctx context.Context, r request) ([]byte, error) {
	p := c.patience(r.repeatable())
	for {
		raw, err := c.exchange(ctx, r)
		if err == nil {
			return raw, nil
		}
		if err := p.wait(ctx, err); err != nil {
			return nil, err
		}
	}
}

func decode(raw []byte, r request, out any) error {
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return fmt.Errorf("the answer to %s %s is not what a SUMO-K8 service says: %w", r.method, r.path, err)
	}
	if k, ok := out.(interface{ keep(json.RawMessage) }); ok {
		k.keep(raw)
	}
	return nil
}

// exchange sends r once and reads the whole answer.
func (c *Client) exchange(ctx context.Context, r request) ([]byte, error) {
	if r.body == nil || !r.body.upload {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, answerWithin, fmt.Errorf("no answer within %s", answerWithin))
		defer cancel()
	}
	resp, err := c.send(ctx, r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, c.unreachable(ctx, resp.Request, fmt.Errorf("the answer broke off: %w", err))
	}
	if len(raw) > maxAnswer {
		return nil, fmt.Errorf("%s answered with more than %d MiB", described(resp.Request), maxAnswer>>20)
	}
	return raw, nil
}

// send sends r once. An answer other than 2xx is an *Error. The caller closes the answer's body.
func (c *Client) send(ctx context.Context, r request) (*http.Response, error) {
	resp, err := c.sendAny(ctx, r)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, refusal(resp)
}

// sendAny is send that takes any answer.
func (c *Client) sendAny(ctx context.Context, r request) (*http.Response, error) {
	if strings.HasSuffix(r.path, "/") || strings.Contains(r.path, "//") { // the address of something else, and perhaps of all
		return nil, fmt.Errorf("an id or name is empty in %s %s: it may come from a variable that is not set", r.method, r.path)
	}
	address := c.base + r.path
	if len(r.query) > 0 {
		address += "?" + r.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.method, address, nil)
	if err != nil {
		return nil, fmt.Errorf("making the request %s %s: %w", r.method, r.path, err)
	}
	for name, values := range r.header {
		req.Header[name] = values
	}
	if r.admin {
		req.Header.Set("X-Admin-Key", c.options.AdminKey)
	} else if c.options.APIKey != "" {
		req.Header.Set("Authorization", "Bearer "+c.options.APIKey)
	}
	if c.options.UserAgent != "" {
		req.Header.Set("User-Agent", c.options.UserAgent)
	}
	if r.key != "" {
		req.Header.Set("Idempotency-Key", r.key)
	}
	if r.body != nil {
		content, size, err := r.body.open()
		if err != nil {
			return nil, err
		}
		req.Body, req.ContentLength = content, size
		req.Header.Set("Content-Type", r.body.kind)
		if r.body.upload {
			req.Header.Set("Expect", "100-continue")
		}
	}
	return c.do(req)
}

// do sends req as it is. It follows no redirect, which could carry our keys elsewhere.
func (c *Client) do(req *http.Request) (*http.Response, error) {
	resp, err := c.options.Transport.RoundTrip(req)
	if err != nil {
		var broken *sourceError
		if errors.As(err, &broken) {
			return nil, broken.error
		}
		return nil, c.unreachable(req.Context(), req, err)
	}
	c.answered.Store(true)
	return resp, nil
}

// described names a request without its query, where presigned links carry their signature.
func described(req *http.Request) string {
	return req.Method + " " + req.URL.Scheme + "://" + req.URL.Host + req.URL.EscapedPath()
}

func (c *Client) unreachable(ctx context.Context, req *http.Request, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	if plain, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		err = fmt.Errorf("the server does not speak TLS (%w); if it is the service, its address is http://%s", plain, req.URL.Host)
	}
	return &Unreachable{Request: described(req), Err: err}
}
