package run

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/gz"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/outputs"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/sumotest"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/xml"
)

// edgeValues are all values of an edgedata output, by "begin edge attribute".
func edgeValues(t *testing.T, text string) map[string]float64 {
	t.Helper()
	values := map[string]float64{}
	begin := ""
	s := xml.Scanner{Element: func(e xml.Element) error {
		switch string(e.Name) {
		case "interval":
			begin = string(e.Attr("begin"))
		case "edge":
			for _, a := range e.Attrs {
				if v, ok := xml.Number(a.Value); ok && string(a.Name) != "id" {
					values[begin+" "+string(e.Attr("id"))+" "+string(a.Name)] = v
				}
			}
		}
		return nil
	}}
	plain, err := gz.Unpack(strings.NewReader(text))
	if err == nil {
		err = s.Scan(plain)
	}
	if err != nil {
		t.Fatal(err)
	}
	return values
}

// columnValues are those of a file of edge columns.
func columnValues(t *testing.T, text string) map[string]float64 {
	t.Helper()
	c, err := outputs.ReadEdgeColumns(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, a := range c.Attributes {
		offset, length, _ := c.Column(a.Name)
		rows, err := c.Values(strings.NewReader(text[offset : offset+length]))
		if err != nil {
			t.Fatal(err)
		}
		for i, row := range rows {
			for edge, v := range row {
				if !math.IsNaN(v) {
					values[fmt.Sprintf("%.2f %s %s", c.Intervals[i].Begin, c.Edges[edge], a.Name)] = v
				}
			}
		}
	}
	return values
}

func TestAStudysRunLeavesItsEdgeDataInColumns(t *testing.T) {
	t.Parallel()
	sumotest.Each(t, func(t *testing.T, sumo release.Installation) {
		own := road(t, `<output><edgedata-output value="own.xml"/></output>`, someDemand)
		for name, tc := range map[string]struct {
			scenario files
			options  simulation.Options
			output   string // with edge data; empty for none
		}{
			"asked for": {
				road(t, "", someDemand), simulation.Options{Outputs: []simulation.Output{simulation.OutputEdgeData}}, "edgedata.xml.gz",
			},
			"the scenario's":   {own, simulation.Options{}, "city/own.xml"},
			"none":             {road(t, "", someDemand), simulation.Options{}, ""},
			"a name of theirs": {road(t, `<output><fcd-output value="edgedata.columns"/></output>`, someDemand), simulation.Options{}, ""},
		} {
			c, k := chunkWith(t, sumo, zipped(t, tc.scenario), 1, 1)
			c.List.Runs[0].Options.Outputs = tc.options.Outputs
			if outcome := k.do(c); !outcome.Succeeded() {
				t.Fatalf("%s: %s: %s", name, outcome.Reason, outcome.Message)
			}
			got := k.stored[c.List.Runs[0].ID]
			if o := got.outcome(t); !o.Succeeded() {
				t.Fatalf("%s: %s: %s", name, o.Reason, o.Message)
			}
			columns, ok := got[simulation.EdgeColumnsFile]
			if ok != (tc.output != "") {
				t.Errorf("%s: edge columns: %t, among %v", name, ok, slices.Sorted(maps.Keys(got)))
			}
			if !ok {
				continue
			}
			if !strings.Contains(got[simulation.ChecksumFile], simulation.EdgeColumnsFile) {
				t.Errorf("%s: the checksums lack the columns", name)
			}
			want, have := edgeValues(t, got[tc.output]), columnValues(t, columns)
			if len(want) < 20 || len(want) != len(have) {
				t.Fatalf("%s: %d values, want %d", name, len(have), len(want))
			}
			for key, v := range want {
				if have[key] != v {
					t.Errorf("%s: %s is %g, want %g", name, key, have[key], v)
				}
			}
		}
	})
}

func TestASingleJobLeavesNoEdgeColumns(t *testing.T) {
	t.Parallel()
	c, k := chunkOf(t, zipped(t, road(t, "", someDemand)), 1, 1)
	c.List.Single = true
	c.List.Runs[0].Options.Outputs = []simulation.Output{simulation.OutputEdgeData}
	if outcome := k.do(c); !outcome.Succeeded() {
		t.Fatalf("%s: %s", outcome.Reason, outcome.Message)
	}
	got := k.stored[c.List.Runs[0].ID]
	if _, ok := got[simulation.EdgeColumnsFile]; ok || got["edgedata.xml.gz"] == "" {
		t.Errorf("a single job leaves %v", slices.Sorted(maps.Keys(got)))
	}
}

func TestEdgeDataThatIsNotReadIsAWarning(t *testing.T) {
	t.Parallel()
	c, k := chunkOf(t, zipped(t, road(t, `<output><edgedata-output value="own.csv"/></output>`, someDemand)), 1, 1)
	if outcome := k.do(c); !outcome.Succeeded() {
		t.Fatalf("%s: %s", outcome.Reason, outcome.Message)
	}
	got := k.stored[c.List.Runs[0].ID]
	o := got.outcome(t)
	warnings := strings.Join(o.Warnings, "\n")
	if !o.Succeeded() || !strings.Contains(warnings, "The edge statistics of the study leave out city/own.csv") {
		t.Errorf("%s: %s, with the warnings %s", o.Reason, o.Message, warnings)
	}
	if _, ok := got[simulation.EdgeColumnsFile]; ok {
		t.Error("columns are left")
	}
}
