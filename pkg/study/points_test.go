package study

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

func raws(texts ...string) (all []json.RawMessage) {
	for _, text := range texts {
		all = append(all, json.RawMessage(text))
	}
	return all
}

func labels(p Plan) (all []string) {
	for _, at := range p.places() {
		all = append(all, Label(p.Variants[at.variant].Name, p.setting(at)))
	}
	return all
}

func TestPointsAreVariantsTimesAxesInAStableOrder(t *testing.T) {
	t.Parallel()
	p := Plan{
		Variants: []Variant{{Name: "base"}, {Name: "late"}},
		Axes:     []Axis{{Name: "a", Values: raws("1", "2")}, {Name: "b", Values: raws(`"x"`, "true")}},
	}
	for combine, want := range map[Combine][]string{
		"": {
			"base, a 1, b x", "base, a 1, b true", "base, a 2, b x", "base, a 2, b true",
			"late, a 1, b x", "late, a 1, b true", "late, a 2, b x", "late, a 2, b true",
		},
		Zip: {"base, a 1, b x", "base, a 2, b true", "late, a 1, b x", "late, a 2, b true"},
	} {
		p.Combine = combine
		if diff := cmp.Diff(want, labels(p)); diff != "" || p.count() != len(want) {
			t.Errorf("%q counts %d (-want +got):\n%s", combine, p.count(), diff)
		}
	}
	for _, combine := range []Combine{Product, Zip} {
		if got := labels(Plan{Variants: p.Variants, Combine: combine}); len(got) != 2 {
			t.Errorf("without axes there are %q", got)
		}
	}
}

// The count is made without the points, which may be more than fit in memory.
func TestHugePlansAreCountedWithoutOverflow(t *testing.T) {
	t.Parallel()
	p := Plan{Variants: make([]Variant, 1000)}
	for range MaxAxes {
		p.Axes = append(p.Axes, Axis{Values: make([]json.RawMessage, 1000)})
	}
	if n := p.count(); n <= MaxPoints {
		t.Errorf("counted %d", n)
	}
}

func TestEqualValuesAreOneHoweverTheyAreWritten(t *testing.T) {
	t.Parallel()
	for _, same := range [][2]string{{"1", "1.0"}, {"10", "1e1"}, {`"a"`, `"\u0061"`}, {" 2", "2"}} {
		if keyOf(json.RawMessage(same[0])) != keyOf(json.RawMessage(same[1])) {
			t.Errorf("%s and %s differ", same[0], same[1])
		}
	}
	if keyOf(json.RawMessage("1")) == keyOf(json.RawMessage(`"1"`)) {
		t.Error("a number is a text")
	}
	for raw, want := range map[string]string{`"a b"`: "a b", "1.20": "1.20", "-1": "-1", "true": "true", `""`: ""} {
		if text, ok := textOf(json.RawMessage(raw)); !ok || text != want {
			t.Errorf("%s is %q, %t", raw, text, ok)
		}
	}
	for _, raw := range []string{"null", "[1]", "{}", ""} {
		if text, ok := textOf(json.RawMessage(raw)); ok {
			t.Errorf("%s is taken as %q", raw, text)
		}
	}
}

func TestSeedsAreARangeOrAList(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		`"1:3"`: "[1 2 3]", `"7:7"`: "[7]", `[5, 0, 2147483647]`: "[5 0 2147483647]",
		`"3:1"`: "smaller", `"1"`: "range", `""`: "range", `"-1:2"`: "from 0", `"1:2147483648"`: "from 0", `[]`: "list", `[1.5]`: "list",
		`[1, 1]`: "twice", `[-1]`: "from 0", `"1:10001"`: "at most", `5`: "list", `null`: "range",
	} {
		seeds, err := ParseSeeds(json.RawMessage(raw))
		if got := fmt.Sprint(seeds); err == nil && got != want || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s is %v, %v, want %s", raw, seeds, err, want)
		}
	}
}

