package run

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/confine"
	"github.com/sumo-k8/sumo-k8/pkg/confine/confinetest"
	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// world is what a scenario must not reach: a folder around that of its run, with a secret and a file that could be
// emptied, and a server.
type world struct {
	dir     string
	port    int
	callers *atomic.Int32
	before  map[string]string
	net     string
}

// lights makes junction B of a network signalised.
func lights(net string) string {
	for old, new := range map[string]string{
		`<junction id="B" type="priority"`: `<junction id="B" type="traffic_light"`,
		`<connection from="AB" to="BC" `:   `<connection from="AB" to="BC" tl="B" linkIndex="0" `,
		`<junction id="A"`:                 `<tlLogic id="B" type="static" programID="0" offset="0"><phase duration="60" state="G"/></tlLogic><junction id="A"`,
	} {
		net = strings.Replace(net, old, new, 1)
	}
	return net
}

const secret = "root-secret-line"

func newWorld(t *testing.T) world {
	t.Helper()
	dir, err := os.MkdirTemp("", "world") // t.TempDir has the test's name, and SUMO takes no comma in a path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"secret": secret + "\n", "victim.xml": "<victim/>"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	w := world{dir: dir, port: listener.Addr().(*net.TCPAddr).Port, callers: &atomic.Int32{}, net: road(t, "", "")["road.net.xml"]}
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			w.callers.Add(1)
			connection.Close()
		}
	}()
	w.before = w.look(t)
	return w
}

// look returns the files of the world but those of the run.
func (w world) look(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(w.dir, func(path string, d fs.DirEntry, err error) error {
		name, _ := filepath.Rel(w.dir, path)
		switch {
		case err != nil:
			return err
		case d.IsDir() && (name == "home/work" || name == "home/out"):
			return filepath.SkipDir
		case d.IsDir() || strings.HasPrefix(name, "home/progress"):
			return nil
		}
		text, err := os.ReadFile(path)
		files[name] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// run is a run inside the world.
func (w world) run(t *testing.T) Run {
	r := newRun(t)
	home := filepath.Join(w.dir, "home")
	r.Work, r.Out, r.ProgressFile = filepath.Join(home, "work"), filepath.Join(home, "out"), filepath.Join(home, "progress")
	if err := os.MkdirAll(home, 0o755); err != nil {
		t.Fatal(err)
	}
	return r
}

// check fails the test when the run has got out.
func (w world) check(t *testing.T, r Run, said string) {
	t.Helper()
	for _, how := range w.reached(t, r, said) {
		t.Error(how)
	}
}

// reached says how the world has changed, and what of it shows in what the run has left.
func (w world) reached(t *testing.T, r Run, said string) (how []string) {
	t.Helper()
	if diff := cmp.Diff(w.before, w.look(t)); diff != "" {
		how = append(how, "outside of the run (-before +after):\n"+diff)
	}
	if n := w.callers.Load(); n > 0 {
		how = append(how, fmt.Sprintf("%d connections", n))
	}
	if strings.Contains(said, secret) {
		how = append(how, "the secret is in what SUMO said: "+said)
	}
	for _, folder := range []string{r.Out, filepath.Join(r.Work, runFolder), filepath.Join(r.Work, resultFolder)} {
		_ = filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return nil // SUMO may not have begun
			}
			if text, err := os.ReadFile(path); err == nil && bytes.Contains(text, []byte(secret)) {
				how = append(how, "the secret is in "+path)
			}
			return nil
		})
	}
	return how
}

// escape is an upload that once got out of its run, or is near to one that did.
type escape struct {
	config string            // the configuration's name; empty for run.sumocfg
	input  string            // in the configuration, in place of the usual options of input
	extra  string            // behind them
	demand string            // in place of oneVehicle
	files  map[string]string // more of them; a name that ends in / is a folder
	asked  []simulation.Output
	hangs  bool // SUMO tries to connect for half a minute when it is refused
}

// evil is an additional file that reads the secret, and one that writes.
func (w world) evil() string {
	return fmt.Sprintf(
		`<additional><edgeData id="x" period="5" file="e.xml" edgesFile="%s/secret"/><edgeData id="y" period="5" file="%[1]s/new.xml"/></additional>`,
		w.dir,
	)
}

