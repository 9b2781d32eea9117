package status_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/functions/internal/testing/served"
	"github.com/sumo-k8/sumo-k8/functions/status"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
)

// imported is the id of a job that the predecessor ran.
const imported = "f0e1d2c3-b4a5-4697-8877-665544332211"

// importJob records one of acme's that ran a day ago.
func (in *installation) importJob(t testing.TB, change ...func(*job.Job)) {
	t.Helper()
	submitted := time.Now().Add(-24 * time.Hour)
	finished := submitted.Add(time.Hour)
	j := job.Job{
		ID: imported, TenantID: "acme", Name: "old", State: job.Succeeded, CPURequest: 2, MemoryGi: 4, SubmittedAt: submitted,
		FinishedAt: &finished, Imported: &job.Imported{
			Location: "s3://old/results/x/", StorageType: "s3", Uploaded: true, Prefix: "results/x/",
			Files: []job.ImportedFile{{Name: "tripinfo.xml", Size: 7, URL: "s3://old/results/x/tripinfo.xml"}},
		},
	}
	for _, c := range change {
		c(&j)
	}
	results, err := job.Import(t.Context(), in.parts.DB, []job.Job{j}, false)
	if err != nil || results[0].Reason != "" {
		t.Fatalf("importing: %+v, %v", results, err)
	}
}

func TestAnImportedJobIsShownAsThePredecessorRecordedIt(t *testing.T) {
	t.Parallel()
	in := install(t)
	in.importJob(t)
	ours := in.queue(t)

	var shown rest.Job
	in.Call(t, "GET", "/jobs/"+imported, "", in.acme).Want(t, http.StatusOK).Into(t, &shown)
	if shown.JobID != imported || !shown.Imported || shown.Status != job.Succeeded || shown.Error != nil || shown.Progress != 1 ||
		shown.ResultLocation == nil || *shown.ResultLocation != "s3://old/results/x/" || shown.ResultFiles.Files[0].Name != "tripinfo.xml" {
		t.Errorf("shown is %+v", shown)
	}
	recorded := &rest.ResultFiles{StorageType: "s3", Prefix: "results/x/", Uploaded: true, Files: []rest.ResultFile{
		{Name: "tripinfo.xml", Size: 7, URL: "s3://old/results/x/tripinfo.xml"},
	}}
	if diff := cmp.Diff(recorded, shown.ResultFiles); diff != "" {
		t.Errorf("its files (-want +got):\n%s", diff)
	}
	var results status.Results
	in.Call(t, "GET", "/jobs/"+imported+"/results", "", in.acme).Want(t, http.StatusOK).Into(t, &results)
	if results.Results == nil || *results.Results != "s3://old/results/x/" || *results.ResultLocation != *results.Results ||
		results.StorageType != "s3" || !strings.Contains(results.Message, "results are where that stored them: s3://old/results/x/. Fetch") {
		t.Errorf("the results are %+v", results)
	}
	links := []status.ResultLink{{
		Name: "tripinfo.xml", Size: 7, ContentType: "application/xml",
		URL: "s3://old/results/x/tripinfo.xml", Storage: "s3://old/results/x/tripinfo.xml",
	}}
	if diff := cmp.Diff(links, results.Files); diff != "" {
		t.Errorf("the results' files (-want +got):\n%s", diff)
	}
	in.WantRefused(t, map[string]served.Refusal{
		"a file":        served.Refused("GET", "/jobs/"+imported+"/results/tripinfo.xml", "", http.StatusNotFound, "s3://old/results/x/"),
		"all files":     served.Refused("GET", "/jobs/"+imported+"/results.zip", "", http.StatusNotFound, "s3://old/results/x/"),
		"a summary":     served.Refused("GET", "/jobs/"+imported+"/summary", "", http.StatusNotFound, "s3://old/results/x/"),
		"a view":        served.Refused("GET", "/jobs/"+imported+"/network", "", http.StatusNotFound, "s3://old/results/x/"),
		"a time series": served.Refused("GET", "/jobs/"+imported+"/series", "", http.StatusNotFound, "s3://old/results/x/"),
	}, in.acme)
	in.Call(t, "GET", "/jobs/"+imported, "", in.rival).Want(t, http.StatusNotFound)

	var events struct {
		JobID  string `json:"job_id"`
		Events []status.Event
	}
	in.Call(t, "GET", "/jobs/"+imported+"/events", "", in.acme).Want(t, http.StatusOK).Into(t, &events)
	if events.JobID != imported || len(events.Events) != 1 || events.Events[0].To != job.Succeeded {
		t.Errorf("its events are %+v", events)
	}

	var ids []string
	for cursor := ""; ; {
		var page struct {
			Jobs       []rest.Job
			NextCursor string `json:"next_cursor"`
		}
		in.Call(t, "GET", "/jobs?limit=1&cursor="+cursor, "", in.acme).Want(t, http.StatusOK).Into(t, &page)
		for _, j := range page.Jobs {
			ids = append(ids, j.JobID)
		}
		if cursor = page.NextCursor; cursor == "" {
			break
		}
	}
	if diff := cmp.Diff([]string{ours, imported}, ids); diff != "" {
		t.Errorf("listed (-want +got):\n%s", diff)
	}
	var compared status.Comparison
	in.Call(t, "GET", "/jobs/compare?ids="+imported+","+ours, "", in.acme).Want(t, http.StatusOK).Into(t, &compared)
	if got := compared.Jobs[0].Message; !strings.Contains(got, "ran in the predecessor") {
		t.Errorf("compared as %q", got)
	}
}

