package run

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/gz"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/xml"
)

// versionTimeout bounds asking SUMO for its version, which takes 30 ms.
const versionTimeout = 10 * time.Second

// summarise turns SUMO's outputs, which have these names, into numbers with units. It returns nil when there is not even one step.
// Means are over the trips that tripinfo has: those finished and, with unfinished_trips, all that departed. A note says which number is not
// what its name promises.
func (r Run) summarise(chosen scenario.Config, f fate, files map[simulation.Output]string) (s *simulation.Summary, note string) {
	// A run that was killed has no statistics, and prints none; the counts are then those of the summary's last complete step.
	// Where the scenario has its outputs in a format that is not read here, numbers are those that SUMO prints.
	stats := readStatistics(r.Out, files[simulation.OutputStatistics])
	step := readLastStep(r.Out, files[simulation.OutputSummary])
	if stats["vehicles"].Attrs == nil && step["step"].Attrs == nil && f.counts.inserted == nil {
		return nil, ""
	}
	s = &simulation.Summary{SumoVersion: f.version, ConfigFile: chosen.Path, Warnings: f.warnings}
	if s.SumoVersion == "" {
		ctx, cancel := context.WithTimeout(context.Background(), versionTimeout)
		defer cancel()
		s.SumoVersion, _ = SUMOVersion(ctx, r.Binary) // the rest is useful without it
	}
	add := func(name string, value *float64) {
		if value != nil {
			s.Metrics = append(s.Metrics, simulation.Metric{Name: name, Value: *value, Unit: simulation.UnitOf(name)})
		}
	}

	inserted := cmp.Or(stats.number("vehicles", "inserted"), f.counts.inserted, step.number("step", "inserted"))
	running := cmp.Or(stats.number("vehicles", "running"), f.counts.running, step.number("step", "running"))
	add("vehicles_loaded", cmp.Or(stats.number("vehicles", "loaded"), f.counts.loaded, step.number("step", "loaded")))
	add("vehicles_inserted", inserted)
	add("vehicles_running", running)
	add("vehicles_waiting", cmp.Or(stats.number("vehicles", "waiting"), f.counts.waiting, step.number("step", "waiting")))
	add("vehicles_finished", finished(inserted, running, step))
	add("teleports", cmp.Or(stats.number("teleports", "total"), f.counts.teleports, step.number("step", "teleports")))
	add("collisions", cmp.Or(stats.number("safety", "collisions"), f.counts.collisions, step.number("step", "collisions")))
	stops, braking := stats.number("safety", "emergencyStops"), stats.number("safety", "emergencyBraking")
	if stats["safety"].Attrs == nil { // an old SUMO neither counts nor prints all of them
		stops, braking = f.counts.emergencyStops, f.counts.emergencyBraking
	}
	add("emergency_stops", stops)
	add("emergency_braking", braking)

	if count := stats.number("vehicleTripStatistics", "count"); count == nil || *count > 0 {
		for _, mean := range []struct{ name, attribute string }{
			{"mean_route_length", "routeLength"},
			{"mean_speed", "speed"},
			{"mean_travel_time", "duration"},
			{"mean_waiting_time", "waitingTime"},
			{"mean_time_loss", "timeLoss"},
			{"mean_depart_delay", "departDelay"},
			{"total_travel_time", "totalTravelTime"},
		} {
			add(mean.name, notNone(cmp.Or(stats.number("vehicleTripStatistics", mean.attribute), f.counts.means[mean.attribute])))
		}
	}

	loaded := cmp.Or(stats.number("persons", "loaded"), f.counts.persons)
	persons := loaded != nil && *loaded > 0
	apart := files[simulation.OutputPersoninfo]
	totals, err := readTrips(r.Out, files[simulation.OutputTripinfo], persons && apart == "")
	// The totals of a killed run are those of its part. Where SUMO reached its end, a total of a part would pass for the whole.
	known := func(err error) bool { return err == nil || f.ended == nil }
	if persons {
		add("persons_loaded", loaded)
		of, fault := totals, err
		if apart != "" {
			of, fault = readTrips(r.Out, apart, true)
		}
		if known(fault) {
			add("persons_finished", &of.personsFinished)
		}
	}
	for _, e := range emissions {
		if total, ok := totals.emissions[e.attribute]; ok && known(err) {
			add(e.metric, &total)
		}
	}

	end := cmp.Or(f.ended, &f.last.time)
	simulated, wall := *end-f.begin, f.wall.Seconds()
	add("begin", &f.begin)
	add("end", end)
	add("simulated_time", &simulated)
	add("wall_time", &wall)
	add("real_time_factor", f.realTime)
	add("vehicle_updates_per_second", f.updates)
	if err == nil { // else the last trip may be cut off before its emissions
		note = totals.partly()
	}
	return s, note
}

// finished is how many vehicles have arrived. The summary's last step can be minutes before the end (summary-output.period), or be missing;
// those that left the road since have arrived, for all that is known. "ended" is no help: it counts vehicles that SUMO discarded before
// they departed, as it does where scale or max-depart-delay leaves some out.
func finished(inserted, running *float64, step tags) *float64 {
	arrived := step.number("step", "arrived")
	left, leftBefore := difference(inserted, running), difference(step.number("step", "inserted"), step.number("step", "running"))
	if since := difference(left, leftBefore); arrived != nil && since != nil {
		n := *arrived + *since
		return &n
	}
	return cmp.Or(left, arrived, step.number("step", "ended"))
}

func difference(a, b *float64) *float64 {
	if a == nil || b == nil {
		return nil
	}
	d := *a - *b
	return &d
}

