package replay

import (
	"encoding/json"
	"fmt"
)

// Change is a traffic light's new state. In JSON it is an array: the time, the index of the signal, the state.
type Change struct {
	Time   int64 // ms
	Signal int   // index in Signals.IDs
	State  string
}

// MarshalJSON writes the array.
func (c Change) MarshalJSON() ([]byte, error) {
	return json.Marshal([]any{c.Time, c.Signal, c.State})
}

// UnmarshalJSON reads it.
func (c *Change) UnmarshalJSON(data []byte) error {
	var parts []json.RawMessage
	if err := json.Unmarshal(data, &parts); err != nil {
		return err
	}
	if len(parts) != 3 {
		return fmt.Errorf("a change of a signal has 3 parts, not %d", len(parts))
	}
	for i, into := range []any{&c.Time, &c.Signal, &c.State} {
		if err := json.Unmarshal(parts[i], into); err != nil {
			return err
		}
	}
	return nil
}

// signalBook keeps the states of signals from one segment to the next.
type signalBook struct {
	ids     []string
	index   map[string]int
	states  []string // now
	first   []string // at the first frame of the segment
	changes []Change
	bytes   int // about, of all of this as JSON
	fixed   int // of it what stays from segment to segment
}

// full reports whether a segment should end, so that there is room for the changes that come.
func (b *signalBook) full() bool { return b.bytes-b.fixed >= (signalRoom-b.fixed)/2 }

// set notes a state from a time on, if there is room for it.
func (b *signalBook) set(ms int64, id, state string) bool {
	i, known := b.index[id]
	if known && b.states[i] == state {
		return true
	}
	quoted := quotedLen([]byte(state)) + 1
	size := quoted + 18 // with a time and an index
	entry := 0
	if !known {
		entry = quotedLen([]byte(id)) + 1 + quoted
	}
	if size += entry; b.bytes+size > signalRoom {
		return false
	}
	if !known {
		if b.index == nil {
			b.index = map[string]int{}
		}
		i = len(b.ids)
		b.index[id] = i
		b.ids, b.states, b.first = append(b.ids, id), append(b.states, ""), append(b.first, "")
		b.fixed += entry
	}
	b.states[i] = state
	b.changes = append(b.changes, Change{ms, i, state})
	b.bytes += size
	return true
}

// cut returns the signals of a segment whose first frame is at a time, and begins the next.
func (b *signalBook) cut(first int64) Signals {
	n := 0
	for ; n < len(b.changes) && b.changes[n].Time <= first; n++ {
		b.first[b.changes[n].Signal] = b.changes[n].State
	}
	s := Signals{IDs: append([]string{}, b.ids...), States: append([]string{}, b.first...), Changes: append([]Change{}, b.changes[n:]...)}
	copy(b.first, b.states)
	b.changes, b.bytes = b.changes[:0], b.fixed
	return s
}
