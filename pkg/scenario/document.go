package scenario

import (
	"bufio"
	"bytes"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/sumo-k8/sumo-k8/pkg/sumo/xml"
)

// document is what one pass over an XML file finds. Judging it depends on the configurations that use the file, so that
// happens later.
type document struct {
	root     string
	version  string // the root's attribute, which every net has
	versions bool
	written  string // the version of SUMO that wrote it, "1.20"; empty when the file does not say
	// fault is why the file could not be read to its end, at faultLine; nil when it could.
	fault     error
	faultLine int
	refs      []reference
	hazards   []hazard
	departs   departures
	// schemas are where the file says that its schema is; validated by it, SUMO ends at oddities.
	schemas  []reference
	oddities []sighting
	// classes are the vehicle classes that not every SUMO knows, by the line that names them first.
	classes map[string]int
	relies  reliances
	// detectors is whether there are some whose output becomes a table.
	detectors bool
	// roads and demand are counted in every file, and used for files that a configuration leads to.
	roads  roads
	demand departing
	// settings are the options of a .sumocfg.
	settings []setting
	network  bool // one of them is net-file
	cost     int  // what is kept of all this, in bytes of the budget
	spilled  bool // it is no longer kept, or was too much
}

// reference is a file that an XML file names.
type reference struct {
	element   string
	attribute string
	key       string // of a <param>
	value     string
	line      int
	use       use
}

// use is what SUMO does with a file that is named somewhere.
type use int

const (
	readXML   use = iota // read through the XML parser
	readOther            // read as plain text, numbers or images
	mayRead              // read when there, or in the GUI only
	readLate             // read as readOther is, once something in the run needs it: SUMO starts without it
	include              // read in place of the element
	write
	// writeHere is written relative to the folder in which SUMO was started, not to the file that names it;
	// writeByConfig, to that of the configuration.
	writeHere
	writeByConfig
	// writeSafety and writeControl are writeByConfig and writeHere up to SUMO 1.24, and write since 1.25.
	writeSafety
	writeControl
)

func (u use) writes() bool { return u >= write }

// paramUses are the keys of <param> elements whose values SUMO uses as file names.
var paramUses = map[string]use{
	"device.ssm.file": writeSafety,
	"device.toc.file": writeControl,
}

// lightUses are those that count only while SUMO reads a traffic light: of actuated, delay_based, NEMA and swarm ones.
var lightUses = map[string]use{"file": write, "SWARMLOG": writeHere}

// hazard is an attribute that no simulation needs and that must not reach SUMO.
type hazard struct {
	line    int
	message string
}

// setting is one option in a .sumocfg, by the name used there.
type setting struct {
	name, value string
	line        int
}

// departures finds late ones: see LateDepartures.
type departures struct {
	order    Order
	taken    taken
	scaled   bool // a vehicle type has a scale
	late     lateSpans
	segments []segment // up to each include, and
	segment  segment   // behind the last one
}

// segment is the departures of a file between two files that it includes.
type segment struct {
	known   bool
	first   LateDeparture // that is in order in its file, if it is known
	order   Order         // at the end of the segment
	include string        // the file that follows, as it is named
}

// documentReader turns the elements of one file into a document.
type documentReader struct {
	doc    *document
	budget *budget
	seen   map[reference]bool
	shapes [][]byte        // see words
	light  int             // depth of the traffic light or junction that is being read, 0 outside
	opened opened          // the latest element that SUMO takes when it has ended
	recent [2]*word        // the words found last
	lists  map[string]bool // of vehicle classes, that have been looked at

	settings settingReader // of a configuration
}

// maxPathValue is the longest path that Linux takes; longer values of attributes can name no file.
const maxPathValue = 4096

// maxConfigValue allows a configuration to name thousands of route files in one option.
const maxConfigValue = 256 << 10

// prologue is how much of a file is looked at for its root: SUMO writes the options of a run into a comment before it.
const prologue = 16 << 10

// rootOf returns the name of the first element, as far as the beginning of a file in ASCII shows it.
func rootOf(head []byte) string {
	m := beforeRoot.FindSubmatch(head)
	if m == nil {
		return ""
	}
	return string(m[1])
}

var beforeRoot = regexp.MustCompile(`^\x{FEFF}?(?s:\s*<\?.*?\?>|\s*<!--.*?-->)*\s*<([A-Za-z][A-Za-z0-9:-]*)`)

// writer is how SUMO's programs sign what they write; versions under development have underscores.
var writer = regexp.MustCompile(`by Eclipse SUMO \S+ (?:Version )?v?(\d+)[._](\d+)`)

