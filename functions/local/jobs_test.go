package main

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/functions/status"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// page is one page of GET /jobs.
type page struct {
	Jobs       []rest.Job
	NextCursor string `json:"next_cursor"`
}

func (c *tenantClient) list(t *testing.T, query string) page {
	t.Helper()
	var p page
	c.call(t, "GET", "/jobs?"+query).want(t, http.StatusOK).into(t, &p)
	return p
}

func ids(jobs []rest.Job) (out []string) {
	for _, j := range jobs {
		out = append(out, j.JobID)
	}
	return out
}

func testListing(t *testing.T, s *service) {
	c := s.register(t)
	var all []string
	for i := range 5 {
		j := c.submit(t, "square", [2]string{"labels", fmt.Sprintf(`{"round": "%d", "team": "north"}`, i%2)})
		all = slices.Insert(all, 0, j.JobID)
	}
	for _, id := range all {
		c.finish(t, id)
	}
	var got []string
	cursor, pages := "", 0
	for {
		p := c.list(t, "limit=2&cursor="+cursor)
		got, pages = append(got, ids(p.Jobs)...), pages+1
		if pages == 1 {
			all = append(all, c.submit(t, "square").JobID) // arrives meanwhile, and must not appear
		}
		if cursor = p.NextCursor; cursor == "" {
			break
		}
	}
	late := all[len(all)-1]
	all = all[:len(all)-1]
	if diff := cmp.Diff(all, got); diff != "" || pages != 3 {
		t.Errorf("%d pages gave (-want +got):\n%s", pages, diff)
	}
	c.finish(t, late)
	middle := c.job(t, all[2]).SubmittedAt
	for query, want := range map[string][]string{
		"status=SUCCEEDED&limit=200":                         append([]string{late}, all...),
		"status=FAILED":                                      nil,
		"scenario_id=square&limit=1":                         {late},
		"scenario_id=elsewhere":                              nil,
		"label=round%3D1":                                    {all[1], all[3]},
		"label=round%3D0&label=team%3Dnorth":                 {all[0], all[2], all[4]},
		"label=round%3D0&label=team%3Dsouth":                 nil,
		"submitted_after=" + url.QueryEscape(stamp(middle)):  {late, all[0], all[1]},
		"submitted_before=" + url.QueryEscape(stamp(middle)): {all[3], all[4]},
	} {
		if diff := cmp.Diff(want, ids(c.list(t, query).Jobs)); diff != "" {
			t.Errorf("%s gave (-want +got):\n%s", query, diff)
		}
	}
	if other := s.register(t).list(t, "").Jobs; len(other) != 0 {
		t.Errorf("another tenant sees %d jobs", len(other))
	}
	for _, bad := range []string{
		"limit=0", "limit=201", "status=DONE", "label=x", "cursor=nonsense", "cursor=MTp4", "submitted_after=yesterday", "state=FAILED",
	} {
		c.call(t, "GET", "/jobs?"+bad).want(t, http.StatusBadRequest)
	}
}

func stamp(at time.Time) string { return at.Format(time.RFC3339Nano) }

