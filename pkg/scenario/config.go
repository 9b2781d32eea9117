package scenario

import (
	"math"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
)

// judgement is what is found about one configuration: what SUMO would read and write if it ran it.
type judgement struct {
	*inspection
	config  string
	values  map[string]string // by the option's own name
	begin   float64
	end     float64         // +Inf when there is none
	loadAll bool            // all vehicles are loaded before the first step
	visited map[string]bool // files already followed
	active  []string        // files that include each other, outermost first
	outputs map[string]bool
	read    []Option // the configuration's options, as we read them
}

// config judges one configuration.
func (in *inspection) config(name string) Config {
	in.used[name] = true
	c := Config{Path: name}
	f := in.files[name]
	switch doc := f.doc; {
	case !f.read: // reported with the archive
		return c
	case doc == nil:
		in.fault(name, "is empty or not XML: it should begin with <configuration>")
		return c
	case doc.fault != nil:
		in.faultIn(name, doc)
		return c
	case !isConfigRoot(doc.root):
		if fault := doc.misfit(roleNet); doc.root == "html" && fault != "" {
			in.fault(name, "%s", fault)
			return c
		}
		in.fault(name, "is not a SUMO configuration: it begins with <%s>, not with <configuration>", shown(doc.root))
		return c
	}
	if fault := configFault(name); fault != "" {
		in.fault(name, "%s", fault)
		return c
	}
	r := &judgement{
		inspection: in, config: name, values: map[string]string{}, visited: map[string]bool{}, outputs: map[string]bool{},
		end: math.Inf(1),
	}
	before := r.found
	r.hazards(name, f.doc)
	known := r.options(f.doc.settings)
	c.Begin, c.End = r.interval(known)
	r.files(known)
	c.Options = r.read
	for output := range r.outputs {
		c.Outputs = append(c.Outputs, output)
	}
	slices.Sort(c.Outputs)
	if r.found == before { // with files broken or missing, the facts would mislead
		c.Network, c.Demand = r.facts()
	}
	return c
}

// configFault says why no run can start with a configuration at this path, or "". SUMO prepends the folder to the names in it and
// parses the result, so characters that are special in a name are special in the folder.
func configFault(name string) string {
	const cure = ", which SUMO does not read literally in the path of a configuration: rename the file or folder"
	dir := path.Dir(name)
	switch {
	case strings.Contains(name, ":"):
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
		switch {
		case o == nil:
			r.unknown(location, s.name)
			continue
		case forbidden[o.name] != "":
			r.fault(location, "the option %s is not allowed (%s): remove it", o.name, forbidden[o.name])
			continue
		case release.Compare(o.since, r.version) > 0:
			r.fault(location, "the option %s is unknown to SUMO %s (SUMO %s has it): remove it, or choose a newer sumo_version",
				o.name, r.version, o.since)
			continue
		}
		if _, twice := r.values[o.name]; twice {
			r.fault(location, "the option %s is set twice, which SUMO refuses: remove one", o.name)
			continue
		}
		r.values[o.name] = s.value
		if fault := o.valueFault(s.value); fault != "" {
			r.fault(location, "the value %s of %s %s", quote(s.value), o.name, fault)
			continue
		}
		switch o.name {
		case "random":
			r.warn(location, "random has no effect: each run has a fixed seed, so that it can be repeated; choose it with the job's seed")
		case "output-prefix":
			r.warn(location, "output-prefix has no effect: each run's results are kept apart")
		case "language": // SUMO would load a message catalogue from the folder of that name
			r.warn(location, "language has no effect: how a run ended is read from SUMO's log, which is kept in English")
			continue
		case "pedestrian.model":
			if s.value == "remote" {
				r.fault(location, "the pedestrian model 'remote' connects to another computer, and none can be reached here: choose another model")
			}
		}
		known = append(known, chosen{o, s})
	}
	return known
}

