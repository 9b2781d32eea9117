package postgres

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"github.com/sumo-k8/sumo-k8/pkg/delivery"
	"github.com/sumo-k8/sumo-k8/pkg/idempotency"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

func newHook(tenantID string, edits ...func(*delivery.Hook)) delivery.Hook {
	h := delivery.Hook{
		ID: uuid.Must(uuid.NewV7()).String(), TenantID: tenantID, URL: "https://hooks.example.org/jobs", Format: delivery.Standard,
		Events: []delivery.Type{delivery.JobFinished, delivery.JobQueued, delivery.JobRunning}, Labels: map[string]string{}, Enabled: true,
		Secrets: []delivery.Secret{{Value: delivery.NewSecret()}},
	}
	for _, edit := range edits {
		edit(&h)
	}
	return h
}

func createHook(t testing.TB, d *DB, h delivery.Hook) delivery.Hook {
	t.Helper()
	if _, _, err := d.CreateHook(t.Context(), h, nil, 100); err != nil {
		t.Fatal(err)
	}
	return h
}

// advance makes a job of acme running, or ends it.
func advance(t testing.TB, d *DB, id string, state job.State, edits ...func(*job.Update)) {
	t.Helper()
	claim(t, d, "acme", 100)
	u := job.Update{ID: id, State: state}
	if state == job.Succeeded {
		u.Results = []job.ResultFile{{Name: "summary.xml", Size: 7}}
	}
	for _, edit := range edits {
		edit(&u)
	}
	apply(t, d, u)
}

// all returns the tenant's deliveries, oldest first.
func all(t testing.TB, d *DB, tenantID string) []delivery.Delivery {
	t.Helper()
	page, _, err := d.Deliveries(t.Context(), tenantID, delivery.Filter{}, "", 1000)
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(page)
	return page
}

func types(of []delivery.Delivery) (types []delivery.Type) {
	for _, d := range of {
		types = append(types, d.Event.Type)
	}
	return types
}

