package outputs

import (
	"bufio"
	"bytes"
	"cmp"
	"io"
	"math"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/replay"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/gz"
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
	plain, err := gz.Unpack(source)
	if err == nil {
		err = scanReplay(plain, frames)
	}
	return source.completeness(err)
}

func scanReplay(plain io.Reader, frames ReplayFrames) error {
	s := replayScan{frames: frames}
	scanner := xml.Scanner{Element: s.element, End: s.end, Lenient: true}
	return cmp.Or(scanner.Scan(plain), s.err)
}

// geoHead is how much of a file is searched for SUMO's configuration, which is in a comment at its beginning.
const geoHead = 16 << 10

// Geographic reports whether the positions of an fcd-output are longitudes and latitudes, as the configuration at its beginning says. It
// reads nothing away.
func Geographic(fcd *bufio.Reader) bool {
	head, _ := fcd.Peek(min(geoHead, fcd.Size()))
	return bytes.Contains(head, []byte(`<fcd-output.geo value="true"/>`))
}

// Record makes a recording from an fcd-output, as far as that goes, and hands over its segments in their order. It reports whether the file
// is complete.
func Record(fcd io.Reader, attempt string, write func(segment []byte) error) (x replay.Index, complete bool, err error) {
	x = replay.NewIndex(attempt, replay.FromFCD)
	frames := &fileFrames{Writer: replay.NewWriter(func(s replay.Written) error {
		x.Add(s.Segment)
		return write(s.Data)
	})}
	source := &watched{r: fcd}
	plain, err := gz.Unpack(source)
	if err == nil {
		if Geographic(plain) {
			return x, false, problem.New(problem.NotFound, "The positions of this run are longitudes and latitudes, which do not fit "+
				"the network's plane. Remove fcd-output.geo from the configuration and run it again.")
		}
		err = scanReplay(plain, frames)
	}
	if complete, err = source.completeness(err); err != nil {
		return x, false, err
	}
	if err := frames.Flush(); err != nil {
		return x, complete, err
	}
	if x.Bounds == nil {
		return x, complete, problem.New(problem.NotFound, "The run recorded no positions of vehicles: either none departed, or its "+
			"fcd-output.attributes leaves out x and y.")
	}
	x.Complete, x.Period, x.Types = true, frames.period, replay.TypesOf(frames.Types(), nil)
	x.Missing = append(frames.Missing(), "signals and events: the recording was made from the run's fcd output, which has none",
		"types: the lengths and widths are those of SUMO's default classes")
	return x, complete, nil
}

// fileFrames finds out how far apart frames are.
type fileFrames struct {
	*replay.Writer
	begun  int
	first  int64
	period float64 // seconds
}

func (f *fileFrames) Begin(ms int64) error {
	switch f.begun++; f.begun {
	case 1:
		f.first = ms
	case 2:
		f.period = float64(ms-f.first) / replay.PerSecond
	}
	return f.Writer.Begin(ms)
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

// personType is SUMO's own.
var personType = []byte("DEFAULT_PEDTYPE")

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
	if person && len(sample.Type) == 0 { // SUMO 1.18 writes none
		sample.Type = personType
	}
	s.frames.Add(sample)
}

func coordinate(a xml.Attr) float64 {
	if v, ok := xml.Number(a.Value); ok && !a.Cut {
		return v
	}
	return math.NaN()
}
