package postgres

import (
	"context"
	"fmt"
	"testing"

	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

// step is one call on the store, by one of several writers.
type step struct {
	Call     string
	Job      int         // for cancel and restart
	States   []job.State // for apply: what is seen of the first jobs; "" for nothing
	Progress float64
}

func steps(jobs int) *rapid.Generator[[]step] {
	seen := rapid.SampledFrom(append(job.States(), ""))
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
		return step{
			Call:     rapid.SampledFrom([]string{"apply", "apply", "apply", "claim", "cancel", "restart"}).Draw(t, "call"),
			Job:      rapid.IntRange(0, jobs-1).Draw(t, "job"),
			States:   rapid.SliceOfN(seen, jobs, jobs).Draw(t, "states"),
			Progress: rapid.Float64Range(0, 1).Draw(t, "progress"),
		}
	}), 1, 8)
}

func (s step) do(ctx context.Context, d *DB, tenantID string, ids []string) (err error) {
	switch s.Call {
	case "apply":
		var updates []job.Update
		for i, state := range s.States {
			if state != "" {
				updates = append(updates, job.Update{ID: ids[i], State: state, Progress: s.Progress})
			}
		}
		_, err = d.Apply(ctx, updates)
	case "claim":
		_, err = d.Claim(ctx, tenantID, 2, true)
	case "cancel":
		_, err = d.RequestCancel(ctx, tenantID, ids[s.Job])
	case "restart":
		_, err = d.Restart(ctx, []string{ids[s.Job]}, "again")
	}
	if problem.CodeOf(err) == problem.Conflict { // cancelling a finished job
		return nil
	}
	return err
}

// However the calls of several writers interleave, each job moves forward only, and its events record all of its moves.
func TestConcurrentWritersNeverMoveAJobBackOrLoseAnEvent(t *testing.T) {
	t.Parallel()
	d := setup(t)
	const jobs = 4
	tenants := 0
	rapid.Check(t, func(rt *rapid.T) {
		plans := rapid.SliceOfN(steps(jobs), 2, 4).Draw(rt, "writers")
		tenants++
		tenantID := fmt.Sprintf("tenant-%d", tenants)
		newTenant(t, d, tenantID, roomy)
		var ids []string
		for range jobs {
			ids = append(ids, submit(t, d, tenantID).ID)
		}

		var writers, reader errgroup.Group
		done := make(chan struct{})
		reader.Go(func() error { return watch(d, tenantID, ids, done) })
		for _, plan := range plans {
			writers.Go(func() error {
				for _, s := range plan {
					if err := s.do(context.Background(), d, tenantID, ids); err != nil {
						return fmt.Errorf("%+v: %w", s, err)
					}
				}
				return nil
			})
		}
		err := writers.Wait()
		close(done)
		if readErr := reader.Wait(); err != nil || readErr != nil {
			rt.Fatal(err, readErr)
		}
		for _, id := range ids {
			if err := checkEvents(d, tenantID, id); err != nil {
				rt.Fatal(err)
			}
		}
	})
}

// watch reads jobs until done and reports any that goes back.
func watch(d *DB, tenantID string, ids []string, done <-chan struct{}) error {
	last := map[string]job.Job{}
	for {
		for _, id := range ids {
			now, err := d.Job(context.Background(), tenantID, id)
			if err != nil {
				return err
			}
			was, seen := last[id]
			if seen && (was.State != now.State && !was.State.CanBecome(now.State) || now.Progress < was.Progress ||
				now.Attempt < was.Attempt || now.UpdatedAt.Before(was.UpdatedAt) || was.CancelRequested && !now.CancelRequested) {
				return fmt.Errorf("job went back from %+v to %+v", was, now)
			}
			last[id] = now
		}
		select {
		case <-done:
			return nil
		default:
		}
	}
}

func checkEvents(d *DB, tenantID, id string) error {
	j, err := d.Job(context.Background(), tenantID, id)
	if err != nil {
		return err
	}
	events, err := d.Events(context.Background(), tenantID, id)
	if err != nil {
		return err
	}
	var at job.State
	for i, e := range events {
		if e.Seq != i+1 || e.From != at || i > 0 && (!e.From.CanBecome(e.To) || e.At.Before(events[i-1].At)) {
			return fmt.Errorf("event %d does not follow: %+v", i, events)
		}
		at = e.To
	}
	if at != j.State {
		return fmt.Errorf("the events end in %s, but the job is %s", at, j.State)
	}
	return nil
}
