package xml

import (
	"math"
	"testing"
)

func TestNumbersAndTimesAsSUMOWritesThem(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]float64{
		"584.00": 584, "\t-1\n": -1, "1e-3": 1e-3, "00:09:44": 584, "-00:00:01": -1, "00:01:02.30": 62.3, "2:01:00:00": 49 * 3600,
	} {
		if got, ok := Number([]byte(text)); !ok || got != want {
			t.Errorf("%q: %v, %v, want %v", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "x", "NaN", "inf", "1:2", "1:2:3:4:5", "::", "00:-1:00", "1e999", "00:00:NaN"} {
		if got, ok := Number([]byte(text)); ok {
			t.Errorf("%q is %v", text, got)
		}
	}
}

// What SUMO makes of these, package scenario asks it.
func TestNumbersAndTimesAsSUMOReadsThem(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]float64{
		"1": 1, " \v1": 1, "0x1p1": 2, "0x10": 16, "-5": -5, "1e15": 1e15, "-0:0:10": 10, "0:0:-10": -10, "1:-1:1": 3541, "1:0:0:0": 86400,
		"1.5:0:0": 5400, "0: 0:1e1": 10,
	} {
		if got, ok := Time(text); !ok || got != want {
			t.Errorf("%q: %v, %v, want %v", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "1 ", "1_0", "0x1_0", "1:2", "0::1", ":0:1", "0:0:1 ", "1e16", "inf", "nan", "1:2:3:4:5", "1e13:0:0:0"} {
		if got, ok := Time(text); ok {
			t.Errorf("%q is %v", text, got)
		}
	}
	if got, ok := Float("-inf"); !ok || !math.IsInf(got, -1) {
		t.Errorf("minus infinity is %v, %v", got, ok)
	}
	for text, ok := range map[string]bool{"7": true, " -7": true, "7.0": false, "0x7": false, "2147483648": false, "7 ": false} {
		if _, got := Int(text, 32); got != ok {
			t.Errorf("%q as a whole number: %t", text, got)
		}
	}
}
