package simulation

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"unicode"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

// Replay asks for a recording of a run that can be watched: see package replay. Its zero value records all, every second.
type Replay struct {
	// Period is the time between two frames, in seconds; 0 for DefaultReplayPeriod. A run records at its own steps, so it is rounded to
	// whole steps.
	Period float64 `json:"period,omitempty" minimum:"0" maximum:"86400" doc:"Simulated time between two frames, in seconds; 1 by default. Rounded to whole steps of the run."`
	// From and To are the first and the last moment, in seconds of simulated time; nil for the run's own.
	From *float64 `json:"from,omitempty" minimum:"0" doc:"Simulated time of the first frame, in seconds; the run's begin by default."`
	To   *float64 `json:"to,omitempty" minimum:"0" doc:"Simulated time of the last frame, in seconds; the run's end by default."`
	// Edges are those on which vehicles are recorded; all if there are none.
	Edges []string `json:"edges,omitempty" maxItems:"10000" doc:"Only what is on these edges. Junctions have edges of their own, whose ids begin with a colon."`
	// Box is where vehicles are recorded, in m: the least x and y, the greatest x and y. Nil is everywhere.
	Box *[4]float64 `json:"box,omitempty" doc:"Only what is within these coordinates of the network, in m: the least x and y, then the greatest x and y."`
}

// DefaultReplayPeriod is the time between two frames of a recording, in seconds.
const DefaultReplayPeriod = 1.0

// Names of a run's recording in its output folder.
const (
	// ReplayFile is the index of the recording, and ReplaySegmentsFile its segments, one behind the other.
	ReplayFile         = "replay.json"
	ReplaySegmentsFile = "replay.segments"
	// ReplayFolder has the recording as far as it goes, while the run goes on: see package chunk.
	ReplayFolder = "replay"
	// ReplayIndexFile is the index in ReplayFolder. Segments there are named by their numbers.
	ReplayIndexFile = "index.json"
)

// Times are the first moment of a recording and its period, in ms, both whole steps of a run that begins at a moment and has steps of a
// length, in seconds.
func (r Replay) Times(begin, stepLength float64) (first, period int64) {
	const second = 1000
	step := max(int64(math.Round(stepLength*second)), 1)
	wanted := r.Period
	if wanted == 0 {
		wanted = DefaultReplayPeriod
	}
	period = max(int64(math.Round(wanted*second/float64(step))), 1) * step
	first = int64(math.Round(begin * second))
	if from := r.From; from != nil && *from > begin {
		steps := math.Ceil((math.Round(*from*second) - float64(first)) / float64(step))
		first += int64(steps) * step
	}
	return first, period
}

// maxReplayEdge is longer than any edge's id, in bytes.
const maxReplayEdge = 1000

// Fault says what is wrong with what is asked of a recording, as the end of a sentence; empty if nothing is.
func (r *Replay) Fault() string {
	if r == nil {
		return ""
	}
	finite := func(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
	switch {
	case !finite(r.Period) || r.Period < 0 || r.Period > 86400:
		return "has a period that is not from 0 to 86400 seconds"
	case r.From != nil && (!finite(*r.From) || *r.From < 0), r.To != nil && (!finite(*r.To) || *r.To < 0):
		return "has times (from, to) that are no seconds of simulated time"
	case r.From != nil && r.To != nil && *r.To < *r.From:
		return "ends (to) before it begins (from)"
	case r.Box != nil && !(r.Box[0] < r.Box[2] && r.Box[1] < r.Box[3] && finite(r.Box[2]-r.Box[0]) && finite(r.Box[3]-r.Box[1])):
		return "has a box that is not the least x and y, and then the greatest x and y, in m"
	}
	for i, edge := range r.Edges {
		if edge == "" || len(edge) > maxReplayEdge || strings.ContainsFunc(edge, unicode.IsControl) {
			return fmt.Sprintf("has in edges[%d] no id of an edge: it is empty, too long, or has control characters", i)
		}
	}
	return ""
}

// ParseReplay reads what a request says of the recording, as JSON: true, false, or an object like Replay. It is nil for none.
func ParseReplay(text []byte) (*Replay, error) {
	text = bytes.TrimSpace(text)
	switch string(text) {
	case "null", "false":
		return nil, nil
	case "true":
		return &Replay{}, nil
	}
	r := &Replay{}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(r); err != nil {
		return nil, problem.New(problem.Invalid, "replay is true, or an object such as "+
			`{"period": 1, "from": 0, "to": 3600, "edges": ["e1"], "box": [0, 0, 500, 500]}.`)
	}
	return r, nil
}
