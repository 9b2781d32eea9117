package replay

// Index lists the segments of a recording, and what can be said of it as a whole.
type Index struct {
	// Attempt is part of the segments' addresses.
	Attempt  string                 `json:"attempt" doc:"Part of the segments' addresses. It changes when segments that were read before no longer count: when the run starts again, when its controller begins another simulation, and when small segments have been merged at its end. Empty until the run has begun."`
	Complete bool                   `json:"complete" doc:"Nothing more will come."`
	Source   string                 `json:"source" enum:"recording,fcd" doc:"What it was made from: recording is the run itself, fcd its fcd output."`
	Period   float64                `json:"period" doc:"Simulated time between two frames, in seconds."`
	Begin    float64                `json:"begin" doc:"Simulated time of the first frame, in seconds."`
	End      float64                `json:"end" doc:"Simulated time of the last frame, in seconds."`
	Bounds   *Bounds                `json:"bounds" nullable:"true" doc:"The least x and y and the greatest x and y of all positions, in m; null if there are none."`
	Segments []Segment              `json:"segments" nullable:"false"`
	Types    map[string]VehicleType `json:"types" doc:"How vehicles are drawn, by their types. Complete when the recording is."`
	Signals  []string               `json:"signals" nullable:"false" doc:"Ids of the traffic lights that have states in the recording."`
	Events   []Incident             `json:"events" nullable:"false" doc:"All of them, at most 10,000, in the order of time."`
	Missing  []string               `json:"missing" nullable:"false" doc:"What the recording lacks, and why."`
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
	N       int     `json:"n" doc:"Its number, which is part of its address."`
	Begin   float64 `json:"begin" doc:"Simulated time of its first frame, in seconds."`
	End     float64 `json:"end" doc:"Simulated time of its last frame, in seconds."`
	Frames  int     `json:"frames"`
	Bytes   int     `json:"bytes"`
	Running int     `json:"running" doc:"Vehicles, without persons, in its last frame."`
	Halting int     `json:"halting" doc:"Those of them that stand."`

	positions int
	bounds    Bounds
	events    []Incident
	signals   []string
}

// VehicleType is how vehicles of a type are drawn.
type VehicleType struct {
	Class  string  `json:"class" doc:"SUMO's vClass."`
	Length float64 `json:"length" doc:"m"`
	Width  float64 `json:"width" doc:"m"`
}

// NewIndex returns an index without segments.
func NewIndex(attempt, source string) Index {
	return Index{
		Attempt: attempt, Source: source, Segments: []Segment{}, Types: map[string]VehicleType{}, Signals: []string{}, Events: []Incident{},
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