func TestAnImportedJobThatFailedHasTheRecordedError(t *testing.T) {
	t.Parallel()
	in := install(t)
	in.importJob(t, func(j *job.Job) {
		j.State, j.Message, j.Imported = job.Failed, strings.Repeat("é", 5000), &job.Imported{}
	})
	var shown rest.Job
	in.Call(t, "GET", "/jobs/"+imported, "", in.acme).Want(t, http.StatusOK).Into(t, &shown)
	if shown.Error == nil || !strings.HasPrefix(*shown.Error, "ééé") || !strings.HasSuffix(*shown.Error, "é…") || shown.ResultLocation != nil {
		raw, _ := json.Marshal(shown)
		t.Errorf("shown is %s", raw)
	}
	in.WantRefused(t, map[string]served.Refusal{
		"a file": served.Refused("GET", "/jobs/"+imported+"/results/a.xml", "", http.StatusNotFound, "did not record where"),
	}, in.acme)
}

func TestWhatThePredecessorRecordedOfResultsIsShownInPart(t *testing.T) {
	t.Parallel()
	in := install(t)
	files := []job.ImportedFile{{Name: "a.xml", Size: 1}}
	for id, c := range map[string]struct {
		recorded job.Imported
		storage  string
		files    int
	}{
		"1": {job.Imported{Files: files}, "", 1},
		"2": {job.Imported{Location: "s3://old/x/"}, "s3", 0},
		"3": {job.Imported{Location: "/data/x/", StorageType: "pvc", Files: files}, "pvc", 1},
		"4": {job.Imported{Location: "/data/x/"}, "", 0},
	} {
		id = imported[:len(imported)-1] + id
		in.importJob(t, func(j *job.Job) { j.ID, j.Imported = id, &c.recorded })
		var shown rest.Job
		in.Call(t, "GET", "/jobs/"+id, "", in.acme).Want(t, http.StatusOK).Into(t, &shown)
		var results status.Results
		in.Call(t, "GET", "/jobs/"+id+"/results", "", in.acme).Want(t, http.StatusOK).Into(t, &results)
		if shown.ResultFiles == nil || len(shown.ResultFiles.Files) != c.files || len(results.Files) != c.files ||
			shown.ResultFiles.StorageType != c.storage || results.StorageType != c.storage {
			t.Errorf("of %+v are shown %+v and %+v", c.recorded, shown.ResultFiles, results)
		}
	}
}
