package rest_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/delivery"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/study"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

func TestAStudyThatIsBeingCancelledHasNoForecast(t *testing.T) {
	t.Parallel()
	used := 10.0
	points := []study.Point{{CPURequest: 1, MemoryGi: 1, CoreSeconds: &used}}
	for _, cancelling := range []bool{false, true} {
		s := study.Study{State: study.Running, Seeds: []int64{1, 2}, MaxParallel: 1, CancelRequested: cancelling}
		got := rest.StudyOf(s, points, study.Room{Limits: tenant.Limits{MaxCPU: 1, MaxMemoryGi: 1}}, time.Now())
		if (got.ETA == nil) != cancelling || (got.Remaining.Forecast == nil) != cancelling {
			t.Errorf("cancelling %t: eta %v, remaining %v", cancelling, got.ETA, got.Remaining.Forecast)
		}
	}
}

func TestAnEventOfAStudysRunIsAboutAJob(t *testing.T) {
	t.Parallel()
	const id = "0198a1b2-0000-7000-8000-000000000000"
	place := 3
	raw, err := json.Marshal(rest.WebhookMessageOf(delivery.Event{
		Type: delivery.JobFinished, Job: delivery.Job{ID: id, StudyID: id, Point: &place, Replication: new(int)},
	}))
	if err != nil {
		t.Fatal(err)
	}
	var got rest.WebhookMessage
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	if d := got.Data; d.Study != nil || d.JobID != id || d.StudyID != id || *d.Point != 3 || *d.Replication != 0 {
		t.Errorf("%s is read as %+v", raw, d)
	}
}
