package roadnet

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/sumo-k8/sumo-k8/pkg/sumo/xml"
)

// Polygon is an area or a line that a scenario draws on its map, such as a building.
type Polygon struct {
	ID    string    `json:"id"`
	Type  string    `json:"type,omitempty" doc:"The scenario's own, such as building.school."`
	Color string    `json:"color" pattern:"^#[0-9a-f]{6}$"`
	Layer float64   `json:"layer" doc:"Higher ones are drawn above lower ones."`
	Fill  bool      `json:"fill" doc:"False for a line."`
	Shape []float64 `json:"shape" doc:"Points x0, y0, x1, y1, …"`
}

// The most polygons, and points of all of them: a large city, in some 15 MB of JSON. Further ones are left out.
const (
	maxPolygons      = 100_000
	maxPolygonPoints = 500_000
)

// Additional takes one element of an additional file. Polygons in degrees are left out: placing them takes the network's projection.
func (r *Reader) Additional(e xml.Element) error {
	if name := string(e.Name); name != "poly" && name != "polygon" {
		return nil
	}
	color, visible := colorOf(string(e.Attr("color")))
	if !visible || truth(e.Attr("geo"), false) || len(r.net.Polygons) == maxPolygons {
		return nil
	}
	r.outline = points(r.outline[:0], e.Attr("shape"))
	shape := compact(r.outline)
	if len(shape) < 4 || r.polygonPoints+len(shape)/2 > maxPolygonPoints || !r.named(e, "id", "type") {
		return nil
	}
	r.polygonPoints += len(shape) / 2
	r.net.Polygons = append(r.net.Polygons, Polygon{
		ID: string(e.Attr("id")), Type: string(e.Attr("type")), Color: color, Layer: number(e.Attr("layer")),
		Fill: truth(e.Attr("fill"), false), Shape: shape,
	})
	return nil
}

func truth(text []byte, otherwise bool) bool {
	switch strings.ToLower(string(text)) {
	case "1", "yes", "true", "on", "x", "t":
		return true
	case "0", "no", "false", "off", "-", "f":
		return false
	}
	return otherwise
}

// colours are the names that SUMO knows.
var colours = map[string]string{
	"red": "#ff0000", "green": "#00ff00", "blue": "#0000ff", "yellow": "#ffff00", "cyan": "#00ffff", "magenta": "#ff00ff", "orange": "#ff8000",
	"white": "#ffffff", "black": "#000000", "grey": "#808080", "gray": "#808080",
}

// colorOf reads a colour as SUMO does: a name, #rrggbb[aa], r,g,b[,a] of 0 to 255, or of 0 to 1 when none is larger. One that it cannot
// read is SUMO's default, red.
func colorOf(text string) (color string, visible bool) {
	const standard = "#ff0000"
	text = strings.ToLower(strings.TrimSpace(text))
	if named, ok := colours[text]; ok {
		return named, true
	}
	if text == "invisible" {
		return "", false
	}
	if hex, ok := strings.CutPrefix(text, "#"); ok {
		if _, err := strconv.ParseUint(hex, 16, 32); err != nil || len(hex) != 6 && len(hex) != 8 {
			return standard, true
		}
		return "#" + hex[:6], hex[6:] != "00"
	}
	parts := strings.Split(text, ",")
	if len(parts) != 3 && len(parts) != 4 {
		return standard, true
	}
	var c [4]float64
	c[3] = 255
	whole, large := true, false
	for i, p := range parts {
		v, err := strconv.ParseFloat(strings.TrimSpace(p), 64)
		if err != nil || !(v >= 0 && v <= 255) {
			return standard, true
		}
		c[i] = v
		_, err = strconv.Atoi(strings.TrimSpace(p))
		whole, large = whole && err == nil, large || v > 1
	}
	if !whole || !large {
		for i := range parts {
			c[i] = min(255, c[i]*255)
		}
	}
	return fmt.Sprintf("#%02x%02x%02x", int(c[0]+0.5), int(c[1]+0.5), int(c[2]+0.5)), c[3] > 0
}
