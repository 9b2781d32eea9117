package scenario

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

// A job may simulate another interval than its configuration: what matters is the one that runs.
func TestRemarksAreThoseOfTheIntervalThatRuns(t *testing.T) {
	t.Parallel()
	at := func(seconds float64) *float64 { return &seconds }
	late := `<trip id="a" depart="300"/><trip id="b" depart="50"/>`
	many := `<trip id="a" depart="50"/><trip id="b" depart="10"/><trip id="c" depart="400"/><trip id="d" depart="300"/>` +
		`<trip id="e" depart="10000"/><trip id="f" depart="9000"/>`
	flow := `<trip id="a" depart="100"/><flow id="f" end="900" period="5"/>`
	for name, test := range map[string]struct {
		settings, demand string
		begin, end       *float64
		want             string // empty for none
	}{
		"all before the configuration's begin": {`<begin value="400"/>`, `<trip id="a" depart="300"/>`, at(0), nil, ""},
		"all before the begin of the job":      {"", `<trip id="a" depart="300"/>`, at(400), nil, "the last departure (300 s) is before the begin (400 s)"},
		"all after the configuration's end":    {`<end value="100"/>`, `<trip id="a" depart="300"/>`, nil, at(900), ""},
		"all after the end of the job":         {"", `<trip id="a" depart="300"/>`, nil, at(300), "the first departure (300 s) is not before the end (300 s)"},
		"a flow that does not end":             {"", `<flow id="a" begin="0" period="5"/>`, at(400), nil, ""},
		"a saved state":                        {`<load-state value="s.xml"/>`, `<trip id="a" depart="300"/>`, at(400), nil, ""},
		"late outside the configuration's":     {`<begin value="100"/>`, late, at(0), nil, `"b" departs at 50 s`},
		"late outside the job's":               {"", late, at(100), nil, ""},
		"an empty one of the configuration":    {`<begin value="400"/><end value="100"/>`, late, at(0), at(1000), `"b" departs at 50 s`},
		"one step at a departure":              {"", `<trip id="a" depart="300"/>`, at(300), at(300), ""},
		"one step before a departure":          {"", `<trip id="a" depart="301"/>`, at(300), at(300), "the first departure (301 s) is not before"},
		"late among others outside":            {"", many, at(100), at(1000), `"d" departs at 300 s, 100 s before an earlier line, and`},
		"late outside, on both sides":          {"", many, at(500), at(1000), ""},
		"late, several":                        {"", many, at(0), at(1000), `"b" departs at 10 s, 40 s before an earlier line (one of 2)`},
		"a flow at the begin":                  {"", flow, at(50), nil, `"f" departs at 50 s, 50 s before an earlier line, and`},
		"a flow at a begin that is not late":   {"", flow, at(100), nil, ""},
		"no end":                               {`<end value="-1"/>`, late, nil, nil, `"b" departs at 50 s`},
		"late in the only step":                {"", late, at(50), at(50), `"b" departs at 50 s`},
		"an empty one":                         {`<begin value="400"/><end value="100"/>`, late, nil, nil, "the end (100 s) is before the begin (400 s)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := inspect(t, scenarioOf(t, test.settings, entryOf("r.rou.xml", "<routes>"+test.demand+"</routes>"),
				entryOf("s.xml", "<snapshot/>")), DefaultLimits())
			if err != nil {
				t.Fatal(err)
			}
			c := m.Configs[0]
			i := c.Interval(test.begin, test.end)
			got := c.Remarks(i)
			if len(got) > 1 || (len(got) == 1) != (test.want != "") || len(got) == 1 && !strings.Contains(got[0].Message, test.want) {
				t.Errorf("remarks %v, want %q", got, test.want)
			}
			if strict := c.Strict(i); len(strict) > 0 != (test.want != "" && !i.Empty()) {
				t.Errorf("a strict run is refused for %v", strict)
			}
		})
	}
}

func TestAVehicleIsLateBecauseOfAnotherFile(t *testing.T) {
	t.Parallel()
	trip := func(id string, depart int) string { return fmt.Sprintf("\n<trip id=%q depart=\"%d\"/>", id, depart) }
	const include = `<include href="b.rou.xml"/>`
	for name, test := range map[string]struct {
		settings, routes, included string
		want                       string // the location; empty for none
	}{
		"in order":                {"", trip("a", 100) + include + trip("c", 200), trip("b", 150), ""},
		"the included":            {"", trip("a", 100) + include, trip("b", 50), "b.rou.xml:2"},
		"the includer":            {"", include + trip("c", 50), trip("b", 100), "r.rou.xml:2"},
		"included twice":          {"", include + trip("a", 100) + include, trip("b", 100), ""},
		"included twice and late": {"", include + trip("a", 200) + include, trip("b", 100), "b.rou.xml:2"},
		"loaded at once":          {`<route-steps value="0"/>`, trip("a", 100) + include, trip("b", 50), ""},
	} {
		m, err := inspect(t, scenarioOf(t, test.settings, entryOf("r.rou.xml", "<routes>"+test.routes+"</routes>"),
			entryOf("b.rou.xml", "<routes>"+test.included+"</routes>")), DefaultLimits())
		if err != nil {
			t.Fatal(err)
		}
		late := m.Configs[0].Strict(Interval{End: 1000})
		if len(late) > 1 || (len(late) == 1) != (test.want != "") || len(late) == 1 && late[0].Location != test.want {
			t.Errorf("%s: %v", name, late)
		}
	}
}

