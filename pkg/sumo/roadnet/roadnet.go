// Package roadnet reads what a map shows of a SUMO network: edges as lines, junctions as areas, stop lines, and the scenario's polygons.
package roadnet

import (
	"bytes"
	"cmp"
	"math"
	"slices"
	"strconv"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/xml"
)

// Geometry is the shape of a network, in its own plane.
type Geometry struct {
	Bounds    [4]float64 `json:"bounds" doc:"Least x, least y, greatest x, greatest y."`
	Unit      string     `json:"unit" enum:"m" doc:"Of all coordinates and lengths, in the plane of the network file."`
	Edges     []Edge     `json:"edges" doc:"Roads in one direction each, in the order of the file, without those inside junctions."`
	Junctions []Junction `json:"junctions"`
	StopLines []StopLine `json:"stop_lines" doc:"Of the links that signals control."`
	Polygons  []Polygon  `json:"polygons" doc:"From the scenario's additional files, lower layers first; the first 100,000 of them with 500,000 points."`
}

// Edge is a road in one direction.
type Edge struct {
	ID       string    `json:"id"`
	Name     string    `json:"name,omitempty" doc:"Of the street, where the network has it."`
	Lanes    int       `json:"lanes"`
	Speed    float64   `json:"speed" doc:"Allowed on the fastest lane, m/s."`
	Length   float64   `json:"length"`
	Priority int       `json:"priority"`
	Shape    []float64 `json:"shape" doc:"Points x0, y0, x1, y1, … of its middle, in the direction of travel: the middle lane, or the line between the two middle lanes."`
}

// Junction is where edges meet.
type Junction struct {
	ID   string  `json:"id"`
	Type string  `json:"type" doc:"SUMO's, such as priority, traffic_light or dead_end."`
	X    float64 `json:"x"`
	Y    float64 `json:"y"`
	// An outline fills the gap that edges leave where they meet.
	Shape []float64 `json:"shape,omitempty" doc:"Outline of its area, points x0, y0, x1, y1, …; absent where it has none, as at most dead ends."`
}

// The most edges and junctions, and points of all of them together: a large city, in some 25 MB of JSON.
const (
	maxEdges  = 150_000
	maxPoints = 1_500_000
	// maxText bounds their names and those of polygons, in bytes: several times as many as such a city has. One may have a MiB.
	maxText = 64 << 20
)

// EachEdge passes the ids of the edges of a network file to found, those inside junctions included.
func EachEdge(found func(id string)) func(xml.Element) error {
	return func(e xml.Element) error {
		if string(e.Name) == "edge" {
			found(string(e.Attr("id")))
		}
		return nil
	}
}

// Reader builds a Geometry from the elements of a network file.
type Reader struct {
	net    Geometry
	points int
	text   int    // bytes of names
	open   bool   // the latest edge still lacks its lanes
	lanes  []line // of that edge
	used   int
	shape  []float64 // of that edge itself

	outline line // of the latest junction or polygon

	stops         stopLines
	crossing      bool // the latest edge is one
	polygonPoints int
}

type line []float64

// Element takes one element, in the order of the file.
func (r *Reader) Element(e xml.Element) error {
	switch string(e.Name) {
	case "edge":
		r.finish()
		return r.edge(e)
	case "lane":
		r.lane(e)
	case "junction":
		r.finish()
		return r.junction(e)
	case "connection":
		if len(r.stops.links) == maxPoints || !r.named(e, "tl") {
			return tooLarge()
		}
		r.stops.connection(e)
	}
	return nil
}

// Geometry returns what was read.
func (r *Reader) Geometry() Geometry {
	r.finish()
	n := r.net
	n.Unit = "m"
	if n.Edges == nil {
		n.Edges = []Edge{}
	}
	if n.Junctions == nil {
		n.Junctions = []Junction{}
	}
	n.StopLines = r.stops.lines()
	if n.Polygons == nil {
		n.Polygons = []Polygon{}
	}
	slices.SortStableFunc(n.Polygons, func(a, b Polygon) int { return cmp.Compare(a.Layer, b.Layer) })
	box := bounds{math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)}
	for _, e := range n.Edges {
		for i := 0; i+1 < len(e.Shape); i += 2 {
			box.add(e.Shape[i], e.Shape[i+1])
		}
	}
	for _, j := range n.Junctions {
		box.add(j.X, j.Y)
	}
	if box[0] <= box[2] {
		n.Bounds = box
	}
	return n
}

type bounds [4]float64

func (b *bounds) add(x, y float64) {
	b[0], b[1], b[2], b[3] = math.Min(b[0], x), math.Min(b[1], y), math.Max(b[2], x), math.Max(b[3], y)
}

