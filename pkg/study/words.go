package study

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sumo-k8/sumo-k8/pkg/simulation"
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

// Words are an axis for a person: its name, with what it sets where the name does not say it, and the unit.
func (a Axis) Words() string {
	kind, name, _ := strings.Cut(a.Set, ":")
	switch kind {
	case "option":
		name = "option " + name
	case "xml":
		name = name[strings.LastIndex(name, "@")+1:]
	default:
		name = kind
	}
	var beside []string
	if name != a.Name && name != "option "+a.Name {
		beside = append(beside, name)
	}
	if slices.Contains([]string{"begin", "end", "step_length"}, kind) {
		beside = append(beside, "s")
	}
	if len(beside) == 0 {
		return a.Name
	}
	return fmt.Sprintf("%s (%s)", a.Name, strings.Join(beside, ", "))
}

// Counted is a number of things for a person: "1 point", "2 points".
func Counted(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}

// Words are an aim for a person.
func (a Aim) Words() string {
	var parts []string
	if a.RelativeHalfWidth > 0 {
		of := "the mean"
		if a.Of == ofDifference {
			of = "the baseline's mean"
		}
		parts = append(parts, ExactPercent(a.RelativeHalfWidth)+" of "+of)
	}
	for _, name := range slices.Sorted(maps.Keys(a.Absolute)) {
		m, _ := simulation.MeasureOf(name)
		unit := m.Unit
		if unit == "1" {
			unit = ""
		}
		parts = append(parts, fmt.Sprintf("%s of %s", Quantity(a.Absolute[name], 0, unit), name))
	}
	what := "means"
	if a.Of == ofDifference {
		what = "differences to the baseline"
	}
	return fmt.Sprintf("intervals of %s with a half width of %s, at a confidence of %s, with %d to %d runs of each point", what,
		strings.Join(parts, ", and "), ExactPercent(cmp.Or(a.Confidence, DefaultConfidence)), a.least(), a.Max)
}
