package xml

import (
	"bytes"
	"math"
	"strconv"
)

// Number reads a number or a time as SUMO writes them: a time is seconds or, with the option human-readable-time, "00:09:42" or
// "1:00:09:42.50". ok is false for what is neither, and for infinity and NaN.
func Number(text []byte) (v float64, ok bool) {
	text = bytes.TrimSpace(text)
	if !bytes.ContainsRune(text, ':') {
		return finite(text)
	}
	plain, negative := bytes.CutPrefix(text, []byte("-"))
	parts := bytes.Split(plain, []byte(":"))
	if len(parts) < 3 || len(parts) > 4 {
		return 0, false
	}
	for i, part := range parts {
		n, ok := finite(part)
		if !ok || n < 0 {
			return 0, false
		}
		factor := 60.0
		if i == 1 && len(parts) == 4 {
			factor = 24 // hours follow days
		}
		v = v*factor + n
	}
	if negative {
		v = -v
	}
	return v, true
}

func finite(text []byte) (float64, bool) {
	v, err := strconv.ParseFloat(string(text), 64)
	return v, err == nil && !math.IsNaN(v) && !math.IsInf(v, 0)
}

// Number reads an attribute; ok is false when it is missing or no number.
func (e Element) Number(name string) (v float64, ok bool) {
	a, found := e.Lookup(name)
	if !found || a.Cut {
		return 0, false
	}
	return Number(a.Value)
}
