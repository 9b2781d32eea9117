package run

import (
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

func TestDocumentsAreDivided(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("<timestep/>", 10_000)
	for name, want := range map[string][]string{
		"none":                 nil,
		"one":                  {"<?xml?><a></a>"},
		"several":              {"<?xml?><a></a>", "<?xml?><b>" + long, "<?xml?>" + long, "<?xml?>"},
		"cut off":              {"<?xml?><a><?xm", "<?xml?><b><", "<?xml?><c"},
		"no declaration":       {"<a/>", "<?xml?><b/>"},
		"one behind the other": {"<?xml", "<?xml", "<?xml?>"},
		"the end of one":       {"<?xml?><a/><?x"},
		"a tail at a buffer":   {strings.Repeat("x", copyBuffer-2), "<?xml?>" + strings.Repeat("<?xm", copyBuffer)},
	} {
		for kind, source := range map[string]func(io.Reader) io.Reader{
			"at once": func(r io.Reader) io.Reader { return r }, "byte by byte": iotest.OneByteReader, "with its end": iotest.DataErrReader,
		} {
			t.Run(name+" "+kind, func(t *testing.T) {
				t.Parallel()
				var got []string
				for each := newDocuments(source(strings.NewReader(strings.Join(want, "")))); each.next(); {
					text, err := io.ReadAll(each)
					if err != nil {
						t.Fatal(err)
					}
					got = append(got, string(text))
				}
				if !slices.Equal(got, want) {
					t.Errorf("got %d documents, want %d: %.200q", len(got), len(want), got)
				}
			})
		}
	}
}
