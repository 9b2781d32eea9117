package status_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sumo-k8/sumo-k8/functions/internal/app"
	"github.com/sumo-k8/sumo-k8/functions/internal/testing/contract"
	"github.com/sumo-k8/sumo-k8/functions/internal/testing/served"
	"github.com/sumo-k8/sumo-k8/functions/status"
	"github.com/sumo-k8/sumo-k8/infra/local/localtest"
	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/store/postgres"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
	networks "github.com/sumo-k8/sumo-k8/test_networks"
)

func TestMain(m *testing.M) { localtest.Main(m) }

// unknownJob is the id of no job.
const unknownJob = "01890a5d-ac96-774b-bcce-b302099a8057"

// written is what a run has left, as SUMO writes it; the compressed files are compressed when they are stored.
var written = map[string]string{
	"summary.xml":     `<summary><step time="0.00" inserted="1" running="1" meanSpeed="5.00"/><step time="1.00" inserted="2" running="2" meanSpeed="7.00"/></summary>`,
	"tripinfo.xml":    `<tripinfos><tripinfo id="a" depart="0.00" arrival="10.00" duration="10.00" routeLength="100.00" timeLoss="1" waitingTime="0" departDelay="0"/></tripinfos>`,
	"edgedata.xml.gz": `<meandata><interval begin="0.00" end="60.00"><edge id="e" sampledSeconds="60.00" density="5.00" speed="6.00"/></interval></meandata>`,
	"fcd.xml.gz": `<fcd-export><timestep time="0.00"><vehicle id="a" x="1" y="2" angle="90" type="car" speed="3"/></timestep>` +
		`<timestep time="1.00"><vehicle id="a" x="4" y="2" angle="90" type="car" speed="3"/></timestep></fcd-export>`,
}

// installation is the function with two tenants in front of what they have.
type installation struct {
	*served.Function
	parts       app.Parts
	acme, rival string // keys, as headers
	digest      string // of acme's scenario
}

func install(t testing.TB) *installation {
	t.Helper()
	return installOf(t, served.Parts(t))
}

