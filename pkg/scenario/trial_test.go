package scenario

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/xml"
)

const (
	trialTypes = `<additional>
<vType id="car" sigma="0.5" tau="1.0"/>
<vType id="truck" vClass="truck"><param key="device.rerouting.period" value="60"/><param key="device.ssm.file" value="ssm.xml"/></vType>
<edgeData id="d" file="edges.xml" period="900"/>
<inductionLoop id="l" lane="e_0" pos="1" period="60" file="loops.xml"/>
<tlLogic id="t" type="static" programID="0"><phase duration="10" state="G"/><param key="file" value="light.xml"/></tlLogic>
<vType id="odd" imgFile="car.png" desAccelProfile="1 2" emissionClass="HBEFA3/PC_G_EU4"/>
</additional>`
	trialNet    = `<net version="1.9"><edge id="e" name="" priority="1"/></net>`
	trialRoutes = `<routes>
<vehicle id="a" type="car" depart="0"/>
<vehicle id="b" type="car" depart="5"/>
<vehicle id="c" type="truck" depart="7"/>
</routes>`
)

func trialScenario(t testing.TB, parts ...part) []byte {
	t.Helper()
	own := []part{
		entryOf("types.add.xml", trialTypes), entryOf("r.rou.xml", gzipped(trialRoutes)), entryOf("n.net.xml", trialNet),
		entryOf("unread.xml", trialTypes),
	}
	for _, p := range parts {
		own = slices.DeleteFunc(own, func(o part) bool { return o.name == p.name })
	}
	return scenarioOf(t, `<additional-files value="types.add.xml"/>`, append(own, parts...)...)
}

// tried returns the warnings of a trial with these values.
func tried(t testing.TB, in *Intake, s Scenario, requested string, set []simulation.Attribute) ([]string, error) {
	t.Helper()
	trial, err := in.Trial(t.Context(), s, requested)
	if err != nil {
		return nil, err
	}
	c, err := trial.With(set)
	if err != nil {
		return nil, err
	}
	return trial.News(c, c.Interval(nil, nil)), nil
}

// values are attributes from pairs of name and value.
func values(t testing.TB, pairs ...string) (list []simulation.Attribute) {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		a, err := simulation.ParseAttribute(pairs[i])
		if err != nil {
			t.Fatal(err)
		}
		a.Value = pairs[i+1]
		list = append(list, a)
	}
	return list
}

