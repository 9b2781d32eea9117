package simulation

import "strings"

// Direction says which way of a metric is good for traffic.
type Direction string

// The directions.
const (
	LowerIsBetter  Direction = "lower"
	HigherIsBetter Direction = "higher"
	NoDirection    Direction = "" // neither way is good in itself
)

// Measure is a number that runs can have.
type Measure struct {
	Name, Unit string
	Better     Direction
	// OfTheRun describe the run or the machine rather than traffic.
	OfTheRun bool
}

// measures are all of them, in the order of a summary.
var measures = []Measure{
	{Name: "vehicles_loaded", Unit: "veh"},
	{Name: "vehicles_inserted", Unit: "veh", Better: HigherIsBetter},
	{Name: "vehicles_running", Unit: "veh", Better: LowerIsBetter},
	{Name: "vehicles_waiting", Unit: "veh", Better: LowerIsBetter},
	{Name: "vehicles_finished", Unit: "veh", Better: HigherIsBetter},
	{Name: "teleports", Unit: "1", Better: LowerIsBetter},
	{Name: "collisions", Unit: "1", Better: LowerIsBetter},
	{Name: "emergency_stops", Unit: "1", Better: LowerIsBetter},
	{Name: "emergency_braking", Unit: "1", Better: LowerIsBetter},
	{Name: "mean_route_length", Unit: "m"},
	{Name: "mean_speed", Unit: "m/s", Better: HigherIsBetter},
	{Name: "mean_travel_time", Unit: "s", Better: LowerIsBetter},
	{Name: "mean_waiting_time", Unit: "s", Better: LowerIsBetter},
	{Name: "mean_time_loss", Unit: "s", Better: LowerIsBetter},
	{Name: "mean_depart_delay", Unit: "s", Better: LowerIsBetter},
	{Name: "total_travel_time", Unit: "s", Better: LowerIsBetter},
	{Name: "persons_loaded", Unit: "1"},
	{Name: "persons_finished", Unit: "1", Better: HigherIsBetter},
	{Name: "emissions_co2", Unit: "mg", Better: LowerIsBetter},
	{Name: "emissions_co", Unit: "mg", Better: LowerIsBetter},
	{Name: "emissions_hc", Unit: "mg", Better: LowerIsBetter},
	{Name: "emissions_nox", Unit: "mg", Better: LowerIsBetter},
	{Name: "emissions_pmx", Unit: "mg", Better: LowerIsBetter},
	{Name: "fuel", Unit: "mg", Better: LowerIsBetter},
	{Name: "electricity", Unit: "Wh", Better: LowerIsBetter},
	{Name: "begin", Unit: "s", OfTheRun: true},
	{Name: "end", Unit: "s", OfTheRun: true},
	{Name: "simulated_time", Unit: "s", OfTheRun: true},
	{Name: "wall_time", Unit: "s", OfTheRun: true},
	{Name: "real_time_factor", Unit: "1", OfTheRun: true},
	{Name: "vehicle_updates_per_second", Unit: "1/s", OfTheRun: true},
}

// MeasureOf is the metric called name, which may be one by class.
func MeasureOf(name string) (m Measure, ok bool) {
	base := name
	if c, by := ClassOf(name); by {
		base = c.Base
	}
	for _, m := range measures {
		if m.Name == base {
			m.Name = name
			return m, true
		}
	}
	return Measure{}, false
}

// Words are the metric's name for people: "Mean time loss", "Mean time loss (vClass bus)".
func (m Measure) Words() string {
	base, suffix := m.Name, ""
	if c, by := ClassOf(m.Name); by {
		base, suffix = c.Base, " ("+c.Attribute+" "+c.Value+")"
	}
	words := strings.ReplaceAll(base, "_", " ")
	return strings.ToUpper(words[:1]) + words[1:] + suffix
}

// OfEmissions reports whether a metric is a total over the trips of vehicles with the emissions device.
func OfEmissions(name string) bool {
	return strings.HasPrefix(name, "emissions_") || name == "fuel" || name == "electricity"
}

// OfPersons reports whether a metric counts persons, which runs without any do not have.
func OfPersons(name string) bool { return strings.HasPrefix(name, "persons_") }

// MetricNames are the names of all metrics that a run can have, in the order of a summary. A study keeps their values in this order.
func MetricNames() []string {
	names := make([]string, len(measures))
	for i, m := range measures {
		names[i] = m.Name
	}
	return names
}

// UnitOf is the unit of the metric called name; empty if there is none of that name.
func UnitOf(name string) string {
	m, _ := MeasureOf(name)
	return m.Unit
}
