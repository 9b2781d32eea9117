package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/functions/submit"
	"github.com/sumo-k8/sumo-k8/infra/local/localtest"
	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/store/s3"
	networks "github.com/sumo-k8/sumo-k8/test_networks"
)

// send sends a body unchanged.
func (c *tenantClient) send(t testing.TB, method, path string, body io.Reader, headers ...string) answer {
	t.Helper()
	return c.request(t, method, path, body, append(headers, "Authorization: Bearer "+c.key)...)
}

func (c *tenantClient) sendJSON(t testing.TB, path, body string, headers ...string) answer {
	t.Helper()
	return c.send(t, "POST", path, strings.NewReader(body), append(headers, "Content-Type: application/json")...)
}

// store stores a zip as a scenario.
func (c *tenantClient) store(t testing.TB, zip string) (s submit.StoredScenario) {
	t.Helper()
	c.send(t, "POST", "/scenarios", strings.NewReader(zip)).want(t, http.StatusOK).into(t, &s)
	return s
}

// squareWith returns the square network with an additional file, so that it is a distinct scenario.
func squareWith(t testing.TB, note string) string {
	t.Helper()
	return readyWith(t, "square", map[string]string{"note.txt": note})
}

// readyWith returns a ready network with further files, by name.
func readyWith(t testing.TB, network string, files map[string]string) string {
	t.Helper()
	zip, err := networks.With(network, files)
	if err != nil {
		t.Fatal(err)
	}
	return string(zip)
}

func digestOf(data string) string {
	sum := sha256.Sum256([]byte(data))
	return hex.EncodeToString(sum[:])
}

func testScenarios(t *testing.T, s *service) {
	c := s.register(t, `"max_concurrent_jobs": 1`)
	corridor := zipOf(t, "corridor")
	var first, second submit.StoredScenario
	c.send(
		t, "PUT", "/scenarios?name=Main+street", strings.NewReader(corridor), "Content-Type: application/zip",
	).want(t, http.StatusOK).into(t, &first)
	if !first.Created || first.ID != digestOf(corridor) || first.Name != "Main street" || first.Size != int64(len(corridor)) ||
		len(first.Files) < 4 {
		t.Errorf("stored as %+v", first)
	}
	// Here as curl -F sends it.
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	w, err := form.CreateFormFile("sumo_files", "again.zip")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(w, corridor)
	if err := form.Close(); err != nil {
		t.Fatal(err)
	}
	c.send(t, "POST", "/scenarios", &body, "Content-Type: "+form.FormDataContentType()).want(t, http.StatusOK).into(t, &second)
	if second.Created || cmp.Diff(first.Scenario, second.Scenario) != "" {
		t.Errorf("the same zip again became %+v", second)
	}
	var shown rest.Scenario
	c.call(t, "GET", "/scenarios/"+first.ID).want(t, http.StatusOK).into(t, &shown)
	if diff := cmp.Diff(first.Scenario, shown); diff != "" {
		t.Errorf("(-stored +shown):\n%s", diff)
	}
	if n := shown.Configs[0].Network; n == nil || n.TrafficLights != 5 || n.EdgeLengthKm <= 0 || n.LaneLengthKm < n.EdgeLengthKm {
		t.Errorf("the network is %+v", n)
	}
	if d := shown.Configs[0].Demand; d == nil || d.Vehicles+d.Flows == 0 || d.FirstDeparture == nil {
		t.Errorf("the demand is %+v", d)
	}

	// A job of the stored scenario is like a job of the zip, however the scenario is named. The jobs wait for another, so that none has ended
	// when the scenario is to be deleted.
	blocker := c.submitEndless(t)
	var jobs [3]rest.Job
	c.sendJSON(
		t, "/jobs/s3", fmt.Sprintf(`{"scenario_id": "a", "cpu_request": 1, "scenario": %q}`, first.ID),
	).want(t, http.StatusOK).into(t, &jobs[0])
	c.post(t, [][2]string{{"scenario_id", "b"}, {"cpu_request", "1"}, {"scenario", first.ID}}).want(t, http.StatusOK).into(t, &jobs[1])
	c.send(
		t, "POST", "/jobs", strings.NewReader("scenario_id=c&cpu_request=1&scenario="+first.ID),
		"Content-Type: application/x-www-form-urlencoded",
	).
		want(t, http.StatusOK).into(t, &jobs[2])
	for i, j := range jobs {
		if j.Scenario != first.ID || j.ConfigFile != "corridor.sumocfg" {
			t.Errorf("job %d runs %s of scenario %s", i, j.ConfigFile, j.Scenario)
		}
	}
	if p := c.call(t, "DELETE", "/scenarios/"+first.ID).want(t, http.StatusConflict).problem(t); len(p.Errors) == 0 {
		t.Errorf("the refusal names no jobs: %+v", p)
	}
	c.call(t, "DELETE", "/jobs/"+blocker.JobID).want(t, http.StatusOK)
	for _, j := range jobs {
		if j := c.finish(t, j.JobID); j.Status != job.Succeeded {
			t.Errorf("%s ended %s: %s", j.ScenarioID, j.Status, deref(j.Error))
		}
	}
	c.call(t, "DELETE", "/scenarios/"+first.ID).want(t, http.StatusOK)
	c.call(t, "DELETE", "/scenarios/"+first.ID).want(t, http.StatusNotFound)
	c.call(t, "GET", "/scenarios/"+first.ID).want(t, http.StatusNotFound)
	if j := c.job(t, jobs[0].JobID); j.Scenario != first.ID || j.Status != job.Succeeded {
		t.Errorf("without its scenario the job is %+v", j)
	}
	c.call(t, "POST", "/jobs/"+jobs[0].JobID+"/retry").want(t, http.StatusNotFound)
	c.sendJSON(t, "/jobs/s3", fmt.Sprintf(`{"scenario_id": "a", "scenario": %q}`, first.ID)).want(t, http.StatusNotFound)
	if again := c.store(t, corridor); !again.Created || again.ID != first.ID {
		t.Errorf("after its deletion the zip was stored as %+v", again)
	}
	var j rest.Job
	c.call(t, "POST", "/jobs/"+jobs[0].JobID+"/retry").want(t, http.StatusOK).into(t, &j)
	if j = c.finish(t, j.JobID); j.Status != job.Succeeded {
		t.Errorf("the retried job ended %s", j.Status)
	}
}