func (r *Reader) edge(e xml.Element) error {
	// Others lie inside junctions: connections, crossings and places to walk.
	if f := e.Attr("function"); len(f) > 0 && string(f) != "normal" && string(f) != "connector" {
		if r.crossing = string(f) == "crossing"; r.crossing {
			return r.begin(e)
		}
		return nil
	}
	if len(r.net.Edges) == maxEdges || r.points > maxPoints || !r.named(e, "id", "name") {
		return tooLarge()
	}
	if err := r.begin(e); err != nil {
		return err
	}
	r.net.Edges = append(r.net.Edges, Edge{
		ID: string(e.Attr("id")), Name: string(e.Attr("name")), Priority: int(number(e.Attr("priority"))),
	})
	r.open, r.used, r.shape = true, 0, points(r.shape[:0], e.Attr("shape"))
	return nil
}

// named takes room for texts of an element, and reports whether there was any.
func (r *Reader) named(e xml.Element, attributes ...string) bool {
	text := r.text
	for _, a := range attributes {
		text += len(e.Attr(a))
	}
	if text > maxText {
		return false
	}
	r.text = text
	return true
}

// begin announces an edge whose lanes may have stop lines.
func (r *Reader) begin(e xml.Element) error {
	if len(r.stops.ends) > maxPoints || len(r.stops.first) > maxPoints || !r.named(e, "id") {
		return tooLarge()
	}
	r.stops.edge(string(e.Attr("id")))
	return nil
}

func (r *Reader) lane(e xml.Element) {
	if r.crossing {
		r.outline = points(r.outline[:0], e.Attr("shape"))
		r.stops.lane(e, r.outline, true)
	}
	if !r.open {
		return
	}
	edge := &r.net.Edges[len(r.net.Edges)-1]
	edge.Lanes++
	edge.Speed = math.Max(edge.Speed, number(e.Attr("speed")))
	edge.Length = math.Max(edge.Length, number(e.Attr("length")))
	if r.used == len(r.lanes) {
		r.lanes = append(r.lanes, nil)
	}
	r.lanes[r.used] = points(r.lanes[r.used][:0], e.Attr("shape"))
	r.stops.lane(e, r.lanes[r.used], false)
	r.used++
}

// finish sets the shape of the latest edge.
func (r *Reader) finish() {
	r.crossing = false
	if !r.open {
		return
	}
	r.open = false
	middle := r.shape
	if n := r.used; n > 0 {
		middle = r.lanes[n/2]
		if right := r.lanes[(n-1)/2]; n%2 == 0 && len(right) == len(middle) {
			for i := range middle {
				middle[i] = (middle[i] + right[i]) / 2
			}
		}
	}
	r.net.Edges[len(r.net.Edges)-1].Shape = r.rounded(middle)
}

// rounded is a shape without points that fall together.
func (r *Reader) rounded(of line) []float64 {
	shape := compact(of)
	r.points += len(shape) / 2
	return shape
}

func compact(of line) []float64 {
	shape := make([]float64, 0, len(of))
	for i := 0; i+1 < len(of); i += 2 {
		x, y := tenth(of[i]), tenth(of[i+1])
		if n := len(shape); n > 0 && shape[n-2] == x && shape[n-1] == y {
			continue
		}
		shape = append(shape, x, y)
	}
	return shape
}

func (r *Reader) junction(e xml.Element) error {
	kind := string(e.Attr("type"))
	if kind == "internal" {
		return nil
	}
	if len(r.net.Junctions) == maxEdges || r.points > maxPoints || !r.named(e, "id", "type") {
		return tooLarge()
	}
	r.outline = points(r.outline[:0], e.Attr("shape"))
	shape := r.rounded(r.outline)
	if len(shape) < 2*corners {
		shape = nil
	}
	r.net.Junctions = append(r.net.Junctions, Junction{
		ID: string(e.Attr("id")), Type: kind, X: tenth(number(e.Attr("x"))), Y: tenth(number(e.Attr("y"))), Shape: shape,
	})
	return nil
}

// corners is the least number of points that enclose an area.
const corners = 3

func tooLarge() error {
	return problem.New(problem.TooLarge, "The network is too large to be shown: at most %d edges with %d points are. Cut out the part "+
		"that matters, with netconvert's --keep-edges.in-boundary.", maxEdges, maxPoints)
}

// tenth rounds to what can be seen: SUMO's own lanes are 3.2 m wide.
func tenth(v float64) float64 { return math.Round(v*10) / 10 }

// farthest is beyond any place on Earth, in any unit, and leaves room to compute.
const farthest = 1e15

// number reads a number. Anything else counts as 0: a map can still be drawn.
func number(text []byte) float64 {
	v, err := strconv.ParseFloat(string(text), 64)
	if err != nil || math.IsNaN(v) || math.Abs(v) > farthest {
		return 0
	}
	return v
}

// points appends the coordinates of a shape, "x,y x,y …" or "x,y,z x,y,z …", without heights.
func points(to line, shape []byte) line {
	for point := range bytes.FieldsSeq(shape) {
		x, rest, _ := bytes.Cut(point, []byte(","))
		y, _, _ := bytes.Cut(rest, []byte(","))
		to = append(to, number(x), number(y))
	}
	return to
}
