// Package gz reads files that are compressed with gzip, as SUMO does: by their content, whatever their names say.
package gz

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
)

const (
	// MostExpansion bounds what a compressed file is read as, as a multiple of its size. SUMO's outputs shrink to a twentieth, at most to a
	// fiftieth; a file that was made to waste time may grow a thousandfold (1032 is deflate's own bound).
	MostExpansion = 200
	// LeastExpanded is always read, in bytes: a small file may shrink more.
	LeastExpanded = 4 << 20
	// Window is what is read at once, in bytes: so much that refilling costs nothing, and little enough to have one per upload in progress.
	Window = 64 << 10
)

// ErrExpands is the error of a compressed file at the place where it has grown beyond all proportion. A file that was made for it gets
// there within its first kilobytes, so it costs no more time than an honest one of its size.
var ErrExpands = fmt.Errorf("the file is compressed and expands to more than %d times its size, as nothing that SUMO writes does",
	MostExpansion)

// Unpack returns the content of a file that may be compressed with gzip. Like SUMO, it looks at the first bytes and not at the name. A
// compressed file that is cut off ends with io.ErrUnexpectedEOF, as one that is still being written does; see Members for inputs.
func Unpack(r io.Reader) (*bufio.Reader, error) {
	in := &counted{r: r}
	packed := bufio.NewReaderSize(in, Window)
	if !IsGzip(packed) {
		return packed, nil
	}
	z, err := gunzip(packed, in)
	if err != nil {
		return nil, err
	}
	return bufio.NewReaderSize(z, Window), nil
}

// Gunzip returns the content of a file that is compressed with gzip. Reading it fails with ErrExpands.
func Gunzip(r io.Reader) (io.Reader, error) {
	in := &counted{r: r}
	return gunzip(bufio.NewReaderSize(in, Window), in)
}

func gunzip(packed *bufio.Reader, in *counted) (io.Reader, error) {
	z, err := gzip.NewReader(packed)
	if err != nil {
		return nil, err
	}
	return &expanding{z: z, packed: in}, nil
}

// IsGzip reports whether what r reads next is compressed with gzip (RFC 1952, 2.3.1).
func IsGzip(r *bufio.Reader) bool {
	head, _ := r.Peek(2) // the next read returns the error again
	return string(head) == "\x1f\x8b"
}

// counted counts what it reads, in bytes.
type counted struct {
	r    io.Reader
	read int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.read += int64(n)
	return n, err
}

// expanding is the content of a compressed file, in proportion to what has been read of that.
type expanding struct {
	z        io.Reader
	packed   *counted
	unpacked int64
}

func (e *expanding) Read(p []byte) (int, error) {
	n, err := e.z.Read(p)
	if e.unpacked += int64(n); e.unpacked > LeastExpanded && e.unpacked/MostExpansion > e.packed.read {
		return 0, ErrExpands
	}
	return n, err
}
