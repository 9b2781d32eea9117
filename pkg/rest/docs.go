package rest

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

func typeOf[T any]() reflect.Type { return reflect.TypeFor[T]() }

//go:embed docs.html
var docsHTML string

// Docs serves an OpenAPI document at /openapi.json and a page for people, made from the same document, at /docs. The
// page loads nothing from anywhere.
func Docs(mux *http.ServeMux, document []byte) {
	page := sync.OnceValues(func() ([]byte, error) { return renderDocs(document) })
	mux.HandleFunc("GET /openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/vnd.oai.openapi+json;version=3.1")
		w.Header().Set("Cache-Control", "public, max-age=300")
		_, _ = w.Write(document)
	})
	mux.HandleFunc("GET /docs", func(w http.ResponseWriter, r *http.Request) {
		html, err := page()
		if err != nil {
			write(w, problemOf(r.Context(), err))
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'")
		w.Header().Set("Cache-Control", "public, max-age=300")
		_, _ = w.Write(html)
	})
}

// Document is the OpenAPI document of api, indented so that a change reads well in a diff.
func Document(api huma.API) ([]byte, error) {
	raw, err := json.Marshal(api.OpenAPI())
	if err != nil {
		return nil, fmt.Errorf("writing the OpenAPI document: %w", err)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, raw, "", "  "); err != nil {
		return nil, fmt.Errorf("indenting the OpenAPI document: %w", err)
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

type docsPage struct {
	Title, Version, Description string
	Groups                      []docsGroup
	Codes                       []docsCode
}

type docsGroup struct {
	Name       string
	Operations []docsOperation
}

type docsOperation struct {
	ID, Method, Path, Summary, Description, Access string
	Media                                          []string // of the request's body
	Inputs                                         []docsField
	Answers                                        []docsAnswer
}

type docsField struct {
	Name, In, Type, Doc string
	Required            bool
}

type docsAnswer struct {
	Status, Description string
	Fields              []docsField
}

type docsCode struct {
	Code   problem.Code
	Status int
}

// methodsInOrder is the order in which a person looks for calls.
var methodsInOrder = []string{"get", "post", "put", "patch", "delete"}

func renderDocs(document []byte) ([]byte, error) {
	var doc openAPI
	if err := json.Unmarshal(document, &doc); err != nil {
		return nil, fmt.Errorf("reading the OpenAPI document: %w", err)
	}
	page := docsPage{Title: doc.Info.Title, Version: doc.Info.Version, Description: doc.Info.Description}
	groups := map[string]*docsGroup{}
	for _, path := range slices.Sorted(maps.Keys(doc.Paths)) {
		for _, method := range methodsInOrder {
			op, ok := doc.Paths[path][method]
			if !ok {
				continue
			}
			tag := "Other"
			if len(op.Tags) > 0 {
				tag = op.Tags[0]
			}
			if groups[tag] == nil {
				groups[tag] = &docsGroup{Name: tag}
			}
			groups[tag].Operations = append(groups[tag].Operations, doc.describe(method, path, op))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(groups)) {
		page.Groups = append(page.Groups, *groups[name])
	}
	for _, code := range []problem.Code{
		problem.Invalid, problem.Unauthorized, problem.Forbidden, problem.NotFound, methodNotAllowed, requestTimeout,
		problem.Exists, problem.Conflict, problem.Gone,
		problem.TooLarge, unsupportedMediaType, problem.ScenarioInvalid, problem.Unsupported, problem.KeyReused, problem.QueueFull,
		problem.RateLimited,
		problem.Internal, problem.NotConfigured, problem.Unavailable, problem.StorageRefused,
	} {
		page.Codes = append(page.Codes, docsCode{code, statusOf(code)})
	}
	tmpl, err := template.New("docs").Parse(docsHTML)
	if err != nil {
		return nil, fmt.Errorf("parsing the documentation page: %w", err)
	}
	var out bytes.Buffer
	if err := tmpl.Execute(&out, page); err != nil {
		return nil, fmt.Errorf("writing the documentation page: %w", err)
	}
	return out.Bytes(), nil
}

// openAPI is the part of OpenAPI 3.1 that the page shows.
type openAPI struct {
	Info struct {
		Title, Version, Description string
	}
	Paths      map[string]map[string]apiOperation
	Components struct {
		Schemas map[string]apiSchema
	}
}

type apiOperation struct {
	OperationID          string
	Summary, Description string
	Tags                 []string
	Security             []map[string][]string
	Parameters           []struct {
		Name, In, Description string
		Required              bool
		Schema                apiSchema
	}
	RequestBody *struct {
		Content map[string]struct{ Schema apiSchema }
	}
	Responses map[string]struct {
		Description string
		Content     map[string]struct{ Schema apiSchema }
	}
}

type apiSchema struct {
	Ref         string `json:"$ref"`
	Type        any
	Format      string
	Description string
	Required    []string
	Properties  map[string]apiSchema
	Items       *apiSchema
	Enum        []any
	Default     any
	Minimum     *float64
	Maximum     *float64
}

func (d openAPI) describe(method, path string, op apiOperation) docsOperation {
	out := docsOperation{
		ID: op.OperationID, Method: method, Path: path, Summary: op.Summary, Description: op.Description, Access: "no key needed",
	}
	var keys []string
	for _, s := range op.Security {
		for name := range s {
			keys = append(keys, map[string]string{
				string(Tenant): "tenant's API key", string(Admin): "admin key", string(Scheduler): "service account's token",
			}[name])
		}
	}
	if len(keys) > 0 {
		out.Access = strings.Join(keys, " or ")
	}
	for _, p := range op.Parameters {
		out.Inputs = append(out.Inputs, docsField{Name: p.Name, In: p.In, Type: d.typeName(p.Schema), Doc: p.Description, Required: p.Required})
	}
	if op.RequestBody != nil {
		out.Media = slices.Sorted(maps.Keys(op.RequestBody.Content))
		var body []docsField
		for _, media := range out.Media {
			// Forms differ only in that one of them can carry a file.
			if fields := d.fields(op.RequestBody.Content[media].Schema, "body"); len(fields) > len(body) {
				body = fields
			}
		}
		out.Inputs = append(out.Inputs, body...)
	}
	for _, status := range slices.Sorted(maps.Keys(op.Responses)) {
		response := op.Responses[status]
		answer := docsAnswer{Status: status, Description: response.Description}
		if status < "300" {
			for _, media := range slices.Sorted(maps.Keys(response.Content)) {
				answer.Fields = d.fields(response.Content[media].Schema, "")
			}
		}
		out.Answers = append(out.Answers, answer)
	}
	return out
}

func (d openAPI) resolve(s apiSchema) apiSchema {
	const prefix = "#/components/schemas/"
	if len(s.Ref) > len(prefix) {
		return d.Components.Schemas[s.Ref[len(prefix):]]
	}
	return s
}

func (d openAPI) fields(s apiSchema, in string) []docsField {
	s = d.resolve(s)
	var out []docsField
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		p := s.Properties[name]
		out = append(out, docsField{Name: name, In: in, Type: d.typeName(p), Doc: p.Description, Required: slices.Contains(s.Required, name)})
	}
	return out
}

func (d openAPI) typeName(s apiSchema) string {
	name := fmt.Sprint(s.Type)
	if list, ok := s.Type.([]any); ok && len(list) == 2 {
		name = fmt.Sprintf("%v or %v", list[0], list[1])
	}
	switch {
	case s.Ref != "":
		name = s.Ref[len("#/components/schemas/"):]
	case s.Items != nil:
		name = "list of " + d.typeName(*s.Items)
	case len(s.Enum) > 0:
		name = "one of"
		for _, v := range s.Enum {
			name += fmt.Sprintf(" %v", v)
		}
	case s.Format != "" && s.Format != "int64" && s.Format != "double":
		name += " (" + s.Format + ")"
	}
	if s.Minimum != nil && s.Maximum != nil {
		name += ", " + strconv.FormatFloat(*s.Minimum, 'f', -1, 64) + " to " + strconv.FormatFloat(*s.Maximum, 'f', -1, 64)
	}
	if s.Default != nil {
		name += fmt.Sprintf(", default %v", s.Default)
	}
	return name
}
