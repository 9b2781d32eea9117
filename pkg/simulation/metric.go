package simulation

// measure is a metric that runs can have.
type measure struct{ Name, Unit string }

// measures are all of them, in the order of a summary.
var measures = []measure{
	{"vehicles_loaded", "veh"},
	{"vehicles_inserted", "veh"},
	{"vehicles_running", "veh"},
	{"vehicles_waiting", "veh"},
	{"vehicles_finished", "veh"},
	{"teleports", "1"},
	{"collisions", "1"},
	{"emergency_stops", "1"},
	{"emergency_braking", "1"},
	{"mean_route_length", "m"},
	{"mean_speed", "m/s"},
	{"mean_travel_time", "s"},
	{"mean_waiting_time", "s"},
	{"mean_time_loss", "s"},
	{"mean_depart_delay", "s"},
	{"total_travel_time", "s"},
	{"persons_loaded", "1"},
	{"persons_finished", "1"},
	{"emissions_co2", "mg"},
	{"emissions_co", "mg"},
	{"emissions_hc", "mg"},
	{"emissions_nox", "mg"},
	{"emissions_pmx", "mg"},
	{"fuel", "mg"},
	{"electricity", "Wh"},
	{"begin", "s"},
	{"end", "s"},
	{"simulated_time", "s"},
	{"wall_time", "s"},
	{"real_time_factor", "1"},
	{"vehicle_updates_per_second", "1/s"},
}

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
	for _, m := range measures {
		if m.Name == name {
			return m.Unit
		}
	}
	return ""
}
