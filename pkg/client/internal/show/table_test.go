package show

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

func TestNumbersAreGroupedByThousands(t *testing.T) {
	t.Parallel()
	got := fmt.Sprint(Number(0, ""), Number(999, ""), Number(1000, ""), Number(-1234567.89, "s"), Number(-12, ""))
	if want := fmt.Sprint("0", "999", "1,000", "-1,234,567.89", "-12"); got != want {
		t.Errorf("got %q, want %q", got, want)
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
