package postgres

import (
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sync/errgroup"

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
			TenantID: tenantID, Digest: strings.Repeat("ab", 32), Key: key, Size: 42,
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
	_, err := d.Scenario(t.Context(), "other", digest)
	wantCode(t, err, problem.NotFound)
	_, _, err = d.PutScenario(t.Context(), scenario.Scenario{TenantID: "nobody", Digest: digest, Key: "k"})
	wantCode(t, err, problem.NotFound)
}
