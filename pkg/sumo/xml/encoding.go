package xml

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/encoding/unicode/utf32"
	"golang.org/x/text/transform"
)

// sniffLength is how much of a file decides its encoding. An XML declaration is far shorter.
const sniffLength = 512

// stateful are how the names of encodings begin, by canonical, in which the meaning of a byte depends on what came long before it. SUMO's
// parser takes them, but they can hide a DTD from any other reader.
var stateful = []string{"utf7", "iso2022", "csiso2022", "hz", "scsu", "bocu", "imap"}

// charsets are the encodings of single bytes, or of bytes that begin with ASCII, that an XML declaration may name, by canonical.
var charsets = func() map[string]encoding.Encoding {
	all := map[string]encoding.Encoding{}
	for names, e := range map[string]encoding.Encoding{
		"usascii ascii iso646us ansix341968":                     charmap.ISO8859_1,
		"iso88591 iso885911987 latin1 isolatin1 l1 cp819 ibm819": charmap.ISO8859_1,
		"iso88592 latin2 l2 ibm912":                              charmap.ISO8859_2,
		"iso88593 latin3 l3 ibm913":                              charmap.ISO8859_3,
		"iso88594 latin4 l4 ibm914":                              charmap.ISO8859_4,
		"iso88595 cyrillic ibm915":                               charmap.ISO8859_5,
		"iso88596 arabic ibm1089":                                charmap.ISO8859_6,
		"iso88597 greek ibm813":                                  charmap.ISO8859_7,
		"iso88598 hebrew ibm916":                                 charmap.ISO8859_8,
		"iso88599 latin5 l5 ibm920":                              charmap.ISO8859_9,
		"iso885910 latin6 l6":                                    charmap.ISO8859_10,
		"iso885913 latin7":                                       charmap.ISO8859_13,
		"iso885914 latin8 l8":                                    charmap.ISO8859_14,
		"iso885915 latin9 ibm923":                                charmap.ISO8859_15,
		"iso885916 latin10 l10":                                  charmap.ISO8859_16,
		"windows874 cp874 tis620 iso885911":                      charmap.Windows874,
		"windows1250 cp1250":                                     charmap.Windows1250,
		"windows1251 cp1251":                                     charmap.Windows1251,
		"windows1252 cp1252":                                     charmap.Windows1252,
		"windows1253 cp1253":                                     charmap.Windows1253,
		"windows1254 cp1254":                                     charmap.Windows1254,
		"windows1255 cp1255":                                     charmap.Windows1255,
		"windows1256 cp1256":                                     charmap.Windows1256,
		"windows1257 cp1257":                                     charmap.Windows1257,
		"windows1258 cp1258":                                     charmap.Windows1258,
		"ibm437 cp437":                                           charmap.CodePage437,
		"ibm850 cp850":                                           charmap.CodePage850,
		"ibm852 cp852":                                           charmap.CodePage852,
		"ibm855 cp855":                                           charmap.CodePage855,
		"ibm858 cp858":                                           charmap.CodePage858,
		"ibm860 cp860":                                           charmap.CodePage860,
		"ibm862 cp862":                                           charmap.CodePage862,
		"ibm863 cp863":                                           charmap.CodePage863,
		"ibm865 cp865":                                           charmap.CodePage865,
		"ibm866 cp866":                                           charmap.CodePage866,
		"macintosh mac xmacroman":                                charmap.Macintosh,
		"koi8r":                                                  charmap.KOI8R,
		"koi8u":                                                  charmap.KOI8U,
		"shiftjis sjis mskanji windows31j cp932 ms932":           japanese.ShiftJIS,
		"eucjp":                              japanese.EUCJP,
		"euckr ksc56011987 cp949 windows949": korean.EUCKR,
		"gbk gb2312 cp936 windows936":        simplifiedchinese.GBK,
		"gb18030":                            simplifiedchinese.GB18030,
		"big5 big5hkscs cp950 windows950":    traditionalchinese.Big5,
	} {
		for name := range strings.FieldsSeq(names) {
			all[name] = e
		}
	}
	return all
}()

