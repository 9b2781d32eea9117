package scenario

import (
	"bytes"
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/sumo-k8/sumo-k8/pkg/sumo/xml"
)

// words.txt has the elements of routes and additional files, each with its attributes, of every SUMO on offer, from the schemas that it
// carries. Its first line has the names of all schemas.
//
//go:embed words.txt
var wordList string

const schemasLine = "schemas:"

// word is an element that SUMO knows.
type word struct {
	name       string
	number     int
	attributes map[string]bool
	needsFile  bool // SUMO does not start when the attribute file is missing
}

// writers are elements that SUMO refuses without a file for their results.
var writers = map[string]bool{
	"e1Detector": true, "inductionLoop": true, "e2Detector": true, "laneAreaDetector": true, "e3Detector": true, "entryExitDetector": true,
	"instantInductionLoop": true, "edgeData": true, "laneData": true, "routeProbe": true, "vTypeProbe": true,
}

type dictionary struct {
	elements map[string]*word
	schemas  map[string]bool
}

var vocabulary = sync.OnceValue(func() dictionary {
	d := dictionary{map[string]*word{}, map[string]bool{}}
	for line := range strings.Lines(wordList) {
		fields := strings.Fields(line)
		names := map[string]bool{}
		for _, name := range fields[1:] {
			names[name] = true
		}
		if fields[0] == schemasLine {
			d.schemas = names
			continue
		}
		d.elements[fields[0]] = &word{fields[0], len(d.elements), names, writers[fields[0]]}
	}
	return d
})

// numbers.txt has the elements of routes, additional files and networks, each with those of its attributes that hold a number and nothing
// else in the schemas of every SUMO on offer.
//
//go:embed numbers.txt
var numberList string

var numeric = sync.OnceValue(func() map[string][]string {
	of := map[string][]string{}
	for line := range strings.Lines(numberList) {
		fields := strings.Fields(line)
		of[fields[0]] = fields[1:]
	}
	return of
})

// isNumeric reports whether SUMO takes numbers only for an attribute of an element.
func isNumeric(element, attribute string) bool { return slices.Contains(numeric()[element], attribute) }

// oddity is an element or attribute that SUMO does not know.
type oddity struct{ element, attribute string }

// sighting is where an oddity is first, and how often it is there.
type sighting struct {
	oddity
	line, count int
}

// maxOddities of one file are kept; more would not help.
const maxOddities = 20

// words looks for oddities. Elements of one kind mostly have the same attributes in the same order: shapes holds the last known good
// ones of each, which costs a comparison instead of a look into the dictionary for each attribute.
func (d *documentReader) words(e xml.Element) {
	if e.Depth == 1 {
		return
	}
	w := d.word(e.Name)
	if w == nil {
		d.odd(e.Line, string(e.Name), "")
		return
	}
	if w.needsFile && e.Attr("file") == nil {
		d.hazard(e.Line, "<"+string(e.Name)+"> has no attribute file, and SUMO does not start without it: name the file for its results")
	}
	if d.shapes == nil {
		d.shapes = make([][]byte, len(vocabulary().elements))
	}
	shape := d.shapes[w.number]
	if len(shape) == 0 && len(d.doc.oddities) >= maxOddities {
		return
	}
	for _, a := range e.Attrs {
		n := len(a.Name)
		if len(shape) <= n || shape[n] != ' ' || !bytes.Equal(shape[:n], a.Name) {
			d.shape(e, w)
			return
		}
		shape = shape[n+1:]
	}
}

// word looks up an element. Most files consist of two kinds, which take turns.
func (d *documentReader) word(name []byte) *word {
	for _, w := range d.recent {
		if w != nil && w.name == string(name) {
			return w
		}
	}
	w := vocabulary().elements[string(name)]
	d.recent[0], d.recent[1] = w, d.recent[0]
	return w
}

// shape looks up each attribute of an element, and remembers them when all are known.
func (d *documentReader) shape(e xml.Element, w *word) {
	shape, good := d.shapes[w.number][:0], true
	for _, a := range e.Attrs {
		if !w.attributes[string(a.Name)] && !w.attributes["*"] && !strings.Contains(string(a.Name), ":") && string(a.Name) != "xmlns" {
			d.odd(a.Line, string(e.Name), string(a.Name))
			good = false
		}
		shape = append(append(shape, a.Name...), ' ')
	}
	if !good {
		shape = shape[:0]
	}
	d.shapes[w.number] = shape
}

func (d *documentReader) odd(line int, element, attribute string) {
	what := oddity{element, attribute}
	i := slices.IndexFunc(d.doc.oddities, func(s sighting) bool { return s.oddity == what })
	switch {
	case i >= 0:
		d.doc.oddities[i].count++
	case len(d.doc.oddities) < maxOddities && d.take(len(element)+len(attribute)):
		d.doc.oddities = append(d.doc.oddities, sighting{what, line, 1})
	}
}

// oddities notes the words in a file that SUMO ignores in silence, because the file names no schema.
func (r *judgement) oddities(name string, doc *document) {
	for _, s := range doc.oddities {
		if r.fullOf(true) {
			return // a hint is not cheap
		}
		times := ""
		if s.count > 1 {
			times = fmt.Sprintf(" (%d times)", s.count)
		}
		elements := vocabulary().elements
		if s.attribute == "" {
			hint := ""
			if near := nearest(s.element, slices.Sorted(maps.Keys(elements))); near != "" {
				hint = "; did you mean <" + near + ">?"
			}
			r.warnStrict(at(name, s.line), "SUMO ignores <%s>%s, because it does not know it%s", shown(s.element), times, hint)
			continue
		}
		hint := ""
		if near := nearest(s.attribute, slices.Sorted(maps.Keys(elements[s.element].attributes))); near != "" {
			hint = "; did you mean " + quote(near) + "?"
		}
		r.warnStrict(at(name, s.line), "SUMO ignores the attribute %s of <%s>%s, because it does not know it%s", quote(s.attribute),
			shown(s.element), times, hint)
	}
}