// escapes are the eight kinds that were found, with variations of each.
func (w world) escapes() map[string]escape {
	const usual = `<net-file value="road.net.xml"/><route-files value="road.rou.xml"/>`
	encoded := strings.ReplaceAll(w.dir, "/", "%2F")
	evilConfig := `<configuration><input>` + usual + `</input><output><fcd-output value="` + w.dir + `/new.xml"/></output></configuration>`
	const ssm = `<device.ssm.probability value="1"/>`
	const lit = `<net-file value="lit.net.xml"/><route-files value="road.rou.xml"/><additional-files value="a.add.xml"/>`
	light := func(kind, key, value string) map[string]string {
		return map[string]string{"lit.net.xml": lights(w.net), "a.add.xml": `<additional><tlLogic id="B" type="` + kind + `" programID="1"><param key="` + key +
			`" value="` + value + `"/><phase duration="30" minDur="5" maxDur="60" type="target" targetLanes="AB_0 AB_1" state="G"/>` +
			`<phase duration="5" type="transient" state="y"/><phase duration="5" type="commit" state="r"/></tlLogic></additional>`}
	}
	device := func(key, value string) string {
		return `<vType id="t"><param key="has.ssm.device" value="true"/><param key="has.toc.device" value="true"/><param key="` + key + `" value="` + value +
			`"/></vType><vehicle id="v" type="t" depart="0"><route edges="AB BC"/></vehicle>`
	}
	return map[string]escape{
		"1 percent signs in an output above":         {extra: `<fcd-output value="..%2F..%2F..%2Fnew.xml"/>`},
		"1 percent signs in an absolute output":      {extra: `<fcd-output value="` + encoded + `%2Fnew.xml"/>`},
		"1 percent signs in an existing output":      {extra: `<fcd-output value="` + encoded + `%2Fvictim.xml"/>`},
		"1 a percent sign in an address":             {extra: fmt.Sprintf(`<fcd-output value="127.0.0.1%%3A%d"/>`, w.port), hangs: true},
		"1 an address":                               {extra: fmt.Sprintf(`<fcd-output value="127.0.0.1:%d"/>`, w.port), hangs: true},
		"1 percent signs in an option of plain text": {extra: `<device.ssm.file value="%2e%2e%2f%2e%2e%2f%2e%2e%2fnew.xml"/>` + ssm},
		"1 percent signs in an option of plain text 2": {
			extra: `<device.toc.file value="` + encoded + `%2Fnew.xml"/><device.toc.probability value="1"/>`,
		},
		"1 a percent sign in an additional file": {
			input: usual + `<additional-files value="%61.xml"/>`, files: map[string]string{"a.xml": w.evil(), "%61.xml": "<additional/>"},
		},
		"1 percent signs in a route file": {
			input: `<net-file value="road.net.xml"/><route-files value="` + encoded + `%2Fsecret"/>`,
		},
		"2 a URL as the configuration": {
			config: "file:/proc/self/cwd/evil.xml#.sumocfg", files: map[string]string{"evil.xml": evilConfig},
		},
		"2 a URL as an additional file": {
			input: usual + `<additional-files value="file:` + w.dir + `/secret#.add.xml"/>`,
			files: map[string]string{"file:" + w.dir + "/secret#.add.xml": "<additional/>"},
		},
		"2 a URL as a route file": {
			input: `<net-file value="road.net.xml"/><route-files value="file:/proc/self/cwd/evil.xml#.rou.xml"/>`,
			files: map[string]string{"file:/proc/self/cwd/evil.xml#.rou.xml": "<routes/>", "evil.xml": w.evil()},
		},
		"2 a URL in an include": {
			demand: `<include href="file:` + w.dir + `/secret"/>` + oneVehicle, files: map[string]string{"file:" + w.dir + "/secret": "<routes/>"},
		},
		"3 CR LF in the name of an additional file": {
			input: usual + "<additional-files value=\"a\r\n.xml\"/>", files: map[string]string{"a .xml": w.evil(), "a  .xml": "<additional/>"},
		},
		"3 CR LF in the name of a route file": {
			input: "<net-file value=\"road.net.xml\"/><route-files value=\"a\r\nb.xml\"/>",
			files: map[string]string{"a b.xml": w.evil(), "a  b.xml": "<routes/>"},
		},
		"3 CR LF in an include": {
			demand: "<include href=\"a\r\nb.xml\"/>" + oneVehicle, files: map[string]string{"a b.xml": w.evil(), "a  b.xml": "<routes/>"},
		},
		"4 a value of another namespace first": {
			input: usual + `<additional-files xmlns:x="x" x:value="evil.xml" value="ok.add.xml"/>`,
			files: map[string]string{"evil.xml": w.evil(), "ok.add.xml": "<additional/>"}, asked: []simulation.Output{simulation.OutputEdgeData},
		},
		"4 a value of another namespace last": {
			input: usual + `<additional-files value="ok.add.xml" x:value="evil.xml"/>`,
			files: map[string]string{"evil.xml": w.evil(), "ok.add.xml": "<additional/>"}, asked: []simulation.Output{simulation.OutputEdgeData},
		},
		"4 an element of another namespace": {
			input: usual + `<x:additional-files xmlns:x="x" value="evil.xml"/><additional-files v="ok.add.xml" x:v="evil.xml"/>`,
			files: map[string]string{"evil.xml": w.evil(), "ok.add.xml": "<additional/>"}, asked: []simulation.Output{simulation.OutputEdgeData},
		},
		"5 a comment in a value": {
			input: usual + `<additional-files>evil.xml<!-- -->X</additional-files>`,
			files: map[string]string{"evil.xml": w.evil(), "evil.xmlX": "<additional/>"}, asked: []simulation.Output{simulation.OutputEdgeData},
		},
		"5 an instruction in a value": {
			input: usual + `<additional-files>evil.xml<?x y?>X</additional-files>`,
			files: map[string]string{"evil.xml": w.evil(), "evil.xmlX": "<additional/>"}, asked: []simulation.Output{simulation.OutputEdgeData},
		},
		"5 raw text in a value": {
			input: usual + `<additional-files>evil.xml<![CDATA[X]]></additional-files>`,
			files: map[string]string{"evil.xml": w.evil(), "evil.xmlX": "<additional/>"}, asked: []simulation.Output{simulation.OutputEdgeData},
		},
		"6 a suffix of states": {
			extra: `<save-state.times value="2"/><save-state.prefix value="st"/><save-state.suffix value="/../../../../new.xml"/>`,
			files: map[string]string{"st_2.00/": ""},
		},
		"6 a prefix of states": {extra: `<save-state.times value="2"/><save-state.prefix value="../../../new"/>`},
		"6 files of states":    {extra: `<save-state.times value="2"/><save-state.files value="` + w.dir + `/new.xml"/>`},
		"6 a suffix of states with percent signs": {
			extra: `<save-state.times value="2"/><save-state.prefix value="st"/><save-state.suffix value="%2F..%2F..%2F..%2F..%2Fnew.xml"/>`,
			files: map[string]string{"st_2.00/": ""},
		},
		"7 a suffix of scaled vehicles": {
			extra: `<scale value="3"/><scale-suffix value="/../../../../new"/>` + ssm, files: map[string]string{"ssm_v/": ""},
		},
		"7 the id of a vehicle": {
			demand: `<vehicle id="v/../../../../new" depart="0"><route edges="AB BC"/></vehicle>`, extra: ssm,
			files: map[string]string{"ssm_v/": ""},
		},
		"7 a prefix of outputs":                 {extra: `<output-prefix value="../../../new"/><fcd-output value="f.xml"/>`},
		"8 the log of a swarm":                  {input: lit, files: light("swarm", "SWARMLOG", w.dir+"/new.xml")},
		"8 the log of a swarm above":            {input: lit, files: light("swarm", "SWARMLOG", "../../../new.xml")},
		"8 the log of a swarm in place of ours": {input: lit, files: light("swarm", "SWARMLOG", w.dir+"/victim.xml")},
		"8 the file of an actuated light":       {input: lit, files: light("actuated", "file", w.dir+"/new.xml")},
		"8 a device's file by a parameter":      {demand: device("device.ssm.file", w.dir+"/new.xml")},
		"8 another device's file by one":        {demand: device("device.toc.file", w.dir+"/new.xml")},
	}
}