func testScenarioListing(t *testing.T, s *service) {
	c := s.register(t)
	var all []string
	for i := range 5 {
		all = append([]string{c.store(t, squareWith(t, fmt.Sprint(i))).ID}, all...)
	}
	type page struct {
		Scenarios  []rest.ScenarioSummary
		NextCursor string `json:"next_cursor"`
	}
	list := func(query string) (p page) {
		c.call(t, "GET", "/scenarios?"+query).want(t, http.StatusOK).into(t, &p)
		return p
	}
	var got []string
	cursor, pages := "", 0
	for {
		p := list("limit=2&cursor=" + cursor)
		pages++
		for _, s := range p.Scenarios {
			got = append(got, s.ID)
			if n := s.Configs[0].Network; n == nil || n.Edges == 0 {
				t.Errorf("%s is listed without its network", s.ID)
			}
		}
		if pages == 1 {
			c.store(t, squareWith(t, "arrives meanwhile, and must not appear"))
			// The scenario at which the page ended may be deleted meanwhile.
			c.call(t, "DELETE", "/scenarios/"+all[1]).want(t, http.StatusOK)
		}
		if cursor = p.NextCursor; cursor == "" {
			break
		}
	}
	if diff := cmp.Diff(all, got); diff != "" || pages != 3 {
		t.Errorf("%d pages gave (-want +got):\n%s", pages, diff)
	}
	if n := len(list("limit=200").Scenarios); n != 5 {
		t.Errorf("%d scenarios are listed", n)
	}
	for _, bad := range []string{"limit=0", "limit=201", "cursor=nonsense", "cursor=MTp4", "cursor=MToxOng", "name=grid"} {
		c.call(t, "GET", "/scenarios?"+bad).want(t, http.StatusBadRequest)
	}
	var other page
	s.register(t).call(t, "GET", "/scenarios").want(t, http.StatusOK).into(t, &other)
	if len(other.Scenarios) != 0 {
		t.Errorf("another tenant sees %d scenarios", len(other.Scenarios))
	}
}

