package replay

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
)

// Sample is a vehicle or a person at a moment, as SUMO writes it. The writer keeps none of its strings.
type Sample struct {
	ID     []byte
	Type   []byte
	X, Y   float64 // m
	Angle  float64 // degrees clockwise from north
	Speed  float64 // m/s
	Lane   []byte  // or the edge, of persons
	Person bool
}

// Written is a finished segment.
type Written struct {
	Segment
	Data []byte
}

// Writer makes segments from frames as they come. It keeps one segment's columns and the vehicles that are in the network: about 300
// bytes for each.
type Writer struct {
	emit func(Written) error

	count     int // of segments
	times     []int64
	origin    [2]int64
	hasOrigin bool
	positions int
	columns   [columnCount][]byte

	vehicles, persons map[string]*track
	active            []*track
	arrived           []*track // in the frame at work
	listed            []*track // of this segment, by number
	room              int      // what the listed take in the header

	lanes     map[string]int
	laneNames []string
	laneRoom  int

	signals signalBook
	events  []Incident // of this segment
	// Over all segments.
	eventCount, eventBytes                 int
	omitted, omittedSignals, omittedEvents int

	types    []string
	typeRoom int // what they take in an index
	hasType  map[string]bool

	bounds   Bounds
	frame    int64 // number of the frame at work, over all segments
	now      int64 // its time
	open     bool
	leavers  []int
	compress *gzip.Writer
}

// Bounds are the least and greatest coordinates of positions, in m. Before the first position they are empty.
type Bounds [4]float64

// Empty returns the bounds of nothing.
func Empty() Bounds { return Bounds{math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)} }

// add extends the bounds by a point in 0.1 m.
func (b *Bounds) add(x, y int32) {
	fx, fy := float64(x)/PerMetre, float64(y)/PerMetre
	b[0], b[1], b[2], b[3] = min(b[0], fx), min(b[1], fy), max(b[2], fx), max(b[3], fy)
}

// Join extends the bounds by others.
func (b *Bounds) Join(o Bounds) {
	b[0], b[1], b[2], b[3] = min(b[0], o[0]), min(b[1], o[1]), max(b[2], o[2]), max(b[3], o[3])
}

// track is what the writer knows of a vehicle.
type track struct {
	id, typ string
	person  bool
	quoted  int // length of its entry in the header

	number int   // in this segment; -1 before it appears
	active bool  // it is in the list
	seen   int64 // the frame that last had it
	fresh  bool  // it was added in the frame at work

	x, y, angle, speed, lane int32 // in the frame before
	nx, ny, nangle, nspeed   int32 // in the frame at work
	nlane                    int32 // index in laneNames; -1 where it is unknown
	standing                 bool
	since                    int64 // ms; it has been standing since then
	waitingAtFirst           int64 // ms, in its first frame of this segment
}

// level of compression: gzip's default takes a quarter more of the recorder's time, which is the run's, and 7 % less room.
const level = 2

// NewWriter returns a writer that hands over each segment when it is finished.
func NewWriter(emit func(Written) error) *Writer {
	w := &Writer{
		emit: emit, vehicles: map[string]*track{}, persons: map[string]*track{}, lanes: map[string]int{}, hasType: map[string]bool{},
		bounds: Empty(),
	}
	w.compress, _ = gzip.NewWriterLevel(nil, level) // which is valid
	return w
}

// Missing says what was left out because it would have exceeded a bound.
func (w *Writer) Missing() (out []string) {
	for _, m := range []struct {
		n    int
		what string
	}{
		{w.omitted, "positions: the ids of the vehicles at once are too long"},
		{w.omittedSignals, "states of signals: they are too long, or change too often"},
		{w.omittedEvents, "events: they are too many, or their text is too long"},
	} {
		if m.n > 0 {
			out = append(out, fmt.Sprintf("%d %s", m.n, m.what))
		}
	}
	return out
}

// Frames returns how many frames wait in the segment at work.
func (w *Writer) Frames() int { return len(w.times) }