func accepted(t testing.TB, b intakeBundle, data []byte) Scenario {
	t.Helper()
	s, _, err := b.Accept(t.Context(), b.tenant, bytes.NewReader(data), About{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestCheckAttributes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		set      []simulation.Attribute
		warnings []string
		fault    string
	}{
		"one that is there": {set: values(t, "types.add.xml#vType[@id='car']/@sigma", "0.2")},
		"one that is not": {
			set:      values(t, "types.add.xml#vType/@sigma", "0.2"),
			warnings: []string{`types.add.xml: 2 of 3 <vType> have no attribute "sigma"; the study adds it`},
		},
		"in a compressed file": {set: values(t, "r.rou.xml#vehicle/@type", "truck")},
		"of the network":       {set: values(t, "n.net.xml#edge[@id='e']/@name", "Main Street & Co")},
		"inside others":        {set: values(t, "types.add.xml#phase/@duration", "20", "types.add.xml#tlLogic/@type", "actuated")},
		"a param":              {set: values(t, "types.add.xml#param[@key='device.rerouting.period']/@value", "10")},
		"a table of numbers":   {set: values(t, "types.add.xml#vType/@desAccelProfile", "1 3"), warnings: []string{"2 of 3 <vType>"}},
		"none at all":          {},
		"a text for a number": {
			set:   values(t, "types.add.xml#vType[@id='car']/@tau", "fast"),
			fault: `SUMO takes a number for "tau" of <vType>, and "fast" is none`,
		},
		"no text for a number": {set: values(t, "types.add.xml#vType/@sigma", ""), fault: `SUMO takes a number for "sigma" of <vType>`},
		"a text of the network": {
			set: values(t, "n.net.xml#edge/@priority", "high"), fault: `SUMO takes a number for "priority" of <edge>`,
		},
		"a text that SUMO takes as well": {
			set: values(t, "r.rou.xml#vehicle[@id='c']/@depart", "triggered"), warnings: []string{`is a number (7)`},
		},
		"a number like SUMO's":  {set: values(t, "types.add.xml#vType[@id='car']/@tau", " 0x1p-1")},
		"a time":                {set: values(t, "types.add.xml#phase/@duration", "0:00:20")},
		"a departure too late":  {set: values(t, "r.rou.xml#vehicle[@id='a']/@depart", "6"), warnings: []string{`"b" departs at 5 s, 1 s before`}},
		"a departure after all": {set: values(t, "r.rou.xml#vehicle[@id='c']/@depart", "100")},
		"of the configuration":  {set: values(t, "s.sumocfg#route-files/@value", "x"), fault: "option:NAME"},
		"in a file that is not read": {
			set:   values(t, "unread.xml#vType/@sigma", "1"),
			fault: `does not read "unread.xml": choose one of n.net.xml, r.rou.xml, types.add.xml`,
		},
		"in a file that is not there": {set: values(t, "type.add.xml#vType/@sigma", "1"), fault: `did you mean "types.add.xml"?`},
		"of another element": {
			set:   values(t, "types.add.xml#vType[@id='cat']/@sigma", "1"),
			fault: `no element matches; near ones: vType[@id='car']/@sigma, vType[@id='odd']/@sigma, vType[@id='truck']/@sigma`,
		},
		"with a quote": {
			set: values(t, `types.add.xml#vType[@id="driver's"]/@sigma`, "1"), fault: `vType[@id="driver's"]/@sigma: no element matches`,
		},
		"a misspelt element":   {set: values(t, "types.add.xml#vtype[@id='car']/@sigma", "1"), fault: `near ones: vType[@id='car']/@sigma`},
		"a misspelt attribute": {set: values(t, "types.add.xml#vType[@id='car']/@sgima", "1"), fault: `near ones: vType[@id='car']/@sigma`},
		"nothing like it":      {set: values(t, "n.net.xml#lane/@speed", "1"), fault: `n.net.xml#lane/@speed: no element matches.`},
		"an id":                {set: values(t, "types.add.xml#vType[@id='car']/@id", "x"), fault: `is what other elements`},
		"a file":               {set: values(t, "types.add.xml#inductionLoop/@file", "x"), fault: `names a file`},
		"a picture":            {set: values(t, "types.add.xml#vType/@imgFile", "x"), fault: `names a file`},
		"a file in a param":    {set: values(t, "types.add.xml#param[@key='device.ssm.file']/@value", "x"), fault: `names a file`},
		"a file of a light":    {set: values(t, "types.add.xml#param[@key='file']/@value", "x"), fault: `names a file`},
		"among other params":   {set: values(t, "types.add.xml#param/@value", "x"), fault: `names a file`},
		"a key":                {set: values(t, "types.add.xml#param/@key", "x"), fault: `only the value`},
		"an output":            {set: values(t, "types.add.xml#edgeData/@period", "60"), fault: `only describes an output`},
		"the root":             {set: values(t, "n.net.xml#net/@version", "1.20"), fault: `is about the whole file`},
		"a schema":             {set: values(t, "types.add.xml#vType/@xsi:type", "x"), fault: `no element matches`},
		"a value that XML cannot hold": {
			set: values(t, "types.add.xml#vType/@sigma", "\x00"), fault: "characters that XML cannot hold",
		},
		"a value that is too long": {set: values(t, "types.add.xml#vType/@sigma", longText+"x"), fault: "longer than 4096 bytes"},
		"a value that a check refuses": {
			set:   values(t, "types.add.xml#vType[@id='odd']/@emissionClass", "../../x"),
			fault: `types.add.xml:7: the emission class "../../x" contains '..'`,
		},
		"the same twice": {
			set:   values(t, "types.add.xml#vType/@sigma", "1", "types.add.xml#vType[@id='car']/@sigma", "0"),
			fault: "another value of the study",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setupIntake()
			warnings, err := tried(t, b.Intake, accepted(t, b, trialScenario(t)), "", test.set)
			if test.fault != "" {
				checkProblem(t, err)
				if problem.CodeOf(err) != problem.ScenarioInvalid || !strings.Contains(err.Error(), test.fault) {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil || len(warnings) != len(test.warnings) {
				t.Fatalf("%q, %v", warnings, err)
			}
			for i, want := range test.warnings {
				if !strings.Contains(warnings[i], want) {
					t.Errorf("%q", warnings[i])
				}
			}
		})
	}
}

func TestCheckAttributesReportsEveryFault(t *testing.T) {
	t.Parallel()
	b := setupIntake()
	set := values(t, "types.add.xml#vType/@id", "1", "types.add.xml#nothing/@x", "1", "r.rou.xml#vehicle/@id", "1")
	_, err := tried(t, b.Intake, accepted(t, b, trialScenario(t)), "s.sumocfg", set)
	p, ok := errors.AsType[*problem.Error](err)
	if !ok || len(p.Items) != 3 {
		t.Fatal(err)
	}
	var named []string
	for _, item := range p.Items {
		named = append(named, item.Value.(string))
	}
	if want := []string{set[2].String(), set[0].String(), set[1].String()}; !slices.Equal(named, want) {
		t.Error(named)
	}
}

// TestATrialJudgesWhatARewrittenScenarioIs holds a trial to the check of a zip in which the values are written.
func TestATrialJudgesWhatARewrittenScenarioIs(t *testing.T) {
	t.Parallel()
	b := setupIntake()
	trial, err := b.Trial(t.Context(), accepted(t, b, trialScenario(t)), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, set := range [][]simulation.Attribute{
		values(t, "r.rou.xml#vehicle[@id='a']/@depart", "6"),
		values(t, "r.rou.xml#vehicle[@id='c']/@depart", "triggered", "types.add.xml#vType/@vClass", "subway"),
		values(t, "types.add.xml#vType/@sigma", "0.1", "types.add.xml#vType/@scale", "2", "r.rou.xml#vehicle/@departSpeed", "max"),
		values(t, "types.add.xml#phase/@state", `"<&'`, "n.net.xml#edge/@name", "é"),
		nil,
	} {
		changed := map[string]string{}
		for file, text := range map[string]string{"types.add.xml": trialTypes, "r.rou.xml": gzipped(trialRoutes), "n.net.xml": trialNet} {
			changed[file] = rewritten(t, text, NewSetter(file, set))
		}
		whole, err := inspect(t, trialScenario(t, entryOf("types.add.xml", changed["types.add.xml"]), entryOf("r.rou.xml", changed["r.rou.xml"]),
			entryOf("n.net.xml", changed["n.net.xml"])), DefaultLimits())
		if err != nil {
			t.Fatal(err)
		}
		got, err := trial.With(set)
		if err != nil {
			t.Fatal(err)
		}
		got.Warnings = slices.DeleteFunc(got.Warnings, func(w Warning) bool { return strings.Contains(w.Message, "the study") })
		if diff := cmp.Diff(whole.Configs[0], got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%v (-whole +trial):\n%s", set, diff)
		}
	}
}

func rewritten(t testing.TB, text string, set *Setter) string {
	t.Helper()
	var out strings.Builder
	err := xml.Rewrite(&out, strings.NewReader(text), func(e xml.Element) []xml.Change {
		if set == nil {
			return nil
		}
		_, changes := set.Set(e)
		return changes
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestATrialTakesManyValues(t *testing.T) {
	t.Parallel()
	b := setupIntake()
	var detectors strings.Builder // more than is kept while they are tried
	detectors.WriteString("<additional>\n")
	for i := range 10_000 {
		fmt.Fprintf(&detectors, `<inductionLoop id="%d" lane="e_0" pos="1" period="60" file="loops%d.xml"/>`+"\n", i, i)
	}
	detectors.WriteString("</additional>\n")
	s := accepted(t, b, trialScenario(t, entryOf("types.add.xml", detectors.String())))
	trial, err := b.Trial(t.Context(), s, "")
	if err != nil {
		t.Fatal(err)
	}
	budget, opens := trial.in.budget.left, b.objects.opens
	for i := range 5 {
		c, err := trial.With(values(t, "types.add.xml#inductionLoop/@pos", fmt.Sprint(i), "r.rou.xml#vehicle/@depart", fmt.Sprint(i)))
		if err != nil || len(c.Outputs) != 10_000 || *c.Demand.LastDeparture != float64(i) {
			t.Fatal(len(c.Outputs), err)
		}
		if _, err := trial.With(values(t, "types.add.xml#inductionLoop/@file", "x")); err == nil {
			t.Fatal("an output was renamed")
		}
	}
	c, err := trial.With(nil)
	if diff := cmp.Diff(trial.Config, c, cmpopts.EquateEmpty()); err != nil || diff != "" {
		t.Errorf("afterwards: %v\n%s", err, diff)
	}
	if left := trial.in.budget.left; left < budget {
		t.Errorf("%d of the budget are lost", budget-left)
	}
	if more := b.objects.opens - opens; more > 50 {
		t.Errorf("the store was asked %d times", more)
	}
}

func TestATrialPassesOnFailuresOfTheStore(t *testing.T) {
	t.Parallel()
	b := setupIntake()
	s := accepted(t, b, trialScenario(t))
	delete(b.objects.data, s.Key)
	if _, err := tried(t, b.Intake, s, "", nil); err == nil || problem.CodeOf(err) == problem.ScenarioInvalid {
		t.Error(err)
	}
}

func TestNoValueIsSetInABrokenFile(t *testing.T) {
	t.Parallel()
	b := setupIntake()
	s := accepted(t, b, trialScenario(t, entryOf("r.rou.xml", strings.Replace(trialRoutes, "</routes>",
		strings.Repeat(`<vehicle id="d" depart="1000"/>`, 9)+"<", 1))))
	_, err := tried(t, b.Intake, s, "", values(t, "r.rou.xml#vehicle/@type", "truck"))
	if problem.CodeOf(err) != problem.ScenarioInvalid || !strings.Contains(err.Error(), "cannot be read to its end") {
		t.Error(err)
	}
	if _, err := tried(t, b.Intake, s, "", values(t, "types.add.xml#vType/@sigma", "1")); err != nil {
		t.Error(err)
	}
}

// FuzzSetter holds that rewriting changes the attributes that match and nothing else, in a compressed document as in a plain one, once as
// twice, and that the result is what the check has seen.
func FuzzSetter(f *testing.F) {
	for _, seed := range [][4]string{
		{trialTypes, "vType[@id='car']/@sigma", "0.2", "vType/@tau"}, {trialRoutes, "vehicle/@depart", "<&'\"\n\t", "vehicle/@type"},
		{"<?xml version='1.0' encoding='latin1'?>\n<a><b c='\xe9'/></a>", "b/@c", "é", "a/@c"},
		{"<r><vType sigma=\"0\"\r\nid='x'/><vType/></r>", "vType[@id='x']/@sigma", "1", "vType[@sigma='0']/@tau"},
	} {
		f.Add([]byte(seed[0]), seed[1], seed[2], seed[3])
	}
	f.Fuzz(func(t *testing.T, text []byte, first, value, second string) {
		var set []simulation.Attribute
		for _, name := range []string{first, second} {
			a, err := simulation.ParseAttribute("f.xml#" + name)
			if err != nil {
				return
			}
			a.Value = value
			set = append(set, a)
		}
		written := func(text []byte) (string, error) {
			s := NewSetter("f.xml", set)
			var out strings.Builder
			err := xml.Rewrite(&out, bytes.NewReader(text), func(e xml.Element) []xml.Change { _, c := s.Set(e); return c })
			return out.String(), err
		}
		// seen is what a scan sees of elements, as they are set.
		seen := func(text []byte, set []simulation.Attribute) (list []string, err error) {
			s := NewSetter("f.xml", set)
			err = xml.Scan(bytes.NewReader(text), func(e xml.Element) error {
				if s != nil {
					e, _ = s.Set(e)
				}
				line := fmt.Sprintf("%d %d <%s", e.Line, e.Depth, e.Name)
				for _, a := range e.Attrs {
					line += fmt.Sprintf(" %s=%q", a.Name, a.Value)
				}
				list = append(list, line)
				return nil
			})
			return list, err
		}
		got, err := written(text)
		want, scanned := seen(text, set)
		if err != nil {
			return // refused as FuzzRewrite holds, or the value cannot be written
		}
		if scanned != nil {
			t.Fatalf("rewritten, but not read: %v", scanned)
		}
		found, err := seen([]byte(got), nil)
		if diff := cmp.Diff(want, found); err != nil || diff != "" {
			t.Fatalf("%v (-checked +written):\n%s", err, diff)
		}
		if packed, err := written([]byte(gzipped(string(text)))); err != nil || packed != got {
			t.Fatalf("compressed: %v\n%s", err, cmp.Diff(got, packed))
		}
		for i, a := range set { // one alone, since one may select by what another sets
			set = set[:0:0]
			set = append(set, a)
			once, err := written(text)
			if err != nil {
				continue
			}
			if twice, err := written([]byte(once)); err != nil || twice != once {
				t.Fatalf("%d, twice: %v\n%s", i, err, cmp.Diff(once, twice))
			}
			before, _ := seen(text, nil)
			after, _ := seen([]byte(once), nil)
			for n, line := range before {
				if name := " <" + a.Element; line != after[n] && !strings.Contains(line+" ", name+" ") {
					t.Fatalf("%q became %q", line, after[n])
				}
			}
		}
	})
}

// BenchmarkTrial tries values in a scenario with a network of 100 MB.
func BenchmarkTrial(b *testing.B) {
	var net strings.Builder
	net.WriteString("<net version=\"1.20\">\n")
	for i := 0; net.Len() < 100<<20; i++ {
		fmt.Fprintf(&net, `    <edge id="e%d" from="a" to="b" priority="1"><lane id="e%d_0" index="0" speed="13.89" length="%d.50" `+
			`shape="%d.00,1.00 2.00,%d.00"/></edge>`+"\n", i, i, i%1000, i, i)
	}
	net.WriteString("</net>\n")
	bundle := setupIntake()
	s := accepted(b, bundle, trialScenario(b, entryOf("n.net.xml", net.String())))
	began := time.Now()
	trial, err := bundle.Trial(b.Context(), s, "")
	if err != nil {
		b.Fatal(err)
	}
	whole := time.Since(began)
	for name, set := range map[string][]simulation.Attribute{
		"network": values(b, "n.net.xml#lane/@speed", "10"), "types": values(b, "types.add.xml#vType/@sigma", "1"),
		"near": values(b, "n.net.xml#lane[@id='e5_1']/@speed", "10"),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, err := trial.With(set)
				if (err != nil) != (name == "near") {
					b.Fatal(err)
				}
			}
			b.ReportMetric(whole.Seconds(), "s/first")
		})
	}
	b.Run("rewrite", func(b *testing.B) {
		b.SetBytes(int64(net.Len()))
		for b.Loop() {
			set := NewSetter("n.net.xml", values(b, "n.net.xml#lane/@speed", "10"))
			err := xml.Rewrite(io.Discard, strings.NewReader(net.String()), func(e xml.Element) []xml.Change { _, c := set.Set(e); return c })
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}
