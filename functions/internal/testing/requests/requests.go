// Package requests makes requests from an OpenAPI document for tests: the simplest valid one of each operation, and any
// number of invalid ones.
package requests

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/sumo-k8/sumo-k8/functions/internal/testing/contract"
)

// Request is a request before it has a server and a key.
type Request struct {
	Method string
	Path   string // escaped
	Query  string // as it is sent
	Header http.Header
	Body   []byte
}

// To turns it into a request to the server at base.
func (q Request) To(base string) (*http.Request, error) {
	r, err := http.NewRequest(q.Method, base+q.Path, bytes.NewReader(q.Body))
	if err != nil {
		return nil, err
	}
	r.URL.RawQuery = q.Query // set verbatim: parsing or joining a URL would repair it
	r.Header = q.Header.Clone()
	return r, nil
}

// String shows the request in a few lines.
func (q Request) String() string {
	return fmt.Sprintf("%s %.500s?%.500s\n%.500q\n%.500q (%d bytes)", q.Method, q.Path, q.Query, q.Header, q.Body, len(q.Body))
}

// GoString is what rapid prints for a request.
func (q Request) GoString() string { return q.String() }

// Values has the values of parameters and fields that need a meaningful one, by name: ids of existing jobs, say. Everything
// else gets the plainest value of its schema.
type Values map[string]string

// Plain returns the plainest valid request for op: it has only what is required, and Values supplies the files.
func Plain(d *contract.Document, op contract.Operation, values Values) (Request, error) {
	q := Request{Method: op.Method, Path: op.Path, Header: http.Header{}}
	query := url.Values{}
	for _, p := range op.Parameters {
		value, given := values[p.Name]
		if !p.Required && !given {
			continue
		}
		if !given {
			value = text(plain(d, p.Schema))
		}
		switch p.In {
		case "path":
			q.Path = strings.ReplaceAll(q.Path, "{"+p.Name+"}", url.PathEscape(value))
		case "query":
			query.Set(p.Name, value)
		case "header":
			q.Header.Set(p.Name, value)
		}
	}
	q.Query = query.Encode()
	media := mediaOf(op)
	if media == "" {
		return q, nil
	}
	body := plain(d, op.Bodies[media])
	fields, _ := body.(map[string]any) // nil for a file
	properties, _ := d.Resolve(op.Bodies[media])["properties"].(map[string]any)
	for name := range properties {
		if value, given := values[name]; given {
			fields[name] = typed(d, property(d, op.Bodies[media], name), value)
		}
	}
	var err error
	q.Body, err = encode(d, op.Bodies[media], media, body, q.Header)
	return q, err
}

// mediaOf returns the media type in which a body is usually sent.
func mediaOf(op contract.Operation) string {
	for _, media := range []string{"application/json", "multipart/form-data"} {
		if _, ok := op.Bodies[media]; ok {
			return media
		}
	}
	for media := range op.Bodies {
		return media
	}
	return ""
}

// encode writes fields in a media type, and names it in header.
func encode(d *contract.Document, schema contract.Schema, media string, fields any, header http.Header) ([]byte, error) {
	header.Set("Content-Type", media)
	object, _ := fields.(map[string]any)
	switch {
	case media == "multipart/form-data":
		var body bytes.Buffer
		form := multipart.NewWriter(&body)
		header.Set("Content-Type", form.FormDataContentType())
		for _, name := range filesLast(d, schema, object) {
			if !isFile(d, schema, name) {
				if err := form.WriteField(name, text(object[name])); err != nil {
					return nil, err
				}
				continue
			}
			part, err := form.CreateFormFile(name, "upload.zip")
			if err != nil {
				return nil, err
			}
			if _, err := part.Write([]byte(text(object[name]))); err != nil {
				return nil, err
			}
		}
		err := form.Close() // writes the end
		return body.Bytes(), err
	case media == "application/x-www-form-urlencoded":
		values := url.Values{}
		for name, value := range object {
			values.Set(name, text(value))
		}
		return []byte(values.Encode()), nil
	case strings.HasSuffix(media, "json"):
		return json.Marshal(fields)
	default: // a file as it is
		return []byte(text(fields)), nil
	}
}

// filesLast returns the names of an object's members in the order in which a form should have them.
func filesLast(d *contract.Document, schema contract.Schema, object map[string]any) []string {
	names := slices.Sorted(maps.Keys(object))
	slices.SortStableFunc(names, func(a, b string) int {
		switch fa, fb := isFile(d, schema, a), isFile(d, schema, b); {
		case fa == fb:
			return 0
		case fa:
			return 1
		default:
			return -1
		}
	})
	return names
}

func isFile(d *contract.Document, schema contract.Schema, name string) bool {
	return property(d, schema, name)["format"] == "binary"
}

func property(d *contract.Document, schema contract.Schema, name string) contract.Schema {
	properties, _ := d.Resolve(schema)["properties"].(map[string]any)
	p, _ := properties[name].(map[string]any)
	return d.Resolve(p)
}

// plain returns the plainest value that a schema allows.
func plain(d *contract.Document, schema contract.Schema) any {
	schema = d.Resolve(schema)
	for _, key := range []string{"default", "example"} {
		if value, ok := schema[key]; ok {
			return value
		}
	}
	for _, key := range []string{"enum", "examples"} {
		if list, ok := schema[key].([]any); ok && len(list) > 0 {
			return list[0]
		}
	}
	switch typeOf(d, schema) {
	case "object":
		out := map[string]any{}
		required, _ := schema["required"].([]any)
		for _, name := range required {
			out[name.(string)] = plain(d, property(d, schema, name.(string)))
		}
		return out
	case "array":
		items, _ := schema["items"].(map[string]any)
		least, _ := schema["minItems"].(float64)
		out := []any{}
		for range int(least) {
			out = append(out, plain(d, items))
		}
		return out
	case "integer", "number":
		least, _ := schema["minimum"].(float64)
		return least
	case "boolean":
		return false
	default:
		switch schema["format"] {
		case "uuid":
			return "01890a5d-ac96-774b-bcce-b302099a8057"
		case "date-time":
			return "2024-05-01T06:00:00Z"
		case "uri", "uri-reference":
			return "https://receiver.invalid/x"
		}
		least, _ := schema["minLength"].(float64)
		return strings.Repeat("x", max(1, int(least)))
	}
}

// typeOf returns the type that a schema requires, apart from null.
func typeOf(d *contract.Document, schema contract.Schema) string {
	for _, name := range d.Types(schema) {
		if name != "null" {
			return name
		}
	}
	return "null"
}

// typed returns the JSON value for a text.
func typed(d *contract.Document, schema contract.Schema, text string) any {
	switch typeOf(d, schema) {
	case "integer", "number", "boolean":
		return json.RawMessage(text)
	case "array":
		return strings.Split(text, ",")
	}
	return text
}

// text returns a value in the form for a query or a form field.
func text(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case []string:
		return strings.Join(v, ",")
	case []any:
		words := make([]string, len(v))
		for i, word := range v {
			words[i] = text(word)
		}
		return strings.Join(words, ",")
	case nil:
		return ""
	default:
		raw, err := json.Marshal(v)
		if err != nil {
			return fmt.Sprint(v) // NaN and infinities
		}
		return string(raw)
	}
}
