package xml

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
	"pgregory.net/rapid"

	"github.com/sumo-k8/sumo-k8/pkg/sumo/gz"
)

func rewritten(r io.Reader, change func(Element) []Change) (string, error) {
	var out strings.Builder
	err := Rewrite(&out, r, change)
	return out.String(), err
}

func nothing(Element) []Change { return nil }

func TestRewritingWithoutChangesIsCopying(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`<a/>`, "\uFEFF<?xml version='1.0' encoding='utf-8'?>\r\n<a b='&lt;\t&#10;\r\n'  c = \"x\"\n><!-- é --><?p i?><![CDATA[<b>]]>é\r</a >\n\n",
		"<?xml version=\"1.0\"?><a/>", "\n \n<a/>", "<?xml-stylesheet x?><a/>",
		"<a>" + strings.Repeat("<b c='é'/><!-- "+strings.Repeat("x", 1000)+" -->\r\n", 200) + "</a>",
	} {
		for name, in := range map[string]io.Reader{
			"whole": strings.NewReader(text), "byte by byte": iotest.OneByteReader(strings.NewReader(text)), "packed": bytes.NewReader(packed(text)),
		} {
			if got, err := rewritten(in, nothing); err != nil || got != text {
				t.Errorf("%s: %v\n%s", name, err, cmp.Diff(text, got))
			}
		}
	}
}

func packed(text string) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte(text))
	_ = z.Close()
	return b.Bytes()
}

func TestRewritingChangesValuesAndKeepsLines(t *testing.T) {
	t.Parallel()
	change := func(e Element) []Change {
		if string(e.Name) != "v" {
			return nil
		}
		return []Change{
			{Attribute: "depart", Value: `5 "<&>'` + "\n"}, {Attribute: "gone", Remove: true}, {Attribute: "new:er", Value: "1"},
			{Attribute: "missing", Remove: true},
		}
	}
	for in, want := range map[string]string{
		"<r>\r\n<v\r\n\tgone='1'\n depart='0' id=\"é\"/></r>": "<r>\r\n<v\n depart='5 &#34;&lt;&amp;&gt;&#39;&#xA;' id=\"é\" new:er=\"1\"/></r>",
		"<v></v>":              `<v depart="5 &#34;&lt;&amp;&gt;&#39;&#xA;" new:er="1"></v>`,
		"<v gone='1' />":       `<v depart="5 &#34;&lt;&amp;&gt;&#39;&#xA;" new:er="1" />`,
		"<r><w gone='1'/></r>": "<r><w gone='1'/></r>",
	} {
		if got, err := rewritten(strings.NewReader(in), change); err != nil || got != want {
			t.Errorf("%v (-want +got):\n%s", err, cmp.Diff(want, got))
		}
	}
}

