package run_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"

	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/sumotest"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/xml"
)

// How many scenarios are made for the oracle: on each change, and where all versions run.
const (
	generatedOften = 30
	generatedAll   = 500
)

// TestGeneratedScenarios makes scenarios at random, each from its number, as people's scenarios differ: networks of several versions,
// kinds of demand, time formats, encodings, layouts, options, and faults that SUMO refuses or ignores.
func TestGeneratedScenarios(t *testing.T) {
	t.Parallel()
	versions := sumotest.Versions()
	generated := generatedOften
	if len(versions) > 2 {
		generated = generatedAll
	}
	var roads []road
	for _, version := range versions {
		roads = append(roads, roadsOf(t, sumotest.Version(t, version))...)
	}
	var mu sync.Mutex
	ran, refused := 0, 0
	t.Run("scenarios", func(t *testing.T) {
		for n := range generated {
			t.Run(strconv.Itoa(n), func(t *testing.T) {
				t.Parallel()
				g := generator{Rand: rand.New(rand.NewPCG(uint64(n), 16))}
				sumo := sumotest.Version(t, versions[n%len(versions)])
				q := g.scenario(sumo.Version, pick(g.Rand, roads))
				runs := agree(t, sumo, q).Runs
				if t.Failed() {
					t.Logf("made with: %s", strings.Join(g.made, ", "))
				}
				mu.Lock()
				defer mu.Unlock()
				if runs {
					ran++
				} else {
					refused++
				}
			})
		}
	})
	// Both kinds must be there, or the test says little.
	if ran < generated/2 || refused < generated/20 {
		t.Errorf("SUMO ran %d of the scenarios and refused %d", ran, refused)
	}
}

// road is a network with what demand needs to know of it.
type road struct {
	version string // of the SUMO that made it
	net     []byte
	edges   []string            // for cars
	walks   []string            // edges with a sidewalk
	next    map[string][]string // edges that follow one another
	stops   []string            // lanes on which a car can stop
}

var (
	roadsMu sync.Mutex
	roadsBy = map[string][]road{}
)

// roadsOf makes networks with the netgenerate and netconvert of one version.
func roadsOf(t *testing.T, sumo release.Installation) []road {
	t.Helper()
	roadsMu.Lock()
	defer roadsMu.Unlock()
	if roadsBy[sumo.Version] == nil {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "n.nod.xml"), []byte(`<nodes><node id="a" x="0" y="0"/><node id="b" x="300" y="0" type="traffic_light"/>`+
			`<node id="c" x="600" y="0"/><node id="d" x="300" y="300"/><node id="e" x="300" y="-300"/></nodes>`))
		var edges strings.Builder
		for _, end := range []string{"a", "c", "d", "e"} {
			fmt.Fprintf(&edges, `<edge id="%sb" from="%[1]s" to="b" numLanes="2" speed="13.9"/><edge id="b%[1]s" from="b" to="%[1]s" numLanes="2" speed="13.9"/>`, end)
		}
		write(t, filepath.Join(dir, "n.edg.xml"), []byte("<edges>"+edges.String()+"</edges>"))
		for _, args := range [][]string{
			{"netgenerate", "--grid", "--grid.number=3", "--grid.length=150", "--seed=3"},
			{"netgenerate", "--grid", "--grid.number=3", "--grid.length=120", "--tls.guess=true", "--turn-lanes=1", "--default.lanenumber=2"},
			{"netgenerate", "--spider", "--spider.arm-number=4", "--spider.circle-number=2", "--sidewalks.guess=true", "--crossings.guess=true"},
			{"netgenerate", "--rand", "--rand.iterations=25", "--rand.min-distance=80", "--seed=5", "--bikelanes.guess=true"},
			{"netconvert", "--node-files=n.nod.xml", "--edge-files=n.edg.xml", "--tls.default-type=actuated"},
		} {
			cmd := sumotest.Command(t, sumo, args[0], append(args[1:], "--output-file=out.net.xml")...)
			cmd.Dir = dir
			if output, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v: %v\n%s", args, err, output)
			}
			net, err := os.ReadFile(filepath.Join(dir, "out.net.xml"))
			if err != nil {
				t.Fatal(err)
			}
			r := road{version: sumo.Version, net: net, next: map[string][]string{}}
			r.read(t)
			roadsBy[sumo.Version] = append(roadsBy[sumo.Version], r)
		}
	}
	return roadsBy[sumo.Version]
}

