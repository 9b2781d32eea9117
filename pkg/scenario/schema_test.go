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
			if got := m.Configs[0].Reads; !slices.Equal(got, want) {
				t.Errorf("reads %q, want %q", got, want)
			}
		})
	}
}

// TestSchemasAreReadAsSUMODoes asks SUMO for each place of a schema whether it starts.
func TestSchemasAreReadAsSUMODoes(t *testing.T) {
	t.Parallel()
	for _, place := range []string{
		"http://sumo.dlr.de/xsd/routes_file.xsd", "https://sumo-sim.org/xsd/routes_file.xsd", "http://sumo.dlr.de/xsd/nothing.xsd",
		"https://127.0.0.1:9/routes_file.xsd", "http://127.0.0.1:9/xsd/routes_file.xsd", "nothing.xsd", "routes_file.xsd", "own.xsd",
	} {
		t.Run(place, func(t *testing.T) {
			t.Parallel()
			sumotest.Each(t, func(t *testing.T, at release.Installation) {
				run := runReal(t, at, `<route-files value="r.rou.xml"/>`, entryOf("d/r.rou.xml",
					`<routes xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:noNamespaceSchemaLocation="`+place+`"/>`),
					entryOf("d/own.xsd", `<s:schema xmlns:s="http://www.w3.org/2001/XMLSchema"><s:element name="routes"/></s:schema>`))
				if run.ok != (run.refused == nil) {
					t.Errorf("we say %v, SUMO says\n%s", run.refused, run.output)
				}
			})
		})
	}
}
