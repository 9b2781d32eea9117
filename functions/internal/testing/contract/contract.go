// Package contract checks every answer of the service against its OpenAPI document. Tests send their requests through
// it.
package contract

import (
	"net/http"
	"slices"
	"sync"
	"testing"
)

// Checker is an http.RoundTripper that fails the test whenever an answer differs from what the document promises.
type Checker struct {
	*Document
	t    testing.TB
	base http.RoundTripper

	mu   sync.Mutex
	seen map[string]map[int]bool
}

// New returns a Checker for an OpenAPI document.
func New(t testing.TB, document []byte, base http.RoundTripper) *Checker {
	t.Helper()
	parsed, err := Parse(document)
	if err != nil {
		t.Fatal(err)
	}
	return &Checker{Document: parsed, t: t, base: base, seen: map[string]map[int]bool{}}
}

// Seen reports which statuses each operation has answered with so far.
func (c *Checker) Seen(operation string) []int {
	c.mu.Lock()
	defer c.mu.Unlock()
	var statuses []int
	for status := range c.seen[operation] {
		statuses = append(statuses, status)
	}
	slices.Sort(statuses)
	return statuses
}

// RoundTrip sends r and checks the answer.
func (c *Checker) RoundTrip(r *http.Request) (*http.Response, error) {
	c.t.Helper()
	response, err := c.base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if r.Response != nil && r.Response.Request.URL.Host != r.URL.Host {
		return response, nil // a redirect left the service
	}
	if response.Header.Get("X-Request-Id") == "" {
		c.t.Errorf("%s %s: the answer has no X-Request-Id", r.Method, r.URL.Path)
	}
	operation, ok := c.Find(r)
	if !ok {
		return response, nil
	}
	c.mu.Lock()
	if c.seen[operation.ID] == nil {
		c.seen[operation.ID] = map[int]bool{}
	}
	c.seen[operation.ID][response.StatusCode] = true
	c.mu.Unlock()
	if err := c.Check(operation, response); err != nil {
		c.t.Error(err)
	}
	return response, nil
}
