package xml

import (
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
		"text behind the root":      {"<a/>\n\nx", 3, "after the end"},
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
		"a zero inside":             {"<a>\n\x00</a>", 2, "0x00"},
		"a zero before":             {"\x00<a/>", 1, "0x00"},
		"text before zeros":         {"<a/>\nx\x00", 2, "after the end"},
		"a bare less-than":          {"<a>1 < 2</a>", 1, "write '&lt;'"},
		"an end of CDATA":           {"<a>]]></a>", 1, "]]&gt;"},
		"a comment with dashes":     {"<a><!-- x -- y --></a>", 1, "inside a comment"},
		"half a comment":            {"<a><!- x></a>", 1, "'<!-'"},
		"a late declaration":        {"<a/>\n<?xml version='1.0'?>", 2, "very beginning"},
		"an end with attributes":    {"<a></a b='1'>", 1, "not followed by '>'"},
		"two colons":                {"<a:b:c/>", 1, "too many colons"},
		"a name of no letters":      {"<\u00d7/>", 1, "cannot stand there"},
		"a name with a late accent": {"<\u0301a/>", 1, "cannot stand there"},
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
				var s Scanner
				err := s.scan(src, 1)
				if !errors.As(err, new(SyntaxError)) || !strings.Contains(err.Error(), test.message) || s.Line() != test.line {
					t.Errorf("line %d: %v", s.Line(), err)
				}
			}
		})
	}
}

// TestAZeroBehindTheRootIsTheEnd has files that were padded with zeros: SUMO takes the first for the end of the file.
func TestAZeroBehindTheRootIsTheEnd(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"<a/>\x00", "<a></a>\n <!-- x -->\x00\x00\x00", "<a/>\x00<b>&x;<!DOCTYPE y>\x01\xff"} {
		for _, src := range []io.Reader{strings.NewReader(text), iotest.OneByteReader(strings.NewReader(text))} {
			var seen []string
			s := Scanner{Element: func(e Element) error { seen = append(seen, string(e.Name)); return nil }}
			if err := s.Scan(src); err != nil || len(seen) != 1 {
				t.Errorf("%q: %q, %v", text, seen, err)
			}
		}
	}
}

func TestFaultsThatOtherParsersMayNotFindAreMarked(t *testing.T) {
	t.Parallel()
	for text, own := range map[string]bool{
		"<a></b>": false, "<a": false, "<a>&x;</a>": false, "<a>&#1;</a>": true, "<a>\xff</a>": true, "<a" + manyAttributes(300) + "/>": true,
		"<?xml version='1.0' encoding='UTF-7'?><a/>": true, strings.Repeat("<a>", 200): true, "<" + strings.Repeat("a", 300): true,
	} {
		var s Scanner
		fault, ok := errors.AsType[SyntaxError](s.Scan(strings.NewReader(text)))
		if !ok || fault.Own() != own {
			t.Errorf("%.40s: %v, own %t", text, fault, fault.Own())
		}
	}
}

func TestNamesAreInAnyScript(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"größe", "数据", "a·b", "x:größe", "_é", "가", "a\u0301", "😀", strings.Repeat("é", 125)} {
		text := "<" + name + " " + name + "='1'></" + name + ">"
		for _, src := range []io.Reader{strings.NewReader(text), iotest.OneByteReader(strings.NewReader(text))} {
			got := ""
			s := Scanner{Element: func(e Element) error { got = string(e.Name) + string(e.Attr(name)); return nil }}
			if err := s.Scan(src); err != nil || got != name+"1" {
				t.Errorf("%s is read as %s: %v", name, got, err)
			}
		}
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
		s := Scanner{MaxValue: 10, Element: func(e Element) error {
			if a, _ := e.Lookup("b"); a.Cut != (length > 10) || string(a.Value) != value[:min(length, 10)] {
				t.Errorf("of %d: cut %v, %d bytes", length, a.Cut, len(a.Value))
			}
			return nil
		}}
		if err := s.Scan(strings.NewReader("<a b='" + value + "'/>")); err != nil {
			t.Error(err)
		}
	}
}

func TestScanningEndsWhereItsReaderHasEnough(t *testing.T) {
	t.Parallel()
	enough := errors.New("enough")
	file := "<net>" + strings.Repeat("<edge/>", 100_000) + "</net>"
	seen := 0
	err := Scan(strings.NewReader(file), func(Element) error {
		if seen++; seen == 10 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || seen != 10 || IsMalformed(err) {
		t.Errorf("after %d elements: %v", seen, err)
	}
	if err := Scan(strings.NewReader(file[:len(file)-9]), func(Element) error { return nil }); !IsMalformed(err) {
		t.Errorf("a file without its end gave %v", err)
	}
}
