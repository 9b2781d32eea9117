package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/functions/status"
	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/replay"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/store/s3"
	"github.com/sumo-k8/sumo-k8/pkg/study"
)

// replayOf returns the index of a job's recording.
func (c *tenantClient) replayOf(t *testing.T, id string) (x status.Recording) {
	t.Helper()
	c.call(t, "GET", "/jobs/"+id+"/replay").want(t, http.StatusOK).into(t, &x)
	return x
}

func recordedBytes(x status.Recording) (n int) {
	for _, s := range x.Segments {
		n += s.Bytes
	}
	return n
}

func segmentPath(id, attempt string, n int) string {
	return fmt.Sprintf("/jobs/%s/replay/segments/%s/%d", id, attempt, n)
}

// framesOf reads all segments: how many vehicles and persons there are at each time, and where each is.
func (c *tenantClient) framesOf(t *testing.T, x status.Recording) map[float64]map[string][2]float64 {
	t.Helper()
	frames := map[float64]map[string][2]float64{}
	for _, s := range x.Segments {
		a := c.call(t, "GET", segmentPath(x.JobID, x.Attempt, s.N)).want(t, http.StatusOK)
		if len(a.body) != s.Bytes {
			t.Errorf("segment %d has %d bytes, want %d", s.N, len(a.body), s.Bytes)
		}
		r, err := replay.Open(a.body)
		if err != nil {
			t.Fatal(err)
		}
		for {
			ms, positions, err := r.Next(nil)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			at := map[string][2]float64{}
			for _, p := range positions {
				at[r.Header.Vehicles[p.Vehicle].ID] = [2]float64{float64(p.X) / replay.PerMetre, float64(p.Y) / replay.PerMetre}
			}
			frames[float64(ms)/replay.PerSecond] = at
		}
	}
	return frames
}

// testReplay watches a run while it goes on, and reads its recording afterwards.
func testReplay(t *testing.T, s *service) {
	c := s.register(t)
	j := c.submitEndless(t, [2]string{"replay", "true"})
	x := c.replayOf(t, j.JobID) // before it runs
	if x.Complete || len(x.Segments) > 0 && x.Attempt == "" {
		t.Errorf("before the run: %+v", x)
	}
	var announced event
	c.events(t, j.JobID, "", func(e event) bool {
		announced = e
		return e.kind == "replay" && e.Segments >= 2
	})
	x = c.replayOf(t, j.JobID)
	if x.Complete || x.Attempt != announced.Attempt || len(x.Segments) < announced.Segments || x.End < announced.End || announced.End <= 0 {
		t.Errorf("announced %+v, and the index is of attempt %s with %d segments", announced, x.Attempt, len(x.Segments))
	}
	live := c.call(t, "GET", segmentPath(j.JobID, x.Attempt, 0)).want(t, http.StatusOK)
	if frames := c.framesOf(t, x); len(frames) < 60 {
		t.Errorf("%d frames", len(frames))
	}
	first := x
	first.Segments = x.Segments[:min(len(x.Segments), 100)] // as many as one answer has
	several := c.call(t, "GET", fmt.Sprintf("%s?count=%d", segmentPath(j.JobID, x.Attempt, 0), len(first.Segments))).want(t, http.StatusOK)
	if !bytes.HasPrefix(several.body, live.body) || len(several.body) != recordedBytes(first) {
		t.Errorf("%d segments at once are %d bytes, want %d", len(first.Segments), len(several.body), recordedBytes(first))
	}
	c.call(t, "DELETE", "/jobs/"+j.JobID).want(t, http.StatusOK)
	if j = c.finish(t, j.JobID); j.Status != job.Cancelled {
		t.Fatalf("the job ended as %s", j.Status)
	}
	whole := c.replayOf(t, j.JobID)
	if !whole.Complete || whole.End < x.End || !strings.HasPrefix(whole.Attempt, x.Attempt) {
		t.Errorf("of a run that has ended: %+v", whole)
	}
	if whole.Attempt == x.Attempt { // its segments are the same
		after := c.call(t, "GET", segmentPath(j.JobID, x.Attempt, 0)).want(t, http.StatusOK)
		if !bytes.Equal(after.body, live.body) {
			t.Error("a segment has changed")
		}
	}
	if frames := c.framesOf(t, whole); len(frames) < 60 || float64(len(frames)) != whole.End+1 {
		t.Errorf("%d frames to %g s", len(frames), whole.End)
	}
	// What was stored while it went on is removed.
	store, err := s3.New(s.inputs("sumo-k8"))
	if err != nil {
		t.Fatal(err)
	}
	prefix := artifact.LiveReplay(artifact.ResultsOf(namespaceOf(t, j), j.JobID))
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		left := 0
		if err := store.List(t.Context(), prefix, func(artifact.Object) bool { left++; return true }); err != nil {
			t.Fatal(err)
		}
		if left == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d objects are left below %s", left, prefix)
		}
	}
}

