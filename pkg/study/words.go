package study

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// BaselineWords are a baseline of p for a person: "base, demand 1, at the same values of the other axes".
func (p Plan) BaselineWords(b Baseline) string {
	parts := []string{cmp.Or(b.Variant, "the same variant")}
	for _, axis := range slices.Sorted(maps.Keys(b.Values)) {
		parts = append(parts, axis+" "+Value{Value: b.Values[axis]}.Text())
	}
	switch free := len(p.Axes) - len(b.Values); {
	case free > 0 && len(b.Values) > 0:
		parts = append(parts, "at the same values of the other axes")
	case free > 0:
		parts = append(parts, "at the same values of all axes")
	}
	return strings.Join(parts, ", ")
}

// Words are an axis for a person: its name, and what it sets where the name does not say it.
func (a Axis) Words() string {
	kind, name, _ := strings.Cut(a.Set, ":")
	switch {
	case kind == "option":
		name = "option " + name
	case kind == "xml":
		name = name[strings.LastIndex(name, "@")+1:]
	default:
		name = kind
	}
	if unit := map[string]string{"begin": "s", "end": "s", "step_length": "s"}[kind]; unit != "" {
		return fmt.Sprintf("%s (%s, %s)", a.Name, name, unit)
	}
	if name == a.Name || name == "option "+a.Name {
		return a.Name
	}
	return fmt.Sprintf("%s (%s)", a.Name, name)
}
