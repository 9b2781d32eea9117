package gz

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"
)

// compress is text, compressed.
func compress(text []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(text) // a bytes.Buffer takes all
	_ = z.Close()
	return b.Bytes()
}

func TestWhatExpandsBeyondAllProportionIsNotRead(t *testing.T) {
	t.Parallel()
	noise := make([]byte, 1<<20)
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	var steps []byte
	for i := range 200_000 {
		steps = fmt.Appendf(steps, "    <step time=\"%d.00\" loaded=\"0\" inserted=\"0\" running=\"0\" waiting=\"0\" meanSpeed=\"-1.00\"/>\n", i)
	}
	const large = 32 << 20
	for name, tt := range map[string]struct {
		text []byte
		want error
	}{
		"empty":                              {nil, nil},
		"what SUMO writes":                   {steps, nil},
		"zeros":                              {make([]byte, large), ErrExpands},
		"an element again and again":         {bytes.Repeat([]byte("<a/>\n"), large/5), ErrExpands},
		"a small file of zeros":              {make([]byte, LeastExpanded), nil},
		"zeros behind what does not shrink":  {append(bytes.Clone(noise), make([]byte, large)...), nil},
		"zeros before what does not shrink":  {append(make([]byte, large), noise...), ErrExpands},
		"more than what went before excuses": {append(bytes.Clone(noise[:1<<16]), make([]byte, large)...), ErrExpands},
	} {
		compressed := compress(tt.text)
		for how, open := range map[string]func(io.Reader) (io.Reader, error){
			"Unpack": func(r io.Reader) (io.Reader, error) { return Unpack(r) }, "Gunzip": Gunzip,
		} {
			source := &counted{r: iotest.HalfReader(bytes.NewReader(compressed))}
			r, err := open(source)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			n, err := io.Copy(io.Discard, r)
			if !errors.Is(err, tt.want) || err == nil && n != int64(len(tt.text)) {
				t.Errorf("%s: %s reads %d of %d bytes, %v; want %v", name, how, n, len(tt.text), err, tt.want)
			}
			if most := max(LeastExpanded, MostExpansion*source.read) + Window; n > most {
				t.Errorf("%s: %s reads %d bytes from %d, more than %d", name, how, n, source.read, most)
			}
		}
	}
}
