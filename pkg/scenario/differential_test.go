package scenario

import (
	"encoding/xml"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/sumotest"
)

// FuzzReading holds our reading of a configuration, and of an additional file, to SUMO's. SUMO runs the configuration as it was uploaded,
// then what we write in its place. When the check accepts it and SUMO can run it, both must read and write exactly the files that we
// understand. (What SUMO saves with --save-configuration has names as they were written, before it decodes and splits them; so only values
// that name no files are compared with that.)
func FuzzReading(f *testing.F) {
	network := realNet(f)
	for seed := range uint64(20) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) { // a number, as the fuzzer would spend its time on shortening text
		r := rand.New(rand.NewPCG(seed, 0))
		versions := sumotest.Versions()
		compareReadings(t, sumotest.Version(t, versions[r.IntN(len(versions))]), network, generate(r), generateAdditional(r))
	})
}

// TestReadingsAgree is FuzzReading on values that are known to be read in a way of their own.
func TestReadingsAgree(t *testing.T) {
	t.Parallel()
	network := realNet(t)
	for _, body := range []string{
		`<log value="%61.txt"/>`, `<log value=" e/a b.txt "/>`, "<log value='a\r\n.txt'/>", "<log value='a\n\n.txt'/>", "<log value='a\t.txt'/>",
		"<log>\r\n a.txt\r\n</log>", "<log>a<!-- -->b</log>", "<log>a<![CDATA[ & ]]>b</log>", "<log>a<begin/>1</log>", "<log> <b/>1</log>",
		`<log x:value="a" value="b"/>`, `<log value="e/../a"/>`, `<log value="50%.txt"/>`, `<log value="%2561.txt"/>`, `<log value="%5b%20%5D"/>`,
		`<log value="nul"/>`, `<log value="/dev/null"/>`, `<log value="a~b"/>`, `<log value="é&#160;"/>`, `<log value="a#b?c"/>`,
		`<log value="&quot;&lt;&amp;&apos;"/>`, `<a value="%61"/>`, `<a value="a , e/b.xml"/>`, `<a value="../a,a%20b"/>`, `<a>e/../a</a>`,
		`<a value="x%2561"/>`, `<a value="a,08%3A00.xml"/>`,
		`<save-state.times value="0"/><save-state.prefix value="e/s"/><save-state.suffix value=".xml"/>`,
		`<save-state.times value="0,1"/><save-state.files value="e/s%61.xml,t"/>`, `<begin value=" 0"/>`, "<begin>\n0</begin>",
	} {
		t.Run(body, func(t *testing.T) {
			t.Parallel()
			sumotest.Each(t, func(t *testing.T, at release.Installation) {
				if !compareReadings(t, at, network, body, "") {
					t.Error("SUMO or the check refused it")
				}
			})
		})
	}
}