func (r *road) read(t *testing.T) {
	t.Helper()
	edge := ""
	cars := map[string]bool{}
	const stopRoom = 60 // metres
	err := xml.Scan(bytes.NewReader(r.net), func(e xml.Element) error {
		switch string(e.Name) {
		case "edge":
			edge = string(e.Attr("id"))
			if e.Attr("function") != nil {
				edge = ""
			}
		case "lane":
			switch allow := string(e.Attr("allow")); {
			case edge == "":
			case allow == "pedestrian":
				r.walks = append(r.walks, edge)
			case allow == "":
				if length, err := strconv.ParseFloat(string(e.Attr("length")), 64); err == nil && length > stopRoom {
					r.stops = append(r.stops, string(e.Attr("id")))
				}
				if !cars[edge] {
					cars[edge] = true
					r.edges = append(r.edges, edge)
				}
			}
		case "connection":
			from, to := string(e.Attr("from")), string(e.Attr("to"))
			if cars[from] && cars[to] && string(e.Attr("dir")) != "t" {
				r.next[from] = append(r.next[from], to)
			}
		}
		return nil
	})
	if err != nil || len(r.edges) == 0 {
		t.Fatalf("reading a network: %v, %d edges", err, len(r.edges))
	}
}

// generator makes one scenario.
type generator struct {
	*rand.Rand
	made []string // what the scenario has, for a person who looks into a failure
	ids  int
}

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

// chance is true n times in a hundred, and then notes what.
func (g *generator) chance(n int, what string) bool {
	if g.IntN(100) >= n {
		return false
	}
	g.made = append(g.made, what)
	return true
}

func (g *generator) one(of ...string) string {
	s := pick(g.Rand, of)
	if s != "" {
		g.made = append(g.made, s)
	}
	return s
}

func (g *generator) id(kind string) string {
	g.ids++
	return kind + strconv.Itoa(g.ids)
}

// horizon is the length of generated scenarios, in seconds.
const horizon = 240

// at writes a time in one of SUMO's formats.
func (g *generator) at(seconds float64) string {
	switch g.IntN(10) {
	case 0:
		s := int(seconds)
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	case 1:
		s := int(seconds)
		return fmt.Sprintf("0:%02d:%02d:%02d", s/3600, s/60%60, s%60)
	case 2:
		return strconv.Itoa(int(seconds))
	}
	return strconv.FormatFloat(seconds, 'f', 2, 64)
}

// route is a walk of up to eight edges along connections.
func (g *generator) route(r road) string {
	edge := pick(g.Rand, r.edges)
	route := []string{edge}
	for range 7 {
		if len(r.next[edge]) == 0 {
			break
		}
		edge = pick(g.Rand, r.next[edge])
		route = append(route, edge)
	}
	return strings.Join(route, " ")
}

func (g *generator) departing() string {
	return g.one("", "", "", ` departLane="best"`, ` departLane="random" departSpeed="max"`, ` departPos="random_free"`, ` departSpeed="desired"`,
		` departLane="free" departPos="last"`)
}

