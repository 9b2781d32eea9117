package scenario

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/xml"
)

// Setter changes attributes of the elements of one file. Elements are selected by what the stored file says, whatever becomes of it. One
// that lacks the attribute gets it, if SUMO knows it there.
type Setter struct {
	attributes []simulation.Attribute
	tallies    []tally // of each

	// Reused for each element.
	attrs   []xml.Attr
	changes []xml.Change
}

// tally is what a Setter has seen for one attribute.
type tally struct {
	name, value []byte
	numeric     bool   // the value is a number
	set, added  int    // elements, and those of them that had no such attribute
	number      string // one that became another text
	fault       string // the first one
}

// NewSetter returns a Setter for those of the attributes that are in a file; nil when none is.
func NewSetter(file string, attributes []simulation.Attribute) *Setter {
	s := &Setter{}
	for _, a := range attributes {
		if a.File == file {
			s.attributes = append(s.attributes, a)
			s.tallies = append(s.tallies, tally{name: []byte(a.Name), value: []byte(a.Value), numeric: isNumber(a.Value)})
		}
	}
	if len(s.attributes) == 0 {
		return nil
	}
	return s
}

// Set returns an element as it becomes, and the changes to it. Both are valid until the next call.
func (s *Setter) Set(e xml.Element) (xml.Element, []xml.Change) {
	original := e
	s.changes = s.changes[:0]
	for i, a := range s.attributes {
		if !selects(a, original) {
			continue
		}
		before, has := original.Lookup(a.Name)
		if !has && !understands(a.Element, a.Name) {
			continue
		}
		t := &s.tallies[i]
		t.take(a, original, before, has)
		if slices.ContainsFunc(s.changes, func(c xml.Change) bool { return c.Attribute == a.Name }) {
			t.fault = "another value of the study is for the same attribute of the same elements: remove one"
			continue
		}
		if len(s.changes) == 0 { // the element's own are the scanner's
			s.attrs = append(s.attrs[:0], e.Attrs...)
			e.Attrs = s.attrs
		}
		s.changes = append(s.changes, xml.Change{Attribute: a.Name, Value: a.Value})
		after := xml.Attr{Name: t.name, Value: t.value, Line: e.Line}
		if n := slices.IndexFunc(e.Attrs, func(other xml.Attr) bool { return string(other.Name) == a.Name }); n >= 0 {
			after.Line = e.Attrs[n].Line
			e.Attrs[n] = after
		} else {
			e.Attrs = append(e.Attrs, after)
		}
	}
	return e, s.changes
}

// take counts an element whose attribute changes.
func (t *tally) take(a simulation.Attribute, e xml.Element, before xml.Attr, has bool) {
	t.set++
	if !has {
		t.added++
	}
	if t.fault == "" && (t.set == 1 || e.Depth == 1 || a.Element == "param") { // the others have the fault of the first
		t.fault = settingFault(a, e)
	}
	if t.fault == "" && !t.numeric && isNumeric(a.Element, a.Name) {
		t.fault = fmt.Sprintf("SUMO takes a number for %s of <%s>, and %s is none: set a number", quote(a.Name), shown(a.Element), quote(a.Value))
	}
	if !t.numeric && t.number == "" && has && isNumber(string(before.Value)) {
		t.number = string(before.Value)
	}
}

// isNumber reports whether SUMO can read a text as a number or a time.
func isNumber(text string) bool {
	_, ok := xml.Float(text)
	if !ok {
		_, ok = xml.Time(text)
	}
	return ok
}

// understands reports whether SUMO knows an attribute of an element in routes and additional files.
func understands(element, attribute string) bool {
	w := vocabulary().elements[element]
	return w != nil && w.attributes[attribute]
}

// Err is why the attributes cannot be set, known when all elements have been seen: problem.ScenarioInvalid.
func (s *Setter) Err() error {
	var items []problem.Item
	for i, a := range s.attributes {
		fault := s.tallies[i].fault
		if s.tallies[i].set == 0 {
			fault = "no element matches"
		}
		if fault != "" {
			items = append(items, settingItem(a, fault))
		}
	}
	return invalidSettings(items)
}

