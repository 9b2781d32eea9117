package xml

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sumo-k8/sumo-k8/pkg/sumo/gz"
)

// Scanner reads one document as a stream, and calls its functions in the order of the document. Any of them may be nil. A Scanner
// is used once.
type Scanner struct {
	// Element is called for each start tag. Its error ends the scan, which returns it.
	Element func(Element) error
	// Text is called with runs of decoded character data, which are valid only during the call.
	Text func([]byte)
	// End is called for each end of an element, <empty/> ones included. The name is valid only during the call.
	End func(name []byte)
	// MaxValue is how many bytes are kept of an attribute's value: longer ones are cut and marked. 0 stands for 1 MiB, the shape of
	// an edge with 50,000 points.
	MaxValue int
	// Lenient takes '<' and a bare '&' in values as they stand. SUMO writes some texts, such as a stop's actType, as they came.
	Lenient bool
	// Namespaces refuses prefixes that nothing declares (Namespaces in XML 1.0, 5). SUMO does so everywhere but in configurations.
	Namespaces bool

	src  io.Reader // UTF-8
	buf  []byte
	pos  int // next byte to read
	end  int // end of the bytes in buf that are known to be whole, valid UTF-8
	held int // bytes after end that begin a rune which the next read completes
	line int
	base int64 // bytes of src before buf
	// fail is what to report when pos reaches end.
	fail error

	names    []byte
	open     []int // where each open element's name starts in names
	attrs    []Attr
	values   []byte
	scratch  []byte
	seenRoot bool
	declared map[string]int // prefixes, and by how many of the open elements
	scopes   []scope        // of these, innermost last

	tag int64 // where the start tag begins that is being read; noTag between tags
}

// scope is where a prefix is declared.
type scope struct {
	prefix string
	depth  int // of the element
}

// noTag is Scanner.tag between tags.
const noTag = -1

// offset is how many bytes of src have been read.
func (s *Scanner) offset() int64 { return s.base + int64(s.pos) }

// Element is a start tag. It is valid only during the call that it is passed to.
type Element struct {
	Name  []byte // as written, with its prefix
	Attrs []Attr
	Depth int // 1 for the root
	Line  int // where the tag begins
}

// Attr is an attribute. Its value is decoded and its white space replaced by blanks (XML 1.0, 3.3.3).
type Attr struct {
	Name, Value []byte
	Line        int
	Cut         bool // Value is only the beginning

	start, end int64 // of the value as it is written, between its quotes
}

// Attr returns the value of an attribute, nil when there is none.
func (e Element) Attr(name string) []byte {
	a, _ := e.Lookup(name)
	return a.Value
}

// Lookup returns an attribute; ok is false when there is none.
func (e Element) Lookup(name string) (a Attr, ok bool) {
	for _, a := range e.Attrs {
		if string(a.Name) == name {
			return a, true
		}
	}
	return Attr{}, false
}

const (
	// window is as large as the buffer of what package gz opens, which is then read through no second one.
	window = gz.Window
	// maxDepth is several times what any of SUMO's formats nests.
	maxDepth = 100
	// maxAttrs and maxName are far above any of SUMO's own.
	maxAttrs = 250
	maxName  = 250
	// maxValue is the default of Scanner.MaxValue.
	maxValue = 1 << 20
)

// DTDError is a <!DOCTYPE or <!ENTITY: entities read files of the server or grow without bound.
type DTDError struct {
	HTML bool // the declaration of a web page
}

func (DTDError) Error() string { return "document type declaration" }

// SyntaxError is a document that is not well formed, beyond a bound, or in an encoding that is not accepted. Its text names the
// cure where there is one.
type SyntaxError struct {
	message string
	own     bool
}

func (e SyntaxError) Error() string { return e.message }

// Own reports whether the fault may be one to this package only, such as a bound. All other faults end the reading of any XML parser.
func (e SyntaxError) Own() bool { return e.own }

func malformed(format string, args ...any) error {
	return SyntaxError{message: fmt.Sprintf(format, args...)}
}