// ebcdics agree in all characters of a declaration.
var ebcdics = map[string]encoding.Encoding{
	"": charmap.CodePage037, "ibm037": charmap.CodePage037, "cp037": charmap.CodePage037, "ebcdiccpus": charmap.CodePage037,
	"ibm1047": charmap.CodePage1047, "cp1047": charmap.CodePage1047, "ibm1140": charmap.CodePage1140, "cp1140": charmap.CodePage1140,
}

// families are the names of encodings that a file's first bytes show, by canonical. In a file of single bytes, SUMO's parser takes them
// for UTF-8: programs that write XML to text first declare UTF-16.
var families = map[string]string{
	"utf16": "utf-16", "utf16le": "utf-16le", "utf16be": "utf-16be", "iso10646ucs2": "utf-16", "ucs2": "utf-16",
	"utf32": "utf-32", "utf32le": "utf-32le", "utf32be": "utf-32be", "iso10646ucs4": "utf-32", "ucs4": "utf-32",
}

// wide are the decoders of these.
var wide = map[string]encoding.Encoding{
	"utf-16le": unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM), "utf-16be": unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM),
	"utf-32le": utf32.UTF32(utf32.LittleEndian, utf32.IgnoreBOM), "utf-32be": utf32.UTF32(utf32.BigEndian, utf32.IgnoreBOM),
}

// canonical is the name of an encoding without what people write differently.
func canonical(name string) string {
	return strings.NewReplacer("-", "", "_", "", ".", "").Replace(strings.ToLower(name))
}

// In XML 1.1 more characters end a line; those are refused.
var declaration = regexp.MustCompile(`^<\?xml[ \t\r\n]+version[ \t\r\n]*=[ \t\r\n]*(?:"1\.([0-9]+)"|'1\.([0-9]+)')` +
	`(?:[ \t\r\n]+encoding[ \t\r\n]*=[ \t\r\n]*(?:"([A-Za-z][A-Za-z0-9._-]*)"|'([A-Za-z][A-Za-z0-9._-]*)'))?` +
	`(?:[ \t\r\n]+standalone[ \t\r\n]*=[ \t\r\n]*(?:"(?:yes|no)"|'(?:yes|no)'))?[ \t\r\n]*\?>`)

// ErrNotXML means that SUMO's parser would not take the file for XML at all.
var ErrNotXML = errors.New("not XML")

// decode returns the document in UTF-8 after its byte order mark and XML declaration, and the number of lines that
// these take. It answers ErrNotXML, or a SyntaxError for an encoding or declaration that is not accepted.
func decode(r *bufio.Reader) (io.Reader, int, error) {
	head, err := r.Peek(sniffLength)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, 0, err
	}
	family, bom := encodingFamily(head)
	_, _ = r.Discard(bom) // it was peeked
	switch {
	case family == "":
		return nil, 0, ErrNotXML
	case wide[family] != nil:
		r = decoded(r, wide[family], false)
		if head, err = r.Peek(sniffLength); err != nil && !errors.Is(err, io.EOF) {
			return nil, 0, err
		}
	case family == "ebcdic":
		if head, err = charmap.CodePage037.NewDecoder().Bytes(head); err != nil {
			return nil, 0, err
		}
	default:
		head = head[bom:]
	}
	if !bytes.HasPrefix(head, []byte("<?xml")) || len(head) > 5 && isName[head[5]] {
		return r, 0, nil
	}
	m := declaration.FindSubmatch(head)
	if m == nil {
		return nil, 0, refused(`the XML declaration is not understood: begin the file with <?xml version="1.0" encoding="UTF-8"?>`)
	}
	lines := bytes.Count(m[0], []byte("\n"))
	later := string(m[1])+string(m[2]) != "0"
	name := string(m[3]) + string(m[4])
	length := len(m[0])
	if family == "ebcdic" {
		length = utf8.RuneCount(m[0])
	}
	if _, err := r.Discard(length); err != nil {
		return nil, 0, err
	}
	in, err := declared(r, family, name, later)
	return in, lines, err
}

