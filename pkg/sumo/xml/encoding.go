package xml

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"regexp"
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// sniffLength is how much of a file decides its encoding. An XML declaration is far shorter.
const sniffLength = 512

// charsets are the encodings an XML declaration may name, besides UTF-8 and UTF-16. SUMO's parser takes many more,
// including some in which a DTD does not look like one (UTF-7, EBCDIC). All of these agree with ASCII.
var charsets = map[string]encoding.Encoding{
	"us-ascii":     charmap.ISO8859_1,
	"ascii":        charmap.ISO8859_1,
	"iso-8859-1":   charmap.ISO8859_1,
	"latin1":       charmap.ISO8859_1,
	"iso-8859-2":   charmap.ISO8859_2,
	"iso-8859-15":  charmap.ISO8859_15,
	"windows-1250": charmap.Windows1250,
	"windows-1251": charmap.Windows1251,
	"windows-1252": charmap.Windows1252,
	"cp1252":       charmap.Windows1252,
}

var declaration = regexp.MustCompile(`^<\?xml[ \t\r\n]+version[ \t\r\n]*=[ \t\r\n]*(?:"1\.0"|'1\.0')` +
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
	switch family {
	case "":
		return nil, 0, ErrNotXML
	case "utf-32", "ebcdic":
		return nil, 0, malformed("the file is in %s, which is not accepted: save it as UTF-8", strings.ToUpper(family))
	case "utf-16le", "utf-16be":
		endian := unicode.LittleEndian
		if family == "utf-16be" {
			endian = unicode.BigEndian
		}
		_, _ = r.Discard(bom) // it was peeked
		r = bufio.NewReaderSize(transform.NewReader(r, unicode.UTF16(endian, unicode.IgnoreBOM).NewDecoder()), 4*sniffLength)
		if head, err = r.Peek(sniffLength); err != nil && !errors.Is(err, io.EOF) {
			return nil, 0, err
		}
	default:
		_, _ = r.Discard(bom)
		head = head[bom:]
	}
	if !bytes.HasPrefix(head, []byte("<?xml")) || len(head) > 5 && isName[head[5]] {
		return r, 0, nil
	}
	m := declaration.FindSubmatch(head)
	if m == nil {
		return nil, 0, malformed(`the XML declaration is not understood: begin the file with <?xml version="1.0" encoding="UTF-8"?>`)
	}
	lines := bytes.Count(m[0], []byte("\n"))
	name := strings.ToLower(string(m[1]) + string(m[2]))
	_, _ = r.Discard(len(m[0]))
	wide := strings.HasPrefix(family, "utf-16")
	switch {
	case name == "", name == "utf-8" && !wide, (name == "utf-16" || name == family) && wide:
		return r, lines, nil
	case charsets[name] != nil && !wide:
		return transform.NewReader(r, charsets[name].NewDecoder()), lines, nil
	case name == "utf-8", name == "utf-16", name == "utf-16le", name == "utf-16be", charsets[name] != nil:
		return nil, 0, malformed("the XML declaration says encoding %.40q but the file is not in it: save it as UTF-8", name)
	}
	return nil, 0, malformed("the encoding %.40q is not accepted: save the file as UTF-8 and say so in its first line", name)
}

// encodingFamily returns the encoding that a file's first bytes show (XML 1.0, appendix F) and the length of its byte
// order mark; "" for what cannot be XML.
func encodingFamily(head []byte) (family string, bom int) {
	has := func(prefix string) bool { return bytes.HasPrefix(head, []byte(prefix)) }
	switch {
	case has("\xFF\xFE\x00\x00"), has("\x00\x00\xFE\xFF"), has("<\x00\x00\x00"), has("\x00\x00\x00<"):
		return "utf-32", 0
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
