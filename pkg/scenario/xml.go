package scenario

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"
)

// xmlScanner reads one XML document as a stream and refuses whatever could make a parser misbehave. It is its own
// reader because encoding/xml allocates for every token: that costs minutes on the files of a large city.
//
// It is stricter than XML 1.0: no DTD of any kind, names in ASCII only, bounded depth and attribute count. Everything it
// accepts, encoding/xml accepts too (a fuzz test holds it to that).
type xmlScanner struct {
	src  io.Reader // UTF-8
	buf  []byte
	pos  int // next byte to read
	end  int // end of the bytes in buf that are known to be whole, valid UTF-8
	held int // bytes behind end that begin a rune which the next read completes
	line int
	// fail is what to report when pos reaches end.
	fail error

	maxValue int // longer attribute values are cut off and marked
	names    []byte
	open     []int // where each open element's name starts in names
	attrs    []xmlAttr
	values   []byte
	scratch  []byte
	seenRoot bool

	// element is called for each start tag. The element is valid only during the call.
	element func(xmlElement)
	// text, if not nil, is called with runs of decoded character data.
	text func([]byte)
	// closed, if not nil, is called for each end of an element.
	closed func()
}

type xmlElement struct {
	name  []byte
	attrs []xmlAttr
	depth int // 1 for the root
	line  int
}

func (e xmlElement) attr(name string) (xmlAttr, bool) {
	for _, a := range e.attrs {
		if string(a.name) == name {
			return a, true
		}
	}
	return xmlAttr{}, false
}

type xmlAttr struct {
	name, value []byte
	line        int
	cut         bool // value is only the beginning
}

const (
	// xmlWindow is large enough that refilling costs nothing, small enough to have one per upload in progress.
	xmlWindow = 64 << 10
	// maxDepth is several times what any of SUMO's formats nests.
	maxDepth = 100
	// maxAttrs and maxName are far above any of SUMO's own.
	maxAttrs = 250
	maxName  = 250
	// maxPathValue is the longest path that Linux takes; longer values of attributes can name no file.
	maxPathValue = 4096
)

// dtdError is a <!DOCTYPE or <!ENTITY: entities read files of the server or grow without bound.
type dtdError struct{ html bool }

func (dtdError) Error() string { return "document type declaration" }

// xmlError is a document that is not well formed.
type xmlError struct{ message string }

func (e xmlError) Error() string { return e.message }

func malformed(format string, args ...any) error { return xmlError{fmt.Sprintf(format, args...)} }

// Byte classes: the bytes at which a run of plain ones ends.
var endsText, endsValue, isName, isNameStart [256]bool

func init() {
	for c := range 0x20 {
		endsText[c], endsValue[c] = true, true
	}
	for _, c := range "<&]" {
		endsText[c] = true
	}
	for _, c := range "<&\"'" {
		endsValue[c] = true
	}
	endsText['\t'] = false
	for c := 'a'; c <= 'z'; c++ {
		isName[c], isName[c-'a'+'A'], isNameStart[c], isNameStart[c-'a'+'A'] = true, true, true, true
	}
	isNameStart['_'] = true
	for _, c := range "0123456789_-.:" {
		isName[c] = true
	}
}

// scan reads the document to its end. s.line is then the line of the fault, if there is one: a dtdError, an xmlError,
// or whatever reading failed with.
func (s *xmlScanner) scan() error {
	s.buf, s.line = make([]byte, xmlWindow), 1
	for {
		c, ok, err := s.content()
		switch {
		case err != nil:
			return err
		case !ok && len(s.open) > 0:
			return malformed("the file ends inside <%s>: it is incomplete", s.names[s.open[len(s.open)-1]:])
		case !ok && !s.seenRoot:
			return malformed("there is no element in it")
		case !ok:
			return nil
		}
		switch c {
		case '/':
			err = s.endTag()
		case '!':
			err = s.declaration()
		case '?':
			err = s.instruction()
		default:
			err = s.startTag(c)
		}
		if err != nil {
			return err
		}
	}
}

// fill makes more bytes available, and reports whether there are any.
func (s *xmlScanner) fill() bool {
	for s.fail == nil {
		copy(s.buf, s.buf[s.end:s.end+s.held])
		n, err := s.src.Read(s.buf[s.held:])
		chunk := s.buf[:s.held+n]
		s.pos, s.end, s.held = 0, 0, 0
		if err != nil {
			s.fail = err
		}
		whole := len(chunk)
		if err == nil { // a rune may go on in the next read
			for back := 1; back < utf8.UTFMax && back <= len(chunk); back++ {
				if c := chunk[len(chunk)-back]; utf8.RuneStart(c) {
					if !utf8.FullRune(chunk[len(chunk)-back:]) {
						whole -= back
					}
					break
				}
			}
		}
		s.end, s.held = whole, len(chunk)-whole
		if bad := invalidRune(chunk[:whole]); bad >= 0 {
			s.end, s.held = bad, 0
			if s.fail != nil && !errors.Is(s.fail, io.EOF) {
				return s.end > 0 // what broke off the reading broke the rune
			}
			s.fail = malformed("the text is not in the encoding that it claims: save the file as UTF-8")
		}
		if s.end > 0 {
			return true
		}
	}
	return false
}

