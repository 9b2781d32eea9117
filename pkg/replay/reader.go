package replay

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Reader reads one segment, frame by frame.
type Reader struct {
	Header Header

	columns [columnCount][]byte
	frame   int // of the next
	known   int // vehicles of the header that have appeared
	active  []placed
}

// placed is a vehicle of the active list, as it was in the frame before.
type placed struct {
	Position
	fresh bool
}

// Open reads the header of a segment. Of a hostile one it takes at most maxInflated of memory, and some for its header.
func Open(data []byte) (*Reader, error) {
	if !bytes.HasPrefix(data, []byte(magic)) {
		return nil, fmt.Errorf("%w: it does not begin as one of version 1 does", ErrMalformed)
	}
	z, err := gzip.NewReader(bytes.NewReader(data[len(magic):]))
	if err != nil {
		return nil, malformed("its compression", err)
	}
	plain, err := io.ReadAll(io.LimitReader(z, maxInflated+1))
	if err != nil {
		return nil, malformed("its compression", err)
	}
	if len(plain) > maxInflated {
		return nil, fmt.Errorf("%w: it is larger than %d MiB", ErrMalformed, maxInflated>>20)
	}
	head, rest, err := cutPart(plain)
	if err != nil {
		return nil, malformed("its header", err)
	}
	if len(head) > maxHeader {
		return nil, fmt.Errorf("%w: its header is larger than %d MiB", ErrMalformed, maxHeader>>20)
	}
	r := &Reader{}
	if r.Header, err = readHeader(head); err != nil {
		return nil, malformed("its header", err)
	}
	for _, name := range r.Header.Columns {
		var column []byte
		if column, rest, err = cutPart(rest); err != nil {
			return nil, malformed("the column "+name, err)
		}
		if i := slices.Index(columnNames[:], name); i >= 0 {
			r.columns[i] = column
		}
	}
	if err := r.check(); err != nil {
		return nil, err
	}
	return r, nil
}

// readHeader reads the header. Lists whose entries are larger in memory than as JSON are read only if each is as long as a writer makes it.
func readHeader(data []byte) (Header, error) {
	var h struct {
		Header
		Vehicles json.RawMessage `json:"vehicles"`
		Events   json.RawMessage `json:"events"`
	}
	err := json.Unmarshal(data, &h)
	if err != nil {
		return Header{}, err
	}
	if h.Header.Vehicles, err = entries[Vehicle](h.Vehicles, len(`{"id":"","type":"","waiting":0}`)); err != nil {
		return Header{}, fmt.Errorf("vehicles: %w", err)
	}
	if h.Header.Events, err = entries[Incident](h.Events, len(`{"time":0,"kind":"","x":0,"y":0,"text":""}`)); err != nil {
		return Header{}, fmt.Errorf("events: %w", err)
	}
	return h.Header, nil
}

// entries reads a list and refuses it at the first entry that is shorter than least bytes.
func entries[T any](list json.RawMessage, least int) (out []T, err error) {
	if len(list) == 0 {
		return nil, nil
	}
	d := json.NewDecoder(bytes.NewReader(list))
	if t, err := d.Token(); t == nil || err != nil {
		return nil, err
	}
	out = []T{}
	for d.More() {
		var text json.RawMessage
		if err := d.Decode(&text); err != nil {
			return nil, err
		}
		if len(text) < least {
			return nil, fmt.Errorf("%s lacks members", text)
		}
		var entry T
		if err := json.Unmarshal(text, &entry); err != nil {
			return nil, err
		}
		out = append(out, entry)
	}
	return out, nil
}

// check holds the header against itself.
func (r *Reader) check() error {
	before := int64(0)
	for _, t := range r.Header.Times {
		if t < before || t > maxTime {
			return fmt.Errorf("%w: its times do not ascend from 0 to %d", ErrMalformed, int64(maxTime))
		}
		before = t
	}
	if o := r.Header.Origin; max(o[0], o[1]) > maxCoord || min(o[0], o[1]) < -maxCoord {
		return fmt.Errorf("%w: its origin is %d", ErrMalformed, o)
	}
	s := r.Header.Signals
	if len(s.States) != len(s.IDs) {
		return fmt.Errorf("%w: %d signals have %d states", ErrMalformed, len(s.IDs), len(s.States))
	}
	for _, c := range s.Changes {
		if c.Signal < 0 || c.Signal >= len(s.IDs) {
			return fmt.Errorf("%w: a change names signal %d of %d", ErrMalformed, c.Signal, len(s.IDs))
		}
	}
	return nil
}

func malformed(what string, err error) error {
	return fmt.Errorf("%w: %s: %w", ErrMalformed, what, err)
}

var errEnd = errors.New("it ends early")

// cutPart cuts what follows its length.
func cutPart(data []byte) (part, rest []byte, err error) {
	size, n := binary.Uvarint(data)
	if n <= 0 || size > uint64(len(data)-n) {
		return nil, nil, errEnd
	}
	return data[n : n+int(size)], data[n+int(size):], nil
}

