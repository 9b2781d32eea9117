package scenario

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/sumotest"
)

// These tests hold our reading of scenarios to what the installed SUMO does with them.

// sumo runs a program of SUMO's in dir, and returns all that it printed.
func sumo(t *testing.T, at release.Installation, dir, program string, args ...string) (output string, ok bool) {
	t.Helper()
	cmd := sumotest.Command(t, at, program, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	return string(out), err == nil
}

// realNet returns a network that every version reads.
func realNet(t testing.TB) string {
	t.Helper()
	realNetOnce.Do(func() {
		name := filepath.Join(t.TempDir(), "n.net.xml")
		out, err := sumotest.Command(t, sumotest.Oldest(t), "netgenerate", "--grid", "--grid.number", "3", "--default-junction-type",
			"traffic_light", "-o", name).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		realNetText = string(text)
	})
	return realNetText
}

var (
	realNetOnce sync.Once
	realNetText string
)

// realRun is what SUMO did with a scenario, and what we say of it.
type realRun struct {
	output  string
	ok      bool
	written []string // new files
	outputs []string // those that we expect
	strict  []problem.Item
	refused error
}

// runReal extracts a scenario with a real network and runs it as at a desk, but in its top folder, as runs are started.
func runReal(t *testing.T, at release.Installation, settings string, more ...part) realRun {
	t.Helper()
	end := ""
	if !strings.Contains(settings, "<end ") {
		end = `<end value="400"/>`
	}
	parts := append([]part{entryOf("d/n.net.xml", realNet(t)), entryOf("d/out/", "")}, more...)
	parts = append(parts, entryOf("d/s.sumocfg", `<configuration><net-file value="n.net.xml"/>`+end+settings+`</configuration>`))
	data := zipOf(t, parts...)
	limits := DefaultLimits()
	limits.SUMOVersion = at.Version
	m, refused := inspect(t, data, limits)
	run := realRun{refused: refused}
	if refused == nil {
		c := m.Configs[0]
		run.outputs, run.strict, run.refused = c.Outputs, c.Strict(c.Interval(nil, nil)), c.Refuse(c.Interval(nil, nil))
		if unfit := c.Unfit(at.Version); len(unfit) > 0 {
			run.refused = invalid(unfit)
		}
	}
	dir := t.TempDir()
	if err := extract(t, data, dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range run.outputs { // as is done for a run
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	run.output, run.ok = sumo(t, at, dir, "sumo", "-c", "d/s.sumocfg", "--no-step-log", "--duration-log.statistics")
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(dir, p)
		if err == nil && !d.IsDir() && !slices.ContainsFunc(parts, func(p part) bool { return p.name == rel }) {
			run.written = append(run.written, rel)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return run
}

func TestOptionsAreThoseOfTheInstalledSUMO(t *testing.T) {
	t.Parallel()
	sumotest.Each(t, func(t *testing.T, at release.Installation) {
		dir := t.TempDir()
		if out, ok := sumo(t, at, dir, "sumo", "--save-template", "t.xml"); !ok {
			t.Fatal(out)
		}
		template, err := os.ReadFile(filepath.Join(dir, "t.xml"))
		if err != nil {
			t.Fatal(err)
		}
		found := regexp.MustCompile(`<(\S+) value="[^"]*"(?: synonymes="([^"]*)")?(?: deprecated="[^"]*")? type="([^"]+)"`).
			FindAllStringSubmatch(string(template), -1)
		if len(found) < 300 {
			t.Fatalf("only %d options in the template", len(found))
		}
		known := map[*option]bool{}
		for _, m := range found {
			for _, name := range append(strings.Fields(m[2]), m[1]) {
				o := options()[name]
				if o == nil {
					t.Errorf("%s of type %s is not known", name, m[3])
					continue
				}
				known[o] = true
				if o.kind != m[3] || release.Compare(o.since, at.Version) > 0 || o.before != "" && release.Compare(o.before, at.Version) <= 0 {
					t.Errorf("%s of type %s is known as %+v", name, m[3], o)
				}
			}
		}
		for name, o := range options() {
			if had := release.Compare(o.since, at.Version) <= 0 && (o.before == "" || release.Compare(o.before, at.Version) > 0); had && !known[o] {
				t.Errorf("SUMO %s has no option %s, which is known as %+v", at.Version, name, o)
			}
		}
	})
}

func TestEveryOptionWithASpecialRuleExists(t *testing.T) {
	t.Parallel()
	for name := range forbidden {
		if o := options()[name]; o == nil || o.name != name {
			t.Errorf("forbidden option %s is known as %v", name, o)
		}
	}
	for name := range replaced {
		if o := options()[name]; o == nil || o.name != name {
			t.Errorf("replaced option %s is known as %v", name, o)
		}
	}
	for name := range affixes {
		if o := options()[name]; o == nil || o.name != name {
			t.Errorf("option %s that is a part of names is known as %v", name, o)
		}
	}
	for name := range optionUses {
		if o := options()[name]; o == nil || o.name != name {
			t.Errorf("option %s that names files is known as %v", name, o)
		}
	}
}

// fileWords are the words in SUMO's program that look like names of files and are no options, each with what was found out about it in
// SUMO's sources, from 1.15 to 1.28.
var fileWords = map[string]string{
	"file": "an attribute and a param of tlLogic", "dest": "an attribute", "edgesFile": "an attribute",
	"imgFile": "an attribute", "osgFile": "an attribute",
	"SWARMLOG":                "a param of tlLogic",
	"device.fcd-replay.file":  "an option that became a synonym; the param is not opened",
	"device.fcd-replay.files": "an option of 1.28; the param is not opened",
	"config-file":             "an option of other programs",
	"meandata-files":          "an option of netedit", "selection-file": "an option of netedit", "y-output": "a part of a word",
	"additionalFile": "netedit's", "dataFile": "netedit's", "meanDataFile": "netedit's", "routeFile": "netedit's", "saveFile": "netedit's",
	"FILE": "the type of an option", "PATH": "what is searched for programs", "Output": "a topic of the help", "relativePath": "draws a line",
	"SSMLog": "an element that is written", "ToCDeviceLog": "an element that is written",
	"rootFile": "of schemas", "xmlFile": "of schemas",
	"wrongDest": "counts", "personTeleports.wrongDest": "counts", "ignoreDest": "a flag",
	"desAccelProfile": "a table of numbers", "maxAccelProfile": "a table of numbers",
	"deadlock-output": "an option of 1.22", "railsignal-vehicle-output": "an option of 1.22", "person-fcd-output": "an option of 1.26",
}

// deviceFiles are the options of devices that name files and, as params of vehicles, name none.
var deviceFiles = map[string]bool{
	"device.rerouting.output": true, "device.taxi.dispatch-algorithm.output": true, "device.taxi.idle-algorithm.output": true,
	"device.ssm.filter-edges.input-file": true, "device.fcd-replay.file": true, "device.fcd-replay.files": true,
}

// printed are the texts in a program, of four characters or more. A regular expression takes half a minute to find them.
func printed(program []byte) (texts [][]byte) {
	begin := 0
	for i, c := range program {
		if ' ' <= c && c <= '~' {
			continue
		}
		if i-begin >= 4 {
			texts = append(texts, program[begin:i])
		}
		begin = i + 1
	}
	return texts
}

// A param that names a file stands in files that SUMO opens itself, among any others that users like to have there. So each must be
// known: SUMO gives no list, but its program has the words. (Those of less than eight letters may be hidden in instructions.)
func TestEveryParamThatNamesAFileIsKnown(t *testing.T) {
	t.Parallel()
	program, err := os.ReadFile(sumotest.Newest(t).Binary)
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`(?i)^[a-z][a-z0-9.-]*(file|files|output|outputs|log|path|dest|dump|folder|dir)$`)
	found := 0
	for _, word := range printed(program) {
		if !names.Match(word) {
			continue
		}
		found++
		if options()[string(word)] == nil && fileWords[string(word)] == "" {
			t.Errorf("SUMO knows the word %q: if it is a param that names a file, add it to paramUses; note here what it is", word)
		}
	}
	if found < 50 {
		t.Errorf("only %d words look like names of files", found)
	}
	for name, o := range options() {
		if _, files := o.use(); files && strings.HasPrefix(name, "device.") && name == o.name {
			if _, known := paramUses[name]; known == deviceFiles[name] {
				t.Errorf("is %s, as a param of a vehicle, the name of a file?", name)
			}
		}
	}
	for key := range paramUses {
		if fileWords[key] == "" && options()[key] == nil {
			t.Errorf("the param %s is no word of SUMO's", key)
		}
	}
}

func TestOutputsAreWhereSUMOWritesThem(t *testing.T) {
	t.Parallel()
	sumotest.Each(t, func(t *testing.T, at release.Installation) {
		settings := `
		<route-files value="r.rou.xml"/><additional-files value="add/a.xml"/><summary value="out/s.xml"/><output-prefix value="p/x_"/>
		<device.ssm.probability value="1"/><device.ssm.file value="ssm.xml"/><log value="log.txt"/>
		<device.toc.probability value="1"/><device.toc.file value="toc.xml"/>
		<device.toc.manualType value="t"/><device.toc.automatedType value="u"/>`
		if release.Compare(at.Version, "1.26") >= 0 {
			settings += `<output-suffix value="_y"/>`
		}
		run := runReal(t, at, settings,
			entryOf("d/r.rou.xml", `<routes>
			<vType id="t"/>
			<vType id="u"><param key="device.ssm.file" value="param.xml"/><param key="device.toc.file" value="paramtoc.xml"/></vType>
			<vehicle id="v" type="t" depart="0"><route edges="A0A1 A1A2"/></vehicle>
			<vehicle id="w" type="u" depart="9"><route edges="A0A1 A1A2"/></vehicle>
		</routes>`),
			entryOf("d/add/a.xml", `<additional>
			<e1Detector id="e1" lane="A0A1_0" pos="1" freq="100" file="e1.xml"/>
			<edgeData id="ed" freq="100" file="../out/ed.xml"/>
			<routeProbe id="rp" edge="A0A1" freq="100" file="rp.xml"/>
			<calibrator id="c" edge="A0A1" pos="0" freq="100" output="cal.xml">
				<flow begin="0" end="9" vehsPerHour="10" from="A0A1" to="A1A2"/></calibrator>
			<include href="more/b.xml"/>
		</additional>`),
			entryOf("d/add/more/b.xml", `<additional><laneData id="ld" freq="100" file="ld.xml"/></additional>`))
		if run.refused != nil || !run.ok {
			t.Fatalf("%v\n%s", run.refused, run.output)
		}
		if diff := cmp.Diff(run.written, run.outputs); diff != "" {
			t.Errorf("(-written +Outputs):\n%s", diff)
		}
	})
}

func TestNamesInAdditionalFilesAreReadAsSUMODoes(t *testing.T) {
	t.Parallel()
	var content strings.Builder
	var parts []part
	for i, name := range []string{"x%61", "a#b", "a?b=c", " blanks ", "a,b;c", "é", "a\r\nb", "c\td", "a&amp;b", "a~", "$a"} {
		// As an output, and as an input that writes one.
		fmt.Fprintf(&content, "<edgeData id='%d' file='out.%s'/>\n<include href='in.%s'/>\n", i, name, name)
		file := strings.NewReplacer("&amp;", "&", "\r\n", " ", "\t", " ").Replace(name)
		parts = append(parts, entryOf("d/in."+file, fmt.Sprintf("<additional><edgeData id='in%d' file='mark.%d'/></additional>", i, i)))
	}
	network := realNet(t)
	light := regexp.MustCompile(`<tlLogic id="([^"]+)"[^>]*>\s*<phase [^>]*state="([^"]+)"`).FindStringSubmatch(network)
	if light == nil {
		t.Fatal("the network has no signals")
	}
	program := func(kind, key, value string) {
		fmt.Fprintf(&content, "<tlLogic id='%s' type='%s' programID='%s'>", light[1], kind, kind)
		for _, state := range []string{light[2], strings.Repeat("r", len(light[2]))} {
			fmt.Fprintf(&content, "<phase duration='10' minDur='5' maxDur='20' state='%s'/>", state)
		}
		fmt.Fprintf(&content, "<param key='%s' value='%s'/></tlLogic>\n", key, value)
	}
	program("actuated", "file", "tl/actuated")
	program("delay_based", "file", "tl/delay%61")
	parts = append(parts, entryOf("d/a.xml", "<additional>\n"+content.String()+"</additional>"), entryOf("d/tl/", ""))
	sumotest.Each(t, func(t *testing.T, at release.Installation) {
		run := runReal(t, at, `<a value="a.xml"/>`, parts...)
		if run.refused != nil || !run.ok {
			t.Fatalf("%v\n%s", run.refused, run.output)
		}
		if diff := cmp.Diff(run.written, run.outputs); diff != "" {
			t.Errorf("(-written +Outputs):\n%s\n%s", diff, run.output)
		}
	})
}

// TestEncodingsAreReadAsSUMODoes compares the name that SUMO gives an output with the one that we expect, in files of many encodings.
func TestEncodingsAreReadAsSUMODoes(t *testing.T) {
	t.Parallel()
	// refused are encodings in which a DTD could hide from us, and one that we cannot decode.
	refused := []string{"utf-7", "iso-2022-jp", "iso-2022-kr", "hz-gb-2312", "viscii"}
	type sample struct {
		names   string
		letters string // in the encoding
	}
	samples := []sample{
		{"utf8 UTF-8 utf-16 ucs-2", "\xc3\xa9"}, {"latin1 iso-8859-1 ISO8859-1 l1 cp1252 windows-1252 iso8859-15 latin9", "\xe9"},
		{"iso-8859-2 latin2 cp1250", "\xe8"}, {"iso-8859-5", "\xd6"}, {"iso-8859-7 windows-1253", "\xe1"}, {"iso-8859-9 cp1254", "\xf0"},
		{"cp1251 windows-1251", "\xe6"}, {"koi8-r KOI8-U", "\xd6"}, {"cp437 ibm437 cp850 ibm850 cp852", "\x84"}, {"cp866", "\xa6"},
		{"macintosh", "\x8e"}, {"shift_jis sjis cp932", "\x95\x5c"}, {"euc-jp", "\xc9\xbd"}, {"euc-kr", "\xb0\xa1"},
		{"gbk GB2312 gb18030", "\xb1\xed"}, {"big5", "\xaa\xed"}, {"tis-620 windows-874 iso-8859-11", "\xa1"}, {"ascii us-ascii", "e"},
		{"utf-7 iso-2022-jp iso-2022-kr hz-gb-2312 viscii nonsense", "e"},
	}
	for _, s := range samples {
		for name := range strings.FieldsSeq(s.names) {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				sumotest.Each(t, func(t *testing.T, at release.Installation) {
					text := `<?xml version="1.0" encoding="` + name + `"?>` + "\n<additional><edgeData id='x' file='" + s.letters + ".xml'/></additional>"
					run := runReal(t, at, `<a value="a.xml"/>`, entryOf("d/a.xml", text))
					if diff := cmp.Diff(run.written, run.outputs); run.ok && run.refused == nil && diff != "" {
						t.Errorf("(-written +Outputs):\n%s", diff)
					}
					if run.ok && run.refused != nil && !slices.Contains(refused, name) {
						t.Errorf("SUMO reads it, we say %v", run.refused)
					}
				})
			})
		}
	}
}

func TestUnsortedDemandIsNotedExactlyWhenSUMODropsIt(t *testing.T) {
	t.Parallel()
	trip := func(id, depart string) string {
		return fmt.Sprintf("<trip id=%q depart=%q from=\"A0A1\" to=\"A1A2\"/>\n", id, depart)
	}
	flow := func(id, begin string) string {
		return fmt.Sprintf("<flow id=%q begin=%q end=\"390\" number=\"1\" from=\"A0A1\" to=\"A1A2\"/>\n", id, begin)
	}
	person := func(id, depart string) string {
		return fmt.Sprintf("<person id=%q depart=%q><walk edges=\"A0A1 A1A2\"/></person>\n", id, depart)
	}
	line := func(element string) string { return strings.Replace(element, " id=", ` line="19" id=`, 1) }
	container := func(id, depart string) string {
		return fmt.Sprintf("<container id=%q depart=%q><tranship from='A0A1' to='A1A2' departPos='1' arrivalPos='9'/></container>\n", id, depart)
	}
	for name, test := range map[string]struct {
		settings, demand string
		expected         int // vehicles and persons that depart within the simulated time
	}{
		"sorted":                  {"", trip("a", "0") + trip("b", "10") + trip("c", "10"), 3},
		"unsorted by seconds":     {"", trip("a", "10") + trip("b", "5"), 2},
		"unsorted by a whole day": {"", trip("a", "300") + trip("b", "5") + trip("c", "310"), 3},
		"unsorted in the clock":   {"", trip("a", "0:00:12") + trip("b", "0:00:11"), 2},
		"less than a millisecond": {"", trip("a", "10") + trip("b", "9.9996"), 2},
		"unsorted flows":          {"", flow("a", "20") + flow("b", "10"), 2},
		"a trip behind a flow":    {"", flow("a", "20") + trip("b", "10"), 2},
		"unsorted persons":        {"", person("a", "10") + person("b", "5"), 2},
		"a person behind a trip":  {"", trip("a", "10") + person("b", "5"), 2},
		"all loaded at once":      {`<route-steps value="0"/>`, trip("a", "10") + trip("b", "5"), 2},
		"before the begin":        {`<begin value="100"/>`, trip("a", "210") + trip("b", "50") + trip("c", "220"), 2},
		"after the end":           {"", trip("a", "5000") + trip("b", "4000"), 0},
		"hidden behind the end":   {"", trip("a", "5000") + trip("b", "5"), 1},
		"a bus before its time":   {"", line(trip("a", "20")) + trip("b", "10"), 2},
		"a bus behind its time":   {"", trip("a", "20") + line(trip("b", "10")), 2},
		"a line before its time":  {"", line(flow("a", "20")) + flow("b", "10"), 2},
		"a line behind its time":  {"", flow("a", "20") + line(flow("b", "10")), 2},
		"a person of a line":      {"", line(person("a", "20")) + trip("b", "10"), 2},
		"a container behind":      {"", trip("a", "20") + container("b", "10"), 2},
		"a trip behind one":       {"", container("a", "20") + trip("b", "10"), 2},
		"in an additional file":   {`<a value="a.xml"/>`, trip("c", "0"), 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sumotest.Each(t, func(t *testing.T, at release.Installation) {
				run := runReal(t, at, `<route-files value="r.rou.xml"/>`+test.settings,
					entryOf("d/r.rou.xml", "<routes>\n"+test.demand+"</routes>"),
					entryOf("d/a.xml", "<additional>"+trip("a", "10")+trip("b", "5")+"</additional>"))
				if !run.ok || run.refused != nil {
					t.Fatalf("%v\n%s", run.refused, run.output)
				}
				inserted := 0
				for _, m := range regexp.MustCompile(`Inserted: (\d+)`).FindAllStringSubmatch(run.output, -1) {
					var n int
					if _, err := fmt.Sscan(m[1], &n); err != nil {
						t.Fatal(err)
					}
					inserted += n
				}
				said := slices.ContainsFunc(run.strict, func(i problem.Item) bool { return strings.Contains(i.Message, "drops such vehicles") })
				if lost := inserted < test.expected; lost != said {
					t.Errorf("SUMO inserted %d of %d, and we say: %v\n%s", inserted, test.expected, run.strict, run.output)
				}
			})
		})
	}
}

