package client

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/study"
)

func TestNumbersOfAStudyAreAskedForByTheirParameters(t *testing.T) {
	t.Parallel()
	var asked []string
	answer := ""
	server := newScript(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.RequestURI())
		_, _ = io.WriteString(w, answer)
	})
	api := server.client(t)
	ctx := t.Context()

	answer = `{"study_id": "s", "confidence": 0.9, "statistics": [{"metric": "m", "n": 3, "mean": 2.5, "low": null}], "new_field": 7}`
	q := StudyQuestion{Metrics: []string{"m", "o@vClass=bus"}, Confidence: 0.9, RelativeHalfWidth: 0.02}
	numbers, err := api.StudyStatistics(ctx, "s", q)
	if err != nil || len(numbers.Statistics) != 1 || *numbers.Statistics[0].Mean != 2.5 || numbers.Statistics[0].Low != nil ||
		string(numbers.JSON()) != answer {
		t.Errorf("statistics are %+v, %v", numbers, err)
	}
	answer = `{"baseline": {"variant": "base"}, "comparisons": [{"verdict": "not_told_apart", "better": null, "sentence": "No."}]}`
	compared, err := api.StudyComparison(ctx, "s", StudyQuestion{Baseline: `{"values": {"demand": 1}}`})
	if err != nil || compared.Baseline.Variant != "base" || compared.Comparisons[0].Verdict != study.NotToldApart ||
		compared.Comparisons[0].Better != nil {
		t.Errorf("the comparison is %+v, %v", compared, err)
	}
	answer = `{"attribute": "timeLoss", "against": 0, "edges": [{"id": "a", "n": 3, "mean": 4, "difference": -1, "told_apart": true}]}`
	against := 0
	edges, err := api.StudyEdges(ctx, "s", EdgeQuestion{Point: 1, Against: &against, Attribute: "timeLoss", Interval: 2})
	if err != nil || *edges.Against != 0 || *edges.Edges[0].Difference != -1 || !*edges.Edges[0].ToldApart || edges.Edges[0].P != nil {
		t.Errorf("the edges are %+v, %v", edges, err)
	}
	answer = "a,b\n"
	var out bytes.Buffer
	for _, err := range []error{api.StudyTable(ctx, "s", "csv", []string{"m"}, &out), api.StudyReport(ctx, "a/b", &out)} {
		if err != nil {
			t.Error(err)
		}
	}
	picture, err := api.StudyPlot(ctx, "s", "means", StudyDrawing{Format: "svg", Metric: "m", Axis: "demand", Baseline: "base",
		Confidence: 0.99, Dark: true, Width: 900})
	if err != nil || string(picture) != answer || out.String() != answer+answer {
		t.Errorf("the plot is %q (%v), what was copied %q", picture, err, &out)
	}
	want := []string{
		"/studies/s/statistics?confidence=0.9&metric=m&metric=o%40vClass%3Dbus&relative_half_width=0.02",
		"/studies/s/comparison?baseline=%7B%22values%22%3A+%7B%22demand%22%3A+1%7D%7D",
		"/studies/s/edgedata?against=0&attribute=timeLoss&interval=2&point=1",
		"/studies/s/table?format=csv&metric=m",
		"/studies/a%2Fb/report.html",
		"/studies/s/plots/means.svg?axis=demand&baseline=base&confidence=0.99&metric=m&theme=dark&width=900",
	}
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}

func TestATableIsAskedForAgainUntilItHasBegun(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	server := newScript(t, cuts, says(http.StatusServiceUnavailable, `{"code": "unavailable"}`), says(http.StatusOK, "all\n"))
	if err := server.client(t).StudyTable(t.Context(), "s", "csv", nil, &out); err != nil || out.String() != "all\n" {
		t.Errorf("the table is %q, %v", &out, err)
	}

	out.Reset()
	broken := newScript(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "part\n")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	err := broken.client(t).StudyTable(t.Context(), "s", "csv", nil, &out)
	if keys, _ := broken.seen(); !errors.As(err, new(*Unreachable)) || out.String() != "part\n" || len(keys) != 1 {
		t.Errorf("a table that broke off is %q after %d requests, %v", &out, len(keys), err)
	}
}
