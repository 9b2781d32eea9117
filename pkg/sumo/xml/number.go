package xml

import (
	"bytes"
	"math"
	"strconv"
	"strings"
)

// cBlanks are what C's functions skip before a number.
const cBlanks = " \t\n\r\v\f"

// Int reads a whole number of at most so many bits as SUMO does.
func Int(text string, bits int) (n int64, ok bool) {
	n, err := strconv.ParseInt(strings.TrimLeft(text, cBlanks), 10, bits)
	return n, err == nil
}

// Float reads a number as SUMO does, with C's strtod: unlike Go's, it takes hexadecimals without an exponent, and no underscores.
func Float(text string) (v float64, ok bool) {
	text = strings.TrimLeft(text, cBlanks)
	v, err := strconv.ParseFloat(text, 64)
	if err != nil && strings.ContainsAny(text, "xX") && !strings.ContainsAny(text, "pP") {
		v, err = strconv.ParseFloat(text+"p0", 64)
	}
	return v, err == nil && strings.IndexByte(text, '_') < 0
}

// maxTime in seconds is the longest time for SUMO, which counts milliseconds in 63 bits.
const maxTime = 9.2e15

// Time reads a time as SUMO does: seconds, or [days:]hours:minutes:seconds. Each of these may have a sign, which holds for it alone.
func Time(text string) (seconds float64, ok bool) {
	parts := []string{text}
	if strings.IndexByte(text, ':') >= 0 {
		parts = strings.Split(text, ":")
	}
	if len(parts) == 2 || len(parts) > 4 {
		return 0, false
	}
	for i, part := range parts {
		n, ok := Float(part)
		if !ok {
			return 0, false
		}
		factor := 60.0
		if i == 1 && len(parts) == 4 {
			factor = 24 // hours follow days
		}
		seconds = seconds*factor + n
	}
	return seconds, math.Abs(seconds) <= maxTime // false for NaN
}

// Number reads a number or a time as SUMO writes them: a time is seconds or, with the option human-readable-time, "00:09:42" or
// "1:00:09:42.50", with one sign for all of it. ok is false for what is neither, and for infinity and NaN.
func Number(text []byte) (v float64, ok bool) {
	text = bytes.TrimSpace(text)
	if bytes.IndexByte(text, ':') < 0 {
		v, ok = Float(string(text))
		return v, ok && !math.IsNaN(v) && !math.IsInf(v, 0)
	}
	plain, negative := bytes.CutPrefix(text, []byte("-"))
	if bytes.ContainsAny(plain, "+-") {
		return 0, false
	}
	if v, ok = Time(string(plain)); negative {
		v = -v
	}
	return v, ok
}

// Number reads an attribute; ok is false when it is missing or no number.
func (e Element) Number(name string) (v float64, ok bool) {
	a, found := e.Lookup(name)
	if !found || a.Cut {
		return 0, false
	}
	return Number(a.Value)
}
