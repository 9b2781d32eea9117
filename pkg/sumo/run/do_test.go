package run

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sumo-k8/sumo-k8/pkg/confine"
	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// zipped writes f, under a folder, to a zip file.
func zipped(t *testing.T, f files) string {
	t.Helper()
	data, err := f.zip("city/")
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "scenario.zip")
	if err := os.WriteFile(name, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

// zip is a zip of f, in a folder.
func (f files) zip(folder string) ([]byte, error) {
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for name, text := range f {
		w, err := z.Create(folder + name)
		if err != nil {
			return nil, err
		}
		if _, err := w.Write([]byte(text)); err != nil {
			return nil, err
		}
	}
	err := z.Close()
	return out.Bytes(), err
}

func TestDoRunsAZippedScenario(t *testing.T) {
	t.Parallel()
	scene := road(t, `<output><vehroute-output value="made/routes.xml"/></output>`, oneVehicle)
	other := strings.Replace(scene["run.sumocfg"], "made/", "other/", 1)
	scene["other.sumocfg"] = other
	r := newRun(t)
	r.Scenario = zipped(t, scene)
	r.Options.ConfigFile = "city/other.sumocfg"
	got := result{r.Do(t.Context()), r}
	if !got.Succeeded() {
		t.Fatalf("%s: %s", got.Reason, got.Message)
	}
	if got.Summary.ConfigFile != "city/other.sumocfg" {
		t.Errorf("ran %s", got.Summary.ConfigFile)
	}
	if text := got.read(t, "city/other/routes.xml"); !strings.Contains(text, `<vehicle id="v"`) {
		t.Errorf("the scenario's own output:\n%s", text)
	}
	if got.StartedAt.IsZero() || got.FinishedAt.Before(got.StartedAt) {
		t.Errorf("from %v to %v", got.StartedAt, got.FinishedAt)
	}
}

func TestDoTellsWhatIsWrongWithAScenario(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change  func(t *testing.T, r *Run)
		reason  simulation.Reason
		message []string
	}{
		"two faults": {func(t *testing.T, r *Run) {
			scene := road(t, `<from-the-future value="1"/>`, oneVehicle)
			delete(scene, "road.net.xml")
			r.Scenario = zipped(t, scene)
		}, simulation.InvalidScenario, []string{"from-the-future", "road.net.xml", "city/run.sumocfg"}},
		"no such configuration": {func(t *testing.T, r *Run) {
			r.Scenario = zipped(t, road(t, "", oneVehicle))
			r.Options.ConfigFile = "nowhere.sumocfg"
		}, simulation.InvalidScenario, []string{"nowhere.sumocfg"}},
		"not a zip":   {func(_ *testing.T, r *Run) { r.Scenario = "testdata/road.net.xml" }, simulation.InvalidScenario, []string{"zip"}},
		"no scenario": {func(_ *testing.T, r *Run) { r.Scenario = "testdata/gone.zip" }, simulation.InternalError, []string{"gone.zip"}},
		"no SUMO": {func(t *testing.T, r *Run) {
			r.Scenario = zipped(t, road(t, "", oneVehicle))
			r.Binary = "no-such-sumo"
		}, simulation.InternalError, []string{"SUMO could not be started", "no-such-sumo"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRun(t)
			tc.change(t, &r)
			got := result{r.Do(t.Context()), r}
			if got.Reason != tc.reason {
				t.Errorf("got %q: %s", got.Reason, got.Message)
			}
			log := got.read(t, simulation.LogFile)
			for _, part := range tc.message {
				if !strings.Contains(got.Message, part) || !strings.Contains(log, part) {
					t.Errorf("%q is not in the message\n%s\nor not in the log\n%s", part, got.Message, log)
				}
			}
		})
	}
}

func TestAWorkFolderWithAnOddName(t *testing.T) {
	t.Parallel()
	for name, abi := range map[string]int{"a,b": 0, "c:d ${HOME}": confine.NoLandlock, "100%41": 0} {
		r := newRun(t)
		r.landlockABI = abi
		r.Work = filepath.Join(r.Work, name)
		r.Scenario = zipped(t, road(t, `<output><vehroute-output value="routes.xml"/></output>`, oneVehicle))
		r.Options.Outputs = []simulation.Output{simulation.OutputEdgeData}
		got := result{r.Do(t.Context()), r}
		if !got.Succeeded() {
			t.Errorf("%s: %s: %s", name, got.Reason, got.Message)
			continue
		}
		if text := got.read(t, "city/routes.xml"); !strings.Contains(text, `<vehicle id="v"`) {
			t.Errorf("%s: the scenario's own output:\n%s", name, text)
		}
	}
}

func TestSUMONeverOpensTheUploadedConfiguration(t *testing.T) {
	t.Parallel()
	scene := road(t, `<output><vehroute-output value="made/%72outes.xml"/></output>`, oneVehicle)
	scene[configName] = "not ours" // the name is not reserved
	r := newRun(t)
	r.Scenario = zipped(t, scene)
	r.Options.ConfigFile = "city/run.sumocfg"
	r.Options.Outputs = []simulation.Output{simulation.OutputEdgeData}
	got := result{r.perform(t.Context(), func(ctx context.Context, root *os.Root, _ string) (scenario.Config, error) {
		data, err := scene.zip("city/")
		if err != nil {
			return scenario.Config{}, err
		}
		// The other configuration is no good.
		manifest, _ := scenario.Inspect(ctx, scenario.Zip(bytes.NewReader(data), int64(len(data))), r.Limits)
		chosen, err := manifest.ChooseConfig(r.Options.ConfigFile)
		if err != nil {
			return chosen, err
		}
		zip := bytes.NewReader(data)
		return chosen, errors.Join(scenario.Extract(ctx, scenario.Zip(zip, zip.Size()), r.Limits, root, nil), root.Remove("city/run.sumocfg"))
	}), r}
	if !got.Succeeded() {
		t.Fatalf("%s: %s", got.Reason, got.Message)
	}
	if text := got.read(t, "city/made/routes.xml"); !strings.Contains(text, `<vehicle id="v"`) {
		t.Errorf("the scenario's own output:\n%s", text)
	}
	if text, err := os.ReadFile(filepath.Join(r.Work, scenarioFolder, "city", configName)); err != nil || string(text) != "not ours" {
		t.Errorf("the scenario's file is now %q, %v", text, err)
	}
}