func TestUnusualFormsAreAcceptedAsSUMODoes(t *testing.T) {
	t.Parallel()
	additional := func(text string) []part { return []part{entryOf("d/a.xml", text)} }
	const use = `<a value="a.xml"/>`
	const driving = `<route-files value="r.xml"/>`
	traffic := []part{entryOf("d/r.xml", `<routes><vehicle id="v" depart="0"><route edges="A0A1 A1A2"/></vehicle></routes>`)}
	for name, test := range map[string]struct {
		settings string
		parts    []part
	}{
		"options as text":                     {"<begin> \n5</begin>", nil},
		"tables in the scenario's own folder": {`<phemlight-path value="./"/>`, nil},
		"tables in its own folder":            {`<phemlight-path value="."/>`, nil},
		"an output that is a variable":        {`<summary value="out/${LOCALTIME}"/>`, nil},
		"a prefix with a variable":            {`<summary value="s.xml"/><output-prefix value="out/${LOCALTIME}_"/>`, nil},
		"an output over the network":          {`<summary value="n.net.xml"/>`, nil},
		"an output over the configuration":    {`<log value="s.sumocfg"/>`, nil},
		"a log over the network":              {`<log value="n.net.xml"/>`, nil},
		"an output over an input":             {`<a value="a.xml"/><summary value="a.xml"/>`, additional("<additional/>")},
		"an output of an input over the network": {
			use, additional(`<additional><edgeData id="x" file="n.net.xml"/></additional>`),
		},
		"names in other letters":          {use, additional("<additional größe='1' 数据='2' a\u0301='3'/>")},
		"names of no letters":             {use, additional("<additional \u00d7='1'/>")},
		"names that begin with an accent": {use, additional("<additional \u0301='1'/>")},
		"options in sections":             {"<time><begin value=\"5\"/></time>", nil},
		"the attribute v":                 {`<begin v="5"/>`, nil},
		"unknown but empty":               {`<foo value=""/>`, nil},
		"unknown":                         {`<foo value="1"/>`, nil},
		"a bad number":                    {`<scale value="1,5"/>`, nil},
		"a bad time":                      {`<begin value="5 s"/>`, nil},
		"a bad truth value":               {`<ignore-route-errors value="y"/>`, nil},
		"a truth value in capitals":       {`<ignore-route-errors value="TRUE"/>`, nil},
		"twice":                           {`<begin value="1"/><b value="2"/>`, nil},
		"end before begin":                {`<begin value="500"/>`, nil},
		"a list with spaces":              {`<a value="a.xml , b.xml"/>`, append(additional("<additional/>"), entryOf("d/b.xml", "<additional/>"))},
		"a list without commas":           {`<a value="a.xml b.xml"/>`, append(additional("<additional/>"), entryOf("d/b.xml", "<additional/>"))},
		"a missing file":                  {use, nil},
		"gzip called xml":                 {use, additional(gzipped("<additional/>"))},
		"an empty file":                   {use, additional("")},
		"text":                            {use, additional("hello")},
		"Latin-1":                         {use, additional("<?xml version='1.0' encoding='ISO-8859-1'?><additional x='\xdf'/>")},
		"two roots":                       {use, additional("<additional/><additional/>")},
		"text behind the root":            {use, additional("<additional/>x")},
		"zeros behind the root":           {use, additional("<additional/>\n\x00\x00")},
		"anything behind a zero":          {use, additional("<additional/><!-- x -->\x00<b>")},
		"zeros behind a root in UTF-16":   {use, additional(inUTF16(binary.LittleEndian, true, "<additional/>\x00\x00"))},
		"zeros behind a zipped root":      {use, additional(gzipped("<additional/>\x00"))},
		"a zero before the root's end":    {use, additional("<additional>\x00</additional>")},
		"a zero before the root":          {use, additional("<!-- x -->\x00<additional/>")},
		"attributes twice":                {use, additional("<additional a='1' a='1'/>")},
		"a bracket too many":              {use, additional("<additional>]]></additional>")},
		"a declaration behind a space":    {use, additional("\n<?xml version='1.0'?><additional/>")},
		"UTF-16":                          {use, additional(inUTF16(binary.LittleEndian, true, "<additional/>"))},
		"UTF-16 that says UTF-8": {use, additional(inUTF16(binary.LittleEndian, true,
			"<?xml version='1.0' encoding='UTF-8'?><additional/>"))},
		"bytes that are not UTF-8": {use, additional("<additional x='\xdf'/>")},
		"an undefined entity":      {use, additional("<additional x='&auml;'/>")},
		"dashes in a comment":      {use, additional("<!-- a -- b --><additional/>")},
		"a namespace":              {use, additional("<additional xmlns:x='y' x:z='1'/>")},
		"a colon too many":         {use, additional("<additional><a:b:c/></additional>")},
		"a space missing":          {use, additional("<additional x='1'y='2'/>")},
		"an include": {
			use, append(additional(`<additional><include href="e/b.xml"/></additional>`), entryOf("d/e/b.xml", "<additional/>")),
		},
		"a missing filter of positions":       {driving + `<fcd-output value="f.xml"/><fcd-output.filter-edges.input-file value="x.txt"/>`, traffic},
		"a missing filter of no positions":    {driving + `<fcd-output.filter-edges.input-file value="x.txt"/>`, traffic},
		"a missing filter of no device":       {driving + `<device.ssm.filter-edges.input-file value="x.txt"/>`, traffic},
		"missing distances of another router": {driving + `<astar.all-distances value="x"/><astar.landmark-distances value="x"/>`, traffic},
		"an include that is missing":          {use, additional(`<additional><include href="b.xml"/></additional>`)},
		"a speed sign without file":           {use, additional(`<additional><variableSpeedSign id="x" lanes="A0A1_0" file="b.xml"/></additional>`)},
		"a missing picture": {
			use, additional(`<additional><poly id="p" shape="0,0 1,1 0,1" color="red" imgFile="x.png"/></additional>`),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sumotest.Each(t, func(t *testing.T, at release.Installation) {
				run := runReal(t, at, test.settings, test.parts...)
				if run.ok != (run.refused == nil) {
					t.Errorf("Inspect says %v, SUMO says\n%s", run.refused, run.output)
				}
				// SUMO goes on without an option whose value it does not understand: the results would be wrong.
				if said := len(run.strict) > 0; said != (run.ok && strings.Contains(run.output, "Error: While processing option")) {
					t.Errorf("a strict run is refused for %v, SUMO says\n%s", run.strict, run.output)
				}
			})
		})
	}
}