func testResults(t *testing.T, s *service) {
	c := s.register(t)
	c.early(t, func(id string) answer { return c.call(t, "GET", "/jobs/"+id+"/results/nothing") })
	j := c.submit(t, "cross")
	c.finish(t, j.JobID)

	var results status.Results
	c.call(t, "GET", "/jobs/"+j.JobID+"/results").want(t, http.StatusOK).into(t, &results)
	packed := c.call(t, "GET", "/jobs/"+j.JobID+"/results.zip").want(t, http.StatusOK)
	archive, err := zip.NewReader(bytes.NewReader(packed.body), int64(len(packed.body)))
	if err != nil {
		t.Fatal(err)
	}
	inZip := map[string]string{}
	for _, f := range archive.File {
		inZip[f.Name] = readEntry(t, f)
	}
	if len(inZip) != len(results.Files) {
		t.Errorf("the zip has %d files, the list %d", len(inZip), len(results.Files))
	}
	for _, f := range results.Files { // the redirect is followed by the client
		if a := c.call(t, "GET", "/jobs/"+j.JobID+"/results/"+f.Name).want(t, http.StatusOK); string(a.body) != inZip[f.Name] {
			t.Errorf("%s differs from its copy in the zip", f.Name)
		}
	}
	for _, f := range results.Files {
		if sum := fmt.Sprintf("%x", sha256.Sum256([]byte(inZip[f.Name]))); f.SHA256 != sum {
			t.Errorf("the checksum of %s is %q, want %q", f.Name, f.SHA256, sum)
		}
		if f.Name != simulation.ChecksumFile && f.Name != simulation.OutcomeFile && !strings.Contains(
			inZip[simulation.ChecksumFile], f.SHA256+"  "+f.Name+"\n",
		) {
			t.Errorf("%s has no checksum in the zip", f.Name)
		}
	}
	part := c.call(t, "GET", "/jobs/"+j.JobID+"/results/tripinfo.xml", "Range: bytes=10-19").want(t, http.StatusPartialContent)
	if string(part.body) != inZip["tripinfo.xml"][10:20] || part.header.Get("Content-Disposition") != `attachment; filename="tripinfo.xml"` {
		t.Errorf("ten bytes of a file are %q, called %s", part.body, part.header.Get("Content-Disposition"))
	}
	if name := packed.header.Get("Content-Disposition"); !strings.Contains(name, `filename="cross-`) || strings.Contains(name, "partial") {
		t.Errorf("the zip is called %s", name)
	}
	c.call(t, "HEAD", "/jobs/"+j.JobID+"/results.zip").want(t, http.StatusOK)
	for _, name := range []string{"none.xml", "../" + j.JobID + "/log.txt", url.PathEscape("../log.txt")} {
		if a := c.call(t, "GET", "/jobs/"+j.JobID+"/results/"+name); a.status != http.StatusNotFound {
			t.Errorf("%s answered %d", name, a.status)
		}
	}
	var summary status.Summary
	c.call(t, "GET", "/jobs/"+j.JobID+"/summary").want(t, http.StatusOK).into(t, &summary)
	if n, ok := summary.Metric("vehicles_inserted"); !ok || n != 560 {
		t.Errorf("the summary has %v vehicles", n)
	}
	var stored simulation.Summary
	answer{body: []byte(inZip[simulation.SummaryFile])}.into(t, &stored)
	if diff := cmp.Diff(stored, summary.Summary); diff != "" {
		t.Errorf("the summary differs from the stored one:\n%s", diff)
	}
}

func testWaiting(t *testing.T, s *service) {
	c := s.register(t)
	j := c.submitEndless(t)
	c.await(t, j.JobID, running)
	// Only progress changes, and an endless run makes hardly any: the wait times out.
	began := time.Now()
	c.call(t, "GET", "/jobs/"+j.JobID+"?wait=600ms").want(t, http.StatusOK)
	if waited := time.Since(began); waited < 600*time.Millisecond {
		t.Errorf("answered after %s", waited)
	}
	answered := make(chan rest.Job, 1)
	go func() {
		defer close(answered)
		var changed rest.Job
		a := c.call(t, "GET", "/jobs/"+j.JobID+"?wait=50s")
		if a.status == http.StatusOK {
			a.into(t, &changed)
			answered <- changed
		}
	}()
	c.call(t, "DELETE", "/jobs/"+j.JobID).want(t, http.StatusOK)
	if changed := <-answered; changed.Status != job.Cancelled {
		t.Errorf("the waiting request was answered with %q", changed.Status)
	}
	a := c.call(t, "GET", "/jobs/"+j.JobID)
	tag := a.header.Get("ETag")
	if same := c.call(t, "GET", "/jobs/"+j.JobID, "If-None-Match: "+tag).want(t, http.StatusNotModified); len(same.body) != 0 || tag == "" {
		t.Errorf("304 with ETag %q has the body %q", tag, same.body)
	}
	c.call(t, "GET", "/jobs/"+j.JobID, `If-None-Match: "other"`).want(t, http.StatusOK)
	for _, header := range []string{"W/" + tag, `"other", ` + tag, "*"} {
		c.call(t, "GET", "/jobs/"+j.JobID, "If-None-Match: "+header).want(t, http.StatusNotModified)
	}
	c.call(t, "GET", "/jobs/"+j.JobID+"?wait=50s", "If-None-Match: "+tag).want(t, http.StatusNotModified) // it has finished: no wait
	for _, bad := range []string{"soon", "-1s", "30"} {
		c.call(t, "GET", "/jobs/"+j.JobID+"?wait="+bad).want(t, http.StatusBadRequest)
	}
}

