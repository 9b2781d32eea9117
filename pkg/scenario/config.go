package scenario

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/xml"
)

// judgement is what is found about one configuration: what SUMO would read and write if it ran it.
type judgement struct {
	*inspection
	report   // of this configuration
	config   string
	values   map[string]string // by the option's own name
	prefix   string            // what SUMO puts before the names of outputs,
	suffix   string            // and behind them
	visited  map[string]bool   // files already followed,
	visits   map[visit]bool    // in each way
	schemata map[string]bool   // files already judged as schemas
	active   []string          // files that include each other, outermost first
	reads    map[string]bool
	outputs  map[string]bool
	moved    map[string]string // outputs that cannot keep their names, to those that they get
	numbers  numbers
	// stays are outputs that keep their names, reserved those of an earlier look: a name that moves must not take one of them.
	stays, reserved map[string]bool
	spent           map[string]bool // files that SUMO has read before it opens its outputs
	rewrites        map[string][]Rewrite
	needs           []Need
	late            []LateDepartures
	carried         int
	brokenRoutes    []BrokenRoutes
	routeSteps      float64  // for how many seconds vehicles are loaded at a time; all at once if it is not positive
	routeFiles      int      // how many the configuration names
	read            []Option // the configuration's options, as we read them
}

// judgeConfig judges one configuration. Where outputs move, it looks twice, since only then the names that stay are known.
func (in *inspection) judgeConfig(name string) (Config, *judgement) {
	c, r := in.judgeWith(name, nil)
	if len(r.moved) > 0 && len(r.stays) > 0 {
		return in.judgeWith(name, r.stays)
	}
	return c, r
}

func (in *inspection) judgeWith(name string, reserved map[string]bool) (Config, *judgement) {
	r := &judgement{
		inspection: in, config: name, values: map[string]string{}, visited: map[string]bool{}, reads: map[string]bool{},
		visits: map[visit]bool{}, schemata: map[string]bool{},
		outputs: map[string]bool{}, moved: map[string]string{}, numbers: numbers{}, stays: map[string]bool{}, reserved: reserved,
		routeSteps: DefaultRouteSteps,
	}
	clear(in.held)
	c := Config{Path: name}
	if doc := r.configuration(); doc != nil {
		r.hazards(name, doc)
		known := r.options(doc.settings)
		c.Begin, c.End = r.interval(known)
		c.Seed, c.Random = seedOf(known)
		c.Threads = max(number(r.values["threads"]), number(r.values["device.rerouting.threads"]))
		r.files(known)
		r.doubtBroken()
		r.carryAll(name, known)
		c.Options, c.Rewrites, c.Needs, c.Late = r.read, r.rewrites, r.needs, r.late
		c.Broken = r.brokenRoutes
		c.Outputs, c.Reads = slices.Sorted(maps.Keys(r.outputs)), slices.Sorted(maps.Keys(r.reads))
		if r.found == 0 { // with files broken or missing, the facts would mislead
			network, demand := r.facts()
			c.Network, c.Demand = &network.Network, &demand.Demand
			c.Untimed, c.Endless = demand.untimed || r.values["load-state"] != "", demand.open
			c.Detectors = r.detects()
			r.reliance(&c)
		}
	}
	c.Problems, c.Warnings = r.all(), r.warnings
	return c, r
}

// configuration returns the configuration's own document, nil when it cannot be one.
func (r *judgement) configuration() *document {
	f := r.inspection.files[r.config]
	if !r.usable(r.config, f) {
		return nil
	}
	switch doc := f.doc; {
	case doc == nil:
		r.fault(r.config, "is empty or not XML: it should begin with <configuration>")
	case doc.fault != nil:
		r.faultIn(r.config, doc)
	case strings.EqualFold(doc.root, "html"):
		r.fault(r.config, webPage)
	case strangers[doc.root] && !isConfigRoot(doc.root), doc.root == "net", doc.root == "routes", doc.root == "additional":
		r.fault(r.config, "is not a SUMO configuration: it begins with <%s>, not with <configuration>", shown(doc.root))
	default:
		if fault := configFault(r.config); fault != "" {
			r.fault(r.config, "%s", fault)
			return nil
		}
		return doc
	}
	return nil
}

