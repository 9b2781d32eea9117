package submit

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/scenario"
)

const (
	fileField = "sumo_files"
	// maxFields and maxFieldBytes bound what is kept in memory; the zip is not.
	maxFields     = 64
	maxFieldBytes = 64 << 10
	// maxFieldName is ample for every field there is, in bytes. Names are kept, and repeated to who misspelt them; those of ignored
	// fields are cut to it.
	maxFieldName = 100
)

// jobFields are the fields of a job's form beside the zip. Unknown ones are ignored, as the predecessor did.
type jobFields struct {
	_ struct{} `additionalProperties:"true"`
	Run
	S3URL    string `json:"sumo_files_s3_url,omitempty" maxLength:"2048" doc:"s3://bucket/key of the zip, instead of sumo_files."`
	Scenario string `json:"scenario,omitempty" maxLength:"64" doc:"Id of a stored scenario, instead of sumo_files."`
}

func (j jobFields) urls() []string { return addresses(j.S3URL) }

// formReader reads a form part by part and checks its fields, which are T's, by the same schema that documents them.
type formReader[T any] struct {
	registry huma.Registry
	schema   *huma.Schema
	skipped  int64 // the most bytes in all that unknown fields may have where they are ignored
}

func newFormReader[T any](api huma.API, skipped int64) *formReader[T] {
	registry := api.OpenAPI().Components.Schemas
	schema := huma.SchemaFromType(registry, reflect.TypeFor[T]())
	return &formReader[T]{registry: registry, schema: schema, skipped: skipped}
}

// ignores reports whether a field has no meaning, and is no fault.
func (f *formReader[T]) ignores(name string) bool {
	return f.schema.AdditionalProperties == true && f.schema.Properties[name] == nil
}

// requestBody documents the form: its fields and the zip.
func (f *formReader[T]) requestBody() *huma.RequestBody {
	schema := *f.schema
	schema.Properties = map[string]*huma.Schema{
		fileField: {Type: huma.TypeString, Format: "binary", Description: "The scenario: a zip with a .sumocfg and the files it names."},
	}
	for name, property := range f.schema.Properties {
		schema.Properties[name] = property
	}
	return &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
		"multipart/form-data":               {Schema: &schema},
		"application/x-www-form-urlencoded": {Schema: f.schema},
	}}
}

// part is the zip in a form, as it arrives.
type part struct {
	io.Reader
	name string // for people, made of the file's
}

// form is what a form contains.
type form[T any] struct {
	fields   T
	uploaded bool     // whether there was a zip
	ignored  []string // names of unknown fields
}

// read reads the form of r. When the zip arrives, accept takes it, with the fields that came before it: they are nil when a
// required one is not among them.
func (f *formReader[T]) read(r *http.Request, accept func(zip part, before *T) error) (read form[T], err error) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case err == nil && media == "multipart/form-data":
		return f.readMultipart(r, accept)
	case err == nil && media == "application/x-www-form-urlencoded":
		return f.readURLEncoded(r)
	}
	return read, problem.New(problem.Invalid, "The request's Content-Type is %.100q. Send multipart/form-data with the "+
		"fields scenario_id and %s (a zip), or JSON to /jobs/s3.",
		r.Header.Get("Content-Type"), fileField)
}

func (f *formReader[T]) readMultipart(r *http.Request, accept func(zip part, before *T) error) (read form[T], err error) {
	headers := &headerBudget{ReadCloser: r.Body}
	r.Body = headers
	parts, err := r.MultipartReader()
	if err != nil {
		return read, problem.Wrap(err, problem.Invalid, "The multipart body cannot be read: its Content-Type names no usable boundary.")
	}
	values, uploaded := url.Values{}, false
	ignored, skipped := map[string]bool{}, int64(0)
	for n := 0; ; n++ {
		p, err := nextPart(parts, headers, n)
		if err != nil {
			return read, err
		}
		if p == nil {
			break
		}
		name := p.FormName()
		if name != fileField && f.ignores(name) {
			n, err := skip(p, f.skipped-skipped)
			if err != nil {
				return read, err
			}
			skipped += n
			if len(name) > maxFieldName {
				name = strings.ToValidUTF8(name[:maxFieldName], "") + "…"
			}
			ignored[name] = true
			continue
		}
		if len(name) > maxFieldName {
			return read, problem.New(problem.Invalid, "The form has a field whose name is longer than %d characters. /docs lists "+
				"the fields.", maxFieldName)
		}
		if name != fileField {
			if err := readField(p, values); err != nil {
				return read, err
			}
			continue
		}
		file, err := isFile(p)
		switch {
		case err != nil:
			return read, err
		case !file:
			continue
		case uploaded:
			return read, problem.New(problem.Invalid, "The form has %s twice. Send one zip that holds everything.", fileField)
		}
		if err := f.offer(p, values, accept); err != nil {
			return read, err
		}
		uploaded = true
	}
	// The epilogue has no meaning, but the connection can be reused only when the whole body has been read.
	if _, err := io.CopyN(io.Discard, r.Body, maxEpilogue); err != nil && !errors.Is(err, io.EOF) {
		return read, brokenBody(err)
	}
	read, err = f.decode(values)
	read.uploaded, read.ignored = uploaded, slices.Sorted(maps.Keys(ignored))
	return read, err
}

