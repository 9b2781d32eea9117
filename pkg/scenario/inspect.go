package scenario

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/gz"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/xml"
)

// Inspect reads the whole scenario, each file once, and describes it, with what is wrong with each of its configurations. A zip that must
// not be read, or in which no configuration is sound, is problem.ScenarioInvalid with an item for every fault; one over limits.Upload is
// problem.TooLarge.
// Memory is bounded whatever the zip claims or contains; c may be slow, such as ranged reads from an object store.
func Inspect(ctx context.Context, c Content, limits Limits) (Manifest, error) {
	in, err := readAll(ctx, c, limits)
	if err != nil {
		return Manifest{}, err
	}
	return in.judge()
}

// readAll reads the whole scenario, each file once.
func readAll(ctx context.Context, c Content, limits Limits) (*inspection, error) {
	in := &inspection{
		version: limits.SUMOVersion, config: path.Clean(limits.Config), files: map[string]*file{}, used: map[string]bool{},
		held: map[string]bool{}, program: limits.Program, folders: limits.Entries,
	}
	in.budget = budget{limits.Names, in.spill}
	if in.version == "" {
		in.version = newestVersion()
	}
	a, err := openArchive(ctx, c, limits, &in.report)
	if err != nil {
		return nil, err
	}
	if len(a.files)+len(a.unusable) == 0 && len(in.items) == 0 {
		in.fault("", "the zip is empty: put a .sumocfg file and the files that it names into it")
	}
	in.directory = a.directory()
	for name, fault := range a.unusable {
		in.files[name] = &file{fault: fault}
	}
	entries := map[string]entry{}
	for _, e := range a.files {
		entries[e.name] = e
		in.names = append(in.names, e.name)
		in.files[e.name] = &file{size: int64(e.file.UncompressedSize64), twice: e.twice}
	}
	if limits.Config != "" && in.files[in.config] == nil {
		in.config, _ = uniqueBase(in.names, limits.Config)
	}
	every := func(string) bool { return true }
	damaged := func(name, fault string) {
		f := in.files[name]
		if f.doc != nil {
			in.forget(f.doc)
		}
		f.doc, f.fault = nil, fault
		if in.program {
			in.fault(shown(name), "%s", fault)
		}
	}
	if err := a.each(ctx, &in.report, every, in.read, damaged); err != nil {
		return nil, err
	}
	in.again = true
	in.rewind = func() { in.reread, a.left = 0, limits.Unpacked }
	in.rewind()
	in.reopen = func(name string, visit func(string, *entryReader) error) error {
		return a.one(ctx, entries[name], visit)
	}
	return in, nil
}

// uniqueBase returns the only one of names whose last part is base.
func uniqueBase(names []string, base string) (name string, ok bool) {
	for _, candidate := range names {
		if path.Base(candidate) != base {
			continue
		}
		if name != "" {
			return "", false
		}
		name = candidate
	}
	return name, name != ""
}

// inspection gathers what is known about one scenario.
type inspection struct {
	report
	directory
	version string
	program bool     // Limits.Program
	folders int      // Limits.Entries
	config  string   // Limits.Config's path; "." or "" for none
	names   []string // of files, in the order of the zip
	files   map[string]*file
	used    map[string]bool // files that a configuration leads to
	budget  budget
	// held are the files that the current configuration leads to, whose documents must stay.
	held   map[string]bool
	again  bool // the zip has been read once
	reopen func(name string, visit func(name string, r *entryReader) error) error
	rewind func() // allows as much to be read again as the limits say
	reread int    // files that were read again
	failed error  // of the store, while a file was read again

	setters map[string]*Setter // by file, of values that are tried
}

type file struct {
	size  int64
	twice bool
	fault string    // why it cannot be unpacked
	doc   *document // nil for what is not XML
	// pointer is set of a file that only stands for one in Git's Large File Storage.
	pointer bool
}

var configSuffixes = []string{".sumocfg", ".sumo.cfg"}

// maxConfigs bounds the time of judging, which follows each configuration through all files that it names.
const maxConfigs = 100

// isConfig reports whether a file is a configuration by its name.
func isConfig(name string) bool {
	return slices.ContainsFunc(configSuffixes, func(suffix string) bool { return strings.HasSuffix(strings.ToLower(name), suffix) })
}