// usable records that the configuration leads to a file in the zip, and reports whether that can be read at all.
func (r *judgement) usable(name string, f *file) bool {
	r.used[name], r.reads[name] = true, true
	r.hold(name, f)
	if f.twice {
		r.warn(name, "is in the zip twice: the last one counts")
	}
	switch {
	case f.fault != "":
		r.fault(name, "%s", f.fault)
	case f.pointer:
		r.fault(name, "is a pointer of Git LFS, not the file itself: fetch it with `git lfs pull`, then make the zip again")
	default:
		return true
	}
	return false
}

// seedOf returns the random seed that options set, and whether SUMO would draw one for each run.
func seedOf(known []chosen) (seed *int64, random bool) {
	for _, c := range known {
		switch c.option.name {
		case "seed":
			if n, ok := xml.Int(c.value, 64); ok {
				seed = &n
			}
		case "random":
			random = isTrue(c.value)
		}
	}
	return seed, random
}

// configFault says why no run can start with a configuration at this path, or "". SUMO prepends the folder to the names in it and
// parses the result, so characters that are special in a name are special in the folder.
func configFault(name string) string {
	const cure = ", which SUMO does not read literally in the folder of a configuration: rename the folder"
	dir := path.Dir(name)
	switch {
	case strings.Contains(dir, ":"):
		return "contains ':'" + cure
	case strings.Contains(dir, "%"):
		return "contains '%'" + cure
	case strings.Contains(dir, ","):
		return "contains ','" + cure
	case strings.Contains(dir, "${"):
		return "contains '${'" + cure
	}
	return ""
}

// chosen is a setting with the option it sets.
type chosen struct {
	*option
	setting
}

// options checks each setting on its own and returns those that set usable options.
func (r *judgement) options(settings []setting) []chosen {
	var known []chosen
	for _, s := range settings {
		location := at(r.config, s.line)
		o := options()[s.name]
		if o == nil {
			r.unknown(location, s.name)
			continue
		}
		if forbidden[o.name] != "" {
			r.fault(location, "the option %s is not allowed (%s): remove it", o.name, forbidden[o.name])
			continue
		}
		if _, twice := r.values[o.name]; twice {
			r.fault(location, "the option %s is set twice, which SUMO refuses: remove one", o.name)
			continue
		}
		r.values[o.name] = s.value
		r.needs = append(r.needs, o.needs(location)...)
		if reason, ok := replaced[o.name]; ok {
			if reason != "" {
				r.warn(location, "%s has no effect: %s", o.name, reason)
			}
			continue
		}
		if fault := o.typeFault(s.value); fault != "" {
			if o.kind == "TIME" {
				r.fault(location, "the value %s of %s %s", quote(s.value), o.name, fault)
			} else {
				r.warnStrict(location, "the value %s of %s %s, so SUMO ignores the option: correct it", quote(s.value), o.name, fault)
			}
			continue
		}
		if plain := variable.ReplaceAllString(s.value, ""); plain != s.value && outputAffixes[o.name] {
			r.warn(location, "%s: %s %s; it is read as %s", o.name, quote(s.value), variableNote, quote(plain))
			s.value = plain
		}
		if o.name == "output-prefix" {
			s.value = r.within(location, s.value)
		}
		if fault := o.valueFault(s.value); fault != "" {
			r.fault(location, "the value %s of %s %s", quote(s.value), o.name, fault)
			continue
		}
		if o.name == "pedestrian.model" && s.value == "remote" {
			r.fault(location, "%s", remotePedestrians)
		}
		known = append(known, chosen{o, s})
	}
	return known
}

