package main

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/client"
	"github.com/sumo-k8/sumo-k8/pkg/client/internal/service"
)

// testLongReplay exports a recording with far more segments than a tenant may make calls in a second.
func testLongReplay(t *testing.T, s *service.Server) {
	u := tenant(t, s)
	o := u.ok("submit", u.network("square", nil), "--end", "48000", "--replay-period", "50", "--follow")
	id := regexp.MustCompile(`Job (\S+) is submitted`).FindStringSubmatch(o.stderr)[1]
	var index struct{ Segments []json.RawMessage }
	if err := json.Unmarshal([]byte(u.ok("replay", id, "-o", "json").stdout), &index); err != nil || len(index.Segments) < 400 {
		t.Fatalf("%d segments, error %v", len(index.Segments), err)
	}
	exported := u.ok("replay", "export", id, "--file", "-")
	if frames := strings.Count(exported.stdout, "<timestep "); frames != 960 {
		t.Errorf("%d frames, want 960", frames)
	}
	if exported.stderr != "" {
		t.Errorf("an export says %s", exported.stderr)
	}
}

// testReplayOfARunThatEnds exports a recording by the index that it had while the job ran.
func testReplayOfARunThatEnds(t *testing.T, s *service.Server) {
	u := tenant(t, s)
	id := strings.TrimSpace(u.ok("submit", u.endless(), "--step-length", "0.001", "--replay-period", "0.001").stdout)
	api, err := client.New(s.URL, client.Options{APIKey: u.env[apiKeyVariable]})
	if err != nil {
		t.Fatal(err)
	}
	var live client.Recording
	for _, err := range api.Follow(t.Context(), id, "") {
		if err == nil {
			live, err = api.Replay(t.Context(), id)
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(live.Segments) > 2 {
			break
		}
	}
	// Its first segment is read while the job runs, and the others afterwards.
	first := live
	first.Segments = first.Segments[:1]
	var out bytes.Buffer
	w := bufio.NewWriter(&out)
	x := exporting{exporter: newFCD(w), last: math.MinInt64, got: func(int64) {}}
	if err := x.segments(t.Context(), api, first); err != nil {
		t.Fatal(err)
	}
	u.ok("cancel", id)
	u.ends(exitCancelled, "logs", "-f", id)
	whole, err := x.all(t.Context(), api, live)
	if err != nil || !whole.Complete || whole.Attempt == live.Attempt {
		t.Fatalf("%v, and the recording is of attempt %s, complete: %t", err, whole.Attempt, whole.Complete)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if again := u.ok("replay", "export", id, "--file", "-").stdout; out.String() != again {
		t.Errorf("exported while the job ended: %d bytes, and afterwards %d", out.Len(), len(again))
	}
}

func testReplay(t *testing.T, s *service.Server) {
	u := tenant(t, s)
	id := strings.TrimSpace(u.ok("submit", u.network("pedestrian_bus", nil), "--end", "100", "--replay-period", "5").stdout)
	u.ok("logs", "-f", id)
	shown := u.ok("replay", id)
	page := strings.TrimSpace(shown.stdout)
	says(t, page, "/#/jobs/"+id+"/map")
	says(t, shown.stderr, "Recorded from 0 s to 95 s every 5 s; ", " in all, with 0 events.")

	if got := u.opened(time.Minute, "replay", id); got != page {
		t.Errorf("on a terminal, %q is opened, want %q", got, page)
	}
	for _, flag := range []string{"--no-open", "--output=json"} {
		if got := u.opened(200*time.Millisecond, "replay", flag, id); got != "" {
			t.Errorf("with %s, %q is opened", flag, got)
		}
	}

	file := filepath.Join(t.TempDir(), "positions.xml")
	u.ok("replay", "export", id, "--file", file)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	type moving struct {
		ID   string `xml:"id,attr"`
		Lane string `xml:"lane,attr"`
		Edge string `xml:"edge,attr"`
	}
	var fcd struct {
		Steps []struct {
			Time     string   `xml:"time,attr"`
			Vehicles []moving `xml:"vehicle"`
			Persons  []moving `xml:"person"`
		} `xml:"timestep"`
	}
	if err := xml.Unmarshal(text, &fcd); err != nil {
		t.Fatal(err)
	}
	positions := 0
	for _, step := range fcd.Steps {
		positions += len(step.Vehicles) + len(step.Persons)
	}
	last := fcd.Steps[len(fcd.Steps)-1]
	if len(fcd.Steps) != 20 || last.Time != "95.00" || len(last.Vehicles) == 0 || len(last.Persons) == 0 || last.Persons[0].Edge == "" ||
		last.Vehicles[0].Lane == "" {
		t.Errorf("%d steps, the last with %+v", len(fcd.Steps), last)
	}

	rows, err := csv.NewReader(strings.NewReader(u.ok("replay", "export", id, "--format", "csv", "--file", "-").stdout)).ReadAll()
	if err != nil || len(rows) != positions+1 {
		t.Errorf("%d rows, want a head and %d: %v", len(rows), positions, err)
	}

	var geo struct {
		Features []struct {
			Geometry struct {
				Type        string
				Coordinates json.RawMessage
			}
			Properties struct {
				ID    string
				Times []float64
			}
		}
	}
	if err := json.Unmarshal([]byte(u.ok("replay", "export", id, "--format", "geojson", "--file", "-").stdout), &geo); err != nil {
		t.Fatal(err)
	}
	points := 0
	for _, f := range geo.Features {
		points += len(f.Properties.Times)
	}
	if points != positions {
		t.Errorf("%d points, want %d", points, positions)
	}

	u.ends(exitUsage, "replay", "export", id, "--format", "pdf")
	folder := t.TempDir()
	for _, command := range [][]string{{"replay", "export", id}, {"table", id, "summary"}} {
		for _, into := range []string{folder, folder + "/", folder + "/more/"} {
			says(t, u.ends(exitUsage, append(command, "--file", into)...).stderr, into+" is a folder")
		}
		made := filepath.Join(folder, "made", command[0])
		u.ok(append(command, "--file", made)...)
		if _, err := os.Stat(made); err != nil {
			t.Error(err)
		}
	}
	for name, begins := range map[string]string{"t.parquet": "PAR1", "t.json": "{", "t.csv": "time,"} {
		file := filepath.Join(folder, name)
		u.ok("table", id, "summary", "--file", file)
		if content, err := os.ReadFile(file); err != nil || !strings.HasPrefix(string(content), begins) {
			t.Errorf("%s begins with %.20q, %v", name, content, err)
		}
	}
	u.ends(exitUsage, "submit", u.network("square", nil), "--replay-box", "1,2,3")
	u.ends(exitUsage, "submit", u.network("square", nil), "--replay-from", "9", "--replay-to", "3")
}
