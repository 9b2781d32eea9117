package postgres

import (
	"testing"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/study"
)

// ended records a study of which one run has failed.
func ended(t testing.TB, d *DB) (before study.Study, run job.Job) {
	t.Helper()
	id := newStudy(t, d, "acme", testStudy{coreSeconds: 1})
	chunks, _ := claimed(t, d, "acme", 9)
	end(t, d, job.Failed, 1, chunks[0].Jobs...)
	stepStudies(t, d)
	before, err := d.Study(t.Context(), "acme", id)
	if err != nil || before.State != study.Incomplete {
		t.Fatal(before.State, err)
	}
	// As it is written again: an extension is made from the plan that is stored.
	if _, err := d.pool.Exec(t.Context(), "UPDATE studies SET plan = $2 WHERE id = $1", id, before.Plan); err != nil {
		t.Fatal(err)
	}
	return before, chunks[0].Jobs[0]
}

// longer is s with one more seed.
func longer(s study.Study) study.Study {
	s.Seeds = append(s.Seeds, 7)
	s.Counts.Runs++
	return s
}

func TestAStudyThatIsBeingPurgedDoesNotGoOn(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	unlimited := job.Admission{MaxQueued: 9}
	s, run := ended(t, d)
	for range 2 { // the first breaks off after it
		got, err := d.PurgeStudy(t.Context(), "acme", s.ID)
		if err != nil || got.Namespace != s.Namespace || got.State != study.Incomplete {
			t.Fatalf("%+v, %v", got, err)
		}
	}
	if !read(t, d, "acme", run.ID).ResultsPruned {
		t.Error("a run shows results that may be gone")
	}
	_, err := d.ExtendStudy(t.Context(), s, longer(s), nil, nil, unlimited)
	wantCode(t, err, problem.Conflict)
	_, _, err = d.RetryStudy(t.Context(), "acme", s.ID, nil, unlimited)
	wantCode(t, err, problem.Conflict)
	if n, err := d.DeleteStudyRuns(t.Context(), "acme", s.ID, 9); n != 1 || err != nil {
		t.Errorf("%d runs are deleted, %v", n, err)
	}
	if err := d.DeleteStudy(t.Context(), "acme", s.ID); err != nil {
		t.Error(err)
	}
	_, err = d.PurgeStudy(t.Context(), "acme", newStudy(t, d, "acme", testStudy{}))
	wantCode(t, err, problem.Conflict)
	_, err = d.PurgeStudy(t.Context(), "acme", s.ID)
	wantCode(t, err, problem.NotFound)
}

func TestAFinishedStudyThatGoesOnIsASubmission(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	s, _ := ended(t, d)
	other, _ := ended(t, d)
	full, unlimited := job.Admission{MaxQueued: 0}, job.Admission{MaxQueued: 9}
	slow := job.Admission{MaxQueued: 9, PerMinute: 1}
	_, err := d.ExtendStudy(t.Context(), s, longer(s), nil, nil, full)
	wantCode(t, err, problem.QueueFull)
	_, _, err = d.RetryStudy(t.Context(), "acme", s.ID, nil, full)
	wantCode(t, err, problem.QueueFull)
	if _, err := d.ExtendStudy(t.Context(), s, longer(s), nil, nil, slow); err != nil {
		t.Fatal(err)
	}
	_, _, err = d.RetryStudy(t.Context(), "acme", other.ID, nil, slow)
	wantCode(t, err, problem.RateLimited)
	if _, _, err := d.RetryStudy(t.Context(), "acme", s.ID, nil, full); err != nil {
		t.Errorf("one that goes on takes no further place, but: %v", err)
	}
	if _, _, err := d.RetryStudy(t.Context(), "acme", other.ID, nil, unlimited); err != nil {
		t.Error(err)
	}
}