// within brings a prefix of outputs' names inside the scenario: its folders may lead nowhere else.
func (r *judgement) within(location, prefix string) string {
	inside := strings.ReplaceAll(prefix, `\`, "/")
	if strings.HasPrefix(inside, "/") || slices.Contains(strings.Split(inside, "/"), "..") {
		inside = inside[strings.LastIndexByte(inside, '/')+1:]
	}
	if inside != prefix {
		r.warn(location, "output-prefix %s leads outside the scenario: it is read as %s", quote(prefix), quote(inside))
	}
	return inside
}

func (r *judgement) unknown(location, name string) {
	hint := ""
	if !r.full() {
		if near := nearestOption(name); near != "" {
			hint = " Did you mean " + near + "?"
		}
	}
	r.fault(location, "the option %s is unknown to every SUMO up to %s: remove it.%s", quote(name), newestVersion(), hint)
}

// DefaultRouteSteps is SUMO's default of route-steps, in seconds.
const DefaultRouteSteps = 200

// interval reads begin and end, in seconds, and what else decides which vehicles are loaded.
func (r *judgement) interval(known []chosen) (begin, end *float64) {
	for _, c := range known {
		value, ok := xml.Time(c.value)
		if !ok {
			continue
		}
		switch c.option.name {
		case "begin":
			begin = &value
		case "end":
			if !unending(value) {
				end = &value
			}
		case "route-steps":
			r.routeSteps = value
		}
	}
	for _, c := range known {
		switch c.option.name {
		case "output-prefix":
			r.prefix = c.value
		case "output-suffix":
			r.suffix = c.value
		}
	}
	return begin, end
}

// files follows all files that the options name, and records what each option is set to.
func (r *judgement) files(known []chosen) {
	dir := path.Dir(r.config)
	hasNet := false
	r.spent = map[string]bool{r.config: true}
	for _, c := range known {
		if c.option.name == "net-file" {
			for _, n := range c.names(dir, c.value, readXML) {
				net, _ := r.find(n.name)
				r.spent[net] = true
			}
		}
	}
	for _, c := range known {
		u, ok := c.use()
		if !ok {
			r.read = append(r.read, Option{Name: c.option.name, Value: c.value})
			continue
		}
		if u == readLate && r.values[neededBy[c.option.name]] != "" {
			u = readOther
		}
		o := Option{Name: c.option.name, Writes: u.writes()}
		role := map[string]role{"net-file": roleNet, "route-files": roleRoutes, "additional-files": roleAdditional}[c.option.name]
		location := at(r.config, c.line)
		names := c.names(dir, c.value, u)
		if role == roleRoutes {
			r.routeFiles = len(names)
		}
		for _, n := range names {
			if n.fault != "" {
				r.fault(location, "%s: %s %s", c.option.name, quote(n.text), n.fault)
				continue
			}
			if n.name != devNull {
				bare := strings.TrimSuffix(n.name, "/")
				name := r.settle(c.option.name, location, n.text, n.placed, u)
				r.apply(name, c.option.name, location, u, role)
				n.name = name + n.name[len(bare):]
			}
			o.Files = append(o.Files, n.name)
		}
		r.read = append(r.read, o)
		hasNet = hasNet || role == roleNet
	}
	if r.values["phemlight-path"] == "" {
		r.optional(defaultPHEMlight, nil)
	}
	if !hasNet {
		r.fault(r.config, "names no network: add <net-file value=\"….net.xml\"/>")
	}
	r.writes()
}

// writes judges the outputs, once all are known.
func (r *judgement) writes() {
	made := map[string]bool{} // folders, by a run
	for _, output := range slices.Sorted(maps.Keys(r.outputs)) {
		if r.reads[output] {
			r.fault(r.config, "%s is read and also written, and SUMO empties it before it reads it: give the output another name", quote(output))
		}
		if strings.Count(output, "/") > maxFolders {
			r.fault(r.config, "the output %s is more than %d folders deep: choose another name", quote(output), maxFolders)
			continue
		}
		for parent := path.Dir(output); parent != "."; parent = path.Dir(parent) {
			made[parent] = true
			if r.inspection.files[parent] != nil {
				r.fault(r.config, "the output %s cannot be written, because %s is a file and not a folder: choose another name",
					quote(output), quote(parent))
			}
		}
		if len(made) > r.folders {
			r.fault(r.config, "the outputs are in more than %d folders: write them into fewer", r.folders)
			return
		}
	}
}

// defaultPHEMlight is the folder of emission tables in the top folder that SUMO uses unless phemlight-path says otherwise.
const defaultPHEMlight = "PHEMlight"

// logs are the outputs that SUMO opens before it reads the network.
var logs = map[string]bool{"log": true, "message-log": true, "error-log": true}

// settle decides where in the scenario a placed file is: an output outside gets a name that nothing else has, an input is found under
// the form of the name that the zip has. what is the option or element that names it as text.
func (r *judgement) settle(what, location, text string, p placed, u use) string {
	name := strings.TrimSuffix(p.name, "/")
	if !u.writes() {
		found, exactly := r.find(name)
		switch {
		case !exactly:
			r.warn(location, "%s: %s is read as %s, the same letters in another form", what, quote(text), quote(found))
		case p.note != "":
			r.warn(location, "%s: %s %s; it is read as %s", what, quote(text), p.note, quote(found))
		}
		return found
	}
	if final := r.affixed(name); r.spent[final] && (final == r.config || !logs[what]) {
		p.moved, p.note = cmp.Or(p.moved, name), cmp.Or(p.note, "is also read")
	}
	if p.moved == "" && p.note == "" {
		r.stays[name] = true
		return name
	}
	key := cmp.Or(p.moved, name+"\x00"+text)
	if streams[p.moved] || strings.HasPrefix(p.moved, "/dev/") {
		key = what + "\x00" + p.moved // on the console, everything has its own name
	}
	if known := r.moved[key]; known != "" {
		name = known
	} else {
		name = r.numbers.free(name, func(name string) bool {
			return r.reserved[name] || r.outputs[r.affixed(name)] || r.spent[r.affixed(name)] || r.inspection.files[name] != nil
		})
		r.moved[key] = name
	}
	if p.note != "" {
		r.warn(location, "%s: %s %s; the output is returned as %s", what, quote(text), p.note, quote(r.affixed(name)))
	}
	return name
}

// affixed is the name that an output gets in the end.
func (r *judgement) affixed(name string) string {
	return Affixed(name, r.prefix, r.suffix)
}

// Affixed is the name of an output behind SUMO's output-prefix and output-suffix: SUMO puts the prefix before the last part of the
// name, and the suffix before the first dot of that.
func Affixed(name, prefix, suffix string) string {
	dir, base := path.Split(name)
	stem, extension := base, ""
	if i := strings.IndexByte(base, '.'); i >= 0 {
		stem, extension = base[:i], base[i:]
	}
	return path.Join(dir, prefix+stem+suffix+extension)
}

// fromStart reports whether SUMO looks for an input where it was started, whatever names it: a name with a colon is that of a network
// address or of a drive to SUMO, before which it puts no folder, though it then opens a file.
func fromStart(value string, u use) bool { return !u.writes() && strings.Contains(value, ":") }

// base is the folder against which SUMO resolves a relative name in an XML file in dir. Runs start in the scenario's
// top folder, people start SUMO in that of the configuration.
func (r *judgement) base(dir, value string, u use) string {
	early := release.Compare(r.version, "1.25") < 0
	switch {
	case fromStart(value, u):
		return path.Dir(r.config)
	case u == writeHere, u == writeControl && early:
		return ""
	case u == writeSafety && early:
		return path.Dir(r.config)
	}
	return dir
}

// apply records the use of one file. what is the option or element that names it.
func (r *judgement) apply(name, what, location string, u use, role role) {
	if u.writes() {
		r.outputs[r.affixed(name)] = true
		return
	}
	f := r.inspection.files[name]
	if u == mayRead {
		r.optional(name, f)
		return
	}
	switch {
	case f == nil && u == readLate:
		r.warn(location, "%s names %s, which is not in the zip: SUMO refuses the run if it needs the file, and otherwise ignores it; "+
			"add it, or remove the option", what, quote(name))
	case f == nil:
		item := r.missing(name, what, location)
		r.fault(item.Location, "%s", item.Message)
	case !r.usable(name, f):
	case u == readXML, u == include:
		r.follow(name, f, location, role, u == include)
	}
}

// tables are how the names of PHEMlight's files end.
var tables = map[string]bool{".veh": true, ".csv": true, ".det": true, ".vma": true, ".tno": true}

// optional records a file that SUMO reads when it is there, or a folder of such files.
func (r *judgement) optional(name string, f *file) {
	if f == nil {
		for _, inside := range r.names {
			if tables[path.Ext(inside)] && (path.Dir(inside) == name || strings.HasPrefix(inside, name+"/")) {
				r.usable(inside, r.inspection.files[inside])
			}
		}
		return
	}
	if !r.usable(name, f) || f.doc == nil {
		return
	}
	if f.doc.fault != nil {
		r.faultIn(name, f.doc)
	}
}

// missing says that a file is not in the zip.
func (r *judgement) missing(name, what, location string) problem.Item {
	if parent := parentIn(name, func(parent string) bool { f := r.inspection.files[parent]; return f != nil && f.fault != "" }); parent != "" {
		return problem.Item{Location: parent, Message: r.inspection.files[parent].fault}
	}
	hint := ""
	if !r.full() {
		if near := nearest(name, r.names); near != "" {
			hint = "; did you mean " + quote(near) + "?"
		}
	}
	return problem.Item{Location: location, Message: fmt.Sprintf(
		"%s names %s, which is not in the zip: add it, or correct the name (names are separated by commas)%s", what, quote(name), hint)}
}

// visit is a way in which SUMO reads a file.
type visit struct {
	name      string
	role      role
	validated bool
}

// maxIncludes is far deeper than anyone nests files.
const maxIncludes = 50

// follow checks an XML file that SUMO would read, and what it names in turn.
func (r *judgement) follow(name string, f *file, location string, role role, included bool) {
	switch {
	case slices.Contains(r.active, name):
		r.fault(location, "%s includes itself: remove the <include>", quote(name))
		return
	case len(r.active) == maxIncludes:
		r.fault(location, "files include each other more than %d deep: put them into fewer files", maxIncludes)
		return
	case f.doc == nil && f.size == 0:
		r.fault(name, "is empty: SUMO expects XML")
		return
	case f.doc == nil:
		r.fault(name, "is not XML: name another file, or save it as XML in UTF-8")
		return
	case f.doc.fault == nil:
	case role == roleRoutes && included && endsEveryReader(f.doc.fault):
		r.warnStrict(at(name, f.doc.faultLine), "%v. SUMO reads what there is and goes on; save the file again", f.doc.fault)
	case role == roleRoutes && !included && r.breaks(name, f.doc):
	default:
		r.faultIn(name, f.doc)
		return
	}
	if misfit := f.doc.misfit(role); misfit != "" {
		r.fault(name, "%s", misfit)
		return
	}
	if role == roleRoutes {
		r.departures(name, f.doc.departs)
	}
	v := visit{name, role, r.validates(role, included)}
	if r.visits[v] {
		return
	}
	r.visits[v] = true
	if v.validated && len(f.doc.schemas) > 0 {
		r.schemas(name, "", f.doc)
	} else if role == roleRoutes || role == roleAdditional {
		r.oddities(name, f.doc)
	}
	if r.visited[name] {
		return
	}
	r.visited[name] = true
	r.hazards(name, f.doc)
	r.classes(name, f.doc)
	r.active = append(r.active, name)
	for _, ref := range f.doc.refs {
		r.reference(name, ref, role)
	}
	r.active = r.active[:len(r.active)-1]
	if f.doc.fault != nil && len(r.rewrites[name]) > 0 {
		r.uncopied(name, f.doc)
	}
}

// endsEveryReader reports whether SUMO's parser reads no further than we do. It goes on behind a file that is included.
func endsEveryReader(fault error) bool {
	syntax, ok := errors.AsType[xml.SyntaxError](fault)
	return ok && !syntax.Own()
}

// breaks records a fault in a route file behind its first vehicles, and reports whether there are runs that do not read so far. Where only
// we stop at the fault, that estimate must not decide what reaches SUMO.
func (r *judgement) breaks(name string, doc *document) bool {
	until, ok := doc.departs.taken.until(r.routeSteps, r.routeFiles == 1)
	if !ok || !endsEveryReader(doc.fault) || r.routeSteps <= 0 || until <= 0 { // no run begins before
		return false
	}
	b := BrokenRoutes{Problem: brokenXML(name, doc), Until: until}
	known := slices.Contains(r.brokenRoutes, b)
	if !known && len(r.brokenRoutes) < maxItems {
		r.brokenRoutes, known = append(r.brokenRoutes, b), true
	}
	return known
}

// uncopied refuses a broken file that the run would need a copy of, with other names, though SUMO reads it up to the fault.
func (r *judgement) uncopied(name string, doc *document) {
	where, first := at(name, doc.faultLine), r.rewrites[name][0]
	r.brokenRoutes = slices.DeleteFunc(r.brokenRoutes, func(b BrokenRoutes) bool { return b.Problem.Location == where })
	r.warnings = slices.DeleteFunc(r.warnings, func(w Warning) bool { return w.Location == where })
	r.fault(where, "%s. SUMO reads it up to there, but %s in it must be read as %s, which needs a file without faults: save the file again, "+
		"or correct that name", brokenXML(name, doc).Message, quote(first.From), quote(first.To))
}

// doubtBroken refuses broken route files where the departures before the fault do not say when SUMO reads on: it passes by those that it
// does not insert, and a saved state begins at a time of its own.
func (r *judgement) doubtBroken() {
	scale, scaled := xml.Float(r.values["scale"])
	doubtful := scaled && scale != 1 || r.values["load-state"] != "" || isTrue(r.values["ignore-route-errors"])
	for name := range r.visited {
		doubtful = doubtful || r.inspection.files[name].doc.departs.scaled
	}
	if !doubtful {
		return
	}
	for _, b := range r.brokenRoutes {
		r.fault(b.Problem.Location, "%s", b.Problem.Message)
	}
	r.brokenRoutes = nil
}

// reference follows a name in the file called name.
func (r *judgement) reference(name string, ref reference, outer role) {
	where, what := at(name, ref.line), "<"+shown(ref.element)+">"
	base := r.base(path.Dir(name), ref.value, ref.use)
	p := place(base, ref.value, ref.use, ref.element+".xml")
	switch {
	case p.fault != "":
		r.fault(where, "%s: %s %s", what, quote(ref.value), p.fault)
		return
	case p.name == "":
		return
	}
	file := r.settle(what, where, ref.value, p, ref.use)
	to := relative(base, file)
	if fromStart(ref.value, ref.use) {
		to = file // where runs start
	}
	if p.note != "" || file != p.name || to != relative(base, file) {
		if r.rewrites == nil {
			r.rewrites = map[string][]Rewrite{}
		}
		r.rewrites[name] = append(r.rewrites[name], Rewrite{
			Element: ref.element, Attribute: ref.attribute, Key: ref.key, From: ref.value, To: to,
		})
	}
	inner := roleAny
	if ref.use == include {
		inner = outer
		if outer == roleRoutes && r.routeSteps > 0 && r.inspection.files[file] == nil {
			item := r.missing(file, what, where)
			r.warnStrict(item.Location, "%s. SUMO goes on without it", item.Message)
			return
		}
	}
	r.apply(file, what, where, ref.use, inner)
}

func (r *judgement) hazards(name string, doc *document) {
	for _, h := range doc.hazards {
		r.fault(at(name, h.line), "%s", h.message)
	}
}

// departures records vehicles that SUMO drops; none is when the whole file is loaded before the first step.
func (r *judgement) departures(name string, d departures) {
	known := slices.ContainsFunc(r.late, func(l LateDepartures) bool { return l.File == name })
	if r.routeSteps <= 0 || len(d.late.spans) == 0 && d.late.atBegin.Count == 0 || known || len(r.late) == maxItems {
		return
	}
	late := LateDepartures{File: name, Spans: d.late.spans}
	if d.late.atBegin.Count > 0 {
		late.AtBegin = &d.late.atBegin
	}
	r.late = append(r.late, late)
}

// carryAll finds the vehicles that SUMO drops because of one in another file: it reads a file that is included in place of the element.
func (r *judgement) carryAll(config string, known []chosen) {
	if r.found > 0 || r.routeSteps <= 0 {
		return
	}
	for _, c := range known {
		if c.option.name != "route-files" {
			continue
		}
		for _, n := range c.names(path.Dir(config), c.value, readXML) {
			name, _ := r.find(n.name)
			r.carry(name, Order{})
		}
	}
}

// maxCarried is far more often than anyone includes files.
const maxCarried = 10_000

// carry follows the order of departures from before a file to behind it. Of each segment between two included files, it notes the first
// vehicle that is late only because of another file.
func (r *judgement) carry(name string, order Order) Order {
	f := r.inspection.files[name]
	if r.carried++; r.carried > maxCarried || f == nil || f.doc == nil {
		return order
	}
	departs := f.doc.departs
	departs.segment.order = departs.order
	for _, s := range append(slices.Clone(departs.segments), departs.segment) {
		if gap := order.last - s.first.Depart; s.known && order.begun && gap > 0 {
			s.first.Gap = gap
			r.addLate(name, LateSpan{1, s.first, s.first})
		}
		if s.order.begun && (!order.begun || s.order.last > order.last) {
			order = s.order
		}
		if s.include != "" {
			p := place(r.base(path.Dir(name), s.include, include), s.include, include, "include.xml")
			included, _ := r.find(p.name)
			order = r.carry(included, order)
		}
	}
	return order
}

// addLate records another late vehicle of a file.
func (r *judgement) addLate(name string, span LateSpan) {
	i := slices.IndexFunc(r.late, func(l LateDepartures) bool { return l.File == name })
	switch {
	case i < 0 && len(r.late) == maxItems:
	case i < 0:
		r.late = append(r.late, LateDepartures{File: name, Spans: []LateSpan{span}})
	case !slices.ContainsFunc(r.late[i].Spans, func(s LateSpan) bool { return s.First.Line == span.First.Line }):
		r.late[i].Spans = append(slices.Clone(r.late[i].Spans), span)
	}
}

// number is a whole number as SUMO reads it; 0 for anything else, which SUMO refuses.
func number(text string) int {
	n, _ := strconv.Atoi(strings.TrimSpace(text))
	return n
}
