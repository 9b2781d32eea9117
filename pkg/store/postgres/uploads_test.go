package postgres

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/sumo-k8/sumo-k8/pkg/idempotency"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/scenario"
)

func newUpload(tenantID string) scenario.Upload {
	return scenario.Upload{ID: uuid.Must(uuid.NewV7()).String(), TenantID: tenantID, Name: "city", Size: 9, Expected: digest}
}

func TestAnUploadIsOpenUntilItBecomesAScenario(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	want := newUpload("acme")
	if _, created, err := d.BeginUpload(t.Context(), want, nil, 1); err != nil || !created {
		t.Fatalf("created=%t, %v", created, err)
	}
	_, _, err := d.BeginUpload(t.Context(), newUpload("acme"), nil, 1)
	wantCode(t, err, problem.Conflict)
	if err := d.FinishUpload(t.Context(), "acme", want.ID, digest); err != nil {
		t.Fatal(err)
	}
	if _, _, err := d.BeginUpload(t.Context(), newUpload("acme"), nil, 1); err != nil {
		t.Fatalf("a complete upload counts as open: %v", err)
	}
	want.Digest = digest
	got, err := d.Upload(t.Context(), "acme", want.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(scenario.Upload{}, "Created")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if n, err := d.PruneUploads(t.Context(), got.Created.Add(-time.Second), 10); n != 0 || err != nil {
		t.Errorf("%d fresh uploads pruned, %v", n, err)
	}
	if n, err := d.PruneUploads(t.Context(), time.Now().Add(time.Minute), 1); n != 1 || err != nil {
		t.Errorf("%d old uploads pruned, want 1 at a time, %v", n, err)
	}
	_, err = d.Upload(t.Context(), "acme", want.ID) // the oldest
	wantCode(t, err, problem.NotFound)
}

func TestUploadsOfOthersAreNotFound(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	newTenant(t, d, "other", roomy)
	u := newUpload("acme")
	if _, _, err := d.BeginUpload(t.Context(), u, nil, 1); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{u.ID, uuid.NewString(), "no id", "\x00"} {
		_, err := d.Upload(t.Context(), "other", id)
		wantCode(t, err, problem.NotFound)
		wantCode(t, d.DeleteUpload(t.Context(), "other", id), problem.NotFound)
	}
	wantCode(t, d.FinishUpload(t.Context(), "other", u.ID, digest), problem.NotFound)
	if err := d.DeleteUpload(t.Context(), "acme", u.ID); err != nil {
		t.Error(err)
	}
}

func TestAKeyBeginsOneUpload(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	idem := &idempotency.Request{Key: "k", RequestHash: []byte("a")}
	var made atomic.Int32
	var group errgroup.Group
	ids := make([]string, 20)
	for i := range ids {
		group.Go(func() error {
			u, created, err := d.BeginUpload(t.Context(), newUpload("acme"), idem, 1)
			if created {
				made.Add(1)
			}
			ids[i] = u.ID
			return err
		})
	}
	if err := group.Wait(); err != nil || made.Load() != 1 {
		t.Fatalf("begun %d times, %v", made.Load(), err)
	}
	for _, id := range ids {
		if id != ids[0] {
			t.Errorf("one key has the uploads %s and %s", ids[0], id)
		}
	}
	other := idempotency.Request{Key: "k", RequestHash: []byte("b")}
	_, _, err := d.BeginUpload(t.Context(), newUpload("acme"), &other, 9)
	wantCode(t, err, problem.KeyReused)
	_, _, err = d.CreateJob(t.Context(), newJob("acme"), &other, job.Admission{MaxQueued: 9})
	wantCode(t, err, problem.KeyReused)
	wantCode(t, d.Remember(t.Context(), "acme", other), problem.KeyReused)
	// With its upload a key is free again.
	if err := d.DeleteUpload(t.Context(), "acme", ids[0]); err != nil {
		t.Fatal(err)
	}
	if err := d.Remember(t.Context(), "acme", other); err != nil {
		t.Errorf("a free key: %v", err)
	}
	if err := d.Remember(t.Context(), "acme", other); err != nil {
		t.Errorf("the same request again: %v", err)
	}
	wantCode(t, d.Remember(t.Context(), "acme", *idem), problem.KeyReused)
}