// Where returns where a vehicle was in the last frame that had it, in m.
func (w *Writer) Where(vehicle string) (x, y float64, ok bool) {
	t := w.vehicles[vehicle]
	if t == nil || t.number < 0 && !t.active {
		return 0, 0, false
	}
	return float64(t.x) / PerMetre, float64(t.y) / PerMetre, true
}

// Types lists the types of all vehicles and persons so far.
func (w *Writer) Types() []string { return w.types }

// Begin begins the frame of a time. Times ascend.
func (w *Writer) Begin(ms int64) error {
	if w.open {
		if err := w.End(); err != nil {
			return err
		}
	}
	if n := len(w.times); n > 0 {
		switch {
		case ms <= w.times[n-1]:
			return fmt.Errorf("a frame at %d ms follows one at %d ms", ms, w.times[n-1])
		case ms-w.times[0] >= segmentSpan, w.positions >= segmentPositions,
			w.room+w.laneRoom >= headerEnough, w.signals.full():
			if err := w.Flush(); err != nil {
				return err
			}
		}
	}
	w.now, w.open = ms, true
	w.frame++
	return nil
}

// Add puts a vehicle into the frame at work. Positions that no network has are left out: SUMO writes them for what is nowhere.
func (w *Writer) Add(s Sample) { w.add(s) }

// add returns the vehicle's track if it is in the frame.
func (w *Writer) add(s Sample) *track {
	x, y := math.Round(s.X*PerMetre), math.Round(s.Y*PerMetre)
	if !(math.Abs(x) <= maxCoord && math.Abs(y) <= maxCoord) {
		return nil
	}
	tracks := w.vehicles
	if s.Person {
		tracks = w.persons
	}
	t := tracks[string(s.ID)]
	if t == nil {
		entry := len(`{"id":,"type":,"waiting":0000.000,"person":true},`) + quotedLen(s.ID) + quotedLen(s.Type)
		if w.room+entry > headerRoom {
			w.omitted++
			return nil
		}
		w.room += entry
		t = &track{id: string(s.ID), typ: string(s.Type), person: s.Person, quoted: entry, number: -1}
		tracks[t.id] = t
		w.typed(t.typ)
	}
	if t.seen == w.frame {
		return nil // SUMO names each vehicle once
	}
	t.seen = w.frame
	t.nx, t.ny = int32(x), int32(y)
	t.nangle, t.nspeed, t.nlane = wholeAngle(s.Angle), int32(math.Round(min(max(s.Speed, -1e6), 1e6)*PerSpeed)), w.lane(s.Lane)
	if !t.active {
		w.arrived = append(w.arrived, t)
	}
	return t
}

// typed notes a type, if there is room for it.
func (w *Writer) typed(id string) {
	if entry := quotedLen([]byte(id)); !w.hasType[id] && len(w.types) < maxTypes && w.typeRoom+entry <= typeRoom {
		w.typeRoom += entry
		w.hasType[id] = true
		w.types = append(w.types, id)
	}
}

func wholeAngle(a float64) int32 {
	a = math.Mod(math.Round(a), 360)
	if !(math.Abs(a) < 360) {
		return 0
	}
	return (int32(a) + 360) % 360
}

// quotedLen bounds what a string takes as JSON.
func quotedLen(s []byte) int {
	n := len(s) + 2
	for _, c := range s {
		if c < ' ' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' || c >= 0x7f {
			n += 5
		}
	}
	return n
}

func (w *Writer) lane(id []byte) int32 {
	if len(id) == 0 {
		return -1
	}
	k, known := w.lanes[string(id)]
	if !known {
		entry := quotedLen(id) + 1
		if w.laneRoom+entry > headerRoom/4 {
			return -1
		}
		k = len(w.laneNames)
		w.lanes[string(id)] = k
		w.laneNames = append(w.laneNames, string(id))
		w.laneRoom += entry
	}
	return int32(k)
}