func (r *judgement) unknown(location, name string) {
	hint := ""
	if !r.full() {
		var names []string
		for candidate := range options() {
			if len(candidate) > 3 {
				names = append(names, candidate)
			}
		}
		slices.Sort(names)
		if near := nearest(name, names); near != "" {
			hint = " Did you mean " + near + "?"
		}
	}
	r.fault(location, "the option %s is unknown to SUMO %s: remove it, or choose a newer sumo_version.%s", quote(name), r.version, hint)
}

// interval reads begin and end, in seconds, and what else decides which vehicles are loaded.
func (r *judgement) interval(known []chosen) (begin, end *float64) {
	for _, c := range known {
		value, ok := parseTime(c.value)
		if !ok {
			continue
		}
		switch c.option.name {
		case "begin":
			begin, r.begin = &value, value
		case "end":
			if value >= 0 { // SUMO's default of -1 is no end
				end, r.end = &value, value
			}
		case "route-steps":
			r.loadAll = value <= 0
		}
	}
	if r.end <= r.begin {
		r.fault(r.config, "the end (%g s) is not after the begin (%g s): correct them", r.end, r.begin)
	}
	return begin, end
}

// files follows all files that the options name, and records what each option is set to.
func (r *judgement) files(known []chosen) {
	dir := path.Dir(r.config)
	hasNet := false
	for _, c := range known {
		u, ok := c.use()
		if !ok {
			r.read = append(r.read, Option{Name: c.option.name, Value: c.value})
			continue
		}
		o := Option{Name: c.option.name, Writes: u.writes()}
		role := map[string]role{"net-file": roleNet, "route-files": roleRoutes, "additional-files": roleAdditional}[c.option.name]
		location := at(r.config, c.line)
		for _, n := range c.names(dir, c.value, u) {
			if n.fault != "" {
				r.fault(location, "%s: %s %s", c.option.name, quote(n.text), n.fault)
				continue
			}
			o.Files = append(o.Files, n.name)
			if n.name != devNull {
				r.apply(path.Clean(n.name), c.option.name, location, u, role)
			}
		}
		r.read = append(r.read, o)
		hasNet = hasNet || role == roleNet
	}
	if !hasNet {
		r.fault(r.config, "names no network: add <net-file value=\"….net.xml\"/>")
	}
	for output := range r.outputs {
		if r.visited[output] {
			r.fault(r.config, "%s is read and also written: give the output another name", quote(output))
		}
		for parent := path.Dir(output); parent != "."; parent = path.Dir(parent) {
			if r.inspection.files[parent] != nil {
				r.fault(r.config, "the output %s cannot be written, because %s is a file and not a folder: choose another name",
					quote(output), quote(parent))
			}
		}
	}
}

// base is the folder against which SUMO resolves a relative name in an XML file in dir. Runs start in the scenario's
// top folder.
func (r *judgement) base(dir string, u use) string {
	early := release.Compare(r.version, "1.25") < 0
	switch {
	case u == writeHere, u == writeControl && early:
		return ""
	case u == writeSafety && early:
		return path.Dir(r.config)
	}
	return dir
}

// apply records the use of one file. what is the option or element that names it.
func (r *judgement) apply(name, what, location string, u use, role role) {
	switch {
	case u.writes():
		r.outputs[name] = true
		return
	case u == mayRead:
		f := r.inspection.files[name]
		if f == nil {
			if what == "gui-settings-file" {
				r.warn(location, "%s names %s, which is not in the zip; it is not needed here", what, quote(name))
			}
			return
		}
		r.used[name] = true
		if f.doc != nil && f.doc.fault != nil {
			r.faultIn(name, f.doc)
		}
		return
	}
	f := r.inspection.files[name]
	switch {
	case f == nil:
		hint := ""
		if !r.full() {
			if near := nearest(name, r.names); near != "" {
				hint = "; did you mean " + quote(near) + "?"
			}
		}
		r.fault(location, "%s names %s, which is not in the zip: add it, or correct the name (names are separated by commas)%s", what,
			quote(name), hint)
	case !f.read: // reported with the archive
	case u == readOther:
		r.used[name] = true
	default:
		r.follow(name, f, location, role)
	}
}

