package scenario

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

// Parts of small scenarios. They need not run, only pass for what they are.
const (
	net    = `<net version="1.9"><edge id="e"/></net>`
	routes = "<routes>\n<vehicle id=\"a\" depart=\"0\"/>\n<vehicle id=\"b\" depart=\"5\"/>\n</routes>"
	cfg    = `<configuration><input><net-file value="n.net.xml"/><route-files value="r.rou.xml"/></input></configuration>`
)

// part is one entry of a zip; it is a folder when the name ends in a slash.
type part struct {
	name, text string
	change     func(*zip.FileHeader)
}

func zipOf(t testing.TB, parts ...part) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, p := range parts {
		h := &zip.FileHeader{Name: p.name, Method: zip.Deflate}
		if p.change != nil {
			p.change(h)
		}
		f, err := w.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(p.text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// scenarioOf is a good scenario with the given options added to its configuration and files added to the zip; files with
// the names of the good ones replace them.
func scenarioOf(t testing.TB, settings string, more ...part) []byte {
	t.Helper()
	parts := []part{
		{name: "s.sumocfg", text: strings.Replace(cfg, "</input>", "</input>\n"+settings, 1)},
		{name: "n.net.xml", text: net}, {name: "r.rou.xml", text: routes},
	}
	for _, m := range more {
		parts = slices.DeleteFunc(parts, func(p part) bool { return p.name == m.name })
	}
	return zipOf(t, append(parts, more...)...)
}

func entryOf(name, text string) part { return part{name: name, text: text} }

func gzipped(text string) string {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write([]byte(text))
	_ = w.Close()
	return out.String()
}

func inUTF16(order binary.AppendByteOrder, bom bool, text string) string {
	var out []byte
	if bom {
		out = order.AppendUint16(out, 0xFEFF)
	}
	for _, u := range utf16.Encode([]rune(text)) {
		out = order.AppendUint16(out, u)
	}
	return string(out)
}

func mode(m fs.FileMode) func(*zip.FileHeader) { return func(h *zip.FileHeader) { h.SetMode(m) } }

func inspect(t testing.TB, data []byte, limits Limits) (Manifest, error) {
	t.Helper()
	return Inspect(t.Context(), Zip(bytes.NewReader(data), int64(len(data))), limits)
}

func TestInspectRefuses(t *testing.T) {
	t.Parallel()
	// additional is the scenario whose configuration names a.add.xml with this content.
	additional := func(content string, more ...part) []byte {
		return scenarioOf(t, `<a value="a.add.xml"/>`, append(more, entryOf("a.add.xml", "<additional>\n"+content+"\n</additional>"))...)
	}
	demand := func(lines string) []byte {
		return scenarioOf(t, "", entryOf("r.rou.xml", "<routes>\n"+lines+"\n</routes>"))
	}
	option := func(settings string) []byte { return scenarioOf(t, settings) }
	withNet := func(text string) []byte { return scenarioOf(t, "", entryOf("n.net.xml", text)) }
	few := DefaultLimits()
	few.Entries, few.Unpacked = 5, 1<<20

	for name, test := range map[string]struct {
		zip      []byte
		limits   Limits // DefaultLimits when zero
		location string
		message  string
	}{
		// The archive.
		"an absolute path":           {zip: scenarioOf(t, "", entryOf("/etc/x", "")), location: "/etc/x", message: "absolute"},
		"a path with ..":             {zip: scenarioOf(t, "", entryOf("a/../../x", "")), location: "a/../../x", message: "'..'"},
		"a path up with backslashes": {zip: scenarioOf(t, "", entryOf(`..\x`, "")), location: `..\\x`, message: "'..'"},
		"a drive letter":             {zip: scenarioOf(t, "", entryOf("C:/x", "")), location: "C:/x", message: "absolute"},
		"overlapping entries":        {zip: overlapping(t), message: "overlaps"},
		"too many entries": {zip: scenarioOf(t, "", entryOf("1", ""), entryOf("2", ""), entryOf("3", "")), limits: few,
			message: "6 files and folders; at most 5"},
		"too much when unpacked": {zip: scenarioOf(t, "", stored("x", strings.Repeat("x", 2<<20))), limits: few,
			message: "unpack to more than 1.0 MiB"},
		"too much when unpacked twice": {zip: scenarioOf(t, "", stored("x.gz", gzipped("<a>"+noise(600<<10)+"</a>")), stored("y.gz",
			gzipped("<a>"+noise(600<<10)+"</a>"))), limits: few, location: "y.gz", message: "unpack to more than 1.0 MiB"},
		"an empty zip": {zip: zipOf(t), message: "zip is empty"},
		"a zip of litter": {zip: zipOf(t, entryOf("__MACOSX/._s.sumocfg", "x"), entryOf("a/.DS_Store", "x")),
			message: "zip is empty"},
		"a table of contents that never ends": {zip: endless(t), limits: few, message: "table of contents"},

		// XML.
		"an entity declaration": {zip: withNet("<?xml version=\"1.0\"?>\n<!DOCTYPE net [<!ENTITY x SYSTEM " +
			"\"file:///etc/passwd\">]>" + net), location: "n.net.xml:2", message: "<!DOCTYPE"},
		"a DTD in the configuration": {zip: scenarioOf(t, "", entryOf("s.sumocfg", "<!DOCTYPE c>\n"+cfg)), location: "s.sumocfg:1",
			message: "<!DOCTYPE"},
		"a DTD in UTF-16LE": {zip: withNet(inUTF16(binary.LittleEndian, true, "<!DOCTYPE x>"+net)), location: "n.net.xml:1",
			message: "<!DOCTYPE"},
		"a DTD in UTF-16BE": {zip: withNet(inUTF16(binary.BigEndian, true, "<!DOCTYPE x>"+net)), location: "n.net.xml:1",
			message: "<!DOCTYPE"},
		"a DTD in UTF-16LE without a BOM": {zip: withNet(inUTF16(binary.LittleEndian, false, "<!DOCTYPE x>"+net)), location: "n.net.xml:1",
			message: "<!DOCTYPE"},
		"a DTD in UTF-16BE without a BOM": {zip: withNet(inUTF16(binary.BigEndian, false, "<!DOCTYPE x>"+net)), location: "n.net.xml:1",
			message: "<!DOCTYPE"},
		"an encoding that hides a DTD": {
			zip: withNet(`<?xml version="1.0" encoding="UTF-7"?>+ADwAIQ-DOCTYPE`), location: "n.net.xml:1", message: "save the file as UTF-8",
		},
		"a DTD in UTF-32": {zip: withNet("<\x00\x00\x00!\x00\x00\x00D\x00\x00\x00"), location: "n.net.xml:1", message: "<!DOCTYPE"},
		"an encoding that is not true": {
			zip: withNet(inUTF16(binary.LittleEndian, true, `<?xml version="1.0" encoding="UTF-8"?>`+net)), location: "n.net.xml:1",
			message: "not in it",
		},
		"bytes that are not UTF-8": {zip: withNet("<net version=\"1\">\n\n<edge id=\"Stra\xdfe\"/></net>"), location: "n.net.xml:3",
			message: "save the file as UTF-8"},
		"a web page":                     {zip: withNet("<!DOCTYPE html>\n<html></html>"), location: "n.net.xml", message: "web page"},
		"a web page that is well formed": {zip: withNet("<html></html>"), location: "n.net.xml", message: "web page"},
		"a web page as configuration": {zip: scenarioOf(t, "", entryOf("s.sumocfg", "<html></html>")), location: "s.sumocfg",
			message: "web page"},
		"XML cut off":            {zip: withNet("<net version=\"1\">\n<edge"), location: "n.net.xml:2", message: "incomplete"},
		"tags that do not match": {zip: withNet("<net version=\"1\">\n<edge>\n</net>"), location: "n.net.xml:3", message: "</edge>"},
		"damaged gzip":           {zip: withNet("\x1f\x8b\x08\x00\x00"), location: "n.net.xml", message: "damaged"},
		"gzip cut off":           {zip: withNet(gzipped(net)[:30]), location: "n.net.xml:1", message: "incomplete"},

		// The configuration.
		"no configuration": {
			zip:     zipOf(t, entryOf("d/n.net.xml", net), entryOf("d/r.rou.xml", routes)),
			message: `<configuration><input><net-file value="d/n.net.xml"/><route-files value="d/r.rou.xml"/></input></configuration>`,
		},
		"no configuration nor network": {zip: zipOf(t, entryOf("readme.txt", "x")), message: "add one that names the network"},
		"an empty configuration": {zip: scenarioOf(t, "", entryOf("s.sumocfg", "")), location: "s.sumocfg",
			message: "should begin with <configuration>"},
		"a configuration of another kind": {zip: scenarioOf(t, "", entryOf("s.sumocfg", net)), location: "s.sumocfg",
			message: "not a SUMO configuration"},
		"no network": {
			zip: scenarioOf(t, "", entryOf("s.sumocfg", `<configuration><r value="r.rou.xml"/></configuration>`)), location: "s.sumocfg",
			message: "names no network",
		},
		"an unknown option": {
			zip: option(`<tripinfo-outputt value="x"/>`), location: "s.sumocfg:2",
			message: "unknown to every SUMO up to 1.28: remove it. Did you mean tripinfo-output?",
		},
		"an unknown option as text": {zip: option("<foo>\nx</foo>"), location: "s.sumocfg:2", message: `"foo" is unknown`},
		"an option twice":           {zip: option(`<net value="n.net.xml"/>`), location: "s.sumocfg:2", message: "twice"},
		"a bad time":                {zip: option(`<end value="one hour"/>`), location: "s.sumocfg:2", message: "not a time"},
		"an end before the begin": {
			zip: option(`<begin value="100"/><end value="1:00"/><end value="0:00:50"/>`), location: "s.sumocfg:2", message: "not a time",
		},
		"save-configuration":                {zip: option(`<save-configuration value="x"/>`), location: "s.sumocfg:2", message: "not simulate"},
		"save-configuration by its synonym": {zip: option(`<C v="x"/>`), location: "s.sumocfg:2", message: "not simulate"},
		"save-template":                     {zip: option(`<save-template value="x"/>`), location: "s.sumocfg:2", message: "not simulate"},
		"save-schema":                       {zip: option(`<save-schema value="x"/>`), location: "s.sumocfg:2", message: "not simulate"},
		"remote pedestrians": {
			zip: option(`<pedestrian.model value="remote"/>`), location: "s.sumocfg:2", message: "connects to another computer",
		},
		"a missing file": {
			zip: option(`<additional-files value="a.add.xml"/>`), location: "s.sumocfg:2", message: `names "a.add.xml", which is not in the zip`,
		},
		"a missing file in a list": {
			zip: scenarioOf(t, `<a value="x.xml, y.xml"/>`, entryOf("x.xml", "<additional/>")), location: "s.sumocfg:2", message: `names "y.xml"`,
		},
		"a missing file of other case": {
			zip: scenarioOf(t, `<a value="x.xml"/>`, entryOf("X.xml", "<additional/>")), location: "s.sumocfg:2", message: `did you mean "X.xml"?`,
		},
		"a missing file in another folder": {
			zip: scenarioOf(t, `<a value="x.xml"/>`, entryOf("d/x.xml", "<additional/>")), location: "s.sumocfg:2",
			message: `did you mean "d/x.xml"?`,
		},
		"a misspelt file": {
			zip: scenarioOf(t, `<a value="parkings.xml"/>`, entryOf("parking.xml", "<additional/>")), location: "s.sumocfg:2",
			message: `did you mean "parking.xml"?`,
		},
		"an input outside":    {zip: option(`<a value="../x.xml"/>`), location: "s.sumocfg:2", message: "outside the scenario"},
		"an absolute input":   {zip: option(`<a value="/etc/passwd"/>`), location: "s.sumocfg:2", message: "absolute path"},
		"an input on a drive": {zip: option(`<a value="C:\data\x.xml"/>`), location: "s.sumocfg:2", message: "absolute path"},
		"an input with backslashes": {
			zip:      option(`<a value="data\x.xml"/>`),
			location: "s.sumocfg:2", message: `names "data/x.xml", which is not in the zip`,
		},
		"an input from the web": {
			zip: option(`<a value="http://example.org/x.xml"/>`), location: "s.sumocfg:2", message: "is a URL",
		},
		"an input in a home folder": {zip: option(`<a value="~/x.xml"/>`), location: "s.sumocfg:2", message: "home folder"},
		"an input with a variable":  {zip: option(`<a value="${SUMO_HOME}/x.xml"/>`), location: "s.sumocfg:2", message: "variable"},
		"an input hidden by references": {
			zip: option(`<a value="&#46;&#x2e;/x.xml"/>`), location: "s.sumocfg:2", message: "outside the scenario",
		},
		"an output to a socket": {
			zip: option(`<fcd-output value="localhost:9999"/>`), location: "s.sumocfg:2", message: "network address",
		},
		"an output to a web address": {zip: option(`<fcd-output value="ftp://x/y"/>`), location: "s.sumocfg:2", message: "is a URL"},
		"an output over an input": {
			zip: option(`<fcd-output value="r.rou.xml"/>`), location: "s.sumocfg", message: "read and also written",
		},
		"a log over the network": {zip: option(`<log value="n.net.xml"/>`), location: "s.sumocfg", message: "read and also written"},
		"an output below a file": {
			zip: option(`<fcd-output value="r.rou.xml/fcd.xml"/>`), location: "s.sumocfg", message: "not a folder",
		},

		// What the files are.
		"OpenStreetMap as network":  {zip: withNet("<osm/>"), location: "n.net.xml", message: "netconvert --osm-files"},
		"nodes as network":          {zip: withNet("<nodes/>"), location: "n.net.xml", message: "input of netconvert"},
		"routes as network":         {zip: withNet(routes), location: "n.net.xml", message: "not a SUMO network: it begins with <routes>"},
		"a network without version": {zip: withNet("<net/>"), location: "n.net.xml", message: "no version"},
		"a network as routes":       {zip: scenarioOf(t, "", entryOf("r.rou.xml", net)), location: "r.rou.xml", message: "not a route file"},
		"results as routes": {zip: scenarioOf(t, "", entryOf("r.rou.xml", "<tripinfos/>")), location: "r.rou.xml",
			message: "not a route file"},
		"a network as additional": {
			zip: scenarioOf(t, `<a value="a.xml"/>`, entryOf("a.xml", net)), location: "a.xml", message: "not an additional file",
		},
		"text where XML is expected": {zip: scenarioOf(t, "", entryOf("r.rou.xml", "hello")), location: "r.rou.xml", message: "not XML"},
		"an empty file":              {zip: scenarioOf(t, "", entryOf("r.rou.xml", "")), location: "r.rou.xml", message: "is empty"},

		// What the files name.
		"a loop that writes to a socket": {
			zip: additional(`<inductionLoop file="host:80"/>`), location: "a.add.xml:2", message: "network address",
		},
		"a calibrator that reads outside": {
			zip: additional(`<calibrator file="../x.xml"/>`), location: "a.add.xml:2", message: "outside the scenario",
		},
		"a speed sign without its file": {
			zip: additional(`<variableSpeedSign file="v.xml"/>`), location: "a.add.xml:2", message: `names "v.xml", which is not in the zip`,
		},
		"edges listed outside": {
			zip: additional(`<edgeData file="x.xml" edgesFile="../e.txt"/>`), location: "a.add.xml:2", message: "outside the scenario",
		},
		"an include outside": {
			zip: additional(`<include href="../x.xml"/>`), location: "a.add.xml:2", message: "outside the scenario",
		},
		"an include of the web": {
			zip: additional(`<include href="https://x/y.xml"/>`), location: "a.add.xml:2", message: "is a URL",
		},
		"an include that is missing": {zip: additional(`<include href="x.xml"/>`), location: "a.add.xml:2", message: "not in the zip"},
		"an include of itself": {
			zip: additional(`<include href="a.add.xml"/>`), location: "a.add.xml:2", message: "includes itself",
		},
		"an id that leaves the folder": {
			zip: demand(`<vehicle id="../../x" depart="0"/>`), location: "r.rou.xml:2", message: "contains '..' as a folder",
		},
		"an emission class outside": {
			zip: additional(`<vType id="v" emissionClass="PHEMlight/../../x"/>`), location: "a.add.xml:2", message: "emission class",
		},
		"a file name longer than any can be": {
			zip: additional(`<edgeData file="` + strings.Repeat("x", 5000) + `"/>`), location: "a.add.xml:2", message: "longer than a file name",
		},
		"a speed sign whose file is not XML": {
			zip: additional(`<variableSpeedSign file="v.xml"/>`, entryOf("v.xml", "x")), location: "v.xml", message: "not XML",
		},
		"an included file that is not XML": {
			zip: additional(`<include href="v.xml"/>`, entryOf("v.xml", "x")), location: "v.xml", message: "not XML",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			limits := test.limits
			if limits == (Limits{}) {
				limits = DefaultLimits()
			}
			_, err := inspect(t, test.zip, limits)
			p, ok := errors.AsType[*problem.Error](err)
			if !ok || p.Code != problem.ScenarioInvalid {
				t.Fatalf("got %v, want a scenario_invalid problem", err)
			}
			if !slices.ContainsFunc(p.Items, func(i problem.Item) bool {
				return (test.location == "" || i.Location == test.location) && strings.Contains(i.Message, test.message)
			}) {
				t.Errorf("no item at %q says %q:\n%v", test.location, test.message, p.Items)
			}
		})
	}
}

func TestInspectWarns(t *testing.T) {
	t.Parallel()
	additional := func(content string, more ...part) []byte {
		return scenarioOf(t, `<a value="a.add.xml"/>`, append(more, entryOf("a.add.xml", "<additional>\n"+content+"\n</additional>"))...)
	}
	demand := func(lines string) []byte {
		return scenarioOf(t, "", entryOf("r.rou.xml", "<routes>\n"+lines+"\n</routes>"))
	}
	option := func(settings string) []byte { return scenarioOf(t, settings) }
	for name, test := range map[string]struct {
		zip      []byte
		location string
		message  string
		strict   bool
	}{
		"remote-port": {zip: option(`<remote-port value="8813"/>`), location: "s.sumocfg:2", message: "only the controller of a job can connect"},
		"num-clients": {zip: option(`<num-clients value="1"/>`), location: "s.sumocfg:2", message: "only the controller of a job can connect"},
		"a configuration in a configuration": {
			zip: option(`<configuration-file value="x"/>`), location: "s.sumocfg:2", message: "no configuration within another",
		},
		"a language": {zip: option(`<language value="../x"/>`), location: "s.sumocfg:2", message: "kept in English"},
		"an output with a variable": {
			zip: option(`<summary value="${UTC}s.xml"/>`), location: "s.sumocfg:2", message: `the output is returned as "s.xml"`,
		},
		"an output in a home folder": {zip: option(`<summary value="~/out/s.xml"/>`), location: "s.sumocfg:2", message: `returned as "s.xml"`},
		"an output on a drive":       {zip: option(`<summary value="D:\out\s.xml"/>`), location: "s.sumocfg:2", message: `returned as "s.xml"`},
		"an output with a comma":     {zip: option(`<summary value="s.xml,"/>`), location: "s.sumocfg:2", message: `returned as "s.xml"`},
		"a file twice in the zip": {
			zip:      zipOf(t, entryOf("s.sumocfg", cfg), entryOf("n.net.xml", net), entryOf("r.rou.xml", "x"), entryOf("./r.rou.xml", routes)),
			location: "r.rou.xml", message: "the last one counts",
		},
		"backslashes in a name": {
			zip: scenarioOf(t, `<a value="d\a.xml"/>`, entryOf("d/a.xml", "<additional/>")), location: "s.sumocfg:2", message: `read as "d/a.xml"`,
		},
		"letters in another form": {
			zip:      scenarioOf(t, `<a value="straßé.xml"/>`, entryOf("straßé.xml", "<additional/>")),
			location: "s.sumocfg:2", message: "the same letters in another form",
		},
		"letters in another page": {
			zip:      scenarioOf(t, `<a value="¢.xml"/>`, part{"\x9b.xml", "<additional/>", func(h *zip.FileHeader) { h.NonUTF8 = true }}),
			location: "s.sumocfg:2", message: `"¢.xml" is read as "ø.xml"`,
		},
		"an include in another form": {
			zip: additional(`<include href="d\b.xml"/>`, entryOf("d/b.xml", "<additional/>")), location: "a.add.xml:2", message: `read as "d/b.xml"`,
		},
		"no vehicle before the end": {
			zip: scenarioOf(t, `<end value="9"/>`, entryOf("r.rou.xml", `<routes><trip id="a" depart="10"/></routes>`)), location: "s.sumocfg",
			message: "the first departure (10 s) is not before the end (9 s)", strict: true,
		},
		"an end before the begin": {
			zip: option(`<begin value="101"/><end value="0:01:40"/>`), location: "s.sumocfg",
			message: "the end (100 s) is before the begin (101 s)",
		},
		"a negative end": {
			zip: option(`<end value="-5"/>`), location: "s.sumocfg", message: "the end (-5 s) is before the begin (0 s)",
		},
		"no vehicle after the begin": {
			zip: option(`<begin value="9"/>`), location: "s.sumocfg", message: "the last departure (5 s) is before the begin (9 s)", strict: true,
		},
		"a bad truth value": {
			zip: option(`<ignore-route-errors value="maybe"/>`), location: "s.sumocfg:2", message: "not true or false", strict: true},
		"a bad number":       {zip: option(`<scale value="1,5"/>`), location: "s.sumocfg:2", message: "not a comma", strict: true},
		"a bad whole number": {zip: option(`<precision value="1.0"/>`), location: "s.sumocfg:2", message: "whole number", strict: true},
		"an output outside": {
			zip: option(`<fcd-output value="a/../../x.xml"/>`), location: "s.sumocfg:2", message: "outside the scenario",
		},
		"an absolute output":       {zip: option(`<log value="/tmp/x"/>`), location: "s.sumocfg:2", message: "outside the scenario"},
		"an output to a device":    {zip: option(`<fcd-output value="/dev/stdout"/>`), location: "s.sumocfg:2", message: "console"},
		"an output to the console": {zip: option(`<fcd-output value="-"/>`), location: "s.sumocfg:2", message: "console"},
		"an output prefix outside": {
			zip: option(`<output-prefix value="/tmp/x"/>`), location: "s.sumocfg:2", message: "leads outside",
		},
		"a saved state outside": {
			zip: option(`<save-state.prefix value="../x"/>`), location: "s.sumocfg:2", message: "outside the scenario",
		},
		"safety measures written outside": {
			zip: option(`<device.ssm.file value="../x"/>`), location: "s.sumocfg:2", message: "outside the scenario",
		},
		"a detector that writes outside": {
			zip: additional(`<e1Detector id="d" file="../x.xml"/>`), location: "a.add.xml:2", message: "outside the scenario",
		},
		"edge data that writes to /": {zip: additional(`<edgeData file="/x.xml"/>`), location: "a.add.xml:2", message: "outside the scenario"},
		"a probe that writes outside": {
			zip: additional(`<routeProbe file="../x.xml"/>`), location: "a.add.xml:2", message: "outside the scenario",
		},
		"signals that write outside": {
			zip: additional(`<timedEvent dest="../x.xml"/>`), location: "a.add.xml:2", message: "outside the scenario",
		},
		"a calibrator that writes outside": {
			zip: additional(`<calibrator output="../x.xml"/>`), location: "a.add.xml:2", message: "outside the scenario",
		},
		"a parameter that writes outside": {
			zip: additional(`<vType><param key="device.ssm.file" value="../x.xml"/></vType>`), location: "a.add.xml:2",
			message: "outside the scenario",
		},
		"an include that fails within": {
			zip: additional(`<include href="d/x.xml"/>`, entryOf("d/x.xml", "<x>\n<edgeData file=\"../../y\"/></x>")), location: "d/x.xml:2",
			message: "outside the scenario",
		},
		"a fault behind a file in gzip": {
			zip:      scenarioOf(t, `<a value="a.xml.gz"/>`, entryOf("a.xml.gz", gzipped("<additional>\n<edgeData file=\"/x\"/></additional>"))),
			location: "a.xml.gz:2", message: "outside the scenario",
		},
		"vehicles out of order": {
			zip: demand("<vehicle id=\"a\" depart=\"10\"/>\n<vehicle id=\"b\" depart=\"5.5\"/>"), location: "r.rou.xml:3",
			message: `"b" departs at 5.5 s, 4.5 s before an earlier line`, strict: true},
		"trips out of order": {zip: demand("<trip id=\"a\" depart=\"0:00:10\"/>\n<trip id=\"b\" depart=\"0:00:09\"/>"),
			location: "r.rou.xml:3", message: "sort_routes.py", strict: true},
		"flows out of order": {zip: demand("<flow id=\"a\" begin=\"10\"/>\n<flow id=\"b\" begin=\"0\"/>\n<flow id=\"c\"/>"),
			location: "r.rou.xml:3", message: "one of 2", strict: true},
		"persons out of order": {zip: demand("<vehicle id=\"a\" depart=\"10\"/>\n<person id=\"b\" depart=\"5\"/>"),
			location: "r.rou.xml:3", message: "sort_routes.py", strict: true},
		"a vehicle out of order in the time": {
			zip: scenarioOf(
				t, `<begin value="100"/>`,
				entryOf("r.rou.xml", "<routes>\n<trip depart=\"300\"/>\n<trip depart=\"50\"/>\n<trip depart=\"150\"/>\n</routes>"),
			),
			location: "r.rou.xml:4", message: "sort_routes.py", strict: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := inspect(t, test.zip, DefaultLimits())
			if err != nil {
				t.Fatal(err)
			}
			c := m.Configs[0]
			interval := c.Interval(nil, nil)
			remarks := c.Remarks(interval)
			if !slices.ContainsFunc(remarks, func(w Warning) bool {
				return w.Location == test.location && strings.Contains(w.Message, test.message) && w.Strict == test.strict
			}) {
				t.Errorf("no warning at %q says %q (strict: %t):\n%v", test.location, test.message, test.strict, remarks)
			}
			if strict := c.Strict(interval); test.strict != (len(strict) > 0) {
				t.Errorf("a strict run is refused for %v", strict)
			}
			for _, output := range c.Outputs {
				if !filepath.IsLocal(output) {
					t.Errorf("the output %s is outside", output)
				}
			}
		})
	}
}

