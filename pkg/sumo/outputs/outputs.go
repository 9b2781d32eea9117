// Package outputs turns SUMO's output files into what charts and maps show: time series, distributions over trips,
// values per edge, and trajectories.
//
// Each reader takes a file as a stream, which may be compressed, and keeps a bounded amount of it, however long the run
// was. A file cut off by a stopped run gives what is there.
package outputs

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"strconv"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/gz"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/xml"
)

// Values are numbers; unknown ones are NaN here and null in JSON.
type Values []float64

// MarshalJSON writes each number in its shortest form.
func (v Values) MarshalJSON() ([]byte, error) {
	out := make([]byte, 0, 2+6*len(v))
	out = append(out, '[')
	for i, x := range v {
		if i > 0 {
			out = append(out, ',')
		}
		out = appendNumber(out, x)
	}
	return append(out, ']'), nil
}

// UnmarshalJSON reads what MarshalJSON writes.
func (v *Values) UnmarshalJSON(text []byte) error {
	var raw []*float64
	if err := json.Unmarshal(text, &raw); err != nil {
		return err
	}
	*v = make(Values, len(raw))
	for i, x := range raw {
		(*v)[i] = math.NaN()
		if x != nil {
			(*v)[i] = *x
		}
	}
	return nil
}

func appendNumber(out []byte, x float64) []byte {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return append(out, "null"...)
	}
	return strconv.AppendFloat(out, x, 'f', -1, 64)
}

// Optional is one number that may be unknown, as in Values.
type Optional float64

// MarshalJSON writes null for the unknown.
func (o Optional) MarshalJSON() ([]byte, error) { return appendNumber(nil, float64(o)), nil }

// UnmarshalJSON reads what MarshalJSON writes.
func (o *Optional) UnmarshalJSON(text []byte) error {
	if bytes.Equal(text, []byte("null")) {
		*o = Optional(math.NaN())
		return nil
	}
	return json.Unmarshal(text, (*float64)(o))
}

// ErrTooLarge is the answer to an output with more XML than was to be read.
var ErrTooLarge = errors.New("the output is too large")

// Scan passes an output, which may be compressed, to s, and reports whether it is complete. It answers ErrTooLarge once it has read more
// than most bytes of XML; 0 bounds nothing.
func Scan(r io.Reader, s *xml.Scanner, most int64) (complete bool, err error) {
	source := &watched{r: r}
	plain, err := gz.Unpack(source)
	if err == nil {
		a := newAhead(plain, most)
		err = s.Scan(a)
		a.stop()
	}
	return source.completeness(err)
}

// read passes the elements of an output to visit. It reports whether the file is complete.
func read(r io.Reader, visit func(xml.Element) error) (complete bool, err error) {
	return Scan(r, &xml.Scanner{Element: visit, Lenient: true}, 0)
}

// errFound ends a scan that has what it looks for.
var errFound = errors.New("found")

// Root returns the name of the root element of an output whose beginning r has; empty if that ends before it.
func Root(r io.Reader) (name string, err error) {
	_, err = read(r, func(e xml.Element) error {
		name = string(e.Name)
		return errFound
	})
	if errors.Is(err, errFound) {
		err = nil
	}
	return name, err
}

// completeness reports whether a file is complete whose scan ended with err.
func (w *watched) completeness(err error) (bool, error) {
	switch {
	case w.err != nil:
		return false, w.err
	case err == nil:
		return true, nil
	case xml.IsMalformed(err):
		return false, nil
	case errors.Is(err, gz.ErrExpands):
		return false, problem.Wrap(err, problem.NotFound, "Nothing is read from this output: %v. Download it from the job's results, or "+
			"have the program that wrote it leave it uncompressed.", err)
	default:
		return false, err
	}
}

// watched distinguishes a failed read from a file that ends early. It reads the file as it is stored: only then is an early end
// of what is compressed no failed read.
type watched struct {
	r   io.Reader
	err error
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		w.err = err
	}
	return n, err
}

// number reads an attribute; NaN stands for a missing one.
func number(e xml.Element, name string) float64 {
	if v, ok := e.Number(name); ok {
		return v
	}
	return math.NaN()
}

// known is v, unless it is one of SUMO's negative numbers for "none".
func known(v float64) float64 {
	if v < 0 {
		return math.NaN()
	}
	return v
}

// round keeps so many decimals: SUMO writes two.
func round(v float64, decimals int) float64 {
	p := math.Pow10(decimals)
	return math.Round(v*p) / p
}

// or0 is v, or 0 when it is unknown.
func or0(v float64) float64 {
	if math.IsNaN(v) {
		return 0
	}
	return v
}
