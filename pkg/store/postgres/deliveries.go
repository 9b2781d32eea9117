package postgres

import (
	"context"
	"errors"
	"strings"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/jackc/pgx/v5"

	"github.com/sumo-k8/sumo-k8/pkg/delivery"
	"github.com/sumo-k8/sumo-k8/pkg/idempotency"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/store/postgres/internal/db"
)

// createHookOfJob stores the webhook that a submission names.
func createHookOfJob(ctx context.Context, q *db.Queries, j job.Job) error {
	_, err := q.InsertHook(ctx, db.InsertHookParams{
		ID: j.Webhook.ID, TenantID: j.TenantID, JobID: &j.ID, URL: j.Webhook.URL, Receiver: delivery.HostOf(j.Webhook.URL),
		Events: delivery.ShortForm(), Labels: map[string]string{}, Format: delivery.Standard, Enabled: true,
		Secrets: []delivery.Secret{{Value: j.Webhook.Secret}},
	})
	return err
}

// hookOfJob returns the webhook that the submission of a job named, with its first secret, or nil if there is none (any more).
func hookOfJob(ctx context.Context, q *db.Queries, tenantID, id string) (*job.Webhook, error) {
	row, err := q.HookOfJob(ctx, db.HookOfJobParams{TenantID: tenantID, JobID: &id})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return &job.Webhook{ID: row.ID, URL: row.URL, Secret: row.Secrets[0].Value}, nil
}

// CreateHook implements delivery.Store. It holds the tenant's row, so that hooks created at once are counted too.
func (d *DB) CreateHook(
	ctx context.Context, h delivery.Hook, idem *idempotency.Request, most int,
) (stored delivery.Hook, created bool, err error) {
	var row db.Hook
	err = d.inTx(ctx, func(q *db.Queries) (err error) {
		if _, err := q.LockTenant(ctx, h.TenantID); err != nil {
			return orNone(err, noTenant(h.TenantID))
		}
		if idem != nil {
			earlier, found, err := remembered(ctx, q, h.TenantID, *idem)
			if err != nil {
				return err
			}
			if found && earlier.HookID != nil {
				row, err = q.Hook(ctx, db.HookParams{TenantID: h.TenantID, ID: *earlier.HookID})
				return err
			}
		}
		n, err := q.CountHooks(ctx, h.TenantID)
		if err != nil {
			return err
		}
		if int(n) >= most {
			return problem.New(problem.Conflict, "You have %d webhooks, the most allowed. Remove one, or give one of them more events.", n)
		}
		row, err = q.InsertHook(ctx, db.InsertHookParams{
			ID: h.ID, TenantID: h.TenantID, URL: h.URL, Receiver: delivery.Receiver(h.URL), Events: h.Events, Labels: notNilMap(h.Labels),
			Format: h.Format, Studies: h.Studies, Enabled: h.Enabled, Secrets: h.Secrets,
		})
		created = err == nil
		if err != nil || idem == nil {
			return err
		}
		return q.InsertIdempotencyKey(ctx, db.InsertIdempotencyKeyParams{
			TenantID: h.TenantID, Key: idem.Key, RequestHash: idem.RequestHash, HookID: &h.ID,
		})
	})
	if err != nil {
		return delivery.Hook{}, false, translate(err, "creating a webhook")
	}
	return toHook(row), created, nil
}

// Hooks implements delivery.Store.
func (d *DB) Hooks(ctx context.Context, tenantID string) ([]delivery.Hook, error) {
	rows, err := d.q.Hooks(ctx, tenantID)
	if err != nil {
		return nil, translate(err, "listing webhooks")
	}
	return each(rows, toHook), nil
}

// Hook implements delivery.Store.
func (d *DB) Hook(ctx context.Context, tenantID, id string) (delivery.Hook, error) {
	if !isID(id) {
		return delivery.Hook{}, noHook(id)
	}
	row, err := d.q.Hook(ctx, db.HookParams{TenantID: tenantID, ID: id})
	if err != nil {
		return delivery.Hook{}, translate(orNone(err, noHook(id)), "reading a webhook")
	}
	return toHook(row), nil
}

