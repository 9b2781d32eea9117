package simulation

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Class is a metric by class of vehicle: what Base is over the vehicles of one vType or vClass only.
type Class struct {
	Base             string // name of a metric that trips give
	Attribute, Value string // "vClass", "bus"
}

// Attributes by which vehicles are told apart.
const (
	ByType  = "vType"
	ByClass = "vClass"
)

// tripMetrics are the metrics that trips give.
var tripMetrics = []string{
	"vehicles_finished", "mean_route_length", "mean_speed", "mean_travel_time", "mean_waiting_time", "mean_time_loss", "mean_depart_delay",
}

// TripMetrics are the metrics that can be asked for by class.
func TripMetrics() []string { return slices.Clone(tripMetrics) }

// vehicleClasses are SUMO's, in the order of its documentation.
var vehicleClasses = []string{
	"passenger", "private", "emergency", "authority", "army", "vip", "hov", "taxi", "bus", "coach", "delivery", "truck",
	"trailer", "motorcycle", "moped", "bicycle", "pedestrian", "wheelchair", "scooter", "evehicle", "tram", "rail_urban",
	"rail", "rail_electric", "rail_fast", "subway", "cable_car", "ship", "container", "aircraft", "drone", "custom1",
	"custom2", "ignoring",
}

// maxType bounds the id of a vType in the name of a metric, in bytes.
const maxType = 200

// ClassOf reads the name of a metric by class, such as mean_time_loss@vClass=bus; ok is false if it is none.
func ClassOf(name string) (c Class, ok bool) {
	base, of, found := strings.Cut(name, "@")
	attribute, value, complete := strings.Cut(of, "=")
	c = Class{Base: base, Attribute: attribute, Value: value}
	switch {
	case !found || !complete || !slices.Contains(tripMetrics, base):
		return Class{}, false
	case attribute == ByClass:
		return c, slices.Contains(vehicleClasses, value)
	case attribute == ByType:
		return c, value != "" && len(value) <= maxType && utf8.ValidString(value) && !strings.ContainsFunc(value, unicode.IsControl)
	}
	return Class{}, false
}

// ClassFault says what is wrong with the name of a metric by class, as the end of a sentence about it; empty if nothing is, or if it does
// not look like one.
func ClassFault(name string) string {
	base, of, found := strings.Cut(name, "@")
	_, fine := ClassOf(name)
	attribute, value, _ := strings.Cut(of, "=")
	switch {
	case !found || fine:
		return ""
	case !slices.Contains(tripMetrics, base):
		return "cannot be had by class of vehicle; those that can are " + strings.Join(TripMetrics(), ", ")
	case attribute == ByClass && value != "":
		return "names no vClass of SUMO; there are " + strings.Join(vehicleClasses, ", ")
	}
	return "names no class; write METRIC@vClass=bus, or METRIC@vType= and the id of a vType"
}
