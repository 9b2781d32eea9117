package client

import (
	"bufio"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEvents(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		stream string
		want   []event
	}{
		"nothing":                          {"", nil},
		"one event":                        {"id: 7\nevent: progress\ndata: x\n\n", []event{{"7", "progress", "x"}}},
		"an unnamed event is a message":    {"data: x\n\n", []event{{"", "message", "x"}}},
		"several data lines make one text": {"data: a\ndata:\ndata: b\n\n", []event{{"", "message", "a\n\nb"}}},
		"one space after the colon goes":   {"data:  a\n\ndata:b\n\n", []event{{"", "message", " a"}, {"", "message", "b"}}},
		"an id is of one event":            {"id: 1\ndata: a\n\ndata: b\n\n", []event{{"1", "message", "a"}, {"", "message", "b"}}},
		"a name holds for one event":       {"event: e\ndata: a\n\ndata: b\n\n", []event{{"", "e", "a"}, {"", "message", "b"}}},
		"comments and blank lines":         {": ping\n\n\n:\n\ndata: a\n\n", []event{{"", "message", "a"}}},
		"unknown fields":                   {"retry: 100\nwhat\ndata: a\n\n", []event{{"", "message", "a"}}},
		"an event without data":            {"id: 1\nevent: e\n\ndata: a\n\n", []event{{"", "message", "a"}}},
		"carriage returns":                 {"data: a\r\n\r\n", []event{{"", "message", "a"}}},
		"a cut event is dropped":           {"data: a\n\nid: 2\ndata: b\n", []event{{"", "message", "a"}}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []event
			for e, err := range (&eventReader{}).events(strings.NewReader(tt.stream)) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, e)
			}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(event{})); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEventsRefusesAnEndlessLine(t *testing.T) {
	t.Parallel()
	for _, err := range (&eventReader{}).events(strings.NewReader("data: " + strings.Repeat("x", maxEventLine) + "\n\n")) {
		if !errors.Is(err, bufio.ErrTooLong) {
			t.Errorf("error %v, want %v", err, bufio.ErrTooLong)
		}
		return
	}
	t.Error("the line was ignored silently")
}

func TestEventsStopsWhenToldTo(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, err := range (&eventReader{}).events(strings.NewReader("data: a\n\ndata: b\n\n")) {
		if err != nil {
			t.Error(err)
		}
		seen++
		break
	}
	if seen != 1 {
		t.Errorf("saw %d events, want 1", seen)
	}
}
