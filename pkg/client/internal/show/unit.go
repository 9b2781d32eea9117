package show

import (
	"math"

	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"github.com/sumo-k8/sumo-k8/pkg/study"
)

// Scale is how the values of a row are written: all in one unit, so that they can be compared at a glance.
type Scale struct {
	// Unit is empty for bare numbers.
	Unit string
	// per is how many of the metric's own units are one of Unit.
	per float64
}

// scales are the readable units of metrics that span many magnitudes. The web page changes units at the same values.
var scales = map[string][]struct {
	from float64 // in the metric's own unit
	Scale
}{
	"mg": {{1e9, Scale{"t", 1e9}}, {1e6, Scale{"kg", 1e6}}, {1e3, Scale{"g", 1e3}}},
	"Wh": {{1e3, Scale{"kWh", 1e3}}},
	"m":  {{1e4, Scale{"km", 1e3}}},
}

// ScaleOf is the scale for values in the given unit of a metric: the one that makes the largest readable. Nil values are unknown.
func ScaleOf(unit string, values ...*float64) Scale {
	largest := 0.0
	for _, v := range values {
		if v != nil {
			largest = max(largest, math.Abs(*v))
		}
	}
	for _, s := range scales[unit] {
		if largest >= s.from {
			return s.Scale
		}
	}
	if unit == "1" {
		unit = "" // a bare number
	}
	return Scale{unit, 1}
}

// english writes numbers with a comma between thousands.
var english = message.NewPrinter(language.English)

// Number writes counts, which are whole, without decimals, and everything else with two. Nil is a dash.
func (s Scale) Number(value *float64) string {
	if value == nil {
		return "-"
	}
	v := *value / s.per
	switch {
	case v == math.Trunc(v) && (s.Unit == "" || s.Unit == "veh" || s.Unit == "pers"):
		return english.Sprintf("%.0f", v)
	case v != 0 && math.Abs(v) < 0.01:
		return english.Sprintf("%.2g", v) // in the unit of a much larger value
	default:
		return english.Sprintf("%.2f", v)
	}
}

// Exact writes a value with as many decimals as its half width makes meaningful, which is nil for a value that has none. A nil value is
// a dash.
func (s Scale) Exact(value, half *float64) string {
	if value == nil {
		return "-"
	}
	var exactness float64
	if half != nil {
		exactness = *half / s.per
	}
	return study.Quantity(*value/s.per, exactness, "")
}
