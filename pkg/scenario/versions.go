package scenario

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/xml"
)

// newClasses are the vehicle classes that came after the oldest version on offer, each with the first version that knows it. Older ones
// end at one in a network, and do without a vehicle type that has one.
var newClasses = map[string]string{
	"container": "1.20", "cable_car": "1.20", "subway": "1.20", "aircraft": "1.20", "wheelchair": "1.20", "scooter": "1.20", "drone": "1.20",
}

// maxLists of vehicle classes are remembered; more than a few different ones are rare.
const maxLists = 1000

// vehicleClasses records the new classes in a list of them.
func (d *documentReader) vehicleClasses(a xml.Attr) {
	if d.lists[string(a.Value)] {
		return
	}
	if d.lists == nil {
		d.lists = map[string]bool{}
	}
	if len(d.lists) < maxLists {
		d.lists[string(a.Value)] = true
	}
	for class := range strings.FieldsSeq(string(a.Value)) {
		if newClasses[class] == "" {
			continue
		}
		if d.doc.classes == nil {
			d.doc.classes = map[string]int{}
		}
		if d.doc.classes[class] == 0 {
			d.doc.classes[class] = a.Line
		}
	}
}

// classes records what the vehicle classes in a file need of SUMO's version, in one Need for each version.
func (r *judgement) classes(name string, doc *document) {
	bySince := map[string][]string{}
	for _, class := range slices.Sorted(maps.Keys(doc.classes)) {
		bySince[newClasses[class]] = append(bySince[newClasses[class]], class)
	}
	for _, since := range slices.Sorted(maps.Keys(bySince)) {
		classes := bySince[since]
		what := "the file"
		if doc.root == "net" {
			what = fmt.Sprintf("the network (version %s)", shown(doc.version))
		}
		line := doc.classes[classes[0]]
		for _, class := range classes {
			line = min(line, doc.classes[class])
		}
		r.needs = append(r.needs, Need{Since: since, Problem: problem.Item{Location: at(name, line), Message: fmt.Sprintf(
			"%s names vehicle classes that came with SUMO %s (%s): choose that version or a newer one, or remove them",
			what, since, strings.Join(classes, ", "))}})
	}
}

// reliances are what a file leaves to defaults that have changed between versions of SUMO.
type reliances struct {
	departSpeed, departLane bool // a vehicle does not say with which speed, on which lane it departs
	routing                 bool // SUMO itself finds a route
	emissionClass           bool // a vehicle or type of vehicles has none
	emissions               bool // they are written
	railSignals             bool
	stations                bool // vehicles look for charging stations
}

func (r reliances) or(o reliances) reliances {
	return reliances{
		r.departSpeed || o.departSpeed, r.departLane || o.departLane, r.routing || o.routing, r.emissionClass || o.emissionClass,
		r.emissions || o.emissions, r.railSignals || o.railSignals, r.stations || o.stations,
	}
}

// reliance records what an element leaves to defaults.
func (d *documentReader) reliance(e xml.Element) {
	has := func(attribute string) bool { _, ok := e.Lookup(attribute); return ok }
	r := &d.doc.relies
	switch string(e.Name) {
	case "vehicle", "trip", "flow":
		if r.departSpeed && r.departLane && r.emissionClass && r.routing {
			return // as most do
		}
		r.departSpeed = r.departSpeed || !has("departSpeed")
		r.departLane = r.departLane || !has("departLane")
		r.emissionClass = r.emissionClass || !has("type")
		r.routing = r.routing || string(e.Name) == "trip" || has("from") || has("fromTaz") || has("fromJunction")
	case "rerouter":
		r.routing = true
	case "vType":
		r.emissionClass = r.emissionClass || !has("emissionClass")
	case "edgeData", "laneData":
		r.emissions = r.emissions || string(e.Attr("type")) == "emissions"
	case "param":
		r.stations = r.stations || strings.Contains(string(e.Attr("key")), "device.stationfinder")
	case "junction":
		r.railSignals = r.railSignals || string(e.Attr("type")) == "rail_signal"
	}
}

// change is a default that differs between versions of SUMO (https://sumo.dlr.de/docs/ChangeLog.html, and the defaults that each version
// itself lists).
type change struct {
	option   string // or the attribute whose default it is
	since    string // the version that changed it
	exists   string // the first version that has the option; empty for an attribute
	old, new string // values; old restores what was before there was the option
	touches  func(r *judgement, all reliances) bool
	shows    simulation.Output // the output that shows it, which the configuration or the job must ask for; empty for any
	effect   string
}

