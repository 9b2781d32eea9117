package scenario

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

// TestNamesAreReadAsSUMOReadsThem has the kinds of upload that once meant one file to the check and another to SUMO. Each is refused, or
// understood as SUMO understands it.
func TestNamesAreReadAsSUMOReadsThem(t *testing.T) {
	t.Parallel()
	const evil = `<additional><edgeData id="x" period="5" file="e.xml" edgesFile="/etc/passwd"/></additional>`
	good := func(name string) part { return entryOf(name, "<additional/>") }
	within := func(content string, more ...part) []byte {
		return scenarioOf(t, `<a value="d/a.xml"/>`, append(more, entryOf("d/a.xml", "<additional>"+content+"</additional>"))...)
	}
	type files map[string][]string // by option
	for name, test := range map[string]struct {
		zip     []byte
		version string
		refused string   // a part of the message
		files   files    // of options, besides the network and the routes
		outputs []string // of all
	}{
		// Percent signs in the configuration.
		"an encoded way up": {
			zip:   scenarioOf(t, `<fcd-output value="..%2F..%2FX.xml"/>`),
			files: files{"fcd-output": {"X.xml"}}, outputs: []string{"X.xml"},
		},
		"an encoded way up, in small parts": {
			zip:   scenarioOf(t, `<fcd-output value="%2e%2e%2fX.xml"/>`),
			files: files{"fcd-output": {"X.xml"}}, outputs: []string{"X.xml"},
		},
		"an encoded absolute path": {
			zip:   scenarioOf(t, `<fcd-output value="%2Ftmp%2FX.xml"/>`),
			files: files{"fcd-output": {"X.xml"}}, outputs: []string{"X.xml"},
		},
		"an encoded host": {zip: scenarioOf(t, `<fcd-output value="127.0.0.1%3A9999"/>`), refused: "network address"},
		"an encoded way up as text": {
			zip:   scenarioOf(t, "<log>\n..%2FX.xml</log>"),
			files: files{"log": {"X.xml"}}, outputs: []string{"X.xml"},
		},
		"an encoded way up in a string": {
			zip:   scenarioOf(t, `<device.ssm.file value="%2e%2e%2fX.xml"/>`),
			files: files{"device.ssm.file": {"X.xml"}}, outputs: []string{"X.xml"},
		},
		"an encoded list": {zip: scenarioOf(t, `<a value="a.xml%2C/etc/passwd"/>`, good("a.xml")), refused: "contains ','"},
		"an encoded variable": {
			zip:   scenarioOf(t, `<log value="%24%7BHOME%7D"/>`),
			files: files{"log": {"log.xml"}}, outputs: []string{"log.xml"},
		},
		"an encoded home": {zip: scenarioOf(t, `<log value="%7E/x"/>`), files: files{"log": {"x"}}, outputs: []string{"x"}},
		"an encoded zero": {zip: scenarioOf(t, `<log value="a%00b"/>`), refused: "control characters"},
		"half a code":     {zip: scenarioOf(t, `<log value="a%2"/>`), refused: "write %25"},
		"an encoded input": {
			zip: scenarioOf(t, `<a value="%61.xml"/>`, entryOf("%61.xml", "<additional/>"), entryOf("a.xml", evil)), refused: "absolute path",
		},
		"an encoded input that is good": {
			zip: scenarioOf(t, `<a value="%61.xml"/>`, entryOf("%61.xml", evil), good("a.xml")), files: files{"additional-files": {"a.xml"}},
		},
		"a code that stands for itself": {
			zip: scenarioOf(t, `<a value="%2561.xml"/>`, good("%61.xml")), files: files{"additional-files": {"%61.xml"}},
		},
		"a percent sign that codes nothing": {
			zip: scenarioOf(t, `<a value="50%.xml"/>`, good("50%.xml")), files: files{"additional-files": {"50%.xml"}},
		},
		"a code in a name SUMO leaves": {
			zip: scenarioOf(t, `<device.toc.file value="%61"/>`), files: files{"device.toc.file": {"%61"}}, outputs: []string{"%61"},
		},
		"a code in a name that is decoded": {
			zip: scenarioOf(t, `<device.ssm.file value="%61"/>`), files: files{"device.ssm.file": {"a"}}, outputs: []string{"a"},
		},

		// Names of entries that are read as a URL, or decoded.
		"a configuration called like a URL": {zip: scenarioOf(t, "", entryOf("file:/proc/self/cwd/evil.xml#.sumocfg", cfg)),
			refused: "contains ':'"},
		"a configuration in a folder like one": {zip: scenarioOf(t, "", entryOf("http:/x/s2.sumocfg", cfg)), refused: "contains ':'"},
		"a configuration in a coded folder":    {zip: scenarioOf(t, "", entryOf("a%2F..%2F../s2.sumocfg", cfg)), refused: "contains '%'"},
		"a configuration in a list":            {zip: scenarioOf(t, "", entryOf("a,b/s2.sumocfg", cfg)), refused: "contains ','"},
		"an input called like a host": {
			zip: scenarioOf(t, `<a value="ab:1"/>`, good("ab:1")), files: files{"additional-files": {"ab:1"}},
		},
		"an input called like a URL": {
			zip: scenarioOf(t, `<a value="file:/a.xml"/>`, good("file:/a.xml")), files: files{"additional-files": {"file:/a.xml"}},
		},
		"an input at a URL":                       {zip: scenarioOf(t, `<a value="file:///a.xml"/>`, good("file:/a.xml")), refused: "URL"},
		"an input on a drive":                     {zip: scenarioOf(t, `<a value="c:a.xml"/>`, good("a.xml")), refused: "absolute path"},
		"an include called like a host":           {zip: within(`<include href="ab:1"/>`, good("d/ab:1")), refused: "ab:1\", which is not in"},
		"an include called so, where SUMO starts": {zip: within(`<include href="ab:1"/>`, entryOf("ab:1", evil)), refused: "absolute path"},
		"an output in a folder called like a host": {
			zip:     scenarioOf(t, `<a value="ab:1/a.xml"/>`, entryOf("ab:1/a.xml", `<additional><edgeData file="x"/></additional>`)),
			refused: "a network address",
		},
		"an input called like a stream": {zip: scenarioOf(t, `<a value="stdout"/>`, good("stdout")), refused: "stream"},
		"a folder that is read": {
			zip: scenarioOf(t, `<phemlight-path value="phem/"/>`), files: files{"phemlight-path": {"phem/"}},
		},
		"the top folder, which is read": {
			zip: scenarioOf(t, `<phemlight-path value="./"/>`), files: files{"phemlight-path": {"./"}},
		},
		"a number sign": {
			zip: scenarioOf(t, `<a value="a#b.xml"/>`, good("a#b.xml")), files: files{"additional-files": {"a#b.xml"}},
		},

		// White space.
		"a line's end in a name": {zip: scenarioOf(t, "<a value='a\r\n.xml'/>", good("a .xml"), entryOf("a  .xml", evil)),
			files: files{"additional-files": {"a .xml"}}},
		"two lines' ends in a name": {zip: scenarioOf(t, "<a value='a\r\r\n.xml'/>", good("a  .xml"), entryOf("a .xml", evil)),
			files: files{"additional-files": {"a  .xml"}}},
		"a tabulator in a name": {zip: scenarioOf(t, "<a value='a\t.xml'/>", good("a .xml")),
			files: files{"additional-files": {"a .xml"}}},
		"a line's end in a detector": {zip: within("<e1Detector file='x\r\n.xml'/>"), files: files{"additional-files": {"d/a.xml"}},
			outputs: []string{"d/x .xml"}},
		"a line's end in an include": {zip: within("<include href='a\r\n.xml'/>", entryOf("d/a  .xml", "<additional/>"),
			entryOf("d/a .xml", evil)), refused: "absolute path"},
		"a line's end by reference": {zip: scenarioOf(t, "<a value='a&#13;&#10;.xml'/>", good("a .xml")),
			refused: "control characters"},
		"a detector that writes a folder":       {zip: within("<e1Detector file='x/'/>"), refused: "names a folder"},
		"a detector that writes its own folder": {zip: within("<e1Detector file='x/.'/>"), refused: "names a folder"},
		"blanks around a detector's name": {zip: within("<e1Detector file=' x '/>"), files: files{"additional-files": {"d/a.xml"}},
			outputs: []string{"d/ x "}},
		"text over several lines": {zip: scenarioOf(t, "<a>\r\n\ta.xml ,\r\n b.xml\r\n</a>", good("a.xml"), good("b.xml")),
			files: files{"additional-files": {"a.xml", "b.xml"}}},
		"a comma too many":     {zip: scenarioOf(t, `<a value="a.xml,"/>`, good("a.xml")), refused: "extra comma"},
		"an empty list":        {zip: scenarioOf(t, `<a value=" "/>`), refused: "names no file"},
		"a comma in an output": {zip: scenarioOf(t, `<log value="a,b"/>`), files: files{"log": {"a_b"}}, outputs: []string{"a_b"}},

		// Attributes that only look like an option's value.
		"a value of a namespace": {
			zip:   scenarioOf(t, `<additional-files x:value="evil.xml" value="ok.xml"/>`, entryOf("evil.xml", evil), good("ok.xml")),
			files: files{"additional-files": {"ok.xml"}},
		},
		"a value of a namespace, behind": {
			zip:   scenarioOf(t, `<additional-files value="ok.xml" x:v="evil.xml"/>`, entryOf("evil.xml", evil), good("ok.xml")),
			files: files{"additional-files": {"ok.xml"}},
		},
		"an option of a namespace": {
			zip: scenarioOf(t, `<x:additional-files value="evil.xml"/>`, entryOf("evil.xml", evil)), refused: "unknown",
		},
		"an href of a namespace that nothing declares": {
			zip:     within(`<include x:href="evil.xml" href="ok.xml"/>`, entryOf("d/evil.xml", evil), good("d/ok.xml")),
			refused: "nothing declares the prefix",
		},
		"an href of a namespace": {
			zip:   within(`<include xmlns:x="u" x:href="evil.xml" href="ok.xml"/>`, entryOf("d/evil.xml", evil), good("d/ok.xml")),
			files: files{"additional-files": {"d/a.xml"}},
		},
		"both forms of a value": {zip: scenarioOf(t, `<log value="a" v="b"/>`), refused: "set twice"},

		// Text in parts.
		"a comment in a name": {
			zip:   scenarioOf(t, `<additional-files>evil.xml<!-- -->X</additional-files>`, entryOf("evil.xml", evil), good("evil.xmlX")),
			files: files{"additional-files": {"evil.xmlX"}},
		},
		"CDATA in a name": {
			zip:   scenarioOf(t, `<additional-files>evil<![CDATA[.xml]]>X</additional-files>`, entryOf("evil.xml", evil), good("evil.xmlX")),
			files: files{"additional-files": {"evil.xmlX"}},
		},
		"an instruction in a name": {
			zip:   scenarioOf(t, `<additional-files>evil.xml<?x y?>X</additional-files>`, entryOf("evil.xml", evil), good("evil.xmlX")),
			files: files{"additional-files": {"evil.xmlX"}},
		},
		"an element in a name": {
			zip: scenarioOf(t, `<log>ok<additional-files/>evil.xml</log>`, entryOf("evil.xml", evil)), refused: "absolute path",
		},
		"text behind a blank option": {
			zip:   scenarioOf(t, `<log> <fcd-output/>../x</log>`),
			files: files{"fcd-output": {"x"}}, outputs: []string{"x"},
		},
		"text too long to be kept": {zip: scenarioOf(t, "<log>"+noise(maxConfigValue)+"/../../x</log>"), refused: "too long"},

		// Parts of names.
		"a state's suffix that goes up": {
			zip: scenarioOf(
				t, `<save-state.times value="2"/><save-state.prefix value="st"/><save-state.suffix value="/../../../X.xml"/>`, entryOf("st_2.00/", ""),
			),
			refused: "part of files' names",
		},
		"a state's suffix that is coded":    {zip: scenarioOf(t, `<save-state.suffix value="%2F..%2FX.xml"/>`), refused: "part of files' names"},
		"a state's suffix that is a port":   {zip: scenarioOf(t, `<save-state.suffix value=":80"/>`), refused: "part of files' names"},
		"a state's suffix with a variable":  {zip: scenarioOf(t, `<save-state.suffix value="${UTC}x"/>`), files: files{"save-state.suffix": nil}},
		"a scale's suffix with a variable":  {zip: scenarioOf(t, `<scale-suffix value="${SUMO_HOME}"/>`), refused: "variable"},
		"a state's suffix that is the home": {zip: scenarioOf(t, `<save-state.suffix value="~"/>`), refused: "home folder"},
		"a state's suffix":                  {zip: scenarioOf(t, `<save-state.suffix value=".xml.gz"/>`), files: files{"save-state.suffix": nil}},
		"a state's prefix that is a folder": {zip: scenarioOf(t, `<save-state.prefix value="out/"/>`), refused: "names a folder"},
		"a state's prefix that goes up": {
			zip: scenarioOf(t, `<save-state.prefix value="out%2F..%2F..%2Fx"/>`), files: files{"save-state.prefix": {"x"}}, outputs: []string{"x"},
		},
		"a state's prefix": {
			zip: scenarioOf(t, `<save-state.prefix value="out/st"/>`), files: files{"save-state.prefix": {"out/st"}}, outputs: []string{"out/st"},
		},
		"a scale's suffix that goes up": {
			zip:     scenarioOf(t, `<device.ssm.probability value="1"/><scale value="2"/><scale-suffix value="/../../x"/>`),
			refused: "part of files' names",
		},
		"a scale's suffix that is coded":          {zip: scenarioOf(t, `<scale-suffix value="%2f..%2fx"/>`), refused: "part of files' names"},
		"a scale's suffix that is a port":         {zip: scenarioOf(t, `<scale-suffix value="x:8"/>`), refused: "part of files' names"},
		"a scale's suffix":                        {zip: scenarioOf(t, `<scale-suffix value="_"/>`), files: files{"scale-suffix": nil}},
		"an output's prefix that goes home":       {zip: scenarioOf(t, `<output-prefix value="/~q"/>`), refused: "home folder"},
		"an output's prefix above that goes home": {zip: scenarioOf(t, `<output-prefix value="..\~q"/>`), refused: "home folder"},
		"an output's prefix that goes up":         {zip: scenarioOf(t, `<output-prefix value="../x"/>`), files: files{"output-prefix": nil}},
		"an id whose end is not looked at": {
			zip: within(`<vehicle id="` + strings.Repeat("x", 5000) + `/../y"/>`), refused: "longer than",
		},
		"an emission class whose end is not looked at": {zip: within(`<vType emissionClass="` + strings.Repeat("x", 5000) + `/../y"/>`),
			refused: "longer than"},
		"an input that is a configuration by its name": {
			zip: scenarioOf(t, `<a value="b.sumocfg"/>`, entryOf("b.sumocfg", evil)), refused: "absolute path",
		},
		"an input that is a configuration by its root": {
			zip:     scenarioOf(t, `<a value="b.xml"/>`, entryOf("b.xml", strings.ReplaceAll(evil, "additional>", "fooConfiguration>"))),
			refused: "absolute path",
		},
		"an include that is a configuration": {
			zip:     within(`<include href="b.sumocfg"/>`, entryOf("d/b.sumocfg", `<additional><vehicle id="../x"/></additional>`)),
			refused: "contains '..' as a folder",
		},
		"a configuration that is its own input": {
			zip: scenarioOf(t, "", entryOf("s.sumocfg", `<fooConfiguration><n value="n.net.xml"/><a value="s.sumocfg"/>
				<edgeData file="e.xml" edgesFile="/etc/passwd"/></fooConfiguration>`)), refused: "absolute path",
		},
		"an id that is coded":             {zip: within(`<vehicle id="x%2F..%2F../y"/>`), refused: "contains '..' as a folder"},
		"an id that is coded throughout":  {zip: within(`<vehicle id="%2f%2E%2e%2f"/>`), refused: "contains '..' as a folder"},
		"an id with percent signs":        {zip: within(`<vehicle id="100%..x%2F"/>`), files: files{"additional-files": {"d/a.xml"}}},
		"a flow's id that ends with them": {zip: within(`<flow id="f/.."/>`), refused: "contains '..' as a folder"},

		// Parameters.
		"a swarm that logs to /": {
			zip:   within(`<tlLogic type="swarm"><param key="SWARMLOG" value="/abs/path"/></tlLogic>`),
			files: files{"additional-files": {"d/a.xml"}}, outputs: []string{"path"},
		},
		"a swarm that logs above": {
			zip:   within(`<tlLogic type="swarm"><param key="SWARMLOG" value="../path"/></tlLogic>`),
			files: files{"additional-files": {"d/a.xml"}}, outputs: []string{"path"},
		},
		"a swarm that logs to a host": {
			zip: within(`<tlLogic type="swarm"><param key="SWARMLOG" value="host:9"/></tlLogic>`), refused: "network address",
		},
		"a swarm's log": {
			zip: within(`<tlLogic type="swarm"><param key="SWARMLOG" value="log"/></tlLogic>`), files: files{"additional-files": {"d/a.xml"}},
			outputs: []string{"log"},
		},
		"a signal that writes above": {
			zip:   within(`<tlLogic type="actuated"><param key="file" value="../../x"/></tlLogic>`),
			files: files{"additional-files": {"d/a.xml"}}, outputs: []string{"x"},
		},
		"a signal's file": {
			zip: within(`<tlLogic type="actuated"><param key="file" value="../x"/></tlLogic>`), files: files{"additional-files": {"d/a.xml"}},
			outputs: []string{"x"},
		},
		"a vehicle's file that is coded": {
			zip: within(`<vType><param key="device.ssm.file" value="%2e%2e%2fx"/></vType>`), refused: "contains '%'",
		},
		"a vehicle's file up to 1.24": {
			zip:     within(`<vType><param key="device.ssm.file" value="s"/><param key="device.toc.file" value="t"/></vType>`),
			version: "1.24", files: files{"additional-files": {"d/a.xml"}}, outputs: []string{"s", "t"},
		},
		"a vehicle's file since 1.25": {
			zip: within(`<vType><param key="device.ssm.file" value="s"/><param key="device.toc.file" value="t"/></vType>`), version: "1.25",
			files: files{"additional-files": {"d/a.xml"}}, outputs: []string{"d/s", "d/t"},
		},
		"a parameter that names nothing": {
			zip: within(`<vType><param key="my.file" value="/home/me/model.xml"/></vType>`), files: files{"additional-files": {"d/a.xml"}},
		},
		"a language that names a folder":     {zip: scenarioOf(t, `<language value="../x"/>`), version: "1.18", files: files{}},
		"another model hidden by a variable": {zip: scenarioOf(t, `<pedestrian.model value="${X}remote"/>`), refused: "variable"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			limits := DefaultLimits()
			if test.version != "" {
				limits.SUMOVersion = test.version
			}
			m, err := inspect(t, test.zip, limits)
			if test.refused != "" {
				var items []problem.Item
				for _, c := range m.Configs {
					items = append(items, c.Problems...)
				}
				if !slices.ContainsFunc(items, func(i problem.Item) bool { return strings.Contains(i.Message, test.refused) }) {
					t.Errorf("got %v, want %q", items, test.refused)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got := files{}
			for _, o := range m.Configs[0].Options {
				if o.Name != "net-file" && o.Name != "route-files" {
					got[o.Name] = o.Files
				}
			}
			if diff := cmp.Diff(test.files, got); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.outputs, m.Configs[0].Outputs); diff != "" {
				t.Errorf("outputs (-want +got):\n%s", diff)
			}
		})
	}
}

