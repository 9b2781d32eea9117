package postgres

import (
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/store/postgres/internal/db"
	"github.com/sumo-k8/sumo-k8/pkg/study"
)

// newSequential records a study of two points that aims at the mean speed.
func newSequential(t testing.TB, d *DB, most int, stopShare float64) string {
	t.Helper()
	id := newStudy(t, d, "acme", testStudy{points: 2, seeds: 5, coreSeconds: 1, stopShare: stopShare})
	aimAt(t, d, id, study.Aim{RelativeHalfWidth: 0.05, Max: most})
	return id
}

func aimAt(t testing.TB, d *DB, id string, a study.Aim) {
	t.Helper()
	plan := study.Plan{Metrics: []string{"mean_speed"}, Replications: study.Replications{Until: &a}}
	if _, err := d.pool.Exec(t.Context(), "UPDATE studies SET plan = $2 WHERE id = $1", id, plan); err != nil {
		t.Fatal(err)
	}
}

// endRound starts all runs of the only study that has any left and ends them. The runs of each point have these mean speeds in turn; a
// run without one fails.
func endRound(t testing.TB, d *DB, speeds ...[]float64) {
	t.Helper()
	for chunks, _ := claimed(t, d, "acme", 9); len(chunks) > 0; chunks, _ = claimed(t, d, "acme", 9) {
		for _, c := range chunks {
			for _, j := range c.Jobs {
				of := speeds[j.Study.Point]
				if len(of) == 0 {
					end(t, d, job.Failed, 1, j)
					continue
				}
				now := time.Now()
				apply(t, d, job.Update{
					ID: j.ID, State: job.Succeeded, SumoVersion: "1.28.0", StartedAt: &now, FinishedAt: &now,
					Summary: &simulation.Summary{Metrics: []simulation.Metric{{Name: "mean_speed", Value: of[j.Study.Replication%len(of)], Unit: "m/s"}}},
				})
			}
		}
	}
}

var (
	narrow = []float64{10, 10.1, 9.9, 10.2, 9.8}
	wide   = []float64{10, 11, 9, 11, 9} // of which five ask for 20 runs and ten for 17, at an aim of 5 %
)

// standing is what a study has come to, in a line.
func standing(t testing.TB, d *DB, id string) (state study.State, seeds int, message string) {
	t.Helper()
	s, err := d.Study(t.Context(), "acme", id)
	if err != nil {
		t.Fatal(err)
	}
	if s.Counts.Runs != 2*len(s.Seeds) {
		t.Errorf("%d runs with %d seeds", s.Counts.Runs, len(s.Seeds))
	}
	if sorted := slices.Sorted(slices.Values(s.Seeds)); len(slices.Compact(sorted)) != len(s.Seeds) {
		t.Errorf("seeds are there twice: %v", s.Seeds)
	}
	return s.State, len(s.Seeds), s.Message
}

func wantStanding(t testing.TB, d *DB, id string, state study.State, seeds int, message string) {
	t.Helper()
	gotState, gotSeeds, gotMessage := standing(t, d, id)
	if gotState != state || gotSeeds != seeds || gotMessage != message {
		t.Fatalf("it is %s with %d seeds: %q; want %s with %d: %q", gotState, gotSeeds, gotMessage, state, seeds, message)
	}
}

func TestASequentialStudyGoesOnUntilItsAim(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	id := newSequential(t, d, 30, 1)
	stepStudies(t, d)
	wantStanding(t, d, id, study.Running, 5, "")
	endRound(t, d, narrow, wide)
	if stepStudies(t, d) != 1 {
		t.Error("the step that orders a round reports no change")
	}
	wantStanding(t, d, id, study.Running, 10, "") // which asks for more, but a round doubles at most
	endRound(t, d, narrow, wide)
	stepStudies(t, d)
	wantStanding(t, d, id, study.Running, 17, "") // as many as the wider point takes, by its spread so far
	endRound(t, d, narrow, []float64{10})
	stepStudies(t, d)
	wantStanding(t, d, id, study.Succeeded, 17, "Every point has reached the aim with 17 runs.")
	if n := stepStudies(t, d); n != 0 {
		t.Errorf("another step changes %d studies", n)
	}
}

func TestASequentialStudyStopsAtItsMost(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	id := newSequential(t, d, 7, 1)
	endRound(t, d, wide, nil)
	stepStudies(t, d)
	wantStanding(t, d, id, study.Running, 7, "")
	endRound(t, d, wide, nil)
	stepStudies(t, d)
	wantStanding(t, d, id, study.Incomplete, 7, "7 of 14 runs failed. Look at their messages, and retry them. "+
		"1 of 2 points has not reached the aim with 7 runs each, the most that it allows. "+
		"1 of 2 points has no run with the metrics that the aim judges.")
}

func TestARoundIsOrderedOnceHoweverOftenTheStepRuns(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	id := newSequential(t, d, 30, 1)
	endRound(t, d, narrow, wide)
	rows, err := d.q.CountStudies(t.Context(), nil)
	if err != nil || len(rows) != 1 || !rows[0].Sequential {
		t.Fatal(rows, err)
	}
	var steps sync.WaitGroup
	for range 4 {
		steps.Go(func() { stepStudies(t, d) })
	}
	steps.Wait()
	wantStanding(t, d, id, study.Running, 10, "")
	// A step that was killed before it could answer is made again with what it had counted.
	n, err := d.q.NextRound(t.Context(), db.NextRoundParams{Seeds: []int64{6, 7, 8, 9, 10}, ID: id, Version: rows[0].Version})
	if err != nil || n != 0 {
		t.Errorf("a stale round changes %d studies, %v", n, err)
	}
	wantStanding(t, d, id, study.Running, 10, "")
}