func testScenarioValidation(t *testing.T, s *service) {
	c := s.register(t)
	validate := func(zip []byte) (v submit.Validation) {
		c.send(t, "POST", "/scenarios/validate", bytes.NewReader(zip)).want(t, http.StatusOK).into(t, &v)
		return v
	}
	good := zipOf(t, "multi_config")
	if v := validate([]byte(good)); !v.Valid || v.ID != digestOf(good) || len(v.Configs) != 2 || v.Configs[0].Network == nil ||
		len(v.Errors) != 0 || len(v.Files) == 0 {
		t.Errorf("found %+v", v)
	}
	c.call(t, "GET", "/scenarios/"+digestOf(good)).want(t, http.StatusNotFound)
	for _, broken := range networks.Broken() {
		zip, err := broken.Zip()
		if err != nil {
			t.Fatal(err)
		}
		// Validation finds the same errors that a submission is refused with.
		p := c.send(t, "POST", "/scenarios", bytes.NewReader(zip)).want(t, broken.Status).problem(t)
		v := validate(zip)
		if diff := cmp.Diff(p.Errors, v.Errors); v.Valid || v.Detail != p.Detail || diff != "" {
			t.Errorf("%s is valid=%t: %s, (-refused +found):\n%s", broken.File, v.Valid, v.Detail, diff)
		}
	}
	if v := validate([]byte("hello")); v.Valid || len(v.Errors) != 1 {
		t.Errorf("text is %+v", v)
	}
	var list struct{ Scenarios []rest.ScenarioSummary }
	c.call(t, "GET", "/scenarios").want(t, http.StatusOK).into(t, &list)
	if len(list.Scenarios) != 0 {
		t.Errorf("%d scenarios were stored", len(list.Scenarios))
	}
}

// put sends a file to a link as a client without our key does.
func put(t testing.TB, link string, body io.Reader, size int64) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, link, body)
	if err != nil {
		t.Fatal(err)
	}
	r.ContentLength = size
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	return response.StatusCode
}

func (c *tenantClient) begin(t testing.TB, body string, headers ...string) (u submit.DirectUpload) {
	t.Helper()
	c.sendJSON(t, "/scenarios/uploads", body, headers...).want(t, http.StatusOK).into(t, &u)
	return u
}

