package show

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

func TestNumbersAreGroupedByThousands(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		unit  string
		value float64
		want  string
	}{
		{"1", 0, "0"}, {"1", 999, "999"}, {"1", 1000, "1,000"}, {"veh", -12, "-12"}, {"1", 0.5, "0.50"}, {"s", -1234567.89, "-1,234,567.89"},
	} {
		if got := ScaleOf(c.unit, &c.value).Number(&c.value); got != c.want {
			t.Errorf("%v %s is %q, want %q", c.value, c.unit, got, c.want)
		}
	}
}

// The values at which units change are those of the page, functions/page/src/format.ts.
func TestAUnitSuitsTheLargestValueOfItsRow(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		unit   string
		values []float64
		want   string
	}{
		{"mg", []float64{999}, "mg 999.00"}, {"mg", []float64{1e3}, "g 1.00"}, {"mg", []float64{999_999}, "g 1,000.00"},
		{"mg", []float64{-1e6}, "kg -1.00"}, {"mg", []float64{1.5e9}, "t 1.50"}, {"mg", []float64{12.5e6, 250, 0}, "kg 12.50 0.00025 0.00"},
		{"Wh", []float64{999, 500}, "Wh 999.00 500.00"}, {"Wh", []float64{1500}, "kWh 1.50"},
		{"m", []float64{9999}, "m 9,999.00"}, {"m", []float64{10_000}, "km 10.00"}, {"m/s", []float64{20_000}, "m/s 20,000.00"},
		{"1", []float64{3e9}, " 3,000,000,000"},
	} {
		values := []*float64{nil}
		for i := range c.values {
			values = append(values, &c.values[i])
		}
		scale := ScaleOf(c.unit, values...)
		got := []string{scale.Unit}
		for _, v := range values[1:] {
			got = append(got, scale.Number(v))
		}
		if diff := cmp.Diff(c.want, strings.Join(got, " ")); diff != "" || scale.Number(nil) != "-" {
			t.Errorf("%v %s (-want +got):\n%s", c.values, c.unit, diff)
		}
	}
}

func TestMetricsStandSideBySide(t *testing.T) {
	t.Parallel()
	runs := []Column{
		{"short", &simulation.Summary{Metrics: []simulation.Metric{{Name: "vehicles_inserted", Value: 1530, Unit: "veh"},
			{Name: "emergency_stops", Value: 2, Unit: "1"}}}},
		{"a longer one", &simulation.Summary{Metrics: []simulation.Metric{{Name: "mean_speed", Value: 8.4567, Unit: "m/s"}}}},
		{"none", nil},
	}
	var b strings.Builder
	Metrics(&b, runs, true)
	want := `                         unit  short  a longer one  none
--------------------------------------------------------
vehicles inserted        veh   1,530             -     -
mean speed of the trips  m/s       -          8.46     -
emergency stops                    2             -     -
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
	b.Reset()
	Metrics(&b, runs, false)
	if strings.Contains(b.String(), "emergency") {
		t.Errorf("a metric that was not asked for:\n%s", &b)
	}
}

func TestColumnsAreAlignedAsTheyAreSeen(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	Table(&b, [][]string{{"NAME", "STATUS"}, {"Straße 🚦", "RUNNING"}, {"交通", "FAILED"}, {"e\u0301te\u0301", ""}})
	// The signal and each of 交通 are as wide as two letters.
	want := "NAME       STATUS\nStraße 🚦  RUNNING\n交通       FAILED\ne\u0301te\u0301        \n"
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}
