package status_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/sumo-k8/sumo-k8/functions/internal/testing/served"
	"github.com/sumo-k8/sumo-k8/functions/status"
	"github.com/sumo-k8/sumo-k8/infra/local/localtest"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/store/s3"
	"github.com/sumo-k8/sumo-k8/pkg/table"
)

// TestPersonsApartAreTheirTable has a run whose scenario asks for personinfo-output: tripinfo then has no persons.
func TestPersonsApartAreTheirTable(t *testing.T) {
	t.Parallel()
	in := install(t)
	content := map[string]string{
		"t.xml": `<tripinfos><tripinfo id="a" depart="1"/></tripinfos>`,
		"p.xml": `<tripinfos><personinfo id="p" depart="2"><walk depart="2"/></personinfo></tripinfos>`,
	}
	ended := succeeded()
	ended.Results = []job.ResultFile{
		{Name: "t.xml", Roles: []simulation.Output{simulation.OutputTripinfo}},
		{Name: "p.xml", Roles: []simulation.Output{simulation.OutputPersoninfo}},
	}
	id := in.finishWith(t, ended, func(name string) string { return content[name] })
	for name, want := range map[string]string{
		"tripinfo": "id,depart\na,1\n", "personinfo": "kind,id,depart,stage,stage_number,stage_depart\npersoninfo,p,2,walk,0,2\n",
	} {
		if got := string(in.get(t, "/jobs/"+id+"/tables/"+name).Want(t, http.StatusOK).Body); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestOutputsAreTables(t *testing.T) {
	t.Parallel()
	in := install(t)
	id := in.finish(t, succeeded())
	states := func() map[simulation.Table]bool {
		var got status.Tables
		in.get(t, "/jobs/"+id+"/tables").Want(t, http.StatusOK).Into(t, &got)
		ready := map[simulation.Table]bool{}
		for _, s := range got.Tables {
			ready[s.Name] = s.Ready
			if s.Ready != (s.Rows != nil) || s.Ready != (len(s.Columns) > 0) {
				t.Errorf("listed is %+v", s)
			}
		}
		return ready
	}
	want := map[simulation.Table]bool{"summary": false, "tripinfo": false, "personinfo": false, "edgedata": false, "fcd": false}
	if diff := cmp.Diff(want, states()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for query, content := range map[string]string{
		"":                          "time,kind,id,x,y,angle,type,speed\n0,vehicle,a,1,2,90,car,3\n1,vehicle,a,4,2,90,car,3\n",
		"?columns=x,id":             "x,id\n1,a\n4,a\n",
		"?columns=x&from=0.5":       "x\n4\n",
		"?columns=x&from=0&to=1":    "x\n1\n",
		"?columns=x&from=-5&to=-1":  "x\n",
		"?columns=time&format=json": `{"columns":[{"name":"time","type":"float64","unit":"s","description":"Simulated time"}],"rows":[{"time":0},` + "\n" + `{"time":1}]}` + "\n",
	} {
		a := in.get(t, "/jobs/"+id+"/tables/fcd"+query).Want(t, http.StatusOK)
		if diff := cmp.Diff(content, string(a.Body)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", query, diff)
		}
		tag := a.Header.Get("ETag")
		if !entityTag.MatchString(tag) || !strings.Contains(a.Header.Get("Vary"), "Origin") {
			t.Errorf("%q has the headers %v", query, a.Header)
		}
		in.get(t, "/jobs/"+id+"/tables/fcd"+query, "If-None-Match: "+tag).Want(t, http.StatusNotModified)
	}
	if want["fcd"] = true; cmp.Diff(want, states()) != "" {
		t.Errorf("then there are %v", states())
	}
	var schema table.Schema
	in.get(t, "/jobs/"+id+"/tables/tripinfo/schema").Want(t, http.StatusOK).Into(t, &schema)
	if schema.Name != "tripinfo" || schema.TimeColumn != "depart" || !schema.Complete || schema.Index("timeLoss") < 0 {
		t.Errorf("the schema is %+v", schema)
	}
	stopped := succeeded()
	stopped.State = job.Cancelled
	in.get(t, "/jobs/"+in.finish(t, stopped)+"/tables/tripinfo/schema").Want(t, http.StatusOK).Into(t, &schema)
	if schema.Complete {
		t.Errorf("the table of a run that stopped early is said to be complete: %+v", schema)
	}
	// Whole, it is as stored; a part is written again.
	for query, rows := range map[string]int64{"": 2, "&from=1": 1, "&columns=id": 2} {
		a := in.get(t, "/jobs/"+id+"/tables/fcd?format=parquet"+query).Want(t, http.StatusOK)
		file, err := table.Open(bytes.NewReader(a.Body), int64(len(a.Body)))
		if err != nil || file.Rows != rows || a.Header.Get("Content-Type") != table.ContentType {
			t.Errorf("%q answers %v with %d rows, %v", query, a.Header, file.Rows, err)
		}
	}
}

// entityTag is what an ETag may be (RFC 9110, section 8.8.3).
var entityTag = regexp.MustCompile(`^(W/)?"[!#-~]*"$`)

// A client that keeps a table may ask with its tag however many columns it has chosen: the header is bounded.
func TestATableOfManyColumnsIsAskedForAgainByItsTag(t *testing.T) {
	t.Parallel()
	in := install(t)
	id := in.finish(t, succeeded())
	var schema table.Schema
	in.get(t, "/jobs/"+id+"/tables/tripinfo/schema").Want(t, http.StatusOK).Into(t, &schema)
	var names []string
	for _, c := range schema.Columns {
		names = append(names, c.Name)
	}
	path := "/jobs/" + id + "/tables/tripinfo?columns="
	tags := map[string]bool{}
	for n := range names {
		tag := in.get(t, path+strings.Join(names[n:], ",")).Want(t, http.StatusOK).Header.Get("ETag")
		if tags[tag] || len(tag) > 200 {
			t.Fatalf("the columns %v have the tag %s", names[n:], tag)
		}
		tags[tag] = true
	}
}

// bodies counts the answers of a store that have been opened and not closed.
type bodies struct {
	http.RoundTripper
	open atomic.Int32
}

func (b *bodies) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := b.RoundTripper.RoundTrip(r)
	if err == nil {
		b.open.Add(1)
		response.Body = &countedBody{response.Body, sync.OnceFunc(func() { b.open.Add(-1) })}
	}
	return response, err
}

type countedBody struct {
	io.ReadCloser
	closed func()
}

func (c *countedBody) Close() error { c.closed(); return c.ReadCloser.Close() }

// A body that stays open keeps its connection from being used again.
func TestATableIsClosedWhateverIsAskedOfIt(t *testing.T) {
	t.Parallel()
	var opened bodies
	bucket := localtest.Bucket(t)
	bucket.Wrap = func(next http.RoundTripper) http.RoundTripper { opened.RoundTripper = next; return &opened }
	parts := served.Parts(t)
	parts.Config.S3Bucket = bucket.Bucket
	var err error
	if parts.Objects, err = s3.New(bucket); err != nil {
		t.Fatal(err)
	}
	in := installOf(t, parts)
	id := in.finish(t, succeeded())
	for _, format := range []string{"parquet", "csv", "json"} {
		for _, method := range []string{"GET", "HEAD"} {
			in.Call(t, method, "/jobs/"+id+"/tables/fcd?format="+format, "", in.acme).Want(t, http.StatusOK)
			// The last byte has arrived here before the function is through.
			for deadline := time.Now().Add(time.Minute); opened.open.Load() != 0; time.Sleep(time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("%s of %s leaves %d answers of the store open", method, format, opened.open.Load())
				}
			}
		}
	}
}

func TestTablesThatCannotBeMadeAreExplained(t *testing.T) {
	t.Parallel()
	in := install(t)
	id := in.finish(t, succeeded())
	for path, want := range map[string]struct {
		status int
		says   string
	}{
		"queue":                {http.StatusNotFound, "outputs=queue"},
		"stops":                {http.StatusNotFound, "outputs=stop"},
		"detectors":            {http.StatusNotFound, "Add detectors"},
		"fcd?columns=x,colour": {http.StatusBadRequest, "time, kind, id"},
		"fcd?columns=x,y,x":    {http.StatusBadRequest, "twice"},
		"fcd?from=9&to=3":      {http.StatusBadRequest, "before from (9)"},
		"fcd?from=NaN":         {http.StatusBadRequest, "finite"},
		"cars":                 {http.StatusBadRequest, "expected value to be one of"},
	} {
		a := in.get(t, "/jobs/"+id+"/tables/"+path).Want(t, want.status)
		if !strings.Contains(string(a.Body), want.says) {
			t.Errorf("%s answers %s", path, a.Body)
		}
	}
	queued := in.queue(t)
	in.get(t, "/jobs/"+queued+"/tables/fcd").Want(t, http.StatusConflict)
}

func TestOneOfManyRunsOfAStudyIsEnoughForATable(t *testing.T) {
	t.Parallel()
	in, _, packed, study := run(t)
	conn, err := pgx.Connect(t.Context(), in.parts.Config.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	change := func(sql string) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), sql, study); err != nil {
			t.Fatal(err)
		}
	}
	change(`INSERT INTO study_points (study_id, point, variant, setting, scenario_digest, scenario_key, cpu_request, memory_gi, options,
			timeout_seconds, warnings)
		SELECT $1::uuid, 0, 'base', '[]', scenario_digest, 'key', 1, 1, '{}', 60, '[]' FROM jobs WHERE study_id = $1::uuid`)
	// They come before the run that has succeeded, and are more than are read at a time.
	change(`INSERT INTO jobs (id, tenant_id, namespace, name, scenario_digest, scenario_key, state, cpu_request, memory_gi, priority, options,
			timeout_seconds, task_token, submitted_at, dispatched_at, started_at, finished_at, updated_at, study_id, point, replication, chunk_id)
		SELECT ('ffffffff-ffff-7fff-8fff-' || lpad(n::text, 12, '0'))::uuid, 'acme', 'n', 'run', scenario_digest, 'key', 'FAILED', 1, 1, 0, '{}',
			60, '', now(), now(), now(), now(), now(), $1::uuid, 0, n, gen_random_uuid()
		FROM jobs, generate_series(1, 250) AS n WHERE study_id = $1::uuid`)
	path := "/studies/" + study + "/tables/fcd"
	if a := in.get(t, path).Want(t, http.StatusOK); !bytes.Contains(a.Body, []byte(packed+".parquet")) {
		t.Errorf("%s answers without the run that has succeeded", path)
	}
	change(`UPDATE jobs SET replication = 1000 WHERE study_id = $1::uuid AND state = 'SUCCEEDED'`) // of an extension, made since
	if a := in.get(t, path).Want(t, http.StatusOK); !bytes.Contains(a.Body, []byte("_left-out.json")) {
		t.Errorf("%s breaks off", path)
	}
	change(`UPDATE jobs SET superseded = true WHERE study_id = $1::uuid AND state = 'SUCCEEDED'`)
	for _, says := range []string{"once one has", "it is INCOMPLETE"} {
		if a := in.get(t, path).Want(t, http.StatusConflict); !strings.Contains(string(a.Body), says) {
			t.Errorf("want %q: %s", says, a.Body)
		}
		change(`UPDATE studies SET state = 'INCOMPLETE', finished_at = now() WHERE id = $1::uuid`)
	}
}

