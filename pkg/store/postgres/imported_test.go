package postgres

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

const importedID = "f0e1d2c3-b4a5-4697-8877-665544332211" // would sort after every UUIDv7 of this century

func failedElsewhere(tenantID string, submitted time.Time) job.Job {
	started, finished := submitted.Add(time.Minute), submitted.Add(time.Hour)
	return job.Job{
		ID: importedID, TenantID: tenantID, Name: "old peak", State: job.Failed, Reason: simulation.NotRecorded, Message: "OOMKilled\x00",
		CPURequest: 2, MemoryGi: 4, Priority: job.High, Options: simulation.Options{ConfigFile: "a.sumocfg"}, TimeoutSeconds: 86400,
		SubmittedAt: submitted, StartedAt: &started, FinishedAt: &finished,
		Imported: &job.Imported{Location: "s3://old/results/x/", StorageType: "s3", Files: []job.ImportedFile{{Name: "a.xml", Size: 3}}},
	}
}

func TestAnImportedJobIsListedByItsTimeAndFoundByItsOldID(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	newTenant(t, d, "other", roomy)
	if _, err := d.pool.Exec(t.Context(), `INSERT INTO hooks (id, tenant_id, url, receiver, events, format, secrets)
		VALUES (gen_random_uuid(), 'acme', 'https://a', 'https://a:443', '{job.queued,job.finished}', 'standard', '[]')`); err != nil {
		t.Fatal(err)
	}
	ours := submit(t, d, "acme")
	past := time.Now().Add(-24 * time.Hour).UTC().Truncate(time.Microsecond)
	given := failedElsewhere("acme", past)
	for _, want := range [][]string{{importedID}, {}} {
		kept, err := d.ImportJobs(t.Context(), []job.Job{given, failedElsewhere("nobody", past)})
		if diff := cmp.Diff(want, kept, cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Fatalf("kept (-want +got):\n%s%v", diff, err)
		}
	}
	imported, err := d.ImportedJobs(t.Context(), []string{importedID, ours.ID})
	if err != nil || !cmp.Equal(imported, map[string]string{importedID: "acme"}) {
		t.Errorf("imported are %v, %v", imported, err)
	}

	got := read(t, d, "acme", importedID)
	want := given
	want.Namespace, want.Message, want.ResultsPruned, want.UpdatedAt = tenant.NamespaceFor("acme"), "OOMKilled", true, *given.FinishedAt
	want.ResultsKey = artifact.ResultsOf(want.Namespace, got.Place())
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(job.Imported{}, "Place")); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
	place, err := uuid.Parse(got.Place())
	if err != nil || place.Version() != 7 || time.Unix(place.Time().UnixTime()).Sub(past).Abs() > time.Millisecond {
		t.Errorf("its place is %s, %v", got.Place(), err)
	}
	_, err = d.Job(t.Context(), "other", importedID)
	wantCode(t, err, problem.NotFound)
	if got := trail(t, d, "acme", importedID); got != "FAILED" {
		t.Errorf("its events are %s", got)
	}

	var listed []string
	for after := ""; ; {
		page, err := d.ListJobs(t.Context(), "acme", job.Filter{}, after, 1)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		listed, after = append(listed, page[0].ID), page[0].Place()
	}
	if diff := cmp.Diff([]string{ours.ID, importedID}, listed); diff != "" {
		t.Errorf("listed (-want +got):\n%s", diff)
	}
	for want, f := range map[string]job.Filter{
		importedID: {SubmittedBefore: past.Add(time.Minute)}, ours.ID: {SubmittedAfter: past.Add(time.Minute)},
	} {
		if page, err := d.ListJobs(t.Context(), "acme", f, "", 9); err != nil || len(page) != 1 || page[0].ID != want {
			t.Errorf("%+v lists %v, %v", f, page, err)
		}
	}

	var sent string
	if err := d.pool.QueryRow(t.Context(), `SELECT string_agg(job_id::text || (event ->> 'type'), ' ') FROM deliveries`).Scan(&sent); err != nil {
		t.Fatal(err)
	}
	if sent != ours.ID+"job.queued" {
		t.Errorf("an import is news: %s", sent)
	}

	_, err = d.RequestCancel(t.Context(), "acme", importedID)
	wantCode(t, err, problem.Conflict)
	if expired, err := d.ExpiredResults(t.Context(), time.Now(), 10); err != nil || len(expired) > 0 {
		t.Errorf("results of a job expire that are not ours: %v, %v", expired, err)
	}
	if err := d.DeleteJob(t.Context(), "acme", importedID); err != nil {
		t.Fatal(err)
	}
	_, err = d.Events(t.Context(), "acme", importedID)
	wantCode(t, err, problem.NotFound)
}

