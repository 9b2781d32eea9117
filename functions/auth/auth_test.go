package auth_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sumo-k8/sumo-k8/functions/auth"
	"github.com/sumo-k8/sumo-k8/functions/internal/testing/contract"
	"github.com/sumo-k8/sumo-k8/functions/internal/testing/served"
	"github.com/sumo-k8/sumo-k8/infra/local/localtest"
	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

func TestMain(m *testing.M) { localtest.Main(m) }

// cluster is a Provisioner that no cluster stands behind. A real one is the lab's.
type cluster struct {
	provisioned map[string]tenant.Limits // by namespace
	unreachable bool
}

func (c *cluster) Provision(_ context.Context, t tenant.Tenant) error {
	if c.unreachable {
		return problem.New(problem.Unavailable, "The API server is unreachable.")
	}
	c.provisioned[t.Namespace] = t.Limits
	return nil
}

func (c *cluster) Deprovision(_ context.Context, t tenant.Tenant) error {
	delete(c.provisioned, t.Namespace)
	return nil
}

func register(t testing.TB, f *served.Function, id string) (out auth.Tenant) {
	t.Helper()
	f.Admin(t, "POST", "/auth/register", fmt.Sprintf(`{"tenant_id": %q}`, id)).Want(t, http.StatusOK).Into(t, &out)
	return out
}

func TestATenantIsRegisteredShownChangedAndDeleted(t *testing.T) {
	t.Parallel()
	parts := served.Parts(t)
	k8s := &cluster{provisioned: map[string]tenant.Limits{}}
	var changes atomic.Int32
	parts.Provisioner, parts.Changed = k8s, func(context.Context) { changes.Add(1) }
	f := served.Serve(t, parts, "auth")

	var made auth.Tenant
	f.Admin(
		t, "POST", "/auth/register", `{"tenant_id": "City of Ulm", "max_cpu": 7, "input_buckets": ["open/ulm/"]}`,
	).Want(t, http.StatusOK).Into(t, &made)
	want := auth.Tenant{
		TenantID: "City of Ulm", Namespace: tenant.NamespaceFor("City of Ulm"), MaxCPU: 7, MaxMemoryGi: 128, MaxJobs: 2,
		InputBuckets: []string{"open/ulm/"},
	}
	ignored := cmpopts.IgnoreFields(auth.Tenant{}, "APIKey", "CreatedAt")
	if diff := cmp.Diff(want, made, ignored); diff != "" {
		t.Errorf("registered (-want +got):\n%s", diff)
	}
	if _, _, err := tenant.ParseKey(made.APIKey); err != nil {
		t.Errorf("the key is %q: %v", made.APIKey, err)
	}
	f.WantRefused(t, map[string]served.Refusal{
		"registered again": served.Refused("POST", "/auth/register", `{"tenant_id": "City of Ulm"}`, http.StatusConflict, "exists already"),
	}, "X-Admin-Key: "+served.AdminKey)

	path := "/auth/tenants/" + url.PathEscape("City of Ulm")
	masked := made.APIKey[:len("sk-")+5] + "…"
	var shown auth.Tenant
	f.Admin(t, "GET", path, "").Want(t, http.StatusOK).Into(t, &shown)
	if diff := cmp.Diff(want, shown, ignored); diff != "" || shown.APIKey != masked {
		t.Errorf("shown with the key %q (-want +got):\n%s", shown.APIKey, diff)
	}

	for _, change := range []struct{ query, body string }{
		{"?max_cpu=9", ""}, {"", `{"max_cpu": 9}`}, {"?max_cpu=9", `{"max_cpu": 9, "input_buckets": []}`},
	} {
		f.Admin(t, "PATCH", path+change.query, change.body).Want(t, http.StatusOK).Into(t, &shown)
		if shown.MaxCPU != 9 || shown.MaxMemoryGi != 128 || shown.APIKey != masked || k8s.provisioned[made.Namespace].MaxCPU != 9 {
			t.Errorf("%+v gives %+v; provisioned are %+v", change, shown, k8s.provisioned)
		}
	}
	if len(shown.InputBuckets) != 0 || changes.Load() != 3 {
		t.Errorf("the buckets are %v after %d changes", shown.InputBuckets, changes.Load())
	}

	for body, version := range map[string]string{`{"default_sumo_version": "1.18"}`: "1.18", `{"default_sumo_version": ""}`: ""} {
		f.Admin(t, "PATCH", path, body).Want(t, http.StatusOK).Into(t, &shown)
		if shown.SumoVersion != version || shown.MaxCPU != 9 {
			t.Errorf("%s gives %+v", body, shown)
		}
	}

	for body, allowed := range map[string]bool{`{"controllers": true}`: true, `{"max_cpu": 9}`: true} {
		f.Admin(t, "PATCH", path, `{"controllers": true}`).Want(t, http.StatusOK)
		f.Admin(t, "PATCH", path, body).Want(t, http.StatusOK).Into(t, &shown)
		if shown.Controllers != allowed || made.Controllers {
			t.Errorf("%s leaves controllers %t; at first they were %t", body, shown.Controllers, made.Controllers)
		}
	}

	register(t, f, "another")
	var list struct{ Tenants []auth.Tenant }
	f.Admin(t, "GET", "/auth/tenants", "").Want(t, http.StatusOK).Into(t, &list)
	if len(list.Tenants) != 2 || list.Tenants[0].APIKey != masked || list.Tenants[1].TenantID != "another" {
		t.Errorf("the list is %+v", list.Tenants)
	}

	f.Admin(t, "DELETE", path, "").Want(t, http.StatusOK)
	f.Admin(t, "GET", path, "").Want(t, http.StatusNotFound)
	if _, left := k8s.provisioned[made.Namespace]; left {
		t.Error("the namespace is left")
	}
}

