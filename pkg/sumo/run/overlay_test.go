package run

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/sumotest"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

// shelf keeps scenarios and their objects in memory. Methods that a derivation does not call are left to the nil interface.
type shelf struct {
	scenario.Store
	scenarios map[string]scenario.Scenario
	objects   map[string][]byte
}

func (s *shelf) Scenario(_ context.Context, _, digest string) (scenario.Scenario, error) {
	if found, ok := s.scenarios[digest]; ok {
		return found, nil
	}
	return scenario.Scenario{}, problem.New(problem.NotFound, "no scenario")
}

func (s *shelf) PutScenario(_ context.Context, put scenario.Scenario) (scenario.Scenario, bool, error) {
	s.scenarios[put.Digest] = put
	return put, true, nil
}

func (s *shelf) PutDerived(ctx context.Context, put scenario.Scenario, _ string) (scenario.Scenario, bool, error) {
	return s.PutScenario(ctx, put)
}

func (s *shelf) Put(_ context.Context, key string, r io.Reader, _ string) (int64, error) {
	data, err := io.ReadAll(r)
	s.objects[key] = data
	return int64(len(data)), err
}

func (s *shelf) Open(_ context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	return io.NopCloser(io.NewSectionReader(bytes.NewReader(s.objects[key]), offset, length)), nil
}

func (s *shelf) Delete(_ context.Context, keys ...string) error {
	for _, key := range keys {
		delete(s.objects, key)
	}
	return nil
}

// derivedOf writes the two parts of a scenario that is derived from base by changes and deletions.
func derivedOf(t *testing.T, base, changes files, deleted ...string) (zip, overlay string) {
	t.Helper()
	s := &shelf{scenarios: map[string]scenario.Scenario{}, objects: map[string][]byte{}}
	n := 0
	in := scenario.Intake{
		Store: s, Objects: s, Limits: scenario.DefaultLimits(), NewID: func() string { n++; return strconv.Itoa(n) }, Now: time.Now,
	}
	var parts [2][]byte
	for i, f := range []files{base, changes} {
		var err error
		if parts[i], err = f.zip(""); err != nil {
			t.Fatal(err)
		}
	}
	stored, _, err := in.Accept(t.Context(), tenant.Tenant{}, bytes.NewReader(parts[0]), scenario.About{})
	if err != nil {
		t.Fatal(err)
	}
	made, _, _, err := in.Derive(t.Context(), tenant.Tenant{}, scenario.Derivation{
		From: stored.Digest, Files: bytes.NewReader(parts[1]), Delete: deleted,
	})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	zip, overlay = filepath.Join(dir, "scenario.zip"), filepath.Join(dir, "overlay.zip")
	for name, key := range map[string]string{zip: made.Key, overlay: made.OverlayKey} {
		if err := os.WriteFile(name, s.objects[key], 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return zip, overlay
}

func TestADerivedScenarioRunsAsTheSameFilesInOneZip(t *testing.T) {
	t.Parallel()
	sumotest.Each(t, func(t *testing.T, sumo release.Installation) {
		base := road(t, "", oneVehicle)
		base["old.sumocfg"] = "<configuration/>"
		whole := road(t, `<additional-files value="more/a.add.xml"/>`, someDemand)
		whole["more/a.add.xml"] = `<additional><edgeData id="e" file="edges.xml"/></additional>`
		changes := files{}
		for name, text := range whole {
			if base[name] != text {
				changes[name] = text
			}
		}
		r := newRunOf(t, sumo)
		r.Scenario = zipped(t, whole)
		want := r.Do(t.Context())
		r = newRunOf(t, sumo)
		r.Scenario, r.Overlay = derivedOf(t, base, changes, "old.sumocfg")
		got := r.Do(t.Context())
		if !want.Succeeded() || !got.Succeeded() {
			t.Fatalf("%s: %s; %s: %s", want.Reason, want.Message, got.Reason, got.Message)
		}
		speed := []string{"real_time_factor", "vehicle_updates_per_second", "wall_time"} // of this machine
		metrics := func(o simulation.Outcome) map[string]float64 {
			all := map[string]float64{}
			for _, m := range o.Summary.Metrics {
				if !slices.Contains(speed, m.Name) {
					all[m.Name] = m.Value
				}
			}
			return all
		}
		if diff := cmp.Diff(metrics(want), metrics(got)); diff != "" || len(metrics(got)) < 5 {
			t.Errorf("(-one zip +derived):\n%s", diff)
		}
	})
}