// nextPart returns the part after the first n, or nil if there is none.
func nextPart(parts *multipart.Reader, headers *headerBudget, n int) (*multipart.Part, error) {
	headers.begin()
	p, err := parts.NextPart()
	headers.end()
	switch {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil && headers.err == nil && !errors.Is(err, io.ErrUnexpectedEOF):
		return nil, problem.Wrap(err, problem.Invalid, "The form cannot be parsed: something else stands where part %d should begin. "+
			"Check that Content-Type names the boundary that the body uses, and that no long text precedes the first part.", n+1)
	case err != nil:
		return nil, brokenBody(err)
	case n >= maxFields:
		return nil, problem.New(problem.Invalid, "The form has more than %d fields.", maxFields)
	}
	return p, nil
}

// isFile reports whether a part is a file; a browser sends an empty part where no file was chosen.
func isFile(p *multipart.Part) (bool, error) {
	if p.FileName() != "" {
		return true, nil
	}
	if n, _ := io.ReadFull(p, make([]byte, 1)); n > 0 {
		return false, problem.New(problem.Invalid, "The form has %s as text, not as a file. With curl write -F %s=@scenario.zip, "+
			"with the @.", fileField, fileField)
	}
	return false, nil
}

// offer hands the zip to accept.
func (f *formReader[T]) offer(p *multipart.Part, values url.Values, accept func(part, *T) error) error {
	var before *T
	if !slices.ContainsFunc(f.schema.Required, func(name string) bool { return !values.Has(name) }) {
		read, err := f.decode(values)
		if err != nil {
			return err
		}
		before = &read.fields
	}
	body := &trackedReader{r: p}
	if err := accept(part{body, scenario.NameOf(p.FileName())}, before); err != nil {
		if body.err != nil {
			return brokenBody(body.err)
		}
		return err
	}
	return nil
}

func (f *formReader[T]) readURLEncoded(r *http.Request) (read form[T], err error) {
	raw, err := io.ReadAll(io.LimitReader(r.Body, maxFieldBytes+1))
	if err != nil {
		return read, brokenBody(err)
	}
	if len(raw) > maxFieldBytes {
		return read, problem.New(problem.TooLarge, "The form is larger than %d bytes. Send files as multipart/form-data.", maxFieldBytes)
	}
	values, err := url.ParseQuery(string(raw))
	if err != nil {
		return read, problem.Wrap(err, problem.Invalid, "The form is not valid application/x-www-form-urlencoded.")
	}
	return f.decode(values)
}

// skip reads past a part of at most the given size.
func skip(part *multipart.Part, most int64) (n int64, err error) {
	n, err = io.CopyN(io.Discard, part, most+1)
	switch {
	case err == nil:
		return n, problem.New(problem.TooLarge, "The form has fields that this service does not know, %.100q the last of them, with more "+
			"bytes than a scenario may have. Leave them out.", part.FormName())
	case !errors.Is(err, io.EOF):
		return n, brokenBody(err)
	}
	return n, nil
}

func readField(part *multipart.Part, values url.Values) error {
	raw, err := io.ReadAll(io.LimitReader(part, maxFieldBytes+1))
	if err != nil {
		return brokenBody(err)
	}
	if len(raw) > maxFieldBytes {
		return problem.New(problem.TooLarge, "The form field %.100q is larger than %d bytes. Only %s may "+
			"be large.", part.FormName(), maxFieldBytes, fileField)
	}
	values.Add(part.FormName(), string(raw))
	return nil
}