// ChangeHook implements delivery.Store.
func (d *DB) ChangeHook(
	ctx context.Context, tenantID, id string, now time.Time, change func(*delivery.Hook) error,
) (changed delivery.Hook, err error) {
	if !isID(id) {
		return delivery.Hook{}, noHook(id)
	}
	err = d.inTx(ctx, func(q *db.Queries) error {
		row, err := q.LockHook(ctx, db.LockHookParams{TenantID: tenantID, ID: id})
		if err != nil {
			return orNone(err, noHook(id))
		}
		h := toHook(row)
		if err := change(&h); err != nil {
			return err
		}
		receiver := delivery.Receiver(h.URL)
		after, err := q.UpdateHook(ctx, db.UpdateHookParams{
			ID: id, URL: h.URL, Receiver: receiver, Events: h.Events, Labels: notNilMap(h.Labels), Format: h.Format, Studies: h.Studies,
			Enabled: h.Enabled, Remark: h.Remark, Secrets: h.Secrets,
		})
		if err != nil {
			return err
		}
		changed = toHook(after)
		return followHook(ctx, q, row, after, now)
	})
	return changed, translate(err, "changing a webhook")
}

// followHook does to what waits for a hook what was done to the hook.
func followHook(ctx context.Context, q *db.Queries, before, after db.Hook, now time.Time) error {
	if after.Receiver != before.Receiver {
		if err := q.MoveDeliveries(ctx, db.MoveDeliveriesParams{HookID: &after.ID, Receiver: after.Receiver}); err != nil {
			return err
		}
	}
	switch {
	case before.Enabled && !after.Enabled:
		return q.PauseDeliveries(ctx, &after.ID)
	case !before.Enabled && after.Enabled:
		return q.ResumeDeliveries(ctx, db.ResumeDeliveriesParams{HookID: &after.ID, Now: now})
	}
	return nil
}

// DeleteHook implements delivery.Store.
func (d *DB) DeleteHook(ctx context.Context, tenantID, id string) error {
	if !isID(id) {
		return noHook(id)
	}
	n, err := d.q.DeleteHook(ctx, db.DeleteHookParams{TenantID: tenantID, ID: id})
	if err == nil && n == 0 {
		return noHook(id)
	}
	return translate(err, "deleting a webhook")
}

// Deliveries implements delivery.Store. A cursor is the time and the id of the last delivery of a page.
func (d *DB) Deliveries(
	ctx context.Context, tenantID string, f delivery.Filter, after string, limit int,
) (page []delivery.Delivery, next string, err error) {
	params := db.DeliveriesParams{TenantID: tenantID, State: string(f.State), Most: limit + 1}
	for _, id := range []struct {
		text string
		into **string
	}{{f.HookID, &params.HookID}, {f.JobID, &params.JobID}} {
		if id.text != "" && !isID(id.text) {
			return nil, "", nil // no delivery has such an id
		}
		if id.text != "" {
			*id.into = &id.text
		}
	}
	if after != "" {
		at, id, _ := strings.Cut(after, "/")
		when, err := time.Parse(time.RFC3339Nano, at)
		if err != nil || !isID(id) {
			return nil, "", errCursor()
		}
		params.AfterTime, params.AfterID = &when, &id
	}
	rows, err := d.lists.Deliveries(ctx, params)
	if err != nil {
		return nil, "", translate(err, "listing deliveries")
	}
	page = each(rows[:min(len(rows), limit)], func(r db.DeliveriesRow) delivery.Delivery { return toDelivery(r.Delivery, r.URL) })
	if len(rows) > limit && limit > 0 {
		last := rows[limit-1].Delivery
		next = last.CreatedAt.UTC().Format(time.RFC3339Nano) + "/" + last.ID
	}
	return page, next, nil
}

