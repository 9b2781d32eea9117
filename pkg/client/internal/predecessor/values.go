package predecessor

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// fault says what cannot be read, and never its value, which may be a key.
type fault struct {
	name string
	err  error
}

var errType = errors.New("is of another type than expected")

// readFields decodes an object field by field into a struct, so that one value of an unexpected type spoils no other.
func readFields(raw []byte, into any) (faults []fault, err error) {
	var values map[string]json.RawMessage
	if err := json.Unmarshal(raw, &values); err != nil {
		return nil, errType
	}
	fields := reflect.ValueOf(into).Elem()
	for i := range fields.NumField() {
		name := fields.Type().Field(i).Tag.Get("json")
		value, there := values[name]
		if !there {
			continue
		}
		err := json.Unmarshal(value, fields.Field(i).Addr().Interface())
		var mismatch *json.UnmarshalTypeError
		if errors.As(err, &mismatch) {
			err = errType
		}
		if err != nil {
			faults = append(faults, fault{name, err})
		}
	}
	return faults, nil
}

// Timestamp is a time with or without a zone; without one it is in UTC.
type Timestamp struct{ time.Time }

// layouts are those in which Postgres writes times in JSON, and as text. Any may have a fraction.
var layouts = []string{
	time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05Z07", "2006-01-02 15:04:05",
}

// UnmarshalJSON implements json.Unmarshaler.
func (t *Timestamp) UnmarshalJSON(raw []byte) error {
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return err
	}
	for _, layout := range layouts {
		if at, err := time.Parse(layout, strings.TrimSpace(text)); err == nil {
			t.Time = at.UTC()
			return nil
		}
	}
	return errors.New("is not a time")
}

// At returns the time, or nil for none.
func (t *Timestamp) At() *time.Time {
	if t == nil {
		return nil
	}
	return &t.Time
}

// Number is a whole number, in a column of any type of number or of text.
type Number int64

// maxNumber is the largest up to which JSON's numbers are exact.
const maxNumber = 1 << 53

// UnmarshalJSON implements json.Unmarshaler.
func (n *Number) UnmarshalJSON(raw []byte) error {
	text := strings.Trim(string(raw), `"`)
	if text == "null" {
		return nil
	}
	value, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil || !(math.Abs(value) <= maxNumber) { // nor NaN
		return errors.New("is not a number")
	}
	*n = Number(value)
	return nil
}

// Flag is true or false, in any of the ways in which Postgres and Python write it.
type Flag bool

// UnmarshalJSON implements json.Unmarshaler.
func (f *Flag) UnmarshalJSON(raw []byte) error {
	switch strings.ToLower(strings.Trim(string(raw), `" `)) {
	case "true", "t", "yes", "y", "on", "1":
		*f = true
	case "false", "f", "no", "n", "off", "0", "null", "none", "":
		*f = false
	default:
		return errors.New("is neither true nor false")
	}
	return nil
}

// Loose is a document in a column of JSON, or of text that holds JSON. What is in it was never checked: what has another form than
// expected is left out.
type Loose[T any] struct {
	Value T
	// Dropped names what is left out; an empty name is the whole document.
	Dropped []string
}

// UnmarshalJSON implements json.Unmarshaler.
func (l *Loose[T]) UnmarshalJSON(raw []byte) error {
	raw = document(raw)
	if len(raw) == 0 || string(raw) == "null" || string(raw) == "[]" {
		return nil
	}
	faults, err := readFields(raw, &l.Value)
	if err != nil {
		l.Dropped = append(l.Dropped, "")
	}
	for _, f := range faults {
		l.Dropped = append(l.Dropped, f.name)
	}
	return nil
}

// document is raw, or the document in it if it is a string.
func document(raw []byte) []byte {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		raw = []byte(text)
	}
	return bytes.TrimSpace(raw)
}

// Files are result files, as far as they can be read.
type Files struct {
	List    []File
	Dropped []string // what is left out
}

// UnmarshalJSON implements json.Unmarshaler.
func (f *Files) UnmarshalJSON(raw []byte) error {
	var list []json.RawMessage
	if json.Unmarshal(document(raw), &list) != nil {
		return errType
	}
	for i, entry := range list {
		var file File
		faults, err := readFields(entry, &file)
		switch {
		case err == nil && file.Name != "":
			f.List = append(f.List, file)
		default:
			f.Dropped = append(f.Dropped, fmt.Sprintf("files[%d]", i))
			continue
		}
		for _, fault := range faults {
			f.Dropped = append(f.Dropped, fmt.Sprintf("files[%d].%s", i, fault.name))
		}
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