// demand writes the children of <routes>.
func (g *generator) demand(r road) string {
	var b strings.Builder
	types := []string{""}
	for _, attributes := range []string{
		`vClass="passenger" sigma="0.2"`, `vClass="truck" length="12" maxSpeed="20"`, `vClass="bus" accel="1.1"`,
		`carFollowModel="IDM" tau="1.2"`, `carFollowModel="W99"`, `speedFactor="normc(1,0.2,0.5,1.5)"`, `vClass="bicycle"`,
		`laneChangeModel="SL2015"`, `emissionClass="HBEFA3/PC_D_EU6"`, `minGap="3" jmIgnoreFoeProb="0.1"`,
	} {
		if g.chance(25, "vType "+attributes) {
			id := g.id("type")
			fmt.Fprintf(&b, "<vType id=%q %s/>\n", id, attributes)
			types = append(types, fmt.Sprintf(" type=%q", id))
		}
	}
	shared := ""
	if g.chance(30, "a named route") {
		shared = g.id("route")
		fmt.Fprintf(&b, "<route id=%q edges=%q/>\n", shared, g.route(r))
	}
	departs := make([]float64, 10+g.IntN(30))
	at := 0.0
	for i := range departs {
		at += g.Float64() * 8
		departs[i] = at
	}
	if g.chance(20, "unsorted departures") {
		g.Shuffle(len(departs), func(i, j int) { departs[i], departs[j] = departs[j], departs[i] })
	}
	line := ""
	if g.chance(15, "lines") {
		line = ` line="7"`
	}
	for _, depart := range departs {
		attributes := pick(g.Rand, types) + g.departing()
		if line != "" && g.IntN(3) == 0 {
			attributes += line
		}
		begin, end := g.at(depart), g.at(depart+20+g.Float64()*100)
		switch kind := g.IntN(9); {
		case kind == 0:
			fmt.Fprintf(&b, "<trip id=%q depart=%q from=%q to=%q%s/>\n",
				g.id("trip"), begin, pick(g.Rand, r.edges), pick(g.Rand, r.edges), attributes)
		case kind == 1:
			rate := g.one(`number="5"`, `period="9"`, `vehsPerHour="400"`, `probability="0.1"`)
			fmt.Fprintf(&b, "<flow id=%q begin=%q end=%q %s from=%q to=%q%s/>\n",
				g.id("flow"), begin, end, rate, pick(g.Rand, r.edges), pick(g.Rand, r.edges), attributes)
		case kind == 2 && len(r.walks) > 0:
			fmt.Fprintf(&b, "<person id=%q depart=%q><walk from=%q to=%q/></person>\n",
				g.id("person"), begin, pick(g.Rand, r.walks), pick(g.Rand, r.walks))
		case kind == 3 && shared != "":
			fmt.Fprintf(&b, "<vehicle id=%q depart=%q route=%q%s/>\n", g.id("veh"), begin, shared, attributes)
		case kind == 4:
			stop := pick(g.Rand, r.stops)
			fmt.Fprintf(&b, "<vehicle id=%q depart=%q><route edges=%q/><stop lane=%q endPos=\"40\" duration=\"12\"/></vehicle>\n",
				g.id("veh"), begin, stop[:strings.LastIndexByte(stop, '_')], stop)
		case kind == 5 && g.IntN(4) == 0:
			fmt.Fprintf(&b, "<vehicle id=%q depart=\"triggered\"><route edges=%q/></vehicle>\n", g.id("veh"), g.route(r))
		default:
			fmt.Fprintf(&b, "<vehicle id=%q depart=%q%s><route edges=%q/></vehicle>\n", g.id("véhicule"), begin, attributes, g.route(r))
		}
	}
	return b.String()
}