var changes = []change{
	{
		option: "weights.turnaround-penalty", since: "1.22", exists: "1.22", old: "0", new: "5",
		touches: func(r *judgement, all reliances) bool { return all.routing || r.reroutes() },
		effect:  "routes that SUMO finds turn around less often",
	},
	{
		option: "device.rerouting.railsignal", since: "1.22", exists: "1.15", old: "true", new: "false",
		touches: func(r *judgement, all reliances) bool { return all.railSignals && r.reroutes() },
		effect:  "trains are no longer rerouted at rail signals",
	},
	{
		option: "device.stationfinder.emptyThreshold", since: "1.22", exists: "1.18", old: "5", new: "0.05",
		touches: func(r *judgement, all reliances) bool { return all.stations || r.sets("device.stationfinder.") },
		effect:  "electric vehicles look for a charging station at another state of charge",
	},
	{
		option: "emissionClass", since: "1.24", old: "HBEFA3/PC_G_EU4", new: "HBEFA4/PC_petrol_Euro-4",
		touches: func(_ *judgement, all reliances) bool { return all.emissionClass },
		shows:   simulation.OutputEmission,
		effect:  "vehicles without one emit differently (measured: CO2 -11 %, NOx -26 %)",
	},
	{
		option: "railsignal.default-classes", since: "1.26", exists: "1.24", old: "rail,rail_fast,rail_electric,rail_urban",
		new:     "rail,rail_fast,rail_electric,rail_urban,subway",
		touches: func(r *judgement, all reliances) bool { return all.railSignals && r.hasClass("subway") },
		effect:  "rail signals hold back subways, too",
	},
	{
		option: "weights.reversal-penalty", since: "1.26", exists: "1.26", old: "0", new: "60",
		touches: func(r *judgement, all reliances) bool { return all.railSignals && (all.routing || r.reroutes()) },
		effect:  "trains reverse less often on routes that SUMO finds",
	},
	{
		option: "default.departspeed", since: "1.27", exists: "1.24", old: "0", new: "avg",
		touches: func(_ *judgement, all reliances) bool { return all.departSpeed },
		effect:  "vehicles without departSpeed enter with the speed of the traffic (measured with departLane: time loss -30 %)",
	},
	{
		option: "default.departlane", since: "1.27", exists: "1.24", old: "first", new: "best_prob",
		touches: func(_ *judgement, all reliances) bool { return all.departLane },
		effect:  "vehicles without departLane enter on other lanes than the rightmost",
	},
	{
		option: "output.column-header", since: "1.28", exists: "1.24", old: "tag", new: "auto",
		touches: func(r *judgement, _ reliances) bool { return r.tables() },
		effect:  "columns of CSV and Parquet outputs have other names",
	},
}

// reroutes reports whether vehicles have devices that find new routes.
func (r *judgement) reroutes() bool { return r.sets("device.rerouting.") }

// sets reports whether an option whose name begins so is set.
func (r *judgement) sets(prefix string) bool {
	for name := range r.values {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// hasClass reports whether a file names one of the newer vehicle classes.
func (r *judgement) hasClass(class string) bool {
	for name := range r.visited {
		if r.inspection.files[name].doc.classes[class] > 0 {
			return true
		}
	}
	return false
}

// detects reports whether a file has detectors whose output becomes a table.
func (r *judgement) detects() bool {
	for name := range r.visited {
		if r.inspection.files[name].doc.detectors {
			return true
		}
	}
	return false
}

// tables reports whether an output has columns.
func (r *judgement) tables() bool {
	for name := range r.outputs {
		if name = strings.TrimSuffix(name, ".gz"); strings.HasSuffix(name, ".csv") || strings.HasSuffix(name, ".parquet") {
			return true
		}
	}
	return r.sets("output.format")
}

// reliance records the version of SUMO that wrote the network, and the options on whose defaults the scenario relies.
func (r *judgement) reliance(c *Config) {
	var all reliances
	for name := range r.visited {
		doc := r.inspection.files[name].doc
		all = all.or(doc.relies)
		if doc.root == "net" {
			c.Written = doc.written
		}
	}
	if c.Written == "" {
		return // nothing to compare with
	}
	c.Emissions = all.emissions || r.sets("emission-output") || r.sets("device.emissions.")
	for _, ch := range changes {
		if r.values[ch.option] == "" && ch.touches(r, all) {
			c.Relies = append(c.Relies, ch.option)
		}
	}
}

// Changes returns notes on the defaults that a configuration relies on, and that differ between the version of SUMO that wrote its
// network and the given one, which runs: what differs, what it does, and how to have it as before. outputs are those that the job asks for.
func Changes(c Config, version string, outputs []simulation.Output) []string {
	var notes []string
	if c.Written == "" {
		return nil
	}
	for _, ch := range changes {
		before, after := release.Compare(c.Written, ch.since) < 0, release.Compare(version, ch.since) >= 0
		shown := ch.shows == "" || ch.shows == simulation.OutputEmission && c.Emissions || slices.Contains(outputs, ch.shows)
		if before != after || !shown || !slices.Contains(c.Relies, ch.option) {
			continue
		}
		from, to, value := ch.old, ch.new, ch.old
		if !before { // an older version runs what a newer one has written
			from, to, value = ch.new, ch.old, ch.new
		}
		var cure string
		switch {
		case ch.exists == "":
			cure = fmt.Sprintf(`give each vType %s="%s"`, ch.option, value)
		case release.Compare(version, ch.exists) >= 0:
			cure = fmt.Sprintf(`set <%s value="%s"/>`, ch.option, value)
		default:
			cure = "choose SUMO " + ch.since + " or newer, as this one has no such option"
		}
		notes = append(notes, fmt.Sprintf("The network was written by SUMO %s, and SUMO %s runs: the default of %s is %s instead of %s (changed "+
			"with SUMO %s: %s). To keep it, %s.", c.Written, version, ch.option, to, from, ch.since, ch.effect, cure))
	}
	return notes
}
