package scenario

import (
	"path"
	"strings"
)

// validates reports whether SUMO validates files of a role by the schema that they name.
func (r *judgement) validates(role role) bool {
	option, otherwise := "xml-validation", "local"
	switch role {
	case roleNet:
		option, otherwise = "xml-validation.net", "never"
	case roleRoutes:
		option = "xml-validation.routes"
	}
	value := r.values[option]
	if value == "" {
		value = otherwise
	}
	return value != "never"
}

// schemas follows the schemas that a file names. SUMO reads its own from its folder of data, whatever host the address has, fails at
// those of any other address, and opens files.
func (r *judgement) schemas(name string, doc *document) {
	for _, s := range doc.schemas {
		where := at(name, s.line)
		if strings.HasPrefix(s.value, "http://") || strings.HasPrefix(s.value, "https://") {
			if _, own, ok := strings.Cut(s.value, "/xsd/"); !ok || !vocabulary().schemas[own] {
				r.fault(where, "the schema %s is not one of SUMO's, and SUMO loads no others from the network: remove %s, or set "+
					"<xml-validation value=\"never\"/>", quote(s.value), shown(s.attribute))
			}
			continue
		}
		p := place(path.Dir(name), s.value, readXML, "")
		if p.fault != "" {
			r.fault(where, "the schema %s %s, or set <xml-validation value=\"never\"/>", quote(s.value), p.fault)
			continue
		}
		file := p.name
		f := r.inspection.files[file]
		if f == nil || r.visited[file] { // without it, SUMO validates nothing
			continue
		}
		r.visited[file] = true
		switch {
		case !r.usable(file, f):
		case f.doc == nil:
			r.fault(file, "is not XML, but %s names it as its schema", quote(name))
		case f.doc.fault != nil:
			r.faultIn(file, f.doc)
		default:
			r.schemas(file, f.doc)
		}
	}
}
