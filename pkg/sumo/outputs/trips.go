package outputs

import (
	"io"
	"math"
	"slices"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/xml"
)

// Distributions are the distributions of a run's trips.
type Distributions struct {
	JobID         string         `json:"job_id" format:"uuid"`
	Complete      bool           `json:"complete" doc:"False when the run stopped early, so that trips are missing."`
	Unfinished    int            `json:"unfinished" doc:"How many of the trips were still under way at the end. They count with what they had done by then."`
	Distributions []Distribution `json:"distributions"`
}

// Distribution is a histogram of one quantity of all vehicles that departed, with the figures that describe it.
type Distribution struct {
	Name   string   `json:"name" example:"travel_time"`
	Label  string   `json:"label" example:"Travel time"`
	Unit   string   `json:"unit" example:"s"`
	Count  int      `json:"count" doc:"Trips."`
	Min    Optional `json:"min" doc:"Null without trips, as the next five."`
	P50    Optional `json:"p50" doc:"The median: half of the trips have at most this (nearest rank)."`
	P90    Optional `json:"p90"`
	P95    Optional `json:"p95"`
	Max    Optional `json:"max"`
	Mean   Optional `json:"mean"`
	Edges  Values   `json:"edges" doc:"Where the bins begin, and the last one ends: multiples of one width out of 1, 5, 10, 50, 100 …, so that the bins of another run fit in or around these."`
	Counts []int    `json:"counts" doc:"Trips in each bin; a bin holds its lower edge, and not its upper one."`
}

// Distribution returns the one called name, or nil.
func (d *Distributions) Distribution(name string) *Distribution {
	i := slices.IndexFunc(d.Distributions, func(x Distribution) bool { return x.Name == name })
	if i < 0 {
		return nil
	}
	return &d.Distributions[i]
}

// maxTrips bounds the memory: eight numbers of four bytes for each.
const maxTrips = 3_000_000

// tripQuantities are what tripinfo.xml has on a trip. Those after plainQuantities come from its <emissions>.
var tripQuantities = []struct {
	name, label, unit string
	value             func(e xml.Element) float64
}{
	{"travel_time", "Travel time", "s", func(e xml.Element) float64 { return number(e, "duration") }},
	{"time_loss", "Time loss", "s", func(e xml.Element) float64 { return number(e, "timeLoss") }},
	{"waiting_time", "Waiting time", "s", func(e xml.Element) float64 { return number(e, "waitingTime") }},
	{"depart_delay", "Departure delay", "s", func(e xml.Element) float64 { return number(e, "departDelay") }},
	{"route_length", "Route length", "m", func(e xml.Element) float64 { return number(e, "routeLength") }},
	{"speed", "Mean speed of a trip", "m/s", func(e xml.Element) float64 {
		if d := number(e, "duration"); d > 0 {
			return number(e, "routeLength") / d
		}
		return math.NaN()
	}},
	{"co2", "CO₂ of a trip", "g", func(e xml.Element) float64 { return number(e, "CO2_abs") / 1000 }},
	{"fuel", "Fuel of a trip", "g", func(e xml.Element) float64 { return number(e, "fuel_abs") / 1000 }},
}

const plainQuantities = 6

// Departed reports whether the vehicle of a <tripinfo> departed (tripinfo-output.write-undeparted has others). SUMO writes -1 for one that
// did not; the times of others have decimals or are clocks, and may be negative too (load-state.offset).
func Departed(tripinfo xml.Element) bool {
	depart, ok := tripinfo.Lookup("depart")
	return ok && string(depart.Value) != "-1"
}

// ReadDistributions reads a tripinfo-output.
func ReadDistributions(tripinfo io.Reader) (Distributions, error) {
	values := make([][]float32, len(tripQuantities))
	var d Distributions
	add := func(e xml.Element, from, to int) {
		for i, q := range tripQuantities[from:to] {
			if v := float32(known(q.value(e))); v-v == 0 { // finite: what exceeds a float32 has no place among the bins
				values[from+i] = append(values[from+i], v)
			}
		}
	}
	trips, departed := 0, false
	complete, err := read(tripinfo, func(e xml.Element) error {
		switch string(e.Name) {
		case "tripinfo":
			if departed = Departed(e); !departed {
				return nil
			}
			if trips++; trips > maxTrips {
				return problem.New(problem.TooLarge, "The run has more than %d trips, too many to work out their distribution here. Download "+
					"tripinfo.xml.", maxTrips)
			}
			if !(number(e, "arrival") >= 0) {
				d.Unfinished++
			}
			add(e, 0, plainQuantities)
		case "personinfo", "containerinfo":
			departed = false
		case "emissions":
			if departed {
				add(e, plainQuantities, len(tripQuantities))
			}
		}
		return nil
	})
	if err != nil {
		return Distributions{}, err
	}
	d.Complete, d.Distributions = complete, []Distribution{}
	for i, q := range tripQuantities {
		if i < plainQuantities || len(values[i]) > 0 {
			d.Distributions = append(d.Distributions, distribute(q.name, q.label, q.unit, values[i]))
		}
		values[i] = nil
	}
	return d, nil
}

// maxBins is what a chart as wide as a page shows well. The widths grow by five times at most, so that there are
// seldom fewer than 16.
const maxBins = 80

// distribute sorts values.
func distribute(name, label, unit string, values []float32) Distribution {
	none := Optional(math.NaN())
	d := Distribution{
		Name: name, Label: label, Unit: unit, Count: len(values), Min: none, P50: none, P90: none, P95: none, Max: none, Mean: none,
		Edges: Values{}, Counts: []int{},
	}
	if len(values) == 0 {
		return d
	}
	slices.Sort(values)
	rank := func(q float64) Optional {
		return Optional(round(float64(values[max(0, int(math.Ceil(q*float64(len(values))))-1)]), 3))
	}
	d.Min, d.P50, d.P90, d.P95, d.Max = rank(0), rank(0.5), rank(0.9), rank(0.95), rank(1)
	sum := 0.0
	for _, v := range values {
		sum += float64(v)
	}
	d.Mean = Optional(round(sum/float64(len(values)), 3))

	least, greatest := float64(values[0]), float64(values[len(values)-1])
	width := binWidth(least, greatest)
	first := math.Floor(least / width)
	bins := int(math.Floor(greatest/width)-first) + 1
	d.Counts = make([]int, bins)
	for i := range bins + 1 {
		d.Edges = append(d.Edges, round((first+float64(i))*width, 6))
	}
	for _, v := range values {
		d.Counts[int(math.Floor(float64(v)/width)-first)]++
	}
	return d
}

// binWidth is the least width out of …, 0.1, 0.5, 1, 5, 10 … that needs no more than maxBins.
func binWidth(least, greatest float64) float64 {
	const finest = 0.01 // as fine as SUMO writes
	for power := finest; ; power *= 10 {
		for _, width := range []float64{power, 5 * power} {
			if math.Floor(greatest/width)-math.Floor(least/width) < maxBins {
				return width
			}
		}
	}
}