// maxIncludes is far deeper than anyone nests files.
const maxIncludes = 50

// follow checks an XML file that SUMO would read, and what it names in turn.
func (r *judgement) follow(name string, f *file, location string, role role) {
	r.used[name] = true
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
	case f.doc.fault != nil:
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
	if r.visited[name] {
		return
	}
	r.visited[name] = true
	r.hazards(name, f.doc)
	r.active = append(r.active, name)
	for _, ref := range f.doc.refs {
		where := at(name, ref.line)
		file, fault := place(r.base(path.Dir(name), ref.use), ref.value, ref.use)
		if fault != "" {
			r.fault(where, "<%s>: %s %s", shown(ref.element), quote(ref.value), fault)
			continue
		}
		if file == "" {
			continue
		}
		inner := roleAny
		if ref.use == include {
			inner = role
		}
		r.apply(file, "<"+shown(ref.element)+">", where, ref.use, inner)
	}
	r.active = r.active[:len(r.active)-1]
}

func (r *judgement) hazards(name string, doc *document) {
	for _, h := range doc.hazards {
		r.fault(at(name, h.line), "%s", h.message)
	}
}

// departures reports vehicles that SUMO would silently drop. Vehicles outside the simulated interval are no loss, and
// nothing is dropped when the whole file is loaded before the first step.
func (r *judgement) departures(name string, d departures) {
	if r.loadAll || d.count == 0 {
		return
	}
	for _, late := range []lateDeparture{d.first, d.latest} {
		depart := float64(late.depart) / 1000
		if depart < r.begin || depart >= r.end {
			continue
		}
		others := ""
		if d.count > 1 {
			others = " (one of " + strconv.Itoa(d.count) + ")"
		}
		r.fault(at(name, late.line), "%s departs at %g s, %g s before an earlier line%s, and SUMO silently drops such vehicles: "+
			"sort the file with SUMO's tools/route/sort_routes.py, or set <route-steps value=\"0\"/>",
			late.id, depart, float64(late.gap)/1000, others)
		return
	}
}

// ChooseConfig returns the configuration to run: the requested one, by its path or a base name that only one has, or
// else the only one. It answers problem.Invalid, with the configurations to choose from, when the choice is ambiguous.
func (m Manifest) ChooseConfig(requested string) (Config, error) {
	var found []Config
	for _, c := range m.Configs {
		if requested != "" && c.Path == path.Clean(requested) {
			return c, nil
		}
		if requested == "" || path.Base(c.Path) == requested {
			found = append(found, c)
		}
	}
	if len(found) == 1 {
		return found[0], nil
	}
	return Config{}, m.unclear(requested, len(found))
}

// maxListed is how many configurations a refusal offers.
const maxListed = 20

func (m Manifest) unclear(requested string, found int) error {
	var paths []string
	for _, c := range m.Configs[:min(len(m.Configs), maxListed)] {
		paths = append(paths, c.Path)
	}
	if len(m.Configs) > maxListed {
		paths = append(paths, "…")
	}
	list := strings.Join(paths, ", ")
	var err *problem.Error
	switch {
	case len(m.Configs) == 0:
		err = problem.New(problem.Invalid, "The scenario has no configuration (.sumocfg).")
	case requested == "":
		err = problem.New(problem.Invalid, "The scenario has several configurations: choose one with config_file. There are: %s.", list)
	case found > 1:
		err = problem.New(problem.Invalid, "Several configurations are called %s: give config_file with its folder. There are: %s.",
			quote(requested), list)
	default:
		err = problem.New(problem.Invalid, "The scenario has no configuration %s: correct config_file. There are: %s.", quote(requested), list)
	}
	return err.WithItems(problem.Item{Location: "body.config_file", Message: err.Detail, Value: shown(requested)})
}
