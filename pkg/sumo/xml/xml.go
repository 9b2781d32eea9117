// Package xml reads the XML files that SUMO takes and writes, as streams, and refuses whatever could make a parser misbehave. It
// exists because encoding/xml allocates for every token: that costs minutes on the files of a large city.
//
// It is stricter than XML 1.0: no DTD of any kind (section 2.8), no encoding in which a byte depends on others long before it (4.3.3), at
// most 100 nested elements, 250 attributes in a tag and 250 bytes in a name. Everything it accepts, encoding/xml accepts too, except names
// that came with the fifth edition; a fuzz test holds it to that. It allocates nothing for an element whose names are in ASCII.
package xml

import (
	"bufio"
	"compress/flate"
	"compress/gzip"
	"errors"
	"io"
)

// Scan reads a file that may be compressed with gzip, and calls visit for each start tag until visit fails. It returns what
// Scanner.Scan does, or gzip's errors; IsMalformed says which of them are the file's fault.
func Scan(r io.Reader, visit func(Element) error) error {
	plain, err := Unpack(r)
	if err != nil {
		return err
	}
	s := Scanner{Element: visit}
	return s.Scan(plain)
}

// Unpack returns the content of a file that may be compressed with gzip. Like SUMO, it looks at the first bytes and not at the name.
func Unpack(r io.Reader) (*bufio.Reader, error) {
	in := bufio.NewReaderSize(r, window)
	if !IsGzip(in) {
		return in, nil
	}
	z, err := Gunzip(in)
	if err != nil {
		return nil, err
	}
	return bufio.NewReaderSize(z, window), nil
}

// Gunzip returns the content of what is compressed with gzip. If that is cut off, the content ends there, as it does for SUMO: where only
// the checksum is missing, nothing is.
func Gunzip(r *bufio.Reader) (io.Reader, error) {
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, err
	}
	z.Multistream(false)
	return &members{z, r}, nil
}

// members are those of a gzip file, one after the other.
type members struct {
	z      *gzip.Reader
	packed *bufio.Reader
}

func (m *members) Read(p []byte) (n int, err error) {
	for n == 0 && err == nil && len(p) > 0 {
		if n, err = m.z.Read(p); err == io.EOF { //nolint:errorlint // a Reader ends with EOF itself
			err = m.next()
		}
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		if _, end := m.packed.Peek(1); end == io.EOF {
			err = io.EOF
		}
	}
	return n, err
}

// next begins the next member. It answers io.EOF where there is none, and gzip.ErrHeader where something else follows.
func (m *members) next() error {
	if _, err := m.packed.Peek(1); err != nil {
		return err
	}
	if !IsGzip(m.packed) {
		return gzip.ErrHeader
	}
	err := m.z.Reset(m.packed)
	m.z.Multistream(false)
	return err
}

// IsGzip reports whether what r reads next is compressed with gzip (RFC 1952, 2.3.1).
func IsGzip(r *bufio.Reader) bool {
	head, _ := r.Peek(2) // the next read returns the error again
	return string(head) == "\x1f\x8b"
}

// IsMalformed reports whether err means that a document is damaged, cut off or not XML, rather than that reading it failed.
func IsMalformed(err error) bool {
	return errors.As(err, new(SyntaxError)) || errors.As(err, new(DTDError)) || errors.Is(err, ErrNotXML) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) ||
		errors.As(err, new(flate.CorruptInputError))
}