// invalidRune returns the offset of the first byte that is not UTF-8 or not a character of XML, or -1.
func invalidRune(b []byte) int {
	bad := -1
	if !utf8.Valid(b) {
		for i := 0; i < len(b); {
			r, n := utf8.DecodeRune(b[i:])
			if r == utf8.RuneError && n <= 1 {
				bad = i
				break
			}
			i += n
		}
	}
	for _, c := range []string{"\uFFFE", "\uFFFF"} {
		if i := bytes.Index(b, []byte(c)); i >= 0 && (bad < 0 || i < bad) {
			bad = i
		}
	}
	return bad
}

// next returns the next byte, or an error at the end. All line ends become '\n'.
func (s *xmlScanner) next() (byte, error) {
	if s.pos == s.end && !s.fill() {
		return 0, s.ended()
	}
	c := s.buf[s.pos]
	s.pos++
	if c >= ' ' {
		return c, nil
	}
	switch c {
	case '\t':
	case '\r': // alone or followed by '\n', it is one line end (XML 1.0, 2.11)
		if (s.pos < s.end || s.fill()) && s.buf[s.pos] == '\n' {
			s.pos++
		}
		c = '\n'
		s.line++
	case '\n':
		s.line++
	default:
		return 0, malformed("there is a control character (0x%02x)", c)
	}
	return c, nil
}

func (s *xmlScanner) ended() error {
	if errors.Is(s.fail, io.EOF) {
		return malformed("the file ends in the middle of a tag: it is incomplete")
	}
	return s.fail
}

// content reads character data up to and with the next '<', and returns the byte behind it; ok is false at a proper end
// of the file.
func (s *xmlScanner) content() (c byte, ok bool, err error) {
	brackets := 0 // the number of ']' just read
	for {
		if s.pos == s.end && !s.fill() {
			if errors.Is(s.fail, io.EOF) {
				return 0, false, nil
			}
			return 0, false, s.fail
		}
		run := s.buf[s.pos:s.end]
		i := 0
		for i < len(run) && !endsText[run[i]] {
			i++
		}
		if i > 0 {
			if brackets >= 2 && run[0] == '>' {
				return 0, false, malformed("']]>' stands in the text; write ']]&gt;'")
			}
			brackets = 0
			if err := s.characters(run[:i]); err != nil {
				return 0, false, err
			}
			s.pos += i
			continue
		}
		c, err := s.next()
		if err != nil {
			return 0, false, err
		}
		switch c {
		case '<':
			c, err = s.next()
			return c, true, err
		case '&':
			brackets = 0
			var r [utf8.UTFMax]byte
			out, err := s.reference(r[:0])
			if err != nil {
				return 0, false, err
			}
			if len(s.open) == 0 {
				return 0, false, malformed("there is text outside the root element")
			}
			if s.text != nil {
				s.text(out)
			}
			continue
		case ']':
			brackets++
		default:
			brackets = 0
		}
		if err := s.characters([]byte{c}); err != nil {
			return 0, false, err
		}
	}
}

func (s *xmlScanner) characters(run []byte) error {
	if len(s.open) == 0 && len(bytes.TrimLeft(run, " \t\r\n")) > 0 {
		if s.seenRoot {
			return malformed("there is something behind the end of the root element")
		}
		return malformed("it does not start like XML")
	}
	if s.text != nil {
		s.text(run)
	}
	return nil
}

// reference reads an entity or character reference behind its '&' and appends what it stands for.
func (s *xmlScanner) reference(out []byte) ([]byte, error) {
	var name [12]byte
	n := 0
	for {
		c, err := s.next()
		if err != nil {
			return nil, err
		}
		if c == ';' {
			break
		}
		if n == len(name) || !isName[c] && c != '#' {
			return nil, malformed("there is a bare '&'; write '&amp;'")
		}
		name[n] = c
		n++
	}
	switch text := string(name[:n]); text {
	case "amp":
		return append(out, '&'), nil
	case "lt":
		return append(out, '<'), nil
	case "gt":
		return append(out, '>'), nil
	case "quot":
		return append(out, '"'), nil
	case "apos":
		return append(out, '\''), nil
	default:
		if len(text) > 1 && text[0] == '#' {
			digits, base := text[1:], 10
			if digits[0] == 'x' {
				digits, base = digits[1:], 16
			}
			if r, err := strconv.ParseUint(digits, base, 32); err == nil && isXMLChar(rune(r)) {
				return utf8.AppendRune(out, rune(r)), nil
			}
		}
		return nil, malformed("'&%s;' is not a character; write '&amp;' for a plain '&'", text)
	}
}