// pieces are what names are made of.
var pieces = []string{
	"a", "b.xml", "e/", "s", "/", "..", "../", "%2F", "%61", "%2e", "%2E%2e/", "%", "%2", "%25", "%2C", ",", " ",
	"%20", "&#13;", "&#9;", "&#10;",
	"\r\n", "\n", "\t", "\r", "~", "%7E", "$", "${PID}", "${X}", "%24{X}", ":", "%3A", "localhost:9", `\`, "-", "stdout", "NUL", "/dev/null",
	"é", "&#160;", ".",
	"&amp;", ";", "#", "file:", "//", "0", "+", "x", "&lt;", "%00", "%ff",
}

// value is the name of a file in some disguise, with wild pieces in it now and then.
func value(r *rand.Rand) string {
	names := append([]string{"out", "e/out", "./out", "e/../out"}, marked...)
	var b strings.Builder
	wild := func() {
		if r.IntN(12) == 0 {
			b.WriteString(pieces[r.IntN(len(pieces))])
		}
	}
	wild()
	for _, c := range []byte(names[r.IntN(len(names))]) {
		if c == '%' || r.IntN(6) == 0 {
			fmt.Fprintf(&b, []string{"%%%02x", "%%%02X"}[r.IntN(2)], c)
		} else {
			b.WriteByte(c)
		}
		wild()
	}
	return b.String()
}

// marked are files that may be read; each leaves a mark beside it. They lie beside the configuration, and two of them above it.
var marked = []string{"a", "b.xml", "e/a", "e/b.xml", "a b", "x%61", "é", "../a", "../e/a", "08:00.xml"}

// generate makes some options of a configuration.
func generate(r *rand.Rand) string {
	options := []string{
		"log", "message-log", "fcd-output", "summary-output", "tripinfo", "additional-files", "a", "save-state.prefix", "save-state.suffix", "l",
		"begin", "scale", "seed", "no-warnings", "xml:log", "random", "output-prefix", "routing-algorithm",
	}
	plain := map[string][]string{
		"begin": {"0", " 1", "0:0:1", "1.5"}, "scale": {"2", "0x1", "1e0"}, "seed": {"3", "+2"}, "no-warnings": {"true", "X", "-"},
		"random": {"t"}, "output-prefix": {"p", " p ", "&amp;"}, "save-state.suffix": {".xml", " x", "é"}, "routing-algorithm": {"astar", "CH"},
	}
	var b strings.Builder
	for range 1 + r.IntN(3) {
		name, v := options[r.IntN(len(options))], value(r)
		if plain[name] != nil && r.IntN(4) > 0 {
			v = plain[name][r.IntN(len(plain[name]))]
		}
		if name == "save-state.prefix" {
			b.WriteString(`<save-state.times value="0"/>`)
		}
		switch r.IntN(8) {
		case 0:
			b.WriteString("<" + name + ` v="` + v + `"/>`)
		case 1:
			b.WriteString("<" + name + ">" + v + "</" + name + ">")
		case 2:
			half := len(v) / 2
			if strings.ContainsAny(v, "&é\u00a0") { // not within a character
				half = 0
			}
			b.WriteString("<" + name + ">" + v[:half] + "<!-- x -->" + v[half:] + "</" + name + ">")
		case 3:
			b.WriteString("<" + name + " x:value='a' value='" + v + "'>\r\n</" + name + ">")
		case 4:
			b.WriteString("<section>" + "<" + name + "> <begin/>" + v + "</" + name + "></section>")
		case 5:
			b.WriteString("<" + name + "><![CDATA[" + v + "]]></" + name + ">")
		default:
			b.WriteString("<" + name + ` value="` + v + `"/>`)
		}
	}
	return b.String()
}

// generateAdditional makes some elements of an additional file, or none.
func generateAdditional(r *rand.Rand) string {
	var b strings.Builder
	for i := range r.IntN(3) {
		if r.IntN(2) == 0 {
			b.WriteString(`<include href="` + value(r) + `"/>`)
		} else {
			b.WriteString(`<edgeData id="` + strconv.Itoa(i) + `" file="` + value(r) + `"/>`)
		}
	}
	return b.String()
}

// compareReadings reports whether there was anything to compare: neither the check nor SUMO refused the options.
func compareReadings(t *testing.T, at release.Installation, network, body, additional string) bool {
	if additional != "" {
		body += `<a value="gen.xml"/>`
	}
	parts := []part{
		entryOf("d/n.net.xml", network), entryOf("e/", ""), entryOf("d/e/", ""), entryOf("d/gen.xml", "<additional>"+additional+"</additional>"),
		entryOf("d/s.sumocfg", `<configuration><net-file value="n.net.xml"/><end value="2"/>`+body+`</configuration>`),
	}
	for _, name := range marked {
		name = path.Join("d", name)
		mark := "mark." + strings.ReplaceAll(path.Base(name), ":", "")
		parts = append(parts, entryOf(name, `<additional><edgeData id="`+name+`" file="`+mark+`"/></additional>`))
	}
	data := zipOf(t, parts...)
	limits := DefaultLimits()
	limits.SUMOVersion = at.Version
	m, refused := inspect(t, data, limits)
	if refused != nil {
		checkProblem(t, refused)
		return false
	}
	c := m.Configs[0]
	named := map[string]Option{}
	for _, o := range c.Options {
		named[o.Name] = o
	}
	if begin, _ := named["begin"].Number(); begin != 0 && named["save-state.times"].Value != "" {
		return false // no state is saved
	}
	expected := append([]string{}, c.Outputs...)
	if prefix, ok := named["save-state.prefix"]; ok && prefix.Files[0] != devNull {
		suffix := named["save-state.suffix"].Value
		if suffix == "" {
			suffix = ".xml.gz"
		}
		expected[slices.Index(expected, prefix.Files[0])] += "_0.00" + suffix
	}

	if len(c.Rewrites) > 0 {
		return false // the run reads other copies
	}
	// What we call otherwise, SUMO would write elsewhere: then only what it makes of our words counts.
	renamed := slices.ContainsFunc(c.Warnings, func(w Warning) bool { return strings.Contains(w.Message, "the output is returned as") })
	var made []string
	var printed, uploaded string
	ok := true
	if !renamed {
		uploaded = unpackDeep(t, data, c.Outputs)
		made, printed, ok = runIn(t, at, uploaded, "-c", "d/s.sumocfg")
	}
	written := unpackDeep(t, data, c.Outputs)
	text, err := c.Encode(func(file string, _ bool) string { return filepath.Join(written, file) }, func(string) bool { return false })
	if err != nil {
		t.Fatalf("%q cannot be written: %v", body, err)
	}
	if err := os.WriteFile(filepath.Join(written, "d/ours.sumocfg"), text, 0o644); err != nil {
		t.Fatal(err)
	}
	ours, printedOurs, okOurs := runIn(t, at, written, "-c", "./d/ours.sumocfg")
	if !ok {
		return false // what SUMO cannot run has no reading; that nothing was left outside is checked
	}
	if renamed {
		if slices.Sort(expected); okOurs && !slices.Equal(slices.Compact(expected), ours) {
			t.Errorf("%q, %q: SUMO made %q, and we understand %q\n%s", body, additional, ours, expected, printedOurs)
		}
		return okOurs
	}
	if !okOurs {
		t.Fatalf("%q runs, but not what we wrote:\n%s\n%s", body, text, printedOurs)
	}
	if diff := cmp.Diff(made, ours); diff != "" {
		t.Errorf("%q, %q (-uploaded +ours):\n%s\n%s", body, additional, diff, text)
	}
	if slices.Sort(expected); !slices.Equal(slices.Compact(expected), made) {
		t.Errorf("%q, %q: SUMO made %q, and we understand %q\n%s", body, additional, made, expected, printed)
	}

	if out, ok := sumoIn(t, at, uploaded, "-c", "d/s.sumocfg", "--save-configuration", "saved.xml"); !ok {
		t.Fatalf("%q cannot be saved: %s", body, out)
	}
	saved, err := os.ReadFile(filepath.Join(uploaded, "saved.xml"))
	if err != nil {
		t.Fatal(err)
	}
	theirs := map[string]string{}
	for d := xml.NewDecoder(strings.NewReader(string(saved))); ; {
		token, err := d.Token()
		if err != nil {
			break
		}
		if e, ok := token.(xml.StartElement); ok && len(e.Attr) == 1 && e.Attr[0].Name.Local == "value" {
			theirs[e.Name.Local] = e.Attr[0].Value
		}
	}
	for name := range options() {
		if _, set := named[name]; !set && theirs[name] != "" {
			t.Errorf("%q: SUMO reads %s as %q, which we don't see", body, name, theirs[name])
		}
	}
	for _, o := range c.Options {
		value, set := theirs[o.Name]
		if !set {
			t.Errorf("%q: SUMO has no %s", body, o.Name)
		}
		if want := strings.Map(printable, o.Value); len(o.Files) == 0 && want != value {
			t.Errorf("%q: SUMO reads %s as %q, we as %q", body, o.Name, value, want)
		}
	}
	return true
}

// printable drops what SUMO drops when it saves.
func printable(r rune) rune {
	if r < ' ' {
		return -1
	}
	return r
}

// unpackDeep unpacks a scenario some folders deep in one of its own, and makes the folders of its outputs, as is done for a run.
func unpackDeep(t *testing.T, data []byte, outputs []string) string {
	t.Helper()
	top, err := os.MkdirTemp("", "reading")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(top) })
	dir := filepath.Join(top, "1", "2", "3", "4")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := extract(t, data, dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range outputs {
		if err := os.MkdirAll(filepath.Join(dir, path.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// sumoIn runs SUMO with nothing in its environment but what runs have.
func sumoIn(t *testing.T, at release.Installation, dir string, args ...string) (output string, ok bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), at.Binary, args...)
	cmd.Dir, cmd.Env = dir, []string{"SUMO_HOME=" + at.Home, "LC_ALL=C.UTF-8"}
	out, err := cmd.CombinedOutput()
	return string(out), err == nil
}

// runIn runs SUMO in a scenario made by unpackDeep, and returns the files that it wrote. Files outside fail the test.
func runIn(t *testing.T, at release.Installation, dir string, args ...string) (made []string, output string, ok bool) {
	t.Helper()
	before := map[string]time.Time{}
	list := func(visit func(name string, written time.Time)) {
		top := dir
		for range 4 {
			top = filepath.Dir(top)
		}
		if err := filepath.WalkDir(top, func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			info, err := d.Info()
			if err == nil {
				visit(p, info.ModTime())
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	list(func(p string, written time.Time) { before[p] = written })
	output, ok = sumoIn(t, at, dir, append(args, "--no-step-log", "--random=false")...)
	made = []string{}
	list(func(p string, written time.Time) {
		if was, known := before[p]; known && was.Equal(written) {
			return
		}
		name, err := filepath.Rel(dir, p)
		if err != nil || !filepath.IsLocal(name) {
			t.Errorf("SUMO wrote %s, outside the scenario (%s)", p, strconv.Quote(strings.Join(args, " ")))
		}
		made = append(made, name)
	})
	slices.Sort(made)
	return made, output, ok
}
