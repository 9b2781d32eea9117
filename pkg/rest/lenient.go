package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// RegisterLenient is Register for a call of the predecessor. Its JSON is read as the predecessor read it: unknown fields are ignored, with
// a warning in WarningsOf, as are fractions of whole numbers; numbers may be strings and the other way round where only one reading is
// possible, and a string a list of one.
func RegisterLenient[I, O any](api huma.API, access Access, op huma.Operation, handler func(context.Context, *I) (*O, error)) {
	var schema *huma.Schema
	op.Middlewares = append(op.Middlewares, func(ctx huma.Context, next func(huma.Context)) {
		r, _ := humago.Unwrap(ctx)
		body := &lenientBody{ReadCloser: r.Body, limit: bodyLimit(ctx.Operation()), schema: schema}
		r.Body = body
		next(huma.WithValue(ctx, lenientKey{}, body))
	})
	Register(api, access, op, handler)
	schema = registered(api, op).RequestBody.Content["application/json"].Schema
	if schema.Ref != "" {
		schema = api.OpenAPI().Components.Schemas.SchemaFromRef(schema.Ref)
	}
	schema.AdditionalProperties = true
}

// registered is op as the document has it.
func registered(api huma.API, op huma.Operation) *huma.Operation {
	path := api.OpenAPI().Paths[op.Path]
	return map[string]*huma.Operation{http.MethodPost: path.Post, http.MethodPut: path.Put, http.MethodPatch: path.Patch}[op.Method]
}

type lenientKey struct{}

// WarningsOf returns what the caller of a lenient operation should know about the request.
func WarningsOf(ctx context.Context) []string {
	body, ok := ctx.Value(lenientKey{}).(*lenientBody)
	if !ok {
		return nil
	}
	return append(IgnoredFields(body.ignored), body.rounded...)
}

// maxIgnored is how many unknown fields a warning names.
const maxIgnored = 20

// IgnoredFields is the warning about fields that the service does not know; none if there are none.
func IgnoredFields(names []string) []string {
	if len(names) == 0 {
		return nil
	}
	var quoted []string
	for _, name := range names[:min(len(names), maxIgnored)] {
		quoted = append(quoted, fmt.Sprintf("%.100q", name))
	}
	if len(names) > maxIgnored {
		quoted = append(quoted, "…")
	}
	return []string{"Fields that this service does not know were ignored: " + strings.Join(quoted, ", ") + ". /docs lists the fields."}
}

// lenientBody is a JSON body that becomes what the schema describes, when it is first read. One that is not a JSON object, or longer
// than limit, stays as it is, for huma to refuse.
type lenientBody struct {
	io.ReadCloser
	limit  int64
	schema *huma.Schema

	read    io.Reader // nil before the first call of Read
	ignored []string  // unknown fields
	rounded []string  // warnings about numbers that are not whole
}

func (b *lenientBody) Read(p []byte) (int, error) {
	if b.read == nil {
		raw, err := io.ReadAll(io.LimitReader(b.ReadCloser, b.limit+1))
		rest := io.Reader(b.ReadCloser)
		if err != nil {
			rest = failed{err}
		} else if int64(len(raw)) <= b.limit {
			raw = b.loosen(raw)
		}
		b.read = io.MultiReader(bytes.NewReader(raw), rest)
	}
	return b.read.Read(p)
}

// failed is a reader that fails.
type failed struct{ error }

func (f failed) Read([]byte) (int, error) { return 0, f.error }

func (b *lenientBody) loosen(raw []byte) []byte {
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) != nil || fields == nil {
		return raw
	}
	for name, value := range fields {
		property, required := b.property(name)
		if property == nil {
			b.ignored = append(b.ignored, name)
			delete(fields, name)
			continue
		}
		if x, cut := withoutFraction(property, value); cut {
			b.rounded = append(b.rounded, fmt.Sprintf("%.100s is a whole number: %s is read as %s.", name, value, x))
			value = x
		}
		if fields[name] = loosened(property, value); fields[name] == nil {
			if required {
				fields[name] = value
			} else {
				delete(fields, name)
			}
		}
	}
	slices.Sort(b.ignored)
	slices.Sort(b.rounded)
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false) // which would make the body longer
	if encoder.Encode(fields) != nil {
		return raw
	}
	return out.Bytes()
}

// property finds the schema of a field, which encoding/json matches whatever its case.
func (b *lenientBody) property(name string) (property *huma.Schema, required bool) {
	for known, property := range b.schema.Properties {
		if strings.EqualFold(known, name) {
			return property, slices.Contains(b.schema.Required, known)
		}
	}
	return nil, false
}

// withoutFraction cuts the fraction of a number where only whole ones are known, as the predecessor did. A text is not cut.
func withoutFraction(schema *huma.Schema, value json.RawMessage) (whole json.RawMessage, cut bool) {
	x, err := strconv.ParseFloat(string(value), 64)
	if schema.Type != huma.TypeInteger || err != nil || x == math.Trunc(x) || math.Abs(x) >= exact {
		return value, false
	}
	return strconv.AppendInt(nil, int64(x), 10), true
}

// exact bounds the whole numbers that a float holds.
const exact = 1 << 53

// loosened is a value as the schema wants it, or unchanged where that is not certain; nil for a text that says nothing.
func loosened(schema *huma.Schema, value json.RawMessage) json.RawMessage {
	var scalar any
	decoder := json.NewDecoder(bytes.NewReader(value))
	decoder.UseNumber()
	if decoder.Decode(&scalar) != nil {
		return value
	}
	var wanted any
	var err error
	switch given := scalar.(type) {
	case string:
		if given == "" && (schema.Type != huma.TypeString || len(schema.Enum) > 0) {
			return nil
		}
		if schema.Type == huma.TypeArray { // one for a list of one
			wanted = []string{given}
		} else {
			wanted, err = ParseText(schema, given)
		}
	case json.Number:
		wanted = fromNumber(schema, given)
	default:
		return value
	}
	if err != nil {
		return value
	}
	out, err := json.Marshal(wanted)
	if err != nil {
		return value
	}
	return out
}

func fromNumber(schema *huma.Schema, given json.Number) any {
	switch schema.Type {
	case huma.TypeString:
		return given.String()
	case huma.TypeInteger:
		if x, err := given.Float64(); err == nil && x == math.Trunc(x) && math.Abs(x) < exact {
			return int64(x)
		}
	case huma.TypeBoolean:
		if text := given.String(); text == "0" || text == "1" {
			return text == "1"
		}
	}
	return given
}

// ParseText reads a number or a truth value that is written as text, as in forms. Text for any other schema is itself.
func ParseText(schema *huma.Schema, text string) (any, error) {
	trimmed := strings.TrimSpace(text)
	switch schema.Type {
	case huma.TypeInteger:
		if n, err := strconv.ParseInt(trimmed, 10, 64); err == nil {
			return float64(n), nil
		}
		x, err := strconv.ParseFloat(trimmed, 64)
		if err != nil || x != math.Trunc(x) || math.Abs(x) >= exact {
			return nil, errors.New("must be a whole number")
		}
		return x, nil
	case huma.TypeNumber:
		x, err := strconv.ParseFloat(trimmed, 64)
		if err != nil || x-x != 0 { // x-x is not 0 for infinities and NaN, which JSON does not know
			return nil, errors.New("must be a number")
		}
		return x, nil
	case huma.TypeBoolean:
		b, err := strconv.ParseBool(trimmed)
		if err != nil {
			return nil, errors.New("must be true or false")
		}
		return b, nil
	default:
		return text, nil
	}
}