func TestARegeneratedKeyReplacesTheOthers(t *testing.T) {
	t.Parallel()
	parts := served.Parts(t)
	f := served.Serve(t, parts, "auth")
	before := register(t, f, "acme")
	var after auth.Tenant
	f.Admin(t, "POST", "/auth/regenerate-key", `{"tenant_id": "acme"}`).Want(t, http.StatusOK).Into(t, &after)
	for key, code := range map[string]problem.Code{before.APIKey: problem.Unauthorized, after.APIKey: ""} {
		id, hash, err := tenant.ParseKey(key)
		if err != nil {
			t.Fatal(err)
		}
		if owner, err := parts.DB.TenantByKey(t.Context(), id, hash); problem.CodeOf(err) != code || err == nil && owner.ID != "acme" {
			t.Errorf("%.8s… opens %+v, %v", key, owner, err)
		}
	}
}

func TestRequestsThatAreRefused(t *testing.T) {
	t.Parallel()
	parts := served.Parts(t)
	f := served.Serve(t, parts, "auth")
	register(t, f, "acme")
	f.WantRefused(t, map[string]served.Refusal{
		"no id":                   served.Refused("POST", "/auth/register", `{}`, http.StatusBadRequest, "tenant_id"),
		"an id that names nobody": served.Refused("POST", "/auth/register", `{"tenant_id": "a/b"}`, http.StatusBadRequest, "is not usable"),
		"a limit beyond its range": served.Refused(
			"POST", "/auth/register", `{"tenant_id": "b", "max_cpu": 1001}`, http.StatusBadRequest, "body.max_cpu",
		),
		"no limit at all": served.Refused(
			"POST", "/auth/register", `{"tenant_id": "b", "max_concurrent_jobs": 0}`, http.StatusBadRequest, "body.max_concurrent_jobs",
		),
		"an open prefix": served.Refused(
			"POST", "/auth/register", `{"tenant_id": "b", "input_buckets": ["open/team"]}`, http.StatusBadRequest, "slash at its end",
		),
		"the service's bucket": served.Refused(
			"POST", "/auth/register", `{"tenant_id": "b", "input_buckets": ["`+parts.Config.S3Bucket+`"]}`, http.StatusBadRequest, "service's own",
		),
		"a version that is not offered": served.Refused(
			"POST", "/auth/register", `{"tenant_id": "b", "default_sumo_version": "1.15"}`, http.StatusBadRequest, "choose one of 1.18, 1.28",
		),
		"a change to a version that is not installed": served.Refused(
			"PATCH", "/auth/tenants/acme", `{"default_sumo_version": "1.22"}`, http.StatusBadRequest, "make sumo VERSIONS=1.22",
		),
		"a key for nobody": served.Refused("POST", "/auth/regenerate-key", `{"tenant_id": "b"}`, http.StatusNotFound, "No tenant"),
		"nobody shown":     served.Refused("GET", "/auth/tenants/b", "", http.StatusNotFound, "No tenant"),
		"nobody changed":   served.Refused("PATCH", "/auth/tenants/b?max_cpu=1", "", http.StatusNotFound, "No tenant"),
		"nobody deleted":   served.Refused("DELETE", "/auth/tenants/b", "", http.StatusNotFound, "No tenant"),
		"no change":        served.Refused("PATCH", "/auth/tenants/acme", "", http.StatusBadRequest, "Nothing to change"),
		"a contradiction": served.Refused(
			"PATCH", "/auth/tenants/acme?max_cpu=1", `{"max_cpu": 2}`, http.StatusBadRequest, "Give it once",
		),
		"a change beyond a range": served.Refused("PATCH", "/auth/tenants/acme?max_memory_gi=5001", "", http.StatusBadRequest, "max_memory_gi"),
		"a change to our bucket": served.Refused(
			"PATCH", "/auth/tenants/acme", `{"input_buckets": ["`+parts.Config.S3Bucket+`/x/"]}`, http.StatusBadRequest, "service's own",
		),
	}, "X-Admin-Key: "+served.AdminKey)
	var list struct{ Tenants []auth.Tenant }
	f.Admin(t, "GET", "/auth/tenants", "").Want(t, http.StatusOK).Into(t, &list)
	if len(list.Tenants) != 1 || list.Tenants[0].MaxCPU != 32 {
		t.Errorf("afterwards the tenants are %+v", list.Tenants)
	}
}