// namespaceOf is the namespace in a job's result_location.
func namespaceOf(t *testing.T, j rest.Job) string {
	t.Helper()
	_, after, ok := strings.Cut(deref(j.ResultLocation), "/"+artifact.ResultPrefix)
	if !ok {
		t.Fatalf("the results are at %s", deref(j.ResultLocation))
	}
	namespace, _, _ := strings.Cut(after, "/")
	return namespace
}

// testReplayOfOutput holds the recording of one run against that which is made from another's fcd output.
func testReplayOfOutput(t *testing.T, s *service) {
	c := s.register(t)
	recorded := c.submit(t, "pedestrian_bus", [2]string{"end", "300"}, [2]string{"replay", `{"period": 2, "to": 200}`})
	output := c.submit(t, "pedestrian_bus", [2]string{"end", "300"}, [2]string{"outputs", "fcd"})
	plain := c.submit(t, "square")
	for _, id := range []string{recorded.JobID, output.JobID, plain.JobID} {
		if j := c.finish(t, id); j.Status != job.Succeeded {
			t.Fatalf("the job ended as %s: %s", j.Status, deref(j.Error))
		}
	}
	x, y := c.replayOf(t, recorded.JobID), c.replayOf(t, output.JobID)
	if x.Source != replay.FromRun || y.Source != replay.FromFCD || !x.Complete || !y.Complete || x.Period != 2 || y.Period != 1 ||
		len(x.Missing) > 0 || len(y.Missing) == 0 || x.End != 200 || y.End != 299 || x.Types["bus"].Class != "bus" {
		t.Errorf("the recording is %+v\nand the one of the output %+v", x.Index, y.Index)
	}
	from, of := c.framesOf(t, x), c.framesOf(t, y)
	if len(from) != 101 || len(of) != 300 {
		t.Errorf("%d and %d frames", len(from), len(of))
	}
	for at, vehicles := range from {
		if diff := cmp.Diff(of[at], vehicles); diff != "" {
			t.Fatalf("at %g s: %s", at, diff)
		}
	}
	var vehicles status.Vehicles
	c.call(t, "GET", "/jobs/"+recorded.JobID+"/vehicles?begin=100&end=100").want(t, http.StatusOK).into(t, &vehicles)
	if len(vehicles.Times) != 1 || len(vehicles.IDs) == 0 {
		t.Fatalf("at 100 s: %+v", vehicles)
	}
	for _, p := range vehicles.Frames.Frames[0] {
		if want := from[100][vehicles.IDs[int(p[0])]]; math.Abs(want[0]-p[1])+math.Abs(want[1]-p[2]) > 1e-9 {
			t.Errorf("%s is at %v, want %v", vehicles.IDs[int(p[0])], p, want)
		}
	}

	for _, x := range []status.Recording{x, y} {
		var all []byte
		for _, s := range x.Segments {
			all = append(all, c.call(t, "GET", segmentPath(x.JobID, x.Attempt, s.N)).want(t, http.StatusOK).body...)
		}
		rest := c.call(t, "GET", fmt.Sprintf("%s?count=%d", segmentPath(x.JobID, x.Attempt, 1), len(x.Segments)-1)).want(t, http.StatusOK)
		if len(x.Segments) < 3 || !bytes.Equal(rest.body, all[x.Segments[0].Bytes:]) {
			t.Errorf("%d segments of %d bytes, and all but the first are %d bytes", len(x.Segments), len(all), len(rest.body))
		}
		c.call(t, "GET", segmentPath(x.JobID, x.Attempt, 1)+"?count=100").want(t, http.StatusNotFound)
		c.call(t, "GET", segmentPath(x.JobID, x.Attempt, 0)+"?count=101").want(t, http.StatusBadRequest)
	}

	segment := segmentPath(x.JobID, x.Attempt, 0)
	a := c.call(t, "GET", segment).want(t, http.StatusOK)
	if a.header.Get("Cache-Control") == "" || a.header.Get("Content-Type") != "application/octet-stream" {
		t.Errorf("headers: %v", a.header)
	}
	c.call(t, "GET", segment, "If-None-Match: "+a.header.Get("ETag")).want(t, http.StatusNotModified)
	c.call(t, "GET", "/jobs/"+x.JobID+"/replay", "If-None-Match: *").want(t, http.StatusNotModified)
	for _, path := range []string{
		segmentPath(x.JobID, "other", 0), segmentPath(x.JobID, x.Attempt, len(x.Segments)), segmentPath(x.JobID, "..%2F..", 0),
		segmentPath(x.JobID, x.Attempt, -1), segmentPath(plain.JobID, x.Attempt, 0), "/jobs/" + plain.JobID + "/replay",
	} {
		p := c.call(t, "GET", path).want(t, http.StatusNotFound).problem(t)
		if p.Code != problem.NotFound || path == segmentPath(x.JobID, x.Attempt, -1) && !strings.Contains(p.Detail, `has no segment "-1"`) {
			t.Errorf("%s: %+v", path, p)
		}
	}
	for replay, says := range map[string]string{
		`{"period": -1}`: "body.replay.period", `{"box": [5, 5, 1, 1]}`: "box", `{"from": 5, "to": 1}`: "begins",
		`{"speed": 1}`: "body.replay.speed", "maybe": "JSON",
	} {
		fields := [][2]string{{"scenario_id", "x"}, {"scenario", plain.Scenario}, {"replay", replay}}
		p := c.post(t, fields).want(t, http.StatusBadRequest).problem(t)
		if !strings.Contains(fmt.Sprint(p), says) {
			t.Errorf("%s: %+v", replay, p)
		}
	}
}

