package outputs

import (
	"io"
	"math"

	"github.com/sumo-k8/sumo-k8/pkg/replay"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/xml"
)

// ReplayFrames take what an fcd-output says, in its order: a replay.Writer does.
type ReplayFrames interface {
	Begin(ms int64) error
	Add(replay.Sample)
	End() error
	Signal(ms int64, id, state string)
}

// ScanReplay reads an fcd-output into frames. It may hold the states of signals, as SaveTLSSwitchStates writes them. It reports whether
// the file is complete.
func ScanReplay(fcd io.Reader, frames ReplayFrames) (complete bool, err error) {
	source := &watched{r: fcd}
	plain, err := xml.Unpack(source)
	if err == nil {
		s := replayScan{frames: frames}
		scanner := xml.Scanner{Element: s.element, End: s.end, Lenient: true}
		err = scanner.Scan(plain)
	}
	return source.completeness(err)
}

type replayScan struct {
	frames ReplayFrames
	err    error // of the end of a frame
	within bool
}

func (s *replayScan) element(e xml.Element) error {
	switch string(e.Name) {
	case "vehicle":
		s.add(e, false)
	case "person":
		s.add(e, true)
	case "timestep":
		if s.err != nil {
			return s.err
		}
		if ms, ok := milliseconds(e); ok {
			s.within = true
			return s.frames.Begin(ms)
		}
	case "tlsState":
		if ms, ok := milliseconds(e); ok {
			s.frames.Signal(ms, string(e.Attr("id")), string(e.Attr("state")))
		}
	}
	return nil
}

func (s *replayScan) end(name []byte) {
	if string(name) == "timestep" && s.within && s.err == nil {
		s.within = false
		s.err = s.frames.End()
	}
}

func milliseconds(e xml.Element) (int64, bool) {
	t, ok := e.Number("time")
	return int64(math.Round(t * replay.PerSecond)), ok && t >= 0 && t < 1e9
}

// add reads one pass over the attributes, since there are millions of these.
func (s *replayScan) add(e xml.Element, person bool) {
	if !s.within {
		return
	}
	sample := replay.Sample{X: math.NaN(), Y: math.NaN(), Person: person}
	for _, a := range e.Attrs {
		switch string(a.Name) {
		case "id":
			sample.ID = a.Value
		case "type":
			sample.Type = a.Value
		case "x":
			sample.X = coordinate(a)
		case "y":
			sample.Y = coordinate(a)
		case "angle":
			sample.Angle = or0(coordinate(a))
		case "speed":
			sample.Speed = or0(coordinate(a))
		case "lane":
			sample.Lane = a.Value
		case "edge":
			if person {
				sample.Lane = a.Value
			}
		}
	}
	s.frames.Add(sample)
}

func coordinate(a xml.Attr) float64 {
	if v, ok := xml.Number(a.Value); ok && !a.Cut {
		return v
	}
	return math.NaN()
}
