// Package contract holds every answer of the service against its OpenAPI document. Tests send their requests through it.
package contract

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Checker is an http.RoundTripper that fails the test whenever an answer is not what the document promises.
type Checker struct {
	t        testing.TB
	base     http.RoundTripper
	compiler *jsonschema.Compiler
	routes   []route

	mu   sync.Mutex // guards seen, and the compiler, which is not safe for concurrent use
	seen map[string]map[int]bool
}

type route struct {
	id, method string
	path       string // as in the document
	pattern    *regexp.Regexp
	responses  map[string][]string // status → media types
}

const documentURL = "openapi.json"

// New returns a Checker for an OpenAPI 3.1 document, whose schemas are JSON Schema 2020-12.
func New(t testing.TB, document []byte, base http.RoundTripper) *Checker {
	t.Helper()
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(document))
	if err != nil {
		t.Fatalf("the OpenAPI document is not JSON: %v", err)
	}
	c := &Checker{t: t, base: base, compiler: jsonschema.NewCompiler(), seen: map[string]map[int]bool{}}
	c.compiler.DefaultDraft(jsonschema.Draft2020)
	c.compiler.AssertFormat()
	if err := c.compiler.AddResource(documentURL, parsed); err != nil {
		t.Fatalf("the OpenAPI document cannot be used: %v", err)
	}
	var doc struct {
		Paths map[string]map[string]struct {
			OperationID string
			Responses   map[string]struct {
				Content map[string]json.RawMessage
			}
		}
	}
	if err := json.Unmarshal(document, &doc); err != nil {
		t.Fatalf("the OpenAPI document is not what it should be: %v", err)
	}
	parameter := regexp.MustCompile(`\\\{[^/]+\\\}`)
	for path, operations := range doc.Paths {
		pattern := regexp.MustCompile("^" + parameter.ReplaceAllString(regexp.QuoteMeta(path), "[^/]+") + "$")
		for method, op := range operations {
			r := route{id: op.OperationID, method: strings.ToUpper(method), path: path, pattern: pattern, responses: map[string][]string{}}
			for status, response := range op.Responses {
				r.responses[status] = []string{}
				for media := range response.Content {
					r.responses[status] = append(r.responses[status], media)
				}
			}
			c.routes = append(c.routes, r)
		}
	}
	// A path without parameters is more specific than one with.
	slices.SortFunc(c.routes, func(a, b route) int { return strings.Count(a.path, "{") - strings.Count(b.path, "{") })
	return c
}

// Operations lists the ids of all operations of the document, sorted.
func (c *Checker) Operations() []string {
	var ids []string
	for _, r := range c.routes {
		ids = append(ids, r.id)
	}
	slices.Sort(ids)
	return ids
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
	if r.Response != nil {
		return response, nil // a redirect led away from the service
	}
	if response.Header.Get("X-Request-Id") == "" {
		c.t.Errorf("%s %s: the answer has no X-Request-Id", r.Method, r.URL.Path)
	}
	for _, route := range c.routes {
		if route.method == r.Method && route.pattern.MatchString(r.URL.Path) {
			return response, c.check(route, response)
		}
	}
	return response, nil
}

func (c *Checker) check(r route, response *http.Response) error {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen[r.id] == nil {
		c.seen[r.id] = map[int]bool{}
	}
	c.seen[r.id][response.StatusCode] = true
	name := fmt.Sprintf("%s %s answered %d", r.method, r.path, response.StatusCode)
	status := strconv.Itoa(response.StatusCode)
	media, documented := r.responses[status]
	if !documented {
		c.t.Errorf("%s, which the document does not mention", name)
		return nil
	}
	got, _, err := mime.ParseMediaType(response.Header.Get("Content-Type"))
	if len(media) == 0 {
		return nil
	}
	if err != nil || !slices.Contains(media, got) {
		c.t.Errorf("%s with Content-Type %q, the document says %v", name, response.Header.Get("Content-Type"), media)
		return nil
	}
	if !strings.HasSuffix(got, "json") {
		return nil
	}
	body, err := io.ReadAll(response.Body)
	response.Body.Close()
	if err != nil {
		return err
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	schema, err := c.compiler.Compile(documentURL + "#" + pointer("paths", r.path, strings.ToLower(r.method), "responses", status, "content", got, "schema"))
	if err != nil {
		c.t.Errorf("%s: the schema cannot be compiled: %v", name, err)
		return nil
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		c.t.Errorf("%s with a body that is not JSON: %v", name, err)
		return nil
	}
	if err := schema.Validate(value); err != nil {
		c.t.Errorf("%s with a body that breaks its schema: %v\nbody: %s", name, err, body)
	}
	return nil
}

// pointer builds a JSON pointer (RFC 6901) as it stands in a URL's fragment.
func pointer(tokens ...string) string {
	var b strings.Builder
	for _, t := range tokens {
		b.WriteByte('/')
		t = strings.NewReplacer("~", "~0", "/", "~1").Replace(t)
		b.WriteString(strings.NewReplacer("{", "%7B", "}", "%7D").Replace(t))
	}
	return b.String()
}
