package program

import (
	"os"
	"path/filepath"
	"strconv"

	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/xml"
)

// Replay is what a run asks of a SUMO that it records.
type Replay struct {
	// Pipe is where positions go. Request is an additional file that has the states of signals go there too.
	Pipe    string `json:"pipe"`
	Request string `json:"request"`
	// Edges is a file with the edges on which vehicles are recorded; empty for all.
	Edges string            `json:"edges"`
	Asked simulation.Replay `json:"asked"`
}

// ReplayAttributes are those of SUMO's output that a recording has. The edge is that of persons, who have no lane.
const ReplayAttributes = "x,y,angle,type,speed,lane,edge"

const (
	fcdOutput  = "fcd-output"
	fcdEdges   = "fcd-output.filter-edges.input-file"
	personsFCD = "person-fcd-output"
)

// Options have SUMO write its positions into the pipe, as NAME=VALUE, in a run that begins at a moment and has steps of a length, in
// seconds.
func (p Replay) Options(begin, step float64) []string {
	first, period := p.Asked.Times(begin, step)
	seconds := func(ms int64) string { return strconv.FormatFloat(float64(ms)/1000, 'f', -1, 64) }
	set := []string{
		fcdOutput + "=" + p.Pipe, "fcd-output.attributes=" + ReplayAttributes,
		"device.fcd.period=" + seconds(period), "device.fcd.begin=" + seconds(first),
	}
	if p.Edges != "" {
		set = append(set, fcdEdges+"="+p.Edges)
	}
	return set
}

// neutral are values of options that leave the output as it is without them, since a configuration's options cannot be unset. An empty file
// names no edges, and then all count.
var neutral = map[string]string{
	"fcd-output.geo": "false", "fcd-output.utm": "false", "fcd-output.skip-empty": "false", "fcd-output.max-leader-distance": "-1",
	"device.fcd.radius": "0", fcdEdges: os.DevNull,
}

// Why a SUMO is not recorded.
const (
	affixed   = "the program's SUMO has output-prefix or output-suffix. Leave them out."
	separated = "the program's SUMO has " + personsFCD + " or fcd-output.filter-shapes. Leave them out."
)

// record returns the options by which a SUMO is recorded that has been asked for others. If it is not recorded the report says why.
func (p Replay) record(asked map[string]string, report *Report) []string {
	prefix, suffix, format := asked["output-prefix"], asked["output-suffix"], asked["output.format"]
	if own := asked[fcdOutput]; own != "" && own != os.DevNull { // from which the recording can be made
		if name, err := filepath.Abs(scenario.Affixed(own, prefix, suffix)); err == nil {
			report.Own[simulation.OutputFCD] = name
		}
		return nil
	}
	report.Format = format
	switch {
	case format == "csv" || format == "parquet": // as the report says
		return nil
	case prefix+suffix != "": // the pipe cannot follow, since nothing inside the wall makes one
		report.Unrecorded = affixed
		return nil
	case asked[personsFCD] != "" || asked["fcd-output.filter-shapes"] != "":
		report.Unrecorded = separated
		return nil
	}
	step, ok := xml.Time(asked["step-length"])
	if !ok || step <= 0 {
		step = 1
	}
	begin, _ := xml.Time(asked["begin"])
	set := p.Options(begin, step)
	for name, value := range neutral {
		if _, has := asked[name]; has && (name != fcdEdges || p.Edges == "") {
			set = append(set, name+"="+value)
		}
	}
	return set
}