func testRetryAndPurge(t *testing.T, s *service) {
	c := s.register(t)
	first := c.submitEndless(
		t, [2]string{"seed", "7"}, [2]string{"cpu_request", "1"}, [2]string{"outputs", "queue"}, [2]string{"labels", `{"team": "north"}`},
	)
	if diff := cmp.Diff([]simulation.Output{simulation.OutputQueue}, first.Options.Outputs); diff != "" || first.Labels["team"] != "north" {
		t.Errorf("a job does not report what was chosen for it: labels %v, outputs (-want +got):\n%s", first.Labels, diff)
	}
	c.call(t, "POST", "/jobs/"+first.JobID+"/retry").want(t, http.StatusConflict)
	c.call(t, "DELETE", "/jobs/"+first.JobID+"?purge=true").want(t, http.StatusConflict)
	c.call(t, "DELETE", "/jobs/"+first.JobID).want(t, http.StatusOK)
	c.finish(t, first.JobID)

	var again, repeated rest.Job
	c.call(t, "POST", "/jobs/"+first.JobID+"/retry", "Idempotency-Key: again").want(t, http.StatusOK).into(t, &again)
	c.call(t, "POST", "/jobs/"+first.JobID+"/retry", "Idempotency-Key: again").want(t, http.StatusOK).into(t, &repeated)
	if again.JobID == first.JobID || again.JobID != repeated.JobID || again.Scenario != first.Scenario || *again.Seed != 7 ||
		again.CPURequest != 1 ||
		!cmp.Equal(again.Options, first.Options) || !cmp.Equal(again.Labels, first.Labels) {
		t.Errorf("retried as %+v", again)
	}
	c.await(t, again.JobID, running) // so that it leaves something to purge
	c.call(t, "DELETE", "/jobs/"+again.JobID).want(t, http.StatusOK)
	c.finish(t, again.JobID)

	var results status.Results
	c.call(t, "GET", "/jobs/"+again.JobID+"/results").into(t, &results)
	c.call(t, "DELETE", "/jobs/"+again.JobID+"?purge=true").want(t, http.StatusOK)
	c.call(t, "GET", "/jobs/"+again.JobID).want(t, http.StatusNotFound)
	c.call(t, "DELETE", "/jobs/"+again.JobID+"?purge=true").want(t, http.StatusNotFound)
	for _, f := range results.Files {
		response, err := http.Get(f.URL)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, response.Body)
		response.Body.Close()
		if response.StatusCode != http.StatusNotFound {
			t.Errorf("the purged %s is still there: %s", f.Name, response.Status)
		}
	}
	if len(results.Files) == 0 || !strings.Contains(strings.Join(ids(c.list(t, "").Jobs), " "), first.JobID) {
		t.Error("the other job was purged too, or there was nothing to purge")
	}
}