func TestEachTransitionBecomesADeliveryForEachHookThatWantsIt(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	newTenant(t, d, "other", roomy)
	every := createHook(t, d, newHook("acme"))
	ends := createHook(t, d, newHook("acme", func(h *delivery.Hook) { h.Events = []delivery.Type{delivery.JobFinished} }))
	labelled := createHook(t, d, newHook("acme", func(h *delivery.Hook) { h.Labels = map[string]string{"study": "a"} }))
	createHook(t, d, newHook("acme", func(h *delivery.Hook) { h.Enabled = false }))
	createHook(t, d, newHook("other"))

	plain := submit(t, d, "acme")
	marked := submit(t, d, "acme", func(j *job.Job) { j.Labels = map[string]string{"study": "a", "seed": "7"} })
	advance(t, d, plain.ID, job.Running)
	advance(t, d, plain.ID, job.Succeeded)
	advance(t, d, marked.ID, job.Cancelled)

	got := map[string][]string{}
	for _, one := range all(t, d, "acme") {
		got[one.HookID] = append(got[one.HookID], fmt.Sprint(one.JobID == plain.ID, " ", one.Event.Type, " ", one.Event.Job.State))
	}
	want := map[string][]string{
		every.ID: {
			"true job.queued QUEUED", "false job.queued QUEUED", "true job.running RUNNING", "true job.finished SUCCEEDED",
			"false job.finished CANCELLED",
		},
		ends.ID:     {"true job.finished SUCCEEDED", "false job.finished CANCELLED"},
		labelled.ID: {"false job.queued QUEUED", "false job.finished CANCELLED"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if page, _, _ := d.Deliveries(t.Context(), "other", delivery.Filter{}, "", 10); len(page) > 0 {
		t.Errorf("the other tenant has %d deliveries", len(page))
	}
}

func TestAnEventSaysWhatTheJobWasThen(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	createHook(t, d, newHook("acme"))
	j := submit(t, d, "acme", func(j *job.Job) {
		j.Labels = map[string]string{"a": "b"}
		j.Options.Check = true
	})
	advance(t, d, j.ID, job.Failed, func(u *job.Update) {
		u.Reason, u.Message, u.SumoVersion = simulation.SimulationError, "SUMO stopped.", "1.28.0"
		u.Summary = &simulation.Summary{}
	})
	ended, err := d.Job(t.Context(), "acme", j.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.DeleteJob(t.Context(), "acme", j.ID); err != nil {
		t.Fatal(err)
	}
	events := all(t, d, "acme")
	if diff := cmp.Diff([]delivery.Type{delivery.JobQueued, delivery.JobFinished}, types(events)); diff != "" {
		t.Fatalf("purging a job loses deliveries (-want +got):\n%s", diff)
	}
	want := delivery.Job{
		ID: j.ID, TenantID: "acme", Name: j.Name, State: job.Failed, Reason: simulation.SimulationError, Message: "SUMO stopped.", Check: true,
		Attempt: 1, Labels: map[string]string{"a": "b"}, SubmittedAt: ended.SubmittedAt, FinishedAt: ended.FinishedAt, SumoVersion: "1.28.0",
		Summary: ended.Summary,
	}
	if diff := cmp.Diff(want, events[1].Event.Job, cmpopts.EquateApproxTime(0)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTheHookOfASubmissionAndTheTaskTokenOfAJob(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	hook := &job.Webhook{ID: uuid.Must(uuid.NewV7()).String(), URL: "https://once.example.org:8443/x", Secret: delivery.NewSecret()}
	j := submit(t, d, "acme", func(j *job.Job) { j.Webhook, j.TaskToken, j.AnswersTask = hook, "token", true })
	if diff := cmp.Diff(hook, j.Webhook); diff != "" {
		t.Errorf("the job that was created (-want +got):\n%s", diff)
	}
	submit(t, d, "acme", func(j *job.Job) { j.TaskToken = "a note" })
	advance(t, d, j.ID, job.Running)
	advance(t, d, j.ID, job.Succeeded)
	var got []string
	for _, one := range all(t, d, "acme") {
		got = append(got, fmt.Sprint(one.Event.Type, " ", one.URL, " ", one.Task != nil))
	}
	slices.Sort(got)
	want := []string{
		"job.finished  true", "job.finished https://once.example.org:8443/x false", "job.running https://once.example.org:8443/x false",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("(-want +got):\n%s", diff)
	}
	due, err := d.DueFor(t.Context(), time.Now(), delivery.Line{TenantID: "acme"}, 10)
	if err != nil || len(due) != 1 {
		t.Fatalf("%d answers due, %v", len(due), err)
	}
	task := &delivery.Task{Token: "token", Namespace: "sumo-acme", Results: []job.ResultFile{{Name: "summary.xml", Size: 7}}}
	if diff := cmp.Diff(task, due[0].Task); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if hooks, err := d.Hooks(t.Context(), "acme"); err != nil || len(hooks) > 0 {
		t.Errorf("the hook of a job is listed: %v, %v", hooks, err)
	}
	_, err = d.Hook(t.Context(), "acme", hook.ID)
	wantCode(t, err, problem.NotFound)
}

func TestWhatWaitsFollowsItsHook(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	h := createHook(t, d, newHook("acme"))
	submit(t, d, "acme")
	change := func(edit func(*delivery.Hook)) {
		t.Helper()
		if _, err := d.ChangeHook(t.Context(), "acme", h.ID, time.Now(), func(h *delivery.Hook) error { edit(h); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	wantDue := func(lines ...string) {
		t.Helper()
		due, err := d.Due(t.Context(), time.Now(), delivery.Wanted{Hooks: true, Each: 10, Most: 10})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range due {
			got = append(got, r.Receiver)
		}
		if diff := cmp.Diff(lines, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	wantDue("https://hooks.example.org/jobs")
	change(func(h *delivery.Hook) { h.URL = "https://moved.example.org:8443/jobs" })
	wantDue("https://moved.example.org:8443/jobs")
	change(func(h *delivery.Hook) { h.Enabled = false })
	wantDue()
	submit(t, d, "acme") // nobody hears of it
	change(func(h *delivery.Hook) { h.URL = "https://again.example.org/jobs" })
	change(func(h *delivery.Hook) { h.Enabled = true })
	wantDue("https://again.example.org/jobs")
	if n := len(all(t, d, "acme")); n != 1 {
		t.Errorf("%d deliveries, want the first job's", n)
	}
	if err := d.DeleteHook(t.Context(), "acme", h.ID); err != nil {
		t.Fatal(err)
	}
	wantDue()
	wantCode(t, d.DeleteHook(t.Context(), "acme", h.ID), problem.NotFound)
}

func TestLinesAreFairAndBlocked(t *testing.T) {
	t.Parallel()
	d := setup(t)
	for _, tenant := range []string{"busy", "quiet"} {
		newTenant(t, d, tenant, roomy)
	}
	for i := range 5 {
		createHook(t, d, newHook("busy", func(h *delivery.Hook) { h.URL = fmt.Sprintf("https://r%d.example.org", i) }))
	}
	createHook(t, d, newHook("quiet"))
	submit(t, d, "busy")
	submit(t, d, "quiet")
	now := time.Now()
	due := func(w delivery.Wanted) map[string]int {
		t.Helper()
		w.Hooks, w.Each = true, 3
		got, err := d.Due(t.Context(), now, w)
		if err != nil {
			t.Fatal(err)
		}
		lines := map[string]int{}
		for _, r := range got {
			lines[r.TenantID]++
		}
		return lines
	}
	if diff := cmp.Diff(map[string]int{"busy": 3, "quiet": 1}, due(delivery.Wanted{Most: 10})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]int{"busy": 1, "quiet": 1}, due(delivery.Wanted{Most: 2})); diff != "" {
		t.Errorf("two lines (-want +got):\n%s", diff)
	}
	line := delivery.Line{TenantID: "quiet", Receiver: "https://hooks.example.org/jobs"}
	if diff := cmp.Diff(map[string]int{"busy": 3}, due(delivery.Wanted{Most: 10, Busy: []delivery.Line{line}})); diff != "" {
		t.Errorf("a busy line (-want +got):\n%s", diff)
	}
	if err := d.Block(t.Context(), line, 2, now.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int{"busy": 3}, due(delivery.Wanted{Most: 10})); diff != "" {
		t.Errorf("a blocked line (-want +got):\n%s", diff)
	}
	if _, err := d.Redeliver(t.Context(), "quiet", all(t, d, "quiet")[0].ID, now); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int{"busy": 3, "quiet": 1}, due(delivery.Wanted{Most: 10})); diff != "" {
		t.Errorf("ordered again (-want +got):\n%s", diff)
	}
}

func TestAttemptsAreRecordedUnlessOrderedAgain(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	createHook(t, d, newHook("acme"))
	submit(t, d, "acme")
	before := all(t, d, "acme")[0]
	now := time.Now().Truncate(time.Microsecond)
	failed := before.After(delivery.Attempt{Status: 500, Error: "The receiver answered 500."}, now, 0.5)
	if err := d.Attempted(t.Context(), before, failed); err != nil {
		t.Fatal(err)
	}
	got, err := d.Delivery(t.Context(), "acme", before.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(failed, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, attempt := range []delivery.Delivery{failed, before} { // the second attempt, and the first one of the order
		again, err := d.Redeliver(t.Context(), "acme", before.ID, now)
		if err != nil || again.State != delivery.Waiting || again.Attempts != 0 {
			t.Errorf("%+v, %v", again, err)
		}
		// The answer to an attempt that began before it was ordered again comes late.
		if err := d.Attempted(t.Context(), attempt, attempt.After(delivery.Attempt{Status: 200}, now, 0.5)); err != nil {
			t.Fatal(err)
		}
		if got := all(t, d, "acme")[0]; got.State != delivery.Waiting {
			t.Errorf("the delivery is %s", got.State)
		}
	}
	if _, err := d.Redeliver(t.Context(), "other", before.ID, now); problem.CodeOf(err) != problem.NotFound {
		t.Errorf("another tenant orders it again: %v", err)
	}
}

func TestDeliveriesAreListedInPages(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	h := createHook(t, d, newHook("acme"))
	for range 5 {
		submit(t, d, "acme")
	}
	var got []string
	cursor := ""
	for range 4 {
		page, next, err := d.Deliveries(t.Context(), "acme", delivery.Filter{HookID: h.ID, State: delivery.Waiting}, cursor, 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range page {
			got = append(got, one.ID)
		}
		if cursor = next; next == "" {
			break
		}
	}
	var want []string
	for _, one := range all(t, d, "acme") {
		want = append(want, one.ID)
	}
	slices.Reverse(want)
	if diff := cmp.Diff(want, got); diff != "" || len(got) != 5 {
		t.Errorf("(-want +got):\n%s", diff)
	}
	_, _, err := d.Deliveries(t.Context(), "acme", delivery.Filter{}, "nonsense", 2)
	wantCode(t, err, problem.Invalid)
	if page, _, err := d.Deliveries(t.Context(), "acme", delivery.Filter{JobID: "nonsense"}, "", 2); err != nil || len(page) > 0 {
		t.Errorf("%v, %v", page, err)
	}
}

func TestRunningJobsReport(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	h := createHook(t, d, newHook("acme", func(h *delivery.Hook) { h.Events = []delivery.Type{delivery.JobProgress} }))
	number := func(n float64) *float64 { return &n }
	j := submit(t, d, "acme", func(j *job.Job) {
		j.TaskToken, j.AnswersTask = "token", true
		// The run goes from 1000 to 2000 s, and the client sees its second half.
		j.ProgressWebhook = &job.ProgressWebhook{
			URL: "https://old.example.org", StartSec: number(1500), EndSec: number(2000), Begin: number(1000), End: number(2000),
		}
	})
	now := time.Now()
	signals := func() map[string]int {
		t.Helper()
		got, err := d.Signals(t.Context(), now, delivery.Wanted{Hooks: true, Tasks: true, Each: 10, Most: 10})
		if err != nil {
			t.Fatal(err)
		}
		targets := map[string]int{}
		for _, s := range got {
			targets[s.Target] = s.Percent
		}
		return targets
	}
	if got := signals(); len(got) > 0 {
		t.Errorf("a queued job reports: %v", got)
	}
	progress := func(fraction float64) {
		advance(t, d, j.ID, job.Running, func(u *job.Update) { u.Progress = fraction })
	}
	progress(0.25)
	if diff := cmp.Diff(map[string]int{"task": 0, "progress": 0, h.ID: 25}, signals()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	progress(0.7519)
	if diff := cmp.Diff(map[string]int{"task": 0, "progress": 50, h.ID: 75}, signals()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for target, percent := range signals() {
		if err := d.Signalled(t.Context(), delivery.Signal{JobID: j.ID, Target: target, Sent: percent}, now); err != nil {
			t.Fatal(err)
		}
	}
	progress(0.7524) // the same whole per cent
	if diff := cmp.Diff(map[string]int{"task": 0}, signals()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	progress(1)
	if diff := cmp.Diff(map[string]int{"task": 0, "progress": 100, h.ID: 100}, signals()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	advance(t, d, j.ID, job.Succeeded)
	if err := d.Signalled(t.Context(), delivery.Signal{JobID: j.ID, Target: "task"}, now); err != nil {
		t.Fatal(err)
	}
	if got := signals(); len(got) > 0 {
		t.Errorf("a finished job reports: %v", got)
	}
	if running, err := d.Running(t.Context(), j.ID); running || err != nil {
		t.Errorf("a finished job is running: %t, %v", running, err)
	}
}

func TestOldDeliveriesAreRemoved(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	paused := createHook(t, d, newHook("acme"))
	submit(t, d, "acme")
	one := submit(t, d, "acme", func(j *job.Job) {
		j.Webhook = &job.Webhook{ID: uuid.Must(uuid.NewV7()).String(), URL: "https://once.example.org", Secret: "x"}
	})
	advance(t, d, one.ID, job.Succeeded)
	states := func() map[delivery.State]int {
		states := map[delivery.State]int{}
		for _, one := range all(t, d, "acme") {
			states[one.State]++
		}
		return states
	}
	prune := func(later time.Duration) {
		t.Helper()
		if _, _, err := d.PruneDeliveries(t.Context(), time.Now().Add(later), 100); err != nil {
			t.Fatal(err)
		}
	}
	prune(delivery.Patience - time.Minute)
	if diff := cmp.Diff(map[delivery.State]int{delivery.Waiting: 4}, states()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := d.ChangeHook(t.Context(), "acme", paused.ID, time.Now(), func(h *delivery.Hook) error {
		h.Enabled = false
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	prune(delivery.Patience + time.Minute)
	if diff := cmp.Diff(map[delivery.State]int{delivery.GivenUp: 1, delivery.Paused: 3}, states()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	prune(delivery.Kept + time.Minute)
	if diff := cmp.Diff(map[delivery.State]int{}, states()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var hooks int
	if err := d.pool.QueryRow(t.Context(), "SELECT count(*) FROM hooks").Scan(&hooks); err != nil || hooks != 1 {
		t.Errorf("%d hooks are left, want the tenant's, %v", hooks, err)
	}
}

func TestAnIdempotencyKeyMakesOneHook(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	newTenant(t, d, "other", roomy)
	create := func(tenantID, key, hash string, most int) (delivery.Hook, bool, error) {
		return d.CreateHook(t.Context(), newHook(tenantID), &idempotency.Request{Key: key, RequestHash: []byte(hash)}, most)
	}
	first, created, err := create("acme", "k", "payload", 1)
	if err != nil || !created {
		t.Fatalf("the first is created: %t, %v", created, err)
	}
	again, created, err := create("acme", "k", "payload", 1) // the most there may be
	if err != nil || created || again.ID != first.ID {
		t.Errorf("the same key answers with %s (created %t), want %s: %v", again.ID, created, first.ID, err)
	}
	if _, _, err := create("acme", "k", "another payload", 2); problem.CodeOf(err) != problem.KeyReused {
		t.Errorf("the same key for another request: %v", err)
	}
	if _, _, err := create("acme", "l", "payload", 1); problem.CodeOf(err) != problem.Conflict {
		t.Errorf("one more than the most: %v", err)
	}
	if _, created, err := create("other", "k", "payload", 1); err != nil || !created {
		t.Errorf("another tenant's key: created %t, %v", created, err)
	}
	if err := d.DeleteHook(t.Context(), "acme", first.ID); err != nil {
		t.Fatal(err)
	}
	if anew, created, err := create("acme", "k", "payload", 1); err != nil || !created || anew.ID == first.ID {
		t.Errorf("once the hook is deleted: created %t, %v", created, err)
	}
}

func TestWhatIsDueIsReadAgainBeforeItIsSent(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	h := createHook(t, d, newHook("acme"))
	submit(t, d, "acme")
	line := delivery.Line{TenantID: "acme", Receiver: "https://hooks.example.org/jobs"}
	due, err := d.DueFor(t.Context(), time.Now(), line, 10)
	if err != nil || len(due) != 1 {
		t.Fatalf("%d due, %v", len(due), err)
	}
	change := func(edit func(*delivery.Hook)) {
		t.Helper()
		if _, err := d.ChangeHook(t.Context(), "acme", h.ID, time.Now(), func(h *delivery.Hook) error { edit(h); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	change(func(h *delivery.Hook) {
		h.URL, h.Secrets = "https://new.example.org", []delivery.Secret{{Value: "new"}}
	})
	got, ok, err := d.Current(t.Context(), due[0].ID, time.Now())
	if err != nil || !ok || got.URL != "https://new.example.org" || got.Hook.Secrets[0].Value != "new" {
		t.Errorf("%+v, %t, %v", got, ok, err)
	}
	// A transition that commits just behind the disabling leaves a delivery that waits.
	if _, err := d.pool.Exec(t.Context(), "UPDATE hooks SET enabled = false"); err != nil {
		t.Fatal(err)
	}
	if _, ok, err = d.Current(t.Context(), due[0].ID, time.Now()); ok || err != nil {
		t.Errorf("the hook is disabled: %t, %v", ok, err)
	}
	if got := all(t, d, "acme")[0]; got.State != delivery.Paused {
		t.Errorf("the delivery is %s", got.State)
	}
	// An attempt that was made before the pause counts.
	if err := d.Attempted(t.Context(), due[0], due[0].After(delivery.Attempt{Status: 200}, time.Now(), 0.5)); err != nil {
		t.Fatal(err)
	}
	if got := all(t, d, "acme")[0]; got.State != delivery.Delivered || got.Attempts != 1 {
		t.Errorf("the delivery is %s after %d attempts", got.State, got.Attempts)
	}
}

func TestAPurgedJobLeavesNothingOnceItsEventsAreSent(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	createHook(t, d, newHook("acme"))
	j := submit(t, d, "acme", func(j *job.Job) { j.TaskToken, j.AnswersTask = "token", true })
	advance(t, d, j.ID, job.Succeeded)
	end := func(one delivery.Delivery) {
		t.Helper()
		if err := d.Attempted(t.Context(), one, one.After(delivery.Attempt{Status: 200}, time.Now(), 0.5)); err != nil {
			t.Fatal(err)
		}
	}
	waiting := all(t, d, "acme") // job.queued and job.finished for the hook, and the answer to the token
	for _, one := range waiting {
		if one.Task != nil {
			end(one)
			if got, err := d.Delivery(t.Context(), "acme", one.ID); err != nil || got.Task != nil {
				t.Errorf("the token is kept: %+v, %v", got.Task, err)
			}
			_, err := d.Redeliver(t.Context(), "acme", one.ID, time.Now())
			wantCode(t, err, problem.NotFound)
		}
	}
	if err := d.DeleteJob(t.Context(), "acme", j.ID); err != nil {
		t.Fatal(err)
	}
	left := all(t, d, "acme")
	if len(waiting) != 3 || len(left) != 2 {
		t.Fatalf("%d deliveries, %d after the purge", len(waiting), len(left))
	}
	for _, one := range left {
		end(one)
	}
	if left = all(t, d, "acme"); len(left) > 0 {
		t.Errorf("%d deliveries are left", len(left))
	}
}

// TestNumbersOfAClientBreakNobodysSignals has an interval of which the share overflows.
func TestNumbersOfAClientBreakNobodysSignals(t *testing.T) {
	t.Parallel()
	d := setup(t)
	newTenant(t, d, "acme", roomy)
	number := func(n float64) *float64 { return &n }
	var ids []string
	for _, interval := range [][2]float64{{0, 1e-307}, {-1.7e308, 1.7e308}, {5, 5}, {1e300, 0}} {
		j := submit(t, d, "acme", func(j *job.Job) {
			j.ProgressWebhook = &job.ProgressWebhook{
				URL: "https://old.example.org", StartSec: number(interval[0]), EndSec: number(interval[1]), End: number(100),
			}
		})
		ids = append(ids, j.ID)
	}
	for _, id := range ids {
		advance(t, d, id, job.Running, func(u *job.Update) { u.Progress = 0.4 })
	}
	got, err := d.Signals(t.Context(), time.Now(), delivery.Wanted{Hooks: true, Tasks: true, Each: 10, Most: 10})
	if err != nil || len(got) != len(ids) {
		t.Fatalf("%d signals, %v", len(got), err)
	}
	for _, s := range got {
		if s.Percent != 40 {
			t.Errorf("%d per cent", s.Percent)
		}
	}
}
