package run

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"syscall"
	"testing"

	"github.com/sumo-k8/sumo-k8/pkg/confine"
	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// TestNothingIsCountedOnceARunHasEnded: SUMO ends while its vehicles are being counted, in a file that never does.
func TestNothingIsCountedOnceARunHasEnded(t *testing.T) {
	t.Parallel()
	endless := filepath.Join(t.TempDir(), "routes")
	if err := syscall.Mkfifo(endless, 0o600); err != nil {
		t.Fatal(err)
	}
	end, err := os.OpenFile(endless, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { end.Close() })
	counted := filepath.Join(t.TempDir(), "counted") // is there once more was read than a pipe takes
	go func() {
		_, err := end.WriteString("<routes><!--" + strings.Repeat(" ", 1<<20))
		if err == nil {
			err = os.WriteFile(counted, nil, 0o600)
		}
		for err == nil {
			_, err = end.WriteString(" ")
		}
	}()
	r := newRun(t)
	r.Confinement = confine.Off // a script needs its shell
	r.Binary = script(t, `until [ -e '`+counted+`' ]; do sleep 0.01; done; exit 1`)
	scene := road(t, "", "")
	data, err := scene.zip("")
	if err != nil {
		t.Fatal(err)
	}
	pprof.Do(t.Context(), pprof.Labels("run", t.Name()), func(ctx context.Context) {
		outcome := r.perform(ctx, func(ctx context.Context, root *os.Root, _ string) (scenario.Config, error) {
			manifest, err := scenario.Inspect(ctx, scenario.Zip(bytes.NewReader(data), int64(len(data))), r.Limits)
			if err != nil {
				return scenario.Config{}, err
			}
			err = os.Rename(endless, filepath.Join(root.Name(), "road.rou.xml"))
			return manifest.Configs[0], errors.Join(err, root.WriteFile("road.net.xml", []byte(scene["road.net.xml"]), 0o644))
		})
		if _, err := os.Stat(counted); err != nil || outcome.Reason != simulation.SimulationError {
			t.Errorf("the run ended as %s, %q (%v)", outcome.Reason, outcome.Message, err)
		}
	})
	var goroutines strings.Builder
	if err := pprof.Lookup("goroutine").WriteTo(&goroutines, 1); err != nil {
		t.Fatal(err)
	}
	for stack := range strings.SplitSeq(goroutines.String(), "\n\n") {
		if strings.Contains(stack, t.Name()) && strings.Contains(stack, "countVehicles") {
			t.Errorf("this goes on after the end of the run:\n%s", stack)
		}
	}
}
