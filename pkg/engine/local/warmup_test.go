package local

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/idempotency"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

func TestThisMachineIsAlwaysWarm(t *testing.T) {
	t.Parallel()
	now, ids := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC), 0
	w := &Warmups{Now: func() time.Time { return now }, NewID: func() string { ids++; return fmt.Sprint(ids) }}
	listed := func() map[string]string {
		list, err := w.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		phases := map[string]string{}
		for _, known := range list {
			phases[known.ID] = known.Phase
		}
		return phases
	}
	start := func(keep time.Duration, key *idempotency.Request) (job.Warmup, bool, error) {
		return w.Start(t.Context(), 2, 4, keep, key)
	}

	first, started, err := start(time.Minute, nil)
	want := job.Warmup{ID: "1", PodName: "sumo-warmup-1", Namespace: "sumo-k8", Phase: "Running", Created: now}
	if diff := cmp.Diff(want, first); diff != "" || !started || err != nil {
		t.Errorf("started %t, %v (-want +got):\n%s", started, err, diff)
	}
	once := &idempotency.Request{Key: "once", RequestHash: []byte{1}}
	for range 2 {
		if second, made, err := start(time.Hour, once); second.ID != "2" || made != started || err != nil {
			t.Errorf("with a key: %+v, started %t, %v", second, made, err)
		}
		started = false
	}
	if _, _, err := start(time.Hour, &idempotency.Request{Key: "once", RequestHash: []byte{2}}); problem.CodeOf(err) != problem.KeyReused {
		t.Errorf("with the key of another request: %v", err)
	}
	now = now.Add(time.Minute)
	if diff := cmp.Diff(map[string]string{"1": "Succeeded", "2": "Running"}, listed()); diff != "" {
		t.Errorf("after a minute (-want +got):\n%s", diff)
	}
	now = now.Add(time.Minute + time.Second)
	if diff := cmp.Diff(map[string]string{"2": "Running"}, listed()); diff != "" {
		t.Errorf("after another (-want +got):\n%s", diff)
	}
	if err := w.End(t.Context(), "2"); err != nil || len(listed()) != 0 {
		t.Errorf("ended with %v; left are %v", err, listed())
	}
	for _, id := range []string{"1", "2", "never", ""} {
		if err := w.End(t.Context(), id); problem.CodeOf(err) != problem.NotFound {
			t.Errorf("ending %q: %v", id, err)
		}
	}
	for range 2 * maxWarmups {
		if _, _, err := start(time.Hour, nil); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(listed()); n != maxWarmups {
		t.Errorf("%d are listed", n)
	}
}
