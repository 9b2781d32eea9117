package run

import (
	"context"

	"github.com/sumo-k8/sumo-k8/pkg/replay"
	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/xml"
)

// readShapes calls know with each vType of the files that SUMO reads, until ctx ends.
func (r Run) readShapes(ctx context.Context, chosen scenario.Config, know func(id string, t replay.VehicleType)) {
	n := 0
	// What cannot be read is drawn as SUMO's own types are.
	_ = r.scanReads(chosen, func(e xml.Element) error {
		if string(e.Name) != "vType" {
			return ctx.Err()
		}
		t := replay.TypeOfClass(classOf(e))
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
