package tables

import (
	"math"
	"strconv"

	"github.com/sumo-k8/sumo-k8/pkg/sumo/xml"
)

// kind is what a value can be, the narrowest first.
type kind int

const (
	missing kind = iota // empty, or None as SUMO writes for a number that there is not
	whole
	decimal
	text
)

// exact is how many digits a whole number may have to be exact as a float64 and to fit an int64.
const exact = 15

func kindOf(v []byte) kind {
	if none(v) {
		return missing
	}
	if _, decimals, ok := digits(v); ok {
		if decimals < 0 {
			return whole
		}
		return decimal
	}
	if _, err := strconv.ParseInt(string(v), 10, 64); err == nil {
		return whole
	}
	if _, ok := number(v); ok {
		return decimal
	}
	return text
}

func none(v []byte) bool { return len(v) == 0 || string(v) == "None" }

// digits reads a plain number of few digits as a whole one with so many decimals; -1 for one without a point.
func digits(v []byte) (n int64, decimals int, ok bool) {
	rest := v
	if len(rest) > 0 && rest[0] == '-' {
		rest = rest[1:]
	}
	point := -1
	for i, c := range rest {
		switch {
		case c >= '0' && c <= '9':
			n = n*10 + int64(c-'0')
		case c == '.' && point < 0:
			point = i
		default:
			return 0, 0, false
		}
		if i > exact {
			return 0, 0, false
		}
	}
	count := len(rest)
	decimals = -1
	if point >= 0 {
		count--
		decimals = len(rest) - point - 1
	}
	if count == 0 || count > exact {
		return 0, 0, false
	}
	return n, decimals, true
}

// tens are powers that a float64 has exactly.
var tens = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15}

// number reads a number, or a time as seconds. Short ones, which are nearly all, are exact as a quotient (Clinger, How to Read Floating
// Point Numbers Accurately, 1990), at a fraction of the cost of the general way.
func number(v []byte) (float64, bool) {
	if n, decimals, ok := digits(v); ok {
		f := float64(n) / tens[max(0, decimals)]
		if v[0] == '-' {
			f = -f
		}
		return f, true
	}
	if none(v) {
		return 0, false
	}
	if f, ok := xml.Number(v); ok {
		return f, true
	}
	switch f, ok := xml.Float(string(v)); {
	case !ok:
		return 0, false
	case math.IsNaN(f), math.IsInf(f, 0): // SUMO writes them where it divides by 0
		return f, true
	}
	return 0, false
}

func integer(v []byte) (int64, bool) {
	if n, decimals, ok := digits(v); ok && decimals < 0 {
		if v[0] == '-' {
			n = -n
		}
		return n, true
	}
	n, err := strconv.ParseInt(string(v), 10, 64)
	return n, err == nil
}

func boolean(v []byte) (b, ok bool) {
	switch string(v) {
	case "1", "true":
		return true, true
	case "0", "false":
		return false, true
	}
	return false, false
}