// readDocument reads a whole XML file, as a configuration if it is one or isConfig says so. Beside an error, which is also the
// document's fault, it returns what was read. What exceeds the budget is left out, and the document is marked as spilled. Elements are
// read as set changes them, which may be nil.
func readDocument(r *bufio.Reader, isConfig bool, set *Setter, b *budget) (*document, error) {
	d := &documentReader{doc: &document{}, budget: b}
	s := xml.Scanner{Element: d.element, End: d.ended, MaxValue: maxPathValue, Namespaces: true}
	head, _ := r.Peek(prologue) // the next read returns the error again
	if m := writer.FindSubmatch(head); m != nil {
		d.doc.written = string(m[1]) + "." + string(m[2])
	}
	if isConfig || isConfigRoot(rootOf(head)) {
		// Another configuration may name it as an input, so it is read as one too.
		both := func(e xml.Element) error {
			d.root(e)
			d.settings.element(e)
			return d.element(e)
		}
		d.settings.set = d.set
		closed := func(name []byte) {
			d.ended(name)
			d.settings.closed(name)
		}
		s = xml.Scanner{Element: both, Text: d.settings.characters, End: closed, MaxValue: maxConfigValue}
	}
	if set != nil {
		element := s.Element
		s.Element = func(e xml.Element) error {
			e, _ = set.Set(e)
			return element(e)
		}
	}
	err := s.Scan(r)
	if err != nil {
		d.doc.fault, d.doc.faultLine = err, s.Line()
	}
	return d.doc, err
}

// take takes room for a record with n bytes of text, and reports whether there is any.
func (d *documentReader) take(n int) bool {
	if d.doc.spilled = d.doc.spilled || !d.budget.take(n, d.doc.cost); d.doc.spilled {
		return false
	}
	d.doc.cost += n + record
	return true
}

// root takes the first element.
func (d *documentReader) root(e xml.Element) {
	if e.Depth == 1 {
		d.doc.root = string(e.Name)
		var version xml.Attr
		version, d.doc.versions = e.Lookup("version")
		d.doc.version = string(version.Value)
	}
}

func (d *documentReader) element(e xml.Element) error {
	d.root(e)
	if d.doc.root == "net" {
		d.doc.roads.element(e)
	} else {
		d.words(e)
	}
	d.reliance(e)
	if e.Depth <= d.light {
		d.light = 0
	}
	switch string(e.Name) {
	case "tlLogic", "junction": // which share a reader in SUMO
		if d.light == 0 {
			d.light = e.Depth
		}
	case "vehicle", "trip", "person", "container":
		d.departure(e, "depart")
	case "flow", "personFlow", "containerFlow":
		d.departure(e, "begin")
	case "calibrator":
		d.doc.demand.untimed = true
	case "e1Detector", "inductionLoop", "e2Detector", "laneAreaDetector", "e3Detector", "entryExitDetector":
		d.doc.detectors = true
	case "vType":
		_, scaled := e.Lookup("scale")
		d.doc.departs.scaled = d.doc.departs.scaled || scaled
	case "param":
		d.param(e)
		return nil
	}
	for _, a := range e.Attrs {
		switch string(a.Name) {
		default:
			if bytes.HasSuffix(a.Name, []byte("chemaLocation")) {
				d.schema(e, a)
			}
		case "vClass", "allow", "disallow":
			d.vehicleClasses(a)
		case "id":
			// SUMO makes file names out of ids (ssm_<id>.xml); with a folder called 'ssm_..' in the zip, the id '../../x' would leave it.
			// Up to 1.24 it also decodes percent signs in them.
			switch {
			case a.Cut:
				d.tooLong(a)
			case leavesFolder(a.Value):
				d.hazard(a.Line, "the id "+quote(string(a.Value))+" contains '..' as a folder; SUMO names output files after ids: choose another id")
			}
		case "emissionClass":
			switch {
			case a.Cut:
				d.tooLong(a)
			case bytes.Contains(a.Value, []byte("..")):
				d.hazard(a.Line, "the emission class "+quote(string(a.Value))+" contains '..': use one of SUMO's classes")
			}
		case "href":
			if string(e.Name) == "include" {
				d.ref(e, a, include)
				d.doc.departs.taken.maybe = true
				if departs := &d.doc.departs; !a.Cut && d.take(len(a.Value)) {
					departs.segment.order, departs.segment.include = departs.order, string(a.Value)
					departs.segments, departs.segment = append(departs.segments, departs.segment), segment{}
				}
			}
		case "edgesFile":
			d.ref(e, a, readOther)
		case "dest", "outfile", "output-file":
			d.ref(e, a, write)
		case "output":
			d.ref(e, a, writeHere)
		case "file":
			switch string(e.Name) {
			case "variableSpeedSign", "calibrator":
				d.ref(e, a, readXML)
			case "rerouter": // which SUMO never opens
			default:
				d.ref(e, a, write)
			}
		}
	}
	return nil
}

