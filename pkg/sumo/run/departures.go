package run

import (
	"bytes"
	"errors"
	"hash/maphash"
	"io/fs"
	"math"
	"os"
	"path"
	"regexp"
	"strconv"

	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/xml"
)

// departures moves what departs in a run to its second step: SUMO examines routes at departure only.
type departures struct {
	begin, end, step float64            // seconds; end may be infinite
	ahead            float64            // for how many seconds SUMO reads route files ahead
	seen             map[uint64]float64 // when vehicles and persons depart, by a sum of their ids, as a million ids take much memory
	seed             maphash.Seed
	again            int // ids that have been used again
}

// route is a route file that SUMO reads as time advances, with those that it includes.
type route struct {
	scenario.Order
	// at is when SUMO reads what comes next: when it has read a departure after until, which is the begin at first, it goes on as that
	// departs. Both are in seconds.
	at, until float64
}

// SUMO takes an id again when the first that had it has left. Moved to one time, both are there, so the run's copy has another id.
const again = ".sumo-k8-again-"

var againText = regexp.MustCompile(regexp.QuoteMeta(again) + `\d+`)

// copyDemand makes the run's own copies of the files that have vehicles and persons, with moved departures. unmoved are files with a fault
// behind which SUMO goes on: they remain as they are. A saved state begins at a time of its own, so nothing can be moved.
func (r Run) copyDemand(root *os.Root, chosen scenario.Config, s settings) (unmoved []string, err error) {
	if s.resumes {
		return nil, nil
	}
	d := departures{
		begin: s.begin, end: math.Inf(1), step: s.stepLength, ahead: s.routeSteps, seen: map[uint64]float64{}, seed: maphash.MakeSeed(),
	}
	if s.end != nil {
		d.end = *s.end
	}
	c := demandCopier{Run: r, root: root, chosen: chosen, departures: &d}
	for _, name := range s.routes {
		var order *route
		if s.routeSteps > 0 {
			order = &route{at: d.begin, until: d.begin}
		}
		if err := c.copy(name, order); err != nil {
			return nil, err
		}
	}
	for _, name := range s.additional { // which SUMO loads at once
		if err := c.copy(name, nil); err != nil {
			return nil, err
		}
	}
	return c.unmoved, nil
}

type demandCopier struct {
	Run
	root       *os.Root
	chosen     scenario.Config
	departures *departures
	unmoved    []string
}

// copy copies a file and those that it includes, in the order in which SUMO reads them. order is nil where SUMO drops nothing.
func (c *demandCopier) copy(name string, order *route) error {
	if _, err := os.Lstat(c.copyOf(name)); err == nil { // it is included twice
		return nil
	}
	rename := renamed(c.chosen.Rewrites[name])
	var included error
	err := c.rewrite(c.root, name, c.behind(name, func(e xml.Element) []xml.Change {
		if string(e.Name) == "include" && included == nil {
			included = c.copy(path.Join(path.Dir(name), string(e.Attr("href"))), order)
		}
		return append(rename(e), c.departures.move(e, order)...)
	}))
	switch {
	case errors.Is(err, fs.ErrNotExist): // SUMO says so
		return nil
	case xml.IsMalformed(err):
		c.unmoved = append(c.unmoved, name)
		err = os.Remove(c.copyOf(name))
	}
	return errors.Join(err, included)
}

// move says what becomes of an element. order is nil where SUMO drops nothing. What SUMO drops, it drops here too; what departs outside
// the interval remains there.
func (d *departures) move(e xml.Element, order *route) []xml.Change {
	attribute := "depart"
	switch string(e.Name) {
	case "closingReroute", "closingLaneReroute":
		// What is closed at the begin may be open at a departure.
		return []xml.Change{{Attribute: "disallow", Remove: true}, {Attribute: "allow", Value: "all"}}
	case "flow", "personFlow", "containerFlow":
		attribute = "begin"
	case "vehicle", "trip", "person", "container":
	default:
		return nil
	}
	if e.Depth != 2 {
		return nil // a calibrator's
	}
	at := d.begin
	switch a, written := e.Lookup(attribute); {
	case written:
		var ok bool
		if at, ok = xml.Time(string(a.Value)); !ok {
			return nil // it departs when something happens, or SUMO refuses it
		}
	case attribute == "depart": // SUMO says so
		return nil
	}
	to := d.begin + d.step
	_, transit := e.Lookup("line")
	dropped := order != nil && order.Drops(at, transit) > 0
	switch {
	case at < d.begin, at >= d.end:
		return nil
	case dropped: // here too: it stands behind something that departs later
		to = d.begin
	}
	changes := []xml.Change{{Attribute: attribute, Value: inSeconds(to)}}
	if !dropped {
		changes = append(changes, d.rename(e, at, order)...)
	}
	if order != nil && !transit && !dropped && at > order.until {
		order.at, order.until = at, at+d.ahead
	}
	if attribute == "depart" {
		return changes
	}
	if end, ok := xml.Time(string(e.Attr("end"))); ok {
		changes = append(changes, xml.Change{Attribute: "end", Value: inSeconds(end + to - at)})
	}
	if string(e.Name) != "flow" { // SUMO makes all of a flow's persons at once
		return changes
	}
	if p, ok := e.Number("probability"); ok && p > 0 {
		changes = append(changes, xml.Change{Attribute: "probability", Value: "1"})
	}
	if bytes.HasPrefix(e.Attr("period"), []byte("exp(")) {
		changes = append(changes, xml.Change{Attribute: "period", Value: "1"})
	}
	return changes
}

// rename gives another id to what has one again, where SUMO reads it after the first has departed. It never takes the id of a flow again.
func (d *departures) rename(e xml.Element, at float64, order *route) []xml.Change {
	kind := string(e.Name)
	switch kind {
	case "flow":
		return nil
	case "trip":
		kind = "vehicle"
	}
	id := string(e.Attr("id"))
	key := maphash.String(d.seed, kind+" "+id)
	before, there := d.seen[key]
	d.seen[key] = at
	if !there || order == nil || order.at <= before {
		return nil
	}
	d.again++
	return []xml.Change{{Attribute: "id", Value: id + again + strconv.Itoa(d.again)}}
}

func inSeconds(t float64) string { return strconv.FormatFloat(t, 'f', -1, 64) }