func TestLateDeparturesAreKeptInFewSpans(t *testing.T) {
	t.Parallel()
	var demand strings.Builder
	demand.WriteString(`<trip id="last" depart="90000"/>`)
	for depart := range 50_000 {
		fmt.Fprintf(&demand, "\n<trip id=\"%d\" depart=\"%d\"/>", depart, depart*7919%86_400)
	}
	m, err := inspect(t, scenarioOf(t, "", entryOf("r.rou.xml", "<routes>"+demand.String()+"</routes>")), DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	late := m.Configs[0].Late
	total := 0
	for _, span := range late[0].Spans {
		total += span.Count
	}
	if len(late[0].Spans) > maxSpans || total != 50_000 {
		t.Errorf("%d spans of %d departures", len(late[0].Spans), total)
	}
	for _, i := range []Interval{{Begin: 0, End: 86_400}, {Begin: 0, End: 10}, {Begin: 40_000, End: 43_000}, {Begin: 86_400, End: 90_000}} {
		w := m.Configs[0].Strict(i)
		if (len(w) > 0) != (i.Begin < 86_400) {
			t.Errorf("%v: %v", i, w)
		}
	}
}

func TestABrokenRouteFileIsRefusedWhereTheRunReadsSoFar(t *testing.T) {
	t.Parallel()
	var demand strings.Builder
	for depart := range 20 {
		fmt.Fprintf(&demand, "<trip id=\"%d\" depart=\"%d\"/>\n", depart, 100*depart)
	}
	m, err := inspect(t, scenarioOf(t, "", entryOf("r.rou.xml", "<routes>\n"+demand.String()+"</trip></routes>")), DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	c := m.Configs[0]
	for end, refused := range map[float64]bool{100: false, 1700: false, 1701: true, math.Inf(1): true} {
		i := Interval{End: end}
		p, _ := errors.AsType[*problem.Error](c.Refuse(i))
		remarks := c.Remarks(i)
		if refused != (p != nil) || refused && p.Items[0].Location != "r.rou.xml:22" || len(remarks) != 1 ||
			refused == strings.Contains(remarks[0].Message, "the run ends before SUMO reads so far") || len(c.Strict(i)) > 0 {
			t.Errorf("until %g: %v, %v", end, p, remarks)
		}
	}
	if c.Refuse(Interval{End: 100, Scaled: true}) == nil {
		t.Error("a run that may insert no vehicle is accepted")
	}
	if _, err := m.ChooseConfig(""); err != nil {
		t.Error(err)
	}
}

func TestABrokenRouteFileThatMustBeCopiedIsRefusedForThat(t *testing.T) {
	t.Parallel()
	const outside = `<vType id="t"><param key="device.ssm.file" value="../ssm.xml"/></vType>`
	var demand strings.Builder
	for depart := range 20 {
		fmt.Fprintf(&demand, "<trip id=\"%d\" depart=\"%d\"/>\n", depart, 100*depart)
	}
	for name, entries := range map[string][]part{
		"r.rou.xml:21": {entryOf("r.rou.xml", "<routes>"+outside+demand.String()+"</trip></routes>")},
		"i.rou.xml:1": {
			entryOf("r.rou.xml", `<routes><include href="i.rou.xml"/></routes>`), entryOf("i.rou.xml", "<routes>"+outside+"</trip></routes>"),
		},
	} {
		m, _ := inspect(t, scenarioOf(t, `<end value="400"/>`, entries...), DefaultLimits())
		c := m.Configs[0]
		if len(c.Problems) != 1 || c.Problems[0].Location != name || !strings.Contains(c.Problems[0].Message, `"../ssm.xml" in it must be read as`) {
			t.Errorf("%s: %v", name, c.Problems)
		}
		for _, w := range c.Remarks(c.Interval(nil, nil)) {
			if w.Location == name {
				t.Errorf("%s: also %v", name, w)
			}
		}
	}
}

func TestAnEmptyIntervalIsRefusedUnlessTheJobHasAnother(t *testing.T) {
	t.Parallel()
	const empty = `<begin value="400"/><end value="100"/>`
	backwards := strings.Replace(cfg, "</input>", empty+"</input>", 1)
	for name, test := range map[string]struct {
		zip         []byte
		valid       bool
		chosen      string
		contradicts bool
	}{
		"alone":             {scenarioOf(t, empty), false, "s.sumocfg", true},
		"beside a good one": {scenarioOf(t, "", entryOf("a.sumocfg", backwards)), true, "s.sumocfg", false},
		"beside a bad one":  {scenarioOf(t, empty, entryOf("a.sumocfg", "<configuration/>")), false, "s.sumocfg", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setupIntake()
			_, err := b.Validate(t.Context(), b.tenant, bytes.NewReader(test.zip), About{})
			if test.valid != (err == nil) || err != nil && (problem.CodeOf(err) != problem.ScenarioInvalid ||
				!strings.Contains(err.Error(), "the end (100 s) is before the begin (400 s)")) {
				t.Errorf("validation: %v", err)
			}
			s, _, err := b.Accept(t.Context(), b.tenant, bytes.NewReader(test.zip), About{})
			if err != nil {
				t.Fatal(err)
			}
			c, err := s.Manifest.ChooseConfig("")
			if err != nil || c.Path != test.chosen || test.contradicts != (c.Refuse(c.Interval(nil, nil)) != nil) {
				t.Errorf("chose %s, %v, %v", c.Path, err, c.Refuse(c.Interval(nil, nil)))
			}
		})
	}
}
