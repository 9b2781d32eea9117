package status_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/functions/internal/testing/served"
	"github.com/sumo-k8/sumo-k8/functions/status"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
)

// nested is the end of a run whose scenario writes into folders.
func nested() job.Update {
	return job.Update{State: job.Succeeded, Progress: 1, Results: []job.ResultFile{
		{Name: "a/trips.xml"}, {Name: "b/trips.xml"}, {Name: "log.txt"}, {Name: "out/queues.xml"},
	}}
}

func TestResultsAreInTheBucketWhereTheirListSays(t *testing.T) {
	t.Parallel()
	in := install(t)
	id := in.finishWith(t, nested(), func(name string) string { return "content of " + name })
	var got status.Results
	in.get(t, "/jobs/"+id+"/results").Want(t, http.StatusOK).Into(t, &got)
	var shown rest.Job
	in.get(t, "/jobs/"+id).Want(t, http.StatusOK).Into(t, &shown)
	if diff := cmp.Diff(shown.ResultFiles, got.ResultFiles); diff != "" {
		t.Errorf("the job and its results differ:\n%s", diff)
	}
	const prefix = "results/sumo-acme/"
	files := got.ResultFiles
	if files.StorageType != "s3" || !files.Uploaded || files.Prefix != prefix+id+"/" || !strings.HasSuffix(*got.ResultLocation, files.Prefix) {
		t.Errorf("the results in %s are %+v", *got.ResultLocation, files)
	}
	bucket := strings.TrimSuffix(*got.ResultLocation, files.Prefix)
	if !strings.HasPrefix(bucket, "s3://") || len(files.Files) != 4 || len(got.Files) != 4 {
		t.Fatalf("%d files and %d links in %s", len(files.Files), len(got.Files), bucket)
	}
	for i, f := range files.Files {
		object, err := in.parts.Objects.Stat(t.Context(), strings.TrimPrefix(f.URL, bucket))
		if err != nil || object.Size != f.Size || f.URL != bucket+files.Prefix+f.Name {
			t.Errorf("%s: %+v, %v", f.URL, object, err)
		}
		if link := got.Files[i]; link.Storage != f.URL || !strings.HasPrefix(link.URL, "http") {
			t.Errorf("the link of %s is %+v", f.Name, link)
		}
	}
}

func TestAResultIsFoundByItsBareName(t *testing.T) {
	t.Parallel()
	in := install(t)
	results := "/jobs/" + in.finishWith(t, nested(), func(string) string { return "" }) + "/results/"
	for asked, file := range map[string]string{
		"queues.xml": "out/queues.xml", "out/queues.xml": "out/queues.xml", "b/trips.xml": "b/trips.xml", "log.txt": "log.txt",
	} {
		if a := in.get(t, results+asked).Want(t, http.StatusFound); !strings.Contains(a.Header.Get("Location"), "/"+file+"?") {
			t.Errorf("%s is found at %s", asked, a.Header.Get("Location"))
		}
	}
	in.WantRefused(t, map[string]served.Refusal{
		"a name of two":   served.Refused("GET", results+"trips.xml", "", http.StatusConflict, "may be b/trips.xml"),
		"a name of none":  served.Refused("GET", results+"none.xml", "", http.StatusNotFound, "may be a/trips.xml"),
		"another folder":  served.Refused("GET", results+"a/queues.xml", "", http.StatusNotFound, "no result file"),
		"part of a name":  served.Refused("GET", results+"ueues.xml", "", http.StatusNotFound, "no result file"),
		"only the folder": served.Refused("GET", results+"out", "", http.StatusNotFound, "no result file"),
	}, in.acme)
}
