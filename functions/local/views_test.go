package main

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"image/png"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sumo-k8/sumo-k8/functions/status"
	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/store/s3"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/outputs"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/roadnet"
)

// The outputs of SUMO, as encoding/xml reads them, which the views are compared with.
type (
	tripinfoFile struct {
		Trips []struct {
			Duration    float64 `xml:"duration,attr"`
			TimeLoss    float64 `xml:"timeLoss,attr"`
			RouteLength float64 `xml:"routeLength,attr"`
			Arrival     float64 `xml:"arrival,attr"`
			Emissions   struct {
				CO2 float64 `xml:"CO2_abs,attr"`
			} `xml:"emissions"`
		} `xml:"tripinfo"`
	}
	summaryFile struct {
		Steps []struct {
			Time    float64 `xml:"time,attr"`
			Running float64 `xml:"running,attr"`
			Arrived float64 `xml:"arrived,attr"`
			Speed   float64 `xml:"meanSpeed,attr"`
		} `xml:"step"`
	}
	edgeDataFile struct {
		Intervals []struct {
			Begin float64 `xml:"begin,attr"`
			End   float64 `xml:"end,attr"`
			Edges []struct {
				ID      string   `xml:"id,attr"`
				Speed   *float64 `xml:"speed,attr"`
				Density *float64 `xml:"density,attr"`
				Entered float64  `xml:"entered,attr"`
			} `xml:"edge"`
		} `xml:"interval"`
	}
	fcdFile struct {
		Steps []struct {
			Time     float64      `xml:"time,attr"`
			Vehicles []fcdVehicle `xml:"vehicle"`
		} `xml:"timestep"`
	}
	fcdVehicle struct {
		ID    string  `xml:"id,attr"`
		Type  string  `xml:"type,attr"`
		X     float64 `xml:"x,attr"`
		Y     float64 `xml:"y,attr"`
		Speed float64 `xml:"speed,attr"`
	}
)

// testViews compares the data of charts and maps with sums over SUMO's own files.
func testViews(t *testing.T, s *service) {
	c := s.register(t)
	j := c.submit(t, "corridor", [2]string{"end", "900"}, [2]string{"outputs", "fcd,emission,edgedata"},
		[2]string{"unfinished_trips", "true"})
	c.early(t, func(id string) answer { return c.call(t, "GET", "/jobs/"+id+"/series") })
	if j = c.finish(t, j.JobID); j.Status != job.Succeeded {
		t.Fatalf("the job ended as %s: %s", j.Status, deref(j.Error))
	}
	t.Run("series", func(t *testing.T) { checkSeries(t, c, j.JobID) })
	t.Run("distributions", func(t *testing.T) { checkDistributions(t, c, j.JobID) })
	t.Run("network", func(t *testing.T) { checkNetwork(t, c, j.JobID) })
	t.Run("edge data", func(t *testing.T) { checkEdgeData(t, c, j.JobID) })
	t.Run("vehicles", func(t *testing.T) { checkVehicles(t, c, j.JobID) })
	t.Run("plots", func(t *testing.T) { checkPlots(t, c, j) })
	t.Run("caching", func(t *testing.T) { checkCaching(t, c, j.JobID) })

	stranger := s.register(t)
	for _, path := range []string{"series", "distributions", "network", "edgedata", "vehicles", "plots", "plots/speed.svg"} {
		stranger.call(t, "GET", "/jobs/"+j.JobID+"/"+path).want(t, http.StatusNotFound)
	}
	var results status.Results
	c.call(t, "GET", "/jobs/"+j.JobID+"/results").into(t, &results)
	for _, f := range results.Files {
		if strings.Contains(f.Name, "view") {
			t.Errorf("the results list %s", f.Name)
		}
	}
	store, err := s3.New(s.inputs("sumo-k8"))
	if err != nil {
		t.Fatal(err)
	}
	count := func() (n int) {
		results := strings.TrimPrefix(*j.ResultLocation, "s3://sumo-k8/")
		views := artifact.ViewPrefix + strings.TrimPrefix(results, artifact.ResultPrefix)
		for _, prefix := range []string{results, views} {
			if err := store.List(t.Context(), prefix, func(artifact.Object) bool { n++; return true }); err != nil {
				t.Fatal(err)
			}
		}
		return n
	}
	if n := count(); n != len(results.Files)+6 { // five views, one of which has two objects
		t.Errorf("there are %d objects and %d results", n, len(results.Files))
	}
	c.call(t, "DELETE", "/jobs/"+j.JobID+"?purge=true").want(t, http.StatusOK)
	if n := count(); n != 0 {
		t.Errorf("purging left %d objects", n)
	}
}

