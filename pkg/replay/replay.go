// Package replay defines the recording of a run that people watch: where vehicles and persons were, the states of traffic lights, and
// what happened to whom, in segments that are each read on their own.
//
// docs/replay-format.md describes the bytes. Numbers in a segment are whole: times in ms of simulated time, positions in 0.1 m, angles in
// degrees clockwise from north, speeds in 0.1 m/s.
package replay

import (
	"errors"
	"math"
)

// magic begins every segment; its last byte is the version of the format.
const magic = "SK8R\x01"

// Units of the numbers in a segment.
const (
	PerMetre  = 10   // positions
	PerSpeed  = 10   // speeds, of 1 m/s
	PerSecond = 1000 // times
)

// Standing is the highest speed, in 0.1 m/s, at which a vehicle counts as waiting. SUMO's halting speed is 0.1 m/s.
const Standing = 1

// Where a segment ends.
const (
	segmentSpan      = 60 * PerSecond // simulated: a reader that jumps to a moment reads one segment
	segmentPositions = 300_000        // about 1 MB compressed
)

// Bounds of what is read of a recording, in bytes.
const (
	// MaxSegment is larger than any segment that is written.
	MaxSegment = 64 << 20
	// MaxIndex has room for MaxEvents and the segments of a simulated year.
	MaxIndex = 64 << 20
)

// Bounds of what is written and read, so that neither takes more memory than these say.
const (
	maxInflated = 64 << 20
	maxHeader   = 16 << 20
	// headerRoom is how much of a header the vehicles in it may take, as JSON. A segment ends when they exceed headerEnough; vehicles
	// beyond headerRoom are left out and counted.
	headerRoom   = 10 << 20
	headerEnough = 6 << 20
	// signalRoom is the same of signals: 25,000 of them, in a city of 100,000 edges, take 2 MiB at first and as much in each minute.
	signalRoom = 3 << 20
	eventRoom  = 2 << 20 // of all segments, since the index has them all
	maxTypes   = 10_000
	typeRoom   = 2 << 20 // bytes that the names of types may take, as JSON
	maxCoord   = math.MaxInt32
	maxTime    = 1 << 40 // ms: 34 years
)

// The columns of a segment, in the order in which they are written.
const (
	colMembers = iota
	colX
	colY
	colAngle
	colSpeed
	colLane
	columnCount
)

var columnNames = [columnCount]string{"members", "x", "y", "angle", "speed", "lane"}

// Header is the part of a segment that is JSON.
type Header struct {
	Times    []int64    `json:"times"`    // ms of each frame, ascending
	Origin   [2]int64   `json:"origin"`   // of first positions, in 0.1 m
	Vehicles []Vehicle  `json:"vehicles"` // in order of appearance in this segment
	Lanes    []string   `json:"lanes"`    // lanes, and edges of persons, in order of appearance
	Signals  Signals    `json:"signals"`
	Events   []Incident `json:"events"`
	Columns  []string   `json:"columns"`
}

// Vehicle is a vehicle or a person of a segment.
type Vehicle struct {
	ID   string `json:"id"`
	Type string `json:"type"`
	// Waiting is for how many seconds it has been standing at its first frame here.
	Waiting float64 `json:"waiting"`
	Person  bool    `json:"person,omitempty"`
}

// Signals are the states of traffic lights, as SUMO writes them: one letter for each link.
type Signals struct {
	IDs     []string `json:"ids"`
	States  []string `json:"states"` // at the first frame, by ids; empty where it is unknown
	Changes []Change `json:"changes"`
}

// Incident is what happened at a time, and where.
type Incident struct {
	Time    float64  `json:"time" doc:"Simulated time, in seconds."`
	Kind    string   `json:"kind" doc:"teleport, collision, emergency_braking, emergency_stop or dropped; there may be more."`
	Vehicle string   `json:"vehicle,omitempty"`
	Edge    string   `json:"edge,omitempty"`
	Lane    string   `json:"lane,omitempty"`
	X       *float64 `json:"x" doc:"Where the vehicle was, in m; null where that is not known."`
	Y       *float64 `json:"y" doc:"Where the vehicle was, in m; null where that is not known."`
	Text    string   `json:"text" doc:"SUMO's own line in the log."`
}

// Kinds of events.
const (
	Teleport         = "teleport"
	Collision        = "collision"
	EmergencyBraking = "emergency_braking"
	EmergencyStop    = "emergency_stop"
	Dropped          = "dropped"
)

// Position is one vehicle in one frame.
type Position struct {
	Vehicle int   // index in Header.Vehicles
	X, Y    int32 // 0.1 m
	Angle   int32 // degrees clockwise from north, 0 to 359
	Speed   int32 // 0.1 m/s
	Lane    int   // index in Header.Lanes; -1 where it is unknown
}

// ErrMalformed is the cause of every error about the bytes of a segment.
var ErrMalformed = errors.New("the segment is malformed")

// sine holds round(sin(a°)·32768): whole numbers, so that every reader predicts the same positions whatever its sine.
var sine = func() (table [360]int64) {
	for a := range table {
		table[a] = int64(math.Round(math.Sin(float64(a)*math.Pi/180) * 32768))
	}
	return table
}()

// predict returns how far a vehicle goes in dt ms at a speed and angle, in 0.1 m.
func predict(speed, angle int32, dt int64) (dx, dy int64) {
	way := float64(speed) * float64(dt)
	return int64(math.Floor(way*float64(sine[angle])/32768000 + 0.5)),
		int64(math.Floor(way*float64(sine[(angle+90)%360])/32768000 + 0.5))
}

// turn returns the difference of two angles, in [-180, 180).
func turn(from, to int32) int32 { return (to-from+540)%360 - 180 }