// lfsPointer is how a pointer of Git LFS begins (its specification, version 1).
const lfsPointer = "version https://git-lfs.github.com/spec/v1"

// read reads one file of the archive. Like SUMO, it recognises gzip by content and not by name.
func (in *inspection) read(name string, r *entryReader) error {
	f := in.files[name]
	br := bufio.NewReaderSize(r, readSize)
	if head, _ := br.Peek(len(lfsPointer)); string(head) == lfsPointer {
		f.pointer = true
		return nil
	}
	br, err := withoutGzip(br, r)
	if err != nil {
		f.doc = &document{fault: errors.New("the gzip data is damaged: compress the file again")}
		return nil
	}
	doc, err := readDocument(br, isConfig(name) || name == in.config, in.setters[name], &in.budget)
	if !errors.Is(err, xml.ErrNotXML) {
		f.doc = doc
		if doc.spilled {
			in.forget(doc)
		}
	}
	if f.doc != nil && err != nil && !errors.As(err, new(xml.SyntaxError)) && !errors.As(err, new(xml.DTDError)) {
		f.doc.fault = errors.New("the compressed data is damaged: make the file again")
	}
	return nil
}

// withoutGzip returns what is in br, the beginning of an entry, without gzip.
func withoutGzip(br *bufio.Reader, r *entryReader) (*bufio.Reader, error) {
	if !gz.IsGzip(br) {
		return br, nil
	}
	z, err := gz.Members(br)
	if err != nil {
		return nil, err
	}
	return bufio.NewReaderSize(&entryReader{
		ctx: r.ctx, src: z, archive: r.archive,
		packed: func() int64 { return r.unpacked },
		fail:   func(err error) { r.err = err },
	}, readSize), nil
}

