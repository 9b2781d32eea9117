package postgres

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

func TestApplyMovesJobsForwardOnlyAndReportsWhichMoved(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	for _, from := range job.States() {
		for _, to := range append(job.States(), "NONSENSE") {
			j := inState(t, d, "acme", from)
			before := trail(t, d, "acme", j.ID)
			want := from
			if from.Active() && from.CanBecome(to) {
				want = to
			}
			changed := apply(t, d, job.Update{ID: j.ID, State: to, Progress: 0.5})
			got := read(t, d, "acme", j.ID)
			if moved := len(changed) == 1; got.State != want || moved != (want != from) {
				t.Errorf("%s, seen %s: became %s, reported %v; want %s", from, to, got.State, changed, want)
			}
			if wantTrail := before + " " + string(want); want != from && trail(t, d, "acme", j.ID) != wantTrail {
				t.Errorf("%s, seen %s: events %s, want %s", from, to, trail(t, d, "acme", j.ID), wantTrail)
			}
			if want == from && (from != to || !from.Active()) && !cmp.Equal(j, got) {
				t.Errorf("%s, seen %s: %s", from, to, cmp.Diff(j, got))
			}
			if from == job.Queued {
				claim(t, d, "acme", 1) // out of the way of the next
			}
		}
	}
}

func TestApplyKeepsWhatIsKnown(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	id := inState(t, d, "acme", job.Pending).ID
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	end := start.Add(time.Minute)
	summary := &simulation.Summary{SumoVersion: "1.15.0", Metrics: []simulation.Metric{{Name: "vehicles_inserted", Value: 3, Unit: "veh"}}}
	results := []job.ResultFile{{Name: "log.txt", Size: 5}}
	held := &simulation.Confinement{Landlock: 7, Filter: true}
	for _, step := range []struct {
		update job.Update
		want   job.Job
	}{
		{job.Update{State: job.Pending, Message: "Waits for a node."}, job.Job{State: job.Pending, Message: "Waits for a node."}},
		{job.Update{State: job.Pending}, job.Job{State: job.Pending, Message: "Waits for a node."}},
		{job.Update{State: job.Running, StartedAt: &start}, job.Job{State: job.Running, StartedAt: &start}},
		{job.Update{State: job.Running, Progress: 0.5}, job.Job{State: job.Running, StartedAt: &start, Progress: 0.5}},
		{job.Update{State: job.Running, Progress: 0.4}, job.Job{State: job.Running, StartedAt: &start, Progress: 0.5}},
		{job.Update{State: job.Running, Progress: math.NaN()}, job.Job{State: job.Running, StartedAt: &start, Progress: 0.5}},
		{job.Update{State: job.Pending, Progress: 0.9}, job.Job{State: job.Running, StartedAt: &start, Progress: 0.5}},
		{
			job.Update{
				State: job.Succeeded, FinishedAt: &end, SumoVersion: "1.15.0", Summary: summary, Results: results, Confinement: held,
				KeptScenario: "0123", Image: "registry/sumo:1.15",
			},
			job.Job{
				State: job.Succeeded, StartedAt: &start, FinishedAt: &end, Progress: 1, SumoVersion: "1.15.0", Summary: summary, Results: results,
				Confinement: held, KeptScenario: "0123", Image: "registry/sumo:1.15",
			},
		},
		{
			job.Update{State: job.Failed, Reason: simulation.InternalError, Message: "late"},
			job.Job{
				State: job.Succeeded, StartedAt: &start, FinishedAt: &end, Progress: 1, SumoVersion: "1.15.0", Summary: summary, Results: results,
				Confinement: held, KeptScenario: "0123", Image: "registry/sumo:1.15",
			},
		},
	} {
		step.update.ID = id
		apply(t, d, step.update)
		got := read(t, d, "acme", id)
		got = job.Job{
			State: got.State, Reason: got.Reason, Message: got.Message, Progress: got.Progress, StartedAt: got.StartedAt,
			FinishedAt: got.FinishedAt, SumoVersion: got.SumoVersion, Summary: got.Summary, Results: got.Results,
			Confinement: got.Confinement, KeptScenario: got.KeptScenario, Image: got.Image,
		}
		if diff := cmp.Diff(step.want, got); diff != "" {
			t.Errorf("after %+v: %s", step.update, diff)
		}
	}
}