func testDirectUploads(t *testing.T, s *service) {
	c := s.register(t)
	grid := zipOf(t, "grid")
	announced := fmt.Sprintf(`{"size": %d, "name": "Grid", "sha256": %q}`, len(grid), digestOf(grid))
	u := c.begin(t, announced)
	complete := "/scenarios/uploads/" + u.UploadID + "/complete"
	if p := c.call(t, "POST", complete).want(t, http.StatusConflict).problem(t); p.Code != problem.Conflict {
		t.Errorf("before the file has arrived: %+v", p)
	}
	if status := put(t, u.URL, strings.NewReader(grid+"x"), int64(len(grid))+1); status < 400 {
		t.Errorf("a longer file is answered %d", status)
	}
	if status := put(t, u.URL, strings.NewReader(grid), int64(len(grid))); status != http.StatusOK {
		t.Fatalf("the file is answered %d", status)
	}
	other := s.register(t)
	other.call(t, "POST", complete).want(t, http.StatusNotFound)
	other.call(t, "DELETE", "/scenarios/uploads/"+u.UploadID).want(t, http.StatusNotFound)

	// The first request makes it; all get it.
	var answers [4]submit.StoredScenario
	var clients sync.WaitGroup
	for i := range answers {
		clients.Go(func() {
			a := c.call(t, "POST", complete)
			if err := json.Unmarshal(a.body, &answers[i]); err != nil || a.status != http.StatusOK {
				t.Errorf("answered %d: %s", a.status, a.body)
			}
		})
	}
	clients.Wait()
	made := 0
	for _, a := range answers {
		if a.Created {
			made++
		}
		if a.ID != digestOf(grid) || a.Name != "Grid" {
			t.Errorf("completed as %s called %q", a.ID, a.Name)
		}
	}
	if made != 1 {
		t.Errorf("the scenario was made %d times", made)
	}
	// The link still works, but no longer changes anything.
	if status := put(t, u.URL, strings.NewReader(strings.Repeat("x", len(grid))), int64(len(grid))); status != http.StatusOK {
		t.Logf("the link is closed already: %d", status)
	}
	var after submit.StoredScenario
	c.call(t, "POST", complete).want(t, http.StatusOK).into(t, &after)
	var j rest.Job
	c.sendJSON(t, "/jobs/s3", fmt.Sprintf(`{"scenario_id": "direct", "end": 30, "scenario": %q}`, after.ID)).want(t, http.StatusOK).into(t, &j)
	if j = c.finish(t, j.JobID); j.Status != job.Succeeded {
		t.Errorf("its job ended %s: %s", j.Status, deref(j.Error))
	}
	if known := c.begin(t, announced); known.Status != "stored" || known.Scenario != after.ID || known.URL != "" {
		t.Errorf("what is known already is asked for: %+v", known)
	}

	// A refused file leaves neither object nor upload.
	for name, test := range map[string]struct {
		body   string
		sha256 string
		status int
	}{
		"no zip":        {"just text", "", http.StatusUnprocessableEntity},
		"another's sum": {squareWith(t, "other"), strings.Repeat("ab", 32), http.StatusBadRequest},
	} {
		body := fmt.Sprintf(`{"size": %d}`, len(test.body))
		if test.sha256 != "" {
			body = fmt.Sprintf(`{"size": %d, "sha256": %q}`, len(test.body), test.sha256)
		}
		u := c.begin(t, body)
		if status := put(t, u.URL, strings.NewReader(test.body), int64(len(test.body))); status != http.StatusOK {
			t.Fatalf("%s is answered %d", name, status)
		}
		if a := c.call(t, "POST", "/scenarios/uploads/"+u.UploadID+"/complete"); a.status != test.status {
			t.Errorf("%s is answered %d: %s", name, a.status, a.body)
		}
		c.call(t, "POST", "/scenarios/uploads/"+u.UploadID+"/complete").want(t, http.StatusNotFound)
	}
	given := c.begin(t, `{"size": 10}`)
	c.call(t, "DELETE", "/scenarios/uploads/"+given.UploadID).want(t, http.StatusOK)
	c.call(t, "DELETE", "/scenarios/uploads/"+given.UploadID).want(t, http.StatusNotFound)

	c.sendJSON(t, "/scenarios/uploads", fmt.Sprintf(`{"size": %d}`, int64(3)<<30)).want(t, http.StatusRequestEntityTooLarge)
	for _, bad := range []string{`{}`, `{"size": 0}`, `{"size": 1, "sha256": "AB"}`, `{"size": "x"}`} {
		c.sendJSON(t, "/scenarios/uploads", bad).want(t, http.StatusBadRequest)
	}
	for range 20 {
		c.begin(t, `{"size": 10}`)
	}
	if p := c.sendJSON(t, "/scenarios/uploads", `{"size": 10}`).want(t, http.StatusConflict).problem(t); len(p.Errors) != 20 {
		t.Errorf("the refusal names %d open uploads", len(p.Errors))
	}
	store, err := s3.New(s.inputs("sumo-k8"))
	if err != nil {
		t.Fatal(err)
	}
	if left := objectsUnder(t, store, "uploads/sumo-"+c.id+"/"); len(left) > 1 { // the one put after its completion
		t.Errorf("left behind: %v", left)
	}
}