func TestARegistrationThatCannotBeProvisionedCanBeRepeated(t *testing.T) {
	t.Parallel()
	parts := served.Parts(t)
	k8s := &cluster{provisioned: map[string]tenant.Limits{}, unreachable: true}
	parts.Provisioner = k8s
	f := served.Serve(t, parts, "auth")
	f.Admin(t, "POST", "/auth/register", `{"tenant_id": "acme"}`).Want(t, http.StatusServiceUnavailable)
	f.Admin(t, "GET", "/auth/tenants/acme", "").Want(t, http.StatusNotFound)
	k8s.unreachable = false
	register(t, f, "acme")
}

func TestATenantWithJobsIsDeletedOnlyByForce(t *testing.T) {
	t.Parallel()
	parts := served.Parts(t)
	f := served.Serve(t, parts, "auth")
	acme, other := register(t, f, "acme"), register(t, f, "other")
	digest := strings.Repeat("a", 64)
	for _, owner := range []auth.Tenant{acme, other} {
		key := artifact.ScenarioKey(owner.Namespace, "1")
		if _, err := parts.Objects.Put(t.Context(), key, strings.NewReader("zip"), "application/zip"); err != nil {
			t.Fatal(err)
		}
		stored := scenario.Scenario{TenantID: owner.TenantID, Digest: digest, Key: key, Size: 3}
		if _, _, err := parts.DB.PutScenario(t.Context(), stored); err != nil {
			t.Fatal(err)
		}
	}
	queued := job.Job{
		ID: "01890a5d-ac96-774b-bcce-b302099a8057", TenantID: "acme", Name: "n", ScenarioDigest: digest,
		CPURequest: 1, MemoryGi: 1, TimeoutSeconds: 1,
	}
	if _, _, err := parts.DB.CreateJob(t.Context(), queued, nil, job.Admission{MaxQueued: 1}); err != nil {
		t.Fatal(err)
	}

	f.Admin(t, "DELETE", "/auth/tenants/acme", "").Want(t, http.StatusConflict)
	id, hash, err := tenant.ParseKey(acme.APIKey)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parts.DB.TenantByKey(t.Context(), id, hash); err != nil {
		t.Errorf("refused, it has revoked the key: %v", err)
	}
	f.Admin(t, "DELETE", "/auth/tenants/acme?force=true", "").Want(t, http.StatusOK)
	var keys []string
	if err := parts.Objects.List(t.Context(), "", func(o artifact.Object) bool { keys = append(keys, o.Key); return true }); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{artifact.ScenarioKey(other.Namespace, "1")}, keys); diff != "" {
		t.Errorf("objects (-want +got):\n%s", diff)
	}
}

// ofAuth selects this function's operations.
func ofAuth(op contract.Operation) bool {
	return strings.HasPrefix(op.Path, "/auth/") || strings.HasPrefix(op.Path, "/admin/warmup") ||
		op.ID == "get-cluster" || op.ID == "get-activity"
}

func TestEveryCallNeedsTheAdminKey(t *testing.T) {
	t.Parallel()
	parts := served.Parts(t)
	f := served.Serve(t, parts, "auth")
	acme := register(t, f, "acme")
	f.WantKeyed(t, ofAuth, "X-Admin-Key: guess", "X-Admin-Key: "+served.AdminKey+"x",
		"Authorization: Bearer "+served.AdminKey, "Authorization: Bearer "+acme.APIKey)

	parts.Config.AdminKey = ""
	f = served.Serve(t, parts, "auth")
	f.WantRefused(t, map[string]served.Refusal{
		"without a configured key": served.Refused("GET", "/auth/tenants", "", http.StatusServiceUnavailable, "ADMIN_KEY"),
	}, "X-Admin-Key: "+served.AdminKey)
}

func TestADatabaseThatIsUnreachableIsSaid(t *testing.T) {
	t.Parallel()
	parts := served.Parts(t)
	f := served.Serve(t, parts, "auth")
	parts.DB.Close()
	for _, path := range []string{"/auth/tenants", "/auth/tenants/acme", "/admin/activity"} {
		if a := f.Admin(t, "GET", path, ""); a.Status < 500 || strings.Contains(string(a.Body), "pool") {
			t.Errorf("%s answers %d %s", path, a.Status, a.Body)
		}
	}
}
