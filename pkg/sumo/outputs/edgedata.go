package outputs

import (
	"io"
	"math"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/xml"
)

// EdgeData is what happened on each edge in each interval.
type EdgeData struct {
	JobID     string       `json:"job_id" format:"uuid"`
	Complete  bool         `json:"complete" doc:"False when the run stopped early."`
	Merged    int          `json:"merged" doc:"How many of SUMO's intervals one of these stands for: it doubles until the answer is of bearable size."`
	Intervals [][2]float64 `json:"intervals" doc:"Begin and end, in seconds of simulated time."`
	Edges     []string     `json:"edges" doc:"Ids of all edges on which a vehicle was seen."`
	Measures  []Measure    `json:"measures"`
}

// Measure is one quantity of all edges.
type Measure struct {
	Name   string   `json:"name" example:"speed"`
	Label  string   `json:"label" example:"Mean speed"`
	Unit   string   `json:"unit" example:"m/s"`
	Values []Values `json:"values" doc:"For each interval one value for each edge; null when no vehicle was there."`
}

// Edges and intervals together are bounded by what six measures of them take as JSON: some 4 MB, and some 500 KB in gzip.
const (
	maxCells = 140_000
	maxEdges = maxCells
	// maxEdgeText bounds their ids together, in bytes; a single one may have a MiB.
	maxEdgeText = 16 << 20
)

// cell is one edge in one interval, in sums that can be added up.
type cell struct {
	sampled   float32 // vehicle seconds
	distance  float32 // m
	lengths   float32 // edge length in m, times vehicle seconds
	density   float32 // veh/km, times seconds
	occupancy float32 // %, times seconds
	waiting   float32 // s
	entered   float32 // vehicles
}

func (c *cell) add(o cell) {
	c.sampled += o.sampled
	c.distance += o.distance
	c.lengths += o.lengths
	c.density += o.density
	c.occupancy += o.occupancy
	c.waiting += o.waiting
	c.entered += o.entered
}

// measures are worked out from a cell that lasted so many seconds.
var measures = []struct {
	name, label, unit string
	value             func(c cell, seconds float64) float64
	decimals          int
}{
	{"speed", "Mean speed", "m/s", func(c cell, _ float64) float64 { return float64(c.distance / c.sampled) }, 2},
	{"density", "Density", "veh/km", func(c cell, s float64) float64 { return float64(c.density) / s }, 2},
	{"occupancy", "Occupancy", "%", func(c cell, s float64) float64 { return float64(c.occupancy) / s }, 2},
	{"waiting_time", "Waiting time of all vehicles", "s", func(c cell, _ float64) float64 { return float64(c.waiting) }, 0},
	{"entered", "Vehicles that entered", "vehicles", func(c cell, _ float64) float64 { return float64(c.entered) }, 0},
	// A road at a standstill has an infinite travel time.
	{"traveltime", "Travel time", "s", func(c cell, _ float64) float64 { return float64(c.lengths / c.distance) }, 1},
}

// interval holds cells by the number of their edge; those at the end may be missing.
type interval struct {
	begin, end float64
	cells      []cell
}

func (v *interval) at(edge int) *cell {
	for len(v.cells) <= edge {
		v.cells = append(v.cells, cell{})
	}
	return &v.cells[edge]
}

// edgeReader gathers intervals, and merges neighbours whenever there are too many.
type edgeReader struct {
	most      int // cells
	index     map[string]int
	edges     []string
	text      int // bytes of edges
	intervals []interval
	merged    int
	inLatest  int // of SUMO's intervals
	seconds   float64
	timed     bool // the latest of SUMO's intervals has a begin and an end
}

// ReadEdgeData reads an edgedata output.
func ReadEdgeData(r io.Reader) (EdgeData, error) { return readEdgeData(r, maxCells) }

