package replay

import (
	"errors"
	"io"
)

// Groups divides segments into groups that each fit into one, in their order. A recording without a group of several needs no merging.
func Groups(segments []Segment) (groups [][]Segment) {
	var positions int
	for _, s := range segments {
		if n := len(groups); n > 0 && s.End < groups[n-1][0].Begin+segmentSpan/PerSecond && positions+s.positions <= segmentPositions {
			groups[n-1] = append(groups[n-1], s)
			positions += s.positions
			continue
		}
		groups = append(groups, []Segment{s})
		positions = s.positions
	}
	return groups
}

// Merge writes segments that follow one another, each read when it is due, into w.
func Merge(w *Writer, segments []Segment, read func(n int) ([]byte, error)) error {
	var buf []Position
	for i, s := range segments {
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
	return nil
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