// Signal notes a traffic light's state from a time on. Times ascend. What would take a segment's header beyond its bound is left out.
func (w *Writer) Signal(ms int64, id, state string) {
	if !w.signals.set(ms, id, state) {
		w.omittedSignals++
	}
}

// Event notes what happened. Beyond MaxEvents events, and eventRoom of text, they are left out and counted.
func (w *Writer) Event(e Incident) {
	size := len(e.Vehicle) + len(e.Edge) + len(e.Lane) + len(e.Text)
	if w.eventCount == MaxEvents || w.eventBytes+size > eventRoom {
		w.omittedEvents++
		return
	}
	w.eventCount++
	w.eventBytes += size
	w.events = append(w.events, e)
}

// End ends the frame at work.
func (w *Writer) End() error {
	if !w.open {
		return nil
	}
	w.open = false
	var dt int64
	if n := len(w.times); n > 0 {
		dt = w.now - w.times[n-1]
	}
	w.times = append(w.times, w.now)
	w.leave()
	w.arrive()
	for _, t := range w.active {
		w.position(t, dt)
	}
	w.positions += len(w.active)
	return nil
}

// leave takes those out of the list that this frame does not have.
func (w *Writer) leave() {
	w.leavers = w.leavers[:0]
	kept := w.active[:0]
	for i, t := range w.active {
		if t.seen == w.frame {
			kept = append(kept, t)
			continue
		}
		w.leavers = append(w.leavers, i)
		t.active, t.standing = false, false
		if t.number < 0 {
			w.forget(t) // it was in the segment before and is not in this one
		}
	}
	clear(w.active[len(kept):])
	w.active = kept
	if len(w.times) == 1 {
		w.leavers = w.leavers[:0] // nobody is in the list of a new segment
	}
	c := &w.columns[colMembers]
	*c = binary.AppendUvarint(*c, uint64(len(w.leavers)))
	before := -1
	for _, i := range w.leavers {
		*c = binary.AppendUvarint(*c, uint64(i-before-1))
		before = i
	}
}

// arrive puts those into the list that are new in it, with all of the list when the segment begins.
func (w *Writer) arrive() {
	if len(w.times) == 1 {
		w.arrived = append(append(make([]*track, 0, len(w.active)+len(w.arrived)), w.active...), w.arrived...)
		w.active = w.active[:0]
	}
	c := &w.columns[colMembers]
	*c = binary.AppendUvarint(*c, uint64(len(w.arrived)))
	for _, t := range w.arrived {
		if t.number < 0 {
			t.number = len(w.listed)
			w.listed = append(w.listed, t)
			*c = binary.AppendUvarint(*c, 0)
			t.waitingAtFirst = w.waiting(t)
		} else {
			*c = binary.AppendUvarint(*c, uint64(t.number)+1)
		}
		t.active, t.fresh, t.lane = true, true, -1
		w.active = append(w.active, t)
	}
	clear(w.arrived)
	w.arrived = w.arrived[:0]
}

// waiting returns for how many ms a vehicle has been standing in the frame at work.
func (w *Writer) waiting(t *track) int64 {
	if t.standing && t.nspeed <= Standing {
		return w.now - t.since
	}
	return 0
}