func readEdgeData(r io.Reader, most int) (EdgeData, error) {
	d := &edgeReader{most: most, index: map[string]int{}, edges: []string{}, merged: 1}
	complete, err := read(r, d.element)
	if err != nil {
		return EdgeData{}, err
	}
	out := EdgeData{Complete: complete, Merged: d.merged, Edges: d.edges, Intervals: make([][2]float64, len(d.intervals))}
	for i, v := range d.intervals {
		out.Intervals[i] = [2]float64{v.begin, v.end}
	}
	for _, m := range measures {
		values := make([]Values, len(d.intervals))
		for i := range d.intervals {
			v := &d.intervals[i]
			row := make(Values, len(d.edges))
			for edge := range row {
				row[edge] = math.NaN()
				if edge < len(v.cells) && v.cells[edge].sampled > 0 {
					row[edge] = round(m.value(v.cells[edge], v.end-v.begin), m.decimals)
				}
			}
			values[i] = row
		}
		out.Measures = append(out.Measures, Measure{Name: m.name, Label: m.label, Unit: m.unit, Values: values})
	}
	return out, nil
}

func (d *edgeReader) element(e xml.Element) error {
	switch string(e.Name) {
	case "interval":
		begin, end := number(e, "begin"), number(e, "end")
		if d.timed = !math.IsNaN(begin) && !math.IsNaN(end); d.timed {
			d.interval(begin, end)
		}
	case "edge":
		if d.timed {
			return d.edge(e)
		}
	}
	return nil
}

func (d *edgeReader) interval(begin, end float64) {
	d.seconds = end - begin
	if n := len(d.intervals); n > 0 && d.inLatest < d.merged {
		d.inLatest++
		d.intervals[n-1].end = end
		return
	}
	for len(d.intervals) > 0 && (len(d.intervals)+1)*max(len(d.edges), 1) > d.most { // those without edges take memory, too
		d.halve()
		if d.inLatest < d.merged { // the latest had no neighbour
			d.inLatest++
			d.intervals[len(d.intervals)-1].end = end
			return
		}
	}
	d.intervals = append(d.intervals, interval{begin: begin, end: end})
	d.inLatest = 1
}

// halve merges neighbouring intervals.
func (d *edgeReader) halve() {
	n := 0
	for i := 0; i < len(d.intervals); i += 2 {
		v := d.intervals[i]
		if i+1 < len(d.intervals) {
			other := d.intervals[i+1]
			for edge, c := range other.cells {
				v.at(edge).add(c)
			}
			v.end = other.end
		}
		d.intervals[n] = v
		n++
	}
	if len(d.intervals)%2 == 0 {
		d.inLatest += d.merged
	}
	clear(d.intervals[n:])
	d.intervals, d.merged = d.intervals[:n], 2*d.merged
}

func (d *edgeReader) edge(e xml.Element) error {
	sampled := number(e, "sampledSeconds")
	if !(sampled > 0) || len(d.intervals) == 0 {
		return nil
	}
	id := e.Attr("id")
	edge, ok := d.index[string(id)]
	if !ok {
		if d.text += len(id); len(d.edges) == maxEdges || d.text > maxEdgeText {
			return problem.New(problem.TooLarge, "The run has values of more than %d edges, too many to be shown. Download the edgedata file.",
				maxEdges)
		}
		edge = len(d.edges)
		d.edges = append(d.edges, string(id))
		d.index[d.edges[edge]] = edge
	}
	of := func(v float64) float32 { return float32(or0(v)) }
	speed, travel := number(e, "speed"), number(e, "traveltime")
	d.intervals[len(d.intervals)-1].at(edge).add(cell{
		sampled: float32(sampled), distance: of(speed * sampled), lengths: of(speed * travel * sampled),
		density: of(number(e, "density") * d.seconds), occupancy: of(number(e, "occupancy") * d.seconds),
		waiting: of(number(e, "waitingTime")), entered: of(number(e, "entered")),
	})
	return nil
}