// decode turns a form's strings into typed fields, by the schema, and reports every fault.
func (f *formReader[T]) decode(values url.Values) (read form[T], err error) {
	var items []problem.Item
	typed := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		list := values[name]
		schema, known := f.schema.Properties[name]
		if f.ignores(name) {
			read.ignored = append(read.ignored, name)
			continue
		}
		if !known {
			items = append(items, problem.Item{Location: "body." + name, Message: "is not a field of this form; /docs lists them"})
			continue
		}
		if len(list) == 1 && list[0] == "" {
			continue // an empty form field says nothing
		}
		value, err := typedValue(f.resolved(schema), list)
		if err != nil {
			items = append(items, problem.Item{Location: "body." + name, Message: err.Error(), Value: list[0]})
			continue
		}
		typed[name] = value
	}
	items = append(items, complete(f.registry, f.schema, typed)...)
	if len(items) > 0 {
		return read, problem.New(problem.Invalid, "The form is not valid: %s %s. Fix it and send it again.",
			items[0].Location, items[0].Message).WithItems(items...)
	}
	raw, err := json.Marshal(typed)
	if err != nil {
		return read, fmt.Errorf("reading the form: %w", err)
	}
	if err := json.Unmarshal(raw, &read.fields); err != nil {
		return read, problem.Wrap(err, problem.Invalid, "The form is not valid. /docs lists its fields with their types.")
	}
	return read, nil
}

// resolved is the schema that a reference stands for.
func (f *formReader[T]) resolved(schema *huma.Schema) *huma.Schema {
	if schema.Ref != "" {
		return f.registry.SchemaFromRef(schema.Ref)
	}
	return schema
}

func typedValue(schema *huma.Schema, list []string) (any, error) {
	if len(list) > 1 && schema.Type != huma.TypeArray {
		return nil, errors.New("is given more than once")
	}
	if len(schema.OneOf) > 0 {
		var out any
		if err := json.Unmarshal([]byte(list[0]), &out); err != nil {
			return nil, errors.New("must be JSON: true, or an object")
		}
		return out, nil
	}
	switch schema.Type {
	case huma.TypeArray:
		var out []any
		for _, entry := range list {
			for word := range strings.SplitSeq(entry, ",") {
				if word = strings.TrimSpace(word); word != "" {
					out = append(out, word)
				}
			}
		}
		return out, nil
	case huma.TypeObject:
		var out map[string]any
		if err := json.Unmarshal([]byte(list[0]), &out); err != nil {
			return nil, errors.New("must be a JSON object")
		}
		return out, nil
	default:
		return rest.ParseText(schema, list[0])
	}
}

const (
	// maxPartHeader is ample for a part's two or three headers and what is read ahead of them, and for what some mail programs
	// write before the first part. The multipart package itself would take ten megabytes from each of many clients at once,
	// and any number before the first part.
	maxPartHeader = 64 << 10
	// maxEpilogue is ample for the line break that most clients write after the last part.
	maxEpilogue = 4 << 10
)

// headerBudget bounds what is read of a body while the next part's header is looked for.
type headerBudget struct {
	io.ReadCloser
	limited bool
	left    int
	err     error // the error of reading the body
}

func (h *headerBudget) begin() { h.limited, h.left = true, maxPartHeader }
func (h *headerBudget) end()   { h.limited = false }

func (h *headerBudget) Read(p []byte) (int, error) {
	if h.limited && h.left == 0 {
		h.err = problem.New(problem.Invalid, "The form has more than %d bytes before the content of a part: a long header, or text "+
			"before the first part. Remove it, and check that Content-Type names the boundary that the body uses.", maxPartHeader)
		return 0, h.err
	}
	if h.limited {
		p = p[:min(len(p), h.left)]
	}
	n, err := h.ReadCloser.Read(p)
	if h.limited {
		h.left -= n
	}
	if err != nil && err != io.EOF {
		h.err = err
	}
	return n, err
}

// trackedReader remembers whether reading the body failed, which distinguishes a broken upload from a broken store.
type trackedReader struct {
	r   io.Reader
	err error
}

func (t *trackedReader) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		t.err = err
	}
	return n, err
}

func brokenBody(err error) error {
	var e *problem.Error
	if errors.As(err, &e) {
		return e // it already says what is wrong
	}
	return problem.Wrap(err, problem.Invalid, "The upload broke off before its end. Nothing was kept of it; send it again.")
}

// complete adds to the fields of a body those that have a default and are not given, and returns what is wrong with all of them.
func complete(registry huma.Registry, of *huma.Schema, fields map[string]any) (items []problem.Item) {
	for name, schema := range of.Properties {
		if _, given := fields[name]; !given && schema.Default != nil {
			fields[name] = schema.Default
		}
	}
	result := &huma.ValidateResult{}
	huma.Validate(registry, of, huma.NewPathBuffer([]byte("body"), len("body")), huma.ModeWriteToServer, fields, result)
	for _, err := range result.Errors {
		var detail *huma.ErrorDetail
		if !errors.As(err, &detail) {
			continue
		}
		for _, fault := range rest.ByKind(registry, of, detail) {
			items = append(items, problem.Item{Location: fault.Location, Message: fault.Message, Value: fault.Value})
		}
	}
	return items
}