// notNone is v, unless it is SUMO's -1 for "none".
func notNone(v *float64) *float64 {
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

// errNotXML is of an output that is not there, or has a format that is not read here.
var errNotXML = errors.New("not XML")

// openOutput opens an output below folder, which may be compressed. It fails for one that is not XML, as CSV and Parquet are not.
func openOutput(folder, name string) (plain *bufio.Reader, f *os.File, err error) {
	if name == "" {
		return nil, nil, errNotXML
	}
	if f, err = os.Open(filepath.Join(folder, name)); err != nil {
		return nil, nil, err
	}
	if plain, err = gz.Unpack(f); err == nil {
		if first, _ := plain.Peek(1); string(first) != "<" {
			err = errNotXML
		}
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return plain, f, nil
}

// readTags reads what there is of an output, which may be cut off or missing.
func readTags(folder, name string) tags {
	t := tags{}
	plain, f, err := openOutput(folder, name)
	if err != nil {
		return t
	}
	defer f.Close()
	t.scan(plain)
	return t
}

// lastSteps is as much of the end of summary.xml as holds several steps, in bytes.
const lastSteps = 16 << 10

// readLastStep reads the last whole step of the summary output, which may be cut off or missing. A day has a hundred thousand of them,
// so of a file that is not compressed only the end is read.
func readLastStep(folder, name string) tags {
	t := tags{}
	plain, f, err := openOutput(folder, name)
	if err != nil {
		return t
	}
	defer f.Close()
	if strings.HasSuffix(name, ".gz") {
		t.scan(plain)
		return t
	}
	info, err := f.Stat()
	if err != nil {
		return t
	}
	end := make([]byte, min(lastSteps, info.Size()))
	if _, err := f.ReadAt(end, info.Size()-int64(len(end))); err != nil && !errors.Is(err, io.EOF) {
		return t
	}
	first := bytes.Index(end, []byte("<step "))
	if first < 0 { // trips in the same file can follow the steps
		t.scan(plain)
		return t
	}
	t.scan(io.MultiReader(strings.NewReader("<summary>"), bytes.NewReader(end[first:])))
	return t
}

// scan keeps the wanted elements of a file that may be cut off.
func (t tags) scan(f io.Reader) {
	s := xml.Scanner{MaxValue: maxNumber, Lenient: true, Element: func(e xml.Element) error {
		if i := slices.Index(wanted, string(e.Name)); i >= 0 {
			t[wanted[i]] = xml.Element{Attrs: keep(t[wanted[i]].Attrs, e.Attrs)}
		}
		return nil
	}}
	_ = s.Scan(f) // what there is counts
}

// keep copies attrs into the memory of to: a summary has an element for each step.
func keep(to, attrs []xml.Attr) []xml.Attr {
	to = slices.Grow(to[:0], len(attrs))[:len(attrs)]
	for i, a := range attrs {
		to[i].Name, to[i].Value, to[i].Cut = append(to[i].Name[:0], a.Name...), append(to[i].Value[:0], a.Value...), a.Cut
	}
	return to
}

// emissions are the totals that tripinfo has when the emissions device is on.
var emissions = []struct{ attribute, metric string }{
	{"CO2_abs", "emissions_co2"},
	{"CO_abs", "emissions_co"},
	{"HC_abs", "emissions_hc"},
	{"NOx_abs", "emissions_nox"},
	{"PMx_abs", "emissions_pmx"},
	{"fuel_abs", "fuel"},
	{"electricity_abs", "electricity"},
}

// trips are sums over the tripinfo output.
type trips struct {
	personsFinished float64
	emissions       map[string]float64 // by attribute; empty without the device
	trips, equipped int                // all, and those with the device; 0 where no emissions are looked for or found
}

// partly says whose emissions are counted, where it is not every trip's.
func (t trips) partly() string {
	if t.equipped == 0 || t.equipped == t.trips {
		return ""
	}
	return fmt.Sprintf("Emissions, fuel and electricity are those of %d of %d trips: the scenario gives the emissions device to these only. "+
		"With device.emissions.probability 1 they are those of all.", t.equipped, t.trips)
}

// readTrips reads the tripinfo output, which is searched for persons only if there are any. With an error the sums are of what precedes
// the fault.
func readTrips(folder, name string, persons bool) (trips, error) {
	t := trips{emissions: map[string]float64{}}
	plain, f, err := openOutput(folder, name)
	if err != nil {
		return t, err
	}
	defer f.Close()
	if !persons {
		// Most runs have no emissions either, and a search is many times as fast as a scan.
		found, err := contains(plain, "<emissions ")
		if err != nil || !found {
			return t, err
		}
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return t, err
		}
		if plain, err = gz.Unpack(f); err != nil {
			return t, err
		}
	}
	var arrival *float64 // of a person's latest stage
	s := xml.Scanner{
		MaxValue: maxNumber, Lenient: true,
		Element: func(e xml.Element) error {
			switch string(e.Name) {
			case "tripinfo":
				t.trips++
			case "emissions":
				t.equipped++
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
			if string(name) == "personinfo" && notNone(arrival) != nil {
				t.personsFinished++
			}
		},
	}
	return t, s.Scan(plain)
}

// contains reports whether word occurs in what r reads.
func contains(r io.Reader, word string) (bool, error) {
	buf := make([]byte, copyBuffer)
	kept := 0 // bytes at the beginning that may begin word
	for {
		n, err := r.Read(buf[kept:])
		if bytes.Contains(buf[:kept+n], []byte(word)) {
			return true, nil
		}
		if errors.Is(err, io.EOF) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		kept = copy(buf, buf[max(0, kept+n-len(word)+1):kept+n])
	}
}
