package xml

import "testing"

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