func (e escape) scene(t *testing.T) (config string, f files) {
	t.Helper()
	f = road(t, "", oneVehicle)
	delete(f, "run.sumocfg")
	config = "run.sumocfg"
	if e.config != "" {
		config = e.config
		for _, name := range []string{"road.net.xml", "road.rou.xml"} { // names in it are relative to its folder
			f[path.Join(path.Dir(config), name)] = f[name]
		}
	}
	input := e.input
	if input == "" {
		input = `<net-file value="road.net.xml"/><route-files value="road.rou.xml"/>`
	}
	f[config] = `<configuration><input>` + input + `</input>` + e.extra + `</configuration>`
	if e.demand != "" {
		f["road.rou.xml"] = `<routes>` + e.demand + `</routes>`
	}
	for name, text := range e.files {
		f[name] = text
	}
	return config, f
}

// TestNoScenarioGetsOut runs every escape twice with the real SUMO: as an upload, which is refused or harmless, and past
// the check, with SUMO reading the uploaded configuration itself, where only the wall is left.
func TestNoScenarioGetsOut(t *testing.T) {
	t.Parallel()
	confinetest.AsOrdinaryUser(t)
	tried := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(newWorld(t).escapes())) {
		walls := map[string]int{"past the check": 0}
		if kind := name[:1]; !tried[kind] { // of each kind, one on older kernels too
			tried[kind] = true
			walls["past the check on Landlock ABI 1"], walls["past the check without Landlock"] = 1, confine.NoLandlock
		}
		t.Run(name+", checked", func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			e := w.escapes()[name]
			config, f := e.scene(t)
			r := w.run(t)
			r.Options.ConfigFile, r.Options.Outputs = "city/"+config, e.asked
			r.Scenario = zipped(t, f)
			got := r.Do(t.Context())
			crashes := strings.HasPrefix(name, "8 the log of a swarm") // plain SUMO does on these phases
			if got.Reason != "" && got.Reason != simulation.InvalidScenario && (!crashes || got.Reason != simulation.SimulationError) {
				t.Errorf("it ended with %s: %s", got.Reason, got.Message)
			}
			if got.Confinement != nil && !got.Confinement.Holds() {
				t.Errorf("SUMO was held by %s only", got.Confinement)
			}
			log, _ := os.ReadFile(filepath.Join(r.Out, simulation.LogFile))
			w.check(t, r, got.Message+string(log))
		})
		for wall, abi := range walls {
			t.Run(name+", "+wall, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				r := w.run(t)
				r.landlockABI = abi
				said, held := w.escapes()[name].letLoose(t, r)
				if !held.Holds() {
					t.Errorf("SUMO was held by %s only", held)
				}
				w.check(t, r, said)
			})
		}
	}
}

