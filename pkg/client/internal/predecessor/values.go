package predecessor

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Timestamp is a time with or without a zone; without one it is in UTC.
type Timestamp struct{ time.Time }

// UnmarshalJSON implements json.Unmarshaler.
func (t *Timestamp) UnmarshalJSON(raw []byte) error {
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return err
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05"} { // either may have a fraction
		if at, err := time.Parse(layout, text); err == nil {
			t.Time = at.UTC()
			return nil
		}
	}
	return fmt.Errorf("%.40q is not a time", text)
}

// At returns the time, or nil for none.
func (t *Timestamp) At() *time.Time {
	if t == nil {
		return nil
	}
	return &t.Time
}

// Number is a whole number, in a column of any type of number or of text.
type Number int

// UnmarshalJSON implements json.Unmarshaler.
func (n *Number) UnmarshalJSON(raw []byte) error {
	text := strings.Trim(string(raw), `"`)
	if text == "null" {
		return nil
	}
	value, err := strconv.ParseFloat(text, 64)
	if err != nil || math.Abs(value) > math.MaxInt32 {
		return fmt.Errorf("%.40q is not a number", text)
	}
	*n = Number(value)
	return nil
}

// Loose is a document in a column of JSON, or of text that holds JSON. What is in it was never checked, so a document of another form
// is an empty one.
type Loose[T any] struct{ Value T }

// UnmarshalJSON implements json.Unmarshaler.
func (l *Loose[T]) UnmarshalJSON(raw []byte) error {
	var text string
	if json.Unmarshal(raw, &text) == nil && strings.HasPrefix(strings.TrimSpace(text), "{") {
		raw = []byte(text)
	}
	var value T
	if json.Unmarshal(raw, &value) == nil {
		l.Value = value
	}
	return nil
}

// Text is a string; what else JSON may hold in its place is written as JSON does.
type Text string

// UnmarshalJSON implements json.Unmarshaler.
func (t *Text) UnmarshalJSON(raw []byte) error {
	var text string
	if json.Unmarshal(raw, &text) != nil {
		text = string(raw)
	}
	*t = Text(text)
	return nil
}