// TestInspectRefusesWhatIsUsedOnly has what no run may have: it counts only where the configuration leads to it.
func TestInspectRefusesWhatIsUsedOnly(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		// odd makes the entry of that name; change, if there is one, the whole zip.
		odd     func(name string) []part
		change  func(zip []byte) []byte
		message string
		silent  bool // nothing is said when it is not used
	}{
		"a symbolic link": {
			odd:     func(name string) []part { return []part{{name, "/etc/passwd", mode(fs.ModeSymlink | 0o777)}} },
			message: "symbolic link",
		},
		"a device": {
			odd:     func(name string) []part { return []part{{name, "", mode(fs.ModeDevice | 0o600)}} },
			message: "neither a file nor a folder",
		},
		"a folder that is a link": {odd: func(name string) []part {
			return []part{{name + "/", "", mode(fs.ModeSymlink | 0o777)}}
		}, message: "symbolic link"},
		"a link behind a file of its name": {odd: func(name string) []part {
			return []part{entryOf(name, "<routes/>"), {name, "/etc/passwd", mode(fs.ModeSymlink | 0o777)}}
		}, message: "symbolic link"},
		"an encrypted file": {odd: func(name string) []part {
			return []part{{name, "", func(h *zip.FileHeader) { h.Flags |= 1 }}}
		}, message: "without a password"},
		"a wrong checksum": {
			odd:    func(name string) []part { return []part{stored(name, "<routes>precious</routes>")} },
			change: func(zip []byte) []byte { return corrupted(zip, "precious", "specious") }, message: "damaged",
		},
		"a bomb": {odd: func(name string) []part { return []part{entryOf(name, strings.Repeat("\x00", 6<<20))} }, message: "zip bomb"},
		"a bomb that hides its size": {odd: func(name string) []part {
			return []part{entryOf(name, gzipped("<a>"+strings.Repeat(" ", 6<<20)+"</a>"))}
		}, message: "zip bomb"},
		"a DTD": {odd: func(name string) []part { return []part{entryOf(name, "<!DOCTYPE x><routes/>")} }, message: "<!DOCTYPE"},
		"a DTD inside gzip": {odd: func(name string) []part {
			return []part{entryOf(name, gzipped("<!DOCTYPE x><routes/>"))}
		}, message: "<!DOCTYPE"},
		"a pointer of Git LFS": {odd: func(name string) []part {
			return []part{entryOf(name, lfsPointer+"\noid sha256:00\nsize 1\n")}
		}, message: "git lfs pull", silent: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := func(name string) []byte {
				data := scenarioOf(t, "", test.odd(name)...)
				if test.change != nil {
					data = test.change(data)
				}
				return data
			}
			_, err := inspect(t, at("r.rou.xml"), DefaultLimits())
			p, _ := errors.AsType[*problem.Error](err)
			if p == nil || len(p.Items) != 1 || !strings.HasPrefix(p.Items[0].Location, "r.rou.xml") ||
				!strings.Contains(p.Items[0].Message, test.message) {
				t.Errorf("used: %v", err)
			}
			data := at("other.xml")
			m, err := inspect(t, data, DefaultLimits())
			if err != nil {
				t.Fatal(err)
			}
			said := slices.ContainsFunc(m.Warnings, func(w string) bool { return strings.Contains(w, test.message) })
			if said == test.silent || len(m.Configs[0].Warnings) > 0 || slices.Contains(m.Configs[0].Reads, "other.xml") {
				t.Errorf("not used: %q, %v", m.Warnings, m.Configs[0])
			}
			root, err := os.OpenRoot(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			defer root.Close()
			if err := Extract(t.Context(), Zip(bytes.NewReader(data), int64(len(data))), DefaultLimits(), root, m.Configs[0].Reads); err != nil {
				t.Error(err)
			}
			if _, err := root.Stat("other.xml"); err == nil {
				t.Error("it is unpacked")
			}
		})
	}
}