// Next appends the positions of the next frame to buf and returns its time in ms. After the last it returns io.EOF.
func (r *Reader) Next(buf []Position) (ms int64, _ []Position, err error) {
	if r.frame == len(r.Header.Times) {
		return 0, buf, io.EOF
	}
	ms = r.Header.Times[r.frame]
	var dt int64
	if r.frame > 0 {
		dt = ms - r.Header.Times[r.frame-1]
	}
	r.frame++
	if err := r.members(); err != nil {
		return ms, buf, malformed(fmt.Sprintf("frame %d", r.frame-1), err)
	}
	for i := range r.active {
		if err := r.move(&r.active[i], dt); err != nil {
			return ms, buf, malformed(fmt.Sprintf("frame %d", r.frame-1), err)
		}
		buf = append(buf, r.active[i].Position)
	}
	return ms, buf, nil
}

// uvarint takes a number off a column.
func (r *Reader) uvarint(column int) (uint64, error) {
	v, n := binary.Uvarint(r.columns[column])
	if n <= 0 {
		return 0, fmt.Errorf("column %s: %w", columnNames[column], errEnd)
	}
	r.columns[column] = r.columns[column][n:]
	return v, nil
}

// varint takes a signed number off a column, no larger than a sum of coordinates needs.
func (r *Reader) varint(column int) (int64, error) {
	v, n := binary.Varint(r.columns[column])
	if n <= 0 {
		return 0, fmt.Errorf("column %s: %w", columnNames[column], errEnd)
	}
	if v < -1<<40 || v > 1<<40 {
		return 0, fmt.Errorf("column %s: %d is out of range", columnNames[column], v)
	}
	r.columns[column] = r.columns[column][n:]
	return v, nil
}

// members brings the active list up to date.
func (r *Reader) members() error {
	leave, err := r.uvarint(colMembers)
	if err != nil {
		return err
	}
	if leave > uint64(len(r.active)) {
		return fmt.Errorf("%d of %d vehicles leave", leave, len(r.active))
	}
	kept, at := 0, 0 // what is kept, and what is left to look at
	for range leave {
		skip, err := r.uvarint(colMembers)
		if err != nil {
			return err
		}
		if skip >= uint64(len(r.active)-at) {
			return errors.New("a vehicle leaves that is not there")
		}
		kept += copy(r.active[kept:], r.active[at:at+int(skip)])
		at += int(skip) + 1
	}
	kept += copy(r.active[kept:], r.active[at:])
	r.active = r.active[:kept]
	arrive, err := r.uvarint(colMembers)
	if err != nil {
		return err
	}
	for range arrive {
		k, err := r.uvarint(colMembers)
		if err != nil {
			return err
		}
		if k == 0 {
			r.known++
			k = uint64(r.known)
		}
		if k > uint64(r.known) || r.known > len(r.Header.Vehicles) || len(r.active) == len(r.Header.Vehicles) {
			return fmt.Errorf("vehicle %d of %d arrives", k, len(r.Header.Vehicles))
		}
		r.active = append(r.active, placed{Position{Vehicle: int(k) - 1, Lane: -1}, true})
	}
	return nil
}

// move reads where one vehicle is in this frame.
func (r *Reader) move(v *placed, dt int64) error {
	var d [columnCount]int64
	for _, c := range []int{colX, colY, colAngle, colSpeed} {
		n, err := r.varint(c)
		if err != nil {
			return err
		}
		d[c] = n
	}
	lane, err := r.uvarint(colLane)
	if err != nil {
		return err
	}
	switch {
	case lane > uint64(len(r.Header.Lanes)):
		return fmt.Errorf("lane %d of %d", lane, len(r.Header.Lanes))
	case lane > 0:
		v.Lane = int(lane) - 1
	}
	x, y, angle, speed := r.Header.Origin[0]+d[colX], r.Header.Origin[1]+d[colY], d[colAngle], d[colSpeed]
	if !v.fresh {
		angle, speed = (int64(v.Angle)+d[colAngle])%360, int64(v.Speed)+d[colSpeed]
		angle = (angle + 360) % 360
	}
	if angle < 0 || angle >= 360 || speed < -maxCoord || speed > maxCoord {
		return fmt.Errorf("angle %d, speed %d", angle, speed)
	}
	if !v.fresh {
		dx, dy := predict(int32(speed), int32(angle), dt)
		x, y = int64(v.X)+dx+d[colX], int64(v.Y)+dy+d[colY]
	}
	if max(x, y) > maxCoord || min(x, y) < -maxCoord {
		return fmt.Errorf("position %d, %d", x, y)
	}
	v.X, v.Y, v.Angle, v.Speed, v.fresh = int32(x), int32(y), int32(angle), int32(speed), false
	return nil
}
