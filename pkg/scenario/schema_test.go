package scenario

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/sumotest"
)

func TestSchemas(t *testing.T) {
	t.Parallel()
	naming := func(place string) part {
		return entryOf("r.rou.xml", `<routes xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"`+"\n"+
			`xsi:noNamespaceSchemaLocation="`+place+`"><vehicle id="a" depart="0"/></routes>`)
	}
	schema := func(name, content string) part {
		return entryOf(name, `<xsd:schema xmlns:xsd="http://www.w3.org/2001/XMLSchema">`+content+`</xsd:schema>`)
	}
	for name, test := range map[string]struct {
		settings string
		parts    []part
		reads    []string // besides the configuration and what it names
		location string
		refused  string
	}{
		"SUMO's":        {parts: []part{naming("http://sumo.dlr.de/xsd/routes_file.xsd")}},
		"SUMO's of old": {parts: []part{naming("http://sumo-sim.org/xsd/routes_file.xsd")}},
		"one that SUMO hasn't": {
			parts:    []part{naming("http://sumo.dlr.de/xsd/x.xsd")},
			location: "r.rou.xml:2", refused: "not one of SUMO's",
		},
		"a way up through SUMO's": {parts: []part{naming("http://x/xsd/../../x.xsd")}, location: "r.rou.xml:2", refused: "not one of SUMO's"},
		"another of the web": {
			parts:    []part{naming("https://example.org/routes_file.xsd")},
			location: "r.rou.xml:2", refused: "not one of SUMO's",
		},
		"another that is not used":   {settings: `<xml-validation.routes value="never"/>`, parts: []part{naming("https://example.org/x.xsd")}},
		"a file of the machine":      {parts: []part{naming("file:///etc/x.xsd")}, location: "r.rou.xml:2", refused: "is a URL"},
		"one called like a host":     {parts: []part{naming("ab:1"), schema("ab:1", "")}, location: "r.rou.xml:2", refused: "contains ':'"},
		"an absolute path":           {parts: []part{naming("/etc/x.xsd")}, location: "r.rou.xml:2", refused: "absolute path"},
		"one that is not in the zip": {parts: []part{naming("types.xsd")}},
		"one in the zip, with more": {
			parts: []part{naming("x/t.xsd"), schema("x/t.xsd", `<xsd:include schemaLocation="u.xsd"/>`), schema("x/u.xsd", "")},
			reads: []string{"x/t.xsd", "x/u.xsd"},
		},
		"one with a DTD": {
			parts: []part{naming("t.xsd"), entryOf("t.xsd", "<!DOCTYPE x><x/>")}, location: "t.xsd:1", refused: "<!DOCTYPE",
		},
		"one that leads outside": {
			parts: []part{naming("t.xsd"), schema("t.xsd", `<xsd:redefine schemaLocation="../u.xsd"/>`)}, location: "t.xsd:1",
			refused: "outside the scenario",
		},
		"SUMO's, installed elsewhere": {parts: []part{naming("/opt/sumo/data/xsd/routes_file.xsd")}},
		"one called like SUMO's": {
			parts: []part{naming("xsd/routes_file.xsd"), entryOf("xsd/routes_file.xsd", "<!DOCTYPE x><x/>")}, location: "xsd/routes_file.xsd:1",
			refused: "<!DOCTYPE",
		},
		"a way up from SUMO's": {parts: []part{naming("a/xsd/../x.xsd")}, location: "r.rou.xml:2", refused: "behind /xsd/"},
		"a coded blank":        {parts: []part{naming("a%20b.xsd"), schema("a b.xsd", ""), schema("a%20b.xsd", "")}, reads: []string{"a b.xsd"}},
		"another coded sign": {
			parts: []part{naming("a%2Fb.xsd"), schema("a/b.xsd", ""), schema("a%2Fb.xsd", "")}, reads: []string{"a%2Fb.xsd"},
		},
		"a percent sign":      {parts: []part{naming("a%.xsd"), schema("a%.xsd", "")}, reads: []string{"a%.xsd"}},
		"a number sign":       {parts: []part{naming("a#b.xsd"), schema("a#b.xsd", ""), schema("a", "")}, reads: []string{"a#b.xsd"}},
		"a name of Windows":   {parts: []part{naming(`a\b.xsd`), schema("a/b.xsd", ""), schema("a_b.xsd", "")}},
		"a way up of Windows": {parts: []part{naming(`..\b.xsd`)}},
		"a coded way up": {
			parts: []part{naming("..%2Fb.xsd"), schema("..%2Fb.xsd", "")}, reads: []string{"..%2Fb.xsd"},
		},
		"a name that is too long": {
			parts: []part{naming(strings.Repeat("./", 3000) + "x.xsd")}, location: "r.rou.xml:2", refused: "longer than a file name",
		},
		"more names than can be remembered": {
			parts: []part{stored("r.rou.xml", `<routes>`+strings.Repeat(`<a noNamespaceSchemaLocation="`+strings.Repeat("x", 4000)+`.xsd"/>`,
				3000)+`</routes>`)}, location: "r.rou.xml", refused: "more names of files than can be checked",
		},
		"a space that is not XML's": {
			parts: []part{
				entryOf("r.rou.xml", "<routes xmlns:xsi=\"x\" xsi:schemaLocation=\"ns a\u00a0b.xsd\"/>"), entryOf("a\u00a0b.xsd", "<!DOCTYPE x><x/>"),
			}, location: "a\u00a0b.xsd:1", refused: "<!DOCTYPE",
		},
		"one beside the file, which is not in the top folder": {
			settings: `<a value="d/a.xml"/>`,
			parts: []part{
				entryOf("d/a.xml", `<additional noNamespaceSchemaLocation="t.xsd"/>`), entryOf("d/t.xsd", "<!DOCTYPE x><x/>"),
				schema("t.xsd", ""), naming("t.xsd"),
			}, reads: []string{"t.xsd"},
		},
		"one among tables of emissions": {
			settings: `<a value="d/a.xml"/>`,
			parts: []part{
				entryOf("d/a.xml", `<additional noNamespaceSchemaLocation="PHEMlight/t.xsd"/>`),
				entryOf("PHEMlight/t.xsd", "<!DOCTYPE x><x/>"),
			}, location: "PHEMlight/t.xsd:1", refused: "<!DOCTYPE",
		},
		"one of a file that is included": {
			settings: `<xml-validation.routes value="never"/>`,
			parts: []part{
				entryOf("r.rou.xml", `<routes><include href="i.xml"/></routes>`),
				entryOf("i.xml", `<routes noNamespaceSchemaLocation="/x.xsd"/>`),
			},
			location: "i.xml:1", refused: "absolute path",
		},
		"one of a file that a network includes": {
			parts: []part{
				entryOf("n.net.xml", `<net version="1.9"><include href="i.xml"/></net>`),
				entryOf("i.xml", `<net version="1.9" noNamespaceSchemaLocation="/x.xsd"/>`),
			}, location: "i.xml:1", refused: "absolute path",
		},
		"one of routes that are read at once": {
			settings: `<route-steps value="0"/><xml-validation.routes value="never"/>`, parts: []part{naming("/x.xsd")},
			location: "r.rou.xml:2", refused: "absolute path",
		},
		"one of routes when nothing is validated": {settings: `<xml-validation value="never"/>`, parts: []part{naming("/x.xsd")}},
		"one of routes that are also read as something else": {
			settings: `<xml-validation.routes value="never"/><a value="r.rou.xml"/>`, parts: []part{naming("/x.xsd")},
			location: "r.rou.xml:2", refused: "absolute path",
		},
		"one that is also an input": {
			settings: `<a value="t.xsd,a.xml"/>`,
			parts: []part{
				schema("t.xsd", `<xsd:include schemaLocation="/u.xsd"/>`), entryOf("a.xml", `<additional noNamespaceSchemaLocation="t.xsd"/>`),
			}, location: "t.xsd:1", refused: "absolute path",
		},
		"an input that was a schema before": {
			settings: `<a value="a.xml,b.xml"/>`,
			parts: []part{
				entryOf("a.xml", `<additional noNamespaceSchemaLocation="b.xml"/>`), entryOf("b.xml", `<a><b edgesFile="/etc/passwd"/></a>`),
			}, location: "b.xml:1", refused: "absolute path",
		},
		"one that is read as a configuration": {
			parts: []part{naming("t.sumocfg"), schema("t.sumocfg", `<xsd:include schemaLocation="/u.xsd"/>`)}, location: "t.sumocfg:1",
			refused: "absolute path",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := inspect(t, scenarioOf(t, test.settings, test.parts...), DefaultLimits())
			if test.refused != "" {
				p, _ := errors.AsType[*problem.Error](err)
				if p == nil || !slices.ContainsFunc(p.Items, func(i problem.Item) bool {
					return i.Location == test.location && strings.Contains(i.Message, test.refused)
				}) {
					t.Errorf("got %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := append([]string{"n.net.xml", "r.rou.xml", "s.sumocfg"}, test.reads...)
			for _, f := range m.Configs[0].Options {
				if f.Name == "additional-files" {
					want = append(want, f.Files...)
				}
			}
			slices.Sort(want)
			if got := m.Configs[0].Reads; !slices.Equal(got, want) {
				t.Errorf("reads %q, want %q", got, want)
			}
		})
	}
}

// TestSchemasAreReadAsSUMODoes asks SUMO about each place of a schema: whether it starts, and which of the files it reads. The schemas
// that must not be read are traps, which have a DTD for us and refuse the document for SUMO.
func TestSchemasAreReadAsSUMODoes(t *testing.T) {
	t.Parallel()
	const head, tail = `<s:schema xmlns:s="http://www.w3.org/2001/XMLSchema">`, `</s:schema>`
	naming := func(place string) string {
		return `<routes xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:noNamespaceSchemaLocation="` + place + `"/>`
	}
	good := func(name string) part { return entryOf(name, head+`<s:element name="routes"/>`+tail) }
	trap := func(name string) part { return entryOf(name, `<!DOCTYPE x>`+head+`<s:element name="other"/>`+tail) }
	including := func(name, place string) part {
		return entryOf(name, head+`<s:include schemaLocation="`+place+`"/>`+tail)
	}
	for name, test := range map[string]struct {
		place    string
		settings string
		parts    []part
	}{
		"SUMO's":                {place: "http://sumo.dlr.de/xsd/routes_file.xsd"},
		"SUMO's, elsewhere":     {place: "https://sumo-sim.org/xsd/routes_file.xsd"},
		"none of SUMO's":        {place: "http://sumo.dlr.de/xsd/nothing.xsd"},
		"another host":          {place: "https://127.0.0.1:9/routes_file.xsd"},
		"another host's SUMO's": {place: "http://127.0.0.1:9/xsd/routes_file.xsd"},
		"an installed SUMO's":   {place: "/nowhere/xsd/routes_file.xsd"},
		"none":                  {place: "nothing.xsd"},
		"a bare name of SUMO's": {place: "routes_file.xsd"},
		"a good one":            {place: "own.xsd", parts: []part{good("own.xsd")}},
		"beside the file":       {place: "own.xsd", parts: []part{good("own.xsd"), trap("d/own.xsd")}},
		"in the top folder":     {place: "own.xsd", parts: []part{trap("own.xsd"), good("d/own.xsd")}},
		"only beside the file":  {place: "own.xsd", parts: []part{trap("d/own.xsd")}},
		"in a sub folder":       {place: "d/own.xsd", parts: []part{trap("d/own.xsd")}},
		"included beside the schema": {
			place: "x/own.xsd", parts: []part{including("x/own.xsd", "i.xsd"), good("x/i.xsd"), trap("i.xsd"), trap("d/i.xsd")},
		},
		"included from beside the schema": {
			place: "x/own.xsd", parts: []part{including("x/own.xsd", "i.xsd"), trap("x/i.xsd"), good("i.xsd"), good("d/i.xsd")},
		},
		"like SUMO's at the top": {place: "xsd/routes_file.xsd", parts: []part{trap("xsd/routes_file.xsd")}},
		"coded":                  {place: "a%20b.xsd", parts: []part{trap("a b.xsd"), good("a%20b.xsd")}},
		"coded otherwise":        {place: "a%62.xsd", parts: []part{good("ab.xsd"), trap("a%62.xsd")}},
		"coded in no way":        {place: "a%.xsd", parts: []part{trap("a%.xsd")}},
		"with a number sign":     {place: "a#b.xsd", parts: []part{trap("a#b.xsd"), good("a")}},
		"with a question mark":   {place: "a?b.xsd", parts: []part{trap("a?b.xsd"), good("a")}},
		"with a backslash":       {place: `d\b.xsd`, parts: []part{trap("d/b.xsd"), trap("d_b.xsd")}},
		"coded in a schema": {
			place: "own.xsd", parts: []part{including("own.xsd", "a%20b.xsd"), trap("a b.xsd"), good("a%20b.xsd")},
		},
		"never":        {place: "own.xsd", settings: `<xml-validation.routes value="never"/>`, parts: []part{trap("own.xsd")}},
		"nothing ever": {place: "own.xsd", settings: `<xml-validation value="never"/>`, parts: []part{trap("own.xsd")}},
		"routes all the same": {
			place: "own.xsd", settings: `<xml-validation value="never"/><xml-validation.routes value="local"/>`, parts: []part{trap("own.xsd")},
		},
		"never, but all at once": {
			place: "own.xsd", settings: `<xml-validation.routes value="never"/><route-steps value="0"/>`, parts: []part{trap("own.xsd")},
		},
		"never, but as another file too": {
			place: "own.xsd", settings: `<xml-validation.routes value="never"/><a value="r.rou.xml"/>`, parts: []part{trap("own.xsd")},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sumotest.Each(t, func(t *testing.T, at release.Installation) {
				run := runReal(t, at, `<route-files value="r.rou.xml"/>`+test.settings,
					append(test.parts, entryOf("d/r.rou.xml", naming(test.place)))...)
				if run.ok != (run.refused == nil) {
					t.Errorf("we say %v, SUMO says\n%s", run.refused, run.output)
				}
			})
		})
	}
}
