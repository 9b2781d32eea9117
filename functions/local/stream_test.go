package main

import (
	"bufio"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/job"
)

// event is one server-sent event.
type event struct {
	id, kind string
	Message  string  `json:"message"`
	Status   string  `json:"status"`
	Progress float64 `json:"progress"`

	// Of a recording.
	Attempt  string  `json:"attempt"`
	Segments int     `json:"segments"`
	End      float64 `json:"end"`
}

// events reads a stream until its end, or until enough returns true.
func (c *tenantClient) events(t *testing.T, id, lastID string, enough func(event) bool) []event {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", c.url+"/jobs/"+id+"/logs/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+c.key)
	r.Header.Set("Accept", "text/event-stream;version=2")
	if lastID != "" {
		r.Header.Set("Last-Event-ID", lastID)
	}
	response, err := (&http.Client{Transport: c.client.Transport}).Do(r) // it may last longer than other calls
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Fatalf("the stream answered %d", response.StatusCode)
	}
	var all []event
	var e event
	complete := false // an id alone is for resuming, and no event
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		field, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "id":
			e.id = value
		case "event":
			e.kind = value
		case "data":
			if err := json.Unmarshal([]byte(value), &e); err != nil {
				t.Fatalf("event data %s: %v", value, err)
			}
			complete = true
		case "":
			if lines.Text() != "" {
				continue // a comment
			}
			if complete {
				all = append(all, e)
				if enough != nil && enough(e) {
					return all
				}
			}
			e, complete = event{}, false
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatalf("reading the stream: %v", err)
	}
	return all
}

// follow reads a stream to its end: the log's lines, the progress events, and the last event.
func (c *tenantClient) follow(t *testing.T, id, lastID string) (lines, progress []event, last event) {
	t.Helper()
	for _, e := range c.events(t, id, lastID, nil) {
		switch {
		case e.kind == "progress":
			progress = append(progress, e)
		case e.id != "":
			lines = append(lines, e)
		default:
			last = e
		}
	}
	return lines, progress, last
}

func linesOf(events []event) []string {
	out := make([]string, len(events))
	for i, e := range events {
		out[i] = e.Message
	}
	return out
}

func testStreamResumes(t *testing.T, s *service) {
	c := s.register(t)
	j := c.submit(t, "spider")
	var pieces []string
	lastID := ""
	for { // cut the stream after every third line, while the job runs and after
		n, over := 0, false
		for _, e := range c.events(t, j.JobID, lastID, func(e event) bool {
			if e.id != "" {
				n++
			}
			return n == 3
		}) {
			if e.id != "" {
				pieces, lastID = append(pieces, e.Message), e.id
			}
			over = over || e.kind == "end"
		}
		if over {
			break
		}
	}
	whole, _, last := c.follow(t, j.JobID, "")
	if last.Status != string(job.Succeeded) {
		t.Fatalf("the job ended %s", last.Status)
	}
	if diff := cmp.Diff(linesOf(whole), pieces); diff != "" {
		t.Errorf("the pieces differ from the whole log:\n%s", diff)
	}
	// Earlier versions' ids are only the number of bytes.
	_, old, _ := strings.Cut(lastID, "-")
	if rest, _, _ := c.follow(t, j.JobID, old); len(rest) != 0 {
		t.Errorf("after byte %s, the log's end, there are %d lines", old, len(rest))
	}
	if again, _, _ := c.follow(t, j.JobID, "1-"+old); len(again) != len(whole) {
		t.Errorf("after the log of another run there are %d lines, want all %d", len(again), len(whole))
	}
	c.call(t, "GET", "/jobs/"+j.JobID+"/logs/stream", "Last-Event-ID: never").want(t, http.StatusBadRequest)
}
