package run

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/xml"
)

// versionTimeout bounds asking SUMO for its version, which takes 30 ms.
const versionTimeout = 10 * time.Second

// summarise turns SUMO's outputs into numbers with units. It returns nil when there is not even one step. Means are over
// all vehicles that departed, including those still on the road.
func (r Run) summarise(chosen scenario.Config, f fate) *simulation.Summary {
	// A run that was killed has no statistics; the counts are then those of the summary's last complete step.
	stats := readTags(filepath.Join(r.Out, simulation.OutputStatistics.File()))
	step := readTags(filepath.Join(r.Out, simulation.OutputSummary.File()))
	if stats["vehicles"].Attrs == nil && step["step"].Attrs == nil {
		return nil
	}
	s := &simulation.Summary{SumoVersion: f.version, ConfigFile: chosen.Path, Warnings: f.warnings}
	if s.SumoVersion == "" {
		ctx, cancel := context.WithTimeout(context.Background(), versionTimeout)
		defer cancel()
		s.SumoVersion, _ = SUMOVersion(ctx, r.Binary) // the rest is useful without it
	}
	add := func(name, unit string, value *float64) {
		if value != nil {
			s.Metrics = append(s.Metrics, simulation.Metric{Name: name, Value: *value, Unit: unit})
		}
	}

	or := func(a, b *float64) *float64 {
		if a != nil {
			return a
		}
		return b
	}
	inserted := or(stats.number("vehicles", "inserted"), step.number("step", "inserted"))
	add("vehicles_loaded", "veh", or(stats.number("vehicles", "loaded"), step.number("step", "loaded")))
	add("vehicles_inserted", "veh", inserted)
	add("vehicles_running", "veh", or(stats.number("vehicles", "running"), step.number("step", "running")))
	add("vehicles_waiting", "veh", or(stats.number("vehicles", "waiting"), step.number("step", "waiting")))
	add("vehicles_finished", "veh", or(step.number("step", "arrived"), step.number("step", "ended")))
	add("teleports", "1", or(stats.number("teleports", "total"), step.number("step", "teleports")))
	add("collisions", "1", or(stats.number("safety", "collisions"), step.number("step", "collisions")))
	add("emergency_stops", "1", stats.number("safety", "emergencyStops"))
	add("emergency_braking", "1", stats.number("safety", "emergencyBraking"))

	if count := stats.number("vehicleTripStatistics", "count"); count != nil && *count > 0 {
		for _, mean := range []struct{ name, unit, attribute string }{
			{"mean_route_length", "m", "routeLength"},
			{"mean_speed", "m/s", "speed"},
			{"mean_travel_time", "s", "duration"},
			{"mean_waiting_time", "s", "waitingTime"},
			{"mean_time_loss", "s", "timeLoss"},
			{"mean_depart_delay", "s", "departDelay"},
			{"total_travel_time", "s", "totalTravelTime"},
		} {
			add(mean.name, mean.unit, known(stats.number("vehicleTripStatistics", mean.attribute)))
		}
	}

	trips := readTrips(filepath.Join(r.Out, simulation.OutputTripinfo.File()))
	if loaded := stats.number("persons", "loaded"); loaded != nil && *loaded > 0 {
		add("persons_loaded", "1", loaded)
		add("persons_finished", "1", &trips.personsFinished)
	}
	for _, e := range emissions {
		if total, ok := trips.emissions[e.attribute]; ok {
			add(e.metric, e.unit, &total)
		}
	}

	end := or(f.ended, &f.last.time)
	simulated, wall := *end-f.begin, f.wall.Seconds()
	add("begin", "s", &f.begin)
	add("end", "s", end)
	add("simulated_time", "s", &simulated)
	add("wall_time", "s", &wall)
	add("real_time_factor", "1", f.realTime)
	add("vehicle_updates_per_second", "1/s", f.updates)
	return s
}

// known is v, unless it is SUMO's -1 for "none".
func known(v *float64) *float64 {
	if v != nil && *v < 0 {
		return nil
	}
	return v
}

// tags holds the last element of each name.
type tags map[string]xml.Element

// wanted are the names of the elements to keep, so that a file full of others does not fill memory.
var wanted = []string{"vehicles", "teleports", "safety", "vehicleTripStatistics", "persons", "step"}

func (t tags) number(tag, name string) *float64 { return attribute(t[tag], name) }

// readTags reads what there is of a file, which may be cut off or missing.
func readTags(name string) tags {
	t := tags{}
	f, err := os.Open(name)
	if err != nil {
		return t
	}
	defer f.Close()
	_ = xml.Scan(f, func(e xml.Element) error {
		if i := slices.Index(wanted, string(e.Name)); i >= 0 {
			t[wanted[i]] = xml.Element{Attrs: keep(t[wanted[i]].Attrs, e.Attrs)}
		}
		return nil
	})
	return t
}

// keep copies attrs into the memory of to: a summary has an element for each step.
func keep(to, attrs []xml.Attr) []xml.Attr {
	to = slices.Grow(to[:0], len(attrs))[:len(attrs)]
	for i, a := range attrs {
		to[i].Name, to[i].Value = append(to[i].Name[:0], a.Name...), append(to[i].Value[:0], a.Value...)
	}
	return to
}

// emissions are the totals that tripinfo has when the emissions device is on.
var emissions = []struct{ attribute, metric, unit string }{
	{"CO2_abs", "emissions_co2", "mg"},
	{"CO_abs", "emissions_co", "mg"},
	{"HC_abs", "emissions_hc", "mg"},
	{"NOx_abs", "emissions_nox", "mg"},
	{"PMx_abs", "emissions_pmx", "mg"},
	{"fuel_abs", "fuel", "mg"},
	{"electricity_abs", "electricity", "Wh"},
}

// trips are sums over tripinfo.xml.
type trips struct {
	personsFinished float64
	emissions       map[string]float64 // by attribute; empty without the device
}

func readTrips(name string) trips {
	t := trips{emissions: map[string]float64{}}
	f, err := os.Open(name)
	if err != nil {
		return t
	}
	defer f.Close()
	var arrival *float64 // of a person's latest stage
	s := xml.Scanner{
		Element: func(e xml.Element) error {
			switch string(e.Name) {
			case "emissions":
				for _, of := range emissions {
					if v := attribute(e, of.attribute); v != nil {
						t.emissions[of.attribute] += *v
					}
				}
			case "personinfo":
				arrival = nil
			case "walk", "ride", "access", "stop", "tranship":
				arrival = attribute(e, "arrival")
			}
			return nil
		},
		End: func(name []byte) {
			if string(name) == "personinfo" && known(arrival) != nil {
				t.personsFinished++
			}
		},
	}
	_ = s.Scan(f) // a file that is cut off counts as far as it goes
	return t
}