// outputOf downloads and reads an output.
func outputOf[T any](t *testing.T, c *tenantClient, id, name string) (out T) {
	t.Helper()
	body := c.call(t, "GET", "/jobs/"+id+"/results/"+name).want(t, http.StatusOK).body
	if strings.HasSuffix(name, ".gz") {
		z, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if body, err = io.ReadAll(z); err != nil {
			t.Fatal(err)
		}
	}
	if err := xml.Unmarshal(body, &out); err != nil {
		t.Fatalf("reading %s: %v", name, err)
	}
	return out
}

func near(a, b, relative float64) bool {
	return math.Abs(a-b) <= relative*math.Max(math.Abs(a), math.Abs(b))
}

func checkSeries(t *testing.T, c *tenantClient, id string) {
	var got outputs.Series
	c.call(t, "GET", "/jobs/"+id+"/series").want(t, http.StatusOK).into(t, &got)
	raw := outputOf[summaryFile](t, c, id, "summary.xml")
	if got.JobID != id || !got.Complete || got.Merged != 1 || len(got.Time) != len(raw.Steps) {
		t.Fatalf(
			"job %s, complete %t, %d steps a point, %d points of %d steps", got.JobID, got.Complete, got.Merged, len(got.Time), len(raw.Steps),
		)
	}
	peak := 0.0
	for i, step := range raw.Steps {
		peak = math.Max(peak, step.Running)
		speed := got.Curve("mean_speed").Values[i]
		if got.Time[i] != step.Time || got.Curve("running").Values[i] != step.Running || got.Curve("arrived").Values[i] != step.Arrived ||
			speed != step.Speed && !(math.IsNaN(speed) && step.Speed == -1) {
			t.Fatalf("point %d differs from %+v", i, step)
		}
	}
	if float64(got.Curve("running").Max) != peak || peak == 0 {
		t.Errorf("the peak is %v, want %v", got.Curve("running").Max, peak)
	}
	// One step takes a second, so the sum of all rates is the mass that the trips report.
	var rates, trips float64
	for _, v := range got.Curve("co2").Values {
		rates += v
	}
	for _, trip := range outputOf[tripinfoFile](t, c, id, "tripinfo.xml").Trips {
		trips += trip.Emissions.CO2 / 1000
	}
	if !near(rates, trips, 0.001) || trips == 0 {
		t.Errorf("the vehicles emitted %v g of CO₂ over time, and %v g on their trips", rates, trips)
	}
}

func checkDistributions(t *testing.T, c *tenantClient, id string) {
	var got outputs.Distributions
	c.call(t, "GET", "/jobs/"+id+"/distributions").want(t, http.StatusOK).into(t, &got)
	raw := outputOf[tripinfoFile](t, c, id, "tripinfo.xml")
	unfinished := 0
	var durations, losses, speeds []float64
	for _, trip := range raw.Trips {
		durations, losses = append(durations, trip.Duration), append(losses, trip.TimeLoss)
		if trip.Duration > 0 {
			speeds = append(speeds, trip.RouteLength/trip.Duration)
		}
		if trip.Arrival < 0 {
			unfinished++
		}
	}
	if got.Unfinished != unfinished || unfinished == 0 {
		t.Errorf("%d trips are unfinished, want %d", got.Unfinished, unfinished)
	}
	for name, values := range map[string][]float64{"travel_time": durations, "time_loss": losses, "speed": speeds} {
		d := got.Distribution(name)
		if d == nil {
			t.Fatalf("there is no distribution of %s", name)
		}
		slices.Sort(values)
		sum, binned := 0.0, 0
		for _, v := range values {
			sum += v
		}
		for i, n := range d.Counts {
			binned += n
			within := 0
			for _, v := range values {
				if v >= d.Edges[i] && v < d.Edges[i+1] {
					within++
				}
			}
			if within != n {
				t.Errorf("%s: %d from %v to %v, want %d", name, n, d.Edges[i], d.Edges[i+1], within)
			}
		}
		if d.Count != len(values) || binned != d.Count || !near(float64(d.Mean), sum/float64(len(values)), 1e-4) ||
			!near(float64(d.P50), values[(len(values)-1)/2], 1e-3) || !near(float64(d.Max), values[len(values)-1], 1e-4) {
			t.Errorf("%s is %+v", name, d)
		}
	}
}

