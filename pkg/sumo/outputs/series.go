package outputs

import (
	"errors"
	"io"
	"math"
	"slices"
	"sort"

	"github.com/sumo-k8/sumo-k8/pkg/sumo/gz"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/xml"
)

// Series are curves over simulated time, all at the same points.
type Series struct {
	JobID    string  `json:"job_id" format:"uuid"`
	Complete bool    `json:"complete" doc:"False when the run stopped early, so that the curves do too."`
	Merged   int     `json:"merged" doc:"How many steps each point stands for: it doubles until 1000 points suffice."`
	Time     Values  `json:"time" doc:"Seconds of simulated time: the last step of each point."`
	Series   []Curve `json:"series"`
}

// Curve is one quantity over time. Where a point stands for several steps, a count of vehicles is their mean, a mean
// speed is weighted with the vehicles that had it, and a number that runs through the whole simulation is the last.
type Curve struct {
	Name   string   `json:"name" example:"running"`
	Label  string   `json:"label" example:"Running vehicles"`
	Unit   string   `json:"unit" example:"vehicles"`
	Min    Optional `json:"min" doc:"Least of all steps, whatever the points show; null when there is none."`
	Max    Optional `json:"max" doc:"Greatest of all steps."`
	Values Values   `json:"values" doc:"One for each point of time; null where there is none, such as a mean speed without vehicles."`
}

// Curve returns the curve called name, or nil.
func (s *Series) Curve(name string) *Curve {
	i := slices.IndexFunc(s.Series, func(c Curve) bool { return c.Name == name })
	if i < 0 {
		return nil
	}
	return &s.Series[i]
}

// maxPoints of a curve: more than a screen has columns for one.
const maxPoints = 1000

// How the steps of one point are merged.
type merging int

const (
	mean merging = iota
	meanOfRunning
	last
)

// summaryCurves are the columns of summary.xml that become curves.
var summaryCurves = []struct {
	name, label, unit, attribute string
	merging                      merging
}{
	{"running", "Running vehicles", "vehicles", "running", mean},
	{"waiting", "Vehicles waiting to depart", "vehicles", "waiting", mean},
	{"halting", "Halting vehicles", "vehicles", "halting", mean},
	{"inserted", "Vehicles inserted so far", "vehicles", "inserted", last},
	{"arrived", "Vehicles arrived so far", "vehicles", "arrived", last},
	{"teleports", "Teleports so far", "teleports", "teleports", last},
	{"collisions", "Collisions so far", "collisions", "collisions", last},
	{"mean_speed", "Mean speed", "m/s", "meanSpeed", meanOfRunning},
	{"mean_travel_time", "Mean travel time of arrived vehicles", "s", "meanTravelTime", last},
	{"mean_waiting_time", "Mean wait to depart so far", "s", "meanWaitingTime", last},
}

// column is one curve while it is read.
type column struct {
	Curve
	merging merging
	weights []float64 // beside Values, which hold sums until the end
}

func (c *column) add(point int, v, weight float64) {
	if math.IsNaN(v) {
		return
	}
	c.Min, c.Max = lesser(c.Min, v), greater(c.Max, v)
	switch c.merging {
	case last:
		c.Values[point], c.weights[point] = v, 1
	default:
		c.Values[point] += v * weight
		c.weights[point] += weight
	}
}

func lesser(o Optional, v float64) Optional {
	if v < float64(o) || math.IsNaN(float64(o)) {
		return Optional(v)
	}
	return o
}

func greater(o Optional, v float64) Optional {
	if v > float64(o) || math.IsNaN(float64(o)) {
		return Optional(v)
	}
	return o
}

// grow adds a point without steps.
func (c *column) grow() { c.Values, c.weights = append(c.Values, 0), append(c.weights, 0) }

// halve merges neighbouring points.
func (c *column) halve() {
	n := 0
	for i := 0; i < len(c.Values); i += 2 {
		v, w := c.Values[i], c.weights[i]
		if j := i + 1; j < len(c.Values) && c.weights[j] > 0 {
			if c.merging == last {
				v, w = c.Values[j], c.weights[j]
			} else {
				v, w = v+c.Values[j], w+c.weights[j]
			}
		}
		c.Values[n], c.weights[n] = v, w
		n++
	}
	c.Values, c.weights = c.Values[:n], c.weights[:n]
}

