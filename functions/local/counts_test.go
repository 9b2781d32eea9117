package main

import (
	"encoding/xml"
	"fmt"
	"image/png"
	"math"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/functions/status"
	"github.com/sumo-k8/sumo-k8/pkg/calibration"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

// What SUMO counted, as encoding/xml reads it.
type (
	countedEdgesFile struct {
		Intervals []struct {
			Begin float64 `xml:"begin,attr"`
			Edges []struct {
				ID       string `xml:"id,attr"`
				Entered  int    `xml:"entered,attr"`
				Departed int    `xml:"departed,attr"`
			} `xml:"edge"`
		} `xml:"interval"`
	}
	countedLoopsFile struct {
		Intervals []struct {
			Begin float64 `xml:"begin,attr"`
			ID    string  `xml:"id,attr"`
			Count int     `xml:"nVehContrib,attr"`
		} `xml:"interval"`
	}
)

// countsOf sends a file of counts.
func (c *tenantClient) countsOf(t testing.TB, id, file string) answer {
	t.Helper()
	return c.send(t, "POST", "/jobs/"+id+"/counts", strings.NewReader(file), "Content-Type: text/csv")
}

// testCounts compares counts with those that SUMO's own files have.
func testCounts(t *testing.T, s *service) {
	c := s.register(t)
	edgeData := [2]string{"outputs", "edgedata"}
	c.early(t, func(id string) answer { return c.countsOf(t, id, "edge,hour,count\nleft0A0,0,1\n") }, edgeData)
	j := c.submit(t, "corridor", edgeData)
	if j = c.finish(t, j.JobID); j.Status != job.Succeeded {
		t.Fatalf("the job ended as %s: %s", j.Status, deref(j.Error))
	}
	const road = "left0A0" // where the trips of 355 vehicles of the steady demand begin
	entered := 0
	for _, interval := range outputOf[countedEdgesFile](t, c, j.JobID, "edgedata.xml.gz").Intervals {
		for _, e := range interval.Edges {
			if e.ID == road && interval.Begin < 3600 {
				entered += e.Entered + e.Departed
			}
		}
	}
	if entered < 355 {
		t.Fatalf("%d vehicles on the road; the demand has more", entered)
	}
	file := fmt.Sprintf("station;edge;begin;end;count\nA;%[1]s;0;3600;%[2]d\nB;%[1]s A0left0;3600;2:00:00;10\nC;no-such;0;3600;10\n",
		road, entered+100)
	var got status.Counts
	c.countsOf(t, j.JobID, file).want(t, http.StatusOK).into(t, &got)
	if got.Counts != 3 || len(got.Rows) != 3 {
		t.Fatalf("%+v", got)
	}
	first := got.Rows[0]
	geh := 100 * math.Sqrt(2/float64(2*entered+100))
	if first.Modelled == nil || *first.Modelled != float64(entered) || first.GEH == nil || math.Abs(*first.GEH-geh) > 1e-9 {
		t.Errorf("the road is %+v, want %d vehicles with a GEH of %g", first, entered, geh)
	}
	// All vehicles have arrived before 4200 s, so that the second hour is known to the end.
	if second := got.Rows[1]; second.Modelled == nil || *second.Modelled > 60 {
		t.Errorf("the hour after the demand is %+v", second)
	}
	if third := got.Rows[2]; third.Modelled != nil || third.GEH != nil || !strings.Contains(third.Message, `edge "no-such"`) {
		t.Errorf("an edge that is not there is %+v", third)
	}
	if got.Compared != 2 || got.Share == nil || got.RMSE == nil || *got.RMSE <= 0 || !cmp.Equal(got.Notes, []string{
		`Columns that have no meaning here were ignored: "station".`,
	}) {
		t.Errorf("%+v", got)
	}

	svg := c.send(t, "POST", "/jobs/"+j.JobID+"/counts/scatter.svg?theme=dark", strings.NewReader(file)).want(t, http.StatusOK)
	if text := string(svg.body); xml.Unmarshal(svg.body, new(struct{})) != nil || !strings.Contains(text, "counted flow (veh/h)") ||
		!strings.Contains(text, "of 2") || svg.header.Get("Content-Type") != "image/svg+xml" {
		t.Errorf("the plot is %.300s", text)
	}
	drawn := c.send(t, "POST", "/jobs/"+j.JobID+"/counts/scatter.png?width=400&height=300", strings.NewReader(file)).want(t, http.StatusOK)
	if img, err := png.Decode(strings.NewReader(string(drawn.body))); err != nil || img.Bounds().Dx() != 400 || img.Bounds().Dy() != 300 {
		t.Errorf("the plot is no picture of 400 by 300: %v", err)
	}

	wrong := c.countsOf(t, j.JobID, "edge,hour,count\nx,0,1\nx,zero,1\nx,1,many\n").want(t, http.StatusBadRequest).problem(t)
	if len(wrong.Errors) != 2 || wrong.Errors[0].Location != "line 3" || wrong.Errors[1].Location != "line 4" {
		t.Errorf("faults are %+v", wrong)
	}
	c.countsOf(t, j.JobID, "").want(t, http.StatusBadRequest)
	c.countsOf(t, j.JobID, strings.Repeat(" ", calibration.MaxBytes+1)).want(t, http.StatusRequestEntityTooLarge)
	c.send(t, "POST", "/jobs/"+j.JobID+"/counts/other.svg", strings.NewReader(file)).want(t, http.StatusBadRequest)

	plain := c.submit(t, "cross")
	if plain = c.finish(t, plain.JobID); plain.Status != job.Succeeded {
		t.Fatal(plain.Message)
	}
	p := c.countsOf(t, plain.JobID, "edge,hour,count\nwest_in,0,1\n").want(t, http.StatusNotFound).problem(t)
	if p.Code != problem.NotFound || !strings.Contains(p.Detail, "outputs=edgedata") {
		t.Errorf("%+v", p)
	}
	// The loops of this scenario count for 300 s each, in 1500 s altogether.
	passed := 0
	for _, interval := range outputOf[countedLoopsFile](t, c, plain.JobID, "detectors.xml").Intervals {
		if strings.HasPrefix(interval.ID, "west_") {
			passed += interval.Count
		}
	}
	const loops = "detector\tbegin\tend\tflow\nwest_1 west_0\t0\t1500\t240\nwest_0\t0\t450\t1\nwest_0\t1500\t1800\t1\nx\t0\t1500\t1\n"
	c.countsOf(t, plain.JobID, loops).want(t, http.StatusOK).into(t, &got)
	want := float64(passed) * 3600 / 1500
	if row := got.Rows[0]; passed == 0 || row.Modelled == nil || math.Abs(*row.Modelled-want) > 1e-9 || row.Counted != 240 {
		t.Errorf("%d vehicles passed, and the loops are %+v", passed, row)
	}
	for i, want := range map[int]string{1: "only in part", 2: "no values for this interval", 3: `loop with the id "x"`} {
		if row := got.Rows[i]; row.Modelled != nil || !strings.Contains(row.Message, want) {
			t.Errorf("line %d is %+v, want %q", row.Line, row, want)
		}
	}
}
