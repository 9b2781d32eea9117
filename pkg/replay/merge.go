package replay

import (
	"errors"
	"io"
)

// maxMerged bounds the positions that are merged: reading and writing as many takes some half a minute. Segments beyond stay as they are.
const maxMerged = 100_000_000

// groupsOf divides segments into groups that each fit into one, in their order.
func groupsOf(segments []Segment) (groups [][]Segment) {
	var positions, all int
	for _, s := range segments {
		all += s.positions
		n := len(groups)
		if n > 0 && all <= maxMerged && s.End < groups[n-1][0].Begin+segmentSpan/PerSecond && positions+s.positions <= segmentPositions {
			groups[n-1] = append(groups[n-1], s)
			positions += s.positions
			continue
		}
		groups = append(groups, []Segment{s})
		positions = s.positions
	}
	return groups
}

// merged ends the name of an attempt whose small segments have been merged.
const merged = "m"

// Continues reports whether x, read after earlier, has all frames of earlier, though perhaps in other segments.
func (x Index) Continues(earlier Index) bool {
	return x.Attempt == earlier.Attempt || x.Attempt == earlier.Attempt+merged
}

// Pack hands over the segments of a recording in their order, small ones merged, and returns their index. Where that changes a segment, the
// attempt has another name.
func Pack(x Index, read func(n int) ([]byte, error), write func([]byte) error) (Index, error) {
	groups := groupsOf(x.Segments)
	if len(groups) < len(x.Segments) {
		x.Attempt += merged
	}
	x.Segments = []Segment{}
	keep := func(s Segment, data []byte) error {
		s.N = len(x.Segments)
		x.Segments = append(x.Segments, s)
		return write(data)
	}
	for _, group := range groups {
		if err := pack(group, read, keep); err != nil {
			return x, err
		}
	}
	return x, nil
}

func pack(group []Segment, read func(n int) ([]byte, error), keep func(Segment, []byte) error) error {
	if len(group) == 1 {
		data, err := read(group[0].N)
		if err != nil {
			return err
		}
		return keep(group[0], data)
	}
	w := NewWriter(func(s Written) error { return keep(s.Segment, s.Data) })
	var buf []Position
	for i, s := range group {
		data, err := read(s.N)
		if err != nil {
			return err
		}
		r, err := Open(data)
		if err != nil {
			return err
		}
		if buf, err = w.copy(r, i == 0, buf); err != nil {
			return err
		}
	}
	return w.Flush()
}

// copy writes the frames of a segment. Of the first one it takes over for how long vehicles have been standing.
func (w *Writer) copy(r *Reader, first bool, buf []Position) ([]Position, error) {
	h := r.Header
	for _, e := range h.Events {
		w.Event(e)
	}
	for i, id := range h.Signals.IDs {
		if len(h.Times) > 0 && h.Signals.States[i] != "" {
			w.Signal(h.Times[0], id, h.Signals.States[i])
		}
	}
	for _, c := range h.Signals.Changes {
		w.Signal(c.Time, h.Signals.IDs[c.Signal], c.State)
	}
	carried := make([]bool, len(h.Vehicles))
	for {
		ms, positions, err := r.Next(buf[:0])
		if errors.Is(err, io.EOF) {
			return positions, nil
		}
		if err != nil {
			return positions, err
		}
		if err := w.Begin(ms); err != nil {
			return positions, err
		}
		for _, p := range positions {
			v := h.Vehicles[p.Vehicle]
			s := Sample{
				ID: []byte(v.ID), Type: []byte(v.Type), Person: v.Person,
				X: float64(p.X) / PerMetre, Y: float64(p.Y) / PerMetre, Angle: float64(p.Angle), Speed: float64(p.Speed) / PerSpeed,
			}
			if p.Lane >= 0 {
				s.Lane = []byte(h.Lanes[p.Lane])
			}
			t := w.add(s)
			if t != nil && first && !carried[p.Vehicle] && v.Waiting > 0 {
				t.standing, t.since = true, ms-int64(v.Waiting*PerSecond+0.5)
			}
			carried[p.Vehicle] = true
		}
		buf = positions
	}
}
