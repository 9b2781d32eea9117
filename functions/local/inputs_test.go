package main

import (
	"archive/zip"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/store/s3"
)

func testS3Inputs(t *testing.T, s *service) {
	store, err := s3.New(s.inputs("traffic-data"))
	if err != nil {
		t.Fatal(err)
	}
	if err := store.EnsureBucket(t.Context()); err != nil {
		t.Fatal(err)
	}
	put := func(key, content string) string {
		if _, err := store.Put(t.Context(), key, strings.NewReader(content), ""); err != nil {
			t.Fatal(err)
		}
		return "s3://traffic-data/" + key
	}
	square := zipOf(t, "square")
	open, secret := put("ours/square.zip", square), put("theirs/square.zip", square)
	var files []string
	archive, err := zip.NewReader(strings.NewReader(square), int64(len(square)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range archive.File {
		files = append(files, put("ours/files/"+filepath.ToSlash(f.Name), readEntry(t, f)))
	}

	c := s.register(t, `"input_buckets": ["traffic-data/ours/"]`)
	submit := func(body string) answer {
		return c.request(t, "POST", "/jobs/s3", strings.NewReader(body), "Authorization: Bearer "+c.key, "Content-Type: application/json")
	}
	for name, body := range map[string]string{
		"one zip": fmt.Sprintf(`{"scenario_id": "zip", "sumo_files_s3_url": %q, "premium_sim": true, "progress_webhook_url": "https://receiver.invalid/hook",
			"progress_simulation_id": "s1", "progress_start_sec": 0, "progress_end_sec": 300}`, open),
		"a list of files": fmt.Sprintf(`{"scenario_id": "files", "sumo_files_s3_urls": ["%s"]}`, strings.Join(files, `", "`)),
	} {
		var j rest.Job
		submit(body).want(t, http.StatusOK).into(t, &j)
		if j = c.finish(t, j.JobID); j.Status != job.Succeeded {
			t.Errorf("%s ended %s: %s", name, j.Status, deref(j.Error))
		}
	}
	var j rest.Job
	c.post(t, [][2]string{{"scenario_id", "form"}, {"sumo_files_s3_url", open}}).want(t, http.StatusOK).into(t, &j)
	c.finish(t, j.JobID)

	for name, test := range map[string]struct {
		body   string
		status int
	}{
		"another folder":      {fmt.Sprintf(`{"scenario_id": "x", "sumo_files_s3_url": %q}`, secret), http.StatusBadRequest},
		"our own bucket":      {`{"scenario_id": "x", "sumo_files_s3_url": "s3://sumo-k8/scenarios/a.zip"}`, http.StatusBadRequest},
		"a file":              {`{"scenario_id": "x", "sumo_files_s3_url": "file:///etc/passwd"}`, http.StatusBadRequest},
		"a web address":       {`{"scenario_id": "x", "sumo_files_s3_url": "http://169.254.169.254/latest"}`, http.StatusBadRequest},
		"a missing object":    {`{"scenario_id": "x", "sumo_files_s3_url": "s3://traffic-data/ours/none.zip"}`, http.StatusBadRequest},
		"a control character": {`{"scenario_id": "x", "sumo_files_s3_url": "s3://traffic-data/ours/%00x"}`, http.StatusBadRequest},
		"one of several": {
			fmt.Sprintf(`{"scenario_id": "x", "sumo_files_s3_urls": [%q, "s3://traffic-data/ours/%%00x"]}`, open), http.StatusBadRequest,
		},
		"a key that is too long": {
			fmt.Sprintf(`{"scenario_id": "x", "sumo_files_s3_url": "s3://traffic-data/ours/%sx"}`, strings.Repeat("x/", 510)), http.StatusBadRequest,
		},
		"the longest key": {
			fmt.Sprintf(`{"scenario_id": "x", "sumo_files_s3_url": "s3://traffic-data/ours/%sx"}`, strings.Repeat("x/", 509)), http.StatusBadRequest,
		},
		"a long name": {
			fmt.Sprintf(`{"scenario_id": "x", "sumo_files_s3_url": "s3://traffic-data/ours/%s.zip"}`, strings.Repeat("x", 1000)),
			http.StatusBadRequest,
		},
		"below an object": {`{"scenario_id": "x", "sumo_files_s3_url": "s3://traffic-data/ours/square.zip/x.zip"}`, http.StatusBadRequest},
		"a web hook elsewhere": {
			fmt.Sprintf(`{"scenario_id": "x", "sumo_files_s3_url": %q, "webhook_url": "ftp://example.org/"}`, open), http.StatusBadRequest,
		},
		"a web hook without TLS": {
			fmt.Sprintf(`{"scenario_id": "x", "sumo_files_s3_url": %q, "webhook_url": "http://example.org/"}`, open), http.StatusBadRequest,
		},
		"no source": {`{"scenario_id": "x"}`, http.StatusBadRequest},
		"two sources": {
			fmt.Sprintf(`{"scenario_id": "x", "sumo_files_s3_url": %q, "sumo_files_s3_urls": [%q]}`, open, open), http.StatusBadRequest,
		},
		"files with no .net": {
			fmt.Sprintf(`{"scenario_id": "x", "sumo_files_s3_urls": [%q, %q]}`, open, open), http.StatusUnprocessableEntity,
		},
		"too much memory": {fmt.Sprintf(`{"scenario_id": "x", "memory_gi": 129, "sumo_files_s3_url": %q}`, open), http.StatusBadRequest},
	} {
		if a := submit(test.body); a.status != test.status {
			t.Errorf("%s answered %d, want %d: %s", name, a.status, test.status, a.body)
		}
	}
}
