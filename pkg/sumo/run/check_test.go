package run

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/confine"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

func TestAChecksOutcome(t *testing.T) {
	t.Parallel()
	const speed = "Departure speed for vehicle 'v' is too high for the departure edge 'AB'."
	for name, tc := range map[string]struct {
		fate     fate
		settings settings
		unmoved  []string
		cause    error
		reason   simulation.Reason
		warning  string
		problems []problem.Item
	}{
		"traffic is left out, but not the route of a walk": {
			fate: fate{observed: observed{reason: reasonEnd, said: []string{
				"Warning: Vehicle 'v' performs emergency braking on lane 'AB_0' with decel=9.00, time=1.00.",
				"Warning: Person 'p' walking from edge 'AB' to edge 'DE' has a disconnect, time=0:00:01.",
				"Error: Vehicle 'v' will not be able to depart using the given velocity (junction 'B' too close)!",
			}}},
			problems: []problem.Item{{Message: "Warning: Person 'p' walking from edge 'AB' to edge 'DE' has a disconnect."}},
		},
		"a speed that another time may allow": {
			fate:    fate{code: 1, observed: observed{steps: 1, errors: []string{speed}, said: []string{"Error: " + speed}}},
			warning: "a vehicle departs faster",
			problems: []problem.Item{{
				Message: "Error: " + speed + " A check moves departures: at the vehicle's own time, the edge may allow it.",
			}},
		},
		"the same with its time": {
			fate: fate{observed: observed{reason: reasonEnd, said: []string{"Error: " + strings.Replace(speed, "'.", "', time=1.00.", 1)}}},
			problems: []problem.Item{{
				Message: "Error: " + speed + " A check moves departures: at the vehicle's own time, the edge may allow it.",
			}},
		},
		"strict": {
			fate: fate{strict: true, observed: observed{
				reason: reasonEnd, errors: []string{"Vehicle 'v' will not be able to depart using the given velocity!"},
			}},
		},
		"SUMO did not find all routes in time": {
			fate:    fate{signal: syscall.SIGKILL, stop: simulation.Interrupted, observed: observed{steps: 1, said: []string{"Warning: x"}}},
			cause:   checkTooLong(time.Minute),
			warning: "after 1m0s", problems: []problem.Item{{Message: "Warning: x"}},
		},
		"a person cancels it": {
			fate:  fate{signal: syscall.SIGKILL, stop: simulation.Interrupted, observed: observed{steps: 1}},
			cause: errors.New("cancelled"), reason: simulation.Interrupted,
		},
		"a saved state":  {fate: fate{observed: observed{reason: reasonEnd}}, settings: settings{resumes: true}, warning: "a saved state"},
		"a cut-off file": {fate: fate{observed: observed{reason: reasonEnd}}, unmoved: []string{"a.xml"}, warning: "a.xml cannot be read"},
		"a line of a file": {
			fate: fate{code: 1, observed: observed{
				errors: []string{"bad"}, said: []string{"Error: bad In file 'a.rou.xml' At line/column 13/3."},
			}},
			reason: simulation.InvalidScenario, problems: []problem.Item{{Location: "a.rou.xml:12", Message: "Error: bad"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancelCause(t.Context())
			cancel(tc.cause)
			got := tc.fate.checked(ctx, tc.settings, tc.unmoved)
			warnings := strings.Join(got.Warnings, "\n")
			if got.Reason != tc.reason || !strings.Contains(warnings, tc.warning) || (tc.warning == "") != (warnings == "") {
				t.Errorf("%q: %s %q", got.Reason, got.Message, got.Warnings)
			}
			if diff := cmp.Diff(tc.problems, got.Problems); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAChecksTimeGrowsWithTheScenario(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.net.xml"), strings.Repeat("x", 2<<20))
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	before := time.Now()
	ctx, cancel, err := boundCheck(t.Context(), root)
	defer cancel()
	after := time.Now()
	const limit = 36 * time.Second
	deadline, _ := ctx.Deadline()
	if err != nil || deadline.Before(before.Add(limit)) || deadline.After(after.Add(limit)) {
		t.Errorf("it ends %v after it began, %v", deadline.Sub(before), err)
	}
}

// TestACheckThatHasToBeKilledIsOne has a stand-in for a SUMO that does not get to its end in time.
func TestACheckThatHasToBeKilledIsOne(t *testing.T) {
	t.Parallel()
	r := newRun(t)
	r.Binary, r.Confinement, r.Options.Check, r.grace = script(t, `trap '' TERM
echo "Step #0.00 (0ms ?*RT. ?UPS, vehicles TOT 1 ACT 1 BUF 0)"
echo "Step #1.00 (0ms ?*RT. ?UPS, vehicles TOT 1 ACT 1 BUF 0)"
while :; do sleep 0.1; done`), confine.Off, true, 100*time.Millisecond
	if got := perform(t.Context(), r, road(t, "", oneVehicle), scenario.Config{}); !got.Succeeded() {
		t.Errorf("%s: %s", got.Reason, got.Message)
	}
}

// TestACheckThatWritesTooMuchAtItsEndIsNotInterrupted has a stand-in for a SUMO that writes its outputs when it is asked to stop.
func TestACheckThatWritesTooMuchAtItsEndIsNotInterrupted(t *testing.T) {
	t.Parallel()
	r := newRun(t)
	r.Binary, r.Confinement, r.Options.Check, r.Output = script(t, `trap 'truncate -s 1M 1 2; exit 0' TERM
echo "Step #0.00 (0ms ?*RT. ?UPS, vehicles TOT 1 ACT 1 BUF 0)"
echo "Step #1.00 (0ms ?*RT. ?UPS, vehicles TOT 1 ACT 1 BUF 0)"
while :; do sleep 0.1; done`), confine.Off, true, 1<<20
	if got := perform(t.Context(), r, road(t, "", oneVehicle), scenario.Config{}); got.Reason != simulation.OutputTooLarge {
		t.Errorf("%s: %s", got.Reason, got.Message)
	}
}
