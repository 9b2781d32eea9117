package postgres

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sync/errgroup"

	"github.com/sumo-k8/sumo-k8/pkg/idempotency"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

func byKey(d *DB, text string) (tenant.Tenant, error) {
	id, hash, err := tenant.ParseKey(text)
	if err != nil {
		return tenant.Tenant{}, err
	}
	return d.TenantByKey(context.Background(), id, hash)
}

func makeKey(t *testing.T, tenantID string) (string, tenant.Key) {
	t.Helper()
	text, k, err := tenant.NewKey(rand.Reader, tenantID, "test", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return text, k
}

func TestATenantIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	d := setup(t)
	_, k := makeKey(t, "acme")
	want := tenant.Tenant{
		ID: "acme", Namespace: "sumo-acme", Limits: tenant.Limits{MaxCPU: 3, MaxMemoryGi: 4, MaxConcurrentJobs: 5},
		InputBuckets: []string{"open-data", "shared/acme/"}, CreatedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}
	created, err := d.CreateTenant(t.Context(), want, k)
	if err != nil {
		t.Fatal(err)
	}
	got, err := d.Tenant(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(tenant.Tenant{}, "UpdatedAt")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(created, got); diff != "" {
		t.Errorf("CreateTenant returned another tenant than it stored: %s", diff)
	}
}

func TestATakenTenantIDIsRefusedAndLeavesNoKey(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	text, k := makeKey(t, "acme")
	_, err := d.CreateTenant(t.Context(), tenant.Tenant{ID: "acme", Namespace: "other", Limits: roomy}, k)
	wantCode(t, err, problem.Exists)
	_, err = byKey(d, text)
	wantCode(t, err, problem.Unauthorized)
}

func TestUpdatingATenantChangesOnlyWhatThePatchNames(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", tenant.Limits{MaxCPU: 3, MaxMemoryGi: 4, MaxConcurrentJobs: 5})
	cpu, buckets, none := 9, []string{"b"}, []string{}
	for _, step := range []struct {
		patch       tenant.Patch
		wantLimits  tenant.Limits
		wantBuckets []string
	}{
		{tenant.Patch{MaxCPU: &cpu}, tenant.Limits{MaxCPU: 9, MaxMemoryGi: 4, MaxConcurrentJobs: 5}, nil},
		{tenant.Patch{InputBuckets: &buckets}, tenant.Limits{MaxCPU: 9, MaxMemoryGi: 4, MaxConcurrentJobs: 5}, buckets},
		{tenant.Patch{}, tenant.Limits{MaxCPU: 9, MaxMemoryGi: 4, MaxConcurrentJobs: 5}, buckets},
		{tenant.Patch{InputBuckets: &none}, tenant.Limits{MaxCPU: 9, MaxMemoryGi: 4, MaxConcurrentJobs: 5}, nil},
	} {
		got, err := d.UpdateTenant(t.Context(), "acme", step.patch)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(step.wantLimits, got.Limits) + cmp.Diff(step.wantBuckets, got.InputBuckets); diff != "" {
			t.Errorf("%+v: %s", step.patch, diff)
		}
	}
	tooMany := 1001
	_, err := d.UpdateTenant(t.Context(), "acme", tenant.Patch{MaxCPU: &tooMany})
	wantCode(t, err, problem.Invalid)
}

func TestAKeyOpensItsTenantUntilItIsReplacedOrExpires(t *testing.T) {
	t.Parallel()
	d := setup(t)
	first := newTenant(t, d, "acme", roomy)
	newTenant(t, d, "other", roomy)
	if got, err := byKey(d, first); err != nil || got.ID != "acme" {
		t.Fatalf("got %q, %v", got.ID, err)
	}

	second, k := makeKey(t, "acme")
	if err := d.ReplaceKeys(t.Context(), "acme", k); err != nil {
		t.Fatal(err)
	}
	_, replaced := byKey(d, first)
	wantCode(t, replaced, problem.Unauthorized)
	if got, err := byKey(d, second); err != nil || got.ID != "acme" {
		t.Fatalf("the new key: got %q, %v", got.ID, err)
	}

	third, k := makeKey(t, "acme")
	past := time.Now().Add(-time.Second)
	k.ExpiresAt = &past
	if err := d.ReplaceKeys(t.Context(), "acme", k); err != nil {
		t.Fatal(err)
	}
	_, expired := byKey(d, third)
	wantCode(t, expired, problem.Unauthorized)

	unknown, _ := makeKey(t, "acme")
	_, unknownErr := byKey(d, unknown)
	wantCode(t, unknownErr, problem.Unauthorized)
	for _, err := range []error{expired, unknownErr} {
		if err.Error() != replaced.Error() {
			t.Errorf("the answer reveals what is wrong with a key: %v, but %v", err, replaced)
		}
	}
}

func TestAKeyWithAWrongPartIsUnauthorized(t *testing.T) {
	t.Parallel()
	d := setup(t)
	id, hash, err := tenant.ParseKey(newTenant(t, d, "acme", roomy))
	if err != nil {
		t.Fatal(err)
	}
	for name, wrong := range map[string][]byte{"other": bytes.Repeat([]byte{1}, len(hash)), "shorter": hash[:31], "none": nil} {
		if _, err := d.TenantByKey(t.Context(), id, wrong); problem.CodeOf(err) != problem.Unauthorized {
			t.Errorf("%s hash: %v", name, err)
		}
	}
	for _, wrong := range []string{"", "\x00", "\xff", id + "'"} {
		if _, err := d.TenantByKey(t.Context(), wrong, hash); problem.CodeOf(err) != problem.Unauthorized {
			t.Errorf("id %q: %v", wrong, err)
		}
	}
}

func TestOfConcurrentReplacementsOneKeyRemains(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	var texts []string
	var group errgroup.Group
	for range 8 {
		text, k := makeKey(t, "acme")
		texts = append(texts, text)
		group.Go(func() error { return d.ReplaceKeys(t.Context(), "acme", k) })
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	var working []string
	for _, text := range texts {
		if _, err := byKey(d, text); err == nil {
			working = append(working, text)
		}
	}
	if len(working) != 1 {
		t.Fatalf("%d keys work, want 1", len(working))
	}
	hints, err := d.KeyHints(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if want := map[string]string{"acme": working[0][:len(hints["acme"])]}; !cmp.Equal(hints, want) {
		t.Errorf("hints %v, want %v", hints, want)
	}
}

func TestUseOfAKeyIsRecordedOnceAMinute(t *testing.T) {
	t.Parallel()
	d := setup(t)
	text := newTenant(t, d, "acme", roomy)
	lastUsed := func() (at *time.Time) {
		if err := d.pool.QueryRow(t.Context(), "SELECT last_used_at FROM api_keys").Scan(&at); err != nil {
			t.Fatal(err)
		}
		return at
	}
	use := func() time.Time {
		if _, err := byKey(d, text); err != nil {
			t.Fatal(err)
		}
		return *lastUsed()
	}
	if at := lastUsed(); at != nil {
		t.Fatalf("used at %v before its first use", at)
	}
	first := use()
	if again := use(); !again.Equal(first) {
		t.Errorf("recorded twice in a minute: %v and %v", first, again)
	}
	if _, err := d.pool.Exec(t.Context(), "UPDATE api_keys SET last_used_at = last_used_at - interval '61 seconds'"); err != nil {
		t.Fatal(err)
	}
	if later := use(); !later.After(first) {
		t.Errorf("not recorded after a minute: %v, then %v", first, later)
	}
}

func TestDeletingATenantLeavesNothingOfIt(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	inState(t, d, "acme", job.Succeeded)
	if _, _, err := d.CreateJob(
		t.Context(), newJob("acme"), &idempotency.Request{Key: "k", RequestHash: []byte{1}}, job.Admission{MaxQueued: 10},
	); err != nil {
		t.Fatal(err)
	}
	if _, err := d.pool.Exec(t.Context(), "DELETE FROM tenants"); err != nil {
		t.Fatal(err)
	}
	const query = `SELECT (SELECT count(*) FROM api_keys) + (SELECT count(*) FROM scenarios) + (SELECT count(*) FROM jobs) +
		(SELECT count(*) FROM job_events) + (SELECT count(*) FROM idempotency_keys)`
	var left int
	if err := d.pool.QueryRow(t.Context(), query).Scan(&left); err != nil || left != 0 {
		t.Fatalf("%d rows left, %v", left, err)
	}
}

// due empties the queue of tenants whose provision is due.
func due(t *testing.T, d *DB, retry time.Duration) (all []tenant.Tenant) {
	t.Helper()
	for {
		next, found, err := d.DueTenant(t.Context(), retry)
		if err != nil {
			t.Fatal(err)
		}
		if !found {
			return all
		}
		all = append(all, next)
	}
}

func dueIDs(t *testing.T, d *DB) (ids []string) {
	t.Helper()
	for _, next := range due(t, d, time.Hour) {
		ids = append(ids, next.ID)
	}
	return ids
}

func TestProvisionIsDueWhenATenantIsMadeOrChangedAndAfterAWhile(t *testing.T) {
	t.Parallel()
	d := setup(t)
	for _, id := range []string{"first", "second", "third"} {
		newTenant(t, d, id, roomy)
	}
	all := due(t, d, time.Hour)
	if len(all) != 3 || all[0].ID != "first" || all[2].ID != "third" || all[0].Namespace != "sumo-first" {
		t.Fatalf("%+v are due, want all, the oldest first", all)
	}
	if ids := dueIDs(t, d); ids != nil {
		t.Errorf("%v are due again before the time for another try", ids)
	}
	cpu := 7
	if _, err := d.UpdateTenant(t.Context(), "second", tenant.Patch{MaxCPU: &cpu}); err != nil {
		t.Fatal(err)
	}
	for _, was := range all {
		// The first is due again at once; the second has changed since it was looked at; the third is done for now.
		next := time.Hour
		if was.ID == "first" {
			next = 0
		}
		if err := d.Provisioned(t.Context(), was, next); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"second", "first"}, dueIDs(t, d)); diff != "" {
		t.Errorf("due (-want +got):\n%s", diff)
	}
}

func TestARetiredTenantIsNeverProvisioned(t *testing.T) {
	t.Parallel()
	d := setup(t)
	for _, id := range []string{"acme", "early"} {
		newTenant(t, d, id, roomy)
	}
	early, found, err := d.DueTenant(t.Context(), time.Hour)
	if err != nil || !found {
		t.Fatal(found, err)
	}
	for _, id := range []string{"acme", "early"} {
		if _, err := d.RetireTenant(t.Context(), id, false); err != nil {
			t.Fatal(err)
		}
	}
	if ids := dueIDs(t, d); ids != nil {
		t.Errorf("%v are due", ids)
	}
	if err := d.Provisioned(t.Context(), early, time.Hour); problem.CodeOf(err) != problem.NotFound {
		t.Errorf("of one that was provisioned meanwhile: %v", err)
	}
}

func TestNoTwoProvisionOneTenant(t *testing.T) {
	t.Parallel()
	d := setup(t)
	const tenants = 20
	for i := range tenants {
		newTenant(t, d, fmt.Sprintf("t%d", i), roomy)
	}
	var mu sync.Mutex
	seen := map[string]int{}
	var work errgroup.Group
	for range 4 {
		work.Go(func() error {
			for {
				next, found, err := d.DueTenant(t.Context(), time.Hour)
				if err != nil || !found {
					return err
				}
				mu.Lock()
				seen[next.ID]++
				mu.Unlock()
			}
		})
	}
	if err := work.Wait(); err != nil {
		t.Fatal(err)
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("%s was given out %d times", id, n)
		}
	}
	if len(seen) != tenants {
		t.Errorf("%d tenants were given out, want %d", len(seen), tenants)
	}
}

func TestUnknownTenantsAreNotFound(t *testing.T) {
	t.Parallel()
	d := setup(t)
	_, k := makeKey(t, "nobody")
	for name, call := range map[string]func() error{
		"Tenant":       func() error { _, err := d.Tenant(t.Context(), "nobody"); return err },
		"UpdateTenant": func() error { _, err := d.UpdateTenant(t.Context(), "nobody", tenant.Patch{}); return err },
		"ReplaceKeys":  func() error { return d.ReplaceKeys(t.Context(), "nobody", k) },
		"Claim":        func() error { _, err := d.Claim(t.Context(), "nobody", 1, true); return err },
		"CreateJob": func() error {
			_, _, err := d.CreateJob(t.Context(), newJob("nobody"), nil, job.Admission{MaxQueued: 1})
			return err
		},
	} {
		if err := call(); problem.CodeOf(err) != problem.NotFound {
			t.Errorf("%s: %v", name, err)
		}
	}
}