// TestBrokenRouteFilesAreReadAsFarAsSUMODoes has faults that SUMO may never see: it stops at the simulation's end, 400 s.
func TestBrokenRouteFilesAreReadAsFarAsSUMODoes(t *testing.T) {
	t.Parallel()
	routes := func(from, to, step int, tail string) string {
		var b strings.Builder
		b.WriteString(`<routes><route id="r` + strconv.Itoa(from) + `" edges="A0A1 A1A2"/>` + "\n")
		for n := from; n <= to; n += step {
			fmt.Fprintf(&b, "<vehicle id=\"%d\" depart=\"%[1]d\" route=\"r%d\"/>\n", n, from)
		}
		return b.String() + tail
	}
	const main = `<route-files value="r.xml"/>`
	for name, test := range map[string]struct {
		settings string
		routes   string
		included string // a file that the routes include
		accepted bool   // for certain; otherwise only what SUMO runs
	}{
		"at the beginning":          {main, routes(0, 0, 1, "</vehicle>"), "", false},
		"before the end":            {main, routes(0, 390, 10, "</vehicle>"), "", false},
		"soon after the end":        {main, routes(0, 420, 10, "</vehicle>"), "", false},
		"at a load after the end":   {main, routes(0, 605, 1, "</vehicle>"), "", false},
		"long after the end":        {main, routes(0, 700, 10, "</vehicle>"), "", true},
		"cut off after the end":     {main, routes(0, 700, 10, "<vehicle"), "", true},
		"in large steps":            {main, routes(0, 3000, 500, "</vehicle>"), "", true},
		"in small portions":         {main + `<route-steps value="1"/>`, routes(0, 450, 10, "</vehicle>"), "", true},
		"in portions, too early":    {main + `<route-steps value="1"/>`, routes(0, 402, 1, "</vehicle>"), "", false},
		"in large portions":         {main + `<route-steps value="1000"/>`, routes(0, 700, 10, "</vehicle>"), "", false},
		"in long steps":             {main + `<step-length value="7"/>`, routes(0, 700, 10, "</vehicle>"), "", true},
		"all at once":               {main + `<route-steps value="0"/>`, routes(0, 700, 10, "</vehicle>"), "", false},
		"as an additional file":     {`<a value="r.xml"/>`, routes(0, 700, 10, "</vehicle>"), "", false},
		"of an encoding":            {main, routes(0, 390, 10, "\xff"), "", false},
		"included, cut off":         {main, routes(0, 10, 10, `<include href="i.xml"/></routes>`), routes(20, 100, 10, "<vehicle"), true},
		"included, a wrong end":     {main, routes(0, 10, 10, `<include href="i.xml"/></routes>`), routes(20, 100, 10, "</vehicle></routes>"), true},
		"included, an entity":       {main, routes(0, 10, 10, `<include href="i.xml"/></routes>`), routes(20, 100, 10, "<a>&auml;</a></routes>"), true},
		"included, a second root":   {main, routes(0, 10, 10, `<include href="i.xml"/></routes>`), routes(20, 100, 10, "</routes><a/>"), true},
		"included in an additional": {`<a value="r.xml"/>`, routes(0, 10, 10, `<include href="i.xml"/></routes>`), routes(20, 100, 10, "</vehicle>"), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			parts := []part{entryOf("d/r.xml", test.routes)}
			if test.included != "" {
				parts = append(parts, entryOf("d/i.xml", test.included))
			}
			sumotest.Each(t, func(t *testing.T, at release.Installation) {
				run := runReal(t, at, test.settings, parts...)
				if run.refused == nil && !run.ok || test.accepted && run.refused != nil {
					t.Errorf("we say %v, SUMO says\n%s", run.refused, run.output)
				}
			})
		})
	}
}

