package outputs

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

// columnsOf writes an edgedata output as edge columns and reads these again, by attribute.
func columnsOf(t testing.TB, edgedata string) (*EdgeColumns, map[string][][]float64) {
	t.Helper()
	var file bytes.Buffer
	if err := WriteEdgeColumns(&file, strings.NewReader(edgedata)); err != nil {
		t.Fatal(err)
	}
	all := file.Bytes()
	c, err := ReadEdgeColumns(&file)
	if err != nil {
		t.Fatal(err)
	}
	values := map[string][][]float64{}
	for _, a := range c.Attributes {
		offset, length, ok := c.Column(a.Name)
		if !ok {
			t.Fatalf("no column of %s", a.Name)
		}
		if values[a.Name], err = c.Values(bytes.NewReader(all[offset : offset+length])); err != nil {
			t.Fatalf("%s: %v", a.Name, err)
		}
	}
	return c, values
}

func TestEdgeColumnsHaveTheNumbersOfTheOutput(t *testing.T) {
	t.Parallel()
	c, got := columnsOf(t, `<meandata>
		<interval begin="0.00" end="60.00" id="one">
			<edge id="AB" speed="13.87" entered="3" huge="1e+300"/>
			<edge id="BC" speed="0.1" small="-0.000000123"/>
		</interval>
		<interval begin="0.00" end="60.00" id="two"><edge id="ZZ" speed="99"/></interval>
		<interval begin="60.00" end="75.50" id="one">
			<edge id="CD" speed="-1.5" late="7" small="0.1234567890123" text="none"/>
			<edge id="AB" speed="9007199254740993.25" entered="18446744073709551615"/>
		</interval>
	</meandata>`)
	nan := math.NaN()
	want := map[string][][]float64{
		"speed":   {{13.87, 0.1}, {9007199254740993.25, nan, -1.5}},
		"entered": {{3, nan}, {18446744073709551615, nan, nan}},
		"huge":    {{1e300, nan}, {nan, nan, nan}},
		"small":   {{nan, -0.000000123}, {nan, nan, 0.1234567890123}},
		"late":    {{nan, nan}, {nan, nan, 7}},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateNaNs()); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"AB", "BC", "CD"}, c.Edges); diff != "" {
		t.Errorf("edges (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]edgeInterval{{0, 60, 2}, {60, 75.5, 3}}, c.Intervals); diff != "" {
		t.Errorf("intervals (-want +got):\n%s", diff)
	}
}

// Two decimals, as SUMO writes, are exact: differences of equal numbers are equal.
func TestEdgeColumnsKeepDecimalsExactly(t *testing.T) {
	t.Parallel()
	var s strings.Builder
	s.WriteString(`<meandata><interval begin="0" end="1">`)
	for i := range 20_000 {
		fmt.Fprintf(&s, `<edge id="e%d" speed="%d.%02d"/>`, i, i*i, i%100)
	}
	s.WriteString(`</interval></meandata>`)
	_, got := columnsOf(t, s.String())
	for i, v := range got["speed"][0] {
		var want float64
		if _, err := fmt.Sscanf(fmt.Sprintf("%d.%02d", i*i, i%100), "%g", &want); err != nil || v != want {
			t.Fatalf("%g, want %g", v, want)
		}
	}
}

func TestOutputsWithoutEdgeColumns(t *testing.T) {
	t.Parallel()
	many := &document{head: "<meandata>", tail: "</meandata>", pieces: 11, piece: func(i int) string {
		var s strings.Builder
		fmt.Fprintf(&s, `<interval begin="%d" end="%d">`, i, i+1)
		for e := range 100_000 {
			fmt.Fprintf(&s, `<edge id="%d" speed="1"/>`, e)
		}
		return s.String() + "</interval>"
	}}
	for name, tc := range map[string]struct {
		text io.Reader
		want string
	}{
		"cut off":       {strings.NewReader(`<meandata><interval begin="0" end="1"><edge id="a"`), "cut off"},
		"no times":      {strings.NewReader(`<meandata><interval><edge id="a"/></interval></meandata>`), "no begin"},
		"too many":      {many, "more than 1000000 values"},
		"no XML at all": {strings.NewReader("begin;end\n0;1\n"), "cut off"},
	} {
		if err := WriteEdgeColumns(io.Discard, tc.text); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOtherFilesAreNoEdgeColumns(t *testing.T) {
	t.Parallel()
	var file bytes.Buffer
	small := `<meandata><interval begin="0" end="1"><edge id="a" speed="1"/></interval></meandata>`
	if err := WriteEdgeColumns(&file, strings.NewReader(small)); err != nil {
		t.Fatal(err)
	}
	whole := file.Bytes()
	for n := range whole {
		c, err := ReadEdgeColumns(bytes.NewReader(whole[:n]))
		if err != nil {
			continue
		}
		offset, _, _ := c.Column("speed")
		if _, err := c.Values(bytes.NewReader(whole[offset:n])); err == nil {
			t.Fatalf("%d of %d bytes are read as a whole", n, len(whole))
		}
	}
	if _, err := ReadEdgeColumns(strings.NewReader("<additional/>")); err == nil {
		t.Error("XML is read as edge columns")
	}
}

// FuzzEdgeColumns reads what was not written by this package, whose results can have any name.
func FuzzEdgeColumns(f *testing.F) {
	var file bytes.Buffer
	if err := WriteEdgeColumns(&file, strings.NewReader(
		`<meandata><interval begin="0" end="1"><edge id="a" speed="1.25"/><edge id="b" speed="1e99"/></interval></meandata>`)); err != nil {
		f.Fatal(err)
	}
	f.Add(file.Bytes())
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := ReadEdgeColumns(bytes.NewReader(text))
		if err != nil {
			return
		}
		for _, a := range c.Attributes {
			offset, length, ok := c.Column(a.Name)
			if !ok || offset > int64(len(text)) {
				continue
			}
			values, err := c.Values(io.LimitReader(bytes.NewReader(text[offset:]), length))
			if err == nil && len(values) != len(c.Intervals) {
				t.Errorf("%d rows of %d intervals", len(values), len(c.Intervals))
			}
		}
	})
}

func TestIDsOfEdgesTakeABoundedPartOfColumns(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for i := range maxIDs>>20 + 1 {
		fmt.Fprintf(&b, `<edge id="%d%s" speed="1"/>`, i, strings.Repeat("x", 1<<20-10))
	}
	err := WriteEdgeColumns(io.Discard, strings.NewReader(`<meandata><interval begin="0" end="1">`+b.String()+"</interval></meandata>"))
	if problem.CodeOf(err) != problem.TooLarge {
		t.Errorf("%v", err)
	}
}
