package submit

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/scenario"
)

const (
	fileField = "sumo_files"
	// maxFields and maxFieldBytes bound what is kept in memory beside the zip, which is not.
	maxFields     = 64
	maxFieldBytes = 64 << 10
	// maxFieldName is ample for every field there is. Names are kept, and repeated to who misspelt them; the multipart
	// package itself would take ten megabytes for one.
	maxFieldName = 100
)

// formFields are the fields of a form beside the zip.
type formFields struct {
	Run
	S3URL string `json:"sumo_files_s3_url,omitempty" maxLength:"2048" doc:"s3://bucket/key of the zip, in place of sumo_files."`
}

// formReader reads a form part by part and checks its fields by the same schema that documents them.
type formReader struct {
	registry huma.Registry
	schema   *huma.Schema
}

func newFormReader(api huma.API) *formReader {
	registry := api.OpenAPI().Components.Schemas
	schema := huma.SchemaFromType(registry, reflect.TypeFor[formFields]())
	return &formReader{registry: registry, schema: schema}
}

// requestBody documents the form: its fields and the zip.
func (f *formReader) requestBody() *huma.RequestBody {
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

// read reads the form of r. When the zip comes, early checks the fields that came before it, and then accept takes it.
// The scenario is nil when the form names one in S3 instead.
func (f *formReader) read(r *http.Request, early func(formFields) error, accept func(io.Reader) (scenario.Scenario, error)) (formFields, *scenario.Scenario, error) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case err == nil && media == "multipart/form-data":
	case err == nil && media == "application/x-www-form-urlencoded":
		fields, err := f.readURLEncoded(r)
		return fields, nil, err
	default:
		return formFields{}, nil, problem.New(problem.Invalid, "The request's Content-Type is %.100q. Send multipart/form-data with the fields scenario_id and %s (a zip).",
			r.Header.Get("Content-Type"), fileField)
	}
	headers := &headerBudget{ReadCloser: r.Body}
	r.Body = headers
	parts, err := r.MultipartReader()
	if err != nil {
		return formFields{}, nil, problem.Wrap(err, problem.Invalid, "The multipart body cannot be read: its Content-Type names no usable boundary.")
	}
	values := url.Values{}
	var stored *scenario.Scenario
	for n := 0; ; n++ {
		headers.begin()
		part, err := parts.NextPart()
		headers.end()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return formFields{}, nil, brokenBody(err)
		}
		if n >= maxFields {
			return formFields{}, nil, problem.New(problem.Invalid, "The form has more than %d fields.", maxFields)
		}
		if len(part.FormName()) > maxFieldName {
			return formFields{}, nil, problem.New(problem.Invalid, "The form has a field whose name is longer than %d characters. /docs lists the fields.", maxFieldName)
		}
		if part.FormName() != fileField {
			if err := readField(part, values); err != nil {
				return formFields{}, nil, err
			}
			continue
		}
		if part.FileName() == "" {
			if n, _ := io.ReadFull(part, make([]byte, 1)); n > 0 {
				return formFields{}, nil, problem.New(problem.Invalid, "The form has %s as text, not as a file. With curl write -F %s=@scenario.zip, with the @.", fileField, fileField)
			}
			continue // a browser's form with no file chosen
		}
		if stored != nil {
			return formFields{}, nil, problem.New(problem.Invalid, "The form has %s twice. Send one zip that holds everything.", fileField)
		}
		if values.Has("scenario_id") {
			fields, err := f.decode(values)
			if err != nil {
				return formFields{}, nil, err
			}
			if err := early(fields); err != nil {
				return formFields{}, nil, err
			}
		}
		body := &trackedReader{r: part}
		s, err := accept(body)
		if err != nil {
			if body.err != nil {
				return formFields{}, nil, brokenBody(body.err)
			}
			return formFields{}, nil, err
		}
		stored = &s
	}
	fields, err := f.decode(values)
	if err != nil {
		return formFields{}, nil, err
	}
	return fields, stored, checkSource(stored != nil, fields.S3URL)
}

func (f *formReader) readURLEncoded(r *http.Request) (formFields, error) {
	raw, err := io.ReadAll(io.LimitReader(r.Body, maxFieldBytes+1))
	if err != nil {
		return formFields{}, brokenBody(err)
	}
	if len(raw) > maxFieldBytes {
		return formFields{}, problem.New(problem.TooLarge, "The form is larger than %d bytes. Send files as multipart/form-data.", maxFieldBytes)
	}
	values, err := url.ParseQuery(string(raw))
	if err != nil {
		return formFields{}, problem.Wrap(err, problem.Invalid, "The form is not valid application/x-www-form-urlencoded.")
	}
	fields, err := f.decode(values)
	if err != nil {
		return formFields{}, err
	}
	return fields, checkSource(false, fields.S3URL)
}

