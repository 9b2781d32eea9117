package status_test

import (
	"bytes"
	"encoding/json"
	"image/png"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/sumo-k8/sumo-k8/functions/internal/testing/served"
	"github.com/sumo-k8/sumo-k8/functions/status"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/study"
)

// planned stores a study of two variants at two demands, no run of which has begun.
func (in *installation) planned(t testing.TB, baseline *study.Baseline) string {
	t.Helper()
	s := study.Study{
		ID: uuid.Must(uuid.NewV7()).String(), TenantID: "acme", Namespace: "sumo-acme", Name: "signals", MetricNames: simulation.MetricNames(),
		Seeds: []int64{1, 2}, MaxParallel: 1, StopShare: 1, Counts: study.Counts{Runs: 8},
		Plan: study.Plan{
			Variants: []study.Variant{{Name: "base", Scenario: in.digest}, {Name: "green wave", Scenario: in.digest}},
			Axes:     []study.Axis{{Name: "demand", Set: "scale", Values: []json.RawMessage{json.RawMessage("0.8"), json.RawMessage("1.2")}}},
			Baseline: baseline, Replications: study.Replications{Seeds: json.RawMessage(`"1:2"`)},
		},
	}
	var points []study.Point
	for _, v := range s.Plan.Variants {
		for _, value := range s.Plan.Axes[0].Values {
			points = append(points, study.Point{
				Number: len(points), Variant: v.Name, Setting: study.Setting{{Axis: "demand", Value: value}}, ScenarioDigest: in.digest,
				CPURequest: 1, MemoryGi: 1, TimeoutSeconds: 60, Counts: study.Counts{Runs: 2},
			})
		}
	}
	if _, _, err := in.parts.DB.CreateStudy(t.Context(), s, points, nil, job.Admission{MaxQueued: 10}); err != nil {
		t.Fatal(err)
	}
	return s.ID
}

func TestThePlotsOfAStudy(t *testing.T) {
	t.Parallel()
	in := install(t)
	without, with := in.planned(t, nil), in.planned(t, &study.Baseline{Variant: "base"})
	for id, want := range map[string][]string{
		without: {"means", "boxes", "convergence"}, with: {"means", "boxes", "differences", "convergence"},
	} {
		var list status.StudyPlots
		in.get(t, "/studies/"+id+"/plots").Want(t, http.StatusOK).Into(t, &list)
		var names []string
		for _, p := range list.Plots {
			names = append(names, p.Name)
			if a := in.get(t, p.SVG).Want(t, http.StatusOK); a.Header.Get("Content-Type") != "image/svg+xml" {
				t.Errorf("%s is %s", p.SVG, a.Header.Get("Content-Type"))
			}
			a := in.get(t, p.PNG+"?width=700&theme=dark").Want(t, http.StatusOK)
			img, err := png.Decode(bytes.NewReader(a.Body))
			if media := a.Header.Get("Content-Type"); err != nil || img.Bounds().Dx() != 700 || media != "image/png" {
				t.Errorf("%s: %s, %v", p.PNG, media, err)
			}
		}
		if diff := cmp.Diff(want, names); diff != "" {
			t.Errorf("plots (-want +got):\n%s", diff)
		}
	}
	in.get(t, "/studies/"+without+"/plots/differences.svg?baseline=base").Want(t, http.StatusOK)
	in.get(t, "/studies/"+without+"/plots/means.svg?axis=demand&metric=teleports&confidence=0.9").Want(t, http.StatusOK)
	at := "/studies/" + without + "/plots/"
	bad := func(path, location string) served.Refusal {
		return served.Refused("GET", at+path, "", http.StatusBadRequest, location)
	}
	in.WantRefused(t, map[string]served.Refusal{
		"an unknown plot":             bad("histogram.svg", "path.file"),
		"a plot as a GIF":             bad("means.gif", "path.file"),
		"an unknown metric":           bad("means.svg?metric=happiness", "query.metric"),
		"an unknown axis":             bad("means.svg?axis=colour", "query.axis"),
		"differences to nothing":      bad("differences.svg", "baseline"),
		"differences to the unknown":  bad("differences.svg?baseline=none", "baseline"),
		"a confidence of certainty":   bad("means.svg?confidence=1", "query.confidence"),
		"a parameter of another plot": bad("means.svg?with=x", "query.with"),
	}, in.acme)
	if body := string(in.get(t, at+"histogram.svg").Body); !strings.Contains(body, "boxes, differences or convergence") {
		t.Errorf("an unknown plot is answered with %s, which names none", body)
	}
}

func TestTheReportOfAStudy(t *testing.T) {
	t.Parallel()
	in := install(t)
	a := in.get(t, "/studies/"+in.planned(t, &study.Baseline{Variant: "base"})+"/report.html").Want(t, http.StatusOK)
	for header, want := range map[string]string{
		"Content-Type":            "text/html; charset=utf-8",
		"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
	} {
		if got := a.Header.Get(header); got != want {
			t.Errorf("%s is %q, want %q", header, got, want)
		}
	}
	for _, want := range []string{"<h1>signals</h1>", "No run has a result yet.", "8 of the runs have not ended"} {
		if !strings.Contains(string(a.Body), want) {
			t.Errorf("the report lacks %q", want)
		}
	}
}
