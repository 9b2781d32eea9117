package scenario

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestXMLFaultsAreNamedWithTheirLine(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text    string
		line    int
		message string
	}{
		"nothing":                   {"", 1, "no element"},
		"only a comment":            {"<!-- x -->\n", 2, "no element"},
		"an open element":           {"<a>\n<b>\n</b>", 3, "inside <a>"},
		"an open tag":               {"<a\n", 2, "incomplete"},
		"a wrong end":               {"<a>\n<b></a>", 2, "</b> should"},
		"an end of nothing":         {"<a/>\n</a>", 2, "closes nothing"},
		"a second root":             {"<a/>\n<b/>", 2, "second root"},
		"text before the root":      {"x<a/>", 1, "does not start like XML"},
		"text behind the root":      {"<a/>\n\nx", 3, "behind the end"},
		"a reference outside":       {"<a/>&amp;", 1, "outside the root"},
		"CDATA outside":             {"<a/><![CDATA[x]]>", 1, "outside the root"},
		"an attribute twice":        {"<a b='1'\nb='2'/>", 2, "twice"},
		"no value":                  {"<a b/>", 1, "has no value"},
		"no quotes":                 {"<a b=1/>", 1, "not in quotes"},
		"a quote missing":           {"<a b='1>\n<c d='2'/></a>", 2, "a quote is missing"},
		"no space":                  {"<a b='1'c='2'/>", 1, "a space is missing"},
		"a slash too early":         {"<a / b='1'>", 1, "not followed by '>'"},
		"a bare ampersand":          {"<a>x & y</a>", 1, "write '&amp;'"},
		"a bare ampersand in a tag": {"<a b='x&y'/>", 1, "write '&amp;'"},
		"an unknown entity":         {"<a>&auml;</a>", 1, "'&auml;'"},
		"an impossible character":   {"<a>&#0;</a>", 1, "'&#0;'"},
		"a control character":       {"<a>\n\x01</a>", 2, "0x01"},
		"a bare less-than":          {"<a>1 < 2</a>", 1, "write '&lt;'"},
		"an end of CDATA":           {"<a>]]></a>", 1, "]]&gt;"},
		"a comment with dashes":     {"<a><!-- x -- y --></a>", 1, "inside a comment"},
		"half a comment":            {"<a><!- x></a>", 1, "'<!-'"},
		"a late declaration":        {"<a/>\n<?xml version='1.0'?>", 2, "very beginning"},
		"an end with attributes":    {"<a></a b='1'>", 1, "not followed by '>'"},
		"two colons":                {"<a:b:c/>", 1, "colon too many"},
		"a long name":               {"<" + strings.Repeat("a", 300) + "/>", 1, "longer than"},
		"many attributes":           {"<a" + manyAttributes(300) + "/>", 1, "more than 250 attributes"},
		"deep nesting":              {strings.Repeat("<a>\n", 200), 101, "more than 100 deep"},
		"bad UTF-8":                 {"<a>\n\n\xff</a>", 3, "save the file as UTF-8"},
		"a rune cut off":            {"<a>\n\xe2\x82", 2, "save the file as UTF-8"},
		"no character":              {"<a>\uFFFE</a>", 1, "save the file as UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// Whether the text comes in one piece or byte by byte must make no difference.
			for _, src := range []io.Reader{strings.NewReader(test.text), iotest.OneByteReader(strings.NewReader(test.text))} {
				s := &xmlScanner{src: src, maxValue: maxPathValue, element: func(xmlElement) {}}
				err := s.scan()
				if !errors.As(err, new(xmlError)) || !strings.Contains(err.Error(), test.message) || s.line != test.line {
					t.Errorf("line %d: %v", s.line, err)
				}
			}
		})
	}
}

func manyAttributes(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, " a%d='1'", i)
	}
	return b.String()
}

func TestLongValuesAreCut(t *testing.T) {
	t.Parallel()
	for _, length := range []int{9, 10, 11, 200_000} {
		value := strings.Repeat("x", length)
		s := &xmlScanner{src: strings.NewReader("<a b='" + value + "'/>"), maxValue: 10}
		s.element = func(e xmlElement) {
			if a, _ := e.attr("b"); a.cut != (length > 10) || string(a.value) != value[:min(length, 10)] {
				t.Errorf("of %d: cut %v, %d bytes", length, a.cut, len(a.value))
			}
		}
		if err := s.scan(); err != nil {
			t.Error(err)
		}
	}
}

func BenchmarkXML(b *testing.B) {
	var text bytes.Buffer
	text.WriteString("<routes>\n")
	for i := range 50_000 {
		fmt.Fprintf(&text, "    <vehicle id=\"veh%d\" type=\"DEFAULT_VEHTYPE\" depart=\"%d.00\" departLane=\"best\">\n        <route edges=\"%s\"/>\n    </vehicle>\n",
			i, i, strings.Repeat("edge#12 -edge#13 ", 12))
	}
	text.WriteString("</routes>\n")
	b.SetBytes(int64(text.Len()))
	b.ReportAllocs()
	for b.Loop() {
		budget := memoryBudget
		doc, err := readDocument(&xmlScanner{src: bytes.NewReader(text.Bytes())}, 0, false, &budget)
		if err != nil || doc.root != "routes" {
			b.Fatal(doc, err)
		}
	}
}

// BenchmarkInspect reads a scenario from an object store, as an upload does; B/op bounds its memory from above.
func BenchmarkInspect(b *testing.B) {
	var text strings.Builder
	text.WriteString("<routes>\n")
	for i := range 500_000 {
		fmt.Fprintf(&text, "<vehicle id=\"veh%d\" depart=\"%d.00\"><route edges=\"%d -%d %d\"/></vehicle>\n", i, i, i*7, i*11, i*13)
	}
	text.WriteString("</routes>\n")
	data := scenarioOf(b, "", entryOf("r.rou.xml", text.String()))
	store := &objects{data: map[string][]byte{"k": data}}
	b.SetBytes(int64(text.Len()))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Inspect(b.Context(), NewReaderAt(b.Context(), store, "k", int64(len(data))), int64(len(data)), DefaultLimits()); err != nil {
			b.Fatal(err)
		}
	}
}
