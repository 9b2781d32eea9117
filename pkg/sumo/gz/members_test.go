package gz

import (
	"bufio"
	"compress/gzip"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// TestCompressedTextThatIsCutOffEndsThere has gzip as SUMO reads it: see TestCompressedInputsAreReadAsFarAsTheyGo of package run.
func TestCompressedTextThatIsCutOffEndsThere(t *testing.T) {
	t.Parallel()
	pack := func(text string) string { return string(compress([]byte(text))) }
	const text = "<routes>and so on</routes>"
	whole, other := pack(text), pack("more")
	gone := errors.New("the connection is lost")
	for name, test := range map[string]struct {
		packed io.Reader
		want   string
		err    error
	}{
		"whole":                         {strings.NewReader(whole), text, nil},
		"without a part of its trailer": {strings.NewReader(whole[:len(whole)-4]), text, nil},
		"without its trailer":           {strings.NewReader(whole[:len(whole)-8]), text, nil},
		"its header only":               {strings.NewReader(whole[:10]), "", nil},
		"two members":                   {strings.NewReader(whole + other), text + "more", nil},
		"an empty member between":       {strings.NewReader(whole + pack("") + other), text + "more", nil},
		"a second one that is cut off":  {strings.NewReader(whole + other[:5]), text, nil},
		"something else behind":         {strings.NewReader(whole + "junk"), text, gzip.ErrHeader},
		"another checksum":              {strings.NewReader(whole[:len(whole)-8] + "1234" + whole[len(whole)-4:]), text, gzip.ErrChecksum},
		"a reader that fails":           {io.MultiReader(strings.NewReader(whole[:len(whole)-4]), iotest.ErrReader(gone)), text, gone},
		"one that fails as a cut does": {
			io.MultiReader(strings.NewReader(whole[:len(whole)-4]), iotest.ErrReader(io.ErrUnexpectedEOF)), text, io.ErrUnexpectedEOF,
		},
	} {
		z, err := Members(bufio.NewReader(test.packed))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got, err := io.ReadAll(z); string(got) != test.want || !errors.Is(err, test.err) || test.err == nil && err != nil {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
}
