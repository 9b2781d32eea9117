package run

import (
	"context"

	"github.com/sumo-k8/sumo-k8/pkg/replay"
	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/xml"
)

// shapes are the lengths and widths, in m, of vehicles whose vType names none, by vClass: what SUMO 1.28 says of them. Other classes are as
// passenger cars.
var shapes = map[string][2]float64{
	"passenger": {5, 1.8}, "emergency": {6.5, 2.16}, "delivery": {6.5, 2.16}, "truck": {7.1, 2.4}, "trailer": {16.5, 2.55}, "bus": {12, 2.5},
	"coach": {14, 2.6}, "motorcycle": {2.2, 0.9}, "moped": {2.1, 0.78}, "scooter": {1.2, 0.5}, "bicycle": {1.6, 0.65},
	"pedestrian": {0.215, 0.478}, "wheelchair": {1.2, 0.72}, "tram": {22, 2.4}, "rail_urban": {109.5, 3}, "subway": {109.5, 3},
	"rail": {135, 2.84}, "rail_electric": {200, 2.95}, "rail_fast": {200, 2.95}, "ship": {17, 4}, "container": {6.096, 2.438},
	"aircraft": {72.7, 79.8}, "drone": {0.5, 0.5},
}

// shapeOf is how vehicles of a class are drawn.
func shapeOf(class string) replay.Type {
	size, ok := shapes[class]
	if !ok {
		size = shapes[passenger]
	}
	return replay.Type{Class: class, Length: size[0], Width: size[1]}
}

// typeOf is how vehicles of a type are drawn, of which the scenario's files may say nothing.
func typeOf(known map[string]replay.Type, id string) replay.Type {
	if t, ok := known[id]; ok {
		return t
	}
	if class, ok := defaultClasses[id]; ok {
		return shapeOf(class)
	}
	return shapeOf(passenger)
}

// readShapes calls know with each vType of the files that SUMO reads, until ctx ends.
func (r Run) readShapes(ctx context.Context, chosen scenario.Config, know func(id string, t replay.Type)) {
	n := 0
	// What cannot be read is drawn as SUMO's own types are.
	_ = r.scanReads(chosen, func(e xml.Element) error {
		if string(e.Name) != "vType" {
			return ctx.Err()
		}
		t := shapeOf(classOf(e))
		if length, ok := e.Number("length"); ok {
			t.Length = length
		}
		if width, ok := e.Number("width"); ok {
			t.Width = width
		}
		if n++; n > maxTypes {
			return errAllKnown
		}
		know(string(e.Attr("id")), t)
		return ctx.Err()
	})
}