func checkNetwork(t *testing.T, c *tenantClient, id string) {
	var got roadnet.Geometry
	c.call(t, "GET", "/jobs/"+id+"/network").want(t, http.StatusOK).into(t, &got)
	raw := networkOf(t, "corridor")
	if diff := cmp.Diff(raw, got, cmpopts.IgnoreFields(roadnet.Geometry{}, "Bounds", "Unit"), cmpopts.IgnoreFields(roadnet.Edge{}, "Shape"),
		cmpopts.IgnoreFields(roadnet.Junction{}, "Shape"), cmpopts.IgnoreFields(roadnet.StopLine{}, "Line")); diff != "" {
		t.Errorf("edges, junctions and stop lines (-want +got):\n%s", diff)
	}
	if got.Bounds[0] < -10 || got.Bounds[2] > 1610 || got.Bounds[2] < 1590 || got.Bounds[3] > 410 { // the file says 0,0 to 1600,400
		t.Errorf("the bounds are %v", got.Bounds)
	}
	for _, n := range got.Junctions {
		if n.Type != "dead_end" && (len(n.Shape) < 6 || math.Hypot(n.Shape[0]-n.X, n.Shape[1]-n.Y) > 50) {
			t.Errorf("junction %s at %v, %v has the outline %v", n.ID, n.X, n.Y, n.Shape)
		}
	}
	for _, e := range got.Edges {
		if len(e.Shape) < 4 || len(e.Shape)%2 != 0 {
			t.Errorf("edge %s has the shape %v", e.ID, e.Shape)
		}
	}
}

// networkOf reads a ready network's file, without shapes.
func networkOf(t *testing.T, network string) roadnet.Geometry {
	t.Helper()
	archive, err := zip.NewReader(strings.NewReader(zipOf(t, network)), int64(len(zipOf(t, network))))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Edges []struct {
			ID       string `xml:"id,attr"`
			Function string `xml:"function,attr"`
			Priority int    `xml:"priority,attr"`
			Lanes    []struct {
				Speed  float64 `xml:"speed,attr"`
				Length float64 `xml:"length,attr"`
			} `xml:"lane"`
		} `xml:"edge"`
		Junctions []struct {
			ID   string  `xml:"id,attr"`
			Type string  `xml:"type,attr"`
			X    float64 `xml:"x,attr"`
			Y    float64 `xml:"y,attr"`
		} `xml:"junction"`
		Connections []struct {
			Signal string `xml:"tl,attr"`
			Index  int    `xml:"linkIndex,attr"`
		} `xml:"connection"`
	}
	for _, f := range archive.File {
		if strings.HasSuffix(f.Name, ".net.xml") {
			if err := xml.Unmarshal([]byte(readEntry(t, f)), &file); err != nil {
				t.Fatal(err)
			}
		}
	}
	out := roadnet.Geometry{Polygons: []roadnet.Polygon{}}
	for _, c := range file.Connections {
		if c.Signal != "" {
			out.StopLines = append(out.StopLines, roadnet.StopLine{Signal: c.Signal, Index: c.Index})
		}
	}
	for _, e := range file.Edges {
		if e.Function == "" {
			out.Edges = append(
				out.Edges, roadnet.Edge{ID: e.ID, Lanes: len(e.Lanes), Speed: e.Lanes[0].Speed, Length: e.Lanes[0].Length, Priority: e.Priority},
			)
		}
	}
	for _, n := range file.Junctions {
		if n.Type != "internal" {
			out.Junctions = append(out.Junctions, roadnet.Junction{ID: n.ID, Type: n.Type, X: n.X, Y: n.Y})
		}
	}
	return out
}

func checkEdgeData(t *testing.T, c *tenantClient, id string) {
	var got outputs.EdgeData
	c.call(t, "GET", "/jobs/"+id+"/edgedata").want(t, http.StatusOK).into(t, &got)
	raw := outputOf[edgeDataFile](t, c, id, "edgedata.xml.gz")
	if len(got.Intervals) != 15 || len(raw.Intervals) != 15 || got.Merged != 1 {
		t.Fatalf("%d intervals of %d, %d merged; want one a minute", len(got.Intervals), len(raw.Intervals), got.Merged)
	}
	measure := map[string][]outputs.Values{}
	for _, m := range got.Measures {
		measure[m.Name] = m.Values
	}
	seen := 0
	for i, interval := range raw.Intervals {
		if got.Intervals[i] != [2]float64{interval.Begin, interval.End} {
			t.Errorf("interval %d is %v", i, got.Intervals[i])
		}
		for _, e := range interval.Edges {
			edge := slices.Index(got.Edges, e.ID)
			if e.Speed == nil || edge < 0 {
				t.Errorf("edge %s: %+v at %d", e.ID, e, edge)
				continue
			}
			seen++
			if speed, density := measure["speed"][i][edge], measure["density"][i][edge]; math.Abs(speed-*e.Speed) > 0.011 ||
				math.Abs(density-*e.Density) > 0.011 || measure["entered"][i][edge] != e.Entered {
				t.Errorf("edge %s: speed %v, density %v, entered %v; want %v, %v, %v",
					e.ID, speed, density, measure["entered"][i][edge], *e.Speed, *e.Density, e.Entered)
			}
		}
	}
	known := 0
	for _, row := range measure["speed"] {
		for _, v := range row {
			if !math.IsNaN(v) {
				known++
			}
		}
	}
	if known != seen || seen == 0 {
		t.Errorf("%d speeds are known, want %d", known, seen)
	}
}

