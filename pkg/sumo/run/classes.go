package run

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/gz"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/outputs"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/xml"
)

// passenger is the vClass of a vType that names none, and defaultClasses are those of SUMO's own vTypes. Their names never change.
const passenger = "passenger"

var defaultClasses = map[string]string{
	"DEFAULT_VEHTYPE": passenger, "DEFAULT_PEDTYPE": "pedestrian", "DEFAULT_BIKETYPE": "bicycle", "DEFAULT_TAXITYPE": "taxi",
	"DEFAULT_RAILTYPE": "rail", "DEFAULT_CONTAINERTYPE": "container",
}

// tripSums are sums over the trips of one vType.
type tripSums struct {
	trips, finished                                       float64
	length, speed, duration, waiting, timeLoss, departure float64
}

func (t *tripSums) add(o tripSums) {
	t.trips += o.trips
	t.finished += o.finished
	t.length += o.length
	t.speed += o.speed
	t.duration += o.duration
	t.waiting += o.waiting
	t.timeLoss += o.timeLoss
	t.departure += o.departure
}

// metric is one of simulation.TripMetrics. Without a trip there is no mean.
func (t tripSums) metric(name string) (v float64, ok bool) {
	switch name {
	case "vehicles_finished":
		return t.finished, true
	case "mean_route_length":
		v = t.length
	case "mean_speed":
		v = t.speed
	case "mean_travel_time":
		v = t.duration
	case "mean_waiting_time":
		v = t.waiting
	case "mean_time_loss":
		v = t.timeLoss
	case "mean_depart_delay":
		v = t.departure
	}
	return v / t.trips, t.trips > 0
}

// maxTypes bounds the vTypes of a run, and maxTypeNames their names, in bytes: more are no classes.
const (
	maxTypes     = 100_000
	maxTypeNames = 16 << 20
)

// byClass adds the metrics by class of vehicle that the run was asked for to its summary. They are over the trips of the tripinfo output,
// as SUMO's own means are: those finished and, with unfinished_trips, all that departed. It returns a warning if they cannot be had.
func (r Run) byClass(chosen scenario.Config, summary *simulation.Summary, tripinfo string) (warning string) {
	if len(r.Options.Metrics) == 0 || summary == nil {
		return ""
	}
	types, err := readTypes(r.Out, tripinfo)
	var classes map[string]string
	if err == nil && slices.ContainsFunc(r.Options.Metrics, func(name string) bool {
		c, _ := simulation.ClassOf(name)
		return c.Attribute == simulation.ByClass
	}) {
		classes, err = r.classesOf(chosen, types)
	}
	switch {
	case errors.Is(err, errNotXML):
		return "There are no metrics by class of vehicle: they take a tripinfo output in XML. Leave out the option output.format, and let the " +
			"file's name end in .xml or .xml.gz."
	case err != nil:
		return fmt.Sprintf("There are no metrics by class of vehicle: %v.", err)
	}
	for _, name := range r.Options.Metrics {
		c, ok := simulation.ClassOf(name)
		if !ok {
			continue
		}
		var sums tripSums
		for _, vType := range slices.Sorted(maps.Keys(types)) {
			if c.Attribute == simulation.ByType && vType == c.Value || c.Attribute == simulation.ByClass && classes[vType] == c.Value {
				sums.add(*types[vType])
			}
		}
		if v, ok := sums.metric(c.Base); ok {
			summary.Metrics = append(summary.Metrics, simulation.Metric{Name: name, Value: v, Unit: simulation.UnitOf(name)})
		}
	}
	return ""
}

// readTypes sums the trips of a tripinfo output by vType.
func readTypes(folder, name string) (map[string]*tripSums, error) {
	plain, f, err := openOutput(folder, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	types, names := map[string]*tripSums{}, 0
	s := xml.Scanner{Lenient: true, Element: func(e xml.Element) error {
		if string(e.Name) != "tripinfo" {
			return nil
		}
		number := func(name string) float64 {
			v, _ := e.Number(name)
			return v
		}
		if !outputs.Departed(e) {
			return nil
		}
		vType := e.Attr("vType")
		t := types[string(vType)]
		if t == nil {
			if names += len(vType); len(types) == maxTypes || names > maxTypeNames {
				return fmt.Errorf("there are more than %d types of vehicles, or their names take more than %d MiB", maxTypes, maxTypeNames>>20)
			}
			t = &tripSums{}
			types[string(vType)] = t
		}
		one := tripSums{
			trips: 1, length: number("routeLength"), duration: number("duration"), waiting: number("waitingTime"),
			timeLoss: number("timeLoss"), departure: number("departDelay"),
		}
		if number("arrival") >= 0 {
			one.finished = 1
		}
		if one.duration > 0 {
			one.speed = one.length / one.duration
		}
		t.add(one)
		return nil
	}}
	return types, s.Scan(plain)
}

// errAllKnown ends a search that has found everything.
var errAllKnown = errors.New("all vTypes are known")

// classesOf are the vClasses of vTypes: from the files that SUMO has read, with the values that the study sets in them.
func (r Run) classesOf(chosen scenario.Config, types map[string]*tripSums) (map[string]string, error) {
	unknown := map[string]bool{}
	for vType := range types {
		unknown[vType] = true
	}
	found := map[string]string{}
	err := r.scanReads(chosen, func(e xml.Element) error {
		id := e.Attr("id")
		if string(e.Name) != "vType" || !unknown[string(id)] {
			return nil
		}
		found[string(id)] = classOf(e)
		delete(unknown, string(id))
		if len(unknown) == 0 {
			return errAllKnown
		}
		return nil
	})
	if err != nil && !errors.Is(err, errAllKnown) {
		return nil, err
	}
	for _, vType := range slices.Sorted(maps.Keys(unknown)) {
		class, ok := defaultClasses[vType]
		if !ok {
			return nil, fmt.Errorf("no file of the scenario says which vClass the vType %.100q has", vType)
		}
		found[vType] = class
	}
	return found, nil
}

// classOf is the vClass of a vType.
func classOf(vType xml.Element) string {
	if vClass, ok := vType.Lookup("vClass"); ok {
		return string(vClass.Value)
	}
	return passenger
}

// scanReads calls visit for each element of the files that SUMO reads, with the values that the study sets in them, until that fails. Files
// that are no XML are passed over.
func (r Run) scanReads(chosen scenario.Config, visit func(xml.Element) error) error {
	for _, name := range chosen.Reads {
		f, err := os.Open(filepath.Join(r.Work, runFolder, filepath.FromSlash(name)))
		if err == nil {
			var plain *bufio.Reader
			if plain, err = gz.Unpack(f); err == nil {
				s := xml.Scanner{Lenient: true, Element: visit}
				err = s.Scan(plain)
			}
			f.Close()
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !xml.IsMalformed(err) {
			return err
		}
	}
	return nil
}