// TestRewrites has what a run's own copies of additional files need.
func TestRewrites(t *testing.T) {
	t.Parallel()
	const settings = `<a value="d/e/a.xml"/><summary value="../d/e1.xml"/><log value="/tmp/x.txt"/><message-log value="y/x.txt"/>`
	m, err := inspect(t, scenarioOf(t, settings,
		entryOf("d/e/a.xml", `<additional>
			<e1Detector id="1" file="../../../d/e1.xml"/><e1Detector id="2" file="../../../d/e1.xml"/><edgeData id="3" file="C:\out\ed.xml"/>
			<laneData id="4" file="-"/><edgeData id="5" file="stdout"/><edgeData id="6" file="../f.xml"/><edgeData id="7" file="${X}g.xml"/>
			<vType id="8"><param key="device.ssm.file" value="/s.xml"/><param key="other" value="/s.xml"/></vType>
			<calibrator id="9" output="../c.xml"/><include href="..\b.xml"/><include href="b.xml"/>
		</additional>`), entryOf("d/b.xml", "<additional/>"), entryOf("d/e/b.xml", "<additional/>"), entryOf("d/e/f.xml", "<x/>")),
		DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	c := m.Configs[0]
	want := map[string][]Rewrite{"d/e/a.xml": {
		{Element: "e1Detector", Attribute: "file", From: "../../../d/e1.xml", To: "../e1.xml"},
		{Element: "edgeData", Attribute: "file", From: `C:\out\ed.xml`, To: "../../ed.xml"},
		{Element: "laneData", Attribute: "file", From: "-", To: "laneData.xml"},
		{Element: "edgeData", Attribute: "file", From: "stdout", To: "edgeData.xml"},
		{Element: "edgeData", Attribute: "file", From: "${X}g.xml", To: "g.xml"},
		{Element: "param", Attribute: "value", Key: "device.ssm.file", From: "/s.xml", To: "../../s.xml"},
		{Element: "calibrator", Attribute: "output", From: "../c.xml", To: "c.xml"},
		{Element: "include", Attribute: "href", From: `..\b.xml`, To: "../b.xml"},
	}}
	if diff := cmp.Diff(want, c.Rewrites); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	outputs := []string{
		"c.xml", "d/e/edgeData.xml", "d/e/g.xml", "d/e/laneData.xml", "d/e1.xml", "d/f.xml", "ed.xml", "s.xml", "x.txt", "y/x.txt",
	}
	if diff := cmp.Diff(outputs, c.Outputs); diff != "" {
		t.Errorf("outputs (-want +got):\n%s", diff)
	}
}

func TestTablesOfEmissionsAreReadFromTheFolderThatTheConfigurationNames(t *testing.T) {
	t.Parallel()
	for settings, want := range map[string][]string{
		"":                               {"PHEMlight/a.csv"},
		`<phemlight-path value="./"/>`:   {"a.PHEMLight.veh"},
		`<phemlight-path value="."/>`:    {"a.PHEMLight.veh"},
		`<phemlight-path value="d"/>`:    {"d/a.csv", "d/e/a.csv"},
		`<phemlight-path value="none"/>`: nil,
	} {
		m, err := inspect(t, scenarioOf(t, settings, entryOf("a.PHEMLight.veh", ""), entryOf("d/a.csv", ""), entryOf("d/e/a.csv", ""),
			entryOf("PHEMlight/a.csv", ""), part{"d/link", "/etc/passwd", mode(fs.ModeSymlink | 0o777)}), DefaultLimits())
		if err != nil {
			t.Fatal(err)
		}
		got := slices.DeleteFunc(m.Configs[0].Reads, func(name string) bool {
			return slices.Contains([]string{"s.sumocfg", "n.net.xml", "r.rou.xml"}, name)
		})
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", settings, diff)
		}
	}
}

