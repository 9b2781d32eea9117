package simulation

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"
)

const (
	// mostExpansion bounds what a compressed file is read as, in multiples of its size. SUMO's outputs shrink to a twentieth, at most to a
	// fiftieth; a file that was made to waste time may grow a thousandfold.
	mostExpansion = 200
	// leastExpanded is always read, in bytes: a small file may shrink more.
	leastExpanded = 1 << 20
	// contentBuffer is the longest line of SUMO's that is looked at. One vehicle's or one step's is shorter; a longer one counts as it is.
	contentBuffer = 64 << 10
)

// ContentSum returns the SHA-256, in hexadecimal, of what a file says that equal runs say too, and whether there is one. That is the file
// itself, but for two differences. One that is called .gz counts uncompressed. Of XML, what depends on the moment and the machine does not
// count: what stands before the root element, where SUMO notes the date and the paths of its options, elements performance of statistics,
// and how long each step of a summary took to compute (duration). r is read to its end, size is the file's. A file whose compression is
// broken, or which grows beyond all proportion, has no such sum.
func ContentSum(name string, r io.Reader, size int64) (sum string, ok bool, err error) {
	source := &readErrors{r: r}
	var content io.Reader = source
	plain, compressed := strings.CutSuffix(name, ".gz")
	limit := int64(-1)
	if compressed {
		z, err := gzip.NewReader(source)
		if err != nil {
			return "", false, source.err
		}
		limit = leastExpanded + mostExpansion*size
		content = io.LimitReader(z, limit+1)
	}
	c := contentHash{hash: sha256.New()}
	in := bufio.NewReaderSize(content, contentBuffer)
	if strings.HasSuffix(plain, ".xml") || strings.HasSuffix(plain, "cfg") { // tools leave configurations: .sumocfg, .duarcfg
		err = c.xml(in)
	} else {
		_, err = in.WriteTo(&c)
	}
	switch {
	case source.err != nil:
		return "", false, source.err
	case err != nil, limit >= 0 && c.read > limit:
		return "", false, nil
	}
	return hex.EncodeToString(c.hash.Sum(nil)), true, nil
}

// readErrors remembers the error of a reader, so that it is distinguished from those of what reads it.
type readErrors struct {
	r   io.Reader
	err error
}

func (r *readErrors) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = fmt.Errorf("reading for its checksum: %w", err)
	}
	return n, err
}

// contentHash hashes what counts, and knows how much was read.
type contentHash struct {
	hash hash.Hash
	read int64 // bytes, as far as the hash has them or they were left out on purpose
}

func (c *contentHash) Write(p []byte) (int, error) {
	c.read += int64(len(p))
	return c.hash.Write(p)
}

// xml hashes a document of SUMO's, which has one element a line.
func (c *contentHash) xml(in *bufio.Reader) error {
	if err := c.skipProlog(in); err != nil {
		return err
	}
	begins := true // of a line, rather than inside a long one
	for {
		line, err := in.ReadSlice('\n')
		if long := errors.Is(err, bufio.ErrBufferFull); begins && !long {
			line = c.withoutTimes(line)
			_, _ = c.Write(line)
		} else {
			_, _ = c.Write(line)
			begins = !long
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return err
		}
	}
}

var (
	performance = []byte("<performance ")
	step        = []byte("<step ")
	duration    = []byte(` duration="`)
)

// withoutTimes is a line without what the clock has said.
func (c *contentHash) withoutTimes(line []byte) []byte {
	switch text := bytes.TrimLeft(line, " \t"); {
	case bytes.HasPrefix(text, performance) && bytes.HasSuffix(bytes.TrimRight(text, "\r\n"), []byte("/>")):
		c.read += int64(len(line))
		return nil
	case bytes.HasPrefix(text, step):
		at := bytes.LastIndex(line, duration)
		if at < 0 {
			return line
		}
		end := bytes.IndexByte(line[at+len(duration):], '"')
		if end < 0 {
			return line
		}
		rest := line[at+len(duration)+end+1:]
		c.read += int64(len(line) - at - len(rest))
		return append(line[:at], rest...)
	}
	return line
}

// skipProlog reads up to the root element: the declaration, comments and blanks. A file that has something else there counts from there on.
func (c *contentHash) skipProlog(in *bufio.Reader) error {
	for {
		head, err := in.Peek(4)
		if len(head) == 0 {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		n, end := 1, ""
		switch {
		case bytes.HasPrefix(head, []byte("<!--")):
			n, end = len("<!--"), "-->"
		case bytes.HasPrefix(head, []byte("<?")):
			n, end = len("<?"), "?>"
		case !bytes.ContainsAny(head[:1], " \t\r\n\xef\xbb\xbf"): // the last three are a byte order mark
			return nil
		}
		skipped, _ := in.Discard(n)
		c.read += int64(skipped)
		if end == "" {
			continue
		}
		var last []byte // as many as end has
		for !bytes.Equal(last, []byte(end)) {
			part, err := in.ReadSlice(end[len(end)-1])
			c.read += int64(len(part))
			last = append(last, part[max(0, len(part)-len(end)):]...)
			last = last[max(0, len(last)-len(end)):]
			switch {
			case errors.Is(err, io.EOF):
				return nil
			case err != nil && !errors.Is(err, bufio.ErrBufferFull):
				return err
			}
		}
	}
}

// Varies says why a result of a run is not what another run of the same would leave, however it is looked at; empty for a result that is.
func Varies(name string) string {
	switch name {
	case LogFile:
		return "has the time of each line and the speed of the machine"
	case SummaryFile:
		return "has how fast the machine computed"
	case OutcomeFile:
		return "has the time of the run"
	case ChecksumFile:
		return "has the checksums of files with dates in them"
	case ReplayFile, ReplaySegmentsFile:
		return "is cut into segments by the time that the run took"
	case KeptFile:
		return "is a zip of files with dates in them"
	}
	if strings.HasSuffix(name, ".log") {
		return "is a log, which has times and the speed of the machine"
	}
	return ""
}
