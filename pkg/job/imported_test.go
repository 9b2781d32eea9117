package job

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

// imports is a store in which jobs of acme's are kept, and none of a tenant called nobody.
type imports struct {
	jobs   map[string]Job
	broken bool
}

func (s *imports) ImportedJobs(_ context.Context, ids []string) (map[string]string, error) {
	out := map[string]string{}
	for _, id := range ids {
		if j, ok := s.jobs[id]; ok {
			out[id] = j.TenantID
		}
	}
	return out, nil
}

func (s *imports) ImportJobs(_ context.Context, jobs []Job) (kept []string, err error) {
	if s.broken {
		return nil, errors.New("unreachable")
	}
	for _, j := range jobs {
		if _, here := s.jobs[j.ID]; !here && j.TenantID != "nobody" {
			s.jobs[j.ID], kept = j, append(kept, j.ID)
		}
	}
	return kept, nil
}

func TestJobsAreImportedOrRefusedOneByOne(t *testing.T) {
	t.Parallel()
	const id = "f0e1d2c3-b4a5-4697-8877-66554433221"
	submitted := time.Unix(1000, 0)
	imported := func(last, tenantID string, change func(*Job)) Job {
		j := Job{
			ID: id + last, TenantID: tenantID, Name: "peak", State: Succeeded, CPURequest: 1, MemoryGi: 1, SubmittedAt: submitted,
			FinishedAt: &submitted, Imported: &Imported{Location: "s3://old/"},
		}
		if change != nil {
			change(&j)
		}
		return j
	}
	given := []Job{
		imported("0", "acme", nil),
		imported("1", "acme", func(j *Job) { j.State = Failed }),
		imported("2", "nobody", nil),
		imported("3", "acme", func(j *Job) { j.State = Running }),
		imported("4", "acme", func(j *Job) { j.State = Cancelled }), // which the predecessor did not have
		imported("5", "acme", func(j *Job) { j.FinishedAt = nil }),
		imported("6", "acme", func(j *Job) { j.SubmittedAt = time.Time{} }),
		imported("7", "acme", func(j *Job) { j.CPURequest = 0 }),
		imported("8", "acme", func(j *Job) { j.Imported.Location = strings.Repeat("x", maxImportedText+1) }),
		imported("a", "acme", func(j *Job) { j.MemoryGi = 1 << 40 }),
		imported("X", "acme", nil),
		imported("9", "rival", nil),
	}
	store := &imports{jobs: map[string]Job{id + "9": {TenantID: "acme"}}}
	result := func(last string, outcome tenant.ImportOutcome, reason string) ImportResult {
		return ImportResult{ID: id + last, Outcome: outcome, Reason: reason}
	}
	want := []ImportResult{
		result("0", tenant.ImportNew, ""), result("1", tenant.ImportNew, ""), result("2", tenant.ImportRefused, "There is no tenant"),
		result("3", tenant.ImportRefused, "It is RUNNING"), result("4", tenant.ImportRefused, "It is CANCELLED"),
		result("5", tenant.ImportRefused, "The time of"), result("6", tenant.ImportRefused, "The time of"),
		result("7", tenant.ImportRefused, "Its cpu_request or memory_gi is not"), result("8", tenant.ImportRefused, "Its result_location"),
		result("a", tenant.ImportRefused, "Its cpu_request or memory_gi is not"),
		result("X", tenant.ImportRefused, "Its id is not a UUID"), result("9", tenant.ImportRefused, `one of tenant "acme"`),
	}
	compare := func(call string, dry bool) {
		t.Helper()
		got, err := Import(t.Context(), store, given, dry)
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range got {
			w := want[i]
			if r.ID != w.ID || r.Outcome != w.Outcome || !strings.Contains(r.Reason, w.Reason) || (r.Reason == "") != (w.Reason == "") {
				t.Errorf("%s: got %+v, want %+v", call, r, w)
			}
		}
	}
	want[2] = result("2", tenant.ImportNew, "") // a dry run takes tenants for imported
	compare("a dry run", true)
	if len(store.jobs) != 1 {
		t.Errorf("a dry run kept %v", store.jobs)
	}
	want[2] = result("2", tenant.ImportRefused, "There is no tenant")
	compare("the first run", false)
	want[0].Outcome, want[1].Outcome = tenant.ImportPresent, tenant.ImportPresent
	compare("the second run", false)

	done, failed := store.jobs[id+"0"], store.jobs[id+"1"]
	if done.Progress != 1 || done.Message != "" || done.TimeoutSeconds != 86400 {
		t.Errorf("the one that succeeded is kept as %+v", done)
	}
	if failed.Progress != 0 || failed.Reason == "" || failed.Message == "" {
		t.Errorf("the one that failed is kept as %+v", failed)
	}
	store.broken = true
	if _, err := Import(t.Context(), store, []Job{imported("b", "acme", nil)}, false); err == nil {
		t.Error("a broken store goes unnoticed")
	}
}

func TestAnImportedJobStandsWhereItWasSubmitted(t *testing.T) {
	t.Parallel()
	ours, theirs := Job{ID: "a"}, Job{ID: "b", Imported: &Imported{Place: "c"}}
	if diff := cmp.Diff([]string{"a", "c"}, []string{ours.Place(), theirs.Place()}); diff != "" {
		t.Error(diff)
	}
	if got := theirs.Elsewhere(); !strings.Contains(got, "did not record where its results are") {
		t.Errorf("without a place its results are %q", got)
	}
}