// schema records where a file, or a schema, says that a schema is. xsi:schemaLocation has pairs of a namespace and a place.
func (d *documentReader) schema(e xml.Element, a xml.Attr) {
	if a.Cut {
		d.tooLong(a)
		return
	}
	places := []string{string(a.Value)}
	if bytes.HasSuffix(a.Name, []byte(":schemaLocation")) {
		places = strings.FieldsFunc(places[0], func(c rune) bool { return strings.ContainsRune(blanks, c) })
		for i := range len(places) / 2 {
			places[i] = places[2*i+1]
		}
		places = places[:len(places)/2]
	}
	for _, place := range places {
		if d.take(len(place)) {
			d.doc.schemas = append(d.doc.schemas, reference{element: string(e.Name), attribute: string(a.Name), value: place, line: a.Line})
		}
	}
}

func (d *documentReader) param(e xml.Element) {
	value, ok := e.Lookup("value")
	if !ok {
		return
	}
	key := string(e.Attr("key"))
	u, ok := paramUses[key]
	if !ok && d.light > 0 {
		u, ok = lightUses[key]
	}
	if ok {
		d.keyedRef(e, value, u, key)
	}
}

var escapes = strings.NewReplacer("%2e", ".", "%2E", ".", "%2f", "/", "%2F", "/")

// leavesFolder reports whether a name made from id may contain '..' as a folder.
func leavesFolder(id []byte) bool {
	if !bytes.Contains(id, []byte("..")) && !bytes.Contains(id, []byte("%2")) {
		return false
	}
	return slices.Contains(strings.Split(escapes.Replace(string(id)), "/"), "..")
}

func (d *documentReader) ref(e xml.Element, a xml.Attr, u use) { d.keyedRef(e, a, u, "") }

func (d *documentReader) keyedRef(e xml.Element, a xml.Attr, u use, key string) {
	if a.Cut {
		d.tooLong(a)
		return
	}
	r := reference{element: string(e.Name), attribute: string(a.Name), key: key, value: string(a.Value), use: u}
	if d.seen[r] || d.doc.spilled {
		return
	}
	if d.seen == nil {
		d.seen = map[reference]bool{}
	}
	d.seen[r] = true
	if !d.take(2 * (len(r.value) + len(r.element))) {
		return
	}
	r.line = a.Line
	d.doc.refs = append(d.doc.refs, r)
}

// tooLong refuses an attribute whose end was not read.
func (d *documentReader) tooLong(a xml.Attr) {
	d.hazard(a.Line, "the attribute "+quote(string(a.Name))+" is longer than a file name can be: shorten it")
}

// maxHazards of one file are reported; more would not help.
const maxHazards = 100

func (d *documentReader) hazard(line int, message string) {
	if len(d.doc.hazards) < maxHazards && d.take(len(message)) {
		d.doc.hazards = append(d.doc.hazards, hazard{line, message})
	}
}

func (d *documentReader) departure(e xml.Element, attr string) {
	if e.Depth != 2 { // within calibrators, flows may come in any order
		d.doc.departs.taken.maybe = true
		return
	}
	d.doc.demand.count(string(e.Name))
	var text []byte
	a, timed := e.Lookup(attr)
	if text = a.Value; !timed && attr == "begin" {
		text = []byte("0") // a flow without begin begins with the simulation, which is not before
	}
	seconds, ok := xml.Time(string(text))
	if !ok { // "triggered", "now" and the like depart when something happens
		d.doc.demand.untimed = true
		return
	}
	last := seconds
	end, ok := e.Lookup("end")
	d.doc.demand.open = d.doc.demand.open || attr == "begin" && !ok
	if ok {
		if t, ok := xml.Time(string(end.Value)); ok {
			last = max(last, t)
		}
	}
	d.doc.demand.span(seconds, last)
	_, transit := e.Lookup("line")
	gap := d.doc.departs.order.Drops(seconds, transit)
	depart := int64(math.Round(seconds * 1000))
	if gap == 0 {
		if s := &d.doc.departs.segment; !s.known && timed {
			s.known, s.first = true, LateDeparture{Vehicle: quote(string(e.Attr("id"))), Line: e.Line, Depart: depart}
		}
		switch {
		case transit:
		case attr == "begin" && !flows(e, depart):
			d.doc.departs.taken.maybe = true
		default:
			d.opened.name, d.opened.depart = append(d.opened.name[:0], e.Name...), depart
		}
		return
	}
	late := LateDeparture{quote(string(e.Attr("id"))), e.Line, depart, gap}
	switch {
	case d.doc.spilled:
	case !timed:
		d.doc.departs.late.addAtBegin(late)
	case d.doc.departs.late.add(late):
		d.take(len(late.Vehicle))
	}
}

func (d *documentReader) set(item, value string, cut bool, line int) {
	if value == "" {
		return
	}
	if cut {
		d.hazard(line, "the value of "+item+" is too long")
		return
	}
	if o := options()[item]; o != nil && o.name == "net-file" {
		d.doc.network = true
	}
	if d.take(len(value)) {
		d.doc.settings = append(d.doc.settings, setting{item, value, line})
	}
}