func checkSource(uploaded bool, s3URL string) error {
	switch {
	case uploaded && s3URL != "":
		return problem.New(problem.Invalid, "Both %s and sumo_files_s3_url are given. Keep one of them.", fileField)
	case !uploaded && s3URL == "":
		return problem.New(problem.Invalid, "No scenario is given. Send a zip as the file field %s, or name one in sumo_files_s3_url.", fileField).
			WithItems(problem.Item{Location: "body." + fileField, Message: "is missing"})
	}
	return nil
}

func readField(part *multipart.Part, values url.Values) error {
	raw, err := io.ReadAll(io.LimitReader(part, maxFieldBytes+1))
	if err != nil {
		return brokenBody(err)
	}
	if len(raw) > maxFieldBytes {
		return problem.New(problem.TooLarge, "The form field %.100q is larger than %d bytes. Only %s may be large.", part.FormName(), maxFieldBytes, fileField)
	}
	values.Add(part.FormName(), string(raw))
	return nil
}

// decode turns a form's strings into typed fields, by the schema, and reports every fault.
func (f *formReader) decode(values url.Values) (formFields, error) {
	var items []problem.Item
	typed := map[string]any{}
	for name, list := range values {
		schema, known := f.schema.Properties[name]
		if !known {
			items = append(items, problem.Item{Location: "body." + name, Message: "is not a field of this form; /docs lists them"})
			continue
		}
		if len(list) == 1 && list[0] == "" {
			continue // an empty form field says nothing
		}
		value, err := typedValue(schema, list)
		if err != nil {
			items = append(items, problem.Item{Location: "body." + name, Message: err.Error(), Value: list[0]})
			continue
		}
		typed[name] = value
	}
	for name, schema := range f.schema.Properties {
		if _, given := typed[name]; !given && schema.Default != nil {
			typed[name] = schema.Default
		}
	}
	result := &huma.ValidateResult{}
	huma.Validate(f.registry, f.schema, huma.NewPathBuffer([]byte("body"), len("body")), huma.ModeWriteToServer, typed, result)
	for _, err := range result.Errors {
		var detail *huma.ErrorDetail
		if errors.As(err, &detail) {
			items = append(items, problem.Item{Location: detail.Location, Message: detail.Message})
		}
	}
	if len(items) > 0 {
		return formFields{}, problem.New(problem.Invalid, "The form is not valid: %s %s. Mend it and send it again.",
			items[0].Location, items[0].Message).WithItems(items...)
	}
	raw, err := json.Marshal(typed)
	if err != nil {
		return formFields{}, fmt.Errorf("reading the form: %w", err)
	}
	var fields formFields
	if err := json.Unmarshal(raw, &fields); err != nil {
		return formFields{}, problem.Wrap(err, problem.Invalid, "The form is not valid. /docs lists its fields with their types.")
	}
	return fields, nil
}

func typedValue(schema *huma.Schema, list []string) (any, error) {
	if len(list) > 1 && schema.Type != huma.TypeArray {
		return nil, errors.New("is given more than once")
	}
	text := strings.TrimSpace(list[0])
	switch schema.Type {
	case huma.TypeInteger:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, errors.New("must be a whole number")
		}
		return float64(n), nil
	case huma.TypeNumber:
		x, err := strconv.ParseFloat(text, 64)
		if err != nil || x-x != 0 { // x-x is not 0 for infinities and NaN, which JSON does not know
			return nil, errors.New("must be a number")
		}
		return x, nil
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
		if err := json.Unmarshal([]byte(text), &out); err != nil {
			return nil, errors.New("must be a JSON object")
		}
		return out, nil
	default:
		return list[0], nil
	}
}

// maxPartHeader is ample for a part's two or three headers and what is read ahead of them. The multipart package itself
// would take ten megabytes from each of many clients at once.
const maxPartHeader = 64 << 10

// headerBudget bounds what is read of a body while the next part's header is looked for.
type headerBudget struct {
	io.ReadCloser
	limited bool
	left    int
}

func (h *headerBudget) begin() { h.limited, h.left = true, maxPartHeader }
func (h *headerBudget) end()   { h.limited = false }

func (h *headerBudget) Read(p []byte) (int, error) {
	if !h.limited {
		return h.ReadCloser.Read(p)
	}
	if h.left == 0 {
		return 0, problem.New(problem.Invalid, "The form has a part whose header is larger than %d bytes.", maxPartHeader)
	}
	n, err := h.ReadCloser.Read(p[:min(len(p), h.left)])
	h.left -= n
	return n, err
}

// trackedReader remembers whether reading the body failed, which tells a broken upload from a broken store.
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
	if errors.As(err, &e) && e.Code == problem.Invalid {
		return e // it says already what is wrong
	}
	return problem.Wrap(err, problem.Invalid, "The upload broke off before its end. Nothing was kept of it; send it again.")
}
