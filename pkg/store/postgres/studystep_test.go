package postgres

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/sumo-k8/sumo-k8/infra/local/localtest"
	"github.com/sumo-k8/sumo-k8/pkg/delivery"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/store/postgres/internal/db"
	"github.com/sumo-k8/sumo-k8/pkg/study"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

func stepStudies(t testing.TB, d *DB) int {
	t.Helper()
	changed, err := d.StepStudies(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return changed
}

// shown is a study's row in one line.
func shown(t testing.TB, d *DB, id string) (line string) {
	t.Helper()
	if err := d.pool.QueryRow(context.Background(), `
		SELECT format('%s %s of %s: %s failed, %s cancelled, %s active, %s s%s%s', state, succeeded, runs, failed, cancelled, active,
			round(core_seconds), CASE WHEN unplaced THEN ', more to start' END, CASE WHEN started_at IS NULL THEN ', not begun' END)
		FROM studies WHERE id = $1`, id).Scan(&line); err != nil {
		t.Fatal(err)
	}
	return line
}

// change does to studies what the API does.
func change(t testing.TB, d *DB, id, set string) {
	t.Helper()
	if _, err := d.pool.Exec(context.Background(), "UPDATE studies SET version = version + 1, "+set+" WHERE id = $1", id); err != nil {
		t.Fatal(err)
	}
}

func TestAStudyWhoseRunsWouldFailAgainSaysSo(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	for reason, want := range map[simulation.Reason]string{
		simulation.InvalidScenario:  "1 of 1 run failed, and would fail again as planned. Fix what their messages name, and start another study.",
		simulation.DeadlineExceeded: "1 of 1 run failed. Look at their messages, and retry them.",
	} {
		id := newStudy(t, d, "acme", testStudy{})
		chunks, _ := claimed(t, d, "acme", 9)
		now := time.Now()
		apply(t, d, job.Update{ID: chunks[0].Jobs[0].ID, State: job.Failed, Reason: reason, StartedAt: &now, FinishedAt: &now})
		stepStudies(t, d)
		if s, err := d.Study(t.Context(), "acme", id); err != nil || s.State != study.Incomplete || s.Message != want {
			t.Errorf("%s: it is %s %q, %v; want %q", reason, s.State, s.Message, err, want)
		}
	}
}

func TestAStudyFollowsItsRuns(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	id := newStudy(t, d, "acme", testStudy{points: 2, seeds: 2, cpu: 2})
	is := func(changed int, want string) {
		t.Helper()
		if n := stepStudies(t, d); n != changed || shown(t, d, id) != want {
			t.Fatalf("%d changed: %s; want %s", n, shown(t, d, id), want)
		}
		if n := stepStudies(t, d); n != 0 {
			t.Fatal("another step changes it again")
		}
	}
	is(0, "RUNNING 0 of 4: 0 failed, 0 cancelled, 0 active, 0 s, more to start, not begun")
	probes, _ := claimed(t, d, "acme", 9)
	is(1, "RUNNING 0 of 4: 0 failed, 0 cancelled, 3 active, 0 s, more to start, not begun")
	end(t, d, job.Running, 5, probes[0].Jobs[0])
	is(1, "RUNNING 0 of 4: 0 failed, 0 cancelled, 3 active, 0 s, more to start")
	end(t, d, job.Succeeded, 10, probes[0].Jobs[:2]...)
	is(1, "RUNNING 2 of 4: 0 failed, 0 cancelled, 1 active, 40 s, more to start")
	end(t, d, job.Failed, 4, probes[0].Jobs[2])
	is(1, "RUNNING 2 of 4: 1 failed, 0 cancelled, 0 active, 48 s, more to start")
	last, _ := claimed(t, d, "acme", 9)
	is(1, "RUNNING 2 of 4: 1 failed, 0 cancelled, 1 active, 48 s")
	end(t, d, job.Succeeded, 16, last[0].Jobs...)
	is(1, "INCOMPLETE 3 of 4: 1 failed, 0 cancelled, 0 active, 80 s")

	rows, err := d.pool.Query(t.Context(), "SELECT core_seconds FROM study_points WHERE study_id = $1 ORDER BY point", id)
	if err != nil {
		t.Fatal(err)
	}
	means, err := pgx.CollectRows(rows, pgx.RowTo[float64])
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []float64{20, 26} {
		if m := means[i]; m < want-0.1 || m > want+0.1 {
			t.Errorf("a run at point %d is expected to take %g core-seconds, want %g", i, m, want)
		}
	}
	var chunks int
	if err := d.pool.QueryRow(t.Context(), "SELECT count(*) FROM chunks").Scan(&chunks); err != nil || chunks > 0 {
		t.Errorf("%d chunks are kept, %v", chunks, err)
	}

	// The failed run is ordered again.
	if _, err := d.pool.Exec(t.Context(), "UPDATE jobs SET superseded = true WHERE state = 'FAILED'"); err != nil {
		t.Fatal(err)
	}
	change(t, d, id, "state = 'RUNNING', finished_at = NULL, unplaced = true")
	again, places := claimed(t, d, "acme", 9)
	if !slices.Equal(places, []string{"0.1 x1"}) {
		t.Fatalf("%v are started", places)
	}
	end(t, d, job.Succeeded, 1, again[0].Jobs...)
	is(1, "SUCCEEDED 4 of 4: 0 failed, 0 cancelled, 0 active, 74 s")
}

func TestRunsOfAChunkThatWaitForTheirTurnAreNotRunning(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	id := newStudy(t, d, "acme", testStudy{points: 2, seeds: 10, coreSeconds: 1})
	chunks, _ := claimed(t, d, "acme", 9)
	jobs := chunks[0].Jobs
	stepStudies(t, d)
	version := func() int64 {
		v, err := d.StudyVersion(t.Context(), "acme", id)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for running, j := range jobs[:3] {
		before := version()
		end(t, d, job.Running, 1, j)
		if n := stepStudies(t, d); n != 1 || version() == before {
			t.Errorf("a start that followers do not see: %d changed", n)
		}
		listed, err := d.ListStudies(t.Context(), "acme", study.Filter{}, "", 1)
		if err != nil {
			t.Fatal(err)
		}
		points, err := d.Points(t.Context(), "acme", id)
		if err != nil {
			t.Fatal(err)
		}
		for from, got := range map[string]study.Counts{"list": listed[0].Counts, "points": study.Counts{}.Sum(points)} {
			if got.Running != running+1 || got.Active != len(jobs) {
				t.Errorf("%s: %d of %d active runs are running, want %d of %d", from, got.Running, got.Active, running+1, len(jobs))
			}
		}
	}
}

func TestAStudyWithTooManyFailuresStops(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	id := newStudy(t, d, "acme", testStudy{seeds: 20, stopShare: 0.1})
	chunks, _ := claimed(t, d, "acme", 9)
	end(t, d, job.Failed, 1, chunks[0].Jobs...)
	stepStudies(t, d)
	if more, _ := claimed(t, d, "acme", 9); len(more) > 0 {
		t.Errorf("%d chunks more start", len(more))
	}
	if got, want := shown(t, d, id), "FAILED 0 of 20: 3 failed, 0 cancelled, 0 active, 3 s, more to start"; got != want {
		t.Errorf("it is %s, want %s", got, want)
	}

	id = newStudy(t, d, "acme", testStudy{seeds: 20, stopShare: 0.1, coreSeconds: 1})
	chunks, _ = claimed(t, d, "acme", 9)
	jobs := chunks[0].Jobs
	end(t, d, job.Succeeded, 1, jobs[0])
	end(t, d, job.Failed, 1, jobs[1:4]...)
	end(t, d, job.Running, 1, jobs[4])
	stepStudies(t, d)
	for _, j := range jobs {
		if got := read(t, d, "acme", j.ID); got.CancelRequested != got.State.Active() {
			t.Errorf("a %s run is to be stopped: %t", got.State, got.CancelRequested)
		}
	}
	const why = "3 of 20 runs failed, more than the share of 0.1 in on_failure.stop_share allows."
	if s, err := d.Study(t.Context(), "acme", id); err != nil || s.Message != "Being stopped: "+why {
		t.Errorf("meanwhile it says %q, %v", s.Message, err)
	}
	byUser, err := d.RequestCancel(t.Context(), "acme", jobs[5].ID)
	if err != nil || !byUser.CancelRequested {
		t.Fatalf("%+v, %v", byUser, err)
	}
	end(t, d, job.Cancelled, 1, jobs[4:10]...)
	end(t, d, job.Failed, 1, jobs[10:]...) // as engines report what they stop
	stepStudies(t, d)
	if got, want := shown(t, d, id), "FAILED 1 of 20: 3 failed, 16 cancelled, 0 active, 20 s"; got != want {
		t.Errorf("it is %s, want %s", got, want)
	}
	for _, j := range jobs[4:] {
		got := read(t, d, "acme", j.ID)
		if got.Reason != simulation.Cancelled || got.Message != "Stopped because of other runs of its study: "+why {
			t.Errorf("a run that was stopped says %s %q", got.Reason, got.Message)
		}
	}
	s, err := d.Study(t.Context(), "acme", id)
	if want := why + " 16 were not run to the end."; err != nil || s.Message != want {
		t.Errorf("it says %q, %v; want %q", s.Message, err, want)
	}
}

func TestACancelledStudyStopsItsRunsAndStartsNone(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	waits := newStudy(t, d, "acme", testStudy{seeds: 20})
	change(t, d, waits, "cancel_requested = true")
	works := newStudy(t, d, "acme", testStudy{seeds: 20})
	chunks, _ := claimed(t, d, "acme", 9)
	if len(chunks) != 1 || chunks[0].Jobs[0].Study.ID != works {
		t.Fatalf("%+v start", chunks)
	}
	change(t, d, works, "cancel_requested = true")
	stepStudies(t, d)
	if got, want := shown(t, d, waits), "CANCELLED 0 of 20: 0 failed, 0 cancelled, 0 active, 0 s, more to start, not begun"; got != want {
		t.Errorf("the one that waits is %s, want %s", got, want)
	}
	if got, want := shown(t, d, works), "RUNNING 0 of 20: 0 failed, 0 cancelled, 3 active, 0 s, more to start, not begun"; got != want {
		t.Errorf("the other is %s, want %s", got, want)
	}
	for _, j := range chunks[0].Jobs {
		if !read(t, d, "acme", j.ID).CancelRequested {
			t.Error("a run is not stopped")
		}
	}
	end(t, d, job.Cancelled, 1, chunks[0].Jobs...)
	stepStudies(t, d)
	if got := read(t, d, "acme", chunks[0].Jobs[0].ID).Message; got != "Cancelled on request." {
		t.Errorf("a run of it says %q", got)
	}
	if got, want := shown(t, d, works), "CANCELLED 0 of 20: 0 failed, 3 cancelled, 0 active, 3 s, more to start"; got != want {
		t.Errorf("then it is %s, want %s", got, want)
	}
	if queued, err := d.TenantsWithQueue(t.Context()); err != nil || len(queued) > 0 {
		t.Errorf("%v have runs to start, %v", queued, err)
	}
}

// A retry or an extension may come between the counting and the writing.
func TestAStepLeavesAStudyAloneThatChangesMeanwhile(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	id := newStudy(t, d, "acme", testStudy{seeds: 2, coreSeconds: 1})
	chunks, _ := claimed(t, d, "acme", 9)
	end(t, d, job.Failed, 1, chunks[0].Jobs...)
	rows, err := d.q.CountStudies(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	change(t, d, id, "runs = 3, unplaced = true")
	stale := judged{ID: id, Version: rows[0].Version, State: "INCOMPLETE", Failed: 2}
	if err := d.writeStudies(t.Context(), []judged{stale}, nil, db.CancelRunsOfStudiesParams{}); err != nil {
		t.Fatal(err)
	}
	stepStudies(t, d)
	if got, want := shown(t, d, id), "RUNNING 0 of 3: 2 failed, 0 cancelled, 0 active, 2 s, more to start"; got != want {
		t.Errorf("it is %s, want %s", got, want)
	}
}

func TestARunsMetricsAreKeptAsNumbers(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	newStudy(t, d, "acme", testStudy{seeds: 3, coreSeconds: 1})
	chunks, _ := claimed(t, d, "acme", 9)
	jobs := chunks[0].Jobs
	single := submit(t, d, "acme")
	claim(t, d, "acme", 1)
	of := func(id string, state job.State, metrics ...simulation.Metric) job.Update {
		return job.Update{ID: id, State: state, Summary: &simulation.Summary{Metrics: metrics}}
	}
	speed, teleports := simulation.Metric{Name: "mean_speed", Value: 12.5}, simulation.Metric{Name: "teleports", Value: 3}
	apply(t, d,
		of(jobs[0].ID, job.Succeeded, teleports, simulation.Metric{Name: "other", Value: 1}, speed), of(jobs[1].ID, job.Failed, teleports),
		job.Update{ID: jobs[2].ID, State: job.Failed}, of(single.ID, job.Succeeded, speed))
	for i, c := range []struct{ id, want string }{
		{jobs[0].ID, "{12.5,3}"}, {jobs[1].ID, "{NULL,3}"}, {jobs[2].ID, "none"}, {single.ID, "none"},
	} {
		var got string
		if err := d.pool.QueryRow(t.Context(), "SELECT coalesce(metrics::text, 'none') FROM jobs WHERE id = $1", c.id).Scan(&got); err != nil {
			t.Fatal(err)
		}
		if got != c.want {
			t.Errorf("job %d has %s, want %s", i, got, c.want)
		}
	}
}

func TestWebhooksHearOfStudiesAndOfRunsOnlyIfTheyAskForThem(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	for _, h := range []delivery.Hook{
		{URL: "https://example.org/plain", Events: []delivery.Type{delivery.JobFinished, delivery.JobQueued, "study.finished"}},
		{URL: "https://example.org/runs", Events: []delivery.Type{delivery.JobFinished}, Studies: true},
		{URL: "https://example.org/labels", Events: []delivery.Type{"study.finished"}, Labels: map[string]string{"project": "other"}},
		{URL: "https://example.org/project", Events: []delivery.Type{"study.finished"}, Labels: map[string]string{"project": "ring"}},
		{URL: "https://example.org/progress", Events: []delivery.Type{delivery.JobProgress}},
		{URL: "https://example.org/progress-of-runs", Events: []delivery.Type{delivery.JobProgress}, Studies: true},
	} {
		h.ID, h.TenantID, h.Enabled, h.Format = mustID(t), "acme", true, delivery.Standard
		h.Secrets = []delivery.Secret{{Value: delivery.NewSecret()}}
		if _, _, err := d.CreateHook(t.Context(), h, nil, 20); err != nil {
			t.Fatal(err)
		}
	}
	id := newStudy(t, d, "acme", testStudy{name: "signal plans", seeds: 2, coreSeconds: 1})
	chunks, _ := claimed(t, d, "acme", 9)
	apply(t, d, job.Update{ID: chunks[0].Jobs[0].ID, State: job.Running, Progress: 0.5})
	signals, err := d.Signals(t.Context(), time.Now(), delivery.Wanted{Hooks: true, Each: 10, Most: 10})
	if err != nil || len(signals) != 1 || signals[0].Hook.URL != "https://example.org/progress-of-runs" || signals[0].Event.Job.StudyID != id {
		t.Errorf("progress goes to %+v, %v", signals, err)
	}
	end(t, d, job.Succeeded, 1, chunks[0].Jobs...)
	stepStudies(t, d)
	all, _, err := d.Deliveries(t.Context(), "acme", delivery.Filter{}, "", 100)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, one := range all {
		about := "study"
		if j := one.Event.Job; j.StudyID != "" {
			about = fmt.Sprint(j.StudyID == id, " ", *j.Point, ".", *j.Replication)
		}
		got = append(got, fmt.Sprint(one.URL, " ", one.Event.Type, " ", about))
	}
	slices.Sort(got)
	if diff := cmp.Diff([]string{
		"https://example.org/plain study.finished study", "https://example.org/project study.finished study",
		"https://example.org/runs job.finished true 0.0", "https://example.org/runs job.finished true 0.1",
	}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	var data map[string]any
	if err := d.pool.QueryRow(t.Context(), "SELECT event -> 'data' FROM deliveries WHERE study_id = $1 LIMIT 1", id).Scan(&data); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"created_at", "started_at", "finished_at"} {
		if _, ok := data[key].(string); !ok {
			t.Errorf("%s is %v", key, data[key])
		}
		delete(data, key)
	}
	if diff := cmp.Diff(map[string]any{
		"study_id": id, "tenant_id": "acme", "name": "signal plans", "status": "SUCCEEDED", "message": "",
		"runs":   map[string]any{"planned": 2.0, "succeeded": 2.0, "failed": 0.0, "cancelled": 0.0},
		"labels": map[string]any{"project": "ring"},
	}, data); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestAPurgedStudyLeavesNoDeliveries(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	if _, _, err := d.CreateHook(t.Context(), delivery.Hook{
		ID: mustID(t), TenantID: "acme", URL: "https://example.org/h", Events: []delivery.Type{delivery.StudyFinished},
		Format: delivery.Standard, Enabled: true, Secrets: []delivery.Secret{{Value: "s"}},
	}, nil, 9); err != nil {
		t.Fatal(err)
	}
	id := newStudy(t, d, "acme", testStudy{name: "one"})
	chunks, _ := claimed(t, d, "acme", 9)
	end(t, d, job.Succeeded, 1, chunks[0].Jobs...)
	stepStudies(t, d)
	var subject string
	err := d.pool.QueryRow(t.Context(), "UPDATE deliveries SET state = 'DELIVERED' RETURNING job_id").Scan(&subject)
	if err != nil || subject != id {
		t.Fatalf("senders of the earlier release read %q, %v", subject, err)
	}
	if list, _, err := d.Deliveries(t.Context(), "acme", delivery.Filter{JobID: id}, "", 9); err != nil || len(list) > 0 {
		t.Errorf("a study's deliveries are those of a job: %v, %v", list, err)
	}
	if _, err := d.DeleteStudyRuns(t.Context(), "acme", id, 9); err != nil {
		t.Fatal(err)
	}
	if err := d.DeleteStudy(t.Context(), "acme", id); err != nil {
		t.Fatal(err)
	}
	if list, _, err := d.Deliveries(t.Context(), "acme", delivery.Filter{}, "", 9); err != nil || len(list) > 0 {
		t.Errorf("left: %v, %v", list, err)
	}
}

func TestCancellingThatComesTooLateIsForgotten(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	id := newStudy(t, d, "acme", testStudy{})
	chunks, _ := claimed(t, d, "acme", 9)
	end(t, d, job.Succeeded, 1, chunks[0].Jobs...)
	change(t, d, id, "cancel_requested = true")
	stepStudies(t, d)
	if s, err := d.Study(t.Context(), "acme", id); err != nil || s.State != study.Succeeded || s.CancelRequested {
		t.Errorf("%s, cancelling requested: %t, %v", s.State, s.CancelRequested, err)
	}
}

func TestARetriedStudyReadsItsScenariosAnew(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	id := newStudy(t, d, "acme", testStudy{})
	chunks, _ := claimed(t, d, "acme", 9)
	end(t, d, job.Failed, 1, chunks[0].Jobs...)
	stepStudies(t, d)
	if _, err := d.pool.Exec(t.Context(), "UPDATE scenarios SET digest = repeat('f', 64)"); err != nil {
		t.Fatal(err)
	}
	_, _, err := d.RetryStudy(t.Context(), "acme", id, nil, job.Admission{MaxQueued: 9})
	wantCode(t, err, problem.Conflict)
	if _, err := d.pool.Exec(t.Context(), "UPDATE scenarios SET digest = $1, object_key = 'scenarios/new.zip'", digest); err != nil {
		t.Fatal(err)
	}
	if _, n, err := d.RetryStudy(t.Context(), "acme", id, nil, job.Admission{MaxQueued: 9}); err != nil || n != 1 {
		t.Fatalf("%d runs again, %v", n, err)
	}
	if again, _ := claimed(t, d, "acme", 9); len(again) != 1 || again[0].Jobs[0].ScenarioKey != "scenarios/new.zip" {
		t.Errorf("started: %+v", again)
	}
}

func TestMetricsOfAnySummary(t *testing.T) {
	t.Parallel()
	d := setup(t)
	for summary, want := range map[string]string{
		`{"metrics": null}`: "{NULL,NULL}", `{}`: "{NULL,NULL}", `null`: "{NULL,NULL}",
		`{"metrics": [{"name": "a", "value": 1}, {"name": "a", "value": 2}, {"name": "b", "value": null}]}`: "{1,NULL}",
	} {
		var got string
		err := d.pool.QueryRow(t.Context(), "SELECT metrics_of($1::text::jsonb, '{a,b}')::text", summary).Scan(&got)
		if err != nil || got != want {
			t.Errorf("%s: %s, %v; want %s", summary, got, err, want)
		}
	}
}

func mustID(t testing.TB) string {
	t.Helper()
	id, err := newID()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestResultsOfAStudyExpireTogether(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	id := newStudy(t, d, "acme", testStudy{seeds: 2, coreSeconds: 1})
	chunks, _ := claimed(t, d, "acme", 9)
	end(t, d, job.Succeeded, 1, chunks[0].Jobs...)
	soon := time.Now().Add(time.Minute)
	expired := func(want int) {
		t.Helper()
		if studies, err := d.ExpiredStudies(t.Context(), soon, 10); err != nil || len(studies) != want {
			t.Fatalf("%v have expired, %v; want %d", studies, err, want)
		}
		if jobs, err := d.ExpiredResults(t.Context(), soon, 10); err != nil || len(jobs) > 0 {
			t.Fatalf("%d runs have expired on their own, %v", len(jobs), err)
		}
	}
	expired(0)
	stepStudies(t, d)
	expired(1)
	if studies, err := d.ExpiredStudies(t.Context(), time.Now().Add(-time.Minute), 10); err != nil || len(studies) > 0 {
		t.Fatal(studies, err)
	}
	if err := d.MarkStudyPruned(t.Context(), id, soon); err != nil {
		t.Fatal(err)
	}
	expired(0)
	for _, j := range chunks[0].Jobs {
		if !read(t, d, "acme", j.ID).ResultsPruned {
			t.Error("a run has its results still")
		}
	}
	// It is extended, and has results again.
	change(t, d, id, "state = 'RUNNING', finished_at = NULL, unplaced = true, runs = 3, seeds = '{1,2,3}'")
	chunks, _ = claimed(t, d, "acme", 9)
	end(t, d, job.Succeeded, 1, chunks[0].Jobs...)
	stepStudies(t, d)
	expired(1)
}

func TestATenantWithAStudyIsRetiredByForceOnly(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	id := newStudy(t, d, "acme", testStudy{seeds: 2})
	atWork := inState(t, d, "acme", job.Running)
	_, err := d.RetireTenant(t.Context(), "acme", false)
	wantCode(t, err, problem.Conflict)
	if _, err := d.RetireTenant(t.Context(), "acme", true); err != nil {
		t.Fatal(err)
	}
	end(t, d, job.Cancelled, 1, atWork)
	if got := read(t, d, "acme", atWork.ID).Message; got != "Cancelled because its tenant was deleted." {
		t.Errorf("a job that ran says %q", got)
	}
	stepStudies(t, d)
	if got, want := shown(t, d, id), "CANCELLED 0 of 2: 0 failed, 0 cancelled, 0 active, 0 s, more to start, not begun"; got != want {
		t.Errorf("it is %s, want %s", got, want)
	}
}

func TestRunsOfStudiesHaveTheSidesOfTheirChunk(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", tenant.Limits{MaxCPU: 2, MaxMemoryGi: 9, MaxConcurrentJobs: 9})
	newStudy(t, d, "acme", testStudy{seeds: 9, coreSeconds: 1})
	chunks, _ := claimed(t, d, "acme", 9)
	got, err := d.Parallel(t.Context(), []string{chunks[0].ID, mustID(t), "1"})
	if diff := cmp.Diff(map[string]int{chunks[0].ID: 2}, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

// counter counts statements.
type counter struct{ n atomic.Int64 }

func (c *counter) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	c.n.Add(1)
	return ctx
}

func (c *counter) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func TestStatementsDoNotGrowWithTheRunsOfStudies(t *testing.T) {
	t.Parallel()
	var statements counter
	d := open(t, Config{URL: localtest.Database(t, Migrate), MaxConns: 4, Tracer: &statements})
	newTenant(t, d, "acme", roomy)
	count := func(do func()) int64 {
		before := statements.n.Load()
		do()
		return statements.n.Load() - before
	}
	var took []string
	for _, size := range []testStudy{{points: 2, seeds: 3, coreSeconds: 10}, {points: 50, seeds: 40, coreSeconds: 1}} {
		for range 3 {
			newStudy(t, d, "acme", size)
		}
		var chunks []job.Chunk
		claims := count(func() { chunks, _ = claimed(t, d, "acme", 10) })
		end(t, d, job.Succeeded, 1, chunks[0].Jobs[1:]...)
		end(t, d, job.Running, 1, chunks[0].Jobs[0])
		took = append(took, fmt.Sprint("claim ", claims, ", step ", count(func() { stepStudies(t, d) })))
		if _, err := d.pool.Exec(t.Context(), "DELETE FROM studies"); err != nil {
			t.Fatal(err)
		}
	}
	if took[0] != took[1] {
		t.Errorf("few runs take %s statements, many take %s", took[0], took[1])
	}
}