// TestTheEscapesAreReal lets them loose without a wall. Of each kind, one gets out at least: otherwise the test above would
// prove nothing. Root's files are not put at risk.
func TestTheEscapesAreReal(t *testing.T) {
	t.Parallel()
	if os.Geteuid() == 0 {
		confinetest.Again(t)
		return
	}
	out := map[string][]string{}
	for _, name := range slices.Sorted(maps.Keys(newWorld(t).escapes())) {
		w := newWorld(t)
		r := w.run(t)
		r.Confinement = confine.Off
		said, _ := w.escapes()[name].letLoose(t, r)
		if len(w.reached(t, r, said)) > 0 {
			out[name[:1]] = append(out[name[:1]], name)
		}
	}
	for _, kind := range []string{"1", "2", "3", "6", "7", "8"} { // 4 and 5 deceived a second reader of ours, not SUMO
		if len(out[kind]) == 0 {
			t.Errorf("none of kind %s got out", kind)
		}
	}
	t.Logf("%v", out)
}

// letLoose starts SUMO on the upload as it is, and returns what it said and what held it.
func (e escape) letLoose(t *testing.T, r Run) (string, simulation.Confinement) {
	t.Helper()
	config, f := e.scene(t)
	if err := r.prepareFolders(); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(r.scenario())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	f.unpack(t, root)
	r.Options.Outputs = e.asked
	s := settings{version: r.Version, stepLength: 1, scale: 1}
	if err := r.plant(root, scenario.Config{}, s); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	log, err := openLogbook(filepath.Join(r.Out, simulation.LogFile), time.Now(), &said, strings.NewReplacer())
	if err != nil {
		t.Fatal(err)
	}
	progress, err := openProgress("", nil)
	if err != nil {
		t.Fatal(err)
	}
	patience := time.Minute
	if e.hangs {
		patience, r.grace = 3*time.Second, time.Millisecond
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	// By its bare name: what SUMO makes of other names depends on how the configuration is named.
	cmd, err := r.program(append([]string{"--configuration-file=" + config}, r.arguments(s)...)...)
	if err != nil {
		t.Fatal(err)
	}
	fate, err := r.execute(ctx, cmd, newMonitor(log, progress, s))
	if err != nil {
		t.Fatal(err)
	}
	if err := log.close(); err != nil {
		t.Fatal(err)
	}
	return said.String(), fate.held
}

// unpack writes the files, and folders, below root.
func (f files) unpack(t *testing.T, root *os.Root) {
	t.Helper()
	for name, text := range f {
		folder := filepath.Dir(name)
		if strings.HasSuffix(name, "/") {
			folder = strings.TrimSuffix(name, "/")
		}
		if err := root.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "/") {
			continue
		}
		if err := root.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
