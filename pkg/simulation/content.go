package simulation

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"

	"github.com/sumo-k8/sumo-k8/pkg/sumo/gz"
)

// contentBuffer is the longest line of SUMO's that is looked at. One vehicle's or one step's is shorter; a longer one counts as it is.
const contentBuffer = 64 << 10

// ContentSum returns the SHA-256, in hexadecimal, of what a file says that equal runs say too, and whether there is one. That is the file
// itself, but for two differences. One that is called .gz counts uncompressed. Of XML, what depends on the moment and the machine does not
// count: what stands before the root element, where SUMO notes the date and the paths of its options, elements performance of statistics,
// and how long each step of a summary took to compute (duration). r is read to its end. A file whose compression is broken, or which
// grows beyond all proportion (gz.ErrExpands), has no such sum.
func ContentSum(name string, r io.Reader) (sum string, ok bool, err error) {
	source := &readErrors{r: r}
	var content io.Reader = source
	plain, compressed := strings.CutSuffix(name, ".gz")
	if compressed {
		z, err := gz.Gunzip(source)
		if err != nil {
			return "", false, source.err
		}
		content = z
	}
	c := contentHash{sha256.New()}
	in := bufio.NewReaderSize(content, contentBuffer)
	if strings.HasSuffix(plain, ".xml") || strings.HasSuffix(plain, "cfg") { // tools leave configurations: .sumocfg, .duarcfg
		err = c.document(in)
	} else {
		_, err = in.WriteTo(c)
	}
	switch {
	case source.err != nil:
		return "", false, source.err
	case err != nil:
		return "", false, nil
	}
	return hex.EncodeToString(c.Sum(nil)), true, nil
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

// contentHash hashes what counts.
type contentHash struct{ hash.Hash }

// document hashes a document of SUMO's, which has one element a line.
func (c contentHash) document(in *bufio.Reader) error {
	if err := skipProlog(in); err != nil {
		return err
	}
	begins := true // of a line, rather than inside a long one
	for {
		line, err := in.ReadSlice('\n')
		if long := errors.Is(err, bufio.ErrBufferFull); begins && !long {
			_, _ = c.Write(withoutTimes(line))
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
func withoutTimes(line []byte) []byte {
	switch text := bytes.TrimLeft(line, " \t"); {
	case bytes.HasPrefix(text, performance) && bytes.HasSuffix(bytes.TrimRight(text, "\r\n"), []byte("/>")):
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
		return append(line[:at], rest...)
	}
	return line
}

// skipProlog reads up to the root element: the declaration, comments and blanks. A file that has something else there counts from there on.
func skipProlog(in *bufio.Reader) error {
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
		_, _ = in.Discard(n)
		if end == "" {
			continue
		}
		var last []byte // as many as end has
		for !bytes.Equal(last, []byte(end)) {
			part, err := in.ReadSlice(end[len(end)-1])
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
