package scenario

import (
	"cmp"
	"path"
	"strings"
)

// validates reports whether SUMO validates a file by the schema that it names. The roles have options of their own for the files that
// the configuration names, routes only while SUMO reads them step by step; all others follow xml-validation, whatever includes them.
func (r *judgement) validates(role role, included bool) bool {
	all := r.values["xml-validation"]
	value := cmp.Or(all, "local")
	switch {
	case included:
	case role == roleNet:
		value = cmp.Or(r.values["xml-validation.net"], "never")
	case role == roleRoutes && r.routeSteps > 0:
		value = cmp.Or(r.values["xml-validation.routes"], value)
	}
	return value != "never"
}

// schemas follows the schemas that a file names. SUMO looks for a place with /xsd/ among its own schemas first, whatever stands before
// that. It fails at any other address, and opens files: from folder, which is the top one, where runs start, for the schemas of documents,
// and the schema's own for what it includes.
func (r *judgement) schemas(name, folder string, doc *document) {
	for _, s := range doc.schemas {
		where := at(name, s.line)
		_, rest, ok := strings.Cut("/"+s.value, "/xsd/")
		own := ok && vocabulary().schemas[rest]
		// SUMO's parser decodes no other sign, and reads a backslash as a letter: no file of a zip has one in its name.
		literal := strings.ReplaceAll(s.value, "%20", " ")
		p := place(folder, strings.ReplaceAll(literal, `\`, "_"), readXML, "")
		if p.fault == "" && strings.Contains(literal, ":") {
			p.fault = "contains ':', as the address of another computer does: rename it"
		}
		switch lower := strings.ToLower(s.value); {
		case p.fault != "" && own: // not every SUMO has each of these, so a place in the zip counts too
			continue
		case strings.HasPrefix(lower, "http://"), strings.HasPrefix(lower, "https://"):
			p.fault = "is not one of SUMO's, and SUMO loads no others from the network: remove " + shown(s.attribute)
		case ok && leavesFolder([]byte(rest)):
			p.fault = "contains '..' behind /xsd/, which SUMO reads as its own folder: remove " + shown(s.attribute)
		}
		if p.fault != "" {
			r.fault(where, "the schema %s %s, or set <xml-validation value=\"never\"/>", quote(s.value), p.fault)
			continue
		}
		if !strings.Contains(literal, `\`) {
			r.schema(p.name, name)
		}
	}
}

// schema judges a file that the document called by names as its schema.
func (r *judgement) schema(name, by string) {
	f := r.inspection.files[name]
	if f == nil || r.schemata[name] { // without it, SUMO validates nothing
		return
	}
	r.schemata[name] = true
	switch {
	case !r.usable(name, f):
	case f.doc == nil:
		r.fault(name, "is not XML, but %s names it as its schema", quote(by))
	case f.doc.fault != nil:
		r.faultIn(name, f.doc)
	default:
		r.hazards(name, f.doc)
		r.schemas(name, path.Dir(name), f.doc)
	}
}
