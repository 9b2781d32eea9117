package scenario

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
)

const (
	// blockSize makes a ranged read of an object store worth its round trip: at 20 ms each, 200 MB/s.
	blockSize = 4 << 20
	// blockCount blocks are kept: one at the zip's table of contents, and those that neighbouring entries share. With
	// them all in use, a reader holds 16 MiB.
	blockCount = 4
)

// ReaderAt reads one stored object at any offset, through a few large cached blocks. It is made for archives, which are
// read almost in sequence.
type ReaderAt struct {
	ctx   context.Context
	store Opener
	key   string
	size  int64

	mu     sync.Mutex
	blocks []block // the most recently used first
}

type block struct {
	number int64
	data   []byte
}

// NewReaderAt reads the object at key, which has size bytes, until ctx ends.
func NewReaderAt(ctx context.Context, store Opener, key string, size int64) *ReaderAt {
	return &ReaderAt{ctx: ctx, store: store, key: key, size: size}
}

// ReadAt is io.ReaderAt's. It answers with the store's errors.
func (r *ReaderAt) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("reading %s: negative offset", r.key)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for n < len(p) && off < r.size {
		data, err := r.block(off / blockSize)
		if err != nil {
			return n, err
		}
		c := copy(p[n:], data[off%blockSize:])
		n += c
		off += int64(c)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (r *ReaderAt) block(number int64) ([]byte, error) {
	for i, b := range r.blocks {
		if b.number == number {
			copy(r.blocks[1:i+1], r.blocks[:i])
			r.blocks[0] = b
			return b.data, nil
		}
	}
	from := number * blockSize
	length := min(blockSize, r.size-from)
	var data []byte
	if len(r.blocks) == blockCount {
		oldest := r.blocks[blockCount-1]
		r.blocks = r.blocks[:blockCount-1]
		data = oldest.data[:0]
	}
	if int64(cap(data)) < length {
		data = make([]byte, length)
	}
	data = data[:length]
	body, err := r.store.Open(r.ctx, r.key, from, length)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", r.key, err)
	}
	defer body.Close()
	if _, err := io.ReadFull(body, data); err != nil {
		return nil, fmt.Errorf("reading %s at %d: %w", r.key, from, noEOF(err))
	}
	r.blocks = append(r.blocks, block{})
	copy(r.blocks[1:], r.blocks)
	r.blocks[0] = block{number, data}
	return data, nil
}

// noEOF turns the early end of an object into an error, so that it does not pass for the proper end.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("the object is shorter than when it was stored")
	}
	return err
}
