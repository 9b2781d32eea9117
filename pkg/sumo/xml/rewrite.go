package xml

import (
	"bufio"
	"bytes"
	stdxml "encoding/xml"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/sumo-k8/sumo-k8/pkg/sumo/gz"
)

// Change is what becomes of one attribute of an element. An attribute that the element does not have is added.
type Change struct {
	Attribute, Value string
	Remove           bool
}

// maxTag bounds a start tag, which is held in memory until its changes are known: a hundred times the longest route of a city.
const maxTag = 64 << 20

// Rewrite copies a document with changed attributes. change is called for each start tag. Everything else is copied byte for byte and
// no line moves, except that the result is UTF-8, says so, and is not compressed. The document is read as Scanner reads it with
// Namespaces, and refused where Scanner refuses it; w has then received a part. Memory does not grow with the document.
func Rewrite(w io.Writer, r io.Reader, change func(Element) []Change) error {
	plain, err := gz.Unpack(r)
	if err != nil {
		return err
	}
	head, _ := plain.Peek(sniffLength) // a failure comes again
	text, lines, err := decode(plain)
	if err != nil {
		return err
	}
	out := &rewriter{w: bufio.NewWriterSize(w, window), src: text, change: change}
	_, _ = out.w.WriteString(prolog(head, lines)) // Flush returns a failure
	out.scanner = Scanner{Element: out.element, Namespaces: true}
	if err := out.scanner.scan(out, 1+lines); err != nil {
		return err
	}
	out.copyTo(out.read)
	return out.w.Flush()
}

// prolog is the beginning of the result for a document that begins with head and whose XML declaration has the given number of line
// ends: the document's own where that is true of UTF-8.
func prolog(head []byte, lines int) string {
	const mark = "\uFEFF"
	own, rest := "", head
	if bytes.HasPrefix(head, []byte(mark)) {
		own, rest = mark, head[len(mark):]
	}
	if bytes.HasPrefix(rest, []byte("<?xml")) && len(rest) > 5 && isSpace(rest[5]) {
		end := bytes.Index(rest, []byte("?>"))
		written := string(rest[:max(0, end)+len("?>")])
		if name := strings.ToLower(written); !strings.Contains(name, "encoding") || strings.Contains(name, "utf-8") {
			return own + written
		}
	} else if trimmed := bytes.TrimLeft(rest, " \t\r\n"); len(trimmed) > 1 && trimmed[0] == '<' && trimmed[1] != 0 {
		return own
	}
	return `<?xml version="1.0"` + strings.Repeat("\n", lines) + ` encoding="UTF-8"?>`
}

// rewriter is what a Scanner reads from while it rewrites: it holds what has been read until it is known how to write it.
type rewriter struct {
	w       *bufio.Writer
	src     io.Reader
	change  func(Element) []Change
	scanner Scanner
	held    bytes.Buffer // the bytes of src up to read that are not yet written or left out
	read    int64
}

// Read reads more of the document for the scanner. What the scanner has left behind is written, except a tag that it is still in.
func (out *rewriter) Read(p []byte) (int, error) {
	done := out.scanner.base
	if tag := out.scanner.tag; tag != noTag && tag < done {
		done = tag
	}
	out.copyTo(done)
	if out.held.Len() > maxTag {
		return 0, refused("a tag is longer than %d MiB", maxTag>>20)
	}
	n, err := out.src.Read(p)
	_, _ = out.held.Write(p[:n])
	out.read += int64(n)
	return n, err
}

// skipTo leaves out what is held before an offset, and returns it.
func (out *rewriter) skipTo(offset int64) []byte {
	return out.held.Next(max(0, out.held.Len()-int(out.read-offset)))
}

func (out *rewriter) copyTo(offset int64) {
	_, _ = out.w.Write(out.skipTo(offset)) // Flush returns a failure
}

// element writes a start tag up to its end, with its changes.
func (out *rewriter) element(e Element) error {
	changes := out.change(e)
	if len(changes) == 0 {
		return nil
	}
	last := out.scanner.tag + int64(len("<")+len(e.Name))
	for _, a := range e.Attrs {
		for _, c := range changes {
			if c.Attribute != string(a.Name) {
				continue
			}
			if c.Remove {
				out.copyTo(last)
				out.skipTo(a.end + 1)
				break
			}
			out.copyTo(a.start)
			if err := out.value(c); err != nil {
				return err
			}
			out.skipTo(a.end)
			break
		}
		last = a.end + 1
	}
	out.copyTo(last)
	for _, c := range changes {
		if _, there := e.Lookup(c.Attribute); there || c.Remove {
			continue
		}
		if !isAttribute(c.Attribute) {
			return fmt.Errorf("rewriting <%s>: %q cannot be the name of an attribute", e.Name, c.Attribute)
		}
		_, _ = out.w.WriteString(" " + c.Attribute + `="`)
		if err := out.value(c); err != nil {
			return err
		}
		_ = out.w.WriteByte('"')
	}
	return nil
}

func isAttribute(name string) bool {
	return name != "" && len(name) <= maxName && isNameStart[name[0]] &&
		!strings.ContainsFunc(name, func(r rune) bool { return r > 'z' || !isName[r] })
}

// value writes a value so that it can stand in quotes of both kinds.
func (out *rewriter) value(c Change) error {
	if !utf8.ValidString(c.Value) || strings.ContainsFunc(c.Value, func(r rune) bool { return !IsChar(r) }) {
		return fmt.Errorf("rewriting the attribute %s: %q cannot be written in XML", c.Attribute, c.Value)
	}
	_ = stdxml.EscapeText(out.w, []byte(c.Value))
	return nil
}
