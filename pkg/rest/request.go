package rest

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

// predecessors are the operations that clients of the predecessor call. It ignored query parameters that it did not know, and so do we.
var predecessors = []string{
	"register-tenant", "regenerate-key", "list-tenants", "get-tenant", "update-tenant", "get-dashboard",
	"submit-job", "submit-job-s3", "get-job", "get-logs", "stream-logs", "get-results",
	"get-cluster", "get-activity", "list-all-jobs", "start-warmup", "list-warmups", "cancel-warmup",
}

// anyParameter reports whether a request for op may have query parameters that op does not know: those of the predecessor's clients, and
// of whatever probes the service or follows a link.
func anyParameter(op *huma.Operation) bool {
	return len(op.Security) == 0 || slices.Contains(predecessors, op.OperationID)
}

// checkQuery refuses query parameters that are unknown, since without a misspelt one the call would mean something else, and those that
// Go reads as numbers and that are none to a caller: NaN passes every bound, and neither it nor an infinity can be written as JSON.
func checkQuery(ctx huma.Context) error {
	var items []problem.Item
	for _, p := range ctx.Operation().Parameters {
		if p.In != "query" || p.Schema == nil || p.Schema.Type != huma.TypeNumber {
			continue
		}
		text := ctx.Query(p.Name)
		if v, err := strconv.ParseFloat(text, 64); err == nil && (math.IsNaN(v) || math.IsInf(v, 0)) {
			items = append(items, problem.Item{Location: "query." + p.Name, Message: "expected a finite number", Value: shorten(text)})
		}
	}
	if !anyParameter(ctx.Operation()) {
		items = append(items, unknownParameters(ctx)...)
	}
	if len(items) == 0 {
		return nil
	}
	return problem.New(problem.Invalid, "%s", detailFor(problem.Invalid, "", items)).WithItems(items...)
}

// maxUnknown is how many unknown parameters an answer lists.
const maxUnknown = 20

func unknownParameters(ctx huma.Context) (items []problem.Item) {
	u := ctx.URL()
	if u.RawQuery == "" {
		return nil
	}
	var known []string
	for _, p := range ctx.Operation().Parameters {
		if p.In == "query" {
			known = append(known, p.Name)
		}
	}
	slices.Sort(known)
	message := "unknown query parameter: this call has none"
	if len(known) > 0 {
		message = "unknown query parameter: this call has " + strings.Join(known, ", ")
	}
	given := u.Query()
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if !slices.Contains(known, name) && len(items) < maxUnknown {
			items = append(items, problem.Item{Location: fmt.Sprintf("query.%.100s", name), Message: message, Value: shorten(given.Get(name))})
		}
	}
	return items
}

type schemasKey struct{}

// requestFaults is found with what ByKind says of it, for a JSON body.
func requestFaults(ctx huma.Context, found *huma.ErrorDetail) []*huma.ErrorDetail {
	registry, ok := ctx.Context().Value(schemasKey{}).(huma.Registry)
	body := ctx.Operation().RequestBody
	if !ok || body == nil || body.Content["application/json"] == nil {
		return []*huma.ErrorDetail{found}
	}
	return ByKind(registry, body.Content["application/json"].Schema, found)
}

// ByKind says what is wrong with a field of a body that may be of several kinds, such as a boolean or an object: huma only finds that the
// value is none of them. It is held against the schema of its own kind. Everything else that huma finds stays as it is.
func ByKind(registry huma.Registry, body *huma.Schema, found *huma.ErrorDetail) []*huma.ErrorDetail {
	field := fieldAt(registry, body, found.Location)
	if field == nil {
		return []*huma.ErrorDetail{found}
	}
	var kinds []string
	for _, one := range field.OneOf {
		one = resolved(registry, one)
		kinds = append(kinds, one.Type)
		if one.Type != kindOf(found.Value) {
			continue
		}
		result := &huma.ValidateResult{}
		path := huma.NewPathBuffer([]byte(found.Location), len(found.Location))
		huma.Validate(registry, one, path, huma.ModeWriteToServer, found.Value, result)
		var faults []*huma.ErrorDetail
		for _, err := range result.Errors {
			if detail, ok := errors.AsType[*huma.ErrorDetail](err); ok {
				faults = append(faults, detail)
			}
		}
		if len(faults) > 0 {
			return faults
		}
	}
	if len(kinds) == 0 || slices.Contains(kinds, kindOf(found.Value)) {
		return []*huma.ErrorDetail{found}
	}
	return []*huma.ErrorDetail{{Message: "expected " + strings.Join(kinds, " or "), Location: found.Location, Value: found.Value}}
}

// fieldAt is the schema of what huma's location names, such as body.variants[0].run.replay; nil for what has none.
func fieldAt(registry huma.Registry, body *huma.Schema, location string) *huma.Schema {
	path, ok := strings.CutPrefix(location, "body.")
	s := resolved(registry, body)
	for name := range strings.SplitSeq(path, ".") {
		if !ok || s == nil {
			return nil
		}
		name, index, inList := strings.Cut(name, "[")
		if s = resolved(registry, s.Properties[name]); inList && s != nil {
			s = resolved(registry, s.Items)
		}
		if strings.Contains(index, "[") { // no field is a list of lists
			return nil
		}
	}
	return s
}

func resolved(registry huma.Registry, s *huma.Schema) *huma.Schema {
	if s != nil && s.Ref != "" {
		return registry.SchemaFromRef(s.Ref)
	}
	return s
}

// kindOf is the type of a decoded JSON value as schemas name it.
func kindOf(v any) string {
	switch v.(type) {
	case bool:
		return huma.TypeBoolean
	case string:
		return huma.TypeString
	case float64:
		return huma.TypeNumber
	case []any:
		return huma.TypeArray
	case map[string]any:
		return huma.TypeObject
	default:
		return ""
	}
}