// patiently repeats a request that a limit refuses, as clients do: such a request was not processed. It waits for less than Retry-After,
// which is for uploads of some MiB.
func patiently(request func() answer) answer {
	for {
		if a := request(); a.status != http.StatusTooManyRequests {
			return a
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// testManyAtOnce sends more at once than a tenant may: on a busy machine, more than four of fifty uploads are under way at a time.
func testManyAtOnce(t *testing.T, s *service) {
	c := s.register(t, `"max_concurrent_jobs": 1`)
	blocker := c.submitEndless(t)
	id := c.store(t, squareWith(t, "once")).ID
	const requests = 50
	// repeated sends one request many times at once, and returns the ids in the answers.
	repeated := func(member string, request func() answer) map[string]int {
		var mu sync.Mutex
		seen := map[string]int{}
		var clients sync.WaitGroup
		for range requests {
			clients.Go(func() {
				a := patiently(request)
				var fields map[string]any
				if err := json.Unmarshal(a.body, &fields); err != nil || a.status != http.StatusOK {
					t.Errorf("answered %d: %s", a.status, a.body)
				}
				mu.Lock()
				defer mu.Unlock()
				seen[fmt.Sprint(fields[member])]++
			})
		}
		clients.Wait()
		return seen
	}
	done := c.submit(t, "square")
	c.call(t, "DELETE", "/jobs/"+done.JobID).want(t, http.StatusOK)
	zip := squareWith(t, "as a form")
	for name, test := range map[string]struct {
		member  string
		request func() answer
	}{
		"a job of a zip": {"job_id", func() answer {
			return c.post(t, [][2]string{{"scenario_id", "once"}, {"@sumo_files", zip}}, "Idempotency-Key: form")
		}},
		"a job of a scenario": {"job_id", func() answer {
			return c.sendJSON(t, "/jobs/s3", fmt.Sprintf(`{"scenario_id": "once", "scenario": %q}`, id), "Idempotency-Key: json")
		}},
		"a retry": {"job_id", func() answer {
			return c.send(t, "POST", "/jobs/"+done.JobID+"/retry", nil, "Idempotency-Key: retry")
		}},
		"a scenario": {"id", func() answer {
			return c.send(t, "POST", "/scenarios", strings.NewReader(squareWith(t, "many")), "Idempotency-Key: zip")
		}},
		"an upload": {"upload_id", func() answer {
			return c.sendJSON(t, "/scenarios/uploads", `{"size": 77}`, "Idempotency-Key: upload")
		}},
	} {
		if seen := repeated(test.member, test.request); len(seen) != 1 {
			t.Errorf("%s became %d: %v", name, len(seen), seen)
		}
	}
	var jobs page
	patiently(func() answer { return c.call(t, "GET", "/jobs?limit=200") }).want(t, http.StatusOK).into(t, &jobs)
	if n := len(jobs.Jobs); n != 5 {
		t.Errorf("there are %d jobs", n)
	}
	// A key belongs to one request, whatever the kind of request.
	for _, key := range []string{"form", "json", "retry", "zip", "upload"} {
		for what, request := range map[string]func() answer{
			"a scenario": func() answer {
				return c.send(t, "POST", "/scenarios", strings.NewReader(zipOf(t, "cross")), "Idempotency-Key: "+key)
			},
			"an upload": func() answer { return c.sendJSON(t, "/scenarios/uploads", `{"size": 78}`, "Idempotency-Key: "+key) },
			"a job": func() answer {
				return c.sendJSON(t, "/jobs/s3", fmt.Sprintf(`{"scenario_id": "another", "scenario": %q}`, id), "Idempotency-Key: "+key)
			},
		} {
			a := patiently(request)
			if a.status != http.StatusUnprocessableEntity || a.problem(t).Code != problem.KeyReused {
				t.Errorf("the earlier key %s was accepted for %s: %d %s", key, what, a.status, a.body)
			}
		}
	}
	patiently(func() answer { return c.call(t, "GET", "/scenarios/"+digestOf(zipOf(t, "cross"))) }).want(t, http.StatusNotFound)
	patiently(func() answer { return c.call(t, "DELETE", "/jobs/"+blocker.JobID) }).want(t, http.StatusOK)
}

// A derived scenario runs as the same files uploaded whole, also when the one that it was derived from is gone.
func testDerivedScenarios(t *testing.T, s *service) {
	c := s.register(t)
	corridor := zipOf(t, "corridor")
	whole, base := c.store(t, corridor), c.store(t, squareWith(t, "to derive from"))
	var derived submit.StoredScenario
	c.send(
		t, "POST", "/scenarios/"+base.ID+"/derive?delete=square.sumocfg&delete=square.net.xml&delete=square.rou.xml", strings.NewReader(corridor),
	).want(t, http.StatusOK).into(t, &derived)
	if d := derived.Derived; d == nil || d.Base != base.ID || len(d.Added) != len(whole.Files) || len(d.Deleted) != 3 {
		t.Errorf("derived %+v", derived)
	}
	c.call(t, "DELETE", "/scenarios/"+base.ID).want(t, http.StatusOK)
	var summaries [2]map[string]float64
	for i, id := range []string{whole.ID, derived.ID} {
		var j rest.Job
		c.sendJSON(
			t, "/jobs/s3", fmt.Sprintf(`{"scenario_id": "a", "cpu_request": 1, "seed": 7, "scenario": %q}`, id),
		).want(t, http.StatusOK).into(t, &j)
		if j = c.finish(t, j.JobID); j.Status != job.Succeeded || j.Scenario != id {
			t.Fatalf("the job of %s ended %s: %s", j.Scenario, j.Status, deref(j.Error))
		}
		var summary simulation.Summary
		c.call(t, "GET", "/jobs/"+j.JobID+"/summary").want(t, http.StatusOK).into(t, &summary)
		summaries[i] = map[string]float64{}
		for _, m := range summary.Metrics {
			if !slices.Contains([]string{"real_time_factor", "vehicle_updates_per_second", "wall_time"}, m.Name) {
				summaries[i][m.Name] = m.Value
			}
		}
	}
	if diff := cmp.Diff(summaries[0], summaries[1]); diff != "" || len(summaries[0]) < 5 {
		t.Errorf("(-uploaded whole +derived):\n%s", diff)
	}
}

func testScenarioIsolation(t *testing.T, s *service) {
	owner, other := s.register(t), s.register(t)
	stored := owner.store(t, squareWith(t, "mine"))
	for _, id := range []string{stored.ID, strings.Repeat("0", 64), "no-such-id", "%00", strings.Repeat("9", 300)} {
		other.call(t, "GET", "/scenarios/"+id).want(t, http.StatusNotFound)
		other.call(t, "DELETE", "/scenarios/"+id).want(t, http.StatusNotFound)
		other.call(t, "DELETE", "/scenarios/uploads/"+id).want(t, http.StatusNotFound)
		other.call(t, "POST", "/scenarios/uploads/"+id+"/complete").want(t, http.StatusNotFound)
	}
	for _, id := range []string{stored.ID, strings.Repeat("0", 64), "no-such-id", "\x00"} {
		body, _ := json.Marshal(map[string]string{"scenario_id": "x", "scenario": id})
		other.sendJSON(t, "/jobs/s3", string(body)).want(t, http.StatusNotFound)
	}
	// Having the same bytes gives no access to another tenant's scenario.
	if copied := other.store(t, squareWith(t, "mine")); !copied.Created {
		t.Error("a scenario is shared between tenants")
	}
	other.call(t, "DELETE", "/scenarios/"+stored.ID).want(t, http.StatusOK)
	owner.call(t, "GET", "/scenarios/"+stored.ID).want(t, http.StatusOK)
}

func objectsUnder(t testing.TB, store *s3.Store, prefix string) (keys []string) {
	t.Helper()
	if err := store.List(t.Context(), prefix, func(o artifact.Object) bool {
		keys = append(keys, o.Key)
		return true
	}); err != nil {
		t.Fatal(err)
	}
	return keys
}

// A direct upload is copied and inspected in pieces.
func TestALargeScenarioIsNotHeldInMemory(t *testing.T) {
	t.Parallel()
	const size = 320 << 20
	file, err := os.Create(filepath.Join(t.TempDir(), "large.zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := writeBigZip(file, zipOf(t, "square"), size); err != nil {
		t.Fatal(err)
	}
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	settings, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	// Its own process, so that its memory can be measured. On a busy machine the collector would fall behind without a limit, which only
	// what is in use can exceed.
	cmd, s := start(t, localtest.Folder(t), settings, "GOMEMLIMIT=160MiB")
	defer func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	}()
	c := s.register(t)
	c.store(t, zipOf(t, "square")) // connections and buffers are made
	idle := memory(t, cmd.Process.Pid, "VmRSS")
	resetPeak(t, cmd.Process.Pid)
	u := c.begin(t, fmt.Sprintf(`{"size": %d}`, info.Size()))
	if status := put(t, u.URL, io.NewSectionReader(file, 0, info.Size()), info.Size()); status != http.StatusOK {
		t.Fatalf("the upload is answered %d", status)
	}
	var stored submit.StoredScenario
	c.call(t, "POST", "/scenarios/uploads/"+u.UploadID+"/complete").want(t, http.StatusOK).into(t, &stored)
	if !stored.Created || stored.Size != info.Size() {
		t.Errorf("stored %d bytes, created=%t", stored.Size, stored.Created)
	}
	used := memory(t, cmd.Process.Pid, "VmHWM") - idle
	// Some 60 MiB: three parts, as much again until the collector has run, and the reader's blocks. The race detector takes
	// twice that.
	t.Logf("an upload of %d MiB takes %d MiB", size>>20, used>>20)
	if used > size*3/4 {
		t.Errorf("an upload of %d MiB takes %d MiB", size>>20, used>>20)
	}
}
