package main

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"strconv"
	"strings"

	"github.com/sumo-k8/sumo-k8/pkg/replay"
)

// Exporters leave errors of writing to the writer, which returns the first one when it is flushed.

func metres(v int32) string  { return strconv.FormatFloat(float64(v)/replay.PerMetre, 'f', 1, 64) }
func speedOf(v int32) string { return strconv.FormatFloat(float64(v)/replay.PerSpeed, 'f', 1, 64) }
func secondsOf(ms int64) string {
	return strconv.FormatFloat(float64(ms)/replay.PerSecond, 'f', -1, 64)
}

func laneOf(h replay.Header, p replay.Position) string {
	if p.Lane < 0 {
		return ""
	}
	return h.Lanes[p.Lane]
}

// fcdExport is SUMO's own form.
type fcdExport struct {
	out    *bufio.Writer
	header replay.Header
	words  map[string]string // escaped
}

func newFCD(out *bufio.Writer) exporter {
	_, _ = out.WriteString(xml.Header + `<fcd-export xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" ` +
		`xsi:noNamespaceSchemaLocation="http://sumo.dlr.de/xsd/fcd_file.xsd">` + "\n")
	return &fcdExport{out: out}
}

func (e *fcdExport) segment(h replay.Header) { e.header, e.words = h, map[string]string{} }

func (e *fcdExport) text(s string) string {
	escaped, ok := e.words[s]
	if !ok {
		var b strings.Builder
		_ = xml.EscapeText(&b, []byte(s)) // a Builder takes all
		escaped = b.String()
		e.words[s] = escaped
	}
	return escaped
}

func (e *fcdExport) frame(ms int64, positions []replay.Position) {
	fmt.Fprintf(e.out, "    <timestep time=\"%.2f\">\n", float64(ms)/replay.PerSecond)
	for _, p := range positions {
		v := e.header.Vehicles[p.Vehicle]
		kind, where := "vehicle", "lane"
		if v.Person {
			kind, where = "person", "edge"
		}
		fmt.Fprintf(e.out, `        <%s id="%s" x="%s" y="%s" angle="%d" type="%s" speed="%s" %s="%s"/>`+"\n", kind, e.text(v.ID),
			metres(p.X), metres(p.Y), p.Angle, e.text(v.Type), speedOf(p.Speed), where, e.text(laneOf(e.header, p)))
	}
	_, _ = e.out.WriteString("    </timestep>\n")
}

func (e *fcdExport) close() { _, _ = e.out.WriteString("</fcd-export>\n") }

// csvExport has a row for each vehicle and moment.
type csvExport struct {
	out    *csv.Writer
	header replay.Header
}

func newCSV(out *bufio.Writer) exporter {
	e := &csvExport{out: csv.NewWriter(out)}
	_ = e.out.Write([]string{"time", "kind", "id", "type", "x", "y", "angle", "speed", "lane"})
	return e
}

func (e *csvExport) segment(h replay.Header) { e.header = h }

func (e *csvExport) frame(ms int64, positions []replay.Position) {
	for _, p := range positions {
		v := e.header.Vehicles[p.Vehicle]
		kind := "vehicle"
		if v.Person {
			kind = "person"
		}
		_ = e.out.Write([]string{
			secondsOf(ms), kind, v.ID, v.Type, metres(p.X), metres(p.Y), strconv.Itoa(int(p.Angle)), speedOf(p.Speed), laneOf(e.header, p),
		})
	}
}

func (e *csvExport) close() { e.out.Flush() }

// geoExport has a line for each vehicle of a segment, with the time and the speed at each of its points.
type geoExport struct {
	out    *bufio.Writer
	header replay.Header
	lines  []*geoLine // by vehicle
	some   bool
}

type geoLine struct {
	points [][2]float64
	times  []float64
	speeds []float64
}

func newGeoJSON(out *bufio.Writer) exporter {
	_, _ = out.WriteString(`{"type":"FeatureCollection","features":[`)
	return &geoExport{out: out}
}

func (e *geoExport) segment(h replay.Header) {
	e.finish()
	e.header, e.lines = h, make([]*geoLine, len(h.Vehicles))
}

func (e *geoExport) frame(ms int64, positions []replay.Position) {
	for _, p := range positions {
		line := e.lines[p.Vehicle]
		if line == nil {
			line = &geoLine{}
			e.lines[p.Vehicle] = line
		}
		line.points = append(line.points, [2]float64{float64(p.X) / replay.PerMetre, float64(p.Y) / replay.PerMetre})
		line.times = append(line.times, float64(ms)/replay.PerSecond)
		line.speeds = append(line.speeds, float64(p.Speed)/replay.PerSpeed)
	}
}

// finish writes the lines of a segment. One of a single point is a point (RFC 7946, 3.1.4).
func (e *geoExport) finish() {
	for i, line := range e.lines {
		if line == nil {
			continue
		}
		var geometry any = map[string]any{"type": "LineString", "coordinates": line.points}
		if len(line.points) == 1 {
			geometry = map[string]any{"type": "Point", "coordinates": line.points[0]}
		}
		v := e.header.Vehicles[i]
		text, err := json.Marshal(map[string]any{"type": "Feature", "geometry": geometry, "properties": map[string]any{
			"id": v.ID, "type": v.Type, "person": v.Person, "times": line.times, "speeds": line.speeds,
		}})
		must(err) // numbers and strings
		if e.some {
			_ = e.out.WriteByte(',')
		}
		e.some = true
		_ = e.out.WriteByte('\n')
		_, _ = e.out.Write(text)
	}
	e.lines = nil
}

func (e *geoExport) close() {
	e.finish()
	_, _ = e.out.WriteString("\n]}\n")
}
