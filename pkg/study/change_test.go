package study

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAnExtensionAddsWhatIsNotThereYet(t *testing.T) {
	t.Parallel()
	product := Plan{
		Variants: []Variant{{Name: "base", Scenario: "1"}, {Name: "late", Scenario: "2", Run: json.RawMessage(`{"begin": 60, "end": 90}`)}},
		Axes:     []Axis{{Name: "demand", Values: raws("0.8", "1")}, {Name: "SUMO", Values: raws(`"1.18"`)}},
	}
	zip := Plan{
		Variants: product.Variants, Combine: Zip,
		Axes: []Axis{{Name: "demand", Values: raws("0.8", "1")}, {Name: "SUMO", Values: raws(`"1.18"`, `"1.20"`)}},
	}
	for name, tt := range map[string]struct {
		plan   Plan
		e      Extension
		want   []string // the values of the axes, and the names of the variants
		known  []string
		moved  string // a location in the plan, and where it stands in the extension
		itself string
	}{
		"a range of which some are there": {
			product, Extension{Values: map[string][]json.RawMessage{"demand": raws("0.8", "0.9", "1.0", "1.1")}},
			[]string{"0.8 1 0.9 1.1", "1.18", "base late"}, []string{"demand 0.8", "demand 1.0"},
			"body.axes[0].values[3]", "body.values.demand[3]",
		},
		"variants of which some are there": {
			product, Extension{Variants: []Variant{
				{Name: "late", Scenario: "2", Run: json.RawMessage(`{"end":90.0,"begin":60}`)}, {Name: "base", Scenario: "1", Run: json.RawMessage("{}")},
				{Name: "late", Scenario: "1"}, {Name: "early", Scenario: "1"},
			}},
			[]string{"0.8 1", "1.18", "base late late early"}, []string{"late", "base"}, "body.variants[2].name", "body.variants[2].name",
		},
		"what is there keeps its place": {
			product, Extension{Values: map[string][]json.RawMessage{"SUMO": raws(`"1.18"`)}}, []string{"0.8 1", "1.18", "base late"},
			[]string{"SUMO 1.18"}, "body.axes[1].values[0]", "body.axes[1].values[0]",
		},
		"another place keeps its name": {
			product, Extension{Variants: []Variant{{Name: "early", Scenario: "1"}}}, []string{"0.8 1", "1.18", "base late early"}, nil,
			"body.run.end", "body.run.end",
		},
		"zip: together": {
			zip, Extension{Values: map[string][]json.RawMessage{"demand": raws("1", "1", "1.2"), "SUMO": raws(`"1.20"`, `"1.22"`, `"1.22"`)}},
			[]string{"0.8 1 1 1.2", "1.18 1.20 1.22 1.22", "base late"}, []string{"SUMO 1.20", "demand 1"},
			"body.axes[0].values[2]", "body.values.demand[1]",
		},
		"zip: of one axis, which is refused": {
			zip, Extension{Values: map[string][]json.RawMessage{"demand": raws("1")}},
			[]string{"0.8 1 1", "1.18 1.20", "base late"}, nil, "body.axes[0].values[2]", "body.values.demand[0]",
		},
	} {
		var f faults
		l := tt.plan.lacks(tt.e)
		after := tt.plan.extended(tt.e, l, &f)
		var got, names []string
		for _, a := range after.Axes {
			var texts []string
			for _, v := range a.Values {
				texts = append(texts, Value{Value: v}.Text())
			}
			got = append(got, strings.Join(texts, " "))
		}
		for _, v := range after.Variants {
			names = append(names, v.Name)
		}
		got = append(got, strings.Join(names, " "))
		if diff := cmp.Diff(tt.want, got); diff != "" || len(f.items) > 0 {
			t.Errorf("%s (-want +got): %+v\n%s", name, f.items, diff)
		}
		if diff := cmp.Diff(tt.known, tt.plan.Known(tt.e)); diff != "" {
			t.Errorf("%s: known (-want +got):\n%s", name, diff)
		}
		if got := tt.plan.moved(l, tt.moved); got != tt.itself {
			t.Errorf("%s: %s is at %s, want %s", name, tt.moved, got, tt.itself)
		}
	}
}
