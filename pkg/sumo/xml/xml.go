// Package xml reads the XML files that SUMO takes and writes, as streams, and refuses whatever could make a parser misbehave. It
// exists because encoding/xml allocates for every token: that costs minutes on the files of a large city.
//
// It is stricter than XML 1.0: no DTD of any kind (section 2.8), no encoding in which a byte depends on others long before it (4.3.3), at
// most 100 nested elements, 250 attributes in a tag and 250 bytes in a name. Everything it accepts, encoding/xml accepts too, except names
// that came with the fifth edition; a fuzz test holds it to that. It allocates nothing for an element whose names are in ASCII.
package xml

import (
	"compress/flate"
	"compress/gzip"
	"errors"
	"io"

	"github.com/sumo-k8/sumo-k8/pkg/sumo/gz"
)

// Scan reads a file that may be compressed with gzip, and calls visit for each start tag until visit fails. It returns what
// Scanner.Scan does, or gzip's errors; IsMalformed says which of them are the file's fault.
func Scan(r io.Reader, visit func(Element) error) error {
	plain, err := gz.Unpack(r)
	if err != nil {
		return err
	}
	s := Scanner{Element: visit}
	return s.Scan(plain)
}

// IsMalformed reports whether err means that a document is damaged, cut off or not XML, rather than that reading it failed.
func IsMalformed(err error) bool {
	return errors.As(err, new(SyntaxError)) || errors.As(err, new(DTDError)) || errors.Is(err, ErrNotXML) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) ||
		errors.As(err, new(flate.CorruptInputError))
}