// Delivery implements delivery.Store.
func (d *DB) Delivery(ctx context.Context, tenantID, id string) (delivery.Delivery, error) {
	if !isID(id) {
		return delivery.Delivery{}, noDelivery(id)
	}
	row, err := d.q.DeliveryOfTenant(ctx, db.DeliveryOfTenantParams{TenantID: tenantID, ID: id})
	if err != nil {
		return delivery.Delivery{}, translate(orNone(err, noDelivery(id)), "reading a delivery")
	}
	return toDelivery(row.Delivery, row.URL), nil
}

// Redeliver implements delivery.Store. A receiver that was in trouble is tried at once.
func (d *DB) Redeliver(ctx context.Context, tenantID, id string, now time.Time) (again delivery.Delivery, err error) {
	if !isID(id) {
		return delivery.Delivery{}, noDelivery(id)
	}
	err = d.inTx(ctx, func(q *db.Queries) error {
		n, err := q.Redeliver(ctx, db.RedeliverParams{TenantID: tenantID, ID: id, Now: now})
		if err != nil {
			return err
		}
		if n == 0 {
			return noDelivery(id)
		}
		if err := q.Unblock(ctx, id); err != nil {
			return err
		}
		row, err := q.DeliveryOfTenant(ctx, db.DeliveryOfTenantParams{TenantID: tenantID, ID: id})
		again = toDelivery(row.Delivery, row.URL)
		return err
	})
	return again, translate(err, "ordering a delivery again")
}

func toHook(h db.Hook) delivery.Hook {
	out := delivery.Hook{
		ID: h.ID, TenantID: h.TenantID, URL: h.URL, Events: h.Events, Labels: h.Labels, Format: h.Format, Studies: h.Studies,
		Enabled: h.Enabled, Remark: h.Remark, Secrets: h.Secrets, CreatedAt: h.CreatedAt, UpdatedAt: h.UpdatedAt,
	}
	if h.JobID != nil {
		out.JobID = *h.JobID
	}
	return out
}

func toDelivery(d db.Delivery, url *string) delivery.Delivery {
	out := delivery.Delivery{
		ID: d.ID, TenantID: d.TenantID, Event: d.Event, Task: d.Task, State: d.State, Attempts: d.Attempts, Round: d.Round,
		DueAt: d.DueAt, CreatedAt: d.CreatedAt, AttemptedAt: d.AttemptedAt, Status: d.Status, Error: d.Error,
	}
	if d.StudyID == nil { // else job_id is the study's
		out.JobID = d.JobID
	}
	if d.HookID != nil {
		out.HookID = *d.HookID
	}
	if url != nil {
		out.URL = *url
	}
	return out
}

func noHook(id string) error {
	return problem.New(problem.NotFound, "There is no webhook %.100q. GET /webhooks lists yours.", id)
}

func noDelivery(id string) error {
	return problem.New(problem.NotFound, "There is no delivery %.100q. GET /webhooks/deliveries lists those of the last %d days.",
		id, int(delivery.Kept.Hours()/24))
}

// Due implements delivery.Outbox.
func (d *DB) Due(ctx context.Context, now time.Time, w delivery.Wanted) ([]delivery.Receiving, error) {
	busy := make([]string, len(w.Busy))
	for i, b := range w.Busy {
		busy[i] = b.TenantID + " " + b.Receiver
	}
	rows, err := d.q.DueReceivers(ctx, db.DueReceiversParams{
		Now: now, Hooks: w.Hooks, Tasks: w.Tasks, Busy: busy, Tenants: notNil(w.Full), Each: w.Each, Most: w.Most,
	})
	if err != nil {
		return nil, translate(err, "looking for deliveries that are due")
	}
	return each(rows, func(r db.DueReceiversRow) delivery.Receiving {
		return delivery.Receiving{Line: delivery.Line{TenantID: r.TenantID, Receiver: r.Receiver}, Failures: r.Failures}
	}), nil
}

// DueFor implements delivery.Outbox.
func (d *DB) DueFor(ctx context.Context, now time.Time, l delivery.Line, most int) ([]delivery.Delivery, error) {
	rows, err := d.q.DueDeliveries(ctx, db.DueDeliveriesParams{TenantID: l.TenantID, Receiver: l.Receiver, Now: now, Most: most})
	if err != nil {
		return nil, translate(err, "reading deliveries that are due")
	}
	return each(rows, func(r db.Delivery) delivery.Delivery { return toDelivery(r, nil) }), nil
}

