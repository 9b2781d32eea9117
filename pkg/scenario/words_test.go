package scenario

import (
	"encoding/xml"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/sumotest"
)

//go:generate go test . -run "Test(Words|Numbers)AreThoseOfTheSchemas" -update

var update = flag.Bool("update", false, "add the words of every installed SUMO to words.txt, and write numbers.txt")

// TestWordsAreThoseOfTheSchemas holds words.txt against the schemas that SUMO carries for routes and additional files.
func TestWordsAreThoseOfTheSchemas(t *testing.T) {
	t.Parallel()
	known := map[string]map[string]bool{}
	for name, w := range vocabulary().elements {
		known[name] = maps.Clone(w.attributes)
	}
	schemas := maps.Clone(vocabulary().schemas)
	add := func(at release.Installation, missing func(what string)) {
		for element, attributes := range schemaWords(t, at) {
			if known[element] == nil {
				missing("<" + element + ">")
				known[element] = map[string]bool{}
			}
			for name := range attributes {
				if !known[element][name] {
					missing("<" + element + " " + name + ">")
					known[element][name] = true
				}
			}
		}
		for _, name := range schemaNames(t, at) {
			if !schemas[name] {
				missing(name)
				schemas[name] = true
			}
		}
	}
	if !*update {
		for _, version := range sumotest.Versions() {
			add(sumotest.Version(t, version), func(what string) { t.Errorf("words.txt lacks %s of SUMO %s: make generate", what, version) })
		}
		return
	}
	dir, err := release.Dir()
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range release.Installed(dir) {
		add(at, func(string) {})
	}
	lines := []string{strings.Join(append([]string{schemasLine}, slices.Sorted(maps.Keys(schemas))...), " ")}
	for _, element := range slices.Sorted(maps.Keys(known)) {
		lines = append(lines, strings.Join(append([]string{element}, slices.Sorted(maps.Keys(known[element]))...), " "))
	}
	if err := os.WriteFile("words.txt", []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

// schemaNode is a part of a schema.
type schemaNode struct {
	XMLName xml.Name
	Name    string       `xml:"name,attr"`
	Type    string       `xml:"type,attr"`
	Base    string       `xml:"base,attr"`
	Ref     string       `xml:"ref,attr"`
	Parts   []schemaNode `xml:",any"`
}

func schemaNames(t *testing.T, at release.Installation) (names []string) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(at.Home, "data", "xsd", "*.xsd"))
	if err != nil || len(found) == 0 {
		t.Fatalf("schemas of SUMO %s: %v, %v", at.Version, found, err)
	}
	for _, name := range found {
		names = append(names, filepath.Base(name))
	}
	return names
}

// demandSchemas are those of routes and additional files.
var demandSchemas = []string{"routes_file.xsd", "additional_file.xsd"}

// schemaWords returns the attributes of each element that the schemas of routes and additional files allow.
func schemaWords(t *testing.T, at release.Installation) map[string]map[string]bool {
	words := map[string]map[string]bool{}
	eachAttribute(t, at, demandSchemas, func(element, attribute string, _ bool) {
		if words[element] == nil {
			words[element] = map[string]bool{}
		}
		if attribute != "" {
			words[element][attribute] = true
		}
	})
	return words
}

// numberTypes are those of XML Schema that hold numbers.
var numberTypes = []string{"float", "double", "decimal", "integer", "int", "nonNegativeInteger", "positiveInteger", "nonPositiveInteger"}

// eachAttribute calls visit for each attribute of each element that schemas allow, and for each element without one; a pair may come
// several times. number reports whether its type holds numbers only.
func eachAttribute(t *testing.T, at release.Installation, schemas []string, visit func(element, attribute string, number bool)) {
	t.Helper()
	read := func(name string) schemaNode {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		d := xml.NewDecoder(f)
		d.Strict = false // the schemas have entities
		var n schemaNode
		if err := d.Decode(&n); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return n
	}
	types := map[string]schemaNode{}
	folder := filepath.Join(at.Home, "data", "xsd")
	inner, err := filepath.Glob(filepath.Join(folder, "types", "*.xsd"))
	if err != nil {
		t.Fatal(err)
	}
	older, _ := filepath.Glob(filepath.Join(folder, "*Types.xsd"))
	var roots []schemaNode
	for _, name := range schemas {
		roots = append(roots, read(filepath.Join(folder, name)))
	}
	all := slices.Clone(roots)
	for _, name := range append(inner, older...) {
		all = append(all, read(name))
	}
	for _, schema := range all {
		for _, part := range schema.Parts {
			if part.Name != "" && part.XMLName.Local != "element" {
				types[part.Name] = part
			}
		}
	}
	var holdsNumbers func(typeName string, inline []schemaNode) bool
	holdsNumbers = func(typeName string, inline []schemaNode) bool {
		if _, builtIn, ok := strings.Cut(typeName, ":"); ok {
			return slices.Contains(numberTypes, builtIn)
		}
		if typeName != "" {
			inline = []schemaNode{types[typeName]}
		}
		for _, part := range inline {
			switch part.XMLName.Local {
			case "simpleType":
				return holdsNumbers("", part.Parts)
			case "restriction":
				return holdsNumbers(part.Base, part.Parts)
			}
		}
		return false
	}
	visited := map[string]bool{}
	var attributes func(n schemaNode, of string)
	var elements func(n schemaNode)
	attributes = func(n schemaNode, of string) {
		switch n.XMLName.Local {
		case "attribute":
			visit(of, n.Name, holdsNumbers(n.Type, n.Parts))
			return
		case "anyAttribute":
			visit(of, "*", false)
		case "element":
			return
		case "extension", "restriction":
			attributes(types[n.Base], of)
		case "attributeGroup":
			if n.Ref != "" {
				attributes(types[n.Ref], of)
			}
		}
		for _, part := range n.Parts {
			attributes(part, of)
		}
	}
	elements = func(n schemaNode) {
		if n.XMLName.Local == "element" {
			visit(n.Name, "", false)
			attributes(types[n.Type], n.Name)
			for _, part := range n.Parts {
				attributes(part, n.Name)
			}
			if !visited[n.Type] {
				visited[n.Type] = true
				elements(types[n.Type])
			}
		}
		if n.Base != "" && !visited[n.Base] {
			visited[n.Base] = true
			elements(types[n.Base])
		}
		for _, part := range n.Parts {
			elements(part)
		}
	}
	for _, root := range roots {
		for _, part := range root.Parts {
			elements(part)
		}
	}
}