// TestOptionsAreReadInEveryEncoding has the forms in which a configuration may come.
func TestOptionsAreReadInEveryEncoding(t *testing.T) {
	t.Parallel()
	latin1 := strings.Replace(cfg, "</input>", "<log value=\"stra\xdfe\"/></input>", 1)
	for name, text := range map[string]string{
		"ISO-8859-1":   `<?xml version="1.0" encoding="ISO-8859-1"?>` + latin1,
		"windows-1252": `<?xml version="1.0" encoding="windows-1252"?>` + latin1,
		"UTF-8":        strings.Replace(latin1, "\xdf", "ß", 1),
		"a reference":  strings.Replace(latin1, "\xdf", "&#223;", 1),
	} {
		m, err := inspect(t, scenarioOf(t, "", entryOf("s.sumocfg", text)), DefaultLimits())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		options := m.Configs[0].Options
		named := func(o Option) bool { return o.Name == "log" && o.Writes && slices.Equal(o.Files, []string{"straße"}) }
		if !slices.ContainsFunc(options, named) {
			t.Errorf("%s: %+v", name, options)
		}
	}
}

func TestNamesThatMayMeanSomethingElseAreNotRelative(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		config, file, want string
		near               bool
	}{
		{"s.sumocfg", "n.net.xml", "n.net.xml", true},
		{"a city/s.sumocfg", "a city/Straße 1.xml", "Straße 1.xml", true},
		{"a/b/s.sumocfg", "a/c/n.xml", "../c/n.xml", true},
		{"s.sumocfg", "~n.xml", "~n.xml", false},
		{"~a/s.sumocfg", "~a/n.xml", "n.xml", false},
		{"s.sumocfg", "nul", "nul", false},
		{"s.sumocfg", "50%.xml", "50%.xml", false},
		{"50%/s.sumocfg", "50%/n.xml", "n.xml", false},
		{"a,b/s.sumocfg", "a,b/n.xml", "n.xml", false},
		{"file:/s.sumocfg", "file:/n.xml", "n.xml", false},
		{"s.sumocfg", " n.xml", " n.xml", false},
		{"s.sumocfg", "n ", "n ", false},
		{"s.sumocfg", "tables/", "tables/", false},
	} {
		if got, near := (Config{Path: test.config}).Near(test.file); got != test.want || near != test.near {
			t.Errorf("%q in %q: %q, %t; want %q, %t", test.file, test.config, got, near, test.want, test.near)
		}
	}
}

