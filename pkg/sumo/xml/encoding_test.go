package xml

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/unicode/utf32"
)

// text encodes a document, or returns it as it is.
func text(t testing.TB, e encoding.Encoding, document string) string {
	t.Helper()
	if e == nil {
		return document
	}
	out, err := e.NewEncoder().String(document)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestDocumentsInEveryEncoding(t *testing.T) {
	t.Parallel()
	declaring := func(name, value string) string {
		return `<?xml version="1.0" encoding="` + name + `"?><a v="` + value + `"/>`
	}
	for name, test := range map[string]struct {
		text string
		want string // the attribute, or what the fault says
		bad  bool
	}{
		"a name of Python's":        {text: declaring("utf8", "é"), want: "é"},
		"UTF-16 that is none":       {text: declaring("utf-16", "é"), want: "é"},
		"Latin-1 of many names":     {text: declaring("Latin_1", "\xe9"), want: "é"},
		"a page of Windows":         {text: text(t, charmap.Windows1251, declaring("cp1251", "ж")), want: "ж"},
		"a page of DOS":             {text: text(t, charmap.CodePage850, declaring("IBM850", "ß")), want: "ß"},
		"Japanese":                  {text: text(t, japanese.ShiftJIS, declaring("Shift_JIS", "表")), want: "表"},
		"UTF-32":                    {text: text(t, utf32.UTF32(utf32.LittleEndian, utf32.UseBOM), declaring("UTF-32", "é")), want: "é"},
		"UTF-32 without a mark":     {text: text(t, wide["utf-32be"], declaring("UCS-4", "é")), want: "é"},
		"EBCDIC":                    {text: text(t, charmap.CodePage1140, declaring("IBM1140", "€")), want: "€"},
		"EBCDIC of another name":    {text: text(t, charmap.CodePage037, declaring("utf-8", "e")), want: "not in it", bad: true},
		"a later version":           {text: `<?xml version="1.1"?><a v="é"/>`, want: "é"},
		"a line of a later version": {text: "<?xml version='1.1'?><a v='a\u2028b'/>", want: "line separator", bad: true},
		"bytes that are no text":    {text: declaring("Shift_JIS", "a\x81\"/><!DOCTYPE x><!--"), want: "not in the encoding", bad: true},
		"a character cut off":       {text: "<?xml version='1.1'?><a v='\xc3", want: "not in the encoding", bad: true},
		"an encoding with memory":   {text: declaring("ISO-2022-JP", "x"), want: "unsafe here", bad: true},
		"UTF-7":                     {text: declaring("UTF-7", "x"), want: "unsafe here", bad: true},
		"HZ":                        {text: declaring("HZ-GB-2312", "x"), want: "unsafe here", bad: true},
		"an unknown encoding":       {text: declaring("x-mine", "x"), want: "not accepted", bad: true},
		"a DTD in Japanese": {
			text: text(t, japanese.EUCJP, `<?xml version="1.0" encoding="EUC-JP"?><!DOCTYPE 表><表/>`),
			want: "document type", bad: true,
		},
		"a DTD in UTF-32": {text: text(t, wide["utf-32le"], "<!DOCTYPE a><a/>"), want: "document type", bad: true},
		"a DTD in EBCDIC": {
			text: text(t, charmap.CodePage1047, `<?xml version="1.0" encoding="IBM1047"?><!DOCTYPE a><a/>`),
			want: "document type", bad: true,
		},
		"UTF-8 that says otherwise":  {text: declaring("ibm037", "x"), want: "not in it", bad: true},
		"UTF-16 that says otherwise": {text: text(t, wide["utf-16le"], declaring("utf-32", "x")), want: "not in it", bad: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, src := range []io.Reader{strings.NewReader(test.text), iotest.OneByteReader(strings.NewReader(test.text))} {
				var got string
				s := Scanner{Element: func(e Element) error { got = string(e.Attr("v")); return nil }}
				err := s.Scan(src)
				switch {
				case test.bad && (!errors.As(err, new(SyntaxError)) && !errors.As(err, new(DTDError)) || !strings.Contains(err.Error(), test.want)):
					t.Errorf("got %q, %v", got, err)
				case !test.bad && (err != nil || got != test.want):
					t.Errorf("got %q, %v", got, err)
				}
			}
		})
	}
}

// Whatever a decoder makes of bytes, the reader behind it sees no character that could not be decoded.
func FuzzDecodingIsStrict(f *testing.F) {
	names := slices.Sorted(maps.Keys(charsets))
	f.Add(0, []byte("<a v='\x81\"'/>"))
	f.Fuzz(func(t *testing.T, which int, body []byte) {
		name := names[((which%len(names))+len(names))%len(names)]
		in, err := io.ReadAll(decoded(strings.NewReader(string(body)), charsets[name], false))
		if strings.ContainsRune(string(in), '\uFFFD') {
			t.Errorf("%s: %q, %v", name, in, err)
		}
		if want, whole := charsets[name].NewDecoder().Bytes(body); err == nil && (whole != nil || !bytes.Equal(want, in)) {
			t.Errorf("%s: %q is read as %q, not %q", name, body, in, want)
		}
	})
}