// position writes one vehicle of the frame at work.
func (w *Writer) position(t *track, dt int64) {
	if t.nspeed > Standing {
		t.standing = false
	} else if !t.standing {
		t.standing, t.since = true, w.now
	}
	c := &w.columns
	switch {
	case t.fresh:
		if !w.hasOrigin {
			w.origin, w.hasOrigin = [2]int64{int64(t.nx), int64(t.ny)}, true
		}
		c[colX] = binary.AppendVarint(c[colX], int64(t.nx)-w.origin[0])
		c[colY] = binary.AppendVarint(c[colY], int64(t.ny)-w.origin[1])
		c[colAngle] = binary.AppendVarint(c[colAngle], int64(t.nangle))
		c[colSpeed] = binary.AppendVarint(c[colSpeed], int64(t.nspeed))
	default:
		dx, dy := predict(t.nspeed, t.nangle, dt)
		c[colX] = binary.AppendVarint(c[colX], int64(t.nx)-int64(t.x)-dx)
		c[colY] = binary.AppendVarint(c[colY], int64(t.ny)-int64(t.y)-dy)
		c[colAngle] = binary.AppendVarint(c[colAngle], int64(turn(t.angle, t.nangle)))
		c[colSpeed] = binary.AppendVarint(c[colSpeed], int64(t.nspeed)-int64(t.speed))
	}
	lane := uint64(0)
	if t.nlane >= 0 && t.nlane != t.lane {
		lane = uint64(t.nlane) + 1
		t.lane = t.nlane
	}
	c[colLane] = binary.AppendUvarint(c[colLane], lane)
	t.x, t.y, t.angle, t.speed, t.fresh = t.nx, t.ny, t.nangle, t.nspeed, false
	w.bounds.add(t.x, t.y)
}

// Flush finishes the segment at work, if it has frames, and hands it over.
func (w *Writer) Flush() error {
	if w.open {
		if err := w.End(); err != nil {
			return err
		}
	}
	if len(w.times) == 0 {
		return nil
	}
	h := Header{
		Times: w.times, Origin: w.origin, Lanes: w.laneNames, Signals: w.signals.cut(w.times[0]), Events: w.events, Columns: columnNames[:],
	}
	if h.Lanes == nil {
		h.Lanes = []string{}
	}
	if h.Events == nil {
		h.Events = []Incident{}
	}
	h.Vehicles = make([]Vehicle, len(w.listed))
	for i, t := range w.listed {
		h.Vehicles[i] = Vehicle{ID: t.id, Type: t.typ, Waiting: float64(t.waitingAtFirst) / PerSecond, Person: t.person}
	}
	data, err := encode(w.compress, h, w.columns[:])
	if err != nil {
		return err
	}
	out := Written{Data: data, Segment: Segment{
		N: w.count, Begin: seconds(w.times[0]), End: seconds(w.times[len(w.times)-1]), Frames: len(w.times), Bytes: len(data),
		positions: w.positions, bounds: w.bounds, events: h.Events, signals: h.Signals.IDs,
	}}
	for _, t := range w.active {
		if t.person {
			continue
		}
		out.Running++
		if t.standing {
			out.Halting++
		}
	}
	w.reset()
	return w.emit(out)
}

func seconds(ms int64) float64 { return float64(ms) / PerSecond }

// reset begins a segment. Only vehicles that are in the network are remembered.
func (w *Writer) reset() {
	for _, t := range w.listed {
		t.number = -1
		if !t.active {
			w.forget(t)
		}
	}
	clear(w.listed)
	w.listed = w.listed[:0]
	for i := range w.columns {
		w.columns[i] = w.columns[i][:0]
	}
	w.lanes, w.laneNames, w.laneRoom = map[string]int{}, nil, 0
	w.times, w.positions, w.events, w.hasOrigin, w.origin = nil, 0, nil, false, [2]int64{}
	w.bounds = Empty()
	w.count++
}

// forget removes a vehicle that is in neither the segment nor the network.
func (w *Writer) forget(t *track) {
	w.room -= t.quoted
	if t.person {
		delete(w.persons, t.id)
	} else {
		delete(w.vehicles, t.id)
	}
}

// encode writes a segment. There may be more columns than readers know.
func encode(z *gzip.Writer, h Header, columns [][]byte) ([]byte, error) {
	head, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("the header of a segment: %w", err)
	}
	var out bytes.Buffer
	out.WriteString(magic)
	z.Reset(&out)
	for _, part := range append([][]byte{head}, columns...) {
		// Writing to memory does not fail.
		_, _ = z.Write(binary.AppendUvarint(nil, uint64(len(part))))
		_, _ = z.Write(part)
	}
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("compressing a segment: %w", err)
	}
	return out.Bytes(), nil
}