// settingItem says what is wrong with a value for a.
func settingItem(a simulation.Attribute, fault string) problem.Item {
	return problem.Item{Message: copyable(a.String()) + ": " + fault, Value: a.String()}
}

// copyable is what names an attribute as shown, but for its quotes: a user who copies it needs them as they are.
func copyable(attribute string) string { return strings.ReplaceAll(shown(attribute), `\"`, `"`) }

// invalidSettings returns what is wrong with a study's values as one problem, or nil when nothing is.
func invalidSettings(items []problem.Item) error {
	if len(items) == 0 {
		return nil
	}
	return problem.New(problem.ScenarioInvalid, "The scenario cannot take these values: %s", items[0].Sentence()).WithItems(items...)
}

// selects reports whether an element is one of those that a changes.
func selects(a simulation.Attribute, e xml.Element) bool {
	if string(e.Name) != a.Element {
		return false
	}
	if a.Key == "" {
		return true
	}
	value, ok := e.Lookup(a.Key)
	return ok && !value.Cut && string(value.Value) == a.Equals
}

// outputElements describe outputs only.
var outputElements = map[string]bool{"edgeData": true, "laneData": true, "vTypeProbe": true, "routeProbe": true, "timedEvent": true}

// outputDevices only write; equipping vehicles with them changes what a run leaves.
var outputDevices = []string{"ssm", "fcd", "tripinfo", "vehroute", "emissions", "btreceiver", "btsender", "example"}

// deriveInstead is the cure for what a study may not set.
const deriveInstead = ": make a variant of the study with a derived scenario instead"

// namesFile reports whether an attribute or param called so names a file, as far as the word shows it.
func namesFile(word string) bool {
	word = strings.ReplaceAll(strings.ToLower(word), "profile", "") // of accelerations
	return strings.Contains(word, "file") || strings.Contains(word, "output") || word == "dest" || word == "href"
}

// settingFault says why a study may not set an attribute of an element, or "". What names a file, or decides what is read or written, is
// checked when a scenario is stored and must stay; an id is what others refer to, and part of files' names.
func settingFault(a simulation.Attribute, e xml.Element) string {
	what := fmt.Sprintf("%s of <%s>", quote(a.Name), shown(a.Element))
	switch {
	case e.Depth == 1:
		return fmt.Sprintf("%s is about the whole file, not about traffic%s", what, deriveInstead)
	case a.Name == "id":
		return fmt.Sprintf("%s is what other elements, results and names of files refer to%s", what, deriveInstead)
	case strings.Contains(a.Name, ":"), a.Name == "xmlns", strings.HasSuffix(a.Name, "chemaLocation"):
		return fmt.Sprintf("%s is about XML, not about traffic%s", what, deriveInstead)
	case namesFile(a.Name):
		return fmt.Sprintf("%s names a file, and may not differ between the points of a study%s", what, deriveInstead)
	case outputElements[a.Element]:
		return fmt.Sprintf("<%s> only describes an output, which may not differ between the points of a study%s", shown(a.Element), deriveInstead)
	case a.Element == "param":
		return paramFault(a, string(e.Attr("key")))
	}
	return ""
}

// paramFault is settingFault for the <param> with a key.
func paramFault(a simulation.Attribute, key string) string {
	lower := strings.ToLower(key)
	_, names := paramUses[key]
	_, inLights := lightUses[key]
	device := func(device string) bool {
		return strings.HasPrefix(lower, "device."+device) || lower == "has."+device+".device"
	}
	switch {
	case a.Name != "value":
		return fmt.Sprintf("of a <param>, only the value may be set%s", deriveInstead)
	case names, inLights, namesFile(key):
		return fmt.Sprintf("the <param> %s names a file, and may not differ between the points of a study%s", quote(key), deriveInstead)
	case slices.ContainsFunc(outputDevices, device):
		return fmt.Sprintf("the <param> %s changes what a run writes, which may not differ between the points of a study%s", quote(key),
			deriveInstead)
	}
	return ""
}
