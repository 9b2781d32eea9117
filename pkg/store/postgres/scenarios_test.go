package postgres

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sync/errgroup"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/scenario"
)

func TestTheSameBytesAreOneScenarioPerTenant(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	newTenant(t, d, "other", roomy)
	end := 3600.0
	put := func(tenantID, key string) (scenario.Scenario, bool, error) {
		return d.PutScenario(t.Context(), scenario.Scenario{
			TenantID: tenantID, Digest: strings.Repeat("ab", 32), Name: "city", Key: key, Size: 42,
			Manifest: scenario.Manifest{
				Configs: []scenario.Config{{Path: "a.sumocfg", End: &end}}, Files: []scenario.File{{Path: "a.sumocfg", Size: 7}}, Unpacked: 7,
			},
		})
	}
	var made atomic.Int32
	var group errgroup.Group
	for _, key := range []string{"1", "2", "3", "4", "5"} {
		group.Go(func() error {
			_, created, err := put("acme", key)
			if created {
				made.Add(1)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil || made.Load() != 1 {
		t.Fatalf("stored %d times, %v", made.Load(), err)
	}
	again, created, err := put("acme", "6")
	if err != nil || created {
		t.Fatalf("again: created=%t, %v", created, err)
	}
	got, err := d.Scenario(t.Context(), "acme", strings.Repeat("ab", 32))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(again, got); diff != "" {
		t.Errorf("PutScenario returned another scenario than it stored: %s", diff)
	}
	other, created, err := put("other", "7")
	if err != nil || !created {
		t.Fatalf("another tenant: created=%t, %v", created, err)
	}
	if diff := cmp.Diff(got, other, cmpopts.IgnoreFields(scenario.Scenario{}, "TenantID", "Key", "CreatedAt")); diff != "" {
		t.Error(diff)
	}
	known, err := d.KnownKeys(t.Context(), []string{got.Key, "7", "8"})
	if want := map[string]bool{got.Key: true, "7": true}; err != nil || !cmp.Equal(known, want) {
		t.Errorf("known keys %v, want %v, %v", known, want, err)
	}
}

func TestScenariosOfOthersAreNotFound(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	newTenant(t, d, "other", roomy)
	for _, id := range []string{digest + "0", strings.ToUpper(digest), "no id", "\x00", strings.Repeat("f", 64)} {
		_, err := d.Scenario(t.Context(), "acme", id)
		wantCode(t, err, problem.NotFound)
		_, _, err = d.DeleteScenario(t.Context(), "acme", id)
		wantCode(t, err, problem.NotFound)
	}
	_, _, err := d.PutScenario(t.Context(), scenario.Scenario{TenantID: "acme", Digest: strings.Repeat("ab", 32), Key: "mine"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = d.Scenario(t.Context(), "other", strings.Repeat("ab", 32))
	wantCode(t, err, problem.NotFound)
	_, _, err = d.DeleteScenario(t.Context(), "other", strings.Repeat("ab", 32))
	wantCode(t, err, problem.NotFound)
	_, err = d.UpdateManifest(t.Context(), "other", strings.Repeat("ab", 32), scenario.Manifest{})
	wantCode(t, err, problem.NotFound)
	_, _, err = d.PutScenario(t.Context(), scenario.Scenario{TenantID: "nobody", Digest: digest, Key: "k"})
	wantCode(t, err, problem.NotFound)
}

// putMany stores n scenarios of acme, and returns their digests, newest first.
func putMany(t *testing.T, d *DB, n int) (digests []string) {
	t.Helper()
	for i := range n {
		s := scenario.Scenario{TenantID: "acme", Digest: fmt.Sprintf("%064x", 1+(i*7)%n), Key: fmt.Sprint("many", i)}
		s.Manifest.Files = []scenario.File{{Path: "a.sumocfg"}}
		s.Manifest.Warnings = []string{"remark"}
		if _, _, err := d.PutScenario(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		digests = slices.Insert(digests, 0, s.Digest)
	}
	return digests
}

func TestScenariosAreListedInPagesThatStayAsTheyAre(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	want := putMany(t, d, 10)
	// Several of the same moment are in the order of their digests.
	if _, err := d.pool.Exec(t.Context(), "DELETE FROM scenarios WHERE digest = $1", digest); err != nil {
		t.Fatal(err)
	}
	if _, err := d.pool.Exec(t.Context(), "UPDATE scenarios SET created_at = '2026-01-01' WHERE digest = ANY ($1)", want[4:]); err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(want[4:], func(a, b string) int { return strings.Compare(b, a) })
	var got []string
	var place scenario.Place
	for {
		page, err := d.ListScenarios(t.Context(), "acme", place, 3)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, s := range page {
			got = append(got, s.Digest)
			if s.Manifest.Files != nil || len(s.Manifest.Warnings) != 1 {
				t.Errorf("listed with the manifest %+v", s.Manifest)
			}
		}
		last := page[len(page)-1]
		place = scenario.Place{CreatedAt: last.CreatedAt, Digest: last.Digest}
		if _, _, err := d.DeleteScenario(t.Context(), "acme", last.Digest); err != nil {
			t.Fatal(err)
		}
		if _, _, err := d.PutScenario(
			t.Context(), scenario.Scenario{TenantID: "acme", Digest: last.Digest, Key: "late" + last.Digest},
		); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAScenarioIsDeletedOnlyWhenNoJobNeedsIt(t *testing.T) {
	t.Parallel()
	for _, state := range job.States() {
		t.Run(string(state), func(t *testing.T) {
			t.Parallel()
			d := setup(t)
			newTenant(t, d, "acme", roomy)
			j := inState(t, d, "acme", state)
			deleted, _, err := d.DeleteScenario(t.Context(), "acme", digest)
			if !state.Terminal() {
				wantCode(t, err, problem.Conflict)
				if !strings.Contains(err.Error(), j.ID) {
					t.Errorf("the refusal does not name the job: %v", err)
				}
				return
			}
			if err != nil || deleted.Digest != digest {
				t.Fatalf("deleted %+v, %v", deleted, err)
			}
			if left := read(t, d, "acme", j.ID); left.ScenarioDigest != digest {
				t.Errorf("the job lost its scenario's digest: %+v", left)
			}
			_, _, err = d.CreateJob(t.Context(), newJob("acme"), nil, job.Admission{MaxQueued: 9})
			wantCode(t, err, problem.NotFound)
		})
	}
}

// Clients show an item's location and message.
func TestARefusedDeletionNamesWhatNeedsTheScenario(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	id := putMany(t, d, 1)[0]
	made, _, err := d.CreateJob(t.Context(), newJob("acme", func(j *job.Job) { j.ScenarioDigest = id }), nil, job.Admission{MaxQueued: 100})
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = d.DeleteScenario(t.Context(), "acme", id)
	wantCode(t, err, problem.Conflict)
	var p *problem.Error
	want := []problem.Item{{Location: "job", Message: made.ID + " is QUEUED", Value: made.ID}}
	if !errors.As(err, &p) || !cmp.Equal(p.Items, want) {
		t.Errorf("the items are %+v, want %+v", p.Items, want)
	}
}

// The first one wins: either there is a job and its scenario, or neither.
func TestDeletingAScenarioAndMakingAJobDoNotOverlookEachOther(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	for _, id := range putMany(t, d, 20) {
		var group errgroup.Group
		var deleted, made error
		group.Go(func() error { _, _, deleted = d.DeleteScenario(t.Context(), "acme", id); return nil })
		group.Go(func() error {
			_, _, made = d.CreateJob(t.Context(), newJob("acme", func(j *job.Job) { j.ScenarioDigest = id }), nil, job.Admission{MaxQueued: 100})
			return nil
		})
		_ = group.Wait()
		if a, b := problem.CodeOf(deleted), problem.CodeOf(made); (a != problem.Conflict || b != "") && (a != "" || b != problem.NotFound) {
			t.Fatalf("deleting: %v; making a job: %v", deleted, made)
		}
	}
}

func TestAManifestIsReplaced(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	want := scenario.Manifest{
		Configs: []scenario.Config{{Path: "a.sumocfg", Network: &scenario.Network{Edges: 7}, Demand: &scenario.Demand{Flows: 1}}}, Unpacked: 9,
	}
	if _, err := d.UpdateManifest(t.Context(), "acme", digest, want); err != nil {
		t.Fatal(err)
	}
	got, err := d.Scenario(t.Context(), "acme", digest)
	if diff := cmp.Diff(want, got.Manifest); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}