func TestAnUpdateWithoutNewsWritesNothing(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	id := inState(t, d, "acme", job.Pending).ID
	start := time.Now()
	u := job.Update{ID: id, State: job.Running, Progress: 0.25, Message: "m", StartedAt: &start}
	apply(t, d, u)
	before := read(t, d, "acme", id)
	apply(t, d, u)
	apply(t, d, job.Update{ID: id, State: job.Running})
	if diff := cmp.Diff(before, read(t, d, "acme", id)); diff != "" {
		t.Error(diff)
	}
}

func TestAFinishedJobAlwaysHasATimeOfItsEnd(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	if j := inState(t, d, "acme", job.Failed); j.FinishedAt == nil || time.Since(*j.FinishedAt).Abs() > time.Minute {
		t.Errorf("finished at %v", j.FinishedAt)
	}
}

func TestACancelledJobEndsCancelledUnlessItSucceededFirst(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	for _, c := range []struct {
		seen, want job.State
		reason     simulation.Reason
	}{
		{job.Running, job.Running, ""},
		{job.Failed, job.Cancelled, simulation.Cancelled},
		{job.Cancelled, job.Cancelled, simulation.Cancelled},
		{job.Succeeded, job.Succeeded, ""},
	} {
		j := inState(t, d, "acme", job.Pending)
		if _, err := d.RequestCancel(t.Context(), "acme", j.ID); err != nil {
			t.Fatal(err)
		}
		u := job.Update{ID: j.ID, State: c.seen, Results: []job.ResultFile{{Name: "log.txt"}}}
		if c.seen == job.Failed {
			u.Reason, u.Message = simulation.Interrupted, "Stopped by a signal."
		}
		apply(t, d, u)
		got := read(t, d, "acme", j.ID)
		if got.State != c.want || got.Reason != c.reason || len(got.Results) != 1 {
			t.Errorf("seen %s: %+v", c.seen, got)
		}
	}
}

func TestSeveralUpdatesOfOneJobCountAsTheFurthest(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	j := inState(t, d, "acme", job.Pending)
	changed := apply(t, d,
		job.Update{ID: j.ID, State: job.Running, Progress: 0.1},
		job.Update{ID: j.ID, State: job.Failed, Reason: simulation.SimulationError},
		job.Update{ID: j.ID, State: job.Running, Progress: 0.2},
		job.Update{ID: j.ID, State: job.Succeeded},
	)
	if got := read(t, d, "acme", j.ID); got.State != job.Failed || !cmp.Equal(changed, []string{j.ID}) {
		t.Errorf("%s, changed %v", got.State, changed)
	}
}

func TestTextThatPostgresCannotHoldDoesNotKeepABatchFromBeingWritten(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	bad, good := inState(t, d, "acme", job.Pending), inState(t, d, "acme", job.Pending)
	changed := apply(t, d,
		job.Update{
			ID: bad.ID, State: job.Failed, Message: "Error: \x00file \\u0000 'M\xfcnchen'",
			Summary: &simulation.Summary{ConfigFile: "\x00"}, Results: []job.ResultFile{{Name: "a\x00b"}},
		},
		job.Update{ID: "not an id", State: job.Failed},
		job.Update{ID: uuid.NewString(), State: job.Failed},
		job.Update{ID: good.ID, State: job.Running, Progress: math.Inf(1)},
	)
	if diff := cmp.Diff([]string{bad.ID, good.ID}, changed, cmpopts.SortSlices(func(a, b string) bool { return a < b })); diff != "" {
		t.Error(diff)
	}
	if got, want := read(t, d, "acme", bad.ID).Message, "Error: file \\u0000 'M\uFFFDnchen'"; got != want {
		t.Errorf("message %q, want %q", got, want)
	}
}

func TestRemovingNULKeepsAllElse(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOf(rapid.SampledFrom([]rune("\x00\\u0\"a\n"))).Draw(t, "text")
		doc, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		var got string
		if err := json.Unmarshal(withoutNUL(doc), &got); err != nil || got != storable(text) {
			t.Fatalf("%q became %q, %v", text, got, err)
		}
	})
}