func TestAForecastKeepsWithinTheLimits(t *testing.T) {
	t.Parallel()
	ten := 10.0
	s := Study{Seeds: make([]int64, 8), MaxParallel: MaxRuns}
	one := Point{CPURequest: 1, MemoryGi: 4, CoreSeconds: &ten}
	big := Point{CPURequest: 2, MemoryGi: 4, CoreSeconds: &ten}
	half := one
	half.Counts = Counts{Succeeded: 3, Failed: 1}
	for name, tt := range map[string]struct {
		points   []Point
		parallel int
		slots    int
		want     *Forecast
	}{
		"cores":               {[]Point{one}, MaxRuns, 0, &Forecast{CoreSeconds: 40 * 2, Seconds: 20}},
		"max_parallel":        {[]Point{one}, 2, 0, &Forecast{CoreSeconds: 80, Seconds: 40}},
		"memory":              {[]Point{{CPURequest: 1, MemoryGi: 8, CoreSeconds: &ten}}, MaxRuns, 0, &Forecast{CoreSeconds: 80, Seconds: 40}},
		"two cores each":      {[]Point{big}, MaxRuns, 0, &Forecast{CoreSeconds: 80, Seconds: 20}},
		"some have ended":     {[]Point{half}, MaxRuns, 0, &Forecast{CoreSeconds: 40, Seconds: 10}},
		"slots":               {[]Point{one}, MaxRuns, 2, &Forecast{CoreSeconds: 80, Seconds: 40}},
		"slots beyond limits": {[]Point{one}, MaxRuns, 64, &Forecast{CoreSeconds: 80, Seconds: 20}},
		"one is not known":    {[]Point{one, {CPURequest: 1, MemoryGi: 4}}, MaxRuns, 0, nil},
		"nothing left":        {nil, MaxRuns, 0, &Forecast{}},
		"never below a run":   {[]Point{one}, MaxRuns, 0, &Forecast{CoreSeconds: 80, Seconds: 20}},
		"more than it needs":  {[]Point{half, half}, 1, 0, &Forecast{CoreSeconds: 80, Seconds: 80}},
	} {
		s.MaxParallel = tt.parallel
		got := Remaining(s, tt.points, Room{Limits: tenant.Limits{MaxCPU: 4, MaxMemoryGi: 16}, Slots: tt.slots})
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestMetricsOfAStudyHaveUnits(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, name := range simulation.MetricNames() {
		if simulation.UnitOf(name) == "" || seen[name] {
			t.Errorf("%s has no unit, or is there twice", name)
		}
		seen[name] = true
	}
}

func TestPlansNameMetricsByClass(t *testing.T) {
	t.Parallel()
	var f faults
	p := Plan{
		Variants: []Variant{{Name: "base", Scenario: strings.Repeat("0", 64)}},
		Metrics: []string{
			"mean_time_loss", "mean_time_loss@vClass=bus", "mean_speed@vType=car", "mean_time_loss@vClass=bus", "teleports@vClass=bus",
			"mean_speed@vClass=buss", "speed",
		},
		Replications: Replications{Until: &Aim{Max: 9, Absolute: map[string]float64{
			"teleports": 1, "mean_speed@vType=car": 1, "mean_speed@vType=truck": 1,
		}}},
	}
	p.check(&f)
	var got []string
	for _, i := range f.items {
		got = append(got, i.Location+" "+i.Message)
	}
	want := []string{"body.metrics[4] cannot be had by class", "body.metrics[5] names no vClass", "body.metrics[6] is not a metric",
		"body.replications.until.absolute.mean_speed@vType=truck is by class"}
	if len(got) != len(want) {
		t.Fatalf("%q, want %q", got, want)
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("%q, want %q", got[i], want[i])
		}
	}
	if diff := cmp.Diff([]string{"mean_time_loss@vClass=bus", "mean_speed@vType=car"}, p.byClass()); diff != "" {
		t.Errorf("by class (-want +got):\n%s", diff)
	}
}

func TestNoPointIsThereTwice(t *testing.T) {
	t.Parallel()
	over := func(name, set string, values ...string) Axis {
		return Axis{Name: name, Set: set, Values: raws(values...)}
	}
	const attribute, option = "xml:a.net.xml#phase/@duration", "option:time-to-teleport"
	for name, tc := range map[string]struct {
		combine Combine
		axes    []Axis
		want    []string // where the faults are
	}{
		"one number, twice":                 {"", []Axis{over("a", "scale", "1", "1.0")}, []string{"body.axes[0].values[1]"}},
		"a number, and its text, of a file": {"", []Axis{over("a", attribute, "42", `"42"`)}, []string{"body.axes[0].values[1]"}},
		"two texts of a number":             {"", []Axis{over("a", option, `"300"`, `"300.0"`)}, []string{"body.axes[0].values[1]"}},
		"other texts":                       {"", []Axis{over("a", option, `"300"`, `"0:05:00"`, "-1")}, nil},
		"the same steps": {Zip, []Axis{over("a", "scale", "1", "2", "1"),
			over("b", "end", "9", "9", "9.0")}, []string{"body.axes[0].values[2]"}},
		"steps that differ in one axis": {Zip, []Axis{over("a", "scale", "1", "1"),
			over("b", "end", "8", "9")}, nil},
		"steps that are not as many": {Zip, []Axis{over("a", "scale", "1", "1"),
			over("b", "end", "8")}, []string{"body.axes[1].values"}},
		"steps of a single axis, as it were": {Zip, []Axis{over("a", "scale", "1", "1")}, []string{"body.axes[0].values[1]"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var f faults
			Plan{Combine: tc.combine, Axes: tc.axes}.checkAxes(&f)
			var got []string
			for _, i := range f.all() {
				got = append(got, i.Location)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
		})
	}
}