func checkVehicles(t *testing.T, c *tenantClient, id string) {
	raw := outputOf[fcdFile](t, c, id, "fcd.xml.gz")
	// All of it, part by part.
	frame, answers := 0, 0
	for next := "?"; next != ""; answers++ {
		var got status.Vehicles
		c.call(t, "GET", "/jobs/"+id+"/vehicles"+next).want(t, http.StatusOK).into(t, &got)
		if next = ""; got.Next != nil {
			next = fmt.Sprintf("?begin=%v", *got.Next)
		}
		positions := 0
		for i, time := range got.Times {
			step := raw.Steps[frame]
			if time != step.Time || len(got.Frames.Frames[i]) != len(step.Vehicles) {
				t.Fatalf("frame %d is at %v with %d vehicles, want %v with %d", frame, time, len(got.Frames.Frames[i]), step.Time, len(step.Vehicles))
			}
			for _, p := range got.Frames.Frames[i] {
				k := slices.IndexFunc(step.Vehicles, func(v fcdVehicle) bool { return v.ID == got.IDs[int(p[0])] })
				if k < 0 {
					t.Fatalf("at %v there is %s", time, got.IDs[int(p[0])])
				}
				v := step.Vehicles[k]
				if got.IDs[int(p[0])] != v.ID || got.Types[int(p[0])] != v.Type || math.Abs(p[1]-v.X) > 0.06 || math.Abs(p[2]-v.Y) > 0.06 ||
					math.Abs(p[4]-v.Speed) > 0.06 {
					t.Fatalf("at %v vehicle %s is %v, want %+v", time, got.IDs[int(p[0])], p, v)
				}
			}
			positions += len(step.Vehicles)
			frame++
		}
		if positions > status.PartPositions {
			t.Errorf("an answer has %d positions", positions)
		}
	}
	if frame != len(raw.Steps) || answers < 2 {
		t.Errorf("%d frames of %d in %d answers", frame, len(raw.Steps), answers)
	}

	var some status.Vehicles
	c.call(t, "GET", "/jobs/"+id+"/vehicles?begin=600&end=720&step=30").want(t, http.StatusOK).into(t, &some)
	if diff := cmp.Diff([]float64{600, 630, 660, 690, 720}, some.Times); diff != "" || some.Begin != 0 || some.End != 899 || some.Next != nil {
		t.Errorf("from %v to %v, next %v; times (-want +got):\n%s", some.Begin, some.End, some.Next, diff)
	}
	c.call(t, "GET", "/jobs/"+id+"/vehicles?begin=9&end=8").want(t, http.StatusBadRequest)
}