// additional writes the children of <additional>.
func (g *generator) additional(r road) string {
	var b strings.Builder
	lane := pick(g.Rand, r.stops)
	for _, element := range []string{
		`<inductionLoop id="loop" lane="` + lane + `" pos="10" period="60" file="out/loop.xml"/>`,
		`<e1Detector id="e1" lane="` + lane + `" pos="20" freq="60" file="results/e1.xml"/>`,
		`<laneAreaDetector id="e2" lane="` + lane + `" pos="5" endPos="30" period="60" file="e2.xml"/>`,
		`<edgeData id="ed" period="100" file="../results/edges.xml"/>`,
		`<variableSpeedSign id="vss" lanes="` + lane + `"><step time="30" speed="7"/><step time="120" speed="13"/></variableSpeedSign>`,
		`<vTypeProbe id="probe" type="DEFAULT_VEHTYPE" period="30" file="out/probe.xml"/>`,
		`<rerouter id="rr" edges="` + pick(g.Rand, r.edges) + `"><interval begin="0" end="100"><destProbReroute id="` + pick(g.Rand, r.edges) +
			`" probability="0.5"/></interval></rerouter>`,
		`<parkingArea id="pa" lane="` + lane + `" startPos="5" endPos="40" roadsideCapacity="4"/>`,
		`<busStop id="bs" lane="` + lane + `" startPos="10" endPos="30"/>`,
		`<poi id="poi" x="1" y="2" color="red"/>`,
		`<param key="note" value="anything"/>`,
	} {
		if g.chance(20, element[:strings.IndexByte(element, ' ')]) {
			b.WriteString(element + "\n")
		}
	}
	return b.String()
}

// options writes options of a configuration besides its files.
func (g *generator) options() []string {
	var options []string
	add := func(percent int, name string, values ...string) {
		if value := pick(g.Rand, values); g.chance(percent, name+"="+value) {
			options = append(options, g.option(name, value))
		}
	}
	add(80, "begin", "0", "0", "10", "0:00:05")
	add(100, "end", strconv.Itoa(horizon), "0:03:20", "120", "150.5")
	add(40, "seed", "1", "42", "777")
	add(25, "step-length", "0.5", "0.1", "1")
	add(20, "time-to-teleport", "-1", "30", "120")
	add(15, "scale", "0.5", "1.5")
	add(15, "threads", "2")
	add(15, "lateral-resolution", "0.8")
	add(15, "collision.action", "warn", "none", "teleport")
	add(15, "route-steps", "0", "50", "200")
	add(10, "max-num-vehicles", "12")
	add(20, "device.rerouting.probability", "0.5", "1")
	add(10, "step-method.ballistic", "true")
	add(15, "ignore-route-errors", "true", "1", "on")
	add(10, "max-depart-delay", "20")
	add(10, "routing-algorithm", "astar", "CH", "dijkstra")
	add(10, "tripinfo-output.write-unfinished", "true")
	add(20, "tripinfo-output", "tripinfo.xml", "out/trips.xml", "trips.xml.gz")
	add(15, "summary-output", "summary.xml", "results/sum.xml")
	add(10, "statistic-output", "my_stats.xml")
	add(10, "fcd-output", "fcd.xml")
	add(10, "queue-output", "out/queue.xml")
	add(5, "log", "log.txt", "out/my.log")
	add(10, "xml-validation", "never", "local")
	add(5, "xml-validation.net", "local")
	add(10, "no-step-log", "true")
	add(10, "duration-log.disable", "true", "false")
	add(10, "verbose", "true")
	add(10, "no-warnings", "true")
	add(8, "human-readable-time", "true")
	add(8, "precision", "3")
	add(6, "output-prefix", "run1_", "pre-")
	add(5, "default.action-step-length", "1")
	add(5, "default.speeddev", "0")
	add(2, "default.departspeed", "max")
	add(1, "keep-after-arrival", "60")
	add(4, "junction-taz", "true")
	add(4, "language", "de")
	add(4, "eager-insert", "true")
	add(4, "extrapolate-departpos", "true")
	add(4, "emergency-insert", "true")
	add(3, "save-state.times", "60")
	add(3, "device.emissions.probability", "1")
	add(3, "pedestrian.model", "nonInteracting", "striping")
	return options
}

// option writes an option in one of the ways that SUMO takes.
func (g *generator) option(name, value string) string {
	switch g.IntN(8) {
	case 0:
		return "<" + name + ` v="` + value + `"/>`
	case 1:
		return "<" + name + ">" + value + "</" + name + ">"
	case 2:
		return `<any><` + name + ` value="` + value + `"></` + name + `></any>`
	}
	return "<" + name + ` value="` + value + `"/>`
}