func isXMLChar(r rune) bool {
	return r == '\t' || r == '\n' || r == '\r' || r >= ' ' && r <= 0xD7FF || r >= 0xE000 && r <= 0xFFFD || r >= 0x10000 && r <= utf8.MaxRune
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// name appends the name that begins with c to out, and returns it with the byte behind.
func (s *xmlScanner) name(out []byte, c byte) ([]byte, byte, error) {
	if !isNameStart[c] {
		return nil, 0, malformed("%q cannot begin a name; write '&lt;' for a plain '<'", rune(c))
	}
	start, colons := len(out), 0
	for isName[c] {
		if c == ':' {
			colons++
		}
		if out = append(out, c); len(out)-start > maxName {
			return nil, 0, malformed("a name is longer than %d characters", maxName)
		}
		var err error
		if c, err = s.next(); err != nil {
			return nil, 0, err
		}
	}
	if colons > 1 || out[len(out)-1] == ':' {
		return nil, 0, malformed("the name %q has a colon too many", out[start:])
	}
	return out, c, nil
}

// skipSpace returns the first byte that is not white space, starting with c.
func (s *xmlScanner) skipSpace(c byte) (byte, error) {
	for isSpace(c) {
		var err error
		if c, err = s.next(); err != nil {
			return 0, err
		}
	}
	return c, nil
}

func (s *xmlScanner) startTag(c byte) error {
	line := s.line
	if len(s.open) == 0 && s.seenRoot {
		return malformed("there is a second root element; a file must have one that encloses all others")
	}
	if len(s.open) == maxDepth {
		return malformed("elements are nested more than %d deep", maxDepth)
	}
	start := len(s.names)
	var err error
	if s.names, c, err = s.name(s.names, c); err != nil {
		return err
	}
	s.seenRoot = true
	s.open = append(s.open, start)
	s.attrs, s.values = s.attrs[:0], s.values[:0]
	for {
		before := c
		if c, err = s.skipSpace(c); err != nil {
			return err
		}
		if c == '>' || c == '/' {
			break
		}
		if !isSpace(before) {
			return malformed("in <%s>, a space is missing before %q", s.names[start:], rune(c))
		}
		if len(s.attrs) == maxAttrs {
			return malformed("<%s> has more than %d attributes", s.names[start:], maxAttrs)
		}
		if c, err = s.attribute(c, s.names[start:]); err != nil {
			return err
		}
	}
	s.element(xmlElement{name: s.names[start:], attrs: s.attrs, depth: len(s.open), line: line})
	if c != '/' {
		return nil
	}
	if c, err = s.next(); err != nil {
		return err
	}
	if c != '>' {
		return malformed("in <%s>, '/' is not followed by '>'", s.names[start:])
	}
	s.close()
	return nil
}

// attribute reads name="value" and returns the byte behind.
func (s *xmlScanner) attribute(c byte, element []byte) (byte, error) {
	// Names and values are collected one behind the other in s.values. Growing it moves it, but what earlier attributes
	// point to stays as it was.
	start := len(s.values)
	var err error
	a := xmlAttr{line: s.line}
	if s.values, c, err = s.name(s.values, c); err != nil {
		return 0, err
	}
	nameEnd := len(s.values)
	a.name = s.values[start:nameEnd:nameEnd]
	for _, other := range s.attrs {
		if bytes.Equal(other.name, a.name) {
			return 0, malformed("<%s> has the attribute %q twice", element, a.name)
		}
	}
	if c, err = s.skipSpace(c); err != nil {
		return 0, err
	}
	if c != '=' {
		return 0, malformed("in <%s>, the attribute %q has no value", element, a.name)
	}
	if c, err = s.next(); err != nil {
		return 0, err
	}
	quote, err := s.skipSpace(c)
	if err != nil {
		return 0, err
	}
	if quote != '"' && quote != '\'' {
		return 0, malformed("in <%s>, the value of %q is not in quotes", element, a.name)
	}
	for {
		if s.pos == s.end && !s.fill() {
			return 0, s.ended()
		}
		run := s.buf[s.pos:s.end]
		i := 0
		for i < len(run) && !endsValue[run[i]] {
			i++
		}
		if i > 0 {
			room := s.maxValue - (len(s.values) - nameEnd)
			a.cut = a.cut || i > room
			s.values = append(s.values, run[:min(i, max(room, 0))]...)
			s.pos += i
			continue
		}
		if c, err = s.next(); err != nil {
			return 0, err
		}
		switch c {
		case quote:
			a.value = s.values[nameEnd:len(s.values):len(s.values)]
			s.attrs = append(s.attrs, a)
			return s.next()
		case '<':
			return 0, malformed("in <%s>, the value of %q contains '<': a quote is missing before it, or write '&lt;'", element, a.name)
		case '&':
			if s.values, err = s.reference(s.values); err != nil {
				return 0, err
			}
		case '\n', '\t':
			s.values = append(s.values, ' ')
		default:
			s.values = append(s.values, c)
		}
		if len(s.values)-nameEnd > s.maxValue {
			a.cut = true
			s.values = s.values[:nameEnd+s.maxValue]
		}
	}
}

func (s *xmlScanner) endTag() error {
	c, err := s.next()
	if err != nil {
		return err
	}
	got, c, err := s.name(s.scratch[:0], c)
	if err != nil {
		return err
	}
	s.scratch = got
	if c, err = s.skipSpace(c); err != nil {
		return err
	}
	if c != '>' {
		return malformed("</%s is not followed by '>'", got)
	}
	if len(s.open) == 0 {
		return malformed("</%s> closes nothing", got)
	}
	if want := s.names[s.open[len(s.open)-1]:]; !bytes.Equal(got, want) {
		return malformed("</%s> stands where </%s> should close what is open", got, want)
	}
	s.close()
	return nil
}

func (s *xmlScanner) close() {
	last := len(s.open) - 1
	s.names = s.names[:s.open[last]]
	s.open = s.open[:last]
	if s.closed != nil {
		s.closed()
	}
}

// declaration reads what begins with "<!": a comment, or CDATA inside an element. Everything else is a DTD or a part of
// one.
func (s *xmlScanner) declaration() error {
	c, err := s.next()
	if err != nil {
		return err
	}
	switch {
	case c == '-':
		if c, err = s.next(); err != nil {
			return err
		}
		if c != '-' {
			return malformed("'<!-' is not followed by '-'")
		}
		return s.comment()
	case c == '[':
		for _, want := range []byte("CDATA[") {
			if c, err = s.next(); err != nil {
				return err
			}
			if c != want {
				return dtdError{}
			}
		}
		if len(s.open) == 0 {
			return malformed("there is text outside the root element")
		}
		return s.cdata()
	}
	// Only to tell a saved web page from a real DTD, so its spelling need not be checked.
	const html = "doctype html"
	head := make([]byte, 0, len(html))
	for ; err == nil && len(head) < len(html) && c != '>'; c, err = s.next() {
		head = append(head, c)
	}
	return dtdError{html: string(bytes.ToLower(head)) == html}
}

func (s *xmlScanner) comment() error {
	for dashes := 0; ; {
		c, err := s.next()
		switch {
		case err != nil:
			return err
		case dashes == 2 && c == '>':
			return nil
		case dashes == 2:
			return malformed("'--' stands inside a comment")
		case c == '-':
			dashes++
		default:
			dashes = 0
		}
	}
}

func (s *xmlScanner) cdata() error {
	held := make([]byte, 0, 3) // up to two brackets that may belong to the end, and what follows them
	for {
		c, err := s.next()
		switch {
		case err != nil:
			return err
		case c == '>' && len(held) == 2:
			return nil
		case c == ']' && len(held) < 2:
			held = append(held, c)
			continue
		}
		out := append(held, c)
		if c == ']' { // of three, the first is text
			out = out[:1]
		} else {
			held = held[:0]
		}
		if s.text != nil {
			s.text(out)
		}
	}
}

// instruction reads "<?target ... ?>". The XML declaration has been read by decodeXML before.
func (s *xmlScanner) instruction() error {
	c, err := s.next()
	if err != nil {
		return err
	}
	target, c, err := s.name(nil, c)
	if err != nil {
		return err
	}
	if bytes.EqualFold(target, []byte("xml")) {
		return malformed("'<?xml' must stand at the very beginning of the file, once")
	}
	if !isSpace(c) && c != '?' {
		return malformed("<?%s is not followed by a space", target)
	}
	for question := c == '?'; ; question = c == '?' {
		if c, err = s.next(); err != nil {
			return err
		}
		if question && c == '>' {
			return nil
		}
	}
}