// TestContentBehindABoundOfOursNeverReachesSUMO has a path that leads outside behind what we refuse to read and SUMO does not. At a real
// fault SUMO ends, however soon it comes there.
func TestContentBehindABoundOfOursNeverReachesSUMO(t *testing.T) {
	t.Parallel()
	const outside = `<vType id="late"><param key="device.ssm.file" value="../outside.xml"/></vType></routes>`
	var crowd strings.Builder
	for n := range 300 {
		fmt.Fprintf(&crowd, ` a%d="1"`, n)
	}
	many := func(element string) string {
		var b strings.Builder
		b.WriteString(`<routes><vType id="none" scale="0"/><route id="r" edges="A0A1 A1A2"/>` + "\n")
		for n := 0; n <= 700; n += 10 {
			fmt.Fprintf(&b, element+"\n", n)
		}
		return b.String()
	}
	const vehicle, main = `<vehicle id="%d" depart="%[1]d" route="r"/>`, `<route-files value="r.xml"/>`
	for name, test := range map[string]struct{ settings, routes string }{
		"attributes":             {main, strings.Replace(many(vehicle), `scale="0"`, "", 1) + "<x" + crowd.String() + "/>"},
		"names":                  {main, strings.Replace(many(vehicle), `scale="0"`, "", 1) + "<x" + strings.Repeat("x", 300) + "/>"},
		"flows without vehicles": {main, strings.Replace(many(`<flow id="%d" begin="%[1]d" end="9000" number="0" route="r"/>`), `scale="0"`, "", 1)},
		"a vehicle type's scale": {main, many(strings.Replace(vehicle, "/>", ` type="none"/>`, 1))},
		"a scale":                {main + `<scale value="0"/>`, strings.Replace(many(vehicle), `scale="0"`, "", 1)},
		"a saved state":          {main + `<load-state value="state.xml"/>`, strings.Replace(many(vehicle), `scale="0"`, "", 1)},
	} {
		for fault, broken := range map[string]string{"a bound": "<x" + crowd.String() + "/>", "a fault": "</x>"} {
			t.Run(name+" and "+fault, func(t *testing.T) {
				t.Parallel()
				sumotest.Each(t, func(t *testing.T, at release.Installation) {
					run := runReal(t, at, test.settings, entryOf("d/state.xml", "<snapshot/>"),
						entryOf("d/r.xml", test.routes+broken+outside))
					if run.refused == nil && (!run.ok || fault == "a bound") {
						t.Errorf("we accept it, SUMO says\n%s", run.output)
					}
				})
			})
		}
	}
}

