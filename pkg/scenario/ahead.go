package scenario

import (
	"bytes"
	"math"
	"strings"

	"github.com/sumo-k8/sumo-k8/pkg/sumo/xml"
)

// taken are the departures of a route file that SUMO takes, as far as the file has been read. SUMO begins with the first after the begin.
// Whenever simulated time reaches the latest departure that it has taken, it reads on, to the first that is more than route-steps later
// (SUMORouteLoaderControl::loadNext in its sources).
type taken struct {
	last    [16]int64 // the latest, each once, in milliseconds and in order
	n       int
	dropped bool // there are earlier ones
	maybe   bool // SUMO may have taken later ones,
	loose   bool // or others between them
}

func (t *taken) add(depart int64) {
	switch {
	case t.n > 0 && depart <= t.last[t.n-1]:
		return
	case t.n == len(t.last):
		copy(t.last[:], t.last[1:])
		t.n--
		t.dropped = true
	}
	t.last[t.n] = depart
	t.n++
	t.loose = t.loose || t.maybe
}

// until returns a time, in seconds, up to which a run may go on without reading past these departures, if it begins before. ahead is
// route-steps in seconds, alone says that there is no other route file. ok is false where every run reads on.
func (t *taken) until(ahead float64, alone bool) (seconds float64, ok bool) {
	if t.n == 0 {
		return 0, false
	}
	until := t.last[t.n-1] - int64(math.Round(ahead*1000))
	if alone && !t.loose && (!t.dropped || t.last[0] <= until) {
		for _, depart := range t.last[:t.n] {
			if depart >= until && depart > 0 { // no run begins before 0
				until = depart
				break
			}
		}
	}
	return float64(until) / 1000, true
}

// opened is an element whose departure SUMO takes when it has ended.
type opened struct {
	name   []byte // empty for none
	depart int64
}

// ended is called for each end of an element.
func (d *documentReader) ended(name []byte) {
	if len(d.opened.name) > 0 && bytes.Equal(d.opened.name, name) {
		d.doc.departs.taken.add(d.opened.depart)
		d.opened.name = d.opened.name[:0]
	}
}

// rates are the attributes that say how many vehicles a flow has.
var rates = []string{"number", "probability", "vehsPerHour", "perHour", "period"}

// flows reports whether SUMO surely takes the begin of a flow for a departure, which it does not of one without vehicles. An end that the
// flow does not have is the run's.
func flows(e xml.Element, begin int64) bool {
	if string(e.Name) != "flow" {
		return true
	}
	end, ok := xml.Time(string(e.Attr("end")))
	if !ok || int64(math.Round(end*1000)) <= begin {
		return false
	}
	found := 0
	for _, name := range rates {
		if a, ok := e.Lookup(name); ok {
			text := strings.TrimSuffix(strings.TrimPrefix(string(a.Value), "exp("), ")")
			if rate, ok := xml.Float(text); !ok || rate <= 0 {
				return false
			}
			found++
		}
	}
	return found == 1
}
