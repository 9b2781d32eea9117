package status_test

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sumo-k8/sumo-k8/functions/internal/testing/served"
	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/statistics"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/outputs"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

// edgeStudy is a study with so many points, of so many seeds.
func (in *installation) edgeStudy(t testing.TB, points, seeds int) string {
	t.Helper()
	id := uuid.Must(uuid.NewV7()).String()
	in.sql(t, fmt.Sprintf(`INSERT INTO studies (id, tenant_id, name, state, plan, priority, seeds, max_parallel, stop_share, metric_names, runs)
		VALUES ('%s', 'acme', 'signals', 'RUNNING', '{}', 0, ARRAY(SELECT generate_series(1, %d)), 1, 1, '{}', %d)`, id, seeds, points*seeds))
	for p := range points {
		in.sql(t, fmt.Sprintf(`INSERT INTO study_points (study_id, point, variant, setting, scenario_digest, scenario_key, cpu_request, memory_gi,
			options, timeout_seconds) VALUES ('%s', %d, 'v%d', '[]', '%s', 'x', 1, 1, '{}', 60)`, id, p, p, in.digest))
	}
	return id
}

func (in *installation) sql(t testing.TB, statement string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), in.parts.Config.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

// keptRun is a successful run of a study with these files.
func (in *installation) keptRun(t testing.TB, study string, point, replication int, files map[string]string) string {
	t.Helper()
	return in.keptIn(t, study, files, func(id, results string) {
		in.sql(t, fmt.Sprintf(`UPDATE jobs SET study_id = '%s', point = %d, replication = %d, chunk_id = id, results_key = '%s' WHERE id = '%s'`,
			study, point, replication, results, id))
	})
}

// withEdges are the files of a run with edgedata.
func withEdges(t testing.TB, edgedata string) map[string]string {
	t.Helper()
	var columns bytes.Buffer
	if err := outputs.WriteEdgeColumns(&columns, strings.NewReader(edgedata)); err != nil {
		t.Fatal(err)
	}
	return map[string]string{"edgedata.xml.gz": edgedata, simulation.EdgeColumnsFile: columns.String()}
}

// edgedata has an edge whose speed differs by shift from what it would be, one that does not, and one that only some runs have.
func edgedata(run int, shift float64) string {
	noise := []float64{0.31, -0.22, 0.05, -0.4, 0.17, 0.09}[run%6]
	text := fmt.Sprintf(`<meandata><interval begin="0.00" end="60.00" id="x"><edge id="b" speed="%.2f" entered="4"/></interval>`+
		`<interval begin="60.00" end="120.00" id="x"><edge id="a" speed="%.2f" entered="%d"/>`,
		10+noise, 12+noise+shift*(1+noise/10), 3+run)
	if run%2 == 0 {
		text += `<edge id="c" speed="7.00" entered="2"/>`
	}
	return text + `</interval></meandata>`
}

func TestEdgesOfAStudy(t *testing.T) {
	t.Parallel()
	in := install(t)
	id := in.edgeStudy(t, 2, 6)
	var a, b []float64
	for run := range 6 {
		in.keptRun(t, id, 0, run, withEdges(t, edgedata(run, 0)))
		if run > 0 { // one has failed
			in.keptRun(t, id, 1, run, withEdges(t, edgedata(run, 2)))
		}
		noise := []float64{0.31, -0.22, 0.05, -0.4, 0.17, 0.09}[run]
		a, b = append(a, math.Round(100*(12+noise))/100), append(b, math.Round(100*(14+noise+2*noise/10))/100)
	}
	b[0] = math.NaN()

	var one rest.StudyEdges
	first := in.get(t, "/studies/"+id+"/edgedata?interval=1").Want(t, http.StatusOK)
	first.Into(t, &one)
	if one.Attribute != "speed" || one.Unit != "m/s" || one.N != 6 || one.Against != nil || len(one.Intervals) != 2 ||
		one.Intervals[1] != (rest.EdgeInterval{Begin: 60, End: 120}) || strings.Join(one.Attributes, " ") != "speed entered" {
		t.Errorf("answered %+v", one)
	}
	sample := statistics.Describe(a)
	if len(one.Edges) != 2 || one.Edges[0].ID != "a" || one.Edges[0].N != 6 || math.Abs(*one.Edges[0].Mean-sample.Mean) > 1e-9 ||
		math.Abs(*one.Edges[0].SD-sample.SD) > 1e-9 || one.Edges[0].Difference != nil || one.Edges[1].N != 3 {
		t.Errorf("edges %+v", one.Edges)
	}
	tag := first.Header.Get("ETag")
	in.get(t, "/studies/"+id+"/edgedata?interval=1", "If-None-Match: "+tag).Want(t, http.StatusNotModified)

	var entered rest.StudyEdges
	in.get(t, "/studies/"+id+"/edgedata?interval=1&attribute=entered").Want(t, http.StatusOK).Into(t, &entered)
	if len(entered.Edges) != 3 {
		t.Fatalf("edges %+v", entered.Edges)
	}
	if b, c := entered.Edges[1], entered.Edges[2]; b.ID != "b" || b.N != 6 || *b.Mean != 0 || c.N != 6 || *c.Mean != 1 {
		t.Errorf("an edge without vehicles counts as %+v", entered.Edges)
	}

	var two rest.StudyEdges
	in.get(t, "/studies/"+id+"/edgedata?point=1&against=0&interval=1").Want(t, http.StatusOK).Into(t, &two)
	want := statistics.At(0.95).Compare(b, a)
	e := two.Edges[0]
	if two.N != 5 || *two.AgainstN != 6 || *two.Against != 0 || e.ID != "a" || math.Abs(*e.Difference-want.Mean) > 1e-9 ||
		math.Abs(*e.P-want.P) > 1e-9*want.P || *e.Q != *e.P || !*e.ToldApart { // the only test: the others differ by the same number
		t.Errorf("edge %+v, want %+v", e, want)
	}
	if c := two.Edges[1]; c.ID != "c" || c.P != nil || *c.Difference != 0 || *c.ToldApart {
		t.Errorf("an edge that never differs is %+v", c)
	}

	in.WantRefused(t, map[string]served.Refusal{
		"no such study":     served.Refused("GET", "/studies/"+uuid.Must(uuid.NewV7()).String()+"/edgedata", "", http.StatusNotFound, "study"),
		"no such point":     served.Refused("GET", "/studies/"+id+"/edgedata?point=2", "", http.StatusBadRequest, "from 0 to 1"),
		"no such other":     served.Refused("GET", "/studies/"+id+"/edgedata?against=7", "", http.StatusBadRequest, "no point 7"),
		"itself":            served.Refused("GET", "/studies/"+id+"/edgedata?against=0", "", http.StatusBadRequest, "with itself"),
		"no such attribute": served.Refused("GET", "/studies/"+id+"/edgedata?attribute=sped", "", http.StatusBadRequest, "It has speed, entered"),
		"no such interval":  served.Refused("GET", "/studies/"+id+"/edgedata?interval=2", "", http.StatusBadRequest, "there are 2"),
	}, in.acme)
	in.Call(t, "GET", "/studies/"+id+"/edgedata", "", in.rival).Want(t, http.StatusNotFound)

	// A further run changes the answer.
	in.keptRun(t, id, 1, 0, withEdges(t, edgedata(0, 2)))
	in.get(t, "/studies/"+id+"/edgedata?point=1&against=0&interval=1").Want(t, http.StatusOK).Into(t, &two)
	if two.N != 6 {
		t.Errorf("%d runs count, want 6", two.N)
	}
}

