package scenario

import (
	"bytes"
	"io"

	"github.com/sumo-k8/sumo-k8/pkg/sumo/xml"
)

// settingReader reads the elements of a configuration as SUMO does: every element whose value or v attribute, or text, is not
// empty sets the option of its name, at any depth.
type settingReader struct {
	// set gets an option by its name in the configuration, and its value; cut says that this is only the beginning of it.
	set func(name, value string, cut bool, line int)

	item string // the option to which text belongs
	text []byte
	cut  bool // text is only the beginning
	line int
}

func (r *settingReader) element(e xml.Element) {
	r.item, r.line, r.text, r.cut = string(e.Name), e.Line, r.text[:0], false
	for _, a := range e.Attrs {
		if n := string(a.Name); n == "value" || n == "v" {
			r.set(r.item, string(a.Value), a.Cut, a.Line)
		}
	}
}

func (r *settingReader) characters(run []byte) {
	if r.cut = r.cut || len(r.text)+len(run) > maxConfigValue; !r.cut {
		r.text = append(r.text, run...)
	}
}

func (r *settingReader) closed([]byte) {
	if r.item != "" && (r.cut || len(bytes.Trim(r.text, "\n\t ")) > 0) {
		r.set(r.item, string(r.text), r.cut, r.line)
		r.item, r.text = "", r.text[:0]
	}
}

// ReadSettings calls set with the options that a configuration sets, in its order, by their names there, until its end or a fault that ends
// SUMO's reading too, which it returns. Values that are too long for a configuration are left out.
func ReadSettings(configuration io.Reader, set func(name, value string)) error {
	r := settingReader{set: func(name, value string, cut bool, _ int) {
		if value != "" && !cut {
			set(name, value)
		}
	}}
	element := func(e xml.Element) error {
		r.element(e)
		return nil
	}
	s := xml.Scanner{Element: element, Text: r.characters, End: r.closed, MaxValue: maxConfigValue}
	return s.Scan(configuration)
}
