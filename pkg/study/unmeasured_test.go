package study

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

func TestMetricsThatNoRunWillHaveAreNoted(t *testing.T) {
	t.Parallel()
	emission := simulation.Options{Outputs: []simulation.Output{simulation.OutputEmission}}
	table := scenario.Config{Options: []scenario.Option{{Name: "output.format", Value: "csv"}}}
	for name, tt := range map[string]struct {
		metrics []string
		until   *Aim
		config  scenario.Config
		options simulation.Options
		want    []string // parts of each note
	}{
		"what every run has":    {metrics: []string{"mean_time_loss", "teleports", "mean_time_loss@vClass=bus"}},
		"no metrics named":      {},
		"emissions":             {metrics: []string{"emissions_co2", "fuel"}, want: []string{"not have emissions_co2, fuel: no vehicle has the emissions device"}},
		"emissions of an aim":   {until: &Aim{Absolute: map[string]float64{"electricity": 1}}, want: []string{"not have electricity"}},
		"emissions asked for":   {metrics: []string{"emissions_co2"}, options: emission},
		"emissions are written": {metrics: []string{"emissions_co2"}, config: scenario.Config{Emissions: true}},
		"no persons":            {metrics: []string{"persons_finished"}, config: scenario.Config{Demand: &scenario.Demand{Vehicles: 1}}, want: []string{"persons"}},
		"persons":               {metrics: []string{"persons_finished"}, config: scenario.Config{Demand: &scenario.Demand{PersonFlows: 1}}},
		"persons are not known": {metrics: []string{"persons_finished"}},
		"a table of trips": {
			metrics: []string{"emissions_co2", "mean_time_loss@vClass=bus"}, config: table,
			want: []string{"emissions_co2, mean_time_loss@vClass=bus: they take a tripinfo output in XML"},
		},
		"a named table of trips": {
			metrics: []string{"mean_time_loss@vClass=bus"},
			config:  scenario.Config{Options: []scenario.Option{{Name: "tripinfo-output", Files: []string{"out/trips.parquet"}}}},
			want:    []string{"tripinfo output in XML"},
		},
		"statistics as Parquet": {
			metrics: []string{"total_travel_time", "mean_time_loss"}, options: simulation.Options{SumoVersion: "1.28"},
			config: scenario.Config{Options: []scenario.Option{{Name: "statistic-output", Files: []string{"s.parquet"}}}},
			want:   []string{"not have total_travel_time: it takes a statistic output in XML"},
		},
		"statistics as CSV": {metrics: []string{"total_travel_time"}, options: simulation.Options{SumoVersion: "1.28"}, config: table},
		"statistics as CSV of an old SUMO": {
			metrics: []string{"total_travel_time"}, options: simulation.Options{SumoVersion: "1.26"}, config: table, want: []string{"1.28 or newer"},
		},
		"XML by name": {
			metrics: []string{"mean_time_loss@vClass=bus"},
			config: scenario.Config{Options: []scenario.Option{
				{Name: "tripinfo-output", Files: []string{"out/trips.xml.gz"}}, {Name: "output.format", Value: "xml"},
			}},
		},
		"a program": {
			metrics: []string{"emissions_co2"}, options: simulation.Options{Controller: &simulation.Controller{File: "a.py"}},
		},
	} {
		p := Plan{Metrics: tt.metrics, Replications: Replications{Until: tt.until}}
		notes := p.unmeasured(tt.config, tt.options)
		if len(notes) != len(tt.want) {
			t.Errorf("%s: %q", name, notes)
			continue
		}
		for i, want := range tt.want {
			if !strings.Contains(notes[i], want) {
				t.Errorf("%s: %q lacks %q", name, notes[i], want)
			}
		}
	}
}

func TestABaselineWithNothingToCompareIsNoted(t *testing.T) {
	t.Parallel()
	axis := func(values ...string) []Axis { return []Axis{{Name: "demand", Set: "scale", Values: raws(values...)}} }
	for name, tt := range map[string]struct {
		plan  Plan
		noted bool
	}{
		"no baseline":     {Plan{Variants: []Variant{{Name: "a"}}}, false},
		"the only point":  {Plan{Variants: []Variant{{Name: "a"}}, Baseline: &Baseline{Variant: "a"}}, true},
		"another variant": {Plan{Variants: []Variant{{Name: "a"}, {Name: "b"}}, Baseline: &Baseline{Variant: "a"}}, false},
		"its own baseline at each value": {
			Plan{Variants: []Variant{{Name: "a"}}, Axes: axis("1", "2"), Baseline: &Baseline{Variant: "a"}}, true,
		},
		"another value": {
			Plan{
				Variants: []Variant{{Name: "a"}}, Axes: axis("1", "2"), Baseline: &Baseline{Values: map[string]json.RawMessage{"demand": raws("1")[0]}},
			}, false,
		},
	} {
		var points []Point
		for i, at := range tt.plan.places() {
			points = append(points, Point{Number: i, Variant: tt.plan.Variants[at.variant].Name, Setting: tt.plan.setting(at)})
		}
		if note := tt.plan.lonely(points); (note != "") != tt.noted {
			t.Errorf("%s: %q", name, note)
		}
	}
}