// encodings are some in which people keep XML.
var encodings = []struct {
	declared string
	encoding encoding.Encoding
}{
	{"UTF-8", nil}, {"utf8", nil}, {"", nil}, {"ISO-8859-1", charmap.ISO8859_1}, {"latin1", charmap.ISO8859_1},
	{"windows-1252", charmap.Windows1252},
	{"ISO-8859-15", charmap.ISO8859_15}, {"UTF-16", unicode.UTF16(unicode.LittleEndian, unicode.UseBOM)},
	{"UTF-16", unicode.UTF16(unicode.BigEndian, unicode.UseBOM)}, {"IBM850", charmap.CodePage850},
}

// document adds an XML declaration to an element, and encodes both.
func (g *generator) document(element string) []byte {
	e := encodings[0]
	if g.IntN(3) == 0 {
		e = pick(g.Rand, encodings)
		g.made = append(g.made, "encoding "+e.declared)
	}
	text := element
	if e.declared != "" {
		text = `<?xml version="1.0" encoding="` + e.declared + "\"?>\n" + element
	}
	if g.chance(10, "CR LF") {
		text = strings.ReplaceAll(text, "\n", "\r\n")
	}
	if e.encoding == nil {
		return []byte(text)
	}
	data, err := e.encoding.NewEncoder().Bytes([]byte(text))
	if err != nil {
		panic(err) // the text has letters of Western Europe only
	}
	return data
}

// schema is the reference to a schema of SUMO's that its tools write.
func (g *generator) schema(kind string) string {
	if !g.chance(30, "schema "+kind) {
		return ""
	}
	return ` xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:noNamespaceSchemaLocation="http://sumo.dlr.de/xsd/` + kind + `.xsd"`
}

func zippedUp(data []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(data) // a bytes.Buffer takes all
	_ = z.Close()
	return b.Bytes()
}

// scenario makes a scenario for a version of SUMO.
func (g *generator) scenario(version string, r road) question {
	g.made = append(g.made, "SUMO "+version, "network of "+r.version)
	files := map[string][]byte{}
	// Where things stand: the configuration's folder, the others' as seen from there.
	dir, prefix := "", ""
	switch g.IntN(4) {
	case 0:
		dir = "configs/"
		prefix = "../"
		g.made = append(g.made, "configuration in a folder")
	case 1:
		dir = "a city/"
		g.made = append(g.made, "everything in a folder with a blank")
	}
	place := func(name string, data []byte) string {
		files[filepath.Join(dir, prefix+name)] = data
		return prefix + name
	}
	net := place(g.one("net.net.xml", "réseau.net.xml", "data/n.xml"), r.net)
	if g.chance(10, "net.gz") {
		net = place("zipped.net.xml.gz", zippedUp(r.net))
	}
	demand := "<routes" + g.schema("routes_file") + ">\n" + g.demand(r) + "</routes>\n"
	demand = g.spoil(demand, r)
	var routes []string
	if g.chance(15, "include") {
		routes = append(routes, place("main.rou.xml", g.document("<routes>\n<include href=\"rest.rou.xml\"/>\n</routes>\n")))
		place("rest.rou.xml", g.document(demand))
	} else {
		name := g.one("demand.rou.xml", "d/routes.xml", "Straße.rou.xml")
		data := g.document(demand)
		if g.chance(10, "routes.gz") {
			name, data = name+".gz", zippedUp(data)
		}
		routes = append(routes, place(name, data))
	}
	if g.chance(20, "two route files") {
		routes = append(routes, place("second.rou.xml", g.document("<routes>"+fmt.Sprintf("<trip id=\"extra\" depart=\"3\" from=%q to=%q/>",
			pick(g.Rand, r.edges), pick(g.Rand, r.edges))+"</routes>")))
	}
	options := []string{
		g.option("net-file", net),
		g.option("route-files", strings.Join(routes, pick(g.Rand, []string{",", ", ", " ,"}))),
	}
	if g.chance(50, "additional") {
		name := place("things.add.xml", g.document("<additional"+g.schema("additional_file")+">\n"+g.additional(r)+"</additional>\n"))
		options = append(options, g.option("additional-files", name))
	}
	options = append(options, g.options()...)
	options = g.spoilOptions(options)
	root := g.one("configuration", "sumoConfiguration", "configuration")
	config := dir + g.one("run.sumocfg", "my city.sumocfg", "s.sumocfg")
	files[config] = g.document("<" + root + ">\n" + strings.Join(options, "\n") + "\n</" + root + ">\n")
	if g.chance(20, "a broken sibling") {
		files[dir+"old.sumocfg"] = []byte(`<configuration><net-file value="gone.net.xml"/></configuration>`)
	}
	if g.chance(20, "other files") {
		files["README.txt"], files["notes.xml"] = []byte("See below"), []byte("<notes><!-- unfinished")
	}
	return question{config: config, files: files}
}

