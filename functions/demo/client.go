package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

const (
	// answerWithin is how long the server may take for the head of an answer. Submitting includes reading the scenario.
	answerWithin = time.Minute
	// maxAnswer bounds the JSON that we take in. The largest we ask for lists a job's results.
	maxAnswer = 4 << 20
	// resumeAfter is the pause before a log stream that ended early is taken up again.
	resumeAfter = 500 * time.Millisecond
)

// client speaks the HTTP contract for one tenant.
type client struct {
	base   string
	apiKey string // set by register
	http   *http.Client
}

func newClient(base string) *client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = answerWithin
	return &client{base: strings.TrimRight(base, "/"), http: &http.Client{Transport: transport}}
}

// jobStatus is the part of GET /jobs/{id} that the demo shows.
type jobStatus struct {
	Status   job.State `json:"status"`
	Progress float64   `json:"progress"` // 0 to 1
	Reason   string    `json:"reason"`
	Error    string    `json:"error"`
}

// resultFile is one file of GET /jobs/{id}/results.
type resultFile struct {
	Name string `json:"name"`
	Size int64  `json:"size"` // bytes
	URL  string `json:"url"`  // presigned: it reads the file without a key
}

// register makes a tenant and speaks for it from then on.
func (c *client) register(ctx context.Context, adminKey, tenantID string) error {
	body, err := json.Marshal(map[string]string{"tenant_id": tenantID})
	if err != nil {
		return err
	}
	req, err := c.request(ctx, http.MethodPost, "/auth/register", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Admin-Key", adminKey)
	var made struct {
		APIKey string `json:"api_key"`
	}
	if err := c.call(req, &made); err != nil {
		return err
	}
	c.apiKey = made.APIKey
	return nil
}

// submit uploads the zip at file and returns the id of its job.
func (c *client) submit(ctx context.Context, name, file string) (string, error) {
	zip, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer zip.Close()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	if err := form.WriteField("scenario_id", name); err != nil {
		return "", err
	}
	part, err := form.CreateFormFile("sumo_files", filepath.Base(file))
	if err != nil {
		return "", err
	}
	if _, err := io.Copy(part, zip); err != nil {
		return "", err
	}
	if err := form.Close(); err != nil {
		return "", err
	}
	req, err := c.request(ctx, http.MethodPost, "/jobs", &body)
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", form.FormDataContentType())
	var made struct {
		JobID string `json:"job_id"`
	}
	if err := c.call(req, &made); err != nil {
		return "", err
	}
	return made.JobID, nil
}

func (c *client) job(ctx context.Context, id string) (j jobStatus, err error) {
	req, err := c.request(ctx, http.MethodGet, "/jobs/"+url.PathEscape(id), nil)
	if err != nil {
		return j, err
	}
	return j, c.call(req, &j)
}

func (c *client) cancel(ctx context.Context, id string) error {
	req, err := c.request(ctx, http.MethodDelete, "/jobs/"+url.PathEscape(id), nil)
	if err != nil {
		return err
	}
	return c.call(req, nil)
}

func (c *client) results(ctx context.Context, id string) ([]resultFile, error) {
	req, err := c.request(ctx, http.MethodGet, "/jobs/"+url.PathEscape(id)+"/results", nil)
	if err != nil {
		return nil, err
	}
	var listing struct {
		Files []resultFile `json:"files"`
	}
	return listing.Files, c.call(req, &listing)
}

// fetch copies what a presigned URL points at to w and returns its size in bytes.
func (c *client) fetch(ctx context.Context, presigned string, w io.Writer) (int64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, presigned, nil)
	if err != nil {
		return 0, errors.New("the server gave a URL that cannot be read")
	}
	resp, err := c.do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	return io.Copy(w, resp.Body)
}

// followLog calls line for each line of a job's log until the log has ended. A stream that ends early, as one behind a
// gateway must, is resumed where it stopped.
func (c *client) followLog(ctx context.Context, id string, line func(string)) error {
	var lastID string
	answered := time.Now()
	for {
		ended, err := c.readLog(ctx, id, &lastID, line)
		switch {
		case ended:
			return nil
		case err == nil:
			answered = time.Now()
		case !transient(err) || time.Since(answered) > patience:
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(resumeAfter):
		}
	}
}