func TestEncodeSaysWhatCannotBeExpressed(t *testing.T) {
	t.Parallel()
	c := Config{Options: []Option{
		{Name: "net-file", Files: []string{"50%.xml"}}, {Name: "log", Files: []string{"/dev/null"}, Writes: true}, {Name: "begin", Value: "\n1<"},
		{Name: "device.toc.file", Files: []string{"50%"}, Writes: true}, {Name: "additional-files", Files: []string{"a", "/own/b"}},
		{Name: "seed", Value: "1"},
		{Name: "phemlight-path", Files: []string{"phem/"}},
	}}
	under := func(in, out string) func(string, bool) string {
		return func(file string, writes bool) string {
			if writes {
				return out + file
			}
			return in + strings.TrimSuffix(file, "/")
		}
	}
	leave := func(option string) bool { return option == "seed" }
	got, err := c.Encode(under("/in:%/", "/out/"), leave)
	want := `<configuration>
<net-file value="/in:%25/50%25.xml"/>
<log value="/dev/null"/>
<begin value="&#xA;1&lt;"/>
<device.toc.file value="/out/50%"/>
<additional-files value="/in:%25/a,/own/b"/>
<phemlight-path value="/in:%25/phem/"/>
</configuration>
`
	if diff := cmp.Diff(want, string(got)); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for _, out := range []string{"/a,b/", "/a:b/", "/${a}/", "/a\nb/", `/a\b/`, "a/"} {
		if text, err := c.Encode(under("/in/", out), leave); err == nil {
			t.Errorf("with %q: %s", out, text)
		}
	}
}

