package main

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/sumo-k8/sumo-k8/pkg/rest"
)

// testImport goes on with a tenant of the predecessor, its key and its record.
func testImport(t *testing.T, s *service) {
	const id = "f0e1d2c3-b4a5-4697-8877-665544332211"
	key := "sk-" + strings.Repeat("i", 32)
	s.admin(t, "POST", "/admin/import/tenants", fmt.Sprintf(
		`{"tenants": [{"tenant_id": "imported", "max_cpu": 8, "max_memory_gi": 16, "max_concurrent_jobs": 2, "api_key_sha256": "%x"}]}`,
		sha256.Sum256([]byte(key)),
	)).want(t, http.StatusOK)
	s.admin(t, "POST", "/admin/import/jobs", fmt.Sprintf(
		`{"jobs": [{"job_id": %q, "tenant_id": "imported", "scenario_id": "old", "status": "SUCCEEDED", "cpu_request": 2, "memory_gi": 4,
		"submitted_at": "2025-01-02T03:04:05Z", "finished_at": "2025-01-02T04:04:05Z", "result_location": "s3://old/results/x/"}]}`, id,
	)).want(t, http.StatusOK)

	c := &tenantClient{service: s, id: "imported", key: key}
	if j := c.job(t, id); j.ResultLocation == nil || *j.ResultLocation != "s3://old/results/x/" || !j.Imported {
		t.Errorf("the imported job is %+v", j)
	}
	messages, _, last := c.follow(t, id, "")
	if len(messages) > 0 || last.Status != "SUCCEEDED" {
		t.Errorf("its stream has %v and ends with %+v", messages, last)
	}
	if log := c.call(t, "GET", "/jobs/"+id+"/logs").want(t, http.StatusOK); !strings.Contains(string(log.body), "ran in the predecessor") {
		t.Errorf("its log is %s", log.body)
	}
	retried := c.call(t, "POST", "/jobs/"+id+"/retry").want(t, http.StatusConflict).problem(t)
	if !strings.Contains(retried.Detail, "Submit the scenario again") {
		t.Errorf("a retry is answered %q", retried.Detail)
	}
	c.call(t, "DELETE", "/jobs/"+id).want(t, http.StatusConflict)

	ours := c.submit(t, "square")
	var listed struct{ Jobs []rest.Job }
	c.call(t, "GET", "/jobs").want(t, http.StatusOK).into(t, &listed)
	if len(listed.Jobs) != 2 || listed.Jobs[0].JobID != ours.JobID || listed.Jobs[1].JobID != id {
		t.Errorf("listed are %+v", listed.Jobs)
	}
	c.finish(t, ours.JobID)

	c.call(t, "DELETE", "/jobs/"+id+"?purge=true").want(t, http.StatusOK)
	c.call(t, "GET", "/jobs/"+id).want(t, http.StatusNotFound)
}
