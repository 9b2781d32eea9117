package run

import (
	"errors"
	"fmt"
	"strings"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// unwritten is a remark on the outputs that the run lacks because of their format.
func (r Run) unwritten(s settings) []string {
	if s.addable() {
		return nil
	}
	var names []string
	for _, o := range simulation.Outputs() {
		if r.lacks(s, o) {
			names = append(names, string(o))
		}
	}
	if len(names) == 0 {
		return nil
	}
	return []string{"Not written, because output.format is parquet and the scenario does not ask for them itself: " +
		strings.Join(names, ", ") + ". Without output.format they are XML, and the scenario's names that end in .parquet keep their format."}
}

// withoutStop is what err says to a person, as the end of a sentence.
func withoutStop(err error) string {
	why := err.Error()
	if p, ok := errors.AsType[*problem.Error](err); ok {
		why = p.Detail
	}
	return strings.TrimSuffix(why, ".")
}

// unfinishedShare is the part of a run's vehicles still on the road at its end from which on means mislead.
const unfinishedShare = 0.05

// remarks are what a person should know of a run that plain SUMO would report as a success.
func (f fate) remarks(s settings, summary *simulation.Summary) []string {
	var warnings []string
	if f.dropped > 0 {
		warnings = append(warnings, f.unsorted())
	}
	if f.code == 0 && f.signal == 0 && len(f.errors) > 0 {
		warnings = append(warnings, "SUMO reported errors and went on without what they name: "+strings.Join(f.errors, " "))
	}
	if f.code != 0 || f.signal != 0 || f.reason != reasonEnd && f.reason != reasonNoVehicles {
		return warnings // the rest is about whole runs
	}
	number := func(name string) float64 { v, _ := summary.Metric(name); return v }
	inserted, running := number("vehicles_inserted"), number("vehicles_running")
	if inserted == 0 && number("persons_loaded") == 0 {
		return append(warnings, "No vehicle was simulated: "+f.whyNone(s, number("vehicles_loaded"), number("vehicles_waiting")))
	}
	if share := running / inserted; running > unfinishedShare*inserted {
		means := "Means are over finished trips only, which makes a congested run look better than it is: " +
			"let it run longer, or count these trips with unfinished_trips."
		if s.unfinished {
			means = "Means include their unfinished trips: let it run longer to compare whole trips."
		}
		warnings = append(warnings, fmt.Sprintf("%.0f of %.0f vehicles (%.0f %%) were still on the road at the end. %s",
			running, inserted, 100*share, means))
	}
	return warnings
}

// whyNone says why no vehicle was simulated, as the rest of a sentence.
func (f fate) whyNone(s settings, loaded, waiting float64) string {
	interval := "from " + clock(f.begin) + " on"
	if s.end != nil {
		interval = "between " + clock(s.begin) + " and " + clock(*s.end)
	}
	switch {
	case waiting > 0:
		return fmt.Sprintf("%.0f were still waiting to depart at the end. Check their departure lanes, speeds and positions, "+
			"and max-num-vehicles.", waiting)
	case f.dropped > 0:
		return "SUMO dropped those of files that are not sorted by departure time."
	case loaded > 0:
		return fmt.Sprintf("of %.0f loaded, none departs %s. Check begin, end and scale.", loaded, interval)
	}
	return "none departs " + interval + ". Check begin, end and the route files."
}

func clock(seconds float64) string { return fmt.Sprintf("%g s", seconds) }

// unsorted says what SUMO dropped because of its order, and what to do about it.
func (f fate) unsorted() string {
	return fmt.Sprintf("SUMO dropped departures that stand in a route file behind a later one (%d): sort the file, for instance with SUMO's "+
		"tools/route/sort_routes.py, or let SUMO load whole files first with <route-steps value=\"0\"/>. SUMO said: %s",
		f.dropped, strings.Join(f.ignored, " "))
}