func TestAStudyThatChangesBeforeItsRoundHasItsTurnLater(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	id := newSequential(t, d, 30, 1)
	endRound(t, d, narrow, wide)
	rows, err := d.q.CountStudies(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	change(t, d, id, "seeds = seeds || '{77}', runs = 12, unplaced = true")
	if n, err := d.q.NextRound(t.Context(), db.NextRoundParams{Seeds: []int64{6}, ID: id, Version: rows[0].Version}); n != 0 || err != nil {
		t.Errorf("the round of the study as it was changes %d studies, %v", n, err)
	}
	stepStudies(t, d)
	wantStanding(t, d, id, study.Running, 6, "")
	endRound(t, d, narrow, wide)
	stepStudies(t, d)
	wantStanding(t, d, id, study.Running, 12, "")
}

func TestNoRoundFollowsACancelOrTooManyFailures(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	id := newSequential(t, d, 30, 1)
	endRound(t, d, narrow, wide)
	change(t, d, id, "cancel_requested = true")
	stepStudies(t, d)
	wantStanding(t, d, id, study.Cancelled, 5,
		"Cancelled on request, before another round. 1 of 2 points has not reached the aim with 5 runs each.")
	s, again, err := d.RetryStudy(t.Context(), "acme", id, nil, job.Admission{MaxQueued: 9})
	if err != nil || again != 0 || s.State != study.Running {
		t.Fatalf("ordered again it is %s with %d runs, %v", s.State, again, err)
	}
	stepStudies(t, d)
	wantStanding(t, d, id, study.Running, 10, "")
	endRound(t, d, narrow, []float64{10})
	stepStudies(t, d)
	wantStanding(t, d, id, study.Succeeded, 10, "Every point has reached the aim with 10 runs.")

	id = newSequential(t, d, 30, 1)
	endRound(t, d, narrow, narrow)
	change(t, d, id, "cancel_requested = true")
	stepStudies(t, d)
	wantStanding(t, d, id, study.Succeeded, 5, "Every point has reached the aim with 5 runs.") // the cancel came too late

	id = newSequential(t, d, 30, 0.4)
	endRound(t, d, wide, nil)
	stepStudies(t, d)
	wantStanding(t, d, id, study.Failed, 5, "5 of 10 runs failed, more than the share of 0.4 in on_failure.stop_share allows. All were run.")
}

func TestAFinishedStudyGoesOnWithAnotherAim(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	id := newSequential(t, d, 30, 1)
	endRound(t, d, narrow, narrow)
	stepStudies(t, d)
	wantStanding(t, d, id, study.Succeeded, 5, "Every point has reached the aim with 5 runs.")
	before, err := d.Study(t.Context(), "acme", id)
	if err != nil {
		t.Fatal(err)
	}
	after := before
	after.Plan.Replications.Until = &study.Aim{RelativeHalfWidth: 0.01, Max: 30}
	if _, err := d.ExtendStudy(t.Context(), before, after, nil, nil, job.Admission{MaxQueued: 9}); err != nil {
		t.Fatal(err)
	}
	wantStanding(t, d, id, study.Running, 5, "")
	stepStudies(t, d)
	wantStanding(t, d, id, study.Running, 10, "")
	endRound(t, d, narrow, narrow)
	stepStudies(t, d)
	wantStanding(t, d, id, study.Running, 12, "")
}

func TestResultsOfAStudy(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	newTenant(t, d, "rival", roomy)
	id := newStudy(t, d, "acme", testStudy{seeds: 5, coreSeconds: 1})
	chunks, _ := claimed(t, d, "acme", 9)
	jobs := chunks[0].Jobs
	now := time.Now()
	apply(t, d, job.Update{
		ID: jobs[0].ID, State: job.Succeeded, SumoVersion: "1.28.0", StartedAt: &now, FinishedAt: &now,
		Summary: &simulation.Summary{Metrics: []simulation.Metric{{Name: "mean_speed", Value: 9.5}}}, // and no teleports
	})
	apply(t, d, job.Update{ID: jobs[1].ID, State: job.Failed, Reason: simulation.DeadlineExceeded, StartedAt: &now, FinishedAt: &now})
	end(t, d, job.Succeeded, 1, jobs[2]) // without a summary
	end(t, d, job.Failed, 1, jobs[3])
	if _, err := d.pool.Exec(t.Context(), "UPDATE jobs SET superseded = true WHERE id = $1", jobs[3].ID); err != nil {
		t.Fatal(err)
	}
	got, err := d.StudyResults(t.Context(), "acme", id)
	if err != nil {
		t.Fatal(err)
	}
	nan := []float64(nil)
	want := []study.Result{
		{Replication: 0, JobID: jobs[0].ID, State: job.Succeeded, SumoVersion: "1.28.0", Metrics: []float64{9.5, math.NaN()}},
		{Replication: 1, JobID: jobs[1].ID, State: job.Failed, Reason: simulation.DeadlineExceeded, Metrics: nan},
		{Replication: 2, JobID: jobs[2].ID, State: job.Succeeded, Metrics: nan},
		{Replication: 4, JobID: jobs[4].ID, State: job.Pending, Metrics: nan},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateNaNs(), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
	if got, err := d.StudyResults(t.Context(), "rival", id); err != nil || len(got) != 0 {
		t.Errorf("another tenant reads %v, %v", got, err)
	}
}
