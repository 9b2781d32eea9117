package gz

import (
	"bufio"
	"compress/gzip"
	"errors"
	"io"
)

// Members returns the content of an input that is compressed with gzip, however much that is. If it is cut off, the content ends there, as
// it does for SUMO: where only the checksum is missing, nothing is.
func Members(r *bufio.Reader) (io.Reader, error) {
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