// spoil puts a mistake into some routes files, of those that people make.
func (g *generator) spoil(demand string, r road) string {
	replace := func(old, with string) string { return strings.Replace(demand, old, with, 1) }
	end := func(element string) string { return replace("</routes>", element+"\n</routes>") }
	edge := pick(g.Rand, r.edges)
	if !g.chance(25, "spoilt routes") {
		return demand
	}
	switch n := g.IntN(11); n {
	case 0:
		return end(`<vehicle id="lost" depart="239"><route edges="nowhere"/></vehicle>`)
	case 1:
		return end(`<vehicle id="late" depart="100000"><route edges="` + edge + `"/></vehicle>`)
	case 2:
		return end(`<vehicle id="typo" depart="239" departlane="best"><route edges="` + edge + `"/></vehicle>`)
	case 3:
		return end(`<vehicel id="typo" depart="239"><route edges="` + edge + `"/></vehicel>`)
	case 4:
		return end(`<vehicle id="same" depart="238"><route edges="` + edge + `"/></vehicle><vehicle id="same" depart="239"><route edges="` + edge + `"/></vehicle>`)
	case 5:
		return end(`<vehicle id="typeless" type="none" depart="239"><route edges="` + edge + `"/></vehicle>`)
	case 6:
		return strings.TrimSuffix(demand, "</routes>\n")
	case 7:
		return end(`<vehicle id="when" depart="soon"><route edges="` + edge + `"/></vehicle>`)
	case 8:
		return end(`<vType id="strange" vClass="spaceship"/>`)
	case 9:
		return end(`<vehicle id="jump" depart="239"><route edges="` + edge + " " + r.edges[0] + " " + r.edges[len(r.edges)-1] + `"/></vehicle>`)
	}
	return end(`<flow id="endless" begin="0" number="3" from="` + edge + `" to="` + pick(g.Rand, r.edges) + `"/>`)
}

// spoilOptions puts a mistake into some configurations.
func (g *generator) spoilOptions(options []string) []string {
	if !g.chance(12, "spoilt options") {
		return options
	}
	return append(options, pick(g.Rand, []string{
		`<no-such-option value="1"/>`, `<seed value="many"/>`, `<begin value="1000"/>`, `<route-files value="x.rou.xml"/>`,
		`<additional-files value="gone.add.xml"/>`, `<step-length value="0,5"/>`, `<collision.action value="explode"/>`,
		`<additional-files value=""/>`, `<weight-files value="gone.xml"/>`, `<vehroute-output value="out/routes.xml"/>`, `<netstate-dump value="dump.xml"/>`,
		`<ignore-junction-blocker value="-1"/>`, `<osg-view value="true"/>`, `<device.emissions.begin value="10"/>`, `<start value="true"/>`, `<delay value="100"/>`,
	}))
}
