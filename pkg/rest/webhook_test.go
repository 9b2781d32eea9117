package rest

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/delivery"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/study"
)

// What the API shows of a message must be what receivers get.
func TestAMessageIsTheEventAsItIsSent(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	full := delivery.Job{
		ID: "01890a5d-ac96-774b-bcce-b302099a8057", TenantID: "acme", Name: "morning", State: job.Failed, Reason: simulation.SimulationError,
		Message: "It failed.", Progress: 0.5, Attempt: 2, Check: true, Labels: map[string]string{"study": "a"}, SubmittedAt: at, StartedAt: &at,
		FinishedAt: &at, SumoVersion: "1.28",
		Summary: &simulation.Summary{Metrics: []simulation.Metric{{Name: "teleports", Value: 1, Unit: "1"}}},
	}
	for name, event := range map[string]delivery.Event{
		"of a finished job": {Type: delivery.JobFinished, At: at, Job: full},
		"of a new job": {
			Type: delivery.JobQueued, At: at, Job: delivery.Job{State: job.Queued, Labels: map[string]string{}, SubmittedAt: at},
		},
		"of a finished study": {Type: delivery.StudyFinished, At: at, Study: &delivery.Study{
			ID: "01890a5d-ac96-774b-bcce-b302099a8058", TenantID: "acme", Name: "signals", State: study.Incomplete, Message: "One run failed.",
			Runs: delivery.RunCounts{Planned: 20, Succeeded: 18, Failed: 1, Cancelled: 1}, Labels: map[string]string{"for": "b"}, CreatedAt: at,
			StartedAt: &at, FinishedAt: &at,
		}},
	} {
		raw, err := json.Marshal(event)
		if err != nil {
			t.Fatal(err)
		}
		var read delivery.Event
		if err := json.Unmarshal(raw, &read); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(event, read); diff != "" {
			t.Errorf("%s (-written +read):\n%s", name, diff)
		}
		want, got := asJSON(t, event), asJSON(t, WebhookMessageOf(event))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-sent +shown):\n%s", name, diff)
		}
	}
}

func asJSON(t *testing.T, v any) (out map[string]any) {
	t.Helper()
	raw, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(raw, &out)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}