func checkPlots(t *testing.T, c *tenantClient, j rest.Job) {
	c.early(t, func(id string) answer { return c.call(t, "GET", "/jobs/"+j.JobID+"/plots/speed.png?with="+id) })
	other := c.submit(t, "square", [2]string{"seed", "7"})
	c.finish(t, other.JobID)
	names := func(id string) (names []string) {
		var plots status.Plots
		c.call(t, "GET", "/jobs/"+id+"/plots").want(t, http.StatusOK).into(t, &plots)
		for _, p := range plots.Plots {
			names = append(names, p.Name)
			picture := c.call(t, "GET", p.PNG+"?width=800&height=500&theme=dark").want(t, http.StatusOK)
			size, err := png.DecodeConfig(bytes.NewReader(picture.body))
			if err != nil || size.Width != 800 || size.Height != 500 || picture.header.Get("Content-Type") != "image/png" {
				t.Errorf("%s is %dx%d, %v", p.PNG, size.Width, size.Height, err)
			}
			drawing := c.call(t, "GET", p.SVG).want(t, http.StatusOK)
			if err := xml.Unmarshal(drawing.body, new(struct{})); err != nil || !bytes.Contains(drawing.body, []byte(p.Title)) ||
				!bytes.Contains(drawing.body, []byte(id)) {
				t.Errorf("%s lacks its title or job, or is not XML (%v)", p.SVG, err)
			}
		}
		return names
	}
	all := []string{"vehicles", "speed", "travel_time", "time_loss", "waiting_time", "emissions"}
	if diff := cmp.Diff(all, names(j.JobID)); diff != "" {
		t.Errorf("plots (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(all[:5], names(other.JobID)); diff != "" {
		t.Errorf("plots without emissions (-want +got):\n%s", diff)
	}
	for _, name := range []string{"vehicles", "travel_time"} {
		both := c.call(t, "GET", "/jobs/"+j.JobID+"/plots/"+name+".svg?with="+other.JobID).want(t, http.StatusOK)
		if !bytes.Contains(both.body, []byte("corridor")) || !bytes.Contains(both.body, []byte("square, seed 7")) {
			t.Errorf("the comparison of %s does not name both runs", name)
		}
		c.call(
			t, "GET", "/jobs/"+j.JobID+"/plots/"+name+".svg?with="+other.JobID, "If-None-Match: "+both.header.Get("ETag"),
		).want(t, http.StatusNotModified)
	}
	for path, code := range map[string]int{
		"plots/speed.gif":                         http.StatusBadRequest,
		"plots/speed.svg?width=9":                 http.StatusBadRequest,
		"plots/speed.svg?with=" + j.JobID:         http.StatusBadRequest,
		"plots/speed.svg?with=" + "none":          http.StatusNotFound,
		"plots/emissions.svg?with=" + other.JobID: http.StatusNotFound,
	} {
		c.call(t, "GET", "/jobs/"+j.JobID+"/"+path).want(t, code)
	}
}

// checkCaching sends what browsers and plain clients send.
func checkCaching(t *testing.T, c *tenantClient, id string) {
	path := "/jobs/" + id + "/distributions"
	zipped := c.call(t, "GET", path, "Accept-Encoding: gzip").want(t, http.StatusOK)
	plain := c.call(t, "GET", path, "Accept-Encoding: identity").want(t, http.StatusOK)
	if zipped.header.Get("Content-Encoding") != "gzip" || plain.header.Get("Content-Encoding") != "" ||
		zipped.header.Get("Vary") != "Accept-Encoding, Authorization, Origin" {
		t.Errorf("encoded as %q and %q", zipped.header.Get("Content-Encoding"), plain.header.Get("Content-Encoding"))
	}
	z, err := gzip.NewReader(bytes.NewReader(zipped.body))
	if err != nil {
		t.Fatal(err)
	}
	if unpacked, err := io.ReadAll(z); err != nil || !bytes.Equal(unpacked, plain.body) || !json.Valid(unpacked) {
		t.Errorf("the answers differ (%v)", err)
	}
	tag := plain.header.Get("ETag")
	again := c.call(t, "GET", path, `If-None-Match: "other", `+tag).want(t, http.StatusNotModified)
	if tag == "" || again.header.Get("ETag") != tag || !strings.HasPrefix(plain.header.Get("Cache-Control"), "private, max-age=") {
		t.Errorf("ETag %q, then %q, Cache-Control %q", tag, again.header.Get("ETag"), plain.header.Get("Cache-Control"))
	}
}

// testViewsOfLittle requests views of outputs that a run did not write.
func testViewsOfLittle(t *testing.T, s *service) {
	c := s.register(t)
	j := c.submit(t, "square")
	c.finish(t, j.JobID)
	for path, output := range map[string]string{"edgedata": "outputs=edgedata", "vehicles": "outputs=fcd"} {
		p := c.call(t, "GET", "/jobs/"+j.JobID+"/"+path).want(t, http.StatusNotFound).problem(t)
		if p.Code != problem.NotFound || !strings.Contains(p.Detail, output) {
			t.Errorf("%s: %s: %s", path, p.Code, p.Detail)
		}
	}

	// Its progress shows that there are steps to show: a run of a million moves by a thousandth each thousand.
	endless := c.submitEndless(t, [2]string{"end", "1000000"})
	c.await(t, endless.JobID, func(j rest.Job) bool { return j.Progress > 0 || j.Status.Terminal() })
	c.call(t, "DELETE", "/jobs/"+endless.JobID).want(t, http.StatusOK)
	c.finish(t, endless.JobID)
	var series outputs.Series
	c.call(t, "GET", "/jobs/"+endless.JobID+"/series").want(t, http.StatusOK).into(t, &series)
	if series.Complete || len(series.Time) == 0 {
		t.Errorf("the series of a cancelled job have %d points, complete %t", len(series.Time), series.Complete)
	}
}