func TestOutputsAreFoundByTheirContent(t *testing.T) {
	t.Parallel()
	in := install(t)
	u := succeeded()
	files := map[string]string{
		"out/loops.xml": `<detector><interval begin="0.00" end="60.00" id="l0" flow="1.50"/></detector>`,
		"areas.xml.gz":  `<detector><interval begin="0.00" end="60.00" id="a0" meanSpeed="7"/></detector>`,
		"bus.xml":       `<stops><stopinfo id="b" type="bus" parking="0" started="1" ended="2"/></stops>`,
		"notes.xml":     `not XML`,
	}
	u.Results = nil
	for name := range files {
		u.Results = append(u.Results, job.ResultFile{Name: name})
	}
	id := in.finishWith(t, u, func(name string) string { return files[name] })
	var got struct{ Rows []map[string]any }
	if err := json.Unmarshal(in.get(t, "/jobs/"+id+"/tables/detectors?format=json").Want(t, http.StatusOK).Body, &got); err != nil {
		t.Fatal(err)
	}
	byFile := map[any]any{}
	for _, row := range got.Rows {
		byFile[row["file"]] = []any{row["id"], row["flow"], row["meanSpeed"]}
	}
	if diff := cmp.Diff(map[any]any{"out/loops.xml": []any{"l0", 1.5, nil}, "areas.xml.gz": []any{"a0", nil, 7.0}}, byFile); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	body := string(in.get(t, "/jobs/"+id+"/tables/stops").Want(t, http.StatusOK).Body)
	if body != "id,type,parking,started,ended\nb,bus,false,1,2\n" {
		t.Errorf("the stops are %q", body)
	}
}