// testRecordedStudy records runs of a study, several of which one process carries out, and holds one against a job of its own.
func testRecordedStudy(t *testing.T, s *service) {
	c := s.register(t)
	made := c.ask(t, c.store(t, zipOf(t, "square")).ID, `"run": {"replay": {"period": 2}}, "replications": {"seeds": "5:8"}`)
	alone := c.submit(t, "square", [2]string{"seed", "6"}, [2]string{"replay", `{"period": 2}`})
	if ended := c.answered(t, made.StudyID); ended.Status != study.Succeeded {
		t.Fatalf("the study ended %+v", ended.StudySummary)
	}
	if j := c.finish(t, alone.JobID); j.Status != job.Succeeded {
		t.Fatalf("the job ended as %s: %s", j.Status, deref(j.Error))
	}
	runs := c.runs(t, made.StudyID)
	if len(runs) != 4 {
		t.Fatalf("%d runs", len(runs))
	}
	want := c.framesOf(t, c.replayOf(t, alone.JobID))
	for seed, j := range runs {
		x := c.replayOf(t, j.JobID)
		if !x.Complete || x.Source != replay.FromRun || x.Period != 2 || len(x.Missing) > 0 || x.Begin != 0 {
			t.Errorf("seed %d: %+v", seed, x.Index)
		}
		frames := c.framesOf(t, x)
		if float64(len(frames)) != x.End/2+1 || len(frames) < 10 {
			t.Errorf("seed %d: %d frames to %g s", seed, len(frames), x.End)
		}
		if same := cmp.Equal(want, frames); same != (seed == 6) {
			t.Errorf("seed %d has the positions of seed 6: %t", seed, same)
		}
	}
}
