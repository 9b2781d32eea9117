package scenario

import (
	"bufio"
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/sumo-k8/sumo-k8/pkg/sumo/xml"
)

// Inspect reads the whole zip of size bytes, each entry once, and describes it. A scenario that must not or cannot run is
// problem.ScenarioInvalid with an item for every fault, a zip over limits.Upload is problem.TooLarge.
// Memory is bounded whatever the zip claims or contains; r may be slow, such as ranged reads from an object store.
func Inspect(ctx context.Context, r io.ReaderAt, size int64, limits Limits) (Manifest, error) {
	in := &inspection{version: limits.SUMOVersion, files: map[string]*file{}, used: map[string]bool{}, budget: memoryBudget}
	if in.version == "" {
		in.version = newestVersion()
	}
	a, err := openArchive(r, size, limits, &in.report)
	if err != nil {
		return Manifest{}, err
	}
	for _, name := range a.rejected {
		in.files[name] = &file{} // so that it does not count as missing
	}
	for _, e := range a.files {
		in.names = append(in.names, e.name)
		in.files[e.name] = &file{size: int64(e.file.UncompressedSize64)}
	}
	if err := a.each(ctx, &in.report, in.read); err != nil {
		return Manifest{}, err
	}
	manifest := in.judge()
	return manifest, in.err()
}

// inspection gathers what is known about one scenario.
type inspection struct {
	report
	version string
	names   []string // of files, in the order of the zip
	files   map[string]*file
	used    map[string]bool // files that a configuration leads to
	budget  budget
}

type file struct {
	size int64
	read bool
	doc  *document // nil for what is not XML
}

const configSuffix = ".sumocfg"

// maxConfigs bounds the time of judging, which follows each configuration through all files that it names.
const maxConfigs = 100

func isConfig(name string) bool { return strings.HasSuffix(strings.ToLower(name), configSuffix) }

// read reads one file of the archive. Like SUMO, it recognises gzip by content and not by name.
func (in *inspection) read(name string, r *entryReader) error {
	f := in.files[name]
	br := bufio.NewReaderSize(r, readSize)
	if xml.IsGzip(br) {
		z, err := gzip.NewReader(br)
		if err != nil {
			f.read, f.doc = true, &document{fault: errors.New("the gzip data is damaged: compress the file again")}
			return nil
		}
		br = bufio.NewReaderSize(&entryReader{
			ctx: r.ctx, src: z, archive: r.archive,
			packed: func() int64 { return r.unpacked },
			fail:   func(err error) { r.err = err },
		}, readSize)
	}
	f.read = true
	doc, err := readDocument(br, isConfig(name), &in.budget)
	if !errors.Is(err, xml.ErrNotXML) {
		f.doc = doc
	}
	if f.doc != nil && err != nil && !errors.As(err, new(xml.SyntaxError)) && !errors.As(err, new(xml.DTDError)) {
		f.doc.fault = errors.New("the compressed data is damaged: make the file again")
	}
	if r.err != nil && !errors.Is(r.err, io.EOF) { // each reports it
		f.read, f.doc = false, nil
	}
	return nil
}

// judge combines what the files say.
func (in *inspection) judge() Manifest {
	var m Manifest
	for _, name := range in.names {
		m.Files = append(m.Files, File{name, in.files[name].size})
		m.Unpacked += in.files[name].size
	}
	slices.SortFunc(m.Files, func(a, b File) int { return cmp.Compare(a.Path, b.Path) })
	configs := slices.DeleteFunc(slices.Clone(in.names), func(name string) bool { return !isConfig(name) })
	slices.Sort(configs)
	if len(configs) > maxConfigs {
		in.fault("", "the zip has %d configurations; at most %d are accepted: make several zips", len(configs), maxConfigs)
		configs = configs[:maxConfigs]
	}
	for _, name := range configs {
		m.Configs = append(m.Configs, in.config(name))
	}
	if len(configs) == 0 && len(in.names) > 0 {
		in.noConfig()
	}
	for _, name := range in.names {
		in.unused(name)
	}
	m.Warnings = in.warnings
	return m
}

// unused checks a file that no configuration uses.
func (in *inspection) unused(name string) {
	doc := in.files[name].doc
	if doc == nil || doc.fault == nil || in.used[name] {
		return
	}
	ext := strings.ToLower(path.Ext(name))
	if _, ok := errors.AsType[xml.DTDError](doc.fault); ok {
		if ext == ".html" || ext == ".htm" || ext == ".xhtml" || ext == ".svg" {
			return // documentation, which SUMO is never shown
		}
		in.faultIn(name, doc)
		return
	}
	if ext == ".xml" || ext == ".gz" {
		in.warn(at(name, doc.faultLine), "is not usable (%v), but no configuration uses it", doc.fault)
	}
}

// faultIn reports why a document could not be read.
func (in *inspection) faultIn(name string, doc *document) {
	location := at(name, doc.faultLine)
	dtd, isDTD := errors.AsType[xml.DTDError](doc.fault)
	switch {
	case isDTD && dtd.HTML, strings.EqualFold(doc.root, "html"):
		in.fault(name, "looks like a web page, not like SUMO's XML: download the file itself again")
	case isDTD:
		in.fault(location, "contains <!DOCTYPE or <!ENTITY, which is refused for safety: delete that declaration; SUMO does not need it")
	default:
		in.fault(location, "cannot be read as XML: %v", doc.fault)
	}
}

// noConfig explains, as exactly as possible, what to add to a zip without a configuration.
func (in *inspection) noConfig() {
	var nets, routes, configs []string
	for _, name := range in.names {
		doc := in.files[name].doc
		switch {
		case doc == nil || doc.fault != nil:
		case doc.root == "net":
			nets = append(nets, name)
		case doc.root == "routes" || doc.root == "trips":
			routes = append(routes, name)
		case isConfigRoot(doc.root):
			configs = append(configs, name)
		}
	}
	const missing = "there is no .sumocfg file in the zip"
	switch {
	case len(configs) == 1:
		in.fault("", "%s: if %s is the configuration, rename it so that it ends in .sumocfg", missing, quote(configs[0]))
	case len(nets) == 1 && len(routes) > 0:
		slices.Sort(routes)
		in.fault("", "%s. Add scenario.sumocfg with this text: "+
			`<configuration><input><net-file value="%s"/><route-files value="%s"/></input></configuration>`,
			missing, shown(nets[0]), shown(strings.Join(routes, ",")))
	default:
		in.fault("", "%s: add one that names the network (net-file) and the demand (route-files)", missing)
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
		return "looks like a web page, not like SUMO's XML: download the file itself again"
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