func testTenantDeletion(t *testing.T, s *service) {
	c := s.register(t, `"max_concurrent_jobs": 1`)
	done := c.submit(t, "square")
	c.finish(t, done.JobID)
	var results status.Results
	c.call(t, "GET", "/jobs/"+done.JobID+"/results").into(t, &results)
	active, queued := c.submitEndless(t), c.submitEndless(t)
	c.await(t, active.JobID, running)

	path := "/auth/tenants/" + c.id
	s.admin(t, "DELETE", path, "").want(t, http.StatusConflict)
	if j := c.job(t, queued.JobID); j.Status != job.Queued {
		t.Errorf("the refused deletion left the queued job %s", j.Status)
	}
	s.admin(t, "DELETE", path+"?force=true", "").want(t, http.StatusOK)
	c.call(t, "GET", "/jobs").want(t, http.StatusUnauthorized)
	s.admin(t, "GET", path, "").want(t, http.StatusNotFound)
	s.admin(t, "DELETE", path, "").want(t, http.StatusNotFound)
	for _, f := range results.Files {
		response, err := http.Get(f.URL)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusNotFound {
			t.Errorf("%s of the deleted tenant is still there: %s", f.Name, response.Status)
		}
	}
	// Its name is free again, and nothing of the old tenant is visible.
	s.admin(t, "POST", "/auth/register", fmt.Sprintf(`{"tenant_id": %q}`, c.id)).want(t, http.StatusOK)
}

func testComparison(t *testing.T, s *service) {
	c := s.register(t, `"max_concurrent_jobs": 3`)
	first := c.submit(t, "square", [2]string{"outputs", "emission"})
	other := c.submit(t, "square", [2]string{"seed", "7"}, [2]string{"scale", "0.5"})
	endless := c.submitEndless(t)
	c.finish(t, first.JobID)
	c.finish(t, other.JobID)
	c.await(t, endless.JobID, running)
	path := "/jobs/compare?ids=" + strings.Join([]string{first.JobID, other.JobID, endless.JobID}, ",")
	var got status.Comparison
	c.call(t, "GET", path).want(t, http.StatusOK).into(t, &got)
	if len(got.Jobs) != 3 || got.Jobs[0].Message != "" || !strings.Contains(got.Jobs[2].Message, "RUNNING") {
		t.Errorf("the jobs are %+v", got.Jobs)
	}
	metrics := map[string]status.ComparedMetric{}
	for _, m := range got.Metrics {
		metrics[m.Name] = m
	}
	vehicles, co2 := metrics["vehicles_inserted"].Values, metrics["emissions_co2"]
	if n := *vehicles[0].Value; n != 32 || *vehicles[1].Value != n+*vehicles[1].Difference ||
		*vehicles[1].Relative != *vehicles[1].Difference/n || *vehicles[1].Difference >= 0 {
		t.Errorf("the vehicles are %+v", vehicles)
	}
	if vehicles[0].Difference != nil || vehicles[2].Value != nil || vehicles[2].Difference != nil {
		t.Errorf("the first and the last vehicles are %+v", vehicles)
	}
	if co2.Unit != "mg" || co2.Values[0].Value == nil || *co2.Values[0].Value <= 0 || co2.Values[1].Value != nil ||
		co2.Values[1].Difference != nil {
		t.Errorf("emissions, which only the first has, are %+v", co2)
	}
	var names []string
	for _, setting := range got.Settings {
		names = append(names, setting.Name)
	}
	if diff := cmp.Diff([]string{"seed", "scale", "outputs"}, names); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
	c.call(t, "DELETE", "/jobs/"+endless.JobID).want(t, http.StatusOK)
	stranger := s.register(t).submit(t, "square")
	c.call(t, "GET", "/jobs/compare?ids="+first.JobID+","+stranger.JobID).want(t, http.StatusNotFound)
	for _, bad := range []string{
		"", "?ids=", "?ids=" + first.JobID, "?ids=" + first.JobID + "," + first.JobID,
		"?ids=" + strings.Repeat(first.JobID+",", 20) + other.JobID,
	} {
		c.call(t, "GET", "/jobs/compare"+bad).want(t, http.StatusBadRequest)
	}
}