// readLog reads one stream after the event called *lastID, which it keeps up to date.
func (c *client) readLog(ctx context.Context, id string, lastID *string, line func(string)) (ended bool, err error) {
	req, err := c.request(ctx, http.MethodGet, "/jobs/"+url.PathEscape(id)+"/logs/stream", nil)
	if err != nil {
		return false, err
	}
	req.Header.Set("Accept", "text/event-stream")
	if *lastID != "" {
		req.Header.Set("Last-Event-ID", *lastID)
	}
	resp, err := c.do(req)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	for e, err := range readEvents(resp.Body) {
		if errors.Is(err, bufio.ErrTooLong) {
			return false, fmt.Errorf("a line of the log is longer than %d bytes", maxEventLine)
		}
		if err != nil {
			return false, nil // a stream that broke is resumed like one that ended
		}
		if e.id != "" {
			*lastID = e.id
		}
		if e.name != defaultEvent {
			continue
		}
		var data struct {
			Message *string   `json:"message"`
			Status  job.State `json:"status"`
		}
		if err := json.Unmarshal([]byte(e.data), &data); err != nil {
			return false, fmt.Errorf("event %.200q of the log stream is not JSON: %w", e.data, err)
		}
		if data.Message != nil {
			line(*data.Message)
		}
		if data.Status.Terminal() {
			return true, nil
		}
	}
	return false, nil
}

func (c *client) request(ctx context.Context, method, path string, body io.Reader) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, fmt.Errorf("address %q cannot be used: %w", c.base, err)
	}
	if c.apiKey != "" {
		req.Header.Set("Authorization", "Bearer "+c.apiKey)
	}
	return req, nil
}

// call sends req and reads the JSON of a good answer into result, unless that is nil.
func (c *client) call(req *http.Request, result any) error {
	resp, err := c.do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if result == nil {
		return nil
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(result); err != nil {
		return fmt.Errorf("reading the answer to %s: %w", described(req), err)
	}
	return nil
}

// do sends req. An answer other than 2xx is an *answerError.
func (c *client) do(req *http.Request) (*http.Response, error) {
	resp, err := c.http.Do(req)
	if err != nil {
		// A url.Error would print the whole URL, and a presigned one is a credential.
		var wrapper *url.Error
		if errors.As(err, &wrapper) {
			err = wrapper.Err
		}
		return nil, fmt.Errorf("%s: %w", described(req), &networkError{err})
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, readFailure(req, resp)
}

// described names a request without its query, where presigned URLs carry their signature.
func described(req *http.Request) string { return req.Method + " " + req.URL.Host + req.URL.Path }

// networkError is a request that got no answer.
type networkError struct{ error }

func (e *networkError) Unwrap() error { return e.error }

// answerError is an answer that says no.
type answerError struct {
	what   string
	status int
	detail string
	items  []problem.Item
}

func (e *answerError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s answered %d: %s", e.what, e.status, e.detail)
	for _, i := range e.items {
		b.WriteString("\n  ")
		if i.Location != "" {
			b.WriteString(i.Location + ": ")
		}
		b.WriteString(i.Message)
	}
	return b.String()
}

// readFailure takes the detail from a problem document (RFC 9457); other bodies are shown by their beginning.
func readFailure(req *http.Request, resp *http.Response) error {
	e := &answerError{what: described(req), status: resp.StatusCode}
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer)) // a cut body still tells more than none
	if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); kind == "application/problem+json" {
		var doc struct {
			Title  string         `json:"title"`
			Detail string         `json:"detail"`
			Errors []problem.Item `json:"errors"`
		}
		if json.Unmarshal(body, &doc) == nil {
			e.detail, e.items = doc.Detail, doc.Errors
			if e.detail == "" {
				e.detail = doc.Title
			}
			return e
		}
	}
	e.detail = fmt.Sprintf("%s %.200q", http.StatusText(resp.StatusCode), body)
	return e
}

// transient reports whether a request that failed with err may succeed when it is made again.
func transient(err error) bool {
	if errors.Is(err, context.Canceled) {
		return false
	}
	var answer *answerError
	if errors.As(err, &answer) {
		return answer.status == http.StatusTooManyRequests || answer.status >= http.StatusBadGateway
	}
	var network *networkError
	return errors.As(err, &network)
}