func TestSeedsOfEdgesThatDoNotPair(t *testing.T) {
	t.Parallel()
	in := install(t)
	id := in.edgeStudy(t, 2, 6)
	var a, b []float64
	for run := range 6 {
		value := 12 + []float64{0.31, -0.22, 0.05, -0.4, 0.17, 0.09}[run]
		if run < 3 {
			in.keptRun(t, id, 0, run, withEdges(t, edgedata(run, 0)))
			a, b = append(a, value), append(b, math.NaN())
		} else {
			in.keptRun(t, id, 1, run, withEdges(t, edgedata(run, 0)))
			a, b = append(a, math.NaN()), append(b, value)
		}
	}
	var got rest.StudyEdges
	in.get(t, "/studies/"+id+"/edgedata?point=1&against=0&interval=1").Want(t, http.StatusOK).Into(t, &got)
	want := statistics.At(0.95).Compare(b, a)
	if e := got.Edges[0]; want.Method != statistics.Welch || math.Abs(*e.P-want.P) > 1e-9 || math.Abs(*e.Difference-want.Mean) > 1e-9 {
		t.Errorf("%+v, want %+v", e, want)
	}
}

func TestAStudyWithoutEdgesSaysWhatToDo(t *testing.T) {
	t.Parallel()
	in := install(t)
	id := in.edgeStudy(t, 5, 2)
	plain := map[string]string{simulation.LogFile: "log"}
	earlier := withEdges(t, edgedata(0, 0))
	delete(earlier, simulation.EdgeColumnsFile)
	odd := maps.Clone(earlier)
	odd[simulation.EdgeColumnsFile] = "<additional/>"
	in.keptRun(t, id, 1, 0, plain)
	in.keptRun(t, id, 2, 0, earlier)
	in.keptRun(t, id, 3, 0, withEdges(t, edgedata(0, 0)))
	in.keptRun(t, id, 3, 1, plain)
	in.keptRun(t, id, 4, 0, odd)
	path := "/studies/" + id + "/edgedata?point="
	in.WantRefused(t, map[string]served.Refusal{
		"no run yet":         served.Refused("GET", path+"0", "", http.StatusConflict, "No run of v0 has succeeded yet"),
		"not asked for":      served.Refused("GET", path+"1", "", http.StatusNotFound, "The runs of v1 have no edgedata output"),
		"an earlier release": served.Refused("GET", path+"2", "", http.StatusConflict, "Start the study again"),
		"another file":       served.Refused("GET", path+"4", "", http.StatusConflict, "cannot be read"),
		"the other point":    served.Refused("GET", path+"3&against=1", "", http.StatusNotFound, "The runs of v1"),
	}, in.acme)
	var some rest.StudyEdges
	in.get(t, path+"3").Want(t, http.StatusOK).Into(t, &some)
	if some.N != 1 || len(some.Notes) != 1 || !strings.Contains(some.Notes[0], "1 of the runs of v3 left out: no edgedata output") {
		t.Errorf("%d runs, with the notes %q", some.N, some.Notes)
	}
	// What is removed between two steps of an answer.
	if err := artifact.RemoveResults(t.Context(), in.parts.Objects, artifact.StudyResults(tenant.NamespaceFor("acme"), id)); err != nil {
		t.Fatal(err)
	}
	in.get(t, path+"3").Want(t, http.StatusGone)
	in.sql(t, `UPDATE jobs SET results_pruned = true WHERE study_id = '`+id+`'`)
	in.WantRefused(t, map[string]served.Refusal{
		"pruned": served.Refused("GET", path+"3", "", http.StatusGone, "because of their age"),
	}, in.acme)
}