func TestTheSchemaItselfRefusesWrongMoves(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	for _, from := range job.States() {
		for _, to := range job.States() {
			j := inState(t, d, "acme", from)
			_, err := d.pool.Exec(t.Context(), `UPDATE jobs SET state = $2, dispatched_at = now(),
				finished_at = CASE WHEN $2 IN ('SUCCEEDED', 'FAILED', 'CANCELLED') THEN now() END WHERE id = $1`, j.ID, string(to))
			var pg *pgconn.PgError
			switch refused := errors.As(err, &pg) && pg.Code == stateMovedBackwards; {
			case from == to:
			case refused == from.CanBecome(to):
				t.Errorf("%s to %s: %v", from, to, err)
			case !refused && trail(t, d, "acme", j.ID)[len(trail(t, d, "acme", j.ID))-len(to):] != string(to):
				t.Errorf("%s to %s left no event: %s", from, to, trail(t, d, "acme", j.ID))
			}
			claim(t, d, "acme", 1)
		}
	}
}

// Batches in opposite orders would deadlock if they were locked in the order in which they come.
func TestOverlappingBatchesDoNotDeadlock(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	var ids []string
	for range 100 {
		ids = append(ids, submit(t, d, "acme").ID)
	}
	claim(t, d, "acme", len(ids))
	var group errgroup.Group
	for i := range 8 {
		group.Go(func() error {
			for round := range 5 {
				var updates []job.Update
				for k := range ids { // maps inside Apply mix their order, too
					updates = append(updates, job.Update{ID: ids[(k*(2*i+1))%len(ids)], State: job.Running, Progress: float64(8*round+i) / 100})
				}
				if _, err := d.Apply(t.Context(), updates); err != nil {
					return fmt.Errorf("round %d: %w", round, err)
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
}

func TestWarningsOfARunJoinThoseOfItsSubmissionOnce(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	submit(t, d, "acme", func(j *job.Job) { j.Warnings = []string{"a", "b"} })
	id := claim(t, d, "acme", 1)[0]
	problems := []problem.Item{{Location: "a.rou.xml:4", Message: "Unknown edge", Value: "x"}}
	apply(t, d, job.Update{ID: id, State: job.Failed, Warnings: []string{"b", "c\x00"}, Problems: problems})
	got := read(t, d, "acme", id)
	if diff := cmp.Diff([]string{"a", "b", "c"}, got.Warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(problems, got.Problems); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

func TestAJobsVersionIsReplacedWithANote(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	seed := int64(3)
	id := submit(t, d, "acme", func(j *job.Job) {
		j.Options.Seed, j.Options.SumoVersion, j.Warnings = &seed, "1.15", []string{"A line is odd.", "A default is old."}
	}).ID
	for range 2 {
		before, now := []string{"A default is old."}, []string{"It runs on SUMO 1.18.", "A default is new."}
		err := d.ReplaceVersion(t.Context(), id, "1.18", "1.15", before, now)
		if err != nil {
			t.Fatal(err)
		}
	}
	other := submit(t, d, "acme", func(j *job.Job) { j.Warnings = []string{"A line is odd."} }).ID
	if err := d.ReplaceVersion(t.Context(), other, "1.18", "", nil, []string{"It runs on SUMO 1.18."}); err != nil {
		t.Fatal(err)
	}
	if got := read(t, d, "acme", other).Warnings; !slices.Equal(got, []string{"A line is odd.", "It runs on SUMO 1.18."}) {
		t.Errorf("without stale notes: %q", got)
	}
	got := read(t, d, "acme", id)
	if diff := cmp.Diff(simulation.Options{Seed: &seed, SumoVersion: "1.18", AcceptedVersion: "1.15"}, got.Options); diff != "" {
		t.Errorf("options (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"A line is odd.", "It runs on SUMO 1.18.", "A default is new."}, got.Warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
	if err := d.ReplaceVersion(t.Context(), id, "1.15", "", got.Warnings[1:], nil); err != nil {
		t.Fatal(err)
	}
	got = read(t, d, "acme", id)
	if diff := cmp.Diff(simulation.Options{Seed: &seed, SumoVersion: "1.15"}, got.Options); diff != "" || len(got.Warnings) != 1 {
		t.Errorf("back again: warnings %q, options (-want +got):\n%s", got.Warnings, diff)
	}
}
