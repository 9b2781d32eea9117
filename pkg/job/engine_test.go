package job_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

func TestTheReasonOfAnEndDecidesTheState(t *testing.T) {
	t.Parallel()
	held := &simulation.Confinement{Filter: true}
	for reason, want := range map[simulation.Reason]job.Observation{
		"":                          {State: job.Succeeded, Progress: 1},
		simulation.Cancelled:        {State: job.Cancelled, Progress: 0.5},
		simulation.SimulationError:  {State: job.Failed, Progress: 0.5},
		simulation.Interrupted:      {State: job.Failed, Progress: 0.5},
		simulation.ResultsNotStored: {State: job.Failed, Progress: 0.5},
	} {
		want.JobID, want.Reason, want.Message, want.Confinement = "j", reason, "m", held
		got := job.Observation{JobID: "j", State: job.Running, Progress: 0.5, Message: "Results are being stored."}
		got.End(simulation.Outcome{Reason: reason, Message: "m", Confinement: held})
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", reason, diff)
		}
	}
}
