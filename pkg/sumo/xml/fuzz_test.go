package xml

import (
	"bytes"
	stdxml "encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

// FuzzScanner holds the scanner to encoding/xml: what it accepts, that accepts too, with the same elements, attributes and
// text.
func FuzzScanner(f *testing.F) {
	for _, seed := range []string{
		`<net version="1.9"><edge id="e"/></net>`, "<?xml version='1.0' encoding='UTF-8'?>\n<a>x</a>", `<a b='1' c="&lt;&#x41;&#10;"/>`,
		"<a><!-- x --><?p i?><![CDATA[x]]>]]&gt;</a>", "<a:b x:y='1'></a:b>",
		"<a>\r\n<b c='\t\n'/></a >", "<é/>", "<a b='\u20ac'>\u20ac</a>", "<a>]]></a>", "<a><b></a></b>",
		"<!DOCTYPE a><a/>", "<a/><b/>", "<a>&#xFFFE;</a>", "<a b='1'c='2'/>", "<a><![CDATA[]]]></a>", "<a><![CDATA[a]]b]]]]></a>",
		"<a/>\n\x00<b>",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var got strings.Builder
		s := Scanner{
			Element: func(e Element) error {
				got.WriteString("<" + string(e.Name))
				for _, a := range e.Attrs {
					got.WriteString(" " + string(a.Name) + "=" + string(a.Value))
				}
				return nil
			},
			Text:     func(b []byte) { got.Write(b) },
			End:      func(name []byte) { got.WriteString("</" + string(name) + ">") },
			MaxValue: len(text),
		}
		if err := s.scan(bytes.NewReader(text), 1); err != nil {
			return
		}
		text, _, _ = bytes.Cut(text, []byte{0}) // the end, as anywhere else it is refused
		var want strings.Builder
		d := stdxml.NewDecoder(bytes.NewReader(text))
		for {
			token, err := d.RawToken()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil && strings.Contains(err.Error(), "invalid XML name") && bytes.ContainsFunc(text, func(r rune) bool { return r > 'z' }) {
				return // the fifth edition has more names
			}
			if err != nil {
				t.Fatalf("accepted, but encoding/xml says: %v", err)
			}
			switch token := token.(type) {
			case stdxml.StartElement:
				want.WriteString("<" + qualified(token.Name))
				for _, a := range token.Attr {
					want.WriteString(" " + qualified(a.Name) + "=" + a.Value)
				}
			case stdxml.EndElement:
				want.WriteString("</" + qualified(token.Name) + ">")
			case stdxml.CharData:
				want.Write(token)
			}
		}
		if plain(got.String()) != plain(want.String()) {
			t.Errorf("got  %q\nwant %q", got.String(), want.String())
		}
	})
}

func qualified(n stdxml.Name) string {
	if n.Space != "" {
		return n.Space + ":" + n.Local
	}
	return n.Local
}

// plain drops white space, which the two normalise differently and no option or file name depends on.
func plain(text string) string {
	return strings.NewReplacer("\r", "", "\n", "", "\t", "", " ", "").Replace(text)
}