func TestPrefixesAreReadAsSUMODoes(t *testing.T) {
	t.Parallel()
	const main, vehicle = `<route-files value="r.xml"/>`, `<route id="r" edges="A0A1 A1A2"/><vehicle id="a" depart="1" route="r"/>`
	for name, test := range map[string]struct {
		settings, routes, included string
		runs                       bool
	}{
		"of an element":                {main, `<routes>` + vehicle + `<q:a/></routes>`, "", false},
		"of an attribute":              {main, `<routes q:a="1">` + vehicle + `</routes>`, "", false},
		"declared":                     {main, `<routes xmlns:q="u" q:a="1">` + vehicle + `<q:a><q:b/></q:a><q:c/></routes>`, "", true},
		"declared beside":              {main, `<routes><x xmlns:q="u"><q:a/></x>` + vehicle + `<q:a/></routes>`, "", false},
		"declared again inside":        {main, `<routes xmlns:q="u"><x xmlns:q="v"><q:a/></x>` + vehicle + `<q:a/></routes>`, "", true},
		"xml's own":                    {main, `<routes xml:lang="en">` + vehicle + `</routes>`, "", true},
		"in an included file":          {main, `<routes>` + vehicle + `<include href="i.xml"/></routes>`, "<routes><q:a/></routes>", true},
		"in an additional file":        {`<a value="r.xml"/>`, `<additional><q:a/></additional>`, "", false},
		"of an option":                 {`<q:a value="1"/>`, "<routes/>", "", false},
		"of an attribute of an option": {`<seed q:a="1" value="1"/>`, "<routes/>", "", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			parts := []part{entryOf("d/r.xml", test.routes)}
			if test.included != "" {
				parts = append(parts, entryOf("d/i.xml", test.included))
			}
			sumotest.Each(t, func(t *testing.T, at release.Installation) {
				run := runReal(t, at, test.settings, parts...)
				if run.ok != test.runs || (run.refused == nil) != test.runs || test.included != "" && len(run.strict) == 0 {
					t.Errorf("we say %v, %v; SUMO says\n%s", run.refused, run.strict, run.output)
				}
			})
		})
	}
}

