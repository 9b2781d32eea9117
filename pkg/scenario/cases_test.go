package scenario

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
	networks "github.com/sumo-k8/sumo-k8/test_networks"
)

// TestCases holds scenarios as people make them to what becomes of each.
func TestCases(t *testing.T) {
	t.Parallel()
	for _, c := range networks.Cases() {
		t.Run(c.File+" "+c.ConfigFile, func(t *testing.T) {
			t.Parallel()
			data, err := c.Zip()
			if err != nil {
				t.Fatal(err)
			}
			m, refused := inspect(t, data, DefaultLimits())
			if len(c.Problems) > 0 && len(c.Unfit) == 0 {
				refuses(t, c, refused)
				return
			}
			if refused != nil {
				t.Fatal(refused)
			}
			chosen, err := m.ChooseConfig(c.ConfigFile)
			if len(c.Several) > 0 {
				p, _ := errors.AsType[*problem.Error](err)
				if p == nil || p.Code != problem.ScenarioInvalid {
					t.Errorf("chose %s: %v", chosen.Path, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range release.All() {
				unfit := slices.Contains(c.Unfit, r.Version)
				if items := chosen.Unfit(r.Version); unfit {
					refuses(t, c, invalid(items))
				} else if len(items) > 0 {
					t.Errorf("with SUMO %s: %v", r.Version, items)
				}
			}
			warnings := slices.Clone(m.Warnings)
			interval := chosen.Interval(nil, nil)
			remarks := chosen.Remarks(interval)
			for _, w := range remarks {
				warnings = append(warnings, w.String())
			}
			if missing := networks.MissingFrom(warnings, c.Warnings); len(missing) > 0 || len(c.Warnings) == 0 && len(warnings) > 0 {
				t.Errorf("warnings %q lack %+v", warnings, missing)
			}
			if strict := chosen.Strict(interval); c.Strict != (len(strict) > 0) {
				t.Errorf("a strict run is refused for %v", strict)
			}
			if diff := cmp.Diff(c.Seed, chosen.Seed); diff != "" {
				t.Errorf("seed (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.Results, chosen.Outputs); diff != "" {
				t.Errorf("outputs (-want +got):\n%s", diff)
			}
		})
	}
}

func refuses(t *testing.T, c networks.Case, err error) {
	t.Helper()
	p, _ := errors.AsType[*problem.Error](err)
	if p == nil || p.Code != problem.ScenarioInvalid {
		t.Fatalf("got %v", err)
	}
	if missing := (networks.BrokenCase{Problems: c.Problems}).Missing(p.Detail, p.Items); len(missing) > 0 {
		t.Errorf("%v lacks %+v", p.Items, missing)
	}
}

// TestBrokenScenarios holds uploads that must be refused to the answer that each must get.
func TestBrokenScenarios(t *testing.T) {
	t.Parallel()
	for _, c := range networks.Broken() {
		t.Run(c.File, func(t *testing.T) {
			t.Parallel()
			data, err := c.Zip()
			if err != nil {
				t.Fatal(err)
			}
			_, err = inspect(t, data, DefaultLimits())
			refuses(t, networks.Case{File: c.File, Problems: c.Problems}, err)
		})
	}
}
