package logs

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

func TestTheTailIsTheMostThatFitsFromTheStartOfALine(t *testing.T) {
	t.Parallel()
	readers := map[string]func(io.Reader) io.Reader{
		"whole": func(r io.Reader) io.Reader { return r }, "byte by byte": iotest.OneByteReader, "with its end": iotest.DataErrReader,
	}
	rapid.Check(t, func(t *rapid.T) {
		lines := rapid.SliceOfN(rapid.StringMatching(`[a-z]{0,12}`), 0, 40).Draw(t, "lines")
		whole := strings.Join(lines, "\n")
		most := rapid.IntRange(1, 60).Draw(t, "most")
		how := rapid.SampledFrom([]string{"whole", "byte by byte", "with its end"}).Draw(t, "reader")
		text, skipped, err := tail(readers[how](strings.NewReader(whole)), 0, most)
		if err != nil {
			t.Fatal(err)
		}
		want := len(whole)
		for at := range len(whole) {
			if startsLine := at == 0 || whole[at-1] == '\n'; startsLine && len(whole)-at <= most {
				want = at
				break
			}
		}
		if want == len(whole) { // the last line alone is too long
			want = len(whole) - min(most, len(whole))
		}
		if string(text) != whole[want:] || skipped != int64(want) {
			t.Errorf("the last %d bytes of %q are %q after %d bytes, want %q after %d", most, whole, text, skipped, whole[want:], want)
		}
	})
}

func TestTheTailOfALongLogTakesLittleMemory(t *testing.T) {
	t.Parallel()
	const window, line = 1 << 10, "0123456789abcde\n"
	log := io.LimitReader(endless(line), 8<<20)
	text, skipped, err := tail(log, 0, window)
	if err != nil || skipped != 8<<20-window || string(text) != strings.Repeat(line, window/len(line)) {
		t.Fatalf("%d bytes after %d, %v", len(text), skipped, err)
	}
	if most := 256 << 10; cap(text) > most {
		t.Errorf("held %d bytes, want at most %d", cap(text), most)
	}
}

// endless repeats itself for ever.
type endless string

func (e endless) Read(p []byte) (int, error) {
	n := copy(p, bytes.Repeat([]byte(e), len(p)/len(e)))
	return n, nil
}

func TestALogThatCannotBeReadHasNoTail(t *testing.T) {
	t.Parallel()
	broken := errors.New("connection reset")
	if _, _, err := tail(io.MultiReader(strings.NewReader("begin\n"), iotest.ErrReader(broken)), 0, 10); !errors.Is(err, broken) {
		t.Errorf("tail() gives %v", err)
	}
}