// TestValuesAreReadAsSUMODoes has values of each type: where SUMO ignores the option, we say so.
func TestValuesAreReadAsSUMODoes(t *testing.T) {
	t.Parallel()
	values := map[string][]string{
		"scale":               {"1,5", "0x1", "0x1p1", "1e0", " 1", "1 ", "+1", "inf", "nan", "1e999", "1_0", ".5", "1.", "1f", "0x_1p0", "one"},
		"seed":                {"1.0", "0x5", "99999999999", "-1", "+2", " 3", "3 ", "1e3", "x", "2147483647", "2147483648", "007"},
		"ignore-route-errors": {"TRUE", "yes", "y", "On", "x", "t", "T", "-", "f", "no", "2", "1", " true", "true ", "wahr"},
		"begin": {"1", " 1", "1 ", "0:0:1", "1:0", "1:2:3:4", "1:2:3:4:5", "0x1", "1s", "0:0:1.5", "-1", "-0:0:1", "0:0:-1", "+0:0:0x10",
			"0: 0:1", "0::1", "0:0:1 ", "nan", "inf", "1e999"},
		"end":              {"0", "-1", "-1.0004", "-0:0:1", "-5", "-0.5", "0:0:-1"},
		"time-to-teleport": {"1e13", "1e16", "1:0:0:0", "1e12:0:0", "-0:0:500"},
	}
	for option, list := range values {
		for _, value := range list {
			t.Run(option+" "+value, func(t *testing.T) {
				t.Parallel()
				sumotest.Each(t, func(t *testing.T, at release.Installation) {
					run := runReal(t, at, "<"+option+` value="`+value+`"/>`)
					ignored := strings.Contains(run.output, "While processing option")
					said := slices.ContainsFunc(run.strict, func(i problem.Item) bool { return strings.Contains(i.Message, "SUMO ignores the option") })
					if run.ok != (run.refused == nil) || ignored != said {
						t.Errorf("we say %v, %v; SUMO says\n%s", run.refused, run.strict, run.output)
					}
				})
			})
		}
	}
}

func TestTheOptionsOfEveryReleaseAreKnown(t *testing.T) {
	t.Parallel()
	if !slices.IsSortedFunc(knownVersions(), release.Compare) {
		t.Errorf("versions %v", knownVersions())
	}
	for _, r := range release.All() {
		if !slices.Contains(knownVersions(), r.Version) {
			t.Errorf("the options of %s are not known: make generate", r.Version)
		}
	}
}