// declared returns the rest of a file of the given family, which declares that it is in the encoding called name.
func declared(r *bufio.Reader, family, name string, later bool) (io.Reader, error) {
	key := canonical(name)
	other := families[key]
	var e encoding.Encoding
	switch {
	case family == "ebcdic":
		e = ebcdics[key]
	case wide[family] != nil:
		if name == "" || other != "" && strings.HasPrefix(family, other) {
			e = encoding.Nop // it has been decoded
		}
	case key == "", key == "utf8", other != "":
		e = encoding.Nop
	default:
		e = charsets[key]
	}
	switch {
	case e == encoding.Nop && !later:
		return r, nil
	case e != nil:
		return decoded(r, e, later), nil
	case key == "utf8", other != "", charsets[key] != nil, ebcdics[key] != nil:
		return nil, refused("the XML declaration says encoding %.40q but the file is not in it: save it as UTF-8", name)
	}
	if slices.ContainsFunc(stateful, func(prefix string) bool { return strings.HasPrefix(key, prefix) }) {
		return nil, refused("the encoding %.40q is unsafe here, because it can hide a document type declaration: save the file as UTF-8 and say "+
			"so in its first line", name)
	}
	return nil, refused("the encoding %.40q is not accepted: save the file as UTF-8 and say so in its first line", name)
}

// decoded reads r in the given encoding, strictly.
func decoded(r io.Reader, e encoding.Encoding, later bool) *bufio.Reader {
	return bufio.NewReaderSize(transform.NewReader(r, transform.Chain(e.NewDecoder(), strict{later: later})), 4*sniffLength)
}

// strict passes UTF-8 on and ends at what a decoder could not decode: another decoder could go on there in another way, and see other
// elements.
type strict struct {
	transform.NopResetter
	later bool // XML 1.1 or later
}

// Transform implements transform.Transformer.
func (t strict) Transform(dst, src []byte, atEOF bool) (written, read int, err error) {
	n := min(len(dst), len(src))
	if n < len(src) {
		err = transform.ErrShortDst
	}
	last := n - 1
	for last > 0 && !utf8.RuneStart(src[last]) {
		last--
	}
	if last >= 0 && !utf8.FullRune(src[last:n]) && (err != nil || !atEOF) {
		n = last
		if err == nil {
			err = transform.ErrShortSrc
		}
	}
	bad := bytes.IndexRune(src[:n], utf8.RuneError)
	fault := refused("the text is not in the encoding that the file declares: save the file as UTF-8")
	if t.later {
		if i := bytes.IndexAny(src[:n], "\u0085\u2028"); i >= 0 && (bad < 0 || i < bad) {
			bad, fault = i, refused("there is a line separator of XML 1.1: save the file as XML 1.0")
		}
	}
	switch {
	case bad == 0:
		return 0, 0, fault
	case bad > 0: // what comes before it is good
		n, err = bad, transform.ErrShortDst
	}
	return copy(dst, src[:n]), n, err
}

// encodingFamily returns the encoding that a file's first bytes show (XML 1.0, appendix F) and the length of its byte
// order mark; "" for what cannot be XML.
func encodingFamily(head []byte) (family string, bom int) {
	has := func(prefix string) bool { return bytes.HasPrefix(head, []byte(prefix)) }
	switch {
	case has("\xFF\xFE\x00\x00"):
		return "utf-32le", 4
	case has("\x00\x00\xFE\xFF"):
		return "utf-32be", 4
	case has("<\x00\x00\x00"):
		return "utf-32le", 0
	case has("\x00\x00\x00<"):
		return "utf-32be", 0
	case has("\x4C\x6F\xA7\x94"):
		return "ebcdic", 0
	case has("\xFF\xFE"):
		return "utf-16le", 2
	case has("\xFE\xFF"):
		return "utf-16be", 2
	case has("<\x00"):
		return "utf-16le", 0
	case has("\x00<"):
		return "utf-16be", 0
	case has("\xEF\xBB\xBF"):
		bom = 3
	}
	if text := bytes.TrimLeft(head[bom:], " \t\r\n"); len(text) > 0 && text[0] == '<' {
		return "utf-8", bom
	}
	return "", 0
}
