// Package problem defines the error that reaches people: a code for programs, a sentence with the cure, and one item
// for every fault found in the input.
package problem

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Code names a kind of failure. Codes are part of the wire contract: clients switch on them, so they never change
// meaning. Package rest maps each to its one HTTP status.
type Code string

// The codes, and what each means.
const (
	Invalid         Code = "invalid_request"      // missing, malformed or contradictory input
	Unauthorized    Code = "unauthorized"         // no key, or not a valid one
	Forbidden       Code = "forbidden"            // a valid key that may not do this
	NotFound        Code = "not_found"            // unknown, or another tenant's
	Gone            Code = "gone"                 // it was there, and was removed because of its age
	Exists          Code = "already_exists"       // the name is taken
	Conflict        Code = "conflict"             // the resource's state forbids it
	TooLarge        Code = "payload_too_large"    // a body above the limit
	ScenarioInvalid Code = "scenario_invalid"     // SUMO could not run, or must not run, what was uploaded
	Unsupported     Code = "unsupported"          // well formed, but not carried out by this release
	KeyReused       Code = "idempotency_key_used" // same Idempotency-Key, other payload
	QueueFull       Code = "queue_full"           // the tenant has too many jobs waiting
	RateLimited     Code = "rate_limited"         // too many requests
	NotConfigured   Code = "not_configured"       // the operator has not switched this on
	Unavailable     Code = "unavailable"          // Postgres, S3 or the cluster is unreachable
	StorageRefused  Code = "storage_refused"      // S3 is reachable but full or denies access; only the operator can fix it
	Internal        Code = "internal"             // our fault; the cause goes to the log only
)

// Item is one fault in the input.
type Item struct {
	// Location is a field ("body.max_cpu"), or a file with the line where it is known ("corridor.sumocfg:4").
	Location string `json:"location,omitempty"`
	// Message says what is wrong and how to cure it.
	Message string `json:"message"`
	// Value is the offending input, shortened, when showing it helps.
	Value any `json:"value,omitempty"`
}

// Sentence is the item on one line that ends as a sentence does.
func (i Item) Sentence() string {
	text := i.Message
	if i.Location != "" {
		text = i.Location + ": " + text
	}
	if !strings.HasSuffix(text, ".") && !strings.HasSuffix(text, "?") {
		text += "."
	}
	return text
}

// Error is a failure with its code. Its Detail and Items are shown to users; the wrapped cause is only logged.
type Error struct {
	Code   Code
	Detail string // one or two sentences for a person: what happened, and what to do about it
	Items  []Item
	// RetryAfter is how long a client should wait before it tries again; zero gives no advice.
	RetryAfter time.Duration
	cause      error
}

// New makes an Error whose Detail is formatted as by fmt.Sprintf.
func New(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Detail: fmt.Sprintf(format, args...)}
}

// Wrap makes an Error that keeps cause for the log. Detail must stand without it.
func Wrap(cause error, code Code, format string, args ...any) *Error {
	return &Error{Code: code, Detail: fmt.Sprintf(format, args...), cause: cause}
}

// WithItems returns e with items added.
func (e *Error) WithItems(items ...Item) *Error {
	e.Items = append(e.Items, items...)
	return e
}

// WithRetryAfter returns e with the time that clients should wait.
func (e *Error) WithRetryAfter(d time.Duration) *Error {
	e.RetryAfter = d
	return e
}

func (e *Error) Error() string {
	if e.cause != nil {
		return fmt.Sprintf("%s: %s: %v", e.Code, e.Detail, e.cause)
	}
	return fmt.Sprintf("%s: %s", e.Code, e.Detail)
}

func (e *Error) Unwrap() error { return e.cause }

// CodeOf returns the code that err carries, Internal when it carries none, and "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return Internal
}