// judge combines what the files say.
func (in *inspection) judge() (Manifest, error) {
	m := Manifest{Checked: checker}
	for _, name := range in.names {
		m.Files = append(m.Files, File{name, in.files[name].size})
		m.Unpacked += in.files[name].size
	}
	slices.SortFunc(m.Files, func(a, b File) int { return cmp.Compare(a.Path, b.Path) })
	for _, name := range in.configs() {
		c, _ := in.judgeConfig(name)
		m.Configs = append(m.Configs, c)
	}
	if in.failed != nil {
		return Manifest{}, in.failed
	}
	slices.SortFunc(m.Configs, func(a, b Config) int { return cmp.Compare(a.Path, b.Path) })
	for _, c := range m.Configs {
		if len(c.Problems) > 0 {
			in.warn(c.Path, "cannot run: %s", itemText(c.Problems[0]))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(in.files)) {
		if fault := in.files[name].fault; fault != "" && !in.used[name] {
			in.warn(shown(name), "%s; it is left out, because no configuration uses it", fault)
		}
	}
	for _, name := range in.names {
		in.unused(name)
	}
	for _, w := range in.warnings {
		m.Warnings = append(m.Warnings, w.String())
	}
	if len(m.Configs) == 0 && in.program {
		m.Warnings = append(m.Warnings, in.noConfig())
	}
	slices.Sort(m.Warnings)
	switch {
	case len(in.items) > 0, in.program:
	case len(m.Configs) == 0:
		in.fault("", "%s", in.noConfig())
	default:
		return m, m.unsound(in.config)
	}
	return m, in.err()
}

// configs returns the files to judge: those that are configurations by their name, or by what they contain when no name says so.
func (in *inspection) configs() []string {
	var byName, byContent []string
	for name, f := range in.files {
		doc := f.doc
		switch {
		case isConfig(name):
			byName = append(byName, name)
		case doc != nil && doc.network:
			byContent = append(byContent, name)
		}
	}
	found := byName
	if len(found) == 0 {
		found = byContent
	}
	if !slices.Contains(found, in.config) && in.files[in.config] != nil {
		found = append(found, in.config)
	}
	slices.SortFunc(found, func(a, b string) int {
		switch in.config { // it is judged first, and never left out
		case a:
			return -1
		case b:
			return 1
		}
		return cmp.Or(cmp.Compare(strings.Count(a, "/"), strings.Count(b, "/")), cmp.Compare(a, b))
	})
	if len(found) > maxConfigs {
		in.warn("", "the zip has %d configurations; only %d, those in the topmost folders, are checked: choose another with config_file",
			len(found), maxConfigs)
		found = found[:maxConfigs]
	}
	return found
}

// unused notes what is wrong with a file that no configuration uses.
func (in *inspection) unused(name string) {
	f := in.files[name]
	ext := strings.ToLower(path.Ext(name))
	switch {
	case in.used[name] || f.doc == nil || f.doc.fault == nil || ext != ".xml" && ext != ".gz":
	case errors.As(f.doc.fault, new(xml.DTDError)):
		in.warn(at(name, f.doc.faultLine), "contains <!DOCTYPE or <!ENTITY; it is left out, because no configuration uses it")
	default:
		in.warn(at(name, f.doc.faultLine), "is not usable (%v), but no configuration uses it", f.doc.fault)
	}
}

// faultIn reports why a document could not be read.
func (r *report) faultIn(name string, doc *document) {
	item := brokenXML(name, doc)
	r.fault(item.Location, "%s", item.Message)
}

// webPage is said of a file that begins with <html>.
const webPage = "looks like a web page, not like SUMO's XML: download the file itself again"

// brokenXML says why a document could not be read.
func brokenXML(name string, doc *document) problem.Item {
	location := at(name, doc.faultLine)
	dtd, isDTD := errors.AsType[xml.DTDError](doc.fault)
	switch {
	case isDTD && dtd.HTML, strings.EqualFold(doc.root, "html"):
		return problem.Item{Location: name, Message: webPage}
	case isDTD:
		return problem.Item{Location: location, Message: "contains <!DOCTYPE or <!ENTITY, which is refused for safety: delete that " +
			"declaration; SUMO does not need it"}
	}
	return problem.Item{Location: location, Message: fmt.Sprintf("cannot be read as XML: %v", doc.fault)}
}

// noConfig explains, as exactly as possible, what to add to a zip without a configuration.
func (in *inspection) noConfig() string {
	var nets, routes []string
	for _, name := range in.names {
		doc := in.files[name].doc
		switch {
		case doc == nil || doc.fault != nil:
		case doc.root == "net":
			nets = append(nets, name)
		case doc.root == "routes" || doc.root == "trips":
			routes = append(routes, name)
		}
	}
	const missing = "there is no .sumocfg file in the zip"
	switch {
	case len(nets) == 1 && len(routes) > 0:
		slices.Sort(routes)
		return fmt.Sprintf("%s. Add scenario.sumocfg with this text: "+
			`<configuration><input><net-file value="%s"/><route-files value="%s"/></input></configuration>`,
			missing, shown(nets[0]), shown(strings.Join(routes, ",")))
	default:
		return missing + ": add one that names the network (net-file) and the demand (route-files)"
	}
}

func isConfigRoot(root string) bool {
	return strings.HasSuffix(strings.ToLower(root), "configuration")
}

// role is what SUMO expects a file to be.
type role string

const (
	roleNet        role = "a SUMO network"
	roleRoutes     role = "a route file"
	roleAdditional role = "an additional file"
	roleAny        role = "" // not recognisable by its root
)

// misfit says why a document with this root cannot have the role, or "".
func (d *document) misfit(r role) string {
	if r == roleAny {
		return ""
	}
	fits := d.root == "net"
	if r == roleNet && fits && !d.versions {
		return "has no version in its <net> element: convert the network again with netconvert"
	}
	if fits == (r == roleNet) && !strangers[d.root] && !strings.EqualFold(d.root, "html") {
		return ""
	}
	switch root := strings.ToLower(d.root); root {
	case "html":
		return webPage
	case "osm":
		return "is OpenStreetMap data: convert it with netconvert --osm-files and name the resulting .net.xml"
	case "nodes", "edges", "connections":
		return "is input of netconvert (<" + root + ">): convert it and name the resulting .net.xml"
	}
	return fmt.Sprintf("is not %s: it begins with <%s>. Name the right file", string(r), shown(d.root))
}

// strangers are roots of SUMO files that are neither networks, demand nor additional files.
var strangers = map[string]bool{
	"osm": true, "nodes": true, "edges": true, "connections": true, "OpenDRIVE": true, "configuration": true,
	"sumoConfiguration": true, "viewsettings": true, "fcd-export": true, "tripinfos": true, "summary": true,
	"emission-export": true, "netstate": true, "sumo-netstate": true, "snapshot": true, "queue-export": true,
	"statistics": true, "lanechanges": true,
}
