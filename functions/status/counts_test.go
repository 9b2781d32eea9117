package status_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sumo-k8/sumo-k8/functions/status"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// counted is what a run has left of its edges and loops, as SUMO writes it.
var counted = map[string]string{
	"edgedata.xml.gz": `<meandata><interval begin="0.00" end="1800.00"><edge id="e" entered="250" departed="100"/></interval>` +
		`<interval begin="1800.00" end="3400.00"><edge id="e" sampledSeconds="1" entered="240" departed="10"/></interval></meandata>`,
	"det/loops.xml": `<detector><interval begin="0.00" end="900.00" id="d_0" nVehContrib="60"/>` +
		`<interval begin="0.00" end="900.00" id="d_1" nVehContrib="40"/></detector>`,
	"other.xml": `<tripinfos/>`, "notes.txt": "no XML",
}

func TestCountsAreComparedWithARun(t *testing.T) {
	t.Parallel()
	in := install(t)
	end := func(running float64) job.Update {
		return job.Update{
			State: job.Succeeded, Summary: &simulation.Summary{Metrics: []simulation.Metric{
				{Name: "vehicles_running", Value: running, Unit: "veh"}, {Name: "vehicles_waiting", Value: 0, Unit: "veh"},
			}},
			Results: []job.ResultFile{
				{Name: "edgedata.xml.gz", Roles: []simulation.Output{simulation.OutputEdgeData}}, {Name: "notes.txt"}, {Name: "other.xml"},
				{Name: "det/loops.xml"},
			},
		}
	}
	const file = "edge,detector,begin,end,flow\ne,,0,3600,500\n,d_0 d_1,0,900,400\n,d_0,0,3600,1\nnone,,0,1800,1\n"
	number := func(v float64) *float64 { return &v }
	for name, test := range map[string]struct {
		running float64
		first   status.CountedFlow
		share   float64
	}{
		// 600 against 500 vehicles per hour: 2·100²/1100 = 18.18.
		"all have arrived": {0, status.CountedFlow{Modelled: number(600), GEH: number(4.2640)}, 1},
		"some have not": {
			3, status.CountedFlow{Message: "The run has values for only 3400 of the 3600 seconds of this interval."}, 1,
		},
	} {
		id := in.finishWith(t, end(test.running), func(name string) string { return counted[name] })
		a := in.Call(t, "POST", "/jobs/"+id+"/counts", file, in.acme, "Content-Type: text/csv")
		if a.Status != http.StatusOK {
			t.Fatalf("%s: %d: %s", name, a.Status, a.Body)
		}
		var got status.Counts
		a.Into(t, &got)
		test.first.Line, test.first.Kind, test.first.Places, test.first.End, test.first.Counted = 2, "edge", []string{"e"}, 3600, 500
		want := []status.CountedFlow{
			test.first,
			{Line: 3, Kind: "detector", Places: []string{"d_0", "d_1"}, End: 900, Counted: 400, Modelled: number(400), GEH: number(0)},
			{Line: 4, Kind: "detector", Places: []string{"d_0"}, End: 3600, Counted: 1},
			{Line: 5, Kind: "edge", Places: []string{"none"}, End: 1800, Counted: 1},
		}
		for i, why := range map[int]string{2: "only 900 of the 3600", 3: `edge "none"`} {
			if test.running == 0 && i == 2 {
				want[i].Modelled, want[i].GEH = number(60), number(10.6832) // 2·59²/61 = 114.13
				continue
			}
			if !strings.Contains(got.Rows[i].Message, why) {
				t.Errorf("%s: row %d is %+v, want %q", name, i, got.Rows[i], why)
			}
			want[i].Message = got.Rows[i].Message
		}
		if diff := cmp.Diff(want, got.Rows, cmpopts.EquateApprox(0, 5e-5)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestAToolThatIteratesHasAPlot(t *testing.T) {
	t.Parallel()
	in := install(t)
	content := `{"tool": "duaIterate", "iterations": [{"iteration": 0, "mean_travel_time": 400, "relative_change": null},
		{"iteration": 1, "mean_travel_time": 300, "relative_change": -0.25}]}`
	finish := func(tool *simulation.Tool) string {
		u := job.Update{State: job.Succeeded, Results: []job.ResultFile{{Name: "convergence.json"}}, KeptScenario: strings.Repeat("0", 64)}
		return in.finishWith(t, u, func(string) string { return content }, func(j *job.Job) { j.Options.Tool = tool })
	}
	id, other := finish(&simulation.Tool{Name: "duaIterate", KeepAs: "assigned"}), finish(nil)
	var plots status.Plots
	in.get(t, "/jobs/"+id+"/plots").Into(t, &plots)
	if len(plots.Plots) != 1 || plots.Plots[0].Name != "convergence" {
		t.Errorf("the plots are %+v", plots)
	}
	a := in.get(t, plots.Plots[0].SVG)
	for _, want := range []string{"Convergence of the assignment", "mean travel time (s)", ">iteration<", "change (%)"} {
		if a.Status != http.StatusOK || !strings.Contains(string(a.Body), want) {
			t.Errorf("the plot answers %d and lacks %q", a.Status, want)
		}
	}
	if a := in.get(t, "/jobs/"+other+"/plots/convergence.svg"); a.Status != http.StatusNotFound {
		t.Errorf("the plot of a plain run answers %d", a.Status)
	}
	a = in.get(t, "/jobs/"+id+"/summary")
	if a.Status != http.StatusNotFound || !strings.Contains(string(a.Body), "ran the tool duaIterate") {
		t.Errorf("the summary of a tool answers %d: %s", a.Status, a.Body)
	}
	var j rest.Job
	in.get(t, "/jobs/"+id).Into(t, &j)
	if j.KeptScenario != strings.Repeat("0", 64) {
		t.Errorf("the kept scenario is %q", j.KeptScenario)
	}
}