// TestNoScenarioMakesManyFolders has what unpacks, or is written, into so many folders that they fill a disk beside all other limits.
func TestNoScenarioMakesManyFolders(t *testing.T) {
	t.Parallel()
	limits := DefaultLimits()
	limits.Entries = 40
	deep := strings.Repeat("d/", 20)
	detectors := func(files ...string) part {
		text := ""
		for _, file := range files {
			text += `<e1Detector file="` + file + `"/>`
		}
		return entryOf("a.xml", "<additional>"+text+"</additional>")
	}
	for name, test := range map[string]struct {
		zip     []byte
		refused string // a part of the message
	}{
		"files in few folders": {zip: scenarioOf(t, "", entryOf(deep+"a.txt", ""), entryOf(deep+"b.txt", ""), entryOf(deep+"e/c.txt", ""))},
		"files in many folders": {
			zip:     scenarioOf(t, "", entryOf("a/"+deep+"a.txt", ""), entryOf("b/"+deep+"a.txt", "")),
			refused: "has files in more than 40 folders",
		},
		"outputs in few folders": {zip: scenarioOf(t, `<a value="a.xml"/>`, detectors(deep+"a", deep+"b", deep+"e/c"))},
		"outputs in many folders": {
			zip: scenarioOf(t, `<a value="a.xml"/>`, detectors("a/"+deep+"x", "b/"+deep+"x")), refused: "outputs are in more than 40 folders",
		},
		"outputs behind a prefix": {
			zip:     scenarioOf(t, `<a value="a.xml"/><output-prefix value="`+deep+`"/>`, detectors("a/x", "b/x")),
			refused: "outputs are in more than 40 folders",
		},
		"a deep output": {
			zip:     scenarioOf(t, `<log value="`+strings.Repeat("d/", maxFolders+1)+`x"/>`),
			refused: "is more than 30 folders deep: choose another name",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Inspect(t.Context(), Zip(bytes.NewReader(test.zip), int64(len(test.zip))), limits)
			var said string
			if p, ok := errors.AsType[*problem.Error](err); ok {
				for _, item := range p.Items {
					said += item.Message + "\n"
				}
			}
			if (test.refused == "") != (err == nil) || !strings.Contains(said, test.refused) {
				t.Errorf("refused with %v: %s", err, said)
			}
		})
	}
}
