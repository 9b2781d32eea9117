package auth_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/functions/auth"
	"github.com/sumo-k8/sumo-k8/functions/internal/testing/served"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

func TestTenantsAreImportedWithTheirKeysOnce(t *testing.T) {
	t.Parallel()
	parts := served.Parts(t)
	k8s := &cluster{provisioned: map[string]tenant.Limits{}}
	parts.Provisioner = k8s
	f, status := served.Serve(t, parts, "auth"), served.Serve(t, parts, "status")

	key := "sk-" + strings.Repeat("x", 32)
	sum := sha256.Sum256([]byte(key))
	body := fmt.Sprintf(`{"dry_run": %%t, "tenants": [
		{"tenant_id": "city-a", "max_cpu": 9000, "max_memory_gi": 7, "max_concurrent_jobs": 3, "created_at": "2025-01-02T03:04:05Z",
		 "api_key_sha256": %q, "api_key_hint": "sk-xxxxx"},
		{"tenant_id": "city/b"},
		{"tenant_id": "city-c", "created_at": "2025-01-02T03:04:05.123456Z", "max_cpu": 1, "max_memory_gi": 1, "max_concurrent_jobs": 1},
		{"tenant_id": "city-d", "max_cpu": 1, "max_memory_gi": 1, "max_concurrent_jobs": 1}]}`, hex.EncodeToString(sum[:]))
	outcomes := func(dry bool) string {
		var got struct{ Tenants []auth.TenantImport }
		f.Admin(t, "POST", "/admin/import/tenants", fmt.Sprintf(body, dry)).Want(t, http.StatusOK).Into(t, &got)
		out := ""
		for _, r := range got.Tenants {
			out += fmt.Sprintf("%s %s %.30s\n", r.TenantID, r.Outcome, strings.Join(r.Notes, " "))
		}
		return out
	}
	fresh := "city-a new max_cpu is 1000 instead of 900\n" +
		"city/b refused tenant_id \"city/b\" is not usab\ncity-c new It has no key: issue one with \n" +
		"city-d new It has no key: issue one with \n"
	present := "city-a present \ncity/b refused tenant_id \"city/b\" is not usab\ncity-c present \ncity-d present \n"
	for i, want := range []string{fresh, fresh, present, present} {
		if diff := cmp.Diff(want, outcomes(i%2 == 0)); diff != "" {
			t.Errorf("call %d (-want +got):\n%s", i+1, diff)
		}
	}
	want := map[string]tenant.Limits{
		"sumo-city-a": {MaxCPU: 1000, MaxMemoryGi: 7, MaxConcurrentJobs: 3}, "sumo-city-c": {MaxCPU: 1, MaxMemoryGi: 1, MaxConcurrentJobs: 1},
		"sumo-city-d": {MaxCPU: 1, MaxMemoryGi: 1, MaxConcurrentJobs: 1},
	}
	if diff := cmp.Diff(want, k8s.provisioned); diff != "" {
		t.Errorf("provisioned (-want +got):\n%s", diff)
	}
	var shown auth.Tenant
	f.Admin(t, "GET", "/auth/tenants/city-a", "").Want(t, http.StatusOK).Into(t, &shown)
	if at := shown.CreatedAt.Format("2006-01-02"); at != "2025-01-02" || shown.APIKey != "sk-xxxxx…" {
		t.Errorf("shown with the key %q, created %s", shown.APIKey, at)
	}
	status.Call(t, "GET", "/tenants/me/dashboard", "", "Authorization: "+key).Want(t, http.StatusOK)

	f.Admin(t, "POST", "/auth/regenerate-key", `{"tenant_id": "city-a"}`).Want(t, http.StatusOK)
	status.Call(t, "GET", "/jobs", "", "Authorization: Bearer "+key).Want(t, http.StatusUnauthorized)
	if got := outcomes(false); !strings.Contains(got, "city-a present Its imported key was replaced") {
		t.Errorf("imported again after the key was replaced:\n%s", got)
	}
}

func TestFinishedJobsAreImportedOnce(t *testing.T) {
	t.Parallel()
	f := served.Serve(t, served.Parts(t), "auth")
	register(t, f, "acme")
	register(t, f, "rival")
	imported := func(id, tenantID, status string) string {
		return fmt.Sprintf(`{"job_id": %q, "tenant_id": %q, "status": %q, "submitted_at": "2025-01-02T03:04:05Z", "finished_at": "2025-01-02T04:04:05Z",
			"cpu_request": 2, "memory_gi": 4, "scenario_id": %q}`, id, tenantID, status, strings.Repeat("s", 300))
	}
	const first, second = "f0e1d2c3-b4a5-4697-8877-665544332211", "f0e1d2c3-b4a5-4697-8877-665544332212"
	outcomes := func(dry bool, jobs ...string) (out []string) {
		var got struct{ Jobs []auth.JobImport }
		body := fmt.Sprintf(`{"dry_run": %t, "jobs": [%s]}`, dry, strings.Join(jobs, ","))
		f.Admin(t, "POST", "/admin/import/jobs", body).Want(t, http.StatusOK).Into(t, &got)
		for _, r := range got.Jobs {
			out = append(out, fmt.Sprintf("%s %.30s", r.Outcome, r.Reason))
		}
		return out
	}
	good := imported(first, "acme", "SUCCEEDED")
	for i, c := range []struct {
		dry  bool
		jobs []string
		want []string
	}{
		{true, []string{good}, []string{"new "}},
		{false, []string{good, imported(second, "acme", "RUNNING"), imported("17", "acme", "FAILED")}, []string{
			"new ", "refused It is RUNNING. Only jobs that ", "refused Its id is not a UUID.",
		}},
		{false, []string{good, imported(first, "rival", "FAILED"), imported(second, "nobody", "FAILED")}, []string{
			"present ", `refused It was imported as one of tena`, `refused There is no tenant "nobody", o`,
		}},
		{true, []string{good, imported(second, "acme", "FAILED")}, []string{"present ", "new "}},
		{false, nil, nil},
	} {
		if diff := cmp.Diff(c.want, outcomes(c.dry, c.jobs...)); diff != "" {
			t.Errorf("call %d (-want +got):\n%s", i+1, diff)
		}
	}
}
