package outputs

import (
	"io"
	"sync"
)

// ahead reads on while what it has read is used: unpacking takes about as long as reading XML does, and runs beside it.
type ahead struct {
	parts chan part
	free  chan []byte
	done  chan struct{}
	once  sync.Once
	now   part
	rest  []byte
}

type part struct {
	data []byte
	err  error
}

// Two parts are ready while one is used and another is filled.
const (
	partBytes  = 256 << 10
	partsAhead = 2
)

// newAhead reads r, up to most bytes unless that is 0. stop ends it.
func newAhead(r io.Reader, most int64) *ahead {
	a := &ahead{parts: make(chan part, partsAhead), free: make(chan []byte, partsAhead+2), done: make(chan struct{})}
	for range partsAhead + 2 {
		a.free <- nil // made when it is needed
	}
	go a.fill(r, most)
	return a
}

func (a *ahead) fill(r io.Reader, most int64) {
	defer close(a.parts)
	for total := int64(0); ; {
		var buf []byte
		select {
		case buf = <-a.free:
		case <-a.done:
			return
		}
		if buf == nil {
			buf = make([]byte, partBytes)
		}
		n, err := readSome(r, buf[:partBytes])
		if total += int64(n); most > 0 && total > most {
			n, err = 0, ErrTooLarge
		}
		select {
		case a.parts <- part{buf[:n], err}:
		case <-a.done:
			return
		}
		if err != nil {
			return
		}
	}
}

// readSome fills buf, unless reading fails before.
func readSome(r io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var more int
		more, err = r.Read(buf[n:])
		n += more
	}
	return n, err
}

// Read implements io.Reader.
func (a *ahead) Read(p []byte) (int, error) {
	for len(a.rest) == 0 {
		if a.now.err != nil {
			return 0, a.now.err
		}
		if a.now.data != nil {
			a.free <- a.now.data
		}
		a.now = <-a.parts
		a.rest = a.now.data
	}
	n := copy(p, a.rest)
	a.rest = a.rest[n:]
	return n, nil
}

// stop ends the reading, and waits for its end: what is read may be closed afterwards.
func (a *ahead) stop() {
	a.once.Do(func() { close(a.done) })
	for range a.parts {
	}
}
