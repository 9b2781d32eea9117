package study

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

func TestPlansInWords(t *testing.T) {
	t.Parallel()
	plan := Plan{Axes: []Axis{{Name: "demand"}, {Name: "teleport"}}}
	one, two := json.RawMessage("1"), json.RawMessage(`"two"`)
	var got []string
	for _, b := range []Baseline{
		{Variant: "base"}, {Values: map[string]json.RawMessage{"demand": one}},
		{Variant: "base", Values: map[string]json.RawMessage{"teleport": two, "demand": one}},
	} {
		got = append(got, plan.BaselineWords(b))
	}
	got = append(got, Plan{}.BaselineWords(Baseline{Variant: "base"}))
	for _, a := range []Axis{
		{Name: "demand", Set: "scale"}, {Name: "scale", Set: "scale"}, {Name: "begin", Set: "begin"},
		{Name: "teleport", Set: "option:time-to-teleport"},
		{Name: "imperfection", Set: "xml:vtypes.add.xml#vType[@id='car']/@sigma"}, {Name: "sigma", Set: "xml:vtypes.add.xml#vType/@sigma"},
	} {
		got = append(got, a.Words())
	}
	for _, a := range []Aim{
		{RelativeHalfWidth: 0.05, Max: 30},
		{RelativeHalfWidth: 0.07, Confidence: 0.58, Max: 30}, // whose products with 100 are no whole numbers
		{RelativeHalfWidth: 0.1, Confidence: 0.9, Min: 3, Max: 20, Of: ofDifference,
			Absolute: map[string]float64{"teleports": 2, "mean_time_loss": 1.5}},
	} {
		got = append(got, a.Words())
	}
	want := []string{
		"base, at the same values of all axes", "the same variant, demand 1, at the same values of the other axes",
		"base, demand 1, teleport two", "base",
		"demand (scale)", "scale", "begin (s)", "teleport (option time-to-teleport)", "imperfection (sigma)", "sigma",
		"intervals of means with a half width of 5 % of the mean, at a confidence of 95 %, with 5 to 30 runs of each point",
		"intervals of means with a half width of 7 % of the mean, at a confidence of 58 %, with 5 to 30 runs of each point",
		"intervals of differences to the baseline with a half width of 10 % of the baseline's mean, and 1.5 s of mean_time_loss, " +
			"and 2 of teleports, " +
			"at a confidence of 90 %, with 3 to 20 runs of each point",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("words (-want +got):\n%s", diff)
	}
}

func TestTheMetricThatAStudyIsMostAboutLeads(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ asked, want []string }{
		{[]string{"teleports", "mean_speed"}, []string{"teleports", "mean_speed"}},
		{[]string{"mean_speed", "teleports"}, []string{"mean_speed", "teleports"}},
		{nil, []string{"mean_travel_time", "mean_time_loss", "vehicles_loaded"}},
	} {
		d := numbers("mean_time_loss", [4][]float64{{1}, {2}, {3}, {4}})
		d.Study.Plan.Metrics = tc.asked
		for _, name := range []string{"vehicles_loaded", "mean_travel_time"} {
			d.values[name] = d.values["mean_time_loss"]
		}
		var got []string
		for _, m := range d.Metrics() {
			got = append(got, m.Name)
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%v (-want +got):\n%s", tc.asked, diff)
		}
	}
	if m, ok := simulation.MeasureOf(DefaultMetrics()[0]); !ok || m.Better != simulation.LowerIsBetter {
		t.Errorf("studies are about %v", m)
	}
}

func TestNumbersForPeopleHaveNoExponent(t *testing.T) {
	t.Parallel()
	for got, want := range map[string]string{
		Quantity(1_234_567, 0, "s"): "1234570 s", Quantity(0.000012, 0, ""): "0.000012",
		Quantity(2, 0, ""): "2", Quantity(1e6, 30, ""): "1000000",
		Percent(8.94): "890 %", Percent(2): "200 %", Percent(0.034): "3.4 %", Percent(0): "0 %", Percent(1e-7): "0.00001 %",
		ExactPercent(0.9999): "99.99 %", ExactPercent(0.07): "7 %", ExactPercent(0.0001): "0.01 %",
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