func (d *DB) hooks(ctx context.Context, ids []string) (map[string]delivery.Hook, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	rows, err := d.q.HooksOf(ctx, ids)
	if err != nil {
		return nil, err
	}
	hooks := make(map[string]delivery.Hook, len(rows))
	for _, h := range rows {
		hooks[h.ID] = toHook(h)
	}
	return hooks, nil
}

// Current implements delivery.Outbox. What was recorded while its hook was being disabled is paused now.
func (d *DB) Current(ctx context.Context, id string, now time.Time) (current delivery.Delivery, ok bool, err error) {
	const action = "reading a delivery that is due"
	row, err := d.q.DeliveryToSend(ctx, db.DeliveryToSendParams{ID: id, Now: now})
	if err != nil {
		return delivery.Delivery{}, false, translate(orNone(err, nil), action)
	}
	current = toDelivery(row, nil)
	if row.HookID == nil {
		return current, current.Task != nil, nil
	}
	hooks, err := d.hooks(ctx, []string{*row.HookID})
	if err != nil {
		return delivery.Delivery{}, false, translate(err, action)
	}
	h, exists := hooks[*row.HookID]
	if exists && !h.Enabled {
		return delivery.Delivery{}, false, translate(d.q.PauseDeliveries(ctx, row.HookID), "pausing deliveries")
	}
	current.Hook, current.URL = &h, h.URL
	return current, exists, nil
}

// Attempted implements delivery.Outbox.
func (d *DB) Attempted(ctx context.Context, before, after delivery.Delivery) error {
	const action = "recording an attempt at a delivery"
	if err := d.q.RecordAttempt(ctx, db.RecordAttemptParams{
		ID: before.ID, Round: before.Round, State: string(after.State), DueAt: after.DueAt, AttemptedAt: after.AttemptedAt,
		Status: after.Status, Error: storable(after.Error),
	}); err != nil || after.State == delivery.Waiting {
		return translate(err, action)
	}
	return translate(d.q.ForgetDelivery(ctx, before.ID), action)
}

// Block implements delivery.Outbox.
func (d *DB) Block(ctx context.Context, l delivery.Line, failures int, until time.Time) error {
	return translate(d.q.BlockReceiver(ctx, db.BlockReceiverParams{
		TenantID: l.TenantID, Receiver: l.Receiver, Failures: failures, BlockedUntil: until,
	}), "recording a receiver in trouble")
}

// Unblock implements delivery.Outbox.
func (d *DB) Unblock(ctx context.Context, l delivery.Line) error {
	return translate(d.q.ClearReceiver(ctx, db.ClearReceiverParams{TenantID: l.TenantID, Receiver: l.Receiver}),
		"recording that a receiver answers again")
}

// DisableHook implements delivery.Outbox.
func (d *DB) DisableHook(ctx context.Context, id, remark string) error {
	err := d.inTx(ctx, func(q *db.Queries) error {
		if err := q.DisableHook(ctx, db.DisableHookParams{ID: id, Remark: remark}); err != nil {
			return err
		}
		return q.PauseDeliveries(ctx, &id)
	})
	return translate(err, "disabling a webhook")
}

// Signals implements delivery.Outbox.
func (d *DB) Signals(ctx context.Context, now time.Time, w delivery.Wanted) (signals []delivery.Signal, err error) {
	var failed []error
	for _, read := range []struct {
		wanted bool
		of     func(context.Context, time.Time, delivery.Wanted) ([]delivery.Signal, error)
	}{{w.Tasks, d.taskSignals}, {w.Hooks, d.progressSignals}, {w.Hooks, d.hookSignals}} {
		if !read.wanted {
			continue
		}
		some, err := read.of(ctx, now, w)
		signals, failed = append(signals, some...), append(failed, translate(err, "looking for running jobs that report"))
	}
	return signals, errors.Join(failed...)
}

