package replay

// Index lists the segments of a recording, and what can be said of it as a whole.
type Index struct {
	// Attempt is part of the segments' addresses. It changes when segments that were read before no longer count: when a run starts
	// again, and when small segments have been merged at its end.
	Attempt  string          `json:"attempt"`
	Complete bool            `json:"complete"` // nothing more will come
	Source   string          `json:"source"`   // FromRun or FromFCD
	Period   float64         `json:"period"`   // seconds between frames
	Begin    float64         `json:"begin"`    // seconds, of the first frame
	End      float64         `json:"end"`      // seconds, of the last frame
	Bounds   *Bounds         `json:"bounds"`   // m: least x and y, greatest x and y of positions; none without positions
	Segments []Segment       `json:"segments"`
	Types    map[string]Type `json:"types"`
	Signals  []string        `json:"signals"`
	Events   []Event         `json:"events"`  // at most MaxEvents
	Missing  []string        `json:"missing"` // what the recording lacks, and why
}

// Sources of recordings.
const (
	FromRun = "recording"
	FromFCD = "fcd"
)

// MaxEvents is the greatest number of events in an index.
const MaxEvents = 10_000

// Segment is a segment as the index lists it.
type Segment struct {
	N       int     `json:"n"`
	Begin   float64 `json:"begin"` // seconds, of its first frame
	End     float64 `json:"end"`   // seconds, of its last frame
	Frames  int     `json:"frames"`
	Bytes   int     `json:"bytes"`
	Running int     `json:"running"` // vehicles, without persons, in its last frame
	Halting int     `json:"halting"` // vehicles that stand in its last frame

	positions int
	bounds    Bounds
	events    []Event
	signals   []string
}

// Type is how vehicles of a type are drawn.
type Type struct {
	Class  string  `json:"class"`  // SUMO's vClass
	Length float64 `json:"length"` // m
	Width  float64 `json:"width"`  // m
}

// NewIndex returns an index without segments.
func NewIndex(attempt, source string) Index {
	return Index{
		Attempt: attempt, Source: source, Segments: []Segment{}, Types: map[string]Type{}, Signals: []string{}, Events: []Event{},
		Missing: []string{},
	}
}

// Add lists a segment that the writer has just finished.
func (x *Index) Add(s Segment) {
	if len(x.Segments) == 0 {
		x.Begin = s.Begin
	}
	x.End = s.End
	if s.bounds[0] <= s.bounds[2] {
		if x.Bounds == nil {
			b := Empty()
			x.Bounds = &b
		}
		x.Bounds.Join(s.bounds)
	}
	x.Segments = append(x.Segments, s)
	x.Events = append(x.Events, s.events[:min(len(s.events), MaxEvents-len(x.Events))]...)
	if len(s.signals) > len(x.Signals) {
		x.Signals = s.signals // the writer's list only grows
	}
}
