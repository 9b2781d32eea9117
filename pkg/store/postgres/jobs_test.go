package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/idempotency"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

func TestAJobIsReadAsItWasSubmitted(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	seed, scale := int64(7), 1.5
	want := newJob("acme", func(j *job.Job) {
		j.CPURequest, j.MemoryGi, j.Priority, j.TimeoutSeconds = 3, 5, job.High, 77
		j.Options = simulation.Options{ConfigFile: "a.sumocfg", Seed: &seed, Scale: &scale, Outputs: []simulation.Output{simulation.OutputFCD}}
		j.Labels = map[string]string{"city": "Zürich \\u0000"}
		j.TaskToken = "token"
		j.Traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
		j.ProgressWebhook = &job.ProgressWebhook{URL: "https://example.org/hook", SimulationID: "s", EndSec: &scale}
		j.SubmittedAt = time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	})
	stored, _, err := d.CreateJob(t.Context(), want, nil, job.Admission{MaxQueued: 1})
	if err != nil {
		t.Fatal(err)
	}
	want.State, want.Namespace, want.ScenarioKey = job.Queued, "sumo-acme", "scenarios/acme/1.zip"
	want.ResultsKey = artifact.ResultsOf("sumo-acme", want.ID) // as a job of an earlier release has it
	got := read(t, d, "acme", want.ID)
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(job.Job{}, "UpdatedAt")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(stored, got); diff != "" {
		t.Errorf("CreateJob returned another job than it stored: %s", diff)
	}
	events, err := d.Events(t.Context(), "acme", want.ID)
	if diff := cmp.Diff([]job.Event{{JobID: want.ID, Seq: 1, At: got.UpdatedAt, To: job.Queued}}, events); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

func TestIdenticalConcurrentSubmissionsMakeOneJob(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	idem := &idempotency.Request{Key: "k", RequestHash: []byte("payload")}
	ids := make([]string, 50)
	var made atomic.Int32
	var group errgroup.Group
	for i := range ids {
		group.Go(func() error {
			// One place in the queue: a repeated request is answered even when no further job would be taken.
			j, created, err := d.CreateJob(t.Context(), newJob("acme"), idem, job.Admission{MaxQueued: 1})
			if created {
				made.Add(1)
			}
			ids[i] = j.ID
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	if made.Load() != 1 || len(slices.Compact(ids)) != 1 {
		t.Fatalf("%d jobs were made, answers named %v", made.Load(), slices.Compact(ids))
	}
	if usage, err := d.Usage(t.Context(), "acme"); err != nil || usage.ByState[job.Queued] != 1 {
		t.Fatalf("%d jobs are stored, %v", usage.ByState[job.Queued], err)
	}
}

func TestAnIdempotencyKeyStandsForOneRequestOfOneTenantForADay(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	newTenant(t, d, "other", roomy)
	create := func(tenantID, hash string) (job.Job, bool, error) {
		return d.CreateJob(
			t.Context(), newJob(tenantID), &idempotency.Request{Key: "k", RequestHash: []byte(hash)}, job.Admission{MaxQueued: 100},
		)
	}
	first, _, err := create("acme", "payload")
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = create("acme", "different")
	wantCode(t, err, problem.KeyReused)
	if j, created, err := create("other", "different"); err != nil || !created || j.TenantID != "other" {
		t.Errorf("another tenant's key: created=%t %+v, %v", created, j, err)
	}

	age := func(by time.Duration) {
		if _, err := d.pool.Exec(t.Context(), "UPDATE idempotency_keys SET created_at = created_at - $1::interval", by); err != nil {
			t.Fatal(err)
		}
	}
	age(idempotency.Lifetime - time.Minute)
	if j, created, err := create("acme", "payload"); err != nil || created || j.ID != first.ID {
		t.Errorf("within a day: created=%t %s, want %s, %v", created, j.ID, first.ID, err)
	}
	age(2 * time.Minute)
	second, created, err := create("acme", "different")
	if err != nil || !created {
		t.Fatalf("after a day: created=%t, %v", created, err)
	}
	if j, _, err := create("acme", "different"); err != nil || j.ID != second.ID {
		t.Errorf("repeated after a day: %s, want %s, %v", j.ID, second.ID, err)
	}
	if n, err := d.PruneIdempotencyKeys(t.Context(), time.Now().Add(-idempotency.Lifetime), 10); err != nil || n != 1 {
		t.Errorf("pruned %d keys, want that of the other tenant, %v", n, err)
	}
}

func TestTheQueueNeverExceedsItsCap(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	var full atomic.Int32
	var group errgroup.Group
	for range 30 {
		group.Go(func() error {
			_, _, err := d.CreateJob(t.Context(), newJob("acme"), nil, job.Admission{MaxQueued: 10})
			if problem.CodeOf(err) == problem.QueueFull {
				full.Add(1)
				return nil
			}
			return err
		})
	}
	if err := group.Wait(); err != nil || full.Load() != 20 {
		t.Fatalf("%d of 30 were refused by a queue of 10, %v", full.Load(), err)
	}
	claim(t, d, "acme", 1)
	if _, _, err := d.CreateJob(t.Context(), newJob("acme"), nil, job.Admission{MaxQueued: 10}); err != nil {
		t.Errorf("with room again: %v", err)
	}
}

func TestATenantSubmitsNoFasterThanItMay(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	newTenant(t, d, "other", roomy)
	limits := job.Admission{MaxQueued: 100, PerMinute: 3}
	create := func(tenantID, key string) error {
		_, _, err := d.CreateJob(t.Context(), newJob(tenantID), &idempotency.Request{Key: key, RequestHash: []byte("hash")}, limits)
		return err
	}
	began := time.Now()
	var accepted, refused atomic.Int32
	var group errgroup.Group
	for i := range 20 {
		group.Go(func() error {
			err := create("acme", fmt.Sprint(i))
			var p *problem.Error
			switch {
			case err == nil:
				accepted.Add(1)
			case errors.As(err, &p) && p.Code == problem.RateLimited && p.RetryAfter >= time.Second && p.RetryAfter <= 20*time.Second:
				refused.Add(1)
			default:
				return err
			}
			return nil
		})
	}
	err := group.Wait()
	// On a machine that stands still meanwhile, more may have become due.
	due := 3 + int32(time.Since(began)/(20*time.Second))
	if n := accepted.Load(); err != nil || n < 3 || n > due || n+refused.Load() != 20 {
		t.Fatalf("%d of 20 were accepted and %d refused, %v", n, refused.Load(), err)
	}
	if err := create("other", "o"); err != nil {
		t.Errorf("another tenant: %v", err)
	}
	pass := func(by time.Duration) {
		if _, err := d.pool.Exec(
			t.Context(), "UPDATE tenants SET submissions_spent_until = clock_timestamp() + interval '1 minute' - $1::interval", by,
		); err != nil {
			t.Fatal(err)
		}
	}
	pass(0)
	wantCode(t, create("acme", "early"), problem.RateLimited)
	pass(20 * time.Second)
	if err := create("acme", "in time"); err != nil {
		t.Errorf("after its part of a minute: %v", err)
	}
	pass(0)
	if err := create("acme", "in time"); err != nil {
		t.Errorf("a repeated request is not a submission: %v", err)
	}
	wantCode(t, create("acme", "one more"), problem.RateLimited)
}

func TestAJobNeedsAStoredScenario(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	_, _, err := d.CreateJob(t.Context(), newJob("acme", func(j *job.Job) { j.ScenarioDigest = "absent" }), nil, job.Admission{MaxQueued: 1})
	wantCode(t, err, problem.NotFound)
}

func TestTextThatPostgresCannotHoldIsTheCallersFault(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	for name, edit := range map[string]func(*job.Job){
		"NUL in text": func(j *job.Job) { j.Name = "a\x00b" },
		"not UTF-8":   func(j *job.Job) { j.Name = "a\xffb" },
		"NUL in JSON": func(j *job.Job) { j.Labels = map[string]string{"a": "\x00"} },
		"no priority": func(j *job.Job) { j.Priority = 3 },
	} {
		if _, _, err := d.CreateJob(t.Context(), newJob("acme", edit), nil, job.Admission{MaxQueued: 1}); problem.CodeOf(err) != problem.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestJobsOfOthersAndBrokenIDsAreNotFound(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	newTenant(t, d, "other", roomy)
	j := submit(t, d, "acme")
	for name, id := range map[string]string{
		"another tenant's": j.ID, "unknown": uuid.NewString(), "no UUID": "1", "empty": "", "UUID in braces": "{" + j.ID + "}",
	} {
		for call, do := range map[string]func() error{
			"Job":           func() error { _, err := d.Job(t.Context(), "other", id); return err },
			"Events":        func() error { _, err := d.Events(t.Context(), "other", id); return err },
			"RequestCancel": func() error { _, err := d.RequestCancel(t.Context(), "other", id); return err },
		} {
			if err := do(); problem.CodeOf(err) != problem.NotFound {
				t.Errorf("%s of %s id: %v", call, name, err)
			}
		}
		if name == "another tenant's" {
			continue
		}
		if restarted, err := d.Restart(t.Context(), []string{id}, ""); err != nil || len(restarted) > 0 {
			t.Errorf("Restart of %s id: %v, %v", name, restarted, err)
		}
		if changed := apply(t, d, job.Update{ID: id, State: job.Running}); len(changed) > 0 {
			t.Errorf("Apply to %s id changed %v", name, changed)
		}
		if known, err := d.KnownJobs(t.Context(), []string{id}); err != nil || len(known) > 0 {
			t.Errorf("KnownJobs of %s id: %v, %v", name, known, err)
		}
		if err := d.MarkResultsPruned(t.Context(), []string{id}); err != nil {
			t.Errorf("MarkResultsPruned of %s id: %v", name, err)
		}
	}
	if jobs, err := d.RecentJobs(t.Context(), "other", 10); err != nil || len(jobs) > 0 {
		t.Errorf("RecentJobs of another tenant: %v, %v", jobs, err)
	}
	if usage, err := d.Usage(t.Context(), "other"); err != nil || len(usage.ByState) > 0 {
		t.Errorf("Usage of another tenant: %v, %v", usage, err)
	}
	if jobs := claim(t, d, "other", 10); len(jobs) > 0 {
		t.Errorf("Claim for another tenant: %v", jobs)
	}
	if got := read(t, d, "acme", j.ID); got.State != job.Queued || got.CancelRequested {
		t.Errorf("another tenant changed the job: %+v", got)
	}
}

func TestCancelling(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	for _, c := range []struct {
		from, want job.State
		code       problem.Code
	}{
		{from: job.Queued, want: job.Cancelled},
		{from: job.Pending, want: job.Pending},
		{from: job.Running, want: job.Running},
		{from: job.Cancelled, want: job.Cancelled},
		{from: job.Succeeded, code: problem.Conflict},
		{from: job.Failed, code: problem.Conflict},
	} {
		j := inState(t, d, "acme", c.from)
		for _, turn := range []string{"first", "second"} {
			got, err := d.RequestCancel(t.Context(), "acme", j.ID)
			if problem.CodeOf(err) != c.code || got.State != c.want {
				t.Errorf("%s, %s time: got %s, %v; want %s, %q", c.from, turn, got.State, err, c.want, c.code)
			}
		}
		if got := read(t, d, "acme", j.ID); c.from == job.Queued && (got.Reason != simulation.Cancelled || got.FinishedAt == nil ||
			got.Message == "") {
			t.Errorf("a cancelled job does not say so: %+v", got)
		} else if c.from.Active() && !got.CancelRequested {
			t.Errorf("%s: not marked", c.from)
		}
	}
}

func TestListingsAreNewestFirst(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	newTenant(t, d, "other", roomy)
	var all, mine []string
	for i := range 6 {
		owner := []string{"acme", "other"}[i%2]
		j := submit(t, d, owner)
		all = append([]string{j.ID}, all...)
		if owner == "acme" {
			mine = append([]string{j.ID}, mine...)
		}
	}
	claimed := claim(t, d, "acme", 2)
	slices.Reverse(claimed)
	for name, c := range map[string]struct {
		list  func(ctx context.Context) ([]job.Job, int, error)
		want  []string
		total int
	}{
		"RecentJobs": {func(ctx context.Context) ([]job.Job, int, error) {
			j, err := d.RecentJobs(ctx, "acme", 2)
			return j, 0, err
		}, mine[:2], 0},
		"AllJobs":         {func(ctx context.Context) ([]job.Job, int, error) { return d.AllJobs(ctx, "", "", 4) }, all[:4], 6},
		"AllJobs PENDING": {func(ctx context.Context) ([]job.Job, int, error) { return d.AllJobs(ctx, job.Pending, "", 1) }, claimed[:1], 2},
		"AllJobs FAILED":  {func(ctx context.Context) ([]job.Job, int, error) { return d.AllJobs(ctx, job.Failed, "", 1) }, nil, 0},
		"ActiveJobs, oldest first": {func(ctx context.Context) ([]job.Job, int, error) {
			j, err := d.ActiveJobs(ctx, 5)
			slices.Reverse(j)
			return j, 0, err
		}, claimed, 0},
	} {
		jobs, total, err := c.list(t.Context())
		var ids []string
		for _, j := range jobs {
			ids = append(ids, j.ID)
		}
		if diff := cmp.Diff(c.want, ids); err != nil || diff != "" || total != c.total {
			t.Errorf("%s: total %d, want %d, %v %s", name, total, c.total, err, diff)
		}
	}
}

func TestUsageCountsAllAndSumsWhatIsHeld(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	newTenant(t, d, "idle", roomy)
	want := job.Usage{ByState: map[job.State]int{}}
	for i, state := range []job.State{job.Pending, job.Running, job.Running, job.Succeeded, job.Failed, job.Cancelled, job.Queued} {
		cpu, memory := i+1, 10*i+1
		j := submit(t, d, "acme", func(j *job.Job) { j.CPURequest, j.MemoryGi = cpu, memory })
		if state != job.Queued {
			claim(t, d, "acme", 1)
			apply(t, d, job.Update{ID: j.ID, State: state})
		}
		want.ByState[state]++
		if state.Active() {
			want.Held++
			want.CPU += cpu
			want.MemoryGi += memory
		}
	}
	got, err := d.Usage(t.Context(), "acme")
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
	all, err := d.UsageByTenant(t.Context())
	if diff := cmp.Diff(map[string]job.Usage{"acme": want}, all); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

func TestResultsExpireOnceLongAfterTheEnd(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	now := time.Now()
	ended := func(ago time.Duration) string {
		j := submit(t, d, "acme")
		claim(t, d, "acme", 1)
		at := now.Add(-ago)
		apply(t, d, job.Update{ID: j.ID, State: job.Succeeded, FinishedAt: &at})
		return j.ID
	}
	newer, oldest, old := ended(time.Hour), ended(3*time.Hour), ended(2*time.Hour)
	running := inState(t, d, "acme", job.Running).ID
	expired := func(limit int) (ids []string) {
		jobs, err := d.ExpiredResults(t.Context(), now.Add(-90*time.Minute), limit)
		if err != nil {
			t.Fatal(err)
		}
		for _, j := range jobs {
			ids = append(ids, j.ID)
		}
		return ids
	}
	if diff := cmp.Diff([]string{oldest, old}, expired(10)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{oldest}, expired(1)); diff != "" {
		t.Error(diff)
	}
	if err := d.MarkResultsPruned(t.Context(), []string{oldest, running}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{old}, expired(10)); diff != "" {
		t.Error(diff)
	}
	for id, want := range map[string]bool{oldest: true, old: false, newer: false, running: false} {
		if got := read(t, d, "acme", id).ResultsPruned; got != want {
			t.Errorf("job %s: pruned=%t, want %t", id, got, want)
		}
	}
}
