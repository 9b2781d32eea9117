package client

import (
	"bufio"
	"io"
	"iter"
	"strconv"
	"strings"
	"time"
)

const (
	// defaultEvent is the name of an event that gives none, after the standard for server-sent events (WHATWG HTML, 9.2).
	defaultEvent = "message"
	// maxEventLine is far longer than any readable line of a log.
	maxEventLine = 1 << 20
)

// event is one server-sent event.
type event struct {
	id   string // empty when it has none of its own
	name string
	data string
}

// eventReader reads an event stream.
type eventReader struct {
	// retry is how long the server asks to wait before the stream is opened again; 0 when it has not said.
	retry time.Duration
}

// events yields the events of r, whose lines end in LF or CRLF. It ends with r; the beginning of an event that r cuts off is
// dropped, as the standard asks, so that resuming after the last id misses and repeats nothing. A read error is yielded last.
func (e *eventReader) events(r io.Reader) iter.Seq2[event, error] {
	return func(yield func(event, error) bool) {
		lines := bufio.NewScanner(r)
		lines.Buffer(nil, maxEventLine)
		current := event{name: defaultEvent}
		var data []string
		for lines.Scan() {
			if lines.Text() == "" {
				if data != nil {
					current.data = strings.Join(data, "\n")
					if !yield(current, nil) {
						return
					}
				}
				current, data = event{name: defaultEvent}, nil
				continue
			}
			field, value, _ := strings.Cut(lines.Text(), ":")
			value = strings.TrimPrefix(value, " ")
			switch field {
			case "id":
				current.id = value
			case "event":
				current.name = value
			case "data":
				data = append(data, value)
			case "retry":
				if ms, err := strconv.Atoi(value); err == nil && ms >= 0 {
					e.retry = min(time.Duration(ms)*time.Millisecond, longestPause)
				}
			}
		}
		if err := lines.Err(); err != nil {
			yield(event{}, err)
		}
	}
}