// TestNumbersAreThoseOfTheSchemas holds numbers.txt against the schemas of everything in which a study may set values. An attribute in
// which one version takes another text is no number.
func TestNumbersAreThoseOfTheSchemas(t *testing.T) {
	t.Parallel()
	type pair struct{ element, attribute string }
	numbers := map[pair]bool{}
	note := func(at release.Installation) {
		eachAttribute(t, at, append(slices.Clone(demandSchemas), "net_file.xsd"), func(element, attribute string, number bool) {
			of := pair{element, attribute}
			before, seen := numbers[of]
			numbers[of] = number && (before || !seen)
		})
	}
	if !*update {
		for _, version := range sumotest.Versions() {
			note(sumotest.Version(t, version))
		}
		for of, number := range numbers {
			if !number && of.attribute != "" && isNumeric(of.element, of.attribute) {
				t.Errorf("numbers.txt has %s of <%s>, which takes other text too: make generate", of.attribute, of.element)
			}
		}
		return
	}
	dir, err := release.Dir()
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range release.Installed(dir) {
		note(at)
	}
	byElement := map[string][]string{}
	for of, number := range numbers {
		if number {
			byElement[of.element] = append(byElement[of.element], of.attribute)
		}
	}
	var lines []string
	for _, element := range slices.Sorted(maps.Keys(byElement)) {
		slices.Sort(byElement[element])
		lines = append(lines, element+" "+strings.Join(byElement[element], " "))
	}
	if err := os.WriteFile("numbers.txt", []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestUnknownWordsAreNoted(t *testing.T) {
	t.Parallel()
	const dlr = ` xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:noNamespaceSchemaLocation="http://sumo.dlr.de/xsd/routes_file.xsd"`
	for name, test := range map[string]struct {
		settings string
		demand   string
		want     []string
	}{
		"an attribute": {demand: "<routes>\n<flow id='f' beg='1' end='2'/>\n<flow id='g' beg='1'/></routes>", want: []string{
			`r.rou.xml:2: SUMO ignores the attribute "beg" of <flow> (2 times), because it does not know it; did you mean "begin"?`,
		}},
		"letters of other case": {demand: "<routes>\n<vType id='t' vclass='bus'/></routes>", want: []string{
			`r.rou.xml:2: SUMO ignores the attribute "vclass" of <vType>, because it does not know it; did you mean "vClass"?`,
		}},
		"an element": {demand: "<routes>\n\n<vehicel id='t'/></routes>", want: []string{
			`r.rou.xml:3: SUMO ignores <vehicel>, because it does not know it; did you mean <vehicle>?`,
		}},
		"another shape of an element": {demand: "<routes><trip id='a' depart='0'/>" +
			"<trip id='b' depart='1' from='e'/><trip id='c' dipart='2'/></routes>", want: []string{
			`r.rou.xml:1: SUMO ignores the attribute "dipart" of <trip>, because it does not know it; did you mean "depart"?`,
		}},
		"what a schema catches": {demand: "<routes" + dlr + "><trip dipart='2'/></routes>"},
		"a schema that is not used": {
			settings: `<xml-validation.routes value="never"/>`, demand: "<routes" + dlr + ">\n<trip dipart='2'/></routes>",
			want: []string{`r.rou.xml:2: SUMO ignores the attribute "dipart" of <trip>, because it does not know it; did you mean "depart"?`},
		},
		"namespaces": {demand: `<routes xmlns:x="y"><trip x:y="z" id="a" depart="0"/></routes>`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := inspect(t, scenarioOf(t, test.settings, entryOf("r.rou.xml", test.demand)), DefaultLimits())
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, w := range m.Configs[0].Warnings {
				if !w.Strict {
					t.Errorf("not strict: %v", w)
				}
				got = append(got, w.String())
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
