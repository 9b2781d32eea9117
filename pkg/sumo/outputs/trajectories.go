package outputs

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"math"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/xml"
)

// Frames are where vehicles were at some times, each with the vehicles of that time.
type Frames struct {
	Times  []float64    `json:"times" doc:"Seconds of simulated time."`
	IDs    []string     `json:"ids" doc:"The vehicles of these frames."`
	Types  []string     `json:"types" doc:"The type of each of ids."`
	Frames [][]Position `json:"frames" doc:"For each time one array for each vehicle: its index in ids, x and y in m in the plane of the network, its angle in degrees clockwise from north, and its speed in m/s."`

	count int // of positions
}

// Full reports whether there is no room for another frame of about the last one's length.
func (a *Frames) Full() bool {
	n := len(a.Frames)
	return n > 0 && a.count+len(a.Frames[n-1]) > PartPositions
}

// Position is the index of a vehicle, x, y, angle and speed.
type Position [5]float64

// MarshalJSON writes numbers as short as they are, and the index as a whole one.
func (p Position) MarshalJSON() ([]byte, error) {
	out := append(make([]byte, 0, 48), '[')
	for i, v := range p {
		if i > 0 {
			out = append(out, ',')
		}
		out = appendNumber(out, v)
	}
	return append(out, ']'), nil
}

// FramesIndex locates each part of a long recording.
type FramesIndex struct {
	Complete bool    `json:"complete"`
	Parts    []Part  `json:"parts"`
	Begin    float64 `json:"begin"` // seconds, of the first frame
	End      float64 `json:"end"`   // seconds, of the last frame
}

// Part is a run of frames, stored as Frames in JSON and gzip.
type Part struct {
	Begin  float64 `json:"begin"` // seconds, of its first frame
	End    float64 `json:"end"`   // seconds, of its last frame
	Offset int64   `json:"offset"`
	Size   int64   `json:"size"`
}

// PartPositions is how many positions one part holds, unless a single frame has more: 150 KB in gzip, 50 seconds of 400
// vehicles.
const PartPositions = 20_000

// geoHead is how much of a file is searched for SUMO's configuration, which is in a comment at its beginning.
const geoHead = 16 << 10

// SplitFrames reads an fcd-output and writes it to parts in pieces that can be read one by one; the index locates them.
func SplitFrames(fcd io.Reader, parts io.Writer) (FramesIndex, error) {
	s := &splitter{out: parts, number: map[string]int{}, index: FramesIndex{Parts: []Part{}}}
	source := &watched{r: fcd}
	plain, err := xml.Unpack(source)
	if err == nil {
		plain = bufio.NewReaderSize(plain, geoHead)
		if head, _ := plain.Peek(geoHead); bytes.Contains(head, []byte(`<fcd-output.geo value="true"/>`)) {
			return FramesIndex{}, problem.New(problem.NotFound, "The positions of this run are longitudes and latitudes, which do not fit "+
				"the network's plane. Remove fcd-output.geo from the configuration and run it again.")
		}
		err = scan(plain, s.element)
	}
	complete, err := source.completeness(err)
	if err != nil {
		return FramesIndex{}, err
	}
	if err := s.endPart(); err != nil {
		return FramesIndex{}, err
	}
	if !s.placed {
		return FramesIndex{}, problem.New(problem.NotFound, "The run recorded no positions of vehicles: either none departed, or its "+
			"fcd-output.attributes leaves out x and y.")
	}
	s.index.Complete = complete
	return s.index, nil
}

type splitter struct {
	out    io.Writer
	index  FramesIndex
	part   Frames
	number map[string]int // of each of part.IDs
	offset int64
	placed bool // a position was seen
}

func (s *splitter) element(e xml.Element) error {
	switch string(e.Name) {
	case "timestep":
		if s.part.Full() {
			if err := s.endPart(); err != nil {
				return err
			}
		}
		s.part.Times = append(s.part.Times, number(e, "time"))
		s.part.Frames = append(s.part.Frames, []Position{})
	case "vehicle":
		x, y := number(e, "x"), number(e, "y")
		last := len(s.part.Frames) - 1
		if math.IsNaN(x) || math.IsNaN(y) || last < 0 {
			return nil
		}
		id := e.Attr("id")
		n, ok := s.number[string(id)]
		if !ok {
			n = len(s.part.IDs)
			s.part.IDs, s.part.Types = append(s.part.IDs, string(id)), append(s.part.Types, string(e.Attr("type")))
			s.number[s.part.IDs[n]] = n
		}
		s.part.Frames[last] = append(s.part.Frames[last], Position{
			float64(n), round(x, 1), round(y, 1), or0(round(number(e, "angle"), 0)), or0(round(number(e, "speed"), 1)),
		})
		s.part.count++
		s.placed = true
	}
	return nil
}

// endPart stores what has been gathered.
func (s *splitter) endPart() error {
	n := len(s.part.Times)
	if n == 0 {
		return nil
	}
	var packed bytes.Buffer
	z, _ := gzip.NewWriterLevel(&packed, gzip.BestSpeed) // the level is valid
	if err := json.NewEncoder(z).Encode(s.part); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	if len(s.index.Parts) == 0 {
		s.index.Begin = s.part.Times[0]
	}
	s.index.End = s.part.Times[n-1]
	s.index.Parts = append(s.index.Parts, Part{Begin: s.part.Times[0], End: s.index.End, Offset: s.offset, Size: int64(packed.Len())})
	s.offset += int64(packed.Len())
	clear(s.number)
	s.part = Frames{}
	_, err := s.out.Write(packed.Bytes())
	return err
}

// Add appends the frames of f that lie within begin and end and at least step behind the last of a, as long as a has
// room. It returns the time of the first that did not fit, and false when all fitted.
func (a *Frames) Add(f Frames, begin, end, step float64) (next float64, full bool) {
	const slack = 1e-6 // of times, which SUMO counts in milliseconds
	known := map[string]int{}
	for i, id := range a.IDs {
		known[id] = i
	}
	for i, t := range f.Times {
		if t < begin-slack || t > end+slack || len(a.Times) > 0 && t < a.Times[len(a.Times)-1]+step-slack {
			continue
		}
		if len(a.Times) > 0 && a.count+len(f.Frames[i]) > PartPositions {
			return t, true
		}
		frame := make([]Position, len(f.Frames[i]))
		for j, p := range f.Frames[i] {
			id := f.IDs[int(p[0])]
			n, ok := known[id]
			if !ok {
				n = len(a.IDs)
				a.IDs, a.Types = append(a.IDs, id), append(a.Types, f.Types[int(p[0])])
				known[id] = n
			}
			p[0] = float64(n)
			frame[j] = p
		}
		a.Times, a.Frames, a.count = append(a.Times, t), append(a.Frames, frame), a.count+len(frame)
	}
	return 0, false
}