func installOf(t testing.TB, parts app.Parts) *installation {
	t.Helper()
	in := &installation{parts: parts, Function: served.Serve(t, parts, "status")}
	for id, key := range map[string]*string{"acme": &in.acme, "rival": &in.rival} {
		text, stored, err := tenant.NewKey(rand.Reader, id, "default", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		made := tenant.Tenant{ID: id, Namespace: tenant.NamespaceFor(id), Limits: tenant.Limits{MaxCPU: 8, MaxMemoryGi: 16, MaxConcurrentJobs: 2}}
		if _, err := parts.DB.CreateTenant(t.Context(), made, stored); err != nil {
			t.Fatal(err)
		}
		*key = "Authorization: Bearer " + text
	}
	in.digest = in.scenario(t, "acme", "square")
	return in
}

// scenario stores one of the ready networks and returns its digest.
func (in *installation) scenario(t testing.TB, tenantID, network string) string {
	t.Helper()
	zip, err := networks.ReadyZip(network)
	if err != nil {
		t.Fatal(err)
	}
	owner := tenant.Tenant{ID: tenantID, Namespace: tenant.NamespaceFor(tenantID)}
	s, _, err := in.intake().Accept(t.Context(), owner, bytes.NewReader(zip), scenario.About{Name: network})
	if err != nil {
		t.Fatal(err)
	}
	return s.Digest
}

func (in *installation) intake() *scenario.Intake {
	return &scenario.Intake{
		Store: in.parts.DB, Objects: in.parts.Objects, Limits: scenario.DefaultLimits(), NewID: uuid.NewString, Now: time.Now,
	}
}

// derive stores a scenario of acme's that has the files of a zip beside those of another, without the deleted ones.
func (in *installation) derive(t testing.TB, from string, zip []byte, deleted ...string) string {
	t.Helper()
	owner := tenant.Tenant{ID: "acme", Namespace: tenant.NamespaceFor("acme")}
	s, _, _, err := in.intake().Derive(t.Context(), owner, scenario.Derivation{From: from, Files: bytes.NewReader(zip), Delete: deleted})
	if err != nil {
		t.Fatal(err)
	}
	return s.Digest
}

// queue makes a job of acme's and returns its id.
func (in *installation) queue(t testing.TB, change ...func(*job.Job)) string {
	t.Helper()
	j := job.Job{
		TenantID: "acme", Name: "morning", ScenarioDigest: in.digest, State: job.Queued,
		CPURequest: 1, MemoryGi: 2, TimeoutSeconds: 60, Options: simulation.Options{ConfigFile: "square.sumocfg"}, SubmittedAt: time.Now(),
	}
	for _, c := range change {
		c(&j)
	}
	j.ID = idOf(j.SubmittedAt)
	if _, _, err := in.parts.DB.CreateJob(t.Context(), j, nil, job.Admission{MaxQueued: 1000}); err != nil {
		t.Fatal(err)
	}
	return j.ID
}

// idOf returns the id of a job that is submitted at that time (UUIDv7, RFC 9562).
func idOf(at time.Time) string {
	id := uuid.Must(uuid.NewV7())
	for i := range 6 {
		id[i] = byte(at.UnixMilli() >> (8 * (5 - i)))
	}
	return id.String()
}

// finish makes a job that has ended as u says; its results are stored.
func (in *installation) finish(t testing.TB, u job.Update, change ...func(*job.Job)) string {
	t.Helper()
	return in.finishWith(t, u, func(name string) string { return written[name] }, change...)
}

// finishWith is finish for results with the given content.
func (in *installation) finishWith(t testing.TB, u job.Update, of func(name string) string, change ...func(*job.Job)) string {
	t.Helper()
	u.ID = in.queue(t, change...)
	if _, err := in.parts.DB.Claim(t.Context(), "acme", 1, true); err != nil {
		t.Fatal(err)
	}
	for i, file := range u.Results {
		content := []byte(of(file.Name))
		if strings.HasSuffix(file.Name, ".gz") {
			content = compressed(t, content)
		}
		key := artifact.ResultsOf(tenant.NamespaceFor("acme"), u.ID) + file.Name
		if _, err := in.parts.Objects.Put(t.Context(), key, bytes.NewReader(content), artifact.ContentType(file.Name)); err != nil {
			t.Fatal(err)
		}
		u.Results[i].Size = int64(len(content))
	}
	in.apply(t, u)
	return u.ID
}

func (in *installation) apply(t testing.TB, u job.Update) {
	t.Helper()
	if changed, err := in.parts.DB.Apply(t.Context(), []job.Update{u}); err != nil || len(changed) != 1 {
		t.Fatalf("applied to %v, %v", changed, err)
	}
}

func compressed(t testing.TB, content []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// succeeded is the end of a run with every output.
func succeeded() job.Update {
	u := job.Update{State: job.Succeeded, Progress: 1, SumoVersion: "1.18.0", Summary: &simulation.Summary{
		SumoVersion: "1.18.0", ConfigFile: "square.sumocfg", Metrics: []simulation.Metric{{Name: "mean_time_loss", Value: 4, Unit: "s"}},
	}}
	for _, name := range slices.Sorted(maps.Keys(written)) {
		u.Results = append(u.Results, job.ResultFile{Name: name})
	}
	return u
}

// failed is the end of a run that never came to write anything.
func failed() job.Update {
	return job.Update{State: job.Failed, Reason: simulation.InvalidScenario, Message: "It has no network."}
}

// get sends a request of acme's.
func (in *installation) get(t testing.TB, path string, headers ...string) served.Answer {
	t.Helper()
	return in.Call(t, "GET", path, "", append(headers, in.acme)...)
}

func TestAJobIsShownAndAnswers304WhileNothingChanges(t *testing.T) {
	t.Parallel()
	in := install(t)
	id := in.queue(t)
	a := in.get(t, "/jobs/"+id).Want(t, http.StatusOK)
	var got rest.Job
	a.Into(t, &got)
	if got.JobID != id || got.Status != job.Queued || got.Priority != "normal" || got.Error != nil || got.ResultFiles != nil {
		t.Errorf("shown is %s", a.Body)
	}
	tag := a.Header.Get("ETag")
	if tag == "" || a.Header.Get("Cache-Control") != "private, no-cache" {
		t.Errorf("the headers are %v", a.Header)
	}
	for header, status := range map[string]int{
		tag: http.StatusNotModified, "W/" + tag: http.StatusNotModified, `"x", ` + tag: http.StatusNotModified, "*": http.StatusNotModified,
		`"x"`: http.StatusOK,
	} {
		if a := in.get(t, "/jobs/"+id, "If-None-Match: "+header); a.Status != status || status == http.StatusNotModified && len(a.Body) > 0 {
			t.Errorf("If-None-Match %s answers %d with %d bytes", header, a.Status, len(a.Body))
		}
	}
	if _, err := in.parts.DB.RequestCancel(t.Context(), "acme", id); err != nil {
		t.Fatal(err)
	}
	if a := in.get(t, "/jobs/"+id, "If-None-Match: "+tag).Want(t, http.StatusOK); a.Header.Get("ETag") == tag {
		t.Errorf("after a change the tag is still %s", tag)
	}
}

func TestAWaitingRequestAnswersWhenTheStateChanges(t *testing.T) {
	t.Parallel()
	in := install(t)
	id := in.queue(t)
	go func() {
		time.Sleep(300 * time.Millisecond)
		_, _ = in.parts.DB.RequestCancel(context.Background(), "acme", id)
	}()
	began := time.Now()
	var got rest.Job
	in.get(t, "/jobs/"+id+"?wait=40s").Want(t, http.StatusOK).Into(t, &got)
	if took := time.Since(began); got.Status != job.Cancelled || took > 35*time.Second {
		t.Errorf("it is %s after %s", got.Status, took)
	}
	in.get(t, "/jobs/"+id+"?wait=40s").Want(t, http.StatusOK) // a finished job never changes
	other := in.queue(t)
	in.get(t, "/jobs/"+other+"?wait=10ms").Want(t, http.StatusOK).Into(t, &got)
	if got.Status != job.Queued {
		t.Errorf("when the time is up it is %s", got.Status)
	}
}

// reads counts the statements that read jobs.
type reads struct{ n atomic.Int32 }

func (r *reads) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if strings.Contains(data.SQL, "FROM jobs") {
		r.n.Add(1)
	}
	return ctx
}

func (r *reads) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func TestManyWaitingRequestsCostTheDatabaseLittleMoreThanOne(t *testing.T) {
	t.Parallel()
	parts := served.Parts(t)
	var counted reads
	db, err := postgres.Open(t.Context(), postgres.Config{URL: parts.Config.DatabaseURL, Tracer: &counted})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	parts.DB = db
	in := installOf(t, parts)
	const jobs, each = 10, 10
	var all sync.WaitGroup
	before, began := counted.n.Load(), time.Now()
	for range jobs {
		id := in.queue(t)
		for range each {
			all.Go(func() { in.get(t, "/jobs/"+id+"?wait=3s") })
		}
	}
	all.Wait()
	// Each request reads its job at the beginning and the end. Between them there are looks at the states of all, four a second: a dozen, and
	// more where the requests take longer because the machine is busy.
	looks := int32(time.Since(began) / (250 * time.Millisecond))
	if n := counted.n.Load() - before; n > 3*jobs*each+looks {
		t.Errorf("%d requests that waited took %d statements", jobs*each, n)
	}
	// The next one to wait begins the looks anew.
	id := in.queue(t)
	time.AfterFunc(300*time.Millisecond, func() { _, _ = db.RequestCancel(context.Background(), "acme", id) })
	var got rest.Job
	in.get(t, "/jobs/"+id+"?wait=40s").Want(t, http.StatusOK).Into(t, &got)
	if got.Status != job.Cancelled {
		t.Errorf("it is %s", got.Status)
	}
}

func TestEventsAreNumberedAndInOrder(t *testing.T) {
	t.Parallel()
	in := install(t)
	id := in.finish(t, failed())
	var got struct{ Events []status.Event }
	in.get(t, "/jobs/"+id+"/events").Want(t, http.StatusOK).Into(t, &got)
	var steps []string
	for _, e := range got.Events {
		steps = append(steps, fmt.Sprintf("%d: %s→%s %s", e.Seq, e.From, e.To, e.Reason))
	}
	if diff := cmp.Diff([]string{"1: →QUEUED ", "2: QUEUED→PENDING ", "3: PENDING→FAILED InvalidScenario"}, steps); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestAListingIsFilteredAndComesInPages(t *testing.T) {
	t.Parallel()
	in := install(t)
	old := time.Now().Add(-time.Hour)
	first := in.queue(t, func(j *job.Job) { j.SubmittedAt, j.Labels = old, map[string]string{"team": "a", "k": "x=y"} })
	second := in.queue(t, func(j *job.Job) { j.Name = "evening" })
	third := in.finish(t, failed(), func(j *job.Job) { j.Priority = job.High })
	since := old.Add(time.Minute).UTC().Format(time.RFC3339)
	for query, want := range map[string][]string{
		"":                          {third, second, first},
		"status=FAILED":             {third},
		"scenario_id=evening":       {second},
		"label=team=a":              {first},
		"label=team=a&label=k=x=y":  {first},
		"label=team=b":              nil,
		"submitted_after=" + since:  {third, second},
		"submitted_before=" + since: {first},
		"limit=1":                   {third},
		"limit=3":                   {third, second, first},
	} {
		var got struct {
			Jobs       []rest.Job
			NextCursor string `json:"next_cursor"`
		}
		in.get(t, "/jobs?"+query).Want(t, http.StatusOK).Into(t, &got)
		var ids []string
		for _, j := range got.Jobs {
			ids = append(ids, j.JobID)
		}
		if diff := cmp.Diff(want, ids); diff != "" || (got.NextCursor != "") != (query == "limit=1") {
			t.Errorf("%q goes on with %q (-want +got):\n%s", query, got.NextCursor, diff)
		}
	}
	var seen []string
	for cursor, more := "", true; more; more = cursor != "" {
		var page struct {
			Jobs       []rest.Job
			NextCursor string `json:"next_cursor"`
		}
		in.get(t, "/jobs?limit=1&cursor="+cursor).Want(t, http.StatusOK).Into(t, &page)
		for _, j := range page.Jobs {
			seen = append(seen, j.JobID)
		}
		cursor = page.NextCursor
	}
	if diff := cmp.Diff([]string{third, second, first}, seen); diff != "" {
		t.Errorf("page by page (-want +got):\n%s", diff)
	}
}

func TestTheDashboardShowsLimitsAndUse(t *testing.T) {
	t.Parallel()
	in := install(t)
	in.finish(t, failed())
	in.queue(t)
	if _, err := in.parts.DB.Claim(t.Context(), "acme", 1, true); err != nil {
		t.Fatal(err)
	}
	in.queue(t)
	var got status.Dashboard
	in.get(t, "/tenants/me/dashboard").Want(t, http.StatusOK).Into(t, &got)
	want := status.Dashboard{
		TenantID: "acme", PlanLimits: tenant.Limits{MaxCPU: 8, MaxMemoryGi: 16, MaxConcurrentJobs: 2},
		CurrentUsage: status.Usage{RequestsCPU: "1", RequestsMemory: "2Gi", LimitsCPU: "1", LimitsMemory: "2Gi", ConcurrentJobs: 1},
		Stats:        status.Stats{Queued: 1, Pending: 1, Failed: 1}, RecentJobs: got.RecentJobs, Notes: []string{},
	}
	if diff := cmp.Diff(want, got); diff != "" || len(got.RecentJobs) != 3 || got.RecentJobs[2].Status != job.Failed {
		t.Errorf("recent are %+v (-want +got):\n%s", got.RecentJobs, diff)
	}
}

func TestScenariosAreShownAndListedInPages(t *testing.T) {
	t.Parallel()
	in := install(t)
	later := in.scenario(t, "acme", "cross")
	var shown rest.Scenario
	in.get(t, "/scenarios/"+in.digest).Want(t, http.StatusOK).Into(t, &shown)
	if shown.ID != in.digest || shown.Name != "square" || len(shown.Configs) != 1 || shown.Configs[0].Network == nil || len(shown.Files) == 0 {
		t.Errorf("shown is %+v", shown)
	}
	var page struct {
		Scenarios  []rest.ScenarioSummary
		NextCursor string `json:"next_cursor"`
	}
	in.get(t, "/scenarios?limit=1").Want(t, http.StatusOK).Into(t, &page)
	if len(page.Scenarios) != 1 || page.Scenarios[0].ID != later || page.NextCursor == "" {
		t.Fatalf("the first page is %+v", page)
	}
	cursor := page.NextCursor
	in.get(t, "/scenarios?limit=1&cursor="+cursor).Want(t, http.StatusOK).Into(t, &page)
	if len(page.Scenarios) != 1 || page.Scenarios[0].ID != in.digest || page.NextCursor != "" {
		t.Errorf("the second page is %+v", page)
	}
}

func TestOperatorsSeeAllTenants(t *testing.T) {
	t.Parallel()
	in := install(t)
	in.queue(t, func(j *job.Job) { j.TaskToken, j.SubmittedAt = "a secret", time.Now().Add(-90*time.Second) })
	in.finish(t, failed(), func(j *job.Job) { j.Priority = job.High })
	var all struct {
		Jobs  []status.AdminJob
		Total int
	}
	a := in.Admin(t, "GET", "/admin/jobs", "").Want(t, http.StatusOK)
	a.Into(t, &all)
	if all.Total != 2 || all.Jobs[0].Namespace != "sumo-acme" || strings.Contains(string(a.Body), "a secret") {
		t.Errorf("all jobs are %s", a.Body)
	}
	for _, status := range []string{"RUNNING", "DONE", "running", "%00"} {
		in.Admin(t, "GET", "/admin/jobs?status="+status, "").Want(t, http.StatusOK).Into(t, &all)
		if all.Total != 0 || all.Jobs == nil || len(all.Jobs) != 0 {
			t.Errorf("%s are %+v", status, all)
		}
	}
	var queue status.Queue
	in.Admin(t, "GET", "/admin/queue", "").Want(t, http.StatusOK).Into(t, &queue)
	if queue.Queued != 1 || queue.OldestWait < 80 || len(queue.Tenants) != 1 ||
		queue.Tenants[0].TenantID != "acme" || queue.Tenants[0].MaxCPU != 8 {
		t.Errorf("the queue is %+v", queue)
	}
	var stats status.ServiceStats
	in.Admin(t, "GET", "/admin/stats?minutes=5", "").Want(t, http.StatusOK).Into(t, &stats)
	sum := 0
	for _, m := range stats.Buckets {
		sum += m.Submitted + 10*m.Failed
	}
	if len(stats.Buckets) != 5 || sum != 12 || !cmp.Equal(stats.Failures, []status.Failure{{Reason: simulation.InvalidScenario, Count: 1}}) {
		t.Errorf("the statistics are %+v", stats)
	}
}

func TestOldClientsSeeAllJobsOfAStatusAtOnce(t *testing.T) {
	t.Parallel()
	in := install(t)
	const many = 101 // more than a page
	submitted := time.Now().Add(-time.Hour)
	jobs := make([]job.Job, many)
	for i := range jobs {
		jobs[i] = job.Job{
			ID: fmt.Sprintf("f0e1d2c3-b4a5-4697-8877-%012d", i), TenantID: "acme", State: job.Succeeded, CPURequest: 1, MemoryGi: 1,
			SubmittedAt: submitted, FinishedAt: &submitted, Imported: &job.Imported{},
		}
	}
	if _, err := job.Import(t.Context(), in.parts.DB, jobs, false); err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string]int{"": 100, "?status=SUCCEEDED": many, "?status=SUCCEEDED&limit=100": 100} {
		var page struct {
			Jobs       []status.AdminJob
			Total      int
			NextCursor string `json:"next_cursor"`
		}
		in.Admin(t, "GET", "/admin/jobs"+query, "").Want(t, http.StatusOK).Into(t, &page)
		if len(page.Jobs) != want || page.Total != many || (page.NextCursor == "") != (want == many) {
			t.Errorf("%q lists %d of %d jobs, and then %q", query, len(page.Jobs), page.Total, page.NextCursor)
		}
		if page.NextCursor == "" {
			continue
		}
		sign := map[bool]string{true: "?", false: query + "&"}[query == ""]
		in.Admin(t, "GET", "/admin/jobs"+sign+"cursor="+page.NextCursor, "").Want(t, http.StatusOK).Into(t, &page)
		if len(page.Jobs) != many-want || page.NextCursor != "" {
			t.Errorf("%q lists %d jobs on its second page", query, len(page.Jobs))
		}
	}
}

func TestOperatorsPageThroughAllJobs(t *testing.T) {
	t.Parallel()
	in := install(t)
	var want []string
	for i := range 5 {
		at := func(j *job.Job) { j.SubmittedAt = time.Now().Add(time.Duration(i-5) * time.Minute) }
		if i == 0 { // while nothing else can be claimed
			in.finish(t, failed(), at)
			continue
		}
		want = append([]string{in.queue(t, at)}, want...)
	}
	var got []string
	var page struct {
		Jobs       []status.AdminJob
		Total      int
		NextCursor string `json:"next_cursor"`
	}
	for cursor := ""; ; cursor = page.NextCursor {
		in.Admin(t, "GET", "/admin/jobs?limit=2&status=QUEUED&cursor="+cursor, "").Want(t, http.StatusOK).Into(t, &page)
		if page.Total != 4 || len(page.Jobs) > 2 {
			t.Errorf("a page has %d jobs, of %d", len(page.Jobs), page.Total)
		}
		for _, j := range page.Jobs {
			got = append(got, j.JobID)
		}
		if page.NextCursor == "" {
			break
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the pages have (-want +got):\n%s", diff)
	}
	in.Admin(t, "GET", "/admin/jobs?status=FAILED", "").Want(t, http.StatusOK).Into(t, &page)
	if len(page.Jobs) != 1 {
		t.Fatalf("failed are %+v", page.Jobs)
	}
	j := page.Jobs[0]
	want = []string{"sumo-acme", "sumo-acme", "morning", "square.sumocfg", job.RunName(j.JobID)}
	got = []string{j.Namespace, j.K8sNamespace, j.ScenarioData.ScenarioID, j.ScenarioData.ConfigFile, j.K8sJobName}
	if diff := cmp.Diff(want, got); diff != "" || j.OccupiesSlot || j.K8sStatus == nil || j.K8sStatus.Failed != 1 {
		t.Errorf("a job that failed is %+v (-want +got):\n%s", j, diff)
	}
}

func TestRequestsThatAreRefused(t *testing.T) {
	t.Parallel()
	in := install(t)
	queued, done := in.queue(t), in.finish(t, succeeded(), func(j *job.Job) { j.Priority = job.High })
	bare := in.finish(t, failed(), func(j *job.Job) { j.Priority = job.High })
	bad := func(path, says string) served.Refusal {
		return served.Refused("GET", path, "", http.StatusBadRequest, says)
	}
	early := func(path string) served.Refusal {
		return served.Refused("GET", path, "", http.StatusConflict, "QUEUED")
	}
	missing := func(path, says string) served.Refusal {
		return served.Refused("GET", path, "", http.StatusNotFound, says)
	}
	in.WantRefused(t, map[string]served.Refusal{
		"no duration":                bad("/jobs/"+queued+"?wait=soon", "query.wait"),
		"a negative duration":        bad("/jobs/"+queued+"?wait=-1s", "query.wait"),
		"an unknown status":          bad("/jobs?status=DONE", "query.status"),
		"an unknown filter":          bad("/jobs?state=FAILED", "state"),
		"a label without a value":    bad("/jobs?label=team", "key=value"),
		"a label without a key":      bad("/jobs?label==x", "key=value"),
		"no time":                    bad("/jobs?submitted_after=yesterday", "2026-05-01T06:00:00Z"),
		"an empty page":              bad("/jobs?limit=0", "query.limit"),
		"too large a page":           bad("/scenarios?limit=201", "query.limit"),
		"a foreign cursor":           bad("/jobs?cursor=abc", "cursor"),
		"a cursor that is no base64": bad("/jobs?cursor=!", "cursor"),
		"a job's cursor":             bad("/scenarios?cursor=MTp4", "cursor"),
		"a comparison of one":        bad("/jobs/compare?ids="+done, "query.ids"),
		"a comparison with itself":   bad("/jobs/compare?ids="+done+","+done, "named twice"),
		"a plot with itself":         bad("/jobs/"+done+"/plots/speed.svg?with="+done, "named twice"),
		"an unknown plot":            bad("/jobs/"+done+"/plots/density.svg", "path.file"),
		"a plot as a GIF":            bad("/jobs/"+done+"/plots/speed.gif", "path.file"),
		"a tiny plot":                bad("/jobs/"+done+"/plots/speed.svg?width=1", "query.width"),
		"positions backwards":        bad("/jobs/"+done+"/vehicles?begin=5&end=1", "is before begin"),
		"statistics of nothing":      bad("/jobs/"+done+"/vehicles?step=-1", "query.step"),

		"a summary too early":       early("/jobs/" + queued + "/summary"),
		"a file too early":          early("/jobs/" + queued + "/results/summary.xml"),
		"a zip too early":           early("/jobs/" + queued + "/results.zip"),
		"a series too early":        early("/jobs/" + queued + "/series"),
		"positions too early":       early("/jobs/" + queued + "/vehicles"),
		"plots too early":           early("/jobs/" + queued + "/plots"),
		"a plot too early":          early("/jobs/" + queued + "/plots/speed.svg"),
		"a plot with one too early": early("/jobs/" + done + "/plots/speed.svg?with=" + queued),

		"no summary":         missing("/jobs/"+bare+"/summary", "It has no network."),
		"no files":           missing("/jobs/"+bare+"/results.zip", "It has no network."),
		"no such file":       missing("/jobs/"+done+"/results/none.xml", "no result file"),
		"a file of no job's": missing("/jobs/"+done+"/results/..%2f..%2fx", ""),
		"no series":          missing("/jobs/"+bare+"/series", "It has no network."),
		"no emissions":       missing("/jobs/"+done+"/plots/emissions.png", "outputs=emission"),
		"no such scenario":   missing("/scenarios/"+strings.Repeat("0", 64), ""),
		"no scenario's id":   missing("/scenarios/square", ""),
	}, in.acme)
	in.WantRefused(t, map[string]served.Refusal{
		"too many minutes":  bad("/admin/stats?minutes=1441", "query.minutes"),
		"too many jobs":     bad("/admin/jobs?limit=201", "query.limit"),
		"no cursor of ours": bad("/admin/jobs?cursor=nonsense", "cursor"),
	}, "X-Admin-Key: "+served.AdminKey)
}

// ofStatus selects this function's operations that one kind of caller may call.
func ofStatus(access string) func(contract.Operation) bool {
	return func(op contract.Operation) bool {
		elsewhere := op.Method != "GET" || strings.Contains(op.Path, "/logs") ||
			strings.HasPrefix(op.Path, "/studies") && strings.HasSuffix(op.Path, "/events") ||
			strings.Contains(op.Path, "warmup") || op.ID == "get-cluster" || op.ID == "get-activity"
		return op.Access == access && !elsewhere && !strings.HasPrefix(op.Path, "/auth/")
	}
}

func TestEveryCallNeedsItsKey(t *testing.T) {
	t.Parallel()
	in := install(t)
	in.WantKeyed(t, ofStatus("tenant"), in.acme+"x", "Authorization: Bearer "+served.AdminKey, "X-Admin-Key: "+served.AdminKey)
	in.WantKeyed(t, ofStatus("admin"), in.acme, "X-Admin-Key: x")
}

func TestNobodySeesAnothersJobsAndScenarios(t *testing.T) {
	t.Parallel()
	in := install(t)
	mine := in.finish(t, succeeded())
	refusals := map[string]served.Refusal{}
	for _, op := range in.Operations {
		if !ofStatus("tenant")(op) || !strings.Contains(op.Path, "{id}") {
			continue
		}
		for name, id := range map[string]string{"another's": mine, "unknown": unknownJob, "broken": "x"} {
			if strings.HasPrefix(op.Path, "/scenarios/") {
				id = map[string]string{"another's": in.digest, "unknown": strings.Repeat("0", 64), "broken": "x"}[name]
			}
			file := "speed.svg"
			if strings.HasPrefix(op.Path, "/studies/") {
				file = "means.svg"
			}
			part := "summary.xml"
			if strings.Contains(op.Path, "/tables/") {
				part = "tripinfo"
			}
			path := strings.NewReplacer("{id}", id, "{name}", part, "{file}", file).Replace(op.Path)
			refusals[op.ID+" "+name] = served.Refused("GET", path, "", http.StatusNotFound, "")
		}
	}
	refusals["a comparison with another's"] = served.Refused("GET", "/jobs/compare?ids="+mine+","+unknownJob, "", http.StatusNotFound, "")
	in.WantRefused(t, refusals, in.rival)
	var list struct{ Jobs []rest.Job }
	in.Call(t, "GET", "/jobs", "", in.rival).Want(t, http.StatusOK).Into(t, &list)
	if len(list.Jobs) != 0 {
		t.Errorf("listed are %+v", list.Jobs)
	}
	if len(refusals) < 40 {
		t.Errorf("only %d requests were sent", len(refusals))
	}
}

func TestThePageAndTheDocumentAreServed(t *testing.T) {
	t.Parallel()
	in := install(t)
	for path, media := range map[string]string{
		"/": "text/html; charset=utf-8", "/docs": "text/html; charset=utf-8", "/openapi.json": "application/vnd.oai.openapi+json;version=3.1",
	} {
		if a := in.Call(t, "GET", path, "").Want(t, http.StatusOK); a.Header.Get("Content-Type") != media {
			t.Errorf("%s is %s", path, a.Header.Get("Content-Type"))
		}
	}
}