func TestALongNameIsShortenedToWhatAnIndexHolds(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	letters := rand.New(rand.NewPCG(1, 2)) // Postgres compresses what repeats
	name := make([]rune, 3900)
	for i := range name {
		name[i] = 0x10000 + letters.Int32N(0xffff) // of four bytes, the most that a character takes
	}
	long := failedElsewhere("acme", time.Now())
	long.Name = string(name)
	short := failedElsewhere("acme", time.Now())
	short.ID = strings.Replace(importedID, "f0", "f1", 1)
	got, err := job.Import(t.Context(), d, []job.Job{long, short}, false)
	if err != nil {
		t.Fatal(err)
	}
	for i, notes := range []int{1, 0} {
		if got[i].Outcome != tenant.ImportNew || len(got[i].Notes) != notes {
			t.Errorf("got %+v", got[i])
		}
	}
	if kept := read(t, d, "acme", long.ID).Name; kept != string(name[:job.MaxName-1])+"…" {
		t.Errorf("its name has %d characters", utf8.RuneCountInString(kept))
	}
}

func TestAnImportedKeyOpensItsTenantUntilItIsReplaced(t *testing.T) {
	t.Parallel()
	d := setup(t)
	text := "sk-" + strings.Repeat("a", 32)
	hash, hint := tenant.HashImportedKey(text)
	k := tenant.ImportedKey(hash, hint, "acme")
	in := tenant.Tenant{ID: "acme", Namespace: tenant.NamespaceFor("acme"), Limits: roomy, CreatedAt: time.Unix(1000, 0)}
	if _, err := d.ImportTenant(t.Context(), in, &k); err != nil {
		t.Fatal(err)
	}
	in.ID, in.Namespace = "keyless", tenant.NamespaceFor("keyless")
	if _, err := d.ImportTenant(t.Context(), in, nil); err != nil {
		t.Fatal(err)
	}
	if got, err := byKey(d, text); err != nil || got.ID != "acme" || !got.CreatedAt.Equal(time.Unix(1000, 0)) {
		t.Fatalf("got %+v, %v", got, err)
	}
	if hints, err := d.KeyHints(t.Context()); err != nil || !cmp.Equal(hints, map[string]string{"acme": "sk-aaaaa"}) {
		t.Errorf("hints %v, %v", hints, err)
	}
	_, err := byKey(d, text+"b")
	wantCode(t, err, problem.Unauthorized)

	for _, works := range []bool{true, false} {
		if owner, got, err := d.KeyOwner(t.Context(), k.ID); err != nil || owner != "acme" || got != works {
			t.Errorf("KeyOwner() = %q, %t, %v", owner, got, err)
		}
		_, ours := makeKey(t, "acme")
		if err := d.ReplaceKeys(t.Context(), "acme", ours); err != nil {
			t.Fatal(err)
		}
	}
	_, err = byKey(d, text)
	wantCode(t, err, problem.Unauthorized)
	_, _, err = d.KeyOwner(t.Context(), "imported-")
	wantCode(t, err, problem.NotFound)
}