func refused(format string, args ...any) error {
	return SyntaxError{message: fmt.Sprintf(format, args...), own: true}
}

// Byte classes: the bytes at which a run of plain ones ends, and those of names; inName are those that need no further look.
var endsText, endsValue, isName, isNameStart, inName [256]bool

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
	inName = isName
	inName[':'] = false
}

// Scan reads a document to its end, in any accepted encoding. It answers ErrNotXML, a SyntaxError, a DTDError, the error of
// Element, or whatever reading failed with; Line is then where.
func (s *Scanner) Scan(r io.Reader) error {
	s.line = 1
	text, lines, err := decode(bufio.NewReaderSize(r, window))
	if err != nil {
		return err
	}
	return s.scan(text, 1+lines)
}

// scan reads a document in UTF-8 whose XML declaration has been read, from the given line on.
func (s *Scanner) scan(text io.Reader, line int) error {
	s.src, s.line, s.buf, s.tag = text, line, make([]byte, window), noTag
	if s.MaxValue == 0 {
		s.MaxValue = maxValue
	}
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

// Line is the line that was read last, counted from 1.
func (s *Scanner) Line() int { return s.line }

// fill makes more bytes available, and reports whether there are any.
func (s *Scanner) fill() bool {
	for s.fail == nil {
		copy(s.buf, s.buf[s.end:s.end+s.held])
		s.base += int64(s.end)
		n, err := s.src.Read(s.buf[s.held:])
		chunk := s.buf[:s.held+n]
		s.pos, s.end, s.held = 0, 0, 0
		if err != nil {
			s.fail = err
		}
		whole := len(chunk)
		if err == nil { // the next read may complete a rune
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
				return s.end > 0 // the failed read cut the rune
			}
			s.fail = refused("the text is not in the encoding that the file declares: save the file as UTF-8")
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
func (s *Scanner) next() (byte, error) {
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

func (s *Scanner) ended() error {
	if errors.Is(s.fail, io.EOF) {
		return malformed("the file ends in the middle of a tag: it is incomplete")
	}
	return s.fail
}

// content reads character data through the next '<', and returns the byte after it; ok is false at a proper end of the
// file.
func (s *Scanner) content() (c byte, ok bool, err error) {
	brackets := 0 // the number of ']' just read
	for {
		if s.pos == s.end && !s.fill() {
			if errors.Is(s.fail, io.EOF) {
				return 0, false, nil
			}
			return 0, false, s.fail
		}
		if s.buf[s.pos] == 0 && s.seenRoot && len(s.open) == 0 { // SUMO reads no further; some tools pad files with zeros
			return 0, false, nil
		}
		run := s.buf[s.pos:s.end]
		i := 0
		for i < len(run) && !endsText[run[i]] {
			i++
		}
		if i > 0 {
			if brackets >= 2 && run[0] == '>' {
				return 0, false, malformed("the text contains ']]>': write ']]&gt;'")
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
			if s.Text != nil {
				s.Text(out)
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

func (s *Scanner) characters(run []byte) error {
	if len(s.open) == 0 && len(bytes.TrimLeft(run, " \t\r\n")) > 0 {
		if s.seenRoot {
			return malformed("there is something after the end of the root element")
		}
		return malformed("it does not start like XML")
	}
	if s.Text != nil {
		s.Text(run)
	}
	return nil
}

// reference reads an entity or character reference after its '&' and appends what it stands for.
func (s *Scanner) reference(out []byte) ([]byte, error) {
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
			if !s.Lenient {
				return nil, malformed("there is a bare '&'; write '&amp;'")
			}
			s.unread(c)
			return append(append(out, '&'), name[:n]...), nil
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
			if r, err := strconv.ParseUint(digits, base, 32); err == nil && IsChar(rune(r)) {
				return utf8.AppendRune(out, rune(r)), nil
			}
		}
		if s.Lenient {
			return append(append(append(out, '&'), text...), ';'), nil
		}
		fault := malformed
		if strings.HasPrefix(text, "#") { // XML 1.1 has more characters
			fault = refused
		}
		return nil, fault("'&%s;' is not a character; write '&amp;' for a plain '&'", text)
	}
}

// unread makes c, which next has just returned, the next byte again.
func (s *Scanner) unread(c byte) {
	s.pos--
	if c == '\n' {
		s.line--
	}
}

// IsChar reports whether a document can hold r (XML 1.0, 2.2).
func IsChar(r rune) bool {
	return r == '\t' || r == '\n' || r == '\r' || r >= ' ' && r <= 0xD7FF || r >= 0xE000 && r <= 0xFFFD || r >= 0x10000 && r <= utf8.MaxRune
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// nameStart are the characters beyond ASCII that can begin a name, and nameMore those that can only follow (XML 1.0, fifth edition, 2.3).
// SUMO's parser reads them in the same way.
var (
	nameStart = &unicode.RangeTable{
		R16: []unicode.Range16{
			{0xC0, 0xD6, 1}, {0xD8, 0xF6, 1}, {0xF8, 0x2FF, 1}, {0x370, 0x37D, 1}, {0x37F, 0x1FFF, 1}, {0x200C, 0x200D, 1}, {0x2070, 0x218F, 1},
			{0x2C00, 0x2FEF, 1}, {0x3001, 0xD7FF, 1}, {0xF900, 0xFDCF, 1}, {0xFDF0, 0xFFFD, 1},
		},
		R32: []unicode.Range32{{0x10000, 0xEFFFF, 1}},
	}
	nameMore = &unicode.RangeTable{R16: []unicode.Range16{{0xB7, 0xB7, 1}, {0x300, 0x36F, 1}, {0x203F, 0x2040, 1}}}
)

// name appends the name that begins with c to out, and returns it with the byte after it.
func (s *Scanner) name(out []byte, c byte) ([]byte, byte, error) {
	if !isNameStart[c] && c < utf8.RuneSelf {
		return nil, 0, malformed("%q cannot begin a name; write '&lt;' for a plain '<'", rune(c))
	}
	start, colons, plain := len(out), 0, true
	for isName[c] || c >= utf8.RuneSelf {
		plain = plain && c < utf8.RuneSelf
		if c == ':' {
			colons++
		}
		run := s.buf[s.pos:s.end]
		i := 0
		for i < len(run) && inName[run[i]] {
			i++
		}
		out = append(append(out, c), run[:i]...)
		s.pos += i
		if len(out)-start > maxName {
			return nil, 0, refused("a name is longer than %d characters", maxName)
		}
		var err error
		if c, err = s.next(); err != nil {
			return nil, 0, err
		}
	}
	if !plain {
		for i, r := range string(out[start:]) {
			if r >= utf8.RuneSelf && !unicode.Is(nameStart, r) && (i == 0 || !unicode.Is(nameMore, r)) {
				return nil, 0, malformed("%q cannot stand there in a name", r)
			}
		}
	}
	if colons > 1 || out[len(out)-1] == ':' {
		return nil, 0, malformed("the name %q has too many colons", out[start:])
	}
	return out, c, nil
}

// skipSpace returns the first byte that is not white space, starting with c.
func (s *Scanner) skipSpace(c byte) (byte, error) {
	for isSpace(c) {
		var err error
		if c, err = s.next(); err != nil {
			return 0, err
		}
	}
	return c, nil
}

func (s *Scanner) startTag(c byte) error {
	line := s.line
	if len(s.open) == 0 && s.seenRoot {
		return malformed("there is a second root element; a file must have one that encloses all others")
	}
	if len(s.open) == maxDepth {
		return refused("elements are nested more than %d deep", maxDepth)
	}
	start := len(s.names)
	s.tag = s.offset() - int64(len("<a"))
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
			return refused("<%s> has more than %d attributes", s.names[start:], maxAttrs)
		}
		if c, err = s.attribute(c, s.names[start:]); err != nil {
			return err
		}
	}
	if s.Namespaces {
		if err := s.resolve(s.names[start:]); err != nil {
			return err
		}
	}
	if s.Element != nil {
		if err := s.Element(Element{Name: s.names[start:], Attrs: s.attrs, Depth: len(s.open), Line: line}); err != nil {
			return err
		}
	}
	s.tag = noTag
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

// resolve takes the prefixes that a start tag declares, and refuses those that nothing declares.
func (s *Scanner) resolve(element []byte) error {
	for _, a := range s.attrs {
		if prefix, ok := bytes.CutPrefix(a.Name, []byte("xmlns:")); ok {
			if s.declared == nil {
				s.declared = map[string]int{}
			}
			s.declared[string(prefix)]++
			s.scopes = append(s.scopes, scope{string(prefix), len(s.open)})
		}
	}
	if err := s.known(element); err != nil {
		return err
	}
	for _, a := range s.attrs {
		if err := s.known(a.Name); err != nil {
			return err
		}
	}
	return nil
}

func (s *Scanner) known(name []byte) error {
	colon := bytes.IndexByte(name, ':')
	if colon < 0 {
		return nil
	}
	prefix := name[:colon]
	if s.declared[string(prefix)] == 0 && string(prefix) != "xml" && string(prefix) != "xmlns" {
		return malformed("in %q, nothing declares the prefix: remove %q, or add xmlns:%s=\"…\" to the root element",
			name, name[:colon+1], prefix)
	}
	return nil
}

// plain reads name="value", which begins with c, if it is written without anything to replace or to refuse and is in the buffer as a whole:
// as nearly all attributes are, which makes up most of the time of a scan. It reads nothing if ok is false.
func (s *Scanner) plain(c byte) (a Attr, ok bool) {
	if !isNameStart[c] {
		return Attr{}, false
	}
	run := s.buf[s.pos-1 : s.end] // from c on
	name := 1
	for name < len(run) && inName[run[name]] {
		name++
	}
	value := name + len(`="`)
	if name > maxName || value > len(run) || run[name] != '=' || run[name+1] != '"' {
		return Attr{}, false
	}
	end := value
	for end < len(run) && !endsValue[run[end]] {
		end++
	}
	if end == len(run) || run[end] != '"' || end-value > s.MaxValue {
		return Attr{}, false
	}
	start := len(s.values)
	s.values = append(s.values, run[:end]...)
	all := s.values[start:]
	offset := s.offset() - 1
	s.pos += end
	return Attr{
		Name: all[:name:name], Value: all[value:end:end], Line: s.line, start: offset + int64(value), end: offset + int64(end),
	}, true
}

// attribute reads name="value" and returns the byte after it.
func (s *Scanner) attribute(c byte, element []byte) (byte, error) {
	if a, ok := s.plain(c); ok {
		if s.has(a.Name) {
			return 0, twice(element, a.Name)
		}
		s.attrs = append(s.attrs, a)
		return s.next()
	}
	// Names and values are collected one after the other in s.values. Growing moves it, but what earlier attributes
	// point to stays intact.
	start := len(s.values)
	var err error
	a := Attr{Line: s.line}
	if s.values, c, err = s.name(s.values, c); err != nil {
		return 0, err
	}
	nameEnd := len(s.values)
	a.Name = s.values[start:nameEnd:nameEnd]
	if s.has(a.Name) {
		return 0, twice(element, a.Name)
	}
	if c, err = s.skipSpace(c); err != nil {
		return 0, err
	}
	if c != '=' {
		return 0, malformed("in <%s>, the attribute %q has no value", element, a.Name)
	}
	if c, err = s.next(); err != nil {
		return 0, err
	}
	quote, err := s.skipSpace(c)
	if err != nil {
		return 0, err
	}
	if quote != '"' && quote != '\'' {
		return 0, malformed("in <%s>, the value of %q is not in quotes", element, a.Name)
	}
	a.start = s.offset()
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
			room := s.MaxValue - (len(s.values) - nameEnd)
			a.Cut = a.Cut || i > room
			s.values = append(s.values, run[:min(i, max(room, 0))]...)
			s.pos += i
			continue
		}
		if c, err = s.next(); err != nil {
			return 0, err
		}
		switch c {
		case quote:
			a.Value = s.values[nameEnd:len(s.values):len(s.values)]
			a.end = s.offset() - 1
			s.attrs = append(s.attrs, a)
			return s.next()
		case '<':
			if s.Lenient {
				s.values = append(s.values, c)
				break
			}
			return 0, malformed("in <%s>, the value of %q contains '<': a quote is missing before it, or write '&lt;'", element, a.Name)
		case '&':
			if s.values, err = s.reference(s.values); err != nil {
				return 0, err
			}
		case '\n', '\t':
			s.values = append(s.values, ' ')
		default:
			s.values = append(s.values, c)
		}
		if len(s.values)-nameEnd > s.MaxValue {
			a.Cut = true
			s.values = s.values[:nameEnd+s.MaxValue]
		}
	}
}

// has reports whether the start tag has an attribute so far.
func (s *Scanner) has(name []byte) bool {
	for i := range s.attrs {
		if bytes.Equal(s.attrs[i].Name, name) {
			return true
		}
	}
	return false
}

func twice(element, name []byte) error {
	return malformed("<%s> has the attribute %q twice", element, name)
}

func (s *Scanner) endTag() error {
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
		return malformed("</%s> is found where </%s> should be", got, want)
	}
	s.close()
	return nil
}

func (s *Scanner) close() {
	last := len(s.open) - 1
	start := s.open[last]
	if s.End != nil {
		s.End(s.names[start:])
	}
	s.names, s.open = s.names[:start], s.open[:last]
	for n := len(s.scopes) - 1; n >= 0 && s.scopes[n].depth > last; n-- {
		s.declared[s.scopes[n].prefix]--
		s.scopes = s.scopes[:n]
	}
}

// declaration reads what begins with "<!": a comment, or CDATA inside an element. Everything else is a DTD or part of
// one.
func (s *Scanner) declaration() error {
	c, err := s.next()
	if err != nil {
		return err
	}
	switch c {
	case '-':
		if c, err = s.next(); err != nil {
			return err
		}
		if c != '-' {
			return malformed("'<!-' is not followed by '-'")
		}
		return s.comment()
	case '[':
		for _, want := range []byte("CDATA[") {
			if c, err = s.next(); err != nil {
				return err
			}
			if c != want {
				return DTDError{}
			}
		}
		if len(s.open) == 0 {
			return malformed("there is text outside the root element")
		}
		return s.cdata()
	}
	// This only distinguishes a saved web page from a real DTD, so the spelling is not checked.
	const html = "doctype html"
	head := make([]byte, 0, len(html))
	for ; err == nil && len(head) < len(html) && c != '>'; c, err = s.next() {
		head = append(head, c)
	}
	return DTDError{HTML: string(bytes.ToLower(head)) == html}
}

func (s *Scanner) comment() error {
	for dashes := 0; ; {
		c, err := s.next()
		switch {
		case err != nil:
			return err
		case dashes == 2 && c == '>':
			return nil
		case dashes == 2:
			return malformed("'--' is not allowed inside a comment")
		case c == '-':
			dashes++
		default:
			dashes = 0
		}
	}
}

func (s *Scanner) cdata() error {
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
		out := held[:1] // of three brackets, the first is text
		if c != ']' {
			held = append(held, c)
			out, held = held, held[:0]
		}
		if s.Text != nil {
			s.Text(out)
		}
	}
}

// instruction reads "<?target ... ?>". The XML declaration has been read by decode before.
func (s *Scanner) instruction() error {
	c, err := s.next()
	if err != nil {
		return err
	}
	target, c, err := s.name(nil, c)
	if err != nil {
		return err
	}
	if bytes.EqualFold(target, []byte("xml")) {
		return malformed("'<?xml' must be at the very beginning of the file, once")
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