func (d *DB) taskSignals(ctx context.Context, now time.Time, w delivery.Wanted) ([]delivery.Signal, error) {
	rows, err := d.q.TaskSignals(ctx, db.TaskSignalsParams{Now: now, Each: w.Each, Most: w.Most})
	return each(rows, func(r db.TaskSignalsRow) delivery.Signal {
		return delivery.Signal{
			JobID: r.JobID, TenantID: r.TenantID, Target: delivery.TargetTask, TaskToken: r.TaskToken, Failures: r.Failures,
		}
	}), err
}

func (d *DB) progressSignals(ctx context.Context, now time.Time, w delivery.Wanted) ([]delivery.Signal, error) {
	rows, err := d.q.ProgressSignals(ctx, db.ProgressSignalsParams{Now: now, Each: w.Each, Most: w.Most})
	return each(rows, func(r db.ProgressSignalsRow) delivery.Signal {
		return delivery.Signal{
			JobID: r.JobID, TenantID: r.TenantID, Target: delivery.TargetProgress, Progress: r.ProgressWebhook, Sent: r.Sent,
			Percent: r.Percent, Failures: r.Failures,
		}
	}), err
}

func (d *DB) hookSignals(ctx context.Context, now time.Time, w delivery.Wanted) ([]delivery.Signal, error) {
	rows, err := d.q.HookSignals(ctx, db.HookSignalsParams{Now: now, Each: w.Each, Most: w.Most})
	if err != nil {
		return nil, err
	}
	hooks, err := d.hooks(ctx, each(rows, func(r db.HookSignalsRow) string { return r.HookID }))
	if err != nil {
		return nil, err
	}
	var signals []delivery.Signal
	for _, r := range rows {
		h, ok := hooks[r.HookID]
		if !ok {
			continue
		}
		event := delivery.Event{Type: delivery.JobProgress, At: r.UpdatedAt}
		if err := jsonv2.Unmarshal(r.Job, &event.Job); err != nil {
			return nil, err
		}
		signals = append(signals, delivery.Signal{
			JobID: r.JobID, TenantID: r.TenantID, Target: r.HookID, Hook: &h, Event: event, Sent: r.Percent,
			Percent: int(event.Job.Progress * 100), Failures: r.Failures,
		})
	}
	return signals, nil
}

// Running implements delivery.Outbox.
func (d *DB) Running(ctx context.Context, jobID string) (bool, error) {
	running, err := d.q.Running(ctx, jobID)
	return running, translate(err, "looking whether a job is running")
}

// Signalled implements delivery.Outbox.
func (d *DB) Signalled(ctx context.Context, s delivery.Signal, due time.Time) error {
	return translate(d.q.SaveSignal(ctx, db.SaveSignalParams{
		JobID: s.JobID, Target: s.Target, Percent: s.Sent, DueAt: due, Failures: s.Failures,
	}), "recording a signal")
}

// PruneDeliveries implements reconcile.Jobs.
func (d *DB) PruneDeliveries(ctx context.Context, now time.Time, limit int) (pruned, givenUp int, err error) {
	const action = "removing old deliveries"
	stale, err := d.q.GiveUpStale(ctx, db.GiveUpStaleParams{
		Made: now.Add(-delivery.Patience), Due: now.Add(-delivery.Patience / 3), Most: limit,
		Error: "Nothing could be sent for days: the receiver was down, or sending is not configured here.",
	})
	if err != nil {
		return 0, 0, translate(err, action)
	}
	n, err := d.q.PruneDeliveries(ctx, db.PruneDeliveriesParams{Before: now.Add(-delivery.Kept), Most: limit})
	if err != nil {
		return 0, int(stale), translate(err, action)
	}
	hooks, err := d.q.PruneHooksOfJobs(ctx, db.PruneHooksOfJobsParams{Before: now.Add(-delivery.Kept), Most: limit})
	if err == nil {
		err = d.q.PruneReceivers(ctx, now.Add(-time.Hour))
	}
	return int(n + hooks), int(stale), translate(err, action)
}