func TestRewritingReadsEveryEncodingAndWritesUTF8(t *testing.T) {
	t.Parallel()
	latin, _ := charmap.ISO8859_1.NewEncoder().String("<?xml version=\"1.0\"\nencoding=\"ISO-8859-1\"?>\n<a b=\"é\"/>")
	wide, _ := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder().String("<a b=\"é\"/>")
	for in, want := range map[string]string{
		latin: "<?xml version=\"1.0\"\n encoding=\"UTF-8\"?>\n<a b=\"é\"/>",
		wide:  "<?xml version=\"1.0\" encoding=\"UTF-8\"?><a b=\"é\"/>",
	} {
		if got, err := rewritten(strings.NewReader(in), nothing); err != nil || got != want {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
}

func TestRewritingRefusesWhatScanningRefuses(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]any{
		"":                 nil,
		"<!DOCTYPE a><a/>": new(DTDError),
		"<a>":              new(SyntaxError),
		"<a><q:b/></a>":    new(SyntaxError),
		"<a b='" + strings.Repeat("x", maxTag+2*window) + "'/>": new(SyntaxError),
	} {
		_, err := rewritten(strings.NewReader(in), nothing)
		if err == nil || want != nil && !errors.As(err, want) {
			t.Errorf("%.20q: %v", in, err)
		}
	}
	for _, c := range []Change{
		{Attribute: "a b", Value: "1"}, {Attribute: "é", Value: "1"}, {Attribute: "a", Value: "\x00"}, {Attribute: "a", Value: "\xff"},
	} {
		if got, err := rewritten(strings.NewReader("<a/>"), func(Element) []Change { return []Change{c} }); err == nil {
			t.Errorf("%+v: %s", c, got)
		}
	}
	if err := Rewrite(failing{}, strings.NewReader("<a/>"), nothing); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("a failed write: %v", err)
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// elements are what a scan sees of a document.
func elements(t interface{ Fatal(...any) }, text string) (seen []string) {
	s := Scanner{
		Element: func(e Element) error {
			line := fmt.Sprintf("%d <%s", e.Line, e.Name)
			for _, a := range e.Attrs {
				line += fmt.Sprintf(" %s=%q", a.Name, a.Value)
			}
			seen = append(seen, line)
			return nil
		},
		Text: func(text []byte) { seen = append(seen, string(text)) },
	}
	plain, err := gz.Unpack(strings.NewReader(text))
	if err == nil {
		err = s.Scan(plain)
	}
	if err != nil {
		t.Fatal(err)
	}
	return seen
}

func TestScanningWhatWasRewrittenIsChangingWhatWasScanned(t *testing.T) {
	t.Parallel()
	escape := strings.NewReplacer("&", "&amp;", "<", "&lt;", `"`, "&quot;", "\n", "&#10;", "\t", "&#9;")
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.StringMatching(`[ -~é\n\t]{0,8}`)
		name := rapid.StringMatching(`[a-c]`)
		type element struct {
			name  string
			attrs []Change
		}
		names := func(c Change) string { return c.Attribute }
		attr := rapid.Custom(func(t *rapid.T) Change { return Change{Attribute: name.Draw(t, "name"), Value: value.Draw(t, "value")} })
		tree := rapid.SliceOf(rapid.Custom(func(t *rapid.T) element {
			return element{name.Draw(t, "element"), rapid.SliceOfDistinct(attr, names).Draw(t, "attributes")}
		})).Draw(t, "elements")
		changes := rapid.SliceOfDistinct(rapid.Custom(func(t *rapid.T) Change {
			c := attr.Draw(t, "change")
			c.Remove = rapid.Bool().Draw(t, "remove")
			return c
		}), names).Draw(t, "changes")
		write := func(changed bool) string {
			var b strings.Builder
			b.WriteString("<root>")
			for _, e := range tree {
				attrs := append([]Change(nil), e.attrs...)
				if changed && e.name == "a" {
					for _, c := range changes {
						i := indexOf(attrs, c.Attribute)
						switch {
						case i < 0 && !c.Remove:
							attrs = append(attrs, c)
						case i >= 0 && c.Remove:
							attrs = append(attrs[:i], attrs[i+1:]...)
						case i >= 0:
							attrs[i].Value = c.Value
						}
					}
				}
				b.WriteString("<" + e.name)
				for _, a := range attrs {
					b.WriteString(" " + a.Attribute + `="` + escape.Replace(a.Value) + `"`)
				}
				b.WriteString("/>")
			}
			return b.String() + "</root>"
		}
		got, err := rewritten(iotest.HalfReader(strings.NewReader(write(false))), func(e Element) []Change {
			if string(e.Name) == "a" {
				return changes
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(elements(t, write(true)), elements(t, got)); diff != "" {
			t.Fatal(diff)
		}
	})
}

func indexOf(attrs []Change, name string) int {
	for i, a := range attrs {
		if a.Attribute == name {
			return i
		}
	}
	return -1
}

// FuzzRewrite holds rewriting to scanning: both take the same documents, and values written anew scan as they did.
func FuzzRewrite(f *testing.F) {
	for _, seed := range []string{
		`<net version="1.9"><edge id="e"/></net>`, "<?xml version='1.0' encoding='latin1'?>\n<a>\xe9</a>", "\uFEFF<a b='1' c=\"&lt;\"/>", "<a\r\nb='1'/>",
		"\xff\xfe<\x00a\x00/\x00>\x00",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		plain, err := rewritten(bytes.NewReader(text), nothing)
		if scanned := Scan(bytes.NewReader(text), func(Element) error { return nil }); (scanned == nil) != (err == nil) {
			t.Fatalf("scanning: %v, rewriting: %v", scanned, err)
		}
		if err != nil {
			return
		}
		if again, err := rewritten(strings.NewReader(plain), nothing); err != nil || again != plain {
			t.Fatalf("%q is not its own copy: %v", plain, err)
		}
		if diff := cmp.Diff(elements(t, string(text)), elements(t, plain)); diff != "" {
			t.Fatal(diff)
		}
		changed, err := rewritten(bytes.NewReader(text), func(e Element) []Change {
			changes := make([]Change, len(e.Attrs))
			for i, a := range e.Attrs {
				changes[i] = Change{Attribute: string(a.Name), Value: string(a.Value)}
			}
			return changes
		})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(elements(t, plain), elements(t, changed)); diff != "" {
			t.Fatal(diff)
		}
	})
}

func BenchmarkRewrite(b *testing.B) {
	text := []byte("<routes>\n" + strings.Repeat(`    <vehicle id="v" depart="100.00"><route edges="a b c d e f g h"/></vehicle>`+"\n", 20_000) + "</routes>\n")
	for name, change := range map[string]func(Element) []Change{
		"nothing": nothing,
		"departures": func(e Element) []Change {
			if string(e.Name) != "vehicle" {
				return nil
			}
			return []Change{{Attribute: "depart", Value: "7"}}
		},
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				if err := Rewrite(io.Discard, bytes.NewReader(text), change); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