func TestNamesOfEntries(t *testing.T) {
	t.Parallel()
	inPage := func(name string) part {
		return part{name, "", func(h *zip.FileHeader) { h.NonUTF8 = true }}
	}
	for name, test := range map[string]struct {
		entry part
		want  string // empty when it is left out
	}{
		"backslashes":            {entryOf(`d\e\x`, ""), "d/e/x"},
		"a page of DOS":          {inPage("stra\xe1e \x84\x94"), "straße äö"},
		"UTF-8 without its flag": {inPage("straße"), "straße"},
		"a dot":                  {entryOf("./x", ""), "x"},
		"a control character":    {entryOf("a\x00b", ""), ""},
		"a long name":            {entryOf(strings.Repeat("x", 300), ""), ""},
		"many folders":           {entryOf(strings.Repeat("d/", 40)+"x", ""), ""},
		"below a file":           {entryOf("r.rou.xml/x", ""), ""},
		"a folder of a file":     {entryOf("r.rou.xml/", ""), ""},
		"a folder on Windows":    {entryOf(`d\`, ""), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := inspect(t, scenarioOf(t, "", test.entry), DefaultLimits())
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range m.Files {
				if !slices.Contains([]string{"s.sumocfg", "n.net.xml", "r.rou.xml"}, f.Path) {
					got = append(got, f.Path)
				}
			}
			if strings.Join(got, " ") != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestInspectAccepts(t *testing.T) {
	t.Parallel()
	additional := func(content string, more ...part) []byte {
		return scenarioOf(t, `<a value="d/a.xml"/>`, append(more, entryOf("d/a.xml", "<additional>"+content+"</additional>"))...)
	}
	demand := func(settings, lines string) []byte {
		return scenarioOf(t, settings, entryOf("r.rou.xml", "<routes>"+lines+"</routes>"))
	}
	withNet := func(text string) []byte { return scenarioOf(t, "", entryOf("n.net.xml", text)) }
	late := `<trip id="a" depart="300"/><trip id="b" depart="50"/>`
	for name, test := range map[string]struct {
		zip     []byte
		outputs []string
		warning string
	}{
		"options without sections": {
			zip: scenarioOf(t, "", entryOf("s.sumocfg", `<configuration><n v="n.net.xml"/><routes value="r.rou.xml"/></configuration>`)),
		},
		"the old name of the root": {zip: scenarioOf(t, "", entryOf("s.sumocfg", strings.ReplaceAll(cfg, "configuration>",
			"sumoConfiguration>")))},
		"options as text": {zip: scenarioOf(t, "", entryOf("s.sumocfg",
			"<configuration><net-file>\n n.net.xml</net-file></configuration>"))},
		"unknown options without a value":   {zip: scenarioOf(t, `<foo value=""/>`)},
		"display options":                   {zip: scenarioOf(t, `<gui_only><start value="true"/><delay value="20"/></gui_only>`)},
		"display settings that are missing": {zip: scenarioOf(t, `<gui-settings-file value="g.xml"/>`)},
		"display settings with a DTD": {
			zip: scenarioOf(t, `<gui-settings-file value="g.txt"/>`, entryOf("g.txt", "<!DOCTYPE x><x/>")),
		},
		"a prefix": {
			zip:     scenarioOf(t, `<output-prefix value="x/y_"/><summary value="d/s.xml"/><log value="/dev/null"/>`),
			outputs: []string{"d/x/y_s.xml"},
		},
		"a suffix":       {zip: scenarioOf(t, `<output-suffix value="_y"/><summary value="d/s.xml.gz"/>`), outputs: []string{"d/s_y.xml.gz"}},
		"an old ending":  {zip: zipOf(t, entryOf("s.sumo.cfg", cfg), entryOf("n.net.xml", net), entryOf("r.rou.xml", routes))},
		"another ending": {zip: zipOf(t, entryOf("s.cfg.xml", cfg), entryOf("n.net.xml", net), entryOf("r.rou.xml", routes))},
		"an unused configuration that is bad": {
			zip: scenarioOf(t, "", entryOf("t/old.sumocfg", "<configuration>")), warning: "t/old.sumocfg: cannot run: t/old.sumocfg:1: ",
		},
		"outputs to nowhere": {zip: scenarioOf(t, `<fcd-output value="/dev/null"/><log value="NUL"/>`)},
		"outputs of all kinds": {
			zip: scenarioOf(t, `<tripinfo value="out/t.xml"/><device.ssm.file value="ssm.xml"/>`), outputs: []string{"out/t.xml", "ssm.xml"},
		},
		"outputs beside the additional file": {
			zip:     additional(`<e1Detector file="x.xml"/><e1Detector file="x.xml"/><edgeData file="../e.xml"/><timedEvent dest="t.xml"/>`),
			outputs: []string{"d/t.xml", "d/x.xml", "e.xml"},
		},
		"outputs in the scenario's folder": {
			zip:     additional(`<calibrator output="c.xml"/><vType><param key="device.toc.file" value="t.xml"/></vType>`),
			outputs: []string{"c.xml", "d/t.xml"},
		},
		"includes and their outputs": {
			zip: additional(`<include href="../e/b.xml"/>`, entryOf("e/b.xml", `<x><edgeData file="o.xml"/></x>`)), outputs: []string{"e/o.xml"},
		},
		"pictures that are missing":   {zip: additional(`<poly imgFile="x.png"/>`)},
		"files that calibrators read": {zip: additional(`<calibrator file="c.xml"/>`, entryOf("d/c.xml", "<flows/>"))},
		"ids with dots and slashes":   {zip: demand("", `<trip id="a..b/c/..d"/><trip id="a/b..."/>`)},
		"UTF-16 with a BOM":           {zip: withNet(inUTF16(binary.LittleEndian, true, `<?xml version="1.0" encoding="UTF-16"?>`+net))},
		"UTF-16 without a BOM":        {zip: withNet(inUTF16(binary.BigEndian, false, net))},
		"UTF-8 with a BOM":            {zip: withNet("\xEF\xBB\xBF<?xml version='1.0' encoding='utf-8' standalone='yes'?>\n" + net)},
		"Latin-1": {
			zip: withNet("<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><net version=\"1\"><edge name=\"Stra\xdfe\"/></net>"),
		},
		"windows-1252": {
			zip: withNet("<?xml version=\"1.0\" encoding=\"windows-1252\"?><net version=\"1\"><edge name=\"\x80\"/></net>"),
		},
		"gzip by any name": {zip: withNet(gzipped(net))},
		"litter of macOS and Windows": {zip: scenarioOf(t, "", entryOf("__MACOSX/._s.sumocfg", "\x00\x05"), entryOf("a/._b.xml", "<"),
			entryOf(".DS_Store", "x"), entryOf("Thumbs.db", "x"), entryOf("d/desktop.ini", "x"))},
		"a zip in the zip":                    {zip: scenarioOf(t, "", entryOf("old.zip", string(zipOf(t, entryOf("../x", "")))))},
		"zeros below the size that counts":    {zip: scenarioOf(t, "", entryOf("zeros", strings.Repeat("\x00", 3<<20)))},
		"names that differ in case":           {zip: scenarioOf(t, "", entryOf("N.net.xml", net)), warning: "upper and lower case"},
		"an unused file that is broken":       {zip: scenarioOf(t, "", entryOf("old.xml", "<a>")), warning: "no configuration uses it"},
		"documentation with a DTD":            {zip: scenarioOf(t, "", entryOf("readme.html", "<!DOCTYPE html><p>hi<br></html>"))},
		"late vehicles that are loaded first": {zip: demand(`<route-steps value="0"/>`, late)},
		"late vehicles before the begin":      {zip: demand(`<begin value="100"/>`, late)},
		"a flow without an end":               {zip: demand(`<begin value="100"/>`, `<flow id="a" begin="0" period="5"/>`)},
		"vehicles of a calibrator":            {zip: demand(`<begin value="100"/>`, `<trip id="a" depart="0"/><calibrator id="c"/>`)},
		"late vehicles after the end":         {zip: demand(`<end value="40"/>`, `<trip id="z" depart="1"/>`+late)},
		"vehicles that depart on events": {
			zip: demand("", `<trip depart="10"/><trip depart="triggered"/><trip depart="now"/><trip depart="10"/>`),
		},
		"late vehicles in an additional file": {zip: additional(late)},
		"late flows within a calibrator":      {zip: demand("", `<trip depart="10"/><calibrator><flow begin="0"/></calibrator>`)},
		"route files that overlap in time": {zip: scenarioOf(t, "", entryOf("s.sumocfg", strings.Replace(cfg, "r.rou.xml",
			"r.rou.xml,q.rou.xml", 1)), entryOf("q.rou.xml", routes))},
		"folders without files": {zip: scenarioOf(t, `<log value="out/log.txt"/>`, entryOf("out/", "")), outputs: []string{"out/log.txt"}},
		"a configuration in capitals": {zip: zipOf(t, entryOf("S.SUMOCFG", cfg), entryOf("n.net.xml", net), entryOf("r.rou.xml",
			routes))},
		"an unusual root of a route file": {zip: scenarioOf(t, "", entryOf("r.rou.xml", "<trips/>"))},
		"comments, CDATA and instructions": {zip: withNet("<!-- a > - b --><?x y?>" + strings.Replace(net, "<edge",
			"<![CDATA[ <!DOCTYPE ]]><edge", 1) + "\n<!---->")},
		"filters that are not XML": {
			zip: scenarioOf(t, `<fcd-output.filter-edges.input-file value="edges.txt"/>`, entryOf("edges.txt", "edge:e")),
		},
		"filters that nothing needs": {
			zip:     scenarioOf(t, `<fcd-output.filter-edges.input-file value="edges.txt"/>`),
			warning: `names "edges.txt", which is not in the zip: SUMO refuses the run if it needs the file`,
		},
		"detectors that share a file": {
			zip: additional(strings.Repeat(`<e1Detector file="x.xml"/>`, 5000)), outputs: []string{"d/x.xml"},
		},
		"a long list of edges": {
			zip: demand("", `<vehicle id="a" depart="0"><route edges="`+strings.Repeat("e ", 200_000)+`"/></vehicle>`),
		},
		"a byte order mark before the options": {zip: scenarioOf(t, "", entryOf("s.sumocfg", "\xEF\xBB\xBF"+cfg))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := inspect(t, test.zip, DefaultLimits())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.outputs, m.Configs[0].Outputs); diff != "" {
				t.Errorf("outputs (-want +got):\n%s", diff)
			}
			warnings := m.Warnings
			for _, remark := range m.Configs[0].Remarks(m.Configs[0].Interval(nil, nil)) {
				warnings = append(warnings, remark.String())
			}
			if test.warning == "" && len(warnings) > 0 || !strings.Contains(strings.Join(warnings, "\n"), test.warning) {
				t.Errorf("warnings %q, want %q", warnings, test.warning)
			}
		})
	}
}

func TestInspectDescribesTheScenario(t *testing.T) {
	t.Parallel()
	timed := strings.Replace(cfg, "</input>", `<begin value="0:00:01"/><end value="3600"/><summary value="out/s.xml"/>`+
		`<seed value="42"/><random v="on"/></input>`, 1)
	open := strings.Replace(cfg, "</input>", `<end value="-1"/></input>`, 1)
	got, err := inspect(t, zipOf(t, entryOf("city/s.sumocfg", timed), entryOf("city/n.net.xml", net),
		entryOf("city/r.rou.xml", routes), entryOf("city/a.sumocfg", open), entryOf("city/.DS_Store", "x")), DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	begin, end, first, last, seed := 1.0, 3600.0, 0.0, 5.0, int64(42)
	network, demand := &Network{Edges: 1}, &Demand{Vehicles: 2, FirstDeparture: &first, LastDeparture: &last}
	inputs := []Option{{Name: "net-file", Files: []string{"city/n.net.xml"}}, {Name: "route-files", Files: []string{"city/r.rou.xml"}}}
	reads := func(config string) []string { return []string{"city/" + config, "city/n.net.xml", "city/r.rou.xml"} }
	want := Manifest{
		Checked: checker,
		Configs: []Config{
			{
				Path: "city/a.sumocfg", Options: append(slices.Clone(inputs), Option{Name: "end", Value: "-1"}), Network: network, Demand: demand,
				Reads: reads("a.sumocfg"),
			},
			{
				Path: "city/s.sumocfg", Begin: &begin, End: &end, Seed: &seed, Random: true, Reads: []string{
					"city/n.net.xml", "city/r.rou.xml", "city/s.sumocfg",
				}, Outputs: []string{"city/out/s.xml"}, Network: network, Demand: demand,
				Options: append(slices.Clone(inputs), Option{Name: "begin", Value: "0:00:01"}, Option{Name: "end", Value: "3600"},
					Option{Name: "summary-output", Files: []string{"city/out/s.xml"}, Writes: true}, Option{Name: "seed", Value: "42"},
					Option{Name: "random", Value: "on"}),
			},
		},
		Files: []File{
			{"city/a.sumocfg", int64(len(open))}, {"city/n.net.xml", int64(len(net))},
			{"city/r.rou.xml", int64(len(routes))}, {"city/s.sumocfg", int64(len(timed))},
		},
		Unpacked: int64(len(open) + len(timed) + len(net) + len(routes)),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestInspectReportsAllFaultsAtOnce(t *testing.T) {
	t.Parallel()
	_, err := inspect(t, scenarioOf(t, "<save-template value=\"1\"/>\n<foo value=\"1\"/>\n<a value=\"x.xml,y.xml\"/>",
		entryOf("n.net.xml", "<osm/>")), DefaultLimits())
	p, _ := errors.AsType[*problem.Error](err)
	var got []string
	for _, i := range p.Items {
		got = append(got, i.Location)
	}
	want := []string{"s.sumocfg:2", "s.sumocfg:3", "n.net.xml", "s.sumocfg:4", "s.sumocfg:4"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s\n%v", diff, p.Items)
	}
	if want := "The scenario has 5 problems; the first is: s.sumocfg:2: "; !strings.HasPrefix(p.Detail, want) {
		t.Errorf("detail %q", p.Detail)
	}
}

func TestInspectDoesNotCallARejectedFileMissing(t *testing.T) {
	t.Parallel()
	_, err := inspect(t, scenarioOf(t, "", part{"n.net.xml", "/etc/passwd", mode(fs.ModeSymlink | 0o777)}), DefaultLimits())
	if p, _ := errors.AsType[*problem.Error](err); p == nil || len(p.Items) != 1 {
		t.Errorf("got %v", err)
	}
}

func TestInspectCapsTheListOfFaults(t *testing.T) {
	t.Parallel()
	var list []string
	for i := range 500 {
		list = append(list, fmt.Sprintf("%d.xml", i))
	}
	_, err := inspect(t, scenarioOf(t, `<a value="`+strings.Join(list, ",")+`"/>`), DefaultLimits())
	p, _ := errors.AsType[*problem.Error](err)
	if len(p.Items) != maxItems+1 || !strings.Contains(p.Items[maxItems].Message, "400 more") {
		t.Errorf("%d items, the last %v", len(p.Items), p.Items[len(p.Items)-1])
	}
}

func TestInspectRefusesWhatIsNotAZip(t *testing.T) {
	t.Parallel()
	good := scenarioOf(t, "")
	small := DefaultLimits()
	small.Upload = 100
	for name, test := range map[string]struct {
		data   []byte
		limits Limits
		code   problem.Code
		detail string
	}{
		"nothing":         {nil, DefaultLimits(), problem.ScenarioInvalid, "upload is empty"},
		"text":            {[]byte("hello"), DefaultLimits(), problem.ScenarioInvalid, "not a zip"},
		"a truncated zip": {good[:len(good)/2], DefaultLimits(), problem.ScenarioInvalid, "its end is missing"},
		"too large a zip": {good, small, problem.TooLarge, "at most 100 bytes are accepted"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := inspect(t, test.data, test.limits)
			if p, ok := errors.AsType[*problem.Error](err); !ok || p.Code != test.code || !strings.Contains(p.Detail, test.detail) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestInspectPassesOnFailuresOfTheStore(t *testing.T) {
	t.Parallel()
	away := problem.New(problem.Unavailable, "away")
	data := scenarioOf(t, "", stored("big", noise(1<<20)))
	for _, good := range []int64{0, 1000, 2 << 10} { // bytes at the end that can be read
		_, err := Inspect(t.Context(), Zip(failing{bytes.NewReader(data), int64(len(data)) - good, away}, int64(len(data))), DefaultLimits())
		if !errors.Is(err, away) {
			t.Errorf("with %d bytes: %v", good, err)
		}
	}
}

// failing reads only what stands at or behind from.
type failing struct {
	*bytes.Reader
	from int64
	err  error
}

func (f failing) ReadAt(p []byte, off int64) (int, error) {
	if off < f.from {
		return 0, f.err
	}
	return f.Reader.ReadAt(p, off)
}

func TestChooseConfig(t *testing.T) {
	t.Parallel()
	several := Manifest{Configs: []Config{{Path: "a.sumocfg"}, {Path: "d/a.sumocfg"}, {Path: "d/b.sumocfg"}}}
	bad := []problem.Item{{Location: "x", Message: "is bad"}}
	mixed := Manifest{Configs: []Config{
		{Path: "a.sumocfg", Problems: bad}, {Path: "d/b.sumocfg"}, {Path: "d/e/c.sumocfg"}, {Path: "z.sumocfg", Problems: bad},
	}}
	one := Manifest{Configs: []Config{{Path: "d/x.sumocfg"}}}
	for name, test := range map[string]struct {
		m               Manifest
		requested, want string
		detail          string
	}{
		"the only one":              {m: one, want: "d/x.sumocfg"},
		"by path":                   {m: several, requested: "d/a.sumocfg", want: "d/a.sumocfg"},
		"by a path not quite clean": {m: several, requested: "./d/a.sumocfg", want: "d/a.sumocfg"},
		"by a unique base name":     {m: several, requested: "b.sumocfg", want: "d/b.sumocfg"},
		"a path before a base name": {m: several, requested: "a.sumocfg", want: "a.sumocfg"},
		"the topmost":               {m: several, want: "a.sumocfg"},
		"the topmost that is sound": {m: mixed, want: "d/b.sumocfg"},
		"several in a folder": {m: Manifest{Configs: []Config{{Path: "d/a.sumocfg"}, {Path: "d/b.sumocfg"}, {Path: "d/e/c.sumocfg"}}},
			detail: "choose one with config_file. There are: d/a.sumocfg, d/b.sumocfg."},
		"an unknown one": {m: one, requested: "y.sumocfg", detail: "no configuration \"y.sumocfg\""},
		"an ambiguous base name": {m: Manifest{Configs: []Config{{Path: "c/a.sumocfg"}, {Path: "d/a.sumocfg"}}}, requested: "a.sumocfg",
			detail: "with its folder"},
		"no configuration": {m: Manifest{}, detail: "no configuration"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := test.m.ChooseConfig(test.requested)
			if test.detail == "" {
				if err != nil || got.Path != test.want {
					t.Errorf("got %q, %v", got.Path, err)
				}
				return
			}
			code := problem.Invalid
			if test.requested == "" && len(test.m.Configs) > 0 { // nothing in the request is wrong
				code = problem.ScenarioInvalid
			}
			p, ok := errors.AsType[*problem.Error](err)
			if !ok || p.Code != code || !strings.Contains(p.Detail, test.detail) || p.Items[0].Location != "body.config_file" {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestTheFirstOfSeveralConfigurationsIsSoundAndTopmost(t *testing.T) {
	t.Parallel()
	bad := []problem.Item{{Location: "x", Message: "is bad"}}
	for name, tt := range map[string]struct {
		configs []Config
		first   string
		others  []string
	}{
		"the only one":        {[]Config{{Path: "d/x.sumocfg"}}, "", nil},
		"the only one on top": {[]Config{{Path: "a/x.sumocfg"}, {Path: "y.sumocfg"}}, "", nil},
		"the only sound one":  {[]Config{{Path: "a.sumocfg", Problems: bad}, {Path: "b.sumocfg"}}, "", nil},
		"the first by path":   {[]Config{{Path: "b.sumocfg"}, {Path: "a.sumocfg"}}, "a.sumocfg", []string{"b.sumocfg"}},
		"the first sound one": {
			[]Config{{Path: "a.sumocfg", Problems: bad}, {Path: "b.sumocfg"}, {Path: "c.sumocfg"}},
			"b.sumocfg", []string{"c.sumocfg"},
		},
		"the topmost of many": {
			[]Config{{Path: "a/a.sumocfg"}, {Path: "b.sumocfg"}, {Path: "c.sumocfg"}},
			"b.sumocfg", []string{"a/a.sumocfg", "c.sumocfg"},
		},
		"several below":        {[]Config{{Path: "d/b.sumocfg"}, {Path: "c/b.sumocfg"}}, "c/b.sumocfg", []string{"d/b.sumocfg"}},
		"one by its name only": {[]Config{{Path: "a.xml"}, {Path: "b.sumocfg"}}, "", nil},
		"the first that runs": {
			[]Config{{Path: "a.sumocfg", Begin: new(1.0), End: new(float64)}, {Path: "b.sumocfg"}, {Path: "c.sumocfg"}},
			"b.sumocfg", []string{"a.sumocfg", "c.sumocfg"},
		},
		"none that is sound": {[]Config{{Path: "a.sumocfg", Problems: bad}}, "", nil},
		"none":               {nil, "", nil},
	} {
		first, others := Manifest{Configs: tt.configs}.FirstConfig()
		if diff := cmp.Diff(tt.others, others); diff != "" || first.Path != tt.first {
			t.Errorf("%s: %s is first, want %s; the others (-want +got):\n%s", name, first.Path, tt.first, diff)
		}
	}
}

func TestExtractWritesWhatInspectAccepts(t *testing.T) {
	t.Parallel()
	data := scenarioOf(t, "", entryOf("d/e/x.txt", "hello"), entryOf("out/", ""), entryOf("__MACOSX/x", "x"), entryOf("./y", "y"))
	dir := t.TempDir()
	if err := extract(t, data, dir); err != nil {
		t.Fatal(err)
	}
	var got []string
	if err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(dir, p)
		got = append(got, rel)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	want := []string{".", "d", "d/e", "d/e/x.txt", "n.net.xml", "out", "r.rou.xml", "s.sumocfg", "y"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if text, _ := os.ReadFile(filepath.Join(dir, "d/e/x.txt")); string(text) != "hello" {
		t.Errorf("content %q", text)
	}
}

func TestExtractRefusesUnsafeArchives(t *testing.T) {
	t.Parallel()
	for name, data := range map[string][]byte{
		"a path with ..":   scenarioOf(t, "", entryOf("../x", "")),
		"an absolute path": scenarioOf(t, "", entryOf("/x", "")),
		"overlaps":         overlapping(t),
		"a bad checksum":   corrupted(scenarioOf(t, "", stored("x.txt", "precious")), "precious", "specious"),
		"text":             []byte("hello"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := extract(t, data, t.TempDir()); problem.CodeOf(err) != problem.ScenarioInvalid {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestExtractKeepsItsOwnFailuresApart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "n.net.xml"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := extract(t, scenarioOf(t, ""), dir); !errors.Is(err, fs.ErrExist) || problem.CodeOf(err) != problem.Internal {
		t.Errorf("got %v", err)
	}
}

func extract(t testing.TB, data []byte, dir string) error {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	return Extract(t.Context(), Zip(bytes.NewReader(data), int64(len(data))), DefaultLimits(), root, nil)
}

// Archives that no ordinary program makes.

func stored(name, text string) part {
	return part{name, text, func(h *zip.FileHeader) { h.Method = zip.Store }}
}

// noise is text that does not compress well.
func noise(n int) string {
	out, x := make([]byte, n), uint32(1)
	for i := range out {
		x = x*1664525 + 1013904223
		out[i] = 'a' + byte(x>>24)%26
	}
	return string(out)
}

func corrupted(data []byte, from, to string) []byte {
	return bytes.Replace(data, []byte(from), []byte(to), 1)
}

// overlapping is a zip whose first entry contains the second one.
func overlapping(t *testing.T) []byte {
	inner := zipOf(t, stored("b.txt", "bbbb"))
	local, _, _ := bytes.Cut(inner, []byte("PK\x01\x02"))
	data := zipOf(t, stored("a.txt", string(local)), stored("b.txt", "bbbb"))
	first := bytes.Index(data, local)
	table := bytes.LastIndex(data, []byte("PK\x01\x02"))
	binary.LittleEndian.PutUint32(data[table+42:], uint32(first))
	return data
}

// endless is a zip whose table of contents holds 65,536 entries more than its end record says, which archive/zip reads.
func endless(t *testing.T) []byte {
	data := zipOf(t, entryOf("x", ""))
	table := bytes.Index(data, []byte("PK\x01\x02"))
	end := bytes.Index(data, []byte("PK\x05\x06"))
	out := append(bytes.Clone(data[:table]), bytes.Repeat(data[table:end], 1<<16+1)...)
	out = append(out, data[end:]...)
	binary.LittleEndian.PutUint32(out[len(out)-10:], uint32((1<<16+1)*(end-table)))
	return out
}
