package contract

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Document is an OpenAPI 3.1 document, whose schemas are JSON Schema 2020-12.
type Document struct {
	// Operations are sorted: those whose path has fewer parameters first, then by path and method.
	Operations []Operation

	schemas map[string]Schema // of components
	mu      sync.Mutex        // guards the compiler, which is not safe for concurrent use
	checks  *jsonschema.Compiler
}

// Operation is one call.
type Operation struct {
	ID, Method string
	Path       string // with its parameters in braces
	Access     string // the required security scheme; empty for none
	Parameters []Parameter
	Bodies     map[string]Schema // by media type; empty when it takes no body

	pattern   *regexp.Regexp
	responses map[string][]string // status → media types
}

func (o Operation) String() string { return o.Method + " " + o.Path }

// Parameter is one value outside the body.
type Parameter struct {
	Name, In string
	Required bool
	Schema   Schema
}

// Schema is a JSON Schema as it stands in the document.
type Schema map[string]any

const documentURL = "openapi.json"

// Parse reads a document.
func Parse(raw []byte) (*Document, error) {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("the OpenAPI document is not JSON: %w", err)
	}
	d := &Document{checks: jsonschema.NewCompiler()}
	d.checks.DefaultDraft(jsonschema.Draft2020)
	d.checks.AssertFormat()
	if err := d.checks.AddResource(documentURL, value); err != nil {
		return nil, fmt.Errorf("the OpenAPI document is unusable: %w", err)
	}
	type content map[string]struct{ Schema Schema }
	var doc struct {
		Paths map[string]map[string]struct {
			OperationID string
			Security    []map[string][]string
			Parameters  []Parameter
			RequestBody struct{ Content content }
			Responses   map[string]struct{ Content content }
		}
		Components struct{ Schemas map[string]Schema }
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		return nil, fmt.Errorf("the OpenAPI document has unexpected content: %w", err)
	}
	d.schemas = doc.Components.Schemas
	parameter := regexp.MustCompile(`\\\{[^/]+\\\}`)
	for path, operations := range doc.Paths {
		pattern := regexp.MustCompile("^" + parameter.ReplaceAllString(regexp.QuoteMeta(path), "[^/]+") + "$")
		for method, op := range operations {
			o := Operation{
				ID: op.OperationID, Method: strings.ToUpper(method), Path: path, Parameters: op.Parameters,
				Bodies: map[string]Schema{}, pattern: pattern, responses: map[string][]string{},
			}
			for _, scheme := range op.Security {
				for o.Access = range scheme {
				}
			}
			for media, body := range op.RequestBody.Content {
				o.Bodies[media] = body.Schema
			}
			for status, response := range op.Responses {
				o.responses[status] = []string{}
				for media := range response.Content {
					o.responses[status] = append(o.responses[status], media)
				}
			}
			d.Operations = append(d.Operations, o)
		}
	}
	slices.SortFunc(d.Operations, func(a, b Operation) int {
		if n := strings.Count(a.Path, "{") - strings.Count(b.Path, "{"); n != 0 {
			return n // a path without parameters is more specific than one with
		}
		return strings.Compare(a.Path+" "+a.Method, b.Path+" "+b.Method)
	})
	return d, nil
}

// Resolve follows a schema's reference to the schema itself.
func (d *Document) Resolve(s Schema) Schema {
	for {
		ref, ok := s["$ref"].(string)
		if !ok {
			return s
		}
		s = d.schemas[strings.TrimPrefix(ref, "#/components/schemas/")]
	}
}

// Types returns the types that a schema allows, including null; string where the schema names none.
func (d *Document) Types(s Schema) []string {
	switch types := d.Resolve(s)["type"].(type) {
	case string:
		return []string{types}
	case []any:
		var out []string
		for _, t := range types {
			if name, ok := t.(string); ok {
				out = append(out, name)
			}
		}
		return out
	}
	return []string{"string"}
}

// Find returns the operation that a request is for.
func (d *Document) Find(r *http.Request) (Operation, bool) {
	for _, o := range d.Operations {
		if o.Method == r.Method && o.pattern.MatchString(r.URL.EscapedPath()) {
			return o, true
		}
	}
	return Operation{}, false
}

// Check compares an operation's answer with the document. The answer's body can be read afterwards.
func (d *Document) Check(o Operation, response *http.Response) error {
	name := fmt.Sprintf("%s answered %d", o, response.StatusCode)
	status := strconv.Itoa(response.StatusCode)
	media, documented := o.responses[status]
	if !documented {
		return fmt.Errorf("%s, which the document does not mention", name)
	}
	if len(media) == 0 {
		return nil
	}
	got, _, err := mime.ParseMediaType(response.Header.Get("Content-Type"))
	if err != nil || !slices.Contains(media, got) {
		return fmt.Errorf("%s with Content-Type %q, the document says %v", name, response.Header.Get("Content-Type"), media)
	}
	if !strings.HasSuffix(got, "json") {
		return nil
	}
	body, err := io.ReadAll(response.Body)
	err = errors.Join(err, response.Body.Close())
	if err != nil {
		return fmt.Errorf("%s: reading the body: %w", name, err)
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	if response.Header.Get("Content-Encoding") == "gzip" { // the test asked for it itself; otherwise the transport decompresses
		if body, err = unpacked(body); err != nil {
			return fmt.Errorf("%s with damaged gzip: %w", name, err)
		}
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("%s with a body that is not JSON: %w", name, err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	schema, err := d.checks.Compile(
		documentURL + "#" + pointer("paths", o.Path, strings.ToLower(o.Method), "responses", status, "content", got, "schema"),
	)
	if err != nil {
		return fmt.Errorf("%s: the schema cannot be compiled: %w", name, err)
	}
	if err := schema.Validate(value); err != nil {
		return fmt.Errorf("%s with a body that breaks its schema: %w\nbody: %s", name, err, body)
	}
	return nil
}

func unpacked(body []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

// pointer builds a JSON pointer (RFC 6901) in the form for a URL's fragment.
func pointer(tokens ...string) string {
	var b strings.Builder
	for _, t := range tokens {
		b.WriteByte('/')
		t = strings.NewReplacer("~", "~0", "/", "~1").Replace(t)
		b.WriteString(strings.NewReplacer("{", "%7B", "}", "%7D").Replace(t))
	}
	return b.String()
}
