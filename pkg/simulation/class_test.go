package simulation

import (
	"strings"
	"testing"
)

func TestMetricsByClass(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]Measure{
		"mean_time_loss":                  {Name: "mean_time_loss", Unit: "s", Better: LowerIsBetter},
		"mean_time_loss@vClass=bus":       {Name: "mean_time_loss@vClass=bus", Unit: "s", Better: LowerIsBetter},
		"mean_speed@vType=car 2@home=yes": {Name: "mean_speed@vType=car 2@home=yes", Unit: "m/s", Better: HigherIsBetter},
		"vehicles_finished@vType=a":       {Name: "vehicles_finished@vType=a", Unit: "veh", Better: HigherIsBetter},
	} {
		if got, ok := MeasureOf(name); !ok || got != want || ClassFault(name) != "" {
			t.Errorf("%s is %+v, %t, %q", name, got, ok, ClassFault(name))
		}
	}
	for name, fault := range map[string]string{
		"mean_time_loss@vClass=busses":      "names no vClass",
		"mean_time_loss@vClass=":            "names no class",
		"mean_time_loss@vType=":             "names no class",
		"mean_time_loss@vtype=a":            "names no class",
		"mean_time_loss@":                   "names no class",
		"mean_time_loss@vType=a\nb":         "names no class",
		"mean_time_loss@vType=" + long:      "names no class",
		"teleports@vClass=bus":              "those that can are vehicles_finished",
		"mean_time_loss@vClass=bus@vType=a": "names no vClass",
		"total_travel_time@vType=a":         "cannot be had by class",
		"@vClass=bus":                       "cannot be had by class",
		"unheard_of":                        "",
	} {
		if _, ok := MeasureOf(name); ok || !strings.Contains(ClassFault(name), fault) || fault == "" && ClassFault(name) != "" {
			t.Errorf("%q: %t, %q, want %q", name, ok, ClassFault(name), fault)
		}
	}
	for _, base := range TripMetrics() {
		if _, ok := MeasureOf(base); !ok {
			t.Errorf("%s is no metric", base)
		}
	}
	if m, _ := MeasureOf("mean_time_loss@vClass=bus"); m.Words() != "Mean time loss (vClass bus)" {
		t.Errorf("%q", m.Words())
	}
}

var long = strings.Repeat("a", maxType+1)
