package client

import (
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

// Error is the service's refusal.
type Error struct {
	Document
	Request    string // method and address
	Status     int
	Code       problem.Code // empty when something other than the service answered
	Detail     string       // what happened and what to do about it
	Items      []problem.Item
	RequestID  string // by which the operator finds the request in the log
	RetryAfter time.Duration
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s answered %d: %s", e.Request, e.Status, e.Detail)
	for _, i := range e.Items {
		b.WriteString("\n  ")
		if i.Location != "" {
			b.WriteString(i.Location + ": ")
		}
		b.WriteString(i.Message)
	}
	return b.String()
}

// Unreachable is a request that got no whole answer.
type Unreachable struct {
	Request string // method and address
	Err     error
}

func (e *Unreachable) Error() string { return e.Request + ": " + e.Err.Error() }
func (e *Unreachable) Unwrap() error { return e.Err }

// maxProblem is ample for a problem document, and little to hold of an error page that something else sends.
const maxProblem = 4 << 20

// refusal reads an answer that is not what was asked for. Problem documents (RFC 9457) say why; others are shown by their
// beginning.
func refusal(resp *http.Response) error {
	e := &Error{
		Request: described(resp.Request), Status: resp.StatusCode, RequestID: resp.Header.Get("X-Request-Id"),
		RetryAfter: retryAfter(resp.Header.Get("Retry-After"), time.Now()),
	}
	if resp.StatusCode/100 == 3 {
		e.Detail = fmt.Sprintf("It redirects to %s, and our keys are not sent there. If that is the service, use that address.",
			withoutQuery(resp))
		return e
	}
	raw, _ := io.ReadAll(io.LimitReader(resp.Body, maxProblem)) // part of a body is better than none
	if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); kind == "application/problem+json" {
		var doc struct {
			Title  string         `json:"title"`
			Detail string         `json:"detail"`
			Code   problem.Code   `json:"code"`
			Errors []problem.Item `json:"errors"`
		}
		if json.Unmarshal(raw, &doc) == nil {
			e.Detail, e.Code, e.Items = doc.Detail, doc.Code, doc.Errors
			if e.Detail == "" {
				e.Detail = doc.Title
			}
			e.keep(raw)
			return e
		}
	}
	e.Detail = fmt.Sprintf("%s %.200q", http.StatusText(resp.StatusCode), raw)
	return e
}

func withoutQuery(resp *http.Response) string {
	target, err := resp.Location()
	if err != nil {
		return "which it does not name"
	}
	target.RawQuery, target.User = "", nil
	return target.String()
}

// retryAfter reads a Retry-After header, which holds seconds or a date (RFC 9110, section 10.2.3). 0 means none.
func retryAfter(text string, now time.Time) time.Duration {
	if seconds, err := strconv.Atoi(text); err == nil && seconds > 0 {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil && at.After(now) {
		return at.Sub(now)
	}
	return 0
}
