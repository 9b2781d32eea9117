package run

import (
	"bufio"
	"bytes"
	"io"
)

// documents divides what several SUMOs write into one pipe, each behind the other, into what each has: XML that begins with a declaration.
// That is nowhere else, since SUMO escapes what it writes, but the document before may be cut off anywhere.
type documents struct {
	r     *bufio.Reader
	begun bool // something of the document at work has been read
}

var declaration = []byte("<?xml")

func newDocuments(r io.Reader) *documents { return &documents{r: bufio.NewReaderSize(r, copyBuffer)} }

// next begins the next document, if one comes, when the one before has been read.
func (d *documents) next() bool {
	d.begun = false
	_, err := d.r.Peek(1)
	return err == nil
}

// Read implements io.Reader, for the document at work.
func (d *documents) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for need := 1; ; need = len(declaration) {
		_, err := d.r.Peek(need)
		data, _ := d.r.Peek(d.r.Buffered())
		if len(data) == 0 {
			return 0, err
		}
		own := 0 // the declaration of the document at work
		if !d.begun {
			own = 1
		}
		end := len(data)
		if i := bytes.Index(data[own:], declaration); i >= 0 {
			end = own + i
			if end == 0 {
				return 0, io.EOF
			}
		} else if err == nil {
			end -= partOf(data[own:], declaration)
		}
		if end == 0 { // what is there may become a declaration
			continue
		}
		n := copy(p, data[:end])
		_, _ = d.r.Discard(n) // it is there
		d.begun = true
		return n, nil
	}
}

// partOf is how much of the beginning of what, but not all, is at the end of data.
func partOf(data, what []byte) int {
	for n := min(len(what)-1, len(data)); n > 0; n-- {
		if bytes.HasSuffix(data, what[:n]) {
			return n
		}
	}
	return 0
}