// curve ends the reading.
func (c *column) curve() Curve {
	for i, w := range c.weights {
		c.Values[i] = round(c.Values[i]/w, 3) // 0/0 is NaN, which stands for none
	}
	return c.Curve
}

func newColumn(name, label, unit string, m merging) *column {
	return &column{Curve: Curve{Name: name, Label: label, Unit: unit, Min: Optional(math.NaN()), Max: Optional(math.NaN()),
		Values: Values{}}, merging: m}
}

// ReadSeries reads a summary-output. emissions is the run's emission-output, nil when there is none.
func ReadSeries(summary, emissions io.Reader) (Series, error) {
	var columns []*column
	for _, c := range summaryCurves {
		columns = append(columns, newColumn(c.name, c.label, c.unit, c.merging))
	}
	s := Series{Merged: 1, Time: Values{}}
	inPoint := 0 // steps in the latest point
	complete, err := read(summary, func(e xml.Element) error {
		if string(e.Name) != "step" {
			return nil
		}
		if len(s.Time) > 0 && inPoint < s.Merged {
			inPoint++
		} else {
			if len(s.Time) == maxPoints {
				for _, c := range columns {
					c.halve()
				}
				for i := range s.Time[:maxPoints/2] {
					s.Time[i] = s.Time[2*i+1]
				}
				s.Time, s.Merged = s.Time[:maxPoints/2], 2*s.Merged
			}
			for _, c := range columns {
				c.grow()
			}
			s.Time, inPoint = append(s.Time, 0), 1
		}
		point := len(s.Time) - 1
		s.Time[point] = number(e, "time")
		running := number(e, "running")
		for i, c := range columns {
			weight := 1.0
			if c.merging == meanOfRunning {
				weight = running
			}
			c.add(point, known(number(e, summaryCurves[i].attribute)), weight)
		}
		return nil
	})
	if err != nil {
		return Series{}, err
	}
	s.Complete = complete
	if emissions != nil {
		more, whole, err := readEmissions(emissions, s.Time)
		switch {
		case errors.Is(err, gz.ErrExpands): // must not fail all others
			s.Complete = false
		case err != nil:
			return Series{}, err
		default:
			columns, s.Complete = append(columns, more...), complete && whole
		}
	}
	for _, c := range columns {
		s.Series = append(s.Series, c.curve())
	}
	return s, nil
}

// emissionCurves are sums over all vehicles. SUMO writes milligrams a second for each.
var emissionCurves = []struct {
	name, label, unit, attribute string
	scale                        float64
}{
	{"co2", "CO₂ of all vehicles", "g/s", "CO2", 1e-3},
	{"nox", "NOx of all vehicles", "mg/s", "NOx", 1},
	{"pmx", "Particulates of all vehicles", "mg/s", "PMx", 1},
	{"fuel", "Fuel of all vehicles", "g/s", "fuel", 1e-3},
}

// readEmissions sums an emission-output into the points of time.
func readEmissions(r io.Reader, time Values) (columns []*column, complete bool, err error) {
	for _, c := range emissionCurves {
		column := newColumn(c.name, c.label, c.unit, mean)
		column.Values, column.weights = make(Values, len(time)), make([]float64, len(time))
		columns = append(columns, column)
	}
	sums := make([]float64, len(columns))
	at := math.NaN()
	flush := func() {
		point := sort.SearchFloat64s(time, at)
		if point < len(time) { // neither NaN nor a time after the last step
			for i, c := range columns {
				c.add(point, sums[i], 1)
			}
		}
		clear(sums)
	}
	complete, err = read(r, func(e xml.Element) error {
		switch string(e.Name) {
		case "timestep":
			flush()
			at = number(e, "time")
		case "vehicle":
			for i, c := range emissionCurves {
				if v := number(e, c.attribute); v > 0 {
					sums[i] += v * c.scale
				}
			}
		}
		return nil
	})
	flush()
	return columns, complete, err
}
