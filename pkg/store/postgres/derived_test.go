package postgres

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/scenario"
)

// derivedFrom is a scenario with the zip of the one that newTenant stores.
func derivedFrom(tenantID, mark string) scenario.Scenario {
	s := scenario.Scenario{
		TenantID: tenantID, Digest: strings.Repeat(mark, 64), Name: "green wave", Key: "scenarios/" + tenantID + "/1.zip", Size: 1,
		OverlayKey: "scenarios/" + tenantID + "/" + mark + ".overlay.zip", OverlaySize: 7,
	}
	s.Derived.Base = digest
	return s
}

func TestADerivedScenarioIsStoredAsItsParts(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	want := derivedFrom("acme", "a")
	for i := range 12 {
		want.Derived.Changed = append(want.Derived.Changed, fmt.Sprintf("%02d.xml", i))
	}
	want.Derived.Added, want.Derived.Deleted, want.Derived.Total = []string{"new"}, []string{"x", "y"}, 15
	got, created, err := d.PutDerived(t.Context(), want, digest)
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(want, "CreatedAt")); diff != "" || err != nil || !created {
		t.Fatalf("created=%t, %v (-want +got):\n%s", created, err, diff)
	}
	other := want
	other.OverlayKey = "another"
	again, created, err := d.PutDerived(t.Context(), other, digest)
	if diff := cmp.Diff(got, again); diff != "" || err != nil || created {
		t.Errorf("again: created=%t, %v\n%s", created, err, diff)
	}
	_, _, err = d.PutDerived(t.Context(), derivedFrom("acme", "b"), strings.Repeat("f", 64))
	wantCode(t, err, problem.NotFound)
	_, _, err = d.PutDerived(t.Context(), derivedFrom("nobody", "b"), digest)
	wantCode(t, err, problem.NotFound)

	over, err := d.ScenarioOverBase(t.Context(), "acme", digest)
	if diff := cmp.Diff(got, over); diff != "" || err != nil {
		t.Errorf("over the base: %v (-want +got):\n%s", err, diff)
	}
	for _, of := range [][2]string{{"acme", want.Digest}, {"nobody", digest}, {"acme", ""}} {
		_, err := d.ScenarioOverBase(t.Context(), of[0], of[1])
		wantCode(t, err, problem.NotFound)
	}

	page, err := d.ListScenarios(t.Context(), "acme", scenario.Place{}, 5)
	if err != nil || len(page) != 2 {
		t.Fatalf("listed %+v, %v", page, err)
	}
	want.Derived.Changed = want.Derived.Changed[:scenario.ListedPaths]
	if diff := cmp.Diff(want, page[0], cmpopts.IgnoreFields(want, "CreatedAt")); diff != "" {
		t.Errorf("listed (-want +got):\n%s", diff)
	}
	j := submit(t, d, "acme", func(j *job.Job) { j.ScenarioDigest = want.Digest })
	if j.ScenarioKey != want.Key || j.OverlayKey != want.OverlayKey {
		t.Errorf("a job of it reads %s and %s", j.ScenarioKey, j.OverlayKey)
	}
	_, err = d.pool.Exec(t.Context(), `
		INSERT INTO jobs (id, tenant_id, namespace, name, scenario_digest, scenario_key, results_key, state, cpu_request, memory_gi, priority,
			options, timeout_seconds, labels, task_token, traceparent, warnings, submitted_at, updated_at)
		SELECT gen_random_uuid(), tenant_id, namespace, name, scenario_digest, scenario_key, results_key, 'QUEUED', cpu_request, memory_gi,
			priority, options, timeout_seconds, labels, task_token, traceparent, warnings, now(), now()
		FROM jobs WHERE id = $1`, j.ID)
	wantCode(t, translate(err, "submitting as the earlier release does"), problem.Unavailable)
	keys := []string{want.Key, want.OverlayKey, "another", ""}
	known, err := d.KnownKeys(t.Context(), keys)
	if diff := cmp.Diff(map[string]bool{want.Key: true, want.OverlayKey: true}, known); diff != "" || err != nil {
		t.Errorf("known keys: %v\n%s", err, diff)
	}
}

func TestAZipIsUnneededWithTheLastScenarioOfIt(t *testing.T) {
	t.Parallel()
	for name, order := range map[string][]string{
		"the base first": {digest, "a", "b"}, "the base last": {"a", "b", digest}, "between": {"b", digest, "a"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := setup(t)
			newTenant(t, d, "acme", roomy)
			for _, mark := range []string{"a", "b"} {
				if _, _, err := d.PutDerived(t.Context(), derivedFrom("acme", mark), digest); err != nil {
					t.Fatal(err)
				}
			}
			for i, mark := range order {
				id, want := mark, []string(nil)
				if mark != digest {
					id, want = strings.Repeat(mark, 64), []string{"scenarios/acme/" + mark + ".overlay.zip"}
				}
				if i == len(order)-1 {
					want = append(want, "scenarios/acme/1.zip")
				}
				_, unneeded, err := d.DeleteScenario(t.Context(), "acme", id)
				if err != nil || !slices.Equal(unneeded, want) {
					t.Errorf("deleting %.8s: unneeded %q, want %q, %v", id, unneeded, want, err)
				}
			}
		})
	}
}

// The first one wins: either the derived scenario has its zip, or it is refused.
func TestDeletingAScenarioAndDerivingFromItDoNotOverlookEachOther(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	for _, id := range putMany(t, d, 20) {
		base, err := d.Scenario(t.Context(), "acme", id)
		if err != nil {
			t.Fatal(err)
		}
		s := derivedFrom("acme", "a")
		s.Digest, s.Key, s.OverlayKey = id[32:]+id[:32], base.Key, "over "+base.Key
		var group errgroup.Group
		var unneeded []string
		var deleted, made error
		group.Go(func() error { _, unneeded, deleted = d.DeleteScenario(t.Context(), "acme", id); return nil })
		group.Go(func() error { _, _, made = d.PutDerived(t.Context(), s, id); return nil })
		_ = group.Wait()
		if code := problem.CodeOf(made); deleted != nil || (code == "") != (len(unneeded) == 0) || code != "" && code != problem.NotFound {
			t.Fatalf("deleting: %v, unneeded %q; deriving: %v", deleted, unneeded, made)
		}
	}
}

func TestAScenarioIsNotDeletedWhileAStudyNeedsIt(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	id := uuid.Must(uuid.NewV7()).String()
	exec := func(sql string, args ...any) {
		t.Helper()
		if _, err := d.pool.Exec(t.Context(), sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	exec(`INSERT INTO studies (id, tenant_id, name, state, plan, priority, seeds, max_parallel, stop_share, metric_names, runs)
		VALUES ($1, 'acme', 'signal plans', 'RUNNING', '{}', 0, '{1}', 1, 1, '{}', 1)`, id)
	exec(`INSERT INTO study_points (study_id, point, variant, setting, scenario_digest, scenario_key, cpu_request, memory_gi, options,
		timeout_seconds) VALUES ($1, 0, 'base', '[]', $2, 'k', 1, 1, '{}', 60)`, id, digest)
	_, _, err := d.DeleteScenario(t.Context(), "acme", digest)
	wantCode(t, err, problem.Conflict)
	if text := err.Error(); !strings.Contains(text, id) || !strings.Contains(text, "signal plans") {
		t.Errorf("the refusal does not name the study: %v", err)
	}
	exec(`UPDATE studies SET state = 'SUCCEEDED', finished_at = now() WHERE id = $1`, id)
	if _, _, err := d.DeleteScenario(t.Context(), "acme", digest); err != nil {
		t.Error(err)
	}
}
