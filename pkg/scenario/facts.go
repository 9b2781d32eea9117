package scenario

import (
	"math"

	"github.com/sumo-k8/sumo-k8/pkg/sumo/xml"
)

// Network is the size of a configuration's road network. What SUMO generates (roads inside junctions, crossings,
// walking areas) is not counted.
type Network struct {
	Edges         int `json:"edges" doc:"Roads in one direction each; those inside junctions, crossings and walking areas are not counted."`
	Lanes         int `json:"lanes" doc:"Lanes of these edges."`
	Junctions     int `json:"junctions" doc:"Junctions and dead ends."`
	TrafficLights int `json:"traffic_lights" doc:"Signal controllers; one may control several junctions."`
	// The two lengths differ by the number of lanes: a road of 1 km with three lanes is 1 km of edge and 3 km of lane.
	EdgeLengthKm float64 `json:"edge_length_km" doc:"Length of the edges: a road with traffic in both directions counts twice, however many lanes it has."`
	LaneLengthKm float64 `json:"lane_length_km" doc:"Length of the lanes: an edge with three lanes counts three times."`
}

// Demand is what departs according to a configuration's files. The simulated interval and the scale, which belong to the
// run, are not applied.
type Demand struct {
	Vehicles    int `json:"vehicles" doc:"Single vehicles (<vehicle> and <trip>)."`
	Flows       int `json:"flows" doc:"Vehicle flows (<flow>); each generates many vehicles."`
	Persons     int `json:"persons" doc:"Single persons (<person>)."`
	PersonFlows int `json:"person_flows" doc:"Flows of persons (<personFlow>)."`
	// FirstDeparture and LastDeparture are nil when no departure has a time in the files.
	FirstDeparture *float64 `json:"first_departure" doc:"Seconds of simulated time; null when the files give no time."`
	LastDeparture  *float64 `json:"last_departure" doc:"Seconds of simulated time: the last departure, or the end of the last flow."`
}

// roads counts a network's elements as they are read.
type roads struct {
	Network
	// Lengths in metres, as the file has them.
	edgeMetres, laneMetres float64
	inside                 bool // an edge that counts
	measured               bool // the edge's length is known
	light                  string
}

func (r *roads) element(e xml.Element) {
	if e.Depth > 3 {
		return
	}
	switch string(e.Name) {
	case "edge":
		if e.Depth != 2 {
			return
		}
		switch string(e.Attr("function")) {
		case "internal", "crossing", "walkingarea":
			r.inside = false
		default:
			r.inside, r.measured = true, false
			r.Edges++
		}
	case "lane":
		if e.Depth != 3 || !r.inside {
			return
		}
		r.Lanes++
		metres, ok := e.Number("length")
		if !ok || metres < 0 || metres >= maxLaneLength {
			return
		}
		r.laneMetres += metres
		if !r.measured { // all lanes of an edge have the same length
			r.edgeMetres += metres
			r.measured = true
		}
	case "junction":
		if e.Depth == 2 && string(e.Attr("type")) != "internal" {
			r.Junctions++
		}
	case "tlLogic":
		// netconvert writes the programs of one light next to each other.
		if id := e.Attr("id"); e.Depth == 2 && (r.TrafficLights == 0 || string(id) != r.light) {
			r.TrafficLights++
			r.light = string(id)
		}
	}
}

// maxLaneLength in metres is once around the Earth.
const maxLaneLength = 4e7

// departing counts the demand of a file as it is read, without pointers, which would cost an allocation per vehicle.
type departing struct {
	Demand
	timed       bool // first and last are known
	untimed     bool // something departs on an event, such as a person's arrival, or by a calibrator
	open        bool // a flow has no end of its own
	first, last float64
}

// count takes in an element of the demand.
func (d *departing) count(element string) {
	switch element {
	case "vehicle", "trip":
		d.Vehicles++
	case "flow":
		d.Flows++
	case "person":
		d.Persons++
	case "personFlow":
		d.PersonFlows++
	}
}

// span takes in the seconds at which an element departs, from its first to its last.
func (d *departing) span(first, last float64) {
	if !d.timed {
		d.timed, d.first, d.last = true, first, last
		return
	}
	d.first, d.last = min(d.first, first), max(d.last, last)
}

func (d *departing) add(o departing) {
	d.Vehicles, d.Flows = d.Vehicles+o.Vehicles, d.Flows+o.Flows
	d.Persons, d.PersonFlows = d.Persons+o.Persons, d.PersonFlows+o.PersonFlows
	d.untimed, d.open = d.untimed || o.untimed, d.open || o.open
	if o.timed {
		d.span(o.first, o.last)
	}
}

// facts adds up the files that the configuration leads to.
func (r *judgement) facts() (network roads, demand departing) {
	for name := range r.visited {
		doc := r.inspection.files[name].doc
		switch {
		case doc.root == "net":
			n := doc.roads
			network.Edges, network.Lanes = network.Edges+n.Edges, network.Lanes+n.Lanes
			network.Junctions, network.TrafficLights = network.Junctions+n.Junctions, network.TrafficLights+n.TrafficLights
			network.edgeMetres, network.laneMetres = network.edgeMetres+n.edgeMetres, network.laneMetres+n.laneMetres
		case !strangers[doc.root]:
			demand.add(doc.demand)
		}
	}
	network.EdgeLengthKm, network.LaneLengthKm = kilometres(network.edgeMetres), kilometres(network.laneMetres)
	if demand.timed {
		demand.FirstDeparture, demand.LastDeparture = &demand.first, &demand.last
	}
	return network, demand
}

// kilometres rounds to the metre.
func kilometres(metres float64) float64 { return math.Round(metres) / 1000 }
