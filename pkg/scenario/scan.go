package scenario

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"path"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

// Element is one start tag of a document. It is valid only during the call that it is passed to.
type Element struct{ tag xmlElement }

// Name is the element's name, and Depth 1 for the root.
func (e Element) Name() []byte { return e.tag.name }
func (e Element) Depth() int   { return e.tag.depth }

// Attr returns the value of an attribute, nil when there is none.
func (e Element) Attr(name string) []byte {
	a, _ := e.tag.attr(name)
	return a.value
}

// maxScanned is the longest attribute value that ScanXML passes on: the shape of an edge with 50,000 points.
const maxScanned = 1 << 20

// ScanXML reads an XML file that may be compressed with gzip, as SUMO takes and writes them, and calls visit for each
// start tag until visit fails. It has the strictness of Inspect and allocates nothing for an element. IsMalformed tells
// whether its error is the file's own fault, such as a missing end.
func ScanXML(r io.Reader, visit func(Element) error) error {
	in := bufio.NewReaderSize(r, xmlWindow)
	if head, _ := in.Peek(2); string(head) == "\x1f\x8b" {
		z, err := gzip.NewReader(in)
		if err != nil {
			return err
		}
		in = bufio.NewReaderSize(z, xmlWindow)
	}
	text, _, err := decodeXML(in)
	if err != nil {
		return err
	}
	source := &stoppable{r: text}
	s := &xmlScanner{src: source, maxValue: maxScanned}
	s.element = func(e xmlElement) {
		if source.stop == nil {
			source.stop = visit(Element{e})
		}
	}
	err = s.scan()
	if source.stop != nil {
		return source.stop
	}
	return err
}

// stoppable ends a document when its reader has had enough.
type stoppable struct {
	r    io.Reader
	stop error
}

func (s *stoppable) Read(p []byte) (int, error) {
	if s.stop != nil {
		return 0, s.stop
	}
	return s.r.Read(p)
}

// IsMalformed reports whether err says that a document is damaged, cut off or not XML, rather than that it could not be
// fetched.
func IsMalformed(err error) bool {
	return errors.As(err, new(xmlError)) || errors.As(err, new(dtdError)) || errors.Is(err, errNotXML) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum)
}

// ScanNet reads the network that a configuration names, out of the zip of size bytes, as ScanXML does. It answers
// problem.NotFound when the zip no longer leads to one.
func ScanNet(ctx context.Context, r io.ReaderAt, size int64, limits Limits, config string, visit func(Element) error) error {
	var rep report
	a, err := openArchive(r, size, limits, &rep)
	if err != nil {
		return err
	}
	if err := rep.err(); err != nil {
		return err
	}
	var net string
	err = a.open(ctx, config, func(r io.Reader) error {
		text, line, err := decodeXML(bufio.NewReader(r))
		if err != nil {
			return err
		}
		budget := memoryBudget
		doc, err := readDocument(&xmlScanner{src: text}, line, true, &budget)
		if err != nil {
			return err
		}
		for _, s := range doc.settings {
			if o := options()[s.name]; o != nil && o.name == "net-file" {
				net = o.names(path.Dir(config), s.value, readXML)[0].name
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return a.open(ctx, net, func(r io.Reader) error { return ScanXML(r, visit) })
}

// open unpacks one file through use.
func (a *archive) open(ctx context.Context, name string, use func(io.Reader) error) error {
	for _, e := range a.files {
		if e.name != name {
			continue
		}
		err := a.one(ctx, e, func(_ string, r *entryReader) error { return use(r) })
		switch {
		case err == nil, ctx.Err() != nil:
			return err
		case a.src.err != nil:
			return fmt.Errorf("reading the zip: %w", a.src.err)
		case errors.As(err, new(*visitError)):
			err = errors.Unwrap(err)
		}
		return fmt.Errorf("reading %s of the scenario: %w", name, err)
	}
	return problem.New(problem.NotFound, "The scenario has no file %s. Submit it again, as a new job.", quote(name))
}
