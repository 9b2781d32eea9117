package roadnet

import (
	"cmp"
	"math"
	"slices"
	"strconv"

	"github.com/sumo-k8/sumo-k8/pkg/sumo/xml"
)

// StopLine is where vehicles of a lane, or people at a crossing, wait for one link of a signal.
type StopLine struct {
	Signal string     `json:"signal" doc:"Id of the traffic light (tlLogic)."`
	Index  int        `json:"index" doc:"Of the link: its place in the signal's states."`
	Line   [4]float64 `json:"line" doc:"x0, y0, x1, y1, across the lane from right to left. A lane with several links is divided among them."`
}

// defaultLaneWidth is SUMO's, in metres.
const defaultLaneWidth = 3.2

// maxLink bounds the index of a link; SUMO's own networks have at most some hundred at a signal.
const maxLink = 10_000

// stopLines collects stop lines in the order of a network file, which has lanes before connections.
type stopLines struct {
	ends  []laneEnd
	first map[string]int // of an edge's lanes in ends
	links []link
}

// laneEnd is where a lane ends, or a crossing begins.
type laneEnd struct {
	x, y, dx, dy, width float64 // dx, dy is the unit vector of the direction of travel
}

type link struct {
	end    int // in ends
	signal string
	index  int
}

// edge announces the lanes that follow.
func (s *stopLines) edge(id string) {
	if s.first == nil {
		s.first = map[string]int{}
	}
	s.first[id] = len(s.ends)
}

// lane takes a lane of the latest edge.
func (s *stopLines) lane(e xml.Element, shape line, crossing bool) {
	width := number(e.Attr("width"))
	if width <= 0 {
		width = defaultLaneWidth
	}
	end := laneEnd{width: width}
	if n := len(shape); n >= 4 {
		from, to := shape[n-4:n-2], shape[n-2:]
		end.x, end.y = to[0], to[1]
		if crossing {
			from, to = shape[:2], shape[2:4]
			end.x, end.y = from[0], from[1]
		}
		if length := math.Hypot(to[0]-from[0], to[1]-from[1]); length > 0 {
			end.dx, end.dy = (to[0]-from[0])/length, (to[1]-from[1])/length
		}
	}
	s.ends = append(s.ends, end)
}

func (s *stopLines) connection(e xml.Element) {
	signal, text := e.Attr("tl"), e.Attr("linkIndex")
	if len(signal) == 0 || len(text) == 0 {
		return
	}
	index, err := strconv.Atoi(string(text))
	if err != nil || index < 0 || index >= maxLink {
		return
	}
	edge, lane := e.Attr("from"), e.Attr("fromLane")
	if len(edge) > 0 && edge[0] == ':' { // people wait beside the crossing, not at the end of the place where they walk
		edge, lane = e.Attr("to"), e.Attr("toLane")
	}
	first, ok := s.first[string(edge)]
	at := first + int(number(lane))
	if !ok || at < first || at >= len(s.ends) || s.ends[at].dx == 0 && s.ends[at].dy == 0 {
		return
	}
	s.links = append(s.links, link{at, string(signal), index})
}

// lines returns what was collected. netconvert writes the links of a lane from right to left.
func (s *stopLines) lines() []StopLine {
	slices.SortStableFunc(s.links, func(a, b link) int { return cmp.Compare(a.end, b.end) })
	out := make([]StopLine, 0, len(s.links))
	for rest := s.links; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].end == rest[0].end {
			n++
		}
		at := s.ends[rest[0].end]
		place := func(k int) (x, y float64) { // k parts from the right side
			right := at.width * (0.5 - float64(k)/float64(n))
			return tenth(at.x + at.dy*right), tenth(at.y - at.dx*right)
		}
		for k, l := range rest[:n] {
			x0, y0 := place(k)
			x1, y1 := place(k + 1)
			out = append(out, StopLine{l.signal, l.index, [4]float64{x0, y0, x1, y1}})
		}
		rest = rest[n:]
	}
	return out
}
